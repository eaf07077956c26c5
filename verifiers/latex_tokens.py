r"""LaTeX and plain-text mathematics cut into tokens: numbers as they are written, symbols, words, commands, operators.

One normaliser brings delimiters, unicode signs and brace-less arguments to plain LaTeX first; `numeral` reads the number tokens.
Regular expressions without nested repetition, so that time is linear in the length of a hostile answer.
"""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple


class Token(NamedTuple):
    kind: str  # "num", "mixed", "repeating", "based", "sym", "word", "text", "func", "matrix" or "op"
    text: str
    spaced: bool  # white space before it


_FUNCTIONS = ("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "exp", "lim")
_GREEK = ("pi", "alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "rho", "sigma", "tau", "phi", "varphi", "omega", "Delta", "ell")
_COMMANDS = {
    "times": "*", "cdot": "*", "div": "/", "in": "∈", "pm": "±", "infty": "∞", "infinity": "∞", "inf": "∞", "leq": "\\le",
    "leqslant": "\\le", "geq": "\\ge", "geqslant": "\\ge", "dfrac": "frac", "frac": "frac", "tfrac": "frac", "cfrac": "frac",
    "sqrt": "sqrt", "{": "\\{", "}": "\\}", "lbrace": "\\{", "rbrace": "\\}", "%": "%", "$": "$", "varnothing": "\\emptyset",
}  # fmt: skip
_UNICODE = str.maketrans(
    {"−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "≤": r"\le ", "≥": r"\ge ", "∪": r"\cup ",
     "∈": r"\in ", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ", "±": r"\pm ", "∅": r"\emptyset ", "…": r"\ldots ", "θ": r"\theta "}
)  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SKIPPED = r"(?:\s|~|\\[,;:! ]|\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|q?quad|limits|boxed|fbox)(?![A-Za-z]))+"


_MIXED = r"(?:\s|~|\\[,;:! ])*\\[dtc]?frac\s*\{(\d+)\}\s*\{(\d+)\}|\s+(\d+)/(\d+)"


def _token_pattern(separators: str) -> re.Pattern[str]:
    integer = rf"(?:[1-9]\d{{0,2}}(?:(?:{separators})\d{{3}})+(?!\d|\s*/)|\d+)"
    kinds = {
        "space": _SKIPPED,
        "mixed": rf"{integer}(?:{_MIXED})(?!\d)",
        "repeating": r"\d*\.\d*\\(?:overline|bar)\s*(?:\{\d+\}|\d)",
        "based": r"\d[0-9A-Z]*_(?:\{\d{1,2}\}|\d{1,2})",
        "num": rf"{integer}(?:\.\d+)?(?:[eE][+-]?\d{{1,3}}(?![\w.]))?|\.\d+",
        "text": r"\\(?:text|textbf|textit|textrm|textup|mbox|mathrm|mathbf|mathit|operatorname)\s*\{[^{}]*\}",
        "matrix": r"\\(?:begin|end)\s*\{[pb]matrix\}|\\\\",
        "command": r"\\(?:[A-Za-z]+|.)",
        "word": r"[A-Za-z]{2,}",
        "sym": r"[A-Za-z](?:_(?:[A-Za-z0-9]|\{[A-Za-z0-9]+\}))?",
        "op": r".",
    }
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()), re.DOTALL | re.ASCII)


_NESTED = _token_pattern(r",\\!|\{,\}|\\[,;: ]|~| ")
_OUTER = _token_pattern(r",\\!|\{,\}|\\[,;: ]|~| |,")  # a bare comma groups thousands only outside brackets: (1,234) is a pair


def normalise(source: str) -> str:
    """Delimiters of mathematics, unicode signs and TeX's brace-less arguments, all as plain LaTeX."""
    if not source.isascii():
        source = re.sub(r"[⁰¹²³⁴-⁹⁻]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", source)
        source = re.sub(r"[¼-¾⅐-⅞]", _vulgar_fraction, source)
        source = unicodedata.normalize("NFKC", source.translate(_UNICODE))
    dollars = len(re.findall(r"(?<!\\)\$", source))
    source = re.sub(r"(?<!\\)\$", r"\\$" if dollars % 2 else " ", source)  # a lone dollar sign is money
    source = re.sub(r"\\\\|\\[()\[\]]", lambda m: m[0] if m[0] == "\\\\" else " ", source)
    source = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])", "°", source).replace("...", r"\ldots ")
    source = re.sub(r"(\\[dtc]?frac)\s*(\d)\s*(\d)", r"\1{\2}{\3}", source)
    source = re.sub(r"(\\[dtc]?frac)\s*(\d)\s*(?=[{\\])", r"\1{\2}", source)
    while source and not source.endswith("\\\\") and (source[-1] in ".,; " or source.endswith("\\!")):
        source = source[: -2 if source[-2:-1] == "\\" else -1]
    return source.strip()


