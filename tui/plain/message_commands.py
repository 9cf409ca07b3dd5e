"""Sends messages, and lists them.

Knows the session and the files that a message names; how something is said is in `output`.
"""

from __future__ import annotations

from collections.abc import Callable

from rgmlx.conversation.branches import arrange
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, Message

from .. import operations
from ..prompt.files import expand, named
from ..prompt.kept import KeptPrompt
from ..question import Question
from .output import Output, short, who

TREE_ROWS = 50


class MessageCommands:
    """What is sent, and its commands.

    Attributes:
        commands: by their names; each takes what follows the name.
    """

    def __init__(self, output: Output) -> None:
        self._output, self._session, self._store = output, output.session, output.store
        self.commands: dict[str, Callable[[str], None]] = {
            "edit": lambda text: self.send(text, operations.last_message(self._session, USER)),
            "tree": self._tree,
        }

    def send(self, text: str, instead: Message | None = None, about: str = "") -> None:
        """Sends a message with the files that it names, and has the reply written.

        Args:
            instead: a message that it is another version of.
            about: what a new conversation is called after instead.

        Raises:
            RgmlxError: it was not sent.
        """
        self._session.require_context()
        found = expand(text)
        if found.problems:
            raise RgmlxError(f"{' '.join(found.problems)} This was not sent.", quotes=found.problems)
        self._send(found.text, about, instead)

    def ask(self, question: Question) -> None:
        """Sends a question with all that belongs to it, and has the reply written. Raises RgmlxError: it was not sent."""
        self._session.require_context()
        self._send(question.text, question.words)

    def _send(self, text: str, about: str = "", instead: Message | None = None) -> None:
        try:
            if instead is not None:
                self._session.edit(instead.id, text)
            else:
                self._session.add_user_message(text, about)
        except RgmlxError as e:
            raise RgmlxError(f"this was not sent: {e}") from None
        self._output.reply(self._session.generate_reply)

    def send_kept(self, prompt: KeptPrompt, words: str) -> None:
        """Sends a prompt of the user's, or says what it needs. Raises RgmlxError: it was not sent."""
        if prompt.needs_words and not words:
            self._output.show_usage(prompt.command)
        else:
            self.send(prompt.text(words), about=named(words))

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
