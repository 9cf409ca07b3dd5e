"""Text that is safe to show: nothing in it is obeyed, reordered, hidden or piled up by a terminal.

Knows Unicode, not terminals: what a character is decides, never which sequence it could be part of. What could do
harm is shown as U+FFFD; what is merely invisible (a soft hyphen, a byte order mark) is left out. What writing needs
stays: marks of real scripts, joiners between letters that join, variation selectors and joiners of emoji.
"""

from __future__ import annotations

import re
import unicodedata

MAX_MARKS = 8
"""Characters without a width that one cell may carry; the scripts of the world need five."""
MAX_JOINED = 10
"""Emoji that joiners may make one of; a family of four with skin tones needs seven."""

# Letters of scripts whose joiners change what is written: Hebrew to Myanmar, Khmer, Mongolian, and their extensions.
_JOINING = "\u0590-\u109f\u1780-\u18af\u1900-\u1aff\ua800-\uabff\U00010a00-\U00011fff"
_EMOJI = "\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SCOTLAND = "\U0001f3f4(?:{})\U000e007f".format(
    "|".join("".join(chr(0xE0000 + ord(c)) for c in name) for name in ("gbeng", "gbsct", "gbwls"))
)
_SUSPECT = re.compile(
    "|".join(
        (
            f"(?P<flag>{_SCOTLAND})",
            # Controls, separators that some take for the end of a line, bidirectional and deprecated controls,
            # surrogates, annotations, noncharacters, letters that look like nothing, format characters of notations.
            "(?P<harm>[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u115f\u1160\u17b4\u17b5\u200e\u200f\u2028-\u202e\u2066-\u206f"
            "\u3164\ud800-\udfff\uffa0\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff\U00013430-\U0001345f"
            "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]|[\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+)",
            # Invisible everywhere.
            "(?P<quiet>[\u00ad\u034f\u180e\u200b\u2060-\u2065\ufeff])",
            # Joiners between emoji, or after a letter that joins; selectors after what they select.
            f"(?P<joiner>(?<=[{_EMOJI}])\u200d(?=[{_EMOJI}\u2640\u2642]))",
            f"(?P<kept>(?<=[{_JOINING}])[\u200c\u200d](?![\u200c\u200d])|(?<=[0-9#*{_EMOJI}])(?<!\ufe0f)[\ufe0e\ufe0f]"
            "|(?<=[\u2190-\u2bff\u3000-\u9fff\uaa60-\uaa7f\uf900-\ufaff])[\ufe00-\ufe02]"
            "|(?<=[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"
            "|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f])",
            "(?P<stray>[\u200c\u200d\ufe00-\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef])",
        )
    )
)
# Where marks live; what of it is a mark is asked of unicodedata, in runs long enough to matter only.
_PILES = re.compile(
    f"[\u0300-\u036f\u0483-\u0489\u0590-\u1cff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff\u2cef-\u2cf1\u2de0-\u2dff"
    f"\u302a-\u302f\u3099\u309a\ua66f-\uabff\ufb1e\ufe00-\ufe0f\ufe20-\ufe2f\U000101fd-\U0001e94a"
    f"\U000e0100-\U000e01ef]{{{MAX_MARKS + 1},}}"
)
_HELD = re.compile("[\u200c\u200d\U0001f3f4\U000e0000-\U000e007f]{1,8}$")
CONTEXT = 48
"""Characters before a piece that can matter to what becomes of its first ones."""


def printable(text: str) -> str:
    """The text with what could harm shown as U+FFFD and what can't be seen left out."""
    if text.isascii():
        return _CONTROLS.sub("\ufffd", text)
    return _PILES.sub(_level, _SUSPECT.sub(_judge, text))


class Cleaner:
    """`printable` for a text that comes in pieces, where a sequence may begin in one and end in the next."""

    def __init__(self) -> None:
        self._before, self._held, self._marks = "", "", 0

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        text = self._held + piece
        held = _HELD.search(text, max(0, len(text) - 8))
        self._held = held.group() if held else ""
        return self._clean(text[: len(text) - len(self._held)])

    def finish(self) -> str:
        """What was held back for a next piece."""
        text, self._held = self._held, ""
        return self._clean(text)

    def _clean(self, text: str) -> str:
        if self._before.isascii() and text.isascii():
            clean = printable(text)
        else:
            before = printable(self._before)
            clean = printable(self._before + text)[len(before) :]
        if self._marks and not text.isascii():  # a pile that reaches further back than the context
            pile = _zero_width(clean)
            clean = clean[: min(pile, MAX_MARKS - self._marks)] + clean[pile:]
        if text:
            self._before = (self._before + text)[-CONTEXT:]
            run = _zero_width(clean[::-1][: MAX_MARKS + 1])
            self._marks = min(MAX_MARKS, run + (self._marks if run == len(clean) else 0))
        return clean


def first_line(error: Exception) -> str:
    """What another library's error says, cut to one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def joins(char: str) -> bool:
    """Whether the character has no cell of its own: it belongs to the one before it."""
    return unicodedata.category(char)[0] == "M" or char in "\u200c\u200d"


def _judge(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "joiner":
        start = match.start()
        return "" if match.string.count("\u200d", max(0, start - 4 * MAX_JOINED), start) >= MAX_JOINED else "\u200d"
    if kind in ("flag", "kept"):
        return match.group()
    return "\ufffd" if kind == "harm" else ""


def _level(match: re.Match[str]) -> str:
    """A run with no pile in it higher than `MAX_MARKS`."""
    kept, height = [], 0
    for char in match.group():
        height = height + 1 if joins(char) else 0
        if height <= MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _zero_width(text: str) -> int:
    """How many characters at the start of the text have no cell of their own."""
    return next((i for i, char in enumerate(text) if not joins(char)), len(text))
