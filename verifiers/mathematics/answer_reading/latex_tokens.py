r"""LaTeX and plain-text mathematics cut into tokens: numbers as they are written, symbols, words, commands, operators.

One normaliser brings delimiters, unicode signs and brace-less arguments to plain LaTeX first; `numeral` reads the number tokens.
Regular expressions without nested repetition, so that time is linear in the length of a hostile answer.
"""

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.number_words import ONES
from verifiers.mathematics.answer_reading.units import CURRENCY_CODES, spell_compound_units
from verifiers.mathematics.arithmetic.function_names import function_named


class Token(NamedTuple):
    kind: str  # "num", "mixed", "repeating", "based", "sym", "word", "text", "func", "matrix" or "op"
    text: str
    spaced: bool  # white space before it


_GREEK = {
    "pi": "π", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ϵ", "theta": "θ", "lambda": "λ",
    "mu": "μ", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "ϕ", "omega": "ω", "Delta": "Δ", "ell": "ℓ", "Omega": "Ω",
    "eta": "η", "xi": "ξ", "nu": "ν", "psi": "ψ", "kappa": "κ", "zeta": "ζ", "chi": "χ", "iota": "ι", "upsilon": "υ",
    "vartheta": "ϑ", "varrho": "ϱ", "varsigma": "ς", "Gamma": "Γ", "Lambda": "Λ", "Theta": "Θ", "Phi": "Φ", "Psi": "Ψ", "Xi": "Ξ",
}  # fmt: skip
_COMMANDS = {
    "times": "*", "cdot": "*", "div": "/", "in": "∈", "pm": "±", "mp": "∓", "infty": "∞", "infinity": "∞", "inf": "∞", "leq": "\\le",
    "leqslant": "\\le", "geq": "\\ge", "geqslant": "\\ge", "dfrac": "frac", "frac": "frac", "tfrac": "frac", "cfrac": "frac",
    "sqrt": "sqrt", "{": "\\{", "}": "\\}", "lbrace": "\\{", "rbrace": "\\}", "%": "%", "$": "$", "varnothing": "\\emptyset",
    "leqq": "\\le", "geqq": "\\ge", "lt": "<", "gt": ">", "neq": "\\ne", "cup": "∪", "bigcup": "∪", "cap": "∩", "setminus": "∖",
    "backslash": "∖", "smallsetminus": "∖", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "lfloor": "⌊", "rfloor": "⌋",
    "lceil": "⌈", "rceil": "⌉", "binom": "binom", "dbinom": "binom", "tbinom": "binom", "langle": "(", "rangle": ")", "lor": "or",
    "vee": "or", "land": "and", "wedge": "and", "colon": ":", "approx": "≈", "equiv": "≡", "bmod": "mod", "pmod": "pmod", "mod": "mod",
    "forall": "∀", "dots": "…", "ldots": "…", "cdots": "…", "dotsc": "…", "dotsb": "…", "sum": "sum", "prod": "prod", "lbrack": "[",
    "rbrack": "]", "lparen": "(", "rparen": ")", "to": "→", "ast": "*", "simeq": "≈",
}  # fmt: skip
_UNICODE = str.maketrans(
    {"−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": r"\div ", "≤": r"\le ", "≥": r"\ge ", "∪": r"\cup ",
     "∈": r"\in ", "√": r"\sqrt ", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ", "∅": r"\emptyset ", "…": r"\ldots ", "⩽": r"\le ",
     "⩾": r"\ge ",
     "≠": r"\ne ", "∩": r"\cap ", "∖": r"\setminus ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
     "ℂ": r"\mathbb{C}", "≡": r"\equiv ", "≈": r"\approx ", "∀": r"\forall ", "∣": "|", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
     "⁄": "/", "⟨": r"\langle ", "⟩": r"\rangle ", "∠": r"\angle ", "△": r"\triangle ", "∴": " ", "⌈": r"\lceil ", "⌉": r"\rceil ",
     "∑": r"\sum ", "∏": r"\prod ", "∫": r"\int ", "∧": r"\land ", "∨": r"\lor ", "￥": "¥"}
    | {sign: rf"\{name} " for name, sign in _GREEK.items()}
)  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")
_SKIPPED = (
    r"(?:\s|~|\\[,;:! ]|\\(?:left|right)\s*\.|"
    r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|boxed|fbox|rm|bf|it|nolimits|therefore)(?![A-Za-z]))+"
)


