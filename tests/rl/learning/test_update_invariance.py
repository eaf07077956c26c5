"""The gradient of one optimiser step depends on what was sampled and judged, and on nothing else.

Not on micro-batches, padding, the order of sequences, on whether zero advantages are computed or skipped, or on completions
without a verdict. The model is in double precision up to its logits, so that what is compared is the objective and not rounding.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rl.objectives.advantages import Signal
from rl.objectives.losses import KL, Correction

from rl.learning.policy import Diverged, Lora, Optimizer, Policy
from rl.objectives import losses
from rl.objectives.algorithms import ALGORITHMS, named
from rl.objectives.batch import Batch, make_batch, micro_batches, split
from rollout.engine import Completion
from rollout.player import Group
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict

MAX_LENGTH, VOCABULARY = 6, 24
few = settings(max_examples=8, deadline=None, derandomize=True, database=None)
every_algorithm = pytest.mark.parametrize("name", list(ALGORITHMS))


@pytest.fixture(scope="module")
def policy(make_qwen2):
    return Policy(make_qwen2().double(), device="cpu")


def algorithm(name, **terms):
    return named(name, max_completion_length=MAX_LENGTH, **terms)


def gradient(policy, batch, chosen, *, tokens_per_micro_batch=10_000):
    """(gradient of every parameter, stats) of `Policy.update`, taken where the optimiser would have stepped."""
    taken = {}

    def take(stats, lr):
        taken.update({name: p.grad.clone() for name, p in policy.trainable.items() if p.grad is not None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "_step", take)
        patch.setattr(policy, "tokens_per_micro_batch", tokens_per_micro_batch)
        return taken, policy.update(batch, chosen, lr=1.0)


def assert_same(mine, expected):
    assert mine.keys() == expected.keys()
    assert mine, "there is no gradient to compare"
    for name, value in expected.items():
        torch.testing.assert_close(mine[name], value, atol=1e-6, rtol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


# --- rollouts ----------------------------------------------------------------------------------------------------------


@st.composite
def rewards(draw, count=3, missing=True):
    """Rewards of three completions for at most `count` problems; they often agree, and some have no verdict."""
    scores = st.sampled_from([0.0, 0.0, 0.5, 1.0, None] if missing else [0.0, 0.0, 0.5, 1.0])
    rows = draw(st.lists(st.lists(scores, min_size=3, max_size=3), min_size=1, max_size=count))
    return [[1.0, 0.0, rows[0][2]], *rows[1:]]  # one group at least has something to teach


seeds = st.integers(0, 2**31)


def make_groups(rewards, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def tokens(low, high):
        length = int(torch.randint(low, high + 1, (1,), generator=generator))
        return torch.randint(2, VOCABULARY, (length,), generator=generator).tolist()

    groups = []
    for i, row in enumerate(rewards):
        texts = [tokens(1, MAX_LENGTH) for _ in row]
        completions = tuple(Completion(t, [-1.0 - 0.1 * n for n in range(len(t))], [True] * len(t), "length", 0) for t in texts)
        verdicts = tuple(Verdict(s, Status.TIMEOUT if s is None else Status.RIGHT if s > 0 else Status.WRONG) for s in row)
        groups.append(Group(make_problem(str(i), ""), tokens(1, 5), completions, ("",) * len(row), verdicts))
    return groups


def batch_of(groups, chosen, policy, *, off_policy=0.3):
    """With old log-probabilities a little off the policy's, so that ratios are not 1 and some are clipped."""
    batch, _ = make_batch(groups, chosen, temperature=1.3, pad_id=0)
    noise = torch.randn(batch.tokens.shape, generator=torch.Generator().manual_seed(1))
    batch = replace(batch, old_logp=policy.score(batch)[0] + off_policy * noise * batch.mask)
    return replace(batch, ref_logp=batch.old_logp - 0.2 * batch.mask) if chosen.kl else batch


ALL_TERMS = {"kl": KL(0.1), "entropy_coef": 0.01, "correction": Correction("truncate", "sequence", high=1.5)}


# --- invariances -------------------------------------------------------------------------------------------------------


