"""Policy workers as processes of this machine: one library import for all of them, pipes, and a sign of life every two seconds.

A worker that dies, or gives no sign for `PATIENCE` seconds, is named within that time wherever the run is; the others are ended with it.
When the driver ends, however it does, its workers do.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

from rl.workers.messages import packed, unpacked
from rl.workers.policy_worker import Answer, Build, PolicyWorker, join_group, sendable
from rl.workers.signs_of_life import BEAT, Silence
from rl.workers.workers import PATIENCE, TIMEOUT, WorkerLost, ended_how, failed_alone, first_failure, result_of
from rollout.interruption import fail, raise_if_interrupted, uninterrupted
from rollout.watchdog import announce_stacks

_GLANCE = 0.5
_COMPANY = 10.0  # seconds that the others have to fail as one did


class LocalWorkers:
    """`count` processes, each of which builds its rank's policy. Raises what they raise while they do."""

    def __init__(self, build: Build, *, count: int, patience: float = PATIENCE, timeout: float = TIMEOUT):
        self.count, self.patience, self.timeout = count, patience, timeout
        self.stamp = (0, 0)
        self.folder = Path(tempfile.mkdtemp(prefix="reckon-workers-"))
        """Where they meet, and write what they print."""
        self._number, self._lock, self._closed, self._lost = 0, threading.Lock(), threading.Event(), ""
        self._senders = ThreadPoolExecutor(count)
        self._calls, self._pulses, self.processes = _start(build, count, self.folder, timeout)
        self._silence = Silence(count)
        try:
            with self._lock:
                self._finish(0)
        except BaseException:
            self.close()
            raise
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    @property
    def pids(self) -> list[int]:
        return [int(process.pid or 0) for process in self.processes]

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        """See Workers."""
        with self._lock:
            if self._closed.is_set():
                raise WorkerLost(self._lost or "the policy workers have been closed")
            self._number += 1
            message = packed((self._number, name, given, named))
            self._silence = Silence(self.count)
            for call in self._calls:
                self._senders.submit(_send, call, message)
            return self._finish(self._number)

    def _finish(self, number: int) -> Any:
        try:
            answers = self._answers(number, self.timeout)
        except WorkerLost as error:
            self._end(str(error))
            raise
        except KeyboardInterrupt:
            with uninterrupted():
                self._give_up(number)
            raise
        self.stamp = answers[0].stamp
        try:
            return result_of(answers, self._where(next((r for r, a in enumerate(answers) if a.kind == "raised"), 0)))
        except WorkerLost as error:
            self._end(str(error))
            raise

    def _give_up(self, number: int) -> None:
        """Lets all ranks end the call at the same pass, so that they are where the driver thinks they are."""
        for pulse in self._pulses:
            with suppress(OSError):
                pulse.send(number)
        try:
            self.stamp = self._answers(number, self.patience + _COMPANY, hears=False)[0].stamp
        except WorkerLost as error:
            self._end(str(error))

    def _answers(self, number: int, seconds: float, *, hears: bool = True) -> list[Answer]:
        """One of each rank. Raises WorkerLost."""
        found: dict[int, Answer] = {}
        until = time.monotonic() + seconds
        while len(found) < self.count:
            if hears:
                raise_if_interrupted()
            waited = [self._calls[rank] for rank in range(self.count) if rank not in found]
            ready = connection.wait([*waited, *self._pulses, *(p.sentinel for p in self.processes)], timeout=_GLANCE)
            self._hear()
            for rank in range(self.count):
                if rank not in found and self._calls[rank] in ready:
                    with suppress(EOFError, OSError):  # it is dead, which `_require_alive` says
                        answer = unpacked(self._calls[rank].recv_bytes())
                        found |= {rank: answer} if answer.number == number else {}
            self._require_alive(waiting=[rank for rank in range(self.count) if rank not in found])
            failed = first_failure(found)
            if failed and number == 0:  # nothing is there yet that could be out of step
                raise failed[1]
            if failed:
                until = min(until, time.monotonic() + _COMPANY)
            if time.monotonic() > until:
                if failed:
                    raise failed_alone(*failed, self._where(failed[0]))
                rank = next(rank for rank in range(self.count) if rank not in found)
                raise WorkerLost(f"policy worker {rank} did not answer within {seconds:g} s; {self._where(rank)}")
        return [found[rank] for rank in range(self.count)]

    def _hear(self) -> None:
        self._silence.passes()
        for rank, pulse in enumerate(self._pulses):
            with suppress(EOFError, OSError):
                while pulse.poll():
                    pulse.recv()
                    self._silence.heard(rank)

    def _require_alive(self, waiting: list[int]) -> None:
        for rank, process in enumerate(self.processes):
            if not process.is_alive():
                raise WorkerLost(f"policy worker {rank} died ({ended_how(process.exitcode)}); {self._where(rank)}")
        for rank in waiting:
            if self._silence.of[rank] > self.patience:
                raise WorkerLost(
                    f"policy worker {rank} (process {self.pids[rank]}) gave no sign for {self.patience:g} s; {self._where(rank)}"
                )

    def _where(self, rank: int) -> str:
        return f"its log is {_log_of(self.folder, rank)}"

    def _watch(self) -> None:
        """Between calls, for as long as there are workers."""
        while not self._closed.wait(BEAT):
            if not self._lock.acquire(blocking=False):
                continue
            try:
                self._hear()
                self._require_alive(waiting=list(range(self.count)))
            except WorkerLost as error:
                self._end(str(error))
                fail(error)
            finally:
                self._lock.release()

    def _end(self, lost: str) -> None:
        """`lost`: what there is to say of it, and then the logs stay; "" where all is well."""
        self._lost = self._lost or lost
        self._closed.set()
        for process in self.processes:
            process.kill()
        for end in (*self._calls, *self._pulses):
            end.close()
        self._senders.shutdown(wait=False)

    def close(self) -> None:
        if not self._closed.is_set():
            self._end("")
        for process in self.processes:
            process.join()
        if not self._lost:
            shutil.rmtree(self.folder, ignore_errors=True)


