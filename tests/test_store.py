"""Conversations on disk: trees of messages, search, two processes, and what disks do to files."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rgmlx.store import MODEL, USER, Conversation, Store, StoreError, messages, migrations

PYTHON = [sys.executable, "-c"]


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path) as store:
        yield store


@pytest.fixture
def chat(store: Store) -> Conversation:
    return store.conversations.create("demo", "A chat")


def say(store: Store, chat: Conversation, parent: int | None, *texts: str) -> list[int]:
    """Messages after one another, the user's and the model's in turn."""
    ids = []
    for i, text in enumerate(texts):
        if i % 2 == 0:
            parent = store.messages.add_user(chat.id, parent, text).id
        else:
            parent = store.messages.start_reply(chat.id, parent).id
            store.messages.append(parent, text)
            store.messages.finish(parent, closed=True)
        ids.append(parent)
    return ids


def texts(store: Store, message: int | None) -> list[str]:
    return [m.text for m in store.messages.path(message)]


def check(directory: Path) -> None:
    connection = sqlite3.connect(directory / "chats.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for index in ("message_index", "title_index"):
        connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
    connection.close()


# --- conversations ------------------------------------------------------------------------


def test_a_conversation_is_as_it_was_made(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        made = store.conversations.create("2b", "Tïtle 🦊", "Be brief.", {"temperature": 0.5, "stop": ["a"]})
    with Store(tmp_path) as store:
        assert store.conversations.get(made.id) == made
        assert store.notices == []
    assert (made.title, made.system, made.settings) == ("Tïtle 🦊", "Be brief.", {"temperature": 0.5, "stop": ["a"]})
    assert (made.head, made.archived, made.deleted) == (None, False, None)


def test_the_list(store: Store) -> None:
    a, b, c = (store.conversations.create("demo", t).id for t in "abc")
    assert [v.title for v in store.conversations.listed()] == ["c", "b", "a"]
    store.messages.add_user(b, None, "hello")  # the one last written in is the first
    assert [v.id for v in store.conversations.listed()] == [b, c, a]
    store.conversations.archive(c)
    assert [v.id for v in store.conversations.listed()] == [b, a]
    assert [v.id for v in store.conversations.listed(archived=True)] == [c]
    assert [v.id for v in store.conversations.listed(archived=None, limit=2, after=1)] == [c, a]
    store.conversations.delete(b)
    assert [v.id for v in store.conversations.listed(archived=None)] == [c, a]
    assert [v.id for v in store.conversations.deleted()] == [b]
    store.conversations.undelete(b)
    store.conversations.archive(c, False)
    store.conversations.rename(a, "other")
    assert [v.title for v in store.conversations.listed()] == ["b", "c", "other"]


def test_purge_removes_only_what_was_deleted_long_enough(store: Store) -> None:
    kept, gone = store.conversations.create("demo"), store.conversations.create("demo")
    say(store, kept, None, "a", "b")
    say(store, gone, None, *["c"] * 40)
    store.conversations.delete(gone.id)
    assert store.conversations.purge(older_than=3600) == 0
    assert store.conversations.get(gone.id).deleted is not None
    assert store.conversations.purge() == 1
    with pytest.raises(StoreError, match="no conversation"):
        store.conversations.get(gone.id)
    assert len(store.messages.tree(kept.id)) == 2
    assert store.messages.tree(gone.id) == []
    check(store.directory)


def test_refusals(store: Store, chat: Conversation) -> None:
    other = store.conversations.create("demo")
    (theirs,) = say(store, other, None, "theirs")
    for refused in (
        lambda: store.conversations.get(99),
        lambda: store.conversations.rename(99, "x"),
        lambda: store.conversations.delete(99),
        lambda: store.conversations.set_head(chat.id, theirs),
        lambda: store.conversations.set_head(chat.id, 99),
        lambda: store.conversations.set_settings(chat.id, {"x": object()}),
        lambda: store.conversations.set_system(other.id, "x"),
        lambda: store.messages.get(99),
        lambda: store.messages.add_user(99, None, "x"),
        lambda: store.messages.add_user(chat.id, theirs, "x"),
        lambda: store.messages.append(theirs, "x"),
        lambda: store.messages.finish(99, closed=True),
        lambda: store.snapshots.nearest(99, dict.fromkeys(("weights", "quantization", "tokenizer", "dtype"), "")),
    ):
        with pytest.raises(StoreError) as e:
            refused()
        assert ":" in str(e.value) and "\n" not in str(e.value)
    assert store.conversations.get(chat.id) == chat
    store.conversations.set_system(chat.id, "now")
    store.conversations.set_model(chat.id, "9b")
    store.conversations.set_settings(chat.id, {"seed": 1})
    now = store.conversations.get(chat.id)
    assert (now.system, now.model, now.settings) == ("now", "9b", {"seed": 1})


# --- messages -----------------------------------------------------------------------------


def test_a_tree(store: Store, chat: Conversation) -> None:
    q, a, _, _ = say(store, chat, None, "q", "a", "q2", "a2")
    b = store.messages.start_reply(chat.id, q, "b")
    store.messages.finish(b.id, closed=False)
    other = store.messages.add_user(chat.id, None, "edited q").id
    assert texts(store, b.id) == ["q", "b"]
    assert texts(store, store.messages.tip(a)) == ["q", "a", "q2", "a2"]
    assert store.messages.siblings(b.id) == store.messages.children(q) == [a, b.id]
    assert store.messages.siblings(other) == [q, other] and store.messages.children(other) == []
    found = [store.messages.get(one) for one in (a, b.id, q, other)]
    assert [(m.text, m.number, m.siblings) for m in found] == [
        ("a", 1, 2),
        ("b", 2, 2),
        ("q", 1, 2),
        ("edited q", 2, 2),
    ]
    assert store.conversations.get(chat.id).head == other
    store.conversations.set_head(chat.id, a)
    assert store.conversations.get(chat.id).head == a
    assert store.messages.path(None) == []
    assert [m.text for m in store.messages.window(store.messages.tip(a), 3)] == ["a", "q2", "a2"]


def test_hashes_tell_contents_and_all_before_them(store: Store) -> None:
    a, b = store.conversations.create("demo", "a"), store.conversations.create("demo", "b")
    c = store.conversations.create("demo", "c", system="Be brief.")
    paths = [store.messages.path(say(store, chat, None, "x", "y", "z")[-1]) for chat in (a, b, c)]
    hashes = [[m.hash for m in path] for path in paths]
    assert hashes[0] == hashes[1]
    assert len({h for path in hashes for h in path}) == 6  # under another system text all differ
    whole = store.messages.start_reply(a.id, paths[0][0].id, "y")  # in one piece, but cut short
    assert store.messages.finish(whole.id, closed=False).hash not in hashes[0]
    assert messages.content_hash(b"", USER, ["ab", "c"], True) == messages.content_hash(b"", USER, ["abc"], True)
    assert messages.content_hash(b"", USER, ["ab"], True) != messages.content_hash(b"", MODEL, ["ab"], True)


def test_a_reply_grows_and_ends(store: Store, chat: Conversation) -> None:
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q, "Well")
    assert (reply.text, reply.closed, reply.streaming) == ("Well", False, True)
    for i in range(10):
        store.messages.append(reply.id, f", {i}")
        store.messages.append(reply.id, "")
    expected = "Well" + "".join(f", {i}" for i in range(10))
    assert store.messages.get(reply.id).text == expected
    assert store.messages.window(reply.id, 1, chars=5)[0].text == ", 8, 9"
    assert store.messages.window(reply.id, 1, chars=1000)[0].text == expected
    done = store.messages.finish(reply.id, closed=True)
    assert (done.text, done.closed, done.streaming) == (expected, True, False)
    assert store.messages.finish(reply.id, closed=False) == done
    with pytest.raises(StoreError, match="not being written"):
        store.messages.append(reply.id, "more")
    assert store._database.row("SELECT count(*) FROM pieces") == (0,)
    assert done.hash == messages.content_hash(store.messages.get(q).hash, MODEL, [expected], True)


def test_a_reply_too_long_to_fold_stays_in_pieces(store: Store, chat: Conversation, monkeypatch) -> None:
    monkeypatch.setattr(messages, "FOLD_CHARS", 100)
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q)
    for _ in range(30):
        store.messages.append(reply.id, "grüße")
    done = store.messages.finish(reply.id, closed=True)
    assert done.text == "grüße" * 20  # the end of it
    done = store.messages.get(reply.id)
    assert done.text == "grüße" * 30
    assert done.hash == messages.content_hash(store.messages.get(q).hash, MODEL, ["grüße" * 30], True)
    assert (done.streaming, done.closed) == (False, True)
    assert store.messages.window(reply.id, 2, chars=7)[1].text == "grüße" * 2
    assert [m.text for m in store.messages.path(say(store, chat, reply.id, "next")[0])][1] == done.text
    again = store.exchange.from_json(store.exchange.to_json(chat.id))
    assert [m.hash for m in store.messages.tree(again.id)] == [m.hash for m in store.messages.tree(chat.id)]


def test_a_growing_reply_costs_what_is_added(store: Store, chat: Conversation) -> None:
    """The file's pages written for the last second of a long reply are those for the first."""
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q)
    store._database.rows("PRAGMA wal_autocheckpoint = 0")
    sizes = []
    for _ in range(200):
        before = (store.directory / "chats.db-wal").stat().st_size
        store.messages.append(reply.id, "x" * 1000)
        sizes.append((store.directory / "chats.db-wal").stat().st_size - before)
    assert sum(sizes[-50:]) < 1.5 * sum(sizes[20:70])


