"""`rgmlx read`: what comes through a pipe or from a file is read once, whatever ends the program, and questions are answered."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from readings import write_model
from rooms import ROOT
from test_cli import here, sentence, unread
from waiting import PATIENCE, wait_for

import rgmlx
from rgmlx.cli import watch
from rgmlx.cli.watch import Every, Watch
from rgmlx.reading.files import ReadingFiles
from rgmlx.reading.reader import Reader
from rgmlx.reading.source import BLOCK, Source

LOG = "".join(f"{n:03} GET /page/{n * 37 % 100} took {n * 7 % 90} ms\n" for n in range(400))
ANSWER = ("--max-tokens", "4", "--seed", "1", "--temperature", "1")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where readings are in these tests."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    from rgmlx.reading.files import directory

    assert directory().is_relative_to(tmp_path)
    return directory()


class Read:
    """`rgmlx read` in this process, with an input of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
        self._capsys, self._monkeypatch, self._model = capsys, monkeypatch, str(model)

    def __call__(self, *arguments: str, given: Path | bytes | None = None) -> subprocess.CompletedProcess[str]:
        """`given`: a file, what comes through a pipe, or nothing."""
        with contextlib.ExitStack() as stack:
            if isinstance(given, bytes):
                inlet, outlet = os.pipe()
                writer = threading.Thread(target=_write, args=(outlet, given))
                writer.start()
                stack.callback(writer.join)
                file: IO[Any] = stack.enter_context(open(inlet, encoding="utf-8"))
            else:
                file = stack.enter_context(open(os.devnull if given is None else given, encoding="utf-8"))
            self._monkeypatch.setattr(sys, "stdin", file)
            return here(self._capsys, "read", *arguments)

    def well(self, *arguments: str, given: Path | bytes | None = None) -> subprocess.CompletedProcess[str]:
        """The same, which works, with the small model."""
        out = self(*arguments, "--model", self._model, given=given)
        assert out.returncode == 0, out.stderr
        return out


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as file:
        file.write(data)


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, directory: Path) -> Read:
    return Read(capsys, monkeypatch, directory)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(LOG)
    return path


def stats(out: subprocess.CompletedProcess[str]) -> tuple[int, int, int]:
    """Bytes that were read, had been before, and were passed over."""
    found = re.search(r"\(([\d,]+) bytes\) in .* \(([\d,]+) bytes\) before", out.stderr)
    assert found, out.stderr
    skipped = re.search(r"passed over ([\d,]+) bytes", out.stderr)
    texts = (found[1], found[2], skipped[1] if skipped else "0")
    return tuple(int(text.replace(",", "")) for text in texts)  # type: ignore[return-value]


def reading(model: Path, name: str = "watch") -> Reader:
    return rgmlx.load(model).read(name, read_only=True)


# --- once ---------------------------------------------------------------------------------


def test_a_text_is_read_and_asked_about(read: Read, log: Path, directory: Path, data: Path) -> None:
    out = read.well("What", "is it?", *ANSWER, given=log)
    made = rgmlx.load(directory).read()
    made.feed(LOG)
    assert out.stdout == made.ask("What is it?", max_tokens=4, seed=1, temperature=1) + "\n" and out.stderr == ""
    assert read.well("What is it?", *ANSWER, given=LOG.encode()).stdout == out.stdout
    several = read.well("--ask", "What is it?", "--ask", "What is it?", *ANSWER, "--stats", given=log)
    assert several.stdout == 2 * out.stdout
    assert stats(several) == (len(LOG), 0, 0)
    at = made.horizon()
    assert f"the last 32 tokens are remembered exactly: from line {at.line:,} of 400 on" in several.stderr
    assert f"{at.gist:,} tokens before them in gist" in several.stderr
    assert not data.exists(), "without a session something is on the disk"


