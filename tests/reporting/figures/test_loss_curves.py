"""Loss along the schedule: planted curves, on the images trained on and on the others."""

import numpy as np
import pytest

from fairtrial.reporting.figures.crossover_figure import draw_learning_curves
from fairtrial.reporting.report.figure_registry import rows
from fairtrial.reporting.verdicts.study_verdicts import judge_study

FOUR = {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (4,)}
QUARTERS = (0.25, 0.5, 0.75, 1.0)


def falling(cell):
    """GN ends lower on the images it trains on, BN on the others."""
    steps, gn = 3072 // cell.settings.batch_size, cell.settings.norm == "gn"
    shift = cell.seed / 100
    trained = [[round(part * steps), 2.0 - part * (1.5 if gn else 1.0) + shift] for part in QUARTERS]
    looked = [
        [round(part * steps), 0.5 + part / 4, 2.0 - part * (1.0 if gn else 1.2) + shift] for part in QUARTERS
    ]
    return {"measured": {"train_curve": trained, "val_curve": looked}}


@pytest.fixture
def drawn(make_study, publish):
    """(name, caption, figure) of a made-up study, or None."""

    def make(outcome, **fields):
        store = publish(make_study(**{"factors": FOUR, "aa": None, "seeds": range(4), **fields}), outcome)
        return next(draw_learning_curves(judge_study(store)), None)

    return make


def test_both_losses_of_each_arm_stand_at_their_share_of_the_schedule(drawn):
    name, caption, figure = drawn(falling)
    assert name == "learning-curves"
    trained, looked = figure.axes
    ends = {}
    for ax, end in ((trained, {"bn": 1.0, "gn": 0.5}), (looked, {"bn": 0.8, "gn": 1.0})):
        thick = [line for line in ax.lines if len(line.get_xdata()) == 4 and line.get_linestyle() != "None"]
        assert len(thick) == 4
        for line in thick:
            assert np.allclose(line.get_xdata(), [25, 50, 75, 100], atol=2)
            ends[ax.get_title(), round(float(line.get_ydata()[-1]) - 0.015, 6)] = True
        for value in end.values():
            assert (ax.get_title(), value) in ends
    assert "95 % t intervals" in caption
    assert "n = 4" in caption


def test_nothing_is_drawn_where_a_run_recorded_no_training_curve(drawn):
    def older(cell):
        said = falling(cell)
        return (
            said if cell.settings.norm == "gn" else {"measured": {"val_curve": said["measured"]["val_curve"]}}
        )

    assert drawn(older) is None


def test_runs_of_other_lengths_share_the_quarters_of_their_schedule(drawn):
    """As under a budget in seconds."""

    def timed(cell):
        said, steps = falling(cell)["measured"], 767 - 3 * cell.seed
        for curve in said.values():
            for point, part in zip(curve, QUARTERS, strict=True):
                point[0] = round(part * steps)
        return {"measured": said, "spent": {"steps": steps, "examples": 4 * steps}}

    _, _, figure = drawn(timed)
    thick = [
        line for line in figure.axes[0].lines if line.get_linestyle() != "None" and len(line.get_xdata()) == 4
    ]
    assert len(thick) == 4


def test_a_panel_holds_six_arms(drawn):
    assert drawn(falling, factors=FOUR | {"batch_size": (4, 64)}) is None


def test_the_report_knows_it():
    items = {item.id: item for row in rows("figures") for item in row.items}
    assert items["F3.10"].fill.startswith("fairtrial run")
