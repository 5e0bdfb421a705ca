"""What a study folder says was declared, and when."""

import json
from dataclasses import replace

import pytest

from fairtrial.errors import Fault
from fairtrial.storage.integrity import sealed
from fairtrial.storage.record import cell_message
from fairtrial.storage.store import Store
from fairtrial.study.factors import recorded_digest
from fairtrial.study.study import Contrast
from fairtrial.study.tuning_plan import Tuning
from tests.storage.making import FIRST, only_file
from tests.support.records import ORIGIN, declared_store, killed, publish, trial
from tests.support.toy import toy_study

LATER = Contrast("later", treatment={"norm": "bn"}, control={"norm": "gn"})


def test_a_record_of_a_declaration_that_the_study_never_had_is_refused_and_repair_moves_it(store, study):
    good, strange = publish(store, study.cells()[0]), study.cells()[1]
    publish(store, strange, declaration="ab" * 32)
    with pytest.raises(Fault, match="it ran under declaration abababababab") as refused:
        store.attempts()
    (problem,) = refused.value.problems
    path = store.folder / "cells" / f"{strange.id}-1.json"
    assert (refused.value.code, problem.where) == (3, str(path)) and "fairtrial repair" in problem.do
    with pytest.raises(Fault, match="it ran under declaration abababababab"):
        store.declare(toy_study(primary=FIRST, seeds=5))
    (moved,) = store.set_aside()
    assert moved.name.endswith(path.name) and not path.exists()
    assert store.attempts() == [good]


def test_a_record_says_what_it_ran_under_unless_it_is_older_than_schema_3(store, study):
    body = publish(store, study.cells()[0]).as_json()
    del body["origin"]["declaration"]
    only_file(store).write_text(sealed(body))
    with pytest.raises(Fault, match=r"the record lacks origin\.declaration"):
        store.attempts()
    only_file(store).write_text(sealed(body | {"schema": 2}))
    assert store.attempts()[0].provenance.declaration is None


def test_an_unchanged_declaration_is_not_written_again(store, study):
    before = (store.folder / "study.json").stat().st_mtime_ns
    store.declare(study)
    assert (store.folder / "study.json").stat().st_mtime_ns == before
    assert [entry["seen"] for entry in store.declared()["history"]] == [0]


def test_what_pilots_chose_is_told_and_declares_nothing_anew(store, study):
    history = store.declared()["history"]
    told = replace(study, pilots="seeds 7 and 8 chose the budget")
    store.declare(told)
    assert store.declared()["pilots"] == "seeds 7 and 8 chose the budget"
    assert store.declared()["history"] == history
    assert recorded_digest(told.declaration()) == history[0]["hash"]
    store.declare(study)
    assert "pilots" not in store.declared()


def test_history_says_how_many_outcomes_were_known(store, study):
    for cell in study.cells()[:3]:
        publish(store, cell)
    publish(store, study.cells()[3], 1, killed())  # no outcome
    store.declare(toy_study(primary=FIRST, seeds=5))
    first, second = store.declared()["history"]
    assert (first["seen"], second["seen"]) == (0, 3)


def test_a_contrast_declared_after_results_is_told_from_one_declared_before(store, study):
    publish(store, study.cells()[0])
    store.declare(toy_study(primary=FIRST, secondary=(LATER,)))
    first, second = store.declared()["history"]
    assert second["contrasts"]["first"] == first["contrasts"]["first"]  # known since nothing was seen
    assert second["contrasts"]["later"] not in first["contrasts"].values()
    assert second["seen"] == 1


def test_a_contrast_is_another_one_when_its_frame_changes(store, study):
    store.declare(toy_study(primary=FIRST, seeds=5))
    first, second = store.declared()["history"]
    assert first["contrasts"]["first"] != second["contrasts"]["first"]


def test_one_can_go_back_to_an_old_declaration(store, study):
    store.declare(toy_study(primary=FIRST, seeds=5))
    publish(store, study.cells()[0])
    store.declare(study)
    history = store.declared()["history"]
    assert [entry["hash"] for entry in history].count(recorded_digest(study.declaration())) == 2
    assert history[0]["contrasts"] == history[2]["contrasts"]
    assert [entry["seen"] for entry in history] == [0, 0, 1]


