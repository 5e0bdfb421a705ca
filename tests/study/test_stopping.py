"""Rules by which a study may end early: read from text, checked at the door, kept in the declaration."""

import re

import pytest

from fairtrial.cli import options
from fairtrial.errors import Fault
from fairtrial.study.stopping import Stopping
from fairtrial.study.study import Study
from fairtrial.study.tuning_plan import Tuning
from tests.support.studies import study


@pytest.mark.parametrize(
    ("text", "looks", "at"),
    [
        ("looks", (5, 10, 20), (5, 10, 20)),
        ("looks:4,8", (4, 8), (4, 8)),
        ("looks:6", (6,), (6,)),
        ("sequence", (), (3, 4, 5, 6)),
    ],
)
def test_a_rule_is_read_from_its_text(text, looks, at):
    rule = Stopping.parse(text)
    assert rule.looks == looks
    assert rule.at(6) == at
    assert rule.parts == (len(looks) or 1)
    assert Stopping.of(rule.record()) == rule


@pytest.mark.parametrize("text", ["", "look", "looks:", "looks:2,5", "looks:5,5", "looks:10,5", "looks:5,x"])
def test_another_text_is_no_rule(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        Stopping.parse(text)
    with pytest.raises(Fault) as error:
        study(seeds=range(10), stop=text)
    assert error.value.problems[0].do.startswith("write one of: looks (5, 10 and 20 seeds)")


def test_the_declaration_holds_the_rule_and_gives_it_back():
    made = study(seeds=range(20), stop="looks")
    assert made.declaration()["stop"] == {"rule": "looks", "looks": [5, 10, 20]}
    assert Study.of(made.declaration()).stop == made.stop
    assert "stop" not in study().declaration()


@pytest.mark.parametrize(
    ("seeds", "rule"), [(10, "looks"), (25, "looks"), (9, "looks:5,10"), (2, "sequence")]
)
def test_the_last_look_takes_all_seeds(seeds, rule):
    with pytest.raises(Fault, match=f"the study has {seeds} seeds"):
        study(seeds=range(seeds), stop=rule)


def test_without_contrasts_there_is_nothing_to_decide():
    with pytest.raises(Fault, match="none is declared"):
        study(seeds=range(20), primary=(), stop="looks")


def test_a_sequence_takes_no_groups_of_seeds():
    tuning = Tuning({"lr": (0.1, 0.3)}, studies=3)
    with pytest.raises(Fault, match="one by one"):
        study(seeds=range(9), stop="sequence", tuning=tuning)
    fixed = {"lr": 0.3, "upstream": "upstream", "upstream_seeds": 3}
    with pytest.raises(Fault, match="one by one"):
        study(seeds=range(9), stop="sequence", fixed=fixed)
    assert study(seeds=range(9), stop="looks:3,9", fixed=fixed).rule.parts == 2


def test_the_option_says_where_it_was_wrong():
    with pytest.raises(Fault) as error:
        options.apply(study(), stop="looks")
    (problem,) = error.value.problems
    assert problem.where.startswith("--stop")
    assert "--seeds 0..19" in problem.do
    assert options.apply(study(), stop="looks", seeds="20").rule.parts == 3


def test_a_preset_may_bring_its_own_rule():
    made = study(seeds=range(20), presets={"mini": {"stop": "looks"}})
    assert made.stop is None
    assert made.under("mini").rule == Stopping("looks", (5, 10, 20))
