r"""Numbers too large to write out, each beside what it means and beside what it does not mean.

A line is "one ~ other"; both directions are tried, by the whole check of two answers.
"""

import pytest

from tests.verifiers.mathematics.notation_tables import pairs
from verifiers.mathematics.equality.math_answer import equivalent

SAME = r"""
# numbers too large to write out
(x-a)^6000 ~ (a-x)^6000
y=(x-a)^6000 ~ y=(a-x)^6000
(x-a)^{6001} ~ -(a-x)^{6001}
(2x-2)^{5000} ~ 2^{5000}(x-1)^{5000}
\frac{1}{46}\binom{2024}{990}+\frac{1}{2} ~ \frac{\binom{2024}{990}+23}{46}
\binom{10000}{3000} ~ \binom{10000}{7000}
2\binom{10000}{3000}-1 ~ \binom{10000}{7000}+\binom{10000}{3000}-1
\binom{5000}{2} ~ 12497500
2^{5000} ~ 4^{2500}
2\cdot2^{5000} ~ 2^{5001}
6^{3000} ~ 2^{3000}3^{3000}
6^{2500} ~ 2^{2500}\cdot 3^{2500}
10^{2024} ~ 2^{2024}5^{2024}
\frac{2^{6000}}{2^{5990}} ~ 1024
2025^{2024} ~ 45^{4048}
2025^{2024}+1 ~ 45^{4048}+1
\frac{10^{2025}-1}{9} ~ \frac{10^{2025}}{9}-\frac19
\sqrt{2^{10001}} ~ 2^{5000}\sqrt2
(-3)^{5001} ~ -3^{5001}
\frac{2024!}{2} ~ \frac12\cdot 2024!
2^{-5000} ~ \frac{1}{2^{5000}}
\left(\frac23\right)^{6000} ~ \frac{2^{6000}}{3^{6000}}
1-\left(\frac{364}{365}\right)^{1000} ~ 1-\frac{364^{1000}}{365^{1000}}
# more large numbers
\binom{2025}{1000}+1 ~ 1+\binom{2025}{1025}
\frac{\binom{5000}{2500}}{2^{5000}} ~ \binom{5000}{2500}2^{-5000}
2^{2023}\cdot 3 ~ 3\cdot2^{2023}
7^{2024}-1 ~ 49^{1012}-1
3^{10000}+2^{10000} ~ 2^{10000}+3^{10000}
(2^{5000})^2 ~ 2^{10000}
2^{5000}\cdot 2^{5000} ~ 4^{5000}
(1+x)^{10000} ~ (x+1)^{10000}
\frac{(x-1)^{3000}}{2} ~ \frac{(1-x)^{3000}}{2}
\frac{1}{(a-b)^{101}} ~ -\frac{1}{(b-a)^{101}}
e^{5000} ~ (e^{2500})^2
\sqrt{2}^{20001} ~ 2^{10000}\sqrt2
"""

DIFFERENT = r"""
# numbers too large to write out
(x-a)^{6001} ~ (a-x)^{6001}
(x-a)^6000 ~ (x+a)^6000
\binom{10000}{5000} ~ \binom{10000}{4999}
\binom{10000}{3000} ~ \binom{10000}{3000}+1
\binom{3000}{1500} ~ \binom{3000}{1501}+1
2^{5000} ~ 2^{5001}
6^{2500} ~ 2^{2500}\cdot 3^{2501}
2025^{2024}+1 ~ 45^{4048}-1
\frac{10^{2025}-1}{9} ~ \frac{10^{2024}-1}{9}
(-3)^{5000} ~ -3^{5000}
2024! ~ 2024!+1
2024! ~ 2023!
10^{10^{10}} ~ 10^{10^{11}}
# more large numbers
7^{2024}-1 ~ 49^{1011}-1
3^{10000}+2^{10000} ~ 5^{10000}
10^{5000}-1 ~ 10^{5001}-1
(1+x)^{10000} ~ (x+1)^{10001}
\frac{1}{a-b} ~ \frac{1}{b-a}
"""


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_the_same_in_another_notation(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), pairs(DIFFERENT))
def test_what_a_notation_does_not_mean(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)