_MIXED = r"(?:\s|~|\\[,;:! ])*\\[dtc]?frac\s*\{(\d+)\}\s*\{(\d+)\}|\s+(\d+)/(\d+)"
_MIXED_END = compiled(rf"(?a)(?:{_MIXED})$")


_NUMBER_SET = r"(?:\{\s*[RZNQC]\s*\}|[RZNQC](?![A-Za-z]))(?:\s*(?:\^|_)\s*(?:\{\s*(?:[-+*]|[><]\s*0|\\geq?\s*0)\s*\}|[-+*]))?"
_SET_NAMES = {"N*": "Z+", "N+": "Z+", "Z>": "Z+", "R>": "R+"}
_CORNERS = r"\\(?:angle|triangle|widehat|overarc|overline)\s*(?:\{\s*[A-Z]{1,4}\s*\}|[A-Z]{1,4}(?![A-Za-z]))"
_ACCENT = r"\\(?:vec|overrightarrow|hat|bar|tilde|mathbf|boldsymbol|bm)(?:\s*\{\s*(?:\\[ij]math|[A-Za-z]|[A-Z]{2})\s*\}|\s+[A-Za-z])"


_SUBSCRIPT = r"(?:[A-Za-z0-9]|\\[A-Za-z]+|\{(?:[^{}]|\{[^{}]{0,30}\}){1,40}\})"
_GREEK_NAME = rf"(?:{'|'.join(_GREEK)})"
_RAISED = (  # x^2_i
    rf"(\\{_GREEK_NAME}|\\(?:sum|prod|int|log)|(?<![A-Za-z\\])[A-Za-z])"
    rf"\s?\^\s?(\{{[^{{}}]{{1,30}}\}}|[A-Za-z0-9])\s?_\s?({_SUBSCRIPT})"
)
_OPERATORS_WITH_INDEX = "log|ln|lim|max|min|sup|inf|sum|prod|int|gcd|lcm"


def _number_kinds(separators: str) -> dict[str, str]:
    integer = rf"(?:[1-9]\d{{0,2}}(?:(?:{separators})\d{{3}})+(?!\d|\s*/)|\d+)"
    return {
        "mixed": rf"{integer}(?:{_MIXED})(?!\d)",
        "repeating": r"\d*\.\d*\\(?:overline|bar)\s*(?:\{\d+\}|\d)|\d*\.\d{3,60}\s*\\(?:ldots|dots|cdots)(?![A-Za-z])",
        "based": r"\d[0-9A-Z]*_(?:\{\d{1,2}\}|\d{1,2})",
        "num": rf"{integer}(?:\.\d+)?(?:[eE][+-]?\d{{1,3}}(?![\w.]))?|\.\d+",
    }


def _one_of(kinds: dict[str, str]) -> re.Pattern[str]:
    return compiled("(?as)" + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()))


