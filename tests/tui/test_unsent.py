"""What was typed and not sent, where it can't be kept: it is said while one types, and nothing is lost at any end.

Also what is in the prompt besides its text: a draft that one has left for an older prompt, an edit that is given up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from piped import AS_USER
from ptys import Pty, doomed, ptys
from scripted import Scripted, idle
from textual.pilot import Pilot
from waiting import wait_for, wait_until

from rgmlx.store import Store
from tui.app import ChatApp
from tui.prompt.drafts import Draft, Drafts
from tui.prompt.history import History
from tui.prompt.prompt import Prompt

__all__ = ["ptys"]

Begin = Callable[..., Pty]
SIZE = (80, 24)
OLD, NEW = "crash zero", "crash zero and more"
"""What is kept before there is no place, and what is typed in all. The end by an error comes with the first word."""


# --- a table of places that can't be written and of ends -----------------------------------------


def _file_in_its_place(drafts: Path) -> None:
    shutil.rmtree(drafts)
    drafts.write_text("x")


def _not_entered(drafts: Path) -> None:
    drafts.chmod(0)


def _not_written(drafts: Path) -> None:
    drafts.chmod(0o500)
    drafts.parent.chmod(0o500)


def _all_gone(drafts: Path) -> None:
    shutil.rmtree(drafts.parent)
    drafts.parent.touch()


def _full(drafts: Path) -> None:
    """All of a small disk, if it is one."""
    descriptor = os.open(drafts.parent.parent / "filling", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.close(descriptor)


PLACES: dict[str, Callable[[Path], None]] = {
    "a file in its place": _file_in_its_place,
    "not to be entered": _not_entered,
    "not to be written": _not_written,
    "all is gone": _all_gone,
    "a full disk": _full,
}


def _quit(pty: Pty) -> int:
    pty.send("\x11")
    return 1


def _signal(pty: Pty) -> int:
    pty.process.send_signal(signal.SIGTERM)
    return 128 + signal.SIGTERM


def _hang_up(pty: Pty) -> int:
    pty.hang_up()
    return 128 + signal.SIGHUP


def _crash(pty: Pty) -> int:
    pty.send("\r")
    return 1


ENDS: dict[str, Callable[[Pty], int]] = {
    "the key": _quit,
    "a signal": _signal,
    "no terminal": _hang_up,
    "a fault": _crash,
}


@pytest.fixture(name="data")
def data_directory(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where conversations are kept: on a small disk where it is to be full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    small = request.node.callspec.params["place"] == "a full disk"
    if (
        small
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True
        ).returncode
    ):
        pytest.skip("only root may mount a small disk")
    yield disk / "data"
    for path in (disk / "data", disk / "data" / "drafts"):
        with contextlib.suppress(OSError):
            path.chmod(0o700)
    if small:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def kept(data: Path) -> str:
    """The draft of a new conversation as it is on the disk."""
    found = Drafts(data / "drafts")
    draft = found.read(None)
    found.close()
    return draft.text if draft else ""


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("place", PLACES)
def test_what_can_not_be_kept_is_said_and_is_elsewhere_at_the_end(
    place: str, end: str, data: Path, ptys: Begin, tmp_path: Path
) -> None:
    """2: while one types; at the end in a private file, whose name is the last word, with 1 as the code of a usual end."""
    read = tmp_path / "read"
    pty = ptys(*AS_USER, *doomed(data, "--crash", "handler", "--until", str(read)))
    pty.wait("Nothing you write")
    pty.send(OLD)
    wait_for(lambda: (data / "drafts" / "new-0.json").is_file() and OLD in (data / "drafts" / "new-0.json").read_text())
    PLACES[place](data / "drafts")
    pty.send(NEW.removeprefix(OLD))
    pty.wait("What you type is not kept")
    code = ENDS[end](pty)
    if end != "no terminal":
        pty.wait(f"it is in {tmp_path}/rgchat-unsent-")
    read.touch()
    assert pty.end() == code
    (file,) = tmp_path.glob("rgchat-unsent-*.txt")
    assert file.read_text() == f"{NEW}\n" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Traceback" not in pty.text


def test_conversation_and_draft_are_both_elsewhere(ptys: Begin, tmp_path: Path) -> None:
    """2: what the whole program says where its directory is gone; each in a file of its own."""
    data = tmp_path / "data"
    with Store(data):
        pass  # no guide
    pty = ptys(sys.executable, "-m", "tui", "--data", str(data), "--max-tokens", "1")
    pty.wait(" MB, always")
    pty.send("alpha\r")
    pty.wait("cut short")
    shutil.rmtree(data)
    data.touch()
    pty.send("beta\r")
    pty.wait("in memory only")
    pty.send("not sent")
    pty.wait("not sent")
    pty.send("\x11")
    assert pty.end() == 1
    (draft,) = tmp_path.glob("rgchat-unsent-*.txt")
    assert len(list(tmp_path.glob("rgchat-rescued-*.db"))) == 1
    assert draft.read_text() == "not sent\n"


def test_a_place_that_is_there_again_has_it(ptys: Begin, tmp_path: Path) -> None:
    """2: then nothing is said at the end, and the next start has all of it."""
    data = tmp_path / "data"
    pty = ptys(*doomed(data))
    pty.wait("Nothing you write")
    data.joinpath("drafts").write_text("x")
    pty.send(NEW)
    pty.wait("What you type is not kept")
    data.joinpath("drafts").unlink()
    pty.send("\x11")
    assert pty.end() == 0
    assert not list(tmp_path.glob("rgchat-unsent-*")) and kept(data) == NEW


# --- within one run -----------------------------------------------------------------------------


def chat(data: Path, session: Scripted, *before: str) -> ChatApp:
    history = History(None)
    for text in before:
        history.add(text)
    return ChatApp(session, history=history, drafts=Drafts(data / "drafts"))


async def given(pilot: Pilot[None], name: str) -> None:
    """Gives a command, and waits until it is done; what is in the prompt stays."""
    pilot.app.action_command(name)
    await pilot.pause()


async def test_another_conversation_is_opened_and_left_without_a_place_for_drafts(tmp_path: Path) -> None:
    """2: what was typed in each is there again."""
    (tmp_path / "drafts").write_text("x")
    app = chat(tmp_path, Scripted(tmp_path, ["ok"], past=("one", "1")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        number = app.session.conversation.id
        app.prompt.insert("in the first")
        await given(pilot, "new")
        assert app.session.conversation is None and app.prompt.text == ""
        app.prompt.insert("in a new one")
        await app.actions.open_conversation(number)
        assert app.prompt.text == "in the first"
        await given(pilot, "new")
        assert app.prompt.text == "in a new one"
    app.session.store.close()
    said = app.drafts.rescue()
    assert said.count("rgchat-unsent-") == 2
    for file in said.partition("it is in ")[2].split(" and "):
        Path(file).unlink()


async def test_a_damaged_draft_is_told(tmp_path: Path) -> None:
    """13b: when the program starts, and when its conversation is opened."""
    session = Scripted(tmp_path, ["ok"], past=("one", "1"))
    (tmp_path / "drafts").mkdir()
    for name in (f"{session.conversation.id}.json", "new-0.json"):
        (tmp_path / "drafts" / name).write_text("{")
    app = chat(tmp_path, session)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await wait_until(
            lambda: [n.message for n in app._notifications if "can't be read (it is damaged)" in n.message]
        )
        await given(pilot, "new")
        assert len([n for n in app._notifications if "(it is damaged)" in n.message]) == 2
    assert len(list((tmp_path / "drafts").glob("*.damaged-*"))) == 2
    session.store.close()


async def test_a_draft_is_kept_while_one_looks_at_older_prompts(tmp_path: Path) -> None:
    """2: the way back through them holds texts that are nowhere else: they are in the draft on the disk, too."""
    app = chat(tmp_path, Scripted(tmp_path, ["ok"]), "first", "second")
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press(*"draft", "up")
        assert app.prompt.text == "second" and app.draft == Draft("draft")
        await pilot.press("up", "!", "down")
        assert app.prompt.text == "second" and app.draft == Draft("draft\nfirst!")
        await pilot.press("?")
        assert app.draft == Draft("second?\ndraft\nfirst!")
        await pilot.press("down")
        assert app.prompt.text == "draft" and app.draft == Draft("draft\nsecond?\nfirst!")
        app.prompt.load_text("")
        await pilot.press("up")
        assert app.draft == Draft("second"), "nothing was typed: what is in the prompt is there again"
    app.session.store.close()


async def test_an_older_prompt_is_sent_and_the_draft_is_there_again(tmp_path: Path) -> None:
    """2: as is what was put aside for an edit."""
    app = chat(tmp_path, Scripted(tmp_path, ["ok"]), "first")
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press(*"draft", "up", "!", "enter")
        await wait_until(lambda: idle(app) and app.session.texts() == ["first!", "ok"])
        assert app.prompt.text == "draft"
        await pilot.press("up", "up")
        assert app.prompt.text == "first"
        await given(pilot, "edit")
        assert app.prompt.text == "first!" and app.draft == Draft("first!", app.session.head.id - 1, "draft")
        await pilot.press("escape")
        assert app.prompt.text == "draft"
    app.session.store.close()


@pytest.mark.parametrize("draft", ["", "draft"])
async def test_an_edit_that_is_given_up_is_had_back_by_undoing(draft: str, tmp_path: Path) -> None:
    """2: one Esc too many does not cost what was typed."""
    app = chat(tmp_path, Scripted(tmp_path, ["ok"], past=("one", "1")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        app.prompt.insert(draft)
        await given(pilot, "edit")
        await pilot.press(*" more", "escape")
        assert app.prompt.text == draft and app.editing is None
        await pilot.press("ctrl+underscore")
        assert app.prompt.text == "one more"
    app.session.store.close()


async def test_what_takes_the_place_of_a_draft_behind_an_older_prompt_can_be_undone(tmp_path: Path) -> None:
    app = chat(tmp_path, Scripted(tmp_path, ["ok"]), "first")
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press(*"draft", "up")
        app.query_one(Prompt).replace_draft("another")
        await pilot.press("ctrl+underscore")
        assert app.prompt.text == "draft"
    app.session.store.close()
