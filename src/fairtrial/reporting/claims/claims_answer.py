"""What `fairtrial verdict` and `fairtrial claims` say: verdicts, and the claims that they bear on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairtrial.errors import BAD_INPUT, did_you_mean, fault
from fairtrial.reporting.claims import ledger
from fairtrial.reporting.verdicts import study_verdicts
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import find_studies

Told = tuple[dict[str, Any], list[str], bool]


def told(store: Store, contrast: str | None, *, allow_partial: bool = False) -> Told:
    """Return the verdict sentences, then the claims on which a study bears; of one contrast its sentence.

    As data, as lines, and whether the study is complete. An unknown contrast is a Fault.
    """
    said, complete = study_verdicts.sentences(store, partial=allow_partial)
    results = open_study(store.folder, partial=allow_partial)
    names = [each.name for each in results.study.contrasts]
    if contrast is not None:
        if contrast not in names:
            what = f"no contrast is called {contrast!r}{did_you_mean(contrast, names)}"
            raise fault(what, f"CONTRAST of the study {store.name}", f"declared: {', '.join(names)}")
        one = [said[names.index(contrast)]]
        return {"sentences": one}, one, complete
    found = ledger.record([results], partial=allow_partial, bearing=True)
    claims = ledger.sentences([results], partial=allow_partial, bearing=True)
    return {"sentences": said, "claims": found}, [*said, *(f"Claim: {each}" for each in claims)], complete


def whole(where: Sequence[Path], *, allow_partial: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return the whole ledger over every study in these folders, as data and as lines."""
    found = find_studies(where)
    if not found:
        do = "run a study first, or name another folder with --results"
        raise fault("no study is recorded here", ", ".join(map(str, where)), do, BAD_INPUT)
    studies = [open_study(folder, partial=allow_partial) for folder in found]
    lines = ledger.sentences(studies, partial=allow_partial)
    return {"claims": ledger.record(studies, partial=allow_partial)}, lines
