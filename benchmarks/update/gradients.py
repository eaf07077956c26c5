"""Gradients without the work that need not be done, against padded sequences and whole logits in float32: the largest relative difference.

Small Llama-, Qwen2-, Qwen3- and Gemma-type models, full and with a LoRA, by GRPO, PPO with its critic on the policy's trunk, SFT, DPO and
distillation from a teacher's likeliest tokens; each feature alone and all together, in one micro-batch and in several.
"""

from collections.abc import Iterator, Mapping
from typing import Any

KINDS = ("Llama", "Qwen2", "Qwen3", "Gemma")
FEATURES = {"head": ("padded", True, 16_384), "shared": ("shared", False, 16_384), "packed": ("packed", False, 16_384),
            "micro-batches": ("padded", False, 300), "together": ("shared", True, 300)}  # fmt: skip
VOCABULARY, WIDTH, TOP = 512, 128, 8


def worst_differences(kinds: tuple[str, ...] = KINDS) -> dict[str, float]:
    """Of each feature: the norm of what differs over the reference's."""
    worst = dict.fromkeys(FEATURES, 0.0)
    for kind in kinds:
        for feature, difference in _differences(kind):
            worst[feature] = max(worst[feature], difference)
    return worst


def _differences(kind: str) -> Iterator[tuple[str, float]]:
    import torch

    from rl.learning.adapters import Lora
    from rl.learning.learner import Learner, ValueHead

    batch = ragged_groups()
    for lora in (None, Lora(rank=4, alpha=8.0)):
        head = ValueHead(torch.linspace(-0.1, 0.1, WIDTH))  # all zero it would teach the trunk nothing
        learner = Learner(small_model(kind), lora=lora, layout="auto", value_head=head, device="cpu")
        assert learner.layout == "shared", kind
        for name, parameter in learner.trainable.items():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
        for objective in objectives().values():
            expected = _gradient(learner, batch, objective, "padded", False, 16_384)
            for feature, how in FEATURES.items():
                yield feature, float((_gradient(learner, batch, objective, *how) - expected).norm() / expected.norm())


def objectives() -> Mapping[str, Any]:
    from rl.objectives.algorithms import named
    from rl.objectives.distillation import top_k
    from rl.objectives.preferences import preference
    from rl.objectives.supervised import sft
    from rl.objectives.values import with_value

    of = {name: named(name, max_completion_length=24).objective for name in ("grpo", "ppo")}
    distilled = top_k(k=TOP).objective
    return {
        "grpo": of["grpo"],
        "ppo": with_value(of["ppo"], coef=0.5),
        "sft": sft(),
        "dpo": preference("sigmoid"),
        "distillation": distilled,
    }


def small_model(kind: str) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8}
    config = getattr(transformers, f"{kind}Config")(**sizes, num_key_value_heads=2, head_dim=16, initializer_range=0.05, pad_token_id=0)
    return transformers.AutoModelForCausalLM.from_config(config)


def ragged_groups() -> Any:
    """Four prompts of 30 tokens with eight completions of 2 to 24 each, and all that some objective reads."""
    import torch

    from rl.objectives.batch import lay_out

    random = torch.Generator().manual_seed(0)
    draw = lambda count: torch.randint(2, VOCABULARY, (count,), generator=random).tolist()  # noqa: E731
    prompts = [draw(30) for _ in range(4)]
    rows = [prompt + draw(int(torch.randint(2, 25, (), generator=random))) for prompt in prompts for _ in range(8)]
    masks = [[place >= 30 for place in range(len(row))] for row in rows]
    batch = lay_out(rows, masks, [30] * len(rows), groups=[group for group in range(4) for _ in range(8)])
    given = torch.randn(len(rows), generator=random)
    around = lambda middle: middle + 0.1 * torch.randn(len(batch.tokens), generator=random)  # noqa: E731
    names = {"old_logp": -6, "ref_logp": -6, "sampler_logp": -6, "value": 0, "returns": 1}
    top = torch.stack([torch.randperm(VOCABULARY, generator=random)[:TOP] for _ in batch.tokens])
    said = torch.log_softmax(torch.randn(len(batch.tokens), TOP + 1, generator=random), -1)
    columns = {name: around(middle) for name, middle in names.items()} | {"teacher_top": top, "teacher_top_logp": said}
    return batch.with_columns({"advantage": given[batch.row] * batch.mask, **columns})


def _gradient(learner: Any, batch: Any, objective: Any, layout: str, chunked: bool, tokens: int) -> Any:
    import torch

    found: list[Any] = []
    learner._step = lambda stats, lr: found.extend(p.grad.flatten().clone() for p in learner.trainable.values() if p.grad is not None)
    learner.layout, learner.token_terms.chunked, learner.tokens_per_micro_batch = layout, chunked, tokens
    learner.update(batch, objective, lr=1.0)
    return torch.cat(found)
