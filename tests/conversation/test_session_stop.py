"""The session that is stopped: while it reads, at the first piece, later; and what goes on from there."""

from __future__ import annotations

import threading

import pytest
from sessions import (
    LONG,
    NAME,
    STORY,
    WHOLE,
    Open,
    again,
    continues_alike,
    messages_with,
    read,
    reader,
    same_tokens,
)
from stores import drop_snapshots

from rgmlx.conversation import context
from rgmlx.errors import ChatError
from rgmlx.store import MODEL, USER
from tui.operations import describe

ABLE = "What can you do?"
"""The answer has some sentences."""


def test_stopped_while_the_message_is_read(begin: Open, small_steps: None) -> None:
    session, reference = begin(), begin()
    reference.add_user_message(LONG)
    expected = reference.answer()
    asked = session.add_user_message(LONG)
    for at in (1, 3):  # twice, a little further each time
        session.stop_at_progress = at
        assert list(session.generate_reply()) == []
        assert session.reading is None and session.head == asked
        assert session.store.messages.children(asked.id) == []  # no trace of a reply without a word
        assert session.store.conversations.get(1).head == asked.id
    assert session.context is not None and 0 < session.context.cached.state.position < 50
    assert session.answer() == expected
    assert read(session) == 0 and same_tokens(session, reference)
    assert session.head is not None and (session.head.number, session.head.siblings) == (1, 1)


def test_a_message_stopped_while_read_can_be_left_or_edited(begin: Open, small_steps: None) -> None:
    session, reference = begin(), begin()
    for s in (session, reference):
        s.say("Hello", WHOLE)
    asked = session.add_user_message(LONG)
    session.stop_at_progress = len(session.told) + 1
    assert list(session.generate_reply()) == []
    session.edit(asked.id, NAME)
    assert session.answer() == reference.say(NAME)
    assert read(session) == 0 and same_tokens(session, reference)


@pytest.mark.parametrize("what", ["reply", "go_on", "stand"])
def test_a_stop_of_what_is_expected_holds_when_it_begins(begin: Open, what: str) -> None:
    """The screen says that Esc stops it before the model's thread has come to it."""
    session = begin()
    if what == "stand":
        made = session.store.conversations.create("demo").id
        asked = session.store.messages.add_finished(made, None, USER, LONG, closed=True, created=1.0)
        session.open(made, session.store.messages.add_finished(made, asked, MODEL, LONG, closed=True, created=1.0))
    else:
        session.add_user_message(STORY)
    if what == "go_on":
        pieces = session.generate_reply()
        next(pieces)
        session.stop()
        list(pieces)
    head = session.head
    session.expect()
    session.stop()
    if what == "stand":
        with pytest.raises(ChatError, match="stopped"):
            session.sync()
        assert session.context is not None and session.context.cached.state.position == 0
        session.add_user_message(NAME)
        session.stop()  # of nothing: it is over
        assert session.answer()
    else:
        begun = session.generate_reply if what == "reply" else session.continue_reply
        assert list(begun()) == [] and session.head == head
        session.stop()
        pieces = begun()
        assert next(pieces)
        session.stop()
        list(pieces)


def test_stopped_at_the_first_piece_and_later(begin: Open) -> None:
    reference = begin()
    reference.add_user_message(ABLE)
    expected = "".join(reference.generate_reply())
    assert len(expected) > 40, "too short to be stopped three times"
    session = begin()
    session.add_user_message(ABLE)
    text = ""
    for wanted in (1, 9):
        pieces = session.generate_reply() if not text else session.continue_reply()
        for piece in pieces:
            text += piece
            if len(text) >= wanted:
                session.stop()
                session.stop()
        assert session.head is not None and session.head.text == text == expected[: len(text)]
        assert not session.head.closed and len(text) < 30 and session.in_sync
    enough = threading.Event()
    other = threading.Thread(target=lambda: enough.wait() and session.stop())
    other.start()
    for piece in session.continue_reply():
        text += piece
        if len(text) > 20:
            enough.set()
    enough.set()
    other.join()
    assert text == expected[: len(text)] and session.store.messages.get(2).text == text
    partial = session.head
    assert partial is not None and not partial.closed
    # From here on: a new message, another reply, or the rest, each as if nothing had been stopped.
    continues_alike(begin, session, "Hello")
    session.checkout(partial.parent)
    assert "".join(session.generate_reply()) == expected
    session.checkout(partial.id)
    rest = "".join(session.continue_reply())  # others follow the partial one: it is a longer sibling
    assert text + rest == expected and session.texts() == [ABLE, expected]
    assert session.store.messages.get(partial.id) == messages_with(partial, siblings=3)
    assert read(session) == 0 and same_tokens(session, reference)
    session = again(begin, session)
    assert session.sync() == 0