_SEPARATORS = r",\\! ?| ?\{, ?\}|\\[,;: ]|~| "
_TOKEN = _one_of({
    "space": _SKIPPED,
    **_number_kinds(_SEPARATORS + "|,"),
    "set": rf"\\(?:mathbb|mathbf|Bbb)\s*{_NUMBER_SET}|\\R(?![A-Za-z])",
    "corners": _CORNERS,
    "accent": _ACCENT,
    "text": r"\\(?:text|textbf|textit|textrm|textup|textnormal|mbox|mathrm|mathbf|mathit|boldsymbol|operatorname\*?)\s*\{[^{}]*\}",
    "matrix": r"\\(?:begin|end)\s*\{(?:[pbv]matrix|cases)\}|\\\\",
    "quad": r"\\q?quad",
    "greek": rf"\\?{_GREEK_NAME}\s?_\s?{_SUBSCRIPT}",
    "command": r"\\(?:[A-Za-z]+|.)",
    "word": rf"log(?:2|10)(?=\s?\()|(?:{_OPERATORS_WITH_INDEX})(?=\s?_)|[A-Za-z]{{2,}}(?!\s?_)",
    "sym": rf"[A-Za-z]\s?_\s?{_SUBSCRIPT}|[A-DF-Za-cf-hj-z]\d{{1,2}}(?![\w.]|\s?\^)|[A-Za-z]",
    "op": r".",
})  # fmt: skip
_NUMBER_IN_BRACKETS = _one_of(_number_kinds(_SEPARATORS))  # here a bare comma groups no thousands: (1,234) is a pair
UNIT_VECTORS = ("i⃗", "j⃗", "k⃗")
_PLAIN_WORDS = {"sqrt": "sqrt", "infinity": "∞", "inf": "∞", "oo": "∞", "union": "∪"}
_ESCAPED = {"\f": r"\f", "\b": r"\b", "\t": r"\t", "\r": r"\r", "\v": r"\v"}  # what a JSON or Python string makes of \frac, \text ...
_PLAIN_OPERATORS = {"<=": r"\le ", ">=": r"\ge ", "=<": r"\le ", "!=": r"\ne ", "=>": "=>", "&lt;": "<", "&gt;": ">"}


def normalise(source: str) -> str:
    """Delimiters of mathematics, unicode signs, plain-text operators and TeX's brace-less arguments, all as plain LaTeX."""
    if not source.isascii():
        if re.search(_CIRCLED, source):
            source = re.sub(_CIRCLED, _circled_numbers, source)
        source = re.sub(r"[⁰¹²³⁴-⁹⁻ⁿ]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", source)
        source = re.sub(r"[₀-₉ₙ]+", lambda m: "_{" + m[0].translate(_SUBSCRIPTS) + "}", source)
        source = re.sub(r"[¼-¾⅐-⅞]", _vulgar_fraction, source)
        source = re.sub(r"√(\d+|[a-z])", r"\\sqrt{\1}", source)
        source = unicodedata.normalize("NFKC", source.translate(_UNICODE))
    if not source.isprintable():
        source = re.sub(r"[\f\x08\t\r\v](?=[a-z]{2})", lambda m: _ESCAPED[m[0]], source)
    dollars = len(re.findall(r"(?<!\\)\$", source)) if "$" in source else 0
    if dollars:
        source = re.sub(r"(?<!\\)\$", r"\\$" if dollars % 2 else " ", source)  # a lone dollar sign is money
    if "\\" in source:
        source = _normalise_commands(source)
    if any(sign in source for sign in "<>!&"):
        source = re.sub(r"<(/?)sup>", lambda m: "}" if m[1] else "^{", source)
        source = re.sub(r"<=|>=|=<|(?<![\d)])!=|&[lg]t;", lambda m: _PLAIN_OPERATORS[m[0]], source)
    if any(ending in source for ending in ("th", "st", "nd", "rd")):
        source = re.sub(r"(?<=\d)\s?(?:\^\s?\{?\s?\\(?:text|mathrm)\s?\{\s?(?:st|nd|rd|th)\s?\}\s?\}?|(?:st|nd|rd|th)\b)", " ", source)
    if "_" in source:
        source = _normalise_subscripts(source)
    source = _normalise_plain_forms(source.replace("...", r"\ldots "))
    if "." in source:
        source = re.sub(r"\.(?=\s*(?:\\right)?\s*[\])])", "", source)  # punctuation that slipped inside the brackets
    source = spell_compound_units(source.rstrip(" ."))
    while source and (source[-1] in ".,; \\" or source.endswith("\\!")):
        source = source[: -2 if source[-2:-1] == "\\" else -1]
    if source.endswith("}") and not source.endswith("\\}") and source.count("}") - source.count("{") == 1:
        source = source[:-1]  # the end of a box, or of nothing
    return source.strip()


