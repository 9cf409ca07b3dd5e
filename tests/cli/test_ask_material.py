"""What `rgmlx ask` sends: the question, files and what comes through the standard input, whatever that is."""

from __future__ import annotations

import os
import pty
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from asked import Piped, piped
from waiting import wait_for

from rgmlx.cli import material
from rgmlx.cli.material import message
from rgmlx.errors import RgmlxError

__all__ = ["piped"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two notes in the directory that one is in."""
    (tmp_path / "one.txt").write_text("first\n")
    (tmp_path / "two.py").write_text("```\nsecond")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ONE = "one.txt:\n```txt\nfirst\n```"
TWO = "two.py:\n````py\n```\nsecond\n````"
INPUT = "Input:\n```\npiped\n```"


@pytest.mark.parametrize(
    ("words", "named", "data", "sent"),
    [
        (["Why?"], [], b"", "Why?"),
        (["Who", "are", "you?"], [], b"", "Who are you?"),
        (["Why?"], [], b" \n", "Why?"),
        (["Why?"], [], b"piped", f"{INPUT}\n\nWhy?"),
        (["Why?"], [], b"\xef\xbb\xbfpiped\r\n", f"{INPUT}\n\nWhy?"),
        (["Why?"], ["one.txt"], b"", f"{ONE}\n\nWhy?"),
        (["Why?"], ["two.py", "one.txt"], b"", f"{TWO}\n\n{ONE}\n\nWhy?"),
        (["Why?"], ["one.txt"], b"piped\n", f"{ONE}\n\n{INPUT}\n\nWhy?"),
        (["Why?"], ["-", "one.txt"], b"piped\n", f"{INPUT}\n\n{ONE}\n\nWhy?"),
        ([], [], b"piped", "piped"),
        (["-"], [], b"piped", "piped"),
        ([], ["one.txt"], b"piped", f"{ONE}\n\npiped"),
    ],
)
def test_what_is_sent(words: list[str], named: list[str], data: bytes, sent: str, piped: Piped, files: Path) -> None:
    """The question is last, so that it is within the model's exact memory however long the rest is."""
    piped(data)
    assert message(words, named) == sent


@pytest.mark.parametrize("content", ["```", "x ```` y `````\n", "~~~\n```\n\n````txt\n"])
def test_nothing_in_a_text_ends_its_fence(content: str, piped: Piped) -> None:
    piped(content.encode())
    block, question = message(["Why?"]).rsplit("\n\n", 1)
    fence = block.splitlines()[1]
    assert question == "Why?" and set(fence) == {"`"} and fence not in content
    assert block == f"Input:\n{fence}\n{content.rstrip(chr(10))}\n{fence}"


@pytest.mark.parametrize("name", ["a\nb.txt", "\x1b[2J.txt", "\u202etxt"])
def test_a_name_of_a_file_is_one_line(name: str, piped: Piped, tmp_path: Path) -> None:
    piped()
    (tmp_path / name).write_text("x")
    title = message(["Why?"], [str(tmp_path / name)]).splitlines()[0]
    assert title.isprintable() and title.endswith(":") and "\ufffd" in title


REFUSED = [
    (["-", "x"], [], {}, "stands alone.*-f - reads standard input beside a question"),
    ([], [], {"listen": False}, "there is no question"),
    ([], ["-"], {}, "there is no question: all words behind -f belong to it, so write the question before it"),
    ([], ["one.txt", "two.py"], {}, "the question is empty: all words behind -f belong to it"),
    ([], [], {"choices": ["yes", "no"]}, "the question is empty: all words behind --choice belong to it"),
    ([], [], {"choices": ["yes", "Is it blue?"]}, "there is no question: all words behind --choice belong to it"),
    (["Why?"], ["-"], {}, "nothing came through standard input: there is nothing to ask about"),
    (["Why?"], ["one.txt", "empty"], {}, "empty is empty: there is nothing to ask about"),
    ([" "], [], {}, "the question is empty: write it after the command"),
    ([], [], {}, "the question is empty"),
    (["Why?"], [""], {}, "the name of a file is empty"),
    (
        ["Why?"],
        ["one.txt", "What is wrong?"],
        {},
        r"there is no file What is wrong\?: .* the question stands before it, or",
    ),
    (["Why?"], ["."], {}, "is a directory, not a file.*name the files in it"),
    (["Why?"], ["pipe"], {}, "a pipe or a device.*read it through a pipe"),
    (["Why?"], ["bytes"], {}, "bytes is not UTF-8 text"),
    (["Why?"], ["x" * 5000], {}, "can't be read"),
    (["Why?"], ["~nobody-is-called-this/x"], {}, "there is no user 'nobody-is-called-this'"),
    (["Why?"], ["one.txt"], {"raw": True}, "--raw continues one text"),
]


@pytest.mark.parametrize(("words", "named", "options", "said"), REFUSED)
def test_what_is_refused(
    words: list[str], named: list[str], options: dict[str, Any], said: str, piped: Piped, files: Path
) -> None:
    piped()
    os.mkfifo(files / "pipe")
    (files / "bytes").write_bytes(b"caf\xe9")
    (files / "empty").write_text(" \n")
    with pytest.raises(RgmlxError, match=said) as raised:
        message(words, named, **options)
    assert "\n" not in str(raised.value)


def test_all_that_is_sent_is_counted(piped: Piped, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "MAX_CHARS", 10)
    piped(b"1234")
    assert message(["Why?"], ["one.txt"])
    piped(b"12345")
    with pytest.raises(RgmlxError, match="standard input has more than 4 characters"):
        message(["Why?"], ["one.txt"])
    piped(b"")
    with pytest.raises(RgmlxError, match=r"with two\.py there are more than 10 characters"):
        message(["Why?"], ["one.txt", "two.py"])


# --- inputs that nobody writes to ---------------------------------------------------------


def test_a_terminal_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(slave, "r"))
    assert message(["Why?"]) == "Why?"
    with pytest.raises(RgmlxError, match="there is no question"):
        message([])
    os.close(master)


