"""Our losses, gradients and advantages against TRL's own code, run on a stand-in for its trainer; no model, no training.

`GRPOTrainer._generate_and_score_completions` and `RLOOTrainer`'s compute advantages and the sampler correction, `_compute_loss`
the loss: both are called unbound. The stand-in gives them the attributes that they read and the log-probabilities of the case;
an attribute that a later TRL reads in addition fails loudly.
"""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rl.objectives import credit, policy_gradient, weights
from rl.objectives.algorithms import named
from rl.objectives.policy_gradient import KL, Correction
from tests.rl.grids import as_rows, loss_of, signal_on

MAX_LENGTH = 9
GROUPS, SIZE = 3, 4


class Case:
    """One rollout, off policy enough that clips, caps and corrections bite."""

    def __init__(self, seed):
        generator = torch.Generator().manual_seed(seed)

        def noise(spread):
            return spread * torch.randn(GROUPS * SIZE, 6, dtype=torch.float64, generator=generator)

        self.seed = seed
        self.lengths = [6, *torch.randint(1, 7, (GROUPS * SIZE - 1,), generator=generator).tolist()]  # one fills the width
        self.mask = torch.arange(6)[None] < torch.tensor(self.lengths)[:, None]
        self.outcome = torch.rand(GROUPS, SIZE, dtype=torch.float64, generator=generator)
        self.signal = signal_on(self.outcome, self.mask)
        self.old = -noise(1.0).abs() - 0.5
        self.logp, self.ref = self.old + noise(0.3), self.old + noise(0.3)
        self.sampler = (self.old + noise(0.2)).float().double()  # TRL keeps the sampler's in float32

    def batch(self, algorithm, **columns):
        """The rollout's, credit given; by default with the old log-probabilities."""
        scored = columns or {"old_logp": self.old, "sampler_logp": self.sampler, "ref_logp": self.ref}
        flat = {name: x.reshape(-1) for name, x in scored.items()}
        return self.signal.batch.with_columns({**flat, **algorithm.credit(self.signal)})


cases = pytest.mark.parametrize("case", [Case(0), Case(1), Case(2)], ids=lambda case: f"seed{case.seed}")


@pytest.fixture(scope="module")
def trl(one_thread):
    import trl.trainer.grpo_trainer
    import trl.trainer.rloo_trainer

    return SimpleNamespace(GRPO=trl.trainer.grpo_trainer.GRPOTrainer, RLOO=trl.trainer.rloo_trainer.RLOOTrainer)


class StandIn(SimpleNamespace):
    """What both trainers read of `self`. `scored` maps a model to the log-probabilities that it gives."""

    def _get_per_token_logps_and_entropies(self, model, *args, **kwargs):
        return self.scored[model], torch.zeros_like(self.scored[model]), None


def stand_in(case, rewards, **settings):
    accelerator = SimpleNamespace(
        device=torch.device("cpu"), process_index=0, num_processes=1, sync_gradients=True,
        gather=lambda x: x, reduce=lambda x, reduction: x,
    )  # fmt: skip
    args = SimpleNamespace(
        per_device_train_batch_size=GROUPS * SIZE, gradient_checkpointing_kwargs=None, steps_per_generation=1,
        gradient_accumulation_steps=1, use_bias_correction_kl=False, delta=None,
    )  # fmt: skip
    completions = [[5] * n for n in case.lengths]
    samplers = [row[:n].tolist() for row, n in zip(case.sampler, case.lengths, strict=True)]
    attributes = {
        "accelerator": accelerator, "args": args, "model": Named("policy"), "ref_model": Named("reference"),
        "_calculate_rewards": lambda *_: rewards.reshape(-1, 1), "reward_weights": torch.ones(1, dtype=torch.float64),
        "reward_func_names": ["reward"], "reward_funcs": [None], "num_generations": SIZE, "_tokenizer": SimpleNamespace(pad_token_id=0),
        "pad_to_multiple_of": None, "mask_truncated_completions": False, "tools": None, "environments": None,
        "environment_factories": None, "_is_vlm": False,
        "num_iterations": 2, "beta": 0.0, "aux_loss_enabled": False, "_metrics": {"train": defaultdict(list)},
        "_logs": defaultdict(list, rewards=defaultdict(list)), "_pending_extra_logs": {}, "_pending_metrics": {},
        "scored": {"policy": case.old, "reference": case.ref},
        "multi_objective_aggregation": "sum_then_normalize", "scale_rewards": "group", "use_vllm": False,
        "vllm_importance_sampling_correction": True, "vllm_importance_sampling_clip_min": None,
        "_generate": lambda prompts: ([[3]] * len(completions), completions, None, completions, samplers, {}, None, None),
        "top_entropy_quantile": 1.0, "off_policy_mask_threshold": None, "importance_sampling_level": "token", "loss_type": "grpo",
        "epsilon_low": 0.2, "epsilon_high": 0.2, "current_gradient_accumulation_steps": 1, "max_completion_length": MAX_LENGTH,
        "_entropy_bonus_enabled": False, "reward_clip_range": None, "normalize_advantages": False,
    }  # fmt: skip
    return StandIn(**(attributes | settings))


