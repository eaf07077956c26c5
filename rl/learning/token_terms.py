"""Log-probabilities and entropy of given tokens, and the most likely others, without ever holding N x V; and what a value head says.

The backbone gives hidden states; the output head runs over the wanted tokens only, a chunk at a time (`rl/forward/output_head.py`; where
more is asked of logits than that knows of, and for heads that are not a plain linear layer, the chunk is run again in the backward
pass). Models whose head does more than one linear map (soft-capped or scaled logits) are recognised by comparing with
the model's own logits once; the few that this file cannot reproduce fall back to the model's whole forward pass.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rl.forward.output_head import HeadRule, chosen_terms
from rl.learning.layout import LAYOUTS, Layout, LayoutName, variable_lengths
from rl.objectives.batch import Batch, lay_out
from rl.objectives.objective import Terms
from rollout.modules.linear_products import QuickLinear
from rollout.phases import phase

MAX_LOGITS = 2**25
"""Elements of the largest logits tensor: 128 MiB in float32."""
_CLOSE = 1e-3
"""Of two ways to the same logits, in float32."""
_OF_HEAD = ("logp", "entropy", "top_logp")
_OF_VALUE_HEAD = ("value", "value_apart", "score")


class TokenTerms:
    """Callable on a causal model (transformers, or peft around one)."""

    def __init__(self, model: nn.Module, *, chunked: bool | None = None):
        """`chunked`: whether the head can be run apart from the rest, where it is known; else it is tried."""
        self.model = model
        causal: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.backbone = getattr(causal, causal.base_model_prefix, None)
        self.head = causal.get_output_embeddings()
        config = causal.config.get_text_config()
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        # Cohere multiplies by logit_scale, Granite divides by logits_scaling
        self.scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
        self.vocabulary = int(config.vocab_size)
        self.value_head: nn.Linear | None = None
        """H -> 1, in float32: who has one gives it. Then there are `value`, `value_apart` and `score` too."""
        self.chunked = self.backbone is not None and self.head is not None and (chunked or self._reproduces_the_model())

    def _reproduces_the_model(self) -> bool:
        tokens = (torch.arange(8, device=self._device) * 7 % self.vocabulary)[None]
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            own = self._logits(self.backbone(input_ids=tokens, use_cache=False).last_hidden_state)
            theirs = _at_least_float32(self.model(input_ids=tokens, use_cache=False).logits)
        self.model.train(was_training)
        return own.shape == theirs.shape and torch.allclose(own, theirs, atol=_CLOSE, rtol=_CLOSE)

    @property
    def flash(self) -> bool:
        """Whether attention takes sequences of several lengths as such."""
        return "flash" in str(getattr(self.model.config, "_attn_implementation", ""))

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def allows(self, layout: LayoutName) -> bool:
        """Whether the model gives in this layout what it gives padded. A model may let packed sequences see each other, in silence."""
        if layout == "padded":
            return True
        if getattr(self.model.config.get_text_config(), "attention_chunk_size", None):  # chunks are counted from the tensor's beginning
            return False
        count = min(self.vocabulary, 24)
        sequences = [[(7 * n + 3 * length) % count for n in range(length)] for length in (9, 5, 7)]
        sequences[2][:3] = sequences[1][:3]  # a prompt that two share
        masks = [[n > 0 for n in range(len(sequence))] for sequence in sequences]
        beside = [[(5 * token + 1) % count for token in sequences[0]], *sequences[1:]]
        batch, other = (lay_out(each, masks, [1, 3, 3], groups=[0, 1, 1]).to(self._device) for each in (sequences, beside))
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                own, plain = (self(batch, layout=name)["logp"] for name in (layout, "padded"))
                apart = self(other, layout=layout)["logp"]
        except (TypeError, ValueError, RuntimeError, IndexError):  # it takes no positions, or not these
            return False
        finally:
            self.model.train(was_training)
        # of a model that was just drawn, what leaks is small at first: another neighbour must not change one bit
        same = torch.equal(own[batch.row > 0], apart[batch.row > 0])
        bound = 0.05 if next(self.model.parameters()).dtype in (torch.bfloat16, torch.float16) else _CLOSE
        return same and torch.allclose(own, plain, atol=bound, rtol=bound)

    def _logits(self, hidden: Float[Tensor, "... H"]) -> Float[Tensor, "... V"]:
        logits = _at_least_float32(self.head(hidden)) * self.scale
        return self.softcap * torch.tanh(logits / self.softcap) if self.softcap else logits

    def __call__(
        self, batch: Batch, *, layout: LayoutName = "padded", terms: Collection[str] = ("logp",), watches: Collection[str] = ()
    ) -> Terms:
        """`terms`, with gradient, and `watches`, without, [N] each; at least float32, 0 where the batch's mask is False.

        Under softmax(logits / temperature): `logp`, `entropy`, and `top_logp` [N K+1], those of the ids of the column `teacher_top` [N K],
        then that of all others together. Of the value head: `value`, of the text before token n was chosen;
        `value_apart`, the same without a gradient into the model; `score`, of the text with token n. Raises ValueError where there is none.
        """
        wanted = {*terms, *watches}
        with phase("lay out"):
            laid, places, source, targets = self._laid(batch, layout)
        found: dict[str, Tensor] = {}
        if self.chunked:
            states = self.backbone(**laid.inputs, use_cache=False).last_hidden_state.flatten(0, 1)
        else:
            deep = bool(wanted.intersection(_OF_VALUE_HEAD))
            whole = self.model(**laid.inputs, use_cache=False, output_hidden_states=deep)
            states = whole.hidden_states[-1].flatten(0, 1) if deep else None
        if wanted.intersection(_OF_HEAD):
            read = _Reader(batch.temperature, None if "entropy" not in wanted else "entropy" in terms)
            tops = (self._here(batch.column("teacher_top")[batch.mask]),) if "top_logp" in wanted else ()
            if self.chunked and type(self.head) in (nn.Linear, QuickLinear):
                of_head = chosen_terms(states[source], self.head.weight, self.head.bias, targets, self._rule(read), *tops)
            elif self.chunked:
                of_head = self._by_chunks(read, states[source], targets, *tops)
            else:
                of_head = read(_at_least_float32(whole.logits.flatten(0, 1)[source]), targets, *tops)
            found = dict(zip([name for name in _OF_HEAD if name == "logp" or name in wanted], of_head, strict=True))
        for name in wanted.intersection(_OF_VALUE_HEAD):
            with torch.set_grad_enabled(name in terms and torch.is_grad_enabled()):
                where = self._here(laid.own[batch.mask]) if name == "score" else source
                found[name] = self._by_value_head(states[where], apart=name == "value_apart")
        return {name: _over_all(value, places, len(batch.mask)) for name, value in found.items()}

    def _laid(self, batch: Batch, layout: LayoutName) -> tuple[Layout, Tensor, Tensor, Tensor]:
        """(layout, where the masked tokens are, where the states that predict them lie, those tokens), on the model's device.

        Found where the batch is: on the CPU nothing is waited for.
        """
        laid, places = LAYOUTS[layout](batch), batch.mask.nonzero().squeeze(1)
        if layout == "packed" and self.flash:
            laid = replace(laid, inputs={**laid.inputs, **variable_lengths(batch)})
        return laid.to(self._device), *(self._here(each) for each in (places, laid.source[places], batch.tokens[places]))

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=self._device.type == "cuda")

    def top(
        self, batch: Batch, count: int, *, layout: LayoutName = "padded", below: int | None = None
    ) -> tuple[Int[Tensor, "N K"], Float[Tensor, "N K1"]]:
        """The `count` most likely ids in place of each token, and log-probabilities: theirs, then that of all others together.

        0 where the batch's mask is False; without gradient. `below`: ids from it on are among the others (another model may not have them).
        """
        laid, places, source, _ = self._laid(batch, layout)

        def read(logits: Tensor) -> tuple[Tensor, ...]:
            every = torch.log_softmax(logits / batch.temperature, dim=-1)
            values, ids = every[:, :below].topk(count, dim=-1)
            return ids, torch.cat([values, _others(every, ids)[:, None]], 1)

        with torch.no_grad():
            if self.chunked:
                found = self._by_chunks(read, self.backbone(**laid.inputs, use_cache=False).last_hidden_state.flatten(0, 1)[source])
            else:
                found = read(_at_least_float32(self.model(**laid.inputs, use_cache=False).logits.flatten(0, 1)[source]))
        ids, values = (_over_all(each, places, len(batch.mask)) for each in found)
        return ids, values

    @property
    def _tokens_at_once(self) -> int:
        return max(1, MAX_LOGITS // max(1, self.head.weight.shape[0]))

    def _rule(self, read: "_Reader") -> HeadRule:
        return HeadRule(self.scale, self.softcap, read.temperature, read.entropy, self._tokens_at_once)

    def _by_value_head(self, hidden: Float[Tensor, "M H"], *, apart: bool) -> Float[Tensor, "M"]:
        if self.value_head is None:
            raise ValueError("this model has no value head, so it says no value or score of a text")
        with torch.autocast(hidden.device.type, enabled=False):  # as precise as its parameters: a value is a sum to be subtracted
            given = (hidden.detach() if apart else hidden).to(self.value_head.weight.dtype)
            return _at_least_float32(self.value_head(given).squeeze(-1))

    def _by_chunks(self, read: Callable[..., tuple[Tensor, ...]], hidden: Float[Tensor, "M H"], *of_token: Tensor) -> tuple[Tensor, ...]:
        """What `read(logits, *of_token)` says, a chunk of tokens at a time."""
        size = self._tokens_at_once

        def run(hidden: Tensor, *of_token: Tensor) -> tuple[Tensor, ...]:
            return read(self._logits(hidden), *of_token)

        if len(hidden) <= size:
            return run(hidden, *of_token)
        # recomputing the head in the backward pass is what keeps one chunk of logits alive instead of all of them
        parts = [
            checkpoint(run, *each, use_reentrant=False) if torch.is_grad_enabled() else run(*each)
            for each in zip(hidden.split(size), *(x.split(size) for x in of_token), strict=True)
        ]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _over_all(value: Tensor, places: Int[Tensor, "M"], tokens: int) -> Tensor:
    """Of the masked tokens to all: 0 elsewhere."""
    return value.new_zeros(tokens, *value.shape[1:]).index_copy(0, places, value)


def _others(every: Float[Tensor, "M V"], ids: Int[Tensor, "M K"]) -> Float[Tensor, "M"]:
    """Log-probability of all but these ids. Summed over them, since 1 - sum of the others would be rounding where it is small."""
    return every.scatter(1, ids, float("-inf")).logsumexp(-1)


@dataclass(frozen=True)
class _Reader:
    """What is wanted of logits: (log-probability, entropy, those of `top` and of all others), as far as it is."""

    temperature: float
    entropy: bool | None
    """Whether with its gradient; None: nobody asks."""

    def __call__(
        self, logits: Float[Tensor, "M V"], targets: Int[Tensor, "M"], top: Int[Tensor, "M K"] | None = None
    ) -> tuple[Tensor, ...]:
        every = torch.log_softmax(logits / self.temperature, dim=-1)
        found = [every.gather(1, targets[:, None]).squeeze(1)]
        if self.entropy is not None:
            with torch.set_grad_enabled(self.entropy and torch.is_grad_enabled()):
                found.append(-(every.exp() * every).sum(-1))
        if top is not None:
            found.append(torch.cat([every.gather(1, top), _others(every, top)[:, None]], 1))
        return tuple(found)
