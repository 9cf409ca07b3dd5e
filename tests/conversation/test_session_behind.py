"""A reply that goes on in its own conversation while another one is open (A6), and places that are only looked at (A3).

On the session, with the embedded model: what is written where, who holds which conversation, and what a kill leaves.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sessions import LONG, NAME, STORY, WHOLE, Open, Watched, crashed, pull, reader, same_tokens
from waiting import PATIENCE

from rgmlx.store import MODEL, USER, StoreError


def number(session: Watched) -> int:
    assert session.conversation is not None
    return session.conversation.id


def head_on_disk(session: Watched, conversation: int) -> int | None:
    return session.store.conversations.get(conversation).head


def texts(session: Watched, conversation: int) -> list[str]:
    """Of the conversation, up to where it stands on the disk."""
    return [m.text for m in session.store.messages.path(head_on_disk(session, conversation))]


# --- a reply behind another conversation ---------------------------------------------------


def test_a_reply_goes_on_behind_another_conversation(begin: Open) -> None:
    reference = begin(seed=1, temperature=0.8)
    expected = reference.say(STORY, 200)
    session = begin(seed=1, temperature=0.8)
    session.add_user_message(STORY)
    first = number(session)
    pieces = session.generate_reply()
    text = pull(pieces, 20)
    assert session.at_running and session.writes_in(first)
    session.begin()
    assert not session.at_running and session.writes_in(first) and session.conversation is None
    text += pull(pieces, 20)
    other = session.add_user_message("Hello")
    second = number(session)
    assert second != first and not session.writes_in(second)
    while len(text) <= 200 and (piece := next(pieces, "")):
        text += piece
    session.stop()
    text += "".join(pieces)
    assert text == expected and texts(session, first) == [STORY, expected]
    assert texts(session, second) == ["Hello"] and session.head == other
    assert session.running is None
    assert session.answer(WHOLE) and [len(texts(session, n)) for n in (first, second)] == [2, 2]
    fresh = reader(begin, session.store.messages.path(session.head.id), seed=1, temperature=0.8)
    session.sync()
    assert same_tokens(session, fresh)


def test_one_comes_back_to_a_running_reply(begin: Open) -> None:
    session = begin()
    session.add_user_message(STORY)
    first = number(session)
    pieces = session.generate_reply(endless=True)
    text = pull(pieces, 10)
    opened = session.opened
    session.begin()
    session.add_user_message("Hello")
    text += pull(pieces, 30)
    assert session.open(first) and session.opened is opened and session.at_running
    said, delivered = session.so_far(10_000)
    assert said == text and delivered == len(text)
    text += pull(pieces, 30)
    session.stop()
    text += "".join(pieces)
    assert session.head is not None and session.head.text == text and not session.head.closed
    assert session.so_far(10) is None


def test_what_was_delivered_is_told_from_the_middle_of_a_reply_gone_on_with(begin: Open) -> None:
    session = begin()
    text = session.say(STORY)
    pieces = session.continue_reply()
    more = pull(pieces, 30)
    said, delivered = session.so_far(10_000)
    assert (said, delivered) == (text + more, len(more))
    session.stop()
    list(pieces)


def test_both_conversations_are_held_until_the_reply_has_ended(begin: Open) -> None:
    session = begin()
    session.add_user_message(STORY)
    first = number(session)
    pieces = session.generate_reply(endless=True)
    pull(pieces, 10)
    session.begin()
    session.add_user_message("Hello")
    second = number(session)
    other = begin(session.store.directory)
    assert not other.open(first) and not other.open(second)
    session.stop()
    list(pieces)
    assert other.open(first) and not other.open(second)
    session.close()
    assert other.open(second)


def test_closed_while_a_reply_is_written_it_is_let_go_afterwards(begin: Open) -> None:
    session = begin()
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    pull(pieces, 10)
    session.close()
    other = begin(session.store.directory)
    assert not other.open(1)
    session.begin()
    session.stop()
    list(pieces)
    assert other.open(1)


@pytest.mark.parametrize("when", ["before the first token", "after some"])
def test_one_goes_back_in_the_same_conversation_while_a_reply_is_written(begin: Open, when: str) -> None:
    """The head stays where the user has gone, in memory and on the disk, and the reply is where it belongs."""
    session = begin()
    session.say("Hello", WHOLE)
    hello = session.head
    asked = session.add_user_message(STORY)
    pieces = session.generate_reply()
    text = "" if when.startswith("before") else pull(pieces, 10)
    session.checkout(hello.id)
    assert not session.at_running
    text += pull(pieces, 30)
    assert session.head.id == hello.id == head_on_disk(session, 1)
    session.stop()
    text += "".join(pieces)
    assert session.head.id == hello.id == head_on_disk(session, 1)
    (reply,) = session.store.messages.children(asked.id)
    assert session.store.messages.get(reply).text == text
    session.checkout(reply)
    assert session.head.text == text


def test_a_reply_without_a_word_takes_no_head_along(begin: Open, small_steps: None) -> None:
    session = begin()
    session.say("Hello", WHOLE)
    hello = session.head
    asked = session.add_user_message(LONG)
    session.stop_at_progress = len(session.told) + 1
    pieces = session.generate_reply()
    session.checkout(hello.id)
    assert list(pieces) == []
    assert session.head.id == hello.id == head_on_disk(session, 1)
    assert session.store.messages.children(asked.id) == [] and session.running is None


def test_going_on_without_a_word_leaves_the_head_where_it_is(begin: Open) -> None:
    session = begin()
    session.say("Hello", WHOLE)
    ended = session.head
    session.begin()
    session.add_user_message(NAME)
    second = number(session)
    session.open(1)
    session.stop_before_writing = True
    pieces = session.continue_reply()
    session.open(second)
    assert list(pieces) == [] and session.conversation.id == second
    assert head_on_disk(session, 1) == ended.id and len(session.store.messages.tree(1)) == 2


def test_settings_belong_to_the_conversation(begin: Open) -> None:
    session = begin()
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    pull(pieces, 10)
    session.begin()
    session.add_user_message("Hello")
    session.set_settings({"temperature": 0.25})
    session.stop()
    list(pieces)
    assert session.store.conversations.get(1).settings["temperature"] == 0.0
    assert session.store.conversations.get(2).settings["temperature"] == 0.25
    assert session.settings["temperature"] == 0.25


# --- power cuts and kill -9 ----------------------------------------------------------------


def test_a_power_cut_while_a_reply_is_written_behind_another(begin: Open) -> None:
    session = begin()
    session.say("Hello", WHOLE)
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    text = pull(pieces, 10)
    session.begin()
    session.add_user_message(NAME)
    while not session.store._database.row("SELECT count(*) FROM pieces")[0]:
        text += next(pieces)
    other = crashed(begin, session, "crash")
    assert texts(other, 2) == [NAME]
    assert other.open(1) and other.head is not None and other.head.role == MODEL and not other.head.streaming
    assert other.head.text and text.startswith(other.head.text)
    before = other.head.text
    going = other.continue_reply(endless=True)
    more = pull(going, 20)
    other.stop()
    list(going)
    while len(text) < len(before + more):
        text += next(pieces)
    assert text.startswith(before + more)
    session.stop()
    list(pieces)


_BEHIND = """
import json, sys, time
import mlx.core as mx
from rgmlx.store import Store
from rgmlx.conversation.session import Session
say = lambda what: print(json.dumps(what), flush=True)
mx.set_default_device(mx.cpu)
session = Session(Store(sys.argv[1]), sampling={"temperature": 0.8, "seed": 7})
session.load()
session.add_user_message(sys.argv[2])
for number, piece in enumerate(session.generate_reply(endless=True)):
    say([time.time(), piece])
    if number == 5:
        session.begin()
    if number == 10:
        session.add_user_message("Meanwhile")
    if number == 15:
        session.open(1)
    if number == 20:
        session.open(2)
