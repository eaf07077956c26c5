"""The first ten steps of supervised fine-tuning against TRL's SFTTrainer: the same losses on the same data."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines

STEPS, PER_STEP = 10, 4


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [{"prompt": f"{n} + {n * n % 17} =", "completion": f" {n + n * n % 17}" + "!" * (n % 3)} for n in range(STEPS * PER_STEP)]


@pytest.fixture(scope="module")
def trl_losses(model_folder: Path, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tokenizer.chat_template = None
    settings = SFTConfig(
        output_dir=str(tmp_path_factory.mktemp("trl")), per_device_train_batch_size=PER_STEP, max_steps=STEPS, learning_rate=3e-3,
        lr_scheduler_type="constant", train_sampling_strategy="sequential", logging_steps=1, save_strategy="no", report_to=[],
        use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True, max_length=None, optim="adamw_torch",
    )  # fmt: skip
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32), args=settings,
        train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", ["--packing", "--no-packing"])
def test_the_losses_are_trls(
    layout: str, model_folder: Path, rows: list[dict[str, Any]], trl_losses: list[float], tmp_path: Path, one_thread: None
) -> None:
    data, run = tmp_path / "data.jsonl", tmp_path / "run"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--tune", "full", "--steps", str(STEPS), "--examples-per-step", str(PER_STEP), "--lr", "3e-3", "--warmup", "0"]
    words += ["--schedule", "constant", "--no-shuffle", "--no-chat-template", "--tokens-per-micro-batch", "40", layout]
    assert main(["sft", "--model", str(model_folder), "--data", str(data), "--run", str(run), *words]) == 0
    losses = [row["loss"] for row in read_lines(run / "metrics.jsonl")[1:]]
    assert losses == pytest.approx(trl_losses, abs=1e-4)
    assert losses[-1] < losses[0] - 0.5, "nothing was learnt, so that equal losses say little"
