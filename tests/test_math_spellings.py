r"""Spellings of one answer: TeX's arguments without braces, and what programs and people write."""

import pytest

from verifiers.math_answer import equivalent


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
