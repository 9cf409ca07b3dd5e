"""From a name to a directory, with a real Hugging Face client talking to a real server on this machine.

Every download runs in a process of its own with a cache of its own. A failure must be one sentence
on stderr, exit code 1, and nothing else: no traceback, no progress bar, no retry chatter.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import warm
from hub_server import COMMIT, CONFIG, NAME, Hub
from waiting import PATIENCE

import rgmlx
from rgmlx.errors import ModelNotFoundError
from rgmlx.weights.hub import demo_directory, resolve

# --- names --------------------------------------------------------------------------------


def test_demo_is_the_embedded_model() -> None:
    assert resolve("demo") == demo_directory()
    assert (demo_directory() / "config.json").is_file()


def test_a_directory_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(tmp_path) == resolve(str(tmp_path)) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert resolve("~/models/mine") == tmp_path / "models" / "mine"
    # A directory wins over a repository of the same name.
    monkeypatch.chdir(tmp_path)
    assert resolve("models/mine") == Path("models/mine")


def test_a_file_is_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.touch()
    for name in (path, str(path)):
        with pytest.raises(ModelNotFoundError, match="is a file: name the directory"):
            resolve(name)


@pytest.mark.parametrize(
    "name",
    [
        *("nope", "/no/such/path", "./nope", "../nope/x", "~nobody-at-all/x", "", " ", "a/b/c", "a//b", "-x/y", "x/"),
        *(
            "https://huggingface.co/google/recurrentgemma-2b",
            "nul\0byte",
            "a" * 5000,
            "\U0001f98a",
            "a b/c",
            Path("a/b"),
        ),
    ],
    ids=repr,
)
def test_nonsense_is_refused_without_a_look_at_the_network(name: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(name)
    assert "there is no model" in str(caught.value) and "'demo'" in str(caught.value)


@pytest.mark.parametrize("name", ["2b", "9b"])
def test_a_shape_has_no_weights(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=f"rgmlx info {name}"):
        resolve(name)


def test_a_directory_named_like_a_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints.write(tmp_path / "2b", CONFIG, checkpoints.weights(CONFIG))
    assert rgmlx.load("2b").config.hidden_size == 32


# --- a real server, in hub_server ----------------------------------------------------------


LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))\n"
    "from rgmlx.cli import main; main(sys.argv[1:])"
)


def surroundings(tmp_path: Path, endpoint: str) -> dict[str, str]:
    """The environment of a process whose Hugging Face is our server, with an empty cache at first."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    return env | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "COLUMNS": "300"}


def info(tmp_path: Path, endpoint: str, *, name: str = NAME, limited: bool = False, **environment: str) -> Any:
    """`rgmlx info NAME` in a process of its own."""
    env = surroundings(tmp_path, endpoint) | environment
    start = ["-c", LIMITED] if limited else ["-m", "rgmlx"]
    return warm.run([*start, "info", name], env=env, timeout=PATIENCE)


def sentence(out: Any) -> str:
    """The one line of a failed command."""
    assert out.returncode == 1, out.stderr
    assert out.stdout == ""
    assert out.stderr.startswith("rgmlx: ") and out.stderr.endswith("\n") and out.stderr.count("\n") == 1, out.stderr
    return out.stderr


def cached(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "home" / "hub").glob(f"models--*/snapshots/{COMMIT}/*"))


