"""The options that every online recipe has, as one frozen dataclass; a recipe inherits it and adds its own.

An option left at None was not set. One that was set but that the chosen algorithm would ignore is an error, not a comment.
"""

import dataclasses
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from recipes.setup.command_line import flag_of
from recipes.setup.option_values import fits, restored
from verifiers.input_error import InputError

EngineName = Literal["auto", "hf", "vllm", "server", "ray"]
AlgorithmName = Literal["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "reinforce++", "reinforce++-baseline", "maxrl", "raft"]
Reward = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]
EngineOption = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


Rule = tuple[str, Callable[[Any], bool]]
COUNT: Rule = ("at least 1", lambda value: value >= 1)
NOT_NEGATIVE: Rule = ("0 or more", lambda value: value >= 0)
POSITIVE: Rule = ("a number above 0", lambda value: value > 0)
BELOW_ONE: Rule = ("from 0 to below 1", lambda value: 0 <= value < 1)
RANGES: dict[str, Rule] = {  # of every recipe's options; one that a recipe lacks is passed over
    **dict.fromkeys(
        ("steps", "problems_per_step", "completions_per_problem", "updates_per_rollout", "tokens_per_micro_batch", "max_completion_length",
         "workers", "checkpoint_every", "lora_rank", "limit", "engines", "max_sequences", "problems", "digits", "layers",
         "problems_per_chunk", "max_turns", "tool_output", "tools_at_once", "examples_per_step", "max_length", "show_mask"),
        COUNT,
    ),
    **dict.fromkeys(
        ("warmup", "eval_every", "held_out", "max_refills", "overlong_cache", "kl_coef", "entropy_coef", "weight_decay", "correction_low",
         "clip_high"),
        NOT_NEGATIVE,
    ),
    **dict.fromkeys(
        ("temperature", "lr", "deadline", "max_grad_norm", "ratio_cap", "correction_high", "lora_alpha", "tool_seconds"), POSITIVE
    ),
    **dict.fromkeys(("clip_low", "ema_decay"), BELOW_ONE),
    "engine_memory": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    **dict.fromkeys(("worked_share", "warm_start"), ("from 0 to 1", lambda value: 0 <= value <= 1)),
    "ahead": ("0 or 1", lambda value: value in (0, 1)),
    "hidden": ("a multiple of 8, at least 8", lambda value: value >= 8 and value % 8 == 0),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options:
    algorithm: AlgorithmName = "grpo"
    """What to optimise; `reckon plan` prints its formula."""
    clip_low: float | None = None
    """Lower clip distance of the ratio (default: the algorithm's)."""
    clip_high: float | None = None
    """Upper clip distance of the ratio (default: the algorithm's)."""
    ratio_cap: float | None = None
    """CISPO: largest ratio (default 5)."""
    overlong_cache: int | None = None
    """DAPO: tokens before the limit over which the length penalty grows (default: a fifth of it; 0: off)."""
    max_refills: int | None = None
    """DAPO: further rounds of sampling to replace groups whose verdicts agree (default 3; 0: off)."""
    kl_coef: float = 0.0
    """Coefficient of the KL to the reference; 0 computes none (DeepSeekMath: 0.04)."""
    kl: Literal["k1", "k2", "k3"] | None = None
    """Estimator of that KL (default k3)."""
    reference: Literal["initial", "ema"] | None = None
    """What that KL is measured against: the policy as it began (default), or its moving average."""
    ema_decay: float | None = None
    """Decay of the moving average, a step (default 0.99)."""
    correction: Literal["truncate", "mask"] | None = None
    """Multiply the loss by the trainer/sampler probability ratio: truncated (TIS), or masked outside bounds (IcePop)."""
    correction_level: Literal["token", "sequence"] | None = None
    """One ratio a token (default) or a sequence."""
    correction_low: float | None = None
    """Lower bound of a masked ratio (default 0)."""
    correction_high: float | None = None
    """Upper bound of the ratio (default 2)."""
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
    ahead: int = 0
    """1: sample the next rollout while this step's update runs. It is then one step old, which --correction accounts for (truncate, if
    none is given)."""
    tokens_per_micro_batch: int = 16_384
    """Memory setting: tokens, padding included, in one forward and backward pass. Never changes the gradient."""
    max_completion_length: int = 1024
    """Tokens of a completion at most."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are at the same temperature everywhere."""

    engine: EngineName = "auto"
    """What samples: vllm; server (a running vLLM server); hf (transformers' generate, from the policy in place); ray (several of vllm or
    hf, each an actor with a GPU or a core of its own). auto takes vllm when it is installed."""
    engine_memory: float | None = None
    """vLLM: share of the GPU's memory, which the policy needs too (default 0.4)."""
    engine_sleep: bool = False
    """vLLM on a GPU: give that memory back while the policy updates."""
    engine_option: EngineOption = ()
    """vLLM: any argument of vllm.LLM as name=value, such as quantization=fp8; repeatable."""
    engines: int | None = None
    """Ray: how many engines (default 2)."""
    ray_engine: Literal["hf", "vllm"] | None = None
    """Ray: what each of them is (default: vllm when it is installed)."""
    ray_address: str | None = None
    """Ray: a running cluster's address, or "auto" for this machine's; default: Ray starts here, for this run."""
    server_url: str | None = None
    """Server: its address (default http://127.0.0.1:8000)."""
    server_folder: Path | None = None
    """Server: a folder that it sees too, where weights are handed over (default: this machine's memory)."""

    lr: float = 1e-6
    """Peak learning rate (AdamW)."""
    warmup: int = 10
    """Steps of linear warm-up."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Shape of the learning rate after the warm-up."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
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
    run: Path = Path("runs/run")
    """Folder of the run."""
    overwrite: bool = False
    """Delete an earlier run in that folder first."""
    resume: Path | None = None
    """Continue this run exactly where it stopped. Its options stay; memory settings, the engine, steps, evaluation, checkpoints, trackers,
    workers and the deadline may be given anew."""
    track: Literal["tensorboard", "wandb", "trackio"] | None = None
    """Also send the numbers to a tracker."""


def check_numbers(options: object) -> None:
    """Raises InputError for numbers that cannot be, of whichever of these options there are."""
    for name, (rule, holds) in RANGES.items():
        value = getattr(options, name, None)
        if value is not None and not (math.isfinite(value) and holds(value)):
            raise InputError(f"{flag_of(name)} must be {rule}, not {value}")


def check_options(options: Options) -> None:
    """Raises InputError for numbers that cannot be, and for options that would be ignored."""
    check_numbers(options)
    if (options.overlong_cache or 0) > options.max_completion_length:
        raise InputError(f"--overlong-cache {options.overlong_cache} is longer than --max-completion-length; the penalty would never be 0")
    for needed, given in {
        "kl_coef": ("kl", "reference", "ema_decay"),
        "correction": ("correction_level", "correction_low", "correction_high"),
    }.items():
        obeyed = bool(getattr(options, needed)) or (needed == "correction" and options.ahead > 0)
        _refuse_ignored(options, obeyed, given, f"without {flag_of(needed)}")
    _refuse_ignored(options, options.reference == "ema", ("ema_decay",), "without --reference ema")
    _refuse_ignored(options, options.correction == "mask", ("correction_low",), "without --correction mask")


def _refuse_ignored(options: Options, obeyed: bool, names: tuple[str, ...], when: str) -> None:
    ignored = [flag_of(name) for name in names if getattr(options, name) is not None]
    if ignored and not obeyed:
        raise InputError(f"{' and '.join(ignored)} would be ignored {when}; leave it out, or give that too")


# --- to and from a run's config.json ---


def to_json(options: Options) -> dict[str, Any]:
    """Every option, resolved, as JSON values."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(options).items()}


def from_json(kind: type[Options], values: dict[str, Any], place: Path) -> Any:
    """The options of an earlier run; raises InputError where they are not this recipe's."""
    hints = typing.get_type_hints(kind)
    unknown = sorted(values.keys() - hints.keys())
    if unknown:
        raise InputError(f"--resume {place}: its config.json has options that this recipe does not: {', '.join(unknown)}")
    as_held = {key: restored(value, hints[key]) for key, value in values.items()}
    wrong = [key for key, value in as_held.items() if not fits(value, hints[key])]
    if wrong:
        raise InputError(
            f"--resume {place}: its config.json gives {wrong[0]} as {values[wrong[0]]!r:.60}, which that option cannot be; restore the file"
        )
    return kind(**as_held)


def absolute(place: str) -> str:
    """A path that exists, made absolute so that a run can be resumed from any folder; anything else (a hub name) as it is."""
    return str(Path(place).resolve()) if place and Path(place).exists() else place
