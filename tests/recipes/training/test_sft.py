"""`reckon sft` from its words to a model on disk: what it learns, what it leaves, what it refuses, and that kill -9 changes nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from recipes.commands.cli import main
from rl.runs.run_folder import read_lines
from tests.kills import killed_when
from tests.progress_lines import without_progress

SMALL = ["--lr", "1e-2", "--examples-per-step", "4", "--tune", "full"]


def conversation(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "rows.jsonl", *(conversation(f"{n}+1=", str(n + 1)) for n in range(24)))


@pytest.fixture(scope="module")
def begin(model_folder: Path, data: Path) -> Callable[..., int]:
    """(run, more words) -> a new run's exit code."""

    def start(run: Path, *more: str | Path) -> int:
        return main(["sft", *map(str, ["--model", model_folder, "--data", data, "--run", run, *SMALL, *more])])

    return start


@pytest.fixture(scope="module")
def straight(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve steps in one life."""
    run = tmp_path_factory.mktemp("straight") / "run"
    assert begin(run, "--steps", "12", "--held-out", "4", "--eval-every", "4", "--tune", "lora", "--lora-rank", "2") == 0
    return run


def weights(run: Path) -> dict[str, Any]:
    return dict(load_file(run / "final" / "adapter_model.safetensors"))


def numbers(run: Path) -> list[dict[str, Any]]:
    """All that does not depend on the machine."""
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "speed/"))} for row in read_lines(run / "metrics.jsonl")]


def test_what_is_held_out_gets_likelier(straight: Path) -> None:
    held_out = {row["step"]: row["eval/loss"] for row in numbers(straight) if "eval/loss" in row}
    assert list(held_out) == [0, 4, 8, 12]
    assert held_out[12] < held_out[0] - 0.5
    assert [row["sequences"] for row in numbers(straight)[1:]] == [4] * 12
    drawn = {f"{name}.{kind}" for name in ("loss", "gradient") for kind in ("png", "svg", "csv")}
    assert {path.name for path in (straight / "plots").iterdir()} == drawn
    assert (straight / "plots" / "loss.csv").read_text().startswith("step,loss,eval/loss\n")
    assert json.loads((straight / "manifest.json").read_text())["status"] == "done"


def test_the_final_model_loads_as_any_other(straight: Path, model_folder: Path) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    assert AutoPeftModelForCausalLM.from_pretrained(straight / "final").peft_config["default"].r == 2
    template = AutoTokenizer.from_pretrained(straight / "final").chat_template
    assert template == AutoTokenizer.from_pretrained(model_folder).chat_template


def test_epochs_are_steps_and_the_rate_has_a_default(begin: Callable[..., int], tmp_path: Path, model_folder: Path, data: Path) -> None:
    assert begin(tmp_path / "run", "--epochs", "1.5") == 0
    assert len(numbers(tmp_path / "run")) == 1 + 9  # of 24 rows, four a step
    options = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    assert (options["steps"], options["epochs"], options["warmup"]) == (9, None, 0)
    words = ["sft", "--model", str(model_folder), "--data", str(data), "--run", str(tmp_path / "default")]
    assert main([*words, "--tune", "full"]) == 0
    options = json.loads((tmp_path / "default" / "config.json").read_text())["options"]
    assert (options["steps"], options["lr"]) == (1, 2e-5)


def test_rows_of_the_same_tokens_are_held_out_together(model_folder: Path, tmp_path: Path) -> None:
    """Six rows, three times each: what is held out is nowhere in what trains."""
    data = write(
        tmp_path / "data.jsonl",
        *(conversation(f"{n}+1=", str(n + 1)) for n in range(6)),
        *(conversation(f"{n % 6}+1=", str(n % 6 + 1)) for n in range(12)),
    )
    words = ["--model", str(model_folder), "--data", str(data), "--run", str(tmp_path / "run"), *SMALL, "--held-out", "2", "--epochs", "1"]
    assert main(["sft", *words]) == 0
    assert len(numbers(tmp_path / "run")) == 1 + 3  # 12 of the 18 rows train


def test_a_plan_says_loss_data_work_and_memory(
    begin: Callable[..., int], data: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(model_folder), "--data", str(data), "--epochs", "2", "--examples-per-step", "6", "--held-out", "6"]
    assert main(["plan", "sft", *words]) == 0
    said = capsys.readouterr().out
    for line in (
        "loss = Σ_n w · [ -lp ]",
        "18 sequences of ",
        "6 held out",
        "6 steps of 6 sequences, about ",
        "the data are gone through 2.00 times",
        "lr = 0.0002",
        "adapter = Lora(rank=16",
        "peak",
    ):
        assert line in said
    tokens = 9 * 25 + 26 + 14 * 27  # of all rows; six of them, of 25 to 27 each, are held out
    a_step = int(said.partition("about ")[2].partition(" tokens a step")[0])
    assert (tokens - 6 * 27) / 3 - 1 < a_step < (tokens - 6 * 25) / 3 + 1
    assert main(["plan", "sft", *words, "--lora-rank", "0"]) == 2


def _live(start: Callable[..., int], arguments: list[str | Path]) -> None:
    os._exit(start(*arguments))


@pytest.mark.parametrize("rows", [2, 8])
def test_killed_and_resumed_it_is_the_same_to_the_last_bit(rows: int, begin: Callable[..., int], straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--steps", "12", "--held-out", "4", "--eval-every", "4", "--tune", "lora", "--lora-rank", "2", "--checkpoint-every", "3"]
    killed_when(lambda: len(read_lines(run / "metrics.jsonl")) >= rows, _live, begin, [run, *words])
    assert main(["sft", "--resume", str(run)]) == 0
    assert numbers(run) == numbers(straight)
    assert all((tensor == weights(straight)[name]).all() for name, tensor in weights(run).items())


def test_a_finished_run_goes_on_but_not_on_other_data(
    begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = write(tmp_path / "mine.jsonl", *(conversation(f"{n}+1=", str(n + 1)) for n in range(8)))
    run, constant = tmp_path / "run", ("--schedule", "constant", "--warmup", "0")
    assert begin(run, "--steps", "2", "--data", mine, *constant) == 0
    assert begin(tmp_path / "long", "--steps", "4", "--data", mine, *constant) == 0
    assert main(["sft", "--resume", str(run), "--steps", "4"]) == 0
    assert numbers(run)[1:] == numbers(tmp_path / "long")[1:]
    write(mine, *(conversation(f"{n}+1=", str(n + 2)) for n in range(8)))
    capsys.readouterr()
    assert main(["sft", "--resume", str(run)]) == 2
    assert "the data, as tokens and masks, changed since the run began (8 units then, 8 now)" in capsys.readouterr().err


def test_show_mask_prints_and_writes_nothing(begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin(tmp_path / "run", "--show-mask", "1") == 0
    shown = capsys.readouterr().out
    assert "<|im_start|>user\n0+1=<|im_end|>\n<|im_start|>assistant\n[[1<|im_end|>]]\n" in shown
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--steps", "2", "--epochs", "1"], "--steps and --epochs say the same thing twice; leave one of them out"),
        (["--lora-rank", "4"], "--lora-rank would be ignored with --tune full; leave it out, or use --tune lora"),
        (["--show-ids"], "--show-ids would be ignored without --show-mask; give that too"),
        (["--eval-every", "2"], "--eval-every would be ignored: nothing is held out; give --held-out or --eval-data"),
        (["--split", "test"], "--split would be ignored: {data} is a file, not a data set; leave it out"),
        (["--held-out", "24"], "--held-out 24: there are only 24 rows that differ; keep fewer for evaluation"),
        (["--template-arg", "thinking=false"], "the template argument thinking would be ignored: the model's chat template does not read "
         "it; leave it out"),
        (["--examples-per-step", "0"], "--examples-per-step must be at least 1, not 0"),
        (["--max-length", "5"], "{data} holds nothing to train on: of its rows, 24 longer than 5 tokens"),
        (["--messages-column", "talk"], "{data}, line 1: no messages among its fields (messages); say which one it is with "
         "--messages-column"),
        (["--train-on", "marked"], "{data}, line 1: message 1 is the assistant's and not marked (train: true or false) while others are; "
         "mark them all"),
        (["--data", "nothing.jsonl"], "nothing.jsonl cannot be read: No such file or directory; give the path of a JSONL file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(
    words: list[str], line: str, begin: Callable[..., int], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin(tmp_path / "run", *words) == 2
    assert without_progress(capsys.readouterr().err).splitlines() == ["error: " + line.format(data=data)]
    assert not (tmp_path / "run").exists()
