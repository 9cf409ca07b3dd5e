"""The chat in lines: in pipes, in a real pseudo-terminal, with the embedded model and with a scripted one."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rooms
from rooms import ROOT
from waiting import PATIENCE, wait_for

from rgmlx.conversation.session import Session
from rgmlx.errors import ModelNotFoundError
from rgmlx.store import MODEL, USER, Message, Store
from rgmlx.store.names import NAME
from rgmlx.store.states.state_file import states_path
from tui.plain import PlainChat, terminal_io, worker
from tui.plain.commands import TABLE
from tui.prompt.history import History

LOADING = "Loading demo.\n"  # said where it takes long


class GatedSession(Session):
    """No model: chosen pieces, in a real store. The third waits for the file `gate`."""

    def __init__(self, data: Path, pieces: Iterable[str] = (" ", " Good ", "day."), gate: Path | None = None) -> None:
        super().__init__(Store(data), "scripted")
        self.pieces, self._gate = list(pieces), gate

    def load(self, name: str | None = None, progress: object = None) -> None:
        self.name = name or self.name

    def require_context(self) -> Any:
        return None

    @property
    def ready(self) -> bool:
        return True

    def sync(self) -> int:
        return 0

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        assert self.conversation is not None and self.head is not None and self.head.role == USER
        self._begin_work()
        self.head = self.store.messages.start_reply(self.conversation.id, self.head.id)
        return self._say(self.head)

    def continue_reply(self, *, endless: bool = False) -> Iterator[str]:
        assert self.head is not None
        self._begin_work()
        return self._say(self.store.messages.reopen(self.head.id))

    def _say(self, message: Message) -> Iterator[str]:
        whole = False
        try:
            for number, piece in enumerate(self.pieces):
                while number == 2 and self._gate and not (self._gate.exists() or self._cancel.is_set()):
                    time.sleep(0.01)
                if self._cancel.is_set():
                    return
                self.store.messages.append(message.id, piece)
                yield piece
            whole = True
        finally:
            self.head = self.store.messages.finish(message.id, closed=whole)


def _pipe(text: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def talk(session: Session, text: str, capsys: pytest.CaptureFixture[str], code: int = 0, **settings: Any) -> str:
    """What the chat writes when it reads this from a pipe."""
    before, sys.stdin = sys.stdin, _pipe(text)
    try:
        assert PlainChat(session, **settings).run() == code
    finally:
        sys.stdin = before
    return capsys.readouterr().out


def said(data: Path) -> list[Message]:
    """The newest conversation, up to where it stands."""
    with Store(data) as store:
        return store.messages.path(store.conversations.listed(archived=None)[0].head)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm-256color"}


def rgchat(data: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tui", "--plain", "--data", str(data), "--seed", "1", *arguments]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=ROOT, env=environment(data), timeout=PATIENCE
    )


class Terminal:
    """A program in a pseudo-terminal of its own, which it controls: Ctrl+C is a signal there."""

    def __init__(self, home: Path, *command: str, **variables: str | None) -> None:
        """`variables`: of the environment, in place of what they are here; None unsets one."""
        self._fd, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=ROOT,
            env={name: value for name, value in {**environment(home), **variables}.items() if value is not None},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        self.output = ""
        self._raw, self._seen = b"", 0

    def wait(self, text: str, seconds: float = PATIENCE) -> str:
        """Waits for a text after all that was waited for so far; returns what came before it."""
        end = time.monotonic() + seconds
        while text not in self.output[self._seen :]:
            assert time.monotonic() < end, f"no {text!r} in {self.output!r}"
            self._read(0.1)
        at = self.output.index(text, self._seen)
        before, self._seen = self.output[self._seen : at], at + len(text)
        return before

    def wait_for_more_than(self, characters: int) -> str:
        """Waits until so much has come after all that was waited for, and returns it."""
        wait_for(lambda: self._read(0.1) and len(self.output) > self._seen + characters, about=lambda: self.output)
        return self.output[self._seen :]

    def send(self, text: str | bytes) -> None:
        os.write(self._fd, text.encode() if isinstance(text, str) else text)

    def end(self) -> int:
        """Waits until the program has ended; its exit code."""
        end, again = time.monotonic() + PATIENCE, time.monotonic() + 3
        while self._read(0.1) or self.process.poll() is None:
            assert time.monotonic() < end, f"it goes on after {self.output!r}"
            if time.monotonic() > again:  # a key that came between two prompts is lost to the terminal's own line
                with contextlib.suppress(OSError):
                    os.write(self._fd, b"\x04")
                again += 3
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._fd)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._fd, 65536)
        except OSError:  # Linux: the other end is closed
            piece = b""
        self._raw += piece
        self.output = self._raw.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Any]:
    """Begins programs in terminals, and ends them."""
    begun: list[Terminal] = []

    def begin(*command: str, **variables: str | None) -> Terminal:
        begun.append(Terminal(tmp_path, *command, **variables))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def scripted(data: Path, pieces: list[str], gate: Path | None = None) -> tuple[str, str]:
    """The command of a chat with a scripted session."""
    there = f", gate=Path({str(gate)!r})" if gate else ""
    code = (
        f"import sys; sys.path.insert(0, {str(rooms.TESTS)!r})\n"
        "import rooms; from pathlib import Path; from test_plain import GatedSession; from tui.plain import PlainChat\n"
        f"sys.exit(PlainChat(GatedSession(Path({str(data)!r}), {pieces!a}{there})).run())"
    )
    return "-c", code


# --- pipes --------------------------------------------------------------------------------


def test_a_pipe_is_answered_line_by_line_without_textual(tmp_path: Path) -> None:
    code = (
        "import sys; from tui.cli import main\n"
        f"try: main(['--plain', '--temperature', '0', '--data', {str(tmp_path / 'data')!r}])\n"
        "finally: print(*[m for m in sys.modules if m.split('.')[0] in ('textual', 'readline')], file=sys.stderr)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        input="I have a cat named Zibo.\n\nWhat is my cat called?",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(tmp_path),
        timeout=PATIENCE,
    )
    messages = said(tmp_path / "data")
    assert (out.returncode, out.stderr.strip()) == (0, "")
    assert [m.role for m in messages] == [USER, MODEL] * 2 and "Zibo" in messages[3].text
    exchange = "".join(f"{'You' if m.role == USER else 'Assistant'}: {m.text}\n" for m in messages[:2])
    begins = f"Model: demo\nThis is a new conversation.\n{exchange}\nYou: What is my cat called?\n"
    assert out.stdout.removeprefix(LOADING).startswith(begins)
    assert out.stdout.endswith(f"Assistant: {messages[3].text}\n\n")
    assert not re.search(r"[^\n -~]", out.stdout)  # no control character, and no decoration


def test_a_dumb_terminal_gets_lines_too_and_goes_on_where_it_was(tmp_path: Path, terminals: Any) -> None:
    """Without --plain; with the embedded model; nothing is read again, unless there is no state."""
    data = tmp_path / "data"
    first = terminals(
        "-c", f"import os; os.environ['TERM'] = 'dumb'; from tui.cli import main; main(['--data', '{data}'])"
    )
    first.wait("Model: demo\nThis is a new conversation. /help lists the commands, Ctrl+D leaves.\nYou: ")
    first.send("I have a cat named Zibo.\n")
    first.wait("Assistant: ")
    first.wait("\n\nYou: ")
    first.send("\x04")
    assert first.end() == 0

    reply = said(data)[1].text
    new = rgchat(data, "").stdout.removeprefix(LOADING)
    assert new == "Model: demo\nThis is a new conversation.\n", "what a pipe is told is its own"
    again = rgchat(data, "/open 1\n/info", "--model", "demo")
    assert (
        f"Going on with: I have a cat named Zibo. (2 messages)\nYou: I have a cat named Zibo.\nAssistant: {reply}\n"
        in (again.stdout)
    )
    assert "read again since the model was loaded: 0\n" in again.stdout and "were read again" not in again.stdout
    connection = sqlite3.connect(states_path(data / NAME))
    connection.execute("DELETE FROM snapshots")
    connection.commit()
    connection.close()
    assert re.search(r"\n\d+ tokens were read again in [\d.]+ s;", rgchat(data, "/open 1").stdout)
    assert "\x1b" not in first.output + again.stdout


def test_a_reply_that_is_stopped_or_killed_is_kept(tmp_path: Path, terminals: Any) -> None:
    data = tmp_path / "data"
    chat = terminals("-m", "tui", "--plain", "--data", str(data), "--seed", "1")
    chat.wait("You: ")
    chat.send("Hello\n")
    chat.wait("\n\nYou: ")
    chat.send("/endless\n")
    chat.wait("Assistant: ")
    begun = chat.wait_for_more_than(5)
    chat.send("\x03")
    chat.wait("\nStopped. What was written is kept; /continue goes on with it.\n\nYou: ")
    partial = said(data)[1]
    assert not partial.closed and not partial.streaming
    assert begun.strip() in partial.text  # of what comes after it, Ctrl+C makes the system drop what nobody has read
    chat.send("/endless\n")
    chat.wait("Assistant: ")
    wait_for(lambda: len(said(data)[1].text) > len(partial.text))  # within half a second it is on the disk
    chat.process.send_signal(signal.SIGKILL)
    chat.process.wait()
    assert len(said(data)[1].text) > len(partial.text)
    assert "This reply was cut short: /continue goes on with it." in rgchat(data, "/open 1").stdout
    assert "\x1b" not in chat.output


def test_ctrl_c_ends_a_pipe_and_keeps_what_was_written(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *scripted(tmp_path, ["word "] * 3, tmp_path / "gate")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin and process.stdout
    process.stdin.write("one\ntwo\n")
    process.stdin.flush()
    seen = ""
    while "Assistant: word" not in seen:
        one = process.stdout.read(1)
        assert one, seen
        seen += one
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Stopped." in rest and "two" not in rest
    assert said(tmp_path)[1].text.startswith("word word") and len(said(tmp_path)) == 2


def test_a_reader_that_goes_away_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Head(io.StringIO):
        def write(self, text: str) -> int:
            if "two" in text:
                raise BrokenPipeError
            return super().write(text)

    monkeypatch.setattr("sys.stdin", _pipe("hello\n"))
    monkeypatch.setattr("sys.stdout", Head())
    with pytest.raises(BrokenPipeError):
        PlainChat(GatedSession(tmp_path, ["one ", "two ", *["three "] * 5000])).run()
    reply = said(tmp_path)[1]
    assert reply.text.startswith("one two ") and not reply.streaming
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- a terminal ---------------------------------------------------------------------------


def test_keys_in_a_terminal(tmp_path: Path, terminals: Any) -> None:
    History(tmp_path / "history.jsonl").add("an older message")
    gate = tmp_path / "gate"
    chat = terminals(*scripted(tmp_path, ["word "] * 20, gate))
    chat.wait("You: ")
    chat.send("\x1b[A\x1b[D\x1b[D?\x7f!\n")  # up: the message before; left twice; two keys and a backspace there
    chat.wait("Assistant: word word ")
    chat.send("\x03")
    chat.wait("Stopped. What was written is kept; /continue goes on with it.\n\nYou: ")
    gate.touch()
    partial = said(tmp_path)
    assert partial[0].text == "an older messa!ge" and not partial[1].closed
    chat.send("half a line\x03")
    chat.wait("\nCtrl+D or /quit leaves; the conversation is kept.\nYou: ")
    chat.send("\n\n")
    chat.wait("\nCtrl+D or /quit leaves; the conversation is kept.\nYou: ")
    chat.send("/continue\n")
    chat.wait("Assistant: " + "word " * 20 + "\n\nYou: ")
    assert said(tmp_path)[1].text == partial[1].text + "word " * 20
    chat.send("one\\\n")
    chat.wait("More: ")
    chat.send("a path\\\\\n")
    chat.wait("\n\nYou: ")
    chat.send('"""/first\n')
    chat.wait("More: ")
    chat.send("\tsecond\\\n")
    chat.wait("More: ")
    chat.send('"""\n')
    chat.wait("\n\nYou: ")
    assert [m.text for m in said(tmp_path) if m.role == USER][1:] == ["one\na path\\\\", "/first\n\tsecond\\"]
    chat.send("/export " + str(tmp_path / "history.jsonl.md") + "\n")
    chat.wait("Written: ")
    chat.wait("You: ")
    chat.send("/export " + str(tmp_path / "history.jsonl.md") + "\n")
    chat.wait("Replace it? yes or no: ")
    chat.send("\n")
    chat.wait("It was not written.\nYou: ")
    chat.send("x" * 200 + "\n")
    chat.wait("\n\nYou: ")
    assert said(tmp_path)[-2].text == "x" * 200
    chat.send("/quit\n")
    assert chat.end() == 0
    assert "\x1b" not in chat.output and "\x07" not in chat.output
    assert "an older messa!ge" in History(tmp_path / "history.jsonl").entries


