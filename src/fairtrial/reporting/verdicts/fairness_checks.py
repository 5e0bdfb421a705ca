"""What makes a comparison fair: each promise, what the records show of it, and what refuses a verdict.

The checks of a contrast decide its verdict; the same checks over all arms are rows of the fairness table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.parity_checks import Arms, Check, budget_parity
from fairtrial.reporting.wording import clean, listed, overlap_words, plural
from fairtrial.stats.cost_parity import CostParity, cost_parity
from fairtrial.storage.calibrations import chosen_ways, sessions_of
from fairtrial.storage.record import Attempt
from fairtrial.study.budget import Budget
from fairtrial.study.contrast import corners
from fairtrial.study.factors import label
from fairtrial.study.failure_policy import DONE
from fairtrial.study.identity import arm_key
from fairtrial.study.settings import OWN_KERNELS, Settings
from fairtrial.study.study import Contrast

_IMAGES: Final = ("data", "shots", "val_per_class")
TUNING: Final = "equal tuning"
# What a record says of its machine, with the setting on which that may depend.
_COMPUTED: Final = {"device": (), "torch": (), "precision": ("precision",), "kernels": ("kernels",)}
_KEPT: Final = {True: "as calibrated", False: "as stated"}
_OF_SECONDS: Final = {"cpu": (), "threads": ()}


def contrast_checks(results: Results, contrast: Contrast) -> tuple[Check, ...]:
    """Return the checks of the records of a contrast: any problem refuses its verdict."""
    efforts = []
    for levels in corners(contrast):
        arms = results.where(levels)[list(results.study.factors)].drop_duplicates()
        efforts += _efforts(results, arms.to_dict("records"))
    sides = _sides(results, contrast)
    checks = _checks(results, sides, _costs(results, [contrast]))
    split = _split_statistics(sides, {name for levels in corners(contrast) for name in levels})
    return (*checks, *split, *_ways(results, sides), *_tuning(results, efforts))


def study_checks(results: Results) -> tuple[Check, ...]:
    """Return the checks over all arms of a study, the A/A arm among them."""
    arms = [_records(results, results.where(levels)["cell"]) for levels in results.study.arms()]
    if results.study.aa is not None:
        arms.append(_records(results, results.where(results.study.aa, 1)["cell"]))
    checks = _checks(results, arms, _costs(results, results.study.contrasts))
    split, efforts = (
        _split_statistics(arms, set(results.study.factors)),
        _efforts(results, results.study.arms()),
    )
    return (*checks, *split, *_ways(results, arms), *_tuning(results, efforts))


def _sides(results: Results, contrast: Contrast) -> list[list[Attempt]]:
    seeds, cells = results.seeds_of(contrast), [results.where(levels) for levels in corners(contrast)]
    return [_records(results, side["cell"][side["seed"].isin(seeds)]) for side in cells]


def _costs(results: Results, contrasts: Iterable[Contrast]) -> dict[str, CostParity]:
    """Return whether the sides of each contrast cost equal seconds; nothing under another budget."""
    if results.study.budget.kind != "seconds":
        return {}
    sessions, found = sessions_of(results.calibrations), {}
    for contrast in contrasts:
        done = [[r.timed for r in side if r.status == DONE] for side in _sides(results, contrast)]
        if parity := cost_parity(done, sessions):
            found[contrast.name] = parity
    return found


def _records(results: Results, cells: Iterable[str]) -> list[Attempt]:
    return [results.records[cell] for cell in cells if cell in results.records]


def _checks(results: Results, arms: Arms, costs: Mapping[str, CostParity]) -> Iterator[Check]:
    every, budget = [record for arm in arms for record in arm], results.study.budget
    plain = [record for record in every if record.replica == 0]
    yield _start(plain)
    yield from _checkpoints(every)
    yield _images(every, plain)
    yield _order(plain)
    own = [arm for arm in arms if not (arm and arm[0].replica)]
    yield budget_parity(own, budget, costs)
    yield _test_set(every)
    yield _machine(every, budget)


def _mixed(records: Iterable[Attempt], name: str, path: str, depends: Sequence[str] = ()) -> Iterator[str]:
    """Yield what must be one among records that share the settings it depends on, and is not.

    path: where a record says it, as 'provenance.device'.
    """
    value = attrgetter(path)
    found: dict[tuple, set[Any]] = {}
    for record in records:
        if (said := value(record)) is not None:
            key = tuple(getattr(record.settings, each) for each in depends)
            found.setdefault(key, set()).add(said)
    for said in found.values():
        values = set(map(clean, said))
        if len(values) > 1:
            yield f"other {name}: {listed(sorted(values)[:5])}"


def _drawn(
    records: Iterable[Attempt], stream: str, key: Callable[[Settings], tuple]
) -> dict[tuple, set[str]]:
    """Return (seed, what the draw depends on) -> the digests that arms drew."""
    found: dict[tuple, set[str]] = {}
    for record in records:
        if digest := getattr(record.drawn, stream):
            found.setdefault((record.seed, *key(record.settings)), set()).add(digest)
    return found


def _other(stream: str, blocks: Mapping[tuple, set[str]]) -> tuple[str, ...]:
    odd = {key[0] for key, digests in blocks.items() if len(digests) > 1}
    return (f"other {stream} between arms at {plural(len(odd), 'seed')}",) if odd else ()


def _equal(blocks: Mapping[tuple, set[str]]) -> int:
    return sum(len(digests) == 1 for digests in blocks.values())


def _start(records: Sequence[Attempt]) -> Check:
    def key(settings: Settings) -> tuple:
        scaled = settings.weight_std == "scaled"
        own = (settings.model, settings.norm, settings.block, settings.head, settings.data, scaled)
        return (*own, settings.start_key, settings.finetune) if checkpoints else own

    checkpoints = {record.settings.start_key for record in records if record.settings.starts_from_checkpoint}
    blocks = _drawn(records, "init", key)
    if not blocks:
        return Check("same start", "no initial weights recorded", known=False)
    norms = list(dict.fromkeys(record.settings.norm for record in records))
    alike = "that start from one checkpoint have" if checkpoints else "of one norm start from"
    shown = f"arms {alike} equal weights in {_equal(blocks)} of {len(blocks)} blocks of one seed"
    if len(checkpoints) > 1:
        shown += (
            "; arms of another norm, weight standardization or network start from checkpoints of their own"
        )
    elif len(norms) > 1 and not checkpoints:
        shown += (
            f"; across norms ({listed(norms)}) digests cannot be compared, because the parameters differ: "
            "there the design draws each parameter from a stream named after it"
        )
    return Check("same start", shown, _other("initial weights", blocks))


def _checkpoints(records: Sequence[Attempt]) -> Iterator[Check]:
    """Yield whether arms that share a checkpoint got one file, and what it shares with the test set."""
    files: dict[tuple, set[str]] = {}
    overlaps: set[int] = set()
    for record in records:
        if drawn := record.drawn.upstream:
            files.setdefault((record.upstream_seed, record.settings.start_key), set()).add(drawn.sha256)
            overlaps |= set() if drawn.overlap is None else {drawn.overlap}
    if not files:
        if any(record.settings.starts_from_checkpoint for record in records):
            yield Check("same checkpoint", "no checkpoint recorded", known=False)
        return
    shared = overlap_words(max(overlaps)) if overlaps else "whether test images were among them is not known"
    shown = f"{_equal(files)} of {plural(len(files), 'checkpoint')} with one digest in all runs; {shared}"
    odd = len(files) - _equal(files)
    problems = (f"{plural(odd, 'checkpoint')} with other weights between runs",) if odd else ()
    yield Check("same checkpoint", shown, problems)


def _images(records: Sequence[Attempt], plain: Sequence[Attempt]) -> Check:
    blocks = _drawn(plain, "subset", _of_images)
    data = _mixed(records, "data digest", "provenance.data", ("data", "resolution"))
    problems = (*data, *_other("subset", blocks))
    if not blocks:
        return Check("same images", "no subset digest recorded", problems, known=False)
    return Check("same images", _in_blocks("subset", blocks), problems)


def _order(records: Sequence[Attempt]) -> Check:
    blocks = _drawn(records, "order", _of_images)
    if not blocks:
        return Check("same order", "no order digest recorded", known=False)
    shown = f"{_in_blocks('order', blocks)} (first 1024 positions)"
    if any(record.settings.mixup for record in records):
        shown += "; MixUp draws are shared only between arms of one batch size"
    return Check("same order", shown, _other("order", blocks))


def _of_images(settings: Settings) -> tuple:
    return tuple(getattr(settings, name) for name in _IMAGES)


def _in_blocks(stream: str, blocks: Mapping[tuple, set[str]]) -> str:
    of = plural(len(blocks), "block")
    return f"one {stream} digest for all arms in {_equal(blocks)} of {of} of one seed"


def _test_set(records: Sequence[Attempt]) -> Check:
    most = max((record.measured.test_reads for record in records), default=None)
    if most is None:
        return Check("test set", "no run", known=False)
    sizes = sorted({record.measured.test_n for record in records if record.measured.test_n})
    sized = _mixed(records, "test images", "measured.test_n", ("data", "resolution"))
    often = (f"the test split was opened {most} times in a run",) if most > 1 else ()
    shown = f"opened at most {plural(most, 'time')} per run; {listed([str(size) for size in sizes])} images"
    return Check("test set", shown, (*sized, *often))


def _machine(records: Sequence[Attempt], budget: Budget) -> Check:
    """Check what computed the runs; which processor it was decides where seconds are the budget."""
    deciding = _COMPUTED | (_OF_SECONDS if budget.kind == "seconds" else {})
    problems = [
        problem
        for name, depends in deciding.items()
        for problem in _mixed(records, name, f"provenance.{name}", depends)
    ]
    rows = [_computed(record) for record in records]
    names = ("device", "cpu", "instructions", "threads", "torch", "precision")
    told = {name: {clean(row[name]) for row in rows if row[name] is not None} for name in names}
    shown = "; ".join(f"{name} {listed(sorted(found)) or 'not recorded'}" for name, found in told.items())
    return Check("one machine", shown, tuple(problems))


def _computed(record: Attempt) -> dict[str, Any]:
    place = record.provenance
    precision = place.precision or record.settings.precision
    return vars(place) | {"instructions": place.instructions, "precision": precision}


def _split_statistics(arms: Arms, names: set[str]) -> Iterator[Check]:
    """Yield where `bn_split` let BN's statistics be those of fewer images than the batch says.

    Such runs support no claim on batch sizes. names: the settings that the claim is about.
    """
    counts: Counter[int] = Counter()
    for record in (record for arm in arms for record in arm):
        settings, used = record.settings, record.drawn.micro_batch or record.settings.micro_batch
        if settings.bn_split and isinstance(used, int) and settings.norm_row.mixes_batch:
            counts.update([used] if used < (settings.stat_batch or settings.batch_size) else [])
    if counts:
        runs, sizes = plural(counts.total(), "run"), listed([str(size) for size in sorted(counts)])
        note = (f"BN's statistics are those of micro-batches of {sizes} images in {runs} (bn_split)",)
        claimed = bool(names & {"batch_size", "stat_batch"})
        yield Check("batch statistics", note[0], note if claimed else (), open=() if claimed else note)


def _ways(results: Results, arms: Arms) -> Iterator[Check]:
    """Yield whether arms of a budget in seconds were computed as calibration chose, and how that was."""
    in_seconds, every = results.study.budget.kind == "seconds", [record for arm in arms for record in arm]
    chosen = chosen_ways(results.calibrations) if in_seconds else {}
    odd = [one for one in every if one.drawn.way != chosen.get(arm_key(one.settings), {})]
    problems: tuple[str, ...] = ()
    if odd:
        problems = (
            f"{plural(len(odd), 'run')} in another layout or on other kernels than calibration chose",
        )
    elif len({bool(one.drawn.way) for one in every}) > 1:
        problems = ("some arms ran in the fastest layout with the fastest kernels, others as declared",)
    if not problems and not in_seconds:
        return
    calibrated = any(one.drawn.way for one in every)
    yield Check("implementation", _implementations(every), problems, kept=_KEPT[calibrated])


def _implementations(records: Iterable[Attempt]) -> str:
    """Say how each arm was computed, and where our own kernels meet stock ones."""
    arms: dict[str, list[str]] = {}
    own: dict[str, bool] = {}
    for record in records:
        way, arm = record.drawn.way, clean(label(record.levels))
        if way and record.replica == 0 and arm not in own:
            of_device = record.provenance.kernels
            ran = replace(record.settings, layout=way["layout"], kernels=way["kernels"])
            own[arm] = ran.kernels in OWN_KERNELS and ran.on_own_kernels(of_device)
            name = f"our {clean(of_device)} kernels" if own[arm] else "torch's kernels"
            arms.setdefault(f"{clean(way['layout'])} on {name}", []).append(arm)
    if not arms:
        return "arms ran in the declared layout, which need not be their fastest"
    told = [f"{way}: {'; '.join(names)}" for way, names in sorted(arms.items())]
    met = ["our own kernels meet torch's"] if len(set(own.values())) > 1 else []
    return ". ".join(["the fastest that calibration found", *told, *met])


def _efforts(results: Results, arms: Iterable[Mapping[Any, Any]]) -> list[int]:
    """Return the tuning trials of each arm; none in a study at one rule."""
    return [] if results.tuning is None else [results.tuning.effort(levels).trials for levels in arms]


def _tuning(results: Results, trials: Sequence[int]) -> Iterator[Check]:
    if results.study.tuning is None or not trials:
        return
    counts = listed([str(count) for count in sorted(set(trials))])
    problems = (f"the arms had {counts} tuning trials",) if len(set(trials)) > 1 else ()
    yield Check(TUNING, f"{counts} trials per arm: {results.study.tuning.words}", problems)
