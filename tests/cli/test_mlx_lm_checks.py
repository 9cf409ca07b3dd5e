"""D18: mlx-lm on our network loads and writes with the checks of `rgmlx ask`: checksums, finite logits, memory, kernels, power."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm
import mlx_lm.chat
import mlx_lm.server
import numpy as np
import pytest
from damage_weights import NAN_MASK, WEIGHTS, Damaged, nan_byte
from mlx_lm.generate import BatchGenerator, generate_step
from mlx_lm.models.cache import make_prompt_cache
from test_checksums import NOTED, flip, note, remembered, small
from test_mlx_lm_commands import HELLO, place, run, sentence

import rgmlx
from rgmlx.cli import mlx_lm as command
from rgmlx.errors import CheckpointError, NotFiniteError, RgmlxError
from rgmlx.griffin.config import ModelConfig
from rgmlx.mlx_lm import register
from rgmlx.system import memory
from rgmlx.system.macos import power
from rgmlx.verification import selfcheck
from rgmlx.weights.checksums import INDEX
from rgmlx.weights.hub import demo_directory

__all__ = ["place", "remembered"]

NOT_FINITE = "the model computes numbers that are not finite"


def loaded(directory: Path, **options: Any) -> Any:
    """What `mlx_lm.load` gives, after `register()` and without a tokenizer."""
    register()
    return mlx_lm.utils.load_model(directory, **options)[0]


# --- checksums ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", NOTED)
def test_d18_one_flipped_bit_is_refused_under_mlx_lm(where: str, tmp_path: Path) -> None:
    directory = NOTED[where](tmp_path / "made")
    loaded(directory)
    victim = sorted(directory.glob("*.safetensors"))[-1]
    flip(victim, keep_times=where == "hf download --local-dir")
    for lazy in (False, True):
        with pytest.raises(CheckpointError, match="is damaged: its SHA-256") as caught:
            loaded(directory, lazy=lazy)
        assert str(victim) in str(caught.value)
    flip(victim)
    loaded(directory)


@pytest.mark.parametrize(
    ("subcommand", "option"),
    [
        *((name, "--model") for name in ("generate", "server", "cache_prompt", "convert", "lora", "fuse", "chat")),
        *((name, "--draft-model") for name in ("generate", "server")),
    ],
)
def test_d18_every_command_compares_checksums(
    subcommand: str, option: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(demo_directory(), place / "bad")
    flip(place / "bad" / WEIGHTS)
    more = {
        "cache_prompt": ["--prompt", "Hi", "--prompt-cache-file", "c"],
        "convert": ["--mlx-path", "made"],
        "generate": HELLO,
    }
    said = sentence(capfd, subcommand, option, "bad", *more.get(subcommand, []))
    assert f"bad/{WEIGHTS} is damaged: its SHA-256" in said


def test_d18_the_model_that_a_prompt_cache_names_is_checked(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No option names it, so that only its loading can tell."""
    shutil.copytree(demo_directory(), place / "model")
    assert run("cache_prompt", "--model", "model", "--prompt", "Hi", "--prompt-cache-file", "c.safetensors") == 0
    flip(place / "model" / WEIGHTS)
    said = sentence(capfd, "generate", "--prompt-cache-file", "c.safetensors", *HELLO)
    assert "is damaged: its SHA-256" in said


def test_d18_another_architecture_is_left_alone(tmp_path: Path) -> None:
    directory = small(tmp_path / "other")
    note(directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"model_type": "no such"}))
    flip(next(directory.glob("*.safetensors")))
    with pytest.raises(ValueError, match="no such"):
        loaded(directory)
    with pytest.raises(FileNotFoundError):
        loaded(tmp_path / "nothing")


def test_d18_registering_twice_checks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("rgmlx.mlx_lm.prepare", lambda directory, lazy: calls.append((directory, lazy)))
    register()
    directory = small(tmp_path / "m")
    loaded(directory)
    loaded(directory, lazy=True)
    assert calls == [(directory, False), (directory, True)]


# --- logits that are not finite -----------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with one flipped bit that makes its logits NaN, and no checksum."""
    damaged = Damaged(tmp_path_factory.mktemp("damaged"))
    damaged.flip(nan_byte(damaged.without / WEIGHTS), NAN_MASK)
    assert not (damaged.without / INDEX).exists()
    return damaged.without


def with_batches(model: Any) -> object:
    batches = BatchGenerator(model)
    batches.insert([[2, 5, 9], [2, 5]], max_tokens=[3, 3])
    return [batches.next_generated() for _ in range(3)]


WRITES = {
    "generate_step": lambda m: [t for t, _ in generate_step(mx.array([2, 5, 9]), m, max_tokens=3)],
    "batches": with_batches,
    "a call": lambda m: m(mx.array([[2, 5, 9]]), cache=make_prompt_cache(m)),
}


