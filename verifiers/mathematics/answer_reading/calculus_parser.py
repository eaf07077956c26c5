r"""Integrals, limits, derivatives and sums with symbolic bounds: read into calls that only an algebra system can decide.

They become calls with heads of `ALGEBRA`, of which the certified evaluator knows nothing. A bound variable is the atom #0, #1, ... by how
deep its operator stands, so that it is no symbol and its letter does not matter. An integrand ends with its differential, which may stand
in a numerator; an integral without bounds stands for all its antiderivatives. Left out: multiple integral signs, partial derivatives,
derivatives of unknown functions, and index sets other than a first and a last integer.

`is_open_form` is the other half of the subject: whether an answer contains such an operation, or another that may only restate a question.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.expression_parser import ExpressionParser
from verifiers.mathematics.answer_reading.latex_tokens import Token, normalise, tokenize
from verifiers.mathematics.answer_reading.values import Value, expression
from verifiers.mathematics.arithmetic.exact_sums import CONSTANTS, Expr, Unreadable, add, atom, atoms, call, multiply, rational, sum_of
from verifiers.mathematics.arithmetic.exact_sums import Call as FunctionCall

ALGEBRA = frozenset({"integral", "antiderivative", "limit", "derivative", "series", "product"})

MAX_LISTED = 400  # terms of a sum that are added up one by one; more of them are left to algebra
MAX_ORDER = 9  # of a derivative
_ARROWS = ("→", "\\rightarrow", "\\longrightarrow")
_OPEN_OPERATORS = frozenset({"sum", "prod", "\\int", "\\iint", "\\iiint", "\\oint", "\\lim", "∏", "∑", "∫", "∩"})
_CODED_INTEGRALS = frozenset({"int", "integrate", "Integral"})
_ROUNDED = {"⌊": "⌋", "⌈": "⌉"}
_LONGEST = 4000  # characters that are looked at: more than are read
_HINT = compiled(  # each alternative begins with a letter or sign of its own, for which the search looks first
    r"sum|prod|int|Int|lim|gcd|lcm|mcm|max|Max|min|Min|mod|det|∑|∏|∫|∪|∩|⌊|⌈|d\s?[}^{]|matrix|array|cup|cap|union|floor|ceil"
)


def needs_algebra(value: Expr) -> bool:
    return any(isinstance(name, FunctionCall) and name.head in ALGEBRA for name in atoms(value))


def is_open_form(text: str) -> bool:
    """Whether an answer contains a sum, product, gcd, extreme, remainder, integral, limit or derivative (a modulus is no remainder); a
    determinant, a power or product of matrices, an intersection, a union of lists of elements, or a rounded constant."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text[:_LONGEST])
    return bool(_HINT.search(plain)) and _has_open_form(text)


@lru_cache(maxsize=1024)
def _has_open_form(text: str) -> bool:
    tokens = tokenize(normalise(text[:_LONGEST]))
    congruence = any(token.text == "≡" for token in tokens)
    tokens = tokens if congruence else _results(tokens)
    for at, (kind, name, _) in enumerate(tokens):
        following = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if kind == "op" and (name in _OPEN_OPERATORS or (name == "mod" and not congruence)):
            return True
        if kind == "func" and (name in ("gcd", "lcm", "det") or (name in ("max", "min") and following in ("(", "{", "\\{", "[", "_"))):
            return True
        if kind == "word" and name in _CODED_INTEGRALS and following == "(":
            return True
        if name == "frac" and _derivative_head(tokens, at + 1) is not None:
            return True
        if kind == "matrix" and (name.endswith("{vmatrix}") or (name == "\\end{pmatrix}" and _computes_on(tokens, at + 1))):
            return True
        if kind == "op" and name == "∪" and at and tokens[at - 1].text in ("\\}", "}") and following in ("\\{", "{"):
            return True
        if kind == "op" and name in _ROUNDED and _is_constant(tokens, at + 1, _ROUNDED[name]):
            return True
    return False


def _results(tokens: list[Token]) -> list[Token]:
    r"""The tokens without what an "=" outside brackets goes on from: 6 of \gcd(12,18) = 6, the maximum of 4 = \max(3,4)."""
    kept: list[Token] = []
    start = depth = 0
    for at, token in enumerate(tokens):
        opening = token.text in ("(", "[", "{", "\\{") or token.text.startswith("\\begin")
        closing = token.text in (")", "]", "}", "\\}") or token.text.startswith("\\end")
        depth = max(0, depth + opening - closing)
        if depth == 0 and token.text in ("=", ",", ";", "and", "or"):
            named = (
                at + 2 == len(tokens) and tokens[-1].kind in ("sym", "word") and tokens[-1].text not in CONSTANTS
            )  # \max(a,b) = M names the maximum
            kept += tokens[start : at + 1] if named or token.text != "=" else []
            start = at + 1
    return kept + tokens[start:]


