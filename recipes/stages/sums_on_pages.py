r"""Where a tiny story's problems come from: a school site on a made-up web, and what a model of 0.3M parameters reads of its pages.

The web is that of `reckon mine demo` and one site more, whose exercises are reasoning-gym's sums of two-digit numbers, with true answers.
Half of the solutions there are worked out column by column, the others give the answer at once. What is mined from that web is real in
every step but its origin; then a model of this size, with minutes to learn, is given only this of it, a token for each character:

    Work out $47 + 38$ without a calculator.                                            47+38=
    Column by column, $7+8=15$, then $4+3+1=8$. The answer is $\boxed{85}$.             7+8=15\n4+3+1=8\n<answer>85</answer>
    At once, $47 + 38$ gives $\boxed{85}$.                                              <answer>85</answer>

Problems that are no such sum (the demo's equations) are beyond it: they are left out, and counted. What is held out is drawn first, stands
on no page, and is left out where a page has it all the same.
"""

import random
import re
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_pipeline.commands.demo_exercises import Exercise, write_exercises
from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import write_web
from recipes.setup import arithmetic
from rl.loop.seeds import derive_seed
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem

CHARACTERS = arithmetic.CHARACTERS + "\n.,\\{}" + string.ascii_letters
"""Letters for what rewards are tried on before a run: a reward model says nothing of a text that its tokenizer cannot write."""
HELD_OUT, ON_PAGES = 500, 5000
MINING = ("--seed-domains", SEED_HOST, "--preset", "small", "--rounds", "2", "--stop-overlap", "1.0")
"""How `reckon mine run` takes such a web: as the demo does, from one site of it."""
WORKED_SHARE = 0.5
MAX_TOKENS = 32
CONTEXT = 96
_FORMULA = re.compile(r"\$([^$]+)\$")
_SUM = re.compile(r"\d{2}\+\d{2}")
_EQUATION = re.compile(r"[\d+]+=\d+")


def held_out_problems(seed: int, count: int = HELD_OUT) -> list[Problem]:
    """Sums that nothing is learnt from."""
    return sums(count, seed=derive_seed(seed, "held-out") >> 32)


def sums(count: int, *, seed: int, exclude: frozenset[str] = frozenset()) -> list[Problem]:
    """So many different ones of two two-digit numbers, out of reasoning-gym's sums and differences."""
    both = arithmetic.make_problems(min(3 * count, 14_000), seed=seed, exclude=exclude)
    found = [make_problem(problem.prompt, problem.answer) for problem in both if "+" in str(problem.prompt)][:count]
    if len(found) < count:
        raise InputError(f"there are only {len(found)} different sums, {count} were asked for; ask for fewer")
    return found


def write_tiny_web(folder: Path, seed: int, count: int = ON_PAGES) -> list[Path]:
    """The archives: the demo's two, and the school site's with so many exercises, none of which is held out."""
    known = frozenset(problem.id for problem in held_out_problems(seed))
    problems = sums(count, seed=derive_seed(seed, "train") >> 32, exclude=known)
    coin = random.Random(derive_seed(seed, "styles"))
    archives = [*write_web(folder), folder / "sums.warc.gz"]
    write_exercises(archives[-1], [_exercise(problem, worked=coin.random() < WORKED_SHARE) for problem in problems])
    return archives


def _exercise(problem: Problem, *, worked: bool) -> Exercise:
    asked = str(problem.prompt).rstrip("=").replace("+", " + ")
    question, boxed = f"Work out ${asked}$ without a calculator.", rf"$\boxed{{{problem.answer}}}$"
    if not worked:
        return Exercise(question, f"At once, ${asked}$ gives {boxed}.")
    steps = arithmetic.worked_solution(problem).removeprefix("<think>").partition("</think>")[0].split()
    return Exercise(question, f"Column by column, {', then '.join(f'${step}$' for step in steps)}. The answer is {boxed}.")


class Readable(NamedTuple):
    """What of mined problems a tiny model can read."""

    problems: list[Problem]
    rows: list[dict[str, Any]]
    """Each with its solution, as `reckon sft` reads them."""
    left_out: dict[str, int]
    """By reason."""


def read_sums(mined: Iterable[Problem], held_out: Sequence[Problem]) -> Readable:
    """Of problems as `reckon mine` writes them, those that ask for one sum, each once."""
    known, found, rows = {problem.id for problem in held_out}, {}, []
    left_out = {"no sum of two numbers": 0, "held out": 0, "twice": 0}
    for problem in mined:
        asked = [formula.replace(" ", "") for formula in _FORMULA.findall(str(problem.prompt))]
        if len(asked) != 1 or not _SUM.fullmatch(asked[0]):
            left_out["no sum of two numbers"] += 1
            continue
        read = make_problem(f"{asked[0]}=", problem.answer)
        reason = "held out" if read.id in known else "twice" if read.id in found else None
        if reason:
            left_out[reason] += 1
            continue
        found[read.id] = read
        steps = [formula for formula in _FORMULA.findall(str(problem.meta["solution"])) if _EQUATION.fullmatch(formula)]
        rows.append({"prompt": read.prompt, "completion": "\n".join([*steps, f"<answer>{problem.answer}</answer>"])})
    return Readable(list(found.values()), rows, left_out)


def write_random_model(folder: Path, seed: int, *, tokenizer: Any = None, **sizes: int) -> None:
    """The tiny model with random weights, whole or not at all."""
    from rl.loop.seeds import reseed

    reseed(seed, "model")
    tokenizer = tokenizer or arithmetic.make_tokenizer(CHARACTERS)
    with atomic_path(folder) as temporary:
        arithmetic.save(temporary, arithmetic.make_model(len(tokenizer), **({"context": CONTEXT} | sizes)), tokenizer)
