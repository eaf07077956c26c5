"""GRPO by `trl.GRPOTrainer`, as `benchmarks.recipe.grpo_peer` runs it, of a LoRA unless told otherwise; in a process of its own.

The same as `reckon grpo-math` there: model, problems, adapter, optimiser, loss, sizes, schedule and verifier. TRL's defaults that differ
are set: float32, no gradient checkpointing, the loss "grpo", a constant rate after a warm-up whose first step is not 0.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from torch.optim.lr_scheduler import LambdaLR
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from benchmarks.recipe.additions import MAX_TOKENS, SYSTEM
from verifiers.trl_reward import trl_reward


class Steps(TrainerCallback):  # type: ignore[misc]
    """A line before the first step and after each."""

    def __init__(self, log: Path):
        self.log = log

    def note(self, step: int) -> None:
        with self.log.open("a") as lines:
            lines.write(json.dumps({"step": step}) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.note(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.note(state.global_step)


class Trainer(GRPOTrainer):  # type: ignore[misc]
    warmup = 5

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: min(1.0, (step + 1) / self.warmup))
        return self.lr_scheduler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "problems", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--system", default=SYSTEM)
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS)
    parser.add_argument("--tune", choices=["lora", "full"], default="lora")
    parser.add_argument("--chat", action=argparse.BooleanOptionalAction, default=True, help="prompts are turns of a conversation")
    for name, default in (("rows", 16), ("micro-batches", 4), ("completions", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    out = Path(given.out)
    out.mkdir(parents=True)
    rows = [json.loads(line) for line in Path(given.problems).read_text().splitlines()]
    turns = [[{"role": "system", "content": given.system}, {"role": "user", "content": row["prompt"]}] for row in rows]
    prompts = turns if given.chat else [row["prompt"] for row in rows]
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(given.model, dtype="float32", trust_remote_code=False),
        processing_class=AutoTokenizer.from_pretrained(given.model, trust_remote_code=False),
        reward_funcs=[trl_reward("math_answer")],
        train_dataset=Dataset.from_dict({"prompt": prompts, "answer": [row["answer"] for row in rows]}),
        peft_config=lora if given.tune == "lora" else None,
        callbacks=[Steps(out / "steps.jsonl")],
        args=GRPOConfig(
            output_dir=str(out / "trainer"), max_steps=given.steps, seed=given.seed, per_device_train_batch_size=given.rows,
            gradient_accumulation_steps=given.micro_batches, num_generations=given.completions,
            max_completion_length=given.max_tokens, learning_rate=3e-4, beta=0.0,
            loss_type="grpo", scale_rewards="group", temperature=1.0, max_grad_norm=1.0, bf16=False, gradient_checkpointing=False,
            use_cpu=True, save_strategy="no", report_to="none", logging_steps=1,
        ),
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(out / "final"))


if __name__ == "__main__":
    main()
