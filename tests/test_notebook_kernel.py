"""A real kernel runs a small notebook: tables, figures and faults come out as a person sees them."""

import base64
from importlib.util import find_spec
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
if find_spec("ipykernel") is None:
    pytest.skip("ipykernel is not installed", allow_module_level=True)
from nbformat.v4 import new_code_cell, new_notebook  # noqa: E402

pytestmark = pytest.mark.slow

RELEASED = Path(__file__).parents[1] / "results/released"
TABLE = '{"arm": [*"aaabbb"], "seed": [0, 1, 2] * 2, "acc": [0.9, 0.8, 0.8, 0.6, 0.6, 0.5]}'
CELLS = (
    f"import fairtrial as ft\nft.compare({TABLE}, treatment='a', control='b')",
    f"ft.figure('contrasts', 'label-noise', results={str(RELEASED)!r})",
    f"ft.load('label-noise', results={str(RELEASED)!r})",
    "ft.load('norm', results='nowhere')",
)
LONGEST_S = 600  # that a cell may take on a machine that is busy; a kernel that hangs never ends


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """What each cell shows, in a kernel that reads no settings of the user's."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    book = new_notebook(cells=[new_code_cell(text) for text in CELLS])
    how = {"timeout": LONGEST_S, "startup_timeout": LONGEST_S, "allow_errors": True, "kernel_name": "python3"}
    nbclient.NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}, **how).execute()
    return [cell.outputs for cell in book.cells]


def test_a_kernel_shows_verdicts_as_a_table_a_figure_as_a_picture_and_a_fault_in_three_lines(outputs):
    compared, figure, frame, wrong = (cell[-1] for cell in outputs)
    assert "<table" in compared.data["text/html"]
    assert "a beats b by 26.7 points" in compared.data["text/plain"]
    assert base64.b64decode(figure.data["image/png"]).startswith(b"\x89PNG")
    assert "<table" in frame.data["text/html"] and "<th>cell</th>" in frame.data["text/html"]
    what, where, do = "\n".join(wrong.traceback).splitlines()
    assert what == "error: no study 'norm' is recorded here"
    assert (where, do[:12]) == ("  where: nowhere/norm", "  do:    run")
    # beside them a bar, once something takes a while
    beside = [output for cell in outputs for output in cell[:-1]]
    assert {output.output_type for output in beside} <= {"stream"}
    assert all(output.name == "stderr" and "arning" not in output.text for output in beside)
