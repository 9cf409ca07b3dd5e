"""Runs the Metal source of `mx.fast.metal_kernel` calls on a CPU, compiled with clang.

    with emulated():                         # mx.fast.metal_kernel runs here
        y = my_launch_code(x)
    for launch in capture(my_launch_code, x):
        launch.check()                       # Metal's rules, as far as clang can enforce them
        launch.verify()                      # schedules, fill patterns, address, UB and race sanitizers
        outputs = launch.mutated("<", "<=").run("asan")

The text is what MLX itself would hand to Apple's compiler: `mx.export_function` records it, with grid and
threadgroup, on any machine. Every GPU thread becomes a fiber, so barriers and simd operations really wait.

What it cannot show: the full strictness of Apple's front end, register pressure, the GPU's memory model,
the bits of its exp and tanh, and speed. Threadgroups run one after another, so a race between two of them
shows only as a result that depends on their order. Only a run on a Mac is proof: `rgmlx doctor` is that run.
"""

from .run import Launch, available, capture, emulated, require
from .source import MetalError

__all__ = ["Launch", "MetalError", "available", "capture", "emulated", "require"]
