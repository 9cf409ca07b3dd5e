"""Griff, the embedded model: its texts, training and evaluation, in the order of `all.py`."""
