r"""Functions and their arguments, as a part of the parser of expressions.

A power behind the bracket of an argument is the value's: \sin(x)^2 is (\sin x)^2, as in SymPy, STACK and the printed \sin^2(x). Behind an
argument without brackets it is the argument's: \sin x^2 is \sin(x^2). A letter of a function (g, P) before other letters in brackets is
its value there, and no product.
"""

from abc import ABC, abstractmethod
from contextlib import suppress

from verifiers.mathematics.answer_reading.matrix_arithmetic import determinant
from verifiers.mathematics.answer_reading.token_cursor import TokenCursor, nesting
from verifiers.mathematics.answer_reading.values import Value, as_expression, bare_symbol
from verifiers.mathematics.arithmetic.exact_functions import INVERSE, OF_TWO, VARIADIC, apply, log_to_base
from verifiers.mathematics.arithmetic.exact_sums import Expr, Unreadable, atom, name_of, power, rational, symbols

MAX_DEPTH = 30  # nested brackets and arguments: under ten Python frames each
MAX_ITEMS = 64  # of a list

CLOSING = {"(": (")", "]", "["), "[": (")", "]", "["), "]": ("[", "]", ")"), "\\{": ("\\}",), "{": ("}",)}
_ALWAYS = frozenset({"f", "Gamma", "zeta", "Phi"})  # functions of whatever stands in brackets behind them
_GREEK_LETTERS = ("phi", "varphi", "psi", "Psi", "sigma", "tau", "mu", "eta")
_LETTERS = frozenset({*"ghpquvABCDEFGHJKLMNOPQRSTUVWXYZ", *_GREEK_LETTERS})  # of a variable or a number there
_EVENTS = frozenset("ABCDEFGHKLMNSTWXYZ")  # P(A)
_ARGUMENTS = frozenset({*"xyztns#", "theta"})
_OF_A_VARIABLE = {"x": {*"t#"}, "y": {*"tx#"}, "z": {*"tx#"}, "r": {*"t#"}, "s": {*"t#"}, "w": {*"tx#"}}  # y(x) of a differential equation


