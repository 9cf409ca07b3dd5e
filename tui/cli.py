"""The `rgchat` command line."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rgmlx import __version__
from rgmlx.cli import completion, signals, streams
from rgmlx.cli.common import Parser, add_data, add_settings, begin_log, data_directory, epilog, guarded, parsed
from rgmlx.cli.common import settings as given
from rgmlx.cli.completions.table import completes
from rgmlx.errors import RgmlxError
from rgmlx.shell import typed
from rgmlx.system.decoding import argument
from rgmlx.system.device import named
from rgmlx.system.paths import expanded
from rgmlx.system.printable import printable
from rgmlx.system.reading import NotRegular, open_regular

from .question import read
from .terminal import own_keyboard

if TYPE_CHECKING:
    from rgmlx.conversation.session import Session

    from .app import ChatApp
    from .settings.personas import Persona

DELETED_SECONDS = 30 * 24 * 3600
"""For so long a deleted conversation can be had back."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    p = Parser(
        prog="rgchat",
        description="A chat in the terminal with a memory of fixed size. Conversations are kept as they are written, "
        "and go on where they were the next time.",
        epilog=epilog(
            "rgchat",
            'rgchat "What do otters eat?"',
            'git diff | rgchat "What does this change?"',
            'rgchat --continue "And in winter?"',
            "rgchat --session diary",
            "rgchat --model google/recurrentgemma-2b-it",
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "words",
        metavar="QUESTION",
        nargs="*",
        help="what to send first, in a new conversation unless an option names another; what comes through a pipe is what "
        "it is about",
    )
    p.add_argument("--version", action="version", version=f"rgchat {__version__}")
    p.add_argument(
        "--model",
        metavar="NAME",
        help="a directory, a Hugging Face repository such as google/recurrentgemma-2b-it, or demo "
        "(default: that of the conversation)",
    )
    p.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="go on with the conversation that was open last (on a terminal, the default without QUESTION)",
    )
    p.add_argument("--new", action="store_true", help="start a new conversation; the others are kept")
    p.add_argument(
        "--session",
        metavar="NAME",
        help="go on with the conversation of this name, or begin it; those of the rgmlx commands are the same",
    )
    p.add_argument("--open", type=Path, metavar="FILE", help="go on from a .rgstate file, which /save writes")
    p.add_argument("--system", metavar="TEXT", help="how the assistant should behave, for a new conversation")
    p.add_argument(
        "--persona", metavar="NAME", help="start a new conversation with a persona of rgchat.toml; /persona lists them"
    )
    p.add_argument("--inline", action="store_true", help="under the prompt of the shell instead of the whole screen")
    p.add_argument(
        "--plain",
        action="store_true",
        help="lines only, for screen readers, simple terminals and pipes: no screen, no colours; without QUESTION each line "
        "of a pipe is a message",
    )
    theme = p.add_argument("--theme", metavar="NAME", help="dark, light, contrast, or one of rgchat.toml")
    completes(theme, ("dark", "light", "contrast"))
    p.add_argument(
        "--recover",
        type=Path,
        metavar="FILE",
        help="add what can be read of another file of conversations, such as a damaged one that was set aside, to yours, "
        "and leave",
    )
    p.add_argument(
        "--completion",
        metavar="SHELL",
        choices=completion.SHELLS,
        help=f"print a script with which a shell completes this command line ({', '.join(completion.SHELLS)}), and leave; "
        f'in ~/.zshrc, after compinit: eval "$({typed("rgchat")} --completion zsh)"',
    )
    add_data(p)
    add_settings(p)
    return p


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the chat; exits with its code."""
    options = parsed(parser(), arguments)
    end_with(lambda: _run(options), lambda: data_directory(options))


def end_with(run: Callable[[], int], data: Callable[[], Path]) -> NoReturn:
    """Runs the chat and exits with its code; an error that nobody caught is a sentence, and a traceback in `data`."""
    code = 0

    def guard() -> None:
        nonlocal code
        try:
            begin_log("rgchat", data())
            with named():
                code = run()
        except (RgmlxError, OSError):
            raise
        except Exception as e:
            from .terminal import crash_log

            raise RgmlxError(crash_log.report(data(), e)) from e

    try:
        with signals.handled():
            code = guarded("rgchat", guard) or code
    except signals.Stopped as e:
        code = e.code
    except OSError:  # nobody is left to be told
        code = 1
    if "mlx.core" in sys.modules or threading.active_count() > 1:
        # Everything is closed by now. Where a model ran in a thread, MLX aborts the process now and then as it unloads.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def show(app: ChatApp, *, inline: bool = False) -> int:
    """Runs the screen; a signal ends it as Ctrl+Q does.

    Returns:
        The exit code: 128 + its number after a signal.

    Raises:
        RgmlxError: an error that nobody caught ended it.
    """
    if sys.__stderr__ is None or not sys.__stderr__.isatty():  # where Textual draws
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    with signals.handled(app.end_on_signal, signal.SIGINT):
        app.run(inline=inline)
        if inline:
            streams.tell(app.left_unsaid(), end="")
    if app.signalled:
        return 128 + app.signalled
    if app.failure:
        raise RgmlxError(app.failure, quotes=(app.failure,))  # another error's words; that is in the log by itself
    return app.return_code or 0


def _run(options: argparse.Namespace) -> int:
    _check_together(options)
    if options.completion:
        completion.run(options.completion, parser())
        return 0
    if options.recover:
        return _recover(options)
    from rgmlx.conversation import named
    from rgmlx.conversation.session import Session
    from rgmlx.store import Store
    from rgmlx.store.names import NAME
    from rgmlx.weights.hub import is_repository, resolve

    from .prompt.kept import KeptPrompts, folder
    from .settings import own_themes, settings
    from .themes import NAMES

    somebody, is_plain = _who_is_there(asks=bool(options.words), plain=options.plain)
    is_plain = is_plain or os.environ.get("TERM") == "dumb"
    if not is_plain:
        _check_encoding()
    file = _checked(expanded(options.open)) if options.open else None
    if options.session is not None:
        options.session = argument(options.session, "--session")
        named.check(options.session)
    if options.model and not is_repository(options.model):
        resolve(options.model)  # a wrong name is a sentence here, not a screen later
    wanted = given(options)
    system = None if options.system is None else argument(options.system, "--system")
    defaults_file = settings.path()
    defaults, problems = settings.load(defaults_file)
    if options.theme and options.theme not in (*NAMES, *defaults.themes):
        raise RgmlxError(own_themes.unknown(options.theme, defaults.themes), quotes=(options.theme,))
    persona = _persona(options, defaults.personas, problems, defaults_file)
    prompts = KeptPrompts(folder())
    problems += prompts.problems
    prompts.problems.clear()
    data = data_directory(options)
    first = not os.path.lexists(data / NAME)  # false where the directory may not be entered
    question = read(options.words, somebody=somebody)
    with Store(data, snapshot_bytes=defaults.snapshot_bytes) as store:
        session = Session(
            store,
            options.model or defaults.model,
            system=defaults.system if system is None else system,
            sampling={**defaults.sampling, **wanted},
        )
        session.notices += problems
        if persona is not None:  # what the command line says goes before
            session.begin(persona.system if system is None else None, {**persona.sampling, **wanted})
        if not options.model:
            session.origins[defaults.model] = str(defaults_file)
        session.last = data / "last" if somebody or options.go_on else None
        if not store.read_only:
            store.conversations.purge(older_than=DELETED_SECONDS)
        if first:
            session.notices += _earlier(data)
        _open_conversation(session, options, system, wanted, somebody=somebody)
        if question is not None:
            own_keyboard.take() if somebody else own_keyboard.leave()
        if is_plain:
            from .plain import PlainChat

            chat = PlainChat(session, defaults=defaults, file=file, question=question, prompts=prompts)
            del question  # which may be long
            return with_all_kept(chat.run, store.rescue, late=store.notices)
        from .app import ChatApp
        from .prompt.drafts import Drafts
        from .prompt.history import History

        drafts = Drafts(data / "drafts", make_room=store.free_disk_space)
        app = ChatApp(
            session,
            defaults=defaults,
            defaults_file=defaults_file,
            file=file,
            question=question,
            history=History(data / "history.jsonl"),
            drafts=drafts,
            prompts=prompts,
            first=first and session.name == "demo" and not options.open,
        )
        del question
        if options.theme:
            app.first_theme = options.theme
        late = itertools.chain(store.notices, drafts.notices)  # as they are at the end
        return with_all_kept(lambda: show(app, inline=options.inline), store.rescue, drafts.rescue, late=late)


def _who_is_there(*, asks: bool, plain: bool) -> tuple[bool, bool]:
    """Whether somebody can type, be it that the keyboard is not the standard input, and whether the chat is in lines.

    With a question the standard input is what that is about; where no terminal is there to go on in, the answer is printed.

    Raises:
        RgmlxError: there is no terminal for a screen, and nothing else to do.
    """
    types, reads = sys.stdin.isatty(), sys.stdout.isatty()
    if asks:
        somebody = reads and (types or own_keyboard.is_there())
        return somebody, plain or not somebody
    if plain or (types and reads):
        return types, plain
    raise RgmlxError(
        f'this is not a terminal: add a question, as in  cat notes.txt | {typed("rgchat")} "What is this about?", or '
        "--plain, with which each line is a message"
    )


def _check_together(options: argparse.Namespace) -> None:
    """Raises RgmlxError: two options contradict each other."""
    ways = {
        "--continue": options.go_on,
        "--new": options.new,
        "--session": options.session is not None,
        "--open": options.open is not None,
    }
    named = [name for name, is_given in ways.items() if is_given]
    if options.recover:
        other = named[0] if named else "the question" if options.words else ""
        if other:
            raise RgmlxError(f"--recover adds conversations and leaves, without a chat: leave out {other}")
    if len(named) > 1:
        raise RgmlxError(f"{named[0]} and {named[1]} each name a conversation: leave one of them out")
    if options.system is not None and (options.go_on or options.open is not None):
        raise RgmlxError(f"--system is for a new conversation: leave it out, or {named[0]}")
    if options.persona is not None and named and named != ["--new"]:
        raise RgmlxError(f"--persona begins a conversation and {named[0]} goes on with one: give one of them")
    if options.plain and options.inline:
        raise RgmlxError("--plain and --inline are two ways to show the chat: leave one of them out")


def _open_conversation(
    session: Session, options: argparse.Namespace, system: str | None, wanted: dict[str, Any], *, somebody: bool
) -> None:
    """Opens the conversation that the options name; without one a new one has begun.

    Args:
        system: what --system says.
        wanted: settings that were given.
        somebody: types; a pipe has nothing to do with what somebody chatted about before, unless it is named.

    Raises:
        RgmlxError: another program has it open, or it has another system text.
    """
    from rgmlx.conversation import named

    if options.session is not None:
        row = named.find(session.store, options.session)
        if row is None:
            system = session.default_system
        else:
            session.name = row.model
        named.take(session, session.store, options.session, system=system, sampling=wanted)
        session.name = options.model or session.name  # it is noted once it is loaded
    elif options.go_on:
        if session.open_last() and session.conversation is not None and not options.model:
            session.name = session.conversation.model
    elif somebody and not (
        options.words or options.new or options.open or options.persona is not None or system is not None
    ):
        session.open_latest(options.model)
    if wanted and session.conversation is not None:
        session.set_settings(wanted)


def _persona(
    options: argparse.Namespace, known: Mapping[str, Persona], problems: Iterable[str], file: Path
) -> Persona | None:
    """The persona that is asked for, if one is. Raises RgmlxError: there is none of this name."""
    from .settings import personas

    if options.persona is None:
        return None
    try:
        return personas.find(known, argument(options.persona, "--persona"), file)[1]
    except RgmlxError:
        for problem in problems:  # it may be among them
            streams.tell(f"rgchat: {printable(problem)}")
        raise


def _check_encoding() -> None:
    """Raises RgmlxError: the terminal is said to have no UTF-8, so that the screen would be full of escapes."""
    encoding = codecs.lookup(sys.stdout.encoding).name
    if encoding != "utf-8":
        raise RgmlxError(
            f"the screen needs UTF-8, and this terminal's encoding is {encoding}: set LC_ALL to a UTF-8 locale (locale -a "
            "lists them) and unset PYTHONIOENCODING, or add --plain"
        )


def _checked(file: Path) -> Path:
    """The file to go on from. Raises RgmlxError: it can't be read."""
    try:
        open_regular(file).close()
    except FileNotFoundError:
        raise RgmlxError(f"there is no file {file}: name a .rgstate file that /save has written") from None
    except NotRegular as e:
        raise RgmlxError(f"{file} can't be read ({e.strerror}): name a .rgstate file that /save has written") from None
    except OSError as e:
        raise RgmlxError(f"{file} can't be read: {e.strerror or e}") from None
    return file


