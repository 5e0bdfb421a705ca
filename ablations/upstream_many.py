"""Does a network of twice the width learn more from 100 000 images?

With upstream-few, the checkpoints that the study `sizes` starts from.

Run:     fairtrial run upstream-many --data parquet:DIR    (Tiny ImageNet at 32x32, or any data of your own)
Takes:   about 20 minutes on two cores (16 trials, then 10 networks of 204 800 images)
Result:  results/upstream-many/report.html, and the networks in results/upstream-many/weights
"""

from dataclasses import replace

from upstream_few import STUDY as FEW

from fairtrial import drive

STUDY = replace(
    FEW,
    name="upstream-many",
    question="Does a network of twice the width learn more from 100 000 images?",
    fixed={**FEW.fixed, "shots": "all"},
)

if __name__ == "__main__":
    drive(STUDY)
