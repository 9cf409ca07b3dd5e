"""Files of drafts (A6): whole, private, bounded, one for each conversation, and for each program that begins one."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted import Scripted, ask, idle
from waiting import wait_until

from rgmlx.store import Conversation, Store
from rgmlx.system import rescue_file
from tui.app import ChatApp
from tui.prompt import drafts
from tui.prompt.drafts import Draft, Drafts
from tui.prompt.prompt import Prompt
from tui.prompt.queued import MOST, Queued


@pytest.fixture(name="one")
def conversation(store: Store) -> Conversation:
    return store.conversations.create("demo", "one")


@contextlib.contextmanager
def unwritable() -> Iterator[None]:
    """A disk with no room for a draft, whoever one is."""

    def replace_text(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafts, "replace_text", replace_text)
        yield


def test_a_draft_comes_back_in_another_run(tmp_path: Path, one: Conversation) -> None:
    text = "a draft\nof two lines \ud800 🦊 \x00"
    first = Drafts(tmp_path / "drafts")
    first.write(one, Draft(text, editing=7, aside="and\nmore"), first.ticket())
    first.write(None, Draft("new"), first.ticket())
    first.close()
    again = Drafts(tmp_path / "drafts")
    assert again.read(one) == Draft(text, editing=7, aside="and\nmore") and again.read(None) == Draft("new")
    again.write(one, Draft(" \n"), again.ticket())
    again.write(None, Draft(""), again.ticket())
    assert again.read(one) is None and again.read(None) is None
    assert not list((tmp_path / "drafts").glob("*.json"))


def test_a_queue_comes_back_in_another_run(tmp_path: Path, one: Conversation) -> None:
    queue = (Queued("first\nof two lines 🦊", after=3, reply=True), Queued(command="regenerate", after=3))
    draft = Draft("typed", queue=(*queue, Queued("all of it", "words", editing=2)), held=True)
    first = Drafts(tmp_path / "drafts")
    first.write(one, draft, first.ticket())
    first.write(None, Draft("", queue=queue[:1]), first.ticket())
    first.close()
    again = Drafts(tmp_path / "drafts")
    assert again.read(one) == draft and again.read(None) == Draft("", queue=queue[:1])
    again.write(one, Draft(""), again.ticket())
    assert again.read(one) is None


@pytest.mark.parametrize("rows", [None, 1, "x", {}, [1, None, "x", {}, {"text": " "}, {"text": 5, "command": None}]])
def test_what_is_no_queue_is_left_out(rows: object, tmp_path: Path, one: Conversation) -> None:
    made = Drafts(tmp_path / "drafts")
    made.write(one, Draft("typed", queue=(Queued("x"),)), made.ticket())
    (file,) = (tmp_path / "drafts").glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"queue": rows, "held": 7}))
    assert Drafts(tmp_path / "drafts").read(one) == Draft("typed")


def test_a_queue_of_a_file_is_bounded_and_of_the_right_kinds(tmp_path: Path, one: Conversation) -> None:
    made = Drafts(tmp_path / "drafts")
    made.write(one, Draft("", queue=(Queued("x"),)), made.ticket())
    (file,) = (tmp_path / "drafts").glob("*.json")
    rows = [{"text": "y", "after": True, "editing": -1, "reply": 1, "words": 3, "more": 4}] * 100
    file.write_text(json.dumps(json.loads(file.read_text()) | {"queue": rows}))
    assert Drafts(tmp_path / "drafts").read(one) == Draft("", queue=(Queued("y"),) * MOST)


def test_a_queue_that_can_not_be_kept_is_elsewhere_at_the_end(tmp_path: Path, one: Conversation) -> None:
    (tmp_path / "drafts").write_text("in its place")
    made = Drafts(tmp_path / "drafts")
    with pytest.raises(OSError):
        made.write(one, Draft("last", queue=(Queued("first"), Queued(command="continue"))), made.ticket())
    file = Path(made.rescue().rpartition(" ")[2])
    assert file.read_text() == "first\n/continue\nlast\n"
    file.unlink()


def test_files_are_the_users_alone(tmp_path: Path, one: Conversation) -> None:
    old = os.umask(0)
    try:
        made = Drafts(tmp_path / "drafts")
        made.write(one, Draft("secret"), made.ticket())
    finally:
        os.umask(old)
    (file,) = (tmp_path / "drafts").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_was_typed_first_does_not_replace_what_was_typed_last(tmp_path: Path, one: Conversation) -> None:
    """Writers are threads, which may overtake one another."""
    for order in itertools.permutations(range(3)):
        made = Drafts(tmp_path / "drafts")
        tickets = [(made.ticket(), f"text {number}") for number in range(3)]
        for number in order:
            made.write(one, Draft(tickets[number][1]), tickets[number][0])
        assert made.read(one) == Draft("text 2")


def test_drafts_are_bounded(tmp_path: Path, one: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MAX_CHARS", 100)
    monkeypatch.setattr(drafts, "MAX_FILES", 3)
    made = Drafts(tmp_path / "drafts")
    made.write(one, Draft("x" * 100), made.ticket())
    with pytest.raises(ValueError, match="more than 100 characters"):
        made.write(one, Draft("x" * 101), made.ticket())
    assert made.read(one) == Draft("x" * 101) and Drafts(tmp_path / "drafts").read(one) == Draft("x" * 100)
    made.write(one, Draft("x" * 99), made.ticket())
    for number in range(10, 16):
        made.write(Conversation(number, "", "", None, {}, 1.0, 1.0, False, None, None), Draft("y"), made.ticket())
        os.utime(tmp_path / "drafts" / f"{number}.json", (number, number))
    assert len(list((tmp_path / "drafts").glob("*.json"))) == 3


def test_two_programs_have_a_draft_of_a_new_conversation_each(tmp_path: Path) -> None:
    first, second = Drafts(tmp_path), Drafts(tmp_path)
    first.write(None, Draft("first"), first.ticket())
    assert second.read(None) is None
    second.write(None, Draft("second"), second.ticket())
    first.close()
    second.close()
    third, fourth = Drafts(tmp_path), Drafts(tmp_path)
    found = [made.read(None) for made in (third, fourth)]
    assert found == [Draft("first"), Draft("second")]
    assert Drafts(tmp_path).read(None) is None


def test_a_draft_that_another_program_has_left_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    first, second = Drafts(tmp_path), Drafts(tmp_path)
    first.write(None, Draft("first"), first.ticket())
    assert second.read(None) is None
    first.close()
    second.write(None, Draft("second"), second.ticket())
    second.close()
    third, fourth = Drafts(tmp_path), Drafts(tmp_path)
    assert [made.read(None) for made in (third, fourth)] == [Draft("first"), Draft("second")]


DAMAGED = [b"{", b"\xff\x00\xff", b"[" * 100_000, b"7", b'{"text": 3}', b"null", b'{"text": "a draft that is cu']


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("data", DAMAGED)
def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path, one: Conversation, data: bytes, new: bool) -> None:
    """13b: as a damaged store is; what is typed then has the place of its own."""
    conversation, name = (None, "new-0") if new else (one, f"{one.id}")
    (tmp_path / f"{name}.json").write_bytes(data)
    made = Drafts(tmp_path)
    assert made.read(conversation) is None
    (kept,) = tmp_path.glob(f"{name}.damaged-*.json")
    assert made.notices == [f"What you had typed can't be read (it is damaged): what is left of it is in {kept}."]
    made.write(conversation, Draft("again"), made.ticket())
    assert made.read(conversation) == Draft("again") and kept.read_bytes() == data
    made.write(conversation, Draft(""), made.ticket())
    assert made.read(conversation) is None and kept.read_bytes() == data


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_set_aside_too(tmp_path: Path, one: Conversation, make: Callable[[Path], None]) -> None:
    make(tmp_path / f"{one.id}.json")
    made = Drafts(tmp_path)
    assert made.read(one) is None and len(made.notices) == 1
    made.write(one, Draft("again"), made.ticket())
    assert Drafts(tmp_path).read(one) == Draft("again")


def test_another_conversations_draft_is_not_written_over(tmp_path: Path, one: Conversation) -> None:
    """Its number was another's before: what was typed there is kept, and it is said once where."""
    other = Conversation(**{**vars(one), "created": one.created + 1})
    made = Drafts(tmp_path)
    made.write(one, Draft("of the one before"), made.ticket())
    said = list[str]()
    for draft in (Draft(""), Draft("of this one"), Draft("and more")):
        again = Drafts(tmp_path)
        again.read(other)
        assert again.notices == []
        again.write(other, draft, again.ticket())
        said += again.notices
    (kept,) = tmp_path.glob(f"{one.id}.rescued-*.json")
    place = tmp_path / f"{one.id}.json"
    assert said == [f"What you had typed in another conversation was in {place}: it is kept in {kept}."]
    assert json.loads(kept.read_text())["text"] == "of the one before"


