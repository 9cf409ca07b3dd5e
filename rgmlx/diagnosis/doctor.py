"""Is everything right on this machine? The report of `rgmlx doctor`, section by section.

A section that fails never hides the others. Nothing in a report names the user or tells one machine from another of
its kind: the home directory is `~`, the user `USER`, and serial numbers are left out.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import mlx.core as mx
import numpy as np

from ..errors import CheckpointError, RgmlxError
from ..griffin.config import ModelConfig, describe_quantization
from ..kernels import launch
from ..model import Model, load
from ..system import debug_log, device, macos, memory, threads, variables
from ..system.anonymous import anonymous
from ..system.macos import power, version
from ..system.printable import first_line
from ..verification import outdated, parity, selfcheck
from ..verification.marker import Marker
from ..weights import checksums, fitting, hub
from ..weights.checkpoint import disk_bytes, weight_files
from . import machine

SHAPES = (
    parity.Shape(1, 1, 1, 5, size=6, heads=1, ring=1),
    parity.Shape(2, 2, 1, 7, taps=2, heads=2, size=8, ring=9),
    parity.Shape(3, 31, 2, 24, kv_heads=2),
    parity.Shape(2, 33, 10, 256, heads=10, size=256, ring=2049),
    parity.Shape(1, 300, 3, 20, heads=3, ring=33),
)
"""One step and many, channels below 8, not a multiple of 32, and 2B's; more than one row."""

_SOME_IDS = [1, 2, *range(5, 69)]
_DTYPES = (mx.float32, mx.bfloat16, mx.float16)
_BESIDE_CPU = 5e-3  # float32 logits; TF32 products, CUDA's default, take a thousandth
_IN_PIECES = 2e-5
_IDS = [2, *range(5, 69)]  # what the network is tried with
_IDENTIFYING = ("uuid", "pci_bus_id")
_COMPUTE = ("Kernels", "Model", "Network")
"""Sections that need a device."""
_KERNEL_ROW = "{:22} {:9} {:14} {:>8} {:>8}  {}"


@dataclass
class Section:
    """A part of the report: its lines, and a sentence for each thing that is wrong."""

    title: str
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def row(self, label: str, value: object) -> None:
        """Adds a line of a label and a value."""
        self.lines.append(f"{label:<22} {value}")


def examine(model: str = hub.DEMO) -> Iterator[Section]:
    """All sections, each as soon as it is known.

    Args:
        model: what `rgmlx.load` takes; its files are examined. The embedded model is run.
    """
    parts: list[tuple[str, Callable[[Section], None]]] = [
        ("Versions", _versions),
        ("Device", _device),
        ("Kernels", _kernels),
        ("Model", lambda s: _model(s, model)),
        ("Network", _network),
        ("Memory", lambda s: _memory(s, model)),
        ("Terminal", _terminal),
    ]
    if macos.here():
        parts.insert(-1, ("Power", _power))
    for title, fill in parts:
        section = Section(title)
        try:
            if title in _COMPUTE and device.is_missing():
                section.lines.append("Not checked, because there is no device to compute on.")
            else:
                fill(section)
        except RgmlxError as e:
            section.problems.append(str(e))
        except Exception as e:  # a report is worth most where something unforeseen happens
            debug_log.caught(e, f"the section {title} is not whole")
            section.problems.append(f"{type(e).__name__}: {first_line(e)}")
        section.lines = [anonymous(line) for line in section.lines]
        section.problems = [anonymous(p) for p in section.problems]
        yield section


def _versions(s: Section) -> None:
    for name in ("rgmlx", "mlx", "mlx-lm", "textual"):
        s.row(name, importlib.metadata.version(name))
    s.row("Python", platform.python_version())
    system = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else platform.platform()
    s.row("system", f"{system}, {platform.machine()}")
    s.row(variables.LOG, os.environ.get(variables.LOG, "not set"))
    if (log := debug_log.place()) is not None:
        s.row("log", f"{log}, {log.stat().st_size / 1e3:,.0f} kB")


