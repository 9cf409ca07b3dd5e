"""Are the bytes of a model those that were published? Where somebody has noted a SHA-256, they are compared with it.

Who notes one: `rgmlx convert` and the embedded model in the index of the weights, the Hugging Face cache in the name of
a blob, `hf download --local-dir` beside the files. A file is read for it once; what it was then (place, size, times,
digest) is remembered in the user's cache directory. `rgmlx doctor` reads it always.

A model's *identity*, which saved states are compared with, says which model it is, by a few values of each tensor. It
does not say that every bit is right: that would cost every load a pass over the file where nobody has noted anything to
compare with, and states saved so far would fit no model any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..system import cache
from ..system.reading import MAX_INDEX, MAX_SETTINGS, open_regular, read_json, read_text

INDEX = "model.safetensors.index.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENTRIES = 1_000  # files that are remembered


def _file() -> Path:
    return cache.file("verified.json")


def noted(directory: Path) -> dict[Path, tuple[str, str]]:
    """The files of a model whose SHA-256 somebody has noted: that, and what to do about another one.

    Weights and tokenizers; a damaged index or note is as none.
    """
    found: dict[Path, tuple[str, str]] = {}
    changed = f"take its sha256 out of {INDEX} if you have changed the file, else {CheckpointError.remedy}"
    for name, digest in _indexed(directory).items():
        found[directory / name] = digest, changed
    with contextlib.suppress(OSError):
        for path in sorted(directory.iterdir()):
            if path.suffix != ".safetensors" and not path.name.startswith("tokenizer"):
                continue
            if digest := _blob(path):
                found[path] = (
                    digest,
                    f"delete {path.resolve()} and {path}, then load the model again, which downloads it",
                )
            elif path not in found and (digest := _local(path)):
                found[path] = digest, "download it again"
    return {path: what for path, what in found.items() if os.path.isfile(path)}


def _indexed(directory: Path) -> Mapping[str, str]:
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        sums: Any = read_json(directory / INDEX, MAX_INDEX)["metadata"]["sha256"]
        return {n: str(s) for n, s in sums.items() if _SHA256.fullmatch(str(s)) and Path(n).name == n}
    return {}


def _blob(path: Path) -> str:
    """The digest that the cache of Hugging Face has a file under: its name, for large files."""
    if not path.is_symlink():
        return ""
    blob = path.resolve()
    return blob.name if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name) else ""


def _local(path: Path) -> str:
    """The digest that `hf download --local-dir` has noted of a file that was not written to since."""
    with contextlib.suppress(OSError, ValueError):
        note = path.parent / ".cache" / "huggingface" / "download" / f"{path.name}.metadata"
        _, etag, time = read_text(note, MAX_SETTINGS).split("\n")[:3]
        if _SHA256.fullmatch(etag) and path.stat().st_mtime - 1 <= float(time):
            return etag
    return ""


def verify(directory: Path, *, afresh: bool = False) -> list[Path]:
    """Compares every file with its noted SHA-256.

    Args:
        afresh: reads the files, whatever is remembered.

    Returns:
        The files that have one.

    Raises:
        CheckpointError: one is damaged, or can't be read.
    """
    files = noted(directory)
    if not files:
        return []
    store = _file()
    known = cache.read(store, str)
    before = dict(known)
    try:
        for path, (want, remedy) in files.items():
            key, stamp = os.path.realpath(path), _stamp(path)
            if not afresh and known.get(key) == f"{stamp} {want}":
                continue
            known.pop(key, None)
            if (got := _sha256(path)) != want:
                raise CheckpointError(
                    f"{path} is damaged: its SHA-256 is {got[:12]}…, {want[:12]}… was noted of it: {remedy}"
                )
            known[key] = f"{stamp} {want}"
    finally:
        if known != before:
            cache.write(store, known, _ENTRIES)
    return list(files)


def _stamp(path: Path) -> str:
    """What changes when somebody writes to a file, or puts another in its place."""
    try:
        s = path.stat()
    except OSError as e:
        raise CheckpointError(f"{path} can't be read: {e.strerror or e}") from None
    return f"{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_dev} {s.st_ino}"


def _sha256(path: Path) -> str:
    try:
        with open_regular(path) as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise CheckpointError(f"{path} can't be read: {e.strerror or e}") from None
