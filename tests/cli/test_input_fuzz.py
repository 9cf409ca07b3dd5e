"""B14. Wrong input of any kind is refused with a sentence, or does no harm: no traceback, no hang.

The harness is `scripts/fuzz_input.py`, which runs for as long as one likes; here it runs some inputs of each target, and
the faults that it has found stand by name below.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import checkpoints
import fuzz_input
import mlx.core as mx
import pytest
import rooms
from fuzz_targets import TARGETS, changed, fields, small_model

import rgmlx
from rgmlx.convert import recipe
from rgmlx.errors import ChatError, CheckpointError, ConfigError, RgmlxError, StateError
from rgmlx.generation import sampling
from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.state import _checksum
from rgmlx.store import Conversation, Store, StoreError
from rgmlx.system import times
from rgmlx.system.files import load_arrays
from rgmlx.system.formatting import when, when_briefly
from rgmlx.tokenizer import Tokenizer
from rgmlx.weights.checkpoint import INDEX

INPUTS = {"rgmlx": 12, "rgchat": 12, "config.json": 40, "generation_config.json": 40, "index": 40, "weights": 40}


@pytest.mark.parametrize("name", TARGETS)
def test_b14_no_input_ends_in_a_traceback_or_a_hang(name: str) -> None:
    count = fuzz_input.run([name], seconds=600, seed=14, inputs=INPUTS.get(name, 120))[name]
    assert count.faults == []
    assert count.inputs == min(INPUTS.get(name, 120), count.inputs) > 10
    assert count.refused or name == "stored times"


class _Faulty:
    """A target with faults: what the harness must notice."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def table(self) -> list[bytes]:
        return [b"refused", b"accepted", b"raises", b"exits", b"hangs"]

    def seeds(self) -> list[bytes]:
        return []

    def use(self, case: bytes) -> None:
        if case == b"refused":
            raise RgmlxError("no")
        if case == b"raises":
            raise ValueError("a bug")
        if case == b"exits":
            import os

            os.abort()
        if case == b"hangs":
            time.sleep(600)


def test_b14_the_harness_notices_every_kind_of_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, as in the long run."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, pathlib\n"
        f"sys.path[:0] = {[str(Path(fuzz_input.__file__).parent), str(rooms.TESTS)]!r}\n"
        "if '--worker' in sys.orig_argv:\n"
        "    import rooms, fuzz_targets, test_input_fuzz\n"
        "    fuzz_targets.TARGETS['faulty'] = test_input_fuzz._Faulty\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FUZZ_SLOW", "1")
    count = fuzz_input.run(["faulty"], seconds=300, seed=0, inputs=5)["faulty"]
    assert (count.refused, count.accepted, len(count.faults)) == (1, 1, 3)
    for what in ("ValueError: a bug", "the process died (-6)", "hangs"):
        assert any(what in fault for fault in count.faults), count.faults


