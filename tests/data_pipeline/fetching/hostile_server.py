"""A server of files by ranges that does to a client what servers do, and counts what the client does to it."""

import email.utils
import http.server
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar


@dataclass
class Seen:
    """What the server saw."""

    asked: list[tuple[float, str, str]] = field(default_factory=list)
    """Time, path and range of every request."""
    refused: list[tuple[float, float]] = field(default_factory=list)
    """When an answer asked for rest, and until when."""
    open: set[socket.socket] = field(default_factory=set)
    most: int = 0
    """Connections at the same time; one that the client has closed is none, whether or not its thread has noticed."""
    moved: int = 0
    lock: Any = field(default_factory=threading.Lock)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: ClassVar[Path]
    seen: ClassVar[Seen]
    script: ClassVar[Iterator[str]]
    elsewhere: ClassVar[str] = ""

    def setup(self) -> None:
        super().setup()
        with self.seen.lock:
            self.seen.open.add(self.connection)
            self.seen.most = max(self.seen.most, sum(not _closed_by_client(one) for one in self.seen.open))

    def finish(self) -> None:
        with self.seen.lock:
            self.seen.open.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        with self.seen.lock:
            deed = "fine" if self.path.startswith("/moved/") else next(self.script, "fine")
            self.seen.asked.append((time.monotonic(), self.path, self.headers.get("Range", "")))
        file = self.folder / self.path.partition("?")[0].removeprefix("/moved/").lstrip("/")
        if not file.is_file():
            self._say(404)
            return
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        size = file.stat().st_size
        with file.open("rb") as stored:
            stored.seek(int(first))
            part = stored.read(int(last) - int(first) + 1)
        getattr(self, "_" + deed.partition(" ")[0])(deed.partition(" ")[2], int(first), part, size, file)

    def _fine(self, _: str, first: int, part: bytes, size: int, file: Path) -> None:
        if not part:
            self._say(416)
            return
        self._say(206, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{size}"}, part)

    def _refuse(self, said: str, *_: Any) -> None:
        """`503`, `429 1` (after a second), `503 date` (a date two seconds on)."""
        status, _, after = said.partition(" ")
        now = time.monotonic()
        headers = {}
        if after == "date":
            headers = {"Retry-After": email.utils.formatdate(int(time.time()) + 2, usegmt=True)}
            now += int(time.time()) + 2 - time.time()
        elif after:
            headers = {"Retry-After": after}
            now += float(after)
        if after:
            self.seen.refused.append((time.monotonic(), now))
        self._say(int(status), headers, b"go away")

    def _short(self, _: str, first: int, part: bytes, size: int, file: Path) -> None:
        headers = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{size}", "Content-Length": str(len(part))}
        self._say(206, headers, part[: len(part) // 2])
        self.close_connection = True

    def _elsewhere(self, _: str, first: int, part: bytes, size: int, file: Path) -> None:
        """A wrong range."""
        self._say(206, {"Content-Range": f"bytes {first + 7}-{first + 6 + len(part)}/{size}"}, part)

    def _whole(self, _: str, first: int, part: bytes, size: int, file: Path) -> None:
        self._say(200, {}, file.read_bytes())

    def _encoded(self, _: str, first: int, part: bytes, size: int, file: Path) -> None:
        self._say(206, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{size}", "Content-Encoding": "gzip"}, part)

    def _wrong(self, _: str, first: int, part: bytes, size: int, file: Path) -> None:
        """Right in everything but the bytes."""
        middle = len(part) // 2
        self._fine("", first, part[:middle] + bytes([part[middle] ^ 1]) + part[middle + 1 :], size, file)

    def _stall(self, said: str, first: int, part: bytes, size: int, file: Path) -> None:
        """Says nothing, or stops in the middle, until the client goes."""
        if said:
            self._say(206, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{size}", "Content-Length": str(len(part))}, part[:50])
        self._until_gone()

    def _drip(self, said: str, first: int, part: bytes, size: int, file: Path) -> None:
        """A header that never ends."""
        self.wfile.write(b"HTTP/1.1 206 Partial Content\r\n")
        for number in range(1000):
            if self._gone(0.1):
                break
            try:
                self.wfile.write(f"X-{number}: x\r\n".encode())
            except OSError:
                break
        self.close_connection = True

    def _redirect(self, said: str, *_: Any) -> None:
        """To itself, or to the place that is said."""
        self._say(302, {"Location": said or f"/moved{self.path}"}, b"moved")

    def _break(self, *_: Any) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _until_gone(self) -> None:
        for _ in range(300):
            if self._gone(0.1):
                break
        self.close_connection = True

    def _gone(self, seconds: float) -> bool:
        return _closed_by_client(self.connection, seconds)

    def _say(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        with self.seen.lock:
            self.seen.moved += len(body)

    def log_message(self, *_: object) -> None:
        pass


def _closed_by_client(connection: socket.socket, seconds: float = 0.0) -> bool:
    try:
        ready, _, _ = select.select([connection], [], [], seconds)
        return bool(ready) and connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:  # its own thread has read meanwhile; without DONTWAIT this one would wait, under the lock of all
        return False
    except (OSError, ValueError):
        return True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that goes in the middle of an answer is what these tests are about."""


@contextmanager
def serving(folder: Path, script: Sequence[str] = ()) -> Iterator[tuple[str, Seen]]:
    """The address of a server of `folder` whose answers are those of the script, one a request, and then fine."""
    seen = Seen()
    handler = type("Scripted", (Handler,), {"folder": folder, "seen": seen, "script": iter(script)})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
