"""Which token may come next: a compiled constraint, and where a row is in it. Knows token ids and bit masks; no text.

llguidance follows the grammar. A control token is never allowed, and an id that ends a run only where what was written so
far is whole: so a run that ends by itself has a result that parses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from ...errors import ConstraintError
from ...system.atomic import Undo

if TYPE_CHECKING:
    from llguidance import LLMatcher


class Constraint:
    """A grammar over token ids that something can be written in. Immutable: any number of runs share one.

    Attributes:
        size: ids in the vocabulary, padding included: the width of a mask.
    """

    def __init__(
        self,
        parser: LLMatcher,
        text: NDArray[np.uint8],
        stops: NDArray[np.uint8],
        size: int,
        what: str = "the constraint",
    ) -> None:
        """
        Args:
            parser: where nothing is written yet.
            text: bits of the ids that stand for text, uint8 [size / 8], the lowest bit first.
            stops: bits of the ids that end a run, likewise.
            what: what it was made of, for a sentence.

        Raises:
            ConstraintError: nothing can be written.
        """
        self._parser, self._text, self._stops, self.size, self.what = parser, text, stops, size, what
        self.matcher().allowed()

    def matcher(self) -> Matcher:
        """A matcher at the beginning."""
        return Matcher(self)


class Matcher:
    """Where one row is in its constraint. Memory grows with what was accepted, as that of the text does.

    Attributes:
        constraint: what it follows.
    """

    def __init__(self, constraint: Constraint) -> None:
        self.constraint = constraint
        self._ids: list[int] = []
        self._parser: LLMatcher | None = None  # None: to be made of the ids

    @property
    def ids(self) -> tuple[int, ...]:
        """What was accepted."""
        return tuple(self._ids)

    @property
    def done(self) -> bool:
        """Whether what was accepted is whole; more may be allowed all the same."""
        return self._followed().is_accepting()

    def allowed(self) -> NDArray[np.bool_]:
        """Which ids may come next, bool [size]. Raises ConstraintError: none, or the grammar is too much work."""
        parser, constraint = self._followed(), self.constraint
        bits = np.frombuffer(parser.compute_bitmask(), np.uint8)
        if parser.is_error():
            raise self._error(parser)
        bits = bits[: len(constraint._text)] & constraint._text  # llguidance has a word more at times
        if parser.is_accepting():
            bits |= constraint._stops
        if not bits.any():
            raise self._error(parser)
        return np.unpackbits(bits, count=constraint.size, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> None:
        """Goes on by a token that is allowed. Raises ConstraintError: it is not, or the grammar is too much work."""
        parser = self._followed()
        if not parser.consume_token(token):
            raise self._error(parser)
        self._ids.append(token)

    def undo(self) -> Undo:
        """What goes back to now."""
        count = len(self._ids)

        def undo() -> None:
            self._parser = None
            del self._ids[count:]

        return undo

    def _followed(self) -> LLMatcher:
        if self._parser is None:
            parser = self.constraint._parser.deep_copy()
            if not parser.consume_tokens(self._ids):
                raise self._error(parser)
            self._parser = parser
        return self._parser

    def _error(self, parser: LLMatcher) -> ConstraintError:
        if parser.stop_reason() in ("ParserTooComplex", "LexerTooComplex"):
            return ConstraintError(
                f"{self.constraint.what} is too much work to follow: make it simpler, and a grammar left-recursive where it "
                "is recursive (`many: many one | one`, or `one+`)"
            )
        if self._ids:
            return ConstraintError(
                f"{self.constraint.what} leads nowhere: after {len(self._ids)} tokens nothing may follow, and the result is "
                "not whole"
            )
        return ConstraintError(f"{self.constraint.what} contradicts itself: there is no text that fits")


def allowed_ids(rows: Sequence[Matcher | None], size: int) -> mx.array | None:
    """The masks of a batch, bool [B, size]: all ids for None. None where no row has a constraint.

    Raises:
        ConstraintError: a row's grammar leads nowhere, or is too much work.
    """
    if not any(rows):
        return None
    return mx.array(np.stack([np.ones(size, np.bool_) if row is None else row.allowed() for row in rows]))
