"""The prompt, or a text to read, in the user's editor.

Knows the prompt and the app that lends its terminal; which editor that is and what it is given is in `terminal.editor`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from rgmlx.errors import RgmlxError
from rgmlx.system.formatting import joined

from .actions import Actions
from .chatting import Chatting
from .prompt.prompt import Prompt
from .terminal import editor


class EditorActions:
    """What an editor is opened for. All else goes on meanwhile: a reply is written, a signal ends the chat."""

    def __init__(self, app: Chatting, actions: Actions) -> None:
        self.app, self._actions = app, actions

    async def edit_draft(self, _: str = "") -> None:
        """Has the text of the prompt written there; what an editor that failed has left changes nothing."""
        editor.command()  # what is missing is a sentence now
        self._begin(self._edit_draft())

    def show(self, text: str, suffix: str) -> None:
        """Has a text read there. Raises RgmlxError: there is no editor."""
        editor.command()
        self._begin(self._show(text, suffix))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Not in a handler of the app's: its messages would wait until the editor is left."""

        async def guarded() -> None:
            try:
                await work
            except RgmlxError as e:
                await self._actions.say(str(e))

        self.app.run_worker(guarded(), group="editor")

    async def _edit_draft(self) -> None:
        prompt = self.app.query_one(Prompt)
        before = prompt.whole
        after = (await editor.opened(self.app, before)).rstrip("\n")
        prompt.focus()
        if after == before.rstrip("\n"):
            return
        since = prompt.whole  # what was sent and could not be is there again, before what there was
        new = since.removesuffix(before).rstrip("\n") if since != before else ""
        prompt.replace_draft(joined(new, after) if new else after)

    async def _show(self, text: str, suffix: str) -> None:
        after = await editor.opened(self.app, text, suffix)
        if after.rstrip("\n") != text.rstrip("\n"):
            self.app.notify("What you changed there is not kept: e edits a message.", timeout=4)
