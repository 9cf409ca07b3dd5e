"""Feeds wrong input to everything that reads some, and counts what becomes of it.

    python scripts/fuzz_input.py --seconds 600 --seed 1 [--targets import config ...]

Each target has a table, every field times every bad value, which is gone through in an order that the seed decides; then
random damage to the bytes. An input is accepted, or refused with a sentence (`RgmlxError`, or exit code 1 or 2 and no
traceback). Anything else is a fault: an exception, a process that dies, one that says nothing for a long time. Inputs run
in processes of their own, one after the other for a target, so that one that dies does not end the run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

SLOW = float(os.environ.get("FUZZ_SLOW", "20"))
"""Seconds after which an input counts as a hang."""
_MEMORY = 8 * 2**30
_SILENT = 90.0  # seconds after which a process that does not even notice its alarm is killed; its start may take some


@dataclass
class Count:
    """What became of a target's inputs."""

    refused: int = 0
    accepted: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return self.refused + self.accepted + len(self.faults)


class Hang(BaseException):
    """An input takes too long."""


def run(names: Sequence[str], *, seconds: float, seed: int, inputs: int | None = None) -> dict[str, Count]:
    """Runs each target.

    Args:
        names: of `fuzz_targets.TARGETS`.
        seconds: for all targets together.
        inputs: for a target at most.
    """
    counts = {}
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        begun = time.monotonic()
        counts[name] = _target(name, seconds / left, seed, inputs)
        seconds = max(1.0, seconds - (time.monotonic() - begun))
    return counts


def _target(name: str, seconds: float, seed: int, inputs: int | None) -> Count:
    count, at, end = Count(), 0, time.monotonic() + seconds
    while time.monotonic() < end and (inputs is None or at < inputs):
        with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as place:
            before, at = at, _process(name, end, seed, at, inputs, Path(place), count)
        if at == before:  # the table is at its end, and there is nothing to damage
            break
    return count


def _process(name: str, end: float, seed: int, at: int, inputs: int | None, place: Path, count: Count) -> int:
    """Runs a process until the time is up or it dies. Returns the number of the next input."""
    notes = place / "notes"
    notes.touch()
    (place / "work").mkdir()
    command = [sys.executable, __file__, "--worker", name, "--seed", str(seed), "--start", str(at)]
    command += ["--inputs", str(inputs if inputs is not None else 2**62), "--seconds", str(end - time.monotonic())]
    home = {
        "HOME": str(place),
        "XDG_CONFIG_HOME": str(place),
        "XDG_DATA_HOME": str(place),
        "XDG_CACHE_HOME": str(place),
    }
    environment = {**os.environ, **home, "HF_HUB_OFFLINE": "1", "PYTHONFAULTHANDLER": "1", "FUZZ_NOTES": str(notes)}
    with open(place / "output", "wb") as output:
        worker = subprocess.Popen(
            command, cwd=place / "work", env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        size, changed = 0, time.monotonic()
        while worker.poll() is None:
            time.sleep(0.05)
            if (now := notes.stat().st_size) != size:
                size, changed = now, time.monotonic()
            elif time.monotonic() - changed > _SILENT:
                worker.kill()
                worker.wait()
    last, done = -1, False
    for line in notes.read_text("utf-8", "replace").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "begin":
            last, done = int(rest), False
        elif kind == "end":
            done = True
            outcome, _, what = rest.partition(" ")
            if outcome == "refused":
                count.refused += 1
            elif outcome == "accepted":
                count.accepted += 1
            else:
                count.faults.append(f"{name} {last}: {what}")
    if worker.returncode and not done:
        said = (place / "output").read_text("utf-8", "replace").strip().splitlines()[-25:]
        how = "hangs" if worker.returncode == -signal.SIGKILL else f"the process died ({worker.returncode})"
        count.faults.append(f"{name} {last}: {how}: {' | '.join(said)[-1500:]}")
    if worker.returncode and last < at:  # it can't even begin
        raise RuntimeError(count.faults[-1] if count.faults else f"{name} can't begin")
    return max(at, last + 1)


def work(name: str, seed: int, start: int, inputs: int, seconds: float) -> None:
    """Runs inputs in this process, and notes what became of each."""
    from fuzz_targets import TARGETS

    from rgmlx.errors import RgmlxError

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))  # what asks for more is refused it, and not the machine
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def late(_: int, frame: FrameType | None) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, late)
    target = TARGETS[name](Path.cwd())
    notes = open(os.environ["FUZZ_NOTES"], "a", encoding="utf-8", errors="replace", buffering=1)  # noqa: SIM115
    end = time.monotonic() + seconds
    for number, case in enumerate(cases(target.table(), target.seeds(), seed)):
        if number < start:
            continue
        if number >= inputs or time.monotonic() > end:
            break
        notes.write(f"begin {number}\n")
        signal.setitimer(signal.ITIMER_REAL, SLOW)
        try:
            target.use(case)
            said = "accepted"
        except RgmlxError as e:
            said = "refused" if str(e).strip() else "fault an error without a sentence"
        except Hang:
            said = f"fault hangs: {_shown(case)}"
        except BaseException as e:
            place = traceback.extract_tb(e.__traceback__)[-1]
            where = next(
                (
                    f"{f.filename.rpartition('/')[2]}:{f.lineno}"
                    for f in traceback.extract_tb(e.__traceback__)[::-1]
                    if "/rgmlx/" in f.filename or "/tui/" in f.filename
                ),
                place.name,
            )
            said = f"fault {type(e).__name__}: {' '.join(str(e).split())[:300]} at {where}: {_shown(case)}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        notes.write(f"end {said}\n")
    with contextlib.suppress(Exception):
        notes.close()
    sys.stdout.flush()
    os._exit(0)  # MLX may abort as it unloads


