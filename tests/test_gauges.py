"""What the status line's numbers are taken from."""

from __future__ import annotations

import ctypes
import sys

import pytest
from textual.geometry import Region

from tui.gauges import give_back, resident_bytes
from tui.textual_fixes import forget_geometry
from tui.words import sentence

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
