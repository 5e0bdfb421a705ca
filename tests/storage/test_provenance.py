"""Where a record came from; what must not be mixed; what must never be written down."""

import json
import os
import subprocess
from importlib import metadata

import pytest

from fairtrial.errors import Fault
from fairtrial.storage import provenance
from fairtrial.storage.provenance import (
    UNMIXED,
    Provenance,
    code_of,
    gather,
    refuse_mixing,
    refuse_other_code,
    refuse_unlike,
)  # fmt: skip

MINE = {"fairtrial": "0.1.0", "torch": "2.15", "device": "cpu", "threads": 1, "kernels": "compiled"}


def recorded(**changes):
    return [Provenance(**MINE), Provenance(**MINE | changes)]


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
    refuse_mixing([Provenance(kernels="compiled"), *recorded(cpu="another", commit="another")], MINE)


def test_other_code_is_refused_with_both_commits_and_what_to_do():
    theirs = recorded(commit="a" * 40)[1:]
    refuse_other_code(theirs, MINE | {"commit": "a" * 40, "dirty": None})
    for mine in ({"commit": "b" * 40}, {"commit": "a" * 40, "dirty": "c" * 64}, {"commit": None}):
        with pytest.raises(Fault, match=r"mixed code: recorded .* commit aaaaaaa") as no:
            refuse_other_code(theirs, MINE | mine)
        assert no.value.code == 4 and "no verdict is given on both" in no.value.problems[0].do
        assert no.value.problems[0].do.startswith("run the rest from commit aaaaaaa, ")
    with pytest.raises(Fault) as no:  # nobody can go back to changes that are in no commit
        refuse_other_code([*theirs, *recorded(dirty="d" * 64)[1:]], MINE)
    assert "run the rest" not in no.value.problems[0].do


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"torch": "2.14"}, "workers of one run differ: torch 2.15 and 2.14"),
        ({"commit": "b" * 40}, "are of fairtrial 0.1.0 commit not recorded and of .* commit bbbbbbb"),
        ({"dirty": "c" * 64}, "commit not recorded modified ccccccc"),
    ],
)
def test_workers_of_other_code_are_refused(changes, words):
    refuse_unlike(MINE, dict(MINE), one_cpu=False)
    with pytest.raises(Fault, match=words) as no:
        refuse_unlike(MINE, MINE | changes, one_cpu=False)
    assert ("torch" in changes) == ("machines of one torch" in no.value.problems[0].do)


def test_records_from_before_our_own_kernels_ran_on_those_of_torch():
    refuse_mixing([Provenance()], MINE | {"kernels": "torch"})
    with pytest.raises(Fault, match="ran with kernels torch; this run has compiled"):
        refuse_mixing([Provenance()], MINE)


@pytest.mark.parametrize("name", ["OMP_SECRET", "MKL_TOKEN", "CUDA_VISIBLE_PASSWORD", "MALLOC_KEY"])
def test_a_name_that_begins_like_an_allowed_one_is_not_recorded(monkeypatch, name):
    monkeypatch.setenv(name, "marker-7319")
    assert "marker-7319" not in json.dumps(gather("cpu", 1, {}))


@pytest.fixture
def checkout(tmp_path):
    """A checkout with src, ablations and results, and git in it."""
    root = tmp_path / "checkout"
    for part in ("src", "ablations", "results"):
        (root / part).mkdir(parents=True)
        (root / part / "a.py").write_bytes(b"x = '\xe9'\n")  # Latin-1: a difference need not be text
    committed(root)
    return root


def committed(root):
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "a", "--allow-empty")):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_commit_and_changes_of_the_code_are_told(checkout):
    clean = code_of(checkout)
    assert (len(clean["commit"]), clean["dirty"], len(clean)) == (40, None, 2)
    (checkout / "results" / "a.py").write_text("1")
    (checkout / "ablations" / "mine.py").write_text("1")
    assert code_of(checkout) == clean  # a study's own results and a new study change no code
    (checkout / "src" / "a.py").write_bytes(b"y = '\xe8'\n")
    assert (code_of(checkout)["commit"], len(code_of(checkout)["dirty"])) == (clean["commit"], 64)


def test_a_new_module_is_a_change_by_its_content(checkout):
    digests = set()
    for text in ("1", "2"):
        (checkout / "src" / "new.py").write_text(text)
        digests.add(code_of(checkout)["dirty"])
    assert len(digests) == 2 and None not in digests


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"])
def test_variables_that_a_hook_exports_name_no_other_repository(checkout, tmp_path, monkeypatch, name):
    clean = code_of(checkout)
    other = tmp_path / "other"
    other.mkdir()
    committed(other)
    values = {"GIT_DIR": other / ".git", "GIT_INDEX_FILE": other / ".git" / "index", "GIT_WORK_TREE": other}
    monkeypatch.setenv(name, str(values[name]))
    assert code_of(checkout) == clean


def test_a_repository_above_is_not_asked(tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    committed(inner.parent)
    assert code_of(inner) == {"commit": None, "dirty": None}
    (inner / ".git").mkdir()  # damaged: git would look above
    code = code_of(inner)
    assert (code["commit"], code["dirty"]) == ("unknown", "unknown")
    assert code["git"].startswith("git refused: fatal: not a git repository")


def test_what_git_refuses_to_tell_is_never_clean(checkout):
    commit = code_of(checkout)["commit"]
    (checkout / ".git" / "index").write_bytes(b"DIRC, and no more")
    code = code_of(checkout)
    assert (code["commit"], code["dirty"]) == (commit, "unknown")
    assert code["git"].startswith("git refused: ")


def test_a_checkout_of_another_owner_is_unknown_with_the_reason(checkout, monkeypatch):
    monkeypatch.setattr(provenance.os, "environ", {**os.environ, "PATH": str(fake_git(checkout.parent))})
    code = code_of(checkout)
    assert (code["commit"], code["dirty"]) == ("unknown", "unknown")
    assert code["git"] == f"git refused: fatal: detected dubious ownership in repository at '{checkout}'"


def fake_git(folder):
    """A folder with a git that refuses, as it does for a checkout of another owner."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    text = "fatal: detected dubious ownership in repository at '%s'"
    program.write_text(f'#!/bin/sh\nprintf "{text}\\n" "$2" >&2\nexit 128\n')
    program.chmod(0o755)
    return program.parent


def test_without_version_control_nothing_is_claimed(tmp_path):
    assert code_of(tmp_path) == {"commit": None, "dirty": None}


def test_a_package_that_is_not_there_is_said_so():
    assert provenance._version("surely-not-installed") == "not installed"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor : 0\nmodel name : Abacus 1\n\nprocessor : 1\nmodel name : Abacus 2\n", "Abacus 1"),
        ("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n", "ARM implementer 0x41, part 0xd0c"),
    ],
)
def test_a_processor_is_named_by_what_linux_tells(monkeypatch, text, name):
    monkeypatch.setattr(provenance.sys, "platform", "linux")
    monkeypatch.setattr(provenance.Path, "read_text", lambda *_, **__: text)
    assert provenance.cpu_model.__wrapped__() == name
