"""Everything the chat can be told to do, in one table that the prompt, the palette, the keys and the help read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import operations
from .activity import Need
from .operations import Operation
from .terminal import keys


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        argument: what may follow the name, for the help; in brackets if it may be left out.
        keys: keys that do the same, as Textual names them. Terminals send Option with an arrow in several ways, and some
            don't send it at all.
        while_empty: keys that do the same while there is nothing in the prompt; with a text in it they are the text's.
        needs: what it needs of the model; `activity` has what becomes of it while the model is busy.
        aliases: other names, which other programs have taught.
        does: what it does, on the screen and in plain lines; None where each has its own way, or only one of them has it.
    """

    name: str
    summary: str
    argument: str = ""
    keys: tuple[str, ...] = ()
    needs: Need = Need.NOTHING
    while_empty: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    does: Operation | None = None

    @property
    def key(self) -> str:
        """The first of the keys, or ""."""
        return next(iter(self.all_keys), "")

    @property
    def all_keys(self) -> tuple[str, ...]:
        """All of them, what people know best first; the user's own, where there are some."""
        own = _OWN_KEYS.get(self.name, ())
        return (
            own + tuple(key for key in ALWAYS.get(self.name, ()) if key not in own)
            if own
            else self.keys + self.while_empty
        )

    @property
    def pressed(self) -> str:
        """The key that reaches a program in this terminal, as people write it; or ""."""
        return keys.shown(*self.all_keys)

    @property
    def needs_argument(self) -> bool:
        """Whether it is of no use without what follows the name."""
        return bool(self.argument) and not self.argument.startswith("[")

    @property
    def usage(self) -> str:
        return f"{', '.join(f'/{name}' for name in (self.name, *self.aliases))} {self.argument}".rstrip()


_OWN_KEYS: dict[str, tuple[str, ...]] = {}
ALWAYS = {"stop": ("escape",)}
"""Keys that a command keeps whatever others it has."""
PALETTE = "palette"
"""What has a key, and is no command: the list of all commands."""

COMMANDS: tuple[Command, ...] = (
    Command("help", "what the keys and commands do", keys=("f1",), while_empty=("question_mark",)),
    Command("stop", "stop the reply; what was written stays", keys=("escape",)),
    Command(
        "regenerate",
        "another reply to your last message; the first is kept",
        keys=("ctrl+r",),
        needs=Need.REPLY,
        does=operations.regenerate,
    ),
    Command(
        "continue", "go on with the last reply", keys=("ctrl+g",), needs=Need.REPLY, does=operations.continue_reply
    ),
    Command(
        "endless",
        "go on with the last reply until you stop it, without a limit",
        needs=Need.REPLY,
        does=operations.continue_endlessly,
    ),
    Command("edit", "change your last message and send it again; the first is kept"),
    Command("fix", "change the text of the last reply, to go on from there", needs=Need.SETTLED),
    Command(
        "back",
        "go back to the reply before: nothing is read again",
        keys=("alt+up", "ctrl+up", "ctrl+b"),
        needs=Need.PLACE,
        does=operations.back,
    ),
    Command(
        "forward",
        "go forward again",
        keys=("alt+down", "ctrl+down", "ctrl+f"),
        needs=Need.PLACE,
        does=operations.forward,
    ),
    Command(
        "previous",
        "the answer before this one, where there are several ‹2/3›",
        while_empty=("alt+left", "ctrl+left", "left"),
        needs=Need.PLACE,
        does=operations.previous_answer,
    ),
    Command(
        "next",
        "the answer after this one",
        while_empty=("alt+right", "ctrl+right", "right"),
        needs=Need.PLACE,
        does=operations.next_answer,
    ),
    Command("tree", "all branches of this conversation", keys=("ctrl+t",)),
    Command(
        "mark",
        "go through messages and blocks of code with ↑ and ↓: copy, edit, another reply, go back there, fold, open",
        while_empty=("tab",),
    ),
    Command("find", "find words in this conversation: n and N go through the places, Esc ends it", "WORDS"),
    Command("editor", "write the message in your editor (Ctrl+X, then Ctrl+E): VISUAL or EDITOR names it"),
    Command(
        "copy",
        "copy the last reply, its code (/copy code, /copy code 2), your message or all of it",
        "[code [N] | mine | all]",
    ),
    Command(
        "new",
        "a new conversation",
        keys=("ctrl+n",),
        needs=Need.PLACE,
        aliases=("clear",),
        does=operations.new,
    ),
    Command(
        "persona",
        "a new conversation with a persona of rgchat.toml: its system text and settings; alone it lists them",
        "[NAME]",
        needs=Need.PLACE,
        does=operations.persona,
    ),
    Command(
        "list",
        "all conversations: search, rename, pin, archive, delete, export, import",
        keys=("ctrl+o",),
    ),
    Command("rename", "give this conversation another title", "TITLE", does=operations.rename),
    Command("pin", "put this conversation before all others in the list, or back to its place", does=operations.pin),
    Command(
        "archive",
        "move this conversation out of the list and begin a new one",
        needs=Need.SETTLED,
        does=operations.archive,
    ),
    Command("delete", "delete this conversation; /undelete brings it back", needs=Need.SETTLED, does=operations.delete),
    Command("undelete", "bring back the conversation deleted last", needs=Need.PLACE, does=operations.undelete),
    Command(
        "export",
        "write this conversation to a file: .md to read, .json to import elsewhere",
        "FILE",
        does=operations.export,
    ),
    Command(
        "import",
        "read a conversation that was exported as .json",
        "FILE",
        needs=Need.PLACE,
        does=operations.import_file,
    ),
    Command(
        "save",
        "write the conversation with what the model remembers to a .rgstate file",
        "FILE",
        needs=Need.ALONE,
        does=operations.save,
    ),
    Command(
        "open", "go on from a .rgstate file: nothing is read again", "FILE", needs=Need.ALONE, does=operations.open_file
    ),
    Command("model", "choose, download or name the model", "[NAME]"),
    Command("settings", "temperature and the like, the system text", keys=("f2", "ctrl+l")),
    Command(
        "set",
        "show the settings, or change one: /set temperature 0.5; /set temperature default leaves it to the model",
        "[NAME [VALUE]]",
        does=operations.set_setting,
    ),
    Command(
        "system", "how the assistant should behave; before the first message", "[TEXT]", does=operations.set_system
    ),
    Command("theme", "light, dark or contrast", "[NAME]"),
    Command("history", "search the messages you sent", keys=("ctrl+s",)),
    Command("recall", "find what was said before in this conversation, and put it into the prompt", "[WORDS]"),
    Command("queue", "what waits for the end of the reply: change, remove, move or hold it"),
    Command("info", "what the model, its memory and this program take", does=operations.info),
    Command("guide", "what this is, and how to get a larger model"),
    Command("quit", "leave; the conversation is kept", keys=("ctrl+q",), aliases=("exit", "bye")),
)
BY_NAME = {command.name: command for command in COMMANDS}
ALIASES = {alias: command.name for command in COMMANDS for alias in command.aliases}
GIVEN_KEYS = {command.name: command.keys + command.while_empty for command in COMMANDS} | {PALETTE: ("ctrl+p",)}
"""The keys of all that has a key, or may have one, as nobody has changed them."""
RESERVED = frozenset({*BY_NAME, *ALIASES})
"""Names that no prompt of the user's may have."""
OFFERED = [(command.name, command.summary) for command in COMMANDS]
"""Names and what each does, for who types a slash."""
OFFERED += [(alias, f"as /{name}: {BY_NAME[name].summary}") for alias, name in ALIASES.items()]


