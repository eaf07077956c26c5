r"""What can be said of a data set's problems without judging them: lengths, duplicates, and answers that their own prompt gives away.

One pass, with about 200 bytes a row kept: a hash of each prompt, the first row that has it, and that row's answer. Two prompts are
near duplicates if they are equal up to case, white space, the punctuation of sentences and the signs that open and close formulas;
nothing fuzzier, since two problems that differ in one number are two problems. Each row is compared with the first of its prompt only.
"""

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recipes.looking.explanation import judges_answers
from verifiers.problem import Problem

_FORMULA_SIGNS = re.compile(r"\$+|\\[()\[\],;:! ]|\\(?:left|right|displaystyle|quad)(?![A-Za-z])")
_QUOTES = str.maketrans({**dict.fromkeys('"“”„«»'), "’": "'"})
_AROUND_SIGNS = re.compile(r" ?([^\w ]) ?")
_LONGEST_ANSWER = 120  # characters of an answer that are kept to be compared; of a longer one its hash is
_GOLDS_OF_MANY = frozenset({"python_tests", "metamath_proof", "lean_proof"})  # two programs or proofs may both be right


@dataclass(frozen=True, slots=True)
class Repeat:
    """A row whose prompt an earlier row has."""

    place: str
    id: str
    earlier: str
    """Place of the first row with this prompt."""
    first: str
    """That row's answer."""
    answer: str
    same: bool | None
    """Whether the answers are the same, or None for math answers in different words, which a verifier must compare."""
    exact: bool
    """Prompt, answer and verifier are the same to the letter."""


class Census:
    """Counts problems as they come; the arrays are in characters, one entry a problem."""

    def __init__(self) -> None:
        self.prompt_lengths, self.answer_lengths = array("I"), array("I")
        self.verifiers: Counter[str] = Counter()
        self._firsts: dict[bytes, str] = {}  # a string is a third of the size of a tuple

    def add(self, place: str, name: str, problem: Problem) -> Repeat | None:
        """Count a problem; `name` is what findings call it. Returns what it repeats, if anything."""
        prompt, answer = prompt_text(problem), problem.answer.strip()
        self.prompt_lengths.append(len(prompt))
        self.answer_lengths.append(len(answer))
        self.verifiers[problem.verifier] += 1
        kept = answer if len(answer) <= _LONGEST_ANSWER else f"{answer[:40]}... (hash {_hash_of(answer).hex()})"
        mine = f"{place}\t{problem.id}\t{kept}"
        first = self._firsts.setdefault(_hash_of(normalised(prompt)), mine)
        if first is mine:
            return None
        earlier, identity, known = first.split("\t", 2)
        same: bool | None = kept == known or problem.verifier in _GOLDS_OF_MANY
        if not same and judges_answers([problem.verifier]) and max(len(kept), len(known)) <= _LONGEST_ANSWER:
            same = None
        return Repeat(place, name, earlier, known, kept, same, identity == problem.id)


def normalised(prompt: str) -> str:
    """The prompt as near duplicates share it."""
    words = map(_without_punctuation, _FORMULA_SIGNS.sub(" ", prompt.casefold().translate(_QUOTES)).split())
    return _AROUND_SIGNS.sub(r"\1", " ".join(word for word in words if word))


def _without_punctuation(word: str) -> str:
    """Without the punctuation behind it; but 5! is not 5."""
    word = word.rstrip(".,;:?")
    return word[:-1] if word.endswith("!") and word[-3:-1].isalpha() and len(word) > 2 else word


def prompt_text(problem: Problem) -> str:
    """The prompt, or what its messages say, as one text."""
    if isinstance(problem.prompt, str):
        return problem.prompt
    return "\n".join(message["content"] for message in problem.prompt)


def given_away(problem: Problem) -> str | None:
    """The final answer as the prompt already marks it (boxed, tagged or behind ####), if it does."""
    prompt, answer = prompt_text(problem), problem.answer.strip()
    squeezed, wanted = "".join(prompt.split()), "".join(answer.split())
    for mark in (f"\\boxed{{{wanted}}}", f"\\fbox{{{wanted}}}", f"<answer>{wanted}</answer>"):
        if mark in squeezed:
            return mark
    if "####" in prompt and any(line.rpartition("####")[2].strip() == answer for line in prompt.splitlines() if "####" in line):
        return f"#### {answer}"
    return None


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Smallest, median, 90 %, 99 % and largest; empty for no values. Each is one of the values (the nearest rank)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {name: ordered[round(q * last)] for name, q in (("min", 0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)) if ordered}


def _hash_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
