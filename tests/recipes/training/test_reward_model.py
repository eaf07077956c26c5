"""`reckon reward-model` from its words to a model with a head on disk: what it learns, what is held out, kill -9, and what it refuses."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from recipes.commands.cli import main
from recipes.setup.model_source import find_model
from rl.learning.learner import Learner, ValueHead
from rl.learning.value_heads import FILE, head_facts, load_value_head
from rl.objectives.batch import lay_out
from rl.runs.run_folder import read_lines
from tests.kills import killed_when
from tests.progress_lines import without_progress

SMALL = ["--lr", "1e-2", "--examples-per-step", "4", "--steps", "6", "--warmup", "0", "--schedule", "constant", "--lora-rank", "2"]
HELD_OUT = ["--held-out", "4", "--eval-every", "3"]
KINDS = ("outcome-pairs", "outcome", "process")


def row(kind: str, number: int) -> dict[str, Any]:
    """Two rows a problem: sums, with a question mark in what is wrong."""
    prompt, good = f"{number // 2}+1=", number % 2 == 0
    if kind == "outcome-pairs":
        return {"prompt": prompt, "chosen": f"{number}.", "rejected": f"{number}?"}
    if kind == "outcome":
        return {"prompt": prompt, "completion": f"{number}{'.' if good else '?'}", "label": good}
    return {"prompt": prompt, "completions": [f"{number}.", f"{number}{'.' if good else '?'}"], "labels": [True, good]}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {kind: write(folder / f"{kind}.jsonl", *(row(kind, number) for number in range(24))) for kind in KINDS}


@pytest.fixture(scope="module")
def begin(model_folder: Path, data: dict[str, Path]) -> Callable[..., int]:
    """(kind, run, more words) -> a new run's exit code."""

    def start(kind: str, run: Path, *more: str | Path) -> int:
        words = ["reward-model", "--kind", kind, "--model", model_folder, "--data", data[kind], "--run", run, *SMALL, *more]
        return main(list(map(str, words)))

    return start


@pytest.fixture(scope="module")
def straight(begin: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("straight")
    for kind in KINDS:
        assert begin(kind, folder / kind, *HELD_OUT) == 0
    return {kind: folder / kind for kind in KINDS}


def numbers(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in each.items() if not k.startswith(("time/", "speed/"))} for each in read_lines(run / "metrics.jsonl")]


def weights(run: Path) -> dict[str, Any]:
    return dict(load_file(run / "final" / "adapter_model.safetensors")) | dict(load_file(run / "final" / FILE))


