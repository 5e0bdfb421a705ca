"""The engine of many machines: a Ray actor for each CPU slot or GPU, with a worker process of its own."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import ray
from ray.exceptions import ActorUnavailableError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fairtrial.errors import BAD_INPUT, REFUSED, Fault, Problem, fault
from fairtrial.execution.engine import Exit, Message, Worker
from fairtrial.execution.local_processes import exit_of
from fairtrial.execution.worker_host import WorkerHost, code, seen
from fairtrial.signals import WATCHED

NODES_S: Final = 5.0  # for so long, what the cluster holds is not asked for again
SEEN_S: Final = 60.0  # for what a machine sees of the data
_SHARE: Final = "put it on a path that every machine sees, or copy it to each under the same path"
PROBE_S: Final = 2.0  # for an answer of a machine
GRACE_S: Final = 5.0  # after which an actor that does not answer is killed together with its worker


@dataclass
class _Host:
    """The actor of one worker. heard: items of it that have come. node: its id, "" until it is placed."""

    actor: Any
    heard: int = 0
    node: str = ""
    name: str = ""
    kill_at: float | None = None
    refs: list[Any] = field(default_factory=list)


class RayActors:
    """Up to `jobs` actors, else as many as the cluster holds now, each with `threads` CPUs or with a GPU.

    alone: for a budget in seconds, one actor on each machine, or one on each GPU. reads: paths that every
    machine must see as this one does, else a Fault (exit code 3).
    """

    def __init__(
        self, address: str, jobs: int | None, threads: int, device: str, *, alone: bool,
        reads: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._address, self._jobs, self._threads, self._alone = address, jobs, threads, alone
        self._gpu, self._device = device != "cpu", "cpu" if device == "cpu" else "cuda:0"
        self._hosts: dict[Worker, _Host] = {}
        self._asked: dict[Any, Worker] = {}
        self._heard: deque[tuple[Worker, Message | Exit]] = deque()
        self._nodes: list[Any] = []
        self._nodes_at = 0.0
        self._connect()
        if not self.size:
            what = f"no machine of the Ray cluster has {'a GPU' if self._gpu else f'{threads} CPUs'}"
            raise fault(what, f"--ray {address}", "see `ray status`; start nodes that have them", REFUSED)
        if reads:
            self._refuse_unseen(reads)

    def _connect(self) -> None:
        """Join the cluster; Ray's own handlers of signals give way to those that were set."""
        if ray.is_initialized():
            return
        _refuse_silent(self._address)
        handlers = {number: signal.getsignal(number) for number in WATCHED}
        try:
            ray.init(self._address, logging_level=logging.ERROR, log_to_driver=True)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise _no_cluster(self._address, str(error).partition("\n")[0]) from error
        finally:
            with contextlib.suppress(ValueError):  # outside the main thread there are none of ours
                for number, handler in handlers.items():
                    signal.signal(number, handler)

    def _refuse_unseen(self, paths: Sequence[str]) -> None:
        """Ask each machine what it sees; one that has gone meanwhile, or does not answer, is left out."""
        asked = {}
        for node in filter(self._slots, self._living()):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            how = {"num_cpus": 0, "scheduling_strategy": there}
            asked[ray.remote(seen).options(**how).remote(paths)] = node["NodeManagerHostname"]
        problems, here = [], seen(paths)
        for ref, host in asked.items():
            with contextlib.suppress(RayError):
                found = ray.get(ref, timeout=SEEN_S)
                differing = (path for path in paths if found[path] != here[path])
                what = "{} sees {} under a path of data or checkpoints; this machine {}"
                problems += [
                    Problem(what.format(host, found[path], here[path]), path, _SHARE) for path in differing
                ]
        if problems:
            self.stop()
            raise Fault(list(dict.fromkeys(problems)), BAD_INPUT)

    # what the cluster holds

    @property
    def size(self) -> int:
        """The most workers; machines that come or go are seen after some seconds."""
        there = sum(map(self._slots, self._living()))
        return min(self._jobs, there) if self._jobs else there

    def _living(self) -> list[Any]:
        if time.monotonic() - self._nodes_at > NODES_S or not self._nodes:
            self._nodes = [node for node in ray.nodes() if node["Alive"]]
            self._nodes_at = time.monotonic()
        return self._nodes

    def _slots(self, node: Any) -> int:
        has = node["Resources"]
        fitting = int(has.get("CPU", 0) // self._threads)
        if self._gpu:
            return min(int(has.get("GPU", 0)), fitting)
        return min(1, fitting) if self._alone else fitting

    # the engine

    def start(self, program: Sequence[str]) -> Worker:
        """Ask the cluster for an actor; until it has room for one, the worker has no machine."""
        self._connect()
        how: dict[str, Any] = {"num_cpus": self._threads, "scheduling_strategy": "SPREAD"}
        if self._gpu:
            how["num_gpus"] = 1
        node = ""
        if self._alone and not self._gpu:
            node, how = self._whole_machine()
        lanes: dict[str, Any] = {"concurrency_groups": dict.fromkeys(("in", "out", "end"), 1)}
        actor = (
            ray.remote(**lanes)(WorkerHost)
            .options(**how)
            .remote(list(program), self._threads, self._device, _machine)
        )
        worker = Worker(self._device, machine=None)
        self._hosts[worker] = _Host(actor, node=node)
        self._ask(worker)
        return worker

    def _whole_machine(self) -> tuple[str, dict[str, Any]]:
        """A machine that none of our workers is on -> its id, and how to ask for all of its CPUs."""
        taken = {host.node for host in self._hosts.values()}
        fitting = [node for node in self._living() if self._slots(node)]
        node = next((node for node in fitting if node["NodeID"] not in taken), fitting[0])
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        return node["NodeID"], {"num_cpus": node["Resources"]["CPU"], "scheduling_strategy": strategy}

    def _call(self, worker: Worker, method: str, group: str, *arguments: Any) -> Any:
        return getattr(self._hosts[worker].actor, method).options(concurrency_group=group).remote(*arguments)

    def _ask(self, worker: Worker) -> None:
        self._asked[self._call(worker, "answers", "out", self._hosts[worker].heard)] = worker

    def give(self, worker: Worker, message: Message) -> None:
        """Send a message to the actor, which passes it on."""
        if worker in self._hosts:
            self._call(worker, "give", "in", message)

    def answers(self, timeout_s: float) -> Iterator[tuple[Worker, Message | Exit]]:
        """Yield whatever has come; an Exit when a process, its actor or its machine has ended."""
        self._kill_silent()
        if not self._heard:
            self._listen(timeout_s)
        while self._heard:  # who listens may leave after any of them
            yield self._heard.popleft()

    def _listen(self, timeout_s: float) -> None:
        if not self._asked:
            time.sleep(timeout_s)
            return
        refs = list(self._asked)
        if ray.wait(refs, timeout=timeout_s)[0]:
            for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
                self._take(ref)

    def _take(self, ref: Any) -> None:
        worker = self._asked.pop(ref)
        try:
            items = ray.get(ref)
        except ActorUnavailableError:  # the network: nothing is lost, what was not taken is asked for again
            items = []
        except RayError as error:
            self._heard.append((worker, self._lost(worker, error)))
            return
        self._hosts[worker].heard += len(items)
        ends = [end for item in items if (end := self._hear(worker, item))]
        if ends:
            self._heard.append((worker, ends[0]))
            ray.kill(self._hosts.pop(worker).actor)
        else:
            self._ask(worker)

    def _hear(self, worker: Worker, item: dict[str, Any]) -> Exit | None:
        """Take one item of an actor; what is an end is returned."""
        host = self._hosts[worker]
        if "exit" in item:
            return exit_of(item["exit"])
        if "pid" in item:
            host.node, host.name = item["machine"], item["host"]
            worker.pid, worker.machine = item["pid"], item["machine"]
            _refuse_other_code(item)
            return None
        message = item["message"]
        if isinstance(message, dict) and "fault" in message:
            for problem in message["fault"]["problems"]:
                problem["where"] += f" (on {host.name})"
        if item["files"]:
            message = {**message, "files": item["files"]}
        self._heard.append((worker, message))
        return None

    def _lost(self, worker: Worker, error: RayError) -> Exit:
        """How an actor ended that can say nothing more."""
        host, self._nodes_at = self._hosts.pop(worker), 0.0
        there = {node["NodeID"] for node in self._living() if host.node == node["NodeID"] and _answers(node)}
        if (host.node and not there) or "node has died" in str(error):
            return Exit(f"its machine went away ({host.name or 'before it was known'})", machine_lost=True)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Exit(f"its Ray actor ended: {lines[-1] if lines else type(error).__name__}")

    def _kill_silent(self) -> None:
        for host in self._hosts.values():
            if host.kill_at is not None and time.monotonic() > host.kill_at:
                host.kill_at = None
                ray.kill(host.actor)

    def stop(self, worker: Worker | None = None) -> None:
        """Kill one worker; or all, wait until their actors are gone, and leave the cluster."""
        if worker is not None:
            if worker in self._hosts:
                self._call(worker, "end", "end")
                self._hosts[worker].kill_at = time.monotonic() + GRACE_S
            return
        if not ray.is_initialized():
            return
        ended = [self._call(each, "end", "end") for each in self._hosts]
        if ended:
            ray.wait(ended, num_returns=len(ended), timeout=GRACE_S)
        for host in self._hosts.values():
            ray.kill(host.actor)
        if self._asked:
            refs = list(self._asked)
            ray.wait(refs, num_returns=len(refs), timeout=GRACE_S)
        self._hosts.clear()
        self._asked.clear()
        self._heard.clear()
        ray.shutdown()


def _refuse_silent(address: str) -> None:
    """A Fault (exit 4) where nobody listens at host:port; Ray would ask for minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdecimal() or "/" in host:
        raise _no_cluster(address, f"{address!r} is neither auto nor HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=GRACE_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _answers(node: Any) -> bool:
    """Whether a machine answers: the cluster takes seconds to notice that one has gone."""
    try:
        socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), PROBE_S).close()
    except OSError:
        return False
    return True


def _no_cluster(address: str, why: str) -> Fault:
    do = "start one with `ray start --head`, or name one that this machine is a node of"
    return fault(f"no Ray cluster answers: {why}", f"--ray {address}", do, REFUSED)


def _machine() -> str:
    """The id of the node that this runs on."""
    return str(ray.get_runtime_context().get_node_id())


def _refuse_other_code(item: dict[str, Any]) -> None:
    """A Fault (exit 4) where a machine runs another fairtrial than the driver."""
    theirs, ours = item["code"], code()
    if theirs != ours:
        them, us = (f"{each['fairtrial']} (files {each['code'][:12]})" for each in (theirs, ours))
        what = f"{item['host']} runs fairtrial {them}, this driver {us}"
        raise fault(what, "the Ray cluster", "install the same fairtrial on every machine", REFUSED)
