"""final/README.md: the facts of its run, whatever trained it, and nothing of this machine or of a form."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.commands.cli import main
from recipes.setup.model_card import _command, write_card

SMALL = [
    "--steps",
    "1",
    "--problems-per-step",
    "2",
    "--completions-per-problem",
    "2",
    "--max-completion-length",
    "4",
    "--workers",
    "1",
    "--engine",
    "hf",
]


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    file = tmp_path / "problems.jsonl"
    file.write_text("".join(json.dumps({"problem": f"{n}+1=", "answer": str(n + 1)}) + "\n" for n in range(8)))
    return file


def trained(monkeypatch: pytest.MonkeyPatch, run: Path, *words: object) -> tuple[dict[str, Any], str]:
    """(metadata, text) of the card that this command leaves in its run."""
    said = [*map(str, words), "--run", str(run)]
    monkeypatch.setattr("sys.argv", ["/home/somebody/.venv/bin/reckon", *said])
    assert main(said) == 0
    text = (run / "final" / "README.md").read_text()
    assert str(run.parent) not in text, "no path of this machine"
    assert "More Information Needed" not in text
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_of_an_online_adapter(model_folder: Path, problems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--model", model_folder, "--data", problems, "--held-out", 4, *SMALL)
    head, text = trained(monkeypatch, tmp_path / "run", "grpo-math", *words)
    assert head["tags"] == ["reckon", "grpo"]
    assert (head["library_name"], "base_model" in head) == ("peft", False), "a folder of ours is no id that others can load"
    assert text.startswith(f"\n# run\n\nAn adapter (LoRA) trained with Reckon, on {model_folder.name}.\n")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = rows[-1]
    assert f"| {last['eval/accuracy']:.4g} (step 1), 95 % {last['eval/low']:.3f} to {last['eval/high']:.3f}, of 4 |" in text
    assert f"| eval/accuracy | {rows[0]['eval/accuracy']:.4g} (step 0), 95 % {rows[0]['eval/low']:.3f}" in text
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (
        f"| verifiers, with their version or a hash of their code | math_answer (reckon-rl {manifest['packages']['reckon-rl']}) |" in text
    )
    assert "| method | reckon grpo-math, grpo |" in text
    assert "| data | problems.jsonl |" in text
    assert "| problems or examples, held out ones included | 8 |" in text
    assert f"{manifest['hardware']['cores']} cores |" in text
    assert f"| command | `reckon grpo-math --model {model_folder.name} --data problems.jsonl --held-out 4 --steps 1" in text


def test_of_all_parameters_and_of_what_is_written(
    model_folder: Path, problems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, text = trained(monkeypatch, tmp_path / "full", "grpo-math", "--model", model_folder, "--data", problems, "--tune", "full", *SMALL)
    assert head["library_name"] == "transformers"
    assert f"A model trained with Reckon, on {model_folder.name}." in text
    data = tmp_path / "solutions.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"{n}+1=", "completion": str(n + 1)}) + "\n" for n in range(4)))
    head, text = trained(monkeypatch, tmp_path / "sft", "sft", "--model", model_folder, "--data", data, "--steps", 1)
    assert head["library_name"] == "peft"
    assert "| method | reckon sft |" in text
    assert "| problems or examples, held out ones included | 4 |" in text
    assert "| loss | " in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/opt/bin/reckon", "sft", "--data", "/home/me/a b/c.jsonl", "--run=/x/y"], "reckon sft --data c.jsonl"),
        (["/x/recipes/r1.py", "--tiny", "--run", "/x/y"], "python -m recipes.r1 --tiny"),
        (["/x/recipes/commands/cli.py", "ppo", "--eval", "a=/d/e.jsonl"], "reckon ppo --eval a=e.jsonl"),
        (["reckon", "ppo", "--reward", "/d/mine.py:f=0.5", "--server-url", "http://box:1"], "reckon ppo --reward mine.py:f=0.5"),
        (["reckon", "ppo", "--reward", 'judge(endpoint="http://box:1")'], "reckon ppo --reward URL"),
        (["/home/me/notebook.py", "a"], ""),
        (None, ""),
    ],
)
def test_a_command_without_its_machine(words: list[str] | None, said: str) -> None:
    assert _command(words) == said


def test_a_prompt_of_several_lines_stays_in_its_row(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"command": ["reckon", "grpo-math", "--system-prompt", "Think.\n\n| Then | say."]}))
    write_card(tmp_path / "README.md", name="m", run=tmp_path, base=None, adapter=False)
    [row] = [line for line in (tmp_path / "README.md").read_text().splitlines() if "Think." in line]
    assert row.startswith("| command | `reckon grpo-math")
    assert row.count("|") == 3
    assert row.endswith("|")
