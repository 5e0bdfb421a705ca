"""What recorded trials choose: the best mean, ties to the smaller value, edges that widen the grid."""

import math
from argparse import Namespace
from dataclasses import replace

import pytest

from fairtrial import Budget, Contrast, Study
from fairtrial.cli import options
from fairtrial.study.tuning_plan import Range, Tuning
from fairtrial.tuning.selection import Trial, advance, resolve, select
from tests.support.records import outcome

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)


def study(**changes):
    fields = {
        "name": "tuned",
        "question": "Which rate?",
        "factors": {"norm": ("bn", "gn")},
        "fixed": {"val_per_class": 2},
        "budget": Budget(examples=64),
        "seeds": range(3),
        "primary": Contrast("gn", treatment={"norm": "gn"}, control={"norm": "bn"}),
        "tuning": Tuning({"lr": RATES}, seeds=2),
    }
    return Study(**{**fields, **changes})


def run(cells, loss):
    """Outcomes of these cells: loss(cell) is the validation loss, None a divergence."""
    return {cell.id: outcome(cell, loss(cell)) for cell in cells}


def valley(best):
    """A loss with its minimum at `best[norm]`."""
    return lambda cell: abs(math.log(cell.settings.lr / best[cell.settings.norm]))


def finished(declared, loss):
    """The stage after everything that was asked for has run."""
    outcomes = {}
    for _ in range(10):
        stage = advance(declared, outcomes)
        if stage.complete:
            return stage
        outcomes |= run(stage.pending, loss)
    raise AssertionError("tuning never ends")


def trial(lr, *scores):
    return Trial(0, {"lr": lr}, tuple(scores), tuple(0.5 for _ in scores), 20, 1.0)


def test_a_tie_on_paired_seeds_leaves_out_what_all_trials_share():
    """Seeds differ by 10, the trials by 2 at each of them."""
    trials = [trial(0.1, 3.0, 13.1, 22.9), trial(0.3, 1.0, 11.0, 21.0)]
    assert select(trials).params == {"lr": 0.1}
    assert select(trials, paired=True).params == {"lr": 0.3}
    near = [trial(0.1, 1.5, 10.8, 21.0), trial(0.3, 1.0, 11.0, 21.0)]
    assert select(near, paired=True).params == {"lr": 0.1}  # 0.1 +- 0.2: a tie all the same


def test_one_standard_error_to_the_digit_is_a_tie_whatever_the_last_digits_say():
    """One of four tuning seeds that differs: the mean of the differences is their standard error."""
    for images in range(1, 400):
        scores = [(500 - images) / 500, 0.4, 0.3, 0.2]
        worse = [scores[0] + 1 / 500, *scores[1:]]
        assert select([trial(0.1, *worse), trial(0.3, *scores)], paired=True).params == {"lr": 0.1}, images


@pytest.mark.parametrize(("paired", "chosen"), [(False, 0.1), (True, 0.3)])
def test_a_study_that_declares_paired_ties_chooses_by_them(paired, chosen):
    """Seeds differ far more than rates do."""
    tuning = Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=3, paired_ties=paired)
    loss = {0.03: 9.0, 0.1: 1.2, 0.3: 1.0, 1.0: 9.0}
    stage = finished(study(tuning=tuning), lambda cell: loss[cell.settings.lr] + cell.seed % 3)
    assert {choice.params["lr"] for choice in stage.choices.values()} == {chosen}
    assert all((choice.stability == 1.0) == paired for choice in stage.choices.values())


def test_the_best_mean_wins():
    assert select([trial(0.1, 2.0, 2.1), trial(0.3, 1.0, 1.1), trial(1.0, 3.0, 3.1)]).params == {"lr": 0.3}


def test_what_lies_within_one_standard_error_of_the_best_goes_to_the_smaller_value():
    # the best has mean 1.0 and a standard error of sqrt(.02)/sqrt(2) = 0.1
    near, far = trial(0.1, 1.09, 1.09), trial(0.1, 1.11, 1.11)
    best = trial(0.3, 0.9, 1.1)
    assert select([near, best]).params == {"lr": 0.1}
    assert select([far, best]).params == {"lr": 0.3}


def test_with_one_tuning_seed_there_is_no_standard_error():
    assert select([trial(0.1, 1.001), trial(0.3, 1.0)]).params == {"lr": 0.3}


def test_a_diverged_run_loses_and_if_all_do_the_smallest_value_is_left():
    assert select([trial(0.1, 2.0, 2.0), trial(0.3, 0.1, math.inf)]).params == {"lr": 0.1}
    assert select([trial(0.3, math.inf), trial(0.1, math.inf)]).params == {"lr": 0.1}


def test_every_regime_gets_the_same_trials_at_the_same_tuning_seeds():
    stage = advance(study(), {})
    assert len(stage.pending) == 2 * 5 * 2
    seen = {
        norm: {(cell.settings.lr, cell.seed) for cell in stage.cells if cell.levels["norm"] == norm}
        for norm in ("bn", "gn")
    }
    assert seen["bn"] == seen["gn"]
    assert {cell.settings.stage for cell in stage.cells} == {"tuning"}
    assert not {cell.seed for cell in stage.cells} & set(study().seeds)


def test_a_trial_costs_the_declared_share_of_the_budget():
    declared = study(tuning=Tuning({"lr": RATES}, share=0.25))
    assert {str(cell.budget) for cell in advance(declared, {}).cells} == {"16ex"}


