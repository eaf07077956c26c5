"""The gradient of one optimiser step depends on what was sampled and judged, and on nothing else.

Not on micro-batches or the layout of their tokens, on the order of sequences, on whether zero advantages are computed or skipped, or
on completions without a verdict. The model is in double precision up to its logits, so that what is compared is the objective and not
rounding.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.learning.layout import LAYOUTS, Layout, padded
from rl.learning.policy import Policy
from rl.loop.group_batch import taught
from rl.objectives.algorithms import ALGORITHMS
from rl.objectives.batch import trained
from rl.objectives.credit import Signal
from rl.objectives.policy_gradient import KL, Correction
from tests.rl.grids import grid, in_one_step
from tests.rl.rollouts import VOCABULARY, algorithm, as_if_scored, assert_same, gradient, make_groups, with_credit

few = settings(max_examples=8, deadline=None, derandomize=True, database=None)
every_algorithm = pytest.mark.parametrize("name", list(ALGORITHMS))


@pytest.fixture(scope="module")
def policy(make_qwen2):
    return Policy(make_qwen2().double(), device="cpu")


@st.composite
def rewards(draw, count=3, missing=True):
    """Rewards of three completions for at most `count` problems; they often agree, and some have no verdict."""
    scores = st.sampled_from([0.0, 0.0, 0.5, 1.0, None] if missing else [0.0, 0.0, 0.5, 1.0])
    rows = draw(st.lists(st.lists(scores, min_size=3, max_size=3), min_size=1, max_size=count))
    return [[1.0, 0.0, rows[0][2]], *rows[1:]]  # one group at least has something to teach


seeds = st.integers(0, 2**31)


def batch_of(groups, chosen, policy, *, off_policy=0.3):
    """With old log-probabilities a little off the policy's, so that ratios are not 1 and some are clipped."""
    batch = with_credit(groups, chosen, temperature=1.3)
    noise = torch.randn(len(batch.tokens), generator=torch.Generator().manual_seed(1))
    old = policy.score(batch) + off_policy * noise * batch.mask
    batch = batch.with_columns({"old_logp": old})
    return batch.with_columns({"ref_logp": old - 0.2 * batch.mask}) if chosen.objective.reads else batch


ALL_TERMS = {"kl": KL(0.1), "entropy_coef": 0.01, "correction": Correction("truncate", "sequence", high=1.5)}


@every_algorithm
@few
@given(rows=rewards(), seed=seeds, budget=st.integers(1, 60), terms=st.sampled_from([{}, ALL_TERMS]))
def test_micro_batches_and_layouts_change_nothing(policy, name, rows, seed, budget, terms):
    chosen = algorithm(name, **terms)
    batch = batch_of(make_groups(rows, seed), chosen, policy)
    whole, stats = gradient(policy, batch, chosen.objective)
    for size, layout in ((budget, "padded"), (budget, "packed"), (budget, "shared"), (10_000, "shared")):
        cut, cut_stats = gradient(policy, batch, chosen.objective, tokens_per_micro_batch=size, layout=layout)
        assert_same(cut, whole)
        assert cut_stats.loss == pytest.approx(stats.loss, abs=1e-6)
        assert cut_stats.trained_tokens == stats.trained_tokens
        assert cut_stats.measured["clipped_share"] == stats.measured["clipped_share"]


@every_algorithm
@few
@given(rows=rewards(), seed=seeds, extra=st.integers(1, 9), pad=st.integers(0, VOCABULARY - 1))
def test_neither_padding_on_the_right_nor_what_does_not_train_changes_anything(policy, name, rows, seed, extra, pad):
    """As beside rows longer by `extra`, with another padding token, and with columns that hold anything where the mask is False."""
    chosen = algorithm(name, **ALL_TERMS)
    batch = batch_of(make_groups(rows, seed), chosen, policy)

    def widened(batch):
        laid = padded(batch)
        tokens, attention = laid.inputs["input_ids"], laid.inputs["attention_mask"]
        width = tokens.shape[1]
        tokens = torch.nn.functional.pad(torch.where(attention == 1, tokens, pad), (0, extra), value=pad)
        attention = torch.nn.functional.pad(attention, (0, extra))
        source, own = (places // width * (width + extra) + places % width for places in (laid.source, laid.own))
        return Layout({"input_ids": tokens, "attention_mask": attention}, source, own)

    junk = {"sampler_logp": -9.0, "advantage": 7.0, "old_logp": 3.0, "ref_logp": 5.0}
    spoilt = batch.with_columns({name: torch.where(batch.mask, batch.columns[name], value) for name, value in junk.items()})
    expected = gradient(policy, batch, chosen.objective)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LAYOUTS, "padded", widened)
        assert_same(gradient(policy, spoilt, chosen.objective)[0], expected)


@every_algorithm
@few
@given(rows=rewards(), seed=seeds, data=st.data())
def test_the_order_of_sequences_changes_nothing(policy, name, rows, seed, data):
    chosen = algorithm(name, **ALL_TERMS)
    batch = batch_of(make_groups(rows, seed), chosen, policy)
    order = torch.tensor(data.draw(st.permutations(range(len(batch)))))
    assert_same(gradient(policy, batch.take(order), chosen.objective)[0], gradient(policy, batch, chosen.objective)[0])


