"""B10: of a damaged file every row that can be read is kept; by itself when it is opened, and with `--recover`."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import damage_store
import pytest
import warm
from stores import check, say, texts

from rgmlx.store import Store, StoreError
from rgmlx.store.files import wal
from rgmlx.store.files.replacement import KEPT_DAMAGED
from rgmlx.store.files.sqlite_pages import INDEX, TABLE, SqlitePages
from rgmlx.store.rows import LOST, UNTITLED

# --- the pages ----------------------------------------------------------------------------


def _random_value(rng: random.Random) -> object:
    kind = rng.randrange(7)
    if kind == 0:
        return None
    if kind == 1:
        return rng.choice([0, 1, -1, 127, 128, -129, 2**31, -(2**47), 2**62, -(2**63)])
    if kind == 2:
        return rng.choice([0.5, -1e300, 1e-300, 3.0])
    size = rng.choice([0, 1, 30, 100, 480, 500, 1000, 4000, 4061, 4062, 9000, 40_000])
    return "é" * (size // 2) if kind < 5 else rng.randbytes(size)


@pytest.mark.parametrize("size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("in_log", [False, True], ids=["file", "log"])
def test_pages_are_read_as_sqlite_reads_them(tmp_path: Path, size: int, in_log: bool) -> None:
    rng, path = random.Random(size), tmp_path / "any.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {size}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)")
    connection.execute("CREATE INDEX t_by_b ON t (id, c)")
    numbers = rng.sample(range(1, 10**12), 300)
    for number in numbers:
        row = (number, _random_value(rng), _random_value(rng), number % 7)
        connection.execute("INSERT INTO t VALUES (?, ?, ?, ?)", row)
    for number in numbers[::5]:
        connection.execute("DELETE FROM t WHERE id = ?", (number,))
    if not in_log:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.text_factory = bytes
    expected = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    roots = dict(connection.execute("SELECT CAST(name AS TEXT), rootpage FROM sqlite_master").fetchall())
    with SqlitePages(path) as pages:
        found = []
        for page in pages.walk(roots[b"t"], TABLE):
            for place, part in pages.rows(page):
                row = pages.row(page, place)
                assert not row.cut and row.id == part.id
                found.append((row.id, *row.columns[1:]))
        assert found == expected
        everywhere = {row.id for page in pages.leaves() if page not in pages.free() for _, row in pages.rows(page)}
        assert {row[0] for row in expected} <= everywhere
        index = {row.columns[0] for page in pages.walk(roots[b"t_by_b"], INDEX) for _, row in pages.rows(page)}
        assert index == {row[0] for row in expected}
    connection.close()


def test_pages_of_garbage_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "any.db"
    rng = random.Random(3)
    for size in (0, 1, 99, 100, 5000, 60_000):
        data = bytearray(rng.randbytes(size))
        data[::4096] = bytes([13]) * len(data[::4096])
        path.write_bytes(data)
        with SqlitePages(path) as pages:
            pages.free()
            for page in range(pages.count + 3):
                list(pages.rows(page))
                list(pages.walk(page, TABLE))
                list(pages.walk(page, INDEX))


# --- a damaged file is made anew ----------------------------------------------------------


def _texts(store: Store) -> list[str]:
    return sorted(m.text for one in store.conversations.listed(archived=None) for m in store.messages.tree(one.id))


def _page_with(path: Path, text: str) -> int:
    """Where the page begins that has this text."""
    return path.read_bytes().index(text.encode()) // 4096 * 4096


def _zero(path: Path, at: int, size: int = 4096) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(size)
    path.write_bytes(data)


def _filled(directory: Path, turns: int = 200) -> list[str]:
    """A conversation of many pages, and its texts."""
    with Store(directory) as store:
        chat = store.conversations.create("demo", "A long chat", "Be brief.")
        lines = [f"message {n:04} " + "word " * 40 for n in range(turns)]
        say(store, chat, None, *lines)
        store.conversations.create("demo", "Another")
    return lines


def test_a_zeroed_page_in_the_middle_costs_its_messages_and_no_others(tmp_path: Path) -> None:
    lines = _filled(tmp_path)
    path = tmp_path / "chats.db"
    _zero(path, _page_with(path, "message 0100 "))
    with Store(tmp_path) as store:
        notice = store.notices.pop(0)
        one = next(c for c in store.conversations.listed() if c.title == "A long chat")
        path_there = store.messages.path(one.head)
        kept = [m.text for m in path_there if m.text != LOST]
        lost = len(lines) - len(kept)
        assert 5 < lost < 25 and kept == [line for line in lines if line in kept]
        # In the place of each lost one is a note, so that all that follows is on one path with all before.
        assert [m.text for m in path_there].count(LOST) == lost and len(path_there) == len(lines)
        assert [m.depth for m in path_there] == list(range(len(lines)))
        assert [m.role for m in path_there] == ["user", "model"] * (len(lines) // 2)
        assert [m.text for m in path_there if m.damaged] == [LOST] * lost
        assert (
            f"2 conversations and {len(kept)} messages were kept" in notice and f"{lost} messages were lost" in notice
        )
        assert store.search.find("message 0150") and one.system == "Be brief."
        say(store, one, one.head, "goes on")
    check(tmp_path)
    with Store(tmp_path) as store:
        assert store.notices == []


def test_orphans_are_reached_where_no_index_tells_what_is_lost(tmp_path: Path) -> None:
    """Index, schema and header are gone with the messages: one note stands for all that is missing."""
    lines = _filled(tmp_path)
    path = tmp_path / "chats.db"
    for text in ("message 0000 ", "message 0100 "):
        _zero(path, _page_with(path, text))
    _zero(path, 0)
    with Store(tmp_path) as store:
        one = next(c for c in store.conversations.listed() if c.title == "A long chat")
        there = [m.text for m in store.messages.path(one.head)]
        assert LOST in there and lines[20] in there and lines[-1] in there
        assert sorted(set(_texts(store)) - {LOST}) == sorted(set(there) - {LOST})
        assert sum(m.damaged for m in store.messages.tree(one.id)) == there.count(LOST)
    check(tmp_path)


def test_messages_whose_conversation_is_lost_are_in_one_that_says_so(tmp_path: Path) -> None:
    lines = _filled(tmp_path, 30)
    path = tmp_path / "chats.db"
    _zero(path, _page_with(path, "A long chat"))
    with Store(tmp_path) as store:
        # Of the other one, which had no messages, nothing is left.
        assert "1 conversation and 30 messages were kept; 1 conversation was lost" in store.notices[0]
        one = store.conversations.get(1)
        assert one.title == UNTITLED and texts(store, one.head) == lines
        assert not any(m.damaged for m in store.messages.tree(1))
    check(tmp_path)


def test_a_truncated_file_keeps_what_is_before_the_cut(tmp_path: Path) -> None:
    lines = _filled(tmp_path)
    path = tmp_path / "chats.db"
    whole = path.read_bytes()
    at = _page_with(path, "message 0150 ")
    path.write_bytes(whole[: at + 1000])
    expected = [line for line in lines if line.encode() in whole[:at]]
    assert len(expected) > 50
    with Store(tmp_path) as store:
        assert set(expected) <= set(_texts(store))
        one = store.conversations.get(1)
        assert set(expected) <= set(texts(store, one.head)) | set(_texts(store))
    check(tmp_path)


def test_a_long_text_that_is_cut_keeps_its_start_and_is_marked(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, "short", "answer", "abc " * 10_000, "answer", "another", "answer")
    path = tmp_path / "chats.db"
    data = path.read_bytes()
    at = data.index(b"abc " * 900, data.index(b"abc " * 900) + 5 * 4096)
    _zero(path, at // 4096 * 4096)
    with Store(tmp_path) as store:
        message = store.messages.get(3)
        assert message.damaged and message.text.startswith("abc " * 1000)
        assert [m.id for m in store.messages.tree(1) if m.damaged] == [3]
        assert texts(store, 6)[3:] == ["answer", "another", "answer"]
    check(tmp_path)


def test_what_a_log_has_is_kept_too(tmp_path: Path) -> None:
    """The power was cut: the newest messages are in the log only."""
    store = Store(tmp_path / "a")
    chat = store.conversations.create("demo", "A chat")
    ids = say(store, chat, None, *(f"in the file {n}" for n in range(100)))
    store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    say(store, chat, ids[-1], *(f"in the log {n}" for n in range(20)))
    shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns("open", "*-shm"))
    expected = _texts(store)
    store.close()
    path = tmp_path / "b" / "chats.db"
    gone = {
        text for text in expected if text.encode() in path.read_bytes()[(at := _page_with(path, "file 50")) :][:4096]
    }
    _zero(path, at)
    with Store(tmp_path / "b") as other:
        assert f"{len(gone)} messages were lost" in other.notices[0]
        assert sorted(set(_texts(other)) - {LOST}) == sorted(set(expected) - gone)
    check(tmp_path / "b")


def test_states_that_are_whole_are_kept_and_others_are_not(tmp_path: Path, demo) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        ids = say(store, chat, None, "q", "a", "r", "b")
        for number in (2, 4):
            store.snapshots.put(ids[number - 1], demo.new_state())
        usage = store.snapshots.usage()
    path = tmp_path / "chats.db"
    _zero(path, 0, 100)
    with Store(tmp_path) as store:
        assert store.snapshots.usage() == usage
        assert store.snapshots.get(4, demo) is not None
        assert store.snapshots.restore(2, demo) is not None
    check(tmp_path)


def test_damaged_files_that_are_kept_are_bounded(tmp_path: Path) -> None:
    for _ in range(KEPT_DAMAGED + 3):
        _filled(tmp_path, 2)
        _zero(tmp_path / "chats.db", 0, 100)
    with Store(tmp_path):
        pass
    assert len(list(tmp_path.glob("chats.damaged-*.db"))) == KEPT_DAMAGED
    assert not [p.name for p in tmp_path.iterdir() if ".part" in p.name or ".ready" in p.name]


# --- killed meanwhile ---------------------------------------------------------------------

_KILLED = """
import os, sys
at = [int(sys.argv[2])]
def look(event, arguments):
    if event in ("os.rename", "os.remove", "os.chmod", "sqlite3.connect", "open"):
        at[0] -= 1
        if not at[0]:
            os._exit(9)
