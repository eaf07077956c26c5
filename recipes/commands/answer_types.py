r"""What kind of thing a gold answer is: integer, fraction, interval, matrix, text, ..., from its parsed form.

The kinds follow `verifiers/mathematics/answer_reading/answer_parser.py`, so "unparsed" is what `math_answer` can only compare token by
token; a type says how an answer was read, not how its author meant it: (1,2) is a tuple here though it may be an open interval, and a lone
capital letter up to J a choice. For verifiers other than `math_answer` the type is the verifier's name.
"""

import re

from recipes.looking.explanation import judges_answers
from verifiers.mathematics.answer_reading.answer_in_words import read_answer
from verifiers.mathematics.answer_reading.values import (
    Builder,
    Everywhere,
    Family,
    FiniteSet,
    Listing,
    Matrix,
    Named,
    NumberSet,
    Quantity,
    Ratio,
    Relation,
    SetOf,
    Tuple,
    Unparsed,
    Value,
)
from verifiers.mathematics.arithmetic.exact_sums import Expr, atoms, symbols
from verifiers.problem import Problem
from verifiers.rewards.reward_text import short_name

UNPARSED = "unparsed"

_CHOICE = re.compile(r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?\s*(?:\([A-J]\)|[A-J])\s*\}?")
_PLAIN = re.compile(r"-?\d{1,400}(?:\.\d{1,400})?", re.ASCII)
_TEXT_COMMAND = re.compile(r"\\(?:text(?:bf|it|rm)?|mbox|mathrm|mathbf)(?![A-Za-z])")
_WORD = re.compile(r"[^\W\d_]{2}")
_MATHEMATICS = re.compile(r"[\\^_=<>$]")


def answer_type(problem: Problem) -> str:
    """The kind of a problem's gold answer."""
    if not judges_answers([problem.verifier]):
        return short_name(problem.verifier)
    answer = problem.answer.strip()
    if _CHOICE.fullmatch(answer):
        return "choice"
    if _PLAIN.fullmatch(answer):  # most golds, and a tenth of the time
        return "decimal" if "." in answer else "integer"
    value = read_answer(answer)
    if isinstance(value, Unparsed):
        words = _TEXT_COMMAND.sub(" ", answer)
        return "text" if _WORD.search(words) and not _MATHEMATICS.search(words) else UNPARSED
    return _kind_of_value(value)


def _kind_of_value(value: Value) -> str:
    match value:
        case Expr():
            return _number_kind(value)
        case Quantity(unit=unit):
            return "percent" if unit == "%" else "quantity"
        case Tuple(items=items, brackets=brackets):
            mixed = brackets != "()"
            endless = any("∞" in atoms(item) for item in items if isinstance(item, Expr))
            return "interval" if len(items) == 2 and (mixed or endless) else "tuple"
        case Listing(joint=joint):
            return "inequality" if joint else "list"
        case Ratio():
            return "ratio"
        case Matrix():
            return "matrix"
        case SetOf():
            return "interval"
        case FiniteSet() | NumberSet() | Builder():
            return "set"
        case Named(value=inner):
            kind = _kind_of_value(inner)
            return kind if kind in ("interval", "set") else "equation"
        case Relation(ops=ops):
            return "equation" if set(ops) == {"="} else "congruence" if "≡" in ops else "inequality"
        case Family(value=inner) | Everywhere(value=inner):
            return _kind_of_value(inner)
    return "other"


def _number_kind(value: Expr) -> str:
    number = value.rational
    if number is None:
        return "expression" if symbols(value) else "constant"  # sqrt 2, 3 + 4i, pi
    return "decimal" if value.decimals else "integer" if number.denominator == 1 else "fraction"
