"""What a database of trials answers: whatever goes wrong there, in words that hold no secret."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from typing import Final

import optuna
from sqlalchemy.exc import SQLAlchemyError

from fairtrial.errors import BAD_INPUT, fault, refuse_shortage
from fairtrial.tuning.database_url import DatabaseUrl

_LONGEST: Final = 300  # characters of an error


class NoAnswer(Exception):
    """The database did not do what it was asked; the message holds no secret."""


@contextlib.contextmanager
def answers(url: DatabaseUrl) -> Iterator[None]:
    """Every failure of the database becomes a NoAnswer; a Fault (exit code 3) where Optuna cannot read it."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        raise NoAnswer(url.hide(_words(getattr(cause, "orig", None) or cause))) from None
    except Exception as error:
        if not _comes_from_optuna(error):
            raise
        refuse_shortage(error, str(url))
        what = f"Optuna cannot read what the database holds: {url.hide(_words(error))}"
        do = "put it back from a copy, or name another one: this driver hands its records in anew"
        raise fault(what, str(url), do, BAD_INPUT) from None


def _words(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:_LONGEST] if lines else type(error).__name__


def _comes_from_optuna(error: Exception) -> bool:
    """Say whether an error passed through Optuna, which believes what stands in its tables."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__", "").startswith("optuna.") for frame in frames)
