"""The answer is the gold string, letter by letter, white space aside. Case counts; nothing is parsed.

The answer is the last box, else the last `<answer>`, else the whole response: a task that wants exact strings should say which.
"""

from verifiers.problem import Problem
from verifiers.response_text.final_answer import boxed, extract_answer, tagged
from verifiers.verdict import Verdict, bad_gold, no_answer, quoted, right, wrong


def verify(problem: Problem, response: str) -> Verdict:
    """Right if both are the same once runs of white space are one space and the ends are stripped."""
    gold = " ".join(problem.answer.split())
    if not gold:
        return bad_gold("the gold answer is blank")
    found = extract_answer(response, (boxed, tagged))
    answer = " ".join((found.text if found else response).split())
    if not answer:
        return no_answer("the response is blank")
    detail = f"{found.place if found else 'whole response'}: {quoted(answer)}"
    return right(f"{detail} equals the gold answer") if answer == gold else wrong(f"{detail} is not {quoted(gold)}")
