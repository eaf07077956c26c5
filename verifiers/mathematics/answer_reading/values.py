"""What an answer can be once it has been read: the values that `answer_parser.py` makes and `same_answer.py` compares."""

from dataclasses import dataclass, field, replace

from verifiers.mathematics.arithmetic.exact_sums import Expr, Unreadable


@dataclass(frozen=True)
class Quantity:
    """A number and the words behind it: "cm", "%", "°", "base 2"; "$" before it."""

    number: Expr
    unit: str


@dataclass(frozen=True)
class Group:
    """Several values as one. Its kind, one of the classes below, says what they are to each other; those without fields of their own
    need no decorator, which would take half a millisecond of the import each."""

    items: "tuple[Value, ...]"


@dataclass(frozen=True)
class Listing(Group):
    """1, 2: several answers, in no order."""

    joint: str = ""
    """The word between relations: "or", "and"."""


class FiniteSet(Group):
    """{1, 2}: in no order, and each once."""


@dataclass(frozen=True)
class Tuple(Group):
    """(1, 2) and [1, 2): in order. Two items may be the ends of an interval: the brackets alone do not say."""

    opening: str = "("
    closing: str = ")"

    @property
    def brackets(self) -> str:
        return self.opening + self.closing


class Ratio(Group):
    """1:2"""


class Row(Group):
    """The entries of one row of a matrix."""


class Matrix(Group):
    """Rows, which may differ in length: `matrix_arithmetic.py` computes only with those that do not."""


@dataclass(frozen=True)
class NumberSet:
    """A set of numbers by its name: "R", "Z+", "odd Z"."""

    name: str


@dataclass(frozen=True)
class Named:
    """x = value, f(x) = value, (x,y) = value or x in set."""

    name: str
    value: "Value"
    member: bool = field(default=False, compare=False)
    """Whether it was written with the sign of membership, so that a pair in brackets is an interval."""


@dataclass(frozen=True)
class Relation:
    r"""sides[0] ops[0] sides[1] ops[1] ...; an op is one of < \le > \ge = \ne ≡; the modulus is the last side of ≡."""

    sides: "tuple[Value, ...]"
    ops: tuple[str, ...]


@dataclass(frozen=True)
class SetOf:
    r"""left ∪ right, left ∩ right, left ∖ right."""

    op: str
    left: "Value"
    right: "Value"


@dataclass(frozen=True)
class Builder:
    """{head | conditions}"""

    head: "Value"
    conditions: "tuple[Value, ...]"


@dataclass(frozen=True)
class Everywhere:
    """∀ condition: value"""

    condition: "Value"
    value: "Value"


@dataclass(frozen=True)
class Family:
    """A value whose letters `names` stand for anything of `domains` (`letter_domains.py`), as said behind it: "for all integers k"."""

    names: tuple[str, ...]
    value: "Value"
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unparsed:
    """The tokens, spaced: equal only to the same tokens. Empty where there was nothing to read."""

    tokens: str


Value = Expr | Quantity | Group | NumberSet | Named | Relation | SetOf | Builder | Everywhere | Family | Unparsed

FLIPPED = {"<": ">", "\\le": "\\ge", ">": "<", "\\ge": "\\le", "=": "=", "\\ne": "\\ne"}  # the relation with its sides exchanged
EMPTY_SET = FiniteSet(())


def as_set(value: Value) -> Value:
    """An expression as the set of it."""
    return FiniteSet((value,)) if isinstance(value, Expr) else value


def is_alike(left: Group, right: Group) -> bool:
    """Whether two groups are of one kind, with the same brackets or word between their items."""
    return replace(left, items=()) == replace(right, items=())


def parts(value: Value) -> "tuple[Value, ...]":
    """What a value is made of."""
    match value:
        case Group(items=items) | Relation(sides=items):
            return items
        case Quantity(number=inner) | Named(value=inner) | Family(value=inner):
            return (inner,)
        case SetOf(left=first, right=second) | Everywhere(condition=first, value=second):
            return first, second
        case Builder(head=head, conditions=conditions):
            return (head, *conditions)
    return ()


def as_expression(value: Value) -> Expr:
    """The value, if one can compute with it; else raises Unreadable."""
    if not isinstance(value, Expr):
        raise Unreadable
    return value


def finite_expression(value: Value) -> Expr:
    """What may be computed with: infinity over infinity is nothing."""
    found = as_expression(value)
    if any(name == "∞" for monomial, _ in found.terms for name, _ in monomial):
        raise Unreadable
    return found


def bare_symbol(value: Expr) -> str:
    """The symbol that this is, if it is one."""
    if len(value.terms) == 1 and value.terms[0][1] == 1 and len(value.terms[0][0]) == 1:
        name, exponent = value.terms[0][0][0]
        return name if exponent == 1 else ""
    return ""
