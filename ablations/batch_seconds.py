"""Is GN+WS spared from small batches when every arm trains for the same time?

Run:     fairtrial run batch-seconds    (part of tox -e ablate-batch)
Takes:   about a quarter of an hour (240 trials of a second, 104 cells of 2 seconds, launches, nothing beside)
Result:  results/batch-seconds/report.html
"""

from dataclasses import replace

from batch import STUDY as BATCH

from fairtrial import Budget, Tuning, drive

STUDY = replace(
    BATCH,
    name="batch-seconds",
    question="Is GN+WS spared from small batches when every arm trains for the same time?",
    factors={"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (2, 16, 64)},
    fixed={"lr": 0.1, "shots": 60, "val_per_class": 20},  # calibration chooses each arm's layout and kernels
    budget=Budget(seconds=2.0),  # device time of training alone; at 1 second a drift of the machine refuses
    tuning=Tuning({"lr": (0.03, 0.1, 0.3, 1.0, 3.0)}, seeds=4, share=0.5, paired_ties=True),
    pilots=f"{BATCH.pilots}; seeds 220 to 224, 1020 to 1027 and 1100 to 1107, whose steps were set once",
    seeds=range(1110, 1118),  # of no study or pilot before
    presets={
        "mini": {"budget": Budget(seconds=30), "fixed": {"lr": 0.1}},
        "bit": {"budget": Budget(seconds=600), "fixed": {"lr": 0.1, "val_per_class": 50}},
    },
)

if __name__ == "__main__":
    drive(STUDY)
