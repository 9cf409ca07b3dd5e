"""The question that a chat is begun with: the words of the command line, what comes through standard input, files with an @.

Knows streams and files; no screen. All of it is read before the chat begins: what can't be read is a sentence, and nothing
was sent.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rgmlx.cli.material import INPUT, INPUT_TITLE, MAX_CHARS, Silence, offered
from rgmlx.conversation.attachments import fenced
from rgmlx.errors import RgmlxError
from rgmlx.shell import typed
from rgmlx.system.decoding import argument

from .prompt.files import expand

_SOMEBODY = Silence("rgchat", "Ctrl+C leaves", "")
_NOBODY = Silence(
    "rgchat",
    "</dev/null passes over it",
    "add </dev/null where nothing will come, or write the text into a file and add <FILE",
)


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        words: as they were given, for a title and for what is sent again later.
        text: all that is sent: what came through standard input, the words, the files that they name.
        input_chars: characters that came through standard input.
    """

    words: str
    text: str
    input_chars: int = 0


def read(words: Sequence[str], *, somebody: bool) -> Question | None:
    """The question of a command line; None where there is none.

    Args:
        somebody: sits at a terminal, so that a silent pipe is waited for as long as that takes.

    Raises:
        RgmlxError: the question is empty, or what belongs to it can't be read, is not text or too long.
    """
    if not words:
        return None
    text = argument(" ".join(words), "the question")
    if not text.strip() or text.strip() == INPUT:
        what = "- is no question" if text.strip() else "the question is empty"
        raise RgmlxError(f'{what}: write one, as in  cat notes.txt | {typed("rgchat")} "What is this about?"')
    found = expand(text)
    if found.problems:
        raise RgmlxError(" ".join(found.problems).removesuffix("."), quotes=found.problems)
    content = "" if sys.stdin.isatty() else offered(MAX_CHARS, _SOMEBODY if somebody else _NOBODY)
    if not content.strip():
        return Question(text, found.text)
    return Question(text, f"{fenced(INPUT_TITLE, content)}\n\n{found.text}", len(content))
