r"""A parsed page as one well-formed string, and its tokens.

lexbor's serialiser closes every element and escapes every `<` of texts and attributes, so that a tag is what stands between `<` and `>`;
but for the elements whose text is raw (scripts, styles, ...), which are cut out here, as comments are.
"""

import re

from selectolax.lexbor import LexborHTMLParser

from data_pipeline.formulas.placeholders import OPEN

LINE = "\x01"
"""A `<br>` inside a block's text; control characters of the page are removed before, so it cannot come from there."""

_TOKEN = re.compile(r"<(/?[A-Za-z][^>]*)>([^<]*)")
_RAW = "script, style, xmp, iframe, noembed, noframes, plaintext"


def serialised(tree: LexborHTMLParser) -> str:
    """The body without scripts and comments, menus folded, with `&amp; &lt; &gt; &quot;` as the only entities."""
    root = tree.body or tree.root
    if root is None:
        return ""
    for node in reversed(tree.css(_RAW)):  # from the last on: what stands inside another goes before it
        node.decompose(recursive=False)
    html = root.html or ""
    if "<!--" in html:
        first, *rest = html.split("<!--")
        html = first + "".join([part.partition("-->")[2] for part in rest])
    html = html.replace("&nbsp;", " ")
    if LINE in html:
        html = html.replace(LINE, "")
    if "$\\endgroup$" in html:  # what a question site puts around each post, so that macros of one do not reach the next; nothing is shown
        html = html.replace("$\\begingroup$", "").replace("$\\endgroup$", "")
    return _folded(html)


def _folded(html: str) -> str:
    """Menus as one paragraph each: a fifth of a page's tags stand in elements that say they are navigation, hold links and no formulas."""
    for tag in ("nav", "aside", "footer"):
        if f"</{tag}>" not in html:  # (a longer word is found faster)
            continue
        first, *rest = html.split("<" + tag)
        parts = [first]
        for part in rest:
            end = part.find("</" + tag)
            if end > 0 and part[0] in " >" and part.count(" href=", 0, end) > 4:
                attrs, _, inside = part[:end].partition(">")
                if "$" not in inside and OPEN not in inside and "\\" not in inside:
                    texts = " ".join(inside.replace("<", ">").split(">")[::2])
                    part = f"{attrs}><p><a href=''>{texts}</a></p>{part[end:]}"
            parts.append(part)
        html = ("<" + tag).join(parts)
    return html


def tokens(html: str) -> list[str]:
    """What stands inside each tag, and the text after it, in turn.

    Splitting at every bracket is five times faster than a pattern and right where brackets are tags' only, which the serialiser promises
    but for odd instructions (`<?php echo "a>b" ?>`): their brackets do not pair.
    """
    if html.count("<") != html.count(">"):
        return [piece for match in _TOKEN.finditer(html) for piece in match.groups()]
    pieces = html.replace("<", ">").split(">")
    del pieces[0]
    return pieces
