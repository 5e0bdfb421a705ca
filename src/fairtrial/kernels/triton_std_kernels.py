"""The two Triton kernels that standardize filters, tile by tile, in float32.

A filter's first weight is taken off before its mean is formed: a constant filter becomes exactly zero, and a
mean far above the standard deviation costs no digits. The columns of a tile: `triton_std_conv._rows`.
Loops are `while`: the interpreter of Triton 3.6 cannot take a range from memory with NumPy 2.4.
"""

from __future__ import annotations

import triton
import triton.language as tl

# mypy: disable-error-code="no-untyped-def"


@triton.jit
def _start(table, tensor, tile, like, VECTOR: tl.constexpr):
    """Where a tile's filters start in a tensor of the table; `like` points to values of its dtype."""
    start = tl.load(table + tensor).to(like.dtype)
    if VECTOR > 1:
        start = tl.multiple_of(start, 16)  # bytes: filters come in vectors only where this holds
    return start + tl.load(tile + 1) // VECTOR * VECTOR  # a multiple of VECTOR, as the compiler now knows


@triton.jit
def _place(tile, flat, VECTOR: tl.constexpr):
    """Where a tile's results start in the joint buffer."""
    return flat + tl.load(tile + 4) // VECTOR * VECTOR


@triton.jit
def _grid(tile, COLS: tl.constexpr, TILE: tl.constexpr, VECTOR: tl.constexpr):
    """A tile of whole filters: offsets, which are there, rows, which are there, values to a filter."""
    size = tl.load(tile + 3).to(tl.int32) // VECTOR * VECTOR
    row = tl.arange(0, TILE // COLS)[:, None]
    col = tl.arange(0, COLS)[None, :]
    rows = row < tl.load(tile + 2).to(tl.int32)
    return row * size + col, rows & (col < size), row, rows, size


@triton.jit
def _spread(variance, eps, OUTSIDE: tl.constexpr):
    """What is kept for the backward: the root, or with eps outside the standard deviation."""
    if OUTSIDE:
        return tl.sqrt(variance)
    return tl.sqrt(variance + eps)


@triton.jit
def _root(spread, eps, OUTSIDE: tl.constexpr):
    if OUTSIDE:
        return spread + eps
    return spread


@triton.jit
def _forward_rows(
    table, tile, like, flat, statistics, filters, eps,
    OUTSIDE: tl.constexpr, CORRECTION: tl.constexpr,
    COLS: tl.constexpr, TILE: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    start = _start(table, tl.load(tile), tile, like, VECTOR)
    place = _place(tile, flat, VECTOR)
    offset, inside, row, rows, size = _grid(tile, COLS, TILE, VECTOR)
    first = tl.load(start + row * size, rows, 0.0).to(tl.float32)
    x = tl.load(start + offset, inside, 0.0).to(tl.float32)
    x = tl.where(inside, x - first, 0.0)
    mean = tl.sum(x, 1, keep_dims=True) / size
    x = tl.where(inside, x - mean, 0.0)
    spread = _spread(tl.sum(x * x, 1, keep_dims=True) / (size - CORRECTION), eps, OUTSIDE)
    tl.store(place + offset, x * (1.0 / _root(spread, eps, OUTSIDE)), inside)
    kept = statistics + tl.load(tile + 5) + row
    tl.store(kept, mean, rows)
    tl.store(kept + filters, spread, rows)


@triton.jit
def _forward_long(
    table, tile, like, flat, statistics, filters, eps,
    OUTSIDE: tl.constexpr, CORRECTION: tl.constexpr, TILE: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    """One filter in pieces; their means and squares are joined as by Chan et al. (1983)."""
    start = _start(table, tl.load(tile), tile, like, VECTOR)
    place = _place(tile, flat, VECTOR)
    size = tl.load(tile + 3).to(tl.int32) // VECTOR * VECTOR
    first = tl.load(start).to(tl.float32)
    mean = 0.0
    squares = 0.0
    done = 0
    while done < size:
        offset = done + tl.arange(0, TILE)[None, :]
        inside = offset < size
        x = tl.load(start + offset, inside, 0.0).to(tl.float32)
        x = tl.where(inside, x - first, 0.0)
        piece = tl.minimum(size - done, TILE).to(tl.float32)
        gap = tl.sum(x) / piece
        x = tl.where(inside, x - gap, 0.0)
        gap -= mean
        share = piece / (done + piece)
        mean += gap * share
        squares += tl.sum(x * x) + gap * gap * share * done
        done += TILE
    spread = _spread(squares / (size - CORRECTION), eps, OUTSIDE)
    inverse = 1.0 / _root(spread, eps, OUTSIDE)
    done = 0
    while done < size:
        offset = done + tl.arange(0, TILE)[None, :]
        inside = offset < size
        x = tl.load(start + offset, inside, 0.0).to(tl.float32)
        tl.store(place + offset, (x - first - mean) * inverse, inside)
        done += TILE
    kept = statistics + tl.load(tile + 5)
    tl.store(kept, mean)
    tl.store(kept + filters, spread)


@triton.jit
def forward_kernel(
    table, tiles, like, flat, statistics, filters, eps,
    OUTSIDE: tl.constexpr, CORRECTION: tl.constexpr, NARROWEST: tl.constexpr, WIDEST: tl.constexpr,
    TILE: tl.constexpr, COLUMNS: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    """One program standardizes one tile. like: values of the dtype of the weights; flat may have another."""
    tile = tiles + tl.program_id(0) * COLUMNS
    kind = tl.load(tile + 6)
    if kind == 0:
        _forward_long(table, tile, like, flat, statistics, filters, eps, OUTSIDE, CORRECTION, TILE, 1)
    if kind == 1:
        _forward_long(table, tile, like, flat, statistics, filters, eps, OUTSIDE, CORRECTION, TILE, VECTOR)
    for width in tl.static_range(NARROWEST, WIDEST + 1):
        if kind == width:
            _forward_rows(
                table, tile, like, flat, statistics, filters, eps, OUTSIDE, CORRECTION, 2**width, TILE, VECTOR
            )


@triton.jit
def _steepness(spread, eps, OUTSIDE: tl.constexpr):
    """What eps outside the root adds to the slope: root / standard deviation.

    A constant filter has no direction in which its standard deviation grows: it then takes no part.
    """
    steepness = tl.where(spread > 0, 1.0, 0.0)
    if OUTSIDE:
        steepness = steepness * (spread + eps) / tl.where(spread > 0, spread, 1.0)
    return steepness


@triton.jit
def _backward_rows(
    table, tile, upstream, like, flat, statistics, filters, eps,
    OUTSIDE: tl.constexpr, CORRECTION: tl.constexpr,
    COLS: tl.constexpr, TILE: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    start = _start(table, tl.load(tile), tile, flat, VECTOR)
    start_g = _start(table, upstream + tl.load(tile), tile, like, VECTOR)
    place = _place(tile, flat, VECTOR)
    offset, inside, row, rows, size = _grid(tile, COLS, TILE, VECTOR)
    kept = statistics + tl.load(tile + 5) + row
    mean = tl.load(kept, rows, 0.0)
    spread = tl.load(kept + filters, rows, 1.0)
    inverse = 1.0 / _root(spread, eps, OUTSIDE)
    first = tl.load(start + row * size, rows, 0.0).to(tl.float32)
    w = tl.load(start + offset, inside, 0.0).to(tl.float32)
    g = tl.load(start_g + offset, inside, 0.0).to(tl.float32)
    w = tl.where(inside, (w - first - mean) * inverse, 0.0)
    g = tl.where(inside, g - tl.sum(g, 1, keep_dims=True) / size, 0.0)
    slope = tl.sum(g * w, 1, keep_dims=True) / (size - CORRECTION) * _steepness(spread, eps, OUTSIDE)
    tl.store(place + offset, (g - w * slope) * inverse, inside)


@triton.jit
def _backward_long(
    table, tile, upstream, like, flat, statistics, filters, eps,
    OUTSIDE: tl.constexpr, CORRECTION: tl.constexpr, TILE: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    """One filter in pieces. The sum of w is zero but for rounding; with it the mean of g leaves no trace."""
    start = _start(table, tl.load(tile), tile, flat, VECTOR)
    start_g = _start(table, upstream + tl.load(tile), tile, like, VECTOR)
    place = _place(tile, flat, VECTOR)
    size = tl.load(tile + 3).to(tl.int32) // VECTOR * VECTOR
    kept = statistics + tl.load(tile + 5)
    mean = tl.load(kept)
    spread = tl.load(kept + filters)
    inverse = 1.0 / _root(spread, eps, OUTSIDE)
    first = tl.load(start).to(tl.float32)
    sum_g = 0.0
    sum_w = 0.0
    sum_gw = 0.0
    done = 0
    while done < size:
        offset = done + tl.arange(0, TILE)[None, :]
        inside = offset < size
        w = tl.load(start + offset, inside, 0.0).to(tl.float32)
        g = tl.load(start_g + offset, inside, 0.0).to(tl.float32)
        w = tl.where(inside, (w - first - mean) * inverse, 0.0)
        sum_g += tl.sum(g)
        sum_w += tl.sum(w)
        sum_gw += tl.sum(g * w)
        done += TILE
    mean_g = sum_g / size
    slope = (sum_gw - mean_g * sum_w) / (size - CORRECTION) * _steepness(spread, eps, OUTSIDE)
    done = 0
    while done < size:
        offset = done + tl.arange(0, TILE)[None, :]
        inside = offset < size
        w = tl.load(start + offset, inside, 0.0).to(tl.float32)
        g = tl.load(start_g + offset, inside, 0.0).to(tl.float32)
        w = (w - first - mean) * inverse
        tl.store(place + offset, (g - mean_g - w * slope) * inverse, inside)
        done += TILE


@triton.jit
def backward_kernel(
    table, tiles, upstream, like, flat, statistics, filters, eps,
    OUTSIDE: tl.constexpr, CORRECTION: tl.constexpr, NARROWEST: tl.constexpr, WIDEST: tl.constexpr,
    TILE: tl.constexpr, COLUMNS: tl.constexpr, VECTOR: tl.constexpr,
):  # fmt: skip
    """One program finds the gradients of one tile. upstream: rows of the table before the gradients' own;
    like: any values of their dtype, flat is of that of the weights.
    """
    tile = tiles + tl.program_id(0) * COLUMNS
    kind = tl.load(tile + 6)
    if kind == 0:
        _backward_long(
            table, tile, upstream, like, flat, statistics, filters, eps, OUTSIDE, CORRECTION, TILE, 1
        )
    if kind == 1:
        _backward_long(
            table, tile, upstream, like, flat, statistics, filters, eps, OUTSIDE, CORRECTION, TILE, VECTOR
        )
    for width in tl.static_range(NARROWEST, WIDEST + 1):
        if kind == width:
            _backward_rows(
                table, tile, upstream, like, flat, statistics, filters, eps,
                OUTSIDE, CORRECTION, 2**width, TILE, VECTOR,
            )  # fmt: skip
