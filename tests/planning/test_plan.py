"""The plan: counts, what can be seen, what it will take; data that a run would refuse."""

from dataclasses import replace

import pytest

from fairtrial.data import few_shot, open_dataset
from fairtrial.data.class_counts import SMALLEST
from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.execution.runner import Options
from fairtrial.execution.step_times import session_s
from fairtrial.planning import plan
from fairtrial.storage.provenance import cpu_model
from fairtrial.study.budget import Budget
from fairtrial.study.identity import arm_key
from fairtrial.study.limits import VAL_POINTS
from fairtrial.study.tuning_plan import Tuning
from fairtrial.tuning.selection import advance
from tests.data.making import write_folder, write_parquet
from tests.support.records import ORIGIN, declared_store, done, publish, trial
from tests.support.studies import study

AA = {"norm": "gn", "batch_size": 16}


def planned(made, folder, **how):
    return plan.plan(made, Options(results=folder, **how))


def calibrate(made, folder, step_s, threads=1):
    arms = {arm_key(cell.settings): step_s for cell in made.cells()}
    origin = {**ORIGIN, "cpu": cpu_model(), "threads": threads}
    declared_store(made, folder).calibrate(arms, origin)


def test_cells_are_arms_by_seeds_and_the_replica_by_seeds(tmp_path):
    found = planned(study(aa=AA, seeds=range(5)), tmp_path)
    assert (found["arms"], found["seeds"], found["aa_cells"], found["cells"], found["pending"]) == (
        4,
        5,
        5,
        25,
        25,
    )
    said = "\n".join(plan.lines(found))
    assert "25 = 4 arms x 5 seeds + an A/A arm x 5 seeds; 25 to do" in said
    assert "64 examples per cell" in said
    assert "1 declared (small batch); margin 1 point\n" in said


def test_planning_writes_nothing(tmp_path):
    planned(study(), tmp_path / "results")
    plan.audit(study())
    assert not list(tmp_path.iterdir())


def test_what_is_recorded_is_no_longer_to_do(tmp_path):
    made = study()
    store = declared_store(made, tmp_path)
    for cell in made.cells()[:5]:
        publish(store, cell)
    assert planned(made, tmp_path)["pending"] == 7


@pytest.mark.parametrize(("seeds", "effect"), [(2, 11.55), (5, 1.68), (10, 0.996), (20, 0.66)])
def test_the_detectable_effect_is_that_of_the_paired_t_test(seeds, effect, tmp_path):
    """Two-sided, alpha 0.05, power 0.8, in standard deviations of the differences: from published tables."""
    assert planned(study(seeds=range(seeds)), tmp_path)["detectable_sd"] == pytest.approx(effect, rel=0.01)


def test_seeds_that_share_a_checkpoint_or_a_search_are_one_unit(tmp_path):
    """Ten subsets of five checkpoints see what five seeds see."""
    start = {"lr": 0.3, "upstream": "upstream", "upstream_seeds": 5}
    found = planned(study(seeds=range(10), fixed=start), tmp_path)
    assert (found["seeds"], found["units"]) == (10, 5)
    assert found["detectable_sd"] == pytest.approx(1.68, rel=0.01)
    assert any("over 5 checkpoints" in line for line in plan.lines(found))
    searched = study(seeds=range(9), tuning=Tuning({"lr": (0.1, 0.3)}, studies=3))
    assert planned(searched, tmp_path)["units"] == 3


def test_one_seed_detects_nothing(tmp_path):
    found = planned(study(seeds=(0,), primary=()), tmp_path)
    assert found["detectable_sd"] is None
    assert any("one seed has no spread" in line for line in plan.lines(found))


def test_without_a_timed_step_there_is_no_forecast(tmp_path):
    found = planned(study(), tmp_path)
    assert found["forecast_s"] is None
    assert found["untimed_arms"] == ["bn, batch 16", "bn, batch 4", "gn, batch 16", "gn, batch 4"]
    assert any("--calibrate" in line for line in plan.lines(found))


def test_a_forecast_is_steps_times_seconds_by_jobs(tmp_path):
    made = study()  # 64 examples: 16 steps of 4 and 4 steps of 16, two arms of each, three seeds
    calibrate(made, tmp_path, 0.5)
    assert planned(made, tmp_path)["device_s"] == pytest.approx(3 * 2 * (16 + 4) * 0.5)
    assert planned(made, tmp_path, jobs=2)["forecast_s"] == pytest.approx(30)
    assert planned(made, tmp_path, jobs=500)["jobs"] == 12  # no more than there are cells
    assert any(
        "forecast   30 s with 2 side by side (1 min 0 s of" in line
        for line in plan.lines(planned(made, tmp_path, jobs=2))
    )


