"""What `fuzz_input` feeds: each kind of input, with its table of bad values and what is done with an input.

An input is taken as far as a user would take it: what is imported is listed, searched, exported and imported again; a
model that loads says a token; a recipe that is understood is planned with.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import itertools
import json
import shutil
import struct
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import numpy as np

import rgmlx
from rgmlx import cli
from rgmlx.cli.common import guarded
from rgmlx.conversation.turns import NOW, CachedState, SavedChat, Turn
from rgmlx.convert import recipe, run
from rgmlx.convert.open import open_source
from rgmlx.convert.plan import expected
from rgmlx.diagnosis import info
from rgmlx.errors import RgmlxError
from rgmlx.generation import sampling
from rgmlx.griffin.config import ModelConfig
from rgmlx.settings import Sampling
from rgmlx.store import Store
from rgmlx.system.decoding import NotText, decoded
from rgmlx.system.files import load_arrays
from rgmlx.tokenizer import Tokenizer
from rgmlx.weights.catalog import examine, list_models
from rgmlx.weights.hub import demo_directory

WHOLE = [
    "0",
    "-0",
    "1",
    "2",
    "3",
    "7",
    "-1",
    "256",
    "257",
    "65536",
    "1048576",
    "2147483647",
    "2147483648",
    "4294967296",
]
WHOLE += [
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
]
WHOLE += ["1" + "0" * 30, "1" + "0" * 400, "9" * 5000]
BROKEN = [
    "0.5",
    "1.5",
    "4.0",
    "-0.0",
    "1e-400",
    "1e38",
    "1e39",
    "1e308",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "-Infinity",
]
WORDS = [
    '""',
    '"0"',
    '"1"',
    '"-1"',
    '"x"',
    '"\\u0000"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\ufeff"',
    '"\\n"',
    '"~nobody/x"',
]
WORDS += ['"../../etc"', '"/dev/zero"', '"NaN"', json.dumps("é" * 2000), json.dumps("A" * 100_000)]
TREES = [
    "[]",
    "[[]]",
    "[0]",
    "[null]",
    '["x"]',
    "[-1]",
    "{}",
    '{"a": 1}',
    '{"a": {}}',
    "[" * 100_000,
    '{"a":' * 100_000,
]
TREES += ["[" + ",".join(["0"] * 5000) + "]", "[[[[[[[[[[1]]]]]]]]]]"]
BAD = ["null", "true", "false", *WHOLE, *BROKEN, *WORDS, *TREES]
"""JSON values as they are written. What Python's JSON reads beyond the standard is among them."""
_PLACE = '"@@BAD@@"'


class Target(Protocol):
    """A kind of input."""

    def table(self) -> Sequence[bytes]:
        """Every field times every bad value."""
        ...

    def seeds(self) -> Sequence[bytes]:
        """Good inputs, for random damage; none where that finds nothing."""
        ...

    def use(self, case: bytes) -> None:
        """Raises RgmlxError where the input is refused."""
        ...


