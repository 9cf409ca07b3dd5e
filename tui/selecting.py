"""Text that is selected with the mouse: copied as the button is released, or said how that is done.

Knows what is selected on a screen. The prompt and lines that are typed into select for themselves, and what is selected
there is often about to be replaced: it is copied by its key only.
"""

from __future__ import annotations

from textual import events, on

from .keyboard import Keyboard

HINT = "Ctrl+C copies what is selected."


class Selecting(Keyboard):
    """An app on whose screens text can be selected.

    Attributes:
        copies_selection: whether what the mouse selects is copied at once.
    """

    copies_selection = False
    _selection = ""  # what the mouse selected last, and is still selected
    _hinted = False

    @on(events.TextSelected)
    async def _was_selected(self) -> None:
        """Comes with every release of a button, whether something was selected or not."""
        before, self._selection = self._selection, self.screen.get_selected_text() or ""
        if not self._selection.strip() or self._selection == before:
            return
        if self.copies_selection:
            await self.copy_text(self._selection)
        elif not self._hinted:
            self._hinted = True
            self.notify(HINT, timeout=4)
