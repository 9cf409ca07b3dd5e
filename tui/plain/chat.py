"""The loop: loads the model, reads a line, has it answered, until the input ends.

Knows the order of things and the exit codes; what a line does is in `commands` and `messages`.
"""

from __future__ import annotations

import signal
from pathlib import Path

from rgmlx.cli.streams import tell
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.system.printable import printable

from ..commands import parse, plain
from .commands import LEAVING, Commands
from .conversations import Conversations
from .messages import Messages
from .talk import Talk


class PlainChat:
    """The chat. `run` it once."""

    def __init__(self, session: Session, *, file: Path | None = None) -> None:
        """A chat over a session, the model of which is not loaded yet.

        Args:
            file: a .rgstate file to go on from.
        """
        self._session, self._file = session, file
        self._talk = Talk(session)
        self._lines, self._work = self._talk.lines, self._talk.work
        self._messages, self._conversations = Messages(self._talk), Conversations(self._talk)
        self._commands = Commands(self._talk, self._messages, self._conversations)
        self._blank = 0  # empty lines, one after the other

    def run(self) -> int:
        """Chats until the input ends.

        Returns:
            The exit code: 0; 1 if the model can't be loaded, or a message or command from a pipe fails; 130 if Ctrl+C
            ended it.
        """
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell ignores it
        if ours:
            signal.signal(signal.SIGINT, self._work.interrupt)
        try:
            if not self._begin():
                return 1
            while self._next():
                pass
            return int(self._talk.failed and not self._lines.terminal)
        except KeyboardInterrupt:
            self._lines.write("\n")
            return 130
        finally:
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            self._work.end()
            self._session.close()

    def _begin(self) -> bool:
        """Loads the model and says where one is; false if it can't be gone on."""
        self._talk.show_notices()
        try:
            self._talk.load(leave=True)
            self._talk.line(f"Model: {self._session.name}")
            if self._file is not None:
                self._conversations.open_file(self._file)
        except RgmlxError as e:
            if not self._session.ready or not self._lines.terminal:
                tell(f"rgchat: {printable(' '.join(str(e).splitlines()))}")
                return False
            self._talk.say(str(e))
        self._talk.show_place()
        with self._talk.told():
            self._talk.stand()
        self._talk.show_notices()
        return True

    def _next(self) -> bool:
        """Does what one message or command says; false after the last one."""
        try:
            self._work.asking = True
            text, block = self._lines.message()
        except EOFError:
            if self._lines.terminal:
                self._lines.write("\n")
            return False
        except KeyboardInterrupt:
            if not self._lines.terminal:
                raise
            self._lines.write("\n")
            self._talk.say(LEAVING)
            return True
        except RgmlxError as e:
            self._talk.fail(str(e))
            return True
        finally:
            self._work.asking = False
        if not text.strip():
            self._leave_hint()
            return True
        self._blank = 0
        if (name := self._commands.astray) and not self._lines.terminal:
            self._talk.say(f"This and what follows is not run: /{name} failed, and it is not for this conversation.")
            return False
        self._work.stopped = False
        self._lines.remember(text)
        command = None if block else parse(text)
        with self._talk.told():
            if command is not None:
                self._commands.run(*command)
            else:
                self._messages.send(text if block else plain(text))
        self._talk.show_notices()
        return not self._commands.leaving

    def _leave_hint(self) -> None:
        """After two empty lines: how to leave, which they may have been meant to do."""
        self._blank += 1
        if self._blank == 2 and self._lines.terminal:
            self._talk.say(LEAVING)
            self._blank = 0
