"""A text in the user's editor, which has the terminal meanwhile.

Knows which program that is and the file that it is given, which is the user's alone and gone afterwards; that the terminal
is given away and taken back is the app's business.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rgmlx.errors import ChatError
from rgmlx.system.decoding import NotText, decoded
from rgmlx.system.reading import read_bytes
from rgmlx.system.textfiles import reason

USUAL = ("nano", "vim", "vi")
"""What is looked for where neither VISUAL nor EDITOR names one."""
MAX_BYTES = 8_000_000
"""Of a text that comes back."""


class Lends(Protocol):
    """An app that gives its terminal away."""

    async def lend_terminal(self, command: Sequence[str]) -> int:
        """Runs a program that has the terminal; returns its exit code. Raises RgmlxError: there is no terminal to give."""


def command(environ: Mapping[str, str] | None = None) -> list[str]:
    """The editor with its options. Raises ChatError: there is none."""
    environ = os.environ if environ is None else environ
    for variable in ("VISUAL", "EDITOR"):
        named = environ.get(variable, "").strip()
        if not named:
            continue
        try:
            words = shlex.split(named)
        except ValueError:
            words = [named]
        if words and shutil.which(words[0], path=environ.get("PATH")):
            return words
        raise ChatError(f"there is no program {named}, which {variable} names: set it to your editor", quotes=(named,))
    found = next((name for name in USUAL if shutil.which(name, path=environ.get("PATH"))), None)
    if found is None:
        raise ChatError("there is no editor: set EDITOR to the name of one")
    return [found]


async def opened(app: Lends, text: str, suffix: str = ".md") -> str:
    """Has the user see or change a text in the editor.

    Args:
        suffix: of the file's name, by which editors know what is in it.

    Returns:
        The text as it is then.

    Raises:
        RgmlxError: there is no editor, or it failed; nothing is to be changed.
    """
    words = command()
    try:
        directory = await asyncio.to_thread(tempfile.mkdtemp, prefix="rgchat-")  # 0700
    except OSError as e:
        raise ChatError(f"no file can be written for the editor ({reason(e)}): make room on the disk") from None
    try:
        path = Path(directory) / f"message{suffix}"
        await asyncio.to_thread(_write, path, text)
        code = await app.lend_terminal([*words, str(path)])
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise ChatError(f"the editor {words[0]} ended with {how}: nothing was changed", quotes=(words[0],))
        return await asyncio.to_thread(_read, path)
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.write(b"\n" if text and not text.endswith("\n") else b"")
    except OSError as e:
        raise ChatError(f"no file can be written for the editor ({reason(e)}): make room on the disk") from None


def _read(path: Path) -> str:
    try:
        return decoded(read_bytes(path, MAX_BYTES))
    except NotText as e:
        raise ChatError(f"the text from the editor is {e}: nothing was changed") from None
    except (OSError, ValueError) as e:
        raise ChatError(f"the text from the editor can't be read ({reason(e)}): nothing was changed") from None
