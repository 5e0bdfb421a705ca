"""What a calibration file holds: timed launches of each arm of a study."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault
from fairtrial.storage import integrity
from fairtrial.storage.atomic import read_json
from fairtrial.storage.integrity import PUT_BACK, sealed, unsealed
from fairtrial.storage.json_fields import Check, Group, Whole, is_table, parse
from fairtrial.storage.provenance import Provenance
from fairtrial.storage.record_rules import is_way
from fairtrial.study.identity import digest

if TYPE_CHECKING:
    from fairtrial.stats.cost_parity import Session

LOOKS: Final = frozenset({"image_s", "classes", "train_n", "test_n"})
_LONGEST: Final = 1e12  # seconds of a step; beyond, no sum of them is sure to be finite
# by its number, or by the digest of what it holds
NAME: Final = re.compile(r"calibration-(?:([1-9][0-9]{0,9})|[0-9a-f]{16})\.json")


def _are_seconds(values: Iterable[Any]) -> bool:
    return all(type(value) in (int, float) and 0 < value < _LONGEST for value in values)


def _is_step_s(value: Any) -> bool:
    return isinstance(value, dict) and _are_seconds(value.values())


def _is_rounds(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, list) and _are_seconds(v) for v in value.values())


def _is_looks(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, dict) and set(each) == LOOKS and _are_seconds(each.values())
        for each in value.values()
    )


def _is_ways(value: Any) -> bool:
    """An arm that was timed as declared has an empty way."""
    return isinstance(value, dict) and all(
        is_table(way) and (not way or is_way(way)) for way in value.values()
    )


StepSeconds = Annotated[dict[str, float], Check("seconds above 0 of each arm", _is_step_s)]
Ways = Annotated[dict[str, dict[str, str]], Check("a known layout with known kernels of each arm", _is_ways)]
Looks = Annotated[
    dict[str, dict[str, float]],
    Check(f"numbers above 0 of each arm: {', '.join(sorted(LOOKS))}", _is_looks),
]
Rounds = Annotated[dict[str, list[float]], Check("a list of seconds above 0 of each arm", _is_rounds)]


@dataclass(frozen=True, kw_only=True)
class Calibration(Group):
    """Measured seconds of one step, by arm key.

    step_s: what turns a budget into steps; empty where launches after the runs check what they cost. rounds:
    each launch, interleaved over the arms. ways: the settings that proved fastest. looks: seconds of
    evaluating one image, and the sizes of the data. side_by_side: how many processes launched at once; more
    than one foresees a run of cells side by side, and sets no number of steps. after: how many the folder
    held before, which orders them whatever wall clocks say; None in those from before it was counted.
    """

    schema: Whole = integrity.SCHEMA
    step_s: StepSeconds
    rounds: Rounds | None = None
    ways: Ways | None = None
    looks: Looks | None = None
    side_by_side: Whole | None = None
    after: Whole | None = None
    provenance: Provenance

    @property
    def alone(self) -> bool:
        """Whether one process at a time was timed, as cells of a budget in seconds run."""
        return (self.side_by_side or 1) == 1


def read_calibration(path: Path) -> Calibration:
    """Return the calibration of a file; a Fault when it is damaged, edited, newer or impossible."""
    flaws: list[str] = []
    if not NAME.fullmatch(path.name):
        what = (
            f"expected the name calibration-NUMBER.json or calibration-DIGEST.json; it is called {path.name}"
        )
        raise fault(what, str(path), "remove the copy, or run `fairtrial repair STUDY`", BAD_INPUT)
    record = unsealed(path, read_json(path, cap=integrity.STUDY_CAP))
    calibration = parse(Calibration, record, "", flaws)
    if calibration is None:
        raise Fault([Problem(flaw, str(path), PUT_BACK) for flaw in flaws], BAD_INPUT)
    return calibration


def calibration_text(measured: Mapping[str, object], origin: Mapping[str, object]) -> tuple[str, str]:
    """Return the name and the text of the file that holds a calibration which has just ended.

    The name is made of the content: drivers of parts need not know of each other, and copies are one file.
    """
    where = {**origin, "ended": round(time.time(), 6)}
    record = {"schema": integrity.SCHEMA, **measured, "origin": where}
    return f"calibration-{digest(record)[:16]}.json", sealed(record, indent=1)


def oldest_first(found: Mapping[Path, Calibration]) -> list[Calibration]:
    """Return calibrations by how many were there before; old ones come first, by their time or number."""

    def age(path: Path) -> tuple[int, float, int, str]:
        match, one = NAME.fullmatch(path.name), found[path]
        number = int(match[1]) if match and match[1] else 0
        return one.after or 0, float(one.provenance.ended or 0.0), number, path.name

    return [found[path] for path in sorted(found, key=age)]


def chosen_ways(calibrations: Iterable[Calibration]) -> dict[str, dict[str, str]]:
    """Return arm key -> layout and kernels as first chosen; nothing where an arm was timed as declared."""
    ways: dict[str, dict[str, str]] = {}
    for calibration in (each for each in calibrations if each.alone):
        for arm in calibration.step_s:
            ways.setdefault(arm, (calibration.ways or {}).get(arm, {}))
    return ways


def sessions_of(calibrations: Iterable[Calibration]) -> Sequence[Session]:
    """Return (arm key -> seconds of a step as set, arm key -> round -> seconds of a step), oldest first.

    Launches that set nothing and follow one another are one session: those after the runs.
    """
    found: list[tuple[Mapping[str, float], dict[str, dict[Hashable, float]]]] = []
    for number, calibration in enumerate(each for each in calibrations if each.alone):
        if calibration.step_s or not found or found[-1][0]:
            found.append((calibration.step_s, defaultdict(dict)))
        for arm, seconds in (calibration.rounds or {}).items():
            found[-1][1][arm] |= {(number, index): value for index, value in enumerate(seconds)}
    return found
