"""`fairtrial selftest`: every check, every wrong method, the speed of whole tables."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Final

from fairtrial.errors import DONE, FAILED_CELLS
from fairtrial.rng import ROOT
from fairtrial.selftest import controls, coverage, errors, harness, looking, properties, speed, words

CHECKS: Final = (*coverage.CHECKS, *errors.CHECKS, *looking.CHECKS, *properties.CHECKS)
CONTROLS: Final = (*looking.CONTROLS, *controls.CONTROLS)


def answer(seed: int = ROOT) -> tuple[dict[str, Any], list[str], int]:
    """The record, its words, and the exit code: 1 when a claim does not hold or a wrong method passes."""
    start = time.perf_counter()
    found = harness.run((*CHECKS, *CONTROLS), seed)
    spent = speed.measure()
    told = list(words.lines(seed, found, spent, time.perf_counter() - start))
    record = {
        "seed": seed,
        "checks": [asdict(each) for each in found],
        "failed": [each.name for each in found if not each.ok],
        "speed": {"rows": speed.ROWS, "seconds": spent},
    }
    return record, told, DONE if all(each.ok for each in found) else FAILED_CELLS
