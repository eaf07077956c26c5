"""Integrals, limits, derivatives and symbolic sums: known values, near misses, and an algebra system that hangs, floods or is orphaned."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.open_form import is_open_form, needs_algebra
from verifiers.mathematics.answer_reading.values import Unparsed
from verifiers.mathematics.arithmetic.exact_sums import Expr
from verifiers.mathematics.equality.math_answer import equivalent, explain, verify
from verifiers.mathematics.evidence import algebra_system, algebra_worker
from verifiers.mathematics.evidence.algebra_system import Simplifier, same_by_algebra, tree_of
from verifiers.problem import make_problem
from verifiers.verdict import Status, Undecided, Verdict

ROOT = Path(PACKAGE_ROOT)

EQUAL = [
    (r"\int_0^1 x^2 dx", r"\frac13"), (r"\int_0^1 x^2\,\mathrm{d}x", r"\frac13"), (r"\int_{-\infty}^{\infty} e^{-x^2} dx", r"\sqrt{\pi}"),
    (r"\int_0^\infty e^{-x} dx", "1"), (r"\int_1^2 \frac{dx}{x}", r"\ln 2"), (r"\int_0^\pi \sin t \, dt", "2"),
    (r"\int_0^1 x+1\, dx", r"\frac32"), (r"2\int_0^1\int_0^x xy\, dy\, dx + 5", r"\frac{21}{4}"),
    (r"\int \frac{dx}{1+x^2}", r"\arctan x + C"),
    (r"\int x\,dx", r"\frac{x^2}{2} + 7"), (r"\int\frac{dx}{x}", r"\ln|x|+C"), (r"\int_0^x e^{-t^2}dt", r"\int_0^x e^{-s^2}\,ds"),
    ("∫_0^2 x dx", "2"),
    (r"\lim_{x\to0}\frac{\sin x}{x}", "1"), (r"\lim_{n\to\infty}\left(1+\frac1n\right)^n", "e"), (r"\lim_{x \to 0^+} x\ln x", "0"),
    (r"\lim_{h\to0}\frac{(x+h)^2-x^2}{h}", "2x"), (r"\lim_{x\to\infty} x^2", r"\infty"), (r"\lim_{x\rightarrow 0^-}\frac{|x|}{x}", "-1"),
    (r"\sum_{k=1}^n k", r"\frac{n(n+1)}{2}"), (r"\sum_{k=1}^{n} k^2", r"\frac{n(n+1)(2n+1)}{6}"),
    (r"\sum_{k=1}^\infty \frac1{k^2}", r"\frac{\pi^2}{6}"),
    (r"\sum_{k=0}^{n}\binom{n}{k}", "2^n"), (r"\prod_{k=1}^{n} k", "n!"), (r"\sum_{n=1}^{100000} n", "5000050000"),
    (r"\sum_{k=1}^{n-1} k + n", r"\sum_{j=1}^{n} j"), (r"\sum_{k=1}^{m}\sum_{j=1}^{k} 1", r"\frac{m^2+m}{2}"),
    (r"\frac{d}{dx} x^2", "2x"), (r"\frac{d^2}{dx^2}\left(x^3\right)", "6x"), (r"\frac{d}{dx}\int_0^x \cos t\,dt", r"\cos x"),
]  # fmt: skip

NOT_EQUAL = [
    (r"\int_0^1 x^2 dx", r"\frac12"), (r"\int_{-\infty}^{\infty} e^{-x^2} dx", r"\pi"), (r"\int_{-1}^{1} \frac{dx}{x}", "0"),
    (r"\int_0^\infty \sin x\,dx", "1"), (r"\int x\,dx", "x^2"), (r"x\int x\,dx", r"\frac{x^3}{2}+7x"),
    (r"\int_0^1 x\,dx", r"\int_0^1 x^2\,dx"),
    (r"\int_a^b f(x)\,dx", "f(x)(b-a)"), (r"\int_0^1 t\,dx", r"\frac12"), (r"\int_0^1 x^2 dx", "0.3333"),
    (r"\lim_{x\to0}\frac{|x|}{x}", "1"), (r"\lim_{x\to0^+}\frac1x", "0"), (r"\lim_{x\to\infty}\sin x", "0"),
    (r"\lim_{x\to\infty} x", r"-\infty"),
    (r"\sum_{k=1}^{n} k^2", r"\frac{n(n+1)(2n-1)}{6}"), (r"\sum_{k=1}^{n} k", r"\sum_{k=1}^{n-1} k"),
    (r"\sum_{k=1}^\infty (-1)^k", r"-\frac12"),
    (r"\sum_{k=1}^\infty \frac1k", "100"), (r"\prod_{k=1}^{n} k", "n^n"), (r"\sum_{k=1}^{n} \gcd(2k,4)", "2n"),
    (r"\frac{d}{dx} x^2", "x"), (r"\frac{d}{dx} y^2", "2y"),
    (r"\frac{dy}{dx}", r"\frac{y}{x}"), (r"\frac{d}{dx} f(x)", "0"), (r"\sum_{k=0}^\infty x^k", r"\frac{1}{1+x}"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What algebra says, not how fast this machine is."""
    monkeypatch.setattr(algebra_system.WORKER, "deadline", 20.0)


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_known_values(left: str, right: str) -> None:
    assert equivalent(left, right, require_closed_form=False)
    assert equivalent(right, left, require_closed_form=False)


