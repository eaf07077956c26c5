"""Preference losses and their gradients against TRL's own code, run on a stand-in for its trainers in float64; no model, no training.

`DPOTrainer._compute_loss` and `KTOTrainer._compute_loss` take log-probabilities from the model that the stand-in gives them, the
experimental ORPO and CPO trainers take logits. All are called unbound; an attribute that a later TRL reads in addition fails loudly.
"""

import os
from collections import defaultdict
from types import MethodType, SimpleNamespace

import pytest
import torch

from rl.objectives.batch import lay_out
from rl.objectives.preferences import chosen_length, preference, reference_point, with_trained_prompts

VOCABULARY = 11
PAIRS = 3


class Case:
    """Pairs of unequal lengths, far enough from the reference that every curve bends."""

    def __init__(self, seed):
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        sequences, prompt_lengths = [], []
        for _ in range(PAIRS):
            prompt = torch.randint(0, VOCABULARY, (int(torch.randint(2, 6, (), generator=generator)),), generator=generator).tolist()
            for _ in range(2):
                count = int(torch.randint(1, 7, (), generator=generator))
                sequences.append(prompt + torch.randint(0, VOCABULARY, (count,), generator=generator).tolist())
                prompt_lengths.append(len(prompt))
        masks = [[at >= start for at in range(len(s))] for s, start in zip(sequences, prompt_lengths, strict=True)]
        self.batch = lay_out(sequences, masks, prompt_lengths)
        self.width = max(map(len, sequences))

        def noise(*shape):
            return torch.randn(shape, dtype=torch.float64, generator=generator)

        count = len(self.batch.tokens)
        self.logp = -0.2 - 2 * noise(count).abs()
        self.ref = self.logp + 1.5 * noise(count)
        self.logits = 2 * noise(2 * PAIRS, self.width, VOCABULARY)
        self.label = torch.rand(2 * PAIRS, generator=generator) < 0.5
        self.label[:2] = torch.tensor([True, False])

    def padded(self, x, batch=None):
        """[N] -> [B, T], 0 where there is no token."""
        batch = batch or self.batch
        return x.new_zeros(len(batch), int(batch.lengths.max())).index_put((batch.row, batch.position), x)

    def chosen_first(self, x):
        """TRL's order of rows: all chosen, then all rejected."""
        return torch.cat([x[0::2], x[1::2]])

    def inputs(self):
        ids, mask = (self.chosen_first(self.padded(x.long())) for x in (self.batch.tokens, self.batch.mask))
        attention = self.chosen_first(self.padded(torch.ones_like(self.batch.tokens)))
        return {"input_ids": ids, "completion_mask": mask, "attention_mask": attention}


cases = pytest.mark.parametrize("case", [Case(0), Case(1), Case(2)], ids=lambda case: f"seed{case.seed}")


@pytest.fixture(scope="module")
def trl(one_thread):
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from trl.experimental.cpo.cpo_trainer import CPOTrainer
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.kto_trainer import KTOTrainer

    return SimpleNamespace(DPO=DPOTrainer, KTO=KTOTrainer, ORPO=ORPOTrainer, CPO=CPOTrainer)


def stand_in(**settings):
    accelerator = SimpleNamespace(device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x)
    attributes = {
        "accelerator": accelerator, "model": SimpleNamespace(training=True), "aux_loss_enabled": False,
        "_metrics": {"train": defaultdict(list)}, "_total_train_tokens": 0, "_tp_size": 1, "beta": 0.1, "is_encoder_decoder": False,
    }  # fmt: skip
    return SimpleNamespace(**(attributes | settings))


def given_logps(logp):
    """A model in TRL's sense that gives these log-probabilities [B, T - 1]."""
    zeros = torch.zeros_like(logp)
    outputs = SimpleNamespace(log_probs=logp, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())
    return lambda **_: outputs


def trl_dpo(trl, case, losses, weights, **settings):
    standing = stand_in(
        ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl", loss_types=losses, loss_weights=weights,
        use_weighting=False, **settings,
    )  # fmt: skip
    logp = case.logp.clone().requires_grad_()
    scored = torch.where(case.batch.mask, logp, 0.0)
    ref = case.padded(torch.where(case.batch.mask, case.ref, 0.0)).sum(1)
    inputs = case.inputs() | {"ref_chosen_logps": ref[0::2], "ref_rejected_logps": ref[1::2]}
    loss = trl.DPO._compute_loss(standing, given_logps(case.chosen_first(case.padded(scored))[:, 1:]), inputs, False)
    loss.backward()
    return loss.detach(), logp.grad, standing._metrics["train"]


