"""Which engine runs the cells of a study, by the options of the run."""

from __future__ import annotations

from fairtrial.execution.engine import Engine
from fairtrial.execution.local_processes import LocalProcesses
from fairtrial.execution.run_options import Options
from fairtrial.study.study import Study


def engine_of(study: Study, options: Options) -> Engine:
    """Return processes of this machine, or actors of Ray; a Fault where no cluster answers."""
    if options.ray is None:
        return LocalProcesses(options.jobs_for(study), options.threads, options.device)
    from fairtrial.execution.ray_engine import RayActors  # an extra

    alone = study.budget.kind == "seconds"
    return RayActors(options.ray, options.jobs, options.threads, options.device, alone=alone)
