"""The critic that the options describe: a head on the policy, a second adapter on its base, or a model of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.actors.same_tokenizer import check_same_tokenizer
from recipes.setup import choices
from recipes.setup.model_source import ModelInMemory, ModelSource, find_model
from recipes.setup.online import critic_of
from recipes.setup.options import Options, optimizer_of
from rl.learning.critic import AdapterValue, Critic, ModelValue, TrunkValue
from rl.learning.learner import Learner, ValueHead
from rl.learning.model_loading import with_attention
from rl.learning.policy import Policy
from rl.learning.value_heads import load_value_head, save_value_head
from rl.loop.seeds import reseed
from rollout.progress import watched
from verifiers.input_error import InputError


def check_critic(options: Options, *, adapted: bool) -> None:
    """Raises InputError for a critic that cannot be. `adapted`: whether the policy trains an adapter."""
    critic = critic_of(options)
    if (place := getattr(critic, "model", None)) is not None and getattr(options, "model", ""):
        check_same_tokenizer(options.model, find_model(options.model).load_tokenizer(), place, "--critic-model")
    if isinstance(critic, choices.AdapterCritic) and not adapted:
        raise InputError("--critic adapter stands on the frozen base of --tune lora, and --tune full has none; use trunk or separate")
    if critic is not None and critic.warmup >= options.steps:
        raise InputError(f"--critic-warmup {critic.warmup}: with --steps {options.steps} the policy would never learn; give fewer")


def critic_source(options: Options, start: ModelSource) -> ModelSource:
    """What a separate critic begins as."""
    place = getattr(critic_of(options), "model", None)
    return find_model(place) if place else start


def make_critic(options: Options, policy: Policy, start: ModelSource | str, **settings: Any) -> Critic | None:
    """None for an algorithm without one. `start`: what the policy began as; `settings`: Learner's. Raises InputError."""
    critic = critic_of(options)
    if critic is None:
        return None
    if isinstance(critic, choices.TrunkCritic):
        return TrunkValue(policy, clip=critic.clip)
    reseed(options.seed, "critic")  # a fresh adapter draws its weights
    if isinstance(critic, choices.AdapterCritic):
        lora = replace(policy.lora, rank=critic.rank, alpha=2.0 * critic.rank) if policy.lora and critic.rank else policy.lora
        return AdapterValue(policy, lora=lora, clip=critic.clip)
    attention = settings.pop("attention", None)
    source = critic_source(options, find_model(start) if isinstance(start, str) else start)
    if isinstance(source, ModelInMemory):
        raise InputError(
            "a separate critic begins as the policy did, which is in memory once; give SeparateCritic(model=PLACE), or TrunkCritic()"
        )
    with watched(f"loading the critic, {source.in_words()}"):
        model = with_attention(source.load_model(settings.get("dtype", "fp32"), lora=policy.lora is not None, judges=True), attention)
    text = model.config.get_text_config()
    if text.vocab_size < policy.vocabulary:
        raise InputError(f"--critic-model: {source.in_words()} has fewer tokens than the policy; give one of the same tokenizer")
    head = ValueHead(load_value_head(source.stages))
    if head.weight is not None and head.weight.shape[1] != text.hidden_size:
        raise InputError(
            f"--critic-model: the value head of {source.in_words()} is {head.weight.shape[1]} wide, the model {text.hidden_size}"
        )
    learner = Learner(
        model, lora=policy.lora, value_head=head, optimizer=optimizer_of(options), tokens_per_micro_batch=options.tokens_per_micro_batch,
        layout=policy.layout, **settings,
    )  # fmt: skip
    return ModelValue(learner, clip=critic.clip)


def write_critic(run: Path, critic: Critic | None) -> None:
    """A finished run's critic, beside its policy: a separate one as a model or adapter with its head, of the others the head alone."""
    learner = getattr(critic, "learner", None) or getattr(critic, "policy", None)
    if learner is not None:
        save_value_head(learner, run / "critic", whole=type(critic) is ModelValue)
