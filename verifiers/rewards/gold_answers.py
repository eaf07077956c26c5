"""The gold answer of a row: read from what data sets give as one, and put into a response that the problem's own verifier must accept.

What counts as stated in a solution (behind ####, in the last box) is `final_answer.stated_gold`'s to say, for golds that are compared too.
Whether a gold is right is not asked here: `worker_pool/gold_check.py` asks the verifier.
"""

import json
import math
from contextlib import suppress

from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.response_text.fenced_blocks import fence, fenced_blocks
from verifiers.response_text.final_answer import Answer, extract_answer, stated_gold, tidy
from verifiers.rewards.load_reward import own_verifiers

CODE_VERIFIERS = ("python_tests", "program_tests")
PROGRAM_FIELDS = ("canonical_solution", "code", "solutions", "solution")
_EXACT_FLOATS = 1 << 53
_NOT_PLAIN = frozenset("\\{}<≈$")  # what may end a box early, or is tidied


class BadGoldError(InputError):
    """The row is well formed but has no usable gold answer."""


def answer_text(value: object, field: str) -> str:
    """An answer as text; data sets also give numbers, and null for none. Raises InputError for anything else, NaN and infinity among it.

    A number that is no integer is taken to 15 digits, behind which stands the noise of computing with floats: 72.60000000000001 is 72.6.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadGoldError(f"{field!r} is {value}, which is no answer")
        return repr(value) if value.is_integer() and abs(value) < _EXACT_FLOATS else min(repr(value), f"{value:.15g}", key=len)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"{field!r} is {value!r:.60} ({type(value).__name__}); an answer is a string or a number")


def gold_in(text: str, *, required: bool) -> str:
    """The gold answer in a text: after its last ####, or in its last box, or, unless one of these is `required`, all of it."""
    stated = stated_gold(text)
    if stated is None and required and text.strip():
        raise BadGoldError("'solution' has no \\boxed{} answer")
    return text.strip() if stated is None else stated


def answer_as_response(answer: str, verifier: str, *, as_it_stands: bool = False) -> str:
    """A response whose final answer is `answer`: boxed where `math_answer` looks for a box, be it inside; plain for all other verifiers.

    `as_it_stands`: in answer tags where a box could not hold it (a brace or a backslash too many). A gold is not spared that: a policy,
    which answers in a box, could not give it.
    """
    if "math_answer" not in own_verifiers([verifier]):
        return answer
    in_box = f"\\boxed{{{answer}}}"
    if _NOT_PLAIN.isdisjoint(answer):
        return in_box
    return in_box if not as_it_stands or extract_answer(in_box) == Answer(tidy(answer.strip()), "boxed") else f"<answer>{answer}</answer>"


def gold_response(problem: Problem) -> str:
    """The response that the problem's own verifier must accept.

    `meta["gold_response"]` if there is one, for verifiers whose answer is no response (a pattern, a statement to prove); a block
    with the reference solution for problems of code; else `answer_as_response`.
    """
    given = problem.meta.get("gold_response")
    if isinstance(given, str):
        return given
    if problem.verifier in CODE_VERIFIERS:
        program = _reference_program(problem)
        return fence(str(problem.meta.get("language") or "python"), program) if program.strip() else ""
    if problem.verifier == "program_answer":
        return fence("python", f"print({problem.answer!r})")
    return answer_as_response(problem.answer, problem.verifier)


def _reference_program(problem: Problem) -> str:
    """The program that a problem of code comes with; "" if it has none. Of several, the first."""
    for value in (*(problem.meta.get(name) for name in PROGRAM_FIELDS), problem.answer):
        if isinstance(value, str) and value.lstrip().startswith("["):  # APPS has the list as JSON text
            with suppress(ValueError, RecursionError):
                value = json.loads(value)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str) and value.strip() not in ("", "-"):
            blocks = list(fenced_blocks(value))
            return blocks[-1][1] if blocks else value
    return ""
