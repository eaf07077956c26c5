"""Where the policy lives: in this process, or cut over worker processes of this machine or of a Ray cluster, as `--policy-workers` says."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from recipes.setup import choices, online
from recipes.setup.model_source import ModelInMemory, ModelSource, find_model
from recipes.setup.online import critic_of
from recipes.setup.options import Options
from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.learning.reference import Reference
from rl.objectives.algorithms import Algorithm
from rl.workers.torchrun_workers import TorchrunWorkers, ranks
from rollout.progress import watched
from verifiers.input_error import InputError

if TYPE_CHECKING:
    import torch

    from rl.workers.policy_worker import Build
    from rl.workers.sharded_learner import ShardedPolicy
    from rl.workers.workers import Workers


def check_policy_workers(options: Options, start: ModelSource | None = None) -> None:
    """Raises InputError for what cannot be cut over processes. `start`: what the policy begins as, where that is known."""
    if options.policy_workers:
        given = f"--policy-workers {options.policy_workers}"
        if critic_of(options) is not None:
            raise InputError(
                f"{given}: a critic lives in the policy's own process; leave --policy-workers out, or take an algorithm without one"
            )
        if getattr(options, "teacher", ""):
            raise InputError(f"{given}: a teacher lives in the policy's own process; leave --policy-workers out")
    check_workers(options, start, on_ray=isinstance(options.engine, choices.Ray))


class WorkerOptions(Protocol):
    """What is read of a command's options."""

    @property
    def policy_workers(self) -> int: ...
    @property
    def tensor_parallel(self) -> int: ...


def check_workers(options: WorkerOptions, start: ModelSource | None = None, *, on_ray: bool = False) -> None:
    """`check_policy_workers` of any command, whether it samples or not."""
    if options.policy_workers != (started := ranks()) and started:
        raise InputError(
            f"torchrun has started {started} processes; give --policy-workers {started}, or start the command without torchrun"
        )
    if options.tensor_parallel > 1 and (not options.policy_workers or options.policy_workers % options.tensor_parallel):
        raise InputError(
            f"--tensor-parallel {options.tensor_parallel} --policy-workers {options.policy_workers}: workers compute a layer in groups of "
            "so many; give a multiple of that as --policy-workers"
        )
    if not options.policy_workers:
        return
    given = f"--policy-workers {options.policy_workers}"
    if isinstance(start, ModelInMemory):
        raise InputError(f"{given}: a model in this program's memory is no other process's; save it and give its folder, or leave it out")
    if not on_ray and not started:
        from torch.cuda import device_count

        if 0 < device_count() < options.policy_workers:
            raise InputError(f"{given}: this machine has {device_count()} GPUs; use at most so many, or --engine ray with a cluster")


def make_policy(
    options: Options, model: str | ModelSource, *, algorithm: Algorithm, lora: Lora | None = None, **settings: Any
) -> tuple[Policy, Reference | None]:
    """As `online.make_policy`. Whoever asks for it closes the policy. Raises InputError where workers cannot start."""
    if not options.policy_workers:
        return online.make_policy(options, model, algorithm=algorithm, lora=lora, **settings)
    source = find_model(model) if isinstance(model, str) else model
    check_policy_workers(options, source)
    build = partial(_rank_of, replace(options, policy_workers=0), source, lora=lora, settings=settings)
    return cut_policy(build, options.policy_workers, source, engine=options.engine)


def cut_policy(build: "Build", count: int, source: ModelSource, *, engine: Any = None) -> "tuple[Policy, Reference | None]":
    """The policy that `build` makes of each rank, and the reference beside it. Whoever asks for it closes the policy."""
    from rl.workers.policy_workers import PolicyWorkers, WorkersReference

    with watched(f"starting {count} policy workers, loading {source.in_words()}"):
        workers = _started(build, count, engine)
        try:
            policy = PolicyWorkers(workers)
        except BaseException:
            workers.close()
            raise
    return policy, WorkersReference(workers) if policy.has_reference else None


def _started(build: "Build", count: int, engine: Any) -> "Workers":
    """Those of torchrun; else where the engines are: on Ray with them, or on this machine."""
    if ranks():
        return TorchrunWorkers(build)
    if isinstance(engine, choices.Ray):
        from rl.workers.ray_workers import RayWorkers

        return RayWorkers(build, count=count, address=engine.address, beside=engine.count)
    from rl.workers.local_workers import LocalWorkers

    return LocalWorkers(build, count=count)


def rank_maker(options: WorkerOptions, device: "torch.device", asked_to_stop: Callable[[], bool]) -> "Callable[..., ShardedPolicy]":
    """In a worker: what makes its part of the policy, as Policy makes the whole of one."""
    from rl.workers.sharded_learner import ShardedPolicy

    return partial(ShardedPolicy, device=device, asked_to_stop=asked_to_stop, tensor_parallel=options.tensor_parallel)


def _rank_of(
    options: Options,
    source: ModelSource,
    device: "torch.device",
    asked_to_stop: Callable[[], bool],
    *,
    lora: Lora | None,
    settings: dict[str, Any],
) -> "tuple[ShardedPolicy, Reference | None]":
    """In a worker: its part of the policy, and of the reference."""
    made = rank_maker(options, device, asked_to_stop)
    found: Any = online.make_policy(options, source, algorithm=online.algorithm_of(options), lora=lora, made=made, **settings)
    return found
