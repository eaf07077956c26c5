"""How much memory a run needs: a step gone through without storage, and what sampling holds; no weights are read."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from recipes.setup import choices
from recipes.setup.options import Options
from rl.learning.adapters import Lora, with_adapter
from rl.learning.layout import LayoutName
from rl.learning.token_terms import MAX_LOGITS
from rl.loop.problem_stream import Stream
from rl.measuring.planned_step import BareLearner, StepBytes, Unforeseen, Work, batch_of_lengths
from rl.objectives.batch import Batch, split
from rl.objectives.objective import Objective
from rl.saving.savings import Savings
from verifiers.input_error import InputError, first_line

STEPS_LOOKED_AT = 200
DRAWN_AT_ONCE = 2**24
"""Numbers of logits that an engine of ours makes probabilities of at once."""


@dataclass(frozen=True)
class Facts:
    """What a recipe knows of its model and data before it runs."""

    shape: Any
    """A transformers config."""
    lora: Lora | None
    dtype: str
    gradient_checkpointing: bool
    prompts: Sequence[int]
    """Tokens of each problem's prompt."""
    max_sequences: int
    held_out: int = 0
    """Problems of evaluations."""
    attention: str | None = None
    stream: Stream | None = None
    """In which order problems come; None: shuffled."""
    teacher: Any = None
    """The transformers config of a teacher beside the policy."""

    @property
    def problems(self) -> int:
        return len(self.prompts)

    @property
    def longest_prompt(self) -> int:
        return max(self.prompts)


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


# --- what a step is made of ------------------------------------------------------------------------------------------------


def layout_of(wanted: str, shape: Any, attention: str | None = None) -> LayoutName:
    """What "auto" is for most models: who trains finds it out by trying."""
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    implementation = str(attention or getattr(shape, "_attn_implementation", None) or "sdpa")
    if getattr(shape.get_text_config(), "attention_chunk_size", None):
        return "padded"
    return "packed" if "flash" in implementation else "shared" if implementation == "sdpa" else "padded"


def online_batch(options: Options, facts: Facts) -> Batch:
    """The optimiser step with the most tokens among a run's first ones, if every completion becomes as long as it may."""
    from rl.loop.seeds import Shuffled

    stream, count = facts.stream or Shuffled(facts.problems, options.seed), options.problems_per_step
    steps = [[facts.prompts[stream[step * count + place]] for place in range(count)] for step in range(min(options.steps, STEPS_LOOKED_AT))]
    completions = [options.max_completion_length] * options.completions_per_problem
    whole = batch_of_lengths([(prompt, completions) for prompt in max(steps, key=sum)])
    return max(split(whole, options.updates_per_rollout, options.completions_per_problem), key=lambda part: len(part.tokens))


def batch_of_units(units: int, prompt: int, rest: Sequence[int]) -> Batch:
    """So many units, each of sequences that are so long behind one prompt."""
    return batch_of_lengths([(prompt, rest)] * units)


def longest_batch(batches: Sequence[Batch]) -> Batch:
    """The step with the most tokens, as lengths alone: what the tokens are does not matter."""
    return max(batches, key=lambda batch: len(batch.tokens))


# --- bytes -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Bytes of tensors; a process takes more: its libraries, and what the allocator keeps of what was freed."""

    weights: int
    gradients: int
    optimizer: int
    reference: int
    activations: int
    """What a step takes at its most besides the rest: what autograd keeps, a chunk of logits, the optimiser's own."""
    kv_cache: int
    teacher: int = 0
    critic: int = 0
    """Of PPO: a model or an adapter of its own with its moments."""
    merged_weights: int = 0
    """Those that an adapter touches, once more with the adapter in them, while the model samples."""
    drawing: int = 0
    """Logits of the tokens that are sampled at once, and what is made of them."""
    note: str = field(default="", compare=False)

    @property
    def peak(self) -> int:
        """Sampling and updating take turns, and only one of them has gradients."""
        held = self.weights + self.optimizer + self.reference + self.teacher + self.critic
        return held + max(self.gradients + self.activations, self.kv_cache + self.merged_weights + self.drawing)


@dataclass(frozen=True)
class Sampled:
    """What is sampled at once."""

    sequences: int
    prompt: int
    length: int
    """Tokens of a prompt and its completion together, at most."""
    merges: bool = False
    """Whether the engine puts an adapter into the weights meanwhile."""


def samples_in_place(options: Options) -> bool:
    """Whether transformers samples from the policy's own module, on this machine."""
    engine = options.engine
    return isinstance(engine, choices.HF) or (isinstance(engine, choices.Auto) and importlib.util.find_spec("vllm") is None)


