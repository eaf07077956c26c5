"""Which pages of Common Crawl's index are wanted: hosts, places in them, languages, crawls; how many, and which not again.

Conditions of different kinds hold together, values of one kind are alternatives. A place is a host and a path with all that lies below it,
by whole segments, as the loop's URL patterns have them; a path may end in one query parameter (`/viewtopic.php?f=5`). A host stands for
itself with and without `www.`. Of captures of one address the newest counts. Where more pages are wanted than are allowed, those with the
least hash of their address are taken: the same ones in every run, spread over everything that matches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data_pipeline.documents.addresses import host
from verifiers.input_error import InputError

HTML_TYPES = ("text/html", "application/xhtml+xml")
_CODES = (
    "af=afr ar=ara be=bel bg=bul bn=ben bs=bos ca=cat cs=ces cy=cym da=dan de=deu el=ell en=eng eo=epo es=spa et=est eu=eus fa=fas "
    "fi=fin fr=fra ga=gle gl=glg gu=guj he=heb hi=hin hr=hrv hu=hun hy=hye id=ind is=isl it=ita ja=jpn ka=kat kk=kaz kn=kan ko=kor "
    "la=lat lt=lit lv=lav mk=mkd ml=mal mn=mon mr=mar ms=msa nb=nor ne=nep nl=nld no=nor pa=pan pl=pol pt=por ro=ron ru=rus sk=slk "
    "sl=slv sq=sqi sr=srp sv=swe sw=swa ta=tam te=tel th=tha tl=tgl tr=tur uk=ukr ur=urd uz=uzb vi=vie zh=zho"
)
_ISO_639_3 = {pair[:2]: pair[3:] for pair in _CODES.split()}
"""Two letters, as the rest of the pipeline has them, to Common Crawl's three."""


class Place(NamedTuple):
    """`host` "" is any."""

    host: str
    path: str = "/"
    below: bool = False
    """Whether the host is a registered domain (`stackexchange.com`) that stands for all its hosts."""

    @classmethod
    def of(cls, text: str, *, below: bool = False) -> "Place":
        """From `example.org`, `example.org/questions`, `/questions` or a whole address. Raises InputError for what is none."""
        bare = text.strip().partition("://")[2] if "://" in text else text.strip()
        name, slash, path = bare.partition("/")
        found = host(f"http://{name}") if name else ""
        if (name and ("." not in found or found != name.lower().partition(":")[0])) or not (found or path):
            raise InputError(f"{text[:100]!r} is no host and no path; give example.org, example.org/questions or /questions")
        return cls(found, slash + path if path else "/", below)


@dataclass(frozen=True, slots=True)
class FetchQuery:
    """Without any condition, every HTML page of the index that was fetched with status 200."""

    places: tuple[Place, ...] = ()
    languages: tuple[str, ...] = ()
    """The page's main language, ISO 639 in two or three letters."""
    mime: tuple[str, ...] = HTML_TYPES
    """As detected from the page's bytes; without that, as its server said. Empty: any."""
    crawls: tuple[str, ...] = ()
    """`CC-MAIN-2026-39`."""
    excluded: tuple[str, ...] = ()
    """Parquet files with a column `url`: addresses that are there already, in whatever spelling `normalise_url` makes equal."""
    pages: int = 0
    """At most; 0: all that match."""
    pages_a_host: int = 0
    """At most of each host; 0: all."""
    unknown_hosts: int = 0
    """Only pages of so many hosts of which `excluded` holds no page, and the index `pages_a_host` or more; 0: of any host."""
    largest: int = 4_000_000
    """Bytes of a stored record; larger ones are not asked for."""
    random_seed: int = 0
    """Another sample where `pages` chooses one."""

    def __post_init__(self) -> None:
        for language in self.languages:
            if three_letters(language) is None:
                raise InputError(f"language {language[:40]!r} is unknown; give ISO 639-3, as Common Crawl has it (eng, deu, zho)")
        for crawl in self.crawls:
            if not crawl or "/" in crawl or len(crawl) > 60:
                raise InputError(f"crawl {crawl[:60]!r} is no name of a crawl, as CC-MAIN-2026-39 is")
        if min(self.pages, self.pages_a_host, self.unknown_hosts) < 0 or self.largest < 1:
            raise InputError("pages and bytes to fetch cannot be less than none")


def three_letters(language: str) -> str | None:
    language = language.lower()
    if len(language) == 3 and language.isascii() and language.isalpha():
        return language
    return _ISO_639_3.get(language)


def listed(values: Sequence[str]) -> list[str]:
    """The values; of one that is a text file's path, its lines (without remarks, `#`). Raises InputError for an unreadable file."""
    found: list[str] = []
    for value in values:
        if not value.endswith((".txt", ".lst")):
            found.append(value)
            continue
        try:
            lines = Path(value).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise InputError(f"{value}: {error.strerror or error}; give a text file with an entry a line") from error
        found += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return found
