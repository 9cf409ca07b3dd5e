"""Messages that were not found in a damaged file: which ones there must have been, and how many.

Knows what was found (`damaged_file`); reads and writes no file.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable

from .damaged_file import FoundMessage, FoundRows


class Losses:
    """What is known of lost messages.

    Attributes:
        by_conversation: numbers of the messages that were found, in order.
        heads: of conversations, those that were not found.
    """

    def __init__(self, found: FoundRows) -> None:
        self._found = found
        self.heads: dict[int, int] = {}
        self.by_conversation: dict[int, list[int]] = {}
        for number in sorted(found.messages):
            self.by_conversation.setdefault(found.messages[number].conversation, []).append(number)

    def missing(self, is_new: Callable[[int], bool]) -> dict[int, FoundMessage]:
        """Messages that are lost and that others follow, or that have pieces.

        Args:
            is_new: whether a conversation was not there before.
        """
        found, missing = self._found, dict[int, FoundMessage]()
        for number, known in sorted(found.messages.items()):
            self._add_above(number, known, missing)
        for number in found.pieces:
            if number not in found.messages and number in found.lost and number not in missing:
                missing[number] = found.lost[number]
                self._add_above(number, found.lost[number], missing)
        for conversation, head in self.heads.items():
            # It would look as if nobody had said a word.
            if is_new(conversation) and conversation not in self.by_conversation:
                missing.setdefault(head, FoundMessage(conversation, None, None))
        return missing

    def before(self, number: int, conversation: int) -> int | None:
        """The message of a conversation that was written before this one."""
        line = self.by_conversation.get(conversation, [])
        at = bisect.bisect_left(line, number)
        return line[at - 1] if at else None

    def count(self, missing: dict[int, FoundMessage]) -> tuple[int, int | None]:
        """How many messages are lost at least, and at most; None where that is not known."""
        found = self._found
        lost: dict[int, set[int]] = {}
        for number, known in (*found.lost.items(), *missing.items()):
            lost.setdefault(known.conversation, set()).add(number)
        for conversation, head in self.heads.items():
            lost.setdefault(conversation, set()).add(head)
        deep = {number: self._lost_above(number) for number in self.by_conversation}
        least = {number: max(len(lost.get(number, ())), deep.get(number, 0)) for number in {*lost, *deep}}
        count, numbers = sum(least.values()), set[int]().union(*lost.values())
        if found.indexed and numbers <= found.lost.keys() and count == len(numbers):
            return count, count
        # Some of these numbers may be of messages that were deleted.
        return count, None if found.largest_id is None else max(count, found.largest_id - len(found.messages))

    def _add_above(self, child: int, known: FoundMessage, missing: dict[int, FoundMessage]) -> None:
        while known.parent is not None and known.parent < child:
            lost = known.parent
            if lost in self._found.messages or lost in missing:
                return
            known = self._found.lost.get(lost) or FoundMessage(
                known.conversation, self.before(lost, known.conversation), None
            )
            missing[lost] = known
            child = lost

    def _lost_above(self, conversation: int) -> int:
        """How many levels of a conversation have no message any more, though one below them has a parent that is lost."""
        most, levels = 0, set[int]()
        for at, number in enumerate(self.by_conversation[conversation]):
            known = self._found.messages[number]
            orphan = known.parent is not None and known.parent not in self._found.messages
            if orphan:
                above = known.depth - sum(level < known.depth for level in levels)
                most = max(most, above if above < number - at else 0)  # no more than there were numbers for
            levels.add(known.depth)
        return most
