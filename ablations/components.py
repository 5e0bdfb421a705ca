"""Which component earns what: GN, WS or MixUp, alone and together?

Run:     tox -e ablate-components
Takes:   at most 4 minutes on two cores, as recorded beside other work (80 trials, then 90 cells);
         --preset mini, on CIFAR-10, 40 minutes
Result:  results/components/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

ALL = {"norm": "gn", "weight_std": True, "mixup": 0.1}
NONE = {"norm": "bn", "weight_std": False, "mixup": 0.0}
GN, BN = {"norm": "gn"}, {"norm": "bn"}
WS, PLAIN = {"weight_std": True}, {"weight_std": False}
ON, OFF = {"mixup": 0.1}, {"mixup": 0.0}

STUDY = Study(
    name="components",
    question="Which component earns what: GN, WS or MixUp, alone and together?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "mixup": (0.0, 0.1),  # alpha as in BiT 3.3
    },  # every combination runs, so that each gain is seen with and without the others
    fixed={
        "lr": 0.1,
        "batch_size": 64,
        "shots": 60,
        "val_per_class": 20,
        "layout": "nhwc",
    },  # as in the norm study: below the ceiling
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for shots, budget and the range of rates",
    seeds=range(240, 250),  # of no other study, so that what they say is said anew
    primary=(
        Contrast("all three", treatment=ALL, control=NONE),
        Contrast("GN", treatment=GN, control=BN),  # each averaged over the others
        Contrast("WS", treatment=WS, control=PLAIN),
        Contrast("MixUp", treatment=ON, control=OFF),
    ),
    secondary=(
        Contrast("WS suits GN", treatment=WS, control=PLAIN, by={"norm": ("gn", "bn")}),
        Contrast("MixUp suits GN", treatment=ON, control=OFF, by={"norm": ("gn", "bn")}),
        Contrast("MixUp suits WS", treatment=ON, control=OFF, by={"weight_std": (True, False)}),
    ),
    margin=0.01,
    aa=ALL,
    presets={
        "mini": {
            "fixed": {"lr": 0.3, "batch_size": 64, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=20_480),
            "tuning": Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=4),
            "pilots": "that of the norm study, for the range of rates; seeds 610 to 619, with 2 tuning "
            "seeds, where rates tied for gn and bn+ws",
            "seeds": range(660, 670),
        },
        "bit": {
            "budget": Budget(examples=512_000),
            "seeds": range(5),
            "fixed": {"lr": 0.1, "batch_size": 64, "val_per_class": 50},
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
