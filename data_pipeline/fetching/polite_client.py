"""Bytes of web files by ranges, from a server that may do anything, over few connections that are kept.

`PoliteClient.read` hands on exactly the bytes that were asked for, in order, or fails: an answer must be 206 with a Content-Range that
begins where it was asked to (200 only where the whole file is what was asked), in no encoding; one that ends early is asked again from
there.
Refusals (403, 429, 503) and a server that cannot be reached make the whole client wait (`pace.py`). Every wait has an end: a connection
without a byte for `stall` seconds is given up, and so is a request that comes to less than `slowest`, however it drips.

Redirects are followed up to five times, to http(s) only, and into this machine's network never, unless the host is the one that was asked
or is named in `Limits.inside`; the addresses that are looked at are those that are connected to, so that a name cannot change its mind in
between. Not `stored_bytes.py`: that reads one archive in order over one connection, this many pieces at once under one limit. Proxies of
the environment are used. Left out: HTTP/2, cookies, credentials.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from data_pipeline.fetching.pace import LONGEST_PAUSE, Limits, Pace, retry_after
from verifiers.http_post import ended_at, proxy_key, proxy_of, resolve
from verifiers.input_error import InputError, first_line

CHUNK = 1 << 17
_REDIRECTS, _HOPS = frozenset((301, 302, 303, 307, 308)), 5
_REFUSALS = frozenset((403, 429, 503))
_LOST = frozenset((400, 401, 404, 405, 406, 410, 416, 451))
"""Statuses that another attempt does not change."""
_PROGRESS = 1 << 20  # bytes since the last failure that make up for it
_GRACE = 60.0  # seconds of a request beyond what `slowest` allows for its bytes
_SAFE = "/%:=&?~+!$,;'@()*[]"
_AGENT = "reckon-mine (+https://pypi.org/project/reckon-rl)"


class RequestFailed(Exception):
    """One request came to nothing; the text says why. Others may do better."""


class _Trouble(Exception):
    """An answer that was none; the next may be one."""


class _Unreachable(Exception):
    """There is no connection to be had."""


class _Stale(Exception):
    """A connection that was kept had been closed by the server."""


@dataclass(slots=True)
class _Wanted:
    """A request, and how far it is."""

    url: str
    position: int
    end: int
    whole_too: bool = False
    """Whether the size is what is wanted, so that an answer with the whole file will do."""
    size: int | None = None
    failures: int = 0
    refusals: int = 0
    refused_at: float = 0.0
    since: int = 0
    """Bytes since the last failure."""


class _Answer:
    """An open answer; `get` of a connection makes it."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self._response = response.status, response

    def header(self, name: str) -> str:
        return self._response.getheader(name) or ""

    def read(self, size: int) -> bytes:
        return self._response.read1(size)

    def ended(self) -> bool:
        """Whether nothing is left of it, so that its connection can be asked again."""
        return self._response.isclosed() and not self._response.will_close


