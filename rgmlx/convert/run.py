"""The conversion itself: source -> plan -> steps -> writer, one tensor at a time.

Memory is that of the largest tensor of the source; matrices of safetensors files pass through in pieces of rows, so
there it is less. With calibration text, a block of the network is worked on at a time (`calibrate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx

from .. import __version__
from ..errors import CheckpointError, RgmlxError
from ..system.files import load_arrays
from . import plan as planning
from .calibrate import Calibrator
from .huggingface import SafetensorsSource
from .plan import Plan, Step
from .recipe import Recipe, is_gate
from .source import Progress, Source, pieces, raw
from .writer import SHARD_BYTES, Writer, shards

_PIECE = 2**26  # bytes of a large matrix read at a time
_EXPONENT = {mx.bfloat16: 0x7F80, mx.float16: 0x7C00, mx.float32: 0x7F800000}  # all ones: NaN or infinite


@dataclass(frozen=True)
class Calibration:
    """Text for error compensation: rows of token ids, and what to call it in the model card."""

    rows: Sequence[Sequence[int]]
    name: str


def plan(source: Source, recipe: Recipe, dtype: str | None = None) -> Plan:
    """The plan of a conversion; a head that is the embedding's equal copy is left out. Raises as `plan.make`."""
    dropped = ["lm_head.weight"] if _head_is_a_copy(source) else []
    return planning.make(source, recipe, dtype, dropped)


