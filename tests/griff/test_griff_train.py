"""The training of the embedded model, at a size that takes seconds on a CPU."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import griff_toy
import mlx.core as mx
import numpy as np
import pytest
import rooms
from griff import checkpoint, plot, shapes, unpack
from griff.feed import Data, DataError, Feed
from griff.loop import Training, TrainingError
from griff.optimizer import Schedule, adamw, decays
from griff.rows import BOS, Batch, Rows, Shards, batch_of, seed_of, write_shard
from griff.step import Step, inputs, losses
from griff.train import checked
from mlx.utils import tree_flatten, tree_unflatten
from waiting import PATIENCE

import rgmlx
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.weights.hub import demo_directory

TINY = [
    "--width",
    "64",
    "--layers",
    "3",
    "--mlp",
    "96",
    "--vocabulary",
    "32",
    "--window",
    "20",
    "--rows",
    "4",
    "--time",
    "64",
]
TOY = ["--conversations", "griff_toy.conversations", "--rate", "5e-3", "--warm", "4", "--every", "1", "--seed", "3"]
SMALL = shapes.config(64, 3, 96, 20, 32)


def options(out: Path, *more: str) -> argparse.Namespace:
    return checked(["--out", str(out), *TINY, *TOY, *more])


def train(out: Path, *more: str) -> list[dict[str, Any]]:
    out.mkdir(exist_ok=True)
    Training(options(out, *more)).run()
    return lines(out)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def toy(seed: int = 0, longest: int = 9) -> Any:
    return griff_toy.conversations(seed, str(longest))


def batch(rows: int = 4, time: int = 64, seed: int = 0) -> Batch:
    return batch_of(griff_toy.conversations, {}, (rows, time), seed)


def network(seed: int = 0) -> RecurrentGemma:
    net = RecurrentGemma(SMALL)
    shapes.begin(net, seed)
    return net


# --- rows ---------------------------------------------------------------------------------------


def test_a_packed_row_holds_whole_conversations_and_a_long_one_a_single_beginning() -> None:
    rows = Rows(toy(), toy(), 64)
    tokens, weights = rows.packed()
    assert len(tokens) == len(weights) == 65
    starts = np.flatnonzero(tokens == BOS)
    assert len(starts) > 2
    assert starts[0] == 0
    for start, end in itertools.pairwise([*starts, len(np.trim_zeros(tokens, "b"))]):
        piece = tokens[start:end].tolist()
        said = piece[2 : piece.index(griff_toy.ANSWER)]
        assert piece == [BOS, griff_toy.ASK, *said, griff_toy.ANSWER, *said, griff_toy.END]
        assert weights[start:end].tolist() == [0] * (3 + len(said)) + [3] * len(said) + [1]
    tokens, weights = rows.long()
    assert np.flatnonzero(tokens == BOS).tolist() == [0]
    assert tokens.all()
    assert (tokens == griff_toy.ASK).sum() > 2


def test_positions_count_from_each_beginning() -> None:
    made = Batch(np.array([[2, 7, 8, 2, 9, 2, 2, 7], [9, 7, 8, 2, 9, 9, 9, 9]], np.uint16), np.zeros((2, 8), np.uint8))
    assert made.positions.tolist() == [[0, 1, 2, 0, 1, 0, 0], [0, 1, 2, 0, 1, 2, 3]]


def test_the_rest_of_a_long_conversation_begins_the_next_row_and_its_copies_weigh_nothing() -> None:
    said = list(range(10, 25))
    long = ([2, *said, *said], [0, *[1] * 15, *[3] * 15])
    rows = Rows(iter([long] * 40), iter([long] * 40), 20)
    first, weights = rows.packed()
    assert first.tolist() == long[0][:21]
    assert weights.tolist() == long[1][:21]
    second, weights = rows.packed()
    assert second[:11].tolist() == [BOS, *long[0][21:]]
    assert not weights[:11].any()


def test_a_conversation_that_is_none_is_refused() -> None:
    for bad in (([5, 6], [0, 1]), ([2], [0]), ([2, 5], [0])):
        with pytest.raises(ValueError, match=r"bos|weights"):
            Rows(iter([bad]), iter([bad]), 8).packed()


def test_shards_hold_what_was_written(tmp_path: Path) -> None:
    written = list(itertools.islice(toy(), 20))
    write_shard(tmp_path / "toy.npz", written)
    read = list(itertools.islice(Shards([f"{tmp_path}/toy.npz:2"])(0), 60))
    assert all((list(t), list(w)) in [tuple(c) for c in written] for t, w in read)
    assert len({tuple(t) for t, _ in read}) > 10


# --- processes that make batches ----------------------------------------------------------------


def test_batches_depend_on_seed_and_number_alone() -> None:
    """Whoever makes them, in whatever number, in processes that import no MLX."""
    data = Data((2, 32), 5, "griff_toy.conversations", (("longest", "7"),))
    want = [batch_of(griff_toy.conversations, {"longest": "7"}, (2, 32), seed_of(5, n)) for n in range(3, 11, 2)]
    for processes in (0, 2):
        feed = Feed(data, processes, first=3, step=2)
        for expected in want:
            got = next(feed)
            assert np.array_equal(got.tokens, expected.tokens)
            assert np.array_equal(got.weights, expected.weights)
        feed.close()


def test_what_fails_in_a_process_is_told() -> None:
    feed = Feed(Data((2, 32), 0, "griff_toy.broken"), 1)
    with pytest.raises(DataError, match="the table of birds"):
        next(feed)
    feed.close()
    feed = Feed(Data((2, 32), 0, "griff_toy.endless", stuck=0.1), 1)
    with pytest.raises(DataError, match="never done"):
        next(feed)
    feed.close()
    with pytest.raises(ValueError, match="names no function"):
        Data((2, 32), 0, "griff_toy.nothing").source()


# --- the loss -----------------------------------------------------------------------------------


def test_the_loss_is_the_mean_over_weights() -> None:
    net, one = network(), batch()
    parameters = net.parameters()
    found = losses(net, parameters, inputs(one), mx.float32).tolist()
    logits = np.array(net.head(net.packed(*inputs_of(one)), inference=False)).astype(np.float64)
    targets, weights = one.tokens[:, 1:].astype(int), one.weights[:, 1:]
    entropy = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    copied = weights == 3
    want = [(entropy * weights).sum(), weights.sum(), entropy[copied].sum(), copied.sum()]
    assert np.allclose(found, want, rtol=1e-4)
    assert 0 < copied.sum() < (weights > 0).sum()


def inputs_of(one: Batch) -> tuple[mx.array, mx.array]:
    tokens, _, positions = inputs(one)
    return tokens[:, :-1], positions


def test_the_head_in_pieces_gives_the_same_loss_and_gradients() -> None:
    net, one = network(), inputs(batch())
    parameters = net.parameters()
    whole, pieces = (Step(net, parameters, adamw(), mx.float32, piece=p, compiled=False) for p in (10**6, 100))
    (a, whole_gradients), (b, piece_gradients) = whole.gradients(parameters, one), pieces.gradients(parameters, one)
    assert np.allclose(np.array(a), np.array(b), rtol=1e-5)
    for (name, g), (_, h) in zip(tree_flatten(whole_gradients), tree_flatten(piece_gradients), strict=True):
        assert np.abs(np.array(g) - np.array(h)).max() < 1e-5, name


def test_bfloat16_computes_about_the_same_and_keeps_its_parameters_in_float32() -> None:
    net, one = network(), inputs(batch())
    parameters = net.parameters()
    exact, rough = (losses(net, parameters, one, d)[0].item() for d in (mx.float32, mx.bfloat16))
    assert exact != rough
    assert abs(exact - rough) < 0.02 * exact
    step = Step(net, parameters, adamw(), compiled=False)
    step(one, 1e-3)
    assert {p.dtype for _, p in tree_flatten(step.parameters)} == {mx.float32}


def test_a_step_gives_back_its_trees_in_their_order() -> None:
    """Another order of the same names would be another function to compile, at every step."""
    net = network()
    step = Step(net, net.parameters(), adamw(), mx.float32, compiled=False)
    before = [[name for name, _ in tree_flatten(tree)] for tree in (step.parameters, step.state)]
    step(inputs(batch()), 1e-3)
    assert [[name for name, _ in tree_flatten(tree)] for tree in (step.parameters, step.state)] == before


def test_weight_decay_is_for_matrices() -> None:
    names = [name for name, _ in tree_flatten(network().parameters())]
    kept = {
        name.rsplit(".", 2)[-1] if "rg_lru" in name else ".".join(name.rsplit(".", 2)[-2:])
        for name in names
        if not decays(name)
    }
    assert "conv_1d.weight" in kept
    assert "final_norm.weight" in kept
    assert "recurrent_param" in kept
    assert not {n for n in kept if n.endswith("_gate_weight") or n in ("q_proj.weight", "embed_tokens.weight")}


def test_schedules_warm_up_and_fall() -> None:
    s = Schedule(1.0, 0.1, 10, steps=100)
    s.set(0, *s.measure(0))
    rates = [s.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1, abs=0.01)
    assert max(rates) == rates[9]
    assert rates[99] == pytest.approx(0.1, abs=0.01)
    assert all(a > b for a, b in itertools.pairwise(rates[9:]))
    assert not s.over(99)
    assert s.over(100)
    timed = Schedule(1.0, 0.1, 10, minutes=10, spent=599)
    timed.set(50, *timed.measure(50))
    assert 0.99 < timed.share(50) <= 1.0


# --- training -----------------------------------------------------------------------------------


def test_the_loss_falls_and_its_plot_is_a_picture(tmp_path: Path) -> None:
    log = train(tmp_path, "--steps", "25")
    assert [line["step"] for line in log] == list(range(1, 26))
    assert np.mean([line["loss"] for line in log[-5:]]) < 0.8 * log[0]["loss"]
    assert all(line["copied"] > 0 for line in log)
    assert log[-1]["tokens"] == 25 * 4 * 64
    svg = plot.draw(plot.read(tmp_path / "log.jsonl"))
    paths = [e for e in ET.fromstring(svg).iter() if e.get("stroke-width")]
    assert len(paths) == 2
    assert svg.count("copied tokens") == 1


def test_a_killed_training_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """The second half, from the checkpoint of the first, has the losses of an undisturbed run."""
    whole = train(tmp_path / "whole", "--steps", "6", "--float32")
    (tmp_path / "cut").mkdir()
    training = Training(options(tmp_path / "cut", "--steps", "6", "--float32", "--save-minutes", "0"))
    training._write = lambda line: stop_at(3, line)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        training.run()
    saved = checkpoint.load(tmp_path / "cut" / "checkpoint.safetensors")[2]
    assert saved["step"] == 2
    rest = train(tmp_path / "cut", "--steps", "6", "--float32")
    assert [line["step"] for line in rest] == [3, 4, 5, 6]
    for a, b in zip(whole[2:], rest, strict=True):
        assert (a["loss"], a["norm"], a["rate"]) == (b["loss"], b["norm"], b["rate"])


def test_a_part_ends_with_a_checkpoint_and_the_same_command_goes_on(tmp_path: Path) -> None:
    arguments = ["--steps", "25", "--float32", "--part", "1e-9"]
    for last in (10, 20, 25):
        assert not (tmp_path / "done").exists()
        assert train(tmp_path, *arguments)[-1]["step"] == last
    assert (tmp_path / "done").exists()
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 26))


def stop_at(step: int, line: dict[str, Any]) -> None:
    if line["step"] == step:
        raise KeyboardInterrupt


def test_parts_travel_and_become_a_model(tmp_path: Path) -> None:
    pieces = len(rgmlx.load("demo").tokenizer)
    first = train(tmp_path / "one", "--steps", "3", "--export", str(tmp_path / "parts"), "--vocabulary", str(pieces))
    files = sorted(p.name for p in (tmp_path / "parts").iterdir())
    assert files == ["training.json", "weights-1-of-1.safetensors"]
    parameters, notes = checkpoint.parts(tmp_path / "parts")
    assert (notes["step"], notes["tokens"], notes["loss"]) == (3, first[-1]["tokens"], first[-1]["loss"])
    # A training that begins with them goes on in counting, with data of its own and a warm-up.
    log = train(tmp_path / "two", "--steps", "2", "--init", str(tmp_path / "parts"), "--window", "30")
    assert [line["step"] for line in log] == [4, 5]
    assert log[0]["rate"] == first[0]["rate"]
    assert log[0]["loss"] < first[0]["loss"]
    # What is used computes what was trained.
    checkpoint.to_hugging_face(tmp_path / "parts", tmp_path / "model", demo_directory() / "tokenizer.model")
    model = rgmlx.load(tmp_path / "model", dtype="float32")
    net = RecurrentGemma(model.config)
    net.update(parameters)
    tokens = mx.array([[2, 5, 9, 30, 31, 7]])
    assert np.abs(np.array(model(tokens)) - np.array(net(tokens))).max() < 1e-4


def test_a_training_goes_on_from_a_packed_model(tmp_path: Path) -> None:
    """Of each matrix what packing kept, of all else the numbers themselves."""
    demo = demo_directory()
    arrays, config = unpack.unpacked(demo)
    model = rgmlx.load(str(demo))
    net = RecurrentGemma(rgmlx.griffin.config.ModelConfig.from_dict(config))
    wanted = {name: array.shape for name, array in tree_flatten(net.parameters())}
    assert {name: array.shape for name, array in arrays.items()} == wanted
    net.update(tree_unflatten(list(arrays.items())))
    tokens = mx.array([[2, 300, 401, 502, 603, 704, 805]])
    assert mx.allclose(net(tokens), model(tokens), atol=1e-2), "the logits of the packed model"
    assert "quantization" not in config

    checkpoint.export(tmp_path, tree_unflatten(list(arrays.items())), {"config": net.config.to_dict(), "step": 0})
    begun, notes = checkpoint.parts(tmp_path)
    assert {name: array.shape for name, array in tree_flatten(begun)} == wanted
    assert notes["config"] == net.config.to_dict()


def test_what_is_no_packed_model_can_not_be_gone_on_from(tmp_path: Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="holds no packed model"):
        unpack.unpacked(tmp_path)


def test_parts_of_a_large_model_fit_and_what_is_missing_is_told(tmp_path: Path) -> None:
    big = {"a": mx.zeros((7, 2**20)), "b": {"norm": {"weight": mx.zeros((2**20,))}}, "c": mx.zeros((6, 2**20))}
    files = checkpoint.export(tmp_path, big, {"step": 1})
    assert len(files) == 4
    assert all(f.stat().st_size <= checkpoint.PART_BYTES for f in files)
    found, _ = checkpoint.parts(tmp_path)
    assert {k: v.shape for k, v in tree_flatten(found)} == {k: v.shape for k, v in tree_flatten(big)}
    files[0].unlink()
    with pytest.raises(checkpoint.CheckpointError, match="2 of 3 parts"):
        checkpoint.parts(tmp_path)
    with pytest.raises(checkpoint.CheckpointError, match="more than a part"):
        checkpoint.export(tmp_path, {"a": mx.zeros((8, 2**20))}, {})
    with pytest.raises(checkpoint.CheckpointError, match="8 parts"):
        checkpoint.export(tmp_path, {str(i): mx.zeros((7, 2**20)) for i in range(8)}, {})


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, "--steps", "2")
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    training = Training(options(tmp_path, "--steps", "9"))
    training.step.parameters["model"]["final_norm"]["weight"] = mx.full((64,), float("nan"))
    with pytest.raises(TrainingError, match="no number"):
        training.run()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


# --- several at once ----------------------------------------------------------------------------


def command(out: Path, *more: str) -> tuple[list[str], dict[str, str]]:
    path = os.pathsep.join([str(Path(__file__).parent), str(rooms.SCRIPTS), str(rooms.ROOT)])
    return [sys.executable, "-m", "griff.train", "--out", str(out), *TINY, *TOY, *more], os.environ | {
        "PYTHONPATH": path
    }


def test_two_that_share_gradients_are_one_with_both_batches(tmp_path: Path) -> None:
    """Over MLX's ring on this machine's CPU, as over NCCL on GPUs: rows of both, averaged."""
    line, env = command(tmp_path, "--steps", "3", "--gpus", "2", "--float32", "--backend", "ring")
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    log = lines(tmp_path)
    assert log[-1]["tokens"] == 3 * 2 * 4 * 64
    net = network(3)
    step = Step(net, net.parameters(), adamw(), mx.float32, compiled=False)
    both = [inputs(batch_of(griff_toy.conversations, {}, (4, 64), seed_of(3, n))) for n in (0, 1)]
    found = np.sum([np.array(step.losses(step.parameters, b)) for b in both], axis=0)
    assert log[0]["loss"] == pytest.approx(found[0] / found[1], abs=2e-4)
    assert log[-1]["loss"] < log[0]["loss"]


def test_when_one_dies_all_end(tmp_path: Path) -> None:
    line, env = command(tmp_path, "--steps", "100000", "--gpus", "2", "--backend", "ring")
    launcher = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    while '"step": 2' not in launcher.stdout.readline():
        assert launcher.poll() is None
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[1]), signal.SIGKILL)
    launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode
    assert not any(Path(f"/proc/{child}").exists() for child in children)
