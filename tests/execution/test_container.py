"""Cores and memory as a container, a batch job or the system allows them; cores that workers keep apart."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairtrial.errors import RESOURCES, Fault
from fairtrial.execution import container, local_processes, worker_pool
from fairtrial.execution.container import cores, fitting_workers, memory_bytes, memory_kills
from fairtrial.execution.engine import Exit, Worker
from fairtrial.execution.local_processes import LocalProcesses, exit_of
from fairtrial.execution.process_environment import BINDING, worker_environment
from fairtrial.execution.run_options import Options
from fairtrial.storage.store import Store
from tests.support.toy import leases, run, toy_study

MB = 2**20
V2 = {"own": "0::/user/job\n", "files": {"cgroup.controllers": "cpu memory"}}
V1 = {"own": "4:memory:/user/job\n2:cpu,cpuacct:/user/job\n", "files": {}}
# what a container or a batch system has set -> (files of the cgroup, cores of 8, MB of memory, kills)
LIMITED = {
    "2: --cpus 2 --memory 3g": (V2, {"cpu.max": "200000 100000", "memory.max": f"{3 << 30}"}, 2, 3072, 0),
    "2: a limit above": (V2, {"../cpu.max": "150000 100000", "../memory.max": f"{1 << 30}"}, 1, 1024, 0),
    "2: no limit": (V2, {"cpu.max": "max 100000", "memory.max": "max"}, 8, None, 0),
    "2: killed": (V2, {"memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n"}, 8, None, 2),
    "1: docker --cpus 2.5 --memory 520m": (
        V1,
        {
            "cpu,cpuacct!cpu.cfs_quota_us": "250000",
            "cpu,cpuacct!cpu.cfs_period_us": "100000",
            "memory!memory.limit_in_bytes": f"{520 * MB}",
            "memory!memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        },
        2,
        520,
        1,
    ),
    "1: no limit": (
        V1,
        {
            "cpu,cpuacct!cpu.cfs_quota_us": "-1",
            "cpu,cpuacct!cpu.cfs_period_us": "100000",
            "memory!memory.limit_in_bytes": "9223372036854771712",
        },
        8,
        None,
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("inside", [False, True], ids=["host's path", "own root"])
def test_a_containers_limits_are_those_of_cores_and_memory(tmp_path, monkeypatch, name, inside):
    kind, files, allowed, mb, kills = LIMITED[name]
    for path, text in {**kind["files"], **files}.items():
        hierarchy, _, file = path.rpartition("!")
        folder = "" if inside or path in kind["files"] else "user/job"
        where = tmp_path / hierarchy / folder / (file.removeprefix("../") if inside else file)
        where.resolve().parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / hierarchy / folder).mkdir(parents=True, exist_ok=True)
        where.write_text(text)
    (tmp_path / "own").write_text(kind["own"])
    monkeypatch.setattr(container, "ROOT", tmp_path)
    monkeypatch.setattr(container, "OWN", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert (cores(), memory_kills()) == (allowed, kills)
    assert memory_bytes() == min(physical, (mb or 2**40) * MB)
    jobs = Options().jobs_for(toy_study())
    assert jobs == min(allowed, fitting_workers())
    assert Options(jobs=7).jobs_for(toy_study()) == 7
    if mb is not None and mb <= 1024:
        assert jobs == 1


@pytest.mark.parametrize(("asked", "expected"), [("3", 3), ("64", 8), ("", 8), ("x", 8), ("0", 1)])
def test_a_slurm_tasks_cores(monkeypatch, asked, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(container, "OWN", Path("/nowhere"))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", asked)
    assert cores() == expected


def test_where_nothing_is_said_the_system_counts(monkeypatch):
    monkeypatch.setattr(container, "OWN", Path("/nowhere"))
    assert memory_bytes() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_kills() == 0


def test_a_worker_that_is_killed_for_memory_says_so_and_how_much_there_is(monkeypatch):
    monkeypatch.setattr(local_processes, "memory_bytes", lambda: 520 * MB)
    end = exit_of(-9, no_memory=True)
    assert end.words == "the system killed the worker for lack of memory (signal 9); 520 MB are allowed here"
    assert "memory" not in exit_of(-9).words and "memory" not in exit_of(-11, no_memory=True).words


def test_too_little_memory_is_said_before_the_first_worker(monkeypatch):
    monkeypatch.setattr(container, "memory_bytes", lambda: 520 * MB)
    with pytest.raises(Fault, match="520 MB of memory are allowed here") as refused:
        LocalProcesses(1, 1, "cpu")
    assert refused.value.code == RESOURCES


def test_workers_that_do_not_fit_are_a_lack_of_memory_not_of_right(monkeypatch):
    pool = worker_pool.WorkerPool(LocalProcesses(1, 1, "cpu"), {})
    end = Exit("the system killed the worker for lack of memory", no_memory=True)
    with pytest.raises(Fault, match="lack of memory") as refused:
        for _ in range(worker_pool.MOST_FAILED):
            pool._refuse_failed_starts(Worker(), end)
    assert refused.value.code == RESOURCES
    assert "allow more memory" in refused.value.problems[0].do


BOUND = """
import json, os, sys
import torch
torch.set_num_threads(1)
torch.ones(8) + 1
print(json.dumps(sorted(os.sched_getaffinity(0))))
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_workers_keep_every_core_whatever_binds_threads(monkeypatch):
    """Each of them alone would bind, so that one which is left to the worker is noticed."""
    for name in BINDING[:3]:
        monkeypatch.setenv(name, {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}.get(name, "0"))
    asked = subprocess.run(
        [sys.executable, "-c", BOUND], env=worker_environment(1, "cpu"), capture_output=True, text=True
    )
    assert asked.stdout.split() == str(sorted(os.sched_getaffinity(0))).split()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_hard_links_is_found_out_before_the_first_cell(tmp_path, monkeypatch, number):
    def refuse(self, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = Store(tmp_path / "toy")
    words = "could not write a hard link"
    with pytest.raises(Fault, match=words) as refused, store.driving(toy_study(), None):
        pytest.fail("a cell would be lost")
    assert refused.value.code == RESOURCES
    assert "a file system with hard links" in refused.value.problems[0].do
    assert not list(tmp_path.rglob("*.tmp"))


def test_where_there_are_links_nothing_is_left_of_the_try(tmp_path):
    assert run(tmp_path, study={"seeds": 1})[0] == 0
    assert not list(tmp_path.rglob("*.tmp")) and not leases(tmp_path)
