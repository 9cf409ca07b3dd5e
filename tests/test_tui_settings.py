"""The file of defaults, the form of settings, and the colours of the themes."""

from __future__ import annotations

import asyncio
import math
import os
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App
from textual.color import Color
from textual.widgets import Button, Input, Static, TextArea

from rgmlx.errors import RgmlxError
from rgmlx.store import Store
from tui.screens.settings import Changed, SettingsScreen, Values
from tui.screens.tree import TreeScreen
from tui.settings import MAX_FILE, SAMPLING, SNAPSHOT_BYTES, Defaults, SettingsError, load, parse, path, save
from tui.themes import NAMES, register


async def wait_until(fact: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


# --- the file -----------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "rgchat.toml"


def write(file: Path, text: str | bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


FULL = Defaults(
    "google/recurrentgemma-2b-it",
    "Be kind.",
    "light",
    5_000_000,
    {"temperature": 0.5, "top_p": 0.25, "min_p": 0.125, "repetition_penalty": 1.5, "seed": 7},
)


def test_a_missing_file_is_no_news(file: Path) -> None:
    assert load(file) == (Defaults(), [])
    assert Defaults() == Defaults("demo", None, "dark", 2_000_000_000, {})
    assert path().name == "rgchat.toml"


def test_what_was_saved_is_loaded(file: Path) -> None:
    save(file, FULL)
    assert load(file) == (FULL, [])
    data = tomllib.loads(file.read_text())
    assert data["sampling"] == FULL.sampling
    assert (data["model"], data["snapshot_bytes"]) == (FULL.model, FULL.snapshot_bytes)
    save(file, Defaults())
    assert load(file) == (Defaults(), [])
    assert [p.name for p in file.parent.iterdir()] == [file.name]  # nothing left beside it


@pytest.mark.parametrize(
    "text",
    [
        'He said "no" \\ and """then""" \'\'\'',
        "two\nlines\r\nand\ta tab\r",
        "\x00\x01\x1b[2J\x7f\x85\u2028",
        "# no comment = [sampling]",
        "‮gnp.exe 狐狸 🦊 \U000e0041",
        " ",
        "\\",
        '"',
        "[sampling]\ntemperature = 9",
        "x" * 50_000,
    ],
)
def test_any_text_comes_back(file: Path, text: str) -> None:
    for before in ("", 'system = """\nold\ntemperature = 3\n[sampling]\n"""\ntheme = "light"\n'):
        write(file, before)
        wanted = replace(load(file)[0], system=text)
        save(file, wanted)
        assert load(file) == (wanted, [])
        raw = file.read_bytes()
        assert tomllib.loads(raw.decode())["system"] == text
        assert not {0, 0x1B, 0x7F, 0x0D} & set(raw)  # `cat` shows it, and no terminal obeys


def test_lone_surrogates_do_not_stop_the_rest(file: Path) -> None:
    save(file, Defaults(system="a \ud800 b", theme="light"))
    assert load(file)[0] == Defaults(system="a \ufffd b", theme="light")


@pytest.mark.parametrize("value", [5e-324, 1e-05, 0.1 + 0.2, 1e300, 3, 0])
def test_numbers_come_back(file: Path, value: float) -> None:
    save(file, Defaults(sampling={"temperature": value}))
    assert load(file) == (Defaults(sampling={"temperature": value}), [])


def test_only_changed_lines_are_rewritten(file: Path) -> None:
    before = (
        '# mine\nmodel = "demo"  # the "small" # one\n\n\'theme\' =   "light"\nkept = [\n  1, # why\n  2,\n]\n'
        'system = """\nBe\nbrief."""\n\n[other]\nmodel = 3\n\n[sampling] # of words\n# tried 0.3 before\n'
        "temperature = 0.9 # lively\nseed = 4\n"
    )
    write(file, before)
    defaults, wrong = load(file)
    assert defaults.sampling == {"temperature": 0.9, "seed": 4}
    assert defaults.system == "Be\nbrief."
    assert len(wrong) == 2
    save(file, defaults)
    assert file.read_text() == before  # no change, no touch
    save(file, replace(defaults, theme="dark", system="Hm", sampling={"temperature": 1.0, "min_p": 0.1}))
    assert file.read_text() == (
        '# mine\nmodel = "demo"  # the "small" # one\n\n\'theme\' = "dark"\nkept = [\n  1, # why\n  2,\n]\n'
        'system = "Hm"\n\n[other]\nmodel = 3\n\n[sampling] # of words\n# tried 0.3 before\n'
        f"temperature = 1.0 # lively\n# seed = 1\n# {SAMPLING['min_p'].about}\nmin_p = 0.1\n"
    )


def test_a_fresh_file_explains_itself(file: Path) -> None:
    save(file, Defaults(sampling={"seed": 3}))
    text = file.read_text()
    assert "\nseed = 3\n" in text
    assert tomllib.loads(text) == {"sampling": {"seed": 3}}  # defaults that later versions may better are not pinned
    for name, setting in SAMPLING.items():
        assert f"# {setting.about}\n" in text
        assert f"{name} = " in text
    # Every sample works when its # is taken away.
    lines = [line.removeprefix("# ") if line.startswith("# ") and " = " in line else line for line in text.split("\n")]
    write(file, "\n".join(lines))
    defaults, wrong = load(file)
    assert wrong == []
    assert defaults.system == "Be brief."
    assert set(defaults.sampling) == set(SAMPLING)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("modle = 'x'", "there is no setting modle; the nearest is model"),
        ("temperature = 1", "there is no setting temperature; the nearest is sampling.temperature"),
        ("[sampling]\ntemprature = 1", "no setting sampling.temprature; the nearest is sampling.temperature"),
        ("[sampling]\nx = 1", "no setting sampling.x; there are model, "),
        ("[sampling]\ntemperature = 'hot'", 'sampling.temperature must be a number, 0 or more, not "hot"'),
        ("[sampling]\ntemperature = true", "sampling.temperature must be a number, 0 or more, not true"),
        ("[sampling]\ntemperature = nan", "not nan"),
        ("[sampling]\ntemperature = inf", "not inf"),
        ("[sampling]\ntop_p = 1.01", "sampling.top_p must be a number between 0 and 1, not 1.01"),
        ("[sampling]\nmin_p = -0.1", "sampling.min_p must be a number between 0 and 1, not -0.1"),
        ("[sampling]\nseed = 1.5", "sampling.seed must be a whole number, 0 or more, not 1.5"),
        ("[sampling]\nseed = 1979-05-27", "sampling.seed must be a whole number, 0 or more, not"),
        ("sampling = 3", "sampling must be a table"),
        ("snapshot_bytes = -1", "snapshot_bytes must be a whole number of bytes, 0 or more, not -1"),
        ("theme = 'drak'", 'theme must be one of dark, light, contrast, not "drak"'),
        ("model = ''", "model must be a name that is not empty"),
        ("model = {a = 1}", "model must be a name that is not empty, not "),
        ("system = ['a']", "system must be a text, not "),
    ],
)
def test_what_is_wrong_is_said_ignored_and_kept(file: Path, text: str, sentence: str) -> None:
    write(file, f"snapshot_bytes = 9\n{text}" if not text.startswith("snapshot") else text)
    defaults, wrong = load(file)
    assert len(wrong) == 1
    assert sentence in wrong[0]
    assert str(file) in wrong[0]
    assert wrong[0].endswith("It is ignored.")
    assert defaults == Defaults(snapshot_bytes=9 if not text.startswith("snapshot") else SNAPSHOT_BYTES)
    if text != "sampling = 3":
        save(file, replace(defaults, snapshot_bytes=10))
        assert text.split("\n")[-1] in file.read_text() or text.startswith("snapshot")
        assert load(file)[0].snapshot_bytes == 10


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"model = 'x'\ntheme = \n", "line 2"),
        (b"model = 'x'\nmodel = 'y'\n", "Cannot overwrite a value"),
        (b"theme = 'dark'\n\nmodel = '\xff'", "not UTF-8 text (line 3)"),
        (b"a = " + b"[" * 100_000, "not TOML that can be read"),
        (b"a = " + b"9" * 10_000, "not TOML that can be read"),
        (b"#" * (MAX_FILE + 1), "too long"),
        (b"a\x1b[2J", "is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_said_and_never_overwritten(file: Path, data: bytes, sentence: str) -> None:
    write(file, data)
    defaults, wrong = load(file)
    assert defaults == Defaults()
    assert len(wrong) == 1
    assert sentence in wrong[0]
    assert "correct or remove it" in wrong[0]
    assert "\x1b" not in wrong[0]
    with pytest.raises(SettingsError, match="correct or remove it"):
        save(file, FULL)
    assert file.read_bytes() == data


@pytest.mark.parametrize("text", ["sampling = {temperature = 0.5}", "sampling = {temperature = 0.5, seed = 1}"])
def test_a_shape_that_lines_cannot_change_is_left_alone(file: Path, text: str) -> None:
    write(file, text)
    assert load(file)[0].sampling["temperature"] == 0.5
    with pytest.raises(SettingsError, match=r"set sampling\.temperature there by hand"):
        save(file, replace(load(file)[0], sampling=load(file)[0].sampling | {"temperature": 0.7}))
    assert file.read_text() == text
    save(file, replace(load(file)[0], theme="light"))  # what can be changed, is
    assert load(file)[0].theme == "light"


def test_dotted_keys_and_windows_lines(file: Path) -> None:
    write(file, b"\xef\xbb\xbfsampling.seed = 1 # a\r\nsampling.top_p = 0.5\r\n")
    save(file, Defaults(sampling={"seed": 2, "top_p": 0.5}, model="2b"))
    text = file.read_text()
    assert "sampling.seed = 2 # a\nsampling.top_p = 0.5\n" in text
    assert load(file) == (Defaults(sampling={"seed": 2, "top_p": 0.5}, model="2b"), [])


def test_a_sample_in_another_table_is_not_taken_for_the_setting(file: Path) -> None:
    write(file, "# seed = 1\n[mine]\n# seed = 1\n")
    save(file, Defaults(sampling={"seed": 2}))
    assert file.read_text() == f"# seed = 1\n[mine]\n# seed = 1\n\n[sampling]\n# {SAMPLING['seed'].about}\nseed = 2\n"


@pytest.mark.parametrize(
    "bad",
    [
        Defaults(model=""),
        Defaults(theme="neon"),
        Defaults(snapshot_bytes=-1),
        Defaults(sampling={"temperature": math.nan}),
        Defaults(sampling={"heat": 1}),
    ],
)
def test_bad_values_are_not_saved(file: Path, bad: Defaults) -> None:
    with pytest.raises(SettingsError):
        save(file, bad)
    assert not file.exists()


def test_places_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be"):
        save(Path("/dev/null/rgchat.toml"), Defaults())
    (tmp_path / "a.toml").mkdir()
    assert "can't be read" in load(tmp_path / "a.toml")[1][0]


def test_a_link_stays_a_link_and_a_mode_a_mode(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("theme = 'light'\n")
    real.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(real)
    save(file, Defaults(theme="contrast"))
    assert file.is_symlink()
    assert real.read_text() == 'theme = "contrast"\n'
    assert stat.S_IMODE(os.stat(real).st_mode) == 0o640


def test_reading_settings_imports_neither_mlx_nor_textual() -> None:
    code = "import sys, tui.settings as s; s.load(s.path()); print({m.split('.')[0] for m in sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'tui'" in out
    assert not any(f"'{name}'" in out for name in ("mlx", "textual", "numpy"))


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize("value", [-1, -1e-9, 0, 0.5, 1, 1.0000001, 2, 1e30, math.inf, math.nan])
def test_the_ranges_are_those_of_the_library(name: str, value: float) -> None:
    from rgmlx.sampling import make_sampling
    from rgmlx.store.snapshots import BUDGET

    assert SNAPSHOT_BYTES == BUDGET
    if name == "seed":  # the library takes any; TOML holds whole numbers of 63 bits
        return
    try:
        make_sampling({name: value})
        good = True
    except RgmlxError:
        good = False
    try:
        assert parse(name, repr(value)) == value
        assert good
    except SettingsError:
        assert not good


# --- the form -----------------------------------------------------------------------------


class Host(App[None]):
    """An app with the form, and what came of it."""

    def __init__(self, values: Values, fixed: bool = False) -> None:
        super().__init__()
        self.form, self.results = SettingsScreen(values, system_fixed=fixed), []

    def on_mount(self) -> None:
        self.push_screen(self.form, self.results.append)


@asynccontextmanager
async def form(values: Values, fixed: bool = False, size: tuple[int, int] = (60, 20)) -> Iterator[tuple]:
    app = Host(values, fixed)
    async with app.run_test(size=size) as pilot:
        await wait_until(lambda: app.screen is app.form and app.focused is not None)
        yield app, pilot


def field(app: Host, name: str) -> Input:
    return app.form.query_one(f"#field-{name} Input", Input)


def sentence(app: Host, name: str) -> str:
    return str(app.form.query_one(f"#field-{name} .about", Static).content)


VALUES = Values("Be brief.", temperature=0.5, seed=3)


async def test_applying_without_a_change_gives_the_same(tmp_path: Path) -> None:
    system = "\x1b[31mred\r\n\u202e[b]"  # what can't be shown as it is comes back as it was
    async with form(replace(VALUES, system=system)) as (app, pilot):
        assert "\x1b" not in app.form.query_one(TextArea).text
        await pilot.press("ctrl+s")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(replace(VALUES, system=system), False)]


async def test_typed_values_are_given_back() -> None:
    async with form(VALUES) as (app, pilot):
        app.form.query_one(TextArea).load_text("Be [b]kind[/b].")
        field(app, "temperature").focus()
        await pilot.press("end", "backspace", "2", "5")
        field(app, "seed").value = ""
        field(app, "top_p").value = " 1 "
        await pilot.press("ctrl+o")
        await wait_until(lambda: app.results)
        assert app.results == [Changed(Values("Be [b]kind[/b].", 0.25, 1.0), True)]


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
        assert app.results == [Changed(replace(VALUES, top_p=1.0), False)]


@pytest.mark.parametrize("typed", ["abc", "0,7", "-1", "nan", "inf", "1e999", "1_0", "[red]", "½", "0x1", "1 2"])
async def test_what_is_no_number(typed: str) -> None:
    async with form(VALUES) as (app, pilot):
        field(app, "temperature").value = typed
        await wait_until(lambda: "must be a number, 0 or more" in sentence(app, "temperature"))
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


def test_values_and_sampling() -> None:
    sampling = {"temperature": 0.0, "seed": 2}
    assert Values.of(None, sampling | {"top_k": 3}).sampling == sampling
    assert Values.of("x", {}) == Values("x")


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
