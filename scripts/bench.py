"""Speed and memory beside mlx-lm's RecurrentGemma, on the same weights in one run.

    python scripts/bench.py                      # the embedded model (a CPU is enough)
    python scripts/bench.py --shape 2b           # random 4-bit weights in 2B's shape (a GPU)
    python scripts/bench.py --shape 2b --decode 256 --prefill 128 512 2048

Runs alternate between the two and the median counts, so that a busy machine slows both alike. Prefill
is timed until the caches are computed (mlx-lm: one chunk of 2,048; ours: its own chunks); decode is
greedy, through each one's own token loop.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.generate import generate_step
from mlx_lm.models import recurrent_gemma as peer_module
from mlx_lm.models.cache import make_prompt_cache

from rgmlx.generation import engine
from rgmlx.griffin.config import PRESETS, ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.kernels import launch
from rgmlx.kernels.rg_lru import Inputs, plain, scan_kernel
from rgmlx.model import Model
from rgmlx.settings import Sampling
from rgmlx.system import threads
from rgmlx.weights import checkpoint
from rgmlx.weights.hub import resolve

VIEWS = {
    *("Reshape", "Transpose", "Slice", "Split", "Broadcast", "ExpandDims", "Squeeze", "Unflatten", "Flatten"),
    *("AsStrided", "StopGradient", "CustomTransforms", "View", "Depends"),
}
"""Operations that launch nothing, for the arrays met here."""

QUANTIZATION = {"group_size": 64, "bits": 4, "mode": "affine"}


@dataclass
class Row:
    """One line of the table: figures of both, and which way is better."""

    what: str
    unit: str
    ours: float
    peer: float
    higher_is_better: bool = True

    def cells(self) -> list[str]:
        ratio = self.ours / self.peer
        return [self.what, f"{self.ours:,.1f} {self.unit}", f"{self.peer:,.1f} {self.unit}", f"{ratio:.2f}x"]


def random_weights(config: ModelConfig, dtype: mx.Dtype, bits: int) -> dict[str, mx.array]:
    """A checkpoint of random numbers in the given shape, its matrices quantized unless bits is 16."""
    network = RecurrentGemma(config)
    matrices = {
        f"{path}.weight"
        for path, m in tree_flatten(network.leaf_modules(), is_leaf=lambda m: isinstance(m, nn.Module))
        if hasattr(m, "to_quantized")
    }
    weights: dict[str, mx.array] = {}
    for name, p in tree_flatten(network.parameters()):
        if name.endswith("recurrent_param"):  # a between 0.9 and 0.999, as models are initialised
            a = mx.random.uniform(0.9, 0.999, p.shape)
            w = mx.log(mx.expm1(-mx.log(a) / 4))
        else:
            w = mx.random.normal(p.shape) * (0.02 if p.ndim == 1 else p.shape[-1] ** -0.5)
        w = w.astype(dtype)
        if name in matrices and bits < 16:
            parts = mx.quantize(w, group_size=64, bits=bits)
            weights |= dict(zip((name, name[:-6] + "scales", name[:-6] + "biases"), parts, strict=True))
        else:
            weights[name] = w
        mx.eval(weights[name])
    return weights


def build(
    config: ModelConfig, weights: dict[str, mx.array], dtype: mx.Dtype, peer_dtype: mx.Dtype
) -> tuple[Model, nn.Module]:
    """Our model and mlx-lm's with the same weights."""
    ours = Model(config)
    checkpoint.build(config, weights, ours, dtype)
    ours.eval()
    weights.clear()  # the joined matrices replace these
    ours.join_projections()
    peer = peer_module.Model(peer_module.ModelArgs.from_dict(config.to_dict()))
    shared = dict(tree_flatten(ours.parameters()))
    floats = {k: v.astype(dtype) if mx.issubdtype(v.dtype, mx.floating) else v for k, v in shared.items()}
    floats = peer.sanitize(floats)  # drops a tied head
    if config.quantization:
        q = config.quantization
        # A recipe may give a matrix bits of its own.
        nn.quantize(
            peer, q["group_size"], q["bits"], class_predicate=lambda p, _: f"{p}.scales" in shared and q.get(p, True)
        )
    peer.load_weights(list(floats.items()))
    peer.set_dtype(peer_dtype)
    mx.eval(peer.parameters())
    return ours, peer


