"""Where training begins: the last stage's adapter trained further, or merged first, and what a run keeps of that.

A run keeps its beginning in its own folder (an adapter is small; of a merge, the model that came of it; a model of a Python program that
stands nowhere else), so that it can be resumed, and its adapter be loaded by any program, whatever becomes of the stage before it.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from recipes.setup.choices import Full, Tune
from recipes.setup.command_line import named_values
from recipes.setup.model_card import write_card
from recipes.setup.model_source import (
    ADAPTER,
    FINAL,
    MERGED,
    START,
    ModelInMemory,
    ModelSource,
    adapter_config,
    find_model,
    model_option,
)
from recipes.spelling.flat_options import flat_values
from recipes.spelling.option_values import flag_of
from rollout.interruption import stage
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.learning.adapters import Lora
    from rl.learning.learner import Learner
    from rl.saving.quantization import Quantization
    from rollout.chat import Chat

FromAdapter = Literal["continue", "merge"]
AnyOptions = TypeVar("AnyOptions")


class StartOptions(Protocol):
    """What the functions here read of a command's options."""

    @property
    def model(self) -> str: ...
    @property
    def gguf_file(self) -> str | None: ...
    @property
    def from_adapter(self) -> FromAdapter | None: ...
    @property
    def tune(self) -> Tune: ...
    @property
    def run(self) -> Path: ...
    @property
    def resume(self) -> Path | None: ...
    @property
    def overwrite(self) -> bool: ...


def start_of(options: StartOptions) -> ModelSource:
    """What the options begin with: of a run that is resumed, what it kept. Raises InputError where that cannot be, in one line."""
    if options.resume is not None and (kept := kept_start(options.resume)) is not None:
        return replace(find_model(kept), given=options.model)
    source = starting_point(options.model, full=isinstance(options.tune, Full), how=options.from_adapter, gguf_file=options.gguf_file)
    inside = [place for place in (source.base, source.tokenizer, *source.adapters) if options.run.resolve() in Path(place).parents]
    if options.overwrite and inside:
        raise InputError(
            f"--overwrite would delete the run {options.run}, which --model {options.model} is; choose another place with --run"
        )
    return source


def starting_point(place: str, *, full: bool, how: FromAdapter | None, gguf_file: str | None = None) -> ModelSource:
    """`find_model` where training is to begin: whether its last adapter is trained further (the default of a LoRA), or merged first.

    Raises InputError for a choice that cannot be, or would be ignored.
    """
    source = find_model(place, gguf_file=gguf_file)
    if source.adapter is None:
        if how:
            raise InputError(f"--from-adapter {how} would be ignored: --model {place} is a model, not an adapter; leave it out")
        return source
    if full and how == "continue":
        raise InputError(
            f"--from-adapter continue: --model {place} is an adapter, and --tune full trains all weights; merge it first with "
            "--from-adapter merge, or use --tune lora"
        )
    if full or how == "merge":
        return replace(source, merged=source.adapters, adapter=None)
    if trains := _trains_more_than_low_rank(adapter_config(Path(source.adapter), place)):
        raise InputError(
            f"--model {place}: besides low-rank matrices the adapter trains {trains}, which no engine of ours takes; merge it first with "
            "--from-adapter merge"
        )
    return source


