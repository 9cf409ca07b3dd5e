"""The chat in lines of text, for screen readers, simple terminals and pipes.

Knows the session and the standard streams, and no Textual. What it writes are sentences on lines of their own and
text as it comes: no escape sequence, no colour, nothing that is drawn over. The model works in a thread; the main one
waits for words, for Ctrl+C and for the time to say how far it is.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, ModuleType

from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, Conversation, Message
from rgmlx.store.messages import Outline
from rgmlx.text import Cleaner, first_line, printable

from . import places, settings
from .commands import BY_NAME, Command, parse, plain, unknown
from .files import expand
from .history import History
from .saved import open_file, save_file
from .session import Session

MAX_CHARS = 8_000_000
"""Of a message: as much as its files may have."""
MAX_READ = 256_000_000
"""Bytes of a file that is imported."""
ROWS, TREE_ROWS, HISTORY_ROWS = 30, 50, 20
SHOWN = 2_000
"""Characters of a message that is shown again."""
PATIENCE, PAUSE = 1.0, 2.0
"""Seconds before it is said what takes so long, and between two such lines."""
_AHEAD = 1_000  # pieces that the model may be ahead of a slow terminal
_BLOCK = '"""'
_OFF = ("default", "none", "off", "")
_LEAVING = "Ctrl+D or /quit leaves; the conversation is kept."
_READING_AGAIN = "Reading the conversation again"
_OWN = (  # what takes something else here than on the screen
    replace(BY_NAME["list"], summary="the newest conversations, numbered for /open"),
    Command("find", "titles and messages with all of these words, numbered for /open", "TEXT"),
    replace(BY_NAME["open"], argument="N or FILE", summary="a conversation by its number, or one in a .rgstate file"),
    replace(BY_NAME["edit"], summary="send this in place of your last message; the first is kept", argument="TEXT"),
    replace(BY_NAME["history"], argument="[TEXT]"),
    replace(BY_NAME["model"], summary="the model's name, or change to another one"),
)
TABLE = {**BY_NAME, **{command.name: command for command in _OWN}}


class Lines:
    """The standard streams.

    Attributes:
        terminal: whether somebody types. Else the input is a file or a pipe, and what was read is written out as well.
        history: what was sent before.
    """

    def __init__(self, history: Path) -> None:
        """`history`: the file of it; of a pipe nothing is kept."""
        for stream in (sys.stdin, sys.stdout):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # neither side can be made to fail by a character
        self.terminal = sys.stdin.isatty()
        self.history = History(history if self.terminal else None)
        self._readline = _readline() if self.terminal and sys.stdout.isatty() else None
        for text in self.history.entries:
            self._recall(text)

    def write(self, text: str) -> None:
        """Writes a text as it is, at once."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def message(self) -> tuple[str, bool]:
        """What comes next, and whether it stood between two times three quotes, so that it is no command.

        A line that ends in one backslash goes on in the next one.

        Raises:
            EOFError, KeyboardInterrupt: so that nothing came.  RgmlxError: it is too long.
        """
        line = self.line("You: ")
        block = line.lstrip().startswith(_BLOCK)
        line = line.lstrip().removeprefix(_BLOCK) if block else line
        kept, size = list[str](), 0
        while True:
            bare = line.rstrip()
            ends = bare.endswith(_BLOCK) if block else (len(line) - len(line.rstrip("\\"))) % 2 == 0
            if block == ends:
                line = bare.removesuffix(_BLOCK) if block else line[:-1]
            size += len(line) + 1
            if size <= MAX_CHARS:
                kept.append(line)
            if ends:
                break
            try:
                line = self.line("More: ")
            except EOFError:
                break
        if size > MAX_CHARS:
            raise RgmlxError(f"a message may have {MAX_CHARS:,} characters: send a part of this")
        text = "\n".join(kept).strip("\n") if block else "\n".join(kept)
        if not self.terminal and text.strip():
            self.write(f"You: {printable(text)}\n")
        return text, block

    def line(self, prompt: str) -> str:
        """One line. Raises EOFError at the end of the input, KeyboardInterrupt, and RgmlxError for a line too long."""
        if self._readline is not None:
            return input(prompt)
        if self.terminal:
            self.write(prompt)
        text = sys.stdin.readline(MAX_CHARS)
        if not text:
            raise EOFError
        if len(text) == MAX_CHARS and not text.endswith("\n"):
            while (rest := sys.stdin.readline(MAX_CHARS)) and not rest.endswith("\n"):
                pass
            raise RgmlxError(f"a line may have {MAX_CHARS:,} characters: this one was left out")
        return text.removesuffix("\n")

    def remember(self, text: str) -> None:
        """Keeps what was sent, for the next time."""
        self.history.add(text)
        self._recall(text)

    def _recall(self, text: str) -> None:
        if self._readline is not None and "\n" not in text and text == printable(text):
            self._readline.add_history(text)


def _readline() -> ModuleType | None:
    """Python's line editor, told to write no escape sequences; None where Python has none."""
    kind = os.environ.get("TERM")
    os.environ["TERM"] = "dumb"  # it looks once, when it is imported
    try:
        import readline
    except ImportError:
        return None
    finally:
        if kind is None:
            del os.environ["TERM"]
        else:
            os.environ["TERM"] = kind
    libedit = "libedit" in (readline.__doc__ or "")
    for line in ("bind ^I ed-insert",) if libedit else ("set enable-bracketed-paste off", "tab: self-insert"):
        readline.parse_and_bind(line)
    readline.set_auto_history(False)
    return readline


