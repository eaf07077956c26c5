"""What a program hands over is read within bounds, and what it cannot be read as is the program's fault: wrong, never no verdict."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.clock import processor_time
from tests.verifiers.hostile_programs import FORMS, SERVED, problem
from verifiers.programs.plain_data import DEEPEST, NotRecordError, beginning, check_plain, decode, encode, parse_json
from verifiers.programs.python_tests import verify
from verifiers.programs.same_value import same_value
from verifiers.sandboxes.local_sandbox import probe
from verifiers.verdict import Status

MISSING = probe("strict")
needs_sandbox = pytest.mark.skipif(bool(MISSING), reason=f"no strict sandbox on this machine: {MISSING}")
MODULUS = 2**61 - 1  # of CPython's hash of a number: its multiples all have the hash 0

RETURNED = {
    "80,000 integers of one hash as keys": f"dict.fromkeys((k * {MODULUS} for k in range(80_000)), 0)",
    "80,000 integers of one hash in a set": f"LazySet(k * {MODULUS} for k in range(80_000))",
    "pairs of one hash as keys": f"LazyDict((k * {MODULUS}, 0) for k in range(60_000))",
    "complex numbers of one hash as keys": "LazyDict(complex(-1000003 * k, k) for k in range(50_000))",
    "an integer of two million digits": "1 << 7_000_000",
    "three million items": "[0] * 3_000_000",
    "ten million characters": "'x' * 10_000_000",
    "not a number as keys": "{float('nan'): 4, float('nan'): 4}",
    "half a character": "'\\ud800'",
    "half a character in an exception": "fail('\\udfff')",
    "a list in a list in a list": "nested(5000)",
    "a list that holds itself": "loop()",
}
HELPERS = """
class LazySet:
    def __init__(self, keys): self.keys = list(keys)
class LazyDict(LazySet): pass
def fail(text): raise ValueError(text)
def nested(depth):
    value = 4
    for _ in range(depth): value = [value]
    return value
def loop():
    value = []
    value.append(value)
    return value
import sys
served = sys.modules["verifiers.programs.in_sandbox_functions"]
plain = served.encode
def encode(value):
    if type(value) is LazySet: return {"set": [plain(key) for key in value.keys]}
    if type(value) is LazyDict: return {"dict": [[plain(key), 0] for key in value.keys]}
    return plain(value)
