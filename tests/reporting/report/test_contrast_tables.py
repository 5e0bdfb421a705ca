"""Every declared contrast is shown, favourable or not, with the number of families and of trials."""

from dataclasses import replace

import pytest

from fairtrial.reporting.readme_tables import BEGIN, END, STUDIES, STUDIES_END, with_contrasts, with_studies
from fairtrial.reporting.report import full_report, study_report
from fairtrial.reporting.report.contrast_tables import ICONS
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast
from fairtrial.study.tuning_plan import Tuning
from fairtrial.tuning.selection import advance
from tests.reporting.conftest import BN, GN_WS, ORIGIN, made_up

SMALL = Contrast("small batch", GN_WS, BN, {"batch_size": 4})
SHOTS = Contrast("more images", {"mixup": 0.1}, {"mixup": 0.0})
LARGE = Contrast("large batch", BN, GN_WS, {"batch_size": 64})


@pytest.fixture
def results(make_study, publish, noise, tmp_path):
    """A study with a gain and a loss as primary contrasts, and one of MixUp with a secondary one."""

    def acc(cell):
        gain = 0.05 if cell.settings.norm == "gn" and cell.settings.weight_std else 0.0
        return 0.8 + gain + 0.004 * noise(cell, "acc")

    publish(make_study(name="norms", primary=(SMALL, LARGE), aa=None, seeds=range(5)), acc)
    suits = Contrast("suits gn", {"mixup": 0.1}, {"mixup": 0.0}, by={"norm": ("gn", "bn")})
    factors = {"mixup": (0.0, 0.1), "norm": ("bn", "gn")}
    mixed = make_study(
        name="mixes", factors=factors, primary=(SHOTS,), secondary=(suits,), aa=None, seeds=range(5)
    )
    publish(mixed, lambda cell: 0.8 + 0.01 * noise(cell, "acc"))
    return tmp_path


@pytest.fixture
def report(kept, request):
    """The folder of the report over both, drawn once."""
    if not kept:
        kept["report"] = request.getfixturevalue("results") / "report"
        full_report.build(kept["report"].parent, kept["report"], jobs=1)
    return kept["report"]


def test_the_whole_report_shows_every_contrast_and_counts_them_and_their_families(report):
    page = (report / "index.md").read_text()
    assert "4 declared contrasts in 2 families, one for each study." in page
    assert "further contrasts, exploratory, in 1 family." in page  # of norms: no claim is about its own
    rows = [line for line in page.splitlines() if line[2:3] in ICONS.values()]
    assert len(rows) == 4
    assert [row.split(" | ")[0][2:] for row in rows if "norms (preset" in row] == ["↑ better", "↓ worse"]
    assert "| secondary | " in next(row for row in rows if "suits gn" in row)
    tex = (report / "tables" / "contrasts.tex").read_text()
    assert r"$\uparrow$ better" in tex and not set(tex) & set(ICONS.values()) - {"?"}


def test_a_page_that_quotes_a_study_shows_all_its_primary_contrasts(report):
    page = (report / "mixup.md").read_text()
    assert "more images" in page and "norms (preset" not in page
    normal = (report / "normalization.md").read_text()
    table = normal[normal.index("Every primary contrast") :]
    assert "| small batch |" in table and "| large batch |" in table
    assert "| more images |" in table  # its study is quoted for the secondary contrast


def page(*quotes):
    return "\n".join(["# A page", *quotes, BEGIN, "an old table", END, "the end\n"])


def test_a_page_gets_the_losses_of_the_studies_that_it_quotes_for_gains(results):
    folder = results / "results"
    folder.mkdir()
    for name in ("mixes", "norms"):
        (results / name).rename(folder / name)
        gain = study_report.build(Store(folder / name)).sentences[0]
    made = with_contrasts(page(f"> {gain}"), folder)
    assert "an old table" not in made and made.endswith("the end\n")
    assert "↑ better" in made and "↓ worse" in made and "mixes" not in made
    assert with_contrasts(made, folder) == made
    linked = with_contrasts(page("[mixes](results/mixes/report.md)"), folder)
    assert "| more images |" in linked and "suits gn" not in linked and "norms" not in linked
    assert "(preset" not in with_contrasts(page(), folder)
    with pytest.raises(ValueError, match="lacks the line"):
        with_contrasts("# A page", folder)


def test_a_page_lists_every_study_that_ships_real_images_first(make_study, publish, noise, tmp_path):
    """And not one of the user's own that ships too."""
    for name, data in (("alpha", "digits"), ("beta", "parquet:cifar10")):
        study = make_study(name=name, fixed={"data": data})
        study_report.build(publish(study, lambda cell: 0.5 + 0.1 * noise(cell, "acc")))
    text = with_studies(f"{STUDIES}\nold\n{STUDIES_END}\n", tmp_path)
    assert "old" not in text and text.index("[beta](beta/report.md)") < text.index("[alpha](alpha/report.md)")
    assert "| CIFAR-10 |" in text and with_studies(text, tmp_path) == text
    with pytest.raises(ValueError, match="lacks the line"):
        with_studies("# A page", tmp_path)


def test_trials_are_counted_from_records_and_pilots_named_with_what_they_chose(make_study, publish):
    """Trials of an earlier declaration count too: that a study is at one rule does not make them none."""
    plain = {"factors": {"norm": ("bn", "gn")}, "primary": (), "aa": None, "seeds": range(3)}
    tuned = make_study(
        **plain, fixed={"val_per_class": 2}, tuning=Tuning({"lr": (0.01, 0.03, 0.1, 0.3, 1.0)}, seeds=2)
    )
    store = publish(tuned, lambda cell: 0.8)
    for cell in advance(tuned, {}).cells[:7]:
        record = attempt_record(store.name, cell_message(cell), 1, made_up(cell, 0.8), origin(store))
        store.publish(record)
    study = replace(tuned, tuning=None, pilots="two seeds chose shots, of 20 and 60")
    store = publish(study, lambda cell: 0.8)
    study_report.build(store)
    said = (store.folder / "report.md").read_text()
    assert "- tuning: 7 trial runs recorded: one rule for all arms" in said
    assert "- pilots: two seeds chose shots, of 20 and 60" in said
    assert "not tuned for any (7 trial runs recorded; pilots: two seeds chose shots, of 20 and 60)" in said
    full_report.build(store.folder.parent, store.folder.parent / "report", jobs=1)
    table = (store.folder.parent / "report" / "tables" / "studies.csv").read_text()
    assert ',7,"two seeds chose shots, of 20 and 60",' in table


def origin(store):
    return {**ORIGIN, "declaration": store.hashes()[-1]}
