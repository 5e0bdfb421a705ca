"""What a notebook calls, `import fairtrial as ft`: the work of the commands, as objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairtrial.errors import did_you_mean, fault
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import register
from fairtrial.screen import working
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study.loader import find
from fairtrial.study.loader import load as load_file
from fairtrial.study.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from fairtrial.execution.run_options import Options
    from fairtrial.reporting.report.study_report import Report
    from fairtrial.reporting.verdict_view import Verdicts

Named = Study | str | Path  # a study, its name, its file, or the folder of its records


def load(study: Named, results: str | Path = "results") -> pd.DataFrame:
    """Return what is recorded of a study, a row for each attempt (docs/notebook.md names the columns).

    `attrs` of the frame names the study, its hash and preset. Rows with `counts` are what verdicts rest on.
    """
    from fairtrial.reporting.attempt_frame import read_frame

    return read_frame(_store(study, results))


def run(
    study: Named,
    results: str | Path = "results",
    *,
    preset: str | None = None,
    data: str | None = None,
    seeds: str | int | Iterable[int] | None = None,
    budget: str | None = None,
    levels: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    cell: Callable[..., Any] | str = "",
    **how: Any,
) -> Verdicts:
    """Run what is missing of a study, write its report, and return its verdicts; a bar shows how far it is.

    preset, data, seeds, budget: as the options of `fairtrial run`, and seeds as numbers too; levels: other
    levels of a factor, as --set. plugins: files, as --plugin. cell: your own training code in place of the
    study's. how: fields of `execution.run_options.Options`, such as device, jobs, limit. A run that was
    interrupted gives the verdict "incomplete"; the same call goes on.
    """
    from fairtrial.cli import options
    from fairtrial.execution import runner
    from fairtrial.reporting.verdicts.interim_analyses import ask_rule
    from fairtrial.tuning.schedule import whole_study

    settings = [f"{name}={','.join(_texts(values))}" for name, values in (levels or {}).items()]
    options_of_run = _options(results, how)
    for path in plugins:
        register(Plugin.read(Path(path)))
    given = study if isinstance(study, Study) else load_file(find(str(study)))
    given = replace(given, cell=cell) if cell else given
    asked = options.apply(
        given, preset=preset, data=data, budget=budget, seeds=_seeds(seeds), settings=settings
    )
    store = Store.of(asked, Path(results))
    rule = None if asked.rule is None else lambda: ask_rule(store)
    runner.run(asked, options_of_run, whole_study(asked, rule))
    report(store.folder)
    return verdicts(store.folder)


def _options(results: str | Path, how: Mapping[str, Any]) -> Options:
    """Return how to run, checked as the command line checks it."""
    from fairtrial.cli import options
    from fairtrial.execution.run_options import Options

    known = [one.name for one in fields(Options) if one.name != "results"]
    if unknown := next((name for name in how if name not in known), ""):
        raise fault(
            f"no option {unknown!r}{did_you_mean(unknown, known)}", "ft.run", f"known: {', '.join(known)}"
        )
    side_by_side = partial(options.count, most=options.MOST_SIDE_BY_SIDE)
    checks: dict[str, Callable[..., Any]] = {
        "device": lambda text, _: options.device(text),
        **dict.fromkeys(("jobs", "threads"), side_by_side),
        "limit": options.count,
        **dict.fromkeys(("total_budget_s", "cell_timeout_s"), options.positive),
    }
    given = [name for name in checks if how.get(name) is not None]
    read = options.together(**{name: partial(checks[name], str(how[name]), name) for name in given})
    return Options(results=Path(results), **{**how, **read})


def _texts(values: Any) -> list[str]:
    """Return the levels of a factor as --set writes them; one alone need not stand in a list."""
    several = isinstance(values, Iterable) and not isinstance(values, str)
    return list(map(str, values if several else [values]))


def _seeds(given: Any) -> str | None:
    """Return seeds as --seeds writes them: a count, a text of it, or the numbers themselves."""
    if given is None or isinstance(given, (str, int)):
        return None if given is None else str(given)
    numbers = _texts(given)
    return ",".join(numbers) if len(numbers) > 1 else "..".join(numbers * 2)


def verdicts(study: Named, results: str | Path = "results", *, allow_partial: bool = False) -> Verdicts:
    """Return the verdicts of a recorded study; a notebook shows them as a table."""
    from fairtrial.reporting.verdict_view import of_study
    from fairtrial.reporting.verdicts.study_verdicts import judge_study

    with working("judging the study"):
        return of_study(judge_study(_store(study, results), partial=allow_partial))


def report(study: Named, results: str | Path = "results", *, allow_partial: bool = False) -> Report:
    """Draw the report of a recorded study in its folder; `path` of the result is its page."""
    from fairtrial.reporting.report.study_report import build

    with working("drawing the report"):
        return build(_store(study, results), allow_partial=allow_partial)


def figure(
    name: str, study: Named, results: str | Path = "results", *, plugins: Sequence[str | Path] = ()
) -> Figure:
    """Return one figure of a study's report, such as "contrasts", as matplotlib draws it.

    plugins: files with figures of your own, looked through first.
    """
    from fairtrial.reporting.notebook_figure import for_notebook
    from fairtrial.reporting.report.figure_registry import figures_of
    from fairtrial.reporting.report.own_figures import picture
    from fairtrial.reporting.verdicts.study_verdicts import judge_study

    store = _store(study, results)
    for file in plugins:
        if (own := picture(store, Path(file), name)) is not None:
            return for_notebook(own)
    with working("drawing the figures"):
        drawn = {found: picture for found, _, picture in figures_of(judge_study(store))}
    if name not in drawn:
        what = f"no figure is called {name!r}{did_you_mean(name, drawn)}"
        raise fault(what, f"the report of {store.name}", f"its figures: {', '.join(drawn)}")
    return for_notebook(drawn[name])


def _store(study: Named, results: str | Path) -> Store:
    """Return the folder of a recorded study: it is named itself, lies in the results, or its file says."""
    if isinstance(study, Study):
        return Store.of(study, Path(results))
    for folder in (Path(study), Path(results) / study):
        if is_study(folder):
            return Store(folder)
    if str(study).endswith(".py"):
        return Store.of(load_file(find(str(study))), Path(results))
    do = f'run it first: fairtrial run {study}; or say where it lies: results="results/released"'
    raise fault(f"no study {str(study)!r} is recorded here", str(Path(results) / study), do)


def compare(
    frame: pd.DataFrame | str | Path | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]],
    *,
    treatment: Any,
    control: Any,
    unit: str = "seed",
    pair: str = "",
    arm: str = "",
    metric: str = "",
    at: Mapping[str, Any] | None = None,
    each: str = "",
    margin: float | None = None,
    scale: str = "",
    lower_is_better: bool | None = None,
    allow_partial: bool = False,
) -> Verdicts:
    """Return the verdicts on a table of runs, as `fairtrial compare` gives them (docs/compare.md).

    frame: a row for each run; a file as the command reads it, or what pandas makes a table of, will do.
    treatment: an arm, or several. margin: in points of an accuracy, else in the metric's unit. A Fault names
    what is wrong with the table, by row.
    """
    from fairtrial.reporting.comparison.compare_table import Asked, compare_table
    from fairtrial.reporting.comparison.table_columns import TableColumns

    if at is not None and not isinstance(at, Mapping):
        raise fault(f"at={at!r} names no level of a column", "at", 'write for example at={"batch_size": 4}')
    several = isinstance(treatment, Iterable) and not isinstance(treatment, str)
    asked = Asked(
        columns=TableColumns(arm, metric, unit, pair, at or {}, each),
        treatments=list(treatment) if several else [treatment],
        control=control,
        margin=margin,
        scale=scale,
        lower_is_better=lower_is_better,
        allow_partial=allow_partial,
    )
    table, where = _table(frame)
    return compare_table(table, asked, where)


def _table(given: Any) -> tuple[pd.DataFrame, str]:
    """Return a table of runs, and what it is called in faults; names of its index are columns."""
    import pandas as pd

    from fairtrial.reporting.comparison.table_file import read_table

    if isinstance(given, (str, Path)):
        return read_table(Path(given)), str(given)
    try:
        frame = given if isinstance(given, pd.DataFrame) else pd.DataFrame(given)
    except (TypeError, ValueError) as error:
        do = "give a DataFrame with a row for each run, or the path of a file"
        raise fault(f"pandas makes no table of it: {error}", "the table", do) from None
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = (frame.reset_index(level=named) if named else frame).reset_index(drop=True)
    frame.columns = frame.columns.map(str)
    return frame, "the table"
