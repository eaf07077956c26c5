"""Constants by intervals: their sign, and whether two of them overlap at a precision that shows what they may hide.

No points, and so nothing of what looks for them is imported: most that is asked of intervals are constants.
"""

from collections.abc import Iterator

from verifiers.mathematics.arithmetic.exact_sums import Call, Expr, Unreadable, atoms, subtract
from verifiers.mathematics.arithmetic.exact_values import Point, Undefined
from verifiers.mathematics.arithmetic.interval_evaluation import EVALUATORS, MAX_HIDDEN, Evaluation
from verifiers.mathematics.arithmetic.intervals import LOCK, Interval, real_sign

PRECISIONS = (100, 320, 1400)
MARGIN = 160  # bits at which two values agree, besides what they can hide


def agree_as_constants(left: Expr, right: Expr) -> bool:
    with LOCK:
        return any(same_constants(left, right, base) for base in log_bases(left, right))


def log_bases(left: Expr, right: Expr) -> tuple[str, ...]:
    """What a logarithm without a base may be to; nothing where a function has no intervals: `algebra_system.py` may know an integral."""
    heads = heads_of(left) | heads_of(right)
    if not heads <= EVALUATORS.keys():
        return ()
    natural = {"ln", "exp"} & heads or {"e"} & (atoms(left) | atoms(right))  # who writes ln means 10 by log
    return ("e", "10") if "log" in heads and not natural else ("e",)


def same_constants(left: Expr, right: Expr, log_base: str) -> bool:
    """Whether two constants have an exact difference of 0, or overlap at a precision that shows what they may hide."""
    try:
        difference = subtract(left, right).rational
    except Unreadable:
        difference = None
    if difference is not None:
        return difference == 0
    for found in _ever_more_precise([left, right], "i" in atoms(left) | atoms(right), log_base):
        if not found.reasons and not found.arithmetic.overlap(*found.values):
            return False
        if found.shows_all:
            return found.narrow()
        if found.hidden > MAX_HIDDEN:
            break
    return False


def sign_of_constant(value: Expr) -> int | None:
    """-1, 0 or 1; None where that is not told."""
    with LOCK:
        for found in _ever_more_precise([value], False, "e"):
            (number,) = found.values
            if number is not None and (certain := real_sign(number)):
                return certain
            if found.shows_all:
                return None if number is None else 0
    return None


def heads_of(value: Expr) -> set[str]:
    return {name.head for name in atoms(value) if isinstance(name, Call)}


class Evaluated:
    """The intervals of expressions at one point, None for each that has none, and why; and the bits that all of them can hide."""

    def __init__(self, sides: list[Expr], point: Point, precision: int, complex_: bool, log_base: str) -> None:
        evaluation = Evaluation(point, precision, complex_, log_base)
        self.arithmetic = evaluation.arithmetic
        self.values: list[Interval | None] = []
        self.reasons: list[Undefined] = []
        self.hidden = 0
        for side in sides:
            try:
                found = evaluation.sum(side)
            except (Undefined, Unreadable) as error:
                self.values.append(None)
                self.reasons.append(error if isinstance(error, Undefined) else Undefined())
            else:
                self.values.append(found)
                self.hidden += max(0, -(evaluation.size(found) or 0))
        self.hidden += evaluation.hidden

    @property
    def shows_all(self) -> bool:
        """Whether the precision is enough for constants."""
        return self.arithmetic.precision >= max(PRECISIONS[-1], _precision_for(self.hidden))

    def narrow(self) -> bool:
        """Whether every interval is narrow enough to show what may be hidden."""
        return all(value is not None and self.arithmetic.is_narrow(value, self.hidden + MARGIN // 3) for value in self.values)

    def for_reason(self, kind: type[Undefined]) -> bool:
        return any(isinstance(reason, kind) for reason in self.reasons)


def _ever_more_precise(sides: list[Expr], complex_: bool, log_base: str) -> Iterator[Evaluated]:
    """Constants at higher and higher precisions, up to the highest that is tried."""
    precision = PRECISIONS[0]
    while True:
        found = Evaluated(sides, {}, precision, complex_, log_base)
        yield found
        if precision >= MAX_HIDDEN:
            return
        precision = next((p for p in PRECISIONS if p > precision), min(_precision_for(found.hidden), MAX_HIDDEN))


def _precision_for(hidden: int) -> int:
    return hidden + 400 if hidden > 1000 else 0
