"""What an error says in the debug log, where it comes from, and which errors led to it; nothing that a user wrote.

What an error says is kept where it is known what that can be: a sentence of ours without what it quotes, the system's own
words, and those of the packages below without what stands in quotes. Of any other error the log has its kind and the
lines of code. Code is quoted of this program only, as a caller's may have a prompt in it. Knows errors and frames; no
files.
"""

from __future__ import annotations

import itertools
import linecache
import os
import re
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from ..errors import RgmlxError

_ROOT = str(Path(__file__).parents[2]) + os.sep
_OURS = (f"{_ROOT}rgmlx{os.sep}", f"{_ROOT}tui{os.sep}")
_HTTP = ("huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "requests", "urllib3")
_KNOWN = ("rgmlx", "tui", "mlx", "numpy", "json", "tomllib", *_HTTP)
"""Packages whose errors speak of files, networks and numbers, and have texts in quotes if at all."""
_LIBRARIES = re.compile(r".*[/\\](?:site-packages|dist-packages|python3\.\d+)[/\\]")
_BEYOND = re.compile(r"[(:'\"\n]")
_OF_MLX = re.compile(r"\[[\w:. ]+\] ")
_APOSTROPHE = re.compile(r"(?<=\w\w)['’](?=(?:s|t|re|ll|ve|d|m)\b)")
_QUOTES = {"'": "'", '"': '"', "`": "`", "“": "”", "‘": "’", "«": "»"}
_SECRETS = re.compile(r"hf_\w+|(?<=[Bb]earer )\S+|(?<=://)[^/@\s]+(?=@)|(?<=\?)[^\s?'\")]*=[^\s'\")]*")
_MOST_CHARS, _MOST_OF_MLX = 400, 2_000
_BEGINNING = 12
"""So many characters of a quotation are enough to know it by, where a sentence has cut it off."""
_STACK, _FRAMES = 8, 16
_LEFT_OUT = "…"


def told(error: BaseException, cause: BaseException | None = None, stack: FrameType | None = None) -> str:
    """An error and what led to it, the newest first, each with the lines of code that it came through.

    Args:
        cause: what was being handled, where the error is not raised yet.
        stack: where that is.
    """
    chain = list(_chain(error, cause))
    left_out = _left_out(chain)
    lines = []
    for one in chain:
        lines.append(f"{'' if one is error else 'because of '}{_kind(one)}{_said(one, left_out)}")
        if one is not error and isinstance(one, RgmlxError) and one.logged:
            lines[-1] += f" (number {one.logged}, above)"
            break  # with all that led to it
        if one is error and stack is not None:
            lines += _shown([(frame, number) for frame, number in _outwards(stack) if _is_ours(frame)][-_STACK:])
        lines += _shown(list(traceback.walk_tb(one.__traceback__)))
    return "\n".join(lines)


def _chain(error: BaseException, cause: BaseException | None) -> Iterator[BaseException]:
    """The error, and before it what was being handled as each was raised, hidden by `from None` or not."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = (cause if one is error else None) or one.__cause__ or one.__context__


# --- what it says ---------------------------------------------------------------------------


def _kind(error: BaseException) -> str:
    """Its class, and the number it has where that is known to others: SQLite's, HTTP's, a program's exit code."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    numbers = (
        getattr(error, "sqlite_errorname", None),
        getattr(getattr(error, "response", None), "status_code", None),
        getattr(error, "returncode", None),
    )
    return "".join([name, *(f" [{n:.40}]" if isinstance(n, str) else f" [{n}]" for n in numbers if _is_number(n))])


def _is_number(found: object) -> bool:
    return isinstance(found, int) or (isinstance(found, str) and found.startswith("SQLITE_"))


def _said(error: BaseException, left_out: dict[str, str]) -> str:
    """What it says, after a colon; "" where nothing of that may stay."""
    text = _words(error)
    for quoted in sorted(left_out, key=len, reverse=True):
        if isinstance(error, RgmlxError) or left_out[quoted] == _LEFT_OUT:
            text = _without(text, quoted, left_out[quoted])
    if isinstance(error, RgmlxError):
        text = " ".join(text.splitlines())
    text = _SECRETS.sub(_LEFT_OUT, text)[: _MOST_OF_MLX if _OF_MLX.match(text) else _MOST_CHARS]
    return f": {text}" if text else ""


