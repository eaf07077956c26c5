"""Log-probabilities of given tokens, and entropies, straight from hidden states: a chunk of tokens at a time, with a gradient of its own.

A token's log-probability depends on its own hidden state alone, so that its gradient is a factor that comes later times a vector that is
known now: c (W[y] - sum_v p_v W[v]), where c is the head's scale over the temperature. With a head that does not train (an adapter
elsewhere) that vector is all that is kept, and the head runs once; with one that does, or where many tokens' log-probabilities are asked
for at each place (distillation), logits are made again, a chunk at a time. Either way no graph of logits exists, and memory grows with
the chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from rollout.modules.linear_products import product

_ROWS_AT_ONCE = 2**14


@dataclass(frozen=True)
class HeadRule:
    """From hidden states to log-probabilities, besides the weights: softmax(cap(scale (W h + b)) / temperature)."""

    scale: float
    softcap: float | None
    temperature: float
    entropy: bool | None
    """Whether it has a gradient; None: nobody asks for it."""
    chunk: int
    """Tokens."""


def chosen_terms(
    hidden: Float[Tensor, "M H"], weight: Float[Tensor, "V H"], bias: Float[Tensor, " V"] | None, targets: Int[Tensor, "M"], rule: HeadRule,
    top: Int[Tensor, "M K"] | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """[M]: log-probability of each target, and if asked for the entropy of its distribution; [M K+1] with `top`, different ids: theirs,
    then that of all others together. At least float32. Under autocast products are in its dtype, as the head's own would be."""
    found: tuple[Tensor | None, ...] = _Chosen.apply(hidden, weight, bias, targets, rule, top)  # type: ignore[no-untyped-call]
    return tuple(each for each in found if each is not None)


@dataclass
class _Chunk:
    """Of c tokens, before division by the sum: exp(z - max), z - max, log of the sum, and d z / d (W h + b)."""

    rows: slice
    weights: Tensor
    above: Tensor
    total: Tensor
    logp: Tensor
    entropy: Tensor | None
    slope: Tensor | float
    top: "_Top | None"

    def towards(self, gradient: Tensor) -> Tensor:
        """From a gradient of the logits z to one of W h + b; in place."""
        return gradient.mul_(self.slope) if isinstance(self.slope, Tensor) or self.slope != 1.0 else gradient


@dataclass
class _Top:
    """Of c tokens and K ids each, before division by the sum."""

    ids: Tensor
    weights: Tensor
    others: Tensor
    """[c], of all other ids: summed over them, since a difference would be rounding where it is small. Never 0: it has a logarithm."""
    logp: Tensor


def _chunks(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, rule: HeadRule, top: Tensor | None = None
) -> Iterator[_Chunk]:
    for start in range(0, max(1, len(hidden)), rule.chunk):
        rows = slice(start, min(start + rule.chunk, len(hidden)))
        logits = product(hidden[rows], weight, bias)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        slope: Tensor | float = rule.scale / rule.temperature
        if rule.scale != 1.0:
            logits *= rule.scale
        if rule.softcap:
            logits = torch.tanh(logits / rule.softcap)
            slope = (1 - logits.square()).mul_(slope)
            logits *= rule.softcap
        if rule.temperature != 1.0:
            logits /= rule.temperature
        above = logits.sub_(logits.amax(-1, keepdim=True))
        chosen = above.gather(1, targets[rows, None]).squeeze(1)
        of_top = above.gather(1, top[rows]) if top is not None else None
        weights = above.exp() if rule.entropy is not None else above.exp_()
        total = weights.sum(-1)
        entropy = total.log() - above.mul_(weights).sum(-1) / total if rule.entropy is not None else None
        # `above` is now weights x (z - max), which the entropy's gradient needs; nobody needs it without
        told = _top(weights, top[rows], of_top, total) if top is not None and of_top is not None else None
        yield _Chunk(rows, weights, above, total, chosen - total.log(), entropy, slope, told)


def _top(weights: Tensor, ids: Tensor, above: Tensor, total: Tensor) -> _Top:
    own = weights.gather(1, ids)
    others = weights.scatter_(1, ids, 0.0).sum(-1).clamp_min(torch.finfo(weights.dtype).tiny)
    weights.scatter_(1, ids, own)
    return _Top(ids, own, others, torch.cat([above, others.log()[:, None]], 1) - total.log()[:, None])


