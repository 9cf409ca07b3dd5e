"""The sentence about a damaged file is told, whenever a process ends before it was shown; and once."""

from __future__ import annotations

from pathlib import Path

import pytest
import warm
from stores import say

from rgmlx.store import Store

_KILLED = """
import os, signal, sys
from rgmlx.store import Store
Store(sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)
"""
_KILLED_AT = """
import os, sys
import rgmlx.store.recovery.recover
from rgmlx.store import Store
left = int(sys.argv[2])
def look(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if not left:
            os._exit(9)
sys.addaudithook(look)
Store(sys.argv[1])
os._exit(0)
"""


def _damaged(directory: Path) -> None:
    with Store(directory) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, "asked", "answered")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    path = directory / "chats.db"
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def test_a_loss_is_told_after_a_kill_and_once(tmp_path: Path) -> None:
    _damaged(tmp_path)
    assert warm.run(["-c", _KILLED, str(tmp_path)]).returncode == -9
    for _ in range(2):
        with Store(tmp_path) as store:  # not shown: it stays
            (notice,) = store.notices
            assert "was damaged" in notice and "2 messages were kept" in notice
    with Store(tmp_path) as store:
        assert store.notices.pop(0) == notice
    with Store(tmp_path) as store:
        assert store.notices == []
    assert not list(tmp_path.glob(".*.said"))


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_kill_inside_of_a_recovery_leaves_one_sentence(tmp_path: Path, step: int) -> None:
    """Before the new file is complete, or while it takes its place."""
    _damaged(tmp_path)
    done = warm.run(["-c", _KILLED_AT, str(tmp_path), str(step)])
    assert done.returncode == 9
    with Store(tmp_path) as store:
        (notice,) = store.notices
        (kept,) = tmp_path.glob("chats.damaged-*.db")
        assert str(kept) in notice


def test_rgchat_tells_it_and_no_second_time(tmp_path: Path) -> None:
    _damaged(tmp_path)
    assert warm.run(["-c", _KILLED, str(tmp_path)]).returncode == -9
    other = tmp_path / "other"
    with Store(other):
        pass
    command = ["-m", "tui", "--recover", str(other / "chats.db"), "--data", str(tmp_path)]
    outs = [warm.run(command).stdout for _ in range(2)]
    assert [out.count("was damaged") for out in outs] == [1, 0]
