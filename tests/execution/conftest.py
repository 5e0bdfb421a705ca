"""What tests of this folder share."""

import pytest

from tests.support.ray_cluster import ThreeNodes


@pytest.fixture(scope="module")
def three_nodes():
    """A Ray cluster of three nodes; its start takes longer than most tests, and idle it is busy."""
    nodes = ThreeNodes()
    yield nodes
    nodes.stop()
