"""Studies on digits give way to those on real images, and every line that is quoted says its data."""

from __future__ import annotations

import pytest

from fairtrial.reporting.figures import subsets_figure
from fairtrial.reporting.report import full_report
from fairtrial.reporting.results.arms import data_of
from fairtrial.study.data_spec import are_real
from fairtrial.study.study import Contrast

CIFAR = {"data": "parquet:cifar10"}
NORMS = {"norm": ("bn", "gn")}


def gains(noise, at, tiny=0.02):
    """What GN, or MixUp, gains at each level of the other factor; nothing where none is named."""

    def outcome(cell):
        treated = cell.levels.get("norm") == "gn" or cell.levels.get("mixup")
        level = cell.levels.get("batch_size", cell.levels.get("shots"))
        return 0.7 + at.get(level, 0.0) * bool(treated) + tiny * noise(cell, "acc") / 100

    return outcome


@pytest.fixture
def results(make_study, publish, noise, tmp_path):
    """Of norms and of MixUp a study on digits, with more levels and a larger gain, and one on CIFAR-10."""
    gn, bn = {"norm": "gn"}, {"norm": "bn"}
    mixed = {"mixup": 0.1}, {"mixup": 0.0}

    def norms(*batches):
        return tuple(Contrast(f"at {b}", gn, bn, {"batch_size": b}) for b in batches)

    def mixes(*shots):
        return tuple(Contrast(f"at {n}", *mixed, {"shots": n}) for n in shots)

    def study(name, factors, primary, outcome, **fixed):
        options = {"aa": None, "seeds": range(7), "fixed": fixed}
        publish(make_study(name=name, factors=factors, primary=primary, **options), outcome)

    study("a", {**NORMS, "batch_size": (2, 4, 32)}, norms(4, 32), gains(noise, {4: 0.2, 32: 0.2}))
    study(
        "b", {**NORMS, "batch_size": (4, 64)}, norms(4, 64), gains(noise, {4: 0.1, 64: -0.05}, 0.5), **CIFAR
    )
    shots = {"mixup": (0.0, 0.1)}
    study("c", {**shots, "shots": (5, 20, 100)}, mixes(100), gains(noise, {100: 0.1}))
    study("d", {**shots, "shots": (5, 100)}, mixes(5), gains(noise, {}, 2.0), **CIFAR)
    both = Contrast("both", {**gn, "mixup": 0.1}, {**bn, "mixup": 0.0})  # alone on neither page
    study("e", {**NORMS, **shots}, both, gains(noise, {None: 0.1}), **CIFAR)
    return tmp_path


@pytest.fixture
def report(kept, request):
    """The folder of the report over them, drawn once."""
    if not kept:
        kept["report"] = request.getfixturevalue("results") / "report"
        full_report.build(kept["report"].parent, kept["report"], jobs=1)
    return kept["report"]


def bullets(page):
    return [line[2:] for line in page.splitlines()[:12] if line.startswith("- ")]


def test_a_page_opens_with_real_images_and_every_sentence_says_its_data(report):
    """Batch 64 of digits led the page of norms, unsaid; on CIFAR-10 the sign was the other one."""
    first, *_ = bullets((report / "normalization.md").read_text())
    assert (
        first.startswith("On CIFAR-10, GN gets ") and "than BN at batch " in first and "study b, 7" in first
    )


def test_real_images_lead_even_where_they_decide_nothing(report):
    first, second, *_ = bullets((report / "mixup.md").read_text())
    assert first.startswith("On CIFAR-10, these runs cannot tell whether mixup 0.1 or mixup off is better")
    assert second.startswith("On digits, mixup 0.1 gets 10.") and "study c, 7" in second


def test_a_page_says_where_other_data_decide_the_opposite(report):
    """At the nearest level that both have decided; a batch of 4 is decided alike."""
    told = [line for line in bullets((report / "normalization.md").read_text()) if "Other data" in line]
    assert told == [
        "Other data, another verdict: GN against BN at batch 64 is worse on CIFAR-10 (b) "
        "and better on digits (a, GN against BN at batch 32)."
    ]
    page = (report / "normalization.md").read_text()
    assert "the verdict on GN against BN depends on the setting or on the data." in page
    assert "Other data" not in (report / "mixup.md").read_text()


def rows(page, *words):
    return [line for line in page.splitlines() if line.startswith("| ") and all(w in line for w in words)]