from rgmlx.store import Store
import rgmlx.store.recovery.recover
sys.addaudithook(look)
Store(sys.argv[1]).close()
"""


def test_a_kill_at_any_step_of_a_recovery_loses_nothing(tmp_path: Path) -> None:
    """The process ends right before each file that is opened, renamed or removed; the next start finds all of it."""
    _filled(tmp_path / "whole", 40)
    path = tmp_path / "whole" / "chats.db"
    _zero(path, _page_with(path, "message 0020 "))
    damaged = path.read_bytes()
    shutil.copytree(tmp_path / "whole", tmp_path / "reference")
    with Store(tmp_path / "reference") as store:
        expected = _texts(store)
    for step in range(1, 100):
        directory = tmp_path / f"{step}"
        shutil.copytree(tmp_path / "whole", directory)
        done = warm.run(["-c", _KILLED, str(directory), str(step)])
        assert done.returncode in (0, 9), done.stderr
        with Store(directory) as store:
            assert _texts(store) == expected, step
        kept = list(directory.glob("chats.damaged-*.db"))
        assert [p.read_bytes() for p in kept] == [damaged], step
        assert not [p.name for p in directory.iterdir() if ".part" in p.name or ".ready" in p.name]
        check(directory)
        shutil.rmtree(directory)
        if done.returncode == 0:
            break
    assert step > 8


# --- by hand ------------------------------------------------------------------------------


def _recover(file: Path, data: Path) -> tuple[int, str]:
    done = warm.run(["-m", "tui", "--recover", str(file), "--data", str(data)])
    return done.returncode, done.stdout + done.stderr


def test_recover_adds_what_is_not_there_and_changes_nothing(tmp_path: Path) -> None:
    lines = _filled(tmp_path / "old", 60)
    path = tmp_path / "old" / "chats.db"
    file = tmp_path / "lost.db"
    path.rename(file)
    _zero(file, _page_with(file, "message 0030 "))
    before = file.read_bytes()
    with Store(tmp_path / "new") as store:
        mine = store.conversations.create("demo", "Mine")
        say(store, mine, None, "my question", "my answer")
    code, out = _recover(file, tmp_path / "new")
    assert code == 0 and "2 conversations and " in out and "were added" in out and "were lost" in out
    assert file.read_bytes() == before
    with Store(tmp_path / "new") as store:
        assert {c.title for c in store.conversations.listed()} == {"Mine", "A long chat", "Another"}
        one = next(c for c in store.conversations.listed() if c.title == "A long chat")
        found = texts(store, one.head)
        assert len(found) == 60 and set(found) - {LOST} <= set(lines) and found.count(LOST) < 25
        assert texts(store, store.conversations.get(mine.id).head) == ["my question", "my answer"]
        say(store, one, one.head, "goes on here")
        number = len(_texts(store))
    code, out = _recover(file, tmp_path / "new")  # once more: all of it is there
    assert code == 0 and "0 conversations and 0 messages were added" in out and "there already" in out
    with Store(tmp_path / "new") as store:
        assert len(_texts(store)) == number and len(store.conversations.listed()) == 3
    check(tmp_path / "new")


def test_recover_brings_back_what_a_better_copy_still_has(tmp_path: Path) -> None:
    """The file was made anew with losses; an older copy of it has them."""
    lines = _filled(tmp_path, 60)
    path, copy = tmp_path / "chats.db", tmp_path / "backup.db"
    copy.write_bytes(path.read_bytes())
    _zero(path, _page_with(path, "message 0030 "))
    with Store(tmp_path) as store:
        assert LOST in _texts(store)
    code, out = _recover(copy, tmp_path)
    assert code == 0 and "there already" in out
    with Store(tmp_path) as store:
        assert set(lines) <= set(_texts(store))
    check(tmp_path)


def test_recover_says_what_it_can_not_do(tmp_path: Path) -> None:
    _filled(tmp_path, 4)
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"hello " * 1000)
    for file, words in (
        (tmp_path / "missing.db", "there is no file"),
        (tmp_path, "is not a file"),
        (tmp_path / "chats.db", "is in use"),
        (garbage, "no conversation could be read"),
    ):
        code, out = _recover(file, tmp_path)
        assert code == 1 and words in out and "Traceback" not in out, file
    with Store(tmp_path) as store:
        assert len(store.conversations.listed()) == 2
        with pytest.raises(StoreError, match="is in use"):
            store.recover(tmp_path / "chats.db")


# --- at random ----------------------------------------------------------------------------


def test_random_damage_never_crashes_and_is_never_silent(tmp_path: Path) -> None:
    counts = {"flips": 12, "log flips": 2, "zeros": 6, "cuts": 4}
    tallies = damage_store.run(counts, 7, tmp_path)
    print(damage_store.table(tallies))
    for kind, one in tallies.items():
        assert not one.crashed and not one.silent, kind
        assert one.runs == counts[kind] and one.set_aside == 0
    assert min(tallies["flips"].kept) > 0.9 and min(tallies["zeros"].kept) > 0.7
    assert sum(one.salvaged for one in tallies.values()) > 3


# --- the log ------------------------------------------------------------------------------


def test_a_damaged_log_is_noticed_and_a_torn_one_is_not(tmp_path: Path) -> None:
    """SQLite leaves out all that comes after a bad place in the log, and says nothing."""
    store = Store(tmp_path / "a")
    chat = store.conversations.create("demo", "A chat")
    say(store, chat, None, *(f"message {n}" for n in range(12)))
    expected = _texts(store)
    assert not wal.is_damaged(tmp_path / "a" / "chats.db")
    for name in ("whole", "early", "torn"):
        shutil.copytree(tmp_path / "a", tmp_path / name, ignore=shutil.ignore_patterns("open", "*-shm"))
    store.close()
    early = tmp_path / "early" / "chats.db-wal"
    data = bytearray(early.read_bytes())
    data[len(data) // 2] ^= 4
    early.write_bytes(data)
    torn = tmp_path / "torn" / "chats.db-wal"
    data = bytearray(torn.read_bytes())
    data[-2000] ^= 4  # in the last page of the last transaction
    torn.write_bytes(data)
    for name, damaged in (("whole", False), ("early", True), ("torn", False)):
        assert wal.is_damaged(tmp_path / name / "chats.db") == damaged, name
        with Store(tmp_path / name) as other:
            assert bool(other.notices) == damaged
            assert _texts(other) == expected or name == "torn"
            assert len(_texts(other)) >= len(expected) - 1
        check(tmp_path / name)
