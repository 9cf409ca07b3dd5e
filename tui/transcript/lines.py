"""A drawn line as the terminal is given it: up to its last character, and from there in the same ground without characters.

What is no character is not copied, and finds no end of the line to be broken at when the terminal gets narrower.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_MARK = "\0"


def ended(strip: Strip) -> Strip:
    """A line without the blanks at its end, as far as they are of one colour."""
    segments = [segment for segment in strip if not segment.control and segment.text]
    ground = _ground(segments)
    while segments and not segments[-1].text.strip(" ") and _is_blank(segments[-1], ground):
        segments.pop()
    if segments and _is_blank(segments[-1], ground):
        segments[-1] = Segment(segments[-1].text.rstrip(" "), segments[-1].style)
    return Strip(segments)


def _ground(segments: Sequence[Segment]) -> Color | None:
    style = segments[-1].style if segments else None
    return style.bgcolor if style is not None else None


def _is_blank(segment: Segment, ground: Color | None) -> bool:
    """Whether a space of this segment is nothing but the ground."""
    style = segment.style
    if style is None:
        return ground is None
    return style.bgcolor == ground and not (style.reverse or style.underline or style.strike or style.overline)


def sequence(strip: Strip, console: Console, width: int) -> str:
    """A line for a terminal of so many columns."""
    line = ended(strip)
    # Where the last column is taken, some terminals would erase what is in there.
    if line.cell_length and not line.cell_length % width:
        return line.render(console)
    ground = Segment(_MARK, Style(bgcolor=_ground([one for one in strip if not one.control and one.text])))
    before, _, after = Strip([ground]).render(console).partition(_MARK)
    return f"{line.render(console)}{before}\x1b[K{after}"
