"""From 1 to 100 images per class: fine-tune, train a linear probe, or start from scratch?

The few-shot curve of BiT Fig 6 from 1 to 10, and the levels of its Fig 1, for GN+WS on CIFAR-10.

Run:     fairtrial run shots-curve    (CIFAR-10: a download, or --data)
Takes:   an hour and a quarter on two slow cores, beside other work (756 trials, then 370 cells)
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
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3)}, seeds=3),
    pilots="the record of shots --preset mini at commit 8b4f76e, of other seeds, with these arms among its "
    "own: it chose the contrasts and the range of rates",
    seeds=range(800, 810),  # two subsets for each upstream seed, of no other study
    primary=(
        Contrast("fine-tuning against a probe at 1", treatment=FULL, control=PROBE, at={"shots": 1}),
        Contrast("fine-tuning against a probe at 10", treatment=FULL, control=PROBE, at={"shots": 10}),
        Contrast("fine-tuning against a probe at 100", treatment=FULL, control=PROBE, at={"shots": 100}),
        Contrast("transfer at 100", treatment=FULL, control=SCRATCH, at={"shots": 100}),
    ),
    margin=0.01,
    aa={"finetune": "full", "shots": 5},
)

if __name__ == "__main__":
    drive(STUDY)