def cases(table: Sequence[bytes], seeds: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """The table in an order of the seed's, then random damage to the seeds, without end."""
    draw = random.Random(seed)
    order = list(range(len(table)))
    draw.shuffle(order)
    for i in order:
        yield table[i]
    while seeds:
        yield damaged(draw.choice(seeds), draw)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The bytes with a few of them changed, cut out, doubled or put in."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        at = draw.randrange(len(out) + 1)
        size = draw.choice((1, 1, 2, 8, 64))
        match draw.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << draw.randrange(8)
            case 1:
                out[at : at + size] = draw.randbytes(size)
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = out[max(0, at - size) : at]
            case 4:
                out[at:at] = draw.choice(
                    (b"9" * 25, b"-", b"1e400", b"\\u0000", b"\xff", b'"', b"[", b"{", b"\0", b"null")
                )
            case _:
                del out[at:]
    return bytes(out)


def _shown(case: bytes) -> str:
    return repr(case[:600]) + (f" and {len(case) - 600:,} more bytes" if len(case) > 600 else "")


def print_table(counts: dict[str, Count]) -> None:
    """The counts, a line a target, and each fault once."""
    form = "{:22} {:>8} {:>9} {:>9} {:>11} {:>6}"
    print(form.format("target", "inputs", "refused", "accepted", "tracebacks", "hangs"))
    total = Count()
    for name, count in counts.items():
        hangs = sum("hangs" in fault for fault in count.faults)
        print(form.format(name, count.inputs, count.refused, count.accepted, len(count.faults) - hangs, hangs))
        total.refused, total.accepted = total.refused + count.refused, total.accepted + count.accepted
        total.faults += count.faults
    hangs = sum("hangs" in fault for fault in total.faults)
    print(form.format("all", total.inputs, total.refused, total.accepted, len(total.faults) - hangs, hangs))
    seen = set()
    for fault in total.faults:
        key = fault.partition(": ")[2][:60] + fault.partition(" at ")[2][:30]
        if key not in seen:
            seen.add(key)
            print("\n" + fault)


def main() -> None:
    """The command line; exits with 1 where there was a fault."""
    sys.path.insert(0, str(Path(__file__).parent))
    sys.path.insert(1, str(Path(__file__).parent.parent / "tests"))
    p = argparse.ArgumentParser(description="Feeds wrong input to everything that reads some.")
    p.add_argument("--seconds", type=float, default=60, help="for all targets together")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--inputs", type=int, help="for a target at most")
    p.add_argument("--targets", nargs="+", metavar="NAME")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    p.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    options = p.parse_args()
    if options.worker:
        work(options.worker, options.seed, options.start, options.inputs, options.seconds)
    from fuzz_targets import TARGETS

    counts = run(options.targets or list(TARGETS), seconds=options.seconds, seed=options.seed, inputs=options.inputs)
    print_table(counts)
    sys.exit(any(count.faults for count in counts.values()))


if __name__ == "__main__":
    main()
