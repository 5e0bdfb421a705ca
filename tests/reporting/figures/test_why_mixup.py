"""What MixUp changes in accuracy, likelihood and calibration: planted differences, panel by panel."""

import pytest

from fairtrial.reporting.figures.gain_panels import draw_why_mixup
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.study.study import Contrast

FACTORS = {"mixup": (0.0, 0.1), "label_noise": (0.0, 0.2, 0.5)}
GAINS = {"test_acc": 0.02, "test_loss": -0.1, "test_ece": -0.03}


def planted(cell):
    """MixUp changes each metric by GAINS, three times as much with half of the labels wrong."""
    on, noise = cell.settings.mixup > 0, cell.settings.label_noise
    jitter = cell.seed / 1000 * (1 if on else -1)
    start = {"test_acc": 0.8, "test_loss": 0.7, "test_ece": 0.1}
    times = on * (3 if noise == 0.5 else 1)
    return {"measured": {name: start[name] + times * GAINS[name] + jitter for name in start}}


@pytest.fixture
def drawn(make_study, publish):
    def make(outcome):
        contrast = Contrast("MixUp", {"mixup": 0.1}, {"mixup": 0.0}, {"label_noise": 0.5})
        study = make_study(factors=FACTORS, aa=None, seeds=range(4), primary=contrast)
        return next(draw_why_mixup(judge_study(publish(study, outcome))), None)

    return make


def test_each_panel_shows_its_own_metric_in_its_own_unit(drawn):
    name, caption, figure = drawn(planted)
    assert name == "why-mixup"
    assert len(figure.axes) == 3
    for ax, (metric, factor) in zip(
        figure.axes, {"test_acc": 100, "test_loss": 1, "test_ece": 100}.items(), strict=True
    ):
        (line,) = [line for line in ax.lines if len(line.get_xdata()) == 3 and line.get_linestyle() != "None"]
        assert line.get_ydata() == pytest.approx(
            [factor * (times * GAINS[metric] + 0.003) for times in (1, 1, 3)], abs=1e-6
        )
    assert "name another class" in caption
    assert "n = 4" in caption


def test_nothing_is_drawn_of_records_without_calibration(drawn):
    def older(cell):
        measured = planted(cell)["measured"]
        del measured["test_ece"]
        return {"measured": measured}

    assert drawn(older) is None
