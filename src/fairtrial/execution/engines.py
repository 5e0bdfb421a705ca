"""Which engine runs the cells of a study, by the options of the run, and what its workers are told first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairtrial.execution.carried_files import paths_read
from fairtrial.execution.engine import Engine, Message
from fairtrial.execution.local_processes import LocalProcesses
from fairtrial.execution.run_options import Options
from fairtrial.installation import released
from fairtrial.screen import announce
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study.factors import recorded_digest
from fairtrial.study.study import Cell, Study


def engine_of(study: Study, options: Options, cells: Sequence[Cell]) -> Engine:
    """Return processes of this machine, or actors of Ray; a Fault where no cluster answers.

    Also (exit code 3) where a machine of it does not see what these cells read.
    """
    if options.ray is None:
        return LocalProcesses(options.jobs_for(study), options.threads, options.device)
    from fairtrial.execution.ray_engine import RayActors  # an extra

    announce("on Ray a cell keeps no state: one that is killed starts anew")
    alone = study.budget.kind == "seconds"
    reads = paths_read(cells, options.results)
    return RayActors(options.ray, options.jobs, options.threads, options.device, alone=alone, reads=reads)


def first_message(study: Study, store: Store, options: Options, declaration: str | None) -> Message:
    """Return the first message to each worker of a study, which keeps in its folder what it trains."""
    return {
        "declaration": declaration,
        "folder": str(store.folder.resolve()),
        "threads": options.threads,
        "device": options.device,
        "download": options.download,
        "results": [str(each.resolve()) for each in (options.results, *released())],
        "plugins": [plugin.record() for plugin in study.plugins],
    }


def declaration_of(store: Store, study: Study | None = None) -> str | None:
    """The hash of what is declared now, None where nothing is; of a study that which its cells run under."""
    if study is not None:
        return store.declared_as(study) or recorded_digest(study.declaration())
    return (store.hashes() or (None,))[-1]


def changed_plugins(study: Study, store: Store) -> Iterator[str]:
    """Say which files of the user's are others than those that the study recorded: their cells run anew."""
    if not is_study(store.folder):
        return
    recorded = store.declared()["declaration"].get("plugins", ())
    before = {each["file"]: each["sha256"] for each in recorded}
    for plugin in study.plugins:
        then = before.get(plugin.name, plugin.sha256)
        if then != plugin.sha256:
            digests = f"sha256 {then[:12]}... then, {plugin.sha256[:12]}... now"
            yield f"{plugin.name} changed since it was recorded ({digests}): the cells that use it run anew"
