"""B15. Every file that comes from outside is a regular one of bounded size, whichever argument has named it.

A table of all file arguments times all things that are no such file. Each ends at once in one sentence that names the
file; what would wait for ever without the check (a pipe, a device) is stopped by an alarm.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import checkpoints
import pytest
from rooms import ROOT
from waiting import PATIENCE

import rgmlx
from rgmlx.cli.material import message
from rgmlx.convert import recipe, text
from rgmlx.convert.open import open_source
from rgmlx.convert.pipeline import Job, run
from rgmlx.errors import RgmlxError
from rgmlx.generation.sampling import recommended
from rgmlx.griffin.config import ModelConfig
from rgmlx.store import Store
from rgmlx.system import reading
from rgmlx.system.textfiles import read_text
from rgmlx.tokenizer import Tokenizer
from rgmlx.weights.catalog import list_models
from rgmlx.weights.checkpoint import INDEX, weight_files
from rgmlx.weights.hub import demo_directory
from tui import cli
from tui.prompt.files import expand
from tui.settings import settings


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError("it waits for a file")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(PATIENCE))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# --- what is no file ----------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def missing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def unreadable(path: Path) -> None:
    path.touch()
    path.chmod(0)


def listening(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's name is short
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path.name)
    os.chdir(here)


KINDS = (pipe, zeros, directory, loop, dangling, missing, empty, listening)


# --- what reads files ---------------------------------------------------------------------


def model(place: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A small checkpoint with a tokenizer, in which one file is what `make` makes."""
    c = checkpoints.config(vocab_size=8192)
    where = checkpoints.write(place / "model", c, checkpoints.weights(c))
    shutil.copy(demo_directory() / "tokenizer.model", where)
    (where / name).unlink(missing_ok=True)
    make(where / name)
    return where


def in_a_model(name: str, read: Callable[[Path], object]) -> Callable[[Path, Callable[[Path], None]], None]:
    return lambda place, make: void(read(model(place, name, make)))


def named(name: str, read: Callable[[Path], object]) -> Callable[[Path, Callable[[Path], None]], None]:
    def use(place: Path, make: Callable[[Path], None]) -> None:
        make(place / name)
        void(read(place / name))

    return use


def void(_: object) -> None: ...


def mention(path: Path) -> None:
    found = expand(f"read @{path}")
    if found.problems:
        raise RgmlxError(found.problems[0])


def toml(path: Path) -> None:
    if problems := settings.load(path)[1]:
        raise RgmlxError(problems[0])


def converted(path: Path, **options: str) -> None:
    source = path.parent / "source"
    c = checkpoints.config(vocab_size=8192)
    checkpoints.write(source, c, checkpoints.weights(c))
    shutil.copy(demo_directory() / "tokenizer.model", source)
    list(run(Job(str(source), path.parent / "out", recipe.RECIPES["4bit"], **options), lambda *_: None))  # type: ignore[arg-type]


READERS: dict[str, Callable[[Path, Callable[[Path], None]], None]] = {
    "config.json": in_a_model("config.json", rgmlx.load),
    "config.json, to convert": in_a_model("config.json", open_source),
    "the weights": in_a_model("model.safetensors", rgmlx.load),
    "the weights, to convert": in_a_model("model.safetensors", open_source),
    "the index": in_a_model(INDEX, rgmlx.load),
    "tokenizer.model": in_a_model("tokenizer.model", Tokenizer.from_directory),
    "tokenizer.json": named("tokenizer.json", lambda path: Tokenizer.from_directory(path.parent)),
    "generation_config.json": in_a_model("generation_config.json", recommended),
    "a .pt file": named("2b.pt", open_source),
    "a recipe in TOML": named("recipe.toml", lambda path: recipe.load(str(path))),
    "a recipe in JSON": named("recipe.json", lambda path: recipe.load(str(path))),
    "--text": named("text.txt", lambda path: text.rows(text.from_file(str(path)), Tokenizer(TOKENIZER), 9)),
    "--calibrate": named("text.txt", lambda path: converted(path, calibrate=str(path))),
    "--tokenizer": named("tokenizer.model", lambda path: converted(path, tokenizer=str(path.parent))),
    "State.load": named("a.rgstate", lambda path: rgmlx.State.load(path, DEMO())),
    "Chat.load": named("a.rgstate", lambda path: rgmlx.Chat.load(path, DEMO())),
    "ModelConfig.from_file": named("config.json", ModelConfig.from_file),
    "@file": named("notes.txt", mention),
    "-f": named("notes.txt", lambda path: message(["Why?"], [str(path)])),
    "/import": named("chat.json", lambda path: imported(read_text(path))),
    "rgchat.toml": named("rgchat.toml", toml),
    "--open": named("a.rgstate", cli._checked),
}
TOKENIZER = demo_directory() / "tokenizer.model"
FINE = {
    # What is not there is left out; an empty text is one.
    *((name, missing) for name in ("the index", "tokenizer.model", "tokenizer.json", "generation_config.json")),
    *(("rgchat.toml", kind) for kind in (missing, dangling, empty)),
    ("@file", empty),
    ("--open", empty),  # it is refused when it is read
}


