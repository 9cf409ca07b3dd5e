"""Which kernels a decode step and a prefill chunk spend their time in, on an NVIDIA GPU.

    python scripts/profile_cuda.py --shape 2b --prefill 512

Needs PyTorch, whose profiler sees every kernel of the process, MLX's too. Random 4-bit weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import mlx.core as mx
import torch
from bench import QUANTIZATION, random_ids, random_weights
from torch.profiler import ProfilerActivity, profile

from rgmlx.generation import engine
from rgmlx.griffin.config import PRESETS, ModelConfig
from rgmlx.model import Model
from rgmlx.weights import checkpoint


def kernels(action: Callable[[], None], rounds: int, top: int) -> None:
    """Runs `rounds` times under the profiler and prints microseconds a round, the largest first."""
    with profile(activities=[ProfilerActivity.CUDA]) as p:
        for _ in range(rounds):
            action()
        mx.synchronize()
        torch.cuda.synchronize()
    spent: dict[str, list[float]] = defaultdict(list)
    for event in p.profiler.kineto_results.events():
        if "cuda" in str(event.device_type()).lower():
            spent[event.name()].append(event.duration_ns() / 1e3)
    total, count = sum(map(sum, spent.values())), sum(map(len, spent.values()))
    print(f"{total / rounds:,.0f} us on the device, {count / rounds:,.0f} kernels")
    for name, times in sorted(spent.items(), key=lambda item: -sum(item[1]))[:top]:
        print(
            f"  {sum(times) / rounds:8.1f} us {len(times) / rounds:6.1f} x {statistics.mean(times):7.2f} us  {name[:100]}"
        )


def main() -> None:
    p = argparse.ArgumentParser(description="GPU time by kernel.")
    p.add_argument("--shape", choices=list(PRESETS), default="2b")
    p.add_argument("--prefill", type=int, default=512, metavar="T")
    p.add_argument("--chunk", type=int, metavar="T")
    p.add_argument("--top", type=int, default=25)
    options = p.parse_args()
    torch.zeros(1, device="cuda")
    config = ModelConfig.from_dict(PRESETS[options.shape].to_dict() | {"quantization": QUANTIZATION})
    model, weights = Model(config), random_weights(config, mx.bfloat16, 4)
    checkpoint.build(config, weights, model, mx.bfloat16)
    weights.clear()
    model.eval()
    model.join_projections()

    state = model.new_state()
    engine.prefill(model, state, [random_ids(model, 16)])
    token = mx.array([[5]])

    def step() -> None:
        model.advance(token, state)
        mx.async_eval(mx.argmax(model.head(state.hidden), axis=-1), state.arrays())

    ids = random_ids(model, options.prefill)

    def read() -> None:
        engine.prefill(model, model.new_state(), [ids], chunk=options.chunk)

    for name, action, rounds in (("a decode step", step, 20), (f"a prefill of {options.prefill} tokens", read, 3)):
        for _ in range(3):
            action()
        mx.synchronize()
        start = time.perf_counter()
        for _ in range(rounds):
            action()
        mx.synchronize()
        print(f"\n{name}: {(time.perf_counter() - start) / rounds * 1e3:.3f} ms; under the profiler", end=" ")
        kernels(action, rounds, options.top)


if __name__ == "__main__":
    main()
