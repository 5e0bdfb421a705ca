"""What a faster kernel would do to each verdict, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fairtrial.reporting.results.contrast_sides import has_limits
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.verdicts.whatif import FREE, BreakEven, Case, Row, WhatIf
from fairtrial.reporting.wording import clean, listed


def sentences(what: WhatIf) -> list[str]:
    """The shares, then every row that is not the recorded one, then each break-even."""
    said = shares(what)
    for case in what.cases:
        said += [sentence(case, row, what) for row in case.rows if row.faster != 1] or [
            f"{_capital(name_of(case))}: {case.problem}; nothing can be said of a faster one."
        ]
        said += [even for even in [break_even(case, what.kernel)] if even]
    return [*said, *_sources(what)]


def shares(what: WhatIf) -> list[str]:
    """What part of each arm's step the kernel takes."""
    return list(dict.fromkeys(said for case in what.cases for said in _shares(case, what.kernel)))


def _shares(case: Case, kernel: str) -> Iterator[str]:
    for share in case.shares:
        if not share.n:
            yield f"{_capital(kernel)} takes {_percent(share.estimate)} % of a step of {share.arm}, as given."
            continue
        bounds = f"[{_percent(share.low)}, {_percent(share.high)}]"
        against = f"n = {share.n} seeds, against {share.twin}"
        yield f"{kernel} takes {_percent(share.estimate)} % of a step of {share.arm} {bounds}, {against}."


def sentence(case: Case, row: Row, what: WhatIf) -> str:
    """One contrast at one speed-up."""
    if_so, name, was = f"With {faster_words(row.faster, what.kernel)}", name_of(case), _was(case)
    if row.verdict == "refused":
        return f"{if_so}, {name} would still have no verdict: {case.recorded.reason}."
    if row.verdict is None:
        shown = f" ({_difference(row.finding)})" if row.reading == "more" else ""
        question = f"whether the verdict {was} on {name} would change"
        return f"{if_so}, {question} cannot be told{shown}: {row.reason}."
    if row.reading == "same":
        seconds = f"{row.ratios[0] * what.seconds:.3g} of {what.seconds:g} seconds"
        ends = f"after the {row.steps[0][0]:.0f} recorded updates in {seconds}"
        span = f"at best {_difference(row.finding)} and at least {_difference(case.recorded)}"
        return f"{if_so}, {name} would be {span}, {ends}: the verdict {was} would stay."
    becomes = f"become '{_plain(row.verdict)}'" if case.changed(row) else "stay"
    doubt = "" if row.sure else ", if accuracy grows evenly between the recorded runs"
    size = f"would be {_difference(row.finding)} at equal seconds, with {steps_words(row)}"
    return f"{if_so}, {name} {size}: the verdict {was} would {becomes}{doubt}."


def break_even(case: Case, kernel: str) -> str:
    """From which speed-up on the verdict is another one."""
    even = case.break_even
    if even is None:
        return ""
    if math.isnan(even.times):
        return f"Break-even for {name_of(case)}: not within what is recorded."
    if not even.to:
        free = faster_words(FREE, kernel)
        return f"Break-even for {name_of(case)}: none; even with {free} the verdict stays {_was(case)}."
    return f"Break-even for {name_of(case)}: '{_plain(even.to)}' with {kernel} {even_words(even)}."


def even_words(even: BreakEven | None) -> str:
    """'1.8 times faster [1.5, none]': at the share, at its upper and at its lower limit."""
    if even is None:
        return ""
    if math.isnan(even.times):
        return "cannot tell"
    if not even.to:
        return "none"
    limits = ["cannot tell" if math.isnan(k) else _times(k) for k in (even.low, even.high)]
    bounds = f" [{', '.join(limits)}]" if even.low != even.high else ""
    return f"{_times(even.times)} times faster{bounds}"


def name_of(case: Case) -> str:
    """The contrast without a verdict; an interaction by its name."""
    contrast = case.recorded.contrast
    return f'"{clean(contrast.name)}"' if contrast.by else title(contrast)


def faster_words(faster: float, kernel: str) -> str:
    """'StdConv free', 'StdConv 1.5 times faster'."""
    return f"{kernel} free" if faster == FREE else f"{kernel} {faster:g} times faster"


def _times(faster: float) -> str:
    return "none" if faster == FREE else f"{faster:.3g}"


def steps_words(row: Row) -> str:
    """'428 updates in place of 365'."""
    return listed([f"{after:.0f} updates in place of {before:.0f}" for before, after in row.steps])


def _difference(finding: Finding | None) -> str:
    """'+21.9 points [13.8, 30.3]'."""
    if finding is None or finding.interval is None:
        return "not known"
    found, scale = finding.interval, finding.scale
    sign = "+" if found.estimate > 0 else ""
    bounds = f" {scale.bounds(found.low, found.high)}" if has_limits(found) else ""
    return f"{sign}{scale.gap(found.estimate)}{bounds}"


def _sources(what: WhatIf) -> Iterator[str]:
    if what.budgets.sources:
        yield f"Runs with other budgets: {listed(what.budgets.sources)}."
    if what.budgets.unread:
        yield f"Left out, because they cannot be read: {listed(what.budgets.unread)}."


def _was(case: Case) -> str:
    return f"'{_plain(case.recorded.verdict)}'"


def _plain(verdict: str) -> str:
    return verdict.replace("_", " ")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
