"""What parts of the store need of its database, which is made of them: a type, so that they need not know it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol


class DatabaseProtocol(Protocol):
    """The file of conversations."""

    @property
    def path(self) -> Path: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def connection(self) -> sqlite3.Connection: ...
    def row(self, sql: str, values: Sequence[Any] = ()) -> Any: ...
    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]: ...
    def transaction(
        self, *, only_deletes: bool = False, durable: bool = False
    ) -> contextlib.AbstractContextManager[sqlite3.Connection]: ...
    def follow(self) -> None: ...
    def open_conversations(self) -> Iterable[int]: ...
