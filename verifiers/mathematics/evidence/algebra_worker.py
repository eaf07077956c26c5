"""The process in which an algebra system simplifies: `python -m verifiers.mathematics.evidence.algebra_worker`, started by
`algebra_system.py` and by nothing else.

    in:   {"left": tree, "right": tree, "seconds": n}, a line each       out:  {"ready": true}, then for each
                                                                    {"same": true | false | null} or {"failed": "timeout" | "crash"}

A tree is an exact sum as lists: [[coefficient, [[atom, exponent], ...]], ...], an atom a name or {"head": name, "args": [tree, ...]}. Terms
are made by sympy's constructors from it, and no string is ever parsed by sympy. `null` is what algebra does not know.

Hostile input may take any time and memory. So this process imports sympy and computes nothing: each request has a child of its own, forked
with sympy in it, limited in memory, and killed after its seconds. Whatever it did to sympy's caches ends with it.

Symbols are real; those in the bounds of a sum or product are positive integers. "Same" is a difference that simplifies to 0, "different"
one that is certainly not 0, with sympy's algorithms and their errors. Two sides with an antiderivative are the same up to a constant.
"""

import json
import os
import select
import signal
import sys
from fractions import Fraction
from typing import Any, NoReturn

from verifiers.child_process import die_with
from verifiers.protocol_streams import take_streams, write_all
from verifiers.resource_limits import set_limit

MEMORY = 1 << 30  # bytes of address space of a child, sympy's own included
MAX_REQUEST = 100_000  # bytes


class _Unknown(Exception):
    """No meaning here."""


class _Terms:
    """sympy terms from trees."""

    def __init__(self, sympy: Any, trees: list[Any]) -> None:
        self.sympy = sympy
        self.whole: set[str] = set()
        self.antiderivative: set[str] = set()
        for tree in trees:
            self._scan(tree, False)
        self.functions = {
            name: getattr(sympy, name)
            for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "factorial", "floor")
        } | {
            "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "ln": sympy.log, "abs": sympy.Abs, "ceil": sympy.ceiling,
            "sgn": sympy.sign, "binom": sympy.binomial, "max": sympy.Max, "min": sympy.Min, "mod": sympy.Mod, "pow": sympy.Pow,
            "sum": lambda x: x,
        }  # fmt: skip

    def _scan(self, tree: Any, counts: bool) -> None:
        """Which symbols count terms, and so are integers."""
        for _, monomial in tree:
            for atom, _ in monomial:
                if isinstance(atom, str):
                    if counts:
                        self.whole.add(atom)
                    continue
                head, args = atom["head"], atom["args"]
                for at, arg in enumerate(args):
                    self._scan(arg, counts or (head in ("series", "product") and at > 0))

    def sum(self, tree: Any) -> Any:
        sympy = self.sympy
        return sympy.Add(*(sympy.Mul(_rational(sympy, c), *(self.power(atom, e) for atom, e in monomial)) for c, monomial in tree))

    def power(self, atom: Any, exponent: str) -> Any:
        base = self.symbol(atom) if isinstance(atom, str) else self.call(atom["head"], atom["args"])
        return base if exponent == "1" else self.sympy.Pow(base, _rational(self.sympy, exponent))

    def symbol(self, name: str) -> Any:
        sympy = self.sympy
        if name.isdigit():
            return sympy.Integer(int(name))
        constants = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "∞": sympy.oo}
        if name in constants:
            return constants[name]
        if name == "°":
            return sympy.pi / 180
        if "(" in name:  # a function that nobody knows
            raise _Unknown
        if name in self.whole:
            return sympy.Symbol(name, integer=True) if name[0] == "#" else sympy.Symbol(name, integer=True, positive=True)
        return sympy.Symbol(name, real=True)

    def call(self, head: str, trees: list[Any]) -> Any:
        sympy = self.sympy
        args = [self.sum(tree) for tree in trees]
        if head == "integral":
            return sympy.Integral(args[0], (args[1], args[2], args[3]))
        if head == "antiderivative":
            self.antiderivative.add(args[1].name)
            return sympy.Integral(args[0], args[1])
        if head == "derivative":
            return sympy.Derivative(args[0], (args[1], args[2]))
        if head == "limit":
            return sympy.Limit(args[0], args[1], args[2], {1: "+", -1: "-", 0: "+-"}[int(args[3])])
        if head in ("series", "product"):
            return (sympy.Sum if head == "series" else sympy.Product)(args[0], (args[1], args[2], args[3]))
        if head not in self.functions:
            raise _Unknown
        return self.functions[head](*args)


