"""Does MixUp help in transfer with 1 to 10 images per class, where BiT does without it?

Run:     fairtrial run mixup-few
Takes:   about 2 minutes on two cores, as recorded beside other work
Result:  results/mixup-few/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

ON, OFF = {"mixup": 0.1}, {"mixup": 0.0}

STUDY = Study(
    name="mixup-few",
    question="Does MixUp help in transfer with 1 to 10 images per class, where BiT does without it?",
    factors={
        "mixup": (0.0, 0.1),  # off below 20 000 images, else alpha 0.1 (BiT 3.3)
        "shots": (1, 2, 5, 10),
    },
    fixed={
        "upstream": "upstream",  # results/upstream ships with fairtrial
        "upstream_seeds": 5,
        "norm": "gn",
        "weight_std": True,
        "batch_size": 32,
        "layout": "nhwc",
        "kernels": "fused",
        "lr": 0.3,
    },
    budget=Budget(examples=960),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the shots study, for budget and the range of rates",
    seeds=range(740, 760),  # four subsets for each upstream seed, of no study or pilot before
    primary=(
        Contrast("MixUp at 1 image", treatment=ON, control=OFF, at={"shots": 1}),
        Contrast("MixUp at 10 images", treatment=ON, control=OFF, at={"shots": 10}),
    ),
    margin=0.01,
    aa={"mixup": 0.0, "shots": 5},
    presets={
        "mini": {"budget": Budget(examples=3200)},
        "bit": {
            "fixed": {
                "upstream": "BiT-M-R50x1",
                "recipe": "hyperrule-paper",
                "resolution": 32,
                "norm": "gn",
                "weight_std": True,
                "batch_size": 512,
                "micro_batch": "auto",
            },
            "budget": Budget(steps=500),
            "tuning": None,  # the BiT-HyperRule is the rule of all arms
            "pilots": "",
            "seeds": range(5),
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
