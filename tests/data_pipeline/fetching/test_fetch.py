"""Pages fetched by an index from a server that misbehaves: every byte right, no more connections than allowed, every wait honoured."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from data_pipeline.archives.archive_pages import read_pages
from data_pipeline.commands.mine_command import command
from data_pipeline.fetching.fetch_query import FetchQuery, Place
from data_pipeline.fetching.fetched_pages import Fetched, fetch_pages, fetch_volume
from data_pipeline.fetching.pace import Limits
from tests.data_pipeline.fetching.hostile_server import serving
from tests.data_pipeline.fetching.made_crawl import Capture, Made, make_crawl
from verifiers.input_error import InputError

QUICK = Limits(connections=3, stall=0.4, patience=20, attempts=40)


@pytest.fixture
def crawl(tmp_path: Path) -> Made:
    """Two archives of 30 pages, with gaps too large to be read over."""
    pages = [Capture(f"https://a.example/q/{i}", archive=str(i % 2)) for i in range(60)]
    return make_crawl(tmp_path / "web", pages, gap=40_000)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own back-off in hundredths of a second; what a server asks for stays as it is."""
    for module in ("pace", "polite_client"):
        monkeypatch.setattr(f"data_pipeline.fetching.{module}.LONGEST_PAUSE", 0.02)
    monkeypatch.setattr("data_pipeline.fetching.chosen_rows.GAP", 20_000)
    monkeypatch.setattr("data_pipeline.archives.indexed_pages.GAP", 20_000)


def pages_of(files: list[Path]) -> dict[str, bytes]:
    outcomes: Counter[str] = Counter()
    found = {page.url: page.body for file in files for page in read_pages(str(file), outcomes=outcomes)}
    assert set(outcomes) <= {"pages"}, outcomes
    return found


def fetch(crawl: Made, out: Path, server: str, limits: Limits = QUICK, query: FetchQuery | None = None, **options: object) -> list[Path]:
    return fetch_pages([str(crawl.index)], query or FetchQuery(), out, limits=limits, base=server, **options)  # type: ignore[arg-type]


def test_a_hostile_server_gets_every_byte_out_of_itself_at_last(crawl: Made, tmp_path: Path, impatient: None) -> None:
    deeds = [
        "short",
        "elsewhere",
        "whole",
        "wrong",
        "stall",
        "stall half",
        "redirect",
        "break",
        "encoded",
        "refuse 500",
        "refuse 503",
        "fine",
    ]
    script = [*deeds, *deeds, "refuse 403", "refuse 429", "fine"]
    random.Random(3).shuffle(script)
    told: list[Fetched] = []
    with serving(crawl.folder, script) as (server, seen):
        files = fetch(crawl, tmp_path / "out", server, file_bytes=100_000, watch=told.append)
    assert pages_of(files) == crawl.bodies
    assert len(files) > 1
    assert seen.most <= QUICK.connections
    assert told[-1].failed == {}
    assert (told[-1].rows, told[-1].of, told[-1].pages, told[-1].files) == (60, 60, 60, len(files))
    with serving(crawl.folder) as (server, seen):
        plain = fetch(crawl, tmp_path / "plain", server, file_bytes=100_000, name="out", limits=Limits(connections=1))
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in plain]


@pytest.mark.parametrize("said", ["429 1", "503 date"])
def test_retry_after_holds_for_all_connections(crawl: Made, tmp_path: Path, impatient: None, said: str) -> None:
    with serving(crawl.folder, ["fine"] * 6 + [f"refuse {said}"] + ["fine"] * 6 + [f"refuse {said}"]) as (server, seen):
        files = fetch(crawl, tmp_path / "out", server)
    assert pages_of(files) == crawl.bodies
    assert len(seen.refused) == 2
    on_their_way = 0.1  # what was asked just before the refusal
    for refused, until in seen.refused:
        between = [asked for asked, _, _ in seen.asked if refused + on_their_way < asked < until - 0.02]
        assert between == []


