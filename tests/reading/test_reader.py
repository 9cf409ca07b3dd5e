"""A text without an end: read as if at once, asked without a trace, gone on with after whatever ended the program."""

from __future__ import annotations

import gc
import itertools
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import warm
from readings import WINDOW, write_model
from rooms import ROOT, TESTS
from waiting import wait_for

import rgmlx
from rgmlx.errors import IncompleteError, RgmlxError, StateError, TokenizerError
from rgmlx.generation.engine import prefill
from rgmlx.reading import files, notes, reader
from rgmlx.reading.files import ReadingFiles, listed
from rgmlx.reading.notes import Note, Notes
from rgmlx.reading.place import SLICE, Place
from rgmlx.reading.reader import Reader
from rgmlx.reading.units import MAX_UNIT
from rgmlx.tokenizer import close_turn_ids, open_turn_ids

CHUNK = 64
LINES = [f"{n} the quick brown fox {'jumped ' * (n % 5)}over {n * 7 % 100} dogs\n" + "\n" * (n % 3) for n in range(120)]
TEXT = "".join(LINES)
LONG = TEXT * 3


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def small(directory: Path) -> rgmlx.Model:
    return rgmlx.load(directory)


def fed(model: rgmlx.Model, *pieces: str | bytes, name: str | None = None, where: Path | None = None) -> Reader:
    """A reader that was given these pieces; it is not closed."""
    made = model.read(name, directory=where, chunk=CHUNK)
    for piece in pieces:
        assert made.feed(piece) == len(piece if isinstance(piece, bytes) else piece.encode())
    return made


def data(state: rgmlx.State) -> bytes:
    """All that is in a state."""
    arrays = b"".join(np.array(a.reshape(-1).view(mx.uint8)).tobytes() for a in state.arrays())
    return arrays + json.dumps([state.positions, [list(r) for r in state.recent]]).encode()


def taken(made: Reader) -> list[int]:
    """The ids that wait, those of the last line too."""
    return list(made._whole().unread)


def framed(model: rgmlx.Model, text: str) -> list[int]:
    tokenizer = model.text_tokenizer()
    return [tokenizer.bos, *open_turn_ids(tokenizer, "Here is a text:\n\n"), *tokenizer.encode(text)]


def same(one: Reader, other: Reader) -> bool:
    """Whether they are at the same place, byte for byte."""
    return data(one.state) == data(other.state) and taken(one) == taken(other) and one.horizon() == other.horizon()


# --- reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1_000, 10**6])
def test_pieces_are_read_as_the_whole_text_at_once(size: int, small: rgmlx.Model) -> None:
    made = fed(small, *(TEXT[i : i + size] for i in range(0, len(TEXT), size)))
    ids, state = framed(small, TEXT), small.new_state()
    read = len(ids) // CHUNK * CHUNK
    assert made.position in (read, read - CHUNK) and made.position > 1_000
    assert made.position + made.waiting == len(ids)
    for start in range(0, made.position, CHUNK):
        prefill(small, state, [ids[start : start + CHUNK]])
    assert data(made.state) == data(state)
    assert taken(made) == ids[made.position :]
    assert (made.bytes_read, made.lines_read) == (len(TEXT), TEXT.count("\n"))


def test_the_chunks_of_the_reader_are_whole_chunks_of_the_engine(small: rgmlx.Model) -> None:
    made, state = small.read(chunk=512), small.new_state()
    made.feed(TEXT)
    prefill(small, state, [framed(small, TEXT)[: made.position]])  # in chunks of 256
    assert made.position >= 512 and data(made.state) == data(state)


def test_a_question_finds_all_that_was_taken_and_leaves_no_trace(small: rgmlx.Model) -> None:
    made = fed(small, TEXT, "a last line")
    before = data(made.state), taken(made)
    ids = [*framed(small, TEXT + "a last line"), *close_turn_ids(small.text_tokenizer(), "\n\nWhat was it?")]
    whole = small.generate(ids, max_tokens=12, temperature=0)
    assert made.ask("What was it?", max_tokens=12, temperature=0) == whole
    assert "".join(made.stream(" What was it? ", max_tokens=12, temperature=0)) == whole
    assert (data(made.state), taken(made)) == before
    made.feed("\nand on\n" * 40)
    assert same(made, fed(small, TEXT, "a last line", "\nand on\n" * 40))


