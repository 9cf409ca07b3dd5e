"""Commands that are named on screens and in errors can be typed as they stand there."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rooms
import warm
from test_mlx_lm_commands import place

from rgmlx import cli, shell
from rgmlx.cli import main
from rgmlx.errors import ModelNotFoundError, NotFiniteError
from rgmlx.shell import typed
from rgmlx.store.database import removed_file
from rgmlx.weights import hub
from tui.screens import guide

__all__ = ["place"]  # for what runs mlx-lm


def program(file: Path, says: str = "ours") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho {says} $@\n")
    file.chmod(0o755)
    return file


Install = Callable[[str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes an installation whose programs are in a folder, and a PATH without them."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(shell.sysconfig, "get_path", lambda *_: str(tmp_path / "elsewhere"))

    def make(folder: str) -> Path:
        bin = tmp_path / folder / "bin"
        for name in ("python", "rgmlx", "hf"):
            program(bin / name)
        monkeypatch.setattr(sys, "executable", str(bin / "python"))
        return bin

    return make


@pytest.mark.parametrize(
    ("folder", "path", "plain"),
    [
        ("clone/.venv", "/usr/bin:/bin", False),  # `make chat`, and nothing else
        ("clone/.venv", "", False),
        ("clone/.venv", "{bin}:/usr/bin", True),  # an environment that was activated
        ("clone/.venv", "{other}:{bin}", False),  # another program of that name comes first
        ("clone/.venv", "{bin}:{other}", True),
        ("clone/.venv", "{links}:/usr/bin", True),  # pipx and uv link to it
        ("clone/.venv", "/no/such/folder::{bin}", True),
        ("a clone (2)/it's.venv", "/usr/bin", False),
        ("caf\u00e9 \U0001f98a", "/usr/bin", False),
    ],
)
def test_a_shell_runs_what_is_named(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, path: str, plain: bool
) -> None:
    bin = install(folder)
    program(tmp_path / "other" / "hf", "theirs")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "hf").symlink_to(bin / "hf")
    monkeypatch.setenv("PATH", path.format(bin=bin, other=tmp_path / "other", links=tmp_path / "links"))
    said = typed("hf auth login")
    assert said == ("hf auth login" if plain else f"{shlex.quote(str(bin / 'hf'))} auth login")
    assert typed("hf") == said.removesuffix(" auth login")
    done = subprocess.run(said, shell=True, cwd="/", capture_output=True, text=True, executable="/bin/sh")
    assert done.stdout == "ours auth login\n"


def test_a_program_that_is_not_here_keeps_its_name(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    bin = install("clone")
    assert typed("nothing here") == "nothing here"
    (bin / "hf").chmod(0o644)
    assert typed("hf auth login") == "hf auth login"
    for without in ("", None):
        monkeypatch.setattr(sys, "executable", without)
        assert typed("rgmlx info") == "rgmlx info"


def test_programs_of_a_user_are_found_where_python_puts_them(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install --user`: the interpreter is the system's."""
    install("clone")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    there = program(tmp_path / "elsewhere" / "rgmlx")
    assert typed("rgmlx info") == f"{there} info"


def test_screens_and_errors_name_what_can_be_typed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    bin = install("clone")
    rgmlx = str(bin / "rgmlx")
    assert f"`{rgmlx} get 2b`" in guide.page()
    with pytest.raises(ModelNotFoundError) as caught:
        hub.resolve("2b")
    assert f"`{rgmlx} info 2b`" in str(caught.value)
    monkeypatch.setenv("PATH", str(bin))
    assert "`rgmlx get 2b`" in guide.page() and str(bin) not in guide.page()


def test_outside_a_terminal_the_chat_says_how_to_ask(tmp_path: Path) -> None:
    command = ["-m", "tui", "--data", str(tmp_path)]
    for path, name in (
        ("/usr/bin:/bin", f"{Path(sys.executable).parent}/rgchat"),
        (Path(sys.executable).parent, "rgchat"),
    ):
        done = warm.run(command, env={**os.environ, "PATH": str(path)})
        assert (done.returncode, done.stdout) == (1, "") and f'cat notes.txt | {name} "What' in done.stderr


