"""Where a text is cut: the ids of its units are those of the whole, in whatever pieces it comes, and little is held back."""

from __future__ import annotations

import random

import pytest

import rgmlx
from rgmlx.reading.units import MAX_UNIT, unit_end

TEXTS = {
    "lines": "one\ntwo\nthree\n",
    "no end": "one\ntwo",
    "blank lines": "a\n\n\nb\n\n\n\n\nc\n\n",
    "blank at first": "\n\n\nA text.\n",
    "indented": "def f(x):\n    return x\n\n\n  # \ttwo\n",
    "spaces": "  a   b    c \n \n  \nd",
    "control tokens": "<end_of_turn>\n<start_of_turn>user\n<bos>",
    "not ascii": "naïve 🦊🦊\nдва\n三\n\u00a0\u2028x\n",
    "a long line": "the fox went over the hill, 12 times; " * 400 + "\nend\n",
    "long lines": "".join("a word " * n + "\n" for n in (600, 10, 1_200, 585)),
    "many blank lines": "a" + "\n" * 300 + "b\n",
}
NOWHERE = {
    "no spaces": "ab1" * 5_000 + "\nend",
    "only blank lines": "\n" * 10_000 + "end",
    "emoji": "🦊" * 9_000,
    "spaces only": " " * 10_000 + "x",
}
"""Long lines without a place to cut them."""


def units(text: str, pieces: list[int], final: bool = True) -> list[str]:
    """The units of a text that comes in pieces of these lengths, again and again."""
    found, held, at, number = [], "", 0, 0
    while at < len(text):
        size = pieces[number % len(pieces)]
        held, at, number = held + text[at : at + size], at + size, number + 1
        while (end := unit_end(held)) is not None:
            found.append(held[:end])
            held = held[end:]
        assert len(held) <= MAX_UNIT
    while final and (end := unit_end(held, final=True)) is not None:
        found.append(held[:end])
        held = held[end:]
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_ids_of_units_are_those_of_the_whole(name: str, demo: rgmlx.Model) -> None:
    text, encode = TEXTS[name], demo.text_tokenizer().encode
    found = units(text, [len(text)])
    assert "".join(found) == text and max(map(len, found)) <= MAX_UNIT
    assert [i for unit in found for i in encode(unit)] == encode(text)


@pytest.mark.parametrize("name", NOWHERE)
def test_a_line_with_no_place_to_be_cut_costs_a_token_or_two_a_cut(name: str, demo: rgmlx.Model) -> None:
    text, tokenizer = NOWHERE[name], demo.text_tokenizer()
    found = units(text, [len(text)])
    ids = [i for unit in found for i in tokenizer.encode(unit)]
    assert tokenizer.decode(ids) == text
    assert len(ids) - len(tokenizer.encode(text)) <= 2 * len(text) / MAX_UNIT


@pytest.mark.parametrize("name", [*TEXTS, *NOWHERE])
def test_units_do_not_depend_on_the_pieces(name: str) -> None:
    text = (TEXTS | NOWHERE)[name]
    whole = units(text, [len(text)])
    chance = random.Random(name)
    for pieces in ([1] if len(text) < 2_000 else [97], [chance.randint(1, 50) for _ in range(99)], [5_000], [4_095, 2]):
        assert units(text, pieces) == whole


def test_a_line_is_whole_when_the_next_has_begun() -> None:
    assert units("one\ntwo\n", [8], final=False) == ["one\n"]
    assert units("one\n\n", [5], final=False) == []
    assert units("one\n\nt", [5], final=False) == ["one\n\n"]