def _normalise_subscripts(source: str) -> str:
    r"""Subscripts before superscripts, as in x_i^2 for x^2_i; numbers to a base as digits_base; plus_minus as programs write it."""
    source = source.replace("plus_minus", r"\pm ").replace("minus_plus", r"\mp ")
    if "^" in source:
        source = re.sub(_RAISED, r"\1_\3^\2", source)
    source = re.sub(_BASE_IN_WORDS, lambda m: f"_{{{ONES[m[1]]}}}", source)
    return re.sub(_IN_BASE, _digits_in_base, source)


_BASE = r"_\s?(?:\{\s?(\d{1,2})\s?\}|(\d{1,2}))(?![\w^])"
_IN_BASE = (
    rf"\(?(\d{{0,60}})\\(?:text|mathrm|mathit|texttt|mathtt)\s?\{{\s?([0-9A-Za-z]{{1,60}})\s?\}}(\d{{0,60}})\)?{_BASE}"
    rf"|\((\d[0-9A-Z]{{0,60}})\){_BASE}|(?<![A-Za-z\d\\_.,}}])([A-F][0-9A-F]{{1,60}}){_BASE}"
)
_BASES = (*list(ONES)[2:13], "sixteen")
_BASE_IN_WORDS = rf"(?<=[\dA-F)}}])_\s?\{{\s?(?:\\text\s?\{{)?\s?({'|'.join(_BASES)})\s?\}}{{1,2}}"


def _digits_in_base(match: re.Match[str]) -> str:
    r"""\text{A3}_{16} as 0A3_{16}, where these are digits of that base."""
    *parts, base = (part for part in match.groups() if part)
    digits = "".join(parts)
    if len(digits) == 1 and digits.isalpha() and "math" in match[0]:  # \mathrm{A}_{12} is a symbol
        return match[0]
    known = in_base(digits, int(base)) is not None and (int(base) > 10 or not digits.isalpha())
    return f" 0{digits.upper()}_{{{base}}}" if known else match[0]


def _circled_numbers(match: re.Match[str]) -> str:
    """①③④, the numbers of statements, as 1, 3, 4."""
    return ", ".join(str(int(unicodedata.numeric(sign))) for sign in match[0] if sign.isnumeric())


_CIRCLED = r"[①-⑳❶-❿➀-➓⑴-⒇](?:[\s、，,和及与]*[①-⑳❶-❿➀-➓⑴-⒇])*"
_CODES = rf"(?:(?<![A-Za-z\\{{])|\\(?:text|mathrm)\s?\{{\s?)({'|'.join(CURRENCY_CODES)})(?:(?<=Rs)\.)?\s?\}}?\s?(?=\d)"


def _normalise_plain_forms(source: str) -> str:
    """Emphasis, ** for a power, 3x10^8, prices with a decimal comma, U between intervals; ≈ or = before everything."""
    if "*" in source:
        source = re.sub(r"^\*\*([^*]{1,200})\*\*$", r"\1", source.strip()).replace("**", "^")
    if "10" in source:
        source = re.sub(r"(?<=\d)\s?[xX]\s?(?=10\s?\^)", r"\\times ", source)
    if "," in source and any(sign in source for sign in "$€£"):
        price = r"((?:\\?\$|€|£)\s?\d{1,9}),(\d\d)(?![\d,])|(?<![\d,.])(\d{1,9}),(\d\d)(?=\s?(?:\\?\$|€|£)(?!\s?\d))"
        source = re.sub(price, lambda m: ".".join(part for part in m.groups() if part), source)
    if source.count(".") > 1:
        source = re.sub(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3}){2,6}(?![\d.]*\d)", lambda m: m[0].replace(".", ""), source)
    if "{,}" in source:
        source = re.sub(r"(?<=\d)\{,\}(?=(?:\d{1,2}|\d{4,15})(?!\d|\{,\}))", ".", source)
    if "_" in source:
        source = re.sub(r"(?<=[A-Za-z])_\s?\{\s*\\(?:(max|min|sup|inf)\s*|(?:text|mathrm|rm)\s*\{\s*([A-Za-z0-9]{1,12})\s*\}\s*)\}",
                        lambda m: f"_{{{m[1] or m[2]}}}", source)  # fmt: skip
    if "$" in source or (any(code in source for code in CURRENCY_CODES) and re.search(_CODES, source)):
        source = re.sub(r"(?<![A-Za-z\\])US\s?(?=\\?\$\s?\d)", "", source)
        source = re.sub(r"(?<![A-Za-z\\])(CA|AU|HK|NZ|SG)\s?\\?\$\s?(\d[\d,]{0,20}(?:\.\d{1,9})?)", r"\2\\text{ \1D}", source)
        source = re.sub(_CODES, lambda m: CURRENCY_CODES[m[1]], source)
    if "U" in source:
        source = re.sub(r"(?<=[\])}])\s?U\s?(?=[\[(\\{])", r"\\cup ", source)
    if "°" in source:
        source = re.sub(r"°\s*(?:\\(?:text|mathrm)\s*\{\s*([CF])\s*\}|([CF])(?![A-Za-z]))", r"\\text{°\1\2}", source)
    if " in " in source:
        source = re.sub(r"^([A-Za-z]) in (?=[\[({\\])", r"\1 \\in ", source)
    return re.sub(r"^\s*(?:=|\\approx(?![a-z])|≈)(?=[^=])", "", source) if source.lstrip()[:1] in ("=", "\\", "≈") else source


