"""The reward models that the rewards name, held in this process or by a server, and a verifier pool that is told what they say.

    pool = reward_models(options).around(VerifierPool(...))

Each is loaded once, beside the policy, and scores a whole batch of responses before the pool's workers give verdicts; a worker reads
what was said in the problem's `meta` (`verifiers/rewards/reward_model.py`), so that sums, gates and minima are the pool's as ever.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from recipes.setup.command_line import named_values
from recipes.setup.model_source import find_model
from rollout.progress import watched
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.load_reward import rewards_in
from verifiers.rewards.reward_model import SCORES, key_of, said, unsaid
from verifiers.rewards.reward_model import verify as read_score
from verifiers.rewards.reward_text import Spec, settable
from verifiers.verdict import Status, Verdict

if TYPE_CHECKING:
    from rl.examples.text_judge import TextJudge
    from verifiers.worker_pool.verifier_pool import VerifierPool

NAME = "reward_model"
Pairs = Sequence[tuple[Problem, str]]


class Scorer(Protocol):
    """Who says what responses are worth."""

    def score(self, pairs: Pairs) -> list[dict[str, Any]]:
        """Of each pair what its problem's `meta` is to hold."""


@dataclass(frozen=True)
class Held:
    """A reward model in this process."""

    judge: "TextJudge"
    probability: bool
    """Whether its number means σ of itself: it learnt from labels, not from pairs."""

    def score(self, pairs: Pairs) -> list[dict[str, Any]]:
        found = self.judge.judge([(problem.prompt, response) for problem, response in pairs])
        return [
            unsaid(Status.CRASH, each.trouble) if each.trouble else said(each.scores, ends=each.ends, probability=self.probability)
            for each in found
        ]


