"""Servers that drip, flood, lie and redirect, each on a real socket: every question ends by its deadline, with one exception."""

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from rollout.engines.server_http import JsonServer, ServerFault
from verifiers.http_post import HttpAnswer, HttpFault, Trouble, ask, read_json
from verifiers.problem import make_problem
from verifiers.proofs.lean_kimina import LeanKimina
from verifiers.proofs.lean_transport import LeanFailure, LeanTimeout
from verifiers.response_text import judge
from verifiers.sandboxes import fusion_sandbox
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.running_program import Limits, Outcome
from verifiers.verdict import Status

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SLACK = 8.0  # seconds past the deadline, for the threads of a busy machine; what drips goes on for a minute
Script = Callable[[socket.socket], None]


def drip(begin: bytes, *pieces: bytes, pause: float = 0.02) -> Script:
    """`begin` at once, then the pieces over and over, with a pause before each."""

    def script(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            for piece in pieces:
                time.sleep(pause)
                connection.sendall(piece)

    return script


def flood(begin: bytes, piece: bytes) -> Script:
    """`begin`, then the piece over and over, as fast as it goes."""
    many = piece * max(1, 60_000 // len(piece))
    return drip(begin, many, pause=0.0005)


def silent(connection: socket.socket) -> None:
    time.sleep(30)


def say(data: bytes) -> Script:
    return lambda connection: connection.sendall(data)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _is_whole(request: bytes) -> bool:
    head, found, body = request.partition(b"\r\n\r\n")
    size = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    return bool(found) and len(body) >= int(size[1] if size else 0)


class Server:
    """Reads each request to its end, unless it is deaf, and does what the script says. Unread bytes would make its leaving a reset."""

    def __init__(self, script: Script, *, deaf: bool = False) -> None:
        self.script, self.deaf = script, deaf
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.answer, args=(self.listener.accept()[0],), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b""
            while not (self.deaf or _is_whole(request)):
                piece = connection.recv(1 << 16)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            self.script(connection)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(script: Script, **options: Any) -> Server:
        servers.append(Server(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.listener.close()


def question(url: str, seconds: float = 0.7, **options: Any) -> HttpAnswer:
    """Asks with a deadline, and is there a second after it at the latest."""
    begin = time.monotonic()
    try:
        return ask(url, b"{}", **{"headers": {}, "until": begin + seconds, "longest": 1 << 20} | options)
    finally:
        assert time.monotonic() - begin < seconds + SLACK


SLOW = {
    "nothing": silent,
    "a status line": drip(b"HTTP/1.1 2", b"0"),
    "a reason": drip(b"HTTP/1.1 200 ", b"O"),
    "a header": drip(OK + b"X: ", b"a"),
    "headers": drip(OK, b"X: a\r\n", pause=0.05),
    "100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue in pieces": drip(b"", *(bytes([byte]) for byte in b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a flood of 100 Continue": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue with headers": drip(b"HTTP/1.1 100 Continue\r\n", b"X: a\r\n", pause=0.05),
    "a chunk's size": drip(CHUNKED, b"0"),
    "a chunk's extension": drip(CHUNKED + b"1;", b"a"),
    "chunks": drip(CHUNKED, b"1\r\na\r\n"),
    "a chunk": drip(CHUNKED + b"ffff\r\n", b"a"),
    "a trailer": drip(CHUNKED + b"0\r\nX: ", b"a"),
    "trailers": drip(CHUNKED + b"0\r\n", b"X: a\r\n"),
    "a flood of trailers": flood(CHUNKED + b"0\r\n", b"X: a\r\n"),
    "a body of known length": drip(OK + b"Content-Length: 100000\r\n\r\n", b"a"),
    "a body without length": drip(OK + b"\r\n", b"a"),
    "nothing after the headers": lambda connection: (connection.sendall(OK + b"Content-Length: 5\r\n\r\n"), silent(connection))[1],
}


@pytest.mark.parametrize("name", SLOW)
def test_a_server_that_drips_is_left_at_the_deadline(serve: Any, name: str) -> None:
    with pytest.raises(HttpFault) as caught:
        question(serve(SLOW[name]).url)
    assert caught.value.kind is Trouble.LATE


@pytest.mark.parametrize(
    "script", [silent, drip(b"", b"\x16"), drip(b"\x16\x03\x03\x40\x00\x02", b"\0"), flood(b"", b"\x16\x03\x03\0\1\0")]
)
def test_a_tls_handshake_that_does_not_end_is_left_at_the_deadline(serve: Any, script: Script) -> None:
    with pytest.raises(HttpFault):
        question(serve(script, deaf=True).url.replace("http:", "https:"))


def test_a_body_that_the_server_does_not_read_is_left_at_the_deadline(serve: Any) -> None:
    begin = time.monotonic()
    with pytest.raises(HttpFault) as caught:
        ask(serve(silent, deaf=True).url, bytes(64 << 20), headers={}, until=begin + 0.7, longest=100)
    assert caught.value.kind is Trouble.LATE
    assert time.monotonic() - begin < 0.7 + SLACK


def test_a_connection_that_is_not_taken_is_left_at_the_deadline() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # its queue is full, and the next one is not answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(HttpFault) as caught:
            question(url)
        assert caught.value.kind is Trouble.LATE
        with pytest.raises(HttpFault, match=r"no connection within 0\.3 s") as caught:
            question(url, 5.0, connect_seconds=0.3)
        assert caught.value.kind is Trouble.UNREACHABLE


def test_a_name_that_is_not_found_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def slow(host: str, *rest: Any, **options: Any) -> Any:
        if host == "slow.example" and not options.get("flags"):
            time.sleep(20)
        return real(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(HttpFault, match="was not found in time"):
        question("http://slow.example/")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (flood(OK, b"X: a\r\n"), Trouble.NO_ANSWER), (flood(OK + b"X: ", b"a"), Trouble.NO_ANSWER), (flood(b"", b"a"), Trouble.NO_ANSWER),
        (flood(OK + b"\r\n", b"a"), Trouble.TOO_LONG), (flood(CHUNKED, b"1\r\na\r\n"), Trouble.TOO_LONG),
        (flood(CHUNKED + b"ffffffffffffffffffffff\r\n", b"a"), Trouble.TOO_LONG),
        (say(OK + b"Content-Length: 2000000\r\n\r\n"), Trouble.TOO_LONG),
        (flood(CHUNKED + b"1;", b"a"), Trouble.NO_ANSWER), (flood(CHUNKED, b"0"), Trouble.NO_ANSWER),
        (say(OK + b"Content-Length: 5\r\n\r\nabcd"), Trouble.UNREACHABLE), (say(CHUNKED + b"5\r\nabcd"), Trouble.UNREACHABLE),
        (say(CHUNKED + b"zz\r\nabcd"), Trouble.UNREACHABLE), (say(CHUNKED + b"-5\r\nabcd"), Trouble.UNREACHABLE),
        (say(b""), Trouble.UNREACHABLE), (reset, Trouble.UNREACHABLE), (say(b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n"), Trouble.NO_ANSWER),
        (say(b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n"), Trouble.NO_ANSWER), (say(b"\0" * 100), Trouble.NO_ANSWER),
        (say(b"<html>hello</html>\r\n\r\n"), Trouble.NO_ANSWER),
    ],
)  # fmt: skip
def test_a_server_that_floods_breaks_off_or_says_what_is_no_http_is_one_exception(serve: Any, script: Script, kind: Trouble) -> None:
    with pytest.raises(HttpFault) as caught:
        question(serve(script).url, 20.0, longest=50_000)
    assert caught.value.kind is kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: 3\r\n", b"abcdef"), (b"Content-Length: \xb2\r\n", b"abc"), (b"Content-Length: -5\r\n", b"abc"), (b"", b"abc"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", b"abc"),
        (b"Transfer-Encoding: chunked\r\n", b"1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n"),
        (b"\xff\xfe: \xff\r\nContent-Length: 3\r\n", b"abc"),
    ],
)  # fmt: skip
def test_a_body_is_read_as_its_headers_say_where_they_say_something(serve: Any, headers: bytes, body: bytes) -> None:
    server = serve(say(OK + headers + b"\r\n" + body))
    assert question(server.url, 20.0) == HttpAnswer(200, b"abc")
    assert server.requests[0].startswith(b"POST / HTTP/1.1\r\n")


@pytest.mark.parametrize(("said", "seconds"), [(b"7", 7.0), (b"\xb2", 0.0), (b"9" * 401, 0.0), (b"-1", 0.0), (b"1e3", 0.0), (b"soon", 0.0)])
def test_an_error_is_an_answer_whatever_it_says_besides(serve: Any, said: bytes, seconds: float) -> None:
    begin = b"HTTP/1.1 429 No\r\nContent-Length: 100000\r\nRetry-After: " + said + b"\r\n\r\nbusy"
    answer = question(serve(drip(begin, b"!")).url, 20.0, error_seconds=0.3)
    assert (answer.status, answer.retry_after, answer.good) == (429, seconds, False)
    assert answer.body.startswith(b"busy")


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://h:port", "ftp://127.0.0.1", "http://", "http://127.0.0.1:1/a b", "//x", "http://\u00e9\0/"]
)
def test_what_is_no_address_is_one_exception(url: str) -> None:
    with pytest.raises(HttpFault):
        question(url, 20.0)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 401, b'{"usage": {"total": ' + b"7" * 401 + b"}}", b"1" * 5000, b"\xff\xfe{",
        b'"\xff"', b"-" + b"1" * 301, b"nul",
    ],
)  # fmt: skip
def test_json_that_cannot_be_held_is_one_exception(body: bytes) -> None:
    with pytest.raises(HttpFault) as caught:
        read_json(body)
    assert caught.value.kind is Trouble.NO_ANSWER


@pytest.mark.parametrize(
    "body", [b"[" + b"{}," * 200_000 + b"1]", b'{"a": [' + b"[]," * 200_000 + b"1]}", b"[" + b'{"a":[]},' * 200_000 + b"1]"]
)
def test_json_of_many_empty_parts_is_not_built(body: bytes) -> None:
    """Of 16 MB, half a gigabyte was made, long after the deadline."""
    with pytest.raises(HttpFault, match="too many objects"):
        read_json(body)


@pytest.mark.parametrize("text", ["[{" * 200_000, '\\"[[[{"' * 100_000, "\\" * 300_000 + "[" * 200_000, '"' * 200_001 + "[{" * 200_000])
def test_brackets_in_a_string_are_no_parts(text: str) -> None:
    """What a program printed at a server may be nothing but brackets, and that is no failure of ours."""
    assert read_json(json.dumps({"stdout": text}).encode()) == {"stdout": text}


def test_long_digits_in_a_string_are_no_number() -> None:
    assert read_json(b'["' + b"1" * 5000 + b'", 12]') == ["1" * 5000, 12]


# --- the four clients ------------------------------------------------------------------------------------------------------------


def ask_judge(url: str) -> Any:
    verdict = judge.verify(make_problem("6 * 7?", "42"), "It is 42.", endpoint=url, model="m", cache=False, timeout=0.7, attempts=1)
    assert verdict.score is None
    return verdict.status


def ask_lean(url: str) -> Any:
    with pytest.raises((LeanTimeout, LeanFailure)) as caught:
        LeanKimina(url, api_key="secret", first_pause=5.0).elaborate("", "x", "#print axioms x", time.monotonic() + 0.7)
    return caught.type


def ask_engine(url: str) -> Any:
    with pytest.raises(ServerFault) as caught:
        JsonServer(url, key="secret", pauses=()).ask("/v1/completions", {}, timeout=0.7)
    assert "\n" not in str(caught.value)
    return caught.value.status


def ask_sandbox(url: str) -> Any:
    sandbox = object.__new__(RemoteSandbox)
    sandbox._url = f"{url}/run_code"
    return sandbox.run("print(1)", limits=Limits(wall=0.2)).status


CLIENTS = {"judge": ask_judge, "lean": ask_lean, "engine": ask_engine, "sandbox": ask_sandbox}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion_sandbox, "_GRACE", 0.5)
    monkeypatch.setenv("RECKON_JUDGE_API_KEY", "secret")
    monkeypatch.delenv("http_proxy", raising=False)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", SLOW)
def test_no_client_waits_longer_than_its_time(serve: Any, quick: None, client: str, name: str) -> None:
    begin = time.monotonic()
    said = CLIENTS[client](serve(SLOW[name]).url)
    assert time.monotonic() - begin < 0.7 + SLACK
    assert said == {"judge": Status.TIMEOUT, "lean": LeanTimeout, "engine": None, "sandbox": Outcome.SANDBOX_ERROR}[client]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"usage": ' + b"9" * 401 + b"}", b"\xff", b'{"choices": 1' + b"0" * 401 + b"}"])
def test_no_client_raises_for_json_that_cannot_be_held(serve: Any, quick: None, client: str, body: bytes) -> None:
    said = CLIENTS[client](serve(say(OK + b"\r\n" + body)).url)
    assert said == {"judge": Status.CRASH, "lean": LeanFailure, "engine": None, "sandbox": Outcome.SANDBOX_ERROR}[client]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_no_key_travels_to_another_host(serve: Any, quick: None, client: str, status: int) -> None:
    other = serve(say(OK + b"\r\n{}"))
    told = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {other.url}/x\r\nContent-Length: 0\r\n\r\n"
    server = serve(say(told.encode()))
    said = CLIENTS[client](server.url)
    assert said == {"judge": Status.CRASH, "lean": LeanFailure, "engine": status, "sandbox": Outcome.SANDBOX_ERROR}[client]
    assert other.requests == []
    assert len(server.requests) == 1
    assert (b"secret" in server.requests[0]) == (client != "sandbox")


def test_a_proxy_of_the_environment_is_used_by_who_allows_it(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(say(OK + b"Content-Length: 2\r\n\r\n{}"))
    monkeypatch.setenv("http_proxy", f"http://me:word@127.0.0.1:{proxy.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert question("http://judge.example/v1/x?y", 20.0).body == b"{}"
    assert proxy.requests[0].startswith(b"POST http://judge.example/v1/x?y HTTP/1.1\r\n")
    assert b"\r\nHost: judge.example\r\n" in proxy.requests[0]
    assert b"Proxy-Authorization: Basic bWU6d29yZA==\r\n" in proxy.requests[0]
    with pytest.raises(HttpFault):
        question("http://127.0.0.1:9/", 20.0, proxies=False)
    monkeypatch.setenv("https_proxy", proxy.url)
    with pytest.raises(HttpFault):  # it says yes to CONNECT, and then does not speak TLS
        question("https://judge.example/", 20.0)
    assert proxy.requests[-1].startswith(b"CONNECT judge.example:443 HTTP/1.")


def test_usage_of_the_judge_is_told_where_it_is_a_count(serve: Any, quick: None) -> None:
    content = json.dumps({"answer": "42", "score": 1})
    usage = '{"prompt_tokens": 1' + "0" * 250 + ', "completion_tokens": -3}'
    body = f'{{"choices": [{{"message": {{"content": {json.dumps(content)}}}}}], "usage": {usage}}}'
    url = serve(say(OK + b"\r\n" + body.encode())).url
    verdict = judge.verify(make_problem("6 * 7?", "42"), "It is 42.", endpoint=url, model="m", cache=False)
    assert (verdict.score, dict(verdict.parts)) == (1.0, {"calls": 1.0})


@pytest.mark.parametrize("logprob", ["NaN", "1" + "0" * 250, '"low"', "null", "[]"])
def test_a_probability_that_is_none_is_no_verdict(serve: Any, quick: None, logprob: str) -> None:
    top = f'[{{"token": "yes", "logprob": {logprob}}}]'
    body = f'{{"choices": [{{"logprobs": {{"content": [{{"top_logprobs": {top}}}]}}}}]}}'
    url = serve(say(OK + b"\r\n" + body.encode())).url
    verdict = judge.verify(make_problem("6 * 7?", "42"), "It is 42.", endpoint=url, model="m", cache=False, mode="logprobs", attempts=1)
    assert verdict.status is (Status.RIGHT if logprob.startswith("1") else Status.CRASH)


def test_tls_is_checked_and_spoken(serve: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def script(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            request = b""
            while not request.endswith(b"{}"):  # closing before all is read would reset the connection
                request += secure.recv(1 << 16)
            secure.sendall(OK + b"Content-Length: 2\r\n\r\nhi")
            secure.recv(1)

    url = serve(script, deaf=True).url.replace("http:", "https:")
    with pytest.raises(HttpFault, match="CERTIFICATE_VERIFY_FAILED"):
        question(url, 20.0)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert question(url, 20.0).body == b"hi"
