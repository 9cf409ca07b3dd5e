"""Files that a message names with an @: found, completed and read into it.

Knows paths and text, and no widgets. All of it looks at disks, which may be slow: call it from a worker thread.
"""

from __future__ import annotations

import errno
import heapq
import os
import re
import shlex
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rgmlx.conversation.attachments import fenced, shown
from rgmlx.system.decoding import NotText, decoded
from rgmlx.system.macos.privacy import NotAllowed
from rgmlx.system.paths import expanded
from rgmlx.system.reading import NotRegular, TooLarge, read_bytes

MAX_FILE = 2_000_000
MAX_TOTAL = 8_000_000
"""Bytes, of one file and of all files of a message."""
MAX_WORDS = 1_000
"""Words with an @ that are looked at; a text with more of them is no list of files."""
MAX_MATCHES = 200
_MAX_SCAN = 50_000  # entries of a directory
_MAX_DROP = 32_768  # characters

_MENTION = re.compile(r'(?<!\S)(?P<kept>\\)?@(?:"(?P<quoted>(?:\\.|[^"\\\n])+)"|(?P<bare>(?:\\.|[^\s"\\])+))')
_OPEN = re.compile(r'(?<!\S)@(?:"(?P<quoted>(?:\\.|[^"\\])*)|(?P<bare>(?:\\.|[^\s"\\])*))$')
_ESCAPED = re.compile(r"\\(.)")
_PLAIN = re.compile(r"[\w./~+@%=,:-]+")  # what needs no quotes
_TEXT = re.compile(
    r"\.(c|cfg|cpp|css|csv|go|h|html|ini|java|js|json|log|md|py|rs|rst|sh|sql|tex|toml|tsx?|tsv|txt|xml|ya?ml)", re.I
)
_BINARY = re.compile(
    r"\.(7z|a|aac|avi|bin|bmp|bz2|class|db|dll|dmg|docx?|dylib|eot|exe|flac|gguf|gif|gz|heic|icns|ico|iso|jar|jpe?g|m4a|"
    r"mkv|mov|mp[34]|np[yz]|o|od[pst]|ogg|otf|pdf|pkl|png|pptx?|psd|pth?|pyc|rar|safetensors|so|sqlite|tar|tgz|tiff?|"
    r"ttf|wasm|wav|webm|webp|whl|woff2?|xlsx?|xz|zip|zst)",
    re.I,
)


@dataclass(frozen=True)
class Expanded:
    """A message with its files.

    Attributes:
        text: what to send: the message, and after it each file as a fenced block under its name.
        files: those that were read.
        problems: a sentence for each that could not be; what they name is still in the text.
        about: what a new conversation is called after instead of the text; "" for that.
    """

    text: str
    files: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    about: str = ""


@dataclass(frozen=True)
class Matches:
    """Paths that begin as what was typed. Directories end with a slash; `more` says that there are others."""

    paths: tuple[str, ...]
    more: bool = False


class _Refusal(Exception):
    """Why a file is not read, in a sentence."""

    @property
    def quotes(self) -> tuple[str, ...]:
        """What of it is the user's, for the debug log: a part of a message."""
        return (str(self),)


# --- reading ------------------------------------------------------------------------------


def expand(text: str) -> Expanded:
    """Reads the files that a message names: @path, @"a path", @a\\ path, @~/path.

    A word with an @ that is no path (@someone) stays as it is, and so is one with a backslash before the @, which is left
    out where it would be a path. Never raises: what can't be read, such as a directory, is a problem.
    """
    pieces: list[str] = []
    blocks: list[str] = []
    problems: list[str] = []
    files: dict[Path, None] = {}
    done = total = 0
    for count, match in enumerate(_MENTION.finditer(text)):
        if count >= MAX_WORDS:
            break
        named, after = _named(match)
        if named is None:
            continue
        if match["kept"]:
            pieces.append(text[done : match.start()])
            done = match.start() + 1
            continue
        path = expanded(named)
        try:
            if path not in files:
                content = _read(path, named, MAX_TOTAL - total)
                total += len(content.encode("utf-8"))
                files[path] = None
                blocks.append(fenced(named, content))
        except _Refusal as e:
            as_it_is = f" To send the word as it is, write \\@{shown(named)}." if _is_directory(named) else ""
            problems.append(f"{e}{as_it_is}")
        else:
            pieces += [text[done : match.start()], shown(named)]
            done = match.end() - after
    message = "".join(pieces) + text[done:]
    return Expanded("\n\n".join([message.rstrip(), *blocks]) if blocks else message, tuple(files), tuple(problems))


