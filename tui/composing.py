"""What was typed and is not sent: the draft in the prompt, what waits until the model is free, what is being edited.

Knows the prompt, the outbox and the files of drafts; when something is sent is the app's business. Every conversation
has a draft and a queue of its own, which are on the disk about a second after they were typed. What waits in one is sent
in no other, and not while another is open.
"""

from __future__ import annotations

import contextlib
import dataclasses
from enum import Enum

from textual import on
from textual.timer import Timer
from textual.widgets import TextArea

from rgmlx.conversation import places
from rgmlx.conversation.session import Session
from rgmlx.store import USER, Conversation, StoreError
from rgmlx.store import Message as Stored
from rgmlx.system import debug_log
from rgmlx.system.formatting import joined, sentence
from rgmlx.system.textfiles import reason

from .activity import waits_for
from .prompt.drafts import Draft, Drafts
from .prompt.outbox import Held, Outbox, Waiting
from .prompt.prompt import Prompt
from .prompt.queued import Queued
from .question import Question
from .selecting import Selecting

KEEP_SECONDS = 0.5
"""So long after a key the draft goes to the disk, with all that was typed by then."""
SAID_SECONDS = 15.0
"""So long is said what becomes of a draft."""
_SHARE = 5  # lines of the screen to each line of what waits


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
        sent_from: the number of the message at which one stood when the last thing was sent or done.
    """

    def __init__(self, session: Session, *, drafts: Drafts | None = None) -> None:
        """`drafts`: where they are kept; None keeps them until the app ends."""
        super().__init__(session)
        self.editing: Stored | None = None
        self.drafts = drafts or Drafts(None)
        self.outbox = Outbox()
        self.sent_from: int | None = None
        self._aside: list[tuple[str, Stored | None]] = []  # texts, and which message each is to take the place of
        self._drafted = session.opened  # whose draft is in the prompt
        self._keep_soon: Timer | None = None
        self._said = ""  # why a draft can't be kept
        self._took_back = False  # Esc did, the last time

    @property
    def prompt(self) -> Prompt:
        """Where one types."""
        return self.query_one(Prompt)

    # --- Esc ------------------------------------------------------------------------------

    @property
    def escape(self) -> Escape:
        """What Esc does now. Of several that wait it takes back one, and then it stops what runs; what is held is not
        about to be sent."""
        if self.outbox.items and (not self.busy or (self.outbox.next is not None and not self._took_back)):
            return Escape.TAKE_BACK
        if self.editing is not None:
            return Escape.LEAVE_EDIT
        return Escape.STOP if self.busy else Escape.NOTHING

    def press_escape(self) -> None:
        """Does it. Stops whatever runs, also where nothing seems to."""
        match self.escape:
            case Escape.TAKE_BACK:
                self._took_back = True
                self.take_back()
            case Escape.LEAVE_EDIT:
                self.leave_edit()
            case _:
                self.stop()

    def stop(self) -> None:
        """Stops what the model does; what waits for it is held."""
        if self.busy:
            self.hold(Held.STOPPED)
        self.session.stop()

    # --- what waits -----------------------------------------------------------------------

    def queue(self, item: Waiting) -> bool:
        """Has something wait until the model is free; says so where no more can wait, and returns false."""
        if problem := self.outbox.problem(item):
            self.notify(problem, timeout=4, markup=False)
            return False
        session = self.session
        head, run = session.head, session.running if session.at_running else None
        self.outbox.put(dataclasses.replace(item, after=_number(head), run=run))
        self._took_back = False
        self.prompt.submitted = ""
        self._queue_changed()
        return True

    def take_back(self, number: int | None = None) -> bool:
        """One that waits (None: the last) is in the prompt again, before what is there; false if there is none.

        Sent again it has its place again, and what comes after it waits for that.
        """
        last = self.outbox.last
        number = last.number if number is None and last is not None else number
        item = self.outbox.take_to_change(number) if number is not None else None
        if item is None:
            return False
        self.take_up(item.text, item.editing)
        self._queue_changed()
        return True

    def drop(self, number: int) -> None:
        """One that waits is gone."""
        self.outbox.take(number)
        self._queue_changed()

    def move(self, number: int, by: int) -> None:
        """Moves one that waits towards the end (1) or the beginning (-1)."""
        self.outbox.move(number, by)
        self._queue_changed()

    def hold(self, why: Held) -> None:
        """What waits does not go on by itself from now on."""
        self.outbox.hold(why)
        self._queue_changed()

    def note_place(self) -> None:
        """Something is sent or done where one stands: what waits for this place comes after the reply to that."""
        self.sent_from = self.session.opened.at
        self._took_back = False

    def _queue_changed(self) -> None:
        self._keep_later()
        self.show_status()

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
        rows = max(1, self.size.height // _SHARE)
        self.outbox.show(waits_for(self.activity, title=self.written_title), rows)

    # --- drafts ---------------------------------------------------------------------------

    @property
    def draft(self) -> Draft:
        """All that was typed and is not sent."""
        text = joined(self.prompt.submitted, self.prompt.unsent)
        rest = joined(*(text for text, _ in reversed(self._aside)))
        queue = tuple(item.kept for item in self.outbox.items)
        text, editing, rest = (text, _number(self.editing), rest) if text.strip() else (rest, None, "")
        return Draft(text, editing, rest, queue, held=self.outbox.held is not None)

    def keep_draft(self) -> None:
        """Writes the draft at once."""
        self._write_draft(self._drafted.row, self.draft, self.drafts.ticket())

    def forget_draft(self, conversation: Conversation | None) -> None:
        """It was sent: after a crash it is not to come back, too; what waits behind it is."""
        self.prompt.submitted = ""
        if self.outbox.items:
            self.keep_draft()
        if not self.outbox.items or conversation is None:  # a new one has a file of its own from now on
            self._write_draft(conversation, Draft(""), self.drafts.ticket())
        self._keep_later()  # what was typed since then

    def follow_draft(self) -> None:
        """Another conversation is open: the prompt has the draft of that one now, and the other keeps its own."""
        if self.session.opened is self._drafted:
            return
        self.keep_draft()
        items = self.outbox.items
        title = self._drafted.row.title if self._drafted.row else "a new conversation"
        if len(items) > 1:
            self.notify(
                f"{len(items)} wait in “{title}”, and are not sent while you are here.", timeout=5, markup=False
            )
        elif items:
            what = f"/{items[0].command} is not done now" if items[0].command else "Your message was not sent"
            self.notify(f"{what}: it stays with “{title}”.", timeout=5, markup=False)
        self._drafted = self.session.opened
        self.restore_draft()

    def restore_draft(self) -> None:
        """Puts the draft of the open conversation into the prompt, and what waited there above it."""
        self.editing = None
        self._aside.clear()
        found = self.drafts.read(self._drafted.row) or Draft("")
        self._say_of_drafts()
        self.editing = self._message(found.editing)
        if found.aside and self.editing is not None:
            self._aside.append((found.aside, None))
        elif found.aside:
            found = dataclasses.replace(found, text=joined(found.text, found.aside))
        self.prompt.load_text(found.text)
        items = [self._restored(one) for one in found.queue]
        # The reply that it waits for may be written still: then nothing was missed.
        goes_on = bool(items) and not found.held and items[0].run is not None
        self.outbox.fill(items, None if goes_on else Held.AWAY)

    def _restored(self, one: Queued) -> Waiting:
        """What waited, with the place that it has by now."""
        running, after = self.session.running, self._message(one.after)
        question = Question(one.words, one.text) if one.words else None
        item = Waiting(one.text, self._message(one.editing), one.command, _number(after), question=question)
        if one.after is not None and after is None:  # discarded since then
            return dataclasses.replace(item, after=self._drafted.at)
        if not one.reply or after is None:
            return item
        if running is not None and running.opened is self._drafted and after.id in (running.at, _number(running.asked)):
            return dataclasses.replace(item, run=running)
        if after.role == USER:  # its reply came later, or went on without us
            return dataclasses.replace(item, after=places.after(self.session.store, after.id))
        return item

    def _message(self, number: int | None) -> Stored | None:
        """A message of the conversation whose draft is in the prompt; None where it is not there any more."""
        if number is not None and self._drafted.row is not None:
            with contextlib.suppress(StoreError):
                message = self.session.store.messages.get(number)
                return message if message.conversation == self._drafted.row.id else None
        return None

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