@dataclass(frozen=True)
class _End:
    """The end of a thread's work, and why if it failed."""

    problem: str = ""


class Work:
    """Slow things, one at a time in a thread of their own, that Ctrl+C stops.

    Attributes:
        stopped: whether Ctrl+C was pressed during the last one.
        asking: whether somebody is asked for a line: there Ctrl+C is a KeyboardInterrupt.
    """

    def __init__(self, stop: Callable[[], None], say: Callable[[str], None]) -> None:
        """`stop` has what is running come to its end; `say` is told how far it is."""
        self.stopped = self.asking = False
        self._stop, self._say = stop, say
        self._events: queue.SimpleQueue[str | _End | None] | None = None

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Handles SIGINT: stops what is running, or leaves the prompt. All else is short, and should end."""
        if self._events is not None:
            self._events.put(None)  # a SimpleQueue allows that inside of its own get()
        elif self.asking:
            raise KeyboardInterrupt

    def run(
        self,
        action: Callable[[], Iterable[str] | None],
        doing: Callable[[], str],
        show: Callable[[str], None] = lambda piece: None,
        *,
        leave: bool = False,
    ) -> None:
        """Does something until it is done or was stopped.

        Args:
            action: what to do; its pieces of text are shown.
            doing: what is being done just now, in a sentence; "" where there is nothing to say.
            leave: after Ctrl+C raise KeyboardInterrupt at once, and leave the thread to itself.

        Raises:
            RgmlxError: what the action raised.
        """
        events: queue.SimpleQueue[str | _End | None] = queue.SimpleQueue()
        gone = threading.Event()

        def work() -> None:
            end = _End()
            try:
                for piece in action() or ():
                    events.put(piece)
                    while events.qsize() > _AHEAD and not gone.is_set():
                        time.sleep(0.05)
            except RgmlxError as e:
                end = _End(str(e))
            except Exception as e:  # a failing engine must not take the conversation with it
                end = _End(f"it broke off ({type(e).__name__}: {first_line(e)}): try again")
            events.put(end)

        self._events, self.stopped = events, False
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            self._watch(events, doing, show, leave)
        finally:
            gone.set()
            if not leave:  # a download may hang; of all else everything is on the disk when this returns
                if thread.is_alive():
                    self._stop()
                thread.join()
            self._events = None

    def _watch(
        self,
        events: queue.SimpleQueue[str | _End | None],
        doing: Callable[[], str],
        show: Callable[[str], None],
        leave: bool,
    ) -> None:
        next_time, said = time.monotonic() + PATIENCE, ""
        while True:
            try:
                event = events.get(timeout=0.1)
            except queue.Empty:
                event = ""
            if isinstance(event, _End):
                if event.problem:
                    raise RgmlxError(event.problem)
                return
            if event:
                show(event)
            elif event is None:
                self.stopped = True
            if self.stopped:
                self._stop()  # each time: what has only just begun may have forgotten it
                if leave:
                    raise KeyboardInterrupt
            if time.monotonic() > next_time and (sentence := doing()) not in (said, ""):
                self._say(sentence)
                next_time, said = time.monotonic() + PAUSE, sentence


class Talk:
    """What the model and the program say: replies, sentences, where one is.

    Attributes:
        tip: how far this branch goes, while one stands further up; else None.
    """

    def __init__(self, session: Session) -> None:
        self.session, self.store = session, session.store
        self.lines = Lines(session.store.directory / "history.jsonl")
        self.work = Work(session.stop, self._say)
        self.tip: int | None = None

    # --- the model ------------------------------------------------------------------------

    def _load(self, name: str | None = None, *, leave: bool = False) -> None:
        from rgmlx.hub import is_repository, quiet

        wanted, loading = name or self.session.name, (0, 0)

        def progress(done: int, total: int) -> None:
            nonlocal loading
            loading = (done, total)

        def load() -> None:
            with quiet() if is_repository(wanted) else contextlib.nullcontext():  # no bars
                self.session.load(name, progress)

        def doing() -> str:
            done, total = loading
            return f"Downloading {wanted}: {100 * done // total} %" if done < total else f"Loading {wanted}."

        self.work.run(load, doing, leave=leave)

    def _stand(self) -> None:
        """Brings the model to where the conversation stands."""
        begun, tokens = time.monotonic(), 0

        def stand() -> None:
            nonlocal tokens
            tokens = self.session.stand()

        self.work.run(stand, lambda: self._reading(_READING_AGAIN))
        if tokens:
            took = time.monotonic() - begun
            self._say(f"{tokens:,} tokens were read again in {took:.1f} s; from here on nothing is.")

    def _reading(self, what: str) -> str:
        done, total = self.session.reading or (0, 0)
        return f"{what}: {100 * done // total} %" if total else ""

    def _reply(self, start: Callable[[], Iterable[str]], what: str = "Reading your message") -> None:
        """Has a reply written, or gone on with."""
        self.tip = None
        self._stand()
        cleaner, last, problem = Cleaner(), "", ""

        def write(clean: str) -> None:
            nonlocal last
            if clean := clean if last else clean.lstrip():  # the label ends in a space
                self.lines.write(clean if last else f"Assistant: {clean}")
                last = clean[-1]

        try:
            if not self.work.stopped:
                self.work.run(start, lambda: self._reading(what), lambda piece: write(cleaner.feed(piece)))
        except RgmlxError as e:
            problem = str(e)
        write(cleaner.finish())
        if last not in ("", "\n"):
            self.lines.write("\n")
        if problem:
            self._say(problem)
        elif self.work.stopped and last:
            self._say("Stopped. What was written is kept; /continue goes on with it.")
        elif self.work.stopped:
            self._say("Stopped before the first word; /continue begins again.")
        elif not last:
            self._line("Assistant: (nothing)")
        self.lines.write("\n")

    def _at_reply(self) -> bool:
        return self.session.head is not None and self.session.head.role == MODEL

    # --- what is said ---------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self.lines.write(f"{printable(text)}\n")

    def _say(self, sentence: str) -> None:
        self._line(sentence if sentence.endswith((".", "?", "!", "%")) else f"{sentence}.")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong in here is a sentence. Who stops something that reads a pipe means all of it."""
        try:
            yield
        except RgmlxError as e:
            self._say(str(e))
        if self.work.stopped and not self.lines.terminal:
            raise KeyboardInterrupt

    def _show_notices(self) -> None:
        while self.session.notices:
            self._say(self.session.notices.pop(0))

    def _show_place(self) -> None:
        """Which conversation this is, and its last two messages."""
        head, conversation = self.session.head, self.session.conversation
        if conversation is None:
            keys = " /help lists the commands, Ctrl+D leaves." if self.lines.terminal else ""
            self._say(f"This is a new conversation.{keys}")
        elif head is None:
            self._line(f"Before the first message of: {_title(conversation.title)}")
        else:
            count = head.depth + 1
            which = "1 message" if count == 1 else "2 messages" if count == 2 else f"{count:,} messages, the last two"
            self._line(f"Going on with: {_title(conversation.title)} ({which})")
            self._show_last(2)

    def _show_last(self, count: int) -> None:
        head = self.session.head
        for message in self.store.messages.window(head.id, count, chars=SHOWN) if head else ():
            cut = f", the last {SHOWN:,} characters" if len(message.text) > SHOWN else ""
            self._line(f"{_who(message)}{cut}: {message.text[-SHOWN:].strip() or '(nothing)'}")
        if head is not None and head.role == USER:
            self._say("This message has no reply yet: /continue writes one.")
        elif head is not None and not head.closed:
            self._say("This reply was cut short: /continue goes on with it.")


