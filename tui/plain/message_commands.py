"""The commands about messages: sending, replies, and going about in a conversation.

Knows what a command does to where one stands; how it is done is in `operations` and `travel`, how it is said in `output`.
"""

from __future__ import annotations

from collections.abc import Callable

from rgmlx.conversation.branches import arrange
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, Message

from .. import operations
from ..prompt.files import expand
from .output import Output, short, who

TREE_ROWS = 50


class MessageCommands:
    """What is sent, and its commands.

    Attributes:
        commands: by their names; each takes what follows the name.
    """

    def __init__(self, output: Output) -> None:
        self._output, self._session, self._store = output, output.session, output.store
        travel = output.travel
        self.commands: dict[str, Callable[[str], None]] = {
            "edit": lambda text: self.send(text, operations.last_message(self._session, USER)),
            "regenerate": self._regenerate,
            "continue": lambda _: self._continue(endless=False),
            "endless": self._endless,
            "back": lambda _: self._arrive(travel.back()),
            "forward": lambda _: self._arrive(travel.forward()),
            "previous": lambda _: self._arrive(travel.sibling(-1)),
            "next": lambda _: self._arrive(travel.sibling(1)),
            "tree": self._tree,
        }

    # --- replies --------------------------------------------------------------------------

    def send(self, text: str, instead: Message | None = None) -> None:
        """Sends a message with the files that it names, and has the reply written.

        Args:
            instead: a message that it is another version of.

        Raises:
            RgmlxError: it was not sent.
        """
        self._session.needs()
        found = expand(text)
        if found.problems:
            raise RgmlxError(f"{' '.join(found.problems)} This was not sent.")
        try:
            self._session.edit(instead.id, found.text) if instead else self._session.ask(found.text)
        except RgmlxError as e:
            raise RgmlxError(f"this was not sent: {e}") from None
        self._output.reply(self._session.reply)

    def _regenerate(self, _: str) -> None:
        operations.message_before_reply(self._session)
        self._output.reply(self._session.reply)

    def _continue(self, *, endless: bool) -> None:
        head = self._session.head
        if head is None:
            raise RgmlxError("there is nothing to go on with: send a message first")
        if head.role == MODEL:
            self._output.reply(lambda: self._session.go_on(endless=endless), "Reading the reply again")
        else:
            self._output.reply(lambda: self._session.reply(endless=endless))

    def _endless(self, _: str) -> None:
        self._output.say("It goes on until Ctrl+C stops it.")
        self._continue(endless=True)

    # --- places of a conversation ---------------------------------------------------------

    def _arrive(self, message: int | None) -> None:
        """Says where one stands now, and brings the model there."""
        if steps := self._output.travel.steps:
            where = f"Reply {steps.here} of {steps.of}" if message is not None else "Before the first message"
            self._output.say(f"{where}. What you send begins a branch.")
        else:
            self._output.say("At the end of this branch.")
        self._output.show_last(1)
        self._output.stand()

    def _tree(self, _: str) -> None:
        head = self._session.head.id if self._session.head else None
        conversation = operations.conversation(self._session)
        outline, total = self._store.outlines.read(conversation, head, None, TREE_ROWS)
        for row in arrange(outline, head):
            line = row.line
            which = f" {line.number} of {line.siblings}" if line.siblings > 1 else ""
            state = ", cut short" if line.role == MODEL and not line.closed else ""
            here = ", you are here" if row.head else ""
            self._output.line(f"{'  ' * row.level}{who(line.role)}{which}{state}{here}: {short(line.start)}")
        if len(outline) < total:
            self._output.say(f"These are {len(outline):,} of {total:,} messages, around where you are.")
