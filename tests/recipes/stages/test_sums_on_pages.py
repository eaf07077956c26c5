"""A tiny story's problems: what is written on the pages is what is read off them, and nothing of it is held out."""

import json
import re
from pathlib import Path

import pytest

from data_pipeline.commands.demo_exercises import write_exercises
from data_pipeline.commands.mine_command import command
from recipes.setup import arithmetic, online
from recipes.setup.model_source import find_model
from recipes.stages import sums_on_pages
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import read_problems


def test_what_is_written_on_pages_is_read_off_them(tmp_path: Path) -> None:
    problems = sums_on_pages.sums(40, seed=1)
    exercises = [sums_on_pages._exercise(problem, worked=place % 2 == 0) for place, problem in enumerate(problems)]
    write_exercises(tmp_path / "sums.warc.gz", exercises)
    assert command(["extract", str(tmp_path / "sums.warc.gz"), "--out", str(tmp_path / "pages.jsonl")]) == 0
    assert command(["problems", str(tmp_path / "pages.jsonl"), "--out", str(tmp_path / "problems.jsonl")]) == 0
    found, rows, left_out = sums_on_pages.read_sums(read_problems(tmp_path / "problems.jsonl"), [])
    assert [(problem.prompt, problem.answer) for problem in found] == [(problem.prompt, problem.answer) for problem in problems]
    assert set(left_out.values()) == {0}
    for place, (problem, row) in enumerate(zip(problems, rows, strict=True)):
        worked = re.sub(r"<think>(.*)</think>", lambda thought: thought[1].replace(" ", "\n") + "\n", arithmetic.worked_solution(problem))
        assert row == {"prompt": problem.prompt, "completion": arithmetic.answer_at_once(problem) if place % 2 else worked}
        assert set(re.sub("</?answer>", "", row["completion"])) <= set(sums_on_pages.CHARACTERS)


def mined(prompt: str, answer: str) -> Problem:
    return make_problem(prompt, answer, meta={"solution": "At once."})


def test_what_cannot_be_read_or_is_held_out_is_left_out_and_counted() -> None:
    pages = [
        mined("Work out $12 + 34$ without a calculator.", "46"), mined("Work out $34 + 12$ without a calculator.", "46"),
        mined("What is $12 + 34$?", "46"), mined("Solve the equation $12x + 16 = 304$ for x.", "24"),
        mined("Work out $55 + 44$ without a calculator.", "99"), mined("Work out $55 - 44$ without a calculator.", "11"),
    ]  # fmt: skip
    found, rows, left_out = sums_on_pages.read_sums(pages, [make_problem("55+44=", "99")])
    assert [problem.prompt for problem in found] == [row["prompt"] for row in rows] == ["12+34=", "34+12="]
    assert left_out == {"no sum of two numbers": 2, "held out": 1, "twice": 1}


def test_no_page_has_what_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sums_on_pages, "write_web", lambda folder: [])
    monkeypatch.setattr(sums_on_pages, "write_exercises", lambda path, exercises: written.extend(each.question for each in exercises))
    sums_on_pages.write_tiny_web(tmp_path, seed=0, count=2000)
    asked = {re.sub(r"[ $]", "", re.findall(r"\$.*\$", question)[0]) + "=" for question in written}
    assert len(asked) == 2000
    assert asked.isdisjoint(problem.prompt for problem in sums_on_pages.held_out_problems(0))


def test_the_random_model_reads_every_character(tmp_path: Path) -> None:
    sums_on_pages.write_random_model(tmp_path / "model", 0)
    tokenizer = find_model(str(tmp_path / "model")).load_tokenizer()
    for text in ("12+34=\n4+2=6\n<answer>46</answer>", r"\boxed{46}", online._WRONG, online._WRONG_STEPS):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.pad_token_id not in tokenizer.encode(text)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["vocab_size"] == len(tokenizer)
