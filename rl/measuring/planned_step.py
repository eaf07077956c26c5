"""What a training step holds at its most, found by doing it on tensors without storage: no weights are read and nothing is computed.

The passes are the very ones of training (its layout, its head in chunks, its checkpoints, its optimiser), so that what autograd keeps and
when it lets go of it is not modelled but seen, of any architecture. Left out: what operators make for themselves, and what an allocator
keeps. Models that look at numbers to decide what to compute (experts that are chosen by a router) cannot be gone through this way.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from rl.learning.adapters import Lora, with_adapter
from rl.learning.layout import LAYOUTS, LayoutName
from rl.learning.model_loading import prepare_model
from rl.learning.token_terms import TokenTerms
from rl.measuring.live_memory import LiveMemory
from rl.objectives.batch import Batch, lay_out, micro_batches, shared_micro_batches
from rl.saving.optimizers import moment_bytes
from rl.saving.quantization import narrow_bytes, quantizable
from rl.saving.savings import Savings


class Unforeseen(Exception):
    """This model cannot be gone through without its numbers."""


@dataclass(frozen=True)
class Work:
    """What a step computes."""

    batch: Batch
    layout: LayoutName
    tokens_per_micro_batch: int
    rows_per_unit: int = 1
    terms: tuple[str, ...] = ("logp",)
    watches: tuple[str, ...] = ()
    scores: bool = False
    """Whether the batch is scored before the update, in passes without gradient of twice as many tokens."""
    top: int = 0
    """Tokens of a teacher that are singled out, where the terms have `top_logp`."""

    def parts(self, factor: int = 1) -> list[Tensor]:
        """The rows of each micro-batch, as a learner cuts them."""
        every, most = torch.arange(len(self.batch)), factor * self.tokens_per_micro_batch
        unit = self.rows_per_unit if factor == 1 else 1
        if self.layout == "shared":
            return shared_micro_batches(self.batch, every, most, rows_per_unit=unit)
        return micro_batches(self.batch.lengths, every, most, rows_per_unit=unit, packed=self.layout == "packed")

    def largest(self, factor: int = 1) -> Batch:
        """The micro-batch that takes the most places in the model's tensors."""
        found = [self.batch.take(rows) for rows in self.parts(factor)]
        return max(found, key=lambda part: LAYOUTS[self.layout](part).inputs["input_ids"].numel())


@dataclass(frozen=True)
class StepBytes:
    weights: int
    """Of the model and what was added to it, all widths as they are."""
    trained: int
    """Numbers that train."""
    gradients: int
    moments: int
    passing: int
    """What a step takes at its most besides all of these, gradients whole or not yet."""
    merged: int
    """A second copy of the weights that an adapter touches, in which it lies while the model samples."""


def batch_of_lengths(groups: Sequence[tuple[int, Sequence[int]]]) -> Batch:
    """Sequences of so many tokens: of each group the prompt's length, and those of what follows it, all of which trains."""
    rows = [(number, prompt, length) for number, (prompt, lengths) in enumerate(groups) for length in lengths]
    return lay_out(
        [[0] * (prompt + length) for _, prompt, length in rows],
        [[False] * max(prompt, 1) + [True] * (prompt + length - max(prompt, 1)) for _, prompt, length in rows],
        [prompt for _, prompt, _ in rows],
        groups=[number for number, _, _ in rows],
    )


