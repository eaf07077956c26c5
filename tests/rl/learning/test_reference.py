"""Who says `ref_logp` says it of the policy as it began, as it was, or as it was on average, and leaves the policy as it is."""

import pytest
import torch

from rl.learning.adapters import Lora
from rl.learning.policy import Policy
from rl.learning.reference import AdapterOff, FrozenCopy, MovingAverage, OtherModel, Renewed, initial_reference
from rl.learning.scoring import prepare
from rl.objectives.policy_gradient import KL
from tests.rl.rollouts import algorithm, make_groups, randomise_adapter, with_credit

LORA = Lora(rank=4, alpha=8.0)
GRPO = algorithm("grpo")
BATCH = with_credit(make_groups([[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]], seed=7), GRPO)


def learn(policy, lr=0.05):
    assert policy.update(BATCH, GRPO.objective, lr=lr).updates == 1


def test_a_loras_reference_is_the_base_model(make_qwen2):
    policy, base = Policy(make_qwen2(), lora=LORA, device="cpu"), Policy(make_qwen2(), device="cpu")
    reference = initial_reference(policy)
    randomise_adapter(policy)
    torch.testing.assert_close(reference.score(BATCH), base.score(BATCH), atol=1e-6, rtol=0)
    assert (policy.score(BATCH) - base.score(BATCH)).abs().max() > 0.1
    assert isinstance(reference, AdapterOff)
    assert reference.checkpoint_bytes() == 0


def test_an_adapter_that_was_trained_before_is_copied(make_qwen2):
    """A run that begins from an adapter is measured against that adapter, not against the base under it."""
    policy = Policy(make_qwen2(), lora=LORA, device="cpu")
    randomise_adapter(policy)
    initial, reference = policy.score(BATCH), initial_reference(policy)
    learn(policy)
    assert torch.equal(reference.score(BATCH), initial)
    assert (policy.score(BATCH) - initial).abs().max() > 0.01


def test_a_full_policys_reference_stays_when_it_moves(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    reference, initial = initial_reference(policy), policy.score(BATCH)
    learn(policy)
    reference.follow()
    moved = policy.score(BATCH)
    assert torch.equal(reference.score(BATCH), initial)
    assert torch.equal(policy.score(BATCH), moved), "looking at the reference changed the policy"
    assert (moved - initial).abs().max() > 0.01


def test_an_ema_reference_follows_slowly(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    reference = MovingAverage(policy, decay=0.75)
    old = {name: p.detach().clone() for name, p in policy.model.named_parameters()}
    learn(policy)
    reference.follow()
    average = make_qwen2()
    mixed = {name: 0.75 * old[name] + 0.25 * p.detach() for name, p in policy.model.named_parameters()}
    average.load_state_dict(mixed, strict=False)
    torch.testing.assert_close(reference.score(BATCH), Policy(average, device="cpu").score(BATCH), atol=1e-5, rtol=0)


def test_a_renewed_reference_becomes_the_policy_after_so_many_updates(make_qwen2, tmp_path):
    policy = Policy(make_qwen2(), device="cpu")
    reference = Renewed(policy, every=2)
    seen = [policy.score(BATCH)]
    for _ in range(3):
        learn(policy)
        reference.follow()
        seen.append(policy.score(BATCH))
    assert torch.equal(reference.score(BATCH), seen[2])
    reference.save(tmp_path)
    again = Renewed(policy, every=2)
    again.load(tmp_path)
    assert torch.equal(again.score(BATCH), seen[2])
    learn(policy)
    again.follow()  # the fourth update, of which the first three were in an earlier life
    assert torch.equal(again.score(BATCH), policy.score(BATCH))


def test_a_reference_that_is_reset_is_the_policy_of_that_moment_and_survives_a_resume(make_qwen2, tmp_path):
    policy = Policy(make_qwen2(), device="cpu")
    reference = FrozenCopy(policy)
    reference.save(tmp_path)
    assert not list(tmp_path.iterdir()), "what began can be built again"
    learn(policy)
    now = policy.score(BATCH)
    reference.reset()
    assert reference.checkpoint_bytes() == sum(4 * p.numel() for p in policy.trainable.values())
    learn(policy)
    assert torch.equal(reference.score(BATCH), now)
    reference.save(tmp_path)
    resumed = FrozenCopy(Policy(make_qwen2(), device="cpu"))
    resumed.load(tmp_path)
    assert torch.equal(resumed.score(BATCH), now)
    (tmp_path / "reference.pt").unlink()
    resumed.save(tmp_path)
    assert (tmp_path / "reference.pt").exists(), "it is kept for the life after the next, too"


def test_what_cannot_be_reset_or_switched_off_says_so(make_qwen2):
    full, adapted = Policy(make_qwen2(), device="cpu"), Policy(make_qwen2(), lora=LORA, device="cpu")
    with pytest.raises(ValueError, match="no adapter to switch off"):
        AdapterOff(full)
    with pytest.raises(ValueError, match="use FrozenCopy where the reference is reset"):
        AdapterOff(adapted).reset()
    with pytest.raises(ValueError, match="use FrozenCopy"):
        OtherModel(full).reset()


def test_another_model_says_what_it_says(make_qwen2):
    policy, other = Policy(make_qwen2(), device="cpu"), Policy(make_qwen2(seed=1), device="cpu")
    reference, said = OtherModel(other), other.score(BATCH)
    learn(policy)
    reference.follow()
    assert torch.equal(reference.score(BATCH), said)
    assert not torch.equal(policy.score(BATCH), said)


@pytest.mark.parametrize("spoil", ["gone", "other"])
def test_a_reference_of_another_run_is_refused(make_qwen2, make_llama, tmp_path, spoil):
    reference = MovingAverage(Policy(make_qwen2(), device="cpu"))
    if spoil == "other":
        MovingAverage(Policy(make_llama(), lora=LORA, device="cpu")).save(tmp_path)
    with pytest.raises(ValueError, match=r"reference\.pt is missing" if spoil == "gone" else "the reference is another policy's"):
        reference.load(tmp_path)


def test_kl_without_a_reference_is_an_error(make_qwen2):
    policy = Policy(make_qwen2(), device="cpu")
    with pytest.raises(ValueError, match="measured against a reference, and there is none"):
        prepare(BATCH, algorithm("grpo", kl=KL(0.1)).objective.reads, learner=policy, reference=None)
    with pytest.raises(ValueError, match="nobody knows how to score the column 'charm'"):
        prepare(BATCH, ("charm",), learner=policy, reference=None)


def test_what_is_there_is_not_scored_again(make_qwen2):
    ready = BATCH.with_columns({"ref_logp": torch.zeros(len(BATCH.tokens))})
    policy = Policy(make_qwen2(), device="cpu")
    reference = OtherModel(Policy(make_qwen2(seed=1), device="cpu"))
    assert prepare(ready, ("ref_logp",), learner=policy, reference=reference) == {}
    found = prepare(BATCH, ("ref_logp",), learner=policy, reference=reference)
    assert torch.equal(found["ref_logp"], reference.score(BATCH))
