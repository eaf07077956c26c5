"""Reckon from Python: objects in, objects out, on a model of a few thousand weights."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

import reckon
from recipes.in_python.closures import verify_by
from recipes.in_python.objects import given_problems
from recipes.setup import arithmetic
from recipes.setup.model_source import find_model, in_memory
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
        ({"num_train_epochs": 3}, "num_train_epochs is TRL's name; here it is epochs$"),
        ({"per_device_train_batch_size": 3}, "here it is examples_per_step .*; tokens_per_micro_batch is the memory setting"),
        ({"data": None, "train_dataset": []}, "train_dataset is TRL's name; here it is data, or problems"),
        ({"data": [{"prompt": "1+1=", "completion": {1, 2}}]}, "row 0 of data is nothing that JSON can hold"),
    ],
)
def test_mistakes_are_one_line(made: dict[str, Any], tmp_path: Path, change: dict[str, Any], said: str) -> None:
    good = {"data": [{"prompt": "1+1=", "completion": "2"}], "run": tmp_path / "run", "tune": reckon.Full()}
    with pytest.raises(InputError, match=said.replace("?", r"\?")) as caught:
        reckon.sft(**made | good | change)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_rows_without_answers_are_read_as_others_are() -> None:
    """A closure may find its answer elsewhere in the row; the prompt is one all the same, and never holds the answer."""
    rows = [{"question": "1?", "target": 5, "answer": None}, {"question": "1?", "target": 7, "meta": {"level": 2}}]
    given, _ = given_problems([*rows, {"question": "2?"}], lambda problem, response: 1.0)
    assert [(problem.prompt, problem.answer) for problem in given.problems] == [("1?", ""), ("1?", ""), ("2?", "")]
    assert [dict(problem.meta) for problem in given.problems] == [{"target": 5}, {"target": 7, "level": 2}, {}]
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    for wrong, why in (
        ({"prompt": turns}, "ends with the assistant's turn"),
        ({"prompt": 5}, "is 5; a prompt is a text"),
        ({"x": 1}, "no 'prompt'"),
    ):
        with pytest.raises(InputError, match=f"problems, row 1: .*{why}"):
            given_problems([{"prompt": "1?"}, wrong], lambda problem, response: 1.0)


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


def test_every_choice_of_the_options_has_its_name_here() -> None:
    from dataclasses import is_dataclass

    from recipes.setup import choices

    own = {name for name, value in vars(choices).items() if is_dataclass(value) and value.__module__ == choices.__name__}
    assert own - set(dir(reckon)) == set()
    assert all(getattr(reckon, name) is getattr(choices, name) for name in own)


def test_the_numbers_of_a_run_go_to_a_tracker_that_is_given_as_an_object(made: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    _sft(made, tmp_path / "run", tune=reckon.Full(), track=reckon.TensorBoard(run_name="mine"))
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))


def test_the_notebook_runs(one_thread: None) -> None:
    cells = json.loads((ROOT / "docs" / "python.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102  # our own notebook
    assert names["better"].metrics[-1]["step"] == 2


def _sft(made: dict[str, Any], run: Path, **options: Any) -> reckon.Run:
    rows = [{"prompt": row["prompt"], "completion": row["answer"]} for row in PROBLEMS]
    return reckon.sft(**{**made, "data": rows, "run": run, "steps": 1, "examples_per_step": 2, **options})  # type: ignore[no-any-return]


def test_a_run_goes_on_with_rows_and_other_rows_do_not_take_their_place(made: dict[str, Any], tmp_path: Path) -> None:
    made |= {"tune": reckon.Full()}
    model = copy.deepcopy(made["model"])
    _sft(made, tmp_path / "run", schedule="constant", warmup=0)
    kept = (tmp_path / "run-data.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"run-data\.jsonl holds other rows than those given"):
        _sft(made | {"model": model}, tmp_path / "run", data=[{"prompt": "1+1=", "completion": "3"}])
    assert (tmp_path / "run-data.jsonl").read_bytes() == kept
    again = _sft(made | {"model": model}, None, resume=str(tmp_path / "run"), steps=2, schedule="constant", warmup=0)  # type: ignore[arg-type]
    assert [row["step"] for row in again.metrics] == [0, 1, 2]


def test_a_merged_model_which_comes_frozen_trains_whole(made: dict[str, Any], tmp_path: Path) -> None:
    made["model"].save_pretrained(tmp_path / "model")  # peft looks at the place that a model names
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    merged = _sft(made | {"model": model}, tmp_path / "lora").model.merge_and_unload()
    before = merged.lm_head.weight.detach().clone()
    after = _sft(made | {"model": merged}, tmp_path / "full", tune=reckon.Full(), lr=1e-2, warmup=0)
    assert not torch.equal(before, after.model.lm_head.weight)


def test_two_models_in_memory_never_share_a_name() -> None:
    first, second = in_memory("a", "a"), in_memory("b", "b")
    first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    with in_memory("c", "c") as name:
        assert find_model(name).load_tokenizer() == "c"
        assert find_model("in-memory/model-2").load_tokenizer() == "b"
    second.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"steps": "3"}, "steps must be a whole number (or null), not '3'"),
        ({"steps": 2.5}, "steps must be a whole number (or null), not 2.5"),
        ({"dtype": "fp8"}, "dtype must be one of fp32, bf16, auto, not 'fp8'"),
        ({"tune": "both"}, "tune must be one of lora, full, not 'both'"),
        ({"model": object()}, "model is object; give a transformers model"),
        ({"tokenizer": 42}, "tokenizer is int; give the model's transformers tokenizer"),
        ({"model": torch.nn.Linear(1, 1, device="meta")}, "model is Linear; give a transformers model"),
    ],
)
def test_what_cannot_be_is_one_line(options: dict[str, Any], line: str, made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        _sft(made, tmp_path / "run", **options)
    assert str(raised.value).startswith(line)
    assert not (tmp_path / "run").exists()


def test_a_model_without_weights_is_one_line(made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights"):
        _sft(made | {"model": made["model"].to("meta")}, tmp_path / "run")


def test_no_problems_are_one_line(made: dict[str, Any], tmp_path: Path) -> None:
    for reward in (None, lambda problem, response: 1.0):
        with pytest.raises(InputError, match="problems holds none"):
            reckon.sample(**made, problems=[], reward=reward, run=tmp_path / "run")
