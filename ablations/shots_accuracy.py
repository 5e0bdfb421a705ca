"""Does a linear probe still beat fine-tuning when validation accuracy chooses each rate?

What is compared is accuracy, and in `shots-curve` the loss of the same images chose smaller rates.

Run:     fairtrial run shots-accuracy    (CIFAR-10: a download, or --data)
Takes:   24 minutes on two slow cores (180 trials, 72 more beyond edges, then 100 cells)
Result:  results/shots-accuracy/report.html
"""

from dataclasses import replace

from shots_curve import STUDY as CURVE

from fairtrial import Tuning, drive

STUDY = replace(
    CURVE,
    name="shots-accuracy",
    question="Does a linear probe still beat fine-tuning when validation accuracy chooses each rate?",
    factors={**CURVE.factors, "shots": (1, 10, 100)},
    tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=4, score="val_acc"),
    pilots="the record of shots-curve, of other seeds: it chose the question and the range of rates",
    seeds=range(1030, 1040),  # of no study or pilot before
    aa={"finetune": "full", "shots": 10},
)

if __name__ == "__main__":
    drive(STUDY)