def test_a_message_after_an_open_reply_ends_it(store: Store, chat: Conversation) -> None:
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q, "so far")
    store.messages.add_user(chat.id, reply.id, "wait")
    ended = store.messages.get(reply.id)
    assert (ended.text, ended.closed, ended.streaming) == ("so far", False, False)


def test_discard(store: Store, chat: Conversation) -> None:
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q)
    with pytest.raises(StoreError, match="others after it"):
        store.messages.discard(q)
    store.messages.discard(reply.id)
    assert store.conversations.get(chat.id).head == q
    store.messages.discard(q)
    assert store.conversations.get(chat.id).head is None
    check(store.directory)


@pytest.mark.parametrize("text", ["", "a\0b", "line\r\nline\n", "🦊" * 1000, "'; DROP TABLE messages; --", "\x1b[31m"])
def test_any_text_comes_back(store: Store, chat: Conversation, text: str) -> None:
    ids = say(store, chat, None, text, text)
    assert texts(store, ids[-1]) == [text, text]


def test_what_no_encoding_can_hold_is_replaced(store: Store, chat: Conversation) -> None:
    assert texts(store, say(store, chat, None, "a\udcffb", "\ud83e\udd8a")[-1]) == ["a\ufffdb", "🦊"]
    assert store.search.find("a\udcffb") is not None


