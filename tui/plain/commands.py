"""The commands by their names: which there are in lines of text, and those about the model and the program.

Knows the table of `tui.commands` and what of it is different here; no streams.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rgmlx.errors import RgmlxError

from .. import operations
from ..commands import BY_NAME, Command, named, parse, takes_nothing, unknown
from ..settings import settings
from .conversation_commands import ConversationCommands
from .message_commands import MessageCommands
from .output import Output, short
from .terminal_io import BLOCK

HISTORY_ROWS = 20
LEAVING = "Ctrl+D or /quit leaves; the conversation is kept."
_OWN = (  # what takes something else here than on the screen
    replace(BY_NAME["list"], summary="the newest conversations, numbered for /open"),
    Command("find", "titles and messages with all of these words, numbered for /open", "TEXT"),
    replace(BY_NAME["open"], argument="N or FILE", summary="a conversation by its number, or one in a .rgstate file"),
    replace(BY_NAME["edit"], summary="send this in place of your last message; the first is kept", argument="TEXT"),
    replace(BY_NAME["history"], argument="[TEXT]"),
    replace(BY_NAME["model"], summary="the model's name, or change to another one"),
    replace(BY_NAME["settings"], summary="all settings of this conversation, and the file of those of new ones"),
)
_CHANGES = ("new", "open", "import", "undelete")  # what follows is for another conversation
TABLE = {**BY_NAME, **{command.name: command for command in _OWN}}


class Commands:
    """All commands.

    Attributes:
        leaving: whether one of them was to leave.
        astray: the name of one that failed to change the conversation, or "": what follows is not for this one.
    """

    def __init__(self, output: Output, messages: MessageCommands, conversations: ConversationCommands) -> None:
        self._output, self._session = output, output.session
        self.leaving, self.astray = False, ""
        self._by_name: dict[str, Callable[[str], None]] = {
            **messages.commands,
            **conversations.commands,
            "model": self._model,
            "set": lambda words: output.line(operations.set_one(output.session, words)),
            "settings": self._settings,
            "system": lambda text: output.line(operations.system(output.session, text)),
            "history": self._history,
            "info": self._info,
            "help": self._help,
            "quit": self._quit,
        }

    def run(self, name: str, argument: str) -> None:
        """Does what a command says, or says what it needs, or why it can't be done."""
        command, method = TABLE.get(named(name)), self._by_name.get(named(name))
        if command is None:
            self._output.fail(unknown(name))
        elif method is None:
            self._output.fail(f"/{name} needs the screen: rgchat without --plain has it")
        elif command.argument and not command.argument.startswith("[") and not argument:
            self._output.failed = True
            self._output.line(f"{command.usage}: {command.summary}")
        elif argument and not command.argument:
            self._output.fail(takes_nothing(name))
        else:
            try:
                method(argument)
                return
            except RgmlxError as e:
                self._output.fail(str(e))
        if named(name) in _CHANGES:
            self.astray = name

    def _model(self, name: str) -> None:
        if name and name != self._session.name:
            self._output.load(name)
        self._output.line(f"Model: {self._session.name}")
        self._output.stand()

    def _settings(self, _: str) -> None:
        self._output.line(operations.set_one(self._session, ""))
        self._output.line(operations.system(self._session, ""))
        self._output.line(settings.of_file(settings.path()))

    def _history(self, text: str) -> None:
        found = [sent for sent in self._output.io.history.search(text) if parse(sent) is None]
        for sent in found[:HISTORY_ROWS]:
            self._output.line(short(sent))
        if not found:
            self._output.say("There is none.")
        elif len(found) > HISTORY_ROWS:
            self._output.say(f"These are the newest {HISTORY_ROWS}: /history TEXT searches all.")

    def _info(self, _: str) -> None:
        for line in operations.describe(self._session):
            self._output.line(line)

    def _help(self, _: str) -> None:
        for command in TABLE.values():
            if command.name in self._by_name:
                self._output.line(f"{command.usage}: {command.summary}")
        self._output.say(
            f"A line that ends in a backslash goes on in the next one, and so does all between two {BLOCK}."
        )
        self._output.say("@FILE puts a text file into a message.")
        self._output.say(f"Ctrl+C stops a reply. {LEAVING}")

    def _quit(self, _: str) -> None:
        self.leaving = True
