"""Tables in files that MATLAB itself wrote, as scipy ships them for its own tests, and in scipy's own."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io.matlab
from scipy.io import loadmat, savemat

from fairtrial.data import matlab

FOLDER = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
VERSIONS = ("6.1_SOL2", "6.5.1_GLNX86", "7.1_GLNX86", "7.4_GLNX86")  # big-endian; little-endian; packed


@pytest.mark.skipif(not FOLDER.is_dir(), reason="this scipy comes without the files of its tests")
@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_matlab_give_texts_and_first_numbers(version):
    data = (FOLDER / f"teststruct_{version}.mat").read_bytes()
    assert matlab.rows(data, "teststruct", 2) == [("Rats live on no evil star.", np.sqrt(2))]
    data = (FOLDER / f"teststructarr_{version}.mat").read_bytes()
    assert matlab.rows(data, "teststructarr", 2) == [(1.0, 2.0), ("number 1", "number 2")]


def table(number: int, **how) -> bytes:
    kind = [("ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("children", "O")]
    made = np.array([(n, f"n{n:08d}", "é", "", np.arange(n)) for n in range(1, number + 1)], kind)
    file = io.BytesIO()
    savemat(file, {"other": np.ones((3, 2)), "synsets": made}, **how)
    return file.getvalue()


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_many_rows_is_scipys(packed):
    data = table(300, do_compression=packed)
    found = matlab.rows(data, "synsets", 3)
    expected = loadmat(io.BytesIO(data), squeeze_me=True)["synsets"]
    assert found == [(row[0], row[1], row[2]) for row in expected] and found[6] == (7.0, "n00000007", "é")


def test_content_that_unpacks_to_more_than_a_table_has_is_refused(monkeypatch):
    data = table(300, do_compression=True)
    matlab.rows(data, "synsets", 2)
    monkeypatch.setattr(matlab, "MOST", 20_000)
    with pytest.raises(ValueError, match="has more than 19,"):
        matlab.rows(data, "synsets", 2)


def test_a_file_of_other_content_holds_no_table():
    for data in (b"", b"MATLAB 5.0", table(2)[:126], zlib.compress(table(2))):
        with pytest.raises(LookupError):
            matlab.rows(data, "synsets", 2)
    with pytest.raises(LookupError, match="no table 'other'"):
        matlab.rows(table(2), "other", 2)
