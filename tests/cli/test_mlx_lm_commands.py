"""`rgmlx mlx-lm`: every command that mlx-lm installs is reachable, and runs on the embedded model or says why not."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import checkpoints
import mlx.core as mx
import numpy as np
import pytest
from waiting import PATIENCE

import rgmlx
from rgmlx.cli import main
from rgmlx.cli.mlx_lm import names
from rgmlx.weights.hub import demo_directory

HELLO = ["--prompt", "Hello", "--max-tokens", "3", "--temp", "0"]
DATA = ["--data", "data", "--iters", "1", "--batch-size", "1", "--num-layers", "1", "--val-batches", "1"]
RUNS: dict[str, tuple[list[str], str]] = {
    "benchmark": (["--model", "demo", "-p", "4", "-g", "2", "-n", "1"], "generation_tps="),
    "cache_prompt": (["--model", "demo", "--prompt", "Hi", "--prompt-cache-file", "c.safetensors"], "Saving"),
    "chat": (["--model", "demo", "--max-tokens", "2"], "help"),
    "convert": (["--model", "demo", "-d", "--mlx-path", "dense"], "Dequantizing"),
    "fuse": (["--model", "demo", "--adapter-path", "adapters", "--save-path", "fused"], "Loading"),
    "generate": (["--model", "demo", *HELLO], "Generation: "),
    "lora": (["--model", "demo", "--train", *DATA], "train"),
    "manage": (["--scan"], "Scanning"),
}
"""With the embedded model: what is typed, and something of what is printed. `server` is run in test_mlx_lm.py."""
REFUSES: dict[str, tuple[list[str], str]] = {
    "awq": (["--model", "demo"], "AWQ support for recurrent_gemma models NYI"),
    "dwq": (["--model", "demo", "--data-path", "data"], "demo is quantized, and dwq starts from weights that are not"),
    "dynamic_quant": (["--model", "demo"], "demo is quantized, and dynamic_quant starts"),
    "evaluate": (
        ["--model", "demo", "--tasks", "x"],
        "needs the Python package lm_eval, which is not here: ",
    ),
    "gptq": (["--model", "demo"], "demo is quantized, and gptq starts"),
    "perplexity": (
        ["--model", "demo", "--data-path", "x"],
        "needs the Python package datasets, which is not here: ",
    ),
    "server": (["--model", "damaged"], "damaged/model.safetensors has a damaged header"),
    "share": (["--model", "demo"], "No hostfile provided"),
    "upload": (["--path", "card", "--upload-repo", "someone/something"], "offline mode is enabled"),
}
"""What can't be done with it, or here: what is typed, and something of the sentence."""
WANTS = {"evaluate": "lm_eval", "perplexity": "datasets"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, data, no network; afterwards mlx-lm has its own class again, and compiles again."""
    import mlx_lm.models
    import mlx_lm.utils

    monkeypatch.setattr("mlx_lm.utils.load_model", mlx_lm.utils.load_model)  # which is put back
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(cache))
    (tmp_path / "data").mkdir()
    for part in ("train", "valid"):
        (tmp_path / "data" / f"{part}.jsonl").write_text(json.dumps({"text": "My cat is called Zibo."}) + "\n")
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "README.md").write_text("---\nlibrary_name: mlx\n---\n")
    (tmp_path / "damaged").mkdir()
    shutil.copy(demo_directory() / "config.json", "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes((20).to_bytes(8, "little") + b"?" * 20)
    name = "mlx_lm.models.recurrent_gemma"
    module, attribute = sys.modules.get(name), vars(mlx_lm.models).get("recurrent_gemma")
    mx.disable_compile()  # a CPU would wait for a C++ compiler
    try:
        yield tmp_path
    finally:
        mx.enable_compile()
        for home, key, old in ((sys.modules, name, module), (vars(mlx_lm.models), "recurrent_gemma", attribute)):
            home.pop(key, None)
            if old is not None:
                home[key] = old


def run(*arguments: str) -> int:
    """The exit code of `rgmlx mlx-lm`."""
    with pytest.raises(SystemExit) as ended:
        main(["mlx-lm", *arguments])
    code = ended.value.code
    return code if isinstance(code, int) else 0 if code is None else 1


def sentence(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a refused command says: one line at the end, and no traceback."""
    assert run(*arguments) == 1
    err = capfd.readouterr().err
    assert "Traceback" not in err
    last = err.strip().splitlines()[-1]
    assert last.startswith("rgmlx: ")
    return last


def test_23_the_table_has_every_command_of_mlx_lm() -> None:
    assert sorted(RUNS | REFUSES) == names()
    assert {"awq", "gptq", "dwq", "dynamic_quant"} <= set(names())


@pytest.mark.parametrize("command", sorted(RUNS | REFUSES))
def test_23_help_of_every_command(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    if command == "evaluate" and importlib.util.find_spec("lm_eval") is None:
        assert "pip install 'mlx-lm[evaluate]'" in sentence(capfd, command, "--help")
        return
    assert run(command, "--help") == 0
    assert f"usage: rgmlx mlx-lm {command} " in capfd.readouterr().out


@pytest.mark.parametrize("command", RUNS)
def test_23_runs_on_the_embedded_model(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, said = RUNS[command]
    if command == "fuse":
        assert run("lora", *RUNS["lora"][0]) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hello\nq\n"))
    assert run(command, *arguments) == 0
    assert said in "".join(capfd.readouterr())
    for made in ("dense", "fused"):  # what it saved can be used
        if Path(made).exists():
            assert run("generate", "--model", made, *HELLO) == 0


@pytest.mark.parametrize("command", REFUSES)
def test_23_says_in_one_sentence_why_it_does_not_run(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, said = REFUSES[command]
    if command in WANTS and importlib.util.find_spec(WANTS[command]) is not None:
        pytest.skip(f"{WANTS[command]} is installed, and the command would ask the network for its data")
    assert said in sentence(capfd, command, *arguments)


@pytest.mark.parametrize("command", ["gptq", "dynamic_quant"])
def test_23_quantizers_run_on_weights_that_are_not_quantized(command: str, place: Path) -> None:
    """On a small random checkpoint, with a calibration text where mlx-lm keeps its own."""
    config = checkpoints.config(
        hidden_size=64, lru_width=64, head_dim=64, num_attention_heads=1, intermediate_size=256, vocab_size=8192
    )
    checkpoints.write(place / "small", config, checkpoints.weights(config))
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(demo_directory() / name, "small")
    text = Path(".cache/mlx-lm/calibration_v5.txt")
    text.parent.mkdir(parents=True)
    text.write_text("The fox went to the market and bought a red apple. " * 60)
    short = ["--sequence-length", "16", "--num-samples", "2"] if command == "gptq" else []
    assert run(command, "--model", "small", "--mlx-path", "out", *short) == 0
    model = rgmlx.load(place / "out", dtype="float32")
    want = np.array(rgmlx.load(place / "small", dtype="float32").logits([[3, 4, 5]]))
    assert model.config.quantization is not None
    assert 0 < np.abs(np.array(model.logits([[3, 4, 5]])) - want).mean() < 0.5


@pytest.mark.parametrize(
    "spelling",
    [["--model", "demo"], ["--model=demo"], ["--mod", "demo"], ["--mod=demo"], ["-m", "demo"], ["-mdemo"], []],
    ids=" ".join,
)
def test_23_every_spelling_of_the_model(spelling: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Any that mlx-lm's parser takes; without one it is the embedded model, and nothing is downloaded."""
    if "".join(spelling).startswith("-m"):  # a short form that some commands have
        assert "demo is quantized" in sentence(capfd, "gptq", *spelling)
        return
    assert run("generate", *spelling, *HELLO) == 0
    assert "Generation: 3 tokens" in capfd.readouterr().out


def test_23_a_prompt_cache_names_its_model(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("cache_prompt", "--model=demo", "--prompt", "I have a cat.", "--prompt-cache-file", "c.safetensors") == 0
    assert run("generate", "--prompt-cache-file", "c.safetensors", *HELLO) == 0
    assert "Generation: 3 tokens" in capfd.readouterr().out


@pytest.mark.parametrize("option", ["--model", "--draft-model"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "there is no model 'nothing'"),
        ("data", "data holds no .safetensors file"),
        ("damaged", "damaged/model.safetensors has a damaged header"),
        ("other", "model_type is 'llama', and rgmlx runs 'recurrent_gemma' only"),
        ("lacking", "the tensor model.final_norm.weight is missing"),
        ("someone/model", "is not in the local cache and Hugging Face can't be reached"),
    ],
)
def test_23_a_refused_model_is_one_sentence(
    name: str, said: str, option: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = checkpoints.config()
    weights = checkpoints.weights(config)
    checkpoints.write(place / "other", config | {"model_type": "llama"}, weights)
    checkpoints.write(place / "lacking", config, {k: w for k, w in weights.items() if k != "model.final_norm.weight"})
    for command in ("generate", "server"):
        assert said in sentence(capfd, command, option, name)


def test_23_an_unknown_command_names_those_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["utils"], ["quant.gptq"]):
        said = sentence(capfd, *arguments)
        assert "dynamic_quant" in said and "generate" in said


def test_23_other_errors_of_mlx_lm_are_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    said = sentence(capfd, "generate", "--model", "demo", "--draft-model", "demo", *HELLO)
    assert "mlx-lm's generate stopped: Speculative decoding requires a trimmable prompt cache" in said
    assert "adapters" in sentence(capfd, "generate", "--model", "demo", "--adapter-path", "no-adapters", *HELLO)


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1"])
def test_23_a_port_out_of_range_is_one_sentence(port: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Fault 13a: the server listened at 34463 in place of 99999."""
    said = sentence(capfd, "server", "--model", "demo", "--port", port)
    assert said == f"rgmlx: --port must be a whole number between 1 and 65535, not {port}"


def test_23_a_server_whose_port_is_taken_ends() -> None:
    """mlx-lm has started its thread by then, for which Python would wait for ever."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        command = [sys.executable, "-m", "rgmlx", "mlx-lm", "server", "--model", "demo", "--port"]
        out = subprocess.run([*command, str(s.getsockname()[1])], capture_output=True, text=True, timeout=PATIENCE)
    assert out.returncode == 1 and "Traceback" not in out.stderr
    assert "mlx-lm's server stopped: " in out.stderr and "Address already in use" in out.stderr
