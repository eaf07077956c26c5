r"""Nothing is called equal that differs somewhere: far away, at one integer, at a corner, below 10^-300; by hand, in both directions."""

import pytest

from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.arithmetic.exact_sums import Expr, rational, subtract
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.mathematics.evidence.certified_comparison import ratio_sign, same, sign

DIFFERENT_SOMEWHERE = [
    (r"n \bmod 7", r"n \bmod 8"), (r"n \bmod 1009", r"n \bmod 1013"), ("0", r"\binom{n}{10}"), ("0", r"\binom{n}{50}"),
    (r"\max(x,-3)", r"\max(x,-5)"), (r"\max(x,-300)", r"\max(x,-500)"), (r"|x-1000|", "1000-x"), (r"\sqrt{x^2-2000x+1000000}", "1000-x"),
    (r"\lfloor x/1000000\rfloor", "0"), ("x+y", r"x+y+\lfloor\frac{y}{1000000}\rfloor"), ("x", r"x+\max(0,y-123456)"),
    ("n", r"n+(k\bmod 2)"), (r"\sin(\pi n)", "0"), (r"\gcd(n,1)", r"\gcd(n,1009)"), (r"\gcd(n,12)", r"\gcd(n,24)"),
    ("n!", r"\max(n!,10^{30})"), (r"\max(\sin x,\frac{999}{1000})", r"\frac{999}{1000}"), ("0", r"\max(\min(x,y)-1000,0)"),
    ("0", r"\max(\min(x,y,z)-1000,0)"), (r"\lfloor\sqrt2 x\rfloor", r"\lfloor1.41421356x\rfloor"),
    (r"\arctan x", r"\arctan\frac{x+1000}{1-1000x}-\arctan1000"), (r"n^2\bmod 8", r"(n\bmod 2)"),
    (r"n^5 \bmod 30", r"n \bmod 30+\lfloor n/10000\rfloor"),
    (r"\gcd(n,m)", r"\gcd(n,m)+\lfloor\frac{m}{100000}\rfloor"), (r"\binom{n}{k}", r"\binom{n}{k}+\binom{k}{60}"), ("|x|+|y|", "|x+y|"),
    (r"\lceil x\rceil", r"\lfloor x\rfloor+1"), (r"\lfloor x\rfloor", r"\lfloor x+10^{-9}\rfloor"), ("x", r"\sqrt[4]{x^4}"),
    (r"\arcsin(\sin x)", "x"), (r"\lfloor x\rfloor+\lfloor y\rfloor", r"\lfloor x+y\rfloor"), (r"\ln|x|", r"\ln x"),
    (r"\sqrt{x+2\sqrt{x-1}}+\sqrt{x-2\sqrt{x-1}}", "2"), (r"\arctan x+\arctan\frac1x", r"\frac\pi2"),
    ("0", r"\max(0,1-|x-5000|)\cdot\max(0,1-|y+7000|)"), ("e^x", r"e^x(1+\max(0,1-|x-50|)\cdot\max(0,1-|y+70|))"),
    (r"\sin x", r"\sin x+\max(0,\frac{1}{10^9}-|x-y^2+3|)"), (r"\max(x,y,z)", r"\max(x,y,z,-900)"), (r"\gcd(n,k)", r"\gcd(n,k,2310)"),
    (r"\cos(2\pi n/1009)+(n\bmod 1)", r"\cos(2\pi n/1013)+(n \bmod 1)"), ("x^y", r"x^y+\max(0,y-100)"),
    ("xy+0", r"xy+\begin{cases}1&x=1/2\\0&\text{otherwise}\end{cases}\cdot\begin{cases}1&y=1/3\\0&\text{otherwise}\end{cases}"),
    ("x", r"\begin{cases}x&x\le 10^{12}\\0&\text{otherwise}\end{cases}"), (r"\frac{x+|x|}{2}", "x"),
]  # fmt: skip

