"""What a download comes to: the files of a repository, their bytes, and how many of these are here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .hub import cached

WEIGHTS = ".safetensors"


@dataclass(frozen=True)
class File:
    """A file of a repository: its name there, the hash it is kept under, its bytes and how many are here."""

    name: str
    blob: str
    size: int
    here: int

    @property
    def has_weights(self) -> bool:
        return self.name.endswith(WEIGHTS)


@dataclass(frozen=True)
class Plan:
    """What a download comes to; its smallest files come first."""

    repository: str
    commit: str
    files: tuple[File, ...]

    @property
    def directory(self) -> Path:
        """Where the model is, or will be, in the cache; its config.json is there."""
        return cached(self.repository) / "snapshots" / self.commit

    @property
    def total(self) -> int:
        """Bytes of the whole model."""
        return sum(f.size for f in self.files)

    @property
    def here(self) -> int:
        """Bytes that are on the disk already."""
        return sum(f.here for f in self.files)

    @property
    def missing(self) -> int:
        """Bytes to fetch."""
        return self.total - self.here
