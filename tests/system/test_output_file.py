"""A command's output file: whole or as it was, whatever it is and whatever goes wrong."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rgmlx.errors import RgmlxError
from rgmlx.system.output_file import OutputFile


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(name: Path | str, *texts: str) -> None:
    with OutputFile(str(name)) as file:
        for text in texts:
            file.write(text)
        file.commit()


def test_a_new_file_is_there_when_all_is_and_has_the_mode_of_any_other(tmp_path: Path) -> None:
    place = tmp_path / "out.txt"
    with OutputFile(str(place)) as file:
        file.write("é\n")
        file.write("two \udce9\n")
        assert not place.exists() and len(os.listdir(tmp_path)) == 1
        file.commit()
    assert place.read_bytes() == "é\ntwo ?\n".encode() and mode(place) == 0o640
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_file_that_is_replaced_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    place, link = tmp_path / "out.txt", tmp_path / "link"
    place.write_text("before")
    place.chmod(0o604)
    link.symlink_to("out.txt")
    write(link, "after")
    assert link.is_symlink() and place.read_text() == "after" and mode(place) == 0o604


def test_a_link_that_leads_nowhere_leads_to_the_file_then(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("out.txt")
    write(tmp_path / "link", "x")
    assert (tmp_path / "out.txt").read_text() == "x" and (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("there", [False, True])
def test_without_a_commit_nothing_has_happened(there: bool, tmp_path: Path) -> None:
    place = tmp_path / "out.txt"
    if there:
        place.write_text("before")
    with pytest.raises(KeyboardInterrupt), OutputFile(str(place)) as file:
        file.write("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == (["out.txt"] if there else [])
    assert not there or place.read_text() == "before"


def test_a_pipe_gets_the_text_as_it_comes_and_is_not_replaced(tmp_path: Path) -> None:
    """As of `-o >(command)`; a device such as /dev/null likewise."""
    os.mkfifo(tmp_path / "pipe")
    came: list[str] = []
    reader = threading.Thread(target=lambda: came.append((tmp_path / "pipe").read_text()))
    reader.start()
    write(tmp_path / "pipe", "one", "two")
    reader.join()
    assert came == ["onetwo"] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    write("/dev/null", "x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and os.listdir(tmp_path) == ["pipe"]


def test_a_pipe_without_a_name_gets_the_text() -> None:
    """What bash makes of `-o >(command)`."""
    outlet, inlet = os.pipe()
    write(f"/dev/fd/{inlet}", "one")
    assert os.read(outlet, 100) == b"one"
    os.close(inlet)
    os.close(outlet)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_sentence() -> None:
    with pytest.raises(RgmlxError, match=r"/dev/full can't be written \(No space left on device\)"):
        write("/dev/full", "x" * 100_000)


def test_a_failing_rename_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "out.txt"
    place.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RgmlxError, match="can't be written"):
        write(place, "after")
    assert place.read_text() == "before" and os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "the name of the output file is empty"),
        ("folder", "is a folder: add the name of a file"),
        ("new/", "is a folder"),
        ("nowhere/out.txt", "No such file or directory"),
        ("loop", "can't be written"),
        ("a\0b", "can't be written"),
        ("x" * 300, "can't be written"),
        ("~nobody-is-called-this/x", "there is no user"),
    ],
)
def test_what_can_not_be_written_is_refused_at_once(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RgmlxError, match=said):
        OutputFile(name)
    assert sorted(os.listdir(tmp_path)) == ["folder", "loop"]


def test_a_file_that_may_not_be_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename would get round it."""
    place = tmp_path / "out.txt"
    place.write_text("before")
    monkeypatch.setattr(os, "access", lambda path, how: how != os.W_OK)  # root may write everything
    with pytest.raises(RgmlxError, match="may not be written: change its permissions"):
        OutputFile(str(place))
