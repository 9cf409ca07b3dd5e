"""A5: any text in any locale: typed, sent through a pipe, recalled from the history, shown. Nothing of it ends a program."""

from __future__ import annotations

import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_plain import ROOT, said, scripted, terminals

from rgmlx.store import USER
from tui.prompt.history import History

__all__ = ["terminals"]

LATIN = "en_US.ISO-8859-1"
LOCALES = ["C", "POSIX", "C.UTF-8", "", None, "xx_YY.none", LATIN]  # None: not set; one that no system has
TEXTS = ["\u00fcber", "fox \U0001f98a", "\u6f22\u5b57", "e\u0301 \u05d0\u05d1"]
_OTHER = b"\n\xff\xc3 x\n"
LONE = ["\ud800 alone", "caf\udce9"]  # of a program that reads what is not UTF-8


@pytest.fixture
def variables(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str | None]:
    """The environment of a locale."""
    name: str | None = request.param
    unset: dict[str, str | None] = dict.fromkeys(
        [*(key for key in os.environ if key.startswith("LC_")), "LANG", "LANGUAGE", "PYTHONUTF8", "PYTHONIOENCODING"]
    )
    if name != LATIN:
        return {**unset, "LC_ALL": name}
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
        return {**unset, "LC_ALL": name}
    except locale.Error:
        if shutil.which("localedef") is None:
            pytest.skip(f"there is no locale {name}, and no localedef to make it")
        made = subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", tmp_path / name], capture_output=True)
        if made.returncode:
            pytest.skip(f"localedef makes no {name} here: {made.stderr.decode(errors='replace')}")
        return {**unset, "LC_ALL": name, "LOCPATH": str(tmp_path)}
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def encoding(variables: dict[str, str | None]) -> str:
    return "latin-1" if variables["LC_ALL"] == LATIN else "utf-8"


@pytest.mark.parametrize("variables", LOCALES, indirect=True)
def test_a5_lines_in_any_locale(tmp_path: Path, variables: dict[str, str | None], terminals: Any) -> None:
    """Typed, answered, recalled with Up; and once more after a restart, with a history from elsewhere."""
    pieces = ["so ", "\u00fc ", "\U0001f98a ", "\u6f22. "]
    fits = [text for text in TEXTS if encoding(variables) == "utf-8" or text == TEXTS[0]]
    for start in (1, 2):
        chat = terminals(*scripted(tmp_path / "data", pieces, 0), **variables)
        chat.wait("You: ")
        for text in fits:
            for key in (text, "\x1b[A"):
                chat.send(key.encode(encoding(variables)))
                chat.send("\n")
                chat.wait("Assistant: so ")
                chat.wait("\n\nYou: ")
        chat.send(b"\xff\xfe\xc3 x\n")  # of a terminal with another encoding
        chat.wait("A line was left out: it is not UTF-8" if encoding(variables) == "utf-8" else "Assistant: so ")
        chat.wait("\nYou: ")
        chat.send("/history\n")
        chat.wait("You: ")
        chat.send("/quit\n")
        assert chat.end() == 0 and "Traceback" not in chat.output
        sent = [m.text for m in said(tmp_path / "data") if m.role == USER]
        assert [text for text in sent if text in TEXTS] == [text for text in fits for _ in range(2)]
        assert [m.text for m in said(tmp_path / "data") if m.role != USER] == ["".join(pieces)] * len(sent)
        if encoding(variables) == "utf-8":
            assert "so \u00fc \U0001f98a \u6f22." in chat.output
        if start == 1:
            for text in (*TEXTS, *LONE):
                History(tmp_path / "data" / "history.jsonl").add(text)


@pytest.mark.parametrize("variables", ["C", "C.UTF-8", LATIN], indirect=True)
def test_a5_pipes_in_any_locale(tmp_path: Path, variables: dict[str, str | None]) -> None:
    """`rgchat --plain`, and `rgmlx ask` with an argument and with a pipe."""
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    env = {name: value for name, value in {**os.environ, **home, **variables}.items() if value is not None}

    def run(*command: str | bytes, given: bytes = b"", code: int = 0) -> bytes:
        done = subprocess.run([sys.executable, "-m", *command], input=given, capture_output=True, cwd=ROOT, env=env)
        assert done.returncode == code and b"Traceback" not in done.stderr, done.stderr
        return done.stdout or done.stderr

    data = tmp_path / "data"
    given = "\n".join(TEXTS).encode()
    # Text that comes in is UTF-8 whatever the locale, and what is not is refused: a line, or the whole.
    out = run("tui", "--plain", "--data", str(data), "--max-tokens", "1", "--seed", "1", given=given + _OTHER, code=1)
    assert out.count(b"\nAssistant: ") == len(TEXTS) and b"A line was left out: it is not UTF-8" in out
    assert [m.text for m in said(data) if m.role == USER] == TEXTS
    if encoding(variables) == "utf-8":
        assert all(f"\nYou: {text}\n" in out.decode() for text in TEXTS)
    options = ("--max-tokens", "2", "--seed", "1")
    assert run("rgmlx", "ask", *options, given=given).endswith(b"\n")
    assert b"is not UTF-8" in run("rgmlx", "ask", *options, given=given + _OTHER, code=1)
    assert run("rgmlx", "ask", *options, "--system", TEXTS[0].encode(), given).endswith(b"\n")
    for program in ("rgmlx", "tui"):
        assert b"--version" in run(program, "--help")


def test_a5_a_character_that_the_terminal_lacks_is_a_question_mark(tmp_path: Path, terminals: Any) -> None:
    chat = terminals(*scripted(tmp_path, ["\u00fc ", "\U0001f98a."]), PYTHONIOENCODING="ascii", PYTHONUTF8=None)
    chat.wait("You: ")
    chat.send("hello\n")
    chat.wait("Assistant: ? ?.\n")
    chat.send("/quit\n")
    assert chat.end() == 0


@pytest.mark.parametrize("errors", ["", ":surrogateescape", ":replace"])
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_what_is_typed_is_utf_8_or_refused_where_python_is_told_of_ascii(
    tmp_path: Path, errors: str, term: str, terminals: Any
) -> None:
    """As in a pipe: nothing that was typed is changed without a word."""
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": f"ascii{errors}", "TERM": term}
    chat = terminals(*scripted(tmp_path / "data", ["so."], 0), **variables)
    for line in (b"\xc3\xa9 is this ok", b"\xff is this ok", b'"""two', b"\xff lines", b'here"""', b"ok"):
        chat.wait("More: " if line.endswith((b"lines", b'here"""')) else "You: ")
        chat.send(line + b"\n")
    chat.wait("Assistant: so.")
    chat.wait("You: ")
    chat.send("/quit\n")
    assert chat.end() == 0 and "Traceback" not in chat.output
    assert chat.output.count("A line was left out: it is not UTF-8") == 2
    assert [m.text for m in said(tmp_path / "data") if m.role == USER] == ["\u00e9 is this ok", "ok"]
