"""Every page of the documentation: its Python runs, its command lines are good, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pages
import pytest
from pages import ELSEWHERE, PAGES, Block, anchors, blocks, commands, links, problem
from rooms import ROOT
from waiting import PATIENCE

import rgmlx
from rgmlx.generation import engine
from rgmlx.settings import checked_budget

SHORTENED = {"README.md": 16}
"""Pages whose calls say no `max_tokens`, as in life: here a reply is cut after so many, as one may be that is too long."""
SHIM = '#!/bin/sh\nPYTHONPATH={root} exec {python} -m {module} "$@"\n'


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: rgmlx.Model) -> Iterator[Path]:
    """An empty directory on a computer of one's own, with the commands on its PATH; `load()` gives the model of all tests."""
    home, programs, here = tmp_path / "home", tmp_path / "bin", tmp_path / "here"
    for folder in (home, programs, here):
        folder.mkdir()
    for name, module in (("rgmlx", "rgmlx"), ("rgchat", "tui")):
        (programs / name).write_text(SHIM.format(root=ROOT, python=sys.executable, module=module))
        (programs / name).chmod(0o755)
    for name in [n for n in os.environ if n.startswith(("XDG_", "RGMLX_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(here)
    load, kept = rgmlx.load, vars(demo).copy()

    def shared(name: str = "demo", **options: Any) -> rgmlx.Model:
        return demo if name == "demo" and not options else load(name, **options)

    monkeypatch.setattr(rgmlx, "load", shared)
    yield here
    vars(demo).update({"sampling": kept["sampling"]})


def python(block: Block, page: Path, module: types.ModuleType) -> None:
    # Line numbers of a traceback are the page's.
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec", dont_inherit=True)
    if not block.mark and page.name not in ELSEWHERE:
        exec(code, module.__dict__)


def shell(block: Block, page: Path) -> None:
    wrong = [f"{page.name}:{block.line}: {' '.join(c)}: {said}" for c in commands(block) if (said := problem(c))]
    assert not wrong
    if block.mark == "run" and page.name not in ELSEWHERE:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{page.name}:{block.line}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=[p.name for p in PAGES])
def test_the_code_of_a_page_runs(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if most := SHORTENED.get(page.name):
        monkeypatch.setattr(engine, "checked_budget", lambda n: min(most if n is None else checked_budget(n), most))
    module = types.ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # for those who look a class's module up
    for block in blocks(page):
        if block.language == "python":
            python(block, page, module)
        elif block.language in pages.MARKS:
            shell(block, page)


def test_the_code_of_the_pages_has_the_right_types(tmp_path: Path) -> None:
    checked = []
    for page in PAGES:
        lines: list[str] = []  # a module a page, each line where the page has it
        for block in blocks(page):
            if block.language == "python" and not block.mark and page.name not in ELSEWHERE:
                lines += ["\n"] * (block.line - 1 - len(lines)) + block.text.splitlines(keepends=True)
        if lines:
            checked.append(tmp_path / f"page_{page.stem.lower()}.py")
            checked[-1].write_text("".join(lines))
    assert len(checked) > 8, "the pages have lost their code"
    words = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    words += ["--allow-untyped-defs", "--allow-redefinition", "--no-warn-unused-ignores"]  # people's programs
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, *map(str, checked)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout.replace(f"{tmp_path}/", "") + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=[p.name for p in PAGES])
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        there = page.parent / name if name else page
        assert there.exists(), f"{page.name}: there is no {name}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {name} has no heading {anchor}"


WRONG = {
    "```python\nrgmlx = 1 +\n```": "SyntaxError",
    "```python shown\nis python\n```": "SyntaxError",
    "```python\nassert False, 'it ran'\n```": "it ran",
    "```python\nx = 1\n```\n\n```python\nassert x == 2, 'one namespace'\n```": "one namespace",
    "```sh\nrgmlx ask --no-such-option Hi\n```": "no-such-option",
    "```sh\ncat notes.txt | rgmlx nonsense\n```": "nonsense",
    "```sh\nA=1 rgchat --no-such | cat > file\n```": "no-such",
    "```sh\nrgmlx ask \\\n  --temperature warm Hi\n```": "warm",
    "```sh\nwhile read x; do rgmlx nonsense; done\n```": "nonsense",
    "```sh\nmake no-such\n```": "no target",
    "```sh\npython scripts/no_such.py\n```": "no scripts",
    "```sh run\nfalse\n```": "page.md:2",
    "```sh run\nfalse | true\n```": "page.md:2",
    "```\nrgmlx nonsense\n```": "nonsense",
    "```sh macos\npbpaste | rgmlx nonsense\n```": "nonsense",
    "```Python\n```": "a block is one of",
    "```python norun\n```": "a block is one of",
}
"""Pages that are wrong, and what is said of them."""

GOOD = """
```text
rgmlx nonsense
```

```
See rgmlx nonsense.
```

```python shown
rgmlx.load("no/such")
```

```python macos
import no_such_module
```

```sh macos
rgmlx ask "What is on the clipboard?" | pbcopy
```

```sh
rgmlx ask "What is (this); & that?" < notes.txt > out 2>&1 && echo done; RGMLX_LOG=debug rgchat --plain
rgmlx ask --raw <<END
rgmlx nonsense
END
rgmlx --help
rgmlx info 2> problems
while read -r line; do RGMLX_LOG=debug rgmlx info; done
make test
sh scripts/setup.sh  # as it is
```

```sh run
echo a > file
rgmlx --version
```

```python
import pathlib, rgmlx
assert pathlib.Path("file").read_text() == "a\\n" and rgmlx.load() is rgmlx.load()
```
"""


def run_page(text: str, tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    test_the_code_of_a_page_runs(page, desk, monkeypatch)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_page_is_found(
    text: str, tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((AssertionError, SyntaxError, ValueError)) as found:
        run_page(text, tmp_path, desk, monkeypatch)
    assert WRONG[text] in f"{found.type.__name__} {found.value}"


def test_a_good_page_is_good(tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(GOOD, tmp_path, desk, monkeypatch)


def test_all_pages_are_looked_at() -> None:
    """But for the records of measurements, which say what was run once."""
    found = {p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md")}
    assert {p for p in found if p.parts[1] != "benchmarks"} <= {p.relative_to(ROOT) for p in PAGES}
