"""The session at any place of the tree: branches, siblings and steps, and opening conversations."""

from __future__ import annotations

import random

import pytest
from sessions import (
    NAME,
    WHOLE,
    Open,
    Watched,
    again,
    continues_alike,
    counted,
    long_conversation,
    messages_with,
    read,
)

from rgmlx.conversation import places
from rgmlx.conversation.session import Session
from rgmlx.errors import ChatError, RgmlxError
from rgmlx.store import MODEL, Message, StoreError

# --- any place of the tree ----------------------------------------------------------------


def grow(session: Watched) -> list[Message]:
    """A tree with two roots, edits of both sides and another reply."""
    session.say("Hello", WHOLE)
    hello = session.head
    session.say(NAME)
    assert hello is not None and hello.parent is not None
    session.checkout(hello.id)
    session.say("What can you do?")
    session.edit(hello.id, "Good evening.")
    session.say(NAME)
    session.edit(hello.parent, "Good night")
    "".join(session.generate_reply())
    session.checkout(hello.parent)
    "".join(session.generate_reply())
    assert session.conversation is not None
    return session.store.messages.tree(session.conversation.id)


def test_any_place_goes_on_as_if_its_path_had_been_read(begin: Open) -> None:
    session = begin()
    tree = grow(session)
    assert len(tree) == 12 and read(session) > 0  # the edited reply was read
    before = read(session)
    other = again(begin, session)
    for message in random.Random(1).sample(tree, len(tree)):
        for one in (session, other):
            one.checkout(message.id)
            # A reply of the user's own is read; every other was written, and its state is on the disk.
            assert one.sync() == 0 or (one is other and message.text == "Good evening.")
            assert one.in_sync and one.context is not None and not one.context.cached.unread
    for message in (tree[3], tree[6]):
        other.checkout(message.id)
        continues_alike(begin, other, "Good night")
    assert read(session) == before and read(other) < 10


# --- siblings, steps, branches ------------------------------------------------------------


def test_siblings_and_steps(begin: Open) -> None:
    session = begin()
    store = session.store
    session.say("Hello")
    first = session.head
    assert first is not None and first.parent is not None
    session.checkout(first.parent)
    "".join(session.generate_reply())
    second = session.head
    assert second is not None and (second.number, second.siblings, second.parent) == (2, 2, first.parent)
    third = session.edit(first.id, "Mine.")
    assert (third.number, third.siblings, third.role, third.closed) == (3, 3, MODEL, True)
    assert session.head == third
    session.say(NAME)
    tip = session.head
    assert tip is not None
    asked = session.edit(first.parent, "Good night")
    assert (asked.number, asked.siblings, asked.parent) == (2, 2, None)
    first, second = store.messages.get(first.id), store.messages.get(second.id)
    assert places.sibling(store, first, -1) is None
    assert places.sibling(store, first, 1) == second.id
    assert places.sibling(store, second, 1) == tip.id  # the end of the branch
    assert places.sibling(store, third, 1) is None
    assert places.sibling(store, asked, -1) == tip.id
    assert [places.steps(store, at, tip.id) for at in (None, first.parent, third.id, tip.id)] == [
        places.Steps(here, 2) for here in (0, 1, 1, 2)
    ]
    going, head = [], tip
    while head is not None:
        number = places.earlier(store, head)
        going.append(number)
        head = None if number is None else store.messages.get(number)
    assert going == [third.id, None]
    there: list[int | None] = [None]
    while (following := places.later(store, there[-1], tip.id)) is not None:
        there.append(following)
    assert there == [None, third.id, tip.id]
    assert places.later(store, None, asked.id) == asked.id  # no reply yet: the tip itself


