"""Signals that ask a program to end: which those are, and that a real abort still is one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ptys import Pty, ptys
from rooms import ROOT
from waiting import PATIENCE, wait_for

from rgmlx.cli import signals

__all__ = ["ptys"]

HARMLESS = ("CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH", "INFO")
"""Signals that end nothing."""
FAULTS = ("BUS", "EMT", "FPE", "ILL", "SEGV", "TRAP")
OTHERS = ("INT", "KILL")


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    begin = "import os, signal, threading\nfrom rgmlx.cli.signals import ENDING, handled\n"
    return subprocess.run(
        [sys.executable, *options, "-c", begin + code], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE
    )


def test_the_table_has_every_signal_that_ends_a_program() -> None:
    left = [getattr(signal, f"SIG{name}", None) for name in (*HARMLESS, *FAULTS, *OTHERS)]
    if sys.platform == "darwin":
        left.append(signal.SIGIO)
    assert sorted(signals.ENDING) == sorted(signal.valid_signals() - set(left))


def test_each_of_them_is_handled() -> None:
    """But for those that Python ignores from its start, which README.md names."""
    done = python(
        "for number in ENDING:\n"
        "    seen = []\n"
        "    with handled(seen.append):\n"
        "        os.kill(os.getpid(), number)\n"
        "    ignored = signal.getsignal(number) is signal.SIG_IGN\n"
        "    assert seen == ([] if ignored else [number]), number\n"
        "    print(int(number), ignored)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    ignored = [int(line.split()[0]) for line in done.stdout.splitlines() if line.endswith("True")]
    assert set(ignored) == {signal.SIGPIPE, signal.SIGXFSZ}
    said = (ROOT / "README.md").read_text("utf-8")
    assert all(f"`{signal.Signals(number).name.removeprefix('SIG')}`" in said for number in ignored)


@pytest.mark.parametrize(
    "abort", ["os.abort()", "t = threading.Thread(target=os.abort); t.start(); t.join(); threading.Event().wait()"]
)
def test_an_abort_in_c_ends_the_program(abort: str) -> None:
    """As MLX's and the C library's own: the second ABRT finds no handler."""
    done = python(f"with handled(lambda number: None):\n    {abort}")
    assert done.returncode == -signal.SIGABRT


def test_faulthandler_keeps_its_signal() -> None:
    done = python("with handled(lambda number: None):\n    os.kill(os.getpid(), signal.SIGABRT)", "-X", "faulthandler")
    assert done.returncode == -signal.SIGABRT and "Fatal Python error: Aborted" in done.stderr
    done = python(
        "import faulthandler\nfaulthandler.enable()\n"
        "with handled(lambda number: None):\n    os.kill(os.getpid(), signal.SIGABRT)"
    )
    assert done.returncode == -signal.SIGABRT and "Fatal Python error: Aborted" in done.stderr


# --- terminals that rgmlx changes ---------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_bar_gives_the_cursor_back(number: signal.Signals, ptys: type, tmp_path: Path) -> None:
    """Fault 11, in `rgmlx convert` and `compare`."""
    pty: Pty = ptys(sys.executable, "-m", "rgmlx", "compare", "demo", "demo")
    pty.wait("model.layers")
    assert b"\x1b[?25l" in pty.raw
    os.kill(pty.process.pid, number)
    assert pty.end() == 128 + number
    assert pty.raw.rfind(b"\x1b[?25h") > pty.raw.rfind(b"\x1b[?25l"), "the cursor is still hidden"
    assert "Traceback" not in pty.text and pty.line()[:4] == pty.before[:4]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM])
def test_a_question_for_a_token_gives_the_line_back(number: signal.Signals, ptys: type) -> None:
    """Fault 11, in `rgmlx login`, which shows nothing of what is typed."""
    pty: Pty = ptys(sys.executable, "-m", "rgmlx", "login")
    pty.wait("(it is not shown): ")
    assert pty.line()[:4] != pty.before[:4]
    os.kill(pty.process.pid, number)
    assert pty.end() == 128 + number
    assert "Traceback" not in pty.text and pty.line()[:4] == pty.before[:4]


def test_a_signal_that_an_inner_handler_has_is_not_sent_to_the_outer_one() -> None:
    """Which would end the program while it closes what is open."""
    seen: list[int] = []
    with signals.handled():
        with signals.handled(seen.append):
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(lambda: seen)
        time.sleep(0.5)  # five times what lies between two that are sent again
    assert seen == [signal.SIGTERM]