class Named(str):
    """A model that is only a name: the key under which the stand-in finds its log-probabilities."""

    training = True
    is_gradient_checkpointing = False


def trl_rollout(trainer, standing, count=GROUPS * SIZE):
    return trainer._generate_and_score_completions(standing, [{"prompt": "p"}] * count)


def trl_loss_and_gradient(trl, case, **settings):
    """(loss, its gradient with respect to the log-probabilities), rollout and loss by TRL."""
    standing = stand_in(case, case.outcome, **settings)
    inputs = trl_rollout(trl.GRPO, standing)
    logp = case.logp.clone().requires_grad_()
    standing.scored = {"policy": logp}
    loss = trl.GRPO._compute_loss(standing, standing.model, inputs)
    loss.backward()
    return loss.detach(), logp.grad


def our_loss_and_gradient(case, algorithm):
    logp = case.logp.clone().requires_grad_()
    loss = loss_of(algorithm.objective, logp, case.batch(algorithm))
    loss.backward()
    return loss.detach(), logp.grad


def ours(name, **options):
    return named(name, max_completion_length=MAX_LENGTH, **options)


LOSSES = {
    "grpo": (ours("grpo"), {}),
    "grpo with kl": (ours("grpo", kl=KL(0.04)), {"beta": 0.04}),
    "bnpo": (ours("dapo", clip_high=0.2), {"loss_type": "bnpo"}),
    "dapo": (ours("dapo"), {"loss_type": "dapo", "epsilon_high": 0.28}),
    "dapo with kl": (ours("dapo", kl=KL(0.5)), {"loss_type": "dapo", "epsilon_high": 0.28, "beta": 0.5}),
    "clip lower": (ours("grpo", clip_low=0.05, clip_high=0.4), {"epsilon_low": 0.05, "epsilon_high": 0.4}),
    "dr_grpo": (ours("dr_grpo"), {"loss_type": "dr_grpo", "scale_rewards": "none"}),
    "gspo": (ours("gspo"), {"importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4}),
    "gspo, wide": (
        ours("gspo", clip_low=0.1, clip_high=0.1), {"importance_sampling_level": "sequence", "epsilon_low": 0.1, "epsilon_high": 0.1},
    ),
    "cispo": (ours("cispo", ratio_cap=1.2), {"loss_type": "cispo", "epsilon_high": 1.2}),
    "cispo, 5": (ours("cispo"), {"loss_type": "cispo", "epsilon_high": 5.0}),
    "cispo with kl": (ours("cispo", kl=KL(0.1)), {"loss_type": "cispo", "epsilon_high": 5.0, "beta": 0.1}),
}  # fmt: skip


@cases
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(trl, case, name):
    algorithm, settings = LOSSES[name]
    theirs, mine = trl_loss_and_gradient(trl, case, **settings), our_loss_and_gradient(case, algorithm)
    torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-6, check_dtype=False)
    assert (theirs[1][case.mask] != 0).any()


CORRECTIONS = {
    "token_truncate": (Correction("truncate", "token", high=1.05), {"vllm_importance_sampling_clip_max": 1.05}),
    "token_mask": (Correction("mask", "token", high=1.05), {"vllm_importance_sampling_clip_max": 1.05}),
    "token_mask, both": (
        Correction("mask", "token", low=0.9, high=1.1),
        {"vllm_importance_sampling_clip_min": 0.9, "vllm_importance_sampling_clip_max": 1.1},
    ),
    "sequence_truncate": (Correction("truncate", "sequence", high=1.1), {"vllm_importance_sampling_clip_max": 1.1}),
    "sequence_mask": (Correction("mask", "sequence", high=1.2), {"vllm_importance_sampling_clip_max": 1.2}),
}


@cases
@pytest.mark.parametrize("loss_type", ["grpo", "dapo"])
@pytest.mark.parametrize("name", CORRECTIONS)
def test_sampler_corrections(trl, case, loss_type, name):
    correction, settings = CORRECTIONS[name]
    mode = {"use_vllm": True, "vllm_importance_sampling_mode": name.partition(",")[0], "loss_type": loss_type, "beta": 0.1}
    options = {"correction": correction, "kl": KL(0.1), "clip_high": 0.2}
    theirs = trl_loss_and_gradient(trl, case, **mode, **settings)
    torch.testing.assert_close(our_loss_and_gradient(case, ours(loss_type, **options)), theirs, atol=1e-6, rtol=1e-6, check_dtype=False)
    without = trl_loss_and_gradient(trl, case, loss_type=loss_type, beta=0.1)
    assert (theirs[1] - without[1]).abs().max() > 1e-4, "the correction does nothing in this case, so it is not tested"


@cases
def test_without_old_log_probabilities_the_ratio_is_one_but_has_a_gradient(trl, case):
    theirs = trl_loss_and_gradient(trl, case, num_iterations=1)  # TRL then takes logp.detach() for old
    logp = case.logp.clone().requires_grad_()
    algorithm = ours("grpo")
    loss = loss_of(algorithm.objective, logp, case.batch(algorithm, sampler_logp=case.sampler))
    loss.backward()
    torch.testing.assert_close((loss.detach(), logp.grad), theirs, atol=1e-6, rtol=1e-6, check_dtype=False)


def spoilt(outcome, *where):
    spoilt = outcome.clone()
    for index in where:
        spoilt.view(-1)[index] = torch.nan
    return spoilt


NO_VERDICTS = {"all judged": (), "one is not": (1,), "one is left": (0, 1, 3), "none is": (4, 5, 6, 7), "many": (0, 5, 6, 10)}


@cases
@pytest.mark.parametrize("missing", NO_VERDICTS.values(), ids=NO_VERDICTS)
@pytest.mark.parametrize(
    ("given", "trainer", "settings"),
    [
        (credit.zscore, "GRPO", {"scale_rewards": "group"}),
        (credit.center, "GRPO", {"scale_rewards": "none"}),
        (credit.leave_one_out, "RLOO", {}),
    ],
)
def test_advantages(trl, case, given, trainer, settings, missing):
    rewards = spoilt(case.outcome, *missing)
    if trainer == "RLOO":
        settings = settings | {"_generate": lambda prompts: ([[3]] * len(prompts), [[5] * n for n in case.lengths], prompts)}
    theirs = trl_rollout(getattr(trl, trainer), stand_in(case, rewards, **settings))["advantages"]
    signal = signal_on(rewards, case.mask, ~rewards.isnan())
    mine = as_rows(given(signal)["advantage"], signal.batch)
    torch.testing.assert_close(mine, theirs[:, None] * case.mask, atol=1e-6, rtol=1e-6)


def test_equal_rewards(trl):
    case, rewards = Case(0), torch.full((GROUPS, SIZE), 0.1, dtype=torch.float64)
    theirs = trl_rollout(trl.GRPO, stand_in(case, rewards))["advantages"]
    signal = signal_on(rewards, case.mask)
    mine = as_rows(credit.zscore(signal)["advantage"], signal.batch)
    torch.testing.assert_close(mine, theirs[:, None] * case.mask, atol=1e-6, rtol=0)


@cases
def test_rloos_gradient_on_policy_up_to_the_weights(trl, case):
    """TRL's RLOO has one ratio a sequence and counts sequences, ours counts tokens: the same gradient with weight 1 / B."""
    generate = {"_generate": lambda prompts: ([[3]] * len(prompts), [[5] * n for n in case.lengths], prompts)}
    standing = stand_in(case, case.outcome, **generate)
    inputs = trl_rollout(trl.RLOO, standing)
    logp = case.old.clone().requires_grad_()
    standing.scored = {"policy": logp}
    trl.RLOO._compute_loss(standing, standing.model, inputs).backward()
    theirs, logp.grad = logp.grad, None
    rloo = ours("rloo")
    per_sequence = replace(rloo.objective, weight=lambda batch: batch.mask.double() / len(batch))
    for objective, factor in ((per_sequence, 1), (rloo.objective, case.mask.sum() / len(case.mask))):
        gradient = torch.autograd.grad(loss_of(objective, logp, case.batch(rloo)), logp)[0]
        torch.testing.assert_close(gradient * factor, theirs, atol=1e-6, rtol=1e-6)


@cases
def test_k3_is_the_kl_that_trl_reports(trl, case):
    standing = stand_in(case, case.outcome, beta=0.04)
    inputs = trl_rollout(trl.GRPO, standing)
    standing.scored = {"policy": case.logp}
    trl.GRPO._compute_loss(standing, standing.model, inputs)
    mine = (weights.token_mean(case.signal.batch) * policy_gradient.k3(case.logp.reshape(-1), case.ref.reshape(-1))).sum()
    assert standing._metrics["train"]["kl"] == [pytest.approx(mine.item(), abs=1e-6)]