def tokenize(source: str) -> list[Token]:
    found: list[Token] = []
    position, depth, spaced = 0, 0, False
    while position < len(source):
        match = (_NESTED if depth else _OUTER).match(source, position)
        assert match is not None  # the last alternative takes any character
        position, kind, text = match.end(), str(match.lastgroup), match[0]
        if kind != "space":
            found.append(_token(kind, text, spaced))
            depth = max(0, depth + (text in ("(", "[", "\\{")) - (text in (")", "]", "\\}")))
        spaced = kind == "space"
    return found


def _token(kind: str, text: str, spaced: bool) -> Token:
    name = text
    if kind == "text":
        name = " ".join(text[text.index("{") + 1 : -1].split())
        if re.fullmatch(r"\(?([A-Z])\)?|[ei]", name):
            return Token("sym", name.strip("()"), spaced)
    elif kind == "command":
        name, kind = text[1:], "op"
        if name in _GREEK:
            return Token("sym", name, spaced)
        text = _COMMANDS.get(name, text)
    elif kind == "word" and text in ("pi", "sqrt", "infinity", "inf"):
        return Token("sym" if text == "pi" else "op", _COMMANDS.get(text, text), spaced)
    elif kind in ("sym", "based"):
        text = text.replace("{", "").replace("}", "")
    if kind in ("text", "word") and name in ("and", "or"):
        return Token("op", name, spaced)
    if name in _FUNCTIONS:
        return Token("func", name, spaced)
    return Token(kind, name if kind == "text" else text, spaced)


def _vulgar_fraction(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match[0]).partition("⁄")
    return rf"\frac{{{top}}}{{{bottom or 10}}}"


def numeral(text: str) -> tuple[Fraction, int] | None:
    r"""The value of a "num", "repeating" or "mixed" token, and its decimals if it is one plain decimal. 1.5e3 is exactly 1500.

    In 0.1\overline{6} the repeated block of length r behind d decimals is block / (10^r - 1) / 10^d. 2\frac{1}{2} and 2 1/2 are 5/2:
    an integer before a written fraction below 1 is added to it; before another fraction it multiplies. None where neither reads it.
    """
    mixed = re.search(rf"(?:{_MIXED})$", text, re.ASCII)
    if mixed:
        whole, top, bottom = numeral(text[: mixed.start()]), *(int(part) for part in mixed.groups() if part)
        if whole is None or not bottom or (top >= bottom and mixed[3]):
            return None
        return (whole[0] + Fraction(top, bottom) if 0 < top < bottom else whole[0] * Fraction(top, bottom)), 0
    plain, bar, block = text.partition("\\overline") if "\\overline" in text else text.partition("\\bar")
    digits = "".join(c for c in plain if c.isdigit() or c in ".eE+-")
    if bar:
        repeated = "".join(c for c in block if c.isdigit())
        decimals = len(digits.partition(".")[2])
        return Fraction(f"0{digits}0") + Fraction(int(repeated), (10 ** len(repeated) - 1) * 10**decimals), 0
    return Fraction(digits), 0 if "e" in digits.lower() else len(digits.partition(".")[2])
