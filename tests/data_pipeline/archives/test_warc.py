"""Archives made by hand, whole and damaged, and the ones that others damaged on purpose, against hand-counted expectations."""

import gzip
import http.server
import io
import json
import struct
import threading
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.mining.prefilter import ARCHIVES
from data_pipeline.archives.archive_pages import read_pages
from data_pipeline.archives.indexed_pages import GAP, Row, read_records, requests
from data_pipeline.archives.named_inputs import expand
from data_pipeline.archives.record_pages import NoArchive
from data_pipeline.documents import stored_bytes
from data_pipeline.documents.document import Page
from verifiers.input_error import InputError


def record(url: str, content: bytes, *, kind: str = "response", length: int | str | None = None, media: str = "application/http") -> bytes:
    said = len(content) if length is None else length
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-01T00:00:00Z\r\nContent-Type: {media}\r\n"
    return f"{head}Content-Length: {said}\r\n\r\n".encode() + content + b"\r\n\r\n"


def answer(body: bytes, *headers: str, status: int = 200) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", "Content-Type: text/html", *headers, "", ""]).encode() + body


def page(number: int, *, size: int = 3000, length: int | str | None = None) -> bytes:
    return record(f"http://a.example/{number}", answer(f"<p>{number} {'x' * size}".encode()), length=length)


def read(path: Path, **options: int) -> tuple[list[Page], Counter[str]]:
    outcomes: Counter[str] = Counter()
    return list(read_pages(str(path), outcomes=outcomes, **options)), outcomes


def numbers(pages: list[Page]) -> list[int]:
    return [int(found.url.rsplit("/", 1)[1]) for found in pages]


def packed(kind: str, data: bytes) -> bytes:
    if kind == "gz":
        return gzip.compress(data)
    if kind == "lz4":
        import lz4.frame

        return bytes(lz4.frame.compress(data))
    if kind == "zst":
        import zstandard

        return zstandard.ZstdCompressor().compress(data)
    return data


KINDS = ("plain", "gz", "lz4", "zst")


@pytest.mark.parametrize("kind", KINDS)
def test_every_compression_gives_the_pages_and_offsets_at_which_they_can_be_read_again(tmp_path: Path, kind: str) -> None:
    members = [packed(kind, page(i)) for i in range(5)]
    file = tmp_path / "any.bin"
    file.write_bytes(b"".join(members))
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 1, 2, 3, 4]
    assert [found.origin.offset for found in pages] == [sum(map(len, members[:i])) for i in range(5)]
    assert outcomes == {"pages": 5}
    assert pages[2].body == b"<p>2 " + b"x" * 3000
    assert (pages[2].content_type, pages[2].origin.date) == ("text/html", "2024-05-01T00:00:00Z")
    assert numbers(read(file, start=pages[3].origin.offset)[0]) == [3, 4]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_an_archive_that_is_one_member_is_read_and_entered_in_the_middle(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "whole.warc.gz"
    file.write_bytes(packed(kind, b"".join(page(i) for i in range(50))))
    pages, outcomes = read(file)
    assert numbers(pages) == list(range(50))
    assert outcomes == {"pages": 50}
    assert len({found.origin.offset for found in pages}) == 50
    assert numbers(read(file, start=pages[30].origin.offset)[0]) == list(range(30, 50))


def test_a_dictionary_in_the_first_zstd_frame_is_used(tmp_path: Path) -> None:
    import zstandard

    samples = [page(i, size=i) for i in range(200)]
    dictionary = zstandard.train_dictionary(4000, samples)
    frames = [zstandard.ZstdCompressor(dict_data=dictionary).compress(sample) for sample in samples[:5]]
    for stored in (dictionary.as_bytes(), zstandard.compress(dictionary.as_bytes())):
        file = tmp_path / "dictionary.warc.zst"
        file.write_bytes(struct.pack("<II", 0x184D2A5D, len(stored)) + stored + b"".join(frames))
        pages, outcomes = read(file)
        assert numbers(pages) == [0, 1, 2, 3, 4]
        assert outcomes == {"pages": 5}
        assert numbers(read(file, start=pages[2].origin.offset)[0]) == [2, 3, 4]


@pytest.mark.parametrize("kind", ["gz", "lz4", "zst"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "garbage"])
def test_a_damaged_member_costs_itself(tmp_path: Path, kind: str, damage: str) -> None:
    import random

    noise = [bytes(random.Random(i).choices(b"abcdefghijklmnop", k=3000)) for i in range(4)]
    members = [packed(kind, record(f"http://a.example/{i}", answer(noise[i]))) for i in range(4)]
    wrong = bytearray(members[1])
    wrong[20:60] = b"\xff" * 40
    members[1] = {"flipped": bytes(wrong), "cut": members[1][:200], "garbage": b"garbage " * 9}[damage]
    file = tmp_path / "damaged.warc.gz"
    file.write_bytes(b"".join(members))
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 2, 3]
    assert outcomes["pages"] == 3
    assert outcomes["broken member"] == 1
    assert pages[1].origin.offset == len(members[0]) + len(members[1])
    assert pages[1].body == noise[2]


