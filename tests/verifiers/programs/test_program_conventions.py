"""What right programs take for granted, at a judge or a prompt: exit and quit, a main guard, usual names, /dev/stdin, a BOM."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.verifiers.hostile_programs import FORMS, problem
from verifiers.problem import make_problem
from verifiers.programs import program_tests
from verifiers.programs.python_tests import verify
from verifiers.sandboxes.local_sandbox import Sandbox, probe
from verifiers.sandboxes.running_program import Limits, Run
from verifiers.verdict import Status, Verdict

MISSING = probe("strict")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
SERVED = ("call", "assert", "check")

Runner = Callable[..., Run]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(params=["warm", "fresh"])
def run(request: pytest.FixtureRequest, sandbox: Sandbox) -> Runner:
    return lambda source, stdin=b"": sandbox.run(source, stdin, fresh=request.param == "fresh")


@pytest.mark.parametrize("name", ["exit", "quit"])
def test_a_program_may_exit_without_an_import(run: Runner, name: str):
    assert run(f"print(1)\n{name}()\nprint(2)").stdout == b"1\n"
    assert run(f"{name}(3)").exit_code == 3
    assert verify(problem({"inputs": [""], "outputs": ["1"]}), f"print(1)\n{name}()").score == 1.0


def test_a_served_function_may_call_exit_and_that_is_no_value():
    source = "def square(n):\n    try: quit()\n    except SystemExit: pass\n    return n * n"
    for form in SERVED:
        assert verify(FORMS[form], source).score == 1.0
        assert verify(FORMS[form], "def square(n): exit()").status == Status.WRONG


def test_every_way_to_start_a_program_gives_it_the_same_main(run: Runner):
    source = (
        "import sys\nprint(__name__, __file__, sys.argv, sys.modules['__main__'].__dict__ is globals())\n"
        "print(sorted(name for name in globals() if not name.startswith('_')))\nraise KeyError('x')"
    )
    done = run(source)
    assert done.stdout == b"__main__ main.py ['main.py'] True\n['sys']\n"
    assert done.stderr.rstrip().endswith("raise KeyError('x')\nKeyError: 'x'")
    assert done.exit_code == 1


def test_a_byte_order_mark_is_no_syntax_error(run: Runner):
    assert run("\ufeffprint(1)").stdout == b"1\n"
    for form in SERVED:
        assert verify(FORMS[form], "\ufeffdef square(n): return n * n").score == 1.0
        assert verify(FORMS[form], "\ufeff```python\ndef square(n): return n * n\n```\n").score == 1.0
        assert verify(FORMS[form], "```python\n\ufeffdef square(n): return n * n\n```\n").score == 1.0


def call(source: str, arguments: list[Any], wanted: object) -> Verdict:
    return verify(problem({"fn_name": "f", "inputs": [arguments], "outputs": [wanted]}), source)


def test_the_usual_names_need_no_import():
    assert call("class Solution:\n    def f(self, x: List[int]) -> Optional[int]: return max(x)", [[1, 3, 2]], 3).score == 1.0
    assert call("def f(x): return sorted(Counter(x).items(), key=itemgetter) if 0 else math.gcd(*x) + gcd(*x)", [[4, 6]], 4).score == 1.0
    assert (
        call(
            "def f(x):\n    heapify(x)\n    return [heappop(x), bisect.bisect_left(x, 3), reduce(operator.mul, x)]", [[3, 2]], [2, 0, 3]
        ).score
        == 1.0
    )
    assert call("@cache\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)", [30], 832040).score == 1.0
    assert (
        call(
            "f = lambda n: [type(defaultdict(int)).__name__, type(Counter()).__name__, pow(2, 3, 5)]", [1], ["defaultdict", "Counter", 3]
        ).score
        == 1.0
    )


def test_a_name_that_is_there_is_no_answer_to_a_test():
    """`gcd` of the math module must not stand for a program's own."""
    for source in ("pass", "class Solution: pass", "def other(): pass"):
        verdict = verify(problem({"fn_name": "gcd", "inputs": [[4, 6]], "outputs": [2]}), source)
        assert verdict.status == Status.WRONG, verdict
    assert verify(problem({"fn_name": "gcd", "inputs": [[4, 6]], "outputs": [2]}), "def gcd(a, b): return 2").score == 1.0


