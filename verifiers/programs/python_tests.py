"""Does the program in a response pass the problem's tests? The tests, and what counts as right, stay outside the program's reach.

The program is the last ```python block, or the whole response where there is none. It runs in a `local_sandbox.py` process and produces
bytes, nothing else; who judges them runs in another process:

    meta                                                                     judged by
    {"inputs": [text, ...], "outputs": [text, ...]}                          its standard output, line by line
    {"fn_name": f, "inputs": [[arg, ...], ...], "outputs": [value, ...]}     what f returns, by value and exact type
    {"test_list": ["assert f(2) == 4", ...], "test_imports": [text, ...]}    the asserts (MBPP), in a second sandbox
    {"test": "def check(candidate): ...", "entry_point": f}                  `check` (HumanEval), in a second sandbox

(`{"input_output": {...}}` of APPS, an object or its JSON text, and `"tests": [{"input": ..., "output": ...}]` are the first two.)
HumanEval's program is the prompt and what completes it; a response that defines the function itself follows the prompt.

For the last three the program is served: each call's arguments go in, the returned value comes out as JSON of exact builtin
types behind a nonce that was drawn for this call. So an object that equals everything, an `int` with an `__eq__` of its own, a
walk over frames or the garbage collector, a patched builtin, an exit with code 0 or a forged record meets no assert and no
expected value. A record that is missing is a test that failed.

More keys of meta: `partial` (the score is the fraction of tests passed), `time_limit` (seconds for one test, 5), `total_limit`
(for all of them, 8), `memory_limit` (MB, 1024), `tolerance` (of numbers in outputs, relative and absolute; two
integers must be equal all the same).

A program that takes too long or too much memory is wrong, and so is one whose value is too large, too deep or too slow to be read:
no set or dict is made here of keys that a program chose, nor is its text parsed here. A sandbox that fails gives no verdict. The
level of isolation is `strict`, or what the environment variable RECKON_SANDBOX names: `chosen_sandbox.py`. Where that is a server
over HTTP, programs run there, and asserts and `check` run here. Not covered: functions that work by changing their arguments, or
that take or return objects of their own classes, generators or functions; and sets of tests too weak to tell right from wrong.
Programs in other languages are for `program_tests.py`.
"""

import ast
import builtins
import json
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from verifiers.problem import Problem
from verifiers.programs.in_sandbox_completion import parse_python, stub
from verifiers.programs.judging_sandbox import CHECK, assert_sandbox, judging_sandbox
from verifiers.programs.output_tests import Complaints, as_text, function_name, judge_outputs, read_pairs, tally
from verifiers.programs.plain_data import NotPlainError, beginning, encode
from verifiers.programs.programming_languages import LANGUAGES, PYTHON
from verifiers.programs.same_value import same_value
from verifiers.programs.served_functions import Source, json_line, literal_calls, serve
from verifiers.programs.test_budget import RUN_SECONDS, UNREADABLE, BadTestsError, Budget, SandboxFailedError, shown, within
from verifiers.response_text.fenced_blocks import last_block
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.running_program import Outcome, Program, Run
from verifiers.verdict import Verdict, bad_gold, no_answer

_CALL_SECONDS = 0.0002  # what a call, or an assert, takes at the least
_READ_AT_ONCE = 1 << 16  # bytes of a value; what is made of so few takes no time worth measuring


@dataclass(frozen=True, slots=True)
class _Tests:
    """The tests of a problem in one form. `kind` is stdin, call, assert or check."""

    kind: str
    cases: tuple[tuple[Any, Any], ...] = ()
    """(input, output), or (arguments, value)."""
    names: tuple[str, ...] = ()
    """The functions that the tests call."""
    modules: tuple[str, ...] = ()
    setup: str = ""
    sources: tuple[str, ...] = ()


