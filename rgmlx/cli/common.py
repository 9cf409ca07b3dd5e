"""What the commands share: how help looks, and the options of every command that runs a model."""

from __future__ import annotations

import argparse
import difflib
import errno
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import RgmlxError
from ..settings import OFFERED, checked
from ..system import debug_log, paths, variables
from ..system.device import named
from ..system.macos import privacy
from ..system.printable import first_line, printable
from . import streams
from .streams import tell

EXIT_CODES = """exit codes:
  0    done; also where an answer was cut at --max-tokens, as asked (--json and --stats say so)
  1    an error, of which one sentence on stderr says what to do
  2    a wrong command line
  130  Ctrl-C;  141  the reader went away (| head);  128 + N  signal N"""


class Parser(argparse.ArgumentParser):
    """A command line's parser. argparse itself says nothing where the help can't be written.

    A wrong value is a sentence without the usage, and an option that is there by another name is named.
    """

    def error(self, message: str) -> NoReturn:
        """Ends the program, with the usage where the value of one option is not all that is wrong."""
        if wrong := re.fullmatch(r"argument (?:-\w/)?(\S+): (must be .*)", message, re.DOTALL):
            self.exit(2, f"{self.prog.split()[0]}: {wrong[1]} {wrong[2]}\n")
        super().error(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse; an unknown option that is nearly one of these ends the program here."""
        found, left = super().parse_known_args(args, namespace)
        options = left[: left.index("--")] if "--" in left else left  # behind it are names of files, say
        for option in (word.partition("=")[0] for word in options if word.startswith("--")):
            if near := difflib.get_close_matches(option, self._option_string_actions, 1, 0.8):
                self.error(f"there is no {printable(option)}: did you mean {near[0]}?")
        return found, left

    def _print_message(self, message: str, file: Any = None) -> None:
        streams.print_message(message, file)


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What a command line says. Ends the program after help, or where the line or an environment variable is wrong."""
    found: list[argparse.Namespace] = []

    def parse() -> None:
        options = parser.parse_args(arguments)
        variables.check()
        found.append(options)

    code = guarded(parser.prog, parse)
    if not found:
        sys.exit(code)
    return found[0]


def epilog(*examples: str) -> str:
    """Examples for the end of a help text, a line each."""
    return "\n  ".join(["examples:" if len(examples) > 1 else "example:", *examples])


def add_command(
    commands: Any, name: str, summary: str, description: str, examples: tuple[str, ...], more: str = ""
) -> argparse.ArgumentParser:
    """Adds a subcommand whose help keeps the lines of its examples, and of what comes after them."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog="\n\n".join([epilog(*examples), *filter(None, [more])]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_model(p: argparse.ArgumentParser, default: str = "") -> None:
    """The option that names a model. `default`: what it is where that depends, in words; the value is None then."""
    p.add_argument(
        "--model",
        default=None if default else "demo",
        metavar="NAME",
        help="a directory, a Hugging Face repository such as google/recurrentgemma-2b-it, or demo "
        f"({f'default: {default}' if default else 'the default'})",
    )


def add_data(p: argparse.ArgumentParser, what: str = "conversations", **options: Any) -> None:
    """The option that names the directory of conversations, or of something else; `data_directory` has its value."""
    p.add_argument(
        "--data",
        type=directory,
        metavar="DIR",
        help=f"where {what} are kept (default: your user data directory)",
        **options,
    )


def directory(text: str) -> Path:
    """A type of arguments: the name of a directory."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty: name a directory")
    return Path(text)


def data_directory(options: argparse.Namespace) -> Path:
    """What `--data` names, or the user's data directory."""
    named = getattr(options, "data", None)
    return paths.expanded(named) if named else paths.data()


def confirm_deletion(which: str, yes: bool) -> None:
    """Asks on the terminal, unless `--yes` did. Raises RgmlxError: it is none, or the answer is not yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise RgmlxError(f"nobody can be asked here whether to delete {which}: add --yes to delete it", quotes=(which,))
    tell(f"Delete {which}? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RgmlxError("nothing was deleted")


def positive(text: str) -> int:
    """A type of arguments: a whole number, 1 or more."""
    try:
        if (number := int(text)) > 0:
            return number
    except ValueError:
        pass
    raise _wrong("a whole number, 1 or more", text)


def number(kind: type[int] | type[float], wanted: str = "") -> Callable[[str], float]:
    """A type of arguments: a number of this kind. `wanted`: what a good one is, to stand after "must be"."""

    def read(text: str) -> float:
        try:
            return kind(text)
        except ValueError:
            raise _wrong(wanted or ("a whole number" if kind is int else "a number"), text) from None

    return read


def _wrong(wanted: str, text: str) -> argparse.ArgumentTypeError:
    point = ", written with a point" if "," in text else ""
    return argparse.ArgumentTypeError(f"must be {wanted}{point}, not {printable(text)!r:.40}")


def add_settings(p: argparse.ArgumentParser) -> None:
    """The options that are settings of a reply."""
    for name, setting in OFFERED.items():
        about = setting.about[0].lower() + setting.about[1:].rstrip(".")
        p.add_argument(
            f"--{name.replace('_', '-')}",
            type=number(setting.kind, setting.wanted),
            metavar="N" if setting.kind is int else "X",
            help=f"{about} (default: {setting.otherwise})",
        )


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of a reply that were given. Raises RgmlxError: one is out of range."""
    given = {name: getattr(options, name) for name in OFFERED}
    return {name: checked(name, value) for name, value in given.items() if value is not None}


def say(text: str) -> None:
    """A sentence that is no answer, on stderr."""
    streams.tell(f"rgmlx: {printable(' '.join(text.splitlines()))}")


def begin_log(program: str, directory: Path | None = None) -> None:
    """Begins the debug log where that is asked for; one that can't be written is told of, and missing."""
    if problem := debug_log.begin(directory):
        streams.tell(f"{program}: {printable(problem)}")


def guarded(program: str, action: Callable[[], object]) -> int:
    """Runs an action; an error becomes one sentence on stderr. Returns the exit code, of a SystemExit too."""
    streams.prepare()
    try:
        code = _run(action)
        sys.stdout.flush()
        return code
    except RgmlxError as e:
        # A message may quote a file that came from anywhere, such as the name of a tensor.
        streams.tell(f"{program}: {printable(' '.join(str(e).splitlines()))}")
        return 1
    except KeyboardInterrupt:
        streams.tell("")
        return 130
    except BrokenPipeError:
        streams.discard(sys.stdout)  # the reader went away (`| head`)
        return 141
    except OSError as e:  # a full disk under `> file`, or one of mlx-lm's; ours are RgmlxErrors
        streams.discard(sys.stdout)
        debug_log.caught(e, "it ended the program")
        output = e.errno is not None and e.filename is None
        why = "it is closed" if e.errno == errno.EBADF else e.strerror
        text = f"the output can't be written: {why}" if output else first_line(e)
        if isinstance(refusal := privacy.explained(e), privacy.NotAllowed):
            text = f"{e.filename} can't be opened: {refusal.strerror}"
        streams.tell(f"{program}: {printable(text)}")
        return 1
    finally:
        streams.tell("", end="")  # what is still buffered


def _run(action: Callable[[], object]) -> int:
    """Runs an action. Returns the code with which it wants to end the program, or 0."""
    try:
        with named():
            action()
    except SystemExit as e:
        if isinstance(e.code, str):
            streams.tell(e.code)
        return e.code if isinstance(e.code, int) else int(e.code is not None)
    return 0