def test_b14_damage_is_decided_by_the_seed() -> None:
    table, seeds = [b"a", b"b"], [b"some input"]

    def first(seed: int) -> list[bytes]:
        return [case for case, _ in zip(fuzz_input.cases(table, seeds, seed), range(60), strict=False)]

    assert first(1) == first(1) != first(2) and sorted(first(1)[:2]) == table
    good = {"a": [1, {"b": 2}]}
    assert list(fields(good)) == [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b")]
    assert changed(good, ("a", 1, "b"), "1e400") == b'{"a": [1, {"b": 1e400}]}'


# --- times --------------------------------------------------------------------------------

NO_TIMES = [
    "1700000000000",
    "1700000000000000000",
    "-1",
    "-1.5",
    "18446744073709551616",
    "1e400",
    "-1e400",
    "NaN",
    "true",
]
NO_TIMES += ["null", '"2026-01-01"', "[]", "9" * 400, "253402214400"]


@pytest.fixture
def exported(store: Store, chat: Conversation) -> dict[str, Any]:
    store.messages.add_user(chat.id, None, "Hello")
    return json.loads(store.import_export.to_json(chat.id))


@pytest.mark.parametrize("value", NO_TIMES)
@pytest.mark.parametrize("way", [("created",), ("updated",), ("messages", 0, "created")])
def test_b14_an_imported_time_that_is_none(
    store: Store, exported: dict[str, Any], way: tuple[Any, ...], value: str
) -> None:
    with pytest.raises(StoreError, match=r"the time of .* is .*: give seconds since 1970|not an exported|damaged"):
        store.import_export.from_json(changed(exported, way, value).decode())
    assert len(store.conversations.listed()) == 1


@pytest.mark.parametrize(
    "value", ["Infinity", "NaN", "1e400", "1.0", "true", "null", '"1"', "0", "-1", "[]", "9" * 5000]
)
def test_b14_a_version_that_is_none(store: Store, exported: dict[str, Any], value: str) -> None:
    with pytest.raises(StoreError, match="not an exported"):
        store.import_export.from_json(changed(exported, ("version",), value).decode())


@pytest.mark.parametrize("value", [1.7e18, 1.7e12, -5.0, 1e400, -1e400, 2**62, 0, "x", b"\0"])
def test_b14_times_that_are_in_the_store_already(store: Store, chat: Conversation, value: Any) -> None:
    """An older version let them in. They are shown as unknown, and the conversation goes out and in again."""
    store.messages.add_user(chat.id, None, "Hello")
    with store._database.transaction() as c:
        c.execute("UPDATE conversations SET created = ?1, updated = ?1", (value,))
        c.execute("UPDATE messages SET created = ?", (value,))
    (one,) = store.conversations.listed()
    assert "at an unknown time" in store.import_export.markdown(one.id)
    assert (when(one.updated, time.time()), when_briefly(one.updated, time.time())) == ("at some time", "?")
    again = store.import_export.from_json(store.import_export.to_json(one.id))
    assert (again.created, again.updated) == (0, 0) and store.messages.path(again.head)[0].created == 0


def test_b14_times() -> None:
    assert times.known(1) and times.known(1.7e9) and not any(map(times.known, (None, True, "1", float("nan"), 0, -1)))
    assert times.shown(86_400 * 366, "%Y") == "1971"
    assert times.shown(253_402_214_399.0, "%Y") == "9999"


# --- what the harness has found -------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_model(tmp_path / "model")


GENERATION = {"top_k": 0.5, "temperature": "0.7", "top_p": [], "repetition_penalty": 10**400, "eos_token_id": [1.5]}


@pytest.mark.parametrize("name", GENERATION)
def test_b14_generation_config(small: Path, name: str) -> None:
    (small / "generation_config.json").write_text(json.dumps({name: GENERATION[name]}))
    with pytest.raises(ConfigError, match=rf"generation_config.json: {name} must be"):
        rgmlx.load(small)
    (small / "generation_config.json").write_text('{"temperature": 1' + "0" * 30 + "}")
    assert rgmlx.load(small).sampling.temperature == 1e30
    with pytest.raises(RgmlxError, match="seed must be a whole number"):
        sampling.make_sampling({"seed": "x"})


@pytest.mark.parametrize("name", ["logits_soft_cap", "rope_theta", "rms_norm_eps"])
def test_b14_a_whole_number_of_any_size_in_a_config(small: Path, name: str) -> None:
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps({**config, name: 10**30}))
    assert rgmlx.load(small).generate([2, 5], max_tokens=1) is not None
    with pytest.raises(ConfigError, match=f"{name} must be a positive number below 1e\\+38, not"):
        ModelConfig.from_dict({**config, name: 10**400})
    with pytest.raises(ConfigError, match=r"below 1e\+38, not 1e\+300"):
        ModelConfig.from_dict({**config, name: 1e300})


@pytest.mark.parametrize(
    "name", ["num_hidden_layers", "attention_window_size", "hidden_size", "conv1d_width", "vocab_size"]
)
def test_b14_a_config_of_no_model_is_refused_before_it_is_built(small: Path, name: str) -> None:
    """A network of two thousand million layers takes for ever, and a window of as many tokens all memory."""
    config = json.loads((small / "config.json").read_text())
    for value in (2**31 - 1, 2**30):
        with pytest.raises(ConfigError, match=f"{name} must be a positive whole number up to"):
            ModelConfig.from_dict({**config, name: value})


