"""Two presets of one study compared: signs, ranks and intervals, with planted differences."""

import pytest

from fairtrial.errors import Fault
from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts.preset_agreement import compare, pairs, ranks
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast
from tests.reporting.conftest import BN, GN_WS

CONTRASTS = (
    Contrast("small", GN_WS, BN, {"batch_size": 4}),
    Contrast("large", GN_WS, BN, {"batch_size": 64}),
    Contrast("ws", {"weight_std": True}, {"weight_std": False}, {"norm": "bn", "batch_size": 64}),
)


@pytest.fixture
def two(make_study, publish, noise):
    """Folders of two presets with these gains of gn+ws at batch 4, at batch 64, and of ws with bn."""

    def make(first, second, **changed):
        def said(gains):
            def acc(cell):
                levels = cell.settings
                both = levels.norm == "gn" and levels.weight_std
                gain = gains[0 if levels.batch_size == 4 else 1] * both
                gain += gains[2] * (levels.norm == "bn" and levels.weight_std)
                return 0.7 + gain + 0.002 * noise(cell, "acc")

            return acc

        study = make_study(primary=CONTRASTS, presets={"mini": {}}, **changed)
        return [
            str(publish(each, said(g)).folder) for each, g in ((study, first), (study.under("mini"), second))
        ]

    return make


def test_signs_ranks_and_intervals_of_planted_gains(two, tmp_path):
    first, second = two((0.10, 0.05, 0.02), (0.10, -0.05, 0.04))
    found = pairs(*(load.load(Store(tmp_path / name)) for name in ("made-up", "made-up-mini")))
    assert [pair.same_sign for pair in found] == [True, False, True]
    assert [pair.apart for pair in found] == [False, True, True]
    n, spearman, kendall = ranks(found)  # ranks 3 2 1 against 3 1 2
    assert (n, spearman, kendall) == (3, pytest.approx(0.5), pytest.approx(1 / 3))
    data, lines, complete = compare(first, second, [tmp_path])
    assert complete and data["signs"] == {"agree": 2, "n": 3} and data["presets"] == ["embedded", "mini"]
    assert any(line.startswith("Signs: 2 of 3 contrasts agree") for line in lines)
    assert lines[-1] == "Beyond their 95 % intervals differ: large and ws."


def test_a_study_agrees_with_itself(two, tmp_path):
    first, _ = two((0.10, 0.05, 0.02), (0.1, 0.1, 0.1))
    data, lines, _ = compare(first, first, [tmp_path])
    assert data["ranks"] == {"n": 3, "spearman": pytest.approx(1), "kendall": pytest.approx(1)}
    assert lines[-1].endswith("none.")


def test_names_are_looked_up_and_a_slip_is_met(two, tmp_path):
    two((0.1, 0.0, 0.0), (0.1, 0.0, 0.0))
    assert compare("made-up", "made-up-mini", [tmp_path])[0]["study"] == "made-up"
    with pytest.raises(Fault, match="did you mean 'made-up'"):
        compare("made-up", "mode-up", [tmp_path])


def test_different_studies_are_not_compared(two, tmp_path):
    first, _ = two((0.1, 0.0, 0.0), (0.1, 0.0, 0.0))
    other, _ = two((0.1, 0.0, 0.0), (0.1, 0.0, 0.0), name="other")
    with pytest.raises(Fault, match="different studies"):
        compare(first, other, [tmp_path])


def test_an_incomplete_preset_is_told_and_has_no_intervals(two, make_study, publish, tmp_path):
    first, _ = two((0.1, 0.0, 0.0), (0.1, 0.0, 0.0))
    study = make_study(primary=CONTRASTS, name="made-up", preset="mini", home="embedded")
    (tmp_path / "half").mkdir()
    half = Store(tmp_path / "half" / study.id)
    half.folder.mkdir()
    half.declare(study)
    data, lines, complete = compare(first, str(half.folder), [tmp_path])
    assert not complete and all(each["apart"] is None for each in data["contrasts"])
    assert data["ranks"]["spearman"] is None and "incomplete: 0 of 90 cells" in " ".join(lines)
