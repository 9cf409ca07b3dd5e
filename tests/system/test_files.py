"""What a message can bring with it and what can be copied out of one: real files, real programs, no doubles."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from textual.app import App

from tui.prompt.files import MAX_FILE, MAX_MATCHES, begun, complete, dropped, expand, mention
from tui.terminal import clipboard


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a home of our own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


# --- files in a message -------------------------------------------------------------------


def test_a_file_comes_after_the_message_under_its_name(here: Path) -> None:
    (here / "a.py").write_text("print(1)\n")
    got = expand("What does @a.py do?")
    assert got.text == "What does a.py do?\n\na.py:\n```py\nprint(1)\n```"
    assert got.files == (Path("a.py"),)
    assert got.problems == ()


def test_every_way_to_write_a_path(here: Path) -> None:
    (here / "My File.txt").write_text("mine")
    (here / "it's (1).txt").write_text("other")
    for written in (
        '@"My File.txt"',
        r"@My\ File.txt",
        r"@./My\ File.txt",
        r"@~/My\ File.txt",
        f'@"{here}/My File.txt"',
        f'"@a" and @"{here}/My File.txt"!',
    ):
        assert "\nmine\n```" in expand(written).text, written
    assert "\nother\n" in expand(r"@it\'s\ \(1\).txt,").text
    assert "\nother\n" in expand('@"it\'s (1).txt"').text


def test_what_stands_around_a_path_is_of_the_sentence(here: Path) -> None:
    (here / "a.md").write_text("A\n")
    (here / "b.md").write_text("B\n")
    text = expand("Compare @a.md, @b.md (and @a.md).").text
    assert text.startswith("Compare a.md, b.md (and a.md).\n\n")
    assert text.count("\nA\n") == 1


def test_words_that_are_no_paths_stay(here: Path) -> None:
    (here / "Test").mkdir()
    for text in (
        "hi @someone",
        "me@example.org",
        "@types/node is a package",
        "@test void f()",
        "\\@someone",
        "a @ b",
        "@",
        'x = @"objective c";',
        "@" + "x" * 5000,
        "@a\0b",
        "  spaces stay \n",
    ):
        assert expand(text) == type(expand(""))(text), text


def test_a_directory_without_a_slash_is_not_sent(here: Path) -> None:
    """A8: a sentence says what it is, and how the word is sent as it is; no case but its own is meant."""
    (here / "docs").mkdir()
    (here / "a.txt").write_text("x")
    for text in ("@docs", "sum up @docs, please", "one\n@docs\ntwo", '@"docs"'):
        got = expand(text)
        assert got.text == text
        assert got.problems == ("docs is a directory: name the files in it. To send the word as it is, write \\@docs.",)
    assert expand("see \\@docs and \\@a.txt").text == "see @docs and @a.txt"
    assert expand("see \\@docs and @a.txt").text == "see @docs and a.txt\n\na.txt:\n```txt\nx\n```"
    assert expand("@DOCS") == type(expand(""))("@DOCS")


def test_the_fence_is_longer_than_any_in_the_file(here: Path) -> None:
    (here / "a.md").write_text("````\ninner\n````")
    assert expand("@a.md").text == "a.md\n\na.md:\n`````md\n````\ninner\n````\n`````"
    assert clipboard.code_blocks(expand("@a.md").text) == ["````\ninner\n````"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(here: Path, encoding: str) -> None:
    (here / "a.txt").write_bytes("naïve\r\n日本\r".encode(encoding))
    assert "```txt\nnaïve\n日本\n```" in expand("@a.txt").text


def test_what_cannot_be_read_is_a_sentence_and_stays(here: Path) -> None:
    (here / "image.png").write_bytes(b"\x89PNG\x00\xff")
    (here / "old.txt").write_bytes("naïve".encode("latin-1"))
    (here / "big.txt").write_bytes(b"x" * (MAX_FILE + 1))
    (here / "fits.txt").write_bytes(b"x" * MAX_FILE)
    (here / "sub").mkdir()
    os.mkfifo(here / "pipe")
    (here / "ok.txt").write_text("fine")
    for word, sentence in (
        ("@./missing.txt", "There is no file ./missing.txt: check the name, or leave out the @."),
        ("@missing.txt", "There is no file missing.txt"),
        ("@sub/missing", "There is no file sub/missing"),
        ("@image.png", "image.png is not a text file"),
        ("@old.txt", "old.txt is not UTF-8 text: convert it first"),
        ("@big.txt", "big.txt is larger than 2 MB"),
        ("@./sub", "./sub is a directory"),
        ("@./pipe", "./pipe is a pipe or a device"),
        ("@pipe", "pipe is a pipe or a device"),
        ("@/dev/zero", "/dev/zero is a pipe or a device"),
    ):
        got = expand(f"see {word} and @ok.txt")
        assert [p for p in got.problems if p.startswith(sentence)], (word, got.problems)
        assert len(got.problems) == 1
        assert got.text.startswith(f"see {word} and ok.txt\n\nok.txt:")
    assert expand("@fits.txt").problems == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(here: Path) -> None:
    (here / "secret.txt").write_text("x")
    (here / "secret.txt").chmod(0)
    assert expand("@secret.txt").problems[0].startswith("secret.txt may not be read")


def test_all_files_together_have_a_limit(here: Path) -> None:
    for i in range(5):
        (here / f"{i}.txt").write_bytes(b"x" * MAX_FILE)
    got = expand(" ".join(f"@{i}.txt" for i in range(5)))
    assert len(got.files) == 4
    assert got.problems == ("With 4.txt the files would be more than 8 MB: send them in several messages.",)


def test_a_name_cannot_break_out_of_its_line(here: Path) -> None:
    (here / "a\x1b[2J.txt").write_text("x")
    assert "\x1b" not in expand("@a\x1b[2J.txt").text
    assert expand("@a\x1b[2J.txt").files


# --- completing and dropping --------------------------------------------------------------


def test_complete(here: Path) -> None:
    (here / "Notes").mkdir()
    for name in ("new.txt", "new.png", ".hidden", "Notes/a b.md", "bad\nname.txt"):
        (here / name).write_text("")
    os.mkfifo(here / "nfifo")
    assert complete("").paths == ("new.txt", "Notes/")
    assert complete("n").paths == ("new.txt", "Notes/")
    assert complete(".h").paths == (".hidden",)
    assert complete("Notes/").paths == ("Notes/a b.md",)
    assert complete("~/No").paths == ("~/Notes/",)
    assert complete(f"{here}/ne").paths == (f"{here}/new.txt",)
    assert complete("..").paths == ("../",)
    for nothing in ("zzz", "nowhere/", "new.txt/", "\0", "x" * 5000 + "/"):
        assert complete(nothing).paths == (), nothing


def test_a_large_directory_is_cut(here: Path) -> None:
    for i in range(MAX_MATCHES + 1):
        (here / f"f{i:03}").touch()
    got = complete("f")
    assert len(got.paths) == MAX_MATCHES
    assert got.paths[0] == "f000"
    assert got.more


@pytest.mark.parametrize("name", ["a.txt", "My File.txt", 'q"uote.txt', "back\\slash.txt", "日本.txt", "it's.txt"])
def test_what_is_completed_or_dropped_is_found_again(here: Path, name: str) -> None:
    (here / name).write_text("inside")
    assert "\ninside\n" in expand(mention(name)).text
    path = str(here / name)
    escaped = "".join("\\" + c if c in " '\"\\" else c for c in path)
    for text in (shlex.quote(path), escaped + " ", (here / name).as_uri(), (here / name).as_uri() + "\r\n", path):
        assert (got := dropped(text)) == mention(path), text
        assert "\ninside\n" in expand(got or "").text


def test_several_dropped_files(here: Path) -> None:
    one, two = here / "one.txt", here / "a b.txt"
    one.touch()
    two.touch()
    both = f'@{one} @"{two}"'
    for text in (
        f"{one} {shlex.quote(str(two))} ",
        f"{one}\n{two}\n",
        f"{one.as_uri()}\r\n{two.as_uri()}\r\n",
        f"~/one.txt '{two}'",
    ):
        assert dropped(text) == (both if "~" not in text else both.replace(str(here) + "/one", "~/one")), text


def test_what_is_no_drop(here: Path) -> None:
    (here / "a.txt").touch()
    os.mkfifo(here / "pipe")
    for text in (
        "",
        "a.txt",  # a word, and by chance a name
        "hello",
        f"see {here}/a.txt",
        f"{here}/a.txt and",
        f"{here}/missing.txt",
        f"{here}/pipe",
        str(here),
        "'never closed",
        "file://%zz",
        "file:///%ff",
        "/" * 100_000,
        "/x\0y",
    ):
        assert dropped(text) is None, text


def test_begun() -> None:
    assert begun("see @src/ma") == (4, "src/ma")
    assert begun('@"my di') == (0, "my di")
    assert begun(r"@my\ di") == (0, "my di")
    for text in ("me@x", "@done ", '@"done"', "", "@a b"):
        assert begun(text) is None, text


# --- copying out --------------------------------------------------------------------------


@pytest.fixture
def programs(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH, and a session in front of the computer."""
    for name in ("SSH_CONNECTION", "SSH_TTY", "TMUX", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setenv("TERM", "xterm-kitty")  # which takes what it is sent
    (here / "bin").mkdir()
    monkeypatch.setenv("PATH", str(here / "bin"))
    return here / "bin"


def program(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


class Terminal(App[None]):
    """An app that notes what goes to the terminal's clipboard."""

    sent: str | None = None

    def copy_to_clipboard(self, text: str) -> None:
        self.sent = text


TEXT = "naïve\n  日本 $(x)\n\n"


def test_a_local_program_gets_the_exact_text(programs: Path) -> None:
    program(programs, "xclip", f'/bin/cat > {programs}/got; echo "$@" > {programs}/arguments; (/bin/sleep 5) &')
    app = Terminal()
    assert clipboard.copy(app, TEXT) == f"Copied {len(TEXT)} characters."
    assert (programs / "got").read_text() == TEXT
    assert (programs / "arguments").read_text() == "-selection clipboard -in\n"
    assert app.sent is None


def test_a_program_that_fails_or_hangs_leaves_it_to_the_next(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "_SECONDS", 0.3)
    program(programs, "xclip", "exec /bin/sleep 20")
    program(programs, "xsel", "exit 1")
    app = Terminal()
    assert clipboard.copy(app, "x") == "Copied 1 character."
    assert app.sent == "x"


def test_over_ssh_the_terminal_is_asked(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs, "xclip", "exit 0")
    monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    app = Terminal()
    assert clipboard.copy(app, TEXT) == f"Copied {len(TEXT)} characters."
    assert app.sent == TEXT
    monkeypatch.setenv("TMUX", "/tmp/x")
    assert clipboard.copy(app, TEXT).endswith("set -g set-clipboard on")
    assert "75 KB" in clipboard.copy(app, "日" * 25_000)
    assert app.sent == "日" * 25_000


def test_copy_never_raises(programs: Path) -> None:
    program(programs, "xclip", "exit 1")
    app = Terminal()
    assert clipboard.copy(app, "half \ud800") == "Copied 6 characters."
    assert app.sent == "half ?"
    assert clipboard.copy(app, "") == "There is nothing to copy."


def test_code_blocks() -> None:
    text = (
        "Do:\n\n```sh\nls  -l\n\n  x &amp; [a](b)\n```\n\n- in a list\n  ~~~\n  y\n  ~~~\n\ntext `inline`\n\n"
        "    indented\n      more\n\n````\n```\n````\n\n```\n```\n\n```py\nopen"
    )
    assert clipboard.code_blocks(text) == ["ls  -l\n\n  x &amp; [a](b)", "y", "indented\n  more", "```", "open"]
    assert clipboard.code_blocks("    a\n      b\n\ntext") == ["a\n  b"]
    assert clipboard.code_blocks("no code") == []
    assert clipboard.code_blocks("```\na\u202eb\x1b\n```") == ["a\u202eb\x1b"]
    assert clipboard.code_blocks(">" * 5000 + "```\nx") is not None
