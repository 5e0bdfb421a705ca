"""What results may be called follows from where the weights came from."""

from __future__ import annotations

import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts.captions import preset, provenance


def of(make_study, factors, **fixed):
    study = make_study(factors=factors, fixed=fixed, primary=(), aa=None, seeds=range(3))
    return preset(study).removeprefix("preset embedded: digits, ")


BIT = "fine-tuned from official BiT weights"
TWO = {"batch_size": (4, 64)}
OFFICIAL = {"upstream": "BiT-M-R50x1", "model": "r50x1"}


@pytest.mark.parametrize(
    "factors, fixed, says",
    [
        (TWO, {}, "mini network trained from scratch; not a BiT result"),
        (TWO, {"upstream": "upstream"}, "mini network pre-trained (study upstream); not a BiT result"),
        (
            {"upstream": ("none", "upstream", "upstream-mini")},
            {},
            "mini network pre-trained (study upstream) or pre-trained (study upstream-mini) or "
            "trained from scratch; not a BiT result",
        ),
        (
            {"finetune": ("full", "scratch")},
            {"upstream": "upstream"},
            "mini network pre-trained (study upstream) or trained from scratch; not a BiT result",
        ),
        (
            TWO,
            OFFICIAL,
            "r50x1 network from official BiT-M-R50x1 weights; " + BIT,
        ),
        (
            {"finetune": ("full", "scratch")},
            OFFICIAL,
            "r50x1 network from official BiT-M-R50x1 weights or trained from scratch; only arms fine-tuned "
            "from official weights are BiT results",
        ),
        (
            TWO,
            OFFICIAL | {"finetune": "linear_probe"},
            "r50x1 network from official BiT-M-R50x1 weights; not a BiT result",
        ),
        (
            TWO,
            {"upstream": "npz:/some/where/BiT-M-R50x1.npz"},
            "mini network from the weights in BiT-M-R50x1.npz; a BiT result only as far as that file is the "
            "official one",
        ),
    ],
)
def test_only_whole_networks_from_official_weights_wear_the_name(make_study, factors, fixed, says):
    assert of(make_study, factors, **fixed) == says


def test_a_caption_names_the_upstream_images_where_every_record_does(make_transfer, publish):
    def outcome(cell, name="tiny-imagenet-32"):
        drawn = (
            None
            if cell.upstream_seed is None
            else {"file": "w", "sha256": "0", "overlap": 0, "upstream": name}
        )
        return {"drawn": {"upstream": drawn}}

    caption = provenance(load.load(publish(make_transfer(), outcome)))
    assert "pre-trained on tiny-imagenet-32 (study upstream)" in caption
    mixed = make_transfer(name="mixed")
    caption = provenance(load.load(publish(mixed, lambda cell: outcome(cell, "ab"[cell.seed % 2]))))
    assert "pre-trained (study upstream)" in caption
