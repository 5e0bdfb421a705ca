"""Labels that name another class: the same images in all arms, and never those that judge."""

import pytest
import torch

from fairtrial.execution.cell.prepare import build_task, dataset_of, train_labels
from fairtrial.study.budget import Budget
from fairtrial.study.identity import cell_id
from fairtrial.study.settings import Settings


@pytest.fixture(scope="module")
def digits():
    return dataset_of("digits", 16, False)


def noisy(share, **more):
    return Settings(data="digits", resolution=16, label_noise=share, shots=20, val_per_class=12, **more)


def test_the_share_of_wrong_labels_is_the_one_that_is_asked_for_and_none_is_right_by_chance(digits):
    for share in (0.2, 0.5):
        told = train_labels(noisy(share), digits, 3)
        wrong = (told != digits.train_labels).double().mean()
        assert float(wrong) == pytest.approx(share, abs=4 * (share * (1 - share) / len(told)) ** 0.5)
        assert set(told.tolist()) == set(range(10))
    nearly_all = train_labels(noisy(0.9999), digits, 3)
    assert float((nearly_all != digits.train_labels).double().mean()) > 0.99


def test_it_is_of_the_seed_alone_and_a_smaller_share_lies_within_a_larger_one(digits):
    some, more = (train_labels(noisy(share), digits, 3) for share in (0.2, 0.5))
    hit = some != digits.train_labels
    assert torch.equal(some[hit], more[hit])
    assert torch.equal(some, train_labels(noisy(0.2, norm="bn", mixup=0.1), digits, 3))
    assert not torch.equal(some, train_labels(noisy(0.2), digits, 4))
    assert torch.equal(train_labels(noisy(0.0), digits, 3), digits.train_labels)


@pytest.mark.parametrize("replica", [0, 1])
def test_validation_and_test_images_keep_their_classes_and_the_few_are_chosen_by_the_right_ones(
    digits, replica
):
    cpu = torch.device("cpu")
    clean, chosen, test = build_task(noisy(0.0), digits, 3, replica, cpu)
    task, subset, sealed = build_task(noisy(0.5), digits, 3, replica, cpu)
    assert subset.sha256 == chosen.sha256
    assert torch.equal(task.val_labels, clean.val_labels)
    assert torch.equal(sealed.open()[1], test.open()[1])
    assert not torch.equal(task.labels, clean.labels)
    assert torch.equal(task.labels, build_task(noisy(0.5), digits, 3, 1 - replica, cpu)[0].labels)


def test_a_clean_cell_is_the_cell_that_it_was():
    budget = Budget(examples=64)
    assert cell_id(noisy(0.0), budget, 0) == cell_id(
        Settings(data="digits", resolution=16, shots=20, val_per_class=12), budget, 0
    )
    assert cell_id(noisy(0.2), budget, 0) != cell_id(noisy(0.0), budget, 0)
