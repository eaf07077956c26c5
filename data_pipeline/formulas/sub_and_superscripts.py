"""Sub- and superscripts in HTML as formulas: `<i>x</i><sup>2</sup>` is `x^{2}`.

Taken where a short script stands directly after a base that can carry one: a name of one to three letters, a number, a bracket, a
chemical symbol, an element in italics. Left as text: footnote marks (a link inside, brackets, asterisks, a number after a word or
after punctuation), ordinals (1st), trade marks, and scripts longer than 16 characters. Runs of them, also with a sign between, are one
formula. It ends where a letter without a script follows: H<sub>2</sub>O is `$H_{2}$O`; between TeX delimiters the script is put back
into the formula around it.
"""

import re
from collections.abc import Callable

from selectolax.lexbor import LexborNode

from data_pipeline.formulas.formula import Formula
from data_pipeline.formulas.notations.unicode_to_tex import to_tex
from data_pipeline.formulas.placeholders import CLOSE, PLACEHOLDER

_ITALIC = frozenset(("i", "em", "var", "b", "strong", "cite", "span"))
_TEXT = re.compile(
    r"[-+−–]?[A-Za-z0-9α-ωΑ-Ω′*∞]{1,4}(?:\s?[-+−–/,=·]\s?[A-Za-z0-9α-ωΑ-Ω∞]{1,3}){0,3}[+\-−–]?|[+\-−–*′∗†]|\([A-Za-z0-9]{1,2}\)"
)
_NO_SCRIPT = re.compile(r"(?:st|nd|rd|th|er|re|e|ème|eme|o|a|TM|SM|R|®|™|\*|†|‡)", re.I)
_BASE = re.compile(r"(?:(?<![A-Za-z0-9α-ωΑ-Ω.,])|(?<=[\s(\[{=+\-−*/|,]))([A-Za-zα-ωΑ-Ω]{1,3}'?|\d{1,6}(?:\.\d{1,4})?)$")
_SYMBOL = re.compile(r"(?:^|[\s(\[=+\-−→·/)])((?:[A-Z][a-z]?){1,6})$")
_TAIL = re.compile(r"(?<=\d)([A-Za-zα-ω])$")
_BRACKET = re.compile(
    r"(?:(?<![A-Za-zα-ωΑ-Ω0-9_^])[A-Za-zα-ω]'?)?\([A-Za-z0-9α-ω+\-−*/^_=.,|\s]{1,40}\)$|(?<![A-Za-z0-9|])\|[A-Za-zα-ωΑ-Ω0-9+\-−]{1,12}\|$"
)
_LAST_WORD = re.compile(r"[A-Za-z]{1,40}$")
_YEAR = re.compile(r"\((?:1[5-9]|20)\d\d\)")
_UNITS = frozenset(("km", "cm", "mm", "dm", "nm", "ft", "in", "yd", "mi", "kg", "kW", "Hz", "sec", "min", "hr", "Pa", "mol", "rad"))
_FUNCTIONS = frozenset(("log", "sin", "cos", "tan", "cot", "sec", "lim", "max", "min", "exp", "det", "ln", "sup", "inf"))
_MINUS = str.maketrans({"−": "-", "–": "-", "′": "'", "∗": "*", "∞": "\\infty ", "·": "\\cdot "})
_FOOTNOTE = re.compile(r"foot|note|ref|cite|cit|fn", re.I)
_NOT_IN = frozenset(("a", "pre", "code", "kbd", "samp", "script", "h1", "button", "label"))
_LONGEST = 16
_MOST = 5000
_RUN, _LONGEST_RUN = 6, 300
_SIGN = re.compile(r"\s?[-+−–=<>≤≥·*×/]\s?")
_AROUND = re.compile(r"[A-Za-z0-9α-ωΑ-Ω+\-−–=/·,() ]{0,16}")


def lift_scripts(nodes: list[LexborNode], put: Callable[[LexborNode, Formula], None], found: list[Formula] | None = None) -> None:
    """Replaces scripts and their bases by formulas; `put(node, formula)` replaces one element and appends to `found`.

    A base that stands directly behind a formula made here goes on with it, also behind a sign: C<sub>4</sub>H<sub>8</sub> is one formula.
    """
    gone: set[int] = set()
    found = found if found is not None else []
    first = len(found)
    nested = []
    for node in nodes[:_MOST]:
        if node.mem_id in gone:
            continue
        script = _script(node)
        if script is None:
            nested.append(node)
            continue
        _lift(node, script, put, found, first, gone)
    for node in reversed(nested):  # scripts that hold scripts, which are formulas now, from inside out
        if node.mem_id not in gone and (script := _nested_script(node, found, first)):
            _lift(node, script, put, found, first, gone)


def _lift(
    node: LexborNode, script: str, put: Callable[[LexborNode, Formula], None], found: list[Formula], first: int, gone: set[int]
) -> None:
    parent = node.parent
    if parent is None or parent.tag in _NOT_IN:
        return
    base = _take_base(node, superscript=node.tag == "sup")
    if base is None:
        return
    tex = base + script
    following = node.next
    if following is not None and following.tag in ("sub", "sup") and following.tag != node.tag and (second := _script(following)):
        tex += second
        gone.add(following.mem_id)
        following.replace_with("")
    before = _take_run(node, found, first)
    put(node, Formula(before + tex, False, "superscript"))