_BARE_ARGUMENT = r"(?:frac|binom)(?!\s*\{[^{}]*\}\s*\{)"


def _normalise_commands(source: str) -> str:
    if "\\\\" in source and all(len(run) % 2 == 0 for run in re.findall(r"\\+(?=[A-Za-z])", source) or [""]):
        source = source.replace("\\\\", "\\")  # written by a program that escaped them all
    if r"\begin" in source:
        source = _arrays_as_matrices(source)
    elif "\\\\" in source:
        source = re.sub(r"\\\\(?=[A-Za-z])", r"\\", source)  # outside a matrix a line break before a letter is an escape too many
    if "\\(" in source or "\\[" in source or "\\)" in source or "\\]" in source:
        source = re.sub(r"\\\\|\\[()\[\]]", lambda m: m[0] if m[0] == "\\\\" else " ", source)
    if r"\dot" in source:
        source = re.sub(
            r"(\.\d*)\\dot\s*\{?(\d)\}?(?:(\d*)\\dot\s*\{?(\d)\}?)?",
            lambda m: rf"{m[1]}\overline{{{m[2]}{m[3] or ''}{m[4] or ''}}}",
            source,
        )
    if r"\prime" in source:
        source = re.sub(r"\^\s*(?:\{\s*((?:\\prime\s*){1,3})\}|\\prime(?![a-z]))", lambda m: "'" * max(1, m[0].count("prime")), source)
    if r"\circ" in source or r"\degree" in source:
        source = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])", "°", source)
    if ("frac" in source or "binom" in source) and re.search(_BARE_ARGUMENT, source):
        source = re.sub(r"(\\[dtc]?(?:frac|binom))\s*(\d)\s*(\d)", r"\1{\2}{\3}", source)
        source = re.sub(r"(\\[dtc]?(?:frac|binom))\s+([A-Za-z])\s*(\d)", r"\1{\2}{\3}", source)  # \frac x2 has no x_2
        source = re.sub(r"(\\[dtc]?(?:frac|binom))\s*(\d)\s*(?=[{\\])", r"\1{\2}", source)
        source = re.sub(
            r"(\\[dtc]?(?:frac|binom))(?:\s+([A-Za-z])|\s*(\d))\s*([A-Za-z\d])(?![A-Za-z]?_)", r"\1{\2\3}{\4}", source
        )  # x2, ab
        source = re.sub(r"(\\[dtc]?(?:frac|binom)\s*\{[^{}]{0,80}\})\s*([A-Za-z])(?=[A-Za-z\d])", r"\1{\2}", source)
    if r"\sqrt" in source:
        source = re.sub(r"\\sqrt\s+([A-Za-z])(?=[A-Za-z\d])", r"\\sqrt{\1}", source)
    if r"\choose" in source:
        part = r"((?:[^{}=]|\{[^{}]{0,40}\}){1,60}?)"
        source = re.sub(rf"\{{{part}\\choose(?![a-z]){part}\}}", r"\\binom{\1}{\2}", source)
        source = re.sub(rf"^{part}\\choose(?![a-z]){part}$", r"\\binom{\1}{\2}", source)
    if r"\angle" in source or r"\triangle" in source:
        source = re.sub(r"(?:(?<![A-Za-z])m\s?)?\\angle", r"\\angle", re.sub(r"_\s*\{\s*\\triangle\s*([A-Z]{1,4})\s*\}", r"_{\1}", source))
    source = _without_wrappers(source)
    return re.sub(r"(\\log\s*_)\s*(\d)", r"\1{\2}", source) if r"\log" in source else source


