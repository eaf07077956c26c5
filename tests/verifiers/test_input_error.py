"""What is offered instead of a name or a folder that is not there, and when nothing is."""

from pathlib import Path

import pytest

from recipes.commands.cli import main
from tests.progress_lines import without_progress
from verifiers.input_error import missing_place, nearest

OPTIONS = ("--model", "--data", "--out", "--reward", "--steps", "--held-out")


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("--modle", OPTIONS, "--model"),
        ("--rewards", OPTIONS, "--reward"),
        ("--held", OPTIONS, "--held-out"),
        ("grpo", ("grpo-math", "verify"), "grpo-math"),
        ("verfy", ("grpo-math", "verify"), "verify"),
        ("--port", OPTIONS, None),
        ("--foo", OPTIONS, None),
        ("--colour", OPTIONS, None),
        ("--s", OPTIONS, None),
        ("train", ("grpo-math", "verify", "plan"), None),
        ("grpo", ("grpo-math", "grpo-tools"), None),
    ],
)
def test_did_you_mean_is_silent_when_nothing_is_near(name: str, known: tuple[str, ...], near: str | None) -> None:
    assert nearest(name, known) == near


def one_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    [line] = without_progress(capsys.readouterr().err).splitlines()
    return line


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "gsm8k").mkdir(parents=True)
    (tmp_path / "my-model").mkdir()
    (tmp_path / "problems.jsonl").write_text('{"prompt": "1+1", "answer": "2"}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("data/gsm8", "there is no file or folder data/gsm8; did you mean data/gsm8k?"),
        ("./my-modell", "there is no file or folder ./my-modell; did you mean my-model?"),
        ("/no/such/folder", "there is no file or folder /no/such/folder (there is no /no)"),
        ("dta/x/gsm8k", "there is no file or folder dta/x/gsm8k (there is no dta); did you mean data?"),
        ("my model", "there is no file or folder my model; did you mean my-model?"),
        ("~/nowhere-at-all", "there is no file or folder ~/nowhere-at-all"),
        ("data/gsm8k", None),
        ("openai/gsm8k", None),
        ("gpt2", None),
        ("Qwen/Qwen2.5-0.5B", None),
    ],
)
def test_a_mistyped_folder_is_told_from_a_hub_id(place: str, says: str | None) -> None:
    assert missing_place(place) == says


def test_a_mistyped_folder_is_told_as_a_missing_folder_for_data_and_model(capsys: pytest.CaptureFixture[str]) -> None:
    run = ("grpo-math", "--model", "my-model", "--data")
    assert "no file or folder data/gsm8; did you mean data/gsm8k?" in one_line(capsys, *run, "data/gsm8")
    assert "no file or folder ./dat" in one_line(capsys, "audit", "./dat")
    for model in ("data/modell", "./my-modell", "my-modell"):
        line = one_line(capsys, "grpo-math", "--data", "problems.jsonl", "--model", model)
        assert f"there is no file or folder {model}" in line
        assert ("did you mean my-model?" in line) is (model != "data/modell")
    assert "huggingface" not in one_line(capsys, "grpo-math", "--data", "problems.jsonl", "--model", "./my-modell")


def test_a_mistyped_folder_of_mining_inputs_is_told_with_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    line = one_line(capsys, "mine", "extract", "data/gsm8", "--out", "out.jsonl.gz")
    assert "data/gsm8: no such file or folder; did you mean data/gsm8k?" in line
