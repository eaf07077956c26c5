"""The policies of `math_answer.verify`, by hand: which tolerance and which units count, and what `explain` says of them."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random

import pytest

from verifiers.input_error import InputError
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.arithmetic.exact_sums import Expr
from verifiers.mathematics.equality.math_answer import equivalent, explain, verify
from verifiers.mathematics.evidence.certified_comparison import sign
from verifiers.problem import make_problem
from verifiers.verdict import Status

TOLERANCE = [  # tolerance, gold, answer, whether it is accepted
    ("exact", "1/3", "0.3333", False), ("exact", "1/3", "0.333333333333", False), ("exact", "1/3", "2/6", True),
    ("exact", "0.5", "1/2", True),
    ("exact", r"\pi", "3.14159265", False), ("exact", r"60^\circ", "1.0472", False), ("exact", r"60^\circ", r"\frac{\pi}{3}", True),
    ("rounded:4", "1/3", "0.3333", True), ("rounded:5", "1/3", "0.3333", False), ("rounded:5", "1/3", "0.33333", True),
    ("rounded:3", r"\pi", "3.14", True), ("rounded:3", r"\pi", "3.15", False), ("rounded:2", "1/3", "0.33", True),
    ("rounded:1", "1/3", "0.3", False), ("rounded:4", r"60^\circ", "1.047", True), ("rounded:4", r"60^\circ", "1.048", False),
    ("digits", "85.71", r"\frac{600}{7}", True), ("digits", "85.71", "85.714", True), ("digits", "85.71", "85.72", False),
    ("digits", "85.71", "85.7", False), ("digits", "85.71", "85.705", True), ("digits", "85.71", "85.715", False),
    ("digits", "-85.71", "-85.705", True), ("digits", "-85.71", "-85.715", False), ("digits", "-85.71", "85.71", False),
    ("digits", "85.714", "85.71", False), ("digits", r"\frac{600}{7}", "85.71", True), ("digits", r"\frac{600}{7}", "85.72", False),
    ("digits", "86", "85.71", False), ("digits", "3.14", r"\pi", True), ("digits", "3.15", r"\pi", False),
    ("digits", "0.50", "0.504", True),
    ("digits", "0.50", "0.51", False), ("digits", r"9.81\text{ m}", r"9.806\text{ m}", True), ("digits", r"9.81\text{ m}", "9.8", False),
    ("digits", "(1.41, 2)", r"(\sqrt2, 2)", True), ("digits", "(1.41, 2)", r"(\sqrt2, 2.01)", False), ("digits", "3.14", "x", False),
    ("digits", "1.41", "1.41+i", False), ("digits", "12:30", "12.30", False), ("digits", "0.33:1", "1/3", False),
    ("relative:1e-3", "1000", "1001", True), ("relative:1e-3", "1000", "1001.1", False), ("relative:1e-3", "1000", "999", True),
    ("relative:1e-3", "-1000", "-1001", True), ("relative:1e-3", "-1000", "1000", False), ("relative:1e-3", "0", "0.0000001", False),
    ("relative:1e-3", "0", "0", True), ("relative:0.01", r"\pi", "3.14", True), ("relative:0.0001", r"\pi", "3.14", False),
    ("relative:1e-3", r"10^{-34}", r"1.0009\times10^{-34}", True), ("relative:1e-3", r"10^{-34}", r"1.002\times10^{-34}", False),
    ("relative:1e-3", "1/3", "0.333", True), ("relative:1e-3", "2x", "2.0001x", False), ("relative:1e-3", "x<1", "x<1.0001", False),
    ("relative:1e-3", r"5\text{ m}", r"500.1\text{ cm}", True), ("relative:1e-3", r"5\text{ m}", r"500.1\text{ m}", False),
    ("relative:1e-3", "1,2", "2.001,1", True), ("relative:1e-3", r"\sqrt2", r"\sqrt{2.001}", True),
    ("relative:1e-3", r"\sqrt2", r"\sqrt{2.01}", False),
]  # fmt: skip


@pytest.mark.parametrize(("tolerance", "gold", "answer", "accepted"), TOLERANCE)
def test_tolerance(tolerance: str, gold: str, answer: str, accepted: bool) -> None:
    assert equivalent(gold, answer, tolerance=tolerance) is accepted


def test_digits_and_relative_look_at_the_gold_only() -> None:
    assert equivalent("85.71", "85.714", tolerance="digits")
    assert not equivalent("85.714", "85.71", tolerance="digits")
    assert equivalent("1000", "1001", tolerance="relative:0.001")
    assert not equivalent("1000.99", "999.98", tolerance="relative:0.001")
    assert equivalent("1:3", "0.3333"), "a ratio stays on its side"
    assert equivalent("0.3333", "1:3")
    assert not equivalent("1:3", "0.333", tolerance="digits")
    assert not equivalent("0.333", "1:4", tolerance="digits")


def test_digits_agree_with_decimal_arithmetic() -> None:
    draw = Random(5)
    for _ in range(300):
        value, places = Fraction(draw.randint(-9999, 9999), draw.choice((7, 8, 80, 125, 300))), draw.randint(1, 3)
        near = value + Fraction(draw.randint(-12, 12), 10 ** (places + 1))
        rounded = (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        other = (Decimal(near.numerator) / Decimal(near.denominator)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        if rounded and value != near:
            exact = f"{near.numerator}/{near.denominator}" if near.denominator > 1 else str(near.numerator)
            expected = rounded == other or Fraction(str(rounded)) == near
            # what the default tolerance accepts besides needs four digits, so it is the same rounding
            assert equivalent(str(rounded), exact, tolerance="digits") is expected, (rounded, exact)


def test_a_number_that_is_never_defined_has_no_sign() -> None:
    for text in (r"\ln(\sin 1-\sin 1 \cdot \cos 0)", r"\tan 90^\circ", r"\int_0^1 x dx"):
        value = parse(text)
        assert not isinstance(value, Expr) or sign(value) is None


UNITS = [  # units, gold, answer, accepted
    ("convert", r"1\text{ m}", r"100\text{ cm}", True), ("match", r"1\text{ m}", r"100\text{ cm}", False),
    ("ignore", r"1\text{ m}", r"100\text{ cm}", False), ("ignore", r"5\text{ m}", r"5\text{ cm}", True),
    ("convert", r"5\text{ m}", r"5\text{ cm}", False), ("match", r"5\text{ m}", r"5\text{ cm}", False),
    ("match", r"5\text{ cm}", "5 centimeters", True),
    ("match", r"5\text{ cm}", "5", True), ("match", "5", r"5\text{ cm}", True), ("ignore", "5", r"5\text{ kg}", True),
    ("ignore", r"5\text{ kg}", r"6\text{ kg}", False), ("ignore", "50", r"50\%", True),
    ("ignore", r"50\text{ cm}", r"0.5\text{ cm}", False),
    ("ignore", r"50\%", r"0.5\text{ kg}", True), ("ignore", "1001_2", "1001", False), ("ignore", r"2\text{ million}", "2", False),
    ("ignore", r"2\text{ million dollars}", "2000000", True), ("match", r"2\text{ million dollars}", r"\$2000000", True),
    ("match", r"\$5", r"500\text{ cents}", False), ("convert", r"\$5", r"500\text{ cents}", True), ("match", r"90^\circ", "90", True),
    ("match", r"90^\circ", r"\frac{\pi}{2}", False), ("ignore", r"90^\circ", r"\frac{\pi}{2}", False),
    ("convert", r"90^\circ", r"\frac{\pi}{2}", True),
    ("match", r"60\text{ km/h}", r"60\text{ km per hour}", True), ("match", r"60\text{ km/h}", r"60\text{ m/s}", False),
    ("ignore", r"(1\text{ cm}, 2)", r"(1, 2\text{ kg})", True),
]  # fmt: skip


@pytest.mark.parametrize(("units", "gold", "answer", "accepted"), UNITS)
def test_units(units: str, gold: str, answer: str, accepted: bool) -> None:
    assert equivalent(gold, answer, units=units) is accepted
    assert equivalent(answer, gold, units=units) is accepted


@pytest.mark.parametrize(
    "policy",
    [
        {"tolerance": "approximately"},
        {"tolerance": "rounded:0"},
        {"tolerance": "rounded:"},
        {"tolerance": "relative:0"},
        {"tolerance": "relative:2"},
        {"tolerance": "relative:1e-3x"},
        {"tolerance": "relative:1/3"},
    ],
)
def test_an_unknown_policy_is_named_in_the_error(policy: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"tolerance='.*': expected 'exact', 'digits'"):
        verify(make_problem("?", "1"), r"\boxed{1}", **policy)  # type: ignore[arg-type]


# ---------------------------------------------------------------- explain

STEPS = [
    ("72", "72", "right", "string"), ("72", "72.0", "right", "exact rational"), ("1/2", r"\frac24", "right", "exact rational"),
    ("72", "71", "wrong", "exact rational"), ("x+1", "1+x", "right", "structure"), ("1,2,3", "3,2,1", "right", "structure"),
    ("[0,1)", r"0\le x<1", "right", "structure"), (r"\sin 2x", r"2\sin x\cos x", "right", "certified numerics"),
    (r"(1,\sin 2x)", r"(1,2\sin x\cos x)", "right", "certified numerics"), (r"\frac13", "0.3333", "right", "tolerance"),
    ("B", r"\textbf{(B)}\ 5", "right", "choice"), ("5050", r"\sum_{i=1}^{100} i", "wrong", "closed form"),
    ("x=5", "2x+1=11", "wrong", "unsolved"),
    (r"5\text{ cm}", r"5\text{ kg}", "wrong", "structure"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer", "status", "step"), STEPS)
def test_explain_names_the_step_that_decided(gold: str, answer: str, status: str, step: str) -> None:
    verdict = explain(make_problem("?", gold), rf"So it is \boxed{{{answer}}}.")
    lines = dict(line.split(": ", 1) for line in verdict.detail.splitlines())
    assert (str(verdict.status), lines["step"], lines["place"], lines["extracted"]) == (status, step, "boxed", repr(answer))
    assert list(lines) == ["extracted", "place", "gold", "answer", "step", "reason"]


def test_explain_shows_how_both_sides_were_read() -> None:
    verdict = explain(make_problem("?", r"\{1,2\}"), r"\boxed{3x^2+\frac12\text{ or so}}")
    assert "gold: set: number 1; number 2" in verdict.detail
    assert "answer: words" in verdict.detail
    assert "reason: the answer could not be read" in verdict.detail
    assert "answer: expression 2*sin(x)^2 + 3*x^(1/2)" in explain(make_problem("?", "1"), r"\boxed{3\sqrt{x}+2\sin^2 x}").detail


def test_explain_and_verify_give_one_verdict() -> None:
    for gold, answer, _, _ in STEPS:
        problem, response = make_problem("?", gold), rf"\boxed{{{answer}}}"
        a, b = verify(problem, response), explain(problem, response)
        assert (a.score, a.status) == (b.score, b.status)
    assert explain(make_problem("?", "7"), "no idea").status is Status.NO_ANSWER
    assert explain(make_problem("?", ""), r"\boxed{7}").status is Status.BAD_GOLD
    assert explain(make_problem("?", "7"), "\\boxed{" + "{" * 2000).status in (Status.WRONG, Status.NO_ANSWER)


def test_explain_follows_the_policies_it_is_given() -> None:
    problem = make_problem("?", "1/3")
    assert explain(problem, r"\boxed{0.3333}", tolerance="exact").status is Status.WRONG