@pytest.mark.parametrize("way", WRITES)
@pytest.mark.parametrize("loader", [rgmlx.load, loaded], ids=["rgmlx.load", "mlx_lm.load"])
def test_d18_logits_that_are_not_finite_end_mlx_lms_loops(way: str, loader: Any, broken: Path) -> None:
    with pytest.raises(NotFiniteError, match=NOT_FINITE):
        WRITES[way](loader(broken))
    assert WRITES[way](loader(demo_directory())) is not None


def test_d18_a_cache_is_what_it_was_when_logits_are_not_finite(broken: Path) -> None:
    model = loaded(broken)
    cache = make_prompt_cache(model)
    with pytest.raises(NotFiniteError):
        model(mx.array([[2, 5, 9]]), cache=cache)
    assert all(c.cache == [None] * 3 for c in cache)


def test_d18_a_token_of_a_reply_is_not_waited_for(broken: Path) -> None:
    """A single token stays lazy: mlx-lm computes it while the one before is under way. Scoring without a cache stays, too."""
    model = loaded(broken)
    assert np.isnan(np.array(model(mx.array([[2]]), cache=make_prompt_cache(model)))).any()
    assert np.isnan(np.array(model(mx.array([[2, 5]])))).any()


def test_d18_generate_says_it_in_a_sentence(broken: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert sentence(capfd, "generate", "--model", str(broken), *HELLO).startswith(f"rgmlx: {NOT_FINITE}")


# --- memory, kernels, power ---------------------------------------------------------------


def test_d18_a_model_that_is_large_for_the_machine(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that would be slow is said once; one that does not fit is refused, but for a conversion, which reads it in pieces."""
    shutil.copytree(demo_directory(), place / "large")
    monkeypatch.setattr(memory, "physical", lambda: 300_000_000)
    assert run("generate", "--model", "large", *HELLO) == 0
    assert capfd.readouterr().err.count("it will be slow") == 1
    shutil.copytree(demo_directory(), place / "larger")
    monkeypatch.setattr(memory, "physical", lambda: 3_000_000)
    assert "does not fit" in sentence(capfd, "generate", "--model", "larger", *HELLO)
    assert run("convert", "--model", "larger", "-d", "--mlx-path", "dense") == 0


def test_d18_kernels_are_checked_before_they_compute(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    checked = []

    def ensure(config: Any, dtype: mx.Dtype) -> None:
        checked.append((config.hidden_size, dtype))
        warnings.warn("a kernel is wrong", rgmlx.errors.RgmlxWarning, stacklevel=1)

    monkeypatch.setattr(selfcheck, "ensure", ensure)
    shutil.copytree(demo_directory(), place / "model")
    assert run("generate", "--model", "model", *HELLO) == 0
    config = ModelConfig.from_file(place / "model" / "config.json")
    assert checked[0] == (config.hidden_size, getattr(mx, config.dtype))
    assert "rgmlx: a kernel is wrong" in capfd.readouterr().err


@pytest.fixture
def awake(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether a Mac would be kept awake now."""
    now = [False]

    @contextlib.contextmanager
    def keep() -> Iterator[None]:
        before, now[0] = now[0], True
        try:
            yield
        finally:
            now[0] = before

    monkeypatch.setattr(power, "awake", keep)
    return now


@pytest.mark.parametrize("subcommand", ["generate", "chat"])
def test_d18_a_mac_stays_awake_while_a_text_is_written(
    subcommand: str, awake: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, waited = [], []
    advance = rgmlx.griffin.mlx_lm_cache.advance_cache
    monkeypatch.setattr("rgmlx.griffin.mlx_lm_cache.advance_cache", lambda *a: (seen.append(awake[0]), advance(*a))[1])

    class Lines(io.StringIO):
        def readline(self, *size: int) -> str:  # type: ignore[override]
            waited.append(awake[0])
            return super().readline(*size)

    monkeypatch.setattr(sys, "stdin", Lines("Hello\nq\n"))
    options = ["--max-tokens", "2"] if subcommand == "chat" else HELLO
    assert run(subcommand, "--model", "demo", *options) == 0
    assert seen and all(seen) and not awake[0]
    assert subcommand == "generate" or (waited and not any(waited))


def test_d18_a_mac_stays_awake_while_a_server_answers(awake: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for one that nobody asks."""
    seen = []

    def answer(handler: object, *arguments: object) -> None:
        seen.append(awake[0])
        raise RgmlxError("no more")

    monkeypatch.setattr(mlx_lm.server.APIHandler, "handle_completion", answer)
    with command._awake("server"):
        assert not awake[0]
        with pytest.raises(RgmlxError):
            mlx_lm.server.APIHandler.handle_completion(object(), None, [])
        assert not awake[0]
    assert seen == [True] and mlx_lm.server.APIHandler.handle_completion is answer
