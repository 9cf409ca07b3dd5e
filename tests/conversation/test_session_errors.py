"""The session when something fails in the middle: the disk, the engine, settings out of range."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sessions import (
    NAME,
    STORY,
    WHOLE,
    Open,
    again,
    continues_alike,
    continues_as_written,
    pull,
    reader,
)
from waiting import PATIENCE

import rgmlx
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, StoreError
from rgmlx.store.messages import MessageStore

# --- the disk -----------------------------------------------------------------------------


class FullDisk(MessageStore):
    """Has room for so many appends."""

    room = math.inf

    def append(self, message: int, text: str, ids: Any = None) -> None:
        self.room -= 1
        if self.room < 0:
            raise StoreError("the disk is full: make room")
        super().append(message, text, ids)


def test_the_disk_is_full_for_a_while(begin: Open) -> None:
    session = begin()
    session.store.messages = full = FullDisk(session.store._database)
    session.add_user_message(STORY)
    full.room = 1
    delivered: list[str] = []
    with pytest.raises(StoreError, match="disk is full"):
        for piece in session.generate_reply(endless=True):
            delivered.append(piece)
    full.room = math.inf
    assert session.head is not None and session.head.role == MODEL and not session.head.closed
    assert len(session.head.text) > 0 and "".join(delivered).startswith(session.head.text)
    assert session.head == full.get(session.head.id)
    continues_as_written(begin, session, "".join(delivered))


def test_a_reply_whose_end_could_not_be_written_has_not_ended(begin: Open) -> None:
    session = begin()
    session.store.messages = full = FullDisk(session.store._database)
    session.add_user_message("Hello")
    full.room = 0
    with pytest.raises(StoreError):
        list(session.generate_reply())
    full.room = math.inf
    head = session.store.messages.get(session.head.id) if session.head else None
    assert head is not None and (head.role == USER or not head.closed)
    session.sync()
    assert session.in_sync


_FULL = """
import json, resource, signal, sys
import mlx.core as mx; mx.set_default_device(mx.cpu)
from rgmlx.store import Store, StoreError
from rgmlx.store.states import states
from rgmlx.conversation import writer
from rgmlx.conversation.session import Session
writer.FLUSH_SECONDS = 0.05
states._RETRY_SECONDS = 0.0  # the file of states, which made room, is had again as soon as that can be
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
session = Session(Store(sys.argv[1]), sampling={"temperature": 0.0})
session.load()
session.add_user_message(sys.argv[2])
text, sentence = "", ""
limit = lambda n: resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
try:
    for piece in session.generate_reply(endless=True):
        text += piece
        if len(session.store.messages.get(session.head.id).text) > 20 and session.store.snapshots.usage().count:
            limit(1000)
except StoreError as e:
    sentence = str(e)
limit(resource.RLIM_INFINITY)
session.add_user_message("What is your name?")
answer = "".join(session.generate_reply())
print(json.dumps([text, sentence, answer]))
"""


def test_a_disk_that_fills_up_for_real(begin: Open, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FULL, str(tmp_path / "full"), STORY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    delivered, sentence, answer = json.loads(done.stdout or f"[0, 0, {json.dumps(done.stderr)}]")
    assert "disk" in sentence, answer
    session = begin(tmp_path / "full")
    session.open(1)
    path = session.store.messages.path(session.head.id if session.head else None)
    assert [m.role for m in path] == [USER, MODEL, USER, MODEL]
    assert delivered.startswith(path[1].text) and len(path[1].text) > 20 and path[3].text == answer
    assert session.sync() == 0
    assert answer.startswith(reader(begin, path[:2]).say(NAME))


# --- the engine ---------------------------------------------------------------------------


class Failing(rgmlx.Model):
    """Fails in the middle of a step, when a part of the state has moved on already."""

    steps = math.inf

    def advance(self, tokens: Any, state: Any, counts: Any = None) -> Any:
        Failing.steps -= 1
        if Failing.steps < 0:
            super().advance(tokens, state, counts)
            state.layers[0] = state.layers[0][0] * 0, state.layers[0][1] * 0
            raise RuntimeError("a kernel failed")
        return super().advance(tokens, state, counts)


@pytest.fixture
def failing() -> Iterator[rgmlx.Model]:
    model = rgmlx.load("demo")
    model.__class__ = Failing
    Failing.steps = math.inf
    yield model
    Failing.steps = math.inf


@pytest.mark.parametrize("steps", [0, 1, 12])
def test_an_engine_that_fails(begin: Open, failing: rgmlx.Model, steps: int) -> None:
    session = begin(model=failing)
    session.say("Hello", WHOLE)
    asked = session.add_user_message(STORY)
    Failing.steps = steps
    delivered = []
    with pytest.raises(RuntimeError, match="kernel"):
        for piece in session.generate_reply():
            delivered.append(piece)
    Failing.steps = math.inf
    assert session.head is not None and session.reading is None
    if delivered:
        assert session.head.text == "".join(delivered) == session.store.messages.get(session.head.id).text
    else:
        assert session.head == asked and session.store.messages.children(asked.id) == []
    continues_alike(begin, session)
    if delivered:  # also from the disk
        session = again(begin, session)
        assert session.sync() == 0


def test_an_engine_that_fails_while_a_reply_is_gone_on_with(begin: Open, failing: rgmlx.Model) -> None:
    """What is in memory of the reply's first part is not the state of the whole."""
    session = begin(model=failing)
    session.add_user_message(STORY)
    pieces = session.generate_reply()
    pull(pieces, 10)
    session.stop()
    list(pieces)
    Failing.steps = 12
    delivered = []
    with pytest.raises(RuntimeError):
        for piece in session.continue_reply():
            delivered.append(piece)
    Failing.steps = math.inf
    assert len(delivered) > 5 and session.head is not None and session.head.text.endswith("".join(delivered))
    continues_alike(begin, session)


class Slow(rgmlx.Model):
    """Takes longer for a token than a reader wants to lose."""

    def advance(self, tokens: Any, state: Any, counts: Any = None) -> Any:
        time.sleep(0.6)
        return super().advance(tokens, state, counts)


def test_what_a_slow_model_writes_does_not_wait_for_its_next_token(begin: Open) -> None:
    model = rgmlx.load("demo")
    model.__class__ = Slow
    session = begin(model=model)
    session.add_user_message("Hello")
    pieces, text = session.generate_reply(), ""
    for _ in range(2):
        before, text = text, text + next(pieces)
        assert session.store.messages.get(2).text == before != text or not before  # all but the one in flight
    session.stop()
    list(pieces)


def test_going_on_with_settings_out_of_range_loses_nothing(begin: Open) -> None:
    """Such as an imported file may bring."""
    session = begin()
    session.add_user_message(STORY)
    pieces = session.generate_reply()
    text = pull(pieces, 10)
    session.stop()
    text += "".join(pieces)
    session.store.conversations.set_settings(1, {"temperature": -1})
    session = again(begin, session)
    with pytest.raises(RgmlxError, match="temperature"):
        list(session.continue_reply())
    assert session.store.messages.get(2).text == text and session.head is not None and session.head.id == 2
    session.checkout(1)
    with pytest.raises(RgmlxError, match="temperature"):
        list(session.generate_reply())
    session.edit(2, "It had ended.")
    with pytest.raises(RgmlxError, match="temperature"):
        list(session.continue_reply())
    assert [m.text for m in session.store.messages.tree(1)] == [STORY, text, "It had ended."]
    session.set_settings({"temperature": 0.0})
    session.checkout(2)
    assert (text + "".join(session.continue_reply())).startswith(begin().say(STORY))
