"""The table of factors as one dataclass: what each row decides."""

from dataclasses import replace

import pytest

from fairtrial.cli.options import apply
from fairtrial.errors import Fault
from fairtrial.models.resnet import Built
from fairtrial.study.factors import recorded_digest, upgraded
from fairtrial.study.identity import digest
from fairtrial.study.settings import FACTORS, Settings
from tests.support.studies import study


def test_a_start_key_names_what_a_checkpoint_says_of_its_network():
    """Two networks that differ in one of these cannot start from one file."""
    network = [name for name, _ in Settings().start_key.network]
    assert {*network} | {"num_classes", "stat_batch"} == {*Built.__dataclass_fields__}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upstream", "up"),
        ("model", "r50x1"),
        ("norm", "bn"),
        ("block", "post-activation"),
        ("stride_on", "1x1"),
        ("groups", 4),
    ],
)
def test_each_part_of_a_start_key_tells_two_starts_apart(name, value):
    assert replace(Settings(), **{name: value}).start_key != Settings().start_key


def test_a_start_key_is_blind_to_everything_else():
    more = replace(Settings(), lr=0.3, batch_size=4, shots=5, bn_mode="frozen", upstream_seeds=3)
    assert more.start_key == Settings().start_key


def test_a_renamed_factor_keeps_its_cells():
    """Their id covers `tune` and `probe`, as when the first of them was recorded."""
    settings = replace(Settings(), finetune="linear_probe")
    assert settings.identity() == {"tune": "probe"}
    assert Settings.of(upgraded({"tune": "probe"})) == settings


def test_a_renamed_factor_keeps_the_digest_of_a_declaration():
    old = {"factors": {"tune": ["full", "probe"]}, "aa": {"tune": "probe"}, "only": [{"tune": "full"}]}
    new = upgraded(old)
    assert new["factors"] == {"finetune": ["full", "linear_probe"]}
    assert new["aa"] == {"finetune": "linear_probe"}
    assert recorded_digest(new) == digest(old)


@pytest.mark.parametrize(
    ("option", "meant"), [("tune=full", "'finetune'"), ("finetune=probe", "'linear_probe'")]
)
def test_an_old_spelling_is_answered_with_the_new_one(option, meant):
    with pytest.raises(Fault, match=f"did you mean {meant}"):
        apply(study(), settings=[option])


def test_settings_are_recorded_in_the_order_of_the_table():
    assert list(Settings().record()) == list(FACTORS)
