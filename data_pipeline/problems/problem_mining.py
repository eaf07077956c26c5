"""Mined documents to RL problems: questions with one checkable answer, as JSON Lines that `verifiers.rewards.problem_file.read_problems`
reads.

Three readers propose candidates (`labelled_exercises.py`: labelled solutions and lists of answers; `question_sites.py`: question-and-answer
pages), `question_checks.py` takes the answer and says no to most. Then duplicates go: the same question by its signs without spacing and
markup; nearly the same by the same numbers and formulas in the same order with mostly the same words (a question with other numbers is
another question). Of duplicates the first is kept; where they disagree on the answer, none. A prompt that hits a benchmark goes.

Difficulty is measured by whoever has a policy: `read_solve_rates` reads the share of samples solved by problem id from a file, which this
package does not write. All kept problems are held in memory, a few kB each.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import write_lines
from data_pipeline.problems.labelled_exercises import labelled, listed
from data_pipeline.problems.problem_blocks import Candidate, blocks
from data_pipeline.problems.question_checks import check
from data_pipeline.problems.question_sites import on_sites
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import parse_row, problem_line

_MARKUP = re.compile(r"\s+|\\(?:left|right|displaystyle|textstyle|quad|qquad)(?![a-z])|\\[,;:! ]|[$.,;:!?'\"*#`~]")
_MATHEMATICS = re.compile(r"\$\$?([^$]{1,2000})\$|\d+(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]{2,}")
_SAME_WORDS = 0.7
_BUCKET = 50  # prompts with the same mathematics that are compared with each other
_ID_FIELDS, _RATE_FIELDS = ("id", "problem_id", "problem"), ("solve_rate", "score", "reward")


class Benchmarks(Protocol):
    """What `decontamination.Benchmarks` is, as far as problems need it."""

    def hits(self, text: str) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which problems a policy is to be trained on."""

    rates: Mapping[str, float]
    """Share of samples solved, by problem id."""
    least: float = 0.0
    most: float = 1.0
    keep_unrated: bool = True


def problems_of(doc: Doc) -> Iterator[Candidate]:
    """All question-answer pairs that the document seems to have, each with its answer or the reason why it is dropped."""
    parts = list(blocks(doc))
    seen: set[str] = set()
    for found in (*labelled(parts), *listed(parts), *on_sites(doc, parts)):
        if (key := prompt_key(found.prompt)) not in seen:
            seen.add(key)
            yield check(found)


def to_problem(doc: Doc, candidate: Candidate) -> Problem:
    """The Problem of a candidate that was not dropped."""
    meta: dict[str, Any] = {
        "url": doc.url, "archive": doc.origin.archive, "offset": doc.origin.offset, "doc": doc.id, "kind": candidate.kind,
        "solution": candidate.solution,
    }  # fmt: skip
    if candidate.choices:
        meta["choices"] = list(candidate.choices)
    return make_problem(candidate.prompt, candidate.answer, meta=meta)


def write_problems(
    docs: Iterable[Doc], out: Path, benchmarks: Benchmarks | None = None, *, difficulty: Difficulty | None = None
) -> Counter[str]:
    """Mine the kept documents and write `out`; the counts say how many candidates were "found", "kept", and dropped by reason.

    The file, compressed as its name says (.zst, .gz), is there complete or not at all. Without a problem it is empty, and not an error.
    """
    counts: Counter[str] = Counter()
    kept = _Kept()
    for doc in docs:
        if doc.dropped:
            continue
        for candidate in problems_of(doc):
            counts["found"] += 1
            problem = None if candidate.dropped else to_problem(doc, candidate)
            reason = candidate.dropped or (_refused(problem, benchmarks, difficulty) if problem else None)
            if reason is None and problem is not None:
                reason = kept.add(problem)
            if reason:
                counts[f"problems: {reason}"] += 1
    problems = list(kept.problems())
    if kept.disputed:
        counts["problems: answers differ"] += kept.disputed
    counts["kept"] = len(problems)
    write_lines(out, (problem_line(_rated(problem, difficulty)) for problem in problems))
    return counts


def read_solve_rates(path: Path) -> dict[str, float]:
    """Problem id -> share solved: of a run of ours (its folder, its `rollouts/` or one Parquet file of it), or of JSON Lines.

    A line of JSON has an id and a `solve_rate` (`samples` weighs it), or is one sample with its `score`, 0 to 1; samples are averaged,
    those without a verdict left out. InputError for anything else.
    """
    sums: dict[str, tuple[float, float]] = {}
    try:
        for name, rate, weight in _rollout_rates(path) if path.is_dir() or path.suffix == ".parquet" else _line_rates(path):
            total, count = sums.get(name, (0.0, 0.0))
            sums[name] = (total + rate * weight, count + weight)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as solve rates ({error}); give a run's folder, or JSON Lines with an id and a solve_rate"
        ) from None
    return {name: total / count for name, (total, count) in sums.items()}


