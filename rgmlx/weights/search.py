"""Which models others have published that this program can load: asked of Hugging Face, when the user says so.

One request, of the same form as `HfApi.list_models` makes. Not that call itself: it waits for ever for a server that does not
answer, asks a busy one six times, and one entry that it can't read costs all the others. What comes back is a stranger's: an
entry that is not of the form that is known is left out, and a name that no repository can have is never shown.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelNotFoundError
from . import account
from .parts import Cancelled
from .quiet import quiet
from .refusals import not_searched

MODEL_TYPE = "recurrent_gemma"
MOST = 100
"""Models that are asked for: those that are downloaded most."""
_MAX_BYTES = 8_000_000  # of an answer; a hundred models take about one
_SECONDS = 15.0  # without a byte
_ALL_SECONDS = 30.0
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_EXPAND = ("config", "downloads", "gated", "safetensors", "siblings", "tags", "disabled")
_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
_BYTES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
_SAID = re.compile(r"(?<!\d)([2-8])-?bit(?![a-z])")
_DTYPES = {"BF16": "bf16", "F16": "f16", "F32": "f32"}
_MAX_COUNT = 2**53


@dataclass(frozen=True)
class Published:
    """A model of Hugging Face's that can be loaded.

    Attributes:
        name: owner/name, which `obtain` takes.
        size: bytes of its weights; 0 where it is not known.
        bits: "4-bit", "bf16"; "?" where it is not known.
        downloads: in the last month.
        gated: whether its terms have to be accepted first.
        quantized: whether it is used as it is; else it is made into 4 bits.
    """

    name: str
    size: int
    bits: str
    downloads: int
    gated: bool
    quantized: bool


def search(words: str = "", cancelled: Callable[[], bool] = lambda: False) -> list[Published]:
    """Asks for models, the most downloaded first.

    Args:
        words: a text that the names contain; "" for any.
        cancelled: asked now and then.

    Raises:
        Cancelled: `cancelled` said so.
        RgmlxError: Hugging Face could not be asked; one sentence says why and what to do.
    """
    try:
        with quiet():
            answer = _answer(words, cancelled)
    except (Cancelled, ModelNotFoundError):
        raise
    except Exception as e:  # the HTTP library's own errors have no common base with the others
        raise not_searched(e) from None
    try:
        entries = json.loads(answer)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        raise not_searched(None)
    found = {one.name: one for one in _loadable(entries)}
    return sorted(found.values(), key=lambda one: -one.downloads)


def _answer(words: str, cancelled: Callable[[], bool]) -> bytes:
    from huggingface_hub import constants
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import get_session

    query: dict[str, Any] = {"filter": MODEL_TYPE, "sort": "downloads", "limit": MOST, "expand": list(_EXPAND)}
    if words:
        query["search"] = words
    begun, taken = time.monotonic(), bytearray()
    headers = build_hf_headers(token=account.token())
    address = f"{constants.ENDPOINT}/api/models"
    with get_session().stream("GET", address, params=query, headers=headers, timeout=_SECONDS) as response:
        if response.status_code != 200:
            raise not_searched(None, response.status_code)
        for chunk in response.iter_bytes():
            taken += chunk
            if cancelled():
                raise Cancelled("the search was stopped")
            if len(taken) > _MAX_BYTES or time.monotonic() - begun > _ALL_SECONDS:
                raise not_searched(None)
    return bytes(taken)


def _loadable(entries: list[Any]) -> Iterator[Published]:
    for entry in entries[:MOST]:
        if not isinstance(entry, dict):
            continue
        name, config = entry.get("id"), entry.get("config")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(config, dict):
            continue
        if config.get("model_type") != MODEL_TYPE or entry.get("disabled") or not _has_files(entry):
            continue
        form = _form(name, config, entry)
        if form is not None:
            bits, quantized = form
            downloads, gated = _count(entry.get("downloads")), bool(entry.get("gated"))
            yield Published(name, _size(entry), bits, downloads, gated, quantized)


def _has_files(entry: Mapping[str, Any]) -> bool:
    """Whether it has weights that can be read here, and what belongs to them."""
    siblings = entry.get("siblings")
    if not isinstance(siblings, list):
        return "safetensors" in _tags(entry)
    files = {str(one.get("rfilename")) for one in siblings if isinstance(one, dict)}
    weights = any(file.endswith(".safetensors") and not file.startswith("adapter") for file in files if "/" not in file)
    return weights and "config.json" in files and bool(files & {"tokenizer.model", "tokenizer.json"})


def _form(name: str, config: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Bits of a weight, and whether they are quantized as MLX does it; None where that is of another form."""
    quantization = config.get("quantization", config.get("quantization_config"))
    counts = _counts(entry)
    if quantization is not None:
        bits = (
            quantization.get("bits") if isinstance(quantization, dict) and "quant_method" not in quantization else None
        )
        return (f"{bits}-bit", True) if type(bits) is int and 0 < bits < 16 else None
    if "U32" in counts:  # packed; Hugging Face leaves out of a configuration what it does not know
        said = next((found for text in [*_tags(entry), name] if (found := _SAID.search(text))), None)
        return (f"{said[1]}-bit" if said else "?", True) if "mlx" in _tags(entry) else None
    return (_DTYPES.get(max(counts, key=counts.__getitem__), "?") if counts else "?"), False


def _tags(entry: Mapping[str, Any]) -> list[str]:
    tags = entry.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _counts(entry: Mapping[str, Any]) -> dict[str, int]:
    safetensors = entry.get("safetensors")
    counts = safetensors.get("parameters") if isinstance(safetensors, dict) else None
    return {str(k): _count(v) for k, v in counts.items()} if isinstance(counts, dict) else {}


def _size(entry: Mapping[str, Any]) -> int:
    counts = _counts(entry)
    known = all(dtype in _BYTES for dtype in counts)
    return min(sum(_BYTES[dtype] * count for dtype, count in counts.items()), _MAX_COUNT) if known else 0


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= _MAX_COUNT else 0
