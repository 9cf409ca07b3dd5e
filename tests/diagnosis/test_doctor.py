"""`rgmlx doctor`: whole on a good machine, honest on a bad one, and nothing of the user in it."""

from __future__ import annotations

import getpass
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import checkpoints
import metal_emulator
import mlx.core as mx
import pytest
import warm
from macs import Mac, linux, mac

import rgmlx
from rgmlx.diagnosis import doctor
from rgmlx.kernels import launch
from rgmlx.system import memory
from rgmlx.system.anonymous import anonymous
from rgmlx.verification import parity, selfcheck
from rgmlx.weights import hub

__all__ = ["linux", "mac"]

TITLES = ["Versions", "Device", "Kernels", "Model", "Network", "Memory", "Terminal"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return warm.run(["-m", "rgmlx", "doctor", *arguments], env=os.environ | environment)


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="a machine without a GPU is meant")
def test_a_machine_without_a_gpu() -> None:
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in TITLES] == TITLES
    if launch.backend() == "numpy":
        assert re.search(r"backend +NumPy, on the CPU", done.stdout)
        assert re.search(r"its products +openblas \S+ \S+, 1 of \d+ threads", done.stdout)
        assert len(re.findall(r"float32 .* ok$", done.stdout, re.MULTILINE)) >= 7
    else:
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
    assert [anonymous(text) for text in hidden] == list(hidden.values())


def test_a_user_without_home_and_name_gets_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise RuntimeError("Could not determine home directory.")

    def nameless() -> None:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert anonymous("/home/anna") == "/home/anna"


def test_what_tells_which_keys_arrive_is_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM_PROGRAM", "Apple_Terminal")
    monkeypatch.delenv("LC_TERMINAL", raising=False)
    section = doctor.Section("Terminal")
    doctor._terminal(section)
    rows = dict(row.split(None, 1) for row in section.lines)
    assert rows["TERM_PROGRAM"] == "Apple_Terminal" and rows["LC_TERMINAL"] == "not set"


def test_serial_numbers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    info = {"device_name": "NVIDIA H200", "uuid": "GPU-0123", "pci_bus_id": "00:1F", "total_memory": 150 * 10**9}
    monkeypatch.setattr(mx, "device_info", lambda: info)
    section = doctor.Section("Device")
    doctor._device(section)
    text = "\n".join(section.lines)
    assert "NVIDIA H200" in text and "150.0 GB" in text
    assert "0123" not in text and "1F" not in text


