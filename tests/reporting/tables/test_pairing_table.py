"""What pairing buys is measured on the cells of each contrast."""

from __future__ import annotations

import numpy as np
import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.tables.outcome_tables import pairing_tables
from fairtrial.reporting.verdicts import findings


def paired(store):
    results = load.load(store)
    return pairing_tables(results, findings.judge(results))


def test_the_gain_is_the_variance_of_independent_arms_over_that_of_pairs(make_study, publish, noise):
    level = {seed: 0.02 * np.cos(seed) for seed in range(10)}  # shared by the arms of a seed
    scores = {}

    def outcome(cell):
        value = 0.8 + level[cell.seed] + 0.005 * noise(cell, "x")
        if cell.levels["batch_size"] == 4 and cell.arm in ("bn, batch 4", "gn+ws, batch 4"):
            scores.setdefault(cell.levels["norm"], []).append(value)
        return value

    (table,) = paired(publish(make_study(), outcome))
    (row,) = table.frame.to_dict("records")
    gn, bn = np.array(scores["gn"]), np.array(scores["bn"])
    by_hand = (gn.var(ddof=1) + bn.var(ddof=1)) / (gn - bn).var(ddof=1)
    assert by_hand > 2
    assert float(row["gain"]) == pytest.approx(by_hand, abs=0.005)
    assert float(row["r"]) == pytest.approx(np.corrcoef(gn, bn)[0, 1], abs=0.005)


def test_seeds_that_work_against_each_other_cost_precision(make_study, publish, noise):
    def outcome(cell):
        turn = 1 if cell.levels["norm"] == "gn" else -1
        return 0.8 + turn * 0.02 * np.cos(cell.seed) + 0.001 * noise(cell, "x")

    (table,) = paired(publish(make_study(), outcome))
    (row,) = table.frame.to_dict("records")
    assert float(row["gain"]) == pytest.approx(0.5, abs=0.02)  # r = -1: (s2 + s2) / (2 s)2


def test_without_an_interval_there_is_no_row(make_study, publish):
    assert paired(publish(make_study(), lambda cell: 0.9 if cell.seed < 2 else None)) == []
