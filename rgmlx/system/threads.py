"""How many threads NumPy's BLAS takes while the network runs, and only then.

One is the default. Two OpenBLAS threads wait for each other by spinning: beside another busy program (or a second test
worker) a step of 6 ms takes up to a hundred. `RGMLX_THREADS` names another number. The limit holds for the time of a
forward pass and is taken back after it, so that a program that uses rgmlx keeps its own BLAS settings.
"""

from __future__ import annotations

import contextlib
import threading
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from . import variables

_FAST = ("openblas", "mkl", "blis")  # not the reference BLAS of some distributions


@cache
def _blas() -> Any:
    """NumPy's BLAS as threadpoolctl knows it: a controller without libraries where there is none that is fast."""
    import numpy as np  # its BLAS is found among the libraries that are loaded

    np.dot(np.ones(1), np.ones(1))
    return ThreadpoolController().select(internal_api=list(_FAST))


def has_fast_product() -> bool:
    """Whether NumPy multiplies matrices by an optimized BLAS."""
    return bool(_blas().lib_controllers)


def describe() -> str:
    """The BLAS, its version and the processor that it takes this one for."""
    return ", ".join(
        " ".join(str(b.info()[k]) for k in ("internal_api", "version", "architecture") if b.info().get(k))
        for b in _blas().lib_controllers
    )


def count() -> int:
    """Threads of a product: `RGMLX_THREADS`, else 1. Raises RgmlxError: it is no such number."""
    return variables.threads()


def _set(blas: Any, number: int) -> None:
    """Sets it from any thread.

    threadpoolctl 3.8 lets only the first thread that does, and ignores others: their products would be by all of
    OpenBLAS's threads, and a limit that another thread should take back would stay.
    """
    clear = getattr(blas, "clear_controlling_thread", lambda **_: None)  # of OpenBLAS, in newer versions
    clear(force=True)
    blas.set_num_threads(number)
    clear(force=True)  # nor is it in the way of a program's own limits


class _Limit:
    """Within it, BLAS takes `count()` threads. The last thread of the program that leaves it takes the limit back.

    One limit for all: the second of two threads would find the first one's and leave that behind for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                wanted = count()
                found = [(blas, blas.get_num_threads()) for blas in _blas().lib_controllers]
                self._before = [(blas, number) for blas, number in found if number != wanted]
                for blas, _ in self._before:
                    _set(blas, wanted)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for blas, number in self._before:
                    _set(blas, number)


_limit = _Limit()


def limited() -> contextlib.AbstractContextManager[None]:
    """Within it, BLAS takes `count()` threads; it is as it was when the last thread of the program has left it."""
    return _limit
