"""Everything the chat can be told to do, in one table that the prompt, the palette, the keys and the help read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        argument: what may follow the name, for the help; in brackets if it may be left out.
        keys: keys that do the same, as Textual names them. Terminals send Option with an arrow in several ways.
        typing: the keys also move the cursor, while there is something in the prompt.
        while_busy: whether it can be given while the model is reading or writing.
        travels: goes to another place; that can be done while the model is still on its way to the last one.
        shown: the key's label in the footer; "" keeps it out of there.
    """

    name: str
    summary: str
    argument: str = ""
    keys: tuple[str, ...] = ()
    while_busy: bool = True
    shown: str = ""
    travels: bool = False
    typing: bool = False

    @property
    def key(self) -> str:
        """The first of the keys, or ""."""
        return self.keys[0] if self.keys else ""

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


COMMANDS: tuple[Command, ...] = (
    Command("help", "what the keys and commands do", keys=("f1",), shown="help"),
    Command("stop", "stop the reply; what was written stays", keys=("escape",), shown="stop"),
    Command(
        "regenerate",
        "another reply to your last message; the first is kept",
        keys=("ctrl+r",),
        while_busy=False,
        shown="another",
    ),
    Command("continue", "go on with the last reply", keys=("ctrl+g",), while_busy=False),
    Command("endless", "go on with the last reply until you stop it, without a limit", while_busy=False),
    Command("edit", "change your last message and send it again; the first is kept", while_busy=False),
    Command("fix", "change the text of the last reply, to go on from there", while_busy=False),
    Command(
        "back",
        "go back to the reply before: nothing is read again",
        keys=("alt+up", "super+up", "ctrl+up"),
        while_busy=False,
        travels=True,
        shown="back",
    ),
    Command(
        "forward", "go forward again", keys=("alt+down", "super+down", "ctrl+down"), while_busy=False, travels=True
    ),
    Command(
        "previous",
        "the answer before this one, where there are several ‹2/3›",
        keys=("alt+left", "super+left", "ctrl+left"),
        while_busy=False,
        travels=True,
        typing=True,
    ),
    Command(
        "next",
        "the answer after this one",
        keys=("alt+right", "super+right", "ctrl+right"),
        while_busy=False,
        travels=True,
        typing=True,
    ),
    Command(
        "tree", "all branches of this conversation", keys=("ctrl+t",), while_busy=False, travels=True, shown="tree"
    ),
    Command(
        "copy",
        "copy the last reply, its code (/copy code, /copy code 2), your message or all of it",
        "[code [N] | mine | all]",
    ),
    Command("new", "a new conversation", keys=("ctrl+n",), while_busy=False, travels=True, shown="new"),
    Command(
        "list",
        "all conversations: search, rename, archive, delete, export, import",
        keys=("ctrl+o",),
        while_busy=False,
        travels=True,
        shown="list",
    ),
    Command("rename", "give this conversation another title", "TITLE"),
    Command("archive", "move this conversation out of the list and begin a new one", while_busy=False, travels=True),
    Command("delete", "delete this conversation; /undelete brings it back", while_busy=False, travels=True),
    Command("undelete", "bring back the conversation deleted last", while_busy=False, travels=True),
    Command("export", "write this conversation to a file: .md to read, .json to import elsewhere", "FILE"),
    Command("import", "read a conversation that was exported as .json", "FILE", while_busy=False),
    Command(
        "save", "write the conversation with what the model remembers to a .rgstate file", "FILE", while_busy=False
    ),
    Command("open", "go on from a .rgstate file: nothing is read again", "FILE", while_busy=False),
    Command("model", "choose, download or name the model", "[NAME]", while_busy=False),
    Command("settings", "temperature and the like, the system text", keys=("f2",), while_busy=False),
    Command(
        "set", "change one setting: /set temperature 0.5, /set seed 1; default leaves it to the model", "NAME VALUE"
    ),
    Command("system", "how the assistant should behave; before the first message", "[TEXT]"),
    Command("theme", "light, dark or contrast", "[NAME]"),
    Command("history", "search the messages you sent", keys=("ctrl+s",)),
    Command("info", "what the model, its memory and this program take"),
    Command("guide", "what this is, and how to get a larger model"),
    Command("quit", "leave; the conversation is kept", keys=("ctrl+q",), shown="quit"),
)
BY_NAME = {command.name: command for command in COMMANDS}


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


def unknown(name: str) -> str:
    """What to say about a command that does not exist."""
    near = difflib.get_close_matches(name, BY_NAME, 1)
    hint = f"did you mean /{near[0]}?" if near else "/help lists them."
    return f"There is no command /{name}: {hint} To send this as a message begin it with two slashes."
