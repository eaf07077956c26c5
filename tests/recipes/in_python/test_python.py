"""Reckon from Python: objects in, objects out, on a model of a few thousand weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import reckon
from recipes.in_python.closures import verify_by
from recipes.setup import arithmetic
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict

ROOT = Path(__file__).resolve().parents[3]
PROBLEMS = [{"prompt": f"{a}+1=", "answer": str(a + 1)} for a in range(6)]


@pytest.fixture
def made(one_thread: None) -> dict[str, Any]:
    tokenizer = arithmetic.make_tokenizer()
    torch.manual_seed(0)
    return {"tokenizer": tokenizer, "model": arithmetic.make_model(len(tokenizer), hidden=16, layers=1)}


# --- rewards ---------------------------------------------------------------------------------------------------------------


def test_functions_judge_in_this_process() -> None:
    seen: list[str] = []
    verify = verify_by(lambda problem, response: seen.append(response) or float(problem.answer in response))
    verdicts = verify([(make_problem("p", "7"), "it is 7"), (make_problem("p", "7"), "no")])
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0]
    assert seen == ["it is 7", "no"], "it is the very closure"


def test_trls_signature_and_a_sum_of_several() -> None:
    def length(completions: list[str], **columns: Any) -> list[float]:
        return [float(len(text)) for text in completions]

    def right(problem: Any, response: str) -> bool:
        return response == problem.answer

    verdict = verify_by([right, length])([(make_problem("p", "42"), "42")])[0]
    assert (verdict.score, verdict.status) == (3.0, Status.RIGHT)
    assert verify_by([length, right])([(make_problem("p", "42"), "4")])[0].score == 1.0


def test_what_a_function_raises_is_a_verdict_and_what_is_no_reward_is_an_error() -> None:
    def failing(problem: Any, response: str) -> float:
        raise KeyError("gone")

    verdict = verify_by(failing)([(make_problem("p", "1"), "1")])[0]
    assert (verdict.score, verdict.status) == (None, Status.CRASH)
    assert "gone" in verdict.detail
    with pytest.raises(InputError, match="'much'"):
        verify_by(lambda problem, response: "much")([(make_problem("p", "1"), "1")])


def test_threads_keep_the_order() -> None:
    pairs = [(make_problem("p", str(n)), str(n)) for n in range(50)]
    verdicts = verify_by(lambda problem, response: float(response), threads=4)(iter(pairs))
    assert [verdict.score for verdict in verdicts] == [float(n) for n in range(50)]


# --- training --------------------------------------------------------------------------------------------------------------


def test_a_model_in_memory_is_trained_in_place_by_a_closure(made: dict[str, Any], tmp_path: Path) -> None:
    asked: list[str] = []

    def reward(problem: Any, response: str) -> Verdict | float:
        asked.append(problem.prompt)
        return float(len(response) % 2)

    before = made["model"].lm_head.weight.detach().clone()
    run = reckon.grpo(
        **made, problems=[{"prompt": row["prompt"]} for row in PROBLEMS], reward=reward, run=tmp_path / "run", tune=reckon.Full(),
        engine=reckon.HF(), steps=2, problems_per_step=3, completions_per_problem=4, max_completion_length=6, lr=1e-2, warmup=0,
        system_prompt="",
    )  # fmt: skip
    assert run.model is made["model"]
    assert not torch.equal(before, run.model.lm_head.weight)
    assert set(asked) == {row["prompt"] for row in PROBLEMS}
    assert [row["step"] for row in run.metrics] == [0, 1, 2]
    accuracy = reckon.evaluate(run.policy, problems=PROBLEMS, max_completion_length=6)
    assert accuracy.total == 6
    assert "interval" in str(accuracy)


def test_stages_follow_each_other_as_objects(made: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"], "completion": f"<answer>{row['answer']}</answer>"} for row in PROBLEMS]
    first = reckon.sft(**made, data=rows, run=tmp_path / "sft", tune=reckon.Full(), steps=2, max_length=32)
    assert first.model is made["model"]
    assert [json.loads(line) for line in (tmp_path / "sft-data.jsonl").read_text().splitlines()] == rows
    pairs = [{"prompt": row["prompt"], "chosen": row["completion"], "rejected": "<answer>0</answer>"} for row in rows]
    second = reckon.dpo(model=first, data=pairs, run=tmp_path / "dpo", steps=2, max_length=32, tune=reckon.Lora(rank=2))
    assert second.metrics[-1]["rewards/accuracies"] >= 0
    assert (second.final / "adapter_config.json").exists()
    groups = reckon.sample(
        model=second, problems=PROBLEMS[:2], completions_per_problem=3, max_completion_length=5, run=tmp_path / "sample",
        engine=reckon.HF(), system_prompt="",
    )  # fmt: skip
    assert [len(group.completions) for group in groups] == [3, 3]


def test_a_run_goes_on_with_its_own_options(made: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"prompt": row["prompt"], "completion": row["answer"]} for row in PROBLEMS]
    asked = {"data": rows, "tune": reckon.Full(), "schedule": "constant", "max_length": 32}
    reckon.sft(**made, **asked, run=tmp_path / "run", steps=2)
    longer = reckon.sft(**made, data=rows, resume=tmp_path / "run", steps=3)
    assert [row["step"] for row in longer.metrics] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="lr"):
        reckon.sft(**made, data=rows, resume=tmp_path / "run", lr=0.5)


# --- mistakes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer": None}, "tokenizer is missing"),
        ({"stepz": 3}, "there is no option 'stepz'; did you mean steps?"),
        ({"data": [{"prompt": "1+1=", "completion": {1, 2}}]}, "row 0 of data is nothing that JSON can hold"),
    ],
)
def test_mistakes_are_one_line(made: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str) -> None:
    good = {"data": [{"prompt": "1+1=", "completion": "2"}], "run": tmp_path / "run", "tune": reckon.Full()}
    with pytest.raises(InputError, match=said.replace("?", r"\?")) as caught:
        reckon.sft(**made | good | change)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_functions_and_names_do_not_mix(made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all functions or all names"):
        reckon.grpo(**made, problems=PROBLEMS, reward=["math_answer", lambda problem, response: 1.0], run=tmp_path / "run")


def test_importing_it_is_cheap_and_every_name_is_there() -> None:
    import subprocess
    import sys

    heavy = "import sys, reckon; print(sorted({'torch', 'transformers', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    for name in dir(reckon):
        assert getattr(reckon, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'grpoo'"):
        reckon.grpoo  # noqa: B018


def test_the_notebook_runs(one_thread: None) -> None:
    cells = json.loads((ROOT / "docs" / "python.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102  # our own notebook
    assert names["better"].metrics[-1]["step"] == 2
