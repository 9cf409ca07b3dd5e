"""`rgmlx get` as it is typed: on a terminal, killed at every step, without a network, through proxies and mirrors."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import warm
from hub_server import NAME, Handler, Hub, Large
from ptys import Pty, ptys
from published import INDEX, SHARDS, are_here, publish, sums
from test_hub import sentence, surroundings
from waiting import PATIENCE, wait_for

import rgmlx
from rgmlx.cli import main
from rgmlx.convert.writer import partial

__all__ = ["ptys"]

TOKEN = "hf_abcDEF0123456789"
SHORT = """
import os, resource, signal, sys
import rgmlx.convert.run
from rgmlx.cli import main
from rgmlx.convert import pipeline, text, writer
from rgmlx.weights import removal
text.budget = lambda config: 64  # tokens that the result is compared on
rgmlx.convert.run.begin.__kwdefaults__["shard_bytes"] = 40_000  # several files, as of gigabytes
"""
DYING = """
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(place, name, times):
    real, count = getattr(place, name), 0
    def wrapped(*arguments, **options):
        nonlocal count
        count += 1
        result = real(*arguments, **options)
        if count == times:
            die()
        return result
    setattr(place, name, wrapped)

def while_removing(name, times):
    real = removal.remove
    def remove(repository):
        after(os, name, times)
        real(repository)
    removal.remove = remove