class _Chosen(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, rule: HeadRule, top: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        ctx.rule, ctx.dtypes = rule, (hidden.dtype, weight.dtype)
        ctx.known_now = ctx.needs_input_grad[0] and not any(ctx.needs_input_grad[1:3]) and top is None
        device = hidden.device.type
        width = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        given = (hidden.to(width), weight.to(width), None if bias is None else bias.to(width))
        logp, entropies, tops, of_logp, of_entropy = (list[Tensor]() for _ in range(5))
        with torch.autocast(device, enabled=False):
            for chunk in _chunks(*given, targets, rule, top):
                logp.append(chunk.logp)
                tops += [chunk.top.logp] if chunk.top else []
                if chunk.entropy is not None:
                    entropies.append(chunk.entropy)
                if ctx.known_now:
                    one, other = _vectors(chunk, given[1], targets[chunk.rows], bool(rule.entropy))
                    of_logp.append(one)
                    of_entropy += other
        if ctx.known_now:
            ctx.save_for_backward(torch.cat(of_logp), torch.cat(of_entropy) if of_entropy else None)
        elif any(ctx.needs_input_grad[:3]):
            ctx.save_for_backward(*given, targets, top)
        whole = torch.cat(entropies) if entropies else None
        if whole is not None and not rule.entropy:
            ctx.mark_non_differentiable(whole)
        return torch.cat(logp), whole, torch.cat(tops) if tops else None

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_logp: Tensor, of_entropy: Tensor | None, of_top: Tensor | None) -> tuple[Tensor | None, ...]:
        if not ctx.rule.entropy:
            of_entropy = None
        if not ctx.known_now:
            return (*_recomputed(ctx, of_logp, of_entropy, of_top), None, None, None)
        vector, of_entropys = ctx.saved_tensors
        gradient = vector * of_logp[:, None]
        if of_entropy is not None and of_entropys is not None:
            gradient += of_entropys * of_entropy[:, None]
        return gradient.to(ctx.dtypes[0]), None, None, None, None, None


def _vectors(chunk: _Chunk, weight: Tensor, targets: Tensor, entropy: bool) -> tuple[Tensor, list[Tensor]]:
    """[c H]: the gradient of each log-probability towards its hidden state, and of each entropy if it has one."""
    of_entropy: list[Tensor] = []
    if entropy and chunk.entropy is not None:
        # dH/dz = -p (log p + H)
        level = (chunk.total.log() - chunk.entropy)[:, None]
        of_entropy.append(_mean_of(chunk.towards(chunk.above.neg_().addcmul_(chunk.weights, level)), weight, chunk.total))
    # p - 1 at the target before the product, not W[y] after it: of a token that is nearly certain little would be left but rounding
    apart = chunk.weights.scatter_add_(1, targets[:, None], -chunk.total[:, None])
    return _mean_of(chunk.towards(apart), weight, chunk.total).neg_(), of_entropy


def _mean_of(weights: Tensor, weight: Tensor, total: Tensor) -> Tensor:
    """sum_v weights_v W[v] / total."""
    summed = product(weights.to(weight.dtype), weight.t())
    return summed.to(total.dtype) / total[:, None]


def _recomputed(ctx: Any, of_logp: Tensor, of_entropy: Tensor | None, of_top: Tensor | None) -> tuple[Tensor | None, ...]:
    """Gradients of hidden states, weight and bias, from logits that are made again."""
    hidden, weight, bias, targets, top = ctx.saved_tensors
    of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
    of_weight = torch.zeros_like(weight, dtype=ctx.dtypes[1]) if ctx.needs_input_grad[1] else None
    of_bias = None if not ctx.needs_input_grad[2] else of_logp.new_zeros(len(weight))
    for chunk in _chunks(hidden, weight, bias, targets, ctx.rule, top):
        rows = chunk.rows
        share = _of_logits(chunk, targets[rows], *(None if each is None else each[rows] for each in (of_logp, of_entropy, of_top)))
        share = chunk.towards(share).to(weight.dtype)
        if of_hidden is not None:
            of_hidden[rows] = product(share, weight.t())
        if of_weight is not None:
            for part in range(0, len(weight), _ROWS_AT_ONCE):  # so that no second tensor of the weight's size is made
                of_weight[part : part + _ROWS_AT_ONCE] += product(share[:, part : part + _ROWS_AT_ONCE].t(), hidden[rows].t())
        if of_bias is not None:
            of_bias += share.sum(0)
    return None if of_hidden is None else of_hidden.to(ctx.dtypes[0]), of_weight, of_bias


def _of_logits(chunk: _Chunk, targets: Tensor, of_logp: Tensor | None, of_entropy: Tensor | None, of_top: Tensor | None) -> Tensor:
    """[c V], the gradient of the logits z, in place of the chunk's weights.

    d log p_y / dz = [y] - p; d log(sum of others) / dz = p [others] / their share - p; dH / dz = -p (log p + H).
    """
    assert of_logp is not None
    everywhere = -of_logp
    if of_entropy is not None and chunk.entropy is not None:
        everywhere = everywhere + of_entropy * (chunk.total.log() - chunk.entropy)
    if chunk.top and of_top is not None:
        everywhere = everywhere - of_top.sum(-1)
        among_others = everywhere / chunk.total + of_top[:, -1] / chunk.top.others
        share = chunk.weights.mul_(among_others[:, None])
        share.scatter_(1, chunk.top.ids, chunk.top.weights * (everywhere / chunk.total)[:, None] + of_top[:, :-1])
    else:
        share = chunk.weights.mul_((everywhere / chunk.total)[:, None])
    if of_entropy is not None and chunk.entropy is not None:
        share -= chunk.above.mul_((of_entropy / chunk.total)[:, None])
    return share.scatter_add_(1, targets[:, None], of_logp[:, None].to(share.dtype))
