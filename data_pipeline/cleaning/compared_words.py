r"""A text as words in one spelling, so that a problem is recognised in another font, layout or dialect of LaTeX.

What counts is letters and numbers. Lower case, Unicode compatibility forms (NFKC: `x²` is `x2`, ligatures and wide letters are plain),
no invisible characters, apostrophes dropped within words. Everything else separates words and is no word: punctuation, delimiters,
operators, white space; so runs of punctuation, line ends and `$` change nothing. Numbers part from letters (`2x` is `2`, `x`) and are
taken in threes, so that `1000`, `1,000` and `1{,}000` are `1`, `000`.

LaTeX: `\sin` is the word `sin`, `\pi` and `π` are `pi`. Commands that stand for a sign (`\cdot`, `\le`), a layout (`\frac`, `\left`, `\,`,
`\text`, `\begin{align}`) or dots are dropped as the signs themselves are, so `\frac{1}{2}`, `\dfrac12`, `1/2` and `½` are `1`, `2`.
Markdown's link targets are dropped. Chinese and Japanese characters are words of their own.

Not undone: letters pulled together or apart (`xy` is not `x y`), numbers in words, a listing's numbers between the lines.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_NUMBER = "[0-9]{1,3}(?=(?:[0-9]{3}){0,4}(?![0-9]))|[0-9]+"  # threes from the right; a run of more than 15 digits is one word
_ASCII_WORD = re.compile(rf"\\?[a-z]+|{_NUMBER}")
_SIGNED_ASCII = re.compile(_ASCII_WORD.pattern + "|[+=<>]")
_QUOTE = re.compile(r"^[ \t]{0,12}>[> \t]{0,12}", re.MULTILINE)
_LINK = re.compile(r"\]\((?:https?:|www\.|[/#.])[^()\s]*(?:\([^()\s]{0,200}\)[^()\s]*)?\)")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)[\s{,\\]{1,8}[a-z]{1,20}")
_FRACTION = re.compile(r"(\\[dtc]?frac) ?([0-9])")
_HYPHEN = re.compile(r"[-‐](?<=[^\W\d_].) ?\r?\n[ \t>]{0,8}(?=[^\W\d_])")
_LINE_HYPHENS = ("-\n", "- \n", "-\r\n", "- \r\n", "‐\n", "‐\r\n")

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega"
_NAMES = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK.split(), strict=True))
_NAMES |= {"ς": "sigma", "√": "sqrt", "∑": "sum", "∏": "prod", "∫": "int", "∞": "infty", "∂": "partial", "∇": "nabla"}
_NAMES |= {"∠": "angle", "△": "triangle", "∪": "cup", "∩": "cap", "∈": "in", "∅": "emptyset", "⌊": "lfloor", "⌈": "lceil"}
_NAMES |= {"⌋": "rfloor", "⌉": "rceil"}
_RAISED = re.compile("[²³¹⁰⁴-⁹₀-₉¼-¾⅐-⅞]+")  # NFKC would make 10² a hundred and two
_UNSEEN = dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff’‘ʼ′ʹ＇", "")
_SPECIAL = {sign: f" {name} " for sign, name in _NAMES.items()} | _UNSEEN
_SPECIAL_CHARACTER = re.compile("[" + "".join(_SPECIAL) + "]")

_ALIASES = {
    "varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho", "varsigma": "sigma", "varkappa": "kappa",
    "dbinom": "binom", "tbinom": "binom", "choose": "binom", "varnothing": "emptyset",
}  # fmt: skip
_SIGNS = """
    frac dfrac tfrac cfrac over cdot times div pm mp ast star bullet le leq leqslant ge geq geqslant ne neq lt gt ll gg approx equiv sim
    simeq cong propto to rightarrow longrightarrow leftarrow mapsto implies iff ldots cdots dots dotsc dotsb vdots ddots circ degree prime
    left right middle big bigl bigr bigg biggl biggr displaystyle textstyle scriptstyle limits nolimits quad qquad hspace vspace hfill
    noindent medskip smallskip bigskip newline linebreak par text textrm textbf textit texttt textnormal mbox hbox mathrm mathbf mathit
    mathsf mathtt mathnormal operatorname emph bf it rm boldsymbol bm mid vert lvert rvert lbrace rbrace lbrack rbrack langle rangle
    boxed fbox ensuremath begingroup endgroup hline item label tag nonumber notag dollar percent lparen rparen colon mathop
