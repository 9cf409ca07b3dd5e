"""A macOS too old for its chip is told of as a model is loaded: once, in a sentence, wherever models are loaded. With stand-ins."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import mlx.core as mx
import pytest

import rgmlx
from rgmlx import mlx_lm
from rgmlx.conversation.session import Session
from rgmlx.errors import warnings_told
from rgmlx.store import Store
from rgmlx.system import memory
from rgmlx.system.macos import version
from rgmlx.verification import outdated

SENTENCE = "on an M5 or newer MLX needs macOS 26.2, and this is 26.1: results may be wrong, update it"


def be(monkeypatch: pytest.MonkeyPatch, chip: str, release: str, metal: bool = True) -> None:
    """Makes this process one on such a Mac, in which no model was loaded yet."""
    info = {"device_name": chip, "max_recommended_working_set_size": 10**10, "memory_size": 10**10}
    monkeypatch.setattr(mx, "device_info", lambda: info)
    monkeypatch.setattr(memory, "on_metal", lambda: metal)
    monkeypatch.setattr(memory, "of_gpu", lambda: 1e10)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), "arm64"))
    monkeypatch.setattr(outdated, "_is_checked", False)


def test_the_first_load_says_it_before_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "Apple M5 Pro", "26.1")
    told: list[str] = []
    build = rgmlx.weights.checkpoint.build
    monkeypatch.setattr(rgmlx.weights.checkpoint, "build", lambda *a: (told.append("built"), build(*a)))
    with warnings_told(told.append):
        rgmlx.load()
        rgmlx.load()
    assert told == [SENTENCE, "built", "built"]


def test_so_does_mlx_lm(monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, "Apple M5", "26.1")
    told: list[str] = []
    with warnings_told(told.append):
        mlx_lm.prepare(rgmlx.weights.hub.demo_directory())
        mlx_lm.prepare(rgmlx.weights.hub.demo_directory(), lazy=True)
    assert told == [SENTENCE]


def test_so_does_the_chat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    be(monkeypatch, "Apple M6", "26.0.1")
    with Store(tmp_path) as store:
        session = Session(store)
        session.load()
        session.close()
        assert [n for n in session.notices if "needs macOS 26.2, and this is 26.0.1" in n] == session.notices != []


@pytest.mark.parametrize(
    ("chip", "release", "metal"),
    [("Apple M5", "26.2", True), ("Apple M4", "26.1", True), ("Apple M5", "26.1", False), ("NVIDIA H200", "", True)],
)
def test_all_others_load_in_silence(monkeypatch: pytest.MonkeyPatch, chip: str, release: str, metal: bool) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a program was begun")

    be(monkeypatch, chip, release, metal)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    told: list[str] = []
    with warnings_told(told.append):
        outdated.check()
    assert not told


@pytest.mark.parametrize(("real", "says"), [("26.1", SENTENCE), ("26.2", ""), ("", "")])
@pytest.mark.parametrize("told", ["16.1", "16.2", "10.16", "16"])
def test_what_a_python_for_older_systems_is_told_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, real: str, says: str
) -> None:
    """macOS names itself 10.16 or 16 to it, unless SYSTEM_VERSION_COMPAT is 0."""
    be(monkeypatch, "Apple M5", told)
    program = tmp_path / "sw_vers"
    answer = f"echo {real}" if real else "exit 1"
    program.write_text(
        f'#!/bin/sh\n[ "$SYSTEM_VERSION_COMPAT" = 0 ] || exit 1\n[ "$*" = -productVersion ] || exit 1\n{answer}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert version.problem("Apple M5") == says
