"""Sampling and evaluation as functions over objects."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.in_python.objects import Reward, Run, config_of, folder_of, given_problems, named
from recipes.setup.resuming import resumed
from recipes.training import sample as sampling
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.evaluation.accuracy import Accuracy
    from rollout.chat import Chat
    from rollout.player import Group


def sample(
    *, model: Any = None, problems: Any, reward: Reward | None = None, tokenizer: Any = None, run: str | Path | None = None,
    resume: str | Path | None = None, **options: Any,
) -> "list[Group]":  # fmt: skip
    """Completions of any model, scored: the options of `reckon sample`. They are in the run's folder too, for `reckon data`.

    `resume`: the folder of an earlier run, which goes on with its own options; give it the same problems and reward.
    """
    path = folder_of(resume or run, "sample")
    given, chosen = given_problems(problems, reward)
    groups: list[Group] = []
    with named(model, tokenizer, None if resume is None else path) as place:
        if resume is not None:
            config = resumed(config_of(sampling.Config, options, resume=path))
        else:
            config = config_of(sampling.Config, options, model=place, data="in-memory/problems", run=path, **chosen)
        sampling.sample(sampling.resolve(config), given=given, hand_over=groups.extend)
    return groups


def evaluate(
    model: Any, *, problems: Any, reward: Reward | None = None, tokenizer: Any = None, max_completion_length: int | None = None,
    system_prompt: str | None = None,
) -> "Accuracy":  # fmt: skip
    """Greedy accuracy with its 95 % interval. `model`: a Run or its policy, spoken to as in training; or what `sample` takes.

    `max_completion_length`: tokens of a response (default 1024, or as in a run's training).
    """
    from rl.evaluation.accuracy import accuracy, evaluate
    from rl.learning.policy import Policy
    from rollout.engine import Sampling
    from rollout.engines.hf_engine import HFEngine
    from rollout.player import Player

    policy = model.policy if isinstance(model, Run) else model
    if not isinstance(policy, Policy):
        said = {} if system_prompt is None else {"system_prompt": system_prompt}
        given = {"temperature": 0.0, "completions_per_problem": 1, "max_completion_length": max_completion_length or 1024}
        return accuracy(sample(model=model, tokenizer=tokenizer, problems=problems, reward=reward, **given, **said))
    if policy.chat is None:
        raise InputError("this policy was not trained by a function of this module, so it does not say how to speak to it; give its Run")
    if tokenizer is not None or system_prompt is not None:
        raise InputError("tokenizer and system_prompt would be ignored: a run speaks as it did in training; leave them out")
    chat, (objects, names) = policy.chat, given_problems(problems, reward)
    engine = HFEngine(pad_id=chat.pad_id, decode=chat.decode_all)
    engine.load_policy(policy.weights(), policy.version)
    with ExitStack() as opened:
        verify = objects.verify or opened.enter_context(_pool(names["reward"], chat)).verify_many
        player = Player(engine, chat, Sampling(max_completion_length or 1024, stop_ids=chat.stop_ids), verify)
        return evaluate(list(objects.problems), player)[0]


def _pool(rewards: Sequence[str], chat: "Chat") -> Any:
    from recipes.setup.reward_models import reward_models
    from verifiers.worker_pool.verifier_pool import VerifierPool

    return reward_models(chat, rewards).around(VerifierPool(rewards))
