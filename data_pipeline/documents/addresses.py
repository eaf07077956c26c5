"""Addresses: one spelling for those that lead to the same page, their host, and lists of them.

`normalise_url` decides what counts as the same page: the scheme (http and https), the host's case, `www.`, the default port, user and
fragment, tracking and session parameters, the order of parameters, dot segments, a trailing slash and needless percent signs do not tell
pages apart; the path's case and all other parameters do. The result is a key that still reads and works like an address. A fragment that
begins with `!` is part of the page's name (old script-driven sites).

Nothing here raises, whatever the text; addresses are cut at 8,192 characters. Left out: which hosts belong to one owner (the public
suffix list); a host is its own.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from verifiers.input_error import InputError

LONGEST = 8192
_ADDRESS = re.compile(r"(?:([a-zA-Z][a-zA-Z0-9+.-]{0,19}):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_TRACKING = re.compile(
    r"utm_\w{1,40}|(?:fb|g|dc|ms|y|tw|tt|li_fat_|igsh|wbra|gbra)clid|gclsrc|igshid|mc_[ce]id|_ga|_gl|_hs\w{2,4}|mkt_tok|oly_\w{3,4}_id|vero_id|"
    r"(?:php|asp|j|cf)?sess(?:ion)?_?(?:id)?|sid|cfid|cftoken|aspsessionid\w{0,20}|s_cid|ref_src|ref_url|spm|scm|trk|trkcampaign|"
    r"yclid|ysclid|_openstat|wickedid|rb_clickid|srsltid|cmpid|ncid|wt\.mc_id",
    re.IGNORECASE,
)
_SESSION_IN_PATH = re.compile(r";(?:jsessionid|sessionid|phpsessid|sid)=[^/;?]{0,200}", re.IGNORECASE)
_KEPT = "!$&'()*+,;=:@/~-._"
_PORTS = {"http": "80", "https": "443", "ftp": "21"}
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\uffff\U00010000-\U0010ffff\"<>\\^`{|}]")


def normalise_url(url: str) -> str:
    """The key of the page at this address; for what is no address, the text without white space around it."""
    url = _trimmed(url)
    found = _ADDRESS.fullmatch(url)
    if not found:
        return url
    scheme, authority, path, query, fragment = found[1], found[2], found[3], found[4], found[5]
    if authority is None or (scheme and scheme.lower() not in _PORTS):
        return url
    scheme = (scheme or "http").lower()
    name, port = _host_and_port(authority)
    name = name.removeprefix("www.") if name.count(".") > 1 else name
    if port in ("", "80", "443", _PORTS[scheme]):
        port = ""
    path = _percent(_SESSION_IN_PATH.sub("", _without_dots(path)))
    key = f"{'http' if scheme == 'https' else scheme}://{name}{':' + port if port else ''}{path.rstrip('/') or '/'}"
    parameters = sorted(part for part in (query or "").split("&") if part and not _TRACKING.fullmatch(part.partition("=")[0][:60]))
    if parameters:
        key += "?" + "&".join(_percent(part) for part in parameters)
    return key + "#" + _percent(fragment) if fragment and fragment.startswith("!") else key


def host(url: str) -> str:
    """The host in lower case, without user, port and a dot at the end, with `www.`; "" where there is none."""
    found = _ADDRESS.fullmatch(_trimmed(url))
    return _host_and_port(found[2])[0] if found and found[2] else ""


class UrlList:
    """Hosts, domains and address beginnings, for blocking or allowing.

    An entry without a slash is a host and covers everything below it (`example.com` covers `www.example.com`); one with a slash covers the
    addresses that begin with it, by whole path segments.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._hosts: set[str] = set()
        self._paths: set[str] = set()
        for entry in entries:
            entry = entry.strip()
            bare = entry.partition("://")[2] if "://" in entry else entry
            if not bare:
                continue
            if "/" in bare.rstrip("/"):
                self._paths.add(normalise_url(f"http://{bare}").partition("://")[2].rstrip("/"))
            else:
                self._hosts.add(host(f"http://{bare}").removeprefix("www."))

    @classmethod
    def load(cls, *paths: Path) -> "UrlList":
        """The entries of some files, one a line; lines that begin with `#` are remarks."""
        entries: list[str] = []
        for path in paths:
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            except OSError as error:
                raise InputError(f"{path}: {error.strerror or error}; give a text file with a host or address a line") from error
            entries += [line for line in lines if not line.lstrip().startswith("#")]
        return cls(entries)

    def __len__(self) -> int:
        return len(self._hosts) + len(self._paths)

    def __contains__(self, url: object) -> bool:
        if not isinstance(url, str):
            return False
        name = host(url)
        labels = name.split(".")[-12:]
        if any(".".join(labels[i:]) in self._hosts for i in range(len(labels))):
            return True
        if not self._paths:
            return False
        key = normalise_url(url).partition("://")[2].partition("?")[0]
        segments = key.split("/")[:40]
        return any("/".join(segments[:i]) in self._paths for i in range(1, len(segments) + 1))


def _trimmed(url: str) -> str:
    return url[: LONGEST + 100].strip()[:LONGEST]


def _host_and_port(authority: str) -> tuple[str, str]:
    authority = authority.rpartition("@")[2].lower()
    if authority.startswith("["):
        name, _, port = authority.partition("]")
        return name + "]", port.removeprefix(":") if port.removeprefix(":").isdigit() else ""
    name, _, port = authority.partition(":")
    name = _UNSAFE.sub("", name) if name.isascii() else _ascii(name)
    return name.strip("."), port if port.isdigit() else ""


def _ascii(name: str) -> str:
    """An international name as it travels; as it stands where that fails."""
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return "".join(name.split())


def _without_dots(path: str) -> str:
    if "/." not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def _percent(text: str) -> str:
    """One spelling of what may be written with a percent sign: reserved characters stay as they are written."""
    if "%" not in text and not _UNSAFE.search(text):
        return text
    parts = re.split(r"(%(?:2[3-6BbCcFf]|3[ABDFabdf]|40|5[BDbd]))", text)
    return "".join(
        part.upper() if index % 2 else quote(unquote_to_bytes(part.encode("utf-8", "replace")), safe=_KEPT + "%[]")
        for index, part in enumerate(parts)
    )
