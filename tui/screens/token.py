"""A dialog for what Hugging Face asks for before it gives a model: terms that are accepted, and a token.

Knows what is missing, and answers as `rgmlx.convert.obtain.Talk.access` has to. The token is never shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from rgmlx.system import browser
from rgmlx.system.formatting import sentence
from rgmlx.system.printable import printable

from ..fields import OneLine
from .dialogs import Box, leave

if TYPE_CHECKING:
    from rgmlx.convert.obtain import Access

TOKENS = "https://huggingface.co/settings/tokens"


class AskToken(ModalScreen[str | None]):
    """Dismisses with a token, "" to try again with the one that is there, or None: it was called off."""

    DEFAULT_CSS = "AskToken { align: center middle; } AskToken Static { margin-bottom: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "stop"),
        Binding("ctrl+o", "open", "open the page"),
    ]

    def __init__(self, missing: Access) -> None:
        super().__init__()
        self._missing = missing

    def compose(self) -> ComposeResult:
        missing = self._missing
        with Box():
            if missing.problem:
                yield Static(Content(printable(sentence(missing.problem))), classes="-problem")
            elif missing.owner:
                yield Static(
                    Content(
                        printable(
                            f"{missing.owner} has not been let in yet: accept the terms as {missing.owner}, and let the "
                            f"token read gated repositories ({TOKENS})."
                        )
                    ),
                    classes="-problem",
                )
            yield Static(Content(printable(f"{missing.repository} comes under terms, which are accepted once:")))
            yield Static(Content(printable(f"1. With an account of Hugging Face, accept them on  {missing.page}")))
            if missing.variable:
                yield Static(Content(printable(f"2. Press Enter: {missing.variable} has the token.")))
            else:
                yield Static(Content(printable(f"2. Make a token that may read, on  {TOKENS}  and paste it here:")))
                yield OneLine(password=True, placeholder=self._placeholder)
            with Horizontal():
                if browser.can_open():
                    yield Button("^o  Open it", id="open", compact=True)
                yield Button("Enter  Go on", id="ok", variant="primary", compact=True)
                yield Button("Esc  Stop", id="cancel", compact=True)

    @property
    def _has_one(self) -> bool:
        """Whether there is a token that may do once the terms are accepted."""
        return bool(self._missing.variable or (self._missing.owner and not self._missing.problem))

    @property
    def _placeholder(self) -> str:
        return "Enter alone takes the one that is here" if self._has_one else "hf_..., which is not shown"

    @on(Input.Submitted)
    @on(Button.Pressed, "#ok")
    def _accept(self, event: Input.Submitted | Button.Pressed) -> None:
        event.stop()
        fields = self.query(OneLine)
        given = fields.first().value.strip() if fields else ""
        if given or self._has_one:
            leave(self, given)
        else:
            self.notify("Paste the token first, or Esc stops.", timeout=3)

    @on(Button.Pressed, "#open")
    def action_open(self) -> None:
        browser.open_page(self._missing.page)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        leave(self, None)
