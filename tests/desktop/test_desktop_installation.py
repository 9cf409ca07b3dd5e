"""Recipes go into the Library whole or not at all, and come out as they went in; what is the user's stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorders import Recorder, desk

from rgmlx.desktop import agent, installation, places
from rgmlx.desktop.recipes import RECIPES, Kind, Recipe, named
from rgmlx.errors import DesktopError
from rgmlx.system import macos

__all__ = ["desk"]

INSTALLED = [recipe for recipe in RECIPES if recipe.kind is not Kind.GUIDE]
ours = pytest.mark.parametrize("recipe", INSTALLED, ids=lambda recipe: recipe.name)


@pytest.fixture(autouse=True)
def programs(desk: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Mac has; no agent is known to it."""
    monkeypatch.setattr(agent, "_PAUSE", 0.0)
    desk.model()
    desk.program("pbs")
    desk.program("launchctl", "case $1 in bootout) exit 3 ;; esac")
    for folder in ("Desktop", "Downloads", "Library"):
        (desk.home / folder).mkdir()


def plan(recipe: Recipe, **settings: object) -> installation.Plan:
    if recipe.name == "watch-folder":
        settings.setdefault("folder", ["~/Desktop"])
    return installation.plan(recipe, settings)


def install(recipe: Recipe, **settings: object) -> list[str]:
    told: list[str] = []
    installation.install(plan(recipe, **settings), told.append)
    return told


def uninstall(recipe: Recipe, **options: bool) -> list[str]:
    told: list[str] = []
    installation.uninstall(recipe, told.append, **options)
    return told


def tree(home: Path) -> dict[str, bytes | None]:
    """Everything in the home directory: contents of files, None for directories."""
    return {
        str(path.relative_to(home)): path.read_bytes() if path.is_file() else None for path in sorted(home.rglob("*"))
    }


def state(recipe: Recipe) -> str:
    return installation.state(recipe, places.read_manifest())


@ours
def test_in_and_out_leaves_nothing(recipe: Recipe, desk: Recorder) -> None:
    before = tree(desk.home)
    assert state(recipe) == ""
    told = install(recipe)
    written = [line.split(" ", 1)[1] for line in told if line.startswith("wrote ")]
    added = {name for name, data in tree(desk.home).items() if data is not None} - set(before)
    manifest = f"Library/{places.OURS}/{places.MANIFEST}"
    assert {str(desk.home / name) for name in added} == set(written) and str(desk.home / manifest) in written
    assert all(name.split("/")[1] in ("Services", "LaunchAgents") for name in added - {manifest})
    assert state(recipe) == "installed"

    again = tree(desk.home)
    desk.forget()
    assert [line.split()[0] for line in install(recipe)] == ["unchanged"] * (len(written) - 1)
    assert tree(desk.home) == again and not desk.calls("launchctl") and not desk.calls("pbs")

    for name in (places.LOG, places.DIGESTS, places.SEEN):  # as recipes keep them while they run
        (desk.home / "Library" / places.OURS / name).write_text("x")
    told = uninstall(recipe)
    removed = {line.split(" ", 1)[1] for line in told if line.startswith("removed ")}
    assert removed >= set(written) and len(removed) == len(written) + 3
    assert tree(desk.home) == before
    with pytest.raises(DesktopError, match=f"{recipe.name} is not installed"):
        uninstall(recipe)


def test_all_of_them_in_any_order(desk: Recorder) -> None:
    before = tree(desk.home)
    for recipe in INSTALLED:
        install(recipe)
    assert {state(recipe) for recipe in INSTALLED} == {"installed"}
    for recipe in [INSTALLED[2], *INSTALLED[:2], *INSTALLED[:2:-1]]:
        uninstall(recipe)
        assert state(recipe) == ""
    assert tree(desk.home) == before


def test_what_is_there_of_others_stays(desk: Recorder) -> None:
    library = desk.home / "Library"
    (library / "Services" / "Mine.workflow").mkdir(parents=True)
    (library / "LaunchAgents").mkdir()
    (library / "LaunchAgents" / "rgmlx.of-somebody.plist").write_text("mine")
    (library / "Application Support" / "rgmlx").mkdir(parents=True)
    before = tree(desk.home)
    for recipe in INSTALLED:
        install(recipe)
    for recipe in INSTALLED:
        uninstall(recipe)
    assert tree(desk.home) == before