class Commands(Talk):
    """The commands. One method a command, by its name."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._listed: list[tuple[int, int | None]] = []  # conversations and messages by their numbers, from 1
        self._leaving = False

    # --- messages and replies -------------------------------------------------------------

    def _send(self, text: str, instead: Message | None = None) -> None:
        self.session.needs()
        found = expand(text)
        if found.problems:
            raise RgmlxError(f"{' '.join(found.problems)} This was not sent.")
        try:
            self.session.edit(instead.id, found.text) if instead else self.session.ask(found.text)
        except RgmlxError as e:
            raise RgmlxError(f"this was not sent: {e}") from None
        self._reply(self.session.reply)

    def _do_edit(self, text: str) -> None:
        message = self.session.head
        if message is not None and message.role == MODEL:
            message = None if message.parent is None else self.store.messages.get(message.parent)
        if message is None:
            raise RgmlxError("there is no such message yet")
        self._send(text, message)

    def _do_regenerate(self, _: str) -> None:
        head = self.session.head
        if head is not None and head.role == MODEL:
            head = None if head.parent is None else self.session.go(head.parent)
        if head is None:
            raise RgmlxError("there is nothing to reply to: send a message first")
        self._reply(self.session.reply)

    def _do_continue(self, _: str, endless: bool = False) -> None:
        if self.session.head is None:
            raise RgmlxError("there is nothing to go on with: send a message first")
        if self._at_reply():
            self._reply(lambda: self.session.go_on(endless=endless), "Reading the reply again")
        else:
            self._reply(lambda: self.session.reply(endless=endless))

    def _do_endless(self, _: str) -> None:
        self._say("It goes on until Ctrl+C stops it.")
        self._do_continue("", endless=True)

    # --- places of a conversation ---------------------------------------------------------

    def _do_back(self, _: str) -> None:
        head = self.session.head
        if head is None:
            raise RgmlxError("This is the beginning.")
        if self.tip is None:
            self.tip = self.store.messages.tip(head.id)
        self._travel(places.earlier(self.store, head))

    def _do_forward(self, _: str) -> None:
        head = self.session.head
        if self.tip is None and head is not None:
            self.tip = self.store.messages.tip(head.id)
        following = None if self.tip is None else places.later(self.store, head.id if head else None, self.tip)
        if following is None:
            raise RgmlxError("This is the end of this branch.")
        self._travel(following)

    def _do_previous(self, _: str, by: int = -1) -> None:
        at = self.session.head
        while at is not None and at.siblings < 2:  # the nearest fork
            at = None if at.parent is None else self.store.messages.window(at.parent, 1, chars=1)[0]
        other = None if at is None else places.sibling(self.store, at, by)
        if other is None:
            raise RgmlxError("There is no other answer on that side.")
        self._travel(other, tip=other)

    def _do_next(self, _: str) -> None:
        self._do_previous("", by=1)

    def _travel(self, message: int | None, tip: int | None = None) -> None:
        self.tip = tip or self.tip
        self.session.go(message)
        if self.tip is not None and message != self.tip:
            steps = places.steps(self.store, message, self.tip)
            where = f"Reply {steps.here} of {steps.of}" if message is not None else "Before the first message"
            self._say(f"{where}. What you send begins a branch.")
        else:
            self._say("At the end of this branch.")
        self._show_last(1)
        self._stand()

    def _do_tree(self, _: str) -> None:
        head = self.session.head
        outline, total = self.store.messages.outline(self._conversation(), head.id if head else None, None, TREE_ROWS)
        for line, level in _branches(outline):
            which = f" {line.number} of {line.siblings}" if line.siblings > 1 else ""
            state = ", cut short" if line.role == MODEL and not line.closed else ""
            here = ", you are here" if head is not None and line.id == head.id else ""
            self._line(f"{'  ' * level}{_who(line)}{which}{state}{here}: {_short(line.start)}")
        if len(outline) < total:
            self._say(f"These are {len(outline):,} of {total:,} messages, around where you are.")

    # --- conversations --------------------------------------------------------------------

    def _do_new(self, _: str) -> None:
        self.session.begin()
        self.tip = None
        self._show_place()

    def _do_list(self, _: str) -> None:
        found = self.store.conversations.listed(limit=ROWS + 1)
        self._listed = [(one.id, None) for one in found[:ROWS]]
        current = self.session.conversation
        for number, one in enumerate(found[:ROWS], 1):
            here = ", open here" if current is not None and current.id == one.id else ""
            self._line(f"{number}. {_title(one.title)}, {_when(one.updated)}{here}")
        self._after_list(len(found), f"These are the newest {ROWS}: /find TEXT finds the others.")

    def _do_find(self, text: str) -> None:
        hits = self.store.search.find(text, ROWS + 1)
        self._listed = [(hit.conversation, hit.message) for hit in hits[:ROWS]]
        for number, hit in enumerate(hits[:ROWS], 1):
            said = f": {_short(''.join(part for part, _ in hit.snippet), 200)}" if hit.message is not None else ""
            self._line(f"{number}. {_title(hit.title)}{said}")
        self._after_list(len(hits), f"These are the first {ROWS}: add a word to find fewer.")

    def _after_list(self, count: int, more: str) -> None:
        self._say("There are none." if not count else more if count > ROWS else "/open and a number goes on with one.")

    def _do_open(self, what: str) -> None:
        if not (what.isascii() and what.isdecimal()):
            self._open_file(_typed_path(what))
            self._show_place()
            return
        if not self._listed:
            self._listed = [(one.id, None) for one in self.store.conversations.listed(limit=ROWS)]
        if len(what) > 4 or not 0 < int(what) <= len(self._listed):
            raise RgmlxError(f"there is no number {what[:20]} in the list: /list shows it")
        conversation, message = self._listed[int(what) - 1]
        if self.store.conversations.get(conversation).deleted is not None:
            raise RgmlxError("this conversation was deleted: /undelete brings the last one back")
        self._open(conversation, message)

    def _open(self, conversation: int, message: int | None = None) -> None:
        if not self.session.open(conversation, message):
            raise RgmlxError("another rgchat has this conversation open: close it there first")
        self.tip = None
        assert self.session.conversation is not None
        self._show_place()
        if (wanted := self.session.conversation.model) != self.session.name:
            with self._told():
                self._load(wanted)
            self._line(f"Model: {self.session.name}")
        self._stand()

    def _open_file(self, file: Path) -> None:
        self.work.run(lambda: open_file(self.session, file), lambda: self._reading(_READING_AGAIN))
        self.tip = None

    def _do_rename(self, title: str) -> None:
        number = self._conversation()
        self.store.conversations.rename(number, title)
        self.session.conversation = self.store.conversations.get(number)
        self._line(f"The title is now: {_title(title)}")

    def _do_archive(self, _: str) -> None:
        self.store.conversations.archive(self._conversation())
        self._say("It is kept in the archive: /find finds it.")
        self._do_new("")

    def _do_delete(self, _: str) -> None:
        self.store.conversations.delete(self._conversation())
        self._say("Deleted. /undelete brings it back.")
        self._do_new("")

    def _do_undelete(self, _: str) -> None:
        gone = self.store.conversations.deleted()
        if not gone:
            raise RgmlxError("Nothing was deleted.")
        self.store.conversations.undelete(gone[0].id)
        self._open(gone[0].id)

    def _do_export(self, name: str) -> None:
        conversation, path = self._conversation(), _typed_path(name)
        if path.suffix not in (".md", ".json"):
            raise RgmlxError(f"{path.name} should end in .md (to read) or .json (to import)")
        if self._may_write(path):
            exchange = self.store.exchange
            _write_text(path, (exchange.to_json if path.suffix == ".json" else exchange.markdown)(conversation))
            self._line(f"Written: {path}")

    def _do_import(self, name: str) -> None:
        made: list[Conversation] = []
        path = _typed_path(name)
        self.work.run(lambda: made.append(self.store.exchange.from_json(_read_text(path))), lambda: "Importing.")
        self._open(made[0].id)

    def _do_save(self, name: str) -> None:
        self._conversation()
        path = _typed_path(name)
        if self._may_write(path):
            self.work.run(lambda: save_file(self.session, path), lambda: self._reading(_READING_AGAIN))
            self._line(f"Written: {path}")

    def _may_write(self, path: Path) -> bool:
        """Whether a file may be written or replaced; asks where somebody is there. Raises RgmlxError."""
        if not _exists(path):
            return True
        if not self.lines.terminal:
            raise RgmlxError(f"{path} is there already: give another name")
        answer = ""
        self._say(f"{path} is there already.")
        try:
            self.work.asking = True
            answer = self.lines.line("Replace it? yes or no: ")
        except (EOFError, KeyboardInterrupt):
            self.lines.write("\n")
        finally:
            self.work.asking = False
        if answer.strip().lower() not in ("y", "yes"):
            self._say("It was not written.")
            return False
        return True

    def _conversation(self) -> int:
        if self.session.conversation is None:
            raise RgmlxError("this conversation is empty: send a message first")
        return self.session.conversation.id

    # --- the model, settings, and this program --------------------------------------------

    def _do_model(self, name: str) -> None:
        if name and name != self.session.name:
            self._load(name)
        self._line(f"Model: {self.session.name}")
        self._stand()

    def _do_set(self, words: str) -> None:
        name, _, value = words.replace("=", " ").partition(" ")
        name, value = name.strip().replace("-", "_"), value.strip()
        if name not in settings.SAMPLING:
            raise RgmlxError(f"there is no setting '{name}': there are {', '.join(settings.SAMPLING)}")
        number = settings.parse(name, "" if value in _OFF else value)
        self.session.set_settings({name: number})
        self._line(f"{name}: {'as the model has it' if number is None else number}")

    def _do_system(self, text: str) -> None:
        if text:
            self.session.set_system(None if text in _OFF else text)
        self._line(f"System text: {self.session.system}" if self.session.system else "There is no system text.")

    def _do_history(self, text: str) -> None:
        found = [sent for sent in self.lines.history.search(text) if parse(sent) is None]
        for sent in found[:HISTORY_ROWS]:
            self._line(_short(sent))
        if not found:
            self._say("There is none.")
        elif len(found) > HISTORY_ROWS:
            self._say(f"These are the newest {HISTORY_ROWS}: /history TEXT searches all.")

    def _do_info(self, _: str) -> None:
        self.session.measure()
        gauges, usage = self.session.gauges, self.store.snapshots.usage()
        self._line(f"Model: {self.session.name}")
        self._line(
            f"Memory: {gauges.state_bytes / 1e6:.2f} MB, which never grows; {gauges.window:,} tokens to the letter"
        )
        self._line(f"Tokens so far: {gauges.position:,}; read again: {gauges.read_again:,}")
        self._line(f"Last reply: {gauges.rate:.1f} tokens a second, the first after {gauges.first_token:.2f} s")
        self._line(f"This program: {gauges.resident / 1e6:,.0f} MB")
        self._line(f"States on the disk: {usage.count:,}, {usage.bytes / 1e6:,.1f} MB")
        self._line(f"Conversations: {self.store.directory}")

    def _do_help(self, _: str) -> None:
        for command in TABLE.values():
            if hasattr(self, f"_do_{command.name}"):
                self._line(f"{command.usage}: {command.summary}")
        self._say(f"A line that ends in a backslash goes on in the next one, and so does all between two {_BLOCK}.")
        self._say("@FILE puts a text file into a message.")
        self._say(f"Ctrl+C stops a reply. {_LEAVING}")

    def _do_quit(self, _: str) -> None:
        self._leaving = True


class PlainChat(Commands):
    """The chat. `run` it once."""

    def __init__(self, session: Session, *, file: Path | None = None) -> None:
        """A chat over a session, the model of which is not loaded yet.

        Args:
            file: a .rgstate file to go on from.
        """
        super().__init__(session)
        self._file = file
        self._blank = 0  # empty lines, one after the other

    def run(self) -> int:
        """Chats until the input ends.

        Returns:
            The exit code: 0; 1 if the model can't be loaded; 130 if Ctrl+C ended it.
        """
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell ignores it
        if ours:
            signal.signal(signal.SIGINT, self.work.interrupt)
        try:
            if not self._begin():
                return 1
            while self._next():
                pass
            return 0
        except KeyboardInterrupt:
            self.lines.write("\n")
            return 130
        finally:
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            self.session.close()

    # --- one thing after the other --------------------------------------------------------

    def _begin(self) -> bool:
        """Loads the model and says where one is; false if it can't be gone on."""
        self._show_notices()
        try:
            self._load(leave=True)
            self._line(f"Model: {self.session.name}")
            if self._file is not None:
                self._open_file(self._file)
        except RgmlxError as e:
            if not self.session.ready or not self.lines.terminal:
                print("rgchat:", printable(" ".join(str(e).splitlines())), file=sys.stderr)
                return False
            self._say(str(e))
        self._show_place()
        with self._told():
            self._stand()
        self._show_notices()
        return True

    def _next(self) -> bool:
        """Does what one message or command says; false after the last one."""
        try:
            self.work.asking = True
            text, block = self.lines.message()
        except EOFError:
            if self.lines.terminal:
                self.lines.write("\n")
            return False
        except KeyboardInterrupt:
            if not self.lines.terminal:
                raise
            self.lines.write("\n")
            self._say(_LEAVING)
            return True
        except RgmlxError as e:
            self._say(str(e))
            return True
        finally:
            self.work.asking = False
        if not text.strip():
            self._blank += 1
            if self._blank == 2 and self.lines.terminal:
                self._say(_LEAVING)
                self._blank = 0
            return True
        self._blank = 0
        self.work.stopped = False
        self.lines.remember(text)
        command = None if block else parse(text)
        with self._told():
            if command is not None:
                self._command(*command)
            else:
                self._send(text if block else plain(text))
        self._show_notices()
        return not self._leaving

    def _command(self, name: str, argument: str) -> None:
        command, method = TABLE.get(name), getattr(self, f"_do_{name}", None)
        if command is None:
            self._say(unknown(name))
        elif method is None:
            self._say(f"/{name} needs the screen: rgchat without --plain has it")
        elif command.argument and not command.argument.startswith("[") and not argument:
            self._line(f"{command.usage}: {command.summary}")
        else:
            method(argument)


