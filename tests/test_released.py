"""What ships in results/released: whole records, and documents that say what these records say."""

import json
from pathlib import Path

import pytest

from analysis.report import build, sentences
from fairtrial.store import Store
from fairtrial.study import Study

ROOT = Path(__file__).parents[1]
STUDIES = sorted(path for path in (ROOT / "results" / "released").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_a_released_study_is_complete_and_draws_the_same_again(folder, tmp_path):
    store = Store(folder)
    declared = Study.of(store.declared()["declaration"])
    assert {cell.id for cell in declared.cells()} == {record["cell"] for record in store.attempts()}
    copy = tmp_path / folder.name
    for path in (*folder.glob("cells/*.json"), folder / "study.json"):
        (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    report = build(Store(copy))
    assert (copy / "summary.csv").read_bytes() == (folder / "summary.csv").read_bytes()
    shipped = json.loads((folder / "verdicts.json").read_text())  # its last digits depend on scipy's version
    told = [contrast["sentence"] for contrast in shipped["contrasts"]] + [shipped["aa"]["sentence"]]
    assert list(report.sentences) == told


def test_the_readme_quotes_what_the_records_say():
    said, _ = sentences(Store(ROOT / "results" / "released" / "norm"))
    assert f"> {said[0]}" in (ROOT / "README.md").read_text().splitlines()
