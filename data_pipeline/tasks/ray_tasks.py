"""Files worked on by a Ray cluster: each attempt is a Ray task that relays to a process of its own beside the Ray worker.

A Ray worker has threads, so that nothing may fork from it: it starts a `task_process.py` and keeps it for its next file. The process dies
with it, and its watch over memory and silence is the one of a local run. Ray places the relays, a core and the memory of `Limits` each,
and says which were lost with a worker or a node; it tries nothing again by itself, so that attempts are counted in one place, `run_all`.

Progress goes through an actor that keeps the last word of each attempt, so that it cannot grow. Not covered: nodes need this package
installed, and see the inputs and the outputs under the same names; that the outputs are seen here is looked at once for each node.
"""

import os
import select
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError, TaskCancelledError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data_pipeline.tasks.attempts import Event
from data_pipeline.tasks.file_work import FileWork, counts_of
from data_pipeline.tasks.running_task import Limits, RunningTask
from verifiers.input_error import InputError, first_line

_SURPLUS = 2
"""Attempts under way, in cores of the cluster: the next is there when one ends."""
_ANSWER = 30.0
_GLANCE, _LOOK_AT_CLUSTER = 1.0, 5.0
_NO_ROOM = 600.0
_SEEN = 60.0
"""Seconds in which a marker that a node has written is seen here."""
_SILENCE = 120.0
"""Seconds beyond the limit of silence that a node keeps itself; then the node is silent."""
_RELAYS_A_SECOND = 200

_kept: dict[tuple[str, str, Limits], RunningTask] = {}


def _relay(
    task: str, row: Mapping[str, Any], limits: Limits, attempt: int, mailbox: Any, every: float, folder: str
) -> tuple[str, Any, str]:
    """In a Ray worker: how the file ended, with the node's name."""
    place = folder if os.path.isdir(folder) else ""
    process = _kept.pop((task, place, limits), None)
    if process is None or not process.alive:
        process = RunningTask(task, limits, folder=place or None)
    process.give(FileWork(**row))
    mailbox.put.remote(attempt, {})
    posted, counts = time.monotonic(), None
    node = ray.get_runtime_context().get_node_id()
    while True:
        poll = select.poll()
        poll.register(process.outlet, select.POLLIN)
        poll.poll(1000 * _GLANCE)
        for heard in process.heard():
            if heard.ended:
                if process.alive:
                    _kept[(task, place, limits)] = process
                return heard.kind, dict(heard.values), node
            counts = dict(heard.values)
        if counts is not None and time.monotonic() - posted > every:
            mailbox.put.remote(attempt, counts)
            posted, counts = time.monotonic(), None


class _Mailbox:
    """The last word of each attempt that was not yet asked for."""

    def __init__(self) -> None:
        self._words: dict[int, dict[str, Any]] = {}

    def put(self, attempt: int, counts: dict[str, Any]) -> None:
        self._words[attempt] = counts

    def take(self) -> dict[int, dict[str, Any]]:
        words, self._words = self._words, {}
        return words


