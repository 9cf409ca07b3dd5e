"""What of an error is in the debug log: no word of anybody's, and what a report needs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from piped import rgchat
from scripted import Scripted, command, idle, notices, type_and_send
from waiting import wait_until

from rgmlx.errors import RgmlxError
from rgmlx.settings import checked
from rgmlx.system import causes, debug_log, variables
from tui import cli
from tui.app import ChatApp
from tui.prompt import files
from tui.prompt.drafts import Drafts
from tui.prompt.history import History

SECRET = "xylophone"
"""A word of the user's, or of a model's reply to it."""

KEPT_BACK = [
    "{}['xylophone']",
    "int('xylophone')",
    "float('it is\\n xylophone')",
    "'xylophone\\u00e9'.encode('ascii')",
    "b'xylophone\\xff'.decode()",
    "raise ValueError('no number: ' + repr('say \"hi\" xylophone')[:-1])",
    "raise TypeError('can\\'t read b\\'it\\'s a xylophone\\'')",
    "raise OSError('\"xylophone')",
    "import subprocess; raise subprocess.TimeoutExpired(['pbcopy', 'xylophone'], 1)",
    "import sqlite3; sqlite3.connect(':memory:').execute('SELECT CAST(x\\'ff78796c6f70686f6e65\\' AS TEXT)').fetchall()",
    "import sqlite3; sqlite3.connect(':memory:').execute('SELECT xylophone')",
    "import sqlite3; raise sqlite3.DatabaseError('malformed database schema (xylophone)')",
    "raise RuntimeError('Illegal header value Bearer xylophone')",
    "raise RuntimeError('no token hf_xylophone here')",
    "raise RuntimeError('http://me:xylophone@host/x?key=xylophone')",
]
"""What raises an error that says the word, in a package that the log quotes."""


@pytest.mark.parametrize("code", KEPT_BACK)
@pytest.mark.parametrize("package", ["rgmlx.fake", "elsewhere"])
def test_an_error_that_quotes(code: str, package: str, log: Path) -> None:
    """Neither it nor a sentence that repeats what it says."""
    try:
        exec(compile(code, "fake.py", "exec"), {"__name__": package})
    except Exception as e:
        assert SECRET in str(e) or SECRET in repr(e) or isinstance(e, UnicodeError)
        debug_log.caught(e, "it is noted")
        with pytest.raises(RgmlxError) as caught:
            raise RgmlxError(f"this broke off ({type(e).__name__}: {e})") from None
        assert caught.value.logged
    text = log.read_text()
    assert "this broke off" in text and "fake.py:1" in text and SECRET not in text, text


def test_an_error_of_others_is_its_kind_and_its_lines(log: Path) -> None:
    try:
        exec(compile("raise ValueError('xylophone')", "fake.py", "exec"), {"__name__": "elsewhere"})
    except ValueError as e:
        RgmlxError(f"it stopped: {e}: try again")
    text = log.read_text()
    assert "RgmlxError: it stopped: …: try again\n" in text and "because of ValueError\n" in text and SECRET not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError("[metal::Device] Unable to build 'x'\nprogram_source:3: error"),
            "Unable to build 'x'\nprogram_s",
        ),
        (RuntimeError("it isn't there, and can't be"), "RuntimeError: it isn't there, and can't be\n"),
        (IndexError("of no use"), "IndexError: of no use\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "PermissionError: Permission denied: /x/y\n"),
    ],
)
def test_words_that_stay(error: Exception, words: str, log: Path) -> None:
    try:
        exec(compile("raise error", "fake.py", "exec"), {"__name__": "rgmlx.fake", "error": error})
    except Exception as e:
        debug_log.caught(e, "it is noted")
    assert words in log.read_text()


def test_an_error_that_nobody_caught(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there a word in the sentence that the program ends with."""

    def fail() -> int:
        raise IndexError(f"{'x' * 150} {SECRET * 20}")

    monkeypatch.setattr(cli.os, "_exit", lambda code: None)
    with pytest.raises(SystemExit):
        cli.end_with(fail, lambda: tmp_path)
    text = log.read_text()
    assert "nobody caught this\nIndexError\n" in text and "tui/cli.py" in text and SECRET not in text, text


def test_an_error_that_ended_the_screen(log: Path) -> None:
    app = SimpleNamespace(run=lambda **_: None, end_on_signal=None, signalled=0, failure=f"it ended ({SECRET})")
    with pytest.raises(RgmlxError, match=SECRET):
        cli.show(cast(ChatApp, app))
    text = log.read_text()
    assert "rgmlx.errors.RgmlxError: …\n" in text and SECRET not in text


