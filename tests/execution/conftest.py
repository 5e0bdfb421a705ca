"""What tests of this folder share."""

import pytest

from fairtrial.execution import runner, worker_pool
from fairtrial.execution.runner import Options
from tests.support.ray_cluster import ThreeNodes
from tests.support.toy import WORKER, toy_study


@pytest.fixture(scope="module")
def three_nodes():
    """A Ray cluster of three nodes; its start takes longer than most tests, and idle it is busy."""
    nodes = ThreeNodes()
    yield nodes
    nodes.stop()


@pytest.fixture
def toy(monkeypatch):
    """Toy workers under a driver in this process: `toy(results, study, **options)` -> exit code.

    One worker, where a test asks for no more: to start a second one takes longer than what it runs.
    """
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))

    def go(results, study=None, ask=None, **options):
        return runner.run(study or toy_study(), Options(results=results, **{"jobs": 1, **options}), ask)

    return go
