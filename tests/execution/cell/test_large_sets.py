"""Training on a few images of many: those alone are held, and too many are refused in words."""

import sys

import numpy as np
import pytest
import torch

from fairtrial.data import room
from fairtrial.errors import RESOURCES, Fault
from fairtrial.execution.cell import prepare
from fairtrial.execution.cell.prepare import build_task, dataset_of
from fairtrial.execution.cell.run_cell import ExecutionContext, look
from fairtrial.planning import data_check
from fairtrial.training.augmentation import padded
from tests.execution.cell.test_run_cell import cell, settings

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _fresh():
    """Other tests of this process have asked for other images."""
    prepare._table.cache_clear()
    yield
    prepare._table.cache_clear()


def rows(task, subset):
    return task.images[torch.from_numpy(subset.train)]


@pytest.mark.parametrize("large", [1, 2**30])
def test_the_images_of_a_cell_are_the_padded_ones_whatever_cells_came_before(large, monkeypatch):
    monkeypatch.setattr(room, "LARGE", large)
    data, chosen = dataset_of("digits", 8, False), settings(shots=5)
    whole = padded(data.train_images, 1)
    for seed in (0, 1, 0):
        task, subset, _ = build_task(chosen, data, seed, 0, CPU)
        assert task.pad == 1 and task.images.shape == whole.shape
        assert torch.equal(rows(task, subset), whole[torch.from_numpy(subset.train)])
    others = np.setdiff1d(
        np.arange(len(whole)), [*subset.train, *build_task(chosen, data, 1, 0, CPU)[1].train]
    )
    assert len(others) and not task.images[torch.from_numpy(others)].any()


def test_images_of_other_seeds_make_room_for_those_of_this_one(monkeypatch):
    data, chosen = dataset_of("digits", 8, False), settings(shots=5)
    first, subset, _ = build_task(chosen, data, 0, 0, CPU)
    fits_once = room.image_bytes(50, 10) + room.image_bytes(20, 8)  # trained on, validated on
    monkeypatch.setattr(prepare, "memory_bytes", lambda: (fits_once + 1) / prepare.MEMORY_SHARE)
    second, other, _ = build_task(chosen, data, 1, 0, CPU)
    assert second.images is not first.images and rows(second, other).any() and rows(first, subset).any()
    assert build_task(chosen, data, 1, 0, CPU)[0].images is second.images


def test_what_does_not_fit_is_refused_before_the_first_cell_by_a_worker_and_by_the_plan(monkeypatch):
    for module in (prepare, data_check):
        monkeypatch.setattr(module, "memory_bytes", lambda: 100_000)
    asked = cell(shots="all")
    with pytest.raises(Fault) as told:
        look(asked, ExecutionContext())
    assert told.value.code == RESOURCES
    words = "1,201 images of 8x8 pixels take 0.4 MB in each worker; it may have 0.1 MB"
    assert words in told.value.block() and "fewer images (shots)" in told.value.block()
    with pytest.raises(Fault) as told:
        data_check.refuse_data([asked], "cpu", 1)
    assert told.value.code == RESOURCES
    assert "1,201 images of 8x8 pixels take 0.2 MB in each worker" in told.value.block()
    assert data_check.refuse_data([cell(shots=1)], "cpu", 1) == []


def test_the_plan_says_what_large_images_take_on_the_disk_and_in_workers_together(monkeypatch):
    monkeypatch.setattr(room, "LARGE", 1000)
    monkeypatch.setattr(room, "free_in_cache", lambda: 100_000)
    monkeypatch.setattr(data_check, "memory_bytes", lambda: 500_000)
    disk, memory = data_check.refuse_data([cell(shots="all")], "cpu", 2)
    assert disk == (
        "digits: 1,797 images of 8x8 pixels take 0.3 MB in the cache, twice that while they are written; "
        "0.1 MB are free: a run that decodes them here would be refused"
    )
    assert "take 0.2 MB in each of 2 workers; 0.4 MB of memory are there for all: use fewer --jobs" in memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="one system is enough")
def test_a_gpu_that_is_too_small_is_refused(monkeypatch):
    small = type("Properties", (), {"total_memory": 10_000})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: small)
    with pytest.raises(Fault, match=r"1,797 images of 8x8 pixels take 0\.5 MB in each worker"):
        build_task(settings(), dataset_of("digits", 8, False), 0, 0, torch.device("cuda"))