def test_text_of_a_model_cannot_command_the_terminal(tmp_path: Path, terminals: Any) -> None:
    chat = terminals(*scripted(tmp_path, ["a\x1b", "]0;pwned\x07b\r", "c\u202e", "\x9b31m\x08", "e" + "\u0301" * 50]))
    chat.wait("You: ")
    chat.send("hello\n")
    chat.wait("Assistant: ")
    shown = chat.wait("\n\nYou: ")
    assert shown == "a\ufffd]0;pwned\ufffdb\ufffdc\ufffd\ufffd31m\ufffde" + "\u0301" * 8
    chat.send("/rename \x16\x1b[2Jtitle\n")  # ctrl+v, so that the line editor takes it
    chat.wait("The title is now: ")
    assert chat.wait("\nYou: ") == "\ufffd[2Jtitle"
    chat.send("/list\n")
    chat.wait("1. \ufffd[2Jtitle, ")
    chat.send("\x04")
    chat.end()
    assert "\x1b" not in chat.output


# --- commands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("/opne 1", "There is no command /opne: did you mean /open?"),
        ("/theme light", "/theme needs the screen: rgchat without --plain has it."),
        ("/rename", "/rename TITLE: give this conversation another title"),
        ("/rename x", "this conversation is empty: send a message first."),
        ("/edit x", "there is no such message yet."),
        ("/regenerate", "there is nothing to reply to: send a message first."),
        ("/continue", "there is nothing to go on with: send a message first."),
        ("/open 1", "there is no number 1 in the list: /list shows it."),
        ("/open " + "9" * 5000, "there is no number 99999999999999999999 in the list: /list shows it."),
        ("/open ~nobody-here/x", "there is no user 'nobody-here' whose home"),
        ("/import nothing.json", "nothing.json: give the name of one that was exported as .json."),
        ("/import .", "can't be read (it is a directory, not a file): give another one."),
        ("/set temperature 9x", "temperature must be a finite number, 0 or more, not 9x."),
        ("/set colour 1", "there is no setting 'colour': there are temperature, "),
        ("/find nothing", "There are none."),
        ("/list", "There are none."),
        ("/history", "There is none."),
        ("/undelete", "Nothing was deleted."),
        ("/back", "This is the beginning."),
        ("/forward", "This is the end of this branch."),
        ("/next", "There is no other answer on that side."),
        ("/tree", "this conversation is empty: send a message first."),
        (
            "read @./nothing.txt",
            "There is no file ./nothing.txt: check the name, or leave out the @. This was not sent.",
        ),
    ],
)
def test_what_can_not_be_done_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str, answer: str
) -> None:
    session = GatedSession(tmp_path)
    out = talk(session, f"{typed}\n", capsys, code=int(answer not in ("There is none.", "There are none.")))
    _, _, after = out.partition(f"You: {typed}\n")
    assert answer.lower() in after.lower() and not after[0].islower() and after.count("\n") == 1
    assert session.conversation is None


