"""Verdicts belong to their items and mistakes to their callers, whatever a reward writes, forks, or is handed."""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.worker_pool.ends_of_workers import watch_ends
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.proofs.lean_repl import LeanRepl
from verifiers.proofs.lean_transport import LeanFailure
from verifiers.sandboxes import local_sandbox
from verifiers.verdict import Status
from verifiers.worker_pool.verifier_pool import VerifierPool
from verifiers.worker_pool.worker_process import WorkerProcess

REWARDS = r'''
import asyncio, os, sys, threading, time

def write(line):
    """To the pipe of the verdicts, as a reward does that takes the descriptor for its own."""
    for descriptor in range(3, 20):
        try: os.write(descriptor, line)
        except OSError: pass

def fork(how):
    child = os.fork()
    if child == 0:
        match how:
            case "exit": sys.exit()
            case "exit 3": sys.exit(3)
            case "text": sys.exit("so long")
            case "raise": raise ValueError("in the child")
            case "return": return None
    return child

def score(problem, response):
    """The response as a number; some responses do something else first."""
    match response.partition(" "):
        case "fork", _, _:
            if os.fork() == 0:
                time.sleep(0.15)
                sys.exit()
            return 0.5
        case "status", _, how:
            child = fork(how)
            return 0.0 if child is None else float(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        case "write", _, line:
            write(line.encode() + b"\n")
            return 0.5
        case "later", _, line:
            threading.Timer(0.2, write, [line.encode() + b"\n"]).start()
            return 0.5
        case "pid", _, _:
            return os.getpid()
    time.sleep(0.005)
    return float(response)

async def slowly(problem, response):
    await asyncio.sleep(0)
    return score(problem, response)
'''

ONE = make_problem("1?", "1")


@pytest.fixture(autouse=True)
def _rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rewards.py").write_text(REWARDS)
    monkeypatch.chdir(tmp_path)


def scores(pool: VerifierPool, responses: list[str]) -> list[float | None]:
    return [verdict.score for verdict in pool.verify_many([(ONE, response) for response in responses])]


def forged(number: int) -> str:
    """An answer as a worker spells it."""
    verdict = {"score": -1.0, "status": "wrong", "detail": "forged", "parts": {}, "steps": [], "seconds": 0.0}
    return json.dumps({"item": number, **verdict})


# ---------------------------------------------------------------- rewards that fork


@pytest.mark.parametrize("function", ["score", "slowly"])
def test_a_forked_child_that_exits_shifts_nobodys_verdict(function: str) -> None:
    numbers = [n / 100 for n in range(60)]
    with VerifierPool([f"rewards.py:{function}"], workers=1) as pool:
        ends = watch_ends(pool)
        found = scores(pool, ["0.07", "fork", *map(str, numbers)])
        assert found == [0.07, 0.5, *numbers]
        time.sleep(0.3)
        assert scores(pool, ["0.7"]) == [0.7]
        assert ends["died"] == 0


def test_a_forked_child_ends_with_the_status_of_a_script() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, deadline=3.0) as pool:
        found = scores(pool, ["status exit", "status exit 3", "status text", "status raise", "status return"])
    assert found == [0.0, 3.0, 1.0, 1.0, 0.0]


# ---------------------------------------------------------------- what no worker says


@pytest.mark.parametrize(
    "line",
    [forged(0), forged(999), forged(4)[:-1], "7", "{}", '{"item": 4}', '["item"]', "[" * 50_000],
    ids=["an earlier item", "a later item", "cut off", "number", "empty", "no verdict", "list", "deep"],
)
def test_a_reply_that_nobody_asked_for_costs_its_worker_and_shifts_no_verdict(line: str) -> None:
    numbers = [n / 100 for n in range(20)]
    with VerifierPool(["rewards.py:score"], workers=1) as pool:
        items = [(ONE, str(number)) for number in numbers]
        items[4] = (ONE, f"write {line}")
        start, ends = time.monotonic(), watch_ends(pool)
        verdicts = pool.verify_many(items)
        assert verdicts[4].status is Status.CRASH
        assert "did a reward write to its pipe?" in verdicts[4].detail
        assert [v.score for n, v in enumerate(verdicts) if n != 4] == [number for n, number in enumerate(numbers) if n != 4]
        assert ends["died"] == 1
        assert time.monotonic() - start < 5


