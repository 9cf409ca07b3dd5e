"""Questions about Griff, about the command line, and about what rgchat has not; with those about keys and commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

from . import itself_keys as keys
from . import itself_mac
from .cases import Case, Kind, Make, after, one
from .itself_frames import COMMAND_DOES, HOW, TOPIC, TROUBLE
from .lexicon import Lexicon
from .phrases import FACTS, GIVE, Block, blocks, rough, told, wordings
from .wording import Source, Wordings

GRIFF = blocks("itself_griff")
SHELL = blocks("itself_shell")
ABSENT = blocks("itself_absent")


@functools.cache
def _parted(table: str) -> dict[str, tuple[Wordings, Wordings | None]]:
    return {block.name: keys.parted(block) for block in (SHELL if table == "shell" else ABSENT)}


def _asked(source: Source, table: str, block: Block, frames: Wordings, whole_part: float) -> str:
    """A whole question of a block, or a frame around something one may want to do."""
    goals, whole = _parted(table)[block.name]
    if whole is not None and source.maybe(whole_part):
        return whole.say(source)
    goal = goals.say(source)
    return frames.say(source, goal=goal[:1].lower() + goal[1:])


# --- the command line -------------------------------------------------------------------------


def shell_how(source: Source, lexicon: Lexicon) -> Case:
    """How to do something from the shell."""
    block = source.pick(*SHELL)
    command, does = block.marks["command"], source.pick(*block.answers)
    texts = ["Type {command} in the shell: it {does}.", "With {command}: it {does}.", "{command} {does}."]
    texts += ["In the shell, type {command}. It {does}.", "{command} is the command: it {does}."]
    text = told(source, source.pick(*texts), {"command": command, "does": does})
    user = _asked(source, "shell", block, HOW, 0.3)
    return replace(one(rough(source, user), _as_typed(text, command), command), about=block.name)


def shell_does(source: Source, lexicon: Lexicon) -> Case:
    """What a command of the shell does."""
    block = source.pick(*SHELL)
    command, does = block.marks["command"], source.pick(*block.answers)
    texts = ["{command} {does}.", "It {does}.", "In the shell it {does}."]
    text = told(source, source.pick(*texts), {"command": command, "does": does})
    question = _as_typed(COMMAND_DOES.say(source, command=command), command)
    case = one(rough(source, question, [command]), _as_typed(text, command), block.choice("essence"))
    return replace(case, about=block.name)


def _as_typed(text: str, command: str) -> str:
    """A sentence that begins with a command keeps it as it is typed."""
    return command + text[len(command) :] if text.lower().startswith(command.lower()) else text


# --- what there is not ------------------------------------------------------------------------


def absent(source: Source, lexicon: Lexicon) -> Case:
    """Something that rgchat has not."""
    block = source.pick(*ABSENT)
    text = _asked(source, "absent", block, TROUBLE, 0.4)
    case = one(rough(source, text), told(source, source.pick(*block.answers), FACTS), *block.accept())
    return replace(case, about=block.name)


# --- Griff ------------------------------------------------------------------------------------

_BY_TOPIC = 0.15
"""Of the questions whose block has a name for what it is about."""


def _asker(block: Block) -> Make:
    asked = wordings(block.said, give=GIVE)
    topic = block.marks.get("topic", "")
    accept = [tuple(told_fact(option) for option in group) for group in block.accept()]

    def make(source: Source, lexicon: Lexicon) -> Case:
        if topic and source.maybe(_BY_TOPIC):
            user = TOPIC.say(source, topic=told(source, f"about {topic}").removeprefix("About "))
        else:
            user = asked.say(source)
        answer = told(source, source.pick(*block.answers), FACTS)
        return replace(one(rough(source, user), answer, *accept), about=block.name)

    return make


def told_fact(text: str) -> str:
    """A text with Griff's facts in their fields."""
    return text.format_map(FACTS)


_ASKERS: dict[str, Make] = {block.name: _asker(block) for block in GRIFF}


def griff(source: Source, lexicon: Lexicon) -> Case:
    """A question about Griff, the memory, models or the program."""
    return _ASKERS[source.pick(*_ASKERS)](source, lexicon)


def griff_chain(source: Source, lexicon: Lexicon) -> Case:
    """Several of these, one after the other."""
    makes: Sequence[Callable[[Source, Lexicon], Case]] = (griff, griff, griff, keys.how, absent, keys.key_does)
    cases = [source.pick(*makes)(source, lexicon) for _ in range(source.number(2, 5))]
    return after([turn for case in cases[:-1] for turn in case.turns], cases[-1])


KINDS: list[Kind] = [
    Kind("griff", "itself", griff, 4.0),
    Kind("griff_chain", "itself", griff_chain, 0.7),
    Kind("key_how", "itself", keys.how, 4.0),
    Kind("key_does", "itself", keys.key_does, 2.0),
    Kind("command_does", "itself", keys.command_does, 1.5),
    Kind("key_of", "itself", keys.key_of, 0.7),
    Kind("key_chain", "itself", keys.chain, 0.5),
    Kind("shell_how", "itself", shell_how, 0.8),
    Kind("shell_does", "itself", shell_does, 0.5),
    Kind("absent", "itself", absent, 1.0),
    Kind("no_command", "itself", keys.no_command, 0.4),
    *itself_mac.KINDS,
]
