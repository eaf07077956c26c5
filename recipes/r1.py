"""R1: a cold start, reinforcement learning, its best answers as data, and again; then a smaller student (arXiv:2501.12948, sections 2.3,
2.4).

    reckon r1 --tiny
    reckon r1 --model Qwen/Qwen2.5-1.5B --cold-start traces.jsonl --data train.jsonl --eval-data test.jsonl --student Qwen/Qwen2.5-0.5B
    the same command again                                   goes on where it was stopped

    base -> SFT on a few written thoughts -> GRPO by accuracy, format and language -> its right answers, sampled
         -> SFT of the base on them, two epochs -> GRPO again -> samples of that teach the student, by SFT alone

The prompt is R1-Zero's throughout. What the paper has besides and this has not: preference rewards for prompts that are no reasoning. Of
other data than reasoning the second SFT takes --general. --tiny: the base, problems and two languages of `two_languages.py`. No
number of a larger run is here: none was measured on a GPU.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes import r1_zero
from recipes.in_python import training as reckon
from recipes.selection.data_command import SftConfig
from recipes.selection.data_command import run as select
from recipes.setup.choices import Full, Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.problem_source import load_rows
from recipes.stages import two_languages
from recipes.stages.chain import Chain, Stage, learnt, made, run_chain, sampled, write_rows
from recipes.stages.figures import write_comparison
from recipes.stages.story_options import StoryOptions, require_whole
from recipes.stages.sums_on_pages import write_random_model
from verifiers.input_error import InputError, missing_place

COLD_START = 300
"""Written thoughts that the tiny base learns from first."""
METHODS = {
    "base": "base-before", "cold start": "cold-start", "reasoning RL": "reasoning-rl", "SFT of the base": "sft", "R1": "final-rl",
    "student": "distil",
}  # fmt: skip
"""What is compared -> the stage that made it."""


@dataclass(frozen=True, kw_only=True)
class Config(StoryOptions):
    """R1: cold-start SFT, GRPO with language consistency, rejection sampling, SFT of the base, GRPO; then a distilled student."""

    cold_start: str = ""
    """Written thoughts: rows of a problem and a response with <think> and <answer> (`prompt`, `completion`)."""
    general: str = ""
    """Other rows (`prompt`, `completion`) for the second SFT, such as writing and questions of fact."""
    student: str = ""
    """Hub id or folder of the smaller model that learns from R1's samples; none: no such stage."""
    target: str = "prompt"
    """Language of the thoughts: that of the prompt, or a code such as en."""
    language_weight: float = 1.0
    """Weight of the language's reward beside accuracy and format."""
    samples: int = 8
    """Completions of each problem that rejection sampling and the student's data are made of."""
    steps: int = 200
    """Steps of each GRPO."""
    problems_per_step: int = 32
    """P: problems in a step."""
    completions_per_problem: int = 16
    """G: completions sampled for each problem."""
    run: Path = Path("runs/r1")


def run(config: Config) -> int:
    """Every stage that is not done, and the RESULT line. Returns the exit code."""
    return run_chain(resolve(config), stages(config), result=_result)


def resolve(config: Config) -> Config:
    """Raises InputError for what is missing, cannot be or would be ignored."""
    given = [name for name in ("cold_start", "general", "student") if getattr(config, name)]
    if config.tiny and given:
        raise InputError(f"--{given[0].replace('_', '-')} would be ignored with --tiny; leave one of them out")
    if not config.tiny and not config.cold_start:
        raise InputError("--cold-start missing: rows of a prompt and a thought with its answer; or give --tiny")
    for name in given:
        if (missing := missing_place(getattr(config, name))) is not None:
            raise InputError(f"--{name.replace('_', '-')}: {missing}")
    return require_whole(config)


def stages(config: Config) -> tuple[Stage, ...]:
    """The chain."""
    return (
        Stage("problems", "problems in R1-Zero's template, and those that are held out", r1_zero.write_templated),
        *((Stage("base", "a tiny base model reads sums in all manners", r1_zero.learn_base),) if config.tiny else ()),
        Stage("base-before", "what the base answers", _before),
        Stage("cold-start", "the base learns a few written thoughts", _cold_start),
        Stage("reasoning-rl", "GRPO by accuracy, format and language", _reasoning_rl),
        Stage("rejection-sampling", "right answers in the format and the language, out of many samples", _rejection_sampling),
        Stage("sft", "the base learns them, two epochs", _sft),
        Stage("final-rl", "GRPO again", _final_rl),
        *((Stage("distil", "R1's samples teach a smaller student", _distil),) if config.tiny or config.student else ()),
        Stage("compare", "all of them on the held-out problems: table and picture", _compare),
    )


# --- what stages share ------------------------------------------------------------------------------------------------------------


def _language(config: Config) -> str:
    return f"language(target={'en' if config.tiny else config.target})"


def _judged(config: Config, chain: Chain, name: str, model: str = "") -> dict[str, Any]:
    place = chain.place(name)
    return r1_zero.judged(config, chain, place, model or str(place / "run"), language=_language(config))


def _written(config: Config, **tiny: Any) -> dict[str, Any]:
    shared = {"seed": config.seed, "tune": Full() if config.tiny else Lora(), "chat_template": False}
    return shared | (tiny if config.tiny else {})


