"""A Ray cluster of three nodes on this machine, small in cores and memory."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.toy import children, gone

CPUS = (2, 3, 3)  # of the nodes; a driver joins the first one
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


class ThreeNodes:
    """The cluster; nodes can be taken away and added."""

    def __init__(self) -> None:
        # a node that is gone is noticed after 5 s, not 15; one that sleeps after 15 s, not 65
        health = {"period": "1000", "initial_delay": "1000", "timeout": "2000"}
        health = {f"RAY_health_check_{name}_ms": value for name, value in health.items()}
        # a driver would start idle workers, one for each core of its node
        idle = {"RAY_prestart_worker_first_driver": "0"}
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", **health, **idle}
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self.nodes = [self._add(cpus) for cpus in CPUS]
        self._cluster.wait_for_nodes()

    @property
    def address(self) -> str:
        return self._cluster.address

    def _add(self, cpus: int, gpus: int = 0):
        memory = 100 * 2**20
        return self._cluster.add_node(
            wait=False, num_cpus=cpus, num_gpus=gpus, object_store_memory=memory, include_dashboard=False
        )

    def add_gpus(self, number: int) -> None:
        """Add a node that says that it has so many GPUs."""
        self._add(number, number)
        self._cluster.wait_for_nodes()

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

    def halt(self, node) -> list[int]:
        """Stop a node and all that it has started, which is the machine that sleeps -> the processes."""
        (raylet,) = (each.process.pid for each in node.all_processes["raylet"])
        halted = [raylet]
        for pid in halted:  # which grows: nobody starts another one once it is stopped
            os.kill(pid, signal.SIGSTOP)
            halted += children(pid)
        return halted

    def wake(self, node, halted: list[int]) -> None:
        """Let the workers of a node go on and say what they have found, then the node, which is given up."""
        for pid in [*halted[1:], *halted[:1]]:
            if pid == halted[0]:
                time.sleep(0.5)  # they answer before it tells them that the cluster has given it up
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        node.all_processes["raylet"][0].process.wait(60)  # its workers end once it is not even a zombie
        assert gone(halted, 60), "a worker of a machine that was given up lives on"
        self.remove(node)

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
