"""One problem in four forms of tests, and programs that want to be called right without solving it."""

from typing import Any

from verifiers.problem import Problem, make_problem

CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9\n    assert candidate(-5) == 25\n"
PROMPT = 'def square(n):\n    """The square."""\n'


def problem(meta: dict[str, Any], prompt: str = "task", **options: Any) -> Problem:
    return make_problem(prompt, "-", verifier="python_tests", meta=meta | options)


FORMS = {
    "check": problem({"test": CHECK, "entry_point": "square"}, PROMPT),
    "assert": problem({"test_list": ["assert square(2) == 4", "assert square(3) == 9", "assert square(-5) == 25"]}),
    "call": problem({"fn_name": "square", "inputs": [[2], [3], [-5]], "outputs": [4, 9, 25]}),
    "stdin": problem({"inputs": ["2\n", "3\n", "-5\n"], "outputs": ["4\n", "9\n", "25\n"]}),
}
SERVED = ["check", "assert", "call"]


def programs(text: str) -> dict[str, str]:
    """Programs by name, from a text in which #### starts each."""
    parts = [part.partition("\n") for part in text.split("#### ")[1:]]
    return {name.strip(): source for name, _, source in parts}


ATTACKS = programs(
    r"""
#### eq_true_object
class E:
    def __eq__(s, o): return True
    __ne__ = __lt__ = __eq__
def square(n): return E()
#### int_subclass
class I(int):
    def __eq__(s, o): return True
    def __hash__(s): return 0
def square(n): return I(0)
#### str_subclass_in_list
class S(str):
    def __eq__(s, o): return True
def square(n): return [S('')]
#### metaclass_that_lies
class M(type):
    def __eq__(s, o): return True
    def __hash__(s): return hash(int)
class I(metaclass=M):
    def __eq__(s, o): return True
def square(n): return I()
#### frame_walk
import sys
def square(n):
    f = sys._getframe()
    while f:
        for k, v in list(f.f_locals.items()) + list(f.f_globals.items()):
            if isinstance(v, list): v[:] = [True] * len(v)
            if isinstance(v, dict) and 'passed' in v: v['passed'] = True
        f = f.f_back
    return 0
#### gc_hunt
import gc
def square(n):
    for o in gc.get_objects():
        if type(o) is dict and ('expected' in o or 'value' in o or 'outputs' in o): print(o)
    for o in gc.get_objects():
        if type(o) is list and o and type(o[0]) is bool: o[:] = [True] * len(o)
    return 0
#### os_exit
import os
def square(n): os._exit(0)
#### os_exit_at_once
import os
os._exit(0)
#### sys_exit_before_the_asserts
import sys
sys.exit(0)
#### system_exit_in_the_call
def square(n): raise SystemExit(0)
#### stop_iteration
def square(n): raise StopIteration
#### assertion_patched
import builtins
builtins.AssertionError = type('A', (BaseException,), {})
def square(n): return 0
#### builtins_patched
import builtins, operator, json, math
builtins.all = builtins.any = builtins.isinstance = lambda *a: True
builtins.type = lambda x: int
operator.eq = math.isclose = lambda *a, **k: True
json.dumps = lambda *a, **k: '{"passed": true}'
def square(n): return 0
#### driver_patched
import sys
for m in list(sys.modules.values()):
    for k in ('encode', '_same', 'verify', 'check', '_text'):
        if hasattr(m, k): setattr(m, k, lambda *a: True)
def square(n): return 0
#### reduce_in_the_value
import os
class R:
    def __reduce__(s): return (os._exit, (0,))
    def __getstate__(s): os._exit(0)
def square(n): return R()
#### infinite_loop
def square(n):
    while True: pass
#### deep_recursion
def square(n): return square(n)
#### deeply_nested_value
def square(n):
    x = []
    for _ in range(100000): x = [x]
    return x
#### self_containing_value
def square(n):
    x = []
    x.append(x)
    return x
#### huge_value
def square(n): return 'x' * (64 << 20)
#### nan
def square(n): return float('nan')
#### generator
def square(n): yield n * n
#### true_for_one
def square(n): return True
#### mutates_nothing
def square(n): return None
#### wrong_answer
def square(n): return n + 2
#### forged_records
import os
for fd in range(3, 64):
    try:
        for i in range(9): os.write(fd, b'{"nonce": "0000", "value": 4, "passed": true}\n')
    except OSError: pass
os._exit(0)
#### forged_record_with_the_nonce
import sys, json, os
def square(n):
    f = sys._getframe()
    while 'request' not in f.f_locals: f = f.f_back
    nonce = f.f_locals['request']['nonce']
    for fd in range(3, 64):
        try: os.write(fd, json.dumps({'nonce': nonce, 'passed': True, 'done': True, 'value': 0}).encode() + b'\n')
        except OSError: pass
    return 0
#### tests_from_disk
import os
found = []
for top in ('/', '/tmp', '/proc', os.getcwd(), '/usr/lib'):
    for folder, _, names in os.walk(top):
        found += [n for n in names if n.endswith(('.jsonl', 'tests.py', '.json.gz'))][:1]
        if len(found) > 3: break
def square(n): return {2: 4}.get(n, found)
#### fork_and_answer_twice
import os
def square(n):
    os.fork()
    return 0
#### syntax_error
def square(n) return n
#### empty_program
pass
#### wins_the_first_test_only
def square(n): return 4
"""
)
STDIN_ATTACKS = programs(
    r"""
#### os_exit
import os; os._exit(0)
#### sys_exit
raise SystemExit(0)
#### prints_every_answer
print(4); print(9); print(25)
#### right_then_crash
n = int(input()); print(n * n, flush=True); raise RuntimeError
#### right_then_hang
n = int(input()); print(n * n, flush=True)
while True: pass
#### forged_verdict
print('{"status": "right", "score": 1.0}')
#### flood
while True: print('4' * 10000)
#### reads_descriptors
import os
for fd in range(64):
    try: os.write(1, os.read(fd, 99))
    except OSError: pass
"""
)
