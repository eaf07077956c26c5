"""Bytes of a local file, an http(s) address or any other fsspec address, read in order from any place, with patience.

A remote store answers 403 or 503 when it is asked too often and drops connections in the middle of a gigabyte. A read that fails is
tried again from the byte where it stopped, after 1, 2, 4, ... seconds; an answer that does not come within `DEADLINE` seconds is a
failure too. HTTP is spoken with the standard library, so that reading Common Crawl needs no further package, and not by
`verifiers/http_post.py`, which holds one short answer in memory by one deadline and follows no redirect: an archive is read for hours, a
piece at a time, each with a deadline of its own, from whatever place its address leads to. `s3://` and the others go
through fsspec, whose own file system (s3fs, gcsfs) must be installed and has its own time limits.

Every failure that outlasts the attempts is an InputError. Left out: credentials (fsspec takes them from the environment) and caching.
"""

import http.client
import ipaddress
import socket
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from verifiers.input_error import InputError

ATTEMPTS = 6
DEADLINE = 30.0
_AGAIN = {403, 408, 425, 429, 500, 502, 503, 504}


class Source(Protocol):
    """A stored archive. `read` gives b"" at its end only; `seek` may say where reading will end, so that no more is asked of a server."""

    def read(self, size: int) -> bytes: ...
    def seek(self, position: int, end: int | None = None) -> None: ...
    def close(self) -> None: ...


def is_remote(path: str) -> bool:
    return "://" in path and not path.startswith("file://")


def local_path(path: str) -> Path:
    return Path(urllib.request.url2pathname(urlsplit(path).path) if path.startswith("file://") else path)


def open_source(path: str, *, wait: Callable[[float], None] = time.sleep) -> Source:
    """Opens at byte 0. Raises InputError for what is missing or cannot be read."""
    if not is_remote(path):
        return _Local(local_path(path))
    if path.startswith(("http://", "https://")):
        return _Http(path, wait)
    return _Fsspec(path, wait)


class _Local:
    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        self._path = path

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size) or b""
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror or error}") from error

    def seek(self, position: int, end: int | None = None) -> None:
        self._file.seek(position)

    def close(self) -> None:
        self._file.close()


class _Retrying(ABC):
    """What the remote sources share: the position, and another attempt from there."""

    def __init__(self, url: str, wait: Callable[[float], None]) -> None:
        self._url, self._wait = url, wait
        self._position = 0
        self._end: int | None = None

    def read(self, size: int) -> bytes:
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.close()
                self._wait(2.0 ** (attempt - 1))
            try:
                data = self._read(size)
            except (OSError, http.client.HTTPException) as error:
                reason = _reason(error)
                if isinstance(error, urllib.error.HTTPError) and error.code not in _AGAIN:
                    break
                if isinstance(error, FileNotFoundError | PermissionError):
                    break
            else:
                self._position += len(data)
                return data
        raise InputError(f"{self._url}: cannot be read from byte {self._position}: {reason}; check the address or try again later")

    def seek(self, position: int, end: int | None = None) -> None:
        if position != self._position or (self._end is not None and end != self._end):
            self.close()
        self._position, self._end = position, end

    @abstractmethod
    def _read(self, size: int) -> bytes:
        """Bytes from the position on, opening what is not open."""

    @abstractmethod
    def close(self) -> None:
        """So that the next read opens it again."""


class _Http(_Retrying):
    def __init__(self, url: str, wait: Callable[[float], None]) -> None:
        super().__init__(url, wait)
        self._answer: Any = None
        self._length: int | None = None
        """Of the whole file, as the server says; a connection closed before is a failure and not the end."""

    def _read(self, size: int) -> bytes:
        end = min((place for place in (self._length, self._end) if place is not None), default=None)
        if end is not None and self._position >= end:
            return b""
        if self._answer is None:
            self._open()
        data = bytes(self._answer.read(size)) if self._answer else b""
        if not data and self._length is not None and self._position < self._length:
            raise ConnectionError("the connection ended early")
        return data

    def _open(self) -> None:
        span = f"bytes={self._position}-{'' if self._end is None else self._end - 1}"
        request = urllib.request.Request(self._url, headers={"User-Agent": "reckon-mine", "Range": span})
        try:
            answer = urllib.request.build_opener(_Redirects).open(request, timeout=DEADLINE)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416:
                raise
            self._length = self._position  # asked for what follows the last byte
            return
        self._answer = answer
        if answer.status == 206:
            first, total = _content_range(answer.headers.get("Content-Range", ""))
            if first != self._position:
                raise InputError(f"{self._url}: the server sent bytes from {first} when asked for {self._position}; it cannot serve ranges")
            self._length = total
            return
        self._length = int(answer.headers["Content-Length"]) if answer.headers.get("Content-Length", "").isdigit() else None
        left = self._position  # a server without ranges sends all of it
        while left:
            skipped = len(answer.read(min(left, 1 << 20)))
            if not skipped:
                raise ConnectionError("the connection ended early")
            left -= skipped

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s) only, and from the open network to the open network: an archive's address may come from a list that
    somebody else wrote, and its server must not be able to point at this machine or at its neighbours."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise InputError(f"{req.full_url[:300]}: redirects to {newurl[:300]!r}, which is no web address")
        if is_inside(urlsplit(newurl).hostname or "") and not is_inside(urlsplit(req.full_url).hostname or ""):
            raise InputError(f"{req.full_url[:300]}: redirects to an address inside this network, {newurl[:300]!r}; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_inside(name: str) -> bool:
    """Whether a host's name leads to this machine, its network or nowhere that the public network can see."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(not ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found)


class _Fsspec(_Retrying):
    def __init__(self, url: str, wait: Callable[[float], None]) -> None:
        super().__init__(url, wait)
        self._file: Any = None

    def _read(self, size: int) -> bytes:
        if self._file is None:
            import fsspec

            try:
                system, path = fsspec.core.url_to_fs(self._url)
            except (ImportError, ValueError) as error:
                raise InputError(f"{self._url}: {error}") from error
            self._file = system.open(path, "rb", block_size=8 << 20)
            self._file.seek(self._position)
        return bytes(self._file.read(size))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _content_range(header: str) -> tuple[int | None, int | None]:
    """First byte and total length of `bytes 10-99/1000`; None for what is not said."""
    unit, _, said = header.partition(" ")
    span, _, total = said.partition("/")
    first = span.partition("-")[0]
    return (
        int(first) if unit == "bytes" and first.isdigit() and len(first) < 20 else None,
        int(total) if total.isdigit() and len(total) < 20 else None,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
