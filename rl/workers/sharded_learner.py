"""A learner of many processes: each holds a part of every parameter, of its gradient and of its optimiser state.

Every rank is given the whole batch, makes the same plan and takes its share of the micro-batches; weights are made once for the whole
step, so the gradient is the plain sum over ranks, whatever their number. Parameters are PyTorch's FSDP2 (`fully_shard`): each decoder
layer is gathered when it computes and cut again behind it; the rest (embeddings, last norm, output head) for as long as a pass lasts.

With tensor parallelism (`tensor_parallel.py`) some neighbouring ranks compute a layer together: they take the same micro-batches, and hold
of their part of the layer what FSDP cuts over the others.

Not covered: value heads, a model that does not fit into the memory of the machine once while it is loaded.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from rl.learning.learner import PARTS, TRAINER_FILE, Learner, require_same
from rl.learning.policy import Policy
from rl.learning.update_stats import UpdateStats, is_maximum
from rl.objectives.batch import Batch
from rl.objectives.objective import Objective
from rl.workers.shares import Cost, evened, rounds
from rl.workers.tensor_parallel import cut_layers, replicas
from rollout.interruption import Interrupted

T = TypeVar("T")


class _Pass(nn.Module):
    """The model and whatever is called of it as one module, for FSDP to gather around: its backbone and head are called apart."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, run: Callable[[], T]) -> T:
        return run()


