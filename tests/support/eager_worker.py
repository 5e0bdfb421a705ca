"""A real worker that writes a checkpoint after every step: run by path in place of the module.

TOY_NOTES: a file for what happens in cells and when, in lines of JSON (`noted`). TOY_STOPS: the steps after
which the worker stops itself, as a Ctrl-Z would, until someone continues it.
"""

import json
import os
import signal
import time
from pathlib import Path


def noted(file: Path) -> list[dict]:
    """What workers have noted: what, pid, at (wall clock); of a cell when its lease was taken."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def note(what: str, **more) -> None:
    if file := os.environ.get("TOY_NOTES"):
        with Path(file).open("a") as notes:
            notes.write(json.dumps({"what": what, "pid": os.getpid(), "at": time.time(), **more}) + "\n")


def main() -> None:
    from fairtrial.execution import worker  # torch: who reads the notes does without
    from fairtrial.execution.cell import resume
    from fairtrial.storage.lease import read_lease

    resume.LEAST_S, resume.SHARE = -1.0, 1e9
    stops = json.loads(os.environ.get("TOY_STOPS", "[]"))
    run, after_step = worker.CellRunner.run, resume.Keeper.after_step

    def noting(self, message):
        began, name = time.time(), f"{message['cell']['id']}-{message['attempt']}.json"
        leased = read_lease(self.store.folder / "leases" / name).started
        note("cell", at=began, leased=leased)
        result = run(self, message)
        note("end")
        return result

    def stopping(self, state):
        note("step")
        if state.step in stops:
            note("stop")
            os.kill(os.getpid(), signal.SIGSTOP)
            note("on")
        after_step(self, state)

    worker.CellRunner.run, resume.Keeper.after_step = noting, stopping
    worker.main()


if __name__ == "__main__":
    main()