def test_a8_errors_name_what_can_be_typed(
    install: Install,
    tmp_path: Path,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that named a bare command."""
    bin = install("clone")
    program(bin / "rgchat")
    program(bin / "pip")
    assert f"`{bin}/rgmlx doctor --model NAME`" in str(NotFiniteError())
    gone = removed_file.new_file_notice(tmp_path / "chats.db", tmp_path / "other.db", True, "")
    assert f": {bin}/rgchat --recover with that name" in gone
    for line, said in (
        (["mlx-lm"], f":  {bin}/rgmlx mlx-lm server --model PATH"),
        (["mlx-lm", "gptq", "--model", "demo"], f"with  {bin}/rgmlx convert -d --model demo"),
        (["mlx-lm", "evaluate", "--help"], f"{bin}/pip install 'mlx-lm[evaluate]'"),
        (["ask", " "], f'as in  {bin}/rgmlx ask "Who are you?"'),
    ):
        if line[1:2] == ["evaluate"]:
            monkeypatch.setitem(sys.modules, "lm_eval", None)
        with pytest.raises(SystemExit) as ended:
            main(line)
        assert ended.value.code == 1 and said in capsys.readouterr().err


# --- the sources --------------------------------------------------------------------------

SOURCES = rooms.ROOT
_OURS = "|".join(sorted(cli.parser()._subparsers._group_actions[0].choices))  # type: ignore[union-attr,arg-type]
COMMAND = re.compile(
    rf"(?<![\w./'-])(rgmlx (?:{_OURS})\b|rgmlx -|rgchat -|hf (?:auth|cache|download|upload)\b|(?:pip|uv|uvx) install\b|`(?:rgmlx|rgchat|hf|pip)\b)"
)
"""A command line in a sentence."""
MAKE_TYPED = ("typed", "add_command", "epilog")
"""Calls that know what they are given: the real path, or an example in a help text, which names the program as it was called."""
ELSEWHERE = {
    "rgmlx/convert/documents.py": "the card of a model, which is read on other machines",
}


def bare(source: str) -> Iterator[str]:
    """The command lines in a source's texts, without those in docstrings and those that are given to `typed`."""
    tree = ast.parse(source)
    left_out = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKE_TYPED)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "sys.argv")
        for inner in ([node.value] if isinstance(node, ast.Expr) else ast.walk(node))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield from (f"{node.lineno}: {found[0]}" for found in COMMAND.finditer(node.value))


def test_a8_no_sentence_names_a_bare_command() -> None:
    found = []
    for path in sorted(file for package in ("rgmlx", "tui") for file in (SOURCES / package).rglob("*.py")):
        name = path.relative_to(SOURCES).as_posix()
        if name not in ELSEWHERE:
            found += [f"{name}:{line}" for line in bare(path.read_text(encoding="utf-8"))]
    assert not found, "pass these through rgmlx.shell.typed"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("raise Error('run rgmlx doctor')", 1),
        ("raise Error(f'in {found}: rgchat --recover with it')", 1),
        ("text = 'first `hf auth login`'", 1),
        ("text = f'pip install {name}'", 1),
        ("text = 'one ' 'and  rgmlx convert -d'", 1),
        ("text = f\"run {typed('rgmlx doctor')}\"", 0),
        ("'rgmlx doctor'", 0),  # a docstring
        ("text = \"rgmlx runs 'recurrent_gemma' only\"", 0),
        ("text = 'update rgmlx to read it'", 0),
        ("epilog('rgmlx ask')", 0),
    ],
)
def test_a8_the_scan_finds_them(source: str, count: int) -> None:
    assert len(list(bare(source))) == count
