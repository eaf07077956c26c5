r"""Final answers in LaTeX or plain text, read into exact values.

A recursive-descent parser, and nothing that runs the text. Expressions (`expression_parser.py`) become exact sums; this upper half reads
what an answer makes of them: lists, names, equations, inequalities and their chains, congruences, ratios, sets of numbers and how they
are combined. Length, depth, digits, exponents and sizes are bounded before anything is evaluated; what is beyond a bound, or outside the
grammar, is `Unparsed` as a whole: an answer is never cut down to the part of it that could be read. Left out, and so compared as tokens:
ellipses, statements in words.
"""

import re
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, repeat

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.calculus_parser import CalculusParser
from verifiers.mathematics.answer_reading.function_parser import MAX_ITEMS
from verifiers.mathematics.answer_reading.latex_tokens import UNIT_VECTORS, normalise, tokenize
from verifiers.mathematics.answer_reading.letter_domains import TAIL_WORDS, WHOLE_LETTERS, Parameters, domain_of_set, domains_in_words
from verifiers.mathematics.answer_reading.open_form import ALGEBRA, needs_algebra
from verifiers.mathematics.answer_reading.token_cursor import nesting
from verifiers.mathematics.answer_reading.values import (
    Builder,
    Everywhere,
    Family,
    FiniteSet,
    Group,
    Listing,
    Named,
    NumberSet,
    Quantity,
    Ratio,
    Relation,
    SetOf,
    Tuple,
    Unparsed,
    Value,
    as_expression,
    as_set,
    bare_symbol,
    is_alike,
)
from verifiers.mathematics.arithmetic.exact_sums import CONSTANTS, Call, Expr, Monomial, Unreadable, rational, sum_of, symbols
from verifiers.mathematics.evidence.certified_comparison import same
from verifiers.mathematics.evidence.rounding import is_approximated, is_rounding

MAX_LENGTH = 1000  # characters of one answer
_MAX_COMPARED = 4000  # characters of a text that is too long to be read, and compared as its tokens

_RELATIONS = ("=", "<", ">", "\\le", "\\ge", "\\ne", "≈", "≡")
_NAME_ENDS = ("=", "∈", ":", "≈")
_VALUE_AT = compiled(r"[A-Za-w]\(\d+(?:,\d+)*\)")