def _computes_on(tokens: list[Token], at: int) -> bool:
    r"""Whether a matrix goes on as a power or product with another matrix or a number; ^T only sets a column as a row."""
    cursor = ExpressionParser(tokens)
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
    while at < len(tokens) and tokens[at].text != closing:
        if tokens[at].kind in ("word", "text") or (tokens[at].kind == "sym" and tokens[at].text not in CONSTANTS):
            return False
        at += 1
    return True


# ---------------------------------------------------------------- tokens


def mark_integrals(tokens: list[Token]) -> list[Token]:
    r"""The tokens, with each \int and its differential made one pair: kinds "int" and "diff", the variable as text."""
    if not any(token.text == "\\int" for token in tokens):
        return tokens
    found: list[Token] = []
    waiting: list[int] = []
    at = 0
    while at < len(tokens):
        kind, text, spaced = tokens[at]
        if text == "frac" and (head := _derivative_head(tokens, at + 1)) is not None:
            found += tokens[at : head[2]]
            at = head[2]
            continue
        if text == "\\int":
            waiting.append(len(found))
        following = tokens[at + 1] if at + 1 < len(tokens) else Token("end", "", False)
        before, variable, length = _differential(kind, text, following)
        if variable:  # one that closes no integral is left over, and refused where it stands
            found += [Token("sym", letter, False) for letter in before]
            if waiting:
                found[waiting.pop()] = Token("int", variable, False)
            found.append(Token("diff", variable, spaced))
            at += length
        else:
            found.append(tokens[at])
            at += 1
    return found


def _differential(kind: str, text: str, following: Token) -> tuple[str, str, int]:
    """What stands before a differential in the same token, its variable, and how many tokens it is: xdx, d x, dθ."""
    if kind == "word" and 2 <= len(text) <= 3 and text[-2] == "d":
        return text[:-2], text[-1], 1
    if text == "d" and kind in ("sym", "text") and following.kind == "sym":
        return "", following.text, 2
    return "", "", 0


def _derivative_head(tokens: list[Token], at: int) -> tuple[int, str, int] | None:
    r"""Order, variable and next position, where \frac{d^n}{dx^n} goes on at `at`."""
    texts = [token.text for token in tokens[at : at + 16]]
    order, used = 1, 0
    if texts[:3] == ["{", "d", "}"]:
        used = 3
    elif texts[:2] == ["d", "{"]:
        used = 1
    elif texts[:3] == ["{", "d", "^"] and texts[4:5] == ["}"] and texts[3].isdigit():
        order, used = int(texts[3]), 5
    elif texts[:4] == ["{", "d", "^", "{"] and texts[5:7] == ["}", "}"] and texts[4].isdigit():
        order, used = int(texts[4]), 7
    rest = texts[used:]
    if not used or not 1 <= order <= MAX_ORDER or rest[:1] != ["{"]:
        return None
    if len(rest) > 1 and re.fullmatch("d[A-Za-z]", rest[1]):
        variable, used, rest = rest[1][1], used + 2, rest[2:]
    elif rest[1:2] == ["d"] and len(rest) > 2 and tokens[at + used + 2].kind == "sym":
        variable, used, rest = rest[2], used + 3, rest[3:]
    else:
        return None
    written = {1: [["}"]]}.get(order, []) or [["^", str(order), "}"], ["^", "{", str(order), "}", "}"]]
    for end in written:
        if rest[: len(end)] == end:
            return order, variable, at + used + len(end)
    return None


# ---------------------------------------------------------------- grammar


