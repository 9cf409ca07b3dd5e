"""What a terminal sends, and what becomes of it: pastes with anything in them, cut anywhere."""

from __future__ import annotations

import itertools
import json
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from ptys import Pty, doomed, ptys
from textual import events
from textual.message import Message

from tui.terminal import input as terminal_input
from tui.terminal.input import QUIET_TICKS, TerminalParser, clean

__all__ = ["ptys"]

Begin = Callable[..., Pty]
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
START, END = "\x1b[200~", "\x1b[201~"


def told(parsed: Iterable[Message]) -> list[str]:
    """What the app is told: keys by name, pastes by their text."""
    return [f"<{e.text}>" if isinstance(e, events.Paste) else getattr(e, "key", type(e).__name__) for e in parsed]


def fed(*pieces: bytes) -> list[str]:
    """What becomes of pieces that are read one after the other, with a tick after each, as the driver does it."""
    parser, decode = TerminalParser(), getincrementaldecoder("utf-8")("replace").decode
    found: list[str] = []
    for piece in pieces:
        found += told(parser.feed(text)) if (text := decode(piece)) else []
        found += told(parser.tick())
    return found


PASTES = [
    ("plain", "one\ntwo\tthree", "one\ntwo\tthree"),
    ("coloured", "BEGIN \x1b[31mred\x1b[0m\nsecond\nend", "BEGIN red\nsecond\nend"),
    ("keys", "log \x1b[1mBold\x1b[0m \x11 text\x07\x03\x1a\x7f\x00", "log Bold  text"),
    ("lines", "a\rb\r\nc", "a\rb\r\nc"),
    ("ends of lines and pages", "four\x0bfive\x0csix\x1b\x0cseven", "four\nfive\nsix\nseven"),
    ("arrows", "a\x1b[A\x1bOB\x1b[1;5Cb", "ab"),
    ("title", "a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1bP1$r\x1b\\d", "abcd"),
    ("unfinished", "a\x1b]0;title\nb\x1b[31", "a]0;title\nb[31"),
    ("a lone escape", "a\x1b", "a"),
    ("escapes", "\x1b\x1b\x1b[20\x1b[201", "[20[201"),
    ("a start", f"a{START}b", "ab"),
    ("focus and mouse", "a\x1b[I\x1b[O\x1b[<35;10;5Mb", "ab"),
    ("kitty", "a\x1b[113;5ub", "ab"),
    ("8 bits", "a\x9b31mb\x85c", "a31mbc"),
    ("a start of the end, and the end", "a\x1b[2", "a[2"),
    ("wide", "é漢🦊\x1b[0m\u200d", "é漢🦊\u200d"),
    ("nothing", "", ""),
]


@pytest.mark.parametrize(("pasted", "text"), [case[1:] for case in PASTES], ids=[case[0] for case in PASTES])
def test_a_paste_is_one_text_however_it_is_cut(pasted: str, text: str) -> None:
    """Fault 4: an ESC in it ends nothing, and what is before and behind it are keys; cut in two at any byte, or in all."""
    data = f"x{START}{pasted}{END}y\x1b[A".encode()
    expected = ["x", f"<{text}>", "y", "up"]
    assert fed(data) == expected
    for cut in range(len(data) + 1):
        assert fed(data[:cut], data[cut:]) == expected, data[:cut]
    assert fed(*(bytes([byte]) for byte in data)) == expected


def test_pastes_follow_each_other() -> None:
    """Fault 4: in one read."""
    assert fed(f"{START}\x1b[1ma{END}{START}b\x1b{END}\x11".encode()) == ["<a>", "<b>", "ctrl+q"]


def test_no_control_is_left_of_any_paste() -> None:
    """Fault 4: each control, alone and after ESC."""
    for code in [*range(0x20), *range(0x7F, 0xA0)]:
        for text in (f"a{chr(code)}b", f"a\x1b{chr(code)}b"):
            left = [c for c in clean(text) if c < " " or "\x7f" <= c <= "\x9f"]
            assert left == (["\n"] if chr(code) in "\x0b\x0c" else [chr(code)] if chr(code) in "\t\n\r" else [])