def _rl(config: Config, chain: Chain, name: str, model: str) -> dict[str, Any]:
    rewards = (*r1_zero.ACCURACY_AND_FORMAT, f"{_language(config)}={config.language_weight}")
    problems = r1_zero.file(chain, "train")
    learnt(chain.place(name) / "run", reckon.grpo, model=model, problems=problems, reward=rewards, **r1_zero.online(config, tiny_lr=1e-4))
    return _judged(config, chain, name)


def _right_samples(config: Config, chain: Chain, place: Path, model: str, seed: int) -> str:
    """Samples that are right, in the format and in the language, each solution once: rows for SFT."""
    all_three = (f"gate(response_format, gate({_language(config)}, math_answer))",)
    sampled(
        place / "samples", model=model, problems=r1_zero.file(chain, "train"), reward=all_three, seed=seed,
        completions_per_problem=4 if config.tiny else config.samples, **r1_zero.speaking(config),
    )  # fmt: skip
    return made(place / "right.jsonl", lambda path: select(SftConfig(stores=(str(place / "samples"),), out=path, seed=config.seed)))


# --- the stages -------------------------------------------------------------------------------------------------------------------


def _before(config: Config, chain: Chain) -> dict[str, Any]:
    return _judged(config, chain, "base-before", r1_zero.base_of(config, chain))


def _cold_start(config: Config, chain: Chain) -> dict[str, Any]:
    place = chain.place("cold-start")
    rows = made(place / "thoughts.jsonl", lambda path: write_rows(path, _thoughts(config)))
    sizes = _written(config, lr=3e-4, epochs=2.0, examples_per_step=32)
    learnt(place / "run", reckon.sft, model=r1_zero.base_of(config, chain), data=rows, **sizes)
    return _judged(config, chain, "cold-start")


def _thoughts(config: Config) -> list[dict[str, str]]:
    if config.tiny:
        problems, _ = two_languages.problems_of(config.seed)
        found = [(problem.prompt, two_languages.worked(problem)) for problem in problems[-COLD_START:]]
    else:
        found = [(row.get("prompt"), row.get("completion")) for _, row in load_rows(config.cold_start)]
    return [{"prompt": r1_zero.TEMPLATE.format(prompt=prompt), "completion": str(said)} for prompt, said in found if prompt and said]


def _reasoning_rl(config: Config, chain: Chain) -> dict[str, Any]:
    return _rl(config, chain, "reasoning-rl", str(chain.place("cold-start") / "run"))


def _rejection_sampling(config: Config, chain: Chain) -> dict[str, Any]:
    place = chain.place("rejection-sampling")
    right = _right_samples(config, chain, place, str(chain.place("reasoning-rl") / "run"), config.seed)
    kept = Path(right).read_text(encoding="utf-8").splitlines()
    general = [_prompt_and_completion(row) for _, row in load_rows(config.general)] if config.general else []
    rows = [*(_prompt_and_completion(json.loads(line)) for line in kept), *general]
    made(place / "rows.jsonl", lambda path: write_rows(path, rows))
    return {"right": len(kept), "general": len(general)}


def _prompt_and_completion(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("prompt", "completion")}


def _sft(config: Config, chain: Chain) -> dict[str, Any]:
    place, data = chain.place("sft"), str(chain.place("rejection-sampling") / "rows.jsonl")
    how = _written(config, lr=3e-4, examples_per_step=32)
    learnt(place / "run", reckon.sft, model=r1_zero.base_of(config, chain), data=data, epochs=2.0, **how)
    return _judged(config, chain, "sft")


def _final_rl(config: Config, chain: Chain) -> dict[str, Any]:
    return _rl(config, chain, "final-rl", str(chain.place("sft") / "run"))


def _distil(config: Config, chain: Chain) -> dict[str, Any]:
    place, student = chain.place("distil"), config.student
    data = _right_samples(config, chain, place, str(chain.place("final-rl") / "run"), config.seed + 1)
    if config.tiny:  # a third of the teacher's parameters, at random
        head, _, tail = r1_zero.TEMPLATE.partition("{prompt}")
        tokenizer = two_languages.make_tokenizer(head, tail)
        student = made(place / "random", lambda folder: write_random_model(folder, config.seed, tokenizer=tokenizer, hidden=64))
    sizes = {"epochs": 8.0} if config.tiny else {"epochs": 2.0}
    learnt(place / "run", reckon.sft, model=student, data=data, **_written(config, lr=3e-3, examples_per_step=64), **sizes)
    return _judged(config, chain, "distil")


def _rows(chain: Chain) -> dict[str, Any]:
    return {method: chain.numbers(stage) for method, stage in METHODS.items() if stage in chain.names}


def _compare(config: Config, chain: Chain) -> dict[str, Any]:
    rows = _rows(chain)
    write_comparison(rows, chain.place("compare"), columns=("format", "language"))
    return {name: row["accuracy"] for name, row in rows.items()}


def _result(chain: Chain) -> dict[str, Any]:
    rows = _rows(chain)
    before, after = rows["base"], rows["R1"]
    return {
        "before": before["accuracy"], "after": after["accuracy"], "ci95": [after["low"], after["high"]],
        "held_out": {name: [row["accuracy"], row["low"], row["high"]] for name, row in rows.items()},
        **{what: {name: row[what] for name, row in rows.items()} for what in ("format", "language")},
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="r1"))))