@pytest.mark.parametrize("failing", ["/open 99", "/open", "/open no.rgstate", "/import no.json", "/undelete", "/new x"])
def test_a_pipe_ends_where_another_conversation_is_not_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failing: str
) -> None:
    """3: what follows is for that conversation: /delete would delete this one."""
    session = GatedSession(tmp_path)
    out = talk(session, f"keep this\n{failing}\n\n/delete\nnot for this\n", capsys, code=1)
    name = failing[1:].split()[0]
    assert out.endswith(
        f"You: /delete\nThis and what follows is not run: /{name} failed, and it is not for this conversation.\n"
    )
    assert [m.text for m in said(tmp_path)] == ["keep this", "  Good day."]


def test_a_pipe_ends_where_another_rgchat_has_the_conversation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3: as above, for a conversation that is open elsewhere."""
    busy = GatedSession(tmp_path)
    busy.add_user_message("theirs")
    out = talk(GatedSession(tmp_path), "mine\n/open 2\n/delete\n", capsys, code=1)
    assert "Another rgchat has this conversation open" in out and "Deleted" not in out
    assert len(busy.store.conversations.listed()) == 2


@pytest.mark.parametrize(
    "line", ["/wat", "/export /proc/no/x.md", "/save /dev/full/x.rgstate", "/set top_k x", "/find fox"]
)
def test_a_command_that_fails_in_a_pipe_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """3: and the lines after it are run."""
    session = GatedSession(tmp_path)
    before = "" if line.startswith("/find") else "a fox\n"
    if not before:
        with session.store._database.transaction() as c:
            c.execute("DROP TABLE title_index")
    out = talk(session, f"{before}{line}\n/model\n", capsys, code=1)
    assert out.endswith("You: /model\nModel: scripted\n")


def test_a_model_that_can_not_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, sys.stdin = sys.stdin, _pipe("hello\n")
    try:
        assert PlainChat(Session(Store(tmp_path), "/no/such/model")).run() == 1
    finally:
        sys.stdin = before
    out, error = capsys.readouterr()
    assert out in ("", "Loading /no/such/model.\n")
    assert error.startswith("rgchat: there is no model '/no/such/model': ") and error.count("\n") == 1


def test_branches_and_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = GatedSession(tmp_path)
    out = talk(
        session,
        "first\nsecond\n/regenerate\n/edit third\n/tree\n/previous\n/back\n/forward\n/forward\n",
        capsys,
        code=1,
    )
    assert "\nYou: first\nAssistant: Good day.\n\nYou: second\n" in out
    at = out.index("You: /tree\n")
    assert out[at:].splitlines()[1:] == [
        "You: first",
        "Assistant: Good day.",
        "  You 1 of 2: second",
        "    Assistant 1 of 2: Good day.",
        "  Assistant 2 of 2: Good day.",
        "You 2 of 2: third",
        "Assistant, you are here: Good day.",
        "You: /previous",
        "At the end of this branch.",
        "Assistant: Good day.",
        "You: /back",
        "Reply 1 of 2. What you send begins a branch.",
        "Assistant: Good day.",
        "You: /forward",
        "At the end of this branch.",
        "Assistant: Good day.",
        "You: /forward",
        "This is the end of this branch.",
    ]


def test_conversations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = GatedSession(tmp_path)
    talk(session, "a fox\n/new\na hen\n/rename Hens\n", capsys)
    session.open_latest()
    out = talk(session, "/list\n/find fox\n/open 1\n/delete\n/open 1\n", capsys, code=1)
    assert re.search(r"\n1\. Hens, [a-z]+[ \d:]*, open here\n2\. a fox, [a-z]+[ \d:]*\n/open and a number", out)
    assert "You: /find fox\n1. a fox\n2. a fox: a fox\n" in out
    assert "You: /open 1\nGoing on with: a fox (2 messages)\nYou: a fox\nAssistant: Good day.\n" in out
    assert "Deleted. /undelete brings it back.\nThis is a new conversation.\nYou: /open 1\nThis conversation was" in out
    out = talk(session, "/undelete\n/archive\n/list\n", capsys)
    assert "You: /undelete\nGoing on with: a fox" in out
    assert out.endswith("/open and a number goes on with one.\n") and out[out.index("/archive") :].count(". Hens") == 1
    assert "a fox" not in out[out.index("You: /archive") :]

    busy = GatedSession(tmp_path)
    assert busy.open(1)
    assert "Another rgchat has this conversation open: close it there first." in talk(
        GatedSession(tmp_path), "/find fox\n/open 1\n", capsys, code=1
    )
    busy.close()


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("unplugged") / "x.md")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("there", [_dangling, _loop, os.mkfifo, Path.touch], ids=["dangling", "loop", "pipe", "file"])
def test_what_has_the_name_of_a_file_to_write_is_there_already(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: Callable[[Path], None]
) -> None:
    """A link that leads nowhere as well: it is somebody's."""
    path = tmp_path / "out.md"
    there(path)
    before = path.lstat()
    out = talk(GatedSession(tmp_path / "data"), f"hello\n/export {path}\n", capsys, code=1)
    assert f"{path} is there already: give another name.\n" in out
    assert os.path.samestat(path.lstat(), before) and {*os.listdir(tmp_path)} == {"out.md", "data"}


