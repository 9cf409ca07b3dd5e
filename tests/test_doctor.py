"""`rgmlx doctor`: whole on a good machine, honest on a bad one, and nothing of the user in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import metal_emulator
import mlx.core as mx
import pytest

from rgmlx import doctor, hub
from rgmlx.kernels import launch, parity

TITLES = ["Versions", "Device", "Kernels", "Model", "Network", "Memory", "Terminal"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

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
    done = run("--model", "/no/such/place")
    assert done.returncode == 1
    assert "model, memory" in done.stdout.splitlines()[-1]


def test_an_unforeseen_error_is_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(_: doctor.Section) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(doctor, "_device", fall)
    sections = {s.title: s for s in doctor.examine()}
    assert list(sections) == TITLES
    assert sections["Device"].problems == ["ZeroDivisionError: unforeseen"]
    assert not sections["Model"].problems


def test_wrong_logits_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_IN_PIECES", 1e-12)
    assert "logits are off" in " ".join({s.title: s for s in doctor.examine()}["Network"].problems)


@metal_emulator.require()
def test_the_table_of_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """On emulated Metal every kernel is listed as ok; a wrong one and one that crashes are problems."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    monkeypatch.setattr(doctor.selfcheck, "forget_problems", lambda: None)
    monkeypatch.setattr(doctor, "SHAPES", doctor.SHAPES[2:3])
    section = doctor.Section("Kernels")
    with metal_emulator.emulated():
        doctor._kernels(section)
    assert not section.problems
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
    assert sum("WRONG" in line for line in section.lines) == 3
    assert len(section.problems) == 4
    assert "no such device" in section.problems[0]
    assert "more" not in section.problems[0]
