r"""Functions as they are written, each beside what it means and beside what it does not mean.

A line is "one ~ other"; both directions are tried, by the whole check of two answers.
"""

import pytest

from tests.verifiers.mathematics.notation_tables import pairs
from verifiers.mathematics.equality.math_answer import equivalent

SAME = r"""
# letters of functions and functions without a meaning here
\zeta(3)^2 ~ (\zeta(3))^2
\varphi(8)+1 ~ 1+\varphi(8)
\Gamma(n)\Gamma(m) ~ \Gamma(m)\Gamma(n)
\Gamma(1+x) ~ \Gamma(x+1)
\frac{\sqrt\pi}{2}\operatorname{erf}(x) ~ \frac{1}{2}\sqrt{\pi}\,\text{erf}(x)
\Phi(1.5) ~ \Phi(3/2)
\Lambda_1+\Lambda_2 ~ \Lambda_2+\Lambda_{1}
f(x,y)^2 ~ (f(x,y))^2
f(x^2+1) ~ f(1+x^2)
log(8,2) ~ 3
log(x,3) ~ \log_3 x
\pi(3)^2(5) ~ 45\pi
a(2)+b(3) ~ 2a+3b
x(2) ~ 2x
\vartheta_{1} ~ \vartheta_1
P(A)+P(B) ~ P(B)+P(A)
P(1+r)^2 ~ P(1+2r+r^2)
T(n)^2 ~ (T(n))^2
A(0,\frac12) ~ A(0,0.5)
E(X)+E(Y) ~ E(Y)+E(X)
\frac{A(b+c)}{2} ~ \frac{Ab+Ac}{2}
# power behind a bracketed function
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
# more powers behind functions
sinc(x)^3 ~ sinc^3(x)
cot(x)^2 ~ cot^2 x
csc(x)^4 ~ csc^4(x)
acos(x)^2 ~ acos^2(x)
sinh(x)^2 ~ sinh^2(x)
tanh(x)^3 ~ tanh^3(x)
log(x)^2 ~ log^2(x)
ln(x)^2 ~ ln^2(x)
\log(x)^2 ~ (\log x)^2
\sin(2x)^2 ~ \frac{1-\cos(4x)}{2}
\sin\left(\frac{x}{2}\right)^2 ~ \frac{1-\cos x}{2}
\sin \left( x \right)^{2} \cos\left(x\right)^{2} ~ \frac{\sin^2(2x)}{4}
\sin[x]^2 ~ \sin^2 x
\sin\bigl(x\bigr)^2 ~ \sin^2 x
\cos\Big(\frac{\pi}{8}\Big)^2 ~ \frac{2+\sqrt2}{4}
\ln\left(x+1\right)^2 ~ \ln^2(x+1)
\exp(-x)^2 ~ e^{-2x}
\max(x,y)^2 ~ (\max(x,y))^2
\log_2(x)^3 ~ (\log_2 x)^3
\sin(x)^n ~ \sin^n(x)
\sin(x)^{2n} ~ \sin^{2n} x
f(x)^2+1 ~ 1+(f(x))^2
f(x+1)^2 ~ (f(x+1))^2
y(x)^2 ~ (y(x))^2
2\sin(x)^2-3\sin(x)+1 ~ (2\sin x-1)(\sin x-1)
\tan(x)^2+1 ~ \frac{1}{\cos(x)^2}
e^(2ix) ~ cos(x)^2-sin(x)^2+2i*sin(x)*cos(x)
# reciprocal and inverse functions
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
# more names of functions
cosech(x) ~ 1/sinh(x)
arcosech(x) ~ asinh(1/x)
arsech(1/2) ~ arcosh(2)
arcoth(2) ~ \frac12\ln 3
cosec(x)^2 ~ 1+cot(x)^2
arccosec(2) ~ \pi/6
\arcsec 2 ~ \pi/3
\arccot 1 ~ \pi/4
\operatorname{arccot}\sqrt3 ~ \pi/6
\text{arcsinh}(1) ~ \ln(1+\sqrt2)
\sh x ~ \sinh x
\cosh^2 x-\sinh^2 x ~ 1
\operatorname{sech}^2(x)+\tanh^2(x) ~ 1
\mathrm{sech}\,x ~ 1/\cosh x
\text{sech}(x) ~ 1/\cosh x
\coth x ~ \frac{\cosh x}{\sinh x}
\coth x ~ \frac{e^{2x}+1}{e^{2x}-1}
\csch^2 x ~ \coth^2 x - 1
sign(x) ~ \operatorname{sgn}(x)
ceil(2.1)+1 ~ 4
# functions under the names of programs
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
# operator names
\operatorname{floor}\left(\frac{7}{2}\right) ~ 3
\operatorname{floor}(-1.5) ~ -2
\operatorname{ceil}(-1.5) ~ -1
\operatorname{min}(3,4) ~ \min(4,3)
\operatorname{max}\{x,y\} ~ \max(y,x)
\operatorname{gcd}(12,18) ~ \gcd(18,12)
\operatorname{lcm}(4,6) ~ \operatorname{lcm}(6,4)
\operatorname{sgn}(x) ~ \text{sgn}(x)
\operatorname{ceiling}(x) ~ \lceil x\rceil
\operatorname{floor}x ~ \lfloor x\rfloor
\mathrm{floor}(x+y) ~ \lfloor x+y\rfloor
\operatorname{abs}(x) ~ |x|
\operatorname{Abs}(x) ~ |x|
\operatorname{exp}(2x) ~ e^{2x}
\operatorname{sin}(x) ~ \sin x
\operatorname{log}(x) ~ \log x
\operatorname{mod}(17,5) ~ 17 \bmod 5
mod(17,5) ~ 17 mod 5
# absolute values in bars and in words
|x|+|y| ~ Abs(x)+Abs(y)
a*|x|+|y| ~ a*Abs(x)+Abs(y)
a|x|+|y| ~ a*Abs(x)+Abs(y)
|x|a+|y| ~ a*Abs(x)+Abs(y)
|x+|y|| ~ Abs(x+Abs(y))
a|x+b|y|| ~ a*Abs(x+b*Abs(y))
|x||y| ~ Abs(x*y)
|x|/|y| ~ Abs(x/y)
|x|^2 ~ x^2
abs(x)^3 ~ |x|^3
"""