def test_a_paste_without_an_end_ends() -> None:
    """Fault 19: after a time without input; then keys are keys again, and an end that comes late is none."""
    parser = TerminalParser()
    assert told(parser.feed(f"{START}ab")) == []
    for _ in range(QUIET_TICKS):
        assert told(parser.tick()) == []
    assert told(parser.feed("c\x1b[20")) == []  # more of it: it goes on
    for _ in range(QUIET_TICKS):
        assert told(parser.tick()) == []
    assert told(parser.tick()) == ["<abc[20>"]
    assert told(parser.feed(f"\x11{END}x")) == ["ctrl+q", "x"]
    assert told(parser.feed(f"{START}d{END}")) == ["<d>"]


def test_a_start_that_never_comes_whole_is_keys() -> None:
    """Fault 19: nothing is held for ever."""
    parser = TerminalParser()
    found = told(parser.feed("\x1b[200"))
    parser._timeout_time = 0.0  # Textual's delay is over
    for _ in range(QUIET_TICKS + 1):
        found += told(parser.tick())
    assert found[-3:] == ["2", "0", "0"]
    assert told(parser.feed("~q")) == ["tilde", "q"]


def test_a_paste_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults 4 and 19: one that is too long is refused, not cut: it is told as longer than what the prompt takes."""
    monkeypatch.setattr(terminal_input, "MAX_KEPT", 10)
    parser = TerminalParser()
    assert told(parser.feed(f"{START}123456789\n{END}q")) == ["<123456789\n>", "q"]
    (event,) = parser.feed(START + "1234567\x1b[1m" * 1000 + END)
    assert isinstance(event, events.Paste)
    assert len(event.text) == 11
    for _ in range(1000):
        list(parser.feed(f"{'' if parser._paste else START}more"))
    assert parser._paste is not None and len(parser._paste.getvalue()) == 10
    assert told(parser.feed(f"{END}q"))[-1] == "q"


@pytest.mark.parametrize("sign", [chr(code) for code in range(0x20, 0x7F) if chr(code) not in "[NOPX]^_"] + ["é", "漢"])
def test_alt_with_a_sign_types_nothing(sign: str) -> None:
    """Fault 18: it is a key of its own, which has a binding or does nothing; what follows it is typed."""
    parser = TerminalParser()
    keys = list(parser.feed(f"\x1b{sign}"))
    if parser._timeout_time is not None:
        parser._timeout_time = 0.0  # Textual's delay is over
    keys += [*parser.tick(), *parser.feed("a")]
    assert all(isinstance(key, events.Key) for key in keys)
    *pressed, typed = (key for key in keys if isinstance(key, events.Key))
    assert typed.character == "a"
    assert len(pressed) == 1
    assert not pressed[0].is_printable
    assert pressed[0].key.startswith(("alt+", "ctrl+"))  # Alt+B and Alt+F go by words, as Ctrl+Left and Ctrl+Right do


@pytest.mark.parametrize(
    ("sequence", "key"),
    [
        *(
            (f"{start}{letter}", f"alt+{name}")
            for start in ("\x1b\x1b[", "\x1b\x1bO")
            for letter, name in ARROWS.items()
        ),
        ("\x1b\x1b[3~", "alt+delete"),
        ("\x1b\x1b[5~", "alt+pageup"),
        ("\x1b\x1b[H", "alt+home"),
        ("\x1b\x1bOF", "alt+end"),
        ("\x1b\x1bOP", "alt+f1"),
        ("\x1b\x1bOR", "alt+f3"),
        ("\x1b\x1b[15~", "alt+f5"),
        ("\x1b\x1b[1;2C", "alt+shift+right"),
        ("\x1b\x1b[1;5D", "alt+ctrl+left"),
        ("\x1b\x1b[3;5~", "alt+ctrl+delete"),
    ],
)
def test_a_key_with_option_is_one_with_alt(sequence: str, key: str) -> None:
    """iTerm2's default profile and macOS Terminal with Option as Meta: no Esc, which would stop a reply; cut anywhere."""
    data = f"x{sequence}y".encode()
    assert fed(data) == fed(*(bytes([byte]) for byte in data)) == ["x", key, "y"]
    for cut in range(len(data) + 1):
        assert fed(data[:cut], data[cut:]) == ["x", key, "y"]
    assert fed(2 * sequence.encode()) == [key, key]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        ("\x1b", ["escape"]),
        ("\x1b\x1b", ["escape", "escape"]),
        ("\x1b\x1b\x1b", ["escape", "escape", "escape"]),
        ("\x1b\x1b\x1b[A", ["escape", "alt+up"]),
        ("\x1b\x1b[", ["escape", "alt+left_square_bracket"]),
        ("\x1b\x1bO", ["escape", "alt+shift+o"]),
        ("\x1b\x1bx", ["escape", "alt+x"]),
        ("\x1b\x1b[I", ["escape", "AppFocus"]),
        ("\x1b\x1b[O", ["escape", "AppBlur"]),
        ("\x1b\x1b[<35;10;5M", ["escape", "MouseMove"]),
        ("\x1b\x1b[12;40R", ["escape", "CursorPosition"]),
        ("\x1b\x1b[27u", ["escape", "escape"]),
        (f"\x1b{START}p{END}", ["escape", "<p>"]),
    ],
)
def test_esc_before_anything_else_is_esc(data: str, keys: list[str]) -> None:
    """Alone, twice, and before what is no key: whole and cut anywhere."""
    for cut in range(len(data)):
        parser = TerminalParser()
        found = told(parser.feed(data[:cut])) if cut else []
        found += [*told(parser.tick()), *told(parser.feed(data[cut:]))]
        for _ in range(3):
            if parser._timeout_time is not None:
                parser._timeout_time = 0.0  # Textual's delay is over
            found += told(parser.tick())
        assert found == keys, cut
        assert told(parser.feed("q")) == ["q"]


