"""The file of defaults, the form of settings, and the colours of the themes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from desk import screen_of
from textual.app import App
from textual.color import Color
from textual.widgets import Button, Checkbox, Input, Static, TextArea
from waiting import wait_until

from rgmlx.store import Store
from tui.screens.settings import Changed, SettingsScreen, Values
from tui.screens.tree import TreeScreen
from tui.settings.settings import SAMPLING
from tui.themes import NAMES, register


class Host(App[None]):
    """An app with the form, and what came of it."""

    def __init__(self, values: Values, fixed: bool = False, own: dict[str, float] | None = None) -> None:
        super().__init__()
        self.form, self.results = SettingsScreen(values, own or {}, system_fixed=fixed), []

    def on_mount(self) -> None:
        self.push_screen(self.form, self.results.append)


def sentence(app: Host, name: str) -> str:
    return str(app.form.query_one(f"#field-{name} .about", Static).content)


# --- the form -----------------------------------------------------------------------------


@asynccontextmanager
async def form(
    values: Values,
    fixed: bool = False,
    size: tuple[int, int] = (60, 20),
    own: dict[str, float] | None = None,
) -> Iterator[tuple]:
    app = Host(values, fixed, own)
    async with app.run_test(size=size) as pilot:
        await wait_until(lambda: app.screen is app.form and app.focused is not None)
        yield app, pilot


def field(app: Host, name: str) -> Input:
    return app.form.query_one(f"#field-{name} Input", Input)


VALUES = Values("Be brief.", {"temperature": 0.5, "seed": 3})


async def test_applying_without_a_change_gives_the_same(tmp_path: Path) -> None:
    system = "\x1b[31mred\r\n\u202e[b]"  # what can't be shown as it is comes back as it was
    async with form(replace(VALUES, system=system)) as (app, pilot):
        await wait_until(lambda: any("red" in line for line in screen_of(app)))
        assert not {"\x1b", "\u202e"} & set("".join(screen_of(app)))
        await pilot.press("ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(replace(VALUES, system=system), False)]


async def test_a_change_loses_nothing_that_can_not_be_shown() -> None:
    async with form(replace(VALUES, system="\x1b[31mred\r\n\u202e[b]")) as (app, pilot):
        await pilot.press("!", "ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(replace(VALUES, system="!\x1b[31mred\n\u202e[b]"), False)]


async def test_typed_values_are_given_back() -> None:
    async with form(VALUES) as (app, pilot):
        app.form.query_one(TextArea).load_text("Be [b]kind[/b].")
        field(app, "temperature").focus()
        await pilot.press("end", "backspace", "2", "5")
        field(app, "seed").value = ""
        field(app, "top_p").value = " 1 "
        await pilot.press("ctrl+o")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(Values("Be [b]kind[/b].", {"temperature": 0.25, "top_p": 1.0}), True)]


async def test_escape_changes_nothing() -> None:
    async with form(VALUES) as (app, pilot):
        field(app, "temperature").value = "0.1"
        await pilot.press("x", "escape")
        await wait_until(lambda: app.results)
        assert app.results == [None]


async def test_a_wrong_number_is_said_as_it_is_typed_and_not_applied() -> None:
    async with form(VALUES) as (app, pilot):
        about = sentence(app, "top_p")
        field(app, "top_p").focus()
        await pilot.press("1", ".", "5")
        await wait_until(lambda: sentence(app, "top_p") == "Top p must be a number between 0 and 1, not 1.5.")
        await pilot.press("ctrl+s")
        field(app, "seed").focus()
        await pilot.press("ctrl+o")
        await wait_until(lambda: app.focused is field(app, "top_p"))
        assert app.results == []
        await pilot.press("backspace", "backspace")
        await wait_until(lambda: sentence(app, "top_p") == about)
        await pilot.press("ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(replace(VALUES, sampling={**VALUES.sampling, "top_p": 1.0}), False)]


@pytest.mark.parametrize("typed", ["abc", "0,7", "-1", "nan", "inf", "1e999", "1_0", "[red]", "½", "0x1", "1 2"])
async def test_what_is_no_number(typed: str) -> None:
    async with form(VALUES) as (app, pilot):
        field(app, "temperature").value = typed
        await wait_until(lambda: "must be a finite number, 0 or more" in sentence(app, "temperature"))
        assert ("written with a point" in sentence(app, "temperature")) == ("," in typed)
        await pilot.press("ctrl+s")
        assert app.results == []


async def test_a_fixed_system_text_can_be_read_only() -> None:
    async with form(VALUES, fixed=True) as (app, pilot):
        area = app.form.query_one(TextArea)
        assert any("start a new conversation (/new) to change it" in str(s.content) for s in app.form.query(Static))
        assert app.focused is field(app, "temperature")
        area.focus()
        await pilot.press("x", "y")
        assert area.text == VALUES.system
        await pilot.press("ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(VALUES, False)]


async def test_an_empty_system_text_is_none() -> None:
    async with form(VALUES) as (app, pilot):
        app.form.query_one(TextArea).load_text(" \n")
        await pilot.press("ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results[0].values.system is None


@pytest.mark.parametrize(("number", "defaults"), [(0, False), (1, True)])
async def test_with_the_mouse(number: int, defaults: bool) -> None:
    async with form(VALUES) as (app, pilot):
        await pilot.click(list(app.form.query(Button))[number])
        await wait_until(lambda: app.results)
        assert app.results == [Changed(VALUES, defaults)]


async def test_a_small_screen_shows_keys_and_reaches_each_field() -> None:
    async with form(Values()) as (app, pilot):
        lines = [strip.text for strip in app.screen._compositor.render_strips()]
        assert lines[-1].split() == [
            "^s",
            "apply",
            "^o",
            "also",
            "as",
            "defaults",
            "esc",
            "leave",
            "without",
            "changes",
        ]
        assert "Also as defaults for new conversations" in lines[-2]
        for name in SAMPLING:
            await pilot.press("tab")
            await wait_until(lambda name=name: app.focused is field(app, name))
            await wait_until(lambda name=name: app.screen.find_widget(field(app, name)).visible_region.height == 1)


async def test_an_empty_field_shows_the_number_that_holds() -> None:
    own = {"temperature": 0.5, "top_p": 0.95, "min_p": 0.0, "repetition_penalty": 1.1}
    async with form(VALUES, own=own) as (app, pilot):
        shown = {name: (field(app, name).value, field(app, name).placeholder) for name in SAMPLING}
        assert shown == {
            "temperature": ("0.5", "0.5, the model's own"),  # set to that, and not left to the model
            "top_p": ("", "0.95, the model's own"),
            "min_p": ("", "0, the model's own"),
            "repetition_penalty": ("", "1.1, the model's own"),
            "seed": ("3", "another each time"),
            "max_tokens": ("", "no limit"),
        }
        field(app, "max_tokens").value = "0"
        said = "Max tokens must be a whole number between 1 and 9,223,372,036,854,775,807, not 0."
        await wait_until(lambda: sentence(app, "max_tokens") == said)
        field(app, "max_tokens").value = "40"
        await pilot.press("ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results[0].values.sampling == {"temperature": 0.5, "seed": 3, "max_tokens": 40}


def test_values_and_sampling() -> None:
    sampling = {"temperature": 0.0, "seed": 2}
    assert Values.of(None, sampling | {"top_k": 3}).sampling == sampling
    assert Values.of("x", {"seed": None}) == Values("x")


# --- the themes ---------------------------------------------------------------------------

ROLES = ["primary", "secondary", "accent", "warning", "error", "success"]
TEXTS = ["text", "text-muted", "foreground", "foreground-muted", *ROLES, *(f"text-{role}" for role in ROLES)]
PAIRS = [
    ("block-cursor-foreground", "block-cursor-background"),
    ("block-cursor-blurred-foreground", "block-cursor-blurred-background"),
    ("input-selection-foreground", "input-selection-background"),
    ("screen-selection-foreground", "screen-selection-background"),
    ("input-cursor-foreground", "input-cursor-background"),
    ("link-color", "background"),
    ("link-color-hover", "link-background-hover"),
    ("footer-key-foreground", "footer-background"),
    ("footer-description-foreground", "footer-background"),
    ("button-foreground", "surface"),
    *(("button-color-foreground", role) for role in ROLES),
    *((f"markdown-h{n}-color", "background") for n in range(1, 7)),
]


def contrast(text: str, ground: str) -> float:
    """WCAG 2's contrast ratio, of 1 to 21."""

    def luminance(colour: Color) -> float:
        parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour.normalized]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    below = Color.parse(ground)
    above = below.get_contrast_text(float(text[5:-1]) / 100) if text.startswith("auto ") else Color.parse(text)
    low, high = sorted((luminance(below), luminance(below + above)))
    return (high + 0.05) / (low + 0.05)


