"""`rgmlx read`: reads standard input without an end, and answers questions about it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RgmlxError, warnings_told
from ..shell import typed
from ..system.decoding import argument
from ..system.formatting import size, when
from ..system.printable import printable
from .common import (
    EXIT_CODES,
    add_command,
    add_data,
    add_model,
    add_settings,
    confirm_deletion,
    data_directory,
    number,
    say,
    settings,
)
from .completions.table import READINGS, completes
from .signals import Stopped
from .streams import tell
from .watch import Watch, every

if TYPE_CHECKING:
    from ..reading.files import ReadingFiles
    from ..reading.reader import Reader


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "read",
        "read a text or a log without an end, and answer questions about it",
        "Reads standard input or a file, however long, in constant memory, and answers about it: at its end, or at intervals.\n"
        "With --session what was read outlives the program; without an input only the question is asked.",
        (
            'rgmlx read "What is this about?" < book.txt',
            'tail -f app.log | rgmlx read --session watch --every 5m "What changed?"',
            'rgmlx read --session watch "Were there errors?"',
            "rgmlx read --session watch -f app.log",
            "rgmlx read --list",
        ),
        EXIT_CODES,
    )
    p.add_argument(
        "question", metavar="QUESTION", nargs="*", help="is asked at the end of the input, and at each interval"
    )
    p.add_argument("-f", "--file", metavar="FILE", help="read this file instead of standard input")
    about = "what it is called on the disk: the next call goes on where this one ends"
    completes(p.add_argument("--session", metavar="NAME", help=about), READINGS)
    p.add_argument(
        "--every", type=every, metavar="TIME", help="answer whenever something is new: 30s, 5m, 1h, or 10k tokens"
    )
    p.add_argument(
        "--ask",
        action="append",
        default=[],
        metavar="QUESTION",
        help="ask this at the end of the input; may be repeated",
    )
    p.add_argument("--intro", metavar="TEXT", help='what stands in front of a new text (default: "Here is a text:")')
    p.add_argument(
        "--notes-every",
        type=number(int),
        metavar="N",
        help="have the model write a note each time it has read N tokens more",
    )
    p.add_argument(
        "--stats", action="store_true", help="say at the end what was read, and what of it is remembered exactly"
    )
    add_model(p)
    p.set_defaults(model=None)
    add_data(p, "sessions")
    add_settings(p)
    shown = p.add_argument_group("what is on the disk (no model is loaded)").add_mutually_exclusive_group()
    shown.add_argument("--list", action="store_true", help="list all sessions")
    completes(shown.add_argument("--delete", metavar="NAME", help="delete a session"), READINGS)
    p.add_argument("--yes", action="store_true", help="do not ask")
    shown.add_argument("--names", action="store_true", help=argparse.SUPPRESS)  # what shell completion asks for
    shown.add_argument(
        "--notes",
        nargs="?",
        const="",
        metavar="WORDS",
        help="print the notes of --session, or those with WORDS in them",
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Does what the options say."""
    if options.list:
        _list(_directory(options))
    elif options.names:
        _print_names(_directory(options))
    elif options.delete is not None:
        files = _files(options, argument(options.delete, "--delete"))
        confirm_deletion(f"“{files.name}”", options.yes)
        files.delete()
    elif options.notes is not None:
        _print_notes(options, argument(options.notes, "--notes"))
    else:
        with _input(options.file) as (descriptor, called):
            _read(options, descriptor, called)


@contextmanager
def _input(name: str | None) -> Iterator[tuple[int, str]]:
    """A descriptor to read from, and what sentences call it. Raises RgmlxError: the file can't be read."""
    if name in (None, "-"):
        yield sys.stdin.fileno(), "standard input"
        return
    from ..system.paths import expanded
    from ..system.reading import NotRegular, open_regular
    from ..system.textfiles import reason

    if not name.strip():
        raise RgmlxError("the name of a file is empty: name one after -f, or leave out -f")
    called = " ".join(printable(name).split())
    try:
        file = open_regular(expanded(name))
    except NotRegular as e:
        raise RgmlxError(f"{called} can't be read ({e.strerror}): read it through a pipe", quotes=(called,)) from None
    except OSError as e:
        raise RgmlxError(f"{called} can't be read: {reason(e)}", quotes=(called,)) from None
    with file:
        yield file.fileno(), called


