"""Which figures a study gets follows from what it sweeps; arms keep their colour in all of them."""

from __future__ import annotations

import sys
from statistics import median

import pytest
from matplotlib.colors import to_hex

from fairtrial.reporting import figures
from fairtrial.reporting.figures.style import QUIET, look_of_norm, looks
from fairtrial.reporting.report.figure_registry import draw_study, report_items, rows
from fairtrial.reporting.report.missing_items import Drawings, cover
from fairtrial.reporting.report.page_model import split_caption
from fairtrial.reporting.report.recorded_studies import RecordedStudy
from fairtrial.reporting.report.study_report import build
from fairtrial.reporting.report_item import STUDY
from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.study.study import Contrast
from tests.reporting.judging import BN, GN_WS

UP = {"upstream": "upstream", "upstream_seeds": 3}
NORMS = {"norm": ("bn", "gn"), "weight_std": (False, True)}


def drawn(make_study, publish, outcome, factors, seeds=6, **fixed):
    study = make_study(factors=factors, fixed=fixed, primary=(), aa=None, seeds=range(seeds))
    return figures_of(load.load(publish(study, outcome)))


def figures_of(results):
    """Name -> caption and figure of every row that the study fits, as the registry goes through them."""
    verdicts = judge_results(results)
    fitting = [row for row in rows("figures") if row.source == STUDY and row.fits(results.study)]
    return {name: (caption, figure) for row in fitting for name, caption, figure in row.make(verdicts)}


@pytest.mark.parametrize(
    "factors, fixed, names",
    [
        ({**NORMS, "batch_size": (2, 16)}, {}, ["test-acc-by-batch-size", "norm-by-weight-std"]),
        ({**NORMS, "stat_batch": (2, 16)}, {}, ["test-acc-by-stat-batch", "norm-by-weight-std"]),
        (NORMS, {"stage": "upstream"}, ["test-acc-by-arm", "norm-by-weight-std"]),
        ({"mixup": (0.0, 0.2), "shots": (5, 50)}, {}, ["test-acc-by-shots", "mixup-gain-by-shots"]),
        (
            {"finetune": ("full", "scratch"), "shots": (1, 5)},
            UP,
            ["test-acc-by-shots", "transfer-gain-by-shots"],
        ),
        (
            {"norm": ("bn", "gn"), "finetune": ("full", "scratch"), "shots": (1, 5)},
            UP,
            ["test-acc-by-shots", "test-acc-few-shot", "transfer-gain-by-shots"],
        ),
        (
            {"model": ("mini", "mini-x2"), "upstream": ("none", "upstream"), "shots": (1, 5)},
            {"upstream_seeds": 3},
            ["test-acc-by-shots", "test-acc-few-shot", "transfer-gain-by-shots"],
        ),
        (
            {"bn_mode": ("updated", "frozen"), "shots": (1, 5)},
            {**UP, "norm": "bn"},
            ["test-acc-by-shots", "bn-mode-gain-by-shots"],
        ),
        ({"norm": ("bn", "gn"), "weight_std": (True, "scaled")}, {}, ["test-acc-by-arm"]),
        ({"norm": ("bn", "gn"), "weight_std": (True,)}, {}, ["test-acc-by-arm"]),
    ],
)
def test_each_study_gets_the_figures_of_what_it_sweeps(make_study, publish, noise, factors, fixed, names):
    made = drawn(make_study, publish, lambda cell: 0.5 + 0.01 * noise(cell, "acc"), factors, 3, **fixed)
    assert list(made) == names
    assert all("replication unit" in caption for caption, _ in made.values())


def test_the_gap_between_norms_stands_beside_the_batch_sizes(make_study, publish, noise):
    made = drawn(
        make_study, publish, lambda c: 0.8 + 0.01 * noise(c, "acc"), {**NORMS, "batch_size": (2, 16)}
    )
    caption, figure = made["test-acc-by-batch-size"]
    assert [ax.get_title() for ax in figure.axes] == ["", "gn+ws minus bn"]
    assert "right: gn+ws minus bn, paired, a dot per seed" in caption


