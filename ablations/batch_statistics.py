"""Is it the few images per statistic that hurt BN, when the optimizer's batch stays the same?

Run:     fairtrial run batch-statistics    (part of tox -e ablate-batch)
Takes:   at most 5 minutes on two cores, as recorded beside other work (100 trials, then 110 cells)
Result:  results/batch-statistics/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True, "stat_batch": 64}
BN_2 = {"norm": "bn", "weight_std": False, "stat_batch": 2}
BN_64 = {"norm": "bn", "weight_std": False, "stat_batch": 64}

STUDY = Study(
    name="batch-statistics",
    question="Is it the few images per statistic that hurt BN, when the optimizer's batch stays the same?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "stat_batch": (2, 4, 16, 64),  # images per batch statistic
    },
    only=({"norm": "bn"}, {"stat_batch": 64}),  # GN has no batch statistic: one level is enough
    fixed={"lr": 0.1, "shots": 60, "batch_size": 64, "val_per_class": 20, "layout": "nhwc"},
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for shots, budget and the range of rates",
    seeds=range(230, 240),
    primary=(
        Contrast("statistics of 2 images", treatment=GN_WS, control=BN_2),
        Contrast("statistics of 64 images", treatment=GN_WS, control=BN_64),
        Contrast("few images per statistic in BN", treatment=BN_2, control=BN_64),
    ),
    margin=0.01,
    aa={"norm": "bn", "weight_std": False, "stat_batch": 16},
    presets={
        "mini": {
            "factors": {"norm": ("bn", "gn"), "weight_std": (False, True), "stat_batch": (2, 16, 64)},
            "only": ({"norm": "bn", "weight_std": False}, GN_WS),
            "fixed": {"lr": 0.3, "batch_size": 64, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=20_480),
            # of 2 images per statistic, a tie in loss gave bn a rate at which it gets 11 points less
            "tuning": Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc", paired_ties=True),
            "pilots": "that of the norm study, for the range of rates; seeds 620 to 629, with rates by "
            "validation loss, the score and the ties",
            "seeds": range(1040, 1050),  # of no study or pilot before
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
