"""The one way to fetch a file: over https, continued where it broke off, shown when it was checked.

torch.hub.download_url_to_file and pooch were tried: both follow a redirect to http and start again after a
break, and the first waits for ever for a silent server.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fairtrial.errors import BAD_INPUT, REFUSED, RESOURCES, Fault, Shortage, fault
from fairtrial.storage import lock
from fairtrial.storage.atomic import open_part, publish, publish_file, read_json, writing

CHUNK: Final = 2**20  # bytes
TIMEOUT_S: Final = 60  # without a byte
TOLD_S: Final = 0.3  # between two words on how much has come

State = dict[str, Any]  # {"size": bytes, "etag": the server's name for this version}
Opener = Callable[[Request], Any]  # Request -> an open response
Tell = Callable[[str], object]

_tell: ContextVar[Tell] = ContextVar("tell", default=str)


@contextmanager
def telling(tell: Tell) -> Iterator[None]:
    """Tell in words how much of a file has come, of every download within the block."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


class HttpsOnly(HTTPRedirectHandler):
    """Follows a redirect to https, and no other."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        must_be_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def must_be_https(url: str) -> None:
    """Raise a Fault for any other scheme."""
    if urlsplit(url).scheme != "https":
        raise fault("an address that is not https, refused", masked(url), "use another network", REFUSED)


def masked(text: str) -> str:
    """Return a text without the credentials of addresses, as a proxy's may have: //user:password@host."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def download_file(
    url: str, path: Path, check: Callable[[Path, State], None], *, most: int, size: int | None = None,
    pinned: bool = False, opener: Opener | None = None,
) -> bool:  # fmt: skip
    """Fetch a file that is not there; False when another process did so meanwhile.

    check: raises a Fault unless the finished `.part` is the file; then it gets its name. most: bytes at most.
    size: bytes exactly, where known. pinned: `check` holds it to a digest, so that an address of http will do
    where there is no other. opener: in place of the network.
    What broke off stays as `.part` and is continued, if the server still has the same version. A transfer
    that fails is a Fault with exit code 6.
    """
    if not pinned:
        must_be_https(url)
    part = path.with_name(f"{path.name}.part")
    with writing(part):
        path.parent.mkdir(parents=True, exist_ok=True)
    with lock.hold(path.with_name(f".{path.name}.lock"), wait=True), writing(part):
        if path.exists():
            return False
        state = _Transfer(url, part, most, size).run(opener)
        _tell.get()(f"checking {path.name}")
        try:
            check(part, state)
        except Shortage:
            raise
        except Fault:
            # to continue it would not mend it
            forget(part)
            raise
        publish_file(part, path)
        forget(part)
    return True


def state_of(part: Path) -> Path:
    """Return the file beside a `.part` that says what the server announced."""
    return part.with_name(f"{part.name}.json")


def forget(part: Path) -> None:
    """Delete a `.part` and what is known of it."""
    part.unlink(missing_ok=True)
    state_of(part).unlink(missing_ok=True)


class _Transfer:
    """One file on its way from one address."""

    def __init__(self, url: str, part: Path, most: int, size: int | None) -> None:
        self.url, self.part, self.most, self.size = url, part, most, size

    def run(self, opener: Opener | None) -> State:
        """Bring the `.part` to its full length."""
        state, have = self._resumable()
        if have and have == state["size"]:
            return state
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": state["etag"]}
        try:
            with (opener or self._over_the_network)(Request(self.url, headers=headers)) as response:
                if response.status == 200:
                    have, state = 0, {"size": self._length(response), "etag": response.headers.get("ETag")}
                    self.part.unlink(missing_ok=True)
                    publish(state_of(self.part), json.dumps(state) + "\n", overwrite=True)
                elif not (have and response.status == 206 and _continues(response, have, state["size"])):
                    forget(self.part)
                    what = f"an answer that does not continue the file (status {response.status})"
                    raise self._failed(what)
                self._copy(response, have, state["size"])
        except HTTPError as error:
            if error.code == 416:
                forget(self.part)
            raise self._failed(f"the server answers {error.code} {error.reason}") from None
        except (URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            raise self._failed(str(getattr(error, "reason", None) or error)) from None
        if (came := self.part.stat().st_size) < state["size"]:
            raise self._failed(f"{came:,} of {state['size']:,} bytes came")
        return state

    def _over_the_network(self, request: Request) -> Any:
        handlers = (HttpsOnly,) if urlsplit(self.url).scheme == "https" else ()
        return build_opener(*handlers).open(request, timeout=TIMEOUT_S)

    def _copy(self, response: Any, have: int, size: int) -> None:
        tell, told, name = _tell.get(), -math.inf, self.part.name.removesuffix(".part")
        with open_part(self.part, append=have > 0) as file:
            while chunk := response.read(CHUNK):
                if time.monotonic() - told >= TOLD_S:
                    tell(f"{have / 1e6:,.0f} of {size / 1e6:,.0f} MB of {name}")
                    told = time.monotonic()
                have += len(chunk)
                if have > size:
                    raise self._failed(f"more than the {size:,} bytes that were announced")
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def _resumable(self) -> tuple[State, int]:
        """(what the server said of the file, bytes that are here); none unless it named the version."""
        try:
            state, have = read_json(state_of(self.part)), self.part.stat().st_size
        except (FileNotFoundError, Fault):
            return {}, 0
        etag, size = state.get("etag"), state.get("size")
        if isinstance(etag, str) and etag.startswith('"') and isinstance(size, int) and have <= size:
            return state, have
        return {}, 0

    def _length(self, response: Any) -> int:
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > self.most:
            raise self._failed(f"a length of {length or 'unknown'} bytes; at most {self.most:,} are taken")
        if self.size not in (None, int(length)):
            what = f"bytes: expected {self.size}, found {length}"
            raise fault(what, masked(self.url), "check the address", BAD_INPUT)
        return int(length)

    def _failed(self, why: str) -> Fault:
        path = self.part.with_name(self.part.name.removesuffix(".part"))
        do = "run the same again; it continues where it stopped. Or put the file there by hand"
        what = f"could not fetch {path.name}: {masked(why)}"
        return fault(what, f"{masked(self.url)}, for {path}", do, RESOURCES)


def _continues(response: Any, have: int, size: int) -> bool:
    return response.headers.get("Content-Range") == f"bytes {have}-{size - 1}/{size}"
