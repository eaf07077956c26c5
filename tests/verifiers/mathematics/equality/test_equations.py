r"""Equations and inequalities in another form, each beside what it means and beside what it does not mean.

A line is "one ~ other"; both directions are tried, by the whole check of two answers.
"""

import pytest

from tests.verifiers.mathematics.notation_tables import pairs
from verifiers.mathematics.equality.math_answer import equivalent

SAME = r"""
# equations and inequalities in another form
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
# more equations
x+y=1 ~ 2x+2y=2
x+y=1 ~ y=1-x
x+y=1 ~ x=1-y
\frac{x}{2}+\frac{y}{3}=1 ~ 3x+2y=6
\frac{y-1}{x-2}=3 ~ y=3x-5
y=3x-5 ~ 3x-y-5=0
2w+\frac{50}{w}=25 ~ 2w^2-25w+50=0
x+\frac1x=2 ~ x^2-2x+1=0
x+\frac1x=2 ~ x^2+1=2x
\frac{1}{x}=\frac{2}{x+1} ~ x+1=2x
\frac{x^2-1}{x-1}=0 ~ x+1=0
(x-1)(x-2)=0 ~ x^2-3x+2=0
\frac{a}{b}=\frac{c}{d} ~ ad=bc
F=ma ~ a=\frac{F}{m}
E=mc^2 ~ m=\frac{E}{c^2}
V=IR ~ I=\frac{V}{R}
\frac1R=\frac1{R_1}+\frac1{R_2} ~ R=\frac{R_1R_2}{R_1+R_2}
iy=x ~ y=-ix
(2-i)x+3y=0 ~ 5x+(6+3i)y=0
3x+6y=9 ~ x+2y=3
f(x)+2=x ~ f(x)=x-2
f(x)=x^2 ~ f(x)-x^2=0
g(x)=2x ~ 2x=g(x)
f(1)=2f(2) ~ 2f(2)=f(1)
f(x)=3x+1 ~ y=3x+1
y=\ln x ~ f(x)=\ln x
-a<b ~ a>-b
x<y ~ y>x
x-y<0 ~ y>x
2x<2y ~ x<y
-x\le 3 ~ x\ge-3
3\ge -x ~ [-3,\infty)
-x>-1 ~ (-\infty,1)
-1<-x<1 ~ (-1,1)
x\ne-3 ~ -x\ne3
"""

DIFFERENT = r"""
# equations and inequalities in another form
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
# more equations
\frac{x}{2}+\frac{y}{3}=1 ~ 2x+3y=6
2w+\frac{50}{w}=25 ~ 2w^2-25w-50=0
\frac{1}{x-1}=\frac{x}{x-1} ~ 1=x
\frac{x^2-1}{x-1}=0 ~ x^2-1=0
x^2=4 ~ x=2
x^3=8 ~ x=2
(x-1)^2=0 ~ x-1=0
\frac{a}{b}=\frac{c}{d} ~ ac=bd
V=IR ~ I=\frac{R}{V}
(1+i)z=2 ~ z=1-i
(2-i)x+3y=0 ~ 5x+(6-3i)y=0
f(x)=x^2 ~ f(x)+x^2=0
f(1)=2f(2) ~ f(2)=2f(1)
-3x<9 ~ x>-3
x-y<0 ~ y<x
xy<x ~ y<1
\frac{x}{y}<1 ~ x<y
"""


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_the_same_in_another_notation(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.parametrize(("one", "other"), pairs(DIFFERENT))
def test_what_a_notation_does_not_mean(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)
