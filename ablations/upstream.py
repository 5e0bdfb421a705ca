"""What do GN, WS and BN give in pre-training, and does WS repair GN?

Its networks are the checkpoints that the transfer studies start from.

Run:     tox -e ablate-upstream -- --data parquet:DIR    (Tiny ImageNet at 32x32, or any data of your own)
Takes:   about an hour and a half on two cores (40 trials, then 20 networks of 409 600 images); what ships in
         results/ is not repeated
Result:  results/upstream/report.html, and the networks in results/upstream/weights
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

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
        "layout": "nhwc",  # in all four arms, as are the kernels
        "kernels": "fused",
        "data": "parquet:tiny-imagenet-32",
        "augment": "none",  # four passes over the images; a pilot chose it
        "batch_size": 64,
        "lr": 0.1,
        "warmup": 0.05,
        "weight_decay": 1e-4,  # as BiT upstream (BiT 3.2)
        "val_per_class": 10,
    },
    budget=Budget(examples=409_600),  # four times each image
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=2, share=0.1),  # short runs choose
    pilots="an earlier record of seeds 0 to 2, all arms at lr 0.1, chose budget and range of rates; one "
    "seed of 96 000 images, bn+ws at lr 0.3, chose augment (crop-flip or none) and batch_size (32 or 64)",
    seeds=range(5),
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
