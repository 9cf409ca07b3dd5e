"""The picker of models: what is here, what can be had, a download that can be stopped.

Looks at disks and the network in threads, through `rgmlx.weights.catalog` and `rgmlx.weights.download`. Does not load a model: it
answers with a name for `rgmlx.load`, or None.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
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
from rgmlx.shell import typed
from rgmlx.system import debug_log
from rgmlx.system.formatting import sentence
from rgmlx.system.paths import expanded
from rgmlx.system.printable import printable
from rgmlx.weights.catalog import Installed, examine, list_models
from rgmlx.weights.download import Download
from rgmlx.weights.hub import DEMO, is_repository
from rgmlx.weights.parts import Cancelled

from ..fields import OneLine
from .model_rows import COLUMNS, Row, rows

MAX_ROWS = 200
_WIDE = 90  # columns of a screen for a table that says everything
_NARROW = 4  # columns of the table on one that is narrower
_REPORTS = 0.2  # seconds between two reports of a download
_SPEED = 5.0  # seconds that its speed is measured over


def terms() -> str:
    """How to get a real model, with commands as they can be typed here."""
    return (
        "google/recurrentgemma-2b-it and 9b-it are gated: accept the Gemma terms on "
        f"huggingface.co/google/recurrentgemma-2b-it, make a read token at huggingface.co/settings/tokens, and run  {_login()}\n"
        f"4 bits, a third of the size:  {typed('rgmlx convert')} --model google/recurrentgemma-2b-it "
        "--mlx-path ~/models/2b-it-4bit\nA new model reads the conversation again from the beginning."
    )


def short_terms() -> str:
    """The same for low screens."""
    return (
        "google/... are gated: accept the Gemma terms on their page on huggingface.co, make a token, run  "
        f"{_login()}. 4 bits:  {typed('rgmlx convert')} --model google/recurrentgemma-2b-it. "
        "A new model reads the conversation again."
    )


def _login() -> str:
    return typed("rgmlx login").replace(" ", "\u00a0")  # in one line


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
        Binding("d", "download", "download"),
        Binding("c", "cancel", "stop it"),
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
    class Progress(Message):
        """So many bytes are here."""

        done: int
        total: int

    @dataclass
    class Over(Message):
        """A download ended, so many seconds after it began; the sentence says how, and is empty when the model is here."""

        repository: str
        sentence: str
        stopped: bool = False
        seconds: float = 0.0

    def __init__(self, current: str, wanted: str = "") -> None:
        """
        Args:
            current: the name of the model in use, which is marked.
            wanted: the name of the model that the cursor stands at first; "": of the one in use.
        """
        super().__init__()
        self._current, self._wanted = current, wanted or current
        self._rows: list[Row] = []
        self._wide = True
        self._downloading = ""  # the repository
        self._stop = threading.Event()
        self._measured: deque[tuple[float, int]] = deque()

    def compose(self) -> ComposeResult:
        yield Static("Models", id="title")
        yield _Table(cursor_type="row", zebra_stripes=False)
        yield Static(id="about")
        yield _Name(placeholder="or type a directory, or owner/name of Hugging Face")
        yield Static(id="said")
        with Horizontal(id="download"):
            yield ProgressBar(show_eta=False, show_percentage=False)
            yield Static(id="amount")
        yield Static(Content(terms()), id="terms")
        yield Static(Content(short_terms()), id="short-terms")
        yield Footer()

    def on_mount(self) -> None:
        self._table.focus()
        self._say("looking for models ...")
        self._list(None)

    def on_resize(self, event: events.Resize) -> None:
        if (wide := event.size.width >= _WIDE) != self._wide:
            self._wide = wide
            at = self._table.cursor_row
            self._fill()
            self._table.move_cursor(row=at)

    def on_unmount(self) -> None:
        self._stop.set()  # what was fetched is kept

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

    @work(thread=True, group="download")
    def _fetch(self, repository: str, stopped: Callable[[], bool]) -> None:
        last, begun = 0.0, time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if not stopped() and (now - last >= _REPORTS or done >= total):
                last = now
                self.post_message(self.Progress(done, total))

        try:
            Download(repository).run(progress, stopped)
        except Cancelled as e:
            self.post_message(self.Over(repository, str(e), stopped=True))
        except RgmlxError as e:
            self.post_message(self.Over(repository, str(e), seconds=time.monotonic() - begun))
        except Exception as e:  # never a traceback over the screen
            debug_log.caught(e, f"{repository} could not be downloaded")
            why = f"{repository} could not be downloaded ({type(e).__name__}: {e})"
            self.post_message(self.Over(repository, why, seconds=time.monotonic() - begun))
        else:
            self.post_message(self.Over(repository, "", seconds=time.monotonic() - begun))

    # --- what they found ------------------------------------------------------------------

    @on(Listed)
    def _listed(self, event: Listed) -> None:
        found = rows(event.models)
        before = event.then or (self._chosen.name if self._chosen else self._wanted)
        self._rows = found[:MAX_ROWS]
        self._fill()
        self._table.move_cursor(row=next((i for i, r in enumerate(self._rows) if r.answers_to(before)), 0))
        if len(found) > MAX_ROWS:
            self._say(f"{MAX_ROWS} of {len(found)} models are shown: type the name of another one below")
        elif event.then and any(r.answers_to(event.then) and r.complete for r in found):
            self._say(f"{event.then} is here: Enter chooses it")
        elif not event.then:
            self._say("")

    @on(Examined)
    def _was_examined(self, event: Examined) -> None:
        if event.problem:
            self._say(sentence(event.problem), error=True)
        else:
            self.dismiss(event.name)

    @on(Progress)
    def _progress(self, event: Progress) -> None:
        if not self._downloading:
            return
        now = time.monotonic()
        self._measured.append((now, event.done))
        while now - self._measured[0][0] > _SPEED:
            self._measured.popleft()
        then, before = self._measured[0]
        span = now - then
        speed = f", {max(0, event.done - before) / span / 1e6:.1f} MB/s" if span > 0.5 else ""
        self.query_one(ProgressBar).update(total=event.total, progress=event.done)
        digits = 0 if event.total >= 1e8 else 1
        text = f"{event.done / 1e6:,.{digits}f} of {event.total / 1e6:,.{digits}f} MB{speed}"
        self._amount(text if event.done < event.total else "all fetched, checking ...")

    @on(Over)
    def _over(self, event: Over) -> None:
        self._downloading = ""
        self.query_one("#download").remove_class("-on")
        self.query_one(_Name).disabled = False
        self.refresh_bindings()
        if not event.sentence:
            self._say(f"{event.repository} is here.")
        elif event.stopped:
            self._say(f"{sentence(event.sentence)} Press d on its line, or type its name.")
        else:
            self._say(sentence(event.sentence), error=True)
        self._list(event.repository)

    # --- keys and clicks ------------------------------------------------------------------

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        if (row := self._chosen) is None:
            return
        if self._downloading:
            self._say(f"{self._downloading} is being downloaded: c stops that, then choose")
        elif row.to_download:
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

    def action_download(self) -> None:
        if self._chosen is not None and self._chosen.to_download:
            self._begin(self._chosen.name)

    def action_cancel(self) -> None:
        self._stop.set()
        self._say("stopping ...")

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_focus_table(self) -> None:
        self._table.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Shows the keys that do something now."""
        if action == "download":
            return not self._downloading and self._chosen is not None and self._chosen.to_download
        if action == "cancel":
            return bool(self._downloading) and not self._stop.is_set()
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
        self._downloading = repository
        self._stop = threading.Event()
        self._measured.clear()
        self.query_one(_Name).disabled = True
        self._table.focus()  # where d and c are keys
        self.query_one("#download").add_class("-on")
        self.query_one(ProgressBar).update(total=None, progress=0)
        self._amount("asking Hugging Face ...")
        self._say(f"downloading {repository}: c stops it, and what was fetched is kept")
        self.refresh_bindings()
        self._fetch(repository, self._stop.is_set)

    def _amount(self, text: str) -> None:
        self.query_one("#amount", Static).update(Content(text))

    def _say(self, sentence: str, error: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.set_class(error, "-error")
        said.display = bool(sentence)
        said.update(Content(printable(sentence)))