@pytest.mark.parametrize("kind", KINDS)
def test_it_judges_what_it_has_not_seen_better_than_before(kind: str, straight: dict[str, Path]) -> None:
    rows = numbers(straight[kind])
    seen = {each["step"]: each for each in rows if "eval/loss" in each}
    assert list(seen) == [0, 3, 6]
    assert seen[0]["eval/loss"] == pytest.approx(0.693147, abs=1e-5)  # the head begins without an opinion
    assert seen[6]["eval/loss"] < seen[0]["eval/loss"]
    assert seen[6]["eval/auc"] > 0.9
    assert seen[6]["eval/total"] == {"outcome-pairs": 8, "outcome": 8, "process": 16}[kind]  # four problems of two rows
    assert 0 <= seen[6]["eval/ece"] <= 1
    assert sum(seen[6][f"eval/reliability/{n}/count"] for n in range(10)) == {"outcome-pairs": 16, "outcome": 8, "process": 16}[kind]
    assert {path.stem for path in (straight[kind] / "plots").iterdir()} >= {"loss", "judgement", "reliability"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_is_beside_the_adapter_and_says_its_kind(kind: str, straight: dict[str, Path]) -> None:
    final = str(straight[kind] / "final")
    assert head_facts([final]) == {"kind": kind}
    checkpoint = str(straight[kind] / "checkpoints" / "step-000006" / "model")
    assert head_facts([checkpoint]) == {"kind": kind}
    weight = load_value_head([final])
    assert torch.equal(load_value_head([checkpoint]), weight)  # type: ignore[arg-type]
    assert weight is not None
    assert weight.abs().sum() > 0


@pytest.mark.parametrize("kind", ["process"])
def test_killed_and_resumed_it_is_the_same_to_the_last_bit(
    kind: str, begin: Callable[..., int], straight: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def live() -> None:
        os._exit(begin(kind, run, *HELD_OUT, "--checkpoint-every", "2"))

    killed_when(lambda: len(read_lines(run / "metrics.jsonl")) >= 4, live)
    assert main(["reward-model", "--resume", str(run)]) == 0
    assert numbers(run) == numbers(straight[kind])
    assert all((tensor == weights(straight[kind])[name]).all() for name, tensor in weights(run).items())


def test_it_goes_on_from_a_reward_model(straight: dict[str, Path], begin: Callable[..., int], tmp_path: Path) -> None:
    """From an adapter with a head, further or merged, the first step knows what the last one learnt."""
    learnt = numbers(straight["outcome-pairs"])[-1]["eval/loss"]
    for name, words in {"continued": [], "merged": ["--from-adapter", "merge"]}.items():
        more = [] if name == "merged" else ["--lora-rank", "2"]
        assert begin("outcome-pairs", tmp_path / name, *HELD_OUT, "--model", straight["outcome-pairs"], *words, *more) == 0
        assert numbers(tmp_path / name)[0]["eval/loss"] == pytest.approx(learnt, abs=1e-4)
    assert (tmp_path / "merged" / "base" / FILE).exists()


def test_a_whole_model_is_written_as_a_classifier_too(begin: Callable[..., int], tmp_path: Path, model_folder: Path) -> None:
    """transformers' own class gives what ours does at the last token, and the folder is read as a model with a head again."""
    from transformers import AutoModelForSequenceClassification

    run = tmp_path / "run"
    words = [word for word in SMALL if word not in ("--lora-rank", "2")]
    data = write(tmp_path / "pairs.jsonl", *(row("outcome-pairs", number) for number in range(8)))
    options = ["--model", model_folder, "--data", data, "--run", run, *words, "--tune", "full", "--lr", "1e-3", "--classifier"]
    assert main(["reward-model", *map(str, options)]) == 0
    batch = lay_out([[3, 4, 5, 6], [7, 8]], [[False, False, False, True], [False, True]], [1, 1])
    scores = []
    for place in (run / "final", run / "classifier"):
        source = find_model(str(place))
        learner = Learner(source.load_model(judges=True), value_head=ValueHead(load_value_head([source.base])), device="cpu")
        scores.append(learner.look(batch, ("score",))["score"][batch.mask])
    theirs = AutoModelForSequenceClassification.from_pretrained(run / "classifier")
    with torch.no_grad():
        padded = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
        expected = theirs(padded, attention_mask=torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])).logits.squeeze(-1)
    for score in scores:
        torch.testing.assert_close(score, expected, atol=1e-5, rtol=1e-5)
    assert (
        main(
            ["sft", "--model", str(run / "classifier"), "--data", str(data), "--completion-column", "chosen", "--run", str(tmp_path / "no")]
        )
        == 2
    )


