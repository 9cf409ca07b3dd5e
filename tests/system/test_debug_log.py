"""`RGMLX_LOG=debug`: each error's cause is in the log, be it hidden or not; who begins one, and what is in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import pytest
import warm
from hub_server import NAME, point_to
from piped import ROOT, environment
from stores import say
from waiting import PATIENCE

import rgmlx
from rgmlx import errors
from rgmlx.convert import recipe
from rgmlx.convert import text as calibration
from rgmlx.convert.open import open_source
from rgmlx.diagnosis import doctor
from rgmlx.errors import RgmlxError
from rgmlx.kernels import launch
from rgmlx.store import Store
from rgmlx.system import cache, debug_log, textfiles, variables
from rgmlx.verification import parity, selfcheck
from rgmlx.weights import checkpoint
from rgmlx.weights.download import Download
from tui.settings import settings


def model(place: Path) -> Path:
    c = checkpoints.config()
    return checkpoints.write(place / "model", c, checkpoints.weights(c))


def bad_config(place: Path) -> None:
    (place / "config.json").write_text('{"a": }')
    rgmlx.ModelConfig.from_file(place / "config.json")


def missing_config(place: Path) -> None:
    rgmlx.load(place)


def config_that_is_none(place: Path) -> None:
    (place / "config.json").mkdir()
    rgmlx.ModelConfig.from_file(place / "config.json")


def damaged_header(place: Path) -> None:
    path = model(place) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[8:20] = b"{" * 12
    path.write_bytes(data)
    rgmlx.load(path.parent)


def weights_that_are_a_pipe(place: Path) -> None:
    path = model(place) / "model.safetensors"
    path.unlink()
    os.mkfifo(path)
    open_source(path.parent)


def damaged_index(place: Path) -> None:
    (model(place) / "model.safetensors.index.json").write_text("[")
    checkpoint.weight_files(place / "model")


def bad_tokenizer(place: Path) -> None:
    (model(place) / "tokenizer.model").write_bytes(b"spm")
    rgmlx.load(place / "model")


def bad_state(place: Path) -> None:
    path = place / "x.rgstate"
    path.write_bytes((10).to_bytes(8, "little") + b"no header.")
    rgmlx.State.load(path, rgmlx.load())


def bad_recipe(place: Path) -> None:
    (place / "r.toml").write_text("a = [")
    recipe.load(str(place / "r.toml"))


def text_that_is_none(place: Path) -> None:
    (place / "t.txt").write_bytes(b"caf\xe9")
    calibration.from_file(str(place / "t.txt"))


def store_in_a_file(place: Path) -> None:
    (place / "data").write_text("")
    Store(place / "data" / "deeper")


def damaged_store(place: Path) -> None:
    with Store(place / "data"):
        pass
    (place / "data" / "chats.db").write_bytes(b"hello " * 1000)
    with Store(place / "data"):
        raise RgmlxError("it was made anew")


def damage_met_later(place: Path) -> None:
    with Store(place / "data") as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, *["some text " * 50] * 200)
    with Store(place / "data") as store:
        path = place / "data" / "chats.db"
        path.write_bytes(path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096))
        store._database.rows("PRAGMA shrink_memory")
        store.messages.tree(chat.id)


def damaged_export(place: Path) -> None:
    with Store(place / "data") as store:
        store.import_export.from_json('{"rgmlx": ')


def missing_export(place: Path) -> None:
    textfiles.read_text(place / "none.json")


def bad_settings(place: Path) -> None:
    (place / "rgchat.toml").write_text("theme = ")
    raise RgmlxError(settings.load(place / "rgchat.toml")[1][0])


def settings_in_latin(place: Path) -> None:
    (place / "rgchat.toml").write_bytes(b'system = "caf\xe9"')
    raise RgmlxError(settings.load(place / "rgchat.toml")[1][0])


def no_place_to_remember(place: Path) -> None:
    (place / "file").write_text("")
    cache.write(place / "file" / "x.json", {"a": 1}, 5)
    raise RgmlxError("nothing is remembered")


PROVOKED: dict[Callable[[Path], None], tuple[str, str]] = {
    bad_config: ("json.decoder.JSONDecodeError: Expecting value", "parse_json: return json.loads(text)"),
    missing_config: ("FileNotFoundError: No such file or directory: ", "open_regular: "),
    config_that_is_none: ("rgmlx.system.reading.NotRegular: it is a directory, not a file: ", "_check: "),
    damaged_header: ("json.decoder.JSONDecodeError: ", "read_header: header = json.loads(text)"),
    weights_that_are_a_pipe: ("rgmlx.system.reading.NotRegular: it is a pipe or a device", "open_regular: "),
    damaged_index: ("json.decoder.JSONDecodeError: ", "parse_json: "),
    bad_tokenizer: ("RuntimeError", "rgmlx/tokenizer.py:"),
    bad_state: ("json.decoder.JSONDecodeError: ", "read_header: header = json.loads(text)"),
    bad_recipe: ("tomllib.TOMLDecodeError: ", "load: data = tomllib.loads(text)"),
    text_that_is_none: ("rgmlx.system.decoding.NotText", "rgmlx/system/decoding.py:"),
    store_in_a_file: ("NotADirectoryError: Not a directory: ", "rgmlx/store/"),
    damaged_store: ("sqlite3.DatabaseError [SQLITE_NOTADB]: file is not a database", "rgmlx/store/database/"),
    damage_met_later: ("[SQLITE_CORRUPT]: database disk image is malformed", "rgmlx/store/database/"),
    damaged_export: ("json.decoder.JSONDecodeError: ", "rgmlx/store/import_export.py:"),
    missing_export: ("FileNotFoundError: No such file or directory: ", "rgmlx/system/textfiles.py:"),
    bad_settings: ("tomllib.TOMLDecodeError: Invalid value", "_parse: return tomllib.loads(text)"),
    settings_in_latin: ("rgmlx.system.decoding.NotText: not UTF-8 text: ", "rgmlx/system/decoding.py:"),
    no_place_to_remember: ("x.json is not remembered\nFileExistsError: File exists: ", "path.parent.mkdir("),
}


@pytest.mark.parametrize("provoke", PROVOKED, ids=lambda provoke: provoke.__name__)
def test_a_cause_is_in_the_log(provoke: Callable[[Path], None], log: Path, tmp_path: Path) -> None:
    """The sentence, the error that it was made of, and the line of code where that came from."""
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RgmlxError) as caught:
        provoke(place)
    text = log.read_text()
    cause, line = PROVOKED[provoke]
    assert type(caught.value).__name__ in text and str(caught.value).partition(":")[0] in text, text
    assert cause in text and line in text.partition(cause)[2], text


def test_a_download_that_fails(log: Path, home: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(closed, monkeypatch)
    with pytest.raises(RgmlxError, match="can't be reached"):
        Download(NAME).plan()
    text = log.read_text()
    assert (
        "can't be reached" in text
        and re.search(r"because of http\w+\.ConnectError: .*refused\n", text)
        and "_look: here = " in text
    ), text


def test_what_became_of_an_error_of_ours_refers_to_it(log: Path) -> None:
    try:
        try:
            json.loads("{")
        except ValueError:
            raise errors.ConfigError("no JSON") from None
    except RgmlxError as e:
        outer = errors.ChatError(f"this can't be opened: {e}")
    text = log.read_text()
    assert outer.logged == 2 and "number 2: rgmlx.errors.ChatError: this can't be opened: no JSON\n" in text
    assert "because of rgmlx.errors.ConfigError: no JSON (number 1, above)" in text
    assert text.count("JSONDecodeError") == 1


def test_what_is_done_is_in_it(log: Path) -> None:
    model = rgmlx.load()
    with Store(log.parent / "data", snapshot_bytes=1) as store:
        chat = store.conversations.create("demo", "A chat")
        (message, other) = say(store, chat, None, "q", "a")
        store.snapshots.budget = 10**9
        state = model.new_state()
        model.logits([[5, 6]], state)
        size = store.snapshots.put(message, state)
        store.snapshots.budget = size
        model.logits([[7]], state)
        store.snapshots.put(other, state)
    text = log.read_text()
    assert re.search(r" rgmlx\.model: \S+demo is loaded: float32, \w+[\w ]*, \d+\.\d\d s\n", text), text
    assert re.search(rf" the state after message {message} is kept: \d+ bytes\n", text), text
    assert re.search(rf" \d states give way to a budget of {size} bytes\n", text), text


def test_a_download_that_is_asked_for_again(server: Any, log: Path) -> None:
    server.cut = 10 * 1024
    Download(NAME).run(lambda done, total: None)
    asked = r"\.safetensors is asked for again, from byte [\d,]+ of [\d,]+\nhttp\w+\.RemoteProtocolError: peer closed"
    assert re.search(asked, log.read_text()), log.read_text()


def test_a_check_of_the_kernels(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(case: parity.Case) -> float:
        return {}[0] if case.kernel == "conv" else 0.0

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(selfcheck, "_here", {})
    monkeypatch.setattr(launch, "backend", lambda: "metal")
    monkeypatch.setattr(parity.Case, "error", error)
    try:
        with pytest.warns(errors.RgmlxWarning):
            selfcheck.ensure(rgmlx.ModelConfig.from_dict(checkpoints.config()), mx.float32)
    finally:
        launch.switch(True)
    text = log.read_text()
    assert re.search(r"rgmlx\.errors: the kernel conv\b.* failed\nKeyError", text), text
    assert re.search(r"kernels of metal in mlx\.core\.float32: the kernel conv.* failed on this machine", text), text


def test_a_log_that_can_not_be_written_is_a_warning_of_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug_log, "begin", lambda: "the log can't be written")
    with pytest.warns(errors.RgmlxWarning, match="the log can't be written"):
        rgmlx.load()


# --- who begins it ------------------------------------------------------------------------


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return warm.run(arguments, env=environment(home) | variables, timeout=PATIENCE)


def test_commands_and_the_library_write_where_conversations_are(tmp_path: Path) -> None:
    path = tmp_path / "rgmlx" / "rgchat" / debug_log.NAME
    none = str(tmp_path / "none")
    done = run(tmp_path, "-m", "rgmlx", "info", none)
    assert done.returncode == 1 and not path.exists()  # off
    run(tmp_path, "-m", "rgmlx", "info", none, RGMLX_LOG="debug")
    assert "ModelNotFoundError" in path.read_text()
    run(tmp_path, "-c", f"import rgmlx; rgmlx.load({none!r})", RGMLX_LOG="DEBUG")
    assert path.read_text().count("number 1: rgmlx.errors.ModelNotFoundError") == 2


def test_a_program_that_logs_shows_nothing_of_it(tmp_path: Path) -> None:
    code = "import logging; logging.basicConfig(level=0); import rgmlx; rgmlx.load().generate('Hi', max_tokens=1)"
    done = run(tmp_path, "-c", code, RGMLX_LOG="debug")
    assert (done.returncode, done.stderr) == (0, "")
    assert "rgmlx.model:" in run(tmp_path, "-c", code).stderr  # as for any library


def test_off_it_is_not_even_imported() -> None:
    """Nor is `logging`, by a command line that does nothing yet."""
    code = "import rgmlx.cli; rgmlx.cli.parser(); from rgmlx.system import debug_log; debug_log.begin(); import sys"
    code += "; print(sorted({'logging', 'rgmlx.system.log_file', 'rgmlx.system.causes'} & set(sys.modules)))"
    env = {name: value for name, value in os.environ.items() if name != variables.LOG}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.stdout == "[]\n", done.stderr


def test_doctor_names_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = doctor.Section("Versions")
    doctor._versions(section)
    rows = dict(row.split(None, 1) for row in section.lines)
    assert rows["RGMLX_LOG"] == "debug" and re.fullmatch(rf"{re.escape(str(log))}, \d+ kB", rows["log"])
    shutil.rmtree(log.parent)
    section = doctor.Section("Versions")
    doctor._versions(section)
    assert not any(line.startswith("log ") for line in section.lines)
