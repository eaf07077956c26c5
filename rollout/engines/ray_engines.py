"""Many engines as one: each a Ray actor with a GPU or a CPU core of its own, on this machine or a cluster.

Prompts are cut into chunks of like length, longest first, and each actor takes the next chunk when it has finished one: the work is
balanced by what responses really take, not by a guess. A chunk's seed and members depend on the prompts and `Sampling.seed`
alone, so that neither the number of engines nor which of them did what changes a sample. For the same reason a dead
actor costs time and nothing else: it is replaced, the replacement gets the same weights, and the chunk that was lost is sampled again.

Weights are put into Ray's object store once for all actors; after the first time only what trains travels (`replica.py`).

Not covered: nodes of a cluster need this package installed; an engine that hangs is given up at `timeout`, not replaced.
"""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from rollout.engine import Completion, Engine, OnGroup, PolicyWeights, Sampling, require_tokens
from rollout.engines.replica import Parcel, Replica, pack
from rollout.interruption import raise_if_interrupted
from rollout.watchdog import announce_stacks
from verifiers.input_error import InputError, first_line

_GLANCE = 1.0  # seconds between looks at whether the run was asked to stop


class EngineLost(RuntimeError):
    """Engines died more often than is bad luck, or took longer than they may; the message says which and what to do."""


class _Actor:
    """One engine in a process of its own, and the replica that it samples from."""

    def __init__(self, make_engine: Callable[[], Engine]):
        announce_stacks()
        self.engine = make_engine()
        # an engine with a copy of its own on the GPU has no room there for another
        self.replica = Replica(None if getattr(self.engine, "samples_in_place", False) else "cpu")

    def load(self, parcel: Parcel, version: int) -> int:
        self.engine.load_policy(self.replica.load(parcel), version)
        return os.getpid()

    def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[list[Completion]]:
        return self.engine.generate(prompts, sampling)

    def sleep(self) -> int:
        return self.engine.sleep()

    def score(self, sequences: list[list[int]], temperature: float) -> list[list[float]]:
        return self.engine.score(sequences, temperature=temperature)


