"""Tuning with real processes: equal trials, shared draws, sealed test images, resumed after any stop."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fairtrial.errors import Fault
from fairtrial.execution import worker_pool
from fairtrial.execution.runner import Options
from fairtrial.rng import state
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from fairtrial.study.tuning_design import FIRST_SEED, WORST, Tuning
from fairtrial.tuning import tune
from fairtrial.tuning.space import Dimension
from fairtrial.tuning.trials import Trial, best, read, tuned
from tests.support.toy import WORKER, toy_study

LR = Dimension("lr", 0.01, 1.0, True)
DECAY = Dimension("weight_decay", 0.0, 0.1, False)


def design(trials=4, studies=3, sampler="random"):
    return Tuning(trials, studies, sampler, (LR.text,))


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Tune over toy jobs: `toy(plan, **options)` -> exit code, trials."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    monkeypatch.setattr("os.fsync", lambda handle: None)

    def go(plan=None, study=None, **options):
        plan, study = plan or design(), study or toy_tunable()
        code = tune.tune(study, (LR,), plan, Options(results=tmp_path, **{"jobs": 2, **options}))
        return code, read(plan, Store(tmp_path / "toy-tuning").attempts())

    return go


def toy_tunable(**more):
    return replace(toy_study(), fixed={"resolution": 8, "data": "digits", "val_per_class": 4}, **more)


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*.json")}


def trial(number, value, *, tuning=0, status="done", lr=0.1):
    return Trial(tuning, number, {"norm": "gn"}, {"lr": lr}, status, value, 10, 0, 1.0)


# what is proposed


def test_a_random_trial_is_the_draw_of_its_own_stream_and_of_nothing_else():
    for index, number in ((0, 0), (0, 7), (2, 3)):
        seed, _ = state("tuning", index, number)
        drawn = np.random.RandomState(seed).uniform(math.log(0.01), math.log(1.0))
        told = [trial(i, 0.5) for i in range(number)]
        assert tune.propose((LR,), "random", index, number, told)["lr"] == pytest.approx(math.exp(drawn))


def test_other_trials_and_other_tuning_studies_draw_otherwise():
    drawn = [tune.propose((LR,), "random", t, i, ())["lr"] for t in range(3) for i in range(5)]
    assert len(set(drawn)) == 15
    assert all(0.01 <= rate <= 1 for rate in drawn)


def test_tpe_starts_with_random_trials_then_learns_from_what_it_is_told():
    def told(good):
        return [
            trial(i, 1.0 if (rate > 0.3) == good else WORST, lr=rate)
            for i in range(24)
            for rate in [tune.propose((LR,), "random", 0, i, ())["lr"]]
        ]

    high, low = (
        [tune.propose((LR,), "tpe", 0, 24 + i, told(good))["lr"] for i in range(12)] for good in (True, False)
    )
    assert np.median(high) > 0.3 > np.median(low)


def test_importances_name_the_setting_that_decides():
    chance = np.random.default_rng(0)
    trials = [
        Trial(0, i, {}, {"lr": float(lr), "weight_decay": float(wd)}, "done", math.log(lr), 1, 0, 1.0)
        for i, (lr, wd) in enumerate(chance.uniform((0.01, 0), (1, 0.1), (30, 2)))
    ]
    found = tune.importances(trials, [LR.text, DECAY.text])
    assert found == tune.importances(trials, [LR.text, DECAY.text])
    assert found["lr"][0] > 0.9 > 0.1 > found["weight_decay"][0]
    assert found["lr"][0] + found["weight_decay"][0] == pytest.approx(1)
    assert found["lr"][1] <= found["lr"][0] <= found["lr"][2]


# what is run


def test_every_arm_gets_the_same_trials_and_typed_again_nothing_is_trained(toy, tmp_path):
    code, trials = toy()
    assert code == 0
    bn, gn = (
        [(t.tuning, t.number, t.set["lr"]) for t in trials if t.at["norm"] == norm] for norm in ("bn", "gn")
    )
    assert bn == gn
    assert [pair[:2] for pair in bn] == [(t, i) for t in range(3) for i in range(4)]
    before = files(tmp_path)
    assert toy()[0] == 0
    assert files(tmp_path) == before


def test_tuning_that_was_cut_off_goes_on_and_more_trials_keep_the_old(toy, tmp_path):
    code, trials = toy(limit=5)
    assert (code, len(trials)) == (5, 5)
    old = files(tmp_path / "toy-tuning" / "cells")
    code, trials = toy(design(trials=6))
    assert (code, len(trials)) == (0, 6 * 3 * 2)
    now = files(tmp_path / "toy-tuning" / "cells")
    assert {path: now[path] for path in old} == old


def test_tpe_waits_for_results_and_gives_every_arm_as_many_trials(toy, monkeypatch):
    monkeypatch.setattr(tune, "STARTUP", 2)
    code, trials = toy(design(trials=4, studies=1, sampler="tpe"))
    assert code == 0
    told = sorted((t.number, t.at["norm"]) for t in trials)
    assert told == [(i, norm) for i in range(4) for norm in ("bn", "gn")]


def test_a_failed_trial_is_a_trial_with_the_declared_worst_value(toy, monkeypatch):
    monkeypatch.setenv("TOY", f'{{"gn {FIRST_SEED}": "raise"}}')
    code, trials = toy(design(trials=2))
    assert code == 1
    failed = [t for t in trials if t.failed]
    assert [(t.at["norm"], t.tuning, t.status, t.value) for t in failed] == [("gn", 0, "error", 0.0)] * 2
    assert len(trials) == 2 * 3 * 2


@pytest.mark.parametrize(
    ("fixed", "says"),
    [({"val_per_class": 0}, "no validation images"), ({"stage": "upstream"}, "a study that pre-trains")],
)
def test_a_study_that_cannot_be_tuned_is_refused(toy, fixed, says):
    with pytest.raises(Fault, match=says):
        toy(study=replace(toy_tunable(), fixed={**toy_tunable().fixed, **fixed}))


# what is chosen


def test_the_best_trial_wins_the_first_among_equals_and_never_a_failed_one():
    trials = [trial(0, 0.5), trial(1, 0.7), trial(2, 0.7), trial(3, 0.9, status="diverged")]
    assert best(trials) == trials[1]
    assert best([trial(0, WORST, status="oom")]) is None


def test_real_trials_never_open_the_test_split_and_what_wins_runs_with_fresh_seeds(tmp_path):
    small = Study(
        name="small",
        question="?",
        factors={"norm": ("bn", "gn")},
        budget=Budget(examples=32),
        fixed={"shots": 2, "batch_size": 16, "val_per_class": 2, "resolution": 8},
        seeds=range(4),
    )
    plan = design(trials=2, studies=2)
    assert tune.tune(small, (LR,), plan, Options(results=tmp_path, jobs=1)) == 0
    records = Store(tmp_path / "small-tuning").attempts()
    assert len(records) == 8
    for record in records:
        measured = record.measured
        assert (measured.test_reads, measured.test_acc, measured.correct) == (0, None, None)
        assert measured.val_acc == measured.val_curve[-1][1]
        assert measured.val_n == 20
    subsets = {(r.seed, r.drawn.subset) for r in records}
    assert len(subsets) == 2  # one draw of images per tuning study, the same for all arms and trials
    final = tuned(small, tmp_path)
    trials = read(plan, records)
    for cell in final.cells():
        mine = [t for t in trials if t.tuning == cell.seed % 2 and t.at == cell.levels]
        top = max(t.value for t in mine)
        assert cell.settings.lr == next(t.set["lr"] for t in mine if t.value == top)
        assert cell.seed not in {record.seed for record in records}


def test_tuned_settings_are_refused_before_tuning_is_complete_and_for_another_budget(toy, tmp_path):
    study = toy_tunable()
    with pytest.raises(Fault, match="never tuned") as refused:
        tuned(study, tmp_path)
    assert refused.value.code == 4
    toy(limit=5)
    with pytest.raises(Fault, match="of 12 trials per arm there are bn 4, gn 1"):
        tuned(study, tmp_path)
    with pytest.raises(Fault, match="tuned with other settings: budget 8st \\(now 9st\\)"):
        tuned(replace(study, budget=Budget(steps=9)), tmp_path)
    with pytest.raises(Fault, match="fresh seeds"):
        tuned(replace(study, seeds=(0, FIRST_SEED)), tmp_path)
