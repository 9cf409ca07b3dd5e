"""Names of files: what a model writes becomes one that is harmless; a rename overwrites nothing."""

from __future__ import annotations

import os
import threading
import unicodedata
from pathlib import Path

import pytest
from recorders import HOSTILE

from rgmlx.desktop import filenames
from rgmlx.errors import DesktopError

NAMES = {
    "Quarterly report 2026": "Quarterly report 2026.pdf",
    '"Invoice from ACME"': "Invoice from ACME.pdf",
    "File name: Tax return": "Tax return.pdf",
    "**Suggested name:** The plan\n\nBecause it is one.": "The plan.pdf",
    "report.pdf": "report.pdf",
    "report.PDF.pdf": "report.pdf",
    "../../etc/passwd": "etc passwd.pdf",
    "/absolute/path": "absolute path.pdf",
    "a/b:c\\d|e?f*g<h>i": "a b c d e f g h i.pdf",
    ".hidden": "hidden.pdf",
    "..": None,
    "-rf ~": "rf.pdf",
    "--": None,
    "": None,
    "\n\n  \n": None,
    "🙂🙂": None,
    "Cats 🐈 and dogs": "Cats and dogs.pdf",
    "cafe\u0301": "café.pdf",
    "日本語の請求書": "日本語の請求書.pdf",
    "हिन्दी": "हिन्दी.pdf",
    "$(touch pwned)": "(touch pwned).pdf",
    "`id`; rm -rf /": "id rm -rf.pdf",
    "a\0b\x1b[2Jc\x7f": "a b 2Jc.pdf",
    "evil\u202egnp.exe": "evil gnp.exe.pdf",
    "\u2066x\u2069\u200b\u200dy": "x y.pdf",
    "tab\tand\u00a0space": "tab and space.pdf",
    "two\u2028lines": "two.pdf",
    "\u0301accent first": "accent first.pdf",
    "half \udcff a pair": "half a pair.pdf",
    "NUL": "NUL.pdf",
    "one two three four five six seven eight nine ten eleven twelve thirteen": (
        "one two three four five six seven eight nine ten eleven twelve.pdf"
    ),
}


@pytest.mark.parametrize(("text", "name"), NAMES.items())
def test_a_name_is_made_of_what_a_model_writes(text: str, name: str | None) -> None:
    assert filenames.made_of(text, ".pdf") == name


@pytest.mark.parametrize("suffix", [".pdf", ".tar.gz", ""])
@pytest.mark.parametrize(
    "text", [*HOSTILE.values(), "x" * 1_000_000, "é" * 500, "👩🏽‍👧‍👦a" * 99, "a\u0301" * 500, "क्षि" * 300, "\0"]
)
def test_whatever_it_writes_the_name_is_harmless(text: str, suffix: str) -> None:
    name = filenames.made_of(text, suffix)
    if name is None:
        return
    assert name.endswith(suffix) and 0 < len(os.fsencode(name)) <= filenames.MAX_BYTES
    assert not set(name) & set('/\\:\0\n\r\t"`$*?<>|;{}[]~^') and name[0] not in ".- "
    assert not {unicodedata.category(char) for char in name} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert unicodedata.category(name[0])[0] != "M" and Path(name).name == name
    assert filenames.made_of(name.removesuffix(suffix), suffix) in (name, unicodedata.normalize("NFC", name))


