"""What was typed and is not sent: the draft in the prompt, what waits until the model is free, what is being edited.

Knows the prompt, the outbox and the files of drafts; when something is sent is the app's business. Every conversation
has a draft of its own, which is on the disk about a second after it was typed.
"""

from __future__ import annotations

import contextlib
import dataclasses
from enum import Enum

from textual import on
from textual.timer import Timer
from textual.widgets import TextArea

from rgmlx.conversation.session import Session
from rgmlx.store import Conversation, StoreError
from rgmlx.store import Message as Stored
from rgmlx.system import debug_log
from rgmlx.system.formatting import joined, sentence
from rgmlx.system.textfiles import reason

from .activity import waits_for
from .prompt.drafts import Draft, Drafts
from .prompt.outbox import Outbox, Waiting
from .prompt.prompt import Prompt
from .selecting import Selecting

KEEP_SECONDS = 0.5
"""So long after a key the draft goes to the disk, with all that was typed by then."""
SAID_SECONDS = 15.0
"""So long is said what becomes of a draft."""


class Escape(Enum):
    """What Esc does, in the words of the last line. The first that is possible is done."""

    TAKE_BACK = "take back"
    LEAVE_EDIT = "leave edit"
    STOP = "stop"
    NOTHING = ""


class Composing(Selecting):
    """An app with a prompt.

    Attributes:
        editing: the message that the text in the prompt is to take the place of.
        outbox: what waits until the model is free.
    """

    def __init__(self, session: Session, *, drafts: Drafts | None = None) -> None:
        """`drafts`: where they are kept; None keeps them until the app ends."""
        super().__init__(session)
        self.editing: Stored | None = None
        self.drafts = drafts or Drafts(None)
        self.outbox = Outbox()
        self._aside: list[tuple[str, Stored | None]] = []  # texts, and which message each is to take the place of
        self._drafted = session.opened  # whose draft is in the prompt
        self._keep_soon: Timer | None = None
        self._said = ""  # why a draft can't be kept

    @property
    def prompt(self) -> Prompt:
        """Where one types."""
        return self.query_one(Prompt)

    # --- Esc ------------------------------------------------------------------------------

    @property
    def escape(self) -> Escape:
        """What Esc does now."""
        if self.outbox.item is not None:
            return Escape.TAKE_BACK
        if self.editing is not None:
            return Escape.LEAVE_EDIT
        return Escape.STOP if self.busy else Escape.NOTHING

    def press_escape(self) -> None:
        """Does it. Stops whatever runs, also where nothing seems to."""
        match self.escape:
            case Escape.TAKE_BACK:
                self.take_back()
            case Escape.LEAVE_EDIT:
                self.leave_edit()
            case _:
                self.session.stop()

    # --- what waits -----------------------------------------------------------------------

    def queue(self, item: Waiting) -> bool:
        """Has something wait until the model is free; says so where something waits already, and returns false."""
        if self.outbox.item is not None:
            self.notify("Something waits already: Esc takes it back.", timeout=3)
            return False
        session = self.session
        head, run = session.head, session.running if session.at_running else None
        self.outbox.put(dataclasses.replace(item, after=_number(head), run=run))
        self.prompt.submitted = ""
        self._keep_later()
        self.show_status()
        return True

    def take_back(self) -> bool:
        """What waits is in the prompt again, before what is there; false if nothing waits."""
        item = self.outbox.take()
        if item is None:
            return False
        self.take_up(item.text, item.editing)
        self.show_status()
        return True

    def take_up(self, text: str, editing: Stored | None = None) -> None:
        """Puts a text that was submitted into the prompt again, before what was typed since.

        Args:
            editing: the message that it is to take the place of. If what is there has another purpose it is put aside.
        """
        self.prompt.submitted = ""
        if text and _number(editing) == _number(self.editing):
            self.prompt.load_text(joined(text, self.prompt.unsent))
        elif text:
            self.begin_edit(text, editing)

    # --- edits ----------------------------------------------------------------------------

    def begin_edit(self, text: str, editing: Stored | None) -> None:
        """Puts a text into the prompt; what is there is put aside until that one is sent or left."""
        if (left := self.prompt.unsent).strip():
            self._aside.append((left, self.editing))
        self.editing = editing
        self.prompt.load_text(text)
        self.show_status()

    def end_edit(self) -> None:
        """What the prompt had was sent or left: what was put aside for it is there again, before what was typed since."""
        self.editing = None
        if self._aside:
            text, self.editing = self._aside.pop()
            self.prompt.load_text(joined(text, self.prompt.unsent))
        self.show_status()

    def leave_edit(self) -> None:
        """Gives an edit up, as `end_edit`; undo brings its text back."""
        text, self.editing = self._aside.pop() if self._aside else ("", None)
        self.prompt.replace_draft(text)
        self.show_status()

    def show_waiting(self) -> None:
        """Brings what is shown of it up to date."""
        self.outbox.show(waits_for(self.activity, title=self.written_title))

    # --- drafts ---------------------------------------------------------------------------

    @property
    def draft(self) -> Draft:
        """All that was typed and is not sent."""
        item, text, editing = self.outbox.item, self.prompt.unsent, self.editing
        aside = [text for text, _ in reversed(self._aside)]
        if item is not None and item.text:
            if _number(item.editing) == _number(editing):
                text = joined(item.text, text)
            else:
                text, editing, aside = item.text, item.editing, [text, *aside]
        rest = joined(*aside)
        text = joined(self.prompt.submitted, text)
        return Draft(text, _number(editing), rest) if text.strip() else Draft(rest)

    def keep_draft(self) -> None:
        """Writes the draft at once."""
        self._write_draft(self._drafted.row, self.draft, self.drafts.ticket())

    def forget_draft(self, conversation: Conversation | None) -> None:
        """It was sent: after a crash it is not to come back, too."""
        self.prompt.submitted = ""
        self._write_draft(conversation, Draft(""), self.drafts.ticket())
        self._keep_later()  # what was typed since then

    def follow_draft(self) -> None:
        """Another conversation is open: the prompt has the draft of that one now, and the other keeps its own."""
        if self.session.opened is self._drafted:
            return
        self.keep_draft()
        item = self.outbox.take()
        title = self._drafted.row.title if self._drafted.row else "a new conversation"
        if item is not None:
            what = "Your message was not sent: it" if item.text else f"/{item.command} was called off: what you typed"
            self.notify(f"{what} stays with “{title}”.", timeout=5, markup=False)
        self._drafted = self.session.opened
        self.restore_draft()

    def restore_draft(self) -> None:
        """Puts the draft of the open conversation into the prompt."""
        self.editing = None
        self._aside.clear()
        found = self.drafts.read(self._drafted.row)
        self._say_of_drafts()
        if found is not None and found.editing is not None and self._drafted.row is not None:
            with contextlib.suppress(StoreError):  # discarded since then
                message = self.session.store.messages.get(found.editing)
                self.editing = message if message.conversation == self._drafted.row.id else None
        if found is not None and found.aside and self.editing is not None:
            self._aside.append((found.aside, None))
        elif found is not None:
            found = Draft(joined(found.text, found.aside))
        self.prompt.load_text(found.text if found else "")

    def _say_of_drafts(self) -> None:
        while self.drafts.notices:
            self.notify(self.drafts.notices.pop(0), severity="warning", timeout=SAID_SECONDS, markup=False)

    @on(TextArea.Changed, "#prompt")
    def _keep_later(self) -> None:
        if self._keep_soon is None:
            self._keep_soon = self.set_timer(KEEP_SECONDS, self._keep_now)

    def _keep_now(self) -> None:
        self._keep_soon = None
        if not self.query(Prompt):  # the screen is being taken down
            return
        conversation, draft, ticket = self._drafted.row, self.draft, self.drafts.ticket()
        self.run_worker(lambda: self._write_draft(conversation, draft, ticket), thread=True, group="draft")

    def _write_draft(self, conversation: Conversation | None, draft: Draft, ticket: int) -> None:
        try:
            self.drafts.write(conversation, draft, ticket)
        except (OSError, ValueError) as e:
            if draft.text.strip() and (why := reason(e)) != self._said:  # once, not with every key
                self._said = why
                debug_log.caught(e, "a draft is not kept")
                said = sentence(f"What you type is not kept ({why}): send it before you leave")
                self.call_later(self.notify, said, severity="warning", timeout=SAID_SECONDS, markup=False)
        else:
            self._said = ""
        if self.drafts.notices:
            self.call_later(self._say_of_drafts)


def _number(message: Stored | None) -> int | None:
    return message.id if message is not None else None
