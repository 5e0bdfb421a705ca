"""Paired gains, drawn: a panel per pair of levels; those that do not fit beside each other are counted."""

import pytest

from fairtrial.reporting.figures.gain_panels import draw_gains
from fairtrial.reporting.verdicts.paired_gains import mixups
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.study.study import Contrast


@pytest.mark.parametrize(
    ("alphas", "titles"),
    [((0.0, 0.1, 0.2), ("0.1", "0.2")), ((0.0, 0.05, 0.1, 0.2, 0.4, 1.0), ("0.05", "1.0"))],
)
def test_the_first_and_the_last_dose_are_drawn_and_the_rest_counted(make_study, publish, alphas, titles):
    study = make_study(
        factors={"mixup": alphas, "shots": (5, 20)}, aa=None, seeds=range(3),
        primary=Contrast("MixUp", {"mixup": 0.1}, {"mixup": 0.0}),
    )  # fmt: skip
    verdicts = judge_study(publish(study, lambda cell: {"measured": {"test_acc": 0.5 + cell.seed / 100}}))
    ((_, caption, figure),) = draw_gains(verdicts, "mixup-gain", "What MixUp gains", mixups)
    drawn = [ax.get_title() for ax in figure.axes]
    assert (drawn[0], drawn[-1]) == tuple(f"mixup {alpha} minus mixup off" for alpha in titles)
    whole = len(drawn) == len(alphas) - 1
    assert ("Drawn:" in caption) is not whole
    assert whole or f"Drawn: {len(drawn)} of {len(alphas) - 1} pairs of levels." in caption
