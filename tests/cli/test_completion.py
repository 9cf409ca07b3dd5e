"""Shell completion, in the shells themselves: bash here, zsh and fish where they are installed."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ptys import Pty, environment, ptys
from rooms import ROOT
from waiting import PATIENCE, wait_for

from rgmlx.cli import main, parser
from rgmlx.cli.completions import bash, fish, zsh
from rgmlx.cli.completions.table import described
from rgmlx.store import Store
from tui.cli import parser as chat_parser

__all__ = ["ptys"]

SHELLS = ("bash", "fish", "zsh")
HOSTILE = """a $(touch pwned) `touch pwned` "b" 'c' \\d !e;f"""
NAMES = ["diary", "My diary", HOSTILE, "--yes", "Überblick"]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `rgmlx completion` prints, by shell, in files."""
    place, made = tmp_path_factory.mktemp("scripts"), {}
    for shell in SHELLS:
        made[shell] = place / f"rgmlx.{shell}"
        with made[shell].open("w") as out, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            with pytest.raises(SystemExit) as ended:
                main(["completion", shell])
        assert ended.value.code == 0
    return made


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with files, a home with conversations, and an `rgmlx` that notes what it was asked."""
    data = Path("Library/Application Support") if sys.platform == "darwin" else Path(".local/share")
    with Store(tmp_path / data / "rgmlx" / "rgchat") as store:
        for name in reversed(NAMES):
            store.conversations.create("demo", name)
        store.conversations.create("demo", "two\nlines")
    program = tmp_path / "bin" / "rgmlx"
    program.parent.mkdir()
    note = f'if [ "$1" = ask ]; then printf "%s\\0" "$@" > {tmp_path}/noted.part; mv {tmp_path}/noted.part {tmp_path}/noted'
    program.write_text(f'#!/bin/sh\n{note}\nelse cd {ROOT}; exec {sys.executable} -m rgmlx "$@"; fi\n')
    program.chmod(0o755)
    for name in ("notes.txt", "names of files.md"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    for name in ("XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(place: Path, *command: str, text: str = "") -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=place, env=environment(place), timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


# --- the scripts --------------------------------------------------------------------------


def every(p: argparse.ArgumentParser) -> Iterator[str]:
    """All that can be typed, as argparse has it: options and commands that the help shows."""
    for action in p._actions:
        if action.help is not argparse.SUPPRESS:
            yield from action.option_strings
            for name, below in (action.choices or {}).items() if isinstance(action.choices, dict) else ():
                yield name
                yield from every(below)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_the_script(shell: str, scripts: dict[str, Path]) -> None:
    text = scripts[shell].read_text()
    for word in every(parser()):
        if shell == "fish" and word.startswith("-"):
            word = f" -l {word[2:]} " if word.startswith("--") else f" -s {word[1:]} "
        assert word in text
    assert "--names" not in text.replace("sessions list --names", "").replace("read --names", ""), "it is hidden"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_chat_has_a_script_as_well(shell: str, place: Path) -> None:
    """With its options; names it asks `rgmlx` for."""
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--completion", shell],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(place),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for word in every(chat_parser()):
        if shell == "fish":
            word = f" -l {word[2:]} " if word.startswith("--") else f" -s {word[1:]} "
        assert word in done.stdout
    assert f"rgchat --completion {shell}" in done.stdout and "command rgmlx" in done.stdout
    assert "command rgchat" not in done.stdout and "contrast" in done.stdout
    if shutil.which(shell):
        (place / "script").write_text(done.stdout)
        run(place, shell, "-n", "script")
    if shell == "bash" and shutil.which("bash"):
        offer = (
            'offer() { COMP_WORDS=(rgchat "$@"); COMP_CWORD=$#; _rgchat; printf "%s\\n" "${COMPREPLY[@]}"; echo ==; }\n'
        )
        calls = "offer --the\noffer --theme ''\noffer --session di\noffer --model ''\noffer --open no\n"
        found = run(place, "bash", "--norc", text=f"source ./script\n{offer}{calls}").split("==\n")
        words = [set(said.split()) for said in found[:5]]
        assert words[0] == {"--theme"} and words[1] == {"dark", "light", "contrast"} and words[2] == {"diary"}
        assert {"demo", "folder"} <= words[3] and not words[4], "files are bash's own to offer"


@pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in SHELLS])
def test_the_shell_reads_its_script(shell: str, scripts: dict[str, Path], place: Path) -> None:
    run(place, shell, "-n", str(scripts[shell]))


def test_a_help_text_can_not_leave_its_quotes() -> None:
    p = argparse.ArgumentParser(prog="rgmlx")
    p.add_argument("--it", metavar="a:b", help="it's [50%%] 'of' \\ $(x)")
    table = described(p)
    assert table.options[1].about == "it's [50%] 'of' \\ $(x)"
    assert r"--it'[it'\''s \[50%\] '\''of'\'' \\ $(x)]:a\:b:'" in zsh.script(table)
    assert r"-l it -x -d 'it\'s [50%] \'of\' \\ $(x)'" in fish.script(table)
    assert "$(x)" not in bash.script(table)


def test_an_unknown_shell_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2 and "bash" in capsys.readouterr().err


# --- bash ---------------------------------------------------------------------------------

COMMANDS = {"ask", "sessions", "get", "info", "convert", "completion", "mlx-lm"}
LINES: list[tuple[list[str], set[str], set[str]]] = [
    # what is typed, what is offered, what is not
    ([""], COMMANDS, {"--help", "show"}),
    (["se"], {"sessions"}, {"ask"}),
    (["--v"], {"--version"}, {"--stats"}),
    (["sessions", ""], {"list", "show", "rename", "delete", "export"}, {"ask"}),
    (["sessions", "e"], {"export"}, {"list"}),
    (["sessions", "delete", "--"], {"--yes", "--data", "--help"}, {"--last"}),
    (["ask", "--st"], {"--stats"}, {"--session"}),
    (["ask", "sessions", "--r"], {"--raw", "--repetition-penalty"}, {"show"}),
    (["ask", "--max-tokens", ""], set(), {"notes.txt", "--raw"}),
    (["ask", "--data", "f"], {"folder"}, {"notes.txt"}),
    (["ask", "--model", ""], {"demo", "folder"}, {"notes.txt"}),
    (["completion", ""], {"bash", "fish", "zsh"}, {"ask"}),
    (["convert", "--dtype", ""], {"float16", "bfloat16", "float32"}, {"demo"}),
    (["compare", "d"], {"demo"}, {"notes.txt"}),
    (["get", ""], {"2b", "9b"}, {"notes.txt", "demo"}),
    (["get", "--bits", ""], {"4", "6", "8", "16"}, {"2b"}),
    (["get", "2b", "--to", "f"], {"folder"}, {"notes.txt"}),
    (["desktop", "install", "fix"], {"fix-grammar"}, {"notes.txt"}),
    (["read", "--session", ""], set(), {*NAMES, "notes.txt"}),
]


@needs("bash")
def test_bash_offers_what_can_stand_there(scripts: dict[str, Path], place: Path) -> None:
    offer = (
        'offer() { COMP_WORDS=(rgmlx "$@"); COMP_CWORD=$#; _rgmlx; printf "%s\\n" "${COMPREPLY[@]}"; echo ==; }\n'
        f"source {scripts['bash']}\n"
    )
    calls = [" ".join(["offer", *(f"'{word}'" for word in words)]) for words, _, _ in LINES]
    found = run(place, "bash", "--norc", text=offer + "\n".join(calls) + "\n").split("==\n")
    for (words, there, absent), said in zip(LINES, found, strict=False):
        offered = {line.rstrip("/") for line in said.splitlines() if line}
        assert there <= offered and not absent & offered, words


@needs("bash")
def test_bash_puts_the_equals_sign_of_an_option_together(scripts: dict[str, Path], place: Path) -> None:
    program = (
        f"source {scripts['bash']}\n"
        "COMP_WORDS=(rgmlx convert --dtype = fl); COMP_CWORD=4; _rgmlx; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(rgmlx convert --dtype =); COMP_CWORD=3; _rgmlx; echo ${COMPREPLY[@]}\n"
    )
    assert run(place, "bash", "--norc", text=program) == "float16 float32\nfloat16 bfloat16 float32\n"


def noted(place: Path, pty: Pty) -> list[str]:
    """What the program was given."""
    wait_for(lambda: (pty.read(0.1) and False) or (place / "noted").exists(), about=lambda: pty.text[-500:])
    words = (place / "noted").read_text().split("\0")[:-1]
    (place / "noted").unlink()
    return words


ZSH = "unsetopt beep; PS1='$ '; autoload -Uz compinit"
WAYS = {
    "bash": ("bash --norc --noprofile -i", "bind 'set bell-style none'; source SCRIPT"),
    "zsh, evaluated": ("zsh -f -i", f'{ZSH}; compinit -u -D; eval "$(cat SCRIPT)"'),
    "zsh, from a directory": (
        "zsh -f -i",
        f"cp SCRIPT folder/_rgmlx; fpath=($PWD/folder $fpath); {ZSH}; compinit -u -D",
    ),
}
"""How a shell is begun, and what has it complete, as the help says."""


@pytest.mark.parametrize("way", [pytest.param(way, marks=needs(way.split(",")[0])) for way in WAYS])
def test_what_is_completed_is_what_the_program_gets(
    way: str, scripts: dict[str, Path], place: Path, ptys: type
) -> None:
    """Typed in a terminal, with Tab. The name of a conversation is a text of anybody's: it never becomes a command."""
    begin, prepare = WAYS[way]
    pty: Pty = ptys(*begin.split())
    prepare = prepare.replace("SCRIPT", str(scripts[way.split(",")[0]]))
    pty.send(f"cd {place}; {prepare}; echo rea''dy\n")
    pty.wait("ready")
    for typed, given in [
        ("rgmlx as\t--sess\tdi\t--sta\t\n", ["ask", "--session", "diary", "--stats"]),
        ("rgmlx ask --session M\t\n", ["ask", "--session", "My diary"]),
        ("rgmlx ask --session 'M\t\n", ["ask", "--session", "My diary"]),
        ("rgmlx ask --session a\t\n", ["ask", "--session", HOSTILE]),
        ("rgmlx ask hi -f not\t\n", ["ask", "hi", "-f", "notes.txt"]),
        ("rgmlx ask hi -f notes.txt names\t\n", ["ask", "hi", "-f", "notes.txt", "names of files.md"]),
        ("rgmlx ask hi --data fol\t\n", ["ask", "hi", "--data", "folder/"]),
    ]:
        pty.send(typed)
        assert [word.rstrip("/") for word in noted(place, pty)] == [word.rstrip("/") for word in given], typed
    assert not (place / "pwned").exists() and not (ROOT / "pwned").exists()


# --- fish ---------------------------------------------------------------------------------


@needs("fish")
def test_fish_offers_what_can_stand_there(scripts: dict[str, Path], place: Path) -> None:
    lines = [
        *LINES,
        (["ask", "--session", ""], {*NAMES}, {"notes.txt"}),
        (["ask", "hi", "-f", "n"], {"notes.txt"}, set()),
    ]
    program = [f"source {scripts['fish']}"]
    for words, _, _ in lines:
        program += [f"complete -C 'rgmlx {' '.join(words)}'", "echo =="]
    found = run(place, "fish", "--no-config", text="\n".join(program) + "\n").split("==\n")
    for (words, there, absent), said in zip(lines, found, strict=False):
        offered = {line.split("\t")[0].rstrip("/") for line in said.splitlines() if line}
        assert there <= offered and not absent & offered, (words, offered)
