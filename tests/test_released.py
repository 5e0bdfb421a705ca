"""What ships in results/released: whole records, and documents that say what these records say."""

import json
from functools import cache
from pathlib import Path

import pytest

from fairtrial import weights
from fairtrial.cli.options import apply
from fairtrial.models.resnet import create_model
from fairtrial.reporting.figures import figure_files
from fairtrial.reporting.report.contrast_tables import BEGIN, END, with_contrasts
from fairtrial.reporting.report.study_report import build, report_files
from fairtrial.reporting.results.load import summary
from fairtrial.reporting.tables.table import csv_text
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.store import Store
from fairtrial.study.loader import find, load
from fairtrial.study.study import Study
from fairtrial.tuning.selection import expected_cells

ROOT = Path(__file__).parents[1]
UPSTREAM = ROOT / "results" / "upstream"
STUDIES = [UPSTREAM, *sorted(path for path in (ROOT / "results" / "released").iterdir() if path.is_dir())]


@pytest.fixture(scope="module")
def attempts():
    """The attempts of a folder, read once: all together are seven thousand files."""
    return cache(lambda folder: Store(folder).attempts())


@pytest.fixture(scope="module")
def judged():
    """The verdicts on a folder, made once."""
    return cache(lambda folder: judge_study(Store(folder)))


def expected(study, attempts):
    """The ids of all cells that a study asks for, trials included, once its trials have chosen."""
    cells, trials = expected_cells(study, outcomes(attempts, study.failures))
    return {cell.id for cell in (*cells, *trials)}


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_a_released_study_is_complete_and_says_the_same_again(folder, attempts, judged):
    declared = Study.of(Store(folder).declared()["declaration"])
    assert expected(declared, attempts(folder)) == {record.cell for record in attempts(folder)}
    made = judged(folder)
    assert csv_text(*summary(made.results)) == (folder / "summary.csv").read_text(encoding="utf-8")
    shipped = json.loads((folder / "verdicts.json").read_text())  # its last digits depend on scipy's version
    assert made.sentences == tuple(contrast["sentence"] for contrast in shipped["contrasts"])
    assert (made.control and made.control.sentence) == (shipped["aa"] and shipped["aa"]["sentence"])


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(path, id=path.name, marks=[] if path.name == "norm" else pytest.mark.soak)
        for path in STUDIES
    ],
)
def test_a_released_study_draws_the_same_again(folder, tmp_path, monkeypatch):
    for kind in ("pdf", "png"):  # svg alone: these are the figures that ship
        monkeypatch.delitem(figure_files._METADATA, kind)
    copy = tmp_path / folder.name
    for path in (*folder.glob("cells/*.json"), *folder.glob("calibration-*.json"), folder / "study.json"):
        (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    build(Store(copy))
    assert (copy / "summary.csv").read_bytes() == (folder / "summary.csv").read_bytes()
    for path in folder.glob("figures/*.svg"):
        assert (copy / path.relative_to(folder)).is_file(), path.name


@pytest.mark.parametrize("folder", STUDIES, ids=lambda path: path.name)
def test_a_released_study_is_the_one_of_its_file(folder, attempts, tmp_path):
    """To run it again declares nothing anew: its contrasts stay confirmatory."""
    declared = Store(folder).declared()["declaration"]
    made = load(find(declared["study"]))
    preset = None if declared["preset"] == made.preset else declared["preset"]
    made = apply(made, preset=preset, data=declared["fixed"]["data"])
    assert expected(made, attempts(folder)) == {record.cell for record in attempts(folder)}
    store = Store.of(made, tmp_path)
    store.folder.mkdir()
    (store.folder / "study.json").write_bytes((folder / "study.json").read_bytes())
    store.declare(made)
    assert store.folder.name == folder.name
    assert (store.folder / "study.json").read_bytes() == (folder / "study.json").read_bytes()


def test_the_readme_quotes_what_the_records_say(judged):
    quoted = [line[2:] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("> ")]
    every = [judged(folder) for folder in STUDIES]
    said = {sentence for made in every for sentence in made.sentences}
    said |= {made.control.sentence for made in every if made.control}
    assert len(quoted) >= 3 and set(quoted) <= said


def test_the_readme_shows_every_primary_contrast_of_the_studies_that_it_quotes():
    """Made anew by `python analysis/readme.py`."""
    readme = (ROOT / "README.md").read_text()
    assert with_contrasts(readme, ROOT / "results") == readme
    assert readme[readme.index(BEGIN) : readme.index(END)].count("(preset ") >= 3


def test_a_study_that_a_reader_ran_again_is_not_quoted_twice(tmp_path):
    """The README's first command writes results/norm; its second one must pass after it."""
    readme = (ROOT / "README.md").read_text()
    for folder in (*STUDIES, ROOT / "results" / "released" / "norm"):
        part = "released" if folder.parent.name == "released" else ""
        own = tmp_path / part / folder.name
        own = tmp_path / folder.name if own.exists() else own
        own.mkdir(parents=True)
        for name in ("study.json", "verdicts.json"):
            (own / name).write_bytes((folder / name).read_bytes())
    assert (tmp_path / "norm" / "verdicts.json").is_file()
    assert with_contrasts(readme, tmp_path) == readme


def test_every_checkpoint_that_ships_loads_and_is_the_one_of_its_record():
    records = [each for each in Store(UPSTREAM).attempts() if each.settings.stage == "upstream"]
    assert len(records) == 20
    for record in records:
        settings, kept = record.settings, record.measured.checkpoint
        model = create_model(settings.model, 10, settings.norm, settings.weight_std)
        source = weights.load(model, UPSTREAM / "weights" / kept.file, head="zero")
        assert (source.sha256, source.metadata["seed"]) == (kept.sha256, record.seed)
    assert sum(path.stat().st_size for path in (UPSTREAM / "weights").iterdir()) <= 20e6


def test_the_page_on_the_ladder_has_the_table_of_its_records(judged):
    told = (ROOT / "docs" / "ladder.md").read_text()
    files = report_files(judged(ROOT / "results" / "released" / "ladder"), ())
    assert files["tables/ladder.md"].strip() in told
