"""What each command does to the conversation on the screen. One method a command, by its name.

Knows the app and the session; screens that ask for more are in `screens` and opened by `asking`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, Message
from rgmlx.text import printable

from . import places, settings
from .asking import Asking
from .clipboard import code_blocks, copy
from .commands import BY_NAME, Command, unknown
from .prompt import Prompt

if TYPE_CHECKING:
    from .app import ChatApp

_OFF = ("default", "none", "off", "")


class Actions(Asking):
    """The commands.

    Attributes:
        tip: how far this branch goes, while one stands further up; else None.
    """

    def __init__(self, app: ChatApp) -> None:
        super().__init__(app)
        self.tip: int | None = None

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
        if prompt.text.startswith(f"/{name}"):
            prompt.accept(prompt.whole)
        if command.argument and not command.argument.startswith("[") and not argument:
            prompt.load_text(f"/{name} ")
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
        head = self.session.head
        if head is None:
            await self.say("There is nothing to reply to: send a message first.")
            return
        if head.role == MODEL:
            if head.parent is None:
                await self.say("This reply has no message before it: there is nothing to reply to.")
                return
            head = self.session.go(head.parent)
        assert head is not None
        if await self._ready():
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
        await self._edit(USER)

    async def fix(self) -> None:
        await self._edit(MODEL)

    async def _edit(self, role: str) -> None:
        message = self.session.head
        if message is not None and message.role != role:
            message = None if message.parent is None else self.session.store.messages.get(message.parent)
        if message is None:
            await self.say("There is no such message yet.")
        else:
            self.edit_message(message)

    def edit_message(self, message: Message) -> None:
        """Puts a message's text into the prompt; what is sent then takes its place on a new branch."""
        self.app.editing = message
        self.app.query_one(Prompt).load_text(message.text)
        self.app.show_status()

    # --- time travel ----------------------------------------------------------------------

    async def back(self) -> None:
        head = self.session.head
        if head is None:
            self.app.notify("This is the beginning.", timeout=2)
            return
        if self.tip is None:
            self.tip = self.session.store.messages.tip(head.id)
        await self.travel(places.earlier(self.session.store, head))

    async def forward(self) -> None:
        head = self.session.head
        if self.tip is None and head is not None:
            self.tip = self.session.store.messages.tip(head.id)
        if self.tip is None:
            return
        following = places.later(self.session.store, head.id if head else None, self.tip)
        if following is None:
            self.app.notify("This is the end of this branch.", timeout=2)
        else:
            await self.travel(following)

    async def previous(self) -> None:
        await self._sibling(-1)

    async def next(self) -> None:
        await self._sibling(1)

    async def _sibling(self, by: int) -> None:
        at = self.session.head
        while at is not None and at.siblings < 2:  # the nearest fork
            at = None if at.parent is None else self.session.store.messages.window(at.parent, 1, chars=1)[0]
        other = None if at is None else places.sibling(self.session.store, at, by)
        if other is None:
            self.app.notify("There is no other answer on that side.", timeout=2)
        else:
            await self.travel(other, tip=other)

    async def travel(self, message: int | None, tip: int | None = None) -> None:
        """Stands at another message; the transcript shows what was said up to there."""
        tip = tip or self.tip
        self.session.go(message)
        self.app.place = ""
        if tip is not None and message != tip:
            steps = places.steps(self.session.store, message, tip)
            self.app.place = f"Reply {steps.here} of {steps.of}  ·  Alt+↓ forward  ·  what you send begins a branch"
        elif message is not None:
            self.app.place = "At the end of this branch"
        self.tip = tip
        if message is None or not await self.app.transcript.cut(message):
            await self.app.show_conversation()
        self.app.show_status()
        self.app.stand()

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
        self.session.store.conversations.rename(self._conversation(), title)
        self._again()

    async def archive(self) -> None:
        self.session.store.conversations.archive(self._conversation())
        await self.new()
        self.app.notify("It is kept in the archive: Ctrl+O lists it.", timeout=4)

    async def delete(self) -> None:
        self.session.store.conversations.delete(self._conversation())
        await self.new()
        self.app.notify("Deleted. /undelete brings it back.", timeout=6)

    async def undelete(self) -> None:
        gone = self.session.store.conversations.deleted()
        if not gone:
            await self.say("Nothing was deleted.")
            return
        self.session.store.conversations.undelete(gone[0].id)
        await self.open_conversation(gone[0].id)

    def _again(self) -> None:
        """Reads what the store knows of the conversation again."""
        if self.session.conversation is not None:
            self.session.conversation = self.session.store.conversations.get(self.session.conversation.id)
        self.app.show_status()

    # --- settings -------------------------------------------------------------------------

    async def set(self, words: str) -> None:
        name, _, value = words.replace("=", " ").partition(" ")
        name, value = name.strip().replace("-", "_"), value.strip()
        if name not in settings.SAMPLING:
            await self.say(f"There is no setting '{name}': there are {', '.join(settings.SAMPLING)}.")
            return
        number = settings.parse(name, "" if value in _OFF else value)
        self.session.set_settings({name: number})
        self.app.notify(f"{name}: {'as the model has it' if number is None else number}", timeout=3)

    async def system(self, text: str) -> None:
        if not text:
            await self.say(f"System text: {self.session.system}" if self.session.system else "There is no system text.")
            return
        self.session.set_system(None if text in _OFF else text)
        await self.say("The assistant will follow this text in this conversation.")

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
        await self.say(self.describe())

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
