r"""What answers say beside their value, and the forms in which a question comes back unsolved: each class with near misses.

The tables are lines "gold ~ answer", judged in both directions under the default policy.
"""

import pytest

from tests.clock import stopwatch
from verifiers.mathematics.equality.math_answer import equivalent

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
# open forms: transposes, multiples, unions of intervals and roundings of variables are answers
\begin{pmatrix}1\\2\\3\end{pmatrix} ~ \begin{pmatrix}1&2&3\end{pmatrix}^{\mathsf T}
\begin{pmatrix}2&4\\6&8\end{pmatrix} ~ 2\begin{pmatrix}1&2\\3&4\end{pmatrix}
\lfloor n/2\rfloor ~ \left\lfloor \frac{n}{2}\right\rfloor
(0,1)\cup(2,3) ~ (2,3)\cup(0,1)
\{1\}\cup(2,3) ~ (2,3)\cup\{1\}
\lfloor\sqrt{2023}\rfloor ~ \left\lfloor\sqrt{2023}\right\rfloor
# solved statements
\frac{6-3x}{2} ~ y=\frac{6-3x}{2}
3x+2y=6 ~ y=\frac{6-3x}{2}
xy=6 ~ \frac{6}{x}
5 ~ 5=x
|z|=1 ~ |z|=1.0
|x|<1 ~ 1>|x|
1\le|z|\le 2 ~ z\in[-2,-1]\cup[1,2]
y+1=-(2x-1)^2 ~ -4x^2+4x-2
# readings on which all agree
\sin \omega t ~ \sin(\omega t)
\sin xy ~ \sin(xy)
\cos n\theta ~ \cos(n\theta)
(1/2)x ~ x/2
3/4\pi ~ \frac{3\pi}{4}
5/2cm ~ 2.5 cm
x=1,y=2 ~ \{x=1,y=2\}
x=1,x=2 ~ \{1,2\}
x_1=1,x_2=2 ~ \{1,2\}
# an identity, a chain of names, constants of integration
f(x)=0 ~ f(x) \equiv 0
(1,1,1) ~ a=b=c=1
(2,2) ~ p=q=2
x=2,y=2 ~ x=y=2
Ce^x ~ c_1e^x
C_1e^x+C_2e^{-x} ~ Ae^x+Be^{-x}
C_1e^x+C_2e^{-x} ~ c_2e^x+c_1e^{-x}
x\equiv 1\pmod 5 ~ x \equiv 6 \pmod{5}
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
# open forms
-2 ~ \begin{vmatrix}1&2\\3&4\end{vmatrix}
\begin{pmatrix}7&10\\15&22\end{pmatrix} ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}^2
\begin{pmatrix}7&10\\15&22\end{pmatrix} ~ \left(\begin{matrix}1&2\\3&4\end{matrix}\right)^2
\begin{pmatrix}19&22\\43&50\end{pmatrix} ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{pmatrix}5&6\\7&8\end{pmatrix}
\begin{pmatrix}19&22\\43&50\end{pmatrix} ~ \begin{bmatrix}1&2\\3&4\end{bmatrix} \cdot \begin{bmatrix}5&6\\7&8\end{bmatrix}
\begin{pmatrix}-2&1\\3/2&-1/2\end{pmatrix} ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}^{-1}
\begin{pmatrix}2&4\\6&8\end{pmatrix} ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}\cdot 2
\{1,2\}\cup\{2,3\} ~ \{1,2,3\}
\{1,2\}\cap\{2,3\} ~ \{2\}
(0,2)\cap(1,3) ~ (1,2)
44 ~ \lfloor\sqrt{2023}\rfloor
45 ~ \lceil\sqrt{2023}\rceil
2 ~ 2^{100}-7\lfloor 2^{100}/7\rfloor
# statements that are not solved
5 ~ x+y=5+y
5 ~ x+0=5
3 ~ -x=-3
x\in(-1,1) ~ |x|<1
\frac{6-3x}{2} ~ 3x+2y=6
6-x ~ x+y=6
# what readers read differently
\sin x y ~ \sin(xy)
\sin x y ~ y\sin x
1/2x ~ \frac{x}{2}
1/2x ~ \frac{1}{2x}
a/bc ~ \frac{a}{bc}
a/bc ~ \frac{ac}{b}
# names are no set
x=1,y=2 ~ \{1,2\}
# an identity, a chain of names, constants of integration
f(x)=0 ~ f(x) \equiv 1
x\equiv 1\pmod 5 ~ x=1
(1,1,1) ~ a=b=1
(1,1,2) ~ a=b=c=1
(1,2) ~ a=b=1
5 ~ x=y=6
Ax+B ~ Bx+A
c_1 x+c_2 ~ c_1 x+c_1
f(x)=cx ~ f(x)=kx^2
f(x)=cx ~ f(x)=c+x
Ae^{x} ~ ke^{x}
2k ~ 2c
f(x)=cx ~ f(x)=kx
Ce^{kx} ~ ke^{Cx}
C_1e^x+C_2e^{-x} ~ Ce^x+Ce^{-x}
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


def test_a_long_union_is_sorted_once() -> None:
    pieces = [rf"({2 * i},{2 * i + 1})" for i in range(60)]
    took = stopwatch()
    assert equivalent(r"\cup".join(pieces), r"\cup".join(reversed(pieces)))
    assert took() < 1.0
