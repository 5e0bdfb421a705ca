"""A kept network that travels with an answer: written before its record, refused when it is another."""

import hashlib
import json
import sys
import tempfile
import threading
import time

import pytest

from fairtrial.errors import Fault
from fairtrial.execution.carried_files import keep_files
from fairtrial.execution.worker_host import WorkerHost, code
from fairtrial.storage import provenance
from fairtrial.storage.store import Store

NETWORK, PRINTS = b"weights", b"prints of images"
CELL, IMAGES = "0123456789ab", "images-0123456789abcdef.u64"
# What a worker does that keeps a network: the folder is in its first message.
KEEPS = f"""
import hashlib, json, pathlib, sys
weights = pathlib.Path(json.loads(sys.stdin.readline())["folder"]) / "weights"
weights.mkdir(parents=True)
(weights / "{CELL}-2.safetensors").write_bytes({NETWORK!r})
(weights / "{IMAGES}").write_bytes({PRINTS!r})
kept = {{"file": "{CELL}-2.safetensors", "bytes": {len(NETWORK)}, "images": "{IMAGES}",
        "sha256": hashlib.sha256({NETWORK!r}).hexdigest()}}
answer = {{"cell": "{CELL}", "attempt": 2, "result": {{"measured": {{"checkpoint": kept}}}}}}
print(json.dumps(answer), flush=True)
"""


def answered(tmp_path):
    """The answer of that worker, with its files, as an actor of another machine gives it."""
    host = WorkerHost(["-c", KEEPS], 1, "cpu", lambda: "there")
    host.give({"folder": str(tmp_path / "nowhere")})
    items, end = [], time.monotonic() + 30
    while not any("exit" in item for item in items):
        assert time.monotonic() < end
        items += host.answers(len(items))
    place, answer, ended = items
    assert (place["machine"], place["code"], ended) == ("there", code(), {"exit": 0})
    assert not (tmp_path / "nowhere").exists()
    return {**answer["message"], "files": answer["files"]}


def test_a_network_kept_elsewhere_is_written_here(tmp_path):
    store = Store(tmp_path / "study")
    message = answered(tmp_path)
    keep_files(store, CELL, 2, message)
    keep_files(store, CELL, 2, message)  # what stands is left as it is
    held = {path.name: path.read_bytes() for path in (store.folder / "weights").iterdir()}
    assert held == {f"{CELL}-2.safetensors": NETWORK, IMAGES: PRINTS}


@pytest.mark.parametrize("stays", [False, True])
def test_a_worker_leaves_nothing_on_its_machine_however_it_ends(tmp_path, monkeypatch, stays):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    host = WorkerHost(["-c", KEEPS + "import time\ntime.sleep(600)\n" * stays], 1, "cpu", lambda: "there")
    host.give({"folder": "there"})
    items, end = [], time.monotonic() + 30
    while not any("message" in item for item in items):
        assert time.monotonic() < end
        items += host.answers(len(items))
    assert next(item for item in items if "message" in item)["files"][IMAGES] == PRINTS
    host.end()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_says_what_cannot_be_understood_is_ended_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    host = WorkerHost(["-c", "import time\nprint('not json', flush=True)\ntime.sleep(600)"], 1, "cpu", str)
    host.end()
    assert list(tmp_path.iterdir()) == [] and host.answers(1) == [{"exit": -9}]


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({f"{CELL}-2.safetensors": b"other"}, {}),
        ({"../../x": b"x"}, {"images": "../../x"}),
        ({f"{CELL}-2.safetensors": NETWORK, "more": b""}, {}),
        ({f"{CELL}-2.safetensors": NETWORK}, {"file": f"{CELL}-1.safetensors"}),
    ],
)
def test_files_that_are_not_those_of_the_result_are_refused(tmp_path, files, kept):
    digest = hashlib.sha256(NETWORK).hexdigest()
    true = {"file": f"{CELL}-2.safetensors", "bytes": len(NETWORK), "sha256": digest, "images": IMAGES}
    carried = {IMAGES: PRINTS, f"{CELL}-2.safetensors": NETWORK} | files
    message = {"result": {"measured": {"checkpoint": true | kept}}, "files": carried}
    with pytest.raises(Fault, match="not those of its result") as refused:
        keep_files(Store(tmp_path / "study"), CELL, 2, message)
    assert refused.value.code == 3
    assert not (tmp_path / "study").exists()


def test_an_answer_without_files_writes_nothing(tmp_path):
    keep_files(Store(tmp_path / "study"), CELL, 2, {"result": {"measured": {}}})
    assert not (tmp_path / "study").exists()


def test_workers_of_one_run_must_be_alike():
    one = {"fairtrial": "1", "torch": "2", "device": "cpu", "threads": 1, "kernels": "torch", "cpu": "a"}
    provenance.refuse_unlike(one, one | {"cpu": "b"}, one_cpu=False)
    with pytest.raises(Fault, match="cpu a and b"):
        provenance.refuse_unlike(one, one | {"cpu": "b"}, one_cpu=True)
    with pytest.raises(Fault, match="kernels torch and compiled") as refused:
        provenance.refuse_unlike(one, one | {"kernels": "compiled"}, one_cpu=False)
    assert refused.value.code == 4


def test_without_ray_one_is_told_what_to_install_before_anything_starts(tmp_path, capsys, monkeypatch):
    from fairtrial.cli.main import main

    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["run", "norm", "--results", str(tmp_path), "--ray", "auto", "--json"]) == 2
    (told,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert told["do"] == 'pip install "fairtrial[ray]"'
    assert list(tmp_path.iterdir()) == []
