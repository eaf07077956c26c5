"""Log-probabilities and entropies of given tokens equal those of the model's own logits, for every way of computing them and of laying
the tokens out."""

from types import SimpleNamespace

import pytest
import torch

from rl.forward import output_head
from rl.learning import token_terms
from rl.learning.adapters import Lora
from rl.learning.layout import LAYOUTS, Layout, packed, padded
from rl.learning.policy import Policy
from rl.learning.token_terms import TokenTerms
from rl.objectives.batch import lay_out
from tests.rl.grids import as_rows, ragged

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


def score_of(model, temperature=1.0, **options):
    """(log p, entropy) of `inputs`, as tables."""
    batch = ragged(*inputs(), temperature=temperature)
    found = TokenTerms(model)(batch, terms=("logp", "entropy"), **options)
    return as_rows(found["logp"], batch), as_rows(found["entropy"], batch)


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
        mine = score_of(model, temperature)
    torch.testing.assert_close(mine, expected, atol=1e-5, rtol=0)
    assert expected[0].std() > 0.1, "the distribution is too flat to tell temperatures apart"


@every_head
def test_chunks_change_neither_value_nor_gradient(model, family, monkeypatch):
    batch = ragged(*inputs(), temperature=0.7)
    score = TokenTerms(model)
    factor = torch.randn(2, len(batch.tokens), generator=torch.Generator().manual_seed(1))

    def run(most):
        monkeypatch.setattr(token_terms, "MAX_LOGITS", most)
        model.zero_grad()
        logp, entropy = score(batch, terms=("logp", "entropy")).values()
        (factor[0] * logp + factor[1] * entropy).sum().backward()
        return logp.detach(), entropy.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    whole = run(2**25)
    for most in (VOCABULARY * 4, 1):
        torch.testing.assert_close(run(most), whole, atol=1e-4, rtol=1e-4)
    assert len(whole[2]) == len(list(model.parameters()))


def test_the_gradient_is_that_of_the_models_own_logits(make_llama):
    model = make_llama().eval()
    tokens, attention, wanted = inputs()
    TokenTerms(model)(ragged(tokens, attention, wanted, temperature=0.7))["logp"].sum().backward()
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
    monkeypatch.setattr(token_terms, "MAX_LOGITS", most)
    policy = Policy(
        model, lora=Lora(rank=2, target_modules=("q_proj",) if family != "gpt2" else ("c_attn",)) if lora else None, device="cpu"
    )
    sizes, own = [], output_head.product

    def watched(x, weight, bias=None):
        product = own(x, weight, bias)
        if product.shape == (len(x), VOCABULARY):
            sizes.append(product.numel())
        return product

    monkeypatch.setattr(output_head, "product", watched)
    tokens, attention, wanted = inputs()
    policy.model.train()
    policy.token_terms(ragged(tokens, attention, wanted), watches=("entropy",))["logp"].sum().backward()
    assert max(sizes) == most < wanted.sum() * VOCABULARY < tokens.numel() * VOCABULARY
    # every wanted token once, and once again in the backward pass of a head that trains
    assert sum(sizes) == (1 if lora else 2) * wanted.sum() * VOCABULARY


def test_a_head_that_is_not_understood_falls_back_to_the_models_own(make_llama):
    model = make_llama().eval()
    own = type(model).forward

    class Doubled(type(model)):
        def forward(self, *args, **kwargs):
            output = own(self, *args, **kwargs)
            output.logits = 2 * output.logits
            return output

    model.__class__ = Doubled
    with torch.no_grad():
        expected = by_hand(model, *inputs(), 1.0)
        torch.testing.assert_close(score_of(model), expected, atol=1e-5, rtol=0)
    assert not TokenTerms(model).chunked


