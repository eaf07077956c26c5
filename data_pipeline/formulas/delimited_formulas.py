"""Formulas written as TeX in the text of a page, found by their delimiters.

`delimit` reads rendered text from left to right. Always an opening: `\\(`, `\\[`, `$$`, `$latex `, `\\begin{equation}` and its kin,
forum tags (`[tex]`, `[itex]`, ...); and what the page configures. Inline mathematics ends in its paragraph; displayed mathematics may
cross lines and, where its closing is unmistakable, blank lines. Code is behind placeholders and never matched across.

A single dollar on a page that does not configure it (or not to be found in its source) opens mathematics where all of this holds: no
letter (Chinese and Japanese ones may), digit or dollar stands before the pair and no digit after it; no space just inside, or one at
both ends of what can only be TeX, and of names where the text has such TeX; at most 300 characters of one paragraph; the inside is TeX
(a command, a script), a name of one or two letters, or a relation without a word of prose. On a page that does configure it every pair
counts except what reads as money: "$5 and $10". `\\$` never opens or closes. Codeforces' `$$$..$$$` counts everywhere, unless it reads
as a price range.

Every search is bounded or remembered, so that hostile text (100,000 openings that nothing closes) costs linear time.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from data_pipeline.formulas.configured_delimiters import Delimiters
from data_pipeline.formulas.formula import Formula, clean
from data_pipeline.formulas.notations.asciimath import asciimath_to_tex
from data_pipeline.formulas.notations.tex_text import is_tex, prose_words
from data_pipeline.formulas.placeholders import CODE_OPEN, OPEN, PLACEHOLDER, placeholder

_ENVIRONMENTS = (
    "equation|align|alignat|aligned|flalign|xalignat|eqnarray|gather|gathered|multline|"
    "displaymath|math|split|cases|array|matrix|[bpvBV]matrix|smallmatrix|dmath|IEEEeqnarray|subequations"
)
_TRANSPARENT = frozenset(("equation", "equation*", "displaymath", "math", "dmath", "dmath*", "subequations"))
"""Environments that only mean "a formula": between our own dollars they go (`$$\\begin{equation}` is no LaTeX)."""
_FORUM = "tex|latex|math|itex|imath|dmath|mathjax|mathjaxinline|katex|inlinemath|displaymath|eqn|equation"
_INLINE_TAGS = frozenset(("itex", "imath", "mathjaxinline", "inlinemath"))
_ENV_EDGE = re.compile(r"\\(begin|end)\{([A-Za-z]{1,20}\*?)\}")
_SPACED_START = re.compile(r"(?:\\[(\[]|\$+|`|\[\w{1,20}\])(?:\s|~|\\[ ,;:]|\\q?quad(?![A-Za-z]))")
_SPACED_END = re.compile(r"(?:\s|~|\\[ ,;:]|\\q?quad)(?:\\[)\]]|\$+|`|\[/\w{1,20}\])$")
_ONLY_SPACES = re.compile(r"(?:\s|~|\\[ ,;:!]|\\q?quad(?![A-Za-z])|\{\})*")
_BLANK = re.compile(r"\n[ \t>]*\n")
_DOLLAR = re.compile(r"\\.|[{}$]", re.S)
_INLINE_LIMIT, _DISPLAY_LIMIT, _UNSURE_LIMIT = 3000, 12_000, 300
_TRIES = 8


class _Opening(NamedTuple):
    """What a piece of text opens."""

    close: str
    display: bool | None
    """None: displayed where it stands alone in its paragraph."""
    family: str


@lru_cache(maxsize=64)
def _openings(delimiters: Delimiters) -> tuple[re.Pattern[str], re.Pattern[str], dict[str, _Opening]]:
    """The characters with which a formula may open on such a page, the pattern of what opens one, longest first, and what each opens."""
    table = {
        "\\(": _Opening("\\)", False, "delimiter"),
        "\\[": _Opening("\\]", True, "delimiter"),
        "$$": _Opening("$$", not delimiters.double_inline, "delimiter"),
        "$latex ": _Opening("$", False, "delimiter"),
        "$$$": _Opening("$$$", False, "delimiter"),
        "$$$$$$": _Opening("$$$$$$", True, "delimiter"),
    }
    for display, pairs in ((False, delimiters.inline), (True, delimiters.display)):
        for left, right in pairs:
            if left.startswith("[") and left[1:2].isalpha():  # writers take a forum's tag into their sentences, whatever it is set to
                table[left] = _Opening(right, None if display else False, "forum")
            else:
                table[left] = _Opening(right, display, "delimiter")
    for left, right in delimiters.ascii:
        table[left] = _Opening(right, False, "asciimath")
    if delimiters.dollar is not False:
        table["$"] = _Opening("$", False, "delimiter")
    own = "|".join(
        r"(?<!\$)\$\$\$(?!\$)" if left == "$$$" else re.escape(left)
        for left in sorted(table, key=len, reverse=True)
        if left not in {"\\(", "\\[", "$"}
    )
    rest = (
        r"\\begin\{(?P<env>(?:"
        + _ENVIRONMENTS
        + r")\*?)\}|\[(?P<tag>(?i:"
        + _FORUM
        + r"))(?:=[^\]\n]{0,40}|\s[^\]\n]{0,60})?\]|\\\\|\\\$|\\\(|\\\["
        + (r"|\$" if "$" in table else "")
    )
    hop = re.compile("[" + "".join(re.escape(left[0]) for left in [*table, "["]) + "]")
    return hop, re.compile(f"(?P<own>{own})|{rest}"), table


class _Reader:
    """One text being read. Positions of closings are remembered, so that no stretch is searched twice."""

    def __init__(self, text: str, found: list[Formula], delimiters: Delimiters) -> None:
        self.text = text
        self.found = found
        self.delimiters = delimiters
        self.next: dict[str, int] = {}
        self.ends: dict[int, int] | None = None
        self.lower = ""
        self.spaced: bool | None = None

    def writes_spaces(self) -> bool:
        """Whether the text has TeX between single dollars with a space at both ends: then names stand so too."""
        if self.spaced is None:
            self.spaced = _SPACED.search(self.text) is not None
        return self.spaced

    def find(self, what: str, at: int) -> int:
        """Where `what` comes next at or after `at`, or -1; remembered (calls come with growing positions)."""
        known = self.next.get(what, -2)
        if known == -1 or known >= at:
            return known
        self.next[what] = known = self.text.find(what, at)
        return known

    def environment_end(self, begin: int) -> int:
        """The end of the environment that begins there, -1 where it has none."""
        if self.ends is None:
            self.ends = {}
            stack: list[tuple[str, int]] = []
            for edge in _ENV_EDGE.finditer(self.text):
                if edge[1] == "begin":
                    stack.append((edge[2], edge.start()))
                elif any(name == edge[2] for name, _ in stack[-_TRIES:]):
                    while stack[-1][0] != edge[2]:
                        stack.pop()
                    self.ends[stack.pop()[1]] = edge.end()
        return self.ends.get(begin, -1)

    def close(self, opening: str, closing: str, start: int, limit: int) -> int:
        """Where the closing stands that belongs to an opening whose inside begins at `start`; -1 for none within the limit."""
        end = self.find(closing, start)
        for _ in range(_TRIES):
            if end < 0 or end - start > limit:
                return -1
            if opening != closing and (again := self.find(opening, start)) >= 0 and again < end and not self._escaped(again):
                return -1  # opened twice: the later one is meant
            if not self._escaped(end):
                return end
            end = self.text.find(closing, end + 1, start + limit + 1)  # not remembered: the next opening may need what lies between
        return -1

    def _escaped(self, at: int) -> bool:
        count = 0
        while at - count > 0 and count < 20 and self.text[at - count - 1] == "\\":
            count += 1
        return count % 2 == 1

    def close_dollar(self, start: int, limit: int) -> int:
        """The single dollar that closes an inside that begins at `start`: outside all braces, not escaped, the eighth at most; or -1."""
        depth = seen = 0
        for token in _DOLLAR.finditer(self.text, start, start + limit):
            mark = token[0]
            if mark == "$":
                if depth <= 0:
                    return token.start()
                seen += 1
                if seen == _TRIES:
                    return -1
            elif mark in "{}":
                depth += 1 if mark == "{" else -1
        return -1

    def alone(self, start: int, end: int) -> bool:
        """Whether a stretch is a paragraph or a line of its own."""
        before = self.text[max(0, start - 200) : start].rpartition("\n")[2].strip(" \t>")
        after = self.text[end : end + 200].partition("\n")[0].strip(" \t.,;")
        return not before and not after

    def inside(self, start: int, end: int, *, any_formula: bool) -> str | None:
        """The TeX between two positions, with formulas lifted inside it (scripts) put back; None where it cannot be a formula."""
        text = self.text[start:end]
        if CODE_OPEN in text:
            return None
        if "\n>" in text and all(line.startswith(">") for line in text.split("\n")[1:] if line):
            text = text.replace("\n> ", "\n").replace("\n>", "\n")  # displayed in a quotation
        if OPEN not in text:
            return text
        lifted = [self.found[int(i)] for i in PLACEHOLDER.findall(text) if int(i) < len(self.found)]
        if not any_formula and any(formula.family != "superscript" for formula in lifted):
            return None
        return PLACEHOLDER.sub(lambda i: self.found[int(i[1])].tex if int(i[1]) < len(self.found) else "", text)


def delimit(text: str, found: list[Formula], delimiters: Delimiters) -> str:
    """The text with the formulas written in it behind placeholders; they are appended to `found`."""
    hop, pattern, table = _openings(delimiters)
    reader = _Reader(text, found, delimiters)
    pieces: list[str] = []
    done = 0
    first = hop.search(text)
    while first is not None:
        match = pattern.match(text, first.start())
        read = _opened_formula(reader, match, table) if match is not None else None
        if match is None or read is None:
            first = hop.search(text, match.end() if match is not None else first.end())
            continue
        formula, end = read
        start = match.start()
        if formula.tex:
            found.append(formula)
            before, after = _spaces(text, start, end) if not formula.display else ("", "")
            pieces += (text[done:start], before, placeholder(len(found) - 1), after)
        else:
            pieces.append(text[done:start])
            if (not start or text[start - 1].isspace()) and text[end : end + 1] == " ":
                end += 1
        done = end
        first = hop.search(text, end)
    return "".join(pieces) + text[done:] if pieces else text


def _spaces(text: str, start: int, end: int) -> tuple[str, str]:
    """The spaces that a formula holds at its ends, where a word would touch it without them."""
    before = " " if start and text[start - 1].isalnum() and _SPACED_START.match(text, start) else ""
    after = " " if text[end : end + 1].isalnum() and _SPACED_END.search(text[max(start, end - 40) : end]) else ""
    return before, after


def _opened_formula(reader: _Reader, match: re.Match[str], table: dict[str, _Opening]) -> tuple[Formula, int] | None:
    """The formula that a match opens, and where it ends."""
    opened = match[0]
    if match["env"]:
        return _environment(reader, match)
    if match["tag"]:
        return _forum(reader, match, match["tag"].lower())
    opening = table.get(opened)
    if opening is None:
        return None  # an escape
    if opened == "$":
        return _dollar(reader, match.start())
    if opened != "$$" and reader._escaped(match.start()):
        return None
    start = match.end()
    end = reader.close(opened, opening.close, start, _DISPLAY_LIMIT if opening.display else _INLINE_LIMIT)
    if end < 0:
        return None
    tex = reader.inside(start, end, any_formula=not opened.startswith("$$"))
    if tex is None or not _is_one_formula(tex, opened, opening.display is not False):
        return None
    if opened.startswith("$$") and _in_a_run(reader.text, match.start(), end) and not _thrice(tex):
        return None
    stop = end + len(opening.close)
    if opening.display is None:
        opening = opening._replace(display=reader.alone(match.start(), stop))
    return _formula(tex, opening, stop)


def _in_a_run(text: str, start: int, end: int) -> bool:
    """Whether the opening or the closing is part of three dollars or more."""
    return text.startswith("$$$", start) or text.startswith("$$$", max(0, start - 1)) or text.startswith("$$$", end)


def _thrice(tex: str) -> bool:
    """Whether what stands between three dollars is mathematics; else they are the prices of two restaurants."""
    if "\\" in tex:
        return True
    return prose_words(tex) == 0 and not tex[:1].isspace() and not tex[-1:].isspace() and any(character.isalnum() for character in tex)


def _is_one_formula(tex: str, opened: str, display: bool) -> bool:
    """Whether the inside is one formula: no blank line in an inline one, and none between dollars where prose follows."""
    blank = _BLANK.search(tex)
    if blank is None:
        return opened != "$$" or prose_words(tex) < 12 or "\\" in tex
    if not display:
        return False
    return opened != "$$" or all(is_tex(part, strict=False) for part in _BLANK.split(tex) if part.strip())


def _formula(tex: str, opening: _Opening, end: int) -> tuple[Formula, int] | None:
    if opening.family == "asciimath":
        if "\n" in tex or len(tex) > _UNSURE_LIMIT:
            return None
        if tex and _ONLY_SPACES.fullmatch(tex):
            return Formula("", False, opening.family), end
        tex = asciimath_to_tex(tex)
    elif "\\" in tex and _ONLY_SPACES.fullmatch(tex):
        return Formula("", False, opening.family), end
    tex, _ = clean(tex)
    return (Formula(tex, bool(opening.display), opening.family), end) if tex else None


def _environment(reader: _Reader, match: re.Match[str]) -> tuple[Formula, int] | None:
    end = reader.environment_end(match.start())
    if end < 0 or end - match.start() > _DISPLAY_LIMIT:
        return None
    name = match["env"]
    bare = name in _TRANSPARENT
    last = end - len(f"\\end{{{name}}}") if bare else end
    tex = reader.inside(match.end() if bare else match.start(), last, any_formula=True)
    if tex is None:
        return None
    tex, _ = clean(tex)
    return (Formula(tex, name != "math", "environment"), end) if tex else None


def _forum(reader: _Reader, match: re.Match[str], tag: str) -> tuple[Formula, int] | None:
    start = match.end()
    configured = next((p for p in (*reader.delimiters.inline, *reader.delimiters.display) if p[0].lower() == f"[{tag}]"), None)
    if configured is not None and match[0] != configured[0]:
        return None
    if not reader.lower:
        reader.lower = reader.text.lower()
        if len(reader.lower) != len(reader.text):  # a letter whose lower case is longer: positions would slip
            reader.lower = reader.text
    end = _find_tag(reader, f"[/{tag}]", start)
    if end < 0 or end - start > _DISPLAY_LIMIT:
        return None
    again = _find_tag(reader, f"[{tag}]", start)
    tex = reader.inside(start, end, any_formula=True)
    if tex is None or 0 <= again < end:
        return None
    stop = end + len(tag) + 3
    tex, said = clean(tex)
    display = tag not in _INLINE_TAGS and (bool(said) or _SAID_DISPLAY.search(match[0]) is not None or reader.alone(match.start(), stop))
    return (Formula(tex, display, "forum"), stop) if tex else None


def _find_tag(reader: _Reader, what: str, at: int) -> int:
    known = reader.next.get(what, -2)
    if known == -1 or known >= at:
        return known
    reader.next[what] = known = reader.lower.find(what, at)
    return known


def _dollar(reader: _Reader, at: int) -> tuple[Formula, int] | None:
    """Mathematics between single dollars (the rule is in the module's docstring)."""
    sure = bool(reader.delimiters.dollar)
    text = reader.text
    end = reader.close_dollar(at + 1, _INLINE_LIMIT if sure else _UNSURE_LIMIT)
    if end <= at + 1:
        return None
    tex = reader.inside(at + 1, end, any_formula=False)
    if tex is None or not tex.strip() or _BLANK.search(tex):
        return None
    after = text[end + 1 : end + 2]
    if not (_not_money(tex, after) if sure else _plainly_math(tex, text[max(0, at - 1) : at], after, reader)):
        return None
    if "\\" in tex and _ONLY_SPACES.fullmatch(tex):
        return Formula("", False, "delimiter"), end + 1
    tex, _ = clean(tex)
    return (Formula(tex, False, "delimiter"), end + 1) if tex else None


_SAID_DISPLAY = re.compile(r"\sdisplay=[\"']?(?:true|block|1)", re.I)
_SENTENCE = re.compile(r"\d[\d,.]{0,12}[.!?]\s+[A-Za-z]")
_SHORT_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:sin|cos|tan|cot|log|ln|exp|lim|max|min|mod|gcd|det|sup|inf)(?![A-Za-z]))[A-Za-z]{2,}")
_SPACED = re.compile(r"(?<![\w$\\])\$ [^$\n]{0,200}?\\[a-zA-Z]{2,20}[^$\n]{0,200}? \$(?![\d$])")
_SPACES = " \xa0\u3000"
_IN_BRACES = re.compile(r"\{[^{}]{0,100}\}")
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。；：？！、]")
_SIGNS = re.compile(r"[\\^_={}<>|]")
_NAME = re.compile(
    r"[A-Za-z]'{0,3}|[A-Z]{2}|[A-Za-z](?:,\s?[A-Za-z]){1,5}|-?\(?[A-Za-z]?\(?-?[a-zA-Z0-9](?:\s?[,+\-*/]\s?-?[a-zA-Z0-9]){0,6}\)?\)?"
)


