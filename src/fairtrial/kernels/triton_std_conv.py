"""Every filter of a network standardized in one Triton launch forward and one backward.

The kernels find the tensors by a table of their addresses. A `triton_op` cannot carry that: the compiler sees
no reader behind an address, so it may free or reuse a gradient before the kernel has run, and while it traces
there are no addresses. Each launch is therefore a `custom_op`: opaque, but a node of the graph with shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairtrial.kernels.triton_std_kernels import backward_kernel, forward_kernel
from fairtrial.kernels.triton_support import check

TILE = 4096  # values that one program holds in registers: 32 for each of the 128 threads of 4 warps
NARROWEST = 4  # log2 of the fewest columns of a tile
COLUMNS = 8  # of the table of tiles: see `_rows`
LOOPED, LOOPED_IN_VECTORS = 0, 1  # kinds of tile; any other is the log2 of its columns
PLACE = 64  # tensors start at multiples of this in the joint buffer: 128 bytes or more

Shapes = tuple[tuple[int, ...], ...]
WARPS = TILE // 1024  # 32 values to a thread
_spare: dict[int, Tensor] = {}  # by length, pinned: none may be allocated while a CUDA graph is captured
_captured: list[Tensor] = []  # tables of CUDA graphs, which read them at each replay


def standardize_all(
    weights: Sequence[Tensor],
    eps: float,
    *,
    outside: bool = False,
    correction: int = 0,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, ...]:
    """Zero mean and unit variance for each output filter of each tensor.

    weights: (out, in, kh, kw) each, of one dtype and device -> the same shapes and layouts. outside: eps is
    added to the standard deviation, not inside the root. correction: 1 takes the sample's variance. dtype: of
    the results, where it is not that of the weights. The results share one buffer. Statistics are float32,
    and hold for filters that are constant or of large mean.
    """
    _check(weights, correction)
    return _StandardizeAll.apply(eps, outside, correction, dtype or weights[0].dtype, *weights)


class _StandardizeAll(torch.autograd.Function):
    """The two launches as one differentiable function; gradients of gradients are refused."""

    @staticmethod
    def forward(
        ctx: Any, eps: float, outside: bool, correction: int, dtype: torch.dtype, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        flat, statistics = standardize_forward(list(weights), eps, outside, correction, dtype)
        ctx.save_for_backward(statistics, *weights)
        ctx.definition = eps, outside, correction
        return _views(flat, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        statistics, *weights = ctx.saved_tensors
        flat = standardize_backward(weights, list(upstream), statistics, *ctx.definition)
        return (None, None, None, None, *_views(flat, weights))


@torch.library.custom_op(
    "fairtrial::standardize_forward",
    mutates_args=(),
    schema="(Tensor[] weights, float eps, bool outside, int correction, ScalarType dtype)"
    " -> (Tensor, Tensor)",
)
def standardize_forward(
    weights: list[Tensor], eps: float, outside: bool, correction: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """One launch: the results in one buffer; (2, filters): the mean less the first weight, and the spread."""
    weights = [_dense(weight) for weight in weights]
    flat, statistics = _outputs(weights, dtype)
    vector = _vector(weights[0], flat)
    programs = _plan(weights, weights, vector)
    forward_kernel[(len(programs.tiles),)](
        _table(weights), programs.tiles, weights[0], flat, statistics, statistics.shape[1],
        eps, outside, correction, NARROWEST, programs.widest, TILE, COLUMNS, vector, num_warps=WARPS,
    )  # fmt: skip
    return flat, statistics


@torch.library.custom_op(
    "fairtrial::standardize_backward",
    mutates_args=(),
    schema="(Tensor[] weights, Tensor[] upstream, Tensor statistics, float eps, bool outside, int correction)"
    " -> Tensor",
)
def standardize_backward(
    weights: list[Tensor],
    upstream: list[Tensor],
    statistics: Tensor,
    eps: float,
    outside: bool,
    correction: int,
) -> Tensor:
    """One launch: the gradients of the weights, in one buffer."""
    weights = [_dense(weight) for weight in weights]
    upstream = [_laid_as(weight, grad) for weight, grad in zip(weights, upstream, strict=True)]
    flat, _ = _outputs(weights, weights[0].dtype)
    vector = _vector(flat, upstream[0])
    programs = _plan(weights, weights + upstream, vector)
    backward_kernel[(len(programs.tiles),)](
        _table(weights + upstream), programs.tiles, len(weights), upstream[0], flat, statistics,
        statistics.shape[1], eps, outside, correction, NARROWEST, programs.widest, TILE, COLUMNS, vector,
        num_warps=WARPS,
    )  # fmt: skip
    return flat


@standardize_forward.register_fake
def _(
    weights: list[Tensor], eps: float, outside: bool, correction: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    return _outputs(weights, dtype)


@standardize_backward.register_fake
def _(weights: list[Tensor], *rest: Any) -> Tensor:
    return _outputs(weights, weights[0].dtype)[0]


def _check(weights: Sequence[Tensor], correction: int) -> None:
    check("standardize_all", list(weights), forward_kernel)
    if len({weight.dtype for weight in weights}) > 1:
        found = ", ".join(sorted({str(weight.dtype) for weight in weights}))
        raise ValueError(f"standardize_all got weights of {found}; expected one dtype")
    for weight in weights:
        if weight.dim() < 2 or not len(weight) or math.prod(weight.shape[1:]) <= correction:
            raise ValueError(
                f"a weight has the shape {tuple(weight.shape)}; expected (out, in, kh, kw) "
                f"with more than {correction} values to a filter"
            )


def _outputs(weights: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The joint buffer, and room for two statistics of each filter."""
    flat = weights[0].new_empty(layout(_shapes(weights))[-1], dtype=dtype)
    return flat, flat.new_empty((2, sum(len(weight) for weight in weights)), dtype=torch.float32)


