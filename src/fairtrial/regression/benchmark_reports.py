"""Reports of pytest-benchmark, checked before they are trusted: bench -> rounds."""

from __future__ import annotations

from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, shown

CAP: Final = 4 * 1024 * 1024  # bytes of one file
_HUGE: Final = 1e12  # no time, and no number of calls in a second
_DO: Final = "run the benches again; a baseline is made anew by `fairtrial gate --save-baseline`"


def rounds_of(report: dict[str, Any], where: str) -> dict[str, list[float]]:
    """Bench -> seconds per call of each round; a Fault (exit 3) lists every bench that is damaged."""
    found: dict[str, list[float]] = {}
    problems = []
    rows = report.get("benchmarks")
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        name = row.get("name") if isinstance(row, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(Problem(f"bench number {index + 1} has no name", where, _DO))
        elif what := "stands there twice" if name in found else _damage(row):
            problems.append(Problem(f"bench {shown(name)} {what}", where, _DO))
        else:
            calls = row["extra_info"]["calls"]
            found[name] = [seconds / calls for seconds in row["stats"]["data"]]
    if problems:
        raise Fault(problems, BAD_INPUT)
    if not found:
        raise Fault(Problem("no bench in the report: none ran, or all were skipped", where, _DO), BAD_INPUT)
    return found


def _damage(row: dict[str, Any]) -> str | None:
    """What is wrong with one row; None when it can be trusted."""
    stats, extra = row.get("stats"), row.get("extra_info")
    if not isinstance(stats, dict):
        return "has no stats"
    if missing := [name for name in ("median", "ops", "data") if name not in stats]:
        return f"has no {', '.join(missing)} in its stats"
    for name in ("median", "ops"):
        if not _above_zero(stats[name]):
            return f"has {name} {shown(stats[name])}, not a number above 0"
    data = stats["data"]
    if not isinstance(data, list) or not data or not all(map(_above_zero, data)):
        return "has rounds that are not times above 0"
    calls = extra.get("calls") if isinstance(extra, dict) else None
    if not isinstance(calls, int) or isinstance(calls, bool) or not 1 <= calls < 10**9:
        return f"has {shown(calls)} calls in a round, not a whole number above 0"
    return None


def _above_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _HUGE
