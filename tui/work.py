"""What the model is made to do: load, stand somewhere, write. In threads that touch no widget, and tell how it went.

Knows the session, and whether it is busy; what becomes of what is told is the screen's business.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual import work
from textual.app import App

from rgmlx.errors import RgmlxError

from .gauges import give_back, resident_bytes
from .messages import Ended, Failed, Loaded, Stood
from .session import Session
from .textual_fixes import forget_geometry
from .transcript import Transcript
from .words import duration

if TYPE_CHECKING:
    from .memory import Horizon

LOOK_SECONDS = 3.0
"""How often the memory horizon is looked for, and the process's memory looked at, while a reply is written."""
ESTIMATE_SECONDS = 3.0
"""For so long a text is read before it is said how much longer that takes."""


class Working(App[None]):
    """An app with a session.

    Attributes:
        busy: "" or what is being done: "loading", "standing" somewhere else, "sending", "writing".
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.busy = "loading"
        self._loading = (0, 0)  # bytes of a download, and in all
        self._begun = (0, 0, 0.0)  # of a text that is read: its tokens, how many had been read and when

    def show_status(self) -> None:
        """Brings what is shown about the work up to date."""

    async def mark(self, horizon: Horizon | None) -> None:
        """Shows where exact memory begins."""

    # --- loading --------------------------------------------------------------------------

    def load_model(self, name: str | None = None) -> None:
        """Loads a model behind the screen; the one so far stays if that fails. Ends with Loaded or Failed."""
        self.busy, self._loading = "loading", (0, 0)
        self.watch_work()
        # A daemon, not a worker: leaving must not wait for a download to end.
        threading.Thread(target=self._load, args=(name,), daemon=True).start()

    def _load(self, name: str | None) -> None:
        def progress(done: int, total: int) -> None:
            self._loading = (done, total)

        try:
            self.session.load(name, progress)
        except RgmlxError as e:
            self.post_message(Failed(str(e), "load"))
        except Exception as e:  # never a traceback over the screen
            self.post_message(Failed(f"The model could not be loaded: {type(e).__name__}: {e}", "load"))
        else:
            self.post_message(Loaded())

    # --- standing -------------------------------------------------------------------------

    def stand(self) -> None:
        """Brings the model to where the conversation stands. Ends with Stood or Failed."""
        if self.session.ready and self.busy != "standing":  # else it goes on when it gets there
            self.busy = "standing"
            self.watch_work()
            self.stand_on()

    @work(thread=True, group="model")
    def stand_on(self) -> None:
        """The same once more, where one has gone on in the meantime."""
        begun = time.monotonic()
        try:
            tokens = self.session.stand()
            self.post_message(Stood(tokens, time.monotonic() - begun, self.session.horizon()))
        except RgmlxError as e:
            self.post_message(Failed(str(e), "stand"))
        except Exception as e:
            self.post_message(Failed(f"The conversation could not be read: {type(e).__name__}: {e}", "stand"))

    # --- writing --------------------------------------------------------------------------

    @work(thread=True, group="model")
    def write(self, pieces: Iterator[str]) -> None:
        """Has a reply written, which the transcript is given piece by piece. Ends with Ended, after Failed if it did."""
        show, horizon = self.query_one(Transcript).write, None
        try:
            for piece in pieces:
                show(piece)
            horizon = self.session.horizon()
        except RgmlxError as e:
            self.post_message(Failed(str(e), "write"))
        except Exception as e:  # a failing engine must not take the conversation with it
            self.post_message(Failed(f"The reply broke off: {type(e).__name__}: {e}", "write"))
        self.post_message(Ended(horizon))

    # --- what is being done ---------------------------------------------------------------

    @work(exclusive=True, group="watching")
    async def watch_work(self) -> None:
        """Keeps what is shown up to date while the model works."""
        marked = time.monotonic()
        while self.busy:
            self.show_status()
            await asyncio.sleep(0.2)
            if self.busy == "writing" and time.monotonic() - marked > LOOK_SECONDS:
                await self.mark(await asyncio.to_thread(self.session.horizon_while_writing))
                await asyncio.to_thread(self._weigh)
                marked = time.monotonic()
        self.show_status()
        await asyncio.to_thread(self._weigh)

    def _weigh(self) -> None:
        forget_geometry()
        give_back()
        self.session.gauges.resident = resident_bytes()

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
        """What the model is doing, in words; `waiting`: there is a message to be sent then."""
        if self.busy == "loading":
            done, total = self._loading
            if total and done < total:
                return f"downloading, {done / 1e6:,.0f} of {total / 1e6:,.0f} MB ..."
            return "loading, your message is sent then ..." if waiting else "loading ..."
        if (reading := self.session.reading) and self.busy:
            done, total = reading
            if self.busy == "standing":
                return f"reading again, {100 * done // total} % ...{self._left(done, total)}"
            return f"reading your message, {done:,} of {total:,} tokens ...{self._left(done, total)}"
        if self.busy == "writing":
            return "writing ..." if self.query_one(Transcript).has_words else "thinking ..."
        return ""