"""
STEPS = {
    "a tensor is written": 'after(writer.Shard, "write", 1)',
    "many tensors are written": 'after(writer.Shard, "write", 60)',
    "a file is finished": 'after(writer.Writer, "_note", 2)',
    "all but the comparison is done": "pipeline.verify = die",
    "the result is about to be put in place": "writer.Writer.publish = die",
    "the result is in place": 'after(writer.Writer, "publish", 1)',
    "a file of 16 bits is deleted": 'while_removing("unlink", 5)',
    "a folder of 16 bits is deleted": 'while_removing("rmdir", 1)',
}
"""What a program kills itself after, once the download is whole."""


def command(*arguments: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", f"{SHORT}{before}\nmain({['get', *arguments]})"]


def get(tmp_path: Path, endpoint: str, *arguments: str, before: str = "", **environment: str) -> Any:
    """`rgmlx get` in a process of its own, where nobody can be asked."""
    env = surroundings(tmp_path, endpoint) | {"HOME": str(tmp_path)} | environment
    return warm.run(command(*(arguments or [NAME]), before=before)[1:], env=env, timeout=PATIENCE)


def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny-4bit"


def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / "hub" / f"models--{NAME.replace('/', '--')}"


@pytest.fixture
def offered(hub: Hub, tmp_path: Path) -> Any:
    return publish(hub, tmp_path / "published")


_wanted: dict[str, str] = {}


@pytest.fixture
def wanted(offered: Hub, tmp_path: Path) -> dict[str, str]:
    """What an undisturbed run makes, once for all tests; nothing of that is left."""
    if not _wanted:
        out = get(tmp_path, offered.url)
        assert out.returncode == 0, out.stderr
        _wanted.update(sums(target(tmp_path)))
        shutil.rmtree(target(tmp_path))
        shutil.rmtree(tmp_path / "home")
    return _wanted


def test_it_ends_with_the_line_that_starts_the_chat(offered: Hub, tmp_path: Path) -> None:
    out = get(tmp_path, offered.url)
    assert out.returncode == 0, out.stderr
    *_, kept, ready = out.stdout.splitlines()
    assert ready.startswith("Ready. Talk to it:  ") and ready.endswith(f" --model {target(tmp_path)}")
    assert "rgchat" in ready and "--delete-original deletes them" in kept
    assert rgmlx.load(target(tmp_path)).config.quantization is not None
    again = get(tmp_path, offered.url, NAME, "--delete-original")
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == ready
    assert "Deleted the 16-bit files" in again.stdout and not cache(tmp_path).exists()


# --- killed, and run again ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "at"), [("config.json", 0), (INDEX, 0), (SHARDS[0], 0), (SHARDS[0], 500_000), (SHARDS[2], 40_000)]
)
def test_killed_while_it_downloads(file: str, at: int, wanted: dict[str, str], offered: Any, tmp_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(name: str, sent: int) -> None:
        if name == file and sent >= at and are_here(offered, file):
            reached.set()
            go_on.wait(2 * PATIENCE)

    offered.hold = hold
    env = surroundings(tmp_path, offered.url) | {"HOME": str(tmp_path)}
    process = subprocess.Popen(command(NAME), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert reached.wait(PATIENCE)
    if file == SHARDS[2]:  # what was there is converted
        wait_for(lambda: any(partial(target(tmp_path)).glob("*.safetensors")))
    process.kill()
    process.wait()
    offered.hold = None
    go_on.set()
    assert not target(tmp_path).exists()
    out = get(tmp_path, offered.url)
    assert out.returncode == 0, out.stderr
    assert sums(target(tmp_path)) == wanted


@pytest.mark.parametrize("step", list(STEPS))
def test_killed_after(step: str, wanted: dict[str, str], offered: Any, tmp_path: Path) -> None:
    """And then run as it was: the result is that of an unbroken run, and the 16-bit files are gone."""
    arguments = [NAME, "--delete-original"]
    killed = get(tmp_path, offered.url, *arguments, before=DYING + STEPS[step])
    assert killed.returncode == -signal.SIGKILL, (killed.stdout, killed.stderr)
    assert not target(tmp_path).exists() or sums(target(tmp_path)) == wanted
    offered.sent.clear()
    out = get(tmp_path, offered.url, *arguments)
    assert out.returncode == 0, out.stderr
    assert sums(target(tmp_path)) == wanted and not cache(tmp_path).exists()
    assert list(target(tmp_path).parent.iterdir()) == [target(tmp_path)]
    if "written" not in step and "finished" not in step:
        assert not set(SHARDS) & set(offered.sent), "all of it was here"


LIMITED = (
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))"
)


def test_a_disk_that_fills_up_on_the_way(wanted: dict[str, str], offered: Hub, tmp_path: Path) -> None:
    """A file-size limit makes the write fail for real, with EFBIG."""
    out = get(tmp_path, offered.url, before=LIMITED)
    assert out.returncode == 1 and f"{NAME} does not fit on the disk (File too large)" in out.stderr
    assert out.stderr.count("\n") == 1
    assert get(tmp_path, offered.url).returncode == 0
    assert sums(target(tmp_path)) == wanted


# --- networks -----------------------------------------------------------------------------


class Proxied(Large):
    """Is asked for addresses of `hub.invalid`, which only a proxy finds."""

    server: Any

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        assert parts.hostname == "hub.invalid"
        if self.server.locked and not self.headers.get("Proxy-Authorization"):
            Handler.reply(self, 407)
            return
        self.path = parts.path + (f"?{parts.query}" if parts.query else "")
        super().do_GET()

    do_HEAD = do_GET


def test_through_a_proxy(offered: Any, tmp_path: Path) -> None:
    offered.RequestHandlerClass, offered.locked = Proxied, True
    port = offered.server_port
    said = sentence(get(tmp_path, "http://hub.invalid", HTTP_PROXY=f"http://127.0.0.1:{port}"))
    assert (
        f"the proxy http://127.0.0.1:{port} wants a name and a password: set HTTP_PROXY to "
        f"http://NAME:PASSWORD@127.0.0.1:{port}" in said
    )
    out = get(tmp_path, "http://hub.invalid", HTTP_PROXY=f"http://anna:secret@127.0.0.1:{port}")
    assert out.returncode == 0, out.stderr
    assert target(tmp_path).is_dir()


def test_a_proxy_that_is_not_there(closed: str, offered: Hub, tmp_path: Path) -> None:
    """Nor is its password shown."""
    proxy = closed.replace("//", "//anna:secret@")
    said = sentence(get(tmp_path, offered.url, http_proxy=proxy))
    assert f"can't be reached through the proxy {closed}: connect to the network, correct or unset http_proxy" in said
    assert "secret" not in said


def test_a_mirror_that_is_not_there(closed: str, tmp_path: Path) -> None:
    said = sentence(get(tmp_path, closed))
    assert f"the mirror {closed} can't be reached: connect to the network, correct or unset HF_ENDPOINT" in said


def test_offline(offered: Hub, tmp_path: Path) -> None:
    said = sentence(get(tmp_path, offered.url, HF_HUB_OFFLINE="1"))
    assert "Hugging Face can't be reached: connect to the network, unset HF_HUB_OFFLINE" in said


def test_too_many_requests(offered: Hub, tmp_path: Path) -> None:
    offered.refuse = [("/tree/", 429, "")]
    said = sentence(get(tmp_path, offered.url, before="import time; time.sleep = lambda seconds: None"))
    assert "error 429" in said and "wait some minutes and run the same command again" in said


# --- on a terminal ------------------------------------------------------------------------


class Gated(Large):
    """Gives files to those who come with a token it knows."""

    def do_GET(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if "/resolve/" in self.path and token not in self.server.users:
            Handler.reply(self, 401, X_Error_Code="GatedRepo", X_Error_Message="no")
        else:
            super().do_GET()

    do_HEAD = do_GET


@pytest.fixture
def typed(
    offered: Hub, ptys: Callable[..., Pty], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Pty]:
    """Types `rgmlx get` into a terminal with a screen and a browser."""
    for name, value in surroundings(tmp_path, offered.url).items():
        monkeypatch.setenv(name, value)
    program = tmp_path / "bin" / ("open" if sys.platform == "darwin" else "xdg-open")
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("DISPLAY", ":0")
    return lambda *arguments: ptys(*command(*(arguments or [NAME])))


def test_from_the_terms_to_the_chat(offered: Any, typed: Callable[..., Pty], tmp_path: Path) -> None:
    offered.RequestHandlerClass, offered.users = Gated, {TOKEN: "anna"}
    pty = typed()
    pty.wait(f"https://huggingface.co/{NAME}")
    pty.wait("Open it in the browser? [Y/n] ")
    pty.send("\r")
    pty.wait("Token (it is not shown): ")
    pty.send("hf_not_this_one\r")
    pty.wait("does not know this token")
    pty.wait("Token (it is not shown): ")
    pty.send(f"{TOKEN}\r")
    pty.wait("Logged in to Hugging Face as anna.")
    pty.wait("are free")
    pty.wait("Delete the 16-bit files of griff/tiny, ")
    pty.send("y\r")
    pty.wait("Deleted the 16-bit files")
    pty.wait("Ready. Talk to it:")
    assert pty.end() == 0 and TOKEN not in pty.raw.decode()
    assert (tmp_path / "opened").read_text() == f"https://huggingface.co/{NAME}\n"
    assert rgmlx.load(target(tmp_path)).config.quantization is not None and not cache(tmp_path).exists()


def test_no_is_an_answer(offered: Any, typed: Callable[..., Pty], tmp_path: Path) -> None:
    """Also to a browser, and no token is one too."""
    offered.RequestHandlerClass, offered.users = Gated, {}
    pty = typed()
    pty.wait("Open it in the browser? [Y/n] ")
    pty.send("n\r")
    pty.wait("Token (it is not shown): ")
    pty.send("\x04")
    pty.wait("no token was given")
    assert pty.end() == 1 and not (tmp_path / "opened").exists()
    offered.RequestHandlerClass = Large
    pty = typed()
    pty.wait("[y/N] ")
    pty.send("\r")
    pty.wait("Ready. Talk to it:")
    assert pty.end() == 0 and cache(tmp_path).exists()


def test_ctrl_c_stops_it(wanted: dict[str, str], offered: Any, typed: Callable[..., Pty], tmp_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(name: str, sent: int) -> None:
        if name == SHARDS[1] and sent >= 50_000:
            reached.set()
            go_on.wait(2 * PATIENCE)

    offered.hold = hold
    pty = typed()
    pty.wait("downloading")
    assert reached.wait(PATIENCE)
    pty.send("\x03")
    pty.wait("stopped: what is here is kept, and the same command goes on from there")
    assert pty.end() == 130 and "Traceback" not in pty.text
    assert pty.raw.rfind(b"\x1b[?25h") > pty.raw.rfind(b"\x1b[?25l"), "the cursor is still hidden"
    offered.hold = None
    go_on.set()
    out = get(tmp_path, offered.url)
    assert out.returncode == 0, out.stderr
    assert sums(target(tmp_path)) == wanted


def test_a_wrong_number_of_bits_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["get", "2b", "--bits", "5"])
    assert ended.value.code == 2 and "4, 6, 8, 16" in capsys.readouterr().err
