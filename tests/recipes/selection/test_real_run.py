"""A real GRPO run's rollouts become training data, and what is written trains in TRL unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.commands.cli import main
from recipes.selection.stored_responses import store_files, stored_responses

REWARD = "def even(problem, response):\n    return len(response) % 2 == 0\n"


@pytest.fixture(scope="module")
def run(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of GRPO of a random model, whose responses are any bytes; a third of them is cut off."""
    place = tmp_path_factory.mktemp("grpo")
    (place / "odd.py").write_text(REWARD)
    (place / "data.jsonl").write_text("".join(json.dumps({"prompt": f"{a} + 1?", "answer": str(a + 1)}) + "\n" for a in range(6)))
    arguments = ["grpo-math", "--model", model_folder, "--data", place / "data.jsonl", "--run", place / "run", "--engine", "hf"]
    sizes = ["--steps", 2, "--problems-per-step", 4, "--completions-per-problem", 6, "--max-completion-length", 60]
    reward = ["--reward", f"{place / 'odd.py'}:even", "--workers", 1, "--system-prompt", "Add.", "--temperature", 1.5]
    assert main([str(word) for word in [*arguments, *sizes, *reward]]) == 0
    return place / "run"


def written(run: Path, out: Path, *words: object) -> list[dict[str, Any]]:
    assert main(["data", *map(str, words), str(run), "--out", str(out), "--keep-truncated"]) == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_runs_rollouts_say_what_they_are(run: Path, model_folder: Path) -> None:
    found = [response for _, rows in stored_responses(store_files([run])) for response in rows]
    assert len(found) == 2 * 4 * 6
    assert {(r.model, r.system_prompt, r.templated) for r in found} == {(str(model_folder), "Add.", True)}
    assert {r.policy_version for r in found} == {0, 1}
    assert all(r.problem.verifier == "math_answer" for r in found)


def test_a_runs_rollouts_feed_all_three(run: Path, tmp_path: Path) -> None:
    found = {(r.problem.id, r.text): r for _, rows in stored_responses(store_files([run])) for r in rows}
    for row in written(run, tmp_path / "sft.jsonl", "sft"):
        assert found[row["problem_id"], row["completion"][0]["content"]].score == 1.0
        assert row["prompt"][0] == {"role": "system", "content": "Add."}
    pairs = written(run, tmp_path / "pairs.jsonl", "pairs")
    for row in pairs:
        chosen, rejected = (found[row["problem_id"], row[side][0]["content"]] for side in ("chosen", "rejected"))
        assert (chosen.score, rejected.score) == (1.0, 0.0)
        assert chosen.group == rejected.group
    assert pairs
    assert main(["data", "difficulty", str(run), "--out", str(tmp_path / "problems.jsonl")]) == 0
    rates = {json.loads(line)["problem_id"]: json.loads(line) for line in (tmp_path / "problems.jsonl").read_text().splitlines()}
    for problem, rows in stored_responses(store_files([run])):
        assert rates[problem.id]["solve_rate"] == pytest.approx(sum(r.score or 0 for r in rows) / len(rows), abs=1e-6)


def test_what_is_written_trains_here(run: Path, model_folder: Path, tmp_path: Path) -> None:
    for command, words in {"dpo": ["pairs"], "orpo": ["pairs"], "kto": ["pairs", "--format", "kto"]}.items():
        rows = written(run, tmp_path / f"{command}.jsonl", *words)
        place = tmp_path / command
        given = ["--model", model_folder, "--data", tmp_path / f"{command}.jsonl", "--run", place, "--steps", 2, "--examples-per-step", 4]
        assert main([command, *map(str, given), "--lr", "1e-2", "--lora-rank", "2"]) == 0
        assert json.loads((place / "config.json").read_text())["units"] == len(rows)
        assert (place / "final" / "adapter_model.safetensors").exists()


def test_a_run_is_sampled_from_as_it_stands_now(run: Path, tmp_path: Path) -> None:
    arguments = ["sample", "--model", run, "--data", run.parent / "data.jsonl", "--run", tmp_path / "run", "--engine", "hf", "--limit", 2]
    assert main([str(word) for word in [*arguments, "--max-completion-length", 4, "--completions-per-problem", 2]]) == 0
    assert main(["sample", "--resume", str(tmp_path / "run")]) == 0
    models = {response.model for _, rows in stored_responses(store_files([tmp_path / "run"])) for response in rows}
    assert models == {str(run.resolve() / "final")}


@pytest.mark.filterwarnings("ignore")
def test_what_is_written_trains_in_trl(run: Path, model_folder: Path, tmp_path: Path) -> None:
    """SFTTrainer, DPOTrainer and KTOTrainer, with nothing but the file: two steps each, with a loss that is a number."""
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

    kinds = {
        "sft": (["sft"], SFTTrainer, SFTConfig), "dpo": (["pairs"], DPOTrainer, DPOConfig),
        "kto": (["pairs", "--format", "kto"], KTOTrainer, KTOConfig),
    }  # fmt: skip
    for name, (words, trainer, config) in kinds.items():
        rows = written(run, tmp_path / f"{name}.jsonl", *words)
        data = load_dataset("json", data_files=str(tmp_path / f"{name}.jsonl"), split="train", cache_dir=str(tmp_path / "cache"))
        assert len(data) == len(rows) >= 4
        quiet = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}
        settings = config(output_dir=str(tmp_path / name), max_steps=2, per_device_train_batch_size=4, learning_rate=1e-3, **quiet)
        training = trainer(
            model=AutoModelForCausalLM.from_pretrained(model_folder), args=settings, train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(model_folder),
        )  # fmt: skip
        if name == "sft":
            trained = [[token for token in row["labels"] if token != -100] for row in training.train_dataset]
            said = [training.processing_class.decode(tokens) for tokens in trained]
            assert said == [row["completion"][0]["content"] + "<|im_end|>\n" for row in rows]
        training.train()
        losses = [entry["loss"] for entry in training.state.log_history if "loss" in entry]
        assert len(losses) == 2
        assert all(0 < loss < 100 for loss in losses), (name, losses)
