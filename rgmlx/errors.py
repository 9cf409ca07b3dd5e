"""Every error that rgmlx raises on purpose: one sentence that says what to do.

The command line and the chat print `str(error)` and nothing else, so a message must stand
alone: what is wrong, where, and what the reader can do about it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .shell import typed

noticed: Callable[[RgmlxError], None] | None = None
"""Told of every error below as it is made, which is where its cause is at hand: the debug log's, while there is one."""


class RgmlxError(Exception):
    """Base of all errors below.

    Attributes:
        quotes: what of a user's own words the sentence repeats. The debug log leaves it out.
        logged: its number in the debug log; 0 where it is not in it.
    """

    remedy = "make it again"
    """What to do about a damaged file of this kind."""
    quotes: tuple[str, ...] = ()
    logged = 0

    def __init__(self, *args: object, quotes: tuple[str, ...] = ()) -> None:
        super().__init__(*args)
        if noticed is not None:
            self.quotes = quotes
            noticed(self)


class RgmlxWarning(RuntimeWarning):
    """What a program should know that goes on all the same: one sentence, as of an error."""


@contextlib.contextmanager
def warnings_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Within it, each RgmlxWarning is told as a sentence, at once; all others go where they would."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **rest: Any) -> None:
            if issubclass(category, RgmlxWarning):
                tell(str(message))
            else:
                shown(message, category, *where, **rest)

        warnings.simplefilter("always", RgmlxWarning)
        warnings.showwarning = show
        yield


class PathError(RgmlxError, ValueError):
    """A name that can be no file's, such as one in the home of nobody."""


class ConfigError(RgmlxError, ValueError):
    """A `config.json` that is missing, malformed or asks for something unsupported."""


class CheckpointError(RgmlxError, ValueError):
    """Weights that are missing, truncated, misshapen or not finite."""

    remedy = "download or convert the model again"


class ModelNotFoundError(RgmlxError, FileNotFoundError):
    """A model name that is neither a directory, nor `demo`, nor a repository we can reach."""

    # FileNotFoundError would print an errno tuple; the sentence is all there is to say.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TokenizerError(RgmlxError, ValueError):
    """A tokenizer that is missing, broken or of a kind we can't decode."""


class StateError(RgmlxError, ValueError):
    """A saved state that is truncated, or belongs to another model."""

    remedy = "it can't be resumed; use an earlier copy if there is one"


class ChatError(RgmlxError, ValueError):
    """A chat operation that can't be done here, such as a rewind past the beginning."""


class ConstraintError(RgmlxError, ValueError):
    """What a result is to look like is malformed, or nothing can look like that."""


class IncompleteError(RgmlxError):
    """A constrained result was cut short: it is not whole, and would not parse.

    Attributes:
        text: what was written of it; of a batch, of the first row that was cut.
        results: of a batch, each row's result, None where it was cut.
    """

    def __init__(self, sentence: str, text: str = "", results: Sequence[Any] = ()) -> None:
        super().__init__(sentence)
        self.text, self.results = text, list(results)


class DesktopError(RgmlxError):
    """What the desktop was asked for and did not do: a tool of the system is missing or refuses, a recipe is not as it was."""


class NoDeviceError(RgmlxError):
    """MLX computes on a GPU here, and this process is shown none."""

    def __init__(self) -> None:
        super().__init__(
            "macOS shows this program no Metal device, as in a sandbox or in some virtual machines: run it in Terminal on the "
            "Mac itself"
        )


class ComputeError(RgmlxError):
    """MLX could not compute what it was asked for: there was no memory left, or the GPU's driver ended the work."""


class NotFiniteError(RgmlxError, ArithmeticError):
    """A model computes NaN or infinite numbers."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(
            sentence
            or "the model computes numbers that are not finite, so nothing more can be written: its weights are damaged "
            f"(`{typed('rgmlx doctor')} --model NAME` checks them), or its dtype is too narrow for them (load it in float32)"
        )