def test_an_arm_that_does_not_see_the_axis_is_compared_from_its_one_level(make_study, publish, noise):
    study = make_study(
        factors={**NORMS, "stat_batch": (4, 16, 64)},
        only=({"norm": "bn"}, {"stat_batch": 64}),
        primary=(),
        aa=None,
        seeds=range(4),
    )
    drawn = figures_of(load.load(publish(study, lambda c: 0.8 + 0.01 * noise(c, "acc"))))
    caption, figure = drawn["test-acc-by-stat-batch"]
    accuracy, gap = figure.axes
    assert "level lines: arms that run at one level alone" in caption
    level = [line.get_ydata()[0] for line in accuracy.lines if list(line.get_xdata()) == [0, 1]]
    assert len(level) == 2  # gn and gn+ws
    assert sum(line.get_marker() == "D" for line in gap.lines) == 3  # gn+ws at 64 minus bn at each level
    caption, figure = drawn["norm-by-weight-std"]
    assert [ax.get_title() for ax in figure.axes] == ["statistics batch 64"]
    assert "1 of 3 levels of stat_batch" in caption


def test_norms_that_are_not_crossed_have_no_square(make_study, publish, noise):
    study = make_study(
        factors={**NORMS, "batch_size": (4, 64)}, only=(GN_WS, BN), primary=(), aa=None, seeds=range(3)
    )
    drawn = figures_of(load.load(publish(study, lambda c: 0.8 + 0.01 * noise(c, "acc"))))
    assert list(drawn) == ["test-acc-by-batch-size"]
    assert [text.get_text() for text in drawn["test-acc-by-batch-size"][1].axes[0].texts] == ["bn", "gn+ws"]


def test_an_arm_keeps_its_colour_in_every_figure(make_study, publish, noise):
    factors = {**NORMS, "finetune": ("full", "scratch"), "shots": (1, 5)}
    made = drawn(make_study, publish, lambda c: 0.5 + 0.01 * noise(c, "acc"), factors, **UP)
    mine = looks([GN_WS])[0]
    for _, figure in made.values():
        solid = [
            to_hex(line.get_color())
            for ax in figure.axes
            for line in ax.lines
            if line.get_marker() == mine.marker
        ]
        assert mine.color in solid and len(set(solid)) <= 2  # its own, and paler from scratch


CURVE = {"finetune": ("full", "scratch"), "shots": (1, 5, 10)}


@pytest.mark.parametrize("factors", [CURVE, {**NORMS, **CURVE}])
def test_published_curves_stand_beside_ours_and_say_what_they_are(make_study, publish, noise, factors):
    """On CIFAR-10 from a checkpoint; the numbers are those that the authors print."""
    made = drawn(
        make_study, publish, lambda c: 0.4 + 0.01 * noise(c, "acc"), factors, **UP, data="parquet:cifar10"
    )
    caption, figure = made["test-acc-by-shots"]
    for ax in figure.axes:
        grey = [line for line in ax.lines if line.get_color() == QUIET and line.get_marker() != "None"]
        printed = {round(float(y), 1) for line in grey for y in line.get_ydata()}
        assert {55.5, 82.7, 97.0} <= printed, "R50x1 at 1 and 5: means of 54.4 54.1 57.9 and 83.3 82.4 82.3"
        assert len(grey) == 4 and ax.get_ylim()[1] > 97
        assert {"BiT-M, published", "BiT-L, published"} <= {text.get_text() for text in ax.texts}
    told, notes = split_caption(caption)
    assert "published medians of BiT, larger networks on other upstream images: not comparable" in told
    assert "README of google-research/big_transfer" in notes