def estimate(
    shape: Any,
    lora: Lora | None,
    work: Work,
    *,
    bf16: bool,
    checkpointing: bool = False,
    copy_reference: bool = False,
    sampled: Sampled | None = None,
    critic: Any = None,
    savings: Savings | None = None,
    wide_base: bool = False,
) -> Memory:
    """Of a run whose largest step is `work`. `critic`: the option.

    `wide_base`: what an adapter lies on is float32 in any case. Raises InputError where such a model cannot be trained.
    """
    parameters(shape, lora)  # says what is wrong
    bare = BareLearner(
        shape, lora, bf16=bf16, gradient_checkpointing=checkpointing, value_head=_judges(work), savings=savings, wide_base=wide_base
    )
    note = "as without --update-in-backward, which takes less" if bare.savings.update_in_backward else ""
    if bare.narrow:
        note = f"{len(bare.narrow)} layers of the base in 4 bits; it is read whole, in this machine's memory"
    try:
        step = bare.step(work)
    except Unforeseen:
        note = "activations by a formula for Llama-type layers: this model computes by what its numbers are"
        step = _by_formula(shape, bare, work, bf16=bf16, checkpointing=checkpointing)
    of_critic = {choices.AdapterCritic: 12 * step.trained, choices.SeparateCritic: step.weights + step.moments}
    kv_cache, drawing = _sampling(shape, sampled, 2 if bf16 else 4) if sampled else (0, 0)
    return Memory(
        weights=step.weights,
        gradients=step.gradients,
        optimizer=step.moments,
        reference=4 * step.trained if copy_reference else 0,
        critic=of_critic.get(type(critic), 0),
        activations=step.passing,
        kv_cache=kv_cache,
        merged_weights=step.merged if sampled and sampled.merges else 0,
        drawing=drawing,
        note=note,
    )


def _judges(work: Work) -> bool:
    """Whether a value head is asked."""
    return not {"value", "value_apart", "score"}.isdisjoint(work.terms + work.watches)


def work_of(objective: Objective, batch: Batch, layout: LayoutName, tokens: int, *, scores: bool | None = None, top: int = 0) -> Work:
    """What a step of this objective computes. `scores`: whether anything is scored before (default: what the objective reads says)."""
    scored = bool({"ref_logp", "old_logp", "policy_logp", "value", "z0"}.intersection(objective.reads)) if scores is None else scores
    return Work(batch, layout, tokens, objective.rows_per_unit, objective.terms, objective.watches, scores=scored, top=top)


def _by_formula(shape: Any, bare: BareLearner, work: Work, *, bf16: bool, checkpointing: bool) -> StepBytes:
    text, width = shape.get_text_config(), 2 if bf16 else 4
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    layer = 8 * text.hidden_size + 2 * _key_width(text) + 4 * inner  # inputs that a layer keeps for its backward pass, a token
    kept = text.num_hidden_layers * text.hidden_size + layer if checkpointing else text.num_hidden_layers * layer
    tokens = len(work.largest().tokens)
    logits = 4 * 4 * min(MAX_LOGITS, tokens * text.vocab_size)  # log-probabilities, and what the backward pass makes of them
    trained = sum(p.numel() for p in bare.trainable)
    return StepBytes(bare.weight_bytes(), trained, 4 * trained, 8 * trained, tokens * kept * width + logits, merged=0)


def of_worker(memory: Memory, count: int) -> Memory:
    """Of each of so many policy workers: its part of what there is once, and a pass of its own; it samples nothing.

    Not counted: the layer, and the embeddings and output head, that it has gathered while it computes.
    """
    once = ("weights", "gradients", "optimizer", "reference")
    parted = {name: -(-getattr(memory, name) // count) for name in once}
    return replace(memory, kv_cache=0, merged_weights=0, drawing=0, **parted)


def sampling_estimate(shape: Any, sampled: Sampled, *, bf16: bool) -> Memory:
    """Of sampling where nothing trains."""
    width = 2 if bf16 else 4
    cache, drawing = _sampling(shape, sampled, width)
    weights = parameters(shape, None)[0] * width
    return Memory(weights, gradients=0, optimizer=0, reference=0, activations=0, kv_cache=cache, drawing=drawing)


def _sampling(shape: Any, sampled: Sampled, width: int) -> tuple[int, int]:
    """(keys and values with the room that the cache leaves, logits and what is made of them)."""
    text, place = shape.get_text_config(), sampled.prompt
    room = place + max(32, place // 4)
    while room < sampled.length:
        room += 1 + max(32, (room + 1) // 4)
    numbers = sampled.sequences * int(text.vocab_size)
    cache = sampled.sequences * room * 2 * text.num_hidden_layers * _key_width(text) * width
    return cache, 4 * numbers + 12 * min(numbers, DRAWN_AT_ONCE)


def _key_width(text: Any) -> int:
    """Numbers that the keys of a token take in a layer; its values take as many."""
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int((getattr(text, "num_key_value_heads", None) or heads) * head)
