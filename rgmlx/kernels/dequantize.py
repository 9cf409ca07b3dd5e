"""A 4-bit matrix made dense, for a product of many rows.

    shapes   K inputs   N outputs

For CUDA, where MLX's own writes at a fifth of the memory's speed; on Metal quantized products need no dense matrix.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from . import launch

_KERNEL = launch.Kernel("dequantize", ["weight", "scales", "biases"], ["dense"])
SETTINGS = {"group_size": 64, "bits": 4, "mode": "affine"}


def suits(scales: mx.array, biases: mx.array | None, settings: dict[str, Any], dtype: mx.Dtype) -> bool:
    """Whether the kernels take a matrix: bfloat16, 4 bits in groups of 64, and this is CUDA."""
    return (
        launch.backend() == "cuda"
        and settings == SETTINGS
        and biases is not None
        and scales.dtype == dtype == mx.bfloat16
    )


def dequantize(weight: mx.array, scales: mx.array, biases: mx.array) -> mx.array:
    """codes * scale + bias, rounded once.

    Args:
        weight: uint32 [N, K / 8];  scales, biases: bfloat16 [N, K / 64], as `mx.quantize` makes them.

    Returns:
        bfloat16 [N, K]. Not differentiable: the matrices of a quantized layer are not trained.
    """
    if not launch.on_gpu("dequantize"):
        return plain(weight, scales, biases)
    rows, words = weight.shape
    threads = min(launch.blocks(words, 32), 256)
    (dense,) = _KERNEL(
        [weight, scales, biases],
        shapes=[(rows, 8 * words)],
        dtypes=[mx.bfloat16],
        grid=(threads * rows, -(-words // threads), 1),
        threadgroup=(threads, 1, 1),
        template={"WORDS": words, "THREADS": threads},
    )
    return dense


def plain(weight: mx.array, scales: mx.array, biases: mx.array) -> mx.array:
    """`dequantize` in plain MLX operations."""
    scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
    return mx.dequantize(weight, scales, biases, group_size=64, bits=4).astype(mx.bfloat16)
