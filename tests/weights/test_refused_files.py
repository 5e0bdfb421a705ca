"""Downloads that are refused: unsound files, wrong digests, addresses that are not https."""

from __future__ import annotations

from urllib.request import Request, build_opener

import numpy as np
import pytest

from fairtrial.errors import Fault
from fairtrial.storage.download import HttpsOnly, must_be_https
from fairtrial.weights import OFFICIAL, Official, fetch
from tests.weights.conftest import CLASSES
from tests.weights.served_file import names


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
