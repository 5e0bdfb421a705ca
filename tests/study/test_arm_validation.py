"""Settings of one arm that do not go together (those of batches: test_malformed_studies.py)."""

import pytest

from fairtrial.errors import Fault
from fairtrial.study.study import Contrast, Study
from fairtrial.study.tuning_plan import FIRST_SEED, Tuning
from tests.support.studies import study


def whats(**fixed) -> list[str]:
    with pytest.raises(Fault) as caught:
        study(fixed=fixed, primary=())
    return [problem.what for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fixed", "what"),
    [
        (
            {"finetune": "linear_probe"},
            "finetune='linear_probe' needs a pre-trained network, but upstream is none",
        ),
        ({"finetune": "last"}, "finetune='last' needs a pre-trained network, but upstream is none"),
        ({"bn_mode": "frozen"}, "bn_mode='frozen' needs a pre-trained network, but upstream is none"),
        (
            {"finetune": "linear_probe", "upstream": "upstream", "mixup": 0.1},
            "finetune='linear_probe' computes the features once, so images cannot be mixed",
        ),
        (
            {"model": "torchvision:resnet18", "norm": "gn"},
            "norm='gn', but torchvision:resnet18 comes with bn",
        ),
        (
            {"model": "torchvision:resnet18", "norm": "bn", "weight_std": False, "stage": "upstream"},
            "stage='upstream' keeps networks of our own; torchvision:resnet18 is none of them",
        ),
        ({"upstream": "torchvision"}, "upstream='torchvision' holds no weights for mini"),
        ({"upstream": "timm"}, "upstream='timm' holds no weights for mini"),
        (
            {"model": "timm:resnet18", "upstream": "torchvision"},
            "upstream='torchvision' holds no weights for timm:resnet18",
        ),
        (
            {"upstream": "timm:resnetv2_50x1_bit"},
            "timm:resnetv2_50x1_bit holds the network r50x1, and this arm is mini",
        ),
        (
            {"model": "torchvision:vit_b_16", "norm": "ln", "weight_std": False, "resolution": 256},
            "resolution=256 with recipe='own', but torchvision:vit_b_16 takes 224 px alone",
        ),
        (
            {"model": "timm:resnet18", "block": "post-activation"},
            "block='post-activation', but timm:resnet18 comes with pre-activation",
        ),
        (
            {"norm": "frn", "block": "post-activation"},
            "norm='frn' activates by itself, but a post-activation block sums before its relu",
        ),
        (
            {"model": "r50x1", "upstream": "BiT-M-R50x1", "stride_on": "1x1"},
            "BiT-M-R50x1 holds a network with stride_on='3x3'",
        ),
        (
            {"model": "r50x1", "upstream": "BiT-M-R50x1", "groups": 16},
            "BiT-M-R50x1 holds a network with groups=None",
        ),
        (
            {"norm": "bn", "groups": 4},
            "groups=4, but norm='bn' has no number of groups to choose",
        ),
        (
            {"model": "torchvision:resnet18", "norm": "bn", "weight_std": False, "head": "drawn"},
            "head='drawn', but torchvision:resnet18 comes with zero",
        ),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_named(fixed, what):
    factors = {"lr": (0.1, 0.2)}
    with pytest.raises(Fault) as caught:
        study(factors=factors, fixed=fixed, primary=())
    assert what in [problem.what for problem in caught.value.problems]


def test_an_official_file_is_one_checkpoint_of_gn_and_ws():
    found = whats(upstream="BiT-M-R50x1", upstream_seeds=3)  # the study sweeps norm over bn and gn
    assert "upstream_seeds=3, but BiT-M-R50x1 is one checkpoint" in found
    assert "BiT-M-R50x1 holds a network of gn+ws, and this arm is another" in found


@pytest.mark.parametrize(("norm", "refused"), [("in", True), ("frn", True), ("gn", False), ("ln", False)])
def test_a_norm_over_one_pixel_is_refused(norm, refused):
    def made() -> Study:
        return study(factors={"norm": (norm, "bn")}, fixed={"resolution": 8}, primary=())

    if not refused:
        assert made().arms()
        return
    with pytest.raises(Fault, match="one value per statistic"):
        made()


def test_what_a_hyperrule_sets_is_not_set_beside_it():
    assert whats(recipe="hyperrule-paper", lr=0.1, warmup=0.1) == [
        "lr is set by recipe='hyperrule-paper'",
        "warmup is set by recipe='hyperrule-paper'",
    ]


def test_an_arm_that_only_leaves_out_is_no_fault():
    """Networks whose norms are their own stand beside ours: each has the settings that fit it."""
    ours = {"model": "mini", "norm": "gn", "weight_std": True, "upstream": "upstream"}
    published = dict(zip(ours, ("torchvision:resnet18", "bn", False, "torchvision"), strict=True))
    factors = {name: (ours[name], published[name]) for name in ours}
    both = Contrast("both", treatment=published, control=ours)
    made = study(factors=factors, only=(ours, published), primary=both, aa=ours)
    assert made.arms() == [ours, published]
    with pytest.raises(Fault, match="holds no weights for"):
        study(factors=factors, primary=(), aa=None)


def test_only_knows_a_file_by_its_path():
    file = "file:somewhere/weights.safetensors"
    factors = {"upstream": ("none", file), "finetune": ("full", "scratch")}
    kept = ({"upstream": file, "finetune": "full"}, {"upstream": "none", "finetune": "scratch"})
    start = Contrast("start", treatment=kept[0], control=kept[1])
    assert len(study(factors=factors, only=kept, primary=start, aa=None).arms()) == 2


def test_only_names_swept_levels_and_leaves_like_sides():
    factors = {"norm": ("bn", "gn"), "weight_std": (False, True)}
    kept = study(
        factors=factors,
        only=({"norm": "bn", "weight_std": False}, {"norm": "gn", "weight_std": True}),
        primary=(),
    )
    assert kept.arms() == [{"norm": "bn", "weight_std": False}, {"norm": "gn", "weight_std": True}]
    assert Study.of(kept.declaration()).cells() == kept.cells()
    with pytest.raises(Fault, match="ln"):
        study(factors=factors, only=({"norm": "ln"},), primary=())
    with pytest.raises(Fault, match="the A/A arm is one that only= leaves out"):
        study(factors=factors, only=({"norm": "bn"},), primary=(), aa={"norm": "gn", "weight_std": True})
    with pytest.raises(Fault, match="leaves 1 and 2 arms"):
        norms = Contrast("norms", treatment={"norm": "gn"}, control={"norm": "bn"})
        study(factors=factors, only=({"norm": "bn"}, {"weight_std": True}), primary=norms)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"fixed": {"val_per_class": 0}}, "no validation images to tune on"),
        ({"factors": {"norm": ("bn", "gn"), "lr": (0.1, 0.3)}, "fixed": {}}, "lr is swept by the study"),
        ({"fixed": {"recipe": "hyperrule-paper"}}, "lr is set by recipe='hyperrule-paper'"),
        ({"seeds": (0, 1, FIRST_SEED)}, f"seed {FIRST_SEED} belongs to tuning"),
    ],
)
def test_what_cannot_be_tuned_is_refused(changes, what):
    with pytest.raises(Fault) as caught:
        study(primary=(), tuning=Tuning({"lr": (0.1, 0.3)}), **changes)
    assert any(what in problem.what for problem in caught.value.problems)