@every_algorithm
@few
@given(rows=rewards(), seed=seeds, budget=st.integers(1, 60), terms=st.sampled_from([{}, ALL_TERMS]))
def test_micro_batches_change_nothing(policy, name, rows, seed, budget, terms):
    chosen = algorithm(name, **terms)
    batch = batch_of(make_groups(rows, seed), chosen, policy)
    whole, stats = gradient(policy, batch, chosen)
    cut, cut_stats = gradient(policy, batch, chosen, tokens_per_micro_batch=budget)
    assert_same(cut, whole)
    assert cut_stats.loss == pytest.approx(stats.loss, abs=1e-6)
    assert (cut_stats.trained_tokens, cut_stats.clipped) == (stats.trained_tokens, stats.clipped)


@every_algorithm
@few
@given(rows=rewards(), seed=seeds, extra=st.integers(1, 9), pad=st.integers(0, VOCABULARY - 1))
def test_padding_on_the_right_changes_nothing(policy, name, rows, seed, extra, pad):
    chosen = algorithm(name, **ALL_TERMS)
    batch = batch_of(make_groups(rows, seed), chosen, policy)

    def widen(x, value):
        return torch.nn.functional.pad(x, (0, extra), value=value)

    padded = replace(
        batch, tokens=widen(batch.tokens, pad), attention=widen(batch.attention, False), mask=widen(batch.mask, False),
        sampler_logp=widen(batch.sampler_logp, -9.0), advantage=widen(batch.advantage, 0.0),
        old_logp=widen(batch.old_logp, 3.0), ref_logp=widen(batch.ref_logp, 5.0),
    )  # fmt: skip
    assert_same(gradient(policy, padded, chosen)[0], gradient(policy, batch, chosen)[0])


@every_algorithm
@few
@given(rows=rewards(), seed=seeds, data=st.data())
def test_the_order_of_sequences_changes_nothing(policy, name, rows, seed, data):
    chosen = algorithm(name, **ALL_TERMS)
    batch = batch_of(make_groups(rows, seed), chosen, policy)
    order = torch.tensor(data.draw(st.permutations(range(len(batch)))))
    assert_same(gradient(policy, batch.rows(order), chosen)[0], gradient(policy, batch, chosen)[0])


@every_algorithm
@few
@given(rows=rewards(), seed=seeds)
def test_skipping_zero_advantages_changes_nothing(policy, name, rows, seed):
    skipping, computing = algorithm(name), algorithm(name, kl=KL(0.0))
    batch = batch_of(make_groups(rows, seed), computing, policy)
    whole, stats = gradient(policy, batch, computing)
    skipped, skipped_stats = gradient(policy, batch, skipping)
    nothing = {name: torch.zeros_like(value) for name, value in whole.items()}  # no step is taken where no sequence teaches
    assert_same(skipped if skipped_stats.effective_batch else nothing, whole)
    assert stats.trained_sequences == batch.mask.any(1).sum()
    assert skipped_stats.trained_sequences == stats.effective_batch == skipped_stats.effective_batch


@every_algorithm
@few
@given(rows=rewards(missing=False), seed=st.integers(0, 99))
def test_completions_without_a_verdict_change_nothing(policy, name, rows, seed):
    chosen = algorithm(name, **ALL_TERMS)
    groups = make_groups(rows, seed)
    spoilt = make_groups([[None]] * len(groups), seed + 1)
    joined = [
        replace(g, completions=g.completions + s.completions, responses=g.responses + s.responses, verdicts=g.verdicts + s.verdicts)
        for g, s in zip(groups, spoilt, strict=True)
    ]
    mine = gradient(policy, batch_of(joined, chosen, policy, off_policy=0), chosen)
    expected = gradient(policy, batch_of(groups, chosen, policy, off_policy=0), chosen)
    assert_same(mine[0], expected[0])
    assert mine[1].trained_tokens == expected[1].trained_tokens


def direct_batch(chosen, outcome, valid, tokens, mask):
    """A Batch without make_batch: full width, prompts of two tokens."""
    signal = Signal(outcome, valid, mask & valid.reshape(-1, 1))
    sampler = torch.full(tokens.shape, -2.0)
    return Batch(tokens, torch.ones_like(mask), signal.mask, sampler, chosen.advantage(signal), 1.0, sampler, sampler - 0.1)


