"""Does MixUp help, from how many images on, and with which norm?

Run:     tox -e ablate-mixup
Takes:   at most 8 minutes on two cores, as recorded beside other work (240 trials, then 250 cells)
Result:  results/mixup/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

ON, OFF = {"mixup": 0.1}, {"mixup": 0.0}
GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}

STUDY = Study(
    name="mixup",
    question="Does MixUp help, from how many images on, and with which norm?",
    factors={
        "mixup": (0.0, 0.1),  # alpha as in BiT 3.3; both see the same images in the same order
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "shots": (5, 20, 100),  # images per class
    },
    fixed={"lr": 0.1, "batch_size": 64, "layout": "nhwc"},
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for budget and the range of rates",
    seeds=range(280, 290),
    primary=(
        Contrast("few images", treatment=ON, control=OFF, at={"shots": 5}),
        Contrast("many images", treatment=ON, control=OFF, at={"shots": 100}),
        Contrast("MixUp gains with the images", treatment=ON, control=OFF, by={"shots": (100, 5)}),
    ),
    secondary=(
        Contrast("MixUp suits GN", treatment=ON, control=OFF, by={"norm": ("gn", "bn")}, at={"shots": 100}),
    ),
    margin=0.01,
    aa={"mixup": 0.1, "norm": "gn", "weight_std": True, "shots": 100},
    presets={
        "mini": {
            "factors": {
                "mixup": (0.0, 0.1),
                "norm": ("bn", "gn"),
                "weight_std": (False, True),
                "shots": (100, 500),
            },
            "only": (BN, GN_WS),
            "fixed": {"lr": 0.3, "batch_size": 64, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=20_480),
            "tuning": Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc", paired_ties=True),
            "pilots": "that of the norm study, for the range of rates",
            "seeds": range(630, 640),
            "primary": (
                Contrast("few images", treatment=ON, control=OFF, at={"shots": 100}),
                Contrast("many images", treatment=ON, control=OFF, at={"shots": 500}),
                Contrast("MixUp gains with the images", treatment=ON, control=OFF, by={"shots": (500, 100)}),
            ),
            "secondary": (),
            "aa": {"mixup": 0.1, "norm": "gn", "weight_std": True, "shots": 500},
        },
        "bit": {
            "factors": {"mixup": (0.0, 0.1), "shots": (5, 100, 2000)},
            "fixed": {
                "upstream": "BiT-M-R50x1",
                "recipe": "hyperrule-paper",
                "resolution": 32,
                "batch_size": 512,
                "micro_batch": "auto",
            },
            "budget": Budget(steps=500),
            "tuning": None,  # the BiT-HyperRule is the rule of all arms
            "pilots": "",
            "primary": (
                Contrast("few images", treatment=ON, control=OFF, at={"shots": 5}),
                Contrast("many images", treatment=ON, control=OFF, at={"shots": 2000}),
            ),
            "secondary": (),
            "seeds": range(5),
            "aa": {"mixup": 0.1, "shots": 2000},
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
