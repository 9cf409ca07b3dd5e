"""Tries the plugin for llm with llm itself, which is installed for it into a directory of its own.

    .venv/bin/python scripts/check_llm.py [DIRECTORY]

Runs the plugin's tests there, then every example of docs/llm.md as it stands, then a long message and a question about it: the second
call of `llm -c` by its state, and again without. Prints a table. Exits with 1 where something fails. A directory that is named stays,
and is used again; otherwise it is removed. Needs the network, for llm and what it needs.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONG = " ".join(f"In year {n} the fox of the old mill found {n % 17} apples." for n in range(1, 121))
USAGE = re.compile(r'Token usage: ([\d,]+) input, ([\d,]+) output(?:, \{"cached_tokens": (\d+)\})?')


def install(site: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site)]
    if not (site / "llm").is_dir():
        subprocess.run([*pip, "llm"], check=True)
    subprocess.run([*pip, "--upgrade", "--no-deps", "--no-build-isolation", str(ROOT)], check=True)


def examples() -> Iterator[tuple[str, Sequence[str]]]:
    """What docs/llm.md shows, and how it is run."""
    for language, text in re.findall(r"```(sh|python)\n(.*?)```", (ROOT / "docs" / "llm.md").read_text("utf-8"), re.S):
        if language == "python":
            yield "the Python example", ["-c", text]
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "llm", line
            yield line, ["-m", "llm", *arguments]


class Table:
    """Runs programs with llm's directory in front, and prints a line each."""

    def __init__(self, site: Path, scratch: Path) -> None:
        self.states = scratch / "cache" / "rgmlx" / "llm" / "states"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(site),
            "LLM_USER_PATH": str(scratch / "llm"),
            "XDG_CACHE_HOME": str(scratch / "cache"),
        }
        self._scratch = scratch
        self.failed = 0

    def run(self, what: str, arguments: Sequence[str], stdin: str = "") -> None:
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self._environment,
            cwd=ROOT if "pytest" in arguments else self._scratch,
        )
        seconds = time.monotonic() - begun
        self.failed += done.returncode != 0
        said = done.stdout if done.returncode == 0 else done.stderr or done.stdout
        tokens = ""
        if found := USAGE.search(done.stderr):
            tokens = f"{found[1]} read, {found[3] or 0} remembered, {found[2]} written"
        last = (said.strip().splitlines() or [""])[-1]
        print(
            f"{'ok' if done.returncode == 0 else 'FAILED':6} {seconds:6.1f} s  {what[:72]:72}  {tokens or last[:60]}",
            flush=True,
        )


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(scratch) / "site"
        install(site)
        table = Table(site, Path(scratch))
        table.run(
            "the plugin's tests",
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/integrations/test_llm_plugin.py"],
        )
        for what, arguments in examples():
            table.run(what, arguments)
        few = ["-u", "-o", "max_tokens", "12", "-o", "temperature", "0"]
        table.run("a long message on standard input", ["-m", "llm", "-m", "rgmlx/demo", *few], LONG)
        table.run("llm -c, by the state", ["-m", "llm", "-c", *few, "What is your name?"])
        for file in table.states.iterdir():
            file.unlink()
        table.run("llm -c, the states removed", ["-m", "llm", "-c", *few, "What is your name?"])
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