@every_head
def test_neither_what_stands_in_the_padding_nor_longer_rows_beside_it_matter(model, family, monkeypatch):
    batch, score = ragged(*inputs()), TokenTerms(model)

    def filled(pad):
        def layout(batch):
            laid = padded(batch)
            tokens = torch.where(laid.inputs["attention_mask"] == 1, laid.inputs["input_ids"], pad)
            return Layout({**laid.inputs, "input_ids": tokens}, laid.source, laid.own)

        return layout

    def terms(batch):
        return list(score(batch, terms=("logp", "entropy")).values())

    with torch.no_grad():
        together = terms(batch)
        monkeypatch.setitem(LAYOUTS, "padded", filled(17))
        torch.testing.assert_close(terms(batch), together, atol=1e-5, rtol=0)
        for row in range(len(batch)):
            alone = torch.tensor([row])
            torch.testing.assert_close(terms(batch.take(alone)), [x[batch.row == row] for x in together], atol=1e-5, rtol=0)


PACKS = [family for family in HEADS if family != "opt"]


@pytest.mark.parametrize("family", PACKS)
@pytest.mark.parametrize("temperature", [0.7, 1.3])
def test_packed_they_equal_the_models_own_of_each_sequence_alone(model, family, temperature):
    assert TokenTerms(model).allows("packed")
    with torch.no_grad():
        expected = by_hand(model, *inputs(), temperature)
        torch.testing.assert_close(score_of(model, temperature, layout="packed"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", PACKS)
def test_packed_the_gradient_is_the_padded_ones(model, family):
    batch, score = ragged(*inputs(), temperature=0.7), TokenTerms(model)
    factor = torch.randn(2, len(batch.tokens), generator=torch.Generator().manual_seed(1))

    def run(layout):
        model.zero_grad()
        logp, entropy = score(batch, layout=layout, terms=("logp", "entropy")).values()
        (factor[0] * logp + factor[1] * entropy).sum().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    torch.testing.assert_close(run("packed"), run("padded"), atol=1e-4, rtol=1e-4)


def test_packed_there_is_no_padding():
    laid = packed(ragged(*inputs()))
    assert laid.inputs["input_ids"].shape == (1, 9 + 7 + 4)
    assert laid.inputs["position_ids"].tolist() == [[*range(9), *range(7), *range(4)]]


LEAKY = {
    "opt": {},  # its positions come from an attention mask
    "bloom": {"n_head": 4, "n_layer": 2},  # it takes no positions
    "lfm2": {"layer_types": ["conv", "full_attention"]},  # its convolution reaches over the seam
}


@pytest.mark.parametrize("family", LEAKY)
def test_a_model_that_does_not_keep_packed_sequences_apart_is_found_out(one_thread, family, monkeypatch):
    names = {"opt": "OPTConfig", "bloom": "BloomConfig", "lfm2": "Lfm2Config"}
    monkeypatch.setitem(HEADS, family, (names[family], HEADS.get(family, ("", {}))[1] | LEAKY[family]))
    model = make_model(family)
    assert TokenTerms(model).allows("padded")
    assert not TokenTerms(model).allows("packed")
    assert Policy(model, layout="packed", device="cpu").layout == "padded"
    with torch.no_grad():
        expected = by_hand(model, *inputs(), 1.0)
        torch.testing.assert_close(score_of(model), expected, atol=1e-5, rtol=0)
        wrong = score_of(model, layout="packed")[0] if family != "bloom" else None
    assert wrong is None or (wrong - expected[0]).abs().max() > 0.1, "packed it would be another policy, in silence"


@pytest.mark.parametrize("family", LEAKY)
def test_a_leak_is_found_out_in_a_model_that_was_just_drawn(one_thread, family, monkeypatch):
    """With weights as narrow as transformers draws them it is as small as rounding may be; it would grow in training."""
    names = {"opt": "OPTConfig", "bloom": "BloomConfig", "lfm2": "Lfm2Config"}
    narrow = {"initializer_range": 0.02, "init_std": 0.02}
    monkeypatch.setitem(HEADS, family, (names[family], HEADS.get(family, ("", {}))[1] | LEAKY[family] | narrow))
    assert not TokenTerms(make_model(family)).allows("packed")


def test_a_model_that_ignores_positions_is_found_out(make_llama):
    """A wrapper that swallows what it does not know, as models with code of their own do: the sequences then see each other."""
    model = make_llama().eval()
    own = model.model.forward
    model.model.forward = lambda *args, position_ids=None, **kwargs: own(*args, **kwargs)
    assert not TokenTerms(model).allows("packed")
    assert Policy(model, layout="packed", device="cpu").layout == "padded"


def test_attention_in_chunks_is_not_packed(make_llama):
    """Llama 4's chunks are counted from where the tensor begins, not the sequence; a short probe lies within one chunk and sees nothing."""
    model = make_llama()
    model.config.attention_chunk_size = 30
    assert TokenTerms(model).allows("padded")
    assert not TokenTerms(model).allows("packed")


def test_asking_what_a_layout_allows_leaves_the_model_in_its_mode(make_llama):
    model = make_llama()
    for mode in (True, False):
        model.train(mode)
        assert TokenTerms(model).allows("packed")
        assert model.training is mode


def test_what_is_not_wanted_is_zero_and_costs_no_gradient(make_qwen2):
    tokens, attention, wanted = inputs()
    score = TokenTerms(make_qwen2())
    for value in score(ragged(tokens, attention, torch.zeros_like(wanted)), watches=("entropy",)).values():
        assert (value == 0).all()
    batch = ragged(tokens, attention, wanted)
    found = score(batch, watches=("entropy",))
    assert ((found["logp"] != 0) == batch.mask).all()
    assert ((found["entropy"] != 0) == batch.mask).all()
    assert found["logp"].requires_grad
    assert not found["entropy"].requires_grad  # unless asked for
    assert score(batch, terms=("logp", "entropy"))["entropy"].requires_grad
    assert list(score(batch)) == ["logp"]


@pytest.mark.parametrize(("peak", "expected"), [(0.0, torch.tensor(VOCABULARY).log().item()), (100.0, 0.0)])
def test_entropy_by_hand(peak, expected):
    """A head that always says the same: uniform, or certain."""
    head = torch.nn.Linear(2, VOCABULARY)
    head.weight.data.zero_()
    head.bias.data = peak * (torch.arange(VOCABULARY) == 3)
    score = TokenTerms.__new__(TokenTerms)
    score.backbone = lambda input_ids, **_: SimpleNamespace(last_hidden_state=torch.ones(*input_ids.shape, 2))
    score.model, score.head, score.softcap, score.scale, score.chunked = head, head, None, 1.0, True
    found = score(lay_out([[3, 3, 3]], [[False, True, True]], [1]), watches=("entropy",))
    assert found["entropy"].tolist() == [0.0, pytest.approx(expected, abs=1e-6), pytest.approx(expected, abs=1e-6)]
    assert found["logp"].tolist() == [0.0, pytest.approx(-expected, abs=1e-6), pytest.approx(-expected, abs=1e-6)]


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
    batch, both = ragged(*inputs()), ("logp", "entropy")
    policy.model.eval()
    expected = policy.look(batch, both)
    policy.model.train()
    torch.testing.assert_close(policy.look(batch, both), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_an_adapter_adds_alpha_over_rank(make_llama, alpha):
    """Against a copy of the model into whose weights alpha / rank * B A was added by hand."""
    policy = Policy(make_llama(), lora=Lora(rank=2, alpha=alpha, target_modules=("o_proj",)), device="cpu")
    merged = make_llama()
    for i, layer in enumerate(merged.model.layers):
        a, b = (policy.trainable[f"base_model.model.model.layers.{i}.self_attn.o_proj.lora_{x}.default.weight"] for x in "AB")
        b.data.normal_()
        layer.self_attn.o_proj.weight.data += alpha / 2 * (b @ a).detach()
    with torch.no_grad():
        expected = by_hand(merged.eval(), *inputs(), 1.0)
        torch.testing.assert_close(score_of(policy.model), expected, atol=1e-4, rtol=0)