async def test_the_screen_says_where_a_draft_was_set_aside(tmp_path: Path) -> None:
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "1.json").write_text(json.dumps({"created": 1.0, "text": "of the one before"}))
    session = Scripted(tmp_path, ["ok"])
    app = ChatApp(session, drafts=Drafts(tmp_path / "drafts"))
    async with app.run_test(size=(100, 30)):
        await wait_until(lambda: idle(app))
        await ask(app, "hello")
        app.query_one(Prompt).insert("more")
        await wait_until(lambda: any("drafts/1.rescued-" in one.message for one in app._notifications))
    session.store.close()


def test_a_number_that_another_conversation_had_is_told_apart(tmp_path: Path, one: Conversation) -> None:
    made = Drafts(tmp_path)
    made.write(one, Draft("of the one before"), made.ticket())
    other = Conversation(**{**vars(one), "created": one.created + 1})
    assert made.read(other) is None and made.read(one) == Draft("of the one before")


def test_a_folder_that_can_not_be_written_is_an_error_of_the_systems(tmp_path: Path, one: Conversation) -> None:
    (tmp_path / "file").write_text("no folder")
    made = Drafts(tmp_path / "file")
    for conversation in (one, None):
        assert made.read(conversation) is None
        with pytest.raises(OSError):
            made.write(conversation, Draft("x"), made.ticket())
    assert made.notices == []


