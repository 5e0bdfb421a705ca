"""The fastest way to compute each arm on a device: memory layout and kernels, found by timed launches."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any, Final

from fairtrial.study.settings import CELL, OWN_KERNELS, Settings
from fairtrial.study.study import Cell

LAYOUTS: Final = ("nchw", "nhwc")
TORCH: Final = "torch"  # "plain" repeats BiT's released code, to compare with
LAUNCHES: Final = 2  # of each way that is not out of the running after its first launch
OUT: Final = 1.15  # times the fastest way of an arm, and a way is launched no more

Way = dict[str, str]  # layout and kernels
Launch = Callable[[Mapping[Any, Cell], int], dict[Any, list[float]] | None]


def ways_of(settings: Settings, swept: Container[str], of_device: str) -> list[Way]:
    """Return the ways to compute an arm; what a study sweeps is as declared.

    of_device: `kernels` of the worker's origin.
    """
    if CELL in settings.extra:  # neither means anything to the user's own training code
        return [{"layout": settings.layout, "kernels": settings.kernels}]
    layouts = (settings.layout,) if "layout" in swept else LAYOUTS
    ours = settings.kernels if settings.kernels in OWN_KERNELS else OWN_KERNELS[0]
    best = replace(settings, layout=layouts[-1], kernels=ours)
    choose = "kernels" not in swept and best.on_own_kernels(of_device)
    kernels = (ours, TORCH) if choose else (settings.kernels,)
    return [{"layout": layout, "kernels": each} for layout in layouts for each in kernels]


def in_way(cell: Cell, way: Mapping[str, Any]) -> Cell:
    """Return the cell as it is computed; its id stays that of what was declared."""
    return replace(cell, settings=replace(cell.settings, **way))


def in_ways(arms: Mapping[str, Cell], ways: Mapping[str, Way]) -> dict[str, Cell]:
    """Return arm key -> its cell in the way that was chosen for the arm, if any."""
    return {arm: in_way(cell, ways.get(arm, {})) for arm, cell in arms.items()}


def fastest(arms: Mapping[str, Cell], ways: Mapping[str, list[Way]], launch: Launch) -> dict[str, Way] | None:
    """Return arm key -> its fastest way by interleaved launches; None after a signal.

    Their times choose and are forgotten: the fastest of several was lucky, and is timed anew.
    """
    candidates = {
        (arm, number): in_way(cell, way) for arm, cell in arms.items() for number, way in enumerate(ways[arm])
    }
    first = launch(candidates, 1) if candidates else {}
    if first is None:
        return None
    least = {arm: min(first[key][0] for key in first if key[0] == arm) for arm in arms}
    kept = {key: cell for key, cell in candidates.items() if first[key][0] <= OUT * least[key[0]]}
    more = launch(kept, LAUNCHES) if kept else {}
    if more is None:
        return None
    mean = {key: fmean([*first[key], *seconds]) for key, seconds in more.items()}
    chosen = {arm: min((key for key in mean if key[0] == arm), key=mean.__getitem__) for arm in arms}
    return {arm: ways[arm][number] for arm, (_, number) in chosen.items()}
