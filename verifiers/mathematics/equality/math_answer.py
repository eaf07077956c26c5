r"""Is the final answer of a response the gold one?

A ladder decides, and the first step that knows the answer ends it: the same string; the same exact rational number; the same exact sum
or structure; certified numerics (`certified_comparison.py`); the tolerance; and for integrals, limits, derivatives and sums with symbolic
bounds an algebra system in a process of its own (`algebra_system.py`). `explain` says which step it was.

A wrong answer accepted teaches the policy to be wrong, so everything here errs towards "different": no floating point, no tolerance but
the stated one, and no part of an answer ever stands for the whole. Policies that a reader might want otherwise:

- tolerance: 0.3333 is 1/3 and 3.1416 is pi, 3.14 and 3.1415 are not; `policy.py` defines this and the other tolerances;
- percent: 50 = 50\% and 1/2 = 50\%, but 50 and 0.5 differ; `percent="strict"` wants the sign on both sides or on neither;
- units: one side may lack its unit, two different units are converted where they measure the same thing and differ otherwise;
  `units="match"` wants the same unit where both have one (cm and centimetres are the same, cm and m are not); `units="ignore"` drops
  units of measure from both sides, but no percent sign, base or "million";
- closed form: where one side is written as a sum, product, gcd, maximum, remainder, integral, derivative or limit and the other is not,
  they differ, as such an answer may only restate the question; so do 2x + 1 = 11 and x = 5, of which only one is solved.
  `require_closed_form=False` compares values. A power, a binomial coefficient or a product of two numbers may restate a question too,
  and is let through. So is a question of conversion that is only repeated: 10 m/s is 36 km/h, 0.25 is 25\%, pi/4 is 45 degrees. Where
  problems ask for conversions, choose units="match" and percent="strict";
- names: x = 5 is 5, but x = 5 is not y = 5; a list of differently named values, or of numbers of different things, keeps its order against
  a list without names; a gold 5 has the answer x = y = 5, a gold x = y = 5 has not the answer 5;
- results: of gcd(12,18) = 6 and 1/3 \approx 0.33 the 6 and the 1/3 count; a computation that is wrong, or a bad rounding of what is no
  fraction, makes the whole unreadable;
- choices: the letter decides, unless both sides quote the option and the options differ; a gold B has the answer b;
- letters: f(t) = t^2 is f(x) = x^2; a parameter has any name where an answer says "for all integers k", or beside pi;
- lists and sets have no order; a list keeps its repeats, a set has none, and {5} is 5 beside a number; tuples and intervals have order and
  brackets; an inequality is the interval that it describes, and a ratio a:b the number a/b.

Left out: what `answer_parser.py` leaves out, statements in words, and whether the answer is in the form that the problem asked for.
"""

from dataclasses import replace
from typing import Unpack

from verifiers.mathematics.equality.compared_gold import gold_answer, is_solution, says_nothing
from verifiers.mathematics.equality.policy import DEFAULT_TOLERANCE, Percent, Policy, PolicyOptions, Units, make_policy
from verifiers.mathematics.equality.same_answer import decide
from verifiers.problem import Problem
from verifiers.response_text.final_answer import DEFAULT_EXTRACTORS, extract_answer, without_thought
from verifiers.verdict import Undecided, Verdict, bad_gold, no_answer, quoted, right, wrong


def verify(
    problem: Problem,
    response: str,
    *,
    percent: Percent = "either",
    tolerance: str = DEFAULT_TOLERANCE,
    units: Units = "convert",
    require_closed_form: bool = True,
    open_thought: bool = False,
) -> Verdict:
    """The answer is looked for as `final_answer.DEFAULT_EXTRACTORS` says, and compared by `same_answer.decide` under the policy given."""
    return _judge(problem, response, make_policy(percent, tolerance, units, require_closed_form), open_thought)


def check(*, open_thought: bool, **policy: Unpack[PolicyOptions]) -> None:
    """Raises InputError for a policy that is unknown."""
    make_policy(**policy)


def explain(
    problem: Problem,
    response: str,
    *,
    percent: Percent = "either",
    tolerance: str = DEFAULT_TOLERANCE,
    units: Units = "convert",
    require_closed_form: bool = True,
    open_thought: bool = False,
) -> Verdict:
    """The verdict of `verify`; its detail has one line each for what was extracted, how both sides were read, and what decided."""
    from verifiers.mathematics.equality.explanation import explanation_of

    policy = make_policy(percent, tolerance, units, require_closed_form)
    verdict = _judge(problem, response, policy, open_thought)
    answer = extract_answer(response, open_thought=open_thought)
    return replace(verdict, detail=explanation_of(verdict, gold_answer(problem.answer), answer, policy))


def equivalent(gold: str, answer: str, **policy: Unpack[PolicyOptions]) -> bool:
    """Whether two answers are the same. False where either cannot be read, unless they are the same tokens, and where algebra failed.

    Symmetric, except under the tolerances that `policy.py` calls otherwise; a gold 5 has the answer x = y = 5, a gold choice B the
    answer b and a gold 3.5 the answer 3,5, but not the other way round.
    """
    try:
        return decide(gold, answer, make_policy(**policy))[0]
    except Undecided:
        return False


def _judge(problem: Problem, response: str, policy: Policy, open_thought: bool) -> Verdict:
    gold = gold_answer(problem.answer)
    if says_nothing(gold):
        return bad_gold(f"nothing to compare with in the gold answer {quoted(gold, 80)}")
    answer = extract_answer(response, open_thought=open_thought)
    if answer is None and not open_thought and without_thought(response) is None:
        return no_answer("the thought never ends, so there is no final answer (open_thought=true would look inside)")
    if answer is None:
        return no_answer("no answer found by " + ", ".join(extractor.__name__ for extractor in DEFAULT_EXTRACTORS))
    try:
        is_same, _ = decide(gold, answer.text, policy)
    except Undecided as failure:
        return Verdict(None, failure.status, f"{answer.place}: {quoted(answer.text)} or {quoted(gold)}: {failure}")
    if not is_same and is_solution(gold):
        return bad_gold(
            f'no answer can be read from the gold text {quoted(gold, 80)} (no box, no ####, no "answer is"); give the answer alone'
        )
    detail = f"{answer.place}: {quoted(answer.text)} {'equals' if is_same else 'is not'} {quoted(gold)}"
    return right(detail) if is_same else wrong(detail)
