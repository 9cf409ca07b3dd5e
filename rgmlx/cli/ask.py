"""`rgmlx ask`: a question and what it is about; the answer, streamed to stdout or written to a file."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..errors import RgmlxError, warnings_told
from ..settings import DRAFTS, OFF, SETTINGS
from ..system.decoding import argument
from ..system.formatting import size
from . import conversations, material
from .common import EXIT_CODES, add_command, add_data, add_model, add_settings, data_directory, positive, say, settings
from .forms import FORMS, add_forms, form
from .results import Results
from .signals import handled
from .streams import tell

if TYPE_CHECKING:
    from ..model import Model
    from ..store import Store
    from .answers import Answer, Show

_SEEDS = int(SETTINGS["seed"].high) + 1
_SEED_BITS = 53  # of a seed that nobody chose: each program that reads JSON has such numbers


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "ask",
        "ask one question and print the answer",
        "Asks one question and prints the answer as it is written. What comes through a pipe, and the files of -f, is what the\n"
        "question is about; without TEXT the pipe is the question.",
        (
            'rgmlx ask "Tell me a story about a fox"',
            'git diff | rgmlx ask "Write a commit message for this"',
            'rgmlx ask "What do these have in common?" -f one.txt two.txt',
            'rgmlx ask "Is this mail spam?" -f mail.txt --choice yes no',
            'rgmlx ask --session diary "What did I say about Monday?" --stats',
            "rgmlx ask --seed 7 --max-tokens 40 < question.txt",
        ),
        EXIT_CODES,
    )
    p.add_argument(
        "text", metavar="TEXT", nargs="*", help="the question; nothing, or - alone, reads it from standard input"
    )
    p.add_argument(
        "-f",
        "--file",
        dest="files",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="text files that the question is about; - is standard input, waited for as long as it takes",
    )
    p.add_argument("--no-stdin", action="store_true", help="pass over what comes through standard input")
    add_model(p, "demo, or what the session was last written with")
    p.add_argument("--system", metavar="TEXT", help="how the assistant should behave, put in front of the question")
    p.add_argument(
        "--session",
        metavar="NAME",
        help="go on with the conversation of this name, or begin it; rgchat lists it too",
    )
    add_forms(p)
    p.add_argument("--raw", action="store_true", help="continue the text instead of answering it")
    p.add_argument(
        "-n", type=positive, default=1, metavar="N", help="so many answers, each with a seed of its own (default: 1)"
    )
    p.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write the answer to a file, all of it or nothing, instead of printing it",
    )
    p.add_argument(
        "--json",
        action="store_true",
        help="print an object a line for each answer: text, ids, finish_reason, tokens_read, tokens_known, tokens_written, "
        "seconds, seed, model, session",
    )
    p.add_argument("--stats", action="store_true", help="say on stderr what was read and written, and how long it took")
    add_data(p)
    p.add_argument(
        "--draft",
        choices=DRAFTS,
        default=OFF,
        help="lookup: several tokens at once where the text before foretells them; the answer is the same (default: off)",
    )
    add_settings(p)
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Reads the question, loads the model, writes the answers."""
    given = settings(options) | form(options)
    system = None if options.system is None else argument(options.system, "--system")
    if options.session is not None:
        options.session = argument(options.session, "--session")
    if options.raw and system:
        raise RgmlxError("--system has no place in --raw text: put it into the text itself")
    if options.raw and options.session is not None:
        raise RgmlxError("--session has no place with --raw, as a conversation has turns: leave one of them out")
    with (
        handled(),
        Results(options.output, as_json=options.json) as out,
        _conversations(options) as store,
    ):
        text = material.message(
            options.text,
            options.files,
            choices=options.choices or (),
            raw=options.raw,
            listen=not options.no_stdin,
        )
        name = (_model_of(store, options.session) or "demo") if options.model is None else options.model
        begun = time.perf_counter()
        model = _loaded(name)
        model.draft = options.draft
        total = _Total(time.perf_counter() - begun, options.session)
        with contextlib.closing(_answers(model, store, text, options, system, given, out.piece)) as answers:
            for number, answer in enumerate(answers):
                if number:
                    out.between()
                out.end(_facts(answer, name, options))
                total.add(answer)
        out.commit()
    if options.stats:
        say(str(total))


