"""What every function here reads first: numbers are checked and arms are joined on their seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from fairtrial.stats.rules import is_rounding

Values: TypeAlias = Mapping[Any, float] | Collection[float] | np.ndarray
Groups: TypeAlias = Mapping[Any, Hashable] | Collection[Hashable] | np.ndarray
Random: TypeAlias = np.random.Generator | int


def generator(rng: Random | None, why: str) -> np.random.Generator:
    """Return the caller's generator; without one a ValueError says why it is needed."""
    if rng is None:
        raise ValueError(f"{why}: pass rng, a numpy Generator or an integer")
    return np.random.default_rng(rng)


def constant(values: np.ndarray, *inputs: np.ndarray) -> bool:
    """Return whether the values vary by no more than the rounding of the inputs they were made from."""
    if len(values) < 2:
        return True
    size = max(float(np.abs(each).max()) for each in inputs or (values,))
    return bool(is_rounding(values.std(ddof=1), size))


def constant_columns(table: np.ndarray) -> np.ndarray:
    """Return which columns of a (rows, columns) table vary by no more than rounding."""
    if len(table) < 2:
        return np.ones(table.shape[1], dtype=bool)
    return is_rounding(table.std(axis=0, ddof=1), np.abs(table).max(axis=0))


def _sorted(seeds: Iterable[Any]) -> list[Any]:
    return sorted(seeds, key=lambda seed: (str(type(seed)), seed))


def _numbers(x: Any, name: str) -> np.ndarray:
    try:
        values = np.array(x, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} is one number per seed, in a list, an array or a mapping; got {x!r}"
        ) from None
    if values.ndim != 1:
        raise ValueError(f"{name} is one number per seed; got an array of shape {values.shape}")
    if not values.size:
        raise ValueError(f"{name} is empty")
    return values


def _read(x: Values, name: str) -> tuple[list[Any] | None, np.ndarray]:
    """Seeds (None for a bare array) and finite values; a pandas Series counts as a mapping."""
    seeds: list[Any] | None = None
    if hasattr(x, "items"):
        pairs = list(x.items())
        seeds = [seed for seed, _ in pairs]
        twice = [seed for seed, times in Counter(seeds).items() if times > 1]
        if twice:
            raise ValueError(f"{name} holds seeds twice: {_sorted(twice)}")
        x = [value for _, value in pairs]
    values = _numbers(x, name)
    bad = np.flatnonzero(~np.isfinite(values)).tolist()
    if bad:
        where = f"seeds {[seeds[i] for i in bad]}" if seeds else f"positions {bad}"
        raise ValueError(f"{name} is not finite at {where}; apply the failure policy first")
    return seeds, values


def sample(x: Values, name: str) -> np.ndarray:
    """Return one arm as an array of finite floats; the seeds of a mapping are dropped."""
    return _read(x, name)[1]


def joined(arms: Mapping[str, Values], groups: Groups | None = None) -> list[np.ndarray]:
    """Return the arms as arrays in one common seed order, averaged inside groups when labels are given.

    arms: name -> values, all mappings with the same seeds, or all arrays of one length.
    groups: a label per seed, in the same form as the arms.
    """
    read = {name: _read(x, name) for name, x in arms.items()}
    first, (seeds, values) = next(iter(read.items()))
    for name, (other, numbers) in read.items():
        if (other is None) != (seeds is None):
            raise ValueError(f"{first} and {name} are both mappings or both arrays; got one of each")
        if seeds is None and len(numbers) != len(values):
            raise ValueError(f"{first} and {name} differ in length: {len(values)} and {len(numbers)}")
        if seeds is not None and other is not None and set(seeds) != set(other):
            only, also = _sorted(set(seeds) - set(other)), _sorted(set(other) - set(seeds))
            raise ValueError(
                f"{first} and {name} differ in seeds: only in {first} {only}, only in {name} {also}"
            )
    columns = [_reordered(other, numbers, seeds) for other, numbers in read.values()]
    if groups is None:
        return columns
    labels = _labels(groups, seeds, len(values))
    return [_averaged(column, labels) for column in columns]


def _reordered(seeds: list[Any] | None, values: np.ndarray, order: list[Any] | None) -> np.ndarray:
    if seeds is None or order is None or seeds == order:
        return values
    at = {seed: i for i, seed in enumerate(seeds)}
    return values[[at[seed] for seed in order]]


def _labels(groups: Groups, seeds: list[Any] | None, n: int) -> list[Hashable]:
    if hasattr(groups, "items") != (seeds is not None):
        raise ValueError("groups and values are both mappings or both arrays; got one of each")
    if seeds is None:
        labels = list(groups)
        if len(labels) != n:
            raise ValueError(f"groups holds {len(labels)} labels for {n} values")
        return labels
    labelled: dict[Any, Hashable] = dict(groups.items())  # type: ignore[union-attr]
    missing = [seed for seed in seeds if seed not in labelled]
    if missing:
        raise ValueError(f"groups has no label for seeds {_sorted(missing)}")
    return [labelled[seed] for seed in seeds]


def _averaged(values: np.ndarray, labels: list[Hashable]) -> np.ndarray:
    """Means inside each label: (n,) -> (labels,), in order of appearance."""
    members: dict[Hashable, list[int]] = {}
    for i, label in enumerate(labels):
        members.setdefault(label, []).append(i)
    return np.array([values[at].mean() for at in members.values()])
