"""The kernels checked at the first load on a machine; those that are wrong are left out, with one warning.

A kernel is compiled by the machine it runs on, and none of ours has run on every combination of GPU, system and
MLX. So the first load on a new one runs each kernel that the model needs beside plain operations, in the model's own
sizes and dtype and in every form that it is compiled in, and remembers what came of it. On Metal that should take about
a second (not measured); on CUDA the compiler takes about two seconds a kernel, which a reply would have paid anyway (MLX
keeps the result on disk).

A failure may pass, such as one of memory: it is remembered once it has come in two runs, and for a day. Where a check
ends the program, which no program can catch, a marker is left: kernels are off at the next start, for a day, and for
good when it happens again.

`RGMLX_KERNELS=off` switches kernels off, and the check with them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..errors import RgmlxWarning
from ..griffin.config import ATTENTION, RECURRENT, ModelConfig
from ..kernels import launch
from ..kernels.rg_lru import TIMES
from ..shell import typed
from ..system import cache, debug_log
from ..system.printable import first_line
from . import parity
from .marker import Marker

DAY = 24 * 3600.0
"""Seconds that a failure is remembered."""
_log = logging.getLogger(__name__)
_ENTRIES = 50  # remembered combinations; the oldest go first
CUDA_ONLY = ("rotary_step", "attend_step", "quantized_step", "dequantize")
"""Kernels that Metal has no use for: MLX has native operations for it there."""
_FORMS_OF_CUDA = ("gelu_product, apart",)  # of matrices that are made dense

PLAIN_ON_A_CPU = (*CUDA_ONLY, "rg_lru_scan")
"""Kernels that have no reference in NumPy: a gradient, and the recurrence without what surrounds it."""
_IN_NUMPY = ("rg_lru_scan, gated",)
_OF_LAYERS = {
    RECURRENT: ("rg_lru_scan", "conv", "recurrent_step"),
    ATTENTION: ("rotary", "rotary_step", "attend_step"),
}
_OF_QUANTIZED = ("quantized_step", "dequantize")
_OF_A_CHUNK = ("rg_lru_scan, gated", "conv", "add_norm", "gelu_product", "rotary")

Problems = Mapping[str, tuple[str, ...]]
"""Half a sentence each, and what is left out for it, as `launch.leave_out` takes it; nothing stands for all kernels."""


@dataclass(frozen=True)
class Result:
    """What came of a check.

    Attributes:
        problems: none where all is well.
        runs: how often in a row it failed.
        when: seconds since 1970.
        aborted: it ended the program.
    """

    problems: Problems
    runs: int = 1
    when: float = 0.0
    aborted: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result | None:
        """One that was remembered; None where it is not one."""
        try:
            problems = {str(why): tuple(map(str, left_out)) for why, left_out in data["problems"].items()}
            return cls(problems, int(data["runs"]), float(data["when"]), bool(data["aborted"]))
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
            return None

    @property
    def holds(self) -> bool:
        """Whether this is still to be gone by."""
        if not self.problems or (self.aborted and self.runs > 1):
            return True
        return (self.aborted or self.runs > 1) and 0 <= time.time() - self.when < DAY

    def after(self, before: Result | None) -> Result:
        """The same, counted on from what was known before."""
        again = before is not None and bool(before.problems) and bool(self.problems) and before.aborted == self.aborted
        return Result(self.problems, before.runs + 1 if before and again else 1, time.time(), self.aborted)


_here: dict[str, Result] = {}  # what holds in this process, by combination


def ensure(config: ModelConfig, dtype: mx.Dtype) -> None:
    """Checks the kernels that a model will use, unless this combination was checked before.

    Those that fail run in plain operations in this process, and one RgmlxWarning says so.
    """
    if not launch.on_gpu():
        return
    key = combination(config, dtype)
    if key in _here:
        return
    known = _read()
    found = known.get(key)
    if found is None or not found.holds:
        found = _ended(known) or _checked(config, dtype, key)
    _here[key] = found
    _log.debug("kernels of %s in %s: %s", launch.backend(), dtype, "; ".join(found.problems) or "all are right")
    if not found.problems:
        return
    if all(found.problems.values()):
        launch.leave_out(function for left_out in found.problems.values() for function in left_out)
    else:
        launch.switch(False)
    first, *others = found.problems
    more = f", and {len(others)} more of them {'is' if len(others) == 1 else 'are'} not right" if others else ""
    warnings.warn(
        f"{first}{more}: plain operations are used instead, which are slower; `{typed('rgmlx doctor')}` shows more",
        RgmlxWarning,
        stacklevel=2,
    )


def _checked(config: ModelConfig, dtype: mx.Dtype, key: str) -> Result:
    """Checks, and remembers what came of it; where an earlier check has ended its program, that is what came of it."""
    with Marker(marker_file()) as marker:
        if ended := _left_behind(marker):
            return ended
        return _remember(key, Result(check(config, dtype, lambda case: marker.note(noted(case, key)))))


def check(
    config: ModelConfig, dtype: mx.Dtype, note: Callable[[parity.Case], None] = lambda case: None
) -> dict[str, tuple[str, ...]]:
    """Runs every kernel that a model needs beside its reference.

    Args:
        note: told of each case before it is run.

    Returns:
        What is wrong, and what to leave out for it: see `Problems`.
    """
    problems: dict[str, tuple[str, ...]] = {}
    try:
        cases = cases_of(config, dtype)
    except Exception as e:  # the numbers of a case are made on the device too
        debug_log.caught(e, "the kernels are not checked")
        return {f"the kernels could not be checked on this machine ({first_line(e)})": ()}
    wrong: set[str] = set()
    with launch.none_left_out():
        for case in cases:
            if wrong.issuperset(case.functions):
                continue
            note(case)
            if problem := problem_of(case):
                problems[problem] = case.functions
                wrong.update(case.functions)
    return problems


def cases_of(config: ModelConfig, dtype: mx.Dtype) -> list[parity.Case]:
    """What a model computes with, in every form that a length of text brings; what only training needs comes last."""
    unneeded = [name for kind, names in _OF_LAYERS.items() if kind not in config.layer_types for name in names]
    if config.quantization is None:
        unneeded += _OF_QUANTIZED
    found = []
    usual = parity.shape_of(config).time
    for length in (usual, *(t for t in TIMES if t != usual)):
        for case in cases_here(parity.shape_of(config, length), dtype):
            if case.kernel.split(",")[0].removesuffix("_vjp") in unneeded:
                continue
            if length == usual or case.kernel in _OF_A_CHUNK:
                found.append(case)
    return sorted(found, key=lambda case: case.is_of_training)


def cases_here(shape: parity.Shape, dtype: mx.Dtype) -> list[parity.Case]:
    """The cases whose kernels this machine's backend uses."""
    skip = {"metal": (*CUDA_ONLY, *_FORMS_OF_CUDA), "numpy": PLAIN_ON_A_CPU}.get(launch.backend() or "", ())
    return [c for c in parity.cases(shape, dtype) if not c.kernel.startswith(skip) or c.kernel in _IN_NUMPY]