class ScoredPool:
    """A verifier pool whose problems bring what the reward models say of their responses."""

    def __init__(self, pool: "VerifierPool", scorers: Mapping[str, Scorer]):
        self.pool, self.scorers = pool, scorers

    def __enter__(self) -> "ScoredPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.pool.close()

    def take_figures(self) -> dict[str, float]:
        """As `VerifierPool.take_figures`."""
        return self.pool.take_figures()

    def verify_many(self, items: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        """As `VerifierPool.verify_many`. All items are there before any is scored, so that batches are the same from life to life."""
        return self.pool.verify_many(self._told(list(items)))

    def _told(self, pairs: Pairs) -> Iterator[tuple[Problem, str]]:
        found = {key: scorer.score(pairs) for key, scorer in self.scorers.items()}
        for place, (problem, response) in enumerate(pairs):
            yield replace(problem, meta={**problem.meta, SCORES: {key: each[place] for key, each in found.items()}}), response


@dataclass(frozen=True)
class RewardModels:
    """Those that some rewards name, by what tells their scores apart."""

    scorers: Mapping[str, Scorer]

    @property
    def score_steps(self) -> bool:
        """Whether any of them says something of an answer's steps."""
        return any(isinstance(scorer, Held) and scorer.judge.split is not None for scorer in self.scorers.values())

    def around(self, pool: "VerifierPool") -> "VerifierPool":
        """The pool, told what they say; as it is where there are none."""
        return ScoredPool(pool, self.scorers) if self.scorers else pool  # type: ignore[return-value]  # all that its users use of it


def reward_models(options: Any, rewards: Iterable[str]) -> RewardModels:
    """Finds and loads the models that `rewards` name. Raises InputError, in one line and before any weights are read, for one that is none.

    `options`: how prompts are written (`system_prompt`, `chat_template`, `template_arg`), where they say so, as for the policy.
    """
    asked = {key_of(model, split): (model, split, timeout) for model, split, timeout in _asked(rewards)}
    found = {key: _find(options, *each) for key, each in asked.items()}  # all of them, before the first is loaded
    return RewardModels({key: load() for key, load in found.items()})


def names_model(rewards: Iterable[str]) -> bool:
    """Whether any of the rewards is a reward model."""
    return bool(_asked(rewards))


def _asked(rewards: Iterable[str]) -> list[tuple[str, str, float]]:
    """(model, split, timeout) of each."""
    found: dict[tuple[str, str, float], None] = {}
    for text in rewards:
        try:
            specs = [spec for spec in rewards_in(text) if spec.name == NAME]
        except InputError:  # loading it says what is wrong
            continue
        for model, *more in map(_settings, specs):
            if model:  # loading one that names none says so
                found[model, *more] = None  # type: ignore[index]
    return list(found)


def _settings(spec: Spec) -> tuple[str, str, float]:
    given = {name: value.strip("\"'") for name, value in spec.parameters}
    defaults = {name: default for name, (_, default) in settable(read_score).items()}
    try:
        timeout = float(given.get("timeout", defaults["timeout"]))
    except ValueError:
        timeout = math.nan  # loading it says what is wrong
    return given.get("model", ""), given.get("split", defaults["split"]), timeout


def _find(options: Any, model: str, split: str, timeout: float) -> Any:
    """What makes the scorer, once all that can be wrong with it but its weights is seen not to be. Raises InputError."""
    if model.startswith(("http://", "https://")):
        from verifiers.rewards.reward_endpoint import Endpoint

        endpoint = Endpoint(model, timeout=timeout, system_prompt=getattr(options, "system_prompt", ""))
        endpoint.check()
        return lambda: endpoint
    from rl.learning.model_loading import is_classifier
    from rl.learning.value_heads import head_facts, load_value_head
    from rollout.chat import Chat
    from verifiers.steps.step_text import splitter

    try:
        source = find_model(model)
    except InputError as error:
        raise InputError(str(error).replace("--model ", f"{NAME} ", 1).replace("--model: ", f"{NAME}: ", 1)) from error
    weight = load_value_head(source.stages)
    if weight is None:
        raise InputError(
            f"{NAME}({model}): it has no value head (value_head.safetensors, or score.weight of a sequence classifier), so it gives no "
            "reward; train one with reckon reward-model"
        )
    kind = head_facts(source.stages).get("kind", "outcome-pairs")
    shape, tokenizer = source.load_shape().get_text_config(), source.load_tokenizer()
    if weight.shape[1] != shape.hidden_size:
        raise InputError(f"{NAME}({model}): its value head is {weight.shape[1]} wide, the model {shape.hidden_size}; restore it")
    if (last := max(tokenizer.get_vocab().values())) >= shape.vocab_size:
        raise InputError(
            f"{NAME}({model}): its tokenizer is another model's: it has the token {last}, and the model {shape.vocab_size} tokens; put the "
            "model's own beside it"
        )
    chat = Chat(
        tokenizer, system_prompt=getattr(options, "system_prompt", ""), use_template=getattr(options, "chat_template", True),
        extra_stop_ids=source.generation_stops(), template_arguments=_template_arguments(options, tokenizer),
    )  # fmt: skip
    how: dict[str, Any] = {
        "split": splitter(split) if kind == "process" else None,
        "whole_template": not source.adapters and is_classifier(source.base),
    }
    return partial(_load, source, weight, chat, probability=kind in ("outcome", "process"), **how)


def _template_arguments(options: Any, tokenizer: Any) -> dict[str, Any]:
    """Those of the options that this model's template reads: it may be of another family than the policy."""
    given = named_values(getattr(options, "template_arg", ()), "--template-arg", "enable_thinking=false")
    template = str(getattr(tokenizer, "chat_template", "") or "")
    return {name: value for name, value in given.items() if name in template}


def _load(source: Any, weight: Any, chat: Any, *, probability: bool, **how: Any) -> Held:
    import torch

    from rl.examples.text_judge import TextJudge
    from rl.learning.learner import Learner, ValueHead

    dtype: Any = "bf16" if torch.cuda.is_available() else "fp32"
    with watched(f"loading the reward model {source.in_words()}"):
        model = source.load_model(dtype, lora=True, judges=True)  # as narrow as a base that is frozen
        learner = Learner(model, dtype=dtype, value_head=ValueHead(weight))
    return Held(TextJudge(learner, chat, **how), probability)
