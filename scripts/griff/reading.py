"""The answers that are wrong, or that people must look at, as a file to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .questions import Row

MOST = 40
"""Of a row at most."""


def begin(file: Path | None, about: str) -> None:
    """The file's first lines."""
    if file is not None:
        file.write_text(f"# Answers to be read\n\n{about}\n", encoding="utf-8")


def add(file: Path | None, row: Row, records: Sequence[dict[str, Any]]) -> None:
    """The bad ones of a row."""
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in section(row, records))


def section(row: Row, records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Its bad answers by kinds, those of the kinds with most of them first."""
    bad = [one for one in records if not all(all(right) for right in one["right"].values())]
    of, wrong = Counter(one["kind"] for one in records), Counter(one["kind"] for one in bad)
    yield f"\n## {row.name}: {len(bad)} of {len(records)}"
    if not bad:
        return
    yield "\n" + ", ".join(f"{kind} {n} of {of[kind]}" for kind, n in wrong.most_common())
    bad.sort(key=lambda one: -wrong[one["kind"]])
    for one in bad[:MOST]:
        yield ""
        yield from shown(one)
    if len(bad) > MOST:
        yield f"\n({len(bad) - MOST} more are in the file of all answers)"


def shown(one: dict[str, Any]) -> Iterator[str]:
    """A conversation with the answers to its last message; what is right of them is said."""
    yield f"**{' · '.join(filter(None, (one['kind'], one['about'])))}**\n"
    for i, (user, model) in enumerate(one["turns"]):
        if one["left_out"] and i == len(one["turns"]) // 2:
            yield f"- ({one['left_out']} turns)"
        yield f"- {_line(user)} → {_line(model)}"
    yield f"- **{_line(one['message'])}**"
    for way, answer in one["answers"].items():
        at = list(one["answers"]).index(way)
        missed = [name for name, right in one["right"].items() if not right[at]]
        yield f"  - {way}, {'wrong' if missed else 'right'}: {_line(answer) or '(nothing)'}"
    yield f"  - written: {_line(one['written'])}"
    if one["wanted"]:
        yield f"  - wanted: {one['wanted']}"


def _line(text: str) -> str:
    return " ⏎ ".join(text.split("\n"))