def fields(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a JSON value, the whole included."""
    yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from fields(part, (*before, key))


def changed(good: Any, way: tuple[Any, ...], bad: str | None) -> bytes:
    """JSON with one part replaced (None: left out)."""
    if not way:
        return (bad or "").encode()
    value = copy.deepcopy(good)
    at = value
    for key in way[:-1]:
        at = at[key]
    if bad is None:
        del at[way[-1]]
        return json.dumps(value).encode()
    at[way[-1]] = _PLACE[1:-1]
    return json.dumps(value).replace(_PLACE, bad).encode()


def json_table(good: Any, bad: Sequence[str] = BAD, extra: Sequence[str] = ()) -> list[bytes]:
    """Every field times every bad value, every field left out, and unknown fields with bad values."""
    ways = list(fields(good))
    table = [changed(good, way, value) for way in ways for value in bad]
    table += [changed(good, way, None) for way in ways if way]
    return table + [changed({**good, name: 0}, (name,), value) for name in extra for value in bad]


def small_model(directory: Path) -> Path:
    """A model of a few thousand parameters with the embedded one's tokenizer."""
    directory.mkdir(parents=True)
    config = ModelConfig(8192, 16, 32, 3, 2, 1, 8, 16, 8)
    draw = np.random.default_rng(0)
    tensors = {n: mx.array(draw.normal(size=s).astype(np.float32) * 0.1) for n, s in expected(config)[0].items()}
    mx.save_safetensors(str(directory / "model.safetensors"), tensors)
    (directory / "config.json").write_text(json.dumps(config.to_dict()))
    shutil.copy(demo_directory() / "tokenizer.model", directory)
    return directory


def say(model: rgmlx.Model) -> None:
    """One token, and one with every penalty."""
    for options in ({}, {"repetition_penalty": 1.1, "presence_penalty": 0.1, "frequency_penalty": 0.1}):
        model.generate([2, 5, 6], max_tokens=1, **options)


# --- conversations ------------------------------------------------------------------------


class Import:
    """`/import`: a conversation as JSON, and all that is done with one afterwards."""

    def __init__(self, place: Path) -> None:
        self._store = Store(place / "data")
        s = self._store
        one = s.conversations.create("demo", "Of foxes", "Be brief.", {"temperature": 0.5, "seed": 3, "draw": 9})
        head: int | None = None
        for i, text in enumerate(("Hello", "Hi.", "Where?", "There.")):
            role = ("user", "model")[i % 2]
            head = s.messages.add_finished(one.id, head, role, text, closed=True, created=1.7e9 + i)
        s.conversations.set_head(one.id, head)
        self._good = json.loads(s.import_export.to_json(one.id))

    def table(self) -> list[bytes]:
        times = ["1700000000000", "1700000000000000000", "1.7e18", "253402214400", "1e11", "-1.5", "1e-300"]
        return json_table(self._good, BAD + times, ["extra"])

    def seeds(self) -> list[bytes]:
        return [json.dumps(self._good).encode(), json.dumps(self._good, ensure_ascii=False, indent=1).encode()]

    def use(self, case: bytes) -> None:
        from rgmlx.conversation import sampling_settings
        from rgmlx.system.formatting import when, when_briefly

        try:
            text = decoded(case)
        except NotText as e:
            raise RgmlxError(str(e)) from None
        s = self._store
        made = s.import_export.from_json(text)
        try:
            for one in s.conversations.listed(archived=None):
                when(one.updated, time.time()), when_briefly(one.updated, time.time())
            s.import_export.markdown(made.id)
            again = s.import_export.from_json(s.import_export.to_json(made.id))
            s.conversations.delete(again.id)
            s.search.find("Hello", 5)
            s.messages.path(made.head)
            s.outlines.read(made.id, made.head, None, 50)
            with contextlib.suppress(RgmlxError):
                sampling.processors(sampling_settings.sampling(made.settings, Sampling()))
        finally:
            s.conversations.delete(made.id)
            s.conversations.purge()


class Stored:
    """Times that an older version has let into the store."""

    def __init__(self, place: Path) -> None:
        self._store = Store(place / "data")
        one = self._store.conversations.create("demo", "Of foxes")
        self._id = one.id
        self._store.messages.add_user(one.id, None, "Hello")

    def table(self) -> list[bytes]:
        values = [
            v for v in (*WHOLE, *BROKEN, "1.7e18", "1700000000000", "'x'", "x'00ff'") if len(v) < 1000 and v != "NaN"
        ]
        return [f"{column} {v}".encode() for column in ("created", "updated") for v in values if "I" not in v]

    def seeds(self) -> list[bytes]:
        return []

    def use(self, case: bytes) -> None:
        from rgmlx.system.formatting import when, when_briefly

        column, value = case.decode().split()
        s, database = self._store, self._store._database
        with database.transaction() as c:
            c.execute(f"UPDATE conversations SET {column} = {value}")
            c.execute(f"UPDATE messages SET created = {value}")
        for one in s.conversations.listed():
            when(one.updated, time.time()), when_briefly(one.updated, time.time())
        s.import_export.markdown(self._id)
        copied = s.import_export.from_json(s.import_export.to_json(self._id))
        s.conversations.delete(copied.id)
        s.conversations.purge()


# --- a model's files ----------------------------------------------------------------------


class _File:
    """A JSON file of a model's directory."""

    name = ""
    extra: Sequence[str] = ()

    def __init__(self, place: Path) -> None:
        self.directory = small_model(place / "model")
        self.prepare()
        self.good = json.loads((self.directory / self.name).read_text())

    def prepare(self) -> None:
        """Makes the file."""

    def table(self) -> list[bytes]:
        return json_table(self.good, extra=self.extra)

    def seeds(self) -> list[bytes]:
        return [json.dumps(self.good).encode()]

    def use(self, case: bytes) -> None:
        (self.directory / self.name).write_bytes(case)
        list_models([self.directory])
        with contextlib.suppress(RgmlxError):
            examine(self.directory)
        refusal: RgmlxError | None = None
        with contextlib.suppress(RgmlxError):
            found = info.describe(self.directory)
            found.rows(), list(found.layers())
        with contextlib.suppress(RgmlxError):
            run.plan(open_source(self.directory), recipe.RECIPES["4bit"])
        try:
            say(rgmlx.load(self.directory))
        except RgmlxError as e:
            refusal = e
        if refusal is not None:
            raise refusal


class Config(_File):
    """config.json."""

    name = "config.json"
    extra = (
        "rope_parameters",
        "rope_scaling",
        "quantization",
        "quantization_config",
        "torch_dtype",
        "hidden_act",
        "strange",
        "_block_types",
    )

    def table(self) -> list[bytes]:
        quantized = {
            **self.good,
            "quantization": {"bits": 4, "group_size": 64, "mode": "affine", "lm_head": {"bits": 8}},
        }
        rope = {
            **self.good,
            "rope_parameters": {"rope_theta": 10000.0, "partial_rotary_factor": 0.5, "rope_type": "default"},
        }
        ways = [way for good in (quantized, rope) for way in fields(good) if len(way) > 1 and way[0] not in self.good]
        return super().table() + [
            changed(good, way, bad) for good in (quantized, rope) for way in ways for bad in BAD if way[0] in good
        ]


class Generation(_File):
    """generation_config.json."""

    name = "generation_config.json"
    extra = ("min_p", "bos_token_id", "strange")

    def prepare(self) -> None:
        values = {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1, "eos_token_id": [1, 107]}
        (self.directory / self.name).write_text(json.dumps(values))

    def use(self, case: bytes) -> None:
        from rgmlx.convert import documents

        super().use(case)
        source = open_source(self.directory)
        documents.documents(source, "x", run.plan(source, recipe.RECIPES["4bit"]), self.directory)


class Index(_File):
    """model.safetensors.index.json."""

    name = "model.safetensors.index.json"

    def prepare(self) -> None:
        names = ["model.embed_tokens.weight", "model.final_norm.weight"]
        index = {"metadata": {"total_size": 9}, "weight_map": dict.fromkeys(names, "model.safetensors")}
        (self.directory / self.name).write_text(json.dumps(index))


class _Json(_File):
    """A file that only the tokenizer reads."""

    def use(self, case: bytes) -> None:
        path = self.directory / self.name
        path.write_bytes(case)
        tokenizer = Tokenizer(path)
        assert isinstance(tokenizer.decode(tokenizer.encode("A fox, é 🦊 <bos>")), str)
        len(tokenizer), tokenizer.stop_ids, [tokenizer.token_bytes(i) for i in range(-1, 400)]


class TokenizerJson(_Json):
    """tokenizer.json."""

    name = "tokenizer.json"

    def prepare(self) -> None:
        words = [
            "<pad>",
            "<eos>",
            "<bos>",
            "<unk>",
            "<start_of_turn>",
            "<end_of_turn>",
            *(f"<0x{b:02X}>" for b in range(256)),
        ]
        words += ["▁", "A", "\n", "h", "e", "he"]
        added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        decoders = [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
        ]
        model: dict[str, Any] = {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
        }
        model |= {"vocab": {w: i for i, w in enumerate(words)}, "merges": [["h", "e"]], "ignore_merges": False}
        value = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": i, "content": words[i], **added} for i in range(6)],
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": model,
        }
        (self.directory / self.name).write_text(json.dumps(value))
        Tokenizer(self.directory / self.name)

    def table(self) -> list[bytes]:
        few = [v for v in BAD if len(v) < 2000]
        ways = [
            way
            for way in fields(self.good)
            if way[:2] != ("model", "vocab") or len(way) < 3 or way[2] in ("A", "<bos>", "<0x00>")
        ]
        return [changed(self.good, way, bad) for way in ways for bad in few]


