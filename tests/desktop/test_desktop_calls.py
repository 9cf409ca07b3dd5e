"""`rgmlx.desktop`: each call reaches the system's program with arguments and input alone, whatever is in a text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorders import HOSTILE, SURROGATE, Recorder, desk, other_desk

from rgmlx import desktop
from rgmlx.desktop import applescript, tools
from rgmlx.errors import DesktopError

__all__ = ["desk", "other_desk"]

texts = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
NUL = "a\0b"


def test_importing_it_loads_no_model() -> None:
    code = "import rgmlx.desktop, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"mlx.core", "numpy", "sentencepiece", "huggingface_hub", "plistlib"} & set(loaded)


# --- the clipboard ------------------------------------------------------------------------


@texts
def test_the_clipboard_there_and_back(text: str, desk: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    desk.program("pbcopy", 'printf %s "$LC_ALL$LC_CTYPE" > "$0.locale"')
    desktop.set_clipboard(text)
    assert desk.calls("pbcopy") == [[]] and desk.given("pbcopy") == text.encode()
    assert (desk.folder / "pbcopy.locale").read_text() == "UTF-8"
    desk.answers("pbpaste", text)
    assert desktop.clipboard() == text
    assert desk.calls("pbpaste") == [["-Prefer", "txt"]]


def test_a_nul_is_input_like_any_other(desk: Recorder) -> None:
    desk.program("pbcopy")
    desktop.set_clipboard(NUL)
    assert desk.given("pbcopy") == b"a\0b"
    desktop.set_clipboard(SURROGATE)
    assert desk.given("pbcopy") == b"half a pair ?"


@pytest.mark.parametrize(
    ("display", "program", "written", "read"),
    [
        ("WAYLAND_DISPLAY", "wl-", ("copy", ["--type", "text/plain"]), ("paste", ["--no-newline", "--type", "text"])),
        ("DISPLAY", "xclip", ("", ["-selection", "clipboard", "-in"]), ("", ["-selection", "clipboard", "-out"])),
        ("DISPLAY", "xsel", ("", ["--clipboard", "--input"]), ("", ["--clipboard", "--output"])),
    ],
)
def test_on_linux_it_is_that_of_the_session(
    display: str,
    program: str,
    written: tuple[str, list[str]],
    read: tuple[str, list[str]],
    other_desk: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(display, ":0")
    monkeypatch.setenv("PATH", f"{other_desk.folder}:{minimal(other_desk)}")
    other_desk.program(program + written[0])
    desktop.set_clipboard(HOSTILE["quotes"])
    assert other_desk.calls(program + written[0]) == [written[1]]
    assert other_desk.given(program + written[0]) == HOSTILE["quotes"].encode()
    other_desk.forget()
    other_desk.answers(program + read[0], HOSTILE["emoji"])
    assert desktop.clipboard() == HOSTILE["emoji"] and other_desk.calls(program + read[0]) == [read[1]]


def minimal(desk: Recorder) -> Path:
    """A folder with the programs that stand-ins are made of, and no other."""
    folder = desk.home / "minimal"
    folder.mkdir()
    for name in ("sh", "cat"):
        (folder / name).symlink_to(f"/bin/{name}")
    return folder


def test_a_program_that_stays_to_serve_the_text_is_not_waited_for(
    other_desk: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{other_desk.folder}:{minimal(other_desk)}:/usr/bin")
    other_desk.program("xclip", 'sleep 60 & echo $! > "$0.pid"')
    desktop.set_clipboard("x")  # else it would be given up after 30 seconds
    os.kill(int((other_desk.folder / "xclip.pid").read_text()), 15)


# --- AppleScript --------------------------------------------------------------------------


@texts
def test_what_is_said_is_an_argument_and_no_script(text: str, desk: Recorder) -> None:
    desk.answers("osascript", "=OK\n")
    desktop.notify(text)
    desktop.notify("A text", title=text)
    applescript.run_script(applescript.SHOW, text[:4000], text[:100])
    notified, titled, shown = desk.calls("osascript")
    clean = applescript.shown(text, 1_000)
    assert notified == ["-e", applescript.NOTIFY, f"={clean}", "=rgmlx"]
    assert titled == ["-e", applescript.NOTIFY, "=A text", f"={applescript.shown(text, 100)}"]
    assert shown == ["-e", applescript.SHOW, f"={text[:4000]}", f"={text[:100]}"]
    assert len(clean) <= 1_010 and not set(clean) & set("\x1b\u202e\u2066\u200f\0")
    assert not list(desk.home.rglob("pwned")) and not Path("pwned").exists()


@texts
def test_what_is_selected_comes_as_it_is(text: str, desk: Recorder) -> None:
    desk.answers("osascript", f"={text}\n")
    assert desktop.selection() == text
    assert desk.calls("osascript") == [["-e", applescript.SELECTION]]


def test_an_empty_selection_is_told_from_none(desk: Recorder) -> None:
    desk.answers("osascript", "=\n")
    assert desktop.selection() == ""
    desk.program("osascript", "echo 'execution error: no value (-1728)' >&2; exit 1")
    with pytest.raises(DesktopError, match="does not tell what is selected"):
        desktop.selection()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Not authorized to send Apple events to System Events. (-1743)", "Privacy & Security > Automation"),
        ("osascript is not allowed assistive access. (-1719)", "Privacy & Security > Accessibility"),
        ("osascript is not allowed assistive access. (-25211)", "Privacy & Security > Accessibility"),
        ("some other error (-50)", "osascript failed: 12:34: execution error: some other error (-50)"),
    ],
)
def test_what_macos_refuses_is_said_with_what_to_do(said: str, sentence: str, desk: Recorder) -> None:
    desk.program("osascript", f"echo '12:34: execution error: {said}' >&2; exit 1")
    with pytest.raises(DesktopError) as e:
        desktop.selection()
    assert sentence in str(e.value)


def test_a_nul_never_reaches_an_argument(desk: Recorder, tmp_path: Path) -> None:
    for name in ("osascript", "open", "shortcuts"):
        desk.program(name)
    desktop.notify(NUL)
    assert desk.calls("osascript") == [["-e", applescript.NOTIFY, "=a\ufffdb", "=rgmlx"]]
    for call in (
        lambda: desktop.open_with(NUL),
        lambda: desktop.open_with(tmp_path, NUL),
        lambda: desktop.run_shortcut(NUL),
    ):
        with pytest.raises(DesktopError):
            call()
    assert not desk.calls("open") and not desk.calls("shortcuts")


@pytest.mark.parametrize("text", ["", " \n", "\u200b"])
def test_there_must_be_something_to_say(text: str, desk: Recorder) -> None:
    desk.program("osascript")
    with pytest.raises(DesktopError, match="needs a text"):
        desktop.notify(text)
    assert not desk.calls("osascript")


@pytest.mark.parametrize("script", applescript.SCRIPTS)
def test_no_script_takes_an_argument_for_code(script: str) -> None:
    """They are constants, take a sign off each argument, and run nothing of it."""
    assert "{" not in script.replace("{theRequest}", "").replace('{"Copy", "OK"}', "").replace('{"Cancel", "Ask"}', "")
    assert "do shell script" not in script and "run script" not in script and "%" not in script
    for line in script.splitlines():
        assert line.count("item ") == line.count("text 2 thru -1 of item "), line


# --- files and shortcuts ------------------------------------------------------------------


@pytest.mark.parametrize("name", [text[:80] for text in HOSTILE.values()], ids=HOSTILE)
def test_a_file_is_a_whole_path(name: str, desk: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path(name.replace("/", "_"))
    file.touch()
    desk.program("open")
    desktop.open_with(f"./{file}")
    desktop.open_with(tmp_path / file, application=name)
    assert desk.calls("open") == [[str(tmp_path / file)], ["-a", name, str(tmp_path / file)]]


def test_only_files_are_opened(desk: Recorder) -> None:
    desk.program("open")
    for name in ("https://example.com", "/no/such/file", "-a"):
        with pytest.raises(DesktopError, match="there is no file"):
            desktop.open_with(name)
    assert not desk.calls("open")


COPY = """while [ $# -gt 0 ]; do
case $1 in --input-path) cp "$2" "$0.input"; given=$2 ;; --output-path) cat "$given" > "$2" ;; esac
shift
done"""


@texts
def test_a_shortcut_reads_and_writes_files_of_its_own(text: str, desk: Recorder) -> None:
    desk.program("shortcuts", COPY)
    assert desktop.run_shortcut("My Shortcut", text) == text
    [call] = desk.calls("shortcuts")
    assert call[:3] == ["run", "My Shortcut", "--input-path"] and call[4] == "--output-path"
    assert call[6:] == ["--output-type", "public.utf8-plain-text"]
    assert not os.path.exists(call[3]) and not os.path.exists(os.path.dirname(call[3])), "nothing is left of it"
    assert text[:20] not in "".join(call) or text[:20] in ("../../../../etc/pass", "-e", "--help")


@pytest.mark.parametrize("name", [text[:200] for text in HOSTILE.values()], ids=HOSTILE)
def test_the_name_of_a_shortcut_is_one_argument_and_no_option(name: str, desk: Recorder) -> None:
    desk.program("shortcuts")
    if name.startswith("-"):
        with pytest.raises(DesktopError, match="begins with -"):
            desktop.run_shortcut(name)
        assert not desk.calls("shortcuts")
    else:
        assert desktop.run_shortcut(name) == ""
        assert desk.calls("shortcuts")[0][:2] == ["run", name]


# --- where there is no Mac ----------------------------------------------------------------

CALLS = {
    "clipboard": lambda: desktop.clipboard(),
    "set_clipboard": lambda: desktop.set_clipboard("x"),
    "selection": lambda: desktop.selection(),
    "notify": lambda: desktop.notify("x"),
    "open_with": lambda: desktop.open_with("/"),
    "run_shortcut": lambda: desktop.run_shortcut("x"),
}


@pytest.mark.parametrize("name", CALLS)
def test_elsewhere_each_says_so_in_a_sentence(name: str, other_desk: Recorder) -> None:
    for program in ("pbcopy", "pbpaste", "osascript", "open", "shortcuts"):
        other_desk.program(program)  # of the same name, and of another purpose
    with pytest.raises(DesktopError) as e:
        CALLS[name]()
    assert "another system" in str(e.value) or "there is no clipboard here: install" in str(e.value)
    assert "\n" not in str(e.value) and not list(other_desk.folder.glob("*.argv"))


@pytest.mark.parametrize("name", CALLS)
def test_a_mac_without_the_program_says_so(name: str, desk: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(desk.folder))
    with pytest.raises(DesktopError, match=r"there is no program .* here, which is a part of macOS"):
        CALLS[name]()


# --- the programs -------------------------------------------------------------------------


def test_a_program_that_hangs_is_ended(desk: Recorder) -> None:
    for then in ("exec sleep 60", "sleep 60 & sleep 60", "exec >&-; exec sleep 60"):
        desk.program("slow", f"echo a beginning; {then}")
        with pytest.raises(DesktopError, match="did not end within 0 seconds"):
            tools.run("slow", seconds=0.2)


def test_an_answer_without_an_end_is_cut_short(desk: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MOST", 100_000)
    desk.program("endless", "exec yes")
    with pytest.raises(DesktopError, match="writes more than"):
        tools.run("endless")


def test_what_can_not_be_run_is_a_sentence(desk: Recorder) -> None:
    desk.program("fine")
    with pytest.raises(DesktopError, match="fine can't be run: Argument list too long"):
        tools.run("fine", "x" * 10_000_000)
    (desk.folder / "data").write_bytes(b"\x7fELF and no more")
    (desk.folder / "data").chmod(0o755)
    with pytest.raises(DesktopError, match="data can't be run"):
        tools.run("data")
