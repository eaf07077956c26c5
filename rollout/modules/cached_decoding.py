"""Completions drawn with a cache of keys and values, and without work that need not be done.

A prompt is read once, however many completions it has; rows that have ended leave the batch; the cache grows with room to spare, so that
a step copies nothing; the output head runs on the last position alone. Which token a row draws depends on its distribution and on one
uniform number of its own, drawn for every row in every step: who else is in the batch, and who has left it, changes nothing.

Models whose cache is not one of plain keys and values (sliding windows, convolutions, states), or whose logits are others this way, are
told apart by trying (`decodes`). Not covered: beams, and any change of the distribution but a temperature.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rollout.interruption import raise_if_interrupted

ENDED_SHARE = 0.125
"""Of the batch's rows: when so many have ended they leave it. To stay costs a row's share of a step, to leave a copy of the cache."""
_MASKED = "sdpa_masked_groups"
_MOST_DRAWN_AT_ONCE = 2**24


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row's tokens, and the log-probability of each under the distribution that it was drawn from."""

    tokens: list[int]
    logprobs: list[float]
    ended: bool
    """By itself; otherwise at the limit."""


@dataclass(frozen=True)
class Draws:
    """Where tokens come from, and when they end."""

    temperature: float
    """0: the likeliest token, with its log-probability at temperature 1."""
    generator: torch.Generator
    ended: Callable[[Sequence[int]], bool]
    """Asked after each token of a row, with all of them."""
    max_tokens: int


def draw(logits: Float[Tensor, "R V"], uniform: Float[Tensor, "R"], temperature: float) -> tuple[Int[Tensor, "R"], Float[Tensor, "R"]]:
    """The token of each row at which the cumulated probability passes its uniform number, and its log-probability.

    Sums are float64: in float32 the tail of a large vocabulary would be rounded away. A row of nan draws some token, whose log-probability
    is nan.
    """
    rows = max(1, _MOST_DRAWN_AT_ONCE // logits.shape[1])
    parts = [_draw(*part, temperature) for part in zip(logits.split(rows), uniform.split(rows), strict=True)]
    tokens, logp = (torch.cat(part) for part in zip(*parts, strict=True))
    return tokens, logp


def _draw(logits: Tensor, uniform: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    scaled = logits.float() if temperature in (0.0, 1.0) else logits.float() / temperature
    peak = scaled.amax(-1, keepdim=True)
    below = (scaled - peak).exp_().cumsum(-1, dtype=torch.float64)
    total = below[:, -1:]
    if temperature == 0:
        tokens = scaled.argmax(-1, keepdim=True)
    else:
        aim = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))  # never past the last that can be
        tokens = torch.searchsorted(below, aim, right=True).clamp_(max=logits.shape[1] - 1)
    logp = (scaled.gather(1, tokens) - peak).double() - total.log()
    return tokens.squeeze(1), logp.squeeze(1).float()


@torch.no_grad()
def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    of_row: Sequence[int],
    draws: Draws,
    *,
    pad_id: int,
    tell: Callable[[int, int], None] = lambda going, ended: None,
) -> list[Drawn]:
    """A completion for each entry of `of_row`, of the prompt that it names. `tell` hears after each step how many rows drew, and ended."""
    passes = _Passes(model, prompts, pad_id)
    with _masked_groups(model) if passes.padded else _nothing():
        logits = passes.read(of_row)
        device, tokens, logprobs = logits.device, [list[int]() for _ in of_row], [list[float]() for _ in of_row]
        rows, ended = list(range(len(of_row))), [False] * len(of_row)
        for step in range(draws.max_tokens):
            raise_if_interrupted()
            uniform = torch.rand(len(of_row), dtype=torch.float64, generator=draws.generator, device=device)
            chosen, logp = draw(logits, uniform[torch.tensor(rows, device=device)], draws.temperature)
            going = [row for row in rows if not ended[row]]
            for row, token, value in zip(rows, chosen.tolist(), logp.tolist(), strict=True):
                if not ended[row]:
                    tokens[row].append(token)
                    logprobs[row].append(value)
                    ended[row] = draws.ended(tokens[row])
            tell(len(going), sum(ended[row] for row in going))
            left = [place for place, row in enumerate(rows) if not ended[row]]
            if not left or step == draws.max_tokens - 1:
                break
            if len(rows) - len(left) >= ENDED_SHARE * len(rows):
                kept = torch.tensor(left, device=device)
                passes.keep(kept)
                chosen, rows = chosen[kept], [rows[place] for place in left]
            logits = passes.step(chosen)
    return [Drawn(*each) for each in zip(tokens, logprobs, ended, strict=True)]


