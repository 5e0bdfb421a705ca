"""Few-shot subsets: balanced, nested, disjoint, and the same for every arm."""

import hashlib

import numpy as np
import pytest
import torch

from fairtrial.data import few_shot
from fairtrial.errors import BAD_INPUT, USAGE, Fault

LABELS = np.array([2, 0, 1, 1, 0, 2] * 20)  # 40 images of each class


def draw(shots, seed=0, **options):
    return few_shot(LABELS, shots, seed, num_classes=3, **options)


def test_a_subset_is_balanced():
    assert np.bincount(LABELS[draw(7).train]).tolist() == [7, 7, 7]


@pytest.mark.parametrize(("fewer", "more"), [(1, 5), (5, 10), (10, 40)])
def test_fewer_shots_are_the_first_ids_of_more_shots(fewer, more):
    small, large = draw(fewer).train, draw(more).train
    assert large[: len(small)].tolist() == small.tolist()


def test_fewer_validation_images_are_the_first_ids_of_more():
    small, large = draw(1, val_per_class=2).val, draw(1, val_per_class=9).val
    assert large[: len(small)].tolist() == small.tolist()


def test_validation_images_are_balanced_and_never_trained_on():
    subset = draw(30, val_per_class=10)
    assert np.bincount(LABELS[subset.val]).tolist() == [10, 10, 10]
    assert not set(subset.train) & set(subset.val)


def test_validation_does_not_depend_on_shots():
    assert draw(1, val_per_class=5).val.tolist() == draw(30, val_per_class=5).val.tolist()


def test_all_shots_are_all_but_the_validation_images():
    subset = draw(None, val_per_class=4)
    assert sorted([*subset.train, *subset.val]) == list(range(len(LABELS)))
    assert len(subset.val) == 12


def test_all_shots_of_unequal_classes_keep_every_image():
    labels = np.array([0, 0, 0, 0, 1])
    subset = few_shot(labels, None, 0, num_classes=2)
    assert sorted(subset.train) == [0, 1, 2, 3, 4]
    assert labels[subset.train].tolist() == [0, 1, 0, 0, 0]


def test_ids_come_rank_by_rank_and_by_class_within_a_rank():
    assert LABELS[draw(3).train].tolist() == [0, 1, 2] * 3


def test_the_permutation_is_the_one_of_the_named_stream():
    """Computed by hand with numpy, outside rng.py."""
    key = int.from_bytes(hashlib.blake2b(b"subset", digest_size=4).digest(), "big")
    sequence = np.random.SeedSequence(20191224, spawn_key=(key, 5, 1))
    expected = np.random.default_rng(sequence).permutation(np.flatnonzero(LABELS == 1))
    assert draw(40, seed=5).train[1::3].tolist() == expected.tolist()


def test_the_same_seed_draws_the_same_subset():
    assert draw(5, seed=3, val_per_class=2).sha256 == draw(5, seed=3, val_per_class=2).sha256


def test_every_other_seed_draws_another_subset():
    assert len({draw(5, seed=seed).sha256 for seed in range(20)}) == 20


def test_seed_zero_is_a_seed():
    assert draw(5, seed=0).train.tolist() != draw(5, seed=1).train.tolist()
    assert draw(5, seed=0).train.tolist() == draw(5, seed=0).train.tolist()


def test_the_digest_tells_training_from_validation():
    assert draw(5, val_per_class=1).sha256 != draw(5).sha256


def test_a_class_added_later_leaves_the_others_alone():
    wider = few_shot(np.append(LABELS, [3] * 10), 5, 0, num_classes=4)
    assert [i for i in wider.train if i < len(LABELS)] == draw(5).train.tolist()


def test_a_tensor_of_labels_is_as_good_as_an_array():
    subset = few_shot(torch.from_numpy(LABELS), 5, 0, num_classes=3)
    assert subset.train.tolist() == draw(5).train.tolist()
    assert subset.train.dtype == np.int64


def test_a_class_with_too_few_images_names_class_have_and_need():  # D4
    labels = np.array([0] * 30 + [1] * 19 + [2] * 3)
    with pytest.raises(Fault) as caught:
        few_shot(labels, 25, 0, num_classes=3, classes=("cat", "ship", "dog"))
    assert caught.value.code == BAD_INPUT
    ship, dog = caught.value.problems
    assert "'ship'" in ship.what and "needs 25" in ship.what and "has 19" in ship.what
    assert "'dog'" in dog.what and "has 3" in dog.what
    assert "shots <= 3" in ship.do


def test_validation_images_count_towards_the_need():  # D4
    with pytest.raises(Fault, match="needs 42 images of class 0; the training split has 40"):
        draw(40, val_per_class=2)
    with pytest.raises(Fault, match="shots=all with 40 validation images needs 41"):
        draw(None, val_per_class=40)


def test_a_class_without_images_is_too_few():
    with pytest.raises(Fault, match="has 0"):
        few_shot(LABELS, 1, 0, num_classes=4)


@pytest.mark.parametrize(("shots", "val"), [(0, 0), (-1, 0), (1, -1)])
def test_no_shots_is_a_usage_error(shots, val):
    with pytest.raises(Fault) as caught:
        draw(shots, val_per_class=val)
    assert caught.value.code == USAGE


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(Fault, match="40 of 120 are outside"):
        few_shot(LABELS, 1, 0, num_classes=2)
