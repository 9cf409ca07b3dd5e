"""A state as bytes, whole or as what changed since another one.

    shapes   B batch   G key heads   R ring slots   E head size

Pure: knows states, and neither files nor databases. A ring holds the key of position p in slot
p mod R and leaves its other slots alone, so a later state of the same text differs from an earlier one
in the slots of the tokens between them; all else is small and written whole.

Which slots changed is found by looking, not by counting positions: two states at fitting positions may
come from different texts (one read again, one sampled), and a delta between them must be exact as well.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from ...errors import StateError
from ...griffin.config import ATTENTION
from ...griffin.state import Owner, State
from ...settings import RECENT
from ...system.process import work

_MAGIC = b"rgd1"
_DAMAGED = "this snapshot is damaged: it can't be used"
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Form:
    """What an array of a state looks like."""

    ring: bool
    dtype: str
    shape: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        return int(getattr(mx, self.dtype).size)

    @property
    def row_bytes(self) -> int:
        """Bytes of a slot [B, R] of a ring, or of a row [B] of anything else."""
        whole = self.itemsize * int(np.prod(self.shape, dtype=np.int64))
        return whole // (self.shape[0] * (self.shape[2] if self.ring else 1))


@dataclass(frozen=True)
class Packed:
    """A state outside MLX: the bits of its arrays, rings as [B, R, bytes] and others as [B, bytes]."""

    forms: tuple[Form, ...]
    arrays: tuple[Bytes, ...]
    positions: tuple[int, ...]
    recent: tuple[tuple[int, ...], ...]

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in self.arrays)

    def digest(self) -> bytes:
        """A hash of everything in it."""
        h = blake2b(json.dumps(_header(self)).encode(), digest_size=16)
        for array in self.arrays:
            h.update(array.reshape(-1).data)
        return h.digest()


def forms_of(state: State) -> tuple[Form, ...]:
    """The forms of a state's arrays, in the order of `State.arrays`."""
    types = state.owner.config.layer_types
    rings = [False, *chain.from_iterable([t == ATTENTION] * 2 for t in types)]
    pairs = zip(rings, state.arrays(), strict=True)
    return tuple(Form(ring, str(a.dtype).removeprefix("mlx.core."), tuple(a.shape)) for ring, a in pairs)


def pack(state: State) -> Packed:
    """Copies a state out of MLX, bit for bit."""
    state = state.copy()  # another thread may be advancing it
    forms = forms_of(state)
    arrays = []
    for form, array in zip(forms, state.arrays(), strict=True):
        batch, row = form.shape[0], form.row_bytes
        with work():
            bits: Bytes = np.array(array.view(mx.uint8)) if array.size else np.zeros((batch, 0), np.uint8)
        if form.ring:
            bits = np.ascontiguousarray(bits.transpose(0, 2, 1, 3)).reshape(batch, form.shape[2], row)
        else:
            bits = bits.reshape(batch, row)
        arrays.append(bits)
    return Packed(forms, tuple(arrays), tuple(state.positions), tuple(tuple(r) for r in state.recent))


def unpack(packed: Packed, owner: Owner) -> State:
    """The state, for the model it belongs to. Raises StateError: it is another model's."""
    state = State(owner, len(packed.positions))
    if forms_of(state) != packed.forms:
        raise StateError("this snapshot belongs to another model: it can't be used with this one")
    found = []
    for form, bits, blank in zip(packed.forms, packed.arrays, state.arrays(), strict=True):
        if not blank.size:
            found.append(blank)
            continue
        if form.ring:
            b, g, r, e = form.shape
            bits = np.ascontiguousarray(bits.reshape(b, r, g, e * form.itemsize).transpose(0, 2, 1, 3))
        else:
            bits = bits.reshape(*form.shape[:-1], form.shape[-1] * form.itemsize)
        found.append(mx.array(bits).view(blank.dtype))
    with work():
        mx.eval(found)
    state.hidden, rest = found[0], found[1:]
    state.layers = list(zip(rest[::2], rest[1::2], strict=True))
    state.positions = list(packed.positions)
    state.recent = [deque(ids, maxlen=RECENT) for ids in packed.recent]
    return state