def test_records_that_stay_wrong_are_listed_and_cost_only_themselves(crawl: Made, tmp_path: Path, impatient: None) -> None:
    archive = next(crawl.folder.rglob("1.warc.gz"))
    data = bytearray(archive.read_bytes())
    rows = [row for row in index_rows(crawl) if row["warc_filename"].endswith("/1.warc.gz")]
    data[rows[4]["warc_record_offset"] + 700] ^= 1
    data[rows[5]["warc_record_offset"]] ^= 1
    archive.write_bytes(data[: rows[-1]["warc_record_offset"] + 100])
    with serving(crawl.folder) as (server, _):
        files = fetch(crawl, tmp_path / "out", server)
        marker = json.loads((tmp_path / "out" / "out-00000.json").read_text())
        lost = [json.loads(line) for line in (tmp_path / "out" / "out-00000.failed.jsonl").read_text().splitlines()]
        assert {row["url"] for row in lost} == {rows[i]["url"] for i in (4, 5, -1)}
        assert {row["reason"] for row in lost} == {
            "broken gzip member",
            "no gzip member",
            f"the file ends at byte {archive.stat().st_size}",
        }
        assert (marker["rows"], marker["pages"]) == (60, 57)
        assert len(pages_of(files)) == 57
        archive.unlink()
        assert fetch(crawl, tmp_path / "out", server) == files  # done is done
        assert len(pages_of(fetch(crawl, tmp_path / "out", server, again=True))) == 30
    assert json.loads((tmp_path / "out" / "out-00000.json").read_text())["failed"] == {"HTTP 404": 30}


def index_rows(crawl: Made) -> list[dict[str, object]]:
    import pyarrow.parquet as pq

    return sorted(pq.read_table(crawl.index).to_pylist(), key=lambda row: (row["warc_filename"], row["warc_record_offset"]))


def test_a_digest_tells_a_page_of_another_time(crawl: Made, tmp_path: Path) -> None:
    """The bytes are a whole record of that address, and not the one that the index speaks of."""
    other = make_crawl(tmp_path / "other", [Capture(f"https://a.example/q/{i}", archive=str(i % 2)) for i in range(60)][::-1])
    archive = next(crawl.folder.rglob("0.warc.gz"))
    rows = [row for row in index_rows(crawl) if row["warc_filename"].endswith("/0.warc.gz")]
    wrong = next(row for row in index_rows(other) if row["url"] == rows[3]["url"])
    begin, length = rows[3]["warc_record_offset"], rows[3]["warc_record_length"]
    stored = (other.folder / wrong["warc_filename"]).read_bytes()[wrong["warc_record_offset"] :][: wrong["warc_record_length"]]
    data = archive.read_bytes()
    assert len(stored) <= length, "made to fit"
    archive.write_bytes(data[:begin] + stored + data[begin + len(stored) :])
    files = fetch(crawl, tmp_path / "out", str(crawl.folder))
    lost = json.loads((tmp_path / "out" / "out-00000.failed.jsonl").read_text())
    assert lost["url"] == rows[3]["url"]
    assert lost["reason"] in ("wrong digest", "digests of index and record differ", "more than one member")
    assert len(pages_of(files)) == 59


def test_redirects_lead_neither_inside_nor_in_circles(crawl: Made, tmp_path: Path, impatient: None) -> None:
    few = FetchQuery(places=(Place("a.example", "/q/1"), Place("a.example", "/q/2")))
    with serving(crawl.folder) as (other, other_seen):
        for number, place in enumerate((f"{other}/moved", "http://169.254.169.254", "http://[::1]:1", "ftp://files.example")):
            target = f"{place}/x"
            with serving(crawl.folder, [f"redirect {target}"] * 2) as (server, _):
                fetch(crawl, tmp_path / f"out{number}", server, query=few)
            failed = json.loads((tmp_path / f"out{number}" / f"out{number}-00000.json").read_text())["failed"]
            assert sum(failed.values()) == 2, failed
            assert all("refused" in reason or "no web address" in reason for reason in failed), failed
        assert other_seen.asked == []
        paths = [row["warc_filename"] for row in index_rows(crawl) if row["url"] in ("https://a.example/q/1", "https://a.example/q/2")]
        allowed = Limits(connections=1, inside=("127.0.0.1",))
        with serving(crawl.folder, [f"redirect {other}/moved/{path}" for path in paths]) as (server, _):
            assert len(pages_of(fetch(crawl, tmp_path / "allowed", server, query=few, limits=allowed))) == 2
        assert len(other_seen.asked) == 2
    with serving(crawl.folder, itertools.repeat("redirect /round/and/round")) as (server, _):  # type: ignore[arg-type]
        fetch(crawl, tmp_path / "round", server, query=few)
    assert json.loads((tmp_path / "round" / "round-00000.json").read_text())["failed"] == {"HTTP 404": 2}


