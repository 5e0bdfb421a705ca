"""Does a network of twice the width learn more from 10 000 images?

With upstream-many, the checkpoints that the study `sizes` starts from.

Run:     fairtrial run upstream-few --data parquet:DIR    (Tiny ImageNet at 32x32, or any data of your own)
Takes:   about 20 minutes on two cores (16 trials, then 10 networks of 204 800 images)
Result:  results/upstream-few/report.html, and the networks in results/upstream-few/weights
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

STUDY = Study(
    name="upstream-few",
    question="Does a network of twice the width learn more from 10 000 images?",
    factors={"model": ("mini-half", "mini")},
    fixed={
        "stage": "upstream",  # its own streams of chance; the weights are kept
        "norm": "gn",
        "weight_std": True,
        "layout": "nhwc",
        "kernels": "fused",
        "data": "parquet:tiny-imagenet-32",
        "shots": 50,  # of each of the 200 classes
        "augment": "none",
        "batch_size": 64,
        "lr": 0.1,
        "warmup": 0.05,
        "weight_decay": 1e-4,  # as BiT upstream (BiT 3.2)
        "val_per_class": 10,
    },
    budget=Budget(examples=204_800),  # about twenty times each image; of upstream-many, twice
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=2, share=0.2),  # short runs choose
    pilots="those of the upstream study, for augment, batch_size and the range of rates",
    seeds=range(5),
    primary=(Contrast("a wider network", treatment={"model": "mini"}, control={"model": "mini-half"}),),
    margin=0.01,
    preset="mini",
)

if __name__ == "__main__":
    drive(STUDY)
