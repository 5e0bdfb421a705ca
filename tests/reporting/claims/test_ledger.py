"""Planted truths reach the ledger with the right answer, and a laptop never wears BiT's name."""

import pytest

from fairtrial.reporting.claims.ledger import entries, ledger, record, sentences
from fairtrial.reporting.claims.published_claims import claims
from fairtrial.reporting.results import load
from fairtrial.storage.study_folders import find_studies
from fairtrial.study.study import Contrast
from tests.reporting.conftest import BN, GN_WS

INTERACTION = Contrast(
    "WS repairs GN", {"weight_std": True}, {"weight_std": False}, {"batch_size": 64}, {"norm": ("gn", "bn")}
)
LARGE = Contrast("large batch", treatment=GN_WS, control=BN, at={"batch_size": 64})


@pytest.fixture
def planted(make_study, publish, noise):
    """A study in which plain GN loses `loss` and WS gives GN `gain`, read as a table."""

    def make(loss, gain, primary=(INTERACTION, LARGE), **changed):
        def acc(cell):
            gn, ws = cell.settings.norm == "gn", cell.settings.weight_std
            return 0.8 + 0.003 * noise(cell, "acc") - loss * gn + gain * (gn and ws)

        return load.load(publish(make_study(primary=primary, **changed), acc))

    return make


def found(results, claim):
    return next(entry for entry in entries([results]) if entry.claim.id == claim)


def test_a_planted_repair_is_supported_and_its_absence_contradicts(planted):
    assert found(planted(0.054, 0.056), "ws-repairs-gn").answer == "supported"
    worse = found(planted(0.054, 0.0, name="no-repair"), "ws-repairs-gn")
    assert worse.answer == "contradicted"
    by_part = {each.part.name: each for each in worse.evidence}
    assert by_part["GN+WS minus BN"].answer == "contradicted"
    assert by_part["GN minus BN, both without WS"].answer == "shown"


def test_the_distance_is_ours_minus_the_published_one(planted):
    each = found(planted(0.054, 0.056), "ws-repairs-gn").evidence[0]
    assert each.estimate == pytest.approx(0.056, abs=0.005)
    assert each.distance == pytest.approx(each.estimate - 0.056, abs=1e-12)
    assert (each.n, each.unit, each.scale) == (10, "seed", "scaled down")


def test_a_contrast_that_was_not_declared_is_exploratory(planted):
    each = found(planted(0.054, 0.056, primary=(LARGE,)), "ws-repairs-gn").evidence
    by_part = {one.part.name: one.stamps for one in each}
    assert by_part["GN+WS minus BN"] == ()
    assert "exploratory" in by_part["what WS is worth to GN more than to BN"]


def test_an_incomplete_study_decides_nothing(make_study, publish):
    store = publish(make_study(primary=(INTERACTION, LARGE)), lambda cell: 0.8 if cell.seed else None)
    entry = found(load.load(store), "ws-repairs-gn")
    assert entry.answer == "undecided"
    assert all(each.estimate is None and "incomplete" in each.reason for each in entry.evidence)


def test_transfer_speaks_over_upstream_seeds_only(make_transfer, publish, noise):
    """Fifteen subsets that all gain five points, below two checkpoints: nothing is decided."""

    def gain(cell):
        return 0.6 + 0.002 * noise(cell, "acc") + 0.05 * (cell.settings.norm == "gn")

    factors = {"norm": ("bn", "gn"), "weight_std": (False, True), "finetune": ("full", "scratch")}
    contrast = Contrast("transfers", GN_WS, BN, {"finetune": "full"})
    said = {}
    for number in (2, 3):
        study = make_transfer(
            name=f"of-{number}", factors=factors, only=(GN_WS, BN), primary=(contrast,),
            start={"upstream": "upstream", "upstream_seeds": number, "shots": 5},
        )  # fmt: skip
        entry = found(load.load(publish(study, gain)), "gn-ws-transfers")
        assert entry.evidence[0].n == number
        said[number] = entry.answer
    assert said == {2: "undecided", 3: "supported"}


def test_a_claim_without_a_study_says_what_it_needs(planted):
    entry = found(planted(0.0, 0.0), "hyperrule-near-tuning")
    assert (entry.answer, entry.scale) == ("not comparable", "not comparable")
    text = next(line for line in sentences([planted(0.0, 0.0)]) if "HyperRule" in line)
    assert "Needs a tuning study" in text and "-2.43 points" in text


def test_the_rate_of_divergence_has_its_exact_interval(make_study, publish, noise):
    store = publish(
        make_study(),
        lambda cell: (
            "diverged" if cell.settings.norm == "gn" and cell.seed < 5 else 0.8 + 0.01 * noise(cell, "a")
        ),
    )
    each = next(one for one in found(load.load(store), "gn-ws-halves-throughput").evidence)
    assert (each.part.measure, each.n, each.estimate) == ("rate", 20, 0.5)
    assert (each.low, each.high) == pytest.approx((0.27196, 0.72804), abs=1e-5)  # R: binom.test(10, 20)
    assert each.answer == "supported"


def test_the_table_has_every_claim_and_no_laptop_wears_the_name_of_bit(planted):
    results = planted(0.054, 0.056)
    frame = ledger([results]).frame
    assert set(frame["claim"]) == {claim.claim for claim in claims()}
    for line in sentences([results], bearing=True):
        assert "not a BiT result" in line
    assert not any("BiT" in value for column in ("study", "arms", "part") for value in frame[column])
    assert len(record([results])) == len(claims())


def test_studies_are_found_once_wherever_a_folder_is_named(planted, tmp_path):
    planted(0.0, 0.0)
    assert find_studies([tmp_path, tmp_path / "made-up", tmp_path]) == [tmp_path / "made-up"]