@every_algorithm
@few
@given(rows=rewards(), seed=seeds)
def test_skipping_zero_advantages_changes_nothing(policy, name, rows, seed):
    skipping, computing = algorithm(name), algorithm(name, kl=KL(0.0))
    batch = batch_of(make_groups(rows, seed), computing, policy)
    whole, stats = gradient(policy, batch, computing.objective)
    skipped, skipped_stats = gradient(policy, batch, skipping.objective)
    nothing = {name: torch.zeros_like(value) for name, value in whole.items()}  # no step is taken where no sequence teaches
    assert_same(skipped if taught(batch) else nothing, whole)
    weighs = trained(batch, batch.mask & (computing.objective.weight(batch) != 0)) > 0  # RAFT gives the others no weight at all
    assert stats.trained_sequences == weighs.sum()
    assert skipped_stats.trained_sequences == taught(batch)


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
    mine = gradient(policy, batch_of(joined, chosen, policy, off_policy=0), chosen.objective)
    expected = gradient(policy, batch_of(groups, chosen, policy, off_policy=0), chosen.objective)
    assert_same(mine[0], expected[0])
    assert mine[1].trained_tokens == expected[1].trained_tokens


def direct_batch(chosen, outcome, valid, tokens, mask):
    """A Batch that was not made of groups: rows of one length, prompts of two tokens."""
    sampler = torch.full(tokens.shape, -2.0)
    batch = grid(mask & valid.reshape(-1, 1), tokens=tokens, sampler_logp=sampler, old_logp=sampler, ref_logp=sampler - 0.1)
    batch = as_if_scored(batch, chosen)
    return batch.with_columns(chosen.credit(in_one_step(Signal(outcome, valid, batch))))


@every_algorithm
def test_a_score_that_is_nan_never_reaches_the_gradient(policy, name):
    chosen = algorithm(name, **ALL_TERMS)
    tokens = torch.randint(2, VOCABULARY, (4, 7), generator=torch.Generator().manual_seed(3))
    mask = (torch.arange(7) >= 2).expand(4, 7)
    three = direct_batch(chosen, torch.tensor([[1.0, 0.0, 0.5]]), torch.ones(1, 3, dtype=torch.bool), tokens[:3], mask[:3])
    outcome, valid = torch.tensor([[1.0, 0.0, 0.5, float("nan")]]), torch.tensor([[True, True, True, False]])
    assert_same(
        gradient(policy, direct_batch(chosen, outcome, valid, tokens, mask), chosen.objective)[0],
        gradient(policy, three, chosen.objective)[0],
    )


@every_algorithm
def test_the_gradient_is_that_of_the_formula(policy, name):
    """Against the plainest way to compute it: one sequence at a time through the model's own logits."""
    chosen = algorithm(name, **ALL_TERMS)
    batch = batch_of(make_groups([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]], seed=4), chosen, policy)
    old, sampler, ref = (batch.columns[column] for column in ("old_logp", "sampler_logp", "ref_logp"))
    logp, entropy = torch.zeros(len(batch.tokens)).double(), torch.zeros(len(batch.tokens)).double()
    ratio = torch.zeros(len(batch.tokens)).double()
    for row in range(len(batch)):
        places = (batch.row == row).nonzero().squeeze(1)
        tokens = batch.tokens[places]
        logits = policy.model(tokens[None]).logits[0, :-1] / 1.3
        every = logits - logits.logsumexp(-1, keepdim=True)
        logp = logp.index_copy(0, places[1:], every[torch.arange(len(tokens) - 1), tokens[1:]])
        entropy = entropy.index_copy(0, places[1:], -(every.exp() * every).sum(-1))
        ratio[places] = torch.exp(((old - sampler) * batch.mask)[places].sum())
    k3 = torch.exp(ref - logp) - (ref - logp) - 1
    token_loss = chosen.objective.loss.token_loss({"logp": logp}, batch)
    whole = ratio.clamp(max=1.5) * token_loss + 0.1 * k3 - 0.01 * entropy
    loss = (chosen.objective.weight(batch) * torch.where(batch.mask, whole, 0.0)).sum()
    parameters = list(policy.trainable.values())
    expected = dict(zip(policy.trainable, torch.autograd.grad(loss, parameters), strict=True))
    mine, stats = gradient(policy, batch, chosen.objective)
    assert_same(mine, expected)
    assert stats.loss == pytest.approx(loss.item(), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "ppo"])  # a critic's values differ where rewards do not
def test_a_rollout_that_teaches_nothing_takes_no_step(policy, name):
    """Equal rewards have nothing to say to a baseline; rejection sampling learns from right ones, but never from wrong ones."""
    batch = with_credit(make_groups([[0.0 if name == "raft" else 1.0] * 3]), algorithm(name))
    before = policy.version
    stats = policy.update(batch, algorithm(name).objective, lr=1.0)
    assert (stats.updates, taught(batch), policy.version) == (0, 0, before)
