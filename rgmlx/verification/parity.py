"""Every kernel beside its reference in plain MLX operations, on whatever device there is.

The same cases serve the tests (in an emulator), `rgmlx doctor` (on the machine's own GPU) and the
self-check at the first load. An error is relative: the largest difference, as a fraction of the largest
number expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from ..griffin.config import ATTENTION, ModelConfig
from ..kernels import launch
from ..kernels.add_norm import add_norm
from ..kernels.attend_step import attend_step
from ..kernels.conv import conv
from ..kernels.dequantize import dequantize
from ..kernels.gelu_product import gelu_product
from ..kernels.quantized_step import quantized_step
from ..kernels.recurrent_step import Inputs as StepInputs
from ..kernels.recurrent_step import recurrent_step
from ..kernels.rg_lru import Inputs, gated, rg_lru
from ..kernels.rotary import rotary
from ..kernels.rotary_step import rotary_step

TOLERANCE = {mx.float32: 1e-4, mx.bfloat16: 2.0**-7, mx.float16: 2.0**-10}
"""Accepted errors: other exp and tanh bits than the CPU's in float32, one unit in the last place in 16 bits."""

Arrays = Sequence[mx.array]


@dataclass(frozen=True)
class Shape:
    """The sizes of a case: batch, time, gate blocks, channels of a block, taps, heads, kv heads, head size, ring."""

    batch: int = 1
    time: int = 33
    blocks: int = 2
    block: int = 24
    taps: int = 4
    heads: int = 4
    kv_heads: int = 1
    size: int = 16
    ring: int = 40

    def __str__(self) -> str:
        return f"{self.batch} x {self.time} x {self.blocks * self.block}"


@dataclass(frozen=True)
class Case:
    """One kernel on one set of numbers. `run` computes it by the kernel or by its reference, as `launch` says."""

    kernel: str
    dtype: mx.Dtype
    shape: Shape
    run: Callable[[], Arrays]

    def __str__(self) -> str:
        return f"{self.kernel} {str(self.dtype).removeprefix('mlx.core.')} {self.shape}"

    @property
    def functions(self) -> tuple[str, ...]:
        """What is not to be trusted where this is wrong, as `launch.leave_out` takes it."""
        body = self.kernel.split(",")[0].removesuffix("_vjp")
        if body != "rg_lru_scan":
            return (body,)
        return ("gated", "rg_lru") if "gated" in self.kernel else ("rg_lru",)  # one body: inference runs it gated

    @property
    def is_of_training(self) -> bool:
        """Whether nothing but training needs this form."""
        return self.kernel == "rg_lru_scan" or "_vjp" in self.kernel or self.kernel.endswith(", packed")

    @property
    def tolerance(self) -> float:
        """The largest error accepted."""
        if self.dtype == mx.float32 and launch.rounds_products():
            return 2e-3  # of the reference's products
        return TOLERANCE[self.dtype]

    def error(self) -> float:
        """Runs both and compares: the relative error; infinite where a number of either is not finite.

        Raises:
            RuntimeError: the kernel can't be compiled or launched (MLX's message).
        """
        got = [np.array(a.astype(mx.float32)) for a in self.run()]
        with launch.plain_operations():
            want = [np.array(a.astype(mx.float32)) for a in self.run()]
        return max(_error(g, w) for g, w in zip(got, want, strict=True))


def _error(got: np.ndarray, want: np.ndarray) -> float:
    if got.shape != want.shape or not (np.isfinite(got).all() and np.isfinite(want).all()):
        return float("inf")
    difference = float(np.abs(got - want).max(initial=0.0))
    return difference / max(float(np.abs(want).max(initial=0.0)), 1e-6)


