r"""Code of a page, taken out of its markup before that is read token by token.

Half of all tags of a manual colour its listings, and nothing can happen in them that one substitution cannot see. So `pre` and `code` that
hold only inline tags are replaced by a placeholder here; the others (rows, line numbers, blocks, formulas inside) are left for
`block_builder.py`.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from data_pipeline.formulas.placeholders import CODE_OPEN, OPEN, code_placeholder

_CODE_ATTRS = re.compile(r"\s{0,50}<code\b([^>]*)>")
_LINE_ELEMENT = re.compile(r"(?<=>)(?=<code\b|<span\b[^>]{0,200}(?:class=\"(?:[^\"]{0,80} )?(?:code-?)?line[ \"]|display:\s?block))")
"""Where a listing without a line break begins a line."""
_INLINE = ("span", "em", "b", "i", "strong")
_BLOCKS = ("pre", "div", "p", "li", "tr", "br", "td")
_NUMBERS = ("lineno", "gutter", "line-numbers", "blob-num")
"""With block elements, what makes a listing more than text with tags in it."""
_LANGUAGE = re.compile(
    r"(?:\b(?:language|lang|highlight|highlight-source|brush:|sourceCode|src|syntaxhighlighter)[- :]+|_lst_language_)"
    r"([A-Za-z][A-Za-z0-9+#]{0,15})(?![\w-])"
)
_NO_LANGUAGE = frozenset(
    [
        "default",
        "none",
        "text",
        "plain",
        "plaintext",
        "notranslate",
        "highlight",
        "source",
        "code",
        "auto",
        "nogutter",
        "collapsed",
        "light",
        "ie",
    ]
)


def without_code(html: str, codes: list[str], languages: list[str]) -> str:
    """The page with placeholders for plain code, whose texts and languages (by the attributes of its own elements) are appended."""

    def keep(code: str, language: str) -> str:
        codes.append(code)
        languages.append(language)
        return code_placeholder(len(codes) - 1)

    def inline(html: str) -> str:
        first, *rest = html.split("<code")
        parts = [first]
        for part in rest:
            end = part.find("</code>")
            start = part.find(">") + 1
            inside = part[start:end]
            text = _bare_text(inside, _is_inline) if end >= start > 0 and part[0] in " >" else None
            words = " ".join(text.split()) if text else ""
            if not words or OPEN in words or inside.count("\n") > 2:
                parts.append("<code" + part)
            else:
                parts.append(keep(unescape(words), "") + part[end + 7 :])
        return "".join(parts)

    def listing(element: str) -> str:
        attrs, _, inside = element.partition(">")
        text = _bare_text(inside, _is_inside_lines)
        if text is not None and "\n" not in text and inside.count("<") > 3:
            text = _bare_text(_LINE_ELEMENT.sub("\n", inside), _is_inside_lines)
        if text is None or OPEN in text or CODE_OPEN in text:
            return "<pre" + element
        code = _CODE_ATTRS.match(inside)
        language = language_of(attrs) or (language_of(code[1]) if code else "")
        return f"<pre{attrs}>{keep(trimmed(text), language)}"

    first, *rest = html.split("<pre")
    if "<code" not in html and not rest:
        return html
    parts = [inline(first) if "<code" in first else first]
    for part in rest:
        end = part.find("</pre>")
        if end < 0 or part[0] not in " >":
            parts.append("<pre" + part)
        else:
            after = part[end:]
            parts += [listing(part[:end]), inline(after) if "<code" in after else after]
    return "".join(parts)


def _bare_text(html: str, allowed: Callable[[str], bool]) -> str | None:
    """The text of well-formed markup; None where one of its tags is not allowed."""
    if "<" not in html:
        return html
    pieces = html.replace("<", ">").split(">")
    return "".join(pieces[::2]) if all(map(allowed, set(pieces[1::2]))) else None


@lru_cache(2_000)
def _is_inline(tag: str) -> bool:
    return tag.removeprefix("/").partition(" ")[0] in _INLINE


@lru_cache(2_000)
def _is_inside_lines(tag: str) -> bool:
    return not tag.startswith(_BLOCKS) and not any(name in tag for name in _NUMBERS)


def language_of(attrs: str) -> str:
    """The language of code that the attributes of an element name, in lower case; "" for none."""
    found = _LANGUAGE.search(attrs)
    return found[1].lower() if found and found[1].lower() not in _NO_LANGUAGE else ""


def trimmed(code: str) -> str:
    """The text of a listing without the empty lines around it."""
    return unescape(code).replace("\r", "").strip("\n").rstrip()


def unescape(text: str) -> str:
    """Text of lexbor's serialisation as it reads: it escapes these four (and blanks that do not break, seen to elsewhere)."""
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
