"""`reckon dpo`, `orpo` and `kto` from their words to a model on disk: what they learn, against what, what they refuse, and kill -9."""

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

SMALL = ["--lr", "1e-2", "--examples-per-step", "4", "--steps", "6", "--warmup", "0", "--schedule", "constant", "--lora-rank", "2"]
COMMANDS = ("dpo", "orpo", "kto")


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def pair(number: int) -> dict[str, Any]:
    """As `reckon data pairs` and TRL have it."""
    sides = {"chosen": str(number + 1), "rejected": f"{number}?"}
    return {"prompt": [message("user", f"{number}+1=")], **{name: [message("assistant", text)] for name, text in sides.items()}}


def labelled(number: int) -> dict[str, Any]:
    good = number % 2 == 0
    return {"prompt": f"{number}+1=", "completion": str(number + 1) if good else f"{number}?", "label": good}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    pairs = write(folder / "pairs.jsonl", *map(pair, range(16)))
    return {"dpo": pairs, "orpo": pairs, "kto": write(folder / "labelled.jsonl", *map(labelled, range(16)))}


@pytest.fixture(scope="module")
def begin(model_folder: Path, data: dict[str, Path]) -> Callable[..., int]:
    """(command, run, more words) -> a new run's exit code."""

    def start(command: str, run: Path, *more: str | Path) -> int:
        return main([command, *map(str, ["--model", model_folder, "--data", data[command], "--run", run, *SMALL, *more])])

    return start


