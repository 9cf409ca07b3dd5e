"""Trains Griff: our own network, in bfloat16 with float32 parameters, on one GPU or several.

    python -m griff.train --generate 14 --give corpus=CORPUS --minutes 9 --out RUN --export PARTS

Run where `scripts/` is on PYTHONPATH. A run that was killed goes on where its last checkpoint is, with the same command, and
so does one that `--part` has ended, where no command may run for long; at the real end there is a file OUT/done.
`--init PARTS` begins anew from weights alone. What it learns from is `--conversations`, a function by its dotted name (see
`griff.rows.Conversations`), or files (`--shards`). Sizes of models: `griff.shapes`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

# No MLX here: the processes that make batches import this module.

_POLL = 0.2


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="griff.train", description="Trains Griff.")
    p.add_argument("--out", default="griff-run", metavar="DIR", help="checkpoint.safetensors and log.jsonl")
    p.add_argument("--export", metavar="DIR", help="weights in parts of at most 15 MiB, at every save")
    p.add_argument("--init", metavar="DIR", help="begin with such parts and a new optimizer")
    shape = p.add_argument_group("model")
    shape.add_argument("--width", type=int, default=512)
    shape.add_argument("--layers", type=int, default=12)
    shape.add_argument("--mlp", type=int, default=0, help="three times the width unless given")
    shape.add_argument("--window", type=int, help="keys that a token sees before it (1023)")
    shape.add_argument("--vocabulary", type=int, default=8192)
    data = p.add_argument_group("data")
    data.add_argument("--conversations", default="griff.mix.conversations", metavar="MODULE.FUNCTION")
    data.add_argument("--give", nargs="*", default=[], metavar="NAME=VALUE", help="keyword arguments of that function")
    data.add_argument("--shards", nargs="*", default=[], metavar="FILE[:SHARE]", help="files in place of the function")
    data.add_argument(
        "--generate", type=int, default=0, metavar="N", help="processes a GPU that make batches (0: a thread)"
    )
    data.add_argument("--held", metavar="FILE", help="a file whose loss is told at every save")
    data.add_argument("--rows", type=int, default=48, help="of a batch, a GPU")
    data.add_argument("--time", type=int, default=1024, help="tokens of a row")
    data.add_argument("--seed", type=int, default=0)
    course = p.add_argument_group("course")
    course.add_argument("--steps", type=int, default=0)
    course.add_argument("--minutes", type=float, default=0.0, help="in place of steps; of all parts of a run together")
    course.add_argument(
        "--part", type=float, default=0.0, metavar="MINUTES", help="end after so many with a checkpoint; see above"
    )
    course.add_argument("--rate", type=float, default=2e-3, help="learning rate after the warm-up")
    course.add_argument("--last-rate", type=float, help="at the end of the cosine (a tenth)")
    course.add_argument("--warm", type=int, default=200, help="steps of the warm-up")
    course.add_argument("--save-minutes", type=float, default=2.0)
    course.add_argument("--every", type=int, default=50, help="steps a line of the log")
    machine = p.add_argument_group("machine")
    machine.add_argument("--gpus", type=int, default=1)
    machine.add_argument("--backend", choices=["nccl", "ring"], help="nccl where there are NVIDIA GPUs")
    machine.add_argument("--float32", action="store_true", help="compute in float32")
    machine.add_argument("--plain", action="store_true", help="do not compile the step")
    machine.add_argument("--profile", action="store_true", help="print the shares of a step's time, and end")
    return p


def checked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; ends the program where they do not fit together."""
    p = parser()
    o = p.parse_args(arguments)
    if not o.profile and bool(o.steps) == bool(o.minutes):
        p.error("say how long: --steps or --minutes")
    if bad := [g for g in o.give if "=" not in g]:
        p.error(f"--give takes NAME=VALUE, not {bad[0]!r}")
    return o


# --- several GPUs -------------------------------------------------------------------------------


def environments(count: int, backend: str, folder: Path) -> list[dict[str, str]]:
    """The environment of each of the processes, as MLX's own launcher sets it; what is set already stays."""
    ports = []
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
        ports.append(s.getsockname()[1])
    for s in sockets:
        s.close()
    hosts = folder / "hosts.json"
    hosts.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in ports]), encoding="utf-8")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    made = []
    for rank in range(count):
        own = {"MLX_RANK": str(rank), "MLX_WORLD_SIZE": str(count), "GRIFF_BACKEND": backend}
        if backend == "nccl":
            card = visible[rank] if len(visible) >= count else str(rank)
            own |= {"NCCL_HOST_IP": "127.0.0.1", "NCCL_PORT": str(ports[0]), "CUDA_VISIBLE_DEVICES": card}
        else:
            own["MLX_HOSTFILE"] = str(hosts)
        made.append(os.environ | own)
    return made


def together(command: Sequence[str], count: int, backend: str) -> int:
    """Runs a command once a GPU. When one ends badly, all end; returns its code."""
    with tempfile.TemporaryDirectory() as folder:
        children = [subprocess.Popen(command, env=env) for env in environments(count, backend, Path(folder))]

        def end(number: int, _: FrameType | None) -> None:
            raise SystemExit(128 + number)

        old = signal.signal(signal.SIGTERM, end)
        try:
            while True:
                codes = [child.poll() for child in children]
                if bad := [code for code in codes if code]:
                    return bad[0] if bad[0] > 0 else 128 - bad[0]
                if None not in codes:
                    return 0
                time.sleep(_POLL)
        finally:
            signal.signal(signal.SIGTERM, old)
            for child in children:
                child.terminate()
            for child in children:
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()


def end_with_parent() -> None:
    """Ends this process when the launcher is gone: it may wait for others for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: Sequence[str] | None = None) -> int:
    o = checked(arguments)
    backend = os.environ.get("GRIFF_BACKEND")
    if o.gpus > 1 and backend is None:
        chosen = o.backend or ("nccl" if list(Path("/dev").glob("nvidia[0-9]*")) else "ring")
        given = sys.argv[1:] if arguments is None else list(arguments)
        return together([sys.executable, "-m", "griff.train", *given], o.gpus, chosen)
    if backend is not None:
        end_with_parent()
    Path(o.out).mkdir(parents=True, exist_ok=True)

    from . import checkpoint, feed, loop

    try:
        rank, group = loop.join(backend)
        training = loop.Training(o, rank, group)
        if o.profile:
            found = loop.profile(training)
            if rank == 0:
                print(json.dumps({k: round(1e3 * v, 2) for k, v in found.items()} | {"unit": "ms"}), flush=True)
        else:
            training.run()
    except (loop.TrainingError, checkpoint.CheckpointError, feed.DataError, ValueError) as e:
        print(f"griff.train: {e}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
