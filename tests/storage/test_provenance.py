"""Where a record came from; what must not be mixed; what must never be written down."""

import json
import os
import subprocess
from importlib import metadata

import pytest

from fairtrial.errors import Fault
from fairtrial.storage import provenance
from fairtrial.storage.provenance import UNMIXED, gather, refuse_mixing

MINE = {"fairtrial": "0.1.0", "torch": "2.15", "device": "cpu", "threads": 1, "kernels": "compiled"}


def recorded(**changes):
    return [{"origin": MINE}, {"origin": MINE | changes}]


def test_a_record_says_what_ran_where():
    found = gather("cpu", 3, {"tf32": False})
    assert (found["device"], found["threads"], found["flags"]) == ("cpu", 3, {"tf32": False})
    assert found["versions"]["torch"] == metadata.version("torch")
    assert metadata.version("torch").startswith(found["torch"] + ".")
    assert set(UNMIXED) <= set(found)
    assert found["cores"] == os.cpu_count()
    json.dumps(found, allow_nan=False)


def test_the_environment_is_an_allow_list(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marker-7319")
    monkeypatch.setenv("FAIRTRIAL_STORAGE_URL", "postgresql://me:marker-7319@host/db")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    found = gather("cpu", 1, {})
    assert "marker-7319" not in json.dumps(found)
    assert found["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
    assert found["environment"]["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("threads", 2),
        ("torch", "2.14"),
        ("fairtrial", "0.0.9"),
        ("device", "NVIDIA H200"),
        ("kernels", "torch"),
    ],
)
def test_mixing_is_refused_with_both_values(name, theirs):
    with pytest.raises(Fault) as refused:
        refuse_mixing(recorded(**{name: theirs}), MINE)
    assert refused.value.code == 4
    (problem,) = refused.value.problems
    assert f"{name} " in problem.what
    assert str(theirs) in problem.what
    assert problem.what.endswith(f"this run has {MINE[name]}")


def test_everything_that_differs_is_told_at_once():
    with pytest.raises(Fault) as refused:
        refuse_mixing(recorded(threads=2, torch="2.14"), MINE)
    assert len(refused.value.problems) == 2


def test_what_was_not_recorded_mixes_with_anything():
    refuse_mixing([{"origin": {"kernels": "compiled"}}, *recorded(cpu="another", commit="another")], MINE)


def test_records_from_before_our_own_kernels_ran_on_those_of_torch():
    refuse_mixing([{"origin": {}}], MINE | {"kernels": "torch"})
    with pytest.raises(Fault, match="ran with kernels torch; this run has compiled"):
        refuse_mixing([{"origin": {}}], MINE)


def test_commit_and_changes_of_the_code_are_told(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    for part in ("src", "ablations", "results"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.py").write_bytes(b"x = '\xe9'\n")  # Latin-1: a difference need not be text
    git("init")
    git("add", ".")
    git("commit", "-m", "a")
    monkeypatch.setattr(provenance.fairtrial, "__file__", str(tmp_path / "src" / "fairtrial" / "__init__.py"))
    code = provenance._code.__wrapped__
    clean = code()
    assert (len(clean["commit"]), clean["dirty"]) == (40, None)
    (tmp_path / "results" / "a.py").write_text("1")
    assert code() == clean  # a study's own results change no code
    (tmp_path / "src" / "a.py").write_bytes(b"y = '\xe8'\n")
    assert (code()["commit"], len(code()["dirty"])) == (clean["commit"], 64)


def test_without_version_control_nothing_is_claimed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance.fairtrial, "__file__", str(tmp_path / "src" / "fairtrial" / "__init__.py"))
    assert provenance._code.__wrapped__() == {"commit": None, "dirty": None}


def test_a_package_that_is_not_there_is_said_so():
    assert provenance._version("surely-not-installed") == "not installed"
