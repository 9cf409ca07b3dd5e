"""For tests: a group of ranks on this machine, over MLX's ring. Run as a program, it is one of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import mlx.core as mx
import numpy as np

import rgmlx
from rgmlx.errors import RgmlxError
from rgmlx.generation.engine import Generation, generate_batch
from rgmlx.generation.scoring import log_probs
from rgmlx.griffin.state import State
from rgmlx.settings import Sampling

PATIENCE = float(os.environ.get("PATIENCE", 300))
CHUNK = np.random.default_rng(1).integers(3, 60, (2, 13))
"""Longer than the window of the models that are compared, and steps behind it."""
STEPS = np.random.default_rng(2).integers(3, 60, (2, 4))
PROMPT = [2, 7, 1, 9, 30, 31, 5, 50, 51, 52, 4]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def run(size: int, out: Path, job: str, *paths: Path) -> list[dict[str, Any]]:
    """What a job of `JOBS` gives on each of so many ranks.

    Args:
        out: a directory that they share; it is made anew.
    """
    for _ in range(3):  # a port may be somebody else's by the time it is used
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        hosts = out / "hosts.json"
        hosts.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in free_ports(size)]))
        failed = _run(size, hosts, [job, *map(str, paths)])
        if failed is None:
            return [dict(np.load(out / f"{rank}.npz")) for rank in range(size)]
        if "RuntimeError: [ring]" not in failed:
            break
    raise AssertionError(failed)


def _run(size: int, hosts: Path, words: Sequence[str]) -> str | None:
    """Runs the ranks to their end; returns what the first said that failed. None of them is left."""
    there = hosts.parent
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(size):
            environment = os.environ | {"MLX_RANK": str(rank), "MLX_WORLD_SIZE": str(size)}
            if size > 1:  # a ring of one is an error
                environment["MLX_HOSTFILE"] = str(hosts)
            with (there / f"{rank}.log").open("wb") as log:
                command = [sys.executable, __file__, str(size), str(there), *words]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        end = time.monotonic() + PATIENCE
        while any(p.poll() is None for p in processes):
            if bad := [rank for rank, p in enumerate(processes) if p.poll()]:
                return (there / f"{bad[0]}.log").read_text() or "it said nothing"
            if time.monotonic() > end:
                return "the ranks did not come to an end"
            time.sleep(0.02)
        bad = [rank for rank, p in enumerate(processes) if p.returncode]
        return (there / f"{bad[0]}.log").read_text() if bad else None
    finally:
        for p in processes:
            p.kill()
            p.wait()


# --- one rank -----------------------------------------------------------------------------


def outputs(model: rgmlx.Model, state: State) -> np.ndarray:
    """Logits of a chunk and of the steps behind it [2, 13 + 4, V]."""
    parts = [model.logits(CHUNK, state)]
    parts += [model.logits(STEPS[:, i : i + 1], state) for i in range(STEPS.shape[1])]
    return np.array(mx.concatenate(parts, axis=1))


def resumed(model: rgmlx.Model, state: State) -> np.ndarray:
    """Logits behind a state of `outputs` [2, 4 + 1, V]."""
    return np.array(mx.concatenate([model.logits(STEPS, state), model.logits(STEPS[:, :1], state)], axis=1))


def greedy(model: rgmlx.Model) -> list[int]:
    return list(Generation(model, model.new_state(), PROMPT, sampling=Sampling(temperature=0), max_tokens=14))


def drawn(model: rgmlx.Model) -> list[int]:
    """Ids with a seed, several read at once where the text foretells them."""
    sampling = Sampling(temperature=1.0, seed=3)
    return list(Generation(model, model.new_state(), [5, 6, 7, 8] * 3, sampling=sampling, max_tokens=8, draft=True))


def rows(model: rgmlx.Model) -> np.ndarray:
    """(row, id) of a batch of prompts that differ in length."""
    prompts, greedily = [[5, 6, 7], [8, 9, 10] * 4], Sampling(temperature=0)
    return np.array(list(generate_batch(model, model.new_state(2), prompts, sampling=greedily, max_tokens=3)))


def scores(model: rgmlx.Model) -> np.ndarray:
    """Log-probabilities of ids behind others."""
    return log_probs(model, model.new_state(), PROMPT[3:], prompt=PROMPT[:3], chunk=6)


def states(group: mx.distributed.Group, out: Path, before: str, *directories: str) -> Iterator[tuple[str, Any]]:
    """Of each model: logits, ids, bytes of this rank's state; the whole state is left as a file.

    Args:
        before: where another number of ranks has left theirs, which this one goes on from; the same as `out`: nowhere.
    """
    for name in directories:
        model, key = rgmlx.load(name, dtype="float32"), Path(name).name
        model.shard(group)
        state = model.new_state(2)
        yield f"{key} logits", outputs(model, state)
        yield f"{key} ids", greedy(model)
        yield f"{key} drawn", drawn(model)
        yield f"{key} rows", rows(model)
        yield f"{key} scores", scores(model)
        yield f"{key} nbytes", state.nbytes
        yield f"{key} expected nbytes", model.config.state_nbytes(4, 2)
        whole = model.gather(state)
        yield f"{key} whole nbytes", whole.nbytes
        if group.rank() == 0:
            whole.save(out / f"{key}.rgstate")
        yield f"{key} resumed", resumed(model, state)
        yield f"{key} resumed scattered", resumed(model, model.scatter(whole))
        if Path(before) != out:
            yield (
                f"{key} resumed other",
                resumed(model, model.scatter(State.load(f"{before}/{key}.rgstate", model.whole))),
            )


def refuse(group: mx.distributed.Group, out: Path, name: str) -> Iterator[tuple[str, Any]]:
    """What a model says of a number of ranks that does not do, and of what a share is not for."""
    model = rgmlx.load(name, dtype="float32")
    try:
        model.shard(group)
    except RgmlxError as e:
        yield "said", str(e)
    yield "ids", greedy(model)  # it is whole still


def mlx_lm(group: mx.distributed.Group, out: Path, name: str) -> Iterator[tuple[str, Any]]:
    """mlx-lm's own loader and token loop."""
    from mlx_lm.generate import generate_step
    from mlx_lm.utils import sharded_load

    import rgmlx.mlx_lm

    rgmlx.mlx_lm.register()
    model, tokenizer = sharded_load(name, None, group)
    yield "held", mx.get_active_memory()
    yield "peak", mx.get_peak_memory()
    prompt = mx.array(tokenizer.encode("Once there was a house, and in the house"))
    ids, logprobs = zip(*generate_step(prompt, model, max_tokens=14, prefill_step_size=5), strict=True)
    yield "ids", list(map(int, ids))
    yield "logprobs", np.array(mx.stack(logprobs))
    yield "width", model.config.lru_width


JOBS: dict[str, Callable[..., Iterator[tuple[str, Any]]]] = {job.__name__: job for job in (states, refuse, mlx_lm)}


def main() -> None:
    mx.set_default_device(mx.cpu)  # as all tests do
    size, out, job, *paths = sys.argv[1:]
    rank = os.environ["MLX_RANK"]
    # MLX gives a rank half a minute to listen, which is not enough for the imports of a busy machine.
    (Path(out) / f"{rank}.ready").touch()
    while len(list(Path(out).glob("*.ready"))) < int(size):
        time.sleep(0.02)
    group = mx.distributed.init(strict=int(size) > 1, backend="ring")
    assert (group.size(), str(group.rank())) == (int(size), rank)
    np.savez(Path(out) / f"{rank}.npz", **{key: np.array(found) for key, found in JOBS[job](group, Path(out), *paths)})
    mx.eval(mx.distributed.all_sum(mx.array(1.0), group=group))  # none ends while another still reads from it


if __name__ == "__main__":
    main()
