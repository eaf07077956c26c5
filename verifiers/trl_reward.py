"""Our verifiers in TRL: `GRPOTrainer(reward_funcs=[trl_reward("math_answer")])`.

The other direction (TRL's reward functions in our training) is `load_reward.load`. TRL itself is not imported here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.rewards.load_reward import compose_rewards, functions_in
from verifiers.rewards.problem_file import row_reader
from verifiers.rewards.reward_kinds import as_verifier
from verifiers.rewards.reward_text import short_name
from verifiers.verdict import Reward, Verdict, Verifier, bad_gold
from verifiers.worker_pool.verifier_pool import VerifierPool

# What TRL hands a reward function besides the columns of the data set.
_NOT_COLUMNS = frozenset({"completion_ids", "trainer_state", "environments", "log_extra", "log_metric"})


def trl_reward(
    verifier: Reward | str, *, answer_column: str = "answer", workers: int = 2, deadline: float = 10.0
) -> Callable[..., list[float | None]]:
    """A TRL reward function that gives our verifier's scores, and None (TRL's "leave it out") where there is no verdict.

    A name (see `load_reward.load`) runs in `workers` processes with a deadline in seconds for each verdict, which end with
    this process; a function runs here, in TRL's thread, without one, and returns what a reward may: float, bool, Verdict, or None for
    "no verdict". The gold answer is the data set's `answer_column`, read as
    `problem_file.py` reads it: what follows the last ####, or stands in the last box, or all of it; a row without one has no
    verdict. The other columns are the problem's `meta`. The share of completions without a verdict is logged as `NAME/no_verdict`.

    Raises InputError for a name or a parameter that none of our verifiers has; the function does if the answer column is missing or
    holds what is no answer (a list), or code that is named cannot be loaded.
    """
    judge: Callable[[Sequence[tuple[Problem, str]]], list[Verdict]]
    if isinstance(verifier, str):
        spec, name = verifier, short_name(verifier)
        if not any(":" in name for name in functions_in(spec)):  # code of the user's is loaded by the workers alone
            compose_rewards([spec])
        judge = VerifierPool([spec], workers=workers, deadline=deadline).verify_many
    else:
        spec = name = _function_name(verifier)
        judge = partial(_verify_here, as_verifier(verifier, name))
    # The prompt is TRL's business; of a row only the answer is read.
    read = row_reader(verifier=spec, prompt_field="prompt", answer_field="answer")

    def reward(completions: Sequence[Any], prompts: Sequence[Any] | None = None, **columns: Any) -> list[float | None]:
        if answer_column not in columns:
            has = ", ".join(sorted(columns.keys() - _NOT_COLUMNS)) or "none"
            raise InputError(f"the data set has no column {answer_column!r} (it has {has}); name the gold answer's with answer_column")
        asked = prompts if prompts is not None else [""] * len(completions)
        items: list[tuple[Problem, str] | Verdict] = []
        for completion, prompt, row in zip(completions, asked, _rows_of(columns, len(completions)), strict=True):
            gold = read({"prompt": "?", "answer": row.pop(answer_column)})
            if isinstance(gold, str):
                items.append(bad_gold(f"the column {answer_column!r} has no gold answer here: {gold}"))
            else:
                items.append((make_problem(_text_prompt(prompt), gold.answer, verifier=spec, meta=row), _completion_text(completion)))
        found = iter(judge([item for item in items if not isinstance(item, Verdict)]))
        verdicts = [item if isinstance(item, Verdict) else next(found) for item in items]
        log_metric = columns.get("log_metric")
        if log_metric is not None and verdicts:
            log_metric(f"{name}/no_verdict", sum(not verdict.valid for verdict in verdicts) / len(verdicts))
        return [verdict.score for verdict in verdicts]

    reward.__name__ = reward.__qualname__ = name
    return reward


def _function_name(verifier: Reward) -> str:
    """A function's name; of our own verifiers, which are all called `verify`, the module's."""
    name = getattr(verifier, "__name__", type(verifier).__name__)
    return verifier.__module__.rpartition(".")[2] if name == "verify" and verifier.__module__.startswith("verifiers.") else name


def _verify_here(verifier: Verifier, items: Sequence[tuple[Problem, str]]) -> list[Verdict]:
    return [verifier(problem, response) for problem, response in items]


def _rows_of(columns: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    names = [name for name in columns if name not in _NOT_COLUMNS]
    return [{name: columns[name][n] for name in names} for n in range(count)]


def _text_prompt(prompt: Any) -> Any:
    """TRL's prompt, with the contents of its messages as text."""
    return prompt if isinstance(prompt, str) else [{**message, "content": _message_text(message)} for message in prompt]


def _completion_text(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """What the policy said: of a conversation with tool calls, the last message; of an empty one, nothing."""
    return completion if isinstance(completion, str) else _message_text(completion[-1]) if completion else ""


def _message_text(message: Mapping[str, Any]) -> str:
    """A message's text. Content may be None (a tool call) or parts, of which those of text count."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))