MADE = [
    "Screenshot 2026-11-30 at 10.15.12.png",
    "Screenshot 2026-11-30 at 10.15.12\u202fPM.png",
    "Screen Shot 2019-01-01 at 9.00.00.png",
    "Screen Recording 2026-11-30 at 10.15.12.mov",
    "Bildschirmfoto 2026-11-30 um 10.15.12.png",
    "Capture d’écran 2026-11-30 à 10.15.12.png",
    "Captura de pantalla 2026-11-30.png",
    "スクリーンショット 2026-11-30 10.15.12.png",
    "截屏2026-11-30 10.15.12.png",
    "IMG_1234.HEIC",
    "DSC00012.jpg",
    "image (3).png",
    "download.pdf",
    "document-1 copy 2.pdf",
    "1234567890.pdf",
    "2026-11-30.pdf",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479.pdf",
    "9f86d081884c7d659a2feaa0c55ad015.bin",
    "a8f3Kd92mXq01zP.pdf",
    "scan0001.tif",
    "Untitled 4.txt",
    "_.txt",
]
MEANT = [
    "Quarterly report.pdf",
    "rgmlx-0.1.0.tar.gz",
    "letter to anna.txt",
    "IMG_1234 Anna at the beach.jpg",
    "Screenshots of the app.pdf",
    "README.md",
    "Rechnung 2026-11.pdf",
    "café.txt",
    "日本語の請求書.pdf",
    "covid19.pdf",
    "node-v22.1.0.pkg",
    "decade.txt",
    "facade.txt",
    "export.csv",
    "new.txt",
]


@pytest.mark.parametrize("name", MADE)
def test_names_that_machines_made(name: str) -> None:
    assert filenames.is_made_by_machine(name)


@pytest.mark.parametrize("name", MEANT)
def test_names_that_say_something_stay(name: str) -> None:
    assert not filenames.is_made_by_machine(name)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.png", ".png"),
        ("a.b.PNG", ".PNG"),
        ("a.tar.gz", ".tar.gz"),
        ("none", None),
        (".hidden", None),
        ("a.", None),
        ("a.p ng", None),
        ("a.\u202egnp", None),
        ("a.png\n", None),
        ("a." + "x" * 17, None),
        (".tar.gz", None),
    ],
)
def test_the_extension_that_is_kept(name: str, suffix: str | None) -> None:
    assert filenames.suffix_of(name) == suffix


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_a_rename_takes_the_next_free_name(tmp_path: Path) -> None:
    for name in ("old.txt", "New.txt", "New 2.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "New 3.txt").symlink_to("nowhere")
    assert filenames.rename(tmp_path / "old.txt", "New.txt") == tmp_path / "New 4.txt"
    assert contents(tmp_path) == {"New.txt": "New.txt", "New 2.txt": "New 2.txt", "New 4.txt": "old.txt"}


def test_many_at_once_overwrite_nothing(tmp_path: Path) -> None:
    """Each thread looks for a free name while all others do."""
    files = [tmp_path / f"file{i}.txt" for i in range(24)]
    for file in files:
        file.write_text(file.name)
    together = threading.Barrier(len(files))

    def rename(file: Path) -> None:
        together.wait()
        filenames.rename(file, "Same.txt")

    threads = [threading.Thread(target=rename, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = contents(tmp_path)
    assert sorted(left.values()) == sorted(file.name for file in files)
    assert all(name.startswith("Same") for name in left)


def test_what_appears_in_between_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.txt").write_text("old")
    free = filenames.free_name

    def late(folder: Path, name: str) -> Path:
        target = free(folder, name)
        if not (tmp_path / "New.txt").exists():
            (tmp_path / "New.txt").write_text("another program's")
        return target

    monkeypatch.setattr(filenames, "free_name", late)
    filenames.rename(tmp_path / "old.txt", "New.txt")
    assert contents(tmp_path) == {"New.txt": "another program's", "New 2.txt": "old"}


def test_a_rename_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DesktopError, match="can't be renamed"):
        filenames.rename(tmp_path / "gone.txt", "New.txt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(DesktopError, match="can't be renamed"):
        filenames.rename(tmp_path / "gone.txt", "x" * 300)
    for i in range(1, 100):
        (tmp_path / f"New{f' {i}' if i > 1 else ''}.txt").touch()
    with pytest.raises(DesktopError, match=r"99 files called New.txt"):
        filenames.rename(tmp_path / "New.txt", "New.txt")