@pytest.mark.parametrize(("left", "right"), NOT_EQUAL)
def test_near_misses_and_what_has_no_value(left: str, right: str) -> None:
    assert not equivalent(left, right, require_closed_form=False)
    assert not equivalent(right, left, require_closed_form=False)


def test_an_integral_is_no_answer_to_a_question_for_a_number() -> None:
    for left, right in EQUAL:
        if is_open_form(left) != is_open_form(right):
            assert not equivalent(left, right)
    assert verify(make_problem("?", r"\int_0^x e^{-t^2}dt + \int_0^1 t dt"), r"\boxed{\frac12+\int_0^x e^{-s^2}ds}").status is Status.RIGHT
    detail = explain(make_problem("?", r"\sum_{k=1}^n k"), r"\boxed{n + \sum_{j=1}^{n-1} j}").detail
    assert "step: sympy" in detail


def read(text: str) -> Expr:
    value = parse(text)
    assert isinstance(value, Expr), text
    return value


@pytest.mark.parametrize(
    "text",
    [r"\int_0^1 x", r"\int x^2 dx dx", r"\int_0 x dx", r"\int_0^1 \sqrt{dx}", r"\int_0^1 x dx dy", r"\int_0^1 \frac{1}{dx}",
     r"\lim x", r"\lim_{x} x", r"\lim_{x\to 0}", r"\sum_{k=1}^n", r"\sum_{k} k", r"\frac{dy}{dx}",
     r"\iint x dx dy", r"\sum_{k=\frac12}^{n} k", r"\int_0^1 x^{dx}"],
)  # fmt: skip
def test_what_is_not_complete_is_not_read(text: str) -> None:
    assert isinstance(parse(text), Unparsed)


def test_a_bound_variable_is_no_variable() -> None:
    assert read(r"\int_0^1 x^2 dx") == read(r"\int_0^1 t^2 dt") == read(r"∫_{0}^{1} s^2\,ds")
    assert read(r"\sum_{i=1}^n i") == read(r"\sum_{e=1}^n e")
    assert read(r"\sum_{i=1}^3 ix") == read("6x")
    assert equivalent(r"\int_0^1\int_0^1 xy dx dy", r"\frac14", require_closed_form=False)


def test_plain_numbers_never_reach_the_algebra_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra_system, "same_by_algebra", lambda left, right: pytest.fail("reached"))
    for gold, answer in [
        ("7", "8"),
        (r"\pi", "3.15"),
        (r"\sin x", r"\cos x"),
        ("7", r"\int_0^1 x^2 dx"),
        (r"\sum_{k=1}^n k", "15"),
        ("x^2", "x=3"),
    ]:
        assert not equivalent(gold, answer)
        assert not needs_algebra(read(gold)) or is_open_form(gold)


