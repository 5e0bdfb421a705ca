"""Seeds for an effect: the table of STATISTICS 8, simulated studies, costs, and what is refused."""

import json

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairtrial.cli.main import main
from fairtrial.errors import DONE, Fault
from fairtrial.execution.runner import Options
from fairtrial.planning import power as sizing
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast
from tests.support.records import done, publish
from tests.support.studies import study, write


def sized(made, folder, spreads, effect=0.02, **how):
    return sizing.size(made, Options(results=folder), spreads, effect=effect, **how)


@pytest.mark.parametrize(("sds", "seeds"), [(0.5, 34), (0.8, 15), (1.0, 10), (1.5, 6), (2, 5), (3, 4)])
def test_seeds_are_those_of_the_published_table(sds, seeds, tmp_path):
    assert sized(study(), tmp_path, [sizing.Spread("small batch", 0.02 / sds)])["seeds"] == seeds


@pytest.mark.parametrize("power", [0.8, 0.9])
@pytest.mark.parametrize("family", [1, 3])
def test_2000_simulated_studies_reach_the_promised_power_within_3_points(power, family, tmp_path):
    sides = ({"norm": "gn"}, {"norm": "bn"})
    contrasts = tuple(Contrast(f"c{i}", *sides) for i in range(family))
    spread = [sizing.Spread("c0", 0.04)]
    found = sized(study(primary=contrasts), tmp_path, spread, power=power)
    draws = np.random.default_rng(5).normal(0.02, 0.04, (2000, found["seeds"]))
    reached = np.mean(scipy_stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05 / family)
    assert abs(reached - power) < 0.03


def test_a_pilot_gives_a_conservative_number_from_the_upper_limit_of_its_sd(tmp_path):
    (row,) = sized(study(), tmp_path, [sizing.Spread("small batch", 0.02, 5)])["contrasts"]
    assert row["sd_upper"] == pytest.approx(0.02 * np.sqrt(4 / scipy_stats.chi2.ppf(0.2, 4)))
    assert row["seeds"] == 10 < row["seeds_conservative"]


def test_the_noisiest_contrast_decides(tmp_path):
    both = [sizing.Spread("a", 0.01), sizing.Spread("b", 0.02)]
    assert sized(study(), tmp_path, both)["seeds"] == 10


def plan(capsys, *more):
    assert main(["plan", "small.py", "--json", *more]) == DONE
    return json.loads(capsys.readouterr().out)["size"]


def refused(capsys, *more):
    assert main(["plan", "small.py", *more]) != DONE
    return capsys.readouterr().err


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Three paired differences of 1, 2 and 3 points in results/small: an sd of one point."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    made = study()
    store = Store.of(made, tmp_path / "results")
    with store.locked():
        store.declare(made)
    for cell in made.cells():
        gain = 0.01 * (cell.seed + 1) if cell.levels["norm"] == "gn" else 0.0
        publish(store, cell, result=done(0.5 + gain))
    return tmp_path


def test_the_spread_comes_from_the_cells_of_the_study_or_of_a_pilot(recorded, capsys):
    own = plan(capsys, "--effect", "2")
    assert own["contrasts"][0]["sd"] == pytest.approx(0.01)
    assert own["contrasts"][0]["pilot"] == 3
    other = plan(capsys, "--effect", "2", "--results", "elsewhere", "--pilot", "results/small")
    assert other["contrasts"] == own["contrasts"]


def test_a_given_sd_is_in_points_and_has_no_conservative_number(recorded, capsys):
    found = plan(capsys, "--effect", "2", "--sd", "2")
    assert (found["seeds"], found["seeds_conservative"]) == (10, None)
    assert found["at_hand"]["detects"] == pytest.approx(0.02 * 3.2640, abs=5e-5)
    assert main(["plan", "small.py", "--effect", "2", "--sd", "2"]) == DONE
    assert "seeds      10 per arm" in capsys.readouterr().out


def test_without_a_spread_the_plan_says_what_to_give(recorded, capsys):
    assert "--sd POINTS, or --pilot" in refused(capsys, "--effect", "2", "--results", "empty")
    assert "say nothing without an effect" in refused(capsys, "--sd", "2")
    assert "'x' is not a number above 0" in refused(capsys, "--effect", "x")
    assert "is not a power" in refused(capsys, "--effect", "2", "--sd", "1", "--power", "1.5")


def test_a_budget_buys_whole_seeds_and_needs_timed_arms(tmp_path, monkeypatch):
    made, spread = study(), [sizing.Spread("small batch", 0.02)]
    options = Options(results=tmp_path, total_budget_s=105.0)
    with pytest.raises(Fault, match="never timed"):
        sizing.size(made, options, spread, effect=0.02)
    monkeypatch.setattr(sizing, "block_seconds", lambda *_: 10.0)
    found = sizing.size(made, options, spread, effect=0.02)
    assert found["with_budget"]["seeds"] == 10
    assert found["with_budget"]["detects"] == pytest.approx(0.02 * 0.9960, abs=5e-5)
    assert found["device_s"] == 100.0


def test_looks_share_alpha_in_a_plan_too(tmp_path):
    spread = [sizing.Spread("small batch", 0.02)]
    plain = sized(study(seeds=range(20)), tmp_path, spread)
    looked = sized(study(seeds=range(20), stop="looks"), tmp_path, spread)
    assert looked["alpha"] == pytest.approx(plain["alpha"] / 3)
    draws = np.random.default_rng(8).normal(0.02, 0.02, (2000, looked["seeds"]))
    reached = np.mean(scipy_stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05 / 3)
    assert 0.77 < reached < 0.87
    assert looked["at_hand"]["detects"] > plain["at_hand"]["detects"]
