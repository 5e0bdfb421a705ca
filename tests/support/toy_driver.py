"""A real driver over toy jobs: `python toy_driver.py RESULTS OPTIONS STUDY`, the last two as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from fairtrial.errors import Fault
from fairtrial.execution import runner, worker_pool
from fairtrial.execution.part import Part
from fairtrial.storage.store import Store
from fairtrial.study.study import Study
from fairtrial.tuning.schedule import in_part, tuning_alone, whole_study
from tests.support.toy import WORKER, note_hits, toy_study


def tune(study: Study, options: runner.Options, shared: dict) -> int:
    """Take part in a tuning on the database that a variable names. shared: seconds in place of usual ones."""
    from fairtrial.tuning import shared_trials
    from fairtrial.tuning.database_url import given_url

    for name, seconds in shared.items():
        setattr(shared_trials, name, seconds)
    url, store = given_url(None), Store.of(study, options.results)
    assert url is not None
    ask, room = tuning_alone(study), options.jobs_for(study)
    with shared_trials.SharedTrials(study, store, url, ask, room).opened() as trials:
        return runner.run(study, options, trials)


def main() -> int:
    results, options, study = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    worker_pool.ENTRY = (os.environ.get("TOY_WORKER", WORKER),)
    if "ray" in options:  # workers have the environment of their machine
        acts = {name: value for name, value in os.environ.items() if name.startswith("TOY")}
        worker_pool.ENTRY = (WORKER, json.dumps(acts))
    note_hits()
    runner.BEAT_S = options.pop("beat_s", runner.BEAT_S)
    made, part = toy_study(**study), options.pop("part", None)
    schedule = whole_study(made)
    shared = options.pop("shared", None)
    if part is not None:
        options["part"] = Part.parse(part)
        schedule = in_part(schedule, made, options["part"], Store.of(made, results))
    how = runner.Options(results=results, **options)
    try:
        return runner.run(made, how, schedule) if shared is None else tune(made, how, shared)
    except Fault as error:
        print(error.block(), file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