_ARRAYS = r"\s*\{(?:array|matrix|smallmatrix|aligned)\}"
_ARRAY = rf"\\begin{_ARRAYS}(?:\s*\{{[^{{}}]*\}})?((?:(?!\\(?:begin|end)\s*\{{)[^\0])*)\\end{_ARRAYS}"
_LEFT = r"(?:\\left\s*|\\[bB]igg?l?\s*)?"
_RIGHT = r"(?:\\right\s*|\\[bB]igg?r?\s*)?"


def _arrays_as_matrices(source: str) -> str:
    r"""Arrays and matrices in brackets as pmatrix, in bars as vmatrix, behind a brace as cases; after \left, \bigl or nothing."""
    if "array" in source or "smallmatrix" in source or "aligned" in source:
        source = re.sub(rf"{_LEFT}[\[(]\s*{_ARRAY}\s*{_RIGHT}[\])]", r"\\begin{pmatrix}\1\\end{pmatrix}", source)
        source = re.sub(rf"{_LEFT}\|\s*{_ARRAY}\s*{_RIGHT}\|", r"\\begin{vmatrix}\1\\end{vmatrix}", source)
        source = re.sub(r"\\left\s*[\[(]\s*\\begin\s*\{array\}(?:\{[^{}]*\})?", r"\\begin{pmatrix}", source)
        source = re.sub(rf"{_LEFT}\\\{{\s*\\begin\s*\{{(?:array|aligned)\}}(?:\{{[^{{}}]*\}})?", r"\\begin{cases}", source)
        source = re.sub(r"\\end\s*\{(?:array|aligned)\}\s*(?:\\right\s*[\])])?", r"\\end{pmatrix}", source)
    return re.sub(r"(\\(?:begin|end)\s*)\{d?([Bbpv]?)(?:small)?(matrix|cases)\*?\}", _environment, source)


def _without_wrappers(source: str) -> str:
    r"""Numbers and capitals that stand in \text{...} or under other emphasis, without it; \color{red} and \mathrm{m\,s^{-1}} plain."""
    if r"\color" in source or r"\textcolor" in source:
        source = re.sub(r"\\(?:text)?color\s*\{[a-zA-Z]{1,20}\}", "", source)
    if r"\under" in source:
        source = re.sub(r"\\underline\s*\{([^{}]*)\}", r"{\1}", source)
    if r"\text" not in source and r"\math" not in source and r"\mbox" not in source:
        return source
    source = re.sub(
        r"(\\(?:text|mathrm|mbox|textbf|textit|textrm)\s*\{[^{}\\]*)\\(?:text|mathrm|textbf|textit)\s*\{([^{}]*)\}\s*\}", r"\1\2}", source
    )
    return re.sub(r"\\(?:text|textbf|mathbf|mathrm|textit|mbox)\s*\{([\d.,/%+ -]*|[A-Z](?:, ?[A-Z])+)\}", r" \1 ", source)


def _environment(match: re.Match[str]) -> str:
    if match[2] == "V":  # a norm
        return match[0]
    return match[1] + ("{cases}" if match[3] == "cases" else "{vmatrix}" if match[2] == "v" else "{pmatrix}")


