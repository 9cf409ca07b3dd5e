"""How far a text was read: a value that is replaced as a whole, so that an interrupt finds one place or the next.

Between two places lies one step: bytes are taken, ids are made of a unit, or a chunk is read. Knows bytes, text and ids;
nothing of files, and reads nothing with a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..griffin.state import State, whole
from ..system.decoding import Decoder, DecoderState, mended
from .units import MAX_UNIT, unit_end

SLICE = 16_384
"""Bytes that are taken at a time."""
MAX_BOOKMARK = 16_384
"""Characters of a bookmark as JSON."""


class Mark(NamedTuple):
    """Where a unit begins: how many tokens, line ends and bytes of UTF-8 are before it."""

    token: int
    line: int
    byte: int


@dataclass(frozen=True)
class Horizon:
    """What is exact and what is gist, for a question that is asked now.

    The question and its answer take their tokens from the window, too: while they come, as many of its oldest go.

    Attributes:
        exact: the last so many tokens are remembered to the letter.
        gist: so many before them are remembered in the recurrent layers' state only.
        line, byte: where the exact part begins, at the first unit of text (a line, mostly) that is all within it; lines
            from 1, bytes of the text in UTF-8 from 0.
        lines, bytes: line ends and bytes in all.
    """

    exact: int
    gist: int
    line: int
    byte: int
    lines: int
    bytes: int


@dataclass(frozen=True)
class Place:
    """A place in a text.

    Attributes:
        state: has read whole chunks; never advanced in place.
        unread: ids that follow them, fewer than a chunk when a call returns.
        mark: where those end.
        text: follows those, not known to be whole units yet.
        decoder: what it has of a character or a line end that is not complete.
        size: bytes of the input, all that was taken.
        marks: beginnings of units that may be within the exact window.
        replaced: characters that were no text, and are U+FFFD.
        bookmark: what whoever feeds the text has said of this place.
    """

    state: State
    unread: tuple[int, ...]
    mark: Mark
    text: str = ""
    decoder: DecoderState = ("", "", 0)
    size: int = 0
    marks: tuple[Mark, ...] = ()
    replaced: int = 0
    bookmark: Any = None

    @property
    def tokens(self) -> int:
        """Tokens that are read, or known and wait."""
        return self.state.position + len(self.unread)

    @property
    def lines(self) -> int:
        """Line ends that were taken."""
        return self.mark.line + self.text.count("\n")

    def taken(self, data: bytes, bookmark: Any = None) -> Place:
        """With some bytes more."""
        decoder = Decoder(self.decoder)
        text, wrong = mended(decoder.feed(data))
        return replace(
            self,
            text=self.text + text,
            decoder=decoder.state,
            size=self.size + len(data),
            replaced=self.replaced + wrong,
            bookmark=self.bookmark if bookmark is None else bookmark,
        )

    def ended(self) -> Place:
        """With the end of an input: its last line is whole, and the next may be in another encoding."""
        text, wrong = mended(Decoder(self.decoder).feed(b"", final=True))
        text = self.text + text
        if text and not text.endswith("\n"):
            text += "\n"
        return replace(self, text=text, decoder=("", "", 0), replaced=self.replaced + wrong)

    def tokenized(self, encode: Callable[[str], list[int]], most: int, window: int, *, final: bool = False) -> Place:
        """With ids of the next units, until so many are unread or no other unit is known.

        Args:
            window: tokens of the exact window.
            final: what is left of the text is a unit, too.
        """
        ids, at, mark, marks = list(self.unread), 0, self.mark, list(self.marks)
        apart = max(1, min(16, window // 64))  # tokens between two marks: there are a few hundred at most
        while len(ids) < most and (end := unit_end(self.text, at, final=final)) is not None:
            unit = self.text[at:end]
            mark = mark._replace(token=self.state.position + len(ids))
            if not marks or mark.token - marks[-1].token >= apart:
                marks.append(mark)
            ids += encode(unit)
            mark = Mark(self.state.position + len(ids), mark.line + unit.count("\n"), mark.byte + len(unit.encode()))
            at = end
        kept = tuple(one for one in marks if one.token >= mark.token - window)
        return replace(self, unread=tuple(ids), text=self.text[at:], mark=mark, marks=kept)

    def read(self, state: State, count: int) -> Place:
        """With so many of the ids read by a state."""
        return replace(self, state=state, unread=self.unread[count:])

    def horizon(self, window: int) -> Horizon:
        """What is exact here, and what is gist; of a place whose text has ids."""
        gist = max(0, self.tokens - window)
        begin = self.marks[0] if self.marks else self.mark
        return Horizon(self.tokens - gist, gist, begin.line + 1, begin.byte, self.mark.line, self.mark.byte)

    # --- in a file ------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """All but the state."""
        return {
            "unread": list(self.unread),
            "text": self.text,
            "decoder": list(self.decoder),
            "bytes": self.size,
            "mark": list(self.mark),
            "marks": [list(one) for one in self.marks],
            "replaced": self.replaced,
            "bookmark": self.bookmark,
        }

    @classmethod
    def from_json(cls, data: Any, state: State) -> Place:
        """What `to_json` gave. Raises ValueError, KeyError, TypeError: it is something else."""
        encoding, held, cr = data["decoder"]
        numbers, marks = [data["bytes"], data["replaced"], *data["mark"]], data["marks"]
        good = (
            state.batch_size == 1
            and whole(data["unread"], state.owner.config.vocab_size)
            and isinstance(data["text"], str)
            and len(data["text"]) <= MAX_UNIT + 2 * SLICE
            and whole(numbers, 2**63)
            and isinstance(marks, list)
            and all(whole(one, 2**63) for one in marks)
        )
        if not good:
            raise ValueError
        decoder = (encoding, held, cr)
        Decoder(decoder)
        return cls(
            state,
            tuple(data["unread"]),
            Mark(*data["mark"]),
            data["text"],
            decoder,
            data["bytes"],
            tuple(Mark(*one) for one in marks),
            data["replaced"],
            data["bookmark"],
        )
