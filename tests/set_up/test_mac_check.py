"""`scripts/mac_check.sh`, which an owner of a Mac runs once: one file to send, whatever happens on the way."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ptys import Pty, ptys
from standins import OLD_PYTHONS, ROOT
from waiting import PATIENCE, wait_for

__all__ = ["ptys"]

PARTS = [
    "this machine",
    "set-up (make setup)",
    "rgmlx doctor",
    "the check at the first load",
    "a reply, kernels on",
    "a reply, kernels off",
    "parity of the kernels",
    "beside mlx-lm",
]
HELP = 'case "$*" in --help) echo "  ask"; echo "$EXTRA" ;; "doctor --help") echo "$TUNE" ;; *) '


def program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An installation of stand-ins."""
    venv = tmp_path / "venv"
    program(tmp_path / "bin" / "make", 'echo "made $*"')
    program(venv / "bin" / "rgmlx", f'{HELP} echo "ran $*" ;; esac')
    program(venv / "bin" / "python", 'echo "ran $*"')
    return venv


def environment(venv: Path, **more: str) -> dict[str, str]:
    path = f"{venv.parent / 'bin'}:{os.environ['PATH']}"
    return (
        os.environ | {"PATH": path, "RGMLX_VENV": str(venv), "HOME": str(venv.parent), "EXTRA": "", "TUNE": ""} | more
    )


def check(venv: Path, *options: str, **more: str) -> tuple[str, str]:
    """What it says and what is in the report; it ends with 0, always."""
    report = venv.parent / "report.txt"
    done = subprocess.run(
        [str(ROOT / "scripts" / "mac_check.sh"), "--report", str(report), *options],
        env=environment(venv, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=PATIENCE * 3,
    )
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout, report.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--limit", "banana"], "--limit must be a whole number, not 'banana'"),
        (["--tokens", "-3"], "--tokens must be a whole number, not '-3'"),
        (["--tokens"], "--tokens needs a value"),
        (["--report", "/no/such/place.txt"], "/no/such/place.txt can't be written: name another file with --report"),
        (["--report", "/"], "/ is a directory: name a file"),
        (["--bogus"], "there is no option --bogus: --help shows those there are"),
    ],
)
def test_wrong_options_are_a_sentence_before_anything_is_done(options: list[str], said: str, tmp_path: Path) -> None:
    command = [str(ROOT / "scripts" / "mac_check.sh"), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"mac_check.sh: {said}\n")
    assert not list(tmp_path.iterdir()), "nothing was written"


def verdicts(report: str) -> dict[str, str]:
    return dict(re.findall(r"^=== (.*?): (.*), [0-9.]+ s$", report, re.MULTILINE))


def test_it_writes_one_file_with_every_part(venv: Path) -> None:
    """With real replies; what takes long is a stand-in: make, the doctor, parity and the benchmark."""
    short = f'case "$1" in *parity.py | *bench.py) echo "ran $*" ;; *) exec {sys.executable} "$@" ;; esac'
    program(venv / "bin" / "python", short)
    said, report = check(venv, "--tokens", "6", "--no-keys")
    assert verdicts(report) == dict.fromkeys(PARTS, "ok")
    assert "made setup VENV=~/venv" in report and "ran doctor\n" in report and "every kernel is right" in report
    speeds = re.findall(r"^6 tokens: the first after [\d.]+ ms, then [\d.]+ tok/s$", report, re.MULTILINE)
    memory = re.findall(r"^memory: MLX at most [\d.]+ MB, the process [\d.]+ MB$", report, re.MULTILINE)
    assert len(speeds) == len(memory) == 2
    assert "bench.py --repeats 3 --prefill 32 512 --decode 6" in report
    assert re.search(r"^backend None, ", report, re.MULTILINE), "the kernels were not switched off"
    assert "All 8 parts went through." in said and "All 8 parts went through." in report
    assert "report.txt" in said.splitlines()[-1]


def test_what_a_later_version_has_is_run_too(venv: Path) -> None:
    _, report = check(venv, "--tokens", "2", "--no-keys", EXTRA="  desktop   recipes", TUNE="  --tune")
    assert "ran doctor --tune\n" in report and "ran desktop list\n" in report