def test_a_server_that_refuses_for_good_ends_the_run_and_the_next_goes_on(crawl: Made, tmp_path: Path, impatient: None) -> None:
    out = tmp_path / "out"
    with serving(crawl.folder, ["fine"] * 40 + ["refuse 503"] * 500) as (server, _):
        with pytest.raises(InputError, match=r"refuses with HTTP 503, for .* goes on"):
            fetch(crawl, out, server, limits=Limits(connections=2, patience=0.5), file_bytes=100_000)
        assert 1 <= len(list(out.glob("out-*.warc.gz"))) < 3
    with serving(crawl.folder, ["refuse 503 5000"]) as (server, _), pytest.raises(InputError, match="5,000 s of rest"):
        fetch(crawl, out, server, file_bytes=100_000)
    done = {file.name: file.stat().st_mtime_ns for file in out.glob("out-*.warc.gz")}
    with serving(crawl.folder) as (server, seen):
        files = fetch(crawl, out, server, file_bytes=100_000)
    assert pages_of(files) == crawl.bodies
    assert len(seen.asked) < 60
    assert {file.name: file.stat().st_mtime_ns for file in out.glob("out-*.warc.gz") if file.name in done} == done
    with pytest.raises(InputError, match="another query"):
        fetch(crawl, out, server, query=FetchQuery(pages=3))


