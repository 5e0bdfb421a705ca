"""What stands under every figure and table: n, unit, budget, preset, origin, failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit, unit_of
from fairtrial.reporting.results.shared_runs import TERM, Shared, words
from fairtrial.reporting.verdicts.chosen_settings import extra_labels
from fairtrial.reporting.wording import clean, listed, plural, share
from fairtrial.stats import clopper_pearson
from fairtrial.study import initial_checkpoint
from fairtrial.study.backbone_names import backbone
from fairtrial.study.settings import Settings
from fairtrial.study.study import Study

_SCRATCH: Final = "trained from scratch"
_BIT: Final = "fine-tuned from official BiT weights"
_UNSURE: Final = "a BiT result only as far as that file is the official one"


def provenance(results: Results) -> str:
    """Return the sentence that every caption ends with."""
    parts = [
        f"{results.study.budget.words} per run",
        preset(results.study, upstream_images(results)),
        commits(results),
        f"study hash {results.hash}",
    ]
    if not results.sound:
        parts.insert(0, results.unsound)
    rate = failures(results)
    return ". ".join(part[0].upper() + part[1:] for part in [*parts, *([rate] if rate else [])]) + "."


def study_facts(results: Results, shared: Shared) -> list[tuple[str, str]]:
    """Return what was run, as pairs for a list. shared: runs that another study has too."""
    study = results.study
    arms = plural(len(study.arms()), "arm") + (" and the A/A arm" if study.aa else "")
    return [
        ("study", f"{clean(study.name)}, hash {results.hash}"),
        ("preset", preset(study, upstream_images(results)).removeprefix("preset ")),
        ("budget", f"{study.budget.words} per run"),
        ("runs", f"{results.progress}: {plural(len(results.seeds), 'seed')} crossed with {arms}"),
        *(
            ("n counts", f"{unit.describe(unit.seeds)}{arms}")
            for unit, arms in units(results)
            if _split(unit)
        ),
        *((("stopping", study.rule.words),) if study.rule else ()),
        ("code", commits(results)),
        ("failed", failures(results) or "no run failed"),
        ("tuning", f"{plural(results.trial_runs, 'trial run')} recorded: {_tuned(results)}"),
        ("pilots", clean(results.pilots) or "none named"),
        *(((TERM, words(shared)),) if shared else ()),
    ]


def _tuned(results: Results) -> str:
    tuning, labels = results.study.tuning, extra_labels(results)
    return "one rule for all arms" if tuning is None else tuning.words + (f"; {labels}" if labels else "")


def _split(unit: ReplicationUnit) -> bool:
    """Whether seeds alone would not say what n counts."""
    return unit.checkpoints is not None or unit.groups is not None


def seeds(results: Results) -> str:
    """Return 'n = 10 seeds, the replication unit'; from checkpoints, what each n counts."""
    return counted(results, units(results))


def counted(results: Results, units_of_arms: Sequence[tuple[ReplicationUnit, str]]) -> str:
    """Say what n counts, of units with the arms that they belong to."""
    if not results.complete or results.not_required:
        how = "so far" if not results.complete else "as the stopping rule gave them"
        return "; ".join(
            f"n: {unit.name}s {how}, of {unit.describe(unit.seeds)}{arms}" for unit, arms in units_of_arms
        )
    counts = [
        f"n{arms}: see the table of arms" if unit.problem else f"n = {unit.describe(unit.seeds)}{arms}"
        for unit, arms in units_of_arms
    ]
    counts[0] += "" if units_of_arms[0][0].problem else ", the replication unit"
    if any(unit.checkpoints == 1 for unit, _ in units_of_arms):
        counts.append("conditional on this checkpoint")
    return "; ".join(counts)


def units(results: Results) -> list[tuple[ReplicationUnit, str]]:
    """Return the units of a study's arms, each with the arms it belongs to where they are not all."""
    cells = results.frame[results.frame["replica"] == 0]
    starts = dict.fromkeys(cells["start"])
    pairs = [(unit_of(results, cells[cells["start"] == start]), start) for start in starts]
    pairs.sort(key=lambda pair: pair[0].groups is None)
    return [(unit, f" for arms {start}" if len(starts) > 1 else "") for unit, start in pairs]


