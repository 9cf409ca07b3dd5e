"""Presses the editing keys of the prompt over texts of every kind, alone and in random rows, and looks at what is left.

Every key that the prompt has a binding for is pressed on every state; what must hold then is in `check`. The screen is
Textual's own headless one. Prints a table; ends with 1 when something was found.

    python scripts/fuzz_prompt.py --seconds 60 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.document._document import Location, Selection
from textual.geometry import Region

from tui.prompt.completions import Completions
from tui.prompt.history import History
from tui.prompt.prompt import Prompt
from tui.terminal import textual_fixes
from tui.terminal.clipboard import MAX_LINE

MARKER = "\0"
"""Stands in a text of `TEXTS` for a paste that is folded."""
LONG = "z" * (MAX_LINE + 1)
TEXTS = {
    "empty": "",
    "blank": "  ",
    "one line": "one line, of words",
    "ends in a line break": "one\n",
    "many lines": "first\n\n  third with words\nlast",
    "only line breaks": "\n\n\n",
    "a marker": MARKER,
    "text around a marker": f"ab {MARKER} cd",
    "markers in two lines": f"{MARKER}\nx\n{MARKER}",
    "markers side by side": f"{MARKER}{MARKER}",
    "a command": "/he",
    "a path": "see @te",
    "wide and combined": "日本語 👩‍👩‍👧 é\tz\n🏳️‍🌈",
    "controls": "a\x1b[2Jb\u202ec\u2028d\ud800",
    "wrapped": "word " * 60,
}
TYPED = ("a", "Z", " ", "/", "@", "日", "é", "[", "]", "\u200b")
OTHER = ("tab", "escape", "ctrl+underscore", "ctrl+shift+z", "f9", "ctrl+c")
"""Keys without a letter that are pressed as well, whoever has a binding for them."""
LOADS = frozenset({"enter", "up", "down"})
"""Keys that may put another text in: what was there is not had back by undoing."""


class Desk(App[None]):
    """The prompt and the list above it, in an app that takes what is sent."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "stop", "stop")]

    def __init__(self) -> None:
        super().__init__()
        textual_fixes.type_all_text()
        history = History(None)
        for text in ("an older prompt", "one\nof\nthree lines", "/help"):
            history.add(text)
        self.prompt = Prompt(history)
        self.prompt.commands = [("help", "show the keys"), ("model", ""), ("models", "")]

    def compose(self) -> ComposeResult:
        yield Completions()
        yield self.prompt

    def on_mount(self) -> None:
        self.prompt.focus()

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        self.prompt.accept(event.text)

    def action_stop(self) -> None:
        """As in the chat, without a reply."""

    def action_read(self, where: str) -> None:
        """As in the chat, without a transcript."""


@asynccontextmanager
async def desk() -> AsyncIterator[Prompt]:
    """A prompt on a screen."""
    app = Desk()
    async with app.run_test(size=(60, 20)) as pilot:
        yield app.prompt
        await pilot.pause()  # what was sent has come


@dataclass(frozen=True)
class State:
    """A text with a cursor or a selection in it."""

    text: str
    where: str
    selection: Selection

    def __str__(self) -> str:
        return f"{self.text}, {self.where}"


def keys() -> list[str]:
    """All keys with a binding of the prompt's own or of what it is made of, and some others."""
    return list(dict.fromkeys([*Prompt._merge_bindings().key_to_bindings, *OTHER, *TYPED]))


def put(prompt: Prompt, text: str) -> None:
    """Has the prompt hold a text of `TEXTS`, with nothing to be undone."""
    prompt.load_text("")
    for number, piece in enumerate(text.split(MARKER)):
        if number:
            prompt._take(LONG)
        prompt.insert(piece)
    prompt.history.clear()