def verify(problem: Problem, response: str) -> Verdict:
    """Right if the program passes every test; with `partial` in the problem's meta, the score is the fraction passed.

    Raises InputError where the level of isolation is not to be had.
    """
    try:
        language = problem.meta.get("language")  # of a name that is no programming language's, as "en", nothing follows
        if isinstance(language, str) and LANGUAGES.get(language.lower(), PYTHON) is not PYTHON:
            return bad_gold(f"its language is {language!r}; the verifier for it is program_tests")
        tests, budget = _read_tests(problem), Budget.read(problem.meta)
        budget.check_count(max(len(tests.cases), len(tests.sources)), RUN_SECONDS if tests.kind == "stdin" else _CALL_SECONDS)
    except UNREADABLE as error:
        return bad_gold(f"no tests that can be run: {error}")
    program = extract_program(response)
    if not program.strip():
        return no_answer("the response holds no program")
    source = Source(program, *((_code_prompt(problem), tests.names[0]) if tests.kind == "check" else ()))
    judge = {"stdin": _judge_outputs, "call": _judge_calls}.get(tests.kind, _judge_asserts)
    complaints = judge(source, tests, budget, time.monotonic() + budget.total)
    return tally(complaints, max(len(tests.cases), len(tests.sources)), partial=budget.partial)


def extract_program(response: str) -> str:
    """The last fenced block that says it is Python; else the last that says nothing; else the whole response."""
    block = last_block(response, PYTHON.tags)
    return (response if block is None else block).removeprefix("\ufeff")


def _read_tests(problem: Problem) -> _Tests:
    """The tests in a problem's meta. Raises BadTestsError, or what a wrong type raises."""
    meta = problem.meta
    entry = function_name(meta, "entry_point")
    if (test := _text_of(meta, "test")) and entry:
        tree = ast.parse(test)
        if not any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "check" for node in tree.body):
            raise BadTestsError("test defines no function check")
        if not _can_fail(tree, {entry}):
            raise BadTestsError("test asserts nothing")
        return _Tests("check", names=(entry,), setup=stub(_code_prompt(problem)), sources=(test,))
    if _texts_of(meta, "test_list"):
        return _assert_tests(meta)
    name, pairs = read_pairs(meta)
    if not name:
        return _Tests("stdin", tuple((as_text(given), as_text(wanted)) for given, wanted in pairs))
    if any(not isinstance(arguments, list) for arguments, _ in pairs):
        raise BadTestsError("the input of a call must be a list of arguments")
    return _Tests("call", tuple(pairs), (name,))