def both(shape: str, bits: int, peer_dtype: str | None) -> tuple[Model, nn.Module, str]:
    """Our model and mlx-lm's in a shape, or with the embedded weights ("demo"), and what they run on."""
    gpu = mx.default_device() == mx.gpu
    dtype = mx.bfloat16 if gpu else mx.float32
    if shape == "demo":
        directory = resolve("demo")
        config = ModelConfig.from_file(directory / "config.json")
        weights = checkpoint.read_weights(directory)
    else:
        fields = PRESETS[shape].to_dict()
        if bits < 16:
            fields["quantization"] = QUANTIZATION | {"bits": bits}
        config = ModelConfig.from_dict(fields)
        weights = random_weights(config, dtype, bits)
    ours, peer = build(config, weights, dtype, getattr(mx, peer_dtype) if peer_dtype else dtype)
    device = mx.device_info().get("device_name", platform.processor() or platform.machine()) if gpu else "CPU"
    what = (
        f"mlx {version('mlx')}, {mx.default_device()}: {device}; {shape}, {str(dtype)[9:]}, "
        f"{config.quantization['bits'] if config.quantization else 16}-bit weights"
    )
    if launch.backend() == "numpy":
        what += f"; NumPy, {threads.describe()}, {threads.count()} thread(s)"
    return ours, peer, what