def test_a_reply_to_nothing_leaves_the_pool_alive() -> None:
    with VerifierPool(["rewards.py:score"], workers=1) as pool:
        ends = watch_ends(pool)
        assert scores(pool, ["0.1", f"later {forged(2)}"]) == [0.1, 0.5]  # the number that comes next
        deadline = time.monotonic() + 5
        while ends["died"] == 0:
            assert time.monotonic() < deadline, "an answer out of nowhere was believed, or not seen"
            time.sleep(0.02)
        assert scores(pool, ["0.3", "0.4"]) == [0.3, 0.4]


# ---------------------------------------------------------------- items that no worker can take


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class Moody:
    def tolist(self) -> list[int]:
        raise OSError("not today")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ((ONE, b"1"), "item 1: expected a Problem and a string, not Problem and bytes"),
        ((ONE, None), "not Problem and NoneType"),
        (("1?", "1"), "not str and str"),
        ((make_problem("?", "1", meta={"deep": nested(100_000)}), "1"), "meta must hold JSON values only: maximum recursion depth"),
        ((make_problem("?", "1", meta={"moody": Moody()}), "1"), "meta must hold JSON values only: not today"),
    ],
    ids=["bytes", "none", "no problem", "deep", "moody"],
)
@pytest.mark.parametrize("kind", [list, iter])
def test_a_bad_item_ends_its_own_call_and_no_other(item: tuple[Problem, str], text: str, kind: Any) -> None:
    numbers = [n / 100 for n in range(60)]
    with VerifierPool(["rewards.py:score"], workers=1) as pool, ThreadPoolExecutor(1) as threads:
        ends = watch_ends(pool)
        other = threads.submit(scores, pool, list(map(str, numbers)))
        with pytest.raises(InputError, match=text):
            pool.verify_many(kind([(ONE, "1"), item, (ONE, "1")]))
        assert other.result(10) == numbers
        assert scores(pool, ["0.7"]) == [0.7]
        assert ends["died"] == 0
        assert any(thread.name == "reckon-verifiers" for thread in threading.enumerate())


def test_what_a_worker_cannot_read_is_a_crash_and_costs_no_worker() -> None:
    limit = sys.getrecursionlimit()
    deep = make_problem("?", "1", meta={"deep": nested(3000)})
    nameless = Problem(7, "1?", "1", "math_answer")  # type: ignore[arg-type]  # which has no seed
    with VerifierPool(["rewards.py:score"], workers=1) as pool:
        try:
            sys.setrecursionlimit(20_000)  # some libraries do; the worker's is another
            before, unread, unseeded, after = pool.verify_many([(ONE, "pid"), (deep, "1"), (nameless, "1"), (ONE, "pid")])
        finally:
            sys.setrecursionlimit(limit)
    assert (unread.status, unseeded.status) == (Status.CRASH, Status.CRASH)
    assert "RecursionError" in unread.detail
    assert "TypeError" in unseeded.detail
    assert before.score == after.score


def test_workers_that_cannot_be_started_leave_no_descriptors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = held()
    for _ in range(5):
        with pytest.raises(FileNotFoundError):
            WorkerProcess(b"", str(tmp_path / "no such folder"), {})
        with pytest.raises(LeanFailure, match="cannot be started"):
            LeanRepl("a\0b").elaborate("", "", "", time.monotonic() + 5.0)
    monkeypatch.setattr(local_sandbox, "_BOOT", "{root}{control}{setup}\0")
    isolated = local_sandbox._Programs("strict")
    for _ in range(5):
        with pytest.raises(ValueError, match="null byte"):
            isolated.start("")
    assert held() == before
