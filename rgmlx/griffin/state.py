"""The fixed-size state of a sequence: copy, save, load.

    shapes   B batch   R ring slots (window + 1)   L lru_width   K conv width   D hidden size

Everything RecurrentGemma remembers of the text so far, at the same size after one token as after a
billion (17.2 MB for 2B in bfloat16):

    attention layer    keys, values   [B, kv_heads, R, head_dim]    slot = position mod R
    recurrent layer    conv, h        [B, K-1, L] and float32 [B, L]
    hidden             [B, D]         the last token's output, from which the next one is sampled

MLX arrays are never written in place here: a step makes new arrays and puts them into the state. A
copy therefore shares memory until either side moves on, and costs nothing.
"""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import numpy as np

from ..errors import StateError
from ..settings import RECENT
from ..system.atomic import Busy
from ..system.files import load_arrays, save_arrays
from ..system.paths import expanded
from ..system.process import work
from ..system.reading import parse_json
from .config import ATTENTION, ModelConfig

_FORMAT, _VERSION = "rgmlx-state", "1"


class Owner(Protocol):
    """What a state needs to know of its model."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def identity(self) -> dict[str, str]: ...
    @property
    def compute_dtype(self) -> mx.Dtype: ...


class State:
    """The state of one batch of sequences. Made by `Model.new_state`, advanced by the model.

    Attributes:
        layers: one pair of arrays a layer (keys and values, or conv tail and RG-LRU state).
        hidden: the last token's output, in the compute dtype [B, D].
        positions: tokens consumed so far, one whole number a row; exact without limit.
        recent: the last 256 token ids of each row.
        busy: taken by whoever advances it.
    """

    def __init__(self, owner: Owner, batch_size: int = 1) -> None:
        config, dtype = owner.config, owner.compute_dtype
        self.owner = owner
        self.layers: list[tuple[mx.array, mx.array]] = [
            empty_layer(config, t, batch_size, dtype) for t in config.layer_types
        ]
        self.hidden = mx.zeros((batch_size, config.hidden_size), dtype)
        self.positions = [0] * batch_size
        self.recent: list[deque[int]] = [deque(maxlen=RECENT) for _ in range(batch_size)]
        self.busy = _busy()

    @property
    def batch_size(self) -> int:
        return len(self.positions)

    @property
    def position(self) -> int:
        """Tokens consumed so far. Raises StateError when the rows of a batch differ."""
        if len(set(self.positions)) != 1:
            raise StateError("the rows of this batch stand at different positions: use state.positions")
        return self.positions[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; the same before the first token and after any number of them."""
        return self.hidden.nbytes + sum(a.nbytes + b.nbytes for a, b in self.layers)

    def arrays(self) -> list[mx.array]:
        """All arrays, in a fixed order."""
        return [self.hidden, *(x for pair in self.layers for x in pair)]

    def remember(self, rows: Iterable[Sequence[int]]) -> None:
        """Notes consumed token ids, for repetition penalties."""
        for recent, ids in zip(self.recent, rows, strict=True):
            recent.extend(ids[-RECENT:])

    def copy(self) -> State:
        """An independent state at the same point. Shares memory until one of the two moves on."""
        now = vars(self).copy()  # in one step: another thread may be advancing it
        return self._with(list(now["layers"]), now["hidden"], list(now["positions"]), [r.copy() for r in now["recent"]])

    def become(self, other: State) -> None:
        """Moves to where another state stands, which is not used any more.

        One step, which no interrupt cuts in two and no other thread sees half of.
        """
        point = {name: vars(other)[name] for name in ("layers", "hidden", "positions", "recent")}
        vars(self).update(point)

    def rows(self, keep: Sequence[int]) -> State:
        """A state of only the given rows, in that order."""
        index = mx.array(list(keep), mx.int32)
        return self._with(
            [(a[index], b[index]) for a, b in self.layers],
            self.hidden[index],
            [self.positions[i] for i in keep],
            [self.recent[i].copy() for i in keep],
        )

    @classmethod
    def joined(cls, states: Sequence[State]) -> State:
        """One batch of the rows of several states of one model, in their order."""
        return states[0]._with(
            [
                (mx.concatenate([a for a, _ in pairs]), mx.concatenate([b for _, b in pairs]))
                for pairs in zip(*(s.layers for s in states), strict=True)
            ],
            mx.concatenate([s.hidden for s in states]),
            [position for s in states for position in s.positions],
            [recent.copy() for s in states for recent in s.recent],
        )

    def _with(
        self,
        layers: list[tuple[mx.array, mx.array]],
        hidden: mx.array,
        positions: list[int],
        recent: list[deque[int]],
    ) -> State:
        new = State.__new__(State)
        new.owner, new.layers, new.hidden, new.positions, new.recent = self.owner, layers, hidden, positions, recent
        new.busy = _busy()
        return new

    # --- files ----------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes the state to one safetensors file, atomically.

        The header names the weights, quantization, tokenizer and dtype that the state belongs to.

        Raises:
            StateError: the file can't be written; what was there before is unchanged.
        """
        save_states(path, {"": self}, {})

    @classmethod
    def load(cls, path: str | Path, model: Owner) -> State:
        """Reads a state written by `save`.

        Raises:
            StateError: the file is missing, truncated or not a state, or was made with other
                weights, quantization, tokenizer or dtype; the sentence says which.
        """
        states, _ = load_states(path, model)
        if "" not in states:
            raise StateError(f"{path} holds a chat, not a single state: open it with Chat.load")
        return states[""]


def _busy() -> Busy:
    return Busy(StateError, "this state is being advanced, maybe in another thread: give each thread a copy of it")


def empty_layer(config: ModelConfig, kind: str, batch: int, dtype: mx.Dtype) -> tuple[mx.array, mx.array]:
    """The zero state of one layer of the given kind."""
    if kind == ATTENTION:
        shape = (batch, config.num_key_value_heads, config.ring_size, config.head_dim)
        return mx.zeros(shape, dtype), mx.zeros(shape, dtype)
    return (
        mx.zeros((batch, config.conv1d_width - 1, config.lru_width), dtype),
        mx.zeros((batch, config.lru_width), mx.float32),
    )


def _names(config: ModelConfig) -> list[str]:
    pairs = {ATTENTION: ("keys", "values")}
    return ["hidden"] + [
        f"layers.{i}.{part}" for i, t in enumerate(config.layer_types) for part in pairs.get(t, ("conv", "h"))
    ]


def save_states(path: str | Path, states: Mapping[str, State], extra: Mapping[str, Any]) -> None:
    """Writes named states and a JSON value into one file. Arrays that states share are written once.

    Raises:
        StateError: the file can't be written.
    """
    arrays: dict[str, mx.array] = {}
    table: dict[str, Any] = {}
    stored: dict[int, str] = {}
    identity: dict[str, str] = {}
    for key, moving in states.items():
        state = moving.copy()  # another thread may be advancing it
        identity = state.owner.identity
        tensors = {}
        for name, array in zip(_names(state.owner.config), state.arrays(), strict=True):
            full = stored.setdefault(id(array), f"{key}/{name}" if key else name)
            if array.size:  # conv1d_width 1 has no conv tail
                arrays[full] = array
            tensors[name] = full
        table[key] = {"positions": state.positions, "recent": [list(r) for r in state.recent], "tensors": tensors}
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "identity": json.dumps(identity),
        "states": json.dumps(table),
        "extra": json.dumps(extra),
    }
    with work():
        metadata["checksum"] = _checksum(arrays, metadata)
        save_arrays(expanded(path), arrays, metadata, StateError)


def load_states(path: str | Path, owner: Owner) -> tuple[dict[str, State], Any]:
    """Reads what `save_states` wrote. Raises StateError."""
    with work():
        return _load_states(expanded(path), owner)


def _load_states(path: Path, owner: Owner) -> tuple[dict[str, State], Any]:
    arrays, metadata = load_arrays(path, StateError)
    if metadata.get("format") != _FORMAT:
        raise StateError(f"{path} is not a saved state of rgmlx")
    if metadata.get("version") != _VERSION:
        raise StateError(f"{path} was written by a newer rgmlx: update rgmlx to read it")
    try:
        identity, table, extra = (parse_json(metadata[name]) for name in ("identity", "states", "extra"))
        if what := differing(identity, owner.identity):
            raise StateError(
                f"{path} belongs to a model with other {what} (saved with {identity[what]}, this model has "
                f"{owner.identity[what]}): load it with the model it was saved with"
            )
        states = {key: _read(owner, arrays, entry) for key, entry in table.items()}
        if metadata.pop("checksum") != _checksum(arrays, metadata):
            raise StateError(f"{path} is damaged (its checksum does not match): {StateError.remedy}")
    except StateError as e:
        raise StateError(str(e) if str(e).startswith(str(path)) else f"{path}: {e}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StateError(f"{path} has a damaged header: {StateError.remedy}") from None
    # Materialised here: an array left lazy belongs to this thread, and would read a file that may change.
    mx.eval([s.arrays() for s in states.values()])
    return states, extra


def differing(identity: Mapping[str, str], other: Mapping[str, str]) -> str:
    """In what two models differ, so that neither can go on from a state of the other; "" for nothing."""
    return next(
        (what for what in ("weights", "quantization", "tokenizer", "dtype") if identity[what] != other[what]), ""
    )


def _checksum(arrays: Mapping[str, mx.array], metadata: Mapping[str, str]) -> str:
    """CRC-32 over all tensors and texts of a file: notices what the disk or a copy did to it."""
    crc = zlib.crc32(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(arrays):
        crc = zlib.crc32(np.array(arrays[name].reshape(-1).view(mx.uint8)).tobytes(), crc)
    return f"{crc:08x}"


def _read(owner: Owner, arrays: Mapping[str, mx.array], entry: Mapping[str, Any]) -> State:
    positions, recent = entry["positions"], entry["recent"]
    if not (0 < len(positions) == len(recent) and whole(positions, 2**63)):
        raise ValueError
    if not all(len(ids) <= RECENT and whole(ids, owner.config.vocab_size) for ids in recent):
        raise ValueError
    state = State(owner, len(positions))
    found = []
    for name, blank in zip(_names(owner.config), state.arrays(), strict=True):
        array = arrays[entry["tensors"][name]] if blank.size else blank
        if array.shape != blank.shape or array.dtype != blank.dtype:
            raise StateError(f"{name} is {array.dtype} {array.shape}, this model needs {blank.dtype} {blank.shape}")
        found.append(array)
    state.hidden, rest = found[0], found[1:]
    state.layers = list(zip(rest[::2], rest[1::2], strict=True))
    state.positions = positions
    state.remember(recent)
    return state


def whole(values: Any, below: int) -> bool:
    """Whether this, from a file, is a list of whole numbers from 0 to below that."""
    return isinstance(values, list) and all(type(v) is int and 0 <= v < below for v in values)
