"""How does accuracy fall with the batch, and is GN+WS spared?

Run:     tox -e ablate-batch    (with batch_steps, batch_seconds and batch_statistics: the other budgets)
Takes:   at most 15 minutes on two cores, as recorded beside other work (160 trials, then 170 cells)
Result:  results/batch/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}

STUDY = Study(
    name="batch",
    question="How does accuracy fall with the batch, and is GN+WS spared?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "batch_size": (2, 4, 16, 64),  # BN's statistics follow it; the learning rate is in proportion
    },
    fixed={"lr": 0.1, "shots": 60, "val_per_class": 20, "layout": "nhwc"},
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0, 3.0)}, seeds=2),
    pilots="those of the norm study, for shots, budget and the range of rates",
    seeds=range(220, 230),
    primary=(
        Contrast("batch of 2", treatment=GN_WS, control=BN, at={"batch_size": 2}),
        Contrast("batch of 64", treatment=GN_WS, control=BN, at={"batch_size": 64}),
        Contrast("batch matters more to BN", treatment=GN_WS, control=BN, by={"batch_size": (2, 64)}),
    ),
    margin=0.01,
    aa={"norm": "gn", "weight_std": True, "batch_size": 16},
    presets={
        "mini": {
            "factors": {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (2, 16, 64)},
            "only": (BN, GN_WS),
            "fixed": {"lr": 0.3, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=20_480),
            "tuning": Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc", paired_ties=True),
            "pilots": "that of the norm study, for budget, seeds and rates; those of the study of batch "
            "statistics, for the score and the ties",
            "seeds": range(1330, 1340),  # of no study or pilot before
        },
        "bit": {
            "budget": Budget(examples=512_000),
            "seeds": range(5),
            "fixed": {"lr": 0.1, "val_per_class": 50},
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