def ours(case, objective, batch=None, **columns):
    """(loss, gradient with respect to every token's log-probability, numbers for the log)."""
    batch = (batch or case.batch).with_columns({"ref_logp": case.ref, **columns})
    batch = batch.with_columns({"chosen_length": chosen_length(batch).double()})
    logp = case.logp.clone().requires_grad_()
    terms = {"logp": torch.where(batch.mask, logp, 0.0)}
    loss = (objective.weight(batch) * objective.loss(terms, batch)).sum()
    loss.backward()
    assert loss.dtype == torch.float64
    return loss.detach(), logp.grad, {name: float(measure(terms, batch).detach().nanmean()) for name, measure in objective.measures.items()}


def assert_same(got, expected):
    assert torch.allclose(got[0], expected[0], rtol=1e-6, atol=1e-9)
    assert torch.allclose(got[1], expected[1], rtol=1e-6, atol=1e-9)
    assert expected[1].abs().max() > 1e-3  # a loss without a gradient would agree with anything
    for name in got[2]:
        assert got[2][name] == pytest.approx(expected[2][name][-1], rel=1e-6), name


@cases
@pytest.mark.parametrize("beta", [0.1, 0.7])
@pytest.mark.parametrize(
    ("name", "options", "theirs", "settings"),
    [
        ("sigmoid", {}, "sigmoid", {}),
        ("hinge", {}, "hinge", {}),
        ("ipo", {}, "ipo", {}),
        ("robust", {"label_smoothing": 0.2}, "robust", {"label_smoothing": 0.2}),
        ("sigmoid", {"length_normalised": True}, "sigmoid_norm", {}),
    ],
    ids=["sigmoid", "hinge", "ipo", "robust", "sigmoid_norm"],
)
def test_the_dpo_family(trl, case, beta, name, options, theirs, settings):
    expected = trl_dpo(trl, case, [theirs], [1.0], beta=beta, **settings)
    assert_same(ours(case, preference(name, beta=beta, **options)), expected)


@cases
def test_dpo_beside_the_likelihood_of_the_chosen_side(trl, case):
    expected = trl_dpo(trl, case, ["sigmoid", "sft"], [1.0, 0.3])
    got = ours(case, preference("sigmoid", nll_coef=0.3, nll_mean="token"))
    assert got[2].pop("nll_loss") == pytest.approx((float(expected[0]) - float(trl_dpo(trl, case, ["sigmoid"], [1.0])[0])) / 0.3)
    assert_same(got, expected)


@cases
def test_conservative_dpo_is_cpos_label_smoothing_on_log_ratios(trl, case):
    """TRL's DPO has no cDPO, its CPO has: given log-ratios for log-probabilities, the losses are one."""
    standing = stand_in(alpha=0.0, loss_type="sigmoid", label_smoothing=0.2)
    logp = case.logp.clone().requires_grad_()
    gains = case.padded(torch.where(case.batch.mask, logp - case.ref, 0.0)).sum(1)
    losses, *_ = trl.CPO.cpo_loss(standing, gains[0::2], gains[1::2])
    losses.mean().backward()
    got = ours(case, preference("sigmoid", label_smoothing=0.2))
    assert torch.allclose(got[0], losses.mean().detach(), rtol=1e-6)
    assert torch.allclose(got[1], logp.grad, rtol=1e-6, atol=1e-12)


# --- from logits ---------------------------------------------------------------------------------------------------------


def trl_from_logits(trainer, case, **settings):
    """The loss, its gradient with respect to the logits, and the log, of the experimental trainers (ORPO, CPO)."""
    standing = stand_in(padding_value=0, pad_token_id=0, **settings)
    standing.get_batch_logps, standing.concatenated_inputs = trainer.get_batch_logps, trainer.concatenated_inputs
    for name in ("concatenated_forward", "odds_ratio_loss", "cpo_loss"):
        if hasattr(trainer, name):
            setattr(standing, name, MethodType(getattr(trainer, name), standing))
    ids, mask, attention = (case.padded(x.long()) for x in (case.batch.tokens, case.batch.mask, torch.ones_like(case.batch.tokens)))
    labels = torch.where(mask == 1, ids, -100)
    rows = {"input_ids": ids, "attention_mask": attention, "labels": labels}
    batch = {f"{side}_{name}": x[first::2] for first, side in enumerate(("chosen", "rejected")) for name, x in rows.items()}
    logits = case.logits.clone().requires_grad_()
    loss, metrics = trainer.get_batch_loss_metrics(standing, lambda *_, **__: SimpleNamespace(logits=case.chosen_first(logits)), batch)
    loss.backward()
    return loss.detach(), logits.grad, {name: [value] for name, value in metrics.items()}


