"""Runs commands in lines of text, and has those about the model and the program.

Knows the table of `tui.commands` and what of it is different here; no streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rgmlx.errors import RgmlxError

from .. import operations
from ..commands import BY_NAME, Command, named, parse, takes_nothing, unknown
from ..prompt.kept import HOW
from ..settings import settings
from .output import Output, short
from .showing import Showing
from .terminal_io import BLOCK

Own = Callable[[str], None]
"""A command that lines have in their own way; takes what follows the name."""
HISTORY_ROWS = 20
LEAVING = "Ctrl+D or /quit leaves; the conversation is kept."
_OWN = (  # what takes something else here than on the screen
    replace(BY_NAME["list"], summary="the pinned and the newest conversations, numbered for /open"),
    Command("find", "titles and messages with all of these words, numbered for /open", "TEXT"),
    replace(BY_NAME["open"], argument="N or FILE", summary="a conversation by its number, or one in a .rgstate file"),
    replace(BY_NAME["edit"], summary="send this in place of your last message; the first is kept", argument="TEXT"),
    replace(BY_NAME["history"], argument="[TEXT]"),
    replace(BY_NAME["model"], summary="the model's name, or change to another one"),
    replace(BY_NAME["settings"], summary="all settings of this conversation, and the file of those of new ones"),
)
_CHANGES = ("new", "persona", "open", "import", "undelete")  # what follows is for another conversation
TABLE = {**BY_NAME, **{command.name: command for command in _OWN}}


class Commands:
    """All commands.

    Attributes:
        leaving: whether one of them was to leave.
        astray: the name of one that failed to change the conversation, or "": what follows is not for this one.
    """

    def __init__(self, output: Output, showing: Showing, *others: Mapping[str, Own]) -> None:
        """`others`: commands that lines have in their own way, by their names."""
        self._output, self._session, self._showing = output, output.session, showing
        self.leaving, self.astray = False, ""
        self._own: dict[str, Own] = {
            "model": self._model,
            "settings": self._settings,
            "history": self._history,
            "help": self._help,
            "quit": self._quit,
        }
        for commands in others:
            self._own |= commands

    @property
    def there(self) -> list[Command]:
        """The commands that there are in lines."""
        return [command for command in TABLE.values() if command.does is not None or command.name in self._own]

    def run(self, name: str, argument: str) -> None:
        """Does what a command says, or says what it needs, or why it can't be done."""
        command = TABLE.get(named(name))
        if command is None:
            self._output.fail(unknown(name, self._output.prompts.commands))
        elif command not in self.there:
            self._output.fail(f"/{name} needs the screen: rgchat without --plain has it")
        elif command.needs_argument and not argument:
            self._output.show_usage(command)
        elif argument and not command.argument:
            self._output.fail(takes_nothing(name))
        else:
            try:
                self._do(command, argument)
                return
            except RgmlxError as e:
                self._output.fail(str(e))
        if named(name) in _CHANGES:
            self.astray = name

    def _do(self, command: Command, argument: str) -> None:
        if (own := self._own.get(command.name)) is not None:
            own(argument)
        elif command.does is not None:
            self._showing.show(command.does(self._output, argument))

    def _model(self, name: str) -> None:
        if name and name != self._session.name:
            self._output.load(name)
        self._output.line(f"Model: {self._session.name}")
        self._output.sync()

    def _settings(self, _: str) -> None:
        self._output.line(operations.change_setting(self._session, ""))
        self._output.line(operations.change_system(self._session, ""))
        self._output.line(settings.of_file(settings.path()))

    def _history(self, text: str) -> None:
        prompts = self._output.prompts
        found = [one for one in self._output.io.history.search(text) if parse(one) is None or prompts.given(one)]
        for sent in found[:HISTORY_ROWS]:
            self._output.line(short(sent))
        if not found:
            self._output.say("There is none.")
        elif len(found) > HISTORY_ROWS:
            self._output.say(f"These are the newest {HISTORY_ROWS}: /history TEXT searches all.")

    def _help(self, _: str) -> None:
        for command in [*self.there, *self._output.prompts.commands]:
            self._output.line(f"{command.usage}: {command.summary}")
        self._output.say(
            f"A line that ends in a backslash goes on in the next one, and so does all between two {BLOCK}."
        )
        self._output.say("@FILE puts a text file into a message.")
        self._output.say(HOW)
        self._output.say(f"Ctrl+C stops a reply. {LEAVING}")

    def _quit(self, _: str) -> None:
        self.leaving = True
