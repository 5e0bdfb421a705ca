"""How tuning is declared: what is refused, how a grid widens, what a declaration keeps."""

import math
from dataclasses import replace

import pytest

from fairtrial.study.tuning_plan import FIRST_SEED, Range, Tuning, widen

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"space": {}}, "no setting"),
        ({"space": {"shots": (1, 2)}}, "cannot be tuned"),
        ({"space": {"lr": (0.1,)}}, "two or more"),
        ({"space": {"lr": (0.3, 0.1)}}, "ascending"),
        ({"space": {"lr": (0.0, 0.1)}}, "above 0"),
        ({"space": {"lr": RATES}, "trials": 3}, "leave trials out"),
        ({"space": {"lr": RATES, "warmup": (0.0, 0.1)}}, "one setting"),
        ({"space": {"lr": Range(0.01, 1)}}, "needs trials"),
        ({"space": {"lr": Range(0.01, 1), "warmup": (0.0, 0.1)}, "trials": 3}, "a Range for every"),
        ({"space": {"lr": RATES}, "share": 0}, "share"),
        ({"space": {"lr": RATES}, "seeds": 0}, "at least one seed"),
        ({"space": {"lr": RATES}, "score": "test_acc"}, "unknown score"),
    ],
)
def test_what_cannot_be_searched_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Tuning(**arguments)


def test_a_range_has_room_and_a_logarithm():
    for limits in ((1, 1), (2, 1), (0, 1)):
        with pytest.raises(ValueError, match="range"):
            Range(*limits)
    assert Range(0, 0.2, log=False).low == 0


@pytest.mark.parametrize("space", [{"lr": RATES}, {"lr": Range(0.01, 1), "mixup": Range(0, 1, log=False)}])
def test_a_declaration_keeps_the_whole_search(space):
    tuning = Tuning(space, trials=None if len(space) == 1 else 7, seeds=3, share=0.5, studies=2)
    assert "paired_ties" not in tuning.record()  # no declaration changes that was made before it
    for each in (tuning, replace(tuning, paired_ties=True)):
        assert Tuning.of(each.record()) == each
        assert Tuning.of(each.record()).words == each.words


def test_each_search_has_tuning_seeds_of_its_own():
    tuning = Tuning({"lr": RATES}, seeds=2, studies=3)
    seeds = [seed for index in range(3) for seed in tuning.seeds_of(index)]
    assert seeds == list(range(FIRST_SEED, FIRST_SEED + 6))
    assert [tuning.index_of(seed) for seed in range(5)] == [0, 1, 2, 0, 1]


def test_a_choice_inside_the_grid_widens_nothing():
    assert widen(RATES, [0.1, 1.0], RATES) == RATES


def test_a_choice_at_an_edge_adds_one_value_at_the_ratio_of_that_edge():
    assert widen(RATES, [3.0], RATES) == (*RATES, 9.0)
    assert widen(RATES, [0.03], RATES) == (0.009, *RATES)
    assert widen(RATES, [0.03, 3.0], RATES) == (0.009, *RATES, 9.0)


def test_a_grid_widens_twice_at_most():
    grid = RATES
    for _ in range(5):
        grid = widen(grid, [grid[-1]], RATES)
    assert grid == (*RATES, 9.0, 27.0)


def test_the_middle_of_a_space_counts_its_cells():
    assert Tuning({"lr": RATES}).middle == {"lr": 0.3}
    middle = Tuning({"lr": Range(0.01, 1), "warmup": Range(0, 0.2, log=False)}, trials=1).middle
    assert math.isclose(middle["lr"], 0.1)
    assert math.isclose(middle["warmup"], 0.1)
