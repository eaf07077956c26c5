"""A family of problems with steps: sums of one-digit numbers, worked out line by line, and a tiny model that is warmed up on them.

    7+8+6+9=        7+8+6+9=15+6+9          or, in haste:       7+8+6+9=15+6+9
                    15+6+9=21+9                                 15+6+9=30
                    21+9=30                                     <answer>30</answer>
                    <answer>30</answer>

A line adds its first two numbers, or all that are left. The model has seen both, all of them right; it can do the first and is mostly wrong
in the second, for which it is too small. Every line is a step that is right or wrong by itself: a response that is in haste at last was
right before, which process supervision can see and a verdict on the answer cannot. `score` is the family's own step scorer;
`steps(arithmetic, split=line)` checks the equations alone.
"""

import json
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recipe.pace import completed
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import write_problems

TERMS = 4
MAX_TOKENS = 48
CHARACTERS = "0123456789+= \n"
REWARD = "steps(benchmarks.recipe.chains:score, split=line)"
_SUM = re.compile(r"\d{1,3}(?:\+\d{1,3})*(?==|$)")


def make_problems(count: int, *, seed: int, terms: int = TERMS, exclude: frozenset[str] = frozenset()) -> list[Problem]:
    """`count` different sums of so many numbers from 1 to 9, none whose id is in `exclude`."""
    draw = random.Random(seed)
    found: dict[str, Problem] = {}
    while len(found) < count:
        numbers = [draw.randint(1, 9) for _ in range(terms)]
        problem = make_problem(f"{_written(numbers)}=", str(sum(numbers)))
        if problem.id not in exclude:
            found[problem.id] = problem
    return list(found.values())


def worked_solution(problem: Problem, *, hasty_at: int | None = None) -> str:
    """An addition a line; from line `hasty_at` on (0 is the first) all at once."""
    left, found = _numbers(str(problem.prompt)), []
    while len(left) > 1:
        after = [sum(left)] if len(found) == hasty_at else [left[0] + left[1], *left[2:]]
        found.append(f"{_written(left)}={_written(after)}")
        left = after
    return "\n".join([*found, f"<answer>{problem.answer}</answer>"])


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


def write_data(folder: Path, *, seed: int, train: int = 4000, held_out: int = 500) -> tuple[Path, Path]:
    """(training problems, held-out problems) as JSONL files, disjoint."""
    folder.mkdir(parents=True, exist_ok=True)
    evaluated = make_problems(held_out, seed=2 * seed + 1)
    trained = make_problems(train, seed=2 * seed, exclude=frozenset(problem.id for problem in evaluated))
    files = folder / "train.jsonl", folder / "held_out.jsonl"
    for file, problems in zip(files, (trained, evaluated), strict=True):
        write_problems(file, problems)
    return files


def warm_start(folder: Path, *, seed: int, steps: int = 400, examples: int = 6000, hasty: float = 0.5) -> Path:
    """A model of 0.3M parameters after so many steps of SFT on solutions that are hasty, in each line before the last, that often."""
    import torch

    from recipes.setup import arithmetic

    tokenizer = arithmetic.make_tokenizer(CHARACTERS)
    torch.manual_seed(seed)
    arithmetic.save(folder / "init", arithmetic.make_model(len(tokenizer), context=96), tokenizer)
    draw = random.Random(20_000 + seed)
    rows = []
    for problem in make_problems(examples, seed=10_000 + seed):
        at = next((line for line in range(TERMS - 2) if draw.random() < hasty), None)
        rows.append({"prompt": problem.prompt, "completion": worked_solution(problem, hasty_at=at)})
    (folder / "worked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = [
        "sft", "--model", folder / "init", "--data", folder / "worked.jsonl", "--run", folder / "sft", "--tune", "full", "--lr", "2e-3",
        "--examples-per-step", "64", "--steps", steps, "--system-prompt", "", "--seed", seed, "--overwrite",
    ]  # fmt: skip
    completed([sys.executable, "-m", "recipes.commands.cli", *map(str, words)], folder / "sft.log")
    return folder / "sft"