def test_a_branch_at_every_point_of_a_conversation(begin: Open) -> None:
    session = begin()
    last = long_conversation(session, 20)
    path = session.store.messages.path(last)
    for message in path:
        new = session.edit(message.id, "Another text")
        assert session.head == new and (new.number, new.siblings, new.depth) == (2, 2, message.depth)
        assert new.parent == message.parent and new.role == message.role
        assert session.store.messages.get(message.id).text == message.text
    assert session.store.messages.path(last) == [messages_with(m, siblings=2) for m in path]


def test_steps_of_a_long_conversation_are_a_few_queries(begin: Open) -> None:
    session = begin()
    last = long_conversation(session, 2500)
    line = [number for number, _ in session.store.messages.path_sizes(last)][::-1]
    counts = counted(session.store)
    for at in (1, 3, 2501, 4997):  # replies
        del counts[:]
        assert places.later(session.store, line[at], last) == line[at + 2]
        assert places.earlier(session.store, session.store.messages.get(line[at])) == (line[at - 2] if at > 1 else None)
        assert len(counts) < 12
    del counts[:]
    assert places.later(session.store, None, last) == line[1]
    assert places.later(session.store, last, last) is None
    assert places.steps(session.store, line[4997], last) == places.Steps(2499, 2500)
    assert len(counts) < 12


# --- opening ------------------------------------------------------------------------------


def test_a_conversation_is_open_once(begin: Open) -> None:
    session = begin()
    session.add_user_message("Hello")
    other = begin(session.store.directory)
    other.add_user_message("Other")
    was = other.conversation, other.head, other.settings, other.system
    assert other.open(1) is False
    assert (other.conversation, other.head, other.settings, other.system) == was
    session.begin()
    assert other.open(1) and not session.open(1) and session.open(2)
    assert other.open(1), "one's own is no other's"
    session.close()
    other.open_latest()
    assert other.conversation is not None and other.conversation.id == 2


def test_the_next_start_opens_what_was_open_last(begin: Open) -> None:
    """Not what was changed last: by a look at an older one, or by a pipe, which leaves no such trace."""
    session = begin()
    session.last = session.store.directory / "last"
    session.add_user_message("Hello")
    session.begin()
    session.add_user_message("Other")
    assert session.open(1)
    session.close()
    pipe = begin(session.store.directory)
    pipe.add_user_message("Of a pipe")
    pipe.close()
    again = begin(session.store.directory)
    again.last = session.last
    again.open_latest()
    assert again.conversation is not None and again.conversation.id == 1
    again.close()
    session.last.write_text("no number")
    again.begin()
    again.open_latest()
    assert again.conversation is not None and again.conversation.id == 3, "else the newest"


def test_what_is_not_there_is_refused_and_nothing_changes(begin: Open) -> None:
    session = begin()
    session.add_user_message("Hello")
    theirs = session.head
    session.begin()
    session.add_user_message("Other")
    was = session.conversation, session.head, session.settings
    assert theirs is not None and was[0] is not None and was[1] is not None
    for refused in (
        lambda: session.open(99),
        lambda: session.open(1, was[1].id),
        lambda: session.open(2, theirs.id),
        lambda: session.edit(theirs.id, "x"),
        lambda: session.edit(99, "x"),
        lambda: session.checkout(theirs.id),
        lambda: session.checkout(99),
    ):
        with pytest.raises(StoreError):
            refused()
        assert (session.conversation, session.head, session.settings) == was
    assert len(session.store.messages.tree(1)) == len(session.store.messages.tree(2)) == 1
    other = begin(session.store.directory)
    assert other.open(1) and not other.open(2)  # the failed look at 1 holds nothing
    with pytest.raises(ChatError, match="no message to reply to"):
        session.checkout(None)
        list(session.generate_reply())
    unloaded = Session(session.store)
    with pytest.raises(ChatError, match="choose a model"):
        list(unloaded.generate_reply())
    with pytest.raises(RgmlxError):
        session.load(str(session.store.directory / "nothing"))
    assert session.ready and session.name == "demo"
    session.load()
    assert session.ready and not session.store.notices