def test_what_a_sentence_has_cut_off(log: Path) -> None:
    try:
        exec(compile("raise ValueError('my xylophone ' * 30)", "fake.py", "exec"), {"__name__": "elsewhere"})
    except ValueError as e:
        RgmlxError(f"it stopped ({str(e)[:100]}…): try again")
    text = log.read_text()
    assert "it stopped (……): try again\n" in text and SECRET not in text


def test_a_refused_file_is_not_named(log: Path) -> None:
    """Its name is a part of a message."""
    try:
        raise files._Refusal(f"There is no file {SECRET}.txt: check the name, or leave out the @.")
    except files._Refusal as e:
        RgmlxError(f"this was not sent: {e}")
        debug_log.caught(e, "it is noted")
    text = log.read_text()
    assert text.count("tui.prompt.files._Refusal") == 2 and "this was not sent: …\n" in text and SECRET not in text


def test_a_caller_s_code_is_not_quoted(log: Path, tmp_path: Path) -> None:
    """Its lines may be prompts; those of this program are none."""
    script = tmp_path / "script.py"
    script.write_text("\nrun(temperature='xylophone')\n")

    def run(**given: object) -> None:
        checked("temperature", given["temperature"])

    try:
        exec(compile(script.read_text(), script, "exec"), {"__name__": "__main__", "run": run})
    except RgmlxError as e:
        debug_log.caught(e, "it is noted")
    text = log.read_text()
    assert f"{script.name}:2 <module>\n" in text and "_checked: raise RgmlxError(" in text and SECRET not in text, text


def test_home_is_not_named(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    RgmlxError(f"{tmp_path}/anna/x is missing")
    assert "RgmlxError: ~/x is missing\n" in log.read_text()


LINES = [
    "hello xylophone",
    "/set temperature xylophone",
    "/set xylophone 1",
    "@./xylophone.txt is my text",
    "@~xylophone/x is my text",
    "/rename xylophone",
    '/find xylophone" OR (',
    "/edit xylophone ./xylophone.txt",
    "/nosuch xylophone",
    "/system xylophone",
    "/open 77777xylophone"[:11],
]


@pytest.mark.parametrize("line", LINES)
def test_a_conversation_of_lines(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variables.LOG, "debug")
    done = rgchat(
        tmp_path, f"/set max_tokens 3\n{line}\n", "--data", str(tmp_path / "data"), "--system", f"Say {SECRET}."
    )
    text = (tmp_path / "data" / debug_log.NAME).read_text()
    assert "demo is loaded" in text, done.stderr
    assert SECRET not in text, text


class Failing(Scripted):
    """Its engine fails in the middle of a reply, with an error that quotes it."""

    @property
    def pieces(self) -> Iterator[str]:
        return self._fail()

    @pieces.setter
    def pieces(self, value: object) -> None:
        pass

    def _fail(self) -> Iterator[str]:
        yield f"A {SECRET} is "
        raise ValueError(f"nobody knows what a {SECRET} is")


async def test_a_conversation_on_the_screen(log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")  # in the place of a directory
    session = Failing(tmp_path / "data", past=(f"My {SECRET}", f"Your {SECRET}"))
    app = ChatApp(session, history=History(tmp_path / "file" / "history"), drafts=Drafts(tmp_path / "file"))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, f"hello {SECRET}")
        await wait_until(lambda: "The reply broke off" in notices(app) and idle(app))
        assert SECRET in notices(app)
        for line in LINES:
            if line.startswith("/"):
                await command(app, line)
                await pilot.press("escape")
                await wait_until(lambda: idle(app))
        await pilot.press(*SECRET)  # not sent: a draft
        await wait_until(lambda: "a draft is not kept\n" in log.read_text())
    session.store.close()
    text = log.read_text()
    assert "the reply broke off\nValueError\n" in text and "_fail" in text, text
    assert "a draft is not kept\n" in text and "the history is not kept\n" in text, text
    assert SECRET not in text, text


def test_an_error_that_can_not_say_what_it_is(log: Path) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    try:
        raise Mute
    except Mute:
        RgmlxError("it is mute")
    assert "RgmlxError: it is mute\n" in log.read_text() and "Mute\n" in log.read_text()


def test_frames_of_a_deep_error_are_few(log: Path) -> None:
    def deeper(depth: int) -> None:
        if not depth:
            raise IndexError
        deeper(depth - 1)

    try:
        deeper(500)
    except IndexError as e:
        assert len(causes.told(e).splitlines()) < 30 and "more" in causes.told(e)
