"""Downloads from a server on this machine: whole, broken off, continued, hostile."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.request import Request, build_opener, urlopen

import numpy as np
import pytest

from fairtrial.errors import Fault
from fairtrial.storage.download import HttpsOnly, must_be_https
from fairtrial.weights import OFFICIAL, Official, describe, fetch, load_bit
from fairtrial.weights.official_files import BASE
from tests.weights.conftest import CLASSES

PATH = "/set/tiny-up.npz"


@dataclass
class Shelf:
    """What the server answers, and what it was asked."""

    body: bytes
    etag: str | None = '"v1"'
    stop_after: int | None = None  # bytes, then the connection is closed
    status: int | None = None
    location: str | None = None
    ranges: bool = True
    announced: int | None = None
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)


@pytest.fixture
def shelf(good):
    return Shelf(good.read_bytes())


@pytest.fixture
def server(shelf):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            shelf.asked.append((self.path, self.headers["Range"], self.headers["If-Range"]))
            if shelf.status:
                self.send_response(shelf.status)
                if shelf.location:
                    self.send_header("Location", shelf.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if shelf.ranges and self.headers["Range"] and self.headers["If-Range"] == shelf.etag:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            total = len(shelf.body)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if shelf.etag:
                self.send_header("ETag", shelf.etag)
            length = total - start if shelf.announced is None else shelf.announced
            if length >= 0:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the other side may have had enough
                self.wfile.write(shelf.body[start : start + (shelf.stop_after or total)])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def opener(server):
    """The official address, answered by the server on this machine."""

    def open_here(request: Request):
        assert request.full_url.startswith(BASE)
        here = Request(server + request.full_url.removeprefix(BASE), headers=dict(request.header_items()))
        return urlopen(here, timeout=10)

    return open_here


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "here" / "weights"


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


def with_nan(arrays):
    arrays["resnet/group_norm/beta"][7] = np.nan
    return arrays


def with_classes(arrays):
    arrays["resnet/head/conv2d/kernel"] = np.ones((1, 1, 256, 9), np.float32)
    arrays["resnet/head/conv2d/bias"] = np.ones(9, np.float32)
    return arrays


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path, arrays: path.write_bytes(b"<html>not found</html>"), "a page of HTML"),
        (lambda path, arrays: np.savez(path, **with_nan(arrays)), "1 of 256 values are NaN"),
        (
            lambda path, arrays: np.savez(path, **with_classes(arrays)),
            f"classes: expected {CLASSES}, found 9",
        ),
        (lambda path, arrays: np.savez(path, a=np.ones(9)), "network: expected tiny, found None"),
        (lambda path, arrays: np.savez(path, a=np.array([{}], object)), "contains pickled objects"),
    ],
)
def test_a_file_that_is_not_sound_never_gets_its_name(spoil, words, arrays, shelf, opener, folder, tmp_path):
    spoil(tmp_path / "spoilt.npz", arrays)
    shelf.body = (tmp_path / "spoilt.npz").read_bytes()
    with pytest.raises(Fault, match=words) as error:
        fetch("tiny-up", folder, opener=opener)
    assert error.value.code == 3
    assert names(folder) == []


@pytest.mark.parametrize(("field_", "value"), [("size", 5), ("sha256", "0" * 64)])
def test_a_pinned_size_or_digest_is_held(field_, value, opener, folder, monkeypatch):
    row = Official("tiny", CLASSES, "stars", "set/tiny-up", **{field_: value})
    monkeypatch.setitem(OFFICIAL, "tiny-up", row)
    with pytest.raises(Fault, match=rf"(bytes|sha256): expected {value}, found") as error:
        fetch("tiny-up", folder, opener=opener)
    assert error.value.code == 3
    assert names(folder) == []


def test_a_pinned_file_is_recorded_as_pinned(shelf, opener, folder, monkeypatch):
    sha256 = hashlib.sha256(shelf.body).hexdigest()
    row = Official("tiny", CLASSES, "stars", "set/tiny-up", size=len(shelf.body), sha256=sha256)
    monkeypatch.setitem(OFFICIAL, "tiny-up", row)
    fetch("tiny-up", folder, opener=opener)
    assert json.loads((folder / "tiny-up.npz.json").read_text())["trust"] == "pinned"


def test_an_unknown_name_suggests_a_known_one(folder):
    with pytest.raises(Fault, match=r"'BiT-M-R50x2', did you mean 'BiT-M-R50x") as error:
        fetch("BiT-M-R50x2", folder)
    assert error.value.code == 2
    assert not folder.exists()


@pytest.mark.parametrize(
    "url", ["http://example.org/a.npz", "ftp://example.org/a.npz", "file:///etc/passwd", "//x"]
)
def test_an_address_that_is_not_https_is_refused(url):
    with pytest.raises(Fault, match="not https, refused") as error:
        must_be_https(url)
    assert error.value.code == 4


def test_an_official_address_that_is_not_https_is_never_asked(folder, monkeypatch):
    monkeypatch.setattr(Official, "url", property(lambda row: "http://example.org/a.npz"))
    with pytest.raises(Fault, match="not https, refused"):
        fetch("tiny-up", folder, opener=lambda request: pytest.fail("asked"))


def test_a_redirect_to_http_is_not_followed(shelf, server, good):
    shelf.status, shelf.location = 302, f"{server}other.npz"
    with pytest.raises(Fault, match="not https, refused"):
        build_opener(HttpsOnly).open(f"{server}tiny.npz", timeout=10)
    assert [path for path, *_ in shelf.asked] == ["/tiny.npz"]


def test_a_redirect_to_https_is_followed():
    request = Request("https://example.org/a")
    followed = HttpsOnly().redirect_request(request, None, 302, "Found", {}, "https://example.org/b")
    assert followed is not None
    assert followed.full_url == "https://example.org/b"


def test_a_planted_link_is_not_followed_by_a_download(shelf, opener, folder, tmp_path):
    folder.mkdir(parents=True)
    target = tmp_path / "precious"
    target.write_text("keep me")
    (folder / "tiny-up.npz.part").symlink_to(target)
    fetch("tiny-up", folder, opener=opener)
    assert target.read_text() == "keep me"
