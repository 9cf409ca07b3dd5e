"""How keys are written for people."""

from __future__ import annotations

_NAMES = {"escape": "Esc", "up": "↑", "down": "↓", "left": "←", "right": "→"}


def name(key: str) -> str:
    """A key of Textual's names as people write it."""
    return "+".join(_NAMES.get(part, part.capitalize()) for part in key.split("+"))
