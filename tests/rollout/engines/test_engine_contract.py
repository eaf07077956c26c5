"""What every engine promises, asked of each in turn. A new engine joins by one function and one line in ENGINES.

vLLM's engines are started once for the whole file, and every test loads its own policy into them: each test is a sync, too. They are
skipped where vLLM is not installed. Expectations come from the table, from the policy's own log-probabilities, or from the engine's
`score` of single tokens, which is held against both.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.loop.group_batch import batch_of_groups
from rl.objectives.algorithms import named
from rollout.engine import Engine, Sampling
from rollout.engines.fake_engine import FakeEngine
from rollout.engines.hf_engine import HFEngine
from rollout.engines.vllm_engine import VLLMEngine, installed
from rollout.engines.vllm_server import VLLMServer
from rollout.player import Group
from tests.rl.rollouts import with_credit
from tests.rollout.engines.fake_vllm_server import FakeVLLMServer
from verifiers.problem import make_problem
from verifiers.verdict import right, wrong

VOCABULARY = 24
PROMPTS = [[3, 4, 5], [6], [7, 8, 9, 10, 11, 12, 2], [6, 6]]
TEMPERATURES = [0.7, 1.0, 1.3]


LETTERS = [*"abcdefghijkl", *(first + second for first, second in zip("abcdefghijkl", "bcdefghijklm", strict=True))]


def spell(tokens) -> str:
    """The first half of the tokens are letters, the others two letters each."""
    return "".join(LETTERS[token] for token in tokens)


def letters() -> Any:
    """`spell` as a tokenizer. Token 1 is a special one."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({text: i for i, text in enumerate(LETTERS)}, unk_token=LETTERS[0]))
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=LETTERS[1])


@dataclass
class Subject:
    """An engine with the policy's weights loaded as version 7."""

    engine: Engine
    policy: Policy
    tolerance: float = 1e-5
    """Of log-probabilities."""
    shared: bool = False
    """The engine outlives the test."""
    repeats: float = 0.0
    """How far log-probabilities of the same call may lie apart. A server computes requests in the company that they arrive in."""

    def probabilities(self, prefix, temperature):
        """Of every next token, from single scores."""
        scores = self.engine.score([[*prefix, token] for token in range(VOCABULARY)], temperature=temperature)
        return torch.tensor([row[-1] for row in scores], dtype=torch.float64).exp()


def of_policy(request, make: str, tolerance: float = 1e-5, copy: bool = False, **build: Any) -> Subject:
    model = request.getfixturevalue(make)()
    policy = Policy(model, device="cpu", **build)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in policy.trainable.items():
        if "lora_B" in name:  # 0 at first, which would forgive an engine that ignores the adapter
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return Subject(HFEngine(pad_id=0, copy=copy), policy, tolerance)


SHARED: dict[str, Engine] = {}


def vllm(
    name: str, make: str = "make_vllm_qwen2", *, merge_adapters: bool = False, **build: Any
) -> Callable[[pytest.FixtureRequest], Subject]:
    def make_subject(request) -> Subject:
        if not installed():
            pytest.skip("vLLM is not installed")
        request.getfixturevalue("close_shared")
        subject = of_policy(request, make, **build)
        if name not in SHARED:
            SHARED[name] = VLLMEngine(kv_cache_gib=0.25, tokenizer=letters(), merge_adapters=merge_adapters)
        return replace(subject, engine=SHARED[name], shared=True)

    return make_subject


@pytest.fixture(scope="module")
def close_shared():
    yield
    for engine in SHARED.values():
        engine.close()
    SHARED.clear()


def fake(request) -> Subject:
    table = 2 * torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(0))
    return Subject(FakeEngine(table.tolist()), of_policy(request, "make_qwen2").policy)


def behind_a_server(request) -> Subject:
    subject = fake(request)
    subject.engine.decode = spell
    server = FakeVLLMServer(subject.engine)
    request.addfinalizer(server.close)
    return replace(subject, engine=VLLMServer(server.url))