def test_an_input_that_can_only_be_written_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """nohup's, from a terminal."""
    monkeypatch.setattr(sys, "stdin", os.fdopen(os.open(os.devnull, os.O_WRONLY), "r"))
    assert message(["Why?"]) == "Why?"
    with pytest.raises(RgmlxError, match="standard input can't be read"):
        message([])


def test_an_input_of_no_system_is_not_read() -> None:
    """As a notebook has it, or a test."""
    with pytest.raises((OSError, ValueError)):
        sys.stdin.fileno()
    assert message(["Why?"]) == "Why?"


@pytest.mark.parametrize("options", [{"listen": False}, {"raw": True}])
def test_an_open_pipe_that_is_passed_over(options: dict[str, bool], piped: Piped) -> None:
    piped(ends=False)
    assert message(["Why?"], **options) == "Why?"


def test_a_silent_pipe_is_an_error_that_says_what_to_add(
    piped: Piped, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under ssh, in editors and build servers the input is open, and nobody writes to it: not a hang, and no answer without."""
    monkeypatch.setattr(material, "NOTICE_SECONDS", 0.01)
    monkeypatch.setattr(material, "WAIT_SECONDS", 0.02)
    piped(ends=False)
    with pytest.raises(RgmlxError, match=r"still open: add -f - .* or --no-stdin"):
        message(["Why?"])
    assert capsys.readouterr().err.startswith("rgmlx: waiting for standard input")


@pytest.mark.parametrize("named", [[], ["-"]])
def test_what_comes_late_is_read(
    named: list[str], piped: Piped, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is named it is waited for without end; where it is not, a first byte is enough."""
    monkeypatch.setattr(material, "NOTICE_SECONDS", 0.01)
    if named:
        monkeypatch.setattr(material, "WAIT_SECONDS", 0.02)
    inlet = piped(ends=False)
    came: list[str] = []
    reader = threading.Thread(target=lambda: came.append(message(["Why?"], named)))
    reader.start()
    if not named:
        wait_for(lambda: "waiting" in capsys.readouterr().err)
    os.write(inlet, b"pip")
    reader.join(0.1)
    assert reader.is_alive() and not came
    os.write(inlet, b"ed\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), inlet)  # its end
    reader.join()
    assert came == [f"{INPUT}\n\nWhy?"]
