"""Types at random into rgchat in a real terminal: keys, pastes, the mouse, bytes that are no keys. Then it is ended.

Every session has a data directory of its own and the embedded model. It must write nothing to the log of errors, and
end with code 0 where leaving was chosen, or on SIGTERM with 143. Prints a table; ends with 1 when something was found.

    python scripts/fuzz_terminal.py --seconds 60 --seed 1
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300.0
"""Seconds for a start and an end, on whatever machine."""
KEYS = 150
"""A session, after which another one begins."""
LETTERS = [b"a", b"b", b" ", b"/", b"@", b"y", b"n", b"q", "日".encode(), "é".encode(), b"\xff", b"caf\xe9"]
CONTROLS = [bytes([code]) for code in range(1, 32) if code != 17]  # all but Ctrl+Q
SEQUENCES = [
    *(b"\x1b[" + one for one in (b"A", b"B", b"C", b"D", b"H", b"F", b"Z", b"5~", b"6~", b"3~", b"17~", b"18~", b"20~")),
    *(b"\x1b[1;" + mod + end for mod in (b"2", b"3", b"5", b"6") for end in (b"A", b"B", b"C", b"D", b"H", b"F")),
    *(b"\x1bO" + one for one in (b"P", b"Q", b"R", b"S")),
    *(b"\x1b[<%d;%d;%d%s" % (button, x, y, end) for button in (0, 32, 64, 65) for x, y in ((3, 3), (40, 12), (79, 23))
      for end in (b"M", b"m")),
    b"\x7f", b"\x1b\x7f", b"\x1b\r", b"\x1b[I", b"\x1b[O", b"\x1b[122;6u", b"\x1b[99999999u", b"\x1b[1;x2u",
]  # fmt: skip
TEXTS = [
    b"\x1b[200~pasted\rtext\x1b[201~",
    b"\x1b[200~" + b"line\r" * 300 + b"\x1b[201~",
    *(b"/%s\r" % name for name in (b"edit", b"fix", b"copy", b"tree", b"theme", b"new", b"info", b"back", b"guide")),
    b"hello there\r",
    b"/set temperature 1\r",
]


class Session:
    """rgchat in a pseudo-terminal."""

    def __init__(self, home: Path) -> None:
        self.fd, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.log, self.output = home / "data" / "errors.log", b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui", "--data", str(home / "data")],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=ROOT,
            env={**os.environ, "HOME": str(home), "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(home / "config")},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        os.set_blocking(self.fd, False)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def read(self, seconds: float) -> bool:
        """Takes what was drawn; whether there was something."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.fd, 65536)
        except OSError:  # the program has ended
            piece = b""
        self.output = (self.output + piece)[-100_000:]
        return bool(piece)

    def write(self, data: bytes) -> None:
        """Types something, and takes what is drawn meanwhile: a program that waits for us to read does not read."""
        while data and self.alive:
            if select.select([], [self.fd], [], 0)[1]:
                data = data[os.write(self.fd, data) :]
            elif not self.read(0.05):
                time.sleep(0.01)

    def close(self) -> None:
        if self.alive:
            self.process.kill()
        self.process.wait()
        os.close(self.fd)


def session(chance: random.Random, keys: int, end: float) -> tuple[int, str]:
    """Types into one chat; how many keys those were, and what went wrong, or ""."""
    with tempfile.TemporaryDirectory() as directory:
        chat, typed = Session(Path(directory)), list[bytes]()
        try:
            started = time.monotonic() + PATIENCE
            while b"memory" not in chat.output and time.monotonic() < started and chat.alive:
                chat.read(0.1)
            while len(typed) < keys and time.monotonic() < end and chat.alive:
                typed.append(chance.choice(chance.choice((LETTERS, CONTROLS, SEQUENCES, TEXTS))))
                chat.write(typed[-1])
                chat.read(chance.choice((0, 0.01, 0.05)))
            problem = _end(chat)
            if chat.log.exists():
                problem = f"{problem}\n{chat.log.read_text()[-4000:]}"
            return len(typed), f"{problem}\nafter {typed[-30:]}" if problem else ""
        finally:
            chat.close()


def _end(chat: Session) -> str:
    if not chat.alive and chat.process.returncode == 0:  # one of the palette's commands is to leave
        return ""
    chat.process.send_signal(signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while chat.alive:
        if time.monotonic() > end:
            return "it does not end"
        chat.read(0.1)
    code = chat.process.returncode
    return "" if code in (0, 128 + signal.SIGTERM) else f"it ended with {code}"


def fuzz(seconds: float, seed: int, keys: int = KEYS) -> tuple[int, int, list[str]]:
    """Sessions for some time, at least one: how many, the keys of all of them, and the problems."""
    chance, end = random.Random(seed), time.monotonic() + seconds
    sessions, total, problems = 0, 0, list[str]()
    while sessions == 0 or (time.monotonic() < end and len(problems) < 5):
        typed, problem = session(chance, keys, end + PATIENCE)
        sessions, total = sessions + 1, total + typed
        if problem:
            problems.append(problem)
    return sessions, total, problems


def main() -> None:
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--seed", type=int, default=0)
    options = p.parse_args()
    sessions, total, problems = fuzz(options.seconds, options.seed)
    print(f"{'sessions':>9} {'keys':>8} {'problems':>9}\n{sessions:9,} {total:8,} {len(problems):9,}")
    print(*problems, sep="\n\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
