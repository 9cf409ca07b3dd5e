"""The text of a file: of text itself, and through macOS of documents (textutil), PDFs and pictures (PDFKit, Vision).

A file is named to those programs by its whole path as an argument. Knows kinds of files by their names; no models.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import DesktopError
from ..system import debug_log, macos
from ..system.decoding import Decoder, NotText, check
from ..system.reading import open_regular
from ..system.textfiles import reason
from . import applescript
from .tools import run

_DOCUMENTS = (".rtf", ".rtfd", ".doc", ".docx", ".odt", ".html", ".htm", ".webarchive")
_PICTURES = (".png", ".jpg", ".jpeg", ".heic", ".heif", ".tif", ".tiff", ".gif", ".bmp", ".webp")
_SECONDS = 120.0


def text_of(path: Path, most: int) -> str:
    """The beginning of a file's text.

    Args:
        path: a whole path.
        most: characters.

    Raises:
        DesktopError: there is no text in it that could be read here.
    """
    suffix = path.suffix.lower()
    is_handed_over = suffix in _DOCUMENTS or suffix in _PICTURES or suffix == ".pdf"
    try:
        if is_handed_over and macos.here():
            with open_regular(path):  # no pipe, which the program would wait for
                pass
            text = _by_macos(path, suffix)
        elif is_handed_over and suffix not in (".html", ".htm"):
            raise DesktopError(f"{path} is read by programs of macOS, and this is another system: give a text file")
        else:
            text = _plain(path, most)
    except OSError as e:
        raise DesktopError(f"{path} can't be read ({reason(e)})") from None
    if not text.strip():
        raise DesktopError(f"there is no text in {path}")
    return text[:most]


def _by_macos(path: Path, suffix: str) -> str:
    name = str(path.absolute())
    if suffix in _DOCUMENTS:
        data = run("textutil", "-convert", "txt", "-encoding", "UTF-8", "-stdout", name, seconds=_SECONDS)
        return data.decode("utf-8", "replace")
    script = applescript.PDF if suffix == ".pdf" else applescript.IMAGE
    try:
        return applescript.run_script(script, name, seconds=_SECONDS)
    except applescript.Nothing as e:
        debug_log.caught(e, "a file has no text")
        return ""


def _plain(path: Path, most: int) -> str:
    """As much of a text file as there is of it within four bytes a character; a character that is cut off is left out."""
    with open_regular(path) as file:
        data = file.read(4 * most + 4)
    try:
        return check(Decoder().feed(data or b""))
    except NotText as e:
        raise DesktopError(f"{path} is {e}") from None