class _Parser(CalculusParser):
    def answer(self) -> Value:
        """item (("," | and | or) item)* [for all ...]; an item with a plus-minus sign is two items."""
        self._skip_words()
        items: list[Value] = []
        joints: set[str] = set()
        breaks: dict[str, list[int]] = {}
        while True:
            items += map(_as_vector, self._item_of_both_signs())
            if len(items) > MAX_ITEMS:
                raise Unreadable
            parameters = self._parameters_behind()
            if self.at == len(self.tokens):
                return _with_parameters(self._as_listing(_with_lists_inside(items, breaks), joints), parameters or Parameters())
            comma, mark = self._peek().text, self._take(",", ";")
            word = self._peek().text
            if self._take("and", "or"):
                joints.add(word)
            elif not mark:
                raise Unreadable
            breaks.setdefault(word if word in ("and", "or") else comma, []).append(len(items))
            if (parameters := self._parameters_behind()) and self.at == len(self.tokens):
                return _with_parameters(self._as_listing(_with_lists_inside(items, breaks), joints), parameters)

    def _as_listing(self, items: list[Value], joints: set[str]) -> Value:
        if isinstance(items[0], Everywhere) and len(items) == 2:
            return Everywhere(items[0].condition, items[1])
        if len(items) == 1 or (joints == {"or"} and all(_says_again(item, items[0]) for item in items)):
            return items[0]
        word = joints.pop() if len(joints) == 1 and any(isinstance(item, Relation) for item in items) else ""
        return Listing(tuple(items), word)

    def _skip_words(self) -> None:
        if self._peek().kind in ("text", "word") and self._peek().text.lower() in ("only", "only if", "just"):
            self.at += 1

    def _parameters_behind(self) -> Parameters | None:
        r"""What "for all integers k", "where k is an integer", "(k \in \mathbb Z)" or \forall k say of letters, up to the end."""
        start = self.at
        ahead = self._peek(self._next_op("("))
        quantified = ahead.kind in ("text", "word") and ahead.text.lower().split()[:1] in (["for"], ["where"], ["with"])
        bracketed = self._next_op("(") and self._peek(1).kind == "sym" and self._peek(2).text == "∈"
        if not self.at or not (quantified or bracketed or self._next_op("∀")):
            return None
        names: list[str] = []
        said: list[str] = []
        sets: list[str] = []
        while self.at < len(self.tokens):
            kind, text, _ = self._peek()
            words = [word for word in re.split(r"[\s,-]+", text.lower().strip(" .()")) if word]
            if kind == "sym":
                names.append(text)
                said.append("")
                sets += self._from_zero_or_one(text)
            elif kind == "set":
                sets.append(domain_of_set(text))
            elif kind in ("text", "word", "op") and (text in ("(", ")", ",", "∈", "∀", "-") or set(words) <= TAIL_WORDS):
                said += words
            else:
                self.at = start
                return None
            self.at += 1
        return Parameters(tuple(names), (*domains_in_words(said), *sets))

    def _from_zero_or_one(self, name: str) -> list[str]:
        r"""n \ge 0 and n \ge 1 behind "for all": no more than where a sequence starts."""
        op, number = self._peek(1).text, self._peek(2).text
        if not (name in WHOLE_LETTERS and (op, number) in (("\\ge", "0"), ("\\ge", "1"), (">", "0"))):
            return []
        self.at += 2
        return ["Z>=" if (op, number) == ("\\ge", "0") else "Z+"]

    def _item(self) -> Value:
        """[name "="] side (relation side)*; or ∀ item"""
        if self._take("∀"):
            return Everywhere(self._item(), Unparsed(""))
        start = self.at
        name = self._leading_name()
        member = bool(name) and self.tokens[self.at - 1].text == "∈"
        value = self._statement(name)
        if name and _VALUE_AT.fullmatch(name) and not (isinstance(value, Named) and _has_no_letters(value.value)):
            self.at = start  # f(2) = f(3) + 4 is an equation
            return self._statement("")
        return replace(value, member=True) if member and isinstance(value, Named) else value

    def _statement(self, name: str) -> Value:
        """side (relation side)*, behind the name of the first side."""
        start, written = self.at, set[str]()
        sides, ops = [self._side()], []
        while self._next_op(*_RELATIONS):
            written.add(" ".join(token.text for token in self.tokens[start : self.at]))
            ops.append(self._expect(*_RELATIONS))
            start = self.at
            sides.append(self._side())
            if len(sides) > MAX_ITEMS:
                raise Unreadable
        if not name and ops and set(ops) == {"="} and " ".join(token.text for token in self.tokens[start : self.at]) in written:
            raise Unreadable  # 1 = 1 is true of any x, and no answer
        if not (ops or name) and (self._next_op("pmod") or (self._next_op("(") and self._peek(1).text in ("mod", "pmod"))):
            return self._congruence([Unparsed(""), *sides])  # 3 (mod 7), of a number that has no name
        if "≡" in ops:
            return self._congruence(sides)
        if ops and ops[-1] == "≈" and set(ops[:-1]) <= {"="}:
            return self._approximation(name, sides, ops)
        if set(ops) <= {"="}:
            return self._equation(name, sides)
        if name or "≈" in ops:
            raise Unreadable
        return Relation(tuple(sides), tuple(ops))

    def _equation(self, name: str, sides: list[Value]) -> Value:
        """A chain of one value; a name and a value; or an equation. 5 = 7 and x = 1 = 2 are none of them."""
        if not name and len(sides) > 1 and isinstance(sides[-1], Expr) and (name := bare_symbol(sides[-1])):
            sides = sides[:-1]
        first = sides[0]
        if all(_same_constant(first, side) for side in sides[1:]):
            return Named(name, first) if name else first
        last = sides[-1]
        if isinstance(last, Expr) and not needs_algebra(last) and all(_is_operation(s) or _same_constant(s, last) for s in sides[:-1]):
            claim = Relation((*filter(needs_algebra, map(as_expression, sides)), last), ("=",) * sum(map(_is_operation, sides)))
            return Named(name, claim) if name else claim  # \int_0^1 x dx = 1/2
        if name and _is_letter(name) and _is_constant(last) and all(map(_has_other_letters, sides[:-1], repeat(name))):
            return Named(name, last)  # S = ab = 12
        names = [name, *(bare_symbol(side) if isinstance(side, Expr) else "" for side in sides[:-1])]
        if len(names) > 1 and all(_is_letter(part) for part in names) and len(set(names)) == len(names) and _is_constant(sides[-1]):
            return Listing(tuple(Named(part, sides[-1]) for part in names))  # a = b = c = 1
        if len(sides) == 2 and not name and (exact := _rounded_side(*sides)) is not None:
            return exact
        if len(sides) == 2 and not name and not (_is_constant(sides[0]) and _is_constant(sides[1])):
            return Relation((sides[0], sides[1]), ("=",))
        raise Unreadable

    def _approximation(self, name: str, sides: list[Value], ops: list[str]) -> Value:
        """exact ≈ decimal is the exact value, however well the decimal was computed; 5 ≈ 7 and 3.14159 ≈ 3.2 are nothing."""
        exact, decimal = sides[-2], sides[-1]
        if isinstance(exact, Quantity) and isinstance(decimal, Quantity) and exact.unit != decimal.unit:
            raise Unreadable
        exact, decimal = (side.number if isinstance(side, Quantity) else side for side in (exact, decimal))
        if not (isinstance(exact, Expr) and isinstance(decimal, Expr) and is_approximated(exact, decimal)):
            raise Unreadable
        return self._equation(name, sides[:-1])

    def _congruence(self, sides: list[Value]) -> Value:
        r"""x \equiv 1 \pmod 5; x \equiv 1, 2 \pmod 5 is two of them."""
        while self._take(",", "or", "and"):
            sides.append(self._side())
        bracket = self._take("(")
        if not self._take("mod", "pmod"):
            raise Unreadable
        modulus = self._side()
        if bracket:
            self._expect(")")
        if not 2 <= len(sides) <= MAX_ITEMS:
            raise Unreadable
        found = tuple(Relation((sides[0], residue, modulus), ("≡",)) for residue in sides[1:])
        return found[0] if len(found) == 1 else Listing(found, "or")

    def _leading_name(self) -> str:
        """The name before "=", "∈" or ":": a symbol or a word, f(x), f'(x), P(X = 2), dy/dx, or a tuple of symbols."""
        kind, text, _ = self._peek()
        ahead = 1 if kind in ("sym", "word", "text") or (kind == "func" and text in ("min", "max")) else 0
        if ahead:
            ahead = self._length_with_arguments(ahead)
            if kind == "text" and text.endswith(":") and ahead == 1 and self._peek(1).kind in ("num", "mixed", "repeating"):
                self.at += 1  # \text{Area: } 12
                return text.rstrip(": ")
        elif text == "frac" and re.fullmatch(r"frac\{d\w?\}\{d\w\}", "".join(self._peek(i).text for i in range(7))):
            ahead = 7
        elif text == "[" and self._peek(2).text == "]" and self._peek(1).text.isupper():
            ahead = 3  # the area of a polygon
        elif text == "(" and self._peek(1).kind == "sym":
            ahead = self._tuple_of_names()
        end = self._peek(ahead)
        if not ahead or end.kind != "op" or end.text not in _NAME_ENDS:
            return ""
        if end.text == ":" and (kind not in ("word", "text", "func") or ahead != 1 or any(t.text == "=" for t in self.tokens)):
            return ""
        if end.text == "≈" and not (kind == "sym" and ahead == 1 and text not in CONSTANTS):
            return ""
        if end.text == ":" or end.text == "≈" or self._peek(ahead + 1).kind != "end":
            name = "".join(self._peek(i).text for i in range(ahead)).replace("overline:", "")
            self.at += ahead + 1
            return name
        return ""

    def _length_with_arguments(self, ahead: int) -> int:
        """How many tokens a name is with its primes, its ^{-1} and its arguments in brackets."""
        while self._peek(ahead).text == "'":
            ahead += 1
        inverse = [self._peek(ahead + i).text for i in range(6)] == ["^", "{", "-", "1", "}", "("]
        start = end = ahead + 5 * inverse
        if self._peek(start).text not in ("(", "["):
            return ahead
        probability = self._peek().text in ("P", "E", "Pr", "Var")
        while self._peek(end).text not in (")", "]"):
            end += 1
            token = self._peek(end)
            allowed = token.kind in ("sym", "num") or token.text in (")", "]", ",") or (probability and token.kind == "op")
            if end - start > 8 or not allowed:
                return ahead
        name = "".join(self._peek(i).text for i in range(end + 1))
        numbers = any(self._peek(i).kind == "num" for i in range(start, end))
        return end + 1 if not numbers or probability or _VALUE_AT.fullmatch(name) else ahead

    def _tuple_of_names(self) -> int:
        """How many tokens (x, y) or (f(n), g(n)) are; 0 if this is neither."""
        ahead = 0
        while self._peek(ahead).text in ("(", ",") and self._peek(ahead + 1).kind == "sym":
            ahead += 2
            if [self._peek(ahead).text, self._peek(ahead + 1).kind, self._peek(ahead + 2).text] == ["(", "sym", ")"]:
                ahead += 3
        return ahead + 1 if self._peek(ahead).text == ")" else 0

    def _side(self) -> Value:
        r"""term ((∪ | ∩ | \setminus) term)* | term (":" term)+"""
        start = self.at
        value = self._quantity()
        while self._next_op("∪", "∩", "∖") or (self._next_op("-") and isinstance(value, Group | NumberSet | SetOf | Builder)):
            op = self._peek().text
            value = as_set(value) if self._in_braces(start) else value  # {1} between sets is one
            self.at += 1
            start = self.at
            other = self._quantity()
            value = SetOf("∖" if op == "-" else op, value, as_set(other) if self._in_braces(start) else other)
        if isinstance(value, Expr) and self._next_op(":") and not self.bars:
            parts: list[Value] = [value]
            while self._take(":"):
                kind, text, _ = self._peek()
                if kind == "num" and len(text) > 1 and text.isdigit() and text[0] == "0":  # 12:00 is a time of day
                    raise Unreadable
                parts.append(self._quantity())
                if len(parts) > MAX_ITEMS or parts[-1] == rational(0):
                    raise Unreadable
            return Ratio(tuple(parts))
        return value

    def _group(self, opening: str) -> Value:
        return self._builder() if opening == "\\{" and self._is_builder() else super()._group(opening)

    def _is_builder(self) -> bool:
        r"""Whether a bar, or a colon behind one symbol, stands in these braces outside further brackets: {x | ...}, {x : ...}."""
        depth, bars, ahead = 0, 0, 0
        while (token := self._peek(ahead)).kind != "end" and depth >= 0:
            depth += nesting(token)
            bars += token.text == "|" and depth == 0
            if token.text == ":" and depth == 0:
                return True
            ahead += 1
        return bars % 2 == 1

    def _builder(self) -> Value:
        self.bars += 1
        head = self._item()
        self._expect("|", ":")
        self.bars -= 1
        conditions = [self._item()]
        while not self._take("\\}"):
            if not (self._take(",", ";") | self._take("and")):
                raise Unreadable
            conditions.append(self._item())
            if len(conditions) > MAX_ITEMS:
                raise Unreadable
        return Builder(head, tuple(conditions))


