"""From pre-training to transfer: what is kept, what a cell starts from, and every way in which that fails."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial import weights
from fairtrial.data import Dataset
from fairtrial.errors import Fault
from fairtrial.execution.cell import upstream_checkpoint
from fairtrial.execution.cell.prepare import build_model, dataset_of
from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell
from fairtrial.execution.cell.upstream_checkpoint import start
from fairtrial.execution.runner import Options
from fairtrial.execution.runner import run as run_study
from fairtrial.storage.integrity import sealed
from fairtrial.storage.record import Attempt, attempt_record
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.identity import cell_id
from fairtrial.study.study import Cell, Study
from tests.support.records import ORIGIN

BN_MODES = ("updated", "frozen", "re-estimated")
SMALL = {"resolution": 16, "shots": 5, "val_per_class": 2, "batch_size": 8}


def pre_training(**changes) -> Study:
    fixed = {**SMALL, "stage": "upstream", **changes}
    factors = {"norm": ("bn", "gn"), "weight_std": (False, True)}
    only = ({"norm": "bn", "weight_std": False}, {"norm": "gn", "weight_std": True})
    return Study("up", "", factors, Budget(steps=2), fixed=fixed, seeds=(0, 1), only=only)


def transfer(seed=0, **changes) -> Cell:
    fixed = {**SMALL, "upstream": "up", "upstream_seeds": 2, **changes}
    swept = {"lr": (fixed.pop("lr", 0.1),)}
    return Study("t", "", swept, Budget(steps=2), fixed=fixed, seeds=(seed,)).cells()[0]


@pytest.fixture(scope="module")
def pre_trained(tmp_path_factory) -> Path:
    """Four real checkpoints, made by the driver."""
    results = tmp_path_factory.mktemp("results")
    assert run_study(pre_training(), Options(results=results, jobs=1)) == 0
    return results


@pytest.fixture
def results(pre_trained, tmp_path):
    """A copy that a test may spoil."""
    upstream_checkpoint._attempts.cache_clear()
    return Path(shutil.copytree(pre_trained, tmp_path / "results"))


def context(results: Path) -> ExecutionContext:
    return ExecutionContext(results=(str(results),))


def records(results: Path):
    return {(r.seed, r.settings.norm): r for r in Store(results / "up").attempts()}


def rewrite(results: Path, record: Attempt, **changes) -> None:
    """A record as somebody with our code, or a bug of ours, would write it: sealed."""
    path = results / "up" / "cells" / f"{record.cell}-{record.number}.json"
    path.write_text(sealed(record.as_json() | changes))


def test_every_arm_and_seed_keeps_its_network_without_the_head(pre_trained):
    found = records(pre_trained)
    assert len(found) == 4
    for record in found.values():
        kept = record.measured.checkpoint
        path = pre_trained / "up" / "weights" / kept.file
        assert path.stat().st_size == kept.bytes
        model = build_model(record.settings, 7, 0, 0)  # another number of classes
        source = weights.load(model, path, head="zero")
        assert source.sha256 == kept.sha256 and source.upstream == "digits"
        assert source.metadata["seed"] == record.seed
        with pytest.raises(Fault):
            weights.load(build_model(record.settings, 10, 0, 0), path)


def test_pre_training_draws_from_streams_of_its_own(pre_trained):
    record = records(pre_trained)[0, "gn"]
    downstream = run_cell(transfer(finetune="scratch"), ExecutionContext())
    for name in ("init", "order"):
        assert getattr(record.drawn, name) != downstream["drawn"][name]
    other = records(pre_trained)[1, "gn"]
    assert all(getattr(record.drawn, n) != getattr(other.drawn, n) for n in ("subset", "init", "order"))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_cell_starts_from_the_checkpoint_of_its_arm_and_upstream_seed(results, seed):
    cell = transfer(seed)
    assert cell.upstream_seed == seed % 2
    result = run_cell(cell, context(results))
    record = records(results)[seed % 2, "gn"]
    assert result["drawn"]["upstream"]["sha256"] == record.measured.checkpoint.sha256
    made = attempt_record("t", cell.record(), 1, result, ORIGIN)
    assert made.upstream_seed == seed % 2
    expected = build_model(cell.settings, 10, seed, 0)
    weights.load(expected, results / "up" / "weights" / record.measured.checkpoint.file, head="zero")
    from fairtrial.training.loop import weights_digest

    assert result["drawn"]["init"] == weights_digest(expected)


def test_scratch_ignores_the_checkpoints_and_sees_the_same_images_in_the_same_order(results):
    tuned, scratch = (run_cell(transfer(finetune=tune), context(results)) for tune in ("full", "scratch"))
    assert transfer(finetune="scratch").upstream_seed is None and "upstream" not in scratch["drawn"]
    assert all(tuned["drawn"][name] == scratch["drawn"][name] for name in ("subset", "order", "data"))
    assert tuned["drawn"]["init"] != scratch["drawn"]["init"]


@pytest.mark.parametrize(
    ("finetune", "bn_mode"),
    [
        *(("full", mode) for mode in BN_MODES),
        ("last", "frozen"),
        ("linear_probe", "re-estimated"),
        *(
            pytest.param(*both, marks=pytest.mark.soak)
            for both in product(("last", "linear_probe"), BN_MODES)
            if both not in (("last", "frozen"), ("linear_probe", "re-estimated"))
        ),
    ],
)
def test_every_mode_of_transfer_runs_and_repeats_itself(results, finetune, bn_mode):
    bn = {"norm": "bn", "weight_std": False, "finetune": finetune, "bn_mode": bn_mode}
    first, again = (run_cell(transfer(**bn), context(results)) for _ in range(2))
    assert first["status"] == "done" and first["measured"] == again["measured"]


def test_test_images_that_the_upstream_saw_are_counted(results):
    """D15: the digits' own test split is no part of their training split; an upstream of it would be."""
    assert run_cell(transfer(), context(results))["drawn"]["upstream"]["overlap"] == 0
    rng = np.random.default_rng(0)
    seen = rng.integers(0, 256, (20, 3, 16, 16), dtype=np.uint8)
    tests = np.concatenate([seen[3:10], rng.integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)])
    images = [torch.from_numpy(part) for part in (seen, tests)]
    dataset = Dataset("d", ("a",), images[0], torch.zeros(20), images[1], torch.zeros(12), "0" * 64)
    prints = results / "prints.u64"
    prints.write_bytes(upstream_checkpoint.image_prints(seen).tobytes())
    assert upstream_checkpoint._overlap(prints, dataset) == 7