def _assert_tests(meta: Mapping[str, Any]) -> _Tests:
    """MBPP: the functions that the asserts call are the names in them that nothing else defines."""
    setup = "\n".join([*_texts_of(meta, "test_imports"), _text_of(meta, "test_setup_code")])
    sources = tuple(_texts_of(meta, "test_list"))
    nodes = [node for source in (setup, *sources) for node in ast.walk(ast.parse(source))]
    loads = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    loaded = {node.id for node in loads}
    owners = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    used_whole = {node.id for node in loads if id(node) not in owners}  # called or passed on, which no module is
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    free = loaded - bound
    modules = (free & sys.stdlib_module_names) - used_whole - {meta.get("entry_point")}
    called = [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    names = free - modules - vars(builtins).keys() or set(called[:1])  # a program may define what shadows a builtin
    if meta.get("entry_point"):
        names |= {meta["entry_point"]}
    if not names:
        raise BadTestsError("the asserts call no function of the program")
    idle = next((number for number, source in enumerate(sources, 1) if not _can_fail(ast.parse(source), names)), 0)
    if idle:
        raise BadTestsError(f"test {idle} of test_list asserts nothing: {shown(sources[idle - 1])}")
    return _Tests("assert", names=tuple(sorted(names)), modules=tuple(sorted(modules)), setup=setup, sources=sources)


def _can_fail(tree: ast.AST, names: Collection[str]) -> bool:
    """Whether a test can fail for what a function returned: by an assert, a raise, or the call of another function than those tested."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            if not (isinstance(called, ast.Name) and called.id in names):
                return True
    return False


def _text_of(meta: Mapping[str, Any], name: str) -> str:
    """ "" where it is not given. Raises BadTestsError for what is no text."""
    value = meta.get(name)
    if value is not None and not isinstance(value, str):
        raise BadTestsError(f"{name} is {shown(value)}; a text is needed")
    return value or ""


def _texts_of(meta: Mapping[str, Any], name: str) -> list[str]:
    value = meta.get(name)
    if value is not None and not (isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)):
        raise BadTestsError(f"{name} is {shown(value)}; a list of texts is needed")
    return list(value or ())


def _code_prompt(problem: Problem) -> str:
    """HumanEval's prompt; "" for one that is a task in words, which even a single word is that parses as Python."""
    prompt = problem.meta.get("prompt", problem.prompt)
    tree = parse_python(prompt) if isinstance(prompt, str) else None
    words = tree is not None and all(isinstance(node, ast.Expr) for node in tree.body)
    return prompt if isinstance(prompt, str) and not words else ""


def _judge_outputs(source: Source, tests: _Tests, budget: Budget, deadline: float) -> Complaints:
    sandbox = judging_sandbox()
    return judge_outputs(lambda stdin, limits: sandbox.run(source.program, stdin, limits=limits), tests.cases, budget, deadline)


def _judge_calls(source: Source, tests: _Tests, budget: Budget, deadline: float) -> Complaints:
    """A complaint about each test, or ""."""
    name = tests.names[0]
    try:
        calls = [(name, encode(list(arguments)), encode({})) for arguments, _ in tests.cases]
    except (NotPlainError, RecursionError) as error:
        raise BadTestsError(f"an argument is a {error}, which is not plain data") from None
    served = serve(judging_sandbox(), source, budget.limits, deadline, calls)
    try:
        for call, (_, wanted) in zip(calls, tests.cases, strict=True):
            served.next_test()
            reply = served.call(*call)
            if "raised" in reply:
                yield "raised {}: {}".format(*reply["raised"])
            elif "lost" in reply:
                yield str(reply["lost"])
            elif not same_value(reply["value"], wanted, budget.tolerance):
                yield f"returned {beginning(reply['value'])}, expected {shown(wanted, 100)}"
            else:
                yield ""
    finally:
        served.end()


def _judge_asserts(source: Source, tests: _Tests, budget: Budget, deadline: float) -> Complaints:
    """The asserts run in one sandbox and the program in another; what passes between them passes through here."""
    check = "check" if tests.kind == "check" else None
    here = assert_sandbox()
    there, limits, calls = judging_sandbox(), replace(budget.limits, wall=budget.total), []
    if isinstance(there, RemoteSandbox):  # the tests wait for a server, which is not their own time
        calls = literal_calls(tests.sources, tests.names, check or "")
    served = serve(there, source, budget.limits, deadline, calls)
    try:
        checker = here.start("", entry=CHECK, limits=within(limits, deadline, extra=1.0))
        try:
            task = {"setup": tests.setup, "tests": tests.sources, "check": check, "names": tests.names, "modules": tests.modules}
            checker.write(json_line(task))
            spoilt = ""
            while (said := checker.read_line()) is not None:
                message = json.loads(said)
                if "done" in message:
                    return
                if "call" in message:
                    reply = served.call(message["call"], message["args"], message["kwargs"])
                    spoilt = spoilt or str(reply.get("lost", ""))
                    if late := _hand_on(reply, checker, min(time.monotonic() + budget.limits.wall, deadline)):
                        yield late
                        return
                elif "cannot" in message:
                    raise BadTestsError(f"test {message['test'] + 1}: {message['cannot']}")
                else:
                    yield spoilt or ("" if message["passed"] else message["detail"] or "failed")
                    spoilt = ""
                    served.next_test()
        finally:
            run = _end_checker(checker)
    finally:
        served.end()
    yield f"the tests did not end: {run.status}" + (f" ({run.detail})" if run.detail else "")


def _hand_on(reply: Mapping[str, Any], checker: Program, until: float) -> str:
    """Give a reply to the tests. What they cannot read in the time of one test is the program's fault: a complaint, else ""."""
    data = json_line(reply)
    if len(data) <= _READ_AT_ONCE:
        checker.write(data)
        return ""
    checker.write(json_line({**reply, "tell": True}))
    try:
        checker.read_line(until)  # that it has been read; where the tests have ended, their next line tells
    except TimeoutError:
        return f"{Outcome.TIMEOUT}: what the program returned could not be read in the time for a test"
    return ""


def _end_checker(checker: Program) -> Run:
    checker.write(b"", close=True)
    checker.stop()
    run = checker.finish()
    if run.status is Outcome.SANDBOX_ERROR:
        raise SandboxFailedError(run.detail)
    return run


def check() -> None:
    """Raises InputError where the level of isolation is not to be had on this machine."""
    judging_sandbox()
