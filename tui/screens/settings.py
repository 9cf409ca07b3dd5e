"""A form for the settings of a conversation: the system text and how words are drawn.

Knows the form only: what a good value is comes from `tui.settings.settings`, and what becomes of the values is up to who opened
it. An empty field leaves a setting to the model, whose own value it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Footer, Input, Label, Static, TextArea

from rgmlx.system.printable import printable

from ..fields import OneLine, TextField
from ..settings.settings import SAMPLING, SettingsError, of_file, parse, unset

_FIXED = "The system text stands before all messages: start a new conversation (/new) to change it."
_SYSTEM = "What the model is told before all messages: who it is, how it should answer. Empty: nothing."
_TITLES_MADE = {on: f"Titles made by the model while it is idle: {'on' if on else 'off'}" for on in (True, False)}
_CROSS = {True: "X", False: " "}
_MAX_TYPED = 40  # characters of a number
_TITLES = {name: name.replace("_", " ").capitalize() for name in SAMPLING}


@dataclass(frozen=True)
class Values:
    """The settings of a conversation: its system text, or None, and those of `tui.settings.settings.SAMPLING` that are set."""

    system: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, system: str | None, settings: Mapping[str, Any]) -> Values:
        """From a system text and settings; others than those of the form, and None, are left out."""
        return cls(system, {name: settings[name] for name in SAMPLING if settings.get(name) is not None})


@dataclass(frozen=True)
class Changed:
    """What was chosen, for this conversation; `defaults`: for new ones as well; `titles`: for all, None where it was left."""

    values: Values
    defaults: bool
    titles: bool | None = None


class _Field(Vertical):
    """A sampling setting: its name, an input, and below it what it does or what is wrong with it."""

    def __init__(self, name: str, value: Any, unset: str) -> None:
        """`unset`: what holds where the input is empty, in words."""
        super().__init__(id=f"field-{name}")
        self.setting = name
        self._shown, self._unset = "" if value is None else printable(str(value)), unset

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(_TITLES[self.setting], markup=False)
            yield OneLine(
                self._shown, placeholder=self._unset, compact=True, select_on_focus=False, max_length=_MAX_TYPED
            )
        yield Static(SAMPLING[self.setting].about, classes="about", markup=False)

    def value(self) -> Any:
        """What is in the input; None for nothing. Raises SettingsError."""
        return parse(self.setting, self.query_one(Input).value)

    @on(Input.Changed)
    def _check(self, event: Input.Changed) -> None:
        event.stop()
        try:
            self.value()
        except SettingsError as e:
            self._say(f"{str(e).replace(self.setting, _TITLES[self.setting], 1)}.", wrong=True)
        else:
            self._say(SAMPLING[self.setting].about, wrong=False)

    def _say(self, sentence: str, wrong: bool) -> None:
        self.set_class(wrong, "-wrong")
        self.query_one(".about", Static).update(Content(sentence))


class _Titles(Checkbox):
    """Whether the model makes titles, in words as well. Textual's own box has a faint cross where it is off."""

    def __init__(self, wanted: bool) -> None:
        super().__init__(_TITLES_MADE[wanted], wanted, id="settings-titles", compact=True)
        self.BUTTON_INNER = _CROSS[wanted]

    @on(Checkbox.Changed)
    def _switched(self, event: Checkbox.Changed) -> None:
        self.BUTTON_INNER, self.label = _CROSS[event.value], _TITLES_MADE[event.value]