def test_files_out_and_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, there = GatedSession(tmp_path / "data"), tmp_path / "chat.json"
    (tmp_path / "note.txt").write_text("the note\n")
    commands = [
        f"read @{tmp_path / 'note.txt'}",
        *[f"/export {tmp_path / name}" for name in ("x.md", "x.txt", "no/x.md")],
        f"/export {tmp_path}/folder/",
        f"/save {tmp_path / 'x'}",
    ]
    out = talk(
        session, "\n".join([*commands, f"/export {there}", f"/export {there}", f"/import {there}"]), capsys, code=1
    )
    assert "the note" in (tmp_path / "x.md").read_text()
    assert "x.txt should end in .md (to read) or .json (to import)." in out
    assert f"{tmp_path / 'folder'} is a folder: add the name of a file to it." in out
    assert f"{tmp_path / 'x'} should end in .rgstate" in out and not (tmp_path / "x").exists()
    assert f"There is no folder {tmp_path / 'no'}: name one that exists." in out
    assert f"Written: {there}\nYou: /export {there}\n{there} is there already: give another name.\n" in out
    assert "Going on with: read " in out
    assert len(session.store.conversations.listed()) == 2
    there.write_text('{"format": "something"}')
    assert "This is not an exported conversation: choose a .json file that rgmlx exported." in talk(
        session, f"/import {there}", capsys, code=1
    )