# --- one line of something ----------------------------------------------------------------


def _who(message: Message | Outline) -> str:
    return "Assistant" if message.role == MODEL else "You"


def _short(text: str, width: int = 100) -> str:
    line = " ".join(printable(text[: 10 * width]).split())
    return (line if len(line) <= width else f"{line[: width - 4]} ...") or "(nothing)"


def _title(title: str) -> str:
    return _short(title) if title.strip() else "Untitled"


def _when(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # a file from elsewhere may say anything
        return "at no time"


def _branches(outline: Sequence[Outline]) -> Iterator[tuple[Outline, int]]:
    """Messages from top to bottom, each with how many branches it is in; what a fork goes on with comes last."""
    read = {line.id for line in outline}
    groups: dict[int | None, list[Outline]] = {}
    for line in outline:
        groups.setdefault(line.parent if line.parent in read else None, []).append(line)
    todo: list[tuple[int | None, Outline | None, int]] = [(None, None, 0)]
    while todo:
        number, found, level = todo.pop()
        if found is not None:
            yield found, level
        group = sorted(groups.get(number, ()), key=lambda line: (line.on_path, line.id), reverse=True)
        todo += [(line.id, line, level + (place > 0)) for place, line in enumerate(group)]


# --- files, as in screens.dialogs, which brings Textual -----------------------------------


def _typed_path(text: str) -> Path:
    try:
        return Path(text.strip()).expanduser().absolute()
    except (RuntimeError, ValueError, OSError):  # ~nobody
        raise RgmlxError("This is not the name of a file: give one such as ~/chat.json") from None


def _exists(path: Path) -> bool:
    try:
        if path.is_dir():
            raise RgmlxError(f"{path} is a folder: add the name of a file to it.")
        if not path.parent.is_dir():
            raise RgmlxError(f"There is no folder {path.parent}: name one that exists.")
        return path.exists()
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be written ({_reason(e)}): give another name.") from None


def _write_text(path: Path, text: str) -> None:
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".rgchat-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be written ({_reason(e)}): choose another place.") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe may never end
            raise RgmlxError(f"There is no file {path}: give the name of one that was exported as .json.")
        if path.stat().st_size > MAX_READ:
            raise RgmlxError(f"{path} is larger than {MAX_READ // 1_000_000} MB: give an exported conversation.")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise RgmlxError(f"{path} is not text: give an exported conversation, which ends in .json.") from None
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be read ({_reason(e)}): give another one.") from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
