"""What of a long text is shown at first: of code, and of what the user wrote or pasted, some lines and how many follow.

Knows lines and fences of Markdown; no widgets. A fold is made in the text that is drawn, so that what is folded takes no room
anywhere; the text itself is in the store. A fence that is folded, or could be, says so behind the language that it names.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .parts import FENCE, closes

LINES = 30
"""Lines of code, or of what the user wrote, from which on some are shown only."""
KEPT = 12
"""So many are."""
_KEPT_CHARS = 80 * KEPT  # where lines are long
_SIGN = "\ue0f0"  # a private character: nobody names a language so
_MARK = re.compile(f"{_SIGN}(\\d{{1,6}}):(\\d{{1,9}}):(\\d{{1,9}})")


@dataclass(frozen=True)
class Fold:
    """What a fence says of itself.

    Attributes:
        number: which of the fences of its message it is, from 0.
        lines, chars: that are not shown; 0 where it is open.
    """

    number: int
    lines: int
    chars: int = 0


def of_fence(info: str) -> tuple[str, Fold | None]:
    """The language that a fence names, and its fold where it is long."""
    words = info.split()
    found = next((match for word in words if (match := _MARK.fullmatch(word))), None)
    language = words[0] if words and not words[0].startswith(_SIGN) else ""
    return language, Fold(*map(int, found.groups())) if found else None


def hidden(part: str) -> int:
    """The characters that are not shown of the code in a part."""
    return sum(int(chars) for _, _, chars in _MARK.findall(part)) if _SIGN in part else 0


def more(lines: int) -> str:
    """What stands below what is folded."""
    return f"… {lines:,} more line{'s' * (lines != 1)}"


def fold_code(text: str, opened: Collection[int]) -> tuple[str, frozenset[int]]:
    """A text in Markdown with its long blocks of code folded, but for those opened; and the numbers of all that are long.

    A fence that is never closed is still being written, or was cut short: it stays as it is.
    """
    if text.count("\n") <= LINES or ("```" not in text and "~~~" not in text):
        return text, frozenset()
    lines = text.split("\n")
    out: list[str] = []
    long: set[int] = set()
    number, at = 0, 0
    while at < len(lines):
        match = FENCE.match(lines[at])
        if match is None or (match[1][0] == "`" and "`" in match[2]):
            out.append(lines[at])
            at += 1
            continue
        end = next((i for i in range(at + 1, len(lines)) if closes(lines[i], match[1])), len(lines))
        count = end - at - 1
        if count > LINES and end < len(lines):
            long.add(number)
            kept = count if number in opened else _kept(lines[at + 1 : end])
            chars = sum(map(len, lines[at + 1 + kept : end])) + count - kept
            out.append(f"{lines[at].rstrip()} {_SIGN}{number}:{count - kept}:{chars}")
            out += [*lines[at + 1 : at + 1 + kept], lines[end]]
        else:
            out += lines[at : end + 1]
        at, number = end + 1, number + 1
    return "\n".join(out), frozenset(long)


def fold_text(text: str) -> tuple[str, int]:
    """The beginning of a text that is long, and about how many lines it has beyond; the text and 0 where it is short."""
    total = _lines(text)
    if total <= LINES:
        return text, 0
    lines = text.split("\n")
    start = "\n".join(lines[: _kept(lines)])
    if len(start) > _KEPT_CHARS:
        cut = start.rfind(" ", _KEPT_CHARS // 2, _KEPT_CHARS)
        start = start[: cut if cut > 0 else _KEPT_CHARS]
    return start, max(1, total - _lines(start))


def open_fence(text: str) -> str:
    """What closes the fence that a text leaves open; "" for none."""
    fence = ""
    for line in text.split("\n"):
        match = FENCE.match(line)
        if fence:
            fence = "" if closes(line, fence) else fence
        elif match is not None and not (match[1][0] == "`" and "`" in match[2]):
            fence = match[1]
    return fence


def _kept(lines: list[str]) -> int:
    """How many of the first lines are shown: fewer where they are long, and one at least."""
    room = _KEPT_CHARS
    for count, line in enumerate(lines[:KEPT]):
        room -= len(line) + 1
        if room < 0:
            return max(1, count)
    return min(KEPT, len(lines))


def _lines(text: str) -> int:
    return sum(1 + len(line) // 80 for line in text.split("\n"))
