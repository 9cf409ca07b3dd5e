"""Batches made ahead of the training loop, in processes of their own. Knows nothing of MLX.

Which batch is which depends on the seed and its number alone, never on how many processes there are or how fast.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .rows import Batch, Conversations, Shards, batch_of, seed_of

_AHEAD = 3  # batches that wait, a process
_STUCK = 240.0
_GRACE = 10.0  # seconds for an end by SIGTERM
_PATIENCE = 2.0  # seconds after which who waits looks whether the other side still lives


@dataclass(frozen=True)
class Data:
    """What the batches are made of.

    named: the dotted name of a `Conversations`; options: its keyword arguments.
    shards: files, in place of that.
    stuck: seconds of processor time after which a batch is taken for one that will never be there.
    shape: rows and time of a batch.
    """

    shape: tuple[int, int]
    seed: int = 0
    named: str = ""
    options: tuple[tuple[str, str], ...] = ()
    shards: tuple[str, ...] = ()
    stuck: float = _STUCK

    def source(self) -> Conversations:
        """The function. Raises ValueError where there is none of that name, or no such file."""
        if self.shards:
            try:
                return Shards(self.shards)
            except (OSError, KeyError, ValueError) as e:
                raise ValueError(f"--shards names no file of conversations: {e}") from None
        module, _, name = self.named.rpartition(".")
        try:
            found: Conversations = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as e:
            raise ValueError(f"--conversations {self.named!r} names no function: {e}") from None
        return found

    def batch(self, source: Conversations, number: int) -> Batch:
        return batch_of(source, dict(self.options), self.shape, seed_of(self.seed, number))


class DataError(Exception):
    """A process that makes batches has failed; its traceback is the message."""


def _fill(
    put: Callable[[Any], None], data: Data, number: int, step: int, limit: Callable[[float], object] = lambda _: None
) -> None:
    """Puts the batches number, number + step, ..., or the traceback of what went wrong. `limit`: sets a clock, 0 stops it."""
    try:
        source = data.source()
        while True:
            limit(data.stuck)
            batch = data.batch(source, number)
            limit(0)
            put((number, batch.tokens, batch.weights))
            number += step
    except _Over:
        pass
    except BaseException:
        limit(0)
        put(traceback.format_exc())


class _Over(BaseException):
    """Nobody waits for batches any more."""


def _work(full: Any, data: Data, number: int, step: int, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the training, which ends this
    signal.signal(signal.SIGVTALRM, _stuck)

    def put(item: Any) -> None:
        while True:
            try:
                return full.put(item, timeout=_PATIENCE)
            except queue.Full:
                if os.getppid() != parent:  # the training was killed
                    full.cancel_join_thread()
                    raise _Over from None

    # Again and again: Python drops an exception that comes while it calls back a weak reference, say.
    _fill(put, data, number, step, lambda seconds: signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds))


def _stuck(*_: object) -> None:
    raise TimeoutError("a batch is never done: see where, and mend it")


class Feed:
    """Batches `first`, `first + step`, ... in this order.

    Args:
        processes: that make them; 0: a thread of this process, which is enough for shards.
        step: how many trainings share the numbers.
    """

    def __init__(self, data: Data, processes: int, first: int = 0, step: int = 1) -> None:
        self._next, self._step, self._turn, self._over = first, step, 0, False
        self._processes: list[Any] = []
        self._queues: list[Any] = []
        if processes:
            context = multiprocessing.get_context("spawn")
            for i in range(processes):
                full = context.Queue(_AHEAD)
                arguments = (full, data, first + i * step, processes * step, os.getpid())
                process = context.Process(target=_work, args=arguments, daemon=True)
                process.start()
                self._queues.append(full)
                self._processes.append(process)
        else:
            waiting: queue.Queue[Any] = queue.Queue(2 * _AHEAD)
            self._queues.append(waiting)
            threading.Thread(target=_fill, args=(self._put_here, data, first, step), daemon=True).start()

    def _put_here(self, item: Any) -> None:
        while True:
            try:
                return self._queues[0].put(item, timeout=_PATIENCE)
            except queue.Full:
                if self._over:
                    raise _Over from None

    def __next__(self) -> Batch:
        """Raises DataError: who makes them has failed or was killed."""
        full = self._queues[self._turn]
        while True:
            try:
                item = full.get(timeout=_PATIENCE)
                break
            except queue.Empty:
                if self._processes and not self._processes[self._turn].is_alive():
                    raise DataError("a process that makes batches was killed") from None
        if isinstance(item, str):
            raise DataError(item)
        number, tokens, weights = item
        assert number == self._next, (number, self._next)
        self._next += self._step
        self._turn = (self._turn + 1) % len(self._queues)
        return Batch(tokens, weights)

    def close(self) -> None:
        self._over = True
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(_GRACE)
            if process.is_alive():
                process.kill()
                process.join()
