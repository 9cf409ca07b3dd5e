"""What the session's model remembers: without a snapshot, within its budget, and where the exact part begins."""

from __future__ import annotations

import pytest
from sessions import (
    LONG,
    NAME,
    WHOLE,
    Open,
    Watched,
    again,
    counted,
    long_conversation,
    other_model,
    pull,
    read,
    same_tokens,
)
from stores import drop_snapshots

import rgmlx
from rgmlx.conversation.context import Context
from rgmlx.conversation.turns import CachedState, ids_of
from rgmlx.store import MODEL, USER

# --- without a usable snapshot ------------------------------------------------------------


@pytest.mark.parametrize("how", ["forgotten", "damaged", "no room", "another model"])
def test_without_a_snapshot_it_reads_again(begin: Open, how: str, small_steps: None) -> None:
    session = begin(budget=0 if how == "no room" else None)
    session.say("Hello", WHOLE)
    session.say("What can you do? I met a kind bear near the old river. We shared some honey and sang a song.")
    if how == "forgotten":
        drop_snapshots(session.store)
    elif how == "damaged":
        with session.store._database.states.transaction() as c:
            c.execute("UPDATE snapshots SET data = zeroblob(length(data))")
    model = other_model() if how == "another model" else None
    other = again(begin, session, model=model, budget=session.store.snapshots.budget)
    assert other.head is not None and not other.in_sync
    tokens = other.sync()
    assert tokens == read(other) == session.metrics.position > 60
    assert other.in_sync and same_tokens(session, other)
    assert len(other.told) > 3 and other.told[-1] is None and other.reading is None
    done = [d for d, _ in filter(None, other.told)]
    assert done == sorted(done) and {total for _, total in filter(None, other.told)} == {len("".join(other.texts()))}
    session.open(other.head.conversation)
    assert other.say(NAME) == session.say(NAME)
    assert other.metrics.read_again == tokens


# --- what it costs ------------------------------------------------------------------------


def test_states_in_memory_and_on_the_disk_have_a_budget(begin: Open, demo: rgmlx.Model) -> None:
    session = begin(budget=1_500_000)
    size = demo.new_state().nbytes
    session.context = Context(demo, session.store, kept_bytes=3 * size)
    assert session.context._most == 3
    for text in ("Hello", NAME, "Good night"):
        session.say(text)
    for message in session.store.messages.tree(1):
        session.checkout(message.id)
        session.sync()
        assert len(session.context._kept) <= 3
        assert session.store.snapshots.usage().bytes <= 1_500_000
    assert Context(demo, session.store, kept_bytes=0)._most == 0
    assert Context(demo, session.store, kept_bytes=10**15)._most == 256


def test_standing_costs_the_same_after_a_hundred_thousand_tokens(begin: Open) -> None:
    costs = []
    for pairs in (10, 2500):
        session = begin()
        last = long_conversation(session, pairs)
        assert session.context is not None
        assert 2 * pairs * len(session.context.tokenizer.encode("one two three " * 7)) > (100_000 if pairs > 10 else 0)
        counts = counted(session.store)
        assert session.sync() == 0 and session.context.head == last
        session.add_user_message("Hello")
        session.sync()
        costs.append(counts)
    assert costs[0] == costs[1] and sum(costs[1]) < 30
    assert read(session) == 0


def test_turns_as_ids_are_what_was_written(begin: Open) -> None:
    """The state after a conversation has read what `ids_of` says of it."""
    session = begin()
    session.set_system("You are Griff.")
    session.say("Hello")
    session.say(NAME)
    path = session.store.messages.path(session.head.id if session.head else None)
    assert session.context is not None
    ids: list[int] = []
    for m, before in zip(path, [None, *path], strict=False):
        ids += ids_of(session.context.tokenizer, m, before, session.system)
    assert session.context.cached.state.position == len(ids)
    assert list(session.context.cached.state.recent[0]) == ids[-256:]


# --- the horizon: of fewer tokens than the model remembers, so that less need be said and read ---


