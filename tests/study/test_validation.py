"""Checks of a study that no malformed file shows (those are in test_malformed_studies.py)."""

import time

import pytest

from fairtrial.errors import Fault
from fairtrial.study.study import Contrast
from tests.support.studies import study


def whats(**changes):
    with pytest.raises(Fault) as caught:
        study(**changes)
    return [problem.what for problem in caught.value.problems]


@pytest.mark.parametrize(
    "field", ["factors", "fixed", "budget", "seeds", "presets", "question", "primary", "aa"]
)
def test_a_field_of_another_type_is_named(field):
    [what] = whats(**{field: 3})
    assert what == f"{field}=3 is int"


def test_without_places_a_fault_names_the_path_into_the_study():
    with pytest.raises(Fault) as caught:
        study(fixed={"lr": -1})
    assert [problem.where for problem in caught.value.problems] == ["fixed['lr']"]


def test_an_arm_is_told_once_however_many_arms_share_its_fault():
    assert whats(
        fixed={"micro_batch": 3}, factors={"norm": ("gn", "ln"), "batch_size": (4, 16)}, primary=()
    ) == [
        "micro_batch=3 does not divide batch_size=4",
        "micro_batch=3 does not divide batch_size=16",
    ]


@pytest.mark.parametrize(
    "fixed",
    [
        {"stat_batch": 2},
        {"micro_batch": 4, "bn_split": True},
        {"micro_batch": 4, "stat_batch": 2, "bn_split": True},
    ],
    ids=str,
)
def test_batches_that_split_are_fine(fixed):
    study(fixed=fixed)


def test_a_norm_of_single_images_may_see_one_image():
    study(factors={"norm": ("gn", "ln"), "batch_size": (1, 4)}, primary=(), fixed={"micro_batch": 1})


def test_a_long_list_of_bad_seeds_is_cut():
    assert whats(seeds=tuple(range(-9, 0))) == [
        "not a whole number in 0..2147483647: seed -9, -8, -7, -6, -5 and 4 more"
    ]


def test_two_seeds_are_allowed_and_one_without_contrasts():
    study(seeds=(0, 1))
    study(seeds=(0,), primary=())


def test_a_faulty_contrast_tells_everything_about_it():
    contrast = Contrast(" ", {"norm": "gn"}, {"batch_size": 4}, metric="f1", margin=float("inf"))
    found = whats(primary=contrast)
    for part in ("has no name", "unknown metric 'f1'", "margin=inf", "must name the same factors"):
        assert any(part in what for what in found), part


def test_two_contrasts_of_one_name():
    one = Contrast("same", {"norm": "gn"}, {"norm": "bn"})
    assert whats(primary=one, secondary=one) == ["contrast 'same' is declared twice"] * 2


def test_interactions_are_allowed():
    study(primary=Contrast("interaction", {"norm": "gn"}, {"norm": "bn"}, by={"batch_size": (4, 16)}))


def test_a_preset_that_names_itself_does_not_check_itself_for_ever():
    study(presets={"embedded": {"seeds": range(4)}, "mini": {"seeds": range(4)}})


def test_a_preset_changes_what_is_a_table():
    assert whats(presets={"mini": 3}) == ["presets['mini']=3 is int, not a table"]


def test_the_largest_study_is_checked_in_a_moment():
    started = time.process_time()
    study(factors={"batch_size": range(4, 25_004), "norm": ("gn",)}, seeds=range(4), primary=())
    assert time.process_time() - started < 5
