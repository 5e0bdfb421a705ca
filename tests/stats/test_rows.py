"""Whole tables say of every row what the function of one data set says of it."""

import numpy as np
import pytest

from fairtrial import stats

ROWS = 40
RNG = np.random.default_rng(0)


def cells(count, n=6):
    """Tables of `ROWS` rows; the first rows are constant, tied, and of equal arms."""
    tables = [5 + RNG.normal(size=(ROWS, n)) for _ in range(count)]
    for each in tables:
        each[0], each[1, :3] = 0.1, 4.5
    tables[-1][2] = tables[0][2]
    return tables


TABLES = {
    "mean_intervals": (stats.mean_interval, cells(1)),
    "paired_intervals": (stats.paired_interval, cells(2)),
    "welch_intervals": (stats.welch_interval, [cells(1, 5)[0], cells(1, 9)[0]]),
    "ratio_intervals": (stats.ratio_interval, cells(2)),
    "interaction_intervals": (stats.interaction_interval, cells(4)),
    "median_intervals": (stats.median_interval, cells(1, 9)),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_each_row_has_the_interval_of_its_own(name, level):
    one, tables = TABLES[name]
    got, want = (
        getattr(stats, name)(*tables, level),
        [one(*row, level=level) for row in zip(*tables, strict=True)],
    )
    assert np.isinf(got.high[0]) and np.isfinite(got.high[3])
    for field in ("estimate", "low", "high", "se", "df", "t", "p"):
        if hasattr(want[0], field) and hasattr(got, field):
            expected = [getattr(each, field) for each in want]
            assert getattr(got, field) == pytest.approx(expected, rel=1e-12, abs=1e-13), field
    assert (got.method, got.n, got.level) == (want[0].method, want[0].n, want[-1].level)
    assert got.warnings == (f"no interval in {sum(np.isinf(each.high) for each in want)} of {ROWS} rows",)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", TABLES)
def test_rows_of_fewer_than_three_have_no_interval(name, n):
    _, tables = TABLES[name]
    got = getattr(stats, name)(*(table[:, :n] for table in tables))
    assert np.isneginf(got.low).all() and np.isposinf(got.high).all()
    assert not np.isnan(got.estimate).any()


@pytest.mark.parametrize("name", ["wilson", "clopper_pearson"])
def test_each_count_has_the_limits_of_its_own(name):
    got = getattr(stats, f"{name}_intervals")(range(51), 50, 0.9)
    want = [getattr(stats, name)(k, 50, 0.9) for k in range(51)]
    for field in ("estimate", "low", "high"):
        assert getattr(got, field).tolist() == [getattr(each, field) for each in want]


def test_groups_are_labels_of_columns():
    (x,) = cells(1)
    got = stats.mean_intervals(x, groups=list("aabbcc"))
    want = [stats.mean_interval(row, groups=list("aabbcc")) for row in x[1:]]
    assert got.low[1:] == pytest.approx([each.low for each in want], rel=1e-12)
    assert got.n == 3
    with pytest.raises(ValueError, match="5 labels for 6 values"):
        stats.mean_intervals(x, groups=range(5))


def test_equivalence_holm_and_sign_flips_of_rows():
    d = RNG.normal(0.2, 0.5, size=(ROWS, 7))
    d[0] = 0.1
    got, want = stats.tosts(d, margin=(-0.5, 1)), [stats.tost(row, margin=(-0.5, 1)) for row in d]
    assert got.equivalent.tolist() == [each.equivalent for each in want]
    assert got.p == pytest.approx([each.p for each in want], rel=1e-9)
    assert 0 < got.equivalent.sum() < ROWS
    p = RNG.random((ROWS, 6)) ** 3
    assert stats.holms(p).tolist() == [stats.holm(row).adjusted_p.tolist() for row in p]
    rounded = np.round(d, 1)  # ties and zeros
    assert stats.sign_flip_ps(rounded).tolist() == [stats.sign_flip_p(row).p for row in rounded]


def test_sequences_and_bands_of_rows():
    d = RNG.normal(1, 1, size=(ROWS, 12))
    d[0, :4] = 0.1
    got, want = stats.confidence_sequences(d), [stats.confidence_sequence(row) for row in d]
    assert got.low.tolist() == [each.low.tolist() for each in want]
    curves = RNG.normal(size=(ROWS, 5, 4))
    curves[0, :, 1] = 3
    got, want = stats.simultaneous_bands(curves), [stats.simultaneous_band(each) for each in curves]
    for field in ("estimate", "low", "high", "pointwise_low", "pointwise_high"):
        assert getattr(got, field) == pytest.approx(np.array([getattr(each, field) for each in want]))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: stats.mean_intervals([1.0, 2.0]), "x has 2 axes"),
        (lambda: stats.mean_intervals([[1.0, np.nan], [1.0, 2.0]]), r"x is not finite in rows \[0\]"),
        (lambda: stats.paired_intervals(np.ones((2, 3)), np.ones((2, 4))), "a and b differ in shape"),
        (lambda: stats.ratio_intervals([[1.0, 0.0]], [[1.0, 1.0]]), "positive rates; got 0"),
        (lambda: stats.wilson_intervals([1, 11], 10), "whole numbers in 0..n"),
        (lambda: stats.holms([[0.1, 1.5]]), r"p lies in \[0, 1\]"),
        (lambda: stats.sign_flip_ps(np.ones((2, 21))), "up to 20"),
        (lambda: stats.simultaneous_bands(np.ones((2, 3))), "curves has 3 axes"),
    ],
)
def test_what_is_no_table_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
