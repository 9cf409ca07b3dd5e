"""`rgmlx convert --upload-repo`, with a real Hugging Face client talking to a server on this machine."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import warm
from macs import KEYCHAIN, Mac, mac
from waiting import PATIENCE

from rgmlx.system.macos import keychain

__all__ = ["mac"]

CONFIG = checkpoints.config(hidden_size=64, lru_width=64)
NAME = "griff/tiny-4bit"


class Hub(ThreadingHTTPServer):
    """Takes one commit of small files, as huggingface.co does; `refuse` answers everything with that status."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.refuse = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._answer(
            {"id": NAME, "sha": "0" * 40, "siblings": [], "private": False, "tags": [], "downloads": 0, "likes": 0}
        )

    def do_POST(self) -> None:
        self.server.tokens.add(str(self.headers.get("Authorization")))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.refuse:
            self._answer({"error": "no"}, self.server.refuse)
        elif self.path.endswith("/repos/create"):
            self._answer({"url": f"{self.server.url}/{NAME}", "id": NAME, "name": NAME})
        elif "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            self._answer({"files": files})
        elif "/commit/" in self.path:
            for line in filter(None, body.splitlines()):
                item = json.loads(line)
                if item["key"] == "file":
                    self.server.files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            self._answer(
                {"commitUrl": f"{self.server.url}/{NAME}/commit/0", "commitOid": "0" * 40, "pullRequestUrl": None}
            )
        else:
            self._answer({})

    def _answer(self, data: Any, status: int = 200) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def run(
    hub: Hub, tmp_path: Path, command: Sequence[str] | None = None, token: str = "hf_of_a_test"
) -> subprocess.CompletedProcess[str]:
    source = checkpoints.write(tmp_path / "source", CONFIG, checkpoints.weights(CONFIG))
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": token,
        "HF_HUB_OFFLINE": "0",
    }
    arguments = ["convert", "--model", str(source), "--mlx-path", str(tmp_path / "out"), "--no-verify"]
    arguments += ["--upload-repo", NAME]
    if command is None:
        return warm.run(["-m", "rgmlx", *arguments], env=environment, timeout=PATIENCE)
    return subprocess.run(
        [*command, *arguments],
        capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_all_files_arrive(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"uploaded: https://huggingface.co/{NAME}"
    assert hub.files == {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}


def test_it_comes_with_the_token_of_the_keychain(hub: Hub, mac: Mac, tmp_path: Path) -> None:
    """Where no variable has one."""
    mac.program("security", KEYCHAIN)
    assert keychain.write("hf_of_the_keychain")
    done = run(hub, tmp_path, mac.python("from rgmlx.cli import main; main()"), token="")
    assert done.returncode == 0, done.stderr
    assert hub.tokens == {"Bearer hf_of_the_keychain"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_one_sentence_and_the_result_stays(hub: Hub, tmp_path: Path, status: int) -> None:
    hub.refuse = status
    done = run(hub, tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"could not be uploaded to {NAME}" in done.stderr.splitlines()[-1]
    assert (tmp_path / "out" / "config.json").is_file()
