"""Tests of a program by what it prints, whatever language it is in; and the count that becomes a verdict.

Standard input goes in, standard output comes out, and this process compares the text: no exit code and nothing that the program
says of itself counts. What decides is a list of complaints, one a test, "" where there is nothing to complain of.
"""

import json
import keyword
import math
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from verifiers.programs.test_budget import BadTestsError, Budget, SandboxFailedError, shown, within
from verifiers.sandboxes.running_program import Limits, Outcome, Run
from verifiers.verdict import Status, Verdict, bad_gold

Complaints = Generator[str, None, None]

_INTEGER = re.compile(r"([+-]?)([0-9]+)", re.ASCII)


def read_pairs(meta: Mapping[str, Any]) -> tuple[str, list[tuple[Any, Any]]]:
    """The function that the tests call, "" if none, and (input, output) of each test. Raises BadTestsError, or what a wrong type raises."""
    both = meta.get("input_output", meta)
    if isinstance(both, str):
        both = json.loads(both)
    if not isinstance(both, Mapping):
        raise BadTestsError(f"input_output is {shown(both)}; an object is needed")
    name = function_name(both, "fn_name") or function_name(meta, "fn_name")
    if "tests" in both:
        if not isinstance(both["tests"], list | tuple) or not all(isinstance(case, Mapping) for case in both["tests"]):
            raise BadTestsError("tests must be a list of objects with input and output")
        pairs = [(case["input"], case["output"]) for case in both["tests"]]
    elif "inputs" in both and "outputs" in both:
        if not (isinstance(both["inputs"], list | tuple) and isinstance(both["outputs"], list | tuple)):
            raise BadTestsError("inputs and outputs must be lists")
        pairs = list(zip(both["inputs"], both["outputs"], strict=True))
    else:
        raise BadTestsError("its meta has none of inputs and outputs, tests, input_output, test_list, test and entry_point")
    if not pairs:
        raise BadTestsError("there are none")
    return name, pairs


def function_name(meta: Mapping[str, Any], key: str) -> str:
    """ "" where it is not given. Raises BadTestsError for what no function of a program can be called."""
    name = meta.get(key)
    if name is None or name == "":
        return ""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise BadTestsError(f"{key} is {shown(name)}; the name of a function is needed")
    return name


def as_text(value: object) -> str:
    """Standard input or output as text; some data sets have a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str | int | float) for line in value):
        return "\n".join(map(str, value))
    if not isinstance(value, str):
        raise BadTestsError(f"{shown(value)} is not text")
    return value


def judge_outputs(
    run_with: Callable[[bytes, Limits], Run], cases: Sequence[tuple[str, str]], budget: Budget, deadline: float
) -> Complaints:
    """A complaint about each test, or ""."""
    for given, wanted in cases:
        run = run_with(given.encode("utf-8", "surrogatepass"), within(budget.limits, deadline))
        if run.status is Outcome.SANDBOX_ERROR:
            raise SandboxFailedError(run.detail)
        if run.status is not Outcome.OK:
            yield f"{run.status}: {run.detail}"
        else:
            got = run.stdout.decode("utf-8", "replace")
            yield "" if same_text(got, wanted, budget.tolerance) else f"printed {got.strip()!r:.100}, expected {wanted.strip()!r:.100}"


def same_text(got: str, wanted: str, tolerance: float) -> bool:
    """Whether two outputs are the same but for white space at the ends of lines and of the text.

    With a tolerance, words that are numbers may differ by it, unless both are integers.
    """
    mine, theirs = ([line.rstrip() for line in part.strip().splitlines()] for part in (got, wanted))
    if mine == theirs or not tolerance or len(mine) != len(theirs):
        return mine == theirs
    pairs = [pair for a, b in zip(mine, theirs, strict=True) for pair in _pair_words(a.split(), b.split())]
    return all(a == b or _same_number(a, b, tolerance) for a, b in pairs)


def _pair_words(mine: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    return list(zip(mine, theirs, strict=True)) if len(mine) == len(theirs) else [("", "other length")]


def _same_number(a: str, b: str, tolerance: float) -> bool:
    integers = _canonical_integer(a), _canonical_integer(b)
    if all(integers):
        return integers[0] == integers[1]
    x, y = _as_float(a), _as_float(b)
    return math.isfinite(x) and math.isfinite(y) and nearly_equal(x, y, tolerance)


def _canonical_integer(word: str) -> str:
    """The canonical digits of an integer, which may be too long for `int`; "" for any other word."""
    match = _INTEGER.fullmatch(word)
    if not match:
        return ""
    digits = match[2].lstrip("0") or "0"
    return f"-{digits}" if match[1] == "-" and digits != "0" else digits


def _as_float(word: str) -> float:
    try:
        return float(word) if word.isascii() and "_" not in word else math.nan
    except ValueError:
        return math.nan


def nearly_equal(a: float, b: float, tolerance: float) -> bool:
    """Whether two numbers differ by no more than the tolerance, relative or absolute. Two integers must be equal."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    try:
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # an integer beyond every float
        return False


def tally(complaints: Complaints, count: int, *, partial: bool) -> Verdict:
    """Right if there are `count` results and no complaint; with `partial`, the score is the fraction of tests passed."""
    results: list[str] = []
    try:
        with closing(complaints):
            for complaint in complaints:
                results.append(complaint)
                if complaint and not partial:
                    break
    except BadTestsError as error:
        return bad_gold(str(error))
    except SandboxFailedError as error:
        return Verdict(None, Status.CRASH, f"sandbox error: {error}")
    passed = results.count("")
    first = next((f"test {n}: {complaint}" for n, complaint in enumerate(results, 1) if complaint), "")
    if passed == count == len(results):
        return Verdict(1.0, Status.RIGHT, f"{count} of {count} tests")
    detail = f"{passed} of {count} tests; {first}" if partial else first or f"{len(results)} of {count} tests were reported"
    detail = detail.encode("utf-8", "backslashreplace").decode()  # a program's own words may hold halves of characters
    return Verdict(passed / count if partial else 0.0, Status.WRONG, detail)
