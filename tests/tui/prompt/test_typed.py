"""What is typed is text, whichever way it comes and into whichever field; what is one character to its reader is one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from piped import rgchat
from ptys import Pty, ptys
from scripted import Scripted, idle, screen
from stores import texts
from textual.pilot import Pilot
from textual.widgets import Input, TextArea
from waiting import wait_until

from rgmlx.store import Store
from tui.app import ChatApp
from tui.prompt.drafts import Draft, Drafts
from tui.prompt.history import History
from tui.prompt.prompt import Prompt
from tui.screens.conversation_rows import Rows
from tui.screens.dialogs import AskText
from tui.terminal import typed
from tui.terminal.input import END, START, TerminalParser

__all__ = ["ptys"]

SIZE = (80, 24)
CHARACTERS = {
    "the wide space of input methods": "\u3000",
    "no-break space": "\u00a0",
    "narrow no-break space": "\u202f",
    "thin space": "\u2009",
    "zero width space": "\u200b",
    "non-joiner": "\u200c",
    "joiner": "\u200d",
    "left-to-right mark": "\u200e",
    "right-to-left mark": "\u200f",
    "Arabic letter mark": "\u061c",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "word joiner": "\u2060",
    "filler": "\u3164",
    "variation selector": "\ufe0f",
    "accent": "\u0301",
    "tag": "\U000e0067",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "private use": "\ue000",
    "newer than Python's tables": "\U0001fae9",
    "never assigned": "\U000e0fff",
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "Persian": "می\u200cخواهم",
    "replacement": "\ufffd",
}
CONTROLS = [chr(code) for code in range(0x80, 0xA0)]
"""Those of which no key is made."""


# --- a table of characters and ways of entry ----------------------------------------------------


@dataclass
class Chat:
    """A chat, and what one does to it."""

    app: ChatApp
    pilot: Pilot[None]

    @property
    def prompt(self) -> Prompt:
        return self.app.query_one(Prompt)

    @property
    def line(self) -> Input:
        return self.app.screen.query_one(Input)

    async def type(self, text: str) -> None:
        """As the terminal's bytes."""
        for event in TerminalParser().feed(text):
            self.app.post_message(event)
        await self.pilot.pause()

    async def paste(self, text: str) -> None:
        await self.type(f"{START}{text}{END}")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


@asynccontextmanager
async def chat(data: Path, past: tuple[str, ...] = ("one", "1")) -> AsyncIterator[Chat]:
    session = Scripted(data, ["ok"], past=past)
    app = ChatApp(session, history=History(data / "history.jsonl"), drafts=Drafts(data / "drafts"))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        yield Chat(app, pilot)
    session.store.close()


Way = Callable[[Chat, str], Awaitable[str]]
"""Has a text come in at an empty place; what is there then."""


async def _typed(one: Chat, text: str) -> str:
    one.prompt.load_text("")
    await one.type(text)
    return one.prompt.text


async def _pasted(one: Chat, text: str) -> str:
    one.prompt.load_text("")
    await one.paste(text)
    return one.prompt.text


async def _typed_elsewhere(one: Chat, text: str) -> str:
    one.prompt.load_text("")
    one.app.transcript.focus()
    await one.type(text)
    return one.prompt.text


async def _gone_back_to(one: Chat, text: str) -> str:
    one.prompt.load_text("")
    assert one.app.history is not None
    one.app.history.add(text)
    await one.press("up")
    return one.prompt.text


async def _edited(one: Chat, text: str) -> str:
    one.prompt.load_text("")
    one.app.begin_edit(text, None)
    return one.prompt.text


async def _left_as_a_draft(one: Chat, text: str) -> str:
    row = one.app.session.conversation
    one.app.drafts.write(row, Draft(text), one.app.drafts.ticket())
    one.app.restore_draft()
    return one.prompt.text


def on_a_screen(*keys: str, last: str = "") -> Way:
    """Typed into the line of a screen that keys open, or pasted into it."""

    async def way(one: Chat, text: str) -> str:
        if len(one.app.screen_stack) == 1:
            await one.press(*keys)
            await wait_until(lambda: len(one.app.screen_stack) > 1 and one.app.screen.query(Input))
            await one.pilot.pause()
        one.line.value = ""
        if last == "list":
            one.app.screen.query_one(Rows).focus()
        else:
            one.line.focus()
        await (one.paste(text) if last == "paste" else one.type(text))
        return one.line.value

    return way


async def _renamed(one: Chat, text: str) -> str:
    """What stands in the line at first."""
    one.app.push_screen(AskText("A title", text))
    await wait_until(lambda: isinstance(one.app.screen, AskText) and one.app.screen.query(Input))
    await one.pilot.pause()
    value = one.line.value
    await one.press("escape")
    return value


async def _as_the_system_text(one: Chat, text: str) -> str:
    if len(one.app.screen_stack) == 1:
        await one.app.actions.run("settings", "")
        await wait_until(lambda: len(one.app.screen_stack) > 1 and one.app.screen.query(TextArea))
        await one.pilot.pause()
    area = one.app.screen.query_one(TextArea)
    area.read_only = False
    area.focus()
    area.load_text("")
    await one.type(text)
    return area.text