def test_an_answer_that_breaks_off_leaves_no_trace(small: rgmlx.Model) -> None:
    made = fed(small, TEXT)
    before = data(made.state)
    pieces = made.stream("Who?", temperature=1, seed=3)
    next(pieces)
    made.feed(TEXT)  # meanwhile the reading may go on
    assert same(made, fed(small, TEXT, TEXT))
    pieces.close()
    assert data(made.state) != before
    assert same(made, fed(small, TEXT, TEXT))


@pytest.mark.parametrize("seed", [1, 2])
def test_settings_are_those_of_the_reader_or_of_the_question(seed: int, small: rgmlx.Model) -> None:
    made = small.read(temperature=1, seed=seed)
    made.feed(TEXT)
    answer = made.ask("Who?", max_tokens=8)
    assert answer == made.ask("Who?", max_tokens=8) == made.ask("Who?", max_tokens=8, seed=seed)
    assert answer != made.ask("Who?", max_tokens=8, seed=9)


def test_the_demo_reads_and_answers(demo: rgmlx.Model) -> None:
    with demo.read(intro="") as made:
        made.feed("The blue key is in the kitchen.\n")
        made.feed("Anna went to the market and bought a lamp.\n")
        assert made.position == 0 < made.waiting < 40
        assert "lamp" in made.ask("What did Anna buy?", temperature=0, max_tokens=20)
        thing = {"type": "object", "properties": {"bought": {"enum": ["lamp", "key"]}}, "required": ["bought"]}
        assert made.ask("What did Anna buy?", schema=thing, temperature=0) in ({"bought": "lamp"}, {"bought": "key"})
        assert made.ask("What did Anna buy?", choices=["lamp", "key"], temperature=0) in ("lamp", "key")
        with pytest.raises(IncompleteError) as cut:
            made.ask("What did Anna buy?", schema=thing, max_tokens=2)
        assert '{"bought": "lamp"}'.startswith(cut.value.text.strip())


def test_what_can_not_be_is_a_sentence(small: rgmlx.Model, tiny: rgmlx.Model) -> None:
    made = small.read()
    with pytest.raises(RgmlxError, match="feed a text first"):
        made.ask("Who?")
    made.feed("a")
    with pytest.raises(RgmlxError, match="the question is empty"):
        made.ask(" \n")
    with pytest.raises(RgmlxError, match="no sampling setting 'hot'"):
        made.ask("Who?", hot=1)
    with pytest.raises(RgmlxError, match="no sampling setting 'hot'"):
        small.read(hot=1)
    with pytest.raises(RgmlxError, match="1 or more"):
        small.read(chunk=0)
    with pytest.raises(RgmlxError, match="bookmark"):
        made.feed("b", bookmark={1, 2})
    with pytest.raises(RgmlxError, match="bookmark"):
        made.feed("b", bookmark="x" * 20_000)
    assert made.bytes_read == 1
    with pytest.raises(TokenizerError, match="no tokenizer"):
        tiny.read()


# --- bytes --------------------------------------------------------------------------------

BAD = {
    "nul": (b"a\0b\n", "a\ufffdb\n", 1),
    "not utf-8": (b"caf\xe9 \xff\xfe!\n", "caf\ufffd \ufffd\ufffd!\n", 3),
    "half a character": (b"\xf0\x9f\xa6 x", "\ufffd x", 1),
    "a byte order mark": (b"\xef\xbb\xbfone\n", "one\n", 0),
    "crlf": (b"one\r\n\r\ntwo\r\n", "one\n\ntwo\n", 0),
    "cr": (b"one\rtwo\r\r\nthree", "one\ntwo\n\nthree", 0),
    "utf-16": ("\ufeffnaïve 🦊\r\n".encode("utf-16-le"), "naïve 🦊\n", 0),
    "utf-16, the other": ("\ufeffnaïve 🦊\n".encode("utf-16-be"), "naïve 🦊\n", 0),
    "controls": (b"\x1b[31mred\x1b[0m \x07\n", "\x1b[31mred\x1b[0m \x07\n", 0),
    "a character across": ("🦊é".encode(), "🦊é", 0),
}


