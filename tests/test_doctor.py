"""`rgmlx doctor`: whole on a good machine, honest on a bad one, and nothing of the user in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import metal_emulator
import mlx.core as mx
import pytest

from rgmlx import doctor, hub, selfcheck
from rgmlx.kernels import launch, parity

TITLES = ["Versions", "Device", "Kernels", "Model", "Network", "Memory", "Terminal"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rgmlx", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="a machine without a GPU is meant")
def test_a_machine_without_a_gpu() -> None:
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in TITLES] == TITLES
    assert "there is no GPU" in done.stdout
    assert lines[-1] == "All checks passed."
    assert not done.stderr
    assert str(Path.home()) + "/" not in done.stdout


def test_help_has_examples() -> None:
    assert re.search(r"^examples:\n  rgmlx doctor", run("--help").stdout, re.MULTILINE)


def test_home_and_user_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "anna"
    home.mkdir()
    link = tmp_path / "link"
    link.symlink_to(home)
    monkeypatch.setenv("HOME", str(link))
    monkeypatch.setenv("LOGNAME", "anna")
    hidden = {
        f"{link}/models: no": "~/models: no",
        f"see {home}.": "see ~.",
        f"{link}by/x {link}.old/y": f"{link}by/x {link}.old/y",
        "/Volumes/anna/models": "/Volumes/USER/models",
        "/Volumes/annas joanna": "/Volumes/annas joanna",
    }
    assert [doctor._anonymous(text) for text in hidden] == list(hidden.values())


def test_a_user_without_home_and_name_gets_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise RuntimeError("Could not determine home directory.")

    def nameless() -> None:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(doctor.Path, "home", nobody)
    monkeypatch.setattr(doctor.getpass, "getuser", nameless)
    assert doctor._anonymous("/home/anna") == "/home/anna"


def test_serial_numbers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    info = {"device_name": "NVIDIA H200", "uuid": "GPU-0123", "pci_bus_id": "00:1F", "total_memory": 150 * 10**9}
    monkeypatch.setattr(mx, "device_info", lambda: info)
    section = doctor.Section("Device")
    doctor._device(section)
    text = "\n".join(section.lines)
    assert "NVIDIA H200" in text and "150.0 GB" in text
    assert "0123" not in text and "1F" not in text


VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                              100000.
Pages active:                            700000.
Pages inactive:                           50000.
Pages speculative:                        10000.
Pages wired down:                        200000.
Pages purgeable:                           9000.
"Translation faults":                 123456789.
"""


def test_free_memory_on_a_mac() -> None:
    assert doctor._free_on_a_mac(VM_STAT) == 16384 * 160_000
    assert doctor._free_on_a_mac("no such thing") == 0


@pytest.mark.parametrize(
    ("total", "free", "gpu", "says", "is_problem"),
    [
        (16e9, 8e9, 0.0, "It fits.", False),
        (16e9, 8e9, 10e9, "It fits.", False),
        (16e9, 0.0, 10e9, "It fits.", False),
        (16e9, 0.2e9, 0.0, "less than that is free now", False),
        (16e9, 8e9, 0.2e9, "more than the GPU should take", False),
        (0.2e9, 0.1e9, 0.0, "memory is too small for the model demo", True),
    ],
)
def test_the_verdict_on_memory(
    monkeypatch: pytest.MonkeyPatch, total: float, free: float, gpu: float, says: str, is_problem: bool
) -> None:
    monkeypatch.setattr(doctor, "_system_memory", lambda: (total, free))
    monkeypatch.setattr(doctor, "_gpu_memory", lambda: gpu)
    section = doctor.Section("Memory")
    doctor._memory(section, "demo")
    assert says in " ".join(section.problems if is_problem else section.lines)
    assert bool(section.problems) == is_problem


def test_a_kernel_wrong_in_the_models_own_sizes_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor's shapes may all be right where the check at the load finds one that is not."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    monkeypatch.setattr(selfcheck, "_file", lambda: tmp_path / "kernels.json")
    monkeypatch.setattr(parity.Case, "error", lambda case: 0.5 * (case.shape not in doctor.SHAPES))
    monkeypatch.setattr(doctor, "_network", lambda s: s.row("not", "run"))
    try:
        sections = {s.title: s for s in doctor.examine()}
    finally:
        launch.switch(True)
    assert not sections["Kernels"].problems
    assert "1 x 33 x 320 is wrong on this machine" in sections["Model"].problems[0]
    assert not capsys.readouterr().err


def test_a_broken_model_hides_nothing_else(tmp_path: Path) -> None:
    broken = tmp_path / "model"
    shutil.copytree(hub.resolve("demo"), broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = run("--model", str(broken), HOME=str(tmp_path))
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line in TITLES] == TITLES
    assert "PROBLEM: ~/model/model.safetensors is truncated" in done.stdout
    assert str(tmp_path) not in done.stdout
    assert done.stdout.splitlines()[-1] == "1 of the checks failed: model."
    assert "Traceback" not in done.stdout + done.stderr


def test_a_model_that_is_not_there() -> None:
    """Nor can its name write a line of the report."""
    done = run("--model", "/no/such/place\nAll checks passed.\n")
    assert done.returncode == 1
    assert "All checks passed." not in done.stdout.splitlines()
    assert "model, memory" in done.stdout.splitlines()[-1]


def test_an_unforeseen_error_is_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(_: doctor.Section) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(doctor, "_device", fall)
    monkeypatch.setattr(doctor, "_network", lambda s: s.row("not", "run"))  # it takes seconds
    sections = {s.title: s for s in doctor.examine()}
    assert list(sections) == TITLES
    assert sections["Device"].problems == ["ZeroDivisionError: unforeseen"]
    assert not sections["Model"].problems


def test_wrong_logits_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_IN_PIECES", 1e-12)
    section = doctor.Section("Network")
    doctor._network(section)
    assert "logits are off" in " ".join(section.problems)


@metal_emulator.require()
def test_the_table_of_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """On emulated Metal every kernel is listed as ok; a wrong one and one that crashes are problems."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    forgot: list[bool] = []
    monkeypatch.setattr(doctor.selfcheck, "forget_problems", lambda: forgot.append(True))
    monkeypatch.setattr(doctor, "SHAPES", doctor.SHAPES[2:3])
    section = doctor.Section("Kernels")
    with metal_emulator.emulated():
        doctor._kernels(section)
    assert not section.problems
    assert len(forgot) == 1
    expected = sum(len(doctor.selfcheck.cases_here(doctor.SHAPES[0], dtype)) for dtype in doctor._DTYPES)
    assert sum(line.endswith("ok") for line in section.lines) == expected > 20

    real = parity.Case.error

    def error(case: parity.Case) -> float:
        if case.kernel == "conv":
            raise RuntimeError("no such device\nmore")
        return 1.0 if case.kernel == "rotary" else real(case)

    monkeypatch.setattr(parity.Case, "error", error)
    section = doctor.Section("Kernels")
    with metal_emulator.emulated():
        doctor._kernels(section)
    assert sum(line.endswith("WRONG") for line in section.lines) == 3
    assert sum(line.endswith("FAILED") for line in section.lines) == 3
    assert len(section.problems) == 4
    assert "no such device" in section.problems[0]
    assert "more" not in section.problems[0]
    assert len(forgot) == 1  # a kernel that is still wrong stays remembered
