"""What is scored before a step: KTO's reference point, and reference scores that are kept on disk."""

import copy
import json

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rl.learning.adapters import Lora
from rl.learning.kept_scores import kept_scores
from rl.learning.learner import Learner
from rl.learning.reference import AdapterOff, FrozenCopy, OtherModel, initial_reference
from rl.learning.scoring import prepare
from rl.objectives.batch import lay_out
from rl.objectives.preferences import preference
from verifiers.input_error import InputError

SEQUENCES = [[3, 4, 5, 6], [3, 4, 7], [8, 9, 10, 11, 12], [8, 13, 14]]
PROMPTS = [2, 2, 1, 1]


def batch_of(rows=(0, 1, 2, 3)):
    sequences, prompts = [SEQUENCES[row] for row in rows], [PROMPTS[row] for row in rows]
    batch = lay_out(sequences, [[n >= start for n in range(len(s))] for s, start in zip(sequences, prompts, strict=True)], prompts)
    return batch.with_columns({"label": torch.tensor([row % 2 == 0 for row in rows])})


def moved(learner):
    """After a few steps of something: no longer the reference."""
    for _ in range(3):
        learner.update(batch_of(), preference("orpo"), lr=0.05)
    return learner


def log_likelihood(model, prompt, completion):
    ids = torch.tensor([[*prompt, *completion]])
    with torch.no_grad():
        logp = torch.log_softmax(model(ids).logits[0, :-1].float(), -1).gather(1, ids[0, 1:, None])[:, 0]
    return float(logp[len(prompt) - 1 :].sum())


def test_a_reference_that_says_no_numbers_is_named(make_llama):
    """Not the policy, whose loss they would make nan."""
    learner, broken = Learner(make_llama()), Learner(make_llama(seed=1))
    next(iter(broken.trainable.values())).data.fill_(float("nan"))
    with pytest.raises(InputError, match="the reference says log-probabilities that are no numbers"):
        prepare(batch_of(), ("ref_logp",), learner=learner, reference=OtherModel(broken))


def test_the_reference_point_is_the_mean_gain_of_mismatched_pairs_of_the_whole_step_and_never_below_0(make_llama):
    """Rows 0 and 1 share a prompt, so do 2 and 3: 0 and 1 take 2's completion, 2 and 3 take 0's."""
    learner, still = Learner(make_llama()), Learner(make_llama())
    reference = FrozenCopy(learner)
    moved(learner)
    pairs = [([3, 4], SEQUENCES[2][1:])] * 2 + [([8], SEQUENCES[0][2:])] * 2
    gains = [log_likelihood(learner.model, *pair) - log_likelihood(still.model, *pair) for pair in pairs]
    mean = sum(gains) / 4
    assert abs(mean) > 0.1
    found = prepare(batch_of(), ("label", "ref_logp", "z0"), learner=learner, reference=reference)
    assert set(found) == {"ref_logp", "z0"}  # the label was there
    assert found["z0"].tolist() == pytest.approx([max(0.0, mean)] * 4, abs=1e-5)
    other_way = prepare(batch_of(), ("z0",), learner=still, reference=OtherModel(learner))["z0"]
    assert other_way.tolist() == pytest.approx([max(0.0, -mean)] * 4, abs=1e-5)
    for cut in (10_000, 1):  # whatever the micro-batches
        learner.tokens_per_micro_batch = cut
        again = prepare(batch_of(), ("z0",), learner=learner, reference=reference)["z0"]
        assert torch.allclose(again, found["z0"], atol=1e-5)


def test_a_step_of_one_prompt_has_no_mismatched_pair_and_its_reference_point_is_0(make_llama):
    learner = Learner(make_llama())
    reference = FrozenCopy(learner)
    moved(learner)
    assert prepare(batch_of((0, 1)), ("z0",), learner=learner, reference=reference)["z0"].tolist() == [0.0, 0.0]


def test_what_nobody_can_score_is_said(make_llama):
    learner = Learner(make_llama())
    with pytest.raises(ValueError, match="nobody knows how to score the column 'label'"):
        prepare(
            lay_out(SEQUENCES[:2], [[False, True, True, True], [False, True, True]], [1, 1]), ("label",), learner=learner, reference=None
        )
    with pytest.raises(ValueError, match="there is none"):
        prepare(batch_of(), ("z0",), learner=learner, reference=None)


# --- kept on disk --------------------------------------------------------------------------------------------------------


def parts(number):
    return batch_of((0, 1)) if number == 0 else batch_of((2, 3))


