"""The last line: the few keys that matter now, and what they do. A click on one presses it.

Knows what is going on by a few facts, and the names of keys in this terminal; not what a key does. All keys are in the help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.widgets import Static

from .commands import keys_of
from .composing import Escape
from .terminal import keys

_GAP = 2  # columns between two of them


@dataclass(frozen=True)
class Hint:
    """A key: as it is called here, what it does, and a name of Textual's by which it is pressed."""

    key: str
    does: str
    press: str


def hints(escape: Escape, *, further: bool, answered: bool | None) -> list[Hint]:
    """What is worth knowing now, what is most so first.

    Args:
        escape: what Esc does.
        further: whether messages follow the current one.
        answered: whether the current message is a reply; None: there is no message.
    """
    if escape is not Escape.NOTHING:
        found = [Hint(keys.name("escape"), escape.value, "escape")]
    elif further:
        found = [_of("forward", "forward")]
    elif answered is not None:
        found = [_of("regenerate", "another" if answered else "reply")]
    else:
        found = []
    return [*found, _of("list", "list"), _of("help", "help"), _of("quit", "quit")]


def mark_hints(*, fold: str, found: bool) -> list[Hint]:
    """The same while something is marked in the transcript.

    Args:
        fold: what the space does with it; "" for nothing.
        found: whether there are places that were found.
    """
    move = [Hint("n", "next", "n"), Hint("N", "before", "N")] if found else []
    folds = [Hint("Space", fold, "space")] if fold else []
    do = [("c", "copy"), ("e", "edit"), ("r", "again"), ("b", "back"), ("o", "editor")]
    rest = [Hint(key, does, key) for key, does in do]
    return [*move, *folds, *rest, Hint(f"{keys.name('up')}{keys.name('down')}", "move", "up"), _BACK]


_BACK = Hint("Esc", "prompt", "escape")


def _of(command: str, does: str) -> Hint:
    names = keys_of(command)
    return Hint(keys.brief(*names), does, names[0])


class KeyLine(Static):
    """A row of keys."""

    DEFAULT_CSS = "KeyLine { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; color: $text-muted; }"

    def __init__(self) -> None:
        super().__init__(id="keys", markup=False)
        self.hints: Sequence[Hint] = ()

    def show(self, now: Sequence[Hint], width: int) -> None:
        """Shows these in place of those before; in fewer columns the first and the last."""
        now = list(now)
        while len(now) > 2 and sum(len(hint.key) + 1 + len(hint.does) + _GAP for hint in now) - _GAP > width - 2:
            del now[-2]
        if now == self.hints:
            return
        self.hints = now
        gap = Content(" " * _GAP)
        self.update(gap.join(Content.assemble((hint.key, "bold $primary"), f" {hint.does}") for hint in now))

    def on_click(self, event: events.Click) -> None:
        end = 1  # behind the padding
        for hint in self.hints:
            end += len(hint.key) + 1 + len(hint.does)
            if event.x < end:
                self.app.simulate_key(hint.press)
                return
            end += _GAP