class ShardedLearner(Learner):
    """One rank's. All ranks of the process group, which is there before, make and call it alike."""

    def __init__(
        self,
        model: nn.Module,
        *,
        device: str | torch.device | None = None,
        asked_to_stop: Callable[[], bool] = lambda: False,
        tensor_parallel: int = 1,
        **settings: Any,
    ):
        """`device`: this rank's own. `asked_to_stop`: asked between passes; what one rank hears, all obey. `settings`: Learner's.

        `tensor_parallel`: ranks that compute a layer together, a divisor of all. Raises InputError where the model cannot be cut so.
        """
        if settings.get("value_head") is not None:
            raise ValueError("a value head is not sharded over processes; train it in one")
        super().__init__(model, device="cpu", **settings)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.rank, self.ranks = distributed.get_rank(), distributed.get_world_size()
        self.together = tensor_parallel
        self.shares, self.share = self.ranks // self.together, self.rank // self.together
        self.writes = self.rank == 0
        self.asked_to_stop = asked_to_stop
        self._control = distributed.new_group(backend="gloo")  # for what is on the CPU, whatever the parameters travel by
        self._require_alike()
        self._root = _Pass(self.model)
        self._cut_parameters()
        self._take_what_trains()

    def _cut_parameters(self) -> None:
        mesh = init_device_mesh(self.device.type, (self.shares, self.together), mesh_dim_names=("shares", "together"))
        if self.together > 1:
            cut_layers(self.model, mesh["together"])
        for layer in _layers(self.model):
            fully_shard(layer, mesh=mesh["shares"])
        # embeddings and head, which no plan cuts: over all ranks, each of which makes its whole gradient
        fully_shard(self._root, mesh=mesh._flatten(), reshard_after_forward=False)
        for module in self._root.modules():
            if isinstance(module, FSDPModule):
                # the sum over shares: weights are made for the whole step
                module.set_gradient_divide_factor(float(self.together) if module is self._root else 1.0)
                module.set_force_sum_reduction_for_comms(True)

    def _require_alike(self) -> None:
        """An adapter drawn from another seed would be cut together from two."""
        sums = [float(p.detach().double().sum()) for p in self.trainable.values()]
        if any(other != sums for other in self._told(sums)):
            raise ValueError("the ranks begin with different weights; each must load the same model and draw from the same seed")

    def _told(self, value: T) -> list[T]:
        """What every rank has, in their order."""
        told: list[Any] = [None] * self.ranks
        distributed.all_gather_object(told, value, group=self._control)
        return told

    def _agree(self) -> None:
        """Raises Interrupted on all ranks where one was asked to stop."""
        asked = torch.tensor([int(self.asked_to_stop())])
        distributed.all_reduce(asked, distributed.ReduceOp.MAX, group=self._control)
        if asked.item():
            raise Interrupted

    # --- shares ---

    def _plan_of_look(self, batch: Batch) -> list[Int[Tensor, "..."]]:
        return evened(super()._plan_of_look(batch), Cost(batch, self.layout), self.shares, rows_per_unit=1)

    def _plan(self, batch: Batch, objective: Objective) -> list[Int[Tensor, "..."]]:
        return evened(super()._plan(batch, objective), Cost(batch, self.layout), self.shares, rows_per_unit=objective.rows_per_unit)

    def _turns(self, batch: Batch, plan: list[Int[Tensor, "..."]]) -> Iterator[tuple[Int[Tensor, "..."], bool]]:
        try:
            for one_round in rounds(plan, Cost(batch, self.layout), self.shares):
                self._agree()
                counts = self.share < len(one_round)
                yield one_round[self.share if counts else -1], counts
        finally:
            self._root.reshard()

    def _joined(self, tensor: Tensor) -> Tensor:
        if self.rank % self.together:  # the first of those that computed the same says it
            tensor.zero_()
        distributed.all_reduce(tensor, group=self._control)
        return tensor

    def _add_up(self, stats: UpdateStats) -> None:
        _add_up(stats, self._told(stats)[:: self.together])

    def _within(self, run: Callable[[], T]) -> T:
        with self._autocast():
            found: T = self._root(run)
            return found

    # --- one step ---

    def _total_norm(self, gradients: list[Tensor]) -> Float[Tensor, ""]:
        square = sum(float(_local(g).double().square().sum()) / replicas(g, self.ranks) for g in gradients)
        return torch.tensor(sum(self._told(square)), dtype=torch.float64).sqrt()

    def _clip(self, norm: Float[Tensor, ""]) -> None:
        factor = min(1.0, self.settings.max_grad_norm / (float(norm) + 1e-6))
        for parameter in self.trainable.values():
            if parameter.grad is not None:
                _local(parameter.grad).mul_(factor)

    # --- copies ---

    def exchange(self, parameter: nn.Parameter, other: Tensor) -> Tensor:
        """In place: FSDP gathers from the memory that it has made."""
        own, given = _local(parameter.detach()), _local(other)
        kept = own.clone()
        own.copy_(given)
        given.copy_(kept)
        return other

    def holds(self, test: Callable[[Tensor], bool], tensor: Tensor) -> bool:
        return all(self._told(test(_local(tensor.detach()))))

    def whole(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """On the CPU of the rank that writes, gathered one after another; nothing on the others. Tied ones stay tied."""
        found: dict[str, Tensor] = {}
        seen: dict[int, str] = {}
        for name, tensor in tensors.items():
            if id(tensor) in seen:
                found.update({name: found[seen[id(tensor)]]} if self.writes else {})
                continue
            seen[id(tensor)] = name
            full = tensor.detach()
            full = full.full_tensor() if isinstance(full, DTensor) else full
            if self.writes:
                found[name] = full.to("cpu", copy=True)
        return found

    def own_part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {name: _cut_as(self.trainable[name], tensor) for name, tensor in tensors.items()}

    def tensors(self, names: Collection[str]) -> Mapping[str, Tensor]:
        """Some of the model's, whole: see `whole`."""
        held = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        return self.whole({name: held[name] for name in names})

    # --- on disk ---

    def save_model(self, folder: Path) -> None:
        """As one process writes it; the rank that writes holds all of it on the CPU meanwhile."""
        held = self.trainable if self.lora else self.model.state_dict(keep_vars=True)
        state = self.whole(held)
        if self.writes:
            kept = {"save_embedding_layers": False, "selected_adapters": [self.model.active_adapter]} if self.lora else {}
            self.model.save_pretrained(folder, state_dict=dict(state), **kept)
        distributed.barrier(group=self._control)

    def save(self, folder: Path) -> None:
        """The model as `save_model`; of the optimiser's state, every rank its parts, which any number of ranks reads."""
        from torch.distributed import checkpoint

        self.save_model(folder / "model")
        held = {name: self.optimizer.state[p] for name, p in self.trainable.items() if p in self.optimizer.state}
        moments = {f"{kind}.{name}": state[kind] for name, state in held.items() for kind in ("exp_avg", "exp_avg_sq")}
        if self.writes:
            (folder / PARTS).mkdir()
            steps = {name: float(state["step"]) for name, state in held.items()}
            torch.save({"steps": steps, "version": self.version, "skipped": self.skipped_in_a_row}, folder / TRAINER_FILE)
        distributed.barrier(group=self._control)
        if moments:
            writer = checkpoint.HuggingFaceStorageWriter(str(folder / PARTS), save_distributed=True)  # safetensors: nothing is unpickled
            checkpoint.save(moments, storage_writer=writer, process_group=self._control)

    def load(self, folder: Path) -> None:
        self._load_model(folder / "model")
        state = torch.load(folder / TRAINER_FILE, map_location="cpu", weights_only=True)
        if (folder / PARTS).is_dir():
            state["optimizer"] = self._moments_in_parts(folder / PARTS, state)
        self._require_own(state)
        for place, parameter in enumerate(self.trainable.values()):
            moments = state["optimizer"]["state"].get(place, {})
            moments.update({kind: _cut_as(parameter, moments[kind]) for kind in ("exp_avg", "exp_avg_sq") if kind in moments})
        self.optimizer.load_state_dict(state["optimizer"])
        self.version, self.skipped_in_a_row = state["version"], state["skipped"]

    def _load_model(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        if self.lora:
            from peft import get_peft_model_state_dict
            from safetensors.torch import load_file

            held: Mapping[str, Tensor] = get_peft_model_state_dict(self.model, save_embedding_layers=False)
            given: Mapping[str, Tensor] = load_file(folder / "adapter_model.safetensors")
            require_same(held, given, "the adapter")
        else:
            saved, seen = AutoModelForCausalLM.from_pretrained(
                folder, dtype=self._dtype, trust_remote_code=False, local_files_only=True, output_loading_info=True
            )
            if lost := [*seen["missing_keys"], *seen["unexpected_keys"], *seen["mismatched_keys"]]:
                raise ValueError(f"its weights are not this model's ({len(lost)} differ, first {lost[0]})")
            held, given = self.model.state_dict(), saved.state_dict()
            require_same(held, given, "the model")
        for name, tensor in held.items():
            _local(tensor).copy_(_local(_cut_as(tensor, given[name])))


class ShardedPolicy(ShardedLearner, Policy):
    """A sharded learner that can say of any text what an engine should. Its weights leave by `tensors`."""

    def weights(self) -> Any:
        raise ValueError("the weights of a sharded policy leave name by name; see `tensors`")


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost lists of modules: decoder layers."""
    for child in model.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from _layers(child)


def _local(tensor: Tensor) -> Tensor:
    """This rank's part, in place."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _cut_as(like: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor, the same on every rank, as a tensor of which each has its part."""
    if not isinstance(like, DTensor) or isinstance(tensor, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device, like.dtype), like.device_mesh, like.placements, src_data_rank=None)


def _add_up(stats: UpdateStats, told: list[UpdateStats]) -> None:
    """Makes a rank's sums those of all."""
    stats.loss = sum(each.loss for each in told)
    stats.trained_sequences = sum(each.trained_sequences for each in told)
    stats.trained_tokens = sum(each.trained_tokens for each in told)
    stats.seen = [seen for each in told for seen in each.seen]
    for name in stats.measured:
        values = [each.measured[name] for each in told]
        stats.measured[name] = max(values) if is_maximum(name) else sum(values)
        stats.counted[name] = sum(each.counted[name] for each in told)
