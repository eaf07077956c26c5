r"""Which equations a step states, and whether they hold: 1 all do, 0 one does not, None there is none that could be checked."""

import json
from pathlib import Path

import pytest

from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.rewards.load_reward import load_step_scorer
from verifiers.steps.arithmetic import score_steps
from verifiers.steps.equations import equations

PROBLEM = make_problem("?", "1")
RIGHT = r"""
12 + 3 = 15
So 3 + 4 = 7 apples.
f(2) = 3 + 1 = 4
x_1 = 3 + 4 = 7
\frac{3}{4} \times 8 = 6 = 12/2
7+8=15 5+6+1=12
2 1/2 + 1 = 3 1/2
4+6=10 6/2=3
(3 + 4 = 7)
3 + 4 = \boxed{7}
2**3 = 8
5 * $3 = $15
<<3*4=12>>12
10/3 = 3.333 \approx 3.33
3 + 4 = 7 => 8
5! = 120
1,200 + 300 = 1,500
- 3 + 4 = 7
Step 1: 3+4=7. 5 - 2 = 3.
12 + 3 = 15 (apples)
3 \cdot (4 + 1) = 15
\left(2+3\right)^2 = 25
-3 + 5 = 2
Answer = 5 \div 2 = 2.5
80 000 x 20/100 = 16 000
y = 2^2 + 1 = 5
3+4==7
( 3 + 4 ) * 2 = 14
9 = 3 * 3
25% = 1/4 = 0.2 + 0.05
"""
WRONG = r"""
12 + 3 = 16
$3+4=7$ and $5+6=12$
7+8=15 5+6+1=13
(since 3 + 4 = 8)
3 + 4 = **8**
5 x 3 = 16
1. 3+4=8
\text{Total} = 3 + 4 = 8 \text{ apples}
因此3+4=8
2^{10} - 24 = 1001
\frac{3}{4} \times 8 = 6 = 12/3
3 + 4 = 7 - 2 = 5
10/3 = 3.33
2 + 2 = \boxed{5}
"""
UNCHECKED = r"""
x + 2 = 5
x - 3 + 1 = 4
20% of 50 + 5 = 15
log 8 + 1 = 4
\sin 30 + 1 = 5
3 + 4 != 8
3 + 4 = 7!
gcd(12, 18) = 6
x = 5
7 = 7
2x + 3 = 7
3 + 4 = 7x
3 + 4 = 7 + x
3 + 4 \approx 8
5 cm + 3 cm = 8 cm
π2 + 1 = 5
f(3, 4) = 3 + 5
3 + 4 = ?
Half of 20 + 4 = 14
4 / 3 = 1 and 1/3
2.50 - 2.24 = 26 cents
The sum 3 + 4 is 8
\frac{x}{3} = 2 + 1
"""


@pytest.mark.parametrize(
    ("text", "score"),
    [(line, score) for table, score in ((RIGHT, 1.0), (WRONG, 0.0), (UNCHECKED, None)) for line in table.strip().splitlines()],
)
def test_a_step_is_right_wrong_or_states_nothing(text: str, score: float | None) -> None:
    assert score_steps(PROBLEM, [text]) == [score]
    assert score_steps(PROBLEM, [f"We look at it:\n{text}\n\n"]) == [score]


def test_a_chain_may_go_on_in_the_next_line() -> None:
    aligned = "\\begin{aligned}\n3+4 &= 7 \\\\\n&= 5+2 \\\\\n&= 8\n\\end{aligned}"
    assert equations(aligned) == [("3+4", "7"), ("7", "5+2"), ("5+2", "8")]


def test_what_is_read_is_bounded() -> None:
    assert equations("1+1=2 " * 100_000)[0] == ("1+1", "2")
    assert equations("(" * 3000 + "1+1=2") in ([], [("1+1", "2")])
    assert equations("1" * 1000 + "+1=2") == []


def test_steps_without_an_equation_may_count_as_right_and_the_tolerance_is_the_verifiers() -> None:
    steps = ["First, read it.\n\n", "1 + 1 = 3\n\n", "10/3 = 3.33"]
    assert score_steps(PROBLEM, steps) == [None, 0.0, 0.0]
    assert score_steps(PROBLEM, steps, no_equation="right", tolerance="rounded:3") == [1.0, 0.0, 1.0]
    assert load_step_scorer("arithmetic(no_equation=right, tolerance=rounded:3)")(PROBLEM, steps) == [1.0, 0.0, 1.0]
    with pytest.raises(InputError, match="tolerance='close'"):
        load_step_scorer("arithmetic(tolerance=close)")
    with pytest.raises(InputError, match="no_equation is one of skip, right, not 'wrong'"):
        load_step_scorer("arithmetic(no_equation=wrong)")


def test_worked_solutions_of_gsm8k_are_right(data_dir: Path) -> None:
    with (data_dir / "math" / "gsm8k_train.jsonl").open() as file:
        steps = [step for _, line in zip(range(200), file, strict=False) for step in json.loads(line)["solution"].split("\n")]
    scores = score_steps(PROBLEM, steps)
    assert sum(score is not None for score in scores) > 550
    assert sum(score == 0 for score in scores) <= 2
