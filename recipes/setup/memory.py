"""How much memory a run needs, estimated from the model's shape; nothing is loaded."""

from dataclasses import dataclass, replace
from typing import Any

from recipes.setup import choices
from recipes.setup.options import Options
from rl.learning.adapters import Lora, with_adapter
from rl.learning.token_terms import MAX_LOGITS
from verifiers.input_error import InputError, first_line


@dataclass(frozen=True)
class Facts:
    """What a recipe knows of its model and data before it runs."""

    shape: Any
    """A transformers config."""
    lora: Lora | None
    dtype: str
    gradient_checkpointing: bool
    problems: int
    longest_prompt: int
    max_sequences: int
    teacher: Any = None
    """The transformers config of a teacher beside the policy."""


def parameters(shape: Any, lora: Lora | None) -> tuple[int, int]:
    """(all parameters, those that train), counted on a model without storage."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(shape, trust_remote_code=False)
            model = with_adapter(model, lora) if lora else model
    except InputError:
        raise
    except ValueError as error:  # no causal language model, or no module of the adapter's names
        raise InputError(f"--model: {shape.model_type} with these options cannot be trained: {first_line(error):.200}") from error
    counted = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(n for n, _ in counted), sum(n for n, trains in counted if trains)


def micro_batch_tokens(options: Options, length: int) -> int:
    """Tokens, padding included, of the largest pass that an update can have: a step may hold fewer than --tokens-per-micro-batch.

    `length`: of a prompt and its completion together, at most.
    """
    groups = -(-options.problems_per_step // options.updates_per_rollout)
    return max(length, min(options.tokens_per_micro_batch, groups * options.completions_per_problem * length))


@dataclass(frozen=True)
class Memory:
    """Bytes, each an estimate: activations follow a Llama-type layer, and allocators need some more."""

    weights: int
    gradients: int
    optimizer: int
    reference: int
    activations: int
    kv_cache: int
    teacher: int = 0
    critic: int = 0
    """Of PPO: a model or an adapter of its own with its gradients and moments."""

    @property
    def peak(self) -> int:
        """Sampling and updating take turns, so only the larger of KV cache and activations counts."""
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.reference
            + self.teacher
            + self.critic
            + max(self.activations, self.kv_cache)
        )


def estimate(
    shape: Any,
    lora: Lora | None,
    *,
    bf16: bool,
    checkpointing: bool,
    micro_batch: int,
    copy_reference: bool,
    sequences: int,
    length: int,
    critic: Any = None,
) -> Memory:
    """`micro_batch`: tokens of one pass. `sequences` of `length` tokens are sampled at once. `critic`: the option."""
    total, trained = parameters(shape, lora)
    text = shape.get_text_config()
    frozen, width = total - trained, 2 if bf16 else 4
    kv = _key_width(text)
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    layer = 8 * text.hidden_size + 2 * kv + 4 * inner  # inputs that a layer keeps for its backward pass, a token
    kept = text.num_hidden_layers * text.hidden_size + layer if checkpointing else text.num_hidden_layers * layer
    logits = 4 * 4 * min(MAX_LOGITS, micro_batch * text.vocab_size)  # log-probabilities, and what the backward pass makes of them
    cast = 2 * trained if bf16 else 0  # autocast's copy of the float32 masters
    weights, learning = 4 * trained + frozen * width + cast, 4 * trained + 8 * trained  # gradients and two moments
    of_critic = {choices.AdapterCritic: 4 * trained + learning, choices.SeparateCritic: weights + learning}
    return Memory(
        weights=weights,
        gradients=4 * trained,
        optimizer=8 * trained,
        reference=4 * trained if copy_reference else 0,
        critic=of_critic.get(type(critic), 0),
        activations=micro_batch * kept * width + logits,
        kv_cache=sequences * length * 2 * text.num_hidden_layers * kv * width,
    )


def of_worker(memory: Memory, count: int) -> Memory:
    """Of each of so many policy workers: its part of what there is once, and a pass of its own; it samples nothing.

    Not counted: the layer, and the embeddings and output head, that it has gathered while it computes.
    """
    once = ("weights", "gradients", "optimizer", "reference")
    return replace(memory, kv_cache=0, **{name: -(-getattr(memory, name) // count) for name in once})


def sampling_estimate(shape: Any, *, bf16: bool, sequences: int, length: int) -> Memory:
    """Of sampling where nothing trains: `sequences` of `length` tokens at once."""
    total, text, width = parameters(shape, None)[0], shape.get_text_config(), 2 if bf16 else 4
    cache = sequences * length * 2 * text.num_hidden_layers * _key_width(text) * width
    return Memory(total * width, gradients=0, optimizer=0, reference=0, activations=0, kv_cache=cache)


def _key_width(text: Any) -> int:
    """Numbers that the keys of a token take in a layer; its values take as many."""
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int((getattr(text, "num_key_value_heads", None) or heads) * head)
