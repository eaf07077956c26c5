"""On-policy distillation: the policy learns from what a teacher thinks of the policy's own samples.

    reckon distill --model ./small --teacher ./large --data problems.jsonl
    reckon distill --model ./small --teacher runs/grpo_math --data problems.jsonl --algorithm top-k --k 64
    reckon distill --model ./small --teacher http://gpu-box:8000 --data prompts.jsonl --no-judged

The loop, data and engines of `reckon grpo-math`, with the reverse KL to the teacher in place of verdicts: every token teaches, one
completion a problem is enough, and no answers are needed. Where problems have answers they are judged all the same, so that the log says
what it is good for. A teacher reads text as the policy does: of the same family. For another: `reckon sample`, `reckon data sft`,
`reckon sft`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from recipes import grpo_math
from recipes.actors.same_tokenizer import find_other
from recipes.actors.teachers import OPTION, check_teacher, is_served
from recipes.grpo_math import load_chat, lora_of
from recipes.setup.choices import Full, Sampled, TopK
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.options import Rates, absolute
from recipes.setup.problem_mixture import load_parts, parts_of
from recipes.setup.problem_set import Given
from recipes.setup.resuming import resumed
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.learning.policy import Policy
    from rollout.chat import Chat
    from verifiers.problem import Problem
    from verifiers.verdict import Verdict

RATES = Rates(lora=1e-4, full=1e-5)
SAMPLED = Sampled()
__all__ = ["Config", "lora_of", "plan_facts", "resolve", "run", "train"]


@dataclass(frozen=True, kw_only=True)
class Config(grpo_math.Config):
    """On-policy distillation: the policy learns from what a teacher thinks of the policy's own samples."""

    teacher: str | None = None
    """Hub id or folder of a model of the same tokenizer, a run, an adapter; or the address of a vLLM server."""
    teacher_by: Literal["model", "engine"] = "model"
    """Who says what the teacher thinks: the model, beside the policy; or an engine of its own, of the kind that samples."""
    judged: bool = True
    """Problems have answers, and completions are judged, to be seen in the log; --no-judged takes prompts alone."""

    algorithm: Sampled | TopK = SAMPLED  # type: ignore[assignment]  # of distillation's own
    """The teacher's word on the sampled token alone (sampled), or on its most likely tokens at each place (top-k)."""
    completions_per_problem: int = 4
    """G: completions sampled for each problem; they are not compared with each other."""
    lr: float | None = None  # type: ignore[assignment]  # a number once it is resolved
    """Peak learning rate (AdamW); default: 1e-4 for a LoRA, 1e-5 for all parameters: the signal is dense, ten times GRPO's does."""
    run: Path = Path("runs/distill")


def run(config: Config) -> int:
    """Check, load, train. Returns the exit code."""
    return train(resolve(resumed(config)))


def train(config: Config, *, given: Given | None = None, hand_over: "Callable[[Policy, Chat], None]" = lambda policy, chat: None) -> int:
    """`run`, of resolved options."""
    if given is None and not config.judged:
        given = read_prompts(config)
    return grpo_math.train(config, given=given, hand_over=hand_over)


def resolve(config: Config) -> Config:
    """Paths made absolute. Raises InputError for what is missing, cannot be or would be ignored."""
    if not config.teacher:
        raise InputError("--teacher is missing; give a model of the same tokenizer, or a server's address (http://...)")
    if not config.judged and (config.reward or config.held_out or config.eval_data or config.eval):
        raise InputError("--no-judged takes prompts alone, so that --reward and held-out problems would be ignored; leave one of them out")
    teacher = config.teacher if is_served(config.teacher) else absolute(config.teacher)
    lr = (RATES.full if isinstance(config.tune, Full) else RATES.lora) if config.lr is None else config.lr
    return cast("Config", grpo_math.resolve(replace(config, teacher=teacher, lr=lr)))


def plan_facts(config: Config) -> Any:
    """What `reckon plan` needs to know. A teacher that is served is looked at, and takes no memory here."""
    config = resolve(config)
    check_teacher(config, load_chat(config)[0])
    facts = grpo_math.plan_facts(config, None if config.judged else read_prompts(config))
    served = config.teacher is None or is_served(config.teacher)
    return facts if served else replace(facts, teacher=find_other(str(config.teacher), OPTION).load_shape())


def read_prompts(config: Config) -> Given:
    """Problems of prompts alone, and a verdict for each completion that says only that nobody judged. Raises InputError."""
    from recipes.setup.problem_source import load_problems

    reading: dict[str, Any] = {
        "subset": config.subset, "split": config.split or "train", "limit": config.limit, "prompt_field": config.prompt_column,
        "answer_field": config.answer_column, "drop_answer_turn": config.drop_answer_turn, "answered": False,
    }  # fmt: skip
    return Given(load_parts(parts_of(config.data), lambda place: load_problems(place, **reading)), verify=_nobody)


def unjudged(problem: "Problem", response: str) -> "Verdict":
    """For every completion the same, which says only that nobody judged it."""
    from verifiers.verdict import Status, Verdict

    return Verdict(0.0, Status.NO_ANSWER, "not judged")


def _nobody(pairs: "Sequence[tuple[Problem, str]]") -> "list[Verdict]":
    return [unjudged(problem, response) for problem, response in pairs]


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="distill"))))