class RayEngines:
    """`count` engines made by `make_engine` behind the engine protocol.

    `address` is a running cluster's ("auto" finds this machine's); None starts Ray here, and ends it with `close`. Each engine gets
    `gpus` GPUs (default 1 where the cluster has any) and `cpus` cores. `chunk` prompts are sampled at a time; `timeout` in
    seconds bounds every wait; after `max_deaths` dead actors in one call EngineLost is raised. Engines that score the
    same sequence differently by more than `tolerance` do not hold the same weights: `score` raises EngineLost too.

    Raises InputError if the cluster has too few GPUs or cores or cannot be reached.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        *,
        count: int = 2,
        address: str | None = None,
        gpus: float | None = None,
        cpus: float = 1,
        chunk: int = 32,
        timeout: float = 3600.0,
        max_deaths: int = 3,
        tolerance: float = 1e-3,
    ) -> None:
        if count < 1 or chunk < 1:
            raise InputError(f"{count} Ray engines with chunks of {chunk} prompts: both must be at least 1")
        self.chunk, self.timeout, self.max_deaths, self.tolerance = chunk, timeout, max_deaths, tolerance
        self._started_ray = connect_to_ray(address)
        have = ray.cluster_resources()
        gpus = (1 if have.get("GPU", 0) else 0) if gpus is None else gpus
        for kind, each in (("CPU", cpus), ("GPU", gpus)):
            if have.get(kind, 0) < count * each:
                self.close()
                raise InputError(
                    f"{count} Ray engines need {count * each:g} {kind}s and Ray has {have.get(kind, 0):g}; use fewer engines, or give the "
                    "address of a larger cluster"
                )
        # max_restarts stays 0: Ray would restart an actor without its weights
        remote = ray.remote(_Actor).options(num_cpus=cpus, num_gpus=gpus)
        self._spawn = lambda: remote.remote(make_engine)
        self._actors: list[Any] = [self._spawn() for _ in range(count)]
        self.pids: list[int] = [0] * count
        """Process of each engine, once it has weights."""
        self._whole: Any = None
        self._latest: Any = None
        self._version = -1

    def close(self) -> None:
        for actor in getattr(self, "_actors", []) if ray.is_initialized() else ():
            ray.kill(actor)
        self._actors = []
        if self._started_ray and ray.is_initialized():
            ray.shutdown()
        self._started_ray = False

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        parcel = pack(weights, changes=self._whole is not None)
        self._latest, self._version = ray.put(parcel), version
        if self._whole is None:
            self._whole = self._latest
        self.pids = self._on_all(lambda actor: actor.load.remote(self._latest, version))
        return parcel.bytes * len(self._actors)

    def sleep(self) -> int:
        self._require_weights()
        return sum(self._on_all(lambda actor: actor.sleep.remote()))

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """By every engine; they must agree. The first one's scores."""
        self._require_weights()
        rows = ray.put([list(sequence) for sequence in sequences])
        first, *others = self._on_all(lambda actor: actor.score.remote(rows, temperature))
        for number, other in enumerate(others, 1):
            pairs = [(a, b) for row, same in zip(first, other, strict=True) for a, b in zip(row, same, strict=True)]
            worst = max((abs(a - b) for a, b in pairs), default=0.0)
            if not worst <= self.tolerance:
                raise EngineLost(
                    f"Ray engines 0 and {number} hold different weights: their log-probabilities of the same tokens differ by {worst:.3g} "
                    f"(bound {self.tolerance:g}) at policy version {self._version}"
                )
        return first

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        self._require_weights()
        require_tokens(prompts)
        groups: list[list[Completion]] = [[] for _ in prompts]
        waiting = deque(_cut_into_chunks(prompts, self.chunk))
        running: dict[Any, tuple[int, tuple[int, list[int]]]] = {}
        idle = deque(range(len(self._actors)))
        deaths = 0
        while waiting or running:
            while waiting and idle:
                engine, (number, members) = idle.popleft(), waiting.popleft()
                part = replace(sampling, seed=_chunk_seed(sampling.seed, number))
                running[self._actors[engine].generate.remote([list(prompts[i]) for i in members], part)] = engine, (number, members)
            done = self._first_of(list(running))
            engine, (number, members) = running.pop(done[0])
            try:
                for index, group in zip(members, ray.get(done[0]), strict=True):
                    groups[index] = group
                    if on_group:
                        on_group(index, group)
            except RayActorError as error:
                deaths += 1
                self._replace_actor(engine, deaths, error)
                waiting.appendleft((number, members))
            except RayTaskError as error:
                raise _raised_by_engine(error) from error
            idle.append(engine)
        return groups

    def _first_of(self, running: list[Any]) -> list[Any]:
        """The one that answers first; the wait can be interrupted in any thread."""
        until = time.monotonic() + self.timeout
        while time.monotonic() < until:
            raise_if_interrupted()
            done, _ = ray.wait(running, timeout=min(_GLANCE, self.timeout))
            if done:
                return list(done)
        raise EngineLost(f"no Ray engine answered within {self.timeout:g} s; shorten the completions or raise the time-out")

    def _require_weights(self) -> None:
        if self._latest is None:
            raise ValueError("the engine has no weights yet; call load_policy first")

    def _on_all(self, call: Callable[[Any], Any]) -> list[Any]:
        """What each engine answers. A dead one is replaced and asked again."""
        answers: list[Any] = [None] * len(self._actors)
        left = {number: call(actor) for number, actor in enumerate(self._actors)}
        deaths = 0
        while left:
            number, reference = next(iter(left.items()))
            try:
                answers[number] = ray.get(reference, timeout=self.timeout)
                del left[number]
            except GetTimeoutError:
                raise EngineLost(f"Ray engine {number} did not answer within {self.timeout:g} s; it may wait for resources") from None
            except RayActorError as error:
                deaths += 1
                self._replace_actor(number, deaths, error)
                left[number] = call(self._actors[number])
            except RayTaskError as error:
                raise _raised_by_engine(error) from error
        return answers

    def _replace_actor(self, number: int, deaths: int, error: Exception) -> None:
        """A new actor with the weights of the old one."""
        if deaths > self.max_deaths:
            raise EngineLost(
                f"{deaths} Ray engines died in one call, the last with: {first_line(error)}; look for too little memory"
            ) from error
        self._actors[number] = self._spawn()
        try:
            loads = [(self._whole, self._version)] + ([] if self._latest is self._whole else [(self._latest, self._version)])
            for parcel, version in loads:
                self.pids[number] = ray.get(self._actors[number].load.remote(parcel, version), timeout=self.timeout)
        except RayActorError as again:
            self._replace_actor(number, deaths + 1, again)


def connect_to_ray(address: str | None, *, cpus: int | None = None) -> bool:
    """Whether Ray was started here; then with so many cores at least, in name. Raises InputError where it cannot be reached."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # actors without a GPU keep the environment as it is
    named = {"num_cpus": max(cpus, os.cpu_count() or 1)} if cpus and address is None else {}
    try:
        ray.init(address=address, **named, include_dashboard=False if address is None else None, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"the Ray cluster {address!r}" if address else "Ray on this machine"
        raise InputError(
            f"{where} cannot be reached: {first_line(error)}; start one with `ray start --head`, or give no address"
        ) from error
    return True


def _cut_into_chunks(prompts: Sequence[Sequence[int]], size: int) -> list[tuple[int, list[int]]]:
    """(number, indices of its prompts), longest prompts first."""
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))  # stable
    return [(start // size, order[start : start + size]) for start in range(0, len(order), size)]


def _chunk_seed(seed: int, number: int) -> int:
    """31 bits that no other chunk and no other seed is likely to have."""
    digest = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def _raised_by_engine(error: RayTaskError) -> Exception:
    """What the engine raised, as it raised it."""
    return error.cause if isinstance(error.cause, Exception) else error
