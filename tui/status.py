"""The lines around the transcript, as text. Knows numbers and messages, and no widgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def position_label(position: Position, editing: Message | None, width: int, *, cut_short: bool) -> str:
    """The line above the prompt: what is edited, or where the current message is and what can be done there.

    What matters least, or stands at the foot as well, gives way where not all of it fits.
    """
    if editing is not None:
        done = "puts it in place" if editing.role == MODEL else "sends it"
        return f"Editing: Enter {done}, Esc leaves it as it was"
    parts = [(_SEPARATOR, 0, position.text)]
    if position.further:
        parts.append((", ", 3, f"{pressed('forward')} goes forward"))
        parts.append((_SEPARATOR, 1, "sending begins a branch"))
    if cut_short:
        cut, key = "Cut short" if position.text else "This reply was cut short", pressed("continue")
        parts.append((_SEPARATOR, 2, f"{cut}: {key} goes on with it" + "." * (not position.text)))
    parts.append((_SEPARATOR, 4, position.reread))
    return _fitting(parts, width)


CELLS = 5
"""Of the bar that shows how much of the exact window is in use."""


def window_bar(position: int, window: int) -> str:
    """How much of the window that is remembered word by word is in use: a bar that is never ahead of it, or "full"."""
    if position >= window:
        return "full"
    used = position * CELLS // window
    return "█" * used + "░" * (CELLS - used)


def status_line(name: str, metrics: Metrics, doing: str, news: str, width: int, *, here: bool = True) -> str:
    """One line; what matters least gives way where not all of it fits.

    Args:
        here: the model is, or writes, where one stands: how far it is and what it remembers are of this conversation.
    """
    parts = [(_SEPARATOR, 0, news), (_SEPARATOR, 2, model_name(name))]
    if metrics.state_bytes:
        parts.append((_SEPARATOR, 3, f"memory {metrics.state_bytes / 1e6:.1f} MB, always"))
    if metrics.position and here:
        parts.append((_SEPARATOR, 4, f"{metrics.position:,} tokens"))
        if metrics.window:
            parts.append((", ", 5, f"window {window_bar(metrics.position, metrics.window)}"))
    if metrics.rate:
        parts.append((_SEPARATOR, 6, f"{metrics.rate:.0f} tok/s"))
    if metrics.first_token:
        parts.append((_SEPARATOR, 7, f"first token {metrics.first_token:.1f} s"))
    if metrics.resident:
        parts.append((_SEPARATOR, 8, f"process {metrics.resident / 1e6:,.0f} MB"))
    parts.append((_SEPARATOR, 1, doing))
    return _fitting(parts, width)


def _fitting(parts: Sequence[tuple[str, int, str]], width: int) -> str:
    """A line of the parts that fit: what each needs beside it, how much it matters (the smallest number most), its text."""
    kept: list[int] = []
    for at in sorted(range(len(parts)), key=lambda at: parts[at][1]):
        between, _, text = parts[at]
        if text and (between == _SEPARATOR or at - 1 in kept):  # the window is of the tokens before it
            more = sorted([*kept, at])
            if not kept or len(_line(parts[one] for one in more)) <= width:
                kept = more
    return _line(parts[at] for at in kept)


def _line(parts: Iterable[tuple[str, int, str]]) -> str:
    texts = [f"{between}{text}" for between, _, text in parts]
    return "".join(texts).removeprefix(_SEPARATOR)