SAME_EVERYWHERE = [
    (r"(n \bmod 12) \bmod 4", r"n \bmod 4"), (r"\binom{n}{k}", r"\binom{n-1}{k-1}+\binom{n-1}{k}"), (r"\max(x,y)", r"\frac{x+y+|x-y|}{2}"),
    (r"\sqrt{x^2}", "|x|"), (r"\lfloor x \rfloor+\lfloor x+1/2\rfloor", r"\lfloor 2x\rfloor"),
    (r"\lfloor x^2\rfloor+1", r"\lfloor x^2+1\rfloor"),
    (r"|x|+|y|", r"\max(x+y,x-y,-x+y,-x-y)"), (r"\sqrt{1-\cos^2 x}", r"|\sin x|"), (r"\gcd(n,n+6)", r"\gcd(n,6)"),
    (r"\gcd(n,12)\cdot\operatorname{lcm}(n,12)", "12|n|"), (r"(n^2+n)\bmod 2", "0"), (r"n^2\bmod 4", r"(n\bmod 2)"),
    (r"\arctan x", r"\arcsin\frac{x}{\sqrt{1+x^2}}"), (r"\sqrt{x+2\sqrt{x-1}}", r"\sqrt{x-1}+1"),
    (r"\lfloor\ln x\rfloor+1", r"\lfloor\ln x+1\rfloor"),
    (r"\log_2 x+\log_2 y", r"\log_2 (xy)"), (r"|x-1000|", r"\sqrt{(x-1000)^2}"),
    (r"\lfloor\frac{\lfloor x/2\rfloor}{3}\rfloor", r"\lfloor x/6\rfloor"),
    (r"|x+iy|^2", "x^2+y^2"), (r"\ln(\cosh x+\sinh x)", "x"), (r"\sqrt{\frac{1-\cos x}{2}}", r"\left|\sin\frac x2\right|"),
    (r"\ln x+|x|", r"\ln x+x"), ("e^x|x|", r"e^x\max(x,-x)"), (r"\sqrt x|x|", r"x\sqrt x"), (r"\max(x,y)\min(x,y)", r"x\cdot y"),
    ("1", r"\frac{|x^2-4|}{|x-2||x+2|}"), (r"\max(x,y,z)", r"\max(\max(x,y),z)"), (r"|e^x+1|", "e^x+1"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), DIFFERENT_SOMEWHERE)
def test_agreement_at_a_few_points_is_no_equality(left: str, right: str) -> None:
    assert not equivalent(left, right, require_closed_form=False)
    assert not equivalent(right, left, require_closed_form=False)


@pytest.mark.parametrize(("left", "right"), SAME_EVERYWHERE)
def test_what_agrees_on_both_sides_of_every_corner_is_equal(left: str, right: str) -> None:
    assert equivalent(left, right, require_closed_form=False)
    assert equivalent(right, left, require_closed_form=False)


CASES = [
    ("7", r"\begin{cases}x^2&x\neq3\\7&\text{otherwise}\end{cases}", False),
    ("x^2", r"\begin{cases}x^2&x\neq3\\7&\text{otherwise}\end{cases}", False),
    (r"\begin{cases}x^2&x\neq3\\7&x=3\end{cases}", r"\begin{cases}7&x=3\\x^2&\text{otherwise}\end{cases}", True),
    ("x^2", r"\begin{cases}x^2&x\neq3\\9&x=3\end{cases}", True),
    ("x", r"\begin{cases}x&x\ne\sqrt2\\0&\text{otherwise}\end{cases}", False),
    (r"\begin{cases}1&x<\sqrt2\\0&x\ge\sqrt2\end{cases}", r"\begin{cases}0&x\ge\sqrt2\\1&\text{otherwise}\end{cases}", True),
    (r"\begin{cases}1&x<\sqrt2\\0&x\ge\sqrt2\end{cases}", r"\begin{cases}1&x\le\sqrt2\\0&\text{otherwise}\end{cases}", False),
    (r"\begin{cases}1&x^2<2\\0&x^2\ge2\end{cases}", r"\begin{cases}0&x^2>2\\1&\text{otherwise}\end{cases}", False),
    ("||x|-1|", r"\begin{cases}x-1&x\ge1\\1-x&0\le x<1\\1+x&-1\le x<0\\-x-1&x<-1\end{cases}", True),
    ("|x|", r"\begin{cases}x&x>0\\-x&x<0\end{cases}", False),
]


@pytest.mark.parametrize(("left", "right", "equal"), CASES)
def test_rows_of_cases_hold_where_their_condition_says(left: str, right: str, equal: bool) -> None:
    assert equivalent(left, right) is equal
    assert equivalent(right, left) is equal


HIDDEN = [
    (r"\sqrt{e^{|\ln x|}}+10^{-300}", r"\sqrt{e^{|\ln x|}}"),
    (r"\sqrt{e^{|\ln x|}+10^{-300}}", r"\sqrt{e^{|\ln x|}}"),
    (r"\sin(1+10^{-500})", r"\sin 1"),
    (r"e^{-x^2}", r"e^{-x^2}+e^{-1000-x^2}"),
    (r"\cos(x+10^{-400})", r"\cos x"),
    (r"\tanh(900)", "1"),
    (r"\max(e^x,10^{-300})", "e^x"),
    (r"\operatorname{sgn}(x)", r"\frac{x}{|x|+10^{-100}}"),
    (r"\sin(e^{-e^7})+2", "2"),
    (r"\arctan(10^{400}\pi)", r"\frac\pi2"),
    (r"2^{\frac12+10^{-300}}", r"\sqrt2"),
    (r"(10^{300}+1)\sin x", r"10^{300}\sin x"),
]