def test_states_in_files_settings_and_the_system_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the embedded model."""
    file, store = tmp_path / "cat.rgstate", Store(tmp_path / "data")
    first = "/system You are kind.\n/set temperature 0\n/set max-tokens 60\nI have a cat named Zibo.\n/save " + str(
        file
    )
    out = talk(Session(store), f"{first}\n/model\n/open {tmp_path / 'none.rgstate'}\n", capsys, code=1)
    assert "System text: You are kind.\n" in out and "\ntemperature: 0.0\n" in out and f"Written: {file}\n" in out
    assert "none.rgstate can't be read" in out and "You: /model\nModel: demo\n" in out
    again = Session(Store(tmp_path / "other"))
    out = talk(again, "What is my cat called?\n/info", capsys, file=file)
    assert "Going on with: cat (2 messages)\nYou: I have a cat named Zibo.\n" in out
    assert "Zibo" in out[out.index("What is my cat") :] and "read again since the model was loaded: 0\n" in out
    file.write_bytes(b"damaged")
    out = talk(Session(Store(tmp_path / "third")), "hello", capsys, code=1, file=file)
    assert out.removeprefix(LOADING) == "Model: demo\n"


def test_settings_says_what_holds_and_where_the_defaults_are(tmp_path: Path) -> None:
    """28: the file hides in the user's configuration, on a Mac deep in the Library."""
    out = rgchat(tmp_path, "/settings\n/settings all\n", "--temperature", "0.5").stdout
    assert "\ntemperature: 0.5\n" in out and "\nThere is no system text.\n" in out
    file = tmp_path / "rgmlx" / "rgchat.toml"
    assert f"\nDefaults of new conversations and the other settings are in {file}\n" in out
    assert "/settings takes nothing after it" in out