def test_images_of_another_size_cannot_be_looked_up(results):
    assert run_cell(transfer(resolution=24), context(results))["drawn"]["upstream"]["overlap"] is None


def refused(results: Path, **changes) -> Fault:
    upstream_checkpoint._attempts.cache_clear()
    with pytest.raises(Fault) as caught:
        run_cell(transfer(**changes), context(results))
    return caught.value


def test_no_pre_training_says_how_to_get_one(tmp_path):
    found = refused(tmp_path)
    assert found.code == 3 and "fairtrial run up" in found.problems[0].do


def test_an_arm_or_seed_that_was_not_pre_trained_is_named_beside_those_that_were(results):
    """W19: the configurations differ, and the message says in what."""
    found = refused(results, norm="ln", weight_std=False)
    assert found.code == 4
    assert (
        "norm='ln'" in found.problems[0].what
        and "norm='bn', weight_std=False, seed 1" in found.problems[0].what
    )
    assert "upstream seed 4" in refused(results, seed=4, upstream_seeds=5).problems[0].what


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"block": "post-activation"}, "block='post-activation'"),
        ({"stride_on": "1x1"}, "stride_on='1x1'"),
        ({"groups": 4}, "groups=4"),
    ],
)
def test_a_checkpoint_of_another_block_or_stride_does_not_fit(results, setting, told):
    """Neither is one found for such an arm, nor does the file itself go in."""
    what = refused(results, **setting).problems[0].what
    assert told in what and told not in what.partition("there are")[2]
    record = records(results)[0, "gn"]
    path = results / "up" / "weights" / record.measured.checkpoint.file
    with pytest.raises(Fault) as caught:
        weights.load(build_model(replace(record.settings, **setting), 10, 0, 0), path, head="zero")
    assert told.partition("=")[0] in caught.value.problems[0].what