def _take_run(node: LexborNode, found: list[Formula], first: int) -> str:
    """The formula made here that ends where a base began, with the sign between them, taken out of the tree; "" for none."""
    sign, before = "", node.prev
    for _ in range(_RUN):
        if before is None or not before.is_text_node:
            return ""
        text = before.text_content or ""
        if text.endswith(CLOSE):
            mark = PLACEHOLDER.fullmatch(text)
            index = int(mark[1]) if mark else -1
            if not first <= index < len(found) or len(found[index].tex) > _LONGEST_RUN:
                return ""
            before.replace_with("")
            return found[index].tex + _ascii(sign.translate(_MINUS))
        if text:
            if sign or _SIGN.fullmatch(text) is None:
                return ""
            sign = text
            rest = before
            before = before.prev
            while before is not None and before.is_text_node and not before.text_content:
                before = before.prev
            end = (before.text_content or "") if before is not None and before.is_text_node else ""
            if not end.endswith(CLOSE):
                return ""
            mark = PLACEHOLDER.fullmatch(end)
            if mark is None or not first <= int(mark[1]) < len(found):
                return ""
            rest.replace_with("")
            continue
        before = before.prev
    return ""


def _nested_script(node: LexborNode, found: list[Formula], first: int) -> str | None:
    """`^{...}` of a script in which scripts became formulas; None where it holds anything else."""
    if _FOOTNOTE.search(node.attributes.get("class") or ""):
        return None
    text, child = "", node.first_child
    while child is not None:
        if not child.is_text_node:
            return None
        text += child.text_content or ""
        child = child.next
    marks = [int(index) for index in PLACEHOLDER.findall(text)]
    if not marks or any(not first <= index < len(found) for index in marks) or _AROUND.fullmatch(PLACEHOLDER.sub("", text)) is None:
        return None
    inside = PLACEHOLDER.sub(lambda mark: found[int(mark[1])].tex, text).translate(_MINUS).strip()
    return ("^{" if node.tag == "sup" else "_{") + _ascii(inside) + "}"


def _script(node: LexborNode) -> str | None:
    """`^{...}` or `_{...}`; None for what is no mathematics."""
    if _FOOTNOTE.search(node.attributes.get("class") or ""):
        return None
    text = _short_text(node)
    if not text or len(text) > _LONGEST or _TEXT.fullmatch(text) is None:
        return None
    if node.tag == "sup" and _NO_SCRIPT.fullmatch(text) and not (len(text) == 1 and text in "*") and not text.islower():
        return None
    return ("^{" if node.tag == "sup" else "_{") + _ascii(text.translate(_MINUS).strip()) + "}"


def _short_text(node: LexborNode) -> str:
    """The text of an element that holds text, or one more element with text (not a link); "" where it holds anything else."""
    for _ in range(3):
        child = node.first_child
        if child is None or child.next is not None:
            return ""
        if child.is_text_node:
            return (child.text_content or "").strip()
        if child.tag not in _ITALIC and child.tag != "font":
            return ""
        node = child
    return ""


def _take_base(node: LexborNode, *, superscript: bool) -> str | None:
    """The base before a script, taken out of the tree; None where nothing there can carry one."""
    before = node.prev
    if before is None:
        return None
    script = _short_text(node)
    if before.is_text_node:
        text = before.text_content or ""
        if text.endswith(CLOSE):
            return None
        base = _text_base(text[-60:], script, superscript)
        if base is not None:
            before.replace_with(text[: len(text) - len(base)])
        return None if base is None else _spelt(base, italic=False)
    if before.tag in _ITALIC:
        text = _short_text(before)
        if 0 < len(text) <= 3 and text.isalnum() and not (superscript and _ordinal(text, script)):
            before.replace_with("")
            return _spelt(text, italic=before.tag not in ("span", "b", "strong"))
    return None


def _ordinal(base: str, script: str) -> bool:
    return base.isdigit() and script.lower() in {"st", "nd", "rd", "th", "er", "re", "e", "o", "a", "ème"}


def _text_base(text: str, script: str, superscript: bool) -> str | None:
    bracket = _BRACKET.search(text)
    if bracket is not None:
        word = _LAST_WORD.search(text[: bracket.start()])
        if (word is not None and word[0] not in _FUNCTIONS) or _YEAR.fullmatch(bracket[0]) or re.search(r"[A-Za-z]{4}", bracket[0]):
            return None  # a footnote: word(s), (2001), (see there)
        return bracket[0]
    found = _BASE.search(text) or (_SYMBOL.search(text) if not superscript or script[-1:] in "+-−–" else None) or _TAIL.search(text)
    if found is None:
        return None
    base = found[1]
    if superscript:
        if _ordinal(base, script) or (_NO_SCRIPT.fullmatch(script) and script not in {"*", "a", "e", "o", "†"}):
            return None
        if script.isdigit() and len(base) == 3 and base not in _UNITS and base not in _FUNCTIONS:
            return None  # a footnote after a short word
        if base.isdigit() and len(base) == 4 and script.isdigit() and 1500 <= int(base) <= 2100:
            return None  # a footnote after a year
        if (
            script.isdigit()
            and base.lower()
            in {"it", "is", "as", "of", "to", "we", "us", "at", "on", "no", "so", "do", "me", "up", "by", "an", "or", "if", "i", "a"}
            and base != "a"
        ):
            return None
    return base


def _spelt(base: str, *, italic: bool) -> str:
    """The base as TeX: names of functions as commands, units and chemical symbols upright."""
    if base in _FUNCTIONS:
        return "\\" + base
    if not italic and (base in _UNITS or re.fullmatch(r"(?:[A-Z][a-z]?){2,6}|[A-Z][a-z]", base)):
        return f"\\mathrm{{{base}}}"
    return _ascii(base.translate(_MINUS))


def _ascii(text: str) -> str:
    """Greek letters as commands."""
    return text if text.isascii() else to_tex(text).strip()
