"""Log-probabilities and entropies of given tokens equal those of the model's own logits, for every way of computing them."""

from types import SimpleNamespace

import pytest
import torch

from rl.learning import log_probabilities
from rl.learning.log_probabilities import TokenLogProbs
from rl.learning.policy import Lora, Policy
from rl.objectives.batch import Batch

VOCABULARY = 24
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip
HEADS = {
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "llama": ("LlamaConfig", {"tie_word_embeddings": False}),
    "gemma2": ("Gemma2Config", {"head_dim": 8, "final_logit_softcapping": 1.5, "attn_implementation": "eager"}),
    "cohere": ("CohereConfig", {"logit_scale": 0.25, "tie_word_embeddings": True}),
    "granite": ("GraniteConfig", {"logits_scaling": 3.0, "tie_word_embeddings": False}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "opt": ("OPTConfig", {"word_embed_proj_dim": 16, "ffn_dim": 64}),
    "phi": ("PhiConfig", {"num_key_value_heads": 4}),  # its head has a bias
}
every_head = pytest.mark.parametrize("family", HEADS)


def make_model(family):
    import transformers

    name, options = HEADS[family]
    config = getattr(transformers, name)(**SMALL | options)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_()  # random biases: zeros would hide a head that forgets its own
    return model


@pytest.fixture
def model(one_thread, family):
    return make_model(family)


def inputs(rows=3, width=9, seed=0):
    """(tokens, attention, wanted): ragged rows, wanted from the third token on, with a hole as a tool's output leaves."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, VOCABULARY, (rows, width), generator=generator)
    lengths = torch.tensor([width, width - 2, 4])[:rows]
    attention = torch.arange(width)[None] < lengths[:, None]
    wanted = attention & (torch.arange(width) >= 2)
    wanted[0, 5] = False
    return torch.where(attention, tokens, 0), attention, wanted


def by_hand(model, tokens, attention, wanted, temperature):
    """One sequence at a time, without padding, through the model's own logits: log p and -sum p log p of each wanted token."""
    logp, entropy = torch.zeros(tokens.shape), torch.zeros(tokens.shape)
    for row in range(len(tokens)):
        length = int(attention[row].sum())
        logits = model(tokens[row : row + 1, :length]).logits[0].float() / temperature
        distribution = torch.softmax(logits, -1)
        for column in range(1, length):
            if wanted[row, column]:
                p = distribution[column - 1]
                logp[row, column] = p[tokens[row, column]].log()
                entropy[row, column] = -(p * p.log()).sum()
    return logp, entropy


@every_head
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.3])
def test_they_equal_the_models_own(model, family, temperature):
    tokens, attention, wanted = inputs()
    with torch.no_grad():
        expected = by_hand(model, tokens, attention, wanted, temperature)
        mine = TokenLogProbs(model)(tokens, attention, wanted, temperature=temperature)
    torch.testing.assert_close(mine, expected, atol=1e-5, rtol=0)
    assert expected[0].std() > 0.1, "the distribution is too flat to tell temperatures apart"


@every_head
def test_chunks_change_neither_value_nor_gradient(model, family, monkeypatch):
    tokens, attention, wanted = inputs()
    score = TokenLogProbs(model)
    factor = torch.randn(2, *tokens.shape, generator=torch.Generator().manual_seed(1))

    def run(most):
        monkeypatch.setattr(log_probabilities, "MAX_LOGITS", most)
        model.zero_grad()
        logp, entropy = score(tokens, attention, wanted, temperature=0.7, entropy_gradient=True)
        (factor[0] * logp + factor[1] * entropy).sum().backward()
        return logp.detach(), entropy.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    whole = run(2**25)
    for most in (VOCABULARY * 4, 1):
        torch.testing.assert_close(run(most), whole, atol=1e-4, rtol=1e-4)
    assert len(whole[2]) == len(list(model.parameters()))


