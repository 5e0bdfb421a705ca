"""Tuned arms: n counts tunings, parity tells the truth, unequal trials get no verdict; the tuning report."""

from __future__ import annotations

import numpy as np
import pytest

from fairtrial.reporting.figures import tuning_curve
from fairtrial.reporting.report import tuning_report
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.budget_parity import parity
from fairtrial.reporting.tables.fairness import fairness
from fairtrial.reporting.tables.variance_table import variance_tables
from fairtrial.reporting.verdicts import findings
from fairtrial.rng import ROOT
from fairtrial.stats import expected_best
from fairtrial.study.tuning_design import FIRST_SEED, WORST, Choice, Effort, Tuning
from fairtrial.tuning.trials import Trial

ARMS = [
    {"norm": norm, "weight_std": ws, "batch_size": b}
    for norm in ("bn", "gn")
    for ws in (False, True)
    for b in (4, 64)
]


def chosen(studies=3, trials=lambda arm: 12):
    """A tuning that gave every arm lr 0.1, 0.2, 0.3 in its studies."""
    choices = tuple(Choice(t, arm, {"lr": (t + 1) / 10}) for t in range(studies) for arm in ARMS)
    efforts = tuple(Effort(arm, trials(arm), 1, 30.0 if arm["norm"] == "bn" else 20.0) for arm in ARMS)
    return Tuning(4, studies, "random", ("lr=0.01:1:log",), choices, efforts)


def outcome(cell):
    """gn+ws is better by 0.1 + 0.01 x tuning study, the same for every seed of a tuning study."""
    better = cell.levels["norm"] == "gn" and cell.levels["weight_std"]
    return 0.5 + (0.1 + 0.01 * (cell.seed % 3) if better else 0.0)


def row(frame, name):
    return frame[frame.iloc[:, 0] == name].iloc[0]


def test_n_counts_tunings_and_seeds_of_one_choice_are_averaged(make_study, publish):
    (finding,) = findings.judge(load.load(publish(make_study(tuning=chosen(), seeds=range(9)), outcome)))
    assert (finding.n, finding.unit.name, finding.interval.n) == (3, "tuning", 3)
    # by hand: 0.10, 0.11, 0.12; mean 0.11, sd 0.01, t(2) = 4.3027
    half = 4.302653 * 0.01 / np.sqrt(3)
    assert (finding.interval.low, finding.interval.high) == pytest.approx(
        (0.11 - half, 0.11 + half), abs=1e-6
    )
    assert finding.verdict == "better"


def test_unequal_trials_are_refused_a_verdict_and_marked(make_study, publish):
    unfair = chosen(trials=lambda arm: 12 if arm["norm"] == "bn" else 15)
    results = load.load(publish(make_study(tuning=unfair, seeds=range(9)), outcome))
    (finding,) = findings.judge(results)
    assert finding.verdict == "refused"
    assert "12" in finding.reason and "15" in finding.reason
    made = parity(results)
    assert "tuning trials" in made.marked and "no verdict" in made.caption
    assert row(fairness(results).frame, "equal tuning")["holds"] == "NO"


def test_two_tuning_studies_are_too_few_for_a_claim(make_study, publish):
    (finding,) = findings.judge(load.load(publish(make_study(tuning=chosen(2), seeds=range(8)), outcome)))
    assert (finding.verdict, finding.reason) == ("refused", "tuned arms need 3 tuning studies; there are 2")


def test_parity_tells_what_tuning_gave_each_arm(make_study, publish):
    results = load.load(publish(make_study(tuning=chosen(), seeds=range(9)), outcome))
    made = parity(results)
    assert "Tuning: 4 trials per arm in each of 3 tuning studies, random sampler" in made.caption
    found = row(made.frame, "bn, batch 4")
    assert (found["tuning trials"], found["failed trials"], found["tuning s"]) == ("12", "1", "30.0")
    last = row(made.frame, "largest gap")
    assert (last["tuning trials"], last["tuning s"]) == ("0 %", "50 %")
    rate = row(fairness(results).frame, "learning rate").iloc[2]
    assert "lr 0.1 to 0.3 by tuning" in rate and "not tuned" not in rate


def test_an_untuned_study_says_that_no_arm_was_tuned(make_study, publish):
    made = parity(load.load(publish(make_study(), lambda cell: 0.9)))
    assert "Tuning trials: 0 for every arm." in made.caption
    assert "tuning trials" not in made.frame


# the curve and the report of the trials


def trials_of(values, norm="gn"):
    """values: one row per tuning study."""
    return [
        Trial(t, i, {"norm": norm}, {"lr": 0.1}, "done" if v else "error", v or WORST, 10, 0, 1.0)
        for t, each in enumerate(values)
        for i, v in enumerate(each)
    ]