@every_algorithm
def test_a_score_that_is_nan_never_reaches_the_gradient(policy, name):
    chosen = algorithm(name, **ALL_TERMS)
    tokens = torch.randint(2, VOCABULARY, (4, 7), generator=torch.Generator().manual_seed(3))
    mask = (torch.arange(7) >= 2).expand(4, 7)
    three = direct_batch(chosen, torch.tensor([[1.0, 0.0, 0.5]]), torch.ones(1, 3, dtype=torch.bool), tokens[:3], mask[:3])
    outcome, valid = torch.tensor([[1.0, 0.0, 0.5, float("nan")]]), torch.tensor([[True, True, True, False]])
    assert_same(
        gradient(policy, direct_batch(chosen, outcome, valid, tokens, mask), chosen)[0],
        gradient(policy, three, chosen)[0],
    )


@every_algorithm
def test_the_gradient_is_that_of_the_formula(policy, name):
    """Against the plainest way to compute it: one sequence at a time through the model's own logits."""
    chosen = algorithm(name, **ALL_TERMS)
    batch = batch_of(make_groups([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]], seed=4), chosen, policy)
    model = policy.model
    logp, entropy = torch.zeros(batch.tokens.shape).double(), torch.zeros(batch.tokens.shape).double()
    for row in range(len(batch)):
        length = int(batch.attention[row].sum())
        logits = model(batch.tokens[row : row + 1, :length]).logits[0, :-1] / 1.3
        every = logits - logits.logsumexp(-1, keepdim=True)
        logp[row, 1:length] = every[torch.arange(length - 1), batch.tokens[row, 1:length]]
        entropy[row, 1:length] = -(every.exp() * every).sum(-1)
    c = torch.exp(((batch.old_logp - batch.sampler_logp) * batch.mask).sum(1, keepdim=True)).clamp(max=1.5)
    k3 = torch.exp(batch.ref_logp - logp) - (batch.ref_logp - logp) - 1
    token_loss = c * chosen.loss(logp, batch.old_logp, batch.advantage, batch.mask) + 0.1 * k3 - 0.01 * entropy
    loss = (chosen.weight(batch.mask) * torch.where(batch.mask, token_loss, 0.0)).sum()
    parameters = list(policy.trainable.values())
    expected = dict(zip(policy.trainable, torch.autograd.grad(loss, parameters), strict=True))
    mine, stats = gradient(policy, batch, chosen)
    assert_same(mine, expected)
    assert stats.loss == pytest.approx(loss.item(), abs=1e-6)


@every_algorithm
def test_a_rollout_that_teaches_nothing_takes_no_step(policy, name):
    batch, _ = make_batch(make_groups([[1.0, 1.0, 1.0]]), algorithm(name), temperature=1.0, pad_id=0)
    before = policy.version
    stats = policy.update(batch, algorithm(name), lr=1.0)
    assert (stats.updates, stats.effective_batch, policy.version) == (0, 0, before)


# --- cutting -----------------------------------------------------------------------------------------------------------


@few
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12), budget=st.integers(1, 90), data=st.data())
def test_micro_batches_hold_every_row_once_within_the_budget(lengths, budget, data):
    rows = data.draw(st.lists(st.sampled_from(range(len(lengths))), unique=True))
    parts = micro_batches(torch.tensor(lengths), torch.tensor(rows, dtype=torch.long), budget)
    assert sorted(row for part in parts for row in part.tolist()) == sorted(rows)
    for part in parts:
        assert len(part) == 1 or len(part) * max(lengths[row] for row in part.tolist()) <= budget


@few
@given(rows=rewards(count=5), seed=seeds, parts=st.integers(1, 6))
def test_split_keeps_groups_whole_and_in_order(rows, seed, parts):
    groups = make_groups(rows, seed)
    batch, _ = make_batch(groups, algorithm("grpo"), temperature=1.0, pad_id=0)
    steps = list(split(batch, parts, group_size=3))
    assert len(steps) == min(parts, len(groups))
    assert all(len(step) % 3 == 0 for step in steps)
    sequences = [row[kept].tolist() for step in steps for row, kept in zip(step.tokens, step.attention, strict=True)]
    assert sequences == [g.prompt + c.tokens for g in groups for c in g.completions]


