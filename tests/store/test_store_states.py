"""The file of states: whatever becomes of it or of the conversations beside it, a state is of its message or not there."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rooms
from piped import AS_USER
from stores import check, drop_snapshots, say, texts
from test_store_recovery import _filled, _page_with, _zero
from test_store_snapshots import fake

from rgmlx.store import Store, StoreError
from rgmlx.store.hashes import identity_key
from rgmlx.store.rows import LOST
from rgmlx.store.states.state_file import states_path

Kept = dict[int, int]
"""Messages, and of each the number of steps of its state."""


def fill(store: Store, *words: str, parent: int | None = None, chat: int | None = None, steps: int = 0) -> Kept:
    """Messages after one another, each with a state."""
    one = store.conversations.get(chat) if chat else store.conversations.create("demo", "A chat")
    ids = say(store, one, parent, *words)
    kept = {number: steps + 3 * n + 1 for n, number in enumerate(ids)}
    for number, of in kept.items():
        assert store.snapshots._put(number, "m", fake(0, of), [of]) > 0
    return kept


def right(store: Store, kept: Kept) -> list[int]:
    """The messages whose state is there; none has another one's."""
    found = {number: store.snapshots._get(number, "m") for number in kept}
    for number, state in found.items():
        if state is not None:
            assert state[0].digest() == fake(0, kept[number]).digest() and state[1] == (kept[number],), number
    return [number for number, state in found.items() if state is not None]


def states_in(data: Path) -> Path:
    return states_path(data / "chats.db")


def copy(source: Path, target: Path) -> None:
    """Copies what no store has open."""
    shutil.copytree(source, target, dirs_exist_ok=True)


# --- two files ----------------------------------------------------------------------------


def test_they_are_flushed_to_the_disk_itself_as_the_conversations_are(tmp_path: Path) -> None:
    """A14: on macOS fsync leaves it with the disk, and half a checkpoint is a damaged file."""
    with Store(tmp_path) as store:
        fill(store, "hello", "yes")
        assert store._database.states.row("PRAGMA checkpoint_fullfsync")[0] == 1


def test_states_are_in_a_private_directory_of_their_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = os.umask(0)
    try:
        with Store(data) as store:
            kept = fill(store, "a question of mine", "an answer", "another", "yes")
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in states_in(data).parent.iterdir()}
    finally:
        os.umask(before)
    assert modes.keys() >= {"states.db", "states.db-wal", "states.db-shm"} and set(modes.values()) == {0o600}
    assert stat.S_IMODE(states_in(data).parent.stat().st_mode) == 0o700
    assert b"a question of mine" not in states_in(data).read_bytes()
    tables = [name for (name,) in sqlite3.connect(data / "chats.db").execute("SELECT name FROM sqlite_master")]
    assert "messages" in tables and not [name for name in tables if "snapshots" in name]
    with Store(data) as store:
        assert right(store, kept) == list(kept)
    check(data)


