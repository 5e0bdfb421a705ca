"""Sentences say how the learning rates were chosen; a choice at an edge is a stamp."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairtrial.reporting.figures.arm_curves import arm_curves
from fairtrial.reporting.figures.forest import contrast_forests
from fairtrial.reporting.figures.sensitivity import sensitivity
from fairtrial.reporting.report.page_model import split_caption
from fairtrial.reporting.tables.outcome_tables import arm_table
from fairtrial.reporting.verdicts.captions import study_facts
from fairtrial.reporting.verdicts.chosen_settings import extra_labels, how_chosen, in_doubt
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.reporting.verdicts.study_verdicts import judge_study, sentences
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast
from fairtrial.study.tuning_plan import FIRST_SEED, Range, Tuning, at_edge
from fairtrial.tuning.selection import advance
from tests.reporting.conftest import BN, GN_WS, made_up
from tests.support.records import outcome, publish

RATES = (0.1, 0.3, 1.0)
EQUAL = Contrast("small batch", GN_WS, BN, {"batch_size": 2}, margin=0.01)


@pytest.fixture
def tuned(make_study, tmp_path, noise):
    """The store of a study that ran through: its trials like `best` of each norm, its arms score alike."""

    def make(best, tuning=None, spread=0.0, accuracy=None, primary=(EQUAL,), **kw):
        train_loss = kw.get("train_loss", lambda cell: 0.1)
        study = make_study(
            factors={"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (2,)},
            only=(BN, GN_WS),
            fixed={"val_per_class": 2, "shots": kw.get("shots", "all")},
            primary=primary,
            aa=None,
            seeds=range(12),
            tuning=tuning or Tuning({"lr": RATES}),
        )
        store = Store.of(study, tmp_path)
        store.folder.mkdir(parents=True)
        store.declare(study)
        (name,) = study.tuning.names
        known = {}
        while pending := advance(study, known).pending:
            for cell in pending:
                value = getattr(cell.settings, name)
                loss = abs(value - best[cell.settings.norm]) + spread * noise(cell, "loss")
                ended = outcome(cell, loss, store, accuracy(cell) if accuracy else 0.5)
                measured = replace(ended.measured, train_loss=train_loss(cell))
                known[cell.id] = replace(ended, measured=measured)
                store.publish(known[cell.id])
        for cell in study.tuned(advance(study, known).chosen).cells():
            measured = {"test_acc": 0.9 + 0.003 * noise(cell, "acc"), "train_loss": train_loss(cell)}
            publish(store, cell, result=made_up(cell, {"measured": measured}))
        return store

    return make


def test_a_tuned_study_says_so_in_each_sentence(tuned):
    tuned_store = tuned({"bn": 0.3, "gn": 0.3})
    (text,) = sentences(open_study(tuned_store.folder))
    assert text.startswith("each at its tuned rate, gn+ws and bn are equivalent at batch 2 within 1 point: ")
    assert "points [" in text and "n = 12 paired seeds, equal examples" in text
    assert "edge" not in text
    ((_, caption, figure),) = contrast_forests(judge_study(tuned_store))
    assert not any("choice" in words.get_text() for words in figure.axes[0].texts) and "choice" not in caption


def test_a_choice_at_the_edge_of_the_widened_range_is_a_stamp(tuned):
    verdicts = judge_study(tuned({"bn": 0.3, "gn": 100.0}))
    assert max(verdicts.results.tuning.grid) > max(RATES)
    assert verdicts.findings[0].stamps == ("lr of gn+ws, batch 2 chosen at the edge of its range",)
    assert verdicts.sentences[0].endswith("(lr of gn+ws, batch 2 chosen at the edge of its range).")


def test_a_choice_that_half_of_the_resamples_do_not_make_is_a_stamp(tuned):
    verdicts = judge_study(tuned({"bn": 0.3, "gn": 0.3}, Tuning({"lr": RATES}, seeds=4), spread=0.5))
    unsure = {arm for (_, arm), choice in verdicts.results.tuning.choices.items() if choice.stability <= 0.5}
    assert len(unsure) == 1, "this spread leaves both in doubt, or none"
    who = "gn+ws" if ("norm", "gn") in unsure.pop() else "bn"
    stamp = f"lr of {who}, batch 2 in doubt: half or more of resampled tuning seeds choose another"
    assert stamp in verdicts.findings[0].stamps
    assert stamp in verdicts.sentences[0]


def more_accurate(gain, at=1.0, noisy=False):
    """Validation accuracies of which one rate of gn has more than the one that loss chooses."""

    def accuracy(cell):
        if cell.settings.norm == "bn" or cell.settings.lr != at:
            return 0.5
        return 0.5 + gain * (cell.seed % 2 * 2 if noisy else 1)

    return accuracy


def test_the_figure_that_shows_a_verdict_has_its_open_choice_too(tuned):
    verdicts = judge_study(tuned({"bn": 0.3, "gn": 100.0}))
    ((_, caption, figure),) = contrast_forests(verdicts)
    said = "Open choice: an arm may have a better setting, as the sentence says."
    assert said in split_caption(caption)[0]
    assert any(text.get_text().endswith("n = 12, open choice") for text in figure.axes[0].texts)


@pytest.mark.parametrize("searches", [1, 3])
def test_a_rate_that_loss_chose_and_accuracy_would_not_is_a_stamp(tuned, searches):
    tuning = Tuning({"lr": RATES}, studies=searches)
    verdicts = judge_study(tuned({"bn": 0.3, "gn": 0.3}, tuning, accuracy=more_accurate(0.078)))
    stamp = "lr of gn+ws, batch 2 chosen at 0.3, but validation accuracy is 7.8 points higher at 1, "
    stamp += "the last rate tried"
    assert stamp in verdicts.findings[0].stamps and stamp in verdicts.sentences[0]


@pytest.mark.parametrize(
    "accuracy",
    [
        more_accurate(0.01),  # the margin itself
        more_accurate(0.01, noisy=True),
        more_accurate(0.078, at=0.3),  # loss chose it too
    ],
)
def test_where_accuracy_agrees_or_cannot_tell_nothing_is_said(tuned, accuracy):
    store = tuned({"bn": 0.3, "gn": 0.3}, Tuning({"lr": RATES}), accuracy=accuracy)
    assert "chosen at" not in judge_study(store).sentences[0]


def test_a_tie_that_costs_more_than_the_margin_is_a_stamp_of_its_own(tuned):
    """Within two standard errors the seeds cannot tell; a point of accuracy may be lost all the same."""
    store = tuned({"bn": 0.3, "gn": 0.3}, Tuning({"lr": RATES}), accuracy=more_accurate(0.078, noisy=True))
    verdicts = judge_study(store)
    where = "at 1, the last rate tried, a tie: within two standard errors"
    higher = f"validation accuracy is 7.8 points higher {where}"
    stamp = f"lr of gn+ws, batch 2 chosen at 0.3, but {higher}"
    assert stamp in verdicts.findings[0].stamps and stamp in verdicts.sentences[0]
    assert verdicts.findings[0].open_choices == (stamp,)
    assert stamps_of_arms(verdicts) == {"bn, batch 2": "", "gn+ws, batch 2": higher}


def stamps_of_arms(verdicts):
    """The last column of the table of arms, by arm."""
    frame = arm_table(verdicts.results, partial=False).frame
    return dict(zip(frame["arm"], frame["stamps"], strict=True))


def test_an_arm_of_no_contrast_is_marked_like_the_others(tuned):
    """Its rate at the edge is told in the table of arms and below the figures that show the arm."""
    verdicts = judge_study(tuned({"bn": 0.3, "gn": 100.0}, primary=()))
    assert not verdicts.findings
    stamp = "chosen at the edge of its range"
    assert stamps_of_arms(verdicts) == {"bn, batch 2": "", "gn+ws, batch 2": f"lr {stamp}"}
    told = {name: caption for draw in (arm_curves, sensitivity) for name, caption, _ in draw(verdicts)}
    assert len(told) == 2
    assert all(f" C{stamp[1:]}: lr of gn+ws, batch 2." in caption for caption in told.values())


UNTRAINED = 1.3  # half of ln(10) is 1.15
ELSEWHERE = "converged at another lr tried, not at the chosen one"


@pytest.mark.parametrize(
    ("trained_at", "stamps", "arms"),
    [
        (
            {"gn": 1.0},
            ("control not converged at this budget", f"treatment {ELSEWHERE}"),
            ["NO", "NO (yes at 1)"],
        ),
        ({"bn": 0.1, "gn": 1.0}, (f"both {ELSEWHERE}",), ["NO (yes at 0.1)", "NO (yes at 1)"]),
        ({"bn": 0.3, "gn": 0.3}, ("neither converged at this budget",), ["NO", "NO"]),  # chosen: no other one
    ],
)
def test_an_arm_that_converges_at_another_rate_does_not_lack_budget(tuned, trained_at, stamps, arms):
    def losses(cell):
        of_trial = cell.settings.stage == "tuning"
        return 0.1 if of_trial and cell.settings.lr == trained_at.get(cell.settings.norm) else UNTRAINED

    verdicts = judge_study(tuned({"bn": 0.3, "gn": 0.3}, train_loss=losses))
    assert verdicts.findings[0].stamps == stamps
    assert verdicts.sentences[0].endswith(f"({'; '.join(stamps)}).")
    assert arm_table(verdicts.results, partial=False).frame["converged"].tolist() == arms


@pytest.mark.parametrize(("stability", "said"), [(0.5, True), (0.51, False)])
def test_half_of_the_resamples_is_a_doubt(tuned, stability, said):
    results = judge_study(tuned({"bn": 0.3, "gn": 0.3})).results
    stage = results.tuning
    choices = {key: replace(choice, stability=stability) for key, choice in stage.choices.items()}
    so = replace(results, tuning=replace(stage, choices=choices))
    assert bool(list(in_doubt(so, EQUAL))) == said


def test_of_several_searches_the_one_that_lost_most_is_told(tuned):
    def accuracy(cell):
        gain = 0.03 + 0.05 * (cell.seed - FIRST_SEED in (2, 3))  # of the second search
        return 0.5 + gain * (cell.settings.norm == "gn" and cell.settings.lr == 0.1)

    verdicts = judge_study(tuned({"bn": 0.3, "gn": 0.3}, Tuning({"lr": RATES}, studies=3), accuracy=accuracy))
    told = [stamp for stamp in verdicts.findings[0].stamps if "chosen at" in stamp]
    where = "at 0.1, the first rate tried"
    assert told == [
        f"lr of gn+ws, batch 2 chosen at 0.3, but validation accuracy is 8.0 points higher {where}"
    ]


@pytest.mark.parametrize(("at", "end"), [(0.3, ""), (0.1, ""), (0.03, "the first"), (3.0, "the last")])
def test_a_better_score_at_an_end_of_the_grid_is_said_to_be_one(tuned, at, end):
    """The grid is widened for choices alone: beyond a score that was not chosen nothing was tried."""
    rates = (0.03, 0.1, 0.2, 0.3, 3.0)
    store = tuned({"bn": 0.2, "gn": 0.2}, Tuning({"lr": rates}), accuracy=more_accurate(0.078, at=at))
    (stamp,) = judge_study(store).findings[0].open_choices
    ending = f", {end} rate tried" if end else ""
    assert stamp.endswith(f"7.8 points higher at {at:g}{ending}")


def test_of_another_setting_an_end_is_a_value(tuned):
    def accuracy(cell):
        return 0.5 + 0.078 * (cell.settings.norm == "gn" and cell.settings.weight_decay == 0.04)

    store = tuned({"bn": 0.02, "gn": 0.02}, Tuning({"weight_decay": (0.01, 0.02, 0.04)}), accuracy=accuracy)
    (stamp,) = judge_study(store).findings[0].open_choices
    assert stamp.endswith("7.8 points higher at 0.04, the last value tried")


def test_settings_other_than_the_rate_are_named(tuned):
    store = tuned({"bn": 0.02, "gn": 0.02}, Tuning({"weight_decay": (0.01, 0.02, 0.04)}))
    assert sentences(open_study(store.folder))[0].startswith(
        "each at its tuned weight decay, at one learning-rate rule, gn+ws and bn "
    )


def test_a_tuned_study_run_at_a_fixed_rate_says_one_rule(make_study):
    study = make_study(tuning=Tuning({"lr": RATES}), fixed={"val_per_class": 2})
    assert how_chosen(study, study.primary[0]) == "each at its tuned rate"
    assert how_chosen(study.at_one_rule(0.3), study.primary[0]) == "at one learning-rate rule"


@pytest.mark.parametrize(
    ("factors", "contrast", "words"),
    [
        ({"norm": ("bn", "gn")}, Contrast("a", {"norm": "gn"}, {"norm": "bn"}), "at one learning-rate rule"),
        ({"kernels": ("torch", "plain")}, Contrast("a", {"kernels": "plain"}, {"kernels": "torch"}), ""),
        ({"lr": (0.1, 0.3)}, Contrast("a", {"lr": 0.3}, {"lr": 0.1}), ""),
    ],
)
def test_a_study_without_tuning_says_one_rule_where_its_arms_train_differently(
    make_study, factors, contrast, words
):
    study = make_study(factors=factors, primary=contrast, aa=None)
    assert how_chosen(study, contrast) == words


@pytest.mark.parametrize(
    ("value", "tried", "edge"),
    [
        (0.1, RATES, True), (1.0, RATES, True), (0.3, RATES, False),
        (0.0011, Range(0.001, 1.0), True), (0.9, Range(0.001, 1.0), True), (0.03, Range(0.001, 1.0), False),
        (0.1, Range(0.0, 1.0, log=False), False), (0.97, Range(0.0, 1.0, log=False), True),
    ],
)  # fmt: skip
def test_what_counts_as_an_edge(value, tried, edge):
    assert at_edge(value, tried) == edge


LABELS = "rates were chosen on 20 labelled validation images at each of 6 tuning seeds, which the shots do"


@pytest.mark.parametrize(("shots", "said"), [(1, True), (2, False), ("all", False)])
def test_validation_images_beyond_the_shots_are_named_as_extra_labels(tuned, shots, said):
    """Two images of each of ten classes; every tuning seed draws its own (STATISTICS 10)."""
    verdicts = judge_study(tuned({"bn": 0.3, "gn": 0.3}, Tuning({"lr": RATES}, studies=3), shots=shots))
    assert extra_labels(verdicts.results) == said * f"{LABELS} not count"
    ((_, caption, _),) = contrast_forests(verdicts)
    assert (f" R{LABELS[1:]} not count. " in caption) == said
    assert (f"by validation loss, 3 independent searches; {LABELS} not count" in run_words(verdicts)) == said


def run_words(verdicts):
    """The line on tuning under 'What was run'."""
    return dict(study_facts(verdicts.results, {}))["tuning"]


def test_a_rate_by_one_rule_was_chosen_on_no_label(make_study, publish):
    study = make_study(fixed={"val_per_class": 2, "shots": 1}, aa=None)
    verdicts = judge_study(publish(study, lambda cell: 0.5))
    assert extra_labels(verdicts.results) == ""
    assert run_words(verdicts) == "0 trial runs recorded: one rule for all arms"
