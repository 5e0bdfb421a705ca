"""What a study will take, from the seconds of a step of each arm."""

import pytest

from fairtrial.planning.forecast import cell_seconds, overhead
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.identity import arm_key
from tests.support.records import done, killed, publish
from tests.support.toy import toy_study


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def store(tmp_path):
    store = Store.of(toy_study(), tmp_path)
    store.declare(toy_study())
    return store


def test_a_cell_takes_its_steps_times_their_time_or_its_seconds(cells):
    known = {arm_key(cells[0].settings): 0.5}
    assert cell_seconds(cells[0], known) == 4.0  # 8 steps
    assert cell_seconds(cells[1], known) is None
    assert cell_seconds(toy_study(budget="9s").cells()[0], {}) == 9.0
    assert cell_seconds(toy_study(budget="9gflop").cells()[0], known) is None


def test_overhead_is_the_median_share_of_evaluation_and_loading(store, cells):
    assert overhead(store.attempts()) == 0
    for cell, eval_s in zip(cells[:3], (0.1, 0.3, 9.0), strict=True):
        result = done(train_s=2.0)
        result["spent"] |= {"eval_s": eval_s, "load_s": 0.1}
        publish(store, cell, 1, result)
    publish(store, cells[3], 1, killed())
    assert overhead(store.attempts()) == pytest.approx(0.2)


def test_a_budget_reads_as_words():
    assert Budget(examples=2048).words == "2,048 examples"
