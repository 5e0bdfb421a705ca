"""Where the spread of a result comes from: components of an arm and its A/A twin, held to statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from fairtrial.reporting import verify
from fairtrial.reporting.report import study_report
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.variance_table import variance_tables
from fairtrial.reporting.verdicts import variance_sources
from tests.reporting.planted_variances import PLAIN, TRANSFER, draw, planted, recorded, sized


def frame_of(study, score, groups=1):
    """seed, group, number in its group, score of both runs of the arm that ran twice."""
    cells = [c for c in study.cells() if all(c.levels[name] == study.aa[name] for name in study.aa)]
    rows = [(str(c.seed), str(c.seed % groups), str(c.seed // groups), score(c)) for c in cells]
    return pd.DataFrame(rows, columns=["seed", "group", "number", "y"])


def test_subset_and_draws_are_those_of_a_one_way_analysis_of_variance(make_study, publish):
    study = make_study(**PLAIN)
    results = load.load(publish(study, planted))
    found = variance_sources.examine(results)
    lines = anova_lm(ols("y ~ C(seed)", frame_of(study, planted)).fit())
    between, within = lines["mean_sq"]
    (subset,) = found.between
    assert (subset.name, subset.df, found.draws.df) == ("few-shot subset", 9, 10)
    assert found.draws.variance == pytest.approx(within, rel=1e-9)
    assert subset.variance == pytest.approx((between - within) / 2, rel=1e-9)
    assert found.here.variance == pytest.approx((between + within) / 2, rel=1e-9)
    made, rows = sized(results)
    low, high = np.sqrt(10 * within / stats.chi2.ppf([0.975, 0.025], 10))
    drawn = rows.loc["other draws (init and order)"]
    assert (drawn["95 % low"], drawn["95 % high"]) == (f"{100 * low:.2f}", f"{100 * high:.2f}")
    assert (drawn["sd"], drawn["unit"]) == (f"{100 * within**0.5:.2f}", "points")
    assert rows.loc["few-shot subset", "95 % low"] == ""
    assert "two runs of each of 10 seeds that share the few-shot subset" in made.caption
    assert "No rows of test images: some runs have no record of single images" in made.caption
    assert "lipped" not in made.caption and "heapest" not in made.caption
    assert "Commit 0123456. Study hash" in made.caption


def test_shares_of_one_run_add_up(make_study, publish):
    _, rows = sized(load.load(publish(make_study(**PLAIN), planted)))
    shares = [int(share.removesuffix(" %")) for share in rows["share"]]
    assert sum(shares[:2]) == pytest.approx(100, abs=1) and shares[2] == 100


def test_a_checkpoint_stands_above_its_subsets(make_transfer, publish):
    study = make_transfer(**TRANSFER)

    def score(cell):
        return planted(cell, checkpoint=0.06)

    found = variance_sources.examine(results := load.load(publish(study, score)))
    lines = anova_lm(ols("y ~ C(group) + C(group):C(number)", frame_of(study, score, 3)).fit())
    squares = lines["mean_sq"]
    above, inner, within = squares["C(group)"], squares["C(group):C(number)"], squares["Residual"]
    checkpoint, subset = found.between
    assert (checkpoint.name, subset.name) == ("upstream checkpoint", "few-shot subset")
    assert (checkpoint.df, subset.df, found.draws.df) == (2, 12, 15)
    assert checkpoint.variance == pytest.approx((above - inner) / 10, rel=1e-9)
    assert subset.variance == pytest.approx((inner - within) / 2, rel=1e-9)
    assert found.draws.variance == pytest.approx(within, rel=1e-9)
    below = (inner + within) / 2  # of one fine-tuning at its checkpoint
    assert found.inner_count == pytest.approx((below / checkpoint.variance) ** 0.5, rel=1e-9)
    made, _ = sized(results)
    assert f"thus {max(1, round(10 * found.inner_count))} where it costs 100" in made.caption
    assert "n = 3 upstream checkpoints (15 few-shot subsets), the replication unit" in made.caption
    assert "draw order anew" in made.caption  # the head starts at zero: its init stream is void


def test_a_drawn_head_makes_init_a_draw_also_from_a_checkpoint(make_transfer, publish):
    start = {"upstream": "upstream", "upstream_seeds": 3, "head": "drawn"}
    made, _ = sized(load.load(publish(make_transfer(**TRANSFER, start=start), planted)))
    assert "draw init and order anew" in made.caption


def test_the_planted_variances_come_back(make_transfer, publish):
    study = make_transfer(**TRANSFER, start={"upstream": "upstream", "upstream_seeds": 40}, seeds=range(160))

    def score(cell):
        if cell.levels["finetune"] != "full" or cell.levels["shots"] != 5:
            return None  # the other arms have no part in it
        return planted(cell, checkpoint=0.04, subset=0.03, draws=0.02, outer=40)

    found = variance_sources.examine(load.load(publish(study, score)), partial=True)
    sds = [source.variance**0.5 for source in (*found.between, found.draws)]
    # Relative errors of the sds: about 1/sqrt(2 df) at 39, 120 and 160 df, somewhat more for differences of
    # mean squares; the limits are three of them.
    assert sds[0] == pytest.approx(0.04, rel=0.42)
    assert sds[1] == pytest.approx(0.03, rel=0.25)
    assert sds[2] == pytest.approx(0.02, rel=0.17)


def test_a_negative_component_is_zero_and_flagged(make_study, publish):
    def against(cell):  # the twin undoes what the seed gave
        turn = -1 if cell.replica else 1
        return 0.5 + turn * 0.02 * draw(2, cell.seed)

    made, rows = sized(load.load(publish(make_study(**PLAIN), against)))
    assert rows.loc["few-shot subset", ["sd", "share"]].tolist() == ["0.00 (clipped)", "0 %"]
    assert rows.loc["other draws (init and order)", "share"] == "100 %"
    assert "Clipped: the estimate came out negative, and 0 stands for it" in made.caption


def test_draws_that_never_reach_the_network_have_no_spread_and_no_limits(make_study, publish):
    _, rows = sized(load.load(publish(make_study(**PLAIN), lambda c: 0.5 + 0.01 * c.seed)))
    drawn = rows.loc["other draws (init and order)"]
    assert drawn[["sd", "share", "95 % low", "95 % high"]].tolist() == ["0.00", "0 %", "", ""]


def test_without_variance_between_checkpoints_no_inner_count_is_cheapest(make_transfer, publish):
    def alike(cell):  # the means of all checkpoints are equal
        return 0.5 + 0.02 * (cell.seed // 3 - 2) + 0.001 * draw(3, cell.seed, cell.replica)

    found, _ = sized(load.load(publish(make_transfer(**TRANSFER), alike)))
    assert "as many as wanted, by a variance of checkpoints that came out as 0" in found.caption


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        (range(7), "the upstream checkpoints have 2 and 3 few-shot subsets: not the balanced table"),
        (range(3), "one few-shot subset of each upstream checkpoint: the two cannot be told apart"),
    ],
)
def test_what_cannot_be_parted_is_told_together(make_transfer, publish, seeds, says):
    study = make_transfer(**TRANSFER, seeds=seeds)
    made, rows = sized(load.load(publish(study, planted)))
    between, within = anova_lm(ols("y ~ C(seed)", frame_of(study, planted)).fit())["mean_sq"]
    both = rows.loc["upstream checkpoint and few-shot subset"]
    assert both["sd"] == f"{100 * ((between - within) / 2) ** 0.5:.2f}"
    assert f"No row for the upstream checkpoint alone: {says}" in made.caption
    assert "heapest" not in made.caption


def test_failed_runs_stay_in_as_chance(make_study, publish):
    def failing(cell):
        return "diverged" if cell.replica and cell.seed < 2 else planted(cell)

    study = make_study(**PLAIN)
    found = variance_sources.examine(results := load.load(publish(study, failing)))
    frame = frame_of(study, lambda c: 0.1 if failing(c) == "diverged" else planted(c))
    within = anova_lm(ols("y ~ C(seed)", frame).fit())["mean_sq"]["Residual"]
    assert found.n == 10 and found.draws.variance == pytest.approx(within, rel=1e-9)
    made, _ = sized(results)
    assert "failed runs scored as chance" in made.caption and "2 of 30 runs failed" in made.caption


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"aa": None}, planted),
        ({}, lambda cell: planted(cell) if cell.seed < 9 else None),  # incomplete
        ({"seeds": range(2)}, planted),
    ],
)
def test_there_is_no_table_without_pairs_to_rest_on(make_study, publish, changed, outcome):
    assert variance_tables(load.load(publish(make_study(**PLAIN | changed), outcome))) == []


def test_an_incomplete_study_has_one_when_its_pairs_are_asked_for(make_study, publish):
    store = publish(make_study(**PLAIN), lambda cell: planted(cell) if cell.seed < 9 else None)
    made, rows = sized(load.load(store), partial=True)
    assert rows.loc["few-shot subset", "df"] == "8"
    assert "Incomplete: 27 of 30 cells" in made.caption


def test_where_a_seed_keeps_its_split_alone_the_row_says_so(make_study, publish):
    _, rows = sized(load.load(publish(make_study(**PLAIN | {"fixed": {"shots": "all"}}), planted)))
    assert rows.index[0] == "validation split"


def test_verify_reads_the_table_back(make_study, publish):
    store = publish(make_study(**PLAIN), recorded)
    study_report.build(store)
    path = store.folder / "tables" / "variance.csv"
    text = path.read_text()
    number = text.splitlines()[2].split(",")[1]
    path.write_text(text.replace(number, number[:-1] + str((int(number[-1]) + 3) % 10), 1))
    (problem,) = verify.check(store.folder).problems
    assert problem.where == str(path) and "column 'sd'" in problem.what
