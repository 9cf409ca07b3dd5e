"""The chat screen: what was said, the prompt, a line of gauges; what happens when the model has done something.

Knows what comes after what: `activity` has the states. What a command does is in `actions`, the conversation in
`session`, what is typed and not sent in `composing`.
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

from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL
from rgmlx.store import Message as Stored
from rgmlx.system.formatting import model_name, sentence
from rgmlx.system.printable import printable

from . import themes
from .actions import Actions
from .activity import Activity, Need, Verdict, refusal, verdict
from .chatting import Chatting
from .commands import COMMANDS as TABLE
from .commands import OFFERED, parse, plain, pressed
from .dialog_actions import DialogActions
from .events import Ended, Failed, Loaded, Stood
from .palette import Palette
from .prompt.completions import Completions
from .prompt.drafts import Drafts
from .prompt.files import expand
from .prompt.history import History
from .prompt.outbox import Waiting
from .prompt.prompt import Prompt
from .screens.models import ModelsScreen
from .settings.settings import Defaults
from .status import status_line
from .terminal import keys, textual_fixes
from .transcript.message_window import MessageWindow
from .transcript.parts import KEPT_CHARS
from .transcript.transcript import Transcript

if TYPE_CHECKING:
    from rgmlx.conversation.context import Horizon

GREETING = (
    "You are talking to Griff, a very small model that comes with rgmlx. Ask for a story about an animal, a joke or "
    "an easy fact, or tell it your name. For real work get a larger one: /guide says how."
)
CUT_SHORT = "This reply was cut short: Ctrl+G goes on with it."
EXIT_SECONDS = 1.0
"""After so long it is left in any case: what a screen was to do after it was drawn goes with it, where it is left meanwhile."""
FIRST = 30
"""Messages that are shown at once when a conversation is opened; earlier ones come on scrolling."""


class ChatApp(Chatting):
    """One conversation on one screen."""

    TITLE = "rgchat"
    CSS_PATH = "styles.tcss"
    COMMANDS: ClassVar = {Palette}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    actions: Actions
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            ",".join(command.keys),
            f"command('{command.name}')",
            command.shown or command.name,
            show=bool(command.shown),
            priority=command.key != "escape",
        )
        for command in TABLE
        if command.keys
    ]
    BINDINGS += [
        Binding(",".join(command.while_empty), f"empty_command('{command.name}')", command.name, show=False)
        for command in TABLE
        if command.while_empty
    ]
    BINDINGS += [
        Binding(f"alt+{side}", f"by_word('{side}')", "by a word", show=False, priority=True)
        for side in ("left", "right")
    ]
    BINDINGS += [Binding("escape", f"escape('{what}')", what) for what in ("leave edit", "take back")]

    def __init__(
        self,
        session: Session,
        *,
        defaults: Defaults | None = None,
        defaults_file: Path | None = None,
        file: Path | None = None,
        history: History | None = None,
        drafts: Drafts | None = None,
        guide: bool = False,
    ) -> None:
        """
        Args:
            defaults: settings as the user's file has them; changes are written to `defaults_file`.
            file: a `.rgstate` file to go on from, once the model is there.
            history: what was sent before.
            drafts: what was typed before, and not sent.
            guide: show the first-run guide.
        """
        textual_fixes.forget_removed_widgets()
        textual_fixes.outlive_the_terminal()
        textual_fixes.type_all_text()
        textual_fixes.leave_screens_once()
        textual_fixes.end_workers_first()
        textual_fixes.keep_the_order_in_the_palette()
        textual_fixes.wrap_in_no_columns()
        textual_fixes.lay_out_inline_for_the_terminal()
        super().__init__(session, drafts=drafts)
        self.defaults, self.defaults_file = defaults or Defaults(), defaults_file
        self.calls, self.copies_selection = self.defaults.notify, self.defaults.copies_selection
        self.history = history
        self.actions = Actions(self)
        self.dialogs = DialogActions(self, self.actions)
        self.actions.own |= self.dialogs.commands
        self.position = ""  # where one stands, when that is not the end
        self.reread = ""  # what it took to get there
        self._further = False  # other messages follow
        self.chosen_model = ""  # by the user, and not loaded yet
        self.first_theme = ""  # instead of that of the defaults
        self._guide, self._file = guide, file
        self.wanted_model = ""  # of the open conversation, to be loaded when the model that is there is free
        self._moved = False  # the model has yet to go where one stands
        self._broke_off = False  # the running reply, by itself
        self._leaving = False
        self._escaped = ""  # what the footer says that Esc does
        self._news = False  # there is text below what is on the screen
        self._exit_code = 0

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        window = MessageWindow(
            lambda message, count: self.session.store.messages.window(message, count, chars=KEPT_CHARS),
            lambda message: self.session.store.messages.window(message, 1, chars=KEPT_CHARS)[0].text,
        )
        yield Transcript(window)
        yield Static(id="place")
        yield Completions()
        how = f"Enter sends, {keys.shown(*keys.NEW_LINE)} starts a new line, / lists commands"
        prompt = Prompt(self.history, id="prompt", placeholder=how)
        prompt.commands = OFFERED
        prompt.recall = self.take_back
        prompt.empty = self.empty_edit
        prompt.when_empty = self.press_while_empty
        yield self.outbox
        yield prompt
        yield Static(id="status")
        yield Footer()

    async def on_mount(self) -> None:
        themes.register(self)
        with contextlib.suppress(InvalidThemeError):  # one that an older version knew
            self.theme = self.first_theme or self.defaults.theme
        self.query_one(Prompt).focus()
        if self.is_inline:
            self.grow_with(self.transcript)
        await self.show_conversation()
        self.restore_draft()
        self.find_place()
        if self._guide:
            await self.dialogs.guide()
        self.load_model()
        self.watch_terminal()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_status)

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self.end_work)
        self.drafts.close()
        self.session.close()

    # --- what happens ---------------------------------------------------------------------

    async def show_conversation(self) -> None:
        """Shows the conversation as it stands, from the store alone; a reply that is written there as it goes on."""
        self.note_place()
        if self.activity is Activity.WRITING and await self._show_running():
            self.show_status()
            return
        head, row = self.session.head, self.session.conversation
        shown = self._window(head.id if head else None)
        await self.transcript.load(shown)
        if not shown and row is not None:
            await self.transcript.notice(f"This is before the first message: {pressed('forward')} goes forward.")
        elif not shown:
            if self.session.name == "demo":
                await self.transcript.notice(GREETING)
            await self.transcript.notice("Nothing you write leaves this computer. Esc stops a reply, Ctrl+Q leaves.")
        elif shown[-1].role != MODEL:
            await self.transcript.notice("Your last message has no reply yet: Ctrl+R writes one.")
        await self.show_notices()
        self.show_status()

    async def _show_running(self) -> bool:
        run = self.session.running
        if run is None:
            return False
        before = run.message.parent if run.message else run.asked.id if run.asked else None
        if run.message is None and run.asked is not None and run.asked.role == MODEL:
            before = run.asked.parent
        await self.transcript.load(self._window(before))
        return await self.transcript.resume_reply(lambda: self.session.so_far(KEPT_CHARS))

    def _window(self, message: int | None) -> list[Stored]:
        return self.session.store.messages.window(message, FIRST, chars=KEPT_CHARS)

    def note_place(self) -> None:
        """One stands elsewhere now: a running reply is on the screen, or goes on behind it."""
        if self.activity in (Activity.WRITING, Activity.BEHIND):
            self.machine.enter(Activity.WRITING if self.session.at_running else Activity.BEHIND)

    async def show_notices(self) -> None:
        """Says what the session has to say."""
        while self.session.notices:
            await self.transcript.notice(self.session.notices.pop(0))

    async def proceed(self) -> None:
        """The model is free: it goes where the conversation on the screen stands, and then does what waits."""
        if self._leaving or self.busy:
            return
        if (wanted := self.wanted_model) and (wanted != self.session.name or not self.session.ready):
            self.wanted_model = ""
            self.load_model(wanted)
            return
        self.wanted_model = ""
        if self.activity is Activity.UNLOADED:
            return
        if self._moved:
            self._moved = False
            self.stand()
            return
        item = self.outbox.item
        if item is not None and item.editing is None and await self._went_to(item.place):
            return
        item = self.outbox.take()
        self.show_status()
        if item is not None and item.command:
            await self.actions.run(item.command, "")
        elif item is not None:
            await self._send(item.text, item.editing)

    async def _went_to(self, place: int | None) -> bool:
        """Goes where something belongs that waits, if one stands elsewhere by now; the model follows, and then it is done."""
        head = self.session.head
        if place == (head.id if head is not None else None):
            return False
        try:
            await self.actions.arrive(self.actions.navigation.go(place))
        except RgmlxError as e:
            self.take_back()
            await self.transcript.notice(sentence(str(e)))
        return True

    async def follow(self) -> None:
        """One stands elsewhere: the model comes there when it is free."""
        self._moved = True
        self.note_place()
        await self.proceed()

    async def set_free(self) -> None:
        """The model has done what it had to do."""
        self.machine.enter(Activity.IDLE)
        self.find_place()
        await self.proceed()

    @on(Loaded)
    async def _loaded(self) -> None:
        self.machine.enter(Activity.IDLE)
        # What is there by now stays. Left out of its rounds, the collector looks at a transcript's widgets only: sooner,
        # so that dropped ones don't pile up, and in milliseconds, in which no key waits.
        gc.collect()
        gc.freeze()
        if self.chosen_model:
            self.actions.remember(model=self.chosen_model)
            self.chosen_model = ""
        await self.show_notices()
        self._moved = True
        if self._file is not None:
            file, self._file = self._file, None
            await self.actions.run("open", str(file))
        await self.proceed()

    @on(Stood)
    async def _stood(self, event: Stood) -> None:
        if not self.session.stands and self.wanted_model in ("", self.session.name):  # one has gone on meanwhile
            self._moved = False
            self.stand_on()
            return
        self.machine.enter(Activity.IDLE)
        self._moved = self._moved and not self.session.stands
        if self.position:
            took = f"{1000 * event.seconds:.0f} ms" if event.seconds < 1 else f"{event.seconds:.1f} s"
            self.reread = f"{event.tokens:,} tokens re-read, {took}"
        elif event.tokens:
            await self.transcript.notice(
                f"{event.tokens:,} tokens were read again in {event.seconds:.1f} s; from here on nothing is."
            )
        await self.mark(event.horizon)
        self.show_status()
        await self.proceed()

    @on(Prompt.Submitted)
    async def _submitted(self, event: Prompt.Submitted) -> None:
        command = parse(event.text)
        if command is not None:
            await self.actions.run(*command, typed=event.text)
            return
        match verdict(Need.MESSAGE, self.activity):
            case Verdict.REFUSE:
                self.take_up(event.text)
                await self.transcript.notice(self.refusal)
            case Verdict.QUEUE:
                if self.queue(Waiting(event.text, self.editing)):
                    self.end_edit()
                else:
                    self.take_up(event.text)
            case Verdict.RUN:
                editing = self.editing
                self.end_edit()
                await self._send(event.text, editing)

    def empty_edit(self) -> None:
        """Enter without a text: an edit does not end in nothing, and says so."""
        if self.editing is not None:
            self.notify("An edit needs a text: Esc leaves it as it was.", timeout=3)

    async def _send(self, text: str, old: Stored | None) -> None:
        self.prompt.submitted = text  # until it is in the store
        self.machine.enter(Activity.SENDING)  # at once: whoever looks next finds the chat at work
        if self.history is not None:
            self.history.add(text)
        found = await asyncio.to_thread(expand, plain(text))
        if found.problems:
            await self._give_back(text, old, " ".join(found.problems))
            return
        row = self.session.conversation
        try:
            message = self.session.edit(old.id, found.text) if old else self.session.ask(found.text)
        except RgmlxError as e:
            await self._give_back(text, old, f"This was not sent: {e}.")
            return
        self.forget_draft(row)
        self.leave_place()
        if old is not None and old.role == MODEL:
            self.machine.enter(Activity.IDLE)
            await self.follow()
            await self.show_conversation()
            return
        if old is not None and (message.parent is None or not await self.transcript.cut(message.parent)):
            await self.show_conversation() if message.parent is not None else await self.transcript.clear()
        await self.transcript.jump()
        await self.transcript.add(message)
        await self.show_notices()  # of a file that is gone
        await self.begin(self.session.reply)

    async def _give_back(self, text: str, editing: Stored | None, why: str) -> None:
        """What could not be sent is in the prompt again."""
        self.machine.enter(Activity.IDLE)
        self.take_up(text, editing)
        await self.transcript.notice(why)

    async def begin(self, start: Callable[[], Iterator[str]], text: str = "") -> None:
        """Has a reply written, after a text that it begins with."""
        try:
            pieces = start()
        except RgmlxError:
            self.machine.enter(Activity.IDLE)
            raise
        self.written, self._broke_off = self.session.running, False
        self.machine.enter(Activity.WRITING)
        self.leave_place()
        await self.transcript.begin_reply(text)
        self.write(pieces)
        self.watch_work()

    @on(Ended)
    async def _ended(self, event: Ended) -> None:
        behind, run = self.activity is Activity.BEHIND, self.written
        if behind:
            reply = run.head if run is not None else None
            how = "has ended" if reply is not None and reply.role == MODEL and reply.closed else "was cut short"
            self.notify(f"The reply in “{self.written_title}” {how}: Ctrl+O opens it.", timeout=5, markup=False)
        else:
            head = self.session.head
            await self.transcript.end_reply(head if head is not None and head.role == MODEL else None)
            await self.mark(event.horizon)
        await self.show_notices()
        if not behind and head is not None and head.role != MODEL:
            await self.transcript.notice(
                "Your message has no reply yet: Ctrl+R reads what is left of it and writes one, "
                f"{pressed('back')} leaves it out."
            )
        self.written = None
        if self._broke_off:  # the next one might as well
            self.take_back()
        await self.set_free()  # only now: what comes next finds the transcript as it stays

    @on(Failed)
    async def _failed(self, event: Failed) -> None:
        if event.of == "write":  # its end is told next: what was written is drawn first
            place = f"In “{self.written_title}”: " if self.activity is Activity.BEHIND else ""
            self.session.notices.append(place + sentence(event.sentence))
            self._broke_off = True
            return
        await self.transcript.notice(sentence(event.sentence))
        self.chosen_model = ""
        if event.of == "load" and not self.session.ready:
            await self.transcript.notice("There is no model: /model chooses another, Ctrl+Q leaves.")
            self._exit_code = 1
        self.machine.enter(Activity.IDLE if self.session.ready else Activity.UNLOADED)
        self._moved = False
        self.take_back()
        if event.of == "load":
            await self.proceed()
        self.show_status()

    @on(ModelsScreen.Over)
    def _downloaded(self, event: ModelsScreen.Over) -> None:
        if not event.stopped:
            self.call_away("the download has ended", event.seconds)

    @on(Transcript.News)
    def _there_is_news(self, event: Transcript.News) -> None:
        self._news = event.below
        self.show_status()

    async def mark(self, horizon: Horizon | None) -> None:
        message, characters = (horizon.message, horizon.characters) if horizon else (None, 0)
        await self.transcript.mark_horizon(message, characters, self.session.gauges.window)

    # --- keys -----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of an empty prompt are the text's while there is one; a screen above has keys of its own."""
        if action == "empty_command":
            return len(self.screen_stack) == 1 and not self.query_one(Prompt).text
        if action == "command" and len(self.screen_stack) > 1:
            return parameters == ("quit",)  # a screen above has keys of its own
        if action == "command" and parameters == ("stop",):
            return self.escape == "stop"
        if action == "escape":
            return self.escape == parameters[0] and len(self.screen_stack) == 1
        return super().check_action(action, parameters)

    @property
    def stoppable(self) -> bool:
        """Whether there is something to stop, or to take back."""
        return bool(self.escape)

    @property
    def escape(self) -> str:
        """What Esc does now, for the footer; "" if nothing. In the order of `Actions.stop`."""
        if self.outbox.item is not None:
            return "take back"
        return "leave edit" if self.editing is not None else "stop" if self.busy else ""

    def action_escape(self, what: str) -> None:
        """What Esc does besides stopping; the command knows what that is now."""
        self.action_command("stop")

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
        self._leaving = True
        self.keep_draft()
        self.session.stop()
        status = self.query_one("#status", Static)
        if any(w.group == "model" for w in self.workers):
            status.update("saving ...")
            await asyncio.to_thread(self.end_work)
        if self.session.store.kept:  # else where it is kept is said when the screen is gone
            status.update("The conversation is kept.")
        self.leave_inline(self.query_one("#title"), status)
        # After two: the transcript is where it stays once it knows its new height.
        self.call_after_refresh(self.call_after_refresh, self._exit_once)
        self.set_timer(EXIT_SECONDS, self._exit_once)

    def _exit_once(self) -> None:
        if not self._exit:
            self.exit(return_code=self._exit_code)

    @property
    def refusal(self) -> str:
        """Why something can't be done now."""
        reading = self.session.reading is not None
        return refusal(self.activity, model=self.session.name, title=self.written_title, reading=reading)

    # --- the screen -----------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """What was said so far."""
        return self.query_one(Transcript)

    def find_place(self) -> None:
        """Says where in the conversation one stands, if other messages follow."""
        self.actions.navigation.find()
        place = self.actions.where()
        if place != self.position:
            self.show_place(place, further=bool(place))
        self.show_status()

    def show_place(self, position: str, *, further: bool) -> None:
        """Says where one stands; `further`: other messages follow."""
        self.position, self.reread, self._further = position, "", further

    def leave_place(self) -> None:
        """One stands at the end again."""
        self.show_place("", further=False)
        self.actions.navigation.end()
        self.show_status()

    @property
    def place(self) -> str:
        """The line above the prompt: what is edited, or where one stands and what can be done there."""
        if self.editing is not None:
            done = "puts it in place" if self.editing.role == MODEL else "sends it"
            return f"Editing: Enter {done}, Esc leaves it as it was"
        parts = [f"{self.position}, {pressed('forward')} goes forward" if self._further else self.position]
        parts.append("sending begins a branch" if self._further else "")
        if self._cut_short:
            parts.append("Cut short: Ctrl+G goes on with it" if self.position else CUT_SHORT)
        parts.append(self.reread)  # the end is cut off where it is too long
        return "  ·  ".join(part for part in parts if part)

    @property
    def _cut_short(self) -> bool:
        head = self.session.head
        if head is None or head.role != MODEL or head.closed or self.activity in (Activity.WRITING, Activity.SENDING):
            return False
        return not self.session.at_running

    def show_status(self) -> None:
        """Brings all lines around the transcript up to date."""
        if self._leaving or not self.is_running or not self.query("#status"):
            return  # the last line is said
        self.transcript.name_model(model_name(self.session.name))
        title = self.session.conversation.title if self.session.conversation else "New conversation"
        self.query_one("#title", Static).update(Content(printable(title or "Untitled")))
        place = self.place
        line = self.query_one("#place", Static)
        line.display = bool(place)
        line.update(Content(place))
        self.show_waiting()
        doing = self.doing(self.outbox.item is not None)
        news = f"↓ new text below ({keys.shown(*keys.END)})" if self._news else ""
        text = status_line(self.session.name, self.session.gauges, doing, news, self.size.width - 4)
        self.query_one("#status", Static).update(Content(printable(text)))
        if self.escape != self._escaped:
            self._escaped = self.escape
            self.refresh_bindings()
