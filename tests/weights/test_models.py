"""Which models are here, and downloads from a real server on this machine: counted, stopped, gone on with."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rooms
from hub_server import COMMIT, CONFIG, NAME, Handler, Hub, Large, make, oid, point_to, repository, weights
from waiting import PATIENCE, wait_for

from rgmlx.errors import ConfigError, ModelNotFoundError, RgmlxError
from rgmlx.weights.catalog import Installed, examine, list_models
from rgmlx.weights.download import Cancelled, Download


def ignore(done: int, total: int) -> None:
    pass


# --- what is here -------------------------------------------------------------------------


def listed(*extra: Path) -> dict[str, Installed]:
    models = list_models(extra)
    assert len({m.name for m in models}) == len(models)
    return {m.name: m for m in models}


def test_an_empty_computer_has_the_demo(home: Path) -> None:
    (demo,) = list_models()
    assert (demo.name, demo.bits, demo.window, demo.kind, demo.complete, demo.problem) == (
        *("demo", "4-bit", 2047, "34.7M", True),
        "",
    )
    assert demo.size == sum(p.stat().st_size for p in demo.path.iterdir())


def test_models_in_the_usual_places(home: Path, tmp_path: Path) -> None:
    there = [make(home / "models" / "a"), make(home / "work" / "b"), make(tmp_path / "other" / "c")]
    data = home / ".local" / "share" / "rgmlx" / "models" / "d"
    if sys.platform == "linux":
        there.append(make(data, {**CONFIG, "quantization": {"bits": 6, "group_size": 64}}))
    (home / "work" / "loop").symlink_to(home / "work" / "loop")
    (home / "work" / "b" / "loop").symlink_to(home / "work" / "b" / "loop")
    (home / "work" / "again").symlink_to(home / "models" / "a")  # one model, one line
    found = listed(tmp_path / "other", tmp_path / "other" / "c", tmp_path / "nowhere")
    assert set(found) - {"demo"} == {str(p) for p in there} - {str(home / "models" / "a")} | {
        str(home / "work" / "again")
    }
    b = found[str(home / "work" / "b")]
    assert (b.bits, b.window, b.complete, b.problem, b.kind) == ("f32", 8, True, "", "35,680")
    assert b.size == sum(p.stat().st_size for p in b.path.iterdir() if p.name != "loop")
    if sys.platform == "linux":
        assert found[str(data)].bits == "6-bit"


def test_other_things_are_not_models(home: Path) -> None:
    work = home / "work"
    make(work / "llama", {**CONFIG, "model_type": "llama"})
    (work / "code").mkdir()
    (work / "code" / "config.json").write_text(json.dumps(CONFIG))  # and no weights
    make(work / "huge")
    (work / "huge" / "config.json").write_text(json.dumps(CONFIG) + " " * 2_000_000)
    (work / "config.json").mkdir()
    (work / "pipe").mkdir()
    os.mkfifo(work / "pipe" / "config.json")  # reading it would wait for ever
    (work / "pipe" / "model.safetensors").touch()
    (work / "loop").symlink_to(work / "loop")
    assert list(listed()) == ["demo"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda p: (p / "config.json").write_text('{"model_type": "recurrent_gemma", '), "not valid JSON"),
        (lambda p: (p / "config.json").write_text(json.dumps(CONFIG | {"head_dim": "x"})), "head_dim"),
        (lambda p: (p / "model-00002-of-00002.safetensors").unlink(), "model-00002-of-00002.safetensors is missing"),
        (lambda p: (p / "model.safetensors.index.json").write_text("{"), "damaged"),
        (lambda p: (p / "model.safetensors.index.json").write_text('{"weight_map": {"a": 1}}'), "1 is missing"),
        (lambda p: (p / "model.safetensors.index.json").write_text('{"weight_map": {"a": []}}'), "damaged"),
        (lambda p: (p / "tokenizer.model").unlink(), "no tokenizer"),
    ],
    ids=range(7),
)
def test_a_damaged_model_says_what_is_wrong(home: Path, damage: Callable[[Path], object], says: str) -> None:
    path = make(home / "models" / "hurt", shards=2)
    assert not listed()[str(path)].problem
    damage(path)
    assert says in listed()[str(path)].problem
    assert says in examine(path).problem


def test_shards_without_an_index_and_weights_that_are_cut_off(home: Path) -> None:
    path = make(home / "models" / "hurt", shards=2)
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"metadata": {"total_size": 10_000_000}}))
    assert "cut off" in examine(path).problem
    index.unlink()
    assert examine(path).complete
    (path / "model-00002-of-00002.safetensors").unlink()
    assert "1 of 2 .safetensors" in examine(path).problem and not examine(path).complete


def test_examining_what_is_no_model(home: Path) -> None:
    for path in (home, home / "nowhere", Path("nul\0byte"), Path("a" * 5000)):
        with pytest.raises(ModelNotFoundError, match="holds no RecurrentGemma") as caught:
            examine(path)
        assert len(str(caught.value)) < 400


def test_a_directory_that_may_not_be_read_and_one_that_is_gone(home: Path) -> None:
    make(home / "models" / "good")
    (home / "models" / "secret").mkdir(mode=0)
    gone = home / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert "demo" in listed()


def test_listing_needs_no_mlx(home: Path) -> None:
    code = "import sys, rgmlx.weights.catalog as m, rgmlx.weights.download; m.list_models(); assert 'mlx.core' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=rooms.ROOT).returncode == 0


# --- downloads ----------------------------------------------------------------------------


def test_a_download_counts_its_bytes_and_is_listed(server: Hub, home: Path) -> None:
    download = Download(NAME)
    plan = download.plan()
    wanted = {n: b for n, b in server.files.items() if n not in ("README.md", "pytorch_model.bin")}
    assert {f.name for f in plan.files} == set(wanted)
    assert plan.total == sum(map(len, wanted.values()))
    assert plan.here == len(server.files["config.json"]) and plan.missing == plan.total - plan.here
    counted: list[tuple[int, int]] = []
    path = download.run(lambda done, total: counted.append((done, total)))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == wanted
    assert counted[0] == (plan.here, plan.total) and counted[-1] == (plan.total, plan.total)
    assert [d for d, _ in counted] == sorted(d for d, _ in counted)
    model = listed()[NAME]
    assert (model.complete, model.problem, model.cached, model.path) == (True, "", True, path)
    assert model.size == plan.total
    assert download.plan().missing == 0
    server.asked.clear()
    download.run(ignore)
    assert not [a for a in server.asked if a.startswith("GET") and "/resolve/" in a]  # nothing twice


def test_stopping_takes_effect_at_once_and_the_rest_is_fetched_later(server: Any, home: Path) -> None:
    last = sorted(weights(server), key=lambda n: len(server.files[n]))[-1]
    held, go_on, stop = threading.Event(), threading.Event(), threading.Event()

    def hold(name: str, at: int) -> None:
        if name == last and at >= 20 * 1024:  # a server that falls silent
            held.set()
            go_on.wait(2 * PATIENCE)

    server.hold = hold
    counted: list[int] = []

    def stop_when_held() -> None:
        held.wait(PATIENCE)
        half = repository(home) / "blobs" / f"{oid(server.files[last])}.incomplete"
        wait_for(lambda: half.exists() and half.stat().st_size)  # some of it has been written
        stop.set()

    threading.Thread(target=stop_when_held, daemon=True).start()
    with pytest.raises(Cancelled, match="what was fetched is kept") as caught:
        Download(NAME).run(lambda done, _: counted.append(done), stop.is_set)
    assert NAME in str(caught.value) and held.is_set()
    half = repository(home) / "blobs" / f"{oid(server.files[last])}.incomplete"
    size = half.stat().st_size
    assert 0 < size < len(server.files[last])
    model = listed()[NAME]
    assert not model.complete and "goes on where it was" in model.problem and model.size > size

    server.hold = None
    go_on.set()  # what the server had still to send must not get into the file
    server.sent.clear()
    plan = Download(NAME).plan()
    assert plan.here == plan.total - len(server.files[last]) + size
    path = Download(NAME).run(ignore)
    assert (path / last).read_bytes() == server.files[last]
    assert not half.exists() and listed()[NAME].complete
    assert set(server.sent) == {last}
    # The first connection may have sent what was left of its answer.
    assert server.sent[last] <= 2 * (len(server.files[last]) - size) + 1024
    assert f"GET /{NAME}/resolve/{COMMIT}/{last}" in server.asked


def test_stopping_before_the_server_has_said_anything(server: Any, home: Path) -> None:
    go_on = threading.Event()
    server.hold = lambda name, at: go_on.wait(2 * PATIENCE)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(Cancelled):
        Download(NAME).plan(stop.is_set)
    assert not go_on.is_set(), "the server is still silent: nobody waited for it"
    go_on.set()


def test_a_broken_connection_is_gone_on_with(server: Any, home: Path) -> None:
    server.cut = 10 * 1024
    path = Download(NAME).run(ignore)
    assert {n: (path / n).read_bytes() for n in weights(server)} == weights(server)
    assert server.cut == 0
    total = sum(map(len, weights(server).values()))
    assert total <= sum(server.sent[n] for n in weights(server)) < total + 3 * 1024


def test_a_server_that_can_not_send_parts(server: Any, home: Path) -> None:
    name, body = max(weights(server).items(), key=lambda x: len(x[1]))
    half = repository(home) / "blobs" / f"{oid(body)}.incomplete"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"not what the server has")
    server.RequestHandlerClass = Handler
    counted: list[int] = []
    path = Download(NAME).run(lambda done, _: counted.append(done))
    assert (path / name).read_bytes() == body
    assert counted[-1] == Download(NAME).plan().total == max(counted)


def test_a_part_longer_than_its_file(server: Any, home: Path) -> None:
    name, body = max(weights(server).items(), key=lambda x: len(x[1]))
    half = repository(home) / "blobs" / f"{oid(body)}.incomplete"
    half.parent.mkdir(parents=True)
    half.write_bytes(body + b"more")
    counted: list[int] = []
    path = Download(NAME).run(lambda done, _: counted.append(done))
    assert (path / name).read_bytes() == body and counted == sorted(counted)


def test_a_file_that_was_whole_when_the_power_went(server: Any, home: Path) -> None:
    name, body = max(weights(server).items(), key=lambda x: len(x[1]))
    part = repository(home) / "blobs" / f"{oid(body)}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(body)
    assert (Download(NAME).run(ignore) / name).read_bytes() == body
    assert name not in server.sent and not part.exists()


def test_a_file_that_arrives_damaged_is_thrown_away(server: Any, home: Path) -> None:
    server.RequestHandlerClass = Large
    name, body = max(weights(server).items(), key=lambda x: len(x[1]))
    half = repository(home) / "blobs" / f"{hashlib.sha256(body).hexdigest()}.incomplete"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"#" * 5000)  # a disk's mistake
    with pytest.raises(ModelNotFoundError, match=f"{name} of {NAME} arrived damaged"):
        Download(NAME).run(ignore)
    assert half.stat().st_size == 0
    assert (Download(NAME).run(ignore) / name).read_bytes() == body


def test_two_programs_do_not_write_one_file(server: Any, home: Path) -> None:
    small = min((b for n, b in server.files.items() if n == "tokenizer.model"), key=len)
    half = repository(home) / "blobs" / f"{oid(small)}.incomplete"
    half.parent.mkdir(parents=True)
    with half.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RgmlxError, match="another program is downloading"):
            Download(NAME).run(ignore)
    assert Download(NAME).run(ignore).is_dir()


# --- refusals -----------------------------------------------------------------------------


def test_another_model_is_refused_before_its_weights(server: Any, home: Path) -> None:
    server.files["config.json"] = json.dumps(CONFIG | {"model_type": "llama"}).encode()
    with pytest.raises(ConfigError, match=rf"^{NAME}: config.json: model_type is 'llama'"):
        Download(NAME).run(ignore)
    assert not [a for a in server.asked if "safetensors" in a]


@pytest.mark.parametrize("without", ["config.json", ".safetensors"])
def test_a_repository_that_lacks_something(server: Any, home: Path, without: str) -> None:
    server.files = {n: b for n, b in server.files.items() if not n.endswith(without)}
    with pytest.raises(ModelNotFoundError, match=f"{NAME} holds no {without}"):
        Download(NAME).run(ignore)


@pytest.mark.parametrize(
    ("where", "status", "code", "says"),
    [
        ("/resolve/", 403, "GatedRepo", "is gated: accept its licence .*rgmlx login"),
        ("GET /griff/tiny/resolve/0123456789abcdef0123456789abcdef01234567/model", 401, "GatedRepo", "is gated"),
        ("/resolve/", 404, "RepoNotFound", "no repository"),
        ("/tree/", 400, "", "error 400"),
        ("safetensors", 500, "", "error 500"),
    ],
)
def test_refusals_are_sentences(server: Any, home: Path, where: str, status: int, code: str, says: str) -> None:
    server.refuse = [(where, status, code)]
    with pytest.raises(ModelNotFoundError, match=says) as caught:
        Download(NAME).run(ignore)
    assert "\n" not in str(caught.value)


def test_no_network(home: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(closed, monkeypatch)
    with pytest.raises(ModelNotFoundError, match="connect to the network"):
        Download(NAME).plan()


def test_a_network_that_fails_in_the_middle(server: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rgmlx.weights.download._FAILURES", 2)

    def hold(name: str, at: int) -> None:
        if name.endswith(".safetensors") and at >= 4096:
            raise ConnectionAbortedError

    server.hold = hold
    server.handle_error = lambda *_: None
    with pytest.raises(ModelNotFoundError, match=r"can't be reached .* what was fetched is kept"):
        Download(NAME).run(ignore)
    assert any(p.stat().st_size for p in repository(home).glob("blobs/*.incomplete"))


@pytest.mark.parametrize("name", ["nope", "demo", "a/b/c", "", "https://huggingface.co/a/b", "a b/c"])
def test_no_repository_has_such_a_name(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="write owner/name"):
        Download(name)


def test_a_disk_without_room(server: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, 10))
    with pytest.raises(RgmlxError, match="does not fit on the disk"):
        Download(NAME).run(ignore)
    assert not [a for a in server.asked if "safetensors" in a]


LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))\n"
    "from rgmlx.weights.download import Download\n"
    "try: Download(sys.argv[1]).run(lambda *_: None)\n"
    "except Exception as e: print(e)"
)


def test_a_disk_that_fills_up_on_the_way(server: Any, home: Path) -> None:
    """A file-size limit makes the write fail for real, with EFBIG."""
    env = os.environ | {"HF_ENDPOINT": server.url, "HF_HUB_CACHE": str(home / "cache")}
    out = subprocess.run(
        [sys.executable, "-c", LIMITED, NAME], env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert f"{NAME} does not fit on the disk (File too large)" in out.stdout and out.stderr == ""
    assert max(p.stat().st_size for p in repository(home).glob("blobs/*")) == 40_000
    server.sent.clear()
    path = Download(NAME).run(ignore)
    assert {n: (path / n).read_bytes() for n in weights(server)} == weights(server)
    assert sum(server.sent.values()) < sum(map(len, weights(server).values()))
