"""Options over a study: seeds, budget, levels, data; and numbers in options."""

import sys

import pytest

from fairtrial.cli import options, study_commands
from fairtrial.cli.parser import parser
from fairtrial.errors import Fault, Problem, fault
from fairtrial.study.budget import Budget
from fairtrial.study.contrast import corners
from fairtrial.study.loader import find, known_studies, load
from tests.support.studies import study

FREE = {"primary": ()}  # levels may then be chosen at will


def test_without_options_a_study_stays_as_it_is():
    assert options.apply(study()) == study()


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("10", range(10)),
        ("0,3,7", (0, 3, 7)),
        ("7, 0", (7, 0)),
        ("5..9", range(5, 10)),
        ("4..4", (4,)),
        ("3", range(3)),
    ],
)
def test_seeds_are_a_count_a_list_or_a_span(text, seeds):
    assert options.apply(study(**FREE), seeds=text).seeds == tuple(seeds)


@pytest.mark.parametrize("text", ["", "1..", "..3", "1.5", "1,,2", "a", "1 2", "0x3", "+3", "٣"])
def test_other_seeds_are_refused(text):
    with pytest.raises(Fault, match="neither a count nor a list"):
        options.parse_seeds(text)


def test_set_replaces_levels_and_sweeps_what_was_fixed():
    made = options.apply(study(**FREE), settings=["norm=ln", "lr=0.1, 0.2", "mixup=0.5"])
    assert made.factors == {"norm": ("ln",), "batch_size": (4, 16), "lr": (0.1, 0.2)}
    assert made.fixed == {"mixup": 0.5}


def test_set_gives_the_cells_that_a_file_would_give():
    by_option = options.apply(
        study(), settings=["weight_std=off", "mixup=1e-1", "shots=5", "stat_batch=batch"]
    )
    by_file = study(fixed={"lr": 0.3, "weight_std": False, "mixup": 0.1, "shots": 5, "stat_batch": None})
    assert [cell.id for cell in by_option.cells()] == [cell.id for cell in by_file.cells()]


def test_data_is_a_setting():
    assert options.apply(study(), data="parquet:/a/cifar10").cells()[0].settings.data == "parquet:cifar10"
    swept = study(factors={"data": ("digits", "cifar10")}, **FREE)
    assert options.apply(swept, data="digits").factors == {"data": ("digits",)}


def test_budget_replaces_the_budget_of_a_cell():
    assert options.apply(study(), budget="60s").budget == Budget(seconds=60)


def test_other_options_go_over_the_preset():
    made = study(presets={"mini": {"budget": Budget(steps=9), "seeds": range(5), "fixed": {"lr": 0.1}}})
    found = options.apply(made, preset="mini", budget="3st", settings=["lr=0.2"])
    assert (found.id, found.budget, len(found.seeds), found.fixed) == (
        "small-mini",
        Budget(steps=3),
        5,
        {"lr": 0.2},
    )


def test_levels_chosen_now_are_not_held_against_another_preset():
    """A contrast of preset mini need not fit the levels that --set chose under the default one."""
    made = study(presets={"mini": {"primary": study().primary}}, **FREE)
    assert options.apply(made, settings=["norm=ln"]).factors["norm"] == ("ln",)


@pytest.mark.parametrize(
    ("text", "value"), [("30m", 1800.0), ("0.5h", 1800.0), ("90s", 90.0), ("1min", 60.0)]
)
def test_a_time_is_read(text, value):
    assert options.seconds(text, "--total-budget") == value


@pytest.mark.parametrize("text", ["30", "30ex", "0s", "-1s", "1e400s", "", "half an hour"])
def test_what_is_no_time_is_refused_with_the_option(text):
    with pytest.raises(Fault) as caught:
        options.seconds(text, "--total-budget")
    assert caught.value.problems[0].where == f"--total-budget {text}"


