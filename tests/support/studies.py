"""A small study, as an object and as a file that a test can spoil."""

from pathlib import Path

from fairtrial.study.budget import Budget
from fairtrial.study.study import Contrast, Study

TEXT = """\
from fairtrial import Budget, Contrast, Study

STUDY = Study(
    name="small",
    question="Does GN beat BN when the batch is small?",
    factors={
        "norm": ("bn", "gn"),
        "batch_size": (4, 16),
    },
    fixed={
        "lr": 0.3,
    },
    budget=Budget(examples=64),
    seeds=range(3),
    primary=Contrast(
        "small batch", treatment={"norm": "gn"}, control={"norm": "bn"}, at={"batch_size": 4}
    ),
)
"""


def spoiled(*edits: tuple[str, str]) -> str:
    """The text of the study file with these replacements; each must have something to replace."""
    text = TEXT
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def write(folder: Path, *edits: tuple[str, str]) -> Path:
    """A study file in a folder."""
    path = folder / "small.py"
    path.write_text(spoiled(*edits), encoding="utf-8")
    return path


def study(**changes) -> Study:
    """The same study as an object, with other fields."""
    fields = {
        "name": "small",
        "question": "Does GN beat BN when the batch is small?",
        "factors": {"norm": ("bn", "gn"), "batch_size": (4, 16)},
        "fixed": {"lr": 0.3},
        "budget": Budget(examples=64),
        "seeds": range(3),
        "primary": Contrast("small batch", {"norm": "gn"}, {"norm": "bn"}, at={"batch_size": 4}),
    }
    return Study(**{**fields, **changes})