def by_hand(session: Watched) -> tuple[int, int] | None:
    """(message, characters) of it that are among the last tokens, counted one by one."""
    assert session.context is not None and session.head is not None
    encode, tokenizer = session.context.tokenizer.encode, session.context.tokenizer
    path = session.store.messages.path(session.head.id)
    stream: list[tuple[int, int | None]] = [(tokenizer.bos, None)]
    for m, before in zip(path, [None, *path], strict=False):
        if m.role == USER:
            words = [(t, None) for t in encode("\n")] if before else []
            if before and not before.closed:
                words.insert(0, (tokenizer.end_of_turn or 0, None))
            words += [(tokenizer.start_of_turn or 0, None), *((t, None) for t in encode("user\n"))]
        else:
            words = []
        text = m.text.strip() if m.role == USER else m.text
        words += [(t, m.id) for t in encode(text)]
        if m.role == USER:
            end = [tokenizer.end_of_turn, *encode("\n"), tokenizer.start_of_turn, *encode("model\n")]
            words += [(t or 0, None) for t in end]
        elif m.closed:
            words.append((tokenizer.end_of_turn or 0, None))
        stream += words
    # The embedded model reads 60 tokens a second here: it only says that it has.
    state = session.context.model.new_state()
    state.positions = [len(stream)]
    session.context.set(session.head.id, CachedState(state))
    inside = stream[-session.context.window :]
    for m in reversed(path):
        seen = [t for t, owner in inside if owner == m.id]
        if len(seen) < sum(owner == m.id for _, owner in stream):
            after = len(m.text) - len(m.text.rstrip()) if m.role == USER and seen else 0
            return m.id, len(tokenizer.decode(seen)) + after
    return None


def test_the_horizon_is_where_it_is(begin: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "window", 256)
    session = begin()
    words = (LONG * 7).split()
    assert session.horizon() is None
    session.add_user_message(" ".join(words[:40]) + " \n")
    made = session.conversation
    assert made is not None and session.head is not None
    found = set()
    for n in (2, 30, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 90, 200):
        session.checkout(1)
        for number, closed in ((n // 2, True), (n, n % 2 == 0)):
            text = " ".join(words[:number])
            last = session.store.messages.add_finished(
                made.id, session.head.id, MODEL, text, closed=closed, created=1.0
            )
            session.checkout(last)
            session.add_user_message(f" {text}")
        for head in (session.head.id, session.head.parent):
            session.checkout(head)
            expected, horizon = by_hand(session), session.horizon()
            assert (horizon and (horizon.message, horizon.characters)) == expected
            found.add(expected and (session.store.messages.get(expected[0]).role, expected[1] > 0))
    assert {None, (USER, True), (MODEL, True)} <= found


def test_no_horizon_in_what_was_not_read_yet(begin: Open, small_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long message, the reading of which was stopped near its beginning: none of its end is remembered."""
    monkeypatch.setattr(Context, "window", 48)
    session = begin()
    session.add_user_message("A fox met a bear near the old river. " * 20)
    session.stop_at_progress = 3
    assert list(session.generate_reply()) == []
    assert (
        session.in_sync and session.context is not None and len(session.context.cached.unread) > session.context.window
    )
    assert session.horizon() is None
    session.answer()
    assert session.horizon() is not None


@pytest.mark.parametrize("closed", [True, False])
def test_the_horizon_inside_one_long_reply(begin: Open, closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "window", 256)
    session = begin()
    session.add_user_message("Hello")
    last = session.store.messages.add_finished(1, 1, MODEL, LONG * 16, closed=closed, created=1.0)
    session.checkout(last)
    assert session.horizon() is None  # it does not stand there
    expected, horizon = by_hand(session), session.horizon()
    assert horizon is not None and (horizon.message, horizon.characters) == expected and horizon.message == last


def test_the_horizon_of_a_reply_that_is_being_written(begin: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Context, "window", 48)
    session = begin(temperature=0.8, seed=3)
    session.add_user_message(LONG)
    assert session.horizon_while_writing() is None
    pieces = session.generate_reply(endless=True)
    pull(pieces, 30)
    horizon = session.horizon_while_writing()
    assert horizon is not None and horizon.message == 1 and 0 < horizon.characters < len(LONG)
    session.stop()
    list(pieces)
    after = session.horizon()
    assert after is not None and after.message == 1 and after.characters <= horizon.characters
