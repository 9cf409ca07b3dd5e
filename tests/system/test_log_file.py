"""The debug log's file: the user's alone, of bounded size, and no fault of it ends a program."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import warm
from piped import AS_USER, ROOT, environment
from waiting import PATIENCE

from rgmlx.errors import RgmlxError
from rgmlx.system import bounded, debug_log, log_file, variables


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_it_is_the_user_s_alone(umask: int, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from rgmlx.system import debug_log; print(debug_log.begin(Path(sys.argv[1])))"
    done = subprocess.run(
        ["sh", "-c", f'umask {umask:o}; exec "$@"', "sh", sys.executable, "-c", code, tmp_path / "a"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {variables.LOG: "debug"},
    )
    assert (done.stdout, done.stderr) == ("\n", "")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / debug_log.NAME).stat().st_mode) == 0o600


def test_it_is_bounded(log: Path) -> None:
    """What is oldest goes, in whole lines; one entry takes no more than its share."""
    log.chmod(0o644)
    for number in range(300):
        RgmlxError(f"error {number}")
        debug_log.caught(RuntimeError(), f"it is {number} {'x' * 100_000}")
        assert log.stat().st_size <= log_file.MAX_BYTES
    assert log.stat().st_size > log_file.MAX_BYTES / 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "error 299\n" in text and "error 1\n" not in text and "it is 299 x" in text
    entry = text.partition("it is 299 ")[2].encode()
    assert len(entry) < log_file.MAX_ENTRY and entry.startswith(b"xxx") and b"\n  ...\nxxx" in entry


_WRITER = """
import sys
from pathlib import Path
from rgmlx.system import bounded
for number in range(400):
    try:
        bounded.append(Path(sys.argv[1]), b"%s %d %s\\n" % (sys.argv[2].encode(), number, b"x" * (number % 90)), 5_000, 1_000)
    except OSError:
        pass
"""


def test_several_programs_write_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    running = [subprocess.Popen([sys.executable, "-c", _WRITER, path, str(n)], cwd=ROOT) for n in range(3)]
    assert [one.wait(PATIENCE) for one in running] == [0, 0, 0]
    assert path.stat().st_size <= 5_000
    assert all(re.fullmatch(r"[012] \d+ x*", line) for line in path.read_text().splitlines())


def test_a_program_that_is_stopped_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "x"
    bounded.append(path, b"a\n", 14)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        bounded.append(path, b"bcd\n", 14)
        with pytest.raises(BlockingIOError):
            bounded.append(path, b"0123456\n", 12)
    bounded.append(path, b"0123456\n", 13)
    assert path.read_bytes() == b"bcd\n0123456\n"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("kind", [_pipe, _link, _directory])
def test_something_else_in_its_place(kind: Callable[[Path], None], tmp_path: Path) -> None:
    """It is told of, and the program goes on; once it is gone there is a log."""
    path = tmp_path / debug_log.NAME
    kind(path)
    code = """
        import logging, os, shutil, sys
        from pathlib import Path
        from rgmlx.errors import RgmlxError
        from rgmlx.system import debug_log
        path = Path(sys.argv[1])
        print(debug_log.begin(path.parent))
        RgmlxError("lost")
        logging.getLogger("rgmlx.x").debug("lost")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        RgmlxError("kept")
    """
    done = warm.run(
        ["-c", textwrap.dedent(code), str(path)],
        env=os.environ | {variables.LOG: "debug"},
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"the log can't be written \([^()]+\): {re.escape(str(path))}\n", done.stdout)
    assert "kept" in path.read_text() and "lost" not in path.read_text() and not (tmp_path / "elsewhere").exists()


def test_a_directory_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir(0o500)
    monkeypatch.setenv(variables.LOG, "debug")
    line = [*AS_USER, sys.executable, "-m", "rgmlx", "info", str(tmp_path / "none")]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment(home), timeout=PATIENCE)
    told, sentence = done.stderr.splitlines()
    assert told == f"rgmlx: the log can't be written (Permission denied): {home}/rgmlx/rgchat/{debug_log.NAME}"
    assert sentence.startswith("rgmlx: ") and "none" in sentence and done.returncode == 1


_FULL = """
import logging, os, resource, sys
from pathlib import Path
from rgmlx.errors import RgmlxError
from rgmlx.system import debug_log
path = Path(sys.argv[1]) / debug_log.NAME
assert debug_log.begin(path.parent) == ""
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, resource.RLIM_INFINITY))
for number in range(20):
    RgmlxError("lost %d" % number)
    logging.getLogger("rgmlx.x").debug("lost %s", "x" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
RgmlxError("kept")
print("done")
"""


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    done = warm.run(
        ["-c", _FULL, str(tmp_path)],
        env=os.environ | {variables.LOG: "debug"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
    assert "kept" in (tmp_path / debug_log.NAME).read_text()
