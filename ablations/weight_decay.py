"""Does weight decay change which normalization wins?

Run:     fairtrial run weight-decay
Takes:   about 8 minutes on two cores, as recorded beside other work
Result:  results/weight-decay/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}
MOST, NONE = {"weight_decay": 5e-4}, {"weight_decay": 0.0}

STUDY = Study(
    name="weight-decay",
    question="Does weight decay change which normalization wins?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "weight_decay": (0.0, 1e-5, 1e-4, 5e-4),  # BiT: 1e-4 upstream, 0 in transfer (BiT 3.2 and 3.3)
    },
    only=(BN, GN_WS),
    fixed={"lr": 0.1, "batch_size": 32, "shots": 60, "val_per_class": 20, "layout": "nhwc"},
    budget=Budget(examples=8192),  # four times that of the norm study, so that a decay can act
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=4),
    pilots="those of the norm study, for shots and the range of rates; seeds 710 to 719, all of it with "
    "2 tuning seeds: its A/A arm differed from itself, and one seed of gn+ws without decay ended at 32 %",
    seeds=range(770, 780),  # of no study or pilot before
    primary=(
        Contrast("decay in BN", treatment=MOST, control=NONE, at=BN),
        Contrast("decay in GN+WS", treatment=MOST, control=NONE, at=GN_WS),
        Contrast("decay and norm", treatment=GN_WS, control=BN, by={"weight_decay": (5e-4, 0.0)}),
    ),
    margin=0.01,
    aa={"norm": "gn", "weight_std": True, "weight_decay": 1e-4},
    presets={
        "mini": {
            "fixed": {"lr": 0.3, "batch_size": 64, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=81_920),
        },
        "bit": {
            "fixed": {"lr": 0.1, "batch_size": 64, "val_per_class": 50},
            "budget": Budget(examples=512_000),
            "seeds": range(5),
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
