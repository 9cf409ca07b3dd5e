"""Snapshots: what comes back is what was given or nothing, and it is small."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import rooms
from stores import drop_snapshots
from waiting import PATIENCE

import rgmlx
from rgmlx.errors import StateError
from rgmlx.generation.engine import Generation, prefill
from rgmlx.griffin.state import State
from rgmlx.settings import Sampling
from rgmlx.store import Conversation, Store, StoreError
from rgmlx.store.snapshots import MAX_LINKS, SnapshotStore
from rgmlx.store.states.delta import Packed, changed_slots, decode, encode, pack, unpack

GREEDY = Sampling(temperature=0)
TINY = rooms.TESTS / "goldens" / "tiny"


def run(model: rgmlx.Model, state: State, prompt: list[int], count: int) -> list[int]:
    return list(Generation(model, state, prompt, sampling=GREEDY, max_tokens=count))


def bits(array: mx.array) -> bytes:
    return np.array(array.reshape(-1).view(mx.uint8)).tobytes() if array.size else b""


def same_bits(a: State, b: State) -> bool:
    """Bit for bit: unlike equality of numbers this tells -0 from 0, and takes a NaN for itself."""
    pairs = zip(a.arrays(), b.arrays(), strict=True)
    return (
        a.positions == b.positions
        and a.recent == b.recent
        and all(x.dtype == y.dtype and x.shape == y.shape and bits(x) == bits(y) for x, y in pairs)
    )


@pytest.fixture(scope="session", params=["float32", "bfloat16", "float16"])
def model(request: pytest.FixtureRequest) -> rgmlx.Model:
    return rgmlx.load(TINY, dtype=request.param)


@pytest.fixture
def chat(store: Store) -> Conversation:
    return store.conversations.create("tiny")


def add(store: Store, chat: Conversation, parent: int | None = None) -> int:
    return store.messages.add_user(chat.id, parent, "text").id


def line(store: Store, chat: Conversation, model: rgmlx.Model, lengths: list[int]) -> list[tuple[int, State]]:
    """Messages after one another, a snapshot after each that is so many tokens on."""
    state, parent, kept = model.new_state(), None, []
    rng = random.Random(0)
    for length in lengths:
        prefill(model, state, [[rng.randrange(1, 90) for _ in range(length)]])
        parent = add(store, chat, parent)
        store.snapshots.put(parent, state)
        kept.append((parent, state.copy()))
    return kept


def links(store: Store) -> list[int]:
    return [
        n for (n,) in store._database.states.rows("SELECT links FROM snapshots WHERE message NOT NULL ORDER BY message")
    ]


# --- deltas -------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, 9, 16, 17, 18, 40])
@pytest.mark.parametrize("length", [0, 1, 5, 16, 17, 18, 60])
def test_a_delta_is_exact_and_holds_the_new_slots(tiny: rgmlx.Model, start: int, length: int) -> None:
    """The ring has 17 slots: from before, across and after its wrap-around."""
    ring = tiny.config.ring_size
    state = tiny.new_state()
    if start:
        prefill(tiny, state, [list(range(1, start + 1))])
    before = pack(state)
    if length:
        prefill(tiny, state, [list(range(50, 50 + length))])
    after = pack(state)
    changed = changed_slots(after, before)
    assert changed is not None
    expected = {p % ring for p in range(start, start + length)}
    assert set(np.flatnonzero(changed[0]).tolist()) == expected
    data = encode(after, before)
    assert (data is None) == (length >= ring)
    if data is not None:
        assert decode(data, before).digest() == after.digest()
        assert same_bits(unpack(decode(data, before), tiny), state)
        slot = sum(f.row_bytes for f in after.forms if f.ring)
        rest = sum(a.nbytes for f, a in zip(after.forms, after.arrays, strict=True) if not f.ring)
        assert 0 <= len(data) - len(expected) * slot - rest < 2500  # and a header
    whole = encode(after)
    assert whole is not None and same_bits(unpack(decode(whole), tiny), state)


def test_bits_that_numbers_hide(model: rgmlx.Model) -> None:
    """-0, infinities and any NaN come back as they were, and -0 in place of 0 counts as a change."""
    state = model.new_state()
    before = pack(state)
    k, v = state.layers[2]
    k[0, 0, 3, 0] = -0.0
    v[0, 0, 5, 1] = float("nan")
    v[0, 0, 5, 2] = float("-inf")
    state.layers[2] = (k, v)
    changed = changed_slots(pack(state), before)
    assert changed is not None and np.flatnonzero(changed[0]).tolist() == [3, 5]
    data = encode(pack(state), before)
    assert data is not None
    assert same_bits(unpack(decode(data, before), model), state)


def test_a_batch_whose_rows_stand_apart(tiny: rgmlx.Model) -> None:
    state = tiny.new_state(3)
    prefill(tiny, state, [[1, 2], list(range(1, 15)), [9] * 40])
    before = pack(state)
    prefill(tiny, state, [[1, 2, 3], [4] * 6, [5]])
    changed = changed_slots(pack(state), before)
    assert changed is not None and changed.sum(axis=1).tolist() == [3, 6, 1]
    data = encode(pack(state), before)
    assert data is not None
    assert same_bits(unpack(decode(data, before), tiny), state)


def test_positions_without_limit(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    state.positions = [10**30]
    data = encode(pack(state))
    assert data is not None and unpack(decode(data), tiny).positions == [10**30]


def test_a_delta_without_its_base_or_with_another_form(tiny: rgmlx.Model, demo: rgmlx.Model) -> None:
    state = tiny.new_state()
    before = pack(state)
    prefill(tiny, state, [[1, 2]])
    data = encode(pack(state), before)
    assert data is not None
    for base in (None, pack(demo.new_state())):
        with pytest.raises(StateError, match="damaged"):
            decode(data, base)
    assert encode(pack(state), pack(demo.new_state())) is None
    with pytest.raises(StateError, match="another model"):
        unpack(before, demo)


def test_damaged_bytes_are_never_another_exception(tiny: rgmlx.Model) -> None:
    data = encode(pack(tiny.new_state()))
    assert data is not None
    rng = random.Random(1)
    for _ in range(300):
        broken = bytearray(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)
        for _ in range(rng.randrange(1, 4)):
            if broken:
                broken[rng.randrange(min(len(broken), 2000))] = rng.randrange(256)
        with contextlib.suppress(StateError):
            assert isinstance(decode(bytes(broken)), Packed)


# --- in the store -------------------------------------------------------------------------


def test_every_state_of_a_line_comes_back(model: rgmlx.Model, store: Store, chat: Conversation) -> None:
    """Of all dtypes, over several turns of the ring, with chains that end and begin."""
    rng = random.Random(3)
    kept = line(store, chat, model, [rng.choice([1, 2, 3, 7, 12, 16]) for _ in range(40)] + [17, 1, 50, 2])
    assert links(store)[:19] == [*range(MAX_LINKS + 1), 0, 1]
    assert links(store)[-4:] == [0, 1, 0, 1]  # a whole ring of news is no delta
    for message, state in kept:
        found = store.snapshots.get(message, model)
        assert found is not None and same_bits(found.state, state)


def test_generation_goes_on_as_if_nothing_had_happened(model: rgmlx.Model, store: Store, chat: Conversation) -> None:
    """From a whole one and three deltas, across the wrap-around of the ring."""
    state, parent = model.new_state(), None
    for prompt in ([3, 5, 7, 9], [11], [2, 4], [8]):
        run(model, state, prompt, 10)
        parent = add(store, chat, parent)
        store.snapshots.put(parent, state, unread=[5, 7])
    assert parent is not None and links(store) == [0, 1, 2, 3]
    expected = run(model, state, [5, 7], 40)
    store.close()
    with Store(store.directory) as again:
        found = again.snapshots.restore(parent, model)
        assert found is not None
        near, snapshot = found
        assert (near.message, near.after, snapshot.unread) == (parent, 0, (5, 7))
        assert run(model, snapshot.state, list(snapshot.unread), 40) == expected


def test_sizes_of_the_demo(demo: rgmlx.Model, store: Store, chat: Conversation) -> None:
    kept = line(store, chat, demo, [20, 1, 40])
    sizes = [n for (n,) in store._database.states.rows("SELECT size FROM snapshots ORDER BY message")]
    whole = demo.config.state_nbytes(4)
    slot = 4 * 2 * 64 * 4
    assert whole <= sizes[0] < whole + 4000
    assert sizes[2] - sizes[1] == pytest.approx(39 * slot, abs=300)
    assert sizes[1] < 80_000 < sizes[0] / 10
    assert store.snapshots.usage().bytes == sum(sizes)
    assert len(kept) == store.snapshots.usage().count


def test_the_nearest(tiny: rgmlx.Model, store: Store, chat: Conversation, demo: rgmlx.Model) -> None:
    messages = [add(store, chat)]
    for _ in range(9):
        messages.append(add(store, chat, messages[-1]))
    branch = add(store, chat, messages[4])
    assert store.snapshots.nearest(messages[-1], tiny.identity) is None
    assert store.snapshots.restore(messages[-1], tiny) is None
    state = tiny.new_state()
    prefill(tiny, state, [[1, 2, 3]])
    for index in (1, 3, 7):
        store.snapshots.put(messages[index], state)
    for index, near, after in ((9, 7, 2), (7, 7, 0), (6, 3, 3), (1, 1, 0)):
        found = store.snapshots.nearest(messages[index], tiny.identity)
        assert found is not None and (found.message, found.after) == (messages[near], after)
    found = store.snapshots.nearest(branch, tiny.identity)
    assert found is not None and (found.message, found.after) == (messages[3], 2)
    assert store.snapshots.nearest(messages[0], tiny.identity) is None
    assert store.snapshots.nearest(messages[9], demo.identity) is None
    assert store.snapshots.get(messages[7], demo) is None
    with pytest.raises(StoreError, match="no message"):
        store.snapshots.put(999, state)


def test_branches_have_their_own(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    """Replies written anew from one point are each a delta against it."""
    root = add(store, chat)
    state = tiny.new_state()
    prefill(tiny, state, [list(range(1, 20))])
    store.snapshots.put(root, state)
    kept = []
    for seed in range(5):
        other = state.copy()
        prefill(tiny, other, [[seed + 1] * (seed + 2)])
        message = add(store, chat, root)
        store.snapshots.put(message, other)
        kept.append((message, other))
    assert links(store) == [0, 1, 1, 1, 1, 1]
    for message, other in kept:
        found = store.snapshots.get(message, tiny)
        assert found is not None and same_bits(found.state, other)


def test_a_state_of_another_text_at_fitting_positions(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    """A conversation read again may split into other tokens than were sampled: positions alone would lie."""
    one, two = tiny.new_state(), tiny.new_state()
    prefill(tiny, one, [list(range(1, 13))])
    prefill(tiny, two, [list(range(40, 54))])  # shares nothing with the first, and is two tokens on
    first = add(store, chat)
    second = add(store, chat, first)
    store.snapshots.put(first, one)
    store.snapshots.put(second, two)
    found = store.snapshots.get(second, tiny)
    assert found is not None and same_bits(found.state, two)


def test_one_put_in_place_of_another_breaks_nothing(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    kept = line(store, chat, tiny, [5, 3, 3])
    other = tiny.new_state()
    prefill(tiny, other, [[7] * 6])
    store.snapshots.put(kept[0][0], other, [1, 2, 3])
    found = store.snapshots.get(kept[0][0], tiny)
    assert found is not None and same_bits(found.state, other) and found.unread == (1, 2, 3)
    for message, state in kept[1:]:
        found = store.snapshots.get(message, tiny)
        assert found is not None and same_bits(found.state, state)
    for message, state in kept[1:]:
        store.snapshots.put(message, state)
    assert store.snapshots.usage().count == 3  # the replaced one has gone with the last that needed it


def test_a_reply_that_went_on_has_none(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    """A snapshot of a reply belongs to its text of that moment, finished or not."""
    asked = add(store, chat)
    state = tiny.new_state()
    store.snapshots.put(asked, state)
    reply = store.messages.start_reply(chat.id, asked, "One")
    store.messages.append(reply.id, ", two")
    store.snapshots.put(reply.id, state)
    assert store.snapshots.get(reply.id, tiny) is not None
    store.messages.append(reply.id, ", three")
    assert store.snapshots.get(reply.id, tiny) is None
    near = store.snapshots.nearest(reply.id, tiny.identity)
    assert near is not None and (near.message, near.after) == (asked, 1)
    store.snapshots.put(reply.id, state)
    store.messages.finish(reply.id, closed=False)  # the same text, now under its hash
    assert store.snapshots.get(reply.id, tiny) is not None
    store.snapshots.put(reply.id, state)
    assert store.snapshots.get(reply.id, tiny) is not None


def test_a_message_whose_text_was_changed_from_outside_has_none(
    tiny: rgmlx.Model, store: Store, chat: Conversation
) -> None:
    ((message, _),) = line(store, chat, tiny, [3])
    store._database.rows("UPDATE messages SET text = 'else', hash = x'00'")  # of the same length
    assert store.snapshots.get(message, tiny) is None


def test_they_go_with_their_conversation(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    other = store.conversations.create("tiny")
    line(store, other, tiny, [3, 3])
    kept = line(store, chat, tiny, [5, 3, 3])
    store.messages.discard(kept[-1][0])
    store.conversations.delete(chat.id)
    assert store.snapshots.get(kept[0][0], tiny) is not None
    store.conversations.purge()
    assert store.snapshots.usage().count == 2
    store.conversations.delete(other.id)
    store.conversations.purge()
    assert store.snapshots.usage().count == 0


# --- the budget ---------------------------------------------------------------------------


def test_the_least_recently_used_go_first(tiny: rgmlx.Model, store: Store) -> None:
    size = pack(tiny.new_state()).nbytes + 2500
    chats = [store.conversations.create("tiny", str(i)) for i in range(6)]
    kept = [line(store, chat, tiny, [20])[0] for chat in chats]
    store.snapshots.get(kept[0][0], tiny)
    store.conversations.delete(chats[5].id)
    store.snapshots.budget = 4 * size
    line(store, store.conversations.create("tiny"), tiny, [20])
    there = [store.snapshots.get(message, tiny) is not None for message, _ in kept]
    assert there[0] and not there[5] and not there[1]
    assert store.snapshots.usage().bytes <= 4 * size
    assert len(store.messages.tree(chats[1].id)) == 1  # text is never part of it


@pytest.mark.parametrize("wholes", [1.3, 2.5, 4.0])
def test_within_any_budget_what_is_there_is_right(tiny: rgmlx.Model, store: Store, wholes: float) -> None:
    """Random talking, branching and looking back in three conversations, with room for little."""
    rng = random.Random(int(wholes * 10))
    snapshots = store.snapshots
    snapshots.budget = int(wholes * (pack(tiny.new_state()).nbytes + 1000))
    chats = [store.conversations.create("tiny") for _ in range(3)]
    known: dict[int, tuple[Conversation, State]] = {}
    for _ in range(80):
        chat = rng.choice(chats)
        here = [m for m, (c, _) in known.items() if c is chat][-4:]
        parent = rng.choice(here) if here and rng.random() < 0.9 else None
        state = known[parent][1].copy() if parent else tiny.new_state()
        prefill(tiny, state, [[rng.randrange(1, 90) for _ in range(rng.choice([1, 3, 8, 25]))]])
        message = add(store, chat, parent)
        known[message] = (chat, state)
        assert snapshots.put(message, state) > 0
        assert snapshots.usage().bytes <= snapshots.budget
        found = snapshots.get(message, tiny)
        assert found is not None and same_bits(found.state, state)
        old = rng.choice(list(known))
        restored = snapshots.restore(old, tiny)
        if restored is not None:
            assert same_bits(restored[1].state, known[restored[0].message][1])
    for message, (_, state) in known.items():
        found = snapshots.get(message, tiny)
        assert found is None or same_bits(found.state, state)
    assert store._database.states.rows("PRAGMA foreign_key_check") == []


def test_no_budget_keeps_nothing(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    store.snapshots.budget = 0
    ((message, state),) = line(store, chat, tiny, [3])
    assert store.snapshots.put(message, state) == 0
    assert store.snapshots.get(message, tiny) is None
    assert store.snapshots.usage().count == 0


def test_space_goes_back_to_the_disk(demo: rgmlx.Model, store: Store) -> None:
    for number in range(40):
        chat = store.conversations.create("demo")
        store.snapshots.put(add(store, chat), demo.new_state())
        if number > 1:
            store.conversations.delete(chat.id)
    states = store._database.states
    states.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    before = states.path.stat().st_size
    store.conversations.purge()
    states.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert states.path.stat().st_size < before - 20_000_000


# --- damage -------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["data", "unread", "digest", "checksum", "base"])
def test_a_damaged_one_is_missing_with_all_on_it(
    tiny: rgmlx.Model, store: Store, chat: Conversation, column: str
) -> None:
    kept = line(store, chat, tiny, [5, 3, 3, 3])
    for message, state in kept:
        store.snapshots.put(message, state, [1, 2])
    row = store._database.states.row(f"SELECT id, {column} FROM snapshots WHERE message = ?", (kept[2][0],))
    if column == "base":
        broken = store._database.states.row("SELECT id FROM snapshots WHERE message = ?", (kept[0][0],))[0]
    else:
        broken = bytearray(row[1])
        broken[len(broken) // 2] ^= 1
    store._database.states.rows(f"UPDATE snapshots SET {column} = ? WHERE id = ?", (broken, row[0]))
    found = store.snapshots.restore(kept[3][0], tiny)
    assert found is not None
    assert found[0].message == kept[1][0] and found[0].after == 2
    assert same_bits(found[1].state, kept[1][1])
    assert store.snapshots.usage().count == 2
    store.snapshots.put(kept[3][0], kept[3][1])
    again = store.snapshots.get(kept[3][0], tiny)
    assert again is not None and same_bits(again.state, kept[3][1])


def test_a_damaged_base_is_not_built_upon(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    kept = line(store, chat, tiny, [5, 3])
    store._database.states.rows("UPDATE snapshots SET data = zeroblob(100)")
    message = add(store, chat, kept[-1][0])
    store.snapshots.put(message, kept[-1][1])
    found = store.snapshots.get(message, tiny)
    assert found is not None and same_bits(found.state, kept[-1][1])
    assert store.snapshots.usage().count == 1


def test_a_damaged_part_of_the_file(demo: rgmlx.Model, tmp_path: Path) -> None:
    """Rubbish over most of the snapshots' pages: each is exact or missing, and the text is all there."""
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo")
        kept = line(store, chat, demo, [20, 5, 5])
        blobs = [data for (data,) in store._database.states.rows("SELECT data FROM snapshots")]
    path, broken = tmp_path / "states" / "states.db", 0
    with path.open("r+b") as f:
        for page in range(path.stat().st_size // 4096):
            f.seek(page * 4096 + 1000)
            part = f.read(256)
            if page % 3 == 0 and any(part) and any(part in blob for blob in blobs):
                f.seek(page * 4096 + 100)
                f.write(os.urandom(500))
                broken += 1
    assert broken > 5
    with Store(tmp_path) as store:
        for message, state in kept:
            found = store.snapshots.get(message, demo)
            assert found is None or same_bits(found.state, state)
        assert store.snapshots.restore(kept[-1][0], demo) is None
        assert len(store.messages.path(kept[-1][0])) == 3


def test_a_base_evicted_by_another_process_meanwhile(
    tiny: rgmlx.Model, store: Store, chat: Conversation, monkeypatch
) -> None:
    kept = line(store, chat, tiny, [5, 3])
    message = add(store, chat, kept[-1][0])
    look = store.snapshots._as_delta

    def late(*arguments):
        found = look(*arguments)
        assert found[0] is not None
        drop_snapshots(store)
        return found

    monkeypatch.setattr(store.snapshots, "_as_delta", late)
    store.snapshots.put(message, kept[-1][1])
    found = store.snapshots.get(message, tiny)
    assert found is not None and same_bits(found.state, kept[-1][1])


def test_a_full_disk_keeps_what_was_there(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    ((message, state),) = line(store, chat, tiny, [20])
    after = add(store, chat, message)
    store._database.states.rows("PRAGMA max_page_count = 1")  # no smaller than the file is
    other = tiny.new_state()
    with pytest.raises(StoreError, match="disk is full"):
        for _ in range(20):
            store.snapshots.put(after, other, range(10_000))
            after = add(store, chat, after)
    found = store.snapshots.get(message, tiny)
    assert found is not None and same_bits(found.state, state)


# --- threads, processes, kill -9 ----------------------------------------------------------


def test_threads_share_a_store(tiny: rgmlx.Model, store: Store, chat: Conversation) -> None:
    kept = line(store, chat, tiny, [5, 3])
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            own = store.conversations.create("tiny")
            packed, parent = pack(kept[number % 2][1]), None
            for _ in range(10):
                parent = add(store, own, parent)
                store.snapshots._put(parent, "x", packed)
                found = store.snapshots._get(parent, "x")
                assert found is not None and found[0].digest() == packed.digest()
        except BaseException as e:
            errors.append(e)

    mx.eval([s.arrays() for _, s in kept])
    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)
    assert errors == []


def fake(seed: int, steps: int) -> Packed:
    """A state that MLX never saw: the kill test forks, which MLX's threads would not survive."""
    rng = np.random.default_rng(seed)
    from rgmlx.store.states.delta import Form

    forms = (Form(False, "float32", (1, 64)), Form(True, "bfloat16", (1, 1, 65, 64)))
    ring = rng.integers(0, 256, (1, 65, 128), dtype=np.uint8)
    for step in range(steps):
        ring[0, step % 65] = step % 256
    hidden = np.full((1, 256), steps % 256, np.uint8)
    return Packed(forms, (hidden, ring), (steps,), (tuple(deque(range(steps), maxlen=9)),))


def write_for_ever(directory: Path, out: int, number: int) -> None:
    """Messages, pieces and snapshots without end; reports each write that has returned."""
    store = Store(directory)
    snapshots: SnapshotStore = store.snapshots
    snapshots.budget = 100_000
    chat = store.conversations.create("demo", f"chat {number}")
    taken, parent, steps = store.lock(chat.id), None, 0
    assert taken is not None
    while True:
        parent = store.messages.add_user(chat.id, parent, f"question {steps}").id
        os.write(out, f"{parent} question {steps}\n".encode())
        parent = store.messages.start_reply(chat.id, parent).id
        for i in range(4):
            store.messages.append(parent, f"<{steps}.{i}>")
            os.write(out, f"{parent} <{steps}.{i}>\n".encode())
            if i % 2:
                steps += 3
                snapshots._put(parent, "m", fake(0, steps), [steps])
        store.messages.finish(parent, closed=True)
        snapshots._put(parent, "m", fake(0, steps), [steps])


def verify(directory: Path, report: str) -> None:
    if not (
        directory / "chats.db"
    ).exists():  # killed before it had made its tables: it is there with all of them, or not
        assert report == ""
        return
    connection = sqlite3.connect(directory / "chats.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.execute("INSERT INTO message_index (message_index, rank) VALUES ('integrity-check', 1)")
    connection.close()
    with Store(directory) as store:
        assert store.notices == []
        for chat in store.conversations.listed():
            taken = store.lock(chat.id)
            assert taken is not None
            taken.release()
        expected: dict[int, str] = {}
        for entry in report.splitlines():
            message, _, text = entry.partition(" ")
            expected[int(message)] = expected.get(int(message), "") + text
        for message, text in expected.items():
            assert store.messages.get(message).text.startswith(text)
            assert not store.messages.get(message).streaming
        for (message,) in store._database.states.rows("SELECT message FROM snapshots WHERE message NOT NULL"):
            found = store.snapshots._get(message, "m")
            if found is not None:
                packed, (steps,) = found
                assert packed.digest() == fake(0, steps).digest()
        assert store.snapshots.usage().bytes <= 100_000


def kill_at_random_moments(directory: Path, rounds: int) -> None:
    """Run in a process of its own, see below."""
    import time

    rng = random.Random()
    report, written, most = "", 0, 0
    for number in range(rounds):
        inlet, outlet = os.pipe()
        child = os.fork()
        if not child:
            os.close(inlet)
            try:
                write_for_ever(directory, outlet, number)
            finally:
                os._exit(1)
        os.close(outlet)
        with os.fdopen(inlet, "rb") as pipe:
            # The first moments are those of opening; the others come after some writes, however long these take.
            if number % 5:
                report += b"".join(pipe.readline() for _ in range(rng.randint(5, 12))).decode()
            time.sleep(rng.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            report += pipe.read().decode()
        verify(directory, report)
        with Store(directory) as store:
            most = max(most, store.snapshots.usage().count)
        written = report.count("\n")
    print("survived", written, "writes", most, "snapshots")


def test_killed_at_thirty_random_moments(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import rooms; from pathlib import Path; import test_store_snapshots as t\n"
        "t.kill_at_random_moments(Path(sys.argv[2]), 30)"
    )
    command = [sys.executable, "-c", code, str(rooms.TESTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.startswith("survived"), done.stdout + done.stderr
    written, snapshots = (int(done.stdout.split()[i]) for i in (1, 3))
    assert written > 100 and snapshots > 2


_SNAPSHOTTER = """
import sys; sys.path.insert(0, sys.argv[1])
import rooms
import test_store_snapshots as t
from rgmlx.store import Store
with Store(sys.argv[2]) as store:
    store.snapshots.budget = 80_000
    parent = None
    for steps in range(1, 60):
        parent = store.messages.add_user(int(sys.argv[3]), parent, "x").id
        store.snapshots._put(parent, "m", t.fake(int(sys.argv[4]), steps))
        found = store.snapshots._get(parent, "m")
        assert found is None or found[0].digest() == t.fake(int(sys.argv[4]), steps).digest()
"""


def test_two_processes_evict_from_each_other(store: Store, chat: Conversation) -> None:
    command = [sys.executable, "-c", _SNAPSHOTTER, str(rooms.TESTS), str(store.directory), str(chat.id)]
    running = [subprocess.Popen([*command, str(i)], stderr=subprocess.PIPE, text=True) for i in (1, 2)]
    for process in running:
        assert process.communicate(timeout=PATIENCE)[1] == ""
    assert 0 < store.snapshots.usage().bytes <= 80_000
    assert store._database.rows("PRAGMA integrity_check") == [("ok",)]
    assert store._database.states.rows("PRAGMA integrity_check") == [("ok",)]
