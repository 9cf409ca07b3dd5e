"""Pages of the documentation: their code blocks, and the command lines in them. The conventions are those of docs/CONTRIBUTING.md.

    ```python         run, all of a page in one namespace and one empty directory, from the top down
    ```python shown   compiled only: it needs what a test has not, such as other weights
    ```python macos   the same, as it needs a Mac; ```sh macos is as ```sh
    ```sh             its `rgmlx` and `rgchat` lines are parsed; of others, scripts and make's targets must be there
    ```sh run         run as well, by bash, in the same directory: for what takes a second or two, and must succeed

In a block without a language the lines that begin with `rgmlx` or `rgchat` are parsed.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rooms import ROOT

import rgmlx.cli
import tui.cli

PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
OURS = ("rgmlx", "rgchat")
MARKS = {"python": ("", "shown", "macos"), "sh": ("", "run", "macos"), "": ("",)}
ELSEWHERE = {"llm.md": "scripts/check_llm.py runs it where llm is installed"}
"""Pages whose code is only compiled and parsed here, and why."""
OTHER = {"text", "json", "toml", "mermaid"}
"""Languages of blocks that nobody runs, such as output."""
_BETWEEN = re.compile(r"[|&;()]+")
_KEYWORDS = {"do", "then", "else", "elif", "if", "while", "until", "!", "{", "time", "exec"}
_REDIRECTION = re.compile(r"\d*(>>|>|<<<|<)&?")
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")


@dataclass(frozen=True)
class Block:
    """A code block: its language, the word behind that, its text, and the number of the text's first line."""

    language: str
    mark: str
    text: str
    line: int


def _tokens(page: Path) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def blocks(page: Path) -> list[Block]:
    """The fenced code blocks of a page. Raises ValueError: nobody knows what one of them is."""
    found = []
    for token in _tokens(page):
        if token.type == "fence":
            assert token.map is not None
            language, mark, *_ = (*token.info.split(), "", "")
            line = token.map[0] + 2
            if language not in OTHER and mark not in MARKS.get(language, ()):
                raise ValueError(f"{page.name}:{line}: a block is one of {[*MARKS, *OTHER]}, not {token.info!r}")
            found.append(Block(language, mark, token.content, line))
    return found


def links(page: Path) -> set[str]:
    """What a page points to: links and pictures."""
    return {str(t.attrs.get("href") or t.attrs.get("src")) for t in _tokens(page) if t.type in ("link_open", "image")}


def anchors(page: Path) -> set[str]:
    """The names of its headings, as GitHub makes them."""
    lines = [t.content for t, before in _headings(page) if before.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def _headings(page: Path) -> Iterator[tuple[Token, Token]]:
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    yield from zip(tokens[1:], tokens, strict=False)


def commands(block: Block) -> Iterator[list[str]]:
    """The simple commands of shell lines, without redirections and without variables in front."""
    text, ends = [], list[str]()
    for line in block.text.replace("\\\n", " ").splitlines():
        if ends:  # within what is typed into a command
            if line.strip() == ends[0]:
                ends.pop(0)
            continue
        ends = _HEREDOC.findall(line)
        line = _HEREDOC.sub("", line)
        if block.language or line.startswith(OURS):
            text.append(line)
    for line in text:
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
        words.whitespace_split = True
        yield from _split(list(words))


def _split(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    skip = False
    for word in [*words, ";"]:
        if _BETWEEN.fullmatch(word):
            if command:
                yield command
            command, skip = [], False
        elif _REDIRECTION.fullmatch(word):
            skip = True
            if command and command[-1].isdecimal():  # of 2>&1
                command.pop()
        elif skip:
            skip = False
        elif command or not (word in _KEYWORDS or re.fullmatch(r"[A-Za-z_]\w*=.*", word, re.DOTALL)):
            command.append(word)


def problem(command: list[str]) -> str:
    """What is wrong with a command; "" where nothing is."""
    name, *arguments = command
    if Path(name).name in OURS:
        return _refused(rgmlx.cli.parser() if Path(name).name == "rgmlx" else tui.cli.parser(), arguments)
    if name == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        missing = [word for word in arguments if "=" not in word and word not in targets]
        return f"make has no target {missing[0]}" if missing else ""
    scripts = [word for word in command if word.startswith("scripts/")]
    return next((f"there is no {script}" for script in scripts if not (ROOT / script).exists()), "")


def _refused(parser: argparse.ArgumentParser, arguments: list[str]) -> str:
    said: list[str] = []
    for each in _with_subcommands(parser):
        each.error = said.append  # type: ignore[method-assign, assignment]
        each._print_message = lambda *_: None  # type: ignore[method-assign]
    try:
        parser.parse_args(arguments)
    except SystemExit:  # after --help
        pass
    except Exception as e:  # argparse goes on after `error` here
        said.append(repr(e))
    return said[0] if said else ""


def _with_subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _with_subcommands(below)
