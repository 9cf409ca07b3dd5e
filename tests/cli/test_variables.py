"""The environment variables that rgmlx looks at: a value that means nothing is refused, by every program and by `load`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import warm
from rooms import ROOT
from waiting import PATIENCE

from rgmlx.errors import RgmlxError
from rgmlx.system import variables

GOOD = {
    variables.KERNELS: {"": True, "on": True, "1": True, "Yes": True, "true": True}
    | {"off": False, "OFF": False, "0": False, "no": False, "False": False},
    variables.THREADS: {"": 1, "1": 1, "2": 2, "007": 7, "1024": 1024},
    variables.LOG: {"": False, "debug": True, "Debug": True, "off": False, "OFF": False, "0": False, "no": False},
}
WRONG = {
    variables.KERNELS: ["banana", "2", " ", "offf", "\x1b[31m"],
    variables.THREADS: ["banana", "0", "-5", "1.5", "1e3", "1025", "9" * 5000, "\u0665", "1_0", " "],
    variables.LOG: ["banana", "info", "1", "on", " ", "/tmp/x.log", "debug ", "\x1b[31m"],
}
READ = {variables.KERNELS: variables.kernels, variables.THREADS: variables.threads, variables.LOG: variables.log}
MUST = {
    variables.KERNELS: "on or off",
    variables.THREADS: "a whole number between 1 and 1,024",
    variables.LOG: "debug or off",
}


def test_every_variable_of_ours_is_declared() -> None:
    named = {name for path in (ROOT / "rgmlx").rglob("*.py") for name in re.findall(r"RGMLX_[A-Z]+", path.read_text())}
    named |= {name for path in (ROOT / "tui").rglob("*.py") for name in re.findall(r"RGMLX_[A-Z]+", path.read_text())}
    assert named == set(READ) == set(GOOD) == set(WRONG)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in GOOD.items() for v in values])
def test_a_value_that_it_can_have(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    variables.check()
    assert READ[name]() == GOOD[name][value]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values], ids=repr)
def test_a_value_that_it_can_not_have(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    for read in (variables.check, READ[name]):
        with pytest.raises(RgmlxError, match=f"^{name} must be {MUST[name]}, not ") as caught:
            read()
        assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


LOAD = "import rgmlx; from rgmlx.errors import RgmlxError\ntry: rgmlx.load()\n"
LOAD += "except RgmlxError as e: raise SystemExit(f'rgmlx: {e}')"
PROGRAMS = [
    ("-m", "rgmlx", "ask", "hi"),
    ("-m", "rgmlx", "info"),
    ("-m", "rgmlx", "mlx-lm", "generate"),
    ("-m", "tui", "--plain"),
    ("-c", LOAD),
]


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_every_program_refuses_it(program: tuple[str, ...], name: str, tmp_path: Path) -> None:
    """Fault 12f: it was taken in silence."""
    env = os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), name: "banana"}
    done = warm.run(program, env=env, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"(rgmlx|rgchat): {name} must be {MUST[name]}, not 'banana': [^\n]+\n", done.stderr)
    assert "unset it" in done.stderr


def test_help_is_there_all_the_same() -> None:
    done = warm.run(["-m", "rgmlx", "--help"], env=os.environ | dict.fromkeys(READ, "banana"), timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
