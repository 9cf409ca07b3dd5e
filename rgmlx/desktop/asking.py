"""Asks the model: `rgmlx ask` in a process of its own, which is given the question as an argument and the text by a pipe.

So recipes need no model in their own process, and do what a user can type. Knows that command line; no model.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from ..errors import DesktopError
from .installation import own_program
from .tools import ToolFailed, run

MAX_TEXT = 200_000
"""Characters of a text that is asked about; what is longer takes longer than anybody waits for a menu."""
MAX_QUESTION = 2_000
SECONDS = 590.0
"""A Service is waited for ten minutes (`workflow.TIMEOUT`)."""


class Ask(Protocol):
    """Asks a question about a text, with so many tokens of an answer at most. `exact`: its likeliest words, no others."""

    def __call__(self, question: str, text: str, most: int, *, exact: bool = False) -> str: ...


def asker(model: str | None) -> Ask:
    """A way to ask a model by its name; None for the embedded one. Raises DesktopError: there is no program rgmlx."""
    return partial(_ask, str(own_program()), model)


def _ask(program: str, model: str | None, question: str, text: str, most: int, *, exact: bool = False) -> str:
    """The answer, without what surrounds it.

    Raises:
        DesktopError: the text is too long, or there is no answer.
    """
    if len(text) > MAX_TEXT:
        raise DesktopError(f"the text has {len(text):,} characters, more than {MAX_TEXT:,}: take a part of it")
    named = [] if model is None else ["--model", model]
    likeliest = ["--temperature", "0"] if exact else []
    words = ["--", question[:MAX_QUESTION].replace("\0", " ")]
    options = ["ask", *named, *likeliest, "--max-tokens", str(most), *words]
    try:
        data = text.replace("\0", " ").encode("utf-8", "replace")  # a program's text may have NULs, ours have none
        answer = run(program, *options, said=data, seconds=SECONDS)
    except ToolFailed as e:
        raise DesktopError(e.said.removeprefix("rgmlx: ") or str(e)) from None
    found = answer.decode("utf-8", "replace").strip()
    if not found:
        raise DesktopError("the model had nothing to say: try it again, or with another model")
    return found