def with_all_kept(run: Callable[[], int], *rescues: Callable[[], str], late: Iterable[str] = ()) -> int:
    """Runs the chat; what is in memory only at its end is written elsewhere, and the code is 1 then if it was 0.

    Args:
        rescues: what does that, and tells in a sentence where; "" where nothing was in memory only.
        late: what is to be said at the end, as it came too late for the screen.
    """
    lost: list[str] = []
    try:
        code = run()
    finally:
        lost = [said for rescue in rescues if (said := rescue())]
        for sentence in (*late, *lost):
            streams.tell(f"rgchat: {printable(sentence)}")
    return code or int(bool(lost))


def _recover(options: argparse.Namespace) -> int:
    """Adds what can be read of a file to the conversations, and says what that is; 1 where it is nothing."""
    from rgmlx.store import Store

    with Store(data_directory(options)) as store:
        report = store.recover(expanded(options.recover))
        while store.notices:
            print(store.notices.pop(0), flush=True)
    if report.empty:
        raise RgmlxError(f"no conversation could be read in {options.recover}: nothing was added")
    print(f"From {options.recover}: {report.added()}")
    return 0


def _earlier(data: Path) -> list[str]:
    """What to say about conversations of the version before this one, which kept a file each."""
    files = sorted(data.glob("*.rgstate"))
    if not files:
        return []
    return [f"Conversations of an earlier version are in {data}, such as {files[0].name}: /open brings one in."]
