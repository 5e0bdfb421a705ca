"""The confidence sequence: its formula, its duality with the e-value, its coverage."""

import math

import numpy as np
import pytest

from fairtrial.stats import confidence_sequence

D = np.random.default_rng(0).normal(1, 1, size=15)


def e_value(d, null, g=4):
    """The formula of section 9, entry by entry."""
    n = len(d)
    t, v = (np.mean(d) - null) * math.sqrt(n) / np.std(d, ddof=1), n - 1
    ratio = (1 + t**2 / v) / (1 + t**2 / ((1 + n * g) * v))
    return (1 + n * g) ** -0.5 * ratio ** (n / 2)


def test_each_entry_belongs_to_its_first_differences():
    got = confidence_sequence(D)
    assert got.n.tolist() == list(range(2, 16))
    assert got.estimate == pytest.approx([D[:n].mean() for n in got.n])
    assert got.e_value == pytest.approx([e_value(D[:n], 0) for n in got.n])
    shorter = confidence_sequence(D[:6])
    assert shorter.low.tolist() == got.low[:5].tolist()


@pytest.mark.parametrize(("g", "alpha"), [(4, 0.05), (1, 0.01), (20, 0.1)])
def test_at_a_limit_the_e_value_is_one_over_alpha(g, alpha):
    got = confidence_sequence(D, g=g, alpha=alpha)
    finite = np.flatnonzero(np.isfinite(got.low))
    assert len(finite) > 5
    for i in finite:
        for limit in (got.low[i], got.high[i]):
            assert e_value(D[: got.n[i]], limit, g) == pytest.approx(1 / alpha)


def test_limits_are_infinite_exactly_where_q_reaches_one_plus_n_g():
    got = confidence_sequence(D)
    q = (np.sqrt(1 + 4 * got.n) / 0.05) ** (2 / got.n)
    assert (np.isinf(got.high) == (q >= 1 + 4 * got.n)).all()
    assert np.isinf(got.high).any()


def test_the_null_shifts_the_evidence_and_not_the_limits():
    got, other = confidence_sequence(D), confidence_sequence(D, null=1.0)
    assert got.low.tolist() == other.low.tolist()
    assert other.e_value[-1] == pytest.approx(e_value(D, 1.0))


def test_order_matters_here():
    assert confidence_sequence(D).low[3] != confidence_sequence(D[::-1]).low[3]


def test_shift_and_scale_carry_through():
    got, moved = confidence_sequence(D), confidence_sequence(50 + 1000 * D)
    assert moved.low[5:] == pytest.approx(50 + 1000 * got.low[5:], rel=1e-9)


def test_while_nothing_varies_there_is_no_interval_and_no_evidence():
    got = confidence_sequence([0.1, 0.1, 0.1, 5.0, 0.2, 0.3, 0.1, 0.2])
    assert got.low[:2].tolist() == [-math.inf, -math.inf]
    assert got.e_value[:2].tolist() == [1, 1]
    assert got.warnings == ("no interval up to n = 3: zero observed variance",)
    assert not np.isnan(got.low).any()


def test_overwhelming_evidence_stays_a_number():
    d = 1 + 1e-9 * np.random.default_rng(1).normal(size=400)
    assert np.isfinite(confidence_sequence(d).e_value).all()


def test_one_difference_says_nothing():
    got = confidence_sequence([1.0])
    assert got.n.size == 0
    assert got.warnings


@pytest.mark.parametrize("keywords", [{"g": 0}, {"alpha": 1}, {"null": math.nan}])
def test_settings_out_of_range_are_refused(keywords):
    with pytest.raises(ValueError, match=r"^(g|alpha) "):
        confidence_sequence(D, **keywords)


@pytest.mark.parametrize(("effect", "n"), [(1, 12), (1.5, 7), (2, 6)])
def test_the_median_stop_of_section_9(effect, n):
    d = np.random.default_rng([3, int(10 * effect)]).normal(effect, 1, size=(500, 80))
    stops = [s.n[np.argmax(s.low > 0)] for s in map(confidence_sequence, d)]
    assert abs(np.median(stops) - n) <= 1