def test_b14_a_state_larger_than_the_machine(small: Path) -> None:
    model = rgmlx.load(small)
    with pytest.raises(RgmlxError, match="more than this machine's"):
        model.new_state(2**40)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("states", "now", "positions"), "[9223372036854775808]"),
        (("states", "now", "positions"), "[Infinity]"),
        (("states", "now", "positions"), "[]"),
        (("states", "now", "recent", 0), '["x"]'),
        (("states", "now", "recent", 0, 0), "9999999"),
        (("identity",), "[" * 100_000),
        (("extra", "chat", "unread", "now"), "[-1]"),
        (("extra", "chat", "unread", "now"), '"x"'),
        (("extra", "chat", "turns", 0, 0), '"system"'),
        (("extra", "chat", "system"), "[]"),
        (("extra", "chat", "sampling"), '{"model": 1}'),
        (("extra", "chat", "sampling", "temperature"), "[]"),
    ],
)
def test_b14_headers_of_saved_chats(tmp_path: Path, small: Path, way: tuple[Any, ...], value: str) -> None:
    model, path = rgmlx.load(small), tmp_path / "a.rgstate"
    chat = model.chat(temperature=0.5)
    list(chat.send("Hello", max_tokens=1))
    chat.save(path)
    arrays, metadata = load_arrays(path, StateError)
    good = json.loads(metadata[way[0]])
    metadata[way[0]] = changed(good, way[1:], value).decode()
    del metadata["checksum"]
    metadata["checksum"] = _checksum(arrays, metadata)
    mx.eval(list(arrays.values()))
    with open(path, "wb") as f:
        mx.save_safetensors(f, arrays, metadata)
    with pytest.raises(
        (StateError, ChatError),
        match=r"a\.rgstate (has a damaged header|is not a saved chat|was written by a newer rgmlx)",
    ):
        rgmlx.Chat.load(path, model)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [-1]},
        {"shape": [2**40]},
        {"shape": [1.0]},
        {"shape": "x"},
        {"data_offsets": [0, float("inf")]},
        {"data_offsets": [0, 2**64]},
        {"data_offsets": [8, 0]},
        {"data_offsets": [True, 64]},
        {"dtype": "F16"},
        {"dtype": []},
        {"shape": [1] * 9 + [16]},
    ],
)
def test_b14_headers_of_weights(small: Path, change: dict[str, Any]) -> None:
    path = small / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["model.final_norm.weight"] |= change
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(CheckpointError, match=r"damaged header|truncated"):
        rgmlx.load(small)


@pytest.mark.parametrize("value", [[], "x", [[]], {"decoders": [1]}, {"decoders": 1}, {"type": []}])
def test_b14_decoders_of_a_tokenizer_json(tmp_path: Path, value: Any) -> None:
    target = TARGETS["tokenizer.json"](tmp_path)
    path = tmp_path / "model" / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(target.seeds()[0]), "decoder": value}))
    with pytest.raises(RgmlxError, match=r"tokenizer\.json"):
        Tokenizer(path)


@pytest.mark.parametrize(
    "value", ["4.0", "true", "[]", "{bits = 4.0}", "{bits = []}", "{mode = []}", "1e400", "nan", "9" * 5000]
)
def test_b14_recipes(tmp_path: Path, value: str) -> None:
    (tmp_path / "r.toml").write_text(f"default = {value}")
    with pytest.raises(RgmlxError, match="the recipe"):
        recipe.load(str(tmp_path / "r.toml"))


def test_b14_an_index_that_is_infinite(tmp_path: Path) -> None:
    c = checkpoints.config()
    where = checkpoints.write(tmp_path / "model", c, checkpoints.weights(c), 2)
    index = json.loads((where / INDEX).read_text())
    (where / INDEX).write_bytes(changed(index, ("metadata",), '{"total_size": Infinity}'))
    from rgmlx.weights.catalog import examine

    assert "damaged" in examine(where).problem