def training_cases(shape: Shape, dtype: mx.Dtype, seed: int = 0) -> Iterator[Case]:
    """What training alone does: gradients, and the kernels on rows of several sequences."""
    rng = np.random.default_rng(seed)
    s, width = shape, shape.blocks * shape.block

    def own(*sizes: int, dtype: mx.Dtype = dtype) -> mx.array:
        return mx.array(rng.standard_normal(sizes).astype(np.float32)).astype(dtype)

    begins = rng.random((s.batch, s.time)) < 0.2
    begins[:, 0] = True
    steps = np.arange(s.time)
    positions = mx.array((steps - np.maximum.accumulate(np.where(begins, steps, 0), axis=1)).astype(np.int32))
    gates = (s.batch, s.blocks, s.time, s.block)
    bias, h = own(width, dtype=mx.float32), own(s.batch, width, dtype=mx.float32)
    inputs = Inputs(own(*gates), own(*gates), own(*gates), bias, -bias, bias - 5.0, h)
    branch, branch_bias = own(s.batch, s.time, 2 * width), own(2 * width)
    d_y, d_last = own(s.batch, s.time, width, dtype=mx.float32), own(s.batch, width, dtype=mx.float32)
    tail, taps = own(s.batch, s.taps - 1, width), own(width, s.taps, 1, dtype=mx.float32)

    def gradient() -> Arrays:
        def f(*arrays: mx.array) -> list[mx.array]:
            return list(rg_lru(Inputs(*arrays), None, None, positions))

        return mx.vjp(f, list(inputs), [d_y, d_last])[1]

    d_z = own(*gates)

    def conv_gradient() -> Arrays:
        def f(*arrays: mx.array) -> list[mx.array]:
            product, product_bias, weight, conv_bias = arrays
            return [conv(product, product_bias, tail, weight, conv_bias, None, s.blocks, False, positions)[0]]

        return mx.vjp(f, [branch, branch_bias, taps, bias], [d_z])[1]

    stream, added, added_bias, weight = (
        *(own(s.batch, s.time, width, dtype=mx.float32), own(s.batch, s.time, width), own(width)),
        own(width, dtype=mx.float32),
    )

    def norm_gradient() -> Arrays:
        def f(*arrays: mx.array) -> list[mx.array]:
            x, y, w, *rest = arrays
            return list(add_norm(x, y, rest[0] if rest else None, w, 1e-6, dtype))

        given = [stream, added, weight]
        return [
            *mx.vjp(f, [*given, added_bias], [d_y, added])[1],
            *mx.vjp(f, given, [d_y, added])[1],
        ]

    def product_gradient() -> Arrays:
        def f(*arrays: mx.array) -> list[mx.array]:
            return [gelu_product(arrays[0], None, arrays[1])]

        return mx.vjp(f, [branch, branch_bias], [added])[1]

    yield Case("add_norm_vjp", dtype, s, norm_gradient)
    yield Case("gelu_product_vjp", dtype, s, product_gradient)
    yield Case("rg_lru_scan, packed", dtype, s, lambda: rg_lru(inputs, None, None, positions))
    yield Case(
        "rg_lru_scan, gated, packed", dtype, s, lambda: gated(inputs, None, None, branch, branch_bias, True, positions)
    )
    yield Case("rg_lru_scan_vjp, packed", dtype, s, gradient)
    if s.taps > 1:
        yield Case(
            *("conv, packed", dtype, s),
            lambda: conv(branch, branch_bias, tail, taps, bias, None, s.blocks, True, positions),
        )
        yield Case("conv_vjp, packed", dtype, s, conv_gradient)


