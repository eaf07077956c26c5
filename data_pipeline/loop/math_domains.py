"""Which domains are about mathematics, and which of their paths: how the loop finds seed pages that the classifier missed.

DeepSeekMath (arXiv:2402.03300, section 2.1) calls a domain mathematical when more than 10 % of its pages were collected, lets people
mark the URL paths inside it that hold mathematics (mathoverflow.net/questions), and adds the uncollected pages under them to the seed.
Here the paths are proposed: the page paths of a domain form a tree, and going down from its root the first folder whose pages were
mostly collected is taken. Higher is better, since the uncollected pages are the gain; a folder below the bar, and one with a sub-folder
of which next to nothing was collected, is opened, so that `/questions` is found without `/users`. What lies below the bar but above the
domain's own is proposed too, not accepted: a person can turn it on, or anything off, in `patterns.json`.

A pattern is a host and a prefix of whole path segments, or of a path and one query parameter (`/viewtopic.php?f=5`: forums keep their
boards there). No regular expressions: a person must be able to see what one matches. Left out: subdomains are domains of their own.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

DEPTH = 6  # path segments looked at: deeper folders hold too few pages to judge, and a hostile URL has thousands
EXAMPLES = 3
TELLING = 8  # pages of which a mathematical folder would hardly ever show so few
PARAMETERS = 8  # query parameters looked at
BOARDS = frozenset({"f", "fid", "forum", "forumid", "board", "cat", "category", "c", "section", "tag"})
"""Query parameters that name the part of a site."""


class Visit(NamedTuple):
    """A page of the pool as domains see it."""

    host: str
    url: str
    collected: bool


@dataclass(frozen=True, slots=True)
class Domain:
    host: str
    pages: int
    collected: int
    mathematical: bool

    @property
    def share(self) -> float:
        return self.collected / self.pages


@dataclass(frozen=True, slots=True)
class Pattern:
    """A place in a domain: `path` is "/" (all of it), a folder "/questions/", a page "/showthread.php" or one with a parameter."""

    host: str
    path: str
    pages: int
    collected: int
    accept: bool
    examples: tuple[str, ...] = ()
    """Uncollected pages under it: what accepting it would add."""

    @property
    def share(self) -> float:
        return self.collected / self.pages if self.pages else 0.0


def is_mathematical(host: str, pages: int, collected: int, *, more_than: float = 0.10, least_pages: int = 3) -> bool:
    """DeepSeekMath's rule: more than this share of the pages was collected; and there are enough pages to tell."""
    return bool(host) and pages >= least_pages and collected > more_than * pages


@dataclass(slots=True)
class _Node:
    pages: int = 0
    collected: int = 0
    examples: list[str] = field(default_factory=list)
    children: dict[str, "_Node"] = field(default_factory=dict)

    def add(self, visit: Visit) -> None:
        self.pages += 1
        self.collected += visit.collected
        if not visit.collected and len(self.examples) < EXAMPLES:
            self.examples.append(visit.url)


def propose_patterns(visits: Iterable[Visit], *, share: float = 0.5, pages: int = 3, least_share: float = 0.10) -> Iterator[Pattern]:
    """The patterns of mathematical domains, whose visits come domain by domain; one domain's tree is in memory at a time.

    `accept` where at least `share` of `pages` or more pages was collected; those with more than `least_share` are proposed without it.
    The visits' order inside a domain decides the examples and nothing else.
    """
    for host, of_domain in groupby(visits, key=lambda visit: visit.host):
        tree = _Node()
        for visit in of_domain:
            node = tree
            node.add(visit)
            for step in path_steps(visit.url):
                node = node.children.setdefault(step, _Node())
                node.add(visit)
        yield from _descend(host, "/", tree, share, pages, least_share)


def _descend(host: str, path: str, node: _Node, share: float, pages: int, least_share: float) -> Iterator[Pattern]:
    """The highest accepted folders below a node; where there is none, the node itself if a person might want it. Depth: DEPTH."""
    if node.pages < pages:
        return
    taken = node.collected >= share * node.pages and not _is_mixed(node, least_share)
    below: list[Pattern] = []
    if not taken:
        for name, child in sorted(node.children.items()):
            below += _descend(host, _join_step(path, name), child, share, pages, least_share)
    if taken or (not any(found.accept for found in below) and node.collected > least_share * node.pages):
        yield Pattern(host, path, node.pages, node.collected, taken, tuple(node.examples))
    else:
        yield from below


