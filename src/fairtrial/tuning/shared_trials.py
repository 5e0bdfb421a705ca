"""Several drivers tune one study together: Optuna's storage says who runs which trial run.

One Optuna trial is one trial run, a cell. The attempt files are the truth: they travel as user attributes, so
that every driver ends with all of them in a results folder of its own, and what counts is decided once.
"""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from socket import gethostname
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial, TrialState

from fairtrial.errors import BAD_INPUT, REFUSED, Fault, fault, shown
from fairtrial.execution.runner import Schedule, Wanted
from fairtrial.storage import exchange
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.factors import recorded_digest
from fairtrial.study.failure_policy import MOST_FAILED
from fairtrial.study.identity import digest
from fairtrial.study.study import Cell, Study
from fairtrial.tuning.database_answers import NoAnswer, answers
from fairtrial.tuning.database_url import CONNECT_S, DatabaseUrl, one_at_a_time, one_driver
from fairtrial.tuning.optuna_sampler import FAILED
from fairtrial.tuning.selection import Outcomes, score_of

HEARTBEAT_S = 60  # shorter ones declare live drivers dead (optuna#5470)
GRACE_S = 180  # without a heartbeat: then its driver is gone
POLL_S = 2.0  # between two looks at the database
PATIENCE_S = 60.0  # with a database that does not answer
_RECORDS: Final = "records"  # user attributes of a trial
_CELL: Final = "cell"
_DRIVER: Final = "driver"