def test_the_gradient_is_that_of_the_models_own_logits(make_llama):
    model = make_llama().eval()
    tokens, attention, wanted = inputs()
    TokenLogProbs(model)(tokens, attention, wanted, temperature=0.7)[0].sum().backward()
    mine = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    by_hand(model, tokens, attention, wanted, 0.7)[0].sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(mine[name], parameter.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")  # peft's, of GPT-2's Conv1D
@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma2", "cohere", "granite", "gpt2"])
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_no_more_logits_than_asked_for_exist_at_once(model, family, lora, monkeypatch):
    """These families must take the chunked path; the model's own logits would be B x T x V."""
    most = 4 * VOCABULARY
    monkeypatch.setattr(log_probabilities, "MAX_LOGITS", most)
    policy = Policy(
        model, lora=Lora(rank=2, target_modules=("q_proj",) if family != "gpt2" else ("c_attn",)) if lora else None, device="cpu"
    )
    sizes = []
    policy.logprobs.head.register_forward_hook(lambda module, args, output: sizes.append(output.numel()))
    tokens, attention, wanted = inputs()
    policy.model.train()
    logp, _ = policy.logprobs(tokens, attention, wanted, temperature=1.0)
    logp.sum().backward()
    assert max(sizes) == most < wanted.sum() * VOCABULARY < tokens.numel() * VOCABULARY
    assert sum(sizes) == 2 * wanted.sum() * VOCABULARY  # every wanted token once, and once again in the backward pass


def test_a_head_that_is_not_understood_falls_back_to_the_models_own(make_llama):
    model = make_llama().eval()
    own = type(model).forward

    class Doubled(type(model)):
        def forward(self, *args, **kwargs):
            output = own(self, *args, **kwargs)
            output.logits = 2 * output.logits
            return output

    model.__class__ = Doubled
    score = TokenLogProbs(model)
    tokens, attention, wanted = inputs()
    with torch.no_grad():
        expected = by_hand(model, tokens, attention, wanted, 1.0)
        torch.testing.assert_close(score(tokens, attention, wanted, temperature=1.0), expected, atol=1e-5, rtol=0)
    assert not score.chunked


@every_head
def test_padding_on_the_right_does_not_matter(model, family):
    tokens, attention, wanted = inputs()

    def widen(x, value):
        return torch.nn.functional.pad(x, (0, 5), value=value)

    score = TokenLogProbs(model)
    with torch.no_grad():
        narrow = score(tokens, attention, wanted, temperature=1.0)
        for pad in (0, 17):
            wide = score(widen(tokens, pad), widen(attention, False), widen(wanted, False), temperature=1.0)
            torch.testing.assert_close([x[:, :9] for x in wide], list(narrow), atol=1e-5, rtol=0)
            assert all((x[:, 9:] == 0).all() for x in wide)


def test_what_is_not_wanted_is_zero_and_costs_no_gradient(make_qwen2):
    tokens, attention, wanted = inputs()
    score = TokenLogProbs(make_qwen2())
    logp, entropy = score(tokens, attention, torch.zeros_like(wanted), temperature=1.0)
    assert (logp == 0).all()
    assert (entropy == 0).all()
    logp, entropy = score(tokens, attention, wanted, temperature=1.0)
    assert ((logp != 0) == wanted).all()
    assert ((entropy != 0) == wanted).all()
    assert logp.requires_grad
    assert not entropy.requires_grad  # unless asked for


@pytest.mark.parametrize(("peak", "expected"), [(0.0, torch.tensor(VOCABULARY).log().item()), (100.0, 0.0)])
def test_entropy_by_hand(peak, expected):
    """A head that always says the same: uniform, or certain."""
    head = torch.nn.Linear(2, VOCABULARY)
    head.weight.data.zero_()
    head.bias.data = peak * (torch.arange(VOCABULARY) == 3)
    score = TokenLogProbs.__new__(TokenLogProbs)
    score.backbone = lambda input_ids, **_: SimpleNamespace(last_hidden_state=torch.ones(*input_ids.shape, 2))
    score.head, score.softcap, score.scale, score.chunked = head, None, 1.0, True
    tokens = torch.full((1, 3), 3)
    wanted = torch.tensor([[False, True, True]])
    logp, entropy = score(tokens, torch.ones_like(wanted), wanted, temperature=1.0)
    assert entropy.tolist() == [[0.0, pytest.approx(expected, abs=1e-6), pytest.approx(expected, abs=1e-6)]]
    assert logp.tolist() == [[0.0, pytest.approx(-expected, abs=1e-6), pytest.approx(-expected, abs=1e-6)]]


@pytest.mark.parametrize("family", ["qwen2", "gpt2", "opt"])
def test_training_mode_has_no_dropout(one_thread, family, monkeypatch):
    rates = {
        "qwen2": {"attention_dropout": 0.5},
        "gpt2": {"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5},
        "opt": {"dropout": 0.5, "attention_dropout": 0.5},
    }
    name, options = HEADS[family]
    monkeypatch.setitem(HEADS, family, (name, options | rates[family]))
    policy = Policy(make_model(family), device="cpu")
    tokens, attention, wanted = inputs()
    batch = Batch(tokens, attention, wanted, torch.zeros(tokens.shape), torch.zeros(tokens.shape), 1.0)
    policy.model.eval()
    expected = policy.score(batch)
    policy.model.train()
    torch.testing.assert_close(policy.score(batch), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_an_adapter_adds_alpha_over_rank(make_llama, alpha):
    """Against a copy of the model into whose weights alpha / rank * B A was added by hand."""
    policy = Policy(make_llama(), lora=Lora(rank=2, alpha=alpha, target_modules=("o_proj",)), device="cpu")
    merged = make_llama()
    for i, layer in enumerate(merged.model.layers):
        a, b = (policy.trainable[f"base_model.model.model.layers.{i}.self_attn.o_proj.lora_{x}.default.weight"] for x in "AB")
        b.data.normal_()
        layer.self_attn.o_proj.weight.data += alpha / 2 * (b @ a).detach()
    tokens, attention, wanted = inputs()
    with torch.no_grad():
        expected = by_hand(merged.eval(), tokens, attention, wanted, 1.0)
        mine = policy.logprobs(tokens, attention, wanted, temperature=1.0)
    torch.testing.assert_close(mine, expected, atol=1e-4, rtol=0)
