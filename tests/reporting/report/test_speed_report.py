"""Bench results as a table and pictures; results that cannot be trusted are refused."""

import json

import numpy as np
import pytest

from fairtrial.errors import Fault
from fairtrial.reporting.figures.speed_figures import speed_figures
from fairtrial.reporting.report import speed_report
from fairtrial.reporting.results.timings import machine_of, read_timings
from fairtrial.reporting.tables.speed_tables import speed_table

MACHINE = {"cpu_model": "AMD EPYC", "gpu": None, "threads": 2, "torch": "2.15.0"}


def row(task="step", batch_size=8, **changes):
    told = {
        "rounds_s": {"conv": [0.5, 0.4, 0.6], "fastest": [0.5, 0.6, 0.9], "torch": [1.0, 1.2, 1.2]},
        "recorded": "fastest", "model": "mini", "batch_size": batch_size, "side": 32, "micro_batches": 1,
        "images": batch_size, "bytes_moved": 2_000_000_000, "flops": 30_000_000_000, "roofline_s": 0.3,
        "roof": {"copy_bytes_per_s": 2e10, "matrix_flops_per_s": 1e11},
        "peak_memory_bytes": {"conv": None, "fastest": 5_000_000},
    }  # fmt: skip
    extra = {name: value for name, value in (told | changes).items() if value is not ...}
    return {
        "fullname": f"bench/test_{task}.py::test_it[{batch_size}]",
        "group": f"{task} {batch_size}",
        "extra_info": extra,
    }


def write(folder, *rows, name="a.json", **report):
    folder.mkdir(exist_ok=True)
    text = json.dumps({"machine_info": MACHINE, "benchmarks": list(rows)} | report)
    (folder / name).write_text(text)
    return folder


def test_a_race_gives_back_what_was_planted(tmp_path):
    (timing,) = read_timings(write(tmp_path, row()))
    assert (timing.reference, timing.arms, timing.task) == ("conv", ["fastest", "torch"], "step")
    assert timing.times("fastest") == pytest.approx(0.6 / 0.5)
    np.testing.assert_allclose(timing.by_round("torch"), [2.0, 3.0, 2.0])
    assert machine_of([timing]) == "AMD EPYC, 2 threads, instructions not recorded, torch 2.15.0, fp32"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"instructions": "AVX2", "cpu_capability": "AVX2"}, "AMD EPYC, 2 threads, AVX2, torch"),
        (
            {"instructions": None, "cpu_capability": "SVE256"},
            "AMD EPYC, 2 threads, instructions unknown, torch",
        ),
        ({"cpu_capability": "AVX512"}, "AMD EPYC, 2 threads, AVX512 by torch (oneDNN: not recorded), torch"),
        ({"instructions": "AVX512", "gpu": "H200"}, "H200, 2 threads, torch"),
    ],
)
def test_captions_name_the_instructions_of_a_processor(tmp_path, told, said):
    timings = read_timings(write(tmp_path, row(), machine_info=MACHINE | told))
    assert machine_of(timings).startswith(said)


def test_timings_under_two_instructions_are_no_one_machine(tmp_path):
    for name in ("AVX2", "AVX512"):
        write(tmp_path, row(), name=f"{name}.json", machine_info=MACHINE | {"instructions": name})
    caption = speed_table(read_timings(tmp_path)).caption
    assert "2 threads, AVX2, torch 2.15.0; AMD EPYC, 2 threads, AVX512, torch" in caption


def test_the_table_has_a_row_per_subject_with_rates_by_hand(tmp_path):
    frame = speed_table(read_timings(write(tmp_path, row()))).frame.set_index("subject")
    fastest = frame.loc["fastest"]
    assert fastest["median ms"] == "600"
    assert fastest["times reference"] == "1.200"
    assert fastest["quartiles of rounds"] == "1.250 to 1.500"  # of 1, 1.5, 1.5
    assert fastest["images/s"] == f"{8 / 0.6:.4g}"
    assert (fastest["GB/s"], fastest["GFLOP/s"]) == (f"{2 / 0.6:.4g}", f"{30 / 0.6:.4g}")
    assert (fastest["share of roofline"], fastest["peak MB"]) == ("0.50", "5")
    assert frame.loc["torch", "peak MB"] == ""


def test_what_nobody_counted_is_left_empty(tmp_path):
    frame = speed_table(read_timings(write(tmp_path, row(flops=None, roofline_s=None, roof=...)))).frame
    assert set(frame["GFLOP/s"]) == set(frame["share of roofline"]) == {""}