@pytest.mark.parametrize(
    "text",
    [r"\sum_{i=1}^{9} i", r"\ｓｕｍ_{i=1}^{9} i", "∑_{i=1}^9 i", r"{\sum}\limits_{i=1}^9 i", r"\prod_{k=1}^3 k",
     r"\gcd(4,6)", r"\operatorname{lcm}(4,6)", r"\mathrm{mcm}(2,3)", "17 mod 5",
     r"17 \bmod 5", r"17 \text{ mod } 5", r"\max(1,2)", r"\max\{1,2\}", "max(1,2)",
     r"\int_0^1 x dx", "∫_0^1 x dx",
     r"\lim_{x\to0} x", r"\frac{d}{dx} x", r"\frac{\mathrm{d}}{\mathrm{d}x} x", r"\frac{d^2}{dx^2} x", r"\frac d{dx} x",
     r"\\sum_{i=1}^9 i"],
)  # fmt: skip
def test_open_forms_are_seen_however_they_are_written(text: str) -> None:
    assert is_open_form(text)


@pytest.mark.parametrize(
    "text",
    ["5 min", "5 min.", r"5\text{ min}", r"x\equiv3\pmod7", "x ≡ 3 (mod 7)", "Minimum: 1, maximum: 3", "sum", r"\text{and}", "d", "{d}"],
)
def test_words_and_units_are_no_open_forms(text: str) -> None:
    assert not is_open_form(text)


# ---------------------------------------------------------------- the process

HANGS = [r"\sum_{k=1}^{n} k^{400}", r"\prod_{k=1}^{100000000} k", r"\int_0^1 x^{x^{x^{x}}} dx"]


@pytest.fixture(scope="module")
def only_worker() -> Iterator[Simplifier]:
    found = Simplifier()
    yield found
    found.close()


@pytest.fixture
def worker(only_worker: Simplifier) -> Simplifier:
    """A warm worker with a short deadline."""
    only_worker.deadline = 10.0
    assert only_worker.ask(tree_of(read(r"\int_0^1 x dx")), tree_of(read("1/2"))) is True
    only_worker.deadline = 0.4
    return only_worker


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_request_is_killed_at_its_deadline(worker: Simplifier) -> None:
    assert worker.process is not None
    pid = worker.process.pid
    slowest = 0.0
    for text in HANGS:
        start = time.monotonic()
        with pytest.raises(Undecided) as failure:
            worker.ask(tree_of(read(text)), tree_of(read("7")))
        assert failure.value.status is Status.TIMEOUT
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 0.4 + 0.25  # 0.02 s over the deadline where nothing else runs
    assert worker.process.pid == pid
    assert children(pid) == []
    assert worker.ask(tree_of(read(r"\int_0^1 x dx")), tree_of(read("1/3"))) is False


def test_too_large_an_expression_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra_system.WORKER, "ask", lambda left, right: pytest.fail("sent"))
    assert not same_by_algebra(
        read(r"\frac{d}{dx} x + " + "+".join(f"x^{{{n}}}y" for n in range(2, 52))),
        read("7+" + "+".join(f"y^{{{n}}}" for n in range(2, 52))),
    )


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra_worker, "decide", lambda sympy, left, right: len(bytearray(2 << 30)) > 0)
    start = time.monotonic()
    assert algebra_worker._in_child(None, {"left": [], "right": [], "seconds": 20}) == {"failed": "crash"}
    assert time.monotonic() - start < 10


def test_a_dead_worker_is_replaced_and_leaves_no_zombie(worker: Simplifier) -> None:
    assert worker.process is not None
    pid = worker.process.pid
    os.kill(pid, signal.SIGKILL)
    assert worker.ask(tree_of(read(r"\int_0^1 x dx")), tree_of(read("1/2"))) is True
    assert worker.process.pid != pid
    assert not Path(f"/proc/{pid}").exists()


def test_threads_take_turns(worker: Simplifier) -> None:
    worker.deadline = 10.0
    found: dict[int, bool | None] = {}

    def ask(n: int) -> None:
        found[n] = worker.ask(tree_of(read(rf"\int_0^{n} x dx")), tree_of(read(f"{n * n}/2" if n % 2 else "1/3")))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: n % 2 == 1 for n in range(1, 9)}


