"""What is written whole reaches the disk itself on macOS, by its own call, where the file system has it. With a stand-in."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import mlx.core as mx
import pytest

from rgmlx.errors import StateError
from rgmlx.store import Store
from rgmlx.store.database.notices import Notices
from rgmlx.store.database.recent_rows import RecentRows
from rgmlx.store.database.rescue import write_rescue
from rgmlx.system import disk
from rgmlx.system.files import save_arrays
from rgmlx.system.textfiles import replace_text
from tui.prompt import drafts
from tui.settings import settings

F_FULLFSYNC = 51  # <sys/fcntl.h> of macOS


class MacDisk:
    """Notes which files are flushed, by inode, and how. `refuses` is a file system that lacks macOS's call."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.full: list[int] = []
        self.plain: list[int] = []
        self.fcntl = fcntl.fcntl

    def control(self, descriptor: int, command: int, argument: int = 0) -> int:
        if command != F_FULLFSYNC:
            return self.fcntl(descriptor, command, argument)
        if self.refuses:
            raise OSError(45, "Operation not supported")
        self.full.append(os.fstat(descriptor).st_ino)
        return 0

    def fsync(self, descriptor: int) -> None:
        self.plain.append(os.fstat(descriptor).st_ino)


@pytest.fixture
def mac_disk(monkeypatch: pytest.MonkeyPatch) -> MacDisk:
    made = MacDisk()
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", F_FULLFSYNC, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", made.control)
    monkeypatch.setattr(os, "fsync", made.fsync)
    return made


def _new_store(directory: Path) -> None:
    Store(directory).close()


def _unsent(directory: Path) -> None:
    assert drafts._written_elsewhere("a text") is not None


def _rescued(directory: Path) -> None:
    recent = cast(RecentRows, SimpleNamespace(write_to=lambda *_: True))
    assert write_rescue(None, [1], recent, lambda _: None) is not None


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda d: replace_text(d / "a.txt", "a text"),
    "settings": lambda d: settings._replace(d / "settings.toml", "a text"),
    "unsent": _unsent,
    "rgstate": lambda d: save_arrays(d / "a.rgstate", {"x": mx.zeros(2)}, {}, StateError),
    "rescued": _rescued,
    "store": _new_store,
    "notice": lambda d: Notices().keep(d / "a.db", "a sentence"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_written_whole_reaches_the_disk_itself(
    mac_disk: MacDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    WRITERS[kind](tmp_path)
    written = [f.stat() for f in tmp_path.rglob("*") if f.stat().st_size and f.suffix not in (".db-wal", ".db-shm")]
    files = {s.st_ino for s in written if stat.S_ISREG(s.st_mode)}
    assert files & set(mac_disk.full)
    assert not mac_disk.plain


def test_a_file_system_without_it_gets_what_there_is(mac_disk: MacDisk, tmp_path: Path) -> None:
    mac_disk.refuses = True
    replace_text(tmp_path / "a.txt", "a text")
    disk.sync_directory(tmp_path)
    assert mac_disk.plain == [(tmp_path / "a.txt").stat().st_ino, tmp_path.stat().st_ino]


def test_elsewhere_it_is_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MacDisk()
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    monkeypatch.setattr(os, "fsync", made.fsync)
    replace_text(tmp_path / "a.txt", "a text")
    assert made.plain == [(tmp_path / "a.txt").stat().st_ino] and not made.full