def _is_mixed(node: _Node, least_share: float) -> bool:
    """Whether a folder directly below is about something else: enough pages to tell, and next to none of them collected."""
    return any(child.pages >= TELLING and child.collected <= least_share * child.pages for child in node.children.values())


def _join_step(path: str, name: str) -> str:
    return path.rstrip("/") + name


def path_steps(url: str) -> Iterator[str]:
    """The path of a URL as the steps of the tree: "/questions/", "/12/", "/why"; a page's query parameter is its last step."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an address no browser would open either
        return
    names = [name for name in parts.path.split("/")[: DEPTH + 2] if name]
    folders = names if parts.path.endswith("/") else names[:-1]
    for name in folders[:DEPTH]:
        yield f"/{name}/"
    if len(names) > len(folders) and len(folders) < DEPTH:
        yield f"/{names[-1]}"
        board = _board(parts.query)
        if board:
            yield board


def _board(query: str) -> str:
    """The parameter that names the part of a site: the first whose name is a board's (`f`, `forum`, `cat`...); "" without one."""
    for parameter in query.split("&", PARAMETERS)[:PARAMETERS]:
        name, _, value = parameter.partition("=")
        if name.lower() in BOARDS and value:
            return f"?{name}={value}"
    return ""


def pattern_paths(url: str) -> Iterator[str]:
    """Every pattern path that covers a URL, from "/" down."""
    path = "/"
    yield path
    for step in path_steps(url):
        path = _join_step(path, step)
        yield path


def accepted_paths(patterns: Iterable[Pattern]) -> Mapping[str, frozenset[str]]:
    """The accepted paths by host: what `covers` looks a page up in."""
    found: dict[str, set[str]] = defaultdict(set)
    for pattern in patterns:
        if pattern.accept:
            found[pattern.host].add(pattern.path)
    return {host: frozenset(places) for host, places in found.items()}


def covers(places: Mapping[str, frozenset[str]], host: str, url: str) -> bool:
    """Whether a page lies under an accepted pattern."""
    under = places.get(host)
    return under is not None and any(path in under for path in pattern_paths(url))


def write_patterns(patterns: Iterable[Pattern], path: Path) -> tuple[int, int]:
    """`patterns.json`, one pattern a line, so that a person can edit `accept` and a diff shows it; how many, and how many are accepted."""
    return _write_list("patterns", patterns, path)


def read_patterns(path: Path) -> list[Pattern]:
    """The patterns of a round, perhaps edited. A person may add one with only host, path and accept. Raises InputError."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["patterns"]
        return [_pattern(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a patterns file ({error!r:.120}); each entry needs host, path and accept = true or false") from error


def _pattern(row: Mapping[str, Any]) -> Pattern:
    host, path, accept = row["host"], row["path"], row["accept"]
    if not isinstance(host, str) or not isinstance(path, str) or not isinstance(accept, bool) or not path.startswith("/"):
        raise ValueError(f"{row!r:.80}")
    examples = tuple(str(url) for url in row.get("examples", ()))
    return Pattern(host, path, int(row.get("pages", 0)), int(row.get("collected", 0)), accept, examples)


def write_domains(domains: Iterable[Domain], path: Path) -> tuple[int, int]:
    """`domains.json`, one domain a line; how many, and how many of them are mathematical."""
    return _write_list("domains", domains, path)


def _write_list(name: str, entries: Iterable[Pattern | Domain], path: Path) -> tuple[int, int]:
    """How many entries, and how many of them are accepted, or mathematical."""
    count = taken = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{{"{name}": [')
        for count, entry in enumerate(entries, start=1):
            taken += entry.mathematical if isinstance(entry, Domain) else entry.accept
            file.write(",\n" if count > 1 else "\n")
            file.write(json.dumps({**asdict(entry), "share": round(entry.share, 4)}, ensure_ascii=False))
        file.write("\n]}\n")
    return count, taken


def read_domains(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of `write_domains`, one after the other."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith('{"host"'):
                yield json.loads(line.rstrip().removesuffix(","))


def mathematical_hosts(path: Path) -> frozenset[str]:
    return frozenset(row["host"] for row in read_domains(path) if row["mathematical"])