def real_server(name: str, **build: Any) -> Callable[[pytest.FixtureRequest], Subject]:
    def make(request) -> Subject:
        start = request.getfixturevalue("vllm_server")
        request.getfixturevalue("close_shared")
        subject = of_policy(request, "make_vllm_qwen2", **build)
        if name not in SHARED:
            base = request.getfixturevalue("make_vllm_qwen2")()  # what a LoRA's server is started with, and full weights replace
            SHARED[name] = VLLMServer(start(base, lora_rank=subject.policy.lora.rank if subject.policy.lora else None))
        return replace(subject, engine=SHARED[name], shared=True, repeats=1e-5)

    return make


def two_actors(name: str, **build: Any) -> Callable[[pytest.FixtureRequest], Subject]:
    def make(request) -> Subject:
        pytest.importorskip("ray", reason="Ray is not installed")
        from rollout.engines.ray_engines import RayEngines

        request.getfixturevalue("close_shared")
        subject = of_policy(request, "make_qwen2", **build)
        if name not in SHARED:
            SHARED[name] = RayEngines(partial(HFEngine, pad_id=0), count=2, cpus=0.5, chunk=2, timeout=120.0)
        return replace(subject, engine=SHARED[name], shared=True)

    return make


ENGINES: dict[str, Callable[[pytest.FixtureRequest], Subject]] = {
    "fake": fake,
    "hf": lambda request: of_policy(request, "make_qwen2"),
    "hf llama": lambda request: of_policy(request, "make_llama"),
    # sampled with the adapter in the weights, scored beside them: a float32 rounding more
    "hf lora": lambda request: of_policy(request, "make_qwen2", tolerance=3e-5, lora=Lora(rank=4, alpha=8.0)),
    "hf lora copy": lambda request: of_policy(request, "make_qwen2", tolerance=3e-5, copy=True, lora=Lora(rank=4, alpha=8.0)),
    "hf dora": lambda request: of_policy(request, "make_qwen2", lora=Lora(rank=4, alpha=8.0, dora=True)),
    "hf bf16": lambda request: of_policy(request, "make_qwen2", tolerance=0.2, dtype="bf16"),
    "vllm": vllm("vllm"),
    "vllm lora": vllm("vllm lora", lora=Lora(rank=4, alpha=8.0)),
    "vllm lora merged": vllm("vllm lora merged", merge_adapters=True, tolerance=3e-5, lora=Lora(rank=4, alpha=8.0)),
    "vllm llama lora": vllm("vllm llama lora", "make_vllm_llama", lora=Lora(rank=4, alpha=8.0)),
    "ray": two_actors("ray"),
    "ray lora": two_actors("ray lora", lora=Lora(rank=4, alpha=8.0)),
    "server (fake)": behind_a_server,
    "server": real_server("server"),
    "server lora": real_server("server lora", lora=Lora(rank=4, alpha=8.0)),
    # vLLM keeps the residual stream and the logits in bfloat16, the policy's autocast in float32: a logit of 30 is rounded to 0.125
    "vllm bf16": vllm("vllm bf16", tolerance=0.75, dtype="bf16"),
}


def start(request):
    subject = ENGINES[request.param](request)
    subject.engine.load_policy(subject.policy.weights(), 7)
    yield subject
    if not subject.shared:
        subject.engine.close()


def named_engines(fits: Callable[[str], bool] = lambda name: True) -> list[Any]:
    """A real server takes most of a minute to start."""
    marks = {"server": pytest.mark.slow, "server lora": pytest.mark.slow}
    return [pytest.param(name, marks=marks.get(name, ())) for name in ENGINES if fits(name)]


subject = pytest.fixture(start, params=named_engines(), name="subject")
# reduced precision may break a near tie either way, in other company or another order
exact = pytest.fixture(start, params=named_engines(lambda name: "bf16" not in name), name="exact")
weighed = pytest.fixture(start, params=named_engines(lambda name: "fake" not in name), name="weighed")


def flat(groups):
    return [completion for group in groups for completion in group]


def tokens_of(groups):
    return [completion.tokens for completion in flat(groups)]


def same(groups, others, *, within):
    assert tokens_of(groups) == tokens_of(others)
    for one, other in zip(flat(groups), flat(others), strict=True):
        assert replace(one, logprobs=other.logprobs) == other
        assert one.logprobs == (pytest.approx(other.logprobs, abs=within) if within else other.logprobs)


# --- the contract ------------------------------------------------------------------------------------------------------


