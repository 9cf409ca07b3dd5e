"""Themes of the user's in rgchat.toml: read, checked, chosen (`docs/habits.md`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, command, idle, notices
from waiting import wait_until

from rgmlx.errors import RgmlxError
from tui import cli
from tui.app import ChatApp
from tui.settings.settings import Defaults, load, save
from tui.themes import NAMES, OwnTheme

FILE = """\
theme = "night"

[themes.night]
primary = "#FFaf00"
background = "#001"

[themes.paper]
dark = false
"""


def test_themes_are_read_and_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "rgchat.toml"
    file.write_text(FILE)
    defaults, wrong = load(file)
    night, paper = OwnTheme({"primary": "#ffaf00", "background": "#001"}), OwnTheme({}, dark=False)
    assert wrong == [] and defaults.theme == "night" and defaults.themes == {"night": night, "paper": paper}
    assert defaults.themes["night"].colours == night.colours
    save(file, Defaults(theme="paper", themes=defaults.themes))
    assert file.read_text() == FILE.replace('theme = "night"', 'theme = "paper"', 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("themes = 1", "themes must be a table for each theme, such as [themes.mine]"),
        ("[themes]\nmine = 1", 'themes.mine must be a table, such as [themes.mine], with primary = "#5fafff" and others'),
        ("[themes.mine]", "themes.mine must be a table"),
        ("[themes.dark]\nprimary = '#fff'", "themes.dark is a theme of rgchat: give yours another name"),
        ("[themes.'a b']\nprimary = '#fff'", "can't be a name: one has up to 40 letters, digits, - and _"),
        ("[themes.mine]\nprimry = '#fff'", "there is no colour themes.mine.primry; the nearest is themes.mine.primary"),
        ("[themes.mine]\nzzz = '#fff'", "there is no colour themes.mine.zzz; there are background, surface, "),
        ("[themes.mine]\nprimary = 'red'", 'themes.mine.primary must be a colour such as "#5fafff", not "red"'),
        ("[themes.mine]\nprimary = [1]", 'themes.mine.primary must be a colour such as "#5fafff", not a list'),
        ("[themes.mine]\ndark = 1", "themes.mine.dark must be true or false"),
        ("theme = 'mien'\n[themes.mine]\ndark = true", "there is no theme 'mien': the nearest is mine; there are dark, light,"),
        ("[theme.mine]\ndark = true", "theme must be one of dark, light, contrast"),
        ("[thems.mine]\ndark = true", "there is no setting thems.mine; the nearest is themes.mine"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_ignored(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "rgchat.toml"
    file.write_text(text)
    defaults, wrong = load(file)
    assert defaults.theme == "dark" and len(wrong) == 1
    assert sentence in wrong[0] and wrong[0].endswith("It is ignored.")


async def test_a_theme_of_the_users_is_chosen_drawn_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "rgchat.toml"
    file.write_text(FILE)
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), defaults=load(file)[0], defaults_file=file)
    async with app.run_test():
        await wait_until(lambda: idle(app))
        night = app.current_theme
        assert (night.name, night.primary, night.background) == ("night", "#ffaf00", "#001")
        assert night.error == "#ff8787", "of the dark theme"
        await command(app, "/theme papr")
        await wait_until(lambda: "There is no theme 'papr': the nearest is paper; there are dark" in notices(app))
        await command(app, "/theme paper")
        assert app.theme == "paper" and app.current_theme.error == "#af0000" and load(file)[0].theme == "paper"
        seen = []
        for _ in range(len(NAMES) + 2):
            await command(app, "/theme")
            seen.append(app.theme)
        assert seen == ["dark", "light", "contrast", "night", "paper"]


def test_the_command_line_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(RgmlxError, match="there is no theme 'drak': the nearest is dark"):
        cli._run(cli.parser().parse_args(["--plain", "--theme", "drak"]))
