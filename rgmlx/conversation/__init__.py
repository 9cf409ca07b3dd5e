"""Turns over a model."""
