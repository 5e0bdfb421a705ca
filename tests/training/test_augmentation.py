"""Crop, flip and MixUp: against a loop over images, and independent of the batch."""

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairtrial import rng as seeds
from fairtrial.training.augmentation import AUGMENTS, Draws, crop_flip, draws, mixup, normalize, padded

PAD = 2
N = 40


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (N, 3, 6, 8), np.uint8))


def noise(*shape, dtype=torch.float32):
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def by_loop(images, ids, rows, pad):
    """The plain variant, one image and one pixel row at a time, in numpy."""
    out = []
    for example, dy, dx, flip in zip(ids, *rows, strict=True):
        image = images[int(example)].numpy()
        channels, high, wide = image.shape
        canvas = np.zeros((channels, high + 2 * pad, wide + 2 * pad), np.uint8)
        canvas[:, pad : pad + high, pad : pad + wide] = image
        window = canvas[:, dy : dy + high, dx : dx + wide]
        out.append(window[:, :, ::-1] if flip else window)
    return torch.from_numpy(np.stack(out).copy())


@pytest.mark.parametrize("kind", AUGMENTS)
@pytest.mark.parametrize("pad", [0, 1, 4])
def test_the_batch_equals_the_loop(images, kind, pad):
    ids = np.array([5, 0, 39, 5, 17, 23])
    rows = draws(kind, 3, 1, N, pad).rows(ids)
    assert torch.equal(crop_flip(padded(images, pad), ids, rows, pad), by_loop(images, ids, rows, pad))


def test_every_window_and_both_mirrors_equal_the_loop(images):
    corners = np.array([(y, x, f) for y in range(5) for x in range(5) for f in (0, 1)])
    rows = Draws(corners[:, 0], corners[:, 1], corners[:, 2].astype(bool))
    ids = np.arange(len(corners)) % N
    assert torch.equal(crop_flip(padded(images, PAD), ids, rows, PAD), by_loop(images, ids, rows, PAD))


def test_a_batch_of_eight_is_two_batches_of_four(images):
    table, whole = draws("crop-flip", 0, 0, N, PAD), padded(images, PAD)
    ids = np.array([3, 1, 4, 15, 9, 2, 6, 5])
    parts = [crop_flip(whole, half, table.rows(half), PAD) for half in (ids[:4], ids[4:])]
    assert torch.equal(crop_flip(whole, ids, table.rows(ids), PAD), torch.cat(parts))


def test_a_batch_may_span_two_epochs(images):
    first, second = draws("crop-flip", 0, 0, N, PAD), draws("crop-flip", 0, 1, N, PAD)
    old, new, whole = np.array([38, 39]), np.array([0, 38]), padded(images, PAD)
    rows = first.rows(old).followed_by(second.rows(new))
    batch = crop_flip(whole, np.concatenate([old, new]), rows, PAD)
    assert torch.equal(batch[:2], crop_flip(whole, old, first.rows(old), PAD))
    assert torch.equal(batch[2:], crop_flip(whole, new, second.rows(new), PAD))


def test_ids_may_be_a_tensor(images):
    ids, table = np.array([7, 3]), draws("crop", 0, 0, N, PAD)
    whole = padded(images, PAD)
    expected = crop_flip(whole, ids, table.rows(ids), PAD)
    assert torch.equal(crop_flip(whole, torch.from_numpy(ids), table.rows(ids), PAD), expected)


def test_larger_originals_are_cropped_without_padding(images):
    """BiT: resize to 160, crop 128; here 6x8 -> 2x4."""
    ids = np.array([0, 1])
    rows = Draws(np.array([0, 4]), np.array([1, 2]), np.array([False, True]))
    batch = crop_flip(images, ids, rows, 2)
    assert torch.equal(batch[0], images[0, :, 0:2, 1:5])
    assert torch.equal(batch[1], images[1, :, 4:6, 2:6].flip(-1))


def test_none_returns_the_images(images):
    ids = np.arange(N)
    assert torch.equal(crop_flip(padded(images, PAD), ids, draws("none", 0, 0, N, PAD), PAD), images)


def test_the_padding_is_black(images):
    whole = padded(images, PAD)
    assert whole.shape == (N, 3, 10, 12)
    assert whole[:, :, :PAD].sum() == 0
    assert normalize(whole)[0, 0, 0, 0] == -1


def test_draws_cover_the_window_evenly():
    """20 000 draws of 5 levels: each count within 5 standard deviations (283) of 4 000; seed 0."""
    table = draws("crop-flip", 0, 0, 20_000, PAD)
    for corner in (table.dy, table.dx):
        assert (np.abs(np.bincount(corner, minlength=5) - 4000) < 283).all()
        assert corner.max() == 2 * PAD
    assert abs(table.flip.mean() - 0.5) < 5 * 0.5 / 20_000**0.5


def test_crop_never_flips_and_shares_its_windows_with_crop_flip():
    crop, both = draws("crop", 4, 2, N, PAD), draws("crop-flip", 4, 2, N, PAD)
    assert not crop.flip.any() and both.flip.any()
    assert (crop.dy == both.dy).all() and (crop.dx == both.dx).all()