served.encode = encode
"""
FORGED = {
    "a float that is an integer of 401 digits": '{"float": 1' + "0" * 400 + "}",
    "a float of 401 digits": '{"float": "1' + "0" * 400 + '"}',
    "a bare float of 401 digits": "1" + "0" * 400 + ".0",
    "a bare integer of 5,000 digits": "1" * 5000,
    "a bare integer of 401 digits": "1" * 401,
    "an integer in base 37": '{"int": "zz"}',
    "an integer with an underscore": '{"int": "0x1_0"}',
    "an integer that is a float": '{"int": 4.0}',
    "a complex number of 401 digits": '{"complex": [1' + "0" * 400 + ", 0.0]}",
    "a complex number of words": '{"complex": ["a", "b"]}',
    "NaN": "NaN",
    "infinity": "[Infinity]",
    "a list as a key": '{"dict": [[[1], 2]]}',
    "a dict in a set": '{"set": [{"dict": []}]}',
    "a pair of three": '{"dict": [[1, 2, 3]]}',
    "a dict that is a number": '{"dict": 4}',
    "two kinds at once": '{"tuple": [4], "set": [4]}',
    "no kind": "{}",
    "a kind of its own": '{"eval": "4"}',
    "bytes that are none": '{"bytes": "4"}',
    "100,000 brackets": "[" * 100_000 + "]" * 100_000,
    "100,000 open brackets": "[" * 100_000,
    "800 tuples": '{"tuple": [' * 800 + "4" + "]}" * 800,
    "a million objects": "[" + '{"int": "0x4"},' * 500_000 + "4]",
    "half of an escape": '"\\ud8"',
}


@needs_sandbox
@pytest.mark.parametrize("form", SERVED)
@pytest.mark.parametrize("name", RETURNED)
def test_a_value_that_cannot_be_read_is_wrong_and_read_under_the_tests_deadline(form: str, name: str):
    asked = problem({**FORMS[form].meta, "time_limit": 2.0}, str(FORMS[form].prompt))
    with processor_time() as took:
        verdict = verify(asked, f"{HELPERS}\ndef square(n): return {RETURNED[name]}")
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG)
    assert verdict.detail.encode()
    assert took.seconds < 2.0  # of this process; what reads the value elsewhere can be killed


@needs_sandbox
@pytest.mark.parametrize("form", SERVED)
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_value_is_wrong_and_gives_a_verdict(form: str, name: str):
    source = (
        f"import json, sys\nRAW = {FORGED[name]!r}\nclass Forger:\n    loads = json.loads\n"
        '    dumps = staticmethod(lambda reply: \'{"nonce": "%s", "value": %s}\' % (reply[\'nonce\'], RAW))\n'
        "def square(n):\n    sys.modules['verifiers.programs.in_sandbox_functions'].json = Forger\n    return n * n"
    )
    verdict = verify(FORMS[form], source)
    assert (verdict.score, verdict.status) == (0.0, Status.WRONG)


@needs_sandbox
@pytest.mark.parametrize("form", SERVED)
def test_a_hostile_text_is_parsed_in_the_sandbox_alone(form: str, monkeypatch: pytest.MonkeyPatch):
    seen = []
    real = compile

    def watched(source: Any, *rest: Any, **options: Any) -> Any:
        seen.append(source)
        return real(source, *rest, **options)

    monkeypatch.setattr("builtins.compile", watched)  # what `ast.parse` calls
    for bomb in (
        "-" * 100_000 + "1",
        "(" * 10_000,
        "x = " + "[" * 150 + "]" * 150,
        "a" + ".a" * 90_000,
        "lambda: " * 5000 + "0",
        "\0",
        "\ud800",
    ):
        source = f"BOMB = 1\n{bomb}\ndef square(n): return n * n + 1"
        verdict = verify(FORMS[form], source)
        assert (verdict.score, verdict.status) == (0.0, Status.WRONG)
    assert not any("BOMB" in str(text) for text in seen)


VALUES: list[Any] = [
    None, True, False, 0, -1, 2**62, 2**63, -(2**63), -(10**30), 0.5, -0.0, 1e308, math.inf, -math.inf, "", "a\ud800\0", [], [1, [2, []]],
    (), (1,), (1, (2, "x")), {}, {"a": 1, 2: [3], (4, 5): {6}, None: 0, 1.5: b"x"}, {1, "1", (1,)}, frozenset({frozenset({1}), 2}), b"",
    b"\0\xff",
    1j, complex(-0.0, math.inf),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_what_encode_writes_passes_and_equals_itself_alone(value: Any):
    data = parse_json(json.dumps(encode(value)).encode())
    check_plain(data)
    assert decode(data) == value
    jsonable = not isinstance(value, dict) or all(isinstance(key, str) for key in value)  # keys of a test are text
    nested_sets = isinstance(value, frozenset)
    if jsonable and not nested_sets:
        assert same_value(data, value, 0.0)
    for other in VALUES:
        expected = other == value and type(other) is type(value)
        if not expected and not {type(other), type(value)} <= {int, float} and not {type(other), type(value)} <= {list, tuple}:
            assert not same_value(data, other, 0.0), other


@pytest.mark.parametrize(
    ("got", "wanted", "tolerance", "same"),
    [
        ((1, 2), [1, 2], 0.0, True), ([1, 2], [1, 2, 3], 0.0, False), (True, 1, 0.0, False), (1, True, 0.0, False), (1.0, 1, 0.0, True),
        ({1: 2}, {"1": 2}, 0.0, True), ({1: 2, "1": 2}, {"1": 2}, 0.0, False), ({1: 2, "1": 2}, {"1": 2, "2": 2}, 0.0, False),
        ({True: 2}, {"true": 2}, 0.0, True), ({1.5: 2}, {"1.5": 2}, 0.0, True), ({None: 2}, {"None": 2}, 0.0, True),
        ({(1, 2): 3}, {"(1, 2)": 3}, 0.0, True), ({(1, 2): 3}, {"(1,  2)": 3}, 0.0, False), ({10**30: 1}, {str(10**30): 1}, 0.0, True),
        ({"a": {"b": (1.0,)}}, {"a": {"b": [1.0 + 1e-9]}}, 1e-6, True), ({"a": 10**400}, {"a": 1.0}, 1e-6, False), (3, 4, 10.0, False),
        ({"a": 1}, {}, 0.0, False), ({}, [], 0.0, False), ("4", 4, 0.0, False), (math.nan, math.nan, 0.0, False),
        ({1, 2}, [1, 2], 0.0, False),
        ({10**5000: 1}, {"x" * 9000: 1}, 0.0, False), ([10**5000], [10**5000], 0.0, True),
    ],
)  # fmt: skip
def test_values_compare_as_json_has_them(got: Any, wanted: Any, tolerance: float, same: bool):
    assert same_value(encode(got), wanted, tolerance) is same


def test_records_that_name_one_key_or_item_twice_equal_nothing():
    assert not same_value({"dict": [["a", 1], ["a", 1]]}, {"a": 1}, 0.0)
    assert not same_value({"dict": [["a", 1], ["a", 1]]}, {"a": 1, "b": 1}, 0.0)
    assert not same_value({"set": [1, 1]}, {1, 2}, 0.0)
    assert not same_value({"set": [[1]]}, {1}, 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: {"dict": [[k * MODULUS if k * MODULUS < 2**63 else {"int": hex(k * MODULUS)}, 0] for k in range(n)]},
        lambda n: {"set": [{"int": hex(k * MODULUS + 2**64)} for k in range(n)]},
    ],
)
def test_keys_of_one_hash_take_linear_time_outside_the_sandbox(make: Callable[[int], Any]):
    data = make(80_000)
    with processor_time() as took:
        check_plain(data)
        assert not same_value(data, {str(k): 0 for k in range(80_000)}, 0.0)
        assert not same_value(data, set(range(80_000)), 0.0)
        assert len(beginning(data)) <= 100
    assert took.seconds < 2.0


def test_what_is_nested_too_deeply_or_holds_too_much_is_no_record():
    deep: Any = 4
    for _ in range(DEEPEST - 1):
        deep = [deep]
    check_plain(deep)
    assert beginning(deep).startswith("[[[[")
    for data in ([deep], [[deep]], [0] * (1 << 21)):
        with pytest.raises(NotRecordError, match=r"deeply|many"):
            check_plain(data)


@pytest.mark.parametrize(
    "value", [[1, "a"], (1,), {"a": (1, 2)}, {1}, 10**40, "x" * 500, [[1]] * 400, {1: {2: 3}}, 1j, math.inf, b"a", None, True]
)
def test_a_complaint_shows_the_beginning_of_a_value(value: Any):
    text = beginning(encode(value))
    assert len(text) <= 100
    if type(value) not in (set, bytes, complex) and value != 10**40:
        assert text == repr(value)[:100]
