"""From ResNet to BiT: what does each step earn, added in order and left out of the whole?

Run:     tox -e ablate-ladder
Takes:   at most 11 minutes on two cores, as recorded beside other work (120 trials, then 130 cells)
Result:  results/ladder/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

# He et al. (2015), but trained from our start; then one step after another to BiT.
RESNET = {
    "stride_on": "1x1",
    "block": "post-activation",
    "norm": "bn",
    "weight_std": False,
    "head": "drawn",
    "model": "mini",
}
STRIDE = RESNET | {"stride_on": "3x3"}  # as torchvision's ResNet and BiT's
PRE = STRIDE | {"block": "pre-activation"}  # ResNetV2 (He et al., 2016)
GN = PRE | {"norm": "gn"}
WS = GN | {"weight_std": True}
ZERO = WS | {"head": "zero"}
BIT = ZERO | {"model": "mini-x2"}

STUDY = Study(
    name="ladder",
    question="From ResNet to BiT: what does each step earn, added in order and left out of the whole?",
    factors={
        "stride_on": ("1x1", "3x3"),
        "block": ("post-activation", "pre-activation"),
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "head": ("drawn", "zero"),
        "model": ("mini", "mini-x2"),
    },
    only=(
        RESNET, STRIDE, PRE, GN, WS, ZERO, BIT,
        BIT | {"stride_on": "1x1"},
        BIT | {"block": "post-activation"},
        BIT | {"norm": "bn"},
        BIT | {"weight_std": False},
        BIT | {"head": "drawn"},
    ),
    # as in the norm study: every arm stays below the ceiling
    fixed={"lr": 0.1, "batch_size": 64, "shots": 60, "val_per_class": 20, "layout": "nhwc"},
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for shots, budget and the range of rates",
    seeds=range(260, 270),  # of no other study, so that what they say is said anew
    primary=(
        Contrast("all steps", treatment=BIT, control=RESNET),
        Contrast("stride on the 3x3", treatment=STRIDE, control=RESNET),
        Contrast("pre-activation", treatment=PRE, control=STRIDE),
        Contrast("GN for BN", treatment=GN, control=PRE),
        Contrast("WS", treatment=WS, control=GN),
        Contrast("zero head", treatment=ZERO, control=WS),
        Contrast("double width", treatment=BIT, control=ZERO),
    ),
    secondary=(  # the last step is a step left out already
        Contrast("without the stride on the 3x3", treatment=BIT, control=BIT | {"stride_on": "1x1"}),
        Contrast("without pre-activation", treatment=BIT, control=BIT | {"block": "post-activation"}),
        Contrast("without GN", treatment=BIT, control=BIT | {"norm": "bn"}),
        Contrast("without WS", treatment=BIT, control=BIT | {"weight_std": False}),
        Contrast("without the zero head", treatment=BIT, control=BIT | {"head": "drawn"}),
    ),
    margin=0.01,
    aa=BIT,
    presets={
        "mini": {
            "budget": Budget(examples=20_480),
            "fixed": {"lr": 0.1, "batch_size": 64},
            "seeds": range(3),
        },
    },
)  # fmt: skip

if __name__ == "__main__":
    drive(STUDY)