@dataclass
class SharedTrials:
    """The part of one driver in a tuning that others take part in; a `Schedule` while it is open.

    ask: what a driver alone would be told to run. room: cells that it runs side by side.
    """

    study: Study
    store: Store
    url: DatabaseUrl
    ask: Schedule
    room: int
    claimed: dict[str, int] = field(default_factory=dict)  # cell -> trial that this driver runs
    _taken: set[int] = field(default_factory=set)  # trials whose records are here
    _foreign: list[Attempt] = field(default_factory=list)  # of these, what was new here
    _last: Wanted = field(default_factory=lambda: Wanted((), waits=True))
    _looked: float = -float("inf")
    _silent_since: float | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[SharedTrials]:
        """Take part while the block runs; what is not finished then is given back."""
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with contextlib.ExitStack() as held:
            if self.url.file is not None:
                held.enter_context(one_driver(self.url.file))
            try:
                with answers(self.url):
                    self._open()
            except NoAnswer as error:
                do = "check that the server runs, the user, the database and the password"
                raise fault(f"the database refused: {error}", str(self.url), do, REFUSED) from None
            held.callback(self.backend.remove_session)
            stop = threading.Event()
            beating = threading.Thread(target=self._beat, args=(stop,), daemon=True)
            beating.start()
            try:
                yield self
            finally:
                stop.set()
                beating.join()
                self._give_back()

    def _open(self) -> None:
        pool = {"pool_size": 1, "max_overflow": 2, "pool_pre_ping": True}
        engine = {**pool, "connect_args": {"connect_timeout": CONNECT_S}} if self.url.file is None else {}
        with one_at_a_time(self.url, "tables"):
            self.backend = optuna.storages.RDBStorage(
                self.url.full, engine_kwargs=engine, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S
            )
            self.storage: Any = optuna.storages.get_storage(self.backend)
            name = f"{self.study.id}-{recorded_digest(self.study.declaration())[:8]}"
            self.shared = optuna.create_study(
                storage=self.storage, study_name=name, direction="minimize", load_if_exists=True
            )
        self.number = self.storage.get_study_id_from_name(name)
        self.me = digest([gethostname(), str(self.store.folder.resolve())])[:16]

    def _beat(self, stop: threading.Event) -> None:
        """Say at each interval that the claimed trials are being run; one that is lost stops no training."""
        while not stop.wait(HEARTBEAT_S):
            for trial in list(self.claimed.values()):
                with contextlib.suppress(NoAnswer, Fault), answers(self.url):
                    self.backend.record_heartbeat(trial)
            self.backend.remove_session()

    def __call__(self, known: Outcomes) -> Wanted:
        """Hand in what has ended, take what others recorded, and claim what is free."""
        ended = [cell for cell in self.claimed if cell in known]
        if not ended and time.monotonic() - self._looked < POLL_S:
            return Wanted(self._last.cells, waits=self._last.waits, held_up=self._last.held_up)
        self._looked = time.monotonic()
        try:
            with answers(self.url):
                self._last = self._look(known)
            self._silent_since = None
            return self._last
        except NoAnswer as error:
            now = time.monotonic()
            self._silent_since = self._silent_since or now
            if now - self._silent_since > PATIENCE_S:
                do = "start it again, then run the same command: it goes on where it stopped"
                what = f"the database did not answer for {PATIENCE_S:g} s: {error}"
                raise fault(what, str(self.url), do, REFUSED) from None
            return Wanted(
                self._last.cells, ("the database does not answer; waiting",), waits=True, held_up=True
            )

    def _look(self, known: Outcomes) -> Wanted:
        for claimed in list(self.claimed):
            self._hand_in(claimed, known.get(claimed))
        optuna.storages.fail_stale_trials(self.shared)
        records = self._take()
        ended = {**outcomes(records, self.study.failures), **known}
        wanted = self.ask(ended)
        trials = self._offer(wanted.cells)
        # what ended since it was looked at is not here yet
        taken = {cell for cell, each in trials.items() if any(t.number in self._taken for t in each)}
        lost = {cell for cell, each in trials.items() if not any(map(_is_open_or_final, each))}
        for cell in wanted.cells:
            for trial in trials[cell.id]:
                self._claim(cell, trial, known)
        pending = [cell for cell in wanted.cells if cell.id not in {*ended, *taken, *lost}]
        others = [cell for cell in pending if cell.id not in self.claimed]
        here = {*ended, *self.claimed, *taken}
        cells = [cell for cell in wanted.cells if cell.id in here]
        incomplete = any(cell.id not in here for cell in wanted.cells)
        return Wanted(cells, wanted.lines, records, held_up=incomplete, waits=bool(others))

    def _hand_in(self, cell: str, outcome: Attempt | None) -> None:
        """Give the records of a cell to the others, once it has an outcome or was given up."""
        tried = [attempt for attempt in exchange.attempts_of(self.store, cell) if attempt.failed]
        if outcome is None and len(tried) < MOST_FAILED:
            return
        trial = self.claimed[cell]
        # of a trial that was taken away meanwhile, what the other driver recorded counts
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(trial, _RECORDS, exchange.texts_of(self.store, cell))
            if outcome is None:
                self.storage.set_trial_state_values(trial, TrialState.FAIL)
            else:
                assert self.study.tuning is not None
                score = min(score_of(outcome, self.study.tuning.score), FAILED)
                self.storage.set_trial_state_values(trial, TrialState.COMPLETE, [score])
        del self.claimed[cell]

    def _take(self) -> list[Attempt]:
        """Publish here what others recorded -> their attempts by now."""
        for trial in self._trials():
            if trial.number not in self._taken and _is_final(trial):
                cell, texts = trial.user_attrs[_CELL], trial.user_attrs[_RECORDS]
                self._foreign += exchange.adopt(self.store, cell, texts, self._where(trial))
                self._taken.add(trial.number)
        return list(self._foreign)

    def _trials(self) -> Sequence[FrozenTrial]:
        """Return all trials; a Fault (exit code 3) where one says of itself what no driver wrote."""
        trials = self.shared.get_trials(deepcopy=False)
        for trial in trials:
            if flaw := _flaw(trial.user_attrs):
                raise fault(flaw, self._where(trial), exchange.REMOVE, BAD_INPUT)
        return trials

    def _where(self, trial: FrozenTrial) -> str:
        return f"trial {trial.number} of {self.shared.study_name}"

    def _offer(self, cells: Sequence[Cell]) -> dict[str, list[FrozenTrial]]:
        """Give every cell a trial that can be run or was; one planner at a time. Cell -> its trials."""
        trials = self._of_cells()
        if all(_is_offered(trials[cell.id]) for cell in cells):
            return trials
        with one_at_a_time(self.url, self.shared.study_name):
            trials = self._of_cells()
            for cell in cells:
                if not _is_offered(trials[cell.id]):
                    self.shared.add_trial(self._waiting(cell))
        return self._of_cells()

    def _of_cells(self) -> dict[str, list[FrozenTrial]]:
        found: defaultdict[str, list[FrozenTrial]] = defaultdict(list)
        for trial in self._trials():
            found[trial.user_attrs.get(_CELL, "")].append(trial)
        return found

    def _waiting(self, cell: Cell) -> FrozenTrial:
        assert self.study.tuning is not None
        params = {name: float(getattr(cell.settings, name)) for name in self.study.tuning.names}
        space: dict[str, Any] = {n: optuna.distributions.FloatDistribution(v, v) for n, v in params.items()}
        about = {_CELL: cell.id, "arm": cell.arm, "seed": cell.seed}
        return optuna.trial.create_trial(
            state=TrialState.WAITING, params=params, distributions=space, user_attrs=about
        )

    def _claim(self, cell: Cell, trial: FrozenTrial, known: Outcomes) -> None:
        """Claim a trial for which there is room, and hand in at once what is recorded here already."""
        identity = trial._trial_id  # what the storage calls a trial by
        mine = trial.state == TrialState.RUNNING and trial.user_attrs.get(_DRIVER) == self.me
        if cell.id in self.claimed or not (trial.state == TrialState.WAITING or mine):
            return
        if cell.id not in known and len(self.claimed) >= self.room:
            return
        # before it is running: one without any heartbeat would never be found to be abandoned
        self.backend.record_heartbeat(identity)
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            if mine or self.storage.set_trial_state_values(identity, TrialState.RUNNING):
                self.claimed[cell.id] = identity
                self.storage.set_trial_user_attr(identity, _DRIVER, self.me)
                self._hand_in(cell.id, known.get(cell.id))

    def _give_back(self) -> None:
        """Let others run at once what this driver claimed and did not end."""
        ended = outcomes(self.store.attempts(), self.study.failures)
        with contextlib.suppress(NoAnswer), answers(self.url):
            for cell in list(self.claimed):
                self._hand_in(cell, ended.get(cell))
            for trial in self.claimed.values():
                with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                    self.storage.set_trial_state_values(trial, TrialState.WAITING)


def _flaw(attributes: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the attributes of a trial; one that names no cell is none of ours."""
    cell, texts = attributes.get(_CELL, ""), attributes.get(_RECORDS)
    if not isinstance(cell, str):
        return f"{_CELL}: expected a text; got {shown(cell)}"
    are_texts = isinstance(texts, list) and bool(texts) and all(isinstance(text, str) for text in texts)
    if _RECORDS in attributes and not (cell and are_texts):
        return f"{_RECORDS}: expected the texts of the attempts of a cell; got {shown(texts)}"
    return None


def _is_final(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() and _RECORDS in trial.user_attrs


def _is_open_or_final(trial: FrozenTrial) -> bool:
    """Whether a trial waits, runs or has records; else its driver was lost."""
    return not trial.state.is_finished() or _is_final(trial)


def _is_offered(trials: Sequence[FrozenTrial]) -> bool:
    """Whether a cell has a trial that waits, runs or has ended, or lost its driver as often as is allowed."""
    return len(trials) >= MOST_FAILED or any(map(_is_open_or_final, trials))
