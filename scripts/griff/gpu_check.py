"""What a GPU makes of the training, in two minutes: parity, speed, memory, where the time goes, several GPUs.

    python -m griff.gpu_check [--only parity speed ...]

Run where `scripts/` is on PYTHONPATH. Every section is a process of its own: one that fails leaves the others.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

# No MLX here: the processes that make batches import this module.

SECTIONS = ("parity", "speed", "kernels", "train", "gpus")
SHAPES = ((512, 12, 48, 1024), (512, 12, 24, 2048), (512, 12, 96, 1024), (384, 12, 64, 1024))
"""Width, layers, rows, time."""
COMPARED = (512, 3, 1536, 200), (4, 384)
"""Width, layers, MLP and window of the network whose gradients are compared; rows and time."""
_VOCABULARY = 8192
_PATIENCE = 150  # seconds a section may take


def conversations(seed: int, joined: str = "") -> Iterator[tuple[list[int], list[int]]]:
    """Random tokens in turns, a third of them copied: nothing to learn but the copies."""
    chance = random.Random(seed)
    while True:
        tokens, weights = [2], [0]
        for _ in range(chance.randint(1, 6)):
            said = chance.choices(range(100, _VOCABULARY), k=chance.randint(5, 30))
            tokens += [4, *said, 5, 4, *said, 5]
            weights += [0] * (len(said) + 3) + [3] * len(said) + [1]
        yield tokens, weights


def parity() -> None:
    """Kernels beside their twins, the network's gradients by both, a packed row beside its sequences alone."""
    import mlx.core as mx
    import numpy as np
    from mlx.utils import tree_flatten

    from rgmlx.griffin.network import RecurrentGemma
    from rgmlx.kernels import launch
    from rgmlx.verification.parity import Shape, cases, training_cases

    from . import shapes
    from .rows import batch_of
    from .step import inputs, loss_and_gradients

    print(f"{mx.device_info()}; MLX {version('mlx')}; kernels: {launch.backend()}")
    wrong = 0
    shape = Shape(3, 300, 8, 64, heads=8, size=64, ring=1024)
    chosen = (*training_cases(shape, mx.float32), *training_cases(shape, mx.bfloat16), *cases(shape, mx.bfloat16))
    for case in chosen:
        try:
            error, why = case.error(), ""
        except RuntimeError as e:
            error, why = float("inf"), str(e)
        if not error <= case.tolerance:
            wrong += 1
            print(f"WRONG  {case}: {error:.2e} > {case.tolerance:.2e} {why}")
    print(f"kernels beside their twins: {'all right' if not wrong else f'{wrong} WRONG'}")

    net = RecurrentGemma(shapes.config(*COMPARED[0]))
    shapes.begin(net, 0)
    parameters = net.parameters()
    one = inputs(batch_of(conversations, {}, COMPARED[1], 1))
    found: dict[str, Any] = {}
    for name, dtype, plain in (
        ("plain", mx.float32, True),
        ("float32", mx.float32, False),
        ("bfloat16", mx.bfloat16, False),
    ):
        run = loss_and_gradients(net, dtype)
        if plain:
            with launch.plain_operations():
                sums, gradients = run(parameters, one)
                mx.eval(sums, gradients)
        else:
            sums, gradients = mx.compile(run)(parameters, one)
        found[name] = (sums[0].item(), {k: np.array(g).astype(np.float64) for k, g in tree_flatten(gradients)})
    exact, want = found.pop("plain")
    for name, (loss, gradients) in found.items():
        errors = {
            k: float(np.linalg.norm(g - want[k]) / (np.linalg.norm(want[k]) + 1e-9)) for k, g in gradients.items()
        }
        worst = sorted(errors, key=lambda k: -errors[k])[:3]
        limit = 2e-3 if name == "float32" else 0.1
        verdict = "right" if abs(loss - exact) < limit * exact and errors[worst[0]] < limit else "WRONG"
        told = ", ".join(f"{k} {errors[k]:.1e}" for k in worst)
        print(f"gradients, {name} beside plain float32: {verdict}; loss {loss:.4f} and {exact:.4f}; worst: {told}")

    net.update(parameters)
    tokens = np.random.default_rng(0).integers(3, _VOCABULARY, (1, 500))
    ends = [7, 9, 140, 141, 500]
    positions = np.concatenate([np.arange(b - a) for a, b in zip([0, *ends[:-1]], ends, strict=True)])[None]
    got = net.head(net.packed(mx.array(tokens), mx.array(positions.astype(np.int32))), inference=False)[0]
    alone = [net(mx.array(tokens[:, a:b]))[0] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    error = float(np.abs(np.array(got - mx.concatenate(alone))).max())
    print(f"a packed row beside its sequences alone: {'right' if error < 2e-2 else 'WRONG'} ({error:.1e})")


def options(*more: str) -> argparse.Namespace:
    from .train import checked

    return checked(["--conversations", "griff.gpu_check.conversations", "--steps", "1", *more])


def training(folder: str, shape: tuple[int, int, int, int], *more: str) -> Any:
    from . import loop

    width, layers, rows, length = (str(n) for n in shape)
    size = ["--width", width, "--layers", layers, "--rows", rows, "--time", length]
    return loop.Training(options("--out", folder, *size, *more))


def speed() -> None:
    """Milliseconds a step, tokens a second and memory of each shape; the shares of a step."""
    import mlx.core as mx

    from . import loop
    from .rows import batch_of
    from .step import inputs

    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            run = training(folder, shape, "--generate", "4")
            mx.reset_peak_memory()
            one = inputs(batch_of(conversations, {}, shape[2:], 0))
            began = time.perf_counter()
            mx.eval(run.step(one, 1e-4), run.step.parameters)
            first = time.perf_counter() - began
            for _ in range(2):
                mx.eval(run.step(one, 1e-4))
            began = time.perf_counter()
            for _ in range(10):
                before = run.step(one, 1e-4)
            mx.eval(before, run.step.parameters)
            seconds = (time.perf_counter() - began) / 10
            count = run.config.parameter_counts()["total"] / 1e6
            print(
                f"width {shape[0]}, {shape[1]} layers ({count:.1f} M), {shape[2]} x {shape[3]}: {1e3 * seconds:.1f} ms, "
                f"{shape[2] * shape[3] / seconds / 1e3:,.0f} k tokens/s, {mx.get_peak_memory() / 2**30:.1f} GiB, "
                f"first step {first:.1f} s",
                flush=True,
            )
            if shape == SHAPES[0]:
                parts = loop.profile(run)
                told = ", ".join(f"{k} {1e3 * v:.1f} ms ({v / parts['step']:.0%})" for k, v in parts.items())
                print(f"  {told}", flush=True)
        del run, one, before
        mx.clear_cache()


def kernels() -> None:
    """Which kernels a step spends its time in, by PyTorch's profiler."""
    import mlx.core as mx
    import torch
    from profile_cuda import kernels as table

    from .rows import batch_of
    from .step import inputs

    torch.zeros(1, device="cuda")
    with tempfile.TemporaryDirectory() as folder:
        run = training(folder, SHAPES[0])
        one = inputs(batch_of(conversations, {}, SHAPES[0][2:], 0))

        def step() -> None:
            mx.eval(run.step(one, 1e-4), run.step.parameters)

        for _ in range(3):
            step()
        table(step, 3, 40)


def _run(*more: str, gpus: int = 1, generate: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder) / "parts"
        line = [
            sys.executable,
            "-m",
            "griff.train",
            "--out",
            folder,
            "--conversations",
            "griff.gpu_check.conversations",
        ]
        line += ["--generate", str(generate), "--gpus", str(gpus), "--every", "20", "--export", str(parts), *more]
        done = subprocess.run(line, capture_output=True, text=True, timeout=100)
        print("\n".join(done.stdout.splitlines()[-5:]))
        if done.returncode:
            print(f"WRONG: ended with {done.returncode}\n{done.stderr[-2000:]}")
            return
        print(f"parts: {[p.stat().st_size for p in sorted(parts.iterdir())]}")
        again = [*line, "--out", f"{folder}/again", "--init", str(parts), "--steps", "20", "--warm", "5"]
        if gpus == 1:
            done = subprocess.run(again, capture_output=True, text=True, timeout=60)
            print("from parts: " + "\n".join(done.stdout.splitlines()[-1:]) + done.stderr[-1000:])


def train() -> None:
    """A run as it will be, data made beside it: 60 steps, and 20 more from its parts."""
    _run("--steps", "60", "--warm", "20", generate=max(1, min(14, (os.cpu_count() or 2) - 2)))


def gpus() -> None:
    """The same on all GPUs."""
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if count < 2:
        print("one GPU")
        return
    _run("--steps", "60", "--warm", "20", gpus=count, generate=max(1, (os.cpu_count() or 2) // count - 2))


def main() -> int:
    p = argparse.ArgumentParser(prog="griff.gpu_check", description="Parity and speed of the training on this GPU.")
    p.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    p.add_argument("--here", action="store_true", help="in this process")
    o = p.parse_args()
    if o.here:
        for name in o.only:
            globals()[name]()
        return 0
    failed = []
    for name in o.only:
        began = time.monotonic()
        print(f"--- {name}", flush=True)
        # Float32 products are exact where they are compared, and as fast as they get where they are timed.
        env = os.environ | ({"MLX_ENABLE_TF32": "0"} if name == "parity" else {})
        line = [sys.executable, "-m", "griff.gpu_check", "--here", "--only", name]
        try:
            code = subprocess.call(line, env=env, timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            code = -1
        failed += [name] if code else []
        print(f"--- {name}: {time.monotonic() - began:.0f} s{', FAILED' if code else ''}", flush=True)
    print(json.dumps({"failed": failed}))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
