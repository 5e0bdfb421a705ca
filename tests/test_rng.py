"""Streams of chance: golden values, words that cannot collide, and what each arm shares."""

import numpy as np
import pytest

from fairtrial.models.resnet import MODELS, create_model
from fairtrial.planning.plan import REDRAWN
from fairtrial.rng import MAX_SEED, ROOT, STREAMS, key, replicate_key, sequence, state, stream

# By hand, with numpy 2 and hashlib alone:
# SeedSequence(20191224, spawn_key=(blake2b-4 of the name, replicate, *extra)).generate_state(2, uint32).
# These numbers never change: they are what makes an old cell repeatable.
KEYS = {
    "subset": 3354926009,
    "init": 1709297416,
    "order": 2437346251,
    "augment": 3592604220,
    "mixup": 482406304,
    "eval": 3756905741,
    "tuning": 1327855367,
    "upstream/order": 1617612863,
    "root.conv.weight": 2743398528,
}
STATES = {
    ("subset", 0, 3): (2364646012, 347553184),
    ("subset", 2147483657, 3): (2035414125, 3175434190),
    ("init", 0, 7): (1214253386, 1149441531),
    ("init", 2147483657, 7): (2087408343, 1758966913),
    ("order", 0, 2): (2811059741, 455797171),
    ("order", 2147483657, 2): (3914849945, 2321662032),
    ("augment", 0, 2): (2273949010, 1449323859),
    ("augment", 2147483657, 2): (1408070684, 2936663240),
    ("mixup", 0, 1, 5): (3331857267, 2260850863),
    ("mixup", 2147483657, 1, 5): (2060942239, 3358754557),
    ("eval", 0): (1967774532, 1711191046),
    ("tuning", 0, 3): (1053173547, 1977331223),
    ("upstream/order", 0, 0): (1210175379, 3174400904),
}
FIRST_ORDER = [1, 8, 10, 9, 7, 0, 3, 4, 6, 2, 11, 5]


def test_the_root_never_changes():
    assert ROOT == 20191224


@pytest.mark.parametrize("name", KEYS)
def test_golden_key(name):
    assert key(name) == KEYS[name]


@pytest.mark.parametrize("words", STATES, ids=str)
def test_golden_state(words):
    assert state(*words) == STATES[words]


def test_golden_permutation():
    assert stream("order", 0, 0).permutation(12).tolist() == FIRST_ORDER


def test_same_words_same_draws_other_words_other_draws():
    first = stream("order", 3, 0).random(8)
    assert (stream("order", 3, 0).random(8) == first).all()
    for name, *words in (("order", 4, 0), ("order", 3, 1), ("augment", 3, 0), ("upstream/order", 3, 0)):
        assert not (stream(name, *words).random(8) == first).any()
    assert not (stream("order", 3, 0, root=1).random(8) == first).any()


@pytest.mark.parametrize(
    "bad", [-1, 2**32, True, 1.0, "1", None, np.bool_(True), np.float64(1), (1,)], ids=repr
)
@pytest.mark.parametrize("place", ["replicate", "extra", "root"])
def test_a_word_is_an_integer_of_32_bits(bad, place):
    words = {"replicate": 0, "extra": 0, "root": ROOT, place: bad}
    with pytest.raises(ValueError, match="every word is an integer"):
        sequence("order", words["replicate"], words["extra"], root=words["root"])


@pytest.mark.parametrize("kind", [np.int64, np.uint32, np.int8])
def test_numpy_integers_are_words(kind):
    assert state("order", kind(7), kind(2), root=kind(5)) == state("order", 7, 2, root=5)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_takes_a_fixed_number_of_words(name):
    right = len(STREAMS[name])
    sequence(name, 0, *range(right))
    for wrong in {0, 1, 2, 3} - {right}:
        with pytest.raises(ValueError, match="extra words"):
            sequence(name, 0, *range(wrong))


@pytest.mark.parametrize("name", ["shuffle", "upstream/", "upstream/upstream/order", "order/upstream", ""])
def test_an_unknown_stream_is_refused(name):
    with pytest.raises(ValueError, match="unknown stream"):
        sequence(name, 0, 0)


def test_the_replica_is_out_of_reach_of_every_seed():
    assert replicate_key(5, 0) == 5
    assert replicate_key(0, 1) == MAX_SEED  # seeds end below it
    assert replicate_key(MAX_SEED - 1, 1) < 2**32


def test_no_two_streams_of_a_study_share_a_state():
    """Ten seeds and their A/A replicas, ten classes, every parameter, 30 epochs, 30 x 40 steps."""
    names = [name for name, _ in create_model("mini", 10).named_parameters()]
    extras = {
        "subset": [(label,) for label in range(10)],
        "labels": [()],
        "init": [(key(name),) for name in names],
        "order": [(epoch,) for epoch in range(30)],
        "augment": [(epoch,) for epoch in range(30)],
        "mixup": [(epoch, step) for epoch in range(0, 30, 10) for step in range(40)],
        "eval": [()],
        "tuning": [(trial,) for trial in range(100)],
    }
    words = [
        (name, replicate_key(seed, replica), *extra)
        for name in STREAMS
        for extra in extras[name]
        for seed in range(10)
        for replica in ((0, 1) if name in REDRAWN else (0,))
    ]
    assert len({state(*each) for each in words}) == len(words)


def test_every_parameter_of_every_network_has_its_own_key():
    import torch

    for model in MODELS:
        with torch.device("meta"):
            names = [name for name, _ in create_model(model, 10).named_parameters()]
        assert len({key(name) for name in names}) == len(names), model


def test_seed_0_is_a_seed_like_any_other():
    assert [replicate_key(seed, 0) for seed in range(4)] == [0, 1, 2, 3]
    assert len({state("order", replicate_key(seed, 0), 0) for seed in range(4)}) == 4
