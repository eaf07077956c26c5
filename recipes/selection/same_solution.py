r"""Are two responses to a problem the same solution? Rejection sampling wants different ones: a copy teaches nothing new.

Two are the same if their final answers are equivalent (as `math_answer` judges; where no answer can be read from either, nothing is
asked of them) and if one of these holds, in this order:

1. the same text but for white space and case;
2. the same equations in the same order, whatever words stand between them: "3 * 4 = 12. 12 + 5 = 17." (the criterion of RFT,
   arXiv:2308.01825, section 3.3, which keeps one response for each list of equations); responses without an equation are not compared so;
3. word 5-grams with a Jaccard similarity of at least the threshold (`data_pipeline/columns/minhash.py` says what a word is).

Left out: the same derivation with its steps in another order, or with other letters; these count as different.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from data_pipeline.columns.minhash import shingles
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.response_text.final_answer import extract_answer

SAME_TEXT, SAME_EQUATIONS, NEARLY_SAME = "the same text again", "the same equations again", "nearly the same text again"
REASONS = (SAME_TEXT, SAME_EQUATIONS, NEARLY_SAME)
_SIGN = r"\d+(?:,\d{3})*(?:\.\d+)?|\\(?:times|cdot|div|frac|sqrt|pi)\b|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[-+*/×·÷^=<>≤≥%!−]|[ \t{}()$\\]"
_RUN = re.compile(f"(?:{_SIGN})++")
_SPELLING = re.compile(r"\\(?:times|cdot|div)\b|[×·÷−, \t{}()$]|\\(?![a-z])")
_PLAIN = {"×": "*", "·": "*", r"\times": "*", r"\cdot": "*", "÷": "/", r"\div": "/", "−": "-"}
_LONGEST = 100_000  # characters that equations and an answer are looked for in


@dataclass(frozen=True, slots=True)
class Solution:
    """What of a response is compared; made by `solution_of`."""

    words: str
    equations: tuple[str, ...]
    answer: str | None
    grams: frozenset[int] = field(repr=False)


def solution_of(text: str) -> Solution:
    answer = extract_answer(text[-_LONGEST:])
    grams = frozenset(shingles(text).tolist())
    return Solution(" ".join(text.lower().split()), equations(text[:_LONGEST]), answer.text if answer else None, grams)


def equations(text: str) -> tuple[str, ...]:
    """The equations of a text in order, without white space, brackets and TeX's dollars, and with one sign for each operation."""
    runs = (found.group() for found in _RUN.finditer(text))
    plain = (_SPELLING.sub(lambda sign: _PLAIN.get(sign.group(), ""), run) for run in runs if "=" in run)
    return tuple(run for run in plain if "=" in run.strip("="))


def similarity(one: Solution, other: Solution) -> float:
    """Jaccard similarity of the sets of word 5-grams; 1 for two texts without words."""
    either = len(one.grams | other.grams)
    return len(one.grams & other.grams) / either if either else 1.0


def why_same(one: Solution, other: Solution, *, near: float) -> str | None:
    """Which of `REASONS` makes them the same solution; None where they differ. `near`: the threshold of the third."""
    if one.words == other.words:
        return SAME_TEXT
    same_equations = bool(one.equations) and one.equations == other.equations
    if not same_equations and similarity(one, other) < near:
        return None
    if one.answer is not None and other.answer is not None and not _equivalent(one.answer, other.answer):
        return None
    return SAME_EQUATIONS if same_equations else NEARLY_SAME


@lru_cache(maxsize=4096)
def _equivalent(one: str, other: str) -> bool:
    return one == other or equivalent(one, other) or equivalent(other, one)
