"""Recorded runs, written for another tool: a table, or the runs of an experiment tracker."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.errors import Fault, fault
from fairtrial.reporting.attempt_frame import MEASURED, SPENT, read_frame
from fairtrial.reporting.derived_files import made_folder, write_files
from fairtrial.storage.store import Store
from fairtrial.study.settings import FACTORS

_CURVE: Final = ("curve/val_acc", "curve/val_loss")  # of the validation images, at quarters of the budget
_TAG: Final = "fairtrial.attempt"


@dataclass(frozen=True)
class Run:
    """One attempt as trackers hold it. curve: (step, accuracy, loss) on the validation images."""

    key: str  # cell and number of the attempt
    name: str
    ended: bool  # with an outcome
    params: dict[str, str]
    metrics: dict[str, float]
    curve: Sequence[Sequence[float]]


def export(store: Store, form: str, out: Path) -> str:
    """Write the attempts of a study into a folder and return what was written, in words.

    form: one of FORMS. A table is written anew; a tracker gets the runs that it does not have. A Fault names
    the extra that is missing.
    """
    frame = read_frame(store)
    if form in ("csv", "parquet"):
        name = f"{store.name}.{form}"
        write_files(out, {name: _csv(frame) if form == "csv" else _parquet(frame)})
        return f"{len(frame)} attempts: {out / name}"
    try:
        added, place = _TRACKERS[form](list(_runs(store, frame)), store.name, out)
    except ModuleNotFoundError as error:
        raise _missing(form, (error.name or form).partition(".")[0]) from None
    return f"{added} of {len(frame)} attempts added: {place}"


def _missing(form: str, library: str) -> Fault:
    """Return the fault of a form whose library is not installed: it names the extra."""
    extra = "data" if form == "parquet" else form
    return fault(f"writing for {form} needs {library}", f"--to {form}", f"pip install 'fairtrial[{extra}]'")


def _csv(frame: pd.DataFrame) -> str:
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False)
    return buffer.getvalue()


def _parquet(frame: pd.DataFrame) -> bytes:
    """Return the table as parquet, with study and hash in its metadata; mixed columns are text."""
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    texts = {name: frame[name].map(lambda v: None if v is None else str(v)) for name in mixed}
    buffer = io.BytesIO()
    try:
        frame.assign(**texts).to_parquet(buffer, index=False)
    except ImportError:
        raise _missing("parquet", "pyarrow") from None
    return buffer.getvalue()


def _runs(store: Store, frame: pd.DataFrame) -> Iterator[Run]:
    curves = {(one.cell, one.number): one.measured.val_curve or () for one in store.attempts()}
    named = (
        "study",
        "arm",
        "cell",
        "seed",
        "replica",
        "budget",
        "status",
        "counts",
        "device",
        "torch",
        "commit",
    )
    for row in frame.to_dict("records"):
        numbers = {name: row[name] for name in (*SPENT, *MEASURED[:-1])}
        yield Run(
            key=f"{row['cell']}-{row['attempt']}",
            name=f"{row['arm']}, seed {row['seed']}" + (", A/A" if row["replica"] else ""),
            ended=row["status"] == "done",
            params={name: str(row[name]) for name in (*named, *FACTORS)} | {"hash": frame.attrs["hash"]},
            metrics={name: float(v) for name, v in numbers.items() if v is not None and not math.isnan(v)},
            curve=curves[row["cell"], row["attempt"]],
        )


def _mlflow(runs: list[Run], study: str, out: Path) -> tuple[int, str]:
    """Add runs to an experiment in a SQLite file: MLflow's own folder of files is no longer kept up."""
    import mlflow

    made_folder(out)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{(out / 'mlflow.db').resolve()}")
    found = client.get_experiment_by_name(study)
    experiment = client.create_experiment(study) if found is None else found.experiment_id
    known, page = set(), None
    while page != "":
        part = client.search_runs([experiment], page_token=page)
        known |= {run.data.tags.get(_TAG) for run in part}
        page = part.token or ""
    new = [run for run in runs if run.key not in known]
    kinds = mlflow.entities
    for run in new:
        made = client.create_run(experiment, run_name=run.name, tags={_TAG: run.key}).info.run_id
        points = [(name, value, 0) for name, value in run.metrics.items()] + _points(run)
        client.log_batch(
            made,
            metrics=[kinds.Metric(name, value, 0, step) for name, value, step in points],
            params=[kinds.Param(name, value) for name, value in run.params.items()],
        )
        client.set_terminated(made, "FINISHED" if run.ended else "FAILED")
    show = f"mlflow ui --backend-store-uri sqlite:///{out / 'mlflow.db'}"
    # the extra installs what writes, not the server
    return len(new), show if find_spec("flask") else f"{out / 'mlflow.db'}; pip install mlflow, then: {show}"


def _points(run: Run) -> list[tuple[str, float, int]]:
    """Return (name, value, step) of the validation curve."""
    return [
        (name, float(value), int(step))
        for step, *values in run.curve
        for name, value in zip(_CURVE, values, strict=True)
        if value is not None and math.isfinite(value)
    ]


def _tensorboard(runs: list[Run], study: str, out: Path) -> tuple[int, str]:
    """Write an event file for each run: metrics and curve as scalars, settings as hyper-parameters."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    new = [run for run in runs if not (out / study / run.key).exists()]
    for run in new:
        writer = EventFileWriter(str(out / study / run.key))
        writer.add_event(Event(step=0, summary=_hyperparameters(run.params)))
        for name, value, step in [*((n, v, 0) for n, v in run.metrics.items()), *_points(run)]:
            scalar = Summary.Value(tag=name, simple_value=value)
            writer.add_event(Event(step=step, summary=Summary(value=[scalar])))
        writer.close()
    return len(new), f"tensorboard --logdir {out}"


def _hyperparameters(params: dict[str, str]) -> Any:
    """Return the settings of a run as the HParams page reads them; its own writer needs TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    started = SessionStartInfo()
    for name, value in params.items():
        started.hparams[name].string_value = value
    content = HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, session_start_info=started)
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME, content=content.SerializeToString())
    tag, held = metadata.SESSION_START_INFO_TAG, SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag=tag, metadata=held)])


def _wandb(runs: list[Run], study: str, out: Path) -> tuple[int, str]:
    """Write an offline run for each attempt, under an id of its own: syncing it twice makes no second one."""
    import wandb

    made_folder(out)
    new = [run for run in runs if not any((out / "wandb").glob(f"offline-run-*-{run.key}"))]
    for run in new:
        made = wandb.init(
            project=study,
            name=run.name,
            id=run.key,
            mode="offline",
            dir=str(out),
            config=run.params,
            settings=wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True),
        )
        for name, value, step in _points(run):
            made.log({name: value, "step": step})
        made.summary.update(run.metrics)
        made.finish(exit_code=0 if run.ended else 1)
    return len(new), f"wandb sync {out / 'wandb'}/offline-run-*"


_TRACKERS: Final[dict[str, Callable[[list[Run], str, Path], tuple[int, str]]]] = {
    "mlflow": _mlflow,
    "wandb": _wandb,
    "tensorboard": _tensorboard,
}
