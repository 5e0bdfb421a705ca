"""Does GN+WS beat BN when the batch is small, and does WS repair GN when it is large?

Run:     tox -e ablate-norm
Takes:   3 to 6 minutes on two idle cores (120 trials choose each arm's rate, then 140 cells of 2 048 digits);
         --preset mini, on CIFAR-10, three quarters of an hour
Result:  results/norm/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}

STUDY = Study(
    name="norm",
    question="Does GN+WS beat BN when the batch is small, and does WS repair GN when it is large?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),  # crossed with norm, so the interaction is visible
        "batch_size": (4, 32),
    },
    only=(BN, GN_WS, {"batch_size": 32}),  # at batch 4 no contrast asks for the other two
    fixed={
        "lr": 0.1,
        "shots": 60,  # 600 images: every arm stays below the ceiling
        "val_per_class": 20,
        "layout": "nhwc",  # channels last, in all arms
    },
    budget=Budget(examples=2048),  # a multiple of every batch size: no arm sees one image more
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0, 3.0)}, seeds=4),  # of two, gn's depended on the processor
    pilots="seeds 0 to 9 chose shots and budget; seeds 100 to 103, at batches 4 and 64, the range of rates; "
    "seeds 200 to 211, at batches 4 and 64 and again at 4 and 32, the latter and trials of the whole budget; "
    "seeds 400 to 411, with 2 tuning seeds and on two processors, the number of seeds",
    seeds=range(1000, 1020),  # of no study or pilot before
    primary=(
        Contrast("small batch", treatment=GN_WS, control=BN, at={"batch_size": 4}),
        Contrast("large batch", treatment=GN_WS, control=BN, at={"batch_size": 32}),
        Contrast("batch matters more to BN", treatment=GN_WS, control=BN, by={"batch_size": (4, 32)}),
        Contrast(
            "WS repairs GN",  # the interaction of BiT Table 4: (GN+WS - GN) - (BN+WS - BN)
            treatment={"weight_std": True},
            control={"weight_std": False},
            by={"norm": ("gn", "bn")},
            at={"batch_size": 32},
        ),
    ),
    margin=0.01,  # test accuracy; a smaller difference would not change anybody's choice
    aa={"norm": "gn", "weight_std": True, "batch_size": 32},
    presets={
        "mini": {
            "factors": {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (4, 64)},
            "only": (BN, GN_WS, {"batch_size": 64}),
            "fixed": {"lr": 0.3, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=20_480),
            "tuning": Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=4),
            "pilots": "seeds 900 and 901, bn and gn+ws at both batches, at lr 0.3: budget, seeds and rates; "
            "seeds 600 to 609, the whole study with 2 tuning seeds, where rates tied for gn and bn+ws",
            "seeds": range(650, 660),  # of no study or pilot before
            "primary": (
                Contrast("small batch", treatment=GN_WS, control=BN, at={"batch_size": 4}),
                Contrast("large batch", treatment=GN_WS, control=BN, at={"batch_size": 64}),
                Contrast("batch matters more to BN", treatment=GN_WS, control=BN, by={"batch_size": (4, 64)}),
                Contrast(
                    "WS repairs GN",
                    treatment={"weight_std": True},
                    control={"weight_std": False},
                    by={"norm": ("gn", "bn")},
                    at={"batch_size": 64},
                ),
            ),
            "aa": {"norm": "gn", "weight_std": True, "batch_size": 64},
        },
        "bit": {
            "budget": Budget(examples=512_000),  # ten times each image of CIFAR-10
            "fixed": {"lr": 0.1, "val_per_class": 50},
            "seeds": range(5),
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
