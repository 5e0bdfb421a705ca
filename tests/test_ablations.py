"""Every study in ablations/: it loads, under every preset, and runs as a program."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fairtrial.cli.options import apply
from fairtrial.errors import Fault
from fairtrial.execution.runner import Options
from fairtrial.planning.plan import audit, plan
from fairtrial.storage.store import Store
from fairtrial.study.limits import PARITY_LIMIT
from fairtrial.study.loader import find, known_studies, load
from fairtrial.study.presets import PRESETS

ROOT = Path(__file__).parents[1]


def presets(name):
    made = load(find(name))
    return [made.preset, *(preset for preset in made.presets if preset != made.preset)]


@pytest.mark.parametrize(
    ("name", "preset"), [(name, each) for name in known_studies() for each in presets(name)]
)
def test_a_study_loads_under_each_of_its_presets(name, preset):
    made = load(find(name)).under(preset)
    assert made.name == name
    assert made.contrasts and (made.aa is not None or made.settings({}).stage == "upstream")
    assert len(made.seeds) >= 3
    cells = made.cells()
    assert len({cell.id for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", known_studies())
def test_a_preset_that_a_study_does_not_declare_is_refused_with_the_list(name):
    """At BiT's size, its budget would be that of a small network."""
    made = load(find(name))
    for preset in set(PRESETS) - set(presets(name)):
        with pytest.raises(Fault, match=f"{name} has no preset '{preset}'") as refused:
            made.under(preset)
        assert refused.value.problems[0].do.startswith(f"choose one of: {', '.join(presets(name))};")


def test_the_page_of_scope_names_preset_bit_or_its_lack_for_every_study():
    text = (ROOT / "docs/scope.md").read_text(encoding="utf-8").partition("| `--preset bit` |")[2]
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    has = {name: "has none" not in said for names, said in rows for name in re.findall(r"`([\w-]+)`", names)}
    assert has == {name: "bit" in presets(name) for name in known_studies()}


# The ladder has no such size; under it shots has the curve, and BiT's own weights are the public ones. The
# others ask what preset mini answered twice, or of two small networks.
OF_OTHER_SIZES = {
    "ladder", "shots-curve", "public-weights", "norm-searches", "sizes", "upstream-few", "upstream-many"
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(known_studies()) - OF_OTHER_SIZES))
def test_preset_bit_is_the_size_of_bit(name):
    made = load(find(name)).under("bit")
    assert {cell.settings.model for cell in made.provisional().cells()} == {"r50x1"}
    assert made.budget != load(find(name)).budget


@pytest.mark.parametrize("name", known_studies())
def test_no_arm_sees_more_images_than_another(name, tmp_path):
    assert plan(load(find(name)), Options(results=tmp_path))["parity_gap"] <= PARITY_LIMIT


@pytest.mark.parametrize("name", known_studies())
def test_all_arms_draw_alike_and_the_replica_does_not(name):
    made = load(find(name))
    rows = list(audit(made).values())
    arms, replicas = rows[: len(made.arms())], rows[len(made.arms()) :]
    for stream in ("subset", "init", "order", "augment"):
        assert len({row[stream] for row in arms}) == 1
        for replica in replicas:
            assert (replica[stream] == arms[0][stream]) is (stream == "subset")


@pytest.mark.parametrize("name", known_studies())
def test_a_study_is_a_table(name):
    """No if, no loop, nothing computed; a docstring with the question, the command, the cost, the result."""
    text = find(name).read_text()
    tree = ast.parse(text)
    told = ast.get_docstring(tree)
    assert all(f"{part}:" in told for part in ("Run", "Takes", "Result"))
    assert load(find(name)).question in " ".join(told.split())
    *body, last = tree.body
    assert ast.unparse(last) == "if __name__ == '__main__':\n    drive(STUDY)"
    assert not [
        n for n in body for n in ast.walk(n) if isinstance(n, (ast.If, ast.For, ast.While, ast.FunctionDef))
    ]


def run(*command, cwd):
    environment = {**os.environ, "XDG_CACHE_HOME": str(cwd / "cache")}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_readme_shows_lines_of_the_study_that_ships():
    """Its seeds and tuning seeds were those of two versions ago."""
    (shown,) = re.findall(r"^```python\n(STUDY = .*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = [line.partition("  #")[0] for line in shown.splitlines() if "..." not in line]
    there = (ROOT / "ablations" / "norm.py").read_text()
    assert len(lines) > 12 and [line for line in lines if line not in there] == []


def test_a_study_runs_as_a_program_and_goes_on_as_a_command(tmp_path):
    """One real trial each way: exit 5, because most cells are still missing."""
    made = apply(load(find("norm")), budget="64ex", seeds="2")
    options = ["--limit", "1", "--jobs", "1", "--budget", "64ex", "--seeds", "2"]
    done = run(str(ROOT / "ablations/norm.py"), *options, cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "1 of 120 trial runs have ended" in done.stdout
    assert "the same command goes on where it stopped" in done.stderr

    done = run("-m", "fairtrial", "run", str(ROOT / "ablations/norm.py"), *options, "--json", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout)["counts"] == {"pending": 14}  # confirmatory cells wait for the trials

    records = Store.of(made, tmp_path / "results").attempts()
    assert [record.status for record in records] == ["done", "done"]
    assert [record.settings.stage for record in records] == ["tuning", "tuning"]
