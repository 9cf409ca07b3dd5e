"""What a recovery says of losses: no less than what is known, no more than can be, and no number that nobody knows."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from stores import check, say

from rgmlx.store import Store
from rgmlx.store.recovery.report import RecoveryReport
from rgmlx.store.rows import LOST

MANY, TURNS = 20, 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Store(tmp_path) as store:
        for n in range(MANY):
            chat = store.conversations.create("demo", f"Chat {n}")
            say(store, chat, None, *(f"chat {n} message {turn} " + "word " * 60 for turn in range(TURNS)))
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return tmp_path / "chats.db"


def _opened(path: Path) -> tuple[str, int]:
    """What is said, and how many messages are there that are not notes."""
    with Store(path.parent) as store:
        said = " ".join(store.notices)
        kept = 0
        for one in store.conversations.listed(archived=None):
            there = store.messages.path(one.head)
            assert there, "no conversation looks as if nobody had said a word"
            kept += sum(m.text != LOST for m in store.messages.tree(one.id))
    check(path.parent)
    return said, kept


def _number(pattern: str, said: str) -> int:
    found = re.search(pattern, said)
    assert found is not None, said
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7, 0.9])
def test_a_cut_file_says_what_is_lost_at_least_and_at_most(path: Path, part: float) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * part))
    said, kept = _opened(path)
    lost = MANY * TURNS - kept
    assert "no message is known to be lost" not in said or not lost
    if "at least" in said:
        assert MANY // 10 <= _number(r"at least ([\d,]+) message", said) <= lost, said
        assert _number(r"at most ([\d,]+)", said) == lost, "none was ever deleted"
    else:
        assert _number(r"([\d,]+) messages were lost", said) == lost, said


def test_where_the_last_number_is_lost_nobody_can_say_how_many(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM messages WHERE id > 30")
    connection.execute("DELETE FROM sqlite_sequence")
    connection.commit()
    connection.close()
    said, kept = _opened(path)
    assert kept == 30 and f"at least {MANY - 1} messages were lost, and nobody can say how many more" in said


def test_an_index_that_is_whole_tells_the_exact_number(path: Path) -> None:
    """Also where other messages were deleted on purpose."""
    with Store(path.parent) as store:
        store.conversations.delete(1)
        store.conversations.purge()
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    at = data.index(b"chat 9 message 5 ") // 4096 * 4096
    data[at : at + 4096] = bytes(4096)
    path.write_bytes(data)
    said, kept = _opened(path)
    assert f"; {(MANY - 1) * TURNS - kept} messages were lost." in said


def test_depths_tell_of_lost_messages_that_no_index_knows(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM messages WHERE id BETWEEN 3 AND 10")
    connection.commit()
    connection.close()
    data = bytearray(path.read_bytes())
    data[:16] = bytes(16)
    path.write_bytes(data)
    said, _ = _opened(path)
    assert "; 8 messages were lost." in said


@pytest.mark.parametrize(
    ("lost", "most", "said"),
    [
        (0, 0, "no message is known to be lost"),
        (2, 2, "2 messages were lost"),
        (1, 9, "at least 1 message was lost, and at most 9"),
        (0, 9, "at most 9 messages were lost"),
        (3, None, "at least 3 messages were lost, and nobody can say how many more"),
        (0, None, "nobody can say how many messages were lost"),
    ],
)
def test_the_sentence_says_what_is_known(lost: int, most: int | None, said: str) -> None:
    report = RecoveryReport(conversations=1, messages=4, lost=lost, most=most)
    assert report.sentence() == f"1 conversation and 4 messages were kept; {said}."
