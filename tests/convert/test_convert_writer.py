"""Nothing half-written: kills, full disks, two at once, and going on where it was cut off."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import checkpoints
import mlx.core as mx
import pytest

from rgmlx.convert import recipe
from rgmlx.convert import run as conversion
from rgmlx.convert.huggingface import SafetensorsSource
from rgmlx.convert.source import Tensor
from rgmlx.convert.writer import ConversionError, Shard, Writer, shards
from rgmlx.weights.checksums import INDEX

CONFIG = checkpoints.config(
    hidden_size=64, lru_width=64, intermediate_size=256, num_hidden_layers=12, torch_dtype="float32"
)
SHARD = 40_000  # about a dozen files

SCRIPT = """
import sys
from pathlib import Path
from rgmlx.convert import recipe, run
from rgmlx.convert.documents import documents
from rgmlx.convert.open import open_source
print("start", flush=True)
source = open_source(sys.argv[1])
plan = run.plan(source, recipe.RECIPES["4bit"])
writer = run.write(source, plan, Path(sys.argv[2]), force=True, shard_bytes=int(sys.argv[3]))
writer.finish(documents(source, "x", plan, source.directory), plan.parameters)
writer.publish()
print("done", flush=True)
"""

FORKS = """
import os, sys
import rgmlx.convert.documents, rgmlx.convert.open, rgmlx.convert.run  # once, and no array is made before a fork
code = compile(sys.argv.pop(1), "conversion", "exec")
while sys.stdin.readline():
    child = os.fork()
    if not child:
        print(os.getpid(), flush=True)
        exec(code)
        os._exit(0)
    sys.stdin.readline()  # until then its number is nobody else's
    os.waitpid(child, 0)
    print("ended", flush=True)
"""
"""Runs a script again and again, in processes of its own that need not import anything: a line begins one, the next waits for it."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write(tmp_path_factory.mktemp("source"), CONFIG, checkpoints.weights(CONFIG))


@pytest.fixture(scope="module")
def wanted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of an undisturbed conversion, by their SHA-256."""
    target = tmp_path_factory.mktemp("wanted") / "out"
    assert start(source, target).wait() == 0
    return sums(target)


def start(source: Path, target: Path, **options: object) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", SCRIPT, str(source), str(target), str(SHARD)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def sums(directory: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir()}


def partial(target: Path) -> Path:
    return target.parent / f".{target.name}.rgmlx-partial"


def finished(target: Path) -> int:
    """How many shards of an unfinished conversion are complete."""
    try:
        return sum(name.endswith(".safetensors") for name in os.listdir(partial(target)))
    except FileNotFoundError:  # not begun, or put in place
        return 0


def test_killed_at_fifty_random_points(source: Path, wanted: dict[str, str], tmp_path: Path) -> None:
    """The target is the old one or the new one, whole, after every kill; what is finished is not made again."""
    target = tmp_path / "out"
    old = checkpoints.write(target, CONFIG, {"model.old": checkpoints.weights(CONFIG)["model.final_norm.weight"]})
    before = sums(old)
    rng = random.Random(0)
    command = [sys.executable, "-c", FORKS, SCRIPT, str(source), str(target), str(SHARD)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None

    def write_line() -> None:
        process.stdin.write("\n")
        process.stdin.flush()

    def begin() -> int:
        """Starts a conversion; returns its process."""
        write_line()
        child = int(process.stdout.readline())
        assert process.stdout.readline() == "start\n"
        return child

    def ended() -> bool:
        """Waits for its end; whether it came that far by itself."""
        write_line()
        said = list(iter(process.stdout.readline, "ended\n"))
        assert said in ([], ["done\n"])
        return bool(said)

    began = time.monotonic()
    begin()
    assert ended()
    piece = (time.monotonic() - began) / len(wanted)  # about what a file takes
    assert sums(target) == wanted
    kills, resumed, replaced = 0, 0, 0
    while kills < 50:
        if replaced or not kills:  # begin again with an old model in place
            for path in target.iterdir():
                path.unlink()
            checkpoints.write(target, CONFIG, {"model.old": checkpoints.weights(CONFIG)["model.final_norm.weight"]})
            replaced = 0
        child, enough = begin(), rng.randint(0, len(wanted))
        while finished(target) < enough and not (target / INDEX).exists():
            time.sleep(0.002)
        time.sleep(rng.uniform(0, piece))
        os.kill(child, signal.SIGKILL)
        ended()
        kept = finished(target)
        kills += 1
        resumed += kept > 0
        if target.exists():
            now = sums(target)
            assert now in (before, wanted)
            replaced = int(now == wanted)
        else:  # between the two renames of a replacement: the next run puts the old one back
            assert (tmp_path / ".out.rgmlx-old").exists()
    assert resumed > 5
    process.communicate()
    assert process.returncode == 0
    last = start(source, target)
    assert last.wait() == 0
    assert sums(target) == wanted
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_ctrl_c_leaves_the_target_alone(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    process = start(source, target)
    assert process.stdout is not None
    process.stdout.readline()
    while not partial(target).exists() or not any(partial(target).glob("model-*.safetensors")):
        time.sleep(0.002)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert not target.exists() and any(partial(target).glob("model-*.safetensors"))


def test_finished_shards_are_not_made_again(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = SafetensorsSource(source)
    plan = conversion.plan(opened, recipe.RECIPES["4bit"])
    honest, made = conversion.converted, []

    def stopping(*arguments: object) -> object:
        made.append(arguments[1])
        if len(made) == 100:
            raise KeyboardInterrupt
        return honest(*arguments)

    monkeypatch.setattr(conversion, "converted", stopping)
    with pytest.raises(KeyboardInterrupt):
        conversion.write(opened, plan, tmp_path / "out", shard_bytes=SHARD)
    finished = sorted(p.name for p in partial(tmp_path / "out").glob("model-*.safetensors"))
    assert finished
    made[:] = ["counted from beyond the interruption"] * 1000
    conversion.write(opened, plan, tmp_path / "out", shard_bytes=SHARD).close()
    assert 1000 < len(made) < 1000 + len(plan.steps)
    # Another recipe's remains are of no use.
    other = conversion.plan(opened, recipe.RECIPES["8bit"])
    made[:] = ["counted from here"] * 1000
    conversion.write(opened, other, tmp_path / "out", shard_bytes=SHARD).close()
    assert len(made) == 1000 + len(other.steps)


def test_a_finished_shard_that_was_damaged_is_made_again(source: Path, wanted: dict[str, str], tmp_path: Path) -> None:
    opened = SafetensorsSource(source)
    plan = conversion.plan(opened, recipe.RECIPES["4bit"])
    conversion.write(opened, plan, tmp_path / "out", shard_bytes=SHARD).close()
    path = sorted(partial(tmp_path / "out").glob("model-*.safetensors"))[2]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert start(source, tmp_path / "out").wait() == 0
    assert sums(tmp_path / "out") == wanted


@pytest.mark.parametrize("limit", [0, 50, 20_000, 39_000])
def test_a_full_disk_at_any_point(source: Path, wanted: dict[str, str], tmp_path: Path, limit: int) -> None:
    """No file may grow beyond `limit` bytes: the system's refusal is one sentence, and the next run goes on."""
    target = tmp_path / "out"
    process = start(
        source, target, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    )
    _, said = process.communicate()
    assert process.returncode == 1 and "make room and run the same command again" in said.strip().splitlines()[-1]
    assert not target.exists()
    assert start(source, target).wait() == 0
    assert sums(target) == wanted


