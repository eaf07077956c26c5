"""`reckon mine fetch`: pages of Common Crawl, chosen by its index, into archives on this disk."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.archives.named_inputs import COMMON_CRAWL
from data_pipeline.commands.command_options import Parser
from data_pipeline.fetching.fetch_query import HTML_TYPES, FetchQuery, Place, listed
from data_pipeline.fetching.fetched_pages import Fetched, fetch_pages
from data_pipeline.fetching.pace import Limits
from verifiers.input_error import InputError

EVERY = 15.0
"""Seconds between lines of a log."""
BLINK = 0.5
QUIET = 10.0
"""Seconds without a whole answer that are worth a word."""
REASONS = 3


def fetch(arguments: Sequence[str]) -> int:
    parser = Parser("fetch", "Pages chosen by Common Crawl's columnar index, as WARC files like any other. Goes on when stopped.")
    parser.add_argument("index", nargs="+", help="Parquet files of the index, folders or addresses of them, or cc-index-table.paths.gz")
    parser.add_argument("--out", required=True, type=Path, help="folder of the archives")
    add_query(parser)
    parser.add_argument("--base", default=COMMON_CRAWL, help=f"address or folder of the index's file names (default: {COMMON_CRAWL})")
    parser.add_argument("--again", action="store_true", help="make files anew in which a record failed")
    values = parser.parse(arguments)
    query, limits = query_of(values), limits_of(values)
    if not (query.places or query.pages or query.pages_a_host):
        raise InputError(f"that is every page of {values.index[0]}; choose with --hosts, --domains or --paths, or bound it with --limit")
    progress = _Line(limits.patience)
    files = fetch_pages(values.index, query, values.out, limits=limits, base=values.base, watch=progress, again=values.again)
    print("\n".join(_summary(progress.last, files, values.out)))
    return 0


def add_query(parser: argparse.ArgumentParser) -> None:
    """What is wanted, and how politely."""
    several = {"nargs": "+", "default": [], "metavar": "NAME"}
    wanted = FetchQuery()
    polite = Limits()
    parser.add_argument("--hosts", help="hosts, or hosts with a path (mathoverflow.net/questions), or a .txt of them", **several)  # type: ignore[arg-type]
    parser.add_argument("--domains", help="registered domains with all their hosts (stackexchange.com)", **several)  # type: ignore[arg-type]
    parser.add_argument("--paths", help="only what lies below these paths, of the hosts and domains or of any", **several)  # type: ignore[arg-type]
    parser.add_argument("--languages", help="main languages of the pages, ISO 639 (en, deu)", **several)  # type: ignore[arg-type]
    parser.add_argument("--mime", help=f"media types (default: {' '.join(HTML_TYPES)})", **several | {"default": list(HTML_TYPES)})  # type: ignore[arg-type]
    parser.add_argument("--crawl", help="crawls (CC-MAIN-2026-39), where the index is of several", **several)  # type: ignore[arg-type]
    parser.add_argument("--without", help="Parquet files with a column url: pages that are there already", **several)  # type: ignore[arg-type]
    parser.add_argument("--limit", type=int, default=wanted.pages, help="pages at most, a sample spread over all (default: all)")
    parser.add_argument("--limit-a-host", type=int, default=wanted.pages_a_host, help="pages of each host at most (default: all)")
    parser.add_argument("--random-seed", type=int, default=wanted.random_seed, help="another sample (default: 0)")
    parser.add_argument("--connections", type=int, default=polite.connections, help=f"at once (default: {polite.connections})")
    parser.add_argument("--rate", type=float, default=polite.megabytes_a_second, help="megabytes a second at most (default: as they come)")
    parser.add_argument("--patience", type=float, default=polite.patience, help="seconds without an answer that end it (default: 900)")


def query_of(values: argparse.Namespace) -> FetchQuery:
    """Raises InputError for a value that no query can mean."""
    paths = [Place.of(path).path for path in listed(values.paths)]
    if any(not path.startswith("/") for path in values.paths if not path.endswith((".txt", ".lst"))):
        raise InputError(f"--paths {' '.join(values.paths)}: a path begins with /; a host goes under --hosts")
    named = [Place.of(name) for name in listed(values.hosts)] + [Place.of(name, below=True) for name in listed(values.domains)]
    if paths and any(place.path != "/" for place in named):
        raise InputError("a host with a path of its own and --paths; give paths in one way")
    if paths:
        named = [place._replace(path=path) for place in named or [Place("")] for path in paths]
    return FetchQuery(
        tuple(named), tuple(values.languages), tuple(values.mime), tuple(values.crawl), tuple(values.without), values.limit,
        values.limit_a_host, random_seed=values.random_seed,
    )  # fmt: skip


def limits_of(values: argparse.Namespace) -> Limits:
    return Limits(values.connections, values.rate, patience=values.patience)


class _Line:
    """Progress: a live line on a terminal, a line now and then in a log; on stderr, so that the output can be piped."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.last = Fetched(0, 0, 0, 0, 0)
        self._live = sys.stderr.isatty()
        self._start = self._said = time.monotonic()

    def __call__(self, fetched: Fetched) -> None:
        self.last = fetched
        now = time.monotonic()
        if now - self._said < (BLINK if self._live else EVERY):
            return
        self._said = now
        what = f"fetching: {fetched.rows:,} of {fetched.of:,} pages" if fetched.of else "reading the index"
        line = f"{what} | {fetched.moved / 1e6 / max(1e-3, now - self._start):,.1f} MB/s"
        line += f" | failed {sum(fetched.failed.values()):,}" if fetched.failed else ""
        line += f" | waited {fetched.paused:,.0f} s for the server" if fetched.paused else ""
        line += f" | no whole answer for {fetched.silent:,.0f} s, the end at {self._patience:,.0f}" if fetched.silent >= QUIET else ""
        print(f"\r\x1b[2K{line}" if self._live else line, end="" if self._live else "\n", file=sys.stderr, flush=True)


def _summary(fetched: Fetched, files: Sequence[Path], out: Path) -> list[str]:
    gaps = f"; {fetched.moved / 1e6:,.1f} MB moved" if fetched.moved else ""
    files_ = "1 archive" if len(files) == 1 else f"{len(files):,} archives"
    lines = [f"{fetched.pages:,} of {fetched.of:,} pages ({fetched.bytes / 1e6:,.1f} MB) in {files_} in {out}{gaps}"]
    if fetched.failed:
        shown = [f"{reason} {count:,}" for reason, count in list(fetched.failed.items())[:REASONS]]
        more = f", {len(fetched.failed) - REASONS} more reasons" if len(fetched.failed) > REASONS else ""
        lines.append(f"failed: {', '.join(shown)}{more}; each is in {out}/*.failed.jsonl, --again tries them again")
    if not fetched.of:
        lines.append("nothing in the index matches; a host is matched as it is spelled, a domain by its registered name")
    return lines
