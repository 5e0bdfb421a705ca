"""A claim that hangs on a rate that was not chosen is undecided, and says so."""

from __future__ import annotations

import pytest

from fairtrial.reporting.claims.ledger import sentences
from fairtrial.reporting.claims.read_claims import Recorded, entries
from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts.chosen_settings import open_moves
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast
from tests.reporting.conftest import BN, GN_WS, made_up
from tests.support.records import publish as publish_one

LARGE = Contrast("large batch", treatment=GN_WS, control=BN, at={"batch_size": 64})
CHOSEN = {("bn", 0.1): 0.1, ("gn", 0.1): 0.1}  # losses: the others have more


@pytest.fixture
def study_of(tuned, tmp_path, noise):
    """Results of gn+ws and bn at batch 64, `gap` apart, both at rate 0.1.

    better: norm -> how much higher its validation accuracy is at rate 1 than at the chosen one.
    """

    def make(gap, better, primary=(LARGE,)):
        results = tuned(
            factors={"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (64,)},
            only=(BN, GN_WS),
            primary=primary,
            accuracy=lambda settings: 0.5 + _above(better, settings) * (settings.lr == 1.0),
            losses=CHOSEN,
        )
        store = Store(next(tmp_path.glob("*/*/study.json")).parent)
        for cell in results.study.cells():
            acc = 0.8 + gap * (cell.settings.norm == "gn") + 0.004 * noise(cell, "acc")
            publish_one(store, cell, result=made_up(cell, acc))
        return load.load(store)

    return make


def _above(better, settings):
    """One point more than asked: the trials of `tuned` have that at the chosen rate."""
    return better[settings.norm] + 0.01 if settings.norm in better else 0.0


def part_of(results):
    """The part 'GN+WS minus BN': supported where the interval lies above -1 point."""
    entry = next(each for each in entries(Recorded([results])) if each.claim.id == "ws-repairs-gn")
    (part,) = (part for part in entry.parts if part.part.name == "GN+WS minus BN")
    return part, "\n".join(sentences([entry]))


@pytest.mark.parametrize(
    ("gap", "better", "answer"),
    [
        (0.02, {}, "supported"),
        (0.02, {"gn": 0.05}, "supported"),  # in favour of what is claimed
        (0.02, {"bn": 0.02}, "supported"),  # 0 is still above -1 point
        (0.02, {"bn": 0.03}, "undecided"),
        (0.02, {"bn": 0.06}, "undecided"),
        (-0.05, {"bn": 0.06}, "contradicted"),
        (-0.05, {"gn": 0.06}, "undecided"),
    ],
)
def test_an_answer_that_a_better_rate_could_turn_is_undecided(study_of, gap, better, answer):
    part, text = part_of(study_of(gap, better))
    assert part.answer == answer
    (evidence,) = part.evidence
    if better and answer == "undecided":
        decided = "supported" if gap > 0 else "contradicted"
        ((side, gain),) = better.items()
        sign = {"gn": "+", "bn": "-"}[side]
        assert evidence.reason.startswith(f"{decided} at the chosen settings, ")
        assert f" if moved by {sign}{100 * gain:.1f} points, what validation saw" in evidence.reason
        assert evidence.reason in text and not evidence.price
    else:
        assert not evidence.reason


def test_a_contrast_that_was_not_declared_has_its_stamps_too(study_of):
    part, _ = part_of(study_of(0.02, {"bn": 0.06}, primary=()))
    (evidence,) = part.evidence
    assert evidence.stamps[0] == "exploratory" and part.answer == "undecided"
    assert any("6.0 points higher at 1, the last rate tried" in stamp for stamp in evidence.stamps)


def test_a_contrast_moves_by_what_its_sides_passed_over(study_of):
    results = study_of(0.0, {"gn": 0.04, "bn": 0.02})
    assert open_moves(results, LARGE, 0.01) == pytest.approx((-0.02, 0.04))
    assert open_moves(results, LARGE, 0.03) == pytest.approx((0.0, 0.04))  # up to the margin nothing is told
    turned = Contrast("turned", treatment=BN, control=GN_WS, at={"batch_size": 64})
    assert open_moves(results, turned, 0.01) == pytest.approx((-0.04, 0.02))
    loss = Contrast("loss", GN_WS, BN, {"batch_size": 64}, metric="test_loss")
    assert open_moves(results, loss, 0.01) == (0.0, 0.0)
