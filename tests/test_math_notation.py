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


SAME_LETTERS_WITH_SUBSCRIPTS = r"""
\lambda_{2} ~ \lambda_2
\alpha_{2} ~ \alpha _2
x_{i}^{2} ~ x^2_i
x_{i,j}^{2} ~ x^{2}_{i,j}
\lambda_{2}^{2} ~ \lambda^{2}_{2}
x_{2}^{2} ~ x^2_2
x_{x^2}^2 ~ \left(x_{x^2}\right)^{2}
\lambda_1+\lambda_2 ~ \lambda_2 + \lambda_{1}
\lambda_{max} ~ \lambda_{\text{max}}
\lambda_{max} ~ \lambda_{\max}
\mu_0 I ~ I\mu_{0}
2\pi\epsilon_0 r ~ 2 \pi r \epsilon_{0}
\omega_0^2 ~ \omega^2_0
λ₁² ~ \lambda_1^2
lambda_1*x ~ x\lambda_1
\sigma_x\sigma_y ~ \sigma_{y}\sigma_{x}
ax_0+by_0 ~ b y_0 + a x_0
x_1 x_2 ~ x1*x2
R1*(R2+R3) ~ R_1R_2+R_1R_3
n2^{n-1} ~ n\cdot 2^{n-1}
x_{\alpha} ~ x_\alpha
C^2_5 ~ 10
\sum^{4}_{i=1} i^2 ~ \sum_{i=1}^{4} i^2
\int^1_0 x\,dx ~ \int_0^1 x\,dx
\log_2 8 ~ 3
log_2(8) ~ 3
\log^2_3 x ~ (\log_3 x)^2
"""

DIFFERENT_LETTERS_WITH_SUBSCRIPTS = r"""
x_i^2 ~ x_{i^2}
x_{x^2} ~ x_x^2
\lambda_1 ~ \lambda_2
\lambda_1 ~ \lambda
\theta_1-\theta_2 ~ \theta_2-\theta_1
ax_0+by_0 ~ a y_0 + b x_0
x1 ~ x^1
x_{10} ~ x_1
a_{n+1} ~ a_{n-1}
e^2 ~ e_2
"""


@pytest.mark.parametrize("line", SAME_LETTERS_WITH_SUBSCRIPTS.strip().splitlines())
def test_letters_with_subscripts(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_LETTERS_WITH_SUBSCRIPTS.strip().splitlines())
def test_letters_with_subscripts_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_ARRAYS_AND_MATRICES = r"""
[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ \left[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}\right]
[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ \begin{bmatrix}3 & 7 \\ 5 & 12\end{bmatrix}
(\begin{array}{c}1 \\ 2\end{array}) ~ \begin{pmatrix}1\\2\end{pmatrix}
\bigl(\begin{smallmatrix}1&2\\3&4\end{smallmatrix}\bigr) ~ \begin{pmatrix}1&2\\3&4\end{pmatrix}
\Big[\begin{array}{c}1 \\ 2\end{array}\Big] ~ \begin{pmatrix}1\\2\end{pmatrix}
[[3,7],[5,12]] ~ \begin{bmatrix}3 & 7 \\ 5 & 12\end{bmatrix}
[[1,2,3],[4,5,6]] ~ [\begin{array}{ccc}1&2&3\\4&5&6\end{array}]
[3,7;5,12] ~ \begin{bmatrix}3 & 7 \\ 5 & 12\end{bmatrix}
[1/2, 1] ~ \begin{matrix} \frac12 \\ 1 \end{matrix}
(1,2,3) ~ \begin{pmatrix}1\\2\\3\end{pmatrix}
\langle 1,2,3\rangle ~ [\begin{array}{c}1 \\ 2\\3\end{array}]
\left|\begin{array}{cc}2&1\\1&2\end{array}\right| ~ \begin{vmatrix}2&1\\1&2\end{vmatrix}
\begin{vmatrix}2&1\\1&2\end{vmatrix}=3 ~ 3
17 \bmod 5 = 2 ~ 2
\begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{pmatrix}1\\1\end{pmatrix} = \begin{pmatrix}3\\7\end{pmatrix} ~ \begin{pmatrix}3\\7\end{pmatrix}
2[\begin{array}{c}1 \\ 2\end{array}] ~ \begin{pmatrix}2\\4\end{pmatrix}
\\begin{pmatrix} 1 \\\\ \\frac12 \\end{pmatrix} ~ \begin{pmatrix} 1 \\ 0.5 \end{pmatrix}
\\frac{1}{2} ~ 0.5
A^{-1}=[\begin{array}{cc}1&0\\0&2\end{array}] ~ A^{-1} = \left[\begin{array}{ll}1&0\\0&2\end{array}\right]
"""

