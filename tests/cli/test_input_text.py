"""C16. Text that comes in is the same text whatever way it comes and however it is encoded; or it is refused.

A table of all ways in times all encodings: each has the effect that the text in plain UTF-8 has. And a table of what is
no text: one sentence each, and nothing is sent.
"""

from __future__ import annotations

import codecs
import io
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import warm
from test_plain import GatedSession, said, talk
from test_tokenizer import json_tokenizer

from rgmlx import cli
from rgmlx.convert import pipeline, recipe
from rgmlx.convert.open import open_source
from rgmlx.errors import RgmlxError
from rgmlx.generation.sampling import recommended
from rgmlx.griffin.config import ModelConfig
from rgmlx.store import USER, Store
from rgmlx.system.decoding import Decoder, LineReader, NotText, argument, decoded
from rgmlx.system.textfiles import read_text
from rgmlx.tokenizer import Tokenizer
from rgmlx.weights.hub import demo_directory
from tui.prompt.files import expand
from tui.settings import settings

TEXT = "Tell me of “Zoë”, 日本 and 🦊.\nThen stop.\n\nNow.\n"

MARKS = {
    "utf-8": b"",
    "utf-8-sig": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}
ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
ENCODINGS = [f"{mark} {end}" for mark in MARKS for end in ENDS]


def encoded(text: str, encoding: str) -> bytes:
    mark, end = encoding.split()
    return MARKS[mark] + text.replace("\n", ENDS[end]).encode(mark.removesuffix("-sig"))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_c16_decoded_at_once_and_in_pieces(encoding: str) -> None:
    data = encoded(TEXT, encoding)
    assert decoded(data) == TEXT
    for size in (1, 2, 3, 5, 7):
        decoder = Decoder()
        pieces = [decoder.feed(data[i : i + size]) for i in range(0, len(data), size)]
        assert "".join(pieces) + decoder.feed(b"", final=True) == TEXT
    assert decoded(encoded("", encoding)) == ""


def test_c16_any_text_in_any_pieces() -> None:
    draw = random.Random(5)
    letters = "a\n\r \ufeffé日🦊\u2028\x85"
    for _ in range(300):
        text = "".join(draw.choice(letters) for _ in range(draw.randrange(12)))
        want = text.replace("\r\n", "\n").replace("\r", "\n")
        mark = draw.choice([m for m in MARKS if m != "utf-8" or not text.startswith("\ufeff")])
        data, decoder = MARKS[mark] + text.encode(mark.removesuffix("-sig")), Decoder()
        cuts = sorted(draw.randrange(len(data) + 1) for _ in range(4))
        got = "".join(decoder.feed(data[a:b]) for a, b in itertools.pairwise([0, *cuts, len(data)]))
        assert got + decoder.feed(b"", final=True) == want, (mark, text)


WRONG = {
    "latin-1": b"na\xefve",
    "utf-8 cut off": "naï".encode()[:-1],
    "utf-8 of a surrogate": b"\xed\xa0\xbd",
    "utf-8, overlong": b"\xc0\xaf",
    "utf-16 cut off": codecs.BOM_UTF16_LE + "naïve".encode("utf-16-le")[:-1],
    "utf-16, half a pair": codecs.BOM_UTF16_BE + b"\xd8\x3d\x00A",
    "utf-16 without a mark": "naive".encode("utf-16-le"),
    "utf-32": "naïve".encode("utf-32"),
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "zeros": b"\0" * 100,
}


@pytest.mark.parametrize("what", WRONG)
def test_c16_what_is_no_text_is_refused(what: str) -> None:
    with pytest.raises(NotText):
        decoded(WRONG[what])


# --- every way in -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with the demo's tokenizer."""
    c = checkpoints.config(vocab_size=8192)
    where = checkpoints.write(tmp_path_factory.mktemp("source") / "model", c, checkpoints.weights(c))
    shutil.copy(demo_directory() / "tokenizer.model", where)
    return where


