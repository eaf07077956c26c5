"""Mined documents to RL problems: questions with one checkable answer, as JSON Lines that `verifiers.rewards.problem_file.read_problems`
reads.

Three readers propose candidates (`labelled_exercises.py`: labelled solutions and lists of answers; `question_sites.py`: question-and-answer
pages), `question_checks.py` takes the answer and says no to most. Then duplicates go: the same question by its signs without spacing and
markup; nearly the same by the same numbers and formulas in the same order with mostly the same words (a question with other numbers is
another question). Of duplicates the first is kept; where they disagree on the answer, none. A prompt that hits a benchmark goes.

How hard a problem is for a policy is told by its solve rate (`solve_rates.py`), where one was measured. All kept problems are held in
memory, a few kB each.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_pipeline.documents.document import Doc
from data_pipeline.documents.document_files import open_lines, write_lines
from data_pipeline.documents.formula_spans import FORMULA_SPAN
from data_pipeline.problems.labelled_exercises import labelled, listed
from data_pipeline.problems.problem_blocks import Candidate, blocks
from data_pipeline.problems.question_checks import checked_candidate
from data_pipeline.problems.question_sites import on_sites
from data_pipeline.problems.solve_rates import Difficulty
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.problem import Problem, make_problem
from verifiers.rewards.problem_file import problem_line

_MARKUP = re.compile(r"\s+|\\(?:left|right|displaystyle|textstyle|quad|qquad)(?![a-z])|\\[,;:! ]|[$.,;:!?'\"*#`~]")
_MATHEMATICS = re.compile(FORMULA_SPAN.pattern + r"|\d+(?:\.\d+)?", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_SAME_WORDS = 0.7
MATH_ANSWER = "math_answer"
Found = Problem | str
"""A problem, or why a candidate is none."""
Hits = Callable[[str], Sequence[object]]  # `Benchmarks.hits`: where a text shares words with a benchmark
_BUCKET = 50  # prompts with the same mathematics that are compared with each other


def problems_of(doc: Doc) -> Iterator[Candidate]:
    """All question-answer pairs that the document seems to have, each with its answer or the reason why it is dropped."""
    parts = list(blocks(doc))
    seen: set[str] = set()
    for found in (*labelled(parts), *listed(parts), *on_sites(doc, parts)):
        if (key := prompt_key(found.prompt)) not in seen:
            seen.add(key)
            yield checked_candidate(found)


def to_problem(doc: Doc, candidate: Candidate) -> Problem:
    """The Problem of a candidate that was not dropped."""
    meta: dict[str, Any] = {
        "url": doc.url, "archive": doc.origin.archive, "offset": doc.origin.offset, "doc": doc.id, "kind": candidate.kind,
        "solution": candidate.solution,
    }  # fmt: skip
    if candidate.choices:
        meta["choices"] = list(candidate.choices)
    return make_problem(candidate.prompt, candidate.answer, meta=meta)


def mathematical_problems(doc: Doc) -> Iterator[Found]:
    """The problems of a document that `math_answer` can check, and why its other candidates are none."""
    for candidate in problems_of(doc):
        yield candidate.dropped or to_problem(doc, candidate)


def write_problems(
    docs: Iterable[Doc], out: Path, benchmark_hits: Hits | None = None, *, difficulty: Difficulty | None = None,
    find: Callable[[Doc], Iterable[Found]] = mathematical_problems,
) -> Counter[str]:  # fmt: skip
    """Mine the kept documents and write `out`; the counts say how many candidates were "found", "kept", and dropped by reason.

    The file, compressed as its name says (.zst, .gz), is there complete or not at all. Without a problem it is empty, and not an error.
    """
    counts: Counter[str] = Counter()
    problems = different_problems(found_problems(docs, counts, benchmark_hits, difficulty, find=find), counts)
    write_lines(out, (problem_line(difficulty.rated(problem) if difficulty else problem) for problem in problems))
    return counts


def found_problems(
    docs: Iterable[Doc], counts: Counter[str], benchmark_hits: Hits | None = None, difficulty: Difficulty | None = None, *,
    find: Callable[[Doc], Iterable[Found]] = mathematical_problems,
) -> Iterator[Problem]:  # fmt: skip
    """The problems of the kept documents, those asked twice included; `counts` has those "found", and why others are none."""
    for doc in docs:
        for found in () if doc.dropped else find(doc):
            counts["found"] += 1
            reason = found if isinstance(found, str) else _refused(found, benchmark_hits, difficulty)
            if reason:
                counts[f"problems: {reason}"] += 1
            elif not isinstance(found, str):
                yield found


def write_found(path: Path, problems: Iterable[Problem]) -> int:
    """For `read_found`, which gives the same ones, those asked twice included; how many."""
    return write_lines(path, map(problem_line, problems))


def read_found(path: Path) -> Iterator[Problem]:
    for line in open_lines(path):
        row = json.loads(line)
        yield make_problem(row["prompt"], row["answer"], verifier=row["verifier"], meta=row["meta"])


def different_problems(problems: Iterable[Problem], counts: Counter[str]) -> list[Problem]:
    """Each question once; `counts` has how many are "kept", and why others went."""
    kept = _Kept()
    for problem in problems:
        if reason := kept.add(problem):
            counts[f"problems: {reason}"] += 1
    if kept.disputed:
        counts["problems: answers differ"] += kept.disputed
    different = list(kept.problems())
    counts["kept"] = len(different)
    return different


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
        if kept is None or kept.answer == problem.answer:
            return reason
        if problem.verifier != MATH_ANSWER or equivalent(kept.answer, problem.answer):  # a program may be written in many ways
            return reason
        self.by_key[key] = None  # a later third one finds it empty and stays out, too
        self.disputed += 1
        return "answers differ"


def _refused(problem: Problem, benchmark_hits: Hits | None, difficulty: Difficulty | None) -> str | None:
    if benchmark_hits is not None and benchmark_hits(str(problem.prompt)):
        return "in a benchmark"
    return difficulty.refuses(problem) if difficulty else None
