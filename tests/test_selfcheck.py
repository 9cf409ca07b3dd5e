"""The check at the first load: remembered, repeated on anything new, and a wrong kernel given up with one warning."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import metal_emulator
import mlx.core as mx
import pytest

import rgmlx
from rgmlx import selfcheck
from rgmlx.kernels import launch, parity

CONFIG = rgmlx.ModelConfig.from_file(Path(__file__).parent / "goldens" / "tiny" / "config.json")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "kernels.json"
    monkeypatch.setattr(selfcheck, "_file", lambda: path)
    return path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A machine with a GPU whose kernels are all exact; names what was run."""
    ran: list[str] = []

    def error(case: parity.Case) -> float:
        ran.append(case.kernel)
        return 0.0

    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    monkeypatch.setattr(parity.Case, "error", error)
    yield ran
    launch.switch(True)


def breaks(kernel: str, how: Callable[[], float]) -> Callable[[parity.Case], float]:
    return lambda case: how() if case.kernel == kernel else 0.0


def crash() -> float:
    raise RuntimeError("[metal::Device] Unable to build metal library from source\nmore")


def test_a_good_machine_is_checked_once(cache: Path, runs: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selfcheck.ensure(CONFIG, mx.float32)
        assert {"rg_lru_scan", "recurrent_step", "conv", "add_norm", "gelu_product", "rotary"} <= set(runs)
        assert not set(runs) & set(selfcheck.CUDA_ONLY)
        count = len(runs)
        selfcheck.ensure(CONFIG, mx.float32)
        assert len(runs) == count
        selfcheck.ensure(CONFIG, mx.float16)  # another dtype is another combination
        assert len(runs) > count
    assert launch.backend() == "metal"


@pytest.mark.parametrize(
    ("how", "says"), [(crash, "Unable to build"), (lambda: 0.5, "5.0e-01"), (lambda: float("nan"), "nan")]
)
def test_a_wrong_kernel_is_given_up_with_one_warning(
    cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch, how: Callable[[], float], says: str
) -> None:
    monkeypatch.setattr(parity.Case, "error", breaks("conv", how))
    with pytest.warns(RuntimeWarning, match="plain operations are used") as seen:
        selfcheck.ensure(CONFIG, mx.float32)
        selfcheck.ensure(CONFIG, mx.float32)
    assert len(seen) == 1
    assert "conv float32" in str(seen[0].message)
    assert says in str(seen[0].message)
    assert "\n" not in str(seen[0].message)
    assert launch.backend() is None


def test_a_remembered_failure_warns_without_running(
    cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = parity.Case.error
    monkeypatch.setattr(parity.Case, "error", breaks("conv", crash))
    with pytest.warns(RuntimeWarning):
        selfcheck.ensure(CONFIG, mx.float32)
    launch.switch(True)  # a new process
    monkeypatch.setattr(parity.Case, "error", good)
    with pytest.warns(RuntimeWarning, match="Unable to build"):
        selfcheck.ensure(CONFIG, mx.float32)
    assert not runs
    launch.switch(True)
    selfcheck.forget_problems()
    selfcheck.ensure(CONFIG, mx.float32)
    assert runs
    assert launch.backend() == "metal"


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 3}', "\x00\xff", "[" * 100_000])
def test_a_damaged_memory_is_no_error(cache: Path, runs: list[str], damage: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(damage, encoding="latin-1")
    selfcheck.ensure(CONFIG, mx.float32)
    count = len(runs)
    assert count
    selfcheck.ensure(CONFIG, mx.float32)
    assert len(runs) == count


def test_an_entry_of_another_kind_is_no_result(cache: Path, runs: list[str]) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({selfcheck.combination(CONFIG, mx.float32): 3}))
    selfcheck.ensure(CONFIG, mx.float32)
    assert runs
    assert launch.backend() == "metal"


def test_a_directory_that_cannot_be_written(cache: Path, runs: list[str]) -> None:
    cache.parent.parent.joinpath("cache").write_text("a file, not a directory")
    selfcheck.ensure(CONFIG, mx.float32)
    count = len(runs)
    selfcheck.ensure(CONFIG, mx.float32)
    assert len(runs) == 2 * count > 0
    assert launch.backend() == "metal"


def test_a_full_disk_leaves_nothing_behind(cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    selfcheck.ensure(CONFIG, mx.float32)
    before = cache.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(selfcheck.os, "replace", full)
    selfcheck.ensure(CONFIG, mx.float16)
    assert [p.name for p in cache.parent.iterdir()] == ["kernels.json"]
    assert cache.read_text() == before


def test_the_memory_is_bounded_and_new_versions_are_new(
    cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(60):
        monkeypatch.setattr(selfcheck, "version", lambda _, i=i: f"0.{i}")
        selfcheck.ensure(CONFIG, mx.float32)
    assert len(json.loads(cache.read_text())) == 50
    assert [p.name for p in cache.parent.iterdir()] == ["kernels.json"]
    count = len(runs)
    selfcheck.ensure(CONFIG, mx.float32)
    assert len(runs) == count
    selfcheck.ensure(replace(CONFIG, lru_width=2 * CONFIG.lru_width), mx.float32)
    assert len(runs) > count


def test_another_device_system_or_kernel_source_is_a_new_combination(
    runs: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = {selfcheck.combination(CONFIG, mx.float32)}
    monkeypatch.setattr(mx, "device_info", lambda: {"device_name": "Apple M9"})
    seen.add(selfcheck.combination(CONFIG, mx.float32))
    monkeypatch.setattr(selfcheck.platform, "platform", lambda: "macOS-99.0-arm64-arm-64bit")
    seen.add(selfcheck.combination(CONFIG, mx.float32))
    for name in ("conv.metal", "prelude.metal", "msl_on_cuda.h"):
        here = tmp_path / name.replace(".", "_")
        shutil.copytree(Path(launch.__file__).parent, here)
        with (here / name).open("a") as file:
            file.write("// changed")
        monkeypatch.setattr(launch, "__file__", str(here / "launch.py"))
        seen.add(selfcheck.combination(CONFIG, mx.float32))
    assert len(seen) == 6
    assert selfcheck.combination(CONFIG, mx.float32) in seen


def test_cases_that_cannot_be_made_are_a_failed_check(
    cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cases(*_: object) -> Iterator[parity.Case]:
        raise RuntimeError("[quantize] no such kernel\nmore")
        yield

    monkeypatch.setattr(parity, "cases", cases)
    with pytest.warns(
        RuntimeWarning, match=r"could not be checked on this machine \(\[quantize\] no such kernel\): plain"
    ):
        selfcheck.ensure(CONFIG, mx.float32)
    assert launch.backend() is None


def test_nothing_is_checked_on_a_cpu_or_with_kernels_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity.Case, "error", lambda _: pytest.fail("a kernel was run"))
    rgmlx.load("demo")
    assert not cache.exists()
    monkeypatch.setattr(mx, "default_device", lambda: mx.gpu)
    with launch.plain_operations():  # as RGMLX_KERNELS=off
        selfcheck.ensure(CONFIG, mx.float32)
    assert not cache.exists()


@metal_emulator.require()
def test_a_load_on_emulated_metal(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real check, on the kernels that ship."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    with metal_emulator.emulated(), warnings.catch_warnings():
        warnings.simplefilter("error")
        rgmlx.load(Path(__file__).parent / "goldens" / "tiny", dtype="float32")
    assert list(json.loads(cache.read_text()).values()) == [""]
