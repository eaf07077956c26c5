"""Which delimiters a page's own MathJax or KaTeX configuration gives to mathematics.

`read_config` looks in the page's source for MathJax 2 (`tex2jax: {inlineMath: [['$','$']]}`), MathJax 3 and 4 (`tex: {inlineMath: ...}`)
and KaTeX auto-render (`delimiters: [{left: "$", right: "$", display: false}]`) and reads the string literals of the value. The
configuration is JavaScript, so the reader is a small tokenizer of strings, brackets and comments, bounded in length; nothing is run.

Always mathematics, whatever the page says: `\\(..\\)`, `\\[..\\]`, `$$..$$`, environments. What the configuration decides is the single
dollar (yes, no, or unknown: then each pair is judged by its inside), AsciiMath backticks, and delimiters of the page's own (`##..##`).
Left out: configuration in files beside the page, and macros, which stay as they are written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Delimiters:
    """How a page marks mathematics in its text, beyond what is always mathematics."""

    dollar: bool | None = None
    """A single dollar opens inline mathematics: True and False as configured, None where nothing says so."""
    inline: tuple[Pair, ...] = ()
    """The page's own inline pairs, such as ("##", "##")."""
    display: tuple[Pair, ...] = ()
    ascii: tuple[Pair, ...] = ()
    """AsciiMath pairs, in practice backticks."""
    double_inline: bool = False
    """`$$` is configured as an inline delimiter."""


_STANDARD = {("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$")}
_ASSIGNED = re.compile(r"[\"']?\s{0,20}[:=]\s{0,20}(?=[\[{])")
_TOKEN = re.compile(
    r"""//[^\n]{0,500}|/\*[^*]{0,500}\*/|"((?:[^"\\\n]|\\.){0,60})"|'((?:[^'\\\n]|\\.){0,60})'|`((?:[^`\\\n]|\\.){0,60})`|([\[\]{}:,])|([A-Za-z_$][\w$]{0,30}|!?\d)"""
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.S)
_ASCII = re.compile(
    r"config=[^\"'&]{0,40}\bAM[_-]|config=[^\"'&]{0,40}-AM_|AM_(?:CHTML|HTMLorMML|SVG|HTML)|asciimath2jax|input/asciimath|ASCIIMathML\w{0,20}\.js|asciimath/?\w{0,12}\.js",
    re.I,
)
_INLINE_KEYS = ("inlineMath", "ExtraInlineMath")
_KEYS = (*_INLINE_KEYS, "displayMath", "delimiters")
"""MathJax's, KaTeX's, and `wgSmjExtraInlineMath` of MediaWiki's SimpleMathJax."""
_VALUE = 3000
_CONFIGS = 40
_SCRIPTS = 500


def read_config(raw: str) -> Delimiters:
    """The delimiters that the page's source configures; `raw`: its UTF-8, a character a byte."""
    inline: list[Pair] = []
    display: list[Pair] = []
    ascii_pairs: list[Pair] = []
    said_inline = False
    raw = _scripts(raw)
    for name in _KEYS if "MathJax" in raw or "mathjax" in raw else ("delimiters",):
        for at in _values(raw, name):
            if name == "delimiters":
                left_right = list(_katex_pairs(raw, at))
                said_inline = said_inline or bool(left_right)
                inline += [pair for pair, block in left_right if not block]
                display += [pair for pair, block in left_right if block]
                if not left_right and "ascii" in raw[max(0, at - 200) : at].lower():
                    ascii_pairs += _pairs(raw, at)
            elif name in _INLINE_KEYS:
                pairs = _pairs(raw, at)
                said_inline = said_inline or bool(pairs)
                inline += pairs
            else:
                display += _pairs(raw, at)
    if not ascii_pairs and _loads_asciimath(raw):
        ascii_pairs = [("`", "`")]
    dollar = ("$", "$") in inline if said_inline else None
    return Delimiters(
        dollar=dollar,
        inline=tuple(dict.fromkeys(p for p in inline if p not in _STANDARD and _is_delimiter(p))),
        display=tuple(dict.fromkeys(p for p in display if p not in _STANDARD and _is_delimiter(p))),
        ascii=tuple(dict.fromkeys(p for p in ascii_pairs if _is_delimiter(p))),
        double_inline=("$$", "$$") in inline and ("$$", "$$") not in display,
    )


