"""Logits of fractions, and what happens at 0 and 1."""

import numpy as np
import pytest
from scipy.special import logit

from fairtrial.stats.scales import on_scale


def test_the_logit_scale_is_scipys():
    x = np.array([0.01, 0.5, 0.97, 0.999])
    values, warnings = on_scale(x, "logit", "x")
    assert values == pytest.approx(logit(x), abs=1e-12)
    assert warnings == ()


def test_a_fraction_of_one_needs_the_size_of_the_test_set():
    with pytest.raises(ValueError, match="pass n_test"):
        on_scale(np.array([0.9, 1.0]), "logit", "x")


def test_at_one_half_an_image_is_kept_on_each_side_and_the_order_stays():
    values, warnings = on_scale(np.array([0.98, 0.99, 1.0]), "logit", "x", n_test=100)
    assert values == pytest.approx(logit(np.array([98.5, 99.5, 100.5]) / 101))
    assert np.all(np.diff(values) > 0)
    assert "N = 100" in warnings[0]


@pytest.mark.parametrize("x", [[0.5, 1.2], [-0.1, 0.5], [86.1, 87.4]])
def test_percent_is_not_a_fraction(x):
    with pytest.raises(ValueError, match=r"fractions in \(0, 1\)"):
        on_scale(np.array(x), "logit", "x", n_test=10)


def test_an_unknown_scale_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown scale 'log'; known: identity, logit"):
        on_scale(np.array([0.5]), "log", "x")