def test_a_header_that_drips_is_cut(crawl: Made, tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_pipeline.fetching.polite_client._GRACE", 0.5)
    start = time.monotonic()
    with serving(crawl.folder, ["drip", "drip"]) as (server, _):
        assert pages_of(fetch(crawl, tmp_path / "out", server, limits=Limits(connections=2, slowest=1e9))) == crawl.bodies
    assert time.monotonic() - start < 10


def test_a_rate_is_kept(crawl: Made, tmp_path: Path) -> None:
    start = time.monotonic()
    with serving(crawl.folder) as (server, seen):
        fetch(crawl, tmp_path / "out", server, limits=Limits(connections=3, megabytes_a_second=2))
    assert time.monotonic() - start >= seen.moved / 2e6 * 0.9


def test_the_index_itself_is_read_politely_over_http_and_only_what_is_asked_of_it(tmp_path: Path, impatient: None) -> None:
    pages = [Capture(f"https://h{i // 10:04d}.example/p/{i}") for i in range(20_000)]
    crawl = make_crawl(tmp_path / "web", pages, size=2, group=2000)
    part = next(crawl.index.rglob("*.parquet"))
    (tmp_path / "web" / "cc-index-table.paths").write_text(
        str(part.relative_to(tmp_path / "web")) + "\ncc-index/x/subset=robotstxt/y.parquet\n"
    )
    query = FetchQuery(places=(Place("h0100.example"), Place("h0101.example", "/p/1011")))
    with serving(crawl.folder, ["refuse 503", "short", "fine", "break", "elsewhere"]) as (server, seen):
        address = f"{server}/{part.relative_to(crawl.folder)}"
        volume = fetch_volume([address], query, limits=QUICK)
        of_index = seen.moved
        files = fetch_pages([address], query, tmp_path / "out", limits=QUICK, base=server)
    assert volume.pages == len(pages_of(files)) == 11
    assert of_index < part.stat().st_size / 4
    assert seen.most <= QUICK.connections
    assert fetch_volume([str(tmp_path / "web" / "cc-index-table.paths")], query) == volume
    assert volume.requests == 1
    assert volume.moved >= volume.bytes > 0


@pytest.mark.parametrize(
    ("deed", "complaint"),
    [("refuse 503", "refuses with HTTP 503"), ("refuse 500", "HTTP 500; check the address"), ("refuse 404", "HTTP 404; check the address")],
)
def test_an_index_that_cannot_be_had_is_one_line(crawl: Made, impatient: None, deed: str, complaint: str) -> None:
    part = next(crawl.index.rglob("*.parquet")).relative_to(crawl.folder)
    for fine in (0, 1):
        with serving(crawl.folder, ["fine"] * fine + [deed] * 500) as (server, _), pytest.raises(InputError, match=complaint) as raised:
            fetch_volume([f"{server}/{part}"], FetchQuery(), limits=Limits(patience=0.5))
        assert "\n" not in str(raised.value)


@pytest.fixture
def sites(tmp_path: Path) -> Made:
    later = 1_780_000_000_000 + 3_600_000
    return make_crawl(
        tmp_path / "web",
        [
            Capture("https://math.example/questions/1"), Capture("https://math.example/questions/1", time=later, archive="9"),
            Capture("https://www.math.example/questions/2"), Capture("https://math.example/users/1"),
            Capture("https://math.example/questions"), Capture("https://math.example/questionsabout"),
            Capture("https://math.example/questions/3", status=404), Capture("https://math.example/questions/4", mime="application/pdf"),
            Capture("https://math.example/questions/5", language="deu,eng"),
            Capture("https://forum.site.example/viewtopic.php?f=5&t=1"), Capture("https://forum.site.example/viewtopic.php?f=6&t=2"),
            Capture("https://blog.site.example/a"), Capture("https://other.example/questions/7", crawl="CC-MAIN-2025-05"),
            Capture("https://other.example/o'clock%27;DROP"),
        ],
    )  # fmt: skip


ENGLISH = "math.example/questions/1 www.math.example/questions/2 math.example/questions"
FORUM = "forum.site.example/viewtopic.php?f=5&t=1 forum.site.example/viewtopic.php?f=6&t=2"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (FetchQuery(places=(Place("math.example", "/questions/"),)), f"{ENGLISH} math.example/questions/5"),
        (FetchQuery(places=(Place("math.example", "/questions/"),), languages=("en",)), ENGLISH),
        (FetchQuery(places=(Place("", "/questions"),), languages=("deu",)), "math.example/questions/5"),
        (FetchQuery(places=(Place("forum.site.example", "/viewtopic.php?f=5"),)), "forum.site.example/viewtopic.php?f=5&t=1"),
        (FetchQuery(places=(Place("site.example", "/", True),)), f"{FORUM} blog.site.example/a"),
        (FetchQuery(places=(Place("", "/questions"), Place("blog.site.example"), Place("math.example", "/questions/1"))),
         f"{ENGLISH} math.example/questions/5 other.example/questions/7 blog.site.example/a"),
        (FetchQuery(crawls=("CC-MAIN-2025-05",)), "other.example/questions/7"),
        (FetchQuery(mime=("application/pdf",)), "math.example/questions/4"),
        (FetchQuery(places=(Place("x') OR (true"),)), ""),
    ],
)  # fmt: skip
def test_what_a_query_chooses(sites: Made, tmp_path: Path, query: FetchQuery, wanted: str) -> None:
    files = fetch_pages([str(sites.index)], query, tmp_path / "out", base=str(sites.folder))
    found = pages_of(files)
    assert set(found) == {f"https://{address}" for address in wanted.split()}
    assert all(found[url] == sites.bodies[url] for url in found)  # the newest capture where there are two


