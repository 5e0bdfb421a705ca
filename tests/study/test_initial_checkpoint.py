"""The forms of the setting `upstream`, and which checkpoint a replicate starts from."""

import pytest

from fairtrial.study.initial_checkpoint import name_of, parse, starting


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("none", "none", "none"),
        ("upstream", "study", "upstream"),
        ("my-own-study-mini", "study", "my-own-study-mini"),
        ("npz:/somewhere/BiT-S-R50x1.npz", "npz", "npz:BiT-S-R50x1"),
        ("npz:../BiT-S-R50x1.npz", "npz", "npz:BiT-S-R50x1"),
        ("BiT-M-R50x1", "official", "BiT-M-R50x1"),
        ("torchvision", "torchvision", "torchvision"),
        ("file:../my.resnet50.pth", "file", "file:my.resnet50"),
        ("timm", "timm", "timm"),
        ("timm:resnetv2_50x1_bit.goog_in21k", "timm", "timm:resnetv2_50x1_bit.goog_in21k"),
    ],
)
def test_a_form_has_a_kind_and_a_name_without_a_path(spec, kind, name):
    assert (parse(spec).kind, name_of(spec)) == (kind, name)


@pytest.mark.parametrize(
    "spec", ["", "npz:", "file:", "timm:resnet50", "Upstream", "../upstream", "a b", "x" * 99]
)
def test_another_form_is_refused_with_the_known_ones(spec):
    with pytest.raises(ValueError, match="npz:FILE"):
        parse(spec)


@pytest.mark.parametrize(
    ("spec", "network"),
    [
        ("BiT-M-R101x3-ILSVRC2012", "r101x3"),
        ("timm:resnetv2_152x2_bit", "r152x2"),
        ("timm", None),
        ("npz:r50x1", None),
    ],
)
def test_the_network_of_a_bit_file_is_known_by_its_name(spec, network):
    assert parse(spec).network == network


def test_seeds_take_turns_at_the_checkpoints():
    assert [starting("upstream", "full").seed(3, seed) for seed in range(5)] == [0, 1, 2, 0, 1]


def test_an_official_file_is_one_checkpoint_and_scratch_is_none():
    assert all(starting(one, "full").seed(1, 7) == 0 for one in ("BiT-M-R50x1", "torchvision"))
    assert starting("upstream", "scratch").seed(3, 7) is None
    assert starting("none", "full").seed(1, 7) is None
