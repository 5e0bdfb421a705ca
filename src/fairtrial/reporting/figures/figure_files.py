"""The figures of a report, and how they are written."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_registry import arms, contrasts
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.aa_check import AACheck
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.storage import atomic

MADE: Final = f"matplotlib {matplotlib.__version__}"  # in each picture: `verify` compares what it drew itself
_QUIET: Final[dict[str, dict[str, Any]]] = {  # no dates: the same results give the same bytes
    "svg": {"metadata": {"Date": None, "Creator": MADE}},
    "pdf": {"metadata": {"CreationDate": None, "Producer": None, "Creator": MADE}},
    "png": {"metadata": {"Software": MADE}},
}

_STAMP_WIDTH: Final = 60  # characters of a line of the stamp above a figure


@dataclass(frozen=True)
class Drawn:
    """A figure in its three formats; `svg` can stand in a page beside others."""

    name: str
    caption: str
    files: dict[str, bytes]
    wide: bool  # over both columns of a paper

    @property
    def svg(self) -> str:
        """The drawing alone: no prolog, no comments, ids that no other figure has."""
        text = self.files["svg"].decode()
        text = re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        for before in (' id="', 'href="#', "url(#"):
            text = text.replace(before, f"{before}{self.name}-")
        return text


@contextmanager
def styled() -> Iterator[None]:
    """Our look, whatever a matplotlibrc says here."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style.RC)
        yield


def draw(
    results: Results,
    findings: Sequence[Finding],
    aa: AACheck | None,
    *,
    partial: bool,
    more: Iterable[tuple[str, str, Figure]] = (),
) -> list[Drawn]:
    """Every figure that the recorded cells allow, and those that are given."""
    with styled():
        made = [*contrasts(results, findings, aa), *arms(results, partial), *more]
        return [_render(results, *each) for each in made]


def _render(results: Results, name: str, caption: str, figure: Figure) -> Drawn:
    if not results.sound:
        words = results.unsound.partition("; ")[0]
        figure.suptitle(
            "\n".join(wrap(words, _STAMP_WIDTH)), color=style.ALARM, fontsize=8, fontweight="bold"
        )
    return rendered(name, f"{caption} {provenance(results)}", figure)


def rendered(name: str, caption: str, figure: Figure) -> Drawn:
    """The figure in every format; its layout is found once, so that all formats agree on it."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    files = {}
    for kind, options in _QUIET.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, **options)
        files[kind] = buffer.getvalue()
    return Drawn(name, caption, files, wide=figure.get_figwidth() > style.COLUMN)


def write(drawn: Sequence[Drawn], folder: Path) -> list[Path]:
    """Write each figure as svg, pdf and png; a file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for figure in drawn:
        for kind, data in figure.files.items():
            path = folder / f"{figure.name}.{kind}"
            atomic.publish(path, data, overwrite=True)
            paths.append(path)
    return paths
