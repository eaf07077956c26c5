"""GRPO updates by `trl.GRPOTrainer` on rollouts that lie in a file, handed to it in place of sampling; in a process of its own.

The same tokens, rewards, loss, optimiser and precision as `own_update.py`; TRL's own padding, micro-batches of `--rows` sequences.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from benchmarks.recipe.trl_grpo import Steps
from benchmarks.update.own_update import RATE
from benchmarks.update.rollouts import read_rollouts


class Trainer(GRPOTrainer):  # type: ignore[misc]
    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: 1.0)
        return self.lr_scheduler


class Given:
    """Prompts are the numbers of groups; each is answered by its completions in order, and those by their rewards."""

    def __init__(self, steps: list[list[dict[str, Any]]]):
        self.groups = [group for groups in steps for group in groups]

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        groups = [self.groups[int(prompt)] for prompt in prompts]
        places = [n % trainer.num_generations for n in range(len(prompts))]
        completions = [group["completions"][place] for group, place in zip(groups, places, strict=True)]
        return {
            "prompt_ids": [group["prompt"] for group in groups],
            "completion_ids": completions,
            "logprobs": [[0.0] * len(completion) for completion in completions],
            "given": [group["rewards"][place] for group, place in zip(groups, places, strict=True)],
        }

    def reward(self, completions: list[Any], given: list[float], **_: Any) -> list[float]:
        return given


class Norms(Steps):
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if logs and "grad_norm" in logs:
            with self.log.with_name("norms.jsonl").open("a") as lines:
                lines.write(json.dumps({"step": state.global_step, "loss": logs["loss"], "grad_norm": logs["grad_norm"]}) + "\n")


def main() -> None:
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "rollouts", "out", "tune"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rows", type=int, required=True)
    given = parser.parse_args()
    out = Path(given.out)
    out.mkdir(parents=True)
    steps = read_rollouts(Path(given.rollouts))
    source, group = Given(steps), len(steps[0][0]["completions"])
    sequences = len(steps[0]) * group
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(given.model, dtype="float32", trust_remote_code=False),
        processing_class=AutoTokenizer.from_pretrained(given.model, trust_remote_code=False),
        reward_funcs=[source.reward],
        train_dataset=Dataset.from_dict({"prompt": [str(n) for n in range(len(source.groups))]}),
        peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
        if given.tune == "lora"
        else None,
        rollout_func=source.rollout,
        callbacks=[Norms(out / "steps.jsonl")],
        args=GRPOConfig(
            output_dir=str(out / "trainer"), max_steps=len(steps), per_device_train_batch_size=given.rows,
            gradient_accumulation_steps=sequences // given.rows, num_generations=group, shuffle_dataset=False, learning_rate=RATE,
            max_completion_length=max(len(c) for groups in steps for g in groups for c in g["completions"]), beta=0.0,
            loss_type="grpo", scale_rewards="group", temperature=1.0, max_grad_norm=1.0, bf16=False, gradient_checkpointing=False,
            use_cpu=True, save_strategy="no", report_to="none", logging_steps=1,
        ),
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    main()
