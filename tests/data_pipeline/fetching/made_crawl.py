"""A made crawl: WARC files with digests, and the rows of Common Crawl's columnar index for them, in its schema and partitions."""

import base64
import gzip
import hashlib
import random
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

CRAWL = "CC-MAIN-2026-39"
SCHEMA = pa.schema(
    [
        ("url_surtkey", pa.string()), ("url", pa.string()), ("url_host_name", pa.string()), ("url_host_tld", pa.string()),
        ("url_host_registered_domain", pa.string()), ("url_path", pa.string()), ("url_query", pa.string()),
        ("fetch_time", pa.timestamp("ms")), ("fetch_status", pa.int16()), ("content_digest", pa.string()),
        ("content_mime_type", pa.string()), ("content_mime_detected", pa.string()), ("content_charset", pa.string()),
        ("content_languages", pa.string()), ("warc_filename", pa.string()), ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()), ("warc_segment", pa.string()),
    ]
)  # fmt: skip


class Capture(NamedTuple):
    url: str
    language: str = "eng"
    mime: str = "text/html"
    status: int = 200
    time: int = 1_780_000_000_000
    archive: str = "0"
    crawl: str = CRAWL


class Made(NamedTuple):
    folder: Path
    """Holds `crawl-data/` as a server of the crawl does."""
    index: Path
    bodies: dict[str, bytes]
    """The payload of each address, as last made."""


def member(url: str, body: bytes, *, digest: bytes | None = None) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    sha1 = base64.b32encode(digest or hashlib.sha1(body).digest()).decode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-09-20T00:00:00Z\r\n"
    head += f"WARC-Payload-Digest: sha1:{sha1}\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    return gzip.compress(head.encode() + http + b"\r\n\r\n", mtime=0)


def make_crawl(folder: Path, captures: list[Capture], *, size: int = 2000, gap: int = 0, group: int = 100) -> Made:
    """Pages of random text, so that they stay about as long when compressed; `gap` bytes between two records."""
    draw = random.Random(1)
    archives: dict[str, bytearray] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    bodies = {}
    for capture in captures:
        body = f"<html><body><h1>{capture.url}</h1><p>{draw.randbytes(size).hex()}</p></body></html>".encode()
        stored = member(capture.url, body)
        name = f"crawl-data/{capture.crawl}/segments/1/warc/{capture.archive}.warc.gz"
        archive = archives.setdefault(name, bytearray())
        archive += gzip.compress(b"WARC/1.0\r\nWARC-Type: request\r\nContent-Length: 0\r\n\r\n\r\n\r\n", mtime=0) + draw.randbytes(gap)
        rows.setdefault(capture.crawl, []).append(_row(capture, name, len(archive), len(stored), body))
        archive += stored
        bodies[capture.url] = body
    for name, data in archives.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for crawl, of_crawl in rows.items():
        place = folder / "cc-index" / "table" / "cc-main" / "warc" / f"crawl={crawl}" / "subset=warc"
        place.mkdir(parents=True, exist_ok=True)
        ordered = sorted(of_crawl, key=lambda row: row["url_surtkey"])
        pq.write_table(
            pa.Table.from_pylist(ordered, schema=SCHEMA), place / "part-00000.gz.parquet", compression="gzip", row_group_size=group
        )
    return Made(folder, folder / "cc-index", bodies)


def _row(capture: Capture, name: str, offset: int, length: int, body: bytes) -> dict[str, Any]:
    parts = urlsplit(capture.url)
    host = parts.hostname or ""
    query = f"?{parts.query}" if parts.query else ""
    return {
        "url_surtkey": ",".join(reversed(host.removeprefix("www.").split("."))) + ")" + parts.path + query,
        "url": capture.url, "url_host_name": host, "url_host_tld": host.rpartition(".")[2],
        "url_host_registered_domain": ".".join(host.split(".")[-2:]), "url_path": parts.path, "url_query": parts.query or None,
        "fetch_time": capture.time, "fetch_status": capture.status,
        "content_digest": base64.b32encode(hashlib.sha1(body).digest()).decode(),
        "content_mime_type": capture.mime, "content_mime_detected": capture.mime, "content_charset": "UTF-8",
        "content_languages": capture.language, "warc_filename": name, "warc_record_offset": offset, "warc_record_length": length,
        "warc_segment": "1",
    }  # fmt: skip
