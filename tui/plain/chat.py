"""The loop: loads the model, reads a line, has it answered, until the input ends.

Knows the order of things and the exit codes; what a line does is in `commands` and `message_commands`.
"""

from __future__ import annotations

import signal
from pathlib import Path

from rgmlx.cli.streams import tell
from rgmlx.conversation.rgstate import open_file
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.system.printable import printable

from ..commands import parse, plain
from ..prompt.kept import KeptPrompts
from ..question import Question
from ..settings.settings import Defaults
from .commands import LEAVING, Commands
from .conversation_commands import ConversationCommands
from .message_commands import MessageCommands
from .output import READING_AGAIN, Output
from .showing import Showing


class PlainChat:
    """The chat. `run` it once."""

    def __init__(
        self,
        session: Session,
        *,
        defaults: Defaults | None = None,
        file: Path | None = None,
        question: Question | None = None,
        prompts: KeptPrompts | None = None,
    ) -> None:
        """A chat over a session, the model of which is not loaded yet.

        Args:
            defaults: settings as the user's file has them.
            file: a .rgstate file to go on from.
            question: what is sent first.
            prompts: those that the user keeps as files.
        """
        self._session, self._file, self._question = session, file, question
        self._output = Output(session, defaults, prompts)
        self._io, self._worker = self._output.io, self._output.worker
        self._messages, showing = MessageCommands(self._output), Showing(self._output)
        conversations = ConversationCommands(self._output, showing)
        self._commands = Commands(self._output, showing, self._messages.commands, conversations.commands)
        self._blank = 0  # empty lines, one after the other

    def run(self) -> int:
        """Chats until the input ends.

        Returns:
            The exit code: 0; 1 if the model can't be loaded, or a message or command from a pipe fails; 130 if Ctrl+C
            ended it.
        """
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell ignores it
        if ours:
            signal.signal(signal.SIGINT, self._worker.interrupt)
        try:
            if not self._begin():
                return 1
            if self._question is not None:
                self._ask()
            while self._next():
                pass
            return int(self._output.failed and not self._io.terminal)
        except KeyboardInterrupt:
            self._io.write("\n")
            return 130
        finally:
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            self._worker.end()
            self._session.close()

    def _begin(self) -> bool:
        """Loads the model and says where one is; false if it can't be gone on."""
        self._output.show_notices()
        try:
            self._output.load(leave=True)
            self._output.line(f"Model: {self._session.name}")
            if (file := self._file) is not None:
                self._worker.run(lambda: open_file(self._session, file), lambda: self._output.reading(READING_AGAIN))
        except RgmlxError as e:
            if not self._session.ready or not self._io.terminal:
                tell(f"rgchat: {printable(' '.join(str(e).splitlines()))}")
                return False
            self._output.say(str(e))
            if self._question is not None:
                self._question = None
                self._output.say("Your question was not sent: it was for the conversation in that file.")
        self._output.show_place()
        with self._output.told():
            self._output.sync()
        self._output.show_notices()
        return True

    def _ask(self) -> None:
        """Sends what the chat was begun with, which may be long: it is not kept."""
        question, self._question = self._question, None
        assert question is not None
        self._worker.stopped = False
        self._output.line(f"You: {question.words}")
        if question.input_chars:
            self._output.line(f"Input: {question.input_chars:,} characters")
        self._io.remember(question.words)
        with self._output.told():
            self._messages.ask(question)
        self._output.show_notices()

    def _next(self) -> bool:
        """Does what one message or command says; false after the last one."""
        try:
            self._worker.asking = True
            text, block = self._io.message()
        except EOFError:
            if self._io.terminal:
                self._io.write("\n")
            return False
        except KeyboardInterrupt:
            if not self._io.terminal:
                raise
            self._io.write("\n")
            self._output.say(LEAVING)
            return True
        except RgmlxError as e:
            self._output.fail(str(e))
            return True
        finally:
            self._worker.asking = False
        if not text.strip():
            self._leave_hint()
            return True
        self._blank = 0
        if (name := self._commands.astray) and not self._io.terminal:
            self._output.say(f"This and what follows is not run: /{name} failed, and it is not for this conversation.")
            return False
        self._worker.stopped = False
        self._io.remember(text)
        kept = None if block else self._output.find_prompt(text)
        command = None if block or kept is not None else parse(text)
        with self._output.told():
            if kept is not None:
                self._messages.send_kept(*kept)
            elif command is not None:
                self._commands.run(*command)
            else:
                self._messages.send(text if block else plain(text))
        self._output.show_notices()
        return not self._commands.leaving

    def _leave_hint(self) -> None:
        """After two empty lines: how to leave, which they may have been meant to do."""
        self._blank += 1
        if self._blank == 2 and self._io.terminal:
            self._output.say(LEAVING)
            self._blank = 0