@pytest.mark.parametrize("name", BAD)
def test_bytes_are_text_whatever_they_are(name: str, small: rgmlx.Model) -> None:
    given, text, replaced = BAD[name]
    whole, single = fed(small, given), fed(small, *(given[i : i + 1] for i in range(len(given))))
    for made in (whole, single):
        made.end_input()
        ended = text if text.endswith("\n") else text + "\n"
        assert taken(made) == framed(small, ended)
        assert (made.bytes_read, made.replaced, made.lines_read) == (len(given), replaced, ended.count("\n"))


def test_the_end_of_an_input_ends_its_line_and_its_encoding(small: rgmlx.Model) -> None:
    made = fed(small, "\ufeffone".encode("utf-16-le"))
    assert made.feed(" more") == 10  # bytes, as they would be in this input
    made.end_input()
    made.end_input()
    made.feed("\ufefftwo\r")
    made.feed("\nthree\n")
    assert taken(made) == framed(small, "one more\ntwo\nthree\n")


def test_lone_surrogates_are_question_marks(small: rgmlx.Model) -> None:
    assert taken(fed_any(small, "a\ud83eb")) == framed(small, "a?b")


def fed_any(model: rgmlx.Model, text: str) -> Reader:
    made = model.read(chunk=CHUNK)
    made.feed(text)
    return made


# --- bounds -------------------------------------------------------------------------------


def held(made: Reader) -> tuple[int, int, int]:
    place = made._place
    return len(place.text), len(place.unread), len(place.marks)