def test_nothing_is_made_for_conversations_without_states(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        ids = say(store, chat, None, "q", "a", "r")
        store.messages.discard(ids[-1])
        store.conversations.delete(chat.id)
        store.conversations.purge()
        assert store.snapshots.usage().count == 0
    assert not (tmp_path / "states").exists()


def test_conversations_behind_a_link_have_their_states_beside_the_file_itself(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    (other / "mine.db").touch()
    (data / "chats.db").symlink_to(other / "mine.db")
    with Store(data) as store:
        kept = fill(store, "q", "a")
    assert not (data / "states").exists() and (other / "states" / "states-of-mine.db").is_file()
    with Store(other) as store:  # another file of that directory
        others = fill(store, "r", "b", steps=50)
    for place, known in ((data, kept), (other, others)):
        with Store(place) as store:
            assert right(store, known) == [1, 2]


# --- a file that does not belong to the conversations ---------------------------------------


def _gone(states: Path) -> None:
    shutil.rmtree(states.parent)


def _garbage(states: Path) -> None:
    states.write_bytes(b"hello " * 10_000)


def _no_header(states: Path) -> None:
    _zero(states, 0, 100)


def _half(states: Path) -> None:
    states.write_bytes(states.read_bytes()[: states.stat().st_size // 8192 * 4096])


def _empty(states: Path) -> None:
    states.write_bytes(b"")


def _another_version(states: Path) -> None:
    connection = sqlite3.connect(states)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _no_tables(states: Path) -> None:
    connection = sqlite3.connect(states)
    connection.executescript("DROP TABLE snapshots; DROP TABLE pairing")
    connection.close()


def _of_others(states: Path) -> None:
    """Of other conversations, with the same words under the same numbers."""
    other = states.parents[2] / "other"
    with Store(other) as store:
        fill(store, "q", "a", "r", "b", steps=50)
    copy(other / "states", states.parent)


def _log_of_others(states: Path) -> None:
    other = states.parents[2] / "other"
    with Store(other) as store:
        fill(store, "q", "a", "r", "b", steps=50)
        shutil.copy(f"{states_in(other)}-wal", f"{states}-wal")


SPOILT = [_gone, _garbage, _no_header, _half, _empty, _another_version, _no_tables, _of_others, _log_of_others]
spoilt = pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__.strip("_"))


@spoilt
def test_a_file_that_is_of_no_use_is_made_anew_in_silence(
    tmp_path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    with Store(data) as store:
        kept = fill(store, "q", "a", "r", "b")
    spoil(states_in(data))
    with caplog.at_level(logging.INFO, "rgmlx"), Store(data) as store:
        found = right(store, kept)
        assert found == [] or spoil is _half
        assert texts(store, 4) == ["q", "a", "r", "b"] and store.notices == []
        kept |= fill(store, "s", "c", parent=4, chat=1, steps=70)
        assert right(store, kept)[-2:] == [5, 6]
    assert ("is made anew" in caplog.text) == (spoil not in (_gone, _empty)) or spoil is _half
    with Store(data) as store:
        assert right(store, kept)[-2:] == [5, 6] and store.notices == []
    check(data)


@spoilt
def test_the_same_under_a_running_chat(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Replies end, new states are kept, and none is wrong; a conversation that is open brings its states along."""
    data = tmp_path / "data"
    with Store(data) as store:
        kept = fill(store, "q", "a", "r", "b")
        with store.lock(1):  # type: ignore[union-attr]
            spoil(states_in(data))
            right(store, kept)
            for n in range(3):
                kept |= fill(store, "s", "c", parent=max(kept), chat=1, steps=70 + 10 * n)
                right(store, kept)
            found = right(store, kept)
            assert found[-2:] == [9, 10]
            assert spoil not in (_gone, _of_others) or found == list(kept)
        assert store.notices == []
    with Store(data) as store:
        found = right(store, kept)
        assert found[-2:] == [9, 10] or spoil in (_another_version, _log_of_others)
        assert len(texts(store, 10)) == 10 and store.notices == []
    check(data)


def test_random_damage_gives_no_wrong_state_and_costs_no_text(tmp_path: Path) -> None:
    """Bits, blocks and ends of the file and of its log; replies go on, end, and are read."""
    rng, whole, work, there = random.Random(5), tmp_path / "whole", tmp_path / "work", 0
    with Store(whole.with_name("made")) as store:
        kept = fill(store, *"qarbsctd") | fill(store, *"uevf", steps=50)
        store._database.states.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        kept |= fill(store, "w", "g", parent=8, chat=1, steps=80)
        shutil.copytree(store.directory, whole, ignore=shutil.ignore_patterns("*-shm", "open"))
    for number in range(30):
        shutil.copytree(whole, work)
        path = states_in(work) if number % 3 else Path(f"{states_in(work)}-wal")
        data = bytearray(path.read_bytes())
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data))
            if number % 2:
                data[at] ^= 1 << rng.randrange(8)
            elif number % 4:
                data[at // 512 * 512 : at // 512 * 512 + 512] = bytes(512)
            else:
                del data[max(at, 1) :]
        path.write_bytes(data)
        with Store(work) as store:
            there += len(right(store, kept))
            kept_now = kept | fill(store, "x", "h", parent=14, chat=1, steps=90)  # damage may be met at any time later
            there += len(right(store, kept_now))
            store.messages.end_open_replies(1)
            store.conversations.delete(2)
            store.conversations.purge()
            assert texts(store, 16) == [*"qarbsctdwgxh"] and store.notices == []
        with Store(work) as store:
            there += len(right(store, kept_now))
            assert texts(store, 16) == [*"qarbsctdwgxh"] and store.notices == []
        shutil.rmtree(work)
    assert 50 < there < 3 * 30 * len(kept)


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a directory": lambda states: states.mkdir(),
    "a pipe": lambda states: os.mkfifo(states),
    "a dangling link": lambda states: states.symlink_to("nowhere/at.all"),
    "a file in the directory's place": lambda states: (states.parent.rmdir(), states.parent.touch()),
}


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_where_no_file_can_be_nothing_is_kept_and_nothing_said(tmp_path: Path, what: str) -> None:
    states_in(tmp_path).parent.mkdir()
    IN_THE_WAY[what](states_in(tmp_path))
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        ids = say(store, chat, None, "q", "a")
        assert store.snapshots._put(ids[0], "m", fake(0, 1)) == 0
        assert store.snapshots._get(ids[0], "m") is None and store.snapshots.usage().count == 0
        drop_snapshots(store)
        store.conversations.delete(chat.id)
        store.conversations.purge()
        assert store.notices == []


# --- conversations that are older than their states, or went another way --------------------


def _restored(tmp_path: Path, *more: str) -> tuple[Path, Kept, Kept]:
    """Conversations as they were, beside states of how they went on: what fits, and what was said later."""
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    with Store(data) as store:
        early = fill(store, "q", "a", "r", "b")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(data / "chats.db", backup)
        late = fill(store, *more, parent=4, chat=1, steps=50)
        other = fill(store, "t", "d", steps=70)
    shutil.copy(backup, data / "chats.db")
    return data, early, late | other


def test_conversations_that_were_restored_have_the_states_of_what_is_there(tmp_path: Path) -> None:
    data, early, late = _restored(tmp_path, "old s", "old c")
    with Store(data) as store:
        assert store.snapshots.usage().count == 4  # the others are of nothing that is there
        ids = say(store, store.conversations.get(1), 4, "new s", "new c")
        assert {*ids} < {*late} and [store.snapshots._get(number, "m") for number in ids] == [None, None]
        near = store.snapshots.nearest(ids[-1], dict.fromkeys(("weights", "quantization", "tokenizer", "dtype"), ""))
        assert near is None
        assert right(store, early) == list(early)
        assert right(store, fill(store, "u", "e", parent=ids[-1], chat=1, steps=90)) == [7, 8]
    check(data)


@pytest.mark.parametrize("words", [("new s", "new c"), ("old s", "old c")], ids=["other words", "the same words"])
def test_states_that_come_back_after_the_conversations_went_on(tmp_path: Path, words: tuple[str, str]) -> None:
    """The numbers are of other messages of the same length by then; the same words are those of another moment."""
    data, early, late = _restored(tmp_path, "old s", "old c")
    states_in(data).parent.rename(tmp_path / "away")
    with Store(data) as store:
        ids = say(store, store.conversations.get(1), 4, *words)
        say(store, store.conversations.create("demo", "Another"), None, "v", "f")
    (tmp_path / "away").rename(states_in(data).parent)
    with Store(data) as store:
        assert {*ids} < {*late} and [store.snapshots._get(number, "m") for number in ids] == [None, None]
        assert right(store, early) == list(early)


@pytest.mark.parametrize("finished", [False, True])
def test_a_reply_that_went_another_way_in_a_copy(tmp_path: Path, finished: bool) -> None:
    """The copy was made while it was written: it is the same message, and as long."""
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    with Store(data) as store:
        chat = store.conversations.create("demo", "A chat")
        reply = store.messages.start_reply(chat.id, say(store, chat, None, "q")[0]).id
        store.messages.append(reply, "It was ", [1])
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(data / "chats.db", backup)
        store.messages.append(reply, "a fox", [2])
        if finished:
            store.messages.finish(reply, closed=False)
        store.snapshots._put(reply, "m", fake(0, 5))
        assert store.snapshots._get(reply, "m") is not None
    shutil.copy(backup, data / "chats.db")
    states_in(data).parent.rename(tmp_path / "away")
    with Store(data) as store:
        store.messages.append(reply, "a cat", [3])
    (tmp_path / "away").rename(states_in(data).parent)
    with Store(data) as store:
        assert store.snapshots._get(reply, "m") is None
        assert (
            store.snapshots.nearest(reply, dict.fromkeys(("weights", "quantization", "tokenizer", "dtype"), "")) is None
        )
        store.messages.append(reply, " or two", [4])
        store.messages.finish(reply, closed=False)
        assert store.messages.get(reply).text == "It was a cat or two"
        assert store.snapshots._get(reply, "m") is None


@pytest.mark.parametrize(
    "change", ["chars = chars + 1", "hash = zeroblob(32)", "created = created + 0.001", "message = 1"]
)
def test_all_that_a_message_is_told_by_must_be_the_same(tmp_path: Path, change: str) -> None:
    with Store(tmp_path) as store:
        kept = fill(store, "q", "a", "r", "b")
        store._database.states.rows("UPDATE snapshots SET message = NULL WHERE message = 1")
        store._database.states.rows(f"UPDATE snapshots SET {change} WHERE message = 4")
        assert right(store, kept) == [2, 3]


@pytest.mark.parametrize("lossy", [False, True])
def test_a_file_that_was_made_anew_with_losses_has_no_states(tmp_path: Path, lossy: bool) -> None:
    """What is below a message that is lost has a hash which does not tell what was said above that."""
    _filled(tmp_path, 60)
    kept = {20: 1, 59: 2, 60: 3}
    with Store(tmp_path) as store:
        for number, steps in kept.items():
            store.snapshots._put(number, "m", fake(0, steps), [steps])
    path = tmp_path / "chats.db"
    _zero(path, _page_with(path, "message 0030 ")) if lossy else _zero(path, 0, 100)
    with Store(tmp_path) as store:
        assert "was damaged" in store.notices[0] and (LOST in texts(store, 60)) == lossy
        assert right(store, kept) == ([] if lossy else list(kept))
        assert store.snapshots.usage().count == (0 if lossy else 3)
    check(tmp_path)


# --- neither file waits for the other -----------------------------------------------------


def _writing(store: Store) -> tuple[int, int]:
    """A conversation, and a reply with a state somewhere inside."""
    chat = store.conversations.create("demo", "A chat")
    reply = store.messages.start_reply(chat.id, say(store, chat, None, "q")[0], "Well").id
    store.messages.append(reply, ", it", [1])
    store.snapshots._put(reply, "m", fake(0, 5), [7])
    store.messages.append(reply, " was", [2, 3])
    return chat.id, reply


def test_a_reply_whose_end_was_not_written_keeps_its_state(store: Store) -> None:
    """Its state is taken to the end first; done again, it is done once."""
    chat, reply = _writing(store)
    with pytest.raises(ZeroDivisionError), store._database.transaction() as c:
        store.messages._end(c, reply, closed=False)
        raise ZeroDivisionError
    for _ in range(2):
        found = store.snapshots._get(reply, "m")
        assert found is not None and found[1] == (7, 2, 3) and found[0].digest() == fake(0, 5).digest()
        store.messages.end_open_replies(chat)
    assert not store.messages.get(reply).streaming


def test_a_reply_ends_whatever_becomes_of_its_state(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _, reply = _writing(store)

    def refuse(*_: object) -> None:
        raise StoreError("no")

    monkeypatch.setattr(store._database.states, "write", refuse)
    assert store.messages.finish(reply, closed=False).text == "Well, it was"
    monkeypatch.undo()
    assert store.snapshots._get(reply, "m") is None


def test_a_reply_that_another_model_goes_on_with_has_the_state_of_that_one_only(store: Store) -> None:
    """The ids of the one are other words for the other."""
    chat = store.conversations.create("demo", "A chat")
    reply = store.messages.start_reply(chat.id, say(store, chat, None, "q")[0], "Well").id
    store.messages.finish(reply, closed=False)
    names = ("weights", "quantization", "tokenizer", "dtype")
    one, two = dict.fromkeys(names, "one"), dict.fromkeys(names, "two")
    for steps, identity in ((5, one), (6, two)):
        store.snapshots._put(reply, identity_key(identity), fake(0, steps), [steps])
    store.messages.reopen(reply, two)
    assert store.snapshots.nearest(reply, one) is None
    store.messages.append(reply, ", yes", [1001])
    store.messages.finish(reply, closed=False)
    found = store.snapshots._get(reply, identity_key(two))
    assert found is not None and found[1] == (6, 1001)
    assert store.snapshots._get(reply, identity_key(one)) is None
    store.messages.reopen(reply)  # nobody knows by whom
    assert store.snapshots._get(reply, identity_key(two)) is None


def test_a_text_waits_for_nobody_who_writes_a_state(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        fill(store, "q", "a")
        other = sqlite3.connect(states_in(tmp_path), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        say(store, store.conversations.create("demo", "Another"), None, "r")
        assert len(texts(store, 3)) == 1
        other.close()


def test_states_of_a_purged_conversation_go_when_they_are_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file could not be written then."""
    with Store(tmp_path) as store:
        kept = fill(store, "q", "a")
        fill(store, "r", "b")
        monkeypatch.setattr(store._database.states, "write_quietly", lambda *_: None)
        store.conversations.delete(2)
        store.conversations.purge()
        assert store.snapshots.usage().count == 4
    with Store(tmp_path) as store:
        assert store.snapshots.usage().count == 2 and right(store, kept) == list(kept)


def test_states_of_conversations_that_have_another_id_by_now_are_not_taken_along(store: Store) -> None:
    """What was said may have been lost meanwhile."""
    kept = fill(store, "q", "a")
    with store.lock(1):  # type: ignore[union-attr]
        store._database.rows("UPDATE pairing SET id = randomblob(16)")
        _gone(states_in(store.directory))
        kept |= fill(store, "r", "b", parent=2, chat=1, steps=50)
        assert right(store, kept) == [3, 4]


def test_states_give_way_where_their_log_has_no_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = fill(store, "q", "a")
    states = store._database.states
    states.rows("UPDATE snapshots SET data = randomblob(2000000)")

    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("rgmlx.store.states.states._drop_snapshots", full)
    store._database._free_space()
    assert states.path.stat().st_size < 100_000 and store.snapshots.usage().count == 0
    store._database._free_space()  # there is none to be made
    assert right(store, kept | fill(store, "r", "b", parent=2, chat=1, steps=50)) == [3, 4]


def test_what_one_process_makes_anew_another_finds(tmp_path: Path) -> None:
    with Store(tmp_path) as one, Store(tmp_path) as two:
        kept = fill(one, "q", "a")
        assert right(two, kept) == [1, 2]
        assert one._database.states._recreate("it is tried")
        assert right(one, kept) == []
        kept = fill(two, "r", "b", parent=2, chat=1, steps=50)
        assert right(one, kept) == [3, 4] == right(two, kept)
    check(tmp_path)


def test_damage_that_only_a_write_meets(tmp_path: Path) -> None:
    """It is written into the new file."""
    with Store(tmp_path) as store:
        kept, calls = fill(store, "q", "a"), list[int]()

        def write(c: sqlite3.Connection) -> None:
            calls.append(c.execute("SELECT count(*) FROM snapshots").fetchone()[0])
            if len(calls) == 1:
                c.execute("DROP TABLE snapshots")
            c.execute("UPDATE snapshots SET used = 1")

        store._database.states.write(write)
        assert calls == [2, 0] and right(store, kept) == []
        with store._database.states.transaction() as c:  # not while something is being written
            c.execute("CREATE TABLE mine (n)")
            assert store._database.states.rows("SELECT * FROM nowhere") == []
            c.execute("INSERT INTO mine VALUES (1)")
        assert store._database.states.rows("SELECT * FROM mine") == [(1,)]


# --- a file for reading -------------------------------------------------------------------

_READS = """
import sys; sys.path[:0] = sys.argv[1], sys.argv[1] + "/../scripts"
import rooms; from pathlib import Path; import test_store_states as t
from rgmlx.store import Store
with Store(Path(sys.argv[2])) as store:
    assert store.read_only
    assert t.right(store, {1: 1, 2: 4}) == ([] if sys.argv[3] else [1, 2]), store.snapshots.usage()
    assert store.snapshots._put(1, "m", t.fake(0, 9)) == 0
    store.close()
"""


@pytest.mark.parametrize("spoil", [None, _garbage, _of_others], ids=["whole", "garbage", "of others"])
def test_states_of_conversations_that_can_not_be_written_are_read(
    tmp_path: Path, spoil: Callable[[Path], None] | None
) -> None:
    """And stay as they are, of use or not."""
    data = tmp_path / "data"
    with Store(data) as store:
        fill(store, "q", "a")
    if spoil:
        spoil(states_in(data))
    before = states_in(data).read_bytes()
    for path in (states_in(data), data / "chats.db"):
        path.chmod(0o400)
        path.parent.chmod(0o500)
    try:
        command = [
            *AS_USER,
            sys.executable,
            "-c",
            _READS,
            str(rooms.TESTS),
            str(data),
            "spoilt" * bool(spoil),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        mode = stat.S_IMODE(states_in(data).parent.stat().st_mode)
    finally:
        for path in (data, states_in(data).parent):
            path.chmod(0o700)
    assert not done.returncode, done.stderr
    assert states_in(data).read_bytes() == before and mode == 0o500
