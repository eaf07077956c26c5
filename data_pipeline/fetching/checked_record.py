"""Is this the record that the index speaks of? One stored gzip member against what index and record say of it.

A member is right when it inflates to its end and not a byte beyond, is a WARC response of the index's address, is as long as its header
says, and its payload has the SHA-1 of the index's `content_digest` and of its own `WARC-Payload-Digest`, as far as there are such
(base 32 or hexadecimal). Crawlers disagree whether the payload of a chunked answer is what travelled or what it held: either will do. A
record that nobody gave a digest is right by its length and its gzip checksum.

Nothing here raises for what is wrong with a record. Left out: what stands in the page.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections import Counter

from data_pipeline.archives.archive_records import begins_warc, parse_headers
from data_pipeline.archives.http_response import dechunked

LARGEST = 64_000_000
"""Bytes of a record once inflated; what inflates to more is a bomb or no page."""
_HEADER, _END = 1 << 16, re.compile(rb"\r?\n\r?\n")
_DIGEST = re.compile(r"(?:sha-?1:)?([A-Z2-7]{32}|[0-9a-fA-F]{40})", re.IGNORECASE)


def wrong_with(member: bytes, url: str, digest: str) -> str:
    """Why these bytes are not the record of that address and digest; "" where they are. `digest` may be empty."""
    if not member.startswith(b"\x1f\x8b"):
        return "no gzip member"
    inflater = zlib.decompressobj(31)
    try:
        record = inflater.decompress(member, LARGEST)
    except zlib.error:
        return "broken gzip member"
    if not inflater.eof or inflater.unused_data:
        return "too large" if len(record) >= LARGEST else "broken gzip member" if not inflater.eof else "more than one member"
    if not begins_warc(record):
        return "no WARC record"
    end = _END.search(record, 0, _HEADER)
    if not end:
        return "no WARC record"
    headers = parse_headers(record[: end.end()])
    if headers.get(b"warc-type", b"").strip().lower() != b"response":
        return "no response record"
    if url and headers.get(b"warc-target-uri", b"").decode("utf-8", "replace").strip("<> \r\n") != url:
        return "another address"
    block = record[end.end() :]
    said = headers.get(b"content-length", b"").strip()
    if not said.isdigit() or int(said[:18]) > len(block) or block[int(said[:18]) :].strip():
        return "wrong length"
    own = headers.get(b"warc-payload-digest", b"").decode("latin-1")
    return _wrong_payload(block[: int(said)], [text for text in (digest, own) if text])


def _wrong_payload(block: bytes, digests: list[str]) -> str:
    wanted = {found for text in digests if (found := sha1_of(text)) is not None}
    if not wanted:
        return ""
    if len(wanted) > 1:
        return "digests of index and record differ"
    head = _END.search(block, 0, 1 << 18)
    body = block[head.end() :] if head else b""
    if hashlib.sha1(body).digest() in wanted:
        return ""
    chunked = head is not None and b"chunked" in parse_headers(block[: head.end()]).get(b"transfer-encoding", b"").lower()
    if chunked and hashlib.sha1(dechunked(body, Counter())).digest() in wanted:
        return ""
    return "wrong digest"


def sha1_of(text: str) -> bytes | None:
    """The bytes of a SHA-1 as it is written; None for another algorithm or nonsense, which nothing can be checked by."""
    found = _DIGEST.fullmatch(text.strip())
    if not found:
        return None
    try:
        return base64.b32decode(found[1].upper()) if len(found[1]) == 32 else bytes.fromhex(found[1])
    except (binascii.Error, ValueError):
        return None