def test_a_limit_of_tokens_cuts_a_reply_and_says_so(tmp_path: Path) -> None:
    out = rgchat(tmp_path, "Tell me a story\n/set max-tokens\n/continue\n", "--max-tokens", "4").stdout
    assert "\nThis reply was cut short: /continue goes on with it.\n" in out and "\nmax_tokens: 4\n" in out
    assert len(said(tmp_path)) == 2 and not said(tmp_path)[1].closed
    wrong = rgchat(tmp_path, "hello", "--max-tokens", "0")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "rgchat: max_tokens must be a whole number between 1 and 9,223,372,036,854,775,807, not 0\n"


@pytest.mark.parametrize("name", ["quit", "exit", "bye", "EXIT"])
def test_each_name_for_leaving_leaves(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = talk(GatedSession(tmp_path), f"hello\n/{name} now\n/{name}\nnot read", capsys, code=1)
    assert f"/{name.lower()} takes nothing after it" in out and "not read" not in out


def test_clear_is_another_name_for_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = GatedSession(tmp_path)
    out = talk(session, "hello\n/clear\n/help\n/claer", capsys, code=1)
    assert "\nYou: /clear\nThis is a new conversation." in out and session.conversation is None
    assert "\n/new, /clear: a new conversation\n" in out and "\n/quit, /exit, /bye: leave" in out
    assert "There is no command /claer: did you mean /clear?" in out


def test_pinned_conversations_lead_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = GatedSession(tmp_path)
    out = talk(session, "/pin\nfirst\n/pin\n/new\nsecond\n/list\n/open 1\n/pin\n/list\n", capsys, code=1)
    assert "You: /pin\nThis conversation is empty: send a message first.\n" in out
    assert "You: /pin\nPinned: it leads the list. /pin takes that back.\n" in out
    lists = [re.sub(r"today [\d:]+", "today", row) for row in re.findall(r"^\d\. .*", out, re.MULTILINE)]
    assert lists == [
        "1. first, today, pinned",
        "2. second, today, open here",
        "1. second, today",
        "2. first, today, open here",
    ]
    assert "Going on with: first (2 messages)" in out and "You: /pin\nIt is no longer pinned.\n" in out


def test_the_help_lists_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = talk(GatedSession(tmp_path), "/help", capsys)
    listed = re.findall(r"^/(\w+)", out[out.index("You: /help") + 10 :], re.MULTILINE)
    wanted = "help new persona list open find rename pin archive delete undelete export import save model set settings system regenerate "
    wanted += "continue endless edit back forward previous next tree history info quit"
    assert sorted(listed) == sorted(wanted.split())
    assert all(f"{TABLE[name].usage}: {TABLE[name].summary}\n" in out for name in listed)


# --- limits -------------------------------------------------------------------------------


def test_reading_again_tells_how_far_it_is_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(GatedSession):
        def load(self, name: str | None = None, progress: object = None) -> None:
            time.sleep(0.5)

        def sync(self) -> int:
            self.begun = time.monotonic()
            for done in range(100):
                self.reading = (done, 100)
                time.sleep(0.01)
            self.reading = None
            self.took = time.monotonic() - self.begun
            return 1234

    monkeypatch.setattr(worker, "PATIENCE", 0.2)
    monkeypatch.setattr(worker, "PAUSE", 0.3)
    slow = Slow(tmp_path)
    out = talk(slow, "", capsys)
    assert out.startswith("Loading scripted.\nModel: scripted\n") and out.count("Loading") == 1
    told = re.findall(r"^Reading the conversation again: (\d+) %$", out, re.MULTILINE)
    assert 2 <= len(told) <= 1 + slow.took / 0.3 and [*map(int, told)] == sorted(map(int, told))
    assert re.search(r"\n1,234 tokens were read again in [\d.]+ s; from here on nothing is\.\n$", out)


def test_what_is_too_long_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_io, "MAX_CHARS", 100)
    out = talk(GatedSession(tmp_path), f'{"x" * 950}\nshort\n"""{("y" * 60 + chr(10)) * 3}"""\nlast', capsys, code=1)
    assert "A line may have 100 characters: this one was left out.\n" in out
    assert "A message may have 100 characters: send a part of this.\n" in out
    assert [m.text for m in said(tmp_path) if m.role == USER] == ["short", "last"]


