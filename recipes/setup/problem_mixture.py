"""What a run trains on and is measured by: one data set or several, mixed by weights or ordered by difficulty, and named evaluation sets.

    --data a.jsonl --data b.jsonl                  both, as if they were one file
    --data a.jsonl=0.7 --data b.jsonl=0.3          seven of ten problems out of a, whatever their sizes
    --eval easy=easy.jsonl --eval hard=hard.jsonl  accuracy of each: eval/easy/accuracy, eval/hard/accuracy

A problem that is in several files is read once. Which part or evaluation set it came from is a field of its meta.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recipes.setup.options import absolute
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.loop.problem_stream import Stream
    from verifiers.problem import Problem
    from verifiers.rewards.problem_file import ProblemList

PART, SETS = "data_part", "eval_sets"
_NAME = re.compile(r"[\w-]+")


class Part(NamedTuple):
    """One of the data sets that are mixed."""

    place: str
    weight: float | None


def parts_of(data: str | Sequence[str]) -> list[Part]:
    """The data sets of --data with their weights. Raises InputError where some have a weight and others have none."""
    parts = [_part(given) for given in ((data,) if isinstance(data, str) else data) if given]
    if len({part.weight is None for part in parts}) > 1:
        bare = next(part.place for part in parts if part.weight is None)
        raise InputError(f"--data {bare} has no weight and others have one; write {bare}=0.5, or leave all weights out")
    if len({part.place for part in parts}) < len(parts):
        raise InputError("--data names the same data set twice; leave one of them out")
    return parts


def _part(given: str) -> Part:
    place, equals, said = given.rpartition("=")
    try:
        weight = float(said)
    except ValueError:
        return Part(given, None)
    if not equals or Path(given).exists():
        return Part(given, None)
    if not (math.isfinite(weight) and weight > 0):
        raise InputError(f"--data {given}: a weight must be a number above 0")
    return Part(place, weight)


def resolved(data: str | Sequence[str]) -> tuple[str, ...]:
    """--data with paths made absolute; a weight stays as it is written, to its last digit."""
    parts, written = parts_of(data), [given for given in ((data,) if isinstance(data, str) else data) if given]
    return tuple(absolute(part.place) + given[len(part.place) :] for part, given in zip(parts, written, strict=True))


def sets_of(given: Sequence[str]) -> dict[str, str]:
    """The files of --eval by name. Raises InputError for what is no NAME=FILE, or a name given twice."""
    found: dict[str, str] = {}
    for pair in given:
        name, _, place = pair.partition("=")
        if not (_NAME.fullmatch(name) and place):
            raise InputError(f"--eval {pair!r} must be NAME=FILE, such as hard=hard.jsonl")
        if name in found:
            raise InputError(f"--eval {name} is given twice; another name for one of them")
        found[name] = place
    return found


def load_parts(parts: Sequence[Part], read: "Callable[[str], ProblemList]") -> "list[Problem]":
    """The problems of all parts, each once; those of a mixture know their part."""
    found: dict[str, Problem] = {}
    for number, part in enumerate(parts):
        problems = read(part.place)
        fresh = [problem for problem in problems if problem.id not in found]
        twice = problems.duplicates + len(problems) - len(fresh)
        if problems.bad_gold or twice:
            print(f"{part.place}: left out {problems.bad_gold} rows without a gold answer, {twice} duplicates", file=sys.stderr)
        mark = {} if part.weight is None else {PART: number}
        found |= {problem.id: replace(problem, meta={**problem.meta, **mark}) if mark else problem for problem in fresh}
    return list(found.values())


def load_sets(sets: Mapping[str, str], read: "Callable[[str], ProblemList]") -> "list[Problem]":
    """The problems of all evaluation sets, each once, with the names of its sets."""
    found: dict[str, Problem] = {}
    for name, place in sets.items():
        for problem in read(place):
            known = found.get(problem.id, problem)
            found[problem.id] = replace(known, meta={**known.meta, SETS: [*known.meta.get(SETS, []), name]})
    return list(found.values())


def by_set(held_out: "Iterable[Problem]") -> "dict[str, list[Problem]]":
    """Evaluation problems by the names of their sets; "" for those of --held-out and --eval-data."""
    found: dict[str, list[Problem]] = {}
    for problem in held_out:
        for name in problem.meta.get(SETS, [""]):
            found.setdefault(name, []).append(problem)
    return found


def stream_of(problems: "Sequence[Problem]", parts: Sequence[Part], *, order: str, seed: int) -> "Stream | None":
    """In which order the problems come; None: shuffled. Raises InputError for a part without problems, or problems without a solve rate."""
    from rl.loop.problem_stream import EasyFirst, Mixed

    if order == "easy-first":
        rates = [problem.meta.get("solve_rate") for problem in problems]
        known = [float(rate) for rate in rates if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1]
        if len(known) < len(rates):
            raise InputError(
                f"--order easy-first: {len(rates) - len(known)} of {len(rates)} problems have no solve_rate from 0 to 1; "
                "`reckon sample` and `reckon data difficulty` measure it"
            )
        return EasyFirst(known, seed)
    if not parts or parts[0].weight is None:
        return None
    places = [[place for place, problem in enumerate(problems) if problem.meta.get(PART) == number] for number in range(len(parts))]
    if empty := [part.place for part, found in zip(parts, places, strict=True) if not found]:
        raise InputError(f"--data {empty[0]}: none of its problems is left to train on; leave it out of the mixture")
    return Mixed(places, [part.weight or 0.0 for part in parts], seed)
