r"""What answers say beside their value, and the forms in which a question comes back unsolved: each class with near misses.

The tables are lines "gold ~ answer", judged in both directions under the default policy.
"""

import pytest

from verifiers.math_answer import equivalent

SAME = r"""
# a number multiplies what stands before it as the base of a power
n2^{n-1} ~ n \cdot 2^{n-1}
(n+1)2^{n-1} ~ 2^{n-1}(n+1)
\binom{n}{2}2^{n-2} ~ 2^{n-2}\binom{n}{2}
(-1)^n 2^n ~ (-2)^n
2^n3^n ~ 6^n
\pi 2^n ~ 2^n\pi
n!2^n ~ 2^n n!
n^2 2^n ~ 2^n n^2
"""

DIFFERENT = r"""
# a number multiplies what stands before it as the base of a power
n2^{n-1} ~ (2n)^{n-1}
n2^n ~ 2n^n
(-1)^n 2^n ~ 2^n
x 3 ~ 3x
\sqrt3 2 ~ 2\sqrt3
5 3^2 ~ 45
1,2 3^2 ~ 1,18
n^22^n ~ n^2 2^n
\sin x 2^n ~ 2^n\sin x
\sin x 2^n ~ \sin(2^n x)
"""


def _pairs(table: str) -> list[tuple[str, str]]:
    lines = [line for line in table.strip().splitlines() if not line.startswith("#")]
    return [(gold, answer) for gold, _, answer in (line.partition(" ~ ") for line in lines)]


@pytest.mark.parametrize(("gold", "answer"), _pairs(SAME))
def test_the_same_answer_passes_in_both_directions(gold: str, answer: str) -> None:
    assert equivalent(gold, answer)
    assert equivalent(answer, gold)


@pytest.mark.parametrize(("gold", "answer"), _pairs(DIFFERENT))
def test_a_near_miss_passes_in_neither_direction(gold: str, answer: str) -> None:
    assert not equivalent(gold, answer)
    assert not equivalent(answer, gold)
