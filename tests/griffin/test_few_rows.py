"""Quantized products of few rows: as one matrix, and of at least eight rows on CUDA; each row is what it is alone."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from rgmlx.griffin import projections
from rgmlx.kernels import launch

SETTINGS = {"group_size": 64, "bits": 4, "mode": "affine"}


@pytest.mark.parametrize("gpu", ["cuda", "metal"])
@pytest.mark.parametrize("rows", [(1, 2), (3, 1), (1, 7), (2, 4), (9, 1)], ids=str)
def test_few_rows(monkeypatch: pytest.MonkeyPatch, rows: tuple[int, int], gpu: str) -> None:
    rng = np.random.default_rng(4)
    x = mx.array(rng.normal(size=(*rows, 64))).astype(mx.bfloat16)
    matrix = mx.quantize(mx.array(rng.normal(size=(40, 64))).astype(mx.bfloat16), 64, 4)
    want = mx.quantized_matmul(x, *matrix, transpose=True, group_size=64, bits=4)
    seen: list[tuple[int, ...]] = []
    product = mx.quantized_matmul

    def recorded(x: mx.array, *given: object, **settings: object) -> mx.array:
        seen.append(x.shape)
        return product(x, *given, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(mx, "quantized_matmul", recorded)
    monkeypatch.setattr(launch, "backend", lambda: gpu)
    got = projections.multiply(x, *matrix, SETTINGS, True)
    count = rows[0] * rows[1]
    assert seen == [(max(8, count) if gpu == "cuda" else count, 64)]
    assert got.shape == want.shape and mx.array_equal(got, want)