def _device(s: Section) -> None:
    s.row("MLX runs on", mx.default_device())
    device.require()
    for key, value in sorted(mx.device_info().items()):
        if key not in _IDENTIFYING:
            s.row(key, f"{value / 1e9:.1f} GB" if isinstance(value, int) and value > 10**8 else value)
    chip = str(mx.device_info().get("device_name", ""))
    if machine.is_paravirtual(chip):
        s.lines.append("A virtual machine's GPU: it may lack bfloat16, and its speed says nothing about a Mac.")
    if problem := version.problem(chip):
        s.problems.append(problem)


def _kernels(s: Section) -> None:
    s.row("RGMLX_KERNELS", os.environ.get("RGMLX_KERNELS", "not set"))
    if launch.backend() is None:
        nothing = "there is no GPU, and NumPy has no fast product"
        why = "they are switched off" if launch.is_off() else nothing
        s.lines.append(f"Not checked, because {why}: plain MLX operations do their work.")
        return
    s.row("backend", "NumPy, on the CPU" if launch.backend() == "numpy" else launch.backend())
    if launch.backend() == "numpy":
        s.row("its products", f"{threads.describe()}, {threads.count()} of {os.cpu_count()} threads (RGMLX_THREADS)")
    if launch.on_gpu() and (ended := selfcheck.abort()):
        s.problems.append(
            f"{ended}: they are not checked again here, and plain operations do their work; report this, and delete "
            f"{selfcheck.kept_in()} after a change that may mend it"
        )
        launch.switch(False)
        return
    s.lines.append(_KERNEL_ROW.format("kernel", "dtype", "shape", "error", "allowed", "").rstrip())
    with Marker(selfcheck.marker_file()) if launch.on_gpu() else contextlib.nullcontext() as marker:
        wrong = sum(_checked(s, case, marker) for case in _cases())
    if wrong:
        s.problems.append(f"{wrong} of these results are wrong on this machine: set RGMLX_KERNELS=off and report this")
    if not s.problems:
        selfcheck.forget_problems()


def _cases() -> Iterator[parity.Case]:
    for dtype in _DTYPES if launch.on_gpu() else (mx.float32,):
        for shape in SHAPES:
            yield from selfcheck.cases_here(shape, dtype)


def _checked(s: Section, case: parity.Case, marker: Marker | None) -> bool:
    """Adds a case's line; whether its result is wrong."""
    if marker is not None:
        marker.note(selfcheck.noted(case))
    try:
        error = case.error()
        said, verdict = f"{error:.1e}", "ok" if error <= case.tolerance else "WRONG"
    except Exception as e:  # whatever MLX and the compiler raise
        debug_log.caught(e, f"the kernel {case} failed")
        s.problems.append(f"the kernel {case} failed: {first_line(e)}")
        said, verdict = "", "FAILED"
    name = str(case.dtype).removeprefix("mlx.core.")
    s.lines.append(_KERNEL_ROW.format(case.kernel, name, str(case.shape), said, f"{case.tolerance:.1e}", verdict))
    return verdict == "WRONG"


