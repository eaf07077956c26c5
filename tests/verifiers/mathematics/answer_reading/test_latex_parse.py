"""Values by hand, limits that hold before anything is computed, and equal trees only for equal numbers."""

import cmath
import random
from fractions import Fraction

import pytest

from tests.clock import stopwatch
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.values import FiniteSet, Listing, Matrix, Named, Quantity, Row, Tuple, Unparsed
from verifiers.mathematics.arithmetic.exact_sums import Expr, rational

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("−7", -7),
        ("３", 3),
        ("0.75", Fraction(3, 4)),
        (".5", HALF),
        ("12.", 12),
        ("$18$", 18),
        (r"\(18\)", 18),
        (r"\boxed{18}", 18),
        (r"\frac{1}{2}", HALF),
        (r"\dfrac12", HALF),
        (r"\tfrac 1 2", HALF),
        (r"\frac1{20}", Fraction(1, 20)),
        (r"\frac{-5}{7}", Fraction(-5, 7)),
        ("½", HALF),
        ("2½", Fraction(5, 2)),
        ("271/10", Fraction(271, 10)),
        (r"2\frac12", Fraction(5, 2)),
        (r"-2\frac{1}{2}", Fraction(-5, 2)),
        ("2 1/2", Fraction(5, 2)),
        ("3 1/4", Fraction(13, 4)),
        (r"2\frac{3}{2}", 3),
        ("12,345", 12345),
        ("12{,}345", 12345),
        (r"12,\!345", 12345),
        (r"12\,345", 12345),
        (r"12\ 345", 12345),
        ("1,234,567.5", Fraction(2469135, 2)),
        (r"1.5\times10^3", 1500),
        ("1.5e3", 1500),
        ("2E-1", Fraction(1, 5)),
        ("2 × 10^(-3)", Fraction(1, 500)),
        (r"0.\overline{3}", Fraction(1, 3)),
        (r"0.1\overline{6}", Fraction(1, 6)),
        (r"-0.\overline3", Fraction(-1, 3)),
        (r"2^{10}", 1024),
        ("2^10", 1024),
        ("2^{-3}", Fraction(1, 8)),
        ("-3^2", -9),
        ("5!", 120),
        (r"\left(\frac{2}{3}\right)^2", Fraction(4, 9)),
        (r"\sqrt{16}", 4),
        (r"\sqrt[3]{-8}", -2),
        (r"8^{2/3}", 4),
        (r"(\sqrt2)^2", 2),
        ("i^2", -1),
        ("1/2/2", Fraction(1, 4)),
        (r"6 \div 4", Fraction(3, 2)),
        (r"x - x", 0),
        (r"\frac{10}{4} = 2.5", Fraction(5, 2)),
    ],
)
def test_rationals(text: str, value: Fraction) -> None:
    parsed = parse(text)
    assert isinstance(parsed, Expr)
    assert parsed.rational == value


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{50}", r"5\sqrt2"),
        (r"\frac{1}{\sqrt3}", r"\frac{\sqrt{3}}{3}"),
        (r"\frac{2+\sqrt8}{2}", r"1+\sqrt{2}"),
        (r"\frac{1}{\sqrt5-1}", r"\frac{1+\sqrt{5}}{4}"),
        (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
        (r"\sqrt{-4}", "2i"),
        ("3+4i", "4i+3"),
        (r"\sqrt[3]{2}", "2^{1/3}"),
        ("√2", r"\sqrt{2}"),
        ("x²", "x^2"),
        (r"0.5\pi", r"\frac{\pi}{2}"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"\frac{11+9a}{20}", r"\frac{9a+11}{20}"),
        (r"-(n-1) / 2", r"-\dfrac{n-1}{2}"),
        (r"\sqrt{4x+4}", r"2\sqrt{x+1}"),
        ("2xy", "2yx"),
        ("2xy^2", "2x y^2"),
        ("xyz^{2} + 1", "1 + z^2 x y"),
        ("x_{1}", "x_1"),
        ("(1, 0.5)", r"\left(1,\frac12\right)"),
        (r"\{1\}", r"\left\{ 1 \right\}"),
    ],
)
def test_equal_values_have_equal_trees(left: str, right: str) -> None:
    assert not isinstance(parse(left), Unparsed)
    assert parse(left) == parse(right)


def test_structures() -> None:
    one, two = rational(1), rational(2)
    assert parse("(1,2)") == Tuple((one, two))
    assert parse("[1,2)") == Tuple((one, two), "[", ")")
    assert parse("1, 2") == parse("1 and 2") == parse(r"1, \text{and } 2") == Listing((one, two))
    assert parse(r"\{1,2\}") == FiniteSet((one, two))
    assert parse(r"1\pm1") == Listing((two, rational(0)))
    assert parse("x=2") == parse("2=x") == Named("x", two)
    assert parse("f(x) = 2") == Named("f(x)", two)
    assert parse(r"x \in (1,2)") == Named("x", Tuple((one, two)))
    assert parse(r"2\text{ cm}^2") == parse("2 cm^2") == Quantity(two, "cm^2")
    assert parse(r"2^\circ") == parse("2°") == Quantity(two, "°")
    assert parse(r"2\%") == Quantity(two, "%")
    assert parse(r"\$2") == parse("$2") == Quantity(two, "$")
    assert parse(r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}") == Matrix((Row((one,)), Row((two,))))