def _left_out(chain: list[BaseException]) -> dict[str, str]:
    """What sentences may repeat of a user's words or of another error's, and what stands there instead."""
    found: dict[str, str] = {}
    for error in chain:
        quotes = getattr(error, "quotes", ())
        found |= {quoted: _LEFT_OUT for quoted in quotes if isinstance(quoted, str) and quoted.strip()}
        if not isinstance(error, RgmlxError) and not (isinstance(error, OSError) and error.strerror):
            raw, kept = _text(error), _words(error) or _LEFT_OUT
            forms = (raw, raw.strip().partition("\n")[0], " ".join(raw.split()))
            found |= {form: kept for form in forms if form.strip() and form != kept}
    return found


def _without(text: str, quoted: str, instead: str) -> str:
    """The text with something else in place of what it quotes, be it the beginning of that."""
    if quoted in text:
        return text.replace(quoted, instead)
    if len(quoted) > _BEGINNING and (start := text.find(quoted[:_BEGINNING])) >= 0:
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(text[start:], quoted, strict=False))
        text = f"{text[:start]}{instead}{text[start + len(list(alike)) :]}"
    return text


def _words(error: BaseException) -> str:
    """What an error says itself, without what is not to be told."""
    if isinstance(error, RgmlxError):
        return _text(error)
    if isinstance(error, OSError) and error.strerror:
        names = [os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, (str, bytes, os.PathLike))]
        return ": ".join([str(error.strerror), *names])
    if isinstance(error, UnicodeDecodeError | UnicodeEncodeError):
        return f"{error.encoding}: {error.reason}"
    if isinstance(error, sqlite3.Error):  # what follows may be out of a damaged file
        return _BEYOND.split(_text(error), maxsplit=1)[0].strip()
    frame = _innermost(error.__traceback__)
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0] if frame is not None else ""
    if package not in _KNOWN:
        return ""
    text = _text(error).strip()
    return text if _OF_MLX.match(text) else _without_quotes(text.partition("\n")[0])  # a compiler's takes many lines


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of a class that can't say it
        return ""


def _without_quotes(text: str) -> str:
    """The text without all from the first mark of a quotation to the last; to its end where those are no pair."""
    apostrophes = {match.start() for match in _APOSTROPHE.finditer(text)}
    marks = [i for i, char in enumerate(text) if i not in apostrophes and (char in _QUOTES or char in "”’»")]
    if not marks:
        return text
    first, last = marks[0], marks[-1]
    whole = last > first and text[last] == _QUOTES.get(text[first])
    return f"{text[:first]}'{_LEFT_OUT}'{text[last + 1 :] if whole else ''}"


# --- where it comes from --------------------------------------------------------------------


def _innermost(trace: TracebackType | None) -> FrameType | None:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else trace.tb_frame


def _outwards(stack: FrameType) -> list[tuple[FrameType, int]]:
    """The frames of a stack, the innermost last."""
    return list(traceback.walk_stack(stack))[::-1]


def _shown(frames: list[tuple[FrameType, int]]) -> list[str]:
    """A line for each frame, the innermost last; of many the outer ones and the inner ones."""
    if len(frames) > _FRAMES:
        outer, inner = frames[: _FRAMES // 4], frames[len(frames) - 3 * _FRAMES // 4 :]
        return [*_shown(outer), f"    ... {len(frames) - _FRAMES} more", *_shown(inner)]
    return [_line(frame, number) for frame, number in frames]


def _line(frame: FrameType, number: int | None) -> str:
    file, name = frame.f_code.co_filename, frame.f_code.co_qualname
    if not _is_ours(frame):
        return f"    {_LIBRARIES.sub('', file)}:{number} {name}"
    code = linecache.getline(file, number or 0).strip()
    return f"    {file.removeprefix(_ROOT)}:{number} {name}: {code}"


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)
