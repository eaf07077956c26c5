r"""Final answers in LaTeX or plain text, read into exact values.

A recursive-descent parser, and nothing that runs the text. Every number is a `Fraction`; what is not rational is a sum of rational
multiples of monomials in named atoms (symbols, pi, e, i, roots of integers) in one order, so that many equal values get equal trees
and different values never do. Length, depth, digits, exponents and sizes are bounded before anything is evaluated; what is beyond a
bound, or outside the grammar, is `Unparsed` as a whole: an answer is never cut down to the part of it that could be read. Left out,
and so compared as tokens: functions, inequalities, unions, equations that do not name one side, bases, sums, integrals, absolute
values, cases, set-builder notation. Quotients of sums are kept as written.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce

from verifiers.exact_sums import CONSTANTS, Expr, Unreadable, atom, multiply, power, rational, scale, sum_of
from verifiers.latex_tokens import Token, normalise, numeral, tokenize

MAX_LENGTH = 1000  # characters of one answer
MAX_DEPTH = 30  # nested brackets and arguments: under ten Python frames each
MAX_DIGITS = 400  # of one number as written
MAX_WORK = 1000  # products of two monomials in one answer
MAX_ITEMS = 64  # of a list
MAX_FACTORIAL = 100


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and the words behind it: "cm", "%", "°"; "$" before it."""

    number: Expr
    unit: str


@dataclass(frozen=True, slots=True)
class Group:
    """Items between brackets that decide what it is: "(", "[" tuple or interval; "{" set; "" bare list; "matrix", "row"."""

    opening: str
    closing: str
    items: "tuple[Value, ...]"


@dataclass(frozen=True, slots=True)
class Named:
    """x = value, f(x) = value or x in set."""

    name: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class Unparsed:
    """The tokens, spaced: equal only to the same tokens. Empty where there was nothing to read."""

    tokens: str


Value = Expr | Quantity | Group | Named | Unparsed


_UNIT_WORDS = ("cm", "mm", "km", "kg", "mg", "ml", "ft", "in", "mi", "lb", "lbs", "oz", "hr", "hrs", "min", "sec", "mph")
_CLOSING = {"(": (")", "]"), "[": (")", "]"), "\\{": ("\\}",), "{": ("}",)}


