"""A family of problems with steps: sums of small numbers, worked out line by line, and a tiny model that is warmed up on them.

    4+2+5+3=        4+2+5+3=6+5+3           or, in haste:       4+2+5+3=6+5+3
                    6+5+3=11+3                                  6+5+3=15
                    11+3=14                                     <answer>15</answer>
                    <answer>14</answer>

A line adds its first two numbers, or in haste all that are left. The model has seen both, and of those in haste more wrong than right.
Every line is a step that is right or wrong by itself: a response that is in haste at last was right before, which process supervision can
see and a verdict on the answer cannot. `score` is the family's own step scorer; `steps(arithmetic, split=line)` checks the equations alone.
"""

import json
import random
import re
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from benchmarks.recipe.pace import completed
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import write_problems

TERMS, LARGEST = 4, 6
HELD_OUT = 300
MAX_TOKENS = 48
CHARACTERS = "0123456789+= \n"
REWARD = "steps(benchmarks.recipe.chains:score, split=line)"
_SUM = re.compile(r"\d{1,3}(?:\+\d{1,3})*(?==|$)")


def make_problems(seed: int) -> tuple[list[Problem], list[Problem]]:
    """(training problems, held-out problems): all sums of four numbers from 1 to 6, in an order drawn by the seed."""
    sums = list(product(range(1, LARGEST + 1), repeat=TERMS))
    random.Random(seed).shuffle(sums)
    problems = [make_problem(f"{_written(numbers)}=", str(sum(numbers))) for numbers in sums]
    return problems[HELD_OUT:], problems[:HELD_OUT]


def worked_solution(problem: Problem, *, hasty_at: int | None = None, slip: int = 0) -> str:
    """An addition a line; from line `hasty_at` on (0 is the first) all at once, with so much too much, as the answer has it then."""
    left, found = _numbers(str(problem.prompt)), []
    while len(left) > 1:
        after = [sum(left) + slip] if len(found) == hasty_at else [left[0] + left[1], *left[2:]]
        found.append(f"{_written(left)}={_written(after)}")
        left = after
    return "\n".join([*found, f"<answer>{left[0]}</answer>"])


def score(problem: Problem, steps: Sequence[str]) -> list[float]:
    """1 for each line that goes on from what the one before left and keeps the sum, 0 for any other; for the answer, 1 if it is right.

    What a wrong line leaves is what the next one has to go on from: it is judged by itself, as a step of its own.
    """
    scores, left = [], _numbers(str(problem.prompt))
    for step in steps:
        line = step.strip()
        sides = [_numbers(side) for side in line.split("=")]
        if len(sides) == 2:
            scores.append(float(sides[0] == left and sum(sides[1]) == sum(left) and len(sides[1]) < len(left)))
            left = sides[1]
        else:
            scores.append(float(line == f"<answer>{problem.answer}</answer>"))
    return scores


def _written(numbers: Sequence[int]) -> str:
    return "+".join(map(str, numbers))


def _numbers(text: str) -> list[int]:
    """Those of a sum at the beginning of a text; none where it is no sum."""
    found = _SUM.match(text)
    return [int(number) for number in found[0].split("+")] if found else []


def write_data(folder: Path, *, seed: int) -> tuple[Path, Path]:
    """The same as JSONL files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "train.jsonl", folder / "held_out.jsonl"
    for file, problems in zip(files, make_problems(seed), strict=True):
        write_problems(file, problems)
    return files


def warm_start(folder: Path, *, seed: int, steps: int = 600, examples: int = 12000, hasty: float = 0.3, slips: float = 0.7) -> Path:
    """A model of 0.3M parameters after so many steps of SFT on solutions that are hasty, in each line before the last, that often, and then
    wrong that often.

    With seed 0, 48 % of what it samples is right: 75 % where it is never hasty, 20 to 28 % where it is. Greedily it is not, and 92 % are
    right: what there is to learn shows in samples.
    """
    import torch

    from recipes.setup import arithmetic

    tokenizer = arithmetic.make_tokenizer(CHARACTERS)
    torch.manual_seed(seed)
    arithmetic.save(folder / "init", arithmetic.make_model(len(tokenizer), context=96), tokenizer)
    draw = random.Random(20_000 + seed)
    rows = []
    for problem in draw.choices(make_problems(seed)[0], k=examples):
        at = next((line for line in range(TERMS - 2) if draw.random() < hasty), None)
        slip = draw.choice((-2, -1, 1, 2)) if draw.random() < slips else 0
        rows.append({"prompt": problem.prompt, "completion": worked_solution(problem, hasty_at=at, slip=slip)})
    (folder / "worked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = [
        "sft", "--model", folder / "init", "--data", folder / "worked.jsonl", "--run", folder / "sft", "--tune", "full", "--lr", "2e-3",
        "--examples-per-step", "64", "--steps", steps, "--system-prompt", "", "--seed", seed, "--overwrite",
    ]  # fmt: skip
    completed([sys.executable, "-m", "recipes.commands.cli", *map(str, words)], folder / "sft.log")
    return folder / "sft"