DIFFERENT = r"""
# letters of functions and functions without a meaning here
\zeta(2)+\zeta(3) ~ \zeta(5)
\zeta(3) ~ 3\zeta
P(1)+P(2) ~ P(3)
g(2)+g(3) ~ g(5)
\phi(10) ~ 10\phi
\Gamma(x+1) ~ x\Gamma+\Gamma
\operatorname{erf}(x) ~ \operatorname{erfc}(x)
\Phi(1.5) ~ 1.5\Phi
y(0)+y(1) ~ y
f(x,y) ~ f(y,x)
f(f(x)) ~ f(x)^2
f(a_1+a_2+a_3+a_4+a_5+a_6+a_7+a_8+b_1) ~ f(a_1+a_2+a_3+a_4+a_5+a_6+a_7+a_8+b_2)
log(8,2) ~ \frac13
(iv) ~ (vi)
iv ~ vi
(ii) ~ -1
17 \bmod 5, 9 \bmod 6 = 3 ~ 2, 3
\chi_1 ~ \chi_2
P(A)+P(B) ~ P(A+B)
p(2)+p(3) ~ p(5)
T(2)+T(3) ~ T(5)
A(0,1) ~ A(1,0)
# power behind a bracketed function
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
# more powers behind functions
\sin(x)^2\cos(x) ~ \sin(x)\cos(x)^2
\arctan(x)^2 ~ \arctan(x^2)
\gcd(12,18)^2 ~ 36
\log_2(x)^3 ~ 3\log_2 x
f(x+1)^2 ~ f((x+1)^2)
\tan(x)^2+1 ~ \sec(x)
# reciprocal and inverse functions
\operatorname{sech}(x) ~ \frac{2}{e^x-e^{-x}}
coth x ~ tanh x
arcsec(2) ~ \frac{\pi}{6}
arccot(-1) ~ 3\pi/4
arccot x ~ arctan x
\cosh^{-1}(2) ~ \ln(2-\sqrt3)
\operatorname{artanh} x ~ \frac12\ln\frac{1-x}{1+x}
arcsinh(x) ~ arccosh(x)
# more names of functions
\csch^2 x ~ \coth^2 x + 1
# functions under the names of programs
Abs(x) ~ x
floor(x) ~ \lceil x\rceil
pow(x,3) ~ 3^x
log2(8) ~ \ln 16
# operator names
\operatorname{floor}(-1.5) ~ -1
"""


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_the_same_in_another_notation(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), pairs(DIFFERENT))
def test_what_a_notation_does_not_mean(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)
