"""The chat in a real terminal, through tmux: typed into, stopped, left, resumed."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripted import Held, Scripted, idle, type_and_send
from waiting import wait_for, wait_until

from tui.app import ChatApp
from tui.transcript.reply import ReplyMessage

SIZE = (80, 24)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, a real terminal to type into")
def test_in_a_real_terminal(tmp_path: Path) -> None:
    """Types, stops, quits, resumes."""
    socket = f"rgchat-test-{secrets.token_hex(8)}"  # a server ends some time after it was told to

    def tmux(*arguments: str) -> str:
        return subprocess.run(["tmux", "-L", socket, *arguments], capture_output=True, text=True, check=True).stdout

    def shown() -> str:
        return tmux("capture-pane", "-p", "-t", "t")

    def wait_for_text(text: str) -> str:
        wait_for(lambda: text in shown(), about=shown)
        return shown()

    def wait_for_the_end() -> None:
        wait_for(lambda: not any(text in shown() for text in _BUSY), about=shown)

    def gone() -> bool:
        return subprocess.run(["tmux", "-L", socket, "has-session", "-t", "t"], capture_output=True).returncode != 0

    environment = f"XDG_CONFIG_HOME={tmp_path}/config XDG_DATA_HOME={tmp_path}/data"
    command = f"{environment} {sys.executable} -m tui --temperature 0; sleep 0.5"
    tmux("new-session", "-d", "-s", "keep", "cat")  # a server without a session ends, some time later
    tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command)
    try:
        wait_for_text("This is Griff")  # the first start
        wait_for_text(" MB, always")
        tmux("send-keys", "-t", "t", "I have a cat named Zibo.", "Enter")
        wait_for_text("tok/s")
        wait_for_the_end()
        tmux("send-keys", "-t", "t", "Tell me a story about a fox and a kite", "Enter")
        wait_for_text("writing ...")
        tmux("send-keys", "-t", "t", "Escape")
        wait_for_the_end()
        tmux("send-keys", "-t", "t", "C-q")
        wait_for(gone)
        tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "40", command)
        wait_for_text(" MB, always")
        wait_for_text("I have a cat named Zibo.")
        wait_for_text("This reply was cut short: Ctrl+G goes on with it.")
        wait_for_the_end()

        def goes_on() -> bool:  # a key is refused while the model comes to where the conversation is
            tmux("send-keys", "-t", "t", "C-g")
            return any(text in shown() for text in ("writing ...", "tok/s"))

        wait_for(goes_on, about=shown)
        wait_for_text("tok/s")
        wait_for_the_end()
        tmux("send-keys", "-t", "t", "What is my cat called?", "Enter")
        wait_for_text("What is my cat called?")
        wait_for(lambda: "Griff" in shown().split("my cat called?")[-1], about=shown)
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True)


_BUSY = ("writing ...", "thinking ...", "loading ...", "reading ")


def test_quitting_while_a_reply_is_written_keeps_it(tmp_path: Path) -> None:
    async def run() -> tuple[str, str]:
        app = ChatApp(Held(tmp_path, ["word "] * 40, after=8))
        async with app.run_test(size=SIZE) as pilot:
            await wait_until(lambda: idle(app))
            await type_and_send(app, "go")
            await wait_until(lambda: app.query(ReplyMessage) and len(app.query_one(ReplyMessage).source) > 20)
            seen = app.query_one(ReplyMessage).source
            await pilot.press("ctrl+q")
            await wait_until(lambda: not app.is_running)
        return seen, Scripted(tmp_path).store.messages.tree(1)[1].text

    seen, kept = asyncio.run(run())
    assert kept.startswith(seen.rstrip())
