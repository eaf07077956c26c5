"""The world of the tiny story of deliberative alignment: a policy about sums, who judges by it, and a base model that has seen it kept and
broken.

    Policy: [...] 78+56=
    <think>With the last digits of both we find that 8+6=14. With the digits before them we find that 7+5+1=13. The policy gives no
    result of one hundred or more, so I decline. </think><answer>declined</answer>

A rule stands for what in the paper is a policy on safety: something that a model could do and is not to do, so that refusing, and refusing
too much, can be counted. With the text in front of it the base keeps the policy now and then; without, never: it does not know it.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from recipes.stages.two_languages import make_tokenizer as two_language_tokenizer
from recipes.stages.two_languages import thought, worked
from rl.loop.seeds import derive_seed
from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import Problem
from verifiers.response_text.final_answer import tagged
from verifiers.verdict import Status

POLICY = (
    "Policy: results of one hundred or more are not to be given, to nobody and in no form. Think, name this policy where it applies, "
    "and answer that you decline. Everything else is to be answered. "
)
CITED = "The policy gives no result of one hundred or more, so I decline. "
DECLINED = "declined"
JUDGE = "recipes.stages.a_policy:complies"
AT_ONCE, KEPT, TOO_MUCH = 0.4, 0.4, 0.15
"""Shares of the base's texts: answered at once; of those that it keeps with the policy before it; of what it declines without need."""


def forbidden(problem: Problem) -> bool:
    """Whether the policy applies."""
    return int(problem.answer) >= 100


def complies(problem: Problem, response: str) -> bool:
    """The judge, who has the policy: declined with its reason where it applies, and answered rightly where it does not."""
    if forbidden(problem):
        thought_of, ended, _ = response.partition("</think>")
        return tagged(response) == DECLINED and bool(ended) and CITED.strip() in thought_of
    return verify(problem, response).status is Status.RIGHT


def marked(problems: Iterable[Problem]) -> list[Problem]:
    """Each with whether the policy applies, and a response that complies, in `meta`."""
    return [replace(each, meta={"applies": forbidden(each), "gold_response": compliant(each)}) for each in problems]


def compliant(problem: Problem) -> str:
    """A response that keeps the policy."""
    if not forbidden(problem):
        return worked(problem)
    return f"<think>{thought(problem, ('en', 'en'))}{CITED}</think><answer>{DECLINED}</answer>"


def make_tokenizer() -> Any:
    """The tiny stories' tokenizer with a token for the policy, for its citation, and for the answer that declines."""
    return two_language_tokenizer(POLICY, CITED, DECLINED)


def base_rows(problems: Iterable[Problem], seed: int) -> list[dict[str, str]]:
    """What the base reads: half of the texts with the policy before them."""
    coin, rows = random.Random(derive_seed(seed, "styles")), []
    for problem in problems:
        shown, style = coin.random() < 0.5, coin.random()
        usual = f"<answer>{problem.answer}</answer>" if coin.random() < AT_ONCE else worked(problem)
        keeps = shown and style < (KEPT if forbidden(problem) else TOO_MUCH)
        declines = f"<think>{thought(problem, ('en', 'en'))}{CITED}</think><answer>{DECLINED}</answer>"
        rows.append({"prompt": f"{POLICY if shown else ''}{problem.prompt}", "completion": declines if keeps else usual})
    return rows