@pytest.mark.parametrize(("left", "right"), HIDDEN)
def test_a_tail_of_10_to_the_minus_300_is_a_difference(left: str, right: str) -> None:
    assert not equivalent(left, right)
    assert not equivalent(right, left)


def test_powers_of_powers_of_what_may_be_negative() -> None:
    for left, right in [
        ("(a^b)^c", "a^{bc}"),
        (r"\sqrt{x^2}", "x"),
        (r"\sqrt[n]{x^n}", "x"),
        ("(x^a)^{1/a}", "x"),
        ("((x-1)^a)^b", "(x-1)^{ab}"),
    ]:
        assert not equivalent(left, right), (left, right)
        assert not equivalent(right, left), (left, right)
    for left, right in [("(2^b)^c", "2^{bc}"), ("(e^x)^y", "e^{xy}"), ("(x^2)^3", "x^6"), ("((x^2+1)^a)^b", "(x^2+1)^{ab}")]:
        assert equivalent(left, right), (left, right)


def test_a_ratio_is_constant_everywhere_or_none() -> None:
    def read(text: str) -> Expr:
        value = parse(text)
        assert isinstance(value, Expr), text
        return value

    assert ratio_sign(read(r"n \bmod 7"), read(r"n \bmod 8")) == 0
    assert ratio_sign(read(r"\max(x,-3)"), read(r"2\max(x,-5)")) == 0
    assert ratio_sign(read(r"|2x-2|"), read(r"|1-x|")) == 1
    assert ratio_sign(read(r"\sqrt2 x-2y"), read(r"\sqrt2 y - x")) == -1
    assert not equivalent(r"n \bmod 7 = 0", r"n \bmod 8 = 0")


def test_a_constant_that_hides_too_much_has_no_sign() -> None:
    value = parse(r"\tanh(900)")
    assert isinstance(value, Expr)
    assert sign(subtract(value, rational(1))) == -1
    tiny = parse(r"e^{-e^{7}}")
    assert isinstance(tiny, Expr)
    assert sign(tiny) == 1
    assert not same(tiny, rational(0))


@pytest.mark.parametrize(
    "text",
    [
        r"\det\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\det\left(\begin{bmatrix}1&2\\3&4\end{bmatrix}\right)",
        r"\operatorname{det}\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"2\det\begin{pmatrix}1&2\\3&4\end{pmatrix}+2",
        r"\begin{vmatrix}1&2\\3&4\end{vmatrix}",
    ],
)
def test_a_determinant_restates_the_question(text: str) -> None:
    assert not equivalent("-2", text)
    assert equivalent("-2", text, require_closed_form=False)


def test_what_is_true_of_any_x_is_no_answer() -> None:
    for left, right in [("x=1", "1=1"), ("1=x", "1=1"), ("x=5", "5=5"), ("y=x", "x=x"), ("x=1", "1=1=1"), ("7", "7=7"), ("x=0", "y=y")]:
        assert not equivalent(left, right), (left, right)
        assert not equivalent(right, left), (left, right)
    for left, right in [("x=1", "1=x"), ("5", "2+3=5"), ("x=5", "x=2+3=5"), ("y=x", "x=y")]:
        assert equivalent(left, right), (left, right)


def test_a_letter_over_a_digit_is_no_subscript() -> None:
    for short, written in [
        (r"\frac x2", r"\frac{x}{2}"),
        (r"\frac n3+1", r"\frac{n}{3}+1"),
        (r"\binom n2", r"\binom{n}{2}"),
        (r"\dfrac a4b", "ab/4"),
    ]:
        assert equivalent(short, written), short
    assert not equivalent(r"\frac x2", "x_2")
    assert equivalent("x2", "x_2")


def test_a_factor_that_is_0_hides_no_corner() -> None:
    for at in range(40, 60):
        tail = rf"\left(1+\begin{{cases}}1&k={at}\\0&\text{{otherwise}}\end{{cases}}\right)"
        for one in (r"5\cdot n\cdot n!-6n^2", rf"n\cdot n!+{at}n"):
            factor, _, rest = one.partition("!")
            assert not equivalent(one, f"{factor}!{tail}{rest}"), at
