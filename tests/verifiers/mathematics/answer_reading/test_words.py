r"""Answers in words, by hand: which sentences name a value, which words are units, what is extracted; each with near misses."""

import pytest

from tests.clock import stopwatch
from verifiers.mathematics.answer_reading.short_phrases import names_a_quantity
from verifiers.mathematics.equality.math_answer import equivalent
from verifiers.response_text.final_answer import extract_answer

SAME = [
    ("5", "the maximum is 5"),
    ("5", "the answer is 5"),
    ("5", "our final answer is 5"),
    ("5", "so the answer is 5"),
    ("5", "x is 5"),
    ("5", "it is 5"),
    ("x=5", "the value of x is 5"),
    ("5", "the value of x is 5"),
    ("5", "the area of the square is 5"),
    ("5", "the number of guesses is 5"),
    ("5", "the number of times is 5"),
    ("5", "the expected value is 5"),
    ("5", "the other root is 5"),
    ("1/2", "the fraction of students is 1/2"),
    ("f(x)=1-x", "The only solution is $f(x)=1-x$"),
    ("f(x)=1-x", "The only solution is $f(x)=1-x$."),
    ("x=5", "the answer is x=5"),
    ("5", "5 apples"),
    ("5", "5 shaded squares"),
    ("5", r"5 \text{ shaded squares}"),
    ("500000", "5 lakh"),
    ("500000", "five lakh"),
    ("50", "5 tens"),
    ("60", "5 dozens"),
    ("500", "5 hundreds"),
    ("5 million", "5 millions"),
    ("5 people", "5 persons"),
    ("5", "5 families"),
    ("5 feet", "60 inches"),
    ("5", "5 seeds"),
    ("5", "5 units"),
    ("5", "5 unit cubes"),
    ("Yes", "Yes, it is possible"),
    ("No", "No, it is not"),
    ("No", "No, it is not possible"),
    ("Alice", "Alice wins"),
    ("Alice", "Alice has a winning strategy"),
    ("the first player", "First player"),
    ("ellipse", "an ellipse"),
    ("ellipse", "It is an ellipse"),
    ("Sunday", "It is Sunday"),
    ("n is even", "n even"),
    ("n is even", "even n"),
    ("n is even", "all even n"),
    ("converges", "convergent"),
    ("impossible", "not possible"),
    ("k=2", "k=2 only"),
    ("Ann, Bob, Carl", "Ann, Bob, and Carl"),
    ("A and C", "A, C"),
    ("I and III", "I, III"),
    ("Red, Blue", "Blue and Red"),
    (r"5\text{ cm}^2", "5 sq. cm"),
    ("5 m/s^2", "5 meters per second squared"),
    (r"5 \Omega", "5 ohms"),
    (r"5 \mu m", "5 micrometers"),
    (r"5\text{ atm}", "5 atm"),
    ("5 people", "5 persons"),
    (r"30^\circ 30'", r"30.5^\circ"),
]