def test_shape_order_and_stamp(subject):
    groups = subject.engine.generate(PROMPTS, Sampling(max_tokens=5, completions=3, seed=1))
    assert [len(group) for group in groups] == [3] * 4
    for completion in flat(groups):
        assert len(completion.tokens) == len(completion.logprobs) == len(completion.sampled) == 5
        assert all(0 <= token < VOCABULARY for token in completion.tokens)
        assert all(completion.sampled)
        assert completion.policy_version == 7
    assert subject.engine.generate([], Sampling(max_tokens=5)) == []


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_log_probabilities_are_the_scores_of_what_was_sampled_after_its_prompt(subject, temperature):
    groups = subject.engine.generate(PROMPTS, Sampling(max_tokens=8, completions=3, temperature=temperature, stop_ids=(1,), seed=2))
    for prompt, group in zip(PROMPTS, groups, strict=True):
        scores = subject.engine.score([[*prompt, *c.tokens] for c in group], temperature=temperature)
        for completion, score in zip(group, scores, strict=True):
            assert len(score) == len(prompt) + len(completion.tokens)
            assert score[0] == 0.0
            assert completion.logprobs == pytest.approx(score[len(prompt) :], abs=subject.tolerance)
            assert all(logprob <= 0 for logprob in completion.logprobs)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_scores_are_a_distribution_at_the_temperature(subject, temperature):
    prefix = [3, 9, 5]
    assert subject.probabilities(prefix, temperature).sum().item() == pytest.approx(1, abs=1e-5)
    ones = subject.probabilities(prefix, 1.0)
    expected = ones ** (1 / temperature) / (ones ** (1 / temperature)).sum()
    torch.testing.assert_close(subject.probabilities(prefix, temperature), expected, atol=1e-5, rtol=0)


def test_a_stop_id_ends_a_completion_and_is_kept(subject):
    sampling = Sampling(max_tokens=6, completions=40, stop_ids=(1, 9, 14), seed=3)
    completions = flat(subject.engine.generate(PROMPTS, sampling))
    for completion in completions:
        *before, last = completion.tokens
        assert not set(before) & set(sampling.stop_ids)
        assert completion.finish == ("stop" if last in sampling.stop_ids else "length")
        assert len(completion.tokens) == 6 or completion.finish == "stop"
        assert len(completion.tokens) == len(completion.logprobs) == len(completion.sampled) <= 6
    assert {"stop", "length"} == {completion.finish for completion in completions}
    assert {1, 2, 3} <= {len(completion.tokens) for completion in completions}


def test_one_token_is_enough_to_stop(subject):
    for completion in flat(subject.engine.generate(PROMPTS, Sampling(max_tokens=6, completions=2, stop_ids=tuple(range(VOCABULARY))))):
        assert (len(completion.tokens), completion.finish) == (1, "stop")
    for completion in flat(subject.engine.generate(PROMPTS, Sampling(max_tokens=1, completions=2))):
        assert (len(completion.tokens), completion.finish) == (1, "length")


def test_a_seed_decides_everything(subject):
    sampling = Sampling(max_tokens=8, completions=3, seed=5)
    first = subject.engine.generate(PROMPTS, sampling)
    torch.manual_seed(123)  # whatever happens to global randomness in between
    same(subject.engine.generate(PROMPTS, sampling), first, within=subject.repeats)
    assert tokens_of(subject.engine.generate(PROMPTS, replace(sampling, seed=6))) != tokens_of(first)
    assert all(len({tuple(c.tokens) for c in group}) == 3 for group in first), "completions of a group repeat each other"


def test_sampling_leaves_global_randomness_alone(subject):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    subject.engine.generate(PROMPTS, Sampling(max_tokens=3, seed=5))
    assert torch.equal(torch.rand(3), expected)


def test_greedy_takes_the_likeliest_token_whatever_the_seed(exact):
    engine = exact.engine
    greedy = Sampling(max_tokens=4, completions=2, temperature=0.0, seed=1)
    groups = engine.generate(PROMPTS, greedy)
    same(engine.generate(PROMPTS, replace(greedy, seed=2)), groups, within=exact.repeats)
    for prompt, (completion, twin) in zip(PROMPTS, groups, strict=True):
        assert completion == twin
        for position, token in enumerate(completion.tokens):
            p = exact.probabilities([*prompt, *completion.tokens[:position]], 1.0)
            assert token == p.argmax()
            assert completion.logprobs[position] == pytest.approx(p[token].log().item(), abs=1e-5)  # those at temperature 1


