"""Folders that macOS keeps a terminal out of: whoever opens something there is told where that is allowed."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from macs import Mac, linux, mac
from scripted import Scripted, command, idle, notices
from waiting import wait_until

import tui.cli
from rgmlx import cli
from rgmlx.cli.common import guarded
from rgmlx.convert import recipe, text
from rgmlx.convert.open import open_source
from rgmlx.errors import RgmlxError, StateError
from rgmlx.store import Store
from rgmlx.system.files import load_arrays, save_arrays
from rgmlx.system.macos import privacy
from rgmlx.system.textfiles import read_text, write_text
from rgmlx.weights import catalog, hub
from tui.app import ChatApp
from tui.prompt.files import expand

__all__ = ["linux", "mac"]

PLACE = "System Settings > Privacy & Security > Files and Folders > your terminal"


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in Documents that may be looked at and not into, as macOS has it; everything else is as usual."""
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    place = tmp_path / "anna" / "Documents" / "mine"
    place.mkdir(parents=True)
    for name in ("a.txt", "a.json", "a.pt", "a.toml", "a.rgstate", "old.db"):
        (place / name).write_text("x")
    shutil.copytree(hub.demo_directory(), place / "model")
    for name in ("open", "scandir", "mkdir"):
        monkeypatch.setattr(os, name, barred(getattr(os, name), place.parent))
    return place


def barred(function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """It, refused for everything in a folder."""

    def refused(path: Any = ".", *arguments: Any, **named: Any) -> Any:
        if not isinstance(path, int) and os.path.realpath(path).startswith(str(folder)):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), os.fspath(path))
        return function(path, *arguments, **named)

    return refused


def problem(place: Path) -> None:
    (sentence,) = expand(f"read @{place}/a.txt").problems
    raise RgmlxError(sentence)


OPENED: dict[str, Callable[[Path], object]] = {
    "@file": problem,
    "/import": lambda place: read_text(place / "a.json"),
    "/export": lambda place: write_text(place / "new.md", "x"),
    "/open": lambda place: load_arrays(place / "a.rgstate", StateError),
    "/save": lambda place: save_arrays(place / "new.rgstate", {"x": mx.zeros(1)}, {}, StateError),
    "--recover": lambda place: Store(place.parents[2] / "data").recover(place / "old.db"),
    "--data": lambda place: Store(place),
    "--model": lambda place: hub.resolve(place / "model"),
    "the list of models": lambda place: catalog.examine(place / "model"),
    "convert --model directory": lambda place: open_source(place / "model"),
    "convert --model file.pt": lambda place: open_source(place / "a.pt"),
    "convert --recipe": lambda place: recipe.load(str(place / "a.toml")),
    "convert --text": lambda place: text.from_file(str(place / "a.txt")),
    "convert --mlx-path": lambda place: convert(["--model", "demo", "-d", "--mlx-path", str(place / "new")]),
}


def convert(arguments: list[str]) -> None:
    options = cli.parser().parse_args(["convert", *arguments, "--no-verify"])
    assert isinstance(options, argparse.Namespace)
    options.run(options)


@pytest.mark.parametrize("what", OPENED)
def test_a_refusal_says_where_it_is_allowed(what: str, mac: Mac, documents: Path) -> None:
    with pytest.raises(RgmlxError) as caught:
        OPENED[what](documents)
    said = str(caught.value)
    assert PLACE in said and "~/Documents" in said and "permission" not in said.lower(), said
    assert said.count("System Settings") == 1


@pytest.mark.parametrize("what", ["@file", "/import", "/export", "/open", "convert --text"])
def test_elsewhere_it_is_as_it_was(what: str, linux: Mac, documents: Path) -> None:
    with pytest.raises(RgmlxError) as caught:
        OPENED[what](documents)
    assert "System Settings" not in str(caught.value)


def test_what_nobody_has_thought_of_says_so_too(mac: Mac, documents: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded("rgmlx", lambda: os.open(documents / "a.txt", os.O_RDONLY)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"rgmlx: {documents}/a.txt can't be opened: macOS") and PLACE in said


def test_a_state_that_the_chat_is_to_open(mac: Mac, documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even a look at it is refused, too."""
    monkeypatch.setattr(os, "stat", barred(os.stat, documents.parent))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    options = tui.cli.parser().parse_args(["--plain", "--open", str(documents / "a.rgstate")])
    with pytest.raises(RgmlxError) as caught:
        tui.cli._run(options)
    assert str(caught.value).startswith(f"{documents}/a.rgstate can't be read: macOS") and PLACE in str(caught.value)


async def test_in_the_chat(mac: Mac, documents: Path, tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path / "data", ["ok"], past=["one", "two"]))
    async with app.run_test(size=(80, 24)):
        await wait_until(lambda: idle(app))
        for text in (f"@{documents}/a.txt", f"/import {documents}/a.json", f"/export {documents}/new.md"):
            before = notices(app).count(PLACE)
            await command(app, text)
            await wait_until(lambda before=before: notices(app).count(PLACE) == before + 1)


@pytest.mark.parametrize(
    ("path", "number", "is_refusal"),
    [
        ("anna/Documents", errno.EPERM, True),
        ("anna/Documents/a/b.txt", errno.EPERM, True),
        ("anna/Desktop/x", errno.EPERM, True),
        ("anna/Downloads/x", errno.EPERM, True),
        ("anna/Library/Mobile Documents/x", errno.EPERM, True),
        ("link/x", errno.EPERM, True),  # to Documents
        ("anna/Documents/x", errno.EACCES, False),  # its permissions
        ("anna/Documents/x", errno.ENOENT, False),
        ("anna/Documents-old/x", errno.EPERM, False),
        ("anna/models/x", errno.EPERM, False),
        ("other/Documents/x", errno.EPERM, False),
    ],
)
def test_what_is_a_refusal(
    path: str, number: int, is_refusal: bool, mac: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    (tmp_path / "anna" / "Documents").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "anna" / "Documents")
    error = OSError(number, "no", str(tmp_path / path))
    found = privacy.explained(error)
    assert isinstance(found, privacy.NotAllowed) == is_refusal and (is_refusal or found is error)
    for without in (OSError(errno.EPERM, "no"), OSError("no"), OSError(errno.EPERM, "no", 3)):
        assert privacy.explained(without) is without
