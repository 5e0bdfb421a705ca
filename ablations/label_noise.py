"""Does MixUp help more where labels are wrong?

Run:     fairtrial run label-noise
Takes:   about 4 minutes on two cores, as recorded beside other work
Result:  results/label-noise/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

ON, OFF = {"mixup": 0.1}, {"mixup": 0.0}

STUDY = Study(
    name="label-noise",
    question="Does MixUp help more where labels are wrong?",
    factors={
        "mixup": (0.0, 0.1),  # alpha as in BiT 3.3
        "label_noise": (0.0, 0.2, 0.5),  # the share of training labels that name another class
    },
    fixed={
        "lr": 0.1,
        "norm": "gn",
        "weight_std": True,
        "batch_size": 64,
        "shots": 100,
        "layout": "nhwc",
    },
    budget=Budget(examples=8192),  # four times that of the MixUp study: wrong labels are learned late
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for the range of rates",
    seeds=range(730, 740),  # of no study or pilot before
    primary=(
        Contrast("right labels", treatment=ON, control=OFF, at={"label_noise": 0.0}),
        Contrast("half of the labels wrong", treatment=ON, control=OFF, at={"label_noise": 0.5}),
        Contrast("MixUp gains with wrong labels", treatment=ON, control=OFF, by={"label_noise": (0.5, 0.0)}),
    ),
    margin=0.01,
    aa={"mixup": 0.1, "label_noise": 0.2},
    presets={
        "mini": {
            "fixed": {
                "lr": 0.3,
                "norm": "gn",
                "weight_std": True,
                "batch_size": 64,
                "shots": 500,
                "layout": "nhwc",
                "kernels": "fused",
            },
            "budget": Budget(examples=81_920),
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
