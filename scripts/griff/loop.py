"""The training itself: batches in, a checkpoint, a log and parts out."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma

from . import checkpoint, shapes
from .feed import Data, DataError, Feed
from .optimizer import Schedule, adamw
from .step import MEASURES, Step, inputs

_SYNC = 10  # steps between looks at the clock
_HELD_BATCHES = 8
DONE = "done"
"""The file that says that a training has come to its end."""


class TrainingError(Exception):
    """The training can't go on, or not begin."""


class Training:
    """A training that can be stopped and gone on with.

    Args:
        options: of `train.py`.
        rank, group: among those that share their gradients; `group` None: alone.
    """

    def __init__(self, options: argparse.Namespace, rank: int = 0, group: Any = None) -> None:
        self.options, self.rank, self._group = options, rank, group
        self.size = 1 if group is None else group.size()
        self.dtype = mx.float32 if options.float32 else mx.bfloat16
        self.notes: dict[str, Any] = {"step": 0, "tokens": 0, "batches": 0, "seconds": 0.0, "seed": options.seed}
        self._path = Path(options.out) / "checkpoint.safetensors"
        parameters, state = self._beginning()
        self.net.train()
        optimizer = adamw()
        compiled = mx.default_device() == mx.gpu and not options.plain
        self.step = Step(self.net, parameters, optimizer, self.dtype, group, compiled=compiled)
        if state is not None:
            self.step.state = state
        self._since = self.notes.get("since", self.notes["step"])
        self._part_began, self._part_over = time.monotonic(), False
        last = options.rate * 0.1 if options.last_rate is None else options.last_rate
        self.schedule = Schedule(
            *(options.rate, last, options.warm, options.steps, options.minutes),
            *(self.notes["seconds"], self._since),
        )

    def _beginning(self) -> tuple[Any, Any]:
        """The parameters and the optimizer's state (None: a new one): of the checkpoint, of parts, or random ones."""
        o, state = self.options, None
        if self._path.is_file():
            parameters, state, self.notes = checkpoint.load(self._path)
            self.config = ModelConfig.from_dict(self.notes["config"])
            self._say(
                f"going on from {self._path}: step {self.notes['step']:,}, {self.notes['tokens'] / 1e6:,.1f} M tokens"
            )
        elif o.init:
            parameters, found = checkpoint.parts(Path(o.init))
            self.config = ModelConfig.from_dict(found["config"])
            self.notes |= {k: found[k] for k in ("step", "tokens", "batches") if k in found}
            if o.window is not None:
                self.config = self.config.with_window(o.window)
        else:
            window = 1023 if o.window is None else o.window
            self.config = shapes.config(o.width, o.layers, o.mlp, window, o.vocabulary)
            parameters = None
        self.net = RecurrentGemma(self.config)
        if parameters is None:
            shapes.begin(self.net, o.seed)
            parameters = self.net.parameters()
        else:
            wanted = {k: v.shape for k, v in tree_flatten(self.net.parameters())}
            if {k: v.shape for k, v in tree_flatten(parameters)} != wanted:
                raise TrainingError("the weights to begin with are not of the shape that their own config says")
        self.notes["config"] = self.config.to_dict()
        mx.eval(parameters)
        return parameters, state

    def data(self, held: bool = False) -> Data:
        o = self.options
        if held:
            return Data((o.rows, o.time), 0, shards=(o.held,))
        given = tuple((k, v) for k, _, v in (g.partition("=") for g in o.give))
        return Data((o.rows, o.time), o.seed, o.conversations, given, tuple(o.shards))

    def run(self) -> None:
        """Trains to the end. Raises TrainingError, DataError, ValueError."""
        o, notes = self.options, self.notes
        self.data().source()  # what is wrong with it is told here, and once
        feed = Feed(self.data(), o.generate, notes["batches"] + self.rank, self.size)
        counts = self.config.parameter_counts()
        self._say(
            f"{counts['total'] / 1e6:.1f} M parameters, {self.size} x {o.rows} rows of {o.time} tokens, {mx.default_device()}"
        )
        saved = logged = time.monotonic()
        window, waited, steps = mx.zeros((len(MEASURES),)), 0.0, 0
        before: mx.array | None = None
        try:
            self._measure()
            self._part_over = False  # some steps are made in the shortest part
            while not self._over():
                began = time.monotonic()
                batch = inputs(next(feed))
                waited += time.monotonic() - began
                rate = self.schedule.rate(notes["step"])
                found = self.step(batch, rate)
                window = window + found
                if before is not None:  # one step ahead of the device, and no more
                    mx.eval(before)
                before, steps = found, steps + 1
                notes["step"] += 1
                notes["batches"] += self.size
                notes["tokens"] += self.size * o.rows * o.time
                if notes["step"] % _SYNC == 0:
                    mx.eval(window)
                    self._measure()
                last = self._over()
                if notes["step"] % o.every == 0 or last:
                    seconds = time.monotonic() - logged
                    self._log(window, rate, steps, seconds, waited)
                    window, waited, steps, logged = mx.zeros((len(MEASURES),)), 0.0, 0, time.monotonic()
                if last or time.monotonic() - saved > 60 * o.save_minutes:
                    began = time.monotonic()
                    self.save()
                    saved = time.monotonic()
                    logged += saved - began
        except DataError:
            if notes["step"] > self._since:
                self.save()  # what was learned is kept; the texts are to be mended
            raise
        finally:
            feed.close()
        if not self.schedule.over(notes["step"]):
            self._say("this part is over: the same command goes on")
        elif self.rank == 0:
            (Path(o.out) / DONE).touch()

    def _over(self) -> bool:
        """Whether the training or this part of it is over."""
        return self._part_over or self.schedule.over(self.notes["step"])

    def _measure(self) -> None:
        """Looks at the clock; all trainings that go together take what the first one sees."""
        share, pace = self.schedule.measure(self.notes["step"])
        part, over = 60 * self.options.part, 0.0
        if part and time.monotonic() - self._part_began > part:
            over = 1.0
        if self.size > 1:
            mine = mx.array([share, pace, over] if self.rank == 0 else [0.0, 0.0, 0.0])
            share, pace, over = numbers(mx.distributed.all_sum(mine, group=self._group))
        self.schedule.set(self.notes["step"], share, pace)
        self._part_over = over > 0

    def _log(self, window: mx.array, rate: float, steps: int, seconds: float, waited: float) -> None:
        loss, tokens, copied_loss, copied, norm = numbers(window)
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(
                f"the loss is no number at step {self.notes['step']}: go on from the checkpoint, slower"
            )
        speed = steps * self.size * self.options.rows * self.options.time / max(seconds, 1e-9)
        line = {
            "step": self.notes["step"],
            "tokens": self.notes["tokens"],
            "loss": round(loss / max(tokens, 1.0), 4),
            "copied": round(copied_loss / copied, 4) if copied else None,
            "rate": float(f"{rate:.3g}"),
            "speed": round(speed),
            "norm": round(norm / max(steps, 1), 3),
            "waited": round(waited / max(seconds, 1e-9), 3),
            "memory": round(mx.get_peak_memory() / 2**30, 1),
        }
        self.notes["loss"] = line["loss"]
        self._write(line)

    def held(self) -> float:
        """The loss on the file of `--held`."""
        feed = Feed(self.data(held=True), 0)
        found = [self.step.losses(self.step.parameters, inputs(next(feed))) for _ in range(_HELD_BATCHES)]
        feed.close()
        loss, tokens, *_ = numbers(mx.stack(found).sum(axis=0))
        return loss / max(tokens, 1.0)

    def save(self) -> None:
        """Writes the checkpoint and, where asked for, the parts. The first of several trainings does."""
        if self.rank:
            return
        if self.options.held:
            line = {"step": self.notes["step"], "tokens": self.notes["tokens"], "held": round(self.held(), 4)}
            self._write(line)
        self.notes |= {"seconds": self.schedule.elapsed(), "since": self._since}
        checkpoint.save(self._path, self.step.parameters, self.step.state, self.notes)
        if self.options.export:
            checkpoint.export(Path(self.options.export), self.step.parameters, self.notes)

    def _write(self, line: dict[str, Any]) -> None:
        if self.rank == 0:
            text = json.dumps(line)
            with (Path(self.options.out) / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(text + "\n")
            print(text, flush=True)

    def _say(self, text: str) -> None:
        if self.rank == 0:
            print(text, flush=True)


def numbers(array: mx.array) -> list[float]:
    """A vector's numbers."""
    found: Any = array.tolist()
    return list(found)


def join(backend: str | None) -> tuple[int, Any]:
    """This process's place among those that the launcher began, and their group. Alone: 0, None."""
    if backend is None:
        return 0, None
    group = mx.distributed.init(strict=True, backend=backend)
    return group.rank(), group


def profile(training: Training, rounds: int = 10) -> dict[str, float]:
    """Seconds of a step and of its parts: data, forward, backward, optimizer (and gradients averaged), by difference."""
    data = training.data()
    feed = Feed(data, training.options.generate, training.notes["batches"] + training.rank, training.size)
    step = training.step
    batches = [inputs(next(feed)) for _ in range(2)]

    def seconds(action: Any) -> float:
        mx.eval(action(batches[0]))
        mx.eval(action(batches[1]))
        began = time.perf_counter()
        for i in range(rounds):
            mx.eval(action(batches[i % 2]))
        return (time.perf_counter() - began) / rounds

    on_gpu = mx.default_device() == mx.gpu
    losses, gradients = (mx.compile(f) if on_gpu else f for f in (step.losses, step.gradients))
    forward = seconds(lambda b: losses(step.parameters, b))
    backward = seconds(lambda b: gradients(step.parameters, b))
    whole = seconds(lambda b: (step(b, 0.0), step.parameters))
    began = time.perf_counter()
    for _ in range(rounds):
        inputs(next(feed))
        mx.eval(step(batches[0], 0.0), step.parameters)
    fed = (time.perf_counter() - began) / rounds
    feed.close()
    return {
        "step": fed,
        "forward": forward,
        "backward": backward - forward,
        "optimizer": whole - backward,
        "data": fed - whole,
    }
