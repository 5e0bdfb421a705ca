"""What the self-test says: a line per check, the speed of whole tables, the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairtrial.selftest.harness import Outcome
from fairtrial.selftest.speed import ROWS


def lines(seed: int, found: Sequence[Outcome], speed: Mapping[str, float], seconds: float) -> Iterator[str]:
    """The self-test as a person reads it."""
    yield f"seed     {seed}"
    width = max(len(each.name) for each in found)
    yield from (line(each, width) for each in found)
    each = ", ".join(f"{name} {spent:.2f}" for name, spent in speed.items())
    yield f"speed    {ROWS:,} rows of each interval in {sum(speed.values()):.1f} s ({each})"
    yield f"selftest {end(found)}, {seconds:.1f} s"


def line(found: Outcome, width: int = 0) -> str:
    """One check: its rate, the window, and whether it is as it must be."""
    kind = "check" if found.known is None else "wrong"
    how = "exact" if not found.draws else f"of {found.draws}"
    place = f"{_rate(found.low)} to {_rate(found.high)}"
    if found.known is None:
        word = "ok" if found.ok else "FAILED: outside"
    else:
        word = f"caught (known {_rate(found.known, 2)})" if found.ok else "FAILED: not caught"
    return f"{kind}    {found.name:<{width}}  {_rate(found.rate)} {how:<7}  claim {place}  {word}"


def end(found: Sequence[Outcome]) -> str:
    """The last line: what failed, or how much held."""
    failed = [each.name for each in found if not each.ok]
    if failed:
        return f"FAILED {len(failed)} of {len(found)}: {'; '.join(failed)}"
    wrong = sum(each.known is not None for each in found)
    return f"fine: {len(found) - wrong} claims hold, {wrong} wrong methods are caught"


def _rate(share: float, digits: int = 4) -> str:
    return f"{share:.{digits}f}".removeprefix("0")