def upstream_images(results: Results) -> str | None:
    """Return the images that every checkpoint was trained on, where the records name them."""
    checkpoints = (record.drawn.upstream for record in results.records.values())
    names = {checkpoint.upstream for checkpoint in checkpoints if checkpoint}
    name = names.pop() if len(names) == 1 else None
    return clean(name) if isinstance(name, str) else None


def commits(results: Results) -> str:
    """Return 'commit 1a2b3c4, modified'; every code version that a used record came from."""
    versions = {
        (clean(origin.commit)[:7] if origin.commit else None, origin.modified)
        for origin in (record.provenance for record in results.records.values())
    }
    named = sorted(f"{commit}, modified" if modified else commit for commit, modified in versions if commit)
    if not named:
        return "commit not recorded"
    unknown = ["unrecorded"] if any(commit is None for commit, _ in versions) else []
    return f"commit{'s' if len(named + unknown) > 1 else ''} {listed(named + unknown)}"


def failures(results: Results) -> str:
    """Return '2 of 130 runs failed (1.5 %, 95 % Clopper-Pearson 0.2 to 5.5 %) and score chance'; or ''."""
    lost, ended = int(results.ended["failed"].sum()), len(results.ended)
    if not lost:
        return ""
    rate = clopper_pearson(lost, ended, unit="run")
    bounds = f"95 % Clopper-Pearson {100 * rate.low:.2g} to {100 * rate.high:.2g} %"
    return f"{lost} of {ended} runs failed ({share(rate.estimate)}, {bounds}) and score chance"


def preset(study: Study, images: str | None = None) -> str:
    """Return what a preset's results may be called; only official weights wear BiT's name.

    images: the name of the upstream images, where the records tell it.
    """
    arms = [study.settings(levels) for levels in study.arms()]
    settings = study.settings({name: swept[0] for name, swept in study.factors.items()})
    levels = {
        name: "swept" if name in study.factors else clean(getattr(settings, name))
        for name in ("data", "model")
    }
    network = f"{levels['data']}, {levels['model']} network {clean(_story(arms, images))}"
    if study.cell:
        network = f"{levels['data']}, trained by {clean(study.cell)}"
    return f"preset {clean(study.preset)}: {network}; {_may_be_called(arms)}"


def _story(arms: Iterable[Settings], images: str | None = None) -> str:
    """Return 'trained from scratch', 'pre-trained on tiny32 (study up)', 'from official ... weights'.

    images: the name of the upstream images, where the records tell it.
    """
    stories = dict.fromkeys(_start_words(settings, images) for settings in arms)
    return " or ".join(sorted(stories, key=lambda words: words == _SCRATCH))


def _may_be_called(arms: Iterable[Settings]) -> str:
    """Say whether results are results of BiT: whole networks, fine-tuned from official weights, are."""
    names = {_bit_name(settings) for settings in arms}
    if names == {_BIT}:
        return _BIT
    if _BIT in names:
        return "only arms fine-tuned from official weights are BiT results"
    return _UNSURE if _UNSURE in names else "not a BiT result"


def _bit_name(settings: Settings) -> str:
    kind = settings.start.kind if settings.finetune == "full" else ""
    own = backbone(settings.model) is None
    return {"official": _BIT, **dict.fromkeys(("npz", "file", "timm"), _UNSURE if own else "")}.get(kind, "")


def _start_words(settings: Settings, images: str | None) -> str:
    start = settings.start
    if start.kind == "study":
        return f"pre-trained{f' on {images}' if images else ''} (study {start.name})"
    return {
        initial_checkpoint.NONE: _SCRATCH,
        initial_checkpoint.TORCHVISION: "from torchvision's weights",
        initial_checkpoint.TIMM: f"from timm's weights{start.name.removeprefix(initial_checkpoint.TIMM)}",
        "official": f"from official {start.name} weights",
        "npz": f"from the weights in {start.name.removeprefix(initial_checkpoint.NPZ)}.npz",
        "file": f"from the weights in the file {start.name.removeprefix(initial_checkpoint.LOCAL)}",
    }[start.kind]