class BareLearner:
    """A model without storage, made fit to be trained as a learner makes it."""

    def __init__(
        self, shape: Any, lora: Lora | None, *, bf16: bool, gradient_checkpointing: bool = False, value_head: bool = False,
        savings: Savings | None = None, device: str | None = None, wide_base: bool = False,
    ):  # fmt: skip
        """`shape`: a transformers config; `device`: where it would be trained, default CUDA where there is one. `wide_base`: what an
        adapter lies on is float32 in any case, because it will be merged into that.

        Raises ValueError where there is no such causal model, InputError as `with_adapter`.
        """
        from transformers import AutoModelForCausalLM

        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.autocast = torch.bfloat16 if bf16 else None
        width = torch.bfloat16 if bf16 and lora and not wide_base else torch.float32
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(shape, trust_remote_code=False, dtype=width)
            model = with_adapter(model, lora) if lora else model
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        _without_storage(model, self._mode, self.device)
        self.savings = savings or Savings()
        self.narrow = [layer for *_, layer in quantizable(model)] if lora and lora.quantization else []
        prepare_model(model, gradient_checkpointing=gradient_checkpointing, savings=self.savings)
        self.model, self.terms = model, TokenTerms(model, chunked=True)
        self.trainable = [p for p in model.parameters() if p.requires_grad]
        if value_head:
            head = nn.Linear(int(shape.get_text_config().hidden_size), 1, bias=False, device="meta")
            _without_storage(head, self._mode, self.device)
            self.terms.value_head = head
            self.trainable.append(head.weight)

    def held(self) -> list[Tensor]:
        """Each once."""
        head = self.terms.value_head
        every = [*self.model.parameters(), *self.model.buffers(), *(head.parameters() if head else ())]
        return list({id(tensor): tensor for tensor in every}.values())

    def weight_bytes(self) -> int:
        """Of `held`, those of a base in 4 bits as they will lie."""
        saved = sum(layer.weight.nbytes - narrow_bytes(layer.weight.numel()) for layer in self.narrow)
        return sum(tensor.nbytes for tensor in self.held()) - saved

    def step(self, work: Work) -> StepBytes:
        """What a step of AdamW holds. Raises Unforeseen for a model that computes by what its numbers are."""
        try:
            return self._step(work)
        except (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, IndexError) as error:
            raise Unforeseen(str(error)) from error

    def _step(self, work: Work) -> StepBytes:
        optimizer = torch.optim.AdamW(self.trainable, lr=0.0)
        part, several = work.largest(), len(work.parts()) > 1
        with LiveMemory(self.held()) as memory:
            looking = self._look(work, memory) if work.scores else 0
            for _ in range(1 + several):  # the second pass begins with the first one's gradients
                memory.from_here()
                self._pass(part, work)
            learning = memory.peak
            gradients = sum(p.grad.nbytes for p in self.trainable if p.grad is not None)
            memory.from_here()
            norm = nn.utils.get_total_norm([p.grad for p in self.trainable if p.grad is not None])
            nn.utils.clip_grads_with_norm_(self.trainable, 1.0, norm)
            optimizer.step()
            stepping = memory.peak
            optimizer.zero_grad(set_to_none=True)
        moments = sum(x.nbytes for state in optimizer.state.values() for x in state.values() if x.dim())
        own = moments if self.savings.optimizer == "adamw" else sum(moment_bytes(p.shape, self.savings) for p in self.trainable)
        moments, stepping = own, stepping - moments + own
        most = max(learning + moments, stepping, looking + moments)
        return StepBytes(
            weights=self.weight_bytes(),
            trained=sum(p.numel() for p in self.trainable),
            gradients=gradients,
            moments=moments,
            passing=max(0, most - gradients - moments),
            merged=0 if self.narrow else sum(_mergeable(self.model)),
        )

    def _pass(self, part: Batch, work: Work) -> None:
        found = self._terms(part, work, terms=work.terms, watches=work.watches)
        sum(found[name].sum() for name in work.terms).backward()  # type: ignore[union-attr]

    def _look(self, work: Work, memory: LiveMemory) -> int:
        with torch.no_grad():
            self._terms(work.largest(2), work, watches=("logp",))
        return memory.peak

    def _terms(self, part: Batch, work: Work, *, terms: Collection[str] = (), watches: Collection[str] = ()) -> Any:
        if work.top:
            part = part.with_columns({"teacher_top": torch.zeros(len(part.tokens), work.top, dtype=torch.long)})
        self.model.train()
        with torch.autocast(self.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            return self.terms(part.to(self.device), layout=work.layout, terms=terms, watches=watches)


def _without_storage(module: nn.Module, mode: FakeTensorMode, device: torch.device) -> None:
    """Every parameter and buffer as one of this device that has none; shared ones stay shared."""
    made: dict[int, Tensor] = {}
    for each in module.modules():
        for held in (each._parameters, each._buffers):
            for name, tensor in held.items():
                if tensor is None:
                    continue
                if id(tensor) not in made:
                    with mode:
                        bare = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)
                    is_parameter = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(bare, requires_grad=tensor.requires_grad) if is_parameter else bare
                held[name] = made[id(tensor)]  # type: ignore[assignment]


def _mergeable(model: nn.Module) -> Iterator[int]:
    """Bytes of each weight that `rollout/modules/merged_adapter.py` makes a second one of."""
    for module in model.modules():
        if hasattr(module, "lora_A") and hasattr(module, "get_base_layer") and not getattr(module, "lora_variant", None):
            base = module.get_base_layer()
            if isinstance(base, nn.Linear) and base.weight.dtype == torch.float32:
                yield base.weight.nbytes
