"""What programs ask of the desktop, one function each, over pbcopy, pbpaste, osascript, open and shortcuts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..errors import DesktopError
from ..system import clipboard as system_clipboard
from ..system import macos
from ..system.paths import expanded
from ..system.reading import read_bytes
from . import applescript
from .tools import MOST, run

MAX_NOTICE = 1_000
"""Characters of a notification; macOS shows about 200."""
SHORTCUT_SECONDS = 600.0


def clipboard() -> str:
    """The text on the clipboard; "" where there is none, such as beside a picture.

    Raises:
        DesktopError: no program here reads a clipboard, or it fails.
    """
    commands = system_clipboard.readers()
    if not commands:
        raise DesktopError(_no_clipboard("pbpaste", "wl-paste, xclip or xsel"))
    program, *arguments = commands[0]
    text = run(program, *arguments, environment=system_clipboard.environment())
    return text.decode("utf-8", "replace")


def set_clipboard(text: str) -> None:
    """Puts a text on the clipboard, exactly as it is; half a surrogate pair becomes a question mark.

    Raises:
        DesktopError: no program here writes a clipboard, or it fails.
    """
    commands = system_clipboard.writers()
    if not commands:
        raise DesktopError(_no_clipboard("pbcopy", "wl-copy, xclip or xsel"))
    program, *arguments = commands[0]
    data = text.encode("utf-8", "replace")
    run(program, *arguments, said=data, answers=False, environment=system_clipboard.environment())


def selection() -> str:
    """The text that is selected in the application in front; "" where none is.

    macOS asks the user once to let the terminal (or whatever runs this) use Accessibility. Some applications, those made
    of web pages among them, do not tell.

    Raises:
        DesktopError: this is no Mac, macOS does not allow it, or the application does not tell.
    """
    try:
        return applescript.run_script(applescript.SELECTION)
    except applescript.Nothing:
        raise DesktopError(
            "the application in front does not tell what is selected in it: copy that, and use clipboard()"
        ) from None


def notify(text: str, title: str = "rgmlx") -> None:
    """Shows a notification.

    Args:
        text: what it says; characters that can't be seen are left out, and what is longer than `MAX_NOTICE`.

    Raises:
        DesktopError: this is no Mac, or there is nothing to say.
    """
    text, title = applescript.shown(text, MAX_NOTICE), applescript.shown(title, 100)
    if not text.strip() or not title.strip():
        raise DesktopError("a notification needs a text and a title: give both")
    applescript.run_script(applescript.NOTIFY, text, title)


def open_with(path: str | os.PathLike[str], application: str | None = None) -> None:
    """Opens a file or a folder as a double click does, or with an application.

    Args:
        path: it must exist; an address such as https://... is none.
        application: its name, such as "TextEdit".

    Raises:
        DesktopError: this is no Mac, there is no such file or application.
    """
    if not macos.here():
        raise DesktopError("`open` is a program of macOS, and this is another system: run it on a Mac")
    file = expanded(path).absolute()  # begins with a slash, so it is neither an option nor an address
    if not os.path.lexists(file):  # nor is there one with a NUL in its name
        raise DesktopError(f"there is no file {file} to open: name one that exists")
    run("open", *(["-a", application] if application is not None else []), str(file))


def run_shortcut(name: str, text: str = "") -> str:
    """Runs a shortcut of the Shortcuts app, which reads a text and may give one back.

    Args:
        name: as the app has it.
        text: the shortcut's input; "" gives it none.

    Returns:
        Its output as text; "" where it has none.

    Raises:
        DesktopError: this is no Mac, there is no such shortcut, or it fails.
    """
    if not macos.here():
        raise DesktopError("Shortcuts is an application of macOS, and this is another system: run it on a Mac")
    if not name.strip() or name.startswith("-"):
        raise DesktopError("name the shortcut as the Shortcuts app has it; a name that begins with - can't be given")
    with tempfile.TemporaryDirectory(prefix="rgmlx") as folder:  # nobody else looks into it
        given, answer = Path(folder, "input.txt"), Path(folder, "output.txt")
        arguments = ["--output-path", str(answer), "--output-type", "public.utf8-plain-text"]
        if text:
            given.write_bytes(text.encode("utf-8", "replace"))
            arguments = ["--input-path", str(given), *arguments]
        run("shortcuts", "run", name, *arguments, seconds=SHORTCUT_SECONDS)
        try:
            return read_bytes(answer, MOST).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as e:
            raise DesktopError(f"what the shortcut gave back can't be read: {e.strerror or e}") from None


def _no_clipboard(program: str, others: str) -> str:
    if macos.here():
        return f"there is no program {program} here, which is a part of macOS"
    return f"there is no clipboard here: install {others} and run this in a desktop session"
