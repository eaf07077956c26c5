"""The samples of one problem by their answers: equivalent ones together, as the mathematics verifier judges, not by their spelling.

1/2, 0.5 and \\frac{1}{2} are one answer. Each answer is asked against the first of each class, in the order in which they came.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rl.evaluation.subsets import AnswerClass
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.response_text.final_answer import extract_answer

_LONGEST = 100_000  # characters, from the end, that an answer is looked for in


@dataclass(frozen=True)
class Answered:
    """What the samples of one problem say."""

    answers: tuple[str, ...]
    """The first spelling of each class, in the order in which they came."""
    place: tuple[int | None, ...]
    """Of each sample, which class it is of; None where no answer can be read."""

    def classes(self, right: Sequence[bool]) -> list[AnswerClass]:
        """`right`: of each sample. A class is right if most of its samples were judged so: a verifier may ask for more than an answer."""
        rights, counts = [0] * len(self.answers), [0] * len(self.answers)
        for place, own in zip(self.place, right, strict=True):
            if place is not None:
                counts[place] += 1
                rights[place] += own
        return [AnswerClass(count, 2 * own > count) for count, own in zip(counts, rights, strict=True)]


def answered(responses: Sequence[str]) -> Answered:
    """By class. No text is run; reading and comparing have the verifier's own limits."""
    answers: list[str] = []
    place: list[int | None] = []
    known: dict[str, int] = {}
    for response in responses:
        found = extract_answer(response[-_LONGEST:])
        if found is None:
            place.append(None)
            continue
        if found.text not in known:
            same = next((n for n, first in enumerate(answers) if equivalent(first, found.text) or equivalent(found.text, first)), None)
            if same is None:
                answers.append(found.text)
            known[found.text] = len(answers) - 1 if same is None else same
        place.append(known[found.text])
    return Answered(tuple(answers), tuple(place))