def _scripts(raw: str) -> str:
    """What stands in the page's scripts, and their tags: a configuration is nowhere else, and it is a small part of a page."""
    if "<SCRIPT" in raw:
        raw = raw.replace("<SCRIPT", "<script").replace("</SCRIPT", "</script")
    pieces: list[str] = []
    at = raw.find("<script")
    while at >= 0 and len(pieces) < _SCRIPTS:
        end = raw.find("</script", at)
        pieces.append(raw[at : end if end >= 0 else at + _VALUE])
        at = raw.find("<script", end) if end >= 0 else -1
    scripts = "\n".join(pieces)
    return scripts if scripts.isascii() else scripts.encode("latin-1").decode("utf-8", "replace")


def _values(raw: str, name: str) -> Iterator[int]:
    """Where the values of the keys of that name begin."""
    at = raw.find(name)
    for _ in range(_CONFIGS):
        if at < 0:
            return
        value = _ASSIGNED.match(raw, at + len(name))
        if value is not None and not _commented(raw, at):
            yield value.end()
        at = raw.find(name, at + 1)


def _loads_asciimath(raw: str) -> bool:
    """Whether the page loads MathJax with AsciiMath, or ASCIIMathML."""
    for mark in ("AM_", "asciimath", "ASCIIMath"):
        at = raw.find(mark)
        for _ in range(_CONFIGS):
            if at < 0:
                break
            if _ASCII.search(raw, max(0, at - 80), at + 60):
                return True
            at = raw.find(mark, at + 1)
    return False


_NO_DELIMITERS = frozenset("()[].,-*\\<>")


def _is_delimiter(pair: Pair) -> bool:
    """Whether text may be searched for it: a letter, a bracket or a full stop as a delimiter would swallow prose."""
    return all(0 < len(side) <= 30 and not side.isalnum() and not side.isspace() and side not in _NO_DELIMITERS for side in pair)


def _commented(raw: str, at: int) -> bool:
    """Whether a `//` that is no part of an address stands before it on its line."""
    line = raw[max(raw.rfind("\n", max(0, at - 300), at), at - 300) + 1 : at]
    return bool(re.search(r"(?<![:\"'\w])//", line))


def _tokens(raw: str, at: int) -> Iterator[tuple[str, str]]:
    """Tokens of the value that begins at `at`, as ("string", value), ("mark", character) or ("name", word), to its closing bracket."""
    depth = 0
    for token in _TOKEN.finditer(raw, at, at + _VALUE):
        double, single, back, mark, name = token.groups()
        if mark:
            depth += (mark in "[{") - (mark in "]}")
            yield "mark", mark
            if depth <= 0:
                return
        elif name:
            yield "name", name
        elif double is not None or single is not None or back is not None:
            yield "string", _unescape(next(s for s in (double, single, back) if s is not None))


def _unescape(literal: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found[1] or found[2]:
            return chr(int(found[1] or found[2], 16))
        return {"n": "\n", "t": "\t", "r": "", "b": "", "f": ""}.get(found[3], found[3])

    return _ESCAPE.sub(character, literal)


def _pairs(raw: str, at: int) -> list[Pair]:
    """The [left, right] string pairs of nested arrays; a key of an object ('[+]': ...) is no delimiter."""
    strings: list[str] = []
    pairs: list[Pair] = []
    for kind, value in _tokens(raw, at):
        if kind == "string":
            strings.append(value)
        elif value == "]" and len(strings) == 2:
            pairs.append((strings[0], strings[1]))
            strings = []
        elif value in "[]{}:":
            strings = []
    return pairs


def _katex_pairs(raw: str, at: int) -> Iterator[tuple[Pair, bool]]:
    """The pairs of KaTeX's auto-render objects, and whether they are displayed."""
    fields: dict[str, str] = {}
    key = ""
    last = ""
    for _, value in _tokens(raw, at):
        if value == ":":
            key = last
        elif value in "[{":
            fields, key = {}, ""
        elif value == "}":
            if "left" in fields and "right" in fields:
                yield (fields["left"], fields["right"]), fields.get("display", "false") in {"true", "!0"}
            fields, key = {}, ""
        elif value == ",":
            key = ""
        else:
            if key:
                fields[key] = value
            last = value
