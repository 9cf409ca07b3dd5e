"""Fixtures: the embedded model, the goldens, and random checkpoints of any shape."""

from __future__ import annotations

import sys
from pathlib import Path

import mlx.core as mx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_server import closed, home, hub, server
from sessions import begin_sessions, read_in_small_steps
from stores import chat, store

import rgmlx

# Fixtures for all tests.
__all__ = ["begin_sessions", "chat", "closed", "home", "hub", "read_in_small_steps", "server", "store"]

# Exact arithmetic is compared here, to a millionth: on a GPU as well as on a CPU that would test exp and TF32 more
# than us. The GPU's own tests are in test_device.py.
mx.set_default_device(mx.cpu)


@pytest.fixture(scope="session")
def demo() -> rgmlx.Model:
    return rgmlx.load("demo")


@pytest.fixture(scope="session")
def tiny() -> rgmlx.Model:
    """The random golden checkpoint, which has no tokenizer."""
    return rgmlx.load(Path(__file__).parent / "goldens" / "tiny", dtype="float32")
