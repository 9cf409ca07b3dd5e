"""One kernel source for two GPUs: Metal bodies, run by MLX's Metal build or, through a header, by its CUDA build.

A kernel is a `.metal` file: the body that `mx.fast.metal_kernel` wraps in a signature of its own. On
CUDA the same text goes to `mx.fast.cuda_kernel` behind `msl_on_cuda.h`, which maps Metal's names to
CUDA's. What both must understand, a body keeps to: no pointers to threadgroup memory, no 0-d inputs,
attribute names literally in the body, no return and no divergent simd operation before a barrier, and
a guard where the grid may be rounded up.

`RGMLX_KERNELS=off` switches all of them off; plain MLX operations then do the same work.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx

_HERE = Path(__file__).parent
Backend = Literal["metal", "cuda"]


def backend() -> Backend | None:
    """Which GPU runs kernels here: None on a CPU, and when they are switched off."""
    if _off or mx.default_device() != mx.gpu:
        return None
    return "metal" if mx.metal.is_available() else "cuda"


_off = os.environ.get("RGMLX_KERNELS", "").lower() in ("off", "0", "no", "false")


def switch(on: bool) -> None:
    """Switches the kernels on or off in this process."""
    global _off
    _off = not on


@contextlib.contextmanager
def plain_operations() -> Iterator[None]:
    """Within it, all operations run as their twins."""
    global _off
    before, _off = _off, True
    try:
        yield
    finally:
        _off = before


def source(name: str) -> str:
    """The text of a file of this directory."""
    return (_HERE / name).read_text(encoding="ascii")


class Kernel:
    """A `.metal` body with the names of its inputs and outputs; compiled at its first call.

    Args:
        name: the file's stem.
        inputs, outputs: argument names as the body uses them.
    """

    def __init__(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.name, self.inputs, self.outputs = name, list(inputs), list(outputs)

    def __call__(
        self,
        arrays: Sequence[mx.array],
        *,
        shapes: Sequence[Sequence[int]],
        dtypes: Sequence[mx.Dtype],
        grid: tuple[int, int, int],
        threadgroup: tuple[int, int, int],
        template: dict[str, Any],
    ) -> list[mx.array]:
        """Launches over `grid` threads. Outputs are not initialised: the body writes every element."""
        make = mx.fast.metal_kernel if backend() != "cuda" else mx.fast.cuda_kernel
        return _compiled(make, self.name, tuple(self.inputs), tuple(self.outputs))(
            inputs=list(arrays),
            output_shapes=list(shapes),
            output_dtypes=list(dtypes),
            grid=grid,
            threadgroup=threadgroup,
            template=list(template.items()),
        )


@cache
def _compiled(make: Callable[..., Any], name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
    header = source("prelude.metal")
    if make is not mx.fast.metal_kernel and make is getattr(mx.fast, "cuda_kernel", None):
        header = source("msl_on_cuda.h") + header
    return make(
        name=f"rgmlx_{name}",
        input_names=list(inputs),
        output_names=list(outputs),
        source=source(f"{name}.metal"),
        header=header,
    )


def with_gradient(
    kernel: Callable[..., Any], twin: Callable[..., Any], arrays: Sequence[mx.array], raw: bool = False
) -> Any:
    """Runs `kernel(*arrays)`; its derivative is that of `twin`, the same function in plain operations.

    Args:
        raw: leave the derivative out. A decode step is never differentiated, and each wrapper is one
            more node for the host to walk.
    """
    if raw:
        return kernel(*arrays)
    function = mx.custom_function(kernel)

    @function.vjp
    def vjp(primals: Any, cotangents: Any, _: Any) -> Any:
        gradients = mx.vjp(twin, _listed(primals), _listed(cotangents))[1]
        return tuple(gradients) if len(gradients) > 1 else gradients[0]

    return function(*arrays)


def _listed(arrays: Any) -> list[mx.array]:
    # MLX passes a single array as it is.
    return list(arrays) if isinstance(arrays, (list, tuple)) else [arrays]


def rows(given: mx.array | None, batch: int, otherwise: int) -> mx.array:
    """One int32 a row: what is given, or the same number for all."""
    return mx.array([otherwise] * batch, mx.int32) if given is None else given


def blocks(size: int, block: int) -> int:
    """`size` rounded up to whole blocks."""
    return -(-size // block) * block
