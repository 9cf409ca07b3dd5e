"""The user's defaults in a TOML file: read, checked, written without harm to what else is in it."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from rgmlx.store import SNAPSHOT_DISK_BYTES
from rgmlx.system import macos
from tui.settings.settings import MAX_FILE, SAMPLING, Defaults, SettingsError, load, path, save


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
    {"temperature": 0.5, "top_p": 0.25, "min_p": 0.125, "repetition_penalty": 1.5, "seed": 7, "max_tokens": 9},
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


@pytest.mark.parametrize("name", ["copy_on_select", "notify"])
def test_switches_are_true_or_false(file: Path, name: str) -> None:
    assert (Defaults().copy_on_select, Defaults().notify) == (None, True)
    for value in (False, True):
        save(file, replace(load(file)[0], **{name: value}))
        assert load(file) == (Defaults(**{name: value}), [])
        assert tomllib.loads(file.read_text())[name] is value
    for wrong in ('"yes"', "1", "[true]"):
        write(file, f"{name} = {wrong}\n")
        defaults, said = load(file)
        assert defaults == Defaults() and f"{name} must be true or false" in said[0]


@pytest.mark.parametrize(
    ("is_mac", "is_remote", "chosen", "copies"),
    [
        (True, False, None, True),
        (True, True, None, False),
        (False, False, None, False),
        (False, True, None, False),
        (True, False, False, False),
        (False, True, True, True),
    ],
)
def test_a_selection_is_copied_at_once_on_a_mac_that_one_sits_at(
    is_mac: bool, is_remote: bool, chosen: bool | None, copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(macos, "here", lambda: is_mac)
    monkeypatch.setattr(macos, "is_remote", lambda: is_remote)
    assert Defaults(copy_on_select=chosen).copies_selection is copies


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
        ("[sampling]\ntemperature = 'hot'", 'sampling.temperature must be a finite number, 0 or more, not "hot"'),
        ("[sampling]\ntemperature = true", "sampling.temperature must be a finite number, 0 or more, not true"),
        ("[sampling]\ntemperature = nan", "not nan"),
        ("[sampling]\ntemperature = inf", "not inf"),
        ("[sampling]\ntop_p = 1.01", "sampling.top_p must be a number between 0 and 1, not 1.01"),
        ("[sampling]\nmin_p = -0.1", "sampling.min_p must be a number between 0 and 1, not -0.1"),
        (
            "[sampling]\nseed = 1.5",
            "sampling.seed must be a whole number between 0 and 9,223,372,036,854,775,807, not 1.5",
        ),
        (
            "[sampling]\nseed = 1979-05-27",
            "sampling.seed must be a whole number between 0 and 9,223,372,036,854,775,807, not",
        ),
        ("sampling = 3", "sampling must be a table"),
        (
            "snapshot_bytes = -1",
            "snapshot_bytes must be a whole number of bytes between 0 and 9,223,372,036,854,775,807, not -1",
        ),
        ("theme = 'drak'", "there is no theme 'drak': the nearest is dark; there are dark, light, contrast"),
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
    assert defaults == Defaults(snapshot_bytes=9 if not text.startswith("snapshot") else SNAPSHOT_DISK_BYTES)
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


def test_several_settings_make_a_table(file: Path) -> None:
    """Its header went behind the first of them, so that they could not be saved."""
    write(file, 'theme = "light"\n')
    wanted = Defaults(theme="light", sampling={"seed": 2, "top_p": 0.5, "temperature": 1.0}, system="Hm", model="2b")
    save(file, wanted)
    assert load(file) == (wanted, [])


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


def test_a_link_stays_a_link_and_the_file_is_the_owners_alone(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("theme = 'light'\n")
    real.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(real)
    save(file, Defaults(theme="contrast"))
    assert file.is_symlink()
    assert real.read_text() == 'theme = "contrast"\n'
    assert stat.S_IMODE(os.stat(real).st_mode) == 0o600


def test_reading_settings_imports_neither_mlx_nor_textual() -> None:
    code = "import sys, tui.settings.settings as s; s.load(s.path()); print({m.split('.')[0] for m in sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'tui'" in out
    assert not any(f"'{name}'" in out for name in ("mlx", "textual", "numpy"))