def _with_lists_inside(items: list[Value], breaks: dict[str, list[int]]) -> list[Value]:
    """x = 1, y = 2; x = 3, y = 4 as two lists: a semicolon, or an "or" between names, parts what commas and "and" join. So does every sign
    that parts groups of the same names; x = 1, x = 2 or x = 3 is one list."""
    names = [item.name for item in items if isinstance(item, Named)]
    named = len(names) == len(items)
    ends: list[int] = []
    if named and len(set(names)) < len(names):
        ends = next((found for found in (breaks.get(sign, []) for sign in (";", "or", "and")) if _same_names_each_time(names, found)), [])
        period = len(set(names))
        if not ends and _same_names_each_time(names, every := list(range(period, len(names), period))):
            ends = every
        if not ends and period == 1:
            return items
    strong = ";" if ";" in breaks else "or" if "or" in breaks and named else ""
    ends = ends or (breaks[strong] if strong and {",", "and"} & breaks.keys() else [])
    chunks = [tuple(items[start:end]) for start, end in pairwise([0, *ends, len(items)])] if ends else []
    return [chunk[0] if len(chunk) == 1 else Listing(chunk) for chunk in chunks] if chunks else items


def _same_names_each_time(names: list[str], ends: list[int]) -> bool:
    """Whether the names between these ends are the same, and several, each time."""
    chunks = [sorted(names[start:end]) for start, end in pairwise([0, *ends, len(names)])]
    return len(chunks) > 1 and len(chunks[0]) > 1 and len(set(chunks[0])) == len(chunks[0]) and all(chunk == chunks[0] for chunk in chunks)


