"""Does the response repeat itself? score = distinct n-grams / n-grams - 1, so 0 where none comes twice, towards -1 in a loop.

Source: the repetition penalty of arXiv:2502.03373, appendix, in the form that open-r1 made common (there n = 3, which also costs
ordinary prose; the paper's n is 40 tokens). The unit is a word in lower case; a Chinese or Japanese character is a word, and in a
run of more than 48 characters without a space each character is one, so that Thai, or a loop without spaces, is seen too. The cost is
linear in the text. A response of fewer than n words scores 0: combine it with a verifier
that wants an answer. Left out: paraphrase, and a phrase that comes back with other numbers in it.
"""

import re
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, Verdict

_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNIT = re.compile(rf"[{_CJK}]|[^\s{_CJK}]+")
_LONGEST = 48
_BASE, _MODULUS = 1_000_003, (1 << 61) - 1


def verify(problem: Problem, response: str, *, n: int = 20, allowed: float = 0.1) -> Verdict:
    """The score above. Right means that at most the share `allowed` of the n-grams are repeats; `problem` is not looked at."""
    if n < 1 or not 0 <= allowed <= 1:
        raise InputError(f"repetition: n must be at least 1 and allowed from 0 to 1, not {n} and {allowed}")
    total, distinct = count_ngrams(response, n)
    repeated = 1 - distinct / total if total else 0.0
    return Verdict(
        -repeated if repeated else 0.0,
        Status.RIGHT if repeated <= allowed else Status.WRONG,
        f"{total - distinct} of {total} {n}-grams repeat",
    )


def count_ngrams(text: str, n: int) -> tuple[int, int]:
    """The n-grams of a text, and how many different ones, by a rolling hash of 61 bits."""
    codes: dict[str, int] = {}
    units = [codes.setdefault(unit, len(codes) + 1) for unit in _units(text)]
    if len(units) < n:
        return 0, 0
    leaving = pow(_BASE, n, _MODULUS)
    seen: set[int] = set()
    value = 0
    for at, unit in enumerate(units):
        value = (value * _BASE + unit) % _MODULUS
        if at >= n:
            value = (value - units[at - n] * leaving) % _MODULUS
        if at >= n - 1:
            seen.add(value)
    return len(units) - n + 1, len(seen)


def _units(text: str) -> list[str]:
    """Words in lower case; of what is longer than any word, the characters."""
    units: list[str] = []
    for match in _UNIT.finditer(text.lower()):
        run = match[0]
        units += [run] if len(run) <= _LONGEST else run
    return units


def check(**parameters: Any) -> None:
    """Raises InputError for parameters that no response could be scored by."""
    verify(make_problem("", ""), "", **parameters)
