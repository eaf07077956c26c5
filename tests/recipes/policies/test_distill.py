"""`reckon distill`: a student comes nearer to its teacher by every way of asking it, resumes to the same bits, and refuses in one line."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.commands.cli import main
from recipes.policies import distill
from rl.learning.policy import Policy
from rl.runs.run_folder import read_lines
from rollout.engines.hf_engine import HFEngine
from tests.progress_lines import without_progress
from tests.rollout.engines.fake_vllm_server import FakeVLLMServer
from verifiers.input_error import InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "problems.jsonl").write_text(
        "".join(json.dumps({"prompt": f"{a} + {a}?", "answer": str(2 * a), "meta": {"level": a}}) + "\n" for a in range(6))
    )
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": f"Say {a}."}) + "\n" for a in range(6)))
    return folder / "problems.jsonl"


@pytest.fixture(scope="module")
def teacher(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student's model, changed a little in all of its weights."""
    folder = tmp_path_factory.mktemp("teacher") / "model"
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(model_folder).save_pretrained(folder)
    return folder


def words(model: Path | str, teacher: Path | str, data: Path, run: Path, *more: str | Path) -> list[str]:
    sizes = ["--problems-per-step", "3", "--completions-per-problem", "2", "--max-completion-length", "6", "--engine", "hf"]
    training = ["--lr", "3e-3", "--warmup", "0", "--workers", "1", "--system-prompt", "", "--max-grad-norm", "10"]
    given = ["--model", model, "--teacher", teacher, "--data", data, "--run", run, *sizes, *training, *more]
    return ["distill", *map(str, given)]


def kls(run: Path) -> list[float]:
    return [row["teacher_kl"] for row in read_lines(run / "metrics.jsonl")[1:]]


FULL, LORA = ["--tune", "full", "--k", "32"], ["--lora-rank", "8", "--lr", "1e-2"]


@pytest.mark.parametrize("how", [FULL, LORA])
def test_the_exact_kl_falls(how: list[str], model_folder: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(words(model_folder, teacher, data, run, "--algorithm", "top-k", *how, "--steps", "20")) == 0
    found = kls(run)
    assert sum(found[-5:]) < 0.85 * sum(found[:5])
    assert all(value >= 0 for value in found)
    assert (run / "final").is_dir()


@pytest.mark.slow
def test_by_sampled_tokens_it_falls_too(model_folder: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    """A token says little: the KL to the teacher is measured afterwards, by the exact one."""
    run, sizes = tmp_path / "run", ["--problems-per-step", "6", "--completions-per-problem", "16", "--tune", "full"]
    assert main(words(model_folder, teacher, data, run, *sizes, "--steps", "25")) == 0
    for name, model in (("before", model_folder), ("after", run / "final")):
        exact = [*sizes, "--algorithm", "top-k", "--k", "200", "--steps", "1", "--lr", "1e-9"]
        assert main(words(model, teacher, data, tmp_path / name, *exact)) == 0
    assert kls(tmp_path / "after")[0] < 0.8 * kls(tmp_path / "before")[0]


def test_prompts_alone_are_read_as_problems_are(tmp_path: Path) -> None:
    """Dotted names, turns of the model's own, parts with weights and limits, answers that are none."""
    asked = {"role": "user", "content": "Add."}
    rows = [{"it": {"prompt": "1?"}, "answer": None, "solve_rate": 0.5}, {"it": {"prompt": [asked]}, "answer": {"a": 1}, "verifier": "x:y"}]
    for name, more in (("a", []), ("b", [{"it": {"prompt": "3?"}}, {"it": {"prompt": "3?"}}])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]))
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    config = distill.Config(model="m", teacher="t", judged=False, data=(str(a),), prompt_column="it.prompt")
    first, second = distill.read_prompts(config).problems
    assert (first.prompt, first.answer, first.meta["solve_rate"], first.verifier) == ("1?", "", 0.5, "math_answer")
    assert (second.prompt, second.answer) == ((asked,), "{'a': 1}")
    mixed = distill.read_prompts(replace(config, data=(f"{b}=0.5", f"{a}=0.5")))
    assert [problem.prompt for problem in mixed.problems] == ["1?", (asked,), "3?"]
    assert [problem.prompt for problem in distill.read_prompts(replace(config, data=(str(a), str(b)), limit=1)).problems] == ["1?"]

    said = {"role": "assistant", "content": "The gold answer is 2."}
    a.write_text(json.dumps({"prompt": [asked, said]}) + "\n")
    config = replace(config, prompt_column=None)
    with pytest.raises(InputError, match=r"a\.jsonl, line 1: 'prompt' ends with the assistant's turn, .*--drop-answer-turn"):
        distill.read_prompts(config)
    assert distill.read_prompts(replace(config, drop_answer_turn=True)).problems[0].prompt == (asked,)
    for wrong, why in ((5, "'prompt' is 5; a prompt is a text"), ([asked, 1], "'prompt' is"), ("", "'prompt' is ''")):
        a.write_text(json.dumps({"prompt": wrong}) + "\n")
        with pytest.raises(InputError, match=f"line 1: {why}"):
            distill.read_prompts(config)


