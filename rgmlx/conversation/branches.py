"""The branches of a conversation as lines from top to bottom, each with how far in it stands.

Knows the outline of a conversation, and not how it is shown. A line of messages that follow one another is not
indented, however long: only what branches off it is, above the message that the line goes on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..store import Outline


@dataclass(frozen=True)
class Row:
    """A line of the tree.

    Attributes:
        level: how many branches it is in.
        first: whether a branch begins with it.
        hidden: whether messages that follow it were not read.
        head: whether the conversation stands here.
    """

    line: Outline
    level: int
    first: bool
    hidden: bool
    head: bool


def arrange(outline: Sequence[Outline], head: int | None) -> list[Row]:
    """Lines of the tree from top to bottom.

    At each fork one message goes on with the line: that towards the head, else one that others follow, else the
    newest. Its siblings stand above it, each with all that follows it, one level further in.
    """
    read = {line.id for line in outline}
    groups: dict[int | None, list[Outline]] = {}
    for line in outline:  # parents come before children; the part that was read may begin in the middle
        groups.setdefault(line.parent if line.parent in read else None, []).append(line)
    rows: list[Row] = []
    todo: list[tuple[Outline, int, bool]] = []  # no recursion: a line may be thousands long

    def add(parent: int | None, level: int) -> None:
        if group := groups.get(parent):
            main = max(group, key=lambda line: (line.on_path, line.id in groups, line.id))
            todo.append((main, level, False))
            todo.extend((line, level + 1, True) for line in reversed(group) if line is not main)

    add(None, 0)
    while todo:
        line, level, first = todo.pop()
        hidden = line.children > len(groups.get(line.id, ()))
        rows.append(Row(line, level, first, hidden, line.id == head))
        add(line.id, level)
    return rows
