"""Hugging Face's library without its noise."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the library's bars, hints and retries out of a stderr that nobody watches."""
    from huggingface_hub.utils.logging import get_logger  # importing it sets the level, which must not come after ours
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = get_logger()
    level, bars = logger.level, not are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            logger.setLevel(logging.ERROR)
            disable_progress_bars()
            yield
        finally:
            logger.setLevel(level)
            if bars:
                enable_progress_bars()
