"""One question over HTTP to a server that may do anything: one deadline for all of it, bounded reads, one exception.

The deadline is a time of `time.monotonic`, and is asked for before every single wait: for the name, the connection, TLS, each piece of
the headers, of however many `100 Continue`, of chunk sizes, trailers and body. So a server that drips keeps nobody longer than one
that is silent. Each question is a connection of its own, and nothing that the server says makes this one ask somebody else: redirects
are answers like others, and no key travels on. `with_retries` asks again after what may pass. Left out: streaming (`stored_bytes.py` of
the data pipeline reads archives), kept connections, compression.
"""

import http.client
import io
import json
import math
import re
import socket
import ssl
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

_PIECE = 1 << 16
_ERROR_BYTES = 1 << 16
_LONG_NUMBER = re.compile(rb"[0-9]{300}")
_MOST_DIGITS = 300  # a float holds 308
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_MANY_CONTAINERS, _SMALLEST = 1 << 17, 16
"""JSON may hold so many objects and lists, or one for so many bytes: the smallest takes 3 bytes to send and 64 to keep."""


class Trouble(StrEnum):
    LATE = "late"
    """The deadline has passed."""
    UNREACHABLE = "unreachable"
    """No connection, or a lost one, or half an answer."""
    TOO_LONG = "too long"
    NO_ANSWER = "no answer"
    """Something else than HTTP, or a body that is not what it should be."""


