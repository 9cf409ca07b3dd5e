"""The kernels checked at the first load on a machine, and given up with one warning where they are wrong.

A kernel is compiled by the machine it runs on, and none of ours has run on every combination of GPU, system and
MLX. So the first load on a new one runs each kernel beside plain operations, in the model's own sizes and dtype,
and remembers what came of it. On Metal that takes well under a second; on CUDA the compiler takes about two
seconds a kernel, which the first reply would have paid anyway (MLX keeps the result on disk).

`RGMLX_KERNELS=off` switches kernels off, and the check with them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx

from .config import ModelConfig
from .kernels import launch, parity
from .text import first_line

_ENTRIES = 50  # remembered combinations; the oldest go first
CUDA_ONLY = ("rotary_step", "attend_step", "quantized_step", "dequantize")
"""Kernels that Metal has no use for: MLX has native operations for it there."""


def ensure(config: ModelConfig, dtype: mx.Dtype) -> None:
    """Checks the kernels that a model will use, unless this combination was checked before.

    Where one fails, kernels are switched off in this process and one RuntimeWarning says so.
    """
    if launch.backend() is None:
        return
    key, known = combination(config, dtype), _read()
    if key not in known:
        known[key] = check(config, dtype)
        _write(dict(list(known.items())[-_ENTRIES:]))
    if problem := known[key]:
        launch.switch(False)
        warnings.warn(
            f"{problem}: plain operations are used instead, which are slower; `rgmlx doctor` shows more",
            RuntimeWarning,
            stacklevel=2,
        )


def forget_problems() -> None:
    """Drops remembered failures, so that the next load checks again; `rgmlx doctor` does it when all is well."""
    known = _read()
    if any(known.values()):
        _write({k: v for k, v in known.items() if not v})


def check(config: ModelConfig, dtype: mx.Dtype) -> str:
    """Runs every kernel once beside its twin. Returns the first problem as half a sentence, or ""."""
    try:
        cases = cases_here(parity.shape_of(config), dtype)
    except Exception as e:  # the numbers of a case are made on the device too
        return f"the kernels could not be checked on this machine ({first_line(e)})"
    for case in cases:
        if problem := problem_of(case):
            return problem
    return ""


def cases_here(shape: parity.Shape, dtype: mx.Dtype) -> list[parity.Case]:
    """The cases whose kernels this machine's backend uses."""
    skip = CUDA_ONLY if launch.backend() == "metal" else ()  # str.startswith takes a tuple, and () fits nothing
    return [c for c in parity.cases(shape, dtype) if not c.kernel.startswith(skip)]


def problem_of(case: parity.Case) -> str:
    """What is wrong with a kernel, as half a sentence, or ""."""
    try:
        error = case.error()
    except Exception as e:  # whatever MLX and the compiler raise
        return f"the kernel {case} failed on this machine ({first_line(e)})"
    if error <= case.tolerance:
        return ""
    return f"the kernel {case} is wrong on this machine (relative error {error:.1e}, allowed {case.tolerance:.1e})"


def combination(config: ModelConfig, dtype: mx.Dtype) -> str:
    """What a result holds for: device, system, MLX, kernel sources, dtype and sizes."""
    sources = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(launch.__file__).parent.glob("*.[mh]*")):
        sources.update(path.read_bytes())
    device = mx.device_info().get("device_name", "GPU")
    parts = (device, platform.platform(), version("mlx"), sources.hexdigest(), str(dtype), parity.shape_of(config))
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _file() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("rgmlx") / "kernels.json"


def _read() -> dict[str, str]:
    """What is remembered; nothing where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, RecursionError):  # the last: brackets without end
        data: Any = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(data, dict):
            return {str(k): v for k, v in data.items() if isinstance(v, str)}
    return {}


def _write(known: dict[str, str]) -> None:
    # A cache that can't be written costs a check at the next load.
    path = _file()
    beside = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(known, indent=1), encoding="utf-8")
        os.replace(beside, path)
    with contextlib.suppress(OSError):
        beside.unlink()  # there only if something failed, such as a full disk
