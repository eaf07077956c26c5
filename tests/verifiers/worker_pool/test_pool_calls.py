"""How a call to the pool may end, from whom it may come, and what the pool replaces, counts and refuses meanwhile."""

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.verifiers.worker_pool.ends_of_workers import queued, watch_ends
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, Verdict
from verifiers.worker_pool.verifier_pool import VerifierPool

REWARDS = r'''
import os, re, sys, time

HEAP = []

class TooLate(BaseException):
    """Not an Exception, like the time-out of some graders."""

def score(problem, response):
    """Right when the response is the answer; some responses do something else."""
    match response.split():
        case ["sleep"]: time.sleep(1000)
        case ["exit"]: os._exit(3)
        case ["pause", seconds]: time.sleep(float(seconds))
        case ["grow", megabytes]: HEAP.append(b"x" * (int(megabytes) << 20))
        case ["late"]: raise TooLate("no time left")
        case ["interrupt"]: raise KeyboardInterrupt
        case ["power"]: 9 ** 9 ** 9
        case ["factorial"]: __import__("math").factorial(99999999)
        case ["regex"]: re.match(r"(\s*answer\s*)*$", "answer " * 60 + "!")
        case ["double"]:
            text = "x"
            while True: text += text
        case ["pid"]: return os.getpid()
        case ["mark", name]: open(name, "w").close()
    return response == problem.answer

def other(problem, response):
    return True
'''

ONE = make_problem("1?", "1")


@pytest.fixture(autouse=True)
def _rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rewards.py").write_text(REWARDS)
    monkeypatch.chdir(tmp_path)
    root = PACKAGE_ROOT  # for the processes that tests start: this tree, not an installed one
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])))


@pytest.fixture
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(["rewards.py:score"]) as pool:
        pool.verify_many([(ONE, "1"), (ONE, "pause 0.1")])  # both workers are up
        yield pool


def right(verdicts: list[Verdict]) -> list[bool]:
    return [verdict.status is Status.RIGHT for verdict in verdicts]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


# ---------------------------------------------------------------- cancelled calls


def test_the_next_caller_does_not_wait_for_a_cancelled_hang(pool: VerifierPool, tmp_path: Path) -> None:
    ends = watch_ends(pool)
    stream = pool.stream([(ONE, "1"), *[(ONE, "sleep")] * 50, *[(ONE, f"mark {tmp_path / 'ran'}")] * 50])
    next(stream)
    time.sleep(0.2)  # both workers hang now
    stream.close()
    start = time.monotonic()
    assert right(pool.verify_many([(ONE, "1"), (ONE, "2")])) == [True, False]
    assert time.monotonic() - start < 4, "a grace and a worker's start, where the deadline is 10 s"
    assert 1 <= ends["freed"] <= 2
    assert ends["killed"] == ends["died"] == queued(pool) == 0
    assert not (tmp_path / "ran").exists(), "what was queued never ran"


def test_a_cancelled_call_leaves_quick_workers_alone(pool: VerifierPool) -> None:
    ends = watch_ends(pool)
    [before] = {verdict.score for verdict in pool.verify_many([(ONE, "pid")])}
    for _ in range(20):
        stream = pool.stream([(ONE, "1")] * 2000)
        next(stream)
        stream.close()
    assert right(pool.verify_many([(ONE, "1")] * 100)) == [True] * 100
    assert ends["freed"] == 0
    assert before in {verdict.score for verdict in pool.verify_many([(ONE, "pid")] * 400)}


def test_others_queued_behind_a_cancelled_hang_are_judged_and_blamed_for_nothing() -> None:
    with VerifierPool(["rewards.py:score"], workers=1) as pool:
        ends = watch_ends(pool)
        pool.verify_many([(ONE, "1")] * 200)  # quick, so that many are sent ahead
        hang = pool.stream([(ONE, "1"), (ONE, "sleep")])
        next(hang)
        with ThreadPoolExecutor(1) as threads:
            other = threads.submit(pool.verify_many, [(ONE, "1")] * 50)
            time.sleep(0.2)
            assert not other.done()
            hang.close()
            assert right(other.result(5)) == [True] * 50
        assert ends["freed"] == 1


def test_a_stream_that_is_garbage_is_cancelled(pool: VerifierPool) -> None:
    ends = watch_ends(pool)
    stream = pool.stream([(ONE, "1"), *[(ONE, "sleep")] * 20])
    next(stream)
    cycle = [stream]
    cycle.append(cycle)  # type: ignore[arg-type]  # only the collector finds it
    del stream, cycle
    gc.collect()
    until(lambda: ends["freed"] == 2 and queued(pool) == 0)