def test_budgets_samples_and_what_is_there_already(sites: Made, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def chosen(name: str, **conditions: object) -> set[str]:
        files = fetch_pages([str(sites.index)], FetchQuery(**conditions), tmp_path / name, base=str(sites.folder))  # type: ignore[arg-type]
        return set(pages_of(files))

    every = chosen("all")
    three = chosen("three", pages=3)
    assert len(three) == 3
    assert three == chosen("again", pages=3)
    assert three < every
    assert chosen("other", pages=3, random_seed=1) != three
    assert Counter(url.split("/")[2] for url in chosen("hosts", pages_a_host=1)).most_common(1)[0][1] == 1
    pq.write_table(pa.table({"url": ["http://www.math.example/questions/1#top", "https://nowhere.example/"]}), tmp_path / "pool.parquet")
    left = chosen("left", places=(Place("math.example"),), excluded=(str(tmp_path / "pool.parquet"),))
    assert left == {url for url in every if "math.example" in url} - {"https://math.example/questions/1"}
    assert chosen("left_any", excluded=(str(tmp_path / "pool.parquet"),)) == every - {"https://math.example/questions/1"}


@pytest.mark.parametrize(
    ("index", "complaint"),
    [
        ("gone.parquet", "no such file"), ("text.parquet", "cannot be read"), ("columns.parquet", "has no column warc_filename"),
        (".", "no Parquet file"),
    ],
)  # fmt: skip
def test_a_wrong_index_is_one_line(tmp_path: Path, index: str, complaint: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "index"
    folder.mkdir()
    if index == "text.parquet":
        (folder / index).write_text("<html>no</html>")
    elif index == "columns.parquet":
        pq.write_table(pa.table({"url": ["x"]}), folder / index)
    with pytest.raises(InputError, match=complaint) as raised:
        fetch_pages([str(folder / index)], FetchQuery(), tmp_path / "out")
    assert "\n" not in str(raised.value)


def test_rows_of_an_index_that_lead_elsewhere_are_not_followed(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    crawl = make_crawl(tmp_path / "web", [Capture("https://a.example/1")])
    rows = index_rows(crawl)
    bad = [
        {**rows[0], "url_surtkey": str(i), "warc_filename": name}
        for i, name in enumerate(("../../secret", "http://inner/x", "/etc/passwd", ""))
    ]
    bad += [{**rows[0], "url_surtkey": "x", "warc_record_offset": -1}, {**rows[0], "url_surtkey": "y", "warc_record_length": 0}]
    pq.write_table(pa.Table.from_pylist([*rows, *bad], schema=pq.read_schema(next(crawl.index.rglob("*.parquet")))), tmp_path / "i.parquet")
    assert len(pages_of(fetch_pages([str(tmp_path / "i.parquet")], FetchQuery(), tmp_path / "out", base=str(crawl.folder)))) == 1
    assert json.loads((tmp_path / "out" / "selection.json").read_text())["volume"]["pages"] == 1


def test_rows_of_an_index_that_no_file_can_have_are_listed(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    crawl = make_crawl(tmp_path / "web", [Capture("https://a.example/1")])
    os.mkfifo(crawl.folder / "pipe")
    rows = index_rows(crawl)
    bad = [{**rows[0], "url_surtkey": name, "warc_filename": name} for name in ("a\0b", "pipe", ".", "x\ny")]
    bad += [{**rows[0], "url_surtkey": "far", "warc_record_offset": 10**15}]
    schema = pq.read_schema(next(crawl.index.rglob("*.parquet")))
    schema = schema.set(schema.get_field_index("warc_record_offset"), pa.field("warc_record_offset", pa.int64()))
    pq.write_table(pa.Table.from_pylist([*rows, *bad], schema=schema), tmp_path / "i.parquet")
    assert len(pages_of(fetch_pages([str(tmp_path / "i.parquet")], FetchQuery(), tmp_path / "out", base=str(crawl.folder)))) == 1
    assert len((tmp_path / "out" / "out-00000.failed.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("column", "values", "places", "complaint"),
    [
        ("fetch_status", ["x"], (), "Could not convert"),
        ("url_host_name", [5], (Place("a.example", "/"),), "cannot be read"),
        ("content_digest", [5], (), ""),
        ("content_digest", [b"\xff"], (), ""),
    ],
)
def test_columns_of_another_type_are_one_line_or_cost_nothing(column, values, places, complaint, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    crawl = make_crawl(tmp_path / "web", [Capture("https://a.example/1")])
    table = pq.read_table(next(crawl.index.rglob("*.parquet")), partitioning=None)
    table = table.set_column(table.column_names.index(column), column, pa.array(values))
    pq.write_table(table, tmp_path / "i.parquet")

    def fetched() -> list[Path]:
        return fetch_pages([str(tmp_path / "i.parquet")], FetchQuery(places=places), tmp_path / "out", base=str(crawl.folder))

    if complaint:
        with pytest.raises(InputError, match=complaint) as raised:
            fetched()
        assert "\n" not in str(raised.value)
    else:
        assert len(pages_of(fetched())) == 1


def test_killed_anywhere_it_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    crawl = make_crawl(tmp_path / "web", [Capture(f"https://a.example/{i}", archive=str(i % 4)) for i in range(120)], size=3000, gap=30_000)
    code = (
        "import sys; from pathlib import Path; from data_pipeline.fetching.fetched_pages import fetch_pages; import data_pipeline.archives."
        "indexed_pages as rows; from data_pipeline.fetching.fetch_query import FetchQuery; from data_pipeline.fetching.pace import Limits; "
        "rows.GAP = 10_000; fetch_pages([sys.argv[1]], FetchQuery(), Path(sys.argv[2]), base=sys.argv[3], file_bytes=100_000, "
        "limits=Limits(connections=2, megabytes_a_second=float(sys.argv[4])))"
    )

    def run(out: str, server: str, rate: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, str(crawl.index), str(tmp_path / out), server, rate])

    with serving(crawl.folder) as (server, seen):
        assert run("plain", server, "0").wait(60) == 0
        whole = len(seen.asked)
        for _ in range(3):
            before = len(list((tmp_path / "out").glob("out-*.json")))
            killed = run("out", server, "0.12")
            until = time.monotonic() + 30
            while len(list((tmp_path / "out").glob("out-*.json"))) < before + 1 and time.monotonic() < until:
                time.sleep(0.02)
            killed.send_signal(signal.SIGKILL)
            killed.wait(10)
        kept = len(list((tmp_path / "out").glob("out-*.json")))
        assert 3 <= kept < len(list((tmp_path / "plain").glob("plain-*.json")))
        begun = len(seen.asked)
        assert run("out", server, "0").wait(60) == 0
        assert len(seen.asked) - begun < whole
    names = [sorted(file.name.split("-", 1)[-1] for file in (tmp_path / out).iterdir()) for out in ("plain", "out")]
    assert names[0] == names[1]
    for file in (tmp_path / "plain").glob("plain-*"):
        assert file.read_bytes() == (tmp_path / "out" / file.name.replace("plain-", "out-")).read_bytes()
    assert pages_of(sorted((tmp_path / "out").glob("*.warc.gz"))) == crawl.bodies


def test_the_command_fetches_what_its_options_say(sites: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hosts.txt").write_text("# forums\nmath.example\n")
    out = tmp_path / "out"
    options = ["--base", str(sites.folder), "--hosts", str(tmp_path / "hosts.txt"), "--domains", "site.example"]
    assert command(["fetch", str(sites.index), "--out", str(out), *options, "--paths", "/questions", "/a", "--languages", "en"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("4 of 4 pages (")
    assert set(pages_of(sorted(out.glob("*.warc.gz")))) == {f"https://{url}" for url in f"{ENGLISH} blog.site.example/a".split()}
    for wrong in ([], ["--hosts", "a b"], ["--paths", "questions"], ["--languages", "english"], ["--hosts", "a.b/c", "--paths", "/d"]):
        with pytest.raises(InputError):
            command(["fetch", str(sites.index), "--out", str(out), *wrong])


def test_a_server_that_does_not_answer_is_told_of_while_it_is_waited_for(crawl: Made, tmp_path: Path, impatient: None) -> None:
    told: list[Fetched] = []
    with serving(crawl.folder, ["refuse 503"] * 5000) as (server, _), pytest.raises(InputError, match="give the same command again"):
        fetch(crawl, tmp_path / "out", server, Limits(connections=1, patience=2), watch=told.append)
    waited = [fetched.silent for fetched in told if fetched.of == 60 and not fetched.rows]
    assert len(waited) >= 2
    assert max(waited) > 1
