"""C17. A leading ~ is the home directory wherever a file or directory is named, and names need not be UTF-8."""

from __future__ import annotations

import ast
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from rooms import ROOT
from test_plain import GatedSession, talk

import rgmlx
from rgmlx import cli
from rgmlx.convert import recipe, text
from rgmlx.convert.open import open_source
from rgmlx.convert.pipeline import Job, run
from rgmlx.errors import PathError, RgmlxError
from rgmlx.griffin.config import ModelConfig
from rgmlx.store import Store
from rgmlx.system.paths import expanded, is_utf8
from rgmlx.weights.catalog import list_models
from rgmlx.weights.hub import demo_directory, is_repository, named
from tui.cli import _run
from tui.cli import parser as rgchat_parser
from tui.prompt.files import complete, expand
from tui.screens.model_rows import rows as model_rows

BAD = os.fsdecode(b"caf\xe9")
TEXT = "A fox lived in a den near the old river, and shared some honey with a bear. " * 8


class Place:
    """A home with a model and files in it, and an empty directory that one is in."""

    def __init__(self, home: Path, name: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.capsys, self.monkeypatch = home, capsys, monkeypatch
        self.name = name
        self.directory = home / name if name else home
        self.directory.mkdir(exist_ok=True)
        c = checkpoints.config(vocab_size=8192)
        self.model_directory = checkpoints.write(home / "plain", c, checkpoints.weights(c))
        shutil.copy(demo_directory() / "tokenizer.model", self.model_directory)
        if name:
            self.model_directory.rename(self.directory / "model")
        else:
            self.model_directory.rename(home / "model")
        self.model = rgmlx.load(self.path("model"))
        self.file("text.txt", TEXT)
        self.file("recipe.toml", "default = 8")

    def tilde(self, name: str) -> str:
        return f"~/{self.name}/{name}" if self.name else f"~/{name}"

    def path(self, name: str) -> Path:
        return self.directory / name

    def file(self, name: str, content: str) -> None:
        self.path(name).write_text(content)

    def chat(self) -> rgmlx.Chat:
        chat = self.model.chat(temperature=0)
        list(chat.send("Hello", max_tokens=2))
        return chat

    def rgmlx(self, *arguments: str) -> str:
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        out = self.capsys.readouterr()
        if left.value.code:
            raise RgmlxError(out.err)
        return out.out

    def rgchat(self, *arguments: str, said: str = "") -> str:
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.encode())))
        code = _run(rgchat_parser().parse_args(["--plain", *arguments]))
        out = self.capsys.readouterr()
        if code:
            raise RgmlxError(out.err + out.out)
        return out.out


def state(at: Place, name: str) -> None:
    made = at.model.new_state()
    at.model.logits([[2, 5, 6]], made)
    made.save(at.tilde(name))
    assert at.path(name).is_file()
    assert rgmlx.State.load(at.tilde(name), at.model).position == 3


def chat(at: Place, name: str) -> None:
    at.chat().save(at.tilde(name))
    assert at.path(name).is_file()
    assert rgmlx.Chat.load(at.tilde(name), at.model).turns[0].text == "Hello"


def store(at: Place, name: str) -> None:
    with Store(at.tilde(name)) as made:
        made.conversations.create("demo", "A title")
    with Store(at.path(name)) as again:
        assert [one.title for one in again.conversations.listed()] == ["A title"]


def config(at: Place, name: str) -> None:
    assert ModelConfig.from_file(at.tilde("model/config.json")).vocab_size == 8192


def loaded(at: Place, name: str) -> None:
    assert rgmlx.load(at.tilde("model")).directory == at.path("model")


def source(at: Place, name: str) -> None:
    assert open_source(at.tilde("model")).directory == at.path("model")


def ask(at: Place, name: str) -> None:
    out = "--output", at.tilde(name)
    assert not at.rgmlx(
        "ask", "Hello", "--max-tokens", "2", "--model", at.tilde("model"), "-f", at.tilde("text.txt"), *out
    )
    assert at.path(name).read_text()


def info(at: Place, name: str) -> None:
    assert "8,192" in at.rgmlx("info", at.tilde("model"))


def converted(at: Place, name: str) -> None:
    options = ("--model", at.tilde("model"), "--mlx-path", at.tilde(name), "--recipe", at.tilde("recipe.toml"))
    options += ("--calibrate", at.tilde("text.txt"), "--text", at.tilde("text.txt"), "--tokenizer", at.tilde("model"))
    at.rgmlx("convert", *options)
    assert rgmlx.load(at.path(name)).config.vocab_size == 8192


def job(at: Place, name: str) -> None:
    list(run(Job(at.tilde("model"), Path(at.tilde(name)), recipe.RECIPES["8bit"], verify=False), lambda *_: None))
    assert (at.path(name) / "config.json").is_file()


def compared(at: Place, name: str) -> None:
    assert "equal" in at.rgmlx("compare", at.tilde("model"), at.tilde("model"), "--text", at.tilde("text.txt"))


def texts(at: Place, name: str) -> None:
    assert text.from_file(at.tilde("text.txt")) == TEXT
    assert recipe.load(at.tilde("recipe.toml")).default == recipe.settings(8)


def plain_data(at: Place, name: str) -> None:
    at.rgchat("--data", at.tilde(name), "--model", "demo", said="")
    assert (at.path(name) / "chats.db").is_file()


def plain_open(at: Place, name: str) -> None:
    at.chat().save(at.path("x.rgstate"))
    out = at.rgchat("--data", str(at.home / "d"), "--model", at.tilde("model"), "--open", at.tilde("x.rgstate"))
    assert "You: Hello" in out