"""


@pytest.mark.parametrize("tokens", [7, 40, 100, 200])
def test_kill_9_while_a_reply_is_written_behind_another(begin: Open, tmp_path: Path, tokens: int) -> None:
    reference = begin(temperature=0.8, seed=7)
    reference.add_user_message(STORY)
    undisturbed = reference.generate_reply(endless=True)
    process = subprocess.Popen(
        [sys.executable, "-c", _BEHIND, str(tmp_path / "killed"), STORY], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pieces = [json.loads(process.stdout.readline()) for _ in range(tokens)]
    os.kill(process.pid, signal.SIGKILL)
    killed = pieces[-1][0]
    pieces += [json.loads(line) for line in process.stdout]
    process.wait(PATIENCE)
    session = begin(tmp_path / "killed", temperature=0.8)
    roles = {
        one.id: [m.role for m in session.store.messages.tree(one.id)] for one in session.store.conversations.listed()
    }
    assert all(kind == [USER] for kind in list(roles.values())[:-1]) and roles[1][0] == USER
    assert session.open(1), "the conversation of a dead process can be opened"
    old = "".join(piece for stamp, piece in pieces if stamp < killed - 1.5)
    written = session.texts()[1] if len(session.texts()) > 1 else ""
    assert len(written) >= len(old) and "".join(piece for _, piece in pieces).startswith(written[:1000])
    begun = session.head is not None and session.head.role == MODEL  # be it without a word
    going = session.continue_reply(endless=True) if begun else session.generate_reply(endless=True)
    whole = written + pull(going, 20)
    session.stop()
    list(going)
    assert pull(undisturbed, len(whole)).startswith(whole)
    reference.stop()
    list(undisturbed)


# --- looking at a place ---------------------------------------------------------------------


def test_looking_at_a_place_does_not_move_the_conversation(begin: Open) -> None:
    session = begin()
    session.say("Hello", WHOLE)
    hello = session.head
    session.say(NAME)
    tip = session.head
    session.begin()
    assert session.open(1, hello.id, peek=True) and session.head == hello
    session.checkout(hello.parent)
    assert head_on_disk(session, 1) == tip.id
    assert session.open(1) and session.head.id == tip.id
    session.checkout(hello.id)  # this is meant
    assert head_on_disk(session, 1) == hello.id
    with pytest.raises(StoreError):
        session.open(1, 99, peek=True)
    assert session.head.id == hello.id


@pytest.mark.parametrize("what", ["ask", "edit", "fix", "reply", "go on"])
def test_what_is_written_from_a_place_that_is_looked_at_moves_it_there(begin: Open, what: str) -> None:
    session = begin()
    session.say("Hello", WHOLE)
    hello = session.head
    session.say(NAME)
    session.begin()
    session.open(1, hello.id, peek=True)
    if what == "ask":
        session.add_user_message("A branch")
    elif what == "edit":
        session.edit(hello.parent, "Another")
    elif what == "fix":
        session.edit(hello.id, "Mine.")
    elif what == "reply":
        session.checkout(hello.parent)
        session.answer()
    else:
        list(session.continue_reply())
    assert session.head is not None and head_on_disk(session, 1) == session.head.id
    assert session.head.parent in (None, hello.id, hello.parent)


def test_a_running_reply_is_where_the_conversation_stands_after_a_look(begin: Open) -> None:
    session = begin()
    session.say("Hello", WHOLE)
    hello = session.head
    session.add_user_message(STORY)
    pieces = session.generate_reply(endless=True)
    session.open(1, hello.id, peek=True)
    pull(pieces, 20)
    assert session.head.id == hello.id and not session.at_running
    assert session.store.messages.get(head_on_disk(session, 1)).streaming
    assert session.open(1) and session.at_running
    session.stop()
    list(pieces)
    assert session.head.role == MODEL and head_on_disk(session, 1) == session.head.id


def test_an_endless_reply_begins_a_paragraph_where_it_would_end(begin: Open) -> None:
    """The end of a turn is not forbidden, which would be followed by what the model has never learned."""
    question = "What is the capital of France?"
    session = begin(temperature=0.0)
    session.add_user_message(question)
    whole = "".join(session.generate_reply())
    other = begin(temperature=0.0)
    other.add_user_message(question)
    text, pieces = "", other.generate_reply(endless=True)
    while len(text) < len(whole) + 20:
        text += next(pieces)
    other.stop()
    for _ in pieces:
        pass
    assert text.startswith(f"{whole}\n\n") and text[len(whole) + 2 :].strip()
