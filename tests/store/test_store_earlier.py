"""Conversations of an earlier version, with the states in their own file: moved when opened, at no text's cost."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import rooms
from piped import AS_USER
from stores import check, say, texts
from test_store_snapshots import fake
from test_store_states import Kept, fill, right, states_in
from waiting import PATIENCE

from rgmlx.store import Store
from rgmlx.store.states import legacy_states

EARLIER = """
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    message INTEGER REFERENCES messages (id),
    identity TEXT NOT NULL,
    base INTEGER REFERENCES snapshots (id) DEFERRABLE INITIALLY DEFERRED,
    links INTEGER NOT NULL,
    chars INTEGER NOT NULL,
    hash BLOB,
    digest BLOB NOT NULL,
    checksum BLOB NOT NULL,
    size INTEGER NOT NULL,
    used INTEGER NOT NULL,
    unread BLOB NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (message, identity)
);
CREATE INDEX snapshots_by_base ON snapshots (base);
CREATE INDEX snapshots_by_use ON snapshots (used, id, size);
CREATE INDEX snapshots_by_conversation ON snapshots (conversation, identity);
CREATE INDEX snapshots_replaced ON snapshots (id) WHERE message IS NULL;
"""


def as_earlier(data: Path) -> None:
    """Puts the states where an earlier version had them."""
    c = sqlite3.connect(data / "chats.db", isolation_level=None)
    c.execute("ATTACH ? AS states", (str(states_in(data)),))
    c.executescript(f"BEGIN; {EARLIER} DROP TABLE main.pairing; COMMIT;")
    columns = (
        "id, conversation, message, identity, base, links, chars, hash, digest, checksum, size, used, unread, data"
    )
    c.execute(f"INSERT INTO main.snapshots ({columns}) SELECT {columns} FROM states.snapshots")
    c.execute("UPDATE main.snapshots SET hash = NULL WHERE message IN (SELECT id FROM messages WHERE streaming)")
    c.close()
    shutil.rmtree(states_in(data).parent)


def tables(data: Path) -> list[str]:
    c = sqlite3.connect(data / "chats.db")
    found = [name for (name,) in c.execute("SELECT name FROM sqlite_master")]
    c.close()
    return found


def made(data: Path) -> Kept:
    """Conversations of an earlier version, one of them with a reply that a dead process left open."""
    with Store(data) as store:
        kept = fill(store, "q", "a", "r", "b") | fill(store, "s", "c", steps=50)
        chat = store.conversations.create("demo", "Open")
        reply = store.messages.start_reply(chat.id, say(store, chat, None, "t")[0], "Well").id
        store.messages.append(reply, ", it", [1])
        store.snapshots._put(reply, "m", fake(0, 5), [7])
        store.messages.append(reply, " was", [2])
    as_earlier(data)
    return kept


def as_they_were(store: Store, *, at_least: int = 0) -> list[int]:
    """What of the states is there, and all texts."""
    assert store.notices == []
    assert texts(store, 4) == ["q", "a", "r", "b"] and texts(store, 6) == ["s", "c"]
    with store.lock(3):  # type: ignore[union-attr]  # and ends the open reply
        assert texts(store, 8) == ["t", "Well, it was"]
    found = store.snapshots._get(8, "m")
    assert found is None or (found[1], found[0].digest()) == ((7, 2), fake(0, 5).digest())
    there = right(store, {1: 1, 2: 4, 3: 7, 4: 10, 5: 51, 6: 54}) + ([] if found is None else [8])
    assert len(there) >= at_least
    return there


def test_states_are_moved_and_nothing_is_lost(tmp_path: Path) -> None:
    made(tmp_path)
    size = (tmp_path / "chats.db").stat().st_size
    with Store(tmp_path) as store:
        assert as_they_were(store) == [1, 2, 3, 4, 5, 6, 8]
    assert "snapshots" not in tables(tmp_path) and "snapshots_by_use" not in tables(tmp_path)
    assert (tmp_path / "chats.db").stat().st_size < size - 20_000
    assert not list(tmp_path.glob("*.format-*"))  # it is of the same version
    check(tmp_path)
    with Store(tmp_path) as store:
        assert as_they_were(store) == [1, 2, 3, 4, 5, 6, 8]


def test_an_earlier_version_may_have_it_again_in_between(tmp_path: Path) -> None:
    """It makes its table again, and has states of its own there."""
    made(tmp_path)
    with Store(tmp_path) as store:
        as_they_were(store)
    away = tmp_path / "away"
    shutil.copytree(states_in(tmp_path).parent, away)
    as_earlier(tmp_path)
    shutil.copytree(away, states_in(tmp_path).parent)  # the ones that were moved before
    with Store(tmp_path) as store:
        assert as_they_were(store) == [1, 2, 3, 4, 5, 6, 8]
        kept = fill(store, "u", "d", parent=4, chat=1, steps=70)
        assert right(store, kept) == [9, 10]


def test_of_many_states_those_used_last_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path)
    c = sqlite3.connect(tmp_path / "chats.db")
    (size,) = c.execute("SELECT sum(size) FROM snapshots WHERE message > 4").fetchone()
    c.close()
    monkeypatch.setattr(legacy_states, "_MOVED", size + 1)
    with Store(tmp_path) as store:
        assert as_they_were(store) == [5, 6, 8]
    check(tmp_path)


@pytest.mark.parametrize("what", ["rows", "no place", "pages"])
def test_states_that_can_not_be_moved_cost_no_text(tmp_path: Path, what: str) -> None:
    made(tmp_path)
    path = tmp_path / "chats.db"
    c = sqlite3.connect(path)
    with c:
        if what == "rows":
            c.execute("UPDATE snapshots SET data = zeroblob(9), size = 'much', hash = 7, chars = x'ff'")
        root = c.execute("SELECT rootpage FROM sqlite_master WHERE name = 'snapshots'").fetchone()[0]
    c.close()
    if what == "no place":
        (tmp_path / "states").touch()
    elif what == "pages":
        data = bytearray(path.read_bytes())
        data[(root - 1) * 4096 : root * 4096] = random.Random(1).randbytes(4096)
        path.write_bytes(data)
    with Store(tmp_path) as store:
        if what == "pages":
            assert "no message is known to be lost" in store.notices.pop(0)
        assert as_they_were(store) == []
    assert "snapshots" not in tables(tmp_path)
    check(tmp_path)


def test_for_reading_they_stay_where_they_are(tmp_path: Path) -> None:
    """Conversations on a medium that can't be written are of the same version."""
    made(tmp_path / "data")
    code = (
        "import sys; from rgmlx.store import Store\n"
        "with Store(sys.argv[1]) as store:\n"
        "    assert store.read_only and [m.text for m in store.messages.path(4)] == ['q', 'a', 'r', 'b']\n"
        "    assert store.snapshots.usage().count == 0"
    )
    (tmp_path / "data" / "chats.db").chmod(0o400)
    (tmp_path / "data").chmod(0o500)
    try:
        command = [*AS_USER, sys.executable, "-c", code, str(tmp_path / "data")]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        (tmp_path / "data").chmod(0o700)
        (tmp_path / "data" / "chats.db").chmod(0o600)
    assert not done.returncode, done.stderr
    with Store(tmp_path / "data") as store:
        assert as_they_were(store) == [1, 2, 3, 4, 5, 6, 8]


