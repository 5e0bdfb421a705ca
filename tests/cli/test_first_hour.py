"""What a new user meets first: a study file to begin with."""

import re

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE, INCOMPLETE, USAGE
from fairtrial.storage.store import Store


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("words", "name"), [([], "my-study"), (["other"], "other")])
def test_a_new_study_file_plans_and_runs(words, name, tmp_path, capsys):
    assert main(["init", *words]) == DONE
    printed = re.findall(r": fairtrial (.*)", capsys.readouterr().out)
    assert [words.split()[0] for words in printed] == ["plan", "run"]
    assert main(printed[0].split()) == DONE
    assert main([*printed[1].split(), "--limit", "1", "--jobs", "1", "--budget", "64ex"]) == INCOMPLETE
    (record,) = Store(tmp_path / "results" / name).attempts()
    assert record.status == "done"


def test_what_its_comments_promise_of_factors_is_so(capsys):
    main(["init"])
    assert main(["plan", "my_study.py", "--set", "nrm=x"]) == USAGE
    assert "known: " in capsys.readouterr().err
    assert main(["plan", "my_study.py", "--set", "norm=x"]) == USAGE
    assert "bn, gn" in capsys.readouterr().err


def test_a_file_is_never_overwritten(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("kept")
    assert main(["init", "mine"]) == USAGE
    assert "mine.py exists already; nothing was written" in capsys.readouterr().err
    assert (tmp_path / "mine.py").read_text() == "kept"


@pytest.mark.parametrize("name", ["norm", "Mine", "../mine", "mine.py", "", "a" * 41])
def test_a_name_that_no_study_can_have_writes_nothing(name, tmp_path):
    assert main(["init", name]) == USAGE
    assert list(tmp_path.iterdir()) == []