def named(text: str) -> str:
    """A text with the names of its files as `expand` writes them; none of them is read."""

    def written(match: re.Match[str]) -> str:
        name, after = _named(match)
        if name is None:
            return match[0]
        return match[0][1:] if match["kept"] else shown(name) + match[0][len(match[0]) - after :]

    return _MENTION.sub(written, text, MAX_WORDS)


def _named(match: re.Match[str]) -> tuple[str | None, int]:
    """The path that a word names, if it names one, and how many characters at its end do not belong to it."""
    if (quoted := match["quoted"]) is not None:
        name = _ESCAPED.sub(_unquoted, quoted)  # or a string of Objective-C
        return (name if _exists(name) or _looks_like_a_path(name) else None), 0
    word = match["bare"]
    if _exists(name := _ESCAPED.sub(r"\1", word)) and _is_meant(name):
        return name, 0
    bare = word.rstrip(".,;:!?)]}>'")  # of the sentence around it
    if bare != word and bare and _exists(name := _ESCAPED.sub(r"\1", bare)) and _is_meant(name):
        return name, len(word) - len(bare)
    name = _ESCAPED.sub(r"\1", bare)
    return (name, len(word) - len(bare)) if _looks_like_a_path(name) else (None, 0)


def _unquoted(match: re.Match[str]) -> str:
    return match[1] if match[1] in '"\\' else match[0]


def _is_meant(name: str) -> bool:
    """Whether a path that exists is named: of a mere word, only what is written as it is on the disk."""
    return "/" in name or not os.path.isdir(name) or _is_directory(name)


def _is_directory(name: str) -> bool:
    """Whether a mere word is the name of a directory here. macOS finds Test for test as well: @test may be code."""
    if "/" in name or not os.path.isdir(name):
        return False
    try:
        with os.scandir(".") as entries:
            return any(entry.name == name for entry in entries)
    except OSError:
        return False


def _looks_like_a_path(name: str) -> bool:
    """Whether nobody would write this and not mean a file. @someone is none, and neither is @scope/package."""
    if name.startswith(("./", "../", "/", "~/")):
        return True
    first, slash, _ = name.partition("/")
    return os.path.isdir(first) if slash and first else bool(_TEXT.fullmatch(os.path.splitext(name)[1]))


def _exists(name: str) -> bool:
    try:
        return expanded(name).exists()
    except (OSError, ValueError):  # too long, or no name at all
        return False


def _read(path: Path, named: str, room: int) -> str:
    """The text of a file.

    Raises:
        _Refusal: it can't be read, or should not be.
    """
    name = shown(named)
    try:
        data = read_bytes(path, MAX_FILE)
    except NotRegular as e:
        if e.errno == errno.EISDIR:
            raise _Refusal(f"{name} is a directory: name the files in it.") from None
        raise _Refusal(f"{name} is a pipe or a device: copy what it gives into a file and name that.") from None
    except TooLarge:
        raise _Refusal(f"{name} is larger than 2 MB: send a part of it.") from None
    except FileNotFoundError:
        raise _Refusal(f"There is no file {name}: check the name, or leave out the @.") from None
    except NotAllowed as e:
        raise _Refusal(f"{name} can't be read: {e.strerror}.") from None
    except PermissionError:
        raise _Refusal(f"{name} may not be read: change its permissions, or name another file.") from None
    except (OSError, ValueError) as e:
        reason = (getattr(e, "strerror", None) or str(e)).lower()
        raise _Refusal(f"{name} can't be read ({reason}): name another file.") from None
    if len(data) > room:
        raise _Refusal(f"With {name} the files would be more than 8 MB: send them in several messages.")
    return _decode(data, name)