def test_each_regime_takes_its_own_choice_into_the_confirmatory_cells():
    declared = study()
    loss = valley({"bn": 1.0, "gn": 0.1})
    stage = finished(declared, loss)
    tuned, _ = resolve(declared, run(stage.cells, loss))
    assert {(c.levels["norm"], c.settings.lr) for c in tuned.cells()} == {("bn", 1.0), ("gn", 0.1)}
    assert {cell.settings.stage for cell in tuned.cells()} == {"downstream"}
    assert len(tuned.cells()) == 2 * 3


def test_before_tuning_is_complete_there_are_no_confirmatory_cells():
    declared = study()
    stage = advance(declared, {})
    tuned, after = resolve(declared, run(stage.cells[:-1], valley({"bn": 1.0, "gn": 0.1})))
    assert tuned.cells() == []
    assert [cell.id for cell in after.pending] == [stage.cells[-1].id]


def test_the_a_a_arm_takes_the_rate_of_its_twin():
    declared = study(aa={"norm": "gn"})
    loss = valley({"bn": 1.0, "gn": 0.1})
    tuned, _ = resolve(declared, run(finished(declared, loss).cells, loss))
    twins = {cell.replica: cell.settings.lr for cell in tuned.cells() if cell.levels["norm"] == "gn"}
    assert twins == {0: 0.1, 1: 0.1}


def test_a_choice_at_an_edge_widens_the_grid_for_every_regime():
    stage = finished(study(), valley({"bn": 9.0, "gn": 0.3}))
    assert stage.grid == (*RATES, 9.0, 27.0)
    assert {(c.levels["norm"], c.settings.lr) for c in stage.cells} >= {("gn", 9.0), ("bn", 27.0)}
    chosen = {dict(regime)["norm"]: params["lr"] for (_, regime), params in stage.chosen.items()}
    assert chosen == {"bn": 9.0, "gn": 0.3}


def test_the_grid_ends_where_it_may_not_widen_any_more():
    stage = finished(study(), valley({"bn": 1e-6, "gn": 0.3}))
    assert stage.grid == (0.0027, 0.009, *RATES)


def test_adding_an_arm_changes_no_trial_of_the_others():
    few, more = study(), study(factors={"norm": ("bn", "gn", "ln")})
    assert {cell.id for cell in advance(few, {}).cells} <= {cell.id for cell in advance(more, {}).cells}


def test_stability_says_how_often_resampled_tuning_seeds_choose_the_same():
    losses = {0: {0.1: 1.0, 0.3: 2.0}, 1: {0.1: 2.1, 0.3: 1.0}}
    declared = study(factors={"norm": ("gn",)}, primary=(), tuning=Tuning({"lr": (0.1, 0.3)}, seeds=2))

    def loss(cell):
        return losses[cell.seed % 2].get(cell.settings.lr, 9.0)

    (choice,) = finished(declared, loss).choices.values()
    # means 1.55 and 1.5, error .5: a tie, so 0.1; of the resamples (0,0) (0,1) (1,0) (1,1) the last takes 0.3
    assert choice.params == {"lr": 0.1}
    assert choice.stability == pytest.approx(0.75)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sampled_space_gives_every_regime_as_many_trials(sampler):
    tuning = Tuning({"lr": Range(0.01, 1)}, trials=12, sampler=sampler, seeds=1)
    declared = study(tuning=tuning)
    stage = finished(declared, valley({"bn": 0.5, "gn": 0.05}))
    assert {len(trials) for trials in stage.trials.values()} == {12}
    first = {
        norm: [cell.settings.lr for cell in stage.cells if cell.levels["norm"] == norm][:10]
        for norm in ("bn", "gn")
    }
    assert first["bn"] == first["gn"]  # one sampler for all, until results differ
    assert replace(declared, chosen=stage.chosen).cells()


def test_two_searches_hand_their_choices_out_in_turn():
    declared = study(tuning=Tuning({"lr": RATES}, seeds=1, studies=2), seeds=range(4))
    best = {0: 0.1, 1: 1.0}

    def loss(cell):
        return abs(math.log(cell.settings.lr / best[cell.seed % 2]))

    tuned, _ = resolve(declared, run(finished(declared, loss).cells, loss))
    assert {(cell.seed, cell.settings.lr) for cell in tuned.cells()} == set(
        zip(range(4), (0.1, 1.0, 0.1, 1.0), strict=True)
    )


def test_the_accuracy_of_a_trial_that_diverged_is_chance_whatever_it_reached_before():
    declared = study(factors={"norm": ("gn",)}, primary=(), tuning=Tuning({"lr": (0.1, 0.3)}, seeds=1))
    stage = finished(declared, lambda cell: None if cell.settings.lr == 0.3 else 1.0)
    (trials,) = stage.trials.values()
    ended, lost = ({trial.params["lr"]: trial for trial in trials}[rate] for rate in (0.1, 0.3))
    assert (ended.accuracies, lost.accuracies) == ((0.5,), (0.1,))
    assert (lost.failed, lost.classes) == (True, 10)


def test_an_option_that_changes_the_search_keeps_how_ties_are_judged():
    declared = study(tuning=Tuning({"lr": RATES}, share=0.5, score="val_acc", paired_ties=True))
    changed = options.tuning(declared, Namespace(tuning_seeds="3")).tuning
    assert changed == Tuning({"lr": RATES}, seeds=3, share=0.5, score="val_acc", paired_ties=True)