class TokenizerModel(_Json):
    """tokenizer.model, a protocol buffer: damage to its bytes."""

    name = "tokenizer.model"

    def __init__(self, place: Path) -> None:
        self.directory = place
        self._data = (demo_directory() / self.name).read_bytes()

    def table(self) -> list[bytes]:
        ends = [self._data[:n] for n in (0, 1, 2, 3, 10, 1000, len(self._data) // 2, len(self._data) - 1)]
        # Its settings are behind the pieces.
        return [
            *ends,
            *(
                self._data[:-n] + bytes([self._data[-n] ^ b]) + self._data[len(self._data) - n + 1 :]
                for n in range(1, 300)
                for b in (1, 128)
            ),
        ]

    def seeds(self) -> list[bytes]:
        return [self._data]


class Weights:
    """A safetensors header: every field of a few tensors, the right length before it; and damage to the bytes."""

    def __init__(self, place: Path) -> None:
        self.directory = small_model(place / "model")
        self._path = self.directory / "model.safetensors"
        self._data = self._path.read_bytes()
        size = struct.unpack("<Q", self._data[:8])[0]
        self.header = json.loads(self._data[8 : 8 + size])
        self._body = self._data[8 + size :]

    def table(self) -> list[bytes]:
        names = [n for n in self.header if n != "__metadata__"]
        few = {n: self.header[n] for n in (names[0], names[-1])}
        ways = [way for way in fields(few) if way]
        shapes = [
            "[0]",
            "[-1]",
            "[4294967296, 4294967296]",
            "[1, 2, 3, 4, 5, 6, 7, 8, 9]",
            '"F8_E4M3"',
            '"I64"',
            "[8, 4]",
            "[0, 4]",
        ]
        table = [changed(self.header, way, bad) for way in ways for bad in (*BAD, *shapes)]
        table += [changed(self.header, ("__metadata__",), bad) for bad in BAD]
        table += [struct.pack("<Q", n) for n in (0, 1, 2, 2**31, 2**63, 2**64 - 1)]
        return table

    def seeds(self) -> list[bytes]:
        return [json.dumps(self.header).encode()]

    def use(self, case: bytes) -> None:
        if len(case) == 8:
            self._path.write_bytes(case + self._data[8:])
        else:
            self._path.write_bytes(struct.pack("<Q", len(case)) + case + self._body)
        with contextlib.suppress(RgmlxError):
            source = open_source(self.directory)
            made = run.plan(source, recipe.RECIPES["4bit"])
            for step in made.steps[:3]:
                source.read(step.name)
        say(rgmlx.load(self.directory))


class Rgstate:
    """A .rgstate file, its checksum made right again, so that what is behind it is reached."""

    def __init__(self, place: Path) -> None:
        self._model = rgmlx.load(small_model(place / "model"))
        self._path = place / "a.rgstate"
        state = self._model.new_state()
        self._model.logits([[2, 5, 6]], state)
        turns = (Turn("user", "Hello"), Turn("model", "Hi", closed=False))
        SavedChat(turns, {NOW: CachedState(state, (7, 8))}, "Be brief.", {"temperature": 0.5, "seed": 3}).write(
            self._path
        )
        self._arrays, self._metadata = load_arrays(self._path, RgmlxError)
        mx.eval(list(self._arrays.values()))
        self._texts = ("identity", "states", "extra")
        self._good = {k: json.loads(v) if k in self._texts else v for k, v in self._metadata.items() if k != "checksum"}

    def table(self) -> list[bytes]:
        return json_table(self._good, extra=["strange"])

    def seeds(self) -> list[bytes]:
        return [json.dumps(self._good).encode()]

    def use(self, case: bytes) -> None:
        from rgmlx.griffin.state import _checksum

        self._path.unlink(missing_ok=True)
        # The texts in it are JSON of their own: found as what stands between their names, right or not.
        metadata = _metadata(case, self._texts)
        metadata["checksum"] = _checksum(self._arrays, metadata)
        mx.save_safetensors(str(self._path.with_suffix(".safetensors")), self._arrays, metadata)
        self._path.with_suffix(".safetensors").rename(self._path)
        with contextlib.suppress(RgmlxError):
            rgmlx.State.load(self._path, self._model)
        chat = rgmlx.Chat.load(self._path, self._model)
        list(chat.send("x", max_tokens=1))
        list(chat.regenerate(max_tokens=1))
        chat.rewind(0)
        chat.save(self._path)


def _metadata(case: bytes, texts: Sequence[str]) -> dict[str, str]:
    """Metadata of a file from JSON that may be damaged: a value that can't be written as one is left as it is."""
    out = {"format": "rgmlx-state", "version": "1"}
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(case)
        if isinstance(value, dict):
            as_text = {k: v if k not in texts and isinstance(v, str) else json.dumps(v) for k, v in value.items()}
            return {k: v.encode("utf-8", "replace").decode() for k, v in as_text.items()}
    whole = case.decode("utf-8", "replace").replace("\0", "?")
    places = sorted(((name, whole.find(f'"{name}": ')) for name in texts), key=lambda place: place[1])
    for (name, start), end in itertools.zip_longest(places, [p for _, p in places[1:]]):
        if start >= 0:
            value = whole[start + len(name) + 4 : end if end and end > start else -1]
            out[name] = value.rstrip(", ")
    return out


class RgstateBytes(Rgstate):
    """A .rgstate file with damage to its bytes and to the header of its tensors."""

    def table(self) -> list[bytes]:
        data = self._path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + size])
        ways = [
            way
            for way in fields(header)
            if way and way[0] in ("__metadata__", "hidden", "now/hidden", "now/layers.0.h")
        ]
        return [
            struct.pack("<Q", len(t)) + t + data[8 + size :]
            for way in ways
            for bad in BAD
            if (t := changed(header, way, bad))
        ]

    def seeds(self) -> list[bytes]:
        return [self._path.read_bytes()]

    def use(self, case: bytes) -> None:
        path = self._path.with_name("b.rgstate")
        path.write_bytes(case)
        list(rgmlx.Chat.load(path, self._model).send("x", max_tokens=1))


