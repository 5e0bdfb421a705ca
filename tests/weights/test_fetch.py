"""Downloads from a server on this machine: whole, broken off, continued, hostile."""

from __future__ import annotations

import hashlib
import json
from urllib.error import URLError

import pytest

from fairtrial.errors import Fault
from fairtrial.weights import OFFICIAL, Official, describe, fetch, load_bit
from fairtrial.weights.official_files import BASE
from tests.weights.conftest import CLASSES
from tests.weights.served_file import PATH, names


def test_a_file_arrives_whole_with_a_record_of_size_digest_and_trust(tiny, shelf, opener, folder):
    path = fetch("tiny-up", folder, opener=opener)
    assert path.read_bytes() == shelf.body
    assert names(folder) == ["tiny-up.npz", "tiny-up.npz.json"]
    assert shelf.asked == [(PATH, None, None)]
    record = json.loads((folder / "tiny-up.npz.json").read_text())
    assert record["url"] == f"{BASE}set/tiny-up.npz"
    assert (record["size"], record["sha256"]) == (len(shelf.body), hashlib.sha256(shelf.body).hexdigest())
    assert record["trust"].startswith("first use: no digest is published")
    assert load_bit(tiny, path).upstream == "stars, then flowers"


def test_a_file_that_was_fetched_keeps_its_upstream_under_another_name(opener, folder):
    path = fetch("tiny-up", folder, opener=opener)
    for old in (path, path.with_name("tiny-up.npz.json")):
        old.rename(old.with_name(old.name.replace("tiny-up", "BiT-M-R50x1")))
    source = describe(folder / "BiT-M-R50x1.npz")
    assert source.upstream == "stars, then flowers"
    assert "fetched as tiny-up" in source.notes[0]


def test_a_second_call_asks_nobody_and_checks_what_is_there(shelf, opener, folder):
    path = fetch("tiny-up", folder, opener=opener)
    assert fetch("tiny-up", folder, opener=opener) == path
    assert len(shelf.asked) == 1
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(Fault, match="sha256: expected") as error:
        fetch("tiny-up", folder, opener=opener)
    assert error.value.code == 3
    assert len(shelf.asked) == 1


def test_a_file_that_was_laid_there_by_hand_is_examined_and_recorded(shelf, opener, folder):
    folder.mkdir(parents=True)
    (folder / "tiny-up.npz").write_bytes(shelf.body)
    fetch("tiny-up", folder, opener=opener)
    assert not shelf.asked
    assert json.loads((folder / "tiny-up.npz.json").read_text())["size"] == len(shelf.body)


def test_a_broken_download_leaves_a_part_and_the_next_call_continues_it(shelf, opener, folder):
    shelf.stop_after = 300_000
    with pytest.raises(Fault, match=r"could not fetch .*") as error:
        fetch("tiny-up", folder, opener=opener)
    assert error.value.code == 6
    assert "it continues where it stopped" in error.value.block()
    assert names(folder) == ["tiny-up.npz.part", "tiny-up.npz.part.json"]
    shelf.stop_after = None
    path = fetch("tiny-up", folder, opener=opener)
    assert shelf.asked[1] == (PATH, "bytes=300000-", '"v1"')
    assert path.read_bytes() == shelf.body
    assert names(folder) == ["tiny-up.npz", "tiny-up.npz.json"]


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(shelf, opener, folder):
    shelf.stop_after = 300_000
    with pytest.raises(Fault):
        fetch("tiny-up", folder, opener=opener)
    shelf.stop_after, shelf.etag = None, '"v2"'
    assert fetch("tiny-up", folder, opener=opener).read_bytes() == shelf.body
    assert json.loads((folder / "tiny-up.npz.json").read_text())["etag"] == '"v2"'


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_version_nothing_is_continued(etag, shelf, opener, folder):
    shelf.stop_after, shelf.etag = 300_000, etag
    with pytest.raises(Fault):
        fetch("tiny-up", folder, opener=opener)
    shelf.stop_after = None
    assert fetch("tiny-up", folder, opener=opener).read_bytes() == shelf.body
    assert shelf.asked[1] == (PATH, None, None)


def test_a_server_without_ranges_sends_the_whole_file_again(shelf, opener, folder):
    shelf.stop_after = 300_000
    with pytest.raises(Fault):
        fetch("tiny-up", folder, opener=opener)
    shelf.stop_after, shelf.ranges = None, False
    assert fetch("tiny-up", folder, opener=opener).read_bytes() == shelf.body


def test_a_part_that_is_whole_is_not_asked_for_again(shelf, opener, folder):
    folder.mkdir(parents=True)
    (folder / "tiny-up.npz.part").write_bytes(shelf.body)
    (folder / "tiny-up.npz.part.json").write_text(json.dumps({"size": len(shelf.body), "etag": '"v1"'}))
    assert fetch("tiny-up", folder, opener=opener).read_bytes() == shelf.body
    assert not shelf.asked


@pytest.mark.parametrize("status", [206, 404, 416, 500])
def test_an_unexpected_answer_is_said(status, shelf, opener, folder):
    shelf.status = status
    with pytest.raises(Fault, match=f"could not fetch .*{status}") as error:
        fetch("tiny-up", folder, opener=opener)
    assert error.value.code == 6
    assert names(folder) == []


@pytest.mark.parametrize("announced", [-1, 10**13])
def test_an_unknown_or_absurd_length_is_refused(announced, shelf, opener, folder):
    shelf.announced = announced
    with pytest.raises(Fault, match="a length of") as error:
        fetch("tiny-up", folder, opener=opener)
    assert error.value.code == 6
    assert names(folder) == []


def test_no_network_is_said(folder):
    def dead(request):
        raise URLError("Name or service not known")

    with pytest.raises(Fault, match=r"could not fetch tiny-up\.npz: Name or service not known") as error:
        fetch("tiny-up", folder, opener=dead)
    assert error.value.code == 6


def test_the_credentials_of_a_proxy_are_not_told(folder):
    def dead(request):
        raise URLError("cannot reach http://me:marker-7319@proxy:3128/")

    with pytest.raises(Fault) as error:
        fetch("tiny-up", folder, opener=dead)
    assert "marker-7319" not in error.value.block() and "//***@proxy:3128" in error.value.block()


def test_a_pinned_file_is_recorded_as_pinned(shelf, opener, folder, monkeypatch):
    sha256 = hashlib.sha256(shelf.body).hexdigest()
    row = Official("tiny", CLASSES, "stars", "set/tiny-up", size=len(shelf.body), sha256=sha256)
    monkeypatch.setitem(OFFICIAL, "tiny-up", row)
    fetch("tiny-up", folder, opener=opener)
    assert json.loads((folder / "tiny-up.npz.json").read_text())["trust"] == "pinned"
