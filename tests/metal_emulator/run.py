"""Builds a launch with clang, runs it under a schedule, and compares."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import os
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import pytest

from .source import (
    STRICT_FLAGS,
    MetalError,
    Record,
    line_findings,
    parameters,
    record,
    strict_unit,
    typed_findings,
    unit,
)

_HERE = Path(__file__).parent
_CACHE = Path(tempfile.gettempdir()) / f"rgmlx-metal-emulator-{os.getuid()}"
_EXACT = [f for x in ("-fbfloat16-excess-precision=none", "-ffloat16-excess-precision=none") for f in ("-Xclang", x)]
_BASE = ["-std=c++14", "-nostdinc++", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off", "-g1", "-I", str(_HERE)]
_QUIET = ["-Wno-unknown-attributes", "-Wno-c++17-extensions", "-Wno-unused-value"]
# Not optimized, which takes clang two to four times as long, and longer than all that a kernel's tests run.
_MODES = {
    "plain": ["-O0"],
    "asan": ["-O0", "-DMSL_ASAN", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"],
    "tsan": ["-O0", "-DMSL_TSAN", "-fsanitize=thread"],
}
_LINKER = ["-fuse-ld=gold"] if sys.platform == "linux" and shutil.which("ld.gold") else []
"""Two to three times as fast as the default one, which takes longer than the compiler where a sanitizer is linked."""
_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
    "TSAN_OPTIONS": "report_thread_leaks=0:exitcode=66",
}


@functools.cache
def _compiler() -> list[str] | str:
    """The clang to call, or why there is none."""
    names = (os.environ.get("MSL_CXX"), "clang++-21", "clang++-20", "clang++-19", *_of_homebrew(), "clang++")
    for name in filter(None, names):
        if shutil.which(name.split()[0]):
            version = subprocess.run([*name.split(), "-dumpversion"], capture_output=True, text=True, check=False)
            if int("0" + version.stdout.split(".")[0]) >= 19:
                return name.split()
    return "clang 19 or newer is not installed (Debian: apt-get install clang-19 libclang-rt-19-dev; Mac: brew install llvm)"


def _of_homebrew() -> list[str]:
    """Homebrew's clang, which is not on the path: Apple's own is there, and has no bfloat16 to go with it."""
    if not shutil.which("brew"):
        return []
    prefix = subprocess.run(["brew", "--prefix", "llvm"], capture_output=True, text=True, check=False).stdout.strip()
    return [f"{prefix}/bin/clang++"] if prefix else []


@functools.cache
def available() -> str | None:
    """None where kernels can be emulated, else the reason why not."""
    if isinstance(_compiler(), str):
        return str(_compiler())
    with tempfile.TemporaryDirectory() as d:
        for flag in ("-fsanitize=address,undefined", "-fsanitize=thread"):
            if _clang([flag, "-x", "c++", "-", "-o", f"{d}/a"], "int main() {}").returncode:
                return f"clang cannot link {flag} (Debian: apt-get install libclang-rt-19-dev)"
    return None if sys.platform == "linux" else _fault()


def _fault() -> str | None:
    """What is wrong with a first kernel: its fibers and sections were made for Linux, and have run nowhere else."""
    body = "threadgroup float t[32]; uint i = thread_position_in_grid.x; t[i] = x[i]; y[i] = metal::simd_sum(t[i]);"

    def call(x: mx.array) -> mx.array:
        kernel = mx.fast.metal_kernel("k", ["x"], ["y"], body)
        settings = {"output_shapes": [x.shape], "output_dtypes": [x.dtype]}
        return kernel(inputs=[x], grid=(32, 1, 1), threadgroup=(32, 1, 1), **settings)[0]

    x = mx.ones((32,))
    try:
        (found,) = record(call, x)
        for mode in _MODES:
            if Launch(found, [x]).run(mode)[0].tolist() != [32.0] * 32:
                return f"the emulator computes wrongly on this system ({mode})"
    except Exception as e:  # whatever stops it stops every test
        return f"the emulator does not run on this system ({' '.join(str(e).split())[:300]})"
    return None


def require() -> pytest.MarkDecorator:
    """A module's mark: skipped with the reason where clang is missing; an error if RGMLX_REQUIRE_EMULATOR is set."""
    reason = available()
    if reason and os.environ.get("RGMLX_REQUIRE_EMULATOR"):
        raise RuntimeError(f"the Metal emulator is required here: {reason}")
    return pytest.mark.skipif(reason is not None, reason=reason or "")


