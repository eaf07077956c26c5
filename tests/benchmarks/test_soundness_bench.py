"""A slice of the soundness bench, its own arithmetic, and its answers to what must not pass."""

import random
from fractions import Fraction

import pytest

from benchmarks.soundness import __main__ as soundness
from benchmarks.soundness.identities import IDENTITIES
from benchmarks.soundness.pairs import KINDS, WHOLE_KINDS
from benchmarks.soundness.trees import Undefined, add, div, latex, mul, num, pow_, value, var, witness

SLICE = 200


def test_a_slice_of_the_bench_accepts_nothing_that_differs() -> None:
    found = soundness.run(20260101, SLICE)
    assert found["wrong"] == []
    assert len(found["refused"]) <= 0.15 * SLICE


@pytest.mark.parametrize("kind", KINDS)
def test_the_identities_of_the_bench_are_true(kind: str) -> None:
    draw = random.Random(kind)
    for _ in range(12):
        left, right = IDENTITIES[kind](draw)
        assert witness(draw, left, right, kind in WHOLE_KINDS, num(1), 30) is None, (latex(left), latex(right))


def test_the_bench_computes_by_itself() -> None:
    x = var("x")
    point = {"x": Fraction(7, 2)}
    assert value(("floor", div(pow_(x, 2), num(3))), point) == 4
    assert value(("cases", "le", x, num(3), x, num(-1)), point) == -1
    assert value(("sum", "j", 1, 4, mul(var("j"), x)), point) == 35
    assert value(("binom", num(10), num(3)), {}) == 120
    assert value(("mod", num(-7), num(5)), {}) == 3
    assert value(("sqrt", num(Fraction(9, 4))), {}) == Fraction(3, 2)
    with pytest.raises(Undefined):
        value(div(num(1), add(x, num(Fraction(-7, 2)))), point)
    assert latex(mul(num(-2), add(x, num(1)))) == r"\left(-2\right) \cdot \left(x + 1\right)"


def test_a_pair_that_is_accepted_wrongly_fails_the_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(soundness, "accepted", lambda pair: True)
    monkeypatch.setattr("sys.argv", ["soundness", "--seeds", "3", "--pairs", "15"])
    assert soundness.main() == 1
    out = capsys.readouterr().out
    assert out.count("ACCEPTED (") == 15
    assert '"unequal_accepted": 15' in out.splitlines()[-1]