@pytest.mark.parametrize(
    "factors, fixed",
    [
        (CURVE, UP),  # digits
        ({"norm": ("bn", "gn"), "shots": (1, 5, 10)}, {"data": "parquet:cifar10"}),  # from scratch
        ({**CURVE, "shots": (5, 25)}, {**UP, "data": "parquet:cifar10"}),  # one mark is no curve
        ({"finetune": ("full", "scratch"), "batch_size": (4, 64)}, {**UP, "data": "parquet:cifar10"}),
    ],
)
def test_published_curves_stand_beside_nothing_else(make_study, publish, noise, factors, fixed):
    made = drawn(make_study, publish, lambda c: 0.4 + 0.01 * noise(c, "acc"), factors, 3, **fixed)
    for caption, figure in made.values():
        assert "published" not in caption + "".join(
            text.get_text() for ax in figure.axes for text in ax.texts
        )


def test_many_lines_get_a_panel_per_way_of_tuning(make_study, publish, noise):
    factors = {**NORMS, "finetune": ("full", "linear_probe", "scratch"), "shots": (*range(1, 11), 25)}
    made = drawn(make_study, publish, lambda c: 0.5 + 0.01 * noise(c, "acc"), factors, 3, **UP)
    _, figure = made["test-acc-by-shots"]
    assert [ax.get_title() for ax in figure.axes] == ["fine-tuned", "linear probe", "from scratch"]
    assert figure.axes[0].get_subplotspec().get_gridspec().nrows == 3  # eleven levels take the whole width
    assert [text.get_text() for text in figure.axes[1].texts] == ["bn", "bn+ws", "gn", "gn+ws"]
    caption, figure = made["norm-by-weight-std"]
    assert [ax.get_title() for ax in figure.axes] == ["1-shot", "4-shot", "8-shot", "25-shot"]
    assert "4 of 11 levels of shots" in caption and "Averaged within a seed over finetune" in caption


