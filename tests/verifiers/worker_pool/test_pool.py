"""What a verifier may do to its worker, and what the pool makes of it: nothing lost, nothing doubled, nobody waits for long."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, Verdict
from verifiers.worker_pool.gold_check import try_gold
from verifiers.worker_pool.verifier_pool import VerifierPool

REWARDS = r'''
import asyncio, ctypes, os, random, re, sys, time

def score(problem, response):
    """Right when the response is the answer; some responses do something else."""
    match response:
        case "sleep": time.sleep(1000)
        case "regex": re.match(r"(a+)+$", "a" * 50 + "b")
        case "exit": os._exit(3)
        case "segv": ctypes.string_at(0)
        case "raise": raise ValueError("no such luck")
        case "sysexit": sys.exit("leaving")
        case "recurse": return score(problem, response)
        case "abc": return "abc"
        case "nan": return float("nan")
        case "none": return None
        case "print": print('{"score": 7}'); sys.stdout.flush(); os.write(1, b"junk\n"); sys.stderr.write("junk\n")
        case "close": os.close(1); os.close(0)
        case "stdin": return sys.stdin.read() == ""
        case "closeall": os.closerange(3, 64)
        case "fork":
            if os.fork() == 0: time.sleep(1000)
            os._exit(4)
        case "memory": bytearray(1 << 33)
    return response == problem.answer

async def slowly(problem, response):
    await asyncio.sleep(0.001)
    return score(problem, response)

def dice(problem, response):
    return random.random()

def length(problem, response):
    return len(response)

def pause(problem, response):
    time.sleep(float(response))
    return True

def whole(problem, response):
    return response == "\ud800 \udc00\ud800 é\u2028\x00" and problem.meta["deep"] == {"list": [1, None, "é"]}
'''


@pytest.fixture(autouse=True)
def _rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rewards.py").write_text(REWARDS)
    monkeypatch.chdir(tmp_path)
    root = PACKAGE_ROOT  # for the processes that tests start: this tree, not an installed one
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])))


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return [make_problem(f"{n} + {n}?", str(2 * n)) for n in range(300)]


def answered(problems: list[Problem], **instead: int) -> list[tuple[Problem, str]]:
    """Each problem with its answer, those with an odd index with a wrong one; at some places something else instead."""
    items = [(problem, problem.answer if n % 2 == 0 else "no, -7") for n, problem in enumerate(problems)]
    for response, place in instead.items():
        items[place] = (problems[place], response)
    return items


def expected(count: int) -> list[Status]:
    return [Status.RIGHT if n % 2 == 0 else Status.WRONG for n in range(count)]


def check_others(verdicts: list[Verdict], problems: list[Problem], *places: int) -> None:
    statuses = [verdict.status for verdict in verdicts]
    wanted = expected(len(problems))
    assert len(statuses) == len(wanted)
    assert [s for n, s in enumerate(statuses) if n not in places] == [s for n, s in enumerate(wanted) if n not in places]


def test_order_is_kept_and_problems_name_their_own_verifier(problems: list[Problem]) -> None:
    names = ("rewards.py:score", "rewards.py:slowly", "math_answer")
    named = [make_problem(problem.prompt, problem.answer, verifier=names[n % 3]) for n, problem in enumerate(problems)]
    with VerifierPool() as pool:
        verdicts = pool.verify_many(answered(named))
        [lost] = pool.verify_many([(make_problem("?", "1", verifier="nowhere.py:f"), "1")])
    check_others(verdicts, problems)
    assert lost.status is Status.CRASH
    assert "no file" in lost.detail


@pytest.mark.parametrize("response", ["sleep", "regex"])
def test_a_hang_is_a_timeout_and_holds_up_nobody(problems: list[Problem], response: str) -> None:
    items = answered(problems)
    items[40] = items[41] = items[200] = (problems[0], response)
    with VerifierPool(["rewards.py:score"], workers=3, deadline=1.5) as pool:
        try_gold(pool, problems[0])
        start = time.monotonic()
        seen = {index: (verdict, time.monotonic() - start) for index, verdict, _ in pool.stream(items)}
        wall = time.monotonic() - start
    check_others([seen[n][0] for n in range(len(items))], problems, 40, 41, 200)
    for place in (40, 41, 200):
        assert seen[place][0].status is Status.TIMEOUT
        assert "1.5 s" in seen[place][0].detail
    assert wall < 1.5 + 2


@pytest.mark.parametrize(
    ("response", "status", "detail"),
    [
        ("exit", Status.CRASH, "worker died: exit code 3"),
        ("segv", Status.CRASH, "worker died: signal SIGSEGV"),
        ("fork", Status.CRASH, "worker died: exit code 4"),
        ("closeall", Status.CRASH, "worker died"),
        ("raise", Status.CRASH, "ValueError: no such luck ("),
        ("sysexit", Status.CRASH, "SystemExit: leaving"),
        ("recurse", Status.CRASH, "RecursionError"),
        ("abc", Status.CRASH, "rewards.py:score returned 'abc' (str); expected a finite number"),
        ("nan", Status.CRASH, "returned nan"),
        ("none", Status.CRASH, "None"),
        ("print", Status.WRONG, ""),
        ("close", Status.WRONG, ""),
        ("stdin", Status.RIGHT, ""),
    ],
)
def test_misbehaviour_stays_with_its_item(problems: list[Problem], response: str, status: Status, detail: str) -> None:
    with VerifierPool(["rewards.py:score"], deadline=20.0) as pool:
        start = time.monotonic()
        verdicts = pool.verify_many(answered(problems, **{response: 77}))
        wall = time.monotonic() - start
    assert verdicts[77].status is status
    assert detail in verdicts[77].detail
    check_others(verdicts, problems, 77)
    assert wall < 15


def test_a_verifier_that_kills_every_worker_costs_bounded_time(problems: list[Problem]) -> None:
    with VerifierPool(["rewards.py:score"]) as pool:
        start = time.monotonic()
        verdicts = pool.verify_many([(problem, "exit") for problem in problems[:20]])
    assert [verdict.detail for verdict in verdicts] == ["worker died: exit code 3"] * 20
    assert time.monotonic() - start < 20


def test_large_responses_do_not_block_and_odd_characters_arrive() -> None:
    large = make_problem("?", "x" * 5_000_000)
    with VerifierPool(["rewards.py:score"]) as pool:
        verdicts = pool.verify_many([(large, large.answer), (large, large.answer[1:])] * 4)
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0] * 4
    odd = make_problem("\ud800?", "1", meta={"deep": {"list": [1, None, "é"]}})
    with VerifierPool(["rewards.py:whole"]) as pool:
        assert pool.verify_many([(odd, "\ud800 \udc00\ud800 é\u2028\x00"), (odd, "")])[0].score == 1.0


def test_a_meta_that_json_cannot_hold_is_an_input_error() -> None:
    with VerifierPool(["rewards.py:score"]) as pool:
        with pytest.raises(InputError, match="meta must hold JSON values only"):
            pool.verify_many([(make_problem("?", "1", meta={"when": object()}), "1")])
        assert pool.verify_many([(make_problem("?", "1"), "1")])[0].score == 1.0


def test_random_rewards_depend_on_the_item_alone(problems: list[Problem]) -> None:
    items = [(problem, "r") for problem in problems[:50]]
    with VerifierPool(["rewards.py:dice"], workers=2) as two, VerifierPool(["rewards.py:dice"], workers=1, recycle_after=7) as one:
        first, second = two.verify_many(items), one.verify_many(items[::-1])[::-1]
    assert [verdict.score for verdict in first] == [verdict.score for verdict in second]
    assert len({verdict.score for verdict in first}) == 50


def test_workers_are_replaced_after_their_time(problems: list[Problem]) -> None:
    with VerifierPool(["rewards.py:score"], workers=2, recycle_after=40) as pool:
        check_others(pool.verify_many(answered(problems)), problems)


def test_a_parent_that_was_away_makes_no_timeouts() -> None:
    problem = make_problem("?", "1")
    with VerifierPool(["rewards.py:pause"], workers=1, deadline=0.5) as pool:
        results = pool.stream([(problem, "0.2")] * 6)
        first = next(results)
        time.sleep(1.5)
        assert [verdict.score for _, verdict, _ in [first, *results]] == [1.0] * 6


def test_a_suspended_parent_makes_no_timeouts(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom verifiers.worker_pool.verifier_pool import VerifierPool\nfrom verifiers.problem import make_problem\n"
        "with VerifierPool(['rewards.py:pause'], workers=1, deadline=1.0) as pool:\n"
        "    pool.verify_many([(make_problem('?', '1'), '0')])\n    print('ready', flush=True)\n"
        "    print([v.score for v in pool.verify_many([(make_problem('?', '1'), '0.3')] * 5)])\n"
    )
    with _python(program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        process.send_signal(signal.SIGCONT)
        assert json.loads(process.communicate(timeout=20)[0]) == [1.0] * 5


@pytest.mark.parametrize("response", ["sleep", "regex"])
@pytest.mark.skipif(sys.platform != "linux", reason="the lifeline is Linux's")
def test_workers_die_with_a_parent_that_is_killed_in_mid_verdict(response: str, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    (tmp_path / "rewards.py").write_text(REWARDS + f"\nimport pathlib\npathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n")
    program = (
        "from verifiers.worker_pool.verifier_pool import VerifierPool\nfrom verifiers.problem import make_problem\n"
        f"VerifierPool(['rewards.py:score'], workers=1).verify_many([(make_problem('?', '1'), {response!r})])\n"
    )
    with _python(program) as process:
        _until(marker.exists)
        time.sleep(0.5)
        worker = int(marker.read_text())
        assert _alive(worker)
        process.kill()
    _until(lambda: not _alive(worker))


def test_threads_share_a_pool_and_calls_nest(problems: list[Problem]) -> None:
    found: dict[int, list[Verdict]] = {}
    with VerifierPool(["rewards.py:score"]) as pool:

        def verify(n: int) -> None:
            found[n] = pool.verify_many(answered(problems[: 100 + n]))

        threads = [threading.Thread(target=verify, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for index, _, _ in pool.stream(answered(problems[:20])):
            check_others(pool.verify_many(answered(problems[: index + 1])), problems[: index + 1])
        next(pool.stream(answered(problems)))  # a stream that nobody reads to its end harms nobody
        check_others(pool.verify_many(answered(problems)), problems)
    for n in range(4):
        check_others(found[n], problems[: 100 + n])


def test_an_iterator_is_read_in_bounds_and_its_error_comes_last(problems: list[Problem]) -> None:
    taken = 0

    def items() -> Iterator[tuple[Problem, str]]:
        nonlocal taken
        for item in answered(problems) * 10:
            taken += 1
            yield item
        raise InputError("line 3001: not JSON")

    with VerifierPool(["rewards.py:score"], workers=1, chunk=8) as pool:
        stream = pool.stream(items())
        next(stream)
        time.sleep(0.3)
        assert taken <= 2 * 8 + 2
        count = 1
        with pytest.raises(InputError, match="line 3001"):  # noqa: PT012  # the verdicts before it must come
            for _ in stream:
                count += 1
        assert count == 3000


def test_a_reward_that_cannot_be_loaded_is_an_input_error(tmp_path: Path) -> None:
    problem = make_problem("?", "1")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "raises.py").write_text("def f(problem, response): return 1\nprint(undefined)\n")
    (tmp_path / "dies.py").write_text("import os\nos._exit(9)\n")
    (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(100)\n")
    for spec, text in [
        ("rewards.py:scores", "has no function 'scores'; did you mean 'score'"),
        ("broken.py:f", r"broken.py:2: SyntaxError"),
        ("raises.py:f", r"NameError: name 'undefined' is not defined \(.*raises.py:2: print\(undefined\)\)"),
        ("dies.py:f", "died while it loaded the rewards: exit code 9"),
        ("sleeps.py:f", "longer than 2 s"),
    ]:
        with VerifierPool([spec], start_deadline=2.0) as pool:
            for _ in range(2):
                with pytest.raises(InputError, match=text):
                    pool.verify_many([(problem, "1")] * 5)


def test_probe_quotes_what_the_reward_returned() -> None:
    with VerifierPool(["rewards.py:score"], deadline=1.0) as pool:
        assert try_gold(pool, make_problem("?", "1", verifier="rewards.py:score")).score == 1.0
        assert try_gold(pool, make_problem("?", "none", verifier="rewards.py:score")).score is None
        with pytest.raises(InputError, match=r"^rewards.py:score returned 'abc' \(str\); expected .* 'abc' as the response"):
            try_gold(pool, make_problem("?", "abc", verifier="rewards.py:score"))
        with pytest.raises(InputError, match="longer than 1 s"):
            try_gold(pool, make_problem("?", "sleep", verifier="rewards.py:score"))


def test_a_memory_limit_turns_into_a_crash() -> None:
    with VerifierPool(["rewards.py:score"], memory_limit=2 << 30) as pool:
        assert "MemoryError" in pool.verify_many([(make_problem("?", "1"), "memory")])[0].detail


def test_replacements_find_the_folder_that_the_first_worker_found(monkeypatch: pytest.MonkeyPatch, problems: list[Problem]) -> None:
    with VerifierPool(["rewards.py:score"]) as pool:
        monkeypatch.chdir("/")
        check_others(pool.verify_many(answered(problems, exit=3)), problems, 3)


def test_closing_ends_the_processes_and_the_callers() -> None:
    pool = VerifierPool(["rewards.py:score"])
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            pool.verify_many([(make_problem("?", "1"), "sleep")] * 3)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.5)
    start = time.monotonic()
    pool.close()
    pool.close()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - start < 8
    assert len(errors) == 1
    with pytest.raises(RuntimeError, match="closed"):
        pool.verify_many([(make_problem("?", "1"), "1")])
    VerifierPool().close()  # one that never ran


def test_ten_thousand_cheap_verdicts_take_a_few_seconds(problems: list[Problem]) -> None:
    items = answered(problems)[:250] * 40
    with VerifierPool(["rewards.py:score"]) as pool:
        try_gold(pool, problems[0])
        start = time.monotonic()
        check_others(pool.verify_many(items), problems[:250] * 40)
        assert time.monotonic() - start < 20  # 0.4 s on two idle cores; a minute where each waits for the one before


def _python(program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        time.sleep(0.05)
