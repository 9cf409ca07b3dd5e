"""A file is merged conversation by conversation: those made in the same moment stay apart, the same ones come together."""

from __future__ import annotations

from pathlib import Path

from stores import check, say

from rgmlx.store import Store

FIRST = "Hello, model."  # in every conversation


def _made(directory: Path, many: int = 5) -> Path:
    """Conversations with one time for all, and one first message."""
    with Store(directory) as store:
        for n in range(many):
            chat = store.conversations.create("demo", f"Chat {n}", "Be brief.")
            say(store, chat, None, FIRST, *(f"chat {n} message {turn}" for turn in range(1, 6)))
        with store._database.transaction() as c:
            c.execute("UPDATE conversations SET created = 1795886163.5")
            c.execute("UPDATE messages SET created = 1795886163.5 + depth")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return directory / "chats.db"


def _trees(store: Store) -> dict[str, list[str]]:
    return {
        one.title: [m.text for m in store.messages.tree(one.id)] for one in store.conversations.listed(archived=None)
    }


def test_conversations_of_the_same_moment_stay_apart(tmp_path: Path) -> None:
    file = _made(tmp_path / "old")
    with Store(tmp_path / "old") as old, Store(tmp_path / "new") as store:
        report = store.recover(file)
        assert (report.conversations, report.messages, report.there) == (5, 30, 0)
        assert _trees(store) == _trees(old)
        assert [c.head for c in store.conversations.listed()] != [None] * 5
        again = store.recover(file)
        assert (again.conversations, again.messages, again.there) == (0, 0, 30)
    check(tmp_path / "new")


def test_what_was_said_in_a_copy_is_added_to_the_same_conversation(tmp_path: Path) -> None:
    """Renamed meanwhile, and said further in both: the new messages come, and nothing twice."""
    file = _made(tmp_path / "a")
    copy = tmp_path / "b" / "chats.db"
    copy.parent.mkdir()
    copy.write_bytes(file.read_bytes())
    with Store(tmp_path / "a") as store:
        one = next(c for c in store.conversations.listed() if c.title == "Chat 3")
        say(store, one, one.head, "more asked", "more answered")
        store.conversations.rename(one.id, "Another title")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    with Store(tmp_path / "b") as store:
        report = store.recover(file)
        assert (report.conversations, report.messages, report.there) == (0, 2, 30)
        assert _trees(store)["Chat 3"][-2:] == ["more asked", "more answered"]
        assert all(len(said) == 6 for title, said in _trees(store).items() if title != "Chat 3")
    check(tmp_path / "b")


def test_only_what_is_missing_comes_from_a_file_with_more(tmp_path: Path) -> None:
    """A conversation that was purged here is not hung into one of the same moment with the same first words."""
    file = _made(tmp_path / "a")
    copy = tmp_path / "b" / "chats.db"
    copy.parent.mkdir()
    copy.write_bytes(file.read_bytes())
    with Store(tmp_path / "b") as store:
        whole = _trees(store)
        for one in store.conversations.listed():
            if one.title in ("Chat 0", "Chat 2"):
                store.conversations.delete(one.id)
        store.conversations.purge()
        report = store.recover(file)
        assert (report.conversations, report.messages, report.there) == (2, 12, 18)
        assert _trees(store) == whole
    check(tmp_path / "b")


def test_a_conversation_whose_row_is_lost_is_merged_once(tmp_path: Path) -> None:
    file = _made(tmp_path / "a")
    data = bytearray(file.read_bytes())
    with Store(tmp_path / "a") as store:
        root = store._database.row("SELECT rootpage FROM sqlite_master WHERE name = 'conversations'")[0]
    data[(root - 1) * 4096 : root * 4096] = bytes(4096)
    lost = tmp_path / "lost.db"
    lost.write_bytes(data)
    with Store(tmp_path / "b") as store:
        assert store.recover(lost).conversations == 5
        assert store.recover(lost).conversations == 0
        assert sorted(len(store.messages.tree(c.id)) for c in store.conversations.listed()) == [6] * 5
    with Store(tmp_path / "a") as store:
        report = store.recover(lost)
        assert report.conversations == 0 and report.there == 30
    for name in "ab":
        check(tmp_path / name)