class _Connection:
    """To one server. Its socket is shut when a deadline passes, whatever it is waiting for: TLS or headers that drip."""

    def __init__(self, parts: SplitResult, limits: Limits, *, trusted: bool) -> None:
        self.place = (parts.scheme, parts.netloc)
        until = time.monotonic() + limits.stall
        proxy = proxy_of(parts)
        at = proxy or parts
        if not at.hostname or not parts.hostname:
            raise RequestFailed("no address of a server")
        port = at.port or (443 if at.scheme == "https" else 80)
        raw = _connect(at.hostname, port, until, limits.stall, trusted=trusted or proxy is not None)
        self._raw = raw.dup()
        self._used = False
        self._client = http.client.HTTPConnection(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self._client.auto_open = 0  # it would ask for the name again, and go wherever that leads by then
        self._client.sock = raw
        self._prefix = f"http://{parts.netloc}" if proxy and parts.scheme == "http" else ""
        self._headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if proxy and parts.scheme == "http":
            self._headers |= proxy_key(proxy)
        try:
            with ended_at(until, self.shut):
                if proxy and parts.scheme == "https":
                    tunnel = http.client.HTTPConnection(at.hostname, port)
                    tunnel.set_tunnel(parts.hostname, parts.port or 443, proxy_key(proxy))
                    tunnel.sock = raw
                    tunnel._tunnel()  # type: ignore[attr-defined]
                if parts.scheme == "https":
                    self._client.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _Unreachable(first_line(error)) from error

    @contextmanager
    def get(self, target: str, headers: dict[str, str], until: float) -> Iterator[_Answer]:
        with ended_at(until, self.shut):
            try:
                self._client.request("GET", self._prefix + target, headers=self._headers | headers)
                response = self._client.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                if self._used:
                    raise _Stale from error
                raise
            self._used = True
            yield _Answer(response)

    def shut(self) -> None:
        """Whoever waits for it hears of its end."""
        with suppress(OSError):  # it has ended by itself
            self._raw.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.shut()
        self._client.close()
        self._raw.close()


class PoliteClient:
    """For many threads. `close` ends it; what still waits then raises Ended."""

    def __init__(self, limits: Limits | None = None, *, pace: Pace | None = None) -> None:
        self.limits = limits or Limits()
        self.pace = pace or Pace(self.limits)
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._active = 0
        self._working: set[_Connection] = set()
        self.moved = 0
        """Bytes of bodies that came, those asked for in vain counted."""
        self.requests = 0

    def read(self, url: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, in order. Raises RequestFailed, Ended, and InputError when patience is over."""
        wanted = _Wanted(url, start, end)
        while wanted.position < wanted.end:
            yield from self._attempt(wanted)

    def whole(self, url: str, longest: int) -> bytes:
        """A small file. Raises InputError for one that cannot be had or is longer."""
        size = self.size(url)
        if size > longest:
            raise InputError(f"{url}: has {size:,} bytes, at most {longest:,} are read")
        try:
            return b"".join(self.read(url, 0, size))
        except RequestFailed as failure:
            raise InputError(f"{url}: {failure}; check the address") from failure

    def size(self, url: str) -> int:
        """Bytes of a file. Raises InputError for one that is not there or whose server serves no ranges."""
        wanted = _Wanted(url, 0, 1, whole_too=True)
        try:
            while wanted.size is None:
                wanted.position = 0
                for _ in self._attempt(wanted):
                    pass
        except RequestFailed as failure:
            raise InputError(f"{url}: {failure}; check the address") from failure
        return wanted.size

    def _attempt(self, wanted: _Wanted) -> Iterator[bytes]:
        """What one request gives. Raises RequestFailed where it was the last that was worth trying; waits where it was not."""
        try:
            with self.pace.turn() as asked_at:
                try:
                    yield from self._ask(wanted, asked_at)
                except _Unreachable as trouble:
                    self.pace.refused(asked_at, 0.0, f"{_server(wanted.url)}: cannot be reached: {trouble}")
                return
        except _Trouble as trouble:
            reason = str(trouble)
        except (OSError, http.client.HTTPException) as error:
            reason = f"the connection was lost: {first_line(error)[:100]}"
        wanted.failures = 1 if wanted.since >= _PROGRESS else wanted.failures + 1
        wanted.since = 0
        if wanted.failures >= self.limits.attempts:
            raise RequestFailed(reason)
        self.pace.rest(min(LONGEST_PAUSE, 2.0 ** (wanted.failures - 1)))

    def _ask(self, wanted: _Wanted, asked_at: float) -> Iterator[bytes]:
        """One request, with its redirects: whatever comes of it. Raises _Trouble for what may be better next time."""
        url = wanted.url
        hops = 0
        while hops <= _HOPS:
            connection = self._take_connection(url, trusted=_server(url) == _server(wanted.url))
            keep = False
            try:
                until = time.monotonic() + self._longest(wanted.end - wanted.position)
                with connection.get(_target(url), {"Range": f"bytes={wanted.position}-{wanted.end - 1}"}, until) as answer:
                    self.requests += 1
                    location = answer.header("Location")
                    if answer.status not in _REDIRECTS or not location:
                        yield from self._receive(wanted, answer, asked_at)
                        keep = answer.ended()
                        return
                url = _redirected(url, location)
                hops += 1
            except _Stale:  # the server had closed it meanwhile; there are only so many of these
                continue
            finally:
                self._give_back(connection, keep)
        raise RequestFailed(f"redirects more than {_HOPS} times")

    def _longest(self, size: int) -> float:
        """Seconds that a request of so many bytes may take."""
        rate = self.limits.megabytes_a_second * 1e6 / self.limits.connections / 4
        return _GRACE + size / min(self.limits.slowest, rate or self.limits.slowest)

    def _receive(self, wanted: _Wanted, answer: _Answer, asked_at: float) -> Iterator[bytes]:
        if answer.status in _REFUSALS:
            self._refused(wanted, answer, asked_at)
            return
        size = _size_of(wanted, answer)
        while wanted.position < wanted.end:
            data = answer.read(min(CHUNK, wanted.end - wanted.position))
            if not data:
                if size is not None and wanted.position >= size:
                    raise RequestFailed(f"the file ends at byte {size}")
                raise _Trouble("the answer ended early")
            wanted.position += len(data)
            wanted.since += len(data)
            with self._lock:
                self.moved += len(data)
            yield data
            self.pace.took(len(data))
        wanted.size, wanted.refusals = size, 0
        if wanted.whole_too and size is None:
            raise RequestFailed("the server does not say how long the file is")
        self.pace.answered()

    def _refused(self, wanted: _Wanted, answer: _Answer, asked_at: float) -> None:
        """Everybody waits. A file that alone is refused (some stores answer 403 for one that is not there) fails by itself."""
        if not wanted.refusals:
            wanted.refused_at = asked_at
        wanted.refusals += 1
        if answer.status == 403 and wanted.refusals >= self.limits.attempts and self.pace.good_since(wanted.refused_at):
            raise RequestFailed("HTTP 403")
        self.pace.refused(
            asked_at, retry_after(answer.header("Retry-After"), time.time()), f"{_server(wanted.url)}: refuses with HTTP {answer.status}"
        )

    # Connections: those at work and those kept are together never more than the limit. ---------------------------------------------------

    def _take_connection(self, url: str, *, trusted: bool) -> _Connection:
        parts = urlsplit(url)
        with self._lock:
            kept = next((one for one in self._idle if one.place == (parts.scheme, parts.netloc)), None)
            if kept:
                self._idle.remove(kept)
            elif self._active + len(self._idle) >= self.limits.connections and self._idle:
                self._idle.pop(0).close()
            self._active += 1
        try:
            connection = kept or _Connection(parts, self.limits, trusted=trusted or (parts.hostname or "") in self.limits.inside)
        except BaseException:
            with self._lock:
                self._active -= 1
            raise
        with self._lock:
            self._working.add(connection)
        return connection

    def _give_back(self, connection: _Connection, keep: bool) -> None:
        if not keep:
            connection.close()
        with self._lock:
            self._active -= 1
            self._working.discard(connection)
            if keep:
                self._idle.append(connection)

    def close(self) -> None:
        """Ends what still waits, at once."""
        self.pace.end()
        with self._lock:
            for connection in self._working:
                connection.shut()
            for connection in self._idle:
                connection.close()
            self._idle.clear()


def _connect(host: str, port: int, until: float, stall: float, *, trusted: bool) -> socket.socket:
    """Connects to an address that has been looked at. Raises RequestFailed for one inside this network, _Unreachable where none answers."""
    try:
        found = resolve(host, port, until)
    except (OSError, UnicodeError) as error:
        raise _Unreachable(first_line(error)) from error
    if not trusted and any(not ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found):
        raise RequestFailed(f"redirects to an address inside this network, {host}; refused")
    trouble: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(stall)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            connection.close()
            trouble = error
    raise _Unreachable(first_line(trouble)) from trouble


def _size_of(wanted: _Wanted, answer: _Answer) -> int | None:
    """Bytes of the whole file, as far as it is said. Raises RequestFailed and _Trouble for an answer that is not what was asked."""
    if answer.status in _LOST:
        raise RequestFailed(f"HTTP {answer.status}")
    if answer.header("Content-Encoding") not in ("", "identity"):
        raise _Trouble("the answer is encoded")
    if answer.status == 206:
        first, size = _content_range(answer.header("Content-Range"))
        if first != wanted.position:
            raise _Trouble(f"wrong range: bytes from {first}")
        return size
    if answer.status != 200:
        raise _Trouble(f"HTTP {answer.status}")
    said = answer.header("Content-Length")
    if wanted.position == 0 and said.isdigit() and (int(said[:18]) <= wanted.end or wanted.whole_too):
        return int(said[:18])
    raise _Trouble("the server sends whole files and no ranges")


def _target(url: str) -> str:
    parts = urlsplit(url)
    return quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")


def _redirected(url: str, location: str) -> str:
    try:
        new = urljoin(url, location)
        parts = urlsplit(new)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0:
            return new
    except ValueError:
        pass
    raise RequestFailed(f"redirects to {location[:100]!r}, which is no web address")


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _content_range(header: str) -> tuple[int | None, int | None]:
    """First byte and total length of `bytes 10-99/1000`; None for what is not said."""
    unit, _, said = header.strip().partition(" ")
    span, _, total = said.partition("/")
    first = span.partition("-")[0]
    return (
        int(first) if unit.lower() == "bytes" and first.isdigit() and len(first) < 20 else None,
        int(total) if total.isdigit() and len(total) < 20 else None,
    )
