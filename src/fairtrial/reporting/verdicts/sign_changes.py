"""Where a curve changes its sign, and where its band leaves the sign open; both straight between points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

Span: TypeAlias = tuple[float, float]

_FAR: Final = 1e9  # stands for an infinite limit, which no line can be drawn to


def changes(xs: Sequence[float], mean: Sequence[float]) -> list[float]:
    """The places where the curve changes its sign; of a stretch at 0 between two signs its middle."""
    signed = [index for index, value in enumerate(mean) if value]
    found = []
    for one, other in pairwise(signed):
        if (mean[one] < 0) != (mean[other] < 0):
            between = xs[one + 1 : other]
            found.append(
                (between[0] + between[-1]) / 2
                if between
                else xs[one] + (xs[other] - xs[one]) * mean[one] / (mean[one] - mean[other])
            )
    return found


def undecided(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> list[Span]:
    """The places where the band contains 0.

    Where the limits hold at all points at once, they hold on the lines between them too. The places then
    hold every sign change of the true curve, straight between the same points, with the band's confidence.
    """
    lows, highs = ([min(max(value, -_FAR), _FAR) for value in side] for side in (low, high))
    found = []
    for (x0, low0, high0), (x1, low1, high1) in pairwise(zip(xs, lows, highs, strict=True)):
        start, end = _below(low0, low1), _below(-high0, -high1)
        if start and end and max(start[0], end[0]) <= min(start[1], end[1]):
            at, to = max(start[0], end[0]), min(start[1], end[1])
            found.append((x0 + at * (x1 - x0), x0 + to * (x1 - x0)))
    return merged(found)


def _below(first: float, last: float) -> Span | None:
    """Where a line over [0, 1] is at most 0."""
    if first > 0 and last > 0:
        return None
    if first <= 0 and last <= 0:
        return 0.0, 1.0
    root = first / (first - last)
    return (root, 1.0) if first > 0 else (0.0, root)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch, as one."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span[0] <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], span[1])
        else:
            found.append(span)
    return found


def between(spans: Sequence[Span], low: float, high: float) -> list[Span]:
    """What the spans leave of a range."""
    edges = [low, *(edge for span in spans for edge in span), high]
    return [(at, to) for at, to in zip(edges[::2], edges[1::2], strict=True) if at < to]
