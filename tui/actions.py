"""What each command does to the conversation on the screen. One method a command, by its name.

Knows the app and the session; screens that ask for more are in `screens` and opened by `asking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rgmlx.errors import ChatError, RgmlxError
from rgmlx.store import MODEL, USER, Message
from rgmlx.text import printable

from . import deeds
from .asking import Asking
from .clipboard import code_blocks, copy
from .commands import BY_NAME, Command, takes_nothing, unknown
from .prompt import Prompt
from .words import sentence


class Actions(Asking):
    """The commands."""

    async def run(self, name: str, argument: str) -> None:
        """Does what a command says; what it can't do is a sentence, and the prompt keeps its text."""
        command = BY_NAME.get(name)
        prompt = self.app.query_one(Prompt)
        if command is None:
            await self.say(unknown(name))
            return
        if self.app.busy and not command.while_busy and not (command.travels and self.app.busy == "standing"):
            self.app.refuse()
            return
        if argument and not command.argument:
            self.app.notify(takes_nothing(name), timeout=4, markup=False)
            return
        if prompt.text.startswith(f"/{name}"):
            prompt.accept(prompt.whole)
        if command.argument and not command.argument.startswith("[") and not argument:
            prompt.load_text(f"/{name} ")
            self.app.notify(f"/{name} needs {command.argument}: write it after the command.", timeout=4, markup=False)
            return
        method = getattr(self, {"import": "import_", "continue": "continue_"}.get(name, name))
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
        if self.app.editing is not None:
            self.app.editing = None
            self.app.query_one(Prompt).load_text("")
            self.app.show_status()
        else:
            self.session.stop()

    async def regenerate(self) -> None:
        if await self._ready():
            head = deeds.message_before_reply(self.session)
            await self._cut_to(head.id)
            await self.app.begin(self.session.reply)

    async def continue_(self) -> None:
        await self._go_on(endless=False)

    async def endless(self) -> None:
        await self._go_on(endless=True)

    async def _go_on(self, endless: bool) -> None:
        head = self.session.head
        if not await self._ready():
            return
        if head is None:
            await self.say("There is nothing to go on with: send a message first.")
        elif head.role == USER:
            await self.app.begin(lambda: self.session.reply(endless=endless))
        elif head.parent is None or not await self.app.transcript.cut(head.parent):
            await self.say("Its message is not at hand: go there with /tree first.")
        else:
            await self.app.begin(lambda: self.session.go_on(endless=endless), head.text)

    async def edit(self) -> None:
        self.edit_message(deeds.last_message(self.session, USER))

    async def fix(self) -> None:
        self.edit_message(deeds.last_message(self.session, MODEL))

    def edit_message(self, message: Message) -> None:
        """Puts a message's text into the prompt; what is sent then takes its place on a new branch."""
        self.app.editing = message
        self.app.query_one(Prompt).load_text(message.text)
        self.app.show_status()

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
        self.app.place = self.where(message)
        self.app.stand()
        if message is None or not await self.app.transcript.cut(message):
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
        self.app.notify(printable(await asyncio.to_thread(copy, self.app, text)), markup=False, timeout=3)

    # --- conversations --------------------------------------------------------------------

    async def new(self) -> None:
        self.session.begin()
        await self.show()

    async def rename(self, title: str) -> None:
        deeds.rename(self.session, title)
        self.app.show_status()

    async def archive(self) -> None:
        deeds.archive(self.session)
        await self.show()
        self.app.notify("It is kept in the archive: Ctrl+O lists it.", timeout=4)

    async def delete(self) -> None:
        deeds.delete(self.session)
        await self.show()
        self.app.notify("Deleted. /undelete brings it back.", timeout=6)

    async def undelete(self) -> None:
        await self.open_conversation(deeds.undelete(self.session))

    # --- settings -------------------------------------------------------------------------

    async def set(self, words: str) -> None:
        self.app.notify(deeds.set_one(self.session, words), timeout=3, markup=False)

    async def system(self, text: str) -> None:
        await self.say(deeds.system(self.session, text))

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
        await self.say("\n".join(deeds.describe(self.session)))

    async def quit(self) -> None:
        await self.app.leave()

    # --- inside ---------------------------------------------------------------------------

    async def _ready(self) -> bool:
        if not self.session.ready:
            await self.say(f"{self.session.name} is not loaded: choose a model with /model.")
        return self.session.ready

    async def _cut_to(self, message: int) -> None:
        if not await self.app.transcript.cut(message):
            await self.app.show_conversation()
        await self.app.transcript.jump()