UNITS = {
    **{
        f"control {code:02x}": ["\x1b", chr(code)]
        for code in [*range(0x20), *range(0x80, 0xA0)]
        if code not in (8, 9, 13, 27)
    },
    **{f"sign {chr(code)}": [f"\x1b{chr(code)}"] for code in range(0x20, 0x80)},
    **{f"control {code:02x} with Alt": [f"\x1b{chr(code)}"] for code in (8, 9, 13)},
    **{
        f"sequence {rest}": [f"\x1b{rest}"]
        for rest in ("é", "漢", "[A", "OA", "[1;5C", "[3~", "[27u", "[97;5u", "\x1b[A", "[I")
    },
    **{
        f"begun {rest}": [f"\x1b{rest}"]
        for rest in ("[1", "[1;", "[<35;1", "[?", "[M", "]0;x", "Pq", "Nq", "Oq", "_q", "^q")
    },
}
"""What begins with ESC, in the pieces that are pressed."""
TAILS = [[], ["\x1b"], ["\x1b", "\x1b"], ["\x1b[A"], ["\x1bd", "^"], ["\x1b", "\x14", "s"]]
TYPED_TAILS = [["s"], ["s", "\x1b", "\x1b"], ["\x14", "\x1b"], ["^", "\x1b[A"]]  # which would go on with a sequence


