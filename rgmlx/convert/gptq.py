"""Error-compensated quantization of one matrix: GPTQ, in MLX's affine format.

    shapes   O outputs   I inputs   S group size   G groups of S inputs (I / S)

Rounding a weight shifts the layer's output, and the weights that are still to be rounded can take most of that back,
because a layer's inputs are correlated. What is minimised is the squared error of the outputs on calibration text,
trace(E H E^T) with E = weight - rounded weight and H = sum of x x^T over the layer's inputs; rounding to the nearest
value, as `mx.quantize` does, is what remains of it when H is the identity.

The method is GPTQ (Frantar et al., arXiv:2210.17323), written as the nearest-plane algorithm that it is (Chen et al.,
arXiv:2507.18553): with H = R R^T, R upper triangular, the loss is the sum of squares of E R, whose column j depends on
columns 0..j of E only, so columns are rounded one after another, each to cancel what came before. No inverse of H is
needed, and a group of columns takes one product with all columns before it. A sweep of coordinate descent afterwards
rounds every column again with the final errors of all others in view, and refits scales and biases.

Knows matrices, and nothing of layers, models or files.
"""

from __future__ import annotations

from typing import NamedTuple

import mlx.core as mx
import numpy as np

_DAMPING = 0.1  # of the mean diagonal, added to it: how little the calibration text is believed
_DAMPING_MOST = 1e4  # from here on H is nothing but its diagonal
_SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)  # of a group's range, tried by `_grid`
_SWEEPS = 2
_ROWS = 4096  # of a matrix at once: an embedding's 256,000 would take many times its own memory
_WORD = 32


class Quantized(NamedTuple):
    """A matrix as `mx.quantize` returns it: codes uint32 [O, I * bits / 32], scales and biases [O, G]."""

    codes: mx.array
    scales: mx.array
    biases: mx.array


class _Grid(NamedTuple):
    """The values that a group may take, code * scale + bias, for each output: float32 [O], exact in the target dtype."""

    scale: np.ndarray
    bias: np.ndarray

    def codes(self, values: np.ndarray, most: int) -> np.ndarray:
        """The nearest codes, as float32, of values [..., O]."""
        scale = np.where(self.scale == 0, np.float32(1), self.scale)
        codes = values - self.bias
        codes /= scale
        np.rint(codes, out=codes)
        return np.clip(codes, 0, most, out=codes)

    def values(self, codes: np.ndarray) -> np.ndarray:
        return codes * self.scale + self.bias


def compensated(
    weight: mx.array,
    hessian: np.ndarray,
    group_size: int,
    bits: int,
    dtype: mx.Dtype = mx.bfloat16,
    damping: float = _DAMPING,
    sweeps: int = _SWEEPS,
) -> Quantized:
    """Quantizes a matrix so that its products with the calibration inputs change little.

    Args:
        weight: [O, I], any float dtype.
        hessian: [I, I], the sum of x x^T of the layer's inputs; its scale does not matter. All zero: plain rounding.
        group_size: inputs that share a scale and a bias; divides I.
        bits: 2, 3, 4, 5, 6 or 8.
        dtype: of scales and biases, which are rounded to it before codes are chosen.
        damping: added to H's diagonal, in units of its mean.
        sweeps: how often all columns are rounded again afterwards; 0 is GPTQ alone.

    Returns:
        What `mx.dequantize` and `mx.quantized_matmul` take; the same input always gives the same bits.

    Raises:
        ValueError: shapes, group size or bits do not fit, or there are NaN or infinite values.
    """
    outs, ins = weight.shape
    if hessian.shape != (ins, ins):
        raise ValueError(f"a matrix with {ins} inputs has no use for a Hessian of shape {hessian.shape}")
    if bits not in (2, 3, 4, 5, 6, 8) or group_size not in (32, 64, 128) or ins % group_size:
        raise ValueError(f"{bits} bits in groups of {group_size} do not fit a matrix with {ins} inputs")
    if not np.isfinite(hessian).all() or not mx.isfinite(weight).all():
        raise ValueError("the matrix or its Hessian holds NaN or infinite values")
    order = processing_order(np.diagonal(hessian), group_size)
    h, root = _damped_root(hessian, order, damping)
    back = np.argsort(order)
    first = back[::group_size] // group_size  # where the groups of the matrix went in the order
    most = 2**bits - 1
    words, scales, biases = [], [], []
    for start in range(0, outs, _ROWS):  # outputs are independent
        rows = np.array(weight[start : start + _ROWS].astype(mx.float32))
        columns = np.ascontiguousarray(rows.T[order])
        codes, errors, grids = _nearest_plane(columns, root, group_size, most, dtype)
        for _ in range(sweeps):
            _sweep(columns, h, codes, errors, grids, group_size, most, dtype)
        words.append(pack(codes[back].T, bits))
        scales.append(np.stack([grids[g].scale for g in first], axis=1))
        biases.append(np.stack([grids[g].bias for g in first], axis=1))
    return Quantized(
        mx.array(np.concatenate(words)),
        mx.array(np.concatenate(scales)).astype(dtype),
        mx.array(np.concatenate(biases)).astype(dtype),
    )


