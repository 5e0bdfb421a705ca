"""One look for every figure: sizes of a two-column paper, and a colour that each arm keeps everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fairtrial import factors

COLUMN: Final = 3.4  # inches; one column of a two-column paper
PAGE: Final = 7.0  # inches; both columns
INK: Final = "#1a1a1a"
QUIET: Final = "#6b6b6b"
BAND: Final = "#e9e9e4"
ALARM: Final = "#b00020"

RC: Final[Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # names come from records: a dollar sign is a dollar sign
    "svg.hashsalt": "fairtrial",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


class Look(NamedTuple):
    """How one arm is drawn; the marker tells arms apart without colour."""

    color: str
    marker: str
    dashed: bool


_LOOKS: Final = {
    "bn": Look("#c8500a", "o", True),
    "bn+ws": Look("#c98a00", "s", False),
    "gn": Look("#3f97d1", "^", True),
    "gn+ws": Look("#0b4a8f", "D", False),
    "ln": Look("#00926b", "v", True),
    "ln+ws": Look("#005c43", "P", False),
    "in": Look("#c46a9f", "<", True),
    "in+ws": Look("#8d2f68", "X", False),
    "none": Look("#8a8a8a", "d", True),
    "none+ws": Look("#3d3d3d", "p", False),
}

VERDICT: Final = {
    "better": "#0b6e4f",
    "worse": "#b3400a",
    "equivalent": "#0b4a8f",
    "different_but_negligible": "#0b4a8f",
    "inconclusive": QUIET,
    "refused": ALARM,
}


def looks(arms: Sequence[Mapping[str, Any]]) -> list[Look]:
    """A look per arm: that of its norm and WS; the next free one where these do not tell the arms apart."""
    names = [factors.name_of_norm(dict(arm)) if {"norm", "weight_std"} & set(arm) else "" for arm in arms]
    if len(set(names)) == len(names) and all(name in _LOOKS for name in names):
        return [_LOOKS[name] for name in names]
    order = list(_LOOKS.values())
    order = order[3:4] + order[0:1] + order[4:5] + order[6:7] + order[1:3] + order[5:6] + order[7:]
    return [order[index % len(order)]._replace(dashed=False) for index in range(len(names))]


def spread(positions: Sequence[float], gap: float, within: tuple[float, float]) -> list[float]:
    """The positions, moved apart until neighbours are `gap` away from each other, and kept within a range."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[float, list[int]]] = []  # (centre, members), members `gap` apart around the centre
    for index in order:
        centre, members = positions[index], [index]
        while blocks and centre - blocks[-1][0] < gap * (len(members) + len(blocks[-1][1])) / 2:
            before, others = blocks.pop()
            total = len(others) + len(members)
            centre, members = (before * len(others) + centre * len(members)) / total, others + members
        blocks.append((centre, members))
    placed = dict.fromkeys(order, 0.0)
    for centre, members in blocks:
        for rank, index in enumerate(members):
            placed[index] = centre + gap * (rank - (len(members) - 1) / 2)
    moved = [placed[index] for index in range(len(positions))]
    over, under = max([*moved, within[1]]) - within[1], within[0] - min([*moved, within[0]])
    return [position - over + under for position in moved]
