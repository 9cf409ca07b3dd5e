"""D18: damaged weights are refused where somebody has noted a checksum, and end a reply where they make it NaN."""

from __future__ import annotations

import collections
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import checkpoints
import damage_weights
import mlx.core as mx
import numpy as np
import pytest
from damage_weights import NAN_MASK, WEIGHTS, Damaged, flips, nan_byte
from pack_demo import FILES
from sessions import Open

import rgmlx
from rgmlx.cli import main
from rgmlx.convert import pipeline
from rgmlx.convert.recipe import RECIPES
from rgmlx.diagnosis import doctor
from rgmlx.errors import CheckpointError, NotFiniteError
from rgmlx.generation.engine import Generation, generate_batch
from rgmlx.weights import checksums
from rgmlx.weights.checksums import INDEX, noted, verify
from rgmlx.weights.hub import demo_directory


@pytest.fixture(autouse=True)
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "verified.json"
    monkeypatch.setattr(checksums, "_file", lambda: path)
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose digest is worked out."""
    names: list[str] = []
    real = checksums._sha256
    monkeypatch.setattr(checksums, "_sha256", lambda path: (names.append(path.name), real(path))[1])
    return names


def small(directory: Path, shards: int = 1) -> Path:
    c = checkpoints.config()
    return checkpoints.write(directory, c, checkpoints.weights(c), shards)


def note(directory: Path) -> None:
    """An index as `rgmlx convert` writes it."""
    files = sorted(directory.glob("*.safetensors"))
    index = directory / INDEX
    names = {n: f.name for f in files for n in mx.load(str(f))}
    sums = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    index.write_text(json.dumps({"metadata": {"sha256": sums}, "weight_map": names}))


def in_the_hub_cache(root: Path) -> Path:
    """A model as huggingface_hub lays it out: links to blobs that are called by their SHA-256."""
    plain = small(root / "plain")
    snapshot, blobs = root / "models--a--b" / "snapshots" / "c", root / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for path in plain.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        digest = digest if path.suffix == ".safetensors" else digest[:40]
        shutil.move(path, blobs / digest)
        (snapshot / path.name).symlink_to(Path("../../blobs") / digest)
    return snapshot


def in_a_local_directory(root: Path) -> Path:
    """A model as `hf download --local-dir` leaves it."""
    directory = small(root / "local")
    notes = directory / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    for path in directory.glob("*.safetensors"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (notes / f"{path.name}.metadata").write_text(f"{'c' * 40}\n{digest}\n{path.stat().st_mtime + 1}\n")
    return directory


def of_our_own(root: Path) -> Path:
    return pipelined(small(root / "source"), root / "converted")


def pipelined(source: Path, target: Path) -> Path:
    list(pipeline.run(pipeline.Job(str(source), target, RECIPES["bf16"], verify=False), lambda *_: None))
    return target


def in_shards(root: Path) -> Path:
    directory = small(root / "shards", 3)
    note(directory)
    return directory


def flip(path: Path, byte: int = -5, mask: int = 1, keep_times: bool = False) -> None:
    data, times = bytearray(path.read_bytes()), path.stat()
    data[byte] ^= mask
    with path.open("r+b") as f:
        f.write(data)
    if keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


NOTED: dict[str, Callable[[Path], Path]] = {
    "converted": of_our_own,
    "index, shards": in_shards,
    "Hugging Face's cache": in_the_hub_cache,
    "hf download --local-dir": in_a_local_directory,
}


@pytest.mark.parametrize("where", NOTED)
def test_one_flipped_bit_is_refused(where: str, tmp_path: Path) -> None:
    """A bit of a mantissa: all values stay finite, and nothing but the checksum tells."""
    directory = NOTED[where](tmp_path)
    rgmlx.load(directory)
    victim = sorted(directory.glob("*.safetensors"))[-1]
    flip(victim, keep_times=where == "hf download --local-dir")
    with pytest.raises(CheckpointError, match="is damaged: its SHA-256") as caught:
        rgmlx.load(directory)
    assert str(victim) in str(caught.value)
    with pytest.raises(CheckpointError, match="is damaged: its SHA-256"):
        pipelined(directory, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    flip(victim)
    rgmlx.load(directory)


@pytest.mark.parametrize("where", NOTED)
def test_a_file_is_read_for_it_once(where: str, tmp_path: Path, reads: list[str], remembered: Path) -> None:
    directory = NOTED[where](tmp_path)
    files = len(list(directory.glob("*.safetensors")))
    del reads[:]
    remembered.unlink(missing_ok=True)
    for _ in range(3):
        rgmlx.load(directory)
    assert len(reads) == files
    verify(directory, afresh=True)  # as the doctor does
    assert len(reads) == 2 * files


def test_another_file_in_its_place_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    """Also one of the same size and time."""
    directory = in_shards(tmp_path)
    verify(directory)
    path = sorted(directory.glob("*.safetensors"))[0]
    times = path.stat()
    other = path.with_suffix(".new")
    shutil.copy(path, other)
    flip(other)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, path)
    with pytest.raises(CheckpointError, match="SHA-256"):
        verify(directory)
    with pytest.raises(CheckpointError, match="SHA-256"):
        verify(directory)  # a failure is not remembered as right


def test_what_is_remembered_is_bounded_and_may_be_lost(
    tmp_path: Path, remembered: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "_ENTRIES", 4)
    for i in range(4):
        verify(in_shards(tmp_path / str(i)))
    assert len(json.loads(remembered.read_text())) == 4
    for text in ("", "[" * 100_000, "{", '{"a": 1}', "[]"):
        remembered.write_text(text)
        del reads[:]
        verify(tmp_path / "3" / "shards")
        assert len(reads) == 3
    remembered.unlink()
    remembered.parent.rmdir()
    remembered.parent.write_text("a file where the directory would be")
    verify(tmp_path / "3" / "shards")


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        '{"metadata": 3}',
        '{"metadata": {"sha256": []}}',
        '{"metadata": {"sha256": {"../x": "' + "0" * 64 + '"}}}',
    ],
)
def test_a_damaged_note_is_as_none(index: str, tmp_path: Path) -> None:
    directory = small(tmp_path / "m")
    (directory / INDEX).write_text(index)
    assert noted(directory) == {}


def test_a_file_that_was_written_to_since_its_download_has_no_note(tmp_path: Path) -> None:
    directory = in_a_local_directory(tmp_path)
    path = directory / WEIGHTS
    assert verify(directory) == [path]
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 100))
    assert verify(directory) == []


def test_the_embedded_model_has_checksums_and_they_are_right() -> None:
    """`scripts/pack_demo.py` notes them."""
    assert INDEX in FILES
    assert {p.name for p in verify(demo_directory(), afresh=True)} == {WEIGHTS, "tokenizer.model"}
    index = json.loads((demo_directory() / INDEX).read_text())
    assert set(index["weight_map"]) == set(mx.load(str(demo_directory() / WEIGHTS)))


def test_flips_of_the_embedded_model(tmp_path: Path) -> None:
    """`scripts/damage_weights.py` at a small size: with a checksum none passes."""
    found = list(itertools.islice(flips(tmp_path, seed=1), 3))
    assert collections.Counter(with_sum for _, _, with_sum, _ in found) == {"refused: checksum": 3}


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (("refused: checksum", "writes something else, same identity"), 0),
        (("refused: checksum", "refused: other checks"), 0),
        (("no difference, same identity", "no difference, same identity"), 1),
        (("refused: other checks", "refused: other checks"), 1),
        (("refused: checksum", "crashed: ValueError: of no use"), 1),
    ],
)
def test_d18_the_script_ends_with_1_where_a_flip_passes(
    outcomes: tuple[str, str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(damage_weights, "flips", lambda scratch, seed: [(0, 1, *outcomes)])
    monkeypatch.setattr("sys.argv", ["damage_weights.py", "--flips", "1"])
    assert damage_weights.main() == code
    assert (outcomes[code - 1] if code else "1 flips") in capsys.readouterr().out


def test_d18_an_error_that_is_no_sentence_is_an_outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(directory: Path) -> None:
        raise ValueError("of no use")

    monkeypatch.setattr(damage_weights, "answer", fail)
    intact = damage_weights.Answer("", np.zeros(1), "")
    assert damage_weights.outcome(tmp_path, intact) == "crashed: ValueError: of no use"


def about_the_model(name: Path) -> doctor.Section:
    return next(s for s in doctor.examine(str(name)) if s.title == "Model")


def test_the_doctor_reads_the_files_and_says_which_is_wrong(tmp_path: Path) -> None:
    directory = in_shards(tmp_path)
    section = about_the_model(directory)
    assert any("right (3 of 3 weight files have one)" in line for line in section.lines)
    path = sorted(directory.glob("*.safetensors"))[1]
    flip(path)
    section = about_the_model(directory)
    assert "is damaged: its SHA-256" in section.problems[0]
    assert path.name in section.problems[0]
    (directory / INDEX).unlink()
    section = about_the_model(directory)
    assert any("none is known" in line for line in section.lines)


# --- logits that are not finite -----------------------------------------------------------


@pytest.fixture(scope="module")
def broken_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with one flipped bit that makes its logits NaN, and no checksum."""
    damaged = Damaged(tmp_path_factory.mktemp("damaged"))
    damaged.flip(nan_byte(damaged.without / WEIGHTS), NAN_MASK)
    return damaged.without


