"""Conversations on disk: trees of messages, search, two processes, and what disks do to files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import check, say, texts
from waiting import PATIENCE

from rgmlx.store import MODEL, USER, Conversation, Store, StoreError, reply_end
from rgmlx.store.hashes import content_hash, root_hash

PYTHON = [sys.executable, "-c"]


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
    assert content_hash(b"", USER, ["ab", "c"], True) == content_hash(b"", USER, ["abc"], True)
    assert content_hash(b"", USER, ["ab"], True) != content_hash(b"", MODEL, ["ab"], True)


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
    assert done.hash == content_hash(store.messages.get(q).hash, MODEL, [expected], True)


def test_a_reply_too_long_to_fold_stays_in_pieces(store: Store, chat: Conversation, monkeypatch) -> None:
    monkeypatch.setattr(reply_end, "FOLD_CHARS", 100)
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q)
    for _ in range(30):
        store.messages.append(reply.id, "grüße")
    done = store.messages.finish(reply.id, closed=True)
    assert done.text == "grüße" * 20  # the end of it
    done = store.messages.get(reply.id)
    assert done.text == "grüße" * 30
    assert done.hash == content_hash(store.messages.get(q).hash, MODEL, ["grüße" * 30], True)
    assert (done.streaming, done.closed) == (False, True)
    assert store.messages.window(reply.id, 2, chars=7)[1].text == "grüße" * 2
    assert [m.text for m in store.messages.path(say(store, chat, reply.id, "next")[0])][1] == done.text
    again = store.import_export.from_json(store.import_export.to_json(chat.id))
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
    digests = [root_hash(None)]
    for _ in range(100_000):
        digests.append(content_hash(digests[-1], "user", ["text"], True))
    with store._database.transaction() as c:  # rows as they are, since only the walking is of interest here
        c.executemany(
            "INSERT INTO messages (id, conversation, parent, depth, role, text, chars, closed, streaming, loose, hash, "
            "created) VALUES (?, ?, ?, ?, 'user', 'text', 4, 1, 0, 0, ?, 0)",
            ((i + 1, chat.id, i or None, i, digests[i + 1]) for i in range(100_000)),
        )

    def steps(work: Callable[[], object]) -> int:
        """Instructions of SQLite's virtual machine, in thousands: the same on any machine."""
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        with store._database.transaction() as connection:
            connection.set_progress_handler(step, 1000)
        try:
            work()
        finally:
            connection.set_progress_handler(None, 0)
        return count

    whole = steps(lambda: store.messages.path(100_000))
    path = store.messages.path(100_000)
    assert [m.id for m in path] == list(range(1, 100_001)) and not any(m.damaged for m in path)
    assert [m.depth for m in store.messages.window(100_000, 50)] == list(range(99_950, 100_000))
    assert [m.depth for m in store.messages.window(50_000, 50)] == list(range(49_950, 50_000))
    assert steps(lambda: store.messages.window(50_000, 50)) < whole / 50
    assert store.messages.tip(1) == 100_000
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
    assert store.search.find("fox wake") == []
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
        assert process.communicate(timeout=PATIENCE)[1] == ""
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
    assert sorted(process.communicate(timeout=PATIENCE) for process in running) == [(f"{i}\n", "") for i in range(1, 5)]


def test_a_conversation_is_open_in_one_process(store: Store, chat: Conversation) -> None:
    code = (
        "import sys; from rgmlx.store import Store\n"
        "store = Store(sys.argv[1]); taken = store.lock(int(sys.argv[2]))\n"
        "print(taken is not None, flush=True); sys.stdin.read()"
    )
    command = [*PYTHON, code, str(store.directory), str(chat.id)]
    other = store.conversations.create("demo")
    mine = store.lock(chat.id)
    assert mine is not None
    assert store.lock(chat.id) is None
    with store.lock(other.id) as theirs:
        assert theirs is not None
    theirs.release()
    assert subprocess.run(command, input="", capture_output=True, text=True).stdout == "False\n"
    mine.release()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    assert store.lock(chat.id) is None
    (q,) = say(store, chat, None, "q")
    reply = store.messages.start_reply(chat.id, q, "half a")
    process.kill()  # a claim dies with its process, however that dies
    process.communicate()
    with store.lock(chat.id) as mine:
        assert mine is not None
        settled = store.messages.get(reply.id)
        assert (settled.text, settled.streaming, settled.closed) == ("half a", False, False)


def test_what_has_returned_is_on_the_disk(store: Store) -> None:
    """Killing a process can't show it, since the system still writes for the dead: so the settings are looked at."""
    settings = [store._database.row(f"PRAGMA {what}")[0] for what in ("journal_mode", "synchronous", "foreign_keys")]
    assert settings == ["wal", 2, 1]


def test_what_is_to_outlast_a_power_cut_is_flushed_to_the_disk_itself(store: Store) -> None:
    """A14: on macOS fsync leaves it with the disk. Checkpoints, and a message before its reply; not each piece of that."""
    database = store._database
    assert database.row("PRAGMA checkpoint_fullfsync")[0] == 1
    chat, seen = store.conversations.create("demo"), list[tuple[str, int]]()

    def note(sql: str) -> None:
        if sql == "COMMIT":
            seen.append((what, flush))
        elif sql.startswith("PRAGMA fullfsync = "):
            notes(int(sql[-1]))

    def notes(value: int) -> None:
        nonlocal flush
        flush = value

    what, flush = "", 0
    database.connection.set_trace_callback(note)
    what = "a message"
    asked = store.messages.add_user(chat.id, None, "hello")
    assert database.row("PRAGMA fullfsync")[0] == 1  # until the next transaction
    what = "a reply"
    reply = store.messages.start_reply(chat.id, asked.id)
    store.messages.append(reply.id, "well")
    assert database.row("PRAGMA fullfsync")[0] == 0
    store.messages.finish(reply.id, closed=True)
    what = "another message"
    store.messages.add_user(chat.id, reply.id, "and now?")
    what = "an import"
    store.messages.add_finished(chat.id, None, USER, "x", closed=True, created=1.0)
    assert set(seen) == {("a message", 1), ("a reply", 0), ("another message", 1), ("an import", 0)}