def _views(flat: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The joint buffer as tensors of the shapes and layouts of the weights."""
    places = layout(_shapes(weights))[:-1]
    pairs = zip(weights, places, strict=True)
    # A list first: torch.compile does not trace a generator in an autograd.Function.
    return tuple([flat.as_strided(weight.shape, _strides(weight), place) for weight, place in pairs])


def _is_dense(weight: Tensor) -> bool:
    """Whether each filter is a run of values, and the next one follows it."""
    if weight.is_contiguous():
        return True
    return weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last)


def _dense(weight: Tensor) -> Tensor:
    return weight if _is_dense(weight) else weight.contiguous()


def _strides(weight: Tensor) -> tuple[int, ...]:
    return _dense(weight).stride()


def _laid_as(weight: Tensor, grad: Tensor) -> Tensor:
    """The gradient in the layout of the weight; one that comes so, as from a convolution, is not copied."""
    if grad.stride() == weight.stride():
        return grad
    return torch.empty_like(weight, dtype=grad.dtype).copy_(grad)


def _vector(*tensors: Tensor) -> int:
    """The values that a thread reads or writes at once: a multiple of 16 bytes of each tensor's dtype."""
    return 16 // min(tensor.element_size() for tensor in tensors)


def _shapes(weights: Sequence[Tensor]) -> Shapes:
    return tuple([tuple(weight.shape) for weight in weights])


def _plan(weights: list[Tensor], read: list[Tensor], vector: int) -> TilePlan:
    aligned = all(tensor.data_ptr() % 16 == 0 for tensor in read)
    return plan_tiles(_shapes(weights), vector if aligned else 1, weights[0].device)


def _table(tensors: list[Tensor]) -> Tensor:
    """The addresses of the tensors, on their device; copied there only when one of them has changed."""
    device = tensors[0].device
    addresses = tuple(tensor.data_ptr() for tensor in tensors)
    if device.type != "cuda":
        return _copied(addresses, device, 0)
    if torch.cuda.is_current_stream_capturing():  # nothing is copied before the replay: no table for others
        host = _spare.pop(len(addresses))
        _captured.append(host.copy_(torch.tensor(addresses)))
        return host.to(device, non_blocking=True)
    if len(addresses) not in _spare:
        _spare[len(addresses)] = torch.empty(len(addresses), dtype=torch.int64, pin_memory=True)
    return _copied(addresses, device, torch.cuda.current_stream(device).cuda_stream)


@lru_cache(maxsize=64)
def _copied(addresses: tuple[int, ...], device: torch.device, stream: int) -> Tensor:
    """A table for one stream, which orders the copy before the kernel without a wait of the host."""
    host = torch.tensor(addresses, dtype=torch.int64, pin_memory=device.type == "cuda")
    return host.to(device, non_blocking=True)


# how the filters of a network are shared out among the programs of one launch


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a list of tensors, and where each tensor's result lies in one joint buffer.

    tiles: (programs, COLUMNS), on the device; places: first value of each tensor in the buffer of `length`.
    """

    tiles: Tensor
    places: tuple[int, ...]
    length: int
    filters: int
    widest: int


@lru_cache(maxsize=32)
def plan_tiles(shapes: Shapes, vector: int, device: torch.device) -> TilePlan:
    """Return the tiles of tensors (out, ...) of these shapes, each filter a run of values.

    vector: values that a thread may read at once; 1 where an address is not a multiple of 16 bytes. A tile
    holds as many whole filters of one tensor as fit. A filter that is too long, or no multiple of `vector`
    values, is a tile alone that the program loops over.
    """
    rows: list[tuple[int, ...]] = []
    places = layout(shapes)
    filters = 0
    for tensor, shape in enumerate(shapes):
        rows += _rows(tensor, shape, vector, places[tensor], filters)
        filters += shape[0]
    tiles = torch.tensor(rows, dtype=torch.int64).reshape(-1, COLUMNS)
    widest = max([NARROWEST, *(row[6] for row in rows)])
    return TilePlan(tiles.to(device), places[:-1], places[-1], filters, widest)


def layout(shapes: Shapes) -> tuple[int, ...]:
    """The first value of each tensor in the joint buffer, then the length of the buffer."""
    places = [0]
    for shape in shapes:
        places.append(places[-1] + math.ceil(math.prod(shape) / PLACE) * PLACE)
    return tuple(places)


def _rows(
    tensor: int, shape: tuple[int, ...], vector: int, place: int, filters: int
) -> list[tuple[int, ...]]:
    """The tiles of one tensor: tensor, first value, filters, values of each, place, first filter, kind, 0."""
    size = math.prod(shape[1:])
    kind = _kind(size, vector)
    each = 1 if kind < NARROWEST else TILE >> kind
    return [
        (
            tensor,
            first * size,
            min(each, shape[0] - first),
            size,
            place + first * size,
            filters + first,
            kind,
            0,
        )
        for first in range(0, shape[0], each)
    ]


def _kind(size: int, vector: int) -> int:
    if vector == 1 or size % vector:
        return LOOPED
    if size > TILE:
        return LOOPED_IN_VECTORS
    return max(NARROWEST, (size - 1).bit_length())