def encode(packed: Packed, base: Packed | None = None) -> bytes | None:
    """Writes a state: whole, or as what is different from `base`.

    Returns:
        None for a delta that would be no smaller than the whole: of other forms, or with a new ring.
    """
    header = _header(packed)
    if base is None:
        header["delta"] = False
        return b"".join(_frame(header, packed.arrays))
    if base.forms != packed.forms:
        return None
    changed = changed_slots(packed, base)
    if changed is None or changed.all():
        return None
    header["delta"] = True
    parts = (a[changed] if form.ring else a for form, a in zip(packed.forms, packed.arrays, strict=True))
    return b"".join(_frame(header, [np.packbits(changed), *parts]))


def decode(data: bytes, base: Packed | None = None, *, consume: bool = False) -> Packed:
    """Reads what `encode` wrote; `base` is the state a delta was made against.

    Args:
        consume: the base is not needed any more: its rings may be changed in place, which saves a copy.

    Raises:
        StateError: the bytes are damaged, or this is a delta and the base does not fit.
    """
    try:
        if data[:4] != _MAGIC:
            raise ValueError
        (length,) = struct.unpack_from("<I", data, 4)
        header = json.loads(data[8 : 8 + length])
        forms = tuple(Form(bool(r), str(d), tuple(int(n) for n in s)) for r, d, s in header["forms"])
        positions = tuple(int(p) for p in header["positions"])
        recent = tuple(tuple(int(i) for i in ids) for ids in header["recent"])
        rest = memoryview(data)[8 + length :]
        arrays = _whole(rest, forms) if not header["delta"] else _applied(rest, forms, base, consume)
    except (ValueError, LookupError, TypeError, AttributeError, struct.error, RecursionError, ZeroDivisionError):
        raise StateError(_DAMAGED) from None
    return Packed(forms, arrays, positions, recent)


def changed_slots(packed: Packed, base: Packed) -> NDArray[np.bool_] | None:
    """Which slots [B, R] differ in any ring; None for a model without rings."""
    changed: NDArray[np.bool_] | None = None
    for form, new, old in zip(packed.forms, packed.arrays, base.arrays, strict=True):
        if form.ring:
            width = np.uint64 if form.row_bytes % 8 == 0 else np.uint8
            differs = (new.view(width) != old.view(width)).any(axis=-1)
            changed = differs if changed is None else changed | differs
    return changed


def _header(packed: Packed) -> dict[str, Any]:
    forms = [[f.ring, f.dtype, list(f.shape)] for f in packed.forms]
    return {"forms": forms, "positions": list(packed.positions), "recent": [list(r) for r in packed.recent]}


def _frame(header: dict[str, Any], arrays: Any) -> Iterator[bytes]:
    text = json.dumps(header, separators=(",", ":")).encode()
    yield _MAGIC + struct.pack("<I", len(text)) + text
    for array in arrays:
        yield array.tobytes()


def _take(rest: memoryview, shape: tuple[int, ...]) -> tuple[Bytes, memoryview]:
    size = int(np.prod(shape, dtype=np.int64))
    if size < 0 or len(rest) < size:
        raise ValueError
    return np.frombuffer(rest[:size], np.uint8).reshape(shape), rest[size:]


def _whole(rest: memoryview, forms: tuple[Form, ...]) -> tuple[Bytes, ...]:
    arrays = []
    for form in forms:
        shape = (form.shape[0], form.shape[2], form.row_bytes) if form.ring else (form.shape[0], form.row_bytes)
        array, rest = _take(rest, shape)
        arrays.append(array)
    if rest:
        raise ValueError
    return tuple(arrays)


def _applied(rest: memoryview, forms: tuple[Form, ...], base: Packed | None, consume: bool) -> tuple[Bytes, ...]:
    if base is None or base.forms != forms:
        raise ValueError
    batch, slots = next((f.shape[0], f.shape[2]) for f in forms if f.ring)
    bits, rest = _take(rest, ((batch * slots + 7) // 8,))
    changed = np.unpackbits(bits, count=batch * slots).astype(bool).reshape(batch, slots)
    arrays = []
    for form, old in zip(forms, base.arrays, strict=True):
        if form.ring:
            new = old if consume and old.flags.writeable else old.copy()
            new[changed], rest = _take(rest, (int(changed.sum()), form.row_bytes))
        else:
            new, rest = _take(rest, (form.shape[0], form.row_bytes))
        arrays.append(new)
    if rest:
        raise ValueError
    return tuple(arrays)
