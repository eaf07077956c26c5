r"""Arithmetic of small matrices as they are written in answers: sums, multiples, products, whole powers, transposes, determinants.

Entries are exact sums, so nothing is rounded; sizes and powers are bounded, and what does not fit together is Unreadable. A vector stays
what it was written as: a matrix of one column or one row. Left out: ranks, eigenvalues, inverses beyond three rows.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

from verifiers.mathematics.answer_reading.values import Group, Matrix, Row, Tuple, Value
from verifiers.mathematics.arithmetic.exact_sums import Expr, Unreadable, add, divide, multiply, rational, scale, subtract

MAX_SIDE = 6
MAX_POWER = 8
_MAX_DETERMINANT = 4

Rows = list[list[Expr]]


def _rows(value: Value) -> Rows:
    if not isinstance(value, Matrix):
        raise Unreadable
    rows: Rows = []
    for row in value.items:
        entries = row.items if isinstance(row, Group) else ()
        rows.append([entry for entry in entries if isinstance(entry, Expr)])
        if len(rows[-1]) != len(entries) or len(entries) != len(rows[0]) or not 1 <= len(entries) <= MAX_SIDE:
            raise Unreadable
    if not 1 <= len(rows) <= MAX_SIDE:
        raise Unreadable
    return rows


def matrix(rows: Iterable[Iterable[Value]]) -> Matrix:
    return Matrix(tuple(Row(tuple(row)) for row in rows))


def by_rows(items: Sequence[Value], ends: Sequence[int]) -> Matrix:
    """A matrix from all its entries, and where its rows begin and end."""
    if len({end - start for start, end in pairwise(ends)}) != 1:
        raise Unreadable
    return matrix(items[start:end] for start, end in pairwise(ends))


def as_written(value: Group, like: Group) -> Group:
    """A matrix of one column or one row as the tuple or list that is compared with it; [[1,2],[3,4]] as a matrix; all else as it is."""
    rows = [row.items for row in value.items if isinstance(row, Group)]
    if isinstance(value, Matrix):
        if len(rows) > 1 and any(len(row) > 1 for row in rows):
            return value
        items = tuple(item for row in rows for item in row)
        return Tuple(items, "[", "]") if _is_square(like) else Tuple(items)
    return matrix(rows) if _is_square(value) and all(map(_is_square, value.items)) else value


def _is_square(value: Value) -> bool:
    return isinstance(value, Tuple) and value.brackets == "[]"


def _each_entry(value: Value, change: Callable[[Expr], Expr]) -> Matrix:
    return matrix([[change(entry) for entry in row] for row in _rows(value)])


def plus(left: Value, right: Value, sign: Fraction) -> Matrix:
    a, b = _rows(left), _rows(right)
    if len(a) != len(b) or len(a[0]) != len(b[0]):
        raise Unreadable
    return matrix([[add(x, scale(y, sign)) for x, y in zip(r, s, strict=True)] for r, s in zip(a, b, strict=True)])


def times(left: Value, right: Value) -> Matrix:
    """A product of which at least one factor is a matrix."""
    if isinstance(left, Expr):
        return _each_entry(right, lambda entry: multiply(left, entry))
    if isinstance(right, Expr):
        return _each_entry(left, lambda entry: multiply(entry, right))
    return matrix(_product(_rows(left), _rows(right)))


def _product(a: Rows, b: Rows) -> Rows:
    if len(a[0]) != len(b):
        raise Unreadable
    return [[_dot(row, [other[j] for other in b]) for j in range(len(b[0]))] for row in a]


def _dot(left: list[Expr], right: list[Expr]) -> Expr:
    total = rational(0)
    for x, y in zip(left, right, strict=True):
        total = add(total, multiply(x, y))
    return total


def transposed(value: Value) -> Matrix:
    return matrix([list(column) for column in zip(*_rows(value), strict=True)])


def to_power(value: Value, exponent: Expr) -> Matrix:
    rows, n = _rows(value), exponent.rational
    if n is None or n.denominator != 1 or len(rows) != len(rows[0]) or not -1 <= n <= MAX_POWER:
        raise Unreadable
    if n == -1:
        return _inverse(rows)
    result: Rows = [[rational(int(i == j)) for j in range(len(rows))] for i in range(len(rows))]
    for _ in range(n.numerator):
        result = _product(result, rows)
    return matrix(result)


def determinant(value: Value) -> Expr:
    rows = _rows(value)
    if len(rows) != len(rows[0]) or len(rows) > _MAX_DETERMINANT:
        raise Unreadable
    return _determinant(rows)


def _determinant(rows: Rows) -> Expr:
    if len(rows) == 1:
        return rows[0][0]
    total = rational(0)
    for j, entry in enumerate(rows[0]):
        part = multiply(entry, _determinant(_minor(rows, 0, j)))
        total = subtract(total, part) if j % 2 else add(total, part)
    return total


def _minor(rows: Rows, i: int, j: int) -> Rows:
    return [[entry for column, entry in enumerate(row) if column != j] for k, row in enumerate(rows) if k != i]


def _inverse(rows: Rows) -> Matrix:
    """By cofactors; the determinant must be a number that is not 0."""
    if not 2 <= len(rows) <= 3:
        raise Unreadable
    whole = _determinant(rows)
    if whole.rational in (None, 0):
        raise Unreadable
    size = range(len(rows))
    return matrix([[divide(scale(_determinant(_minor(rows, j, i)), Fraction((-1) ** (i + j))), whole) for j in size] for i in size])
