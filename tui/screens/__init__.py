"""Screens above the chat: each asks for one thing and gives an answer back."""
