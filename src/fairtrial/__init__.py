"""fairtrial: ablations of Big Transfer as fair trials between arms.

A study file needs no more than `from fairtrial import Budget, Contrast, Study, drive`, a notebook no more
than `import fairtrial as ft` (docs/notebook.md).
"""

# as typing.TYPE_CHECKING, without the import: the package itself stays light
TYPE_CHECKING = False
if TYPE_CHECKING:
    from fairtrial.cli.main import drive
    from fairtrial.notebook import compare, figure, load, report, run, verdicts
    from fairtrial.study.budget import Budget
    from fairtrial.study.contrast import Contrast
    from fairtrial.study.study import Study
    from fairtrial.study.tuning_plan import Tuning

__version__ = "0.1.0"

_HOMES = {
    "Budget": "fairtrial.study.budget",
    "Contrast": "fairtrial.study.contrast",
    "Study": "fairtrial.study.study",
    "Tuning": "fairtrial.study.tuning_plan",
    "drive": "fairtrial.cli.main",
    **dict.fromkeys(("compare", "figure", "load", "report", "run", "verdicts"), "fairtrial.notebook"),
}
__all__ = [
    "Budget",
    "Contrast",
    "Study",
    "Tuning",
    "__version__",
    "compare",
    "drive",
    "figure",
    "load",
    "report",
    "run",
    "verdicts",
]


def __dir__() -> list[str]:
    """Return the public names, for a shell or a notebook that completes them."""
    return sorted(__all__)


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