def _start(build: Build, count: int, folder: Path, timeout: float) -> tuple[list[Any], list[Any], list[Any]]:
    """(ends of calls, ends of signs of life, processes)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rl.workers.local_workers", "transformers", "peft"])
    recipe = packed(build)
    calls, pulses, processes = [], [], []
    with _main_left_out():
        for rank in range(count):
            (call, its_call), (pulse, its_pulse) = context.Pipe(), context.Pipe()
            given = (rank, count, str(folder), its_call, its_pulse, recipe, timeout)
            process = context.Process(target=serve, args=given, daemon=True, name=f"reckon policy worker {rank}")
            process.start()
            its_call.close()
            its_pulse.close()
            calls.append(call)
            pulses.append(pulse)
            processes.append(process)
    return calls, pulses, processes


@contextmanager
def _main_left_out() -> Iterator[None]:
    """A worker needs nothing of the program that the user started, which it would run again up to its `if __name__`."""
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    try:
        main.__spec__ = None
        if "__file__" in kept:
            del main.__file__
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _send(call: Any, message: bytes) -> None:
    with suppress(OSError):  # it is dead, which the wait for its answer says
        call.send_bytes(message)


def _log_of(folder: Path, rank: int) -> Path:
    return folder / f"worker-{rank}.log"


# --- in the worker ---


class _Pulse:
    """Tells the driver that this process lives, and hears which call is to be given up."""

    def __init__(self, end: Any):
        self.end, self.given_up, self.current = end, -1, -1
        threading.Thread(target=self._beat, daemon=True).start()

    def asked(self) -> bool:
        return self.given_up == self.current

    def _beat(self) -> None:
        try:
            while True:
                self.end.send(None)
                if self.end.poll(BEAT):
                    self.given_up = self.end.recv()
        except (EOFError, OSError):  # the driver is gone
            os._exit(1)


def serve(rank: int, count: int, folder: str, calls: Any, pulse: Any, recipe: bytes, timeout: float) -> None:
    """A worker's life: build, then answer until the driver is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the driver decides
    log = os.open(_log_of(Path(folder), rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    announce_stacks()
    life = _Pulse(pulse)
    try:
        device = join_group(rank, count, f"file://{folder}/meeting", timeout=timeout)
        build: Build = unpacked(recipe)
        worker: PolicyWorker | None = PolicyWorker(build, device, life.asked)
        calls.send_bytes(packed(Answer(0, "done", None, (worker.policy.version, 0))))
    except Exception as error:  # noqa: BLE001  # the driver raises it
        traceback.print_exc()
        calls.send_bytes(packed(Answer(0, "raised", sendable(error), (0, 0))))
        worker = None  # the driver, which has the error, ends this process
    with suppress(EOFError, OSError):
        while True:
            number, name, given, named = unpacked(calls.recv_bytes())
            assert worker is not None
            life.current = number
            calls.send_bytes(packed(worker.answer(number, name, given, named)))