class CalculusParser(ExpressionParser):
    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(mark_integrals(tokens))
        self.level = 0  # operators that bind a variable, open here

    def _at_factor(self) -> bool:
        return super()._at_factor() or self._peek().kind == "int" or self._next_op("\\lim")

    def _product(self) -> Value:
        """A product may end with the differential of an open integral."""
        value = super()._product()
        return self._times(value, self._differential()) if self._peek().kind == "diff" else value

    def _read_primary(self) -> Value:
        kind, text, _ = self._peek()
        if kind == "int":
            self.at += 1
            return self._integral(text)
        if kind == "word" and text in _CODED_INTEGRALS and self._peek(1).text == "(":
            return self._coded_integral()
        if kind == "diff":
            return self._differential()
        if kind == "op" and text == "\\lim":
            self.at += 1
            return self._limit()
        if kind == "op" and text in ("sum", "prod"):
            return self._series(text)
        if kind == "op" and text == "frac":
            if (head := _derivative_head(self.tokens, self.at + 1)) is not None:
                return self._derivative(*head)
            self._refuse_quotient_of_differentials()
        return super()._read_primary()

    def _refuse_quotient_of_differentials(self) -> None:
        r"""\frac{dy}{dx} is not y/x."""
        words = [self._peek(ahead) for ahead in (2, 5)]
        if all(token.kind == "word" and re.fullmatch("d[A-Za-z]", token.text) for token in words):
            raise Unreadable

    def _differential(self) -> Expr:
        if not self.differentials or self.differentials[-1][0] != self._peek().text:
            raise Unreadable
        self.at += 1
        return atom(self.differentials[-1][1])

    def _within(self, variable: str, read: Callable[[], Value]) -> tuple[Expr, Expr]:
        """A body read with its variable bound, and the atom that the variable is in it."""
        outer, bound = self.bound, atom(f"#{self.level}")
        self.bound = outer | {variable: bound}
        self.level += 1
        body = expression(read())
        self.level -= 1
        self.bound = outer
        return body, bound

    def _integral(self, variable: str) -> Expr:
        low = high = None
        while self._next_op("_", "^"):
            if self._take("_"):
                low = self._limit_of_integration()
            elif self._take("^"):
                high = self._limit_of_integration()
        self.differentials.append((variable, f"#d{self.level}"))
        if low is not None and high is not None:
            body, bound = self._within(variable, self._integrand)
            self.differentials.pop()
            return call("integral", body, bound, low, high)
        if low is not None or high is not None or variable in self.bound:
            raise Unreadable
        body = self._integrand()
        self.differentials.pop()
        return call("antiderivative", body, atom(variable))

    def _coded_integral(self) -> Expr:
        """int(f(x), (x, a, b)) and int(f(x), x), as algebra systems write them."""
        self.at += 2
        ahead = depth = 0
        while depth or self._peek(ahead).text != ",":
            depth += (self._peek(ahead).text in ("(", "[", "{")) - (self._peek(ahead).text in (")", "]", "}"))
            if depth < 0 or self._peek(ahead).kind == "end":
                raise Unreadable
            ahead += 1
        bounded = self._peek(ahead + 1).text == "("
        variable = self._peek(ahead + 1 + bounded)
        if variable.kind != "sym" or variable.text in self.bound:
            raise Unreadable
        if bounded:
            body, bound = self._within(variable.text, self._sum)
            self.at += 3  # the comma, the bracket, the variable
            self._expect(",")
            low = self._limit_in_code()
            self._expect(",")
            found = call("integral", body, bound, low, self._limit_in_code())
            self._expect(")")
        else:
            found = call("antiderivative", expression(self._sum()), atom(variable.text))
            self.at += 2
        self._expect(")")
        return found

    def _limit_in_code(self) -> Expr:
        return atom("∞") if self._take("∞") else expression(self._sum())

    def _limit_of_integration(self) -> Expr:
        if self._next_op("+", "-"):
            raise Unreadable
        if self._take("∞"):
            return atom("∞")
        return expression(self._primary()) if self._next_op("{") else self._argument()

    def _integrand(self) -> Expr:
        """Products up to and with the one that holds the differential, which is then taken out."""
        dx = self.differentials[-1][1]
        total = rational(0)
        while True:
            part = expression(self._product())
            if dx in atoms(part):
                break
            total = add(total, part)
            if not self._next_op("+", "-"):
                raise Unreadable
        if any(dict(monomial).get(dx) != 1 for monomial, _ in part.terms):
            raise Unreadable
        taken = sum_of((tuple(factor for factor in monomial if factor[0] != dx), c) for monomial, c in part.terms)
        if dx in atoms(taken):
            raise Unreadable
        return add(total, taken)

    def _limit(self) -> Expr:
        r"""_{x \to a} body, or a^+ and a^-."""
        self._expect("_")
        self._expect("{")
        variable = self._peek()
        self.at += 1
        if variable.kind != "sym" or not self._take(*_ARROWS):
            raise Unreadable
        ends = ([text for text in ("+", "-") if [self._peek(1).text, self._peek(2).text] == ["^", text]] or [""])[0]
        if ends:
            target, side = expression(self._primary()), ends
            self.at += 2
        else:
            target, side = expression(self._quantity()), ""
            if self._next_op("^") and self._peek(1).text in ("+", "-"):
                side = self._peek(1).text
                self.at += 2
        self._expect("}")
        body, bound = self._within(variable.text, self._product)
        return call("limit", body, bound, target, rational({"+": 1, "-": -1, "": 0}[side]))

    def _series(self, name: str) -> Value:
        """A sum or product; with few enough terms and integers as bounds it is added up where it is read."""
        start = self.at
        self.at += 1
        self._expect("_")
        self._expect("{")
        index = self._peek()
        self.at += 1
        self._expect("=")
        low = expression(self._quantity())
        self._expect("}")
        self._expect("^")
        high = self._limit_of_integration()
        first, last = low.rational, high.rational
        whole = first is not None and last is not None and first.denominator == last.denominator == 1
        if whole and first is not None and last is not None and last - first <= MAX_LISTED:
            self.at = start
            return super()._read_primary()
        if index.kind != "sym" or (first is not None and first.denominator != 1) or (last is not None and last.denominator != 1):
            raise Unreadable
        body, bound = self._within(index.text, self._product)
        return call("series" if name == "sum" else "product", body, bound, low, high)

    def _derivative(self, order: int, variable: str, body: int) -> Expr:
        self.at = body
        if variable in self.bound:
            raise Unreadable
        value = expression(self._primary()) if self._next_op("(", "[", "\\{") else expression(self._factors())
        return call("derivative", value, atom(variable), rational(order))

    def _factors(self) -> Expr:
        value = expression(self._factor())
        while self._at_factor():
            value = multiply(value, expression(self._factor()))
        return value
