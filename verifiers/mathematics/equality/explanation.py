r"""Why `math_answer.verify` says what it says, as lines of `key: value`.

    extracted: '\\frac{2}{4}'
    place: boxed
    gold: number 1/2
    answer: number 1/2
    step: exact rational
    reason: the two numbers are the same fraction

The ladder is the one that gives the verdict: it is walked once more with its comparisons noted. For a list or a set the step is the
highest that any of its items needed; for two answers that differ it says on which ground, not which of several items is to blame.
"""

from dataclasses import replace

from verifiers.mathematics.answer_reading.answer_in_words import read_answer
from verifiers.mathematics.answer_reading.values import (
    Builder,
    Everywhere,
    Family,
    FiniteSet,
    Group,
    Listing,
    Matrix,
    Named,
    NumberSet,
    Quantity,
    Ratio,
    Relation,
    Row,
    SetOf,
    Tuple,
    Unparsed,
    Value,
)
from verifiers.mathematics.arithmetic.exact_sums import Call, Expr
from verifiers.mathematics.equality.policy import Policy, Step
from verifiers.mathematics.equality.same_answer import decide
from verifiers.response_text.final_answer import Answer
from verifiers.verdict import Verdict

LADDER = ("string", "exact rational", "structure", "certified numerics", "tolerance", "sympy")
_WHY = {
    "string": "the two texts are the same",
    "exact rational": "the two numbers are the same fraction",
    "structure": "both are read as the same value",
    "certified numerics": "intervals around both overlap to the last precision (where there are variables, on both sides of every corner)",
    "tolerance": "one is a decimal that the tolerance lets stand for the other",
    "sympy": "the difference simplifies to 0",
    "choice": "both name the same choice",
}
_WHY_NOT = {
    "nothing to compare": "one side is empty once read",
    "closed form": "only one side is written as a sum, product, gcd, limit or the like, and may restate the question",
    "unsolved": "only one side is solved for its variable, and the other may restate the question",
    "beyond a bound": "a value is too large to compute",
    "exact rational": "the two numbers differ",
}
_KINDS = {Listing: "list", Tuple: "tuple or interval", FiniteSet: "set", Ratio: "ratio", Matrix: "matrix", Row: "row"}
_LONGEST = 160


def explanation_of(verdict: Verdict, gold: str, answer: Answer | None, policy: Policy) -> str:
    """The lines for a verdict on a gold answer and what was extracted from the response."""
    lines = [("extracted", "nothing" if answer is None else repr(answer.text))]
    if answer is not None:
        lines.append(("place", answer.place))
    lines.append(("gold", as_text(read_answer(gold)) if gold else "nothing"))
    if answer is None or not verdict.valid:
        lines.append(("reason", verdict.detail))
    else:
        step, reason = _reason(gold, answer.text, policy)
        lines += [("answer", as_text(read_answer(answer.text))), ("step", step), ("reason", reason)]
    return "\n".join(f"{key}: {_shortened(value)}" for key, value in lines)


def _reason(gold: str, answer: str, policy: Policy) -> tuple[str, str]:
    trace: list[Step] = []
    same, step = decide(gold, answer, replace(policy, trace=trace))
    if same:
        step = step or max((noted.name for noted in trace), key=LADDER.index, default="structure")
        return step, _WHY[step]
    unread = [name for name, text in (("gold", gold), ("answer", answer)) if isinstance(read_answer(text), Unparsed)]
    if step == "" and unread:
        return "structure", f"the {' and the '.join(unread)} could not be read as mathematics, and the words differ"
    return step or "structure", _WHY_NOT.get(step, "no step of the ladder says that the two values are the same")


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def as_text(value: Value) -> str:
    """What an answer was read as."""
    match value:
        case Unparsed(tokens=tokens):
            return f"words {tokens!r}" if tokens else "nothing"
        case Expr():
            exact = value.rational
            return f"number {exact}" if exact is not None else f"expression {_text_of_sum(value)}"
        case Quantity(number=number, unit=unit):
            return f"{as_text(number)} with unit {unit!r}"
        case Named(name=name, value=inner):
            return f"{name} = {as_text(inner)}"
        case NumberSet(name=name):
            return f"set of numbers {name}"
        case Group(items=items):
            kind = "interval" if isinstance(value, Tuple) and value.opening == "[" else _KINDS[type(value)]
            return f"{kind}: " + "; ".join(map(as_text, items)) if items else kind
        case Relation(sides=sides, ops=ops):
            return "statement " + " ".join(part for pair in zip(map(as_text, sides), (*ops, ""), strict=False) for part in pair).strip()
        case SetOf(op=op, left=left, right=right):
            return f"({as_text(left)}) {op} ({as_text(right)})"
        case Builder(head=head, conditions=conditions):
            return f"all {as_text(head)} with " + "; ".join(map(as_text, conditions))
        case Everywhere(condition=condition, value=inner):
            return f"for all {as_text(condition)}: {as_text(inner)}"
        case Family(names=names, value=inner):
            return f"for any {', '.join(names)}: {as_text(inner)}"


def _text_of_sum(value: Expr) -> str:
    terms = []
    for monomial, coefficient in value.terms:
        powers = [
            _text_of_atom(name) + (f"^{exponent}" if exponent.denominator == 1 else f"^({exponent})") * (exponent != 1)
            for name, exponent in monomial
        ]
        terms.append("*".join(([] if coefficient == 1 and powers else [str(coefficient)]) + powers))
    return " + ".join(terms) or "0"


def _text_of_atom(name: str) -> str:
    return f"{name.head}({', '.join(map(_text_of_sum, name.args))})" if isinstance(name, Call) else name