class HttpFault(Exception):
    """There is no answer, or none that can be read; the text says why, without the address."""

    def __init__(self, kind: Trouble, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the server says, whatever its status: errors and redirects are answers."""

    status: int
    body: bytes
    """Of an error, what has come of its beginning."""
    retry_after: float = 0.0
    """Seconds, where the server named a number of them."""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class LastTry(NamedTuple):
    outcome: HttpAnswer | HttpFault
    tries: int
    out_of_time: bool
    """Whether it would have been worth another try, for which there was no time."""


def with_retries(
    ask_once: Callable[[], HttpAnswer],
    pauses: Iterable[float],
    *,
    statuses: Container[int],
    faults: Container[Trouble] = (Trouble.UNREACHABLE,),
    until: float = math.inf,
    wait: Callable[[float], None] = time.sleep,
) -> LastTry:
    """What comes of asking once, and again after each of `pauses` (seconds) while what came may pass and there is time `until` then.

    What may pass are answers of these `statuses`, and these `faults`. A server's Retry-After makes a pause longer where `until` bounds it.
    """
    for tries, pause in enumerate((*pauses, math.inf), 1):
        outcome: HttpAnswer | HttpFault
        try:
            outcome = ask_once()
        except HttpFault as fault:
            outcome = fault
        may_pass = outcome.kind in faults if isinstance(outcome, HttpFault) else outcome.status in statuses
        if pause == math.inf or not may_pass:
            break
        if until < math.inf and isinstance(outcome, HttpAnswer):
            pause = max(pause, outcome.retry_after)
        if time.monotonic() + pause >= until:
            return LastTry(outcome, tries, out_of_time=True)
        wait(pause)
    return LastTry(outcome, tries, out_of_time=False)


def json_headers(key: str = "") -> dict[str, str]:
    """Those of a question in JSON; `key` is sent as a bearer token."""
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})


def ask(
    url: str,
    data: bytes | None,
    *,
    headers: Mapping[str, str],
    until: float,
    longest: int,
    connect_seconds: float = math.inf,
    error_seconds: float = 0.5,
    proxies: bool = True,
    holding: Callable[[socket.socket], AbstractContextManager[None]] = lambda connection: nullcontext(),
) -> HttpAnswer:
    """The answer to a POST of `data`, or to a GET without any. Raises HttpFault.

    `longest` bounds a good answer, in bytes; the text of an error is waited for `error_seconds` and not counted on. `proxies`: whether
    the environment's are used. `holding` surrounds the exchange, with a connection that another thread may shut.
    """
    try:
        parts = urlsplit(url)
        proxy = proxy_of(parts) if proxies else None
        with ExitStack() as stack:
            connection = _connect(parts, proxy, until, connect_seconds, stack)
            stack.enter_context(holding(connection))
            return _exchange(_Timed(connection, until), parts, proxy, data, headers, longest, error_seconds)
    except HttpFault:
        raise
    except TimeoutError as error:
        raise HttpFault(Trouble.LATE, str(error) or "timed out") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= until:  # it was cut
            raise HttpFault(Trouble.LATE, "timed out") from None
        raise _fault_of(error) from None


def _fault_of(error: Exception) -> HttpFault:
    if isinstance(error, OSError | http.client.IncompleteRead | http.client.RemoteDisconnected):
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return HttpFault(Trouble.UNREACHABLE, " ".join(str(reason).split())[:200])
    said = f"it does not speak HTTP: {type(error).__name__}: {error}"  # whatever the parser thinks of it
    return HttpFault(Trouble.NO_ANSWER, " ".join(said.split())[:200])


def read_json(body: bytes) -> Any:
    """The JSON in an answer. Raises HttpFault for what is none, is nested too deeply, or has numbers or parts that nothing can hold."""
    try:
        most = max(_MANY_CONTAINERS, len(body) // _SMALLEST)
        if _count_containers(body) > most and _count_containers(_STRING.sub(b"", body)) > most:
            raise ValueError("too many objects and lists")
        if _LONG_NUMBER.search(body):  # perhaps in a string, where it may stand
            return json.loads(body, parse_int=_integer)
        return json.loads(body)
    except (ValueError, RecursionError, OverflowError) as error:
        raise HttpFault(Trouble.NO_ANSWER, f"{type(error).__name__}: {error}"[:200]) from None


def _count_containers(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _seconds_left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Timed:
    """A connection as `http.client` uses it. Closing it does nothing: who made the connection closes it."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection, self.until = connection, until

    def receive(self, buffer: Any) -> int:
        self._connection.settimeout(_seconds_left(self.until))
        return self._connection.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._connection.settimeout(_seconds_left(self.until))
            rest = rest[self._connection.send(rest[: 4 * _PIECE]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """The connection outlives what `http.client` takes for its end."""


class _Reader(io.RawIOBase):
    """What a response reads from: the connection, under the deadline that holds now."""

    def __init__(self, timed: _Timed) -> None:
        super().__init__()
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.receive(buffer)


def _exchange(
    timed: _Timed,
    parts: SplitResult,
    proxy: SplitResult | None,
    data: bytes | None,
    headers: Mapping[str, str],
    longest: int,
    error_seconds: float,
) -> HttpAnswer:
    client = http.client.HTTPConnection(parts.hostname or "", _port(parts))
    client.sock = timed  # all of a socket that it uses
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    told = {"Host": _host(parts), "Connection": "close", **headers}
    if proxy and parts.scheme == "http":
        target = f"http://{_host(parts)}{target}"
        told |= proxy_key(proxy)
    client.request("GET" if data is None else "POST", target, data, told)
    response = client.getresponse()
    retry = response.getheader("Retry-After") or ""
    wait = float(retry) if retry.isascii() and retry.isdigit() and len(retry) < 6 else 0.0
    answer = HttpAnswer(response.status, b"", wait)
    if answer.good:
        return HttpAnswer(response.status, _body(response, longest), wait)
    timed.until = min(timed.until, time.monotonic() + error_seconds)
    pieces: list[bytes] = []
    with suppress(OSError, http.client.HTTPException, ValueError, HttpFault):
        _body(response, _ERROR_BYTES, pieces)
    return HttpAnswer(response.status, b"".join(pieces)[:_ERROR_BYTES], wait)


def _body(response: http.client.HTTPResponse, longest: int, pieces: list[bytes] | None = None) -> bytes:
    """The whole body, of which `pieces` has what came even where this raises."""
    size, announced = 0, response.length
    if pieces is None and announced is not None and announced > longest:
        raise HttpFault(Trouble.TOO_LONG, f"it sends {announced} bytes")
    pieces = [] if pieces is None else pieces
    while announced is None or size < announced:
        piece = response.read1(_PIECE if announced is None else min(_PIECE, announced - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > longest:
            raise HttpFault(Trouble.TOO_LONG, f"it sends more than {longest} bytes")
    if announced is not None and size < announced:
        raise http.client.IncompleteRead(b"", announced - size)
    return b"".join(pieces)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _connect(parts: SplitResult, proxy: SplitResult | None, until: float, connect_seconds: float, stack: ExitStack) -> socket.socket:
    """A connection to the server, or through the proxy, with TLS where the address says so; ends with the stack."""
    place = proxy or parts
    if parts.scheme not in ("http", "https") or not parts.hostname or not place.hostname:
        raise ValueError(f"no address of a server: {parts.scheme}://{_host(parts)}")
    connection = stack.enter_context(closing(_connect_to_host(place.hostname, _port(place), until, connect_seconds)))
    if parts.scheme == "http":
        return connection
    if proxy:
        client = http.client.HTTPConnection(place.hostname, _port(place))
        client.set_tunnel(parts.hostname, _port(parts), proxy_key(proxy))
        client.sock = _Timed(connection, until)
        client._tunnel()  # type: ignore[attr-defined]
    stack.enter_context(_shut_at(connection, until))
    connection.settimeout(_seconds_left(until))
    context = ssl.create_default_context()
    return stack.enter_context(closing(context.wrap_socket(connection, server_hostname=parts.hostname)))


@contextmanager
def ended_at(until: float, end: Callable[[], None]) -> Iterator[None]:
    """`end` is called when the time comes (`time.monotonic`), unless the block is through by then."""
    timer = threading.Timer(max(0.01, until - time.monotonic()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def _shut_at(connection: socket.socket, until: float) -> Iterator[None]:
    """Shut the connection when the time comes: inside OpenSSL, records without content are read on and on while more arrive."""
    _seconds_left(until)
    with connection.dup() as own:

        def shut() -> None:
            with suppress(OSError):  # it has ended by itself
                own.shutdown(socket.SHUT_RDWR)

        with ended_at(until, shut):
            yield


def _connect_to_host(host: str, port: int, until: float, connect_seconds: float) -> socket.socket:
    trouble: OSError = OSError(f"{host} has no address")
    soon = min(until, time.monotonic() + connect_seconds)
    for family, kind, protocol, _, address in resolve(host, port, soon):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_seconds_left(soon))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            connection.close()
            trouble = error
    if isinstance(trouble, TimeoutError) and time.monotonic() < until:
        raise ConnectionError(f"no connection within {connect_seconds:g} s")
    raise trouble


def resolve(host: str, port: int, until: float) -> list[Any]:
    """The addresses of a name. The system's own look-up knows no deadline, so it is left behind in a thread where it takes too long."""
    with suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_seconds_left(until))
    if not found:
        raise TimeoutError(f"the name {host} was not found in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return list(found[0])


def proxy_of(parts: SplitResult) -> SplitResult | None:
    """The environment's proxy for an address."""
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    place = urllib.request.getproxies().get(parts.scheme, "")
    return urlsplit(place if "://" in place else f"http://{place}") if place else None


def proxy_key(proxy: SplitResult) -> dict[str, str]:
    """The header that names this user to a proxy, where its address names one."""
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
