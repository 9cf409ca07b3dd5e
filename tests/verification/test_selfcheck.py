"""The check at the first load: remembered, repeated on anything new, and a wrong kernel given up with one warning."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import metal_emulator
import mlx.core as mx
import pytest
import rooms

import rgmlx
from rgmlx.errors import RgmlxWarning
from rgmlx.griffin.config import ATTENTION, RECURRENT
from rgmlx.kernels import launch
from rgmlx.kernels.rg_lru import TIMES, segments, steps
from rgmlx.verification import parity, selfcheck
from rgmlx.verification.marker import Marker

CONFIG = rgmlx.ModelConfig.from_file(rooms.TESTS / "goldens" / "tiny" / "config.json")


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
    new_process()


def new_process() -> None:
    """What a process knows is forgotten; what is on the disk stays."""
    launch.switch(True)
    selfcheck._here.clear()


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
        new_process()
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
    assert launch.backend() == "metal"  # the others stay
    assert [name for name in FUNCTIONS if not launch.on_gpu(name)] == ["conv"]


FUNCTIONS = ("rg_lru", "gated", "conv", "recurrent_step", "add_norm", "gelu_product", "rotary")


@pytest.mark.parametrize(
    ("kernel", "left_out"),
    [
        ("rg_lru_scan, gated", {"rg_lru", "gated"}),
        ("rg_lru_scan", {"rg_lru"}),  # what only training needs takes nothing of a reply with it
        ("rg_lru_scan_vjp", {"rg_lru"}),
        ("add_norm, no bias", {"add_norm"}),
        ("recurrent_step", {"recurrent_step"}),
    ],
)
def test_only_what_is_wrong_is_left_out(
    cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch, kernel: str, left_out: set[str]
) -> None:
    monkeypatch.setattr(parity.Case, "error", breaks(kernel, lambda: 0.5))
    with pytest.warns(RgmlxWarning, match="slower"):
        selfcheck.ensure(CONFIG, mx.float32)
    assert {name for name in FUNCTIONS if not launch.on_gpu(name)} == left_out


def test_a_function_that_is_left_out_runs_in_plain_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    monkeypatch.setattr(launch.Kernel, "__call__", lambda self, *_, **__: pytest.fail(f"the kernel {self.name} ran"))
    try:
        launch.leave_out({function for case in parity.cases(parity.Shape(), mx.float32) for function in case.functions})
        for case in parity.cases(parity.Shape(), mx.float32):
            mx.eval(case.run())
        with launch.none_left_out(), pytest.raises(pytest.fail.Exception, match="conv ran"):
            next(c for c in parity.cases(parity.Shape(), mx.float32) if c.kernel == "conv").run()
        launch.switch(True)
        assert launch.on_gpu("conv")
    finally:
        launch.switch(True)


def test_several_wrong_kernels_are_one_warning(cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity.Case, "error", lambda case: 0.5 * (case.kernel in ("conv", "rotary")))
    with pytest.warns(RgmlxWarning, match=r"conv .* and 1 more of them is not right: plain") as seen:
        selfcheck.ensure(CONFIG, mx.float32)
    assert len(seen) == 1


def fails(monkeypatch: pytest.MonkeyPatch, how: Callable[[], float] = crash) -> list[str]:
    """A start at which a kernel fails, and warns; what was run."""
    ran: list[str] = []

    def error(case: parity.Case) -> float:
        ran.append(case.kernel)
        return how() if case.kernel == "conv" else 0.0

    new_process()
    with monkeypatch.context() as m, pytest.warns(RgmlxWarning, match="conv"):
        m.setattr(parity.Case, "error", error)
        selfcheck.ensure(CONFIG, mx.float32)
    assert not launch.on_gpu("conv")
    return ran


def test_a_failure_is_remembered_once_it_has_come_twice_and_for_a_day(
    cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1e9]
    monkeypatch.setattr(selfcheck.time, "time", lambda: now[0])
    assert fails(monkeypatch)
    assert fails(monkeypatch)  # it may have passed: checked again
    assert not fails(monkeypatch)  # twice in a row: gone by
    now[0] += selfcheck.DAY + 1
    assert fails(monkeypatch)
    assert not fails(monkeypatch)
    selfcheck.forget_problems()
    new_process()
    selfcheck.ensure(CONFIG, mx.float32)
    assert runs
    assert launch.on_gpu("conv")


def test_a_failure_that_passes_is_forgotten(cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert fails(monkeypatch)
    new_process()
    selfcheck.ensure(CONFIG, mx.float32)
    assert launch.on_gpu("conv")
    count = len(runs)
    new_process()
    selfcheck.ensure(CONFIG, mx.float32)
    assert len(runs) == count > 0


# --- a check that ends the program --------------------------------------------------------

ABORTS = f"""
import os, sys, warnings
sys.path.insert(0, {str(rooms.TESTS)!r})
import mlx.core as mx
import rgmlx
from pathlib import Path
from rgmlx.verification import selfcheck
from rgmlx.kernels import launch
from rgmlx.verification import parity
launch.backend = lambda: None if launch._off else "metal"
selfcheck._file = lambda: Path(sys.argv[1])
ran = []
def error(case):
    ran.append(case.kernel)
    if case.kernel == sys.argv[2]:
        os.abort()
    return 0.0
