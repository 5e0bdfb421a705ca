"""Exhibits without a study: closed forms, cited rows, and pictures of what is recorded."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from fairtrial.errors import INCOMPLETE, Fault
from fairtrial.measurements import measurement_record
from fairtrial.reporting.claims import published
from fairtrial.reporting.figures import analytic_figures, measured_figures, medians, subsets_figure
from fairtrial.reporting.report.figure_registry import draw_item, report_items
from fairtrial.reporting.report_item import RESULTS as WITHOUT_CELLS
from fairtrial.reporting.tables import network_tables, published_results

RESULTS = Path(__file__).parents[3] / "results"
ITEMS = [name for name, (_, row) in report_items().items() if row and row.source == WITHOUT_CELLS]


def table_of(name):
    (_, (table,)) = draw_item(name, RESULTS)
    return table.frame


def made_up_noise():
    """A record of `probe statistics` as independent pixels would give it."""
    sizes = [1, 2, 4, 8]
    layer = {"pixels": 4, "mean": [0.5 / size**0.5 for size in sizes], "log_variance": [0.7] * 4}
    net = {"layers": dict.fromkeys(measured_figures.LAYERS, layer), "gap": [1.0, 0.7, 0.5, 0.3]}
    return {"data": "digits", "sizes": sizes, "batches": 200, "side": 16, "nets": [net] * 3}


@pytest.mark.every_format
@pytest.mark.parametrize("name", ITEMS)
def test_every_item_is_made_of_what_is_released(name, tmp_path):
    results = RESULTS
    if name == "F3.5":  # its probe takes minutes: drawn from a made-up record
        results, origin = tmp_path, {"commit": None, "torch": "2.15"}
        measurement_record.write(
            tmp_path / "probes" / "statistics.json", "statistics", made_up_noise(), origin
        )
    figures, tables = draw_item(name, results)
    (made,) = (*figures, *tables)
    assert made.name == name.lower().replace(".", "-")
    assert made.caption.endswith(".") and "  " not in made.caption
    assert all(len(table.frame) > 3 for table in tables)
    assert all(b"mathdefault" not in figure.formats["svg"] for figure in figures)
    assert all(len(figure.formats["png"]) > 5000 for figure in figures)


@pytest.mark.parametrize("name", ["F2.3", "F3.5", "F3.6", "F3.7", "FE.3", "T2.2", "T5.2"])
def test_what_is_missing_names_its_command(name, tmp_path):
    with pytest.raises(Fault) as found:
        draw_item(name, tmp_path)
    assert found.value.code == INCOMPLETE
    assert found.value.problems[0].do.startswith("fairtrial ")


@pytest.mark.parametrize("alpha", analytic_figures.ALPHAS)
def test_the_mean_of_the_smaller_share_is_the_published_simulation(alpha):
    (row,) = published.rows(metric="mean_min_lambda", mixup_alpha=alpha)
    assert analytic_figures.mean_share(alpha) == pytest.approx(row["value"], abs=0.0015)  # of 200 000 draws
    above = analytic_figures.share_above(alpha, 0.1)
    assert above == pytest.approx(row["share_with_min_lambda_above_0_1"], abs=0.005)


def test_the_mean_of_the_smaller_share_by_hand_and_by_drawing():
    assert analytic_figures.mean_share(1.0) == pytest.approx(1 / 4)  # uniform
    assert analytic_figures.mean_share(0.5) == pytest.approx(1 / 2 - 1 / math.pi)  # arcsine law
    lam = np.random.default_rng(0).beta(0.4, 0.4, 400_000)
    assert analytic_figures.mean_share(0.4) == pytest.approx(np.minimum(lam, 1 - lam).mean(), abs=0.0015)


def test_samples_are_mixed_as_mixup_says():
    first, second = np.full((2, 2), 1.0), np.zeros((2, 2))
    lam, images = analytic_figures.mixed(first, second, 1.0)
    np.testing.assert_allclose(lam, analytic_figures.quantiles())  # uniform
    np.testing.assert_allclose(images[:, 0, 0], lam)


def test_focal_loss_by_hand():
    assert analytic_figures.focal_loss(0.5, 0) == pytest.approx(math.log(2))
    assert analytic_figures.focal_loss(0.9, 2) == pytest.approx(0.01 * -math.log(0.9))
    assert analytic_figures.focal_loss(1.0, 5) == 0
    caption = draw_item("F5.3", RESULTS)[0][0].caption
    assert "gamma 2 and alpha 0.25" in caption and "100 times less" in caption


def test_half_widths_and_subsets_by_the_table_of_t():
    assert subsets_figure.half_width(1.0, 5) == pytest.approx(2.776 / math.sqrt(5), abs=1e-3)
    sd = {
        shots: published.value("subset_sd_points_estimate", downstream="cifar10", shots=shots)
        for shots in (1, 5)
    }
    assert subsets_figure.subsets_needed(sd[1], 2.0) == 42
    assert subsets_figure.subsets_needed(sd[5], 2.0) == 8


def test_the_interval_of_a_deviation_is_the_chi_square_one():
    spread = subsets_figure.spread_of(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert spread.sd == pytest.approx(math.sqrt(2.5))
    assert spread.low == pytest.approx(math.sqrt(4 * 2.5 / 11.143), abs=1e-3)  # chi-square 0.975, 4 df
    assert spread.high == pytest.approx(math.sqrt(4 * 2.5 / 0.4844), abs=1e-3)


def test_the_cited_ap_is_the_row_of_the_paper():
    frame = table_of("T5.2")
    whole = frame[(frame["backbone"] == "R101x3") & (frame["part"] == network_tables.WHOLE)].iloc[0]
    found = dict(re.findall(r"BiT-([SML]) ([\d.]+)", whole["published box AP (cited)"]))
    rows = published.rows("1912.11370v3", "Table 3", "box_AP")
    assert {letter: float(value) for letter, value in found.items()} == {
        row["setting"]["model"].split("-")[1][0]: row["value"]
        for row in rows
        if "BiT" in row["setting"]["model"]
    }
    assert set(frame[frame["backbone"] == "R50x1"]["published box AP (cited)"]) == {""}


def test_the_whole_detector_is_the_sum_of_its_parts():
    frame = table_of("T5.2")
    for _, lines in frame.groupby("backbone"):
        counts = lines["M parameters"].astype(float).to_numpy()
        assert counts[:-1].sum() == pytest.approx(counts[-1], abs=0.03)


def test_every_row_that_a_line_points_to_holds_its_values():
    frame = table_of("T5.1")
    every = {row["row"]: row for row in published.rows()}
    for line in frame.to_dict("records"):
        numbers = [
            number
            for part in line["rows"].split(", ")
            for number in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
        ]
        values = {f"{every[number]['value']:g}" for number in numbers}
        assert values & set(re.findall(r"[\d.]+", line["values"]))
        assert {published_results.model_of(every[number]["setting"]) for number in numbers} == {line["model"]}


def test_spans_are_short():
    assert published_results.span([3, 5, 4, 9]) == "3-5, 9"


def test_the_model_table_stands_beside_what_is_published():
    frame = table_of("T2.2").set_index("model")
    assert list(frame.index) == ["mini", "R50x1", "R50x3", "R101x1", "R101x3", "R152x2", "R152x4"]
    for name in frame.index[1:]:
        ours, theirs = float(frame.loc[name, "M parameters, 1000"]), float(frame.loc[name, "published"])
        assert ours == pytest.approx(theirs, abs=0.011)
    assert network_tables.best([], "mini") is None


def test_the_published_curve_is_the_authors_own():
    assert medians.published_points("BiT-M-R50x1", 5) and medians.published_points("BiT-M-R101x3", 1)[-1] == (
        56.7, 56.4, 73.1,  # PyTorch: README of big_transfer
    )  # fmt: skip
    ((_, caption, figure),) = medians.published_curves(RESULTS)
    named = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert named == [*medians.MODELS, "BiT-L R152x4"] and "Nothing here was measured" in caption


def test_a_block_shows_as_many_full_cells_as_its_faces_hold():
    from matplotlib.figure import Figure

    mask = np.zeros((2, 3, 4), dtype=bool)
    mask[0] = True  # one image: 4 cells in front, 3 on top, none at the side
    ax = Figure().subplots()
    measured_figures.block(mask, "#123456", ax)
    full = [
        patch for patch in ax.patches if patch.get_facecolor()[:3] != (0xF4 / 255, 0xF4 / 255, 0xF1 / 255)
    ]
    assert len(ax.patches) == 2 * 4 + 2 * 3 + 3 * 4 and len(full) == 4 + 3


def test_an_arm_that_explodes_leaves_the_frame_and_is_named():
    def arm(norm, weight_std, values):
        run = [{"variance": value, "square_mean": value, "branch_variance": value} for value in values]
        return {"norm": norm, "weight_std": weight_std, "runs": [run]}

    arms = [arm("bn", False, [0.5, 20.0]), arm("none", True, [1e5, 1e40])]
    assert measured_figures.leaving(arms) == "none+ws leaves the frame: its variance ends at 1e40. "
    assert measured_figures.frame([measured_figures.by_unit(each, "variance") for each in arms]) == (-1, 2)


def test_the_slope_of_a_root_is_minus_one_half():
    sizes = [1, 4, 16]
    net = {"layers": {"head.norm": {"mean": [1.0, 0.5, 0.25]}}}
    assert measured_figures.slope({"sizes": sizes, "nets": [net, net]}, "head.norm") == pytest.approx(-0.5)
