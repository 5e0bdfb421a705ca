"""Cells of every kind: micro-batches, bf16, recipes, other networks, lists of images, ways to compute."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairtrial.errors import Fault
from fairtrial.execution.cell import run_cell as run_cell_module
from fairtrial.execution.cell.prepare import build_model, build_task, dataset_of
from fairtrial.execution.cell.run_cell import ExecutionContext, of_uneven_classes, run_cell
from fairtrial.storage.record import attempt_record
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from fairtrial.training import loop, precision
from fairtrial.training.flops import flops_of_step
from tests.execution.cell.making import cell, run, settings
from tests.support.filters import need
from tests.support.records import ORIGIN

pytestmark = pytest.mark.slow


def test_another_statistics_batch_changes_bn_and_is_not_asked_of_gn():
    bn = [run(norm="bn", stat_batch=stat)["measured"]["weights_sha256"] for stat in (None, 4)]
    gn = [run(norm="gn", stat_batch=stat)["measured"]["weights_sha256"] for stat in (None, 4)]
    assert bn[0] != bn[1] and gn[0] == gn[1]


def test_bf16_is_another_result_and_close_to_fp32(monkeypatch):
    monkeypatch.setattr(precision, "_seconds", lambda dtype: 1.0)  # however fast this machine is at it
    precision.refuse_slow_bf16.cache_clear()
    fp32, bf16 = (run(precision=name)["measured"] for name in ("fp32", "bf16"))
    assert fp32["weights_sha256"] != bf16["weights_sha256"]
    assert bf16["train_loss"] == pytest.approx(fp32["train_loss"], rel=0.05)


def out_of_memory_above(images, monkeypatch):
    """Every forward and backward pass of more images than that ends as torch ends it on a CPU."""
    usual, refused = loop.F.cross_entropy, []

    def limited(logits, *more, **options):
        if len(logits) > images:
            refused.append(len(logits))
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return usual(logits, *more, **options)

    monkeypatch.setattr(loop, "F", SimpleNamespace(cross_entropy=limited))
    monkeypatch.setattr(loop, "evaluate", lambda model, *_: loop.Score(0.1, 1.0, np.zeros(2, bool)))
    monkeypatch.setattr(run_cell_module, "evaluate", loop.evaluate)
    return refused


def test_auto_halves_the_micro_batch_until_memory_holds_it_and_records_it(monkeypatch):
    whole = run()["measured"]
    refused = out_of_memory_above(2, monkeypatch)
    result = run(micro_batch="auto")
    assert result["drawn"]["micro_batch"] == 2 and result["lines"] == []
    assert refused == [8, 4]  # not once more: later steps go on with what memory held
    assert result["measured"]["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-4)
    assert result["spent"]["steps"] == 3 and result["spent"]["examples"] == 24


def test_auto_gives_up_where_a_single_image_is_too_much(monkeypatch):
    out_of_memory_above(0, monkeypatch)
    with pytest.raises(RuntimeError, match="allocate memory"):
        run(micro_batch="auto")


def test_auto_does_not_split_bn_and_says_why(monkeypatch):
    out_of_memory_above(2, monkeypatch)
    with pytest.raises(MemoryError, match=r"batch of 8 images.*BN's statistics"):
        run(norm="bn", weight_std=False, micro_batch="auto")
    split = run(norm="bn", weight_std=False, micro_batch="auto", bn_split=True)
    assert split["drawn"]["micro_batch"] == 2
    (said,) = split["lines"]
    assert said.startswith("warning: memory held micro-batches of 2 images, and so do BN's statistics")


def test_the_official_recipe_runs_on_a_cpu_at_128_pixels():
    """R50x1, 1 shot, hyperrule-paper: 32 px become 160, cropped to 128, its rate and schedule; two steps."""
    settings = {"model": "r50x1", "recipe": "hyperrule-paper", "resolution": 32, "shots": 1}
    fixed = {**settings, "batch_size": 4, "micro_batch": 2, "augment": "crop-flip", "val_per_class": 0}
    study = Study("t", "", {"mixup": (0.0,)}, Budget(steps=2), fixed=fixed, seeds=(0,))
    message = study.cells()[0]
    few = replace(dataset_of("digits", 32, False), name="few")
    small = replace(few, test_images=few.test_images[:8], test_labels=few.test_labels[:8])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_cell_module, "dataset_of", lambda *_: small)
        result = run_cell(message, ExecutionContext())
    assert result["status"] == "done" and result["measured"]["test_n"] == 8
    assert result["drawn"]["rule"] == {"resize": 160, "crop": 128, "steps": 500, "lr": 0.003}
    assert result["spent"]["flops"] == 2 * flops_of_step("r50x1", 4, 128, 10)
    assert result["spent"]["parameters"] == 23_520_842  # reference/published.json: R50x1 with 10 classes


def test_a_network_of_torchvision_is_a_cell_like_any_other():
    settings = {"model": "torchvision:resnet18", "norm": "bn", "weight_std": False, "resolution": 32}
    first, again = (run(Budget(steps=2), **settings) for _ in range(2))
    assert first["status"] == "done" and first["measured"] == again["measured"]
    assert first["spent"]["flops"] == 2 * flops_of_step("torchvision:resnet18", 8, 32, 10)


def test_a_network_of_timm_is_a_cell_like_any_other_and_its_declared_norm_is_held_to_it():
    pytest.importorskip("timm")
    settings = {"model": "timm:resnet10t", "norm": "bn", "weight_std": False, "resolution": 32}
    first, again = (run(Budget(steps=2), **settings) for _ in range(2))
    assert first["status"] == "done" and first["measured"] == again["measured"]
    with pytest.raises(Fault, match="norm='gn', but timm:resnet10t comes with bn"):
        run(Budget(steps=2), **(settings | {"norm": "gn"}))
    with pytest.raises(Fault, match="timm cannot make 'resnet10x'"):
        run(Budget(steps=2), **(settings | {"model": "timm:resnet10x"}))


def test_images_are_taken_from_a_file_of_lists_and_a_file_of_other_data_is_refused(tmp_path):
    """D11: the setting `indices`; every other fault of such a file is in tests/data/test_index_file.py."""
    dataset = dataset_of("digits", 8, False)
    labels = dataset.train_labels.numpy()
    chosen = [int(i) for label in range(10) for i in np.flatnonzero(labels == label)[-5:]]
    path = tmp_path / "lists.json"
    path.write_text(json.dumps({"data": dataset.sha256, "subsets": {"0": chosen}}))
    message = cell(indices=str(path))
    assert message.settings.indices == "lists.json" and message.indices == str(path)
    result = run_cell(message, ExecutionContext())
    _, subset, _ = build_task(message.settings, dataset, 0, 0, torch.device("cpu"), str(path))
    assert sorted(subset.train) == sorted(chosen)
    assert result["drawn"]["subset"] == subset.sha256 != run()["drawn"]["subset"]
    path.write_text(json.dumps({"data": "0" * 64, "subsets": {"0": chosen}}))
    with pytest.raises(Fault) as refused:
        run_cell(message, ExecutionContext())
    assert refused.value.code == 4


def test_what_is_known_of_the_data_stands_in_the_record(monkeypatch):
    """D10: near duplicates of CIFAR-10, for example."""
    noted = replace(dataset_of("digits", 8, False), notes=("near duplicates exist",))
    monkeypatch.setattr(run_cell_module, "dataset_of", lambda *_: noted)
    message = cell()
    record = attempt_record("t", message.record(), 1, run_cell(message, ExecutionContext()), ORIGIN)
    assert list(record.provenance.data_notes) == ["near duplicates exist"]


def test_the_steps_from_resnet_reach_the_network_and_its_price():
    """Each setting changes the network that is built; the stride changes what a step costs."""
    usual = build_model(settings(), 10, 0, 0)
    early = build_model(settings(stride_on="1x1"), 10, 0, 0)
    assert usual.body[1][0].conv1.stride == (1, 1) and early.body[1][0].conv1.stride == (2, 2)
    post = build_model(settings(block="post-activation"), 10, 0, 0)
    assert post.head.norm is None and usual.head.norm is not None
    drawn = [build_model(settings(head="drawn"), 10, seed, 0).head.conv.weight for seed in (0, 0, 1)]
    assert not usual.head.conv.weight.any() and drawn[0].any()
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    spent = [run(Budget(steps=2), stride_on=where)["spent"]["flops"] for where in ("3x3", "1x1")]
    assert spent == [2 * flops_of_step("mini", 8, 8, 10, stride_on=where) for where in ("3x3", "1x1")]
    assert spent[1] < spent[0]


def test_a_cell_runs_in_the_way_that_was_chosen_under_the_id_that_was_declared():
    way = {"layout": "nhwc", "kernels": "torch"}
    chosen = run_cell(cell(), ExecutionContext(way=way))
    declared = run(**way)
    assert {name: chosen["drawn"][name] for name in way} == way
    assert not way.keys() & declared["drawn"].keys()
    weights = [found["measured"]["weights_sha256"] for found in (chosen, declared, run())]
    assert weights[0] == weights[1] != weights[2]


def test_fused_is_a_cell_of_its_own_that_evaluates_in_small_batches_and_repeats(monkeypatch):
    need("compiled")
    sizes = []
    batches = loop.eval_batches

    def noted(*given):
        for part in batches(*given):
            sizes.append(len(part))
            yield part

    monkeypatch.setattr(loop, "eval_batches", noted)
    fused = {"layout": "nhwc", "kernels": "fused", "norm": "gn"}
    ids = {cell(**change).id for change in (fused, fused | {"kernels": "fastest"})}
    plain, plain_most = run(**fused | {"kernels": "fastest"})["measured"], max(sizes)
    sizes.clear()
    first, again = run(**fused)["measured"], run(**fused)["measured"]
    assert (len(ids), plain_most, max(sizes)) == (2, 500, 64)
    assert first == again and first["weights_sha256"] != plain["weights_sha256"]
    assert first["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-4)


def test_accuracy_on_uneven_classes_has_the_majority_rate_and_the_balanced_one_beside_it():
    labels = np.array([0] * 6 + [1] * 2 + [2] * 2)
    correct = np.array([True] * 6 + [True, False] + [False, False])
    assert of_uneven_classes(correct, labels) == {"majority": 0.6, "balanced_acc": pytest.approx(0.5)}
    assert of_uneven_classes(correct[4:], labels[4:]) == {}
