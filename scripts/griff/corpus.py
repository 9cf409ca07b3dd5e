"""The folder of texts by others, read one file at a time."""

from __future__ import annotations

import functools
import json
import lzma
from pathlib import Path
from typing import Any


class MissingText(Exception):
    """A file of the corpus that is not there."""


class Corpus:
    """A folder of `NAME.jsonl.xz`: one object a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = functools.cache(self._rows)

    def _rows(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / f"{name}.jsonl.xz"
        if not file.is_file():
            raise MissingText(f"{file} is missing: give the folder of the corpus with --corpus")
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def list_of(self, name: str) -> Any:
        """What one of the word lists (`corpora_lists`) holds."""
        for row in self.rows("corpora_lists"):
            if row["name"] == name:
                return json.loads(row["text"])
        raise MissingText(f"{self.folder}/corpora_lists.jsonl.xz has no list {name}")
