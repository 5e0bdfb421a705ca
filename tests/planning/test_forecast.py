"""What a study will take, from the seconds of a step and of an evaluation of each arm."""

from dataclasses import replace

import pytest

from fairtrial.execution.run_options import Options
from fairtrial.execution.step_times import session_s
from fairtrial.planning import plan
from fairtrial.planning.forecast import Costs
from fairtrial.storage.provenance import cpu_model
from fairtrial.study.budget import Budget
from fairtrial.study.identity import arm_key
from tests.support.records import ORIGIN, declared_store, done, killed, publish
from tests.support.toy import toy_study


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def store(tmp_path):
    return declared_store(toy_study(), tmp_path)


def trial(cell):
    return replace(cell, settings=replace(cell.settings, stage="tuning"))


def test_a_cell_trains_its_steps_times_their_time_or_its_seconds(cells):
    known = Costs({arm_key(cells[0].settings): 0.5})
    assert known.train_s(cells[0]) == 4.0  # 8 steps
    assert known.train_s(cells[1]) is None
    assert Costs({}).train_s(toy_study(budget="9s").cells()[0]) == 9.0
    assert known.train_s(toy_study(budget="9gflop").cells()[0]) is None


def test_a_budget_in_seconds_times_its_arms_before_each_seed(cells, tmp_path):
    """`batch-seconds` took longer than its plan had said; several devices time them once."""
    made = toy_study(budget="9s", seeds=4).cells()
    arm = arm_key(made[0].settings)
    each = session_s(0.1)
    assert each == 5 * 0.1 * (1 + 3 + 5) and session_s(6.0) == 2 * 6.0  # a long step is launched once
    assert Costs({arm: 0.1}).launches_s([*made, trial(made[0])]) == 4 * (each + session_s(None))
    assert Costs({arm: 0.1}).launches_s([trial(made[0]), *cells]) == 0
    found = plan.plan(toy_study(budget="9s", seeds=4), Options(results=tmp_path))
    assert found["device_s"] == 8 * 9.0 + 8 * session_s(None)


LOOKS = {"image_s": 0.5, "classes": 10, "train_n": 100, "test_n": 40}


def test_evaluation_comes_on_top_and_a_trial_reads_no_test(store, cells):
    """It was in no forecast before the first cell had ended."""
    arm = arm_key(cells[0].settings)
    origin = {**ORIGIN, "cpu": cpu_model()}
    store.calibrate({arm: 0.5}, origin, rounds={arm: [0.5]}, ways={}, looks={arm: LOOKS}, side_by_side=2)
    costs = Costs.of(store, [], Options(results=store.folder.parent, threads=1))
    assert costs.cell_s(cells[0]) == 4.0 + 0.5 * 40
    assert costs.looks_s(trial(cells[0])) == 0
    assert costs.looks_s(cells[1]) is None
    assert Costs.of(store, [], Options(results=store.folder.parent, threads=2)).step_s == {}


@pytest.mark.parametrize(
    ("settings", "images"),
    [
        ({"val_per_class": 2, "shots": 3}, 4 * 20),
        # a probe: the features of all its images, once
        ({"val_per_class": 2, "shots": 3, "finetune": "linear_probe", "upstream": "upstream"}, 30 + 20),
        ({"val_per_class": 2, "shots": "all", "finetune": "linear_probe", "upstream": "upstream"}, 100),
    ],
)
def test_a_cell_looks_at_its_own_number_of_images(cells, settings, images):
    """Arms whose steps cost the same share their times, and differ in how many images they look at."""
    cell = replace(cells[0], settings=replace(cells[0].settings, **settings))
    costs = Costs({}, looks={arm_key(cell.settings): LOOKS})
    assert costs.looks_s(trial(cell)) == 0.5 * images
    assert costs.looks_s(cell) == 0.5 * (images + 40)


def test_recorded_cells_say_better_what_evaluation_takes(store, cells):
    same = [cell for cell in cells if cell.arm == cells[0].arm]
    for cell, eval_s in zip(same, (0.1, 0.3, 9.0), strict=True):
        result = done(train_s=2.0)
        result["spent"] |= {"eval_s": eval_s, "load_s": 0.1}
        publish(store, cell, 1, result, cpu=cpu_model())
    publish(store, cells[1], 1, killed(), cpu=cpu_model())
    costs = Costs.of(store, store.attempts(), Options(results=store.folder.parent, threads=1))
    assert costs.looks_s(same[0]) == pytest.approx(0.4)
    assert costs.looks_s(trial(same[0])) is None and costs.looks_s(cells[1]) is None


def test_a_budget_reads_as_words():
    assert Budget(examples=2048).words == "2,048 examples"
