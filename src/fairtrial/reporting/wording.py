"""How numbers and names read: one spelling for figures, tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.stats.records import Interval
from fairtrial.study import factors
from fairtrial.study.data_spec import published_name

SEED: Final = "seed"  # the replication unit that a sentence need not name
_LONGEST: Final = 300  # characters of one string that came from a record


@dataclass(frozen=True)
class Scale:
    """How the values of a metric are shown: `factor` turns them into `unit`."""

    name: str
    unit: str
    factor: float
    digits: int

    @property
    def axis(self) -> str:
        """The label of an axis: 'test accuracy, %'."""
        return self.name + (", %" if self.factor == 100 else "")

    @property
    def gap_axis(self) -> str:
        """The label of an axis of differences: 'difference in test accuracy, points'."""
        return f"difference in {self.name}" + (", points" if self.factor == 100 else "")

    def show(self, value: float) -> str:
        """Return a value as text, without its unit: 0.0812 -> '8.1'."""
        return fixed(value * self.factor, self.digits)

    def gap(self, value: float) -> str:
        """Return a difference with its unit: '8.1 points', '0.120 in test loss'."""
        return f"{self.show(value)} {self.unit}"

    def within(self, margin: float) -> str:
        """Return a margin in full: '1 point', '0.25 points', '0.05 in test loss'."""
        number = f"{margin * self.factor:g}"
        return f"{number} {self.unit.replace('points', 'point') if number == '1' else self.unit}"

    def bounds(self, low: float, high: float) -> str:
        """Return '[6.2, 10.0]'."""
        return f"[{self.show(low)}, {self.show(high)}]"

    def decided(self, low: float, high: float, margin: float) -> str:
        """Return '[0.04, 2.10]': `bounds` with the digits that show the side of 0 and of ±margin.

        At most three digits more: beyond them a limit reads as what it nearly is.
        """
        for digits in range(self.digits, self.digits + 4):
            texts = [fixed(limit * self.factor, digits) for limit in (low, high)]
            marks = {fixed(mark * self.factor, digits): mark for mark in (0.0, margin, -margin)}
            if all(limit == marks.get(text, limit) for text, limit in zip(texts, (low, high), strict=True)):
                break
        return f"[{', '.join(texts)}]"

    def mean(self, value: float) -> str:
        """Return a level rather than a difference: '96.3 %', '0.120'."""
        return self.show(value) + (" %" if self.factor == 100 else "")


_DATA: Final = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "tiny-imagenet-32": "Tiny ImageNet",
}
SCALES: Final = {
    "test_acc": Scale("test accuracy", "points", 100, 1),
    "val_acc": Scale("validation accuracy", "points of validation accuracy", 100, 1),
    "test_loss": Scale("test loss", "in test loss", 1, 3),
    "test_ece": Scale("calibration error", "points of calibration error", 100, 1),
}


def clean(text: Any) -> str:
    """Return a string from a record on one line, without control characters and not endless."""
    line = " ".join(str(text).split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals, never '-0.0'; an infinite one as a sign."""
    if not math.isfinite(value):
        return "?" if math.isnan(value) else ("-inf" if value < 0 else "inf")
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def rounded(value: float, digits: int) -> str:
    """Return a number to so many significant digits, never with an exponent: 204_416.0 at 4 -> '204400'."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text else text


def p_value(p: float) -> str:
    """Return 'p = 0.0004', 'p < 0.0001'."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.001 else f"p = {p:.2g}"


def share(value: float) -> str:
    """Return a fraction as percent, at most three digits: '0.8 %'."""
    return f"{100 * value:.3g} %" if math.isfinite(value) else "all of it"


def gap(value: float | None) -> str:
    """Return a relative gap: '0.8 %', 'x16' beyond 100 %; empty where there is none."""
    if value is None:
        return ""
    return f"{100 * value:.2g} %" if value < 1 else f"x{1 + value:.3g}"


def describe_interval(scale: Scale, interval: Interval) -> str:
    """Return '3.1 points [1.0, 5.2], n = 8'; no brackets where there is no interval."""
    bounds = f" {scale.bounds(interval.low, interval.high)}" if math.isfinite(interval.low) else ""
    unit = "" if interval.unit == SEED else f" {interval.unit}{'s' if interval.n > 1 else ''}"
    return f"{scale.gap(interval.estimate)}{bounds}, n = {interval.n}{unit}"


def duration(seconds: float) -> str:
    """Return device time in the unit that fits: '45 device-seconds', '3.1 device-hours'."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= size:
            number = f"{seconds / size:.2g}" if seconds < 99.5 * size else f"{seconds / size:.0f}"
            return f"{number} device-{unit.removesuffix('s') if number == '1' else unit}"
    return f"{seconds:.2g} device-seconds"


def listed(words: Sequence[str]) -> str:
    """Return 'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def capital(text: str) -> str:
    """Return a text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def plural(number: int, word: str) -> str:
    """Return '1 seed', '2 seeds'."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def overlap_words(images: int) -> str:
    """Return '3 test images were among the upstream images'."""
    return f"{plural(images, 'test image')} {'was' if images == 1 else 'were'} among the upstream images"


def data_title(specs: Iterable[str]) -> str:
    """Return data as a reader knows them, from any source: 'CIFAR-10' of parquet:cifar10."""
    names = dict.fromkeys(map(published_name, specs))
    return listed([clean(_DATA.get(name, name)) for name in names])


def level(name: str, value: Any) -> str:
    """Return one level in words: 'batch 4', 'gn', 'ws', 'no ws'."""
    return clean(factors.label({name: value}))
