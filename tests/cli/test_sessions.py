"""`rgmlx sessions`: the conversations that ask, programs and rgchat share."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ptys import Pty, ptys

from rgmlx.cli import main
from rgmlx.store import Store

__all__ = ["ptys"]

Sessions = Callable[..., subprocess.CompletedProcess[str]]
ESCAPE = "\x1b]0;pwned\x07"


def converse(store: Store, title: str, *turns: str, archived: bool = False) -> int:
    one = store.conversations.create("demo", title)
    for asked, said in zip(turns[::2], turns[1::2], strict=True):
        head = store.conversations.get(one.id).head
        user = store.messages.add_user(one.id, head, asked)
        reply = store.messages.start_reply(one.id, user.id)
        store.messages.append(reply.id, said)
        store.messages.finish(reply.id, closed=True)
    store.conversations.archive(one.id, archived)
    return one.id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations 1 to 5: an old one in the archive, one without a word, two of one name, and a diary."""
    place = tmp_path_factory.mktemp("made")
    with Store(place) as store:
        converse(store, "old", "Hello", "Hi.", archived=True)
        converse(store, "empty")
        converse(store, "twice", "One?", "One.")
        converse(store, "twice", "Two?", "Two.")
        converse(store, "diary", "My cat is\ncalled Zibo.", "A lovely name.\n", f"{ESCAPE}And now?", "It is Monday.")
    return place


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture
def sessions(data: Path, capsys: pytest.CaptureFixture[str]) -> Sessions:
    """The command in this process."""

    def run(*arguments: str, data: Path = data) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["sessions", *arguments, "--data", str(data)])
        return subprocess.CompletedProcess(arguments, ended.value.code, *capsys.readouterr())

    return run


def out(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return str(done.stdout)


def titles(data: Path) -> list[str]:
    with Store(data) as store:
        return [one.title for one in store.conversations.listed(archived=None)]


# --- list, show, export -------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["list"]])
def test_the_list_has_the_newest_first(words: list[str], sessions: Sessions) -> None:
    rows = [line.split("  ") for line in out(sessions(*words)).splitlines()]
    assert [(row[0].strip(), row[2], row[3]) for row in rows] == [
        ("5", "demo", "diary"),
        ("4", "demo", "twice"),
        ("3", "demo", "twice"),
        ("2", "demo", "empty"),
    ]
    assert out(sessions(*words, "--all")).splitlines()[-1].endswith("old (archived)")


def test_the_list_as_json(sessions: Sessions) -> None:
    rows = [json.loads(line) for line in out(sessions("--json", "--all")).splitlines()]
    assert [row["number"] for row in rows] == [5, 4, 3, 2, 1]
    assert [row["archived"] for row in rows] == [False] * 4 + [True]
    assert rows[0].keys() == {"number", "name", "model", "system", "created", "updated", "archived", "pinned"}
    assert rows[0]["name"] == "diary" and rows[0]["updated"].endswith("Z")
    assert out(sessions("--json", "list")) == out(sessions("list", "--json"))


def test_pinned_ones_come_first(sessions: Sessions, data: Path) -> None:
    with Store(data) as store:
        for number in (1, 2):
            store.conversations.pin(number)
    assert [line.split("  ")[-1] for line in out(sessions()).splitlines()] == [
        "empty (pinned)",
        "diary",
        "twice",
        "twice",
    ]
    assert out(sessions("--all")).splitlines()[1].endswith("old (pinned, archived)")
    rows = [json.loads(line) for line in out(sessions("--json", "--all")).splitlines()]
    assert [(row["number"], row["pinned"]) for row in rows][:3] == [(2, True), (1, True), (5, False)]
    assert '"pinned": true' in out(sessions("export", "empty", "--json"))
    assert out(sessions("show", "2")) == "", "its number is its own"


def test_names_for_completion(sessions: Sessions) -> None:
    assert out(sessions("--names")).splitlines() == ["diary", "twice", "empty", "old"]


def test_no_names_are_no_line(sessions: Sessions, data: Path) -> None:
    out(sessions("delete", "5", "4", "3", "2", "1", "--yes"))
    assert out(sessions("--names")) == out(sessions("--json")) == ""
    assert "there are no conversations yet" in sessions().stderr


@pytest.mark.parametrize("words", [[], ["list"], ["--json"], ["--names"]])
def test_looking_where_nothing_is_leaves_no_file(words: list[str], sessions: Sessions, tmp_path: Path) -> None:
    done = sessions(*words, data=tmp_path / "new")
    assert (done.returncode, done.stdout) == (0, "") and "there are no conversations yet" in done.stderr
    assert not (tmp_path / "new").exists()


def test_what_was_said(sessions: Sessions) -> None:
    assert out(sessions("show", "diary")) == (
        f"> My cat is\n> called Zibo.\n\nA lovely name.\n\n> {ESCAPE}And now?\n\nIt is Monday.\n"
    )
    assert out(sessions("show", "5", "--last", "1")) == "It is Monday.\n"
    assert out(sessions("show", "old")) == "> Hello\n\nHi.\n"
    assert out(sessions("show", "empty")) == ""


def test_a_terminal_is_shown_nothing_that_it_obeys(data: Path, ptys: type) -> None:
    pty: Pty = ptys(sys.executable, "-m", "rgmlx", "sessions", "show", "diary", "--data", str(data))
    pty.wait("It is Monday.")
    assert pty.end() == 0
    assert b"\x1b]0" not in pty.raw and "\ufffd]0;pwned\ufffdAnd now?" in pty.text


def test_an_export_is_that_of_the_chat(sessions: Sessions, data: Path, tmp_path: Path) -> None:
    with Store(data) as store:
        markdown, exported = store.import_export.markdown(5), store.import_export.to_json(5)
    assert out(sessions("export", "diary")) == out(sessions("export", "diary", "-o", "-")) == markdown
    assert out(sessions("export", "diary", "--json")) == f"{exported}\n"
    for name, option, text in [("d.md", [], markdown), ("d.JSON", [], exported), ("d.txt", ["--json"], exported)]:
        place = tmp_path / name
        assert out(sessions("export", "diary", *option, "-o", str(place))) == ""
        assert place.read_text() == text and stat.S_IMODE(place.stat().st_mode) == 0o600
    with Store(tmp_path / "other") as store:
        assert store.import_export.from_json((tmp_path / "d.txt").read_text()).title == "diary"


# --- changes ------------------------------------------------------------------------------


def test_rename(sessions: Sessions, data: Path) -> None:
    assert out(sessions("rename", "diary", " My diary ")) == ""
    assert out(sessions("rename", "4", "second")) == ""
    assert out(sessions("rename", "twice", "first")) == ""
    assert out(sessions("rename", "first", "first")) == ""
    assert titles(data) == ["My diary", "second", "first", "empty", "old"]


def test_delete(sessions: Sessions, data: Path) -> None:
    assert out(sessions("delete", "diary", "5", "old", "--yes")) == ""
    assert titles(data) == ["twice", "twice", "empty"]
    with Store(data) as store:
        assert {one.title for one in store.conversations.deleted()} == {"diary", "old"}  # which /undelete finds


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("YES", False), ("", True), ("n", True), ("yeah", True)])
def test_delete_asks_on_a_terminal(
    answer: str, left: bool, sessions: Sessions, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(slave))
    os.write(master, f"{answer}\n".encode())
    done = sessions("delete", "diary", "old")
    os.close(master)
    assert done.stderr.startswith("Delete “diary”, “old”? [y/N] ") and not done.stdout
    assert done.returncode == int(left) and ("nothing was deleted" in done.stderr) == left
    assert ("diary" in titles(data)) == left


