"""What each command does to the conversation on the screen. One method a command, by its name.

Knows the app and the session; screens that ask for more are in `screens` and opened by `dialog_actions`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rgmlx.errors import ChatError, RgmlxError
from rgmlx.store import MODEL, USER, Message
from rgmlx.system.formatting import sentence

from . import operations
from .activity import Activity, Verdict, verdict
from .commands import BY_NAME, Command, named, takes_nothing, unknown
from .dialog_actions import DialogActions
from .prompt.outbox import Waiting
from .prompt.prompt import Prompt
from .terminal.clipboard import code_blocks

AT_THE_END = "At the end of this branch"


class Actions(DialogActions):
    """The commands."""

    async def run(self, name: str, argument: str, typed: str = "") -> None:
        """Does what a command says; what it can't do is a sentence, and the prompt has its text again.

        Args:
            typed: the text that was submitted; "" for a key or a choice.
        """
        command = BY_NAME.get(named(name))
        prompt = self.app.query_one(Prompt)
        if command is None:
            self.app.take_up(typed)
            await self.say(unknown(name))
            return
        match verdict(command.needs, self.app.activity):
            case Verdict.REFUSE if self.app.activity is Activity.UNLOADED:
                self.app.take_up(typed)
                await self.say(self.app.refusal)
                return
            case Verdict.REFUSE:
                self.app.take_up(typed)
                self.app.notify(self.app.refusal, timeout=2, markup=False)
                return
            case Verdict.QUEUE if not argument:
                if self.app.queue(Waiting(command=name)):
                    prompt.accept(typed)
                else:
                    self.app.take_up(typed)
                return
            case _:
                pass
        if argument and not command.argument:
            self.app.take_up(typed)
            self.app.notify(takes_nothing(name), timeout=4, markup=False)
            return
        prompt.accept(typed)
        if command.argument and not command.argument.startswith("[") and not argument:
            prompt.replace_draft(f"/{name} ")
            self.app.notify(f"/{name} needs {command.argument}: write it after the command.", timeout=4, markup=False)
            return
        method = getattr(self, {"import": "import_", "continue": "continue_"}.get(command.name, command.name))
        try:
            result = method(argument) if command.argument else method()
            if asyncio.iscoroutine(result):
                await result
        except RgmlxError as e:
            await self.say(str(e))

    async def choose(self, command: Command) -> None:
        """Runs a command that was chosen from a list."""
        await self.run(command.name, "")

    # --- replies --------------------------------------------------------------------------

    async def stop(self) -> None:
        if self.app.take_back():
            return
        if self.app.editing is not None:
            self.app.leave_edit()
        else:
            self.session.stop()

    async def regenerate(self) -> None:
        head = operations.message_before_reply(self.session)
        await self._cut_to(head.id)
        await self.app.begin(self.session.reply)

    async def continue_(self) -> None:
        await self._go_on(endless=False)

    async def endless(self) -> None:
        await self._go_on(endless=True)

    async def _go_on(self, endless: bool) -> None:
        head = self.session.head
        if head is None:
            await self.say("There is nothing to go on with: send a message first.")
        elif head.role == USER:
            await self.app.begin(lambda: self.session.reply(endless=endless))
        elif head.parent is None or not await self.app.transcript.cut(head.parent):
            await self.say("Its message is not at hand: go there with /tree first.")
        else:
            await self.app.begin(lambda: self.session.go_on(endless=endless), head.text)

    async def edit(self) -> None:
        self.edit_message(operations.last_message(self.session, USER))

    async def fix(self) -> None:
        self.edit_message(operations.last_message(self.session, MODEL))

    def edit_message(self, message: Message) -> None:
        """Puts a message's text into the prompt; what is sent then takes its place on a new branch."""
        self.app.begin_edit(message.text, message)

    # --- time travel ----------------------------------------------------------------------

    async def back(self) -> None:
        await self._travel(self.trail.back)

    async def forward(self) -> None:
        await self._travel(self.trail.forward)

    async def previous(self) -> None:
        await self._travel(lambda: self.trail.sibling(-1))

    async def next(self) -> None:
        await self._travel(lambda: self.trail.sibling(1))

    async def _travel(self, step: Callable[[], int | None]) -> None:
        try:
            message = step()
        except ChatError as e:  # nothing there: said beside, not in the conversation
            self.app.notify(sentence(str(e)), timeout=2)
            return
        await self.arrive(message)

    async def arrive(self, message: int | None) -> None:
        """One stands at another message now; the transcript shows what was said up to there."""
        place = self.where()
        self.app.show_place(place or AT_THE_END, further=bool(place))
        await self.app.follow()  # at once: whoever looks next finds the model on its way
        if message is None or self.session.at_running or not await self.app.transcript.cut(message):
            await self.app.show_conversation()
        self.app.show_status()

    # --- copying --------------------------------------------------------------------------

    async def copy(self, what: str) -> None:
        head, store = self.session.head, self.session.store
        line = store.messages.line(head.id if head else None, 2)
        last = [store.messages.get(number) for number, _ in line]
        if what.startswith("code"):
            blocks = [b for m in last if m.role == MODEL for b in code_blocks(m.text)]
            number = what.removeprefix("code").strip() or str(len(blocks))
            if not number.isdecimal() or not 0 < int(number) <= len(blocks):
                have = f"there are {len(blocks)}" if blocks else "there is none"
                await self.say(f"The last reply has no such code block: {have}.")
                return
            text = blocks[int(number) - 1]
        elif what == "all" and self.session.conversation is not None:
            text = store.exchange.markdown(self.session.conversation.id)
        elif what in ("", "mine"):
            role = USER if what else MODEL
            text = next((m.text for m in last if m.role == role), "")
        else:
            await self.say("/copy copies the last reply; there is also /copy code, /copy mine and /copy all.")
            return
        await self.copy_text(text)

    async def copy_text(self, text: str) -> None:
        """Puts a text on the clipboard, and says so."""
        await self.app.copy_text(text)

    # --- conversations --------------------------------------------------------------------

    async def new(self) -> None:
        self.session.begin()
        await self.show()

    async def rename(self, title: str) -> None:
        operations.rename(self.session, title)
        self.app.show_status()

    async def archive(self) -> None:
        self._refuse_if_written()
        operations.archive(self.session)
        await self.show()
        self.app.notify("It is kept in the archive: Ctrl+O, then Ctrl+G lists it.", timeout=4)

    async def delete(self) -> None:
        self._refuse_if_written()
        operations.delete(self.session)
        await self.show()
        self.app.notify("Deleted. /undelete brings it back.", timeout=6)

    async def undelete(self) -> None:
        await self.open_conversation(operations.undelete(self.session))

    # --- settings -------------------------------------------------------------------------

    async def set(self, words: str) -> None:
        told = operations.set_one(self.session, words)
        if "\n" in told:
            await self.app.transcript.notice(told)
        else:
            self.app.notify(told, timeout=3, markup=False)

    async def system(self, text: str) -> None:
        await self.say(operations.system(self.session, text))

    async def theme(self, name: str) -> None:
        from .themes import NAMES

        names = list(NAMES)
        if not name:
            name = names[(names.index(self.app.theme) + 1) % len(names)] if self.app.theme in names else names[0]
        if name not in names:
            await self.say(f"There is no theme '{name}': there are {', '.join(names)}.")
            return
        self.app.theme = name
        self.remember(theme=name)

    async def info(self) -> None:
        await self.say("\n".join(operations.describe(self.session)))

    async def quit(self) -> None:
        await self.app.leave()

    # --- inside ---------------------------------------------------------------------------

    def _refuse_if_written(self) -> None:
        row = self.session.conversation
        if row is not None and self.session.writes_in(row.id):
            raise ChatError("a reply is being written further on in this conversation: Esc stops it")

    async def _cut_to(self, message: int) -> None:
        if not await self.app.transcript.cut(message):
            await self.app.show_conversation()
        await self.app.transcript.jump()
