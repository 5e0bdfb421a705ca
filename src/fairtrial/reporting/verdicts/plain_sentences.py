"""Verdicts -> sentences without statistics, for readers outside the field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fairtrial.reporting.verdicts.sentences import arms, change_words, helps, levels_of_by
from fairtrial.reporting.wording import capital, fixed

if TYPE_CHECKING:
    from fairtrial.reporting.verdicts.rulings import Finding

_ABBREVIATED: Final = re.compile(r"\b(bn|gn|ln|ws|sws|frn)\b")


def plain(finding: Finding, data: str = "") -> str:
    """Return a verdict as one sentence without statistics. data: what it was found on, where that is said."""
    return capital(capitals(f"on {data}, {_plain(finding)}" if data else _plain(finding)))


def capitals(text: str) -> str:
    """Return the text with layers as the legend of terms writes them: GN+WS."""
    return _ABBREVIATED.sub(lambda found: found[0].upper(), text)


def _plain(finding: Finding) -> str:
    contrast = finding.contrast
    treatment, control, at = arms(contrast)
    if finding.verdict == "refused":
        return f"no fair comparison of {treatment} with {control}{at} can be read from these runs."
    if contrast.by:
        return _plain_interaction(finding)
    if finding.verdict == "inconclusive":
        return f"these runs cannot tell whether {treatment} or {control} is better{at}."
    if finding.verdict == "equivalent":
        return f"it makes no difference that matters{at} whether {treatment} or {control} is used."
    size = _size(finding)
    trifle = ", too little to matter" if finding.verdict == "different_but_negligible" else ""
    if images := _images(finding):
        more = "more" if helps(finding) else "fewer"
        text = f"{treatment} gets {size} {more} of 100 {images} right than {control}{at}"
    else:
        lower = "lower" if helps(finding) else "higher"
        text = f"{treatment} has a {lower} {finding.scale.name} than {control}{at}"
    return f"{text}{trifle}."


def _plain_interaction(finding: Finding) -> str:
    first, second = levels_of_by(finding.contrast)
    _, _, at = arms(finding.contrast)
    what = change_words(finding.contrast)
    if finding.verdict == "inconclusive":
        return f"these runs cannot tell whether {what} helps more {first} or {second}{at}."
    if finding.verdict == "equivalent":
        return f"{what} is worth as much {first} as {second}{at}, or the difference is too small to matter."
    than = "more" if helps(finding) else "less"
    trifle = ", too little to matter" if finding.verdict == "different_but_negligible" else ""
    images = _images(finding)
    if not images:
        return f"{what} lowers the {finding.scale.name} {than} {first} than {second}{at}{trifle}."
    return f"{what} is worth {_size(finding)} of 100 {images} {than} {first} than {second}{at}{trifle}."


def _images(finding: Finding) -> str:
    """Return the images that a metric counts: 'test images'; nothing for a metric that counts none."""
    kind, accuracy, _ = finding.scale.name.partition(" accuracy")
    return f"{kind} images" if accuracy else ""


def _size(finding: Finding) -> str:
    assert finding.interval is not None
    return fixed(abs(finding.interval.estimate) * finding.scale.factor, 1)
