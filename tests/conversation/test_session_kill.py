"""The session whose process is killed or whose power is cut: what was written is there, and is gone on with."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kill_chat
import pytest
from kill_chat import SEED, TEMPERATURE, Undisturbed, strike, writers
from sessions import (
    STORY,
    WHOLE,
    Open,
    Watched,
    again,
    crashed,
    pull,
    read,
)

from rgmlx.store import reply_end

# --- kill -9 ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chats() -> Iterator[subprocess.Popen[str]]:
    with writers() as process:
        yield process


def test_kill_9_at_any_moment(begin: Open, chats: subprocess.Popen[str], tmp_path: Path) -> None:
    """`scripts/kill_chat.py` at a small size."""
    undisturbed = Undisturbed(begin(temperature=TEMPERATURE, seed=SEED))
    rng, found = random.Random(5), Counter[str]()
    moments = [-0.01, -0.04] + [2.5 * (n + rng.random()) / 6 for n in range(6)]
    for number, moment in enumerate(moments):
        found[strike(chats, tmp_path / f"killed{number}", moment, 20 if number % 4 else 40, begin, undisturbed)] += 1
    assert found["nothing read again"] >= 2
    undisturbed.stop()


@pytest.mark.parametrize("wrong", [False, True])
def test_the_script_ends_with_1_where_a_word_is_lost(
    wrong: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def struck(*_: object) -> str:
        assert not wrong, "a word is lost"
        return "read again"

    monkeypatch.setattr(kill_chat, "strike", struck)
    monkeypatch.setattr("sys.argv", ["kill_chat.py", "--kills", "1"])
    assert kill_chat.main() == int(wrong)
    assert ("a word is lost" in capsys.readouterr().out) == wrong


# --- a power cut --------------------------------------------------------------------------


def test_after_a_crash_nothing_is_read_that_a_snapshot_knows(begin: Open) -> None:
    """Also of the user's message, another reply to which is written at once."""
    session, whole = begin(temperature=0.8, seed=3), ""
    session.say("Hello", WHOLE)
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    whole = to_unread(session, pieces)
    other = crashed(begin, session, "crash")
    assert other.head is not None and other.head.text and whole.startswith(other.head.text)
    session.stop()
    whole += "".join(pieces)
    assert session.head is not None and session.head.text == whole
    going = other.continue_reply(endless=True)
    text = other.head.text + pull(going, len(whole))
    other.stop()
    text += "".join(going)
    assert text.startswith(whole) and read(other) == 0
    third = again(begin, other)
    asked = third.store.messages.path(other.head.id)[-2]
    third.checkout(asked.id)
    assert third.sync() == 0 and third.context is not None and not third.context.cached.unread


def to_unread(session: Watched, pieces: Iterator[str]) -> str:
    """Has a reply written until its state is on the disk, and then some more of its text."""
    text, at, of = next(pieces), 0, -1
    row, states = session.store._database.row, session.store._database.states
    while of <= at:
        text += next(pieces)
        assert session.head is not None
        number = session.head.id
        at = at or states.row("SELECT coalesce(max(chars), 0) FROM snapshots WHERE message = ?", (number,))[0]
        of = row("SELECT coalesce(sum(chars), 0) FROM pieces WHERE message = ?", (number,))[0] if at else -1
    return text


def test_a_stop_while_the_rest_is_read_after_a_crash(begin: Open) -> None:
    session = begin(temperature=0.8, seed=3)
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    to_unread(session, pieces)
    other = crashed(begin, session, "crash")
    reference = pull(pieces, 100)
    session.stop()
    reference += "".join(pieces)
    assert session.head is not None and session.head.text.endswith(reference)
    before = other.head
    other.stop_before_writing = True
    assert list(other.continue_reply(endless=True)) == []
    other.stop_before_writing = False
    assert other.head == before and other.context is not None and other.context.cached.unread
    other = again(begin, other)  # what is on the disk is as right as what is in memory
    going = other.continue_reply(endless=True)
    text = before.text + pull(going, 60)
    other.stop()
    assert session.head.text.startswith(text) and read(other) == 0
    list(going)


def test_a_reply_too_long_for_one_text_survives_a_crash_as_well(begin: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(reply_end, "FOLD_CHARS", 40)
    session = begin(temperature=0.8, seed=3)
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    text = pull(pieces, 60)
    session.stop()
    text += "".join(pieces)
    pieces = session.continue_reply(endless=True)
    row = session.store._database.states.row
    begun = row("SELECT chars FROM snapshots WHERE message = 2")[0]
    assert begun == len(text)
    while row("SELECT chars FROM snapshots WHERE message = 2")[0] == begun:
        text += next(pieces)  # until the state of the running reply is on the disk
    other = crashed(begin, session, "crash")
    assert other.sync() == 0
    before = other.store.messages.get(2).text
    more = pull(other.continue_reply(endless=True), 10)
    text += pull(pieces, len(before) + len(more) - len(text))
    assert (before + more).startswith(text[: len(before + more)])
