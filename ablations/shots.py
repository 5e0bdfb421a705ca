"""How much does pre-training help with few images, and does GN+WS transfer better than BN?

Run:     tox -e ablate-shots
Takes:   about 7 minutes on two cores (scanned digits); --preset mini, on CIFAR-10, a quarter of an hour
Result:  results/shots/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}
FULL, SCRATCH, PROBE = {"finetune": "full"}, {"finetune": "scratch"}, {"finetune": "linear_probe"}

TRANSFER = (
    Contrast("transfer at 1 shot", treatment=FULL, control=SCRATCH, at={"shots": 1}),
    Contrast("transfer at 5 shots", treatment=FULL, control=SCRATCH, at={"shots": 5}),
    Contrast("transfer at 10 shots", treatment=FULL, control=SCRATCH, at={"shots": 10}),
)
GN_WS_TRANSFERS = Contrast(
    "GN+WS transfers better", treatment=GN_WS, control=BN, at={"finetune": "full", "shots": 10}
)

STUDY = Study(
    name="shots",
    question="How much does pre-training help with few images, and does GN+WS transfer better than BN?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
        "finetune": ("full", "scratch", "linear_probe"),
        "shots": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 25, 100),  # the 1..10 curve, and the levels of BiT Fig 1
    },
    only=(BN, GN_WS),
    fixed={
        "upstream": "upstream",  # results/upstream ships with fairtrial
        "upstream_seeds": 5,
        "batch_size": 32,
        "layout": "nhwc",
        "kernels": "fused",
        "lr": 0.3,
    },
    budget=Budget(examples=960),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0, 3.0)}, seeds=2),
    pilots="other seeds, at rates 0.03, 0.1 and 0.3, for the range of rates",
    seeds=range(330, 335),  # a subset for each upstream seed, of no other study
    primary=TRANSFER,
    secondary=(
        Contrast("fine-tuning against a probe", treatment=FULL, control=PROBE, at={"shots": 10}),
        GN_WS_TRANSFERS,
    ),
    aa={"norm": "gn", "weight_std": True, "finetune": "full", "shots": 5},
    presets={
        "mini": {
            "factors": {
                "norm": ("bn", "gn"),
                "weight_std": (False, True),
                "finetune": ("full", "scratch"),
                "shots": (1, 5, 10),
            },
            "fixed": {
                "upstream": "upstream",
                "upstream_seeds": 5,
                "batch_size": 32,
                "layout": "nhwc",
                "kernels": "fused",
                "lr": 0.1,
            },
            "budget": Budget(examples=3200),
            # by loss, a tie gave from-scratch arms rates at which they get up to 8 points less
            "tuning": Tuning(
                {"lr": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc", paired_ties=True
            ),
            "pilots": "an earlier record of other seeds, all arms at lr 0.1, for the range of rates; "
            "seeds 520 to 529, with rates by validation loss, the score and the ties",
            "seeds": range(1310, 1320),  # two subsets for each upstream seed, of no other study
            "secondary": (GN_WS_TRANSFERS,),
        },
        "bit": {
            "factors": {
                "finetune": ("full", "linear_probe"),
                "shots": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 25, 100),
            },
            "only": (),
            "fixed": {
                "upstream": "BiT-M-R50x1",
                "recipe": "hyperrule-paper",  # 32 pixels become 160, cropped to 128
                "resolution": 32,
                "batch_size": 512,
                "micro_batch": "auto",
            },
            "budget": Budget(steps=500),
            "tuning": None,  # the BiT-HyperRule is the rule of all arms
            "pilots": "",
            "seeds": range(5),
            "primary": Contrast(
                "fine-tuning against a probe", treatment=FULL, control=PROBE, at={"shots": 10}
            ),
            "secondary": (),
            "aa": {"finetune": "full", "shots": 5},
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
