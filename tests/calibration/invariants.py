"""What must hold of every single data set: shifts, scales, swapped arms, seed order, refusals."""

import numpy as np

from fairtrial import stats
from tests.calibration.claims import Check, of_rows

_ALWAYS = (1.0, 1.0)
_TABLES = 1000


def _same(first, second):
    return bool(np.isclose(first, second, rtol=1e-9, atol=1e-9))


def shift_and_scale(rng, draws):
    """Limits move and stretch with the data."""

    def holds(x):
        before, after = stats.mean_interval(x), stats.mean_interval(30 + 7 * x)
        return _same(after.low, 30 + 7 * before.low) and _same(after.high, 30 + 7 * before.high)

    return of_rows(holds, rng.normal(size=(draws, 6)))


def seed_order(rng, draws):
    """Seeds in another order give the same interval, as long as pairs stay together."""
    order = rng.permutation(7)

    def holds(a, b):
        before, after = stats.paired_interval(a, b), stats.paired_interval(a[order], b[order])
        return _same(before.low, after.low) and _same(before.p, after.p)

    return of_rows(holds, *rng.normal(size=(2, draws, 7)))


def swapped_arms(rng, draws):
    """The other way round, the limits change sign, and those of a ratio turn over."""

    def holds(a, b):
        before, after = stats.paired_interval(a, b), stats.paired_interval(b, a)
        ratio, inverse = (stats.ratio_interval(np.exp(x), np.exp(y)) for x, y in ((a, b), (b, a)))
        return _same(before.low, -after.high) and _same(ratio.low * inverse.high, 1)

    return of_rows(holds, *rng.normal(size=(2, draws, 7)))


def identical_arms(rng, draws):
    """An estimate of exactly 0, and no interval."""

    def holds(a):
        found = stats.paired_interval(a, a)
        return found.estimate == 0 and np.isinf(found.high) and found.p == 1

    return of_rows(holds, rng.normal(size=(draws, 7)))


def narrowing(rng, draws):
    """The mean width over 100 data sets falls as n doubles."""

    def width(rows):
        return np.mean([each.high - each.low for each in map(stats.mean_interval, rows)])

    def holds(table):
        return bool(np.all(np.diff([width(table[:, :n]) for n in (4, 8, 16, 32)]) < 0))

    return of_rows(holds, rng.normal(size=(draws, 100, 32)))


def refused(rng, draws):
    """A NaN raises and is never dropped."""
    rows = rng.normal(size=(draws, 5))
    rows[np.arange(draws), rng.integers(0, 5, draws)] = np.nan
    return of_rows(_raises, rows)


def _raises(row):
    try:
        stats.mean_interval(row)
    except ValueError:
        return True
    return False


CHECKS = (
    Check("shift and scale carry through", _ALWAYS, shift_and_scale, _TABLES),
    Check("seed order does not matter", _ALWAYS, seed_order, _TABLES),
    Check("swapped arms change the sign", _ALWAYS, swapped_arms, _TABLES),
    Check("identical arms differ by exactly 0", _ALWAYS, identical_arms, _TABLES),
    Check("intervals narrow with n", _ALWAYS, narrowing, 100),
    Check("a NaN is refused", _ALWAYS, refused, _TABLES),
)
