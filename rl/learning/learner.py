"""The owner of parameters, gradients and optimiser state.

`update` knows nothing of any objective but weight * loss. Precision: "fp32" is plain; "bf16" computes under autocast with float32
parameters where they train (a full policy's master weights, a LoRA's adapter) and bfloat16 where they do not (a LoRA's base). Dropout
is off everywhere: the sampler has none, and the two must agree.
"""

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from rl.learning.adapters import Lora, with_adapter
from rl.learning.layout import LayoutName
from rl.learning.model_loading import Dtype, prepare_model
from rl.learning.token_terms import TokenTerms
from rl.learning.update_stats import UpdateStats
from rl.objectives.batch import Batch, micro_batches, shared_micro_batches, trained
from rl.objectives.objective import Objective, Terms
from rl.saving.freed_memory import give_back_freed
from rl.saving.optimizers import InBackward, fits, make_optimizer, parameter_groups
from rl.saving.quantization import quantize_base
from rl.saving.savings import Savings
from rollout.interruption import raise_if_interrupted, uninterrupted
from rollout.phases import phase
from rollout.progress import in_progress

STEPS_BEFORE_GIVING_UP = 3
VALUE_HEAD = "value_head.weight"
TRAINER_FILE = "trainer.pt"
PARTS = "optimizer"
"""Folder of the optimiser's state where many processes write it."""
HEAD_FILE = "value_head.safetensors"
T = TypeVar("T")


class Diverged(RuntimeError):
    """The policy is broken, or three steps in a row had a loss or gradient that is not finite; the message says what was seen."""


@dataclass(frozen=True)
class Optimizer:
    """AdamW's settings. The learning rate is given to each update."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0


@dataclass(frozen=True)
class ValueHead:
    """A linear map of a hidden state to a number."""

    weight: Tensor | None = None
    """[H] or [1 H], where it begins; None: all zero."""
    lr_scale: float = 1.0
    """Its learning rate over that of the rest."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What is to be known of it where it is saved, such as the kind of reward that it says."""


