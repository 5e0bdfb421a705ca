"""From 1 to 100 images per class: fine-tune, train a linear probe, or start from scratch?

1 and 5 as in BiT Fig 6, all between them and 10, and the levels of its Fig 1, for GN+WS on CIFAR-10.

Run:     fairtrial run shots-curve    (CIFAR-10: a download, or --data)
Takes:   an hour and a half on two slow cores, beside tests (784 trials, 224 beyond an edge, 290 cells)
Result:  results/shots-curve/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

FULL, SCRATCH, PROBE = {"finetune": "full"}, {"finetune": "scratch"}, {"finetune": "linear_probe"}

STUDY = Study(
    name="shots-curve",
    question="From 1 to 100 images per class: fine-tune, train a linear probe, or start from scratch?",
    preset="mini",
    factors={
        "finetune": ("full", "linear_probe", "scratch"),
        "shots": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 25, 100),  # the 1..10 curve, and the levels of BiT Fig 1
    },
    only=(FULL, PROBE, *({"shots": shots} for shots in (1, 5, 10, 100))),  # from scratch where it is asked
    fixed={
        "norm": "gn",
        "weight_std": True,
        "upstream": "upstream",  # results/upstream ships with fairtrial
        "upstream_seeds": 5,
        "batch_size": 32,
        "layout": "nhwc",
        "kernels": "fused",
        "lr": 0.1,
    },
    budget=Budget(examples=3200),
    # by loss, and with ties that hold what all rates share, arms got rates up to 3.5 points below their best
    tuning=Tuning(
        {"lr": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc", paired_ties=True
    ),
    pilots="this study with rates by validation loss, seeds 800 to 809 (commit 20245cb), and three of its "
    "levels with rates by accuracy, seeds 1030 to 1039 (commit 836ad28): they chose the contrasts, the "
    "score, the ties and the range of rates; their tuning seeds are among these",
    seeds=range(1050, 1060),  # two subsets for each upstream seed, of no study or pilot before
    primary=(
        Contrast("fine-tuning against a probe at 1", treatment=FULL, control=PROBE, at={"shots": 1}),
        Contrast("fine-tuning against a probe at 10", treatment=FULL, control=PROBE, at={"shots": 10}),
        Contrast("fine-tuning against a probe at 100", treatment=FULL, control=PROBE, at={"shots": 100}),
        Contrast("transfer at 1", treatment=FULL, control=SCRATCH, at={"shots": 1}),
        Contrast("transfer at 5", treatment=FULL, control=SCRATCH, at={"shots": 5}),
        Contrast("transfer at 10", treatment=FULL, control=SCRATCH, at={"shots": 10}),
    ),
    secondary=(Contrast("transfer at 100", treatment=FULL, control=SCRATCH, at={"shots": 100}),),
    margin=0.01,
    aa={"finetune": "full", "shots": 5},
)

if __name__ == "__main__":
    drive(STUDY)
