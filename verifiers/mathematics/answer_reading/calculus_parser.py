r"""Integrals, limits, derivatives and sums: added up where they are short, and else calls that only an algebra system can decide.

The calls have heads of `open_form.ALGEBRA`, unknown to the certified evaluator. A bound variable is the atom #0, #1, ... by how
deep its operator stands, so that it is no symbol and its letter does not matter. An integrand ends with its differential, which may stand
in a numerator; an integral without bounds stands for all its antiderivatives. Left out: multiple integral signs, partial derivatives,
derivatives of unknown functions, and index sets other than a first and a last integer.
"""

import re
from collections.abc import Callable

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.expression_parser import ExpressionParser
from verifiers.mathematics.answer_reading.latex_tokens import Token
from verifiers.mathematics.answer_reading.token_cursor import nesting
from verifiers.mathematics.answer_reading.values import Value, as_expression
from verifiers.mathematics.arithmetic.exact_sums import Expr, Unreadable, add, atom, atoms, call, multiply, rational, sum_of

MAX_LISTED = 400  # terms of a sum that are added up one by one; more of them are left to algebra
_LONGEST_HEAD = 15  # tokens of {d^{2}}{d x^{2}}
_DERIVATIVE = compiled(  # of texts of tokens, one a line
    r"(?:\{ d \}|d|\{ d \^ (?:\{ ([1-9]) \}|([1-9])) \}) \{ (?:d([A-Za-z])|d (.+)) (?:\^ (?:\{ ([1-9]) \}|([1-9])) )?\}".replace(" ", "\n")
)
_ARROWS = ("→", "\\rightarrow", "\\longrightarrow")
CODED_INTEGRALS = frozenset({"int", "integrate", "Integral"})


def mark_integrals(tokens: list[Token]) -> list[Token]:
    r"""The tokens, with each \int and its differential made one pair: kinds "int" and "diff", the variable as text."""
    if not any(token.text == "\\int" for token in tokens):
        return tokens
    found: list[Token] = []
    waiting: list[int] = []
    at = 0
    while at < len(tokens):
        kind, text, spaced = tokens[at]
        if text == "frac" and (head := derivative_head(tokens, at + 1)) is not None:
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


def derivative_head(tokens: list[Token], at: int) -> tuple[int, str, int] | None:
    r"""Order, variable and next position, where a fraction goes on at `at` as \frac{d^n}{dx^n} does."""
    if not any(token.text == "d" for token in tokens[at : at + 2]):
        return None
    match = _DERIVATIVE.match("\n".join(token.text for token in tokens[at : at + _LONGEST_HEAD]))
    if match is None:
        return None
    order, below = int(match[1] or match[2] or 1), int(match[5] or match[6] or 1)
    at_variable = at + match.string.count("\n", 0, match.start(4))
    if order != below or (match[4] and tokens[at_variable].kind != "sym"):
        return None
    return order, match[3] or match[4], at + match[0].count("\n") + 1


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
        if kind == "word" and text in CODED_INTEGRALS and self._peek(1).text == "(":
            return self._coded_integral()
        if kind == "diff":
            return self._differential()
        if kind == "op" and text == "\\lim":
            self.at += 1
            return self._limit()
        if kind == "op" and text in ("sum", "prod"):
            return self._series(text)
        if kind == "op" and text == "frac":
            if (head := derivative_head(self.tokens, self.at + 1)) is not None:
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

    def _read_with_bound(self, variable: str, read: Callable[[], Value]) -> tuple[Expr, Expr]:
        """A body read with its variable bound, and the atom that the variable is in it."""
        outer, bound = self.bound, atom(f"#{self.level}")
        self.bound = outer | {variable: bound}
        self.level += 1
        body = as_expression(read())
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
            body, bound = self._read_with_bound(variable, self._integrand)
            self.differentials.pop()
            return call("integral", body, bound, low, high)
        if low is not None or high is not None or variable in self.bound:
            raise Unreadable
        body = self._integrand()
        self.differentials.pop()
        return call("antiderivative", body, atom(variable))

    def _coded_integral(self) -> Expr:
        """int(f(x), (x, a, b)) and int(f(x), x), as algebra systems write them: the variable stands behind the body that it is bound in."""
        self.at += 2
        comma = depth = 0
        while depth or self._peek(comma).text != ",":
            depth += nesting(self._peek(comma))
            if depth < 0 or self._peek(comma).kind == "end":
                raise Unreadable
            comma += 1
        bounded = self._peek(comma + 1).text == "("
        variable = self._peek(comma + 1 + bounded)
        if variable.kind != "sym" or variable.text in self.bound:
            raise Unreadable
        body, bound = self._read_with_bound(variable.text, self._sum) if bounded else (as_expression(self._sum()), atom(variable.text))
        self._expect(",")
        self.at += 1 + bounded  # the variable, and the bracket before it
        if not bounded:
            self._expect(")")
            return call("antiderivative", body, bound)
        limits: list[Expr] = []
        while len(limits) < 2:
            self._expect(",")
            limits.append(atom("∞") if self._take("∞") else as_expression(self._sum()))
        self._expect(")")
        self._expect(")")
        return call("integral", body, bound, *limits)

    def _limit_of_integration(self) -> Expr:
        if self._next_op("+", "-"):
            raise Unreadable
        if self._take("∞"):
            return atom("∞")
        return as_expression(self._primary()) if self._next_op("{") else self._argument()

    def _integrand(self) -> Expr:
        """Products up to and with the one that holds the differential, which is then taken out."""
        dx = self.differentials[-1][1]
        total = rational(0)
        while True:
            part = as_expression(self._product())
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
            target, side = as_expression(self._primary()), ends
            self.at += 2
        else:
            target, side = as_expression(self._quantity()), ""
            if self._next_op("^") and self._peek(1).text in ("+", "-"):
                side = self._peek(1).text
                self.at += 2
        self._expect("}")
        body, bound = self._read_with_bound(variable.text, self._product)
        return call("limit", body, bound, target, rational({"+": 1, "-": -1, "": 0}[side]))

    def _series(self, name: str) -> Expr:
        """A sum or product over an index; where its bounds are integers and near enough, its body is read once for each term."""
        self.at += 1
        self._expect("_")
        self._expect("{")
        index = self._peek()
        self.at += 1
        self._expect("=")
        low = as_expression(self._quantity())
        self._expect("}")
        self._expect("^")
        high = self._limit_of_integration()
        first, last = low.rational, high.rational
        if index.kind != "sym" or any(bound is not None and bound.denominator != 1 for bound in (first, last)):
            raise Unreadable
        if first is None or last is None or last - first > MAX_LISTED:
            body, bound = self._read_with_bound(index.text, self._product)
            return call("series" if name == "sum" else "product", body, bound, low, high)
        total, join = (rational(0), add) if name == "sum" else (rational(1), multiply)
        start, end, outer = self.at, self.at, dict(self.bound)
        for number in range(int(first), int(last) + 1):
            self.bound[index.text], self.at = rational(number), start
            self.steps += 2
            total = join(total, as_expression(self._product()))
            end = self.at
        if end == start:
            raise Unreadable
        self.bound, self.at = outer, end
        return total

    def _derivative(self, order: int, variable: str, body: int) -> Expr:
        self.at = body
        if variable in self.bound:
            raise Unreadable
        value = as_expression(self._primary()) if self._next_op("(", "[", "\\{") else as_expression(self._factors())
        return call("derivative", value, atom(variable), rational(order))

    def _factors(self) -> Expr:
        value = as_expression(self._factor())
        while self._at_factor():
            value = multiply(value, as_expression(self._factor()))
        return value
