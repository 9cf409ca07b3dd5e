"""`rgmlx mlx-lm lora` and `fuse` as docs/finetuning.md has them: the loss falls on what was held out, and the result is a model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rooms
from test_mlx_lm_commands import place, run, sentence

import rgmlx
from rgmlx.cli import main
from rgmlx.conversation.turns import Turn, ids_of
from rgmlx.tokenizer import Tokenizer
from rgmlx.weights.hub import demo_directory

__all__ = ["place"]

TEA_HOUSE = rooms.ROOT / "docs" / "examples" / "tea_house"
FEW = ["--iters", "3", "--batch-size", "2", "--learning-rate", "1e-3", "--val-batches", "2", "--mask-prompt"]


def rows(part: str) -> list[tuple[Turn, Turn]]:
    found = [json.loads(line)["messages"] for line in (TEA_HOUSE / f"{part}.jsonl").read_text("utf-8").splitlines()]
    assert all([m["role"] for m in messages] == ["user", "assistant"] for messages in found)
    return [(Turn("user", asked["content"]), Turn("model", said["content"])) for asked, said in found]


def loss(model: rgmlx.Model, part: str, count: int) -> float:
    """Nats a token of the replies, as rgmlx itself computes."""
    total, tokens = 0.0, 0
    for asked, said in rows(part)[:count]:
        before, after = (ids_of(model.text_tokenizer(), *pair) for pair in ((asked, None), (said, asked)))
        logits = np.array(model.logits([[*before, *after][:-1]]))[0, len(before) - 1 :].astype(np.float64)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total -= float(logits[np.arange(len(after)), after].sum())
        tokens += len(after)
    return total / tokens


def test_the_example_holds_out_other_wordings_of_the_same_facts() -> None:
    train, valid, test = (rows(part) for part in ("train", "valid", "test"))
    asked = [turn.text for turn, _ in (*train, *valid, *test)]
    assert (len(train), len(valid), len(test)) == (60, 12, 12) and len(set(asked)) == 84
    facts = [{said.text for _, said in part} for part in (train, valid, test)]
    assert facts[0] == facts[1] == facts[2] and len(facts[0]) == 12


def test_what_is_trained_on_is_what_a_chat_reads() -> None:
    """mlx-lm lays out the turns by the model's template, rgmlx by itself."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(demo_directory())
    own = Tokenizer.from_directory(demo_directory())
    assert own is not None
    for asked, said in rows("test"):
        messages = [{"role": "user", "content": asked.text}, {"role": "assistant", "content": said.text}]
        ids = theirs.apply_chat_template(messages, return_dict=False)
        assert ids == [*ids_of(own, asked, None), *ids_of(own, said, asked), *own.encode("\n")]


def test_the_loss_falls_and_the_result_chats(place: Path, capfd: pytest.CaptureFixture[str], demo: rgmlx.Model) -> None:
    (place / "lora.yaml").write_text("model: demo\nnum_layers: 2\n")  # the last of them, which takes less time
    assert run("lora", "--train", "--config", "lora.yaml", "--data", str(TEA_HOUSE), *FEW) == 0
    out = re.sub(r"\x1b\[[0-9;]*m", "", capfd.readouterr().out)
    before, after = (float(number) for number in re.findall(r"val +([\d.]+)", out))
    assert after < before
    assert run("fuse", "--model", "demo", "--dequantize", "--save-path", "tuned") == 0
    assert run("fuse", "--model", "demo", "--save-path", "packed") == 0
    tuned, packed = rgmlx.load("tuned"), rgmlx.load("packed")
    assert (tuned.config.quantization, packed.config.quantization) == (None, demo.config.quantization)
    assert loss(tuned, "test", 4) < loss(demo, "test", 4)
    capfd.readouterr()
    for model in ("tuned", "packed"):
        with pytest.raises(SystemExit) as ended:
            main(["ask", "--model", model, "--temperature", "0", "--max-tokens", "6", "When do you open?"])
        assert ended.value.code == 0 and capfd.readouterr().out.strip()
    # The adapters beside the model, without fusing; a parameter in bfloat16 ended this with a Python error.
    arguments = ["--prompt", "When do you open?", "--temp", "0", "--max-tokens", "2"]
    assert run("generate", "--model", "demo", "--adapter-path", "adapters", *arguments) == 0
    assert "Generation: 2 tokens" in capfd.readouterr().out


def test_lora_without_a_model_trains_the_embedded_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All its layers: it has fewer than mlx-lm's default, which mlx-lm refuses. No model of others is downloaded."""
    seen = []
    monkeypatch.setattr("mlx_lm.lora.run", lambda args: seen.append((args.model, args.num_layers)))
    (place / "some.yaml").write_text("num_layers: 3\n")
    for more in ([], ["--num-layers", "2"], ["--config", "some.yaml"]):
        assert run("lora", "--train", "--data", "data", *more) == 0
    assert seen == [(str(demo_directory()), layers) for layers in (-1, 2, 3)]
    (place / "other.yaml").write_text("model: nothing\n")
    assert "there is no model 'nothing'" in sentence(capfd, "lora", "--train", "--config", "other.yaml")
    (place / "broken.yaml").write_text("{")
    assert "mlx-lm's lora stopped" in sentence(capfd, "lora", "--train", "--config", "broken.yaml")
    assert "missing.yaml" in sentence(capfd, "lora", "--train", "--config", "missing.yaml")
    (place / "full.yaml").write_text("fine_tune_type: full\n")
    for more in (["--fine-tune-type", "full"], ["--config", "full.yaml"]):
        assert "demo is quantized, and full fine-tuning starts" in sentence(capfd, "lora", "--train", *more)
