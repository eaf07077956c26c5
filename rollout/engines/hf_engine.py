"""An engine on transformers alone: no other package, any machine, any causal model.

It samples from the policy's own module, in place: nothing is copied, so weights cannot be stale (`copy=True` samples from a copy
instead, which may go on while the policy is updated). Log-probabilities are recorded
while sampling, from the very distribution that the token was drawn from. A prompt is read once for all its completions and an adapter
lies in the weights meanwhile; models that cannot do that (`shares_prompts` says) sample by transformers' `generate`, the same tokens for
a seed but for rounding. One forward pass a token for the whole batch: vLLM is the engine for speed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from rollout.engine import Completion, OnGroup, PolicyWeights, Sampling, require_tokens
from rollout.engines.policy_tensors import base_model
from rollout.engines.replica import Replica, pack
from rollout.interruption import raise_if_interrupted, uninterrupted
from rollout.modules.cached_decoding import Draws, decode, decodes, draw
from rollout.modules.merged_adapter import merged
from rollout.progress import in_progress
from rollout.stopping import Decode, stop_test

TOKENS_TO_MERGE_FOR = 8
"""A completion of fewer costs less than putting the adapter into the weights."""
_Row = tuple[int, Sequence[int]]
"""Which prompt, and the prompt."""
_Sampled = tuple[list[int], list[float], int | None]
"""Tokens, their log-probabilities, and how many there are where the completion ended by itself."""


class _Sampler(LogitsProcessor):  # type: ignore[misc]
    """Turns `generate`'s greedy choice into an exact draw at the temperature, and keeps each chosen token's log-probability.

    Drawing here, and not in `generate`, gives the engine a generator of its own (no global random state to save or disturb) and needs one
    [B V] tensor at a time instead of all steps' scores.
    """

    def __init__(self, draws: Draws, watch: Callable[[list[int]], None] | None = None):
        """`watch` is told the tokens of each step."""
        self.draws, self.watch = draws, watch
        self.chosen: list[Tensor] = []
        self._logp: Tensor | None = None

    def note(self, tokens: Tensor) -> None:
        """The tokens [B] that followed from the last scores."""
        raise_if_interrupted()
        if self._logp is not None:
            self.chosen.append(self._logp)
            if self.watch:
                self.watch(tokens.tolist())

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.note(input_ids[:, -1])
        uniform = torch.rand(len(scores), dtype=torch.float64, generator=self.draws.generator, device=scores.device)
        tokens, self._logp = draw(scores, uniform, self.draws.temperature)
        return torch.full_like(scores, float("-inf")).scatter_(1, tokens[:, None], 0.0)


class _Ends(StoppingCriteria):  # type: ignore[misc]
    """Notes where each row ends, and tells `generate`, which stops when all have."""

    def __init__(self, ended: Callable[[Sequence[int]], bool], prompt_width: int, rows: int):
        self.ended, self.prompt_width = ended, prompt_width
        self.lengths: list[int | None] = [None] * rows

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        for row, tokens in enumerate(input_ids[:, self.prompt_width :].tolist()):
            if self.lengths[row] is None and self.ended(tokens):
                self.lengths[row] = len(tokens)
        return torch.tensor([length is not None for length in self.lengths], device=input_ids.device)


class HFEngine:
    """Samples from the policy's module. `pad_id` is any valid token id; it is masked everywhere."""

    def __init__(self, *, pad_id: int, max_sequences: int = 512, decode: Decode | None = None, copy: bool = False):
        """`max_sequences`: at most so many at once; fewer use less memory. `decode` is needed for stop texts only."""
        self._replica = Replica() if copy else None
        self.samples_in_place = not copy
        self.decode = decode
        self.pad_id = pad_id
        self.max_sequences = max_sequences
        self.shares_prompts: bool | None = None
        """Whether the policy's model is sampled from with every prompt read once; None before it was tried."""
        self._weights: PolicyWeights | None = None
        self._version = -1

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        moved = 0
        if self._replica:
            parcel = pack(weights, changes=self._weights is not None)
            weights, moved = self._replica.load(parcel), parcel.bytes
        if self._weights is None or self._weights.module is not weights.module:
            self.shares_prompts = None
        self._weights, self._version = weights, version
        return moved

    def sleep(self) -> int:
        return 0

    def close(self) -> None:
        self._weights = None

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        require_tokens(prompts)
        rows = [(index, prompt) for index, prompt in enumerate(prompts) for _ in range(sampling.completions)]
        rows.sort(key=lambda row: len(row[1]))  # stable; rows of like length share a call and its padding
        groups: list[list[Completion]] = [[] for _ in prompts]
        with self._sampling_module() as module:
            generator = torch.Generator(_device_of(module)).manual_seed(sampling.seed)
            draws = Draws(sampling.temperature, generator, stop_test(sampling, self.decode), sampling.max_tokens)
            watch = _Watch(len(rows), sampling)
            if self.shares_prompts is None:
                self.shares_prompts = decodes(module)
            for start in range(0, len(rows), self.max_sequences):
                part = rows[start : start + self.max_sequences]
                sample = self._decoded if self.shares_prompts else self._generated
                completions = [self._completion(*each) for each in sample(module, part, sampling, draws, watch)]
                for (index, _), completion in zip(part, completions, strict=True):
                    groups[index].append(completion)
                    if on_group and len(groups[index]) == sampling.completions:
                        on_group(index, groups[index])
        return groups

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        scores = []
        with self._sampling_module() as module, torch.no_grad():
            for sequence in sequences:  # one at a time: exact without padding, and canaries are few
                tokens = torch.tensor([list(sequence)], device=_device_of(module))
                logp = torch.log_softmax(module(tokens).logits.float() / (temperature or 1.0), dim=-1)
                chosen = logp[:, :-1].gather(2, tokens[:, 1:, None]).squeeze(2)
                scores.append([0.0, *chosen[0].tolist()])
        return scores

    @contextmanager
    def _sampling_module(self) -> Iterator[Any]:
        """The policy's model in evaluation mode, free of generation defaults that would change the distribution.

        Many hub models ship a `generation_config.json` with top_p, top_k and a repetition penalty; `generate` applies it even
        beside an explicit config.
        """
        if self._weights is None:
            raise ValueError("the engine has no weights yet; call load_policy first")
        module: Any = self._weights.module
        model = base_model(module)
        was_training, defaults = module.training, model.generation_config
        module.eval()
        model.generation_config = GenerationConfig()
        try:
            with _autocast(model, self._weights.autocast):
                yield model
        finally:
            with uninterrupted():
                model.generation_config = defaults
                module.train(was_training)

    def _decoded(self, module: Any, rows: Sequence[_Row], sampling: Sampling, draws: Draws, watch: "_Watch") -> Iterator[_Sampled]:
        prompts = dict(rows)
        place = {index: n for n, index in enumerate(prompts)}
        with merged(module) if sampling.max_tokens >= TOKENS_TO_MERGE_FOR else nullcontext():
            drawn = decode(
                module, list(prompts.values()), [place[index] for index, _ in rows], draws, pad_id=self.pad_id, tell=watch.steps(len(rows))
            )
        return ((each.tokens, each.logprobs, len(each.tokens) if each.ended else None) for each in drawn)

    def _generated(self, module: Any, rows: Sequence[_Row], sampling: Sampling, draws: Draws, watch: "_Watch") -> Iterator[_Sampled]:
        """By `generate`: each prompt as often as it has completions, and every row to the end of the longest."""
        prompts = [prompt for _, prompt in rows]
        width = max(map(len, prompts))
        pads = [width - len(prompt) for prompt in prompts]
        tokens = torch.tensor([[self.pad_id] * pad + list(prompt) for pad, prompt in zip(pads, prompts, strict=True)])
        mask = torch.arange(width)[None] >= torch.tensor(pads)[:, None]
        sampler = _Sampler(draws, watch.batch(len(prompts)))
        ends = _Ends(draws.ended, width, len(prompts))
        sequences = module.generate(
            tokens.to(_device_of(module)),
            attention_mask=mask.long().to(_device_of(module)),
            logits_processor=LogitsProcessorList([sampler]),
            stopping_criteria=StoppingCriteriaList([ends] if sampling.stop_texts else []),
            generation_config=GenerationConfig(
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                eos_token_id=list(sampling.stop_ids) or None,
                pad_token_id=self.pad_id,
            ),
        )
        sampler.note(sequences[:, -1])
        chosen = sequences[:, width:].tolist()
        logprobs = torch.stack(sampler.chosen[: sequences.shape[1] - width], dim=1).tolist()
        lengths = ends.lengths if sampling.stop_texts else [_length_to_stop(row, sampling.stop_ids) for row in chosen]
        return zip(chosen, logprobs, lengths, strict=True)

    def _completion(self, tokens: list[int], logprobs: list[float], stop: int | None) -> Completion:
        length = len(tokens) if stop is None else stop
        finish: Literal["stop", "length"] = "length" if stop is None else "stop"
        return Completion(tokens[:length], logprobs[:length], [True] * length, finish, self._version)