def test_where_nothing_was_set_up_the_reason_is_said_and_the_rest_left_out(venv: Path) -> None:
    program(venv.parent / "bin" / "make", 'echo "rgmlx: this is a Mac with an Intel processor" >&2; exit 2')
    shutil.rmtree(venv)
    said, report = check(venv, "--no-keys")
    assert verdicts(report) == {"this machine": "ok", "set-up (make setup)": "failed (exit code 2)"}
    for text in (said, report):
        assert "rgmlx: this is a Mac with an Intel processor\n" in text
        assert "Nothing was set up, so all that needs it is left out.\n" in text


def test_a_part_that_fails_stops_nothing(venv: Path) -> None:
    program(venv.parent / "bin" / "make", "echo no network >&2; exit 2")
    program(
        venv / "bin" / "python", 'case "$1" in *parity.py) kill -ABRT $$ ;; *bench.py) echo fine ;; *) exit 3 ;; esac'
    )
    said, report = check(venv, "--no-keys")
    failed = {
        "set-up (make setup)": "failed (exit code 2)",
        "the check at the first load": "failed (exit code 3)",
        "a reply, kernels on": "failed (exit code 3)",
        "a reply, kernels off": "failed (exit code 3)",
        "parity of the kernels": "failed (SIGABRT)",
    }
    assert verdicts(report) == dict.fromkeys(PARTS, "ok") | failed
    assert "no network" in report and "fine" in report
    last = f"Failed, or not finished: {', '.join(failed)}."
    assert report.splitlines()[-1] == last and last in said


def test_a_part_that_hangs_is_ended_with_all_that_it_began(venv: Path) -> None:
    program(venv / "bin" / "rgmlx", f"{HELP} trap '' TERM; sleep 1000 & echo began $! $$; wait; wait ;; esac")
    _, report = check(venv, "--no-keys", "--limit", "20")
    assert verdicts(report)["rgmlx doctor"] == "ended after its 20 s"
    assert list(verdicts(report)) == PARTS
    [began] = re.findall(r"^began (\d+) (\d+)$", report, re.MULTILINE)
    for pid in began:  # a zombie has ended too
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout
        assert not state.strip() or state.startswith("Z"), state


def test_without_an_installation_it_still_ends_with_a_report(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "make", "exit 2")
    _, report = check(tmp_path / "venv", "--no-keys")
    assert verdicts(report) == {"this machine": "ok", "set-up (make setup)": "failed (exit code 2)"}
    assert report.splitlines()[-1] == "Failed, or not finished: set-up (make setup)."


def test_no_name_is_in_the_report(venv: Path) -> None:
    home = str(venv.parent)
    program(venv.parent / "bin" / "make", f'printf "\\033[31mred\\033[0m {home}/x by $LOGNAME in /Users/anna/y\\n"')
    _, report = check(venv, "--tokens", "1", "--no-keys", LOGNAME="anna")
    assert "red ~/x by USER in /Users/USER/y" in report
    assert home not in report and "anna" not in report


@pytest.mark.parametrize("python", OLD_PYTHONS)
def test_it_runs_with_a_real_python_as_old_as_macos_s(venv: Path, python: str) -> None:
    program(venv.parent / "bin" / "python3", f'exec {python} "$@"')
    program(venv / "bin" / "rgmlx", f"{HELP} echo broken; exit 3 ;; esac")
    said, report = check(venv, "--no-keys")
    assert verdicts(report) == dict.fromkeys(PARTS, "ok") | {"rgmlx doctor": "failed (exit code 3)"}
    assert re.search(r"^Python 3\.[89]\.", report, re.MULTILINE) and "broken" in report
    assert "Failed, or not finished: rgmlx doctor." in said


def test_ctrl_c_leaves_a_part_out(venv: Path, ptys: type[Pty]) -> None:
    begun, report = venv.parent / "begun", venv.parent / "report.txt"
    program(venv / "bin" / "rgmlx", f"{HELP} touch {begun}; sleep 1000 ;; esac")
    given = [
        f"{name}={value}"
        for name, value in environment(venv).items()
        if name in ("PATH", "RGMLX_VENV", "EXTRA", "TUNE")
    ]
    options = ["--report", str(report), "--tokens", "1", "--no-keys"]
    pty = ptys("env", *given, str(ROOT / "scripts" / "mac_check.sh"), *options)
    pty.wait("doctor ...")
    wait_for(begun.exists)  # what begins it is called by its name, too
    pty.send("\x03")
    pty.wait("left out by Ctrl+C")
    pty.wait("Please send")
    assert pty.end() == 0
    assert "left out by Ctrl+C" in report.read_text() and "=== beside mlx-lm: ok" in report.read_text()


