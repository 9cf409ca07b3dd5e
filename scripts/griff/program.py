"""What the chat's own table says of its commands and their keys (`tui/commands.py`), as Griff writes it.

Training follows the program: no table here says which key a command has. Which key that is on a Mac, where Alt is Option
and not every terminal passes it on, is the chat's own knowledge too (`tui/terminal/terminals.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tui.commands import ALIASES, BY_NAME, COMMANDS, Command
from tui.terminal import terminals

_NAMES = {"escape": "Esc", "delete": "Del", "pageup": "PgUp", "pagedown": "PgDn", "underscore": "_"}
_NAMES |= {"question_mark": "?", "slash": "/", "minus": "-"}


def label(key: str) -> str:
    """A key of Textual's names as Griff writes it."""
    parts = key.split("+")
    return "+".join(_NAMES.get(part) or (part.upper() if len(part) == 1 else part.capitalize()) for part in parts)


def is_bare(shown: str) -> bool:
    """Whether it is a key that types or moves: such a one is a command in an empty prompt only."""
    return "+" not in shown and not re.fullmatch(r"F\d+|Esc", shown)


@dataclass(frozen=True)
class Keys:
    """The keys of a command, the usual one first. `empty`: those that mean it in an empty prompt."""

    usual: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def _all(command: Command) -> tuple[str, ...]:
    """Its keys, with those that it has in an empty prompt only."""
    return command.keys + tuple(getattr(command, "while_empty", ()))


def keys_of(name: str) -> Keys:
    """The keys of a command; an alias has none. Terminals send Option with an arrow in several ways: one is named."""
    if name not in BY_NAME:
        return Keys()
    found = _all(BY_NAME[name])
    ways = {key.rpartition("+")[2] for key in found if key.startswith("alt+")}
    named = [key for key in found if not key.startswith("super+")]
    named = [key for key in named if not (key.startswith("ctrl+") and key.rpartition("+")[2] in ways)]
    shown = list(dict.fromkeys(map(label, named)))
    return Keys(tuple(key for key in shown if not is_bare(key)), tuple(key for key in shown if is_bare(key)))


def names_of(name: str) -> tuple[str, ...]:
    """All names of a command, with their slashes, this one first."""
    main = ALIASES.get(name, name)
    others = [main, *(alias for alias, own in ALIASES.items() if own == main)]
    return tuple(f"/{one}" for one in dict.fromkeys([name, *others]))


# --- a Mac's keyboard -------------------------------------------------------------------------

TERMINALS = {"": "", "Apple_Terminal": "Terminal", "iTerm.app": "iTerm2", "ghostty": "Ghostty", "WezTerm": "WezTerm"}
"""Terminals of a Mac, as their environment names them and as people do; the first is one that is not known."""
MACS = {name: terminals.here({"TERM_PROGRAM": name} if name else {}, "darwin") for name in TERMINALS}
_MAC = {"alt": "Option", "super": "Cmd", "delete": "Delete"}


def label_on_mac(key: str) -> str:
    """A key as Griff writes it for somebody with a Mac, whose Alt is Option."""
    parts = [*map(str, key.split("+"))]
    shown = [_MAC.get(part) or label(part) for part in parts]
    return "+".join([*shown[:-1], "fn", shown[-1]] if MACS[""].needs_fn(key) else shown)


def on_mac(name: str, terminal: str = "") -> tuple[str, str]:
    """The key of a command in most terminals of a Mac and in one of them ("": in every one); "" where it has none."""
    keys = BY_NAME[name].all_keys if name in BY_NAME else ()
    if not keys:
        return "", ""
    usual = Counter(mac.best(keys) for mac in MACS.values()).most_common(1)[0][0]
    return label_on_mac(usual), label_on_mac(MACS[terminal].best(keys))


USED = frozenset(label(key) for command in COMMANDS for key in _all(command))
"""Keys that have a command."""
FIRST = {f"key_{command.name}": keys_of(command.name).usual[0] for command in COMMANDS if keys_of(command.name).usual}
"""The usual key of each command that has one, as a field of Griff's answers: {key_back}."""
MAC = {f"mac_{command.name}": on_mac(command.name)[0] for command in COMMANDS if on_mac(command.name)[0]}
MAC |= {f"sure_{command.name}": on_mac(command.name)[1] for command in COMMANDS if on_mac(command.name)[0]}
"""The same on a Mac, {mac_back}, and what works in every terminal there, {sure_back}."""
