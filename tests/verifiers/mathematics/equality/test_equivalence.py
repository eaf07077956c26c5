r"""Equal by mathematics, or not: functions, sets of numbers, statements, letters and units; by hand, in both directions."""

import math
import random
from fractions import Fraction

import pytest

from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.arithmetic.exact_sums import Expr, atom, rational, subtract
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.mathematics.evidence.certified_comparison import ratio_sign, same, sign

EQUAL = [
    ("0.333...", "1/3"),
    ("\\sin30^\\circ", "\\frac12"),
    ("\\frac\\pi4", "\\frac{\\pi}{4}"),
    ("x<2\\text{ or }x>3", "(-\\infty,2)\\cup(3,\\infty)"),
    ("2e^{i\\pi/2}", "2i"),
    ("x²", "x^2"),
    ("３", "3"),
    ("①②", "12"),
    ("xy=6", "\\frac6x"),
    ("\\sqrt{1/n}", "\\frac1{\\sqrt n}"),
    ("x\\equiv3\\pmod7", "x \\equiv 10 (mod 7)"),
    ("\\frac{1}{x-1}-\\frac1{x+1}", "\\frac{2}{x^2-1}"),
    ("\\log_2 8", "3"),
    ("2^{n+1}-2", "2(2^n-1)"),
    ("x^2+y^2=1", "2x^2+2y^2=2"),
    ("y=2x+1", "2x-y+1=0"),
    ("1:2:3", "2:4:6"),
    ("\\{x\\mid x\\ne 2\\}", "(-\\infty,2)\\cup(2,\\infty)"),
    ("\\mathbb{R}\\setminus\\{0\\}", "x\\ne0"),
    ("|x|", "\\begin{cases}x&x\\ge0\\\\-x&x<0\\end{cases}"),
    ("\\cos 2x", "1-2\\sin^2 x"),
    ("\\arctan 1", "\\frac\\pi4"),
    ("1\\text{ hour}", "60\\text{ minutes}"),
    ("f(x)=x^2\\text{ for all real }x", "f(t)=t^2"),
    ("\\lfloor x+3.7\\rfloor", "\\lfloor 3.7+x\\rfloor"),
    ("\\frac{n!}{2}", "\\frac{n(n-1)!}{2}"),
    ("x>2", "2<x"),
    ("x=1,y=2", "y=2, x=1"),
    ("-\\frac{1}{2} < x \\leq 4", "(-0.5, 4]"),
    ("e^{-x}(1+x)", "\\frac{x+1}{e^x}"),
    ("\\ln 8", "3\\ln 2"),
    ("\\sqrt{3+2\\sqrt2}", "1+\\sqrt2"),
    ("p=-1,q=2", "(p,q)=(-1,2)"),
    ("(x,y)=(1,2)", "(1,2)"),
    ("no real solutions", "\\emptyset"),
    ("one hundred twenty-three", "123"),
    ("\\frac{3+\\sqrt5}{2}", "\\left(\\frac{1+\\sqrt5}{2}\\right)^2"),
    ("\\tfrac{\\sqrt[3]{4}}{2}", "2^{-1/3}"),
    ("x\\in\\mathbb{R}", "\\text{all real numbers}"),
    ("\\{1\\pm\\sqrt5,-2\\}", "-2,1+\\sqrt5,1-\\sqrt5"),
    ("x+y=5", "y=5-x"),
    ("60^\\circ", "\\frac{\\pi}{3}\\text{ rad}"),
    ("3\\text{ miles}", "3 mi"),
    ("\\max(1,2)", "\\max(2,1)"),
    ("f(n)=n, g(n)=1", "(f(n),g(n))=(n,1)"),
    ("\\{x|x<1\\}-\\{0\\}", "(-\\infty,0)\\cup(0,1)"),
    ("b<a<d", "b, a, d"),
    ("\\frac{1+\\sqrt{97}}{8}\\approx 1.36", "\\frac{1+\\sqrt{97}}{8}"),
    ("15th", "15"),
    ("5\\text{ kg}", "5000\\text{ g}"),
]