@pytest.mark.parametrize("kind", ["plain", "gz"])
@pytest.mark.parametrize("length", [50, 3500, 5000, 9000, 10**9])
def test_a_wrong_length_costs_no_other_record_and_not_its_own_either(tmp_path: Path, kind: str, length: int) -> None:
    file = tmp_path / "lying.warc"
    file.write_bytes(b"".join(packed(kind, page(i, length=length if i == 1 else None)) for i in range(4)))
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 2, 3] if length == 10**9 else [0, 1, 2, 3]
    assert all(found.body == f"<p>{number} {'x' * 3000}".encode() for found, number in zip(pages, numbers(pages), strict=True))
    assert outcomes - Counter(pages=9) == ({"too large": 1} if length == 10**9 else {"wrong length": 1})


@pytest.mark.parametrize("kind", ["plain", "gz"])
@pytest.mark.parametrize("length", [-5, 10**30, "abc", "", "1e3"])
def test_a_length_that_is_none_costs_its_record(tmp_path: Path, kind: str, length: int | str) -> None:
    file = tmp_path / "lying.warc"
    file.write_bytes(b"".join(packed(kind, page(i, length=length if i == 1 else None)) for i in range(4)))
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 2, 3]
    assert outcomes == {"pages": 3, "bad length": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_before_a_cut_is_kept(tmp_path: Path, kind: str) -> None:
    data = b"".join(packed(kind, page(i)) for i in range(3))
    file = tmp_path / "cut.warc"
    file.write_bytes(data[: -len(packed(kind, page(2))) // 2])
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 1]
    assert outcomes["truncated record"] + outcomes["truncated archive"] >= 1


def test_a_record_that_lacks_its_last_bytes_is_kept_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "cut.warc"
    file.write_bytes((page(0) + page(1))[:-100])
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 1]
    assert outcomes == {"pages": 2, "truncated record": 1}


def test_lines_between_records_and_endless_headers_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "junk.warc"
    file.write_bytes(page(0) + b"junk\n" * 5000 + page(1) + b"WARC/1.0\r\n" + b"X: y\r\n" * 50_000 + page(2))
    pages, outcomes = read(file)
    assert numbers(pages) == [0, 1, 2] or numbers(pages) == [0, 2]  # junk after a record may pass for its end
    assert numbers(pages)[-1] == 2
    assert outcomes["header too long"] == 1


def test_only_pages_come_out_and_the_rest_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "mixed.warc"
    records = [record("", b"software: x\r\n", kind="warcinfo"), record("http://a.example/0", b"GET / HTTP/1.1\r\n\r\n", kind="request")]
    records += [
        record("dns:a.example", b"20240501 a.example 1.2.3.4", media="text/dns"),
        record("http://a.example/9", b"x", kind="strange"),
    ]
    records += [record("http://a.example/1", answer(b"", status=301)), record("http://a.example/2", answer(b"<p>"))]
    records += [record("http://a.example/3", "text π".encode(), kind="conversion", media="text/plain")]
    records += [record("<http://a.example/with space/4>", b"<p>", kind="resource", media="text/html; charset=koi8-r")]
    file.write_bytes(b"".join(records))
    pages, outcomes = read(file)
    assert [(found.url, found.content_type, found.charset) for found in pages] == [
        ("http://a.example/2", "text/html", ""),
        ("http://a.example/3", "text/plain", "utf-8"),
        ("http://a.example/with space/4", "text/html", "koi8-r"),
    ]
    assert outcomes == {
        "pages": 3,
        "skipped: warcinfo": 1,
        "skipped: request": 1,
        "skipped: not http": 1,
        "skipped: status": 1,
        "skipped: other": 1,
    }


def chunked(*parts: bytes) -> bytes:
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def brotli(data: bytes) -> bytes:
    from fastwarc.stream_io import BrotliWriter

    kept = io.BytesIO()
    kept.close = lambda: None  # type: ignore[method-assign]
    with BrotliWriter(kept) as writer:
        writer.write(data)
    return kept.getvalue()


def test_bodies_are_unchunked_and_decompressed(tmp_path: Path) -> None:
    import zstandard

    raw = zlib.compressobj(wbits=-15)
    cases = [
        (chunked(b"he", b"llo"), ("Transfer-Encoding: chunked",)),
        (
            chunked(gzip.compress(b"hel"), gzip.compress(b"")[:0], b"")[:-5] + b"0\r\n\r\n",
            ("Transfer-Encoding: chunked", "Content-Encoding: gzip"),
        ),
        (gzip.compress(b"hello"), ("Content-Encoding: gzip",)),
        (zlib.compress(b"hello"), ("Content-Encoding: deflate",)),
        (raw.compress(b"hello") + raw.flush(), ("Content-Encoding: deflate",)),
        (brotli(b"hello"), ("Content-Encoding: br",)),
        (zstandard.compress(b"hello"), ("Content-Encoding: zstd",)),
        (zlib.compress(gzip.compress(b"hello")), ("Content-Encoding: gzip, deflate",)),
        (b"hello", ("Transfer-Encoding: chunked",)),
        (b"hello", ("Content-Encoding: gzip",)),
        (b"5\r\nhello\r\nzz", ("Transfer-Encoding: chunked",)),
        (b"ff\r\nhello", ("Transfer-Encoding: chunked",)),
        (gzip.compress(b"hello" * 1000)[:-12], ("Content-Encoding: gzip",)),
    ]
    file = tmp_path / "encoded.warc"
    file.write_bytes(b"".join(record(f"http://a.example/{i}", answer(body, *headers)) for i, (body, headers) in enumerate(cases)))
    pages, outcomes = read(file)
    bodies = [found.body for found in pages]
    assert bodies[0] == bodies[2] == bodies[3] == bodies[4] == bodies[5] == bodies[6] == bodies[7] == bodies[8] == bodies[9] == b"hello"
    assert bodies[1] == b"hel"
    assert bodies[10].startswith(b"hello")
    assert bodies[11] == b"hello"
    assert bodies[12].startswith(b"hellohello")
    assert (outcomes["not chunked"], outcomes["bad chunk"], outcomes["bad encoding"]) == (1, 2, 1)


def test_a_bomb_is_counted_and_never_held(tmp_path: Path) -> None:
    import tracemalloc

    import zstandard

    zeros = bytes(1 << 20)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()
    file = tmp_path / "bomb.warc"
    bodies = [(bomb, "gzip"), (zstandard.compress(bytes(100 << 20)), "zstd"), (gzip.compress(bomb), "gzip, gzip")]
    file.write_bytes(
        b"".join(record(f"http://a.example/{i}", answer(b, f"Content-Encoding: {name}")) for i, (b, name) in enumerate(bodies)) + page(9)
    )
    tracemalloc.start()
    pages, outcomes = read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers(pages) == [9]
    assert outcomes == {"pages": 1, "too large": 3}
    assert peak < 60e6


def test_a_page_of_two_hundred_megabytes_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    file = tmp_path / "huge.warc.gz"
    with gzip.open(file, "wb", compresslevel=1) as out:
        out.write(page(0))
        out.write(f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {200 << 20}\r\n\r\n".encode())
        for _ in range(200):
            out.write(bytes(1 << 20))
        out.write(b"\r\n\r\n" + page(2))
    tracemalloc.start()
    pages, outcomes = read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers(pages) == [0, 2]
    assert outcomes == {"pages": 2, "too large": 1}
    assert peak < 20e6


def test_arc_files_are_read_with_spaces_in_addresses_and_past_bad_lines(tmp_path: Path) -> None:
    body = answer(b"<p>hello")
    good = f"http://a.example/a b/1 1.2.3.4 20240501000000 text/html {len(body)}\n".encode() + body + b"\n"
    bad = b"http://a.example/2 1.2.3.4 20240501000000 text/html many\n" + body + b"\n"
    long = f"http://a.example/3 1.2.3.4 20240501000000 text/html {len(body) - 4}\n".encode() + body + b"\n"
    version = b"1 0 Someone\nURL IP-address Archive-date Content-type Archive-length\n\n"
    head = f"filedesc://x.arc 0.0.0.0 20240501000000 text/plain {len(version)}\n".encode() + version
    for name, data in (
        ("x.arc", head + good + bad + long + good),
        ("x.arc.gz", b"".join(map(gzip.compress, (head, good, bad, long, good)))),
    ):
        (tmp_path / name).write_bytes(data)
        pages, outcomes = read(tmp_path / name)
        assert [found.url for found in pages] == ["http://a.example/a b/1", "http://a.example/3", "http://a.example/a b/1"]
        assert [found.body for found in pages] == [b"<p>hello"] * 3
        assert pages[0].origin.date == "2024-05-01T00:00:00Z"
        assert outcomes == {"pages": 3, "skipped: warcinfo": 1, "bad length": 1, "wrong length": 1}


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4 nothing", b'{"url": 1}\n' * 100, gzip.compress(b"no archive" * 100, mtime=0)])
def test_a_file_that_is_no_archive_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.bin"
    file.write_bytes(content)
    with pytest.raises(NoArchive, match=r"other\.bin: is "):
        read(file)


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "gone.warc")


def test_every_shared_archive_has_the_outcome_counted_by_hand(data_dir: Path) -> None:
    folder = data_dir / "web" / "warc"
    assert {file.name for file in folder.iterdir()} == set(ARCHIVES)
    for name, (count, damages) in ARCHIVES.items():
        pages, outcomes = read(folder / name)
        found = {key: value for key, value in outcomes.items() if key != "pages" and not key.startswith("skipped")}
        assert (name, len(pages), found) == (name, count, damages)
        for one in pages:
            assert next(read_pages(str(folder / name), start=one.origin.offset, outcomes=Counter())) == one


def test_pages_are_those_that_fastwarc_finds(data_dir: Path) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    for name in ("dolma_sample-0000.warc.gz", "dolma_sample-0001.warc.gz", "resiliparse_warcfile.warc.lz4", "cc_whirlwind.warc.gz"):
        file = data_dir / "web" / "warc" / name
        with file.open("rb") as stream:
            kinds = WarcRecordType.response | WarcRecordType.resource
            records = ArchiveIterator(stream, record_types=kinds, auto_decode="all")
            theirs = [((one.headers["WARC-Target-URI"] or "").strip("<>"), one.stream_pos, one.reader.read()) for one in records]
        ours = [(one.url, one.origin.offset, one.body) for one in read(file)[0]]
        assert ours == theirs


def test_inputs_are_files_folders_globs_and_lists(tmp_path: Path) -> None:
    for name in ("b.warc.gz", "a.warc", "sub/c.arc", "pages/p.html", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    at = str(tmp_path)
    assert expand([at]) == [f"{at}/a.warc", f"{at}/b.warc.gz", f"{at}/sub/c.arc", at]
    assert expand([f"{at}/*.warc*", f"{at}/a.warc"]) == [f"{at}/a.warc", f"{at}/b.warc.gz"]
    (tmp_path / "warc.paths.gz").write_bytes(gzip.compress(b"crawl-data/x/1.warc.gz\n\na.warc\nhttps://b.example/2.warc.gz\n"))
    assert expand([f"{at}/warc.paths.gz"]) == [
        "https://data.commoncrawl.org/crawl-data/x/1.warc.gz",
        f"{at}/a.warc",
        "https://b.example/2.warc.gz",
    ]
    assert expand([f"{at}/warc.paths.gz"], base="https://m.example/")[0] == "https://m.example/crawl-data/x/1.warc.gz"
    for wrong in (f"{at}/gone", f"{at}/*.zip", f"{at}/pages/p.html/x"):
        with pytest.raises(InputError):
            expand([wrong])
    with pytest.raises(InputError):
        expand([])


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file by ranges, refuses every second request, and breaks off long answers."""

    data = b""
    asked: list[str]
    ranges = True

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("Range", ""))
        if len(self.asked) % 2:
            self.send_error(503)
            return
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        begin, end = (int(first), int(last or len(self.data) - 1)) if self.ranges else (0, len(self.data) - 1)
        part = self.data[begin : end + 1]
        self.send_response(206 if self.ranges else 200)
        self.send_header("Content-Length", str(len(part)))
        if self.ranges:
            self.send_header("Content-Range", f"bytes {begin}-{end}/{len(self.data)}")
        self.end_headers()
        self.wfile.write(part[:4000])
        if len(part) > 4000:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked, Handler.ranges = [], True
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}/x.warc.gz"
    serving.shutdown()
    serving.server_close()


def members() -> list[bytes]:
    import random

    return [gzip.compress(record(f"http://a.example/{i}", answer(random.Random(i).randbytes(3000)))) for i in range(5)]


def test_a_server_that_refuses_and_breaks_off_is_asked_again_from_there(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.data = b"".join(members())
    monkeypatch.setattr(
        "data_pipeline.archives.archive_pages.open_source", lambda path: stored_bytes.open_source(path, wait=lambda _: None)
    )
    outcomes: Counter[str] = Counter()
    assert numbers(list(read_pages(server, outcomes=outcomes))) == [0, 1, 2, 3, 4]
    assert outcomes == {"pages": 5}
    assert "bytes=4000-" in Handler.asked


def test_a_redirect_leads_neither_into_this_network_nor_to_another_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"crawl.example": "8.8.8.8", "other.example": "2606:4700::1111", "inner.example": "10.1.2.3", "lan.example": "192.168.0.7"}

    def resolve(name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (places.get(name, name), 0))]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    follow = stored_bytes._Redirects().redirect_request
    asked = urllib.request.Request("https://crawl.example/x.warc.gz")
    there = follow(asked, None, 302, "", {}, "http://other.example/x.warc.gz")
    assert there is not None
    assert there.full_url == "http://other.example/x.warc.gz"
    for inside in ("http://169.254.169.254/latest", "http://127.0.0.1:8080/", "https://inner.example/x", "http://[::1]/"):
        with pytest.raises(InputError, match="inside this network"):
            follow(asked, None, 302, "", {}, inside)
    with pytest.raises(InputError, match="no web address"):
        follow(asked, None, 302, "", {}, "ftp://other.example/x")
    assert follow(urllib.request.Request("http://lan.example/x"), None, 302, "", {}, "http://inner.example/x") is not None


def test_an_index_reads_its_records_by_ranges_and_no_more(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored = members()
    starts = [sum(map(len, stored[:i])) for i in range(5)]
    Handler.data = b"".join(stored)
    monkeypatch.setattr(
        "data_pipeline.archives.indexed_pages.open_source", lambda path: stored_bytes.open_source(path, wait=lambda _: None)
    )
    rows = [{"warc_filename": server, "warc_record_offset": starts[i], "warc_record_length": len(stored[i])} for i in (3, 1)]
    (tmp_path / "i.jsonl").write_text(
        "\n".join(map(json.dumps, [*rows, {"filename": server, "offset": -1, "length": "x"}])) + "\nnonsense\n"
    )
    outcomes: Counter[str] = Counter()
    pages = list(read_records(tmp_path / "i.jsonl", outcomes=outcomes))
    assert numbers(pages) == [1, 3]
    assert [found.origin.offset for found in pages] == [starts[1], starts[3]]
    assert outcomes == {"pages": 2, "bad index row": 2}
    assert Handler.asked[0] == f"bytes={starts[1]}-{starts[3] + len(stored[3]) - 1}"


def test_other_addresses_are_read_through_fsspec() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/mining/x.warc.gz", b"".join(members()))
    outcomes: Counter[str] = Counter()
    pages = list(read_pages("memory://mining/x.warc.gz", outcomes=outcomes))
    assert numbers(pages) == [0, 1, 2, 3, 4]
    assert numbers(list(read_pages("memory://mining/x.warc.gz", start=pages[3].origin.offset, outcomes=outcomes))) == [3, 4]
    with pytest.raises(InputError, match="cannot be read from byte 0"):
        list(read_pages("memory://mining/gone.warc.gz", outcomes=outcomes))


@pytest.mark.parametrize("kind", KINDS)
def test_any_damage_leaves_most_of_an_archive_and_raises_nothing(tmp_path: Path, kind: str) -> None:
    """Thirty archives with a few bytes changed, removed or added at random."""
    import random

    members = [packed(kind, record(f"http://a.example/{i}", answer(random.Random(i).randbytes(900).hex().encode()))) for i in range(20)]
    bodies = {random.Random(i).randbytes(900).hex().encode() for i in range(20)}
    chance = random.Random(kind)
    for _ in range(30):
        data = bytearray(b"".join(members))
        for _ in range(3):
            at = chance.randrange(20, len(data) - 20)
            data[at : at + chance.choice((0, 1, 9))] = chance.randbytes(chance.choice((0, 1, 9)))
        (tmp_path / "fuzz.warc.gz").write_bytes(data)
        pages, outcomes = read(tmp_path / "fuzz.warc.gz")
        whole = sum(found.body in bodies for found in pages)
        assert whole >= 20 - 6, (whole, outcomes)
        assert outcomes["pages"] == len(pages)


def test_near_rows_share_a_request_and_far_ones_do_not() -> None:
    rows = [Row("f", 0, 10), Row("f", 10 + GAP, 10), Row("f", 21 + 2 * GAP, 10)]
    assert list(requests(rows)) == [rows[:2], rows[2:]]


def test_csv_and_parquet_indexes_are_read_alike(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = [gzip.compress(page(i)) for i in range(3)]
    (tmp_path / "x.warc.gz").write_bytes(b"".join(stored))
    offset, length = len(stored[0]), len(stored[1])
    (tmp_path / "i.csv").write_text(f"url,filename,offset,length\nu,x.warc.gz,{offset},{length}\n")
    pq.write_table(
        pa.table({"warc_filename": ["x.warc.gz"], "warc_record_offset": [offset], "warc_record_length": [length]}), tmp_path / "i.parquet"
    )
    for name in ("i.csv", "i.parquet"):
        assert numbers(read(tmp_path / name)[0]) == [1]
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no row with filename"):
        read(tmp_path / "bad.csv")
