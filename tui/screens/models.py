"""The picker of models: what is here, what can be had, what others have published, and one that is on its way.

Looks at disks in threads, through `rgmlx.weights.catalog`. What is got is got by `getting.Getter`, which goes on when this
screen is left: here it is shown, stopped and answered. Does not load a model: it answers with a name for `rgmlx.load`, or None.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, ProgressBar, Static

from rgmlx.errors import RgmlxError
from rgmlx.system import debug_log
from rgmlx.system.formatting import sentence
from rgmlx.system.formatting import size as amount
from rgmlx.system.paths import expanded
from rgmlx.system.printable import printable
from rgmlx.weights.catalog import Installed, examine, list_models
from rgmlx.weights.hub import DEMO, is_repository
from rgmlx.weights.search import Published

from ..fields import OneLine
from ..getting import Deletion, Getter, Getting
from .dialogs import Confirm
from .model_pace import Pace
from .model_rows import COLUMNS, OFFERED, Row, rows
from .model_search import HubSearch
from .token import AskToken

MAX_ROWS = 200
_WIDE = 90  # columns of a screen for a table that says everything
_NARROW = 4  # columns of the table on one that is narrower
TERMS = (
    "Enter on google/recurrentgemma-2b-it gets it: it shows Google's terms, asks for a token of Hugging Face, downloads 5.4 GB "
    "and makes 1.5 GB of 4 bits of them meanwhile. The chat goes on while it comes, and c stops it: what is here is kept.\n"
    "A new model reads the conversation again from the beginning."
)
SHORT_TERMS = (
    "Enter on google/... gets it in 4 bits: terms, token, download. The chat goes on while it comes. A new model reads the "
    "conversation again."
)
"""The same for low screens."""


class _Table(DataTable[Text]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "choose"),
        Binding("tab", "app.focus_next", "type a name"),
    ]


class _Name(OneLine):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "take this name"),
        Binding("tab", "screen.focus_table", "the list"),
        Binding("down,up", "screen.focus_table", "the list", show=False),
    ]


class ModelsScreen(Screen[str | None]):
    """Asks for a model; dismisses with its name, or with None."""

    DEFAULT_CSS = """
    ModelsScreen {
        background: $surface;
        #title { padding: 0 1; text-style: bold; color: $primary; height: 1; }
        _Table { height: 1fr; min-height: 4; background: $surface; }
        #about { padding: 0 1; color: $text-muted; height: auto; max-height: 3; }
        _Name { margin: 0 1; border: round $accent; }
        #said { padding: 0 1; height: auto; max-height: 5; }
        #said.-error { color: $text-error; }
        #download { height: 1; padding: 0 1; display: none; }
        #download.-on { display: block; }
        ProgressBar { width: 1fr; }
        ProgressBar Bar { width: 1fr; }
        #amount { width: auto; padding-left: 1; }
        #terms { padding: 0 1; color: $text-muted; height: auto; border-top: solid $primary 30%; }
        #short-terms { padding: 0 1; color: $text-muted; height: auto; display: none; }
        &.-low {
            #terms { display: none; }
            #short-terms { display: block; }
            _Name { border: none; height: 1; }
        }
    }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (26, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave"),
        Binding("c", "cancel", "stop it"),
        Binding("s", "search", "search"),
        Binding("d", "get", "get it"),
    ]

    @dataclass
    class Listed(Message):
        """The disk was looked through."""

        models: Sequence[Installed]
        then: str | None  # the name that this was done for

    @dataclass
    class Examined(Message):
        """A directory was looked at: it can be taken, or why not."""

        name: str
        problem: str

    @dataclass
    class Found(Message):
        """Hugging Face was asked."""

        models: Sequence[Published]
        problem: str

    class Changed(Message):
        """The model that is on its way has something to say, to show or to ask, or has ended."""

    def __init__(self, current: str, getter: Getter, wanted: str = "") -> None:
        """
        Args:
            current: the name of the model in use, which is marked.
            getter: gets models, also while this screen is not there.
            wanted: the name of the model that the cursor stands at first; "": of the one in use.
        """
        super().__init__()
        self._current, self._wanted = current, wanted or current
        self._rows: list[Row] = []
        self._wide = True
        self._getter = getter
        self._getting: Getting | None = None  # what is shown: it may have ended
        self._asked: object = None  # the question that is on the screen
        self._pace = Pace()
        self._models: Sequence[Installed] = ()
        self._found: Sequence[Published] = ()
        self._search = HubSearch()

    def compose(self) -> ComposeResult:
        yield Static("Models", id="title")
        yield _Table(cursor_type="row", zebra_stripes=False)
        yield Static(id="about")
        yield _Name(placeholder="or type a directory, or owner/name of Hugging Face")
        yield Static(id="said")
        with Horizontal(id="download"):
            yield ProgressBar(show_eta=False, show_percentage=False)
            yield Static(id="amount")
        yield Static(Content(TERMS), id="terms")
        yield Static(Content(SHORT_TERMS), id="short-terms")
        yield Footer()

    def on_mount(self) -> None:
        self._table.focus()
        self._say("looking for models ...")
        self._list(None)
        self._getter.listen(self._heard)
        if self._getter.busy:
            self._show_getting()

    def on_resize(self, event: events.Resize) -> None:
        if (wide := event.size.width >= _WIDE) != self._wide:
            self._wide = wide
            at = self._table.cursor_row
            self._fill()
            self._table.move_cursor(row=at)

    def on_unmount(self) -> None:
        self._getter.leave(self._heard)
        self._search.end()

    # --- threads: they touch no widget ----------------------------------------------------

    @work(thread=True, group="list")
    def _list(self, then: str | None) -> None:
        self.post_message(self.Listed(list_models(), then))

    @work(thread=True, group="examine", exclusive=True)
    def _examine(self, name: str) -> None:
        try:
            name = os.path.abspath(expanded(name))  # a conversation keeps it, and is opened from anywhere
            problem = examine(Path(name)).problem
        except RgmlxError as e:
            problem = str(e)
        except Exception as e:
            debug_log.caught(e, "a directory can't be looked at")
            problem = f"{name} can't be looked at ({type(e).__name__}: {e}): name another directory"
        self.post_message(self.Examined(name, problem))

    def _heard(self) -> None:
        self.post_message(self.Changed())

    # --- what they found ------------------------------------------------------------------

    @on(Listed)
    def _listed(self, event: Listed) -> None:
        self._models = event.models
        count = self._show_rows(event.then or (self._chosen.name if self._chosen else self._wanted))
        if count > MAX_ROWS:
            self._say(f"{MAX_ROWS} of {count} models are shown: type the name of another one below")
        elif not event.then and not self._getter.busy:
            self._say("")

    def _show_rows(self, chosen: str) -> int:
        """Shows what is known of by now, with the cursor at one of them; how many there would be."""
        found = rows(self._models, self._found)
        self._rows = found[:MAX_ROWS]
        self._fill()
        self._table.move_cursor(row=next((i for i, r in enumerate(self._rows) if r.answers_to(chosen)), 0))
        return len(found)

    @on(Found)
    def _was_found(self, event: Found) -> None:
        self._search.end()
        self.refresh_bindings()
        if event.problem:
            self._say(sentence(event.problem), error=True)
            return
        known = {row.name for row in self._rows}
        self._found = event.models
        chosen = self._chosen.name if self._chosen else self._wanted
        self._show_rows(chosen)
        new = [row.name for row in self._rows if row.name not in known]
        if new:
            self._show_rows(new[0] if chosen == self._wanted else chosen)
            self._say(f"{len(new)} more model{'s' * (len(new) != 1)} found that can be loaded: Enter gets one.")
        else:
            self._say("No other model was found that can be loaded.")

    @on(Examined)
    def _was_examined(self, event: Examined) -> None:
        if event.problem:
            self._say(sentence(event.problem), error=True)
        else:
            self.dismiss(event.name)

    # --- the one that is on its way -------------------------------------------------------

    @on(Changed)
    def _changed(self) -> None:
        getting = self._getting
        if getting is None or not self.is_attached:
            return
        if getting.over:
            self._over(getting)
            return
        if getting.question is not None:
            self._ask(getting)
        if not getting.stopping:
            self._say("\n".join([*getting.lines][-3:]) or f"getting {getting.name} ...")
        self._progress(getting)

    def _ask(self, getting: Getting) -> None:
        """Shows its question, once."""
        question = getting.question
        if question is self._asked or question is None:
            return
        self._asked = question

        def answered(given: object) -> None:
            if given is None and not isinstance(question, Deletion):
                getting.stop()
            elif getting.question is question:
                getting.answer(given)

        if isinstance(question, Deletion):
            self.app.push_screen(
                Confirm(
                    f"Delete the 16-bit files of {question.repository}? {amount(question.size)} are free again then, and "
                    "the chat does not need them.",
                    "Delete",
                    "Keep",
                ),
                answered,
            )
        else:
            self.app.push_screen(AskToken(question), answered)

    def _progress(self, getting: Getting) -> None:
        self.query_one(ProgressBar).update(total=getting.total or None, progress=getting.done)
        self.query_one("#amount", Static).update(Content(self._pace.said(getting)))

    def _over(self, getting: Getting) -> None:
        self._getting = None
        self.query_one("#download").remove_class("-on")
        self.query_one(_Name).disabled = False
        self.refresh_bindings()
        if getting.model and self.app.screen is self:
            self.dismiss(getting.model)  # what it was got for
            return
        if getting.model:  # something is open above
            self._say(f"{getting.name} is here: Enter chooses it.")
        else:
            self._say(sentence(getting.problem), error=not getting.stopped)
        self._list(getting.model or getting.name)

    # --- keys and clicks ------------------------------------------------------------------

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        if (row := self._chosen) is None:
            return
        if row.to_download:
            self._begin(row.name)
        elif row.problem:
            self._say(f"{row.cells[0]} can't be chosen: {row.problem}.", error=True)
        else:
            self.dismiss(row.name)

    @on(DataTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self.refresh_bindings()
        row = self._chosen
        about = ""
        if row is not None:
            place = row.name if row.path is None or row.name == DEMO else str(row.path)
            about = " · ".join(
                x for x in ("in use now" if row.answers_to(self._current) else "", place, row.problem) if x
            )
        self.query_one("#about", Static).update(Content(printable(about)))

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        if not name:
            self._table.focus()
            return
        row = next((r for r in self._rows if r.name == name), None)
        if row is not None and not row.to_download and not row.problem:
            self.dismiss(row.name)
        elif is_repository(name):
            self._begin(name)
        else:
            self._say("looking ...")
            self._examine(name)

    @on(Input.Changed)
    def _typing(self) -> None:
        self._say("")

    def action_get(self) -> None:
        if self._chosen is not None and self._chosen.to_download:
            self._begin(self._chosen.name)

    def action_search(self) -> None:
        """Asks Hugging Face; nothing else here does, before a model is chosen."""
        if not self._search.busy:
            self._search.begin(lambda models, problem: self.post_message(self.Found(models, problem)))
            self.refresh_bindings()
            self._say("asking Hugging Face for models ...")

    def action_cancel(self) -> None:
        if self._getting is not None:
            self._getting.stop()
            self._say("stopping ...")
            self.refresh_bindings()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_focus_table(self) -> None:
        self._table.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Shows the keys that do something now."""
        if action == "get":
            return not self._getter.busy and self._chosen is not None and self._chosen.to_download
        if action == "cancel":
            return self._getting is not None and not self._getting.stopping
        if action == "search":
            return not self._search.busy
        return super().check_action(action, parameters)

    # --- the parts ------------------------------------------------------------------------

    @property
    def _table(self) -> _Table:
        return self.query_one(_Table)

    @property
    def _chosen(self) -> Row | None:
        at = self._table.cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    def _fill(self) -> None:
        table = self._table
        table.clear(columns=True)
        columns = len(COLUMNS) if self._wide else _NARROW
        for label, justify in COLUMNS[:columns]:
            table.add_column(Text(label, justify=justify))
        for row in self._rows:
            table.add_row(*row.drawn(columns, current=row.answers_to(self._current)))

    def _begin(self, repository: str) -> None:
        if self._getter.busy:
            name = self._getter.current.name if self._getter.current else ""
            self.notify(f"{name} is on its way: c stops that first.", timeout=4, markup=False)
            return
        self._getter.begin(OFFERED.get(repository, repository))
        self._show_getting()

    def _show_getting(self) -> None:
        """Shows the one that is on its way."""
        self._getting = self._getter.current
        self._pace.restart()
        self.query_one(_Name).disabled = True
        self._table.focus()  # where d and c are keys
        self.query_one("#download").add_class("-on")
        self.refresh_bindings()
        self._heard()

    def _say(self, sentence: str, error: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.set_class(error, "-error")
        said.display = bool(sentence)
        said.update(Content(printable(sentence)))
