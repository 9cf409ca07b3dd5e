"""For tests: a debug log that has begun."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rgmlx import errors
from rgmlx.system import debug_log, variables


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A log that has begun; its file."""
    logger = logging.getLogger("rgmlx")
    level, propagates, handlers = logger.level, logger.propagate, list(logger.handlers)
    monkeypatch.setenv(variables.LOG, "debug")
    monkeypatch.setattr(debug_log, "_file", None)
    monkeypatch.setattr(errors, "noticed", None)
    assert debug_log.begin(tmp_path / "log") == ""
    yield tmp_path / "log" / debug_log.NAME
    logger.handlers[:], logger.propagate = handlers, propagates
    logger.setLevel(level)
