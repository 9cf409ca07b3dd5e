"""The standard streams of every entry point, closed or on a full disk: what can't be written is never a success."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import warm
from ptys import Pty, doomed, ptys
from rooms import ROOT
from waiting import PATIENCE

from rgmlx.system.printable import first_line

__all__ = ["ptys"]

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
PRINTS = {
    "rgmlx": ["--help", "--version", "ask --help", "mlx-lm generate --help", "info", "ask hi --max-tokens 2"],
    "tui": ["--help", "--version", "--plain --data DATA"],
}
"""What prints something, by module."""
COMMANDS = [(module, line) for module, lines in PRINTS.items() for line in lines]


def run(tmp_path: Path, module: str, line: str, streams: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command with streams as a shell opens them, and an empty input unless `streams` says otherwise."""
    words = ["-m", module, *line.replace("DATA", str(tmp_path / "data")).split()]
    places = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    environment = os.environ | places | variables
    imported = warm.MLX_LM if "mlx-lm" in words else warm.COMMANDS
    with contextlib.ExitStack() as stack:
        opened: dict[str, Any] = {}
        for number, operator, where in re.findall(r"(\d?)([<>])(\S+)", streams):
            name = ("stdin", "stdout", "stderr")[int(number or operator == ">")]
            mode = "wb" if operator == ">" else "rb"
            opened[name] = None if where == "&-" else stack.enter_context(open(where, mode))
        done = warm.run(words, imported=imported, env=environment, timeout=PATIENCE, **opened)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout or "", done.stderr or "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("streams", [">&-", pytest.param(">/dev/full", marks=needs_full)])
@pytest.mark.parametrize(("module", "line"), COMMANDS)
def test_what_can_not_be_written_is_an_error(
    module: str, line: str, streams: str, unbuffered: str, tmp_path: Path
) -> None:
    """Fault 8: argparse says nothing where the help can't be written, and print nothing where there is no output."""
    done = run(tmp_path, module, line, streams, PYTHONUNBUFFERED=unbuffered)
    why = "it is closed" if streams == ">&-" else "No space left on device"
    program = "rgmlx" if module == "rgmlx" else "rgchat"
    assert (done.returncode, done.stderr) == (1, f"{program}: the output can't be written: {why}\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("streams", ["2>&-", pytest.param("2>/dev/full", marks=needs_full)])
@pytest.mark.parametrize(
    ("module", "line", "code"),
    [
        ("rgmlx", "info", 0),
        ("rgmlx", "info nope", 1),
        ("rgmlx", "nonsense", 2),
        ("rgmlx", "mlx-lm generate --nonsense", 2),
        ("tui", "--plain --data DATA", 0),
        ("tui", "--plain --model nope --data DATA", 1),
        ("tui", "--nonsense", 2),
    ],
)
def test_what_nobody_hears_changes_no_exit_code(
    module: str, line: str, code: int, streams: str, unbuffered: str, tmp_path: Path
) -> None:
    """Fault 8: stderr is for people."""
    done = run(tmp_path, module, line, streams, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, bool(done.stdout)) == (code, code == 0)
    assert not done.stderr


@pytest.mark.parametrize("streams", ["<&-", "<&- 2>&-"])
@pytest.mark.parametrize(("module", "line"), [("rgmlx", "ask hi --max-tokens 2"), ("tui", "--plain --data DATA")])
def test_a_closed_input_is_an_empty_one(module: str, line: str, streams: str, tmp_path: Path) -> None:
    """Fault 7: a pipe of ours took its number, which then went to the weights: MLX takes 0 for a failure."""
    done = run(tmp_path, module, line, streams)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


OPENS = "open = lambda *_: os.write(99, b'%d' % os.open('/dev/null', 0))"
"""Tells the number that the first file gets which the program opens."""
ENTRIES = {
    "rgmlx": f"import os; from rgmlx import cli; {OPENS}; cli.guarded = open; cli.main(['info'])",
    "rgchat": f"import os; from tui import cli; {OPENS}; cli.end_with = open; cli.main([])",
}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_no_file_gets_the_number_of_a_standard_stream(entry: str, closed: str, tmp_path: Path) -> None:
    """Fault 7: the streams come first, in every entry point."""
    told = tmp_path / "told"
    with told.open("wb") as file:
        os.dup2(file.fileno(), 99)
        try:
            command = f'exec "{sys.executable}" -c "$0" {closed}'
            subprocess.run(["sh", "-c", command, ENTRIES[entry]], cwd=ROOT, pass_fds=(99,), capture_output=True)
        finally:
            os.close(99)
    assert int(told.read_text()) > 2


def test_an_input_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """It was said of the output."""
    done = run(tmp_path, "tui", "--plain --data DATA", f"0>{tmp_path / 'file'}")
    assert done.returncode == 1 and not done.stderr
    assert done.stdout.endswith("The input can't be read: Bad file descriptor.\n")
    done = run(tmp_path, "rgmlx", "ask", f"0>{tmp_path / 'file'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rgmlx: standard input can't be read: Bad file descriptor\n"


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/null", "2>errors.txt"])
def test_the_screen_is_drawn_on_the_terminal(streams: str, ptys: type, tmp_path: Path) -> None:
    """Textual draws on stderr, whatever that is."""
    pty: Pty = ptys("sh", "-c", f'cd "$0" && exec "$@" {streams}', str(tmp_path), *doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    pty.send("\x11")
    assert pty.end() == 0
    pty.assert_restored()
    if streams.endswith(".txt"):
        assert (tmp_path / "errors.txt").read_text() == ""


NARROW = "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"


@pytest.mark.parametrize(
    ("variables", "name"),
    [(NARROW, "ascii"), ("PYTHONIOENCODING=latin-1", "iso8859-1"), ("PYTHONIOENCODING=ascii", "ascii")],
)
@pytest.mark.parametrize("options", ["", "--inline"])
def test_a_screen_needs_utf_8(variables: str, name: str, options: str, ptys: type, tmp_path: Path) -> None:
    """Fault 12i: it was full of escapes; in lines, what the terminal lacks is a question mark (test_locales)."""
    command = f'{variables} exec "$0" -m tui --data "$1" {options}'
    pty: Pty = ptys("sh", "-c", command, sys.executable, str(tmp_path / "data"))
    assert pty.end() == 1
    said = first_line(ValueError(pty.text))
    assert said.startswith(f"rgchat: the screen needs UTF-8, and this terminal's encoding is {name}: set LC_ALL to")
    assert said.endswith("or add --plain") and b"\x1b" not in pty.raw