class Launch(NamedTuple):
    """A kernel launch with its inputs, ready to be run on the CPU."""

    record: Record
    inputs: Sequence[mx.array]

    def mutated(self, old: str, new: str) -> Launch:
        """The launch with a part of its text replaced once. Raises ValueError if it is not there."""
        if old not in self.record.source:
            raise ValueError(f"{old!r} is not in the kernel")
        return Launch(self.record._replace(source=self.record.source.replace(old, new, 1)), self.inputs)

    def check(self) -> None:
        """Metal's rules. Raises MetalError with all findings."""
        found = line_findings(self.record.source)
        done = _clang([*STRICT_FLAGS, "-x", "c++", "-"], strict_unit(self.record.source))
        if done.returncode:
            found += [line for line in done.stderr.splitlines() if "error:" in line]
        else:
            found += typed_findings(done.stdout)
        if found:
            raise MetalError("\n".join(dict.fromkeys(found)))

    def run(self, mode: str = "plain", order: int = 0, seed: int = 1, fill: int = 0xFF) -> list[mx.array]:
        """The outputs. Raises MetalError for what does not compile, diverges, or a sanitizer reports.

        Args:
            mode: "plain", "asan" (with UBSan) or "tsan".
            order: 0 forward, 1 backward and depth first, then random: even breadth first, odd depth first.
            fill: the byte that outputs and threadgroup memory hold before.
        """
        r = self.record
        sizes = [math.prod(shape) * dtype.size for shape, dtype in r.outputs]
        buffers = [*_buffers(self.inputs, r.source), *(bytes([fill]) * n for n in sizes)]
        head = struct.pack("10q", *r.grid, *r.threadgroup, order, seed, fill, len(buffers))
        with tempfile.TemporaryDirectory() as d:
            (Path(d) / "in").write_bytes(head + b"".join(struct.pack("q", len(b)) + b for b in buffers))
            command, environment = [_build(r.source, mode), f"{d}/in", f"{d}/out"], os.environ | _ENVIRONMENT
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if done.returncode:
                raise MetalError(f"{mode}: {done.stderr.strip()[:3000] or f'exit {done.returncode}'}")
            data = (Path(d) / "out").read_bytes()
        ends = np.cumsum([len(data) - sum(sizes), *sizes])
        raw = (mx.array(np.frombuffer(data, np.uint8)[a:b]) for a, b in itertools.pairwise(ends))
        return [a.view(dtype).reshape(shape) for a, (shape, dtype) in zip(raw, r.outputs, strict=True)]

    def verify(self, schedules: int = 6) -> list[mx.array]:
        """Rules, schedules x two fill patterns bit for bit, ASan, UBSan and TSan. Raises MetalError."""
        self.check()
        reference = self.run()
        want = [_bytes(a) for a in reference]
        for order in range(schedules):
            for fill in (0xFF, 0x3F):
                if [_bytes(a) for a in self.run(order=order, seed=order + 7, fill=fill)] != want:
                    raise MetalError(
                        f"the result depends on the schedule or on memory never written (order {order}, fill {fill:#x})"
                    )
        self.run("asan", order=2)
        for order in (2, 3):
            self.run("tsan", order=order, seed=order)
        return reference


def capture(function: Callable[..., Any], *arrays: mx.array) -> list[Launch]:
    """All launches of `function(*arrays)`, with the inputs that each gets when it is really run."""
    launches: list[Launch] = []
    with emulated(see=launches.append):
        function(*arrays)
    return launches


