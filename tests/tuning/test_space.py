"""The searched space, read from text; what is not free is refused."""

import pytest

from fairtrial.errors import Fault
from fairtrial.tuning.space import Dimension, parse
from tests.support.studies import study


def test_dimensions_come_sorted_by_name_in_one_spelling():
    found = parse(["weight_decay=1e-5:0.01:log", " lr=0.010:1:log "], study())
    assert found == (Dimension("lr", 0.01, 1.0, True), Dimension("weight_decay", 1e-5, 0.01, True))
    assert [dimension.text for dimension in found] == ["lr=0.01:1:log", "weight_decay=1e-05:0.01:log"]
    assert parse([found[1].text], study()) == found[1:]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lr", "is not a dimension"),
        ("lr=1", "is not a dimension"),
        ("lr=0.1:0.1", "has no room"),
        ("lr=1:0.1", "has no room"),
        ("lr=0:1", "is not > 0"),
        ("lr=a:b", "is str, not a number"),
        ("lr=0.1:inf", "is not finite"),
        ("weight_decay=0:0.1:log", "has no logarithm"),
        ("warmup=0:1", "is not < 1"),
        ("learning=0:1", "cannot be tuned"),
        ("batch_size=4:16", "cannot be tuned"),
    ],
)
def test_a_bad_dimension_is_a_fault_that_names_it(text, says):
    with pytest.raises(Fault, match=says) as refused:
        parse([text], study())
    assert refused.value.problems[0].where == f"--space {text}"


def test_every_bad_dimension_is_told_at_once():
    mixed = study(factors={"norm": ("bn", "gn"), "mixup": (0.0, 0.2)}, primary=())
    with pytest.raises(Fault) as refused:
        parse(["lr=2:1", "lr=0.1:1", "mixup=0:1"], mixed)
    assert [problem.what for problem in refused.value.problems] == [
        "lr has no room from 2 to 1",
        "mixup is swept by the study",
    ]


def test_what_a_hyperrule_sets_is_not_tuned():
    ruled = study(fixed={"recipe": "hyperrule-paper"})
    with pytest.raises(Fault, match="lr is set by recipe='hyperrule-paper'"):
        parse(["lr=0.01:1:log"], ruled)
    assert parse(["mixup=0:0.3"], ruled)
