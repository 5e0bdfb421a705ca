"""Download an official file: over https alone, resumable, and shown under its name only when it is sound."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fairtrial.errors import BAD_INPUT, REFUSED, RESOURCES, USAGE, Fault, did_you_mean, fault
from fairtrial.storage.atomic import open_part, publish_file, read_json, writing
from fairtrial.weights.bit import LARGEST, read_all
from fairtrial.weights.npz import opened
from fairtrial.weights.official_files import OFFICIAL, Official
from fairtrial.weights.weights_source import must_equal, side_of, taken, write_side

CHUNK: Final = 2**20  # bytes
TIMEOUT_S: Final = 60  # without a byte
FIRST_USE: Final = "first use: no digest is published; later reads are held to this one"

Opener = Callable[[Request], Any]  # Request -> an open response


class HttpsOnly(HTTPRedirectHandler):
    """Follows a redirect to https, and no other."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        must_be_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def must_be_https(url: str) -> None:
    """A Fault for any other scheme."""
    if urlsplit(url).scheme != "https":
        raise fault("an address that is not https, refused", url, "use another network", REFUSED)


def fetch(name: str, folder: Path | str, *, opener: Opener | None = None) -> Path:
    """The path of an official file in `folder`, downloaded if it is not there.

    A file that is there is held to its side record, which names address, size and digest; what was broken off
    is continued from its `.part`. opener: Request -> response, in place of the network.
    """
    if name not in OFFICIAL:
        what = f"no official file is called {name!r}{did_you_mean(name, OFFICIAL)}"
        raise fault(what, "name", f"choose one of {', '.join(OFFICIAL)}", USAGE)
    row, path = OFFICIAL[name], Path(folder) / f"{name}.npz"
    if path.exists():
        _examine(path, name, row, path, {})
        return path
    part = path.with_name(f"{path.name}.part")
    must_be_https(row.url)
    with writing(part):
        path.parent.mkdir(parents=True, exist_ok=True)
        state = _download(row, part, opener or _over_the_network)
        try:
            _examine(part, name, row, path, state)
        except Fault:
            _forget(part)  # to continue it would not mend it
            raise
        try:
            publish_file(part, path)
        except FileExistsError:
            raise taken(path) from None
        _forget(part)
    return path


def _over_the_network(request: Request) -> Any:
    return build_opener(HttpsOnly).open(request, timeout=TIMEOUT_S)


def _examine(file: Path, name: str, row: Official, path: Path, state: dict[str, Any]) -> None:
    """Digest, or else structure, checksums and values, with a side record of them for `path`."""
    with opened(file, most=LARGEST) as npz:
        must_equal(file, "bytes", row.size, npz.size)
        must_equal(file, "sha256", row.sha256, npz.sha256)
        if npz.side.get("sha256"):
            return
        read_all(npz, row)
    record = {
        "name": name,
        "url": row.url,
        "size": npz.size,
        "sha256": npz.sha256,
        "etag": state.get("etag"),
        "trust": "pinned" if row.sha256 else FIRST_USE,
    }
    write_side(path, record)


def _download(row: Official, part: Path, opener: Opener) -> dict[str, Any]:
    """Bring `part` to its full length -> {"size": bytes, "etag": the server's name for this version}."""
    state, have = _resumable(part)
    if have and have == state["size"]:
        return state
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": state["etag"]}
    try:
        with opener(Request(row.url, headers=headers)) as response:
            if response.status == 200:  # from the start
                have, state = 0, {"size": _length(response, row), "etag": response.headers.get("ETag")}
                part.unlink(missing_ok=True)
                write_side(part, state)
            elif not (have and response.status == 206 and _continues(response, have, state["size"])):
                _forget(part)
                raise _failed(row, f"an answer that does not continue the file (status {response.status})")
            _copy(response, part, have, state["size"], row)
    except HTTPError as error:
        if error.code == 416:
            _forget(part)
        raise _failed(row, f"the server answers {error.code} {error.reason}") from None
    except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _failed(row, str(getattr(error, "reason", error))) from None
    if part.stat().st_size < state["size"]:
        raise _failed(row, f"{part.stat().st_size:,} of {state['size']:,} bytes came")
    return state


def _copy(response: Any, part: Path, have: int, size: int, row: Official) -> None:
    with open_part(part, append=have > 0) as file:
        while chunk := response.read(CHUNK):
            have += len(chunk)
            if have > size:
                raise _failed(row, f"more than the {size:,} bytes that were announced")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _resumable(part: Path) -> tuple[dict[str, Any], int]:
    """(what the server said of the file, bytes that are here); none unless it named the version."""
    try:
        state, have = read_json(side_of(part)), part.stat().st_size
    except (FileNotFoundError, Fault):
        return {}, 0
    etag, size = state.get("etag"), state.get("size")
    if isinstance(etag, str) and etag.startswith('"') and isinstance(size, int) and have <= size:
        return state, have
    return {}, 0


def _continues(response: Any, have: int, size: int) -> bool:
    return response.headers.get("Content-Range") == f"bytes {have}-{size - 1}/{size}"


def _length(response: Any, row: Official) -> int:
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > LARGEST:
        raise _failed(row, f"a length of {length or 'unknown'} bytes; at most {LARGEST:,} are taken")
    if row.size not in (None, int(length)):
        raise fault(f"bytes: expected {row.size}, found {length}", row.url, "check the address", BAD_INPUT)
    return int(length)


def _failed(row: Official, why: str) -> Fault:
    do = "run the same again; it continues where it stopped"
    return fault(f"could not fetch: {why}", row.url, do, RESOURCES)


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    side_of(part).unlink(missing_ok=True)