def _read(options: argparse.Namespace, descriptor: int, called: str) -> None:
    question = argument(" ".join(options.question), "the question").strip()
    asked = [argument(text, "--ask") for text in options.ask]
    intro = None if options.intro is None else argument(options.intro, "--intro")
    name = None if options.session is None else argument(options.session, "--session")
    if options.every is not None and not question:
        raise RgmlxError('--every needs a question: write one after it, as in --every 5m "What changed?"')
    if not all(text.strip() for text in asked):
        raise RgmlxError("--ask has an empty question: write one after it")
    given = settings(options)
    max_tokens = given.pop("max_tokens", None)

    from ..reading.files import ReadingFiles
    from ..reading.source import Source, nothing_to_read

    only_asks = nothing_to_read(descriptor)
    known = None
    if name is not None:
        files = ReadingFiles(name, _directory(options))
        known = files.summary().model if files.exist else None
    if only_asks and known is None:
        example = f'{typed("rgmlx read")} "What is this about?" < book.txt'
        raise RgmlxError(f"there is nothing to read: give a text on standard input or with -f, as in  {example}")
    if only_asks and not (question or asked or options.stats):
        raise RgmlxError("there is nothing to read and no question: write one after the command")

    from ..model import load

    with warnings_told(say):
        model = load(options.model or known or "demo")
    reader = model.read(
        name,
        intro=intro,
        directory=_directory(options),
        read_only=only_asks,
        notes_every=options.notes_every,
        **given,
    )
    number = None
    with reader:
        begun, before = time.monotonic(), (reader.tokens, reader.bytes_read)
        source = Source(descriptor, reader.bookmark, called)
        watch: Watch
        answer = partial(_answer, reader, max_tokens=max_tokens, ended=lambda: watch.number is not None)
        stamped = partial(answer, question, stamped=options.every is not None)
        watch = Watch(reader, source, options.every, stamped, partial(_progress, reader, begun, before[0]))
        with watch.signals():
            if not only_asks:
                if source.notice:
                    say(source.notice)
                if not source.goes_on:
                    reader.end_input()
                watch.follow()
                _progress(reader, begun, before[0], ended=True)
            seconds = time.monotonic() - begun
            if question and watch.number is None and (watch.is_new or watch.answered is None):
                watch.answer()
            for text in asked:
                if watch.number is None:
                    answer(text)
            reader.save()
            if options.stats:
                _print_stats(reader, source.skipped, before, seconds)
            number = watch.number
    if number is not None:
        raise Stopped(number)


def _answer(
    reader: Reader, question: str, *, max_tokens: int | None, ended: Callable[[], bool], stamped: bool = False
) -> None:
    """Prints an answer as it is written."""
    from ..system.macos import power

    clean = printable if sys.stdout.isatty() else str
    with power.awake(), closing(reader.stream(question, max_tokens=max_tokens)) as pieces:
        if stamped:
            print(time.strftime("%Y-%m-%d %H:%M:%S  "), end="", flush=True)
        for piece in pieces:
            print(clean(piece), end="", flush=True)
            if ended():
                break
    print(flush=True)


def _progress(reader: Reader, begun: float, before: int, ended: bool = False) -> None:
    """How much was read, on the last line of a terminal."""
    if sys.stderr.isatty():
        count = reader.tokens - before
        read = count - reader.waiting  # what waits for a whole chunk was only taken
        rate = f", {read / max(time.monotonic() - begun, 1e-3):,.0f} tokens/s" if read > 0 else ""
        tell("\r\x1b[K" if ended else f"\r\x1b[Kread {count:,} tokens{rate}", end="")


def _print_stats(reader: Reader, skipped: int, before: tuple[int, int], seconds: float) -> None:
    tokens, count = reader.tokens - before[0], reader.bytes_read - before[1]
    say(
        f"read {tokens:,} tokens ({count:,} bytes) in {seconds:.1f} s; {before[0]:,} tokens ({before[1]:,} bytes) before"
    )
    if skipped:
        say(f"passed over {skipped:,} bytes that were read before")
    if reader.replaced:
        say(f"{reader.replaced:,} characters are not text, and were read as \ufffd")
    at = reader.horizon()
    exact = f"the last {at.exact:,} tokens are remembered exactly: from line {at.line:,} of {at.lines:,} on (byte {at.byte:,} of {at.bytes:,})"
    say(
        f"{exact}; {at.gist:,} tokens before them in gist"
        if at.gist
        else f"all {at.exact:,} tokens are remembered exactly"
    )
    disk = f", on the disk {size(reader.disk_nbytes)}" if reader.name is not None else ""
    waiting = f", {reader.waiting:,} wait for a whole chunk" if reader.waiting else ""
    say(f"the state has read {reader.position:,} tokens{waiting}; it has {size(reader.state_nbytes)}{disk}")


# --- what is on the disk ------------------------------------------------------------------


def _directory(options: argparse.Namespace) -> Path:
    """Where the sessions are."""
    from ..reading.files import FOLDER

    return data_directory(options) / FOLDER


def _files(options: argparse.Namespace, name: str) -> ReadingFiles:
    """Those of a session. Raises RgmlxError: there is none of this name."""
    from ..reading.files import ReadingFiles

    files = ReadingFiles(name, _directory(options))
    if not files.path.is_dir():
        raise _missing(name)
    return files


def _list(directory: Path) -> None:
    from ..reading.files import listed

    now = time.time()
    for one in listed(directory):
        row = f"{one.name}\t{one.tokens:,} tokens\t{one.bytes:,} bytes\t{one.model}\t{when(one.saved, now)}\t{size(one.size)}"
        print("\t".join(printable(part) for part in row.split("\t")))


def _print_names(directory: Path) -> None:
    from ..reading.files import listed

    for one in listed(directory):
        if one.name.isprintable():
            print(one.name)


def _print_notes(options: argparse.Namespace, words: str) -> None:
    from ..reading.files import NOTES
    from ..reading.notes import Notes

    if options.session is None:
        raise RgmlxError("--notes needs --session NAME: it prints the notes of one")
    files = _files(options, argument(options.session, "--session"))
    for note in reversed(Notes(files.path / NOTES).search(words)):
        text = " ".join(printable(note.text).split())
        print(
            f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(note.time))}  lines {note.first:,} to {note.last:,}: {text}"
        )


def _missing(name: str) -> RgmlxError:
    shown = typed("rgmlx read")
    return RgmlxError(f"there is no session “{name}”: {shown} --list lists them", quotes=(name,))
