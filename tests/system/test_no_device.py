"""A Mac that shows no Metal device, or has no memory left: one sentence, whoever asked, and no traceback as the program ends.

MLX is patched to do what it does there: it takes itself for available, raises when it first computes, which may be at an
import, and once more when the program ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest
from rooms import ROOT
from waiting import PATIENCE

from rgmlx.errors import ComputeError, NoDeviceError, RgmlxError
from rgmlx.system import device, process

SENTENCE = str(NoDeviceError())
OF_MLX = (
    "[metal::load_device] No Metal device available. This typically occurs in headless, sandboxed, or virtualized macOS "
    "sessions where the GPU is not accessible."
)
SITE = """
import atexit, os
import mlx.core as mx

def refuse(*args, **kwargs):
    raise RuntimeError({text!r})

gpu = mx.Device(mx.gpu)
mx.metal.is_available = lambda: True
mx.default_device = lambda: gpu
mx.device_info = mx.eval = mx.load = mx.save_safetensors = mx.quantize = mx.random.key = refuse
if "compile" in os.environ["REFUSES"]:
    mx.compile = lambda *args, **kwargs: refuse
if "import" in os.environ["REFUSES"]:
    mx.compile = refuse
atexit.register(refuse)
"""
WHEN = ("compute", "import")


def run(tmp_path: Path, when: str, *command: str, text: str = "", log: str = "") -> subprocess.CompletedProcess[str]:
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE.format(text=OF_MLX) if when in WHEN else "")
    places = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    environment = os.environ | places | {"REFUSES": when, "RGMLX_LOG": log, "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}
    return subprocess.run(
        [sys.executable, *command],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("when", WHEN)
def test_the_patch_does_as_mlx(tmp_path: Path, when: str) -> None:
    done = run(tmp_path, when, "-c", "import rgmlx.model as m; m.load()")
    assert done.returncode == 1 and "Traceback" in done.stderr
    assert done.stderr.count("RuntimeError: [metal::load_device]") >= 1, "nothing is raised as the program ends"


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    "command",
    [
        ("ask", "Hello"),
        ("compare", "demo", "demo"),
        ("convert", "--model", "demo", "--mlx-path", "out", "--recipe", "bf16"),
    ],
    ids=lambda c: c[0],
)
def test_a_command_says_it_in_a_sentence(tmp_path: Path, command: tuple[str, ...], when: str) -> None:
    command = tuple(str(tmp_path / "out") if part == "out" else part for part in command)
    done = run(tmp_path, when, "-m", "rgmlx", *command)
    assert (done.returncode, done.stderr) == (1, f"rgmlx: {SENTENCE}\n")
    assert command[0] == "convert" or not done.stdout  # it has said what its source is
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("when", WHEN)
def test_the_chat_says_it_in_a_sentence(tmp_path: Path, when: str) -> None:
    done = run(tmp_path, when, "-m", "tui", "--plain", text="Hello\n")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert said.count(SENTENCE) == 1 and "load_device" not in said and "Traceback" not in said, said
    assert not list(tmp_path.rglob("errors.log"))


def test_doctor_says_it_once_and_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, "compute", "-m", "rgmlx", "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count(f"PROBLEM: {SENTENCE}") == done.stdout.count("PROBLEM") == 1, done.stdout
    assert done.stdout.count("Not checked, because there is no device to compute on.") == 3
    assert done.stdout.endswith("1 of the checks failed: device.\n")
    assert "\n  TERM " in done.stdout and "\n  memory " in done.stdout


def test_doctor_says_it_where_nothing_can_be_imported(tmp_path: Path) -> None:
    done = run(tmp_path, "import", "-m", "rgmlx", "doctor")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"rgmlx: {SENTENCE}\n")


def test_what_computes_nothing_works_and_ends_quietly(tmp_path: Path) -> None:
    done = run(tmp_path, "compute", "-m", "rgmlx", "info", "2b")
    assert (done.returncode, done.stderr) == (0, "") and "parameters" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        "[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum allowed buffer size of 8 bytes.",
        "[malloc_or_wait] Unable to allocate 9 bytes.",
        "cudaMallocAsync(&data, size, stream) failed: out of memory",
    ],
)
def test_a_lack_of_memory_says_what_to_do(text: str) -> None:
    with pytest.raises(ComputeError, match=r"not enough memory .* take a smaller model") as caught, device.named():
        raise RuntimeError(text)
    assert text in str(caught.value) and str(caught.value.__cause__) == text


def test_a_gpu_that_gives_up_is_asked_again() -> None:
    text = (
        "[METAL] Command buffer execution failed: Caused GPU Hang Error (00000003:kIOGPUCommandBufferCallbackErrorHang)"
    )
    with pytest.raises(ComputeError, match=r"try again.*rgmlx doctor.*GPU Hang"), device.named():
        raise RuntimeError(text)
    with pytest.raises(NoDeviceError), device.named():
        raise RuntimeError(OF_MLX)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("IDLE is not followed by WRITING"),
        RuntimeError("[eval] Attempting to eval an array during function transformations"),
        RuntimeError("[metal::Device] Unable to build metal library from source"),
        RuntimeError("cudaGraphLaunch(exec, stream) failed: an illegal memory access was encountered"),
        NotImplementedError("[metal] out of memory"),
        ValueError("[metal] out of memory"),
    ],
    ids=str,
)
def test_a_fault_of_the_program_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, device.named():
        raise error
    assert caught.value is error


BREAKS = """
import sys
import mlx.core as mx
import rgmlx.griffin.network as network

def fail(*args, **kwargs):
    raise RuntimeError({text!r})

network.RecurrentGemma.advance = fail
if sys.argv[1] in ("compare", "convert"):
    mx.eval = fail
from rgmlx.cli import main
main(sys.argv[1:])
"""
ASK = ("ask", "Hello")


@pytest.mark.parametrize(
    "command",
    [
        ASK,
        ("compare", "demo", "demo"),
        ("convert", "--model", "demo", "--mlx-path", "out", "--recipe", "bf16"),
        ("mlx-lm", "generate", "--prompt", "Hello"),
    ],
    ids=lambda c: c[0],
)
def test_a_command_that_has_no_memory_left_says_so(tmp_path: Path, command: tuple[str, ...]) -> None:
    command = tuple(str(tmp_path / "out") if part == "out" else part for part in command)
    script = tmp_path / "breaks.py"
    text = "[METAL] Command buffer execution failed: Insufficient Memory (00000008)"
    script.write_text(BREAKS.format(text=text))
    done = run(tmp_path, "nothing", str(script), *command, log="debug")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1].startswith("rgmlx: ") and "not enough memory" in done.stderr
    [log] = tmp_path.rglob("debug.log")
    assert "RuntimeError" in log.read_text() and "ComputeError" in log.read_text()


def test_a_fault_of_the_program_is_a_traceback(tmp_path: Path) -> None:
    script = tmp_path / "breaks.py"
    script.write_text(BREAKS.format(text="there is no such layer"))
    done = run(tmp_path, "nothing", str(script), *ASK)
    assert done.returncode == 1 and done.stderr.endswith("RuntimeError: there is no such layer\n")
    assert "Traceback" in done.stderr


def test_every_computation_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError(OF_MLX)

    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    monkeypatch.setattr(mx, "device_info", refuse)
    monkeypatch.setattr(process, "_used", False)
    with pytest.raises(RgmlxError, match="no Metal device"):
        process.enter()
    assert device.is_missing()
    monkeypatch.undo()
    assert not device.is_missing()
    process.enter()
