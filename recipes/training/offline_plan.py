"""What `reckon plan` says of training on what is written: every check runs, the data become masks, no weights are read."""

from typing import Any

from recipes.setup.memory import (
    STEPS_LOOKED_AT,
    Memory,
    Sampled,
    batch_of_units,
    estimate,
    layout_of,
    longest_batch,
    sampling_estimate,
    work_of,
)  # fmt: skip
from recipes.setup.problem_set import resolve_dtype
from recipes.setup.starting_point import chat_of, lora_of, start_of
from recipes.spelling.flat_options import flat_values
from recipes.training.offline_options import OfflineOptions, with_length
from recipes.training.offline_run import Method, check_restarts, computed_dtype, load_units
from recipes.training.rounds import Planned
from rl.examples.batches import unit_batches
from rl.learning.adapters import Lora
from rl.objectives.batch import Batch
from rl.objectives.objective import describe

Sections = dict[str, list[str]]


def offline_plan(options: OfflineOptions, method: Method) -> tuple[Sections, Memory]:
    """(sections of lines, memory), of options as `resolve` gives them. Raises InputError where the command would."""
    source = start_of(options)
    lora = lora_of(options, source)
    check_restarts(options, method, lora)
    chat, context = chat_of(options, source)
    taken, held_out = load_units(options, method, chat, context)
    options = with_length(options, len(taken.units))
    assert options.steps, "`with_length` says how many"
    step = options.examples_per_step * method.objective.rows_per_unit
    per_unit = sum(map(len, taken.examples)) / len(taken.units)
    shape, batches = source.load_shape(), unit_batches(taken.units, options.examples_per_step, options.seed, shuffle=options.shuffle)
    batch = longest_batch([method.batch(batches(step + 1)) for step in range(min(options.steps, STEPS_LOOKED_AT))])
    memory = _learning(options, method, shape, lora, batch)
    sections = {
        "options": [f"{key} = {value}" for key, value in flat_values(options).items() if value is not None]
        + [f"adapter = {lora or 'none: all parameters train'}"],
        "loss": describe(method.objective).splitlines(),
        "data": [*taken.lines(), f"{len(held_out):,} held out" if held_out else "nothing held out"],
        "work": [
            f"{options.steps:,} steps of {step:,} sequences, about {per_unit * options.examples_per_step:,.0f} tokens a step",
            f"the data are gone through {options.steps * options.examples_per_step / len(taken.units):.2f} times",
        ],
    }
    return sections, memory


def rounds_plan(planned: Planned) -> tuple[Sections, dict[str, Memory]]:
    """(sections of lines, memory by what takes it) of a command that samples and trains in rounds."""
    options, (training, method) = planned.options, planned.training
    source = start_of(options)
    lora, (chat, _) = lora_of(options, source), chat_of(planned.sampling, source)
    problems, completions, held_out = planned.material.problems, planned.sampling.completions_per_problem, planned.material.held_out
    length = max(len(chat.render(problem)) for problem in problems) + options.max_completion_length
    units = len(problems) * planned.most
    lengths = [with_length(training, units * (number if planned.grows else 1)) for number in (1, options.rounds)]
    step = lengths[-1].examples_per_step * method.objective.rows_per_unit
    whole = length * method.objective.rows_per_unit
    name = "pairs" if method.objective.rows_per_unit == 2 else "examples"
    steps = " to ".join(dict.fromkeys(f"{each.steps:,}" for each in lengths))
    count = len(problems) * completions
    sampled = f"{count:,} sequences, at most {count * options.max_completion_length:,} sampled tokens"
    drawn = f"{len(problems):,} problems x {completions} completion{'s' if completions > 1 else ''} = {sampled}"
    sections = {
        "options": [f"{key} = {value}" for key, value in flat_values(options).items() if value is not None]
        + [f"adapter = {lora or 'none: all parameters train'}"],
        "loss": describe(method.objective).splitlines(),
        "data": [f"{len(problems):,} problems", f"{len(held_out):,} held out" if held_out else "nothing held out"],
        "work": [
            f"{options.rounds:,} round{'s' if options.rounds > 1 else ''} of {drawn}",
            f"the first trains on at most {units:,} {name}"
            + (f", the last on {units * options.rounds:,}" if planned.grows and options.rounds > 1 else "")
            + f": {steps} steps of {step:,} sequences{'' if training.steps else ' at most'}",
        ],
    }
    shape, rows = source.load_shape(), method.objective.rows_per_unit
    learning = _learning(options, method, shape, lora, batch_of_units(lengths[-1].examples_per_step, 0, [whole // rows] * rows))
    at_once = min(planned.sampling.max_sequences, planned.sampling.problems_per_chunk * completions, count)
    sampled = Sampled(at_once, length - options.max_completion_length, length)
    sampling = sampling_estimate(shape, sampled, bf16=resolve_dtype(planned.sampling) == "bf16")
    return sections, {"sampling": sampling, "training": learning}


def _learning(options: OfflineOptions, method: Method, shape: Any, lora: Lora | None, batch: Batch) -> Memory:
    """Of the step of this batch."""
    wanted = options.layout if options.packing is None else "packed" if options.packing else "padded"
    layout = layout_of(wanted, shape, options.attention)
    scored_before = getattr(options, "reference_scores", None) is not None
    return estimate(
        shape,
        lora,
        work_of(method.objective, batch, layout, options.tokens_per_micro_batch),
        bf16=computed_dtype(options) == "bf16",
        checkpointing=options.gradient_checkpointing,
        savings=options.savings,
        wide_base=getattr(options, "relora_every", 0) > 0,  # rounds have no such option
        copy_reference=lora is None and "ref_logp" in method.objective.reads and not scored_before,
    )