def write(
    source: Source,
    plan: Plan,
    target: Path,
    *,
    force: bool = False,
    calibration: Calibration | None = None,
    progress: Progress | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Writer:
    """Writes all tensors into the hidden folder of the target; `Writer.finish` and `Writer.publish` complete it.

    Raises:
        ConversionError: the target can't be written.
        CheckpointError: a tensor can't be read or holds NaN or infinite values; it is named.
    """
    writer = begin(source, plan, target, force=force, calibration=calibration, shard_bytes=shard_bytes)
    fill(source, plan, writer, calibration=calibration, progress=progress)
    return writer


def begin(
    source: Source,
    plan: Plan,
    target: Path,
    *,
    force: bool = False,
    calibration: Calibration | None = None,
    shard_bytes: int = SHARD_BYTES,
    identity: Sequence[Any] | None = None,
) -> Writer:
    """The first half of `write`: the hidden folder, with what an earlier run has finished of the same job.

    Args:
        identity: what says which files the source has, where their places and times don't.
    """
    files = shards([[o for step in part for o in step.outputs] for part in plan.parts()], shard_bytes)
    return Writer(target, files, _job(source, plan, calibration, shard_bytes, identity), force)


def fill(
    source: Source,
    plan: Plan,
    writer: Writer,
    *,
    calibration: Calibration | None = None,
    progress: Progress | None = None,
) -> None:
    """The second half of `write`: all shards that are not there yet. Lets go of the writer if it fails."""
    try:
        _write_all(source, plan, writer, writer.files, calibration, progress or (lambda *_: None))
    except BaseException as e:
        if isinstance(e, CheckpointError):  # the source is at fault: no run will go on from here
            writer.discard()
        writer.close()
        raise


def _write_all(
    source: Source,
    plan: Plan,
    writer: Writer,
    files: Sequence[Sequence[planning.Output]],
    calibration: Calibration | None,
    progress: Progress,
) -> None:
    where = {name: number for number, file in enumerate(files) for name, _ in file}
    calibrator = _calibrator(source, plan, calibration) if calibration else None
    done, total, parts = 0, plan.nbytes, plan.parts()
    for number in range(len(files)):
        mine = [(i, part) for i, part in enumerate(parts) if where[part[0].outputs[0][0]] == number]
        if writer.is_finished(number):
            if calibrator is not None:  # the hidden states have to get past these blocks all the same
                stored, _ = load_arrays(writer.folder / writer.names[number], CheckpointError)
                for i, part in mine:
                    progress(f"{_part_name(part)}, made before", done, total)
                    calibrator.skip(i, {name: stored[name] for step in part for name, _ in step.outputs})
                del stored
            done += sum(step.nbytes for _, part in mine for step in part)
            continue
        with writer.shard(number) as out:
            # One tensor is written while the next is read and quantized.
            waiting: tuple[str, mx.array] | None = None
            for i, part in mine:
                made = None
                if calibrator is not None:
                    progress(_part_name(part), done, total)
                    made = calibrator.make(i)
                for step in part:
                    progress(step.name, done, total)
                    for name, array in converted(source, step) if made is None else _taken(made, step):
                        mx.async_eval(array)
                        if waiting is not None:
                            out.write(*waiting)
                        waiting = name, array
                    done += step.nbytes
            if waiting is not None:
                out.write(*waiting)
    progress("", done, total)


def converted(source: Source, step: Step) -> Iterator[tuple[str, mx.array]]:
    """The tensors of a step, a large one in pieces of rows. Raises CheckpointError for NaN and infinite values, also in
    the dtype of the result."""
    stored = source if isinstance(source, SafetensorsSource) and step.name in source.quantized else None
    how = stored.quantized[step.name] if stored else None
    if stored and how and how.settings == step.settings and step.outputs[-1][1].dtype in (mx.uint8, step.source.dtype):
        # Stored as it is to be: the same codes, not those of a matrix that was rounded twice.
        yield from zip((n for n, _ in step.outputs), stored.parts(step.name), strict=True)
        return
    collected: dict[str, list[mx.array]] = {name: [] for name, _ in step.outputs[1:]}
    for _, piece in pieces(source, step.name, _PIECE):
        check_finite(step.name, piece)
        if step.settings is None:
            if step.outputs[0][1].shape != step.source.shape:  # a convolution in Hugging Face's layout
                piece = piece.swapaxes(1, 2)
            yield step.name, _cast(step.name, piece, step.outputs[0][1].dtype)
            continue
        number = step.outputs[-1][1].dtype
        wide = piece if number == mx.uint8 else _cast(step.name, piece, number)
        codes, *rest = mx.quantize(wide, **step.settings)
        yield step.name, codes
        for (name, _), array in zip(step.outputs[1:], rest, strict=True):
            collected[name].append(array)
    for name, arrays in collected.items():
        for array in arrays:
            yield name, array


def check_finite(name: str, w: mx.array) -> None:
    """Raises CheckpointError if a tensor holds NaN or infinite values."""
    if not _is_finite(w):
        raise CheckpointError(
            f"the tensor {name} holds NaN or infinite values: download the model again, or ask its makers"
        )


def _is_finite(w: mx.array) -> bool:
    exponent = _EXPONENT[w.dtype]
    bits = raw(w)
    return not any(((bits[start : start + 2**20] & exponent) == exponent).any() for start in range(0, bits.size, 2**20))


def _cast(name: str, w: mx.array, dtype: mx.Dtype) -> mx.array:
    """A finite tensor in another dtype. Raises CheckpointError: it has numbers that are too large for that."""
    cast = w.astype(dtype)
    if cast.dtype != w.dtype and not _is_finite(cast):
        other = "bfloat16" if dtype == mx.float16 else "float32"
        raise CheckpointError(
            f"the tensor {name} holds numbers too large for {str(dtype).removeprefix('mlx.core.')}: convert with "
            f"--dtype {other}, nothing was put in place"
        )
    return cast


def _head_is_a_copy(source: Source) -> bool:
    head, embedding = (source.tensors.get(n) for n in ("lm_head.weight", "model.embed_tokens.weight"))
    if head is None or embedding is None or head != embedding:
        return False
    both = zip(
        pieces(source, "lm_head.weight", _PIECE), pieces(source, "model.embed_tokens.weight", _PIECE), strict=True
    )
    return all(mx.array_equal(a, b) for (_, a), (_, b) in both)


def _taken(made: dict[str, mx.array], step: Step) -> Iterator[tuple[str, mx.array]]:
    for name, _ in step.outputs:
        yield name, made.pop(name)


class _Parts:
    """A calibrator as the parts of a plan: the embedding, the blocks, the end."""

    def __init__(self, calibrator: Calibrator, blocks: int) -> None:
        self._calibrator, self._blocks = calibrator, blocks

    def make(self, part: int) -> dict[str, mx.array]:
        if part == 0:
            return self._calibrator.embedding()
        return self._calibrator.block(part - 1) if part <= self._blocks else self._calibrator.final()

    def skip(self, part: int, tensors: Mapping[str, mx.array]) -> None:
        if part == 0:
            self._calibrator.embedding()
        elif part <= self._blocks:
            self._calibrator.skip_block(part - 1, dict(tensors))


def _calibrator(source: Source, plan: Plan, calibration: Calibration) -> _Parts:
    settings = {step.name: step.settings for step in plan.steps}
    if any(is_gate(s.name.removesuffix("_weight")) and s.settings for s in plan.steps):
        raise RgmlxError("a recipe that quantizes gates can't be calibrated: leave the gates out, or --calibrate")

    def read(name: str) -> mx.array:
        w = source.read(name)
        check_finite(name, w)
        _cast(name, w, plan.dtype)  # as the calibrator will: its codes and scales would not tell
        return w

    def choose(path: str) -> dict[str, Any] | None:
        return settings.get(f"{path}.weight")

    # What is not quantized may stay in float32 beside matrices in 16 bits.
    kept = {name: tensor.dtype for step in plan.steps if step.settings is None for name, tensor in step.outputs}
    calibrator = Calibrator(plan.model, read, choose, calibration.rows, plan.dtype, kept.__getitem__)
    return _Parts(calibrator, plan.model.num_hidden_layers)


def _part_name(part: Sequence[Step]) -> str:
    name = part[0].name
    return f"block {name.split('.')[2]}" if name.startswith("model.layers.") else name.rsplit(".", 1)[0]


def _job(
    source: Source, plan: Plan, calibration: Calibration | None, shard_bytes: int, identity: Sequence[Any] | None
) -> dict[str, Any]:
    """What decides the bytes of the result."""
    if identity is None:
        identity = [[str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for p in source.files]
    return {
        "version": __version__,
        "mlx": version("mlx"),
        "files": identity,
        "config": plan.config,
        "outputs": [[n, str(t.dtype), list(t.shape)] for s in plan.steps for n, t in s.outputs],
        "calibration": None if calibration is None else [list(row) for row in calibration.rows],
        "shard_bytes": shard_bytes,
    }
