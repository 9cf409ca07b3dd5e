"""The lines around the transcript, as text. Knows numbers and messages, and no widgets."""

from __future__ import annotations

from dataclasses import dataclass

from rgmlx.conversation.metrics import Metrics
from rgmlx.store import MODEL, Message
from rgmlx.system.formatting import model_name

from .commands import pressed

_SEPARATOR = "  ·  "


@dataclass
class Position:
    """Where the current message is on its branch, if that is not the end.

    Attributes:
        text: in words; "" at the end.
        further: whether other messages follow.
        reread: what it took to get there.
    """

    text: str = ""
    further: bool = False
    reread: str = ""


def position_label(position: Position, editing: Message | None, *, cut_short: bool) -> str:
    """The line above the prompt: what is edited, or where the current message is and what can be done there."""
    if editing is not None:
        done = "puts it in place" if editing.role == MODEL else "sends it"
        return f"Editing: Enter {done}, Esc leaves it as it was"
    further = position.further
    parts = [f"{position.text}, {pressed('forward')} goes forward" if further else position.text]
    parts.append("sending begins a branch" if further else "")
    if cut_short:
        cut, key = "Cut short" if position.text else "This reply was cut short", pressed("continue")
        parts.append(f"{cut}: {key} goes on with it" + "." * (not position.text))
    parts.append(position.reread)  # the end is cut off where it is too long
    return _SEPARATOR.join(part for part in parts if part)


def status_line(name: str, metrics: Metrics, doing: str, news: str, width: int) -> str:
    """One line; what matters least is left out first where it does not fit."""
    parts = [(0, news), (2, model_name(name))]
    if metrics.state_bytes:
        parts.append((3, f"memory {metrics.state_bytes / 1e6:.1f} MB, always"))
    if metrics.position:
        parts.append((5, f"{metrics.position:,} tokens"))
    if metrics.rate:
        parts.append((4, f"{metrics.rate:.0f} tok/s"))
    if metrics.first_token:
        parts.append((6, f"first token {metrics.first_token:.1f} s"))
    if metrics.resident:
        parts.append((7, f"process {metrics.resident / 1e6:,.0f} MB"))
    parts.append((1, doing))
    kept = [part for part in parts if part[1]]
    while len(kept) > 1 and len(_SEPARATOR.join(text for _, text in kept)) > width:
        kept.remove(max(kept))
    return _SEPARATOR.join(text for _, text in kept)