@pytest.mark.parametrize("said", [True, False])
def test_on_a_mac_the_power_is_shown_and_left_alone(said: bool, mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    if said:
        file = mac.bin / "said"
        file.write_text(
            "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=4653155)\t9%; discharging; 0:15 remaining\n"
            " lowpowermode         1\n"
        )
        mac.program("pmset", f"cat {file}")
    for name in ("_versions", "_device", "_kernels", "_model", "_network", "_memory"):
        monkeypatch.setattr(doctor, name, lambda *_: None)
    sections = {section.title: section for section in doctor.examine()}
    assert list(sections)[-2:] == ["Power", "Terminal"]
    lines = [" ".join(line.split()) for line in sections["Power"].lines]
    told = ["power Battery Power, battery at 9%, discharging", "low-power mode on"]
    assert lines == (told if said else ["pmset does not say."])
    assert "4653155" not in str(sections) and not sections["Power"].problems


def test_elsewhere_there_is_nothing_of_the_power(linux: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    linux.program("pmset")
    for name in ("_versions", "_device", "_kernels", "_model", "_network", "_memory"):
        monkeypatch.setattr(doctor, name, lambda *_: None)
    assert [section.title for section in doctor.examine()] == TITLES and not linux.calls("pmset")


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
    assert memory.free_on_a_mac(VM_STAT) == 16384 * 160_000
    assert memory.free_on_a_mac("no such thing") == 0


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
    monkeypatch.setattr(memory, "physical", lambda: total)
    monkeypatch.setattr(memory, "free", lambda: free)
    monkeypatch.setattr(memory, "of_gpu", lambda: gpu)
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
        selfcheck._here.clear()
    assert not sections["Kernels"].problems
    assert "1 x 33 x 512 is wrong on this machine" in sections["Model"].problems[0]
    assert not capsys.readouterr().err


def test_kernels_whose_check_ended_a_program_are_not_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report is whole all the same, now and the next time: it would end there as well."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    monkeypatch.setattr(selfcheck, "_file", lambda: tmp_path / "kernels.json")
    monkeypatch.setattr(parity.Case, "error", lambda _: pytest.fail("a kernel was run"))
    case = parity.Case("conv", mx.float32, doctor.SHAPES[0], list)
    selfcheck.marker_file().write_text(selfcheck.noted(case))  # as an aborted doctor has left it
    for _ in range(2):
        section = doctor.Section("Kernels")
        doctor._kernels(section)
        assert launch.backend() is None  # for the sections that follow
        launch.switch(True)
        assert len(section.problems) == 1
        assert f"the check of the kernel {case} ended the program on this machine" in section.problems[0]
        assert str(tmp_path / "kernels.json") in section.problems[0]
    (tmp_path / "kernels.json").unlink()
    noted: list[str] = []
    monkeypatch.setattr(parity.Case, "error", lambda _: noted.append(selfcheck.marker_file().read_text()) or 0.0)
    section = doctor.Section("Kernels")
    doctor._kernels(section)
    assert not section.problems
    assert len(noted) == len(set(noted)) > 20  # each is noted before it is run
    assert not selfcheck.marker_file().exists()


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


# --- Macs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chip", "version", "says"),
    [
        ("Apple M5", "26.1", "on an M5 or newer MLX needs macOS 26.2, and this is 26.1"),
        ("Apple M5 Max", "26.0.1", "on an M5 or newer MLX needs macOS 26.2, and this is 26.0.1"),
        ("Apple M12 Pro", "26", "needs macOS 26.2"),
        ("Apple M5", "26.2", ""),
        ("Apple M5 Pro", "27", ""),
        ("Apple M4", "26.1", ""),
        ("Apple M1", "14.0", ""),
        ("Apple Paravirtual device", "26.1", ""),
        ("NVIDIA H200", "", ""),
        ("Apple M5", "", ""),
    ],
)
def test_a_system_too_old_for_its_chip_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, chip: str, version: str, says: str
) -> None:
    monkeypatch.setattr(mx, "device_info", lambda: {"device_name": chip})
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), "arm64"))
    section = doctor.Section("Device")
    doctor._device(section)
    assert len(section.problems) == bool(says) and says in " ".join(section.problems)
    assert any("virtual machine's GPU" in line for line in section.lines) == ("Paravirtual" in chip)


@pytest.mark.parametrize("has_tools", [True, False])
def test_without_the_tools_the_gpu_is_not_compared_with_the_cpu(
    monkeypatch: pytest.MonkeyPatch, has_tools: bool, tmp_path: Path
) -> None:
    """There MLX looks for g++, and macOS would open a dialog."""
    devices: list[object] = []
    gpu = mx.Device(mx.gpu)
    monkeypatch.setattr(doctor.machine, "asks_for_compiler", lambda: not has_tools)
    monkeypatch.setattr(mx, "default_device", lambda: gpu)
    monkeypatch.setattr(mx, "set_default_device", devices.append)
    monkeypatch.setattr(doctor.launch, "backend", lambda: None)
    # Fewer, and of three layers, a kind each: without NumPy each takes long.
    monkeypatch.setattr(doctor, "_IDS", [2, *range(5, 12)])
    small = checkpoints.of_demo(tmp_path / "small")
    monkeypatch.setattr(doctor, "load", lambda _, dtype: rgmlx.load(small, dtype=dtype))
    section = doctor.Section("Network")
    doctor._network(section)
    text = "\n".join(section.lines)
    assert not section.problems
    assert bool(devices) == has_tools == ("this device beside the CPU" in text)
    assert ("token by token" in text) == ("xcode-select --install" in text) == (not has_tools)


@pytest.mark.parametrize(
    ("platform", "ends", "asks"),
    [("linux", 1, False), ("darwin", 0, False), ("darwin", 2, True), ("darwin", None, True)],
)
def test_whether_macos_would_ask_for_the_tools(
    monkeypatch: pytest.MonkeyPatch, platform: str, ends: int | None, asks: bool
) -> None:
    def xcode_select(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert command == ["/usr/bin/xcode-select", "-p"]
        if ends is None:
            raise FileNotFoundError(2, "No such file or directory")
        return subprocess.CompletedProcess(command, ends)

    monkeypatch.setattr(doctor.machine.sys, "platform", platform)
    monkeypatch.setattr(doctor.machine.subprocess, "run", xcode_select)
    found = doctor.machine.asks_for_compiler()
    monkeypatch.undo()
    assert found == asks