def DEMO() -> rgmlx.Model:
    if not _demo:
        _demo.append(rgmlx.load("demo"))
    return _demo[0]


_demo: list[rgmlx.Model] = []


def imported(text: str) -> None:
    with tempfile.TemporaryDirectory() as place, Store(place) as store:
        store.import_export.from_json(text)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("reader", READERS)
def test_b15_only_regular_files_are_read(tmp_path: Path, reader: str, kind: Callable[[Path], None]) -> None:
    if (reader, kind) in FINE:
        READERS[reader](tmp_path, kind)
        return
    with pytest.raises(RgmlxError) as raised:
        READERS[reader](tmp_path, kind)
    assert str(tmp_path) in str(raised.value) or kind in (empty, missing, dangling)
    assert "\n" not in str(raised.value)


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A place of its own for one who may not read everything, as root may."""
    root = os.geteuid() == 0
    DEMO()
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        if root:
            os.seteuid(65534)
        try:
            yield Path(place)
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize("reader", READERS)
def test_b15_a_file_that_may_not_be_read(nobody: Path, reader: str) -> None:
    with pytest.raises(RgmlxError, match=r"[Pp]ermission|may not be read"):
        READERS[reader](nobody, unreadable)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", INDEX])
def test_b15_a_settings_file_of_any_size_takes_no_memory(tmp_path: Path, name: str) -> None:
    """A sparse file of a terabyte."""
    where = model(tmp_path, name, lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 10**12))
    with pytest.raises(RgmlxError, match=rf"{name} can't be read: it is larger than \d+ MB"):
        rgmlx.load(where)
    with pytest.raises(RgmlxError, match="larger than 1 MB"):
        ModelConfig.from_file(_filled(tmp_path / "config.json", reading.MAX_SETTINGS + 1))


def _filled(path: Path, size: int) -> Path:
    path.write_text(json.dumps(checkpoints.config()).ljust(size))
    return path


def test_b15_a_config_of_a_million_bytes_is_read(tmp_path: Path) -> None:
    assert ModelConfig.from_file(_filled(tmp_path / "config.json", reading.MAX_SETTINGS)).vocab_size == 64


def test_b15_a_file_that_becomes_a_pipe_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the name and the opening: the open descriptor is looked at, too."""
    path = tmp_path / "config.json"
    os.mkfifo(path)
    real, regular = os.stat, os.stat(__file__)
    monkeypatch.setattr(os, "stat", lambda p, *a, **k: regular if p == path else real(p, *a, **k))
    with pytest.raises(reading.NotRegular):
        reading.open_regular(path)


@pytest.mark.parametrize("shards", [1, 3])
def test_b15_apple_double_files_are_skipped(tmp_path: Path, shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS writes `._NAME` beside each file on a disk that knows no resource forks."""
    c = checkpoints.config(vocab_size=8192)
    where = checkpoints.write(tmp_path / "model", c, checkpoints.weights(c), shards)
    (where / INDEX).unlink(missing_ok=True)
    shutil.copy(TOKENIZER, where)
    for file in list(where.iterdir()):
        (where / f"._{file.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert [p.name[0] for p in weight_files(where)] == ["m"] * shards
    assert open_source(where).kind == "Hugging Face" and rgmlx.load(where).config.vocab_size == 8192
    monkeypatch.chdir(tmp_path)
    found = [m for m in list_models() if m.path == where]
    assert [(m.complete, m.problem) for m in found] == [(True, "")]
    only = tmp_path / "only"
    only.mkdir()
    (only / "._model.safetensors").write_bytes(b"\0\5\x16\7")
    with pytest.raises(RgmlxError, match="no weights"):
        open_source(only)


def test_b15_one_function_opens_every_file_from_outside() -> None:
    """Nothing else in the program opens a file for reading, but for its own files and those that it writes."""
    own = {
        "rgmlx/system/reading.py": "open_regular itself",
        "rgmlx/convert/text.py": "the built-in text",
        "rgmlx/weights/parts.py": "what it has downloaded",
        "rgmlx/weights/removal.py": "the revision that the cache of the hub has",
        "rgmlx/system/memory.py": "/proc/meminfo",
        "rgmlx/verification/selfcheck.py": "the kernels, and its own notes",
        "rgmlx/kernels/launch.py": "the kernels",
        "rgmlx/conversation/metrics.py": "/proc/self/statm",
        "tui/prompt/history.py": "its own file, which it looks at first",
    }
    found = set()
    for path in [*(ROOT / "rgmlx").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]:
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        if any(map(_reads_a_file, calls)):
            found.add(path.relative_to(ROOT).as_posix())
    assert found - set(own) == set()
    assert set(own) - found == set(), "these need no exception any more"


def _reads_a_file(call: ast.Call) -> bool:
    """Whether this is `path.read_text()`, `path.read_bytes()`, or an `open` with a mode for reading, or with none."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in ("read_text", "read_bytes"):
        return isinstance(function, ast.Attribute) and ast.unparse(function.value) != "reading"
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if name != "open" or (isinstance(function, ast.Attribute) and ast.unparse(function.value) == "os"):
        return False
    return any(mode.startswith("r") for mode in modes) or (isinstance(function, ast.Name) and len(call.args) == 1)