def test_a_study_may_sweep_what_tells_two_checkpoints_apart(tmp_path):
    """Each arm starts from a file of its own, which no other arm's record forbids."""
    options, fixed = Options(results=tmp_path, jobs=1), {**SMALL, "stage": "upstream"}
    swept = {"stride_on": ("3x3", "1x1")}
    assert run_study(Study("up", "", swept, Budget(steps=1), fixed=fixed, seeds=(0,)), options) == 0
    fixed = {**SMALL, "upstream": "up"}
    assert run_study(Study("t", "", swept, Budget(steps=1), fixed=fixed, seeds=(0,)), options) == 0
    recorded = Store(tmp_path / "t").attempts()
    assert len({record.drawn.upstream.sha256 for record in recorded}) == 2


def test_a_record_from_before_there_were_blocks_is_one_of_the_usual_block(results):
    for record in records(results).values():
        settings = {name: level for name, level in record.settings.record().items() if name != "block"}
        rewrite(results, record, settings=settings)
    assert run_cell(transfer(0), context(results))["status"] == "done"


def test_a_drawn_head_stays_as_it_was_drawn_when_a_network_starts_pre_trained(results):
    cell = transfer(0, head="drawn")
    dataset = dataset_of("digits", cell.settings.resolution, False)
    model = build_model(cell.settings, 10, 0, 0)
    before = model.head.conv.weight.clone()
    body = model.root.get_submodule("conv").weight.clone()
    assert start(model, cell, dataset, results=context(results).results) is not None
    assert before.any() and torch.equal(model.head.conv.weight, before)
    assert not torch.equal(model.root.get_submodule("conv").weight, body)


def test_a_checkpoint_of_another_cell_under_this_name_is_refused(results):
    """W19: the file is sound, and belongs to another seed."""
    mine, other = (records(results)[seed, "gn"].measured.checkpoint.file for seed in (0, 1))
    folder = results / "up" / "weights"
    (folder / mine).unlink()
    shutil.copy(folder / other, folder / mine)
    found = refused(results)
    assert found.code == 4 and "its record says" in found.problems[0].what


def test_two_checkpoints_of_one_arm_and_seed_are_not_chosen_between(results):
    record = records(results)[0, "gn"]
    settings, kept = replace(record.settings, lr=0.5), record.measured.checkpoint
    cell = cell_id(settings, Budget.parse(record.budget), record.seed)
    measured = replace(record.measured, checkpoint=replace(kept, file=f"{cell}-1.safetensors"))
    rewrite(results, replace(record, cell=cell, settings=settings, measured=measured))
    found = refused(results)
    assert found.code == 4 and "which one is meant" in found.problems[0].what


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_checkpoint_is_refused_and_named(results, damage):
    path = results / "up" / "weights" / records(results)[0, "gn"].measured.checkpoint.file
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage != "missing":
        data[len(data) // 2] ^= 1
        path.write_bytes(data if damage == "flipped" else data[:-9])
    found = refused(results)
    assert found.code == 3 and path.name in found.problems[0].where
    assert ("fairtrial run up" in found.problems[0].do) == (damage == "missing")


def test_missing_prints_are_named(results):
    for path in (results / "up" / "weights").glob("images-*"):
        path.unlink()
    upstream_checkpoint._overlap.cache_clear()
    found = refused(results)
    assert found.code == 3 and "images-" in found.problems[0].where


def test_an_official_file_that_is_not_here_says_how_to_fetch_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cell = transfer(upstream="BiT-M-R50x1", upstream_seeds=1, model="r50x1")
    with pytest.raises(Fault) as caught:
        run_cell(cell, ExecutionContext())
    assert "fairtrial fetch BiT-M-R50x1" in caught.value.problems[0].do


def test_changed_checkpoints_are_refused_in_the_middle_of_a_study(results, tmp_path):
    """As with data: recorded cells started from other weights (exit 4)."""
    study = Study(
        "t", "", {"lr": (0.1, 0.2)}, Budget(steps=1), seeds=(0,),
        fixed={**SMALL, "upstream": "up", "upstream_seeds": 2},
    )  # fmt: skip
    options = Options(results=results, jobs=1)
    assert run_study(study, Options(results=results, jobs=1, limit=1)) == 5
    shutil.rmtree(results / "up")
    assert run_study(pre_training(lr=0.2), options) == 0
    with pytest.raises(Fault, match="started from other weights") as caught:
        run_study(study, options)
    assert caught.value.code == 4
    assert json.dumps(caught.value.record())
