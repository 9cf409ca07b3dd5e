"""For tests: a repository of Hugging Face as Google publishes one, in 16 bits and in shards, and who is asked about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import numpy as np
import pytest
from hub_server import Handler, Hub, Large

from rgmlx.convert import text
from rgmlx.convert.obtain import Access
from rgmlx.weights.hub import demo_directory

CONFIG = checkpoints.config(
    hidden_size=64,
    lru_width=64,
    head_dim=64,
    intermediate_size=256,
    num_attention_heads=1,
    vocab_size=8192,
    torch_dtype="bfloat16",
)
SHARDS = [f"model-{i}-of-00003.safetensors" for i in ("00001", "00002", "00003")]
INDEX = "model.safetensors.index.json"

TOKEN = "hf_abcDEF0123456789"


class Gated(Large):
    """Lets in who has a token of somebody in `server.let_in`, as Hugging Face does with gated repositories."""

    server: Any

    def do_GET(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if "/resolve/" in self.path and self.server.users.get(token) not in self.server.let_in:
            self.server.asked.append(f"{self.command} {self.path}")
            status = 403 if token in self.server.users else 401
            Handler.reply(self, status, X_Error_Code="GatedRepo", X_Error_Message="no")
        elif token and token not in self.server.users:
            Handler.reply(self, 401, X_Error_Message="Invalid credentials in Authorization header")
        else:
            super().do_GET()

    do_HEAD = do_GET


def place(name: str) -> int:
    """The shard that a tensor is in: the embedding, the first two blocks, the rest."""
    if name.startswith("model.embed_tokens"):
        return 0
    return 1 if name.startswith(("model.layers.0.", "model.layers.1.")) else 2


def publish(server: Hub, directory: Path, tensors: Mapping[str, np.ndarray] | None = None) -> Hub:
    """Has a server offer a random model, whose large files have a SHA-256."""
    directory.mkdir()
    tensors = checkpoints.weights(CONFIG) if tensors is None else tensors
    index = {}
    for number, file in enumerate(SHARDS):
        part = {n: mx.array(w).astype(mx.bfloat16) for n, w in tensors.items() if place(n) == number}
        mx.save_safetensors(str(directory / file), part)
        index |= dict.fromkeys(part, file)
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (directory / "config.json").write_text(json.dumps(CONFIG))
    server.files = {path.name: path.read_bytes() for path in directory.iterdir()}
    for name in ("tokenizer.model", "tokenizer_config.json", "generation_config.json"):
        server.files[name] = (demo_directory() / name).read_bytes()
    server.files["README.md"] = b"a card"
    server.RequestHandlerClass = Large
    server.handle_error = anything  # of programs that were killed
    return server


def are_here(server: Hub, file: str) -> bool:
    """Whether all shards before a file were sent to their ends."""
    before = SHARDS[: SHARDS.index(file)] if file in SHARDS else []
    return all(server.sent.get(name, 0) >= len(server.files[name]) for name in before)


def sums(directory: Path) -> dict[str, str]:
    """The files of a directory, by their SHA-256."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


class Talk:
    """Answers as it was told to, and keeps what was said."""

    def __init__(self, *answers: str | None, delete: bool = False) -> None:
        self.answers, self.deletes = list(answers), delete
        self.lines: list[str] = []
        self.shown: list[tuple[str, int, int]] = []
        self.missing: list[Access] = []
        self.offered: list[int] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, what: str, done: int, total: int) -> None:
        self.shown.append((what, done, total))

    def access(self, missing: Access) -> str | None:
        self.missing.append(missing)
        return self.answers.pop(0)

    def delete(self, repository: str, size: int) -> bool:
        self.offered.append(size)
        return self.deletes

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def anything(*_: Any) -> None:
    """Of no interest."""


@pytest.fixture
def offered(server: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A server with a model in three shards, and a place for a token of ours."""
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(text, "budget", lambda config: 64)  # the result is compared with its source on so many tokens
    return publish(server, home / "published")
