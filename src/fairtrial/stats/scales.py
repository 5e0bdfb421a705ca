"""The logit scale, for fractions that press against 0 or 1."""

from __future__ import annotations

import numpy as np

from fairtrial.stats.rules import check_count


def on_scale(
    fractions: np.ndarray, scale: str, name: str, n_test: int | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The values on the scale asked for ("identity" or "logit"), and the warnings this causes.

    A fraction of exactly 0 or 1 has no logit. With n_test = N images, every fraction k/N of the sample is
    then replaced by (k + 1/2) / (N + 1), which keeps their order.
    """
    if scale == "identity":
        return fractions, ()
    if scale != "logit":
        raise ValueError(f"unknown scale {scale!r}; known: identity, logit")
    if fractions.min() < 0 or fractions.max() > 1:
        raise ValueError(f"{name} holds fractions in (0, 1) for scale='logit'; got {fractions.tolist()}")
    warnings: tuple[str, ...] = ()
    if fractions.min() == 0 or fractions.max() == 1:
        if n_test is None:
            raise ValueError(
                f"{name} holds a fraction of exactly 0 or 1: pass n_test, the size of the test set"
            )
        n_test = check_count(n_test, "n_test", least=1)
        fractions = (fractions * n_test + 0.5) / (n_test + 1)
        warnings = (f"{name} touches 0 or 1: (k + 1/2) / (N + 1) used for k / N, N = {n_test}",)
    return np.log(fractions / (1 - fractions)), warnings
