"""The rows of the table of models: what is said of a model that is here, and of one that can be had.

Knows names, sizes and places, and how a row is drawn. Looks at no disk: what is there was found out before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import JustifyMethod
from rich.text import Text

from rgmlx.errors import PathError
from rgmlx.griffin.config import PRESETS
from rgmlx.system.formatting import size
from rgmlx.system.paths import expanded
from rgmlx.system.printable import printable
from rgmlx.weights.catalog import Installed, kind
from rgmlx.weights.hub import DEMO, PUBLISHED
from rgmlx.weights.search import Published

OFFERED = {repository: shape for shape, repository in PUBLISHED.items()}
"""Repositories that are shown whether they are here or not, with their shapes."""
COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("Model", "left"),
    ("Size", "right"),
    ("Bits", "left"),
    ("Window", "right"),
    ("Kind", "left"),
    ("Where", "left"),
)
_MAX_NAME = 40  # characters of a name in the table; the line below it has all of it


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        cells: what stands in each column.
        problem: why it can't be chosen; empty: it can.
        path: where it is; None: nothing of it is here.
        complete: whether all of it is here.
        repository: whether the name is one of Hugging Face.
    """

    name: str
    cells: tuple[str, ...]
    problem: str
    path: Path | None
    complete: bool
    repository: bool

    @property
    def to_download(self) -> bool:
        """Whether it, or the rest of it, can be had."""
        return self.repository and not self.complete

    def answers_to(self, name: str) -> bool:
        """Whether this is the model that a conversation calls by this name."""
        if name in (self.name, DEMO) or self.repository or self.path is None:
            return name == self.name
        try:
            return os.path.abspath(expanded(name)) == str(self.path)
        except PathError:  # an imported conversation may name anything
            return False

    def drawn(self, columns: int, current: bool) -> list[Text]:
        """The first cells. As Text: a str would be read as markup. `current`: whether it is marked."""
        style = "" if self.complete and not self.problem else "dim"
        drawn = [
            Text(printable(cell), style, justify=justify)
            for cell, (_, justify) in zip(self.cells[:columns], COLUMNS, strict=False)
        ]
        drawn[0] = Text("* " if current else "  ", style) + drawn[0]
        drawn[0].truncate(_MAX_NAME, overflow="ellipsis")
        return drawn


def rows(models: Sequence[Installed], found: Sequence[Published] = ()) -> list[Row]:
    """A row for each model that is here, for those that are offered, and for those that a search has found."""
    here = [_installed(model) for model in models]
    names = {row.name for row in here}
    offered = [_offered(name, preset) for name, preset in OFFERED.items() if name not in names]
    names |= set(OFFERED)
    return here + offered + [_published(one) for one in found if one.name not in names]


def _installed(model: Installed) -> Row:
    plain = model.name != DEMO and not model.cached
    name = model.path.name if plain else model.name
    where = "comes with rgmlx" if model.name == DEMO else _short(model.path.parent) if plain else "Hugging Face cache"
    if model.problem:
        where += ", not usable" if model.complete else ", in part"
    window = f"{model.window:,}" if model.window else "?"
    cells = (name, size(model.size), model.bits, window, model.kind, where)
    return Row(model.name, cells, model.problem, model.path, model.complete, model.cached)


def _offered(name: str, preset: str) -> Row:
    config = PRESETS[preset]
    count = 2 * config.parameter_counts()["total"]  # bytes, in bfloat16
    cells = (name, size(count), "bf16", f"{config.attention_window_size:,}", kind(config), "not here")
    return Row(name, cells, "not here yet: Enter gets it, in 4 bits", None, complete=False, repository=True)


def _published(one: Published) -> Row:
    what = ["not here yet: Enter gets it" + ("" if one.quantized else ", in 4 bits")]
    what += ["its terms come first"] * one.gated
    what.append(f"{one.downloads:,} downloads last month")
    cells = (one.name, size(one.size) if one.size else "?", one.bits, "?", "?", "found" + ", gated" * one.gated)
    return Row(one.name, cells, ", ".join(what), None, complete=False, repository=True)


def _short(path: Path) -> str:
    """With ~ for the home directory."""
    text, home = str(path), os.path.expanduser("~")
    return f"~{text.removeprefix(home)}" if text == home or text.startswith(home.rstrip("/") + "/") else text
