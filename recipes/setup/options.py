"""The options that every online recipe has, as one frozen dataclass; a recipe inherits it and adds its own.

Options that belong to a choice are a dataclass of their own (`choices.py`): one that the chosen algorithm or engine would ignore has no
place, and is refused under its flat name. Which numbers can be is said here.
"""

import dataclasses
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, cast

import tyro

from recipes.setup.choices import GRPO, KL, Algorithm, Auto, Correction, Engine, Full, Lora, Track
from recipes.spelling.flat_options import built, choices_of, flat_options, flat_values, from_file, in_groups
from recipes.spelling.option_values import flag_of
from rl.saving.savings import Savings
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.learning.learner import Optimizer

Data = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
TemplateArgument = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
Reward = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


Rule = tuple[str, Callable[[Any], bool]]
COUNT: Rule = ("at least 1", lambda value: value >= 1)
NOT_NEGATIVE: Rule = ("0 or more", lambda value: value >= 0)
POSITIVE: Rule = ("a number above 0", lambda value: value > 0)
BELOW_ONE: Rule = ("from 0 to below 1", lambda value: 0 <= value < 1)
RANGES: dict[str, Rule] = {  # of every recipe's options; one that a recipe lacks is passed over
    **dict.fromkeys(
        ("steps", "problems_per_step", "completions_per_problem", "updates_per_rollout", "epochs_per_rollout",
         "tokens_per_micro_batch", "max_completion_length", "tensor_parallel",
         "workers", "checkpoint_every", "lora_rank", "limit", "engines", "max_sequences", "problems", "digits", "layers",
         "recompute_every", "galore_rank", "galore_every",
         "problems_per_chunk", "max_turns", "tool_output", "tools_at_once", "examples_per_step", "max_length", "show_mask",
         "rounds", "rollouts", "per_problem", "states_per_chunk", "k", "critic_rank", "policies", "front_problems",
         "samples", "labelled", "reward_samples", "reward_problems", "reward_per_problem", "reward_batch", "reference_every"),
        COUNT,
    ),
    **dict.fromkeys(
        ("warmup", "relora_every", "relora_warmup", "eval_every", "stall_after", "held_out", "policy_workers", "reward_held_out",
         "max_refills", "overlong_cache", "profile", "kl_coef", "entropy_coef", "weight_decay", "correction_low",
         "clip_high", "process_weight", "outcome_weight", "language_weight", "verifier_weight", "critic_warmup", "critic_clip",
         "length_adaptive"),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(
        ("temperature", "lr", "epochs", "adam_eps", "lora_plus", "galore_scale",
         "deadline", "max_grad_norm", "ratio_cap", "correction_high", "lora_alpha", "tool_seconds", "critic_coef",
         "critic_lr", "reward_lr", "reward_epochs"), POSITIVE
    ),
    **dict.fromkeys(("clip_low", "ema_decay", "adam_beta1", "adam_beta2"), BELOW_ONE),
    "dual_clip": ("0 (off) or above 1", lambda value: value == 0 or value > 1),
    **dict.fromkeys(("gamma", "lam", "critic_lam"), ("from 0 to 1", lambda value: 0 <= value <= 1)),
    "engine_memory": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    **dict.fromkeys(("worked_share", "warm_start", "replay"), ("from 0 to 1", lambda value: 0 <= value <= 1)),
    "n": ("at least 2", lambda value: value >= 2),
    "ahead": ("0 or 1", lambda value: value in (0, 1)),
    "hidden": ("a multiple of 8, at least 8", lambda value: value >= 8 and value % 8 == 0),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    algorithm: Algorithm = GRPO()
    """What to optimise; `reckon plan` prints its formula."""
    kl: KL | None = None
    """A KL to a reference, in the loss."""
    correction: Correction | None = None
    """Multiply the loss by the trainer/sampler probability ratio: truncated (TIS), or masked outside bounds (IcePop)."""
    entropy_coef: float = 0.0
    """Coefficient of an entropy bonus; entropy is measured always."""

    steps: int = 200
    """Steps: each samples, scores and updates."""
    problems_per_step: int = 32
    """P: problems in a step."""
    completions_per_problem: int = 8
    """G: completions sampled for each problem."""
    updates_per_rollout: int = 1
    """Optimiser steps on each rollout, over disjoint parts of its groups."""
    epochs_per_rollout: int = 1
    """Passes over those parts. From the second update on, ratios are to the policy as it was before the first."""
    mask_truncated: bool = False
    """Completions that were cut at the length limit do not train (overlong filtering of DAPO, arXiv:2503.14476, section 3.4)."""
    ahead: int = 0
    """1: sample the next rollout while this step's update runs. It is then one step old, which --correction accounts for (truncate, if
    none is given)."""
    tokens_per_micro_batch: int = 16_384
    """Memory setting: tokens, padding included, in one forward and backward pass. Never changes the gradient."""
    layout: Literal["auto", "padded", "packed", "shared"] = "auto"
    """How a micro-batch lies in tensors: shared (a group's prompt once, without padding), packed (end to end), padded; auto: the one with
    the least work that the model allows. Never changes the gradient."""
    max_completion_length: int = 1024
    """Tokens of a completion at most."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are at the same temperature everywhere."""
    savings: Savings = Savings()
    """Ways to train with less memory."""
    policy_workers: int = 0
    """Cut the policy over so many processes (FSDP2), one a GPU where there are any: of this machine, or with --engine ray of that cluster.
    0: it is in this process. A memory setting."""
    tensor_parallel: int = 1
    """Of the policy workers, so many neighbours compute each layer together, by the model's own plan: a divisor of their number and of
    the attention heads. For layers that one GPU has no room or no time for. Changes nothing but rounding."""

    engine: Engine = Auto()
    """What samples: vllm; server (a running vLLM server); hf (transformers' generate, from the policy in place); ray (several of vllm or
    hf, each an actor with a GPU or a core of its own). auto takes vllm when it is installed."""

    lr: float = 1e-6
    """Peak learning rate (AdamW)."""
    warmup: int = 10
    """Steps of linear warm-up."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Shape of the learning rate after the warm-up."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    adam_beta1: float = 0.9
    """AdamW's decay of the mean gradient."""
    adam_beta2: float = 0.999
    """AdamW's decay of the mean squared gradient."""
    adam_eps: float = 1e-8
    """AdamW's term in the denominator."""
    max_grad_norm: float = 1.0
    """The gradient is scaled down to this norm."""

    reward: Reward = ()
    """A verifier's name, `package.module:function` or `file.py:function`, optionally `(parameter=value, ...)` and `=weight`; also
    `gate(a, b)` and `minimum(a, b)`. Repeatable, the first decides what counts as right. Default: each problem's own verifier."""
    workers: int = 2
    """Verifier processes."""
    deadline: float = 10.0
    """Seconds for one verdict; past it the verifier is killed and the completion does not train."""

    seed: int = 0
    """All randomness is a function of it."""
    eval_every: int = 0
    """Steps between evaluations on the held-out problems; 0: before the first and after the last."""
    checkpoint_every: int = 10
    """Steps between checkpoints. Steps since the last one are replayed from their stored rollouts, not sampled again."""
    stall_after: float = 60.0
    """Minutes without any progress after which the run ends, naming what it waited for, with the stacks of all processes; 0: never."""
    run: Path = Path("runs/run")
    """Folder of the run."""
    overwrite: bool = False
    """Delete an earlier run in that folder first."""
    resume: Path | None = None
    """Continue this run exactly where it stopped. Its options stay; memory settings, the engine, steps, evaluation, checkpoints, trackers,
    workers and the deadline may be given anew."""
    store_tokens: bool = True
    """Keep what the updates saw of every token, for `reckon view`: advantage, ratio, entropy, value, whether it trains."""
    profile: int = 0
    """Trace so many steps (--profile alone: 2) into profile/ of the run: a trace for Perfetto, and a page of where time and memory went."""
    track: Track | None = None
    """Also send the numbers to a tracker; a run that is resumed goes on there as the same run."""


def check_numbers(options: object) -> None:
    """Raises InputError for numbers that cannot be, of whichever of these options there are."""
    values = flat_values(options)
    for name, (rule, holds) in RANGES.items():
        value = values.get(name)
        if value is not None and not (math.isfinite(value) and holds(value)):
            raise InputError(f"{flag_of(name)} must be {rule}, not {value}")


def check_savings(options: Any) -> None:
    """Raises InputError for ways to save memory, or to look at it, that would be ignored or cannot go together."""
    from recipes.setup.command_line import given_options

    if options.profile and getattr(options, "policy_workers", 0):
        raise InputError("--profile sees one process, and --policy-workers has several compute; leave one of them out")
    options.savings.check(
        gradient_checkpointing=getattr(options, "gradient_checkpointing", False),
        full=not isinstance(getattr(options, "tune", Full()), Lora),
        one_process=not getattr(options, "policy_workers", 0),
        clips="max_grad_norm" in given_options(options),
    )
    if options.savings.optimizer == "adamw-8bit":
        from rl.saving.optimizers import check_installed

        check_installed(options.savings)


def check_options(options: Options) -> None:
    """Raises InputError for numbers that cannot be."""
    check_numbers(options)
    check_savings(options)
    cache = getattr(options.algorithm, "overlong_cache", None)
    if (cache or 0) > options.max_completion_length:
        raise InputError(f"--overlong-cache {cache} is longer than --max-completion-length; the penalty would never be 0")
    if getattr(options.algorithm, "process_weight", 1.0) == 0 == getattr(options.algorithm, "outcome_weight", 1.0):
        raise InputError("--process-weight 0 and --outcome-weight 0: nothing is left to learn from; give one of them a weight")
    lam = getattr(options.algorithm, "lam", 1.0)
    if lam != 1 and getattr(options.algorithm, "length_adaptive", 0.0):
        raise InputError(f"--lam {lam} would be ignored with --length-adaptive, which says what λ is; leave one of them out")


READ = ("data", "eval_data", "eval", "teacher", "reference_model", "reference_scores", "reward", "environment", "tools")
"""Options that name files, with what may stand around the place: NAME=FILE, FILE=WEIGHT, FILE:FUNCTION. `start_of` looks at --model."""


def refuse_read_inside(options: Any) -> None:
    """Raises InputError where an option names what lies in the run's folder, which `--overwrite` empties."""
    run, values = Path(options.run).resolve(), flat_values(options)
    for name in READ:
        value = values.get(name)
        for text in map(str, value if isinstance(value, tuple | list) else (value or "",)):
            tried = {text, text.partition("=")[2], text.rpartition("=")[0], text.partition(":")[0]} - {""}
            places = [Path(os.path.realpath(place)) for place in tried if os.path.exists(place)]  # Path.exists raises for long ones
            if any(run in (place, *place.parents) for place in places):
                raise InputError(
                    f"--overwrite would delete {text}, which {flag_of(name)} names; move it out of {options.run}, or choose another --run"
                )


# --- to and from a run's config.json ---


def to_json(options: Any) -> dict[str, Any]:
    """Every option, resolved, as JSON values: what `--config` reads."""
    return {key: _as_json(value) for key, value in in_groups(options).items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    return str(value) if isinstance(value, Path) else value


def from_json(kind: type[Any], values: dict[str, Any], place: Path) -> Any:
    """The options of an earlier run, in groups or flat as before; raises InputError where they are not this recipe's."""
    where, known = f"--resume {place}: its config.json", flat_options(kind)
    if unknown := sorted(values.keys() - known.keys() - choices_of(kind).keys()):
        raise InputError(f"{where} has options that this recipe does not: {', '.join(unknown)}")
    if isinstance(values.get("data"), str) and known["data"].hint is Data:  # as runs of before have it
        values = values | {"data": [values["data"]] if values["data"] else []}
    unset = [name for name, value in values.items() if name in known and known[name].groups and (value is False or value == [])]
    given = from_file(kind, {name: value for name, value in values.items() if name not in unset}, where)  # as runs of before have them
    try:
        return built(kind, given, str)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


class Rates(NamedTuple):
    """A method's learning rates where none is given."""

    lora: float
    full: float


AnyOptions = TypeVar("AnyOptions")


def with_length(options: AnyOptions, problems: int) -> AnyOptions:
    """--epochs over so many problems as steps."""
    online: Any = options
    if getattr(online, "epochs", None) is None:
        return options
    steps = math.ceil(online.epochs * problems / online.problems_per_step)
    return cast("AnyOptions", dataclasses.replace(online, steps=steps, epochs=None))


def optimizer_of(options: Any) -> "Optimizer":
    """AdamW as the options say."""
    from rl.learning.learner import Optimizer

    betas = (options.adam_beta1, options.adam_beta2)
    return Optimizer(betas=betas, eps=options.adam_eps, weight_decay=options.weight_decay, max_grad_norm=options.max_grad_norm)


def absolute(place: str) -> str:
    """A path that exists, made absolute so that a run can be resumed from any folder; anything else (a hub name) as it is."""
    return str(Path(place).resolve()) if place and Path(place).exists() else place
