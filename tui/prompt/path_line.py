"""A line for the path of a file, which Tab completes as in the prompt.

Knows the line and the list that stands below it; what is on the disk is found by the list.
"""

from __future__ import annotations

from textual import events

from ..fields import OneLine
from .completions import Completions, Word


class PathLine(OneLine):
    """One line, of which all is a path. Tab opens the list, and takes what is marked in it; Enter is for the path as it is."""

    async def _on_key(self, event: events.Key) -> None:
        if self._acted(event.key):
            event.prevent_default()
            event.stop()
        else:
            await super()._on_key(event)

    def watch_value(self, value: str) -> None:
        """Has what is offered follow what is typed."""
        if self.is_mounted and self._completions.is_open:
            self.call_later(self._follow)  # when the cursor is where it belongs

    def _follow(self) -> None:
        if self._completions.is_open:
            self._look()

    @property
    def _completions(self) -> Completions:
        return self.screen.query_one(Completions)

    @property
    def _word(self) -> Word:
        at = self.cursor_position
        return Word("=", 0, 0, at, self.value[:at])

    def _acted(self, key: str) -> bool:
        completions = self._completions
        if key == "tab":
            if completions.is_open:
                self._take()
            else:
                self._look()
        elif key in ("up", "down") and completions.is_open:
            completions.action_cursor_up() if key == "up" else completions.action_cursor_down()
        elif key == "escape" and completions.is_open:
            completions.stop()
        else:
            return False
        return True

    def _look(self) -> None:
        self._completions.look_up(self._word, (), self._take)

    def _take(self, number: int | None = None) -> None:
        word, completions = self._word, self._completions
        chosen = completions.chosen(word, number)
        if chosen is None:  # what is offered is for what was typed before
            self._look()
            return
        completions.stop()
        self.value = chosen + self.value[word.end :]
        self.cursor_position = len(chosen)
        self.focus()
        if chosen.endswith("/"):
            self._look()
