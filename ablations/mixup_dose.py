"""How much MixUp is best: a dose response in alpha, with few images and with many?

Run:     fairtrial run mixup-dose
Takes:   about 2 minutes on two cores, as recorded beside other work
Result:  results/mixup-dose/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

OFF, BIT, FULL = {"mixup": 0.0}, {"mixup": 0.1}, {"mixup": 1.0}  # BIT: as in BiT 3.3
MANY = {"shots": 100}

STUDY = Study(
    name="mixup-dose",
    question="How much MixUp is best: a dose response in alpha, with few images and with many?",
    factors={
        "mixup": (0.0, 0.05, 0.1, 0.2, 0.4, 1.0),  # 0.032, 0.058, ..., 0.25 of an image on average
        "shots": (20, 100),
    },
    fixed={"lr": 0.1, "norm": "gn", "weight_std": True, "batch_size": 64, "layout": "nhwc"},
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for budget and the range of rates",
    seeds=range(720, 730),  # of no study or pilot before
    primary=(
        Contrast("BiT's dose", treatment=BIT, control=OFF, at=MANY),
        Contrast("ten times BiT's dose", treatment=FULL, control=OFF, at=MANY),
        Contrast("a large dose needs images", treatment=FULL, control=OFF, by={"shots": (100, 20)}),
    ),
    margin=0.01,
    aa={"mixup": 0.1, "shots": 100},
    presets={
        "mini": {
            "factors": {"mixup": (0.0, 0.05, 0.1, 0.2, 0.4, 1.0), "shots": (100, 500)},
            "fixed": {
                "lr": 0.3,
                "norm": "gn",
                "weight_std": True,
                "batch_size": 64,
                "layout": "nhwc",
                "kernels": "fused",
            },
            "budget": Budget(examples=20_480),
            "primary": (
                Contrast("BiT's dose", treatment=BIT, control=OFF, at={"shots": 500}),
                Contrast("ten times BiT's dose", treatment=FULL, control=OFF, at={"shots": 500}),
                Contrast("a large dose needs images", treatment=FULL, control=OFF, by={"shots": (500, 100)}),
            ),
            "aa": {"mixup": 0.1, "shots": 500},
        },
        "bit": {
            "fixed": {"lr": 0.1, "norm": "gn", "weight_std": True, "batch_size": 64, "val_per_class": 50},
            "budget": Budget(examples=512_000),
            "seeds": range(5),
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
