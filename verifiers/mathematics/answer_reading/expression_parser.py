r"""Expressions in LaTeX or plain text, read into exact sums: the lower half of the recursive-descent parser of answers.

Numbers, symbols, brackets, fractions (`\frac`), powers, roots, functions, absolute values, cases and units. What is ambiguous between
readers (2^3^2, \sin x/2) is refused. `answer_parser.py` adds what an answer is made of above expressions.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import reduce

from verifiers.mathematics.answer_reading.function_parser import CLOSING, MAX_DEPTH, MAX_ITEMS, FunctionReader
from verifiers.mathematics.answer_reading.latex_tokens import Token, in_base, numeral
from verifiers.mathematics.answer_reading.matrix_arithmetic import by_rows, determinant, matrix, plus, times, to_power, transposed
from verifiers.mathematics.answer_reading.token_cursor import MAX_WORK, is_lone_product, letters_in
from verifiers.mathematics.answer_reading.units import CURRENCIES, UNIT_WORDS, read_unit
from verifiers.mathematics.answer_reading.values import (
    EMPTY_SET,
    FLIPPED,
    FiniteSet,
    Matrix,
    Named,
    NumberSet,
    Quantity,
    Relation,
    Tuple,
    Value,
    as_expression,
    as_set,
    bare_symbol,
    finite_expression,
)
from verifiers.mathematics.arithmetic.case_rows import OTHERWISE, RELATION_NUMBER
from verifiers.mathematics.arithmetic.exact_functions import apply
from verifiers.mathematics.arithmetic.exact_sums import (
    CONSTANTS,
    Expr,
    Unreadable,
    atom,
    atoms,
    call,
    multiply,
    power,
    rational,
    scale,
    substitute,
    subtract,
    sum_of,
    symbols,
)

MAX_DIGITS = 400  # of one number as written
MAX_STEPS = 2000  # primaries read in one answer, those of a sum's terms counted each time
MAX_ROWS = 12  # of cases

_ENDS = {opening: tuple(mark for mark in closings if mark != "[") for opening, closings in CLOSING.items()}  # "[" may also open an item
_CONDITION_WORDS = frozenset({"if", "for", "when", "where"})
_OTHERWISE = frozenset({"otherwise", "else", "if otherwise"})
_DIVISIBLE = ((("time", 1),), (("length", 1),), (("mass", 1),), (("money", 1),), (("volume", 1),))


class ExpressionParser(FunctionReader):
    """Recursive descent. Every method reads from `self.at` and raises `Unreadable` where the grammar ends."""

    def _item(self) -> Value:
        """One item between brackets: `answer_parser.py` allows more than a quantity."""
        return self._quantity()

    def _quantity(self) -> Value:
        """A sum or a structure; behind a sum without variables, its unit. Infinity stands alone: nothing is computed with it."""
        signed = self._peek().text in ("+", "-") and self._peek(1).text == "∞"
        if signed or self._next_op("∞"):
            self.at += 1 + signed
            return scale(atom("∞"), Fraction(-1 if signed and self.tokens[self.at - 2].text == "-" else 1))
        self.money = ""
        value = self._sum()
        if not isinstance(value, Expr):
            return value
        unit = self.money
        if value.terms and all(("°", Fraction(1)) in monomial for monomial, _ in value.terms):
            value, unit = multiply(value, atom("°", Fraction(-1))), "°"
        if all(atom in CONSTANTS or atom.isdigit() for monomial, _ in value.terms for atom, _ in monomial):
            unit = f"{unit} {self._unit()}".strip()
            if unit and (self._peek().kind == "num" or (self._next_op("and") and self._peek(1).kind == "num")):
                return self._with_parts(Quantity(value, unit))
        return Quantity(value, unit) if unit else value

    def _with_parts(self, whole: Quantity) -> Quantity:
        """6 hours 30 minutes, 5 ft 6 in, 1 hour and 20 minutes: what follows is a smaller unit of the same kind."""
        size, dimension = read_unit(whole.unit)
        start = self.at
        self._take("and")
        number = as_expression(self._primary())
        unit = self._unit()
        part, same_kind = read_unit(unit)
        if (
            same_kind != dimension
            or part >= size
            or dimension not in _DIVISIBLE
            or number.rational is None
            or whole.number.rational is None
        ):
            self.at = start
            return whole
        return Quantity(sum_of([*whole.number.terms, *scale(number, part / size).terms]), whole.unit)

    def _sum(self) -> Value:
        value = self._product()
        while isinstance(value, Expr | Matrix) and self._next_op("+", "-", "±", "∓"):
            sign, term = self._sign(), self._product()
            if isinstance(value, Expr) and isinstance(term, Expr):
                value = sum_of([*finite_expression(value).terms, *scale(finite_expression(term), sign).terms])
            else:
                value = plus(value, term, sign)
        return value

    def _product(self) -> Value:
        sign = Fraction(1)
        while self._next_op("+", "-", "±", "∓", *CURRENCIES):
            if self._next_op(*CURRENCIES):
                self.money = self._expect(*CURRENCIES)
            else:
                sign *= self._sign()
        value = self._factor()
        if sign == -1:
            value = self._times(rational(-1), value) if isinstance(value, Matrix) else scale(as_expression(value), sign)
        while True:
            if self._take("*"):
                value = self._times(value, self._signed_factor())
            elif self._take("/"):
                value = self._times(value, power(as_expression(self._divisor()), rational(-1)))
            elif not self.congruence and self._take("mod"):
                value = apply("mod", as_expression(value), as_expression(self._factor()))
            elif self._at_factor():
                value = self._times(value, self._factor())
            else:
                return value

    def _times(self, left: Value, right: Value) -> Value:
        if isinstance(left, Matrix) or isinstance(right, Matrix):
            self._count_work(MAX_WORK // 16)
            return times(left, right)
        self._count_work(len(finite_expression(left).terms) * len(finite_expression(right).terms))
        return multiply(as_expression(left), as_expression(right))

    def _divisor(self) -> Value:
        """What follows a slash. 1/2x and a/bc are (1/2)x or 1/(2x), as the reader likes."""
        token, following = self._peek(), self._peek(1)
        letters = following.kind in ("sym", "word") and not (following.text in CONSTANTS or following.text in UNIT_WORDS)
        if token.kind == "num" and letters and not following.spaced:
            raise Unreadable
        if token.kind == "word" and len(token.text) <= 3:
            raise Unreadable
        return self._signed_factor()

    def _signed_factor(self) -> Value:
        sign = self._sign() if self._next_op("+", "-") else Fraction(1)
        value = self._factor()
        return value if sign == 1 else self._times(rational(-1), value)

    def _factor(self) -> Value:
        """primary ("°" | "!" | "^" exponent)*"""
        value = self._primary()
        while self._next_op("°", "!", "^"):
            if self._take("°"):
                value = multiply(as_expression(value), atom("°"))
            elif self._take("!"):
                double = self._next_op("!") and not self._peek().spaced and self._take("!")
                value = apply("factorial2" if double else "factorial", as_expression(value))
            elif self._take("^"):
                value = self._raised_to_power(value)
                if self._next_op("^"):  # TeX refuses a double superscript, and readers disagree on it
                    raise Unreadable
        return value

    def _raised_to_power(self, base: Value) -> Value:
        sign = self._sign() if self._next_op("+", "-") else Fraction(1)
        if isinstance(base, Matrix):
            self._count_work(MAX_WORK // 4)
            if sign == 1 and (length := self._transpose_mark()):
                self.at += length
                return transposed(base)
            return to_power(base, scale(self._argument(), sign))
        if isinstance(base, Tuple) and base.brackets in ("()", "[]") and sign == 1 and (length := self._transpose_mark()):
            self.at += length  # (1, 2)^T, a column
            return Tuple(base.items)
        return power(finite_expression(base), scale(self._argument(), sign))

    def _argument(self, longest: int = MAX_DIGITS) -> Expr:
        """What follows a command: a braced item, or one primary; a number of at most `longest` digits."""
        kind, text, _ = self._peek()
        if kind == "mixed" or (kind == "num" and len(text) > longest):
            raise Unreadable
        return finite_expression(self._primary())

    def _primary(self) -> Value:
        """All recursion passes through here, where its depth is counted."""
        self.depth += 1
        self.steps += 1
        if self.depth > MAX_DEPTH or self.steps > MAX_STEPS:
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
            if len(text) > MAX_DIGITS or (number := numeral(text)) is None:
                raise Unreadable
            return rational(*number)
        if kind == "sym":
            return self._symbol(text)
        if kind == "word" and (letters := letters_in(text)) and (len(self.tokens) > 1 or is_lone_product(text)):
            if self._numbers_an_item(text):
                raise Unreadable
            if self._next_op("^", "!", "°"):  # in xy^2 the exponent is y's: from here on these are letters
                self.tokens[self.at - 1 : self.at] = [Token("sym", letter, False) for letter in letters]
                return self._symbol(letters[0])
            return reduce(multiply, (self.bound.get(letter, atom(letter)) for letter in letters))
        if kind == "based":
            digits, _, base = text.partition("_")
            value = in_base(digits, int(base)) if len(digits) <= MAX_DIGITS else None
            if value is None:
                raise Unreadable
            return Quantity(rational(value), f"base {int(base)}")
        if kind == "set":
            return NumberSet(text)
        if kind == "func":
            return self._function(text)
        if kind == "op" and text == "mod" and self._next_op("("):  # mod(17, 5), as programs write it
            return self._function("mod")
        if kind == "matrix" and text.startswith("\\begin"):
            return self._cases() if "cases" in text else determinant(self._matrix()) if "vmatrix" in text else self._matrix()
        if kind == "op" and text in ("(", "[", "\\{", "{", "]"):
            return self._group_in_braces() if text == "\\{" and self._is_grouping_brace() else self._group(text)
        if kind == "op" and text in _COMMANDS:
            return _COMMANDS[text](self)
        raise Unreadable

    def _symbol(self, text: str) -> Expr:
        if text in self.bound:
            return self.bound[text]
        if text.startswith("C_") and text[2:].isdigit() and self._next_op("^"):  # C_5^2 chooses two of five
            start, self.at = self.at, self.at + 1
            chosen = self._argument(1)
            if chosen.rational is not None and 0 <= chosen.rational <= int(text[2:]):
                return apply("binom", rational(int(text[2:])), chosen)
            self.at = start
        if self._at_unknown_function(text):
            return self._unknown_function(text)
        return atom(text)

    def _fraction(self) -> Value:
        kind, text, _ = self._peek()
        if kind == "mixed" or (kind == "num" and len(text) > 1):
            raise Unreadable
        return self._times(self._primary(), power(self._argument(1), rational(-1)))

    def _binomial(self) -> Expr:
        return apply("binom", self._argument(1), self._argument(1))

    def _absolute(self) -> Expr:
        self.bars += 1
        value = self._enclosed("|", "abs")
        self.bars -= 1
        return value

    def _enclosed(self, closing: str, function: str) -> Expr:
        value = as_expression(self._sum())
        self._expect(closing)
        return apply(function, value)

    def _cases(self) -> Expr:
        """Rows of value, condition; as the arguments of one call (`case_rows.py`)."""
        arguments: list[Expr] = []
        while not self._peek().text.startswith("\\end"):
            value = as_expression(self._quantity())
            if not (self._take("&") | self._take(",") | self._take("&")):
                raise Unreadable
            text = self._peek().text
            if text in _OTHERWISE:
                self.at += 1
                arguments += [value, rational(OTHERWISE), rational(0)]
            else:
                self.at += text in _CONDITION_WORDS
                arguments += [value, *self._condition()]
            if not self._take("\\\\") and not self._peek().text.startswith("\\end"):
                raise Unreadable
            if len(arguments) > 3 * MAX_ROWS:
                raise Unreadable
        self.at += 1
        if not arguments:
            raise Unreadable
        return call("cases", *arguments)

    def _condition(self) -> list[Expr]:
        """A relation and a difference; a chain holds where its largest difference does, or the largest of 0 for true and 1 for false."""
        relation = self._item()
        while self._take(",", ".", ";"):
            pass
        if isinstance(relation, Named):  # x = 3
            relation = Relation((atom(relation.name), relation.value), ("=",))
        if not isinstance(relation, Relation):
            raise Unreadable
        relations, differences = [], []
        for left, op, right in zip(relation.sides, relation.ops, relation.sides[1:], strict=False):
            if op in (">", "\\ge"):
                left, op, right = right, FLIPPED[op], left
            if op not in RELATION_NUMBER:
                raise Unreadable
            relations.append(op)
            differences.append(subtract(as_expression(left), as_expression(right)))
        if len(relations) == 1:
            return [rational(RELATION_NUMBER[relations[0]]), differences[0]]
        if not {"<", "\\le"}.issuperset(relations):
            raise Unreadable
        if len(set(relations)) == 1:
            return [rational(RELATION_NUMBER[relations[0]]), apply("max", *differences)]
        falsities = (_falsity(relation, difference) for relation, difference in zip(relations, differences, strict=True))
        return [rational(RELATION_NUMBER["="]), apply("max", *falsities)]

    def _is_grouping_brace(self) -> bool:
        r"""Whether the \{ just read is one of a product or an integrand, and not of a set."""
        self.at -= 1
        groups = self._is_grouping()
        in_product = self.at > 0 and (bool(self.differentials) or self._at_factor())
        self.at += 1
        return groups and (in_product or self._factor_follows_brace())

    def _factor_follows_brace(self) -> bool:
        """Whether a factor or a power follows the closing brace."""
        start = self.at
        while self._peek().text != "\\}":
            self.at += 1
        self.at += 1
        found = self._next_op("^", "*", "/") or self._at_factor()
        self.at = start
        return found

    def _group_in_braces(self) -> Value:
        value = self._sum()
        self._expect("\\}")
        return value

    def _group(self, opening: str) -> Value:
        """Brackets around one item are just brackets, unless they are a set's; around several they make a structure."""
        items: list[Value] = []
        ends = [0]  # of the parts between semicolons
        braced: list[int] = []  # items in braces of their own: {{1},{2}}
        while not self._next_op(*_ENDS[opening]):
            start = self.at
            items += self._item_of_both_signs() if opening == "\\{" else [self._item()]
            if opening == "{" and self._in_braces(start):
                braced.append(len(items) - 1)
            if len(items) > MAX_ITEMS:
                raise Unreadable
            if self._next_op(*CLOSING[opening]):
                break
            if self._expect(",", ";") == ";":
                ends.append(len(items))
        closing = self._expect(*CLOSING[opening])
        if opening + closing == "[]" and 1 < len(ends) < len(items):  # [1,2;3,4], as programs write matrices
            return by_rows(items, [*ends, len(items)])
        if opening == "\\{" and len(items) == 1 and self.tokens[self.at - 2].text == "}" and isinstance(items[0], FiniteSet):
            return items[0]  # \{{1,2}\}: TeX does not print the braces inside
        if opening == "\\{":
            return FiniteSet(tuple(items))
        if len(items) > 1 and opening == "{":
            return FiniteSet(tuple(as_set(item) if i in braced else item for i, item in enumerate(items)))
        if len(items) > 1:
            return Tuple(tuple(items), "(" if opening == "]" else opening, ")" if closing == "[" else closing)
        if len(items) != 1 or opening + closing not in ("()", "[]", "{}"):  # (1,2[ has two items
            raise Unreadable
        return items[0]

    def _in_braces(self, start: int) -> bool:
        """Whether one pair of braces holds all that was read since."""
        depth = 0
        for at in range(start, self.at):
            depth += (self.tokens[at].text == "{") - (self.tokens[at].text == "}")
            if depth == 0:
                return at == self.at - 1 and at > start
        return False

    def _item_of_both_signs(self) -> list[Value]:
        """An item; two, if it has a plus-minus sign."""
        start, outer = self.at, (self.forks, self.sign)
        self.forks, self.sign = "", 1
        items = [self._item()]
        if self.forks:
            self.at, self.sign = start, -1
            items.append(self._item())
        if len(self.forks) > 2 and len(set(self.forks)) == 1:  # the signs of ± and ∓ belong together, two ± need not
            raise Unreadable
        self.forks, self.sign = outer
        return items

    def _matrix(self) -> Matrix:
        rows = [[self._item()]]
        while not self._peek().text.startswith("\\end"):
            if self._take("&"):
                rows[-1].append(self._item())
            elif self._expect("\\\\") and not self._peek().text.startswith("\\end"):
                rows.append([self._item()])
        self.at += 1
        return matrix(rows)

    def _square_root(self) -> Expr:
        index = Fraction(2)
        if self._take("["):
            written = as_expression(self._item())
            self._expect("]")
            if bare_symbol(written):
                return power(self._argument(), power(written, rational(-1)))
            index = written.rational or Fraction(0)
        if index.denominator != 1 or not 2 <= index <= 99:
            raise Unreadable
        value = self._argument()
        if (number := value.rational) is not None and number < 0 and index % 2:  # an odd root sign means the real root
            return scale(power(scale(value, Fraction(-1)), rational(1 / index)), Fraction(-1))
        return power(value, rational(1 / index))


def _falsity(relation: str, difference: Expr) -> Expr:
    r"""0 where difference < 0 (or \le 0) holds, 1 where it does not."""
    if relation == "\\le":
        return apply("max", apply("sgn", difference), rational(0))
    return subtract(rational(1), apply("max", apply("sgn", scale(difference, Fraction(-1))), rational(0)))


def _conjugate(parser: ExpressionParser) -> Expr:
    r"""\overline{3+4i}: of a number; over letters or digits the bar means something else."""
    value = parser._argument()
    if symbols(value) or "i" not in atoms(value):
        raise Unreadable
    return substitute(value, {"i": scale(atom("i"), Fraction(-1))})


_COMMANDS: dict[str, Callable[[ExpressionParser], Value]] = {
    "frac": ExpressionParser._fraction, "binom": ExpressionParser._binomial, "sqrt": ExpressionParser._square_root,
    "|": ExpressionParser._absolute, "⌊": lambda parser: parser._enclosed("⌋", "floor"), "⌈": lambda parser: parser._enclosed("⌉", "ceil"),
    "\\emptyset": lambda parser: EMPTY_SET, "\\overline": _conjugate, "\\bar": _conjugate,
}  # fmt: skip
