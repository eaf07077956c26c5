"""`reckon plan RECIPE [its options]`: what the recipe would do, without doing it.

Prints the resolved options, the loss as formulas, tokens and optimiser steps, and an estimate of the memory. All of the
recipe's checks on options, data, prompts and rewards run; no weights are read.
"""

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recipes.setup.choices import MovingAverage, Renewed
from recipes.setup.command_line import parse_options
from recipes.setup.options import Options, with_length
from recipes.spelling.flat_options import flat_values
from recipes.spelling.result_line import tell_result
from rollout.progress import watched
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch and transformers: only where there is something to plan
    from recipes.setup.memory import Facts, Memory
    from rl.objectives.algorithms import Algorithm

_NAMES = ("sft", "dpo", "orpo", "kto", "reward-model")
OFFLINE = {name: f"recipes.training.{name.replace('-', '_')}" for name in _NAMES}  # `prepared(config) -> (config, method)`
RECIPES = {
    "quickstart": "recipes.quickstart",
    "grpo-math": "recipes.grpo_math",
    "ppo": "recipes.ppo_math",
    "grpo-tools": "recipes.grpo_tools",
    "distill": "recipes.policies.distill",
    "warp": "recipes.policies.warp",
    "iterate": "recipes.iterative_grpo",
}
"""`plan_facts(config) -> Facts`; of those in rounds also `plan_rounds(config, facts) -> (sections of lines, memory by what takes it)`."""
_ALWAYS = ("weights", "gradients", "optimizer", "reference", "activations", "kv_cache")
"""Rows that are there where something trains, be they 0."""
ROUNDS = {name: f"recipes.training.{name}" for name in ("rft", "spin")}  # `planned(config) -> Planned`


def command_names() -> list[str]:
    return [*RECIPES, *OFFLINE, *ROUNDS]


def command(arguments: Sequence[str]) -> int:
    """The command line. Returns the exit code; raises InputError for an unknown recipe."""
    known = RECIPES | OFFLINE | ROUNDS
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"reckon plan RECIPE [its options], where RECIPE is one of {', '.join(known)}\n\n{(__doc__ or '').strip()}")
        return 0
    name = arguments[0].replace("_", "-")
    if name not in known:
        raise InputError(f"there is no recipe {arguments[0]!r} to plan; there are {', '.join(known)}")
    module = importlib.import_module(known[name])
    config = parse_options(module.Config, arguments[1:], name=name)
    if name in OFFLINE:
        from recipes.training.offline_plan import offline_plan

        with watched("checking the options and the data"):
            sections, memory = offline_plan(*module.prepared(config))
        _show(sections, {"memory": memory})
        return 0
    if name in ROUNDS:
        from recipes.training.offline_plan import rounds_plan

        with watched("checking the options, the data and the rewards"):
            sections, parts = rounds_plan(module.planned(config))
        _show(sections, {f"memory of {part}": memory for part, memory in parts.items()})
        return 0
    with watched("checking the options, the data and the rewards"):
        config = module.resolve(config) if hasattr(module, "resolve") else config
        facts = module.plan_facts(config)
    config = with_length(config, facts.problems)
    more, parts = module.plan_rounds(config, facts) if hasattr(module, "plan_rounds") else ({}, {})
    sections, memory = plan(config, facts)
    _show(sections | more, memory | {f"memory of {part}": each for part, each in parts.items()})
    return 0


def _show(sections: Mapping[str, Sequence[str]], memory: "Mapping[str, Memory]") -> None:
    """The plan as text; for programs the same lines, and the memory in bytes."""
    told = {f"{name} (estimate)": _memory_lines(each) for name, each in memory.items()}
    print(_as_text({**sections, **told}))
    in_bytes = {name: {**dataclasses.asdict(each), "peak": each.peak} for name, each in memory.items()}
    tell_result({**{name: list(lines) for name, lines in sections.items()}, **in_bytes}, only_json=True)


