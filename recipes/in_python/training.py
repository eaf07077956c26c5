"""Training as functions over objects: models in memory, lists of dicts, closures as rewards. A command is the same behind its options.

Every function takes the options of its command by their names (`steps=50`, `lr=1e-5`, `tune=Lora(rank=8)`, `engine=VLLM(memory=0.5)`),
writes the same run folder, and raises InputError where the command would print one line. A run that is interrupted raises
KeyboardInterrupt once all that can be kept is kept; `resume=FOLDER` goes on with what it began with, and asks for nothing that it has kept.
"""

import importlib
from pathlib import Path
from typing import Any

from recipes import grpo_math, ppo_math
from recipes.in_python.objects import (
    Reward,
    Run,
    config_of,
    data_file,
    folder_of,
    given_problems,
    has_answer,
    named,
    on_disk,
    refuse_unknown,
)
from recipes.setup.model_source import find_model
from recipes.setup.resuming import resumed
from recipes.setup.starting_point import chat_of
from verifiers.input_error import InputError


class _Kept:
    """What a command hands over at its end."""

    def __call__(self, policy: Any, chat: Any) -> None:
        policy.chat = chat
        self.policy, self.chat = policy, chat

    def run(self, code: int, path: Path) -> Run:
        if code:
            raise KeyboardInterrupt(f"the run was interrupted; continue it with resume={str(path)!r}")
        return Run(path, self.policy, self.chat)


def grpo(
    *, model: Any = None, problems: Any, reward: Reward | None = None, tokenizer: Any = None, held_out: Any = (),
    run: str | Path | None = None, resume: str | Path | None = None, **options: Any,
) -> Run:  # fmt: skip
    """GRPO and its relatives (`algorithm=DAPO()`, `kl=KL(0.04)`): the options of `reckon grpo-math`.

    `model`: a hub id, a folder, a Run, or a loaded model with its `tokenizer`, which is trained in place. `problems`: a file, a data set's
    name, or rows with a prompt and (unless `reward` is a function) an answer. `held_out`: problems for evaluation. `resume`: the folder of
    an earlier run, which goes on with its own options and, where it keeps that, its own beginning; give it the same problems and reward.
    """
    asked = {"model": model, "problems": problems, "reward": reward, "tokenizer": tokenizer, "held_out": held_out}
    return _online(grpo_math, folder_of(resume or run, "grpo"), resume is not None, **asked, options=options)


def ppo(*, problems: Any, run: str | Path | None = None, resume: str | Path | None = None, **given: Any) -> Run:
    """PPO with a critic (`algorithm=PPO(critic=SeparateCritic())`): the options of `reckon ppo`; the rest as `grpo` has it."""
    asked = {name: given.pop(name, None) for name in ("model", "reward", "tokenizer")} | {"held_out": given.pop("held_out", ())}
    return _online(ppo_math, folder_of(resume or run, "ppo"), resume is not None, problems=problems, **asked, options=given)


def _online(
    command: Any, path: Path, resumes: bool, *, model: Any, problems: Any, reward: Reward | None, tokenizer: Any, held_out: Any,
    options: dict[str, Any], own: dict[str, Any] | None = None,
) -> Run:  # fmt: skip
    """`own`: what this command's beginning takes besides, and a resumed run has."""
    kept = _Kept()
    given, chosen = given_problems(problems, reward, held_out)
    with named(model, tokenizer, path if resumes else None) as place:
        if resumes:
            config = resumed(config_of(command.Config, options, resume=path))
        else:
            config = config_of(command.Config, options, model=place, data="in-memory/problems", run=path, **(own or {}), **chosen)
        return kept.run(command.train(command.resolve(config), given=given, hand_over=kept), path)


def distill(
    *, teacher: Any = None, problems: Any, model: Any = None, tokenizer: Any = None, reward: Reward | None = None, held_out: Any = (),
    run: str | Path | None = None, resume: str | Path | None = None, **options: Any,
) -> Run:  # fmt: skip
    """On-policy distillation from `teacher` (a hub id, a folder, a Run, a server's address): the options of `reckon distill`.

    `problems`: as `grpo` has them; rows without an answer are not judged, and teach all the same. The rest: as `grpo` has it.
    """
    from recipes.policies import distill as command

    rows = problems if isinstance(problems, str | Path) else list(problems)
    judged = bool(options.pop("judged", reward is not None or isinstance(rows, str | Path) or all(map(has_answer, rows))))
    own = {"teacher": str(teacher.path if isinstance(teacher, Run) else teacher)} if teacher is not None else {}
    asked = {
        "model": model,
        "problems": rows,
        "reward": reward if judged else command.unjudged,
        "tokenizer": tokenizer,
        "held_out": held_out,
    }
    return _online(command, folder_of(resume or run, "distill"), resume is not None, **asked, own=own, options=options)