def test_what_is_queued_is_dropped_at_once_and_the_iterator_left_alone(pool: VerifierPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.worker_pool.dispatcher._GRACE", 1000.0)  # the workers stay where they are
    ends, taken = watch_ends(pool), 0

    def items() -> Iterator[tuple[Problem, str]]:
        nonlocal taken
        for _ in range(10_000):
            taken += 1
            yield ONE, "1" if taken == 1 else "sleep"

    stream = pool.stream(items())
    next(stream)
    until(lambda: queued(pool) > 100)
    stream.close()
    until(lambda: queued(pool) == 0)
    assert ends["freed"] == 0
    until(lambda: not any(thread.name == "reckon-items" for thread in threading.enumerate()))
    assert taken < 1000


# ---------------------------------------------------------------- items that come while others are judged


def test_verdicts_come_while_the_iterator_waits_for_them(pool: VerifierPool) -> None:
    """Sampling goes on while its first responses are judged: here it cannot go on before they are."""
    judged = threading.Semaphore(0)

    def sampling() -> Iterator[tuple[Problem, str]]:
        for n in range(50):
            yield ONE, str(n % 2)
            assert judged.acquire(timeout=5), "no verdict on what was already given"

    found = {}
    for index, verdict, _ in pool.stream(sampling()):
        found[index] = verdict
        judged.release()
    assert right([found[n] for n in range(50)]) == [n % 2 == 1 for n in range(50)]


def test_closing_the_pool_ends_a_stream_whose_iterator_is_blocked() -> None:
    gate = threading.Event()

    def items() -> Iterator[tuple[Problem, str]]:
        gate.wait()
        yield ONE, "1"

    for used in (False, True):
        gate.clear()
        with VerifierPool(["rewards.py:score"]) as pool, ThreadPoolExecutor(1) as threads:
            if used:
                pool.verify_many([(ONE, "1")])
            waiting = threads.submit(list, pool.stream(items()))
            time.sleep(0.1)
            pool.close()
            with pytest.raises(RuntimeError, match="closed before"):
                waiting.result(5)
        gate.set()


def test_an_iterator_that_leaves_by_systemexit_ends_its_stream(pool: VerifierPool) -> None:
    def items() -> Iterator[tuple[Problem, str]]:
        yield ONE, "1"
        sys.exit("enough")

    with pytest.raises(SystemExit, match="enough"):
        list(pool.stream(items()))


# ---------------------------------------------------------------- a verifier that never gives a verdict


def test_a_verifier_that_only_hangs_ends_its_calls() -> None:
    with VerifierPool(["rewards.py:score"], deadline=0.2, give_up_after=2) as pool:
        pool.verify_many([(ONE, "1")])
        seen = []
        start = time.monotonic()
        with pytest.raises(InputError, match=r"rewards.py:score gave no verdict on 4 responses .* 0.2 s\); mend the verifier"):  # noqa: PT012
            for _, verdict, _ in pool.stream([(ONE, "sleep")] * 1000):
                seen.append(verdict.status)
        assert seen == [Status.TIMEOUT] * 3, "what was found out before comes first"
        assert time.monotonic() - start < 8
        with pytest.raises(InputError, match=r"rewards.py:score gave no verdict"):  # the next one is enough
            pool.verify_many([(ONE, "exit")])
        assert right(pool.verify_many([(ONE, "1")])) == [True], "a verdict mends it"
        assert pool.verify_many([(ONE, "exit")])[0].status is Status.CRASH


def test_one_verdict_among_them_keeps_a_call_going() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, give_up_after=3) as pool:
        verdicts = pool.verify_many([(ONE, "exit"), (ONE, "exit"), (ONE, "1")] * 4)
    assert [verdict.status for verdict in verdicts] == [Status.CRASH, Status.CRASH, Status.RIGHT] * 4


def test_giving_up_can_be_turned_off() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, give_up_after=0) as pool:
        assert [verdict.status for verdict in pool.verify_many([(ONE, "exit")] * 12)] == [Status.CRASH] * 12


def test_a_dead_verifier_ends_only_the_calls_that_name_it() -> None:
    bad = make_problem("1?", "1", verifier="rewards.py:score")
    good = make_problem("1?", "1", verifier="rewards.py:other")
    with VerifierPool(workers=1, give_up_after=3) as pool, ThreadPoolExecutor(1) as threads:
        dead = threads.submit(pool.verify_many, [(bad, "pause 0.3"), *[(bad, "exit")] * 100])
        time.sleep(0.1)
        assert right(pool.verify_many([(good, "1")] * 5)) == [True] * 5
        with pytest.raises(InputError, match=r"rewards.py:score gave no verdict on 3"):
            dead.result(20)


