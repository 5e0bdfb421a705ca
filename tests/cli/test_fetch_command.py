"""`fairtrial fetch`: what is known, what it says of a file, what it refuses."""

import contextlib
import hashlib
import importlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.request import urlopen

import numpy as np
import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, USAGE

pytestmark = pytest.mark.usefixtures("beside_a_study")


@pytest.fixture
def official(monkeypatch):
    """A small official file "tiny-up" on a server of this machine; what it was asked for."""
    from fairtrial.models.resnet import MODELS, Spec
    from fairtrial.weights import OFFICIAL, Official
    from tests.weights.making import LAYOUTS, official_arrays

    body, asked = io.BytesIO(), []
    np.savez(body, **official_arrays("tiny", 7))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body.getvalue())))
            self.end_headers()
            self.wfile.write(body.getvalue())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        here = f"http://127.0.0.1:{server.server_port}/tiny-up.npz"
        monkeypatch.setitem(MODELS, "tiny", Spec(*LAYOUTS["tiny"]))
        monkeypatch.setitem(OFFICIAL, "tiny-up", Official("tiny", 7, "stars, then flowers", "tiny-up"))
        opened = staticmethod(lambda request: urlopen(here, timeout=10))
        monkeypatch.setattr("fairtrial.storage.download._Transfer._over_the_network", opened)
        yield SimpleNamespace(body=body.getvalue(), asked=asked)
        server.shutdown()
        thread.join()


def test_fetch_says_file_size_digest_and_upstream(official, tmp_path, capsys):
    assert main(["fetch", "tiny-up", "--to", "here"]) == DONE
    file = tmp_path / "here" / "tiny-up.npz"
    out, err = capsys.readouterr()
    assert out.splitlines()[:4] == [
        "file      here/tiny-up.npz",
        f"size      {len(official.body):,} bytes",
        f"sha256    {hashlib.sha256(official.body).hexdigest()}",
        "upstream  stars, then flowers",
    ]
    assert err == ""
    assert file.read_bytes() == official.body


def test_fetch_answers_in_json_and_downloads_once(official, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        assert main(["fetch", "tiny-up", "--json"]) == DONE
        found = json.loads(capsys.readouterr().out)
        assert found["file"] == str(tmp_path / "cache" / "fairtrial" / "weights" / "tiny-up.npz")
        assert (found["model"], found["classes"], found["upstream"]) == ("tiny", 7, "stars, then flowers")
        assert (found["size"], found["sha256"]) == (
            len(official.body),
            hashlib.sha256(official.body).hexdigest(),
        )
        assert found["trust"].startswith("first use")
    assert len(official.asked) == 1


def test_fetch_without_a_name_lists_what_is_known(official, capsys):
    assert main(["fetch"]) == DONE
    out = capsys.readouterr().out
    for line in ("BiT-M-R50x1              r50x1   imagenet21k\n", "R152x2_T_384 ", "stars, then flowers\n"):
        assert line in out
    assert main(["fetch", "--json"]) == DONE
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["files"]}
    assert len(rows) == 23
    assert rows["BiT-S-R101x3"]["url"] == "https://storage.googleapis.com/bit_models/BiT-S-R101x3.npz"
    assert official.asked == []


def test_fetch_refuses_what_is_unknown_and_a_file_for_a_folder(official, tmp_path, capsys):
    assert main(["fetch", "BiT-M-R50x1x"]) == USAGE
    assert "did you mean 'BiT-M-R50x1'" in capsys.readouterr().err
    (tmp_path / "taken").write_text("a file")
    assert main(["fetch", "tiny-up", "--to", "taken"]) == USAGE
    assert "  where: --to\n" in capsys.readouterr().err
    assert official.asked == []


def test_a_damaged_file_is_refused_by_fetch(official, tmp_path, capsys):
    assert main(["fetch", "tiny-up", "--to", "."]) == DONE
    spoilt = bytearray(official.body)
    spoilt[5000] ^= 1
    (tmp_path / "tiny-up.npz").write_bytes(spoilt)
    capsys.readouterr()
    assert main(["fetch", "tiny-up", "--to", ".", "--json"]) == BAD_INPUT
    assert json.loads(capsys.readouterr().err)["what"].startswith("sha256: expected")


def test_fetch_shows_how_much_has_come(official, monkeypatch):
    """On the terminal, as every command that takes long shows what it is at."""
    told = []

    @contextlib.contextmanager
    def working(what):
        yield lambda words: told.append(f"{what}: {words}")

    monkeypatch.setattr(importlib.import_module("fairtrial.weights.fetch"), "working", working)
    assert main(["fetch", "tiny-up", "--to", "."]) == DONE
    size = f"{len(official.body) / 1e6:,.0f}"
    assert told == [f"fetching: 0 of {size} MB of tiny-up.npz", "fetching: checking tiny-up.npz"]
