"""Text that is safe to show: what is replaced, what is left out, and what writing needs and keeps."""

from __future__ import annotations

import random
import unicodedata

import pytest

from rgmlx.system.printable import MAX_JOINED, MAX_MARKS, Cleaner, joins, printable

SHOWN = "\ufffd"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", f"{SHOWN}[31mred{SHOWN}[0m"),
        ("\x1b]0;title\x07", f"{SHOWN}]0;title{SHOWN}"),
        ("\x1b]8;;http://a\x1b\\x", f"{SHOWN}]8;;http://a{SHOWN}\\x"),
        ("\x9b31m\x90\x9d", f"{SHOWN}31m{SHOWN}{SHOWN}"),
        ("a\u202egnp.exe\u202c\u2066\u2069\u200e\u200f\u061c", f"a{SHOWN}gnp.exe" + SHOWN * 6),
        ("a\u2028b\u2029c\x85d\x0be\x0cf", SHOWN.join("abcdef")),
        ("p\u200bay\u00adpal\u2060\ufeff\u2063", "paypal"),
        ("a\u200db\u200cc\ufe0fd\ufe00", "abcd"),
        ("\ud800x\udfff", f"{SHOWN}x{SHOWN}"),
        ("hi" + "".join(chr(0xE0000 + ord(c)) for c in "do evil"), f"hi{SHOWN}"),
        ("\ufff9base\ufffaruby\ufffb", f"{SHOWN}base{SHOWN}ruby{SHOWN}"),
        ("\u3164\u115f\ufffe\uffff", SHOWN * 4),
        ("x" + "\u0301" * 100_000 + "y", "x" + "\u0301" * MAX_MARKS + "y"),
        ("\u4e00\ufe00\u4e00\ufe01\ufe01", "\u4e00\ufe00\u4e00\ufe01"),
        ("\u8fba\U000e0100\U000e0101", "\u8fba\U000e0100"),
        ("a\U000e0100", "a"),
    ],
)
def test_what_could_harm_is_shown_and_what_is_invisible_is_left_out(text: str, clean: str) -> None:
    assert printable(text) == clean
    assert printable(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Hello,\n\tna\u00efve caf\u00e9 e\u0301 \u00a0~",
        "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",  # a family
        "\u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3 \U0001f3f3\ufe0f\u200d\U0001f308",  # heart on fire, keycap, flag
        "\U0001f9d1\U0001f3fd\u200d\u2695\ufe0f \U0001f937\u200d\u2640\ufe0f",  # skin tone, signs
        "\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f",  # Scotland
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian with a non-joiner
        "\u0915\u094d\u200d\u0937 \u0915\u094d\u200c\u0937 \u0928\u092e\u0938\u094d\u0924\u0947",  # Hindi
        "\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48 \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u1ea1\u0323",  # Thai, Hebrew
        "\u0f66\u0f92\u0fb2\u0f74\u0f56 \u1019\u103c\u1014\u103a\u1019\u102c",  # Tibetan, Burmese
        "\u6f22\u5b57 \u304b\u3099 \ud55c\uae00 \u1826\u180b",
    ],
)
def test_what_writing_needs_stays(text: str) -> None:
    assert printable(text) == text


def test_every_format_and_control_character_is_named() -> None:
    """What Unicode calls a control or a format character is not shown, but for signs that can be seen."""
    seen = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for code in range(0x110000):
        char = chr(code)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in seen and char not in "\n\t":
            assert printable(char) in ("", SHOWN), hex(code)
            assert printable(f"a{char}b") in ("ab", f"a{SHOWN}b"), hex(code)


def test_no_cell_carries_more_than_it_may() -> None:
    chain = printable("\U0001f469\u200d" * 50_000)
    assert max(len(run) for run in chain.replace("\u200d", "").split("\U0001f469")) == 0
    width = 4 * MAX_JOINED
    assert all(chain[i : i + width].count("\u200d") <= MAX_JOINED for i in range(0, len(chain) - width, 7))
    for pile in ("\u0915" + "\u094d\u200d" * 1000, "\u0e01" + "\u0e48" * 1000, "x" + "\u20dd\ufe0f" * 1000):
        clean = printable(pile)
        assert sum(map(joins, clean)) <= MAX_MARKS


def test_a_megabyte_takes_no_time_that_shows() -> None:
    for text in ("x" * 10_000_000, "\u6f22" * 1_000_000, "\u0301" * 1_000_000, "\u202e" * 100_000):
        assert len(printable(text)) <= len(text)


def test_pieces_are_cleaned_as_the_whole() -> None:
    rng = random.Random(7)
    alphabet = [
        *"ab \n#*1",
        "\U0001f469",
        "\u200d",
        "\ufe0f",
        "\u0301",
        "\u0915",
        "\u094d",
        "\u200c",
        "\u202e",
        "\x1b",
        "\U000e0067",
        "\u4e00",
        "\u200b",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(alphabet, k=rng.randint(1, 40)))
        cleaner, out, at = Cleaner(), "", 0
        while at < len(text):
            step = rng.randint(1, 4)
            out += cleaner.feed(text[at : at + step])
            at += step
        out += cleaner.finish()
        assert not {"\x1b", "\u202e", "\u200b"} & set(out)
        height = tallest = 0
        for char in out:
            height = height + 1 if joins(char) else 0
            tallest = max(tallest, height)
        assert tallest <= MAX_MARKS
    for whole in ("\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f\u200d\U0001f525", "e\u0301\u0323x"):
        cleaner = Cleaner()
        assert "".join(cleaner.feed(c) for c in whole) + cleaner.finish() == whole
    cleaner = Cleaner()
    assert sum(len(cleaner.feed("\u0301" * 7)) for _ in range(1000)) <= MAX_MARKS
