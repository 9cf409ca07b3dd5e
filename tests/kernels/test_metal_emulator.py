"""The emulator itself: each planted fault is found, and the same kernel without it passes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import metal_emulator
import mlx.core as mx
import numpy as np
import pytest
import rooms
from metal_emulator import Launch, MetalError

pytestmark = metal_emulator.require()

SUM = """
    uint i = thread_position_in_threadgroup.x;
    threadgroup float parts[4];
    float v = (i < N) ? x[i] : 0.0f;
    v = metal::simd_sum(v);
    if (thread_index_in_simdgroup == 0) { parts[simdgroup_index_in_threadgroup] = v; }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float total = 0.0f;
    for (uint s = 0; s < 4; s++) { total += parts[s]; }
    if (i < N) { y[i] = T(x[i] / total); }
"""


def launch(body: str, x: mx.array, header: str = "", small: mx.array | None = None, **template: object) -> Launch:
    """One launch of a body over 128 threads: inputs x and small, output y like x."""

    def call(x: mx.array, small: mx.array) -> mx.array:
        kernel = mx.fast.metal_kernel("k", ["x", "small"], ["y"], body, header)
        return kernel(
            inputs=[x, small],
            template=list(template.items()) or None,
            grid=(128, 1, 1),
            threadgroup=(128, 1, 1),
            output_shapes=[x.shape],
            output_dtypes=[template.get("T", mx.float32)],
        )[0]

    (found,) = (
        Launch(r, [x, small if small is not None else mx.zeros((3,))])
        for r in metal_emulator.source.record(call, x, small if small is not None else mx.zeros((3,)))
    )
    return found


def normal(n: int = 100) -> mx.array:
    return mx.array(np.random.default_rng(0).uniform(0.5, 1.5, n).astype(np.float32))


def test_a_good_kernel_passes_and_is_right() -> None:
    x = normal()
    for dtype, tolerance in ((mx.float32, 1e-6), (mx.bfloat16, 1e-4)):
        (y,) = launch(SUM, x, T=dtype, N=100).verify()
        assert y.dtype == dtype
        assert np.abs(np.array(y.astype(mx.float32)) - np.array(x / x.sum())).max() < tolerance


BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
FAULTS = {
    "dropped barrier": (BARRIER, "", "schedule|data race"),
    "a barrier that orders no memory": ("mem_flags::mem_threadgroup", "mem_flags::mem_none", "data race"),
    "write beyond the end": ("if (i < N) { y[i]", "if (i <= N) { y[i]", "heap-buffer-overflow"),
    "read beyond the end": ("(i < N) ? x[i]", "(i <= N) ? x[i]", "heap-buffer-overflow|schedule"),
    "write beyond threadgroup memory": (
        "parts[simdgroup_index",
        "parts[1 + simdgroup_index",
        "overflow|out of bounds|depends",
    ),
    "an output never written": ("if (i < N) { y[i]", "if (i < N && i != 7) { y[i]", "never written"),
    "threadgroup memory never written": ("simdgroup_index_in_threadgroup] = v", "0] = v", "never written|data race"),
    "a return before a barrier": ("float v =", "if (i == 3) { return; } float v =", "divergence"),
    "different barriers": (
        BARRIER,
        f"if (i < 32) {{ {BARRIER} }} else {{\n {BARRIER} }}",
        "divergence",
    ),
    "a divergent simd operation": (
        "v = metal::simd_sum(v);",
        "if (i % 2 == 0) { v = metal::simd_sum(v); }",
        "divergence",
    ),
    "too much threadgroup memory": ("parts[4]", "parts[9000]", "32 KiB"),
}


@pytest.mark.parametrize(("old", "new", "found"), FAULTS.values(), ids=FAULTS)
def test_faults_that_show_when_run(old: str, new: str, found: str) -> None:
    with pytest.raises(MetalError, match=found):
        launch(SUM, normal(), T=mx.float32, N=100).mutated(old, new).verify()


HELPERS = "inline float first(const device float* p) { return p[0]; }\n"
BROKEN_RULES = {
    "device pointer to a constant one": "const constant float* p = x; y[0] = p[0];",
    "an unqualified pointer to device memory": "const float* p = x; y[0] = p[0];",
    "a constant (small) input to a device helper": "y[0] = first(small);",
    "a cast across spaces": "const constant float* p = (const constant float*)x; y[0] = p[0];",
    "a write to an input": "x[0] = 1.0f; y[0] = 1.0f;",
    "a pointer to threadgroup memory": "threadgroup float s[4]; threadgroup float* p = s; y[0] = p[0];",
    "double": "double d = 1.0f; y[0] = float(d);",
    "a double literal": "y[0] = x[0] * 0.5;",
    "an implicit bfloat": "bfloat16_t b = x[0]; y[0] = float(b);",
    "bfloat arithmetic": "bfloat16_t b = bfloat16_t(x[0]); y[0] = float(bfloat16_t(b * b));",
    "goto": "goto end; end: y[0] = 1.0f;",
    "new": "float* p = new float[2]; y[0] = p[0];",
    "exceptions": "try { y[0] = 1.0f; } catch (...) { }",
    "a lambda": "auto f = [&](float v) { return v; }; y[0] = f(1.0f);",
    "std": "y[0] = std::exp(x[0]);",
    "an ambiguous overload": "y[0] = metal::max(x[0], 0);",
    "an unknown function": "y[0] = expf(x[0]);",
    "an array of a size known late": "int n = int(x[0]); float t[n]; t[0] = 1.0f; y[0] = t[0];",
    "an uninitialised variable": "float t; if (x[0] > 0.0f) { t = 1.0f; } y[0] = t;",
    "a static variable": "static float t = 0.0f; y[0] = t;",
    "letters beyond ASCII": "// softplus of \u039b\n y[0] = 1.0f;",
    "an attribute that MLX does not pass": "y[0] = float(lane_index);",
    "recursion": "y[0] = deep(3);",
    "threadgroup memory in a helper": "y[0] = shared();",
}
EXTRA = {
    "recursion": "inline float deep(int n) { return n == 0 ? 1.0f : deep(n - 1); }\n",
    "threadgroup memory in a helper": "inline float shared() { threadgroup float s[2]; s[0] = 1.0f; return s[0]; }\n",
}


@pytest.mark.parametrize("what", BROKEN_RULES)
def test_metal_rules(what: str) -> None:
    with pytest.raises(MetalError):
        launch(BROKEN_RULES[what], normal(9), HELPERS + EXTRA.get(what, "")).check()


def test_good_code_breaks_no_rule() -> None:
    body = """
        threadgroup float s[32];
        const device float* p = x;
        uint i = thread_index_in_threadgroup;
        s[i % 32] = first(p) + metal::max(x[0], 0.0f) + small[1] + float(bfloat16_t(x[1])) + float(half(x[2]));
        threadgroup_barrier(mem_flags::mem_threadgroup);
        y[0] = s[0] + float(x_shape[0]);
    """
    launch(body, normal(9), HELPERS).check()


def test_shapes_and_edge_groups() -> None:
    def call(x: mx.array) -> list[mx.array]:
        kernel = mx.fast.metal_kernel(
            "edge", ["x"], ["y"], "uint i = thread_position_in_grid.x; y[i] = x[i] * float(x_shape[0]);"
        )
        return kernel(
            inputs=[x], grid=(70, 1, 1), threadgroup=(32, 1, 1), output_shapes=[x.shape], output_dtypes=[mx.float32]
        )

    x = mx.arange(70).astype(mx.float32)
    (found,) = metal_emulator.capture(call, x)  # 70 = 32 + 32 + 6: a group that is not smaller would write beyond
    assert np.array_equal(np.array(found.run("asan")[0]), np.arange(70) * 70)


def test_two_groups_that_write_one_place_depend_on_the_order() -> None:
    def call(x: mx.array) -> list[mx.array]:
        kernel = mx.fast.metal_kernel("one", ["x"], ["y"], "y[0] = x[threadgroup_position_in_grid.x];")
        return kernel(
            inputs=[x], grid=(64, 1, 1), threadgroup=(32, 1, 1), output_shapes=[(1,)], output_dtypes=[mx.float32]
        )

    with pytest.raises(MetalError, match="schedule"):
        metal_emulator.capture(call, normal(9))[0].verify()


def test_a_mutation_must_hit() -> None:
    with pytest.raises(ValueError, match="not in the kernel"):
        launch(SUM, normal(), T=mx.float32, N=100).mutated("no such text", "")


def test_a_system_that_it_does_not_run_on_is_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any other than Linux a first kernel is run: what fails there would fail every test."""
    run = metal_emulator.run
    assert run._fault() is None
    monkeypatch.setattr(run.Launch, "run", lambda self, mode: [mx.zeros((32,))])
    assert run._fault() == "the emulator computes wrongly on this system (plain)"

    def fall(*_: object) -> None:
        raise MetalError("it does not compile:\nucontext.h")

    monkeypatch.setattr(run.Launch, "run", fall)
    assert run._fault() == "the emulator does not run on this system (it does not compile: ucontext.h)"


def test_homebrews_clang_is_found_though_it_is_not_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, text in (("brew", f"echo {tmp_path}/llvm"), ("llvm/bin/clang++", "echo 21.1.0")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / file).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("MSL_CXX", raising=False)
    find = metal_emulator.run._compiler.__wrapped__
    monkeypatch.setattr(metal_emulator.run.shutil, "which", lambda n: n if n == "brew" or os.path.isabs(n) else None)
    assert find() == [f"{tmp_path}/llvm/bin/clang++"]
    script = rooms.ROOT / "scripts" / "get_clang.sh"
    done = subprocess.run(["/bin/bash", str(script)], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