DIFFERENT_ARRAYS_AND_MATRICES = r"""
[\begin{array}{rr}3 & 7 \\ 5 & 12\end{array}] ~ [\begin{array}{rr}3 & 5 \\ 7 & 12\end{array}]
[[3,7],[5,12]] ~ \begin{bmatrix}3 & 5 \\ 7 & 12\end{bmatrix}
[3,7;5,12] ~ [3,7,5,12]
[1,2] ~ \begin{pmatrix}2\\1\end{pmatrix}
[1,2) ~ \begin{pmatrix}1\\2\end{pmatrix}
\{1,2\} ~ \begin{pmatrix}1\\2\end{pmatrix}
[1,2] ~ (1,2)
x\in[1,2] ~ x\in(1,2)
\begin{vmatrix}2&1\\1&2\end{vmatrix}=3 ~ 5
\begin{vmatrix}2&1\\1&2\end{vmatrix} ~ 3
17 \bmod 5 = 3 ~ 2
\begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{pmatrix}1\\1\end{pmatrix} = \begin{pmatrix}3\\7\end{pmatrix} ~ \begin{pmatrix}7\\3\end{pmatrix}
"""


@pytest.mark.parametrize("line", SAME_ARRAYS_AND_MATRICES.strip().splitlines())
def test_arrays_and_matrices(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_ARRAYS_AND_MATRICES.strip().splitlines())
def test_arrays_and_matrices_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_OTHER_WRITINGS = r"""
{\theta \choose \gamma} ~ \binom{\theta}{\gamma}
5 \choose 2 ~ 10
{n+1 \choose k} ~ \binom{n+1}{k}
{2n \choose n}+1 ~ 1+\binom{2n}{n}
\text{A3}_{16} ~ \mathrm{A3}_{16}
\text{A3}_{16} ~ 163_{10}
\text{A3}_{16} ~ A3_{16}
\text{FF}_{16} ~ 255_{10}
(1021)_3 ~ 1021_3
2B_{12} ~ \text{2B}_{12}
plus_minus x ~ \pm x
\bigl(x+1\bigr)\Big(x-1\Big) ~ x^2-1
\Bigl[1,2\Bigr] ~ [1,2]
\bigl\{1,2\bigr\} ~ \{1,2\}
\bigl\lfloor x\bigr\rfloor ~ \lfloor x\rfloor
23^1.5=110.304 ~ 110.304=23^1.5
"""

DIFFERENT_OTHER_WRITINGS = r"""
{n \choose k} ~ \binom{k}{n}
\text{A3}_{16} ~ \text{A4}_{16}
\text{A3}_{16} ~ \text{A3}_{12}
(1021)_3 ~ 1021_4
"""


@pytest.mark.parametrize("line", SAME_OTHER_WRITINGS.strip().splitlines())
def test_other_writings(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_OTHER_WRITINGS.strip().splitlines())
def test_other_writings_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_EQUATIONS_AND_INEQUALITIES_IN_ANOTHER_FORM = r"""
-x>-1 ~ x<1
-x<5 ~ x>-5
-x\ge-1 ~ x\le1
-2<-x<3 ~ -3<x<2
1>-x ~ x>-1
-y\le-\frac{1}{2} ~ y\ge0.5
w(12.5-w)=25 ~ 2w+50/w=25
x^2-1=0 ~ x=1/x
y=\frac{x}{2x-1} ~ \frac1x+\frac1y=2
\frac1x+\frac1y=\frac1z ~ z=\frac{xy}{x+y}
y=\frac{x}{x^2+1} ~ yx^2-x+y=0
y=\frac{x-1}{x+2} ~ y(x+2)=x-1
\frac{x^2}{4}+\frac{y^2}{9}=1 ~ 9x^2+4y^2=36
y=-x ~ (1+i)(x+y)=0
a=b*(2-i)/5 ~ a*(2+i)=b
iz=3w ~ z=-3iw
\sqrt2 x+y=1 ~ 2x+\sqrt2 y=\sqrt2
f(x)-\ln|x|-c=0 ~ f(x)=\ln|x|+c
f(2)=f(3)+4 ~ f(3)+4=f(2)
-Ia*(R1+R2+R3)+Ib*R3=0 ~ Ia*(R1+R2+R3)-Ib*R3=0
y=2x+3 ~ f(x)=2x+3
x^2+y^2=25 ~ 25=x^2+y^2
x^2+y^2=25 ~ x^2+y^2-25=0
2x^2+2y^2=50 ~ x^2+y^2=25
PV=nRT ~ P=\frac{nRT}{V}
\frac{PV}{T}=nR ~ PV=nRT
1=x ~ x=1
xy=1 ~ y=1/x
"""

