"""`reckon show`: what the policy said, in the terminal.

reckon show runs/quickstart                                        the last step's rollouts
reckon show runs/quickstart --step 60 --held-out --wrong           what it still gets wrong on problems that it never trains on
reckon show RUN --problem "7 apples" --step all --limit 0          one problem over all of training
reckon show RUN --reward-part "format<0.5" --json
"""

import operator
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from recipes.spelling.result_line import plain_json
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from recipes.looking.stored_steps import StoredStep

COLUMNS = (
    "step", "group", "problem_id", "problem", "answer", "tokens", "finish", "response", "score", "status", "detail", "parts",
)  # fmt: skip
_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}
_PART = re.compile(r"(.+?)\s*(<=|>=|<|>|=)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)")


@dataclass(frozen=True)
class Config:
    """What the policy said, in the terminal: rollouts and answers to held-out problems, with their verdicts."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    step: str = "last"
    """A step, "all", or "last"."""
    held_out: bool = False
    """The answers to held-out problems, instead of rollouts that it trained on."""
    set: str | None = None
    """Of the held-out problems, those of this set (--eval NAME=FILE)."""
    wrong: bool = False
    """Only what is not right, or has no verdict."""
    right: bool = False
    """Only what is right."""
    problem: str | None = None
    """Only problems that say this, or whose id this is."""
    reward_part: str | None = None
    """Only where a part of the reward is such: NAME<0.5, NAME>=1, NAME=0."""
    limit: int = 10
    """Show so many at most; 0: all."""
    characters: int = 2000
    """Of a response so many at most; 0: all."""
    explain: bool = False
    """Judge each that is shown once more, and say why it is what it is. Runs the run's rewards, code of a user's own among them."""
    deadline: float = 10.0
    """Seconds for one explanation."""
    json: bool = False
    """One JSON object a line."""


def run(config: Config) -> int:
    """Prints them; how many more there are goes to standard error. Raises InputError where nothing is stored."""
    from recipes.looking.explained import explained_lines, explaining
    from recipes.looking.explanation import print_anywhere

    if config.wrong and config.right:
        raise InputError("--wrong and --right leave nothing over; give one of them")
    if min(config.limit, config.characters) < 0:
        raise InputError("--limit and --characters must be 0, which is all, or more")
    print_anywhere()
    fits, shown, found = _condition(config), 0, 0
    with explaining(int(config.explain), config.run, config.deadline) as explainer:
        for stored, row in _rows(config):
            if not fits(row):
                continue
            found += 1
            if not config.limit or shown < config.limit:
                shown += 1
                why = explained_lines(explainer, row) if explainer else None
                print(plain_json(_as_json(stored, row, why)) if config.json else _block(stored, row, why, config.characters))
    more = "; --limit 0 shows all" if shown < found else ""
    print(f"{shown:,} of {found:,} shown{more}", file=sys.stderr)
    return 0


def _rows(config: Config) -> "Iterator[tuple[StoredStep, dict[str, Any]]]":
    from recipes.looking.stored_steps import readable

    steps = _steps(config)
    columns = (*COLUMNS, "problem_row") if config.explain else COLUMNS
    for stored, table in readable(steps, columns, lambda line: print(line, file=sys.stderr)):
        for batch in table.to_batches(max_chunksize=256):  # a row may hold a text of megabytes
            yield from ((stored, row) for row in batch.to_pylist())


def _steps(config: Config) -> "list[StoredStep]":
    """The files that are asked for. Raises InputError where there are none."""
    from recipes.looking.stored_steps import TRAINING, stored_steps

    held_out = config.held_out or config.set is not None
    found = [each for each in stored_steps(config.run) if (each.part != TRAINING) is held_out]
    if config.set is not None:
        names = sorted({each.part for each in found})
        found = [each for each in found if each.part == config.set]
        if not found:
            raise InputError(f"--set {config.set}: the run has no such set of held-out problems; it has {', '.join(names) or 'none'}")
    if not found:
        what = "answers to held-out problems" if held_out else "rollouts"
        within = sorted(config.run.glob("*/*/rollouts"))  # of a run of rounds
        other = (
            f"; its rounds do, such as {within[-1].parent}" if within
            else "; a run of an earlier Reckon kept none" if held_out else ", or --held-out"
        )  # fmt: skip
        raise InputError(f"{config.run} holds no {what}; give another run{other}")
    known = sorted({each.step for each in found})
    if config.step == "all":
        return found
    if config.step != "last" and not config.step.isdecimal():
        raise InputError(f'--step {config.step!r} must be a step, "last" or "all"')
    step = known[-1] if config.step == "last" else int(config.step)
    if step not in known:
        near = min(known, key=lambda other: abs(other - step))
        raise InputError(
            f"--step {step}: nothing is stored of it; there are {len(known)} steps from {known[0]} to {known[-1]}, such as {near}"
        )
    return [each for each in found if each.step == step]


def _condition(config: Config) -> Callable[[dict[str, Any]], bool]:
    """Raises InputError for a --reward-part that says nothing."""
    tests: list[Callable[[dict[str, Any]], bool]] = []
    if config.wrong or config.right:
        tests.append(lambda row: (row["status"] == "right") is config.right)
    if (words := config.problem) is not None:
        tests.append(lambda row: row["problem_id"] == words or words.lower() in (row["problem"] or "").lower())
    if config.reward_part is not None:
        said = _PART.fullmatch(config.reward_part.strip())
        if said is None:
            raise InputError(f"--reward-part {config.reward_part!r} must be like format<0.5, format>=1 or format=0")
        name, compare, bound = said[1], _COMPARE[said[2]], float(said[3])
        tests.append(lambda row: any(part == name and compare(value, bound) for part, value in row.get("parts") or ()))
    return lambda row: all(test(row) for test in tests)


def _as_json(stored: "StoredStep", row: dict[str, Any], why: list[str] | None) -> dict[str, Any]:
    tokens, _ = row.pop("tokens", None), row.pop("problem_row", None)
    more = {} if why is None else {"explained": why}
    return {**row, "set": stored.part or "train", "length": len(tokens or ()), "parts": dict(row.get("parts") or ()), **more}


def _block(stored: "StoredStep", row: dict[str, Any], why: list[str] | None, most: int) -> str:
    """One rollout for a terminal, without what a terminal would obey."""
    from recipes.looking.explanation import printable
    from recipes.looking.overview_table import problem_text

    score = "" if row["score"] is None else f", score {row['score']:g}"
    cut = ", cut at the limit" if row.get("finish") == "length" else ""
    place = stored.part or f"group {row['group']}"
    where = f"step {stored.step}, {place}, problem {row['problem_id']}"
    lines = [f"{printable(where)}: {printable(str(row['status']))}{score}, {len(row.get('tokens') or ()):,} tokens{cut}"]
    parts = ", ".join(f"{name} {value:g}" for name, value in row.get("parts") or ())
    told = {"problem": problem_text(row["problem"] or ""), "gold": row["answer"], "response": row["response"], "verdict": row.get("detail"),
            "parts": parts, "why": "\n".join(why or ())}  # fmt: skip
    for name, text in told.items():
        shown, lost = _cut(text or "", most)
        for number, line in enumerate(re.split(r"\r\n|\n", shown) if shown else ()):
            lines.append(f"  {name if not number else '':9}{printable(line)}".rstrip())
        if lost:
            lines.append(f"  {'':9}... and {lost:,} characters more (--characters 0 shows all)")
    return "\n".join([*lines, ""])


def _cut(text: str, most: int) -> tuple[str, int]:
    return (text[:most], len(text) - most) if most and len(text) > most else (text, 0)
