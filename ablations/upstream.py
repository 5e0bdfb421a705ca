"""What do GN, WS and BN give in pre-training, and does WS repair GN?

Its networks are the checkpoints that the transfer studies start from.

Run:     tox -e ablate-upstream -- --data parquet:DIR    (Tiny ImageNet at 32x32, or any data of your own)
Takes:   about an hour on two cores (12 networks, 400 000 images each); what ships in results/ is not repeated
Result:  results/upstream/report.html, and the networks in results/upstream/weights
"""

from fairtrial import Budget, Contrast, Study, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}

STUDY = Study(
    name="upstream",
    question="What do GN, WS and BN give in pre-training, and does WS repair GN?",
    factors={
        "norm": ("bn", "gn"),
        "weight_std": (False, True),  # crossed with norm, so the interaction is visible
    },
    fixed={
        "stage": "upstream",  # its own streams of chance; the weights are kept
        "layout": "nhwc",  # a sixth faster on a CPU, in all four arms
        "data": "parquet:tiny-imagenet-32",
        "batch_size": 64,
        "lr": 0.1,
        "warmup": 0.05,
        "weight_decay": 1e-4,  # as BiT upstream (BiT 3.2)
        "val_per_class": 10,
    },
    budget=Budget(examples=400_000),  # four times each image
    pilots="one seed of 64 000 images chose lr, among 0.05, 0.1 and 0.2, on validation images",
    seeds=range(3),
    primary=(
        Contrast("GN+WS against BN", treatment=GN_WS, control=BN),
        Contrast(
            "WS repairs GN",  # the interaction of BiT Table 4: (GN+WS - GN) - (BN+WS - BN)
            treatment={"weight_std": True},
            control={"weight_std": False},
            by={"norm": ("gn", "bn")},
        ),
    ),
    margin=0.01,
    preset="mini",
    presets={
        "bit": {
            "fixed": {
                "stage": "upstream",
                "data": "folder:ilsvrc2012",
                "batch_size": 256,
                "lr": 0.0075,  # at 64 images; 0.03 at 256, as BiT upstream (BiT 3.2)
                "warmup": 0.01,
                "weight_decay": 1e-4,
                "val_per_class": 10,
            },
            "budget": Budget(examples=115_000_000),  # 90 times each image of ILSVRC-2012, as BiT-S
            "pilots": "",
        },
    },
)

if __name__ == "__main__":
    drive(STUDY)
