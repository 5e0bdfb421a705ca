"""Official files into networks: values, heads, and what a file says of itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from fairtrial.errors import Fault
from fairtrial.models.resnet import create_model
from fairtrial.weights import OFFICIAL, Official, describe, fingerprint, load_bit
from tests.weights.conftest import CLASSES
from tests.weights.making import official_arrays


def saved(path, arrays, **options):
    np.savez(path, **arrays, **options)
    return path


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_every_array_lands_where_its_name_says(tiny, arrays, good):
    load_bit(tiny, good)
    state = tiny.state_dict()
    assert len(state) == len(arrays)
    pairs = {
        "root.conv.weight": "resnet/root_block/standardized_conv2d/kernel",
        "body.block1.unit01.norm1.weight": "resnet/block1/unit01/a/group_norm/gamma",
        "body.block1.unit01.norm1.bias": "resnet/block1/unit01/a/group_norm/beta",
        "body.block1.unit01.conv1.weight": "resnet/block1/unit01/a/standardized_conv2d/kernel",
        "body.block1.unit01.downsample.weight": "resnet/block1/unit01/a/proj/standardized_conv2d/kernel",
        "body.block2.unit01.norm2.weight": "resnet/block2/unit01/b/group_norm/gamma",
        "body.block2.unit02.conv2.weight": "resnet/block2/unit02/b/standardized_conv2d/kernel",
        "body.block2.unit02.norm3.bias": "resnet/block2/unit02/c/group_norm/beta",
        "body.block2.unit02.conv3.weight": "resnet/block2/unit02/c/standardized_conv2d/kernel",
        "head.norm.weight": "resnet/group_norm/gamma",
        "head.norm.bias": "resnet/group_norm/beta",
        "head.conv.weight": "resnet/head/conv2d/kernel",
        "head.conv.bias": "resnet/head/conv2d/bias",
    }
    for ours, theirs in pairs.items():
        value, array = state[ours].numpy(), arrays[theirs]
        if array.ndim == 1:
            assert np.array_equal(value, array), ours
        else:
            index = tuple(np.random.default_rng(0).integers(0, array.shape))
            height, width, cin, cout = index
            assert value.shape == (array.shape[3], array.shape[2], *array.shape[:2])
            assert value[cout, cin, height, width] == array[index], ours
            assert sorted(value.ravel()) == sorted(array.ravel())


def test_the_record_says_what_was_read(tiny, good):
    source = load_bit(tiny, good)
    data = good.read_bytes()
    assert (source.file, source.size, source.sha256) == (
        "good.npz",
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    assert (source.model, source.classes, source.upstream) == ("tiny", CLASSES, None)


def test_a_zeroed_head_gives_zero_logits_and_the_body_of_the_file(tiny, good):
    load_bit(tiny, good)
    kept = tiny.features(images())
    other = create_model("tiny", 3)
    load_bit(other, good, head="zero")
    assert not other(images()).any()
    assert torch.equal(other.features(images()), kept)


def test_a_replaced_head_keeps_what_the_network_has(tiny, good):
    other = create_model("tiny", 3)
    before = other.head.conv.weight.clone()
    load_bit(other, good, head="replace")
    assert torch.equal(other.head.conv.weight, before)
    assert before.any()


@pytest.mark.parametrize("classes", [1, 3, 128])
def test_any_number_of_classes_takes_a_file_with_another(classes, tmp_path):
    path = saved(tmp_path / "one.npz", official_arrays("tiny", 1))
    assert load_bit(create_model("tiny", classes), path, head="zero").classes == 1


def test_a_kept_head_needs_the_classes_of_the_file(good):
    with pytest.raises(Fault) as error:
        load_bit(create_model("tiny", 3), good)
    assert error.value.code == 3
    block = error.value.block()
    assert "shape (1, 1, 256, 7), expected (1, 1, 256, 3) for tiny" in block
    assert 'give head="zero"' in block


def test_an_unknown_word_for_the_head_is_refused(tiny, good):
    with pytest.raises(Fault, match=r"head='zeros' is not a known word, did you mean 'zero'\?") as error:
        load_bit(tiny, good, head="zeros")
    assert error.value.code == 2


@pytest.mark.parametrize("arm", [("tiny", 7, "bn", True), ("tiny", 7, "gn", False), ("mini", 7, "gn", True)])
def test_a_network_that_the_official_weights_are_not_for_is_refused(arm, good):
    with pytest.raises(Fault, match="the official files are for GN") as error:
        load_bit(create_model(*arm), good)
    assert error.value.code == 2


def test_numbered_convolutions_are_the_same_arrays(tiny, arrays, good, tmp_path):
    load_bit(tiny, good)
    expected = tiny(images())
    numbered = {
        key.replace("/standardized_conv2d/", f"/standardized_conv2d_{n}/"): value
        for n, (key, value) in enumerate(arrays.items())
    }
    other = create_model("tiny", CLASSES)
    load_bit(other, saved(tmp_path / "numbered.npz", numbered))
    assert torch.equal(other(images()), expected)


def test_two_spellings_of_one_array_are_refused(tiny, arrays, tmp_path):
    key = "resnet/block1/unit01/b/standardized_conv2d/kernel"
    arrays[key.replace("conv2d/", "conv2d_3/")] = arrays[key] * 2
    with pytest.raises(Fault, match=f"the same array as {key}"):
        load_bit(tiny, saved(tmp_path / "twice.npz", arrays))


def test_a_compressed_file_gives_the_same_values(tiny, arrays, good, tmp_path):
    load_bit(tiny, good)
    expected = tiny(images())
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    other = create_model("tiny", CLASSES)
    load_bit(other, tmp_path / "packed.npz")
    assert torch.equal(other(images()), expected)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2"])
def test_w16_other_floats_are_converted_with_a_notice(dtype, tiny, arrays, tmp_path):
    source = load_bit(tiny, saved(tmp_path / "odd.npz", {k: v.astype(dtype) for k, v in arrays.items()}))
    assert any(f"{len(arrays)} arrays converted from" in note for note in source.notes)
    beta = arrays["resnet/group_norm/beta"].astype(dtype).astype(np.float32)
    assert np.array_equal(tiny.state_dict()["head.norm.bias"].numpy(), beta)


def test_w16_fortran_order_gives_the_same_values_and_a_notice(tiny, arrays, good, tmp_path):
    load_bit(tiny, good)
    expected = tiny(images())
    turned = {key: np.asfortranarray(value) for key, value in arrays.items()}
    source = load_bit(tiny, saved(tmp_path / "fortran.npz", turned))
    assert any("Fortran" in note for note in source.notes)
    assert torch.equal(tiny(images()), expected)


def test_w17_exchanged_channels_of_a_square_kernel_pass_by_shape_and_are_caught_by_the_probe(
    tiny, arrays, good, tmp_path
):
    load_bit(tiny, good)
    expected = fingerprint(tiny)
    key = "resnet/block1/unit01/b/standardized_conv2d/kernel"
    arrays[key] = arrays[key].swapaxes(2, 3)
    load_bit(tiny, saved(tmp_path / "swapped.npz", arrays))
    assert np.abs(np.subtract(fingerprint(tiny), expected)).max() > 0.1 * np.abs(expected).max()


def test_the_probe_does_not_depend_on_the_head_and_leaves_the_network_as_it_was(tiny, good):
    load_bit(tiny, good)
    tiny.train()
    state = {key: value.clone() for key, value in tiny.state_dict().items()}
    first = fingerprint(tiny)
    assert tiny.training
    assert all(torch.equal(value, state[key]) for key, value in tiny.state_dict().items())
    torch.nn.init.zeros_(tiny.head.conv.weight)
    assert fingerprint(tiny) == first


@pytest.mark.parametrize(
    ("name", "classes", "upstream", "words"),
    [
        ("BiT-M-R50x1.npz", 21_843, "imagenet21k", "by its name alone"),
        ("BiT-S-R50x1.npz", 1_000, "ilsvrc2012", "by its name alone"),
        ("BiT-M-R50x1-ILSVRC2012.npz", 1_000, "imagenet21k, then ilsvrc2012", "it is not BiT-M-R50x1"),
        ("R50x1_224.npz", 1_000, "ilsvrc2012, distilled from BiT-M-R152x2", "by its name alone"),
        ("BiT-M-R50x1.npz", 1_000, None, "it is not BiT-M-R50x1. A head of 1000 classes"),
        ("BiT-M-R101x1.npz", 21_843, "imagenet21k", "holds tiny of 21843: it is not BiT-M-R101x1"),
        ("mine.npz", 21_843, "imagenet21k", "as BiT-M"),
        ("mine.npz", 1_000, None, "BiT-S, BiT-M fine-tuned on ILSVRC-2012, or distilled"),
        ("mine.npz", 10, None, "A head of 10 classes, as no pre-training"),
    ],
)
def test_a_file_is_described_by_structure_head_and_name(
    name, classes, upstream, words, arrays, tmp_path, monkeypatch
):
    for known, row in OFFICIAL.items():
        if row.model == "r50x1":  # the tiny network stands for R50x1
            monkeypatch.setitem(OFFICIAL, known, replace(row, model="tiny"))
    arrays["resnet/head/conv2d/kernel"] = np.zeros((1, 1, 256, classes), np.float16)
    arrays["resnet/head/conv2d/bias"] = np.zeros(classes, np.float16)
    source = describe(saved(tmp_path / name, arrays))
    assert (source.model, source.classes, source.upstream) == ("tiny", classes, upstream)
    assert words in source.notes[0]


def test_a_digest_in_the_table_is_believed_before_the_name(good, monkeypatch):
    sha256 = hashlib.sha256(good.read_bytes()).hexdigest()
    monkeypatch.setitem(OFFICIAL, "pinned", Official("tiny", CLASSES, "the moon", "pinned", sha256=sha256))
    source = describe(good.rename(good.with_name("BiT-M-R50x1.npz")))
    assert source.upstream == "the moon"
    assert "the digest is that of pinned" in source.notes[0]


def test_the_table_of_official_files_is_consistent():
    rows = {name: row for name, row in OFFICIAL.items() if row.model != "tiny"}
    assert len(rows) == 22
    assert all(row.url.startswith("https://storage.googleapis.com/bit_models/") for row in rows.values())
    assert len({row.url for row in rows.values()}) == 22
    assert rows["BiT-M-R152x4"].url == "https://storage.googleapis.com/bit_models/BiT-M-R152x4.npz"
    assert {
        row.classes for name, row in rows.items() if name.startswith("BiT-M") and "-ILSVRC" not in name
    } == {21_843}
