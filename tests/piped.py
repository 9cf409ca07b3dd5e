"""rgchat in a pipe, line by line, as a user whom modes stop: root's power to pass over them is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from rooms import ROOT
from waiting import PATIENCE

_POWERS = "-dac_override,-dac_read_search,-fowner"
AS_USER = ["setpriv", f"--bounding-set={_POWERS}", f"--inh-caps={_POWERS}"] if os.geteuid() == 0 else []
"""What stands before a command that is to be a user's."""


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}


def rgchat(home: Path, text: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """One that reads this."""
    command = [*AS_USER, sys.executable, "-m", "tui", "--plain", *arguments]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=cwd, env=environment(home), timeout=PATIENCE
    )


class Piped:
    """One that is given a line at a time."""

    def __init__(self, home: Path, *arguments: str) -> None:
        command = [*AS_USER, sys.executable, "-m", "tui", "--plain", *arguments]
        self._out = home / "out.txt"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=ROOT, env=environment(home), text=True
            )

    @property
    def output(self) -> str:
        return self._out.read_text(errors="replace")

    def send(self, line: str, awaited: str, count: int = 1) -> None:
        """Sends a line and waits until the output has a text so often."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        end = time.monotonic() + PATIENCE
        while self.output.count(awaited) < count and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert self.output.count(awaited) >= count, self.output

    def end(self) -> int:
        """Ends the input; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)