@pytest.fixture(scope="module")
def broken(broken_directory: Path) -> rgmlx.Model:
    model = rgmlx.load(broken_directory)
    assert np.isnan(np.array(model.logits([[2, 5, 9]]))).any()
    return model


WRITES: dict[str, Callable[[rgmlx.Model], object]] = {
    "generate": lambda m: m.generate("Hi", max_tokens=50),
    "greedy": lambda m: m.generate("Hi", max_tokens=50, temperature=0),
    "penalties": lambda m: m.generate("Hi", max_tokens=50, repetition_penalty=1.2, presence_penalty=1.0),
    "filters": lambda m: m.generate("Hi", max_tokens=50, top_p=0.5, min_p=0.1, top_k=5),
    "stream": lambda m: list(m.stream("Hi", max_tokens=50)),
    "batch": lambda m: m.batch(["Hi", "Who are you?"], max_tokens=50),
    "chat": lambda m: list(m.chat().send("Hi", max_tokens=50)),
    "Generation": lambda m: list(Generation(m, m.new_state(), [2, 5], max_tokens=50)),
    "endless": lambda m: list(Generation(m, m.new_state(), [2, 5], min_tokens=50, stop_ids={1}, max_tokens=50)),
    "generate_batch": lambda m: list(generate_batch(m, m.new_state(1), [[2, 5]], max_tokens=50)),
}