def test_random_trials_give_the_mean_over_studies_of_the_expected_best():
    design = Tuning(4, 2, "random", ("lr=0.01:1:log",))
    first, second = [0.1, 0.4, 0.2, 0.3], [0.5, None, 0.7, 0.6]
    (best,) = tuning_curve.curves({"gn": trials_of([first, second])}, design)
    # by hand: best of 1 is the mean, best of 4 the largest; best of 2 over the six pairs
    assert best.mean[0] == pytest.approx((0.25 + 0.45) / 2)
    pairs = np.mean([0.4, 0.2, 0.3, 0.4, 0.4, 0.3]), np.mean([0.5, 0.7, 0.6, 0.7, 0.6, 0.7])
    assert best.mean[1] == pytest.approx(np.mean(pairs))
    assert best.mean[3] == pytest.approx((0.4 + 0.7) / 2)
    assert np.isfinite(best.low).tolist() == [True, True, False, False]
    assert (best.low[:2] <= best.mean[:2]).all() and (best.mean[:2] <= best.high[:2]).all()


def test_one_study_has_the_band_of_expected_best():
    design, values = Tuning(8, 1, "random", ("lr=0.01:1:log",)), np.random.default_rng(1).uniform(0.2, 0.9, 8)
    (best,) = tuning_curve.curves({"gn": trials_of([values])}, design)
    alone = expected_best([values], rng=ROOT)
    assert best.mean == pytest.approx(alone.estimate)
    assert best.low[:4] == pytest.approx(alone.low[:4])
    assert best.high[:4] == pytest.approx(alone.high[:4])


def test_tpe_gives_the_running_best_without_a_band():
    design = Tuning(4, 2, "tpe", ("lr=0.01:1:log",))
    (best,) = tuning_curve.curves({"gn": trials_of([[0.1, 0.4, 0.2, 0.3], [0.5, 0.3, 0.7, 0.6]])}, design)
    assert best.mean.tolist() == pytest.approx([0.3, 0.45, 0.55, 0.55])
    assert not np.isfinite(best.low).any()


def test_an_arm_without_all_its_trials_has_no_curve():
    design = Tuning(3, 1, "random", ("lr=0.01:1:log",))
    assert tuning_curve.curves({"gn": trials_of([[0.1, 0.2]])}, design) == []


@pytest.fixture
def recorded(make_study, publish):
    """Trials of bn and gn, recorded: gn is better at a high rate, one trial of bn failed."""

    def record(trials=2, studies=3, drop=None):
        space = ("lr=0.01:1:log",)
        choices = tuple(
            Choice(t, {"norm": norm, "trial": i}, {"lr": 0.1 * (i + 1)})
            for t in range(studies)
            for norm in ("bn", "gn")
            for i in range(trials)
        )
        study = make_study(factors={"norm": ("bn", "gn")}, primary=(), aa=None)
        made = make_study(
            name="made-up-tuning",
            factors={"norm": ("bn", "gn"), "trial": range(trials)},
            fixed={"stage": "tuning"},
            seeds=range(FIRST_SEED, FIRST_SEED + studies),
            primary=(),
            aa=None,
            tuning=Tuning(trials, studies, "random", space, choices),
        )

        def said(cell):
            if cell.levels == drop:
                return None
            if cell.levels == {"norm": "bn", "trial": 1} and cell.seed == FIRST_SEED:
                return "diverged"
            value = 0.5 + 0.1 * (cell.levels["norm"] == "gn") * cell.levels["trial"]
            return {"measured": {"val_acc": value, "test_reads": 0, "val_n": 120}}

        return study, publish(made, said)

    return record


def test_the_report_shows_trials_winners_and_sealed_test_images(recorded):
    study, store = recorded()
    told = tuning_report.build(study, store)
    assert told.data["trials"] == {"bn": 6, "gn": 6} and told.data["complete"]
    assert "6 trials for every arm" in told.lines[0] and "test images opened 0 times" in told.lines[0]
    bn, gn = told.lines[1:3]
    assert bn.startswith("bn: 6 trials, 1 failed") and bn.endswith("at lr 0.1, 0.1, 0.1")
    assert gn.startswith("gn: 6 trials, 0 failed") and gn.endswith("at lr 0.2, 0.2, 0.2")
    page = (store.folder / "report.md").read_text()
    assert "best-of-k" in page and (store.folder / "figures" / "best-of-k.svg").exists()
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    tuning_report.build(study, store)
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before


def test_an_arm_with_fewer_trials_is_told(recorded):
    told = tuning_report.build(*recorded(drop={"norm": "gn", "trial": 1}))
    assert "unequal trials" in told.lines[0]
    assert any(line == "incomplete: gn below 6 trials" for line in told.lines)
    assert not told.data["complete"]


def test_the_table_of_variance_has_a_row_for_tunings(make_study, publish):
    def score(cell):  # the tuning study moves a result by 0.02, its seeds and their runs by less
        return 0.5 + 0.02 * (cell.seed % 3) + 0.002 * (cell.seed // 3) + 0.0005 * cell.replica

    (made,) = variance_tables(load.load(publish(make_study(tuning=chosen(), seeds=range(9)), score)))
    rows = made.frame.set_index("source")
    # by hand: means of tunings 0.02 apart, of seeds 0.002 apart, each pair 0.0005 apart
    draws = 0.0005**2 / 2
    seeds = 0.002**2 - draws / 2
    tunings = 0.02**2 - 0.002**2 / 3
    assert rows.index[0] == "tuning"
    expected = [f"{100 * variance**0.5:.2f}" for variance in (tunings, seeds, draws)]
    assert rows["sd"].iloc[:3].tolist() == expected
    assert "Cheapest" not in made.caption
