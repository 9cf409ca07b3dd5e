"""Sentences for the user. One about a damaged file lies beside that until it was shown, whatever ends this process.

Knows a list and names of files; knows nothing of what is said.
"""

from __future__ import annotations

import contextlib
import glob
from pathlib import Path
from typing import SupportsIndex

from ...system.disk import flush
from ...system.private_files import opener
from ...system.reading import read_bytes

_MOST = 1_000_000  # bytes of a sentence


class Notices(list[str]):
    """Sentences in order. Whoever shows one takes it out with `pop`, and no other start says it again."""

    def __init__(self) -> None:
        super().__init__()
        self._files: dict[str, Path] = {}

    def keep(self, damaged: Path, sentence: str) -> None:
        """Keeps what is to be said once a damaged file has this name. Where there is no room it is not kept."""
        with contextlib.suppress(OSError), open(_beside(damaged), "w", encoding="utf-8", opener=opener) as file:
            file.write(sentence)
            file.flush()
            flush(file.fileno())

    def load(self, path: Path) -> None:
        """Adds what was kept for a file, and not shown. What was to be said of damaged files that are not there goes."""
        for kept in sorted(path.parent.glob(f".{glob.escape(path.stem)}.damaged-*.said")):
            with contextlib.suppress(OSError):
                if not path.with_name(kept.name[1:].removesuffix(".said")).exists():
                    kept.unlink()
                    continue
                sentence = read_bytes(kept, _MOST).decode(errors="replace")
                self._files[sentence] = kept
                if sentence and sentence not in self:
                    self.append(sentence)

    def pop(self, index: SupportsIndex = -1) -> str:
        """Takes a sentence out, to show it. Raises IndexError."""
        sentence = super().pop(index)
        if kept := self._files.pop(sentence, None):
            with contextlib.suppress(OSError):
                kept.unlink(missing_ok=True)
        return sentence


def _beside(damaged: Path) -> Path:
    return damaged.with_name(f".{damaged.name}.said")