def use_keys(own: Mapping[str, tuple[str, ...]]) -> None:
    """Has commands be given by keys of the user's, and no longer by those of the table; in all that names keys, too."""
    _OWN_KEYS.clear()
    _OWN_KEYS.update(own)


def keys_of(name: str) -> tuple[str, ...]:
    """The keys that hold for a command or the palette."""
    return BY_NAME[name].all_keys if name in BY_NAME else _OWN_KEYS.get(name, GIVEN_KEYS[name])


def while_empty(key: str) -> str | None:
    """The command that a key stands for while there is nothing in the prompt."""
    return next((one.name for one in COMMANDS if key in one.while_empty and key in one.all_keys), None)


def pressed(name: str) -> str:
    """The key of a command that reaches a program in this terminal, for a sentence."""
    return BY_NAME[name].pressed or f"/{name}"


def named(name: str) -> str:
    """The name of the command that a name or an alias stands for."""
    return ALIASES.get(name, name)


def parse(text: str) -> tuple[str, str] | None:
    """A command and its argument; None for a text to be sent.

    A text that begins with two slashes is sent with one (see `plain`), and so is one of several lines or a path.
    """
    if not text.startswith("/") or text.startswith("//") or "\n" in text.strip():
        return None
    name, _, argument = text[1:].partition(" ")
    if "/" in name or not name.strip():
        return None
    return name.strip().lower(), argument.strip()


def takes_nothing(name: str) -> str:
    """What to say of a command with something after it that it has no use for."""
    return f"/{name} takes nothing after it: send the text by itself, then /{name}."


def plain(text: str) -> str:
    """A text to be sent, without the slash that kept it from being a command."""
    return text[1:] if text.startswith("//") else text


def unknown(name: str, prompts: Iterable[Command] = ()) -> str:
    """What to say about a command that does not exist; `prompts`: the user's own."""
    near = difflib.get_close_matches(name, [*BY_NAME, *ALIASES, *(prompt.name for prompt in prompts)], 1)
    hint = f"did you mean /{near[0]}?" if near else "/help lists them."
    return f"There is no command /{name}: {hint} To send this as a message begin it with two slashes."