FIELDS: dict[str, Way] = {
    "typed": _typed,
    "pasted": _pasted,
    "typed while the transcript has the keys": _typed_elsewhere,
    "gone back to": _gone_back_to,
    "edited": _edited,
    "left as a draft": _left_as_a_draft,
    "the system text": _as_the_system_text,
}
LINES: dict[str, Way] = {
    "searched for": on_a_screen("ctrl+o"),
    "searched for from the list": on_a_screen("ctrl+o", last="list"),
    "pasted into the search": on_a_screen("ctrl+o", last="paste"),
    "searched for in the history": on_a_screen("ctrl+s"),
    "the palette": on_a_screen("ctrl+p"),
    "a title": _renamed,
}


@pytest.mark.parametrize("way", FIELDS)
async def test_every_character_comes_into_a_text(way: str, tmp_path: Path) -> None:
    """1: also alone, at the start and at the end; a separator of lines is a line break, as in any editor."""
    async with chat(tmp_path) as one:
        for name, character in CHARACTERS.items():
            for text in (f"a{character}b", f"{character}b", f"a{character}"):
                expected = text.replace("\u2028", "\n").replace("\u2029", "\n")
                assert ascii(await FIELDS[way](one, text)) == ascii(expected), name
            assert not typed.HARM.search("".join(screen(one.app))), name


@pytest.mark.parametrize("way", LINES)
async def test_every_character_comes_into_a_line(way: str, tmp_path: Path) -> None:
    """1: a separator of lines is a space there."""
    async with chat(tmp_path) as one:
        for name, character in CHARACTERS.items():
            text = expected = f"a{character}b"
            if way != "the palette":  # that is Textual's own
                expected = text.replace("\u2028", " ").replace("\u2029", " ")
            assert ascii(await LINES[way](one, text)) == ascii(expected), name
            assert way == "the palette" or not typed.HARM.search("".join(screen(one.app))), name


async def test_a_paste_of_many_lines_is_one_in_a_line(tmp_path: Path) -> None:
    """1: Textual takes the first of them and drops the others."""
    async with chat(tmp_path) as one:
        for way in ("pasted into the search", "searched for from the list"):
            await LINES[way](one, "")
            await one.paste("one\r\ntwo\u2028three\n")
            assert one.line.value.split() == ["one", "two", "three"]
            one.line.value = ""


@pytest.mark.parametrize("way", ["typed", "typed while the transcript has the keys", "the system text", "searched for"])
async def test_a_control_is_no_text(way: str, tmp_path: Path) -> None:
    """1: nor is half a pair, nor a key that has no text and a name that is not known."""
    async with chat(tmp_path) as one:
        for control in [*CONTROLS, "\x1b[0;;55357u", "\x1b[57480u", "\x1b[57480;1u", "\x1b[63743;5u"]:
            assert ascii(await (FIELDS | LINES)[way](one, f"a{control}b")) == "'ab'", ascii(control)
        assert await (FIELDS | LINES)[way](one, "a\x1b[57600;;57600ub") == "a\ue100b"  # private use, as its text


def test_every_character_is_sent_from_a_terminal(ptys: type[Pty], tmp_path: Path) -> None:
    """1: through the whole program, as bytes; and what is sent is there to be gone back to."""
    data = tmp_path / "data"
    with Store(data):
        pass  # no guide
    text = "".join(f"a{character}" for character in CHARACTERS.values())
    chat = ptys(sys.executable, "-m", "tui", "--data", str(data), "--max-tokens", "1")
    chat.wait(" MB, always")
    chat.send(f"{text}\r")
    chat.wait("cut short")
    chat.send("\x11")
    assert chat.end() == 0
    expected = text.replace("\u2028", "\n").replace("\u2029", "\n")
    assert ascii(_asked(data)[0]) == ascii(expected)
    assert ascii(History(data / "history.jsonl").entries) == ascii((expected,))


def _lines() -> list[str]:
    """All characters, some in a line: an answer to each would take a minute."""
    between = [f"a{character}b" for character in CHARACTERS.values()]
    return ["".join(between[start::6]) for start in range(6)]


def test_every_character_is_sent_from_a_plain_terminal(ptys: type[Pty], tmp_path: Path) -> None:
    """1: one after the other, as typed; and the arrow up brings it back, but for what would be obeyed."""
    data = tmp_path / "data"
    sent = _lines()
    chat = ptys(sys.executable, "-m", "tui", "--plain", "--data", str(data), "--max-tokens", "1")
    chat.wait("You: ")
    for text in (*sent, "a\u202eb"):
        chat.send(f"{text}\r")
        chat.wait("/continue goes on")
        chat.wait("You: ")
        chat.send("\x1b[A\r")
        chat.wait("/continue goes on")
        chat.wait("You: ")
    chat.send("\x04")
    assert chat.end() == 0
    assert ascii(_asked(data)) == ascii([*(text for text in sent for _ in range(2)), "a\u202eb", sent[-1]])