class RayTasks:
    """The body of `run_all` on Ray. `address`: HOST:PORT, "auto", or "" for a cluster of this machine, started where there is none.

    Raises InputError where it cannot be reached, or has no room for one attempt within ten minutes.
    """

    several_machines = True

    def __init__(self, task: str, address: str, limits: Limits) -> None:
        self._task, self._limits = task, limits
        _connect(address)
        memory = limits.megabytes * 1_000_000
        self._remote = ray.remote(_relay).options(
            num_cpus=1, max_retries=0, scheduling_strategy="SPREAD", **({"memory": memory} if memory else {})
        )
        self._refs: dict[Any, int] = {}
        self._works: dict[int, FileWork] = {}
        self._heard: dict[int, float] = {}
        """Of attempts that have begun: when something was heard last."""
        self._unseen: dict[int, tuple[Mapping[str, Any], str, float]] = {}
        """Attempts that ended well whose marker is not yet seen here: counts, node, since when."""
        self._proven: set[str] = set()
        self._cores = 0.0
        self._looked = self._asked = self._busy = time.monotonic() - _LOOK_AT_CLUSTER
        self._mailbox, self._answer = _new_mailbox(), None

    def room(self) -> int:
        self._look_at_cluster()
        return max(1, int(_SURPLUS * self._cores))

    def _look_at_cluster(self) -> None:
        if (now := time.monotonic()) - self._looked > _LOOK_AT_CLUSTER:
            self._looked = now
            self._cores = _cores()
            _refuse_a_lost_node()

    def start(self, attempt: int, work: FileWork) -> None:
        row = {**work.row(), "options": {**work.options, "beside": True}}
        every = max(_GLANCE, self._cores / _RELAYS_A_SECOND)
        ref = self._remote.remote(self._task, row, self._limits, attempt, self._mailbox, every, os.getcwd())
        if not self._refs:
            self._busy = time.monotonic()
        self._refs[ref], self._works[attempt] = attempt, work

    def events(self, seconds: float) -> list[Event]:
        if not self._refs:
            time.sleep(min(seconds, 0.05))
            return self._seen_by_now()
        self._look_at_cluster()
        found = self._words()
        ready, _ = ray.wait(list(self._refs), num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(self._refs), num_returns=len(self._refs), timeout=0)
        for ref in ready:
            attempt = self._refs.pop(ref)
            self._heard.pop(attempt, None)
            found += self._ended(attempt, ref)
        return [*found, *self._seen_by_now(), *self._silent()]

    def cancel(self, attempt: int) -> None:
        self._heard.pop(attempt, None)
        self._unseen.pop(attempt, None)
        self._works.pop(attempt, None)
        for ref in [ref for ref, number in self._refs.items() if number == attempt]:
            del self._refs[ref]
            with suppress(RayError, ValueError):
                ray.cancel(ref, force=True)

    def close(self) -> None:
        if not ray.is_initialized():
            return
        for attempt in list(self._refs.values()):
            self.cancel(attempt)
        with suppress(RayError, ValueError):
            ray.kill(self._mailbox)

    def _ended(self, attempt: int, ref: Any) -> list[Event]:
        work = self._works.pop(attempt)
        self._busy = time.monotonic()
        try:
            kind, values, node = ray.get(ref, timeout=_ANSWER)
        except RayTaskError as error:  # what the relay itself raised: it could not be imported, or could not start a process
            return [Event(attempt, "fatal", {"reason": f"Ray's workers cannot run the task: {first_line(error.cause or error)}; is Reckon "
                                                       "installed on every node?"})]  # fmt: skip
        except TaskUnschedulableError as error:
            return [Event(attempt, "fatal", {"reason": f"Ray has no room for it: {first_line(error)}"})]
        except (TaskCancelledError, GetTimeoutError, RayError) as error:
            return [Event(attempt, "lost", {"reason": f"its worker or node was lost: {type(error).__name__}"})]
        if kind == "done" and node not in self._proven:
            self._works[attempt], self._unseen[attempt] = work, (values, node, time.monotonic())
            return []
        return [Event(attempt, kind, values)]

    def _seen_by_now(self) -> list[Event]:
        found = []
        for attempt, (values, node, since) in list(self._unseen.items()):
            work = self._works[attempt]
            if node in self._proven or counts_of(work) is not None:
                self._proven.add(node)
                del self._unseen[attempt], self._works[attempt]
                found.append(Event(attempt, "done", values))
            elif time.monotonic() - since > _SEEN:
                raise InputError(
                    f"{work.place('.json')}: a node has written it, and it is not seen here; the output must be a folder of all nodes, "
                    "or a place in a store (s3://...)"
                )
        return found

    def _words(self) -> list[Event]:
        """What attempts have told since they were asked last; the question to the mailbox is never waited for."""
        now = time.monotonic()
        if self._answer is None:
            if now - self._asked > _GLANCE:
                self._asked, self._answer = now, self._mailbox.take.remote()
            return []
        if not ray.wait([self._answer], timeout=0)[0]:
            if now - self._asked > _ANSWER:
                self._renew_mailbox()
            return []
        answer, self._answer = self._answer, None
        try:
            words = ray.get(answer, timeout=_ANSWER)
        except (RayError, GetTimeoutError):
            self._renew_mailbox()
            return []
        found = []
        for attempt, counts in words.items():
            if attempt in self._works and attempt not in self._unseen:
                found.append(Event(attempt, "told" if attempt in self._heard else "began", counts))
                self._heard[attempt] = self._busy = now
        return found

    def _renew_mailbox(self) -> None:
        """It was lost with its node: the attempts that write to it are heard of when they end."""
        self._mailbox, self._answer = _new_mailbox(), None
        self._heard.clear()

    def _silent(self) -> list[Event]:
        now = time.monotonic()
        if self._refs and not self._heard and now - self._busy > _NO_ROOM + self._limits.stall_seconds:
            raise InputError(
                f"no attempt has begun for {now - self._busy:,.0f} s: one takes a core and {self._limits.megabytes:,} MB, and Ray has "
                f"{_resources()}"
            )
        found = []
        for attempt, heard in list(self._heard.items()):
            if now - heard > self._limits.stall_seconds + _SILENCE:
                self.cancel(attempt)
                found.append(Event(attempt, "lost", {"reason": f"nothing was heard of its node for {now - heard:,.0f} s"}))
        return found


_ours: list[str] = []
"""The address of the connection that was made here; of one that somebody else made, nothing."""


def _connect(address: str) -> None:
    """For this `run_all` and the next: a run asks for one after the other. Ray ends the connection with this process."""
    if ray.is_initialized():
        if not _ours or (_ours == [address] and _answers()):
            return
        ray.shutdown()
    _ours[:] = [address]
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        if ":" in address:  # Ray itself would go on asking
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
        if address:
            ray.init(address=f"ray://{address}" if address.endswith(":10001") else address, **quiet)
            return
        with suppress(ConnectionError):
            ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), **quiet)
            return
        ray.init(include_dashboard=False, object_store_memory=128 << 20, **quiet)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        where = f"the Ray cluster {address}" if address else "Ray on this machine"
        raise InputError(f"{where} cannot be reached: {first_line(error)}; start one with `ray start --head`") from error


def _answers() -> bool:
    """Whether the cluster is still there."""
    try:
        return bool(_resources())
    except (RayError, ConnectionError, RuntimeError):
        return False


def _resources() -> dict[str, float]:
    return ray.cluster_resources()  # type: ignore[no-untyped-call, no-any-return]


def _cores() -> float:
    return float(_resources().get("CPU", 0.0))


def _refuse_a_lost_node() -> None:
    """Without the Ray processes of its own node a driver can start nothing, and nobody tells it: it would wait for ever."""
    here = ray.get_runtime_context().get_node_id()
    if any(node["NodeID"] == here and not node["Alive"] for node in ray.nodes()):  # type: ignore[no-untyped-call]
        raise InputError("Ray's processes on this node were lost; start it again with `ray start`, and give the same command to go on")


def _new_mailbox() -> Any:
    """Beside the driver: it is lost with nobody else."""
    here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(_Mailbox).options(num_cpus=0, max_restarts=-1, max_task_retries=0, scheduling_strategy=here).remote()
