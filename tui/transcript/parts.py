"""Cuts a message into parts of bounded size, each of which can be drawn alone.

Knows lines of Markdown as far as it takes to cut well: blank lines, fences, tables. Nothing here knows of widgets.
A cut only ever looks at what came before it and the beginning of the line after it: what has been shown never moves
to the next part, and a text that comes in pieces is cut where the whole would be.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from rgmlx.system.printable import joins

PART_CHARS = 2_000
"""A new part begins at the next boundary between blocks once the open one holds this many characters ..."""
PART_LINES = 40
"""... or this many lines. An item of a list, which takes three widgets, counts as three, code as a quarter of one."""
KEPT_CHARS = 500_000
"""Of one message this much of its end is kept; what was before has left the screen long ago."""

LIVE_CHARS = 200_000
"""The same while it is being written; afterwards the store has it."""

FENCE = re.compile(r"(?:[ \t]|>|[-*+] |\d{1,9}[.)] ){0,12}(`{3,}|~{3,})([^\n]*)")
"""A line that opens a block of code, with its mark and what stands behind that."""
_LIST_SIGNS = re.compile(r"[^>\s]")
_ITEM = re.compile(r"[ \t>]*([-*+]|\d{1,9}[.)])[ \t]")
_NEXT_ITEM = re.compile(r"([-*+]|(?!1[.)])\d{1,9}[.)])[ \t]")  # where all are numbered 1, a new part would count anew
_DELIMITER = re.compile(r"[ \t>]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_SLACK = 100  # characters in which a space is looked for where a line must be cut
_HARD = 2 * PART_CHARS
_BITE = 4_096  # what is left after a cut is copied: not ten megabytes for each


def continues(part: str) -> bool:
    """Whether the block that a closed part ends with goes on in the next one: a list, code, a long line."""
    return not part.endswith("\n\n")


def closes(line: str, fence: str) -> bool:
    """Whether a line ends the block of code that was opened by this mark."""
    mark = line.strip(" \t>")
    return len(mark) >= len(fence) and not mark.strip(fence[0])


class Splitter:
    """The open part of a growing message; gives back each part as it is closed."""

    def __init__(self, markdown: bool = True) -> None:
        self.open = ""
        """The part that is still growing, as it should be shown."""
        self.in_code = False
        """Whether the part that was closed last ends within a block of code, which goes on in the next."""
        self._markdown = markdown
        self._restart()

    def feed(self, text: str) -> Iterator[str]:
        """Takes more text; gives each part as it closes it. All of them have to be taken."""
        self.open += text
        while (cut := self._cut()) is not None:
            head, rest = self.open[:cut], self.open[cut:]
            self.in_code = bool(self._fence)
            if self._fence:
                head += ("" if head.endswith("\n") else "\n") + self._closer
                rest = self._opener + rest
            elif self._table:
                rest = self._table + rest
            self.open = rest
            self._restart()
            yield head

    def _restart(self) -> None:
        """What the lines so far say is read off the open part again: the opener put before it is one of them."""
        self._at = 0  # where the first line that was not looked at begins
        self._lines = 0.0
        self._blank = False
        self._fence, self._closer, self._opener = (
            "",
            "",
            "",
        )  # of an open fence: its mark, what closes it, what opens it
        self._table, self._last = "", ""

    def _cut(self) -> int | None:
        text = self.open
        while self._at < len(text):
            at = self._at
            if at and self._may_cut_before(at):
                return at
            end = text.find("\n", at)
            start = max(_HARD, at)
            if (len(text) if end < 0 else end) > start + _SLACK:
                return self._cut_inside(start)
            if end < 0:
                return None
            self._look(text[at:end])
            self._at = end + 1
        return None

    def _may_cut_before(self, at: int) -> bool:
        """Whether a new part may begin with the line that begins here; no, where more of it has to be seen first."""
        fill = max(at / PART_CHARS, self._lines / PART_LINES)
        if fill < 1:
            return False
        if not self._markdown:
            return True
        line = self.open[at : at + 80]
        whole = "\n" in line or len(line) == 80
        first = line.partition("\n")[0].strip()
        if not first and not whole:
            return False
        if self._fence:  # its end belongs to this part, and backticks may be the beginning of that
            return bool(first.strip(self._fence[0])) or (not first and fill >= 2)
        if self._blank and not line[0].isspace():
            return True
        if _NEXT_ITEM.match(line) and _ITEM.match(self._last):
            return True
        # Not where an indented block goes on, nor inside a paragraph, while that can be helped.
        return fill >= 2 or (fill >= 1.5 and not self._blank and bool(first))

    def _cut_inside(self, start: int) -> int:
        """Where a line that is too long is cut: after a space, else between two characters that do not combine."""
        text = self.open
        space = text.find(" ", start, start + _SLACK)
        if space >= 0:
            return space + 1
        end = cut = start + _SLACK
        while cut > start and (joins(text[cut]) or text[cut - 1] == "\u200d" or text[cut] in "\ufe0e\ufe0f"):
            cut -= 1
        return cut if cut > start else end

    def _look(self, line: str) -> None:
        """Takes a whole line to notice: fences, tables, blank lines."""
        self._lines += 0.25 if self._fence else 3 if _ITEM.match(line) else 1
        self._blank = not line.strip()
        if not self._markdown:
            return
        if self._fence:
            if closes(line, self._fence):
                self._fence = ""
        elif (match := FENCE.match(line)) and not (match[1][0] == "`" and "`" in match[2]):
            language = (match[2].split() or [""])[0][:40]
            # In a list it is indented; in the next part that is as far as a fence may be without one.
            before = _LIST_SIGNS.sub(" ", line[: match.start(1)])
            self._fence, self._closer = match[1][:20], before + match[1][:20]
            self._opener = f"{before if '>' in before else before.expandtabs()[:3]}{self._fence}{language}\n"
            self._table = ""
        elif self._blank:
            self._table = ""
        elif "|" in self._last and "-" in line and len(line) + len(self._last) < 500 and _DELIMITER.match(line):
            self._table = f"{self._last}\n{line}\n"
        self._last = line


class Parts:
    """The parts of one message, numbered from its beginning; the oldest are let go of beyond `keep` characters."""

    def __init__(self, text: str = "", markdown: bool = True, keep: int = KEPT_CHARS) -> None:
        self._keep = keep
        self._splitter = Splitter(markdown)
        self._closed: deque[str] = deque()
        self._cut_code: deque[bool] = deque()  # of each closed part, whether its code goes on in the next
        self._chars = 0
        self.first = 0
        """The number of the oldest part that is kept."""
        if text:
            self.feed(text)

    def feed(self, text: str) -> int:
        """Takes more text; returns how many parts it closed."""
        closed = 0
        for at in range(0, len(text), _BITE):
            for part in self._splitter.feed(text[at : at + _BITE]):
                self._closed.append(part)
                self._cut_code.append(self._splitter.in_code)
                self._chars += len(part)
                closed += 1
        while self._chars > self._keep:
            self._chars -= len(self._closed.popleft())
            self._cut_code.popleft()
            self.first += 1
        return closed

    def cuts_code(self, number: int) -> bool:
        """Whether a block of code that a part ends with goes on in the next one."""
        return 0 <= number - self.first < len(self._cut_code) and self._cut_code[number - self.first]

    @property
    def closed(self) -> int:
        """One more than the number of the last part that stays as it is."""
        return self.first + len(self._closed)

    @property
    def end(self) -> int:
        """One more than the number of the last part; an open part without text is none."""
        return self.first + len(self._closed) + bool(self._splitter.open)

    def __getitem__(self, number: int) -> str:
        index = number - self.first
        return self._closed[index] if index < len(self._closed) else self._splitter.open

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(self.first, self.end))
