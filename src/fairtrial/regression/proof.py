"""The gate's own error rates on this machine: a tree against itself, plain and with a planted slow-down."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from fairtrial.errors import DONE, FAILED_CELLS
from fairtrial.regression import timing_machine
from fairtrial.regression.decision import SLOWER
from fairtrial.regression.gate import Asked, Outcome, judged, ready
from fairtrial.stats import clopper_pearson
from fairtrial.storage.atomic import publish
from fairtrial.storage.provenance import code_of

FILE: Final = "gate/proof.json"
PLANTED: Final = 5.0  # percent
MOST_ALARMS, LEAST_CAUGHT = 1 / 30, 9 / 10  # of plain gates; of planted ones


def prove(asked: Asked, plain: int, planted: int) -> Outcome:
    """So many gates of each kind, mixed evenly over time; the record is published after each of them."""
    percent = asked.plant or PLANTED
    rows: list[dict[str, Any]] = []
    with ready(asked) as place:
        path = asked.bench / timing_machine.folder_name(place.device) / FILE
        head = {"device": place.device, "code": code_of(place.root), "planted_percent": percent}
        path.parent.mkdir(parents=True, exist_ok=True)
        for number, slowed in enumerate(mixed(plain, planted)):
            asked.tell(f"gate {number + 1} of {plain + planted}: {'planted' if slowed else 'A/A'}")
            start = time.monotonic()
            found = judged(replace(asked, aa=True, plant=percent if slowed else 0.0), place).found
            kept = {name: found[name] for name in ("state", "launches", "benches", "plan", "log_ratios")}
            rows.append({"planted": slowed, "seconds": round(time.monotonic() - start, 1), **kept})
            publish(path, json.dumps({**head, **rates(rows), "gates": rows}) + "\n", overwrite=True)
    found = {"proof": str(path), **head, **rates(rows)}
    return Outcome(found, [*lines(rows), f"proof: {path}"], DONE if holds(rows) else FAILED_CELLS)


def mixed(plain: int, planted: int) -> list[bool]:
    """True for each planted gate, spread evenly among the plain ones."""
    total = plain + planted
    return [(index + 1) * planted // total > index * planted // total for index in range(total)]


def rates(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Alarms among the plain and among the planted gates, with exact 95 % intervals."""
    return {
        name: _share([row for row in rows if row["planted"] == slowed]) for name, slowed in _KINDS.items()
    }


def holds(rows: list[dict[str, Any]]) -> bool:
    """At most 1 false alarm in 30, at least 9 of 10 planted slow-downs caught."""
    found = rates(rows)
    false, caught = found["aa"], found["planted"]
    return (not false or false["alarms"] <= MOST_ALARMS * false["gates"]) and (
        not caught or caught["alarms"] >= LEAST_CAUGHT * caught["gates"]
    )


def lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rates as a person reads them."""
    for name, each in rates(rows).items():
        if each:
            yield (
                f"{name:<8} alarms {each['alarms']}/{each['gates']} "
                f"({each['low']:.1%} to {each['high']:.1%}); fine {each['fine']}, "
                f"undecided {each['undecided']}; {each['seconds']:.0f} s a gate"
            )


_KINDS: Final = {"aa": False, "planted": True}


def _share(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    states = [row["state"] for row in rows]
    share = clopper_pearson(states.count(SLOWER), len(rows), unit="gate", scope="this machine")
    return {
        "gates": len(rows),
        "alarms": share.k,
        "low": share.low,
        "high": share.high,
        "fine": states.count("fine"),
        "undecided": states.count("undecided"),
        "seconds": sum(row["seconds"] for row in rows) / len(rows),
    }