def cases(shape: Shape, dtype: mx.Dtype, seed: int = 0) -> Iterator[Case]:
    """All kernels on random numbers of one shape and dtype."""
    rng = np.random.default_rng(seed)
    s, width = shape, shape.blocks * shape.block

    def numbers(*sizes: int, dtype: mx.Dtype = mx.float32, scale: float = 1.0) -> mx.array:
        return mx.array((scale * rng.standard_normal(sizes)).astype(np.float32)).astype(dtype)

    def own(*sizes: int, scale: float = 1.0) -> mx.array:
        return numbers(*sizes, dtype=dtype, scale=scale)

    first = mx.array([i % 2 == 0 for i in range(s.batch)]).astype(mx.int32)
    lengths = mx.array([max(1, s.time - 3 * i) for i in range(s.batch)], mx.int32)
    gates = (s.batch, s.blocks, s.time, s.block)
    bias, h = numbers(width), numbers(s.batch, width)
    inputs = Inputs(own(*gates), own(*gates), own(*gates), bias, -bias, bias - 5.0, h)
    branch, branch_bias = own(s.batch, s.time, 2 * width), own(2 * width)
    d_y, d_last = numbers(s.batch, s.time, width), numbers(s.batch, width)

    def gradient() -> Arrays:
        def f(*arrays: mx.array) -> list[mx.array]:
            return list(rg_lru(Inputs(*arrays), first, lengths))

        return mx.vjp(f, list(inputs), [d_y, d_last])[1]

    yield Case("rg_lru_scan", dtype, s, lambda: rg_lru(inputs, first, lengths))
    yield Case(
        "rg_lru_scan, gated", dtype, s, lambda: gated(inputs, first, lengths, branch, branch_bias, inference=True)
    )
    yield Case("rg_lru_scan_vjp", dtype, s, gradient)

    tail, taps, conv_bias = own(s.batch, s.taps - 1, width), numbers(width, s.taps, 1), numbers(width)
    if s.taps > 1:
        yield Case(
            "conv",
            dtype,
            s,
            lambda: conv(branch, branch_bias, tail, taps, conv_bias, lengths, s.blocks, inference=True),
        )
        blocks = [own(s.blocks, s.block, s.block, scale=s.block**-0.5) for _ in range(2)]
        step = StepInputs(
            *(branch[:, :1], branch_bias, tail, taps, conv_bias, blocks[0], blocks[1]), bias, -bias, bias - 5.0, h
        )
        yield Case("recurrent_step", dtype, s, lambda: recurrent_step(step, first, inference=True))

    beside = own(s.batch, s.time, width)
    stream, added, weight = numbers(s.batch, s.time, width), own(s.batch, s.time, width), numbers(width)
    yield Case(
        "add_norm", dtype, s, lambda: add_norm(stream, added, branch_bias[:width], weight, 1e-6, dtype, inference=True)
    )
    yield Case(
        "add_norm, no bias", dtype, s, lambda: add_norm(stream, added, None, weight, 1e-6, dtype, inference=True)
    )
    yield Case("gelu_product", dtype, s, lambda: [gelu_product(branch, None, branch_bias, inference=True)])
    yield Case("gelu_product, apart", dtype, s, lambda: [gelu_product(added, beside, None, inference=True)])

    all_heads, half = s.heads + 2 * s.kv_heads, max(1, s.size // 4)
    joined, joined_bias = own(s.batch, s.time, all_heads * s.size), own(all_heads * s.size)
    angles = rng.uniform(0, 6, (s.batch, 1, s.time, half)).astype(np.float32)
    cosine, sine = mx.array(np.cos(angles)), mx.array(np.sin(angles))
    yield Case(
        "rotary", dtype, s, lambda: rotary(joined, joined_bias, cosine, sine, s.heads, s.kv_heads, inference=True)
    )
    ring = [own(s.batch, s.kv_heads, s.ring, s.size) for _ in range(2)]
    where = mx.array([[(7 * i + 5) % s.ring, max(1, s.ring - 3 * i)] for i in range(s.batch)], mx.float32)
    place = mx.concatenate([cosine[:, 0, 0], sine[:, 0, 0], where], axis=1)
    token, query = joined[:, :1], own(s.batch, s.heads, 1, s.size)
    yield Case("rotary_step", dtype, s, lambda: rotary_step(token, joined_bias, place, ring[0], ring[1]))
    yield Case("attend_step", dtype, s, lambda: [attend_step(query, ring[0], ring[1], place)])

    if dtype == mx.bfloat16:  # the dtype that these kernels are for
        size = -(-width // 64) * 64
        matrix = mx.quantize(own(2 * s.block, size, scale=size**-0.5), 64, 4)
        row, row_bias = own(1, 1, size), own(2 * s.block)
        yield Case("dequantize", dtype, s, lambda: [dequantize(*matrix)])
        yield Case("quantized_step", dtype, s, lambda: [quantized_step(row, *matrix)])
        yield Case("quantized_step, gelu", dtype, s, lambda: [quantized_step(row, *matrix, row_bias, gelu=True)])


def shape_of(config: ModelConfig, time: int = 33) -> Shape:
    """A case in a model's own sizes, so that what the check compiles is what the model needs."""
    return Shape(
        time=time,
        blocks=config.num_attention_heads,
        block=config.gate_block,
        taps=config.conv1d_width,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        size=config.head_dim,
        ring=config.ring_size if ATTENTION in config.layer_types else 1,
    )