def test_scores_at_temperature_zero_are_those_at_one(subject):
    """As the log-probabilities of greedy completions, so that a sampling's own temperature can always be passed on."""
    for zero, one in zip(subject.engine.score(PROMPTS, temperature=0.0), subject.engine.score(PROMPTS), strict=True):
        assert zero == pytest.approx(one, abs=1e-6)


def test_company_does_not_matter(exact):
    engine = exact.engine
    greedy = Sampling(max_tokens=8, temperature=0.0, stop_ids=(1,))
    together = flat(engine.generate(PROMPTS, greedy))
    alone = [engine.generate([prompt], greedy)[0][0] for prompt in PROMPTS]
    assert [c.tokens for c in together] == [c.tokens for c in alone]
    for mine, expected in zip(together, alone, strict=True):
        assert mine.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def test_an_empty_prompt_is_refused(subject):
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        subject.engine.generate([[3], [], [4]], Sampling(max_tokens=3))


def chi_square(observed: Counter, p: torch.Tensor) -> tuple[float, int]:
    """(statistic, degrees of freedom); tokens expected fewer than five times are counted as one."""
    total = sum(observed.values())
    rare = p * total < 5
    pairs = [(observed[i], p[i].item() * total) for i in range(len(p)) if not rare[i]]
    pairs.append((sum(observed[i] for i in range(len(p)) if rare[i]), p[rare].sum().item() * total + 1e-9))
    pairs = [(o, e) for o, e in pairs if e >= 1 or o]
    return sum((o - e) ** 2 / e for o, e in pairs), len(pairs) - 1


def test_frequencies_are_those_of_the_distribution(subject):
    prompt, temperature = [3, 9], 1.3
    (group,) = subject.engine.generate([prompt], Sampling(max_tokens=2, completions=16_000, temperature=temperature, seed=11))
    first = Counter(c.tokens[0] for c in group)
    common = first.most_common(1)[0][0]
    second = Counter(c.tokens[1] for c in group if c.tokens[0] == common)
    for counts, prefix in ((first, prompt), (second, [*prompt, common])):
        statistic, freedom = chi_square(counts, subject.probabilities(prefix, temperature))
        assert freedom > 5
        assert statistic < freedom + 4 * (2 * freedom) ** 0.5
        wrong_statistic, freedom = chi_square(counts, subject.probabilities(prefix, 1.0))
        assert wrong_statistic > freedom + 4 * (2 * freedom) ** 0.5, "the test would not notice a wrong temperature"


# --- engines with weights ----------------------------------------------------------------------------------------------


def groups_of(engine, sampling):
    return [
        Group(make_problem(str(i), ""), prompt, tuple(group), ("",) * len(group), (right(), wrong()))
        for i, (prompt, group) in enumerate(zip(PROMPTS, engine.generate(PROMPTS, sampling), strict=True))
    ]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_sampler_is_the_policy(weighed, temperature):
    groups = groups_of(weighed.engine, Sampling(max_tokens=8, completions=2, temperature=temperature, stop_ids=(1,), seed=8))
    batch = batch_of_groups(groups, temperature=temperature)
    torch.testing.assert_close(batch.column("sampler_logp"), weighed.policy.score(batch), atol=weighed.tolerance, rtol=0)
    assert batch.column("sampler_logp")[batch.mask].std() > 0.1


def test_a_changed_policy_changes_the_scores_and_the_stamp(weighed):
    sampling = Sampling(max_tokens=8, completions=2, seed=8)
    before = weighed.engine.score(PROMPTS[:1])
    for parameter in weighed.policy.trainable.values():
        parameter.data *= 1.5
    weighed.engine.load_policy(weighed.policy.weights(), 42)
    groups = groups_of(weighed.engine, sampling)
    assert {c.policy_version for group in groups for c in group.completions} == {42}
    assert max(abs(a - b) for a, b in zip(before[0], weighed.engine.score(PROMPTS[:1])[0], strict=True)) > 0.05
    batch = batch_of_groups(groups, temperature=1.0)
    # weights half as large again make larger logits, whose float32 rounding differs between the two by as much more
    torch.testing.assert_close(batch.column("sampler_logp"), weighed.policy.score(batch), atol=3 * weighed.tolerance, rtol=0)


