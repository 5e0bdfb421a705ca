"""A network of the layout of BiT that is small enough to be written a hundred times."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch

from fairtrial.models.resnet import MODELS, ResNetV2, Spec, create_model
from fairtrial.weights import OFFICIAL, Official
from fairtrial.weights.official_files import BASE
from tests.weights.making import LAYOUTS, official_arrays
from tests.weights.served_file import Shelf

CLASSES = 7


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    for name in ("tiny", "wide"):
        monkeypatch.setitem(MODELS, name, Spec(*LAYOUTS[name]))
    monkeypatch.setitem(OFFICIAL, "tiny-up", Official("tiny", CLASSES, "stars, then flowers", "set/tiny-up"))


@pytest.fixture
def tiny() -> ResNetV2:
    torch.manual_seed(0)
    return create_model("tiny", CLASSES)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return official_arrays("tiny", CLASSES)


@pytest.fixture
def good(tmp_path, arrays) -> Path:
    path = tmp_path / "good.npz"
    np.savez(path, **arrays)
    return path


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


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "here" / "weights"
