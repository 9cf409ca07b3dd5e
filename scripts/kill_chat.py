"""Kills (-9) chats that read or write, at random moments, and opens what they left: is every delivered word there, and
does the reply go on with the very token that would have come?

    python scripts/kill_chat.py [--seconds 600] [--seed 0] [--kills 100000]

Each is a process of its own, which shares the model's arrays with none. What it has delivered up to a second before its
end has to be on the disk; its conversation is opened by another process, once it is dead and not before; and the text that
it had and the one that is written from there are compared with those of a chat that nothing has happened to.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).parent.parent / "tests"))

from sessions import STORY, Watched, pull, read
from waiting import PATIENCE, wait_for

SEED = 7
TEMPERATURE = 0.8
# Forks before MLX has begun to work, so that a process more costs no second import.
_WRITERS = """
import json, os, sys, time
import mlx.core as mx, rgmlx.model, rgmlx.conversation.context, rgmlx.conversation.writer, rgmlx.store.snapshots
from rgmlx.store import Store
from rgmlx.conversation.session import Session
say = lambda what: print(json.dumps(what), flush=True)
for line in sys.stdin:
    directory, text, seed, temperature = json.loads(line)
    if child := os.fork():
        os.waitpid(child, 0)
        say(None)
        continue
    mx.set_default_device(mx.cpu)
    session = Session(Store(directory), sampling={"temperature": temperature, "seed": seed})
    session.load()
    session.add_user_message(text)
    say(os.getpid())
    for piece in session.generate_reply(endless=True):
        say([time.time(), piece])
"""

Begin = Callable[..., Watched]
"""Opens a session over a directory, with settings."""


@contextlib.contextmanager
def writers() -> Iterator[subprocess.Popen[str]]:
    """What begins the chats that are killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.communicate(timeout=PATIENCE)


def killed(
    writers: subprocess.Popen[str], directory: Path, moment: float, meanwhile: Callable[[], None]
) -> tuple[list[tuple[float, str]], float]:
    """Pieces with their times, of a reply whose process was killed; and when that was.

    Args:
        moment: seconds after the first piece; less than 0 kills while the message is read.
        meanwhile: done just before.
    """
    assert writers.stdin is not None and writers.stdout is not None
    writers.stdin.write(json.dumps([str(directory), STORY, SEED, TEMPERATURE]) + "\n")
    writers.stdin.flush()
    process, pieces = json.loads(writers.stdout.readline()), []
    if moment >= 0:
        pieces.append(json.loads(writers.stdout.readline()))
        while pieces[-1][0] < pieces[0][0] + moment:
            pieces.append(json.loads(writers.stdout.readline()))
    else:
        time.sleep(-moment)
    try:
        meanwhile()
    finally:
        at = time.time()
        os.kill(process, signal.SIGKILL)
        while (line := json.loads(writers.stdout.readline())) is not None:
            pieces.append(line)
    return pieces, at


class Undisturbed:
    """The same reply, written by a chat that nothing happens to."""

    def __init__(self, session: Watched) -> None:
        self._session, self._text = session, ""
        session.add_user_message(STORY)
        self._pieces = session.generate_reply(endless=True)

    def start(self, chars: int) -> str:
        """Its first characters, so many or some more."""
        self._text += pull(self._pieces, max(chars - len(self._text), 0))
        return self._text

    def stop(self) -> None:
        """Ends it."""
        self._session.stop()
        list(self._pieces)


def strike(
    writers: subprocess.Popen[str], directory: Path, moment: float, more: int, begin: Begin, undisturbed: Undisturbed
) -> str:
    """Kills a chat and goes on with it for some characters.

    Returns:
        What was found: "nothing written", "read again" or "nothing read again".

    Raises:
        AssertionError: a word is lost, or the text goes on in another way.
    """

    def meanwhile() -> None:
        other = begin(directory)
        before = other.settings
        assert other.open(1) is False, "a second process could open it"
        assert (other.conversation, other.head, other.settings) == (None, None, before)
        asked = other.store.messages.tree(1)[0].text
        assert asked == STORY, "the prompt was not there before the first word"

    pieces, at = killed(writers, directory, moment, meanwhile)
    session = begin(directory, temperature=TEMPERATURE)
    wait_for(functools.partial(session.open, 1))  # seen once in 200: the lock outlived the process for a moment
    assert session.settings["seed"] == SEED
    path = session.store.messages.path(session.head.id if session.head else None)
    assert path[0].text == STORY and not path[-1].streaming
    on_disk = path[1].text if len(path) > 1 else ""
    delivered = "".join(piece for _, piece in pieces)
    old = "".join(piece for stamp, piece in pieces if stamp < at - 1)
    assert len(old) <= len(on_disk) <= len(delivered) + 20, f"{len(old)}, {len(on_disk)}, {len(delivered)} characters"
    assert on_disk.startswith(old), "what was delivered is not what is on the disk"
    going = session.continue_reply(endless=True) if len(path) > 1 else session.generate_reply(endless=True)
    text = on_disk + pull(going, more)
    session.stop()
    text += "".join(going)
    whole = undisturbed.start(len(text))
    assert text == whole[: len(text)], f"it goes on in another way after {len(on_disk)} characters"
    assert session.head is not None and session.store.messages.get(session.head.id).text == text
    assert session.store._database.states.row("SELECT count(*) FROM snapshots WHERE message = 2")[0]
    return "nothing written" if not on_disk else "read again" if read(session) else "nothing read again"


def moments(chance: random.Random) -> Iterator[float]:
    """When to kill: one in six while the message is read."""
    while True:
        yield chance.uniform(0, 2.5) if chance.random() > 1 / 6 else -chance.uniform(0.005, 0.08)


def main() -> int:
    """Runs it; 1 if anything was lost or another."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--kills", type=int, default=100_000, help="no more than so many")
    options = p.parse_args()
    import mlx.core as mx

    import rgmlx
    from rgmlx.store import Store

    mx.set_default_device(mx.cpu)
    model, chance, until = rgmlx.load("demo"), random.Random(options.seed), time.monotonic() + options.seconds
    found, problems, opened = collections.Counter[str](), list[str](), list[Watched]()

    def begin(directory: Path, **sampling: Any) -> Watched:
        opened.append(Watched(Store(directory), model, **sampling))
        return opened[-1]

    def close(sessions: list[Watched]) -> None:
        for session in sessions:
            session.close()
            session.store.close()

    with tempfile.TemporaryDirectory() as scratch, writers() as process:
        undisturbed = Undisturbed(begin(Path(scratch) / "whole", temperature=TEMPERATURE, seed=SEED))
        reference = opened.pop()
        for number, moment in enumerate(moments(chance)):
            if time.monotonic() > until or number == options.kills:
                break
            with tempfile.TemporaryDirectory(dir=scratch) as directory:
                try:
                    found[strike(process, Path(directory), moment, chance.choice((20, 40)), begin, undisturbed)] += 1
                except Exception as e:  # a store that can't be opened is a fault as well
                    problems.append(f"kill {number} at {moment:.3f} s: {type(e).__name__}: {e}")
                finally:
                    close(opened)
                    opened.clear()
        undisturbed.stop()
        close([reference])
    print(f"{'kills':>6} {'nothing written':>16} {'read again':>11} {'nothing read again':>19} {'wrong':>6}")
    print(
        f"{found.total() + len(problems):6} {found['nothing written']:16} {found['read again']:11} "
        f"{found['nothing read again']:19} {len(problems):6}"
    )
    print(*problems[:20], sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
