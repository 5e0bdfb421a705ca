"""scikit-learn's bundled digits: fixed split, exact pixels."""

import hashlib

import numpy as np
import pytest

from fairtrial.data import digits
from fairtrial.data.dataset import open_dataset


@pytest.fixture(scope="module")
def arrays():
    return digits.load()


def test_the_pixels_are_the_ones_of_the_release(arrays):
    """Golden: a change of split, scale or order changes every digits result."""
    assert arrays.sha256() == "b9b7f0a062f71b18d9a550c9c40e8e2cf956cadb8f10f3da6fe8f2bc3e90a0fd"
    assert digits.load(8).sha256() == "5912f577ba362708c25ee5dfb5aaa1ca11f3d5870fe028ce980b2c5d40d8bf81"


def test_every_third_image_of_a_class_is_a_test_image(arrays):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    test = [row for label in range(10) for row in np.flatnonzero(bunch.target == label)[2::3]]
    expected = bunch.target[np.sort(test)]
    assert arrays.test_labels.tolist() == expected.tolist()
    scan = bunch.images[np.sort(test)[0]]
    assert arrays.test_images[0, 0, ::2, ::2].tolist() == [
        [int(v * 255 / 16 + 0.5) for v in row] for row in scan
    ]


def test_both_splits_hold_all_classes_in_the_same_proportion(arrays):
    assert len(arrays.train_images) + len(arrays.test_images) == 1797
    train, test = np.bincount(arrays.train_labels), np.bincount(arrays.test_labels)
    assert ((train + test) // 3 == test).all()


def test_grey_becomes_three_equal_channels_from_black_to_white(arrays):
    images = arrays.train_images
    assert images.shape[1:] == (3, 16, 16)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    assert (images[:, 0] == images[:, 1]).all()
    assert (images[:, 0] == images[:, 2]).all()


def test_a_multiple_of_eight_repeats_pixels(arrays):
    small, large = digits.load(8).train_images, digits.load(32).train_images
    assert (large == small.repeat(4, axis=2).repeat(4, axis=3)).all()
    assert (arrays.train_images[:, :, ::2, ::2] == small).all()


def test_another_resolution_is_interpolated():
    images = digits.load(12).train_images
    assert images.shape[1:] == (3, 12, 12)
    assert len(np.unique(images)) > 17  # more levels than the scans have


def test_the_installed_version_is_part_of_the_stamp(monkeypatch):
    before = digits.source().stamp
    monkeypatch.setattr(digits, "version", lambda name: "0.0")
    assert digits.source().stamp != before


def test_opened_twice_the_tensors_are_equal_and_carry_their_digest():
    first, second = open_dataset("digits"), open_dataset("digits")
    assert first.name == "digits"
    assert first.num_classes == 10
    assert first.sha256 == second.sha256
    assert hashlib.sha256(first.train_images.numpy().tobytes()).digest() == (
        hashlib.sha256(second.train_images.numpy().tobytes()).digest()
    )
