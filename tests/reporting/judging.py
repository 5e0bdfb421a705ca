"""Made-up truths, and what is found of made-up results, with its sentences."""

from __future__ import annotations

import base64
import math

import numpy as np

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


def truth(cell, noise):
    """GN earns 4 points, WS 1 alone and 3 more with GN, MixUp takes 2; seeds shift all alike."""
    gn, ws = cell.levels["norm"] == "gn", cell.levels["weight_std"]
    gain = 0.04 * gn + 0.01 * ws + 0.03 * (gn and ws) - 0.02 * bool(cell.levels["mixup"])
    return 0.5 + gain + 0.001 * cell.seed + 1e-5 * noise(cell, "x")


def recorded_bits(bits):
    """What a run records that got these images right and the others wrong."""
    packed = base64.b64encode(np.packbits(bits).tobytes()).decode()
    return {"measured": {"test_acc": float(bits.mean()), "test_n": len(bits), "correct": packed}}