def _rational(sympy: Any, text: str) -> Any:
    value = Fraction(text)
    return sympy.Rational(value.numerator, value.denominator)


def decide(sympy: Any, left: Any, right: Any) -> bool | None:
    """Whether two trees are the same; None where that is not known."""
    terms = _Terms(sympy, [left, right])
    sides = [terms.sum(left).doit(), terms.sum(right).doit()]
    if all(side in (sympy.oo, -sympy.oo) for side in sides):
        return bool(sides[0] == sides[1])
    difference = sides[0] - sides[1]
    if terms.antiderivative:
        if len(terms.antiderivative) > 1 or not _stand_alone(left + right):
            return None
        (name,) = terms.antiderivative
        difference = sympy.diff(difference, terms.symbol(name)).replace(sympy.sign, lambda x: x / sympy.Abs(x))  # of ln|x|
    if difference.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.AccumBounds):
        return None
    difference = sympy.simplify(difference)
    if difference == 0:
        return True
    if difference.has(sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative, sympy.Piecewise):
        return None
    found = difference.equals(0)
    return None if found is None else bool(found)


def _stand_alone(tree: Any) -> bool:
    """Whether every antiderivative is a term of its own with a number before it: only then a constant is free."""
    for _, monomial in tree:
        inside = [atom for atom, _ in monomial if isinstance(atom, dict) and _contains(atom)]
        if inside and (len(monomial) > 1 or inside[0]["head"] != "antiderivative" or monomial[0][1] != "1"):
            return False
        if inside and any(_contains_any(arg) for arg in inside[0]["args"]):
            return False
    return True


def _contains(atom: Any) -> bool:
    return atom["head"] == "antiderivative" or any(map(_contains_any, atom["args"]))


def _contains_any(tree: Any) -> bool:
    return any(isinstance(atom, dict) and _contains(atom) for _, monomial in tree for atom, _ in monomial)


def main() -> None:
    """Answer until the parent closes the pipe or dies."""
    requests, replies = take_streams()
    die_with(int(sys.argv[1]))
    sys.set_int_max_str_digits(0)
    set_limit("CORE", 0)
    import sympy

    _warm(sympy)
    _send(replies, {"ready": True})
    while line := requests.readline(MAX_REQUEST):
        _send(replies, _in_child(sympy, json.loads(line)))


def _warm(sympy: Any) -> None:
    """What sympy imports late and fills once is in every child that way."""
    x, n = sympy.Symbol("x", real=True), sympy.Symbol("n", integer=True, positive=True)
    sympy.simplify(sympy.integrate(sympy.exp(-x), (x, 0, sympy.oo)) + sympy.integrate(sympy.sin(x) * x, x))
    sympy.simplify(sympy.summation(x, (x, 1, n)) + sympy.limit(sympy.sin(x) / x, x, 0))


def _in_child(sympy: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What a child decides within its seconds, or how it failed."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        _compute(sympy, request, outlet)
    os.close(outlet)
    waiting = select.poll()
    waiting.register(inlet, select.POLLIN)
    in_time = bool(waiting.poll(1000 * request["seconds"]))
    reply = os.read(inlet, 16) if in_time else b""
    os.close(inlet)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    known = {b"true": True, b"false": False, b"null": None}
    return {"same": known[reply]} if reply in known else {"failed": "crash" if in_time else "timeout"}


def _compute(sympy: Any, request: dict[str, Any], outlet: int) -> NoReturn:
    """Never returns, whatever happens: this is a copy of the parent, in the middle of its loop."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"] + 1)  # should the parent die first
        set_limit("AS", MEMORY)
        try:
            found = decide(sympy, request["left"], request["right"])
        except _Unknown:
            found = None
        os.write(outlet, json.dumps(found).encode())
    finally:
        os._exit(0)


def _send(replies: int, message: dict[str, Any]) -> None:
    write_all(replies, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
