"""`rgmlx desktop` as one types it, and as macOS runs it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorders import HOSTILE, Recorder, desk, other_desk

from rgmlx import cli
from rgmlx.desktop import agent, applescript, folders
from rgmlx.desktop.recipes import RECIPES, Kind

__all__ = ["desk", "other_desk"]

Streams = pytest.CaptureFixture[bytes]


def run(streams: Streams, *arguments: str, given: bytes = b"") -> tuple[int, str, str]:
    """Its exit code, what it prints and what it says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as e:
            cli.main(["desktop", *arguments])
    out, err = streams.readouterr()
    return int(e.value.code or 0), out.decode(), err.decode()


def sentence(streams: Streams, *arguments: str, given: bytes = b"") -> str:
    """The one sentence with which it refuses."""
    code, out, err = run(streams, *arguments, given=given)
    assert code == 1 and not out and err.startswith("rgmlx: ") and err.count("\n") == 1, (out, err)
    return err.removeprefix("rgmlx: ").strip()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_PAUSE", 0.0)
    monkeypatch.setattr(folders.settled, "__defaults__", (lambda seconds: None,))
    for function in (folders.name_files, folders.answer_files):
        monkeypatch.setitem(function.__kwdefaults__, "wait", lambda seconds: None)


def test_the_list_and_every_recipe_of_it(capsysbinary: Streams, other_desk: Recorder) -> None:
    other_desk.model()
    code, out, err = run(capsysbinary, "list")
    assert code == 0 and not err and [line.split()[0] for line in out.splitlines()] == [one.name for one in RECIPES]
    for recipe in RECIPES:
        code, out, err = run(capsysbinary, "show", recipe.name)
        assert code == 0 and not err and out.startswith(f"{recipe.name}: ")
        if recipe.kind not in (Kind.GUIDE, Kind.AGENT):
            assert f"exec {other_desk.folder}/rgmlx desktop run {recipe.name}" in out and "<plist" in out
    (other_desk.home / "drop").mkdir()
    code, out, _ = run(capsysbinary, "show", "watch-folder", "--folder", "~/drop")
    assert code == 0 and f"<string>{other_desk.home}/drop</string>" in out
    assert "signed by Apple" in run(capsysbinary, "show", "shortcuts")[1]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sumarize", "did you mean summarize?"),
        ("grammar", "did you mean fix-grammar?"),
        ("Translate", "did you mean translate?"),
        ("log_digest", "did you mean log-digest?"),
        ("clipboard", "did you mean clean-clipboard?"),
        ("xyzzy", "list` shows those there are"),
        ("", "list` shows those there are"),
        ("\x1b[2J", "list` shows those there are"),
    ],
)
@pytest.mark.parametrize("action", ["show", "install", "uninstall", "run"])
def test_an_unknown_recipe_and_the_nearest_one(
    action: str, name: str, hint: str, capsysbinary: Streams, desk: Recorder
) -> None:
    said = sentence(capsysbinary, action, name)
    assert said.startswith("there is no recipe ") and hint in said and "\x1b" not in said


