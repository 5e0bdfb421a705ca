"""A cell that is killed in its middle ends bit for bit as one that is not (docs/resuming.md)."""

import random
from itertools import product

import pytest
import torch

from tests.execution.cell.resuming import ARMS, STEPS, cell_of, hold
from tests.support.forked_cells import DROPS, MADE, repeats

pytestmark = pytest.mark.slow
MIXED = ARMS[1:3]  # the arms that are killed with MixUp every day; the nights have each arm both ways
TWO = {"threads": 2, "made": {**MADE, "threads": 2}}


# R3: killed at step k, checkpoints at 3, 6, 9


def every_day(k, arm, mixup):
    """Whether a kill is part of each run of the tests; each night has them all."""
    return k in ((2, 4, 8, 11) if arm == ("bn", True) else (2, 8)) and (mixup > 0) == (arm in MIXED)


@pytest.mark.parametrize(
    ("k", "norm", "weight_std", "mixup"),
    [
        pytest.param(k, *arm, mixup, marks=[] if every_day(k, arm, mixup) else pytest.mark.soak)
        for k, arm, mixup in product(range(1, STEPS), ARMS, (0.0, 0.1))
    ],
)
def test_a_cell_killed_at_a_step_ends_as_one_that_was_not(whole, resumed, k, norm, weight_std, mixup):
    cell = cell_of(norm, weight_std, mixup)
    hold(resumed(cell, f"step-k:{k}"), whole(cell), (k - 1) // 3 * 3)


@pytest.mark.soak
@pytest.mark.parametrize(("arm", "mixup"), list(product(ARMS, (0.0, 0.1))))
def test_a_cell_on_two_threads_ends_as_one_that_was_not_killed(whole, killed, goes_on, arm, mixup):
    cell = cell_of(*arm, mixup)
    killed(cell, "step-k:8", **TWO)
    result = goes_on(cell, **TWO)
    assert result["threads"] == 2
    hold(result, whole(cell, **TWO), 6)


@pytest.mark.parametrize(
    "more",
    [
        {"layout": "nhwc"}, {"norm": "gn", "micro_batch": 4}, {"val_per_class": 0}, {"stage": "tuning"},
    ],
    ids=str,
)  # fmt: skip
def test_other_kinds_of_cells_are_gone_on_with_too(whole, resumed, more):
    cell = cell_of(**more)
    hold(resumed(cell, "step-k:8"), whole(cell), 6)


def test_a_cell_that_diverges_after_it_was_killed_diverges_at_the_same_step(
    cells, whole, tmp_path, kept, goes_on
):
    cell = cell_of(lr=1e30)
    cells.run(tmp_path / "out.json", cell, kept, failpoint="step-k:2", every=1)
    result = goes_on(cell)
    assert result["status"] == "diverged"
    hold(result, whole(cell), 1)


def test_a_cell_killed_three_times_ends_as_one_that_was_not_and_each_second_is_billed_once(whole, resumed):
    cell = cell_of()
    result = resumed(cell, "step-k:4", "step-k:8", "step-k:11")
    hold(result, whole(cell), 9)
    spent = result["spent"]
    assert 0 < spent["carried_s"] < spent["train_s"] + spent["eval_s"] + spent["checkpoint_s"]


# negative controls: a state without one of its items is found out by what R3 compares

ARRAYS = ("head", "BN running mean", "momentum", "losses")  # of those that are dropped alike, every day


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(item, marks=pytest.mark.soak if DROPS[item] and item not in ARRAYS else [])
        for item in DROPS
    ],
)
def test_a_state_that_lacks_an_item_does_not_end_the_same(whole, resumed, item):
    cell = cell_of()
    result = resumed(cell, "step-k:8", dropped=item)
    assert "goes on from step 6" in result["lines"][0]
    assert repeats(result) != repeats(whole(cell))


def test_training_reads_no_global_generator(cells):
    """So none has a position that a checkpoint would have to keep."""
    from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell

    before = torch.get_rng_state(), random.getstate()
    torch.manual_seed(1)
    one = run_cell(cell_of(), ExecutionContext())
    torch.manual_seed(2)
    state = torch.get_rng_state()
    other = run_cell(cell_of(), ExecutionContext())
    assert one["measured"] == other["measured"] and torch.equal(state, torch.get_rng_state())
    assert random.getstate() == before[1]
    torch.set_rng_state(before[0])
