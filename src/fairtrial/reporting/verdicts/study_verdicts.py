"""One study judged: its verdicts, their sentences and warnings, before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairtrial.reporting.results.arms import balanced_accuracy
from fairtrial.reporting.results.contrast_sides import overlap
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.refusals import seed_words
from fairtrial.reporting.verdicts import aa_check, findings
from fairtrial.reporting.verdicts.aa_check import AACheck
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.reporting.verdicts.learning_curve_crossover import Crossover, find_crossovers
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import sentence
from fairtrial.reporting.wording import clean, overlap_words, plural
from fairtrial.storage.store import Store


@dataclass(frozen=True)
class StudyVerdicts:
    """What the cells of one study say. partial: an incomplete study was read with --allow-partial."""

    results: Results
    findings: tuple[Finding, ...]
    control: AACheck | None
    sentences: tuple[str, ...]  # one per declared contrast
    crossovers: tuple[Crossover, ...]  # who leads along the schedule
    warnings: tuple[str, ...]
    partial: bool

    @property
    def alarms(self) -> tuple[str, ...]:
        """The warnings that speak against every verdict of the study, and the cells that were given up."""
        return tuple(_alarms(self.results, self.control))


def judge_study(store: Store, *, partial: bool = False) -> StudyVerdicts:
    """Read a study and judge it; nothing is drawn, nothing is written."""
    return judge_results(open_study(store.folder, partial=partial), partial=partial)


def judge_results(results: Results, *, partial: bool = False) -> StudyVerdicts:
    """Judge a study that was read."""
    found = findings.judge(results, partial=partial)
    control = aa_check.compare(results, partial=partial)
    said = tuple(_sentences(results, found))
    crossovers = tuple(find_crossovers(results, partial))
    warnings = tuple(_warnings(results, found, control))
    return StudyVerdicts(results, found, control, said, crossovers, warnings, partial)


def sentences(results: Results, *, partial: bool = False) -> list[str]:
    """Return the sentences alone, the A/A check last."""
    found = findings.judge(results, partial=partial)
    control = aa_check.compare(results, partial=partial)
    return [*_sentences(results, found), *([control.sentence] if control else [])]


def _sentences(results: Results, found: Sequence[Finding]) -> list[str]:
    return [sentence(finding, results.study) for finding in found]


def _alarms(results: Results, control: AACheck | None) -> Iterator[str]:
    if control is not None and control.alarm:
        yield control.sentence
    if not results.sound:
        yield results.unsound
    yield from (f"failed: {clean(words)}" for words in results.lost)


def _warnings(results: Results, found: Sequence[Finding], control: AACheck | None) -> list[str]:
    warnings = [*_alarms(results, control)]
    if images := overlap(results, results.records):
        warnings.append(overlap_words(images))
    notes = {clean(note) for r in results.records.values() for note in r.provenance.data_notes or []}
    warnings += [f"data: {note}" for note in sorted(notes)]
    warnings += _uneven(results)
    if len(results.declared["history"]) > 1:
        changes = plural(len(results.declared["history"]) - 1, "time")
        warnings.append(
            f"the declaration was changed {changes} since the first run; study.json holds its history"
        )
    if results.sound and results.left_out:
        warnings.append(f"{seed_words([*results.left_out])} are left out: fewer seeds are declared now")
    return warnings + [f"{clean(f.contrast.name)}: {clean(text)}" for f in found for text in f.warnings]


def _uneven(results: Results) -> Iterator[str]:
    """Say of uneven classes what the largest one alone scores, and the balanced accuracy of each arm."""
    shares = {r.measured.majority for r in results.records.values() if r.measured.majority is not None}
    if shares:
        arms = results.frame.groupby("arm", sort=False)
        means = {arm: balanced_accuracy(results, cells) for arm, cells in arms}
        told = ", ".join(f"{clean(arm)} {100 * mean:.1f}" for arm, mean in means.items() if mean is not None)
        yield (
            f"classes are uneven: always answering the largest one scores {100 * max(shares):.1f} %"
            f" accuracy; balanced accuracy (the mean over classes) by arm, in %: {told}"
        )
