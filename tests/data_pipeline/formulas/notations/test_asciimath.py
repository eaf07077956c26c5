"""AsciiMath to TeX, against hand-written TeX, and on hostile input."""

import pytest

from data_pipeline.formulas.notations.asciimath import asciimath_to_tex
from tests.clock import stopwatch


@pytest.mark.parametrize(
    ("ascii_math", "tex"),
    [
        ("sum_(i=1)^n i^3=((n(n+1))/2)^2", r"\sum_{i = 1}^{n}i^{3} = \left( \frac{n(n + 1)}{2} \right)^{2}"),
        ("x=(-b+-sqrt(b^2-4ac))/(2a)", r"x = \frac{-b \pm \sqrt{b^{2} - 4ac}}{2a}"),
        ("int_0^1 f(x)dx", r"\int_{0}^{1}f(x)dx"),
        ("lim_(x->oo) sin(x)/x", r"\lim_{x \rightarrow \infty}\frac{\sin(x)}{x}"),
        ("f(x)/g(x)", r"\frac{f(x)}{g(x)}"),
        ("sin^2 x", r"\sin^{2}x"),
        ("log_2 8", r"\log_{2}8"),
        ("root(3)(x+1)", r"\sqrt[3]{x + 1}"),
        ("[[a,b],[c,d]]", r"\begin{bmatrix} a & b \\ c & d \end{bmatrix}"),
        ("((n),(k))", r"\begin{pmatrix} n \\ k \end{pmatrix}"),
        ("|[a,b],[c,d]|", r"\begin{vmatrix} a & b \\ c & d \end{vmatrix}"),
        ("{(x,if x>0),(0,otherwise):}", r"\begin{cases} x & \text{if }x > 0 \\ 0 & \text{otherwise} \end{cases}"),
        ("|x|<=1", r"|x| \leq 1"),
        ("abs(x)+norm(vec v)", r"|x| + \|\vec{v}\|"),
        ("{x | x>0}", r"\{x \mid x > 0\}"),
        ('"for all" epsilon>0', r"\text{for all} \varepsilon > 0"),
        ("AA x in RR", r"\forall x \in \mathbb{R}"),
        ("hat(ab) bar x", r"\widehat{ab}\overline{x}"),
        ("bb x bbb R cc A fr g", r"\mathbf{x}\mathbb{R}\mathcal{A}\mathfrak{g}"),
        ("stackrel(d)(=)", r"\overset{d}{=}"),
        ("(a,b]", "(a, b]"),
        ("10^-3", "10^{-3}"),
        ("e^(i pi)=-1", r"e^{i\pi} = -1"),
        ("a//b", "a/b"),
        ("`x`", "x"),
        ("", ""),
    ],
)
def test_asciimath_is_the_tex_a_person_would_write(ascii_math: str, tex: str) -> None:
    assert asciimath_to_tex(ascii_math) == tex


@pytest.mark.parametrize("broken", ["((", "))", "_", "^/", "sqrt", "|", "[[a", "frac", "/", "text(", '"', "a/", "x_", "{:", "\x00"])
def test_broken_input_is_converted_as_far_as_it_goes(broken: str) -> None:
    assert isinstance(asciimath_to_tex(broken), str)


def test_endless_nesting_and_length_give_nothing() -> None:
    took = stopwatch()
    assert asciimath_to_tex("(" * 7_000) == ""
    assert asciimath_to_tex("sqrt " * 1_500) == ""
    assert asciimath_to_tex("x" * 100_000) == ""
    for pattern in ("|", "x/", "_", "{x|", "a,", "|x|", "-", "sin ", "f(|"):
        asciimath_to_tex(pattern * (8_000 // len(pattern)))
    assert took() < 5