class _Passes:
    """Forward passes of a batch of rows: the prompts', then one token a row at a time."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], pad_id: int):
        self.model = model
        self.accepted = inspect.signature(model.forward).parameters
        self.width = max(map(len, prompts))
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        self.padded = bool((lengths < self.width).any())
        device = next(model.parameters()).device
        self.ids = torch.tensor([[pad_id] * (self.width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
        self.seen = (torch.arange(self.width)[None] >= self.width - lengths[:, None]).long().to(device)
        self.place = lengths.to(device)
        """Of each row's next token in its sequence."""
        self.cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        self.cache.layers = [_Roomy() for _ in self.cache.layers]

    def read(self, of_row: Sequence[int]) -> Tensor:
        """[R V], of what follows each row's prompt."""
        logits = self._pass(self.ids, (self.seen.cumsum(1) - 1).clamp(min=0))
        rows = torch.tensor(of_row, device=logits.device)
        self.keep(rows)
        return logits[rows]

    def step(self, tokens: Tensor) -> Tensor:
        """[R V], of what follows these tokens."""
        if self.padded:
            self.seen = torch.cat([self.seen, self.seen.new_ones(len(tokens), 1)], 1)
        logits = self._pass(tokens[:, None], self.place[:, None])
        self.place = self.place + 1
        return logits

    def keep(self, rows: Tensor) -> None:
        """Only these rows, in this order, any of them as often as it is named."""
        self.place, self.seen = self.place[rows], self.seen[rows]
        for layer in self.cache.layers:
            layer.batch_select_indices(rows)

    def _pass(self, ids: Tensor, places: Tensor) -> Tensor:
        more: dict[str, Any] = {"attention_mask": self.seen} if self.padded else {}
        if "position_ids" in self.accepted:
            more["position_ids"] = places
        if "logits_to_keep" in self.accepted:
            more["logits_to_keep"] = 1
        logits: Tensor = self.model(input_ids=ids, past_key_values=self.cache, use_cache=True, **more).logits[:, -1]
        return logits


class _Roomy(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, [R heads T width], at the beginning of tensors with room for more."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.whole = (key_states[:, :, :0], value_states[:, :, :0])
            self.keys, self.values = self.whole
        before, new = self.keys.shape[2], (key_states, value_states)
        after = before + key_states.shape[2]
        if after > self.whole[0].shape[2]:
            self.whole = tuple(_with_room(old[:, :, :before], after + max(32, after // 4)) for old in self.whole)
        for whole, states in zip(self.whole, new, strict=True):
            whole[:, :, before:after] = states
        self.keys, self.values = (whole[:, :, :after] for whole in self.whole)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        length = self.keys.shape[2]
        self.whole = tuple(_rows_of(old, indices, length) for old in self.whole)
        self.keys, self.values = (whole[:, :, :length] for whole in self.whole)


def _with_room(states: Tensor, room: int) -> Tensor:
    whole = states.new_empty(*states.shape[:2], room, states.shape[3])
    whole[:, :, : states.shape[2]] = states
    return whole


def _rows_of(states: Tensor, rows: Tensor, length: int) -> Tensor:
    """These rows, in one copy, with the same room."""
    whole = states.new_empty(len(rows), *states.shape[1:])
    torch.index_select(states[:, :, :length], 0, rows, out=whole[:, :, :length])
    return whole


# --- whether a model can -------------------------------------------------------------------------------------------------


def decodes(model: Any) -> bool:
    """Whether the model says this way what it says of whole sequences: prompts padded and not, rows repeated, one dropped."""
    try:
        layers = DynamicCache(config=model.config.get_text_config(decoder=True)).layers
        if not layers or any(type(layer) is not DynamicLayer for layer in layers):
            return False
        with torch.no_grad():
            return all(_same_logits(model, prompts) for prompts in ([[3, 5, 4, 9], [7, 2]], [[4, 6, 3]]))
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):  # it takes no cache, or not this one
        return False


def _same_logits(model: Any, prompts: list[list[int]]) -> bool:
    vocabulary = int(model.config.get_text_config().vocab_size)
    prompts = [[(5 * token + 1) % vocabulary for token in prompt] for prompt in prompts]
    last, more = len(prompts) - 1, [2 % vocabulary, 1 % vocabulary]
    passes = _Passes(model, prompts, 0)
    with _masked_groups(model) if passes.padded else _nothing():
        first = passes.read([0, last, last])
        second = passes.step(torch.tensor([more[0]] * 3, device=first.device))
        passes.keep(torch.tensor([0, 2], device=first.device))
        third = passes.step(torch.tensor([more[1]] * 2, device=first.device))
    half = third.dtype in (torch.bfloat16, torch.float16) or torch.is_autocast_enabled(third.device.type)
    for row, prompt in ((0, prompts[0]), (1, prompts[last])):
        whole = model(input_ids=torch.tensor([prompt + more], device=first.device), use_cache=False).logits[0, len(prompt) - 1 :]
        mine = torch.stack([first[row], second[row], third[row]])
        if not (mine - whole).norm() <= (0.05 if half else 1e-4) * whole.norm():
            return False
    return True


# --- attention under a mask ----------------------------------------------------------------------------------------------


def _attend(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any) -> Any:
    """transformers' own, but where heads share keys under a mask those are not copied for each head."""
    if attention_mask is None or more.get("position_bias") is not None or query.shape[2] > 1:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    found = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=more.get("scaling"), enable_gqa=query.shape[1] != key.shape[1]
    )
    return found.transpose(1, 2).contiguous(), None


AttentionInterface.register(_MASKED, _attend)
AttentionMaskInterface.register(_MASKED, sdpa_mask)


@contextmanager
def _masked_groups(model: Any) -> Iterator[None]:
    """On a CPU, where torch's attention takes shared heads and a mask together."""
    config = model.config.get_text_config(decoder=True)
    before = config._attn_implementation
    if before != "sdpa" or next(model.parameters()).device.type != "cpu":
        yield
        return
    config._attn_implementation = _MASKED
    try:
        yield
    finally:
        config._attn_implementation = before


@contextmanager
def _nothing() -> Iterator[None]:
    yield