@ours
def test_a_dry_run_does_nothing(recipe: Recipe, desk: Recorder) -> None:
    from rgmlx.desktop import describing

    before = tree(desk.home)
    lines = list(describing.would(plan(recipe)))
    for name, data in plan(recipe).files.items():
        at = lines.index(f"would write {desk.home / 'Library' / name}")
        shown = [line[4:] for line in lines[at + 1 :][: data.count(b"\n")]]
        assert shown == data.decode().splitlines(), "all of it is shown"
    assert any(line.startswith("would run ") for line in lines)
    assert tree(desk.home) == before and not desk.calls("launchctl") and not desk.calls("pbs")
    install(recipe)
    before = tree(desk.home)
    desk.forget()
    told = uninstall(recipe, dry_run=True)
    assert {f"would remove {desk.home / 'Library' / name}" for name in plan(recipe).files} <= set(told)
    assert tree(desk.home) == before and not desk.calls("launchctl") and not desk.calls("pbs")


def test_a_changed_file_is_kept_and_named(desk: Recorder) -> None:
    recipe = named("summarize")
    install(recipe)
    changed = desk.home / "Library/Services/Summarize with rgmlx.workflow/Contents/document.wflow"
    changed.write_text("my own")
    assert state(recipe) == "installed, and changed by you"
    with pytest.raises(DesktopError, match="there is a file that you have changed, and it stays"):
        install(recipe, model="2b")
    told = uninstall(recipe)
    assert f"kept {changed}: you have changed it" in told and changed.read_text() == "my own"
    assert not changed.with_name("Info.plist").exists() and state(recipe) == ""
    with pytest.raises(DesktopError, match="rgmlx did not write"):
        install(recipe)
    assert changed.read_text() == "my own" and not (desk.home / "Library" / places.OURS).exists()


def test_a_thumbnail_that_automator_adds_keeps_the_bundle(desk: Recorder) -> None:
    recipe = named("reply")
    install(recipe)
    bundle = desk.home / "Library/Services/Reply with rgmlx.workflow"
    (bundle / "Contents" / "QuickLook").mkdir()
    told = uninstall(recipe)
    assert f"kept {bundle}: there is something in it that rgmlx did not write" in told
    assert [path.name for path in bundle.rglob("*")] == ["Contents", "QuickLook"]


def blocked(library: Path, how: str) -> Path:
    """Something in the place of a file. Returns what must stay."""
    bundle = library / "Services" / "Reply with rgmlx.workflow"
    elsewhere = library.parent / "elsewhere"
    (elsewhere / "Contents").mkdir(parents=True)
    library.joinpath("Services").mkdir(parents=True)
    if how == "a file":
        bundle.write_text("mine")
        return bundle
    if how == "a link to a bundle":
        bundle.symlink_to(elsewhere)
        return elsewhere
    (bundle / "Contents").mkdir(parents=True)
    place = bundle / "Contents" / "Info.plist"
    if how == "a link to a file":
        (elsewhere / "secret").write_text("secret")
        place.symlink_to(elsewhere / "secret")
    elif how == "a folder":
        place.mkdir()
    elif how == "a pipe":
        os.mkfifo(place)
    return elsewhere


@pytest.mark.parametrize("how", ["a file", "a link to a bundle", "a link to a file", "a folder", "a pipe"])
def test_what_is_in_the_way_stays_and_nothing_is_written(how: str, desk: Recorder) -> None:
    blocked(desk.home / "Library", how)
    names = sorted(desk.home.rglob("*"))
    with pytest.raises(DesktopError) as e:
        install(named("reply"))
    assert "Reply with rgmlx.workflow" in str(e.value)
    assert sorted(desk.home.rglob("*")) == names and state(named("reply")) == ""
    secret = desk.home / "elsewhere" / "secret"
    assert not secret.exists() or secret.read_text() == "secret"


