"""JSON over HTTP to one server: time-outs for every wait, retries with a growing pause, and questions that can be called off.

Each question is a connection of its own: nothing is left half read for the next one, and a lost connection is that question's alone.
What is retried is what may pass: a connection that is refused or lost, half an answer, 429, and 5xx. What is not: a server that took
the question and says nothing until the time-out. The standard library's client suffices; proxies of the environment are not used.
"""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import urlsplit

from verifiers.input_error import InputError

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
CONNECT_SECONDS = 10.0
MESSAGE_LENGTH = 300


class ServerFault(InputError):
    """No answer, or none that is of use; begins with the server's address."""

    def __init__(self, text: str, *, status: int | None = None):
        """`status`: of HTTP, where the server answered with an error."""
        super().__init__(text)
        self.status = status


class CalledOff(Exception):
    """Another question of the same set failed, or whoever asked is gone."""


class Calls:
    """Questions asked together. Called off, they are cut, so that the server stops working on them."""

    def __init__(self) -> None:
        self._sockets: set[socket.socket] = set()
        self._off, self._lock = threading.Event(), threading.Lock()

    @contextlib.contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            if self._off.is_set():
                raise CalledOff
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def wait(self, seconds: float) -> None:
        if self._off.wait(seconds):
            raise CalledOff

    def call_off(self) -> None:
        with self._lock:
            self._off.set()
            for each in self._sockets:
                with contextlib.suppress(OSError):  # the other side was faster
                    each.shutdown(socket.SHUT_RDWR)


class JsonServer:
    """One server at a base URL, with or without a key."""

    def __init__(self, url: str, *, key: str | None = None, pauses: Sequence[float] = PAUSES):
        """`pauses`: seconds before each retry. Raises InputError for what is no URL."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            self.host, self.port = parts.hostname or "", parts.port
        except ValueError:  # a port that is none
            self.host, self.port = "", None
        if parts.scheme not in ("http", "https") or not self.host:
            raise InputError(f"{url!r} is not the address of a server; give one such as http://127.0.0.1:8000")
        self.secure, self.prefix = parts.scheme == "https", parts.path.rstrip("/").removesuffix("/v1")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self.prefix}"
        self.pauses = tuple(pauses)
        self._headers = {"Content-Type": "application/json", "Connection": "close"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def ask(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout: float,
        retry: bool = True,
        errors_pass: bool = True,
        answer: bool = True,
        calls: Calls | None = None,
    ) -> Any:
        """The answer, None where it has no body. GET without a `body`, else POST. Raises ServerFault.

        `errors_pass`: whether a 5xx may be a passing one; where it says what is wrong with the question, retries only cost time.
        `answer`: False where what comes back is no JSON and nothing of use.
        """
        calls = calls or Calls()
        pauses = self.pauses if retry else ()
        for attempt in range(len(pauses) + 1):
            try:
                status, data = self._once(path, body, timeout, calls)
                if status < 300:
                    return json.loads(data) if data and answer else None
                passing = status == 429 or (status >= 500 and errors_pass)
                said = f"answered {path} with status {status}: {_message(data)}"
            except TimeoutError:
                status, passing, said = None, False, f"did not answer {path} within {timeout:g} s"
            except (OSError, http.client.HTTPException) as error:
                status, passing, said = (
                    None,
                    True,
                    f"cannot be reached ({getattr(error, 'strerror', None) or error or type(error).__name__})",
                )
            except ValueError:
                status, passing, said = None, True, f"answered {path} with something that is not JSON"
            if not passing or attempt == len(pauses):
                tries = f" ({attempt + 1} times)" if attempt else ""
                raise ServerFault(f"{self.url} {said}{tries}", status=status)
            calls.wait(pauses[attempt])
        raise AssertionError("the loop returns or raises")

    def ask_each(
        self, path: str, bodies: Sequence[Mapping[str, Any]], *, timeout: float, at_once: int
    ) -> Generator[tuple[int, Any], None, None]:
        """(index, answer) of each body, as they come; `at_once` of them at a time. To be closed: what is still asked is called off."""
        calls = Calls()
        pool = ThreadPoolExecutor(max(1, min(at_once, len(bodies))))
        try:
            asked = {pool.submit(self.ask, path, body, timeout=timeout, calls=calls): index for index, body in enumerate(bodies)}
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            calls.call_off()
            pool.shutdown(cancel_futures=True)

    def _once(self, path: str, body: Mapping[str, Any] | None, timeout: float, calls: Calls) -> tuple[int, bytes]:
        make = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        with contextlib.closing(make(self.host, self.port, timeout=min(CONNECT_SECONDS, timeout))) as connection:
            try:
                connection.connect()
            except TimeoutError:
                raise ConnectionError(f"no connection within {connection.timeout:g} s") from None
            connection.sock.settimeout(timeout)
            with calls.holding(connection.sock):
                data = None if body is None else json.dumps(body)
                connection.request("GET" if body is None else "POST", self.prefix + path, data, self._headers)
                with connection.getresponse() as response:
                    return response.status, response.read()


def _message(data: bytes) -> str:
    """What an error's body says, in one line."""
    try:
        found = json.loads(data)
        text = found["error"]["message"]
    except (ValueError, KeyError, TypeError):
        text = data.decode(errors="replace")
    return " ".join(str(text).split())[:MESSAGE_LENGTH] or "no reason given"
