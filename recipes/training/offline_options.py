"""The options that every command has which trains on what is already written: `reckon sft`, `dpo`, `orpo`, `kto`.

A command inherits them and adds its own: which fields of a row it reads, what its objective takes. An option left at None was not set;
one that would be ignored is an error. `resolve` turns what was given into what the run is made of, before anything heavy.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from recipes.setup.choices import Lora, Track, Tune
from recipes.setup.command_line import named_values
from recipes.setup.options import Rates, TemplateArgument, absolute, check_numbers, check_savings
from recipes.setup.starting_point import FromAdapter, kept_start
from recipes.spelling.flat_options import word_of
from recipes.spelling.option_values import flag_of
from rl.saving.savings import Savings
from verifiers.input_error import InputError, missing_place


@dataclass(frozen=True, kw_only=True)
class WrittenData:
    """What is read, and how it becomes tokens."""

    model: str = ""
    """Hub id or folder of any causal language model; what an earlier run learnt (its folder, a checkpoint, an adapter); a GGUF file."""
    gguf_file: str | None = None
    """Of a folder with several GGUF files, or a hub id: the file to read."""
    from_adapter: FromAdapter | None = None
    """Where --model is an adapter: train it further (default), or merge it and train a fresh one, or all parameters with --tune full."""
    data: str = ""
    """JSONL file, table (Parquet, CSV), or a name or folder for `datasets`."""
    subset: str | None = None
    """Configuration of the data set."""
    split: str | None = None
    """Split of the data set (default train)."""
    limit: int | None = None
    """Read so many rows at most."""
    skip_bad_rows: bool = False
    """Leave out rows that cannot be used, and count them, instead of stopping at the first."""
    held_out: int = 0
    """Keep so many rows, drawn by --seed, for the held-out loss."""
    eval_data: str | None = None
    """Measure the held-out loss on this data instead."""

    max_length: int | None = None
    """Tokens of a sequence at most (default: the model's context)."""
    too_long: Literal["drop", "truncate"] = "drop"
    """What happens to longer ones: dropped and counted, or cut at their end and counted."""
    strict: bool = False
    """Stop where the chat template rewrites turns, instead of training each as the model sees it when it answers there."""
    system_prompt: str = ""
    """First message of conversations that have none; "" for none."""
    chat_template: bool = True
    """Use the tokenizer's chat template where it has one; --no-chat-template encodes texts as they stand."""
    template_arg: TemplateArgument = ()
    """What the chat template reads besides the messages, as name=value, such as enable_thinking=false; repeatable."""
    show_mask: int | None = None
    """Print so many examples with the tokens that train set apart, and stop."""
    show_ids: bool = False
    """With --show-mask: a line for each token, with its id."""


@dataclass(frozen=True, kw_only=True)
class Updates:
    """What trains, for how long and at which rate."""

    tune: Tune = Lora()
    """Train a low-rank adapter or all parameters."""
    dtype: Literal["fp32", "bf16", "auto"] = "auto"
    """Precision of the computation; auto: bf16 on a GPU, else fp32. What trains is kept in float32."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None
    """Implementation of attention (default: transformers' choice for the model, mostly sdpa)."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""

    savings: Savings = Savings()
    """Ways to train with less memory."""

    steps: int | None = None
    """Optimiser steps (default: as many as --epochs takes)."""
    epochs: float | None = None
    """Times that the data is gone through (default 1)."""
    examples_per_step: int = 32
    """Examples (of preferences: pairs) in an optimiser step."""
    shuffle: bool = True
    """Every epoch in a new order; --no-shuffle keeps the data's, such as one from easy to hard."""
    packing: bool | None = None
    """--packing is --layout packed, --no-packing is --layout padded. Default: as --layout says."""
    layout: Literal["auto", "padded", "packed", "shared"] = "auto"
    """How a micro-batch lies in tensors: shared (end to end without padding, what the sequences of a pair begin with once), packed (end to
    end, under one mask of all by all but with flash attention), padded; auto: the one with the least work that the model allows. Never
    changes the gradient."""
    tokens_per_micro_batch: int = 4096
    """Memory setting: tokens in one forward and backward pass. Never changes the gradient."""

    lr: float | None = None
    """Peak learning rate (AdamW); the default is the method's, for a LoRA or for all parameters."""
    warmup: int | None = None
    """Steps of linear warm-up (default: 3 % of the steps)."""
    schedule: Literal["constant", "cosine"] = "cosine"
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


@dataclass(frozen=True, kw_only=True)
class OfflineOptions(Updates, WrittenData):
    """All of it, and the life of a run."""

    policy_workers: int = 0
    """Cut the model over so many processes of this machine (FSDP2), one a GPU where there are any. 0: it is in this process. A memory
    setting."""
    tensor_parallel: int = 1
    """Of the policy workers, so many neighbours compute each layer together, by the model's own plan: a divisor of their number and of
    the attention heads. Changes nothing but rounding."""
    relora_every: int = 0
    """With --tune lora: after so many steps the adapter is merged into the weights and drawn anew, its moments are forgotten, and the rate
    rises again (ReLoRA, arXiv:2307.05695); 0: never."""
    relora_warmup: int | None = None
    """With --relora-every: steps in which the rate rises again (default 10, or fewer where there are fewer)."""
    seed: int = 0
    """All randomness is a function of it."""
    eval_every: int = 0
    """Steps between evaluations on what is held out; 0: before the first and after the last."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""
    stall_after: float = 60.0
    """Minutes without any progress after which the run ends, naming what it waited for, with the stacks of all processes; 0: never."""
    run: Path = Path("runs/run")
    """Folder of the run."""
    overwrite: bool = False
    """Delete an earlier run in that folder first."""
    resume: Path | None = None
    """Continue this run exactly where it stopped; all other options come from it."""
    profile: int = 0
    """Trace so many steps (--profile alone: 2) into profile/ of the run: a trace for Perfetto, and a page of where time and memory went."""
    track: Track | None = None
    """Also send the numbers to a tracker; a run that is resumed goes on there as the same run."""


AnyOptions = TypeVar("AnyOptions", bound=OfflineOptions)


MOST_EPOCHS = 1_000_000
WARMUP_SHARE = 0.03  # of the steps; Alpaca's and QLoRA's (arXiv:2305.14314)


def resolve(options: AnyOptions, rates: Rates) -> AnyOptions:
    """Paths made absolute and defaults that depend on other options made numbers. Raises InputError for what is missing or ignored."""
    check_numbers(options)
    check_savings(options)
    if options.epochs is not None and not options.epochs > 0:
        raise InputError(f"--epochs must be a number above 0, not {options.epochs}")
    if (options.epochs or 0) > MOST_EPOCHS:
        raise InputError(f"--epochs must be at most {MOST_EPOCHS:,}, not {options.epochs:g}; to go on until it is stopped, give --steps")
    if options.steps is not None and options.epochs is not None:
        raise InputError("--steps and --epochs say the same thing twice; leave one of them out")
    for name in ("model", "data"):
        if not getattr(options, name):
            raise InputError(
                f"--{name} is missing; give {'a hub id or the folder of a model' if name == 'model' else 'a file or data set'}"
            )
    if not (options.resume and kept_start(options.resume)) and (missing := missing_place(options.model)) is not None:
        raise InputError(f"--model: {missing}")
    _refuse_ignored(options)
    named_values(options.template_arg, "--template-arg", "enable_thinking=false")
    return replace(
        options,
        model=absolute(options.model),
        data=absolute(options.data),
        eval_data=options.eval_data and absolute(options.eval_data),
        relora_warmup=min(10, options.relora_every) if options.relora_every and options.relora_warmup is None else options.relora_warmup,
        lr=getattr(rates, word_of(type(options.tune))) if options.lr is None else options.lr,
    )


def _refuse_ignored(options: OfflineOptions) -> None:
    def given(*names: str) -> str:
        return " and ".join(flag_of(name) for name in names if getattr(options, name) not in (None, False, 0, ()))

    if options.held_out and options.eval_data:
        raise InputError("--held-out would be ignored with --eval-data; leave one of them out")
    if options.relora_every:
        _check_restarts(options)
    elif options.relora_warmup is not None:
        raise InputError("--relora-warmup would be ignored without --relora-every; give that too, or leave it out")
    if options.eval_every and not (options.held_out or options.eval_data):
        raise InputError("--eval-every would be ignored: nothing is held out; give --held-out or --eval-data")
    if Path(options.data).is_file() and (ignored := given("subset", "split")):
        raise InputError(f"{ignored} would be ignored: {options.data} is a file, not a data set; leave it out")
    if not options.chat_template and options.template_arg:
        raise InputError("--template-arg would be ignored with --no-chat-template; leave one of them out")
    if options.show_ids and options.show_mask is None:
        raise InputError("--show-ids would be ignored without --show-mask; give that too")


def _check_restarts(options: OfflineOptions) -> None:
    """Raises InputError for what --relora-every cannot go with."""
    given = f"--relora-every {options.relora_every}"
    if not isinstance(options.tune, Lora):
        raise InputError(f"{given} merges an adapter, and --tune full has none; leave one of them out")
    if options.policy_workers:
        raise InputError(f"{given} merges whole matrices, which --policy-workers cuts; leave one of them out")
    if (options.relora_warmup or 0) > options.relora_every:
        raise InputError(f"--relora-warmup {options.relora_warmup} is longer than {given}: the rate would never rise whole; give less")


def with_length(options: AnyOptions, units: int) -> AnyOptions:
    """Steps and warm-up as numbers, for so many units to train on; a step takes no more than there are: an epoch sees each once."""
    per_step = min(options.examples_per_step, units)
    steps = options.steps or math.ceil((options.epochs or 1.0) * units / per_step)
    warmup = round(WARMUP_SHARE * steps) if options.warmup is None else options.warmup
    return replace(options, steps=steps, epochs=None, warmup=warmup, examples_per_step=per_step)
