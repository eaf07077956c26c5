"""SFT or DPO of a LoRA by TRL's trainer, as `offline.py` runs it beside ours; in a process of its own."""

import argparse
import json
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from benchmarks.recipe.trl_grpo import Steps
from benchmarks.update.offline import EXAMPLES_A_STEP, LONGEST

PAIRS, PACKED_ROWS, STEPS_OF_PACKED = 2, 1, 4
"""Pairs, and packed rows, of a micro-batch; micro-batches of an SFT step: 16 texts of 200 tokens are about four packed rows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "data", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--method", choices=["sft", "dpo"], required=True)
    given = parser.parse_args()
    out = Path(given.out)
    out.mkdir(parents=True)
    rows = [json.loads(line) for line in Path(given.data).read_text().splitlines()]
    settings = {
        "output_dir": str(out / "trainer"), "num_train_epochs": 1, "learning_rate": 1e-4, "max_grad_norm": 1.0, "bf16": False,
        "gradient_checkpointing": False, "use_cpu": True, "save_strategy": "no", "report_to": "none", "logging_steps": 1,
        "max_length": LONGEST,
    }  # fmt: skip
    if given.method == "sft":
        packed = {"packing": True, "per_device_train_batch_size": PACKED_ROWS, "gradient_accumulation_steps": STEPS_OF_PACKED}
        trainer, args = SFTTrainer, SFTConfig(**settings, **packed)
    else:
        pairs = {"per_device_train_batch_size": PAIRS, "gradient_accumulation_steps": EXAMPLES_A_STEP // PAIRS}
        trainer, args = DPOTrainer, DPOConfig(**settings, **pairs)
    trainer(
        model=AutoModelForCausalLM.from_pretrained(given.model, dtype="float32", trust_remote_code=False),
        processing_class=AutoTokenizer.from_pretrained(given.model, trust_remote_code=False),
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Steps(out / "steps.jsonl")],
        args=args,
    ).train()


if __name__ == "__main__":
    main()