def sft(*, model: Any = None, data: Any = None, **options: Any) -> Run:
    """Supervised fine-tuning: the options of `reckon sft`. `data`: a place, or rows (`messages`, prompt and completion, or text)."""
    return _offline("sft", model, data, **options)


def dpo(*, model: Any = None, data: Any = None, **options: Any) -> Run:
    """Preferences by pairs (rows with prompt, chosen, rejected): the options of `reckon dpo`."""
    return _offline("dpo", model, data, **options)


def orpo(*, model: Any = None, data: Any = None, **options: Any) -> Run:
    """Preferences by pairs without a reference: the options of `reckon orpo`."""
    return _offline("orpo", model, data, **options)


def kto(*, model: Any = None, data: Any = None, **options: Any) -> Run:
    """Preferences by labelled answers (rows with prompt, completion, label): the options of `reckon kto`."""
    return _offline("kto", model, data, **options)


def reward_model(*, model: Any = None, data: Any = None, **options: Any) -> Run:
    """A reward model by pairs, labelled answers or labelled steps (`kind="process"`): the options of `reckon reward-model`."""
    return _offline("reward_model", model, data, **options)


def rft(
    *, model: Any = None, problems: Any = None, tokenizer: Any = None, run: str | Path | None = None, resume: str | Path | None = None,
    **options: Any,
) -> Run:  # fmt: skip
    """Rounds of sampling, keeping right answers and learning from them: the options of `reckon rft`. Rewards are names here."""
    from recipes.training import rft as command

    return _in_rounds(command, "rft", model, problems, tokenizer, run, resume, options)


def warp(
    *, model: Any = None, problems: Any = None, tokenizer: Any = None, run: str | Path | None = None, resume: str | Path | None = None,
    **options: Any,
) -> Run:  # fmt: skip
    """Several policies from one start, merged, in rounds: the options of `reckon warp`. Rewards are names here.

    Policies are trained from copies: a loaded model stays as it is.
    """
    from recipes.policies import warp as command

    return _in_rounds(command, "warp", model, problems, tokenizer, run, resume, options)


def iterate(
    *, model: Any = None, problems: Any = None, tokenizer: Any = None, run: str | Path | None = None, resume: str | Path | None = None,
    **options: Any,
) -> Run:  # fmt: skip
    """Iterative GRPO, rounds of a reward model and GRPO by it: the options of `reckon iterate`. Rewards are names here.

    What is learnt on are copies: a loaded model stays as it is.
    """
    from recipes import iterative_grpo as command

    return _in_rounds(command, "iterate", model, problems, tokenizer, run, resume, options)


def _in_rounds(
    command: Any, name: str, model: Any, problems: Any, tokenizer: Any, run: str | Path | None, resume: str | Path | None, options: Any
) -> Run:
    from rl.learning.adapters import saved_lora
    from rl.learning.policy import Policy

    path = folder_of(resume or run, name)
    if isinstance(options.get("reward"), str):
        options = {**options, "reward": (options["reward"],)}
    if resume is not None:  # all that it needs is in its folder
        config = config_of(command.Config, options, resume=path)
    else:
        if problems is None:
            raise InputError("problems is missing; give a file, a data set's name, or rows")
        with named(model, tokenizer) as place:
            data = data_file(problems, path, "problems", overwrite=bool(options.get("overwrite")))
            config = config_of(command.Config, options, model=on_disk(place, path), data=data if name == "rft" else (data,), run=path)
    if command.run(config):
        raise KeyboardInterrupt(f"the run was interrupted; continue it with resume={str(path)!r}")
    source = find_model(str(path))
    lora = saved_lora(source.adapter) if source.adapter else None
    policy = Policy(source.load_model("fp32", lora=lora is not None), lora=lora)
    chat, _ = chat_of(resumed(config), source)
    policy.chat = chat
    return Run(path, policy, chat)


def _offline(
    method: str, model: Any, data: Any, *, tokenizer: Any = None, held_out: Any = None, run: str | Path | None = None,
    resume: str | Path | None = None, **options: Any,
) -> Run:  # fmt: skip
    module = importlib.import_module(f"recipes.training.{method}")
    from recipes.training.offline_run import run_offline

    path, kept = folder_of(resume or run, method), _Kept()
    overwrite = bool(options.get("overwrite"))
    with named(model, tokenizer, None if resume is None else path) as place:
        if resume is not None:
            config = config_of(module.Config, options, resume=path)
        else:
            if data is None:
                refuse_unknown(module.Config, options)  # it may have been given under another name
                raise InputError("data is missing; give a file, a data set's name, or rows")
            own = {"data": data_file(data, path, "data", overwrite=overwrite)}
            if isinstance(held_out, int):
                options["held_out"] = held_out
            elif held_out is not None:
                own["eval_data"] = data_file(held_out, path, "held-out", overwrite=overwrite)
            config = config_of(module.Config, options, model=place, run=path, **own)
        config, how = module.prepared(config)
        return kept.run(run_offline(config, how, hand_over=kept), path)