def tokenize(source: str) -> list[Token]:
    found: list[Token] = []
    position, depth, spaced, quad = 0, 0, False, -1
    while position < len(source):
        kind, text = _short_token(source, position)
        if not kind:
            match = _TOKEN.match(source, position)
            if depth and match is not None and match.lastgroup in ("num", "mixed") and "," in match[0]:
                match = _NUMBER_IN_BRACKETS.match(source, position)
            assert match is not None  # the last alternative takes any character
            kind, text = str(match.lastgroup), match[0]
        position += len(text)
        if kind == "quad":
            quad = len(found)
        elif kind != "space":
            if quad == len(found) and depth == 0 and found and _is_item_end(found[-1]) and (text[0].isalnum() or text in _ITEM_STARTS):
                found.append(Token("op", ",", True))
            token = _token(kind, text, spaced, called=kind in ("word", "text") and _CALLED.match(source, position) is not None)
            if (
                kind == "text"
                and token.kind == "sym"
                and token.text.isupper()
                and found
                and found[-1].kind in ("num", "mixed", "repeating")
            ):
                token = Token("text", token.text, spaced)  # 20\text{ N} is newtons, \text{N} alone a choice
            found.append(token)
            depth = max(0, depth + (text in ("(", "[", "\\{") or (text == "]" and not depth)) - (text in (")", "]", "\\}") and depth > 0))
        spaced = kind in ("space", "quad")
    return found


def _short_token(source: str, position: int) -> tuple[str, str]:
    """A token of one character that no pattern could make longer, which most are; two empty texts where the patterns have to say."""
    first = source[position]
    if first == " ":
        return "space", first
    if first in _SIGNS:
        return "op", first
    if first in _ALPHANUMERIC and source[position + 1 : position + 2] in _STOPS:
        return ("num" if first.isdigit() else "sym"), first
    return "", ""


_SIGNS = frozenset("+-*/=()[]{}|^_<>,;:!&%$'\"?#@`")
_STOPS = frozenset("+-*/=()[]}|^<>;:!&%$'") | {""}
_ALPHANUMERIC = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CALLED = compiled(r"(?:\s|\\left|\\[bB]igg?l?)*[(\[]")
_ITEM_STARTS = ("(", "-", "\\frac", "\\dfrac", "\\tfrac", "\\sqrt", "\\pi", "\\left")


def _is_item_end(token: Token) -> bool:
    """Whether wide space behind this separates two answers, as in "2 \\quad 3"; behind a comma or a word it only sets them apart."""
    return token.kind in ("num", "mixed", "repeating", "sym", "set") or token.text in (")", "]", "}", "\\}")


def _token(kind: str, text: str, spaced: bool, *, called: bool) -> Token:
    name = text
    if kind in ("corners", "accent"):
        return _accented_token(text, spaced)
    if kind == "text":
        name = " ".join(text[text.index("{") + 1 : -1].split())
        if re.fullmatch(r"\(?([A-Z])\)?|[ei]", name) or (len(name) == 1 and text.startswith(("\\mathbf", "\\bold", "\\mathit"))):
            return Token("sym", name.strip("()"), spaced)
    elif kind == "command":
        name, kind = text[1:], "op"
        if name in _GREEK:
            return Token("sym", name, spaced)
        text = _COMMANDS.get(name, text)
    elif kind == "word" and text in _PLAIN_WORDS:
        return Token("op", _COMMANDS.get(text, _PLAIN_WORDS[text]), spaced)
    elif kind == "word" and text in _GREEK:
        return Token("sym", text, spaced)
    elif kind == "based":
        text = re.sub(r"[{}\s]", "", text)
    elif kind in ("sym", "greek") and len(text) > 1:
        return Token("sym", _symbol_name(text), spaced)
    if kind in ("text", "word") and name in ("and", "or", "mod"):
        return Token("op", name, spaced)
    if kind in ("op", "text", "word") and len(name) > 1 and (function := function_named(name, _way_of_writing(kind, text), called=called)):
        return Token("func", function, spaced)
    if kind == "set":
        name = "".join(c for c in text.replace("\\ge", ">=").replace("Bbb", "") if c in "RZNQC+-*><=")
        return Token("set", _SET_NAMES.get(name, name), spaced)
    return Token(kind, name if kind == "text" else text, spaced)


