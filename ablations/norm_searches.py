"""What does GN+WS give instead of BN at batch 64, over new searches of the learning rate?

Two studies on CIFAR-10 gave each arm one search, and answered differently: an interval over seeds is given
the rates that were chosen. Here each arm is searched eight times, and n counts searches.

Run:     fairtrial run norm-searches    (CIFAR-10: a download, or --data)
Takes:   about an hour on two cores (256 trials, then 48 cells of 20 480 images)
Result:  results/norm-searches/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}

STUDY = Study(
    name="norm-searches",
    question="What does GN+WS give instead of BN at batch 64, over new searches of the learning rate?",
    preset="mini",
    factors={"norm": ("bn", "gn"), "weight_std": (False, True)},
    only=(BN, GN_WS),
    fixed={"batch_size": 64, "lr": 0.3, "layout": "nhwc", "kernels": "fused"},
    budget=Budget(examples=20_480),
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc", paired_ties=True, studies=8),
    pilots="norm and batch at preset mini, one search each: the question, budget, rates and score",
    seeds=range(1360, 1376),  # two for each search, of no study or pilot before
    primary=(Contrast("batch of 64", treatment=GN_WS, control=BN),),
    margin=0.01,
    aa=GN_WS,
)

if __name__ == "__main__":
    drive(STUDY)
