"""Training as functions over objects: models in memory, lists of dicts, closures as rewards. A command is the same behind its options.

Every function takes the options of its command by their names (`steps=50`, `lr=1e-5`, `tune=Lora(rank=8)`, `engine=VLLM(memory=0.5)`),
writes the same run folder, and raises InputError where the command would print one line. A run that is interrupted raises
KeyboardInterrupt once all that can be kept is kept.
"""

import importlib
from pathlib import Path
from typing import Any

from recipes import grpo_math
from recipes.in_python.objects import Reward, Run, config_of, data_file, folder_of, given_problems, named


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
    *, model: Any, problems: Any, reward: Reward | None = None, tokenizer: Any = None, held_out: Any = (), run: str | Path | None = None,
    **options: Any,
) -> Run:  # fmt: skip
    """GRPO and its relatives (`algorithm=DAPO()`, `kl=KL(0.04)`): the options of `reckon grpo-math`.

    `model`: a hub id, a folder, a Run, or a loaded model with its `tokenizer`, which is trained in place. `problems`: a file, a data set's
    name, or rows with a prompt and (unless `reward` is a function) an answer. `held_out`: problems for evaluation.
    """
    path, kept = folder_of(run or options.pop("resume", None), "grpo"), _Kept()
    given, chosen = given_problems(problems, reward, held_out)
    with named(model, tokenizer) as place:
        own = {"model": place, "data": "in-memory/problems", "run": path, "resume": path if (path / "config.json").exists() else None}
        config = config_of(grpo_math.Config, options, **own, **chosen)
        return kept.run(grpo_math.train(grpo_math.resolve(config), given=given, hand_over=kept), path)


def sft(*, model: Any, data: Any, **options: Any) -> Run:
    """Supervised fine-tuning: the options of `reckon sft`. `data`: a place, or rows (`messages`, prompt and completion, or text)."""
    return _offline("sft", model, data, **options)


def dpo(*, model: Any, data: Any, **options: Any) -> Run:
    """Preferences by pairs (rows with prompt, chosen, rejected): the options of `reckon dpo`."""
    return _offline("dpo", model, data, **options)


def orpo(*, model: Any, data: Any, **options: Any) -> Run:
    """Preferences by pairs without a reference: the options of `reckon orpo`."""
    return _offline("orpo", model, data, **options)


def kto(*, model: Any, data: Any, **options: Any) -> Run:
    """Preferences by labelled answers (rows with prompt, completion, label): the options of `reckon kto`."""
    return _offline("kto", model, data, **options)


def _offline(
    method: str, model: Any, data: Any, *, tokenizer: Any = None, held_out: Any = None, run: str | Path | None = None, **options: Any
) -> Run:
    module = importlib.import_module(f"recipes.training.{method}")
    from recipes.training.offline_run import run_offline

    path, kept = folder_of(run, method), _Kept()
    files = {"data": data_file(data, path, "data")}
    if isinstance(held_out, int):
        options["held_out"] = held_out
    elif held_out is not None:
        files["eval_data"] = data_file(held_out, path, "held-out")
    with named(model, tokenizer) as place:
        config, how = module.prepared(config_of(module.Config, options, model=place, run=path, **files))
        return kept.run(run_offline(config, how, hand_over=kept), path)
