"""Does a model fit: the sentence before it is loaded, and the weights that are kept in memory on a Mac. With stand-ins."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from scripted import idle, notices, type_and_send
from waiting import PATIENCE, wait_until

import rgmlx
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError, warnings_told
from rgmlx.generation import wired
from rgmlx.generation.engine import Generation, generate_batch, prefill
from rgmlx.griffin.config import PRESETS, ModelConfig
from rgmlx.store import Store
from rgmlx.system import memory
from rgmlx.weights import fitting
from rgmlx.weights.fitting import TooLarge
from tui.activity import Activity
from tui.app import ChatApp
from tui.plain import PlainChat

GB = 10**9
GIB = 2**30
FOUR = {"bits": 4, "group_size": 64}
MAC8, MAC16 = (8 * GIB, 5_726_633_984), (16 * GIB, 11_453_251_584)
"""Memory, and what Metal recommends."""


@dataclass
class Machine:
    """What MLX and the system say of a machine, and the wired limit that is set there."""

    total: int
    gpu: int
    metal: bool
    wired: int = 0
    limits: list[int] = field(default_factory=list)

    def set_wired_limit(self, limit: int) -> int:
        if limit > self.gpu:
            raise ValueError("[metal::set_wired_limit] Setting a wired limit larger than the maximum")
        self.limits.append(limit)
        old, self.wired = self.wired, limit
        return old


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Machine]]:
    def of(total: int, gpu: int = 0, metal: bool = True) -> Machine:
        made = Machine(total, gpu, metal)
        monkeypatch.setattr(memory, "physical", lambda: made.total)
        monkeypatch.setattr(memory, "of_gpu", lambda: float(made.gpu))
        monkeypatch.setattr(memory, "on_metal", lambda: made.metal)
        monkeypatch.setattr(
            mx,
            "device_info",
            lambda: {"max_recommended_working_set_size": made.gpu, "memory_size": made.total},
        )
        monkeypatch.setattr(mx, "set_wired_limit", made.set_wired_limit)
        return made

    yield of
    assert not wired._limit._held


def quantized(name: str) -> ModelConfig:
    return replace(PRESETS[name], quantization=FOUR)


# --- the sentence -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "config", "weights", "says"),
    [
        (
            (*MAC8, True),
            quantized("9b"),
            4.91,
            "9B in 4 bits needs about 5.9 GB, and this Mac lets programs use 5.7 GB of its 8 GB: it will be slow; "
            "take 2B in 4 bits, which needs 2.2 GB",
        ),
        (
            (*MAC16, True),
            PRESETS["9b"],
            17.16,
            "9B in bfloat16 needs about 19.4 GB, and this Mac lets programs use 11.5 GB of its 16 GB: it will be slow; "
            "take 9B in 4 bits, which needs 5.9 GB",
        ),
        (
            (*MAC8, True),
            PRESETS["2b"],
            5.37,
            "2B in bfloat16 needs about 6.4 GB, and this Mac lets programs use 5.7 GB of its 8 GB: it will be slow; "
            "take 2B in 4 bits, which needs 2.2 GB",
        ),
        (
            (128 * GB, 16 * GB, False),
            PRESETS["9b"],
            17.16,
            "9B in bfloat16 needs about 19.4 GB, and this GPU has 16.0 GB: it will be slow; take 9B in 4 bits, which "
            "needs 5.9 GB",
        ),
        (
            (2 * GB, 0, False),
            quantized("2b"),
            1.54,
            "2B in 4 bits needs about 2.2 GB, and this machine has 2.0 GB of memory: it will be slow; take a smaller model",
        ),
    ],
)
def test_a_model_that_will_be_slow(
    machine: Callable[..., Machine], where: tuple[int, int, bool], config: ModelConfig, weights: float, says: str
) -> None:
    machine(*where)
    with pytest.warns(TooLarge) as seen:
        fitting.check(config, "bfloat16", int(weights * GB))
    assert [str(w.message) for w in seen] == [says]


@pytest.mark.parametrize(
    ("where", "config", "weights"),
    [
        ((*MAC8, True), quantized("2b"), 1.54),
        ((*MAC16, True), quantized("9b"), 4.91),
        ((*MAC16, True), PRESETS["2b"], 5.37),
        ((16 * GB, 0, False), quantized("9b"), 4.91),
        ((8 * GB, 80 * GB, False), PRESETS["9b"], 17.16),
    ],
)
def test_a_model_that_fits_is_no_sentence(
    machine: Callable[..., Machine], where: tuple[int, int, bool], config: ModelConfig, weights: float
) -> None:
    machine(*where)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting.check(config, "bfloat16", int(weights * GB))


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (
            (*MAC16, True),
            "9B in bfloat16 does not fit: its weights take 17.2 GB, and this Mac lets programs use 11.5 GB of its 16 GB: "
            "take 9B in 4 bits, which needs 5.9 GB",
        ),
        (
            (4 * GB, 0, False),
            "9B in bfloat16 does not fit: its weights take 17.2 GB, and this machine has 4.0 GB of memory: "
            "take 2B in 4 bits, which needs 2.2 GB",
        ),
        (
            (8 * GB, 8 * GB, False),
            "9B in bfloat16 does not fit: its weights take 17.2 GB, and this GPU has 8.0 GB: "
            "take 9B in 4 bits, which needs 5.9 GB",
        ),
    ],
)
def test_only_what_can_not_be_loaded_is_refused(
    machine: Callable[..., Machine], where: tuple[int, int, bool], says: str
) -> None:
    machine(*where)
    with pytest.raises(RgmlxError) as caught:
        fitting.check(PRESETS["9b"], "bfloat16", int(17.2 * GB))
    assert str(caught.value) == says


def test_the_size_of_a_4_bit_conversion_is_known_well_enough() -> None:
    """1.54 and 4.91 GB, as `rgmlx convert --dry-run` says of the published shapes."""
    for name, size in (("2b", 1.54), ("9b", 4.91)):
        assert abs(PRESETS[name].parameter_counts()["total"] * fitting._BITS / 8 / GB - size) < 0.05


def test_weights_count_as_they_will_be_cast() -> None:
    weights = rgmlx.weights.checkpoint.read_weights(rgmlx.weights.hub.demo_directory())
    for name in ("float32", "bfloat16"):
        model = rgmlx.load(dtype=name)
        loaded = sum(a.nbytes for _, a in tree_flatten(model.parameters()))
        counted = rgmlx.weights.checkpoint.loaded_nbytes(weights, getattr(mx, name))
        assert abs(counted - loaded) < 0.1 * loaded  # gates may be stored in fewer bits


def test_a_load_warns_before_it_reads_and_the_program_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "physical", lambda: 300_000_000)
    told: list[str] = []
    monkeypatch.setattr(rgmlx.weights.checkpoint, "build", lambda *_: told.append("built"))
    monkeypatch.setattr(rgmlx.weights.checkpoint, "fingerprint", lambda _: "x")
    with warnings_told(told.append):
        rgmlx.load()
    assert told[0].startswith(
        "34.7M in 4 bits needs about 0.5 GB, and this machine has 0.3 GB of memory: it will be slow"
    )
    assert told[1:] == ["built"]


def test_other_warnings_go_where_they_would() -> None:
    told: list[str] = []
    with pytest.warns(UserWarning, match="theirs"), warnings_told(told.append):
        warnings.warn("theirs", UserWarning, stacklevel=1)
        warnings.warn("ours", TooLarge, stacklevel=1)
        warnings.warn("ours", TooLarge, stacklevel=1)
    assert told == ["ours", "ours"]


@pytest.mark.parametrize(("bytes_of_memory", "code"), [(300_000_000, 0), (1_000_000, 1)])
def test_the_command_line_says_it_in_one_sentence(bytes_of_memory: int, code: int) -> None:
    program = (
        f"from rgmlx.system import memory; memory.physical = lambda: {bytes_of_memory}\n"
        "from rgmlx.cli import main; main(['ask', 'Hi', '--max-tokens', '2'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    says = "needs about 0.5 GB, and this machine" if code == 0 else "does not fit: its weights take 0.0 GB"
    assert done.stderr.startswith("rgmlx: 34.7M in 4 bits ") and says in done.stderr
    assert bool(done.stdout.strip()) == (code == 0)


# --- weights that are kept in memory ------------------------------------------------------


@pytest.mark.parametrize(
    ("mac", "weights", "limit"),
    [
        (MAC8, 1.54, 1.54 + GIB / GB),
        (MAC8, 4.91, 0),  # 9B leaves too little to all others
        (MAC16, 4.91, 4.91 * 1.25),
        (MAC16, 9.2, 0),
        ((64 * GIB, 48 * GIB), 17.2, 17.2 * 1.25),
        ((16 * GIB, 3 * GIB), 4.91, 3 * GIB / GB),  # somebody has lowered what the system allows
    ],
)
def test_the_limit(machine: Callable[..., Machine], mac: tuple[int, int], weights: float, limit: float) -> None:
    machine(*mac)
    assert abs(wired.limit(int(weights * GB)) - limit * GB) < 2


def weights_of(model: rgmlx.Model) -> int:
    return sum(a.nbytes for _, a in tree_flatten(model.parameters()))


USES: dict[str, Callable[[rgmlx.Model, Callable[[], None]], object]] = {
    "prefill": lambda m, look: prefill(m, m.new_state(), [[5, 6]], progress=lambda *_: look()),
    "read_prompt": lambda m, look: Generation(m, m.new_state(), [5], progress=lambda *_: look()).read_prompt(),
    "generate": lambda m, look: m.generate([5, 6], max_tokens=3, progress=lambda *_: look()),
    "stream": lambda m, look: [look() for _ in m.stream([2, 5], max_tokens=5, temperature=1.0, seed=1)],
    "batch": lambda m, look: [look() for _ in generate_batch(m, m.new_state(2), [[2], [5]], max_tokens=3)],
    "chat": lambda m, look: [look() for _ in m.chat(seed=1).send("Hi", max_tokens=5)],
}


@pytest.mark.parametrize("use", USES)
def test_the_limit_is_raised_while_a_model_works_and_put_back(
    use: str, machine: Callable[..., Machine], demo: rgmlx.Model
) -> None:
    mac, seen = machine(*MAC8), list[int]()
    mac.wired = 7
    USES[use](demo, lambda: seen.append(mac.wired))
    assert set(seen) == {wired.limit(weights_of(demo))} and seen[0] > GIB
    assert mac.wired == 7


def test_a_stream_that_is_left_or_fails_puts_it_back(machine: Callable[..., Machine], demo: rgmlx.Model) -> None:
    mac = machine(*MAC8)
    stream = demo.stream([2, 5], temperature=1.0, seed=1)
    next(stream)
    assert mac.wired > GIB
    stream.close()
    assert mac.wired == 0

    def fail(done: int, total: int) -> None:
        raise OSError

    with pytest.raises(OSError):
        demo.generate([2, 5], progress=fail)
    thrown_away = demo.stream([2, 5], temperature=1.0, seed=1)
    next(thrown_away)
    del thrown_away
    assert mac.wired == 0


def test_two_at_once_put_it_back_when_both_have_ended(machine: Callable[..., Machine], demo: rgmlx.Model) -> None:
    mac, other = machine(*MAC16), rgmlx.load()
    first, second, third = (m.stream([2, 5], temperature=1.0, seed=1) for m in (demo, demo, other))
    next(first)
    one = mac.wired
    next(second)
    assert mac.wired == one
    next(third)
    assert mac.wired == one + weights_of(other)
    first.close()
    third.close()
    assert mac.wired == one
    second.close()
    assert mac.wired == 0


def test_a_higher_limit_of_the_program_itself_stays(machine: Callable[..., Machine], demo: rgmlx.Model) -> None:
    mac = machine(*MAC8)
    mac.wired = 5 * GB
    stream = demo.stream([2, 5], temperature=1.0, seed=1)
    next(stream)
    assert mac.wired == 5 * GB
    stream.close()
    assert mac.wired == 5 * GB


def test_a_limit_that_is_refused_stops_no_reply(machine: Callable[..., Machine], demo: rgmlx.Model) -> None:
    def refuse(limit: int) -> int:
        raise ValueError("no")

    machine(*MAC8)
    mx.set_wired_limit = refuse  # the fixture puts it back
    assert demo.generate([2, 5], max_tokens=3, seed=1)


@pytest.mark.parametrize("total", [MAC8, (300_000_000, 200_000_000)])
def test_nothing_is_wired_without_metal_or_room(
    machine: Callable[..., Machine], demo: rgmlx.Model, total: tuple[int, int]
) -> None:
    mac = machine(*total, metal=total != MAC8)
    assert demo.generate([2, 5], max_tokens=3, seed=1)
    assert mac.limits == []


def test_threads_agree_about_it(machine: Callable[..., Machine], demo: rgmlx.Model) -> None:
    mac = machine(*MAC8)
    threads = [threading.Thread(target=lambda: demo.generate([2, 5], max_tokens=3, seed=1)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert mac.wired == 0 and max(mac.limits) == wired.limit(weights_of(demo))


def test_an_import_and_a_load_leave_the_limit_alone(machine: Callable[..., Machine]) -> None:
    mac = machine(*MAC8)
    rgmlx.load()
    assert mac.limits == []


# --- in the chat --------------------------------------------------------------------------


def test_the_chat_keeps_its_model_in_memory_between_replies(machine: Callable[..., Machine], tmp_path: Path) -> None:
    mac = machine(*MAC8)
    with Store(tmp_path) as store:
        session = Session(store, sampling={"temperature": 0.0})
        session.load()
        held = mac.wired
        assert held > GIB
        session.add_user_message("Hello!")
        assert "".join(session.generate_reply())
        assert mac.wired == held
        session.load(str(rgmlx.weights.hub.demo_directory()))
        assert mac.wired == held  # not both
        with pytest.raises(RgmlxError):
            session.load("/no/such/model")
        assert mac.wired == held
        session.close()
        assert mac.wired == 0


def test_the_chat_says_that_a_model_will_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "physical", lambda: 300_000_000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"/model\n")))
    with Store(tmp_path) as store:
        assert PlainChat(Session(store)).run() == 0
    out, error = capsys.readouterr()
    assert not error
    assert out.count("34.7M in 4 bits needs about 0.5 GB, and this machine has 0.3 GB of memory: it will be slow") == 1


async def test_one_that_does_not_fit_is_not_changed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/model NAME` in a running chat: the sentence, and the model that is there goes on."""
    large = tmp_path / "large"
    shutil.copytree(rgmlx.weights.hub.demo_directory(), large)
    app = ChatApp(Session(Store(tmp_path / "data")))
    async with app.run_test():
        await wait_until(lambda: idle(app))
        before = app.session.context
        monkeypatch.setattr(memory, "physical", lambda: 1_000_000)
        await type_and_send(app, f"/model {large}")
        await wait_until(lambda: "34.7M in 4 bits does not fit: its weights take" in notices(app))
        await wait_until(lambda: idle(app))
        assert app.session.context is before and app.session.name == "demo" and not app.chosen_model
        assert "There is no model" not in notices(app)


async def test_the_screen_says_so_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take its time already."""
    monkeypatch.setattr(memory, "physical", lambda: 300_000_000)
    go_on, build = threading.Event(), rgmlx.weights.checkpoint.build

    def held(*arguments: Any) -> None:
        assert go_on.wait(PATIENCE)
        build(*arguments)

    monkeypatch.setattr(rgmlx.weights.checkpoint, "build", held)
    app = ChatApp(Session(Store(tmp_path)))
    async with app.run_test():
        await wait_until(lambda: "34.7M in 4 bits needs about" in notices(app))
        assert app.activity is Activity.LOADING
        go_on.set()
        await wait_until(lambda: idle(app))
        assert notices(app).count("it will be slow") == 1