def test_a_failing_engine_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(GatedSession):
        def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
            yield "so far "
            raise ValueError("no more\nlines")

    out = talk(Broken(tmp_path), "hello\n/nothing\n", capsys, code=1)
    assert "Assistant: so far \nIt broke off (ValueError: no more): try again.\n\nYou: /nothing\nThere is" in out


# --- a model that is not there --------------------------------------------------------------


def test_a_model_of_the_settings_file_that_is_not_there(tmp_path: Path) -> None:
    """Fault 12g: nobody has typed its name, so it is said where it stands."""
    file = tmp_path / "rgmlx" / "rgchat.toml"
    file.parent.mkdir()
    file.write_text('model = "/gone/model"\n')
    out = rgchat(tmp_path, "hello")
    assert out.returncode == 1 and out.stdout in ("", "Loading /gone/model.\n")  # which is said where it takes long
    assert out.stderr.startswith(f"rgchat: {file}: there is no model '/gone/model': name a directory")
    typed = rgchat(tmp_path, "hello", "--model", "/gone/model")
    assert typed.returncode == 1 and typed.stderr.startswith("rgchat: there is no model '/gone/model'")
    assert "Assistant: " in rgchat(tmp_path, "hello", "--model", "demo", "--max-tokens", "2").stdout


def test_a_model_of_a_conversation_that_is_not_there(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        session = Session(store, "/gone")
        with pytest.raises(ModelNotFoundError, match=r"^there is no model '/gone'"):
            session.load()
        session.origins = {"/gone": "rgchat.toml"}
        with pytest.raises(ModelNotFoundError, match=r"^rgchat\.toml: there is no model '/gone'"):
            session.load()
        session.add_user_message("hello")
        for name in (None, "/gone"):
            with pytest.raises(
                ModelNotFoundError, match=r"^this conversation's model can't be loaded: there is no model"
            ):
                session.load(name)
        with pytest.raises(ModelNotFoundError, match=r"^there is no model '/other'"):
            session.load("/other")
        session.close()