DIFFERENT_EQUATIONS_AND_INEQUALITIES_IN_ANOTHER_FORM = r"""
-x>-1 ~ x>1
-x\ge-1 ~ x<1
-2<-x<3 ~ -2<x<3
2x>2 ~ x>1
x-1>0 ~ x>1
-x=-5 ~ x=5
-x=-5 ~ x=-5
2x+1=11 ~ x=5
w(12.5-w)=25 ~ 2w-50/w=25
x(x-1)=0 ~ x-1=0
x^2=x ~ x=1/x
\frac{x}{x-1}=\frac{1}{x-1} ~ x=1
y=\frac{x}{2x-1} ~ \frac1x-\frac1y=2
\frac1x+\frac1y=\frac1z ~ z=\frac{x+y}{xy}
y=\frac{x}{x^2-1} ~ y(x^2+1)=x
(x-1)y=(x-1)(x+2) ~ y=x+2
y=-x ~ (1+i)(x-y)=0
a=b*(2+i)/5 ~ a*(2+i)=b
\sqrt2 x+y=1 ~ 2x+\sqrt2 y=2
f(x)-\ln|x|-c=0 ~ f(x)=\ln|x|-c
f(2)=f(3)+4 ~ f(3)=f(2)+4
y=2x+3 ~ f(x)=2x+4
y=2x+3 ~ f(t)=2x+3
y=2x+3 ~ g(x)=2x+3
x^2+y^2=25 ~ x^2-y^2=25
xy=x ~ y=1
"""


@pytest.mark.parametrize("line", SAME_EQUATIONS_AND_INEQUALITIES_IN_ANOTHER_FORM.strip().splitlines())
def test_equations_and_inequalities_in_another_form(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_EQUATIONS_AND_INEQUALITIES_IN_ANOTHER_FORM.strip().splitlines())
def test_equations_and_inequalities_in_another_form_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_SETS_IN_BRACES_WITHOUT_A_BACKSLASH = r"""
{1,2} \cup {2,3} ~ \{1,2\}\cup\{2,3\}
{1,2} \setminus {2} ~ \{1,2\}\setminus\{2\}
{1,2} \cup {3,4} \cup {5,6} ~ (\{1,2\}\cup\{3,4\})\cup\{5,6\}
(0,1) \cap {0.5} ~ (0,1)\cap\{0.5\}
{{1},{2},{3}} ~ \{\{1\},\{2\},\{3\}\}
{{1,2},{3}} ~ \{\{1,2\},\{3\}\}
{1,2} ~ \{2,1\}
\mathbb{R} \setminus {0} ~ \mathbb R\setminus\{0\}
\mathbb{R} - {0} ~ (-\infty,0)\cup(0,\infty)
(-\infty,0) \cup {5} ~ (-\infty,0)\cup\{5\}
{1} \cup {2} ~ \{1\}\cup\{2\}
[1,2] \cup {3} ~ \{3\}\cup[1,2]
"""

DIFFERENT_SETS_IN_BRACES_WITHOUT_A_BACKSLASH = r"""
{{1},{2},{3}} ~ \{1,2,3\}
{1,2} ~ (1,2)
{1,2} ~ [1,2]
\mathbb{R} - {0} ~ (-\infty,1)\cup(1,\infty)
(-\infty,0) \cup {5} ~ (-\infty,0)\cup\{4\}
{1,2} \cup {2,3} ~ {1,2} \cap {2,3}
"""


