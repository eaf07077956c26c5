"""The stories of one method: what they refuse, and (slow) that each tells of a model that got better."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.measured_stages import Story, begin
from verifiers.input_error import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give --model, --data and --eval-data, or --tiny"),
        ({"model": "m", "data": "d"}, "give --model, --data and --eval-data"),
        ({"tiny": True, "eval_data": "e.jsonl"}, "--eval-data would be ignored with --tiny"),
    ],
)
def test_a_start_that_is_not_whole_is_one_line(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        begin(Story(run=tmp_path / "story", **options))  # type: ignore[arg-type]
    assert not (tmp_path / "story").exists()


def test_only_a_storys_folder_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    story = Story(run=tmp_path / "mine", model="m", data="d", eval_data="e")
    with pytest.raises(InputError, match="exists; choose another"):
        begin(story)
    with pytest.raises(InputError, match="not a story's folder"):
        begin(Story(run=tmp_path / "mine", model="m", data="d", eval_data="e", overwrite=True))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"
    begin(Story(run=tmp_path / "new", model="m", data="d", eval_data="e"))
    begin(Story(run=tmp_path / "new", model="m", data="d", eval_data="e", overwrite=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft_math", "dpo_math", "orpo_math", "rft_math"])
def test_the_tiny_model_gets_better(tmp_path: Path, name: str) -> None:
    words = [sys.executable, "-m", f"recipes.{name}", "--tiny", "--run", str(tmp_path / "story")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=True)
    result = json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert result["ci95"][0] > result["before"]
