"""The machine's own GPU, where it has one: every kernel beside plain operations, and the embedded model beside the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import numpy as np
import oracle
import pytest

import rgmlx
from rgmlx.verification import parity
from rgmlx.verification.parity import Shape

pytestmark = pytest.mark.skipif(not mx.is_available(mx.gpu), reason="this machine's MLX has no GPU")


@pytest.fixture(autouse=True)
def on_the_gpu() -> Iterator[None]:
    mx.set_default_device(mx.gpu)
    yield
    mx.set_default_device(mx.cpu)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16], ids=["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "shape", [Shape(1, 1, 1, 5, size=6, heads=1, ring=1), Shape(3, 31), Shape(2, 300, 3, 20)], ids=str
)
def test_parity(shape: Shape, dtype: mx.Dtype) -> None:
    wrong = {str(c): e for c in parity.cases(shape, dtype) if not (e := c.error()) <= c.tolerance}
    assert not wrong


def test_the_embedded_model_as_on_the_cpu(demo: rgmlx.Model) -> None:
    """Chunks and single tokens; TF32 products, CUDA's default, are allowed for."""
    ids = [2, *range(5, 60)]
    want = np.array(demo.logits([ids]))
    model = rgmlx.load("demo", dtype="float32")
    assert oracle.relative_error(np.array(model.logits([ids])), want) < 5e-3
    state = model.new_state()
    steps = np.concatenate([np.array(model.logits([[i]], state)) for i in ids], axis=1)
    assert oracle.relative_error(steps, want) < 5e-3
