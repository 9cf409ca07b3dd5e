"""What the model is made to do: load, go to the current message, write. In one thread that touches no widget, and tells how it went.

Knows the session, and what the model is doing (`activity`); what becomes of what is told is the screen's business.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from textual import work
from textual.notifications import Notify

from rgmlx.conversation.metrics import give_back, resident_bytes
from rgmlx.conversation.runs import ReplyRun
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.system import debug_log
from rgmlx.system.formatting import cut, duration
from rgmlx.system.macos import power
from rgmlx.system.model_thread import ModelThread

from .activity import AT_REST, Activity, Machine
from .events import Ended, Failed, Loaded, Synced, Titled
from .inline import InlineApp
from .lifecycle import Lifecycle
from .terminal import attention
from .terminal.textual_fixes import forget_geometry
from .titles import TitleMaker
from .transcript.transcript import Transcript

if TYPE_CHECKING:
    from rgmlx.conversation.context import Horizon

T = TypeVar("T")

LOOK_SECONDS = 3.0
"""How often the memory horizon is looked for, and the process's memory looked at, while a reply is written."""
ESTIMATE_SECONDS = 3.0
"""For so long a text is read before it is said how much longer that takes."""
_STATUS_TITLE_CHARS = 24  # of another conversation, in the status line
_HAS_ENDED = {
    Activity.LOADING: "the model is loaded",
    Activity.SEEKING: "the conversation was read",
    Activity.WRITING: "the reply has ended",
    Activity.BEHIND: "the reply has ended",
}
"""What is told of something long to somebody who looks elsewhere."""


