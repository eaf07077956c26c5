"""R1-Zero: reinforcement learning alone, from a base model that nobody taught to answer (arXiv:2501.12948, section 2.2).

    reckon r1-zero --tiny
    reckon r1-zero --model Qwen/Qwen2.5-1.5B --data train.jsonl --eval-data test.jsonl
    the same command again                                   goes on where it was stopped

The prompt is the paper's table 1, as plain text without a chat template; the reward is a rule's: 1 for a right answer, and 1 more for a
thought and an answer between their tags. No reward model, no example. --tiny: a base of 0.3M parameters that has read sums written in all
manners (`two_languages.py`). No number of a larger run is here: none was measured on a GPU.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recipes.in_python import training as reckon
from recipes.setup.choices import HF, Full, Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.problem_source import load_problems
from recipes.stages import two_languages
from recipes.stages.chain import Chain, Stage, learnt, made, measured, numbers_of, run_chain, write_rows
from recipes.stages.figures import shares_of, write_comparison
from recipes.stages.story_options import StoryOptions, require_whole
from recipes.stages.sums_on_pages import write_random_model
from verifiers.problem import Problem
from verifiers.rewards.problem_file import write_problems

TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant first thinks "
    "about the reasoning process in the mind and then provides the user with the answer. The reasoning process and answer are enclosed "
    "within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> reasoning process here </think> <answer> answer "
    "here </answer>. User: {prompt}. Assistant:"
)
"""Table 1 of the paper."""
ACCURACY_AND_FORMAT = ("math_answer", "response_format")


@dataclass(frozen=True, kw_only=True)
class Config(StoryOptions):
    """R1-Zero: GRPO from a base model by accuracy and format alone, with the paper's template."""

    steps: int = 200
    """Steps of GRPO."""
    problems_per_step: int = 32
    """P: problems in a step."""
    completions_per_problem: int = 16
    """G: completions sampled for each problem."""
    run: Path = Path("runs/r1_zero")


def run(config: Config) -> int:
    """Every stage that is not done, and the RESULT line. Returns the exit code."""
    return run_chain(require_whole(config), stages(config), result=_result)


def stages(config: Config) -> tuple[Stage, ...]:
    """The chain."""
    return (
        Stage("problems", "problems in the paper's template, and those that are held out", write_templated),
        *((Stage("base", "a tiny base model reads sums in all manners", learn_base),) if config.tiny else ()),
        Stage("before", "what the base answers", _before),
        Stage("rl", "GRPO by accuracy and format", _rl),
        Stage("compare", "before and after: table and picture", _compare),
    )


# --- what R1 does in the same way -------------------------------------------------------------------------------------------------


def speaking(config: Any) -> dict[str, Any]:
    """How the policy is spoken to: the prompt as it stands, which is the template."""
    plain: dict[str, Any] = {"system_prompt": "", "chat_template": False}
    if config.tiny:
        return plain | {"max_completion_length": two_languages.MAX_TOKENS, "max_sequences": 1024, "engine": HF()}
    return plain | {"max_completion_length": config.max_completion_length, "engine": config.engine}


def online(config: Any, *, tiny_steps: int = 20, tiny_lr: float = 3e-4) -> dict[str, Any]:
    """Sizes of a reinforcement learning stage."""
    shared: dict[str, Any] = {"seed": config.seed, "tune": Full() if config.tiny else Lora(), **speaking(config)}
    if config.tiny:
        sizes = {"steps": tiny_steps, "problems_per_step": 32, "completions_per_problem": 16}
        return shared | sizes | {"lr": tiny_lr, "max_grad_norm": 0.3, "warmup": 2}
    names = ("steps", "problems_per_step", "completions_per_problem")
    return shared | {name: getattr(config, name) for name in names}


def file(chain: Chain, name: str) -> str:
    """`train` or `held_out`, problems in the template."""
    return str(chain.place("problems") / f"{name}.jsonl")


def base_of(config: Any, chain: Chain) -> str:
    """The base model."""
    return str(chain.place("base") / "run") if config.tiny else config.model


def write_templated(config: Any, chain: Chain) -> dict[str, Any]:
    """The stage `problems`."""
    if config.tiny:
        train, held_out = two_languages.problems_of(config.seed)
        train = train[: config.limit or 900]
    else:
        held_out = load_problems(config.eval_data)
        known = {str(problem.prompt) for problem in held_out}
        train = [problem for problem in load_problems(config.data, limit=config.limit) if str(problem.prompt) not in known]
    for name, problems in (("train", train), ("held_out", held_out)):
        write_problems(Path(file(chain, name)), templated(problems))
    return {"train": len(train), "held_out": len(held_out)}


def templated(problems: Iterable[Problem]) -> list[Problem]:
    """The same problems, asked for by the template."""
    return [replace(problem, prompt=TEMPLATE.format(prompt=problem.prompt), meta={}) for problem in problems]


def learn_base(config: Any, chain: Chain) -> dict[str, Any]:
    """The stage `base`: in the place of pre-training."""
    place = chain.place("base")
    head, _, tail = TEMPLATE.partition("{prompt}")
    tokenizer = two_languages.make_tokenizer(head, tail)
    model = made(place / "random", lambda folder: write_random_model(folder, config.seed, tokenizer=tokenizer))
    problems, _ = two_languages.problems_of(config.seed)
    texts = made(place / "texts.jsonl", lambda path: write_rows(path, two_languages.base_rows(problems, TEMPLATE, config.seed)))
    sizes = {"steps": 280, "examples_per_step": 64, "lr": 4e-3, "warmup": 40}
    learnt(place / "run", reckon.sft, model=model, data=texts, tune=Full(), chat_template=False, seed=config.seed, **sizes)
    return {"texts": len(problems)}


def judged(config: Any, chain: Chain, place: Path, model: str, *, language: str = "") -> dict[str, Any]:
    """Greedy accuracy on what is held out, the share that keeps to the format, and, where asked, of words in the language."""
    found = measured(place / "evaluation", model=model, problems=file(chain, "held_out"), seed=config.seed, **speaking(config))
    rewards = {"format": "response_format", **({"language": language} if language else {})}
    return {**numbers_of(found), **shares_of(place / "evaluation", rewards)}


# --- R1-Zero's own ----------------------------------------------------------------------------------------------------------------


def _before(config: Config, chain: Chain) -> dict[str, Any]:
    return judged(config, chain, chain.place("before"), base_of(config, chain))


def _rl(config: Config, chain: Chain) -> dict[str, Any]:
    place = chain.place("rl")
    learnt(
        place / "run",
        reckon.grpo,
        model=base_of(config, chain),
        problems=file(chain, "train"),
        reward=ACCURACY_AND_FORMAT,
        **online(config),
    )
    return judged(config, chain, place, str(place / "run"))


def _compare(config: Config, chain: Chain) -> dict[str, Any]:
    rows = {"base": chain.numbers("before"), "R1-Zero": chain.numbers("rl")}
    write_comparison(rows, chain.place("compare"), columns=("format",))
    return {name: row["accuracy"] for name, row in rows.items()}


def _result(chain: Chain) -> dict[str, Any]:
    before, after = chain.numbers("before"), chain.numbers("rl")
    return {
        "before": before["accuracy"], "after": after["accuracy"], "ci95": [after["low"], after["high"]],
        "format": [before["format"], after["format"]],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="r1-zero"))))
