"""Checkpoints: where they are, how they come here, whether they are whole and fit into memory, and what they hold."""