USER = r"""
import os, sys
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.mathematics.evidence.algebra_system import WORKER
def ask(n):
    return equivalent(rf"\int_0^{n} x dx", f"{n * n}/2", require_closed_form=False)
assert ask(2)
print(WORKER.process.pid, flush=True)
if sys.argv[1] == "fork":
    ours = WORKER.process.pid
    child = os.fork()
    if child == 0:
        os._exit(0 if ask(4) and WORKER.process.pid != ours else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask(6) and WORKER.process.pid == ours
elif sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("end", ["killed", "fork"])
def test_the_worker_ends_with_its_parent(end: str) -> None:
    done = subprocess.run([sys.executable, "-c", USER, end], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (-9 if end == "killed" else 0), done.stderr
    pid = int(done.stdout)
    end_by = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() and time.monotonic() < end_by:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()


def test_code_in_a_tree_is_only_a_name(worker: Simplifier, tmp_path: Path) -> None:
    path = tmp_path / "ran"
    name = f"__import__('pathlib').Path('{path}').touch()"
    for atom in (name, {"head": name, "args": []}, {"head": "integral", "args": [[["1", [[name, "1"]]]]]}):
        assert worker.ask([["1", [[atom, "1"]]]], [["1", []]]) is not True
    assert not path.exists()


# ---------------------------------------------------------------- failures of ours are no verdicts

GOLD, RIGHT, WRONG = r"\int_0^x e^{-t^2}dt + \int_0^1 t dt", r"\frac12+\int_0^x e^{-s^2}ds", r"\frac13+\int_0^x e^{-s^2}ds"


@pytest.fixture
def fresh_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simplifier]:
    found = Simplifier()
    monkeypatch.setattr(algebra_system, "WORKER", found)
    algebra_system._ask_worker.cache_clear()
    yield found
    found.close()
    algebra_system._ask_worker.cache_clear()


def judged(gold: str, answer: str) -> Verdict:
    return verify(make_problem("?", gold), rf"\boxed{{{answer}}}")


def test_a_deadline_of_algebra_is_no_verdict_and_is_not_remembered(fresh_worker: Simplifier) -> None:
    fresh_worker.deadline = 0.001
    for answer in (RIGHT, WRONG):
        verdict = judged(GOLD, answer)
        assert (verdict.status, verdict.score) == (Status.TIMEOUT, None), verdict
        assert "algebra" in verdict.detail
        assert not equivalent(GOLD, answer)
    fresh_worker.deadline = 30.0
    assert judged(GOLD, RIGHT).status is Status.RIGHT
    assert judged(GOLD, WRONG).status is Status.WRONG


def test_a_slow_start_of_algebra_is_no_verdict(fresh_worker: Simplifier, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(algebra_system, "START_DEADLINE", 0.0)
        assert judged(GOLD, RIGHT).status is Status.TIMEOUT
    fresh_worker.deadline = 30.0
    assert judged(GOLD, RIGHT).status is Status.RIGHT


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
def test_algebra_that_cannot_start_is_a_crash(fresh_worker: Simplifier, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", program)
        verdict = judged(GOLD, RIGHT)
        assert (verdict.status, verdict.score) == (Status.CRASH, None), verdict
    fresh_worker.deadline = 30.0
    assert judged(GOLD, RIGHT).status is Status.RIGHT


def test_a_request_that_dies_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra_worker, "decide", lambda sympy, left, right: os.kill(os.getpid(), signal.SIGKILL))
    assert algebra_worker._in_child(None, {"left": [], "right": [], "seconds": 60}) == {"failed": "crash"}
    monkeypatch.setattr(algebra_worker, "decide", lambda sympy, left, right: None)
    assert algebra_worker._in_child(None, {"left": [], "right": [], "seconds": 60}) == {"same": None}


def test_algebra_fails_only_where_it_would_have_decided(fresh_worker: Simplifier) -> None:
    fresh_worker.deadline = 0.001
    assert judged(f"({GOLD}, 1)", f"({RIGHT}, 2)").status is Status.WRONG
    assert judged(f"{GOLD}, 1, 3", f"2, 4, {RIGHT}").status is Status.WRONG
    assert judged(f"({GOLD}, 1)", f"({RIGHT}, 1)").status is Status.TIMEOUT
    assert judged(f"{GOLD}, 1", f"1, {RIGHT}").status is Status.TIMEOUT
    assert judged(GOLD, GOLD + "+0").status is Status.RIGHT
    assert "algebra" in explain(make_problem("?", GOLD), rf"\boxed{{{RIGHT}}}").detail