def test_summarise_is_summarize(capsysbinary: Streams, desk: Recorder) -> None:
    desk.model()
    assert run(capsysbinary, "show", "summarise")[1].startswith("summarize: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("install", "reply", "--at", "18:00"), "--at is of no recipe that is named here"),
        (("install", "shortcuts"), "is a guide, and installs nothing: `"),
        (("install", "watch-folder"), "watch-folder needs a folder: add --folder DIRECTORY"),
        (("install", "reply", "watch-folder"), "watch-folder needs a folder"),
        (("install", "name-files", "--folder", "/no/such"), "/no/such is no folder"),
        (("install", "log-digest", "--at", "noon"), "--at takes a time of the day such as 18:00, not 'noon'"),
        (("uninstall",), "name the recipes to uninstall, or all of them with --all"),
        (("uninstall", "reply", "--all"), "name the recipes to uninstall, or all of them with --all"),
        (("uninstall", "reply"), "reply is not installed"),
        (("run", "reply", "file.txt"), "reply takes no files: give it a text on standard input"),
        (("run", "reply"), "no text is selected"),
        (("run", "shortcuts"), "runs nothing"),
        (("run", "ask-file"), "no file is chosen"),
        (("run", "name-files"), "desktop run name-files ~/Downloads"),
        (("run", "name-files", "/no/such"), "/no/such can't be read"),
        (("run", "name-files", "/", "--minutes", "-1"), "--minutes takes a number above 0"),
        (("run", "log-digest"), "no log file was written since yesterday: name one with --log"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    arguments: tuple[str, ...], said: str, capsysbinary: Streams, desk: Recorder
) -> None:
    desk.model()
    assert said in sentence(capsysbinary, *arguments)
    assert not list(desk.home.rglob("*.plist"))


@pytest.mark.parametrize("arguments", [(), ("instal",), ("install",), ("show",), ("run", "reply", "--minuets", "3")])
def test_a_wrong_command_line_is_exit_code_2(arguments: tuple[str, ...], capsysbinary: Streams) -> None:
    code, out, err = run(capsysbinary, *arguments)
    assert code == 2 and not out and "usage: rgmlx desktop" in err


def test_the_help_says_what_no_mac_has_done(capsysbinary: Streams) -> None:
    code, out, _ = run(capsysbinary, "--help")
    assert code == 0 and "No Mac has run them yet." in out and "rgmlx desktop list" in out
    assert all(
        run(capsysbinary, action, "--help")[0] == 0 for action in ("list", "show", "install", "uninstall", "run")
    )


def test_in_and_out_by_the_command_line(capsysbinary: Streams, desk: Recorder) -> None:
    desk.model()
    desk.program("pbs")
    desk.program("launchctl", "case $1 in bootout) exit 3 ;; esac")
    for name in ("Desktop", "Downloads", "Library"):
        (desk.home / name).mkdir()
    before = sorted(desk.home.rglob("*"))
    names = [one.name for one in RECIPES if one.kind is not Kind.GUIDE]
    options = ["--folder", "~/Desktop", "--at", "7:30", "--language", "German", "--model", "2b"]
    code, dry, err = run(capsysbinary, "install", *names, *options, "--dry-run")
    assert code == 0 and not err and sorted(desk.home.rglob("*")) == before
    code, out, err = run(capsysbinary, "install", *names, *options)
    assert code == 0 and not err
    wrote = {line.removeprefix("wrote ") for line in out.splitlines() if line.startswith("wrote ")}
    would = {line.removeprefix("would write ") for line in dry.splitlines() if line.startswith("would write ")}
    assert would == wrote == {str(path) for path in desk.home.rglob("*") if path.is_file()}
    assert run(capsysbinary, "list")[1].count("\n                 installed\n") == len(names)
    code, out, err = run(capsysbinary, "uninstall", "--all", "--dry-run")
    assert code == 0 and {line.removeprefix("would remove ") for line in out.splitlines() if "remove" in line} >= {
        name for name in wrote if not name.endswith(".json")
    }
    code, out, err = run(capsysbinary, "uninstall", "--all")
    assert code == 0 and not err and sorted(desk.home.rglob("*")) == before
    assert run(capsysbinary, "uninstall", "--all") == (0, "", "rgmlx: nothing is installed\n")


def test_names_may_come_after_options(capsysbinary: Streams, desk: Recorder) -> None:
    desk.model()
    code, out, err = run(capsysbinary, "install", "reply", "--model", "x", "summarize", "--dry-run", "translate")
    assert code == 0 and not err and all(f"/{name} with rgmlx" in out for name in ("Reply", "Summarize", "Translate"))
    assert run(capsysbinary, "install", "reply", "--bogus", "summarize")[0] == 2


def test_elsewhere_it_only_shows(capsysbinary: Streams, other_desk: Recorder) -> None:
    other_desk.model()
    assert "this is another system: --dry-run shows" in sentence(capsysbinary, "install", "reply")
    code, out, err = run(capsysbinary, "install", "reply", "--dry-run")
    assert code == 0 and not err and f"would write {other_desk.home}/Library/Services/Reply with rgmlx.workflow" in out
    assert not list(other_desk.home.iterdir())


# --- as macOS runs it ---------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_service_for_text(text: str, capsysbinary: Streams, desk: Recorder) -> None:
    desk.answers("osascript", "=OK\n")
    for name in ("summarize", "fix-grammar"):
        desk.model(text.strip())
        desk.forget()
        code, out, err = run(capsysbinary, "run", name, given=text.encode())
        if len(text) > 100_000:
            assert code == 1 and err.count("\n") == 1 and not desk.calls("rgmlx")
            assert [call[:2] for call in desk.calls("osascript")] == [["-e", applescript.NOTIFY]]
            continue
        read = text.replace("\r\n", "\n")
        assert (code, err) == (0, "") and desk.given("rgmlx") == (
            read if name == "summarize" else read.strip()
        ).encode()
        shown = [["-e", applescript.SHOW, f"={applescript.shown(text.strip())}", "=Summarize with rgmlx"]]
        assert desk.calls("osascript") == (shown if name == "summarize" else [])
        answer = text.strip().join((read[: len(read) - len(read.lstrip())], read[len(read.rstrip()) :]))
        assert out == ("" if name == "summarize" else answer)


def test_what_is_selected_may_be_no_text(capsysbinary: Streams, desk: Recorder) -> None:
    desk.program("osascript")
    for given in (b"a\0b", b"\xff\xfe\xff", b"caf\xe9"):
        assert "the selected text is not" in sentence(capsysbinary, "run", "reply", given=given)


def test_the_settings_of_the_installation_are_used(capsysbinary: Streams, desk: Recorder) -> None:
    desk.model("Hallo")
    desk.program("pbs")
    run(capsysbinary, "install", "translate", "--language", "German", "--model", "2b")
    for more, model, language in (((), "2b", "German"), (("--model", "9b", "--language", "Dutch"), "9b", "Dutch")):
        desk.forget()
        assert run(capsysbinary, "run", "translate", "--print", *more, given=b"hello") == (0, "Hallo\n", "")
        [call] = desk.calls("rgmlx")
        assert call[:3] == ["ask", "--model", model] and f"to {language}." in call[-1]


def test_a_dialog_that_is_closed_is_no_error(capsysbinary: Streams, desk: Recorder, tmp_path: Path) -> None:
    desk.program("osascript", "echo 'User canceled. (-128)' >&2; exit 1")
    desk.model()
    (tmp_path / "a.txt").write_text("x")
    assert run(capsysbinary, "run", "ask-file", "--", str(tmp_path / "a.txt")) == (0, "", "")


def test_files_are_arguments_whatever_they_are_called(
    capsysbinary: Streams, desk: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    desk.model("An answer")
    desk.answers("osascript", "=why?\n")
    names = ["-x.txt", "--help", "$(touch pwned).txt", "two\nlines.txt"]
    for name in names:
        Path(name).write_text("of " + name)
    code, out, err = run(capsysbinary, "run", "ask-file", "--print", "--", *names)
    assert (code, out, err) == (0, "An answer\n", "") and b"of --help" in desk.given("rgmlx")
    assert not Path("pwned").exists()


def test_agents_do_their_work(capsysbinary: Streams, desk: Recorder, tmp_path: Path) -> None:
    desk.program("osascript")
    desk.model("The plan")
    where = tmp_path / "folder"
    where.mkdir()
    (where / "IMG_1.txt").write_text("one")
    code, out, err = run(capsysbinary, "run", "name-files", "--dry-run", "--", str(where))
    assert (code, out, err) == (0, f"would rename {where}/IMG_1.txt to The plan.txt\n", "")
    code, out, err = run(capsysbinary, "run", "name-files", "--", str(where))
    assert (code, out, err) == (0, f"renamed {where}/IMG_1.txt to The plan.txt\n", "")
    code, out, err = run(capsysbinary, "run", "watch-folder", "--question", "{x} %s", "--", str(where))
    assert (code, out, err) == (0, f"wrote {where}/The plan.txt.answer.txt\n", "")
    assert desk.calls("rgmlx")[-1][-1] == "{x} %s" and (where / "The plan.txt.answer.txt").read_text() == "The plan\n"
    code, out, err = run(capsysbinary, "run", "log-digest", "--", str(where / "The plan.txt"))
    assert (code, out, err) == (0, "The plan\n", "") and desk.given("rgmlx") == b"== The plan.txt ==\none"
    assert [call[2] for call in desk.calls("osascript")] == ["=1 file done", "=1 file done", "=The plan"]
    log = desk.home / "Library/Application Support/rgmlx/desktop/desktop.log"
    assert log.read_text().count("name-files: renamed") == 1


def test_the_clipboard_is_cleaned(capsysbinary: Streams, desk: Recorder) -> None:
    desk.answers("pbpaste", "a\u00a0b \r\n")
    desk.program("pbcopy")
    desk.program("osascript")
    assert run(capsysbinary, "run", "clean-clipboard") == (0, "", "") and desk.given("pbcopy") == b"a b"
    assert (
        run(capsysbinary, "run", "clean-clipboard", "--print")[1] == "The clipboard holds 3 characters of plain text.\n"
    )
    assert len(desk.calls("osascript")) == 1


def test_a_service_has_no_locale_and_is_understood_all_the_same(desk: Recorder) -> None:
    """In a process of its own, with the environment that launchd and Automator give."""
    desk.model("naïve 日本語")
    code = (
        "from rgmlx.system import macos; macos.here = lambda: True\n"
        "from rgmlx.desktop import installation; from pathlib import Path; import sys\n"
        f"installation.program_of = lambda name: Path({str(desk.folder / 'rgmlx')!r})\n"
        "from rgmlx.cli import main; main(['desktop', 'run', 'fix-grammar'])"
    )
    env = {"PATH": "/usr/bin:/bin", "HOME": str(desk.home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], input="naive 日本語\n".encode(), env=env, capture_output=True)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "naïve 日本語\n", b"")


def test_the_real_program_is_the_one_that_is_put_into_files(capsysbinary: Streams, tmp_path: Path) -> None:
    """That of this installation, by its whole path, and it runs."""
    code, out, _ = run(capsysbinary, "show", "clean-clipboard")
    [line] = [line for line in out.splitlines() if line.startswith("It runs: exec ")]
    done = subprocess.run(
        ["/bin/sh", "-c", line.removeprefix("It runs: ") + " --help"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert code == 0 and done.returncode == 0 and done.stdout.startswith("usage: rgmlx desktop run"), done.stderr
