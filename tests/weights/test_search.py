"""Searching for models on a Hugging Face of our own: what is offered, what is not, and what is said where that fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_server import NAME, Hub, closed, listed, point_to
from waiting import PATIENCE

from rgmlx.cli import main
from rgmlx.errors import ModelNotFoundError
from rgmlx.weights import search as module
from rgmlx.weights.parts import Cancelled
from rgmlx.weights.search import Published, search

__all__ = ["closed"]

OTHERS: list[dict[str, Any]] = [
    listed("meta/llama-recurrentgemma", config={"model_type": "llama"}, tags=["recurrent_gemma"]),
    listed("some/recurrentgemma-gguf", files=["recurrentgemma.gguf", "config.json"], tags=["gguf"]),
    listed("some/adapter", files=["config.json", "adapter_model.safetensors", "tokenizer.json"]),
    listed("some/no-tokenizer", files=["config.json", "model.safetensors"]),
    listed("some/no-config", files=["model.safetensors", "tokenizer.json"]),
    listed("some/parts-elsewhere", files=["config.json", "old/model.safetensors", "tokenizer.json"]),
    listed("some/gptq", config={"quantization_config": {"quant_method": "gptq", "bits": 4}}),
    listed("some/bnb", config={"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}),
    listed("some/packed", parameters={"U32": 5, "BF16": 1}),
    listed("some/gone", disabled=True),
]
HOSTILE: list[dict[str, Any]] = [
    listed(name)
    for name in (
        "no-owner",
        "a/b/c",
        "../etc/passwd",
        "evil/\x1b[31mred",
        "evil/\u202egnp.exe",
        "evil/[bold]x[/bold]",
        "evil/new\nline",
        "evil/" + "x" * 5000,
        "ev\u0456l/model",
        "-rf/x",
        "\ud800/x",
    )
]
MLX = {"quantization_config": {"bits": 4, "group_size": 64}}
GOOGLE = "google/recurrentgemma-2b-it"
MLX_NAME = "mlx-community/recurrentgemma-2b-it-4bit"


@pytest.fixture
def full(server: Hub) -> Hub:
    """A hub with models of all kinds."""
    server.models = [
        listed(NAME, parameters={"F32": 1000}, downloads=3),
        listed(GOOGLE, parameters={"BF16": 2_700_000_000}, gated="manual", downloads=5000),
        listed(MLX_NAME, config=MLX, parameters={"U32": 300_000_000, "BF16": 1_000_000}, tags=["mlx"], downloads=40),
        listed("old/recurrentgemma-8bit", parameters={"U32": 10, "F16": 1}, tags=["mlx"], downloads=2),
        *OTHERS,
        *HOSTILE,
    ]
    return server


def test_what_can_be_loaded_is_offered(full: Hub) -> None:
    """And nothing else; the most downloaded first."""
    assert search() == [
        Published(GOOGLE, 5_400_000_000, "bf16", 5000, True, False),
        Published(MLX_NAME, 1_202_000_000, "4-bit", 40, False, True),
        Published(NAME, 4000, "f32", 3, False, False),
        Published("old/recurrentgemma-8bit", 42, "8-bit", 2, False, True),
    ]


def test_one_request_is_made(full: Hub) -> None:
    """As huggingface_hub makes it."""
    search("4bit")
    assert [one for one in full.asked if "/api/models" in one] == ["GET /api/models"]
    (query,) = full.queries
    assert query["filter"] == ["recurrent_gemma"] and query["search"] == ["4bit"] and query["sort"] == ["downloads"]
    assert query["limit"] == ["100"] and {"config", "gated", "safetensors", "siblings"} <= set(query["expand"])
    from huggingface_hub import HfApi

    full.queries.clear()
    expand: Any = query["expand"]
    models = HfApi(endpoint=full.url).list_models(
        filter="recurrent_gemma", search="4bit", sort="downloads", limit=100, expand=expand
    )
    assert [one.id for one in models] == [MLX_NAME]
    assert full.queries == [query]


def test_words_are_a_part_of_the_name(full: Hub) -> None:
    assert [one.name for one in search("2B-IT")] == [GOOGLE, MLX_NAME]
    assert search("nothing like that") == []


def test_a_token_goes_with_it(full: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rgmlx.weights.account.token", lambda: "hf_abcDEF0123456789")
    search()
    assert full.tokens == ["hf_abcDEF0123456789"]


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"downloads": "many"}, (2000, "bf16", 0, False)),
        ({"downloads": -1, "gated": "auto"}, (2000, "bf16", 0, True)),
        ({"downloads": 10**400}, (2000, "bf16", 0, False)),
        ({"safetensors": None}, (0, "?", 10, False)),
        ({"safetensors": {"parameters": {"Q7": 5}}}, (0, "?", 10, False)),
        ({"safetensors": {"parameters": ["BF16"]}}, (0, "?", 10, False)),
        ({"siblings": None}, (2000, "bf16", 10, False)),
        ({"siblings": [None, 5, {"rfilename": 5}]}, None),
        ({"siblings": None, "tags": "safetensors"}, None),
        ({"config": None}, None),
        ({"config": {"model_type": ["recurrent_gemma"]}}, None),
        ({"config": {"model_type": "recurrent_gemma", "quantization_config": {"bits": "4"}}}, None),
        ({"config": {"model_type": "recurrent_gemma", "quantization_config": {"bits": True}}}, None),
        ({"id": None}, None),
    ],
)
def test_an_entry_of_another_form(server: Hub, entry: Mapping[str, Any], what: tuple[Any, ...] | None) -> None:
    """Says less, or is left out; the next one is there all the same."""
    server.found = json.dumps([listed(NAME) | entry, listed("the/next", downloads=0)]).encode()
    found = {one.name: (one.size, one.bits, one.downloads, one.gated) for one in search()}
    assert found.pop("the/next") == (2000, "bf16", 0, False)
    assert found == ({NAME: what} if what else {})


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>login</html>", b"{}", b'"x"', b"null", b"[" * 100_000, b"\xff\xfe", b'[{"id": "a/b"'],
)
def test_an_answer_that_is_no_list(server: Hub, answer: bytes) -> None:
    server.found = answer
    with pytest.raises(ModelNotFoundError, match=r"gave an answer that is no list of models, try again later$"):
        search()


def test_an_answer_without_an_end(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 1000)
    server.found = json.dumps([listed(NAME)] * 100).encode()
    with pytest.raises(ModelNotFoundError, match="no list of models"):
        search()


def test_it_can_be_stopped(full: Hub) -> None:
    with pytest.raises(Cancelled):
        search(cancelled=lambda: True)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "does not take the token that is used here (error 401), make a new one and run `"),
        (403, "does not take the token that is used here (error 403)"),
        (429, "takes no more requests from here for now (error 429), wait some minutes and try again"),
        (500, "answered with error 500, try again later"),
        (503, "answered with error 503, try again later"),
        (404, "answered with error 404, try again later"),
    ],
)
def test_a_refusal_is_one_sentence(server: Hub, status: int, sentence: str) -> None:
    """At once: nothing is asked again behind a screen that waits."""
    server.refuse.append(("/api/models", status, ""))
    with pytest.raises(ModelNotFoundError) as caught:
        search()
    assert str(caught.value).startswith("models can't be searched for: Hugging Face ") and sentence in str(caught.value)
    assert len([one for one in server.asked if "/api/models" in one]) == 1


def test_nobody_answers(home: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(closed, monkeypatch)
    with pytest.raises(
        ModelNotFoundError, match=r"Hugging Face can't be reached, connect to the network .* and try again"
    ):
        search()


def test_offline_says_how_to_leave_that(full: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelNotFoundError, match="can't be reached, connect to the network, unset HF_HUB_OFFLINE and try"
    ):
        search()
    assert full.asked == []


def test_a_server_that_says_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        point_to(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        with pytest.raises(ModelNotFoundError, match="can't be reached"):
            search()


# --- the command --------------------------------------------------------------------------


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["get", *arguments])
    return int(caught.value.code or 0)


def test_the_command_lists_them(full: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--search") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [GOOGLE, MLX_NAME, NAME, "old/recurrentgemma-8bit"]
    assert lines[0].split()[1:] == ["5.40", "GB", "bf16", "5,000", "downloads", "gated"]
    assert lines[1].split()[1:] == ["1.20", "GB", "4-bit", "40", "downloads"]
    assert "get NAME" in err


def test_the_command_prints_json(full: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--search", "mlx", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "name": MLX_NAME,
        "bytes": 1_202_000_000,
        "bits": "4-bit",
        "quantized": True,
        "downloads": 40,
        "gated": False,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ("--search", "nothing-like-that"),
            1,
            "no RecurrentGemma model that can be loaded here with 'nothing-like-that'",
        ),
        ((), 2, "name a model to get, or add --search for a list"),
        (("--json", "2b"), 2, "--json is for --search"),
        (("2b", "--search"), 2, "leave out NAME"),
    ],
)
def test_the_command_says_what_is_wrong(
    full: Hub, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert not out and sentence in err and "Traceback" not in err


def test_the_command_in_a_process_of_its_own(full: Hub, home: Path) -> None:
    """With a mirror that the environment names."""

    environment = {**os.environ, "HF_ENDPOINT": full.url, "HF_HUB_OFFLINE": "0", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "rgmlx", "get", "--search"]
    root = Path(module.__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=PATIENCE)
    assert done.returncode == 0 and done.stdout.startswith(f"{GOOGLE} ")
    full.refuse.append(("/api/models", 503, ""))
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"rgmlx: models can't be searched for: the mirror {full.url} answered with error 503, try again later\n"
    )
