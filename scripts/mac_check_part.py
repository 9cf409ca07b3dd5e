"""Runs one part of mac_check.sh within its time, and adds what it printed to the report.

    python3 scripts/mac_check_part.py REPORT TITLE SECONDS COMMAND ...

Ends with 0 if the command did, else with 1: it failed, was not there, took too long, or Ctrl+C ended it. For any Python
from 3.8 on, since it also runs before there is an rgmlx.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import BinaryIO

KEPT = 100_000
"""Bytes of a part's output, its end."""
GRACE = 5.0  # seconds between asking a part to end and ending it
interrupted: list[bool] = []
ESCAPES = re.compile(r"\x1b(\[[0-9;:?<>=!$ ]*[@-~]|[PX^_\]].*?(\x07|\x1b\\)|[()].|[=>78])", re.DOTALL)


def main() -> None:
    """Runs the command."""
    report, title, seconds, *command = sys.argv[1:]
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))  # at any time, also while the command begins
    print(f"{title} ...", end=" ", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryFile() as output:
        verdict = run(command, float(seconds), output)
        text = anonymous(shown(output))
    took = f"{time.monotonic() - begun:.1f} s"
    print(f"{verdict}, {took}", flush=True)
    with open(report, "a", encoding="utf-8", errors="replace") as file:
        file.write(f"=== {title}: {verdict}, {took}\n{text.strip()}\n\n")
    sys.exit(verdict != "ok")


def run(command: list[str], seconds: float, output: BinaryIO) -> str:
    """Runs a command in a session of its own, so that all that it begins ends with it; says how it ended."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as e:
        return f"failed ({e.strerror})"
    last = time.monotonic() + seconds
    while process.poll() is None:
        if interrupted or time.monotonic() > last:
            end(process)
            return "left out by Ctrl+C" if interrupted else f"ended after its {seconds:.0f} s"
        time.sleep(0.02)
    code = process.returncode
    if code and interrupted:  # that came before it had a session of its own
        return "left out by Ctrl+C"
    if code < 0:
        return f"failed ({signal.Signals(-code).name})"
    return f"failed (exit code {code})" if code else "ok"


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and all of its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def shown(output: BinaryIO) -> str:
    """The end of what was printed, without what is meant for a terminal."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - KEPT))
    text = ESCAPES.sub("", output.read().decode("utf-8", "replace"))
    lines = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    return ("(the beginning was left out)\n" if size > KEPT else "") + "\n".join(lines)


def anonymous(text: str) -> str:
    """A text without the names of home, user and host."""
    hidden = {}
    with contextlib.suppress(Exception):
        hidden[getpass.getuser()] = "USER"
    with contextlib.suppress(OSError):
        hidden[socket.gethostname()] = "HOST"
    for home in {os.path.expanduser("~"), os.path.realpath(os.path.expanduser("~"))} - {"/", "~"}:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for name, instead in hidden.items():
        if name:
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", instead, text)
    return text


if __name__ == "__main__":
    main()