# ---------------------------------------------------------------- workers that grow


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_worker_that_has_grown_is_replaced_and_loses_nothing() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, recycle_above=64 << 20) as pool:
        ends = watch_ends(pool)
        [small] = pool.verify_many([(ONE, "pid")])
        pool.verify_many([(ONE, "grow 20")])
        time.sleep(0.3)
        assert pool.verify_many([(ONE, "pid")])[0].score == small.score, "not yet"
        verdicts = pool.verify_many([(ONE, "1"), *[(ONE, "grow 20")] * 12, *[(ONE, "1")] * 50])
        assert right(verdicts) == [True, *[False] * 12, *[True] * 50]
        until(lambda: ends["recycled"] > 0)  # an idle worker is looked at too
        assert pool.verify_many([(ONE, "pid")])[0].score != small.score
        assert 1 <= ends["recycled"] <= 4
        assert ends["killed"] == ends["died"] == 0


def test_workers_grow_in_peace_where_that_is_asked_for() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, recycle_above=None) as pool:
        ends = watch_ends(pool)
        first, *_, last = pool.verify_many([(ONE, "pid"), *[(ONE, "grow 20")] * 8, (ONE, "pid")])
        assert first.score == last.score
        assert ends["recycled"] == 0


# ---------------------------------------------------------------- how workers end


def test_a_worker_ends_for_one_reason() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, deadline=0.5, recycle_after=10) as pool:
        ends = watch_ends(pool)
        verdicts = pool.verify_many([*[(ONE, "1")] * 10, *[(ONE, "2")] * 5, (ONE, "exit"), (ONE, "sleep"), (ONE, "late")])
        statuses = Counter(str(verdict.status) for verdict in verdicts)
        assert statuses == {"right": 10, "wrong": 5, "timeout": 1, "crash": 2}
        assert ends == {"recycled": 1, "died": 1, "killed": 1}
        assert queued(pool) == 0