DIFFERENT = [
    ("5", "twice the answer is 5"),
    ("5", "the square of the answer is 5"),
    ("5", "the negative of x is 5"),
    ("5", "ten times x is 5"),
    ("5", "x minus y is 5"),
    ("5", "half the value is 5"),
    ("5", "the lower bound is 5"),
    ("5", "an approximation is 5"),
    ("5", "our first guess is 5"),
    ("5", "the number of ways minus one is 5"),
    ("5", "the sum minus the answer equals 5"),
    ("5", "one more than the answer is 5"),
    ("5", "the answer is x is 5"),
    ("5", "the square is 5"),
    ("5", "x squared is 5"),
    ("5", "an answer is 5"),
    ("5", "the answer to another problem is 5"),
    ("5", "one solution is 5"),
    ("5", "the square root of the value is 5"),
    ("x=5", "the value of y is 5"),
    ("5", "x plus one is 5"),
    ("5", "the first answer is 5"),
    ("5", "5 lakh"),
    ("5", r"5 \text{ lakh}"),
    ("5", "5 gross"),
    ("5", r"5 \text{ gross}"),
    ("5", "5 score"),
    ("5", r"5 \text{ score}"),
    ("5", "5 tens"),
    ("5", r"5 \text{ tens}"),
    ("5", "5 quarters"),
    ("5", r"5 \text{ quarters}"),
    ("5", "5 grand"),
    ("5", r"5 \text{ grand}"),
    ("5", "5 doubled"),
    ("5", r"5 \text{ doubled}"),
    ("5", "5 below zero"),
    ("5", r"5 \text{ below zero}"),
    ("5", "5 short"),
    ("5", r"5 \text{ short}"),
    ("5", "5 missing"),
    ("5", r"5 \text{ missing}"),
    ("5", "5 away from seven"),
    ("5", r"5 \text{ away from seven}"),
    ("5", "5 before adding"),
    ("5", r"5 \text{ before adding}"),
    ("5", "5 unless"),
    ("5", r"5 \text{ unless}"),
    ("5", "5 maybe"),
    ("5", r"5 \text{ maybe}"),
    ("5", "5 almost"),
    ("5", r"5 \text{ almost}"),
    ("5", "5 guess"),
    ("5", r"5 \text{ guess}"),
    ("5", "5 unknown"),
    ("5", r"5 \text{ unknown}"),
    ("5", "5 hundreds"),
    ("5", r"5 \text{ hundreds}"),
    ("5", "5 crore"),
    ("5", r"5 \text{ crore}"),
    ("5", "5 allegedly"),
    ("5", r"5 \text{ allegedly}"),
    ("5", "5 Maybe"),
    ("5", r"5 \text{ Maybe}"),
    ("5", "5 tripled"),
    ("5", r"5 \text{ tripled}"),
    ("5", "5 negated"),
    ("5", r"5 \text{ negated}"),
    ("Yes", "No, it is not"),
    ("Yes", "Yes, but only if n is even"),
    ("Yes", "Yes, it is not"),
    ("No", "No, it is possible"),
    ("Alice", "Bob wins"),
    ("Alice", "Alice loses"),
    ("Alice", "not Alice wins"),
    ("Alice", "neither wins"),
    ("first player", "the second player"),
    ("ellipse", "a circle"),
    ("ellipse", "It is not an ellipse"),
    ("n is even", "n is odd"),
    ("n is even", "m is even"),
    ("k=2", "k=3 only"),
    ("k=2", "k=2, 3 only"),
    ("Ann, Bob, Carl", "Ann, Bob"),
    ("Ann, Bob, Carl", "Carl, Bob, Ann"),
    ("I and III", "I, II"),
    ("Red, Blue", "Blue or Red"),
    ("convergent", "divergent"),
    ("impossible", "possible"),
    (r"5\text{ cm}^2", "5 cu. cm"),
    ("5 m/s^2", "5 meters per second"),
    (r"5 \Omega", "5 volts"),
    (r"5 \mu m", "5 millimeters"),
    ("5 people", "5 dogs"),
    (r"30^\circ 30'", r"30.3^\circ"),
    (r"30^\circ 30'", r"60^\circ"),
]


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_the_same_in_words(gold: str, answer: str) -> None:
    assert equivalent(gold, answer)
    assert equivalent(answer, gold)


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_near_misses_in_words_are_different(gold: str, answer: str) -> None:
    assert not equivalent(gold, answer)
    assert not equivalent(answer, gold)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("x = - 4", "-4"), ("- 4", "-4"), ("x=-4", "-4"), ("so it is - $5", "-$5"), ("so => 5", "5"), ("<b>5</b>", "5"), ("> 5", "5"),
        ("<<3*4=12>>12", "12"), ("total is **5**", "5"), ("it is *5*", "5"), ("__5__", "5"), ("Total: 5", "5"), ("In total, 12", "12"),
        ("5 and then 7", "7"), ("$n<4$", "n<4"), ("The answer is $3$ or $4$.", "$3$ or $4$"), ("The answer is $50$%.", "$50$%"),
        ("Final answer: the largest $n$ is 34", "34"), ("Final answer: twice the value is 34", "twice the value is 34"),
        ("The answer is that n is 3 or n is 4.", "that n is 3 or n is 4"), ("The final answer: x is 3 and y is 4", "x is 3 and y is 4"),
        ("the answer is 3 unless n is 4", "3 unless n is 4"),
    ],
)  # fmt: skip
def test_what_is_extracted(response: str, text: str) -> None:
    found = extract_answer(response)
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    "response",
    [
        "3√2", "2^{10}", "3x^2", "(3, 4)", "The ratio is 3:4", "12:30", "minus 4", "negative 4", "n < 4", "n >= 4", "a_3", "x - 4",
        "10 - 7",
        "it is 10-7", "3 times 4", "5x", r"\frac{1}{2}", "It is definitely not 5", "it is not equal to 5", "$x=3$ or $x=4$", "$3$ and $4$",
        r"\(3\) and \(4\)", "n is 3 or n is 4", "x ≈ 5", "3, 4",
    ],
)  # fmt: skip
def test_a_part_of_an_answer_is_not_extracted(response: str) -> None:
    found = extract_answer(response)
    assert found is None or found.text == response  # all of a bare formula may be


def test_hostile_sentences_take_linear_time() -> None:
    for text in ("the square " * 9_000, "answer is " + "x is " * 20_000, "is" + " " * 100_000 + "5", "$x$ or " * 15_000 + "$4$"):
        took = stopwatch()
        extract_answer(text)
        names_a_quantity(text[:1000])
        assert took() < 1.0
