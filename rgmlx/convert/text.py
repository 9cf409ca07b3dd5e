"""Texts as token ids, for measuring and for calibration, and figures as text."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np

from ..errors import RgmlxError
from ..griffin.config import ModelConfig
from ..system.decoding import NotText
from ..system.paths import expanded
from ..system.reading import read_text
from ..tokenizer import Tokenizer

_ROW = 512  # tokens of a row at most: each row starts a text
_CPU_OPERATIONS = 4e10  # half a minute of MLX's CPU build, whose products are slow


def budget(config: ModelConfig) -> int:
    """How many tokens two models can be compared on without trying anybody's patience: 32 to 2,048."""
    if mx.default_device() == mx.gpu:
        return 2048
    return int(min(2048, max(32, _CPU_OPERATIONS / (4 * config.parameter_counts()["total"]))))


def rows(text: str, tokenizer: Tokenizer, limit: int, row: int = _ROW) -> list[list[int]]:
    """A text as rows of one length, each with `<bos>` in front.

    Args:
        limit: tokens at most, all rows together.

    Raises:
        RgmlxError: the text has fewer than two tokens.
    """
    ids = tokenizer.encode(text)[:limit]
    if len(ids) < 2:
        raise RgmlxError("the text is too short to measure anything: give a page or more")
    length = min(row - 1, len(ids))
    return [[tokenizer.bos, *ids[i : i + length]] for i in range(0, len(ids) - length + 1, length)]


def random_rows(config: ModelConfig, limit: int) -> list[list[int]]:
    """Random ids, for a model without a tokenizer."""
    ids = np.random.default_rng(0).integers(0, config.vocab_size, limit)
    length = min(_ROW, limit)
    return ids[: limit // length * length].reshape(-1, length).tolist()


def built_in() -> str:
    """The text that is measured on when none is given: prose, dialogue, instructions, code."""
    return (Path(__file__).parent / "text.txt").read_text(encoding="utf-8")


def from_file(path: str) -> str:
    """A text file, as `rgmlx.system.decoding` reads it. Raises RgmlxError: it can't be read, or is not text."""
    try:
        return read_text(expanded(path))
    except OSError as e:
        raise RgmlxError(f"the text {path} can't be read: {e.strerror or e}") from None
    except NotText as e:
        raise RgmlxError(f"the text {path} is {e}") from None


def size(nbytes: int) -> str:
    """Bytes for a person."""
    return f"{nbytes / 1e9:,.2f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:,.1f} MB"