def test_after_1_5_and_20_updates_the_sampler_is_still_the_policy(weighed):
    """Real GRPO steps on what the engine sampled, each followed by a sync."""
    policy, engine = weighed.policy, weighed.engine
    grpo = named("grpo", max_completion_length=6)
    start = policy.score_sequences(PROMPTS)
    for update in range(1, 21):
        groups = groups_of(engine, Sampling(max_tokens=6, completions=2, stop_ids=(1,), seed=update))
        policy.update(with_credit(groups, grpo), grpo.objective, lr=3e-3)
        engine.load_policy(policy.weights(), 7 + update)
        if update in (1, 5, 20):
            groups = groups_of(engine, Sampling(max_tokens=8, completions=2, temperature=0.7, stop_ids=(1,), seed=100 + update))
            batch = batch_of_groups(groups, temperature=0.7)
            torch.testing.assert_close(batch.column("sampler_logp"), policy.score(batch), atol=weighed.tolerance, rtol=0)
    assert policy.version == 20
    assert (
        max(abs(a - b) for row, other in zip(start, policy.score_sequences(PROMPTS), strict=True) for a, b in zip(row, other, strict=True))
        > 0.1
    )


@pytest.mark.parametrize("name", ["hf", "vllm", "vllm lora"])
def test_greedy_outputs_are_those_of_plain_generate(request, name):
    """Of transformers' own greedy search, one prompt at a time."""
    subject = ENGINES[name](request)
    subject.engine.load_policy(subject.policy.weights(), 7)
    for prompt, (completion,) in zip(PROMPTS, subject.engine.generate(PROMPTS, Sampling(12, temperature=0.0, stop_ids=(1,))), strict=True):
        ids = torch.tensor([prompt])
        own = subject.policy.model.eval().generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=1, pad_token_id=0
        )
        assert completion.tokens == own[0, len(prompt) :].tolist()


# --- the transformers engine -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hf", "hf lora"])
def test_the_models_generation_defaults_do_not_leak(request, name):
    from transformers import GenerationConfig

    sampling = Sampling(max_tokens=8, completions=4, temperature=1.3, stop_ids=(1,), seed=8)
    clean, subject = ENGINES[name](request), ENGINES[name](request)
    for each in (clean, subject):
        each.engine.load_policy(each.policy.weights(), 7)
    expected = clean.engine.generate(PROMPTS, sampling)
    model = subject.policy.model.get_base_model() if subject.policy.lora else subject.policy.model
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=1, top_p=0.1, temperature=0.1, repetition_penalty=2.0, no_repeat_ngram_size=1, min_new_tokens=7,
        suppress_tokens=list(range(2, 20)), bad_words_ids=[[20], [21]], eos_token_id=[2, 3, 4, 5], max_length=3,
    )  # fmt: skip
    defaults = model.generation_config
    assert subject.engine.generate(PROMPTS, sampling) == expected
    assert subject.engine.generate(PROMPTS, replace(sampling, temperature=0.0))[0][0].logprobs[0] < 0
    assert model.generation_config is defaults


