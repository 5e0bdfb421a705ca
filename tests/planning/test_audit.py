"""The audit of streams: what arms, the replica and other seeds share."""

import pytest

from fairtrial.errors import Fault
from fairtrial.planning import plan
from fairtrial.planning.plan import EXTRAS
from tests.support.studies import study

AA = {"norm": "gn", "batch_size": 16}


def test_arms_share_subset_init_order_and_augment():
    table = plan.audit(
        study(factors={"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (4, 16)})
    )
    assert len(table) == 8
    for name in ("subset", "init", "order", "augment", "eval"):
        assert len({row[name] for row in table.values()}) == 1, name


def test_the_replica_keeps_the_subset_and_draws_the_rest_anew():
    table = plan.audit(study(aa=AA, fixed={"mixup": 0.1, "label_noise": 0.2}))
    twin, replica = table["gn, batch 16"], table["gn, batch 16 (A/A)"]
    assert {name for name in EXTRAS if twin[name] == replica[name]} == {"subset", "labels", "eval"}


def test_mixup_is_shared_by_arms_of_one_batch_size():
    table = plan.audit(study(fixed={"mixup": 0.1}))
    assert table["bn, batch 4"]["mixup"] == table["gn, batch 4"]["mixup"] != table["gn, batch 16"]["mixup"]


def test_mixup_that_is_off_draws_nothing():
    table = plan.audit(study(factors={"norm": ("gn",), "mixup": (0, 0.1)}, primary=()))
    assert [row["mixup"] == "-" for row in table.values()] == [True, False]


@pytest.mark.parametrize(
    "factors",
    [
        {"norm": ("bn", "gn", "ln"), "batch_size": (4, 16)},
        {"norm": ("bn", "gn"), "batch_size": (4, 8, 16)},
        {"batch_size": (16, 4), "norm": ("gn", "bn")},
    ],
    ids=["arm", "level", "order"],
)
def test_the_draws_of_an_arm_do_not_depend_on_the_others(factors):
    before, after = plan.audit(study()), plan.audit(study(factors=factors))
    rows = {frozenset(arm.split(", ")): row for arm, row in after.items()}
    for arm, row in before.items():
        assert rows[frozenset(arm.split(", "))] == row


def test_other_seeds_draw_otherwise():
    first, other = (plan.audit(study(seeds=seeds))["bn, batch 4"] for seeds in ((0, 1), (0, 2)))
    assert all(first[name] != other[name] for name in EXTRAS if first[name] != "-")


def test_two_streams_of_one_state_are_refused(monkeypatch):
    monkeypatch.setattr(plan, "state", lambda name, *words: (1, 2))
    with pytest.raises(Fault, match="two streams of chance share a state"):
        plan.audit(study())


def test_the_audit_is_a_table():
    lines = list(plan.audit_lines(plan.audit(study(aa=AA))))
    assert lines[0].split() == ["arm", *EXTRAS]
    assert len(lines) == 1 + 5 + 1
    assert "equal digests are equal draws" in lines[-1]
