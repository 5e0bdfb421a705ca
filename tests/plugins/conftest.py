"""Plug-ins of a test: files of a user's, and tables that are afterwards as they were."""

import pytest

from tests.support.plugin_tables import as_before

RMS = """\
import torch
from torch import nn

PLUGIN = {"norms": {"rms": "RMS"}}


class RMS(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * (x.square().mean((1, 2, 3), keepdim=True) + 1e-5).rsqrt() * self.weight
"""


@pytest.fixture(autouse=True)
def tables_as_before_each_test():
    """Take out what a test has registered; after a file the suite does it."""
    with as_before():
        yield


@pytest.fixture
def rms(tmp_path):
    """The path of a file with a norm; called with texts, each is replaced by the next."""

    def write(*edits, name="my_norm.py"):
        text = RMS
        for old, new in zip(edits[::2], edits[1::2], strict=True):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
