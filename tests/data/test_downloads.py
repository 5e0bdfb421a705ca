"""Downloads of torchvision's sets from a server on this machine: whole, wrong, broken off. D14."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import subprocess
import sys
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

datasets = pytest.importorskip("torchvision.datasets")

from scipy.io import savemat  # noqa: E402

from fairtrial.data import open_dataset  # noqa: E402
from fairtrial.data.torchvision_sets import DOWNLOADS  # noqa: E402
from fairtrial.errors import BAD_INPUT, RESOURCES, Fault  # noqa: E402
from fairtrial.storage import download  # noqa: E402
from tests.data.making import encoded, picture  # noqa: E402

TRAIN, TEST = DOWNLOADS["svhn"]
IMAGES, ANNOTATIONS = DOWNLOADS["oxfordiiitpet"]


@dataclass
class Shelf:
    """What the server answers."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    stop_after: dict[str, int] = field(default_factory=dict)  # bytes, then the connection is closed
    hang: bool = False  # where it would be closed, it stays open
    asked: list[str] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def server(shelf):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/")
            if name not in shelf.bodies:
                self.send_error(404)
                return
            shelf.asked.append(name)
            body = shelf.bodies[name]
            start = int((self.headers["Range"] or "bytes=0-")[6:-1])
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("ETag", '"v1"')
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body[start : shelf.stop_after.get(name, len(body))])
                if name in shelf.stop_after and shelf.hang:
                    self.wfile.flush()
                    shelf.left.wait(60)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        shelf.left.set()
        running.shutdown()
        thread.join()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def mat(seed, labels):
    """A file of SVHN: (32, 32, 3, n) pixels, labels 1..10."""
    file, rng = io.BytesIO(), np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (32, 32, 3, len(labels)), np.uint8)
    savemat(file, {"X": pixels, "y": np.array(labels, np.uint8)[:, None]})
    return file.getvalue()


def packed(files):
    """A .tar.gz of name -> bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def svhn(shelf, server, monkeypatch):
    """torchvision's SVHN with two small files on the server; the split list as torchvision has it."""
    shelf.bodies = {TRAIN: mat(0, [1, 2, 10, 1, 2, 10]), TEST: mat(1, [2, 10, 1])}
    digests = {name: md5(body) for name, body in shelf.bodies.items()}
    rows = {split: [server + name, name, digests[name]] for split, name in (("train", TRAIN), ("test", TEST))}
    monkeypatch.setattr(datasets.SVHN, "split_list", rows)
    monkeypatch.setitem(DOWNLOADS, "svhn", {name: (server, digest) for name, digest in digests.items()})
    return rows


@pytest.fixture
def pets(shelf, server, monkeypatch):
    """torchvision's pets with two small archives on the server."""
    names = ["Cat_1", "Cat_2", "dog_1", "dog_2"]
    images = {f"images/{n}.jpg": encoded(picture(i), "JPEG") for i, n in enumerate(names)}
    train, test = "Cat_1 1 1 1\ndog_1 2 2 1\n", "Cat_2 1 1 1\ndog_2 2 2 1\n"
    lists = {"annotations/trainval.txt": train.encode(), "annotations/test.txt": test.encode()}
    shelf.bodies = {"images.tar.gz": packed(images), "annotations.tar.gz": packed(lists)}
    digests = {name: md5(body) for name, body in shelf.bodies.items()}
    rows = tuple((server + name, digest) for name, digest in digests.items())
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", rows)
    files = {f"oxford-iiit-pet/{name}": (server, digest) for name, digest in digests.items()}
    monkeypatch.setitem(DOWNLOADS, "oxfordiiitpet", files)


@pytest.fixture
def home(cache_home):
    return cache_home / "fairtrial" / "torchvision"


def left(home):
    """What lies in the folder of all sets, but for the locks."""
    if not home.exists():
        return []
    return sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file() and p.suffix != ".lock")


def failed(name="svhn", code=BAD_INPUT, fetch=True):
    with pytest.raises(Fault) as caught:
        open_dataset(name, download=fetch)
    assert caught.value.code == code
    (problem,) = caught.value.problems
    return problem


def not_here(name="svhn"):
    """Nothing that is left passes for the set."""
    assert "it is not on this machine" in failed(name, fetch=False).what
    return True


def test_a_download_arrives_under_its_name_and_nothing_else_is_left(svhn, home, shelf):
    data = open_dataset("svhn", download=True)
    assert data.train_labels.tolist() == [1, 2, 0, 1, 2, 0]
    assert data.test_labels.tolist() == [2, 0, 1]
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]
    shelf.asked.clear()
    assert open_dataset("svhn", download=True).sha256 == data.sha256
    assert shelf.asked == []


def test_a_checksum_that_differs_is_said_with_expected_and_got(svhn, home, shelf):  # D14
    expected, shelf.bodies[TRAIN] = md5(shelf.bodies[TRAIN]), b"<html>moved</html>"
    problem = failed()
    assert f"md5 of {TRAIN} (18 bytes): expected {expected}, got {md5(b'<html>moved</html>')}" in problem.what
    assert problem.where == str(home / "svhn")
    assert left(home) == [] and not_here()


def test_a_transfer_that_is_cut_is_continued_by_the_next_one(svhn, home, shelf):  # D14
    shelf.stop_after[TRAIN] = 1000
    problem = failed(code=RESOURCES)
    assert f"1,000 of {len(shelf.bodies[TRAIN]):,} bytes came" in problem.what and TRAIN in problem.where
    assert left(home) == [f"svhn.part/{TRAIN}.part", f"svhn.part/{TRAIN}.part.json"] and not_here()
    shelf.stop_after.clear()
    assert len(open_dataset("svhn", download=True).train_images) == 6
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]