def test_make_batch_places_every_number():
    completions = (
        Completion([7, 8, 1], [-0.5, -0.25, -0.125], [True, False, True], "stop", 0),
        Completion([9], [-2.0], [True], "length", 0),
        Completion([5, 5], [-1.0, -3.0], [True, True], "length", 0),
    )
    verdicts = (Verdict(1.0, Status.RIGHT), Verdict(0.0, Status.WRONG), Verdict(None, Status.CRASH))
    group = Group(make_problem("p", "a"), [3, 4], completions, ("", "", ""), verdicts)
    batch, signal = make_batch([group], algorithm("dr_grpo"), temperature=0.7, pad_id=0)
    assert batch.tokens.tolist() == [[3, 4, 7, 8, 1], [3, 4, 9, 0, 0], [3, 4, 5, 5, 0]]
    assert batch.attention.int().tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    assert batch.mask.int().tolist() == [[0, 0, 1, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]  # a tool's token; no verdict
    assert batch.sampler_logp.tolist() == [[0, 0, -0.5, -0.25, -0.125], [0, 0, -2.0, 0, 0], [0, 0, -1.0, -3.0, 0]]
    assert batch.advantage.tolist() == [[0, 0, 0.5, 0, 0.5], [0, 0, -0.5, 0, 0], [0, 0, 0, 0, 0]]
    assert (batch.temperature, signal.valid.tolist()) == (0.7, [[True, True, False]])


def test_dapos_penalty_is_on_the_length_that_was_sampled():
    groups = make_groups([[1.0, 1.0, None]], seed=1)
    lengths = [len(c.tokens) for c in groups[0].completions]
    chosen = named("dapo", max_completion_length=MAX_LENGTH, overlong_cache=4)
    _, signal = make_batch(groups, chosen, temperature=1.0, pad_id=0)
    expected = [1 - min(1.0, max(0.0, (n - 2) / 4)) for n in lengths[:2]]
    assert signal.outcome[0, :2].tolist() == pytest.approx(expected)
    assert len(set(lengths[:2])) == 2


# --- the policy --------------------------------------------------------------------------------------------------------

LORA = Lora(rank=4, alpha=8.0)
DORA = Lora(rank=4, alpha=8.0, dora=True)


def grpo_batch(policy, *, seed=7, **terms):
    chosen = algorithm("grpo", **terms)
    batch, _ = make_batch(make_groups([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]], seed), chosen, temperature=1.0, pad_id=0)
    return (replace(batch, ref_logp=policy.score_reference(batch)) if chosen.kl else batch), chosen


def snapshot(policy):
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


def changed(policy, before):
    return {name for name, p in policy.model.named_parameters() if not torch.equal(p, before[name])}