DIFFERENT = [
    ("x^2+y^2=1", "x^2+y^2=2"),
    ("x>2", "x<2"),
    ("x\\ge2", "x>2"),
    ("[1,2]", "1<x<2"),
    ("|x|", "x"),
    ("\\ln x", "\\log_2 x"),
    ("\\log_{10}x", "\\ln x"),
    ("2x", "2y"),
    ("k", "n"),
    ("1001_2", "1001"),
    ("7", "a+b+c+d=7"),
    ("y=x^2", "y=x"),
    ("xy=6", "6x"),
    ("x=5", "x>5"),
    ("5", "x>5"),
    ("\\pi", "3.14"),
    ("10^{-34}\\pi", "10^{-35}\\pi"),
    ("0", "10^{-300}\\pi"),
    ("e^{\\pi\\sqrt{163}}", "262537412640768744"),
    ("x\\equiv3\\pmod7", "x\\equiv3\\pmod8"),
    ("7", "x\\equiv3\\pmod7"),
    ("\\sin x", "\\cos x"),
    ("\\sqrt{x^2}", "x"),
    ("1:2", "2:1"),
    ("(1,2)", "1:2"),
    ("1 hour", "60 seconds"),
    ("2", "2<x<3"),
    ("(-1)^n", "1"),
    ("\\begin{cases}x&x>0\\\\0&x\\le0\\end{cases}", "x"),
    ("f(x)", "f(y)"),
    ("f(x)=x", "g(x)=x"),
    ("x=y", "x=-y"),
    ("30 C", "30 F"),
    ("\\mathbb{R}", "\\mathbb{Z}"),
    ("\\emptyset", "0"),
    ("x^2", "x^3"),
    ("5 m", "5 cm"),
    ("5%", "5 cm"),
    ("2k\\pi", "k\\pi"),
    ("x<1,x>5", "1<x<5"),
    ("4a", "4b"),
    ("6.67", "20/3"),
    ("\\arctan x", "\\cot x"),
    ("\\sin^{-1}x", "\\frac{1}{\\sin x}"),
    ("\\frac{x^2-1}{x-1}", "x-1"),
    ("x = 1 or x = 2", "x=1"),
    ("x\\ge 0, y\\ge0", "x\\ge 0"),
    ("n \\in \\mathbb{Z}", "n"),
    ("12:00", "1:00"),
    ("2\\pi r", "2\\pi t"),
    ("2xy^2", "2x^2y^2"),
    ("\\frac{1+\\sqrt{97}}{8}\\approx 1.37", "\\frac{1+\\sqrt{97}}{8}"),
    ("b<a<d", "d, a, b"),
    ("(0,1)", "x<1"),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal(left: str, right: str) -> None:
    assert equivalent(left, right)
    assert equivalent(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different(left: str, right: str) -> None:
    assert not equivalent(left, right)
    assert not equivalent(right, left)


def read(text: str) -> Expr:
    value = parse(text)
    assert isinstance(value, Expr)
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\sin 1", math.sin(1)),
        (r"\tan 2", math.tan(2)),
        (r"\sec 1", 1 / math.cos(1)),
        (r"\arcsin 0.3", math.asin(0.3)),
        (r"\arccos(-0.4)", math.acos(-0.4)),
        (r"\arctan 7", math.atan(7)),
        (r"\sinh 1", math.sinh(1)),
        (r"\tanh 0.5", math.tanh(0.5)),
        (r"\ln 5", math.log(5)),
        (r"\log_3 5", math.log(5, 3)),
        (r"\sqrt[5]{7}", 7**0.2),
        (r"2^{\sqrt2}", 2**2**0.5),
        (r"e^{-3}", math.exp(-3)),
        (r"|\pi-4|", 4 - math.pi),
        (r"\binom{7}{3}\pi", 35 * math.pi),
        (r"\cos 20^\circ", math.cos(math.radians(20))),
    ],
)
def test_intervals_contain_the_value(text: str, value: float) -> None:
    """A sign is certain, so a value lies between its float neighbours a little further out."""
    margin = Fraction(max(abs(value), 1)) / 10**12
    assert sign(subtract(read(text), rational(Fraction(value) - margin))) == 1
    assert sign(subtract(read(text), rational(Fraction(value) + margin))) == -1


def test_no_tolerance() -> None:
    pi = atom("pi")
    for n in (20, 60, 200, 380):
        assert not same(pi, read(rf"\pi + \frac{{\sin 1}}{{10^{{{n}}}}}"))
        assert sign(read(rf"\frac{{\sin 1}}{{10^{{{n}}}}}")) == 1


def test_identities_hold_and_their_perturbations_do_not() -> None:
    draw = random.Random(1)
    for _ in range(60):
        a, b, n = draw.randint(1, 9), draw.randint(1, 9), draw.randint(2, 5)
        left = rf"\frac{{{a}}}{{x+{b}}}+\frac{{{b}}}{{x-{a}}}"
        top = f"{a}(x-{a})+{b}(x+{b})"
        assert same(read(left), read(rf"\frac{{{top}}}{{(x+{b})(x-{a})}}"))
        assert not same(read(left), read(rf"\frac{{{top}+{n}}}{{(x+{b})(x-{a})}}"))
        assert ratio_sign(read(f"{a}x-{b}"), read(f"{n * a}x-{n * b}")) == 1
        assert ratio_sign(read(f"{a}x-{b}"), read(f"{n * b}-{n * a}x")) == -1
        assert ratio_sign(read(f"{a}x-{b}"), read(f"{n * a}x-{n * b + 1}")) == 0
