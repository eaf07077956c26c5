r"""Letters, subscripts, bases, expressions as programs write them, each beside what it means and beside what it does not mean.

A line is "one ~ other"; both directions are tried, by the whole check of two answers.
"""

import pytest

from tests.verifiers.mathematics.notation_tables import pairs
from verifiers.mathematics.equality.math_answer import equivalent

SAME = r"""
# letters with subscripts
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
# more letters with subscripts
\beta_{1} x ~ \beta _1 x
\gamma_{n}^{3} ~ \gamma^{3}_{n}
\theta_{i,j} ~ \theta_{i, j}
\sigma^2_x ~ \sigma_{x}^{2}
\Delta_1 ~ \Delta_{1}
\phi_{k+1} ~ \phi_{k + 1}
a^{n}_{k} ~ a_k^n
a_{k}^{n+1} ~ a^{n+1}_k
y^2_{11} ~ y_{11}^2
\alpha_1^2+\alpha_2^2 ~ \alpha^2_2+\alpha^2_1
\mu_{\text{max}} ~ \mu_{max}
\lambda_{\min} ~ \lambda_{min}
x_{\text{A}}+x_{\text{B}} ~ x_B+x_A
v_0 t+\frac12 a t^2 ~ \frac{1}{2}at^2+v_{0}t
\rho_0 e^{-\alpha_1 t} ~ e^{-\alpha_{1}t}\rho_{0}
\lambda_1=1, \lambda_2=4 ~ \lambda_{1}=1,\lambda_{2}=4
\lambda_1=2 ~ 2
\omega_{0}t ~ \omega_0 t
x_{1}x_{2}+x_{2}x_{3} ~ x_2(x_1+x_3)
x^{(n)}_i ~ x_i^{(n)}
# other writings
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
# numbers in a base
\text{1A}_{11} ~ 1A_{11}
\text{1A}_{11} ~ 21_{10}
\mathrm{BEEF}_{16} ~ 48879_{10}
BEEF_{16} ~ \text{BEEF}_{16}
(\text{A3})_{16} ~ \text{A3}_{16}
1011_2 ~ 11_{10}
\text{A}_{12} ~ 10_{10}
3\text{A}_{12} ~ 46_{10}
\text{3A}_{12} ~ 3A_{12}
(2B)_{12} ~ 2B_{12}
12_{\text{three}} ~ 12_3
# expressions as programs write them
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
# plus minus in code
plus_minus x^2 + minus_plus y^2 ~ minus_plus x^2 + plus_minus y^2
x \pm 2 \mp 3 ~ x-1, x+1
"""

DIFFERENT = r"""
# letters with subscripts
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
# more letters with subscripts
\phi_{k+1} ~ \phi_k+1
y^2_{11} ~ y_{1}^2
\epsilon_0 ~ \varepsilon_0
\lambda_1=1, \lambda_2=4 ~ \lambda_1=4,\lambda_2=1
\alpha_1 ~ \beta_1
# other writings
{n \choose k} ~ \binom{k}{n}
\text{A3}_{16} ~ \text{A4}_{16}
\text{A3}_{16} ~ \text{A3}_{12}
(1021)_3 ~ 1021_4
# numbers in a base
\text{G}_{16} ~ 16_{10}
A3_{16} ~ 3A_{16}
# expressions as programs write them
ab ~ ac
no ~ on
cm ~ mc
abc ~ bca
omegat^2 ~ (\omega t)^2
int(x^2, (x, 0, 1)) ~ \int_0^2 x^2\,dx
int(x^2, (x, 0, 1)) ~ 1/3
\pm x^2\mp y^2 ~ \pm(x^2+y^2)
23^1.5 ~ 23
# plus minus in code
plus_minus x^2 + minus_plus y^2 ~ plus_minus x^2 + plus_minus y^2
"""


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_the_same_in_another_notation(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), pairs(DIFFERENT))
def test_what_a_notation_does_not_mean(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)