# --- settings -----------------------------------------------------------------------------

TOML_BAD = [
    *WHOLE[:-1],
    "9" * 5000,
    "0.5",
    "-0.5",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "true",
    '""',
    '"x"',
    '"\\u0000"',
    "[]",
    "[1]",
]
TOML_BAD += [
    "{}",
    "{a = 1}",
    "1979-05-27",
    "07:32:00",
    "1979-05-27T07:32:00Z",
    "[" * 5000,
    '"keep"',
    "{bits = 4}",
    "{bits = 4.0}",
]
TOML_BAD += [
    "{bits = []}",
    "{mode = []}",
    "{mode = 'x'}",
    "{bits = true}",
    "{group_size = 2}",
    "'''\n'''",
    '"é"',
    '"unclosed',
]


class Recipe:
    """A recipe for `convert`, in TOML and in JSON."""

    def __init__(self, place: Path) -> None:
        self._place, self._source = place, open_source(small_model(place / "model"))
        self._good = {
            "default": {"bits": 4, "group_size": 64, "mode": "affine"},
            "patterns": {"*.down_proj": 8, "model.*": "keep"},
        }

    def table(self) -> list[bytes]:
        keys = (
            "default",
            "patterns",
            "strange",
            'patterns."*"',
            'patterns."["',
            '"\\u0000"',
            "default.bits",
            "default.mode",
        )
        toml = [f"toml {key} = {bad}\n".encode() for key in keys for bad in TOML_BAD]
        return toml + [b"json " + text for text in json_table(self._good, extra=["strange"])]

    def seeds(self) -> list[bytes]:
        return [
            b'toml default = 4\n[patterns]\n"*.down_proj" = {bits = 6, group_size = 32}\n"model.embed_tokens" = "keep"\n',
            b"json " + json.dumps(self._good).encode(),
        ]

    def use(self, case: bytes) -> None:
        kind, _, text = case.partition(b" ")
        path = self._place / f"r.{'json' if kind == b'json' else 'toml'}"
        path.write_bytes(text)
        found = recipe.load(str(path))
        for step in run.plan(self._source, found).steps:
            for _, array in run.converted(self._source, step):
                mx.eval(array)


