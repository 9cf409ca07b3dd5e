"""For tests: a machine whose programs are stand-ins, on a PATH that has nothing else but what every system has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rooms import ROOT
from waiting import PATIENCE

SYSTEM = (
    "bash",
    "cat",
    "cp",
    "date",
    "dirname",
    "env",
    "grep",
    "head",
    "make",
    "mkdir",
    "rm",
    "sed",
    "sh",
    "sleep",
    "sort",
)
SYSTEM += ("tee", "touch")

PYTHON = """#!{python} -IS
# A Python of some version for some machine, as far as setup.sh looks at it.
import os, pathlib, platform, shutil, sys
here, args = pathlib.Path(sys.argv[0]), sys.argv[1:]
with open({log!r}, "a") as log:
    print(here.name, *args, file=log)
sys.version_info, sys.platform, platform.machine = {version}, {platform!r}, lambda: {machine!r}
if args[0] == "-c":
    if "import pip" in args[1]:
        sys.exit(not {has_pip})
    exec(args[1])
elif args[:2] == ["-m", "venv"]:
    if not {has_venv}:
        sys.exit("ensurepip is not available\\nmore")
    bin = pathlib.Path(args[2], "bin")
    bin.mkdir(parents=True)
    (bin.parent / "pyvenv.cfg").touch()
    shutil.copy({own!r}, bin / "python")
elif args[:3] == ["-m", "pip", "install"]:
    if not {online}:
        print("WARNING: Retrying\\n" * 5, "ERROR: no matching distribution", file=sys.stderr)
        sys.exit(1)
    if args[-1] == "uv":
        shutil.copy({uv!r}, here.parent / "uv")
    if "-e" in args:
        shutil.copy({chat!r}, here.parent / "rgchat")
"""
UV = """#!{python} -IS
import os, pathlib, shutil, sys
args = sys.argv[1:]
with open({log!r}, "a") as log:
    print("uv", *args, "with", os.environ.get("UV_PYTHON_INSTALL_DIR"), file=log)
if args[0] == "venv":
    if not {online} or "--no-python-downloads" in args:
        print("error: No interpreter found\\nmore", file=sys.stderr)
        sys.exit(2)
    bin = pathlib.Path(args[-1], "bin")
    bin.mkdir(parents=True)
    (bin.parent / "pyvenv.cfg").touch()
    shutil.copy({made!r}, bin / "python")
elif args[:2] == ["pip", "install"] and "-e" in args:
    shutil.copy({chat!r}, pathlib.Path(args[args.index("--python") + 1]).parent / "rgchat")
"""


def old_pythons() -> list[str]:
    """Real Pythons as old as macOS's own, 3.8 and 3.9, where there are some; without looking into macOS's stubs."""
    found = [shutil.which(f"python3.{minor}") for minor in (8, 9)]
    found += [str(file) for file in Path.home().glob(".pyenv/versions/3.[89].*/bin/python3")]
    versions: dict[str, str] = {}
    for python in filter(None, found):
        done = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
        if done.stdout.strip() in ("(3, 8)", "(3, 9)"):  # pyenv has a program of every name
            versions.setdefault(done.stdout, python)
    return list(versions.values())


OLD_PYTHONS = [pytest.param(python, id=f"old{number}") for number, python in enumerate(old_pythons())] or [
    pytest.param("", marks=pytest.mark.skip(reason="there is no Python 3.8 or 3.9 here"))
]


@dataclass
class Machine:
    """A machine in a folder: `bin` is its PATH, `clone` a clone of the repository's files for `make`."""

    folder: Path
    online: bool = True

    def __post_init__(self) -> None:
        self.bin, self.spare, self.log = self.folder / "bin", self.folder / "spare", self.folder / "log"
        self.clone = self.folder / "a clone"
        for made in (self.bin, self.spare, self.clone / "scripts"):
            made.mkdir(parents=True)
        for name in SYSTEM:
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)
        for name in ("Makefile", "pyproject.toml", "requirements.lock", "scripts/setup.sh", "scripts/check_machine.sh"):
            shutil.copy(ROOT / name, self.clone / name)
        self.system("Linux", "x86_64")
        self.program("rgchat", "echo chatting", folder=self.spare)
        self.python("made", (3, 13, 1), folder=self.spare, has_pip=False)
        self.uv(folder=self.spare)

    def program(self, name: str, text: str, *, folder: Path | None = None) -> Path:
        """A shell script of that name."""
        file = (folder or self.bin) / name
        file.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return file

    def system(self, name: str, machine: str) -> None:
        """What `uname` says."""
        self.program(
            "uname", f"case $1 in -m) echo {machine} ;; -s | '') echo {name} ;; *) echo {name} {machine} ;; esac"
        )

    def mac(
        self,
        *,
        machine: str = "arm64",
        arm: str = "1",
        version: str = "15.6.1",
        chip: str = "Apple M2",
        metal: str = "there",
    ) -> None:
        """macOS, by the programs that tell of it; an empty answer is a program that fails."""
        self.system("Darwin", machine)

        def echo(value: str) -> str:
            return f"echo '{value}'" if value else "echo an error >&2; exit 1"

        answers = {"hw.optional.arm64": arm, "machdep.cpu.brand_string": chip}
        cases = " ".join(f"{name}) {echo(value)} ;;" for name, value in answers.items())
        self.program("sysctl", f'case "$2" in {cases} esac')
        told = f"[ \"${{SYSTEM_VERSION_COMPAT:-}}\" = 0 ] && echo '{version}' || echo 10.16"
        self.program("sw_vers", told if version else echo(""))
        self.program("osascript", echo(metal))

    def python(
        self,
        name: str,
        version: tuple[int, ...],
        *,
        machine: str = "arm64",
        folder: Path | None = None,
        has_pip: bool = True,
        has_venv: bool = True,
    ) -> None:
        """A Python of that name."""
        folder = folder or self.bin
        text = PYTHON.format(
            python=sys.executable,
            log=str(self.log),
            version=version,
            platform="darwin" if (self.bin / "sw_vers").exists() else "linux",
            machine=machine,
            has_pip=has_pip,
            has_venv=has_venv,
            online=self.online,
            own=str(folder / name),
            uv=str(self.spare / "uv"),
            chat=str(self.spare / "rgchat"),
        )
        self.program(name, text, folder=folder)

    def uv(self, *, folder: Path | None = None) -> None:
        """An installed uv."""
        made, chat = str(self.spare / "made"), str(self.spare / "rgchat")
        text = UV.format(python=sys.executable, log=str(self.log), online=self.online, made=made, chat=chat)
        self.program("uv", text, folder=folder)

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command on this machine, in the clone."""
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=cwd or self.clone,
            env={"PATH": str(self.bin), "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`make` there; none of this process's own make is told to it."""
        return self.run("make", *arguments, **environment)

    def called(self) -> str:
        """What was called so far, a line each."""
        return self.log.read_text() if self.log.exists() else ""


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which something was refused, apart from what make says of it."""
    assert done.returncode, done
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and lines[0].startswith("rgmlx: "), done.stderr
    return lines[0]