def test_what_is_held_does_not_grow(small: rgmlx.Model, tmp_path: Path) -> None:
    """Beside the state, whose size never changes."""
    made = small.read("long", directory=tmp_path, chunk=1_024)
    size, sizes = made.state_nbytes, set()
    for part in (TEXT, "no end of it 12345 " * 1_000, "x" * 15_000, "\n" * 10_000, "a\n" * 2_000):
        made.feed(part)
        text, unread, marks = held(made)
        assert text <= MAX_UNIT and unread < 1_024 and marks <= WINDOW + 1
        made.save()
        assert made.state_nbytes == size
        sizes.add(made.disk_nbytes // 50_000)
    assert sizes <= {1, 0}, "the files grow"
    assert made.position > 5_000
    made.close()


def test_a_line_of_ten_megabytes_is_held_in_parts(small: rgmlx.Model) -> None:
    """Without the model, which would take its time: every unit is one id here, and read at once."""
    place, line, most = Place(small.new_state(), (), mark=reader.Mark(0, 0, 0)), b"0123456789 abcd " * 640_000, 0
    for start in range(0, len(line), SLICE):
        place = place.taken(line[start : start + SLICE]).tokenized(lambda unit: [len(unit)], 2**62, WINDOW)
        assert all(n <= MAX_UNIT for n in place.unread)
        place = place.read(place.state, len(place.unread))
        most = max(most, len(place.text), len(place.marks), len(json.dumps(place.to_json())))
    assert place.size == len(line) == 10_240_000 and most < 3 * MAX_UNIT


# --- the horizon --------------------------------------------------------------------------


def test_the_horizon_says_what_is_exact(small: rgmlx.Model) -> None:
    made = fed(small, TEXT[:60])
    at = made.horizon()
    assert (at.gist, at.line, at.byte) == (0, 1, 0) if at.exact < WINDOW else at.exact == WINDOW
    made = fed(small)
    encode, lines = small.text_tokenizer().encode, 0
    for line in LINES[:60]:
        made.feed(line)
        lines += line.count("\n")
        at, text = made.horizon(), TEXT[: made.bytes_read]
        assert (at.bytes, at.lines) == (made.bytes_read, lines)
        assert at.exact + at.gist == len(framed(small, text)) and at.exact <= WINDOW
        exact = text[at.byte :]
        assert at.line == text[: at.byte].count("\n") + 1
        assert len(encode(exact)) <= at.exact, "more is said to be exact than is"
        if at.gist > len(framed(small, "")):  # and not a unit less
            before = text[: at.byte].rstrip("\n").rpartition("\n")[2]
            assert len(encode(before + "\n" + exact)) > at.exact - 1


# --- on the disk --------------------------------------------------------------------------


def test_a_reading_goes_on_where_it_was(small: rgmlx.Model, tmp_path: Path) -> None:
    whole = fed(small, TEXT)
    at = 0
    for part in (1, 300, 1_700, 1_703, 4_000, len(TEXT)):
        with small.read("watch", directory=tmp_path, chunk=CHUNK) as made:
            assert made.bytes_read == at
            made.feed(TEXT[at:part], bookmark={"at": part})
            at = part
        assert not made.unsaved
    with small.read("watch", directory=tmp_path, chunk=CHUNK) as made:
        assert same(made, whole) and made.bookmark == {"at": len(TEXT)}
        assert (made.name, made.bytes_read, made.lines_read) == ("watch", len(TEXT), whole.lines_read)
    assert [(one.name, one.tokens, one.bytes) for one in listed(tmp_path)] == [("watch", made._place.tokens, len(TEXT))]


def test_a_reader_that_is_not_closed_is_saved_all_the_same(small: rgmlx.Model, directory: Path, tmp_path: Path) -> None:
    """When nobody has it any more, and when the program ends, by an error too."""
    made = small.read("dropped", directory=tmp_path)
    made.feed("one\n")
    del made
    gc.collect()
    code = f"""
import mlx.core as mx
mx.set_default_device(mx.cpu)
import rgmlx
reader = rgmlx.load({str(directory)!r}).read("ended", directory={str(tmp_path)!r})
reader.feed("one\\n")
raise SystemExit(3)
"""
    done = warm.run(["-c", code])
    assert (done.returncode, done.stderr) == (3, "")
    for name in ("dropped", "ended"):
        with small.read(name, directory=tmp_path) as made:
            assert made.bytes_read == 4
        with pytest.raises(RgmlxError, match="was closed"):
            made.feed("more")
        made.close()
        assert made.ask("Who?", max_tokens=2) is not None


def test_a_character_and_a_line_end_may_be_cut_by_a_restart(small: rgmlx.Model, tmp_path: Path) -> None:
    given = "é\r\n🦊\r\r\n".encode()
    for i in range(len(given)):
        with small.read("cut", directory=tmp_path, chunk=CHUNK) as made:
            made.feed(given[i : i + 1])
    assert taken(made) == framed(small, "é\n🦊\n\n")


KILLED = """
import os, signal, sys
import mlx.core as mx
import rgmlx, rgmlx.model
from rgmlx.reading import files, reader
from rgmlx.system import files as system_files, textfiles
from test_reader import CHUNK, LONG

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def at_call(module, name, number, before):
    real, calls = getattr(module, name), [0]
    def run(*a, **k):
        calls[0] += 1
        if before and calls[0] == number:
            die()
        found = real(*a, **k)
        if calls[0] == number:
            die()
        return found
    setattr(module, name, run)

model, where = sys.argv[1:]
for what in sys.stdin:  # a process each, forked before MLX has begun to work
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    mx.set_default_device(mx.cpu)
    with rgmlx.load(model).read("watch", directory=where, chunk=CHUNK) as made:
        eval(f"at_call({what})")
        while made.bytes_read < len(LONG):
            made.feed(LONG[made.bytes_read : made.bytes_read + 333])
            made.save()
    os._exit(0)
"""
MOMENTS = {
    "before a chunk is read": 'reader, "prefill", 9, True',
    "after a chunk, before it is saved": 'reader, "prefill", 9, False',
    "before a state has its name": 'os, "replace", 5, True',
    "before a state is written": 'reader.ReadingFiles, "save", 4, True',
    "after a state is written, beside what waited": 'files, "save_states", 4, False',
    "while a state is written": 'system_files, "flush", 6, True',
    "while what waits is written": 'textfiles, "flush", 3, True',
    "after what waits is written": 'reader.ReadingFiles, "save_waiting", 3, False',
}


def test_a_killed_program_goes_on_as_one_that_was_not(small: rgmlx.Model, directory: Path, tmp_path: Path) -> None:
    """All moments one after the other, on the same reading, each later than the one before."""
    last = 0
    path = os.pathsep.join([str(TESTS / "reading"), str(TESTS), str(ROOT)])
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(directory), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    for what in MOMENTS.values():
        print(what, file=killed.stdin, flush=True)
        assert killed.stdout.readline() == f"{-signal.SIGKILL}\n", what
        before, last = last, ReadingFiles("watch", tmp_path).summary().tokens
        assert last > before or "prefill" in what, "it was killed before it got anywhere"
        with small.read("watch", directory=tmp_path, chunk=CHUNK) as made:
            made.feed("")  # a chunk may have been known, and not read
            assert same(made, fed(small, LONG[: made.bytes_read])), what
    killed.communicate()
    assert made.bytes_read < len(LONG)
    with small.read("watch", directory=tmp_path, chunk=CHUNK) as made:
        made.feed(LONG[made.bytes_read :])
        assert same(made, fed(small, LONG))
    left = [path.name for path in (tmp_path / "watch").iterdir() if path.is_file()]
    assert sorted(left) in (["state.rgstate"], ["state.rgstate", "waiting.json"]), "something was left behind"


def test_ctrl_c_anywhere_loses_nothing_and_reads_nothing_twice(
    small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = reader.prefill, 0

    def prefill_until_interrupted(*arguments: Any, **options: Any) -> int:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise KeyboardInterrupt
        read = real(*arguments, **options)
        if calls % 5 == 0:
            raise KeyboardInterrupt
        return read

    monkeypatch.setattr(reader, "prefill", prefill_until_interrupted)
    made, interrupts = small.read(chunk=CHUNK), 0
    while made.bytes_read < len(TEXT):
        try:
            made.feed(TEXT[made.bytes_read : made.bytes_read + 700])
        except KeyboardInterrupt:
            interrupts += 1
    monkeypatch.undo()
    made.feed("")
    assert interrupts > 5 and same(made, fed(small, TEXT))


def test_stop_ends_a_feed_from_another_thread(small: rgmlx.Model, tmp_path: Path) -> None:
    made = small.read("watch", directory=tmp_path, chunk=CHUNK)
    text, counts = TEXT * 300, list[int]()
    feeding = threading.Thread(target=lambda: counts.append(made.feed(text)))
    feeding.start()
    wait_for(lambda: made.position > CHUNK)
    with pytest.raises(RgmlxError, match="another thread is feeding"):
        made.feed("x")
    answer = made.ask("Who?", max_tokens=3) or "nothing"  # may be asked meanwhile
    while feeding.is_alive():
        made.stop()
        feeding.join(0.01)
    assert answer and counts[0] == made.bytes_read < len(text)
    made.close()
    with small.read("watch", directory=tmp_path, chunk=CHUNK) as again:
        again.feed("")
        assert same(again, fed(small, text[: again.bytes_read]))


def test_a_stop_that_comes_first_loses_no_piece(small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been taken from a pipe by then."""
    made = small.read(chunk=CHUNK)
    monkeypatch.setattr(made._stopped, "clear", made._stopped.set)
    for start in range(0, len(TEXT), 700):
        assert made.feed(TEXT[start : start + 700]) == len(TEXT[start : start + 700])
    assert made.position == 0 and made.bytes_read == len(TEXT)
    assert made.feed("x" * 10 * SLICE) == SLICE and made.feed("x") == 0, "what is held grows"
    monkeypatch.undo()
    made.feed("")
    assert same(made, fed(small, TEXT + "x" * SLICE))


def test_a_full_disk_stops_no_reading(small: rgmlx.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = small.read("watch", directory=tmp_path, chunk=CHUNK)
    made.feed(TEXT[:500])

    def full(*_: object) -> None:
        raise StateError("no room")

    monkeypatch.setattr(files, "save_states", full)
    with pytest.raises(StateError, match="no room"):
        made.feed(TEXT[500:2_000])
    assert made.bytes_read == 2_000 and same(made, fed(small, TEXT[:2_000])) and made.unsaved
    monkeypatch.undo()
    made.feed(TEXT[2_000:])
    made.close()
    with small.read("watch", directory=tmp_path, read_only=True) as again:
        assert same(again, fed(small, TEXT))


# --- names and other programs -------------------------------------------------------------


def test_one_reads_and_others_ask(small: rgmlx.Model, tmp_path: Path) -> None:
    with pytest.raises(RgmlxError, match="nothing to ask about"):
        small.read("watch", directory=tmp_path, read_only=True)
    with small.read("watch", directory=tmp_path, chunk=CHUNK) as made:
        made.feed(TEXT)
        made.save()
        with pytest.raises(RgmlxError, match="“watch” is being read by another program"):
            small.read("watch", directory=tmp_path)
        with pytest.raises(RgmlxError, match="being read by another"):
            ReadingFiles("watch", tmp_path).delete()
        with small.read("watch", directory=tmp_path, read_only=True) as other:
            assert same(other, made)
            assert other.ask("Who?", max_tokens=4, seed=1) == made.ask("Who?", max_tokens=4, seed=1)
            with pytest.raises(RgmlxError, match="for questions only"):
                other.feed("x")
            other.save()
        made.feed("more\n")
    with small.read("watch", directory=tmp_path) as made:
        assert made.bytes_read == len(TEXT) + 5


def test_an_introduction_is_kept(small: rgmlx.Model, tmp_path: Path) -> None:
    with small.read("log", directory=tmp_path, intro="This is a log:") as made:
        made.feed("one\n")
        assert small.text_tokenizer().decode(taken(made)) == "user\nThis is a log:\n\none\n"
    with small.read("log", directory=tmp_path) as made:
        assert made.intro == "This is a log:"
    with pytest.raises(RgmlxError, match="another introduction"):
        small.read("log", directory=tmp_path, intro="Another:")
    small.read("log", directory=tmp_path, intro="This is a log: ").close()


NAMES = ["watch", "Watch", "WATCH", "../up", "a/b", "..", ".", "a b", "日誌", "%41", "A", "e\u0301t\u00e9", "con", "-x"]


def test_any_name_is_a_directory_of_its_own(tmp_path: Path) -> None:
    folders = [ReadingFiles(name, tmp_path).path for name in NAMES]
    assert len({str(path).lower() for path in folders}) == len(NAMES)
    assert all(path.parent == tmp_path and re.fullmatch(r"[a-z0-9_%-]+", path.name) for path in folders)
    assert ReadingFiles("\u00e9t\u00e9").path == ReadingFiles("e\u0301te\u0301").path


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "x" * 201, "日" * 30, "\u202eabc"])
def test_what_can_be_no_name_is_refused(name: str, small: rgmlx.Model, tmp_path: Path) -> None:
    with pytest.raises(RgmlxError, match="name has"):
        small.read(name, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_all_files_are_the_users_alone(small: rgmlx.Model, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = small.read("watch", directory=tmp_path / "new", chunk=CHUNK, notes_every=8 * CHUNK)
        made.feed(TEXT[:2_000])
        made.save()
        made.feed("a")
        made.save()
    finally:
        os.umask(before)
    names = {str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert {name: mode for name, mode in names.items() if mode not in (0o600, 0o700)} == {}
    assert {"new/watch/state.rgstate", "new/watch/waiting.json", "new/watch/notes.jsonl"} <= set(names)
    made.close()


def change_record(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    from rgmlx.griffin.state import load_states, save_states

    owner = rgmlx.load(path.parent.parent / "model")
    states, extra = load_states(path, owner)
    change(extra["reading"])
    save_states(path, states, extra)


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "newer": (lambda r: r.update(version=2), "newer rgmlx"),
    "another format": (lambda r: r.update(format="x"), "not the state of a reading"),
    "no text": (lambda r: r.pop("text"), "is damaged: .*--delete"),
    "an id outside": (lambda r: r["unread"].append(10**6), "is damaged"),
    "a huge text": (lambda r: r.update(text="x" * 10**6), "is damaged"),
    "marks": (lambda r: r.update(marks=[[1]]), "is damaged"),
    "mark": (lambda r: r.update(mark=[1, -1, 0]), "is damaged"),
    "decoder": (lambda r: r.update(decoder=["latin-1", "", 0]), "is damaged"),
    "half a decoder": (lambda r: r.update(decoder=["utf-8", "x", 0]), "is damaged"),
    "bytes": (lambda r: r.update(bytes="12"), "is damaged"),
}


def test_damage_is_a_sentence(small: rgmlx.Model, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(directory)
    path = tmp_path / "watch" / "state.rgstate"
    with small.read("watch", directory=tmp_path, chunk=CHUNK) as made:
        made.feed(TEXT)
    good, later = path.read_bytes(), (path.parent / "waiting.json").read_bytes()
    (path.parent / "waiting.json").unlink()
    for change, sentence in DAMAGES.values():
        path.write_bytes(good)
        change_record(path, change)
        with pytest.raises(StateError, match=sentence):
            small.read("watch", directory=tmp_path)
    for bad in (b"", good[:-5], good[:200], good[:-9] + b"x" + good[-8:], b"\0" * 99):
        path.write_bytes(bad)
        with pytest.raises(StateError):
            small.read("watch", directory=tmp_path)
    path.write_bytes(good)
    for bad in (
        b"",
        b"{",
        b"[]",
        b'{"of": 1}',
        b"\xff",
        later.replace(b'"text": "', b'"text": 1, "x": "'),
    ):  # what waits is lost then, and no more
        (path.parent / "waiting.json").write_bytes(bad)
        with small.read("watch", directory=tmp_path, read_only=True) as made:
            assert made.position > 0 and 0 < made.bytes_read <= len(TEXT)
    small.read("watch", directory=tmp_path).close()  # no refusal has kept the lock
    with pytest.raises(StateError, match="other weights"):
        rgmlx.load(write_model(tmp_path / "other", seed=1)).read("watch", directory=tmp_path)
    path.unlink()
    (path.parent / "waiting.json").write_text('{"of": ""}')
    with small.read("watch", directory=tmp_path) as made:
        assert made.bytes_read == 0


def test_a_reading_is_listed_and_deleted(small: rgmlx.Model, tmp_path: Path) -> None:
    assert listed(tmp_path) == []
    for name in ("one", "../Two"):
        with small.read(name, directory=tmp_path) as made:
            made.feed(TEXT[:100])
    small.read("empty", directory=tmp_path).close()  # nothing was read: nothing is there
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.rgstate").write_bytes(b"x")
    assert [one.name for one in listed(tmp_path)] == ["../Two", "one"]
    for name in ("one", "../Two", "broken"):
        ReadingFiles(name, tmp_path).delete()
        assert not ReadingFiles(name, tmp_path).path.exists()
    assert listed(tmp_path) == []


# --- notes --------------------------------------------------------------------------------


def test_the_model_takes_notes_that_can_be_searched(small: rgmlx.Model, tmp_path: Path) -> None:
    with small.read("watch", directory=tmp_path, chunk=CHUNK, notes_every=4 * CHUNK) as made:
        made.feed(TEXT)
        found = made.notes()
        assert [note.tokens for note in found] == list(range(4 * CHUNK, made.position + 1, 4 * CHUNK))
        assert all(0 < a.first <= a.last < b.first <= b.last for a, b in itertools.pairwise(found))
        assert same(made, fed(small, TEXT)), "notes leave a trace in the state"
        word = found[2].text.split()[0]
        assert found[2] in made.search(word.upper()) and made.search("no such thing anywhere") == []
    with small.read("watch", directory=tmp_path, read_only=True) as made:
        assert made.notes() == found


def test_notes_are_bounded_and_outlive_half_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_BYTES", 4_000)
    kept = Notes(tmp_path / "n.jsonl")
    for number in range(1, 200):
        kept.add(Note(1.0, number, number, number, f"note {number} of 日誌"))
        kept.add(Note(2.0, number, number, number, "the same place once more"))
        assert (tmp_path / "n.jsonl").stat().st_size <= 4_000
    assert not kept.search("once more")
    with (tmp_path / "n.jsonl").open("ab") as file:
        file.write(
            b'[1]\n{"time": 1}\n{"time": "x", "tokens": 1, "first": 1, "last": 1, "text": "t"}\n{"time": 3, "tok'
        )
    again = Notes(tmp_path / "n.jsonl")
    assert again.all() == kept.all()[-len(again.all()) :] and len(again.all()) > 10
    assert [note.tokens for note in again.search("NOTE 199 日")] == [199]


@pytest.fixture(autouse=True)
def nothing_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A test that forgets to name a directory fails by it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    yield
    assert not (tmp_path / "home").exists()
