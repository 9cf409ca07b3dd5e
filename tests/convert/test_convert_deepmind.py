"""DeepMind's checkpoints: the three forms that its code saves give Hugging Face's tensors, and damage one sentence."""

from __future__ import annotations

import builtins
import os
import pickle
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import oracle
import pytest
import rooms

from rgmlx.convert.deepmind import FlaxSource, TorchSource, is_flax, is_torch
from rgmlx.convert.orbax import OrbaxDirectory
from rgmlx.convert.source import Source
from rgmlx.convert.torch_pickle import TorchFile
from rgmlx.errors import CheckpointError, RgmlxError
from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.weights.checkpoint import build

tensorstore = pytest.importorskip("tensorstore", reason="tensorstore has no wheel for this Python")

GOLDENS = rooms.TESTS / "goldens"
TINY, DEEPMIND = GOLDENS / "tiny", GOLDENS / "deepmind"
SOURCES: dict[str, Callable[[], Source]] = {
    "tiny.pt": lambda: TorchSource(DEEPMIND / "tiny.pt"),
    "flax": lambda: FlaxSource(DEEPMIND / "flax"),
    "flax-zarr": lambda: FlaxSource(DEEPMIND / "flax-zarr"),
}
EXACT = 2e-6
Arrays = dict[str, np.ndarray]


def golden_arrays() -> Arrays:
    """The tensors of `tiny.pt` as the torch file has them."""
    file = TorchFile(DEEPMIND / "tiny.pt")
    return {name: np.array(file.read(name)) for name in file.names}


def flax_arrays() -> Arrays:
    stored = OrbaxDirectory(DEEPMIND / "flax-zarr")
    return {name: stored.read(name) for name in stored.names}


def sentence(make: Callable[[], object], error: type[RgmlxError] = CheckpointError) -> str:
    with pytest.raises(error) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- torch files without torch: the pickle that torch.save writes, opcode by opcode --------


def op_text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def op_tuple(*numbers: int) -> bytes:
    return b"(" + b"".join(f"I{n}\n".encode() for n in numbers) + b"t"


