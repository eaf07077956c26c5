r"""Spellings of one answer: TeX's arguments without braces, and what programs and people write."""

import pytest

from verifiers.mathematics.equality.math_answer import equivalent


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\frac{x}{2}", r"\frac x2"),
        (r"\tan\frac x2", r"\tan(x/2)"),
        (r"\tan\frac x2", r"\frac{\sin x}{1+\cos x}"),
        (r"\frac ab", "a/b"),
        (r"\ln\frac ab", r"\ln(a/b)"),
        (r"\binom nk", r"\binom{n}{k}"),
        (r"\binom n2", r"\frac{n(n-1)}2"),
        (r"\frac{1}xy", r"\frac{y}{x}"),
        (r"\sqrt ab", r"b\sqrt a"),
        (r"\frac{x_1}2", "x_1/2"),
    ],
)
def test_letters_without_braces_are_arguments_one_by_one(left: str, right: str) -> None:
    assert equivalent(left, right)


@pytest.mark.parametrize(
    ("left", "right"), [(r"\frac x2", "x_2"), (r"\frac ab", r"\frac ba"), (r"\binom nk", r"\binom kn"), (r"\sqrt ab", r"\sqrt{ab}")]
)
def test_letters_without_braces_keep_their_places(left: str, right: str) -> None:
    assert not equivalent(left, right)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5 seconds", "5s"),
        ("5 grams", "5g"),
        ("5 liters", "5L"),
        ("3 m/s", "3m/s"),
        ("5 m^2", "5m²"),
        ("5", "5 m²"),
    ],
)
def test_a_symbol_of_one_letter_glued_to_its_number_is_a_unit_beside_a_quantity(gold: str, answer: str) -> None:
    assert equivalent(gold, answer)


@pytest.mark.parametrize(("gold", "answer"), [("5 hours", "5m"), ("5 meters", "5n"), ("5 m^2", "5m"), ("5", "5m^2"), ("3 m/s", "3m")])
def test_a_glued_letter_is_no_other_unit_and_no_unit_beside_a_number(gold: str, answer: str) -> None:
    assert not equivalent(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("(x,y)=(1,2)", "(y,x)=(2,1)", True),
        ("(a,b,c)=(1,2,3)", "(c,b,a)=(3,2,1)", True),
        ("(1,2)", "(n,k)=(1,2)", True),
        ("(1,2)", "(x_1,x_2)=(1,2)", True),
        ("(x,y)=(1,2)", "(y,x)=(1,2)", False),
        ("(1,2,3)", "(z,y,x)=(1,2,3)", False),
        ("(1,2,3)", "(x,z,y)=(1,2,3)", False),
        ("(1,2)", "(x_2,x_1)=(1,2)", False),
        ("(x,y)=(1,2)", "(a,b)=(1,2)", False),
    ],
)
def test_a_tuple_of_names_in_another_order_is_put_in_order_or_refused(gold: str, answer: str, same: bool) -> None:
    assert equivalent(gold, answer) is same


@pytest.mark.parametrize(
    ("gold", "answer", "same"), [("F=ma", "ma=F", True), ("v=at", "at=v", True), ("F=ma", "F=mb", False), ("F=ma", "mF=a", False)]
)
def test_a_product_that_equals_a_letter_is_the_letter_that_equals_the_product(gold: str, answer: str, same: bool) -> None:
    assert equivalent(gold, answer) is same


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("n(n+1)/2", "n[n+1]/2", True),
        ("2(a+b(c+d))", r"2\{a+b[c+d]\}", True),
        ("b(c-d)", "b[c-d]", True),
        ("n[n+1]", "n[n-1]", False),
        ("fx", "f[x]", False),
        ("x", "x[1,2]", False),
    ],
)
def test_square_brackets_behind_a_letter_group_a_sum(gold: str, answer: str, same: bool) -> None:
    assert equivalent(gold, answer) is same