def test_a_file_may_be_named(read: Read, log: Path) -> None:
    asked = read.well("What is it?", *ANSWER, given=log)
    assert read.well("What is it?", *ANSWER, "-f", str(log)).stdout == asked.stdout
    assert read.well("What is it?", *ANSWER, "-f", "-", given=log).stdout == asked.stdout
    assert stats(read.well("--session", "w", "--stats", "-f", str(log))) == (len(LOG), 0, 0)
    with log.open("a") as file:
        file.write("one more\n")
    assert stats(read.well("--session", "w", "--stats", "-f", str(log)))[0] == len("one more\n"), "read again"


REFUSED: dict[str, tuple[tuple[str, ...], bytes | None, str]] = {
    "nothing": ((), None, "there is nothing to read: give a text on standard input"),
    "nothing by that name": (("--session", "w", "Who?"), None, "there is nothing to read"),
    "no text": (("Who?",), b"", "nothing was read yet"),
    "binary": (("Who?",), b"\x7fELF\0\0\0", "standard input is not text"),
    "no such file": (("-f", "PLACE/none", "Who?"), b"a", "none can't be read: No such file"),
    "a folder": (
        ("-f", "PLACE", "Who?"),
        b"a",
        "can't be read (it is a directory, not a file): read it through a pipe",
    ),
    "a file without a name": (("-f", " ", "Who?"), b"a", "the name of a file is empty: name one after -f"),
    "a file that is no text": (("-f", "PLACE/elf", "Who?"), b"a", "elf is not text: give one that is UTF-8 text"),
    "an interval without a question": (("--every", "5m"), b"a", "--every needs a question"),
    "an empty question": (("--ask", " "), b"a", "--ask has an empty question"),
    "a bad name": (("--session", "a\nb", "Who?"), b"a", "name has"),
    "notes of nothing": (("--notes",), b"", "--notes needs --session"),
    "notes of nobody": (("--notes", "--session", "w"), b"", "there is no session “w”"),
    "delete nobody": (("--delete", "w"), b"", "there is no session “w”"),
    "a setting": (("Who?", "--temperature", "-1"), b"a", "temperature must be"),
    "a number": (("Who?", "--notes-every", "0"), b"a", "notes_every must be 1 or more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_done_is_one_sentence(name: str, read: Read, directory: Path, tmp_path: Path) -> None:
    arguments, given, why = REFUSED[name]
    (tmp_path / "elf").write_bytes(b"\x7fELF\0\0\0")
    arguments = tuple(word.replace("PLACE", str(tmp_path)) for word in arguments)
    assert why in sentence(read(*arguments, "--model", str(directory), given=given))


def test_a_directory_is_no_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Descriptor(ROOT))
    assert "standard input can't be read: Is a directory" in sentence(here(capsys, "read", "Who?"))


class Descriptor:
    """An open file of any kind, as `sys.stdin`."""

    def __init__(self, path: Path | str) -> None:
        number = os.open(path, os.O_RDONLY | os.O_NOCTTY)
        self.fileno = lambda: number
        weakref.finalize(self, os.close, number)


def test_help_has_examples(read: Read) -> None:
    out = read("--help")
    assert (
        out.returncode == 0 and 'tail -f app.log | rgmlx read --session watch --every 5m "What changed?"' in out.stdout
    )


INTERVALS = {
    "30s": Every(seconds=30),
    "5m": Every(seconds=300),
    "1h": Every(seconds=3_600),
    "2d": Every(seconds=172_800),
    "1.5h": Every(seconds=5_400),
    "10k": Every(tokens=10_000),
    "0.5k": Every(tokens=500),
}


def test_intervals_are_times_or_tokens(read: Read) -> None:
    assert {text: watch.every(text) for text in INTERVALS} == INTERVALS
    for text in ("", "5", "0m", "5 m", "m", "1e3s", "5M", "999999d", "nans", "½h"):
        out = read("--every", text, "Who?", given=b"a")
        assert out.returncode == 2 and "is no interval" in out.stderr, text


# --- sessions -----------------------------------------------------------------------------


def test_a_file_that_grows_is_read_from_where_its_reading_ended(
    read: Read, log: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ("--session", "watch", "--stats")
    log.write_text(LOG[:5_001])
    assert stats(read.well(*session, given=log)) == (5_001, 0, 0)
    log.write_text(LOG)
    assert stats(read.well(*session, given=log)) == (len(LOG) - 5_001, 5_001, 5_001)
    out = read.well(*session, "Who?", *ANSWER, given=log)
    assert stats(out) == (0, len(LOG), len(LOG)) and out.stdout.strip() and "rotated" not in out.stderr
    assert stats(read.well(*session, given=LOG.encode())) == (len(LOG), len(LOG), 0), "a pipe goes on"
    assert stats(read.well(*session, given=log)) == (0, 2 * len(LOG), len(LOG)), "a pipe is no part of a file"
    made = rgmlx.load(directory).read()
    made.feed(LOG + LOG)
    with reading(directory) as found:
        assert found.bytes_read == made.bytes_read
        assert found.ask("Who?", max_tokens=4, seed=1) == made.ask("Who?", max_tokens=4, seed=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("new\n" * 10, "shorter than what was read of it"),
        ("X" + LOG + "longer", "not the file that was read last"),
        ("Y" + LOG[1:] + "no end, longer", "not the file"),
    ],
)
def test_a_file_that_was_rotated_is_read_from_its_beginning(text: str, why: str, read: Read, log: Path) -> None:
    log.write_text(LOG + "no end")
    read.well("--session", "watch", given=log)
    log.write_text(text)
    out = read.well("--session", "watch", "--stats", given=log)
    assert stats(out) == (len(text), len(LOG) + 6, 0) and why in out.stderr
    with reading(Path(out.args[out.args.index("--model") + 1])) as made:
        assert made.lines_read == LOG.count("\n") + 1 + text.count("\n")  # what was open has an end
    assert stats(read.well("--session", "watch", "--stats", given=log))[2] == len(text)


def test_a_descriptor_that_stands_elsewhere_is_read_from_there(log: Path) -> None:
    with log.open("rb") as file:
        os.lseek(file.fileno(), 100, os.SEEK_SET)
        source = Source(file.fileno(), {"offset": 5, "digest": "x"})
        assert not source.notice and not source.skipped and source.read() == LOG[100 : 100 + BLOCK].encode()


@pytest.mark.parametrize(
    "bookmark",
    [
        None,
        1,
        {},
        {"offset": 3},
        {"offset": 9, "digest": ""},
        {"offset": -9, "digest": ""},
        {"offset": "9", "digest": ""},
        "x",
        [1],
    ],
)
def test_a_bookmark_of_others_is_none_of_a_file(bookmark: Any, log: Path) -> None:
    with log.open("rb") as file:
        assert not Source(file.fileno(), bookmark).skipped


def test_sessions_are_listed_and_deleted_and_their_notes_shown(read: Read, log: Path) -> None:
    assert read("--list").stdout == ""
    read.well("--session", "two words", given=log)
    read.well("--session", "watch", "--notes-every", "2048", given=log)
    rows = [line.split("\t") for line in read("--list").stdout.splitlines()]
    assert [row[0] for row in rows] == ["watch", "two words"] and rows[0][2] == f"{len(LOG):,} bytes"
    assert read("--names").stdout == "watch\ntwo words\n"  # for completion
    notes = read("--notes", "--session", "watch").stdout.splitlines()
    assert notes and all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d  lines 1 to \d+: .", line) for line in notes[:1])
    assert read("--notes", "no such thing", "--session", "watch").stdout == ""
    assert "nobody can be asked here whether to delete “watch”: add --yes" in sentence(read("--delete", "watch"))
    for name in ("watch", "two words"):
        assert read("--delete", name, "--yes").returncode == 0
    assert read("--list").stdout == ""


def test_sessions_in_another_directory(read: Read, log: Path, tmp_path: Path) -> None:
    elsewhere = ("--data", str(tmp_path / "elsewhere"))
    read.well("--session", "watch", *elsewhere, given=log)
    assert read("--list").stdout == "" and read("--list", *elsewhere).stdout.startswith("watch\t")
    assert sorted(one.name for one in (tmp_path / "elsewhere").iterdir()) == ["reading"]
    assert read("--session", "watch", "Who?", *elsewhere, *ANSWER).stdout.strip()
    assert "there is no session “watch”" in sentence(read("--notes", "--session", "watch"))
    assert read("--delete", "watch", "--yes", *elsewhere).returncode == 0
    assert read("--list", *elsewhere).stdout == ""


def test_a_session_knows_its_model(read: Read, log: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    name = os.path.relpath(directory)
    assert read("--session", "watch", "--model", name, given=log).returncode == 0
    os.chdir(log.parent)
    assert read("--session", "watch", "Who?", *ANSWER).returncode == 0
    assert "load it with the model it was saved with" in sentence(read("--session", "watch", "Who?", "--model", "demo"))


def test_a_terminal_only_asks(
    read: Read, log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read.well("--session", "watch", given=log)
    master, slave = pty.openpty()
    monkeypatch.setattr(sys, "stdin", Descriptor(os.ttyname(slave)))
    out = here(capsys, "read", "--session", "watch", "--stats", "Who?", *ANSWER)
    assert stats(out) == (0, len(LOG), 0) and out.stdout.strip()
    assert "there is nothing to read and no question" in sentence(here(capsys, "read", "--session", "watch"))
    os.close(master)
    os.close(slave)


# --- without an end -----------------------------------------------------------------------


class Piped:
    """`rgmlx read` in a process of its own, given text piece by piece."""

    def __init__(self, tmp_path: Path, model: Path, *arguments: str) -> None:
        self._out, self._err = tmp_path / "out", tmp_path / "err"
        command = [sys.executable, "-m", "rgmlx", "read", "--session", "watch", "--model", str(model), *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=ROOT)

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, count: int) -> list[str]:
        """Waits for so many answers."""
        wait_for(lambda: len(self.answers) >= count or self.process.poll() is not None, about=lambda: self.errors)
        return self.answers

    @property
    def answers(self) -> list[str]:
        return [line for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    @property
    def errors(self) -> str:
        return self._err.read_text()


@pytest.fixture
def piped(tmp_path: Path, directory: Path) -> Iterator[Any]:
    begun = []

    def begin(*arguments: str) -> Piped:
        begun.append(Piped(tmp_path, directory, *arguments))
        return begun[-1]

    yield begin
    for one in begun:
        with contextlib.suppress(BrokenPipeError):
            one.process.stdin.close()
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_watch_with_all_kept(number: signal.Signals, piped: Any, directory: Path) -> None:
    one = piped("--every", "1s", "What changed?", *ANSWER)
    one.write(LOG[:5_000])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  .*\n", one.wait(1)[0])
    before = len(one.answers)
    one.write(LOG[5_000:])
    one.wait(before + 1)
    one.write("half a line")
    wait_for(lambda: unread(one.process.stdin) == 0)
    one.process.send_signal(number)
    assert one.process.wait(PATIENCE) == 128 + number and one.errors == ""
    with reading(directory) as made:
        whole = rgmlx.load(directory).read()
        whole.feed(LOG + "half a line"[: made.bytes_read - len(LOG)])
        assert made.bytes_read >= len(LOG) and made._whole().unread == whole._whole().unread
        assert (made.position, made.horizon()) == (whole.position, whole.horizon())


def test_what_waits_is_on_the_disk_before_long_and_another_program_asks(
    piped: Any, read: Read, directory: Path
) -> None:
    """After `kill -9` too, although it is less than a chunk."""
    one = piped()
    one.write("one line\nand half")
    files = ReadingFiles("watch")
    wait_for(lambda: files.exist)
    assert read("--session", "watch", "Who?", *ANSWER).stdout.strip()
    assert "being read by another program" in sentence(read("--session", "watch", given=b"more"))
    one.write(" a line\n")
    with reading(directory) as first:
        assert first.bytes_read == 17
    wait_for(lambda: (files.path / "waiting.json").exists())
    one.process.kill()
    one.process.wait()
    with reading(directory) as made:
        assert made.bytes_read == 25
    assert stats(read.well("--session", "watch", "--stats", given=b"more\n"))[:2] == (5, 25)


def test_a_reader_that_goes_away_is_no_error(log: Path, directory: Path, tmp_path: Path) -> None:
    """`| head`: exit code 141, and what was read is kept."""
    inlet, outlet = os.pipe()
    os.close(inlet)
    command = [sys.executable, "-m", "rgmlx", "read", "--session", "watch", "--model", str(directory), "Who?", *ANSWER]
    with log.open("rb") as given:
        done = subprocess.run(command, stdin=given, stdout=outlet, stderr=subprocess.PIPE, cwd=ROOT, timeout=PATIENCE)
    os.close(outlet)
    assert (done.returncode, done.stderr) == (141, b"")
    with reading(directory) as made:
        assert made.bytes_read == len(LOG)


def test_no_more_is_taken_from_a_pipe_than_is_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, left = rgmlx.load(directory).read(), list[int]()
    inlet, outlet = os.pipe()
    feed = made.feed

    def watched(data: bytes, **options: Any) -> int:
        left.append(unread(pipe) + made.bytes_read + len(data))  # all that was written
        assert len(data) <= BLOCK
        return feed(data, **options)

    monkeypatch.setattr(made, "feed", watched)
    with open(inlet, "rb", buffering=0) as pipe:
        with open(outlet, "wb", buffering=0) as file:
            file.write((LOG * 4).encode())
        watching = Watch(made, Source(inlet), None, lambda: None, lambda: None)
        with watching.signals():
            watching.follow()
    assert set(left) == {4 * len(LOG)} and len(left) > 5 and made.bytes_read == 4 * len(LOG)


class Clock:
    """Time that passes when one waits for it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


class Script:
    """An input whose lines come at certain times, and whose end comes some time after the last.

    Attributes:
        told: when there were answers, in seconds from the beginning.
    """

    bookmark = None

    def __init__(self, clock: Clock, times: list[float]) -> None:
        self._clock, self._times, self._begun = clock, [*times], clock.now
        self._end = times[-1] + 50
        self.told: list[float] = []

    def ready(self, seconds: float | None, wake: int | None = None) -> bool:
        wait = self._begun + (self._times[0] if self._times else self._end) - self._clock.now
        self._clock.now += max(0.0, wait if seconds is None else min(wait, seconds))
        return wait <= 0 or seconds is None or wait <= seconds

    def read(self) -> bytes:
        if not self._times:
            return b""
        self._times.pop(0)
        return b"line\n"

    def answer(self) -> None:
        self.told.append(self._clock.now - self._begun)


SCHEDULES: dict[str, tuple[str, list[float], list[float]]] = {
    "each interval": ("10s", [1, 11, 21, 29], [10, 20, 30]),
    "nothing new": ("10s", [1, 35, 36], [10, 40]),
    "after a quiet time not at once": ("10s", [95, 96, 99], [100]),
    "all the time": ("10s", [n / 2 for n in range(1, 61)], [10, 20, 30]),
    "by tokens": ("0.01k", [float(n) for n in range(1, 14)], [5, 10]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_answers_come_when_something_is_new(name: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interval, times, told = SCHEDULES[name]
    clock = Clock()
    monkeypatch.setattr(watch.time, "monotonic", clock.monotonic)
    script = Script(clock, times)
    made = rgmlx.load(directory).read(chunk=8)
    watching = Watch(made, script, watch.every(interval), script.answer, lambda: None)  # type: ignore[arg-type]
    with watching.signals():
        watching.follow()
    assert script.told == told