class _Watch:
    """Tells whoever watches how far a call of `generate` has come, a step at a time."""

    def __init__(self, rows: int, sampling: Sampling):
        self.rows, self.sampling, self.progress = rows, sampling, in_progress()
        self.begun = self.ended = 0
        if self.progress:
            self.progress.begin_call()

    def steps(self, rows: int) -> Callable[[int, int], None]:
        """For the next so many rows: told of each step how many drew, and how many of them ended."""
        progress, before, self.begun, step = self.progress, self.begun, self.begun + rows, 0

        def tell(drew: int, ended: int) -> None:
            nonlocal step
            step += 1
            self.ended += ended
            if progress:
                progress.sampled(drew, self.ended, (before + rows * step / self.sampling.max_tokens) / self.rows)

        return tell

    def batch(self, rows: int) -> Callable[[list[int]], None] | None:
        """For the next so many rows."""
        if self.progress is None:
            return None
        progress, before, self.begun, going, step = self.progress, self.begun, self.begun + rows, [True] * rows, 0

        def watch(tokens: list[int]) -> None:
            nonlocal step
            step += 1
            sampled = sum(going)
            for row, token in enumerate(tokens):
                if going[row] and token in self.sampling.stop_ids:
                    going[row] = False
                    self.ended += 1
            progress.sampled(sampled, self.ended, (before + rows * step / self.sampling.max_tokens) / self.rows)

        return watch


def _length_to_stop(tokens: list[int], stop_ids: Sequence[int]) -> int | None:
    """The number of tokens up to and with the first stop id."""
    return next((n for n, token in enumerate(tokens, 1) if token in stop_ids), None)


def _device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _autocast(module: nn.Module, dtype: str | None) -> AbstractContextManager[Any]:
    return torch.autocast(_device_of(module).type, getattr(torch, dtype)) if dtype else nullcontext()
