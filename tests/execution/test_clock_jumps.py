"""A wall clock that jumps during a run, as after NTP or a summer time: nothing is decided by it (R14)."""

import time

import pytest

from fairtrial.execution import runner, worker_pool
from fairtrial.execution.runner import Options
from tests.support.toy import WORKER, store_of, table, toy_study

JUMPS = (-86_400.0, 86_400.0, -3600.0, 3600.0, -2e9)  # days, hours, and before 1970
EVERY_DAY = {(-86_400.0, "2s"), (86_400.0, "8st")}


@pytest.mark.parametrize(
    ("jump", "budget"),
    [
        pytest.param(jump, budget, marks=() if (jump, budget) in EVERY_DAY else pytest.mark.soak)
        for jump in JUMPS
        for budget in ("8st", "2s")
    ],
)
def test_a_clock_that_jumps_between_cells_changes_no_limit_no_bill_and_no_result(
    tmp_path, monkeypatch, jump, budget
):
    """Driver and worker alike, after the second cell: time limits, leases, launches and the table."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    made = toy_study(budget=budget)
    limits = {"cell_timeout_s": 60, "total_budget_s": 600.0, "jobs": 1}
    assert runner.run(made, Options(results=tmp_path / "whole", **limits)) == 0
    now, close = time.time, runner.AttemptLog.close
    closed = []

    def jumping(*arguments):
        closed.append(close(*arguments))
        if len(closed) == 2:
            monkeypatch.setattr(time, "time", lambda: now() + jump)
        return closed[-1]

    monkeypatch.setattr(runner.AttemptLog, "close", jumping)
    monkeypatch.setenv("TOY_CLOCK", str(jump))
    assert runner.run(made, Options(results=tmp_path / "hit", **limits)) == 0
    monkeypatch.undo()
    hit, whole = store_of(tmp_path / "hit"), store_of(tmp_path / "whole")
    assert table(tmp_path / "hit", budget=budget) == table(tmp_path / "whole", budget=budget)
    assert [each.spent.lost_s for each in hit.attempts()] == [0.0] * 6 and hit.abandoned() == []
    assert len(hit.calibrations()) == len(whole.calibrations()) == 3 * (budget == "2s")
    assert [each.after for each in hit.calibrations()] == list(range(len(hit.calibrations())))
    ended = sorted(each.provenance.ended for each in hit.attempts())
    assert ended[-1] - ended[0] > min(abs(jump), 3000)  # it did jump