# --- what can end it half-way --------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("name", ["reply", "name-files"])
def test_an_error_at_any_step_puts_everything_back(
    name: str, at: int, error: BaseException, desk: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = named(name)
    for is_there in (False, True):
        if is_there:
            install(recipe)
            monkeypatch.setattr(installation, "program_of", lambda name: desk.program("newer"))
        before = tree(desk.home)
        steps = iter(range(100))
        replace = os.replace

        def fails(*paths: Path, steps=steps, replace=replace) -> None:
            if next(steps) == at:
                raise error
            replace(*paths)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", fails)
            try:
                install(recipe)
            except (DesktopError, KeyboardInterrupt):
                assert tree(desk.home) == before
            else:
                assert next(steps) <= at, "it had fewer steps"
        if not is_there and state(recipe):
            uninstall(recipe)


KILLED = """
import os, sys
from rgmlx.system import macos
macos.here = lambda: True
from rgmlx.desktop import installation
from rgmlx.desktop.recipes import named
replace, steps = os.replace, iter(range(100))
def dies(*paths):
    if next(steps) == int(sys.argv[1]):
        os._exit(9)
    replace(*paths)
os.replace = dies
installation.install(installation.plan(named("reply"), {}), print)
"""


@pytest.mark.parametrize("at", range(4))
def test_what_a_kill_leaves_is_known(at: int, desk: Recorder) -> None:
    before = tree(desk.home)
    done = subprocess.run([sys.executable, "-c", KILLED, str(at)], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert tree(desk.home) != before
    if at == 0:  # before the manifest was there: directories alone, and its temporary file
        assert not places.read_manifest()
        install(named("reply"))
    uninstall(named("reply"))
    left = {name: data for name, data in tree(desk.home).items() if name not in before}
    assert not {name for name, data in left.items() if data is not None}
    assert at == 0 or not left


def test_what_a_kill_leaves_is_installed_over(desk: Recorder) -> None:
    subprocess.run([sys.executable, "-c", KILLED, "2"], capture_output=True)
    assert state(named("reply")).startswith("broken")
    install(named("reply"))
    assert state(named("reply")) == "installed" and not list(desk.home.rglob(".*"))


# --- agents -------------------------------------------------------------------------------


def test_launchd_is_told_through_launchctl(desk: Recorder) -> None:
    recipe, uid = named("log-digest"), os.getuid()
    file = desk.home / "Library/LaunchAgents/rgmlx.log-digest.plist"
    assert f"ran launchctl bootstrap gui/{uid} {file}" in install(recipe)
    out, into = ["bootout", f"gui/{uid}/rgmlx.log-digest"], ["bootstrap", f"gui/{uid}", str(file)]
    assert desk.calls("launchctl") == [out, into]
    desk.forget()
    install(recipe, at="7:00")
    assert desk.calls("launchctl") == [out, into]
    desk.forget()
    told = uninstall(recipe)
    assert f"ran launchctl bootout gui/{uid}/rgmlx.log-digest" in told and desk.calls("launchctl") == [out]


def test_launchctl_is_asked_again_while_the_old_one_ends(desk: Recorder) -> None:
    desk.program(
        "launchctl",
        'case $1 in bootstrap) echo x >> "$0.n"; [ $(wc -l < "$0.n") -gt 3 ] || { echo "Bootstrap failed: 5" >&2; exit 5; } ;; esac',
    )
    install(named("log-digest"))
    assert [call[0] for call in desk.calls("launchctl")] == ["bootout"] + ["bootstrap"] * 4


@pytest.mark.parametrize("how", ["refuses", "is missing"])
def test_where_launchctl_does_not_help_nothing_is_left(
    how: str, desk: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "refuses":
        desk.program(
            "launchctl", "echo 'Bootstrap failed: 125: Domain does not support specified action' >&2; exit 125"
        )
    else:
        (desk.folder / "launchctl").unlink()
        monkeypatch.setenv("PATH", f"{desk.folder}")
    before = tree(desk.home)
    with pytest.raises(DesktopError) as e:
        install(named("log-digest"))
    said = "does not take rgmlx.log-digest.plist" if how == "refuses" else "there is no program launchctl here"
    assert said in str(e.value) and tree(desk.home) == before


def test_without_launchctl_an_agent_s_file_is_removed_all_the_same(
    desk: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(desk.home)
    install(named("log-digest"))
    (desk.folder / "launchctl").unlink()
    monkeypatch.setenv("PATH", f"{desk.folder}")
    told = uninstall(named("log-digest"))
    assert told[0] == "there is no program launchctl here, which is a part of macOS: it ends when you log out"
    assert tree(desk.home) == before


def test_without_pbs_one_is_told_to_log_out(desk: Recorder) -> None:
    (desk.folder / "pbs").unlink()
    assert any("log out and in" in line for line in install(named("reply"))) and state(named("reply")) == "installed"


# --- settings and programs ------------------------------------------------------------------


def test_settings_are_kept_and_not_put_into_a_shell_s_line(desk: Recorder) -> None:
    before = dict(plan(named("translate")).files.items())
    install(named("translate"), model="$(touch pwned)", language="'; touch pwned; '")
    assert installation.settings_of("translate") == {"model": "$(touch pwned)", "language": "'; touch pwned; '"}
    for name, data in before.items():
        assert (desk.home / "Library" / name).read_bytes() == data


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("summarize", {"folder": ["/"]}, "--folder is not of the recipe summarize, which takes --model"),
        ("clean-clipboard", {"model": "2b"}, "which takes no options"),
        ("watch-folder", {}, "watch-folder needs a folder"),
        ("watch-folder", {"folder": ["/no/such"]}, "/no/such is no folder"),
        ("log-digest", {"at": "25:00"}, "--at takes a time"),
    ],
)
def test_wrong_settings_are_a_sentence(name: str, settings: dict[str, object], sentence: str, desk: Recorder) -> None:
    with pytest.raises(DesktopError) as e:
        installation.plan(named(name), settings)
    assert sentence in str(e.value)


def test_a_directory_of_a_model_is_named_as_a_whole(
    desk: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my model").mkdir()
    install(named("reply"), model="my model")
    assert installation.settings_of("reply") == {"model": str(tmp_path / "my model")}


def test_an_installation_that_was_moved_is_told_of(desk: Recorder) -> None:
    install(named("reply"))
    program = desk.folder / "rgmlx"
    text = program.read_text()
    program.write_text(f"#!{desk.folder}/python3.12\n")
    assert state(named("reply")) == f"broken: there is no {desk.folder}/python3.12 any more; install it again"
    program.unlink()
    assert state(named("reply")) == f"broken: there is no {program} any more; install it again"
    program.write_text(text)
    program.chmod(0o755)
    (desk.home / "Library/Services/Reply with rgmlx.workflow/Contents/Info.plist").unlink()
    assert state(named("reply")) == "broken: files of it are missing; install it again"
    install(named("reply"))
    assert state(named("reply")) == "installed"


def test_without_a_program_there_is_nothing_to_install(desk: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "program_of", lambda name: None)
    with pytest.raises(DesktopError, match="there is no program rgmlx beside this Python"):
        plan(named("reply"))


# --- the manifest ---------------------------------------------------------------------------


def test_a_manifest_that_names_other_files_removes_none_of_them(desk: Recorder) -> None:
    install(named("reply"))
    precious = desk.home / "precious"
    precious.write_text("x")
    path = desk.home / "Library" / places.OURS / places.MANIFEST
    manifest = json.loads(path.read_text())
    entry = manifest["recipes"]["reply"]
    for name in (
        "../precious",
        "/etc/passwd",
        str(precious),
        "Services/../../precious",
        "Services/x.workflow/Contents/../../../../precious",
        "Services/../x.workflow/Contents/Info.plist",
        "LaunchAgents/com.apple.plist",
        "Preferences/x.plist",
    ):
        entry["files"][name] = [places.digest(b"x")]
    entry["directories"] += ["..", "/", "Preferences", "Services/../.."]
    entry["settings"] |= {"model": 3, "language": {"a": 1}}
    path.write_text(json.dumps(manifest))
    assert set(places.read_manifest()["reply"].hashes) == set(plan(named("reply")).files)
    assert installation.settings_of("reply") == {}
    uninstall(named("reply"))
    assert precious.read_text() == "x" and os.path.exists("/etc/passwd")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipes": 3}', '{"recipes": {"reply": {}}}', "[" * 100_000, "\0"])
def test_a_damaged_manifest_is_a_sentence(text: str, desk: Recorder) -> None:
    path = desk.home / "Library" / places.OURS / places.MANIFEST
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DesktopError, match=r"installed.json can't be read"):
        install(named("reply"))
    assert path.read_text() == text and not (desk.home / "Library" / "Services").exists()


def test_elsewhere_nothing_is_installed(desk: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(desk.home)
    monkeypatch.setattr(macos, "here", lambda: False)
    with pytest.raises(DesktopError, match="another system: --dry-run shows"):
        install(named("reply"))
    assert tree(desk.home) == before
