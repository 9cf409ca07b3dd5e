"""A command line as shells complete it: commands, their options, and what a value can be. Derived from argparse's parsers.

Knows argparse; nothing of shells. What a value can be follows from how it is shown (`FILE`, `DIR`), from its choices, or from
`completes`, where a command says so.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...system.formatting import cut

FILES, DIRECTORIES, SESSIONS, READINGS, MODELS, NOTHING = "files", "directories", "sessions", "readings", "models", ""
"""What a value can be, besides one of several words."""
NAMES = {SESSIONS: "sessions list --names", READINGS: "read --names"}
"""What the program is asked for names that only it knows."""
ASKED = "rgmlx"
"""Who knows these names."""
RECIPES = "recipes"
"""A recipe of `rgmlx desktop`; there are so many as it has."""
PUBLISHED = "published"
"""A model that has a short name."""
_BY_METAVAR = {
    "FILE": FILES,
    "DIR": DIRECTORIES,
    "PATH": FILES,
    "MODEL": MODELS,
    "SOURCE": MODELS,
    "COMMAND ...": FILES,
}
_BY_DEST = {"model": MODELS, "session": SESSIONS}
_MARK = "_completes"
_MOST = 80  # characters beside a name


@dataclass(frozen=True)
class Value:
    """What stands after an option, or by itself.

    Attributes:
        kind: FILES, DIRECTORIES, SESSIONS, READINGS, MODELS; NOTHING for what nobody can guess.
        words: what it can be where these are all.
        many: as many as one likes may follow.
    """

    name: str
    kind: str
    words: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Option:
    """An option. `value` is None for a switch; `again` says that it may be given more than once."""

    names: tuple[str, ...]
    about: str
    value: Value | None
    again: bool = False


@dataclass(frozen=True)
class Command:
    """A command: `path` has the words that name it, the first being the program."""

    path: tuple[str, ...]
    about: str
    options: tuple[Option, ...]
    values: tuple[Value, ...]
    commands: tuple[Command, ...]

    @property
    def takes_files(self) -> bool:
        """Whether files may stand where values do, as an option takes any number of them."""
        return any(o.value is not None and o.value.many and o.value.kind == FILES for o in self.options)

    def all(self) -> Iterator[Command]:
        """This one and all below it, those above first."""
        yield self
        for one in self.commands:
            yield from one.all()


def completes(action: argparse.Action, kind: str | tuple[str, ...]) -> None:
    """Says what the value of an argument can be: a kind, or some words (others may be right as well)."""
    setattr(action, _MARK, kind)


def described(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), about: str = "") -> Command:
    """The table of a parser and those of its commands. What is hidden in the help is left out."""
    path = path or (parser.prog,)
    options, values, commands = list[Option](), list[Value](), list[Command]()
    for action in parser._actions:
        if action.help is argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            summaries = {one.dest: one.help or "" for one in action._choices_actions}
            commands += [described(p, (*path, name), summaries.get(name, "")) for name, p in action.choices.items()]
        elif action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            again = isinstance(action, argparse._AppendAction)
            options.append(Option(tuple(action.option_strings), _about(parser, action), value, again))
        else:
            values.append(_value(action))
    return Command(path, about, tuple(options), tuple(values), tuple(commands))


def filled(script: str, command: Command) -> str:
    """A script with the program's name in it, and who is asked for names and has written it: `rgmlx`, for `rgchat` as well."""
    program = command.path[0]
    written = f"{program} completion" if command.commands else f"{program} --completion"
    return script.replace("PROGRAM", program).replace("ASKED", ASKED).replace("WRITTEN", written)


def briefly(about: str) -> str:
    """What fits beside a name: the beginning of a help text."""
    return cut(re.split(r"; |: | \(default", about)[0].strip().rstrip("."), _MOST)


def _value(action: argparse.Action) -> Value:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    words = tuple(str(word) for word in action.choices or ())
    said = getattr(action, _MARK, _BY_METAVAR.get(name, _BY_DEST.get(action.dest, NOTHING)))
    kind, words = (NOTHING, said) if isinstance(said, tuple) else (said, words)
    if kind == RECIPES:
        from ...desktop import recipes

        kind, words = NOTHING, tuple(one.name for one in recipes.RECIPES)
    if kind == PUBLISHED:
        from ...weights import hub

        kind, words = NOTHING, tuple(hub.PUBLISHED)
    return Value(name, kind, words, many=action.nargs in ("*", "+", argparse.REMAINDER))


def _about(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """The help of an option on one line, with its values filled in."""
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    return " ".join(text.split())
