"""The line of gauges: as much of it as the screen is wide. Knows numbers and no widgets."""

from __future__ import annotations

from rgmlx.conversation.metrics import Gauges
from rgmlx.system.formatting import model_name

_SEPARATOR = "  ·  "


def status_line(name: str, gauges: Gauges, doing: str, news: str, width: int) -> str:
    """One line; what matters least is left out first where it does not fit."""
    parts = [(0, news), (2, model_name(name))]
    if gauges.state_bytes:
        parts.append((3, f"memory {gauges.state_bytes / 1e6:.1f} MB, always"))
    if gauges.position:
        parts.append((5, f"{gauges.position:,} tokens"))
    if gauges.rate:
        parts.append((4, f"{gauges.rate:.0f} tok/s"))
    if gauges.first_token:
        parts.append((6, f"first token {gauges.first_token:.1f} s"))
    if gauges.resident:
        parts.append((7, f"process {gauges.resident / 1e6:,.0f} MB"))
    parts.append((1, doing))
    kept = [part for part in parts if part[1]]
    while len(kept) > 1 and len(_SEPARATOR.join(text for _, text in kept)) > width:
        kept.remove(max(kept))
    return _SEPARATOR.join(text for _, text in kept)
