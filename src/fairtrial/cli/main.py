"""The command line: the entry points, and what all commands share."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import NoReturn

from fairtrial.cli.output import open_streams
from fairtrial.cli.parser import driver, parser
from fairtrial.errors import DONE, INTERRUPTED, RESOURCES, Fault, fault
from fairtrial.failpoints import VARIABLE, chosen
from fairtrial.installation import unsupported
from fairtrial.signals import Ended, Stop
from fairtrial.storage.atomic import advice
from fairtrial.study.loader import find, load
from fairtrial.study.study import Study


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Every fault is one block on stderr: what, where, do."""
    given = sys.argv[1:] if argv is None else list(argv)
    return _guarded(lambda: _dispatch(parser().parse_args(given)), "--json" in given)


def drive(study: Study) -> NoReturn:
    """`python ablations/norm.py ...`: run this study with the options of `fairtrial run`."""
    given = sys.argv[1:]
    own = driver(f"{study.name}.py", study.question)

    def run() -> int:
        options = own.parse_args(given)
        from fairtrial.cli import study_commands
        from fairtrial.cli.given_plugins import make_known

        make_known(options)

        return study_commands.run(study, options)

    sys.exit(_guarded(run, "--json" in given))


def _guarded(command: Callable[[], int], as_json: bool) -> int:
    if words := unsupported():
        raise SystemExit(_refuse(words, as_json))
    open_streams()
    try:
        if (point := chosen()) and point.problem:
            raise fault(point.problem, VARIABLE, "unset it: it is for tests alone")
        stop = Stop(raises=True)
        with stop.listening():
            code = stop.code_of(command)
            sys.stdout.flush()
            return code
    except Fault as error:
        return _refuse(error, as_json)
    except Ended as ended:
        return ended.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has left
        _drop_output()
        return DONE
    except MemoryError as error:
        what, do = str(error) or "memory ran out", "end other programs, use fewer --jobs, or a larger machine"
        return _refuse(fault(what, "the memory of this machine", do, RESOURCES), as_json)
    except OSError as error:
        _drop_output()  # it may be what is full
        what = f"the system refused: {error.strerror or error}"
        do = advice(error) or "check the path, its permissions and the space left"
        return _refuse(fault(what, str(error.filename or "no file named"), do, RESOURCES), as_json)


def _drop_output() -> None:
    """Let what is still to be written go nowhere: at its end Python would try again, and exit with 120."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(error: Fault, as_json: bool) -> int:
    words = [json.dumps(problem) for problem in error.objects()] if as_json else [error.block()]
    print("\n".join(words), file=sys.stderr)
    return error.code


def _dispatch(given: Namespace) -> int:
    from fairtrial.cli import (  # --help has answered by now, and needs neither
        commands,
        study_commands,
        table_commands,
    )
    from fairtrial.cli.given_plugins import check, make_known

    alone = {  # without a study
        "agree": commands.agree,
        "check": check,
        "claims": commands.claims,
        "compare": table_commands.compare,
        "doctor": commands.doctor,
        "fetch": commands.fetch,
        "gate": commands.gate,
        "init": commands.init,
        "merge": commands.merge,
        "networks": commands.measure,
        "probe": commands.measure,
        "verify": commands.verify,
    }
    if given.command in alone:
        make_known(given)
        return alone[given.command](given)
    if given.command == "report" and given.study is None:
        return commands.report_all(given)
    on_study = {
        "plan": study_commands.plan,
        "tune": study_commands.tune,
        "run": study_commands.run,
        "status": study_commands.status,
        "report": study_commands.report,
        "verdict": study_commands.verdict,
        "export": table_commands.export,
        "repair": study_commands.repair,
        "replay": study_commands.replay,
    }
    path = find(given.study)
    make_known(given, path)
    return on_study[given.command](load(path), given)