class Toml:
    """rgchat.toml. It is never refused: what is wrong in it is said, and the rest holds."""

    def __init__(self, place: Path) -> None:
        self._path = place / "rgchat.toml"

    def table(self) -> list[bytes]:
        general = ("model", "system", "theme", "snapshot_bytes", "sampling", "strange", "personas")
        names = (
            *general,
            *(f"sampling.{n}" for n in ("temperature", "top_p", "min_p", "repetition_penalty", "seed", "x")),
            *(f"personas.{n}" for n in ("a", '""', "a.system", "a.temperature", "a.seed", "a.x", "a.sampling.seed")),
        )
        return [f"{name} = {bad}\n".encode() for name in names for bad in TOML_BAD]

    def seeds(self) -> list[bytes]:
        text = 'model = "demo" # here\nsystem = """Be\nbrief."""\ntheme = "dark"\n[sampling]\ntemperature = 0.5\nseed = 3\n'
        return [text.encode(), b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), text.encode("utf-16")]

    def use(self, case: bytes) -> None:
        from tui.settings import settings

        self._path.write_bytes(case)
        found, problems = settings.load(self._path)
        settings.save(self._path, found)
        if problems:
            raise RgmlxError(problems[0])


class Text:
    """Bytes as text."""

    def __init__(self, place: Path) -> None:
        self._path = place / "t.txt"

    def table(self) -> list[bytes]:
        return [
            bytes([a, b]) + rest
            for a in (0, 10, 13, 65, 0xC3, 0xEF, 0xFE, 0xFF)
            for b in range(0, 256, 5)
            for rest in (b"", b"\xbf", b"\0A")
        ]

    def seeds(self) -> list[bytes]:
        return [t.encode(e) for t in ("é日🦊\r\nx\ry",) for e in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]

    def use(self, case: bytes) -> None:
        from rgmlx.convert.text import from_file
        from tui.prompt.files import expand

        self._path.write_bytes(case)
        assert not expand(f"@{self._path}").text.count("\r")
        assert "\r" not in from_file(str(self._path))