@pytest.mark.parametrize("line", SAME_SETS_IN_BRACES_WITHOUT_A_BACKSLASH.strip().splitlines())
def test_sets_in_braces_without_a_backslash(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_SETS_IN_BRACES_WITHOUT_A_BACKSLASH.strip().splitlines())
def test_sets_in_braces_without_a_backslash_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_BRACKETS_AND_BRACES_THAT_GROUP = r"""
\{1+2\}\{3-4\} ~ (1+2)(3-4)
[1+2][3-4] ~ (1+2)(3-4)
\int \{x dx\} ~ \int x\,dx
\sin\{\theta\} ~ \sin{\left(\theta\right)}
2\{3[x-(y+1)]+2\} ~ 6x-6y-2
[x+1]^2 ~ (x+1)^2
[x+1][x-1] ~ x^2-1
3[2+(5-1)] ~ 18
\{1+2\}^2 ~ 9
]1,2[ ~ (1,2)
]1,2[\cup]3,4[ ~ (1,2)\cup(3,4)
[1,2[ \cup ]2,3] ~ [1,2)\cup(2,3]
"""

DIFFERENT_BRACKETS_AND_BRACES_THAT_GROUP = r"""
2\{3[x-(y+1)]+2\} ~ 6x-6y+2
2\{x\} ~ 2x
\{x\} ~ x
\{1,2\}\{3\} ~ 6
[1,2][3,4] ~ [1,2]\cup[3,4]
x[2] ~ 2x
\{x+1\}\{x-1\} ~ x^2-1
"""


@pytest.mark.parametrize("line", SAME_BRACKETS_AND_BRACES_THAT_GROUP.strip().splitlines())
def test_brackets_and_braces_that_group(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_BRACKETS_AND_BRACES_THAT_GROUP.strip().splitlines())
def test_brackets_and_braces_that_group_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_NUMBERS_TOO_LARGE_TO_WRITE_OUT = r"""
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
"""

DIFFERENT_NUMBERS_TOO_LARGE_TO_WRITE_OUT = r"""
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
"""


@pytest.mark.parametrize("line", SAME_NUMBERS_TOO_LARGE_TO_WRITE_OUT.strip().splitlines())
def test_numbers_too_large_to_write_out(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_NUMBERS_TOO_LARGE_TO_WRITE_OUT.strip().splitlines())
def test_numbers_too_large_to_write_out_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)


SAME_EXPRESSIONS_AS_PROGRAMS_WRITE_THEM = r"""
ab ~ ba
xy ~ yx
2omegat ~ 2\omega t
momega^3 l^2/2 ~ \frac{m\omega^3l^2}{2}
m*omega^3*l^2*sinh(2*omega*t) ~ momega^3 l^2/2(exp(2omegat)-exp(-2omegat))
omegat^2 ~ \omega t^2
2pir ~ 2\pi r
pir^2 ~ \pi r^2
int(f(x)+g(x), (x, a, b)) ~ int(g(x)+f(x), (x, a, b))
int(x^2, (x, 0, 1)) ~ \int_0^1 x^2\,dx
int(x, x) ~ \int x\,dx
Integral(exp(-x), (x, 0, oo)) ~ \int_0^\infty e^{-x}\,dx
integrate(2*t, (t, 0, x)) ~ \int_0^x 2t\,dt
plus_minus x^2 + minus_plus y^2 ~ -minus_plus x^2 - plus_minus y^2
\pm x^2\mp y^2 ~ \pm(x^2-y^2)
x**2+2*x ~ x^2+2x
2*x**(-1) ~ \frac2x
sqrt(x)/2 ~ \frac{\sqrt x}{2}
exp(2)/(1+exp(2)) ~ \frac{e^2}{1+e^2}
3*sin(x)**2 ~ 3\sin^2x
(x+1)^1.5 ~ (x+1)^{3/2}
23^1.5 ~ 23\sqrt{23}
"""

DIFFERENT_EXPRESSIONS_AS_PROGRAMS_WRITE_THEM = r"""
ab ~ ac
no ~ on
cm ~ mc
abc ~ bca
omegat^2 ~ (\omega t)^2
int(x^2, (x, 0, 1)) ~ \int_0^2 x^2\,dx
int(x^2, (x, 0, 1)) ~ 1/3
\pm x^2\mp y^2 ~ \pm(x^2+y^2)
23^1.5 ~ 23
"""


@pytest.mark.parametrize("line", SAME_EXPRESSIONS_AS_PROGRAMS_WRITE_THEM.strip().splitlines())
def test_expressions_as_programs_write_them(line: str) -> None:
    one, other = line.split(" ~ ")
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize("line", DIFFERENT_EXPRESSIONS_AS_PROGRAMS_WRITE_THEM.strip().splitlines())
def test_expressions_as_programs_write_them_is_nothing_else(line: str) -> None:
    one, other = line.split(" ~ ")
    assert not equivalent(one, other)
    assert not equivalent(other, one)
