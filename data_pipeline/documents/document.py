"""What travels through the mining pipeline: a page as it came, and the document made of it.

Two frozen types, one for each side of extraction. A `Page` is what an archive holds: bytes, nothing decided. A `Doc` is text with its
formulas in LaTeX, and it stays a `Doc` to the end: a stage returns it with a language, a score or a reason to drop it. A dropped
document travels on and later stages pass it by, so that every input has an outcome that can be counted and looked at (`--keep-rejects`).

A stage is a function from an iterator of documents to an iterator of documents. Most are one rule, `Doc -> reason or None`, made a
stage by `drop_if`. Nothing here reads files (`archive_pages.py`, `document_files.py`) or knows about processes (`extract_archives.py`).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page was found."""

    archive: str
    """Path or URL of the WARC, WET or ARC file."""
    offset: int
    """Byte offset of the record in the archive as stored: what a range request for it needs."""
    date: str = ""
    """When it was fetched, ISO 8601, as the archive says."""


@dataclass(frozen=True, slots=True)
class Page:
    """A response as an archive holds it."""

    url: str
    body: bytes
    """What follows the HTTP header, with transfer and content encodings undone."""
    content_type: str
    """Media type of the HTTP header in lower case ("text/html"); "" where there was none."""
    charset: str
    """Charset of the HTTP header; "" where there was none."""
    origin: Origin


@dataclass(frozen=True, slots=True)
class Doc:
    """A web document on its way through the pipeline."""

    id: str
    """Hash of where it came from: the same record is the same document in every run."""
    url: str
    text: str
    """Markdown; formulas are LaTeX between `$` or, displayed, `$$`."""
    origin: Origin
    title: str = ""
    language: str = ""
    """ISO 639 code; "" before the language stage."""
    formulas: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """How many formulas were found, by family ("script", "image", "mathml", "delimiter", ...)."""
    scores: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    """What classifiers and rules measured, by name ("math", "language", ...)."""
    dropped: str | None = None
    """Why it is not kept, `stage: reason`; None while it is."""

    def drop(self, reason: str) -> "Doc":
        return replace(self, dropped=reason)

    def score(self, name: str, value: float) -> "Doc":
        return replace(self, scores={**self.scores, name: value})


Stage = Callable[[Iterator[Doc]], Iterator[Doc]]
Rule = Callable[[Doc], str | None]


def doc_id(url: str, origin: Origin) -> str:
    """16 hex digits. The archive counts by its name without its folder, so that moving the files changes no id."""
    name = origin.archive.rstrip("/").rsplit("/", 1)[-1]
    return hashlib.blake2b(f"{name}\n{origin.offset}\n{url}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def drop_if(rule: Rule) -> Stage:
    """A stage of one rule: documents for which it gives a reason are dropped with it; dropped ones pass by unseen."""

    def stage(docs: Iterator[Doc]) -> Iterator[Doc]:
        for doc in docs:
            reason = None if doc.dropped else rule(doc)
            yield doc.drop(reason) if reason else doc

    return stage


def to_row(doc: Doc) -> dict[str, Any]:
    """A document as one flat JSON object: what every file of the pipeline holds."""
    return {
        "id": doc.id, "url": doc.url, "text": doc.text, "title": doc.title, "language": doc.language, "formulas": dict(doc.formulas),
        "scores": dict(doc.scores), "dropped": doc.dropped, "archive": doc.origin.archive, "offset": doc.origin.offset,
        "date": doc.origin.date,
    }  # fmt: skip


def to_line(doc: Doc) -> str:
    return json.dumps(to_row(doc), ensure_ascii=False, sort_keys=False) + "\n"
