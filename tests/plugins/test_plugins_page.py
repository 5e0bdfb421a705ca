"""The page on plug-ins: its files are written, its commands run, up to the verdict."""

import json
import re
from pathlib import Path

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE, INCOMPLETE
from fairtrial.reporting.figures import figure_files

PAGE = (Path(__file__).parents[2] / "docs/plugins.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for kind in ("pdf", "png"):  # each command draws a report
        monkeypatch.delitem(figure_files._METADATA, kind)
    return tmp_path


def lines(name):
    return sum(bool(line.strip()) for line in FILES[name].splitlines())


def records(study):
    return [json.loads(path.read_text()) for path in Path("results", study, "cells").glob("*.json")]


def test_a_norm_goes_from_the_shell_to_a_verdict(folder, capsys):
    assert lines("my_norm.py") < 10
    assert main(["run", "my_study.py", "--jobs", "1"]) == DONE
    assert "rms" in capsys.readouterr().out
    made = {record["settings"]["norm"]: record for record in records("rms")}
    sha256 = made["rms"]["settings"]["plugins"]
    assert "plugins" not in made["gn"]["settings"]
    assert made["gn"]["origin"]["plugins"] == {"my_norm.py": sha256}
    assert main(["report", "my_study.py", "--plugin", "my_figure.py"]) == DONE
    assert Path("results/rms/own-figures/seed-by-seed.svg").is_file()
    capsys.readouterr()
    # the record knows the text: a later command needs neither file nor option
    text = (folder / "my_norm.py").read_text()
    (folder / "my_norm.py").unlink()
    study = (folder / "my_study.py").read_text().replace('plugins=("my_norm.py",),', "")
    (folder / "my_study.py").write_text(study)
    assert main(["status", "my_study.py"]) == DONE
    assert "6 cells: 6 done" in capsys.readouterr().out
    # a changed file is said, and makes new cells of its arm alone
    (folder / "my_norm.py").write_text(text.replace("1e-5", "1e-6"))
    code = main(["run", "my_study.py", "--plugin", "my_norm.py", "--limit", "1", "--jobs", "1"])
    assert code == INCOMPLETE
    captured = capsys.readouterr()
    assert "my_norm.py changed since it was recorded" in captured.err + captured.out
    assert "6 cells: 4 done" in captured.err + captured.out


def test_own_training_code_goes_to_a_verdict(folder, capsys):
    assert lines("my_train.py") < 25
    assert main(["run", "optimizers.py", "--jobs", "1"]) == DONE
    assert "optimizer adam" in capsys.readouterr().out
    one = records("optimizers")[0]
    assert (one["spent"]["steps"], one["spent"]["examples"], one["measured"]["test_reads"]) == (60, 1920, 1)
    assert one["measured"]["correct"] and one["measured"]["test_n"] > 100
    assert main(["verdict", "optimizers.py"]) == DONE
    assert main(["verify", "results/optimizers"]) == DONE