# --- keys ---------------------------------------------------------------------------------


def asked(ptys: type[Pty], report: Path, python: str = sys.executable) -> Pty:
    pty = ptys(python, str(ROOT / "scripts" / "mac_check_keys.py"), str(report))
    pty.wait("1/")
    return pty


@pytest.mark.parametrize("python", [pytest.param(sys.executable, id="ours"), *OLD_PYTHONS])
def test_the_bytes_of_keys_are_noted_and_the_terminal_is_as_before(
    tmp_path: Path, ptys: type[Pty], python: str
) -> None:
    pty = asked(ptys, tmp_path / "report.txt", python)
    for i, key in enumerate(("\x1b[A", "\x1b\x1b[A", " ", "\x03", "\x1a")):
        pty.send(key)
        pty.wait(f"{i + 2}/")
    pty.send("q")
    pty.wait("Thank you")
    assert pty.end() == 0
    lines = (tmp_path / "report.txt").read_text().splitlines()
    assert [line.split("  ")[-1].strip() for line in lines[1:6]] == [
        r"'\x1b[A'",
        r"'\x1b\x1b[A'",
        "left out",
        r"'\x03'",
        r"'\x1a'",
    ]
    assert lines[0] == "=== keys" and lines[2].startswith("Option+Up ")
    assert pty.line()[:4] == pty.before[:4] and pty.raw.count(b"\x1b[>1u") == pty.raw.count(b"\x1b[<u") == 1


def test_keys_that_end_half_way_are_kept(tmp_path: Path, ptys: type[Pty]) -> None:
    pty = asked(ptys, tmp_path / "report.txt")
    pty.send("\x1b[A")
    pty.wait("2/")
    pty.process.send_signal(signal.SIGTERM)
    assert pty.end() == 1
    assert r"'\x1b[A'" in (tmp_path / "report.txt").read_text()
    assert pty.line()[:4] == pty.before[:4] and pty.raw.count(b"\x1b[<u") == 1


# --- the tools of an old system -----------------------------------------------------------

NEWER = {  # than bash 3.2, macOS's
    r"\b(mapfile|readarray|coproc)\b": "a builtin",
    r"\b(declare|local|typeset) -[a-zA-Z]*[Ang]": "associative arrays and names",
    r"\$\{\w+(\[[^]]*\])?(\^|,|@)": "other cases",
    r"\|&|&>>|;;&|;&(?!&)": "an operator",
    r"\bread\s+[^|;]*-t\s*\d*\.": "a part of a second",
    r"\$\{\w+: -\d|\$\{\w+\[-\d": "from the end",
    r"\bprintf\s+-v\s+\w+\[|%\(.*\)T": "printf",
    r"\btimeout\s|\bgtimeout\b|\bnproc\b|\breadlink -f|\bsed -i\b|\bdate -d|\bgrep -[a-zA-Z]*P": "a program of GNU",
}


@pytest.mark.parametrize(
    "script", ["mac_check.sh", "mac_check_desktop.sh", "get_clang.sh", "setup.sh", "check_machine.sh"]
)
def test_the_scripts_ask_for_nothing_newer_than_macos_has(script: str) -> None:
    text = re.sub(r"(?m)^\s*#.*$", "", (ROOT / "scripts" / script).read_text())
    assert [what for pattern, what in NEWER.items() if re.search(pattern, text)] == []


def test_its_pythons_read_as_python_3_9() -> None:
    """They run with macOS's before there is another: nothing of a later grammar, nothing imported that 3.9 lacks."""
    import ast

    for name in ("mac_check_part.py", "mac_check_keys.py"):
        tree = ast.parse((ROOT / "scripts" / name).read_text(), feature_version=(3, 9))
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Match)]
        modules = {
            n.module if isinstance(n, ast.ImportFrom) else a.name
            for n in ast.walk(tree)
            if isinstance(n, (ast.Import, ast.ImportFrom))
            for a in n.names
        }
        assert all(str(m).split(".")[0] in sys.stdlib_module_names and m != "tomllib" for m in modules)
