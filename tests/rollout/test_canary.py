"""The canary on engines with planted faults: around the transformers engine, and inside a real vLLM where it is installed.

Each fault is one that a toolkit has shipped. Every test runs the loop's own order: sync, check, sample, check, update.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.objectives.batch import lay_out
from rl.objectives.supervised import sft
from rollout.canary import BOUNDS, Bound, Canary, Gap, SamplerIsNotThePolicy, bound_of, fixed_sequences
from rollout.engine import Completion, PolicyWeights, Sampling
from rollout.engines import vllm_engine
from rollout.engines.hf_engine import HFEngine
from rollout.engines.vllm_engine import VLLMEngine, installed

PROMPTS = [[3, 4, 5], [6, 9], [7, 8, 9, 10, 11, 12, 2], [6, 6]]
VOCABULARY = 24
TEMPERATURE = 0.7
LORA = Lora(rank=4, alpha=8.0)


def update(policy: Policy, seed: int, lr: float = 3e-3) -> None:
    """One real optimiser step."""
    tokens = torch.randint(VOCABULARY, (4, 8), generator=torch.Generator().manual_seed(seed)).tolist()
    assert policy.update(lay_out(tokens, [[False] + [True] * 7] * 4, [1] * 4), sft(), lr=lr).updates == 1


def make_canary(policy: Policy, score: Any = None) -> Canary:
    bound = BOUNDS[policy.autocast or "float32"]
    return Canary(score or policy.score_sequences, fixed_sequences(PROMPTS, VOCABULARY), bound=bound)


def run(policy: Policy, engine: Any, canary: Canary, *, steps: int, lr: float = 3e-3) -> list[Gap]:
    """The loop's syncs and samplings; returns what the canary saw."""
    gaps = []
    for step in range(steps):
        engine.load_policy(policy.weights(), policy.version)
        gaps.append(canary.check_weights(engine, policy.version))
        groups = engine.generate(PROMPTS, Sampling(6, 2, TEMPERATURE, (1,), seed=step))
        sampled = list(zip(PROMPTS, groups, strict=True))
        gaps.append(canary.check_samples(sampled, temperature=TEMPERATURE, version=policy.version, first=step))
        update(policy, seed=step, lr=lr)
    return gaps


class Copying(HFEngine):
    """Holds a copy of the weights, as engines elsewhere do; `spoil(copy, earlier)` plants a fault in it."""

    def __init__(self, spoil: Callable[[Any, Any], Any] = lambda new, earlier: new):
        super().__init__(pad_id=0)
        self.spoil = spoil
        self.first: Any = None

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        new = copy.deepcopy(weights.module)
        self.first = copy.deepcopy(new) if self.first is None else self.first
        return super().load_policy(PolicyWeights(self.spoil(new, self.first), weights.autocast), version)


def stale_head(new: Any, earlier: Any) -> Any:
    new.lm_head.weight = torch.nn.Parameter(earlier.lm_head.weight.detach().clone())  # no longer tied to the embeddings
    return new


def swapped_layers(new: Any, earlier: Any) -> Any:
    first, second = new.model.layers
    first.mlp, second.mlp = second.mlp, first.mlp
    return new


class BaseSampled(Copying):
    """Scores with the adapter and samples without it."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        with self._weights.module.disable_adapter():
            return super().generate(prompts, sampling)


class TemperatureMissing(Copying):
    """Log-probabilities at temperature 1 whatever was sampled: vLLM's own default."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        groups = super().generate(prompts, sampling)
        for prompt, group in zip(prompts, groups, strict=True):
            for completion in group:
                completion.logprobs[:] = self.score([[*prompt, *completion.tokens]])[0][len(prompt) :]
        return groups