def test_padding_token_and_batch_size_do_not_matter(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    greedy = Sampling(max_tokens=8, completions=2, temperature=0.0, stop_ids=(1,))

    def run(**options):
        engine = HFEngine(**options)
        engine.load_policy(policy.weights(), 0)
        return flat(engine.generate(PROMPTS, greedy))

    expected = run(pad_id=0)
    for options in ({"pad_id": 9}, {"pad_id": 1}, {"pad_id": 0, "max_sequences": 1}, {"pad_id": 0, "max_sequences": 3}):
        mine = run(**options)
        assert [c.tokens for c in mine] == [c.tokens for c in expected]
        assert [c.finish for c in mine] == [c.finish for c in expected]
        for one, other in zip(mine, expected, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_sampling_leaves_the_policy_as_it_was(make_qwen2):
    policy = Policy(make_qwen2(), gradient_checkpointing=True, device="cpu")
    engine = HFEngine(pad_id=0)
    engine.load_policy(policy.weights(), 0)
    for training in (True, False):
        policy.model.train(training)
        before = {name: p.clone() for name, p in policy.model.named_parameters()}
        engine.generate(PROMPTS, Sampling(max_tokens=3))
        engine.score(PROMPTS)
        assert policy.model.training is training
        assert all(torch.equal(p, before[name]) and p.grad is None for name, p in policy.model.named_parameters())


def test_without_weights_there_is_nothing_to_sample_from():
    engine = HFEngine(pad_id=0)
    with pytest.raises(ValueError, match="call load_policy first"):
        engine.generate([[3]], Sampling(max_tokens=1))


@pytest.fixture(params=["fake", "hf", "server (fake)", "vllm", "vllm lora"])
def spelling(request):
    """An engine that knows the letters of its tokens."""
    subject = ENGINES[request.param](request)
    if not isinstance(subject.engine, VLLMEngine):
        subject.engine.decode = spell
    subject.engine.load_policy(subject.policy.weights(), 7)
    return subject


def test_a_stop_text_ends_a_completion_with_the_token_that_completes_it(spelling):
    free = replace(Sampling(max_tokens=12, completions=80, temperature=1.3, seed=9), stop_ids=(1,))
    seen = Counter(  # texts that two tokens share, and that end inside the second
        f"{spell([one])[-1]}{spell([two])[0]}"
        for completion in flat(spelling.engine.generate([[3, 4]], free))
        for one, two in zip(completion.tokens, completion.tokens[1:], strict=False)
        if len(spell([two])) == 2
    )
    pair = seen.most_common(1)[0][0]
    stopped = flat(spelling.engine.generate([[3, 4], [6]], replace(free, stop_texts=(pair, "zz"))))
    ends = [spell(completion.tokens) for completion in stopped if pair in spell(completion.tokens)]
    assert len(ends) > 3
    assert not all(text.endswith(pair) for text in ends), "none ends inside a token"
    for completion in stopped:
        *before, last = completion.tokens
        assert pair not in spell(before)
        assert (completion.finish == "stop") == (last == 1 or pair in spell(completion.tokens))
        assert len(completion.logprobs) == len(completion.sampled) == len(completion.tokens)
        assert completion.finish == "stop" or len(completion.tokens) == 12
    for completion, score in zip(
        stopped, spelling.engine.score([[*prompt, *c.tokens] for prompt, c in zip(80 * [[3, 4]] + 80 * [[6]], stopped, strict=True)],
                                       temperature=1.3), strict=True,
    ):  # fmt: skip
        assert completion.logprobs == pytest.approx(score[-len(completion.tokens) :], abs=1e-5)


def test_stop_texts_need_a_tokenizer(make_qwen2):
    engine = HFEngine(pad_id=0)
    engine.load_policy(Policy(make_qwen2(), device="cpu").weights(), 0)
    with pytest.raises(ValueError, match="made with `decode`"):
        engine.generate([[3]], Sampling(max_tokens=3, stop_texts=("x",)))
    with pytest.raises(ValueError, match="empty stop text"):
        Sampling(max_tokens=3, stop_texts=("",))


def test_each_group_is_told_once_and_before_the_end(subject):
    heard = []
    groups = subject.engine.generate(
        PROMPTS, Sampling(max_tokens=5, completions=3, seed=1), lambda n, group: heard.append((n, list(group)))
    )
    assert sorted(n for n, _ in heard) == [0, 1, 2, 3]
    assert all(groups[n] == group for n, group in heard)


# --- the fake engine ---------------------------------------------------------------------------------------------------


def test_the_fake_scores_its_table():
    # row 0: exp(0) : exp(ln 3) = 1 : 3; at temperature 0.5 the odds are squared, 1 : 9
    engine = FakeEngine([[0.0, torch.tensor(3.0).log().item()], [0.0, 0.0]])
    assert engine.score([[0, 1, 1], [0, 0]])[0] == pytest.approx([0.0, -0.287682, -0.693147], abs=1e-6)
    assert engine.score([[0, 1], [0, 0]], temperature=0.5)[1] == pytest.approx([0.0, -2.302585], abs=1e-6)


@pytest.mark.parametrize("bad", [{"max_tokens": 0}, {"max_tokens": 1, "completions": 0}, {"max_tokens": 1, "temperature": -0.1}])
def test_sampling_refuses_what_makes_no_sense(bad):
    with pytest.raises(ValueError, match="at least"):
        Sampling(**bad)