@pytest.mark.parametrize("form", SERVED)
def test_a_main_guard_does_not_run_where_functions_are_called(form: str):
    source = "def square(n): return n * n\nif __name__ == '__main__':\n    n = int(input())\n    print(square(n))"
    assert verify(FORMS[form], source).score == 1.0
    assert verify(FORMS["stdin"], source).score == 1.0


def test_a_dataclass_with_postponed_annotations_is_found_by_its_module():
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport pickle\n"
        "@dataclass\nclass P:\n    x: int\ndef f(x): return pickle.loads(pickle.dumps(P(x))).x"
    )
    assert call(source, [5], 5).score == 1.0


HEADER = "from typing import List\n\ndef total(x: List[int]) -> int:\n"
WHOLE = "def total(x: List[int]) -> int:\n    return sum(x)\n"
FUTURE = "from __future__ import annotations"


@pytest.mark.parametrize("prompt", [HEADER, HEADER + '    """The sum."""\n', f"{FUTURE}\n{HEADER}", "Write total(x)."])
@pytest.mark.parametrize(
    "response",
    [
        f"{FUTURE}\n{WHOLE}",
        f'"""Sums."""\n{FUTURE}; import math\n{WHOLE}',
        f"# é\n\x0c\n{FUTURE}  # so that names may come later\r\nimport math\r\n{WHOLE}",
        f"from __future__ import (annotations,\n    division)\n{FUTURE}\n{WHOLE}",
        WHOLE,
    ],
)
def test_a_response_that_defines_the_function_anew_may_begin_as_any_program(prompt: str, response: str):
    meta = {"test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n", "entry_point": "total"}
    assert verify(problem(meta, prompt), response).score == 1.0
    assert verify(problem(meta, prompt), response.replace("sum(x)", "max(x)")).score == 0.0


def test_what_the_prompt_imports_and_defines_is_there_for_a_whole_function():
    prompt = "import statistics\n\ndef half(n):\n    return n / 2\n\ndef total(x):\n"
    meta = {"test": "def check(candidate):\n    assert candidate([1, 3]) == 1\n", "entry_point": "total"}
    for head in (prompt, prompt + '    """Half the mean."""\n'):
        assert verify(problem(meta, head), f"{FUTURE}\ndef total(x):\n    return half(statistics.mean(x))\n").score == 1.0
        assert verify(problem(meta, head), "    return half(statistics.mean(x))\n").score == 1.0


@pytest.mark.parametrize("fresh", [False, True])
def test_standard_input_can_be_opened_as_a_file(sandbox: Sandbox, fresh: bool):
    source = "import os, sys\nprint(open('/dev/stdin').read() + input() + sys.stdin.read(), os.listdir('/tmp') in ([], ['main.py']))"
    assert sandbox.run(source, b"3\n4", fresh=fresh).stdout == b"3\n434 True\n"
    assert sandbox.run("print(repr(open('/dev/stdin').read()))", fresh=fresh).stdout == b"''\n"
    large = b"x" * (9 << 20)
    assert sandbox.run("print(len(open('/dev/stdin').read()))", large, limits=Limits(file_size=8 << 20), fresh=fresh).stdout == b"9437184\n"
    refused = "for mode in 'wa':\n    try: open('/dev/stdin', mode)\n    except OSError: print('HELD')"
    assert sandbox.run(refused, b"x", fresh=fresh).stdout == b"HELD\nHELD\n"


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_javascript_reads_standard_input_as_it_does_at_judges():
    meta = {"language": "javascript", "inputs": ["3"], "outputs": ["9"]}
    for place in ("'/dev/stdin'", "0"):
        source = f"const n = Number(require('fs').readFileSync({place}, 'utf8')); console.log(n * n)"
        verdict = program_tests.verify(make_problem("?", "-", verifier="program_tests", meta=meta), source)
        assert verdict.score == 1.0, verdict