class Learner:
    """A causal language model with what is needed to train it."""

    def __init__(
        self,
        model: nn.Module,
        *,
        lora: Lora | None = None,
        dtype: Dtype = "fp32",
        optimizer: Optimizer | None = None,
        gradient_checkpointing: bool = False,
        tokens_per_micro_batch: int = 16_384,
        layout: LayoutName | Literal["auto"] = "padded",
        value_head: ValueHead | None = None,
        savings: Savings | None = None,
        device: str | torch.device | None = None,
    ):
        """`layout`: a model that does not allow it is trained padded (`self.layout` says); "auto": the one with the least work that it
        allows. `device`: default CUDA where there is one.

        `value_head`: the terms `value` and `score` are there too, and train.
        """
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model: Any = with_adapter(model, lora) if lora else model
        if lora and lora.quantization:
            quantize_base(self.model, device=self.device, compute=torch.bfloat16 if dtype == "bf16" else torch.float32)
        self.model.to(self.device)
        self.lora, self.tokens_per_micro_batch = lora, tokens_per_micro_batch
        self.autocast = "bfloat16" if dtype == "bf16" else None
        self.settings, self.savings = optimizer or Optimizer(), savings or Savings()
        if self.device.type == "cpu":
            give_back_freed(int(getattr(self.model.config.get_text_config(), "hidden_size", 0)))
        prepare_model(self.model, gradient_checkpointing=gradient_checkpointing, savings=self.savings)
        self._take_what_trains()
        self.token_terms = TokenTerms(self.model)
        if value_head:
            self._add_value_head(value_head)
        self.layout: LayoutName = self._allowed(layout)
        self.version = 0
        self.skipped_in_a_row = 0

    def _take_what_trains(self) -> None:
        self.trainable: dict[str, nn.Parameter] = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        fields = {key: value for key, value in asdict(self.settings).items() if key != "max_grad_norm"}
        groups = parameter_groups(self.trainable, lora_plus=self.lora.plus if self.lora else 1.0)
        names = {id(p): name for name, p in self.trainable.items()}
        self.trainable = {names[id(p)]: p for group in groups for p in group["params"]}  # as the optimiser's state counts them
        self.optimizer = make_optimizer(groups, self.savings, **fields)
        self.in_backward = InBackward(self.optimizer) if self.savings.update_in_backward else None

    def _add_value_head(self, wanted: "ValueHead") -> None:
        """All zero, so that it begins without an opinion and depends on no random number."""
        width, dtype = int(self.model.config.get_text_config().hidden_size), self._dtype
        head = nn.Linear(width, 1, bias=False, device=self.device, dtype=dtype)
        nn.init.zeros_(head.weight)
        if wanted.weight is not None:
            head.weight.data.copy_(wanted.weight.reshape(1, width))
        self.token_terms.value_head, self.head_facts = head, dict(wanted.facts)
        self.trainable[VALUE_HEAD] = head.weight
        self.head_scale = wanted.lr_scale
        self.optimizer.add_param_group({"params": [head.weight], "lr_scale": wanted.lr_scale})

    def _allowed(self, wanted: LayoutName | Literal["auto"]) -> LayoutName:
        """Of itself packed is only where attention takes sequences of several lengths (flash): elsewhere its mask is N x N."""
        if wanted != "auto":
            return wanted if self.token_terms.allows(wanted) else "padded"
        least: LayoutName = "packed" if self.token_terms.flash else "shared"
        return least if self.token_terms.allows(least) else "padded"

    def beside(self, value_head: "ValueHead") -> "Learner":
        """A learner of what is trainable in the same model now (an adapter that was just switched to), with a value head of its own."""
        return Learner(
            self.model, dtype="bf16" if self.autocast else "fp32", optimizer=self.settings, layout=self.layout, value_head=value_head,
            tokens_per_micro_batch=self.tokens_per_micro_batch, savings=self.savings, device=self.device,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """The hub id or folder that the model came from; "" where it was made here."""
        return str(getattr(self.model.config, "name_or_path", "") or "")

    @property
    def vocabulary(self) -> int:
        """Token ids that the model has; some may be unused by its tokenizer."""
        return int(self.model.config.get_text_config().vocab_size)

    # --- looking ---

    def score(self, batch: Batch) -> Float[Tensor, "N"]:
        """Log-probabilities of the masked tokens, without gradient; 0 elsewhere."""
        return self.look(batch, ("logp",))["logp"]

    def look(self, batch: Batch, terms: Collection[str]) -> Terms:
        """Terms of the masked tokens, without gradient."""
        return self._over(batch, self._plan_of_look(batch), terms)

    def _plan_of_look(self, batch: Batch) -> list[Int[Tensor, "..."]]:
        """Micro-batches of the sequences with a masked token; without gradient there is room for twice as many tokens."""
        return self._cut(batch, (trained(batch) > 0).nonzero().squeeze(1), 2 * self.tokens_per_micro_batch)

    def top(self, batch: Batch, count: int, *, below: int | None = None) -> tuple[Int[Tensor, "N K"], Float[Tensor, "N K1"]]:
        """The `count` most likely ids in place of each masked token, and their log-probabilities, then that of all others; 0 elsewhere."""
        ids = torch.zeros(len(batch.tokens), count, dtype=torch.long)
        values = torch.zeros(len(batch.tokens), count + 1, dtype=self._dtype)
        for rows, counts in self._turns(batch, self._plan_of_look(batch)):
            with torch.no_grad():
                found = self._within(partial(self.token_terms.top, batch.take(rows), count, layout=self.layout, below=below))
            if counts:
                places = batch.places(rows)
                ids[places], values[places] = (each.cpu() for each in found)
        return self._joined(ids), self._joined(values)

    def score_as_updated(self, batch: Batch, objective: Objective) -> Float[Tensor, "N"]:
        """What an update on this batch would take for `logp` now, in its own micro-batches: in bf16 others differ by up to 0.01 a token.

        Nothing changed in between, the update's ratios are exactly 1. Rows that it leaves out have 0.
        """
        self.model.train()  # as `update`
        return self._over(batch, self._plan(batch, objective), ("logp",))["logp"]

    def _over(self, batch: Batch, plan: list[Int[Tensor, "..."]], terms: Collection[str]) -> Terms:
        found = {name: torch.zeros(len(batch.tokens), dtype=self._dtype) for name in terms}
        with torch.no_grad(), phase("score"):
            for rows, counts in self._turns(batch, plan):
                seen = self._forward(batch.take(rows), watches=terms)
                places = batch.places(rows)
                for name in terms if counts else ():
                    found[name][places] = seen[name].cpu()
        return {name: self._joined(tensor) for name, tensor in found.items()}

    # of many processes each takes a part of a plan's turns

    def _turns(self, batch: Batch, plan: list[Int[Tensor, "..."]]) -> Iterator[tuple[Int[Tensor, "..."], bool]]:
        """The micro-batches of this process, and whether each counts: one that only keeps other processes company does not."""
        for rows in plan:
            raise_if_interrupted()
            yield rows, True

    def _joined(self, tensor: Tensor) -> Tensor:
        """What all processes found together, of what this one found, 0 elsewhere."""
        return tensor

    def _add_up(self, stats: UpdateStats) -> None:
        """What this process's turns said becomes what all turns did."""

    @property
    def _dtype(self) -> torch.dtype:
        return torch.float64 if next(self.model.parameters()).dtype == torch.float64 else torch.float32

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, getattr(torch, self.autocast)) if self.autocast else nullcontext()

    def _forward(self, part: Batch, *, terms: Collection[str] = (), watches: Collection[str] = ()) -> Terms:
        return self._within(partial(self.token_terms, part, layout=self.layout, terms=terms, watches=watches))

    def _within(self, run: Callable[[], T]) -> T:
        """One use of the model, whatever part of it is called."""
        with self._autocast():
            return run()

    # --- learning ---

    def update(self, batch: Batch, objective: Objective, *, lr: float) -> UpdateStats:
        """One optimiser step on the whole batch. A step that is not finite is skipped and counted; the third in a row raises Diverged.

        Raises ValueError for a column that the objective reads and nobody scored.
        """
        for name in objective.reads:
            batch.column(name)
        stats = UpdateStats(lr=lr)
        plan = self._plan(batch, objective)
        progress = in_progress()
        if progress:
            progress.total -= len(batch) - sum(map(len, plan))
        self.optimizer.zero_grad(set_to_none=True)
        last = plan[-1] if plan else None
        for rows, loss in self._losses(batch, objective, plan, stats):
            with phase("backward"):
                if self.in_backward and rows is last:  # what came before has added its gradient
                    self._update_in_backward(self.in_backward, loss, stats, lr)
                else:
                    loss.backward()
            if progress:
                progress.finished(len(rows))
        if plan and not self.in_backward:
            with uninterrupted(), phase("optimiser"):
                self._step(stats, lr)
        return stats

    def measure(self, batch: Batch, objective: Objective) -> UpdateStats:
        """What an update on this batch would report, without gradient or step: a held-out loss."""
        stats = UpdateStats(lr=0.0)
        with torch.no_grad():
            for _ in self._losses(batch, objective, self._plan(batch, objective), stats):
                pass
        return stats

    def _losses(
        self, batch: Batch, objective: Objective, plan: list[Int[Tensor, "..."]], stats: UpdateStats
    ) -> Iterator[tuple[Int[Tensor, "..."], Float[Tensor, ""]]]:
        """The rows of each micro-batch and its part of the loss."""
        stats.measured = dict.fromkeys(objective.measures, 0.0)
        weight = objective.weight(batch)
        self.model.train()
        for rows, counts in self._turns(batch, plan):
            noted = stats if counts else UpdateStats(lr=0.0, measured=dict(stats.measured))
            own = weight_of(weight, batch, rows, objective)
            loss = self._loss(batch.take(rows), own if counts else torch.zeros_like(own), objective, noted)
            noted.add_loss(loss)
            yield rows, loss
        stats.settle()
        self._add_up(stats)

    def _plan(self, batch: Batch, objective: Objective) -> list[Int[Tensor, "..."]]:
        """The micro-batches of an update: whole units, those of which some sequence has something to teach."""
        idle = trained(batch) == 0
        if objective.idle:
            idle = idle | objective.idle(batch)
        units = torch.arange(len(batch)).reshape(-1, objective.rows_per_unit)
        rows = units[~idle.reshape(units.shape).all(1)].reshape(-1)
        return self._cut(batch, rows, self.tokens_per_micro_batch, rows_per_unit=objective.rows_per_unit)

    def _cut(self, batch: Batch, rows: Int[Tensor, "R"], tokens: int, *, rows_per_unit: int = 1) -> list[Int[Tensor, "..."]]:
        if self.layout == "shared":
            return shared_micro_batches(batch, rows, tokens, rows_per_unit=rows_per_unit)
        return micro_batches(batch.lengths, rows, tokens, rows_per_unit=rows_per_unit, packed=self.layout == "packed")

    def _kept_elsewhere(self) -> AbstractContextManager[Any]:
        """Where what the backward pass needs waits for it: with --offload-activations in the machine's memory, away from a GPU."""
        offloads = self.savings.offload_activations and self.device.type != "cpu"
        return torch.autograd.graph.save_on_cpu(pin_memory=True) if offloads else nullcontext()

    def _loss(self, part: Batch, weight: Tensor, objective: Objective, stats: UpdateStats) -> Float[Tensor, ""]:
        """`part` may still be on the CPU: where it goes in the model's tensors is worked out there, without waiting for a device."""
        with phase("forward"), self._kept_elsewhere():
            terms = self._forward(part, terms=objective.terms, watches=objective.watches)
            part = part.to(self.device)
            loss = objective.loss(terms, part)
        weight = weight.to(self.device, non_blocking=True)
        if loss.shape != weight.shape:
            raise ValueError(f"the objective's loss has the shape {tuple(loss.shape)} and its weight {tuple(weight.shape)}")
        stats.add(part, objective, {name: value.detach() for name, value in terms.items()})
        per_token = len(loss) == len(part.tokens)
        return torch.where(part.mask, weight * loss, 0.0).sum() if per_token else (weight * loss).sum()

    def _step(self, stats: UpdateStats, lr: float) -> None:
        gradients = [p.grad for p in self.trainable.values() if p.grad is not None]
        norm = self._total_norm(gradients)
        stats.grad_norm = float(norm)
        if not (math.isfinite(stats.loss) and math.isfinite(stats.grad_norm)):
            self._skip_step(stats)  # before clipping, which would spread one tensor's nan over all
            return
        self._clip(norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.version += 1
        self.skipped_in_a_row = 0
        stats.updates = 1

    def _update_in_backward(self, within: InBackward, loss: Float[Tensor, ""], stats: UpdateStats, lr: float) -> None:
        """The last micro-batch's backward pass, and the step within it: of parameters whose gradient is finite."""
        with uninterrupted():
            square, stepped, left_out = within.run(loss, lr)
        stats.grad_norm = math.sqrt(square) if stepped or not left_out else math.nan
        stats.updates = int(bool(stepped))
        self.version += stats.updates
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if left_out else 0
        stats.skipped = int(bool(left_out))
        if self.skipped_in_a_row >= STEPS_BEFORE_GIVING_UP:
            raise Diverged(f"{self.skipped_in_a_row} steps in a row had gradients that were not finite, the last of {left_out} tensors")

    def _total_norm(self, gradients: list[Tensor]) -> Float[Tensor, ""]:
        return nn.utils.get_total_norm(gradients)

    def _clip(self, norm: Float[Tensor, ""]) -> None:
        nn.utils.clip_grads_with_norm_(self.trainable.values(), self.settings.max_grad_norm, norm)

    def _skip_step(self, stats: UpdateStats) -> None:
        broken = [name for name, p in self.trainable.items() if p.grad is not None and not self.holds(_is_finite, p.grad)]
        self.optimizer.zero_grad(set_to_none=True)
        stats.skipped = 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= STEPS_BEFORE_GIVING_UP:
            where = f"{len(broken)} of {len(self.trainable)} tensors, first {broken[0]}" if broken else "none"
            if not broken:
                where += "; the loss itself" if not math.isfinite(stats.loss) else "; their norm is too large for a float"
            raise Diverged(
                f"{self.skipped_in_a_row} steps in a row were not finite and were skipped: loss {stats.loss}, gradient norm "
                f"{stats.grad_norm}, learning rate {stats.lr:g}, policy version {self.version}; gradients not finite in {where}. "
                "Lower the learning rate or the precision's risk (fp32), and look at the last rollouts of the run."
            )

    # --- what its parameters are, where a copy of them is kept; a learner of many processes holds a part of each ---

    writes = True
    """Whether it is this process that writes files of one piece."""

    def exchange(self, parameter: nn.Parameter, other: Tensor) -> Tensor:
        """Puts other values into a parameter. Returns those that it had."""
        parameter.data, other = other, parameter.data
        return other

    def holds(self, test: Callable[[Tensor], bool], tensor: Tensor) -> bool:
        """Whether a test that holds of a tensor where it does of all its parts holds of one of the parameters' kind."""
        return test(tensor)

    def whole(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Tensors of the parameters' kind, as they are written."""
        return tensors

    def own_part(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What `whole` gave, named as what trains, as tensors of the parameters' kind."""
        return tensors

    # --- on disk ---

    def save_model(self, folder: Path) -> None:
        """In the format of transformers (full) or peft (adapter), loadable by `from_pretrained`."""
        # embeddings are the base's own; to decide, peft would ask the hub at each save. Other adapters are other learners'
        kept = {"save_embedding_layers": False, "selected_adapters": [self.model.active_adapter]} if self.lora else {}
        self.model.save_pretrained(folder, **kept)

    def save_head(self, folder: Path) -> None:
        """The value head, beside a model or adapter."""
        from safetensors.torch import save_file

        save_file({"weight": self.trainable[VALUE_HEAD].detach().cpu().contiguous()}, folder / HEAD_FILE, metadata=self.head_facts or None)

    def save(self, folder: Path) -> None:
        """The model as `save_model`, and what else a bit-exact continuation needs."""
        self.save_model(folder / "model")
        if VALUE_HEAD in self.trainable:
            self.save_head(folder / "model")
        state = {"optimizer": self.optimizer.state_dict(), "version": self.version, "skipped": self.skipped_in_a_row}
        torch.save(state, folder / TRAINER_FILE)

    def checkpoint_bytes(self) -> int:
        """About what `save` writes: what trains (a LoRA) or the whole model, and two moments of what trains."""
        return 3 * sum(p.numel() * p.element_size() for p in self.trainable.values())

    def load(self, folder: Path) -> None:
        """Into a learner that was built the same way as the saved one. Raises ValueError, or what reads the files, if it is another's."""
        if self.lora:
            from peft import get_peft_model_state_dict, set_peft_model_state_dict
            from safetensors.torch import load_file

            tensors = load_file(folder / "model" / "adapter_model.safetensors", device=str(self.device))
            require_same(get_peft_model_state_dict(self.model, save_embedding_layers=False), tensors, "the adapter")
            set_peft_model_state_dict(self.model, tensors)
        else:
            saved, seen = AutoModelForCausalLM.from_pretrained(
                folder / "model", dtype=self._dtype, trust_remote_code=False, local_files_only=True, output_loading_info=True
            )
            if lost := [*seen["missing_keys"], *seen["unexpected_keys"], *seen["mismatched_keys"]]:
                raise ValueError(f"its weights are not this model's ({len(lost)} differ, first {lost[0]})")
            self.model.load_state_dict(saved.state_dict())
        # to the CPU: the optimiser moves its moments to the parameters and leaves its counters there, where reading them waits for no GPU
        state = torch.load(folder / TRAINER_FILE, map_location="cpu", weights_only=True)
        if (folder / PARTS).is_dir():
            state["optimizer"] = self._moments_in_parts(folder / PARTS, state)
        self._require_own(state)
        self._load_head(folder / "model" / HEAD_FILE)
        self.optimizer.load_state_dict(state["optimizer"])
        self.version, self.skipped_in_a_row = state["version"], state["skipped"]

    def _moments_in_parts(self, folder: Path, state: Any) -> dict[str, Any]:
        """The optimiser's state as many processes wrote it, each its parts, by torch.distributed.checkpoint; read by any number."""
        from torch import distributed
        from torch.distributed import checkpoint

        steps = state["steps"]
        if steps and steps.keys() != self.trainable.keys():
            raise ValueError(f"{TRAINER_FILE} is another policy's")
        kinds = ("exp_avg", "exp_avg_sq")
        moments = {f"{kind}.{name}": torch.zeros_like(self.trainable[name]) for name in steps for kind in kinds}
        if moments:
            alone = not (distributed.is_available() and distributed.is_initialized())
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it is
                checkpoint.load(moments, storage_reader=checkpoint.HuggingFaceStorageReader(str(folder)), no_dist=alone)
        found = [
            {"step": torch.tensor(step)} | {kind: moments[f"{kind}.{name}"].detach() for kind in kinds} for name, step in steps.items()
        ]
        return {"state": dict(enumerate(found)), "param_groups": self.optimizer.state_dict()["param_groups"]}

    def _load_head(self, file: Path) -> None:
        from safetensors.torch import load_file

        head = self.trainable.get(VALUE_HEAD)
        if head is None and not file.exists():
            return
        saved = load_file(file)["weight"] if file.exists() else None
        if getattr(saved, "shape", None) != getattr(head, "shape", None):
            raise ValueError("the checkpoint has no value head of this policy's width" if head is not None else "it has a value head")
        head.data.copy_(saved)

    def _require_own(self, state: Any) -> None:
        if not isinstance(state, dict) or not isinstance(state.get("version"), int) or not isinstance(state.get("skipped"), int):
            raise ValueError("trainer.pt holds no trainer's state")
        shapes = [parameter.shape for parameter in self.trainable.values()]
        for place, moments in state["optimizer"]["state"].items():
            if place >= len(shapes) or not fits(moments, shapes[place]):
                raise ValueError("trainer.pt is another policy's")


def weight_of(weight: Tensor, batch: Batch, rows: Int[Tensor, "R"], objective: Objective) -> Tensor:
    """What the units of some sequences count: [N] or [U] of the whole step to that of a part."""
    if len(weight) == len(batch.tokens):
        return weight[batch.places(rows)]
    return weight[rows.reshape(-1, objective.rows_per_unit)[:, 0] // objective.rows_per_unit]


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def require_same(own: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    wrong = [name for name, tensor in own.items() if name not in given or given[name].shape != tensor.shape]
    if wrong:
        raise ValueError(f"{what} is another policy's ({len(wrong)} of {len(own)} tensors, first {wrong[0]})")