def test_a_repository_is_downloaded_once_and_then_works_without_a_network(
    hub: Hub, tmp_path: Path, closed: str
) -> None:
    out = info(tmp_path, hub.url)
    assert out.returncode == 0, out.stderr
    assert NAME in out.stdout and "35,680" in out.stdout
    assert out.stderr == ""  # no progress bar where nobody watches, and no hint of the server's
    # Only what a model needs.
    assert cached(tmp_path) == [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    fetched = [a for a in hub.asked if a.startswith("GET") and "/resolve/" in a]
    assert len(fetched) == 4 and not any("README" in a or ".bin" in a for a in fetched)

    hub.asked.clear()
    assert info(tmp_path, hub.url).stdout == out.stdout
    assert not [a for a in hub.asked if a.startswith("GET") and "/resolve/" in a]
    for again in (
        info(tmp_path, closed),
        info(tmp_path, closed, HF_HUB_OFFLINE="1"),
        info(tmp_path, hub.url, HF_HUB_OFFLINE="1"),
    ):
        assert (again.returncode, again.stdout, again.stderr) == (0, out.stdout, "")
    hub.refuse = [("revision", 500, "")]
    assert info(tmp_path, hub.url).stdout == out.stdout


def test_a_downloaded_model_loads(hub: Hub, tmp_path: Path) -> None:
    env = surroundings(tmp_path, hub.url)
    code = f"import rgmlx; m = rgmlx.load('{NAME}'); print(m.logits([[1, 2, 3]]).sum().item()); print(m.directory)"
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    total, directory = out.stdout.split()
    here = rgmlx.load(tmp_path / "source").logits([[1, 2, 3]])
    assert float(total) == pytest.approx(here.sum().item(), rel=1e-6)
    assert directory.startswith(str(tmp_path / "home"))


@pytest.mark.parametrize("where", ["/api/models", "/resolve/"])
@pytest.mark.parametrize("status", [401, 403])
def test_gated(hub: Hub, tmp_path: Path, where: str, status: int) -> None:
    """Hugging Face lets everybody list a gated repository, and refuses the files."""
    hub.refuse = [(where, status, "GatedRepo")]
    said = sentence(info(tmp_path, hub.url))
    assert f"{NAME} is gated" in said and f"https://huggingface.co/{NAME}" in said and "rgmlx login" in said


@pytest.mark.parametrize(("status", "code"), [(404, "RepoNotFound"), (401, "RepoNotFound"), (401, "")])
def test_unknown_repository(hub: Hub, tmp_path: Path, status: int, code: str) -> None:
    hub.refuse = [("/api/models", status, code)]
    said = sentence(info(tmp_path, hub.url, name="griff/nope"))
    assert "no repository 'griff/nope' that you may read" in said and "check the name" in said


@pytest.mark.parametrize(
    ("where", "status"), [("/revision/", 500), ("/revision/", 503), ("GET /griff/tiny/resolve", 500)]
)
def test_server_error(hub: Hub, tmp_path: Path, where: str, status: int) -> None:
    hub.refuse = [(where, status, "")]
    said = sentence(info(tmp_path, hub.url))
    assert f"error {status}" in said and "try again later" in said


def test_no_network(tmp_path: Path, closed: str) -> None:
    said = sentence(info(tmp_path, closed))
    assert "not in the local cache" in said and "connect to the network" in said


def test_offline_without_a_copy(hub: Hub, tmp_path: Path) -> None:
    said = sentence(info(tmp_path, hub.url, HF_HUB_OFFLINE="1"))
    assert "not in the local cache" in said and "HF_HUB_OFFLINE" in said
    assert hub.asked == []


def test_a_name_that_no_repository_can_have(hub: Hub, tmp_path: Path) -> None:
    assert "'griff/a--b' is not a name" in sentence(info(tmp_path, hub.url, name="griff/a--b"))


def test_a_repository_without_a_model(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"README.md": b"a card"}
    assert "holds no config.json" in sentence(info(tmp_path, hub.url))


def test_a_full_disk_and_then_the_rest(hub: Hub, tmp_path: Path) -> None:
    """A file-size limit makes the write fail for real, with EFBIG."""
    said = sentence(info(tmp_path, hub.url, limited=True))
    assert f"{NAME} does not fit on the disk (File too large)" in said and "free some space" in said
    left = {p.name: p.stat().st_size for p in (tmp_path / "home").rglob("*") if p.is_file()}
    assert max(left.values()) < 40_000 and not any(n.endswith(".incomplete") for n in left)
    out = info(tmp_path, hub.url)
    assert out.returncode == 0, out.stderr
    assert len(cached(tmp_path)) == 4


def test_a_cache_that_cannot_be_written(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in the way")
    assert f"{NAME} could not be downloaded" in sentence(info(tmp_path, hub.url))


def test_progress_is_shown_on_a_terminal(hub: Hub, tmp_path: Path) -> None:
    """Where somebody watches, the library's bars and hints are let through."""
    env = surroundings(tmp_path, hub.url) | {"TERM": "xterm"}
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-m", "rgmlx", "info", NAME], env=env, stdout=subprocess.DEVNULL, stderr=slave
    )
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(master)
    assert process.wait(PATIENCE) == 0
    assert b"Fetching" in shown
