"""What an undecided claim would take, and that a decided one has no price."""

from dataclasses import replace

from fairtrial.reporting.claims import price
from fairtrial.reporting.claims.ledger import ledger, record, sentences
from fairtrial.reporting.claims.published_claims import claims
from fairtrial.reporting.verdicts.findings import decide, measure
from fairtrial.stats import more_seeds, paired_interval
from fairtrial.stats.student import t_quantile
from tests.reporting.claims.conftest import LARGE, found


def finding_of(results, estimate, sd):
    """A finding of ten seeds as if it had been measured so."""
    measured = measure(results, LARGE)
    seen = [estimate + sd * (9 / 10) ** 0.5 * sign for sign in (-1, 1) * 5]
    return decide(results, [replace(measured, interval=paired_interval(seen, [0.0] * 10))])[0]


def test_what_is_undecided_says_its_price_and_what_is_decided_has_none(planted):
    entry = found(planted(0.054, 0.001), "ws-repairs-gn")
    repair, behind, _ = entry.evidence
    assert (repair.answer, behind.answer, behind.price) == ("undecided", "contradicted", "")
    sd = abs(repair.high - repair.estimate) * 10**0.5 / t_quantile((1 + repair.level) / 2, 9)
    asked = more_seeds(10, sd, repair.estimate, alpha=1 - repair.level)
    assert f"{asked.more_plugin} to {asked.more_conservative} more seeds (up to " in repair.price
    assert f"; to decide, about {repair.price}" in sentences([entry])[0]
    assert ledger([entry]).frame["to decide"][0] == repair.price
    assert record([entry])[0]["evidence"][0]["to_decide"] == repair.price


def test_no_gain_is_priced_at_the_end_of_its_rule_that_is_in_reach(planted):
    """A gain of half the margin: that it lies below the margin is decided sooner than that it is none."""
    results = planted(0.0, 0.0)
    part = next(part for claim in claims() for part in claim.parts if part.rule == "no gain")
    for seen, bound in ((0.002, 0.01), (0.009, 0.0), (0.012, 0.0), (-0.001, 0.01)):
        asked = more_seeds(10, 0.02, seen - bound, alpha=0.05)
        text = price.of_contrast(results, part, finding_of(results, seen, 0.02))
        assert text.startswith(f"{asked.more_plugin} to {asked.more_conservative} more seeds"), (seen, text)


def test_a_rate_is_priced_by_units_without_a_failure(planted):
    """Of 72 units without one, the exact interval of 95 % ends at 0.025 ** (1 / 72): below 5 %."""
    rate = next(e for e in found(planted(0.0, 0.0), "gn-ws-halves-throughput").evidence if e.estimate == 0)
    assert rate.answer == "undecided"
    assert 1 - 0.025 ** (1 / 72) < 0.05 < 1 - 0.025 ** (1 / 71)
    assert rate.price.startswith("62 more seeds (up to ") and rate.price.endswith(
        "if no run of them diverges"
    )