def _loaded(s: Section, name: str = hub.DEMO, dtype: str | None = None) -> Model:
    """A model. What its load warns of, such as a kernel wrong in the model's own sizes, is a problem here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        warnings.simplefilter("ignore", fitting.TooLarge)  # the section on memory says it
        warnings.simplefilter("ignore", outdated.Outdated)  # that on the device
        model = load(name, dtype=dtype)
    s.problems += [str(w.message) for w in caught]
    return model


def _model(s: Section, name: str) -> None:
    directory = hub.resolve(name)
    config = ModelConfig.from_file(directory / "config.json")
    s.row("model", hub.named(name, directory))
    precision = describe_quantization(config.quantization) if config.quantization else config.dtype
    s.row("weights", f"{disk_bytes(directory) / 1e6:,.1f} MB, {precision}")
    s.row("window", f"{config.attention_window_size:,} tokens")
    s.row("state", f"{config.state_nbytes(2) / 1e6:.2f} MB in 16 bits, for any length of text")
    model = _loaded(s, name)  # every tensor is compared with the configuration, and found finite
    s.lines.append("All tensors are there, of the right shape, and finite.")
    checked = checksums.verify(directory, afresh=True)
    files = weight_files(directory)
    count = sum(path in checked for path in files)
    s.row("checksums", f"right ({count} of {len(files)} weight files have one)" if checked else "none is known")
    if not np.isfinite(np.array(model.logits([_SOME_IDS]))).all():
        s.problems.append(f"the model computes numbers that are not finite: {CheckpointError.remedy}")


def _network(s: Section) -> None:
    """The embedded model in float32: on this device beside the CPU, or in pieces beside the whole."""
    ids = _IDS
    model = _loaded(s, dtype="float32")
    on_gpu, without_cpu = mx.default_device() == mx.gpu, machine.asks_for_compiler()
    if on_gpu and without_cpu:
        s.lines.append(
            "Not compared with the CPU, where MLX looks for g++: without the Command Line Tools (xcode-select --install) "
            "macOS would ask for them in a dialog."
        )
    if on_gpu and not without_cpu:
        what, allowed, got = "this device beside the CPU", _BESIDE_CPU, np.array(model.logits([ids]))
        mx.set_default_device(mx.cpu)
        try:
            want = np.array(_loaded(s, dtype="float32").logits([ids]))
        finally:
            mx.set_default_device(mx.gpu)
    else:
        what, allowed = "token by token beside all at once", _BESIDE_CPU if on_gpu else _IN_PIECES
        want = np.array(model.logits([ids]))
        state = model.new_state()
        got = np.concatenate([np.array(model.logits([[i]], state)) for i in ids], axis=1)
    error = float(np.abs(got - want).max() / np.abs(want).max())
    s.row("embedded model", f"{what}: relative error {error:.1e} (allowed {allowed:.0e})")
    if not error <= allowed:
        s.problems.append(f"the embedded model's logits are off by {error:.1e}: report this")


def _memory(s: Section, name: str) -> None:
    total, free, gpu = memory.physical(), memory.free(), memory.of_gpu()
    needed = fitting.needed(disk_bytes(hub.resolve(name)))
    s.row("memory", f"{total / 1e9:.1f} GB" + (f", {free / 1e9:.1f} GB free" if free else ""))
    s.row("this model needs", f"about {needed / 1e9:.1f} GB")
    if gpu:
        s.row("the GPU can use", f"{gpu / 1e9:.1f} GB")
    if needed > total:
        s.problems.append(f"this machine's memory is too small for the model {name}: take a smaller or 4-bit one")
    elif gpu and needed > gpu:
        s.lines.append("That is more than the GPU should take: expect it to be slow, or take a smaller or 4-bit one.")
    elif free and needed > free:
        s.lines.append("It fits, but less than that is free now: close other programs if it gets slow.")
    else:
        s.lines.append("It fits.")


def _power(s: Section) -> None:
    """What makes a Mac slower than others of its kind; nothing is done about it."""
    told = power.described()
    for label, value in told.items():
        s.row(label, value)
    if not told:
        s.lines.append("pmset does not say.")


def _terminal(s: Section) -> None:
    size = shutil.get_terminal_size()
    for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "COLORTERM"):  # the middle two say which keys arrive
        s.row(name, os.environ.get(name, "not set"))
    s.row("size", f"{size.columns} x {size.lines}")
    s.row("encoding", sys.stdout.encoding)
    s.row("NO_COLOR", "set" if os.environ.get("NO_COLOR") else "not set")
    where = [n for n, v in (("tmux", "TMUX"), ("SSH", "SSH_CONNECTION")) if os.environ.get(v)]
    s.row("inside", ", ".join(where) or "neither tmux nor SSH")
    if codecs.lookup(sys.stdout.encoding).name != "utf-8":
        s.problems.append(f"the terminal's encoding is {sys.stdout.encoding}: set LANG to a UTF-8 locale")
