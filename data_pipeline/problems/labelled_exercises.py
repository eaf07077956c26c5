"""Questions and their answers where a text labels them: exercises with solutions, worked examples, and answers listed at the end.

Two shapes. In the first a question's label is followed, before the next heading or label, by that of its solution; a further label "Answer"
belongs to the same solution. In the second a heading announces exercises, numbered, and a later heading their answers under the same
numbers; where two lists of exercises wait for one list of answers and share numbers, those numbers are given up. An instruction before
such a list ("Evaluate the following:") goes in front of each of its items. One question in parts ("Multiply: 1. ... 2. ...") is as many
questions where its parts are little else than formulas and the solution has the same parts; other questions in parts stay one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from data_pipeline.documents.formula_spans import FORMULA_SPAN
from data_pipeline.problems.problem_blocks import Block, Candidate

_LIST_HEADING = re.compile(
    r"#{1,6}[ ].{0,60}?\b(?:exercises|problems|questions|practice|homework|quiz|problem set|exercise set|review|test)\b", re.IGNORECASE
)
_ANSWER_HEADING = re.compile(r"(?:#{1,6}[ ]|\*\*).{0,40}?\b(?:answers|solutions|answer key|answer sheet)\b", re.IGNORECASE)
_INSTRUCTION = re.compile(r"\b(?:following|each|exercises|problems|below|in)\b.{0,300}[:.]\s*$", re.IGNORECASE | re.DOTALL)
_PART = re.compile(r"^(?:\*\*)?\(?(?P<mark>[a-z]|\d{1,2})[.)](?:\*\*)?[ \t]+(?=\S)", re.MULTILINE)
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_SPLIT_WORDS = 3  # words of a part beside its formulas, at most
_SHORT = 200  # characters of an answer without its reasons
_MAX_PARTS = 60  # paragraphs of one question or solution


@dataclass
class _Open:
    """A question being read."""

    kind: str
    number: str = ""
    question: list[str] = field(default_factory=list)
    solution: list[str] = field(default_factory=list)
    answered: bool = False
    aside: bool = False
    """Whether what is being read is a hint or a note."""
    named: bool = False
    """Whether the last label said "Answer"."""
    closed: bool = False
    """Whether that answer is complete, so that what follows it is other text."""

    def candidates(self) -> Iterator[Candidate]:
        question, solution = "\n\n".join(filter(None, self.question)), "\n\n".join(filter(None, self.solution))
        if question and solution:
            yield from parts_of(Candidate(self.kind, question, solution, listed=self.named))


def labelled(blocks: Iterable[Block]) -> Iterator[Candidate]:
    """Exercises and examples whose solution follows them."""
    current: _Open | None = None
    for block in blocks:
        if block.label == "question":
            if current:
                yield from current.candidates()
            current = _Open("example" if "ex" in block.word and "exercise" not in block.word else "exercise", block.number, [block.rest])
        elif current is None:
            continue
        elif block.label == "answer":
            current.answered, current.aside, current.named = True, False, _names_the_answer(block)
            current.closed = current.named and 0 < len(block.rest) <= _SHORT
            current.solution.append(f"Answer: {block.rest}" if current.named and block.rest else block.rest)
        elif block.label == "aside":
            current.aside = True
        elif block.label == "end" or block.heading or len(current.question) + len(current.solution) > _MAX_PARTS:
            yield from current.candidates()
            current = None
        elif current.answered:
            bare = current.named and not current.solution[-1] and not block.item and len(block.text) <= _SHORT
            if not current.closed:
                current.solution.append(f"Answer: {block.text}" if bare else block.text)
            current.closed = current.closed or bare
        elif not current.aside:
            current.question.append(block.text)
    if current:
        yield from current.candidates()


def parts_of(candidate: Candidate) -> Iterator[Candidate]:
    """The candidate, or one for each part of it where the parts of question and solution match and are little but formulas."""
    questions, solutions = list(_PART.finditer(candidate.prompt)), list(_PART.finditer(candidate.solution))
    marks = [found["mark"] for found in questions]
    counted = ("abcdefghijklmnopqrstuvwxyz", [str(n + 1) for n in range(26)])
    if len(marks) < 2 or [found["mark"] for found in solutions] != marks or not any(marks == list(c[: len(marks)]) for c in counted):
        yield candidate
        return
    intro = candidate.prompt[: questions[0].start()].strip()
    asked, said = _texts_between(questions, candidate.prompt), _texts_between(solutions, candidate.solution)
    if not intro or any(len(_LETTERS.findall(FORMULA_SPAN.sub("", part))) > _SPLIT_WORDS for part in asked):
        yield candidate
        return
    if candidate.listed:
        said = [solution.partition("\n\n")[0] for solution in said]  # what follows the last answer is other text
    for question, solution in zip(asked, said, strict=True):
        yield replace(candidate, prompt=f"{intro} {question}" if "\n" not in intro else f"{intro}\n\n{question}", solution=solution)


def _texts_between(marks: list[re.Match[str]], text: str) -> list[str]:
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]


def listed(blocks: Iterable[Block]) -> Iterator[Candidate]:
    """Numbered exercises whose answers stand in a later list under the same numbers."""
    questions: dict[str, list[str]] = {}
    clashes: set[str] = set()
    answers: dict[str, list[str]] = {}
    mode, instruction = "", ""
    current: list[str] | None = None
    for block in blocks:
        new = _list_kind(block)
        if new is not None:
            if new == "questions" and mode == "answers":
                yield from _match_numbers(questions, answers, clashes)
                questions, answers, clashes = {}, {}, set()
            mode, current, instruction = new, None, ""
            continue
        if not mode:
            continue
        number = block.number if block.item or block.label in ("question", "answer") else ""
        if number and (rest := block.rest):
            into = questions if mode == "questions" else answers
            if number in into:
                clashes.add(number)
            current = into[number] = [instruction, rest] if mode == "questions" and instruction else [rest]
        elif mode == "questions" and _INSTRUCTION.search(block.text) and not block.text.startswith("("):
            instruction, current = block.text, None
        elif current is not None and len(current) < _MAX_PARTS:
            current.append(block.text)
    yield from _match_numbers(questions, answers, clashes)


def _list_kind(block: Block) -> str | None:
    """What a heading says of what is below it: "questions", "answers", or nothing of the kind (""); None for no heading."""
    if (block.heading or block.text.startswith("**")) and _ANSWER_HEADING.match(block.text) and len(block.text) < 100 and not block.number:
        return "answers"
    if not block.heading or (block.label in ("question", "answer") and block.number):
        return None
    return "questions" if _LIST_HEADING.match(block.text) and len(block.text) < 120 else ""


def _match_numbers(questions: dict[str, list[str]], answers: dict[str, list[str]], clashes: set[str]) -> Iterator[Candidate]:
    for number, question in questions.items():
        if number not in answers:
            continue
        prompt, solution = "\n\n".join(question), "\n\n".join(answers[number])
        yield from parts_of(Candidate("list", prompt, solution, listed=True, dropped="ambiguous number" if number in clashes else None))


def _names_the_answer(block: Block) -> bool:
    return "answer" in block.word or block.word in ("ans", "a", "key")
