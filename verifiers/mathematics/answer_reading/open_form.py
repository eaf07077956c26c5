r"""Whether an answer is an open form: an operation that is written and not carried out, and so may only restate the question.

`is_open_form` looks at the tokens of a text, `needs_algebra` at a value: which operations stand in it that no evaluator here carries out.
"""

import unicodedata
from functools import lru_cache
from itertools import takewhile

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.calculus_parser import CODED_INTEGRALS, derivative_head
from verifiers.mathematics.answer_reading.latex_tokens import Token, normalise, tokenize
from verifiers.mathematics.answer_reading.token_cursor import TokenCursor, nesting
from verifiers.mathematics.arithmetic.exact_sums import CONSTANTS, Call, Expr, atoms

ALGEBRA = frozenset({"integral", "antiderivative", "limit", "derivative", "series", "product"})
_OPEN_OPERATORS = frozenset({"sum", "prod", "\\int", "\\iint", "\\iiint", "\\oint", "\\lim", "∏", "∑", "∫", "∩"})
_ROUNDED = {"⌊": "⌋", "⌈": "⌉"}
_LONGEST = 4000  # characters that are looked at: more than are read
_HINT = compiled(  # each alternative begins with a letter or sign of its own, for which the search looks first
    r"sum|prod|int|Int|lim|gcd|lcm|mcm|max|Max|min|Min|mod|det|∑|∏|∫|∪|∩|⌊|⌈|d\s?[}^{]|matrix|array|cup|cap|union|floor|ceil"
)


def needs_algebra(value: Expr) -> bool:
    return any(isinstance(name, Call) and name.head in ALGEBRA for name in atoms(value))


def is_open_form(text: str) -> bool:
    """Whether an answer contains a sum, product, gcd, extreme, remainder, integral, limit or derivative (a modulus is no remainder); a
    determinant, a power or product of matrices, an intersection, a union of lists of elements, or a rounded constant."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text[:_LONGEST])
    return bool(_HINT.search(plain)) and _has_open_form(text)


@lru_cache(maxsize=1024)
def _has_open_form(text: str) -> bool:
    tokens = tokenize(normalise(text[:_LONGEST]))
    congruence = any(token.text == "≡" for token in tokens)
    tokens = tokens if congruence else _without_questions(tokens)
    return any(_is_operation(tokens, at, congruence) for at in range(len(tokens)))


def _is_operation(tokens: list[Token], at: int, congruence: bool) -> bool:
    kind, name, _ = tokens[at]
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if name == "frac":
        return derivative_head(tokens, at + 1) is not None
    match kind:
        case "func":
            return name in ("gcd", "lcm", "det") or (name in ("max", "min") and following in ("(", "{", "\\{", "[", "_"))
        case "word":
            return name in CODED_INTEGRALS and following == "("
        case "matrix":
            return name.endswith("{vmatrix}") or (name == "\\end{pmatrix}" and _computes_on(tokens, at + 1))
        case "op" if name in _ROUNDED:
            return _is_constant(tokens, at + 1, _ROUNDED[name])
        case "op" if name == "∪":
            return at > 0 and tokens[at - 1].text in ("\\}", "}") and following in ("\\{", "{")
        case "op":
            return name in _OPEN_OPERATORS or (name == "mod" and not congruence)
    return False


def _without_questions(tokens: list[Token]) -> list[Token]:
    r"""What stands behind the last "=" of each part: 6 of \gcd(12,18) = 6. All of \max(a,b) = M, where a letter only names the maximum."""
    kept: list[Token] = []
    start = depth = 0
    for at, token in enumerate(tokens):
        depth = max(0, depth + nesting(token) + token.text.startswith("\\begin") - token.text.startswith("\\end"))
        if depth == 0 and token.text in ("=", ",", ";", "and", "or"):
            if token.text != "=" or _is_name(tokens[at + 1 :]):
                kept += tokens[start : at + 1]
            start = at + 1
    return kept + tokens[start:]


def _is_name(tokens: list[Token]) -> bool:
    return len(tokens) == 1 and tokens[0].kind in ("sym", "word") and tokens[0].text not in CONSTANTS


def _computes_on(tokens: list[Token], at: int) -> bool:
    r"""Whether a matrix goes on as a power or product with another matrix or a number; ^T only sets a column as a row."""
    cursor = TokenCursor(tokens)
    cursor.at = at
    while cursor._next_op(")"):
        cursor.at += 1
    if cursor._take("^"):
        return not cursor._transpose_mark()
    while cursor._next_op("*", "("):
        cursor.at += 1
    token = cursor._peek()
    return token.kind in ("num", "mixed") or token.text.startswith("\\begin")


def _is_constant(tokens: list[Token], at: int, closing: str) -> bool:
    """Whether no letter but those of constants stands up to the closing bracket."""
    inside = takewhile(lambda token: token.text != closing, tokens[at:])
    return all(token.kind not in ("word", "text") and (token.kind != "sym" or token.text in CONSTANTS) for token in inside)