def test_a_hundred_thousand_messages(store: Store, chat: Conversation) -> None:
    """Paths are walked without recursion, and a screen costs what is on it."""
    with store._database.transaction() as c:  # rows as they are, since only the walking is of interest here
        c.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, 'user', 'text', 4, 1, 0, 0, x'00', 0)",
            ((i + 1, chat.id, i or None, i) for i in range(100_000)),
        )
    start = time.perf_counter()
    path = store.messages.path(100_000)
    whole = time.perf_counter() - start
    assert [m.id for m in path] == list(range(1, 100_001))
    start = time.perf_counter()
    for _ in range(10):
        assert [m.depth for m in store.messages.window(100_000, 50)] == list(range(99_950, 100_000))
        assert [m.depth for m in store.messages.window(50_000, 50)] == list(range(49_950, 50_000))
    assert (time.perf_counter() - start) / 20 < whole / 50
    assert store.messages.tip(1) == 100_000
    assert whole < 10
    assert store.messages.add_user(chat.id, 100_000, "one more").depth == 100_000
    store.conversations.delete(chat.id)
    assert store.conversations.purge() == 1


# --- search -------------------------------------------------------------------------------


def test_search(store: Store, chat: Conversation) -> None:
    q, a = say(store, chat, None, "Where do foxes sleep?", "In a den, under the old oak tree.")
    (hit,) = store.search.find("old OAK")
    assert (hit.conversation, hit.message, hit.title) == (chat.id, a, "A chat")
    assert [text for text, found in hit.snippet if found] == ["old", "oak"]
    assert "".join(text for text, _ in hit.snippet) == "In a den, under the old oak tree."
    assert [h.message for h in store.search.find("fox")] == [q]  # the last word may be unfinished
    assert store.search.find("fox sleep") == []
    assert [h.message for h in store.search.find("chat")] == [None]
    assert store.search.find("oak nothing") == []
    store.conversations.rename(chat.id, "Käse")
    assert store.search.find("chat") == []
    assert store.search.find("kase")[0].snippet == (("Käse", True),)
    store.conversations.delete(chat.id)
    assert store.search.find("oak") == [] and store.search.find("kase") == []
    store.conversations.undelete(chat.id)
    assert store.search.find("oak")
    store.messages.discard(a)
    assert store.search.find("oak") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        '"',
        "'",
        "*",
        "a*b",
        "AND",
        "NOT fox",
        "fox OR",
        "NEAR(a b)",
        "text:",
        "^x",
        "-",
        "(",
        ")",
        "a-b",
        "{x}",
        "\0",
        "fox\0den",
        "%",
        "__",
        "日本",
        "a" * 10_000,
        "w " * 1000,
        "\ue000",
        'x" OR "y',
        "; DROP TABLE messages",
    ],
)
def test_nothing_typed_is_a_syntax_error(store: Store, chat: Conversation, text: str) -> None:
    say(store, chat, None, "fox and a den " + text)
    found = store.search.find(text)
    assert bool(found) == any(c.isalnum() for c in text)
    for hit in found:
        assert not {"\ue000", "\ue001"} & set("".join(t for t, _ in hit.snippet))


