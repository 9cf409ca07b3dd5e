"""What the status line's numbers are taken from."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from macs import Mac, linux, mac
from textual.geometry import Region

from rgmlx.conversation.metrics import Metrics, give_back, resident_bytes
from rgmlx.system.formatting import sentence
from rgmlx.system.macos import footprint
from tui.status import status_line
from tui.terminal.textual_fixes import forget_geometry

__all__ = ["linux", "mac"]

PIECES, SIZE = 60_000, 1_000


def test_memory_freed_in_small_pieces_goes_back_to_the_system() -> None:
    """All but the last piece: what the C library keeps below it is what a long conversation would grow by."""
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("only the C library of Linux keeps what was freed")
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    pieces = [libc.malloc(SIZE) for _ in range(PIECES)]
    for piece in pieces:
        ctypes.memset(piece, 1, SIZE)
    for piece in pieces[:-1]:
        libc.free(piece)
    kept = resident_bytes()
    give_back()
    assert resident_bytes() < kept - PIECES * SIZE / 2
    libc.free(pieces[-1])


def test_resident_memory_is_this_processs() -> None:
    before = resident_bytes()
    block = bytearray(b"x" * 50_000_000)
    assert 40_000_000 < resident_bytes() - before < 120_000_000
    assert sys.getsizeof(block) > 50_000_000


RUSAGE = struct.Struct(
    "=16s10Q"
)  # sys/resource.h: a uuid, then ten times uint64_t, of which the eighth is the footprint


def libproc(answer: int, seen: list[tuple[int, int]]) -> SimpleNamespace:
    """A library whose `proc_pid_rusage` fills the structure as its header has it."""

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    def proc_pid_rusage(process: int, flavor: int, buffer: int) -> int:
        seen.append((process, flavor))
        ctypes.memmove(buffer, RUSAGE.pack(b"u" * 16, 1, 2, 3, 4, 5, 6, 7, 1_234_567_890_123, 9, 10), RUSAGE.size)
        return answer

    return SimpleNamespace(proc_pid_rusage=proc_pid_rusage)


def without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)


def test_on_a_mac_the_system_is_asked_for_the_footprint(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    """A23: as Activity Monitor shows it, and without another process."""
    assert ctypes.sizeof(footprint.RusageInfoV0) == RUSAGE.size == 96
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(footprint, "_library", lambda: libproc(0, seen))
    without_proc(monkeypatch)
    mac.program("ps")
    assert resident_bytes() == 1_234_567_890_123
    assert seen == [(os.getpid(), 0)] and not mac.calls("ps")


@pytest.mark.parametrize("library", [lambda: libproc(-1, []), lambda: ctypes.CDLL(None), SimpleNamespace])
def test_a_system_that_does_not_tell_leaves_the_highest_so_far(
    library: Callable[[], object], mac: Mac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "_library", library)
    without_proc(monkeypatch)
    assert footprint.footprint() is None
    assert 10**7 < resident_bytes() < 10**11


def test_elsewhere_it_is_not_asked(linux: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "_library", lambda: libproc(0, []))
    assert footprint.footprint() is None


def test_textuals_caches_of_rectangles_can_be_emptied() -> None:
    for i in range(100):
        Region(i, 0, 5, 5).intersection(Region(0, 0, 50, 50))
    assert Region.intersection.cache_info().currsize >= 100
    forget_geometry()
    caches = [operation for operation in vars(Region).values() if hasattr(operation, "cache_info")]
    assert len(caches) > 5 and not any(cache.cache_info().currsize for cache in caches)


def test_sentences() -> None:
    assert sentence("there is no file: name one") == "There is no file: name one."
    assert sentence("google/recurrentgemma-2b-it is gated") == "google/recurrentgemma-2b-it is gated."
    assert sentence("/tmp/x can't be read.") == "/tmp/x can't be read." and sentence("really, now?") == "Really, now?"


def test_the_status_says_what_its_seconds_are_of() -> None:
    """Ugly h: "first after 0.0 s"."""
    assert "first token 0.4 s" in status_line("demo", Metrics(first_token=0.4), "", "", 80)