def lora_of(options: StartOptions, source: ModelSource) -> "Lora | None":
    """The adapter that is trained: the one that goes on, or a fresh one as the options say; None for a full run.

    Raises InputError for options that the adapter which goes on does not have, and for --lora-targets that the model has not. No weights
    are read.
    """
    from rl.learning.adapters import Lora, saved_lora
    from rl.learning.starting_model import targeted_modules

    tune = options.tune
    if isinstance(tune, Full):
        return None
    if tune.quantization:
        _check_quantization(options, source, tune.quantization)
    if source.adapter is None:
        rank, targets = 16 if tune.rank is None else tune.rank, tune.targets or "all-linear"
        alpha = 2.0 * rank if tune.alpha is None else tune.alpha
        lora = Lora(
            rank,
            alpha,
            targets if targets == "all-linear" else tuple(targets.split(",")),
            bool(tune.dora),
            bool(tune.rslora),
            tune.plus or 1.0,
            tune.quantization,
        )
        if tune.targets and not isinstance(source, ModelInMemory):  # those weights are read, and the module may be of no config's
            targeted_modules(source.load_shape(), lora)
        return lora
    given = {name: value for name, value in flat_values(tune).items() if value is not None}
    saved = saved_lora(source.adapter)
    names = (saved.target_modules,) if isinstance(saved.target_modules, str) else saved.target_modules
    has = {"lora_rank": saved.rank, "lora_alpha": saved.alpha, "lora_targets": ",".join(names), "dora": saved.dora, "rslora": saved.rslora,
           "lora_plus": tune.plus, "quantization": tune.quantization}  # fmt: skip
    other = [name for name, value in given.items() if _as_set(value) != _as_set(has[name])]
    if "lora_targets" in other:  # the same modules may be said in other words, such as all-linear
        targets, shape = str(given["lora_targets"]), source.load_shape()
        wanted = replace(saved, target_modules=targets if targets == "all-linear" else tuple(targets.split(",")))
        if targeted_modules(shape, wanted) == targeted_modules(shape, source.adapter):
            other.remove("lora_targets")
    if other:
        said = " and ".join(f"{flag_of(name)} {given[name]} (it has {has[name]})" for name in other)
        raise InputError(f"--model {source.given} is an adapter, which goes on as it is, without {said}; leave that out, or merge it first "
                         "and train a fresh one with --from-adapter merge")  # fmt: skip
    return replace(saved, plus=tune.plus or 1.0, quantization=tune.quantization)


def _check_quantization(options: Any, source: ModelSource, name: "Quantization") -> None:
    """Raises InputError where a base of 4 bits cannot be, or would not be the one that is sampled from."""
    from recipes.setup.memory import samples_in_place
    from rl.saving.quantization import check_quantization_installed

    given = f"--quantization {name}"
    check_quantization_installed(name)
    if getattr(options, "policy_workers", 0):
        raise InputError(f"{given}: --policy-workers cuts weights, and packed ones are not cut; leave one of them out")
    if getattr(options, "relora_every", 0):
        raise InputError(f"{given}: --relora-every merges the adapter into the base, which 4 bits would lose; leave one of them out")
    if hasattr(options, "rounds") or hasattr(options, "policies"):
        raise InputError(f"{given}: commands of rounds sample from what a round wrote, whose base is whole; use a command of one stage")
    if isinstance(source, ModelInMemory):
        raise InputError(f"{given} would narrow this program's own model; save it and give its folder")
    if source.merged:
        raise InputError(f"{given}: the adapters under it would be merged at each start; write the model with reckon merge, and give that")
    if hasattr(options, "engine") and not samples_in_place(options):
        raise InputError(f"{given}: other engines hold the base whole, which is not the policy; use --engine hf")
    if getattr(options, "ahead", 0):
        raise InputError(f"{given}: --ahead 1 samples from a copy, and packed weights are not copied; leave one of them out")


def chat_of(options: Any, source: ModelSource) -> "tuple[Chat, int | None]":
    """The model's tokenizer as a Chat, and its context length. Raises InputError before any weights are read."""
    from rl.learning.starting_model import require_fit
    from rollout.chat import Chat

    shape = source.load_shape()
    require_fit(shape, source.adapters)
    chat = Chat(
        source.load_tokenizer(), system_prompt=options.system_prompt, prefill=getattr(options, "prefill", ""),
        use_template=options.chat_template, extra_stop_ids=source.generation_stops(),
        template_arguments=named_values(getattr(options, "template_arg", ()), "--template-arg", "enable_thinking=false"),
    )  # fmt: skip
    return chat, getattr(shape.get_text_config(), "max_position_embeddings", None)


def kept_start(run: Path) -> str | None:
    """Where a run keeps what it began with; None where that is a model of its own."""
    return next((str(run / name) for name in (START, MERGED) if (run / name).is_dir()), None)


def with_place(options: AnyOptions, source: ModelSource, *, needed: bool) -> AnyOptions:
    """What config.json says: a model of a Python program that lies on the disk too is found there again. `needed`: as `keeps_model`."""
    return replace(options, model=source.place) if needed and isinstance(source, ModelInMemory) and source.place else options  # type: ignore[type-var]