class _Parser:
    """Recursive descent. Every method reads from `self.at` and raises `Unreadable` where the grammar ends."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.sign = 1  # how a plus-minus sign is read this time
        self.forks = 0  # plus-minus signs met
        self.money = False
        self.work = 0

    def answer(self) -> Value:
        """item (("," | and | or) item)*; an item with one plus-minus sign is two items."""
        items: list[Value] = []
        while True:
            start, self.forks, self.sign = self.at, 0, 1
            items.append(self._item())
            if self.forks:
                self.at, self.sign = start, -1
                items.append(self._item())
            if self.forks > 2 or len(items) > MAX_ITEMS:
                raise Unreadable
            if self.at == len(self.tokens):
                return items[0] if len(items) == 1 else Group("", "", tuple(items))
            if not (self._take(",") | self._take("and", "or")):
                raise Unreadable

    def _peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", "", False)

    def _next_op(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind in ("op", "matrix") and token.text in texts

    def _take(self, *texts: str) -> bool:
        self.at += (found := self._next_op(*texts))
        return found

    def _expect(self, *texts: str) -> str:
        if not self._take(*texts):
            raise Unreadable
        return self.tokens[self.at - 1].text

    def _item(self) -> Value:
        """[name "="] quantity ("=" the same quantity)* | quantity "=" name"""
        name = self._leading_name()
        value = self._quantity()
        while self._take("="):
            if not name and self._peek().kind == "sym" and self._peek(1).text in ("", ",", ")"):
                name, self.at = self._peek().text, self.at + 1
            elif self._quantity() != value:
                raise Unreadable
        return Named(name, value) if name else value

    def _leading_name(self) -> str:
        ahead = 1 if self._peek().kind in ("sym", "word", "text") else 0
        if ahead and [self._peek(1).text, self._peek(2).kind, self._peek(3).text] == ["(", "sym", ")"]:
            ahead = 4
        if not ahead or self._peek(ahead) not in [("op", sign, spaced) for sign in "=∈" for spaced in (True, False)]:
            return ""
        name = "".join(self._peek(i).text for i in range(ahead))
        self.at += ahead + 1
        return name

    def _quantity(self) -> Value:
        """A sum or a structure; behind a sum without variables, its unit. Infinity stands alone: nothing is computed with it."""
        signed = self._peek().text in ("+", "-") and self._peek(1).text == "∞"
        if signed or self._next_op("∞"):
            self.at += 1 + signed
            return scale(atom("∞"), Fraction(-1 if signed and self.tokens[self.at - 2].text == "-" else 1))
        self.money = False
        value = self._sum()
        if not isinstance(value, Expr):
            return value
        unit = "$" * self.money
        if value.terms and all(("°", Fraction(1)) in monomial for monomial, _ in value.terms):
            value, unit = multiply(value, atom("°", Fraction(-1))), "°"
        if all(atom in CONSTANTS or atom.isdigit() for monomial, _ in value.terms for atom, _ in monomial):
            unit += self._unit()
        return Quantity(value, unit) if unit else value

    def _unit(self) -> str:
        words: list[str] = []
        while True:
            if self._take("%"):
                words.append("%")
            elif words and self._take("^"):
                words[-1] += f"^{self._argument().rational}"
            elif self._at_unit_word() or (words and self._next_op("/")):
                words.append(self._peek().text)
                self.at += 1
            else:
                return " ".join(words)

    def _at_unit_word(self) -> bool:
        kind, text, spaced = self._peek()
        plain = text.replace("^2", "").replace("^3", "")
        if not any(c.isalpha() for c in text) or any(c.isdigit() for c in plain) or {"or", "and", "not"} & set(text.split()):
            return False  # "5 or 6" is two answers, whatever it is set in
        return kind == "text" or (kind == "word" and (text in _UNIT_WORDS or (spaced and len(text) > 3)))

    def _sum(self) -> Value:
        value = self._product()
        while self._next_op("+", "-", "±"):
            sign = self._sign()
            value = sum_of([*_expr(value).terms, *scale(_expr(self._product()), sign).terms])
        return value

    def _sign(self) -> Fraction:
        text = self._expect("+", "-", "±")
        self.forks += text == "±"
        return Fraction({"+": 1, "-": -1, "±": self.sign}[text])

    def _product(self) -> Value:
        sign = Fraction(1)
        while self._next_op("+", "-", "±", "$"):
            if self._take("$"):
                self.money = True
            else:
                sign *= self._sign()
        value = self._factor()
        if sign == -1:
            value = scale(_expr(value), sign)
        while True:
            if self._take("*"):
                value = self._times(value, self._signed_factor())
            elif self._take("/"):
                value = self._times(value, power(self._signed_factor(), rational(-1)))
            elif self._at_factor():
                value = self._times(value, _expr(self._factor()))
            else:
                return value

    def _times(self, left: Value, right: Expr) -> Expr:
        self.work += len(_expr(left).terms) * len(right.terms)
        if self.work > MAX_WORK:
            raise Unreadable
        return multiply(_expr(left), right)

    def _signed_factor(self) -> Expr:
        sign = self._sign() if self._next_op("+", "-") else Fraction(1)
        return scale(_expr(self._factor()), sign)

    def _at_factor(self) -> bool:
        """Whether what follows multiplies without a sign. A number never does: "3 4" is not a product."""
        kind, text, _ = self._peek()
        if kind == "word":
            return len(text) <= 3 and text not in _UNIT_WORDS
        return kind == "sym" or (kind == "op" and text in ("(", "{", "frac", "sqrt"))

    def _factor(self) -> Value:
        """primary ("°" | "!" | "^" exponent)*"""
        value = self._primary()
        while self._next_op("°", "!", "^"):
            if self._take("°"):
                value = multiply(_expr(value), atom("°"))
            elif self._take("!"):
                n = _expr(value).rational
                if n is None or n.denominator != 1 or not 0 <= n <= MAX_FACTORIAL:
                    raise Unreadable
                value = rational(math.factorial(n.numerator))
            elif self._take("^"):
                sign = self._sign() if self._next_op("+", "-") else Fraction(1)
                value = power(_expr(value), scale(self._argument(), sign))
                if self._next_op("^"):  # TeX refuses a double superscript, and readers disagree on it
                    raise Unreadable
        return value

    def _argument(self, longest: int = MAX_DIGITS) -> Expr:
        """What follows a command: a braced item, or one primary; a number of at most `longest` digits."""
        kind, text, _ = self._peek()
        if kind == "mixed" or (kind == "num" and len(text) > longest):
            raise Unreadable
        return _expr(self._primary())

    def _primary(self) -> Value:
        """All recursion passes through here, where its depth is counted."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        value = self._read_primary()
        self.depth -= 1
        return value

    def _read_primary(self) -> Value:
        kind, text, _ = self._peek()
        self.at += 1
        if kind in ("num", "repeating", "mixed"):
            if kind == "mixed" and self._next_op("^", "!"):
                raise Unreadable
            return _number(text)
        if kind == "sym":
            return atom(text)
        if kind == "word" and len(text) <= 3 and len(self.tokens) > 1:
            return reduce(multiply, (atom(letter) for letter in text))
        if kind == "matrix" and text.startswith("\\begin"):
            return self._matrix()
        if kind == "op" and text in ("(", "[", "\\{", "{"):
            return self._group(text)
        if kind == "op" and text == "frac":
            return multiply(self._argument(1), power(self._argument(1), rational(-1)))
        if kind == "op" and text == "sqrt":
            return self._square_root()
        raise Unreadable

    def _group(self, opening: str) -> Value:
        """Brackets around one item are just brackets, unless they are a set's; around several they make a structure."""
        items: list[Value] = []
        while not self._next_op(*_CLOSING[opening]):
            items.append(self._item())
            if len(items) > MAX_ITEMS or not (self._next_op(*_CLOSING[opening]) or self._take(",")):
                raise Unreadable
        closing = self._expect(*_CLOSING[opening])
        if opening == "\\{" or (len(items) > 1 and opening != "{"):
            return Group(opening, closing, tuple(items))
        if len(items) != 1 or opening + closing not in ("()", "[]", "{}"):
            raise Unreadable
        return items[0]

    def _matrix(self) -> Group:
        rows = [[self._item()]]
        while not self._peek().text.startswith("\\end"):
            if self._take("&"):
                rows[-1].append(self._item())
            elif self._expect("\\\\") and not self._peek().text.startswith("\\end"):
                rows.append([self._item()])
        self.at += 1
        return Group("matrix", "", tuple(Group("row", "", tuple(row)) for row in rows))

    def _square_root(self) -> Expr:
        index = Fraction(2)
        if self._take("["):
            index = _expr(self._item()).rational or Fraction(0)
            self._expect("]")
        if index.denominator != 1 or not 2 <= index <= 99:
            raise Unreadable
        value = self._argument()
        if (number := value.rational) is not None and number < 0 and index % 2:  # an odd root sign means the real root
            return scale(power(scale(value, Fraction(-1)), rational(1 / index)), Fraction(-1))
        return power(value, rational(1 / index))


def _expr(value: Value) -> Expr:
    if not isinstance(value, Expr):
        raise Unreadable
    return value


def _number(text: str) -> Expr:
    read = numeral(text) if len(text) <= MAX_DIGITS else None
    if read is None:
        raise Unreadable
    return rational(*read)


def parse(text: str) -> Value:
    """The value of an answer; `Unparsed` if it is outside the grammar or too large. Never raises, never evaluates text."""
    if len(text) > MAX_LENGTH:
        return Unparsed(text.strip())
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Value:
    source = normalise(text)
    if len(source) > MAX_LENGTH:
        return Unparsed(source)
    tokens = tokenize(source)
    try:
        return _Parser(tokens).answer()
    except Unreadable:
        return Unparsed(" ".join(token.text for token in tokens))
