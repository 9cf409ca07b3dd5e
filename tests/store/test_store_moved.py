"""B11: the directory or the file is removed, moved away, emptied or replaced under a running chat: it says so and loses
nothing."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, idle, notices, wait_until
from sessions import NAME, STORY, Open, continues_alike, pull
from stores import check, say, texts
from test_store_states import fill, right

from rgmlx.store import Store, new_file
from rgmlx.store.states.state_file import states_path
from tui.app import ChatApp
from tui.plain import PlainChat

Deed = Callable[[Path], None]


def _remove_directory(data: Path) -> None:
    shutil.rmtree(data)


def _move_directory(data: Path) -> None:
    data.rename(data.with_name("moved away"))


def _remove_files(data: Path) -> None:
    for path in data.glob("chats.db*"):
        path.unlink()


def _remove_file(data: Path) -> None:
    (data / "chats.db").unlink()


def _move_file(data: Path) -> None:
    (data / "chats.db").rename(data / "old.db")


def _remove_log(data: Path) -> None:
    for path in data.glob("chats.db-*"):
        path.unlink()


def _other_store(data: Path) -> Path:
    other = data.with_name("other")
    with Store(other) as store:
        chat = store.conversations.create("demo", "Somebody else's")
        say(store, chat, None, "their question", "their answer")
    return other / "chats.db"


def _replace_file(data: Path) -> None:
    _other_store(data).rename(data / "chats.db")


def _replace_directory(data: Path) -> None:
    other = _other_store(data).parent
    shutil.rmtree(data)
    other.rename(data)


def _replace_by_garbage(data: Path) -> None:
    (data / "garbage").write_bytes(b"hello " * 1000)
    (data / "garbage").rename(data / "chats.db")


def _replace_by_empty_file(data: Path) -> None:
    _remove_files(data)
    (data / "chats.db").touch()


def _empty_file(data: Path) -> None:
    os.truncate(data / "chats.db", 0)


def _empty_file_and_remove_log(data: Path) -> None:
    _empty_file(data)
    _remove_log(data)


DEEDS: list[Deed] = [
    _remove_directory,
    _move_directory,
    _remove_files,
    _remove_file,
    _move_file,
    _remove_log,
    _replace_file,
    _replace_directory,
    _replace_by_garbage,
    _replace_by_empty_file,
    _empty_file,
    _empty_file_and_remove_log,
]
TAKEN = (_replace_file, _replace_directory)
"""There is another store in its place then, and its numbers are taken."""
EMPTIED = (_empty_file, _empty_file_and_remove_log)
WHOLE = tuple(deed for deed in DEEDS if deed not in (_remove_log, *TAKEN, *EMPTIED))
"""All that was there can still be read, and there is nothing in its place: all of it is written there again."""
RECOVERED: dict[Deed, str] = {_replace_by_garbage: "was damaged"}
RECOVERED |= dict.fromkeys((_replace_by_empty_file, *EMPTIED), "was empty")
"""What is said before the conversation is written into the file."""
deeds = pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__.strip("_"))


def _found(data: Path, deed: Deed) -> Path:
    """The file that has the conversation now."""
    if deed not in TAKEN:
        return data / "chats.db"
    (beside,) = data.glob("chats.rescued-*.db")
    return beside


def _texts_in(path: Path, tmp_path: Path) -> list[str]:
    """The conversation in a file, as a chat that starts finds it."""
    look = tmp_path / "look"
    look.mkdir()
    for end in ("", "-wal"):
        if path.with_name(path.name + end).exists():
            shutil.copy(path.with_name(path.name + end), look / f"chats.db{end}")
    with Store(look) as store:
        assert store.notices == []
        one = store.conversations.listed()[0]
        found = texts(store, one.head)
    check(look)
    return found


def _says_so(said: list[str], deed: Deed) -> bool:
    (sentence,) = said
    if deed is _remove_log:
        return "-wal was removed" in sentence
    words = "goes on in" if deed in TAKEN else "This conversation was written there again"
    words = "All conversations were written there again" if deed in WHOLE else words
    how = "was emptied by another program" if deed in EMPTIED else "removed or replaced"
    return how in sentence and words in sentence and ("--recover" in sentence) == (deed in TAKEN)


@deeds
def test_the_file_is_gone_between_two_writes(tmp_path: Path, deed: Deed) -> None:
    data = tmp_path / "data"
    store = Store(data)
    others = store.conversations.create("demo", "Not open")
    chat = store.conversations.create("demo", "Mine")
    lock = store.lock(chat.id)
    assert lock is not None
    ids = say(store, chat, None, "one", "two")
    deed(data)
    assert texts(store, ids[-1]) == ["one", "two"]  # it is read where it was
    ids += say(store, chat, ids[-1], "three", "four")
    said = list(store.notices)
    if deed in RECOVERED:
        assert RECOVERED[deed] in said.pop(0)
    assert _says_so(said, deed)
    assert texts(store, ids[-1]) == ["one", "two", "three", "four"]
    ids += say(store, chat, ids[-1], "five")
    assert store.notices[len(store.notices) - 1] == said[0]  # once
    path = _found(data, deed)
    with Store(data) as second:
        if deed not in TAKEN:
            assert second.lock(chat.id) is None  # it is still this process that has it open
            assert second.conversations.listed()[0].title == "Mine"
            assert second.conversations.create("demo", "new").id > chat.id > others.id
        else:
            assert [c.title for c in second.conversations.listed()] == ["Somebody else's"]
    store.close()
    if deed in TAKEN:
        with Store(data) as second:
            report = second.recover(path)
            assert (report.conversations, report.messages, report.damaged, report.lost) == (1, 5, 0, 0)
            assert len(second.conversations.listed()) == 2
        check(data)
    else:
        check(data)
        with Store(data) as second:
            assert texts(second, ids[-1]) == ["one", "two", "three", "four", "five"]


@deeds
def test_the_file_is_gone_with_nothing_open(tmp_path: Path, deed: Deed) -> None:
    data = tmp_path / "data"
    with Store(data) as store:
        store.conversations.create("demo", "before")
        deed(data)
        new = store.conversations.create("demo", "after")
        say(store, new, None, "one", "two")
        assert any("was removed" in n or "was emptied" in n for n in store.notices) and len(store.notices) <= 2
    with Store(data) as store:
        titles = {c.title for c in store.conversations.listed()}
        assert "after" in titles and ("before" in titles) == (deed in (_remove_log, _empty_file, *WHOLE))
        assert ("Somebody else's" in titles) == (deed in TAKEN)
    check(data)


@deeds
def test_states_of_what_is_open_go_along(tmp_path: Path, deed: Deed) -> None:
    """Also where the directory with all of them is gone; nothing of the others is touched."""
    data = tmp_path / "data"
    theirs: dict[int, int] = {}
    if deed in TAKEN:
        with Store(tmp_path / "other") as other:
            theirs = fill(other, "their question", "their answer", steps=90)
    store = Store(data)
    closed, kept = fill(store, "x", "y", steps=70), fill(store, "one", "two")
    lock = store.lock(2)
    assert lock is not None
    deed(data)
    kept |= fill(store, "three", "four", parent=max(kept), chat=2, steps=50)
    kept |= fill(store, "five", parent=max(kept), chat=2, steps=60)
    assert right(store, kept) == list(kept)
    path = store._database.path
    store.close()
    check(data)
    # The file of states may be gone with its directory; with what was said they would still fit.
    kept_too = (_remove_log, _empty_file, *(one for one in WHOLE if one not in (_remove_directory, _move_directory)))
    if deed not in TAKEN:
        with Store(data) as second:
            assert right(second, kept) == list(kept)
            assert right(second, closed) == (list(closed) if deed in kept_too else [])
    else:
        with Store(data) as second:
            assert right(second, theirs) == (list(theirs) if deed is _replace_directory else [])
            assert path != data / "chats.db" and states_path(path).is_file()


WHOLE_DEEDS = pytest.mark.parametrize("deed", WHOLE, ids=lambda deed: deed.__name__.strip("_"))


def _many(store: Store, count: int = 40) -> dict[int, list[str]]:
    """Conversations of which some are in the log only, with the texts of each."""
    found: dict[int, list[str]] = {}
    for n in range(count):
        chat = store.conversations.create("demo", f"Chat {n}")
        found[chat.id] = [f"question {n}", f"answer {n} " * 500]
        say(store, chat, None, *found[chat.id])
        if n == count // 2:
            store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    store.conversations.delete(3)
    store.conversations.rename(4, "Another name")
    return found


def _all(store: Store) -> dict[int, list[str]]:
    rows = (*store.conversations.listed(), *store.conversations.deleted())
    return {one.id: texts(store, one.head) for one in rows}


@WHOLE_DEEDS
def test_all_conversations_go_along(tmp_path: Path, deed: Deed) -> None:
    """Those that are closed as well, deleted ones, and what is in the log only."""
    data = tmp_path / "data"
    with Store(data) as store:
        said = _many(store)
        lock = store.lock(5)
        assert lock is not None
        deed(data)
        head = store.conversations.get(5).head
        said[5] = [*said[5], "more"]
        say(store, store.conversations.get(5), head, "more")
        assert _says_so([n for n in store.notices if RECOVERED.get(deed, "\0") not in n], deed)
        assert _all(store) == said
        while store.notices:
            store.notices.pop()
    check(data)
    with Store(data) as store:
        assert store.notices == [] and _all(store) == said
        assert [c.id for c in store.conversations.deleted()] == [3]
        assert store.conversations.get(4).title == "Another name" and store.search.find("question 7")
        assert {path.name for path in data.glob("*.db")} >= {"chats.db"} and not list(data.glob(".chats*part*"))


def test_all_conversations_go_along_from_several_programs(tmp_path: Path) -> None:
    """The first writes them, and the other finds them there and adds what it has open."""
    with Store(tmp_path) as one, Store(tmp_path) as two:
        said = _many(one, 8)
        assert one.lock(5) is not None and two.lock(6) is not None
        _remove_files(tmp_path)
        for store, number in ((one, 5), (two, 6), (one, 5)):
            say(store, store.conversations.get(number), store.conversations.get(number).head, "more")
            said[number] = [*said[number], "more"]
        assert _all(one) == _all(two) == said
        assert not list(tmp_path.glob("chats.rescued*"))
    check(tmp_path)


def test_others_that_could_not_be_written_again_are_said_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[Path]()

    def full(_: object, path: Path) -> None:
        calls.append(path)
        path.write_bytes(b"part of it")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with Store(tmp_path) as store:
        said = _many(store, 8)
        assert store.lock(5) is not None
        monkeypatch.setattr(new_file, "copy_pages", full)
        _remove_files(tmp_path)
        say(store, store.conversations.get(5), store.conversations.get(5).head, "more")
        (notice,) = store.notices
        assert "This conversation was written there again; the others could not be, and are lost" in notice
        assert len(calls) == 2 and _all(store) == {5: [*said[5], "more"]}
    check(tmp_path)


def test_the_file_is_gone_and_no_other_can_be_made(tmp_path: Path) -> None:
    """Where nothing can be written the conversation goes on in memory, can be exported, and is written once that can be."""
    data = tmp_path / "data"
    store = Store(data)
    chat = store.conversations.create("demo", "Mine")
    lock = store.lock(chat.id)
    assert lock is not None
    ids = say(store, chat, None, "one", "two")
    shutil.rmtree(data)
    data.write_text("a file is in its place")
    ids += say(store, chat, ids[-1], "three", "four")
    assert len(store.notices) == 1 and "in memory only" in store.notices[0]
    assert "three" in store.import_export.markdown(chat.id)
    data.unlink()
    say(store, chat, ids[-1], "five")
    store.close()
    with Store(data) as other:
        assert texts(other, other.conversations.get(chat.id).head) == ["one", "two", "three", "four", "five"]
    check(data)


@pytest.mark.parametrize("went_on", [False, True], ids=["as it was", "went on"])
def test_another_program_has_read_the_conversation_from_the_log(tmp_path: Path, went_on: bool) -> None:
    """It gives way to what is open here, unless it has something that is not here."""
    store = Store(tmp_path)
    chat = store.conversations.create("demo", "Mine")
    lock = store.lock(chat.id)
    assert lock is not None
    ids = say(store, chat, None, "one", "two")
    _remove_file(tmp_path)  # and not the log
    with Store(tmp_path) as second:
        assert "2 messages were kept" in second.notices[0] and second.lock(chat.id) is None
        if went_on:
            say(second, chat, ids[-1], "elsewhere")
    ids += say(store, chat, ids[-1], "three")
    assert ("goes on in" if went_on else "was written there again") in store.notices[-1]
    lock.release()
    store.close()
    with Store(tmp_path) as second:
        (one,) = second.conversations.listed()
        assert texts(second, one.head) == ["one", "two", "elsewhere" if went_on else "three"]
    assert len(list(tmp_path.glob("chats.rescued-*.db"))) == went_on
    check(tmp_path)


@pytest.mark.parametrize(
    "deed",
    [_remove_directory, _move_directory, _remove_log, _replace_file, _empty_file, _empty_file_and_remove_log],
    ids=lambda deed: deed.__name__.strip("_"),
)
def test_the_file_is_gone_during_a_reply(begin: Open, tmp_path: Path, deed: Deed) -> None:
    """Of a session with a real model: the reply is whole, on the disk, and is gone on with."""
    data = tmp_path / "data"
    session = begin(data)
    session.add_user_message("Hello")
    list(session.generate_reply())
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    text = pull(pieces, 20)
    deed(data)
    text += pull(pieces, 60)
    session.stop()
    text += "".join(pieces)
    assert session.texts()[3] == text
    said = [n for n in session.notices if RECOVERED.get(deed, "\0") not in n]
    assert _says_so(said, deed)
    continues_alike(begin, session, NAME)
    whole = session.texts()
    session.close()
    session.store.close()
    assert _texts_in(_found(data, deed), tmp_path) == whole


@pytest.mark.parametrize(
    "deed", [_remove_directory, _replace_directory, _move_file, _empty_file_and_remove_log], ids=lambda d: d.__name__
)
@pytest.mark.parametrize("during", [False, True], ids=["idle", "writing"])
async def test_the_screen_says_that_the_file_is_gone_and_goes_on(tmp_path: Path, deed: Deed, during: bool) -> None:
    data = tmp_path / "data"
    session = Held(data, [f"word {n} " for n in range(40)], after=5)
    session.go_on.set()
    app = ChatApp(session)
    async with app.run_test(size=(90, 30)) as pilot:
        await wait_until(lambda: idle(app))
        first = await ask(app, "one")
        if during:
            session.go_on.clear()
            app.query_one("#prompt").insert("two")  # type: ignore[attr-defined]
            app.simulate_key("enter")
            await wait_until(lambda: len(session.texts()) == 4 and "word 3" in session.texts()[3])
            deed(data)
            session.go_on.set()
            await wait_until(lambda: idle(app))
        else:
            deed(data)
            await ask(app, "two")
        await pilot.pause()
        how = "emptied by another program" if deed in EMPTIED else "removed or replaced by something else"
        assert f"was {how}" in notices(app)
        third = await ask(app, "three")
        assert notices(app).count(how) == 1
        whole = session.texts()
        assert first == third and whole == ["one", first, "two", first, "three", first]
    session.store.close()
    assert _texts_in(_found(data, deed), tmp_path) == whole


@deeds
def test_lines_say_that_the_file_is_gone_and_go_on(tmp_path: Path, deed: Deed, capsys, monkeypatch) -> None:
    data = tmp_path / "data"
    session = Scripted(data, ["Good ", "day."])
    session.loaded = True
    monkeypatch.setattr(session, "require_context", lambda: None)

    class Input(io.BytesIO):
        """Somebody types, and does it before the second line."""

        def read1(self, size: int | None = -1, /) -> bytes:  # a line at a time, as from a terminal
            line = self.readline()
            if line == b"two\n":
                deed(data)
            return line

        read = read1

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Input(b"one\ntwo\nthree\n"), "utf-8"))
    assert PlainChat(session).run() == 0
    out = capsys.readouterr().out
    assert out.count("was removed") + out.count("was emptied") == 1
    whole = session.texts()
    assert whole == ["one", "Good day.", "two", "Good day.", "three", "Good day."]
    session.store.close()
    assert _texts_in(_found(data, deed), tmp_path) == whole