def test_what_can_not_be_written_is_in_memory_until_it_can(tmp_path: Path, one: Conversation) -> None:
    """2: opening another conversation and coming back loses nothing; each is written as soon as there is a place."""
    (tmp_path / "file").write_text("no folder")
    made, other = Drafts(tmp_path / "file"), Conversation(**{**vars(one), "id": one.id + 1})
    for conversation in (one, other, None):
        with pytest.raises(OSError):
            made.write(conversation, Draft(f"of {conversation and conversation.id}", 3, "aside"), made.ticket())
    assert made.read(one) == Draft(f"of {one.id}", 3, "aside") and made.read(None) == Draft("of None", 3, "aside")
    with pytest.raises(OSError):
        made.write(other, Draft(""), made.ticket())
    assert made.read(other) is None
    (tmp_path / "file").unlink()
    made.write(other, Draft("now"), made.ticket())
    made.close()
    again = Drafts(tmp_path / "file")
    found = [again.read(conversation) for conversation in (one, other, None)]
    assert found == [Draft(f"of {one.id}", 3, "aside"), Draft("now"), Draft("of None", 3, "aside")]


def test_at_the_end_it_is_in_a_file_elsewhere(
    tmp_path: Path, one: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2: a private one for each draft, or else in the last words; nothing is told of what is kept or has no word."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(rescue_file, "rescue_directories", lambda: [tmp_path / "none", home])
    (tmp_path / "file").write_text("no folder")

    def ended(*typed: tuple[Conversation | None, Draft]) -> str:
        made = Drafts(tmp_path / "file")
        for conversation, draft in typed:
            with contextlib.suppress(OSError):
                made.write(conversation, draft, made.ticket())
        return made.rescue()

    assert ended() == ended((one, Draft(""))) == ended((one, Draft("a")), (one, Draft(" "))) == ""
    said = ended((one, Draft("of two\nlines \ud800 🦊", 3, "aside")), (None, Draft("new")))
    files = sorted(home.glob("rgchat-unsent-*.txt"), key=lambda file: file.stat().st_size)
    assert [file.read_text() for file in files] == ["new\n", "of two\nlines ? 🦊\naside\n"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 and str(file) in said for file in files)
    assert (
        said.startswith(f"What you typed and did not send can't be kept in {tmp_path / 'file'} (") and "\n" not in said
    )
    monkeypatch.setattr(rescue_file, "rescue_directories", lambda: [tmp_path / "none"])
    assert ended((one, Draft("the only copy"))).endswith("copy it from here.\nthe only copy")


@pytest.mark.parametrize("change", [True, False])
def test_what_is_on_the_disk_already_is_not_lost(tmp_path: Path, one: Conversation, change: bool) -> None:
    """2: a draft that was found in a place for reading only, and left as it was, is nothing to be told."""
    (tmp_path / "drafts").mkdir()
    first = Drafts(tmp_path / "drafts")
    first.write(one, Draft("found", 3, "aside"), first.ticket())
    made = Drafts(tmp_path / "drafts")
    found = made.read(one)
    assert found is not None
    with unwritable():
        if change:
            with pytest.raises(OSError):
                made.write(one, Draft("changed"), made.ticket())
        else:
            made.write(one, found, made.ticket())


def test_without_a_folder_drafts_last_as_long_as_the_program(one: Conversation) -> None:
    made = Drafts(None)
    made.write(one, Draft("kept", 3), made.ticket())
    made.write(None, Draft("new"), made.ticket())
    assert made.read(one) == Draft("kept", 3) and made.read(None) == Draft("new")
    assert json.dumps(made._memory).count("kept") == 1
