"""The guide: what this is, the demo, how to get a real model, the keys. One page, no state.

A letter that is typed is none of its keys: it is for the prompt below, and leaves the guide.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Footer, Markdown

from rgmlx.shell import typed

from ..commands import pressed
from ..terminal import keys
from .help import HelpScreen

DEMO, MODELS = "demo", "models"
"""The answers."""
GET = "google/recurrentgemma-2b-it"
"""The model that "Get 2B" is about."""

_PAGE = """\
## What this is

A chat with RecurrentGemma on your own computer. The model remembers a conversation in a memory of fixed size: however \
long you talk, it takes no more room and gets no slower. The price is that old details fade. Nothing you write leaves \
this computer, and every conversation is kept when you leave.

## Try it now

Griff, a very small model, comes with the program. It tells short stories and knows easy facts, and is here so that you \
can see how everything works. Don't ask it for real work.

## Get a real model

RecurrentGemma 2B and 9B are Google's. They cost nothing, and come under the Gemma terms. **Get 2B** below does it all \
(later: `/model`). Have two things ready:

1. The terms, accepted with an account: https://huggingface.co/google/recurrentgemma-2b-it
2. A token that may read: https://huggingface.co/settings/tokens

It asks for the token, downloads 5.4 GB and makes 4 bits of them as they come; the chat goes on meanwhile. It can be \
stopped at any time, and goes on from there. In 4 bits, 2B takes 1.54 GB on the disk and 9B 4.91 GB. In a terminal the \
same is `{get}`.

## Keys

- **Enter** sends your message, **{newline}** starts a new line in it
- **Esc** stops a reply; what was written stays
- **{regenerate}** another reply
- **{new}** a new conversation
- **{quit}** leaves
"""


def page() -> str:
    """The text, with commands and keys as they work here."""
    own = {name: pressed(name) for name in ("regenerate", "new", "quit")}
    return _PAGE.format(get=typed("rgmlx get 2b"), newline=keys.shown(*keys.NEW_LINE), **own)


class GuideScreen(Screen[str | None]):
    """Dismisses with "demo" (talk to the embedded model), "models" (the picker is wanted) or None."""

    DEFAULT_CSS = """
    GuideScreen {
        background: $surface;
        VerticalScroll { padding: 0 1; height: 1fr; }
        Markdown { max-width: 100; background: $surface; padding: 0; }
        MarkdownH2 { margin: 1 0 0 0; }
        Horizontal { height: auto; padding: 0 1; }
        Button { margin: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(None)", "to the chat"),
        Binding("f1,question_mark", "help", "help", key_display="f1"),
        Binding("up", "read(-1)", "scroll", key_display="\u2191\u2193"),
        Binding("down", "read(1)", "read on", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("pagedown,space", "page(1)", "a page down", show=False),
        Binding("left", "app.focus_previous", "the other button", show=False),
        Binding("right", "app.focus_next", "the other button", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):  # its keys are the screen's, wherever the focus is
            yield Markdown(page(), open_links=False)  # a browser over ssh would take the terminal
        with Horizontal():
            yield Button("Talk to Griff now (demo)", id=DEMO, variant="primary", compact=True)
            yield Button("Get 2B", id=MODELS, compact=True)
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(f"#{DEMO}").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id)

    def takes(self, key: str) -> bool:
        """Whether a key that types something has a meaning here."""
        return key in self._bindings.key_to_bindings

    def action_answer(self, answer: str | None) -> None:
        self.dismiss(answer)

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen())

    def action_read(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=2 * lines, animate=False)

    def action_page(self, pages: int) -> None:
        page = self.query_one(VerticalScroll)
        page.scroll_relative(y=pages * max(1, page.size.height - 1), animate=False)