# --- two processes ------------------------------------------------------------------------

_WRITER = """
import sys
from rgmlx.store import Store
directory, chat, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with Store(directory) as store:
    own = store.conversations.create("demo", name)
    parent = None
    for i in range(30):
        store.messages.add_user(chat, None, f"{name} {i}")
        parent = store.messages.add_user(own.id, parent, f"question {i}").id
        parent = store.messages.start_reply(own.id, parent).id
        for part in ("a ", "b ", "c"):
            store.messages.append(parent, part)
        store.messages.finish(parent, closed=True)
"""


def test_two_processes_write_at_once(store: Store, chat: Conversation) -> None:
    """Into the same conversation and into their own: nothing is lost or refused."""
    command = [*PYTHON, _WRITER, str(store.directory), str(chat.id)]
    running = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in ("one", "two")]
    for process in running:
        assert process.communicate(timeout=60)[1] == ""
    first = store.messages.tree(chat.id)[0]
    roots = [store.messages.get(one).text for one in store.messages.siblings(first.id)]
    assert sorted(roots) == sorted(f"{name} {i}" for name in ("one", "two") for i in range(30))
    for name in ("one", "two"):  # each in its own order
        assert [r for r in roots if r.startswith(name)] == [f"{name} {i}" for i in range(30)]
    for own in store.conversations.listed():
        if own.id != chat.id:
            expected = [t for i in range(30) for t in (f"question {i}", "a b c")]
            assert texts(store, own.head) == expected
    check(store.directory)


def test_several_processes_begin_a_store_at_once(tmp_path: Path) -> None:
    code = "import sys; from rgmlx.store import Store; print(Store(sys.argv[1]).conversations.create('demo').id)"
    command = [*PYTHON, code, str(tmp_path / "new")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert sorted(process.communicate(timeout=60) for process in running) == [(f"{i}\n", "") for i in range(1, 5)]


def test_a_conversation_is_open_in_one_process(store: Store, chat: Conversation) -> None:
    code = (
        "import sys; from rgmlx.store import Store\n"
        "store = Store(sys.argv[1]); taken = store.claim(int(sys.argv[2]))\n"
        "print(taken is not None, flush=True); sys.stdin.read()"
    )
    command = [*PYTHON, code, str(store.directory), str(chat.id)]
    other = store.conversations.create("demo")
    mine = store.claim(chat.id)
    assert mine is not None
    assert store.claim(chat.id) is None
    with store.claim(other.id) as theirs:
        assert theirs is not None
    theirs.release()
    assert subprocess.run(command, input="", capture_output=True, text=True).stdout == "False\n"
    mine.release()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    assert store.claim(chat.id) is None
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q, "half a")
    process.kill()  # a claim dies with its process, however that dies
    process.communicate()
    with store.claim(chat.id) as mine:
        assert mine is not None
        settled = store.messages.get(reply.id)
        assert (settled.text, settled.streaming, settled.closed) == ("half a", False, False)


def test_what_has_returned_is_on_the_disk(store: Store) -> None:
    """Killing a process can't show it, since the system still writes for the dead: so the settings are looked at."""
    settings = [store._database.row(f"PRAGMA {what}")[0] for what in ("journal_mode", "synchronous", "foreign_keys")]
    assert settings == ["wal", 2, 1]


# --- versions, damage, full disks ---------------------------------------------------------


def _version_0(directory: Path) -> None:
    connection = sqlite3.connect(directory / "chats.db")
    connection.executescript("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('from long ago')")
    connection.close()


def _to_1(connection: sqlite3.Connection) -> None:
    notes = connection.execute("SELECT text FROM notes").fetchall()
    connection.execute("DROP TABLE notes")
    statement = ""
    for line in migrations.SCHEMA.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    for (text,) in notes:
        sql = "INSERT INTO conversations (title, model, settings, created, updated) VALUES (?, 'demo', '{}', 1, 1)"
        connection.execute(sql, (text,))


