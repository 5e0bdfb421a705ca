"""The table of factors: one spelling of each value, words for each arm, names that the networks know."""

import math

import pytest

from fairtrial.layers import NORMS
from fairtrial.models.resnet import MODELS
from fairtrial.study.factors import canon, identity, label
from fairtrial.study.settings import ALL, FACTORS, KERNEL_NAMES, MODEL_NAMES, OWN_KERNELS

# A factor -> two levels that differ from each other.
LEVELS = {
    "model": ("mini", "r50x1"),
    "norm": ("bn", "gn"),
    "weight_std": (True, False),
    "groups": (None, 4),
    "batch_size": (4, 16),
    "stat_batch": (None, 4),
    "micro_batch": (None, 4),
    "bn_split": (False, True),
    "mixup": (0.0, 0.1),
    "shots": (5, ALL),
    "indices": ("drawn", "lists/five.json"),
    "val_per_class": (0, 5),
    "trial": (None, 3),
    "data": ("digits", "parquet:cifar10"),
    "resolution": (16, 32),
    "augment": ("none", "crop"),
    "lr": (0.1, 0.3),
    "weight_decay": (0.0, 1e-4),
    "warmup": (0.0, 0.1),
    "recipe": ("own", "hyperrule-paper"),
    "precision": ("fp32", "bf16"),
    "layout": ("nchw", "nhwc"),
    "label_noise": (0.0, 0.2),
    "kernels": ("fastest", "torch"),
    "stage": ("downstream", "upstream"),
    "upstream": ("none", "upstream"),
    "upstream_seeds": (1, 3),
    "finetune": ("full", "scratch"),
    "bn_mode": ("updated", "frozen"),
    "block": ("pre-activation", "post-activation"),
    "stride_on": ("3x3", "1x1"),
    "head": ("zero", "drawn"),
}


def test_model_names_are_those_of_the_networks():
    assert tuple(MODELS) == MODEL_NAMES


def test_the_blocks_of_the_table_are_those_of_the_networks():
    from fairtrial.models import resnet
    from fairtrial.norm_table import BLOCK_TABLE

    rows = {"block": [*BLOCK_TABLE], "stride_on": resnet.STRIDES_ON, "head": resnet.HEADS}
    for name, known in rows.items():
        assert all(canon(name, level) == level for level in known)
        assert FACTORS[name].default == known[0]


def test_the_kernels_of_the_table_are_those_of_the_layers():
    from fairtrial.kernels.dispatch import KERNELS, OURS

    assert tuple(KERNELS) == KERNEL_NAMES and OURS == OWN_KERNELS


def test_bn_alone_reads_batch_statistics():
    """checks.py refuses batches of one image, and silent splits, for bn and for nothing else."""
    assert [name for name, norm in NORMS.items() if norm.mixes_batch] == ["bn"]


@pytest.mark.parametrize("name", FACTORS)
def test_a_default_is_allowed_and_in_its_one_spelling(name):
    default = FACTORS[name].default
    assert canon(name, default) == default
    assert type(canon(name, default)) is type(default)


@pytest.mark.parametrize("name", FACTORS)
def test_levels_of_a_factor_read_differently(name):
    first, second = (label({name: level}) for level in LEVELS[name])
    assert first and second and first != second


def test_an_arm_in_words():
    assert label({"norm": "gn", "weight_std": True, "batch_size": 4}) == "gn+ws, batch 4"
    assert label({"norm": "bn", "weight_std": False, "mixup": 0.0}) == "bn, mixup off"
    assert label({"weight_std": False, "stat_batch": None}) == "no ws, statistics batch off"
    assert label({"bn_split": False, "shots": "all"}) == "no BN split, all images"


@pytest.mark.parametrize(
    ("name", "value", "spelled"),
    [
        ("mixup", 1, 1.0),
        ("mixup", -0.0, 0.0),
        ("lr", 1, 1.0),
        ("batch_size", 4, 4),
        ("shots", "all", "all"),
        ("stat_batch", None, None),
        ("weight_std", True, True),
    ],
)
def test_a_value_has_one_spelling(name, value, spelled):
    found = canon(name, value)
    assert (found, type(found), str(found)) == (spelled, type(spelled), str(spelled))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", True),
        ("batch_size", 4.0),
        ("batch_size", "4"),
        ("batch_size", 0),
        ("batch_size", 2**20 + 1),
        ("weight_std", 1),
        ("weight_std", "on"),
        ("mixup", True),
        ("mixup", "0.1"),
        ("mixup", math.nan),
        ("mixup", 10**400),
        ("lr", 0.0),
        ("warmup", 1.0),
        ("resolution", 1),
        ("shots", "few"),
        ("shots", None),
        ("stat_batch", "batch"),
        ("data", " "),
        ("norm", ["gn"]),
        ("model", None),
    ],
)
def test_other_values_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        canon(name, value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "32", 32),
        ("mixup", "1e-1", 0.1),
        ("mixup", "1", 1.0),
        ("weight_std", "on", True),
        ("weight_std", "False", False),
        ("shots", "all", "all"),
        ("shots", "5", 5),
        ("stat_batch", "batch", None),
        ("norm", "gn", "gn"),
        ("data", "parquet:a/b", "parquet:a/b"),
    ],
)
def test_a_value_is_read_from_text(name, text, value):
    found = canon(name, FACTORS[name].kind.parse(text))
    assert (found, type(found)) == (value, type(value))


def test_data_counts_by_its_name():
    assert identity("data", "parquet:/somewhere/cifar10") == "parquet:cifar10"
    assert identity("mixup", 1) == 1.0


def test_every_kind_says_what_it_takes():
    assert (
        FACTORS["stat_batch"].kind.says == "None (as an option: batch), or a whole number from 1 to 1048576"
    )
    assert FACTORS["warmup"].kind.says == "a finite number >= 0 and < 1"
