"""The plug-ins of a command: those that --plugin names, and those that the study recorded."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from fairtrial.cli.output import show
from fairtrial.errors import DONE, Fault, Problem
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import register
from fairtrial.screen import working
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study.loader import declared_name
from fairtrial.study.study import FIXED_LR


def make_known(given: Namespace, path: Path | None = None) -> None:
    """Make the plug-ins of a command known before its study is loaded. path: of the study file.

    What --plugin names counts; else what is recorded under the study's name, by its content there.
    """
    for name in getattr(given, "plugin", None) or ():
        register(Plugin.read(Path(name)))
    study = None if path is None else declared_name(path)
    if study is not None:
        fixed = "" if getattr(given, "fixed_lr", None) is None else FIXED_LR
        for preset in ("", *([] if given.preset is None else [f"-{given.preset}"])):
            folder = given.results / f"{study}{fixed}{preset}"
            if is_study(folder):
                with suppress(Fault):  # told where the records are read
                    Store(folder).declared()


def check(given: Namespace) -> int:
    """Run every check of the project on a plug-in; a Fault holds all that is wrong."""
    from fairtrial.execution.cell.check_plugin import as_json
    from fairtrial.execution.cell.check_plugin import check as check_file
    from fairtrial.reporting.wording import plural

    lines, checks = list[tuple[str, Problem | None]](), check_file(given.file)
    while True:
        with working(f"{given.file.name}: check {len(lines) + 1}"):
            line = next(checks, None)
        if line is None:
            break
        lines.append(line)
        title, wrong = line
        show(None, [] if given.json else [f"{'FAILS' if wrong else 'ok   '}  {title}"], False)
    problems = [each for _, each in lines if each]
    words = f"{plural(len(lines), 'check')}, {len(problems)} failed"
    show(as_json(lines), [words if lines else "the file adds nothing: it states no PLUGIN table"], given.json)
    if problems:
        raise Fault(list(dict.fromkeys(problems)))  # one error may fail several checks
    return DONE
