"""For tests: a standard input of this process that is a real pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

Piped = Callable[..., int]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Piped]:
    """Gives the standard input a text, to its end or (`ends=False`) open for more; returns what writes to it."""
    opened: list[int] = []

    def give(data: bytes = b"", *, ends: bool = True) -> int:
        outlet, inlet = os.pipe()
        os.write(inlet, data)
        if ends:
            os.close(inlet)
        else:
            opened.append(inlet)
        monkeypatch.setattr(sys, "stdin", os.fdopen(outlet, "r"))
        return inlet

    yield give
    for one in opened:
        os.close(one)
