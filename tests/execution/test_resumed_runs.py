"""Real workers that are killed within a cell, under a real driver: the same table, a bill that adds up."""

import json
import os
import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairtrial.errors import DONE, FAILED_CELLS
from fairtrial.execution.runner import BEAT_S
from fairtrial.execution.suspension import TICK_S, is_stopped
from fairtrial.execution.worker_pool import POLL_S
from fairtrial.failpoints import VARIABLE
from fairtrial.planning.status import status
from fairtrial.storage.cell_checkpoints import of_study
from tests.support.eager_worker import noted
from tests.support.toy import run, start, store_of, table, toy_study, until

EAGER = str(Path(__file__).parents[1] / "support" / "eager_worker.py")
STUDY = {"norms": ["bn"], "seeds": 1, "budget": "8st", "val_per_class": 2}
PAGE = (Path(__file__).parents[2] / "docs/plugins.md").read_text(encoding="utf-8")
(OWN,) = re.findall(r"^```python\n# my_long_train\.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KILL = """\
        if cell.settings["norm"] == "bn" and lowest < float("inf") and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        chosen = """
CRASHES = 3  # of one run; then the cell is given up


@pytest.fixture(scope="module")
def paused(tmp_path_factory):
    """(budget, steps, seconds) -> a study whose worker stopped itself after each of these steps, for so long.

    As a Ctrl-Z would stop it, but amid its training; it is what runs that were killed are compared with, too.
    """
    known = {}

    def of(budget, stops=(4,), pause_s=2.5):
        key = (budget, tuple(stops))
        if key not in known:
            folder = tmp_path_factory.mktemp("paused")
            known[key] = SimpleNamespace(results=folder / "r", stops=stops, notes=folder / "notes")
            known[key].paused_s = run_with_pauses(known[key], STUDY | {"budget": budget}, pause_s)
        return known[key]

    return of


def run_with_pauses(one, study, pause_s):
    """The seconds that its worker was certainly stopped."""
    toy = {"TOY_WORKER": EAGER, "TOY_NOTES": str(one.notes), "TOY_STOPS": json.dumps(list(one.stops))}
    driver, paused_s = start(one.results, study=study, jobs=1, toy=toy), 0.0
    for n in range(1, len(one.stops) + 1):
        until(lambda n=n: len(at(one, "stop")) == n and is_stopped(at(one, "stop")[-1]["pid"]))
        since = time.monotonic()
        time.sleep(pause_s)
        paused_s += time.monotonic() - since
        os.kill(at(one, "stop")[-1]["pid"], signal.SIGCONT)
        until(lambda n=n: len(at(one, "on")) == n)
    errors = driver.communicate(timeout=240)[1]
    assert driver.returncode == DONE, errors
    return paused_s


def at(one, what):
    return [note for note in noted(one.notes) if note["what"] == what]


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"budget": "8st"},
        pytest.param({"budget": "13st", "stops": range(2, 12), "pause_s": 5.0}, marks=pytest.mark.soak),
    ],
    ids=["once", "10 times"],
)
def test_a_pause_amid_training_stands_in_the_record_and_not_in_the_bill(paused, how):
    one = paused(**how)
    (record,) = store_of(one.results).attempts()
    spent, whole_s = record.spent, at(one, "end")[0]["at"] - at(one, "cell")[0]["at"]
    stood_s = sum(on["at"] - stop["at"] for stop, on in zip(at(one, "stop"), at(one, "on"), strict=True))
    short_s = TICK_S * len(one.stops)
    assert one.paused_s - short_s <= spent.stalled_s <= stood_s + BEAT_S * len(one.stops)
    assert spent.cell_s + spent.load_s <= whole_s - one.paused_s + short_s + 0.01
    if len(one.stops) > 1:
        other = paused("13st")
        study = STUDY | {"budget": "13st"}
        assert table(one.results, **study) == table(other.results, **study)


def lived(notes):
    """Each attempt as its worker saw it: when its lease was taken, it began, and it last had a step."""
    told = []
    for note in noted(notes):
        if note["what"] == "cell":
            told.append([note["leased"], note["at"], note["at"]])
        else:
            told[-1][2] = note["at"]
    return told


def hold_bill(killed, told):
    """R16, after each crash: what was worked is billed, and of the rest at most a heartbeat for each crash.

    The rest: until the worker has its message, and until the driver knows of its end. It is measured, so that
    a second in the bill that nobody saw pass is found on a slow machine too.
    """
    late_s = 0.0
    for k, (attempt, (leased, began, last)) in enumerate(zip(killed, told, strict=True), 1):
        late = (began - leased) + (attempt.provenance.ended - last)
        assert last - began - 0.01 <= attempt.spent.lost_s <= last - began + late + 0.01
        late_s += late
        assert late_s <= k * (BEAT_S + POLL_S)


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps", [[5], pytest.param([5, 9, 14, 19], marks=pytest.mark.soak)], ids=["3 times", "12 times"]
)
def test_a_cell_whose_worker_dies_k_times_ends_the_same_and_every_second_is_billed_once(
    paused, tmp_path, monkeypatch, steps
):
    """Three times at each step; after 12 crashes the bill was right after each of 1, 2, 3..."""
    study, notes = STUDY | {"budget": f"{steps[-1] + 3}st"}, tmp_path / "notes"
    whole = paused(study["budget"]).results
    how = {"study": study, "jobs": 1, "toy": {"TOY_WORKER": EAGER, "TOY_NOTES": str(notes)}}
    for n, step in enumerate(steps):
        monkeypatch.setenv(VARIABLE, f"step-k:{step}")
        assert run(tmp_path / "hit", retry=n > 0, **how)[0] == FAILED_CELLS
    kept = of_study(store_of(tmp_path / "hit").folder)
    assert len(list(kept.iterdir())) == 4
    monkeypatch.delenv(VARIABLE)
    code, told = run(tmp_path / "hit", retry=True, **how)
    assert code == DONE and f"goes on from step {steps[-1] - 1} of attempt" in told
    assert table(tmp_path / "hit", **study) == table(whole, **study)
    assert not list(kept.iterdir())

    *killed, done = store_of(tmp_path / "hit").attempts()
    assert [attempt.status for attempt in killed] == ["killed"] * CRASHES * len(steps)
    *told, (_, began, last) = lived(notes)
    hold_bill(killed, told)
    spent = done.spent
    assert spent.lost_s == 0 and 0 < spent.carried_s < spent.cell_s and spent.checkpoint_s > 0
    assert spent.device_s <= last - began + 0.01
    lost_s = sum(attempt.spent.lost_s for attempt in killed)
    assert lost_s > spent.carried_s  # crashing gives no free compute
    found = status(toy_study(**study), store_of(tmp_path / "hit"))
    assert found["lost_s"] == pytest.approx(lost_s - spent.carried_s)
    assert found["device_s"] == pytest.approx(spent.cell_s + found["lost_s"])


@pytest.mark.slow
def test_own_code_killed_amid_its_cell_ends_as_the_arm_beside_it_that_was_not(tmp_path):
    """Two arms differ in a name that the page's code does not read; SIGKILL comes at the second step."""
    head = f"import os, signal\nfrom pathlib import Path\nmark = Path({str(tmp_path / 'mark')!r})\n"
    (tmp_path / "own.py").write_text(head + OWN.replace("        chosen = ", KILL))
    study = STUDY | {"norms": ["bn", "gn"], "cell": f"{tmp_path}/own.py:train"}
    code, told = run(tmp_path / "r", study=study, jobs=1, toy={"TOY_WORKER": EAGER})
    assert code == DONE and "goes on from step 1 of attempt 1" in told, told
    hit, beside = table(tmp_path / "r", **study)
    differ = {name for name in hit if hit[name] != beside[name]}
    assert differ <= {"cell", "arm", "norm", "attempt", "attempts"} and hit["status"] == "done", differ
    killed, other, done = sorted(store_of(tmp_path / "r").attempts(), key=lambda each: each.provenance.ended)
    assert (killed.status, done.spent.steps, done.measured) == ("killed", 8, other.measured)
    assert 0 < done.spent.carried_s < killed.spent.lost_s and other.spent.carried_s is None
    assert not list(of_study(store_of(tmp_path / "r").folder).iterdir())