def _not_money(tex: str, after: str) -> bool:
    prose = prose_words(tex)
    if tex[:1].isdigit() and _reads_on(tex, after):
        return False
    if _SIGNS.search(tex):
        return "\\" in tex or prose < 6
    return not (tex[:1].isdigit() and (prose or after.isdigit())) and prose < 3


def _reads_on(tex: str, after: str) -> bool:
    """Whether what begins with a number is the rest of a sentence about money, up to the dollar that opens the next formula."""
    if _SENTENCE.match(tex):
        return True
    return "\\" not in tex and (tex[-1].isspace() or (after.isascii() and after.isalpha())) and _SHORT_WORD.search(tex) is not None


def _plainly_math(tex: str, before: str, after: str, reader: _Reader) -> bool:
    if (before.isalnum() and _HAN.match(before) is None) or before == "$" or after.isdigit():
        return False
    if _HAN.search(tex) and _HAN.search(_IN_BRACES.sub("", tex)):
        return False
    if tex[0].isspace() or tex[-1].isspace():
        if tex[0] not in _SPACES or tex[-1] not in _SPACES or prose_words(tex):
            return False
        if is_tex(tex) and ("\\" in tex or not _SHORT_WORD.search(tex)):
            return True
        tex = tex.strip()
        if not tex or not reader.writes_spaces():
            return False
    if tex[0].isdigit() and prose_words(tex):
        return False
    if tex.replace(",", "").replace(".", "").isdigit():
        return bool(reader.found)  # a price, unless the page has shown that it writes mathematics so
    return is_tex(tex, strict=False) or _NAME.fullmatch(tex) is not None


def families(text: str, found: Sequence[Formula]) -> Counter[str]:
    """The formulas that stand (as placeholders) in a text, by family."""
    indices = [int(index) for index in PLACEHOLDER.findall(text)]
    return Counter(found[index].family for index in indices if index < len(found))