def problem_of(case: parity.Case) -> str:
    """What is wrong with a kernel, as half a sentence, or ""."""
    try:
        error = case.error()
    except Exception as e:  # whatever MLX and the compiler raise
        debug_log.caught(e, f"the kernel {case} failed")
        return f"the kernel {case} failed on this machine ({first_line(e)})"
    if error <= case.tolerance:
        return ""
    return f"the kernel {case} is wrong on this machine (relative error {error:.1e}, allowed {case.tolerance:.1e})"


def combination(config: ModelConfig, dtype: mx.Dtype) -> str:
    """What a result holds for: the machine; dtype, sizes and what the model needs."""
    parts = str(dtype), parity.shape_of(config), sorted(set(config.layer_types)), config.quantization is None
    return f"{machine()}.{_hashed(parts)}"


def machine() -> str:
    """What a result of any model holds for: device, system, MLX and kernel sources."""
    sources = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(launch.__file__).parent.glob("*.[mh]*")):
        sources.update(path.read_bytes())
    device = mx.device_info().get("device_name", "GPU")
    return _hashed((device, platform.platform(), version("mlx"), sources.hexdigest()))


def _hashed(parts: tuple[Any, ...]) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


# --- a check that ends the program --------------------------------------------------------


def marker_file() -> Path:
    """Where is noted what is being checked."""
    return _file().with_suffix(".checking")


def noted(case: parity.Case, key: str = "") -> str:
    """What is noted of a case that is run next; `key`: for which model, "" for none."""
    return json.dumps([key or machine(), str(case), case.functions if case.is_of_training else ()])


def abort() -> str:
    """Why kernels had better not be checked on this machine again, as half a sentence; "": no check has ended a program."""
    with Marker(marker_file()) as marker:
        ended = _left_behind(marker) or _ended(_read())
    return next(iter(ended.problems)) if ended else ""


def _left_behind(marker: Marker) -> Result | None:
    """What the marker of an earlier program says, which is remembered; None where that was another machine, or none."""
    if not marker.left:
        return None
    try:
        key, case, functions = json.loads(marker.left)
        key, which, functions = str(key), f"the kernel {case}", tuple(map(str, functions))
    except (ValueError, TypeError):  # written in part
        key, which, functions = machine(), "the kernels", ()
    found = Result({f"the check of {which} ended the program on this machine": functions}, aborted=True)
    found = _remember(key, found)
    return found if key.startswith(machine()) else None


def _ended(known: Mapping[str, Result]) -> Result | None:
    """A check on this machine, of any model, that ended its program; the next would, too."""
    here = machine()
    return next((one for key, one in known.items() if key.startswith(here) and one.aborted and one.holds), None)


# --- what is remembered -------------------------------------------------------------------


def forget_problems() -> None:
    """Drops remembered failures, so that the next load checks again; `rgmlx doctor` does it when all is well."""
    _here.clear()
    known = _read()
    if any(result.problems for result in known.values()):
        _write({key: result for key, result in known.items() if not result.problems})


def _remember(key: str, result: Result) -> Result:
    """Adds what came of a check to what is known; as it is counted then."""
    known = _read()
    before = known.pop(key, None)  # the newest come last, and are kept
    known[key] = result.after(before)
    _write(known)
    return known[key]


def _file() -> Path:
    return cache.file("kernels.json")


def kept_in() -> Path:
    """The file in which results are remembered."""
    return _file()


def _read() -> dict[str, Result]:
    found = {key: Result.from_json(data) for key, data in cache.read(_file(), dict).items()}
    return {key: result for key, result in found.items() if result is not None}


def _write(known: Mapping[str, Result]) -> None:
    cache.write(_file(), {key: asdict(result) for key, result in known.items()}, _ENTRIES)
