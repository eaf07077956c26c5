"""Numbers and polynomials as exact sums, with everything bounded before it is computed.

A value is a sum of rational multiples of monomials in named atoms (symbols, pi, e, i, roots of integers, calls of functions), in one
order: many equal values have equal sums, and different values never do. `certified_comparison.py` decides what this order leaves open. What
is beyond a bound raises Unreadable, at once.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

MAX_BITS = 4096  # of a numerator or denominator
MAX_TERMS = 64  # of a sum
MAX_EXPANDED = 24  # terms of a power that is multiplied out
MAX_KEPT = 512  # bits: a larger power of a prime stays a power where the number would have more than MAX_BITS
MAX_EXPONENT = 1500  # bits of the exponent of a power that stays one
MAX_NAME = 1500  # characters of the name of one atom

Monomial = tuple[tuple[str, Fraction], ...]


class Unreadable(Exception):
    """Beyond the grammar or its bounds; an answer that raises it is none that can be read."""


class _TooLargeError(Unreadable):
    """More bits than a number may have."""


@dataclass(frozen=True, slots=True)
class Expr:
    """A sum of (monomial, coefficient), sorted, without zeros. The empty sum is 0."""

    terms: tuple[tuple[Monomial, Fraction], ...]
    decimals: int = field(default=0, compare=False)
    """Digits after the point if this was written as one decimal number; 0 otherwise."""

    @property
    def rational(self) -> Fraction | None:
        if not self.terms:
            return Fraction(0)
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None


class Call(str):
    """The atom of a function at its arguments; it is its name, which is the same for equal arguments."""

    head: str
    args: tuple[Expr, ...]

    def __new__(cls, head: str, *args: Expr) -> "Call":
        self = super().__new__(cls, f"{head}({';'.join(map(name_of, args))})")
        self.head, self.args = head, args
        return self


_POSITIVE = frozenset({"pi", "e"})  # besides integers, the atoms x with sqrt(xy) = sqrt(x) sqrt(y)
CONSTANTS = _POSITIVE | {"i"}
_NOT_SYMBOLS = CONSTANTS | {"°", "∞"}


def rational(value: Fraction | int, decimals: int = 0) -> Expr:
    return Expr((((), Fraction(value)),) if value else (), decimals)


def call(head: str, *args: Expr) -> Expr:
    return atom(Call(head, *args))


def atom(name: str, exponent: Fraction = Fraction(1)) -> Expr:
    return Expr(((((name, exponent),), Fraction(1)),))


PI = atom("pi")
_ONE = rational(1).terms


def name_of(value: Expr) -> str:
    """The sum as text, the same for equal sums: it names the atom that stands for a power of it."""
    name = "+".join(str(c) + "".join(f"*{atom}^{e}" for atom, e in m) for m, c in value.terms)
    if len(name) > MAX_NAME:
        raise Unreadable
    return name


def sum_of(terms: Iterable[tuple[Monomial, Fraction]]) -> Expr:
    total: dict[Monomial, Fraction] = {}
    for monomial, coefficient in terms:
        before = total.get(monomial)
        total[monomial] = coefficient if before is None else before + coefficient
    kept = tuple(sorted((m, c) for m, c in total.items() if c))
    if len(kept) > MAX_TERMS or any(_bits(c) > MAX_BITS for _, c in kept):
        raise Unreadable
    return Expr(kept)


def scale(value: Expr, factor: Fraction) -> Expr:
    return Expr(tuple((m, c * factor) for m, c in value.terms), value.decimals if factor == -1 else 0) if factor else rational(0)


def multiply(left: Expr, right: Expr) -> Expr:
    for one, other in ((left, right), (right, left)):
        if one.terms == _ONE and not any(name.isdigit() for monomial, _ in other.terms for name, _ in monomial):
            return Expr(other.terms)
    products = []
    for m, c in left.terms:
        for n, d in right.terms:
            powers = dict(m)
            for atom, exponent in n:
                powers[atom] = powers[atom] + exponent if atom in powers else exponent
            products.append(_term(c * d, powers))
    return sum_of(products)


def _term(coefficient: Fraction, powers: dict[str, Fraction], n: int = 1) -> tuple[Monomial, Fraction]:
    """coefficient^n times the powers, in one form; of a number that is too large its large prime factors stay powers, as in 3 * 2^5000."""
    try:
        factor, monomial = _reduce(powers.items())
        whole = factor * _whole_power(coefficient, n)
        if _bits(whole) <= MAX_BITS:
            return monomial, whole
    except _TooLargeError:
        pass
    primes = {name: exponent for name, exponent in powers.items() if name.isdigit()}
    for part, direction in ((abs(coefficient.numerator), n), (coefficient.denominator, -n)):
        for p, e in _factors(part).items():
            primes[str(p)] = primes.get(str(p), Fraction(0)) + direction * e
    factor, monomial = _reduce((name, exponent) for name, exponent in powers.items() if name not in primes)
    factor *= -1 if coefficient < 0 and n % 2 else 1
    size = sum(abs(math.floor(exponent)) * (len(bin(int(p))) - 3) for p, exponent in primes.items())
    least = MAX_KEPT if size > 2 * MAX_BITS or _bits(_product_of(primes, 4 * MAX_BITS)) > MAX_BITS else 4 * MAX_BITS
    kept = {p: exponent for p, exponent in primes.items() if abs(math.floor(exponent)) * int(p).bit_length() > least}
    if any(exponent.numerator.bit_length() > MAX_EXPONENT for exponent in kept.values()):
        raise Unreadable
    rest, roots = _reduce((p, exponent) for p, exponent in primes.items() if p not in kept)
    return tuple(sorted((*monomial, *roots, *kept.items()))), factor * rest


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _product_of(primes: dict[str, Fraction], limit: int) -> Fraction:
    return math.prod((_whole_power(Fraction(int(p)), math.floor(exponent), limit) for p, exponent in primes.items()), start=Fraction(1))


def _whole_power(base: Fraction, exponent: int, limit: int = 0) -> Fraction:
    if abs(exponent) * (_bits(base) - 1) > (limit or MAX_BITS):
        raise _TooLargeError
    return base**exponent


def _reduce(powers: Iterable[tuple[str, Fraction]]) -> tuple[Fraction, Monomial]:
    """Whole powers of integers and of i go into the coefficient: 3^(-1/2) is 1/3 * 3^(1/2), i^3 is -i."""
    coefficient, kept = Fraction(1), []
    for atom, exponent in powers:
        if atom.isdigit():
            whole = math.floor(exponent)
            coefficient *= _whole_power(Fraction(int(atom)), whole)
            exponent -= whole
        elif atom == "i":
            if exponent.denominator != 1:
                raise Unreadable
            coefficient *= -1 if exponent % 4 >= 2 else 1
            exponent %= 2
        if exponent:
            kept.append((atom, exponent))
    return coefficient, tuple(sorted(kept))


def _valuation(n: int, p: int) -> tuple[int, int]:
    """How often p divides n, and what is left: by p, p^2, p^4 and back."""
    count, steps = 0, [p]
    while n % steps[-1] == 0:
        n //= steps[-1]
        count += 1 << (len(steps) - 1)
        steps.append(steps[-1] ** 2)
    for k in reversed(range(len(steps))):
        if n % steps[k] == 0:
            n //= steps[k]
            count += 1 << k
    return count, n


def _factors(n: int) -> dict[int, int]:
    """Trial division by small primes; the rest is one factor or one squared. An unsplit rest can miss an equality, not make one."""
    found: dict[int, int] = {}
    for p in (2, *range(3, 500, 2)):
        if n % p == 0:
            found[p], n = _valuation(n, p)
    root = math.isqrt(n)
    return found if n == 1 else found | ({root: 2} if root * root == n else {n: 1})


def power(base: Expr, exponent: Expr) -> Expr:
    n = exponent.rational
    if n is None:
        return rational(1) if base == rational(1) else call("pow", base, exponent)
    if not base.terms:
        if n <= 0:
            raise Unreadable
        return base
    if n.denominator != 1:
        return _root(base, n)
    if len(base.terms) == 1:
        monomial, coefficient = base.terms[0]
        return sum_of([_term(coefficient, {atom: e * n for atom, e in monomial}, n.numerator)])
    if n < 0 and len(base.terms) == 2:  # 1/(a+b) = (a-b)/(a²-b²): surds and complex numbers lose their denominator
        conjugate = Expr((base.terms[0], (base.terms[1][0], -base.terms[1][1])))
        if norm := multiply(base, conjugate).rational:
            return power(scale(conjugate, 1 / norm), rational(-n))
    if n < 0 or math.comb(min(n.numerator, 99) + len(base.terms) - 1, len(base.terms) - 1) > MAX_EXPANDED:
        return _opaque(base, n)
    product = rational(1)
    for _ in range(n.numerator):
        product = multiply(product, base)
    return product


def _opaque(base: Expr, n: Fraction) -> Expr:
    """base^n as a power of one atom, once its content has been taken out: sqrt(4x+4) is 2 sqrt(x+1), (a-x)^6000 is (x-a)^6000."""
    content = base.terms[-1][1] if n.denominator == 1 else abs(base.terms[-1][1])
    return multiply(atom(Call("sum", scale(base, 1 / content)), n), power(rational(content), rational(n)))


def _root(base: Expr, n: Fraction) -> Expr:
    monomial, coefficient = base.terms[0]
    positive = all(atom in _POSITIVE or atom.isdigit() for atom, _ in monomial)
    if len(base.terms) > 1 or not (positive or (len(monomial) == 1 and monomial[0][1] == coefficient == 1)):
        return _opaque(base, n)
    powers = {atom: e * n for atom, e in monomial}
    if coefficient < 0:
        if n != Fraction(1, 2):
            raise Unreadable
        powers["i"] = Fraction(1)
    for part, direction in ((abs(coefficient.numerator), n), (coefficient.denominator, -n)):
        for factor, e in _factors(part).items():
            powers[str(factor)] = powers.get(str(factor), Fraction(0)) + e * direction
    return sum_of([_term(Fraction(1), powers)])


def add(left: Expr, right: Expr) -> Expr:
    return sum_of([*left.terms, *right.terms])


def subtract(left: Expr, right: Expr) -> Expr:
    return sum_of([*left.terms, *scale(right, Fraction(-1)).terms])


def divide(left: Expr, right: Expr) -> Expr:
    return multiply(left, power(right, rational(-1)))


def atoms(value: Expr) -> set[str]:
    """All atoms, those inside calls too."""
    found: set[str] = set()
    for monomial, _ in value.terms:
        for name, _ in monomial:
            found.add(name)
            if isinstance(name, Call):
                for arg in name.args:
                    found |= atoms(arg)
    return found


def symbols(value: Expr) -> set[str]:
    """The free variables: every atom that is no constant, number or call, nor a variable that an integral or sum binds (#0)."""
    return {
        name for name in atoms(value) if not isinstance(name, Call) and name not in _NOT_SYMBOLS and not name.isdigit() and name[0] != "#"
    }


def size_of(value: Expr) -> int:
    """Atoms and terms, those inside calls too."""
    total = 0
    for monomial, _ in value.terms:
        total += 1
        for name, _ in monomial:
            total += 1 + (sum(map(size_of, name.args)) if isinstance(name, Call) else 0)
    return total


def substitute(value: Expr, new: dict[str, Expr]) -> Expr:
    """The value with symbols replaced; calls are rebuilt, so their names stay canonical."""

    def base_of(name: str) -> Expr | None:
        if name in new or not isinstance(name, Call):
            return new.get(name)
        return called(name.head, [substitute(arg, new) for arg in name.args])

    return rebuilt(value, base_of)


def called(head: str, args: list[Expr]) -> Expr:
    """A call, where it is no sum or power that has a value of its own by now."""
    return args[0] if head == "sum" else power(*args) if head == "pow" else call(head, *args)


def rebuilt(value: Expr, base_of: Callable[[str], Expr | None]) -> Expr:
    """The value with `base_of` its atoms in their place; an atom of which that is None stays."""
    terms: list[tuple[Monomial, Fraction]] = []
    for monomial, coefficient in value.terms:
        term = rational(coefficient)
        for name, exponent in monomial:
            base = base_of(name)
            term = multiply(term, atom(name, exponent) if base is None else power(base, rational(exponent)))
        terms += term.terms
    return sum_of(terms)
