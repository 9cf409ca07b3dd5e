"""The wheel holds everything, and what it holds runs."""

from __future__ import annotations

import email
import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from rooms import ROOT


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
    assert (unpacked / "rgmlx" / "py.typed").is_file()  # without it a program's mypy sees no types of ours
    assert (unpacked / "rgmlx" / "demo" / "model.safetensors").stat().st_size > 10_000_000
    assert {p.name for p in unpacked.iterdir() if not p.name.endswith(".dist-info")} == {"rgmlx", "tui"}


def test_26_the_licence_is_named_and_in_it(unpacked: Path) -> None:
    """Apache-2.0, word for word as its foundation publishes it, and the notice of the embedded model's texts."""
    [info] = unpacked.glob("*.dist-info")
    metadata = email.message_from_string((info / "METADATA").read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "rgmlx/demo/NOTICE.md"]
    for name in metadata.get_all("License-File", []):
        assert (info / "licenses" / name).read_bytes() == (ROOT / name).read_bytes()
    official = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == official
    assert "[Apache-2.0](LICENSE)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_26_the_source_archive_has_the_licence_and_builds(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    out = subprocess.run([*build, "-t", "sdist"], cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "source", filter="data")
    [source] = (tmp_path / "source").iterdir()
    assert {"LICENSE", "README.md", "pyproject.toml", "rgmlx", "tui"} <= {p.name for p in source.iterdir()}
    assert (source / "rgmlx" / "demo" / "NOTICE.md").is_file()
    out = subprocess.run([*build, "-t", "wheel"], cwd=source, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr


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