def commands(at: Place, name: str) -> None:
    """/export, /import, /save and /open; only what is UTF-8 can be typed."""
    typed = f"/export {at.tilde('a.json')}\n/export {at.tilde('a.md')}\n/import {at.tilde('a.json')}\n"
    out = talk(GatedSession(at.home / "data"), f"hello\n{typed}", at.capsys)
    assert out.count("Written: ") == 2 and "hello" in out.rpartition("Going on with")[2]
    assert at.path("a.json").is_file() and at.path("a.md").is_file()
    out = at.rgchat(
        *("--data", str(at.home / "d"), "--model", "demo", "--temperature", "0"),
        said=f"Hello\n/save {at.tilde('a.rgstate')}\n/new\n/open {at.tilde('a.rgstate')}\n",
    )
    assert at.path("a.rgstate").is_file() and "You: Hello" in out.rpartition("new conversation")[2]


def mention(at: Place, name: str) -> None:
    assert TEXT in expand(f"read @{at.tilde('text.txt')}").text
    assert at.tilde("text.txt") in complete(at.tilde("te")).paths


USES: list[Callable[[Place, str], None]] = [
    state,
    chat,
    store,
    config,
    loaded,
    source,
    ask,
    info,
    converted,
    job,
    compared,
    texts,
    plain_data,
    plain_open,
    commands,
    mention,
]


@pytest.fixture
def begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Place]:
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.chdir(here)
    return lambda name: Place(tmp_path / "home", name, capsys, monkeypatch)


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_c17_a_tilde_is_the_home(begin: Callable[[str], Place], use: Callable[[Place, str], None]) -> None:
    use(begin(""), "made")
    assert os.listdir(".") == []  # such as a directory called ~


@pytest.mark.parametrize(
    "use", [u for u in USES if u not in (plain_open, commands, mention)], ids=lambda use: use.__name__
)
def test_c17_names_that_are_not_utf_8(begin: Callable[[str], Place], use: Callable[[Place, str], None]) -> None:
    """Each works, or is one sentence that tells to rename it."""
    use(begin(BAD), "made")
    assert os.listdir(".") == []


def test_c17_files_whose_own_names_are_not_utf_8(begin: Callable[[str], Place]) -> None:
    at = begin("")
    for use in (state, chat, store, converted):
        use(at, f"{BAD}{use.__name__}")


def test_c17_a_chat_names_models_in_utf_8(begin: Callable[[str], Place]) -> None:
    """A conversation notes its model's name, and a database can't hold another one."""
    at = begin(BAD)
    with pytest.raises(RgmlxError, match="is not UTF-8, which a conversation can't keep: rename the directory"):
        at.rgchat("--data", str(at.home / "d"), "--model", str(at.path("model")), said="Hello\n")
    found = [m for m in list_models([at.directory]) if m.path == at.path("model")]
    assert ["rename" in m.problem for m in found] == [True]
    assert model_rows(found)[0].problem


def test_c17_a_saved_chat_from_a_name_that_is_not_utf_8(begin: Callable[[str], Place]) -> None:
    at = begin("")
    at.chat().save(at.path(f"{BAD}.rgstate"))
    out = at.rgchat("--data", str(at.home / "d"), "--model", at.tilde("model"), "--open", at.tilde(f"{BAD}.rgstate"))
    assert "You: Hello" in out


@pytest.mark.parametrize("user", ["nobody-is-called-this", "nobody-is-called-this/x"])
def test_c17_the_home_of_nobody_is_a_sentence(begin: Callable[[str], Place], user: str) -> None:
    at, name = begin(""), f"~{user}"
    uses: list[Callable[[], object]] = [
        lambda: at.model.new_state().save(name),
        lambda: rgmlx.State.load(name, at.model),
        lambda: at.chat().save(name),
        lambda: rgmlx.Chat.load(name, at.model),
        lambda: Store(name),
        lambda: rgmlx.load(name),
        lambda: at.rgmlx("convert", "--model", at.tilde("model"), "--mlx-path", name),
        lambda: at.rgmlx("ask", "Hello", "-f", name),
        lambda: at.rgmlx("ask", "Hello", "-o", name),
        lambda: at.rgmlx("sessions", "--data", name),
        lambda: at.rgchat("--data", name),
        lambda: at.rgchat("--open", name),
    ]
    for use in uses:
        with pytest.raises(RgmlxError, match=r"there is no (user|model) '~?nobody-is-called-this"):
            use()
    assert not is_repository(name) and expand(f"@{name} hello").text == f"@{name} hello"
    assert os.listdir(".") == []


def test_c17_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)  # as where neither HOME nor the user is known
    with pytest.raises(PathError, match="HOME is not set"):
        expanded("~/x")
    assert expanded("a~") == Path("a~") and expanded("./~") == Path("~")


def test_c17_one_function_expands() -> None:
    """Nothing else in the program does, but for what shows a path with ~ in it."""
    shown = {"tui/screens/model_rows.py"}
    found = set()
    for path in [*(ROOT / "rgmlx").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]:
        names = [n.attr for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Attribute)]
        if "expanduser" in names:
            found.add(path.relative_to(ROOT).as_posix())
    assert found == {"rgmlx/system/paths.py", *shown}


def test_c17_names_that_are_compared() -> None:
    assert is_utf8(Path("café")) and not is_utf8(Path(BAD))
    assert named("~/x", Path.home() / "x") == "~/x"