def _as_vector(value: Value) -> Value:
    """2i + 3j in unit vectors as the tuple (2, 3); without j or k, how many coordinates there are is not known."""
    if isinstance(value, Named):
        return replace(value, value=_as_vector(value.value))
    if not isinstance(value, Expr) or not symbols(value) & set(UNIT_VECTORS[1:]):
        return value
    parts: dict[str, list[tuple[Monomial, Fraction]]] = {name: [] for name in UNIT_VECTORS}
    for monomial, coefficient in value.terms:
        along = [name for name, exponent in monomial if name in UNIT_VECTORS and exponent == 1]
        if len(along) != 1:
            return value
        parts[along[0]].append((tuple(part for part in monomial if part[0] != along[0]), coefficient))
    used = UNIT_VECTORS if parts[UNIT_VECTORS[2]] else UNIT_VECTORS[:2]
    return Tuple(tuple(sum_of(parts[name]) for name in used))


def _with_parameters(value: Value, said: Parameters) -> Value:
    """The value, and which of its letters stand for anything of which kind; k in Z at the end of a list says the same."""
    if isinstance(value, Listing) and len(value.items) > 1:
        last = value.items[-1]
        if isinstance(last, Named) and isinstance(last.value, NumberSet) and len(last.name) == 1:
            rest, names = value.items[:-1], [*said.names, last.name]
            while len(rest) > 1 and isinstance(rest[-1], Expr) and len(name := bare_symbol(rest[-1])) == 1:  # a, b in R
                rest, names = rest[:-1], [*names, name]
            found = Parameters(tuple(names), (*said.domains, domain_of_set(last.value.name)))
            return _with_parameters(rest[0] if len(rest) == 1 else replace(value, items=rest), found)
    return Family(tuple(sorted(set(said.names))), value, said.domains) if said.names or said.domains else value