# --- command lines ------------------------------------------------------------------------

VALUES = [
    "",
    " ",
    "-",
    "--",
    "-1",
    "0",
    "1",
    "0.5",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "9" * 19,
    "9" * 30,
    "9" * 5000,
]
VALUES += [
    "0x10",
    "1_000",
    "٣",
    "x",
    "é",
    "\udce9",
    "\ufeffx",
    "a\nb",
    "A" * 5000,
    "~",
    "~nobody-here/x",
    "/",
    ".",
    "..",
    "/dev/zero",
]
VALUES += [
    "/dev/null",
    "x/y",
    "a/b/c",
    "demo",
    "2b",
    "a.toml",
    "a.pt",
    "%s",
    "{}",
    "\\",
    "'",
    '"',
    "--help",
    "--version",
    "=",
    "\x1b[2J",
]


class _Command(ABC):
    """A command line, as JSON: every option times every value."""

    def __init__(self, place: Path) -> None:
        self.model = str(small_model(place / "model"))
        (place / "a.toml").write_text("default = 8")
        (place / "a.pt").write_bytes(b"PK")

    def lines(self) -> Iterator[list[str]]:
        """The command lines."""
        return iter(())

    def table(self) -> list[bytes]:
        return [json.dumps(line).encode() for line in self.lines()]

    def seeds(self) -> list[bytes]:
        return []

    @abstractmethod
    def run(self, words: list[str]) -> int:
        """Runs it; the exit code."""

    def use(self, case: bytes) -> None:
        before = sys.stdin, sys.stdout, sys.stderr
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(b"Hello\n")), out, err
        try:
            code = self.run(json.loads(case))
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 1
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        said = err.getvalue()
        if "Traceback" in said or code not in (0, 1, 2) or (code and not (said or out.tell())):
            raise AssertionError(f"exit code {code}: {said[-300:]}")
        if code:
            raise RgmlxError(said.replace("\n", " ") or "refused")