@pytest.mark.parametrize("way", WRITES)
def test_logits_that_are_not_finite_end_a_reply(way: str, broken: rgmlx.Model) -> None:
    with pytest.raises(NotFiniteError, match="numbers that are not finite") as caught:
        WRITES[way](broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", WRITES)
def test_an_intact_model_is_not_suspected(way: str, demo: rgmlx.Model) -> None:
    """Nor where stop ids are masked with minus infinity."""
    assert WRITES[way](demo)


def test_a_chat_is_what_it_was_when_a_reply_is_not_finite(broken: rgmlx.Model) -> None:
    chat = broken.chat()
    with pytest.raises(NotFiniteError):
        list(chat.send("Hi"))
    assert [t.text for t in chat.turns] == ["Hi"]
    assert chat.position == 0


def test_ask_says_it_in_a_sentence(broken_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ask", "--model", str(broken_directory), "Hello"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out.strip()) == (1, "")
    assert err.startswith("rgmlx: the model computes numbers that are not finite")
    assert err.count("\n") == 1


def test_the_doctor_finds_a_model_that_is_not_finite(broken_directory: Path) -> None:
    section = about_the_model(broken_directory)
    assert "not finite" in section.problems[0]


def test_a_session_keeps_the_message_and_says_it(begin: Open, broken: rgmlx.Model) -> None:
    session = begin(model=broken)
    session.add_user_message("Hello")
    with pytest.raises(NotFiniteError, match="not finite"):
        list(session.generate_reply())
    assert session.head is not None
    assert session.head.text == "Hello"
