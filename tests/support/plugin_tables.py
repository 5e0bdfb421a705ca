"""The tables to which plug-ins add rows."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fairtrial.norm_table import BLOCK_TABLE, NORM_TABLE
from fairtrial.plugins import registry
from fairtrial.study.backbone_names import BACKBONES
from fairtrial.study.data_spec import SOURCES

TABLES = (NORM_TABLE, BLOCK_TABLE, BACKBONES, SOURCES, registry._OWNERS, registry._MODULES)


@contextmanager
def as_before() -> Iterator[None]:
    """Take out afterwards what is registered within."""
    before = [dict(table) for table in TABLES]
    yield
    for table, known in zip(TABLES, before, strict=True):
        table.clear()
        table.update(known)
    for name in [name for name in sys.modules if name.startswith("fairtrial_plugin_")]:
        del sys.modules[name]
