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
# what letters range over
n>1, n\in\mathbb{Z} ~ n>1
x>1, x\in\mathbb{R} ~ x>1
n\ge 3 ~ n\ge 3, n\in\mathbb{Z}
k\pi, k\in\mathbb{Z} ~ n\pi, n\in\mathbb{Z}
k\pi, k\in\mathbb{Z} ~ k\pi \text{ for all integers } k
k\pi, k\in\mathbb{Z} ~ k\pi
(k,k) \text{ for positive integers } k ~ (k,k), k\in\mathbb{N}
(k,k) \text{ for non-negative integers } k ~ (n,n) \text{ where } n \text{ is a nonnegative integer}
f(x)=cx \text{ for any real } c ~ f(x)=cx \text{ where } c \text{ is a real constant}
f(n)=n+1 ~ f(n) = n + 1 for all n
f(n)=n+1 ~ f(n) = n+1 \forall n\in\mathbb{Z}
a_n=2^n-1 ~ a_n=2^n-1 for all n\ge 1
f(x)=ax+b ~ f(x)=ax+b, a,b\in\mathbb{R}
# functions of a variable
f(x)=3 ~ f(t)=3
f(x)=x^2 ~ f(n)=n^2
f(a)=a^2 ~ f(b)=b^2
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
# what letters range over
0<x<3, x\in\mathbb{N} ~ (0,3)
x\in(0,3), x\in\mathbb{N} ~ (0,3)
n>1, n\in\mathbb{Z} ~ x>1
n>1, n\in\mathbb{Z} ~ (1,\infty)
f(x)=cx \text{ for any positive } c ~ f(x)=cx \text{ for any negative } c
f(x)=cx for any positive c ~ f(x)=cx for any negative c
k\pi, k\in\mathbb{Z} ~ k\pi, k\in\mathbb{R}
(k,k) \text{ where } k \text{ is a positive integer} ~ (k,k) \text{ where } k \text{ is a real number}
(k,k) for all positive integers k ~ (k,k) for all integers k
2 ~ 2 \text{ for all negative integers } n
2n ~ 2n \text{ for any non real number } n
f(x)=x for x>0 ~ f(x)=x
f(x)=x \text{ for } x>0 ~ f(x)=x
a_n=2^n ~ a_n = 2^n \text{ for } n\ge 3
# values at a point
P(A)=1/2 ~ P(B)=1/2
N(A)=3 ~ N(B)=3
f(a)=3 ~ f(b)=3
P(x)=3 ~ P(A)=3
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
