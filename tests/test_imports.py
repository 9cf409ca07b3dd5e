"""What importing costs, and what never gets imported."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from rooms import ROOT


def modules_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(out.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import rgmlx",
        "import rgmlx; rgmlx.load, rgmlx.Chat, rgmlx.State",
        "import rgmlx; rgmlx.load().generate('Hi', max_tokens=3)",
        "import rgmlx.cli; rgmlx.cli.parser()",
    ],
)
def test_the_library_reaches_neither_the_chat_nor_transformers(code: str) -> None:
    loaded = modules_after(code)
    assert not {m for m in loaded if m.split(".")[0] in ("tui", "textual", "transformers", "torch")}


def test_import_alone_loads_nothing_heavy() -> None:
    assert not modules_after("import rgmlx") & {"mlx.core", "numpy", "sentencepiece", "huggingface_hub", "rich"}


@pytest.mark.parametrize("module", ["tui.app", "tui.plain", "tui.cli", "rgmlx.conversation.session"])
def test_the_chat_is_there_before_the_model(module: str) -> None:
    """It shows what was said at once, and takes 20 MB less until there is a model."""
    assert not modules_after(f"import {module}") & {"mlx.core", "numpy", "sentencepiece", "huggingface_hub"}


def test_unknown_names_are_attribute_errors() -> None:
    import rgmlx

    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = rgmlx.nope
    assert all(hasattr(rgmlx, name) for name in rgmlx.__all__)


# --- the rooms ------------------------------------------------------------------------------


def names() -> dict[str, Path]:
    """Every module of the two packages by its name."""
    found = {}
    for path in sorted([*(ROOT / "rgmlx").rglob("*.py"), *(ROOT / "tui").rglob("*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_by(module: str, path: Path, known: Collection[str]) -> set[str]:
    """Our modules that its text imports: at its top, inside functions, and for types."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            inner = {f"{base}.{alias.name}" for alias in node.names} & set(known)
            found |= inner if len(inner) == len(node.names) else inner | {base}
    return found & set(known) - {module}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle; none where there is none."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if found := walk(other, [*way, module]):
                return found
        done.add(module)
        return []

    return next((found for module in graph if (found := walk(module, []))), [])


def test_no_modules_import_one_another() -> None:
    """In no circle, imports for types and inside functions included."""
    known = names()
    graph = {module: imported_by(module, path, known) for module, path in known.items()}
    assert len(graph) > 150 and "rgmlx.griffin.state" in graph["rgmlx.griffin.network"]
    assert circle(graph) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


_ALONE = """
import gc, importlib, os, sys, tempfile

def ours(name):
    return name.split(".")[0] in ("rgmlx", "tui")

def forked(action):
    if (child := os.fork()) == 0:
        try:
            action()
        except BaseException as e:
            print(repr(e), flush=True)
        os._exit(0)
    os.waitpid(child, 0)

def tell_others():
    for module in sys.argv[1:]:
        try:
            importlib.import_module(module)
        except BaseException:
            pass  # which is told below
    others.write(" ".join(name for name in list(sys.modules) if not ours(name)))
    others.flush()

def alone(module):
    assert not any(map(ours, sys.modules))
    try:
        importlib.import_module(module)
    except BaseException as e:
        print(f"{module}: {e!r}", flush=True)

# What is not ours is not in question, and is read once.
others = tempfile.TemporaryFile("w+")
forked(tell_others)
others.seek(0)
for name in others.read().split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # a name that another module gave itself
gc.freeze()
gc.disable()
for module in sys.argv[1:]:
    forked(lambda: alone(module))
print("done")
"""


NEEDS = {"rgmlx.integrations.llm_plugin": "llm"}
"""Modules that another program imports, and what of it they import."""


@pytest.mark.parametrize("module", NEEDS)
def test_what_another_program_imports_needs_that_alone(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, NEEDS[module], None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(module)
    assert caught.value.name == NEEDS[module]


def test_every_module_can_be_imported_first() -> None:
    """Alone, before any other of ours."""
    missing = {module for module, needed in NEEDS.items() if importlib.util.find_spec(needed) is None}
    modules = [module for module in names() if not module.endswith("__main__") and module not in missing]
    done = subprocess.run([sys.executable, "-c", _ALONE, *modules], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