@pytest.fixture(scope="module")
def straight(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Six steps of each command in one life."""
    folder = tmp_path_factory.mktemp("straight")
    for command in COMMANDS:
        assert begin(command, folder / command, "--held-out", "4", "--eval-every", "3") == 0
    return {command: folder / command for command in COMMANDS}


def weights(run: Path) -> dict[str, Any]:
    return dict(load_file(run / "final" / "adapter_model.safetensors"))


def numbers(run: Path) -> list[dict[str, Any]]:
    """All that does not depend on the machine."""
    return [{k: v for k, v in row.items() if not k.startswith(("time/", "speed/"))} for row in read_lines(run / "metrics.jsonl")]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_held_out_is_told_apart_better_than_before(command: str, straight: dict[str, Path]) -> None:
    rows = numbers(straight[command])
    losses = {row["step"]: row["eval/loss"] for row in rows if "eval/loss" in row}
    assert list(losses) == [0, 3, 6]
    assert losses[6] < losses[0]
    first, last = ({side: row[f"eval/rewards/{side}"] for side in ("chosen", "rejected")} for row in (rows[0], rows[-1]))
    if command == "orpo":  # it imitates first of all: of a random model, whatever is made of the same digits gets likelier
        assert last["chosen"] > first["chosen"]
    else:
        assert last["chosen"] - last["rejected"] > first["chosen"] - first["rejected"]
    if command == "dpo":  # a fresh adapter is its own reference
        assert rows[-1]["eval/rewards/accuracies"] == 1.0
        assert losses[0] == pytest.approx(0.693147, abs=1e-5)
        assert rows[1]["rewards/margins"] == pytest.approx(0.0, abs=1e-5)
    if command == "kto":
        assert losses[0] == pytest.approx(0.5, abs=1e-5)


def _live(start: Callable[..., int], arguments: list[str | Path]) -> None:
    os._exit(start(*arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_and_resumed_it_is_the_same_to_the_last_bit(
    command: str, begin: Callable[..., int], straight: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--held-out", "4", "--eval-every", "3", "--checkpoint-every", "2"]
    killed_when(lambda: len(read_lines(run / "metrics.jsonl")) >= 4, _live, begin, [command, run, *words])
    assert main([command, "--resume", str(run)]) == 0
    assert numbers(run) == numbers(straight[command])
    assert all((tensor == weights(straight[command])[name]).all() for name, tensor in weights(run).items())


def test_the_reference_switched_off_kept_on_disk_and_loaded_are_one(
    begin: Callable[..., int], straight: dict[str, Path], tmp_path: Path, model_folder: Path
) -> None:
    expected = [row["loss"] for row in numbers(straight["dpo"])[1:]]
    kept = ["--held-out", "4", "--eval-every", "3", "--reference-scores", tmp_path / "scores"]
    for name, words in {"kept": kept, "again": kept, "other": [*kept[:4], "--reference-model", model_folder]}.items():
        assert begin("dpo", tmp_path / name, *words) == 0
        assert [row["loss"] for row in numbers(tmp_path / name)[1:]] == pytest.approx(expected, abs=1e-4), name
    assert [path.name for path in sorted((tmp_path / "scores").iterdir())] == ["part-00000.safetensors", "scores.json"]


def test_all_parameters_and_another_loss(begin: Callable[..., int], tmp_path: Path, model_folder: Path, data: dict[str, Path]) -> None:
    words = ["--model", model_folder, "--data", data["dpo"], "--run", tmp_path / "run", "--tune", "full", "--lr", "1e-3", "--steps", "3"]
    assert main(["dpo", *map(str, words), "--loss", "ipo", "--nll-coef", "0.5"]) == 0
    rows = numbers(tmp_path / "run")
    assert rows[-1]["rewards/margins"] > rows[1]["rewards/margins"]
    assert "nll_loss" in rows[-1]
    assert (tmp_path / "run" / "final" / "model.safetensors").exists()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["loss"] == "ipo"


def test_orpo_over_everything_imitates_the_prompt_too(begin: Callable[..., int], tmp_path: Path) -> None:
    for name, words in {"completion": [], "everything": ["--nll-over", "everything", "--nll-mean", "token"]}.items():
        assert begin("orpo", tmp_path / name, *words) == 0
    narrow, wide = (numbers(tmp_path / name)[1] for name in ("completion", "everything"))
    assert wide["trained_tokens"] > narrow["trained_tokens"]
    assert wide["rewards/margins"] == pytest.approx(narrow["rewards/margins"], abs=1e-5)
    assert wide["nll_loss"] != pytest.approx(narrow["nll_loss"], abs=1e-2)


# --- bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words", "line"),
    [
        ("dpo", ["--loss", "hinge", "--gamma", "1"], "--loss hinge ignores --gamma; leave it out"),
        ("dpo", ["--label-smoothing", "0.5"], "--label-smoothing must be from 0 to below 0.5, not 0.5"),
        ("dpo", ["--beta", "0"], "--beta must be above 0, not 0.0"),
        ("dpo", ["--nll-mean", "token"], "--loss sigmoid ignores --nll-mean without --nll-coef"),
        (
            "dpo",
            ["--loss", "simpo", "--reference-model", "some/model"],
            "--reference-model would be ignored: --loss simpo has no reference",
        ),
        ("dpo", ["--reference-model", "./nowhere"], "--reference-model: "),
        ("kto", ["--reference-scores", "scores"], "--reference-scores: KTO scores other pairs of prompt and answer at every step"),
        ("kto", ["--examples-per-step", "1"], "--examples-per-step 1: KTO's reference point is estimated from other prompts of the step"),
        ("kto", ["--desirable-weight", "-1"], "--desirable-weight must be 0 or more, not -1.0"),
        ("orpo", ["--reference-model", "some/model"], "unknown option --reference-model"),
        ("orpo", ["--epochs", "1e308"], "--epochs must be at most 1,000,000, not 1e+308"),
    ],
)
def test_a_bad_option_is_one_line_and_nothing_is_written(
    command: str, words: list[str], line: str, begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin(command, tmp_path / "run", *words) == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert said.startswith(f"error: {line}"), said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def test_what_a_run_reads_is_not_in_the_folder_that_it_empties(
    begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert begin("dpo", run, "--reference-scores", run / "scores") == 2
    assert "would lie in the run's folder" in capsys.readouterr().err
    assert not run.exists()
    assert begin("dpo", run) == 0
    unseen = write(run / "unseen.jsonl", pair(40))
    for words in (["--reference-model", run], ["--eval-data", unseen]):
        assert begin("dpo", run, "--overwrite", *words) == 2
        said = without_progress(capsys.readouterr().err).strip().splitlines()[-1]
        assert said.startswith(f"error: --overwrite would delete {words[1]}, which {words[0]} names"), said
    assert unseen.exists()
    assert (run / "final").is_dir()


@pytest.mark.parametrize(
    ("command", "row", "line"),
    [
        ("dpo", {"prompt": "1+1=", "chosen": "2"}, "line 17: no rejected side among its fields"),
        ("dpo", {"prompt": "1+1=", "chosen": "2", "rejected": "2"}, "line 17: its chosen and its rejected side are equal"),
        ("orpo", {"prompt": "1+1=", "chosen": "2", "rejected": None}, "line 17: its rejected side is empty"),
        (
            "kto",
            {"prompt": "1+1=", "completion": "2", "label": "good"},
            "line 17: its label is 'good'; it should be true (wanted) or false",
        ),
    ],
)
def test_a_row_that_prefers_nothing_is_one_line(
    command: str, row: dict[str, Any], line: str, begin: Callable[..., int], data: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bad = tmp_path / "bad.jsonl"
    bad.write_text(data[command].read_text() + json.dumps(row) + "\n")
    assert begin(command, tmp_path / "run", "--data", bad) == 2
    assert line in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_kto_says_how_the_labels_weigh_and_needs_both(
    begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = write(tmp_path / "few.jsonl", *(labelled(number) for number in (0, 1, 3, 5, 7)))
    assert begin("kto", tmp_path / "run", "--data", few, "--steps", "1") == 0
    assert "1 wanted and 4 unwanted answers weigh 0.25 to 1" in (said := capsys.readouterr().err)
    assert "--desirable-weight 4 to 5.33" in said
    good = write(tmp_path / "good.jsonl", *(labelled(number) for number in range(0, 8, 2)))
    assert begin("kto", tmp_path / "none", "--data", good) == 2
    assert "the data have no answer that is unwanted (label false); KTO needs both" in capsys.readouterr().err


def test_a_reference_with_another_tokenizer_is_one_line(
    begin: Callable[..., int], tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    other = tmp_path / "other"
    AutoModelForCausalLM.from_pretrained(model_folder).save_pretrained(other)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    tokenizer.add_tokens(["<tool>"])
    tokenizer.save_pretrained(other)
    assert begin("dpo", tmp_path / "run", "--reference-model", other) == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert f"error: --reference-model {other} has another tokenizer than --model {model_folder} (1 tokens differ, such as '<tool>')" in said


def test_kept_scores_of_other_data_or_another_model_are_one_line(
    begin: Callable[..., int], data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = ["--reference-scores", tmp_path / "scores", "--steps", "1"]
    assert begin("dpo", tmp_path / "first", *kept) == 0
    fewer = write(tmp_path / "fewer.jsonl", *map(pair, range(8)))
    capsys.readouterr()
    assert begin("dpo", tmp_path / "second", *kept, "--data", fewer) == 2
    assert f"--reference-scores {tmp_path / 'scores'}: the scores there are of other data" in capsys.readouterr().err
    assert not (tmp_path / "second").exists()