@pytest.mark.parametrize(
    ("old", "new"), [('"seen": 3', '"seen": 0'), ("Does it come back?", "Did it come back?")]
)
def test_an_edited_declaration_or_history_is_named(store, study, old, new):
    for cell in study.cells()[:3]:
        publish(store, cell)
    store.declare(toy_study(primary=FIRST, seeds=5))
    path = store.folder / "study.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Fault, match="the record was edited"):
        store.declared()


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("declaration", [], "declaration: expected an object"),
        ("declaration.seeds", "0..3", r"declaration\.seeds: expected a list of whole numbers"),
        ("declaration.seeds", [0, 0, 1], "declaration: .*seed"),
        ("declaration.factors", {"norm": "bn"}, r"declaration\.factors: expected a list of levels"),
        ("declaration.factors", {"norm": ["bn", "ln3"]}, "declaration: .*ln3"),
        ("declaration.budget", "8 parsecs", "declaration: .*parsecs"),
        ("declaration.primary", [{"name": "first"}], "no study can be made of it"),
        ("declaration.margin", "wide", r"declaration\.margin: expected a finite number"),
        ("declaration.alpha", 5, r"declaration\.alpha: expected a fraction"),
        ("declaration.study", "../x", "declaration: .*'../x'"),
        ("history", [], "history: expected a list of what was declared"),
        ("history", [{"hash": 7, "contrasts": {}, "seen": 0}], r"history\.0\.hash: expected 64 hexadecimal"),
        ("pilots", ["a"], "pilots: expected a text"),
    ],
)
def test_a_sealed_declaration_that_no_study_has_is_damage_and_named(store, study, at, value, said):
    path = store.folder / "study.json"
    body = {name: each for name, each in json.loads(path.read_text()).items() if name != "sha256"}
    *inside, name = at.split(".")
    (body[inside[0]] if inside else body)[name] = value
    path.write_text(sealed(body))
    for reader in (store.declared, store.attempts, lambda: store.declare(study)):
        with pytest.raises(Fault, match=said) as damaged:
            reader()
        assert (damaged.value.code, damaged.value.problems[0].where) == (3, str(path))
    assert len(store.set_aside()) == 1


def test_another_study_in_the_folder_is_refused_with_both_ids(store):
    with pytest.raises(
        Fault, match=r"holds study toy \(preset embedded\), not game \(preset embedded\)"
    ) as refused:
        store.declare(replace(toy_study(), name="game"))
    assert refused.value.code == 4


def test_a_folder_without_a_study_says_what_to_run(tmp_path):
    with pytest.raises(Fault, match="no study is recorded here") as missing:
        Store(tmp_path / "toy").declared()
    assert missing.value.problems[0].do == "run it first: fairtrial run toy"


def test_a_cloned_folder_without_its_empty_parts_is_declared_again(store, study):
    (store.folder / "leases").rmdir()
    store.declare(study)
    store.lease(cell_message(study.cells()[0]), 1, 1, ORIGIN)


def test_a_factor_that_is_added_later_declares_nothing_anew(store, study, monkeypatch):
    """The folder was declared by a version that did not have the factor yet; contrasts stay confirmatory."""
    declaration = study.declaration()
    older = {**declaration, "fixed": {n: v for n, v in declaration["fixed"].items() if n != "precision"}}
    with monkeypatch.context() as patch:
        patch.setattr(type(study), "declaration", lambda _: older)
        store.declare(study)
    before = (store.folder / "study.json").read_bytes()
    store.declare(study)
    assert (store.folder / "study.json").read_bytes() == before
    store.declare(replace(study, fixed={**study.fixed, "lr": 0.123}))
    assert len(store.declared()["history"]) == 2


def test_a_contrast_declared_after_the_trials_but_before_the_first_result_has_seen_nothing(tmp_path):
    tuned = toy_study(val_per_class=2, primary=FIRST, tuning=Tuning({"lr": (0.1, 0.3)}))
    store = declared_store(tuned, tmp_path)
    publish(store, tuned.trial_cell(tuned.arms()[0], tuned.tuning.seeds_of(0)[0], {"lr": 0.1}), 1, trial())
    store.declare(replace(tuned, secondary=LATER))
    publish(store, tuned.provisional().cells()[0])
    store.declare(replace(tuned, secondary=(LATER, replace(LATER, name="last"))))
    assert [entry["seen"] for entry in store.declared()["history"]] == [0, 0, 1]
