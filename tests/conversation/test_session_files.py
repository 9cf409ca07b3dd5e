"""The session's files and settings: what goes out comes in again, and what is bad is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from sessions import (
    STORY,
    WHOLE,
    Open,
    Watched,
    again,
    other_model,
    pull,
    read,
    some,
)

import rgmlx
from rgmlx.conversation.rgstate import open_file, save_file
from rgmlx.errors import RgmlxError, StateError
from rgmlx.store import USER, StoreError
from rgmlx.store.import_export import check_name
from rgmlx.store.messages import MessageStore
from rgmlx.system.formatting import sentence
from rgmlx.system.textfiles import typed_path

# --- files --------------------------------------------------------------------------------


def test_a_saved_conversation_goes_on_elsewhere(begin: Open, tmp_path: Path, demo: rgmlx.Model) -> None:
    session = begin()
    session.set_system("You are Griff.")
    session.say("Hello", WHOLE)
    session.add_user_message(STORY)
    pieces = session.generate_reply()
    pull(pieces, 20)
    session.stop()
    list(pieces)
    path = tmp_path / "fox.rgstate"
    save_file(session, path)
    other = begin()
    open_file(other, path)
    assert other.texts() == session.texts() and other.in_sync and read(other) == 0
    assert other.system == "You are Griff." and other.settings["temperature"] == 0.0
    assert other.conversation is not None and other.conversation.title == "fox"
    rest = some(other, other.continue_reply())
    assert rest == some(session, session.continue_reply()) != ""
    other = again(begin, other)  # what it remembers is on the disk as well
    assert other.say("Hello") == session.say("Hello") and read(other) == 0
    assert rgmlx.Chat.load(path, demo).turns[-1].text == session.texts()[1 + 2][: -len(rest)]
    session.checkout(3)  # standing at a message that has a reply elsewhere
    save_file(session, path)
    third = begin()
    open_file(third, path)
    assert third.head is not None and third.head.role == USER
    assert third.answer() == session.answer() and read(third) == 0


def test_files_that_are_refused_change_nothing(begin: Open, tmp_path: Path) -> None:
    session = begin()
    session.say("Hello")
    path = tmp_path / "a.rgstate"
    save_file(session, path)
    whole = path.read_bytes()
    was = session.conversation, session.head
    other = begin(session.store.directory, model=other_model())
    with pytest.raises(StateError, match="other weights"):
        open_file(other, path)
    for damaged in (whole[:-100], whole[:1000] + b"x" + whole[1001:], whole[:-9] + b"012345678", b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(RgmlxError):
            open_file(session, path)
    with pytest.raises(RgmlxError):
        open_file(session, tmp_path / "missing.rgstate")
    path.write_bytes(whole)

    class Full(MessageStore):
        left = 1

        def add_finished(self, *args: Any, **options: Any) -> int:
            self.left -= 1
            if self.left < 0:
                raise StoreError("the disk is full: make room")
            return super().add_finished(*args, **options)

    session.store.messages = Full(session.store._database)
    with pytest.raises(StoreError, match="disk"):
        open_file(session, path)
    assert (session.conversation, session.head) == was and session.in_sync
    assert len(session.store.conversations.listed(archived=None)) == 1
    with pytest.raises(RgmlxError):
        save_file(session, path / "below.rgstate")
    save_file(session, path)
    assert len(path.read_bytes()) == len(whole)


@pytest.mark.parametrize("name", ["a", "nn/", "a.json", "a.rgstate/"])
def test_a_saved_file_has_its_ending(begin: Open, tmp_path: Path, name: str) -> None:
    """Fault 14: any other name is refused, by both screens, and nothing is written."""
    session = begin()
    session.say("Hello")
    with pytest.raises(RgmlxError, match=r"should end in \.rgstate|is a folder"):
        save_file(session, typed_path(f"{tmp_path}/{name}"))
    assert not (tmp_path / name).exists() and not (tmp_path / name.rstrip("/")).exists()


def test_a_name_in_a_sentence_stays_as_it_is(begin: Open, tmp_path: Path) -> None:
    """Fault 13: "N should end in .md", of a file n."""
    session = begin()
    session.add_user_message("Hello")
    wrong = [
        lambda: check_name(tmp_path / "n"),
        lambda: save_file(session, tmp_path / "n"),
        lambda: open_file(session, tmp_path / "n.json"),
    ]
    for do in wrong:
        with pytest.raises(RgmlxError) as raised:
            do()
        assert sentence(str(raised.value)).startswith(f"{tmp_path / 'n'}")
    session.context = None
    with pytest.raises(RgmlxError) as raised:
        session.require_context()
    assert sentence(str(raised.value)).startswith("The model demo is not loaded")


# --- settings -----------------------------------------------------------------------------


def first_words(session: Watched, text: str = STORY) -> str:
    session.add_user_message(text)
    return more_words(session)


def more_words(session: Watched) -> str:
    pieces = session.generate_reply(endless=True)
    text = pull(pieces, 60)
    session.stop()
    list(pieces)
    return text


def test_the_same_seed_gives_the_same_reply(begin: Open) -> None:
    options = {"temperature": 1.2, "top_p": 1.0}
    one, two, three = begin(**options, seed=4), begin(**options, seed=4), begin(**options, seed=5)
    text = first_words(one)
    assert first_words(two) == text
    assert first_words(three) != text
    one.checkout(1)
    another = more_words(one)
    assert another != text
    two.checkout(1)
    assert more_words(two) == another  # the second reply of the same seed, too
    free = [begin(**options), begin(**options)]
    assert len({first_words(session) for session in free} | {text}) == 3
    free[0].checkout(1)
    free[0].store.messages.discard(2)
    assert free[0].settings["draw"] != free[1].settings["draw"]


def test_settings_survive_a_restart_and_bad_ones_are_refused(begin: Open) -> None:
    session = begin(top_p=0.5)
    session.add_user_message("Hello")
    session.set_settings({"temperature": 0.25, "seed": 9, "top_p": None})
    was = session.settings
    bad: list[dict[str, Any]] = [{"temperature": -1}, {"temperature": math.nan}, {"top_p": 2}, {"min_p": "x"}]
    for change in [*bad, {"seed": object()}]:
        with pytest.raises(RgmlxError):
            session.set_settings({**change, "repetition_penalty": 1.1})
        assert session.settings == was == session.store.conversations.get(1).settings
    with pytest.raises(StoreError, match="new conversation"):
        session.set_system("Be brief.")
    assert session.system is None
    session = again(begin, session, top_p=0.5)
    assert {key: session.settings.get(key) for key in was} == was
    chosen = session.sampling(session.settings)
    assert (chosen.temperature, chosen.seed) == (0.25, 9)
    assert chosen.top_p == session.context.model.sampling.top_p == 0.9 if session.context else False
    session.begin()
    assert session.settings["temperature"] == 0.0 and "seed" not in session.settings
