"""What the model and the program say: replies, sentences, where one is.

Knows the session, the streams and the thread that the model works in; no commands.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

from rgmlx.conversation.navigation import Navigation
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER
from rgmlx.system.formatting import one_line, sentence
from rgmlx.system.printable import Cleaner, printable

from ..commands import Command
from ..prompt.kept import KeptPrompt, KeptPrompts
from ..settings.settings import Defaults
from .terminal_io import TerminalIO
from .worker import Worker

SHOWN = 2_000
"""Characters of a message that is shown again."""
READING_AGAIN = "Reading the conversation again"


class Output:
    """What is said, and the work that it is about.

    Attributes:
        navigation: where the current message is on its branch.
        defaults: settings as the user's file has them.
        prompts: those that the user keeps as files.
        failed: whether something that was asked for could not be done.
    """

    def __init__(self, session: Session, defaults: Defaults | None = None, prompts: KeptPrompts | None = None) -> None:
        self.session, self.store = session, session.store
        self.defaults, self.prompts = defaults or Defaults(), prompts or KeptPrompts()
        self.io = TerminalIO(session.store.directory / "history.jsonl")
        self.worker = Worker(session.stop, self.say)
        self.navigation = Navigation(session)
        self.failed = False

    # --- sentences ------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """A text on a line of its own, or on as many as it has."""
        self.io.write(f"{printable(text)}\n")

    def say(self, text: str) -> None:
        """A sentence."""
        self.line(sentence(text))

    def fail(self, text: str) -> None:
        """A sentence about what could not be done."""
        self.failed = True
        self.say(text)

    def show_usage(self, command: Command) -> None:
        """What a command needs, of which nothing was given but its name."""
        self.failed = True
        self.line(f"{command.usage}: {command.summary}")

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What goes wrong in here is a sentence. Who stops something that reads a pipe means all of it."""
        try:
            yield
        except RgmlxError as e:
            self.fail(str(e))
        if self.worker.stopped and not self.io.terminal:
            raise KeyboardInterrupt

    def show_notices(self) -> None:
        """What the session has to say, once."""
        while self.session.notices:
            self.say(self.session.notices.pop(0))

    def find_prompt(self, text: str) -> tuple[KeptPrompt, str] | None:
        """The prompt of the user's that a text is the command of, and its words; says what in their folder is none."""
        found = self.prompts.find(text)
        while self.prompts.problems:
            self.say(self.prompts.problems.pop(0))
        return found

    # --- the model ------------------------------------------------------------------------

    def load(self, name: str | None = None, *, leave: bool = False) -> None:
        """Loads a model, and says how far it is.

        Args:
            leave: Ctrl+C ends all of it, and does not wait for a download.

        Raises:
            RgmlxError: it can't be loaded; the one so far stays.
        """
        from rgmlx.weights.hub import is_repository
        from rgmlx.weights.quiet import quiet

        wanted, loading = name or self.session.name, (0, 0)

        def progress(done: int, total: int) -> None:
            nonlocal loading
            loading = (done, total)

        def load() -> None:
            with quiet() if is_repository(wanted) else contextlib.nullcontext():  # no bars
                self.session.load(name, progress)

        def doing() -> str:
            if self.session.notices:  # that it will be slow, say: it may take its time already
                return self.session.notices.pop(0)
            done, total = loading
            return f"Downloading {wanted}: {100 * done // total} %" if done < total else f"Loading {wanted}."

        self.worker.run(load, doing, leave=leave)

    def sync(self) -> None:
        """Brings the model to the current message. Raises RgmlxError."""
        begun, tokens = time.monotonic(), 0

        def sync() -> None:
            nonlocal tokens
            tokens = self.session.sync()

        self.worker.run(sync, lambda: self.reading(READING_AGAIN))
        if tokens:
            took = time.monotonic() - begun
            self.say(f"{tokens:,} tokens were read again in {took:.1f} s; from here on nothing is.")

    def reading(self, what: str) -> str:
        """How far that is which the model reads; "" when it reads nothing."""
        done, total = self.session.reading or (0, 0)
        return f"{what}: {100 * done // total} %" if total else ""

    def reply(self, start: Callable[[], Iterable[str]], what: str = "Reading your message") -> None:
        """Has a reply written, or gone on with, and says how it ended.

        Args:
            start: begins the reply; its pieces.
            what: what is being read before the first of them.

        Raises:
            RgmlxError: the model can't be brought to the current message.
        """
        self.navigation.end()
        self.sync()
        cleaner, last, problem = Cleaner(), "", ""

        def write(clean: str) -> None:
            nonlocal last
            if clean := clean if last else clean.lstrip():  # the label ends in a space
                self.io.write(clean if last else f"Assistant: {clean}")
                last = clean[-1]

        try:
            if not self.worker.stopped:
                self.worker.run(start, lambda: self.reading(what), lambda piece: write(cleaner.feed(piece)))
        except RgmlxError as e:
            problem = str(e)
        write(cleaner.finish())
        if last not in ("", "\n"):
            self.io.write("\n")
        if problem:
            self.fail(problem)
        elif self.worker.stopped and last:
            self.say("Stopped. What was written is kept; /continue goes on with it.")
        elif self.worker.stopped:
            self.say("Stopped before the first word; /continue begins again.")
        elif not last:
            self.line("Assistant: (nothing)")
        elif (head := self.session.head) is not None and not head.closed:  # by max_tokens
            self.say("This reply was cut short: /continue goes on with it.")
        self.io.write("\n")

    # --- where one is ---------------------------------------------------------------------

    def show_place(self) -> None:
        """Which conversation this is, and its last two messages."""
        head, conversation = self.session.head, self.session.conversation
        if conversation is None or not self.navigation.begun:
            which = f"New conversation: {title(conversation.title)}." if conversation else "This is a new conversation."
            keys = " /help lists the commands, Ctrl+D leaves." if self.io.terminal else ""
            self.say(f"{which}{keys}")
        else:
            if head is None:
                self.line(f"Before the first message of: {title(conversation.title)}")
            else:
                count = head.depth + 1
                which = (
                    "1 message" if count == 1 else "2 messages" if count == 2 else f"{count:,} messages, the last two"
                )
                self.line(f"Going on with: {title(conversation.title)} ({which})")
                self.show_last(2)
            self.navigation.find()
            if (steps := self.navigation.steps) and head is None:
                follow = "1 reply follows" if steps.of == 1 else f"{steps.of:,} replies follow"
                self.say(f"{follow}: /forward goes on to the first.")
            elif steps:
                self.say(f"This is reply {steps.here} of {steps.of}: /forward goes on to the next.")

    def show_last(self, count: int) -> None:
        """The last messages up to the current one, and what can be done about that."""
        head = self.session.head
        for message in self.store.messages.window(head.id, count, chars=SHOWN) if head else ():
            cut = f", the last {SHOWN:,} characters" if len(message.text) > SHOWN else ""
            cut += ", damaged on the disk" if message.damaged else ""
            self.line(f"{who(message.role)}{cut}: {message.text[-SHOWN:].strip() or '(nothing)'}")
        if head is not None and head.role == USER:
            self.say("This message has no reply yet: /continue writes one.")
        elif head is not None and not head.closed:
            self.say("This reply was cut short: /continue goes on with it.")


# --- one line of something ----------------------------------------------------------------


def who(role: str) -> str:
    """Who has said a message."""
    return "Assistant" if role == MODEL else "You"


def short(text: str, width: int = 100) -> str:
    """The beginning of a text in one line; dots, which a screen reader says, where it goes on."""
    line = one_line(text, 10 * width).strip()
    return (line if len(line) <= width else f"{line[: width - 4]} ...") or "(nothing)"


def title(words: str) -> str:
    """A conversation's title in one line."""
    return short(words) if words.strip() else "Untitled"
