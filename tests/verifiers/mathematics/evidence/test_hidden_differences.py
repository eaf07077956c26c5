r"""Differences that a number of many digits, a corner at no power of two, or a hyperbolic function hides."""

import pytest

from tests.clock import stopwatch
from verifiers.mathematics.equality.math_answer import equivalent


def differ(left: str, right: str) -> bool:
    return not equivalent(left, right) and not equivalent(right, left)


@pytest.mark.parametrize("corner", ["3", r"\frac{7}{3}", r"\frac{355}{113}", "-0.1", r"\frac{1}{1000003}"])
@pytest.mark.parametrize("function", [r"\sin x", "e^x", r"\sqrt{x^2+1}"])
def test_a_function_changed_at_one_fraction_is_another_function(function: str, corner: str) -> None:
    changed = rf"\begin{{cases}}{function}&x\neq {corner}\\-2&x={corner}\end{{cases}}"
    assert differ(changed, function)
    assert equivalent(changed, rf"\begin{{cases}}-2&x={corner}\\{function}&\text{{otherwise}}\end{{cases}}")


@pytest.mark.parametrize("step", ["3", "7", r"\frac{7}{3}"])
def test_floors_that_differ_at_multiples_alone_differ_beside_what_is_no_fraction(step: str) -> None:
    assert differ(rf"\lfloor\frac{{x}}{{{step}}}\rfloor+\sin x", rf"\lceil\frac{{x}}{{{step}}}\rceil-1+\sin x")
    assert differ(rf"\lfloor\frac{{n}}{{{step}}}\rfloor+(-1)^n\sin n", rf"\lceil\frac{{n}}{{{step}}}\rceil-1+(-1)^n\sin n")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{10^{1000}+1}", r"10^{500}"),
        (r"\sqrt[3]{10^{900}+1}", r"10^{300}"),
        (r"\sqrt{10^{900}+1}", r"\sqrt{10^{900}+2}"),
        (r"\sqrt{7^{800}+1}", r"7^{400}"),
        (r"\sqrt{4+10^{-600}}", "2"),
        (r"\sqrt[3]{8+10^{-900}}", "2"),
        (r"\sqrt{2+10^{-900}}", r"\sqrt2"),
        (r"\sqrt{\frac{10^{900}+1}{10^{900}}}", "1"),
        (r"\sinh(1000)", r"\cosh(1000)"),
        (r"\operatorname{sech}(1000)", r"\operatorname{csch}(1000)"),
        (r"\tanh(1000)", "1"),
    ],
)
def test_a_root_of_a_number_of_many_digits_and_a_hyperbolic_function_hide_no_difference(left: str, right: str) -> None:
    assert differ(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{10^{1000}+10^{500}\cdot2+1}", r"10^{500}+1"),
        (r"\frac{1}{\sqrt{10^{1000}+1}-10^{500}}", r"\sqrt{10^{1000}+1}+10^{500}"),
        (r"\sqrt{123456789^2+1}", r"\sqrt{15241578750190522}"),
        (r"\sqrt{(x-\frac73)^2}", r"|x-\frac73|"),
        (r"\sinh 10+\cosh 10", r"e^{10}"),
    ],
)
def test_equal_roots_and_hyperbolic_functions_are_still_equal(left: str, right: str) -> None:
    assert equivalent(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\gcd(\gcd(n,152),19)", r"\gcd(n,19)"),
        (r"\max(x,\max(3,5))", r"\max(x,5)"),
        (r"\max(x,\max(y,5),3)", r"\max(x,y,5)"),
        (r"\operatorname{lcm}(6,\operatorname{lcm}(4,n))", r"\operatorname{lcm}(12,n)"),
        (r"\lfloor\lfloor x^2\rfloor\rfloor", r"\lfloor x^2\rfloor"),
    ],
)
def test_a_function_nested_in_itself_is_one(left: str, right: str) -> None:
    assert equivalent(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\gcd(\gcd(n,152),19)", r"\gcd(n,152)"),
        (r"\max(x,\min(y,5),3)", r"\max(x,y,3)"),
        (r"\lceil\lfloor x\rfloor\rceil", r"\lceil x\rceil"),
        (r"\max(x,\max(3,5))", r"\max(x,3)"),
    ],
)
def test_functions_nested_in_others_are_not_one(left: str, right: str) -> None:
    assert differ(left, right)


@pytest.mark.parametrize("height", [8, 12, 20])
def test_a_tower_of_powers_is_given_up_in_time(height: int) -> None:
    left, right = ("2^{" * height + top + "}" * height for top in ("n+1", "n+2"))
    took = stopwatch()
    assert differ(left, right)
    assert took() < 4  # 1 on an idle machine; 5 before costs counted precision
    assert equivalent(left, left.replace("n+1", "1+n"))


@pytest.mark.parametrize(
    ("left", "right"),
    [("a^{x+y}", "a^xa^y"), ("a^{m+n}", "a^ma^n"), ("b^{u+v}", "b^ub^v"), ("a^{x-y}", r"\frac{a^x}{a^y}"), ("x^{a+b}", "x^ax^b")],
)
def test_powers_of_a_sum_are_products_whatever_points_are_drawn(left: str, right: str) -> None:
    assert equivalent(left, right)
    assert not equivalent(left, right + "+10^{-300}")


POINTWISE = [
    (r"\sin x", "8", r"4x^{2000001/1000000}", "4x^2"),
    ("x", "3", r"x^{1000001/1000000}", "x"),
    ("e^x", "3", r"3^{9000001/3000000}", "27"),
    ("e^x", "3", r"10^{10^{10}}", "27"),
]


@pytest.mark.parametrize(("function", "corner", "there", "other"), POINTWISE)
def test_a_row_for_one_point_whose_value_is_not_clear_is_no_evidence(function: str, corner: str, there: str, other: str) -> None:
    left, right = (rf"\begin{{cases}}{function}&x\ne{corner}\\{row}&\text{{otherwise}}\end{{cases}}" for row in (there, other))
    assert differ(left, right)


def test_powers_of_fractions_with_long_denominators_are_told_apart() -> None:
    assert not equivalent(r"8^{2000001/1000000}", "64")
    assert equivalent(r"8^{2000000/3000000}", "4")
