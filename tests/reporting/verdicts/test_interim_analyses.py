"""Studies that stop early: where each contrast is read, what is spared, and what such a verdict costs."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fairtrial.reporting.report import study_report
from fairtrial.reporting.tables.outcome_tables import contrast_table
from fairtrial.reporting.verdicts import study_verdicts
from fairtrial.reporting.verdicts.findings import judge
from fairtrial.reporting.verdicts.interim_analyses import ask_rule, open_study
from fairtrial.reporting.verify import verify
from fairtrial.reporting.wording import p_value
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast
from tests.reporting.conftest import ORIGIN, made_up

AT = {
    batch: Contrast(f"at {batch}", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": batch})
    for batch in (4, 16, 64)
}
SD = 0.01


def score(norm, batch, seed, gain, study=0, replica=0):
    """An own and a shared part; gn has a gain that depends on the batch."""
    shared = np.random.default_rng([7, study, seed]).normal()
    own = np.random.default_rng([7, study, seed, batch, norm == "gn", replica]).normal()
    return float(0.6 + (norm == "gn") * gain.get(batch, 0.0) + 0.02 * shared + SD / np.sqrt(2) * own)


def difference(batch, seed, gain, study=0):
    return score("gn", batch, seed, gain, study) - score("bn", batch, seed, gain, study)


@pytest.fixture
def declared(make_study, tmp_path):
    """A study with a rule, declared and without a cell: (the study, its store)."""

    def declare(number=0, batches=(4, 64), **fields):
        own = {
            "factors": {"norm": ("bn", "gn"), "batch_size": batches},
            "primary": tuple(AT[batch] for batch in batches),
            "aa": {"norm": "gn", "batch_size": batches[-1]},
            "stop": "looks:5,10",
        }
        study = make_study(**own | fields)
        store = Store.of(study, tmp_path / str(number))
        store.folder.mkdir(parents=True)
        store.declare(study)
        return study, store

    return declare


@pytest.fixture
def grown(declared):
    """A study that runs as its rule asks: (the store, the cells of each round)."""

    def grow(gain, **fields):
        study, store = declared(**fields)
        rounds, known = [], set()
        while fresh := ask_rule(store).cells - known:
            rounds.append([cell for cell in study.cells() if cell.id in fresh])
            give(store, rounds[-1], gain)
            known |= fresh
        return store, rounds

    return grow


@pytest.fixture
def whole(declared):
    """A study with all of its cells; the rule decides where it is read. The findings."""

    def fill(gain, number, **fields):
        study, store = declared(number, **fields)
        give(store, study.cells(), gain, number)
        return judge(open_study(store.folder))

    return fill


def give(store, cells, gain, study=0):
    for cell in cells:
        said = score(cell.levels["norm"], cell.levels["batch_size"], cell.seed, gain, study, cell.replica)
        origin = ORIGIN | {"declaration": store.hashes()[-1]}
        store.publish(attempt_record(store.name, cell_message(cell), 1, made_up(cell, said), origin))


def test_seeds_go_to_what_is_undecided(grown):
    store, rounds = grown({4: 0.1})
    results = open_study(store.folder)
    clear, open_ = judge(results)
    assert (clear.verdict, clear.n, clear.analysis) == ("better", 5, "interim analysis 1 of 2")
    assert (open_.n, open_.analysis) == (10, "interim analysis 2 of 2")
    assert open_.verdict in ("inconclusive", "equivalent")
    assert results.complete
    assert results.not_required == 10  # both arms of batch 4 at five seeds
    assert [len(each) for each in rounds] == [25, 15]
    later = Counter((cell.levels["batch_size"], cell.replica) for cell in rounds[1])
    assert later == {(64, 0): 10, (64, 1): 5}
    assert not {"exploratory"} & {*clear.stamps, *open_.stamps}


def test_a_look_has_its_part_of_alpha(grown):
    store, _ = grown({4: 0.1})
    clear, open_ = judge(open_study(store.folder))
    assert clear.interval.level == pytest.approx(0.975)
    # the first of two steps of Holm over both margins
    assert clear.equivalence.level == pytest.approx(1 - 2 * 0.025 / 2)
    d = list(clear.differences.values())
    t = stats.ttest_1samp(d, 0)
    assert (clear.interval.low, clear.interval.high) == pytest.approx(tuple(t.confidence_interval(0.975)))
    assert clear.step.step_level == pytest.approx(1 - 0.025 / 2)
    assert open_.step.step_level == pytest.approx(1 - 0.025)
    said = study_verdicts.sentences(open_study(store.folder))
    assert "(98.75 %), n = 5 paired seeds (interim analysis 1 of 2)" in said[0]
    assert "Holm and interim analyses p" in said[0]


def test_p_counts_the_looks_that_share_alpha(grown):
    """Twice for two looks, after Holm over two contrasts: by hand, in the sentence and in the table."""
    store, _ = grown({4: 0.1, 64: 0.005})
    results = open_study(store.folder)
    clear, open_ = judge(results)
    p = [stats.ttest_1samp(list(each.differences.values()), 0).pvalue for each in (clear, open_)]
    assert clear.decided_by.p == pytest.approx(2 * 2 * p[0])
    assert 0.0001 < p[1] < 0.5 and open_.decided_by.p == pytest.approx(2 * p[1])
    shown = p_value(2 * p[1])
    assert f"Holm and interim analyses {shown}" in study_verdicts.sentences(results)[1]
    (row,) = contrast_table(results, [open_]).frame.to_dict("records")
    assert float(row["Holm p"]) == pytest.approx(2 * p[1], abs=1e-4)


@pytest.mark.parametrize("studies", [6, pytest.param(12, marks=pytest.mark.soak)])
def test_each_contrast_is_read_where_the_rule_by_hand_says(whole, studies):
    """Holm at alpha/2 over three contrasts at each look, with scipy; what is decided keeps its p."""
    gain, places = {4: 0.012, 16: 0.006}, Counter()
    for number in range(studies):
        found = whole(gain, number, batches=(4, 16, 64), margin=1e-4)
        d = {batch: [difference(batch, seed, gain, number) for seed in range(10)] for batch in (4, 16, 64)}
        read = {}
        for n in (5, 10):
            p = {batch: stats.ttest_1samp(d[batch][: read.get(batch, n)], 0).pvalue for batch in d}
            for left, batch in zip((3, 2, 1), sorted(p, key=p.get), strict=True):
                if p[batch] * left > 0.025:
                    break
                read.setdefault(batch, n)
        assert [each.n for each in found] == [read.get(batch, 10) for batch in d], number
        assert [each.verdict != "inconclusive" for each in found] == [batch in read for batch in d]
        places.update((each.n, each.verdict) for each in found)
    assert {(5, "better"), (10, "better"), (10, "inconclusive")} <= set(places)


def test_more_cells_do_not_move_a_decision(grown):
    store, _ = grown({4: 0.1})
    before = [(each.verdict, each.n, each.interval) for each in judge(open_study(store.folder))]
    study = open_study(store.folder).study
    known = {record.cell for record in store.attempts()}
    give(
        store, [cell for cell in study.cells() if cell.id not in known], {4: -0.5}
    )  # against what was decided
    results = open_study(store.folder)
    assert results.not_required == 0
    assert [(each.verdict, each.n, each.interval) for each in judge(results)] == before


def test_a_missing_cell_of_a_look_is_no_look(grown):
    store, rounds = grown({4: 0.1})
    (store.folder / "cells" / f"{rounds[0][0].id}-1.json").unlink()
    results = open_study(store.folder)
    assert not results.complete
    assert [each.verdict for each in judge(results)] == ["refused"] * 2
    assert ask_rule(store).cells == {cell.id for cell in rounds[0]}
    assert all("exploratory" in each.stamps for each in judge(results, partial=True))


def test_a_rule_that_comes_after_the_cells_makes_the_looks_exploratory(declared, make_study):
    study, store = declared(stop=None)
    give(store, study.cells(), {4: 0.1})
    store.declare(replace(study, stop="looks:5,10"))
    found, _ = judge(open_study(store.folder))
    assert found.n == 5
    assert "exploratory" in found.stamps


@pytest.mark.parametrize("effect", [0.02, 0.0])
def test_a_sequence_is_read_after_every_seed(whole, effect):
    """By the e-value of STATISTICS 9, against 0 and against the margin."""
    for number in range(4):
        (found,) = whole({64: effect}, number, batches=(64,), stop="sequence", seeds=range(30), margin=0.02)
        d = [difference(64, seed, {64: effect}, number) for seed in range(30)]
        stop = next((n for n in range(3, 31) if apart(d[:n]) or inside(d[:n], 0.02)), 30)
        assert found.n == stop
        assert found.verdict == word(d[:stop], 0.02)
        assert found.interval.p == pytest.approx(min(1, 1 / e_value(d[:stop], 0)))
        assert found.flip is None


def e_value(d, null, g=4):
    n, v = len(d), len(d) - 1
    t = (np.mean(d) - null) * np.sqrt(n) / np.std(d, ddof=1)
    return (1 + n * g) ** -0.5 * ((1 + t**2 / v) / (1 + t**2 / ((1 + n * g) * v))) ** (n / 2)


def apart(d):
    return e_value(d, 0) > 20


def inside(d, margin):
    return abs(np.mean(d)) < margin and min(e_value(d, margin), e_value(d, -margin)) > 10


def word(d, margin):
    table = {
        (True, True): "different_but_negligible",
        (False, True): "equivalent",
        (False, False): "inconclusive",
    }
    return table.get((apart(d), inside(d, margin)), "better" if np.mean(d) > 0 else "worse")


def test_the_report_of_a_stopped_study_can_be_verified(grown, capsys):
    store, _ = grown({4: 0.1})
    made = study_report.build(store)
    assert made.complete
    assert "40 of 50 cells, 10 not required by the stopping rule" in made.path.read_text()
    kept = json.loads((store.folder / "verdicts.json").read_text())
    assert kept["stopping"] == {
        "rule": "looks",
        "looks": [5, 10],
        "spared": 10,
        "read_at": {"at 4": 5, "at 64": 10},
    }
    path = store.folder / "verdicts.json"
    path.write_text(path.read_text().replace('"spared": 10', '"spared": 11'))
    (problem,) = [problem for each in verify([store.folder]) for problem in each.problems]
    assert problem.where == str(path) and problem.what.startswith("one place is")  # all else is right
    assert '"spared": 11' in problem.what and '"spared": 10' in problem.what


def test_what_a_look_decided_is_said(grown):
    store, _ = grown({4: 0.1})
    first, second = ask_rule(store).said
    assert first == "interim analysis 1 of 2, at 5 seeds: decided at 4 (better); open at 64"
    assert second.startswith("interim analysis 2 of 2, at 10 seeds: decided ")
