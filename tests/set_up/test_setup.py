"""`make chat` from nothing: what a machine has is used, what it lacks is fetched, and what can't work is one sentence.

macOS is stand-ins for the programs that tell of it (`standins.py`), make is this system's own.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from standins import OLD_PYTHONS, ROOT, Machine, sentence

SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]
SCRIPTS = ("setup.sh", "check_machine.sh")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# --- what is refused before anything is downloaded ----------------------------------------


@pytest.mark.parametrize(
    ("mac", "says"),
    [
        ({}, ""),
        ({"version": "14.0"}, ""),
        ({"version": "26"}, ""),
        ({"chip": "Apple M1 Ultra", "version": "26.1"}, ""),
        ({"chip": "Apple M4 Max", "version": "26.0.1"}, ""),
        ({"chip": "Apple M5", "version": "26.2"}, ""),
        ({"chip": "Apple M5 Pro", "version": "27"}, ""),
        (
            {"machine": "x86_64"},
            "runs under Rosetta, as on an Intel Mac, where MLX does not: run  arch -arm64 make chat",
        ),
        ({"machine": "x86_64", "arm": "0"}, "this one has an Intel processor"),
        ({"machine": "x86_64", "arm": ""}, "this one has an Intel processor"),
        ({"version": "13.7.8"}, "needs macOS 14 or newer, and this is macOS 13.7.8: update it in System Settings"),
        ({"version": "12"}, "needs macOS 14 or newer, and this is macOS 12: update it"),
        (
            {"chip": "Apple M5", "version": "26.1"},
            "on an M5 MLX needs macOS 26.2 or newer, and this is macOS 26.1: update",
        ),
        ({"chip": "Apple M5 Max", "version": "26.0.1"}, "on an M5 Max MLX needs macOS 26.2"),
        ({"chip": "Apple M10", "version": "26.1.9"}, "on an M10 MLX needs macOS 26.2"),
        (
            {"metal": "none"},
            "shows no Metal device here, as in a sandbox or a virtual machine: run  make chat  in Terminal",
        ),
        # What does not answer stops nobody.
        ({"version": ""}, ""),
        ({"version": "beta"}, ""),
        ({"chip": "", "version": "26.1"}, ""),
        ({"metal": ""}, ""),
    ],
    ids=repr,
)
def test_a_mac_that_can_not_run_it_is_told_in_a_sentence(machine: Machine, mac: dict[str, Any], says: str) -> None:
    machine.mac(**mac)
    done = machine.run("sh", "scripts/check_machine.sh")
    assert not done.stdout
    if says:
        assert says in sentence(done)
        assert machine.run("sh", "scripts/check_machine.sh", RGMLX_CHECK="off").returncode == 0
    else:
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("system", "says"), [("Linux", ""), ("FreeBSD", "this is FreeBSD")])
def test_linux_is_taken_and_other_systems_are_not(machine: Machine, system: str, says: str) -> None:
    machine.system(system, "x86_64")
    done = machine.run("sh", "scripts/check_machine.sh")
    assert says in sentence(done) if says else done.returncode == 0


@pytest.mark.parametrize(("value", "refused"), [("", True), ("on", True), ("off", False)])
def test_the_check_can_be_left_out(value: str, refused: bool, machine: Machine) -> None:
    machine.system("FreeBSD", "x86_64")
    done = machine.run("sh", "scripts/check_machine.sh", RGMLX_CHECK=value)
    assert "this is FreeBSD" in sentence(done) if refused else done.returncode == 0


@pytest.mark.parametrize("value", ["banana", "0", "OFF", " "])
def test_a_wish_that_means_nothing_is_refused(value: str, machine: Machine) -> None:
    """Fault 12f: it was taken in silence."""
    done = machine.run("sh", "scripts/check_machine.sh", RGMLX_CHECK=value)
    assert f"RGMLX_CHECK must be on or off, not '{value}'" in sentence(done)


def test_make_asks_before_it_downloads(machine: Machine) -> None:
    machine.mac(version="13.0")
    machine.uv()
    assert "macOS 14" in sentence(machine.make())
    assert not machine.called() and not (machine.clone / ".venv").exists()
    done = machine.make(RGMLX_CHECK="off")
    assert done.returncode == 0 and done.stdout.endswith("chatting\n"), done.stderr


# --- where Python comes from --------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_line_tools_alone_are_enough(machine: Machine, shell: str) -> None:
    """Python 3.9 and make: its pip gets uv, and uv gets a Python for Apple silicon, all within the clone."""
    (machine.bin / "sh").unlink()
    (machine.bin / "sh").symlink_to(str(shutil.which(shell)))  # macOS's sh is bash
    machine.mac()
    machine.python("python3", (3, 9, 6))
    done = machine.make()
    assert done.returncode == 0 and done.stdout.endswith("chatting\n"), done.stderr
    assert not done.stderr
    called = machine.called()
    assert "python3 -m venv build/uv\n" in called and re.search(r"^python -m pip install .* uv$", called, re.MULTILINE)
    inside = f"with {machine.clone}/build/python"
    assert f"uv venv --quiet --no-python-downloads --python cpython->=3.11-macos-aarch64 .venv {inside}" in called
    assert f"uv venv --quiet --python cpython-3.13-macos-aarch64 .venv {inside}" in called
    assert "uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock" in called
    machine.log.unlink()
    assert machine.make().stdout == "chatting\n" and not machine.called()  # once


def wheel_of_uv(machine: Machine, folder: Path) -> Path:
    """A package for pip whose program is the stand-in for uv."""
    folder.mkdir()
    info = "uv-0.0.dist-info"
    files = {
        "uv-0.0.data/scripts/uv": (machine.spare / "uv").read_text(),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: uv\nVersion: 0.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / "uv-0.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
            wheel.writestr(entry, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))
    return folder


@pytest.mark.parametrize("python", OLD_PYTHONS)
def test_a_real_python_as_old_as_macos_s_is_enough(machine: Machine, python: str) -> None:
    """Its own venv and pip, which get a uv from a folder in place of the network."""
    machine.mac()
    machine.program("python3", f'exec {python} "$@"')
    folder = wheel_of_uv(machine, machine.folder / "wheels")
    done = machine.make(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder), PIP_CONFIG_FILE="/dev/null")
    assert done.returncode == 0 and done.stdout.endswith("chatting\n") and not done.stderr, done
    assert (machine.clone / "build" / "uv" / "bin" / "uv").is_file()
    assert "uv venv --quiet --python cpython-3.13-macos-aarch64 .venv with " in machine.called()


def test_a_uv_that_is_installed_is_used_and_keeps_its_pythons(machine: Machine) -> None:
    machine.uv()
    machine.python("python3", (3, 12, 0))
    assert machine.make().returncode == 0
    called = machine.called()
    assert "uv venv --quiet --no-python-downloads --python cpython>=3.11 .venv with None" in called
    assert "uv venv --quiet --python cpython-3.13 .venv with None" in called
    assert "python3" not in called and not (machine.clone / "build" / "uv").exists()


def test_a_uv_that_was_just_installed_is_found_where_its_installer_puts_it(machine: Machine) -> None:
    """Which is in the PATH of a new window only."""
    local = machine.folder / ".local" / "bin"
    local.mkdir(parents=True)
    machine.uv(folder=local)
    done = machine.make()
    assert done.returncode == 0 and done.stdout.endswith("chatting\n"), done.stderr


@pytest.mark.parametrize("named", ["", "mine"])
def test_a_python_that_is_new_enough_is_used(machine: Machine, named: str) -> None:
    machine.python("python3", (3, 9, 6))
    machine.python("python3.12", (3, 12, 0))
    machine.python("mine", (3, 13, 0))
    done = machine.make(*([f"PYTHON={named}"] if named else []))
    assert done.returncode == 0 and done.stdout.endswith("chatting\n"), done.stderr
    called = machine.called()
    assert f"{named or 'python3.12'} -m venv .venv\n" in called and "uv" not in called
    assert "python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock" in called


def test_a_python_for_intel_is_passed_over_on_a_mac(machine: Machine) -> None:
    """/usr/local of a Mac that was migrated."""
    machine.mac()
    machine.python("python3", (3, 13, 0), machine="x86_64")
    machine.python("python3.11", (3, 11, 4), machine="arm64")
    assert machine.make().returncode == 0
    assert "python3.11 -m venv .venv\n" in machine.called() and "python3 -m venv" not in machine.called()


def test_without_any_python_the_sentence_names_a_command(machine: Machine) -> None:
    assert "could not get one: run  curl" in sentence(machine.make())  # and no log, as nothing wrote one
    assert "run  curl -LsSf https://astral.sh/uv/install.sh | sh  and then make again" in sentence(machine.make())
    machine.program("brew", "exit 1")
    assert "run  brew install python@3.13  and then make again" in sentence(machine.make())
    assert not (machine.clone / ".venv").exists()


@pytest.mark.parametrize("has_uv", [False, True])
def test_without_a_network_the_noise_is_in_a_file(tmp_path: Path, has_uv: bool) -> None:
    machine = Machine(tmp_path, online=False)
    machine.mac()
    machine.python("python3", (3, 9, 6))
    if has_uv:
        machine.uv()
    said = sentence(machine.make())
    assert "needs Python 3.11 or newer, and could not get one (build/setup.log says why): run  curl" in said
    assert ("No interpreter found" if has_uv else "no matching distribution") in (
        machine.clone / "build" / "setup.log"
    ).read_text()
    assert not (machine.clone / ".venv").exists()


def test_a_python_without_venv_is_named_with_debians_remedy(machine: Machine) -> None:
    machine.python("python3", (3, 11, 2), has_venv=False)
    assert "python3 can't make virtual environments: on Debian and Ubuntu run  apt install python3-venv" in sentence(
        machine.make()
    )


# --- what was there before ----------------------------------------------------------------


@pytest.mark.parametrize("with_uv", [False, True])
def test_a_venv_whose_python_was_removed_is_made_anew(machine: Machine, with_uv: bool) -> None:
    if with_uv:
        machine.uv()
    else:
        machine.python("python3", (3, 12, 0))
    assert machine.make().returncode == 0
    venv = machine.clone / ".venv"
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to(machine.folder / "Cellar" / "python@3.12" / "bin" / "python3.12")
    (venv / "stale").touch()
    done = machine.make()
    assert done.returncode == 0 and done.stdout.endswith("chatting\n"), done.stderr
    assert not (venv / "stale").exists() and (venv / "bin" / "python").is_file() and (venv / "ready").is_file()


def test_a_set_up_that_broke_off_is_made_anew(machine: Machine) -> None:
    machine.python("python3", (3, 12, 0))
    (machine.clone / ".venv" / "lib").mkdir(parents=True)
    assert machine.make().returncode == 0


def test_a_folder_of_somebody_else_is_left_alone(machine: Machine) -> None:
    machine.python("python3", (3, 12, 0))
    (machine.clone / "mine").mkdir()
    (machine.clone / "mine" / "letter").touch()
    assert "mine is there and is no virtual environment: move it away" in sentence(machine.make("VENV=mine"))
    assert (machine.clone / "mine" / "letter").exists()


def test_a_venv_of_a_uv_that_is_gone_gets_another(machine: Machine) -> None:
    """Such a one has no pip in it."""
    machine.uv()
    assert machine.make().returncode == 0
    (machine.bin / "uv").unlink()
    machine.python("python3", (3, 9, 6))
    (machine.clone / ".venv" / "ready").unlink()
    assert machine.make().returncode == 0
    assert (machine.clone / "build" / "uv" / "bin" / "uv").is_file()


def test_the_lock_uses_the_same_uv(machine: Machine) -> None:
    machine.python("python3", (3, 9, 6))
    done = machine.make("lock")
    assert done.returncode == 0, done.stderr
    assert machine.called().count("uv pip compile") == 2


# --- the tools of an old system -----------------------------------------------------------

NEWER = {  # than GNU make 3.81, macOS's
    r"(?m)^[^\t#]*?\.(ONESHELL|RECIPEPREFIX|SHELLFLAGS|EXTRA_PREREQS|NOTINTERMEDIATE|WAIT|LOADED)\b": "a special target",
    r"(?m)^[^\t#:=]*!=": "!=",
    r"(?m)^[^\t#]*?:{2,3}=": "::=",
    r"(?m)^[^\t#=]*&:": "grouped targets",
    r"\$[({](file|guile|let|intcmp)\b": "a function",
    r"(?m)^(undefine|load|-load|private)\b": "a directive",
    r"(?m)^define\s+\S+\s*[:+?]?=": "define with =",
    r"(?m)^[^\t#]*--(output-sync|eval|shuffle|trace)\b": "an option",
}


@pytest.mark.parametrize("pattern", NEWER, ids=NEWER.get)
def test_the_makefile_asks_for_nothing_newer_than_make_3_81(pattern: str) -> None:
    assert not re.search(pattern, (ROOT / "Makefile").read_text())


@pytest.mark.parametrize(
    "line",
    [
        ".ONESHELL:",
        "A != echo",
        "A ::= b",
        "A :::= b",
        "a b &: c",
        "A = $(file <b)",
        "undefine A",
        "define A =",
        "MAKEFLAGS += --output-sync",
        "export .SHELLFLAGS = -c",
    ],
)
def test_what_is_newer_is_found(line: str) -> None:
    assert any(re.search(pattern, f"a: b\n\ttest 1 != 2\n{line}\n") for pattern in NEWER)
    assert not any(re.search(pattern, "a: b\n\ttest 1 != 2 && echo ::= &:\nA := b::c\nB ?= c\n") for pattern in NEWER)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_each_shell_reads_the_scripts(machine: Machine, script: str, shell: str) -> None:
    (machine.bin / shell).unlink(missing_ok=True)
    (machine.bin / shell).symlink_to(str(shutil.which(shell)))
    done = machine.run(shell, *(["--posix"] if shell == "bash" else []), "-n", f"scripts/{script}")
    assert (done.returncode, done.stderr) == (0, "")
