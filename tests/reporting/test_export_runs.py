"""What is exported is what is recorded; trackers are read back with their own readers, offline."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

import fairtrial as ft
from fairtrial.cli.main import main
from fairtrial.errors import DONE, USAGE
from fairtrial.reporting.attempt_frame import MEASURED, SPENT
from fairtrial.storage.store import Store
from tests.support.records import killed, publish
from tests.support.studies import study, write

METRICS = {*SPENT, *MEASURED} - {"weights_sha256"}


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A study with an outcome in every cell; the first one was killed before."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    store = Store.of(study(), Path("results"))
    with store.locked():
        store.declare(study())
    first, *_ = cells = study().cells()
    publish(store, first, result=killed())
    for cell in cells:
        publish(store, cell, attempt=1 + (cell is first))
    return ft.load("small")


def export(form, *more):
    return main(["export", "small.py", "--to", form, "--out", "out", *more])


def test_a_table_holds_every_attempt_and_compare_reads_it(recorded, capsys):
    assert export("csv", "--json") == DONE
    assert json.loads(capsys.readouterr().out)["written"] == f"{len(recorded)} attempts: out/small.csv"
    found = pd.read_csv("out/small.csv")
    assert found["test_acc"].equals(recorded["test_acc"]) and len(found) == 13
    assert found["counts"].sum() == 12 and found["status"].tolist().count("killed") == 1
    assert export("parquet") == DONE
    again = pd.read_parquet("out/small.parquet")
    assert again.attrs == recorded.attrs and again["test_acc"].equals(recorded["test_acc"])
    capsys.readouterr()
    options = ["--arm", "norm", "--metric", "test_acc", "--at", "counts=True", "--each", "batch_size"]
    assert main(["compare", "out/small.csv", "--treatment", "gn", "--control", "bn", *options]) == DONE
    assert "n = 3 paired seeds" in capsys.readouterr().out


def test_mlflow_holds_the_runs_once(recorded):
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    assert export("mlflow") == export("mlflow") == DONE
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{Path('out/mlflow.db').resolve()}")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert len(runs) == len(recorded)
    by_key = {run.data.tags["fairtrial.attempt"]: run for run in runs}
    for row in recorded.to_dict("records"):
        run = by_key[f"{row['cell']}-{row['attempt']}"]
        assert run.info.status == ("FINISHED" if row["counts"] else "FAILED")
        assert run.data.params["norm"] == row["norm"] and run.data.params["seed"] == str(row["seed"])
        expected = {name: row[name] for name in METRICS if row[name] == row[name]}
        assert run.data.metrics == expected


@pytest.mark.parametrize("server", [True, False])
def test_the_command_that_shows_mlflows_runs_needs_its_server(server, recorded, monkeypatch, capsys):
    """The extra is mlflow-skinny: it writes, and its `mlflow ui` ends in a traceback."""
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setattr("fairtrial.reporting.export_runs.find_spec", lambda name: server or None)
    assert export("mlflow") == DONE
    said = capsys.readouterr().out
    assert "mlflow ui --backend-store-uri sqlite:///out/mlflow.db" in said
    assert ("pip install mlflow, then: " in said) == (not server)


def test_tensorboard_reads_the_event_files(recorded):
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="the extra tensorboard is not installed",
    )
    assert export("tensorboard") == export("tensorboard") == DONE
    folders = sorted(Path("out/small").iterdir())
    assert len(folders) == len(recorded) and all(len(list(each.iterdir())) == 1 for each in folders)
    for row in recorded.to_dict("records"):
        events = reading.EventAccumulator(f"out/small/{row['cell']}-{row['attempt']}").Reload()
        expected = {name for name in METRICS if row[name] == row[name]}
        assert set(events.Tags()["scalars"]) == expected
        held = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        assert row["norm"].encode() in held and row["arm"].encode() in held
        if row["counts"]:
            assert events.Scalars("test_acc")[0].value == pytest.approx(row["test_acc"])


@pytest.mark.slow
def test_wandb_writes_an_offline_run_for_each_attempt(recorded):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    assert export("wandb") == DONE
    keys = {f"{row['cell']}-{row['attempt']}" for row in recorded.to_dict("records")}
    folders = {each.name.split("-", 3)[3]: each for each in Path("out/wandb").glob("offline-run-*")}
    assert set(folders) == keys
    assert all(list(each.glob("run-*.wandb")) for each in folders.values())


@pytest.mark.parametrize("form", ["mlflow", "wandb", "tensorboard"])
def test_a_missing_library_is_a_block_that_names_its_extra(form, recorded, monkeypatch, capsys):
    loaded = [name for name in sys.modules if name.startswith(f"{form}.")]
    for name in (form, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    assert export(form) == USAGE
    said = capsys.readouterr().err
    assert f"writing for {form} needs {form}" in said and f"pip install 'fairtrial[{form}]'" in said
    assert not Path("out").exists()