def alternate(ours: Callable[[], float], peer: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Medians of both, run by turns after one warm-up each."""
    ours(), peer()
    a, b = [], []
    for _ in range(repeats):
        a.append(ours())
        b.append(peer())
    return statistics.median(a), statistics.median(b)


def timed(action: Callable[[], object]) -> float:
    mx.synchronize()
    start = time.perf_counter()
    action()
    mx.synchronize()
    return time.perf_counter() - start


def random_ids(model: Model, count: int) -> list[int]:
    return np.random.default_rng(0).integers(0, model.config.vocab_size, count).tolist()


def prefill_rows(ours: Model, peer: nn.Module, length: int, chunk: int | None, repeats: int) -> list[Row]:
    ids = random_ids(ours, length)
    tokens = mx.array([ids])

    def run_ours() -> None:
        engine.prefill(ours, ours.new_state(), [ids], chunk=chunk)

    def run_peer() -> None:
        cache = make_prompt_cache(peer)
        peer(tokens, cache=cache)
        mx.eval([c.state for c in cache])

    a, b = alternate(lambda: timed(run_ours), lambda: timed(run_peer), repeats)
    speed = Row(f"prefill of {length:,} tokens", "tok/s", length / a, length / b)
    if launch.backend() == "numpy":  # whose memory MLX does not count
        return [speed]
    peaks = []
    for run in (run_ours, run_peer):
        gc.collect()
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        run()
        peaks.append((mx.get_peak_memory(), mx.get_peak_memory() - before))
    return [
        speed,
        Row(f"  peak memory, {length:,} tokens", "MB", peaks[0][0] / 1e6, peaks[1][0] / 1e6, False),
        Row("  of it beyond the weights", "MB", peaks[0][1] / 1e6, peaks[1][1] / 1e6, False),
    ]


def decode_row(ours: Model, peer: nn.Module, count: int, repeats: int) -> Row:
    ids = random_ids(ours, 16)
    prompt = mx.array(ids)
    skip = 8  # the first steps compile

    def measure(tokens: Iterable[object]) -> float:
        start = 0.0
        for i, _ in enumerate(tokens):
            if i == skip:
                start = time.perf_counter()
        return (time.perf_counter() - start) / (count - 1)

    def run_ours() -> float:
        return measure(
            engine.Generation(ours, ours.new_state(), ids, sampling=Sampling(temperature=0), max_tokens=count + skip)
        )

    a, b = alternate(run_ours, lambda: measure(generate_step(prompt, peer, max_tokens=count + skip)), repeats)
    return Row(f"decode, {count} tokens", "tok/s", 1 / a, 1 / b)


def batch_rows(ours: Model, count: int, steps: int, repeats: int) -> list[str]:
    """Tokens a second of `count` rows decoded at once, beside a single row."""
    ids = random_ids(ours, 16)

    def rate(rows: int) -> float:
        state = ours.new_state(rows)
        found = engine.generate_batch(ours, state, [ids] * rows, sampling=Sampling(temperature=0), max_tokens=steps + 1)
        for _ in range(rows):
            next(found)
        return rows * steps / timed(lambda: list(found))

    alone, together = alternate(lambda: rate(1), lambda: rate(count), repeats)
    return [f"batch of {count}: {together:,.0f} tok/s, {together / alone:.1f}x the {alone:,.0f} tok/s of one row"]


def first_word_rows(ours: Model, peer: nn.Module, length: int, repeats: int) -> list[Row]:
    """From a message of `length` tokens to the first token of its reply."""
    ids = random_ids(ours, length)

    def run_ours() -> None:
        next(iter(engine.Generation(ours, ours.new_state(), ids, sampling=Sampling(temperature=0), max_tokens=2)))

    def run_peer() -> None:
        next(iter(generate_step(mx.array(ids), peer, max_tokens=2)))

    a, b = alternate(lambda: timed(run_ours), lambda: timed(run_peer), repeats)
    return [Row(f"first word after {length} tokens", "ms", a * 1e3, b * 1e3, False)]


def step_rows(model: Model, bandwidth: float, seconds: float) -> list[str]:
    """What a decode step is made of: launches, and bytes against the memory's speed."""
    state = model.new_state()
    engine.prefill(model, state, [random_ids(model, 8)])
    network_arrays = [p for _, p in tree_flatten(model.parameters())]
    for _ in range(2):  # the second is the compiled step's usual form
        model.advance(mx.array([[5]]), state)
        logits = model.head(state.hidden)
        with tempfile.NamedTemporaryFile("r", suffix=".dot") as f:
            mx.export_to_dot(f.name, logits, *state.arrays())
            names = re.findall(r'label ?= ?"(\w+)", shape ?= ?rectangle', f.read())
        mx.eval(logits, state.arrays())
    launches = sum(name not in VIEWS for name in names)
    nbytes = sum(p.nbytes for p in network_arrays) + 2 * state.nbytes
    limit = nbytes / bandwidth
    return [
        f"launches a token: {launches} (of {len(names)} operations in the graph)",
        f"bytes a token: {nbytes / 1e6:,.0f} MB; at the copy bandwidth of {bandwidth / 1e9:,.0f} GB/s that is "
        f"{limit * 1e3:.2f} ms, and a token takes {seconds * 1e3:.2f} ms ({limit / seconds:.0%} of the limit)",
    ]


def copy_bandwidth() -> float:
    """Bytes read and written a second by the best copy at hand: MLX's, or PyTorch's where it is installed."""
    big = mx.zeros((2**29 if mx.default_device() == mx.gpu else 2**24,), mx.bfloat16)
    mx.eval(big)
    best = 2 * big.nbytes / queued(lambda: mx.abs(big), 8)
    try:
        import torch

        if torch.cuda.is_available() and mx.default_device() == mx.gpu:
            source = torch.zeros(2**29, dtype=torch.bfloat16, device="cuda")
            target = torch.empty_like(source)
            for _ in range(3):
                torch.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(8):
                    target.copy_(source)
                torch.cuda.synchronize()
                best = max(best, 8 * 2 * big.nbytes / (time.perf_counter() - start))
    except ImportError:
        pass
    return best


def queued(action: Callable[[], mx.array | tuple[mx.array, ...]], count: int) -> float:
    """Seconds of one evaluation, of several queued together, so that launching hides behind running."""
    mx.eval(action())
    times = []
    for _ in range(5):
        outs = [action() for _ in range(count)]
        times.append(timed(partial(mx.eval, outs)) / count)
        del outs
    return min(times)


def peer_loop(length: int, width: int) -> float:
    """Seconds of mlx-lm's loop over time."""
    a, h = mx.random.uniform(0.9, 0.999, (1, length, width)), mx.zeros((1, width))
    u = mx.random.normal(a.shape)
    mx.eval(a, u, h)
    return timed(lambda: mx.eval(peer_module.rnn_scan(u, a, h)))


def scan_rows(config: ModelConfig, length: int, dtype: mx.Dtype, bandwidth: float, repeats: int) -> list[str]:
    """The RG-LRU alone: gates to states, against the copy bandwidth and mlx-lm's loop over time."""
    heads, width = config.num_attention_heads, config.lru_width
    lines = []
    for batch in (1, 8):
        shape = (batch, heads, length, width // heads)
        x, i, r = (mx.random.normal(shape).astype(dtype) for _ in range(3))
        bias, h = mx.zeros((width,)), mx.zeros((batch, width))
        mx.eval(x, i, r, bias, h)
        inputs = Inputs(x, i, r, bias, bias, bias - 5.0, h)
        if not launch.on_gpu():
            seconds = queued(partial(plain, inputs, None, None), 2)
        else:
            seconds = queued(partial(scan_kernel, inputs, None, None, dtype=dtype), 30)
        rate = 4 * x.nbytes / seconds
        line = f"RG-LRU, {batch} x {length:,} x {width:,}: {seconds * 1e3:.3f} ms, {rate / 1e9:,.0f} GB/s, "
        line += f"{rate / bandwidth:.0%} of the copy bandwidth"
        if batch == 1:
            loop = statistics.median(peer_loop(length, width) for _ in range(repeats))
            line += f"; mlx-lm's loop, without the gates: {loop * 1e3:.1f} ms, {loop / seconds:.0f}x"
        lines.append(line)
    return lines


def endurance_lines(model: Model, count: int, rounds: int = 15, burst: int = 64) -> list[str]:
    """Milliseconds a token along one endless reply, and at its stations by turns, so that a busy machine slows all alike."""
    state = model.new_state()
    sampling = Sampling(temperature=0)
    run = engine.Generation(model, state, random_ids(model, 16), sampling=sampling, max_tokens=count)
    window = max(1, count // 20)
    marks, stations = [], {}
    for i, _ in enumerate(run):
        if i % window == 8:
            marks.append(time.perf_counter())
        if (i + 1) % max(1, count // 4) == 0 or i == 0:
            stations[i + 1] = state.copy()
    each = [(b - a) / window * 1e3 for a, b in itertools.pairwise(marks)]
    spent: dict[int, list[float]] = {at: [] for at in stations}
    for _ in range(rounds):
        for at, there in stations.items():
            tokens = iter(engine.Generation(model, there.copy(), [], sampling=sampling, max_tokens=burst + 1))
            next(tokens)
            spent[at].append(timed(partial(list, tokens)) / burst)
    medians = {at: statistics.median(times) for at, times in spent.items()}
    young = medians[min(medians)]
    return [
        f"{count:,} tokens on end, ms a token in twentieths: " + " ".join(f"{e:.2f}" for e in each),
        f"{burst} tokens from each of its stations, median of {rounds} turns: "
        + ", ".join(f"from token {at:,} {m * 1e3:.3f} ms ({m / young - 1:+.1%})" for at, m in medians.items()),
    ]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--shape", choices=[*PRESETS, "demo"], default="demo", help="demo: the embedded model itself")
    p.add_argument("--bits", type=int, choices=[4, 8, 16], default=4, help="of random weights")
    p.add_argument("--prefill", type=int, nargs="*", default=None, metavar="T")
    p.add_argument("--decode", type=int, default=128, metavar="N")
    p.add_argument("--batch", type=int, default=16, metavar="B", help="rows that are decoded at once")
    p.add_argument("--chunk", type=int, metavar="T", help="our prefill chunk (default: as suits the device)")
    p.add_argument("--peer-dtype", choices=["float32", "bfloat16"], help="mlx-lm's precision, if not the same as ours")
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--endurance", type=int, metavar="N", help="also: is token N as fast as token 1?")
    options = p.parse_args()
    mx.random.seed(0)
    ours, peer, what = both(options.shape, options.bits, options.peer_dtype)
    print(f"{what}, median of {options.repeats}")
    config, dtype, gpu = ours.config, ours.compute_dtype, mx.default_device() == mx.gpu
    rows = []
    for length in options.prefill if options.prefill is not None else ([512, 2048] if gpu else [32, 128, 512]):
        rows += prefill_rows(ours, peer, length, options.chunk, options.repeats)
    decode = decode_row(ours, peer, options.decode, options.repeats)
    rows.append(decode)
    rows += first_word_rows(ours, peer, 20, options.repeats)
    print("\n| what | rgmlx | mlx-lm | ratio |\n| --- | ---: | ---: | ---: |")
    for row in rows:
        print("| " + " | ".join(row.cells()) + " |", flush=True)
    bandwidth = copy_bandwidth()
    lines = batch_rows(ours, options.batch, options.decode, options.repeats)
    if launch.backend() != "numpy":  # there the graph is not MLX's
        lines += step_rows(ours, bandwidth, 1 / decode.ours)
    lines += scan_rows(config, 2048, dtype, bandwidth, options.repeats)
    print("\n" + "\n".join(lines), flush=True)
    if options.endurance:
        print("\n".join(endurance_lines(ours, options.endurance)))


if __name__ == "__main__":
    main()
