"""A study: arms, cells with ids that never change by accident, a declaration that rebuilds it."""

import json
from dataclasses import replace

import pytest

from fairtrial.errors import Fault
from fairtrial.study import factors
from fairtrial.study.budget import Budget
from fairtrial.study.identity import canonical, digest
from fairtrial.study.presets import PRESETS
from fairtrial.study.settings import Settings
from fairtrial.study.study import Contrast, Study, cell_id
from tests.support.studies import study

# 12 hex digits of sha256 over the canonical JSON text, by hand: a change here orphans every recorded cell.
# {"budget":"64ex","replica":0,"seed":0,
#  "settings":{"batch_size":4,"lr":0.3,"norm":"bn","resolution":16,"val_per_class":12}}  (gn is a default)
GOLDEN = {
    ("bn", 4, 0, 0): "ab4d123d1af4",
    ("gn", 16, 2, 0): "7d73bf06de88",
    ("gn", 16, 2, 1): "fad85ebd252f",
}


@pytest.mark.parametrize("cell", GOLDEN, ids=str)
def test_golden_identity(cell):
    norm, batch_size, seed, replica = cell
    settings = study().settings({"norm": norm, "batch_size": batch_size})
    assert cell_id(settings, Budget(examples=64), seed, replica) == GOLDEN[cell]


def test_cells_come_seed_by_seed_every_arm_within_a_seed():
    cells = study(seeds=(5, 0)).cells()
    told = [(cell.seed, cell.levels["norm"], cell.levels["batch_size"]) for cell in cells]
    block = [("bn", 4), ("bn", 16), ("gn", 4), ("gn", 16)]
    assert told == [(seed, *arm) for seed in (5, 0) for arm in block]


def test_every_cell_has_its_own_id():
    cells = study(aa={"norm": "gn", "batch_size": 16}, seeds=range(20)).cells()
    assert len({cell.id for cell in cells}) == len(cells) == 5 * 20


def test_the_replica_differs_from_its_arm_by_the_replica_alone():
    *_, twin, replica = study(aa={"batch_size": 16, "norm": "gn"}, seeds=(3,), primary=()).cells()
    assert (replica.replica, replica.arm) == (1, "gn, batch 16 (A/A)")
    assert (twin.settings, twin.levels, twin.seed) == (replica.settings, replica.levels, replica.seed)
    assert list(replica.levels) == list(twin.levels)
    assert twin.id != replica.id


@pytest.mark.parametrize(
    "changes",
    [
        {"factors": {"norm": ("bn", "gn", "ln"), "batch_size": (4, 16)}},  # an arm more
        {"factors": {"norm": ("bn", "gn"), "batch_size": (4, 16, 64)}},  # a level more
        {"factors": {"norm": ("gn", "bn"), "batch_size": (16, 4)}},  # other order of levels
        {"factors": {"batch_size": (4, 16), "norm": ("bn", "gn")}},  # other order of factors
        {"factors": {"norm": ("bn", "gn"), "batch_size": (4, 16), "mixup": (0.0, 0.1)}},  # a factor more
        {"seeds": range(9)},
        {"seeds": (2, 1, 0)},
        {"aa": {"norm": "gn", "batch_size": 4}},
        {"question": "Another one?", "name": "other", "margin": 0.05},
        {"primary": ()},
        {"fixed": {"lr": 0.3, "weight_std": True, "mixup": 0}},  # defaults, spelled out
    ],
    ids=str,
)
def test_nothing_else_changes_an_existing_cell(changes):
    before = {cell.id for cell in study().cells()}
    assert before <= {cell.id for cell in study(**changes).cells()}


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": Budget(examples=128)},
        {"budget": Budget(steps=64)},
        {"fixed": {"lr": 0.1}},
        {"fixed": {"lr": 0.3, "weight_std": False}},
        {"fixed": {"lr": 0.3, "data": "cifar10"}},
        {"preset": "mini"},
        {"seeds": (3, 4, 5)},
    ],
    ids=str,
)
def test_what_changes_the_result_changes_every_id(changes):
    before = {cell.id for cell in study().cells()}
    assert not before & {cell.id for cell in study(**changes).cells()}


def test_a_factor_at_its_default_is_no_part_of_an_id():
    """So a factor that is added to the table changes no old cell."""
    assert Settings().identity() == {} == Settings.of(Settings().record()).identity()


def test_a_recorded_setting_that_this_version_does_not_know_is_kept():
    settings = Settings.of({"norm": "bn", "newer": 3})
    assert settings.record()["newer"] == 3 and settings.identity() == {"norm": "bn", "newer": 3}


