"""JSON over HTTP to one server: time-outs for every wait, retries with a growing pause, and questions that can be called off.

Each question is a connection of its own: nothing is left half read for the next one, and a lost connection is that question's alone.
What is retried is what may pass: a connection that is refused or lost, half an answer, 429, and 5xx. What is not: a server that took
the question and has not answered it at the time-out, whatever it says meanwhile (`http_post.py`). Proxies of the environment are not
used.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from rollout.interruption import raise_if_interrupted
from verifiers.http_post import HttpAnswer, HttpFault, Trouble, ask, json_headers, read_json, with_retries
from verifiers.input_error import InputError

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_GLANCE = 1.0  # seconds between looks at whether the run was asked to stop
CONNECT_SECONDS = 10.0
MESSAGE_LENGTH = 300
LONGEST = 16 << 20  # bytes of an answer
_ERROR_SECONDS = 5.0


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
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            good, self.port = parts.scheme in ("http", "https") and bool(parts.hostname), parts.port
        except ValueError:  # a port that is none, a bracket that is not closed
            parts, good, self.port = urlsplit(""), False, None
        if not good:
            raise InputError(f"{url!r} is not the address of a server; give one such as http://127.0.0.1:8000")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/').removesuffix('/v1')}"
        self.pauses = tuple(pauses)
        self._headers = json_headers(key or "")

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
        longest: int = LONGEST,
    ) -> Any:
        """The answer, of `longest` bytes at most, None where it has no body. GET without a `body`, else POST. Raises ServerFault.

        `errors_pass`: whether a 5xx may be a passing one; where it says what is wrong with the question, retries only cost time.
        `answer`: False where what comes back is no JSON and nothing of use.
        """
        calls, value = calls or Calls(), None

        def ask_once() -> HttpAnswer:
            nonlocal value
            reply = self._post_once(path, body, timeout, calls, longest)
            value = read_json(reply.body) if reply.good and reply.body and answer else None
            return reply

        passing = {429, *range(500, 600)} if errors_pass else {429}
        faults = (Trouble.UNREACHABLE, Trouble.NO_ANSWER)
        outcome, tries, _ = with_retries(ask_once, self.pauses if retry else (), statuses=passing, faults=faults, wait=calls.wait)
        if isinstance(outcome, HttpFault):
            said = {
                Trouble.LATE: f"did not answer {path} within {timeout:g} s",
                Trouble.UNREACHABLE: f"cannot be reached ({outcome})",
                Trouble.TOO_LONG: f"answered {path} with more than {longest >> 20} MB",
                Trouble.NO_ANSWER: f"answered {path} with something that is not JSON",
            }[outcome.kind]
        elif outcome.good:
            return value
        else:
            said = f"answered {path} with status {outcome.status}: {_error_message(outcome.body)}"
        often = f" ({tries} times)" if tries > 1 else ""
        raise ServerFault(f"{self.url} {said}{often}", status=None if isinstance(outcome, HttpFault) else outcome.status)

    def ask_each(
        self, path: str, bodies: Sequence[Mapping[str, Any]], *, timeout: float, at_once: int, longest: Callable[[Any], int]
    ) -> Generator[tuple[int, Any], None, None]:
        """(index, answer) of each body, as they come; `at_once` of them at a time. To be closed: what is still asked is called off.

        `longest`: the bytes that the answer to a body may have.
        """
        calls = Calls()
        pool = ThreadPoolExecutor(max(1, min(at_once, len(bodies))))
        try:
            told = {"timeout": timeout, "calls": calls}
            asked = {pool.submit(self.ask, path, body, longest=longest(body), **told): index for index, body in enumerate(bodies)}
            left = set(asked)
            while left:
                raise_if_interrupted()  # an interruption ends the wait in a thread too
                arrived, left = wait(left, timeout=_GLANCE, return_when=FIRST_COMPLETED)
                for done in arrived:
                    yield asked[done], done.result()
        finally:
            calls.call_off()
            pool.shutdown(cancel_futures=True)

    def _post_once(self, path: str, body: Mapping[str, Any] | None, timeout: float, calls: Calls, longest: int) -> HttpAnswer:
        data = None if body is None else json.dumps(body).encode()
        return ask(
            self.url + path, data, headers=self._headers, until=time.monotonic() + timeout, longest=longest, proxies=False,
            connect_seconds=CONNECT_SECONDS, error_seconds=_ERROR_SECONDS, holding=calls.holding,
        )  # fmt: skip


def _error_message(data: bytes) -> str:
    """What an error's body says, in one line."""
    try:
        text = str(read_json(data)["error"]["message"])
    except (HttpFault, ValueError, KeyError, TypeError, IndexError, RecursionError):
        text = data.decode(errors="replace")
    return " ".join(text.split())[:MESSAGE_LENGTH] or "no reason given"
