"""One look for every figure: sizes of a two-column paper, and a colour that each arm keeps everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from fairtrial.study import factors, initial_checkpoint

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
    "text.hinting": "no_hinting",  # hinted, its width depends on the format, and a name may leave the picture
    "text.parse_math": False,  # names come from records: a dollar sign is a dollar sign
    "svg.hashsalt": "fairtrial",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


Dash: TypeAlias = str | tuple[int, tuple[float, ...]]
DASHED: Final = (0, (4, 2))
DOTTED: Final = (0, (1, 1.4))
MIXED: Final = (0, (5, 1.5, 1, 1.5))


class Look(NamedTuple):
    """How one arm is drawn; the marker tells arms apart without colour."""

    color: str
    marker: str
    dash: Dash = "-"
    ink: str = ""  # of its name, where its colour is too pale to read

    @property
    def name_color(self) -> str:
        """The colour in which its name is written."""
        return self.ink or self.color


_LOOKS: Final = {
    "bn": Look("#c8500a", "o", DASHED),
    "bn+ws": Look("#c98a00", "s"),
    "gn": Look("#3f97d1", "^", DASHED),
    "gn+ws": Look("#0b4a8f", "D"),
    "ln": Look("#00926b", "v", DASHED),
    "ln+ws": Look("#005c43", "P"),
    "in": Look("#c46a9f", "<", DASHED),
    "in+ws": Look("#8d2f68", "X"),
    "none": Look("#8a8a8a", "d", DASHED),
    "none+ws": Look("#3d3d3d", "p"),
    "none+sws": Look("#6b4fa3", "h"),
    "frn": Look("#a0522d", "*", DASHED),
    "evonorm_s0": Look("#5b6b20", "8", DASHED),
}
# Arms of one norm that differ in something else: paler, or darker, with a dash of their own.
_TINTS: Final = ((0.0, None), (0.3, DASHED), (0.5, DOTTED), (-0.45, MIXED))
_FINETUNES: Final = {"full": 0, "linear_probe": 1, "scratch": 2, "last": 3}  # the same in every figure

VERDICT: Final = {
    "better": "#0b6e4f",
    "worse": "#b3400a",
    "equivalent": "#0b4a8f",
    "different_but_negligible": "#0b4a8f",
    "inconclusive": QUIET,
    "refused": ALARM,
}


def look_of_norm(name: str) -> Look:
    """The look of "bn", "gn+ws" and so on: of a norm, with weight standardization or without."""
    return _LOOKS[name]


def looks(arms: Sequence[Mapping[str, Any]]) -> list[Look]:
    """A look per arm: that of its norm and WS, in a variant of its own where several arms share them.

    Where the norms are not known, or one has too many arms, the next free look.
    """
    names = [factors.name_of_norm(dict(arm)) if {"norm", "weight_std"} & set(arm) else "" for arm in arms]
    pairs = list(zip(names, _ranks(arms, names), strict=True))
    if all(name in _LOOKS and rank < len(_TINTS) for name, rank in pairs) and len(set(pairs)) == len(pairs):
        return [_variant(_LOOKS[name], rank) for name, rank in pairs]
    order = list(_LOOKS.values())
    order = order[3:4] + order[0:1] + order[4:5] + order[6:7] + order[1:3] + order[5:6] + order[7:]
    return [order[index % len(order)]._replace(dash="-") for index in range(len(names))]


def _ranks(arms: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[int]:
    """Which variant of its norm each arm is: that of its tuning, else the next one."""
    ranks: list[int] = []
    for index, arm in enumerate(arms):
        taken = [rank for rank, name in zip(ranks, names[:index], strict=True) if name == names[index]]
        others = set(arm) - {"norm", "weight_std"}
        if others == {"finetune"}:
            ranks.append(_FINETUNES[arm["finetune"]])
        elif others == {"upstream"}:
            order = [_FINETUNES["scratch"]] if arm["upstream"] == initial_checkpoint.NONE else [0, 1, 3]
            ranks.append(next((rank for rank in order if rank not in taken), len(_TINTS)))
        else:
            ranks.append(len(taken))
    return ranks


def _variant(look: Look, rank: int) -> Look:
    tint, dash = _TINTS[rank]
    if dash is None:
        return look
    rgb = (int(look.color[i : i + 2], 16) for i in (1, 3, 5))
    mixed = (round(c + (255 - c) * tint) if tint > 0 else round(c * (1 + tint)) for c in rgb)
    color = "#" + "".join(f"{c:02x}" for c in mixed)
    return look._replace(color=color, dash=dash, ink=look.color)


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
