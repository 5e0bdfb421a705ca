"""How many groups does GN need, from one for all channels to one for each, with WS and without?

Run:     fairtrial run groups
Takes:   about 3 minutes on two cores, as recorded beside other work
Result:  results/groups/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

LAYER, EIGHT, INSTANCE = {"groups": 1}, {"groups": 8}, {"groups": 256}  # mini has 16 to 256 channels
WS, PLAIN = {"weight_std": True}, {"weight_std": False}

STUDY = Study(
    name="groups",
    question="How many groups does GN need, from one for all channels to one for each, with WS and without?",
    factors={
        "groups": (1, 2, 4, 8, 16, 256),  # a layer of fewer channels has one for each of them
        "weight_std": (False, True),
    },
    fixed={"lr": 0.1, "norm": "gn", "batch_size": 32, "shots": 60, "val_per_class": 20, "layout": "nhwc"},
    budget=Budget(examples=2048),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=2),
    pilots="those of the norm study, for shots, budget and the range of rates",
    seeds=range(700, 710),  # of no study or pilot before
    primary=(
        Contrast("layer normalization", treatment=LAYER, control=EIGHT),  # averaged over WS
        Contrast("instance normalization", treatment=INSTANCE, control=EIGHT),
        Contrast("WS does without groups", treatment=WS, control=PLAIN, by={"groups": (1, 8)}),
    ),
    margin=0.01,
    aa={"groups": 8, "weight_std": True},
    presets={
        "mini": {
            "fixed": {"lr": 0.3, "norm": "gn", "batch_size": 64, "layout": "nhwc", "kernels": "fused"},
            "budget": Budget(examples=20_480),
        },
        "bit": {
            "fixed": {"lr": 0.1, "norm": "gn", "batch_size": 64, "val_per_class": 50},
            "budget": Budget(examples=512_000),
            "seeds": range(5),
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
