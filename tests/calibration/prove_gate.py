"""The gate's own error rates on this machine: a tree against itself, plain and with a planted slow-down.

python -m tests.calibration.prove_gate 30 10     30 gates of the first kind, 10 of the second, mixed
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from fairtrial.errors import DONE, FAILED_CELLS
from fairtrial.regression.benchmark_records import folder_name
from fairtrial.regression.decision import SLOWER
from fairtrial.regression.gate import GateOptions, Outcome, judge, prepared
from fairtrial.stats import clopper_pearson
from fairtrial.storage.atomic import publish
from fairtrial.storage.provenance import code_of

FILE = "gate/proof.json"
PLANTED = 5.0  # percent
MOST_ALARMS, LEAST_CAUGHT = 1 / 30, 9 / 10  # of plain gates; of planted ones
KINDS = {"aa": False, "planted": True}
_KEPT = ("state", "launches", "benches", "plan", "log_ratios")


def prove(options, plain, planted):
    """So many gates of each kind, mixed evenly over time; the record is published after each of them."""
    percent = options.plant or PLANTED
    rows = []
    with prepared(options) as setup:
        path = options.bench / folder_name(setup.machine) / FILE
        head = {"device": setup.machine, "code": code_of(setup.root), "planted_percent": percent}
        path.parent.mkdir(parents=True, exist_ok=True)
        for number, slowed in enumerate(mixed(plain, planted)):
            options.tell(f"gate {number + 1} of {plain + planted}: {'planted' if slowed else 'A/A'}")
            start = time.monotonic()
            facts = judge(replace(options, aa=True, plant=percent if slowed else 0.0), setup).facts
            seconds = round(time.monotonic() - start, 1)
            rows.append({"planted": slowed, "seconds": seconds, **{name: facts[name] for name in _KEPT}})
            publish(path, json.dumps({**head, **rates(rows), "gates": rows}) + "\n", overwrite=True)
    facts = {"proof": str(path), **head, **rates(rows)}
    return Outcome(facts, [*lines(rows), f"proof: {path}"], DONE if holds(rows) else FAILED_CELLS)


def mixed(plain, planted):
    """True for each planted gate, spread evenly among the plain ones."""
    total = plain + planted
    return [(index + 1) * planted // total > index * planted // total for index in range(total)]


def rates(rows):
    """Alarms among the plain and among the planted gates, with exact 95 % intervals."""
    return {name: _share([row for row in rows if row["planted"] == slowed]) for name, slowed in KINDS.items()}


def holds(rows):
    """At most 1 false alarm in 30, at least 9 of 10 planted slow-downs caught."""
    shares = rates(rows)
    false, caught = shares["aa"], shares["planted"]
    return (not false or false["alarms"] <= MOST_ALARMS * false["gates"]) and (
        not caught or caught["alarms"] >= LEAST_CAUGHT * caught["gates"]
    )


def lines(rows):
    """The rates as a person reads them."""
    for name, each in rates(rows).items():
        if each:
            yield (
                f"{name:<8} alarms {each['alarms']}/{each['gates']} "
                f"({each['low']:.1%} to {each['high']:.1%}); fine {each['fine']}, "
                f"undecided {each['undecided']}; {each['seconds']:.0f} s a gate"
            )


def _share(rows):
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plain", type=int, help="gates of this tree against itself")
    parser.add_argument("planted", type=int, help="gates with a planted slow-down")
    parser.add_argument("--plant", type=float, default=PLANTED, help="of so many percent; default 5")
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    outcome = prove(GateOptions(given.results, plant=given.plant), given.plain, given.planted)
    print(*outcome.lines, sep="\n")
    return outcome.code


if __name__ == "__main__":
    raise SystemExit(main())
