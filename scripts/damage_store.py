"""Damages stores of conversations and opens them: flipped bits, zeroed blocks, cut files, kills while a file is made anew.

    python scripts/damage_store.py --seconds 600 --seed 1
    python scripts/damage_store.py --flips 300 --zeros 50 --cuts 20 --kills 20

Prints, for each kind of damage, how many stores were opened as they were, salvaged (and how much of their messages was kept
as it had been written), set aside whole, or crashed. A message that is neither as it was written nor marked as damaged is
counted as silent.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rgmlx.store import MODEL, Store, StoreError
from rgmlx.store.names import NAME
from rgmlx.store.rows import LOST

BLOCK = 4096
_WORDS = [
    "a",
    "fox",
    "met",
    "the",
    "old",
    "bear",
    "near",
    "river",
    "and",
    "shared",
    "some",
    "honey",
    "ünder",
    "🦊",
    "trees",
    "until",
    "night",
    "came",
    "slowly",
]
_OPEN = "import sys; from rgmlx.store import Store; Store(sys.argv[1]).close()"


@dataclass
class Tally:
    """What became of the stores with one kind of damage."""

    as_is: int = 0
    salvaged: int = 0
    set_aside: int = 0
    crashed: list[str] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    marked: int = 0
    silent: list[str] = field(default_factory=list)

    @property
    def runs(self) -> int:
        return self.as_is + self.salvaged + self.set_aside + len(self.crashed)


def make(directory: Path, rng: random.Random, conversations: int = 12, turns: int = 16) -> collections.Counter[str]:
    """A store with conversations, branches, long texts, states, and a log that is not in the file yet.

    Returns:
        The texts of its messages.
    """
    with Store(directory.with_name("made")) as store:
        for number in range(conversations):
            chat = store.conversations.create("demo", _text(rng, 6), _text(rng, 9) if number % 3 == 0 else None)
            line: list[int] = []
            for turn in range(rng.randrange(2, 2 * turns)):
                parent = line[-1] if line and rng.random() < 0.9 else (rng.choice(line) if line else None)
                text = _text(rng, 3000 if rng.random() < 0.03 else rng.randrange(1, 120))
                role_is_model = turn % 2 == 1
                if role_is_model and parent is not None:
                    reply = store.messages.start_reply(chat.id, parent)
                    store.messages.append(reply.id, text)
                    line.append(store.messages.finish(reply.id, closed=rng.random() < 0.8).id)
                else:
                    line.append(store.messages.add_user(chat.id, parent, text).id)
            if number == conversations - 3:
                store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            sql = "SELECT conversation, id, chars, hash, created FROM messages WHERE id = ?"
            of = store._database.row(sql, (line[-1],))
            with store._database.states.transaction() as c:
                sql = (
                    "INSERT INTO snapshots (conversation, message, chars, hash, created, identity, links, digest, checksum, size, "
                    "used, unread, data) VALUES (?, ?, ?, ?, ?, ?, 0, x'', x'', 9000, 1, x'', ?)"
                )
                c.execute(sql, (*of, "0" * 32, rng.randbytes(9000)))
        shutil.copytree(store.directory, directory, ignore=shutil.ignore_patterns("*.opening", "*-shm", "open"))
        texts = everything(store)
    shutil.rmtree(directory.with_name("made"))
    return collections.Counter(text for text, _ in texts.elements())


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(words)) + f" {rng.randrange(10**9)}"


def everything(store: Store) -> collections.Counter[tuple[str, bool]]:
    """All messages of a store, each with whether it is marked as damaged; reads what a user could."""
    found: collections.Counter[tuple[str, bool]] = collections.Counter()
    for chat in store.conversations.listed(archived=None) + store.conversations.deleted():
        store.messages.path(chat.head)
        store.import_export.markdown(chat.id)
        store.import_export.to_json(chat.id)
        store.outlines.read(chat.id, chat.head, None, 50)
        found.update(
            (message.text, message.damaged) for message in store.messages.tree(chat.id) if not message.streaming
        )
    store.search.find("honey")
    return found


def use(store: Store) -> None:
    """Writes as a chat would: into a conversation that was there, and into a new one."""
    for chat in [*store.conversations.listed(archived=None, limit=3), store.conversations.create("demo", "new")]:
        asked = store.messages.add_user(chat.id, chat.head, "And now the honey?")
        reply = store.messages.start_reply(chat.id, asked.id)
        store.messages.append(reply.id, "Yes, ")
        assert store.messages.finish(reply.id, closed=True).role == MODEL
        store.conversations.rename(chat.id, "renamed")
    store.conversations.delete(chat.id)


def look(directory: Path, texts: collections.Counter[str], tally: Tally) -> None:
    """Opens a damaged store, reads and writes, and notes what became of it. Damage met later is met by starting again."""
    found: collections.Counter[tuple[str, bool]] = collections.Counter()
    notices: list[str] = []
    for start in range(3):
        try:
            with Store(directory) as store:
                notices += store.notices
                found = everything(store)
                use(store)
            break
        except StoreError as e:
            if "damaged" not in str(e) or start == 2:
                tally.crashed.append(f"start {start}: {e}")
                return
        except Exception:
            tally.crashed.append(traceback.format_exc())
            return
    was_written = texts | collections.Counter({LOST: 1})
    tally.silent += [
        text[:80]
        for (text, damaged) in found
        if not damaged and text not in was_written and text not in ("And now the honey?", "Yes, ")
    ]
    tally.marked += sum(many for (text, damaged), many in found.items() if damaged and text != LOST)
    kept = sum((collections.Counter({text: n for (text, _), n in found.items()}) & texts).values()) / texts.total()
    tally.kept.append(kept)
    if any("was damaged" in notice for notice in notices):
        if kept:
            tally.salvaged += 1
        else:
            tally.set_aside += 1
    else:
        tally.as_is += 1


# --- the kinds of damage ------------------------------------------------------------------


def flip(directory: Path, rng: random.Random) -> None:
    """One bit of the file."""
    _flip(directory / NAME, rng)


def flip_log(directory: Path, rng: random.Random) -> None:
    """One bit of the log."""
    _flip(directory / f"{NAME}-wal", rng)


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def zero(directory: Path, rng: random.Random) -> None:
    """One block of the file."""
    path = directory / NAME
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data) // BLOCK) * BLOCK
    data[at : at + BLOCK] = bytes(BLOCK)
    path.write_bytes(data)


def cut(directory: Path, rng: random.Random) -> None:
    """The end of the file, of any length."""
    path = directory / NAME
    with path.open("r+b") as file:
        file.truncate(rng.randrange(path.stat().st_size))


def kill(directory: Path, rng: random.Random) -> None:
    """A zeroed block, and a process that is killed while it opens the store."""
    zero(directory, rng)
    process = subprocess.Popen([sys.executable, "-c", _OPEN, str(directory)])
    time.sleep(0.1 + rng.random() * 0.6)
    process.send_signal(signal.SIGKILL)
    process.wait()


Damage = Callable[[Path, random.Random], None]
KINDS: dict[str, tuple[Damage, int]] = {
    "flips": (flip, 15),
    "log flips": (flip_log, 3),
    "zeros": (zero, 3),
    "cuts": (cut, 1),
    "kills": (kill, 1),
}
"""The kinds, and how many of each make a round."""


def run(counts: dict[str, int], seed: int, work: Path, seconds: float | None = None) -> dict[str, Tally]:
    """Damages stores, so many times each way, or in rounds until the time is over."""
    rng = random.Random(seed)
    whole = work / "whole"
    texts = make(whole, rng)
    tallies = {kind: Tally() for kind in counts}
    end = time.monotonic() + (seconds or 0)
    while True:
        for kind, count in counts.items():
            for _ in range(count):
                directory = work / "damaged"
                shutil.copytree(whole, directory)
                KINDS[kind][0](directory, rng)
                look(directory, texts, tallies[kind])
                shutil.rmtree(directory)
                if seconds is not None and time.monotonic() > end:
                    return tallies
        if seconds is None:
            return tallies


def table(tallies: dict[str, Tally]) -> str:
    """The figures."""
    lines = [
        f"{'damage':10} {'runs':>5} {'as is':>6} {'salvaged':>9} {'set aside':>10} {'crashed':>8} "
        f"{'kept %: mean':>13} {'least':>6} {'marked':>7} {'silent':>7}"
    ]
    for kind, one in tallies.items():
        mean = 100 * sum(one.kept) / len(one.kept) if one.kept else 100.0
        lines.append(
            f"{kind:10} {one.runs:5} {one.as_is:6} {one.salvaged:9} {one.set_aside:10} {len(one.crashed):8} "
            f"{mean:13.2f} {100 * min(one.kept, default=1.0):6.1f} {one.marked:7} {len(one.silent):7}"
        )
    return "\n".join(lines)


def main() -> int:
    """Runs it; 1 if anything crashed or was changed in silence."""
    p = argparse.ArgumentParser(description="Damages stores of conversations and opens them.")
    p.add_argument("--seconds", type=float, help="rounds of all kinds until then")
    p.add_argument("--seed", type=int, default=1)
    for kind in KINDS:
        p.add_argument(f"--{kind.replace(' ', '-')}", type=int, default=0, metavar="N")
    options = p.parse_args()
    counts = {kind: getattr(options, kind.replace(" ", "_")) for kind in KINDS}
    if options.seconds is not None or not any(counts.values()):
        options.seconds = options.seconds or 60
        counts = {kind: many for kind, (_, many) in KINDS.items()}
    with tempfile.TemporaryDirectory() as work:
        tallies = run({k: n for k, n in counts.items() if n}, options.seed, Path(work), options.seconds)
    print(table(tallies))
    problems = [problem for one in tallies.values() for problem in one.crashed + one.silent]
    for problem in problems[:20]:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
