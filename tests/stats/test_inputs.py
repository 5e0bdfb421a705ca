"""Bad numbers are refused by name; arms are joined on their seeds."""

import numpy as np
import pandas as pd
import pytest

from fairtrial.stats.inputs import constant, generator, joined, sample
from fairtrial.stats.rules import check_count, check_share


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "x is empty"),
        ({}, "x is empty"),
        ([1, float("nan"), 2], r"x is not finite at positions \[1\]"),
        ({3: 1.0, 8: float("inf")}, r"x is not finite at seeds \[8\]"),
        ([1, None], r"x is not finite at positions \[1\]"),
        ([[1, 2], [3, 4]], r"array of shape \(2, 2\)"),
        (["one"], "x is one number per seed"),
        (5.0, "x is one number per seed"),
    ],
)
def test_bad_values_are_refused_by_name(values, said):
    with pytest.raises(ValueError, match=said):
        sample(values, "x")


def test_arrays_pass_unchanged_and_are_not_modified():
    x = np.array([3.0, 1.0, 2.0])
    got = sample(x, "x")
    got[0] = 99
    assert x.tolist() == [3, 1, 2]


def test_mappings_are_joined_on_the_seed_and_not_on_the_position():
    a, b = joined({"a": {1: 10.0, 2: 20.0, 3: 30.0}, "b": {3: 3.0, 1: 1.0, 2: 2.0}})
    assert (a - b).tolist() == [9, 18, 27]


def test_mismatched_seeds_are_refused_and_listed_on_both_sides():
    with pytest.raises(ValueError, match=r"a and b differ in seeds: only in a \[1, 4\], only in b \[7\]"):
        joined({"a": {1: 0.0, 2: 0.0, 4: 0.0}, "b": {2: 0.0, 7: 0.0}})


def test_arrays_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="a and b differ in length: 3 and 2"):
        joined({"a": [1, 2, 3], "b": [1, 2]})


def test_a_mapping_and_an_array_are_not_joined():
    with pytest.raises(ValueError, match="both mappings or both arrays"):
        joined({"a": {0: 1.0}, "b": [1.0]})


def test_a_series_counts_as_a_mapping_and_its_repeated_seeds_are_refused():
    _, b = joined({"a": pd.Series([1.0, 2.0], index=[5, 6]), "b": {6: 20.0, 5: 10.0}})
    assert b.tolist() == [10, 20]
    with pytest.raises(ValueError, match=r"a holds seeds twice: \[5\]"):
        sample(pd.Series([1.0, 2.0, 3.0], index=[5, 5, 6]), "a")


def test_groups_average_inside_a_label_first():
    (x,) = joined({"x": [1, 3, 10, 20, 30]}, groups=["p", "p", "q", "q", "q"])
    assert x.tolist() == [2, 20]
    (y,) = joined({"y": {0: 1.0, 1: 3.0, 2: 7.0}}, groups={2: "q", 1: "p", 0: "p"})
    assert y.tolist() == [2, 7]


@pytest.mark.parametrize(
    ("x", "groups", "said"),
    [
        ([1, 2], ["p"], "1 labels for 2 values"),
        ({0: 1.0, 1: 2.0}, {0: "p"}, r"no label for seeds \[1\]"),
        ({0: 1.0}, ["p"], "both mappings or both arrays"),
        ([1.0], {0: "p"}, "both mappings or both arrays"),
    ],
)
def test_groups_that_do_not_fit_are_refused(x, groups, said):
    with pytest.raises(ValueError, match=said):
        joined({"x": x}, groups)


@pytest.mark.parametrize("value", [0, 1, -0.1, 2, float("nan")])
def test_a_level_outside_0_and_1_is_refused(value):
    with pytest.raises(ValueError, match="level lies strictly between 0 and 1"):
        check_share(value, "level")


@pytest.mark.parametrize("value", [1.5, True, float("nan"), float("inf"), -1])
def test_a_count_is_a_whole_number(value):
    with pytest.raises(ValueError, match="n is"):
        check_count(value, "n", least=0)


def test_zero_variance_is_relative_to_the_inputs():
    assert constant(np.full(5, 0.1))
    assert constant(np.array([0.0, 1e-13]), np.array([1.0, 1.0]))
    assert not constant(np.array([0.0, 1e-11]), np.array([1.0, 1.0]))


def test_chance_needs_a_generator_or_an_integer():
    with pytest.raises(ValueError, match="draws: pass rng"):
        generator(None, "draws")
    assert generator(5, "").integers(1000) == np.random.default_rng(5).integers(1000)
    own = np.random.default_rng(1)
    assert generator(own, "") is own
