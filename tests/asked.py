"""For tests: `rgmlx ask` in this process, and a standard input of it that is a real pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rgmlx.model
from rgmlx.cli import main

Piped = Callable[..., int]
Ask = Callable[..., subprocess.CompletedProcess[str]]


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


@pytest.fixture
def ask(
    demo: rgmlx.Model, piped: Piped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ask:
    """The command in this process, with a model that is loaded already and an empty input."""
    loaded: list[str] = []

    def load(name: str) -> rgmlx.Model:
        loaded.append(name)
        return demo

    def ask(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[str]:
        piped(data)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["ask", "--data", str(tmp_path / "data"), *arguments])
        return subprocess.CompletedProcess(loaded, ended.value.code, *capsys.readouterr())

    monkeypatch.setattr(rgmlx.model, "load", load)
    return ask


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and not done.stdout and done.stderr.count("\n") == 1, done
    return str(done.stderr)