def test_times_of_other_threads_are_no_forecast(tmp_path):
    calibrate(study(), tmp_path, 0.5, threads=4)
    assert planned(study(), tmp_path)["forecast_s"] is None
    assert planned(study(), tmp_path, threads=4)["device_s"] == pytest.approx(60)


def test_recorded_cells_are_a_forecast_too(tmp_path):
    made = study(seeds=range(4))
    store = declared_store(made, tmp_path)
    for cell in made.cells()[:4]:  # the first seed of every arm
        publish(store, cell, result=done(steps=8, train_s=4.0), cpu=cpu_model())
    assert planned(made, tmp_path)["device_s"] == pytest.approx(3 * 2 * (16 + 4) * 0.5)


def test_a_budget_in_seconds_is_its_own_forecast(tmp_path):
    found = planned(study(budget=Budget(seconds=60)), tmp_path, jobs=4)
    launches = 12 * session_s(None)  # of each arm before each of its seeds
    assert (found["forecast_s"], found["jobs"]) == (12 * 60 + launches, 1)  # seconds are measured alone


def test_arms_that_whole_updates_put_apart_are_warned_of(tmp_path):
    fair, unfair = (planned(study(budget=Budget(examples=n)), tmp_path) for n in (64, 70))
    assert (fair["parity_gap"], unfair["parity_gap"]) == (0.0, pytest.approx(72 / 64 - 1))
    assert not any("apart" in line for line in plan.lines(fair))
    assert any("12 % apart in examples" in line for line in plan.lines(unfair))


def test_a_finished_study_has_nothing_left(tmp_path):
    made = study(seeds=range(2))
    store = declared_store(made, tmp_path)
    for cell in made.cells():
        publish(store, cell)
    assert any("nothing left to train" in line for line in plan.lines(planned(made, tmp_path)))


def test_one_cell_above_the_total_budget_is_refused(tmp_path):
    made = study()
    calibrate(made, tmp_path, 0.5)  # the longest cell: 16 steps, 8 s
    plan.refuse_unaffordable(made, Options(results=tmp_path, total_budget_s=8))
    plan.refuse_unaffordable(made, Options(results=tmp_path))
    with pytest.raises(Fault, match=r"one cell of .n, batch 4 takes 8 s; the whole study may cost 7 s"):
        plan.refuse_unaffordable(made, Options(results=tmp_path, total_budget_s=7))


def test_cells_that_are_done_cost_nothing_more(tmp_path):
    made = study(budget=Budget(seconds=60), seeds=range(2))
    store = declared_store(made, tmp_path)
    for cell in made.cells():
        publish(store, cell)
    plan.refuse_unaffordable(made, Options(results=tmp_path, total_budget_s=1))


def test_data_that_is_not_here_is_told_before_a_run_is_refused(tmp_path):
    write_folder(tmp_path / "pets", train=13)
    here, gone = f"folder:{tmp_path / 'pets'}", f"folder:{tmp_path / 'nowhere'}"
    for spec, missing in ((here, []), (gone, [gone])):
        found = planned(study(fixed={"lr": 0.3, "data": spec}), tmp_path)
        assert found["missing_data"] == missing
        said = [line for line in plan.lines(found) if line.startswith("warning")]
        assert said == [f"warning    {spec} is not on this machine: a run here would be refused"] * len(
            missing
        )


def bad_data(root):
    """Data that no run would take: its specification, shots, and what is said of it."""
    (root / "bare").mkdir()
    (root / "empty" / "train").mkdir(parents=True)
    (root / "empty" / "test").mkdir()
    few, rows = write_folder(root / "few", train=3), write_parquet(root / "rows", names=["cat", "dog"])
    (root / "garbage").mkdir()
    for split in ("train", "test"):
        (root / "garbage" / f"{split}.parquet").write_bytes(b"no parquet at all")
    column = write_parquet(root / "column", image="pixels")
    return [
        (f"folder:{root / 'bare'}", 1, "expected a folder: No such file or directory"),
        (f"folder:{root / 'empty'}", 1, "expected one folder per class; there is none"),
        (f"folder:{few}", 2, "shots=2 with 2 validation images needs 4 images of class 'cat'; .* has 3"),
        (f"parquet:{root / 'bare'}", 1, "expected the file train.parquet: No such file"),
        (f"parquet:{root / 'garbage'}", 1, "expected a whole parquet file"),
        (f"parquet:{column}", 1, "expected a column img or image; the file has pixels, label"),
        (f"parquet:{rows}", 2, "needs 4 images of class 'cat'; the training split has 2"),
        ("cifar10", 100_000, "needs 100002 images of the smallest class; the training split has 5000"),
        ("digits", 115, "needs 117 images of the smallest class; the training split has 116"),
    ]