class FunctionReader(TokenCursor, ABC):
    """What `expression_parser.py` has below is declared here."""

    @abstractmethod
    def _sum(self) -> Value: ...

    @abstractmethod
    def _factor(self) -> Value: ...

    @abstractmethod
    def _primary(self) -> Value: ...

    @abstractmethod
    def _group(self, opening: str) -> Value: ...

    @abstractmethod
    def _argument(self) -> Expr: ...

    @abstractmethod
    def _times(self, left: Value, right: Value) -> Value: ...

    def _in_brackets(self) -> Expr:
        r"""One expression in brackets of any kind; \sin\{x\} has no set in it."""
        if not self._take("\\{"):
            return self._group_expression(self._peek().text)
        value = as_expression(self._sum())
        self._expect("\\}")
        return value

    def _braced_bracket(self) -> bool:
        r"""Whether braces with one pair of brackets in them follow, as in \sin{\left(x\right)}: TeX does not print the braces."""
        if not (self._next_op("{") and self._peek(1).text in ("(", "[")):
            return False
        depth = ahead = 1
        while depth and (token := self._peek(ahead + 1)).kind != "end":
            depth += nesting(token)
            ahead += 1
        return not depth and self._peek(ahead + 1).text == "}"

    def _at_unknown_function(self, name: str) -> bool:
        """Whether the letter just read may be a function of what stands behind it in brackets."""
        single = self._peek(2).text in (")", ",")
        return self._next_op("(") and (name in _ALWAYS or (single and (name in _LETTERS or name in _OF_A_VARIABLE)))

    def _unknown_function(self, name: str) -> Expr:
        """A symbol for each argument. h(x) and h(2) are values, h(a+b) may be a product."""
        start = self.at
        arguments = self._arguments()
        letters = [bare_symbol(argument) for argument in arguments]
        variables = _OF_A_VARIABLE.get(name, _ARGUMENTS | _EVENTS if name in ("P", "E") else _ARGUMENTS)
        numbers = name == "y" or name not in _OF_A_VARIABLE
        known = all(
            letter[:1] in variables or (numbers and argument.rational is not None)
            for letter, argument in zip(letters, arguments, strict=True)
        )
        if not (known or name in _ALWAYS):
            self.at = start
            return atom(name)
        return atom(f"{name}({','.join(letter or name_of(argument) for letter, argument in zip(letters, arguments, strict=True))})")

    def _group_expression(self, opening: str) -> Expr:
        self._expect(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        value = as_expression(self._group(opening))
        self.depth -= 1
        return value

    def _function(self, name: str) -> Expr:
        r"""name ["_" base] ["^" exponent] argument; \sin^{-1} is the inverse, every other exponent is the value's."""
        if name == "det":
            return determinant(self._primary())
        base = exponent = None
        while self._next_op("_", "^"):
            if self._take("_"):
                base = self._argument()
            elif self._take("^"):
                exponent = self._argument()
        if name in VARIADIC:
            if base is not None or exponent is not None:
                raise Unreadable
            return apply(name, *self._arguments())
        if name in OF_TWO:
            values = self._arguments()
            if base is not None or exponent is not None or len(values) != 2:
                raise Unreadable
            return apply(name, *values)
        if name == "log" and base is None and (of_two := self._logarithm_of_two()) is not None:
            return of_two if exponent is None else power(of_two, exponent)
        value = self._function_argument(name)
        if name == "log10":
            base, name = rational(10), "log"
        if base is not None and name != "log":
            raise Unreadable
        if name == "log2":
            base, name = rational(2), "log"
        if exponent == rational(-1):
            if name not in INVERSE:
                raise Unreadable
            return apply(INVERSE[name], value)
        if exponent is not None and self._next_op("^"):
            raise Unreadable
        result = apply(name, value) if base is None else log_to_base(base, value)
        return result if exponent is None else power(result, exponent)

    def _logarithm_of_two(self) -> Expr | None:
        """log(8, 2), as programs write a base; None, with nothing read, for any other logarithm."""
        start = self.at
        with suppress(Unreadable):
            if self._next_op("(") and len(values := self._arguments()) == 2:
                return log_to_base(values[1], values[0])
        self.at = start
        return None

    def _arguments(self) -> list[Expr]:
        opening = self._expect("(", "\\{", "[")
        items: list[Expr] = []
        while not items or self._take(","):
            items.append(as_expression(self._sum()))
            if len(items) > MAX_ITEMS:
                raise Unreadable
        self._expect(*CLOSING[opening])
        return items

    def _function_argument(self, name: str) -> Expr:
        """In brackets; or else the factors that follow without a sign, up to the next function."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        braced = self._braced_bracket()
        self.at += braced
        if self._next_op("(", "[", "\\{"):
            value = self._in_brackets()
            self.at += braced
            if self._next_op("!", "°"):  # a power is the value's: sin(x)^2 is (sin x)^2
                raise Unreadable
        else:
            value = as_expression(self._factor())
            while self._at_factor() and self._peek().kind != "func" and not (self._next_op("(") and symbols(value)):
                if self._peek().kind == "num" or self._at_another_letter():  # \sin x 2^n, \sin x y
                    raise Unreadable
                value = as_expression(self._times(value, self._factor()))
            if self._next_op("/") and self._peek(1).kind != "func":
                raise Unreadable
        self.depth -= 1
        return value

    def _at_another_letter(self) -> bool:
        """Whether white space parts two Latin letters here: \\sin x y may end at x; \\sin \\omega t and \\sin xy do not."""
        before, token = self.tokens[self.at - 1], self._peek()
        return token.spaced and all(len(t.text.partition("_")[0]) == 1 and t.kind == "sym" for t in (before, token))
