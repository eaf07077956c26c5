r"""How one expression is written: each notation beside what it means, and beside what it does not mean.

A line is "one ~ other"; both directions are tried, as the whole check of two answers.
"""

import pytest

from verifiers.math_answer import equivalent

SAME_POWER_BEHIND_A_BRACKETED_FUNCTION = r"""
\sin(x)^2 ~ \sin^2 x
\sin(x)^2 ~ (\sin x)^2
\sin\left(x\right)^2 ~ \sin^{2}{\left(x \right)}
\sin{\left(x\right)}^2 ~ \sin^2 x
\ln(x)^3 ~ (\ln x)^3
\log_2(8)^2 ~ 9
\cos(x)^2+\sin(x)^2 ~ 1
2cos(x)^2-1 ~ cos(2x)
sec(x)^2 ~ 1+tan(x)^2
\tan(2x)^2\cos(x) ~ \cos x\tan^2 2x
f(x)^3 ~ (f(x))^3
g(x)^2 ~ (g(x))^2
h(a+b)/2 ~ \frac{(a+b)h}{2}
\exp(x)^2 ~ e^{2x}
\arctan(x)^2 ~ (\arctan x)^2
asin(x)^2 ~ \arcsin^2 x
sinc(x)^2 ~ sinc^2(x)
\sin(x)^{-1} ~ \csc x
\sqrt{\sin(x)^2} ~ |\sin x|
\cos(\theta)^4 ~ \cos^4\theta
\sinh(t)^2 ~ \cosh(t)^2 - 1
"""

DIFFERENT_POWER_BEHIND_A_BRACKETED_FUNCTION = r"""
\sin(x)^2 ~ \sin(x^2)
\sin(x)^2 ~ \sin x^2
\sin{(x)}^2 ~ \sin(x^2)
\ln(x)^2 ~ 2\ln x
\ln(x)^2 ~ \ln(x^2)
\log_2(8)^2 ~ 6
sec(x)^2 ~ sec(x^2)
f(x)^3 ~ f(x^3)
g(x)^2 ~ g x^2
g(x)^2 ~ g(x^2)
\exp(x)^2 ~ e^{x^2}
sinc(x)^2 ~ sinc(x^2)
\sin(x)^{-1} ~ \arcsin x
\sinh(t)^2 ~ \cosh(t)^2 + 1
"""


@pytest.mark.parametrize("line", SAME_POWER_BEHIND_A_BRACKETED_FUNCTION.strip().splitlines())
def test_power_behind_a_bracketed_function(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_POWER_BEHIND_A_BRACKETED_FUNCTION.strip().splitlines())
def test_power_behind_a_bracketed_function_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_RECIPROCAL_AND_INVERSE_FUNCTIONS = r"""
csch x ~ 1/sinh x
\operatorname{csch} x ~ \frac{2}{e^x-e^{-x}}
\operatorname{sech}^2 x ~ 1-\tanh^2 x
\operatorname{sech}(x) ~ \frac{2}{e^x+e^{-x}}
coth x ~ 1/tanh x
arccsc x ~ arcsin (1/x)
arcsec(2) ~ \frac{\pi}{3}
\operatorname{arccsc}(2) ~ \frac{\pi}{6}
\sec^{-1}(2) ~ \frac{\pi}{3}
arccot x ~ arctan (1/x)
\operatorname{arccot}(1) ~ \frac{\pi}{4}
asinh(x) ~ \ln(x+\sqrt{x^2+1})
\operatorname{arsinh}(x) ~ \sinh^{-1} x
\operatorname{arcosh}(2) ~ \ln(2+\sqrt3)
acosh(x) ~ \ln(x+\sqrt{x^2-1})
atanh(1/2) ~ \frac{\ln 3}{2}
\operatorname{artanh} x ~ \frac12\ln\frac{1+x}{1-x}
asinh(1) ~ \ln(1+\sqrt2)
"""

DIFFERENT_RECIPROCAL_AND_INVERSE_FUNCTIONS = r"""
\operatorname{sech}(x) ~ \frac{2}{e^x-e^{-x}}
coth x ~ tanh x
arcsec(2) ~ \frac{\pi}{6}
arccot(-1) ~ 3\pi/4
arccot x ~ arctan x
\cosh^{-1}(2) ~ \ln(2-\sqrt3)
\operatorname{artanh} x ~ \frac12\ln\frac{1-x}{1+x}
arcsinh(x) ~ arccosh(x)
"""


@pytest.mark.parametrize("line", SAME_RECIPROCAL_AND_INVERSE_FUNCTIONS.strip().splitlines())
def test_reciprocal_and_inverse_functions(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_RECIPROCAL_AND_INVERSE_FUNCTIONS.strip().splitlines())
def test_reciprocal_and_inverse_functions_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_FUNCTIONS_UNDER_THE_NAMES_OF_PROGRAMS = r"""
Abs(x) ~ |x|
Abs(x-2)+1 ~ |x-2|+1
floor(3.7) ~ 3
\operatorname{floor}(3.7) ~ 3
\operatorname{ceil}(3.2) ~ 4
ceiling(x/2) ~ \lceil x/2\rceil
\operatorname{max}(2,3) ~ \max\{2,3\}
Max(x,3) ~ \max(3,x)
binomial(5,2) ~ \binom{5}{2}
binomial(5,2) ~ 10
factorial(5) ~ 120
pow(x,3) ~ x^3
cbrt(8) ~ 2
cbrt(x) ~ \sqrt[3]{x}
log2(8) ~ 3
log10(1000) ~ 3
exp(2) ~ e^2
exp(x)*exp(y) ~ e^{x+y}
\sin\{\theta\} ~ \sin\theta
"""

DIFFERENT_FUNCTIONS_UNDER_THE_NAMES_OF_PROGRAMS = r"""
Abs(x) ~ x
floor(x) ~ \lceil x\rceil
pow(x,3) ~ 3^x
log2(8) ~ \ln 16
"""


@pytest.mark.parametrize("line", SAME_FUNCTIONS_UNDER_THE_NAMES_OF_PROGRAMS.strip().splitlines())
def test_functions_under_the_names_of_programs(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_FUNCTIONS_UNDER_THE_NAMES_OF_PROGRAMS.strip().splitlines())
def test_functions_under_the_names_of_programs_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)
