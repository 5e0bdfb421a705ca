"""The Triton kernels of group normalization with its relu, in float32, for either layout.

An image's map is cut into tiles of (groups, channels of a group, pixels). Where a tile holds whole groups,
one kernel each way does all; otherwise a first one leaves a part of each sum for every tile, the parts are
joined, and a last one writes the result. No atomics: the same input gives the same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

# mypy: disable-error-code="no-untyped-def"


@triton.jit
def _tile(
    channels, pixels, channel_step, pixel_step,
    EACH: tl.constexpr, GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Of this program's tile: start of the image, offsets in it, which are there; groups, channels, likewise.

    programs: (blocks of groups of all images, parts of a group). EACH: channels of a group. Groups are
    numbered through the batch.
    """
    blocks = tl.cdiv(channels // EACH, GROUPS)
    image = tl.program_id(0) // blocks
    in_image = (tl.program_id(0) % blocks) * GROUPS + tl.arange(0, GROUPS)[:, None, None]
    across = tl.cdiv(pixels, PIXELS)
    in_group = (tl.program_id(1) // across) * CHANNELS + tl.arange(0, CHANNELS)[None, :, None]
    pixel = (tl.program_id(1) % across) * PIXELS + tl.arange(0, PIXELS)[None, None, :]
    groups_in = in_image < channels // EACH
    channels_in = groups_in & (in_group < EACH)
    channel = in_image * EACH + in_group
    start = image.to(tl.int64) * channels * pixels
    offset = channel * channel_step + pixel * pixel_step
    group = image * (channels // EACH) + in_image
    return start, offset, channels_in & (pixel < pixels), group, groups_in, channel, channels_in


@triton.jit
def _sum(x):
    """Over the channels and pixels of a tile; the axes stay."""
    return tl.sum(tl.sum(x, 2, keep_dims=True), 1, keep_dims=True)


@triton.jit
def _moments(x, inside):
    """Values of each group in the tile, their mean, and the sum of squares about it.

    The mean is corrected by what it leaves: a constant group gives exactly its constant and no squares.
    """
    count = _sum(inside.to(tl.float32))
    mean = _sum(x) / tl.maximum(count, 1.0)
    mean += _sum(tl.where(inside, x - mean, 0.0)) / tl.maximum(count, 1.0)
    x = tl.where(inside, x - mean, 0.0)
    return count, mean, _sum(x * x)


@triton.jit
def statistics_kernel(
    x_pointer, parts_pointer, batch_groups, channels, pixels, channel_step, pixel_step,
    EACH: tl.constexpr, GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """A part: (3, parts, groups of the batch), the count, mean and squares of each tile."""
    start, offset, inside, group, groups_in, _, _ = _tile(
        channels, pixels, channel_step, pixel_step, EACH, GROUPS, CHANNELS, PIXELS
    )
    x = tl.load(x_pointer + start + offset, inside, 0.0).to(tl.float32)
    count, mean, squares = _moments(x, inside)
    part = parts_pointer + tl.program_id(1) * batch_groups + group
    step = tl.num_programs(1) * batch_groups
    tl.store(part, count, groups_in)
    tl.store(part + step, mean, groups_in)
    tl.store(part + 2 * step, squares, groups_in)


@triton.jit
def join_kernel(
    parts_pointer, statistics_pointer, batch_groups, parts, eps, GROUPS: tl.constexpr, PARTS: tl.constexpr
):  # fmt: skip
    """Mean and 1 / root of whole groups from the moments of their parts (Chan et al., 1983)."""
    group = (tl.program_id(0) * GROUPS + tl.arange(0, GROUPS))[:, None]
    part = tl.arange(0, PARTS)[None, :]
    groups_in = group < batch_groups
    inside = groups_in & (part < parts)
    pointer = parts_pointer + part * batch_groups + group
    step = parts * batch_groups
    count = tl.load(pointer, inside, 0.0)
    means = tl.load(pointer + step, inside, 0.0)
    squares = tl.load(pointer + 2 * step, inside, 0.0)
    first = tl.load(parts_pointer + step + group, groups_in, 0.0)  # as a pivot: equal means stay as they are
    total = tl.maximum(tl.sum(count, 1, keep_dims=True), 1.0)
    mean = first + tl.sum(tl.where(inside, means - first, 0.0) * count, 1, keep_dims=True) / total
    gap = tl.where(inside, means - mean, 0.0)
    variance = tl.sum(squares + gap * gap * count, 1, keep_dims=True) / total
    tl.store(statistics_pointer + group, mean, groups_in)
    tl.store(statistics_pointer + batch_groups + group, 1.0 / tl.sqrt(variance + eps), groups_in)


@triton.jit
def forward_kernel(
    x_pointer, y_pointer, weight_pointer, bias_pointer, statistics_pointer,
    eps, batch_groups, channels, pixels, channel_step, pixel_step,
    RELU: tl.constexpr, WHOLE: tl.constexpr,
    EACH: tl.constexpr, GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Writes y of one tile; of whole groups also the (2, groups of the batch): mean and 1 / root."""
    start, offset, inside, group, groups_in, channel, channels_in = _tile(
        channels, pixels, channel_step, pixel_step, EACH, GROUPS, CHANNELS, PIXELS
    )
    x = tl.load(x_pointer + start + offset, inside, 0.0).to(tl.float32)
    if WHOLE:
        count, mean, squares = _moments(x, inside)
        inverse = 1.0 / tl.sqrt(squares / tl.maximum(count, 1.0) + eps)
        tl.store(statistics_pointer + group, mean, groups_in)
        tl.store(statistics_pointer + batch_groups + group, inverse, groups_in)
    else:
        mean = tl.load(statistics_pointer + group, groups_in, 0.0)
        inverse = tl.load(statistics_pointer + batch_groups + group, groups_in, 0.0)
    weight = tl.load(weight_pointer + channel, channels_in, 0.0).to(tl.float32)
    bias = tl.load(bias_pointer + channel, channels_in, 0.0).to(tl.float32)
    y = (x - mean) * inverse * weight + bias
    if RELU:
        y = tl.where(y < 0.0, 0.0, y)  # NaN stays NaN, as in torch.relu
    tl.store(y_pointer + start + offset, y, inside)


@triton.jit
def _normalized(
    x_pointer, dy_pointer, weight_pointer, bias_pointer, statistics_pointer, batch_groups,
    start, offset, inside, group, groups_in, channel, channels_in, RELU: tl.constexpr,
):  # fmt: skip
    """Again the normalized x, dy where the relu let y through, the scale of each channel and 1 / root."""
    mean = tl.load(statistics_pointer + group, groups_in, 0.0)
    inverse = tl.load(statistics_pointer + batch_groups + group, groups_in, 0.0)
    weight = tl.load(weight_pointer + channel, channels_in, 0.0).to(tl.float32)
    x = tl.load(x_pointer + start + offset, inside, 0.0).to(tl.float32)
    dy = tl.load(dy_pointer + start + offset, inside, 0.0).to(tl.float32)
    x = tl.where(inside, (x - mean) * inverse, 0.0)
    if RELU:
        bias = tl.load(bias_pointer + channel, channels_in, 0.0).to(tl.float32)
        dy = tl.where(x * weight + bias <= 0.0, 0.0, dy)
    return x, dy, weight, inverse


@triton.jit
def _channel_sums(
    sums_pointer, x, dy, group, channel, channels_in, channels, pixels, step,
    EACH: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """A tile's share in the gradients of shift and scale, (2, batch, parts across the pixels, channels)."""
    across = tl.cdiv(pixels, PIXELS)
    image = group // (channels // EACH)
    place = sums_pointer + (image * across + tl.program_id(1) % across) * channels + channel
    shift = tl.sum(dy, 2, keep_dims=True)
    scale = tl.sum(dy * x, 2, keep_dims=True)
    tl.store(place, shift, channels_in)
    tl.store(place + step, scale, channels_in)
    return shift, scale


@triton.jit
def sums_kernel(
    x_pointer, dy_pointer, weight_pointer, bias_pointer, statistics_pointer, parts_pointer, sums_pointer,
    step, batch_groups, channels, pixels, channel_step, pixel_step,
    RELU: tl.constexpr, EACH: tl.constexpr,
    GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """A part: (2, parts, groups of the batch), the sums of weight * dy, alone and times the normalized x."""
    start, offset, inside, group, groups_in, channel, channels_in = _tile(
        channels, pixels, channel_step, pixel_step, EACH, GROUPS, CHANNELS, PIXELS
    )
    x, dy, weight, _ = _normalized(
        x_pointer, dy_pointer, weight_pointer, bias_pointer, statistics_pointer, batch_groups,
        start, offset, inside, group, groups_in, channel, channels_in, RELU,
    )  # fmt: skip
    shift, scale = _channel_sums(
        sums_pointer, x, dy, group, channel, channels_in, channels, pixels, step, EACH, PIXELS
    )
    part = parts_pointer + tl.program_id(1) * batch_groups + group
    tl.store(part, tl.sum(shift * weight, 1, keep_dims=True), groups_in)
    part += tl.num_programs(1) * batch_groups
    tl.store(part, tl.sum(scale * weight, 1, keep_dims=True), groups_in)


@triton.jit
def backward_kernel(
    x_pointer, dy_pointer, dx_pointer, weight_pointer, bias_pointer, statistics_pointer,
    parts_pointer, sums_pointer, step,
    batch_groups, channels, pixels, channel_step, pixel_step,
    RELU: tl.constexpr, WHOLE: tl.constexpr,
    EACH: tl.constexpr, GROUPS: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Writes dx of one tile. With whole groups it leaves the sums of channels; else it reads those of groups.

    parts: (2, groups of the batch), joined.
    """
    start, offset, inside, group, groups_in, channel, channels_in = _tile(
        channels, pixels, channel_step, pixel_step, EACH, GROUPS, CHANNELS, PIXELS
    )
    x, dy, weight, inverse = _normalized(
        x_pointer, dy_pointer, weight_pointer, bias_pointer, statistics_pointer, batch_groups,
        start, offset, inside, group, groups_in, channel, channels_in, RELU,
    )  # fmt: skip
    if WHOLE:
        shift, scale = _channel_sums(
            sums_pointer, x, dy, group, channel, channels_in, channels, pixels, step, EACH, PIXELS
        )
        sum_dy = tl.sum(shift * weight, 1, keep_dims=True)
        sum_dyx = tl.sum(scale * weight, 1, keep_dims=True)
    else:
        sum_dy = tl.load(parts_pointer + group, groups_in, 0.0)
        sum_dyx = tl.load(parts_pointer + batch_groups + group, groups_in, 0.0)
    values = EACH * pixels
    dx = (dy * weight - sum_dy / values - x * (sum_dyx / values)) * inverse
    tl.store(dx_pointer + start + offset, dx, inside)