def test_the_optimiser_step_is_adamw_on_the_clipped_gradient(make_qwen2):
    policy = Policy(make_qwen2(), optimizer=Optimizer(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, max_grad_norm=0.05), device="cpu")
    batch, chosen = grpo_batch(policy)
    gradients, _ = gradient(policy, batch, chosen)
    norm = torch.sqrt(sum(g.double().square().sum() for g in gradients.values()))
    clones = {name: torch.nn.Parameter(p.detach().clone()) for name, p in policy.trainable.items()}
    for name, clone in clones.items():
        clone.grad = gradients[name] * (0.05 / norm).float()
    torch.optim.AdamW(clones.values(), lr=0.01, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1).step()
    stats = policy.update(batch, chosen, lr=0.01)
    assert stats.grad_norm == pytest.approx(norm.item(), rel=1e-5)
    assert norm > 0.05
    for name, parameter in policy.trainable.items():
        torch.testing.assert_close(parameter.detach(), clones[name].detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("broken", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_skipped_and_the_third_in_a_row_raises(make_qwen2, broken):
    policy = Policy(make_qwen2(), device="cpu")
    good, chosen = grpo_batch(policy)
    bad = replace(good, advantage=torch.where(good.mask, torch.inf, 0.0)) if broken == "loss" else good

    def spoil():
        poison = policy.trainable["model.norm.weight"].register_hook(lambda g: g * torch.nan) if broken == "gradient" else None
        try:
            return policy.update(bad, chosen, lr=0.1)
        finally:
            if poison:
                poison.remove()

    for _ in range(2):
        before = snapshot(policy)
        for expected_in_a_row in (1, 2):
            stats = spoil()
            assert (stats.skipped, stats.updates, policy.skipped_in_a_row) == (1, 0, expected_in_a_row)
        assert not changed(policy, before)
        assert policy.update(good, chosen, lr=0.1).updates == 1  # a good step, and the count begins anew
    before, version = snapshot(policy), policy.version
    spoil()
    spoil()
    with pytest.raises(Diverged, match=r"^3 steps in a row .* learning rate 0\.1, policy version 2; gradients not finite in \d+ of \d+ "):
        spoil()
    assert not changed(policy, before)
    assert policy.version == version == 2


@pytest.mark.parametrize("lora", [LORA, DORA], ids=["lora", "dora"])
def test_an_adapter_trains_alone(make_qwen2, lora):
    policy = Policy(make_qwen2(), lora=lora, device="cpu")
    batch, chosen = grpo_batch(policy)
    before = snapshot(policy)
    for _ in range(2):  # a new adapter's A has no gradient before B has moved from 0
        policy.update(batch, chosen, lr=0.05)
    assert changed(policy, before) == {name for name in before if "lora_" in name} == set(policy.trainable)
    assert any("magnitude" in name for name in policy.trainable) is lora.dora


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_gradient_checkpointing_gives_the_same_gradient(make_qwen2, lora):
    def run(checkpointing):
        policy = Policy(make_qwen2(), lora=lora, gradient_checkpointing=checkpointing, device="cpu")
        randomise_adapter(policy)
        calls = []
        layer = next(module for name, module in policy.model.named_modules() if name.endswith("layers.0.mlp"))
        layer.register_forward_pre_hook(lambda *_: calls.append(1))
        batch, chosen = grpo_batch(policy)
        return gradient(policy, batch, chosen)[0], len(calls)

    plain, once = run(False)
    checkpointed, twice = run(True)
    assert_same(checkpointed, plain)
    assert twice == 2 * once  # recomputed in the backward pass


def randomise_adapter(policy, seed=0):
    """A LoRA's B starts at 0, where an adapter that is ignored could not be told from one that is used."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in policy.trainable.items():
        if "lora_B" in name:
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
def test_bf16_keeps_float32_where_it_trains_and_nearly_the_same_gradient(make_qwen2, lora):
    model = make_qwen2().to(torch.bfloat16) if lora else make_qwen2()
    policy, exact = Policy(model, lora=lora, dtype="bf16", device="cpu"), Policy(make_qwen2(), lora=lora, device="cpu")
    randomise_adapter(policy)
    randomise_adapter(exact)
    assert {p.dtype for p in policy.trainable.values()} == {torch.float32}
    batch, chosen = grpo_batch(policy)
    mine, expected = (torch.cat([g.flatten() for g in gradient(p, batch, chosen)[0].values()]) for p in (policy, exact))
    assert torch.cosine_similarity(mine, expected, dim=0) > 0.99
    assert not torch.equal(mine, expected)
    assert policy.update(batch, chosen, lr=0.01).updates == 1


def test_a_loras_reference_is_the_base_model(make_qwen2):
    policy, base = Policy(make_qwen2(), lora=LORA, reference="initial", device="cpu"), Policy(make_qwen2(), device="cpu")
    randomise_adapter(policy)
    batch, _ = grpo_batch(policy)
    torch.testing.assert_close(policy.score_reference(batch), base.score(batch)[0], atol=1e-6, rtol=0)
    assert (policy.score(batch)[0] - base.score(batch)[0]).abs().max() > 0.1


def test_a_full_policys_reference_stays_when_it_moves(make_qwen2):
    policy = Policy(make_qwen2(), reference="initial", device="cpu")
    batch, chosen = grpo_batch(policy, kl=KL(0.1))
    initial = policy.score(batch)[0]
    policy.update(batch, chosen, lr=0.05)
    moved = policy.score(batch)[0]
    assert torch.equal(policy.score_reference(batch), initial)
    assert torch.equal(policy.score(batch)[0], moved), "looking at the reference changed the policy"
    assert (moved - initial).abs().max() > 0.01


def test_an_ema_reference_follows_slowly(make_qwen2):
    policy = Policy(make_qwen2(), reference="ema", ema_decay=0.75, device="cpu")
    batch, chosen = grpo_batch(policy, kl=KL(0.1))
    old = snapshot(policy)
    policy.update(batch, chosen, lr=0.05)
    average = make_qwen2()
    average.load_state_dict({name: 0.75 * old[name] + 0.25 * p for name, p in snapshot(policy).items()}, strict=False)
    torch.testing.assert_close(policy.score_reference(batch), Policy(average, device="cpu").score(batch)[0], atol=1e-5, rtol=0)


def test_kl_without_a_reference_is_an_error(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    with pytest.raises(ValueError, match="built without a reference"):
        grpo_batch(policy, kl=KL(0.1))


def test_kl_without_reference_log_probabilities_is_an_error(policy):
    """The penalty that was asked for would silently be left out."""
    with pytest.raises((ValueError, AssertionError)):
        gradient(policy, grpo_batch(policy)[0], algorithm("grpo", kl=KL(0.1)))


@pytest.mark.parametrize("estimator", [losses.k2, losses.k3])
def test_the_kl_term_pulls_towards_the_reference(make_qwen2, estimator):
    policy = Policy(make_qwen2(), reference="initial", device="cpu")
    generator = torch.Generator().manual_seed(0)
    for parameter in policy.trainable.values():
        parameter.data += 0.03 * torch.randn(parameter.shape, generator=generator)
    batch, chosen = grpo_batch(policy, kl=KL(1.0, estimator))
    batch = replace(batch, advantage=torch.zeros_like(batch.advantage))

    distances = []
    for _ in range(20):
        distances.append((policy.score(batch)[0] - batch.ref_logp).square().sum().item())
        policy.update(batch, chosen, lr=0.002)
    assert distances[-1] < 0.5 * distances[0]


def test_a_correction_multiplies_the_loss_and_not_the_kl(make_qwen2):
    policy = Policy(make_qwen2().double(), reference="initial", device="cpu")
    batch, plain = grpo_batch(policy, kl=KL(0.0))
    batch = replace(batch, ref_logp=batch.ref_logp - 0.3, sampler_logp=policy.score(batch)[0] - torch.tensor(1.5).log())
    corrected = algorithm("grpo", kl=KL(0.2), correction=Correction("truncate", "token", high=2.0))
    of_loss, _ = gradient(policy, batch, plain)
    of_both, _ = gradient(policy, batch, replace(plain, kl=KL(0.2)))
    expected = {name: 1.5 * g + (of_both[name] - g) for name, g in of_loss.items()}
    assert_same(gradient(policy, batch, corrected)[0], expected)


def test_an_entropy_bonus_raises_the_entropy(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    batch, chosen = grpo_batch(policy, entropy_coef=0.1)
    batch = replace(batch, advantage=torch.zeros_like(batch.advantage))
    before = policy.score(batch)[1].sum()
    for _ in range(5):
        policy.update(batch, chosen, lr=0.005)
    assert policy.score(batch)[1].sum() > 1.05 * before


BUILDS = {
    "full": {},
    "full, kl": {"reference": "initial"},
    "full, bf16": {"dtype": "bf16"},
    "lora": {"lora": LORA, "reference": "initial"},
    "dora": {"lora": DORA},
    "ema": {"reference": "ema", "ema_decay": 0.8},
    "lora, ema": {"lora": LORA, "reference": "ema", "ema_decay": 0.8},
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize("make", ["make_qwen2", "make_llama"])
def test_a_loaded_policy_continues_to_the_last_bit(request, tmp_path, make, build):
    make_model = request.getfixturevalue(make)
    policy, resumed = (Policy(make_model(), **build, device="cpu") for _ in range(2))
    randomise_adapter(resumed, seed=5)
    terms = {"kl": KL(0.1)} if policy.reference else {}
    for seed in (1, 2):
        policy.update(*grpo_batch(policy, seed=seed, **terms), lr=0.02)
    policy.save(tmp_path)
    resumed.load(tmp_path)
    for seed in (3, 4):
        mine, expected = (p.update(*grpo_batch(p, seed=seed, **terms), lr=0.02) for p in (resumed, policy))
        assert mine == expected
        assert mine.updates == 1
    assert not changed(resumed, snapshot(policy))
    assert resumed.version == policy.version == 4
