"""With few images, how far is a small network with public ImageNet weights (not BiT) from ours?

Run:     fairtrial run public-weights    (CIFAR-10 and a file of weights: docs/weights.md says how to get it)
Takes:   three quarters of an hour on two slow cores, beside other work (168 trials, then 65 cells)
Result:  results/public-weights/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

OURS = {
    "model": "mini",
    "norm": "gn",
    "weight_std": True,
    "resolution": 32,
    "upstream": "upstream",  # results/upstream ships with fairtrial
    "upstream_seeds": 5,
}
PUBLIC = {
    "model": "timm:tf_efficientnet_lite0",  # 1.28 million images of ImageNet at 224 px
    "norm": "bn",
    "weight_std": False,
    "resolution": 64,
    "upstream": "file:efficientnet-lite0.safetensors",
    "upstream_seeds": 1,
}
FULL, PROBE = {"finetune": "full"}, {"finetune": "linear_probe"}

STUDY = Study(
    name="public-weights",
    question="With few images, how far is a small network with public ImageNet weights (not BiT) from ours?",
    preset="mini",
    factors={
        "model": (OURS["model"], PUBLIC["model"]),
        "norm": (OURS["norm"], PUBLIC["norm"]),
        "weight_std": (OURS["weight_std"], PUBLIC["weight_std"]),
        "resolution": (OURS["resolution"], PUBLIC["resolution"]),
        "upstream": (OURS["upstream"], PUBLIC["upstream"]),
        "upstream_seeds": (OURS["upstream_seeds"], PUBLIC["upstream_seeds"]),
        "finetune": ("full", "linear_probe"),
        "shots": (1, 5, 10),
    },
    only=(OURS, PUBLIC),
    fixed={"batch_size": 32, "layout": "nhwc", "kernels": "fused", "lr": 0.1},
    budget=Budget(examples=3200),
    tuning=Tuning({"lr": (0.003, 0.01, 0.03, 0.1, 0.3)}, seeds=2),
    seeds=range(820, 825),  # a subset for each upstream seed of ours, of no other study
    primary=(
        Contrast("public weights, probe", treatment=PUBLIC, control=OURS, at={**PROBE, "shots": 5}),
        Contrast("public weights, fine-tuned", treatment=PUBLIC, control=OURS, at={**FULL, "shots": 5}),
        Contrast("fine-tuning public weights", treatment=FULL, control=PROBE, at={**PUBLIC, "shots": 10}),
    ),
    margin=0.01,
    aa={**OURS, **FULL, "shots": 5},
)

if __name__ == "__main__":
    drive(STUDY)