def plan(config: Options, facts: "Facts") -> "tuple[dict[str, list[str]], dict[str, Memory]]":
    """(sections of lines, memory by whose it is) of an online recipe."""
    from recipes.setup.memory import of_worker
    from recipes.setup.online import algorithm_of
    from rl.objectives.algorithms import describe_algorithm

    algorithm = algorithm_of(config)
    completions = config.problems_per_step * config.completions_per_problem
    memory = _online_memory(config, facts, algorithm)
    updates = config.updates_per_rollout * config.epochs_per_rollout
    epochs = config.steps * config.problems_per_step / facts.problems
    options = flat_values(config) | {"dtype": facts.dtype, "adapter": facts.lora or "none: all parameters train"}
    sections = {
        "options": [f"{key} = {value}" for key, value in options.items() if value is not None],
        "loss": describe_algorithm(algorithm).splitlines(),
        "work": [
            f"{config.problems_per_step} problems x {config.completions_per_problem} completions = {completions:,} sequences a step",
            f"at most {completions * config.max_completion_length:,} sampled tokens a step, prompts of up to {facts.longest_prompt} tokens",
            f"{config.steps:,} steps x {updates} = {config.steps * updates:,} optimiser steps",
            f"{facts.problems:,} problems, each seen {epochs:.2f} times{' or more (dynamic sampling)' if algorithm.max_refills else ''}",
        ],
    }
    parts = {"memory": memory}
    if count := config.policy_workers:
        parts["memory of each policy worker"] = of_worker(memory, count)
    return sections, parts


def _online_memory(config: Options, facts: "Facts", algorithm: "Algorithm") -> "Memory":
    from recipes.setup.memory import Sampled, estimate, layout_of, online_batch, parameters, samples_in_place, work_of
    from recipes.setup.online import critic_of

    reads = {*algorithm.reads, *algorithm.objective.reads}
    work = work_of(
        algorithm.objective,
        online_batch(config, facts),
        layout_of(config.layout, facts.shape, facts.attention),
        config.tokens_per_micro_batch,
        scores=bool(reads) or config.updates_per_rollout * config.epochs_per_rollout > 1,
        top=getattr(config.algorithm, "k", 0) if "top_logp" in algorithm.objective.terms else 0,
    )
    at_once = max(config.problems_per_step * config.completions_per_problem, facts.held_out)
    memory = estimate(
        facts.shape,
        facts.lora,
        work,
        bf16=facts.dtype == "bf16",
        checkpointing=facts.gradient_checkpointing,
        critic=critic_of(config),
        savings=config.savings,
        copy_reference=algorithm.needs_reference
        and (facts.lora is None or isinstance(config.kl and config.kl.reference, MovingAverage | Renewed)),
        sampled=Sampled(
            min(facts.max_sequences, at_once),
            facts.longest_prompt,
            facts.longest_prompt + config.max_completion_length,
            merges=samples_in_place(config),
        ),
    )
    if facts.teacher is None:
        return memory
    return dataclasses.replace(memory, teacher=parameters(facts.teacher, None)[0] * (2 if facts.dtype == "bf16" else 4))


def _as_text(sections: Mapping[str, Sequence[str]]) -> str:
    return "\n\n".join("\n".join([title, *("  " + line for line in lines)]) for title, lines in sections.items())


def _memory_lines(memory: "Memory") -> list[str]:
    names = [field.name for field in dataclasses.fields(memory) if field.name != "note"]
    kept = [name for name in names if getattr(memory, name) or (memory.optimizer and name in _ALWAYS)]
    rows = [(name.replace("_", " "), getattr(memory, name)) for name in kept] + [("peak", memory.peak)]
    width = max(12, *(len(name) for name, _ in rows))
    return [f"{name:{width}} {_format_size(value):>10}" for name, value in rows] + ([memory.note] if memory.note else [])


def _format_size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**28 else f"{count / 2**20:.1f} MiB"
