"""What MLX asks of processes and threads: nothing after a fork, and no stream left when a thread or the program ends.

MLX runs each thread's work in C++ threads of its own. A forked child has none of them and waits for ever, and one that
is still there when the interpreter ends aborts the process. Everything that computes passes through `work`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from typing import Protocol

import mlx.core as mx

from ..errors import RgmlxError
from . import device
from .model_thread import leave_all

_END_SECONDS = 30.0  # at most, that the end of the program waits for a daemon thread's step to end


class Stoppable(Protocol):
    """What can be told to end, from any thread."""

    def stop(self) -> None: ...


class _Streams:
    """The streams that MLX makes for one thread. Given back as the thread ends, before whoever joins it goes on.

    Not in a forked child, where Python drops what the parent's threads had: it would wait for ever for MLX's.
    """

    def __init__(self) -> None:
        self._process = os.getpid()

    def __del__(self) -> None:
        if os.getpid() != self._process:
            return
        with contextlib.suppress(RuntimeError):
            mx.synchronize()
            mx.clear_streams()


class _Here(threading.local):
    """Of one thread: its streams, but for the main thread's, which live as long as the program."""

    def __init__(self) -> None:
        self.streams = None if threading.current_thread() is threading.main_thread() else _Streams()


_here = _Here()
_used = _forked = False
_ending = threading.Event()
_working: dict[int, int] = {}  # by thread, but for the main one: how many steps are being done, one within another
_runs: weakref.WeakSet[Stoppable] = weakref.WeakSet()


def enter() -> None:
    """Called before MLX computes.

    Raises:
        RgmlxError: this process was forked after MLX had computed.
        NoDeviceError: MLX has nothing to compute on.
    """
    global _used
    if not _used:
        device.require()
    if _forked:
        raise RgmlxError(
            "a process that was forked after rgmlx had computed in it can't use the model: start processes with "
            "multiprocessing.get_context('spawn'), or fork before the first model is loaded"
        )
    _used = True
    if _here.streams is not None and _ending.is_set():
        _working.pop(threading.get_ident(), None)
        threading.Event().wait()  # a daemon thread, and nobody is left to answer to: it ends with the process


class work:
    """A step of computation: the end of the program waits for those of other threads. Raises as `enter`."""

    def __enter__(self) -> None:
        if _here.streams is None:
            enter()
            return
        # Counted before `enter` looks whether the program ends: so either that waits for this step, or this one never begins.
        me = threading.get_ident()
        _working[me] = _working.get(me, 0) + 1
        try:
            enter()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if _here.streams is not None:
            me = threading.get_ident()
            left = _working.get(me, 1) - 1
            if left:
                _working[me] = left
            else:
                _working.pop(me, None)


def stop_at_end(run: Stoppable) -> None:
    """Has a run stopped when the program ends while a daemon thread is at it."""
    _runs.add(run)


def _end() -> None:
    """Waits for daemon threads to leave MLX: one that is in it when the interpreter ends aborts the process."""
    _ending.set()
    for run in list(_runs):
        run.stop()
    until = time.monotonic() + _END_SECONDS
    while _working and time.monotonic() < until:
        time.sleep(0.005)
    leave_all()


def _in_child() -> None:
    global _forked
    _forked = _used
    _working.clear()


atexit.register(_end)
os.register_at_fork(after_in_child=_in_child)
