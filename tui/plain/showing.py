"""Shows in lines what a command comes to, and does what is left to do.

Knows outcomes, the session and what is said; which commands there are is in `commands`.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from rgmlx.errors import RgmlxError

from .. import operations
from ..outcomes import (
    Closed,
    Moved,
    Noted,
    Opened,
    Opens,
    Outcome,
    Renamed,
    Replaces,
    Runs,
    Said,
    Unmoved,
    Writes,
)
from .output import READING_AGAIN, Output, title


class Showing:
    """What shows outcomes."""

    def __init__(self, output: Output) -> None:
        self._output, self._session = output, output.session

    def show(self, outcome: Outcome) -> None:
        """Shows one. Raises RgmlxError: what is left to do can't be done."""
        output = self._output
        match outcome:
            case Said(text) | Noted(text):
                output.line(text)
            case Renamed(name):
                output.line(f"The title is now: {title(name)}")
            case Moved(message):
                self._arrive(message)
            case Unmoved(why):
                output.fail(why)
            case Writes(start, continued=continued, endless=endless):
                if endless:
                    output.say("It goes on until Ctrl+C stops it.")
                output.reply(start, "Reading the reply again" if continued else "Reading your message")
            case Opens(conversation, message):
                self._open(conversation, message)
            case Opened(how):
                self._begun()
                if how:
                    output.say(how)
            case Closed(deleted):
                kept = "It is kept in the archive: /find finds it."
                output.say("Deleted. /undelete brings it back." if deleted else kept)
                self._begun()
            case Runs():
                self.show(self._run(outcome))
            case Replaces(path, then):
                if self._may_replace(path):
                    self.show(then)
            case _:
                assert_never(outcome)

    def _arrive(self, message: int | None) -> None:
        """Says where the current message is on its branch, and brings the model there."""
        if steps := self._output.navigation.steps:
            where = f"Reply {steps.here} of {steps.of}" if message is not None else "Before the first message"
            self._output.say(f"{where}. What you send begins a branch.")
        else:
            self._output.say("At the end of this branch.")
        self._output.show_last(1)
        self._output.sync()

    def _open(self, conversation: int, message: int | None) -> None:
        """Goes on with another conversation, loading its model if that is another one."""
        operations.open_conversation(self._session, conversation, message)
        self._begun()
        assert self._session.conversation is not None
        if (wanted := self._session.conversation.model) != self._session.name:
            with self._output.told():
                self._output.load(wanted)
            self._output.line(f"Model: {self._session.name}")
        self._output.sync()

    def _begun(self) -> None:
        self._output.navigation.end()
        self._output.show_place()

    def _run(self, what: Runs) -> Outcome:
        found: list[Outcome] = []
        self._output.worker.run(
            lambda: found.append(what.action()), lambda: what.doing or self._output.reading(READING_AGAIN)
        )
        return found[0]

    def _may_replace(self, path: Path) -> bool:
        """Whether a file may be replaced; asks where somebody is there. Raises RgmlxError."""
        io, worker = self._output.io, self._output.worker
        if not io.terminal:
            raise RgmlxError(f"{path} is there already: give another name")
        answer = ""
        self._output.say(f"{path} is there already.")
        try:
            worker.asking = True
            answer = io.line("Replace it? yes or no: ")
        except (EOFError, KeyboardInterrupt):
            io.write("\n")
        finally:
            worker.asking = False
        if answer.strip().lower() not in ("y", "yes"):
            self._output.say("It was not written.")
            return False
        return True