class Way:
    """What the test of a way in has at hand."""

    def __init__(self, place: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.place, self.source, self.monkeypatch, self.capsys = place, source, monkeypatch, capsys

    def file(self, name: str, data: bytes) -> Path:
        (self.place / name).write_bytes(data)
        return self.place / name

    def rgmlx(self, *arguments: str, data: bytes = b"") -> str:
        """What the command prints, with a small model."""
        stdin = io.TextIOWrapper(io.BytesIO(data))
        self.monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as left:
            cli.main([*arguments, "--model", str(self.source)])
        out = self.capsys.readouterr()
        if left.value.code:
            raise RgmlxError(out.err)
        return out.out


ASK = ("--temperature", "0", "--max-tokens", "12")


def ask_through_a_pipe(way: Way, data: bytes) -> Any:
    return way.rgmlx("ask", *ASK, data=data)


def ask_raw(way: Way, data: bytes) -> Any:
    return way.rgmlx("ask", "-", "--raw", *ASK, data=data)


def ask_an_argument(way: Way, data: bytes) -> Any:
    return way.rgmlx("ask", os.fsdecode(data), *ASK)


def ask_with_a_system_text(way: Way, data: bytes) -> Any:
    return way.rgmlx("ask", "Hello", "--system", os.fsdecode(data), *ASK)


def ask_about_a_pipe(way: Way, data: bytes) -> Any:
    return way.rgmlx("ask", "Who is it?", "-f", "-", *ASK, data=data)


def ask_about_a_file(way: Way, data: bytes) -> Any:
    return way.rgmlx("ask", "Who is it?", "-f", str(way.file("t.txt", data)), *ASK)


def compared_on(way: Way, data: bytes) -> Any:
    """`--text`: the rows of token ids that two models are compared on."""
    return pipeline.measuring_rows(open_source(way.source), str(way.file("t.txt", data)), 200)


def calibrated_with(way: Way, data: bytes) -> Any:
    """`--calibrate`: every byte of the result, and the sentences about it."""
    target = way.place / "out"
    job = pipeline.Job(
        str(way.source),
        target,
        recipe.RECIPES["4bit"],
        calibrate=str(way.file("t.txt", data)),
        verify=False,
        force=True,
    )
    list(pipeline.run(job, lambda *_: None))
    return [(target / name).read_bytes() for name in ("model.safetensors", "README.md")]


def mentioned(way: Way, data: bytes) -> Any:
    found = expand(f"@{way.file('t.txt', data)}")
    if found.problems:
        raise RgmlxError(found.problems[0])
    return found.text


def lines_of_a_pipe(way: Way, data: bytes) -> Any:
    way.monkeypatch.setattr("test_plain._pipe", lambda _: io.TextIOWrapper(io.BytesIO(data)))
    where = way.place / f"data{len(list(way.place.iterdir()))}"
    session = GatedSession(where)
    try:
        out = talk(session, "", way.capsys)
    except AssertionError:  # another exit code
        out = way.capsys.readouterr().out
        raise RgmlxError(next(line for line in out.splitlines() if "text" in line)) from None
    return out, [m.text for m in said(where) if m.role == USER]


TEXTS: list[Callable[[Way, bytes], Any]] = [
    ask_through_a_pipe,
    ask_raw,
    ask_an_argument,
    ask_with_a_system_text,
    ask_about_a_pipe,
    ask_about_a_file,
    compared_on,
    calibrated_with,
    mentioned,
    lines_of_a_pipe,
]


@pytest.fixture
def way(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Way:
    return Way(tmp_path, source, monkeypatch, capsys)


@pytest.mark.parametrize("enter", TEXTS, ids=lambda enter: enter.__name__)
def test_c16_every_way_in_and_every_encoding_give_the_same(way: Way, enter: Callable[[Way, bytes], Any]) -> None:
    text = TEXT * 4 if enter is calibrated_with else TEXT  # it takes some pages
    want = enter(way, text.encode())
    assert want
    for encoding in ENCODINGS:
        if enter in (ask_an_argument, ask_with_a_system_text) and "16" in encoding:
            continue  # an argument can't hold its zeros
        if enter is calibrated_with and not encoding.endswith("crlf"):
            continue  # it takes its time
        assert enter(way, encoded(text, encoding)) == want, encoding


@pytest.mark.parametrize("enter", TEXTS, ids=lambda enter: enter.__name__)
@pytest.mark.parametrize("what", ["latin-1", "utf-16 cut off", "zeros"])
def test_c16_every_way_in_refuses_what_is_no_text(way: Way, enter: Callable[[Way, bytes], Any], what: str) -> None:
    if enter in (ask_an_argument, ask_with_a_system_text) and b"\0" in WRONG[what]:
        return  # an argument can't hold it
    with pytest.raises(RgmlxError, match=r"not UTF-8 text|not a text file|not text"):
        enter(way, WRONG[what])


# --- files of settings --------------------------------------------------------------------


def config_json(way: Way, data: bytes) -> Any:
    return ModelConfig.from_file(way.file("config.json", data))


def generation_config(way: Way, data: bytes) -> Any:
    way.file("generation_config.json", data)
    return recommended(way.place)


def recipe_toml(way: Way, data: bytes) -> Any:
    return recipe.load(str(way.file("r.toml", data)))


def recipe_json(way: Way, data: bytes) -> Any:
    return recipe.load(str(way.file("r.json", data)))


def rgchat_toml(way: Way, data: bytes) -> Any:
    found, problems = settings.load(way.file("rgchat.toml", data))
    assert problems == []
    return found


def imported(way: Way, data: bytes) -> Any:
    text = read_text(way.file("chat.json", data))
    with Store(way.place / "data") as store:
        one = store.import_export.from_json(text)
        return json.loads(store.import_export.to_json(one.id))


EXPORT = {
    "format": "rgmlx-conversation",
    "version": 1,
    "title": "Zoë",
    "model": "demo",
    "system": None,
    "settings": {},
    "created": 1.0,
    "updated": 2.0,
    "archived": False,
    "head": 0,
    "messages": [{"parent": None, "role": "user", "text": "日本 🦊\r\nx", "closed": True, "created": 1.0}],
}
SETTINGS: list[tuple[Callable[[Way, bytes], Any], str]] = [
    (config_json, json.dumps(checkpoints.config(), indent=1)),
    (generation_config, '{\n"temperature": 0.5,\n"eos_token_id": [1, 107]\n}\n'),
    (recipe_toml, 'default = 4\n[patterns]\n"*.down_proj" = 8\n'),
    (recipe_json, '{\n"default": 4,\n"patterns": {"*.down_proj": 8}}\n'),
    (rgchat_toml, 'system = "Zoë"\n[sampling]\ntemperature = 0.5\n'),
    (imported, json.dumps(EXPORT, ensure_ascii=False, indent=1)),
]


@pytest.mark.parametrize(("enter", "text"), SETTINGS, ids=lambda p: getattr(p, "__name__", ""))
def test_c16_settings_in_every_encoding_say_the_same(way: Way, enter: Callable[[Way, bytes], Any], text: str) -> None:
    want = enter(way, text.encode())
    for encoding in ENCODINGS:
        assert enter(way, encoded(text, encoding)) == want, encoding


def test_c16_a_tokenizer_json_with_a_mark(tmp_path: Path) -> None:
    plain = json_tokenizer(tmp_path / "plain.json")
    marked = tmp_path / "tokenizer.json"
    marked.write_bytes(codecs.BOM_UTF8 + plain.read_bytes())
    assert Tokenizer(marked).encode("A fox") == Tokenizer(plain).encode("A fox")


# --- a pipe that is slow ------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_c16_a_line_is_there_as_soon_as_it_has_come(encoding: str) -> None:
    """A line is not waited for longer than until its end came; CR LF may come in two pieces."""
    read, write = os.pipe()
    with open(read, "rb") as stream, open(write, "wb", buffering=0) as sender:
        lines = LineReader(stream, 100)
        sender.write(encoded("Hi\n", encoding))
        if encoding.endswith(" cr"):  # an LF could follow; the next letter shows that none does
            sender.write(encoded("x\n", encoding).removeprefix(MARKS[encoding.split()[0]]))
            assert lines.line() == "Hi"
            return
        assert lines.line() == "Hi"
        sender.write(encoded("you\nend", encoding).removeprefix(MARKS[encoding.split()[0]]))
        assert lines.line() == "you"
        sender.close()
        assert lines.line() == "end"
        with pytest.raises(EOFError):
            lines.line()


def test_c16_a_bad_line_is_left_out_and_the_others_are_sent() -> None:
    lines = LineReader(io.BufferedReader(io.BytesIO(b"one\nna\xefve\ntwo\n\xff")), 100)  # type: ignore[arg-type]
    assert lines.line() == "one"
    for line in ("a line was left out: it is not UTF-8", "two", "a line was left out"):
        try:
            assert lines.line() == line
        except RgmlxError as e:
            assert str(e).startswith(line)
    with pytest.raises(EOFError):
        lines.line()


def test_c16_a_bad_line_ends_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = b'"""one\nna\xefve\ntwo"""\nthree\\\n\xff\nfour\n'
    monkeypatch.setattr("test_plain._pipe", lambda _: io.TextIOWrapper(io.BytesIO(data)))
    out = talk(GatedSession(tmp_path), "", capsys, code=1)
    assert out.count("A line was left out: it is not UTF-8 text") == 2
    assert [m.text for m in said(tmp_path) if m.role == USER] == ["four"]


@pytest.mark.parametrize("command", [("-m", "rgmlx", "ask"), ("-m", "tui", "--plain")])
def test_c16_a_device_as_input_ends(tmp_path: Path, command: tuple[str, ...]) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    with open("/dev/zero", "rb") as zeros:
        out = warm.run(command, stdin=zeros, env=environment)
    assert out.returncode == 1 and "text" in out.stdout + out.stderr and "Traceback" not in out.stderr
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        out = subprocess.run([sys.executable, *command], stdin=folder, capture_output=True, text=True, env=environment)
    finally:
        os.close(folder)
    assert out.returncode == 1 and "Traceback" not in out.stderr and "output" not in out.stderr


def test_c16_arguments() -> None:
    assert argument("\ufeffa\r\nb", "x") == "a\nb"
    with pytest.raises(RgmlxError, match="the question is not UTF-8"):
        argument(os.fsdecode(b"na\xefve"), "the question")