class SettingsScreen(ModalScreen[Changed | None]):
    """The form. Dismisses Changed, or None where nothing is to change."""

    DEFAULT_CSS = """
    SettingsScreen {
        background: $background;
        layout: vertical;
        #settings-title { padding: 0 1; text-style: bold; color: $primary; }
        #settings-form { height: 1fr; padding: 0 1; scrollbar-gutter: stable; }
        .about { color: $text-muted; height: auto; }
        TextArea {
            height: auto;
            min-height: 3;
            max-height: 8;
            border: round $border-blurred;
            background: $background;
            &:focus { border: round $primary; }
            &:disabled { color: $text-muted; }
        }
        _Field {
            height: auto;
            margin: 1 0 0 0;
            Horizontal { height: 1; }
            Label { width: 20; }
            Input { width: 1fr; max-width: 30; background: $panel; }
            Input > .input--placeholder { color: $text-muted; }
            &:focus-within Label { color: $primary; text-style: bold; }
            &.-wrong .about { color: $error; }
            &.-wrong Label { color: $error; }
        }
        #settings-system-title { color: $foreground; }
        #settings-titles { margin: 1 0 0 0; background: $background; border: none; padding: 0; }
        #settings-file { color: $text-muted; margin: 1 0 0 0; }
        #settings-buttons { height: 1; margin: 1 0 0 0; padding: 0 1; }
        #settings-buttons Button { margin: 0 2 0 0; min-width: 8; width: auto; }
        #settings-also { background: $panel; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "apply(False)", "apply"),
        Binding("ctrl+o", "apply(True)", "also as defaults"),
        Binding("escape", "dismiss", "leave without changes", key_display="esc"),
    ]

    def __init__(
        self,
        values: Values,
        own: Mapping[str, Any],
        *,
        system_fixed: bool,
        file: Path | None = None,
        titles: bool = False,
        themes: Sequence[str] = (),
    ) -> None:
        """
        Args:
            own: the settings of the model, which hold where a field is empty; none while it is not loaded.
            system_fixed: there are messages after the system text already, so that it can only be read.
            file: where the defaults of new conversations are.
            titles: whether the model makes titles.
            themes: the names of all, the one in use first.
        """
        super().__init__()
        self._values, self._own, self._fixed, self._file = values, own, system_fixed, file
        self._titles, self._themes = titles, themes
        self._loaded = ""  # the system text as the form had it at the start

    def compose(self) -> ComposeResult:
        yield Label("Settings of this conversation", id="settings-title", markup=False)
        with VerticalScroll(id="settings-form", can_focus=False):
            yield Label("System text", id="settings-system-title", markup=False)
            yield TextField(self._values.system or "", read_only=self._fixed, show_cursor=not self._fixed)
            yield Static(_FIXED if self._fixed else _SYSTEM, classes="about", markup=False)
            for name in SAMPLING:
                yield _Field(name, self._values.sampling.get(name), unset(name, self._own))
            yield _Titles(self._titles)
            if self._themes:
                now, *others = self._themes
                yield Static(
                    f"Theme: {now}; /theme NAME changes it: {', '.join(others)}", classes="about", markup=False
                )
            if self._file is not None:
                yield Static(printable(of_file(self._file)), id="settings-file", markup=False)
        with Horizontal(id="settings-buttons"):
            yield Button("Apply", variant="primary", compact=True, action="screen.apply(False)")
            also = "Also as defaults for new conversations"
            yield Button(also, id="settings-also", compact=True, action="screen.apply(True)")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._loaded = self.query_one(TextArea).text
        if self._fixed:
            self.query(Input).first().focus()
        else:
            self.query_one(TextArea).focus()

    @on(Input.Submitted)
    def _next(self) -> None:
        self.focus_next()

    def action_apply(self, defaults: bool) -> None:
        """Gives the values back, or goes to the first that is wrong."""
        given: dict[str, Any] = {}
        for one in self.query(_Field):
            try:
                if (value := one.value()) is not None:
                    given[one.setting] = value
            except SettingsError:  # the sentence stands below the field already
                one.query_one(Input).focus()
                return
        titles = self.query_one(Checkbox).value
        self.dismiss(Changed(Values(self._system(), given), defaults, None if titles == self._titles else titles))

    def _system(self) -> str | None:
        text = self.query_one(TextArea).text
        if self._fixed or text == self._loaded:  # what the form can't show is not to be lost in it
            return self._values.system
        return text if text.strip() else None
