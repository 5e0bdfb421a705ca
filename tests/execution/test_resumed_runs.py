"""Real workers that are killed within a cell, under a real driver: the same table, a bill that adds up."""

from pathlib import Path

import pytest

from fairtrial.errors import DONE, FAILED_CELLS
from fairtrial.failpoints import VARIABLE
from fairtrial.planning.status import status
from fairtrial.storage.cell_checkpoints import of_study
from tests.support.toy import run, store_of, table, toy_study

EAGER = str(Path(__file__).parents[1] / "support" / "eager_worker.py")
STUDY = {"norms": ["bn"], "seeds": 1, "budget": "8st", "val_per_class": 2}
CRASHES = 3


@pytest.mark.slow
def test_a_cell_whose_worker_dies_three_times_ends_the_same_and_every_second_is_billed_once(
    tmp_path, monkeypatch
):
    how = {"study": STUDY, "jobs": 1, "toy": {"TOY_WORKER": EAGER}}
    assert run(tmp_path / "whole", **how)[0] == DONE
    monkeypatch.setenv(VARIABLE, "step-k:5")
    assert run(tmp_path / "hit", **how)[0] == FAILED_CELLS
    kept = of_study(store_of(tmp_path / "hit").folder)
    assert len(list(kept.iterdir())) == 4
    monkeypatch.delenv(VARIABLE)
    code, told = run(tmp_path / "hit", retry=True, **how)
    assert code == DONE and "goes on from step 4 of attempt" in told
    assert table(tmp_path / "hit", **STUDY) == table(tmp_path / "whole", **STUDY)
    assert not list(kept.iterdir())

    *killed, done = store_of(tmp_path / "hit").attempts()
    assert [attempt.status for attempt in killed] == ["killed"] * CRASHES
    spent = done.spent
    assert spent.lost_s == 0 and 0 < spent.carried_s < spent.cell_s and spent.checkpoint_s > 0
    lost_s = sum(attempt.spent.lost_s for attempt in killed)
    assert lost_s > spent.carried_s  # crashing gives no free compute
    found = status(toy_study(**STUDY), store_of(tmp_path / "hit"))
    assert found["lost_s"] == pytest.approx(lost_s - spent.carried_s)
    assert found["device_s"] == pytest.approx(spent.cell_s + found["lost_s"])