def test_what_is_open_elsewhere_is_read_and_renamed_and_not_deleted(sessions: Sessions, data: Path) -> None:
    with Store(data) as store:
        lock = store.lock(5)
        assert lock is not None
        with lock:
            assert "It is Monday." in out(sessions("show", "diary"))
            assert "“diary” is open in another program: close it there first" in refused(
                sessions("delete", "old", "diary", "--yes")
            )
            assert out(sessions("rename", "diary", "journal")) == ""
    assert titles(data) == ["journal", "twice", "twice", "empty", "old"], "all or none"


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and not done.stdout and done.stderr.count("\n") == 1
    return str(done.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nope"], "there is no conversation “nope”: rgmlx sessions lists those there are"),
        (["show", "99"], "there is no conversation “99”"),
        (["show", ""], "there is no conversation “”"),
        (["show", "\udce9"], "the name is not UTF-8 text"),
        (["show", "٣"], "there is no conversation “٣”"),
        (["show", f"a{ESCAPE}"], "“a\ufffd]0;pwned\ufffd”"),
        (["export", "twice"], "there are 2 conversations “twice”: give the number of one, :4, :3"),
        (["delete", "twice", "--yes"], "there are 2 conversations “twice”"),
        (["delete", "diary", "nope", "--yes"], "there is no conversation “nope”"),
        (["delete", "diary"], "nobody can be asked here whether to delete “diary”: add --yes"),
        (["rename", "diary", "old"], "there is a conversation “old” already: choose another name"),
        (["rename", "diary", " "], "1 to 200 characters on one line"),
        (["rename", "nope", "x"], "there is no conversation “nope”"),
        (["export", "diary", "-o", "PLACE/x.txt"], "should end in .md (to read) or .json (to import)"),
        (["export", "diary", "-o", "PLACE"], "is a folder: add the name of a file"),
        (["export", "diary", "-o", "PLACE/nowhere/x.md"], "There is no folder"),
    ],
)
def test_what_is_refused(words: list[str], said: str, sessions: Sessions, data: Path, tmp_path: Path) -> None:
    before = titles(data)
    found = refused(sessions(*(word.replace("PLACE", str(tmp_path)) for word in words)))
    assert said in found.replace(f"{Path(sys.executable).parent}/", "")
    assert titles(data) == before


@pytest.mark.parametrize("words", [["show", "x"], ["rename", "x", "y"], ["delete", "x", "--yes"], ["export", "x"]])
def test_where_there_are_none(words: list[str], sessions: Sessions, tmp_path: Path) -> None:
    assert "there are no conversations yet" in refused(sessions(*words, data=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [["nope"], ["show"], ["rename", "x"], ["delete"], ["show", "x", "--last", "0"]])
def test_a_wrong_command_line(words: list[str], sessions: Sessions) -> None:
    assert sessions(*words).returncode == 2
