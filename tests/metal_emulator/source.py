"""What MLX would hand to Apple's compiler, and Metal's rules, as far as clang can enforce them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.core as mx


class MetalError(Exception):
    """A kernel breaks a rule, does not compile, or misbehaves; the message lists what was found."""


class Record(NamedTuple):
    """One kernel launch as MLX recorded it. `source` is the whole text that follows Apple's headers."""

    source: str
    grid: tuple[int, ...]
    threadgroup: tuple[int, ...]
    outputs: list[tuple[tuple[int, ...], mx.Dtype]]


def record(function: Callable[..., Any], *arrays: mx.array) -> list[Record]:
    """The launches of `function(*arrays)`, by MLX's own code; nothing is computed."""
    found: list[Record] = []

    def see(item: dict[str, Any]) -> None:
        if item.get("type") == "primitive" and item["name"] == "CustomKernel":
            a = item["arguments"]
            found.append(Record(a[1], tuple(a[2:5]), tuple(a[5:8]), [(tuple(s), t) for _, s, t in item["outputs"]]))

    mx.export_function(see, function, *arrays)
    return found


_KERNEL = re.compile(r"\[\[kernel\]\] void (\w+)\(\n(.*?)\) \{\n", re.S)
_INSTANCE = re.compile(r"\ntemplate \[\[host_name\([^\n]*\)\]\] \[\[kernel\]\] decltype\(([^\n]*)\) [^\n]*;\n")


def parameters(source: str) -> list[tuple[str, str]]:
    """The kernel's parameters in order: name, and what it is bound to ("buffer(0)", or an attribute)."""
    match = _KERNEL.search(source)
    assert match, "MLX's source has no kernel"
    return [(name, bound) for name, bound in re.findall(r"(\w+) \[\[(.*?)\]\]", match.group(2))]


def unit(source: str) -> str:
    """A C++ translation unit: the source behind metal.h, and an entry that calls the kernel for one thread."""
    match, instance = _KERNEL.search(source), _INSTANCE.search(source)
    assert match
    places = [place for _, place in parameters(source)]
    values = [f"msl_buffer{{b[{i}]}}" if p.startswith("buffer") else f"t->{p}" for i, p in enumerate(places)]
    call = f"{instance.group(1) if instance else match.group(1)}({', '.join(values)});"
    entry = f'extern "C" void msl_entry(void** b, const msl_thread* t) {{ (void)b; (void)t; {call} }}'
    return f'#include "metal.h"\n#line 1 "kernel.metal"\n{_INSTANCE.sub(chr(10), source)}\n{entry}\n'


STRICT_FLAGS = [
    *("-S", "-emit-llvm", "-Xclang", "-disable-llvm-passes", "-o", "-", "-DMSL_STRICT"),
    *("-Werror=implicit-float-conversion", "-Werror=uninitialized", "-Werror=sometimes-uninitialized"),
    *("-Werror=conditional-uninitialized", "-Werror=vla", "-Werror=vla-extension", "-Werror=return-type"),
    "-Werror=old-style-cast",
]
_FORBIDDEN = "double goto try catch throw new delete virtual dynamic_cast typeid std asm thread_local wchar_t"


def strict_unit(source: str) -> str:
    """A unit to be compiled only: real address spaces, forbidden words poisoned, the kernel instantiated."""
    instance = _INSTANCE.search(source)
    keep = f"\nauto* msl_keep = &{instance.group(1)};\n" if instance else ""
    body = _INSTANCE.sub("\n", source) + keep
    return f'#include "metal.h"\n#pragma GCC poison {_FORBIDDEN}\n#line 1 "kernel.metal"\n{body}'


_LINE_RULES = [
    (r"\[[&=\w\s,]*\]\s*\([^()]*\)\s*(?:mutable\s*)?\{", "a lambda, which Metal does not have before version 4"),
    (r"(?<![\w.])(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?(?![\w.])", "a floating literal without suffix f"),
    (r"\bstatic\b", "a static variable"),
    (r"#\s*include", "an include"),
    (r"\bthreadgroup\b[^;(\[]*\*", "a pointer to threadgroup memory, which CUDA's header cannot map"),
]


def line_findings(source: str) -> list[str]:
    """What the text alone shows."""
    found = [] if source.isascii() else ["a character that is not ASCII: MLX passes the source as ASCII"]
    text = re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), source, flags=re.S)
    if re.search(r"\bthreadgroup\b", text.split("[[kernel]]")[0]):
        found.append("a threadgroup variable outside the kernel")
    for pattern, what in _LINE_RULES:
        for m in re.finditer(pattern, text):
            found.append(f"line {text[: m.start()].count(chr(10)) + 1}: {what}: {m.group().strip()[:50]}")
    return found


def typed_findings(ir: str) -> list[str]:
    """What only the typed program shows: recursion, double, arithmetic in 16 bits."""
    bodies = dict(re.findall(r"^define [^@]*@([\w.$]+)\(.*?\{\n(.*?)^\}", ir, re.S | re.M))
    calls = {f: set(re.findall(r"call [^@\n]*@([\w.$]+)\(", b)) & set(bodies) for f, b in bodies.items()}
    found = []
    for function, body in bodies.items():
        reached, todo = set(), list(calls[function])
        while todo:
            if (callee := todo.pop()) not in reached:
                reached.add(callee)
                todo += calls[callee]
        if function in reached:
            found.append(f"recursion in {function}")
        if re.search(r"\bdouble\b", body):
            found.append(f"double precision in {function}")
        if m := re.search(r"= (?:fadd|fsub|fmul|fdiv|fneg)(?: \w+)* (bfloat|half) ", body):
            found.append(f"arithmetic in {m[1]} in {function}: convert to float first")
    return found
