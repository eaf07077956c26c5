r"""Markup made harmless before it is parsed.

Parsers need time quadratic in how deep elements are nested (lexbor: 28 s for 100,000 open `<div>`, because every start tag looks through
the open elements for a `<p>`) and in how many attributes one element has. Browsers stop at a depth of 512; so does this: the tags of
deeper elements are taken out, their text stays. A page is read as far as its 200,000th tag, and a tag as far as its 20,000th character.
Pages with fewer than 15,000 start tags, which is nearly all, cost a few counts.
"""

import re

MAX_TAGS = 200_000
MAX_DEPTH = 500
FEW_TAGS = 15_000
MANY_ATTRIBUTES = 20_000
MAX_TAG = 20_000

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]{0,40})[^<>]*>?")
_LONG_TAG = re.compile(rf"(<[A-Za-z][^<>]{{{MAX_TAG}}})[^<>]*")
_NEVER_DEEP = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
        "param",
        "p",
        "li",
        "dt",
        "dd",
        "td",
        "th",
        "tr",
        "thead",
        "tbody",
        "tfoot",
        "option",
        "optgroup",
        "colgroup",
        "html",
        "head",
        "body",
        "script",
        "style",
    ]
)
"""Void elements, and those that end where the next of their kind begins."""


def bounded(html: str) -> str:
    """The page, or for a page of many tags or attributes what of it can be parsed in linear time."""
    if len(html) < 3 * FEW_TAGS:  # neither so many tags (`<b>`) nor so many attributes (` a=`)
        return html
    tags = html.count("<")
    if tags > FEW_TAGS and tags - html.count("</") > FEW_TAGS:
        if tags > MAX_TAGS:
            html = "<".join(html.split("<", MAX_TAGS)[:MAX_TAGS])
        html = _flattened(html)
    if len(html) > 2_000_000 or (len(html) > 3 * MANY_ATTRIBUTES and html.count("=") > MANY_ATTRIBUTES):
        html = _LONG_TAG.sub(r"\1", html)
    return html


def _flattened(html: str) -> str:
    """The page without the tags of elements deeper than MAX_DEPTH; the same string where there are none.

    Depth is counted from the tags as written, which for broken markup is more than a parser would open: a page of thousands of unclosed
    `<font>` loses tags that mean little. End tags of what was never opened do not count.
    """
    depth, deepest = 0, 0
    for close, name in _TAG.findall(html):
        if name.lower() not in _NEVER_DEEP:
            depth = max(0, depth - 1) if close else depth + 1
            deepest = max(deepest, depth)
    if deepest <= MAX_DEPTH:
        return html
    depth = 0

    def keep(match: re.Match[str]) -> str:
        nonlocal depth
        if match[2].lower() in _NEVER_DEEP:
            return match[0]
        if match[1]:
            depth -= depth > 0
            return match[0] if depth < MAX_DEPTH else " "
        depth += 1
        return match[0] if depth <= MAX_DEPTH else " "

    return _TAG.sub(keep, html)