# --- killed meanwhile ---------------------------------------------------------------------


def kill_at_any_step(whole: Path, work: Path) -> None:
    """Run in a process of its own: the one that opens ends right before each statement, and each file it touches."""
    connect, steps = sqlite3.connect, [0]

    def step() -> None:
        steps[0] -= 1
        if not steps[0]:
            os._exit(9)

    class Counting(sqlite3.Connection):
        def execute(self, *arguments: object) -> sqlite3.Cursor:  # type: ignore[override]
            step()
            return super().execute(*arguments)  # type: ignore[arg-type]

        def executescript(self, script: str) -> sqlite3.Cursor:  # type: ignore[override]
            for line in script.split(";"):
                if line.strip():
                    step()
            return super().executescript(script)

    least, most = 7, 0
    for number in range(1, 1000):
        shutil.copytree(whole, work)
        if not (child := os.fork()):
            sqlite3.connect = lambda *a, **k: connect(*a, factory=Counting, **k)  # type: ignore[assignment]
            sys.addaudithook(lambda event, _: step() if event in ("os.remove", "open", "os.chmod") else None)
            steps[0] = number
            try:
                Store(work).close()
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, 9), code
        with Store(work) as store:
            there = as_they_were(store)
            least, most = min(least, len(there)), max(most, len(there))
        assert "snapshots" not in tables(work)
        check(work)
        shutil.rmtree(work)
        if code == 0:
            break
    print("steps", number, "states", least, most)


def test_a_kill_at_any_step_loses_no_text_and_gives_no_wrong_state(tmp_path: Path) -> None:
    made(tmp_path / "whole")
    code = (
        "import sys; sys.path[:0] = sys.argv[1], sys.argv[1] + '/../scripts'\n"
        "import rooms; from pathlib import Path; import test_store_earlier as t\n"
        "t.kill_at_any_step(Path(sys.argv[2]) / 'whole', Path(sys.argv[2]) / 'work')"
    )
    command = [sys.executable, "-c", code, str(rooms.TESTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert not done.returncode, done.stdout + done.stderr
    _, steps, _, least, most = done.stdout.split()
    assert int(steps) > 60 and int(least) == int(most) == 7
