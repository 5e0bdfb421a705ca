"""Parquet files in the layouts of hubs, and what refuses them."""

import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from tests.data.making import fault_of, png  # noqa: E402


def refused(path, **options):
    return fault_of(f"parquet:{path}", **options)


def shards(root, *names, labels=(0, 1, 0, 1, 1, 0), column=None, start=0):
    """Parquet files of six images each, all different."""
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        rows = [png(start + 100 * index + number) for number in range(6)]
        table = {"image": column(rows) if column else pa.array(rows, pa.binary()), "label": pa.array(labels)}
        pq.write_table(pa.table(table), root / name)
    return root
