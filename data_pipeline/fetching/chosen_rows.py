"""The index's rows that a query wants, as a Parquet file in the order in which they are fetched, and what fetching them would move.

DuckDB does it, on disk where memory ends. Values are bound, never pasted into a query's text, which is put together of fixed pieces.
Filters on host, domain and crawl reach Parquet's statistics, so that of an index sorted by host (Common Crawl's is) little is read.

A row that makes no sense (no file or one outside the crawl's folder, an impossible offset or length) is not chosen.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.archives.indexed_pages import GAP
from data_pipeline.documents.addresses import normalise_url
from data_pipeline.documents.parquet_names import literal
from data_pipeline.fetching.fetch_query import FetchQuery, Place, three_letters
from data_pipeline.fetching.index_files import TABLE, TABLE_OF_URLS, IndexTable
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

LONGEST = 64 << 20
"""Bytes of one request. A file of the output is made of several, so that all connections have work."""
NEEDED = ("url", "warc_filename", "warc_record_offset", "warc_record_length")
_SENSIBLE = """
    warc_record_offset BETWEEN 0 AND 1000000000000000 AND warc_record_length BETWEEN 1 AND $largest
    AND warc_filename <> '' AND NOT contains(warc_filename, '://') AND NOT contains(warc_filename, '..')
    AND NOT starts_with(warc_filename, '/') AND length(warc_filename) < 1000"""
_UNDER = """(place.path = '/' OR address_path = place.path OR starts_with(address_path, place.folder))
    AND (place.parameter = '' OR list_contains(string_split(coalesce(address_query, ''), '&'), place.parameter))"""


@dataclass(frozen=True, slots=True)
class Volume:
    """What rows come to."""

    pages: int
    files: int
    """Archives of the crawl that hold them."""
    hosts: int
    bytes: int
    """Of the records, compressed as they are stored."""
    requests: int
    moved: int
    """Bytes that cross the wire: the records and the gaps that a request takes along."""


def write_chosen(table: IndexTable, query: FetchQuery, out: Path) -> None:
    """The rows that the query wants: url, digest, warc_filename, warc_record_offset, warc_record_length, by file and offset."""
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise InputError(f"{table.files[0]}: has no column {', '.join(missing)}; an index has Common Crawl's columns")
    _make_places(table, query.places)
    text, values = _matching(table, query)
    if query.unknown_hosts:
        text = _of_unknown_hosts(table, query, text, values)
    elif query.excluded:
        _make_excluded(table, query)
        text = f"SELECT * FROM ({text}) AS wanted ANTI JOIN excluded ON excluded.address = page_key(wanted.url)"
    spread = "md5(key || $sample), key, warc_filename, warc_record_offset"
    if query.pages_a_host or query.pages or query.unknown_hosts:
        values["sample"] = f" {query.random_seed}"
    if query.pages_a_host:
        values["a_host"] = query.pages_a_host
        text = f"SELECT * FROM ({text}) QUALIFY row_number() OVER (PARTITION BY host ORDER BY {spread}) <= $a_host"
    if query.pages:
        values["pages"] = query.pages
        text = f"SELECT * FROM ({text}) ORDER BY {spread} LIMIT $pages"
    final = "SELECT url, host, digest, warc_filename, warc_record_offset, warc_record_length"
    with atomic_path(out) as temporary:
        table.query(
            f"COPY ({final} FROM ({text}) ORDER BY warc_filename, warc_record_offset, url) TO $out (FORMAT parquet, COMPRESSION zstd)",
            {**values, "out": str(temporary)},
        )


def _matching(table: IndexTable, query: FetchQuery) -> tuple[str, dict[str, Any]]:
    """One capture of each address that meets the conditions."""
    has = table.columns.__contains__
    values: dict[str, Any] = {"largest": query.largest}
    conditions = [_SENSIBLE]
    if has("fetch_status"):
        conditions.append("fetch_status = 200")
    conditions.append("subset = 'warc'" if has("subset") else "NOT regexp_matches(warc_filename, '/(robotstxt|crawldiagnostics)/')")
    if query.crawls:
        values["crawls"] = list(query.crawls)
        of_name = "regexp_extract(warc_filename, 'crawl-data/([^/]+)/', 1)"
        conditions.append(f"{'crawl' if has('crawl') else of_name} IN (SELECT unnest($crawls))")
    if query.languages:
        _need(table, "content_languages", "languages")
        values["languages"] = [three_letters(language) for language in query.languages]
        conditions.append("split_part(content_languages, ',', 1) IN (SELECT unnest($languages))")
    if query.mime and (has("content_mime_detected") or has("content_mime_type")):
        values["mime"] = [kind.lower() for kind in query.mime]
        names = ", ".join(f"nullif({name}, '')" for name in ("content_mime_detected", "content_mime_type") if has(name))
        conditions.append(f"lower(split_part(coalesce({names}), ';', 1)) IN (SELECT unnest($mime))")
    key = "url_surtkey" if has("url_surtkey") else "url"
    newest = ", ".join([*(["fetch_time DESC NULLS LAST"] if has("fetch_time") else []), "warc_filename DESC", "warc_record_offset"])
    host = "url_host_name" if has("url_host_name") else _HOST_OF_URL
    columns = f"url, coalesce({key}, url) AS key, coalesce({host}, '') AS host, {_text(table, 'content_digest')} AS digest, "
    columns += "warc_filename, warc_record_offset::BIGINT AS warc_record_offset, warc_record_length::BIGINT AS warc_record_length"
    where = " AND ".join(f"({condition})" for condition in conditions)
    once = f"QUALIFY row_number() OVER (PARTITION BY coalesce({key}, url) ORDER BY {newest}) = 1"
    parts = [f"SELECT * FROM {join} WHERE {where}" for join in _joins(table, query.places, host)]
    return f"SELECT {columns} FROM ({' UNION ALL '.join(parts)}) {once}", values


def _joins(table: IndexTable, places: tuple[Place, ...], host: str) -> list[str]:
    """The index, or what lies in the places: a join for hosts, one for domains, one for paths of any host, each on a sorted column.

    Joins and not EXISTS: of these DuckDB makes filters that reach the file's statistics.
    """
    if not places:
        return [TABLE]
    path, query = _text(table, "url_path", _PATH_OF_URL), _text(table, "url_query", _QUERY_OF_URL)
    pages = f"(SELECT *, {path} AS address_path, {query} AS address_query FROM {TABLE})"
    found = []
    if any(place.host and not place.below for place in places):
        found.append(f"{pages} SEMI JOIN hosts AS place ON {host} = place.host AND {_UNDER}")
    if any(place.below for place in places):
        _need(table, "url_host_registered_domain", "domains")
        found.append(f"{pages} SEMI JOIN domains AS place ON url_host_registered_domain = place.host AND {_UNDER}")
    if any(not place.host for place in places):
        found.append(f"{pages} SEMI JOIN anywhere AS place ON {_UNDER}")
    return found


_HOST_OF_URL = r"regexp_extract(lower(url), '^[a-z]+://(?:[^/@]*@)?([^/:?#]+)', 1)"
_BARE_HOST = f"regexp_replace({_HOST_OF_URL}, '^www\\.', '')"
_PATH_OF_URL = r"regexp_extract(url, '^[a-zA-Z]+://[^/?#]*([^?#]*)', 1)"
_QUERY_OF_URL = r"regexp_extract(url, '^[^?#]*\?([^#]*)', 1)"


def _text(table: IndexTable, column: str, instead: str = "''") -> str:
    return f"coalesce({column}::VARCHAR, '')" if column in table.columns else instead


def _need(table: IndexTable, column: str, what: str) -> None:
    if column not in table.columns:
        raise InputError(f"{table.files[0]}: has no column {column}, so that no {what} can be chosen by it; leave them out")


def _spellings(host: str) -> tuple[str, str]:
    bare = host.removeprefix("www.")
    return bare, f"www.{bare}"


def _make_places(table: IndexTable, places: tuple[Place, ...]) -> None:
    rows: dict[str, set[tuple[str, str, str, str]]] = {"hosts": set(), "domains": set(), "anywhere": set()}
    for place in places:
        path, _, parameter = place.path.partition("?")
        bare = path.rstrip("/") or "/"
        kind = "domains" if place.below else "hosts" if place.host else "anywhere"
        for host in _spellings(place.host) if kind == "hosts" else (place.host,):
            rows[kind].add((host, bare, bare.rstrip("/") + "/", parameter))
    for kind, of_kind in rows.items():
        table.connection.execute(f"CREATE TEMP TABLE {kind} (host VARCHAR, path VARCHAR, folder VARCHAR, parameter VARCHAR)")
        if of_kind:
            table.connection.executemany(f"INSERT INTO {kind} VALUES (?, ?, ?, ?)", sorted(of_kind))


def _make_excluded(table: IndexTable, query: FetchQuery) -> None:
    """The addresses that are there already, of the hosts that are asked for: the others cannot be asked for again."""
    table.connection.create_function("page_key", normalise_url, ["VARCHAR"], "VARCHAR")
    where = ""
    if query.places and all(place.host for place in query.places):
        bare = _BARE_HOST
        where = f"WHERE {bare} IN (SELECT host FROM hosts) OR EXISTS (SELECT 1 FROM domains WHERE ends_with('.' || {bare}, '.' || host))"
    table.query_files(
        f"CREATE TEMP TABLE excluded AS SELECT DISTINCT page_key(url) AS address FROM {TABLE_OF_URLS} {where}",
        list(query.excluded),
    )


def _of_unknown_hosts(table: IndexTable, query: FetchQuery, text: str, values: dict[str, Any]) -> str:
    """The rows of the hosts with the least hashes among those that no excluded file has a page of."""
    table.connection.execute("CREATE TEMP TABLE known (host VARCHAR)")
    if query.excluded:
        table.query_files(f"INSERT INTO known SELECT DISTINCT {_BARE_HOST} FROM {TABLE_OF_URLS}", list(query.excluded))
    values |= {"unknown": query.unknown_hosts, "enough": max(1, query.pages_a_host)}
    return f"""
        WITH matching AS MATERIALIZED ({text}), chosen AS (
            SELECT host FROM matching WHERE host <> '' GROUP BY host HAVING count(*) >= $enough
            AND regexp_replace(host, '^www\\.', '') NOT IN (SELECT host FROM known WHERE host IS NOT NULL)
            ORDER BY md5(host || $sample), host LIMIT $unknown)
        SELECT * FROM matching SEMI JOIN chosen USING (host)"""


def volume_of(table: IndexTable, chosen: Path) -> Volume:
    """What the rows of `write_chosen` come to, requests joined as they will be (but for the ends of the output's files)."""
    found = table.connection.execute(
        """
        WITH placed AS (
            SELECT *, warc_record_offset - max(warc_record_offset + warc_record_length) OVER (
                PARTITION BY warc_filename ORDER BY warc_record_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS gap
            FROM read_parquet($chosen, hive_partitioning = false))
        SELECT count(*), count(DISTINCT warc_filename), count(DISTINCT host), coalesce(sum(warc_record_length), 0),
            count(*) FILTER (gap IS NULL OR gap > $gap), coalesce(sum(gap) FILTER (gap BETWEEN 0 AND $gap), 0)
        FROM placed""",
        {"chosen": literal(str(chosen)), "gap": GAP},
    ).fetchone()
    pages, files, hosts, size, requests, gaps = map(int, found or (0,) * 6)
    return Volume(pages, files, hosts, size, requests, size + gaps)
