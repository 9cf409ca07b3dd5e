"""Words that can be foreseen: what followed the last few tokens when they stood in the text before.

    "Prompt lookup decoding": Saxena, 2023; the chunk that checks a draft is Leviathan et al., arXiv:2211.17192, section 2,
    but nothing is drawn by chance here: a token is foreseen if it is the one that would be drawn anyway.

Knows token ids only. Memory is bounded: of a longer text the last ids are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

SPAN = 3
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
            self.__init__(ids[-_KEPT:])  # type: ignore[misc]

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
    small share of all steps: where nothing can be foreseen, no more than that share is lost.
    """

    def __init__(self) -> None:
        self._gained, self._size = _START, 8

    def step(self) -> None:
        """A token was made by a step of its own."""
        self._gained = min(self._gained + _SHARE, _MOST)

    def size(self) -> int:
        """Tokens of the next chunk; 0 for no draft now."""
        return self._size if self._gained >= cost(self._size) - 1 else 0

    def chunk(self, size: int, tokens: int) -> None:
        """A chunk of so many tokens gave so many, one at least."""
        self._gained = min(self._gained + tokens - cost(size), _MOST)
        self._size = min(2 * size, _LONGEST) if tokens == size else 8


_SHARE = 0.02
_START, _MOST = 2.0, 16.0
_LONGEST = 32


def cost(size: int) -> float:
    """Of a chunk of so many tokens, in steps: `scripts/bench_draft.py` measures it."""
    return 2.2 + size / 24