def test_the_tables_of_primary_contrasts_stand_real_images_first_and_say_their_data(report):
    page = (report / "normalization.md").read_text()
    evidence = [row.split(" | ")[2:4] for row in rows(page, " against bn")]
    assert evidence == [["b", "CIFAR-10"]] * 2 + [["e", "CIFAR-10"]] + [["a", "digits"]] * 2
    quoted = [row.split(" | ")[1] for row in rows(page, "primary")]
    real = ["b (preset embedded, CIFAR-10)"] * 2 + ["e (preset embedded, CIFAR-10)"]
    assert quoted == [*real, *["a (preset embedded, digits)"] * 2]
    assert page.index("\n- On CIFAR-10, GN gets") < page.index("\n- On digits, GN gets")


def test_a_figure_is_drawn_from_real_images_where_both_have_it(report):
    page = (report / "mixup.md").read_text()
    assert page[page.index("![") :].partition("]")[0] == "![d-mixup-gain-by-shots"


def test_macros_stand_under_a_line_with_their_data(report):
    tex = (report / "macros.tex").read_text()
    assert "\n% a (preset embedded, digits), study hash " in tex
    assert "\n% b (preset embedded, CIFAR-10), study hash " in tex


def test_data_of_a_contrast_are_those_of_its_arms(make_study):
    arms = {"data": ("digits", "parquet:cifar10", "parquet:pets"), **NORMS}
    study = make_study(factors=arms, primary=(), aa=None)
    gn = Contrast("all", {"norm": "gn"}, {"norm": "bn"})
    at = Contrast("at", {"norm": "gn"}, {"norm": "bn"}, {"data": "digits"})
    apart = Contrast("apart", {"data": "parquet:pets"}, {"data": "digits"})
    assert data_of(study) == data_of(study, gn) == arms["data"]
    assert data_of(study, at) == ("digits",) and data_of(study, apart) == ("digits", "parquet:pets")
    assert are_real(data_of(study, apart)) and not are_real(data_of(study, at))


UP = {"upstream": "upstream", "upstream_seeds": 5, "norm": "gn", "weight_std": True}
FEW = {"finetune": ("full", "scratch")}


@pytest.fixture
def few(make_study, publish, noise, tmp_path):
    """Publish a few-shot study of six seeds, of which so many are done."""

    def make(name, shots, done, **fixed):
        factors = {**FEW, "shots": shots}
        study = make_study(
            name=name, factors=factors, primary=(), aa=None, seeds=range(6), fixed={**UP, **fixed}
        )
        publish(study, lambda cell: 0.5 + 0.01 * noise(cell, "acc") if cell.seed < done else None)

    return make


def drawn_from(results):
    ((_, caption, _),) = subsets_figure.subsets_needed_figure(results)
    return caption.partition("our study ")[2].partition(", preset")[0]


def test_the_power_of_few_shots_is_drawn_from_real_images_then_from_the_longer_curve(few, tmp_path):
    """It was drawn from digits, with half as many checkpoints, on the page about CIFAR-10."""
    few("shots", (1, 2, 5, 10), 6)
    assert drawn_from(tmp_path) == "shots, GN+WS fine-tuned, digits"
    few("brief", (1, 5), 6, **CIFAR)
    assert drawn_from(tmp_path) == "brief, GN+WS fine-tuned, CIFAR-10"
    few("curve", (1, 5, 10), 6, **CIFAR)
    assert drawn_from(tmp_path) == "curve, GN+WS fine-tuned, CIFAR-10"


def test_a_study_that_has_just_begun_or_has_two_such_arms_is_no_source_of_it(
    few, make_study, publish, tmp_path
):
    few("shots", (1, 5), 6)
    few("begun", (1, 5), 1, **CIFAR)
    two = {"mixup": (0.0, 0.1), "shots": (1, 5)}
    publish(make_study(name="two", factors=two, primary=(), aa=None, fixed={**UP, **CIFAR}), lambda cell: 0.5)
    assert drawn_from(tmp_path) == "shots, GN+WS fine-tuned, digits"


def test_ones_own_few_shot_study_stands_for_the_one_that_ships(few, tmp_path):
    few("shots", (1, 5), 6)
    (tmp_path / "released").mkdir()
    (tmp_path / "shots").rename(tmp_path / "released" / "shots")
    assert "n = 6 seeds" in next(iter(subsets_figure.subsets_needed_figure(tmp_path)))[1]
    few("shots", (1, 5), 4)
    assert "n = 4 seeds" in next(iter(subsets_figure.subsets_needed_figure(tmp_path)))[1]