def keeps_model(source: ModelSource, *, needed: bool) -> bool:
    """Whether a run writes down the model that it begins with: it came of a merge, or it is a Python program's and stands nowhere else.

    `needed`: the run trains an adapter, which is nothing without its base, or is measured against what it began as. Asked before anything
    is learnt.
    """
    return bool(source.merged) or (needed and isinstance(source, ModelInMemory) and source.place is None)


def keep_start(run: Path, learner: "Learner", source: ModelSource, tokenizer: Any, *, needed: bool) -> None:
    """Writes what the run began with where `kept_start` finds it, before anything is learnt; and the base's place into the adapter.

    Raises InputError for a run that has learnt something already, and whose beginning is gone.
    """
    merged, keeps = run / MERGED, keeps_model(source, needed=needed)
    if keeps and not merged.exists():
        if isinstance(source, ModelInMemory) and any(run.glob("checkpoints/step-*")):  # what is in memory is what it has learnt since
            raise InputError(f"--resume {run}: the model that it began with is not kept in it ({merged} is missing); start a new run")
        write_model(merged, learner.model, tokenizer)
        if isinstance(source, ModelInMemory):
            print(f"the model that it begins with stands nowhere else, so it is kept in {merged}", file=sys.stderr)
    base = str(merged.resolve()) if keeps else source.record
    if learner.lora:
        learner.model.peft_config[learner.model.active_adapter].base_model_name_or_path = base
    if source.adapter and not (run / START).exists():
        with atomic_path(run / START) as folder:
            shutil.copytree(source.adapter, folder)
            tokenizer.save_pretrained(folder)
            settings = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
            (folder / ADAPTER).write_text(json.dumps(settings | {"base_model_name_or_path": base}, indent=2), encoding="utf-8")


def write_model(place: Path, module: Any, tokenizer: Any) -> None:
    """A model, an adapter on it left out, as `from_pretrained` reads it."""
    from rollout.engines.policy_tensors import base_model, save_model_folder

    with atomic_path(place) as folder:
        model = base_model(module)
        save_model_folder(module, folder, model.get_input_embeddings().weight.dtype, adapter=False)
        model.generation_config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def write_final(run: Path, learner: "Learner", tokenizer: Any, *, beside: Callable[[Path], None] | None = None) -> None:
    """What was learnt, where `find_model` finds it; said. `beside` writes more into its folder."""
    kept = f"all steps are done and kept; --resume {run} writes it again"
    with stage("writing the final model", kept), atomic_path(run / FINAL) as final:
        learner.save_model(final)
        tokenizer.save_pretrained(final)
        if beside:
            beside(final)
        write_final_card(final, run)  # in place of peft's, a form with blanks
    print(f"{'adapter' if learner.lora else 'model'} in {run / FINAL}", file=sys.stderr)
    if learner.lora and learner.lora.quantization:
        print("it learnt on a base of 4 bits; whoever loads it takes the base whole, which says slightly other numbers", file=sys.stderr)


def write_final_card(final: Path, run: Path) -> None:
    """README.md: the facts of `run`, of what it learnt and from what."""
    adapter = (final / ADAPTER).is_file()
    if adapter:
        base = json.loads((final / ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path")
    else:
        base = model_option(run)
    write_card(final / "README.md", name=run.resolve().name, run=run, base=base or None, adapter=adapter)


def start_bytes(learner: "Learner", source: ModelSource, *, needed: bool) -> int:
    """About what `keep_start` writes."""
    return sum(p.numel() * p.element_size() for p in learner.model.parameters()) if keeps_model(source, needed=needed) else 0


def _trains_more_than_low_rank(settings: dict[str, Any]) -> str:
    more = [name for name in ("modules_to_save", "trainable_token_indices", "lora_bias") if settings.get(name)]
    return " and ".join([*more, *(["biases"] if settings.get("bias", "none") != "none" else [])])


def _as_set(value: Any) -> Any:
    return set(value.split(",")) if isinstance(value, str) else value