@pytest.mark.parametrize("lora", [None, Lora(rank=2)], ids=["full", "lora"])
def test_kept_scores_are_the_references_in_any_order_and_outlast_training(make_llama, tmp_path, lora):
    learner = Learner(make_llama(), lora=lora)
    reference = initial_reference(learner)
    expected = reference.score(batch_of((2, 0, 3)))
    kept_scores(tmp_path / "scores", parts, 2, learner, option="--reference-scores")
    moved(learner)
    again = kept_scores(
        tmp_path / "scores", parts, 2, Learner(make_llama(), lora=lora), option="--reference-scores"
    )  # as a later life would
    assert torch.allclose(again.score(batch_of((2, 0, 3))), expected, atol=1e-6)
    assert (again.score(batch_of()) == 0).eq(~batch_of().mask).all()
    assert not torch.allclose(learner.score(batch_of()), again.score(batch_of()), atol=1e-2)
    with pytest.raises(ValueError, match="not among the kept"):
        again.score(lay_out([[3, 4, 5, 5]], [[False, False, True, True]], [2]))


def test_kept_scores_are_not_made_twice_and_a_part_that_is_missing_is_made(make_llama, tmp_path):
    learner = Learner(make_llama())
    kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["part-00000.safetensors", "part-00001.safetensors", "scores.json"]
    (tmp_path / "part-00001.safetensors").unlink()
    before = (tmp_path / "part-00000.safetensors").stat().st_mtime_ns
    kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")
    assert (tmp_path / "part-00000.safetensors").stat().st_mtime_ns == before
    assert (tmp_path / "part-00001.safetensors").exists()


def test_scores_of_another_model_or_data_are_one_line(make_llama, tmp_path):
    learner = Learner(make_llama())
    kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")
    with pytest.raises(InputError, match="of another model; give another folder"):
        kept_scores(tmp_path, parts, 2, Learner(make_llama(seed=1)), option="--reference-scores")
    with pytest.raises(InputError, match="of another model"):
        kept_scores(tmp_path, parts, 2, moved(Learner(make_llama())), option="--reference-scores")
    with pytest.raises(InputError, match="of other data"):
        kept_scores(tmp_path, lambda number: batch_of((0, 1)), 2, learner, option="--reference-scores")
    told = json.loads((tmp_path / "scores.json").read_text())
    (tmp_path / "scores.json").write_text(json.dumps(told | {"version": 99}))
    with pytest.raises(InputError, match="another version"):
        kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")
    for damage in (b"", b"{", b"[]", b"\xff\xfe"):
        (tmp_path / "scores.json").write_bytes(damage)
        with pytest.raises(InputError, match=r"scores\.json cannot be read"):
            kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")


@pytest.mark.parametrize("damage", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"not one"])
def test_a_damaged_part_is_one_line(make_llama, tmp_path, damage):
    learner = Learner(make_llama())
    kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")
    (tmp_path / "part-00001.safetensors").write_bytes(damage)
    with pytest.raises(InputError, match=r"part-00001\.safetensors is damaged"):
        kept_scores(tmp_path, parts, 2, learner, option="--reference-scores")


def test_a_fresh_adapter_and_a_full_policy_of_one_model_have_one_reference(make_llama, tmp_path):
    """So scores that a LoRA run kept serve a full one."""
    kept_scores(tmp_path, parts, 2, Learner(make_llama(), lora=Lora(rank=2)), option="--reference-scores")
    served = kept_scores(tmp_path, parts, 2, Learner(make_llama()), option="--reference-scores")
    assert torch.allclose(served.score(batch_of()), Learner(make_llama()).score(batch_of()), atol=1e-6)
    assert isinstance(initial_reference(Learner(make_llama(), lora=Lora(rank=2))), AdapterOff)


def test_a_mismatched_pair_ends_where_the_model_reads_no_further():
    """Learned positions end at 10: the long prompt takes the other's first completion token only, the short one all of the other's."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=24, n_embd=16, n_layer=1, n_head=2, n_positions=10, initializer_range=0.3))
    learner, long, short = Learner(model, device="cpu"), [3, 4, 5, 6, 7, 3, 4, 5, 6], [9]
    reference = FrozenCopy(learner)
    still = copy.deepcopy(learner.model)
    batch = lay_out([[*long, 8], [*short, *range(10, 19)]], [[False] * 9 + [True], [False] + [True] * 9], [9, 1])
    learner.update(batch.with_columns({"chosen_length": torch.ones(2)}), preference("orpo"), lr=0.05)
    gains = [log_likelihood(learner.model, *pair) - log_likelihood(still, *pair) for pair in ((long, [10]), (short, [8]))]
    assert abs(sum(gains)) > 0.01
    expected = max(0.0, sum(gains) / 2)
    assert prepare(batch, ("z0",), learner=learner, reference=reference)["z0"].tolist() == pytest.approx([expected] * 2, abs=1e-5)