@contextmanager
def emulated(
    mode: str = "plain", order: int = 0, seed: int = 1, fill: int = 0xFF, see: Callable[[Launch], None] | None = None
) -> Iterator[None]:
    """Within it, `mx.fast.metal_kernel` makes kernels that run here; `see` is told each launch."""
    real = mx.fast.metal_kernel

    def metal_kernel(*args: Any, **kwargs: Any) -> Callable[..., list[mx.array]]:
        kernel = real(*args, **kwargs)

        def call(*, inputs: Sequence[Any], **settings: Any) -> list[mx.array]:
            arrays = [x if isinstance(x, mx.array) else mx.array(x) for x in inputs]
            mx.eval(arrays)
            (found,) = record(lambda *a: kernel(inputs=list(a), **settings), *arrays)
            launch = Launch(found, arrays)
            if see:
                see(launch)
            return launch.run(mode, order, seed, fill)

        return call

    mx.fast.metal_kernel = metal_kernel
    try:
        yield
    finally:
        mx.fast.metal_kernel = real


def _bytes(a: mx.array) -> bytes:
    return np.array(a.reshape(-1).view(mx.uint8)).tobytes() if a.size else b""


def _buffers(inputs: Sequence[mx.array], source: str) -> Iterator[bytes]:
    """The bytes of each input and, where the kernel asks for it, of its shape behind it."""
    names = [name for name, _ in parameters(source)]
    for array in inputs:
        yield _bytes(array)
        if names[:2] == [names[0], f"{names.pop(0)}_shape"]:
            names.pop(0)
            yield np.array(array.shape, np.int32).tobytes()


def _clang(arguments: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    compiler = _compiler()
    if isinstance(compiler, str):
        raise MetalError(compiler)
    return _run([*compiler, *_BASE, *_QUIET, *_EXACT, *arguments], text)


def _build(source: str, mode: str) -> Path:
    """The program that runs this kernel; kept by the hash of all that goes into it."""
    own = [
        mode,
        str(_compiler()),
        *((_HERE / n).read_text() for n in ("metal.h", "runtime.cpp", "run.py", "source.py")),
    ]
    program, runtime = (_CACHE / hashlib.sha256("\0".join(t).encode()).hexdigest()[:24] for t in ([source, *own], own))
    if program.exists():
        return program
    _CACHE.mkdir(parents=True, exist_ok=True)
    flags = _MODES[mode]
    with tempfile.TemporaryDirectory(dir=_CACHE) as d:
        if not runtime.exists():
            defines = [f for f in flags if f.startswith("-D")]
            _need(_clang(["-O1", *defines, "-c", str(_HERE / "runtime.cpp"), "-o", f"{d}/runtime.o"]))
            os.replace(f"{d}/runtime.o", runtime)
        _need(_clang([*flags, "-c", "-x", "c++", "-", "-o", f"{d}/kernel.o"], unit(source)))
        _need(_run(_linking(mode, f"{d}/kernel.o", str(runtime), f"{d}/out")))
        os.replace(f"{d}/out", program)
    return program


@functools.cache
def _linker(mode: str) -> list[str]:
    """The command that clang would link with, of `kernel.o` and `runtime.o`: itself it takes twice as long to begin."""
    sanitize = [f for f in _MODES[mode] if f.startswith("-fsanitize=")]
    with tempfile.TemporaryDirectory() as d:
        inputs = Path(d, "kernel.o"), Path(d, "runtime.o")
        for path in inputs:
            path.touch()
        asked = _clang(["-###", *sanitize, *_LINKER, *map(str, inputs), "-lm", "-o", f"{d}/out"])
        _need(asked)
        return [word.replace(f"{d}/", "") for word in shlex.split(asked.stderr.splitlines()[-1])]


def _linking(mode: str, kernel: str, runtime: str, out: str) -> list[str]:
    places = {"kernel.o": kernel, "runtime.o": runtime, "out": out}
    return [places.get(word, word) for word in _linker(mode)]


def _run(command: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def _need(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise MetalError("it does not compile:\n" + done.stderr[-3000:])