def variables(name: str) -> dict[str, str]:
    app: App[None] = App()
    register(app)
    app.theme = name
    return app.get_css_variables()


def test_contrast_is_measured_as_in_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("auto 100%", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize(("name", "enough"), [("dark", 4.5), ("light", 4.5), ("contrast", 7)])
def test_everything_can_be_read(name: str, enough: float) -> None:
    values = variables(name)
    pairs = [(text, ground) for text in TEXTS for ground in ("background", "surface", "panel")] + PAIRS
    ratios = {(text, ground): contrast(values[text], values[ground]) for text, ground in pairs}
    assert {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < enough} == {}
    assert contrast(values["border-blurred"], values["background"]) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_the_colours_are_among_the_256_of_older_terminals(name: str) -> None:
    cube, greys = {0, 0x5F, 0x87, 0xAF, 0xD7, 0xFF}, set(range(8, 239, 10))
    values = variables(name)
    for key in [*TEXTS, "background", "surface", "panel", *(k for pair in PAIRS for k in pair), "border-blurred"]:
        if not values[key].startswith("auto "):
            rgb = Color.parse(values[key]).rgb  # Textual's own arithmetic is off by one here and there
            near = all(any(abs(part - step) <= 1 for step in cube) for part in rgb)
            assert near or (len(set(rgb)) == 1 and rgb[0] in greys), (key, values[key])


@pytest.mark.parametrize(("name", "enough"), [("dark", 4.5), ("light", 4.5), ("contrast", 7)])
async def test_what_is_on_the_screen_can_be_read(name: str, enough: float, tmp_path: Path) -> None:
    async with form(VALUES, size=(80, 30)) as (app, pilot):
        register(app)
        app.theme = name
        field(app, "top_p").value = "x"
        field(app, "min_p").focus()
        await wait_until(lambda: "must be" in sentence(app, "top_p"))
        await pilot.pause()
        assert too_faint(app, enough) == []
        app.screen.query_one(Checkbox).value = True
        await wait_until(lambda: "idle: on" in str(app.screen.query_one(Checkbox).label))
        assert too_faint(app, enough) == []
        with Store(tmp_path) as store:
            chat = store.conversations.create("demo", "A chat").id
            store.messages.add_user(chat, None, "one")
            two = store.messages.add_user(chat, None, "two").id
            store.messages.start_reply(chat, two)
            tree = TreeScreen(store, chat, two)
            app.push_screen(tree)
            await wait_until(lambda: tree._rows)
            for _ in range(3):
                await pilot.press("up")
                assert too_faint(app, enough) == []


def too_faint(app: App[None], enough: float) -> list[tuple[str, str, str]]:
    """Text on the screen with less contrast than it should have."""
    found = []
    for strip in app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if any(c.isalnum() for c in text):
                colour, ground = style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex
                if contrast(colour, ground) < enough:
                    found.append((text, colour, ground))
    return found
