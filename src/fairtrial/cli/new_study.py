"""A commented study file to begin with: it runs as it is, in about a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairtrial.errors import fault
from fairtrial.storage.atomic import publish
from fairtrial.study.loader import known_studies
from fairtrial.study.validation import NAME

TEMPLATE: Final = '''"""Does GN with standardized weights beat BN when a batch holds 4 images?

Look:    fairtrial plan {file}
Run:     fairtrial run {file}    (stop it at any moment; the same command goes on)
Takes:   about a minute on two cores
Result:  results/{name}/report.html
"""

from fairtrial import Budget, Contrast, Study, Tuning, drive

# An arm is a choice of levels. What a contrast compares is named here once.
GN_WS = {{"norm": "gn", "weight_std": True}}
BN = {{"norm": "bn", "weight_std": False}}

STUDY = Study(
    name="{name}",  # the folder in results/
    question="Does GN with standardized weights beat BN when a batch holds 4 images?",
    # What varies: every combination of these levels is an arm. A name that is no factor is
    # answered with the list of them, a level that one does not have with the list of its levels.
    factors={{
        "norm": ("bn", "gn"),
        "weight_std": (False, True),
    }},
    # Of these combinations, only those that a contrast asks for. Leave it out to run all of them.
    only=(BN, GN_WS),
    # What all arms share. Data: "digits" needs no download; "folder:DIR" reads your own images,
    # "parquet:DIR" and "cifar10" larger sets.
    fixed={{
        "data": "digits",
        "shots": 20,  # training images per class
        "val_per_class": 20,  # those that choose each arm's rate
        "batch_size": 4,
        "lr": 0.1,
        "layout": "nhwc",  # the fastest on most processors, with
        "kernels": "fused",
    }},
    # What one run may spend: Budget(examples=...), (steps=...), (flops=...) or (seconds=...).
    budget=Budget(examples=1024),
    # Each arm first gets the best of these rates, on seeds of their own; four of them decide ties better.
    # Leave it out for one rate for all.
    tuning=Tuning({{"lr": (0.1, 0.3, 1.0)}}, seeds=2),
    # Every arm runs once at each seed, on the same images in the same order: differences are paired.
    seeds=range(6),
    # What will be claimed, declared before the first run. `by=` asks for an interaction.
    primary=Contrast("GN+WS against BN", treatment=GN_WS, control=BN),
    # The smallest difference in test accuracy that would change your choice: 1 point.
    margin=0.01,
    # One arm a second time, at other draws: the two must not differ.
    aa=GN_WS,
)

if __name__ == "__main__":
    drive(STUDY)
'''


def write_study(name: str) -> Path:
    """Write NAME.py into the current folder; a Fault where it exists, or the name cannot be a study's."""
    do = "give another name, for example: fairtrial init my-study"
    if name in known_studies():
        raise fault(f"{name!r} is a study that ships", "NAME", do)
    if not NAME.fullmatch(name):
        what = f"{name!r} is no name of a study: lower-case letters, digits and '-', at most 40"
        raise fault(what, "NAME", do)
    path = Path(f"{name.replace('-', '_')}.py")
    try:
        publish(path, TEMPLATE.format(name=name, file=path))
    except FileExistsError:
        raise fault(f"{path} exists already; nothing was written", str(path), do) from None
    return path
