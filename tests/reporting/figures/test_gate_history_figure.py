"""The picture of the gate's history."""

import json
import re

import numpy as np
import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT
from fairtrial.regression import benchmark_records, history
from fairtrial.reporting.figures import gate_history_figure


def nights(steps, count=40, seed=0):
    """So many nights of three launches; steps: bench -> (night, factor)."""
    rng = np.random.default_rng(seed)
    return [
        {
            "datetime": f"2026-01-{night % 28 + 1:02d}T03:00:00",
            "code": {"commit": f"{night:040x}"},
            "seconds": {
                name: list(0.002 * (factor if night >= at else 1) * np.exp(rng.normal(0, 0.01, 3)))
                for name, (at, factor) in steps.items()
            },
        }
        for night in range(count)
    ]


def test_a_planted_step_is_said_with_its_night_and_commit():
    slow, still = gate_history_figure.series(nights({"slow": (25, 1.05), "still": (0, 1)}))
    (change,) = slow.changes
    assert (slow.name, change.at, still.changes) == ("slow", 25, ())
    assert np.expm1(change.after - change.before) == pytest.approx(0.05, abs=0.006)  # three standard errors
    (said,) = gate_history_figure.sentences([slow, still])
    assert said.startswith(
        f"slow: {gate_history_figure.step(change)} time from 2026-01-26 on (commit 000000000000)"
    )


def test_a_bench_that_came_later_has_a_shorter_series():
    rows = nights({"a": (0, 1)}, count=12)
    for row in rows[4:]:
        row["seconds"]["b"] = [0.001]
    a, b = gate_history_figure.series(rows)
    assert (len(a.nights), len(b.nights)) == (12, 8)


@pytest.mark.every_format
@pytest.mark.parametrize("count", [1, 2, 40])
def test_the_picture_is_drawn_and_the_same_each_time(tmp_path, count):
    found = gate_history_figure.series(nights({"a": (20, 1.1), "b[x]": (0, 1)}, count))
    paths, caption = gate_history_figure.draw(found, "a device", tmp_path)
    assert [path.name for path in paths] == ["history.svg", "history.png", "history.txt"]
    first = [path.read_bytes() for path in paths]
    gate_history_figure.draw(found, "a device", tmp_path)
    assert [path.read_bytes() for path in paths] == first
    assert f"over {count} night{'s' * (count > 1)} on a device" in caption


def test_the_command_draws_what_is_recorded(tmp_path, capsys):
    folder = tmp_path / "bench" / benchmark_records.folder_name(benchmark_records.identity("cpu", 1))
    history.append(folder, [{"a": 0.001}, {"a": 0.0011}], {}, {}, None)
    assert main(["gate", "--history", "--results", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"] == ["no change of level in 1 night"]
    assert (folder / "history.svg").exists()


def test_nights_under_other_instructions_are_named_beside_the_picture_and_in_its_caption(tmp_path, capsys):
    folder = tmp_path / "a-machine"
    for instructions in ("AVX512", "AVX2"):
        path = history.append(folder, [{"a": 0.001}] * 2, {"instructions": instructions}, {}, None)
        path.rename(path.with_name(f"{instructions == 'AVX2':d}.json"))  # both are of this second
    said = r"Another device since \d{4}-\d\d-\d\d: instructions AVX512, then AVX2\."
    assert main(["gate", "--history", str(folder)]) == 0
    assert re.search(said, capsys.readouterr().out)
    assert re.search(said, (folder / "history.txt").read_text())
    assert main(["gate", "--history", str(folder), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["device_changes"]
    assert re.fullmatch(said, told)


def test_the_history_of_another_machine_is_drawn_from_its_folder(tmp_path, capsys):
    """That of a hosted night lay in the files of its job alone."""
    folder = tmp_path / "nightly-7" / "another-machine"
    history.append(folder, [{"a": 0.001}, {"a": 0.0011}], {}, {}, None)
    assert main(["gate", "--history", str(folder)]) == 0
    assert "no change of level in 1 night" in capsys.readouterr().out
    assert "on another-machine" in (folder / "history.txt").read_text() and (folder / "history.svg").exists()
    assert main(["gate", "--history", str(tmp_path)]) == BAD_INPUT
    assert "--history FOLDER" in capsys.readouterr().err
