"""What `rgmlx ask` sends: a question, and what it is about, from files and from standard input. rgchat takes the second too.

Knows streams, files and how a text is shown to a model; no model. The files and the input come first, each as a fenced block
under its name, and the question last: of a long text the model remembers the end to the letter.

Whether an open pipe will ever bring anything cannot be known: a program that starts others may give each an input that
nobody writes to, and never closes. Where a question is there, the first byte of a pipe is therefore waited for a while
only, and what to add is said then. An answer without the material, as it came too late, would be a wrong one.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ..conversation.attachments import fenced, shown
from ..errors import RgmlxError
from ..shell import typed
from ..system.decoding import NotText, argument, read_all, standard_input
from ..system.paths import expanded
from ..system.reading import NotRegular, TooLarge, read_text
from ..system.textfiles import reason
from .streams import tell

MAX_CHARS = 50_000_000
"""Of a question and all that comes with it; reading so many takes days."""
NOTICE_SECONDS = 2.0
"""So long a silent pipe is waited for without a word."""
WAIT_SECONDS = 30.0
"""So long in all."""
INPUT = "-"
"""The name of standard input, among the words and the files."""
INPUT_TITLE = "Input"
"""Over what came through it."""
_EXAMPLE = 'write it after the command, as in  {} "Who are you?"'


@dataclass(frozen=True)
class Silence:
    """What is said of a pipe that is open and brings nothing.

    Attributes:
        program: who says it.
        hint: what to do meanwhile; it stands in brackets.
        way_out: what to do once it has been waited for in vain; "" waits on.
    """

    program: str
    hint: str
    way_out: str


_OF_ASK = Silence(
    "rgmlx",
    "--no-stdin passes over it",
    "add -f - to wait for it as long as it takes, or --no-stdin (or </dev/null) where nothing will come",
)


def message(
    words: Sequence[str],
    files: Sequence[str] = (),
    *,
    choices: Sequence[str] = (),
    raw: bool = False,
    listen: bool = True,
) -> str:
    """The text to send.

    Args:
        words: of the question. None, or `-` alone, has it read from standard input.
        files: whose texts come with it; `-` is standard input, read to its end however long that takes.
        choices: what may be answered. They, and files, take all words behind their option: the question may be among them.
        raw: the text is to be continued, so that nothing comes with it.
        listen: whether standard input is looked at where it was not named.

    Raises:
        RgmlxError: there is no question, something can't be read or is not text, or nothing came through a pipe.
    """
    text = " ".join(words)
    if INPUT in words and text != INPUT:
        raise RgmlxError(
            "- reads the question from standard input and stands alone: leave it out, or put the whole question in quotes "
            "(-f - reads standard input beside a question)"
        )
    if raw and files:
        raise RgmlxError("--raw continues one text, so no file comes with it: leave out -f, or --raw")
    taken = [option for option, its in (("-f", files), ("--choice", choices)) if its and not words]
    if text == INPUT or not words:
        if choices and not words and choices[-1].rstrip().endswith("?"):
            raise RgmlxError(f"there is no question: {_example(taken)}")
        text = _question_from_input(files, listen, taken)
        listen = False
    else:
        text = argument(text, "the question")
    if not text.strip():
        raise RgmlxError(f"the question is empty: {_example(taken)}")
    if raw:
        return text
    blocks, left = list[str](), MAX_CHARS
    for name in files:
        title, content = (INPUT_TITLE, _input(left)) if name == INPUT else (name, _file(name, left))
        if not content.strip():  # an answer about nothing would be invented
            what = "nothing came through standard input" if name == INPUT else f"{shown(name)} is empty"
            raise RgmlxError(f"{what}: there is nothing to ask about; leave it out of -f if that is meant")
        left -= len(content)
        blocks.append(fenced(title, content))
    if listen and INPUT not in files and (content := offered(left)).strip():
        blocks.append(fenced(INPUT_TITLE, content))
    return "\n\n".join([*blocks, text]) if blocks else text


def _question_from_input(files: Sequence[str], listen: bool, taken: Sequence[str]) -> str:
    if not listen or INPUT in files or sys.stdin.isatty():
        raise RgmlxError(f"there is no question: {_example(taken)}")
    return _input(MAX_CHARS)


def _example(taken: Sequence[str]) -> str:
    """What to type instead. `taken`: options that take all words behind them, and so may have taken the question."""
    if taken:
        return (
            f"all words behind {' and '.join(taken)} belong to it, so write the question before it, or last behind --"
        )
    return _EXAMPLE.format(typed("rgmlx ask"))


def _input(limit: int) -> str:
    return read_all(standard_input(), limit, "standard input")


def offered(limit: int, silence: Silence = _OF_ASK) -> str:
    """What stands on standard input, which nobody has named.

    Nothing on a terminal, where it is none of the system's, and where it can only be written, as nohup has it.

    Raises:
        RgmlxError: it is not text, or longer than `limit` characters, or nothing came.
    """
    try:
        descriptor = sys.stdin.fileno()
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except (OSError, ValueError):
        return ""
    if os.isatty(descriptor) or mode == os.O_WRONLY:
        return ""
    _await(descriptor, silence)
    return _input(limit)


def _await(descriptor: int, silence: Silence) -> None:
    """Waits for the first byte of standard input, or its end. Raises RgmlxError: neither comes."""
    if select.select([descriptor], [], [], NOTICE_SECONDS)[0]:
        return
    tell(f"{silence.program}: waiting for standard input, which is open, and silent so far ({silence.hint})")
    if silence.way_out and not select.select([descriptor], [], [], WAIT_SECONDS - NOTICE_SECONDS)[0]:
        raise RgmlxError(
            f"nothing came through standard input in {WAIT_SECONDS:g} seconds, and it is still open: {silence.way_out}"
        )


def _file(name: str, limit: int) -> str:
    """The text of a file. Raises RgmlxError: it can't be read, is not text or too long."""
    if not name.strip():
        raise RgmlxError("the name of a file is empty: name one after -f, or leave out -f")
    named, path = shown(name), expanded(name)
    try:
        text = read_text(path, 4 * MAX_CHARS)
    except FileNotFoundError:
        raise RgmlxError(
            f"there is no file {named}: check the name (all words after -f are files: the question stands before it, or after --)",
            quotes=(named,),
        ) from None
    except NotRegular as e:
        what = (
            "name the files in it"
            if path.is_dir()
            else f"read it through a pipe, as in  cat FILE | {typed('rgmlx ask')} ..."
        )
        raise RgmlxError(f"{named} can't be read ({e.strerror}): {what}") from None
    except TooLarge:
        raise _too_long(named) from None
    except NotText as e:
        raise RgmlxError(f"{named} is {e}") from None
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{named} can't be read ({reason(e)}): name another file") from None
    if len(text) > limit:
        raise _too_long(named)
    return text


def _too_long(named: str) -> RgmlxError:
    return RgmlxError(f"with {named} there are more than {MAX_CHARS:,} characters: give a part of them")