"""
_FUNCTIONS = "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lim max min sup inf exp det dim ker mod pmod bmod gcd lcm"
_COMPARED = {"+": "+", "=": "=", "<": "<", ">": ">", "≤": "<=", "≥": ">=", "≠": "≠"}
_COMPARED |= {"\\le": "<=", "\\leq": "<=", "\\leqslant": "<=", "\\ge": ">=", "\\geq": ">=", "\\geqslant": ">="}
_COMPARED |= {"\\lt": "<", "\\gt": ">", "\\ne": "≠", "\\neq": "≠"}
FRACTION = "/"
_COMPARED |= dict.fromkeys(("\\frac", "\\dfrac", "\\tfrac", "\\cfrac"), FRACTION)
"""Signs that `signed_words` tells."""
NAMES = frozenset([*_NAMES.values(), *_FUNCTIONS.split(), "binom", "overline", "underline", "hat", "bar", "vec", "tilde", "cup", "cap"])
"""Words of formulas rather than of a language."""
DROPPED = frozenset("\\" + name for name in _SIGNS.split())
"""Commands that are no words."""


def text_words(text: str) -> list[str]:
    """The words of a text."""
    return [spelled for word in raw_words(text) if (spelled := spell_word(word))]


def spell_word(raw: str) -> str:
    """The word that a raw one stands for; "" for a command that is no word."""
    if raw in DROPPED:
        return ""
    name = raw.removeprefix("\\")
    return _ALIASES.get(name, name) if name is not raw else raw


def spellings(word: str) -> Iterator[str]:
    """All raw words that stand for a word: `raw_words` and a table of these is the fast way to `text_words`."""
    yield word
    yield from ("\\" + name for name in (word, *(alias for alias, name in _ALIASES.items() if name == word)) if "\\" + name not in DROPPED)


def raw_words(text: str, *, join_hyphens: bool = False) -> list[str]:
    """The words before commands are looked up. join_hyphens: a word that is divided at the end of a line is one word."""
    text = _one_form(text)
    if join_hyphens:
        text = _HYPHEN.sub("", text)
    foreign, any_word = (None, _ASCII_WORD) if text.isascii() else _foreign()
    return (any_word if foreign and foreign.search(text) else _ASCII_WORD).findall(text)


@cache
def _foreign() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(a letter or number beyond ASCII, any word). Letters with the marks that stand on them as ranges: asking for the category of each
    character takes three times as long."""
    inside = [unicodedata.category(chr(code))[0] in "LM" and not re.match(f"[{_CJK}]", chr(code)) for code in range(0x80, 0x10000)]
    edges = [code for code in range(0x80, 0x10001) if (code < 0x10000 and inside[code - 0x80]) != (code > 0x80 and inside[code - 0x81])]
    ranges = "".join(f"{chr(first)}-{chr(after - 1)}" for first, after in zip(edges[::2], edges[1::2], strict=True))
    word = rf"\\?[a-z{ranges}]+|{_NUMBER}|[{_CJK}]|[^\W_\x00-\x7f{ranges}{_CJK}]"
    return re.compile(r"[^\W\x00-\x7f]"), re.compile(word)


def signed_words(text: str, *, join_hyphens: bool = False) -> tuple[list[str], list[str]]:
    """The words of a text, and for each the signs `+ = < >` and fractions (by their commands) that stand between it and the word before."""
    text = _one_form(_QUOTE.sub("", text))
    if join_hyphens:
        text = _HYPHEN.sub("", text)
    found, signs, pending = [], [], ""
    for raw in (_SIGNED_ASCII if text.isascii() else _signed_foreign()).findall(text):
        if (sign := _COMPARED.get(raw)) is not None:
            pending += sign
        elif word := spell_word(raw):
            found.append(word)
            signs.append(pending)
            pending = ""
    return found, signs


@cache
def _signed_foreign() -> re.Pattern[str]:
    return re.compile(_foreign()[1].pattern + "|[+=<>≤≥≠]")


def has_hyphens(text: str) -> bool:
    """Whether a word may be divided at the end of a line."""
    return any(end in text for end in _LINE_HYPHENS) and _HYPHEN.search(text) is not None


def _one_form(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _RAISED.sub(r" \g<0> ", text)).lower()
        text = _SPECIAL_CHARACTER.sub(_special, text)
    text = text.lower().replace("'", "")
    if "\\" in text:
        text = _ENVIRONMENT.sub(" ", text.replace("\\\\", " "))
        text = _FRACTION.sub(r"\1 \2 ", text)
    if "](" in text:
        text = _LINK.sub("] ", text)
    return text


def _special(match: re.Match[str]) -> str:
    return _SPECIAL[match[0]]


def is_language(word: str) -> bool:
    """Whether it is a word of a language: three letters that name no function or sign, or a character that is a word by itself."""
    return (len(word) >= 3 and word not in NAMES and word[0].isalpha()) or (len(word) == 1 and word >= "\u3040")