def test_a_comma_in_brackets_separates_and_outside_groups_thousands() -> None:
    assert parse("(1,234)") == Tuple((rational(1), rational(234)))
    assert parse("1,234") == rational(1234)
    assert parse("0,123") == Listing((rational(0), rational(123)))


@pytest.mark.parametrize(
    "text",
    [
        "", "3 4", "5=7", "x=1=2", "1021_2", "0^0", r"\frac10", r"\infty-\infty", "0.312...", r"1,2,\ldots,n", "2^3^2", r"\frac123",
        r"7\text{ goats and }4\text{ helicopters}", r"\begin{cases}x&x>0\\3\end{cases}", r"\{x\mid 2<x", r"\sin x/2", r"\sin^2(x)^3", "|x",
        r"\sum_{i=1}^{1/2} i", r"x\equiv3", "(1", "1)", "{", "}", "\\", "\x00\ud800", r"2\frac{1}{2}^2", r"(1\pm2,3\pm4)", "June 20",
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_a_whole_is_not_read_at_all(text: str) -> None:
    assert isinstance(parse(text), Unparsed)


HOSTILE = [
    "9^9^9^9", "9^{9^{9^9}}", "99999999!", "(((9!)!)!)!", "2^{1000000000}", "2^{-1000000000}", "10^{10^{10}}", "1e999999999",
    "1e999" + "*1e999" * 100, "{" * 1000 + "1" + "}" * 1000, "{" * 400 + "1" + "}" * 400, "(" * 900, r"\frac" * 190, r"\frac{" * 160,
    r"\sqrt" * 190 + "2", r"\sqrt{1+" * 100 + "x" + "}" * 100, r"\text{" * 160, "-" * 990 + "1", "(x+y+z+w)^{60}-(x+y+z+w+1)^{60}",
    "(x+1)^{" + "9" * 300 + "}", r"(1+\sqrt2)(1+\sqrt3)(1+\sqrt5)(1+\sqrt7)" * 22, "((a+b+c)^2+d)^2" * 60, r"\sqrt{" + "7" * 390 + "}",
    "9" * 5000, "1" + "+1" * 490, "1" + ",1" * 490, "(1," * 330, r"\pm" * 300, r"\pm1," * 190, "¾" * 900, "²" * 990, "1 " * 490,
    r"\begin{pmatrix}" * 60, "0.\\overline{" + "3" * 900 + "}", "$" * 999, "\\" * 999, r"50\% \text{ increase}" * 40, r"\frac{1}{x+" * 80,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:16])
def test_hostile_answers_return_at_once(text: str) -> None:
    took = stopwatch()
    for spaces in range(3):  # other text, so that nothing is remembered
        parse(" " * spaces + text)
    assert took() < 0.6


@pytest.mark.parametrize("text", ["99999999!", "2^{1000000000}", r"\binom{99999999}{5555}", "(((9!)!)!)!"])
def test_a_number_too_large_to_write_out_stays_a_symbol(text: str) -> None:
    value = parse(text)
    assert isinstance(value, Expr)
    assert value.rational is None


@pytest.mark.parametrize("text", ["9^9^9^9", "{" * 400 + "1" + "}" * 400])
def test_what_is_too_large_is_unparsed(text: str) -> None:
    assert isinstance(parse(text), Unparsed)


def _expression(draw: random.Random, depth: int) -> tuple[str, complex]:
    """A random expression as LaTeX, and its value by floating point: independent of the parser's algebra."""
    if depth == 0 or draw.random() < 0.2:
        n = draw.randint(0, 6)
        return draw.choice(
            [(str(n), n), (str(n), n), (f"{n}.5", n + 0.5), (r"\pi", cmath.pi), ("i", 1j), ("x", 0.7318), (r"\sqrt{2}", 2**0.5)]
        )
    (a, u), (b, v) = _expression(draw, depth - 1), _expression(draw, depth - 1)
    n = draw.randint(-2, 3)
    options = [(f"({a}) + {b}", u + v), (f"{a} - ({b})", u - v), (f"({a})({b})", u * v), (f"({a}) \\cdot ({b})", u * v)]
    if abs(v) > 1e-9:
        options += [(rf"\frac{{{a}}}{{{b}}}", u / v), (f"({a})/({b})", u / v)]
    if abs(u) > 1e-9:
        options.append((f"({a})^{{{n}}}", u**n))
    if u.real > 1e-9 and abs(u.imag) < 1e-12:
        options.append((rf"\sqrt{{{a}}}", cmath.sqrt(u)))
    return draw.choice(options)


def test_equal_trees_are_equal_numbers() -> None:
    draw = random.Random(0)
    seen: dict[Expr, complex] = {}
    met_again = 0
    for _ in range(6000):
        text, value = _expression(draw, draw.randint(1, 3))
        parsed = parse(text)
        if isinstance(parsed, Expr) and abs(value) < 1e9:
            met_again += parsed in seen
            assert cmath.isclose(seen.setdefault(parsed, value), value, rel_tol=1e-9, abs_tol=1e-9), text
            if (exact := parsed.rational) is not None:
                assert cmath.isclose(float(exact), value, rel_tol=1e-9, abs_tol=1e-9), text
    assert met_again > 1000