class OldStamp(Copying):
    """Completions that were sampled before the sync and arrive after it."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        groups = super().generate(prompts, sampling)
        self._version -= 1
        late = super().generate(prompts[:1], sampling)
        self._version += 1
        return [late[0], *groups[1:]]


FAULTS: dict[str, tuple[Callable[[], Copying], Lora | None, str]] = {
    "an adapter that is not delivered": (lambda: Copying(lambda new, earlier: earlier), LORA, "engine did not change"),
    "an update that is lost": (lambda: Copying(lambda new, earlier: earlier), None, "engine did not change"),
    "base weights that are sampled": (BaseSampled, LORA, "sampled from other weights"),
    "a tied head that is stale": (lambda: Copying(stale_head), None, "not the policy's"),
    "one layer's weights that are swapped": (lambda: Copying(swapped_layers), None, "not the policy's"),
    "the temperature missing in the engine": (TemperatureMissing, None, "temperature 0.7 is missing on the engine's side"),
    "completions of an earlier version": (OldStamp, None, "completions stamped"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_stops_the_run_within_one_step(fault: str, make_qwen2: Callable[..., Any]) -> None:
    engine, lora, said = FAULTS[fault]
    policy = Policy(make_qwen2(), lora=lora, device="cpu")
    with pytest.raises(SamplerIsNotThePolicy, match=said):
        run(policy, engine(), make_canary(policy), steps=2)  # most faults cannot show before the first update
    assert policy.version <= 1


def test_the_temperature_missing_in_the_trainer_is_caught_too(make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), device="cpu")

    def at_one(sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        return policy.score_sequences(sequences)

    with pytest.raises(SamplerIsNotThePolicy, match=r"temperature 0\.7"):
        run(policy, Copying(), make_canary(policy, at_one), steps=1)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("lora", [None, LORA, Lora(rank=4, dora=True)], ids=["full", "lora", "dora"])
def test_an_honest_engine_is_left_alone(dtype: Any, lora: Lora | None, make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), lora=lora, dtype=dtype, device="cpu")
    for engine in (Copying(), HFEngine(pad_id=0)):
        gaps = run(policy, engine, make_canary(policy), steps=6)
        if dtype == "fp32":
            assert max(gap.worst for gap in gaps) < 2e-5, "the bound of 1e-3 would be nearly reached by honest rounding"
    assert policy.version == 12


def test_in_bf16_a_lost_update_is_caught_though_it_is_smaller_than_rounding(make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), dtype="bf16", device="cpu")
    before = policy.score_sequences(PROMPTS)
    with pytest.raises(SamplerIsNotThePolicy, match="engine did not change") as caught:
        run(policy, Copying(lambda new, earlier: earlier), make_canary(policy), steps=20, lr=1e-4)
    moved = max(
        abs(a - b) for row, other in zip(before, policy.score_sequences(PROMPTS), strict=True) for a, b in zip(row, other, strict=True)
    )
    assert moved < BOUNDS["bfloat16"].high / 5, "the update was large enough to break the plain bound"
    assert "sequence" in str(caught.value)


def test_what_it_says_names_the_worst_tokens() -> None:
    scores = {"policy": [[0.0, -1.0, -2.0]], "engine": [[0.0, -1.0, -2.5]]}

    class Said(HFEngine):
        def score(self, sequences: Any, *, temperature: float = 1.0) -> list[list[float]]:
            return scores["engine"]

    canary = Canary(lambda sequences, *, temperature=1.0: scores["policy"], [[5, 6, 7]], bound=Bound(worst=0.4, mean=1.0, still=1e-5))
    with pytest.raises(SamplerIsNotThePolicy) as caught:
        canary.check_weights(Said(pad_id=0), 3)
    first, _, worst, *_ = str(caught.value).splitlines()
    assert "1.7e-01 on average and 5.0e-01 at worst, where 1 and 0.4 are allowed" in first  # 0.5 / 3 tokens
    assert worst.split() == ["0", "2", "7", "-2.000000", "-2.500000", "5.0e-01"]
    scores["engine"] = [[0.0, -1.0, -2.3]]
    gap = canary.check_weights(Said(pad_id=0), 4)
    assert (gap.worst, gap.mean) == (pytest.approx(0.3), pytest.approx(0.1))


def drift(worst: list[float], count: int, usual: float) -> tuple[list[list[float]], list[list[float]]]:
    """(policy's, engine's) log-probabilities of `count` tokens that differ by `usual`, and some by more."""
    gaps = [usual] * (count - len(worst)) + worst
    return [[-2.0] * count], [[-2.0 + gap * (-1) ** place for place, gap in enumerate(gaps)]]


@pytest.mark.parametrize(
    ("name", "worst", "count", "usual", "honest"),
    [
        ("bfloat16", [2.5], 1000, 0.02, True),  # one token in a thousand, by rounding
        ("bfloat16", [3.0, 2.0, 1.5], 400, 0.02, True),
        ("bfloat16", [0.9], 40, 0.01, True),  # of few tokens the worst one is left out too
        ("bfloat16", [1.0] * 30, 1000, 0.02, False),  # three in a hundred
        ("bfloat16", [], 1000, 0.1, False),  # all of them, a little
        ("tf32", [0.2], 500, 0.001, True),
        ("tf32", [0.2] * 20, 500, 0.001, False),
        ("tf32", [], 500, 0.02, False),
        ("float32", [0.002], 1000, 1e-6, False),  # exact arithmetic: one token is enough
    ],
)
def test_where_products_are_rounded_a_high_quantile_and_the_mean_are_bounded_and_the_maximum_is_logged(
    name: str, worst: list[float], count: int, usual: float, honest: bool
) -> None:
    mine, theirs = drift(worst, count, usual)

    class Said(HFEngine):
        def score(self, sequences: Any, *, temperature: float = 1.0) -> list[list[float]]:
            return theirs

    canary = Canary(lambda sequences, *, temperature=1.0: mine, [list(range(count))], bound=BOUNDS[name])
    if honest:
        gap = canary.check_weights(Said(pad_id=0), 1)
        assert gap.worst == pytest.approx(max(worst))
        assert gap.high < BOUNDS[name].high
        return
    with pytest.raises(SamplerIsNotThePolicy, match="not the policy's: they differ by"):
        canary.check_weights(Said(pad_id=0), 1)


def test_float32_on_a_gpu_may_be_tf32() -> None:
    assert bound_of(None, "cpu") == BOUNDS["float32"]
    assert bound_of(None, "cuda") == BOUNDS["tf32"]
    assert bound_of("bfloat16", "cuda") == bound_of("bfloat16", "cpu") == BOUNDS["bfloat16"]


def test_a_gap_that_is_not_a_number_is_not_hidden_by_the_others() -> None:
    class Said(HFEngine):
        def score(self, sequences: Any, *, temperature: float = 1.0) -> list[list[float]]:
            return [[-1.0, float("nan"), -1.0]]

    canary = Canary(lambda sequences, *, temperature=1.0: [[-1.0, -1.0, -1.0]], [[1, 2, 3]], bound=BOUNDS["bfloat16"])
    gap = canary.check_weights(Said(pad_id=0), 1)
    assert all(value != value for value in (gap.worst, gap.mean, gap.high))


def test_tokens_that_a_tool_wrote_are_not_compared(make_qwen2: Callable[..., Any]) -> None:
    policy = Policy(make_qwen2(), device="cpu")
    canary = Canary(policy.score_sequences, [[3, 4]], bound=BOUNDS["float32"])
    tokens = [5, 6, 7, 8]
    logprobs = policy.score_sequences([[3, *tokens]], temperature=0.7)[0][1:]
    tool = Completion(tokens, [logprobs[0], 0.0, 0.0, logprobs[3]], [True, False, False, True], "stop", 2)
    assert canary.check_samples([([3], [tool])], temperature=0.7, version=2).worst < 1e-6
    own = Completion(tokens, [logprobs[0], 0.0, 0.0, logprobs[3]], [True] * 4, "stop", 2)
    with pytest.raises(SamplerIsNotThePolicy):
        canary.check_samples([([3], [own])], temperature=0.7, version=2)


def test_the_fixed_sequences_are_the_runs_own_prompts_and_tokens_from_everywhere() -> None:
    long = list(range(100))
    *own, spread = fixed_sequences([[3], [1, 2, 3], long], 50_000)
    assert own == [[1, 2, 3], long[-64:]]
    assert len(spread) == 64
    assert all(0 <= token < 50_000 for token in spread)
    assert len(set(spread)) > 60
    assert max(spread) > 40_000
    assert fixed_sequences([], 24) != []


# --- in a real vLLM ------------------------------------------------------------------------------------------------------


@pytest.fixture
def vllm(make_vllm_qwen2: Callable[..., Any]) -> Any:
    """(lora) -> (policy, engine); skipped without vLLM."""
    if not installed():
        pytest.skip("vLLM is not installed")
    engines = []

    def build(lora: Lora | None) -> tuple[Policy, VLLMEngine]:
        engines.append(VLLMEngine(kv_cache_gib=0.25))
        return Policy(make_vllm_qwen2(), lora=lora, device="cpu"), engines[-1]

    yield build
    for engine in engines:
        engine.close()


def swapped_names(module: Any, dtype: Any, **options: Any) -> Any:
    from rollout.engines.policy_tensors import full_tensors

    swap = {"layers.0.mlp": "layers.1.mlp", "layers.1.mlp": "layers.0.mlp"}
    for name, tensor in full_tensors(module, dtype, **options):
        found = next((part for part in swap if part in name), None)
        yield name.replace(found, swap[found]) if found else name, tensor


def lost(patch: pytest.MonkeyPatch, engine: VLLMEngine) -> None:
    patch.setattr(engine, "_reload_weights", lambda *_: 0)
    patch.setattr(engine, "_swap_adapter", lambda *_: 0)


def stale_tied_head(patch: pytest.MonkeyPatch, engine: VLLMEngine) -> None:
    patch.setattr(vllm_engine, "repack_tied_head", id)  # anything but the repair


def swapped(patch: pytest.MonkeyPatch, engine: VLLMEngine) -> None:
    patch.setattr(vllm_engine, "full_tensors", swapped_names)


def at_temperature_1(patch: pytest.MonkeyPatch, engine: VLLMEngine) -> None:
    honest = engine._sampling_parameters
    patch.setattr(engine, "_sampling_parameters", lambda sampling, index: honest(replace(sampling, temperature=1.0), index))


def without_adapter(patch: pytest.MonkeyPatch, engine: VLLMEngine) -> None:
    honest = engine.generate

    def generate(*arguments: Any) -> Any:
        adapter, engine._adapter = engine._adapter, None
        try:
            return honest(*arguments)
        finally:
            engine._adapter = adapter

    patch.setattr(engine, "generate", generate)


VLLM_FAULTS: dict[str, tuple[Callable[[pytest.MonkeyPatch, VLLMEngine], None], Lora | None, str]] = {
    "an adapter that is not delivered": (lost, LORA, "engine did not change"),
    "an update that is lost": (lost, None, "engine did not change"),
    "base weights that are sampled": (without_adapter, LORA, "sampled from other weights"),
    "a tied head that is stale": (stale_tied_head, None, "not the policy's"),
    "one layer's weights that are swapped": (swapped, None, "not the policy's"),
    "the temperature missing": (at_temperature_1, None, "temperature 0.7 is missing on the engine's side"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", VLLM_FAULTS)
def test_a_fault_planted_in_vllm_stops_the_run_within_one_step(fault: str, vllm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, lora, said = VLLM_FAULTS[fault]
    policy, engine = vllm(lora)
    canary = make_canary(policy)
    assert max(gap.worst for gap in run(policy, engine, canary, steps=2)) < 2e-5
    plant(monkeypatch, engine)
    with pytest.raises(SamplerIsNotThePolicy, match=said):
        run(policy, engine, canary, steps=1)
    assert policy.version <= 2
