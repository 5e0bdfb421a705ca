"""Findings of made-up results, with their sentences."""

from __future__ import annotations

import math

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import findings
from fairtrial.reporting.verdicts.sentences import sentence

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}
AT_4 = {"batch_size": 4}


def judged(store, **options):
    results = load.load(store)
    found = findings.judge(results, **options)
    return found, [sentence(finding, results.study) for finding in found]


def planted(noise, gain, sd=0.005):
    """gn+ws scores `gain` above everything else; seeds share a level, cells add a little of their own."""

    def outcome(cell):
        mine = gain if cell.levels["norm"] == "gn" and cell.levels["weight_std"] else 0.0
        return 0.8 + mine + 0.02 * math.sin(cell.seed) + sd * noise(cell, "acc") / math.sqrt(2)

    return outcome