def test_a_file_that_came_whole_is_kept_in_the_part_and_not_fetched_twice(svhn, home, shelf):  # D14
    expected, shelf.bodies[TEST] = shelf.bodies[TEST], b"<html>moved</html>"
    assert f"md5 of {TEST} (18 bytes)" in failed().what
    assert left(home) == [f"svhn.part/{TRAIN}"] and not_here()
    shelf.bodies[TEST] = expected
    shelf.asked.clear()
    assert len(open_dataset("svhn", download=True).test_images) == 3
    assert shelf.asked == [TEST]
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]


def test_files_laid_into_the_part_by_hand_need_no_network(svhn, home, shelf):
    (home / "svhn.part").mkdir(parents=True)
    for name, body in shelf.bodies.items():
        (home / "svhn.part" / name).write_bytes(body)
    shelf.bodies = {}
    assert len(open_dataset("svhn", download=True).train_images) == 6


PATCHED = """
import sys
from fairtrial.data import open_dataset
from fairtrial.data.torchvision_sets import DOWNLOADS
server, one, two = sys.argv[1:]
DOWNLOADS["svhn"] = {"train_32x32.mat": (server, one), "test_32x32.mat": (server, two)}
open_dataset("svhn", download=True)
"""


def test_a_killed_download_leaves_only_a_part_which_nobody_believes(svhn, home, shelf, server):  # D14
    shelf.stop_after[TRAIN], shelf.hang = 1000, True
    command = [sys.executable, "-c", PATCHED, server, svhn["train"][2], svhn["test"][2]]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    part = f"svhn.part/{TRAIN}.part"
    try:
        for _ in range(600):
            if part in left(home):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.1)
                pytest.fail("the download ended by itself")
    finally:
        child.kill()
        child.wait()
    assert left(home) == [part, f"{part}.json"] and not_here()
    shelf.stop_after.clear()
    assert len(open_dataset("svhn", download=True).train_images) == 6
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]


def test_a_set_that_is_half_unpacked_is_not_believed(pets, home, shelf):  # D14
    """torchvision takes these pets for whole when their two folders are there."""
    whole = open_dataset("oxfordiiitpet", download=True)
    assert whole.test_labels.tolist() == [0, 1]
    (home / "oxfordiiitpet").rename(home / "oxfordiiitpet.part")
    lists = home / "oxfordiiitpet.part" / "oxford-iiit-pet" / "annotations"
    (lists / "test.txt").write_text("Cat_2 1 1 1\n")
    assert not_here("oxfordiiitpet")
    shelf.asked.clear()
    assert open_dataset("oxfordiiitpet", download=True).sha256 == whole.sha256
    assert shelf.asked == []  # both archives were whole


def test_the_archive_of_a_set_is_checked_before_it_is_unpacked(pets, home, shelf):  # D14
    expected = md5(shelf.bodies["annotations.tar.gz"])
    shelf.bodies["annotations.tar.gz"] = packed({"annotations/trainval.txt": b"Cat_1 1 1 1\n"})
    problem = failed("oxfordiiitpet")
    assert f"expected {expected}, got {md5(shelf.bodies['annotations.tar.gz'])}" in problem.what
    assert left(home) == ["oxfordiiitpet.part/oxford-iiit-pet/images.tar.gz"]


def test_a_server_that_falls_silent_is_not_waited_for(svhn, home, shelf, monkeypatch):  # D14
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    shelf.stop_after[TRAIN], shelf.hang = 1000, True
    assert "timed out" in failed(code=RESOURCES).what
    assert not_here()


def test_no_such_file_on_the_server_is_said(svhn, home, shelf):  # D14
    shelf.bodies = {}
    assert "the server answers 404 Not Found" in failed(code=RESOURCES).what
    assert left(home) == []


def test_files_of_a_person_are_left_alone(svhn, home, shelf):
    """A folder that holds something else than the set: a Fault, and no file of it is touched."""
    (home / "svhn").mkdir(parents=True)
    (home / "svhn" / TRAIN).write_bytes(b"cut by an older fairtrial")
    problem = failed()
    assert "torchvision refuses the files" in problem.what and "move this folder away" in problem.do
    assert (home / "svhn" / TRAIN).read_bytes() == b"cut by an older fairtrial"
    assert shelf.asked == []


def test_a_full_disk_has_its_own_exit_code(svhn, home, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "open_part", full)
    problem = failed(code=RESOURCES)
    assert "No space left on device" in problem.what and "free some space" in problem.do


def test_the_table_holds_the_addresses_and_digests_of_torchvision():
    """So that what is fetched is what torchvision takes; it fails when a new torchvision has other files."""
    own = {name: {d.filename: (d.url, d.tgz_md5)} for name, d in packed_sets().items()}
    splits = [datasets.SVHN.split_list[split] for split in ("train", "test")]
    own["svhn"] = {file: (url, digest) for url, file, digest in splits}
    at, flowers = datasets.Flowers102._download_url_prefix, datasets.Flowers102._file_dict.values()
    own["flowers102"] = {f"flowers-102/{file}": (f"{at}{file}", digest) for file, digest in flowers}
    pets = datasets.OxfordIIITPet._RESOURCES
    own["oxfordiiitpet"] = {f"oxford-iiit-pet/{url.rpartition('/')[2]}": (url, d) for url, d in pets}
    table = {
        name: {file: (base + file.rpartition("/")[2], digest) for file, (base, digest) in files.items()}
        for name, files in DOWNLOADS.items()
    }
    assert own == table


def packed_sets():
    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100, "stl10": datasets.STL10}
