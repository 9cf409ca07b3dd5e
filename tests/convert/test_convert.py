"""Conversions of safetensors: what is written, what is refused, and that mlx-lm reads it too."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import numpy as np
import oracle
import pytest
from mlx.utils import tree_flatten

import rgmlx
from rgmlx.convert import compare, documents, huggingface, pipeline, recipe, text
from rgmlx.convert import run as conversion
from rgmlx.convert.huggingface import SafetensorsSource
from rgmlx.convert.open import open_source
from rgmlx.convert.pipeline import Job
from rgmlx.convert.recipe import Recipe
from rgmlx.errors import RgmlxError
from rgmlx.griffin.network import stays_float32
from rgmlx.weights.checksums import INDEX
from rgmlx.weights.hub import demo_directory

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = checkpoints.config(
    hidden_size=64, lru_width=64, head_dim=64, intermediate_size=256, num_attention_heads=1, torch_dtype="bfloat16"
)
WEIGHTS = checkpoints.weights(CONFIG)
SOME = "model.layers.2.temporal_block.q_proj.weight"
TOKENS = [[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]]


def write(directory: Path, shards: int = 1, dtype: str = "bfloat16", **changed: np.ndarray | None) -> Path:
    """A random checkpoint in 16 bits with some tensors replaced, or left out with None; `__` stands for a dot."""
    tensors = WEIGHTS | {k.replace("__", "."): v for k, v in changed.items()}
    kept = {k: mx.array(v).astype(getattr(mx, dtype)) for k, v in tensors.items() if v is not None}
    return checkpoints.write(directory, CONFIG | {"torch_dtype": dtype}, kept, shards)


def write_with_text(directory: Path) -> Path:
    """A random checkpoint with the embedded model's tokenizer and generation settings."""
    config = CONFIG | {"vocab_size": 8192}
    checkpoints.write(directory, config, checkpoints.weights(config))
    for name in ("tokenizer.model", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(demo_directory() / name, directory)
    return directory


@pytest.fixture(autouse=True)
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is measured on 64 tokens."""
    monkeypatch.setattr(text, "budget", lambda config: 64)


def convert(source: Path | str, target: Path, chosen: Recipe | str = "4bit", **options: Any) -> list[str]:
    job = Job(str(source), target, recipe.RECIPES[chosen] if isinstance(chosen, str) else chosen, **options)
    return list(pipeline.run(job, lambda *_: None))


def tensors(directory: Path) -> dict[str, mx.array]:
    out: dict[str, mx.array] = {}
    for path in sorted(directory.glob("*.safetensors")):
        out |= mx.load(str(path))
    return out


def refused(source: Path, target: Path, **options: Any) -> str:
    """The sentence of a refusal, which leaves no target."""
    with pytest.raises(RgmlxError) as caught:
        convert(source, target, **options)
    assert not target.exists() and "\n" not in str(caught.value)
    return str(caught.value)


# --- what is written ----------------------------------------------------------------------


def test_four_bits_are_those_of_mlx(tmp_path: Path) -> None:
    """Codes, scales and biases bit for bit as `mx.quantize` makes them; everything else as it was."""
    source = write(tmp_path / "source", 2)
    convert(source, tmp_path / "out", verify=False)
    theirs, ours = tensors(source), tensors(tmp_path / "out")
    for name, w in theirs.items():
        if f"{name.removesuffix('.weight')}.scales" in ours:
            base = name.removesuffix(".weight")
            for part, want in zip(("weight", "scales", "biases"), mx.quantize(w, 64, 4), strict=True):
                assert ours[f"{base}.{part}"].dtype == want.dtype and mx.array_equal(ours[f"{base}.{part}"], want)
        else:
            want = w.swapaxes(1, 2) if name.endswith("conv_1d.weight") else w
            assert ours[name].dtype == want.dtype and mx.array_equal(ours[name], want)
    quantized = [n for n in ours if n.endswith(".scales")]
    assert len(quantized) == 1 + 4 * 3 + 3 * 3 + 4  # the embedding, MLPs, recurrent blocks, attention
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["quantization"] == config["quantization_config"] == {"group_size": 64, "bits": 4, "mode": "affine"}


@pytest.mark.parametrize("name", [*recipe.RECIPES])
def test_every_recipe_loads_and_says_nearly_the_same(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "source")
    lines = convert(source, tmp_path / "out", name)
    want = np.array(rgmlx.load(source, dtype="float32").logits(TOKENS))
    got = np.array(rgmlx.load(tmp_path / "out", dtype="float32").logits(TOKENS))
    assert oracle.relative_error(got, want) < {"8bit": 0.05, "bf16": 1e-6}.get(name, 1.2)
    assert any("KL" in line for line in lines)
    size = sum(w.nbytes for w in tensors(tmp_path / "out").values())
    assert json.loads((tmp_path / "out" / INDEX).read_text())["metadata"]["total_size"] == size


@pytest.mark.parametrize("name", ["4bit", "8bit", "mixed", "mxfp4", "nvfp4"])
def test_stock_mlx_lm_reads_it_and_computes_the_same(tmp_path: Path, name: str) -> None:
    """In its own arithmetic: our network with its five differences is compared in test_mlx_lm.py; here loosely."""
    from mlx_lm.utils import load_model

    source = write(tmp_path / "source", dtype="float32")
    convert(source, tmp_path / "out", name, verify=False)
    theirs, _ = load_model(tmp_path / "out")
    want = np.array(theirs(mx.array(TOKENS)).astype(mx.float32))
    got = np.array(rgmlx.load(tmp_path / "out", dtype="float32").logits(TOKENS))
    # Its window is one shorter, its eps 1e-5 and its embedding scale not rounded.
    assert oracle.relative_error(got[:, :8], want[:, :8]) < 5e-3


def test_quantizing_again_with_the_same_settings_keeps_every_bit(tmp_path: Path) -> None:
    convert(demo_directory(), tmp_path / "again", "mixed", verify=False)
    before, after = tensors(demo_directory()), tensors(tmp_path / "again")
    assert before.keys() == after.keys()
    assert all(mx.array_equal(before[n], after[n]) for n in before)


def test_dequantize_and_requantize(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    convert(source, tmp_path / "4")
    convert(tmp_path / "4", tmp_path / "dense", Recipe("dequantized", None), dequantize=True)
    four, dense = tensors(tmp_path / "4"), tensors(tmp_path / "dense")
    base = SOME.removesuffix(".weight")
    parts = [four[f"{base}.{p}"] for p in ("weight", "scales", "biases")]
    exact = mx.dequantize(parts[0], *(p.astype(mx.float32) for p in parts[1:]), 64, 4)  # rounded once
    assert mx.array_equal(dense[SOME], exact.astype(mx.bfloat16))
    assert "quantization" not in json.loads((tmp_path / "dense" / "config.json").read_text())
    convert(tmp_path / "4", tmp_path / "8", "8bit")
    assert compare.tensor_errors(open_source(tmp_path / "4"), open_source(tmp_path / "8"))[SOME] < 0.01
    assert "not quantized" in refused(source, tmp_path / "no", dequantize=True)


def test_dtype(tmp_path: Path) -> None:
    source = write(tmp_path / "source", dtype="float32")
    convert(source, tmp_path / "out", dtype="float16")
    out = tensors(tmp_path / "out")
    assert {str(w.dtype) for w in out.values()} == {"mlx.core.float16", "mlx.core.uint32"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "float16"
    convert(source, tmp_path / "kept")  # what is not quantized stays what it is
    assert tensors(tmp_path / "kept")["model.layers.0.temporal_block.rg_lru.recurrent_param"].dtype == mx.float32


def test_large_matrices_in_pieces_are_what_they_are_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "source", lm_head__weight=WEIGHTS["model.embed_tokens.weight"])
    convert(source, tmp_path / "whole", verify=False)
    monkeypatch.setattr(conversion, "_PIECE", 1000)
    convert(source, tmp_path / "pieces", verify=False)
    a, b = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("whole", "pieces"))
    assert a == b


def test_an_equal_copy_of_the_embedding_is_dropped_and_another_head_kept(tmp_path: Path) -> None:
    embedding = WEIGHTS["model.embed_tokens.weight"]
    source = write(tmp_path / "copy", lm_head__weight=embedding)
    convert(source, tmp_path / "out")
    assert not any(n.startswith("lm_head") for n in tensors(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is True
    head = embedding.copy()
    head[5, 7] += 1.0
    source = write(tmp_path / "own", lm_head__weight=head)
    convert(source, tmp_path / "out2", "8bit")
    assert json.loads((tmp_path / "out2" / "config.json").read_text())["tie_word_embeddings"] is False
    want = np.array(rgmlx.load(source, dtype="float32").logits(TOKENS))
    assert oracle.relative_error(np.array(rgmlx.load(tmp_path / "out2", dtype="float32").logits(TOKENS)), want) < 0.05


def test_a_recipe_of_ones_own_with_gates(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'default = "keep"\n[patterns]\n"*.rg_lru.*_gate" = 8\n"*.layers.0.mlp_block.*" = {bits = 4, group_size = 32}\n'
    )
    source = write(tmp_path / "source")
    convert(source, tmp_path / "out", recipe.load(str(own)))
    out = tensors(tmp_path / "out")
    gate = "model.layers.0.temporal_block.rg_lru.input_gate"
    assert out[f"{gate}_weight"].dtype == mx.uint32 and f"{gate}_scales" in out
    assert {n.split(".")[2] for n in out if n.endswith(".scales")} == {"0"}
    want = np.array(rgmlx.load(source, dtype="float32").logits(TOKENS))
    got = np.array(rgmlx.load(tmp_path / "out", dtype="float32").logits(TOKENS))
    assert 1e-4 < oracle.relative_error(got, want) < 0.5
    assert "stock mlx-lm does not read" in (tmp_path / "out" / "README.md").read_text()
    # A second conversion of it knows the gates for what they are.
    convert(tmp_path / "out", tmp_path / "dense", Recipe("dequantized", None), dequantize=True)
    assert f"{gate}_scales" not in tensors(tmp_path / "dense")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("default = 7", "bits 2 or 3 or 4"),
        ('default = "four"', "default must be bits"),
        ("pattern = 4", "unknown field 'pattern'"),
        ('[patterns]\n"*.no_such_module" = 4', "fits no module"),
        ('[patterns]\n"*.q_proj" = {bit = 4}', "'*.q_proj' must be bits"),
        ("patterns = 3", "patterns must be a table"),
        ("default = [", "not valid TOML"),
        ("", "says nothing"),
    ],
)
def test_a_recipe_that_is_not_understood(tmp_path: Path, content: str, said: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(content)
    with pytest.raises(RgmlxError) as caught:
        conversion.plan(open_source(write(tmp_path / "source")), recipe.load(str(own)))
    assert said in str(caught.value)


def test_flags_that_contradict_each_other_are_refused() -> None:
    choose = pipeline.choose_recipe
    for arguments, said in (
        ((None, False, 4, None, None, True), "-d undoes"),
        (("mixed", False, 8, None, None, False), "--recipe mixed"),
        (("bf16", True, None, None, None, False), "--recipe bf16"),
        ((None, False, 7, None, None, False), "bits"),
        ((None, False, 0, None, None, False), "bits"),
        ((None, False, None, 0, None, False), "group_size"),
        ((None, False, None, None, "", False), "no quantization mode"),
        ((None, False, 8, None, "mxfp4", False), "mxfp4"),
        ((None, False, None, 48, None, False), "group_size"),
        (("5bits", False, None, None, None, False), "no recipe '5bits'"),
        ((None, False, None, None, "int4", False), "no quantization mode"),
    ):
        with pytest.raises(RgmlxError, match=said):
            choose(*arguments)
    assert choose(None, True, None, None, None, False) == recipe.RECIPES["4bit"]
    assert choose("8bit", True, None, None, None, False) == recipe.RECIPES["8bit"]
    assert choose(None, False, 6, 32, None, False).default == {"bits": 6, "group_size": 32, "mode": "affine"}


# --- what stands beside the weights -------------------------------------------------------


def test_documents_of_a_model_with_text(tmp_path: Path) -> None:
    source = write_with_text(tmp_path / "source")
    (source / "generation_config.json").write_text(json.dumps({"temperature": 0.4, "eos_token_id": 1}))
    (source / "tokenizer_config.json").unlink()
    convert(source, tmp_path / "out", "8bit")
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert generation["temperature"] == 0.4 and generation["eos_token_id"] == [1, 5]  # <eos> and <end_of_turn>
    assert json.loads((tmp_path / "out" / "config.json").read_text())["eos_token_id"] == [1, 5]
    assert "start_of_turn" in json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["chat_template"]
    model = rgmlx.load(tmp_path / "out")
    assert model.generate("Who are you?", max_tokens=3, seed=1)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "8 bits, group size 64" in card and "KL" in card and "Gemma Terms of Use" not in card


def test_a_tokenizer_of_another_model_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    said = refused(write(tmp_path / "source"), tmp_path / "out", tokenizer=str(demo_directory()))
    assert "8,192 pieces and the model 64" in said
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_the_card_of_googles_weights_passes_the_terms_on(tmp_path: Path) -> None:
    source = SafetensorsSource(write(tmp_path / "source"))
    card = documents.card(
        source, "google/recurrentgemma-2b-it", conversion.plan(source, recipe.RECIPES["4bit"]), "", "x"
    )
    assert "ai.google.dev/gemma/terms" in card and 'license: "gemma"' in card
    assert 'base_model: "google/recurrentgemma-2b-it"' in card and "GPTQ" in card


def test_calibrated_conversion(tmp_path: Path) -> None:
    """Through the whole pipeline: closer to the source on text of the kind that it was calibrated for."""
    source = write(tmp_path / "source")
    ids = np.random.default_rng(3).choice(64, (24, 64), p=np.arange(64) / np.arange(64).sum())
    calibration = conversion.Calibration(ids[:16].tolist(), "1,024 tokens of a test")
    opened = open_source(source)
    plan = conversion.plan(opened, Recipe("3bit", recipe.settings(3)))
    kl = {}
    for name, given in (("plain", None), ("gptq", calibration)):
        writer = conversion.write(opened, plan, tmp_path / name, calibration=given)
        writer.finish(documents.documents(opened, "x", plan, source, "", given.name if given else ""), plan.parameters)
        writer.publish()
        writer.close()
        kl[name] = compare.outputs(opened, open_source(tmp_path / name), ids[16:].tolist()).kl
    assert kl["gptq"] < 0.9 * kl["plain"]
    assert "GPTQ" in (tmp_path / "gptq" / "README.md").read_text()


def test_calibration_keeps_what_is_not_quantized_as_it_is(tmp_path: Path) -> None:
    """Norms and Lambda in float32 beside matrices in 16 bits, as a training of this project leaves them."""
    kept = {n: mx.array(w).astype(mx.float32 if stays_float32(n) else mx.bfloat16) for n, w in WEIGHTS.items()}
    source = checkpoints.write(tmp_path / "source", CONFIG, kept)
    opened = open_source(source)
    plan = conversion.plan(opened, recipe.RECIPES["4bit"])
    rows = np.random.default_rng(3).integers(0, 64, (4, 32)).tolist()
    writer = conversion.write(opened, plan, tmp_path / "out", calibration=conversion.Calibration(rows, "a test"))
    writer.finish(documents.documents(opened, "x", plan, source, "", ""), plan.parameters)
    writer.publish()
    writer.close()
    made = tensors(tmp_path / "out")
    same = [step.name for step in plan.steps if step.settings is None]
    assert {str(made[n].dtype) for n in same} == {"mlx.core.float32", "mlx.core.bfloat16"}
    assert all(mx.array_equal(made[n], opened.read(n)) and made[n].dtype == opened.read(n).dtype for n in same)


def test_calibration_through_the_command(tmp_path: Path) -> None:
    source = write_with_text(tmp_path / "with text")
    one = Recipe("one", None, (("model.layers.3.mlp_block.down_proj", recipe.settings(4)),))
    lines = convert(source, tmp_path / "out", one, calibrate="builtin", calibrate_tokens=64)
    assert any("KL" in line for line in lines)
    with pytest.raises(RgmlxError, match="nothing is quantized"):
        convert(source, tmp_path / "no", "bf16", calibrate="builtin")
    with pytest.raises(RgmlxError, match="goes with --calibrate"):
        convert(source, tmp_path / "no", calibrate_tokens=64)
    with pytest.raises(RgmlxError, match="has no tokenizer"):
        convert(write(tmp_path / "source"), tmp_path / "no", calibrate="builtin")


# --- what is refused, before anything is written ------------------------------------------


def test_sources_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert "holds no weights" in refused(tmp_path / "empty", tmp_path / "out")
    assert "not a PyTorch checkpoint" in refused(tmp_path / "file", tmp_path / "out")
    assert "there is no model" in refused(tmp_path / "nothing", tmp_path / "out")


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    assert f"{SOME} is missing" in refused(write(tmp_path / "a", **{SOME.replace(".", "__"): None}), tmp_path / "out")
    wrong = {SOME.replace(".", "__"): np.zeros((3, 5), np.float32)}
    assert f"{SOME} has shape (3, 5)" in refused(write(tmp_path / "b", **wrong), tmp_path / "out")
    assert "model.extra is not part" in refused(write(tmp_path / "c", model__extra=np.zeros(3)), tmp_path / "out")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_nan_and_infinity(tmp_path: Path, value: float, dtype: str) -> None:
    bad = WEIGHTS[SOME].copy()
    bad[-1, -1] = value
    source = write(tmp_path / "source", dtype=dtype, **{SOME.replace(".", "__"): bad})
    assert f"{SOME} holds NaN or infinite" in refused(source, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]  # nothing that could be of use is left
    if np.isnan(value):
        with pytest.raises(RgmlxError, match=f"{SOME} holds NaN"):
            compare.tensor_errors(open_source(source), open_source(source))


GATE = "model.layers.0.temporal_block.rg_lru.input_gate_bias"


@pytest.mark.parametrize("name", [SOME, GATE, "model.embed_tokens.weight"])
@pytest.mark.parametrize(
    ("recipe_name", "options"),
    [("bf16", {}), ("4bit", {}), ("8bit", {"verify": False}), ("4bit", {"calibrate": "builtin"})],
    ids=["dense", "4 bits", "unverified", "calibrated"],
)
def test_numbers_too_large_for_float16(tmp_path: Path, name: str, recipe_name: str, options: dict[str, Any]) -> None:
    """For M1 and M2 float16 is recommended: what does not fit into it is refused, and said in one sentence."""
    config = CONFIG | {"vocab_size": 8192}
    weights = checkpoints.weights(config)
    weights[name].flat[-1] = 70_000.0
    source = write_with_text(tmp_path / "source")
    checkpoints.write(source, config, weights)
    said = refused(source, tmp_path / "out", chosen=recipe_name, dtype="float16", **options)
    assert said == (
        f"the tensor {name} holds numbers too large for float16: convert with --dtype bfloat16, nothing was put in place"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["source"]
    if recipe_name == "bf16" and name == SOME:  # what is computed in float32 in any model fits, once it is there
        assert convert(source, tmp_path / "out", recipe_name, dtype="bfloat16")
        with pytest.raises(
            RgmlxError, match=rf"{re.escape(name)} holds numbers too large for float16: load the model in"
        ):
            rgmlx.load(tmp_path / "out", dtype="float16")


def test_the_largest_numbers_of_float16_fit(tmp_path: Path) -> None:
    largest = WEIGHTS[SOME].copy()
    largest[-1, -2:] = 65_504.0, -65_504.0
    convert(
        write(tmp_path / "source", dtype="float32", **{SOME.replace(".", "__"): largest}),
        tmp_path / "out",
        "bf16",
        dtype="float16",
    )
    assert tensors(tmp_path / "out")[SOME][-1, -2:].tolist() == [65_504.0, -65_504.0]


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, -1])
def test_a_truncated_source(tmp_path: Path, keep: float) -> None:
    source = write(tmp_path / "source", 2)
    path = source / "model-00002-of-00002.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)])
    assert "model-00002-of-00002.safetensors is truncated" in refused(source, tmp_path / "out")


def test_an_index_that_leads_outside(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    shutil.copy(source / "model.safetensors", tmp_path / "x.safetensors")
    (source / INDEX).write_text(json.dumps({"weight_map": {SOME: "../x.safetensors"}}))
    assert "refused" in refused(source, tmp_path / "out")


def test_the_target_is_guarded(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    out = tmp_path / "out"
    convert(source, out, verify=False)
    with pytest.raises(RgmlxError, match="--force replaces it"):
        convert(source, out, verify=False)
    convert(source, out, "8bit", verify=False, force=True)
    assert json.loads((out / "config.json").read_text())["quantization"]["bits"] == 8
    before = (out / "model.safetensors").read_bytes()
    (out / "mine.txt").write_text("x")
    with pytest.raises(RgmlxError, match=r"it holds mine\.txt"):
        convert(source, out, verify=False, force=True)
    assert (out / "mine.txt").exists() and (out / "model.safetensors").read_bytes() == before
    other = tmp_path / "photos"
    other.mkdir()
    (other / "holiday.jpg").write_text("x")
    for force in (False, True):
        with pytest.raises(RgmlxError, match=r"not only a model \(it holds holiday\.jpg\)"):
            convert(source, other, verify=False, force=force)
    link = tmp_path / "link"
    link.symlink_to(out)
    with pytest.raises(RgmlxError, match="symbolic link"):
        convert(source, link, verify=False, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "out", "photos", "source"]


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    source = write(tmp_path / "models" / "source")
    before = (source / "model.safetensors").read_bytes()
    (tmp_path / "models" / "config.json").write_text("{}")
    for target in (source, tmp_path / "models" / ".." / "models" / "source", tmp_path / "models"):
        with pytest.raises(RgmlxError, match=r"that are to be converted|not only a model"):
            convert(source, target, verify=False, force=True)
    assert (source / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("options", [{"model": ""}, {"target": Path()}, {"upload": "no-slash"}])
def test_names_that_name_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    job = Job(
        **{"model": str(write(tmp_path / "source")), "target": tmp_path / "out", "recipe": recipe.RECIPES["4bit"]}
        | options
    )
    with pytest.raises(RgmlxError):
        list(pipeline.run(job, lambda *_: None))
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_a_result_that_came_out_wrong_is_not_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "source")
    name = "model.layers.1.temporal_block.rg_lru.recurrent_param"
    honest = conversion.converted

    def planted(source: Any, step: Any) -> Any:
        for n, array in honest(source, step):
            yield n, array + 1 if n == name else array

    monkeypatch.setattr(conversion, "converted", planted)
    assert f"{name} came out wrong" in refused(source, tmp_path / "out")


# --- comparing ----------------------------------------------------------------------------


def test_comparison_agrees_with_the_whole_models(tmp_path: Path) -> None:
    """KL, top-1 and perplexity of the block by block comparison, against the logits of the loaded models."""
    source = write(tmp_path / "source")
    convert(source, tmp_path / "out", verify=False)
    rows = np.random.default_rng(0).integers(0, 64, (3, 40)).tolist()
    found = compare.outputs(open_source(source), open_source(tmp_path / "out"), rows)
    p, q = (
        np.array(rgmlx.load(d, dtype="float32").logits(rows), np.float64)[:, :-1] for d in (source, tmp_path / "out")
    )
    p, q = (v - np.log(np.exp(v).sum(-1, keepdims=True)) for v in (p, q))
    kl = (np.exp(p) * (p - q)).sum(-1)
    following = np.array(rows)[:, 1:, None]
    assert found.tokens == 3 * 39
    assert found.kl == pytest.approx(kl.mean(), rel=1e-3) and found.kl_largest == pytest.approx(kl.max(), rel=1e-3)
    assert found.top1 == pytest.approx((p.argmax(-1) == q.argmax(-1)).mean())
    for perplexity, v in zip(found.perplexity, (p, q), strict=True):
        assert perplexity == pytest.approx(np.exp(-np.take_along_axis(v, following, -1).mean()), rel=1e-4)


def test_models_that_are_not_versions_of_one(tmp_path: Path) -> None:
    a, b = open_source(write(tmp_path / "a")), open_source(demo_directory())
    with pytest.raises(RgmlxError, match="not two versions"):
        compare.tensor_errors(a, b)
    with pytest.raises(RgmlxError, match="vocabularies of 64 and 8,192"):
        compare.outputs(a, b, TOKENS)


def test_parameters_are_all_there(tmp_path: Path) -> None:
    plan = conversion.plan(SafetensorsSource(write(tmp_path)), recipe.RECIPES["4bit"])
    assert next(s.name for s in plan.steps) == "model.embed_tokens.weight"
    network = rgmlx.load(tmp_path)
    assert {s.name for s in plan.steps} == {n for n, _ in tree_flatten(network.parameters())}
    assert plan.parameters == network.config.parameter_counts()["total"]


def test_reads_that_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may give less than was asked for; that is no end of the file."""
    source = write(tmp_path / "source")
    opened, honest = SafetensorsSource(source), huggingface.open_regular

    class Stingy:
        def __init__(self, path: Path) -> None:
            self._file = honest(path).detach()

        def detach(self) -> Stingy:
            return self

        def __enter__(self) -> Stingy:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def seek(self, position: int) -> None:
            self._file.seek(position)

        def readinto(self, buffer: memoryview) -> int | None:
            return self._file.readinto(buffer[:1000])

    want = {name: opened.read(name) for name in opened.tensors}
    monkeypatch.setattr(huggingface, "open_regular", Stingy)
    assert all(mx.array_equal(opened.read(name), w) for name, w in want.items())


def test_going_on_is_said(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    opened = SafetensorsSource(source)
    conversion.write(opened, conversion.plan(opened, recipe.RECIPES["4bit"]), tmp_path / "out").close()
    lines = convert(source, tmp_path / "out", verify=False)
    assert "going on: 1 of 1 files are there from an earlier run" in lines
