"""What should fine-tuning do with BN's running statistics, and does GN+WS do better without any?

Run:     fairtrial run bn-modes
Takes:   about 2 minutes on two cores, as recorded beside other work
Result:  results/bn-modes/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True, "bn_mode": "updated"}
BN = {"norm": "bn", "weight_std": False}
FROZEN, UPDATED, ESTIMATED = {"bn_mode": "frozen"}, {"bn_mode": "updated"}, {"bn_mode": "re-estimated"}

STUDY = Study(
    name="bn-modes",
    question="What should fine-tuning do with BN's running statistics, and does GN+WS do better without any?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "bn_mode": ("updated", "frozen", "re-estimated"),
        "shots": (1, 5, 10, 100),
    },
    only=(BN, GN_WS),  # GN has no running statistics: one level is enough
    fixed={
        "upstream": "upstream",  # results/upstream ships with fairtrial
        "upstream_seeds": 5,
        "batch_size": 32,
        "layout": "nhwc",
        "kernels": "fused",
        "lr": 0.3,
    },
    budget=Budget(examples=960),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the shots study, for budget and the range of rates",
    seeds=range(760, 770),  # two subsets for each upstream seed, of no study or pilot before
    primary=(
        Contrast("frozen statistics", treatment=FROZEN, control=UPDATED, at={**BN, "shots": 10}),
        Contrast("estimated statistics", treatment=ESTIMATED, control=UPDATED, at={**BN, "shots": 10}),
        Contrast("GN+WS against frozen BN", treatment=GN_WS, control=BN | FROZEN, at={"shots": 10}),
    ),
    margin=0.01,
    aa={"norm": "bn", "weight_std": False, "bn_mode": "updated", "shots": 10},
    presets={
        "mini": {"budget": Budget(examples=3200), "seeds": range(760, 765)},
        "bit": {
            # of fairtrial run upstream --preset bit: published weights have no arm but GN+WS
            "fixed": {
                "upstream": "upstream-bit",
                "upstream_seeds": 3,
                "batch_size": 128,
                "lr": 0.03,
                "val_per_class": 12,
            },
            "budget": Budget(steps=500),
            "seeds": range(15, 30),
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
