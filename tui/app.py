"""The chat screen: what was said, the prompt, a line of gauges; what happens when the model has done something.

Knows when the model is busy and with what. What a command does is in `actions`, the conversation in `session`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult, InvalidThemeError
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Static

from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL
from rgmlx.store import Message as Stored
from rgmlx.text import printable

from . import textual_fixes, themes
from .actions import Actions
from .commands import BY_NAME, parse, plain
from .commands import COMMANDS as TABLE
from .completions import Completions
from .files import expand
from .history import History
from .messages import Ended, Failed, Loaded, Stood
from .pages import Pages
from .palette import Palette
from .parts import KEPT_CHARS
from .prompt import Prompt
from .session import Session
from .settings import Defaults
from .status import status_line
from .transcript import Transcript
from .words import sentence
from .work import Working

if TYPE_CHECKING:
    from .memory import Horizon

GREETING = (
    "You are talking to Griff, a very small model that comes with rgmlx. Ask for a story about an animal, a joke or "
    "an easy fact, or tell it your name. For real work get a larger one: /guide says how."
)
FIRST = 30
"""Messages that are shown at once when a conversation is opened; earlier ones come on scrolling."""


class ChatApp(Working):
    """One conversation on one screen."""

    TITLE = "rgchat"
    CSS_PATH = "styles.tcss"
    COMMANDS: ClassVar = {Palette}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            ",".join(command.keys),
            f"command('{command.name}')",
            command.shown or command.name,
            show=bool(command.shown),
            priority=command.key != "escape" and not command.typing,
        )
        for command in TABLE
        if command.keys
    ]

    def __init__(
        self,
        session: Session,
        *,
        defaults: Defaults | None = None,
        defaults_file: Path | None = None,
        file: Path | None = None,
        history: History | None = None,
        guide: bool = False,
    ) -> None:
        """
        Args:
            defaults: settings as the user's file has them; changes are written to `defaults_file`.
            file: a `.rgstate` file to go on from, once the model is there.
            history: what was sent before.
            guide: show the first-run guide.
        """
        textual_fixes.forget_removed_widgets()
        super().__init__(session)
        self.defaults, self.defaults_file = defaults or Defaults(), defaults_file
        self.history = history
        self.actions = Actions(self)
        self.place = ""  # where one stands, when that is not the end
        self.editing: Stored | None = None  # its text is in the prompt
        self.chosen_model = ""  # by the user, and not loaded yet
        self.first_theme = ""  # instead of that of the defaults
        self.then = ""  # a command for when the model stands where it was sent
        self._guide, self._file = guide, file
        self._waiting: str | None = None  # sent while the model was not ready
        self._news = False  # there is text below what is on the screen
        self._exit_code = 0

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        pages = Pages(
            lambda message, count: self.session.store.messages.window(message, count, chars=KEPT_CHARS),
            lambda message: self.session.store.messages.window(message, 1, chars=KEPT_CHARS)[0].text,
        )
        yield Transcript(pages)
        yield Static(id="place")
        yield Completions()
        prompt = Prompt(
            self.history, id="prompt", placeholder="Enter sends, Ctrl+J starts a new line, / lists commands"
        )
        prompt.commands = [(command.name, command.summary) for command in TABLE]
        yield prompt
        yield Static(id="status")
        yield Footer()

    async def on_mount(self) -> None:
        themes.register(self)
        with contextlib.suppress(InvalidThemeError):  # one that an older version knew
            self.theme = self.first_theme or self.defaults.theme
        self.query_one(Prompt).focus()
        await self.show_conversation()
        self.find_place()
        if self._guide:
            self.actions.guide()
        self.load_model()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_status)

    def on_unmount(self) -> None:
        self.session.close()

    # --- what happens ---------------------------------------------------------------------

    async def show_conversation(self) -> None:
        """Shows the conversation as it stands, from the store alone."""
        head = self.session.head
        shown = self.session.store.messages.window(head.id, FIRST, chars=KEPT_CHARS) if head else []
        await self.transcript.load(shown)
        if not shown:
            if self.session.name == "demo":
                await self.transcript.notice(GREETING)
            await self.transcript.notice("Nothing you write leaves this computer. Esc stops a reply, Ctrl+Q leaves.")
        elif shown[-1].role != MODEL:
            await self.transcript.notice("Your last message has no reply yet: Ctrl+R writes one.")
        elif not shown[-1].closed:
            await self.transcript.notice("This reply was cut short: Ctrl+G goes on with it.")
        await self.show_notices()
        self.show_status()

    async def show_notices(self) -> None:
        """Says what the session has to say."""
        while self.session.notices:
            await self.transcript.notice(self.session.notices.pop(0))

    @on(Loaded)
    async def _loaded(self) -> None:
        self.busy = ""
        # What is there by now stays. Left out of its rounds, the collector looks at a transcript's widgets only: sooner,
        # so that dropped ones don't pile up, and in milliseconds, in which no key waits.
        gc.collect()
        gc.freeze()
        if self.chosen_model:
            self.actions.remember(model=self.chosen_model)
            self.chosen_model = ""
        await self.show_notices()
        if self._file is not None:
            file, self._file = self._file, None
            await self.actions.run("open", str(file))
        if self.busy != "standing":
            self.stand()

    @on(Stood)
    async def _stood(self, event: Stood) -> None:
        if self.busy != "standing":  # another model is being loaded, and will stand there
            return
        if not self.session.stands:  # one has gone on in the meantime
            self.stand_on()
            return
        self.busy = ""
        if self.place:
            took = f"{1000 * event.seconds:.0f} ms" if event.seconds < 1 else f"{event.seconds:.1f} s"
            self.place = f"{self.place}  ·  {event.tokens:,} tokens re-read, {took}"
        elif event.tokens:
            await self.transcript.notice(
                f"{event.tokens:,} tokens were read again in {event.seconds:.1f} s; from here on nothing is."
            )
        await self.mark(event.horizon)
        self.show_status()
        if self.then:
            command, self.then = self.then, ""
            await self.actions.run(command, "")
        elif self._waiting is not None:
            text, self._waiting = self._waiting, None
            await self._send(text)

    @on(Prompt.Submitted)
    async def _submitted(self, event: Prompt.Submitted) -> None:
        command = parse(event.text)
        if command is not None:
            await self.actions.run(*command)
            return
        if self._waiting is not None or self.busy == "writing":
            self.refuse()
            return
        if not self.session.ready and self.busy != "loading":
            await self.transcript.notice(f"{self.session.name} is not loaded: choose a model with /model.")
            return
        self.query_one(Prompt).accept(event.text)
        if self.busy:
            self._waiting = plain(event.text)
            self.show_status()
            return
        self.busy = "sending"  # at once: whoever looks next finds the chat at work
        await self._send(plain(event.text))

    async def _send(self, text: str) -> None:
        found = await asyncio.to_thread(expand, text)
        if found.problems:
            await self._give_back(text, " ".join(found.problems))
            return
        old, self.editing = self.editing, None
        try:
            message = self.session.edit(old.id, found.text) if old else self.session.ask(found.text)
        except RgmlxError as e:
            self.editing = old
            await self._give_back(text, f"This was not sent: {e}.")
            return
        self.leave_place()
        if old is not None and old.role == MODEL:
            await self.show_conversation()
            self.stand()
            return
        if old is not None and (message.parent is None or not await self.transcript.cut(message.parent)):
            await self.show_conversation() if message.parent is not None else await self.transcript.clear()
        await self.transcript.jump()
        await self.transcript.add(message)
        await self.begin(self.session.reply)

    async def _give_back(self, text: str, sentence: str) -> None:
        """What could not be sent is in the prompt again."""
        self.busy = ""
        self.query_one(Prompt).load_text(text)
        await self.transcript.notice(sentence)

    async def begin(self, start: Callable[[], Iterator[str]], text: str = "") -> None:
        """Has a reply written, after a text that it begins with."""
        self.busy = "writing"
        self.leave_place()
        await self.transcript.begin_reply(text)
        self.write(start())
        self.watch_work()

    @on(Ended)
    async def _ended(self, event: Ended) -> None:
        head = self.session.head
        await self.transcript.end_reply(head if head is not None and head.role == MODEL else None)
        await self.mark(event.horizon)
        await self.show_notices()
        if head is not None and head.role != MODEL:
            await self.transcript.notice(
                "Your message has no reply yet: Ctrl+R reads what is left of it and writes one, Alt+↑ leaves it out."
            )
        elif head is not None and not head.closed:
            self.notify("This reply was cut short: Ctrl+G goes on with it.", timeout=3)
        self.busy = ""  # only now: what comes next finds the transcript as it stays
        self.show_status()

    @on(Failed)
    async def _failed(self, event: Failed) -> None:
        if event.of == "write":  # its end is told next: what was written is drawn first
            self.session.notices.append(sentence(event.sentence))
            return
        await self.transcript.notice(sentence(event.sentence))
        self.busy = self.then = self.chosen_model = ""
        if event.of == "load" and not self.session.ready:
            await self.transcript.notice("There is no model: /model chooses another, Ctrl+Q leaves.")
            self._exit_code = 1
        if self._waiting is not None:
            self.query_one(Prompt).load_text(self._waiting)
            self._waiting = None
        self.show_status()

    @on(Transcript.News)
    def _there_is_news(self, event: Transcript.News) -> None:
        self._news = event.below
        self.show_status()

    async def mark(self, horizon: Horizon | None) -> None:
        message, characters = (horizon.message, horizon.characters) if horizon else (None, 0)
        await self.transcript.mark_horizon(message, characters, self.session.gauges.window)

    # --- keys -----------------------------------------------------------------------------

    async def action_command(self, name: str) -> None:
        await self.actions.run(name, "")

    async def action_stop(self) -> None:
        """What Ctrl+C means where nothing is selected in the prompt: copy what is on the screen, or stop."""
        if selected := self.screen.get_selected_text():
            self.screen.clear_selection()
            await self.actions.copy_text(selected)
        else:
            await self.actions.run("stop", "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Arrows move the cursor in the prompt while there is something in it."""
        if action == "command" and BY_NAME[str(parameters[0])].typing and self.query_one(Prompt).text:
            return False
        if action == "command" and len(self.screen_stack) > 1:
            return parameters == ("quit",)  # a screen above has keys of its own
        return True

    async def action_read(self, where: str) -> None:
        """Scrolls the transcript from the prompt: a page up or down, or to the end."""
        if where == "end":
            await self.transcript.jump()
        elif where == "up":
            self.transcript.scroll_page_up()
        else:
            self.transcript.scroll_page_down()

    async def leave(self) -> None:
        """Stops, waits until all is on the disk, and leaves."""
        self.session.stop()
        if self.history is not None:
            self.history.add(self.query_one(Prompt).whole)  # not sent yet: Up brings it back
        status = self.query_one("#status", Static)
        if working := [w for w in self.workers if w.group == "model"]:  # none would mean all of them
            status.update("saving ...")
            with contextlib.suppress(Exception):  # it has told what went wrong
                await self.workers.wait_for_complete(working)
        status.update("The conversation is kept.")  # stays in the terminal after --inline
        self.call_after_refresh(self.exit, return_code=self._exit_code)

    def refuse(self) -> None:
        """Says that it can't be done now."""
        writing = "Your message is being read" if self.session.reading else "A reply is being written"
        what = {"writing": writing, "loading": "The model is being loaded"}
        self.notify(f"{what.get(self.busy, 'The conversation is being read')}: Esc stops it.", timeout=2)

    # --- the screen -----------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """What was said so far."""
        return self.query_one(Transcript)

    def find_place(self) -> None:
        """The conversation was opened: says where in it one stands, if other messages follow."""
        self.actions.trail.find()
        head = self.session.head
        if head is not None and self.actions.trail.steps:
            self.place = self.actions.where(head.id)
        self.show_status()

    def leave_place(self) -> None:
        """One stands at the end again."""
        self.place = ""
        self.actions.trail.end()
        self.show_status()

    def show_status(self) -> None:
        """Brings all lines around the transcript up to date."""
        if not self.is_running or not self.query("#status"):
            return
        title = self.session.conversation.title if self.session.conversation else "New conversation"
        self.query_one("#title", Static).update(Content(printable(title or "Untitled")))
        place = self.place
        if self.editing:
            done = "puts it in place" if self.editing.role == MODEL else "sends it"
            place = f"Editing: Enter {done}, Esc leaves it as it was"
        if self.place and not self.editing and self.actions.trail.steps:
            place += "  ·  Alt+↓ goes forward; what you send begins a branch"  # cut off first, where that is too long
        line = self.query_one("#place", Static)
        line.display = bool(place)
        line.update(Content(place))
        doing = self.doing(self._waiting is not None)
        news = "↓ new text below (End)" if self._news else ""
        text = status_line(self.session.name, self.session.gauges, doing, news, self.size.width - 4)
        self.query_one("#status", Static).update(Content(printable(text)))
