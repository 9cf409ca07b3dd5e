"""A Hugging Face of our own: a real server on this machine, which serves one repository or fails as they do."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import checkpoints
import pytest
from waiting import PATIENCE

NAME = "griff/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = checkpoints.config()


class Hub(ThreadingHTTPServer):
    """Serves one repository as huggingface.co does, or fails as it does.

    Attributes:
        refuse: (part of a path, status, error code) of the requests to refuse; the first that fits.
        asked: "METHOD path" of every request.
        tokens: what each came with to say who it is from.
        users: who each token belongs to; others are not known.
        models: what a search can find: all that Hugging Face knows of each.
        queries: of every search.
        found: the answer to a search in place of the list.
        hold, cut, sent: see `Ranged`.
    """

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {p.name: p.read_bytes() for p in directory.iterdir()}
        self.refuse: list[tuple[str, int, str]] = []
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.users: dict[str, str] = {}
        self.models: list[dict[str, Any]] = [listed(NAME, files=list(self.files))]
        self.queries: list[dict[str, list[str]]] = []
        self.found: bytes | None = None
        self.hold: Callable[[str, int], None] | None = None
        self.cut = 0
        self.sent: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.server.asked.append(f"{self.command} {path}")
        self.server.tokens.append(token or None)
        for part, status, code in self.server.refuse:
            if part in f"{self.command} {path}":
                self.reply(status, **({"X_Error_Code": code, "X_Error_Message": "no"} if code else {}))
                return
        hint = {"X_HF_Warning": "unauthenticated; You are sending unauthenticated requests, set a HF_TOKEN"}
        if path == "/api/whoami-v2":
            known = self.server.users.get(token)
            self.reply(200 if known else 401, json.dumps({"name": known, "type": "user"}).encode() if known else b"")
        elif path == "/api/models":
            query = parse_qs(urlsplit(self.path).query)
            self.server.queries.append(query)
            self.reply(200, self._found(query), Content_Type="application/json; charset=utf-8")
        elif path == f"/api/models/{NAME}/revision/main":
            self.reply(200, json.dumps({"id": NAME, "sha": COMMIT, "tags": []}).encode(), **hint)
        elif path == f"/api/models/{NAME}/tree/{COMMIT}":
            rows = [{"type": "file", "path": n, "size": len(b), "oid": oid(b)} for n, b in self.server.files.items()]
            self.reply(200, json.dumps(rows).encode(), Content_Type="application/json")
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/") and (body := self.server.files.get(path.split("/")[-1])):
            self.reply(200, body, ETag=f'"{oid(body)}"', X_Repo_Commit=COMMIT)
        else:
            self.reply(404, X_Error_Code="EntryNotFound")

    def _found(self, query: dict[str, list[str]]) -> bytes:
        """A search as Hugging Face answers it: a list, of each model what was asked for and what nobody asks for."""
        if self.server.found is not None:
            return self.server.found
        (words,), limit = query.get("search", [""]), int(query.get("limit", ["1000"])[0])
        fits = [
            one
            for one in self.server.models
            if words.lower() in one["id"].lower() and set(query.get("filter", [])) <= set(one["tags"])
        ]
        if query.get("sort") == ["downloads"]:
            fits.sort(key=lambda one: -one["downloads"])
        keys = {"_id", "id", *query.get("expand", [])}
        return json.dumps([{k: v for k, v in one.items() if k in keys} for one in fits[:limit]]).encode()

    do_HEAD = do_GET


def listed(
    name: str,
    *,
    files: Sequence[str] = ("config.json", "model.safetensors", "tokenizer.json"),
    parameters: Mapping[str, int] | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """What Hugging Face knows of a model, as far as it is of interest. `config`: what is other there."""
    parameters = {"BF16": 1000} if parameters is None else parameters
    known = {"architectures": ["RecurrentGemmaForCausalLM"], "model_type": "recurrent_gemma", "tokenizer_config": {}}
    known |= config or {}
    return {
        "_id": hashlib.sha1(name.encode("utf-8", "surrogatepass")).hexdigest()[:24],
        "id": name,
        "config": known,
        "downloads": 10,
        "gated": False,
        "private": False,
        "disabled": False,
        "safetensors": {"parameters": dict(parameters), "total": sum(parameters.values())},
        "siblings": [{"rfilename": file} for file in files],
        "tags": ["transformers", "safetensors", str(known["model_type"]), "text-generation", *tags],
        **more,
    }


def oid(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A server with a random checkpoint, and a file that nobody needs."""
    source = checkpoints.write(tmp_path / "source", CONFIG, checkpoints.weights(CONFIG), shards=2)
    (source / "README.md").write_text("a card")
    (source / "pytorch_model.bin").write_bytes(b"\0" * 1000)
    server = Hub(source)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed() -> str:
    """An endpoint where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


class Ranged(Handler):
    """Serves parts of files, as Hugging Face's servers do.

    The server's `hold` is called with a file's name and the bytes sent of it, before every further kilobyte; its `cut`
    is the number of bytes after which a connection breaks, once; `sent` counts the bytes of each file.
    """

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        name = self.path.split("?")[0].split("/")[-1]
        if status != 200 or "resolve" not in self.path or self.command == "HEAD":
            super().reply(status, body, **headers)
            return
        start = 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            assert 0 < start < len(body)
        self.send_response(206 if start else 200)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        for at in range(start, len(body), 1024):
            if self.server.hold:
                self.server.hold(name, at)
            if self.server.cut and at - start >= self.server.cut and name.endswith(".safetensors"):
                self.server.cut = 0
                self.close_connection = True
                return
            try:
                self.wfile.write(body[at : at + 1024])
            except OSError:  # the client has had enough
                self.close_connection = True
                return
            sent = self.server.sent
            sent[name] = sent.get(name, 0) + len(body[at : at + 1024])


class Large(Ranged):
    """Lists the weights as large files, whose hash is a SHA-256."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        name = self.path.split("?")[0].split("/")[-1]
        if "/tree/" in self.path and status == 200:
            rows = json.loads(body)
            for row in rows:
                if row["path"].endswith(".safetensors"):
                    oid = hashlib.sha256(self.server.files[row["path"]]).hexdigest()
                    row["lfs"] = {"oid": oid, "size": row["size"], "pointerSize": 100}
            body = json.dumps(rows).encode()
        elif name.endswith(".safetensors") and status == 200:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        super().reply(status, body, **headers)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A computer of our own: a home directory, a working directory and a Hugging Face cache, all empty.

    Not in pytest's directory, the name of which is too long for a line of the screen.
    """
    for name in [n for n in os.environ if "proxy" in n.lower() or n.startswith("HF_")]:
        monkeypatch.delenv(name)
    place = Path(tempfile.mkdtemp(prefix="house"))
    (place / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.chdir(place / "work")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_DOWNLOAD_TIMEOUT", 2 * PATIENCE)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def point_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this is Hugging Face."""
    from huggingface_hub.utils import close_session

    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    close_session()  # its connections go to a server of another test


@pytest.fixture
def server(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hugging Face that can be slow; at the end, no download is left running."""
    hub.RequestHandlerClass = Ranged
    # A listing names every hash; the test's repository has a tokenizer, as a model that chats does.
    hub.files["tokenizer.model"] = b"spm"
    point_to(hub.url, monkeypatch)
    yield hub
    end = time.monotonic() + 10
    while [t for t in threading.enumerate() if t.name.startswith("download ")]:
        assert time.monotonic() < end, "a download outlived its test"
        time.sleep(0.05)


def weights(server: Any) -> dict[str, bytes]:
    return {n: b for n, b in server.files.items() if n.endswith(".safetensors")}


def repository(home: Path) -> Path:
    return home / "cache" / f"models--{NAME.replace('/', '--')}"


def make(directory: Path, config: dict[str, Any] | None = None, shards: int = 1, tokenizer: bool = True) -> Path:
    checkpoints.write(directory, config or CONFIG, checkpoints.weights(CONFIG), shards)
    if tokenizer:
        (directory / "tokenizer.model").write_bytes(b"spm")
    return directory
