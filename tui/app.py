"""The chat screen: a transcript, a prompt, a line of gauges."""

from __future__ import annotations

import asyncio
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Static

from rgmlx.chat import USER
from rgmlx.errors import RgmlxError
from rgmlx.hub import DEMO
from rgmlx.text import printable

from .messages import Ended, Failed, Loaded
from .session import Session
from .transcript import Transcript
from .widgets import Prompt

GREETING = (
    "You are talking to Griff, a very small model that comes with rgmlx. Ask for a story about an animal, a joke or "
    "an easy fact, or tell it your name. For real work use a larger one: rgchat --help says how."
)


class ChatApp(App[None]):
    """One conversation on one screen."""

    TITLE = "rgchat"
    CSS_PATH = "styles.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "stop"),
        Binding("ctrl+r", "regenerate", "another reply"),
        Binding("ctrl+n", "start_over", "new conversation"),
        Binding("ctrl+q", "quit", "quit", priority=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._busy = True  # loading, or a reply is being written
        self._waiting: str | None = None  # sent while the model was still loading
        self._speed = ""
        self._doing = ""
        self._news = False  # there is text below what is on the screen
        self._exit_code = 0

    def compose(self) -> ComposeResult:
        yield Transcript()
        yield Prompt(id="prompt", placeholder="Write a message, Enter sends")
        yield Static(id="status")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(Prompt).focus()
        self._show_status(f"loading {self.session.name} ...")
        # A daemon, not a worker: leaving must not wait for a download to end.
        threading.Thread(target=self._load, daemon=True).start()

    def on_unmount(self) -> None:
        self.session.close()

    # --- worker threads: they touch no widget ---------------------------------------------

    def _load(self) -> None:
        try:
            self.session.load()
        except RgmlxError as e:
            self.post_message(Failed(str(e), fatal=True))
        except Exception as e:  # never a traceback over the screen
            self.post_message(Failed(f"The model could not be loaded: {type(e).__name__}: {e}", fatal=True))
        else:
            self.post_message(Loaded())

    @work(thread=True, group="write")
    def _write(self, start: Callable[[], Iterator[str]], show: Callable[[str], None]) -> None:
        begun, tokens = 0.0, 0
        try:
            for piece in start():
                begun = begun or time.monotonic()
                tokens += 1
                show(piece)
        except RgmlxError as e:
            self.post_message(Failed(str(e)))
        except Exception as e:  # a failing engine must not take the conversation with it
            self.post_message(Failed(f"The reply broke off: {type(e).__name__}: {e}"))
        self.post_message(Ended(time.monotonic() - begun if begun else 0.0, tokens))

    # --- what happens ---------------------------------------------------------------------

    @on(Loaded)
    async def _loaded(self) -> None:
        turns = self.session.turns
        await self.transcript.load(turns)
        if not turns:
            if self.session.name == DEMO:
                await self.transcript.notice(GREETING)
            await self.transcript.notice("Nothing you write leaves this computer. Esc stops a reply, Ctrl+Q leaves.")
        if self.session.notice:
            await self.transcript.notice(self.session.notice)
        self._show_status()
        self._busy = False
        if self._waiting is not None:
            text, self._waiting = self._waiting, None
            await self._send(text)

    @on(Prompt.Submitted)
    async def _submitted(self, event: Prompt.Submitted) -> None:
        if self._waiting is not None or (self._busy and self.session.ready):
            self._refuse()
            return
        self._busy = True
        self.query_one(Prompt).load_text("")  # and nothing for undo to bring back
        if not self.session.ready:
            self._waiting = event.text
            self._show_status(f"loading {self.session.name}, your message is sent then ...")
            return
        await self._send(event.text)

    async def _send(self, text: str) -> None:
        await self.transcript.jump()
        await self.transcript.add(USER, text)
        await self._begin(lambda: self.session.send(text))

    async def _begin(self, start: Callable[[], Iterator[str]]) -> None:
        self._busy = True
        await self.transcript.begin_reply()
        self._show_status("thinking ...")
        self._write(start, self.transcript.write)
        self._watch_writing()

    @work(exclusive=True, group="watching")
    async def _watch_writing(self) -> None:
        """Shows how far a long message has been read, and how far the reply is."""
        while self._busy:
            if self.session.reading:
                done, total = self.session.reading
                self._show_status(f"reading your message, {done:,} of {total:,} tokens ...")
            elif self.transcript.has_words:
                self._show_status("writing ...")
            await asyncio.sleep(0.2)

    @on(Ended)
    async def _ended(self, event: Ended) -> None:
        await self.transcript.end_reply()
        if event.seconds:
            self._speed = f"{event.tokens / event.seconds:.0f} pieces/s"
        self._show_status()
        self._busy = False  # only now: what comes next finds the transcript as it stays

    @on(Transcript.News)
    def _there_is_news(self, event: Transcript.News) -> None:
        self._news = event.below
        self._show_status(self._doing)

    @on(Failed)
    async def _failed(self, event: Failed) -> None:
        await self.transcript.notice(event.sentence)
        if event.fatal:
            self.query_one(Prompt).disabled = True
            self._show_status("no model: Ctrl+Q leaves")
            self._exit_code = 1

    # --- keys -----------------------------------------------------------------------------

    def action_stop(self) -> None:
        self.session.stop()

    async def action_regenerate(self) -> None:
        if self._busy or not self.session.turns:
            return
        await self.transcript.jump()
        if self.session.turns[-1].role != USER:
            await self.transcript.drop_reply()
        await self._begin(self.session.regenerate)

    async def action_start_over(self) -> None:
        if self._busy:
            self._refuse()
            return
        try:
            kept = self.session.start_over()
        except RgmlxError as e:
            await self._failed(Failed(str(e)))
            return
        await self.transcript.clear()
        where = f" The one before is kept: rgchat --open {shlex.quote(str(kept))}" if kept else ""
        await self.transcript.notice(f"A new conversation.{where}")
        self._show_status()

    async def action_quit(self) -> None:
        self.session.stop()
        self._show_status("saving ...")
        if writing := [w for w in self.workers if w.group == "write"]:  # none would mean all of them
            await self.workers.wait_for_complete(writing)
        self.exit(return_code=self._exit_code)

    async def action_read(self, where: str) -> None:
        """Scrolls the transcript from the prompt: a page up or down, or to the end."""
        if where == "end":
            await self.transcript.jump()
        elif where == "up":
            self.transcript.scroll_page_up()
        else:
            self.transcript.scroll_page_down()

    def _refuse(self) -> None:
        self.notify("A reply is being written: Esc stops it.", timeout=2)

    # --- the screen -----------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """What was said so far."""
        return self.query_one(Transcript)

    def _show_status(self, doing: str = "") -> None:
        self._doing = doing
        parts = ["\u2193 new text below (End)" if self._news else "", self.session.name]
        if gauges := self.session.gauges:
            parts.append(f"memory {gauges.state_bytes / 1e6:.1f} MB, always")
            parts.append(f"{gauges.position:,} tokens so far")
        parts.append(doing or self._speed)
        self.query_one("#status", Static).update(Content(printable("  ·  ".join(p for p in parts if p))))
