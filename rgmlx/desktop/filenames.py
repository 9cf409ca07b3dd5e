"""Names of files: one made of what a model writes, whether a name was made by a machine, and a rename that overwrites nothing.

What a model writes is text of anybody's, as it has read a file of anybody's: of it only letters, digits and a few signs come
into a name. Knows names; nothing of models, and reads no files.
"""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from pathlib import Path

import regex

from ..errors import DesktopError
from ..system.textfiles import reason

MAX_BYTES = 200
"""Of a name with its extension; file systems take 255."""
MAX_WORDS = 12
_TRIES = 99
_SUFFIX = re.compile(r"(?:\.tar)?\.[A-Za-z0-9]{1,16}\Z")
_KEPT_SIGNS = " -_.,()+&%@#=!'’–"
_LABEL = re.compile(r"^\W*(?:suggested |new )?(?:file ?)?name\s*:\s*", re.IGNORECASE)
_GRAPHEME = regex.compile(r"\X")
_MADE = (
    "Screenshot|Screen Shot|Screen Recording|Simulator Screen|Bildschirmfoto|Bildschirmaufnahme|Capture d[’']écran|"
    "Captura de [Pp]antalla|Captura de [Tt]ela|Captura de ecrã|Schermata|Schermafbeelding|Skärmavbild|Skjermbilde|"
    "Skærmbillede|Zrzut ekranu|Снимок экрана|スクリーンショット|截屏|截圖|屏幕快照|螢幕截圖|스크린샷|CleanShot"
)
_SCREENSHOT = re.compile(rf"(?:{_MADE})\b|(?:{_MADE})(?=[\d ])", re.IGNORECASE)
_EMPTY_WORD = re.compile(
    "img|images?|dscn?|dcim|pict?|photo|picture|pxl|vid|mov|scan|scanned|docs?|documents?|dokument|downloads?|files?|untitled|"
    "unbenannt|unknown|attachments?|copy|kopie|pdf|jpe?g|png|txt|page"
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_HEXADECIMAL = re.compile(
    r"(?<![^\W_])(?=[a-z]*\d)[0-9a-f]{6,}(?![^\W_])|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{12,}", re.IGNORECASE
)
_RANDOM = re.compile(r"(?<![^\W_])(?=\w*\d\w*[a-z]|\w*[a-z]\w*\d)\w{10,}(?![^\W_])", re.IGNORECASE)


def made_of(text: str, suffix: str) -> str | None:
    """A name for a file, of what a model has written.

    Args:
        suffix: the extension that it gets, with its dot.

    Returns:
        None where nothing of the text is of use.
    """
    line = next((line for line in text[:2_000].splitlines() if line.strip()), "")
    line = _LABEL.sub("", unicodedata.normalize("NFC", line))
    line = "".join(map(_kept, line))
    while line.lower().endswith(suffix.lower()) and suffix:
        line = line[: -len(suffix)].rstrip()
    words = line.split()[:MAX_WORDS]
    stem = _cut(_trimmed(" ".join(words)), MAX_BYTES - len(suffix.encode()))
    return f"{stem}{suffix}" if any(char.isalnum() for char in stem) else None


def _kept(char: str) -> str:
    category = unicodedata.category(char)
    if char in _KEPT_SIGNS or category[0] in "LN" or category in ("Mn", "Mc"):
        return char
    return " "  # slashes and colons, quotes, controls, what is invisible or turns the line around, emoji


def _trimmed(stem: str) -> str:
    """Without dots and dashes at its beginning, which hide a file or make an option of it, or at its end."""
    stem = stem.strip(" .,-–_'’+=#@&%!")
    return stem[1:].lstrip() if stem and unicodedata.category(stem[0])[0] == "M" else stem


def _cut(stem: str, most: int) -> str:
    """So much of it as has so many bytes, in whole characters as a reader sees them."""
    kept, size = [], 0
    for grapheme in _GRAPHEME.findall(stem[: 2 * most]):
        size += len(grapheme.encode("utf-8", "replace"))
        if size > most:
            break
        kept.append(grapheme)
    return _trimmed("".join(kept))


def suffix_of(name: str) -> str | None:
    """The extension of a name, with its dot; None where it is none that one could keep without a look."""
    found = _SUFFIX.search(name)
    return found.group() if found and found.start() > 0 else None


def is_made_by_machine(name: str) -> bool:
    """Whether a name says nothing of what is in the file: of a screenshot, a camera, a scanner, a server."""
    suffix = suffix_of(name)
    stem = name.removesuffix(suffix or "")
    if _SCREENSHOT.match(stem):
        return True
    stem = _HEXADECIMAL.sub(" ", stem)
    stem = _RANDOM.sub(" ", stem)
    words = [word.lower() for word in _WORD.findall(stem)]
    return all(_EMPTY_WORD.fullmatch(word) for word in words)


def shortened(name: str, room: int) -> str:
    """The beginning of a name, so that so many bytes may follow it."""
    return name if len(os.fsencode(name)) + room <= 255 else _cut(name, MAX_BYTES - room)


def free_name(folder: Path, name: str) -> Path:
    """A name that nothing has in a folder: "Name.png", "Name 2.png" ... Raises DesktopError: all are taken."""
    suffix = suffix_of(name) or ""
    stem = name.removesuffix(suffix)
    for number in range(1, _TRIES + 1):
        numbered = stem if number == 1 else f"{_cut(stem, MAX_BYTES - len(suffix) - 3)} {number}"
        path = folder / f"{numbered}{suffix}"
        if not os.path.lexists(path):
            return path
    raise DesktopError(f"there are {_TRIES} files called {name} in {folder} already: move some of them")


def rename(path: Path, name: str) -> Path:
    """Gives a file another name in its folder, or that with a number behind it; whatever else is there stays.

    Returns:
        Where it is now.

    Raises:
        DesktopError: it can't be renamed; it is where it was.
    """
    for _ in range(_TRIES):
        target = free_name(path.parent, name)
        try:
            # The name is taken before it is used: os.rename alone would overwrite what comes to be there meanwhile.
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        except OSError as e:
            raise DesktopError(f"{path} can't be renamed ({reason(e)})") from None
        try:
            os.rename(path, target)
        except BaseException as e:
            with contextlib.suppress(OSError):
                os.unlink(target)  # the empty one
            if isinstance(e, OSError):
                raise DesktopError(f"{path} can't be renamed ({reason(e)})") from None
            raise
        return target
    raise DesktopError(f"{path} can't be renamed: another program takes every name")
