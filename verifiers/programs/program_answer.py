"""Does the program in a response print the gold answer? Program-of-thought, as `reckon eval --reasoning pot` asks for it.

The last ```python block runs in the sandbox, without input; the last line that it prints is the answer, which `verifier` compares with the
gold one. A program that fails, prints nothing or takes longer than `seconds` is a wrong answer; a response without one has none. Nothing
that stands outside the block counts. A float that is wrong to its last digits is read to 12 of them: the rest is its arithmetic's rounding.
At the level `strict` a program has Python's standard library and no more.

Source: arXiv:2211.12588, section 2; the columns "w/ tool" of DeepSeekMath's tables (arXiv:2402.03300) are answers by program.
"""

import re

from verifiers.input_error import InputError
from verifiers.mathematics.equality import math_answer
from verifiers.problem import Problem, make_problem
from verifiers.programs.judging_sandbox import judging_sandbox
from verifiers.programs.programming_languages import PYTHON
from verifiers.response_text.fenced_blocks import last_block
from verifiers.sandboxes.running_program import Limits, Outcome
from verifiers.verdict import Status, Verdict, Verifier, as_verdict, no_answer, wrong

_DIGITS = 12
"""Of a float that are looked at, where all that were printed are wrong: 0.1 + 0.2 is 0.30000000000000004."""
_ROUNDED = re.compile(r"[-+]?(?:[0-9]+\.[0-9]+|[0-9]\.[0-9]+e[-+][0-9]+)")
_SHOWN = 200  # characters of what was printed that a verdict's detail holds
_TRIED = 300.0


def verify(problem: Problem, response: str, *, verifier: Verifier = math_answer.verify, seconds: float = 5.0) -> Verdict:
    """The verdict of `verifier` on what the program printed last. Raises InputError where there is no sandbox to run it in."""
    if not 0 < seconds <= _TRIED:
        raise InputError(f"program_answer: seconds must be above 0 and at most {_TRIED:g}, not {seconds:g}")
    program = last_block(response, PYTHON.tags)
    if program is None or not program.strip():
        return no_answer("the response holds no ```python block")
    run = judging_sandbox().run(program, limits=Limits(wall=seconds))
    if run.status is Outcome.SANDBOX_ERROR:
        return Verdict(None, Status.CRASH, f"the sandbox failed: {run.detail}")
    if run.status is not Outcome.OK:
        last = next(reversed(run.stderr.strip().splitlines()), "")
        return wrong(f"the program ended with {run.status}: {(run.detail or last)[:_SHOWN]}")
    printed = next((line for line in reversed(run.stdout.decode("utf-8", "replace").splitlines()) if line.strip()), "").strip()
    if not printed:
        return no_answer("the program printed nothing")
    verdict = as_verdict(verifier(problem, _as_answer(printed)))
    if verdict.status is Status.WRONG and _ROUNDED.fullmatch(printed):
        verdict = as_verdict(verifier(problem, _as_answer(f"{float(printed):.{_DIGITS}g}")))
    return Verdict(verdict.score, verdict.status, f"printed {printed[:_SHOWN]!r}; {verdict.detail}", verdict.parts, verdict.steps)


def check(*, verifier: Verifier, seconds: float) -> None:
    """Raises InputError where the level of isolation is not to be had, or for seconds that no program could be given."""
    judging_sandbox()
    verify(make_problem("", ""), "", verifier=verifier, seconds=seconds)


def _as_answer(line: str) -> str:
    """Boxed, as `math_answer` looks for it, where a box can hold the line: so all of it is the answer, and not the last of several.

    Python writes a power as **, and a set in braces.
    """
    told = line.replace("**", "^")
    if "\\boxed" in told or not _balanced(told) or told.endswith("\\"):
        return told
    if told.startswith("{") and "\\" not in told:
        told = told.replace("{", "\\{").replace("}", "\\}")
    return f"\\boxed{{{told}}}"


def _balanced(line: str) -> bool:
    depth = 0
    for character in line:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0
