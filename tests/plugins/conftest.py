"""Plug-ins of a test: files of a user's, and tables that are afterwards as they were."""

import sys

import pytest

from fairtrial.norm_table import BLOCK_TABLE, NORM_TABLE
from fairtrial.plugins import registry
from fairtrial.study.backbone_names import BACKBONES
from fairtrial.study.data_spec import SOURCES

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
def tables_as_before():
    """Take out what a test has registered."""
    tables = (NORM_TABLE, BLOCK_TABLE, BACKBONES, SOURCES, registry._OWNERS, registry._MODULES)
    before = [dict(table) for table in tables]
    yield
    for table, known in zip(tables, before, strict=True):
        table.clear()
        table.update(known)
    for name in [name for name in sys.modules if name.startswith("fairtrial_plugin_")]:
        del sys.modules[name]


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