def _loaded(name: str) -> Model:
    from ..model import load

    with warnings_told(say):
        return load(name)


def _answers(
    model: Model,
    store: Store | None,
    text: str,
    options: argparse.Namespace,
    system: str | None,
    given: dict[str, Any],
    show: Show,
) -> Generator[Answer]:
    """The answers; `show` is told each piece of them."""
    from ..system.macos import power
    from .answers import alone, in_conversation

    seed = given.pop("seed", None)
    common: dict[str, Any] = {"max_tokens": given.pop("max_tokens", None), "progress": _progress}
    common |= {name: given.pop(name) for name in FORMS if name in given}
    with power.awake():
        if store is None:
            seeds = _seeds(model.sampling.seed if seed is None else seed, options.n)
            yield from alone(model, text, seeds, show, system=system, raw=options.raw, **common, **given)
            return
        with model.chat(options.session, system=system, store=store, **given) as chat:
            seeds = _seeds(chat.sampling.seed if seed is None else seed, options.n)
            yield from in_conversation(chat, text, seeds, show, **common)


def _facts(answer: Answer, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """An answer as `--json` has it; `result` is there with `--schema` only."""
    facts = {**asdict(answer), "seconds": round(answer.seconds, 4), "model": model, "session": options.session}
    if options.schema is None:
        del facts["result"]
    return facts


def _seeds(first: int | None, count: int) -> Iterator[int]:
    """So many seeds, from the first on: the first answer is the one that the first seed gives alone."""
    first = secrets.randbits(_SEED_BITS) if first is None else first
    return ((first + number) % _SEEDS for number in range(count))


# --- conversations by name ----------------------------------------------------------------


@contextlib.contextmanager
def _conversations(options: argparse.Namespace) -> Iterator[Store | None]:
    """The store, where a conversation was named, which nobody else has open."""
    if options.session is None:
        yield None
        return
    from ..conversation import named

    named.check(options.session)
    with conversations.opened(data_directory(options)) as store:
        named.find(store, options.session)
        yield store


def _model_of(store: Store | None, name: str | None) -> str | None:
    """The model that a conversation was last written with, where there is one."""
    from ..conversation import named

    row = named.find(store, name) if store is not None and name is not None else None
    return row.model if row is not None else None


# --- what is said besides -----------------------------------------------------------------


class _Total:
    """What all answers have cost, in a sentence."""

    def __init__(self, loading: float, session: str | None) -> None:
        """`loading`: seconds that the model took to load."""
        self._loading, self._session = loading, session
        self._read = self._written = self._cut = 0
        self._known: int | None = None
        self._begun = self._ended = time.perf_counter()

    def add(self, answer: Answer) -> None:
        """Counts one more."""
        self._known = answer.tokens_known if self._known is None else self._known
        self._read += answer.tokens_read
        self._written += answer.tokens_written
        self._ended = time.perf_counter()
        self._cut += answer.finish_reason == "length"

    def __str__(self) -> str:
        from ..conversation.metrics import resident_bytes

        known = f" after {self._known or 0:,} that “{self._session}” had" if self._session is not None else ""
        cut = ", cut at --max-tokens," if self._cut else ""
        return (
            f"{self._read:,} tokens read{known}, {self._written:,} written{cut} in {self._ended - self._begun:.2f} s, after "
            f"{self._loading:.2f} s for the model; {size(resident_bytes())} of memory"
        )


def _progress(done: int, total: int) -> None:
    """How far a long question has been read, on the last line of a terminal."""
    if sys.stderr.isatty() and total > 200:
        line = f"reading, {done:,} of {total:,} tokens" if done < total else ""
        tell(f"\r\x1b[K{line}", end="")
