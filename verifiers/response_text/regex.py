"""The gold answer is a regular expression (Python's `re`) that the whole answer must match.

The answer is the last box, else the last `<answer>`, else the whole response, stripped; `within=response` always takes the whole response.
The pattern is the data's and is trusted to be meant well, not to be well made: a pattern such as `(a+)+b` takes exponential time on some
answers, and nothing here stops it. The answer's length is bounded, and the pool's deadline kills the worker, which gives TIMEOUT.
Such a problem needs meta["gold_response"], a text that the pattern accepts, where golds are audited: a pattern rarely matches itself.
"""

import re
import warnings
from functools import lru_cache
from typing import Any, Literal

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.response_text.final_answer import boxed, extract_answer, tagged
from verifiers.verdict import Verdict, bad_gold, no_answer, quoted, right, wrong

LONGEST_PATTERN = 10_000
LONGEST_ANSWER = 100_000
_FLAGS = {"a": re.ASCII, "i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


def verify(problem: Problem, response: str, *, flags: str = "", within: Literal["answer", "response"] = "answer") -> Verdict:
    """Right if the pattern matches the whole answer. `flags` are letters of a (ASCII), i (any case), m, s and x, as in `(?is)`."""
    if unknown := set(flags) - _FLAGS.keys():
        raise InputError(f"regex: no flag is called {min(unknown)!r}; flags are letters of {''.join(_FLAGS)}")
    if not problem.answer.strip():
        return bad_gold("the gold pattern is blank")
    pattern = _compiled(problem.answer, "".join(sorted(set(flags))))
    if isinstance(pattern, str):
        return bad_gold(pattern)
    found = extract_answer(response, (boxed, tagged)) if within == "answer" else None
    answer = found.text if found else response.strip()
    if not answer:
        return no_answer("the response is blank")
    place = found.place if found else "whole response"
    if len(answer) > LONGEST_ANSWER:
        return wrong(f"{place}: {len(answer)} characters, more than the {LONGEST_ANSWER} that are matched")
    if pattern.fullmatch(answer):
        return right(f"{place}: {quoted(answer)} matches")
    return wrong(f"{place}: {quoted(answer)} does not match {quoted(problem.answer)}")


@lru_cache(maxsize=1024)
def _compiled(pattern: str, flags: str) -> re.Pattern[str] | str:
    """The compiled pattern, or why there is none."""
    if len(pattern) > LONGEST_PATTERN:
        return f"the gold pattern has {len(pattern)} characters, more than {LONGEST_PATTERN}"
    combined = re.RegexFlag(0)
    for letter in flags:
        combined |= _FLAGS[letter]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a pattern of the future is still one of today
            return re.compile(pattern, combined)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the gold pattern {quoted(pattern, 80)} is not a regular expression: {error}"


def check(**parameters: Any) -> None:
    """Raises InputError for flags that are none."""
    verify(make_problem("", ""), "", **parameters)
