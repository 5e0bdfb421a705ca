"""Is GN+WS spared from small batches when every arm makes equally many steps?

Run:     fairtrial run batch-steps    (part of tox -e ablate-batch)
Takes:   at most 8 minutes on two cores, as recorded beside other work (120 trials, then 130 cells)
Result:  results/batch-steps/report.html
"""

from dataclasses import replace

from batch import STUDY as BATCH

from fairtrial import Budget, drive

STUDY = replace(
    BATCH,
    name="batch-steps",
    question="Is GN+WS spared from small batches when every arm makes equally many steps?",
    factors={"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (2, 16, 64)},
    budget=Budget(steps=128),
    presets={
        "mini": {"budget": Budget(steps=640), "seeds": range(5), "fixed": {"lr": 0.1}},
        "bit": {
            "budget": Budget(steps=10_000),
            "seeds": range(5),
            "fixed": {"lr": 0.1, "val_per_class": 50},
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