class WorkerApp(Lifecycle, InlineApp):
    """An app with a session and one model.

    Attributes:
        machine: the state it is in.
        titles: what makes them while it has nothing to do.
        written: the reply that is being written; its conversation need not be the one on the screen.
        calls: whether the end of something long is told by the terminal while it is not in front.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.machine = Machine(self._activity_changed)
        self.written: ReplyRun | None = None
        self.calls = True
        self._since: float | None = None  # when the model began with what it does, one thing after the other
        self._loading = (0, 0)  # bytes of a download, and in all
        self._begun = (0, 0, 0.0)  # of a text that is read: its tokens, how many had been read and when
        self._model_thread = ModelThread()
        self.titles = TitleMaker(session, self._model_thread.submit, lambda: self.post_message(Titled()))
        self._at_work = threading.Lock()  # held while there is something that a stop ends

    @property
    def activity(self) -> Activity:
        """What the model is doing."""
        return self.machine.now

    @property
    def busy(self) -> bool:
        """Whether the model has something to do."""
        return self.machine.busy

    @property
    def written_title(self) -> str:
        """The title of the conversation in which a reply is written."""
        row = self.written.opened.row if self.written is not None else None
        return (row.title if row is not None else "") or "Untitled"

    def _activity_changed(self, before: Activity) -> None:
        self.titles.stop()  # what comes now goes before
        if before in AT_REST:
            self.session.expect()  # that there is something to stop is on the screen from here on
        self.show_status()

    def on_notify(self, event: Notify) -> None:
        """What is on the screen already is said once, and stays for longer. Comes before Textual's own handler."""
        for shown in list(self._notifications):
            if shown.message == event.notification.message:
                self._unnotify(shown, refresh=False)

    def show_status(self) -> None:
        """Brings what is shown about the work up to date."""

    async def show_notices(self) -> None:
        """Says what the session has to say."""

    async def mark(self, horizon: Horizon | None) -> None:
        """Shows where exact memory begins."""

    # --- the end --------------------------------------------------------------------------

    @property
    def data(self) -> Path:
        return self.session.store.directory

    def stop_work(self) -> None:
        self.session.stop()

    def end_work(self) -> None:
        """Waits until nothing is read or written any more and all of it is on the disk."""
        self.titles.stop()
        if self.activity is Activity.LOADING:
            self._model_thread.leave()  # a download may hang
        else:
            self._model_thread.end(self._stop_again)

    def _stop_again(self) -> None:
        if self._at_work.locked():  # what has only just begun may have forgotten it
            self.session.stop()

    async def with_model(self, action: Callable[[], T]) -> T:
        """Does something where all is done that uses the model: in its thread."""
        return await asyncio.wrap_future(self._model_thread.submit(action))

    # --- loading --------------------------------------------------------------------------

    def load_model(self, name: str | None = None) -> None:
        """Loads a model behind the screen; the one so far stays if that fails. Ends with Loaded or Failed."""
        self.machine.enter(Activity.LOADING)
        self.session.expect()  # the first state is this one
        self._loading = (0, 0)
        self.watch_work()
        self._model_thread.submit(lambda: self._load(name))  # no worker: leaving must not wait for a download to end

    def _load(self, name: str | None) -> None:
        def progress(done: int, total: int) -> None:
            self._loading = (done, total)

        try:
            self.session.load(name, progress)
        except RgmlxError as e:
            self.post_message(Failed(str(e), "load"))
        except Exception as e:  # never a traceback over the screen
            debug_log.caught(e, "the model could not be loaded")
            self.post_message(Failed(f"The model could not be loaded: {type(e).__name__}: {e}", "load"))
        else:
            self.post_message(Loaded())

    # --- going to the current message -----------------------------------------------------

    def sync(self) -> None:
        """Brings the model, which is idle, to the current message. Ends with Synced or Failed."""
        self.machine.enter(Activity.SEEKING)
        self.watch_work()
        self.sync_again()

    @work(group="model")
    async def sync_again(self) -> None:
        """The same once more, where that is another one in the meantime."""
        await self.with_model(self._sync)

    def _sync(self) -> None:
        begun = time.monotonic()
        try:
            with self._at_work, power.awake():
                tokens = self.session.sync()
            self.post_message(Synced(tokens, time.monotonic() - begun, self.session.horizon()))
        except RgmlxError as e:
            self.post_message(Failed(str(e), "sync"))
        except Exception as e:
            debug_log.caught(e, "the conversation could not be read")
            self.post_message(Failed(f"The conversation could not be read: {type(e).__name__}: {e}", "sync"))

    # --- writing --------------------------------------------------------------------------

    @work(group="model")
    async def write(self, pieces: Iterator[str]) -> None:
        """Has a reply written, which the transcript is given piece by piece. Ends with Ended, after Failed if it did."""
        show = self.query_one(Transcript).write
        await self.with_model(lambda: self._write(pieces, show))

    def _write(self, pieces: Iterator[str], show: Callable[[str, int], None]) -> None:
        horizon, delivered = None, 0
        try:
            with self._at_work, power.awake():
                for piece in pieces:
                    delivered += len(piece)
                    show(piece, delivered)
            horizon = self.session.horizon()
        except RgmlxError as e:
            self.post_message(Failed(str(e), "write"))
        except Exception as e:  # a failing engine must not take the conversation with it
            debug_log.caught(e, "the reply broke off")
            self.post_message(Failed(f"The reply broke off: {type(e).__name__}: {e}", "write"))
        self.post_message(Ended(horizon))

    # --- what is being done ---------------------------------------------------------------

    @work(exclusive=True, group="watching")
    async def watch_work(self) -> None:
        """Keeps what is shown up to date while the model works; says that it is done to somebody who looks elsewhere."""
        marked = time.monotonic()
        self._since, doing = self._since or marked, self.activity
        while self.busy:
            doing = self.activity
            self.show_status()
            if self.activity is Activity.LOADING and self.is_running:
                await self.show_notices()  # that it will be slow, say
            await asyncio.sleep(0.2)
            if self.activity in (Activity.WRITING, Activity.BEHIND) and time.monotonic() - marked > LOOK_SECONDS:
                if self.activity is Activity.WRITING:
                    await self.mark(await asyncio.to_thread(self.session.horizon_while_writing))
                await asyncio.to_thread(self._weigh)
                marked = time.monotonic()
        begun, self._since = self._since, None
        if doing in _HAS_ENDED and (doing is not Activity.LOADING or self.session.ready):
            self.call_away(_HAS_ENDED[doing], time.monotonic() - begun)
        self.show_status()
        await asyncio.to_thread(self._weigh)

    def call_away(self, text: str, seconds: float) -> None:
        """Tells somebody who looks elsewhere of the end of something that took so long."""
        attention.tell(self, text, seconds, wanted=self.calls)

    def _weigh(self) -> None:
        forget_geometry()
        give_back()
        self.session.metrics.resident = resident_bytes()

    def _left(self, done: int, total: int) -> str:
        """How long a long text will take to be read, once that can be told."""
        now, (text, at, begun) = time.monotonic(), self._begun
        if text != total or done < at:
            self._begun = (total, done, now)
            return ""
        if done == at or now - begun < ESTIMATE_SECONDS:
            return ""
        seconds = (now - begun) * (total - done) / (done - at)
        return f" {duration(seconds)} to go" if seconds > ESTIMATE_SECONDS else ""

    def doing(self, waiting: bool) -> str:
        """What the model is doing, in words; `waiting`: there is something to be done then."""
        if self.activity is Activity.LOADING:
            done, total = self._loading
            if total and done < total:
                return f"downloading, {done / 1e6:,.0f} of {total / 1e6:,.0f} MB ..."
            return "loading, your message is sent then ..." if waiting else "loading ..."
        if (reading := self.session.reading) and self.busy:
            done, total = reading
            if self.activity is Activity.SEEKING or self.session.reading_again:
                return f"reading again, {100 * done // total} % ...{self._left(done, total)}"
            return f"reading your message, {done:,} of {total:,} tokens ...{self._left(done, total)}"
        if self.activity is Activity.WRITING:
            return "writing ..." if self.query_one(Transcript).has_words else "thinking ..."
        if self.activity is Activity.BEHIND:
            return f"writing in “{cut(self.written_title, _STATUS_TITLE_CHARS)}” ..."
        return ""
