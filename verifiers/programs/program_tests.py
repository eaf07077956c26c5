"""Does the program in a response, in C++, JavaScript or Python, print what the tests expect for their input?

    meta: {"language": "cpp", "inputs": [text, ...], "outputs": [text, ...]}

and the other spellings of standard input tests that `python_tests.py` reads, with the same options and rules: the program only
produces bytes, and they are compared here. `language` is `cpp`, `javascript` or `python`, or another name that the block of code
may carry (`c++`, `js`). The program is the last block in that language, else the last that names none; a response whose blocks are
all in other languages has no answer, and one without blocks is the program.

A program that does not compile is wrong; compiling counts in `total_limit`. A machine without the compiler or the interpreter gives
no verdict, and says which to install. Not covered: tests that call functions (Python only), C++ beyond the standard library and
C++17, and npm packages.
"""

import time
from functools import partial

from verifiers.problem import Problem
from verifiers.programs.judging_sandbox import judging_sandbox
from verifiers.programs.output_tests import Complaints, as_text, judge_outputs, read_pairs, tally
from verifiers.programs.programming_languages import LANGUAGES, PYTHON, Language, ToolMissingError, find_tool, prepare, tool_folders
from verifiers.programs.test_budget import RUN_SECONDS, UNREADABLE, BadTestsError, Budget, SandboxFailedError
from verifiers.response_text.fenced_blocks import fenced_blocks, last_block
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.running_program import Outcome, Run
from verifiers.verdict import Status, Verdict, bad_gold, no_answer


def verify(problem: Problem, response: str) -> Verdict:
    """Right if the program passes every test; with `partial` in the problem's meta, the score is the fraction passed.

    Raises InputError where the level of isolation is not to be had.
    """
    try:
        language = _language_of(problem)
        name, pairs = read_pairs(problem.meta)
        if name:
            raise BadTestsError("tests that call a function are for python_tests")
        cases = [(as_text(given), as_text(wanted)) for given, wanted in pairs]
        budget = Budget.read(problem.meta)
        budget.check_count(len(cases), RUN_SECONDS)
    except UNREADABLE as error:
        return bad_gold(f"no tests that can be run: {error}")
    program = _extract_program(response, language)
    if not program.strip():
        return no_answer(f"the response holds no {language.name} program")
    try:
        return tally(_judge_program(program, language, cases, budget), len(cases), partial=budget.partial)
    except ToolMissingError as error:
        return Verdict(None, Status.CRASH, str(error))


def _language_of(problem: Problem) -> Language:
    name = problem.meta.get("language")
    if not isinstance(name, str) or name.lower() not in LANGUAGES:
        raise BadTestsError(f"its language is {name!r:.40}, not one of cpp, javascript, python")
    return LANGUAGES[name.lower()]


def _extract_program(response: str, language: Language) -> str:
    block = last_block(response, language.tags)
    if block is not None:
        return block
    return "" if any(fenced_blocks(response)) else response


def _judge_program(program: str, language: Language, cases: list[tuple[str, str]], budget: Budget) -> Complaints:
    """A complaint about each test, or "". What a program that does not compile gets, it gets for every test."""
    deadline = time.monotonic() + budget.total  # a compiler that is kept busy must not outlast whoever waits for the verdict
    sandbox = judging_sandbox()
    if isinstance(sandbox, RemoteSandbox):
        there = partial(sandbox.run, program, language=language.remote, spare_memory=language.spare_memory)
        yield from judge_outputs(lambda stdin, limits: there(stdin, limits=limits), cases, budget, deadline)
        return
    if language is not PYTHON and (folders := tool_folders(find_tool(language))):
        sandbox = judging_sandbox(folders)
        assert not isinstance(sandbox, RemoteSandbox)
    prepared = prepare(sandbox, language, program, deadline)
    if isinstance(prepared, Run):
        if prepared.status is Outcome.SANDBOX_ERROR:
            raise SandboxFailedError(prepared.detail)
        why = next((part for part in prepared.stderr.splitlines() if "error" in part), prepared.detail)
        for _ in cases:
            yield f"does not compile: {why}"[:300]
        return
    yield from judge_outputs(prepared, cases, budget, deadline)


def check() -> None:
    """Raises InputError where the level of isolation is not to be had on this machine."""
    judging_sandbox()