def asking(spec, shots, **more):
    fixed = {"lr": 0.3, "data": spec, "shots": shots, "val_per_class": 2, "resolution": 8}
    return study(fixed=fixed, **more)


def test_data_that_is_here_and_would_be_refused_is_refused_by_the_plan_as_by_a_run(tmp_path):
    """What opens the images says the same, in the same words where these are those of a file."""
    for spec, shots, words in bad_data(tmp_path):
        with pytest.raises(Fault, match=words) as planning:
            planned(asking(spec, shots), tmp_path / "results")
        assert planning.value.code == BAD_INPUT
        if spec in SMALLEST:
            continue
        with pytest.raises(Fault) as running:
            data = open_dataset(spec, resolution=8)
            few_shot(data.train_labels, shots, 0, val_per_class=2, num_classes=2, classes=data.classes)
        assert [one.what for one in planning.value.problems] == [one.what for one in running.value.problems]


def test_a_class_that_has_just_enough_is_planned_and_so_are_listed_images_and_cells_that_are_done(tmp_path):
    few = f"folder:{write_folder(tmp_path / 'few', train=4)}"
    assert planned(asking(few, 2), tmp_path)["pending"]
    assert planned(asking(few, "all"), tmp_path)["pending"]
    assert planned(asking("digits", 114), tmp_path)["pending"]
    (tmp_path / "lists.json").write_text("{}")
    listed = asking(few, 3)
    listed = replace(listed, fixed=listed.fixed | {"indices": str(tmp_path / "lists.json")})
    assert planned(listed, tmp_path)["pending"]
    done_by_now = asking(few, 3, seeds=range(2))
    store = declared_store(done_by_now, tmp_path / "done")
    for cell in done_by_now.cells():
        publish(store, cell)
    assert planned(done_by_now, tmp_path / "done")["pending"] == 0


def test_what_a_value_beyond_an_edge_takes_stands_beside_the_forecast_until_tuning_has_ended(tmp_path):
    """`shots-curve` took 224 trials and 21 minutes more than its plan had said."""
    tuned = study(tuning=Tuning({"lr": (0.1, 0.3, 1.0)}, seeds=2))
    arms = len(tuned.arms())
    assert planned(tuned, tmp_path / "before")["beyond_an_edge"]["wall_s"] is None
    store = declared_store(tuned, tmp_path)
    origin = {**ORIGIN, "cpu": cpu_model()}
    cells = tuned.provisional().cells()[:arms]
    step_s = {arm_key(cell.settings): 3.0 for cell in cells}
    store.calibrate(step_s, origin)
    found = planned(tuned, tmp_path, jobs=2)
    steps = sum(cell.budget.steps_for(cell.settings.batch_size) for cell in cells)
    assert found["beyond_an_edge"] == {"cells": 2 * arms, "wall_s": 3.0 * steps, "looked": False, "values": 4}
    (said,) = [line for line in plan.lines(found) if line.startswith("edges")]
    first = f"edges      a choice at an edge adds a value beyond it: at most 4, {2 * arms} cells each, "
    assert said == f"{first}{plan.duration(3.0 * steps)} of training more than forecast"
    looks = {arm: {"image_s": 0.5, "classes": 10, "train_n": 1000, "test_n": 20} for arm in step_s}
    store.calibrate(step_s, origin, looks=looks)
    found = planned(tuned, tmp_path, jobs=2)
    seen = sum(len(VAL_POINTS) * 10 * cell.settings.val_per_class for cell in cells)
    assert found["beyond_an_edge"]["looked"]
    assert found["beyond_an_edge"]["wall_s"] == pytest.approx(3.0 * steps + 0.5 * seen)
    for cell in advance(tuned, {}).cells:
        publish(store, cell, 1, trial(loss=abs(cell.settings.lr - 1.0)))
    wider = planned(tuned, tmp_path)
    assert wider["beyond_an_edge"]["values"] == 3 and wider["tuning_cells"] == 4 * 2 * arms
    log = {each.cell: each for each in store.attempts()}
    for cell in advance(tuned, log).pending:
        publish(store, cell, 1, trial(loss=5.0))
    assert planned(tuned, tmp_path)["beyond_an_edge"] is None
    assert planned(study(), tmp_path / "untuned")["beyond_an_edge"] is None
