"""From a name to a directory: `demo`, a path, or a Hugging Face repository."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ..errors import ModelNotFoundError, PathError
from ..griffin.config import PRESETS
from ..shell import typed
from ..system.macos import power, privacy, time_machine
from ..system.paths import expanded
from . import account
from .quiet import quiet
from .refusals import explained

DEMO = "demo"
PUBLISHED = {"2b": "google/recurrentgemma-2b-it", "9b": "google/recurrentgemma-9b-it"}
"""Google's models that were made to talk, by their shape."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
FILES = ["config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "*.jinja"]
"""What of a repository a model needs, as patterns."""


def demo_directory() -> Path:
    """Where the embedded model lies."""
    return Path(__file__).parent.parent / "demo"


def is_repository(name: str) -> bool:
    """Whether `resolve` would ask Hugging Face for this name."""
    return bool(_REPOSITORY.fullmatch(name)) and not os.path.exists(name)


def named(name: str, directory: Path | None) -> str:
    """A model's name and, where that does not say it, its directory: how a report shows it."""
    known = directory is None or expanded(name) == directory
    return name if known else f"{name}  ({directory})"


def resolve(name: str | Path) -> Path:
    """The directory of a model, downloaded into Hugging Face's cache when it is not there yet.

    Args:
        name: `demo`, a directory, or a repository such as `google/recurrentgemma-2b-it`.

    Raises:
        ModelNotFoundError: nothing by that name can be had; the sentence says why and what to do.
    """
    text = str(name)
    if text == DEMO:
        return demo_directory()
    try:
        path = expanded(name)
    except PathError:  # of nobody: just not there
        path = Path(text)
    if text and os.path.isdir(path):  # os.path: an impossible name is just not there
        return looked_into(path)
    if text and os.path.exists(path):
        raise ModelNotFoundError(f"{path} is a file: name the directory that holds config.json")
    if isinstance(name, Path) or not is_repository(text):
        hint = (
            f"'{text}' is a shape without weights (see `{typed(f'rgmlx info {text}')}`)"
            if text in PRESETS
            else f"there is no model '{text}'"
        )
        raise ModelNotFoundError(
            f"{hint}: name a directory, a Hugging Face repository such as google/recurrentgemma-2b-it, or '{DEMO}'"
        )
    return _download(text)


def looked_into(directory: Path) -> Path:
    """The directory. Raises ModelNotFoundError: macOS keeps us out of it, so that it would seem to be empty."""
    try:
        privacy.check(directory)
    except privacy.NotAllowed as e:
        raise ModelNotFoundError(f"{directory} can't be read: {e.strerror}") from None
    return directory


def cached(repository: str) -> Path:
    """The directory of a repository in Hugging Face's cache, whether it is there or not."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


@contextlib.contextmanager
def made_here(repository: str) -> Iterator[None]:
    """Around a download: backups leave out what it makes anew in the cache, and only that."""
    directory = cached(repository)
    new = not directory.exists()
    try:
        yield
    finally:
        if new and directory.is_dir():
            time_machine.leave_out(directory)


def _download(repository: str) -> Path:
    # Imported here: it pulls in an HTTP stack that a local model never needs.
    from huggingface_hub import snapshot_download

    watched = sys.stderr is not None and sys.stderr.isatty()
    try:
        with contextlib.nullcontext() if watched else quiet(), power.awake(), made_here(repository):
            return Path(snapshot_download(repository, allow_patterns=FILES, token=account.token()))
    except Exception as e:  # the HTTP library's own connection errors have no common base with the others
        raise explained(e, repository) from None
