"""Does the program in a response pass the problem's tests? The tests, and what counts as right, stay outside the program's reach.

The program is the last ```python block, or the whole response where there is none. It runs in a `sandbox.py` process and produces
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
(for all of them, 8), `memory_limit` (MB, 1024), `tolerance` (of numbers in outputs, relative and absolute).

A program that takes too long or too much memory is wrong; a sandbox that fails gives no verdict. The level of isolation is
`strict`, or what the environment variable RECKON_SANDBOX names. Not covered: functions that work by changing their arguments,
or that take or return objects of their own classes, generators or functions; and sets of tests too weak to tell right from wrong.
"""

import ast
import builtins
import json
import math
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

from verifiers.plain_data import decode, encode
from verifiers.problem import Problem
from verifiers.sandbox import WARM_MODULES, Level, Limits, Outcome, Program, Run, Sandbox
from verifiers.verdict import Status, Verdict, bad_gold, no_answer

_FENCE = re.compile(r"^(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+.-]*)[^\n]*\n(?P<code>.*?)^(?P=fence)[ \t]*$", re.M | re.S)
_PYTHON = {"python", "py", "python3"}
_SERVED, _CHECK = "verifiers.served_program", "verifiers.served_check"
_LONGEST_LINE = 8 << 20

_lock = threading.Lock()
_sandboxes: dict[tuple[int, str], Sandbox] = {}


class _SandboxError(Exception):
    """The sandbox failed, which says nothing about the program."""


