"""Policy workers as Ray actors, one a GPU or a core, on this machine or a cluster: placed together, beside whatever else runs there.

They write checkpoints, so every node must see the run's folder. Not covered: nodes need this package and the model installed.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from rl.workers.messages import packed, unpacked
from rl.workers.policy_worker import Answer, Build, PolicyWorker, join_group, sendable
from rl.workers.workers import PATIENCE, TIMEOUT, WorkerLost, failed_alone, first_failure, result_of
from rollout.engines.ray_engines import connect_to_ray
from rollout.interruption import fail, raise_if_interrupted, uninterrupted
from rollout.watchdog import announce_stacks
from verifiers.input_error import InputError, first_line

_GLANCE = 0.5
_WATCH = 5.0
_START = 120.0  # seconds that the cluster has to place the workers and to start their processes
_COMPANY = 10.0


class _Actor:
    """One rank. Calls come one at a time; signs of life and the wish to give a call up are heard beside them."""

    def __init__(self) -> None:
        announce_stacks()
        self.current, self.given_up = 0, -1
        self.worker: PolicyWorker | None = None

    def place(self) -> tuple[str, int]:
        """(this node's address, a port that is free there)."""
        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def process(self) -> int:
        return os.getpid()

    def build(self, rank: int, count: int, meet: str, timeout: float, recipe: bytes) -> bytes:
        try:
            device = join_group(rank, count, meet, timeout=timeout)
            build: Build = unpacked(recipe)
            self.worker = PolicyWorker(build, device, lambda: self.given_up == self.current)
        except Exception as error:  # noqa: BLE001  # the driver raises it
            return packed(Answer(0, "raised", sendable(error), (0, 0)))
        return packed(Answer(0, "done", None, (self.worker.policy.version, 0)))

    def answer(self, message: bytes) -> bytes:
        number, name, given, named = unpacked(message)
        self.current = number
        assert self.worker is not None
        return packed(self.worker.answer(number, name, given, named))

    @ray.method(concurrency_group="life")
    def pulse(self) -> None:
        """A sign of life."""

    @ray.method(concurrency_group="life")
    def give_up(self, number: int) -> None:
        self.given_up = number


class RayWorkers:
    """`count` actors, each of which builds its rank's policy. `address`: a running cluster's; None: Ray starts here and ends with `close`.

    Raises InputError where the cluster cannot be reached or has no room for them.
    """

    def __init__(
        self, build: Build, *, count: int, address: str | None = None, patience: float = PATIENCE, timeout: float = TIMEOUT, beside: int = 0
    ):
        """`beside`: how many more actors of the same size must find room."""
        self.count, self.patience, self.timeout = count, patience, timeout
        self.stamp = (0, 0)
        self._number, self._lost, self._actors = 0, "", list[Any]()
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._started_ray = connect_to_ray(address, cpus=count + beside)
        self._places: PlacementGroup | None = None
        try:
            self._places = _room_for(count, beside)
            self._actors = _actors(self._places, count)
            self._begin(build)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def pids(self) -> list[int]:
        """On their nodes."""
        return [int(pid) for pid in ray.get([actor.process.remote() for actor in self._actors])]

    def _begin(self, build: Build) -> None:
        try:
            host, port = ray.get(self._actors[0].place.remote(), timeout=_START)
        except (GetTimeoutError, RayActorError) as error:
            raise InputError(f"policy workers did not start within {_START:g} s: {first_line(error)}; look at Ray's status") from error
        recipe, meet = ray.put(packed(build)), f"tcp://{host}:{port}"
        self._finish(
            0, [actor.build.remote(rank, self.count, meet, self.timeout, recipe) for rank, actor in enumerate(self._actors)], self.timeout
        )

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        """See Workers."""
        with self._lock:
            if not self._actors:
                raise WorkerLost(self._lost or "the policy workers have been closed")
            self._number += 1
            message = ray.put(packed((self._number, name, given, named)))
            return self._finish(self._number, [actor.answer.remote(message) for actor in self._actors], self.timeout)

    def _watch(self) -> None:
        """Between calls."""
        while not self._closed.wait(_WATCH):
            if not self._lock.acquire(blocking=False):
                continue
            try:
                for rank, actor in enumerate(self._actors):
                    pulse = actor.pulse.remote()
                    if not ray.wait([pulse], timeout=self.patience)[0]:
                        raise _silent(rank, self.patience)
                    self._got(rank, lambda pulse=pulse: ray.get(pulse))
            except WorkerLost as error:
                self._lost = str(error)
                self.close()
                fail(error)
            finally:
                self._lock.release()

    def _finish(self, number: int, running: list[Any], seconds: float) -> Any:
        try:
            try:
                answers = self._answers(running, seconds)
            except KeyboardInterrupt:
                with uninterrupted():
                    for actor in self._actors:
                        actor.give_up.remote(number)
                    self.stamp = self._answers(running, self.patience + _COMPANY, hears=False)[0].stamp
                raise
            self.stamp = answers[0].stamp
            return result_of(answers, "see Ray's logs")
        except WorkerLost as error:
            self._lost = str(error)
            self.close()
            raise

    def _answers(self, running: list[Any], seconds: float, *, hears: bool = True) -> list[Answer]:
        """One of each rank. Raises WorkerLost."""
        found: dict[int, Answer] = {}
        until = time.monotonic() + seconds
        pulses = [(actor.pulse.remote(), time.monotonic()) for actor in self._actors]
        while len(found) < self.count:
            if hears:
                raise_if_interrupted()
            waited = {running[rank]: rank for rank in range(self.count) if rank not in found}
            done, _ = ray.wait(list(waited), timeout=_GLANCE)
            for reference in done:
                rank = waited[reference]
                found[rank] = self._got(rank, lambda reference=reference: unpacked(ray.get(reference)))
            self._feel(pulses, found)
            failed = first_failure(found)
            if failed and self._number == 0:  # nothing is there yet that could be out of step
                raise failed[1]
            if failed:
                until = min(until, time.monotonic() + _COMPANY)
            if time.monotonic() > until:
                if failed:
                    raise failed_alone(*failed, "see Ray's logs")
                rank = min(set(range(self.count)) - found.keys())
                raise WorkerLost(f"policy worker {rank} did not answer within {seconds:g} s; see Ray's logs")
        return [found[rank] for rank in range(self.count)]

    def _got(self, rank: int, get: Callable[[], Any]) -> Any:
        try:
            return get()
        except RayActorError as error:
            raise WorkerLost(f"policy worker {rank} died ({first_line(error):.200}); see Ray's logs") from error
        except RayTaskError as error:
            return Answer(0, "raised", error.cause if isinstance(error.cause, Exception) else error, self.stamp)

    def _feel(self, pulses: list[tuple[Any, float]], found: dict[int, Answer]) -> None:
        """Looks at the last question for a sign of life, and asks anew."""
        for rank, (reference, asked) in enumerate(pulses):
            done, _ = ray.wait([reference], timeout=0)
            if done:
                self._got(rank, lambda reference=reference: ray.get(reference))
                pulses[rank] = self._actors[rank].pulse.remote(), time.monotonic()
            elif rank not in found and time.monotonic() - asked > self.patience:
                raise _silent(rank, self.patience)

    def close(self) -> None:
        self._closed.set()
        if ray.is_initialized():
            for actor in self._actors:
                ray.kill(actor)
            if self._places is not None:
                with suppress(RuntimeError):
                    remove_placement_group(self._places)
        self._actors, self._places = [], None
        if self._started_ray and ray.is_initialized():
            ray.shutdown()
        self._started_ray = False


def _silent(rank: int, seconds: float) -> WorkerLost:
    return WorkerLost(f"policy worker {rank} gave no sign for {seconds:g} s; see Ray's logs")


def _size() -> dict[str, float]:
    """What one worker takes: a core, and a GPU where the cluster has any."""
    return {"CPU": 1.0} | ({"GPU": 1.0} if ray.cluster_resources().get("GPU", 0) else {})


def _room_for(count: int, beside: int) -> PlacementGroup:
    """Places for `count` workers, close together. Raises InputError where they, and as many others, find none."""
    have = ray.cluster_resources()
    for kind, each in _size().items():
        if have.get(kind, 0) < (count + beside) * each:
            raise InputError(
                f"{count} policy workers and {beside} engines need {(count + beside) * each:g} {kind}s and Ray has {have.get(kind, 0):g}; "
                "use fewer, or give the address of a larger cluster"
            )
    places = placement_group([_size()] * count, strategy="PACK")
    if not places.wait(_START):
        remove_placement_group(places)
        raise InputError(f"Ray found no room for {count} policy workers within {_START:g} s; another program may hold it")
    return places


def _actors(places: PlacementGroup, count: int) -> list[Any]:
    made = ray.remote(concurrency_groups={"life": 1})(_Actor)
    size = _size()
    options = {"num_cpus": size["CPU"], "num_gpus": size.get("GPU", 0), "max_restarts": 0}
    places_of = [PlacementGroupSchedulingStrategy(places, placement_group_bundle_index=rank) for rank in range(count)]
    return [made.options(**options, scheduling_strategy=place).remote() for place in places_of]
