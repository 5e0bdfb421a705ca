"""Does GN+WS beat BN when the batch is small, and does WS repair GN when it is large?

Run:     tox -e ablate-norm
Takes:   about 3 minutes on two cores (130 cells of 2 048 images of scanned digits)
Result:  results/norm/report.html
"""

from fairtrial import Budget, Contrast, Study, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}

STUDY = Study(
    name="norm",
    question="Does GN+WS beat BN when the batch is small, and does WS repair GN when it is large?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),  # crossed with norm, so the interaction is visible
        "batch_size": (2, 16, 64),
    },
    fixed={"lr": 0.1, "shots": 60},  # 600 images: every arm stays below the ceiling
    budget=Budget(examples=2048),  # a multiple of every batch size: no arm sees one image more
    seeds=range(10, 20),  # seeds 0-9 are left to pilots: they chose lr, shots and budget
    primary=(
        Contrast("small batch", treatment=GN_WS, control=BN, at={"batch_size": 2}),
        Contrast("large batch", treatment=GN_WS, control=BN, at={"batch_size": 64}),
        Contrast("batch matters more to BN", treatment=GN_WS, control=BN, by={"batch_size": (2, 64)}),
        Contrast(
            "WS repairs GN",  # the interaction of BiT Table 4: (GN+WS - GN) - (BN+WS - BN)
            treatment={"weight_std": True},
            control={"weight_std": False},
            by={"norm": ("gn", "bn")},
            at={"batch_size": 64},
        ),
    ),
    margin=0.01,  # test accuracy; a smaller difference would not change anybody's choice
    aa={"norm": "gn", "weight_std": True, "batch_size": 64},
    presets={"mini": {"budget": Budget(examples=20_480), "fixed": {"lr": 0.1}, "seeds": range(10)}},
)

if __name__ == "__main__":
    drive(STUDY)
