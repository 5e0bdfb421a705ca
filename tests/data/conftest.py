"""Every test has a cache folder of its own; real data is used where FAIRTRIAL_TEST_DATA names it."""

import contextlib
import os
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from torchvision import datasets

from fairtrial.data.torchvision_sets import DOWNLOADS
from tests.data.making import write_folder
from tests.data.served_sets import TEST, TRAIN, Shelf, mat, md5


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    home = tmp_path / "cache-home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def real_data():
    folder = os.environ.get("FAIRTRIAL_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FAIRTRIAL_TEST_DATA does not name a folder with real images")
    return Path(folder)


@pytest.fixture
def without_the_unpackers_of_python(monkeypatch):
    """So that no test passes thanks to a filter that another Python lacks."""
    for owner in (zipfile.ZipFile, tarfile.TarFile):
        for name in ("extract", "extractall"):
            monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("unpacked by the standard library"))


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets")


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
def home(cache_home):
    return cache_home / "fairtrial" / "torchvision"
