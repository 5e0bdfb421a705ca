"""The face for notebooks: what its page names is there, and the notebook in docs/ runs to its verdict."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.figure import Figure

import fairtrial as ft
from fairtrial import notebook
from fairtrial.errors import Fault
from fairtrial.execution.display.displays import Bar, progress_for
from fairtrial.execution.engine import Worker
from fairtrial.reporting.attempt_frame import columns
from fairtrial.reporting.differences import compare
from fairtrial.reporting.figures import figure_files
from fairtrial.screen import working
from fairtrial.study.settings import FACTORS

KERNEL = SimpleNamespace(IPKernelApp=SimpleNamespace(initialized=lambda: True))

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/notebook.md").read_text(encoding="utf-8")
RELEASED = ROOT / "results/released"


@pytest.mark.slow
@pytest.mark.parametrize("examples", [32, pytest.param(512, marks=pytest.mark.soak)])
def test_the_notebook_runs_from_question_to_verdict(examples, tmp_path, monkeypatch):
    """Each code cell as a kernel runs it; the value of its last line is what the cell shows.

    examples: of each run; the notebook's own number takes half a minute.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairtrial.execution.run_options.cores", lambda: 1)  # a worker takes seconds to start
    for kind in ("pdf", "png"):  # the report is drawn twice
        monkeypatch.delitem(figure_files._METADATA, kind)
    cells = json.loads((ROOT / "docs/notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "".join(code).count("examples=512") == 1
    code = [text.replace("examples=512", f"examples={examples}") for text in code]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    names, shown = {}, []
    for text in code:
        *_, last = text.splitlines()
        value = text.rpartition("\n")[2] if re.fullmatch(r"[\w.]+|[\w.]+[([].*[)\]]", last) else ""
        exec(compile(text.removesuffix(value), "notebook.ipynb", "exec"), names)
        shown += [eval(value, names)] if value else []
    verdicts, _, _, figure, frame, compared = shown
    assert isinstance(figure, Figure) and (tmp_path / "results/two-images/report.html").is_file()
    assert "<table" in verdicts._repr_html_() and verdicts.findings[0].n == 6
    assert frame["estimate"].tolist() == compared.frame()["estimate"].tolist()
    # the same call goes on where it stopped
    left = ft.run(names["study"], results="results", seeds=7, limit=1)
    assert left.findings[0].verdict == "refused" and "incomplete: 13 of 14 cells" in str(left)


def test_load_gives_the_documented_columns_and_what_is_recorded():
    frame = ft.load("norm", results=RELEASED)
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`.*?) \|", PAGE, re.MULTILINE)))
    assert [name for name in columns() if name not in FACTORS] == [n for n in documented if n not in FACTORS]
    assert list(frame.columns) == columns()
    summary = pd.read_csv(RELEASED / "norm/summary.csv").set_index("cell")
    counting = frame[frame["counts"] & (frame["stage"] != "tuning")].set_index("cell")
    assert sorted(counting.index) == sorted(summary.index)
    assert counting["test_acc"].sort_index().tolist() == summary["test_acc"].sort_index().tolist()
    declared = json.loads((RELEASED / "norm/study.json").read_text(encoding="utf-8"))
    assert frame.attrs["hash"] == declared["history"][-1]["hash"] and frame.attrs["study"] == "norm"


def test_verdicts_and_figures_are_those_of_the_report():
    verdicts = ft.verdicts(RELEASED / "norm")
    recorded = json.loads((RELEASED / "norm/verdicts.json").read_text(encoding="utf-8"))
    # as `verify` compares: another processor rounds the last digit otherwise
    told = [json.dumps(each["contrasts"]).encode() for each in (verdicts.record(), recorded)]
    assert compare(".json", *told).places == ()
    assert recorded["aa"]["sentence"] in str(verdicts)
    drawn = verdicts.figure()
    assert [text.get_text() for text in drawn.axes[0].texts] == [
        text.get_text() for text in ft.figure("contrasts", "norm", RELEASED).axes[0].texts
    ]


def test_what_is_wrong_is_said_in_three_lines(tmp_path):
    with pytest.raises(Fault) as unknown:
        ft.load("norm", results=tmp_path)
    assert "is recorded here" in unknown.value.block() and "fairtrial run norm" in unknown.value.block()
    # what IPython shows in place of a traceback
    assert "\n".join(unknown.value._render_traceback_()) == unknown.value.block()
    with pytest.raises(Fault, match="no figure is called 'contrast', did you mean 'contrasts'"):
        ft.figure("contrast", RELEASED / "norm")
    with pytest.raises(Fault, match="no column is called 'sed', did you mean 'seed'"):
        ft.compare(
            pd.DataFrame({"arm": ["a", "b"], "seed": [0, 0], "acc": [0.1, 0.2]}),
            treatment="a",
            control="b",
            unit="sed",
        )


def test_a_notebook_gets_one_bar(monkeypatch, capsys):
    class Done:
        cell = id = "a"
        arm, seed, failed = "gn", 3, False

    class Log:
        records = ()

        def outcome(self, cell):
            return Done if self.records else None

    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", KERNEL)
    log = Log()
    with progress_for([Done(), Done()], log, 1, None) as bar:
        assert [type(each) for each in bar._shown] == [Bar]
        bar.tick([(Worker(doing="step 12 of 40"), Done), (Worker(), Done)])
        log.records = [Done]
        bar.finished(Done, 0.1)
        bar.expect([Done(), Done(), Done()])
    said = capsys.readouterr().err
    assert "0/2" in said and "1/2" in said and "1/3" in said
    assert "gn, seed 3, step 12 of 40; 1 more run" in said and "failed" not in said


def test_a_notebook_says_what_it_waits_for(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", KERNEL)
    ft.verdicts(RELEASED / "label-noise")
    assert "judging the study" in capsys.readouterr().err
    with working("parts", 3) as done:
        done(2)
        done("the last")
    said = capsys.readouterr().err
    assert "2/3" in said and "the last" in said


def test_a_notebook_shows_a_figure_that_pyplot_does_not_know(tmp_path):
    """IPython asks an object for `_repr_png_`; matplotlib's own has none before pyplot is set up for it."""
    figure = ft.figure("contrasts", RELEASED / "label-noise")
    table = pd.DataFrame({"arm": list("aaabbb"), "seed": [0, 1, 2] * 2, "acc": [9, 8, 7, 6, 6, 5]})
    for drawn in (figure, ft.compare(table, treatment="a", control="b").figure()):
        assert isinstance(drawn, Figure)
        assert drawn._repr_png_().startswith(b"\x89PNG") and len(drawn._repr_png_()) > 3_000


def test_a_notebook_without_ipywidgets_gets_bars_and_no_warning(monkeypatch, recwarn, capsys):
    kernel = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    for name in ("auto", "autonotebook", "notebook"):
        monkeypatch.delitem(sys.modules, f"tqdm.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", KERNEL)
    with working("drawing the report"):
        pass
    assert [str(each.message) for each in recwarn] == []
    said = capsys.readouterr().err
    assert "drawing the report" in said and "?it/s" not in said


def test_a_shell_completes_what_there_is():
    assert {"load", "run", "verdicts", "figure", "compare", "Study"} <= {*dir(ft)}


@pytest.fixture
def asked(monkeypatch):
    """What `ft.run` hands to the runner, which runs nothing."""
    seen = []

    def run(study, how, schedule):
        seen[:] = [study, how]
        raise InterruptedError

    monkeypatch.setattr("fairtrial.execution.runner.run", run)

    def ask(**how):
        with pytest.raises(InterruptedError):
            ft.run("norm", **how)
        return seen

    return ask


@pytest.mark.parametrize(
    ("given", "seeds"), [(3, (0, 1, 2)), ("5..6", (5, 6)), ([7, 9], (7, 9)), (range(4), (0, 1, 2, 3))]
)
def test_seeds_of_a_notebook_are_a_count_a_text_or_the_numbers(given, seeds, asked):
    assert tuple(asked(seeds=given)[0].seeds) == seeds
    assert notebook._seeds([7]) == "7..7"  # that seed, not seven of them


def test_a_level_alone_and_options_as_texts_are_taken(asked):
    study, how = asked(levels={"norm": "bn", "batch_size": [4, 8]}, jobs="2", limit=5, cell_timeout_s=30)
    assert (study.factors["norm"], study.factors["batch_size"]) == (("bn",), (4, 8))
    assert (how.jobs, how.limit, how.cell_timeout_s, how.device) == (2, 5, 30.0, "cpu")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sedes": 3}, "no option 'sedes'"),
        ({"job": 2}, "no option 'job', did you mean 'jobs'?"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"limit": 0}, "limit 0 is not a whole number above 0"),
        ({"jobs": 2.5}, "jobs 2.5 is not a whole number"),
        ({"cell_timeout_s": "30m"}, "'30m' is not a number above 0"),
        ({"seeds": [1.5, 2]}, "neither a count nor a list"),
    ],
)
def test_what_run_cannot_take_is_refused_before_it_runs(given, says, monkeypatch):
    monkeypatch.setattr("fairtrial.execution.runner.run", lambda *_: pytest.fail("it ran"))
    with pytest.raises(Fault, match=says):
        ft.run("norm", **given)
