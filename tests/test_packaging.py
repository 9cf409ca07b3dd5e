"""The wheel holds everything, and what it holds runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    out = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    [wheel] = directory.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(directory / "unpacked")
    return directory / "unpacked"


def test_every_file_of_both_packages_is_in_it(unpacked: Path) -> None:
    for package in ("rgmlx", "tui"):
        tracked = subprocess.run(["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True).stdout.split()
        files = tracked or [
            str(p.relative_to(ROOT)) for p in (ROOT / package).rglob("*") if p.suffix in (".py", ".tcss")
        ]
        assert files
        assert [f for f in files if not (unpacked / f).is_file()] == []
    assert (unpacked / "rgmlx" / "demo" / "model.safetensors").stat().st_size > 10_000_000
    assert {p.name for p in unpacked.iterdir() if not p.name.endswith(".dist-info")} == {"rgmlx", "tui"}


def test_it_answers_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    out = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "import rgmlx.cli, tui.app; print(rgmlx.__file__); rgmlx.cli.main(['ask', 'Hello!'])",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    where, answer = out.stdout.split("\n", 1)
    assert where.startswith(str(unpacked))
    assert answer.strip()