class _BadTestsError(Exception):
    """The problem's meta holds no tests that can be run."""


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
        tests = _read_tests(problem)
    except (_BadTestsError, SyntaxError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return bad_gold(f"no tests that can be run: {error}")
    program = extract_program(response)
    if not program.strip():
        return no_answer("the response holds no program")
    if tests.kind == "check":
        program = _complete(_prompt(problem), program, tests.names[0])
    meta = problem.meta
    limits = Limits(wall=float(meta.get("time_limit", 5.0)), memory=int(meta.get("memory_limit", 1024)) << 20)
    total = float(meta.get("total_limit", 8.0))
    partial = bool(meta.get("partial", False))
    judge = {"stdin": _stdin_results, "call": _call_results}.get(tests.kind, _assert_results)
    results: list[str] = []
    try:
        with closing(judge(program, tests, limits, time.monotonic() + total, float(meta.get("tolerance", 0.0)))) as complaints:
            for complaint in complaints:
                results.append(complaint)
                if complaint and not partial:
                    break
    except _BadTestsError as error:
        return bad_gold(str(error))
    except _SandboxError as error:
        return Verdict(None, Status.CRASH, f"sandbox error: {error}")
    return _verdict(results, max(len(tests.cases), len(tests.sources)), partial=partial)


def extract_program(response: str) -> str:
    """The last fenced block that says it is Python; else the last that says nothing; else the whole response."""
    blocks = [(match["language"].lower(), match["code"]) for match in _FENCE.finditer(response)]
    for wanted in (_PYTHON, {""}):
        for language, code in reversed(blocks):
            if language in wanted:
                return str(code)
    return response


def _verdict(results: list[str], count: int, *, partial: bool) -> Verdict:
    passed = results.count("")
    first = next((f"test {n}: {complaint}" for n, complaint in enumerate(results, 1) if complaint), "")
    if passed == count == len(results):
        return Verdict(1.0, Status.RIGHT, f"{count} of {count} tests")
    detail = f"{passed} of {count} tests; {first}" if partial else first or f"{len(results)} of {count} tests were reported"
    return Verdict(passed / count if partial else 0.0, Status.WRONG, detail)


def _read_tests(problem: Problem) -> _Tests:
    """The tests in a problem's meta. Raises _BadTestsError, or what a wrong type raises."""
    meta = problem.meta
    if isinstance(meta.get("test"), str) and meta.get("entry_point"):
        ast.parse(meta["test"])
        return _Tests("check", names=(meta["entry_point"],), setup=_stub(_prompt(problem)), sources=(meta["test"],))
    if meta.get("test_list"):
        return _assert_tests(meta)
    both = meta.get("input_output", meta)
    if isinstance(both, str):
        both = json.loads(both)
    name = both.get("fn_name") or meta.get("fn_name")
    if "tests" in both:
        cases = [(case["input"], case["output"]) for case in both["tests"]]
    elif "inputs" in both and "outputs" in both:
        cases = list(zip(both["inputs"], both["outputs"], strict=True))
    else:
        raise _BadTestsError("its meta has none of inputs and outputs, tests, input_output, test_list, test and entry_point")
    if not cases:
        raise _BadTestsError("there are none")
    if name:
        if any(not isinstance(arguments, list) for arguments, _ in cases):
            raise _BadTestsError("the input of a call must be a list of arguments")
        return _Tests("call", tuple(cases), (name,))
    return _Tests("stdin", tuple((_text(given), _text(wanted)) for given, wanted in cases))


def _text(value: object) -> str:
    """Standard input or output as text; some data sets have a list of lines."""
    if isinstance(value, list):
        return "\n".join(map(str, value))
    if not isinstance(value, str):
        raise _BadTestsError(f"{value!r:.60} is not text")
    return value


def _assert_tests(meta: Mapping[str, Any]) -> _Tests:
    """MBPP: the functions that the asserts call are the names in them that nothing else defines."""
    setup = "\n".join([*meta.get("test_imports", ()), meta.get("test_setup_code") or ""])
    sources = tuple(meta["test_list"])
    nodes = [node for source in (setup, *sources) for node in ast.walk(ast.parse(source))]
    loaded = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    free = loaded - bound
    modules = free & sys.stdlib_module_names
    called = [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    names = free - modules - vars(builtins).keys() or set(called[:1])  # a program may define what shadows a builtin
    if meta.get("entry_point"):
        names |= {meta["entry_point"]}
    if not names:
        raise _BadTestsError("the asserts call no function of the program")
    return _Tests("assert", names=tuple(sorted(names)), modules=tuple(sorted(modules)), setup=setup, sources=sources)


def _prompt(problem: Problem) -> str:
    if isinstance(problem.meta.get("prompt"), str):
        return str(problem.meta["prompt"])
    return problem.prompt if isinstance(problem.prompt, str) else ""


def _complete(prompt: str, program: str, name: str) -> str:
    """HumanEval's prompt and its completion, or, where the response defines the function itself, the one after the other.

    A prompt that is no Python, but a task in words, is left out.
    """
    tree = _parse(program)
    defines = tree is not None and any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)
    if _parse(prompt) is None and (defines or _parse(prompt + program) is None):
        return program
    return f"{prompt}\n\n{program}" if defines else prompt + program


def _stub(prompt: str) -> str:
    """What of HumanEval's prompt the tests may need: imports and helpers, and a function without a body."""
    return next((code for code in (prompt, prompt + "    pass\n") if _parse(code) is not None), "")


def _parse(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _stdin_results(program: str, tests: _Tests, limits: Limits, deadline: float, tolerance: float) -> Generator[str, None, None]:
    """A complaint about each test, or ""."""
    sandbox = _sandbox()
    for given, wanted in tests.cases:
        run = sandbox.run(program, given.encode("utf-8", "surrogatepass"), limits=_within(limits, deadline))
        if run.status is Outcome.SANDBOX_ERROR:
            raise _SandboxError(run.detail)
        if run.status is not Outcome.OK:
            yield f"{run.status}: {run.detail}"
        else:
            got = run.stdout.decode("utf-8", "replace")
            yield "" if _same_text(got, wanted, tolerance) else f"printed {got.strip()!r:.100}, expected {wanted.strip()!r:.100}"


def _same_text(got: str, wanted: str, tolerance: float) -> bool:
    """Whether two outputs are the same but for white space at the ends of lines and of the text."""
    mine, theirs = ([line.rstrip() for line in text.strip().splitlines()] for text in (got, wanted))
    if mine == theirs or not tolerance or len(mine) != len(theirs):
        return mine == theirs
    pairs = [pair for a, b in zip(mine, theirs, strict=True) for pair in _pairs(a.split(), b.split())]
    return all(a == b or _close(_number(a), _number(b), tolerance) for a, b in pairs)


def _pairs(mine: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    return list(zip(mine, theirs, strict=True)) if len(mine) == len(theirs) else [("", "other length")]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _close(a: float, b: float, tolerance: float) -> bool:
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def _call_results(program: str, tests: _Tests, limits: Limits, deadline: float, tolerance: float) -> Generator[str, None, None]:
    served = _Served(program, _within(limits, deadline))
    try:
        for arguments, wanted in tests.cases:
            reply = served.call(tests.names[0], encode(list(arguments)), {"dict": []})
            if "raised" in reply:
                yield "raised {}: {}".format(*reply["raised"])
            elif "lost" in reply:
                yield str(reply["lost"])
            elif not _same(reply["decoded"], wanted, tolerance):
                yield f"returned {reply['decoded']!r:.100}, expected {wanted!r:.100}"
            else:
                yield ""
    finally:
        served.end()


def _same(got: Any, wanted: Any, tolerance: float) -> bool:
    """Equality of plain data: a tuple is a list, as in the JSON that tests come in, but True is not 1."""
    if isinstance(got, list | tuple) and isinstance(wanted, list | tuple):
        return len(got) == len(wanted) and all(_same(a, b, tolerance) for a, b in zip(got, wanted, strict=True))
    if isinstance(got, dict) and isinstance(wanted, dict):
        keys = {key if isinstance(key, str) else json.dumps(key) if isinstance(key, int | float) else repr(key): key for key in got}
        return keys.keys() == wanted.keys() and all(_same(got[keys[key]], wanted[key], tolerance) for key in wanted)
    if isinstance(got, bool) or isinstance(wanted, bool):
        return got is wanted
    if isinstance(got, int | float) and isinstance(wanted, int | float):
        return got == wanted or (bool(tolerance) and _close(got, wanted, tolerance))
    return type(got) is type(wanted) and bool(got == wanted)


def _assert_results(program: str, tests: _Tests, limits: Limits, deadline: float, tolerance: float) -> Generator[str, None, None]:
    """The asserts run in one sandbox and the program in another; what passes between them passes through here."""
    served = _Served(program, _within(limits, deadline))
    checker = _sandbox().start("", entry=_CHECK, limits=_within(limits, deadline, extra=1.0))
    try:
        check = "check" if tests.kind == "check" else None
        task = {"setup": tests.setup, "tests": tests.sources, "check": check, "names": tests.names, "modules": tests.modules}
        checker.write(_line(task))
        spoilt = ""
        while (line := checker.read_line()) is not None:
            message = json.loads(line)
            if "done" in message:
                return
            if "call" in message:
                reply = served.call(message["call"], message["args"], message["kwargs"])
                spoilt = spoilt or str(reply.get("lost", ""))
                reply.pop("decoded", None)
                checker.write(_line(reply))
            elif "cannot" in message:
                raise _BadTestsError(f"test {message['test'] + 1}: {message['cannot']}")
            else:
                yield spoilt or ("" if message["passed"] else message["detail"] or "failed")
                spoilt = ""
    finally:
        served.end()
        run = _end(checker)
    yield f"the tests did not end: {run.status}" + (f" ({run.detail})" if run.detail else "")


class _Served:
    """A program in the sandbox whose functions can be called. A call after it has ended is answered with why it did."""

    def __init__(self, source: str, limits: Limits) -> None:
        self._program = _sandbox().start("", entry=_SERVED, limits=limits)
        self._lost = ""
        self._ended = False
        reply = self._ask({"program": source})
        if "value" not in reply:
            self._lost = "the program raised {}: {}".format(*reply["raised"]) if "raised" in reply else str(reply["lost"])

    def call(self, name: str, args: Any, kwargs: Any) -> dict[str, Any]:
        """The reply of `served_program.py`, with the value decoded beside it; {"lost": why} if it is none that can be used."""
        return {"lost": self._lost} if self._lost else self._ask({"name": name, "args": args, "kwargs": kwargs})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        nonce = secrets.token_hex(16)
        self._program.write(_line({"nonce": nonce, **request}))
        line = self._program.read_line()
        if line is None:
            run = self._finish()
            if run.status is Outcome.SANDBOX_ERROR:
                raise _SandboxError(run.detail)
            self._lost = f"{run.status}: {run.detail}" if run.detail else "the program ended before the call returned"
            return {"lost": self._lost}
        try:
            return self._read(line, nonce)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
            self._lost = "the program sent something that is no record"
            return {"lost": self._lost}

    def _read(self, line: bytes, nonce: str) -> dict[str, Any]:
        """The reply on a line. Raises for anything that `served_program.py` does not write."""
        reply = json.loads(line)
        if not secrets.compare_digest(reply["nonce"].encode(), nonce.encode()):
            raise ValueError("another nonce")
        if "value" in reply:
            return {"value": reply["value"], "decoded": decode(reply["value"])}
        if "not_plain" in reply:
            return {"lost": f"returned a {str(reply['not_plain'])[:60]}, which is not plain data"}
        kind, message = reply["raised"]
        return {"raised": [str(kind)[:100], str(message)[:300]]}

    def _finish(self) -> Run:
        self._ended = True
        return self._program.finish()

    def end(self) -> None:
        if not self._ended:
            self._program.stop()
            self._finish()


def _end(program: Program) -> Run:
    program.write(b"", close=True)
    program.stop()
    run = program.finish()
    if run.status is Outcome.SANDBOX_ERROR:
        raise _SandboxError(run.detail)
    return run


def _line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _within(limits: Limits, deadline: float, *, extra: float = 0.0) -> Limits:
    """The limits, with no more time than is left (and always a little, so that what happens is a time-out)."""
    wall = max(0.01, min(limits.wall, deadline - time.monotonic())) + extra
    return Limits(wall=wall, memory=limits.memory, output=_LONGEST_LINE)


def _sandbox() -> Sandbox:
    """This process's sandbox: made when first needed, and again after a fork."""
    level = os.environ.get("RECKON_SANDBOX", "strict")
    with _lock:
        key = (os.getpid(), level)
        if key not in _sandboxes:
            _sandboxes[key] = Sandbox(cast(Level, level), preload=(*WARM_MODULES, _SERVED, _CHECK))
        return _sandboxes[key]
