"""What the index of parts of words costs and gives: bytes on the disk, seconds of the upgrade, milliseconds of a search.

The messages are sentences of this repository's documentation and code by chance. "without" reads the texts, as a program does
whose SQLite has no trigrams.

    python scripts/bench_search.py --messages 100000
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rgmlx.store import Store, part_index

ROOT = Path(__file__).resolve().parent.parent
SEARCHES = ("window", "indow", "ndow lock", "zzzq", "zq", "w", "日本")
A_CONVERSATION = 100  # messages


def sentences() -> list[str]:
    files = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("rgmlx/**/*.py")]
    parts = [part.strip() for file in sorted(files) for part in re.split(r"(?<=[.:!?])\s|\n\n", file.read_text())]
    return [part for part in parts if 20 < len(part) < 300]


def fill(directory: Path, count: int) -> int:
    """A file of format 2 with so many messages. Returns their characters."""
    chance, known, chars = random.Random(1), sentences(), 0
    with Store(directory) as store:
        database = store._database
        with database.transaction() as c:
            for name in part_index.TRIGGERS:
                c.execute(f"DROP TRIGGER {name}")
            for _, index, _ in part_index.PAIRS:
                c.execute(f"DROP TABLE {index}")
            for number in range(count):
                if number % A_CONVERSATION == 0:
                    parent, title = None, " ".join(chance.choice(known).split()[:6])
                    chat = store.conversations.create("demo", title).id
                text = " ".join(chance.choices(known, k=chance.choice((1, 1, 2, 3, 5, 8))))
                chars += len(text)
                parent = store.messages.add_user(chat, parent, text).id
            c.execute("PRAGMA user_version = 2")
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return chars


def seconds(action: Callable[[], object], times: int = 1) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    count = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as name:
        directory, path = Path(name), Path(name) / "chats.db"
        chars = fill(directory, count)
        before = path.stat().st_size
        again = seconds(lambda: path.with_name("copy").write_bytes(path.read_bytes()))
        path.with_name("copy").unlink()
        opened = seconds(lambda: Store(directory).close())
        plain = seconds(lambda: Store(directory).close())
        with Store(directory) as store:
            store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            after = path.stat().st_size
            print(f"{count:,} messages, {chars:,} characters")
            print(f"file: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after ({after / before:.2f} times)")
            print(f"upgrade: {opened - plain:.1f} s, copying the file alone {again:.2f} s, opening it {plain:.2f} s")
            known = part_index.available
            for text in SEARCHES:
                with_it, hits = timed(store, text)
                part_index.available = lambda: False
                without, _ = timed(store, text)
                part_index.available = known
                print(
                    f"  {text!r}: {hits} found, {1000 * with_it:.1f} ms; without {1000 * without:.1f} ms "
                    f"({without / with_it:.1f} times)"
                )


def timed(store: Store, text: str) -> tuple[float, int]:
    """Seconds of a search, and how much it finds."""
    return seconds(lambda: store.search.find(text, 201), 5), len(store.search.find(text, 201))


if __name__ == "__main__":
    main()