def op_tensor(
    key: str, count: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, kind: str = "Float"
) -> bytes:
    storage = b"(" + op_text("storage") + f"ctorch\n{kind}Storage\n".encode() + op_text(key) + op_text("cpu")
    storage += f"I{count}\n".encode() + b"tQ"
    hooks = b"\x89" + b"ccollections\nOrderedDict\n)R"
    where = f"I{offset}\n".encode() + op_tuple(*shape) + op_tuple(*strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + where + hooks + b"tR"


def op_dict(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(op_text(k) + v for k, v in items.items()) + b"u"


def write_archive(
    path: Path, content: bytes, data: Mapping[str, bytes], method: int = zipfile.ZIP_STORED, order: bytes = b"little"
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("model/data.pkl", b"\x80\x02" + content + b".")
        archive.writestr("model/byteorder", order)
        for key, value in data.items():
            archive.writestr(f"model/data/{key}", value)
    return path


def write_torch(path: Path, arrays: Mapping[str, np.ndarray], outer: Callable[[bytes], bytes] = bytes) -> Path:
    kinds = {"float32": "Float", "float16": "Half", "uint16": "BFloat16", "int64": "Long"}
    items, data = {}, {}
    for i, (name, a) in enumerate(arrays.items()):
        a = np.ascontiguousarray(a)
        strides = tuple(s // a.itemsize for s in a.strides)
        items[name] = op_tensor(str(i), a.size, a.shape, strides, kind=kinds[str(a.dtype)])
        data[str(i)] = a.tobytes()
    return write_archive(path, outer(op_dict(items)), data)


def write_flax(directory: Path, arrays: Mapping[str, np.ndarray], dtype: str = "<f4", fill: object = None) -> Path:
    for name, a in arrays.items():
        spec = {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": f"{directory / name}/"},
            "metadata": {"shape": a.shape, "dtype": dtype, "chunks": a.shape, "fill_value": fill},
        }
        tensorstore.open(spec, create=True).result().write(a).result()
    return directory


# --- the real package's files --------------------------------------------------------------


@pytest.mark.parametrize("form", SOURCES)
def test_every_tensor_is_hugging_faces(form: str) -> None:
    source = SOURCES[form]()
    golden = mx.load(str(TINY / "model.safetensors"))
    assert isinstance(golden, dict) and set(source.tensors) == set(golden)
    for name, w in golden.items():
        if name.endswith("conv_1d.weight"):  # [L, 1, K]
            w = w.swapaxes(1, 2)
        found, told = source.read(name), source.tensors[name]
        assert (found.shape, found.dtype) == (told.shape, told.dtype) == (w.shape, w.dtype), name
        assert mx.array_equal(found, w).item(), name


@pytest.mark.parametrize("form", SOURCES)
def test_the_config_made_from_shapes_is_the_one_the_model_had(form: str) -> None:
    config = ModelConfig.from_dict(SOURCES[form]().config)
    assert config.attention_window_size == 2048
    assert config.with_window(16) == ModelConfig.from_file(TINY / "config.json")


@pytest.mark.parametrize("form", SOURCES)
def test_a_network_gives_the_logits_of_the_real_package(form: str) -> None:
    source = SOURCES[form]()
    config = ModelConfig.from_dict(source.config).with_window(16)
    network = RecurrentGemma(config)
    build(config, {name: source.read(name) for name in source.tensors}, network, mx.float32)
    network.eval()
    golden = np.load(TINY / "logits.npz")
    found = np.array(network(mx.array(golden["tokens"])))
    for key in ("deepmind_torch_float32", "deepmind_jax_float32"):
        assert oracle.relative_error(found, golden[key]) < EXACT


def test_kinds_and_files() -> None:
    torch, flax, zarr = (make() for make in SOURCES.values())
    assert (torch.kind, flax.kind, zarr.kind) == ("DeepMind PyTorch", "DeepMind Flax", "DeepMind Flax")
    assert torch.files == [DEEPMIND / "tiny.pt"]
    assert DEEPMIND / "flax" / "manifest.ocdbt" in flax.files and flax.files == sorted(flax.files)
    assert DEEPMIND / "flax-zarr" / "final_norm.scale" / ".zarray" in zarr.files


def test_what_is_recognised(tmp_path: Path) -> None:
    assert is_torch(DEEPMIND / "tiny.pt") and is_torch(DEEPMIND)
    assert is_flax(DEEPMIND / "flax") and is_flax(DEEPMIND / "flax-zarr")
    assert not is_flax(DEEPMIND)  # two of them
    for other in (TINY, TINY / "model.safetensors", tmp_path, tmp_path / "nothing"):
        assert not is_torch(other) and not is_flax(other)
    shutil.copy(DEEPMIND / "tiny.pt", tmp_path / "a.pt")
    assert is_torch(tmp_path)
    shutil.copy(DEEPMIND / "tiny.pt", tmp_path / "b.pth")
    assert not is_torch(tmp_path)
    (tmp_path / "b.pth").rename(tmp_path / "model.safetensors")
    assert not is_torch(tmp_path)


def test_the_tokenizer_lies_in_the_checkpoint_or_above_it(tmp_path: Path) -> None:
    flax = Path(shutil.copytree(DEEPMIND / "flax", tmp_path / "2b-it"))
    assert FlaxSource(flax).directory == flax
    (tmp_path / "tokenizer.model").touch()
    assert FlaxSource(flax).directory == tmp_path
    assert is_flax(tmp_path) and FlaxSource(tmp_path).directory == tmp_path  # as Kaggle packs them
    (flax / "tokenizer.model").touch()
    assert FlaxSource(flax).directory == flax
    shutil.copy(DEEPMIND / "tiny.pt", tmp_path)
    assert TorchSource(tmp_path).directory == tmp_path


# --- forms that the golden files don't have ------------------------------------------------


def bits(a: np.ndarray) -> np.ndarray:
    """float32 -> the bits of bfloat16, cut."""
    return (a.view(np.uint32) >> 16).astype(np.uint16)


def test_bfloat16_and_float16_stay_as_they_are(tmp_path: Path) -> None:
    arrays = golden_arrays()
    name, theirs = "model.layers.0.mlp_block.up_proj.weight", "blocks.0.mlp_block.ffw_up.w"
    half = TorchSource(write_torch(tmp_path / "half.pt", {k: a.astype(np.float16) for k, a in arrays.items()}))
    assert half.config["torch_dtype"] == "float16" and half.read(name).dtype == mx.float16
    assert np.array_equal(np.array(half.read(name)), arrays[theirs][1].T.astype(np.float16))
    want = bits(arrays[theirs])[1].T
    torch = TorchSource(write_torch(tmp_path / "bf16.pt", {k: bits(a) for k, a in arrays.items()}))
    bfloat16 = tensorstore.bfloat16.numpy_dtype
    theirs_flax = {k: bits(a).view(bfloat16) for k, a in flax_arrays().items()}
    flax = FlaxSource(write_flax(tmp_path / "flax", theirs_flax, "bfloat16"))
    for source in (torch, flax):
        assert source.config["torch_dtype"] == "bfloat16"
        assert source.tensors[name].dtype == source.read(name).dtype == mx.bfloat16
        assert np.array_equal(np.array(source.read(name).view(mx.uint16)), want)


def test_a_checkpoint_below_other_things(tmp_path: Path) -> None:
    """As training scripts save them: the model's dictionary beside numbers and an optimizer's tensors."""

    def outer(model: bytes) -> bytes:
        moment = op_tensor("0", 4, (4,), (1,), kind="Long")
        return op_dict({"model_state_dict": model, "optimizer": op_dict({"step": moment}), "epoch": b"K\x01"})

    source = TorchSource(write_torch(tmp_path / "a.pt", golden_arrays(), outer))
    assert np.array_equal(np.array(source.read("model.final_norm.weight")), golden_arrays()["final_norm.scale"])
    two = write_torch(tmp_path / "b.pt", golden_arrays(), lambda m: op_dict({"model": m, "ema": m}))
    assert "holds 2 models ('ema', 'model')" in sentence(lambda: TorchSource(two))


def test_views_of_a_storage_are_followed(tmp_path: Path) -> None:
    """A transposed tensor and one from the middle of a storage that others share."""
    data = np.arange(24, dtype=np.float32)
    ops = {"t": op_tensor("0", 24, (4, 6), (1, 4)), "m": op_tensor("0", 24, (2, 3), (6, 2), offset=7)}
    ops["p"] = b"ctorch._utils\n_rebuild_parameter\n(" + ops["t"] + b"\x88}tR"
    file = TorchFile(write_archive(tmp_path / "a.pt", op_dict(ops), {"0": data.tobytes()}))
    assert np.array_equal(file.read("t"), data.reshape(6, 4).T)
    assert np.array_equal(file.read("p"), file.read("t"))
    assert np.array_equal(file.read("m"), [[7, 9, 11], [13, 15, 17]])


def test_the_padding_of_the_vocabulary_is_cut(tmp_path: Path) -> None:
    arrays = golden_arrays()
    arrays["embedder.input_embedding"] = np.zeros((256_128, 64), np.float16)
    source = TorchSource(write_torch(tmp_path / "a.pt", arrays))
    assert source.config["vocab_size"] == 256_000 and source.config["eos_token_id"] == [1, 107]
    name = "model.embed_tokens.weight"
    assert source.read(name).shape == source.tensors[name].shape == (256_000, 64)


def only(arrays: Mapping[str, np.ndarray], layer: int, count: int) -> Arrays:
    """A model of `count` layers, all of them the given one."""
    kept = {k: a for k, a in arrays.items() if not k.startswith("blocks.")}
    one = {k.split(".", 2)[2]: a for k, a in arrays.items() if k.startswith(f"blocks.{layer}.")}
    return kept | {f"blocks.{i}.{k}": a for i in range(count) for k, a in one.items()}


@pytest.mark.parametrize(("layer", "pattern"), [(0, ["recurrent"]), (2, ["attention"])])
def test_models_of_one_kind_of_layer(tmp_path: Path, layer: int, pattern: list[str]) -> None:
    source = TorchSource(write_torch(tmp_path / "a.pt", only(golden_arrays(), layer, 11)))
    config = ModelConfig.from_dict(source.config)
    assert source.config["block_types"] == pattern and config.num_hidden_layers == 11
    assert (config.num_attention_heads, config.head_dim, config.lru_width) == (4, 16, 64)


# --- refused -------------------------------------------------------------------------------


class Attack:
    """What a hostile file may hold in place of a tensor."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_would_run_a_program_is_refused(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    for attack in (Attack(os.system, f"touch {marker}"), Attack(builtins.eval, f"open({str(marker)!r}, 'w')")):
        content = pickle.dumps({"embedder.input_embedding": attack}, protocol)
        pickle.loads(content)  # it does work
        assert marker.exists()
        marker.unlink()
        path = write_archive(tmp_path / "a.pt", content[2:-1], {})
        text = sentence(lambda path=path: TorchSource(path))
        assert str(path) in text and "refused" in text
        assert "posix.system" in text or ("builtin" in text and ".eval" in text)
        assert not marker.exists()


def test_names_near_the_allowed_ones_are_refused(tmp_path: Path) -> None:
    near = [
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch.storage", "_load_from_bytes"),
        ("collections", "OrderedDict.fromkeys"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch", "\x1b[31mload"),
    ]
    for module, name in near:
        path = write_archive(tmp_path / "a.pt", f"c{module}\n{name}\n)R".encode(), {})
        text = sentence(lambda path=path: TorchFile(path))
        assert f"{module}.{name}".replace("\x1b", "\ufffd") in text


def test_a_pickle_cannot_change_what_reads_it(tmp_path: Path) -> None:
    """BUILD sets attributes of whatever is on the stack."""
    for target in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n"):
        path = write_archive(tmp_path / "a.pt", target + op_dict({"items": b"N", "__call__": b"N"}) + b"b", {})
        assert "damaged" in sentence(lambda path=path: TorchFile(path))
    # On a dictionary it may, as torch does with `_metadata`; that hides no method from us.
    tensor = op_dict({"a": op_tensor("0", 1, (1,), (1,))})
    hiding = b"ccollections\nOrderedDict\n)R(" + tensor[2:] + op_dict({"items": b"N"}) + b"b"
    assert TorchFile(write_archive(tmp_path / "b.pt", hiding, {})).names == ["a"]


def test_one_damaged_byte_does_not_take_all_memory(tmp_path: Path) -> None:
    """The pickle's memo is an array in Python: an index of 2**31 would take 32 GB."""
    content = b"}r" + struct.pack("<I", (1 << 31) - 1)
    assert "memo 2147483647" in sentence(lambda: TorchFile(write_archive(tmp_path / "a.pt", content, {})))


def test_truncated_files(tmp_path: Path) -> None:
    whole = (DEEPMIND / "tiny.pt").read_bytes()
    path = tmp_path / "a.pt"
    for length in (0, 1, 3, 100, 5000, len(whole) // 2, len(whole) - 1, len(whole) - 30):
        path.write_bytes(whole[:length])
        text = sentence(lambda: TorchSource(path))
        assert str(path) in text and ("truncated" in text or "damaged" in text), (length, text)


def test_damaged_files_never_end_in_a_traceback(tmp_path: Path) -> None:
    whole, rng = (DEEPMIND / "tiny.pt").read_bytes(), np.random.default_rng(0)
    path = tmp_path / "a.pt"
    ends = [*range(18000), *range(len(whole) - 12000, len(whole))]  # the pickle, and the archive's directory
    for _ in range(150):
        damaged = bytearray(whole)
        for i in rng.choice(ends, 3):
            damaged[i] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            source = TorchSource(path)
            for name in source.tensors:
                source.read(name)
        except CheckpointError as e:
            assert str(path) in str(e)


def test_formats_that_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    assert "torch.save(torch.load(path, weights_only=True), path)" in sentence(lambda: TorchSource(path))
    path.write_bytes(b"something else")
    assert "not a PyTorch file" in sentence(lambda: TorchSource(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "")
    assert "not one that PyTorch saved" in sentence(lambda: TorchSource(path))
    assert "can't be read" in sentence(lambda: TorchSource(tmp_path / "none.pt"))
    big = write_archive(path, op_dict({}), {}, order=b"big")
    assert "big-endian" in sentence(lambda: TorchSource(big))


def test_a_compressed_member_is_refused(tmp_path: Path) -> None:
    path, name = tmp_path / "a.pt", "embedder.input_embedding"
    with zipfile.ZipFile(DEEPMIND / "tiny.pt") as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            method = zipfile.ZIP_DEFLATED if info.filename == "tiny/data/0" else zipfile.ZIP_STORED
            new.writestr(info.filename, old.read(info), method)
    assert "tiny/data/0 compressed" in sentence(lambda: TorchFile(path).read(name))


@pytest.mark.parametrize(
    ("ops", "says"),
    [
        (op_tensor("0", 6, (2, 3), (3, 1), offset=1), "does not lie within its storage"),
        (op_tensor("0", 6, (2, 3), (4, 1)), "does not lie within its storage"),
        (op_tensor("0", 6, (2, 3), (-3, 1), offset=3), "does not lie within its storage"),
        (op_tensor("0", 6, (2, 3), (3, 1), offset=-1), "does not lie within its storage"),
        (op_tensor("0", 6, (2, 3), (3,)), "does not lie within its storage"),
        (op_tensor("0", 6, (1 << 60, 1 << 60), (0, 0)), "does not lie within its storage"),
        (op_tensor("0", 7, (7,), (1,)), "is truncated (4 bytes are missing)"),
        (op_tensor("1", 6, (6,), (1,)), "has no data in the file (model/data/1)"),
        (op_tensor("0", 3, (3,), (1,), kind="Long"), "holds int64 numbers"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR", "has no storage"),
    ],
)
def test_a_tensor_outside_its_storage(tmp_path: Path, ops: bytes, says: str) -> None:
    path = write_archive(tmp_path / "a.pt", op_dict({"w": ops}), {"0": bytes(24)})
    for ask in (TorchFile(path).describe, TorchFile(path).read):
        assert sentence(lambda ask=ask: ask("w")).startswith(f"{path}: the tensor w {says}")


def changed(form: str, directory: Path, change: Callable[[Arrays], object]) -> Callable[[], Source]:
    """The golden checkpoint with some tensors changed."""
    arrays = golden_arrays() if form == "torch" else flax_arrays()
    change(arrays)
    if form == "torch":
        path = write_torch(directory / "a.pt", arrays)
        return lambda: TorchSource(path)
    path = write_flax(directory / "flax", arrays)
    return lambda: FlaxSource(path)


@pytest.mark.parametrize("form", ["torch", "flax"])
@pytest.mark.parametrize(
    "name",
    [
        "embedder.input_embedding",
        "final_norm.scale",
        "blocks.0.mlp_block.ffw_up.w",
        "blocks.4.recurrent_block.conv_1d.b",
    ],
)
def test_a_missing_and_a_misshapen_tensor_are_named(tmp_path: Path, form: str, name: str) -> None:
    missing = changed(form, tmp_path / "a" if form == "flax" else tmp_path, lambda arrays: arrays.pop(name))
    assert f"the tensor {name} is missing: download the model again" in sentence(missing)
    wrong = changed(form, tmp_path / "b" if form == "flax" else tmp_path, lambda a: a.update({name: a[name][..., :-1]}))
    text = sentence(wrong)
    if "embedding" not in name and "ffw_up" not in name:  # the others are compared with these two
        assert f"the tensor {name} has shape" in text
    assert "has shape" in text and "the other tensors ask for" in text


@pytest.mark.parametrize("form", ["torch", "flax"])
def test_an_unknown_tensor_and_a_missing_layer_are_named(tmp_path: Path, form: str) -> None:
    a, b = (tmp_path / "a", tmp_path / "b") if form == "flax" else (tmp_path, tmp_path)
    unknown = changed(form, a, lambda a: a.update({"blocks.1.lora": np.zeros(3, np.float32)}))
    assert "the tensor blocks.1.lora is not part of RecurrentGemma (1 such tensors)" in sentence(unknown)

    def drop(arrays: Arrays) -> None:
        for name in [name for name in arrays if name.startswith("blocks.3.")]:
            del arrays[name]

    text = sentence(changed(form, b, drop))
    assert "the tensor blocks.3.recurrent_block or attention_block is missing" in text


def test_damaged_flax_checkpoints(tmp_path: Path) -> None:
    zarr = Path(shutil.copytree(DEEPMIND / "flax-zarr", tmp_path / "zarr"))
    (zarr / "final_norm.scale" / "0").unlink()
    source = FlaxSource(zarr)
    # Not zeros in silence.
    assert f"{zarr}: the tensor final_norm.scale can't be read" in sentence(
        lambda: source.read("model.final_norm.weight")
    )
    (zarr / "final_norm.scale" / ".zarray").write_text("{")
    assert "the tensor final_norm.scale can't be read" in sentence(lambda: FlaxSource(zarr))
    flax = Path(shutil.copytree(DEEPMIND / "flax", tmp_path / "flax"))
    data = max((flax / "ocdbt.process_0" / "d").iterdir(), key=lambda p: p.stat().st_size)
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    source = FlaxSource(flax)
    assert "can't be read" in sentence(lambda: [source.read(name) for name in source.tensors])
    (flax / "manifest.ocdbt").write_bytes(b"rubbish")
    assert "manifest.ocdbt can't be read" in sentence(lambda: FlaxSource(flax))
    assert "holds no tensor" in sentence(lambda: FlaxSource(tmp_path / "nothing"))


def test_without_tensorstore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorstore", None)
    assert "pip install tensorstore" in sentence(lambda: FlaxSource(DEEPMIND / "flax"), RgmlxError)
    TorchSource(DEEPMIND / "tiny.pt")  # needs it not
    monkeypatch.setattr(sys, "version_info", (3, 15, 0))
    said = sentence(lambda: FlaxSource(DEEPMIND / "flax"), RgmlxError)
    monkeypatch.undo()
    assert "no wheel for this Python: convert with Python 3.14 or older" in said  # pip would install nothing