def test_an_older_schema_is_upgraded_with_a_copy_beside_it(tmp_path: Path, monkeypatch) -> None:
    _version_0(tmp_path)
    monkeypatch.setattr(migrations, "STEPS", {0: _to_1})
    with Store(tmp_path) as store:
        assert [c.title for c in store.conversations.listed()] == ["from long ago"]
        (notice,) = store.notices
        store.messages.add_user(store.conversations.listed()[0].id, None, "and now")
    (copy,) = tmp_path.glob("chats.format-0-*.db")
    assert str(copy) in notice
    assert sqlite3.connect(copy).execute("SELECT text FROM notes").fetchall() == [("from long ago",)]
    with Store(tmp_path) as store:
        assert store.notices == []
    check(tmp_path)


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    _version_0(tmp_path)

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE notes")
        connection.execute("SELECT * FROM nowhere")

    monkeypatch.setattr(migrations, "STEPS", {0: broken})
    with pytest.raises(StoreError, match="can't be used"):
        Store(tmp_path)
    monkeypatch.setattr(migrations, "STEPS", {})
    with pytest.raises(StoreError, match="not a store of rgmlx"):
        Store(tmp_path)
    assert sqlite3.connect(tmp_path / "chats.db").execute("SELECT text FROM notes").fetchall() == [("from long ago",)]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.conversations.create("demo", "kept")
    connection = sqlite3.connect(tmp_path / "chats.db")
    connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer rgmlx"):
        Store(tmp_path)
    assert sqlite3.connect(tmp_path / "chats.db").execute("SELECT title FROM conversations").fetchall() == [("kept",)]


def _damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "not a database":
        data = bytearray(b"hello " * 1000)
    elif how == "cut in half":
        data = data[: len(data) // 2 // 4096 * 4096]
    elif how == "overwritten":
        data[8192 : len(data) - 8192] = os.urandom(len(data) - 16384)
    else:
        data[:100] = bytes(100)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["not a database", "cut in half", "overwritten", "no header"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, how: str) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, *["some text " * 50] * 40)
    _damage(tmp_path / "chats.db", how)
    damaged = (tmp_path / "chats.db").read_bytes()
    with Store(tmp_path) as store:
        (notice,) = store.notices
        assert store.conversations.listed() == []
        store.conversations.create("demo", "new")
    (kept,) = tmp_path.glob("chats.damaged-*.db")
    assert str(kept) in notice
    assert len(kept.read_bytes()) == len(damaged)
    with Store(tmp_path) as store:
        assert store.notices == []
        assert [c.title for c in store.conversations.listed()] == ["new"]


def test_damage_met_later_is_one_sentence_and_set_aside_next_time(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, *["some text " * 50] * 200)
    with Store(tmp_path) as store:
        _damage(tmp_path / "chats.db", "overwritten")
        store._database.rows("PRAGMA shrink_memory")  # what it has in memory is whole
        with pytest.raises(StoreError, match="damaged: start again"):
            store.messages.tree(chat.id)
    with Store(tmp_path) as store:
        assert "kept as" in store.notices[0]


def test_a_full_disk_is_one_sentence_and_loses_nothing(store: Store, chat: Conversation) -> None:
    before = say(store, chat, None, "q", "a")
    pages = store._database.row("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full"):
        say(store, chat, before[-1], "x" * 100_000)
    assert store.conversations.get(chat.id).head == before[-1]
    store._database.rows("PRAGMA max_page_count = 1000000")
    say(store, chat, before[-1], "x" * 100_000)  # room was made: it goes on
    check(store.directory)


def test_a_write_that_fails_for_real(store: Store, chat: Conversation) -> None:
    """A limit on the size of files, in another process: the same as a disk that fills up while writing."""
    before = say(store, chat, None, "q", "a")
    code = (
        "import resource, signal, sys; from rgmlx.store import Store, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = Store(sys.argv[1]); head = int(sys.argv[3])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    for _ in range(1000): head = store.messages.add_user(int(sys.argv[2]), head, 'y' * 20_000).id\n"
        "except StoreError as e: print(head, e)\n"
    )
    command = [*PYTHON, code, str(store.directory), str(chat.id), str(before[-1])]
    done = subprocess.run(command, capture_output=True, text=True)
    head, _, sentence = done.stdout.partition(" ")
    assert "disk" in sentence, done.stderr
    assert store.conversations.get(chat.id).head == int(head)
    assert len(store.messages.path(int(head))) > 2
    check(store.directory)


