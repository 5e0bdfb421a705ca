"""One seed becomes independent, named streams of chance.

Scheme: each stream is `SeedSequence(root, spawn_key=(key(name), replicate, *extra))`, so a draw depends on
its purpose and its replicate alone: never on the arm, a position in a list, or what was drawn before it.
Adding an arm, a seed or a level therefore changes no existing cell.
"""

from __future__ import annotations

import hashlib
import operator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # numpy is imported where a stream is opened: naming a seed must not cost 0.3 s
    import numpy as np

ROOT: Final = 20191224  # arXiv 1912.11370 v1 appeared on 24 December 2019
MAX_SEED: Final = 2**31  # replicates above it belong to the A/A arm

# The number of extra words is part of a stream's identity: (5,) and (5, 0) else collide without a sound.
STREAMS: Final = {
    "subset": ("class",),
    "labels": (),  # which training labels are wrong, and what they say instead
    "init": ("parameter",),
    "order": ("epoch",),
    "augment": ("epoch",),
    "mixup": ("epoch", "step"),
    "eval": (),
    "tuning": ("trial",),  # what a sampler proposes; keyed by the tuning study, shared by all arms
}
UPSTREAM: Final = "upstream/"  # the same purposes during pre-training, keyed by the upstream seed


def key(name: str) -> int:
    """The word in [0, 2**32) that stands for a name: its 4-byte blake2b digest, read big-endian."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")


def sequence(name: str, replicate: int, *extra: int, root: int = ROOT) -> np.random.SeedSequence:
    """The seed sequence of one stream.

    name: a key of STREAMS, with or without the prefix "upstream/". replicate: the seed.
    extra: the words that STREAMS lists for this name, each an integer in [0, 2**32).
    Raises ValueError for an unknown name, a wrong number of words, or a word out of range.
    """
    from numpy.random import SeedSequence

    words = STREAMS.get(name.removeprefix(UPSTREAM))
    if words is None:
        raise ValueError(f"unknown stream {name!r}; known: {', '.join(STREAMS)}")
    if len(extra) != len(words):
        raise ValueError(f"stream {name!r} takes {len(words)} extra words {words}; got {len(extra)}")
    for word in (root, replicate, *extra):
        if not _is_word(word):
            raise ValueError(f"stream {name!r}: every word is an integer in [0, 2**32); got {word!r}")
    return SeedSequence(int(root), spawn_key=(key(name), int(replicate), *map(int, extra)))


def _is_word(value: Any) -> bool:
    """Outside this range words collide without a sound: spawn_key=(2**32,) equals (0, 1)."""
    try:
        return not isinstance(value, bool) and 0 <= operator.index(value) < 2**32
    except TypeError:
        return False


def stream(name: str, replicate: int, *extra: int, root: int = ROOT) -> np.random.Generator:
    """The generator of one purpose; same arguments, same draws, on every machine."""
    from numpy.random import default_rng

    return default_rng(sequence(name, replicate, *extra, root=root))


def state(name: str, replicate: int, *extra: int, root: int = ROOT) -> tuple[int, int]:
    """The two 32-bit words that identify a stream in a cell's record."""
    first, second = sequence(name, replicate, *extra, root=root).generate_state(2)  # uint32 is its default
    return int(first), int(second)


def prefix(stage: str) -> str:
    """The prefix of a cell's streams: "upstream/" where its study pre-trains."""
    return UPSTREAM if stage == "upstream" else ""


def replicate_key(seed: int, replica: int) -> int:
    """The replicate of init, order, augment and mixup: the seed, moved out of reach for the A/A arm (1).

    The A/A arm keeps the seed's images (subset) and draws all else anew.
    """
    return seed + MAX_SEED * replica
