"""What the file of a running attempt holds: all that is needed to close it when nobody is left to do so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairtrial.errors import BAD_INPUT, Fault, Problem
from fairtrial.storage.atomic import read_json
from fairtrial.storage.integrity import PUT_BACK
from fairtrial.storage.json_fields import Group, Json, Moment, Object, Ordinal, Whole, parse
from fairtrial.storage.record import Attempt, attempt_record, failure, refuse_other_name


@dataclass(frozen=True, kw_only=True)
class Lease(Group):
    """Who works on an attempt since when. cell: a `cell_message`; origin: what its record would say."""

    cell: Object
    number: Ordinal
    pid: Whole
    origin: Object
    started: Moment

    def closed(self, study: str, declaration: str | None, ran_s: float) -> Attempt:
        """Return the attempt as one that was killed. declaration: of a lease that does not say its own."""
        result = failure("killed", "the driver ended without a word", "driver", ran_s)
        origin: Json = {"declaration": declaration, **self.origin}
        return attempt_record(study, self.cell, self.number, result, origin)


def read_lease(path: Path) -> Lease:
    """Return a lease; FileNotFoundError, or a Fault where its attempt could not be closed with it.

    It is not sealed, because nothing is concluded from it but lost seconds.
    """
    flaws: list[str] = []
    lease = parse(Lease, read_json(path), "", flaws)
    if lease is not None and "id" not in lease.cell:
        flaws.append("the record lacks cell.id")
    if lease is None or flaws:
        raise Fault([Problem(flaw, str(path), PUT_BACK) for flaw in flaws], BAD_INPUT)
    try:
        attempt = lease.closed("", "", 0.0)
    except Fault as error:
        raise Fault([Problem(each.what, str(path), PUT_BACK) for each in error.problems], BAD_INPUT) from None
    refuse_other_name(path, attempt.cell, attempt.number)
    return lease
