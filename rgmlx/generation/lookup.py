"""Words that can be foreseen: what followed the last few tokens when they stood in the text before.

    "Prompt lookup decoding": Saxena, 2023; the chunk that checks a draft is Leviathan et al., arXiv:2211.17192, section 2,
    but nothing is drawn by chance here: a token is foreseen if it is the one that would be drawn anyway.

Knows token ids only. Memory is bounded: of a longer text the last ids are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

SPAN = 2
"""Ids that have to be the same before a draft is made of what followed them; the first of a draft is looked at as well."""
_KEPT = 16_384


class Lookup:
    """The ids so far, and where each span of them was followed by something."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._ids: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        for one in ids:
            self.add(one)

    def add(self, token: int) -> None:
        """Takes the next id."""
        ids = self._ids
        if len(ids) >= SPAN:
            self._after[tuple(ids[-SPAN:])] = len(ids)
        ids.append(token)
        if len(ids) == 2 * _KEPT:
            kept, self._ids, self._after = ids[-_KEPT:], [], {}
            for one in kept:
                self.add(one)

    def draft(self, most: int) -> list[int]:
        """What may come next, at most so many ids; none where the last ones are new."""
        ids = self._ids
        start = self._after.get(tuple(ids[-SPAN:]))
        if start is None:
            return []
        found = ids[start : start + most]
        period = len(found)  # what was found ends here: it goes on as it began
        while len(found) < most:
            found.append(found[-period])
        return found


class Account:
    """Whether drafts pay: what they have gained so far, counted in decode steps.

    A draft that fails costs more than the step it stands for. That is paid out of what others have gained, and out of a
    small share of all steps: where nothing can be foreseen, no more than that share is lost. The first is made on credit,
    once the text has been seen to repeat itself.

    Attributes:
        size: tokens of the next chunk.
    """

    def __init__(self) -> None:
        self._gained, self.size = 0.0, _FIRST
        self._hits = 0  # tokens in a row that were foreseen, made in one way or the other

    def step(self, foreseen: bool) -> None:
        """A token was made by a step of its own, and might have been foreseen."""
        self._gained = min(self._gained + _SHARE, _MOST)
        self._hits = self._hits + 1 if foreseen else 0

    def pays(self) -> bool:
        """Whether a draft may be made now."""
        return self._gained >= cost(self.size) - 1 or (self._hits >= _SEEN and self._gained >= -_CREDIT)

    def chunk(self, size: int, tokens: int) -> None:
        """A chunk of so many tokens gave so many, one at least."""
        self._hits = self._hits + tokens if tokens == size else 0
        self._gained = min(self._gained + tokens - cost(size), _MOST)
        if tokens == size:
            self.size = min(2 * size, _LONGEST)
        elif tokens < _FEW:
            self.size = _SHORT


def cost(size: int) -> float:
    """Of a chunk of so many tokens, in steps: `scripts/bench_draft.py` measures it."""
    return 2.2 + size / 24


_SHARE = 0.02
_CREDIT, _MOST = 2.0, 16.0  # steps
_SEEN = 2
_SHORT, _FIRST, _LONGEST = 8, 16, 32  # tokens of a chunk
_FEW = 4
