"""How far a study is, from its files alone."""

import pytest

from fairtrial.planning.status import lines, status
from fairtrial.storage.record import cell_message, failure
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from tests.support.records import declared_store, diverged, done, killed, publish
from tests.support.studies import study


def test_a_study_that_never_ran_is_pending_and_stays_unwritten(tmp_path):
    found = status(study(), Store.of(study(), tmp_path / "results"))
    assert found["counts"] == {"pending": 12}
    assert (found["complete_seeds"], found["seeds"]) == (0, 3)
    assert not list(tmp_path.iterdir())
    assert next(iter(lines(found))) == "study     small: 12 cells: 12 pending"


def test_outcomes_are_counted_and_blocks_are_complete_seeds(tmp_path):
    made = study()
    store = declared_store(made, tmp_path)
    for cell in made.cells()[:7]:
        publish(store, cell, result=(diverged if cell.seed == 1 else done)(train_s=2.0))
    found = status(made, store)
    assert found["counts"] == {"done": 4, "diverged": 3, "pending": 5}
    assert (found["complete_seeds"], found["device_s"]) == (1, 14.0)
    said = "\n".join(lines(found))
    assert "12 cells: 3 diverged, 4 done, 5 pending" in said
    assert "1 of 3 seeds complete in every arm" in said
    assert "spent     14 s of device time, 0 s of it lost" in said


def test_lost_attempts_are_listed_and_billed(tmp_path):
    made = study()
    store, cell = declared_store(made, tmp_path), made.cells()[0]
    publish(store, cell, 1, killed(lost_s=3.0))
    publish(store, cell, 2)
    found = status(made, store)
    assert found["counts"] == {"done": 1, "pending": 11}
    assert (found["ended_attempts"], found["lost_s"], found["device_s"]) == ({"killed": 1}, 3.0, 4.0)
    assert any(
        "1 killed; their cells were run again, are pending or were given up" in line for line in lines(found)
    )


def test_a_cell_that_failed_three_times_is_named_with_its_reason(tmp_path):
    made = study()
    store, cell = declared_store(made, tmp_path), made.cells()[0]
    for attempt in (1, 2, 3):
        publish(store, cell, attempt, failure("error", f"boom {attempt}", "x.py:1", 0.0))
    publish(store, made.cells()[1], 1, failure("error", "once", "x.py:1", 0.0))
    named = [line for line in lines(status(made, store)) if line.startswith("failed")]
    assert named == [f"failed    {cell.arm}, seed 0 broke: boom 3 (x.py:1); 3 attempts failed"]


def test_cells_of_an_earlier_declaration_are_told_apart(tmp_path):
    made = study(seeds=range(4))
    store = declared_store(made, tmp_path)
    publish(store, made.cells()[-1])  # seed 3
    found = status(study(), store)
    assert (found["counts"], found["other_cells"]) == ({"pending": 12}, 1)
    assert any("1 cells of earlier declarations" in line for line in lines(found))


def test_a_running_cell_shows(tmp_path):
    made = study()
    store = declared_store(made, tmp_path)
    store.lease(cell_message(made.cells()[0]), 1, 4242, {"threads": 1})
    found = status(made, store)
    assert found["running"] == 1
    assert any(line.startswith("leases    1 cells") for line in lines(found))
    assert "time      to go: unknown yet" in lines(found)


def test_a_run_says_how_long_it_goes_on_and_what_each_arm_has_by_now(tmp_path):
    made = study()
    store, cells = Store.of(made, tmp_path), made.cells()
    with store.driving(made, None):
        for cell in cells[:9]:
            publish(store, cell, 1, done(0.5 + cell.seed / 100, train_s=4.0))
        publish(store, cells[9], 1, failure("error", "boom", "x.py:1", 0.0))
        for cell in cells[9:11]:
            store.lease(cell_message(cell), 2, 4242, {"threads": 1})
        found = status(made, store)
    said = list(lines(found))
    # three cells of 4 s, two side by side
    assert (found["elapsed_s"], found["left_s"]) == (pytest.approx(0, abs=2), 6.0)
    assert any(line.endswith(" s since it began; to go: about 6 s") for line in said)
    assert f"again     {cells[9].arm}, seed 2 broke: boom (x.py:1): it is tried again" in said
    arm = found["arms"][0]
    assert (arm["arm"], arm["ended"], arm["cells"], arm["metric"]) == (cells[0].arm, 3, 3, "test_acc")
    assert (arm["mean"], arm["interval"]) == (pytest.approx(0.51), pytest.approx((0.4852, 0.5348), abs=1e-4))
    assert f"arm       {cells[0].arm}: 3 of 3 cells, test_acc 51.0 [48.5, 53.5]" in said


def test_a_forecast_is_graded_by_what_was_spent(tmp_path):
    """Each arm's first cell forecasts its others: four arms of 2 s, then 2, 3 and nothing yet."""
    made = study()
    store, cells = declared_store(made, tmp_path), made.cells()
    for cell in cells[:4]:
        publish(store, cell, result=done(train_s=2.0))
    assert status(made, store)["forecast"] is None
    for cell, took in zip(cells[4:6], (2.0, 3.0), strict=True):
        publish(store, cell, result=done(train_s=took))
    publish(store, cells[6], result=diverged(train_s=9.0))
    found = status(made, store)
    assert found["forecast"] == {"forecast_s": 4.0, "spent_s": 5.0}
    said = "forecast  4 s for the rest, by each arm's first cell; the rest took 5 s (+25 %)"
    assert said in list(lines(found))


def test_what_all_recorded_cells_of_another_declaration_have_is_told(tmp_path):
    """A budget and a learning rate that no cell of the study has; what they share with it is not told."""
    recorded = study(seeds=range(2), fixed={"lr": 0.2}, budget=Budget(examples=128))
    store = declared_store(recorded, tmp_path)
    for cell in recorded.cells():
        publish(store, cell)
    found = status(study(seeds=range(2)), store)
    assert found["others_have"] == {"lr": [0.2], "budget": ["128ex"]}
    assert any(line.endswith("not counted; they have lr=0.2, budget=128ex") for line in lines(found))
    assert status(recorded, store)["others_have"] == {}
