"""What one launch says of the rounds that were measured."""

import math
from pathlib import Path

import pytest

from fairtrial.regression.launch import Launch, Setup, Tree, run

CHECKOUT = Path(__file__).parents[2]


def launch(base, candidate):
    return Launch(({"a": base}, {"a": candidate}), ())


def test_a_cold_cache_that_hits_each_process_in_turn_is_no_difference():
    cold, warm = 1.3, 1.0
    base, candidate = [warm, cold, cold, warm] * 5, [cold, warm, warm, cold] * 5
    assert launch(base, candidate).log_ratios()["a"] == pytest.approx(0)


def test_a_disturbed_block_does_not_count():
    candidate = [1.05] * 20
    candidate[4:8] = [9, 9, 9, 9]
    assert launch([1.0] * 20, candidate).log_ratios()["a"] == pytest.approx(math.log(1.05))


def test_a_bench_of_one_side_alone_has_no_ratio():
    one = Launch(({"a": [1.0] * 4}, {"a": [1.0] * 4, "new": [1.0] * 4}), ())
    assert list(one.log_ratios()) == ["a"]
    assert one.seconds() == {"a": 1.0, "new": 1.0}


@pytest.mark.slow
def test_the_benches_of_this_tree_run_in_turns(tmp_path):
    trees = [Tree("base", CHECKOUT), Tree("candidate", CHECKOUT, plant=100.0)]
    found = run(trees, Setup(CHECKOUT, tmp_path, rounds=8), 0)
    base, candidate = found.rounds
    assert list(base) == list(candidate) == [
        "test_std_conv[mini]", "test_std_conv[r50x1]", "test_group_norm", "test_step_of_mini",
    ]  # fmt: skip
    assert all(len(rounds) == 8 for rounds in base.values())
    ratios = found.log_ratios()
    assert ratios["test_std_conv[mini]"] > 0.35 and ratios["test_std_conv[r50x1]"] > 0.35  # log 2 is 0.69
