"""What `reckon plan` says of training on what is written: every check runs, the data become masks, no weights are read."""

from recipes.setup.memory import Memory, estimate
from recipes.setup.starting_point import chat_of, lora_of, start_of
from recipes.spelling.flat_options import flat_values
from recipes.training.offline_options import OfflineOptions, with_length
from recipes.training.offline_run import Method, computed_dtype, load_units
from rl.objectives.objective import describe


def offline_plan(options: OfflineOptions, method: Method) -> tuple[dict[str, list[str]], Memory]:
    """(sections of lines, memory), of options as `resolve` gives them. Raises InputError where the command would."""
    source = start_of(options)
    lora = lora_of(options, source)
    chat, context = chat_of(options, source)
    taken, held_out = load_units(options, method, chat, context)
    options = with_length(options, len(taken.units))
    assert options.steps, "`with_length` says how many"
    step = options.examples_per_step * method.objective.rows_per_unit
    longest = max(sum(map(len, unit)) for unit in taken.units)
    per_unit = sum(map(len, taken.examples)) / len(taken.units)
    memory = estimate(
        source.load_shape(),
        lora,
        bf16=computed_dtype(options) == "bf16",
        checkpointing=options.gradient_checkpointing,
        micro_batch=max(longest, min(options.tokens_per_micro_batch, round(per_unit * options.examples_per_step))),
        copy_reference=lora is None and "ref_logp" in method.objective.reads,
        sequences=0,
        length=0,
    )
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