def _options(p: argparse.ArgumentParser) -> list[tuple[str, bool]]:
    """The options of a command, and whether they take a value."""
    return [(a.option_strings[-1], a.nargs != 0) for a in p._actions if a.option_strings]


class Rgmlx(_Command):
    """The command line of `rgmlx`."""

    def lines(self) -> Iterator[list[str]]:
        commands = next(a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
        given = {
            "ask": ["Hello", "--max-tokens", "1", "--model", self.model, "--data", "data"],
            "sessions": ["list", "--data", "data"],
            "info": [self.model],
            "convert": ["--model", self.model, "--no-verify"],
            "compare": [self.model, self.model, "--tokens", "4"],
        }
        for name, words in given.items():
            for option, takes in _options(commands[name]):
                if option in ("--force", "--help", "--upload-repo"):
                    continue
                for value in VALUES if takes else [None]:
                    if option == "--max-tokens" and value and len(value) >= 19:
                        continue  # it would go on for so long
                    if option == "-n" and value and value.replace("_", "").isdecimal() and len(value) > 1:
                        continue
                    yield [name, *words, option, *([value] if value is not None else [])]
            for value in VALUES:
                if name != "ask":  # the embedded model would answer at length
                    yield [name, value]
                yield [name, *words, value]
        for value in VALUES:
            yield [value]
            yield ["doctor", "--model", value]
            yield ["doctor", value]
            yield ["mlx-lm", value]
            if value != "--":  # which would begin a server, and log in
                yield from (["mlx-lm", command, value] for command in ("cache-prompt", "server", "generate"))
                yield ["login", value]
        generate = ["mlx-lm", "generate", "--model", self.model, "--max-tokens", "1", "--prompt", "x"]
        for option in ("--model", "--prompt", "--max-tokens", "--temp", "--top-p", "--min-p", "--top-k", "--seed"):
            for value in VALUES:
                if option != "--max-tokens" or len(value) < 4:
                    yield [*generate, option, value]

    def run(self, words: list[str]) -> int:
        shutil.rmtree("mlx_model", ignore_errors=True)
        cli.main(words)
        return 0


class Rgchat(_Command):
    """The command line of `rgchat`, in a pipe that says hello."""

    def lines(self) -> Iterator[list[str]]:
        from tui.cli import parser

        for option, takes in _options(parser()):
            if option == "--help":
                continue
            for value in VALUES if takes else [None]:
                if option == "--data" and value in ("/", "/dev/null"):
                    continue
                yield [option, *([value] if value is not None else [])]
        for value in VALUES:
            yield [value]

    def run(self, words: list[str]) -> int:
        from tui.cli import _run, parser

        options = parser().parse_args(["--data", "data", "--plain", *words])
        # Before the model is asked, which takes its time: the conversation is /list and nothing more.
        sys.stdin = io.TextIOWrapper(io.BytesIO(b"/list\n/set\n/info\n"))
        code = 0

        def go() -> None:
            nonlocal code
            code = _run(options)

        return guarded("rgchat", go) or code


TARGETS: dict[str, Callable[[Path], Target]] = {
    "import": Import,
    "stored times": Stored,
    "config.json": Config,
    "generation_config.json": Generation,
    "index": Index,
    "tokenizer.json": TokenizerJson,
    "tokenizer.model": TokenizerModel,
    "weights": Weights,
    "rgstate": Rgstate,
    "rgstate bytes": RgstateBytes,
    "recipe": Recipe,
    "rgchat.toml": Toml,
    "text": Text,
    "rgmlx": Rgmlx,
    "rgchat": Rgchat,
}
"""By name; each is made once a process, with an empty directory."""