def states(prompt: Prompt) -> Iterator[State]:
    """Every text with the cursor at every kind of place."""
    for name, text in TEXTS.items():
        put(prompt, text)
        document = prompt.document
        end: Location = document.end
        middle: Location = (document.line_count // 2, len(document.get_line(document.line_count // 2)) // 2)
        last: Location = (end[0], 0)
        places = {
            "at the end": (end, end),
            "at the start": ((0, 0), (0, 0)),
            "in the middle": (middle, middle),
            "all selected": ((0, 0), end),
            "all selected backwards": (end, (0, 0)),
            "selected from the middle": (middle, end),
            "selected up to the last line": (last, (0, 0)),
        }
        found = set[Selection]()
        for where, (first, second) in places.items():
            if (selection := Selection(first, second)) not in found:
                found.add(selection)
                yield State(name, where, selection)


async def press(prompt: Prompt, key: str) -> None:
    """Has the prompt take a key; it is done when this returns."""
    await prompt._on_key(events.Key(key, key if key in TYPED else None))


def check(prompt: Prompt) -> None:
    """What holds after every key. Raises AssertionError."""
    document = prompt.document
    for row, column in prompt.selection:
        assert 0 <= row < document.line_count, f"the cursor is in line {row} of {document.line_count}"
        assert 0 <= column <= len(document.get_line(row)), f"the cursor is in column {column} of line {row}"
    bare = prompt.text
    for marker in prompt._pasted._texts:
        bare = bare.replace(marker, "")
    assert "pasted" not in bare, f"a marker is in pieces: {bare!r}"
    assert "pasted" not in prompt.whole, "a marker stands for nothing"
    for strip in prompt.render_lines(Region(0, 0, *prompt.size)):
        assert "\x1b" not in strip.text, "a control character is drawn"
    error = prompt.app._exception
    if error is not None:
        raise error


async def one_key(prompt: Prompt, state: State, key: str) -> None:
    """Presses one key in a state; undoing it brings the text back."""
    put(prompt, TEXTS[state.text])
    prompt.selection = state.selection
    before = prompt.whole
    await press(prompt, key)
    check(prompt)
    if key not in LOADS:
        undo(prompt)
        assert prompt.whole == before, f"undone it is {prompt.whole[:80]!r}"


def undo(prompt: Prompt) -> None:
    """Takes back all that can be."""
    while prompt.history.undo_stack:
        prompt.undo()
        check(prompt)


@dataclass
class Found:
    """What a run has seen."""

    pressed: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


async def table(found: Found, every: int = 1, seed: int = 0) -> None:
    """Presses each key in each state; where the cursor is not at the end, in one of `every` of them."""
    chance = random.Random(seed)
    async with desk() as prompt:
        for state in list(states(prompt)):
            for key in keys():
                if state.where != "at the end" and chance.randrange(every):
                    continue
                found.pressed[key] += 1
                try:
                    await one_key(prompt, state, key)
                except Exception as e:
                    found.problems.append(f"{key} ({state}): {_brief(e)}")
            await asyncio.sleep(0)


async def rows(found: Found, seconds: float, seed: int) -> None:
    """Presses random keys, one after the other, with selections, pastes and other widths in between."""
    chance, end = random.Random(seed), time.monotonic() + seconds
    usual = [key for key in keys() if key != "enter"]
    while time.monotonic() < end and len(found.problems) < 20:
        async with desk() as prompt:
            name = chance.choice(list(TEXTS))
            put(prompt, TEXTS[name])
            done = [name]
            try:
                for step in range(400):
                    await _step(prompt, chance, usual, done, found)
                    check(prompt)
                    if step % 40 == 0:
                        await asyncio.sleep(0.01)  # the screen is laid out and drawn
                    if time.monotonic() > end:
                        break
                undo(prompt)
            except Exception as e:
                found.problems.append(f"... {', '.join(done[-12:])}: {_brief(e)}")
                prompt.app._exception = None  # one is told once


async def _step(prompt: Prompt, chance: random.Random, usual: list[str], done: list[str], found: Found) -> None:
    what = chance.random()
    if what < 0.06:
        rows = [chance.randrange(prompt.document.line_count) for _ in range(2)]
        spots = [(row, chance.randint(0, len(prompt.document.get_line(row)))) for row in rows]
        prompt.selection = Selection(*spots)
        done.append(f"select {spots}")
    elif what < 0.1:
        text = chance.choice([LONG, "x\n" * 500, "a\r\nb", "\x1b[200~", "@a/b ", "/model", *TEXTS.values()])
        prompt._take(text.replace(MARKER, ""))
        done.append(f"paste {text[:12]!r}")
    elif what < 0.12:
        prompt.styles.width = chance.randint(4, 70)
        done.append("resize")
    else:
        key = "enter" if chance.random() < 0.01 else chance.choice(usual)
        done.append(key)
        found.pressed[key] += 1
        await press(prompt, key)


def _brief(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def main() -> None:
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--seconds", type=float, default=60, help="for the random rows, after the table (60)")
    p.add_argument("--seed", type=int, default=0)
    options = p.parse_args()
    single, mixed = Found(), Found()
    asyncio.run(table(single))
    asyncio.run(rows(mixed, options.seconds, options.seed))
    print(f"{'':20} {'keys':>8} {'presses':>10} {'problems':>9}")
    for name, found in (("each key, each state", single), ("random rows", mixed)):
        print(f"{name:20} {len(found.pressed):8} {found.pressed.total():10,} {len(found.problems):9}")
    problems = [*single.problems, *mixed.problems]
    print(*problems[:40], sep="\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