def _is_letter(name: str) -> bool:
    return len(name.partition("_")[0]) == 1


def _rounded_side(left: Value, right: Value) -> Value | None:
    """The exact side of 23^{1.5} = 110.304, if the other is its rounding to four digits or more."""
    for exact, decimal in ((left, right), (right, left)):
        both = isinstance(exact, Expr) and isinstance(decimal, Expr) and decimal.decimals >= 2 and not exact.decimals
        if both and is_rounding(as_expression(decimal), as_expression(exact), digits=4):
            return exact
    return None


def _is_constant(value: Value) -> bool:
    number = value.number if isinstance(value, Quantity) else value
    return isinstance(number, Expr) and not symbols(number)


def _is_operation(value: Value) -> bool:
    """An integral, limit, derivative or long sum, and nothing else."""
    if not isinstance(value, Expr) or len(value.terms) != 1 or len(value.terms[0][0]) != 1 or value.terms[0][1] != 1:
        return False
    name, exponent = value.terms[0][0][0]
    return isinstance(name, Call) and name.head in ALGEBRA and exponent == 1


def _says_again(item: Value, first: Value) -> bool:
    """Whether "first or item" is one value: the same number, or its rounding."""
    rounded = isinstance(first, Expr) and isinstance(item, Expr) and is_rounding(item, first, digits=3)
    return rounded or _same_constant(first, item)


def _has_other_letters(value: Value, name: str) -> bool:
    """Whether this is an expression, more than a letter, that says what the letter `name` is without using it."""
    return isinstance(value, Expr) and bool(symbols(value)) and name not in symbols(value) and not bare_symbol(value)


def _has_no_letters(value: Value) -> bool:
    return all(map(_has_no_letters, value.items)) if isinstance(value, Group) else isinstance(value, NumberSet) or _is_constant(value)


def _same_constant(left: Value, right: Value) -> bool:
    match left, right:
        case Expr(), Expr():
            return same(left, right) and not (symbols(left) | symbols(right))
        case Group(), Group() if is_alike(left, right) and len(left.items) == len(right.items):
            if not isinstance(left, FiniteSet):
                return all(map(_same_constant, left.items, right.items))
            rest = list(right.items)
            for item in left.items:
                if (found := next((other for other in rest if _same_constant(item, other)), None)) is None:
                    return False
                rest.remove(found)
            return True
    return left == right


def parse(text: str) -> Value:
    """The value of an answer; `Unparsed` if it is outside the grammar or too large. Never raises, never evaluates text."""
    if len(text) > _MAX_COMPARED:
        return Unparsed(text.strip())
    return _parse(text)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Value:
    source = normalise(text)
    if len(source) > _MAX_COMPARED:
        return Unparsed(source)
    tokens = tokenize(r"\emptyset" if source == "{}" else source)
    if max(len(text), len(source)) > MAX_LENGTH:
        return Unparsed(" ".join(token.text for token in tokens))
    for nested in (False, True):
        with suppress(Unreadable):
            parser = _Parser(list(tokens))
            parser.nested = nested
            return parser.answer()
        if source.count("|") < 4:
            break
    return Unparsed(" ".join(token.text for token in tokens))