def test_a_count_is_a_whole_number_above_zero():
    assert options.count("12", "--limit") == 12
    assert options.count("1024", "--jobs", 1024) == 1024
    for text in ("0", "-1", "1.0", "", "two", "²", "9" * 5000):
        with pytest.raises(Fault, match="is not a whole number above 0"):
            options.count(text, "--limit")
    with pytest.raises(Fault, match=r"--jobs 1025 .* from 1 to 1024; this machine has \d+ cores"):
        options.count("1025", "--jobs", 1024)


def test_the_cpu_needs_no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would raise
    assert options.device("cpu") == "cpu"


def test_a_gpu_that_is_there_is_named_as_torch_names_it(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    named = ("cuda", "cuda:0", "cuda:01", "cuda:1,cuda:0")
    assert [options.device(name) for name in named] == ["cuda:0,cuda:1", "cuda:0", "cuda:1", "cuda:1,cuda:0"]
    with pytest.raises(Fault, match="twice"):
        options.device("cuda:1,cuda:01")
    with pytest.raises(Fault, match="cuda:2 is not there; this machine has cuda:0, cuda:1"):
        options.device("cuda:2")


def test_reads_go_together():
    def bad(what):
        raise fault(what, "where", "do")

    assert options.together(a=lambda: 1, b=lambda: None) == {"a": 1, "b": None}
    with pytest.raises(Fault) as caught:
        options.together(a=lambda: bad("first"), b=lambda: 1, c=lambda: bad("second"))
    assert caught.value.problems == (Problem("first", "where", "do"), Problem("second", "where", "do"))


# what --set adds to a study or changes of it: the example of the README, new factors, a level that goes away
SETS = (
    ("batch_size=2,8,32", "norm=bn,gn,ln"),
    ("kernels=fastest,torch",),
    ("augment=none,crop", "precision=fp32,bf16"),
    ("lr=0.1,0.3",),
    ("norm=gn",),
    ("model=mini,mini-x2",),
)


# what a study is about cannot be changed so: no batch of 2 holds the statistics of 64 images
AGAINST = {
    ("batch-statistics", SETS[0]): "stat_batch=4 does not divide batch_size=2",
    ("groups", SETS[0]): "norm='bn' has no number of groups to choose",
}


@pytest.mark.parametrize("name", known_studies())
def test_set_changes_every_shipped_study(name, capsys):
    """A contrast is read at the first level of a new factor; one that falls away is named."""
    study = load(find(name))
    for settings in SETS:
        words = [word for text in settings for word in ("--set", text)]
        given = parser().parse_args(["plan", name, *words])
        if (name, settings) in AGAINST:
            with pytest.raises(Fault, match=AGAINST[name, settings]):
                study_commands._asked(study, given)
            continue
        found, _ = study_commands._asked(study, given)
        said = capsys.readouterr().err
        assert found.cells() or found.tuning
        assert found.aa is None or any(arm == found.aa for arm in found.arms())
        left = {contrast.name for contrast in found.contrasts}
        for contrast in study.contrasts:
            assert (f"contrast {contrast.name!r} falls away" in said) == (contrast.name not in left)
        assert ("tuning falls away" in said) == (study.tuning is not None and settings == ("lr=0.1,0.3",))
        for factor in found.factors.keys() - study.factors.keys():
            first = found.factors[factor][0]
            assert found.aa is None or found.aa[factor] == first
            assert all(corner[factor] == first for each in found.contrasts for corner in corners(each))


def test_a_factor_that_is_set_joins_the_aa_arm_and_what_only_keeps():
    """With its first level; a level that is gone gives way; else the first arm of `only`."""
    arms = {"factors": {"norm": ("bn", "gn"), "weight_std": (False, True)}, "primary": ()}
    gn_ws, bn = {"norm": "gn", "weight_std": True}, {"norm": "bn", "weight_std": False}
    made = study(**arms, only=(gn_ws, bn), aa=gn_ws)
    assert options.apply(made, settings=["mixup=0.2,0"]).aa == {**gn_ws, "mixup": 0.2}
    found = options.apply(made, settings=["norm=bn,ln"])
    assert (found.only, found.aa) == ((bn,), bn)
    assert options.apply(made, settings=["lr=0.2"]).aa == gn_ws