def processing_order(diagonal: np.ndarray, group_size: int) -> np.ndarray:
    """The order in which columns are rounded: groups with large inputs first, and so within a group.

    What is rounded first is compensated most. GPTQ's "activation order" sorts single columns; sorting whole groups
    keeps MLX's contiguous groups, and a group's scale can still be chosen when its turn comes.
    """
    groups = diagonal.reshape(-1, group_size)
    inside = np.argsort(-groups, axis=1, kind="stable")
    outside = np.argsort(-groups.mean(axis=1), kind="stable")
    return (inside + np.arange(len(groups))[:, None] * group_size)[outside].reshape(-1)


def _damped_root(hessian: np.ndarray, order: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """H in the given order with its mean diagonal 1 and damped, and R with H = R R^T, upper triangular; float32 both.

    Columns whose input is always zero have the damping alone on the diagonal: they are rounded plainly. A Hessian
    that has no root even so (rounding errors of a large sum) is damped ten times more until it has one.
    """
    h = hessian[np.ix_(order, order)].astype(np.float64)
    mean = float(np.diagonal(h).mean())
    if mean <= 0:
        eye = np.eye(len(h), dtype=np.float32)
        return eye, eye
    h /= mean
    added, diagonal = 0.0, np.arange(len(h))
    while True:
        h[diagonal, diagonal] += damping - added
        added = damping
        try:
            # The Cholesky factor of H turned by 180 degrees, turned back, is upper instead of lower triangular.
            root = np.linalg.cholesky(h[::-1, ::-1])[::-1, ::-1]
            return h.astype(np.float32), np.ascontiguousarray(root, dtype=np.float32)
        except np.linalg.LinAlgError:
            damping = max(10 * damping, 1e-6)
            if damping > _DAMPING_MOST:
                raise ValueError("the Hessian is not positive, whatever its damping") from None


def _nearest_plane(
    columns: np.ndarray, root: np.ndarray, group_size: int, most: int, dtype: mx.Dtype
) -> tuple[np.ndarray, np.ndarray, list[_Grid]]:
    """Rounds columns [I, O] in order. Returns codes uint8 [I, O], errors [I, O] and the groups' grids."""
    codes, errors = np.empty(columns.shape, np.uint8), np.empty_like(columns)
    grids = []
    for start in range(0, len(columns), group_size):
        group = slice(start, start + group_size)
        r, own = root[group, group], columns[group]
        carried = root[:start, group].T @ errors[:start]
        # Where this group would go, if its weights were not rounded: there every earlier error is cancelled.
        wanted = own + np.linalg.solve(r.T, carried)
        grid = _grid(wanted, np.diagonal(r) ** 2, most, dtype)
        for k in range(group_size):
            value = carried[k] + r[:k, k] @ errors[start : start + k]
            value /= r[k, k]
            value += own[k]
            code = grid.codes(value, most)
            codes[start + k] = code
            errors[start + k] = own[k] - grid.values(code)
        grids.append(grid)
    return codes, errors, grids


def _grid(values: np.ndarray, weights: np.ndarray, most: int, dtype: mx.Dtype) -> _Grid:
    """Scale and bias for values [S, O] that make the weighted squared rounding error small.

    Tries ranges from the full one down, each followed by a least-squares fit to the codes that it gives: a few
    outliers clipped often cost less than all other weights rounded more coarsely.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    middle, span = (low + high) / 2, high - low
    weights = (weights / weights.sum()).astype(np.float32)
    best, scale, bias = None, low, low
    for shrink in _SHRINKS:
        tried = span * np.float32(shrink / most)
        codes = _Grid(tried, middle - tried * np.float32(most / 2)).codes(values, most)
        mean_code, mean_value = weights @ codes, weights @ values
        codes -= mean_code
        spread = weights @ (codes * codes)
        slope = (weights @ (codes * values)) / np.where(spread > 0, spread, 1)
        grid = _rounded(slope, mean_value - slope * mean_code, dtype)
        error = grid.values(grid.codes(values, most)) - values
        loss = weights @ (error * error)
        if best is None:
            best, scale, bias = loss, grid.scale, grid.bias
        else:
            better = loss < best
            best, scale, bias = (
                np.where(better, new, old) for new, old in ((loss, best), (grid.scale, scale), (grid.bias, bias))
            )
    return _Grid(scale, bias)


def _rounded(scale: np.ndarray, bias: np.ndarray, dtype: mx.Dtype) -> _Grid:
    """A grid whose numbers are exact in the dtype that they will be stored in."""
    pair = mx.array(np.stack([scale, bias]).astype(np.float32)).astype(dtype).astype(mx.float32)
    return _Grid(*np.array(pair))


def _sweep(
    columns: np.ndarray,
    h: np.ndarray,
    codes: np.ndarray,
    errors: np.ndarray,
    grids: list[_Grid],
    group_size: int,
    most: int,
    dtype: mx.Dtype,
) -> None:
    """One pass of coordinate descent over all groups: new scales and biases, then new codes; in place.

    Every step lowers trace(E H E^T) or leaves it: a grid is taken only where it does, after its rounding.
    """
    for g, grid in enumerate(grids):
        group = slice(g * group_size, (g + 1) * group_size)
        block, own, error = h[group, group], columns[group], errors[group]
        slope = h[group] @ errors  # half the derivative of the loss by this group's errors
        code = codes[group].astype(np.float32)
        grids[g] = grid = _refit(grid, code, slope, block, dtype)
        new = own - grid.values(code)
        slope += block @ (new - error)
        error[:] = new
        for k in range(group_size):
            fresh = grid.codes(own[k] - error[k] + slope[k] / block[k, k], most)
            change = own[k] - grid.values(fresh) - error[k]
            slope[k + 1 :] += block[k + 1 :, k, None] * change
            error[k] += change
            codes[group.start + k] = fresh


def _refit(grid: _Grid, codes: np.ndarray, slope: np.ndarray, block: np.ndarray, dtype: mx.Dtype) -> _Grid:
    """The scales and biases that minimise the loss for given codes [S, O], where that survives rounding."""
    weighted = block @ codes
    cc, c1, one = (codes * weighted).sum(axis=0), weighted.sum(axis=0), block.sum()
    gc, g1 = (codes * slope).sum(axis=0), slope.sum(axis=0)
    determinant = cc * one - c1 * c1
    usable = determinant > 1e-6 * cc * one
    safe = np.where(usable, determinant, 1)
    fitted = _rounded(
        grid.scale + np.where(usable, (gc * one - g1 * c1) / safe, 0),
        grid.bias + np.where(usable, (g1 * cc - gc * c1) / safe, 0),
        dtype,
    )
    ds, db = fitted.scale - grid.scale, fitted.bias - grid.bias
    better = ds * ds * cc + 2 * ds * db * c1 + db * db * one < 2 * (ds * gc + db * g1)
    return _Grid(np.where(better, fitted.scale, grid.scale), np.where(better, fitted.bias, grid.bias))


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes [O, I] as MLX stores them: a row is one little-endian stream of bits, in uint32 words."""
    outs, ins = codes.shape
    parts = codes.reshape(outs, ins // _WORD, _WORD)
    words = np.zeros((outs, ins // _WORD, bits), np.uint32)
    for i in range(_WORD):
        word, shift = divmod(i * bits, _WORD)
        part = parts[:, :, i].astype(np.uint32)
        words[:, :, word] |= part << np.uint32(shift)
        if shift + bits > _WORD:
            words[:, :, word + 1] |= part >> np.uint32(_WORD - shift)
    return words.reshape(outs, ins * bits // _WORD)
