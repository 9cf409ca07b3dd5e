"""Asks for keys and notes the bytes that the terminal sends for them: the last part of mac_check.sh.

    python3 scripts/mac_check_keys.py REPORT

In a terminal set as rgchat has it: keys that would stop a program are read too, and the keyboard protocol of kitty is
asked for. Space leaves a key out, q leaves them all out. For any Python from 3.8 on.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator

KEYS = (
    "Up",
    "Option+Up",
    "Option+Down",
    "Option+Left",
    "Option+Right",
    "Shift+Up",
    "Control+Up",
    "Control+Left",
    "Command+Up",
    "Command+C",
    "Option+Return",
    "Shift+Return",
    "Control+J",
    "Control+C",
    "Control+B",
    "delete (above Return)",
    "Option+delete",
    "fn+delete",
    "fn+Up (page up)",
    "fn+Left (home)",
    "fn+F1",
    "F2 without fn",
    "Esc",
)
SECONDS = 20.0
"""For each key; a key that the terminal or macOS keeps to itself sends nothing."""
QUIET = 0.3  # seconds of silence after which a key's bytes are all there
TOTAL = 600
ON, OFF = b"\x1b[>1u\x1b[?2004h", b"\x1b[?2004l\x1b[<u"
"""What Textual writes to have keys told apart, and to take it back."""


def main() -> None:
    """Asks, and adds the answers to the report; ends with 1 where it was left out half-way."""
    with open(sys.argv[1], "a", encoding="utf-8") as report:
        report.write("=== keys\n")
        for key, sent in ask():
            report.write(f"{key:24} {sent}\n")
            report.flush()
        report.write("\n")


def ask() -> Iterator[tuple[str, str]]:
    """Every key that is asked for, with its bytes as Python writes them; the terminal is as before when it ends."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit(1))
    signal.alarm(TOTAL)
    print("\nNow some keys: press each once, and wait for the next. Space: there is no such key. q: no more.")
    try:
        tty.setraw(terminal)
        os.write(sys.stdout.fileno(), ON)
        for i, key in enumerate(KEYS):
            say(f"\r\x1b[K{i + 1}/{len(KEYS)}  {key}: ")
            sent = pressed(terminal)
            if sent == b"q":
                break
            shown = "nothing came" if sent is None else "left out" if sent == b" " else repr(sent)[1:]
            say(f"{shown}\r\n")
            yield key, shown
    finally:
        os.write(sys.stdout.fileno(), OFF)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        signal.alarm(0)
    print("\r\x1b[KThank you.")


def pressed(terminal: int) -> bytes | None:
    """What one key sends, or None where nothing comes."""
    if not select.select([terminal], [], [], SECONDS)[0]:
        return None
    sent = os.read(terminal, 256)
    while sent and select.select([terminal], [], [], QUIET)[0]:
        sent += os.read(terminal, 256)
    return sent


def say(text: str) -> None:
    """Writes to the terminal as it is."""
    os.write(sys.stdout.fileno(), text.encode())


if __name__ == "__main__":
    main()