def test_one_value_in_two_spellings_is_one_cell():
    whole, real = (study(fixed={"lr": lr, "mixup": mixup}).cells() for lr, mixup in ((1, 0), (1.0, -0.0)))
    assert [cell.id for cell in whole] == [cell.id for cell in real]
    assert digest(study(fixed={"lr": 1}).declaration()) == digest(study(fixed={"lr": 1.0}).declaration())


def test_contrasts_and_the_replica_are_spelled_as_the_factors_are():
    swept = {"mixup": (0, 1), "norm": ("bn", "gn")}
    contrast = Contrast("mixup", {"mixup": 1}, {"mixup": 0}, by={"norm": ["gn", "bn"]})
    found = study(factors=swept, primary=contrast, aa={"norm": "gn", "mixup": 1})
    assert canonical(found.declaration()["primary"]).count("1.0") == 1
    assert found.aa == {"mixup": 1.0, "norm": "gn"}
    assert list(found.aa) == list(found.factors)
    assert found.primary[0].by == {"norm": ("gn", "bn")}


def test_data_counts_by_its_name_wherever_it_lies():
    here, there = (
        study(factors={"data": (f"parquet:{folder}/cifar10", "digits")}, primary=(), seeds=(0,))
        for folder in ("/a", "/b")
    )
    assert here.declaration() == there.declaration()
    assert [cell.id for cell in here.cells()] == [cell.id for cell in there.cells()]
    assert here.cells()[0].levels == {"data": "parquet:cifar10"}
    assert [cell.data for cell in (here.cells()[0], there.cells()[0])] == [
        "parquet:/a/cifar10",
        "parquet:/b/cifar10",
    ]


@pytest.mark.parametrize(
    "made",
    [
        study(),
        study(preset="mini", aa={"norm": "gn", "batch_size": 4}, margin=0.02),
        study(budget=Budget(seconds=0.1), seeds=(7, 3)),
        study(
            primary=(), secondary=Contrast("x", {"norm": "gn"}, {"norm": "bn"}, by={"batch_size": (4, 16)})
        ),
    ],
    ids=["plain", "mini", "seconds", "secondary"],
)
def test_a_declaration_rebuilds_the_study(made):
    declaration = json.loads(json.dumps(made.declaration()))
    again = Study.of(declaration)
    assert again.declaration() == declaration == made.declaration()
    assert [(c.id, c.arm, c.levels, c.settings) for c in again.cells()] == [
        (c.id, c.arm, c.levels, c.settings) for c in made.cells()
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": range(4)},
        {"margin": 0.02},
        {"fixed": {"lr": 0.2}},
        {"budget": Budget(examples=65)},
        {"primary": ()},
        {"aa": {"norm": "gn", "batch_size": 4}},
        {"question": "Why?"},
    ],
    ids=str,
)
def test_the_declaration_covers_what_was_decided_beforehand(changes):
    assert digest(study(**changes).declaration()) != digest(study().declaration())


def test_settings_go_default_preset_fixed_level():
    made = study(fixed={"lr": 0.3, "resolution": 24})
    settings = made.settings({"norm": "bn", "batch_size": 4})
    assert list(settings.record()) == list(factors.FACTORS)
    assert settings.batch_size == 4  # level
    assert settings.resolution == 24  # fixed, over the preset's
    assert settings.val_per_class == PRESETS["embedded"]["val_per_class"]  # preset
    assert settings.warmup == 0.0  # default


def test_a_study_may_change_under_a_preset():
    made = study(presets={"mini": {"budget": Budget(steps=9), "seeds": range(5), "fixed": {"lr": 0.1}}})
    mini = made.under("mini")
    assert (mini.budget, mini.seeds, mini.fixed) == (Budget(steps=9), (0, 1, 2, 3, 4), {"lr": 0.1})
    assert (made.id, mini.id) == ("small", "small-mini")
    assert mini.settings({}).data == "cifar10"


def test_an_unknown_preset_is_a_fault():
    with pytest.raises(Fault, match="unknown preset 'mimi', did you mean 'mini'"):
        study().under("mimi")


def test_a_single_contrast_or_a_list_of_them_is_a_family():
    one = Contrast("one", {"norm": "gn"}, {"norm": "bn"})
    two = replace(one, name="two")
    assert study(primary=one).contrasts == (one,)
    assert study(primary=[one], secondary=two).contrasts == (one, two)
    assert study(primary=(), secondary=()).contrasts == ()


def test_where_a_value_was_written_is_no_part_of_a_study():
    assert replace(study(), locations={"": "here.py:1"}) == study()


def test_no_number_that_is_none_gets_into_an_identity():
    with pytest.raises(ValueError, match="Out of range float"):
        canonical({"lr": float("nan")})
