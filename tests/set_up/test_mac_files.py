"""What only a Mac reads, the workflow and the Homebrew formula: whole, current, and what pyproject.toml says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from rooms import ROOT
from test_lock import PYTHONS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMULA = (ROOT / "scripts" / "homebrew" / "rgmlx.rb").read_text()
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "macos.yml").read_text())
README, GUIDE = (ROOT / "README.md").read_text(), (ROOT / "docs" / "mac.md").read_text()


# --- the workflow -------------------------------------------------------------------------


def steps(job: str) -> list[dict[str, Any]]:
    return WORKFLOW["jobs"][job]["steps"]


def test_images_and_actions_are_those_that_are_there() -> None:
    """macos-14 is gone, and so are actions that ran on Node 20."""
    images = {*WORKFLOW["jobs"]["mac"]["strategy"]["matrix"]["os"], *(j["runs-on"] for j in WORKFLOW["jobs"].values())}
    assert images == {"macos-15", "macos-26", "${{ matrix.os }}"}
    used = {step["uses"] for job in WORKFLOW["jobs"] for step in steps(job) if "uses" in step}
    assert used == {"actions/checkout@v6", "actions/setup-python@v6", "actions/upload-artifact@v7"}


def test_the_doctor_comes_first_and_the_benchmark_decides_nothing() -> None:
    runs = [step for step in steps("mac") if "run" in step]
    order = [
        next(i for i, s in enumerate(runs) if text in s["run"]) for text in ("doctor", "make test", "mac_check.sh")
    ]
    assert order == sorted(order)
    assert "continue-on-error" not in runs[order[0]] and "continue-on-error" not in runs[order[1]]
    assert runs[order[2]]["continue-on-error"] and "--no-keys" in runs[order[2]]["run"]
    assert all(step.get("if") == "${{ !cancelled() }}" for step in runs[order[0] + 1 :]), "one failure hides the rest"


def test_what_it_runs_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in WORKFLOW["jobs"]:
        text = "\n".join(step.get("run", "") for step in steps(job))
        assert set(re.findall(r"make ([a-z]+)", text)) <= targets
        assert all((ROOT / path).exists() for path in re.findall(r"scripts/[\w./]+", text))


# --- the formula --------------------------------------------------------------------------


def test_the_formula_says_what_the_project_says() -> None:
    assert f'license "{PROJECT["license"]}"' in FORMULA
    [python] = set(re.findall(r"python@?(3\.\d+)", FORMULA))
    assert python in PYTHONS, "a Python whose packages are locked"
    assert "depends_on arch: :arm64" in FORMULA and "depends_on macos: :sonoma" in FORMULA  # 14
    assert 'at_least "$version" 14.0' in (ROOT / "scripts" / "check_machine.sh").read_text()
    assert set(PROJECT["scripts"]) == {"rgmlx", "rgchat"} and "pip_install_and_link buildpath" in FORMULA


def test_the_formula_takes_its_packages_from_the_lock() -> None:
    """No list of its own, which would fall behind, and no address to download from."""
    assert '"--require-hashes", "--requirement", "requirements.lock"' in FORMULA
    assert "resource " not in FORMULA and not re.search(r"^ *url\b", FORMULA, re.MULTILINE)
    assert FORMULA.count('"REPOSITORY"') == 1


def as_documented(directory: Path, clone: str) -> str:
    """The formula as the command of the guide writes it, from a clone in that place."""
    [command] = re.findall(r"^sed .*$", GUIDE, re.MULTILINE)
    assert command in "\n".join(step.get("run", "") for step in steps("homebrew"))
    target = directory / "rgmlx.rb"
    command = re.sub(r'"\$\(brew .*', f'"{target}"', command).replace("$PWD", clone)
    subprocess.run(command, shell=True, cwd=ROOT, check=True)
    return target.read_text()


def test_the_formula_is_as_brew_style_wants_it(tmp_path: Path) -> None:
    made = as_documented(tmp_path, "/Users/anna/rgmlx")
    [homepage] = re.findall(r'^  homepage "(.*)"$', made, re.MULTILINE)
    assert re.match("https?://", homepage) and not homepage.endswith(".git")  # rubocops/homepage.rb
    code = [line for line in FORMULA.splitlines() if not line.startswith("#")]
    assert code[0] == "class Rgmlx < Formula" and code[-1] == "end" and FORMULA.endswith("end\n")
    assert all(len(line) <= 118 and line == line.rstrip() and "\t" not in line for line in FORMULA.splitlines())
    [desc] = re.findall(r'^  desc "(.*)"$', FORMULA, re.MULTILINE)
    assert len(desc) <= 80 and desc[0].isupper() and desc[-1] != "." and not re.match(r"(?i)(an?|the|rgmlx)\b", desc)
    words = re.findall(r"^  (\w+)", "\n".join(code), re.MULTILINE)
    order = [
        "include",
        "desc",
        "homepage",
        "license",
        "head",
        "depends_on",
        "preserve_rpath",
        "def",
        "end",
        "test",
        "end",
    ]
    assert [w for i, w in enumerate(words) if not i or words[i - 1] != w] == order
    opened = len(re.findall(r"^ *(class|def|test do)\b", FORMULA, re.MULTILINE))
    assert opened == len(re.findall(r"^ *end$", FORMULA, re.MULTILINE))


@pytest.mark.skipif(not shutil.which("ruby"), reason="there is no Ruby here")
def test_ruby_reads_the_formula() -> None:
    done = subprocess.run(["ruby", "-c"], input=FORMULA, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- what is written about it -------------------------------------------------------------


def test_the_guide_puts_an_address_where_the_formula_has_none(tmp_path: Path) -> None:
    made = as_documented(tmp_path, "/Users/anna/rg mlx")
    assert '"REPOSITORY"' not in made
    assert 'head "file:///Users/anna/rg mlx", using: :git, branch: "main"' in made


def test_nothing_is_said_to_be_where_it_is_not() -> None:
    """The package is in no registry: every command that installs it names a clone or the repository."""
    for text in (README, GUIDE):
        commands = re.findall(r"(?:uv tool install|pipx install|uvx)(?: --\S+(?: python\S+)?)* (\S+?)[`\s]", text)
        assert commands and set(commands) <= {".", "git+<this", "rgchat"}, commands
    assert "scripts/mac_check.sh" in README and "scripts/mac_check.sh" in GUIDE


@pytest.mark.parametrize("fact", ["Apple silicon", "macOS 14 or newer", "xcode-select --install", "256 colors", "26.2"])
def test_what_a_mac_takes_is_said_in_both(fact: str) -> None:
    assert fact in README and fact in GUIDE


def test_what_is_not_as_one_would_think_is_said() -> None:
    """Notifications in tmux; a "p" that Terminal prints; keys of the terminal driver; what has no look at the machine first."""
    assert "set -g focus-events on" in README
    assert 'a stray "p"' in GUIDE
    assert all(re.search(rf"terminal driver.*Ctrl\+{key} ", GUIDE, re.DOTALL) for key in "OYT")
    for text in (README, GUIDE):
        assert "sh scripts/check_machine.sh" in text
    assert (ROOT / "scripts" / "check_machine.sh").is_file()
