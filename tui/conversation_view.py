"""The conversation on the screen: its transcript, and the lines around it that say where on its branch it is and what the model does.

Knows how that is shown; what comes next is in `flow`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from rgmlx.conversation.navigation import Navigation
from rgmlx.conversation.session import Session
from rgmlx.store import MODEL
from rgmlx.store import Message as Stored
from rgmlx.system.formatting import model_name
from rgmlx.system.printable import printable

from .activity import Activity, refusal
from .chatting import Chatting
from .commands import pressed
from .key_line import KeyLine, hints, mark_hints
from .prompt.drafts import Drafts
from .status import Position, position_label, status_line
from .terminal import keys
from .transcript.parts import KEPT_CHARS
from .transcript.transcript import Transcript

if TYPE_CHECKING:
    from rgmlx.conversation.context import Horizon

GREETING = (
    "You are talking to Griff, a very small model that comes with rgmlx. Ask for a story about an animal, a joke or "
    "an easy fact, or tell it your name. For real work get a larger one: /guide says how."
)
WELCOME = [
    "This is Griff, a very small model that comes with rgmlx. Press Enter, and it tells a story; or write something, such "
    "as your name, and press Enter.",
    "F1 is the guide: what this is, how to get a larger model, the keys.",
]
"""In its place at the first start."""
EXAMPLE = "Tell me a story about a fox and a kite."
"""What Enter alone asks then."""
FIRST = 30
"""Messages that are shown at once when a conversation is opened; earlier ones come on scrolling."""


REFUSED_SECONDS = 4.0
"""So long the line above the prompt says why something was not done."""


class ConversationView(Chatting):
    """An app that shows a conversation.

    Attributes:
        navigation: where the current message is on its branch.
        position: the same for the line above the prompt.
        first: whether this is the first start, and nothing was sent yet.
    """

    first = False

    def __init__(self, session: Session, *, drafts: Drafts | None = None) -> None:
        super().__init__(session, drafts=drafts)
        self.navigation = Navigation(session)
        self.position = Position()
        self._news = False  # there is text below what is on the screen
        self._refused = ""  # what the line above the prompt says instead
        self._refused_end: Timer | None = None

    @property
    def transcript(self) -> Transcript:
        """What was said so far."""
        return self.query_one(Transcript)

    # --- what was said --------------------------------------------------------------------

    async def show_conversation(self) -> None:
        """Shows the conversation up to the current message, from the store alone; a reply that is written there as it goes on."""
        self.note_current()
        if self.activity is Activity.WRITING and await self._show_running():
            self.show_status()
            return
        head = self.session.head
        shown = self._window(head.id if head else None)
        await self.transcript.load(shown)
        if not shown and self.navigation.begun:
            await self.transcript.notice(
                f"This is before the first message: {pressed('forward')} goes forward.", passing=True
            )
        elif not shown and not self.outbox.items:
            for sentence in self._greeting:
                await self.transcript.notice(sentence, passing=True)
        elif shown and shown[-1].role != MODEL:
            await self.transcript.notice(
                f"Your last message has no reply yet: {pressed('regenerate')} writes one.", passing=True
            )
        await self.show_notices()
        self.show_status()

    @property
    def welcomes(self) -> bool:
        """Whether this is the first start, and nothing was said yet: Enter alone begins, and F1 is the guide."""
        empty = self.session.head is None and not self.outbox.items and not self.prompt.submitted
        return self.first and empty and self.session.name == "demo"

    @property
    def _greeting(self) -> list[str]:
        """What an empty conversation shows."""
        words = WELCOME if self.welcomes else [GREETING] if self.session.name == "demo" else []
        return [*words, f"Nothing you write leaves this computer. Esc stops a reply, {pressed('quit')} leaves."]

    @property
    def _placeholder(self) -> str:
        """What an empty prompt shows."""
        if self.welcomes:
            return f"Enter asks: {EXAMPLE}"
        return f"Enter sends, {keys.shown(*keys.NEW_LINE)} starts a new line, / lists commands"

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

    def note_current(self) -> None:
        """Notes that the current message is another one: a running reply is on the screen, or goes on behind it."""
        if self.activity in (Activity.WRITING, Activity.BEHIND):
            self.machine.enter(Activity.WRITING if self.session.at_running else Activity.BEHIND)

    async def show_notices(self) -> None:
        """Says what the session has to say."""
        while self.session.notices:
            await self.transcript.notice(self.session.notices.pop(0))

    async def mark(self, horizon: Horizon | None) -> None:
        message, characters = (horizon.message, horizon.characters) if horizon else (None, 0)
        await self.transcript.mark_horizon(message, characters, self.session.metrics.window)

    @on(Transcript.Marked)
    def _is_marked(self) -> None:
        self.show_status()

    @on(Transcript.News)
    def _there_is_news(self, event: Transcript.News) -> None:
        self._news = event.below
        self.show_status()

    # --- where on its branch --------------------------------------------------------------

    def find_position(self) -> None:
        """Finds out whether other messages follow."""
        self.navigation.find()
        if self._steps != self.position.text:
            self.show_position()
        self.show_status()

    def show_position(self, elsewhere: str = "") -> None:
        """Notes where the current message is on its branch.

        Args:
            elsewhere: what to say where nothing follows; "" says nothing.
        """
        steps = self._steps
        self.position = Position(steps or elsewhere, further=bool(steps))

    def leave_position(self) -> None:
        """Notes that the current message is the end of its branch again."""
        self.navigation.end()
        self.position = Position()
        self.show_status()

    @property
    def _steps(self) -> str:
        steps = self.navigation.steps
        return f"Turn {steps.here} of {steps.of}" if steps else ""

    @property
    def position_label(self) -> str:
        """The line above the prompt: why something is not done, what is edited, or where one is and what can be done there."""
        return self._refused or position_label(
            self.position, self.editing, self.size.width - 2, cut_short=self._cut_short
        )

    @property
    def _cut_short(self) -> bool:
        head = self.session.head
        if head is None or head.role != MODEL or head.closed or self.activity in (Activity.WRITING, Activity.SENDING):
            return False
        return not self.session.at_running

    # --- the lines around it --------------------------------------------------------------

    @property
    def refusal(self) -> str:
        """Why something can't be done now."""
        reading = self.session.reading is not None
        return refusal(self.activity, model=self.session.name, title=self.written_title, reading=reading)

    def refuse(self) -> None:
        """Says above the prompt, where one looks who has just pressed Enter, why something can't be done now."""
        self._say_above(self.refusal)
        if self._refused_end is not None:
            self._refused_end.stop()
        self._refused_end = self.set_timer(REFUSED_SECONDS, self._say_above)

    def _say_above(self, why: str = "") -> None:
        self._refused = why
        self.show_status()

    def show_status(self) -> None:
        """Brings all lines around the transcript up to date."""
        if self.machine.leaving or not self.is_running or not self.query("#status"):
            return  # the last line is said
        self.transcript.name_model(model_name(self.session.name))
        title = self.session.conversation.title if self.session.conversation else "New conversation"
        self.query_one("#title", Static).update(Content(printable(title or "Untitled")))
        position = self.position_label
        line = self.query_one("#position", Static)
        line.display = bool(position)
        line.update(Content(position))
        self.prompt.placeholder = self._placeholder
        self.show_waiting()
        doing = self.doing(self.outbox.next is not None)
        transcript, marked = self.transcript, self.transcript.mark is not None
        news = transcript.mark_label if marked else f"↓ new text below ({keys.shown(*keys.END)})" if self._news else ""
        here = self.activity is Activity.WRITING or (self.activity is not Activity.BEHIND and self.session.in_sync)
        text = status_line(self.session.name, self.session.metrics, doing, news, self.size.width - 2, here=here)
        self.query_one("#status", Static).update(Content(printable(text)))
        head = self.session.head
        answered = None if head is None else head.role == MODEL
        now = hints(self.escape, further=self.position.further, answered=answered)
        if marked:
            now = mark_hints(fold=transcript.mark_folds, found=transcript.finding)
        self.query_one(KeyLine).show(now, self.size.width)