def test_a_longer_table_starts_with_the_shorter_one():
    short, long = draws("crop-flip", 0, 0, 10, PAD), draws("crop-flip", 0, 0, 50, PAD)
    assert all((a == b[:10]).all() for a, b in zip(short, long, strict=True))


def test_the_table_is_the_one_of_the_named_stream():
    """Computed by hand with numpy, outside rng.py."""
    key = int.from_bytes(hashlib.blake2b(b"augment", digest_size=4).digest(), "big")
    uniform = np.random.default_rng(np.random.SeedSequence(20191224, spawn_key=(key, 7, 2))).random((N, 3))
    table = draws("crop-flip", 7, 2, N, PAD)
    assert table.dy.tolist() == [int(u * 5) for u in uniform[:, 0]]
    assert table.dx.tolist() == [int(u * 5) for u in uniform[:, 1]]
    assert table.flip.tolist() == [bool(u < 0.5) for u in uniform[:, 2]]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_seed_and_epoch_draw_the_same_table():
    assert same(draws("crop-flip", 0, 3, N, PAD), draws("crop-flip", 0, 3, N, PAD))


def test_another_seed_or_epoch_draws_another_table():
    table = draws("crop-flip", 0, 0, N, PAD)
    assert not same(table, draws("crop-flip", 1, 0, N, PAD))
    assert not same(table, draws("crop-flip", 0, 1, N, PAD))
    assert not same(table, draws("crop-flip", 0, 0, N, PAD, prefix=seeds.UPSTREAM))


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown augment 'cutout'; known: none, crop, crop-flip"):
        draws("cutout", 0, 0, N, PAD)


def test_off_draws_nothing(monkeypatch):
    def refuse(*words):
        raise AssertionError("a stream was opened")

    monkeypatch.setattr("fairtrial.training.augmentation.stream", refuse)
    draws("none", 0, 0, N, PAD)
    batch, labels = noise(4, 3, 2, 2), torch.arange(4)
    same_batch, same_labels = mixup(batch, labels, 0.0, (0, 0, 0), 4)
    assert same_batch is batch and same_labels is labels


def test_the_global_generators_stay_untouched(images):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    ids = np.arange(8)
    batch = normalize(crop_flip(padded(images, PAD), ids, draws("crop-flip", 0, 0, N, PAD).rows(ids), PAD))
    mixup(batch, torch.arange(8), 0.5, (0, 0, 0), 8)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_normalize_is_the_formula_of_bit():
    """float32 against float64: one rounding of a value up to 1 is at most 6e-8; two steps, 2e-7."""
    levels = torch.arange(256, dtype=torch.uint8)
    expected = (np.arange(256) / 255 - 0.5) / 0.5
    ours = normalize(levels)
    assert ours.dtype == torch.float32
    assert np.abs(ours.numpy() - expected).max() < 2e-7
    assert (ours[0], ours[255]) == (-1, 1)
    assert levels.dtype == torch.uint8 and levels[255] == 255  # the input is not changed


def test_mixup_is_the_blend_of_bits_pytorch_code():
    """l * x + (1 - l) * x[partner], with draws made by hand outside rng.py."""
    key = int.from_bytes(hashlib.blake2b(b"mixup", digest_size=4).digest(), "big")
    rng = np.random.default_rng(np.random.SeedSequence(20191224, spawn_key=(key, 3, 1, 9)))
    lam, partner = rng.beta(0.4, 0.4), rng.permutation(6)
    images, labels = noise(6, 3, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1, 0])
    mixed, targets = mixup(images, labels, 0.4, (3, 1, 9), 3)
    assert 0 < lam < 1
    torch.testing.assert_close(mixed, lam * images + (1 - lam) * images[partner])
    hot = F.one_hot(labels, 3).double()
    torch.testing.assert_close(targets, lam * hot + (1 - lam) * hot[partner])


def test_the_loss_of_soft_targets_is_the_mixed_loss():
    images, labels, logits = noise(5, 3, 2, 2), torch.tensor([0, 1, 2, 3, 0]), noise(5, 4)
    _, targets = mixup(images, labels, 1.0, (0, 0, 0), 4)
    by_hand = -(targets * F.log_softmax(logits, 1)).sum(1).mean()
    torch.testing.assert_close(F.cross_entropy(logits, targets), by_hand)
    torch.testing.assert_close(targets.sum(1), torch.ones(5))


def test_every_word_of_the_mixup_key_is_consumed():
    images, labels = noise(16, 3, 2, 2), torch.arange(16)

    def once(*key, prefix=""):
        return mixup(images, labels, 0.3, key, 16, prefix=prefix)[1]

    assert torch.equal(once(0, 0, 0), once(0, 0, 0))
    for other in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        assert not torch.equal(once(0, 0, 0), once(*other))
    assert not torch.equal(once(0, 0, 0), once(0, 0, 0, prefix=seeds.UPSTREAM))


def test_mixup_leaves_its_inputs_alone():
    images, labels = noise(4, 3, 2, 2), torch.arange(4)
    copies = images.clone(), labels.clone()
    mixup(images, labels, 0.5, (0, 0, 0), 4)
    assert torch.equal(images, copies[0]) and torch.equal(labels, copies[1])
