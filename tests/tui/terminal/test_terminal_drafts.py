"""A draft in a real terminal whose program is killed (A6)."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import wait_for

from rgmlx.store import USER, Store


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, a real terminal to type into")
@pytest.mark.parametrize("waits", [False, True], ids=["in the prompt", "waiting for the end of a reply"])
def test_a_draft_survives_kill_9(tmp_path: Path, waits: bool) -> None:
    socket = f"rgchat-draft-{secrets.token_hex(8)}"  # a server ends some time after it was told to
    with Store(tmp_path / "data") as store:  # no guide, and a conversation to type into
        chat = store.conversations.create("demo", "first").id
        asked = store.messages.add_user(chat, None, "first")
        store.messages.finish(store.messages.start_reply(chat, asked.id, "Hello.").id, closed=True)

    def tmux(*arguments: str) -> str:
        return subprocess.run(["tmux", "-L", socket, *arguments], capture_output=True, text=True, check=True).stdout

    def shown() -> str:
        return tmux("capture-pane", "-p", "-t", "t")

    def start() -> None:
        environment = f"XDG_CONFIG_HOME={tmp_path}/config"
        command = f"exec env {environment} {sys.executable} -m tui --data {tmp_path}/data"
        tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command)
        wait_for(lambda: " MB, always" in shown(), about=shown)

    draft = tmp_path / "data" / "drafts" / f"{chat}.json"
    tmux("new-session", "-d", "-s", "keep", "cat")
    try:
        start()
        if waits:
            tmux("send-keys", "-t", "t", "/endless", "Enter")
            wait_for(lambda: "writing" in shown(), about=shown)  # else there is one that waits already
        tmux("send-keys", "-t", "t", "half a thought", "C-j", "and more")
        if waits:
            wait_for(lambda: "and more" in shown(), about=shown)
            tmux("send-keys", "-t", "t", "Enter")
            wait_for(lambda: "when the reply ends" in shown(), about=shown)
        wait_for(lambda: draft.exists() and "and more" in draft.read_text(), about=shown)
        os.kill(int(tmux("list-panes", "-t", "t", "-F", "#{pane_pid}")), signal.SIGKILL)
        wait_for(lambda: "t:" not in tmux("list-sessions"))
        start()
        wait_for(lambda: "half a thought" in shown() and "and more" in shown(), about=shown)
        tmux("send-keys", "-t", "t", "Enter")
        wait_for(lambda: "tok/s" in shown() and not draft.exists(), about=shown)
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True)
    with Store(tmp_path / "data") as store:
        assert [m.text for m in store.messages.tree(chat) if m.role == USER] == ["first", "half a thought\nand more"]