def test_every_character_is_sent_through_a_pipe(tmp_path: Path) -> None:
    sent = _lines()
    done = rgchat(tmp_path, "\n".join(sent), "--data", str(tmp_path / "data"), "--max-tokens", "1")
    assert done.returncode == 0
    assert ascii(_asked(tmp_path / "data")) == ascii(sent)


def _asked(data: Path) -> list[str]:
    with Store(data) as store:
        return texts(store, store.conversations.listed()[0].head)[::2]


# --- what is one character to its reader --------------------------------------------------------

CLUSTERS = {
    "letter": "a",
    "accents": "e\u0301\u0323",
    "flag": "🇩🇪",
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "skin": "👍🏽",
    "heart": "❤\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "Hangul": "\u1112\u1161\u11ab",
    "Devanagari": "क्षि",
    "Thai": "ก็",
    "Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "wide": "漢",
}
SOME = list(CLUSTERS.values())


def test_where_a_character_begins_and_ends() -> None:
    for name, cluster in CLUSTERS.items():
        assert typed.last(f"x{cluster}") == typed.first(f"{cluster}x") == len(cluster), name
        for column in range(len(cluster)):
            assert typed.begin(f"x{cluster}y", 1 + column) == 1, name
        assert typed.begin(f"x{cluster}y", 1 + len(cluster)) == 1 + len(cluster)
    assert (typed.last(""), typed.first(""), typed.begin("", 0)) == (0, 0, 0)
    assert typed.last("🇩🇪🇫🇷🇬🇧") == typed.first("🇩🇪🇫🇷🇬🇧") == 2


@pytest.mark.parametrize("where", ["prompt", "line"])
async def test_keys_go_by_what_is_one_character(where: str, tmp_path: Path) -> None:
    """13e: left and right, with and without Shift, backspace and Del."""
    async with chat(tmp_path) as one:
        field: Prompt | Input = one.prompt
        if where == "line":
            await on_a_screen("ctrl+o")(one, "")
            field = one.line

        def put(text: str, at: int) -> None:
            if isinstance(field, Prompt):
                field.load_text(text)
                field.move_cursor((0, at))
            else:
                field.value, field.cursor_position = text, at

        def state() -> tuple[str, int, str]:
            if isinstance(field, Prompt):
                return field.text, field.cursor_location[1], field.selected_text
            return field.value, field.cursor_position, field.selected_text

        for name, cluster in CLUSTERS.items():
            text, size = f"x{cluster}y", len(cluster)
            for key, at, expected in (
                ("left", size + 1, (text, 1, "")),
                ("right", 1, (text, size + 1, "")),
                ("shift+left", size + 1, (text, 1, cluster)),
                ("shift+right", 1, (text, size + 1, cluster)),
                ("backspace", size + 1, ("xy", 1, "")),
                ("delete", 1, ("xy", 1, "")),
            ):
                put(text, at)
                await one.press(key)
                assert state() == expected, (name, key)
        whole = "".join(SOME)
        put(whole, len(whole))
        for number in range(len(SOME), 0, -1):
            assert state()[0] == "".join(SOME[:number])
            await one.press("backspace")
        assert state() == ("", 0, "")


async def test_a_character_is_typed_piece_by_piece_before_another(tmp_path: Path) -> None:
    """13e: what has become one with what follows is not one yet to who types it."""
    async with chat(tmp_path) as one:
        for new, old in (("👨\u200d👩", "👧"), ("🇩🇪", "🇫🇷")):
            one.prompt.load_text(old)
            one.prompt.move_cursor((0, 0))
            await one.type(new)
            assert one.prompt.text == f"{new}{old}"
            await one.press("backspace")
            assert one.prompt.text == old


async def test_the_cursor_is_never_taken_into_a_character(tmp_path: Path) -> None:
    """13e: not from another line, by a word or by the mouse."""
    async with chat(tmp_path) as one:
        family = CLUSTERS["family"]
        one.prompt.load_text(f"{family}x\nabc\ncafe\u0301s a")
        for column in range(4):
            one.prompt.move_cursor((1, column))
            await one.press("up")
            assert one.prompt.cursor_location[1] in (0, len(family), len(family) + 1)
        for at, key, columns in (
            (0, "ctrl+right", (5,)),
            (5, "ctrl+right", (6, 7)),
            (5, "ctrl+left", (3,)),
            (3, "ctrl+left", (0,)),
        ):
            one.prompt.move_cursor((2, at))
            await one.press(key)
            assert one.prompt.cursor_location[1] in columns
        await one.pilot.click(Prompt, offset=(4, 1))
        assert one.prompt.cursor_location[1] in (0, len(family), len(family) + 1)
        await on_a_screen("ctrl+o")(one, "")
        one.line.value = f"{family}xy"
        places = []
        for cell in range(6):
            await one.pilot.click(one.line, offset=one.line.content_region.offset - one.line.region.offset + (cell, 0))
            places.append(one.line.cursor_position)
        assert places == [0, 0, len(family), len(family) + 1, len(family) + 2, len(family) + 2]
