"""Does a larger network need more upstream data?

BiT Figs 5 and 6 show that it does. Here two widths, each pre-trained on 10 000 and on 98 000 images, are
fine-tuned with few images of CIFAR-10.

Run:     fairtrial run upstream-few, fairtrial run upstream-many, then fairtrial run sizes
Takes:   a quarter of an hour on two cores, and the pre-training (336 trials, then 130 cells)
Result:  results/sizes/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

WIDER, NARROWER = {"model": "mini"}, {"model": "mini-half"}
FEW, MANY = "upstream-few", "upstream-many"  # 10 000 and 98 000 images, seen 204 800 times in all

STUDY = Study(
    name="sizes",
    question="Does a larger network need more upstream data?",
    preset="mini",
    factors={"model": ("mini-half", "mini"), "upstream": (FEW, MANY), "shots": (1, 5, 25)},
    fixed={
        "norm": "gn",
        "weight_std": True,
        "upstream_seeds": 5,
        "batch_size": 32,
        "layout": "nhwc",
        "kernels": "fused",
        "lr": 0.1,
    },
    budget=Budget(examples=3200),
    tuning=Tuning({"lr": (0.003, 0.01, 0.03, 0.1, 0.3)}, seeds=4, score="val_acc", paired_ties=True),
    pilots="those of the shots study at preset mini, for budget, rates, score and ties",
    seeds=range(1380, 1390),  # two subsets for each upstream seed, of no study or pilot before
    primary=(
        Contrast(
            "a larger network gains from data", treatment=WIDER, control=NARROWER,
            by={"upstream": (MANY, FEW)}, at={"shots": 25},
        ),
        Contrast("larger, from few", treatment=WIDER, control=NARROWER, at={"upstream": FEW, "shots": 25}),
        Contrast("larger, from many", treatment=WIDER, control=NARROWER, at={"upstream": MANY, "shots": 25}),
    ),
    margin=0.01,
    aa={"model": "mini", "upstream": MANY, "shots": 5},
)  # fmt: skip

if __name__ == "__main__":
    drive(STUDY)