def test_one_completion_of_prompts_without_answers(model_folder: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ["--no-judged", "--completions-per-problem", "1", "--steps", "1", "--lora-rank", "2"]
    assert main(words(model_folder, teacher, data.parent / "prompts.jsonl", run, *more)) == 0
    row = read_lines(run / "metrics.jsonl")[1]
    assert (row["effective_batch"], row["verdicts/no_answer"], row["updates"]) == (3, 3, 1)


@pytest.mark.slow
def test_a_teacher_behind_an_engine_or_a_server_teaches_the_same(model_folder: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    policy, engine = Policy(AutoModelForCausalLM.from_pretrained(teacher), device="cpu"), HFEngine(pad_id=0)
    engine.load_policy(policy.weights(), 0)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    server = FakeVLLMServer(engine, encode=lambda text: list(tokenizer.encode(text, add_special_tokens=False)))
    for name, place, more in (("model", teacher, []), ("engine", teacher, ["--teacher-by", "engine"]), ("server", server.url, [])):
        assert main(words(model_folder, place, data, tmp_path / name, "--steps", "2", "--lora-rank", "2", *more)) == 0
    server.close()
    for name in ("engine", "server"):
        assert kls(tmp_path / name) == pytest.approx(kls(tmp_path / "model"), abs=1e-3)


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(run / "final" / "adapter_model.safetensors"))


def _live(arguments: list[str]) -> None:
    os._exit(main(arguments))


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_bits(model_folder: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    more = ["--steps", "4", "--lora-rank", "2", "--checkpoint-every", "2", "--eval-data", str(data), "--algorithm", "top-k", "--k", "8"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    (tmp_path / "other.jsonl").write_text(json.dumps({"prompt": "9 - 9?", "answer": "0"}) + "\n")
    more[more.index(str(data))] = str(tmp_path / "other.jsonl")
    assert main(words(model_folder, teacher, data, whole, *more)) == 0
    arguments = words(model_folder, teacher, data, run, *more)
    for until in (run / "rollouts" / "step-000001.parquet", run / "checkpoints" / "step-000002", run / "rollouts" / "step-000004.parquet"):
        life = multiprocessing.get_context("fork").Process(target=_live, args=(arguments,))
        life.start()
        began = time.monotonic()
        while not until.exists() and life.is_alive():
            assert time.monotonic() - began < 120
            time.sleep(0.002)
        assert life.pid
        os.kill(life.pid, signal.SIGKILL)
        life.join()
        arguments = ["distill", "--resume", str(run)]
    assert main(arguments) == 0
    mine, wanted = tensors(run), tensors(whole)
    assert all(torch.equal(mine[name], value) for name, value in wanted.items())


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    return without_progress(capsys.readouterr().err).splitlines()[-1]


def other_words(model: Path, folder: Path) -> Path:
    """The same model, whose tokenizer says two letters the other way round."""
    shutil.copytree(model, folder)
    saved = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = saved["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    return folder


def test_bad_input_is_one_line_before_anything_heavy(
    model_folder: Path, teacher: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def loaded(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("rl.learning.starting_model.load_model", loaded)

    def said(place: Path | str, *more: str) -> str:
        return refused(capsys, words(model_folder, place, data, run, *more))

    assert "--teacher is missing" in refused(capsys, ["distill", "--model", str(model_folder), "--data", str(data)])
    other = other_words(teacher, tmp_path / "other")
    assert said(other).startswith(
        f"error: --teacher {other} has another tokenizer than --model {model_folder} (2 tokens differ, such as 'a')"
    )
    assert "error: --teacher" in said(tmp_path / "nowhere")
    small = shutil.copytree(teacher, tmp_path / "small")
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
    assert said(small).startswith(f"error: --teacher {small} has 100 tokens, and its tokenizer has the token 25")
    assert "no teacher is served there" in said("http://127.0.0.1:9")
    assert "needs the teacher's most likely tokens, and a server says those of given tokens alone" in said(
        "http://x", "--algorithm", "top-k"
    )
    assert "and an engine says those of given" in said(teacher, "--algorithm", "top-k", "--teacher-by", "engine")
    assert "--k 5000: the teacher has 259 tokens" in said(teacher, "--algorithm", "top-k", "--k", "5000")
    assert "a server says log-probabilities at temperature 1 alone" in said("http://x", "--temperature", "0.5")
    assert "--reward and held-out problems would be ignored" in said(teacher, "--no-judged", "--held-out", "2")
    assert "--to-go would be ignored with --algorithm top-k" in said(teacher, "--algorithm", "top-k", "--to-go")
    assert "--algorithm is one of 'sampled', 'top-k'" in said(teacher, "--algorithm", "grpo")
    assert not run.exists()


@pytest.mark.parametrize("more", [[], ["--no-judged"]])
def test_its_plan_counts_the_teacher(
    more: list[str], model_folder: Path, teacher: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["plan", *words(model_folder, teacher, data, tmp_path / "run", "--algorithm", "top-k", "--k", "9", *more)]) == 0
    said = capsys.readouterr().out
    assert "v the 9 ids that the teacher finds most likely" in said
    assert re.search(r"^  teacher +0\.\d MiB$", said, re.MULTILINE)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def made(model_folder: Path) -> Callable[[], Any]:
    return lambda: {"model": AutoModelForCausalLM.from_pretrained(model_folder), "tokenizer": AutoTokenizer.from_pretrained(model_folder)}


def test_from_python(made: Callable[[], Any], teacher: Path, tmp_path: Path) -> None:
    import reckon

    run = reckon.distill(
        **made(), teacher=teacher, problems=[{"prompt": f"Say {n}."} for n in range(4)], run=tmp_path / "run", steps=1, lr=1e-3, warmup=0,
        problems_per_step=2, completions_per_problem=1, max_completion_length=4, engine=reckon.HF(), tune=reckon.Lora(rank=2),
        algorithm=reckon.TopK(k=16),
    )  # fmt: skip
    assert run.metrics[-1]["effective_batch"] == 2
    assert run.metrics[-1]["teacher_kl"] > 0
