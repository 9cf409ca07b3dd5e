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
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache as once
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import numpy as np

from ..system import cache, threads, variables

_HERE = Path(__file__).parent
Backend = Literal["metal", "cuda", "numpy"]
_TF32_GENERATION = 17  # of Apple's GPUs, as MLX's is_nax_available (backend/metal/device.cpp) asks for


def backend() -> Backend | None:
    """What computes here in place of plain MLX operations: None where nothing does, and when it is switched off.

    "metal" and "cuda" are kernels on a GPU; "numpy" is a CPU on which MLX has no fast matrix product and NumPy has one
    (not macOS, where MLX uses Accelerate).
    """
    if _off:
        return None
    if mx.default_device() == mx.gpu:
        return "metal" if mx.metal.is_available() else "cuda"
    return "numpy" if sys.platform != "darwin" and threads.has_fast_product() else None


def on_gpu(function: str = "") -> bool:
    """Whether kernels run on a GPU; that of one function, which may be left out, where one is named."""
    return function not in _left_out and backend() in ("metal", "cuda")


def rounds_products() -> bool:
    """Whether plain float32 products of matrices run in TF32 here: on CUDA, and on Metal from the M5 on.

    `MLX_ENABLE_TF32=0`, which MLX reads once, switches that off.
    """
    if os.environ.get("MLX_ENABLE_TF32", "1").strip() == "0":
        return False
    if backend() != "metal":
        return backend() == "cuda"
    found = re.match(r"applegpu_g(\d+)", str(mx.device_info().get("architecture", "")))
    return found is not None and int(found[1]) >= _TF32_GENERATION


def in_numpy(function: Callable[..., Any], *arrays: Any) -> Any:
    """A function of NumPy arrays on MLX arrays (and whatever else), and its results as MLX arrays again.

    Parameters in 16 bits, as mlx-lm loads them, are widened first: NumPy has no bfloat16.
    """
    with threads.limited():
        found = function(*(_to_numpy(a) if isinstance(a, mx.array) else a for a in arrays))
    return tuple(mx.array(f) for f in found) if isinstance(found, tuple) else mx.array(found)


def _to_numpy(array: mx.array) -> np.ndarray:
    return np.array(array.astype(mx.float32) if array.dtype in (mx.bfloat16, mx.float16) else array, copy=False)


def keep_cuda_private() -> None:
    """Gives MLX's CUDA build a directory of the user's own for what it compiles, unless `MLX_PTX_CACHE_DIR` names one.

    Otherwise it is `mlx/VERSION/ptx` of the directory for temporary files, where it takes what any user has put.
    Nothing but MLX looks at the variable, and it does so once. Where there can be no private directory it is empty, and
    MLX keeps nothing.
    """
    if "MLX_PTX_CACHE_DIR" not in os.environ:
        os.environ["MLX_PTX_CACHE_DIR"] = str(cache.private_directory("ptx", version("mlx")) or "")


if hasattr(mx, "cuda") and mx.cuda.is_available():
    keep_cuda_private()
_off = not variables.kernels()
_left_out: frozenset[str] = frozenset()  # functions that run in plain operations, whatever the others do


def switch(on: bool) -> None:
    """Switches all kernels on or off in this process."""
    global _off, _left_out
    _off, _left_out = not on, frozenset()


def leave_out(functions: Iterable[str]) -> None:
    """Has functions of `rgmlx.kernels` run in plain operations in this process; the other kernels stay."""
    global _left_out
    _left_out |= frozenset(functions)


@contextlib.contextmanager
def none_left_out() -> Iterator[None]:
    """Within it, every kernel runs: to check one that was left out before."""
    global _left_out
    before, _left_out = _left_out, frozenset()
    try:
        yield
    finally:
        _left_out = before


def is_off() -> bool:
    """Whether they are switched off, by `RGMLX_KERNELS` or in this process."""
    return _off


@contextlib.contextmanager
def plain_operations() -> Iterator[None]:
    """Within it, all operations run as their references."""
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


@once
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


Gradient = Callable[[list[mx.array], list[mx.array], list[mx.array]], Sequence[mx.array]]
"""Of arguments, gradients of the results, and results: the gradients of the arguments."""


def with_gradient(
    kernel: Callable[..., Any],
    reference: Callable[..., Any],
    arrays: Sequence[mx.array],
    inference: bool = False,
    gradient: Gradient | None = None,
) -> Any:
    """Runs `kernel(*arrays)`; its derivative is that of `reference`, the same function in plain operations.

    Args:
        gradient: computes the derivative in place of the reference.
        inference: leave the derivative out. A decode step is never differentiated, and each wrapper is one
            more node for the host to walk.
    """
    if inference:
        return kernel(*arrays)
    function = mx.custom_function(kernel)

    @function.vjp
    def vjp(primals: Any, cotangents: Any, outputs: Any) -> Any:
        primals, cotangents = _listed(primals), _listed(cotangents)
        if gradient is not None:
            gradients = list(gradient(primals, cotangents, _listed(outputs)))
        else:
            gradients = mx.vjp(reference, primals, cotangents)[1]
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
