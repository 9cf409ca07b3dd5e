"""Lines of --plain, broken between words where the terminal ends; a pipe gets them whole."""

from __future__ import annotations

import fcntl
import random
import re
import struct
import termios
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from test_plain import rgchat, said, scripted, terminals

from tui.plain.wrapping import Wrapper

__all__ = ["terminals"]

LATIN = "The quick brown fox jumps over the lazy dog, and then it sleeps. "
CHINESE = "\u72d0\u72f8\u5728\u6797\u4e2d\u8df3\uff0c\u7136\u540e\u7761\u89c9\u3002\u300c\u597d\u300d\u5b83\u8bf4\u3002"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def wrapped(text: str, width: int, pieces: int = 0, seed: int = 0) -> str:
    """The text in lines, given all at once or in pieces cut anywhere."""
    wrapper, cuts = Wrapper(lambda: width), sorted(random.Random(seed).choices(range(len(text) + 1), k=pieces))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return "".join(map(wrapper.feed, parts)) + wrapper.finish()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("one two three four five", ["one two three four", "five"]),
        ("exactly nineteen ch", ["exactly nineteen ch"]),
        ("exactly nineteen chr", ["exactly nineteen", "chr"]),
        ("a  b", ["a  b"]),
        ("trailing blanks     \nnext", ["trailing blanks", "next"]),
        ("\n\n  indented\n\ttab", ["", "", "  indented", "\ttab"]),
        ("1234567 \tafter the tab", ["1234567", "after the tab"]),
        ("an_identifier_that_is_longer_than_a_line and more", ["an_identifier_that_is_longer_than_a_line", "and more"]),
        ("see an_identifier_that_is_longer_than_a_line", ["see", "an_identifier_that_is_longer_than_a_line"]),
        ("no\u00a0break\u00a0here and there", ["no\u00a0break\u00a0here and", "there"]),
        ("a" * 15 + " e\u0301e\u0301", ["a" * 15 + " e\u0301e\u0301"]),
        ("a" * 17 + FAMILY + FAMILY, ["a" * 17 + FAMILY, FAMILY]),
        ("\u72d0" * 8 + "\u72d0\u3002\u72d0", ["\u72d0" * 8, "\u72d0\u3002\u72d0"]),  # no line begins with a full stop
        ("\u72d0" * 8 + "\u300c\u597d\u300d", ["\u72d0" * 8, "\u300c\u597d\u300d"]),
    ],
)
def test_where_lines_end(text: str, lines: list[str]) -> None:
    assert wrapped(text, 20).split("\n") == lines
    for seed in range(20):
        assert wrapped(text, 20, 5, seed).split("\n") == lines


@pytest.mark.parametrize("width", [10, 11, 20, 40, 79, 80, 200])
@pytest.mark.parametrize("seed", range(4))
def test_no_line_is_too_long_and_no_word_is_lost(width: int, seed: int) -> None:
    rng = random.Random(seed)
    words = [*LATIN.split(), *CHINESE, "\n", "  ", "caf\u00e9", "\U0001f98a", "x" * 9]
    text = "".join(rng.choice(words) + rng.choice(["", " ", " ", "\n"]) for _ in range(400))
    text = re.sub(r"\S{9,}", lambda m: m[0][:8] + " ", text)  # no word is longer than a line
    out = wrapped(text, width)
    assert "".join(out.split()) == "".join(text.split())
    for line in out.split("\n"):
        assert cell_len(line) < width or len(line.split()) == 1, line
    assert all(wrapped(text, width, pieces, seed) == out for pieces in (1, 50, 1000))


def test_a_terminal_that_does_not_tell_its_width_gets_lines_as_they_are() -> None:
    for width in (0, 1, 9):
        assert wrapped(LATIN * 3, width, 10) == LATIN * 3


def test_a_word_is_held_back_until_it_ends_and_no_longer() -> None:
    wrapper = Wrapper(lambda: 40)
    given = [wrapper.feed(piece) for piece in ("Ass", "istant: ", "a f", "ox", " ran", "\n", "x")]
    assert given == ["", "Assistant:", " a", "", " fox", " ran\n", ""]
    assert wrapper.finish() == "x"


def test_a_real_terminal_is_wrapped_at_its_width_now(tmp_path: Path, terminals: Any) -> None:
    def size(columns: int) -> None:
        fcntl.ioctl(chat._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    chat = terminals(*scripted(tmp_path, [*re.findall(r"\w+|\W+", LATIN)] * 2))
    size(40)
    chat.wait("You: ")
    for columns in (40, 60):
        size(columns)
        chat.send("hello\n")
        chat.wait("Assistant: ")
        shown = "Assistant: " + chat.wait("\n\nYou: ")
        lines = shown.split("\n")
        assert " ".join(lines) == f"Assistant: {LATIN * 2}".rstrip() and len(lines) > 2
        assert all(columns - 10 < len(line) < columns for line in lines[:-1])
    chat.send("/quit\n")
    assert chat.end() == 0
    assert said(tmp_path)[1].text == LATIN * 2  # what is kept has its lines as they were written


def test_a_pipe_is_not_wrapped(tmp_path: Path) -> None:
    out = rgchat(tmp_path, "/system " + LATIN * 4 + "\n").stdout
    assert f"System text: {(LATIN * 4).strip()}\n" in out
