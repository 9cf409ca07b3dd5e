"""Draws pieces of messages as they look on the screen, for the terminal's scrollback.

A screen that is never shown: widgets that are on it have a place and can be drawn. Knows Textual's compositor. One thing
is other than on the screen: a line of code is one line however long it is, which the terminal breaks by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip
from textual.visual import Visual

from .lines import sequence
from .markdown import Fence
from .reply import NOTICE, Entry, MessageWidget
from .said import Piece


class Press(Screen[None]):
    """Takes pieces, gives lines."""

    DEFAULT_CSS = """
    Press, Press:inline {
        height: auto;
        border: none;
        padding: 0;
    }
    """

    async def lines(self, pieces: Sequence[Piece], width: int) -> list[str]:
        """Pieces as lines for the terminal, in its colours.

        Args:
            width: columns of the terminal.
        """
        await self.mount_all([_widget(piece) for piece in pieces])
        try:
            return [sequence(strip, self.app.console, width) for strip in self._drawn(width)]
        finally:
            await self.remove_children()

    def _drawn(self, width: int) -> list[Strip]:
        height = self.arrange(Size(width, 0)).total_region.height
        size = Size(width, height)
        self._compositor.reflow(self, size)
        places = self._compositor.full_map
        for widget, place in places.items():
            widget._size_updated(place.region.size, place.virtual_size, place.container_size, layout=False)
            widget._set_dirty()
        strips = self._compositor.render_strips(size)
        fences = [(places[fence].region, fence) for fence in self.query(Fence) if fence in places]
        for region, fence in sorted(fences, key=lambda one: one[0].y, reverse=True):
            code = fence._highlighted_code
            longest = max((line.cell_length for line in code.split("\n")), default=0)
            if longest > region.width:
                whole = Visual.to_strips(fence, code, longest, None, fence.visual_style)
                indent = strips[region.y].crop(0, region.x)
                strips[region.y : region.bottom] = [Strip.join([indent, line]) for line in whole]
        return strips


def _widget(piece: Piece) -> MessageWidget:
    entry = Entry(piece.role, "", 0)
    widget = entry.widget(0)
    widget = type(widget)(piece.text, entry, 0)
    if piece.role != NOTICE:
        widget.border_title = Content(piece.title)
        widget.set_class(piece.first, "-first")
        widget.set_class(piece.last, "-last")
        widget.set_class(piece.goes_on, "-goes-on")
        widget.set_class(piece.went_on, "-went-on")
    return widget