def test_no_problem_is_on_both_sides(
    begin: Callable[..., int], data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = write(tmp_path / "unseen.jsonl", *(row("outcome", number) for number in range(4)))
    assert begin("outcome", tmp_path / "run", "--eval-data", unseen, "--steps", "1") == 0
    said = capsys.readouterr()
    assert "4 whose problem is in --eval-data" in said.err
    assert "told right" in said.out + said.err
    assert "chosen wins" not in said.out + said.err  # of labels nothing is chosen
    assert begin("outcome", tmp_path / "none", "--eval-data", data["outcome"]) == 2
    assert "every problem is also in --eval-data; nothing is left to train on" in capsys.readouterr().err


# --- bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words", "line"),
    [
        ("outcome", ["--margin", "1"], "--margin would be ignored with --kind outcome; leave it out"),
        ("process", ["--label-column", "y"], "--label-column would be ignored with --kind process; leave it out"),
        ("outcome", ["--margin-column", "m"], "--margin-column would be ignored with --kind outcome; leave it out"),
        ("outcome-pairs", ["--centering", "-1"], "--centering must be 0 or more, not -1.0"),
        ("outcome-pairs", ["--centering", "nan"], "--centering must be 0 or more, not nan"),
        ("outcome-pairs", ["--margin", "inf"], "--margin must be 0 or more, not inf"),
        ("outcome-pairs", ["--classifier"], "--classifier writes a whole model, and --tune lora trains an adapter"),
        ("outcome-pairs", ["--held-out", "12"], "--held-out 12: there are only 12 problems; keep fewer for evaluation"),
        ("outcome-pairs", ["--kind", "outcom"], "--kind is one of"),
    ],
)
def test_a_bad_option_is_one_line_and_nothing_is_written(
    kind: str, words: list[str], line: str, begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert begin(kind, tmp_path / "run", *words) == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert said.startswith(f"error: {line}"), said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "said"), [("outcome", "all answers of the data are wrong"), ("process", "all steps of the data are right")]
)
def test_labels_that_are_all_the_same_teach_nothing(
    kind: str, said: str, begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row(kind, number) for number in range(24)]
    same = [each for each in rows if (not each["label"] if kind == "outcome" else all(each["labels"]))]
    assert begin(kind, tmp_path / "run", "--data", write(tmp_path / "same.jsonl", *same)) == 2
    assert said in without_progress(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_nothing_left_says_what_was_left_out(begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin("outcome-pairs", tmp_path / "run", "--max-length", "3") == 2
    said = without_progress(capsys.readouterr().err).strip()
    assert "holds nothing to train on: of its rows, 24 longer than 3 tokens" in said
    assert not (tmp_path / "run").exists()


def test_each_pair_has_its_own_margin(begin: Callable[..., int], tmp_path: Path) -> None:
    """A fresh head says 0 of everything, so the first loss is the mean of log(1 + exp(m)); a margin of all pairs adds to each one's own."""
    first = {}
    for name, margins, words in (
        ("same", (0.25, 0.25), ["--margin", "0.5"]),
        ("two", (0.0, 2.0), []),
        ("unread", (0.0, 2.0), None),
    ):
        rows = [row("outcome-pairs", number) | {"m": margins[number % 2]} for number in range(4)]
        data = write(tmp_path / f"{name}.jsonl", *rows)
        asked = [] if words is None else ["--margin-column", "m", *words]
        assert begin("outcome-pairs", tmp_path / name, "--data", data, *asked, "--steps", "1", "--overwrite") == 0
        first[name] = numbers(tmp_path / name)[-1]["loss"]
    assert first["same"] == pytest.approx(1.136871, abs=1e-5)  # log(1 + exp(0.75))
    assert first["two"] == pytest.approx((0.693147 + 2.126928) / 2, abs=1e-5)
    assert first["unread"] == pytest.approx(0.693147, abs=1e-5)


@pytest.mark.parametrize(("margin", "line"), [("much", "its margin is 'much'"), (-1, "its margin is -1"), (True, "its margin is True")])
def test_a_margin_that_is_none_is_one_line(
    margin: Any, line: str, begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path / "bad.jsonl", row("outcome-pairs", 0) | {"margin": margin})
    assert begin("outcome-pairs", tmp_path / "run", "--data", bad, "--margin-column", "margin") == 2
    assert f"line 1: {line}; it should be a number, 0 or more" in capsys.readouterr().err
    assert begin("outcome-pairs", tmp_path / "run", "--data", bad, "--margin-column", "by") == 2
    assert (
        "no margin among its fields (prompt, chosen, rejected, margin); say which one it is with --margin-column" in capsys.readouterr().err
    )


def test_a_step_that_ends_outside_is_one_line(begin: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write(tmp_path / "bad.jsonl", {"prompt": "1+1=", "response": "2", "steps": [{"end": 9, "score": 1}]})
    assert begin("process", tmp_path / "run", "--data", bad) == 2
    assert "line 1: a step ends at character 9, outside of its answer, which has 1; mend the data" in capsys.readouterr().err


def test_a_damaged_head_is_one_line(
    begin: Callable[..., int], straight: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(straight["outcome"] / "final", folder)
    (folder / FILE).write_bytes(b"no tensors")
    assert begin("outcome", tmp_path / "run", "--model", folder) == 2
    assert f"{folder / FILE} is damaged" in capsys.readouterr().err
