"""Questions and their answers where a text labels them: exercises with solutions, worked examples, and answers listed at the end.

Two shapes. In the first a question's label is followed, before the next heading or label, by that of its solution; a further label "Answer"
belongs to the same solution. In the second a heading announces exercises, numbered, and a later heading their answers under the same
numbers; where two lists of exercises wait for one list of answers and share numbers, those numbers are given up. An instruction before
such a list ("Evaluate the following:") goes in front of each of its items.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from data_pipeline.problems_text import Block, Candidate

_LIST_HEADING = re.compile(
    r"#{1,6}[ ].{0,60}?\b(?:exercises|problems|questions|practice|homework|quiz|problem set|exercise set|review|test)\b", re.IGNORECASE
)
_ANSWER_HEADING = re.compile(r"(?:#{1,6}[ ]|\*\*).{0,40}?\b(?:answers|solutions|answer key|answer sheet)\b", re.IGNORECASE)
_INSTRUCTION = re.compile(r"\b(?:following|each|exercises|problems|below|in)\b.{0,300}[:.]\s*$", re.IGNORECASE | re.DOTALL)
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

    def candidate(self) -> Candidate | None:
        question, solution = "\n\n".join(filter(None, self.question)), "\n\n".join(filter(None, self.solution))
        return Candidate(self.kind, question, solution) if question and solution else None


def labelled(blocks: Iterable[Block]) -> Iterator[Candidate]:
    """Exercises and examples whose solution follows them."""
    current: _Open | None = None
    for block in blocks:
        if block.label == "question":
            if current and (found := current.candidate()):
                yield found
            current = _Open("example" if "ex" in block.word and "exercise" not in block.word else "exercise", block.number, [block.rest])
        elif current is None:
            continue
        elif block.label == "answer":
            current.answered, current.aside = True, False
            current.solution.append(f"Answer: {block.rest}" if _names_the_answer(block) else block.rest)
        elif block.label == "aside":
            current.aside = True
        elif block.label == "end" or block.heading or len(current.question) + len(current.solution) > _MAX_PARTS:
            if found := current.candidate():
                yield found
            current = None
        elif not current.aside or current.answered:
            (current.solution if current.answered else current.question).append(block.text)
    if current and (found := current.candidate()):
        yield found


def listed(blocks: Iterable[Block]) -> Iterator[Candidate]:
    """Numbered exercises whose answers stand in a later list under the same numbers."""
    questions: dict[str, list[str]] = {}
    clashes: set[str] = set()
    answers: dict[str, list[str]] = {}
    mode, current, instruction, group = "", None, "", 0
    for block in blocks:
        new = _mode(block)
        if new is not None:
            if new == "questions" and mode == "answers":
                yield from _matched(questions, answers, clashes)
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
            group += 1
        elif mode == "questions" and _INSTRUCTION.search(block.text) and not block.text.startswith("("):
            instruction, current = block.text, None
        elif current is not None and len(current) < _MAX_PARTS:
            current.append(block.text)
    yield from _matched(questions, answers, clashes)


def _mode(block: Block) -> str | None:
    """What a heading says of what is below it: "questions", "answers", or nothing of the kind (""); None for no heading."""
    if (block.heading or block.text.startswith("**")) and _ANSWER_HEADING.match(block.text) and len(block.text) < 100 and not block.number:
        return "answers"
    if not block.heading or (block.label in ("question", "answer") and block.number):
        return None
    return "questions" if _LIST_HEADING.match(block.text) and len(block.text) < 120 else ""


def _matched(questions: dict[str, list[str]], answers: dict[str, list[str]], clashes: set[str]) -> Iterator[Candidate]:
    for number, question in questions.items():
        if number not in answers:
            continue
        prompt, solution = "\n\n".join(question), "\n\n".join(answers[number])
        yield Candidate("list", prompt, solution, listed=True, dropped="ambiguous number" if number in clashes else None)


def _names_the_answer(block: Block) -> bool:
    return bool(block.rest) and ("answer" in block.word or block.word in ("ans", "a", "key"))