class Clock:
    """Textual's clock, which stands still until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("textual._parser.get_time", lambda: self.now)

    def pressed(self, *pieces: str, pauses: bool = False) -> list[tuple[str, str | None]]:
        """Keys and what they type, of pieces in quick succession or with pauses between them; a pause at the end."""
        parser, found = TerminalParser(), list[tuple[str, str | None]]()
        for number, piece in enumerate(pieces, 1):
            messages = [*parser.feed(piece), *parser.tick()]
            if pauses or number == len(pieces):
                for _ in range(3):
                    self.now += 1
                    messages += parser.tick()
            found += [(getattr(m, "key", type(m).__name__), getattr(m, "character", None)) for m in messages]
        return found


@pytest.mark.parametrize("begin", UNITS.values(), ids=UNITS)
def test_what_follows_quickly_is_what_follows_slowly(begin: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Esc and then Ctrl with a key are both; nothing types ^ but its key, however the bytes are cut."""
    clock = Clock(monkeypatch)
    goes_on = begin[0][1:2] in tuple("[NOPX]^_") and begin[0] != "\x1b[A"
    for tail in TAILS if goes_on else TAILS + TYPED_TAILS:
        keys = clock.pressed(*begin, *tail, pauses=True)
        data = "".join([*begin, *tail])
        assert ("circumflex_accent", "^") not in keys or "^" in tail
        assert clock.pressed(*data) == keys, tail
        for cut in range(1, len(data) + 1):
            assert clock.pressed(*filter(None, (data[:cut], data[cut:]))) == keys, (tail, cut)


def test_esc_control_letter_esc(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    keys = [("escape", "\x1b"), ("ctrl+t", "\x14"), ("s", "s"), ("escape", "\x1b"), ("escape", "\x1b")]
    assert clock.pressed("\x1b\x14s\x1b\x1b") == keys


def test_no_bytes_type_a_circumflex(monkeypatch: pytest.MonkeyPatch) -> None:
    """All short ones of what matters to a parser, also behind more than it takes for a sequence."""
    clock = Clock(monkeypatch)
    for begin in ("", f"\x1b[1{';' * 40}", f"\x1b]{'0' * 40}"):
        for rest in itertools.product("\x1b[O]1;<MA~us\x14\x7f", repeat=3):
            data = begin + "".join(rest)
            assert "^" not in [typed for _, typed in clock.pressed(data)], data


def test_keys_that_are_the_same_here() -> None:
    """A page with Shift is a page, which macOS Terminal sends; keys with Alt that come at once type nothing."""
    assert fed(b"\x1b[5;2~\x1b[6;2~\x1b[27;2;13~") == ["pageup", "pagedown", "shift+enter"]
    assert fed(b"\x1bd\x1bd\x1b[A\x1b.x") == ["alt+d", "alt+d", "up", "alt+full_stop", "x"]


def test_alt_and_words_in_a_terminal(ptys: Begin, tmp_path: Path) -> None:
    """Fault 18: Alt+X types no x; Ctrl+Delete and Alt+D delete the word behind the cursor."""
    pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    for keys in ("one two three four", "\x1bx", "\x1b.", "\x01", "\x1b[3;5~", "\x1bd", "\x05", "!"):
        pty.send(keys)
        end = time.monotonic() + 0.5  # an escape belongs to what comes at once
        while time.monotonic() < end:
            pty.read(0.1)
    pty.send("\x11")
    assert pty.end() == 0
    (file,) = (tmp_path / "data" / "drafts").glob("*.json")
    assert json.loads(file.read_text())["text"].split() == ["three", "four!"]


def test_a_coloured_paste_in_a_terminal(ptys: Begin, tmp_path: Path) -> None:
    """Fault 4: it stands in the prompt, nothing is sent, and no control in it leaves the chat."""
    pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    for piece in (START, "BEGIN \x1b[31mred\x1b", "[0m \x11 \x07\rsecond\r", "end\x1b[20", "1~ typed"):
        pty.send(piece)
    pty.wait("typed")
    pty.send("\x11")
    assert pty.end() == 0
    (file,) = (tmp_path / "data" / "drafts").glob("*.json")
    assert '"BEGIN red  \\nsecond\\nend typed"' in file.read_text()


def test_a_paste_without_an_end_in_a_terminal(ptys: Begin, tmp_path: Path) -> None:
    """Fault 19: what was pasted comes, and then Ctrl+Q leaves."""
    pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    pty.send(f"{START}cut off")
    pty.wait("cut off")
    pty.send("\x11")
    assert pty.end() == 0