def _decode(data: bytes, name: str) -> str:
    try:
        return decoded(data)
    except NotText as e:
        if e.binary or b"\0" in data or _BINARY.fullmatch(os.path.splitext(name)[1]):
            raise _Refusal(f"{name} is not a text file: only text can be sent.") from None
        raise _Refusal(f"{name} is {e}.") from None


# --- writing ------------------------------------------------------------------------------


def mention(path: str) -> str:
    """The path with its @, in quotes where it needs them; of a directory they stay open, for what comes next."""
    if _PLAIN.fullmatch(path):
        return "@" + path
    inner = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'@"{inner}' if path.endswith("/") else f'@"{inner}"'


def begun(before: str) -> tuple[int, str] | None:
    """The path that is being typed at the end of a text.

    Returns:
        Where its @ is, and the path so far; None when there is none.
    """
    match = _OPEN.search(before)
    if match is None:
        return None
    if (quoted := match["quoted"]) is not None:
        return match.start(), _ESCAPED.sub(_unquoted, quoted)
    return match.start(), _ESCAPED.sub(r"\1", match["bare"])


def complete(typed: str) -> Matches:
    """Directories and text files whose path begins as typed. Never raises: what can't be looked into has none."""
    if typed in ("~", ".", "..") or typed.endswith(("/.", "/..")):
        return Matches((typed + "/",))
    directory, name = typed[: typed.rfind("/") + 1], typed[typed.rfind("/") + 1 :]
    wanted = name.casefold()
    found: list[str] = []
    try:
        with os.scandir(expanded(directory or ".")) as entries:
            for count, entry in enumerate(entries):
                if count >= _MAX_SCAN:
                    break
                if not entry.name.casefold().startswith(wanted) or (entry.name[0] == "." and not wanted):
                    continue
                if (offered := _offered(entry)) is not None:
                    found.append(directory + offered)
    except (OSError, ValueError):
        return Matches(())
    first = heapq.nsmallest(MAX_MATCHES, found, key=lambda path: (path.casefold(), path))
    return Matches(tuple(first), len(found) > len(first))


def _offered(entry: os.DirEntry[str]) -> str | None:
    """The name as it is offered. A look at the suffix has to do: reading may fetch a file from far away."""
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in entry.name):
        return None
    try:
        if entry.is_dir():
            return entry.name + "/"
        usual = entry.is_file() and not _BINARY.fullmatch(os.path.splitext(entry.name)[1])
    except OSError:
        return None
    return entry.name if usual else None


# --- drag and drop ------------------------------------------------------------------------


def dropped(text: str) -> str | None:
    """What a terminal writes when files are dropped on it, as mentions.

    Returns:
        None unless the text is nothing but full paths of files that exist: quoted, escaped, a line each, or file://.
    """
    text = text.strip()
    if len(text) > _MAX_DROP or not text.startswith(("/", "~/", "'", '"', "file:", "\\")):
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for names in (lines, _split(text)):  # a line may be a path with spaces, as it is
        paths = [_path(name) for name in names]
        if paths and all(path is not None and _is_file(path) for path in paths):
            return " ".join(mention(path) for path in paths if path is not None)
    return None


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is never closed
        return []


def _path(name: str) -> str | None:
    if name.startswith("file:"):
        try:
            return unquote(urlsplit(name).path, errors="strict")
        except ValueError:
            return None
    return name if name.startswith(("/", "~/")) else None


def _is_file(path: str) -> bool:
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        return False
    try:
        return stat.S_ISREG(expanded(path).stat().st_mode)
    except (OSError, ValueError):
        return False