@contextlib.contextmanager
def nobody():
    """Root may write anywhere: be nobody for a moment."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.conversations.create("demo", "kept")
    (tmp_path / "chats.db").chmod(0o444)
    tmp_path.chmod(0o555)
    with nobody(), pytest.raises(StoreError, match="name another directory"):
        Store(tmp_path)
    with nobody(), pytest.raises(StoreError, match="name another directory"):
        Store(tmp_path / "below")
    tmp_path.chmod(0o755)
    (tmp_path / "chats.db").chmod(0o644)
    with Store(tmp_path) as store:
        assert [c.title for c in store.conversations.listed()] == ["kept"]
        assert store.notices == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="name another directory"):
        Store(tmp_path / "file")


# --- exchange -----------------------------------------------------------------------------


def test_markdown(store: Store) -> None:
    chat = store.conversations.create("2b", "On\nfoxes", "Be brief.")
    ids = say(store, chat, None, "Where?", "In a den.\n", "Sure?")
    cut = store.messages.start_reply(chat.id, ids[-1], "Ye")
    text = store.exchange.markdown(chat.id)
    assert text.startswith("# On foxes\n\n*2b, ")
    body = text.split("\n\n", 2)[2]
    assert body == (
        "## System\n\nBe brief.\n\n## You\n\nWhere?\n\n## Model\n\nIn a den.\n\n## You\n\nSure?\n\n"
        "## Model\n\nYe\n\n*(cut short)*\n"
    )
    assert "Sure?" not in store.exchange.markdown(chat.id, ids[1])
    assert cut.streaming


def test_json_there_and_back(store: Store, tmp_path: Path) -> None:
    chat = store.conversations.create("2b", "On foxes 🦊", "Be brief.", {"seed": 3})
    ids = say(store, chat, None, "q", "a", "q2", "a2")
    store.messages.finish(store.messages.start_reply(chat.id, ids[0], "b").id, closed=False)
    store.conversations.set_head(chat.id, ids[1])
    store.conversations.archive(chat.id)
    text = store.exchange.to_json(chat.id)
    with Store(tmp_path / "elsewhere") as other:
        other.conversations.create("demo")
        again = other.exchange.from_json(text)
        old, new = store.messages.tree(chat.id), other.messages.tree(again.id)
        for what in ("depth", "role", "text", "closed", "streaming", "hash", "created", "number", "siblings"):
            assert [getattr(m, what) for m in old] == [getattr(m, what) for m in new]
        was = store.conversations.get(chat.id)
        for what in ("title", "model", "system", "settings", "created", "updated", "archived"):
            assert getattr(again, what) == getattr(was, what)
        assert texts(other, again.head) == ["q", "a"]
        assert other.exchange.to_json(again.id) == text
        assert other.search.find("foxes")
    check(tmp_path / "elsewhere")


def test_what_is_not_an_export_is_refused_whole(store: Store, chat: Conversation) -> None:
    say(store, chat, None, "q", "a")
    good = json.loads(store.exchange.to_json(chat.id))
    changes = [{"messages": 3}, {"head": 9}, {"head": -1}, {"title": None}, {"settings": []}, {"created": "x"}]
    changes += [{"messages": [{**good["messages"][0], **m}]} for m in ({"parent": 0}, {"role": "x"}, {"text": 1})]
    changes += [{"messages": [*good["messages"], {}]}, {"created": float("nan")}, {"system": 1}, {"archived": 0}]
    for change in changes:
        with pytest.raises(StoreError, match="damaged"):
            store.exchange.from_json(json.dumps({**good, **change}))
    for text in ("", "[]", "{}", "null", "[" * 100_000, json.dumps({**good, "format": "x"})):
        with pytest.raises(StoreError, match="not an exported"):
            store.exchange.from_json(text)
    with pytest.raises(StoreError, match="newer"):
        store.exchange.from_json(json.dumps({**good, "version": 2}))
    assert len(store.conversations.listed(archived=None)) == 1
    assert len(store.messages.tree(chat.id)) == 2


def test_a_list_of_conversations_needs_no_mlx(tmp_path: Path) -> None:
    code = (
        "import sys; from rgmlx.store import Store\n"
        "Store(sys.argv[1]).conversations.listed(); print([m for m in ('mlx', 'numpy', 'tui', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([*PYTHON, code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