def ours_from_logits(case, objective, batch=None):
    batch = batch or case.batch
    batch = batch.with_columns({"chosen_length": chosen_length(batch).double()})
    logits = case.logits.clone().requires_grad_()
    predicting = logits[batch.row, (batch.position - 1).clamp(min=0)]
    logp = torch.log_softmax(predicting, -1).gather(1, batch.tokens[:, None])[:, 0]
    terms = {"logp": torch.where(batch.mask, logp, 0.0)}
    loss = (objective.weight(batch) * objective.loss(terms, batch)).sum()
    loss.backward()
    return loss.detach(), logits.grad, {name: float(measure(terms, batch).detach().mean()) for name, measure in objective.measures.items()}


@pytest.fixture
def in_double(monkeypatch):
    """TRL's ORPO rounds to float32 before the odds; here it does not."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


@cases
@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_orpo_over_prompt_and_completion_is_trls(trl, in_double, case, beta):
    expected = trl_from_logits(trl.ORPO, case, beta=beta)
    objective = preference("orpo", beta=beta, nll_over="everything", nll_mean="token")
    assert_same(ours_from_logits(case, objective, with_trained_prompts(case.batch)), expected)


@cases
@pytest.mark.parametrize(("gamma", "smoothing", "alpha"), [(0.5, 0.0, 0.0), (1.0, 0.1, 0.0), (0.5, 0.0, 0.4)])
def test_simpo_is_cpos(trl, case, gamma, smoothing, alpha):
    expected = trl_from_logits(
        trl.CPO, case, beta=2.0, simpo_gamma=gamma, label_smoothing=smoothing, cpo_alpha=alpha, alpha=0.0, loss_type="simpo"
    )
    objective = preference("simpo", beta=2.0, gamma=gamma, label_smoothing=smoothing, nll_coef=alpha, nll_mean="token" if alpha else None)
    assert_same(ours_from_logits(case, objective), expected)


# --- single completions --------------------------------------------------------------------------------------------------


@cases
@pytest.mark.parametrize(("shift", "weights"), [(0.0, (1.0, 1.0)), (3.0, (1.3, 0.6)), (-9.0, (1.0, 2.0))])
def test_kto(trl, case, shift, weights):
    """`shift` moves the mismatched pairs' gains above and below 0, where z0 is clamped."""
    generator = torch.Generator().manual_seed(case.seed)
    gains = shift + torch.randn(len(case.batch), dtype=torch.float64, generator=generator)
    standing = stand_in(
        calculate_KL=True, precompute_ref_logps=True, loss_type="kto", desirable_weight=weights[0], undesirable_weight=weights[1]
    )
    standing._compute_kl_logps = lambda model, batch: gains  # the reference's are 0
    logp = case.logp.clone().requires_grad_()
    ids, mask, attention = (case.padded(x.long()) for x in (case.batch.tokens, case.batch.mask, torch.ones_like(case.batch.tokens)))
    inputs = {
        "input_ids": ids, "completion_mask": mask, "attention_mask": attention, "label": case.label,
        "ref_logps": case.padded(torch.where(case.batch.mask, case.ref, 0.0)).sum(1), "ref_KL_logps": torch.zeros(len(case.batch)),
    }  # fmt: skip
    model = given_logps(case.padded(torch.where(case.batch.mask, logp, 0.0))[:, 1:])
    loss = trl.KTO._compute_loss(standing, model, inputs, False)
    loss.backward()
    objective = preference("kto", desirable_weight=weights[0], undesirable_weight=weights[1])
    got = ours(case, objective, label=case.label, z0=reference_point(gains).expand(len(case.batch)))
    assert_same(got, (loss.detach(), logp.grad, standing._metrics["train"]))
