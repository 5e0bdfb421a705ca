"""A Ray cluster of three nodes on this machine, small in cores and memory."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

CPUS = (2, 3, 3)  # of the nodes; a driver joins the first one
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


class ThreeNodes:
    """The cluster; nodes can be taken away and added."""

    def __init__(self) -> None:
        # a node that is gone is noticed after 5 s, not 15
        health = {"RAY_health_check_period_ms": "1000", "RAY_health_check_initial_delay_ms": "1000"}
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", **health}
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self.nodes = [self._add(cpus) for cpus in CPUS]
        self._cluster.wait_for_nodes()

    @property
    def address(self) -> str:
        return self._cluster.address

    def _add(self, cpus: int):
        memory = 100 * 2**20
        return self._cluster.add_node(
            wait=False, num_cpus=cpus, object_store_memory=memory, include_dashboard=False
        )

    def node_of(self, pid: int):
        """The node that can be removed and that a worker process descends from; None where there is none."""
        raylets = {node.all_processes["raylet"][0].process.pid: node for node in self.nodes[1:]}
        while pid > 1 and pid not in raylets:
            pid = _parent(pid)
        return raylets.get(pid)

    def complete(self) -> None:
        """Put nodes where some were removed."""
        while len(self.nodes) < len(CPUS):
            self.nodes.append(self._add(CPUS[-1]))
        self._cluster.wait_for_nodes()

    def remove(self, node) -> None:
        """Take a node away at once, as if its machine had lost power."""
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        self._cluster.shutdown()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return 0
