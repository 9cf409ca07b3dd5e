"""What comes after what: a message, its reply, what waited meanwhile; another place, another conversation, another model.

Knows the states of `activity` and what to do in each of them; what a command does is in `actions`, and how a conversation
looks in `conversation_view`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

from textual import on

from rgmlx.conversation.runs import ReplyRun
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL
from rgmlx.store import Message as Stored
from rgmlx.system.formatting import sentence

from . import operations
from .actions import Actions
from .activity import Activity, Need, Step, Verdict, verdict
from .commands import OFFERED, parse, plain, pressed
from .conversation_view import EXAMPLE, ConversationView
from .events import Ended, Failed, Got, Loaded, Synced, Titled
from .getting import Getter
from .prompt.drafts import Drafts
from .prompt.files import Expanded, expand, named
from .prompt.kept import KeptPrompt
from .prompt.outbox import Held, Waiting
from .prompt.prompt import Prompt
from .question import Question
from .screens.models import ModelsScreen

TOLD_SECONDS = 12.0
"""So long is said that a reply has ended which is not on the screen."""


class Flow(ConversationView):
    """An app that goes on by itself."""

    actions: Actions

    def __init__(
        self,
        session: Session,
        *,
        drafts: Drafts | None = None,
        file: Path | None = None,
        question: Question | None = None,
    ) -> None:
        """`file`: a `.rgstate` file to go on from, once the model is there; `question`: what to send then."""
        super().__init__(session, drafts=drafts)
        self.chosen_model = ""
        self._file, self._question = file, question
        self._broke_off = False  # the running reply, by itself
        self._exit_code = 0
        self.getter = Getter()
        self._told_of_getting: object = None
        self.getter.listen(self._heard_of_getting)

    # --- messages and replies -------------------------------------------------------------

    @on(Prompt.Submitted)
    async def _submitted(self, event: Prompt.Submitted) -> None:
        if self.machine.leaving:  # typed for the shell
            return
        kept = await self._kept(event.text)
        if kept is not None and kept[0].needs_words and not kept[1]:
            self.prompt.submitted = ""
            self.actions.ask_for_words(kept[0].command)
            return
        command = parse(event.text) if kept is None else None
        if command is not None:
            await self.actions.run(*command, typed=event.text)
            return
        match verdict(Need.MESSAGE, self.activity):
            case Verdict.REFUSE:
                self.take_up(event.text)
                await self.transcript.notice(self.refusal)
            case now if now is Verdict.QUEUE or self.outbox.changing is not None:
                if self.queue(Waiting(event.text, self.editing)):
                    self.end_edit()
                    await self.proceed()  # if it was next
                else:
                    self.take_up(event.text)
            case Verdict.RUN:
                editing = self.editing
                self.note_place()
                self.end_edit()
                await self._send(event.text, editing)

    async def _kept(self, text: str) -> tuple[KeptPrompt, str] | None:
        """The prompt of the user's that a text is the command of, and its words; one may have been written just now."""
        if self.prompts.is_new(text):
            await asyncio.to_thread(self.prompts.look)
            self.prompt.commands = [*OFFERED, *self.prompts.offered]
            while self.prompts.problems:
                await self.transcript.notice(self.prompts.problems.pop(0))
        return self.prompts.given(text)

    def _expanded(self, text: str) -> Expanded:
        """What is sent for a text that was typed: with the prompt that it is the command of, and the files that it names."""
        kept = self.prompts.given(text)
        try:
            if kept is None:
                return expand(plain(text))
            return dataclasses.replace(expand(kept[0].text(kept[1])), about=named(kept[1]))
        except RgmlxError as e:
            return Expanded(text, problems=(sentence(str(e)),))

    def enter_alone(self) -> None:
        """Enter without a text: what is held goes on; an edit does not end in nothing; at the first start it begins."""
        if self.outbox.held is not None and self.editing is None:
            self.call_next(self.go_on)
        elif self.editing is not None:
            self.notify("An edit needs a text: Esc leaves it as it was.", timeout=3)
        elif self.welcomes:
            self.prompt.load_text(EXAMPLE)
            self.prompt.action_submit()

    def ask_first(self) -> None:
        """Has the question wait that the chat was begun with, if it is for the conversation that is open."""
        if self._question is not None and self._file is None:
            question, self._question = self._question, None
            self.queue(Waiting(question.text, question=question))

    async def go_on(self) -> None:
        """What is held goes on: now, or when the model is free."""
        if self.activity is Activity.UNLOADED:
            self.refuse()
            return
        self.outbox.release()
        self._took_back = False
        self._queue_changed()
        await self.proceed()

    async def _send(self, text: str, old: Stored | None, question: Question | None = None) -> None:
        """`question`: what the text is, with all that belongs to it in place."""
        self.prompt.submitted = text  # until it is in the store
        self.machine.enter(Activity.SENDING)  # at once: whoever looks next finds the chat at work
        self.first = False
        words = question.words if question is not None else text
        if self.history is not None:
            self.history.add(words)
        found = await asyncio.to_thread(self._expanded, text) if question is None else Expanded(text)
        if found.problems:
            await self._give_back(text, old, " ".join(found.problems))
            return
        row = self.session.conversation
        try:
            if old is not None:
                message = self.session.edit(old.id, found.text)
            else:
                message = self.session.add_user_message(found.text, question.words if question else found.about)
        except RgmlxError as e:
            await self._give_back(text, old, f"This was not sent: {e}.")
            return
        replied = old is None or old.role != MODEL
        self.outbox.follow(self.sent_from, message.id, reply=replied)
        self.sent_from = message.id
        self.forget_draft(row)
        self.leave_position()
        if not replied:
            self.machine.enter(Activity.IDLE)
            await self.follow()
            await self.show_conversation()
            return
        if old is not None and (message.parent is None or not await self.transcript.cut(message.parent)):
            await self.show_conversation() if message.parent is not None else await self.transcript.clear()
        await self.transcript.jump()
        await self.transcript.add(message)
        await self.show_notices()  # of a file that is gone
        await self.begin(self.session.generate_reply)

    async def _give_back(self, text: str, editing: Stored | None, why: str) -> None:
        """What could not be sent is in the prompt again; what waits behind it is held until that is sent."""
        self.machine.enter(Activity.IDLE)
        self.hold(Held.NOT_SENT)
        self.take_up(text, editing)
        await self.transcript.notice(why)

    async def begin(self, start: Callable[[], Iterator[str]], continued: Stored | None = None) -> None:
        """Has a reply written, or one that is there gone on with."""
        try:
            pieces = start()
        except RgmlxError:
            self.machine.enter(Activity.IDLE)
            raise
        self.written, self._broke_off = self.session.running, False
        self.outbox.follow(self.sent_from, self.session.opened.at, self.written)
        self._keep_later()
        self.machine.enter(Activity.WRITING)
        self.leave_position()
        await self.transcript.begin_reply(continued)
        self.write(pieces)
        self.watch_work()

    # --- what the model has done ----------------------------------------------------------

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
        self.machine.moved = True
        if self._file is not None:
            await self._open_first(self._file)
        await self.proceed()

    async def _open_first(self, file: Path) -> None:
        """Goes on from the file that the chat was begun with, and has the question wait that came with it."""
        self._file, before = None, self.session.opened
        await self.actions.run("open", str(file))
        if self.session.opened is not before:
            self.ask_first()
        elif self._question is not None:  # it is not for this conversation
            question, self._question = self._question, None
            self.take_up(question.text)

    @on(Synced)
    async def _synced(self, event: Synced) -> None:
        if not self.session.in_sync and self.machine.model in ("", self.session.name):  # it has gone on meanwhile
            self.machine.moved = False
            self.session.expect(more=True)
            self.sync_again()
            return
        self.machine.enter(Activity.IDLE)
        self.machine.moved = self.machine.moved and not self.session.in_sync
        if self.position.text:
            took = f"{1000 * event.seconds:.0f} ms" if event.seconds < 1 else f"{event.seconds:.1f} s"
            self.position.reread = f"{event.tokens:,} tokens re-read, {took}"
        elif event.tokens:
            await self.transcript.notice(
                f"{event.tokens:,} tokens were read again in {event.seconds:.1f} s; from here on nothing is."
            )
        await self.mark(event.horizon)
        self.show_status()
        await self.proceed()

    @on(Ended)
    async def _ended(self, event: Ended) -> None:
        behind, run = self.activity is Activity.BEHIND, self.written
        if behind:
            await self._tell_of_end(run)
        else:
            head = self.session.head
            await self.transcript.end_reply(head if head is not None and head.role == MODEL else None)
            await self.mark(event.horizon)
        await self.show_notices()
        if not behind and head is not None and head.role != MODEL:
            await self.transcript.notice(
                f"Your message has no reply yet: {pressed('regenerate')} reads what is left of it and writes one, "
                f"{pressed('back')} leaves it out."
            )
        self.written = None
        if self._broke_off:  # the next one might as well
            self.hold(Held.BROKE_OFF)
        await self.set_free()  # only now: what comes next finds the transcript as it stays

    async def _tell_of_end(self, run: ReplyRun | None) -> None:
        """Says that a reply has ended that is not on the screen, and how one gets there."""
        reply, there = (run.head, run.opened) if run is not None else (None, None)
        if reply is not None and reply.role == MODEL:
            self.transcript.heard(reply)
        how = "has ended" if reply is not None and reply.role == MODEL and reply.closed else "was cut short"
        way = f"{pressed('forward')} or {pressed('tree')} goes there"
        if there is not None and there is not self.session.opened:
            draft = await asyncio.to_thread(self.drafts.read, there.row)
            many = len(draft.queue) if draft is not None else 0
            how += f": {many} wait there" if many > 1 else ": a message waits there" if many else ""
            way = f"{pressed('list')}, Enter opens it"
            self.ended_in = there.row.id if there.row is not None else None
        end = ". " if ": " in how else ": "
        self.notify(f"The reply in “{self.written_title}” {how}{end}{way}.", timeout=TOLD_SECONDS, markup=False)

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
            await self.transcript.notice(f"There is no model: /model chooses another, {pressed('quit')} leaves.")
            self._exit_code = 1
        self.machine.enter(Activity.IDLE if self.session.ready else Activity.UNLOADED)
        self.machine.moved = False
        self.hold(Held.NO_MODEL if event.of == "load" else Held.STOPPED)
        if event.of == "load":
            await self.proceed()
        self.show_status()

    def _heard_of_getting(self) -> None:
        """In the thread that gets a model."""
        getting = self.getter.current
        if getting is not None and (getting.over or getting.question is not None):
            self.post_message(Got())

    @on(Got)
    def _got(self) -> None:
        """A model that was got has ended, or asks something: said where the list of models is not there to show it."""
        getting = self.getter.current
        if getting is None or (news := (getting, getting.over, getting.question)) == self._told_of_getting:
            return
        self._told_of_getting = news
        shown = any(isinstance(screen, ModelsScreen) for screen in self.screen_stack)
        if getting.over and not getting.stopped:
            self.call_away("the model is here" if getting.model else "the download has ended", getting.seconds)
        if shown:
            return
        if getting.model:
            self.notify(f"{getting.name} is here: /model chooses it.", timeout=8, markup=False)
        elif getting.over and not getting.stopped:
            self.notify(sentence(getting.problem), severity="error", timeout=12, markup=False)
        elif getting.question is not None:
            self.notify(f"{getting.name} waits for an answer of yours: /model shows it.", timeout=8, markup=False)

    # --- the model is free ----------------------------------------------------------------

    async def proceed(self) -> None:
        """Does what is due, if the model is free for it."""
        match self.machine.due(self.session.name if self.session.ready else ""):
            case Step.LOAD:
                self.load_model(self.machine.model)
            case Step.SEEK:
                self.sync()
            case Step.SEND:
                await self._send_next()
            case Step.REST:
                pass

    async def _send_next(self) -> None:
        """Sends or does what waits, where it belongs."""
        item = self.outbox.next
        if item is None:
            if not self.busy:
                self.titles.begin(self.defaults.titles)
            return
        if item.editing is None and await self._went_to(item.parent):
            return
        self.outbox.take(item.number)
        self.sent_from = item.parent
        self._queue_changed()
        if not item.command:
            await self._send(item.text, item.editing, item.question)
            return
        await self.actions.run(item.command, "")
        if not self.busy:  # it was not done, and why was said
            self.hold(Held.NOT_SENT)

    @on(Titled)
    def _titled(self) -> None:
        with contextlib.suppress(RgmlxError):
            operations.refresh(self.session)
        self.show_status()

    async def _went_to(self, parent: int | None) -> bool:
        """Goes where something belongs that waits, if that is elsewhere; the model follows, and then it is done."""
        head = self.session.head
        if parent == (head.id if head is not None else None):
            return False
        try:
            await self.actions.arrive(self.navigation.checkout(parent))
        except RgmlxError as e:
            self.hold(Held.NOT_SENT)
            await self.transcript.notice(sentence(str(e)))
        return True

    async def follow(self) -> None:
        """Has the model go to the current message, which is another one now, when it is free."""
        self.machine.moved = True
        self.note_current()
        await self.proceed()

    async def set_free(self) -> None:
        """The model has done what it had to do."""
        self.machine.enter(Activity.IDLE)
        self.find_position()
        await self.proceed()