def test_the_layout_of_figure_6_shows_medians_of_runs(make_study, publish, noise):
    def outcome(cell):
        return 0.5 + 0.1 * abs(noise(cell, "acc"))  # skewed: the mean is elsewhere

    factors = {"norm": ("bn", "gn"), "finetune": ("full", "scratch"), "shots": (1, 5, 25)}
    made = drawn(make_study, publish, outcome, factors, 7, **UP)
    caption, figure = made["test-acc-few-shot"]
    assert [ax.get_title() for ax in figure.axes] == ["1 image per class", "5 images per class"]
    study = make_study(factors=factors, fixed=UP, primary=(), aa=None, seeds=range(7))
    runs = [outcome(c) for c in study.cells() if c.levels == {"norm": "gn", "finetune": "full", "shots": 5}]
    lines = [list(line.get_ydata()) for line in figure.axes[1].lines if len(line.get_xdata()) == 2]
    assert any(line[1] == pytest.approx(100 * median(runs)) for line in lines)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["bn", "gn"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["fine-tuned", "from scratch"]
    assert "medians over runs, without intervals" in caption and "not a BiT" not in caption


def test_an_incomplete_study_shows_its_dots_and_claims_nothing(make_study, publish, noise):
    factors = {"finetune": ("full", "scratch"), "shots": (1, 5)}

    def half(cell):
        return 0.5 + 0.01 * noise(cell, "acc") if cell.seed < 3 else None

    made = drawn(make_study, publish, half, factors, 6, **UP)
    for caption, figure in made.values():
        assert "no intervals" in caption and "upstream checkpoints so far" in caption
        assert not any(ax.collections for ax in figure.axes)
        assert any(len(line.get_ydata()) == 3 for ax in figure.axes for line in ax.lines)


def test_a_hostile_name_of_a_file_stays_text(make_study, publish, noise):
    name = "npz:/tmp/<script>alert(1)<&$x$.npz"
    study = make_study(
        factors={"upstream": ("none", name), "shots": (1, 5)},
        primary=Contrast("c", {"upstream": name}, {"upstream": "none"}, {"shots": 5}),
        aa=None,
        seeds=range(3),
    )
    made = build(publish(study, lambda cell: 0.5 + 0.01 * noise(cell, "acc")))
    text = made.path.read_text()
    assert "<script" not in text and "&lt;script&gt;alert(1)" in text
    assert "<script" not in made.path.with_suffix(".md").read_text().replace("\\<", "")
    assert "conditional on this checkpoint" in made.sentences[0]


def test_arms_that_differ_in_more_than_norm_and_ws_are_no_square(make_study, publish):
    """bn at one width and gn at two: averages over these arms would compare widths."""
    factors = {**NORMS, "model": ("mini", "mini-x2")}
    every = [{"model": "mini"}, {"norm": "gn", "model": "mini-x2"}]
    for only, there in (((), True), (every, False)):
        study = make_study(
            factors=factors, primary=(), aa=None, seeds=range(3), only=only, name=f"t-{there}".lower()
        )
        results = load.load(publish(study, lambda cell: 0.5))
        assert ("norm-by-weight-std" in figures_of(results)) is there


def test_arms_with_long_names_are_rows_in_the_colour_of_their_norm(make_study, publish):
    """Twelve names below an axis would take the whole picture; here a failed run is a cross too."""
    factors = {
        "norm": ("bn", "gn"),
        "block": ("post-activation", "pre-activation"),
        "head": ("drawn", "zero"),
        "stride_on": ("1x1", "3x3"),
    }
    found = drawn(make_study, publish, lambda cell: "diverged" if cell.seed == 1 else 0.5, factors)
    _, figure = found["test-acc-by-arm"]
    (ax,) = figure.axes
    labels = [tick.get_text().replace("\n", " ") for tick in ax.get_yticklabels()]
    assert len(labels) == 16 and all("activation" in label for label in labels)
    marks = [line for line in ax.lines if line.get_zorder() == 3.5]
    assert [line.get_color() for line in marks] == [
        look_of_norm("bn+ws" if label.startswith("bn") else "gn+ws").color for label in labels
    ]
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert len(crosses) == 16 and all(list(line.get_xdata()) == [10.0] for line in crosses)


TOY = """
from matplotlib.figure import Figure
from fairtrial.reporting.report_item import SMOKE, STUDY, Cells, RegistryRow, ReportItem

def draw(verdicts):
    yield "toy", f"{len(verdicts.results.seeds)} seeds, drawn.", Figure(figsize=(2, 2))

CELLS = Cells({"mixup": ()})
ITEM = ReportItem("F1.9", "A toy", ("Q1",), SMOKE, "nothing", "fairtrial run toy", ("toy",), CELLS)
ROWS = (RegistryRow(STUDY, draw, (ITEM,), (("norm",),)),)
"""


def test_a_new_figure_is_one_file(make_study, publish, tmp_path, monkeypatch):
    """From its row follow the report of a study, the report over all of them, and what is missing there."""
    (tmp_path / "toy_figure.py").write_text(TOY)
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path)])
    rows.cache_clear()
    report_items.cache_clear()
    try:
        verdicts = judge_results(load.load(publish(make_study(seeds=range(3)), lambda cell: 0.5)))
        assert draw_study(verdicts, ())[-1].name == "toy"
        item, row = report_items()["F1.9"]
        assert list(report_items())[4:6] == ["T1.5", "F1.9"] and row.fits(verdicts.results.study)
        assert not item.cells.fits(verdicts.results.study)
        studies = [RecordedStudy("a", "a", tmp_path, verdicts, ())]
        drawings = {name: Drawings(name) for name in (*report_items(), "a")}
        (missing,) = (each for each in cover(report_items(), studies, drawings, []) if each.item is item)
        assert not missing.drawn and missing.needs == "fairtrial run toy"
    finally:
        sys.modules.pop("fairtrial.reporting.figures.toy_figure", None)
        rows.cache_clear()
        report_items.cache_clear()
