"""Changes of level in a series: found where they were planted, and rarely elsewhere."""

import numpy as np
import pytest

from fairtrial.stats.change_points import change_points


def series(rng, n=60, step=0.0, at=30, sd=0.02, law=None):
    noise = rng.standard_normal(n) if law is None else law(rng, n)
    return sd * noise + step * (np.arange(n) >= at)


@pytest.mark.parametrize(
    "law", [None, lambda rng, n: rng.standard_t(2, n), lambda rng, n: rng.exponential(1, n)]
)
def test_a_series_without_a_change_alarms_at_alpha_whatever_its_law(law, is_rate):
    rng = np.random.default_rng(1)
    draws = 300
    hits = sum(
        bool(change_points(series(rng, law=law), alpha=0.05, resamples=99, rng=rng)) for _ in range(draws)
    )
    assert is_rate(hits, draws, 0.05)


def test_five_percent_in_noise_of_two_are_found_where_they_begin():
    rng = np.random.default_rng(2)
    found = [change_points(series(rng, step=0.05, at=20), rng=rng) for _ in range(100)]
    assert all(found)
    near = [any(abs(change.at - 20) <= 2 for change in changes) for changes in found]
    assert sum(near) >= 95
    assert sum(len(changes) > 1 for changes in found) <= 7  # alpha in each of the two parts


def test_up_and_down_again_are_two_changes_with_their_levels():
    rng = np.random.default_rng(3)
    values = 0.01 * rng.standard_normal(90) + 0.1 * ((np.arange(90) >= 30) & (np.arange(90) < 60))
    up, down = change_points(values, rng=rng)
    assert (up.at, down.at) == (30, 60)
    assert up.after - up.before == pytest.approx(0.1, abs=0.01)
    assert (down.before, down.after) == (up.after, pytest.approx(0, abs=0.01))


def test_one_disturbed_night_is_no_change():
    values = 0.02 * np.random.default_rng(4).standard_normal(40)
    values[25] = 50
    assert change_points(values, rng=0) == []


@pytest.mark.parametrize("values", [[1.0], [1.0] * 9, [2.0] * 50])
def test_short_or_constant_series_have_none(values):
    assert change_points(values, rng=0) == []


def test_the_same_generator_gives_the_same_p():
    values = series(np.random.default_rng(5), step=0.03)
    assert change_points(values, rng=7) == change_points(values, rng=7) != []


def test_chance_needs_a_generator():
    with pytest.raises(ValueError, match="pass rng"):
        change_points([1.0, 2.0, 3.0])


def test_a_long_series_is_searched_in_blocks():
    """10^5 values: all random orders at once would take 8 GB."""
    values = np.repeat([0.0, 1.0], 50_000) + np.random.default_rng(0).normal(0, 0.1, 100_000)
    (change,) = change_points(values, resamples=19, alpha=0.05, least=40_000, rng=0)
    assert change.at == 50_000