def _symbol_name(text: str) -> str:
    r"""x_2 for x_{2} and x2, lambda_max for \lambda_{\text{max}}; x_{i,j} keeps its braces."""
    base, mark, index = "".join(text.split()).lstrip("\\").partition("_")
    if not mark:
        return f"{base[0]}_{base[1:]}"
    if index[0] == "{":
        index = re.sub(r"\\(?:text|mathrm|mathit|operatorname|textrm|rm)(?![a-z])(?:\{([^{}]*)\})?|\\[,;:! ]", r"\1", index[1:-1])
    index = index.replace("\\", "")
    return f"{base}_{index}" if index.isalnum() else f"{base}_{{{index}}}"


def _way_of_writing(kind: str, text: str) -> str:
    """How a name is written, for `function_named`."""
    if kind == "text":
        return "operator" if text.startswith(("\\operatorname", "\\mathrm")) else "text"
    return "command" if kind == "op" else kind


def _accented_token(text: str, spaced: bool) -> Token:
    r"""A letter under an accent, and the points of a segment, angle or arc, as one symbol; bold or hatted i, j, k are unit vectors."""
    command = text[1 : re.search(r"[\s{]", text).start()]  # type: ignore[union-attr]
    letters = re.sub(r"[\s{}]|\\|math", "", text[1 + len(command) :])
    if letters in ("i", "j", "k") and command not in ("bar", "tilde"):
        return Token("sym", UNIT_VECTORS["ijk".index(letters)], spaced)
    if command in ("mathbf", "boldsymbol", "bm"):
        return Token("sym" if len(letters) == 1 else "word", letters, spaced)
    return Token("sym", f"{command}:{letters}", spaced)


def _vulgar_fraction(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match[0]).partition("⁄")
    return rf"\frac{{{top}}}{{{bottom or 10}}}"


def numeral(text: str) -> tuple[Fraction, int] | None:
    r"""The value of a "num", "repeating" or "mixed" token, and its decimals if it is one plain decimal. 1.5e3 is exactly 1500.

    In 0.1\overline{6} the repeated block of length r behind d decimals is block / (10^r - 1) / 10^d. 2\frac{1}{2} and 2 1/2 are 5/2:
    an integer before a written fraction below 1 is added to it; before another fraction it multiplies. None where neither reads it.
    """
    if len(text) < 19 and text.isdigit() and text.isascii():
        return Fraction(int(text)), 0
    mixed = _MIXED_END.search(text) if "/" in text or "frac" in text else None
    if mixed:
        whole, top, bottom = numeral(text[: mixed.start()]), *(int(part) for part in mixed.groups() if part)
        if whole is None or not bottom or (top >= bottom and mixed[3]):
            return None
        return (whole[0] + Fraction(top, bottom) if 0 < top < bottom else whole[0] * Fraction(top, bottom)), 0
    if "dots" in text:
        return _repeating_decimal(text[: text.index("\\")].rstrip())
    plain, bar, block = text.partition("\\overline") if "\\overline" in text else text.partition("\\bar")
    digits = "".join(c for c in plain if c.isdigit() or c in ".eE+-")
    if bar:
        repeated = "".join(c for c in block if c.isdigit())
        decimals = len(digits.partition(".")[2])
        return Fraction(f"0{digits}0") + Fraction(int(repeated), (10 ** len(repeated) - 1) * 10**decimals), 0
    return Fraction(digits), 0 if "e" in digits.lower() else len(digits.partition(".")[2])


def in_base(digits: str, base: int) -> int | None:
    """None where a digit is none of this base."""
    if not 2 <= base <= 36:
        return None
    value = 0
    for digit in digits:
        if (n := int(digit, 36)) >= base:
            return None
        value = value * base + n
    return value


def _repeating_decimal(digits: str) -> tuple[Fraction, int] | None:
    """0.333... and 0.1666... and 0.142857142857...: the shortest block written at the end three times, or twice if it has two digits."""
    whole, _, decimals = digits.partition(".")
    for length in range(1, len(decimals) // 2 + 1):
        block, times = decimals[-length:], 3 if length == 1 else 2
        if decimals.endswith(block * times):
            return numeral(f"{whole or 0}.{decimals[:-length]}\\overline{{{block}}}")
    return None