# ---------------------------------------------------------------- other processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_refused_and_harms_nothing(pool: VerifierPool) -> None:
    def child(answers: "multiprocessing.SimpleQueue[str]") -> None:
        try:
            pool.verify_many([(ONE, "1")])
        except RuntimeError as error:
            answers.put(str(error))
        pool.close()

    ends = watch_ends(pool)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    stream = pool.stream([(ONE, "pause 0.3")] * 4)
    next(stream)
    process = context.Process(target=child, args=(answers,))
    process.start()
    process.join(10)
    assert process.exitcode == 0
    assert answers.get() == f"this pool belongs to process {os.getpid()}; a forked process must make its own VerifierPool"
    assert len(list(stream)) == 3, "the parent's call goes on"
    assert ends["died"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the lifeline is Linux's")
def test_a_forked_child_does_not_keep_a_dead_parents_workers_alive(tmp_path: Path) -> None:
    program = (
        "import os, time\nfrom verifiers.worker_pool.verifier_pool import VerifierPool\nfrom verifiers.problem import make_problem\n"
        "pool = VerifierPool(['rewards.py:score'], workers=1)\nproblem = make_problem('?', '1')\n"
        "pid = pool.verify_many([(problem, 'pid')])[0].score\n"
        "stream = pool.stream([(problem, 'pause 0.1'), (problem, 'sleep')])\nnext(stream)\n"
        "child = os.fork()\nif child == 0: time.sleep(60); os._exit(0)\nprint(int(pid), child, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker, child = map(int, process.stdout.readline().split())
        try:
            assert alive(worker)
            process.kill()
            process.wait()
            assert alive(child)
            until(lambda: not alive(worker))
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "block", ["with VerifierPool(['rewards.py:score'], workers=2) as pool:", "if pool := VerifierPool(['rewards.py:score']):"]
)
def test_ctrl_c_in_a_stream_ends_the_process_and_its_workers(block: str) -> None:
    program = (
        "from verifiers.worker_pool.verifier_pool import VerifierPool\nfrom verifiers.problem import make_problem\n"
        "problem = make_problem('?', '1')\n"
        f"{block}\n    print(int(pool.verify_many([(problem, 'pid')])[0].score), flush=True)\n"
        "    for _ in pool.stream(iter([(problem, 'sleep')] * 9)): pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert error.rstrip().endswith("KeyboardInterrupt")
    until(lambda: not alive(worker))


def test_signals_that_the_suite_was_started_with_do_not_matter() -> None:
    """`nohup bash -c 'make test' &` starts it with SIGHUP, SIGINT and SIGQUIT ignored."""
    wanted = f"{__file__}::test_ctrl_c_in_a_stream_ends_the_process_and_its_workers"
    start = "import os, signal, sys\nfor name in ('HUP', 'INT', 'QUIT'): signal.signal(getattr(signal, 'SIG' + name), signal.SIG_IGN)\n"
    start += "os.execv(sys.executable, [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', sys.argv[1]])"
    root = Path(PACKAGE_ROOT)
    done = subprocess.run([sys.executable, "-c", start, wanted], cwd=root, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_a_pool_is_not_pickled_and_says_where_to_make_it(pool: VerifierPool) -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled, .* inside the actor that uses it"):
        pickle.dumps(pool)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # Ray's own
def test_a_ray_actor_has_a_pool_of_its_own(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray>=2.40'")
    spec = f"{tmp_path / 'rewards.py'}:score"

    class Scorer:
        def __init__(self) -> None:
            self.pool = VerifierPool([spec], workers=1, deadline=1.0)

        def score(self, responses: list[str]) -> list[str]:
            return [str(verdict.status) for verdict in self.pool.verify_many([(ONE, response) for response in responses])]

        def worker(self) -> float | None:
            return self.pool.verify_many([(ONE, "pid")])[0].score

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        actor = ray.remote(Scorer).remote()
        assert ray.get(actor.score.remote(["1", "2", "sleep", "exit", "1"]), timeout=60) == ["right", "wrong", "timeout", "crash", "right"]
        worker = int(ray.get(actor.worker.remote(), timeout=30))
        with VerifierPool() as pool, pytest.raises(TypeError, match="inside the actor"):
            ray.put(pool)
        assert alive(worker)
        ray.kill(actor)
        until(lambda: not alive(worker))
    finally:
        ray.shutdown()


# ---------------------------------------------------------------- what other graders cannot bear, by the project's numbers


def test_41_a_pool_judges_in_threads_and_loops_where_alarms_raise(pool: VerifierPool) -> None:
    def in_a_loop() -> list[Verdict]:
        return asyncio.run(asyncio.to_thread(pool.verify_many, [(ONE, "1"), (ONE, "2")] * 10))

    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(in_a_loop) for _ in range(4)]
        futures += [threads.submit(pool.verify_many, [(ONE, "1"), (ONE, "2")] * 10) for _ in range(4)]
        assert all(right(future.result(20)) == [True, False] * 10 for future in futures)


def test_42_43_44_45_48_what_never_returns_from_c_is_killed() -> None:
    with VerifierPool(["rewards.py:score"], deadline=0.7) as pool:
        pool.verify_many([(ONE, "1")])
        start = time.monotonic()
        verdicts = pool.verify_many([(ONE, "power"), (ONE, "factorial"), (ONE, "regex"), (ONE, "1")])
        assert [verdict.status for verdict in verdicts] == [Status.TIMEOUT] * 3 + [Status.RIGHT]
        assert time.monotonic() - start < 2 * 0.7 + 3


def test_44_memory_without_end_is_a_crash_of_one_item() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, memory_limit=1 << 30) as pool:
        full, fine = pool.verify_many([(ONE, "double"), (ONE, "1")])
    assert full.status is Status.CRASH
    assert "MemoryError" in full.detail
    assert fine.status is Status.RIGHT


@pytest.mark.parametrize(("response", "detail"), [("late", "TooLate: no time left ("), ("interrupt", "KeyboardInterrupt")])
def test_46_what_is_no_exception_is_a_crash_and_costs_no_worker(response: str, detail: str) -> None:
    with VerifierPool(["rewards.py:score"], workers=1) as pool:
        before, bad, after = pool.verify_many([(ONE, "pid"), (ONE, response), (ONE, "pid")])
    assert bad.status is Status.CRASH
    assert detail in bad.detail
    assert before.score == after.score


def test_47_a_deadline_may_be_a_fraction_of_a_second() -> None:
    with VerifierPool(["rewards.py:score"], workers=1, deadline=0.4) as pool:
        verdicts = pool.verify_many([(ONE, "1"), (ONE, "pause 0.1"), (ONE, "pause 0.9"), (ONE, "1")])
    assert [verdict.status for verdict in verdicts] == [Status.RIGHT, Status.WRONG, Status.TIMEOUT, Status.RIGHT]