parity.Case.error = error
warnings.simplefilter("always")
config = rgmlx.ModelConfig.from_file({str(rooms.TESTS / "goldens" / "tiny" / "config.json")!r})
selfcheck.ensure(config, getattr(mx, sys.argv[3]))
print(len(ran), launch.backend(), launch.on_gpu("gated"), launch.on_gpu("rg_lru"))
"""


def start(cache: Path, kernel: str, dtype: str = "float32") -> tuple[int, list[str], str]:
    """A real process whose check is ended by an abort: its exit code, what it said of itself, and its warnings."""
    done = subprocess.run([sys.executable, "-c", ABORTS, str(cache), kernel, dtype], capture_output=True, text=True)
    return done.returncode, done.stdout.split(), done.stderr


def test_an_abort_inside_a_check_switches_kernels_off_at_the_next_start(cache: Path) -> None:
    """Such as an Objective-C exception on a virtual Mac, which nothing catches: not a program that never starts."""
    assert start(cache, "conv")[0] == -signal.SIGABRT
    code, said, warned = start(cache, "conv")
    assert (code, said) == (0, ["0", "None", "False", "False"])
    assert "the check of the kernel conv float32" in warned and "ended the program on this machine" in warned
    assert warned.count("RgmlxWarning") == 1
    assert start(cache, "conv")[:2] == (0, said)  # and at the one after that
    assert [p.name for p in cache.parent.iterdir()] == ["kernels.json"]


def test_an_abort_in_a_kernel_of_training_leaves_the_others(cache: Path) -> None:
    assert start(cache, "rg_lru_scan_vjp")[0] == -signal.SIGABRT
    assert start(cache, "rg_lru_scan_vjp")[1] == ["0", "metal", "True", "False"]


def test_an_abort_is_tried_again_after_a_day_and_no_more_after_the_second(cache: Path) -> None:
    def a_day_passes() -> None:
        known = json.loads(cache.read_text())
        for result in known.values():
            result["when"] -= selfcheck.DAY
        cache.write_text(json.dumps(known))

    for _ in range(2):
        assert start(cache, "conv")[0] == -signal.SIGABRT
        assert start(cache, "conv")[:2] == (0, ["0", "None", "False", "False"])
        a_day_passes()
    assert start(cache, "conv")[:2] == (0, ["0", "None", "False", "False"])


def test_an_abort_with_one_model_holds_for_the_next_one(cache: Path) -> None:
    assert start(cache, "conv")[0] == -signal.SIGABRT
    assert start(cache, "conv", "float16")[:2] == (0, ["0", "None", "False", "False"])
    assert start(cache, "conv", "float32")[:2] == (0, ["0", "None", "False", "False"])


def test_a_check_that_ends_leaves_no_marker(cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> float:
        assert "conv" in selfcheck.marker_file().read_text()
        raise KeyboardInterrupt

    monkeypatch.setattr(parity.Case, "error", breaks("conv", interrupted))
    with pytest.raises(KeyboardInterrupt):
        selfcheck.ensure(CONFIG, mx.float32)
    assert not selfcheck.marker_file().exists()
    monkeypatch.setattr(parity.Case, "error", lambda case: 0.0)
    selfcheck.ensure(CONFIG, mx.float32)
    assert launch.on_gpu("conv")


@pytest.mark.parametrize("text", ["{", "[1]", "\x00" * 40, '["a", "b"]', "7"])
def test_a_marker_that_was_written_in_part(cache: Path, runs: list[str], text: str) -> None:
    cache.parent.mkdir()
    selfcheck.marker_file().write_text(text)
    with pytest.warns(RgmlxWarning, match="the check of the kernels ended the program"):
        selfcheck.ensure(CONFIG, mx.float32)
    assert launch.backend() is None and not runs


def test_a_check_of_another_process_is_no_abort(cache: Path, runs: list[str]) -> None:
    with Marker(selfcheck.marker_file()) as theirs:
        theirs.note("what they are checking")
        with Marker(selfcheck.marker_file()) as ours:
            assert not ours.left
            ours.note("this goes nowhere")
        assert selfcheck.marker_file().read_text() == "what they are checking"
        selfcheck.ensure(CONFIG, mx.float32)
    assert runs and launch.on_gpu("conv")
    assert not selfcheck.marker_file().exists()


# --- what is checked ----------------------------------------------------------------------


def test_every_form_that_a_length_of_text_brings_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan is compiled for 1, 4 and 8 segments, the norm for few rows and for many: as prefill of 512 tokens has them."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    forms: dict[str, set[str]] = {}

    def recorded(make: object, name: str, *_: object) -> Callable[..., list[mx.array]]:
        def call(
            template: object, output_shapes: list[list[int]], output_dtypes: list[mx.Dtype], **_: object
        ) -> object:
            forms.setdefault(name, set()).add(str(template))
            return [mx.zeros(s, d) for s, d in zip(output_shapes, output_dtypes, strict=True)]

        return call

    monkeypatch.setattr(launch, "_compiled", recorded)
    wide = replace(CONFIG, lru_width=640)
    for case in selfcheck.cases_of(wide, mx.float32):
        case.run()
    checked, needed = forms, dict[str, set[str]]()
    forms = needed
    for time in (2, 7, 8, 16, 17, 33, 64, 65, 128, 256, 511, 512):
        for case in parity.cases(parity.shape_of(wide, time), mx.float32):
            if case.kernel in ("rg_lru_scan, gated", "conv", "add_norm", "gelu_product", "rotary"):
                case.run()
    assert len(needed["rg_lru_scan"]) == 4
    assert len(needed["add_norm"]) == 2
    assert not [name for name, found in needed.items() if found - checked[name]]
    assert {(segments(t), steps(t)) for t in TIMES} == {(1, 1), (1, 8), (4, 8), (8, 8)}


@pytest.mark.parametrize(
    ("changes", "without"),
    [
        ({"block_types": (RECURRENT,)}, ("rotary",)),
        ({"block_types": (ATTENTION,)}, ("rg_lru_scan", "conv", "recurrent_step")),
    ],
)
def test_what_a_model_does_not_need_is_not_checked(
    runs: list[str], changes: dict[str, object], without: tuple[str, ...]
) -> None:
    everything = {case.kernel for case in selfcheck.cases_of(CONFIG, mx.float32)}
    found = {case.kernel for case in selfcheck.cases_of(replace(CONFIG, **changes), mx.float32)}
    assert everything - found == {kernel for kernel in everything if kernel.startswith(without)} != set()
    assert selfcheck.combination(replace(CONFIG, **changes), mx.float32) != selfcheck.combination(CONFIG, mx.float32)


def test_kernels_of_quantized_matrices_are_for_quantized_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "cuda")
    quantized = replace(CONFIG, quantization={"bits": 4, "group_size": 64})
    found = [{case.kernel for case in selfcheck.cases_of(config, mx.bfloat16)} for config in (CONFIG, quantized)]
    assert found[1] - found[0] == {"dequantize", "quantized_step", "quantized_step, gelu"}


@pytest.mark.parametrize(
    ("backend", "architecture", "variable", "rounds"),
    [
        ("metal", "applegpu_g13g", None, False),
        ("metal", "applegpu_g16s", None, False),
        ("metal", "applegpu_g17s", None, True),
        ("metal", "applegpu_g17g", "0", False),
        ("metal", "applegpu_g18d", "1", True),
        ("metal", "", None, False),
        ("cuda", "sm_90", None, True),
        ("cuda", "sm_90", "0", False),
        ("numpy", "x86_64", None, False),
    ],
)
def test_products_in_tf32_are_allowed_for(
    monkeypatch: pytest.MonkeyPatch, backend: str, architecture: str, variable: str | None, rounds: bool
) -> None:
    """From the M5 on Metal's float32 products are, too: a kernel is not wrong for being more exact than its twin."""
    monkeypatch.setattr(launch, "backend", lambda: backend)
    monkeypatch.setattr(mx, "device_info", lambda: {"architecture": architecture})
    monkeypatch.delenv("MLX_ENABLE_TF32", raising=False)
    if variable is not None:
        monkeypatch.setenv("MLX_ENABLE_TF32", variable)
    allowed = {t: parity.Case("conv", t, parity.Shape(), list).tolerance for t in (mx.float32, mx.bfloat16)}
    assert allowed == {mx.float32: 2e-3 if rounds else 1e-4, mx.bfloat16: 2.0**-7}


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"a": 3}', "\x00\xff", "[" * 100_000])
def test_a_damaged_memory_is_no_error(cache: Path, runs: list[str], damage: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(damage, encoding="latin-1")
    selfcheck.ensure(CONFIG, mx.float32)
    count = len(runs)
    assert count
    new_process()
    selfcheck.ensure(CONFIG, mx.float32)
    assert len(runs) == count


@pytest.mark.parametrize("entry", [3, "", {}, {"problems": 3, "runs": 2, "when": 0, "aborted": True}])
def test_an_entry_of_another_kind_is_no_result(cache: Path, runs: list[str], entry: object) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({selfcheck.combination(CONFIG, mx.float32): entry}))
    selfcheck.ensure(CONFIG, mx.float32)
    assert runs
    assert launch.backend() == "metal"


def test_a_directory_that_cannot_be_written(cache: Path, runs: list[str]) -> None:
    cache.parent.parent.joinpath("cache").write_text("a file, not a directory")
    selfcheck.ensure(CONFIG, mx.float32)
    count = len(runs)
    new_process()
    selfcheck.ensure(CONFIG, mx.float32)
    assert len(runs) == 2 * count > 0
    assert launch.backend() == "metal"


def test_a_full_disk_leaves_nothing_behind(cache: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    selfcheck.ensure(CONFIG, mx.float32)
    before = cache.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
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
    new_process()
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
        rgmlx.load(rooms.TESTS / "goldens" / "tiny", dtype="float32")
    assert [result["problems"] for result in json.loads(cache.read_text()).values()] == [{}]