def test_a_stopped_reading_of_a_message_is_kept_on_the_disk(begin: Open, small_steps: None) -> None:
    """Fault 11: opened again, nothing is read before it is needed, and what was read is not read again."""
    reference, session = begin(), begin()
    for s in (reference, session):
        s.add_user_message(LONG)
    session.stop_at_progress = 2
    assert list(session.generate_reply()) == [] and session.context is not None
    for text in ("", "Hello"):
        if text:
            for s in (reference, session):
                s.add_user_message(text)
            session.stop_at_progress = len(session.told) + 1
            assert list(session.generate_reply()) == [] and session.context is not None
        position, left = session.context.cached.state.position, session.context.cached.unread
        assert position > 0 and left
        session = again(begin, session)
        assert session.sync() == 0 and session.told == [] and session.context is not None
        assert (session.context.cached.state.position, session.context.cached.unread) == (position, left)
    assert session.answer() == reference.answer()
    assert read(session) == 0 and same_tokens(session, reference)


def test_a_stopped_reading_again_stays_stopped_until_it_is_needed(begin: Open, small_steps: None) -> None:
    """Fault 11: a long conversation, stopped in its first message; the next start begins nothing by itself."""
    session = begin()
    session.say(LONG)
    session.say("Hello")
    drop_snapshots(session.store)
    other = again(begin, session)
    other.stop_at_progress = 2
    with pytest.raises(ChatError, match="goes on with it"):
        other.sync()
    stopped_at = read(other)
    for _ in range(2):
        assert other.in_sync and other.sync() == 0 and same_tokens(session, other)
        assert other.context is not None and other.context.cached.state.position == stopped_at > 0
        other = again(begin, other)
        assert other.sync() == 0 and read(other) == 0
    assert other.say(NAME) == session.say(NAME) and same_tokens(session, other)


def test_how_far_a_reading_is_counts_what_was_left_of_it(
    begin: Open, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 11: after a stop it stood at "0 of 6 tokens" while hundreds were read; and says what is read."""
    monkeypatch.setattr(context, "_UNREAD_CHARS", 0)
    session = begin()
    session.add_user_message(LONG)
    session.add_user_message("Hi")
    session.add_user_message("Hello")
    session.stop_at_progress = 1
    with pytest.raises(ChatError):
        session.sync()
    assert session.context is not None
    left = len(session.context.cached.unread)
    told: list[tuple[bool, int]] = []
    progress = session._progress

    def note(done: int, total: int) -> None:
        progress(done, total)
        told.append((session.reading_again, total))

    session._progress = note  # type: ignore[method-assign]
    session.add_user_message("x")
    assert session.answer()
    assert {total for again, total in told if again} == {4 * left + len("Hi") + len("Hello")}
    assert told[0][0] and not told[-1][0] and not session.reading_again


def test_a_stop_while_reading_again_is_gone_on_with(begin: Open, small_steps: None) -> None:
    session = begin()
    session.say(LONG)
    drop_snapshots(session.store)
    other = again(begin, session)
    other.stop_at_progress = 2
    with pytest.raises(ChatError, match="goes on with it"):
        other.sync()
    stopped_at = read(other)
    assert other.reading is None and 0 < stopped_at < session.metrics.position
    other.sync()
    assert read(other) <= session.metrics.position and same_tokens(session, other)
    assert other.say("Hello") == session.say("Hello")


def test_a_stopped_reply_says_why_and_leaves_nothing(begin: Open, small_steps: None) -> None:
    """Of a reply whose conversation had to be read again first."""
    session = begin()
    session.say(LONG)
    session.add_user_message("Hello")
    drop_snapshots(session.store)
    other = again(begin, session)
    other.stop_at_progress = 1
    with pytest.raises(ChatError):
        list(other.generate_reply())
    assert other.reading is None and other.head is not None and other.store.messages.children(other.head.id) == []
    assert other.answer() == session.answer()


def test_the_figures_are_of_the_last_reply(begin: Open, small_steps: None) -> None:
    """Also where it had one token, and no rate; one that was stopped before its first word is none."""
    session = begin()
    session.say(STORY)
    assert session.metrics.rate > 0
    session.set_settings({"max_tokens": 1})
    session.say("Hello")
    figures = session.metrics.rate, session.metrics.first_token
    assert figures[0] == 0 < figures[1]
    (last,) = [line for line in describe(session) if line.startswith("Last reply")]
    assert last == f"Last reply: one token, after {figures[1]:.2f} s"
    session.add_user_message(LONG)
    session.stop_at_progress = len(session.told) + 1
    assert list(session.generate_reply()) == []
    assert (session.metrics.rate, session.metrics.first_token) == figures


def test_going_on_with_a_reply_that_had_ended(begin: Open) -> None:
    for question in (NAME, "Good night", "Hello"):
        session = begin(max_tokens=60)  # what follows an end may be without one
        first = session.say(question, WHOLE)
        ended = session.head
        session.stop_before_writing = True
        assert list(session.continue_reply()) == [] and session.head == ended  # without a word there is no sibling
        session.stop_before_writing = False
        more = "".join(session.continue_reply())
        assert ended is not None and session.head is not None and session.head.text == first + more
        assert len(session.context.tokenizer.encode(more)) >= 7 if session.context else False
        assert (session.head.number, session.head.parent) == (2, ended.parent)
        assert session.store.messages.get(ended.id).text == first
        if same_tokens(session, reader(begin, session.store.messages.path(session.head.id))):
            break  # where the end was may be within what is one token when it is read again
    continues_alike(begin, session)
    with pytest.raises(ChatError, match="send a message first"):
        session.begin()
        list(session.continue_reply())