@pytest.mark.every_format
def test_pictures_come_with_their_files(tmp_path):
    folder = write(tmp_path, row(task="filters"), *(row(batch_size=size) for size in (2, 8, 32)))
    assert speed_report.main([str(folder)]) == 0
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"a.json"}
    drawn = {
        f"figures/{each}.{kind}"
        for each in ("throughput-mini", "ratios-filters", "roofline")
        for kind in ("svg", "png", "pdf")
    }
    assert names == drawn | {"tables/speed.csv", "tables/speed.md", "tables/speed.tex", "captions.md"}
    assert "interleaved in one process" in (folder / "captions.md").read_text()


def test_throughput_is_images_over_seconds_and_every_round_is_drawn(tmp_path):
    timings = read_timings(write(tmp_path, *(row(batch_size=size) for size in (2, 8, 32))))
    made = {name: figure for name, _, figure in speed_figures(timings)}
    left, right = made["throughput-mini"].axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [2 / 0.5, 8 / 0.5, 32 / 0.5])
    assert (
        sum(len(each.get_offsets()) for each in left.collections if hasattr(each, "get_sizes")) == 3 * 3 * 3
    )
    np.testing.assert_allclose(right.lines[0].get_ydata(), [1.5] * 3)


def test_the_quartiles_of_a_ratio_are_inside_the_frame(tmp_path):
    rounds = {"conv": [1.0] * 3 + [0.1] * 2, "fastest": [1.0] * 5}  # median 1, third quartile 10
    (_, _, figure), *_ = speed_figures(read_timings(write(tmp_path, row(rounds_s=rounds))))
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    (bar,) = (line for line in axes.collections if hasattr(line, "get_segments"))
    assert [x for x, _ in bar.get_segments()[0]] == [1, pytest.approx(10)] and low < 1 < 10 < high


@pytest.mark.parametrize("sizes", [(2, 8), (2,)])
def test_a_line_needs_three_batch_sizes(tmp_path, sizes):
    timings = read_timings(write(tmp_path, *(row(batch_size=size) for size in sizes)))
    assert [name for name, _, _ in speed_figures(timings)] == ["ratios-steps", "roofline"]


def test_benches_that_raced_nobody_are_passed_over(tmp_path):
    assert len(read_timings(write(tmp_path, row(), row(rounds_s=...)))) == 1


DAMAGED = {
    "no rounds": row(rounds_s={"conv": [], "fastest": []}),
    "one subject": row(rounds_s={"conv": [1.0]}),
    "a list": row(rounds_s=[1.0]),
    "unequal": row(rounds_s={"conv": [1.0], "fastest": [1.0, 2.0]}),
    "zero": row(rounds_s={"conv": [1.0], "fastest": [0]}),
    "negative": row(rounds_s={"conv": [1.0], "fastest": [-1.0]}),
    "text": row(rounds_s={"conv": [1.0], "fastest": ["1"]}),
    "truth": row(rounds_s={"conv": [1.0], "fastest": [True]}),
    "flops": row(flops="many"),
    "images": row(images=0),
    "roof": row(roof={"copy_bytes_per_s": 1.0}),
    "recorded": row(recorded="nobody"),
    "recorded list": row(recorded=["fastest"]),
    "no extra": {"fullname": "x", "extra_info": None},
    "no row": 5,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_row_is_one_block_and_exit_code_3(tmp_path, capsys, case):
    folder = write(tmp_path, row(), DAMAGED[case])
    assert speed_report.main([str(folder)]) == 3
    said = capsys.readouterr().err
    assert said.count("error:") == 1 and "benchmarks[1]" in said and "tox -e bench" in said
    assert "Traceback" not in said
    assert not (folder / "figures").exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"benchmarks": []}', '{"machine_info": {}, "benchmarks": NaN}', "\udcff"]
)
def test_a_damaged_file_is_one_block_and_exit_code_3(tmp_path, capsys, text):
    write(tmp_path, row(), name="whole.json")
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert speed_report.main([str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert said.count("error:") == 1 and "a.json" in said


def test_every_damaged_file_is_named(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{")
    with pytest.raises(Fault) as found:
        read_timings(tmp_path)
    assert [("a.json" in each.where, "b.json" in each.where) for each in found.value.problems] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("folder", ["", "nowhere"])
def test_a_folder_without_results_says_how_to_make_some(tmp_path, capsys, folder):
    assert speed_report.main([str(tmp_path / folder)]) == 3
    assert "tox -e bench" in capsys.readouterr().err


def test_names_from_a_file_stay_text(tmp_path):
    rounds = {"conv": [1.0], "=cmd()": [2.0], "$x_{$": [1.0]}
    folder = write(
        tmp_path,
        row(rounds_s=rounds, recorded="=cmd()"),
        row(task="filters", rounds_s=rounds, recorded="conv"),
    )
    assert speed_report.main([str(folder)]) == 0
    assert "'=cmd()" in (folder / "tables" / "speed.csv").read_text()