def test_a_disk_that_is_too_small_is_noticed_first(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: os.terminal_size((0, 0)) and type("U", (), {"free": 1000})())
    opened = SafetensorsSource(source)
    with pytest.raises(ConversionError, match=r"0\.4 MB are still to be written .* where 0\.0 MB are free"):
        conversion.write(opened, conversion.plan(opened, recipe.RECIPES["4bit"]), tmp_path / "out")


def test_two_at_once(source: Path, tmp_path: Path) -> None:
    opened = SafetensorsSource(source)
    plan = conversion.plan(opened, recipe.RECIPES["4bit"])
    writer = conversion.write(opened, plan, tmp_path / "out", shard_bytes=SHARD)
    try:
        with pytest.raises(ConversionError, match="another conversion is writing"):
            conversion.write(opened, plan, tmp_path / "out", shard_bytes=SHARD)
    finally:
        writer.close()


def test_checksums_are_in_the_index(source: Path, wanted: dict[str, str], tmp_path: Path) -> None:
    assert start(source, tmp_path / "out").wait() == 0
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    assert index["metadata"]["sha256"] == {n: s for n, s in wanted.items() if n.endswith(".safetensors")}
    assert len(index["metadata"]["sha256"]) > 5
    assert max(p.stat().st_size for p in (tmp_path / "out").glob("*.safetensors")) < 2 * SHARD


def test_shards_hold_whole_groups() -> None:
    t = Tensor((10,), mx.float32)
    groups = [[("a", t), ("b", t)], [("c", t)], [("d", t), ("e", t), ("f", t)]]
    assert [[n for n, _ in s] for s in shards(groups, 120)] == [["a", "b", "c"], ["d", "e", "f"]]
    assert [[n for n, _ in s] for s in shards(groups, 1)] == [["a", "b"], ["c"], ["d", "e", "f"]]


def test_a_shard_is_what_mlx_writes_and_reads(tmp_path: Path) -> None:
    arrays = {
        "a": mx.random.normal((3, 5)),
        "b": mx.random.normal((4,)).astype(mx.bfloat16),
        "c": mx.arange(6, dtype=mx.uint32).reshape(2, 3).swapaxes(0, 1),
        "d": mx.array([1, 2, 3], mx.uint8),
    }
    with (tmp_path / "x.safetensors").open("wb") as f:
        out = Shard(f, [(n, Tensor(a.shape, a.dtype)) for n, a in arrays.items()])
        with pytest.raises(ValueError, match="not the tensor whose turn"):
            out.write("b", arrays["b"])
        out.write("a", arrays["a"][:2])
        out.write("a", arrays["a"][2:])
        with pytest.raises(ValueError, match="b was not written"):
            out.close()
        for name in "bcd":
            out.write(name, arrays[name])
        digest = out.close()
    assert digest == hashlib.sha256((tmp_path / "x.safetensors").read_bytes()).hexdigest()
    back = mx.load(str(tmp_path / "x.safetensors"))
    assert all(back[n].dtype == a.dtype and mx.array_equal(back[n], a) for n, a in arrays.items())


def test_a_writer_that_is_not_published_shows_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out", [[("a", Tensor((1,), mx.float32))]], {})
    with writer.shard(0) as out:
        out.write("a", mx.zeros((1,)))
    writer.close()
    assert not (tmp_path / "out").exists()