def _line_rates(path: Path) -> Iterator[tuple[str, float, float]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _rate(parse_row(line, f"{path}, line {number}"), f"{path}, line {number}")


def _rollout_rates(path: Path) -> Iterator[tuple[str, float, float]]:
    """A sample each, from rollouts as `rollout/store.py` writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = [path] if path.is_file() else sorted(path.glob("*.parquet")) or sorted((path / "rollouts").glob("*.parquet"))
    if not files:
        raise InputError(f"{path} holds no rollouts (*.parquet); give the folder of a run, or JSON Lines with an id and a solve_rate")
    for file in files:
        try:
            rows = pq.read_table(file, columns=["problem_id", "score"]).to_pylist()
        except pa.ArrowInvalid as error:
            raise InputError(f"{file} holds no rollouts ({str(error).splitlines()[0][:80]}); give the folder of a run of ours") from None
        yield from ((row["problem_id"], min(1.0, max(0.0, row["score"])), 1.0) for row in rows if row["score"] is not None)


def filter_problems(problems: Iterable[Problem], difficulty: Difficulty) -> Iterator[Problem]:
    """The problems within the range of solve rates, with their rate as `meta["solve_rate"]`."""
    for problem in problems:
        if _out_of_range(problem, difficulty) is None:
            yield _rated(problem, difficulty)


def prompt_key(prompt: str) -> str:
    """A hash of the question's letters, digits and signs, without spacing, markup or punctuation."""
    bare = _MARKUP.sub("", prompt.lower().replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac"))
    return hashlib.blake2b(bare.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class _Kept:
    """Problems in order, without duplicates; both sides of a disagreement are taken out."""

    def __init__(self) -> None:
        self.by_key: dict[str, Problem | None] = {}
        self.near: dict[str, list[tuple[frozenset[str], str]]] = {}
        self.disputed = 0

    def problems(self) -> Iterator[Problem]:
        return (problem for problem in self.by_key.values() if problem is not None)

    def add(self, problem: Problem) -> str | None:
        """Why it is not kept."""
        prompt = str(problem.prompt)
        key = prompt_key(prompt)
        if key in self.by_key:
            return self._again(key, problem, "duplicate: exact")
        mathematics = "\n".join(_MARKUP.sub("", found[0]) for found in _MATHEMATICS.finditer(prompt))
        words = frozenset(_WORD.findall(_MATHEMATICS.sub(" ", prompt.lower())))
        bucket = self.near.setdefault(mathematics, []) if mathematics else []
        for others, kept in bucket:
            if len(words & others) >= _SAME_WORDS * len(words | others):
                return self._again(kept, problem, "duplicate: near")
        if len(bucket) < _BUCKET:
            bucket.append((words, key))
        self.by_key[key] = problem
        return None

    def _again(self, key: str, problem: Problem, reason: str) -> str:
        kept = self.by_key[key]
        if kept is None or kept.answer == problem.answer or _same(kept, problem):
            return reason
        self.by_key[key] = None  # a later third one finds it empty and stays out, too
        self.disputed += 1
        return "answers differ"


def _same(kept: Problem, problem: Problem) -> bool:
    from verifiers.mathematics.equality.math_answer import equivalent

    return equivalent(kept.answer, problem.answer)


def _refused(problem: Problem, benchmarks: Benchmarks | None, difficulty: Difficulty | None) -> str | None:
    if benchmarks is not None and benchmarks.hits(str(problem.prompt)):
        return "in a benchmark"
    return _out_of_range(problem, difficulty) if difficulty else None


def _out_of_range(problem: Problem, difficulty: Difficulty) -> str | None:
    rate = difficulty.rates.get(problem.id)
    if rate is None:
        return None if difficulty.keep_unrated else "no solve rate"
    return "too hard" if rate < difficulty.least else "too easy" if rate > difficulty.most else None


def _rated(problem: Problem, difficulty: Difficulty | None) -> Problem:
    rate = difficulty.rates.get(problem.id) if difficulty else None
    if rate is None:
        return problem
    return make_problem(
        str(problem.prompt) if isinstance(problem.prompt, str) else problem.prompt, problem.answer, verifier=problem.verifier,
        meta={**problem.meta, "solve_rate": round(rate, 4)},
    )  # fmt: skip


def _rate(row: Mapping[str, Any], where: str) -> tuple[str, float, float]:
    name = next((row[field] for field in _ID_FIELDS if isinstance(row.get(field), str)), None)
    rate = next((row[field] for field in _RATE_FIELDS if isinstance(row.get(field), int | float)), None)
    weight = row.get("samples", 1)
    if name is None or rate is None or not 0 <= rate <= 1 or not isinstance(weight, int | float) or not 0 < weight < 1e12:
        raise InputError(
            f"{where}: {json.dumps(row)[:80]} has no id with a solve_rate (or a sample's score) from 0 to 1; see read_solve_rates"
        )
    return name, float(rate), float(weight)
